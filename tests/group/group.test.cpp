#include "troupe/group/group.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/scoped_actor.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/host/client.hpp"
#include "troupe/host/detail/calendar_floor.hpp"
#include "troupe/host/replicated.hpp"
#include "troupe/lock/lock_service.hpp"
#include "troupe/testing/comes_true.hpp"

using namespace std::chrono_literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr host::service_id locks = 1;

/// Nodes of a group in one actor system, each with a disk of its own.
class group_fixture {
public:
  struct member {
    host::group group;
    lock::lock_actor locks;
    std::shared_ptr<std::atomic<bool>> leads = std::make_shared<std::atomic<bool>>(false);
  };

  ~group_fixture() {
    client.reset();
    for (std::size_t each = 0; each < members.size(); ++each)
      end(each);
  }

  /// Starts the node of this number, on what its disk has.
  void start(std::size_t which) {
    if (members.size() <= which)
      members.resize(which + 1);
    auto& made = members[which].emplace();
    host::group_options how;
    how.consensus = raft::lan();
    how.consensus.heartbeat = 30ms;
    how.consensus.election_timeout = 300ms;
    how.snapshot_every = 50;
    how.consensus.keep_entries = 10;
    host::group_listener listener;
    listener.changed_role
      = [leads = made.leads](const auto& what) { *leads = what.now == raft::role::leader; };
    auto opened = host::group::open(system_, folder_ / ("node-" + std::to_string(which)), {locks},
                                    how, std::move(listener));
    REQUIRE(opened);
    made.group = *opened;
    auto service
      = host::spawn<lock::lock_service>(system_, {}, host::replicated{made.group.seat(locks)});
    REQUIRE(service);
    made.locks = *service;
    made.group.start();
    introduce();
  }

  /// Ends the node: its actors go, its disk stays.
  void end(std::size_t which) {
    if (!members[which])
      return;
    members[which]->group.stop();
    caf::anon_send_exit(members[which]->locks, caf::exit_reason::kill);
    caf::scoped_actor self{system_};
    self->wait_for(members[which]->group.handle(), members[which]->locks);
    members[which].reset();
  }

  problem ask(std::size_t which, raft::replica::event what) {
    std::promise<problem> answer;
    auto found = answer.get_future();
    members[which]->group.ask(what, [&](const problem& why) { answer.set_value(why); });
    REQUIRE(found.wait_for(10s) == std::future_status::ready);
    return found.get();
  }

  raft::replica::status status(std::size_t which) {
    std::promise<host::group_status> answer;
    auto found = answer.get_future();
    members[which]->group.look([&](const auto& status) { answer.set_value(status); });
    REQUIRE(found.wait_for(10s) == std::future_status::ready);
    return found.get().consensus;
  }

  std::optional<std::size_t> leader() {
    for (std::size_t each = 0; each < members.size(); ++each)
      if (members[each] && *members[each]->leads)
        return each;
    return std::nullopt;
  }

  /// A group of three voters.
  void make_group() {
    start(0);
    REQUIRE(ask(0, raft::replica::found_group{"voter-0"}).code == errc::none);
    for (std::size_t each : {1, 2}) {
      start(each);
      auto seat = members[each]->group.seat();
      REQUIRE(testing::comes_true([&] {
        return ask(0, raft::replica::add_learner{seat, "voter-" + std::to_string(each)}).code
               == errc::none;
      }));
      REQUIRE(testing::comes_true(
        [&] { return ask(0, raft::replica::promote{seat}).code == errc::none; }));
    }
    REQUIRE(testing::comes_true([&] { return status(2).members.voters().size() == 3; }));
    follow_leader();
  }

  void follow_leader() {
    REQUIRE(testing::comes_true([&] { return leader().has_value(); }));
    client->set_target(members[*leader()]->locks);
  }

  result<lock::lease> acquire(const std::string& name, duration wait = 10s) {
    return client->ask(lock::acquire{name, "owner-" + std::to_string(++owners_), 1min, {}, {}, {}},
                       wait);
  }

  std::vector<std::optional<member>> members;

private:
  struct configuration : caf::actor_system_config {
    configuration() {
      [[maybe_unused]] static const bool once
        = (init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                         caf::id_block::troupe_lock>(),
           true);
      set("caf.scheduler.max-threads", 2);
    }
  };

  void introduce() {
    for (auto& each : members)
      for (auto& other : members)
        if (each && other && &each != &other)
          each->group.set_peer(other->group.seat(),
                               caf::actor_cast<caf::strong_actor_ptr>(other->group.handle()));
  }

