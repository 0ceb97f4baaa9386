// What is said of a message, from its sender to the agent: see router/message_options.hpp.

#include "router/named_nodes.hpp"
#include "support/services.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "caf/binary_deserializer.hpp"
#include "caf/binary_serializer.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"
#include "troupe/node/agent_functions.hpp"
#include "troupe/router/router_access.hpp"
#include "troupe/router/router_client.hpp"
#include "troupe/router/router_service.hpp"

namespace message_terms_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

const auto n1 = test::node_named("n1");
const auto n2 = test::node_named("n2");
constexpr boot_number boot = 5;

message_options all_said() {
  return {.ttl = 1h,
          .priority = message_priority::critical,
          .type = "order",
          .correlation = "17",
          .reply_to = "desk",
          .tenant = "acme",
          .traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"};
}

wall_time calendar() {
  return wall_time{caf::make_timestamp().time_since_epoch()};
}

message_info::moment now() {
  return std::chrono::steady_clock::now();
}

/// What agents have got, in its order, for the thread of a test.
class heard_messages {
public:
  void push(message_info info, std::string text) {
    std::lock_guard guard{mutex_};
    all_.emplace_back(std::move(info), std::move(text));
    came_.notify_one();
  }

  std::pair<message_info, std::string> next() {
    std::unique_lock guard{mutex_};
    if (!came_.wait_for(guard, 10s, [this] { return !all_.empty(); }))
      return {{}, "nothing came"};
    auto result = std::move(all_.front());
    all_.pop_front();
    return result;
  }

private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<std::pair<message_info, std::string>> all_;
};

/// The routers of n1 and n2, without a link; agent "near" is on n1, "far" on n2, both in the group
/// "team". They keep what they get and answer with it.
struct two_routers : test::live_system<caf::id_block::troupe_router> {
  std::shared_ptr<heard_messages> heard = std::make_shared<heard_messages>();
  router_access here{sys, n1, {}, {[](const node_id&) {}, [](const agent_id&) {}}, {}, {}, boot};
  router_access there{sys, n2,
                      {},  {[](const node_id&) {}, [](const agent_id&) {}},
                      {},  [](const caf::strong_actor_ptr&) { return link_peer{n1, true, true}; },
                      9};
  router_client program{sys, here.handle()};
  std::vector<caf::actor> agents;

  template <class Job>
  static auto on(const router_access& where, Job job) {
    using value = decltype(job(std::declval<router_state&>()));
    auto promise = std::make_shared<std::promise<value>>();
    where.run([promise, job](router_state& state) { promise->set_value(job(state)); });
    return promise->get_future().get();
  }

  two_routers() {
    add(here, "near");
    add(there, "far");
    on(here, [](router_state& state) {
      state.places().put({"near", n1, {}, {"team"}});
      state.places().put({"far", n2, {}, {"team"}});
      return true;
    });
  }

  ~two_routers() {
    program.stop();
    for (auto& each : agents)
      caf::anon_send_exit(each, caf::exit_reason::kill);
    for (auto* each : {&here, &there})
      caf::anon_send_exit(each->handle(), caf::exit_reason::user_shutdown);
  }

  void add(const router_access& where, const std::string& id) {
    auto made = sys.spawn([id, all = heard](caf::event_based_actor* self) -> caf::behavior {
      return troupe::detail::agent_behavior(
        std::make_shared<agent_context>(self, id, [](const problem&) {}),
        [all](const message_info& info, const std::string& text) {
          all->push(info, text);
          return text;
        });
    });
    agents.push_back(made);
    auto handle = caf::actor_cast<caf::strong_actor_ptr>(made);
    REQUIRE(on(where, [=](router_state& state) { return state.add_agent(id, handle, true); }).code
            == errc::none);
  }

  void link() {
    there.answer_over(1, caf::actor_cast<caf::strong_actor_ptr>(here.handle()));
    here.run([entry = caf::actor_cast<caf::strong_actor_ptr>(there.handle())](router_state& state) {
      state.link_up(n2, 1, entry);
    });
  }

  static std::uint64_t expired_at(const router_access& where) {
    return on(where, [](router_state& state) { return state.statistics().expired; });
  }

  /// What becomes of a request.
  errc outcome(const std::string& agent, const message_options& how, duration wait = 10s) {
    return program.request<std::string>(to_agent(agent), wait, how, "x"s).error_or().code;
  }

  /// Sends a bundle of these bytes to n2, as n1 does. Returns what becomes of the request 77 in it.
  errc deliver(const std::string& content) {
    caf::byte_buffer bytes;
    caf::binary_serializer sink{nullptr, bytes};
    auto* first = reinterpret_cast<const compat::byte*>(content.data());
    REQUIRE(sink.begin_sequence(content.size()));
    bytes.insert(bytes.end(), first, first + content.size());
    caf::binary_deserializer source{nullptr, bytes};
    bundle came;
    REQUIRE(source.apply(came));
    auto answer = std::make_shared<std::promise<errc>>();
    auto asks
      = sys.spawn([answer, came, to = there.handle()](caf::event_based_actor* self) mutable {
          auto id = caf::message_id{77}.with_normal_priority();
          compat::when_answered(self, id, [answer](const caf::message& said) {
            answer->set_value(said.match_elements<caf::error>()
                                ? to_problem(said.get_as<caf::error>(0)).code
                                : errc::none);
          });
          caf::actor_cast<caf::strong_actor_ptr>(to)->enqueue(
            self->ctrl(), caf::make_message_id(), caf::make_message(std::move(came)), nullptr);
          return caf::behavior{[](caf::ok_atom) {}};
        });
    agents.push_back(asks);
    return answer->get_future().get();
  }
};

/// The bytes of a letter to "far" with this header.
std::string letter_with(const message_header& header, const std::string& text) {
  encoder sink{encoder::without_absent_end{}};
  sink.put(header);
  caf::byte_buffer payload;
  caf::binary_serializer inner{nullptr, payload};
  REQUIRE(inner.apply(caf::make_message(text)));
  caf::byte_buffer size;
  caf::binary_serializer before{nullptr, size};
  REQUIRE(before.value(static_cast<std::uint32_t>(payload.size())));
  size.insert(size.end(), payload.begin(), payload.end());
  return std::string{sink.bytes()}
         + std::string{reinterpret_cast<const char*>(size.data()), size.size()};
}

message_header request_to_far() {
  message_header asks{"far"};
  asks.wanted = static_cast<std::uint8_t>(word::answer);
  asks.request = 77;
  asks.deadline = 20s;
  return asks;
}

/// Of a bundle: this letter between two others.
std::string among_others(const message_header& header, const bundle_header& shared = {}) {
  encoder sink{encoder::without_absent_end{}};
  sink.put(shared);
  message_header other{"far"};
  return sink.take() + letter_with(other, "before") + letter_with(header, "this one")
         + letter_with(other, "behind");
}

} // namespace

