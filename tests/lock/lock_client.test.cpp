// What a program sees of locks: the client, the lock that renews itself, the store
// behind it.

#include "support/services.hpp"
#include "troupe/lock/auto_renew_lock.hpp"
#include "troupe/lock/fenced_store.hpp"
#include "troupe/lock/lock_service.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caf/event_based_actor.hpp"
#include "caf/response_promise.hpp"
#include "caf/send.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::lock;
using Catch::Matchers::ContainsSubstring;
using testing::comes_true;

namespace {

using live_locks = test::live_service<caf::id_block::troupe_lock, lock_service>;

} // namespace

TEST_CASE_METHOD(live_locks, "a lock is held, renewed, released and listed", "[lock][client]") {
  lock_client locks{sys, service};
  auto held = locks.acquire("db", {.ttl = 30s, .label = "ann"});
  REQUIRE(held);
  auto second = locks.acquire("db", {.ttl = 30s});
  REQUIRE_FALSE(second);
  CHECK(second.error().code == errc::lock_held);
  CHECK_THAT(second.error().detail, ContainsSubstring("ann holds db"));
  CHECK(locks.renew(*held, 60s));
  auto page = locks.list();
  REQUIRE(page);
  REQUIRE(page->locks.size() == 1);
  CHECK(page->locks[0].holders.at(0).value.label == "ann");
  CHECK(locks.release(*held));
  CHECK(locks.release(*held).error().code == errc::stale_token);
  CHECK(locks.find("db")->holders.empty());
}

TEST_CASE_METHOD(live_locks, "what is out of bounds is refused, and the service goes on",
                 "[lock][client]") {
  lock_client locks{sys, service};
  const std::string huge(1'048'576, 'n');
  const std::vector<std::pair<std::string, hold_options>> cases = {
    {huge, {}},           {std::string(256, 'n'), {}},  {"", {}},
    {"z\xfcrich", {}},    {"db", {.label = huge}},      {"db", {.ttl = 0s}},
    {"db", {.ttl = -1s}}, {"db", {.ttl = 10min + 1ns}}, {"db", {.wait = 10min + 1ns}},
  };
  for (auto& [name, how] : cases) {
    auto refused = locks.acquire(name, how);
    REQUIRE_FALSE(refused);
    INFO(refused.error().detail);
    CHECK(refused.error().code == errc::bad_argument);
    CHECK(refused.error().detail.size() < 1'000); // it does not say it all again
  }
  CHECK(locks.find(huge)->holders.empty());
  CHECK(locks.force_release(huge).error().code != errc::none);
  auto held = locks.acquire("db");
  REQUIRE(held);
  CHECK(locks.renew(*held, 0s).error().code == errc::bad_argument);
  CHECK(locks.renew(*held, 11min).error().code == errc::bad_argument);
  CHECK(locks.list()->locks.size() == 1);
}

TEST_CASE_METHOD(live_locks, "a client rides through a restart of its service", "[lock][client]") {
  lock_client locks{sys, service};
  auto first = locks.acquire("db", {.ttl = 60s});
  REQUIRE(first);
  auto second = std::async(std::launch::async,
                           [&] { return locks.acquire("db", {.ttl = 60s, .wait = 60s}); });
  REQUIRE(comes_true([&] { return locks.find("db")->line.size() == 1; }));
  stop();
  start();
  locks.service().set_target(service);
  // In line once, not twice, and the session is the same.
  REQUIRE(comes_true([&] { return locks.find("db")->line.size() == 1; }));
  REQUIRE(locks.release(*first));
  auto granted = second.get();
  REQUIRE(granted);
  CHECK(granted->token > first->token);
  CHECK(granted->service == first->service);
}

TEST_CASE_METHOD(live_locks, "a client that says nothing keeps its session", "[lock][client]") {
  auto kept = std::make_shared<std::atomic<int>>(0);
  auto listener = sys.spawn([=](caf::event_based_actor* self) -> caf::behavior {
    return {[](const host::open_session&) { return host::session_id{7}; },
            [=](const host::keep_session& what) {
              auto is_known = self->current_sender() != nullptr; // whose session it is
              *kept += is_known && what.id == host::session_id{7} ? 1 : 0;
              return what.id;
            },
            [](const host::close_session& what) { return what.id; },
            [](const host::call&, const lock::acquire&) { return lease{}; }};
  });
  host::client<lock_protocol> client{sys, {.retry = {}, .keep_every = 20ms}};
  client.set_target(caf::actor_cast<caf::strong_actor_ptr>(listener));
  REQUIRE(client.ask(lock::acquire{"db", "ann", 60s, 0s}, 20s));
  CHECK(comes_true([&] { return *kept >= 3; }));
  client.close();
  caf::anon_send_exit(listener, caf::exit_reason::user_shutdown);
}

TEST_CASE_METHOD(live_locks, "a client says when nothing was sent", "[lock][client]") {
  lock_client locks{host::client<lock_protocol>{sys}};
  auto answer = locks.service().ask(lock::acquire{"db", "ann", 1s, 0s}, 20ms);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == errc::unreachable);
}