  test::temporary_folder folder_;
  int owners_ = 0;
  configuration config_;
  caf::actor_system system_{config_};

public:
  std::optional<host::client<lock::lock_protocol>> client{system_};
};

} // namespace

TEST_CASE_METHOD(group_fixture, "a group of one grants locks and remembers them") {
  auto birth = host::detail::calendar_floor();
  start(0);
  REQUIRE(ask(0, raft::replica::found_group{"0"}).code == errc::none);
  follow_leader();
  auto first = acquire("a");
  REQUIRE(first);
  CHECK(first->token.value > birth); // and so above those of a group that was here before
  end(0);
  start(0);
  follow_leader();
  auto second = acquire("a");
  REQUIRE_FALSE(second);
  CHECK(second.error().code == errc::lock_held);
  auto third = acquire("b");
  REQUIRE(third);
  CHECK(third->token.value == first->token.value + 1); // a start begins no new era
}

TEST_CASE_METHOD(group_fixture, "locks outlive the node that leads") {
  make_group();
  auto first = acquire("a");
  REQUIRE(first);
  for (int round = 0; round < 3; ++round) {
    auto lost = *leader();
    end(lost);
    follow_leader();
    CHECK(acquire("a").error().code == errc::lock_held);
    auto next = acquire("b" + std::to_string(round));
    REQUIRE(next);
    CHECK(next->token > first->token);
    start(lost);
  }
  CHECK(client->ask(lock::release{"a", first->token}, 10s));
  CHECK(acquire("a"));
}

TEST_CASE_METHOD(group_fixture, "a request rides through a change of leader") {
  make_group();
  auto first = acquire("a");
  REQUIRE(first);
  std::promise<result<lock::lease>> answer;
  auto found = answer.get_future();
  client->async(lock::acquire{"a", "second", 1min, 30s, {}, {}}, 30s,
                [&](result<lock::lease> value) { answer.set_value(std::move(value)); });
  auto waits = [&] {
    auto view = client->ask(lock::find_lock{"a"}, 5s);
    return view && view->line.size() == 1;
  };
  REQUIRE(testing::comes_true(waits));
  end(*leader());
  follow_leader();
  REQUIRE(testing::comes_true(waits)); // in line still, and once
  REQUIRE(client->ask(lock::release{"a", first->token}, 10s));
  REQUIRE(found.wait_for(10s) == std::future_status::ready);
  auto second = found.get();
  REQUIRE(second);
  CHECK(second->owner == "second");
  CHECK(second->token > first->token);
}

TEST_CASE_METHOD(group_fixture, "a node that was away for long gets a snapshot") {
  make_group();
  auto away = (*leader() + 1) % 3;
  end(away);
  for (int each = 0; each < 200; ++each) {
    auto lease = acquire("a" + std::to_string(each));
    REQUIRE(lease);
    if (each % 2 == 0)
      REQUIRE(client->ask(lock::release{lease->name, lease->token}, 10s));
  }
  start(away);
  auto last = status(*leader()).commit;
  REQUIRE(testing::comes_true([&] { return status(away).commit >= last; }));
  auto other = 3 - away - *leader();
  end(other); // now the one that was away is needed
  CHECK(acquire("z"));
  CHECK(acquire("a1").error().code == errc::lock_held);
}

TEST_CASE_METHOD(group_fixture,
                 "without a majority nothing is granted, and with one again all is") {
  make_group();
  REQUIRE(acquire("before"));
  auto kept = *leader();
  for (std::size_t each = 0; each < 3; ++each)
    if (each != kept)
      end(each);
  auto begun = std::chrono::steady_clock::now();
  auto first = acquire("a", 1min); // was under way when the leader gave up
  REQUIRE_FALSE(first);
  CHECK(first.error().code == errc::outcome_unknown);
  CHECK_THAT(first.error().detail, ContainsSubstring("1 of 3 voters reachable"));
  auto second = acquire("b", 1min);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == errc::no_quorum);
  for (std::size_t each = 0; each < 3; ++each)
    if (each != kept)
      CHECK_THAT(second.error().detail, ContainsSubstring("voter-" + std::to_string(each)));
  auto question = client->ask(lock::find_lock{"before"}, 1min);
  REQUIRE_FALSE(question);
  CHECK(question.error() == second.error());
  CHECK(std::chrono::steady_clock::now() - begun < 30s); // none has waited for its time
  start((kept + 1) % 3);
  follow_leader();
  REQUIRE(testing::comes_true([&] {
    if (auto leads = leader())
      client->set_target(members[*leads]->locks);
    return acquire("c", 2s).has_value();
  }));
}