TEST_CASE_METHOD(two_routers, "an agent sees what was said of a message, wherever it is",
                 "[router]") {
  link();
  std::uint64_t last = 0;
  for (auto& agent : {"near"s, "far"s}) {
    INFO(agent);
    auto before = calendar();
    auto begun = now();
    REQUIRE(program.request<std::string>(to_agent(agent), 10s, all_said(), "x"s).value() == "x");
    auto [info, text] = heard->next();
    CHECK(info.node == n1);
    CHECK(info.id.node == n1);
    CHECK(info.id.boot == boot);
    CHECK(info.id.number > last);
    last = info.id.number;
    CHECK(info.sent_at >= before);
    CHECK(info.sent_at <= calendar());
    CHECK(info.priority == message_priority::critical);
    CHECK(info.type == "order");
    CHECK(info.correlation == "17");
    CHECK(info.reply_to == "desk");
    CHECK(info.tenant == "acme");
    CHECK(info.traceparent == all_said().traceparent);
    REQUIRE(info.expires_at);
    CHECK(*info.expires_at >= begun + 1h);
    CHECK(*info.expires_at <= now() + 1h);
    REQUIRE(info.deadline);
    CHECK(*info.deadline >= begun + 10s);
    CHECK(*info.deadline <= now() + 10s);

    REQUIRE(here.send(to_agent(agent), caf::make_message("y"s), all_said()).code == errc::none);
    std::tie(info, text) = heard->next();
    CHECK(text == "y");
    CHECK(info.tenant == "acme");
    CHECK(info.id.number > last);
    last = info.id.number;
    CHECK(info.expires_at);
    CHECK_FALSE(info.deadline);

    REQUIRE(here.send(to_agent(agent), caf::make_message("z"s)).code == errc::none);
    std::tie(info, text) = heard->next();
    CHECK(info.id.number > last);
    last = info.id.number;
    CHECK(info.sent_at >= before);
    CHECK(info.priority == message_priority::normal);
    CHECK(info.type == "std::string");
    CHECK(info.tenant.empty());
    CHECK_FALSE(info.expires_at);

    REQUIRE(program.post(to_agent(agent), 10s, all_said(), "p"s));
    std::tie(info, text) = heard->next();
    CHECK(info.tenant == "acme");
    CHECK_FALSE(info.deadline); // the receipt is not the agent's to give
    last = info.id.number;
  }
}