TEST_CASE_METHOD(live_locks, "a client says when the outcome is unknown", "[lock][client]") {
  lock_client locks{sys, service};
  REQUIRE(locks.acquire("db", {.ttl = 60s}));
  // In line when its time is over: the service may grant it later.
  auto answer = locks.service().ask(lock::acquire{"db", "ann", 60s, 60s}, 50ms);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == errc::outcome_unknown);
}

TEST_CASE_METHOD(live_locks,
                 "a client that hears why its service will be away for long passes that on",
                 "[lock][client]") {
  const problem why{errc::no_quorum, "1 of 3 voters reachable"};
  lock_client locks{sys, service};
  REQUIRE(locks.acquire("db", {.ttl = 60s}));
  std::promise<errc> patient;
  auto patiently = patient.get_future();
  SECTION("at once to whoever asks, and nothing was done") {
    locks.service().set_target(caf::strong_actor_ptr{});
    locks.service().refuse(why);
    CHECK(locks.service().ask(acquire{"other", "ann", 1s, 0s}, 20s).error() == why);
    CHECK(locks.list().error() == why);
    locks.service().set_target(service);
    CHECK(locks.acquire("other", {.ttl = 1s}));
  }
  SECTION("to who waits, who may have been heard") {
    auto asked = std::async(std::launch::async, [&] {
      return locks.service().ask(acquire{"db", "ann", 60s, 60s}, 20s).error();
    });
    REQUIRE(comes_true([&] { return locks.find("db")->line.size() == 1; }));
    locks.service().refuse(why); // not while it is there
    CHECK(asked.wait_for(50ms) == std::future_status::timeout);
    locks.service().set_target(caf::strong_actor_ptr{});
    auto said = asked.get();
    CHECK(said.code == errc::outcome_unknown);
    CHECK_THAT(said.detail, ContainsSubstring("1 of 3 voters reachable"));
  }
  SECTION("not to programs that go on by themselves") {
    locks.service().set_target(caf::strong_actor_ptr{});
    locks.service().refuse(why);
    locks.service().async(acquire{"other", "ann", 1s, 0s}, 20s, [&](const auto& answer) {
      patient.set_value(answer ? errc::none : answer.error().code);
    });
    CHECK(patiently.wait_for(50ms) == std::future_status::timeout);
    locks.service().set_target(service);
    CHECK(patiently.get() == errc::none);
  }
  SECTION("until that is over") {
    locks.service().set_target(caf::strong_actor_ptr{});
    locks.service().refuse(why);
    locks.service().refuse({});
    CHECK(locks.service().ask(acquire{"other", "ann", 1s, 0s}, 20ms).error().code
          == errc::unreachable);
  }
}

TEST_CASE_METHOD(live_locks, "a session that the service forgot is replaced", "[lock][client]") {
  lock_client locks{sys, service};
  REQUIRE(locks.acquire("db", {.ttl = 60s}));
  stop();
  remove_journal();
  start();
  locks.service().set_target(service);
  auto held = locks.acquire("db", {.ttl = 60s});
  CHECK(held);
}

TEST_CASE_METHOD(live_locks, "a client that gets no session says why at once", "[lock][client]") {
  constexpr auto all = host::durable_core<lock_table>::max_sessions;
  constexpr std::size_t at_once = 250;
  caf::scoped_actor self{sys};
  auto open = [&] {
    return self->request(caf::actor_cast<caf::actor>(service), 10s, host::open_session{});
  };
  for (std::size_t opened = 0; opened < all; opened += at_once) {
    std::vector<decltype(open())> answers;
    for (std::size_t each = 0; each < at_once; ++each)
      answers.push_back(open());
    for (auto& each : answers)
      each.receive([](host::session_id) {}, [](const caf::error& why) { FAIL(to_string(why)); });
  }
  lock_client locks{sys, service};
  auto asked = std::chrono::steady_clock::now();
  auto answer = locks.service().ask(lock::acquire{"db", "ann", 1s, 0s}, 20s);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == errc::limit_reached);
  CHECK_THAT(answer.error().detail, ContainsSubstring("sessions"));
  CHECK(std::chrono::steady_clock::now() - asked < 10s); // not at its deadline
  CHECK(locks.find("db"));                               // what needs no session is answered
}

