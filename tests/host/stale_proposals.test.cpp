#include "troupe/host/replicated_core.hpp" // the header under test

#include "troupe/group/group_core.hpp"
#include "troupe/lock/lock_table.hpp"

#include <catch2/catch_test_macros.hpp>

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace stale_proposals_test {

using namespace std::literals;
using namespace troupe;

namespace {

using core = host::replicated_core<lock::lock_table>;

/// One replica of a lock service, without its group: what that would say comes late.
struct lone_replica {
  lone_replica() {
    step(core::leads{1});
    for (auto& each : proposals())
      commit(each); // what every new leader enters
  }

  void step(core::event what, request_id caller = 0) {
    inside.step(time_point{1s}, caller, std::move(what), out);
  }

  void acquire(const std::string& name, request_id caller) {
    step(host::command<lock::lock_table>{{}, lock::acquire{name, "me", 1min, 0s, {}, {}}}, caller);
  }

  std::vector<host::proposal> proposals() {
    std::vector<host::proposal> found;
    for (auto& each : out)
      if (auto* made = std::get_if<core::propose>(&each))
        found.push_back(std::move(made->what));
    out.clear();
    return found;
  }

  void commit(const host::proposal& what) {
    step(core::committed{what.payload});
  }

  /// What the caller was told: its lease, or the name of an error; "nothing" yet.
  std::string told(request_id caller) const {
    for (auto& each : out) {
      if (auto* refused = std::get_if<core::rejected>(&each); refused && refused->id == caller)
        return std::string{name_of(refused->why.code)};
      if (auto* answered = std::get_if<core::answered>(&each); answered && answered->id == caller)
        return "granted";
    }
    return "nothing";
  }

  core inside{7};
  core::effects out;
};

} // namespace

TEST_CASE_METHOD(lone_replica,
                 "a refusal that comes when a replica has stopped leading does no harm",
                 "[host][replicated]") {
  acquire("door", 1);
  auto sent = proposals();
  REQUIRE(sent.size() == 1);
  step(core::follows{{errc::not_leader, "there is another"}});
  CHECK(told(1) == "outcome_unknown");
  out.clear();
  step(core::not_taken{sent.front().number, {errc::not_leader, "late"}});
  CHECK(out.empty());
}

TEST_CASE_METHOD(lone_replica, "a refusal of an earlier leadership is none of what is under way",
                 "[host][replicated]") {
  acquire("door", 1);
  auto old = proposals().front();
  step(core::follows{{errc::not_leader, "there is another"}});
  step(core::leads{3});
  for (auto& each : proposals())
    commit(each);
  acquire("gate", 2);
  auto sent = proposals();
  REQUIRE(sent.size() == 1);
  CHECK(sent.front().term == 3);
  step(core::not_taken{old.number, {errc::not_leader, "late"}});
  CHECK(told(2) == "nothing");
  commit(sent.front());
  CHECK(told(2) == "granted");
}

TEST_CASE("a group takes no proposal of an earlier leadership", "[host][replicated]") {
  host::group_options how;
  how.consensus.seed = 1;
  host::group_core group{raft::member_id{5}, how, {{1, 1}}, {}, time_point{}};
  host::group_core::effects out;
  std::optional<raft::term_number> leads;
  std::vector<std::uint64_t> refused;
  auto carry_out = [&] {
    while (!out.empty())
      for (auto& each : std::exchange(out, {})) {
        if (auto* what = std::get_if<host::group_core::write>(&each))
          group.step(time_point{}, 0, raft::replica::event{raft::replica::written{what->number}},
                     out);
        if (auto* what = std::get_if<host::group_core::lead>(&each))
          leads = what->term;
        if (auto* what = std::get_if<host::group_core::not_taken>(&each))
          refused.push_back(what->number);
      }
  };
  group.step(time_point{}, 0, raft::replica::event{raft::replica::found_group{"here"}}, out);
  carry_out();
  group.tick(time_point{10s}, out);
  carry_out();
  REQUIRE(leads);
  group.step(time_point{10s}, 0, host::group_core::propose{1, {*leads - 1, 8, "old"}}, out);
  carry_out();
  CHECK(refused == std::vector<std::uint64_t>{8});
  group.step(time_point{10s}, 0, host::group_core::propose{1, {*leads, 9, "new"}}, out);
  carry_out();
  CHECK(refused.size() == 1);
}

} // namespace stale_proposals_test