TEST_CASE_METHOD(two_routers, "all recipients of a message see one id", "[router]") {
  link();
  CHECK(program.broadcast(to_group("team"), all_said(), "x"s).value() == send_report{2});
  auto first = heard->next().first;
  auto second = heard->next().first;
  CHECK(first.id.number != 0);
  CHECK(first.id == second.id);
  CHECK(first.correlation == "17");
  CHECK(second.correlation == "17");
  program.send(to_group("team"), {.tenant = "acme"}, "y"s);
  CHECK(heard->next().first.id > first.id);
  CHECK(heard->next().first.tenant == "acme");
}

TEST_CASE_METHOD(two_routers, "a message with a ttl of zero or less has expired at once",
                 "[router]") {
  link();
  for (auto ttl : {0ns, -1ns, duration::min()}) {
    message_options how{.ttl = ttl};
    for (auto& agent : {"near"s, "far"s}) {
      CHECK(outcome(agent, how) == errc::expired);
      CHECK(program.post(to_agent(agent), 10s, how, "x"s).error_or().code == errc::expired);
      CHECK(here.send(to_agent(agent), caf::make_message("x"s), how).code == errc::expired);
    }
    CHECK(program.broadcast(to_group("team"), how, "x"s).error_or().code == errc::expired);
    CHECK(program.async_request<std::string>(to_agent("far"), 10s, how, "x"s).wait().error_or().code
          == errc::expired);
  }
  CHECK(expired_at(here) == 24);
  INFO("and nothing of it was delivered");
  REQUIRE(here.send(to_agent("far"), caf::make_message("last"s)).code == errc::none);
  CHECK(heard->next().second == "last");
}

TEST_CASE_METHOD(two_routers, "a ttl of a hundred years is one of a year", "[router]") {
  link();
  auto begun = now();
  message_options how{.ttl = 100 * 365 * 24h};
  CHECK(outcome("far", how) == errc::none);
  auto [info, text] = heard->next();
  REQUIRE(info.expires_at);
  CHECK(*info.expires_at >= begun + longest_span);
  CHECK(*info.expires_at <= now() + longest_span);
  how.ttl = duration::max();
  CHECK(outcome("far", how) == errc::none);
  CHECK(outcome("near", how) == errc::none);
}

TEST_CASE_METHOD(two_routers,
                 "a message that expires while it waits for a link is not sent, and its caller "
                 "told then",
                 "[router]") {
  constexpr auto ttl = 30ms;
  auto late = program.async_request<std::string>(to_agent("far"), 20s, {.ttl = ttl}, "late"s);
  REQUIRE(here.send(to_agent("far"), caf::make_message("late, too"s), {.ttl = ttl}).code
          == errc::none);
  auto in_time = program.async_request<std::string>(to_agent("far"), 20s, {.ttl = 1h}, "one"s);
  REQUIRE(here.send(to_agent("far"), caf::make_message("two"s)).code == errc::none);
  INFO("before there is a link");
  auto end = std::move(late).wait().error_or();
  CHECK(end.code == errc::expired);
  CHECK(end.detail.find("message_options::ttl") != std::string::npos);
  while (expired_at(here) < 2)
    std::this_thread::yield();
  while (on(here, [](router_state& state) { return state.statistics().waiting; }) < 2)
    std::this_thread::yield();
  link();
  CHECK(std::move(in_time).wait().value() == "one");
  const std::set arrived{heard->next().second, heard->next().second};
  CHECK(arrived == std::set{"one"s, "two"s});
  auto counted = on(here, [](router_state& state) { return state.statistics(); });
  CHECK(counted.expired == 2);
  CHECK(counted.forwarded == 2);
  CHECK(counted.pending == 0);
  CHECK(counted.waiting == 0);
  CHECK(counted.waiting_bytes == 0);
}

TEST_CASE_METHOD(two_routers, "what has expired on its way is not delivered, and its caller told",
                 "[router]") {
  auto asks = request_to_far();
  asks.life = 3s;
  CHECK(deliver(among_others(asks, {1, 1, {}, 3s})) == errc::expired);
  CHECK(heard->next().second == "before");
  CHECK(heard->next().second == "behind");
  CHECK(expired_at(there) == 1);
  CHECK(deliver(among_others(asks, {1, 1, {}, 2s})) == errc::none);
  CHECK(heard->next().second == "before");
  CHECK(heard->next().second == "this one");
}

TEST_CASE_METHOD(two_routers, "a node whose clock is off by years expires nothing", "[router]") {
  auto asks = request_to_far();
  asks.life = 1s;
  auto today = calendar();
  for (auto off : {-1h, 1h, -20 * 365 * 24h, 100 * 365 * 24h}) {
    CHECK(deliver(among_others(asks, {1, 1, today + off})) == errc::none);
    CHECK(heard->next().second == "before");
    auto [info, text] = heard->next();
    CHECK(text == "this one");
    CHECK(info.sent_at == today + off);
    REQUIRE(info.expires_at);
    CHECK(*info.expires_at <= now() + 1s);
    CHECK(heard->next().second == "behind");
  }
}