TEST_CASE_METHOD(live_locks, "a client hears at once that its service does not know a request",
                 "[lock][client]") {
  auto stranger = sys.spawn([](caf::event_based_actor* self) -> caf::behavior {
    self->set_default_handler(caf::drop);
    return {[](const host::open_session&) { return host::session_id{7}; },
            [](const host::close_session& what) { return what.id; }};
  });
  host::client<lock_protocol> client{sys};
  client.set_target(caf::actor_cast<caf::strong_actor_ptr>(stranger));
  auto asked = std::chrono::steady_clock::now();
  CHECK(client.ask(list_locks{}, 20s).error().code == errc::incompatible);
  CHECK(client.ask(lock::acquire{"db", "ann", 1s, 0s}, 20s).error().code == errc::incompatible);
  CHECK(std::chrono::steady_clock::now() - asked < 10s); // not at its deadline
  client.close();
  caf::anon_send_exit(stranger, caf::exit_reason::user_shutdown);
}

TEST_CASE_METHOD(live_locks, "a client that is closed ends its session, and waits for that",
                 "[lock][client]") {
  auto is_opening = std::make_shared<std::promise<void>>();
  auto is_ending = std::make_shared<std::promise<void>>();
  auto slow = sys.spawn([=](caf::event_based_actor* self) -> caf::behavior {
    auto opening = std::make_shared<caf::response_promise>();
    auto ending = std::make_shared<caf::response_promise>();
    return {[=](const host::open_session&) -> caf::delegated<host::session_id> {
              *opening = self->make_response_promise();
              is_opening->set_value();
              return {};
            },
            [=](caf::ok_atom) { opening->deliver(host::session_id{7}); },
            [=](const host::close_session&) -> caf::delegated<host::session_id> {
              *ending = self->make_response_promise();
              is_ending->set_value();
              return {};
            },
            [=](caf::close_atom) { ending->deliver(host::session_id{7}); },
            [](const host::call&, const lock::acquire&) { return lease{}; }};
  });
  host::client<lock_protocol> client{sys};
  client.set_target(caf::actor_cast<caf::strong_actor_ptr>(slow));
  std::promise<result<lease>> promise;
  client.async(lock::acquire{"db", "ann", 1s, 0s}, 20s,
               [&](result<lease> got) { promise.set_value(std::move(got)); });
  is_opening->get_future().wait();
  SECTION("also one that opens only then") {
    client.close();
    caf::anon_send(slow, caf::ok_atom_v);
    CHECK(promise.get_future().get().error().code == errc::withdrawn);
    CHECK(is_ending->get_future().wait_for(20s) == std::future_status::ready);
  }
  SECTION("that it has") {
    caf::anon_send(slow, caf::ok_atom_v);
    CHECK(promise.get_future().get());
    auto closing = std::async(std::launch::async, [&client] { client.close(60s); });
    REQUIRE(is_ending->get_future().wait_for(20s) == std::future_status::ready);
    CHECK(closing.wait_for(0s) == std::future_status::timeout); // the service has not answered
    caf::anon_send(slow, caf::close_atom_v);
    CHECK(closing.wait_for(20s) == std::future_status::ready);
  }
  caf::anon_send_exit(slow, caf::exit_reason::user_shutdown);
}

TEST_CASE_METHOD(live_locks, "a command that waits for long keeps no other from going on",
                 "[lock][client]") {
  lock_client others{sys, service};
  auto busy = others.acquire("busy", {.ttl = 60s});
  REQUIRE(busy);
  lock_client locks{sys, service};
  std::promise<result<lease>> promise;
  auto answer = promise.get_future();
  locks.service().async(lock::acquire{.name = "busy", .owner = "ann", .ttl = 60s, .wait = 60s}, 60s,
                        [&](result<lease> got) { promise.set_value(std::move(got)); });
  for (std::size_t each = 0; each < host::durable_core<lock_table>::max_calls; ++each) {
    auto held = locks.acquire("free", {.ttl = 60s});
    INFO(each);
    REQUIRE(held);
    REQUIRE(locks.release(*held));
  }
  CHECK(answer.wait_for(0s) != std::future_status::ready);
  REQUIRE(others.release(*busy));
  REQUIRE(answer.wait_for(20s) == std::future_status::ready);
  CHECK(answer.get());
  CHECK(locks.acquire("free", {.ttl = 60s}));
}

