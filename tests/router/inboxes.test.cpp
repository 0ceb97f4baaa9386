// What waits for agents of live routers: agents that are slow, end, or answer late.

#include "router/named_nodes.hpp"
#include "support/services.hpp"
#include "troupe/router/router_access.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message.hpp"
#include "caf/response_promise.hpp"
#include "caf/scoped_actor.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/testing/comes_true.hpp"

namespace inboxes_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

const auto n1 = test::node_named("n1");
const auto n2 = test::node_named("n2");

/// What an agent that can be stopped has got.
struct seen {
  void go_on() {
    if (!std::exchange(is_open, true))
      opened.set_value();
  }

  std::promise<void> opened;
  bool is_open = false;
  std::shared_future<void> open = opened.get_future().share();
  std::atomic<std::uint64_t> count{0};
  /// Numbers that came behind a higher one.
  std::atomic<std::uint64_t> disorder{0};
  std::uint64_t last = 0;
};

struct live_inboxes : test::live_system<caf::id_block::troupe_router> {
  router_options options;
  caf::scoped_actor self{sys};
  std::vector<caf::actor> agents;
  std::vector<std::shared_ptr<seen>> slow_ones;
  router_access here{sys, n1, options, {[](const node_id&) {}, [](const agent_id&) {}}};
  router_access there{sys, n2, options, {[](const node_id&) {}, [](const agent_id&) {}}};

  explicit live_inboxes(const router_options& given = {}) : options(given) {
    link(here, n2, there);
    link(there, n1, here);
  }

  ~live_inboxes() {
    for (auto& each : slow_ones)
      each->go_on();
    for (auto& each : agents)
      caf::anon_send_exit(each, caf::exit_reason::kill);
    for (auto* each : {&here, &there})
      caf::anon_send_exit(each->handle(), caf::exit_reason::user_shutdown);
  }

  static void link(const router_access& from, const node_id& node, const router_access& to) {
    to.answer_over(1, caf::actor_cast<caf::strong_actor_ptr>(from.handle()));
    from.run([node, entry = caf::actor_cast<caf::strong_actor_ptr>(to.handle())](
               router_state& state) { state.link_up(node, 1, entry); });
  }

  template <class Job>
  auto on(const router_access& where, Job job) {
    std::promise<decltype(job(std::declval<router_state&>()))> result;
    where.run([&](router_state& state) { result.set_value(job(state)); });
    return result.get_future().get();
  }

  router_statistics statistics(const router_access& where) {
    return on(where, [](router_state& state) { return state.statistics(); });
  }

  void add(const router_access& where, const std::string& id, const caf::actor& agent,
           const inbox_options& how = {}) {
    agents.push_back(agent);
    auto handle = caf::actor_cast<caf::strong_actor_ptr>(agent);
    REQUIRE(
      on(where, [=](router_state& state) { return state.add_agent(id, handle, false, how); }).code
      == errc::none);
    REQUIRE(on(here, [=, node = &where == &here ? n1 : n2](router_state& state) {
      state.places().put({id, node});
      return true;
    }));
  }

  /// Adds an agent that stands still with its first message until it may go on.
  std::shared_ptr<seen> add_slow(const router_access& where, const std::string& id,
                                 const inbox_options& how = {}) {
    auto all = slow_ones.emplace_back(std::make_shared<seen>());
    add(where, id, sys.spawn([all]() -> caf::behavior {
      return {[all](std::uint64_t number) {
        all->open.wait();
        ++all->count;
        if (number < std::exchange(all->last, number))
          ++all->disorder;
        return number;
      }};
    }),
        how);
    return all;
  }

  errc send(const std::string& agent, std::uint64_t number) const {
    return here.send(to_agent(agent), caf::make_message(number)).code;
  }

  auto ask(const std::string& agent, std::uint64_t number, duration ttl = 1h) {
    dispatch what{to_agent(agent), {}, 20s, caf::make_message(number)};
    what.how.ttl = ttl;
    return self->request(here.handle(), 30s, std::move(what));
  }