TEST_CASE_METHOD(two_routers, "a letter of another release is answered, and its neighbours arrive",
                 "[router]") {
  auto check_refused = [&](const message_header& odd, errc code) {
    CHECK(deliver(among_others(odd)) == code);
    CHECK(heard->next().second == "before");
    CHECK(heard->next().second == "behind");
  };
  auto damaged
    = [&] { return on(there, [](router_state& state) { return state.statistics().damaged; }); };
  auto asks = request_to_far();
  asks.delivery_class = 3;
  check_refused(asks, errc::incompatible);
  asks = request_to_far();
  asks.wanted = 9;
  check_refused(asks, errc::incompatible);
  asks = request_to_far();
  asks.correlation = std::string(1U << 20U, 'x');
  check_refused(asks, errc::bad_argument);
  CHECK(damaged() == 0);
  asks = request_to_far();
  asks.also_to = {"near"};
  check_refused(asks, errc::damaged);
  CHECK(damaged() == 1);
}

TEST_CASE_METHOD(two_routers, "names of a megabyte are refused in a short sentence", "[router]") {
  link();
  const std::string megabyte(1U << 20U, 'x');
  auto nobody = program.request<std::string>(to_agent(megabyte), 10s, "x"s).error_or();
  CHECK(nobody.code == errc::not_found);
  CHECK(nobody.detail.size() < 300);
  CHECK(here.send(to_agent(megabyte), caf::make_message("x"s)).code == errc::not_found);
  for (auto& how : {message_options{.type = megabyte}, message_options{.correlation = megabyte},
                    message_options{.reply_to = megabyte}, message_options{.tenant = megabyte},
                    message_options{.traceparent = megabyte}}) {
    auto why = program.request<std::string>(to_agent("far"), 10s, how, "x"s).error_or();
    CHECK(why.code == errc::bad_argument);
    CHECK(why.detail.size() < 300);
    CHECK(here.send(to_agent("near"), caf::make_message("x"s), how).code == errc::bad_argument);
  }
  INFO("and not believed of a sender");
  auto asks = request_to_far();
  asks.from = megabyte;
  CHECK(deliver(among_others(asks)) == errc::none);
  CHECK(heard->next().second == "before");
  auto [info, text] = heard->next();
  CHECK(text == "this one");
  CHECK(info.from.empty());
  CHECK(info.node == n1);
}

TEST_CASE_METHOD(two_routers, "a router that stands alone refuses what has expired", "[router]") {
  caf::scoped_actor self{sys};
  auto alone = sys.spawn<router_service::actor>(nullptr, router_options{});
  router_client through{sys, alone};
  CHECK(through.request<std::string>(to_agent("any"), 10s, {.ttl = 0s}, "x"s).error_or().code
        == errc::expired);
  CHECK(through.request<std::string>(to_agent("any"), 10s, {.tenant = "\n"}, "x"s).error_or().code
        == errc::bad_argument);
  CHECK(through.request<std::string>(to_agent("any"), 10s, {.ttl = 1s}, "x"s).error_or().code
        == errc::not_found);
  through.stop();
  caf::anon_send_exit(alone, caf::exit_reason::kill);
}

TEST_CASE_METHOD(two_routers, "a node reads what clients of other releases say of a message",
                 "[router][wire]") {
  auto through_caf = [](const std::string& said) {
    caf::byte_buffer bytes;
    caf::binary_serializer sink{nullptr, bytes};
    REQUIRE(sink.apply(said));
    caf::binary_deserializer source{nullptr, bytes};
    std::optional<message_options> read{std::in_place};
    if (!source.apply(*read))
      read.reset();
    return read;
  };
  encoder sink;
  sink.put(all_said());
  auto bytes = sink.take();
  CHECK(through_caf(bytes) == all_said());
  auto more = bytes + "\1\2\3";
  more.front() = static_cast<char>(more.front() + 3);
  CHECK(through_caf(more) == all_said());
  CHECK(through_caf("") == message_options{});
  CHECK(through_caf("\0\0\0\0"s) == message_options{});
  CHECK_FALSE(through_caf(bytes.substr(0, bytes.size() - 1)));
  CHECK_FALSE(through_caf("\7"));
  INFO("and of one of which nothing is said a byte is written");
  caf::byte_buffer nothing;
  caf::binary_serializer least{nullptr, nothing};
  message_options none;
  REQUIRE(least.apply(none));
  CHECK(nothing.size() == 1);
}

} // namespace message_terms_test