TEST_CASE_METHOD(live_locks, "a lock outlives its ttl while its holder lives", "[lock][client]") {
  lock_client locks{sys, service};
  lock_client others{sys, service};
  {
    // Long enough for a disk that is busy with others between two renewals.
    auto mine = auto_renew_lock::hold(sys, locks, "db", {.ttl = 1s});
    REQUIRE(mine);
    // Longer than two leases: the other is refused all the time.
    auto other = others.acquire("db", {.ttl = 10s, .wait = 2'200ms});
    REQUIRE_FALSE(other);
    CHECK(other.error().code == errc::timed_out);
    CHECK(mine->held());
  }
  CHECK(others.acquire("db", {.ttl = 10s, .wait = 10s})); // released by its end
}

TEST_CASE_METHOD(live_locks, "a holder is told that its lock is lost", "[lock][client]") {
  lock_client locks{sys, service};
  std::promise<problem> told;
  auto mine = auto_renew_lock::hold(sys, locks, "db", {.ttl = 300ms, .wait = 1s},
                                    [&](const problem& why) { told.set_value(why); });
  REQUIRE(mine);
  SECTION("when it was forced") {
    REQUIRE(locks.force_release("db"));
  }
  SECTION("when the service is out of reach for longer than the lease") {
    locks.service().set_target(caf::strong_actor_ptr{});
  }
  auto why = told.get_future();
  REQUIRE(why.wait_for(20s) == std::future_status::ready);
  CHECK(why.get().code == errc::stale_token);
  CHECK_FALSE(mine->held());
}

TEST_CASE_METHOD(live_locks, "a holder with a margin hears of its loss before others may hold",
                 "[lock][client]") {
  lock_client locks{sys, service};
  lock_client others{sys, service};
  std::promise<void> told;
  auto mine = auto_renew_lock::hold(sys, locks, "db", {.ttl = 3s, .margin = 1s},
                                    [&](const problem&) { told.set_value(); });
  REQUIRE(mine);
  locks.service().set_target(caf::strong_actor_ptr{});
  REQUIRE(told.get_future().wait_for(20s) == std::future_status::ready);
  CHECK_FALSE(mine->held());
  auto other = others.acquire("db", {.ttl = 10s});
  REQUIRE_FALSE(other);
  CHECK(other.error().code == errc::lock_held);
  INFO("a margin leaves time to renew");
  for (auto margin : {duration{-1ns}, duration{1s + 1ns}}) {
    auto refused = auto_renew_lock::hold(sys, others, "tape", {.ttl = 3s, .margin = margin});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::bad_argument);
  }
}

TEST_CASE_METHOD(live_locks, "a fenced store refuses a holder that slept too long",
                 "[lock][fence]") {
  lock_client locks{sys, service};
  // [fence]
  auto store = fenced_store::open(folder / "accounts");
  REQUIRE(store);
  REQUIRE(store->unguarded().run("CREATE TABLE notes(text TEXT)"));
  auto note = [](const std::string& text) {
    return [text](storage::database& file) -> problem {
      auto row = file.prepare("INSERT INTO notes VALUES(?)");
      return row.bind_text(1, text).run() ? problem{} : file.failed("note");
    };
  };
  auto sleepy = locks.acquire("db", {.ttl = 60s});
  REQUIRE(sleepy);
  REQUIRE(store->write(*sleepy, note("first")));
  // [fence]
  REQUIRE(locks.force_release("db")); // as if its lease had run out
  auto next = locks.acquire("db", {.ttl = 60s});
  REQUIRE(next);
  SECTION("once its successor has written") {
    REQUIRE(store->write(*next, note("second")));
    auto late = store->write(*sleepy, note("late"));
    CHECK(late.error().code == errc::stale_token);
    CHECK(store->unguarded().number("SELECT count(*) FROM notes") == 2);
  }
  SECTION("a reader may read above the mark, and never raises it") {
    REQUIRE(locks.release(*next));
    auto reader = locks.acquire("db", {.ttl = 60s, .mode = lock_mode::shared});
    REQUIRE(reader);
    auto look = [](storage::database&) { return problem{}; };
    CHECK(store->read(*reader, look));
    CHECK(store->write(*reader, note("never")).error().code == errc::bad_argument);
    CHECK(store->write(*next, note("second")));
    REQUIRE(locks.release(*reader));
    auto writer = locks.acquire("db", {.ttl = 60s});
    REQUIRE(writer);
    CHECK(store->write(*writer, note("third")));
    CHECK(store->read(*reader, look).error().code == errc::stale_token);
  }
  SECTION("a write that fails leaves nothing, not even its mark") {
    auto failing = [&](storage::database& file) -> problem {
      file.run("INSERT INTO notes VALUES('lost')");
      return {errc::failed, "as it happens"};
    };
    CHECK(store->write(*next, failing).error().code == errc::failed);
    CHECK(store->unguarded().number("SELECT count(*) FROM notes") == 1);
    CHECK(store->write(*sleepy, note("still the mark")));
  }
  SECTION("tokens of another service are refused until an operator adopts it") {
    auto foreign = *next;
    foreign.service += 1;
    CHECK(store->write(foreign, note("never")).error().code == errc::bad_argument);
    REQUIRE(store->adopt(foreign.service));
    CHECK(store->write(foreign, note("now")));
    CHECK(store->write(*next, note("never")).error().code == errc::bad_argument);
  }
}