  /// Waits for room as long as for the answer.
  auto ask_patiently(const std::string& agent, std::uint64_t number, duration timeout,
                     message_priority priority = message_priority::normal) {
    dispatch what{to_agent(agent), {}, timeout, caf::make_message(number)};
    what.how.wait_for_room = true;
    what.how.priority = priority;
    return self->request(here.handle(), 30s, std::move(what));
  }

  template <class Pending>
  static std::string answer_to(Pending pending) {
    std::string result;
    pending.receive([&](std::uint64_t number) { result = std::to_string(number); },
                    [&](const caf::error& why) { result = name_of(to_problem(why).code); });
    return result;
  }

  /// Until the router of `here` has done all that it was told.
  void settle() {
    statistics(here);
  }
};

/// Few messages wait for a link.
struct narrow_inboxes : live_inboxes {
  narrow_inboxes() : live_inboxes{{.max_waiting_bytes = 512U << 10U}} {}
};

/// Few messages wait for room.
struct few_pending : live_inboxes {
  few_pending() : live_inboxes{{.max_pending = 20}} {}
};

constexpr std::uint64_t held = router::detail::agent_table::inbox::max_held;

} // namespace

TEST_CASE_METHOD(narrow_inboxes,
                 "what waits for a slow agent is bounded, whoever sends more is told, and others "
                 "get theirs",
                 "[router]") {
  auto& where = GENERATE(0, 1) == 0 ? here : there;
  constexpr std::uint64_t most = 5'000; // four times that is more than waits for a link
  auto slow = add_slow(where, "slow", {.max_messages = most});
  auto quick = add_slow(where, "quick");
  quick->go_on();
  std::uint64_t taken = 0;
  std::uint64_t refused = 0;
  // Those elsewhere are told with a word over the link.
  while (refused < 100 && taken < 10 * most)
    ++(send("slow", taken) == errc::none ? taken : refused);
  CHECK(refused == 100);
  CHECK(taken >= most);
  CHECK(testing::comes_true([&] { return &where == &here || statistics(here).waiting == 0; }));
  CHECK(testing::comes_true([&] { // the word may be on its way yet
    if (send("slow", taken) != errc::none)
      return true;
    ++taken;
    return false;
  }));
  CHECK(answer_to(ask("slow", 1)) == "limit_reached");
  CHECK(answer_to(ask("quick", 7)) == "7");
  for (std::uint64_t each = 0; each < 1'000; ++each)
    REQUIRE(send("quick", each) == errc::none);
  CHECK(testing::comes_true([&] { return quick->count == 1'001; }));
  slow->go_on();
  // Where the word comes late, what is beyond four times the bound is only counted there.
  auto lost = [&] { return &where == &here ? 0 : statistics(there).refused; };
  CHECK(testing::comes_true([&] { return slow->count + lost() == taken; }));
  CHECK(slow->disorder == 0);
  CHECK(testing::comes_true([&] { return send("slow", taken) == errc::none; })); // again
  CHECK(testing::comes_true([&] { return statistics(where).waiting == 0; }));
  CHECK(statistics(where).waiting_bytes == 0);
}

TEST_CASE_METHOD(live_inboxes,
                 "few messages, one after the other, to a full agent of another node are refused "
                 "as soon as it is full",
                 "[router]") {
  constexpr std::uint64_t most = 20;
  auto slow = add_slow(there, "slow", {.max_messages = most});
  std::uint64_t taken = 0;
  while (taken < 10 * held && send("slow", taken) == errc::none) {
    ++taken;
    for (auto each = 0; each < 3; ++each)
      settle(); // it has come, and the word
  }
  CHECK(taken == held + most);
  slow->go_on();
  CHECK(testing::comes_true([&] { return slow->count == taken; }));
  CHECK(testing::comes_true([&] { return send("slow", taken) == errc::none; }));
}

TEST_CASE_METHOD(live_inboxes,
                 "who waits for room for its messages gets them to a full agent in line, or hears "
                 "in its own time that there was none",
                 "[router]") {
  auto& where = GENERATE(0, 1) == 0 ? here : there;
  auto slow = add_slow(where, "slow", {.max_messages = 20});
  auto to_slow = [&](std::uint64_t number) { return caf::make_message(number); };
  // Large enough for words over the link.
  CHECK(testing::comes_true(
    [&] { return here.send(to_agent("slow"), to_slow(0)).code == errc::limit_reached; }));
  CHECK(testing::comes_true([&] { return answer_to(ask("slow", 0, 1s)) == "limit_reached"; }));
  std::vector<decltype(ask("slow", 0))> asked;
  for (std::uint64_t each = 1; each <= 100; ++each)
    asked.push_back(ask_patiently("slow", each, 20s));
  CHECK(answer_to(ask_patiently("slow", 101, 20ms)) == "limit_reached");
  CHECK(statistics(here).waiting >= 100);
  slow->go_on();
  for (std::uint64_t each = 1; each <= 100; ++each)
    CHECK(answer_to(std::move(asked[each - 1])) == std::to_string(each));
  CHECK(slow->disorder == 0);
  CHECK(testing::comes_true([&] { return statistics(here).waiting == 0; }));
  CHECK(statistics(here).waiting_bytes == 0);
}

TEST_CASE_METHOD(live_inboxes, "a critical request does not wait behind those that wait for room",
                 "[router]") {
  auto& where = GENERATE(0, 1) == 0 ? here : there;
  auto slow = add_slow(where, "slow", {.max_messages = 20});
  CHECK(testing::comes_true([&] { return send("slow", 0) == errc::limit_reached; }));
  CHECK(testing::comes_true([&] { return answer_to(ask("slow", 0, 1s)) == "limit_reached"; }));
  std::vector<decltype(ask("slow", 0))> asked;
  for (std::uint64_t each = 1; each <= 50; ++each)
    asked.push_back(ask_patiently("slow", each, 20s));
  settle();
  asked.push_back(ask_patiently("slow", 1'000, 20s, message_priority::critical));
  settle();
  slow->go_on();
  for (auto& each : asked)
    CHECK(answer_to(std::move(each)) != "limit_reached");
  CHECK(slow->disorder == 1); // of the 50 some came after it
}

TEST_CASE_METHOD(live_inboxes,
                 "whoever waits for room hears at once that the node stops, or that the life of "
                 "the message is over",
                 "[router]") {
  auto& where = GENERATE(0, 1) == 0 ? here : there;
  add_slow(where, "slow", {.max_messages = 20});
  CHECK(testing::comes_true([&] { return send("slow", 0) == errc::limit_reached; }));
  const auto in_inbox = &where == &here ? 20U : 0U;
  CHECK(testing::comes_true([&] { return statistics(here).waiting == in_inbox; }));
  dispatch brief{to_agent("slow"), {}, 20s, caf::make_message(std::uint64_t{1})};
  brief.how = {.ttl = 200ms, .wait_for_room = true};
  CHECK(answer_to(self->request(here.handle(), 30s, std::move(brief))) == "expired");
  auto asked = ask_patiently("slow", 2, 20s);
  CHECK(testing::comes_true([&] { return statistics(here).waiting == in_inbox + 1; }));
  caf::anon_send_exit(here.handle(), caf::exit_reason::user_shutdown);
  CHECK(answer_to(std::move(asked)) == "cancelled");
}

TEST_CASE_METHOD(few_pending, "how many wait for room at a node is bounded", "[router]") {
  add_slow(here, "slow", {.max_messages = 20});
  CHECK(testing::comes_true([&] { return send("slow", 0) == errc::limit_reached; }));
  const auto before = statistics(here);
  std::vector<decltype(ask("slow", 0))> asked;
  for (std::uint64_t each = 0; each < 10; ++each) // who sends may have half of what is left
    asked.push_back(ask_patiently("slow", each, 20s));
  CHECK(testing::comes_true([&] { return statistics(here).waiting == before.waiting + 10; }));
  CHECK(statistics(here).waiting_bytes > before.waiting_bytes);
  problem why;
  ask_patiently("slow", 10, 20s)
    .receive([](std::uint64_t) {}, [&](const caf::error& said) { why = to_problem(said); });
  CHECK(why.code == errc::limit_reached);
  CHECK(why.detail.find("10 messages wait for room at this node") == 0);
  CHECK(statistics(here).waiting == before.waiting + 10);
}

TEST_CASE_METHOD(live_inboxes,
                 "whoever waits for room is not refused, however many are sent at once",
                 "[router]") {
  auto& where = GENERATE(0, 1) == 0 ? here : there;
  auto slow = add_slow(where, "slow", {.max_messages = 20});
  slow->go_on();
  std::vector<decltype(ask("slow", 0))> asked;
  for (std::uint64_t each = 1; each <= 1'000; ++each)
    asked.push_back(ask_patiently("slow", each, 20s));
  for (std::uint64_t each = 1; each <= 1'000; ++each)
    CHECK(answer_to(std::move(asked[each - 1])) == std::to_string(each));
  CHECK(slow->disorder == 0);
  CHECK(statistics(there).refused == 0);
}

TEST_CASE_METHOD(live_inboxes, "a wish to wait for room is refused where nothing waits",
                 "[router]") {
  add_slow(there, "slow")->go_on();
  const message_options how{.wait_for_room = true};
  auto why = here.send(to_agent("slow"), caf::make_message(1), how);
  CHECK(why.code == errc::bad_argument);
  CHECK(why.detail.find("message_options::wait_for_room") == 0);
  for (auto& to : {to_all("work"), to_group("all"), to_everyone()}) {
    CHECK(here.send(to, caf::make_message(1), how).code == errc::bad_argument);
    dispatch what{to, {}, 20s, caf::make_message(1)};
    what.how = how;
    CHECK(answer_to(self->request(here.handle(), 30s, std::move(what))) == "bad_argument");
  }
  CHECK(answer_to(ask_patiently("slow", 7, 20s)) == "7");
}

TEST_CASE_METHOD(live_inboxes, "work for any of several agents waits for room as well",
                 "[router]") {
  auto slow = add_slow(here, "slow", {.max_messages = 20});
  on(here, [](router_state& state) {
    state.places().put({"slow", n1, {"work"}});
    return true;
  });
  CHECK(testing::comes_true([&] { return send("slow", 0) == errc::limit_reached; }));
  dispatch what{to_any("work"), {}, 20s, caf::make_message(std::uint64_t{7})};
  what.how.wait_for_room = true;
  auto asked = self->request(here.handle(), 30s, std::move(what));
  CHECK(testing::comes_true([&] { return statistics(here).waiting > 20; }));
  slow->go_on();
  CHECK(answer_to(std::move(asked)) == "7");
}

TEST_CASE_METHOD(live_inboxes, "an inbox that could hold nothing is refused", "[router]") {
  auto agent = sys.spawn([]() -> caf::behavior { return {[](int) {}}; });
  agents.push_back(agent);
  auto handle = caf::actor_cast<caf::strong_actor_ptr>(agent);
  for (auto& how : {inbox_options{.max_messages = 0}, inbox_options{.max_bytes = 0}}) {
    auto why
      = on(here, [&](router_state& state) { return state.add_agent("a", handle, false, how); });
    CHECK(why.code == errc::bad_argument);
    CHECK(why.detail.find("inbox_options::max_") == 0);
  }
  CHECK(statistics(here).agents == 0);
}

TEST_CASE_METHOD(live_inboxes,
                 "whoever waits for room does not wait for the answer to a question that was lost "
                 "with its link",
                 "[router]") {
  add_slow(there, "slow")->go_on();
  auto deaf = sys.spawn([](caf::event_based_actor* me) -> caf::behavior {
    me->set_default_handler(caf::skip);
    return {[](int) {}};
  });
  agents.push_back(deaf);
  auto replace_link = [&](std::uint64_t number, const caf::actor& by) {
    here.run([number, entry = caf::actor_cast<caf::strong_actor_ptr>(by)](router_state& state) {
      state.link_down(n2, number - 1);
      state.link_up(n2, number, entry);
    });
  };
  replace_link(2, deaf);
  auto asked = ask_patiently("slow", 1, 5s);
  settle();
  replace_link(3, there.handle());
  CHECK(answer_to(std::move(asked)) == "1");
}

TEST_CASE_METHOD(live_inboxes, "bytes that wait for a slow agent are bounded", "[router]") {
  auto& where = GENERATE(0, 1) == 0 ? here : there;
  std::promise<void> opened;
  auto open = opened.get_future().share();
  std::atomic<std::uint64_t> count{0};
  add(where, "slow", sys.spawn([open, &count]() -> caf::behavior {
    return {[open, &count](const std::string&) {
      open.wait();
      ++count;
    }};
  }));
  const auto text = caf::make_message(std::string(50'000, 'x'));
  std::uint64_t taken = 0;
  while (taken < 2'000 && here.send(to_agent("slow"), text).code == errc::none)
    ++taken;
  CHECK(taken >= (4U << 20U) / 50'000);
  CHECK(taken < 600); // what waits, what the link holds, and what the agent does
  opened.set_value();
  CHECK(testing::comes_true([&] { return count == taken; }));
}

TEST_CASE_METHOD(live_inboxes, "where the oldest messages give way, the latest arrive",
                 "[router]") {
  auto& where = GENERATE(0, 1) == 0 ? here : there;
  constexpr std::uint64_t most = 50;
  auto slow = add_slow(where, "slow", {.max_messages = most, .full = when_full::drop_oldest});
  std::vector<decltype(ask("slow", 0))> asked;
  for (std::uint64_t each = 1; each <= 1'000; ++each)
    asked.push_back(ask("slow", each));
  CHECK(testing::comes_true([&] { return statistics(where).refused == 1'000 - held - most; }));
  slow->go_on();
  for (std::uint64_t each = 1; each <= 1'000; ++each) {
    auto answer = answer_to(std::move(asked[each - 1]));
    auto stays = each <= held || each > 1'000 - most;
    CHECK(answer == (stays ? std::to_string(each) : "limit_reached"));
  }
}

TEST_CASE_METHOD(live_inboxes, "what waits for an agent that ends is told, and counted",
                 "[router]") {
  auto& where = GENERATE(0, 1) == 0 ? here : there;
  auto slow = add_slow(where, "slow");
  for (std::uint64_t each = 0; each < held; ++each)
    REQUIRE(send("slow", each) == errc::none);
  auto asked = ask("slow", 1);
  REQUIRE(send("slow", 2) == errc::none);
  CHECK(testing::comes_true([&] { return statistics(where).waiting == 2; }));
  SECTION("by itself") {
    kill_next(caf::actor_cast<caf::strong_actor_ptr>(agents.front()));
    slow->go_on();
  }
  SECTION("as it is removed") {
    CHECK(on(where, [](router_state& state) { return state.remove_agent("slow") != nullptr; }));
  }
  CHECK(answer_to(std::move(asked)) == "not_found");
  CHECK(testing::comes_true([&] { return statistics(where).unknown >= 2; }));
  CHECK(statistics(where).waiting == 0);
}

TEST_CASE_METHOD(live_inboxes,
                 "a message that expires while it waits for its agent is not handed to it",
                 "[router]") {
  auto& where = GENERATE(0, 1) == 0 ? here : there;
  auto slow = add_slow(where, "slow");
  for (std::uint64_t each = 0; each < held; ++each)
    REQUIRE(send("slow", each) == errc::none);
  constexpr auto life = 1s; // longer than the way to the inbox
  auto asked = ask("slow", 1, life);
  auto other = ask("slow", 2);
  CHECK(testing::comes_true([&] { return statistics(where).waiting == 2; }));
  // A life is counted on from where the message is: it is over one life after it came, at the
  // latest.
  auto over_at = std::chrono::steady_clock::now() + life;
  std::this_thread::sleep_until(over_at + 5ms); // the time of the message, not of the test
  slow->go_on();
  CHECK(answer_to(std::move(asked)) == "expired");
  CHECK(answer_to(std::move(other)) == "2");
  CHECK(slow->count == held + 1);
}

TEST_CASE_METHOD(live_inboxes,
                 "messages of the highest priority come to an agent whose inbox is full, and are "
                 "bounded",
                 "[router]") {
  auto& where = GENERATE(0, 1) == 0 ? here : there;
  constexpr std::uint64_t most = 100;
  auto slow = add_slow(where, "slow", {.max_messages = most});
  std::uint64_t sent = 0;
  REQUIRE(testing::comes_true([&] { // those elsewhere are told with a word over the link
    if (send("slow", 1) == errc::none)
      ++sent;
    return statistics(where).waiting >= most && send("slow", 1) == errc::limit_reached;
  }));
  dispatch what{to_agent("slow"), {}, 20s, caf::make_message(std::uint64_t{7})};
  what.how.priority = message_priority::critical;
  what.how.wait_for_room = GENERATE(false, true);
  auto asked = self->request(here.handle(), 30s, std::move(what));
  std::uint64_t taken = 0;
  REQUIRE(testing::comes_true([&] {
    auto why = here.send(to_agent("slow"), caf::make_message(std::uint64_t{2}),
                         {.priority = message_priority::critical});
    taken += why ? 0 : 1;
    return why.code == errc::limit_reached || statistics(there).refused > 0;
  }));
  CHECK(taken > most);
  slow->go_on();
  CHECK(answer_to(std::move(asked)) == "7");
  auto lost = [&] { return &where == &here ? 0 : statistics(there).refused; };
  CHECK(testing::comes_true([&] { return slow->count + lost() == sent + taken + 1; }));
}

TEST_CASE_METHOD(live_inboxes, "of what waits for an agent the highest priority goes first",
                 "[router]") {
  auto& where = GENERATE(0, 1) == 0 ? here : there;
  auto slow = add_slow(where, "slow");
  for (std::uint64_t each = 0; each < held; ++each)
    REQUIRE(send("slow", each) == errc::none);
  auto number = held + 4;
  for (auto each : {message_priority::low, message_priority::normal, message_priority::high,
                    message_priority::critical}) {
    dispatch what{to_agent("slow"), {}, 20s, caf::make_message(--number)};
    what.how.priority = each;
    self->send(here.handle(), std::move(what));
  }
  CHECK(testing::comes_true([&] { return statistics(where).waiting == 4; }));
  slow->go_on();
  CHECK(testing::comes_true([&] { return slow->count == held + 4; }));
  CHECK(slow->disorder == 0);
}

TEST_CASE_METHOD(live_inboxes, "one tenant that floods a slow agent leaves others room",
                 "[router]") {
  constexpr std::size_t most = 100;
  auto slow = add_slow(here, "slow", {.max_messages = most});
  auto send_of = [&](const std::string& tenant, std::size_t count) {
    for (std::uint64_t each = 0; each < count; ++each) {
      dispatch what{to_agent("slow"), {}, 20s, caf::make_message(each)};
      what.how.tenant = tenant;
      self->send(here.handle(), std::move(what));
    }
  };
  send_of("flood", 600);
  CHECK(testing::comes_true([&] {
    auto now = statistics(here);
    return now.waiting == most / 4 * 3 && now.refused == 600 - held - now.waiting;
  }));
  auto before = statistics(here).refused;
  send_of("small", most / 10);
  CHECK(testing::comes_true([&] { return statistics(here).waiting == most / 4 * 3 + most / 10; }));
  CHECK(statistics(here).refused == before);
  slow->go_on();
  CHECK(testing::comes_true([&] { return slow->count == held + most / 4 * 3 + most / 10; }));
}

TEST_CASE_METHOD(live_inboxes, "tenants take turns at a slow agent", "[router]") {
  auto& where = GENERATE(0, 1) == 0 ? here : there;
  struct seen_of {
    std::shared_future<void> open;
    std::mutex mutex;
    std::vector<std::string> tenants;
  };
  std::promise<void> open;
  auto all = std::make_shared<seen_of>();
  all->open = open.get_future();
  add(where, "slow", sys.spawn([all]() -> caf::behavior {
    return {[all](const std::string& tenant) {
      all->open.wait();
      std::lock_guard guard{all->mutex};
      all->tenants.push_back(tenant);
    }};
  }),
      {.max_messages = 1'000, .tenants = {{"small", 2}}});
  auto send_of = [&](const std::string& tenant) {
    dispatch what{to_agent("slow"), {}, 20s, caf::make_message(tenant)};
    what.how.tenant = tenant;
    self->send(here.handle(), std::move(what));
  };
  for (std::size_t each = 0; each < 600; ++each)
    send_of("flood");
  for (std::size_t each = 0; each < 100; ++each)
    send_of("small");
  CHECK(testing::comes_true([&] { return statistics(where).waiting >= 700 - held - 1; }));
  open.set_value();
  CHECK(testing::comes_true([&] {
    std::lock_guard guard{all->mutex};
    return all->tenants.size() == 700;
  }));
  std::lock_guard guard{all->mutex};
  auto last = std::find(all->tenants.rbegin(), all->tenants.rend(), "small");
  auto before = static_cast<std::size_t>(all->tenants.rend() - last);
  CHECK(before <= held + 1 + 100 + 50); // what the mailbox held, and two of three from there on
}

TEST_CASE_METHOD(live_inboxes, "an agent that answers late gets all requests, not just few",
                 "[router]") {
  auto& where = GENERATE(0, 1) == 0 ? here : there;
  struct late {
    std::vector<caf::response_promise> open;
  };

  add(where, "late", sys.spawn([](caf::event_based_actor* me) -> caf::behavior {
    auto all = std::make_shared<late>();
    return {[me, all](std::uint64_t number) -> caf::result<std::uint64_t> {
      all->open.push_back(me->make_response_promise());
      if (number == 2 * held)
        for (auto& each : std::exchange(all->open, {}))
          each.deliver(number);
      return caf::delegated<std::uint64_t>{};
    }};
  }));
  std::vector<decltype(ask("late", 0))> asked;
  for (std::uint64_t each = 0; each <= 2 * held; ++each)
    asked.push_back(ask("late", each));
  for (auto& each : asked)
    CHECK(answer_to(std::move(each)) == std::to_string(2 * held));
}

TEST_CASE_METHOD(live_inboxes, "an actor that answers no signs gets all at once", "[router]") {
  caf::scoped_actor blocking{sys};
  add(here, "blocking", caf::actor_cast<caf::actor>(blocking));
  for (std::uint64_t each = 0; each < 3 * held; ++each)
    REQUIRE(send("blocking", each) == errc::none);
  settle();
  std::uint64_t count = 0;
  blocking->receive_while([&] { return count < 3 * held; })(
    [&](std::uint64_t number) { CHECK(number == count++); });
  agents.clear();
}

} // namespace inboxes_test
