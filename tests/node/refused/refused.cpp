// Mistakes with messages, agents and services, each behind a switch. What a compiler has to say of
// each, so that its reader knows what to do, is in tests/CMakeLists.txt.

#include "troupe/node/node.hpp"
#ifndef NO_INCLUDE
#include "troupe/service.hpp"
#else
#include "troupe/host/plain_service.hpp"
#endif

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace refused {

using namespace troupe;

struct sold {
  std::map<std::uint64_t, std::string> holders;

#ifndef STATE_WITHOUT_FIELDS
  TROUPE_FIELDS(sold, holders);
#endif
};

struct receipt {
  std::uint64_t number = 0;

  TROUPE_FIELDS(receipt, number);
};

struct take_ticket {
#ifndef NO_RESULT
  using result = receipt;
#endif

  std::string holder;

#ifndef COMMAND_WITHOUT_FIELDS
  TROUPE_FIELDS(take_ticket, holder);
#endif
};

struct count_tickets {
  using result = std::uint64_t;

  TROUPE_FIELDS(count_tickets);
};

struct unknown {
  TROUPE_FIELDS(unknown);
};

#ifdef COMMAND_NO_MESSAGE
TROUPE_MESSAGES(tickets, receipt, count_tickets);
#elif defined QUERY_NO_MESSAGE
TROUPE_MESSAGES(tickets, take_ticket, receipt);
#elif defined RESULT_NO_MESSAGE
TROUPE_MESSAGES(tickets, take_ticket, count_tickets);
#else
TROUPE_MESSAGES(tickets, take_ticket, receipt, count_tickets);
#endif

#ifdef NO_LISTS
struct ticket_roll : host::plain_machine<ticket_roll, sold, take_ticket, count_tickets> {
#else
struct ticket_roll : host::plain_machine<ticket_roll, sold, host::commands<take_ticket>,
                                         host::queries<count_tickets>> {
#endif
#ifndef NO_APPLY
  result<receipt> apply(const take_ticket& what) {
    auto number = state().holders.size() + 1;
    state().holders[number] = what.holder;
    return receipt{number};
  }
#endif

#ifndef NO_ANSWER
  std::uint64_t answer(const count_tickets&) const {
    return state().holders.size();
  }
#endif
};

struct ticket_service : host::plain_service<ticket_roll> {
#ifndef NO_CONSTRUCTOR
  using plain_service::plain_service;
#endif
#ifndef NO_NAME
  static constexpr const char* name = "ticket_service";
#endif
};

/// Of a machine that does without plain_machine; it would have to be opened.
struct unopened_service : host::service<ticket_roll, host::commands<take_ticket>, host::queries<>> {
  using service::service;
  using options = host::no_settings;
  static constexpr const char* name = "unopened_service";
};

void start() {
  init<tickets>();
  node_options how;
  how.services.add<ticket_service>("tickets");
  auto me = node::start(how).value();
  me.agent("greeter", [](const take_ticket&) -> result<receipt> { return receipt{}; }).value();
  me.agent("informed", [](const message_info& who, int) { return who.from.text(); }).value();
  me.agent("named", [](agent_context& self, int) { return self.id().text(); }).value();
#ifdef AGENT_TAKES
  me.agent("taker", [](const unknown&) {}).value();
#endif
#ifdef AGENT_TAKES_TWICE
  me.agent(
      "twice", [](int) { return 1; }, [](agent_context&, const int&) { return 2; })
    .value();
#endif
#ifdef AGENT_TAKES_INFO_LAST
  me.agent("taker", [](int, const message_info&) {}).value();
#endif
#ifdef TYPED_AGENT_TAKES_INFO
  me.agent<caf::typed_actor<caf::result<int>(int)>>("typed",
                                                    [](const message_info&, int x) { return x; })
    .value();
#endif
#ifdef AGENT_GIVES
  me.agent("giver", [](int) -> result<unknown> { return unknown{}; }).value();
#endif
#ifdef AGENT_GIVES_PLAINLY
  me.agent("giver", [](int) { return unknown{}; }).value();
#endif
#ifdef AGENT_TAKES_ALL
  me.agent("taker", [](const auto&) {}).value();
#endif
  constexpr auto wait = std::chrono::seconds{1};
  static_cast<void>(me.request<receipt>(to_agent("giver"), wait, take_ticket{}, "text", 2L));
#ifdef SENDS
  static_cast<void>(me.send(to_agent("taker"), unknown{}));
#endif
#ifdef ASKS
  static_cast<void>(me.request<int>(to_agent("taker"), wait, unknown{}));
#endif
#ifdef ASKS_FOR
  static_cast<void>(me.async_request<unknown>(to_agent("giver"), wait, 1));
#endif
#ifdef NO_SERVICE
  how.services.add<ticket_roll>("tickets");
#endif
#ifdef NO_OPENING
  how.services.add<unopened_service>("tickets");
#endif
#ifdef NO_CLIENT
  static_cast<void>(me.service<ticket_roll>("tickets"));
#endif
}

} // namespace refused
