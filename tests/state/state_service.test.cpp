#include "troupe/state/state_service.hpp" // the header under test
#include "support/services.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <string>
#include <vector>

using namespace std::literals;
using namespace troupe;
using namespace troupe::state;
using Catch::Matchers::ContainsSubstring;
using host::call;
using host::session_id;

namespace {

struct clocked_state : test::clocked_services<caf::id_block::troupe_state, state_service> {
  state_actor start(bool on_disk) {
    return clocked_services::start<state_service>(on_disk, "state");
  }
};

const entry_key alpha{consistency::eventual, value_type::lww_register, "alpha"};

put text(std::string_view value) {
  return {.key = alpha, .value = to_value(value)};
}

} // namespace

TEST_CASE_METHOD(clocked_state, "a question waits for those alone who are known to ask it",
                 "[state][service]") {
  auto hdl = start_on<state_service>(host::in_memory{}, {},
                                     [](const caf::strong_actor_ptr&) { return shared_node_id{}; });
  auto known = look(hdl, watch_state{}); // what does not wait is answered to anybody
  CHECK(known.complete);
  CHECK(ask(hdl, watch_state{.wait = 10s}.next(known)).error().code == errc::unreachable);
  stop(hdl);
}

TEST_CASE_METHOD(clocked_state, "one identity leaves room for the waiting questions of others",
                 "[state][service]") {
  auto asking = std::make_shared<const std::string>("ann");
  auto hdl = start_on<state_service>(host::in_memory{}, {}, [&](const caf::strong_actor_ptr& from) {
    return from ? asking : nullptr;
  });
  auto news = watch_state{.wait = 10s}.next(look(hdl, watch_state{}));
  constexpr auto all = std::size_t{10'000}; // news_desk::max_waiting
  for (std::size_t count = 0; count <= all; ++count)
    caf::anon_send(hdl, news); // from nobody
  caf::scoped_actor many{world.system()};
  for (std::size_t count = 0; count < all / 2; ++count)
    static_cast<void>(many->request(hdl, caf::infinite, news));
  world.run();
  CHECK(many->mailbox().empty());
  CHECK(ask(hdl, news).error().code == errc::limit_reached);
  asking = std::make_shared<const std::string>("bob");
  auto waiting = send(hdl, news);
  world.run();
  CHECK_FALSE(waiting.is_answered());
  stop(hdl);
}

TEST_CASE_METHOD(clocked_state, "a state service answers alike on every host", "[state][service]") {
  auto on_disk = GENERATE(false, true);
  INFO((on_disk ? "durable" : "in memory"));
  auto hdl = start(on_disk);
  auto session = *ask(hdl, host::open_session{});
  auto first = ask(hdl, call{session, 1}, text("one"));
  REQUIRE(first);
  SECTION("a refusal is a troupe::errc with a sentence") {
    auto what = text("two");
    what.expect_version = 0;
    auto refusal = ask(hdl, call{}, what);
    REQUIRE_FALSE(refusal);
    CHECK(refusal.error().code == errc::conflict);
    CHECK_THAT(refusal.error().detail, ContainsSubstring("read it again"));
  }
  SECTION("a repeat gets the answer that was given, and writes nothing") {
    REQUIRE(ask(hdl, call{session, 2}, text("two")));
    CHECK(*ask(hdl, call{session, 1}, text("one")) == *first);
    CHECK(to_text(look(hdl, get{alpha}).entries.at(0).value) == "two");
  }
  SECTION("a watch waits for news") {
    auto known = look(hdl, watch_state{.wait = 10s}); // a snapshot does not wait
    CHECK(known.complete);
    auto waiting = send(hdl, watch_state{.wait = 10s}.next(known));
    world.run();
    CHECK_FALSE(waiting.is_answered());
    REQUIRE(ask(hdl, call{}, text("two")));
    auto news = receive(waiting);
    REQUIRE(news);
    CHECK(news->changes.size() == 1);
    SECTION("and ends without, in the end") {
      auto nothing = send(hdl, watch_state{.wait = 10s}.next(*news));
      world.run();
      world.advance(10s);
      CHECK(receive(nothing)->changes.empty());
    }
  }
  SECTION("a change reaches all watchers that it concerns, and no others") {
    auto known = look(hdl, watch_state{});
    watch_state of_alpha{.scope = only(alpha), .after = known.revision, .wait = 10s};
    watch_state of_beta{.scope = {.prefix = "beta"}, .after = known.revision, .wait = 10s};
    auto other = send(hdl, of_beta);
    std::vector<decltype(send(hdl, of_alpha))> waiting;
    for (int each = 0; each < 600; ++each)
      waiting.push_back(send(hdl, of_alpha));
    world.run();
    REQUIRE(ask(hdl, call{}, text("two")));
    for (auto& each : waiting) {
      auto news = receive(each);
      REQUIRE(news);
      CHECK(news->changes.size() == 1);
    }
    CHECK_FALSE(other.is_answered());
  }
  SECTION("a watch that cannot be is refused") {
    auto waiting = send(hdl, watch_state{.scope = {.prefix = std::string(513, 'k')}, .wait = 1s});
    CHECK(receive(waiting).error().code == errc::too_large);
  }
  stop(hdl);
}

TEST_CASE_METHOD(clocked_state, "revisions of another life are above", "[state][service]") {
  auto hdl = start(false);
  auto old = ask(hdl, call{}, text("one"));
  REQUIRE(old);
  stop(hdl);
  hdl = start(false); // in memory: all is lost
  auto known = look(hdl, watch_state{.after = old->version, .wait = 10s});
  CHECK(known.complete);
  CHECK(known.revision > old->version);
  auto late = text("two");
  late.context = old->clock;
  CHECK(ask(hdl, call{}, late).error().code == errc::conflict);
  stop(hdl);
}

TEST_CASE_METHOD(clocked_state, "other nodes can spawn the state service by name",
                 "[state][service]") {
  auto hdl = start_by_name<state_actor>("troupe.state", state_options{});
  CHECK(ask(hdl, call{}, text("one")));
  stop(hdl);
}
