#include "support/services.hpp"
#include "registry/clocked_table.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/registry/name_service.hpp"     // a header under test
#include "troupe/registry/registry_service.hpp" // a header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace std::literals;
using namespace troupe;
using namespace troupe::registry;
using namespace troupe::test;
using Catch::Matchers::ContainsSubstring;
using host::call;

namespace {

struct fixture : clocked_services<caf::id_block::troupe_registry, registry_service, name_service> {
  template <class Handle, class T>
  auto ask(const Handle& hdl, const T& what) {
    return clocked_services::ask(hdl, call{}, what);
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "a registry answers over the network", "[registry][service]") {
  auto hdl = start<registry_service>();
  auto painter = agent("painter", "n1", 2);
  painter.capabilities = {"draw"};
  CHECK(*ask(hdl, put_records{{node("n1"), painter}}) == put_report{2, 0, 0, 0});
  SECTION("with what it knows") {
    CHECK(look(hdl, get_record{record_kind::agent, "painter@n1"}).found->value == painter);
    CHECK(look(hdl, find_records{.capabilities = {"draw"}}).records.size() == 1);
    CHECK(look(hdl, count_records{}).agents.active == 1);
    CHECK(look(hdl, find_owner{"n1"}).boot == 1);
    CHECK(ask(hdl, heartbeat{"n1", 1})->heartbeat_every == 10s);
    CHECK_FALSE(ask(hdl, report_outcome{painter.key, call_outcome::condemned})->healthy);
    CHECK(ask(hdl, forget{"n1", 1})->over);
  }
  SECTION("a refusal is a troupe::errc with a sentence") {
    auto answer = ask(hdl, heartbeat{"n9", 1});
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == errc::not_found);
    CHECK_THAT(answer.error().detail, ContainsSubstring("put its records first"));
  }
  SECTION("a silent node turns inactive by itself") {
    world.advance(30s);
    until([&] { return look(hdl, count_records{}).agents.inactive == 1; });
    CHECK(look(hdl, get_record{record_kind::agent, "painter@n1"}).found->unseen_for == 30s);
  }
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "a watcher is told when there is something to tell",
                 "[registry][service]") {
  auto hdl = start<registry_service>();
  CHECK(ask(hdl, put_records{{node("n1")}}));
  watch_records question{.wait = 10s};
  auto first = look(hdl, question); // does not wait: there is news
  CHECK(first.complete);
  REQUIRE(first.changes.size() == 1);
  question = question.next(first);
  auto pending = send(hdl, question);
  world.run();
  CHECK_FALSE(pending.is_answered());
  SECTION("as soon as a record changes") {
    compat::anon_send(hdl, call{}, put_records{{agent("a", "n1", 2)}});
    auto news = *receive(pending);
    REQUIRE(news.changes.size() == 1);
    CHECK(news.changes[0].kind == change_kind::added);
  }
  SECTION("but not of what is no news") {
    compat::anon_send(hdl, call{}, heartbeat{"n1", 1});
    world.run();
    CHECK_FALSE(pending.is_answered());
    world.advance(10s);
    CHECK(receive(pending)->changes.empty()); // its wait is over
  }
  SECTION("when time changes a status") {
    world.advance(9s);
    world.run();
    compat::anon_send(hdl, call{}, verdict{"n1", 1, record_status::disconnected});
    auto news = *receive(pending);
    CHECK(news.changes.at(0).what.status == record_status::disconnected);
  }
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "a watcher sees a status change that only time brought about",
                 "[registry][service]") {
  auto hdl = start<registry_service>();
  CHECK(ask(hdl, put_records{{node("n1")}}));
  watch_records question{.wait = 50s};
  auto pending = send(hdl, question.next(look(hdl, question)));
  world.run();
  world.advance(30s);
  auto news = *receive(pending);
  CHECK(news.changes.at(0).what.status == record_status::inactive);
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "a registry that lost everything gives watchers a snapshot",
                 "[registry][service]") {
  auto hdl = start<registry_service>();
  CHECK(ask(hdl, put_records{{node("n1")}}));
  auto last = look(hdl, watch_records{});
  stop(hdl);
  hdl = start<registry_service>();
  CHECK(ask(hdl, put_records{{node("n2")}}));
  auto news = look(hdl, watch_records{}.next(last));
  CHECK(news.complete);
  CHECK(news.changes.at(0).what.value.key.name == "n2");
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "names answer alike on every host", "[registry][names][service]") {
  auto on_disk = GENERATE(false, true);
  INFO((on_disk ? "durable" : "in memory"));
  auto hdl = start<name_service>(on_disk, "names");
  auto first = *ask(hdl, names::claim{{"echo", "ping"}, "n1", 1});
  REQUIRE(first.claimed.size() == 2);
  auto second = ask(hdl, names::claim{{"echo"}, "n2", 1});
  REQUIRE_FALSE(second);
  CHECK(second.error().code == errc::name_taken);
  CHECK_THAT(second.error().detail, ContainsSubstring("node n1 has the name echo"));
  CHECK(look(hdl, names::find_claim{"echo"}).found->owner == "n1");
  CHECK(ask(hdl, names::release{{"ping"}, "n1", 1})->names.size() == 1);
  CHECK(look(hdl, names::list_claims{}).claimed.size() == 1);
  CHECK(ask(hdl, names::owner_gone{"n1", 1})->names.size() == 1);
  CHECK(ask(hdl, names::claim{{"echo"}, "n2", 1})->claimed[0].token > first.claimed[1].token);
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "names outlive their service", "[registry][names][service]") {
  auto hdl = start_durable<name_service>("names");
  auto first = *ask(hdl, names::claim{{"echo"}, "n1", 1});
  stop(hdl);
  hdl = start_durable<name_service>("names");
  CHECK(ask(hdl, names::claim{{"echo"}, "n2", 1}).error().code == errc::name_taken);
  CHECK(*ask(hdl, names::claim{{"echo"}, "n1", 1}) == first);
  CHECK(ask(hdl, names::claim{{"ping"}, "n2", 1})->claimed[0].token > first.claimed[0].token);
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "a durable registry goes on where it ended", "[registry][service]") {
  auto hdl = start_durable<registry_service>("registry");
  CHECK(ask(hdl, put_records{{node("n1"), agent("a", "n1", 2)}}));
  auto last = look(hdl, watch_records{});
  CHECK(ask(hdl, put_records{{removal(agent("a", "n1", 2))}}));
  stop(hdl);
  hdl = start_durable<registry_service>("registry");
  CHECK(look(hdl, find_records{}).records.size() == 1);
  auto news = look(hdl, watch_records{}.next(last));
  CHECK_FALSE(news.complete); // revisions go on, too
  CHECK(news.changes.at(0).kind == change_kind::removed);
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "other nodes can spawn registry and names by name",
                 "[registry][service]") {
  auto records = start_by_name<registry_actor>("troupe.registry", registry_options{});
  CHECK(ask(records, put_records{{node("n1")}}));
  auto who = start_by_name<names_actor>("troupe.names", names::name_options{});
  CHECK(ask(who, names::claim{{"echo"}, "n1", 1}));
  stop(records);
  stop(who);
}
