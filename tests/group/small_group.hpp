#pragma once

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/visit.hpp"
#include "troupe/group/group_core.hpp"

namespace troupe::host::small_test {

inline constexpr service_id notes = 1;
inline constexpr service_id more_notes = 2;
inline constexpr auto forget_all = "forget all";

/// Three nodes of a group, with disks and links that take no time. Each node has two services that
/// append each payload to their state. Node 1 is leader from the start.
class small_group {
public:
  struct node {
    std::unique_ptr<group_core> core;
    std::map<service_id, std::string> states;
    std::vector<raft::snapshot> saved;
    std::vector<problem> refusals;
    std::optional<problem> stopped;
    std::vector<problem> warnings;
    bool is_full = false; // the disk
    std::vector<errc> room;
    std::size_t loads = 0;              // of the snapshot, for other members
    std::vector<std::uint32_t> allowed; // numbers of rules, for notes
    std::set<service_id> led;
    std::map<service_id, problem> excluded;
    problem quorum; // the last that notes was told
  };

  using own = std::map<service_id, service_title>;

  /// For each node: the newest rules of notes that it knows, and the services that its program
  /// adds.
  explicit small_group(group_options how = options(), std::vector<std::uint32_t> rules = {1, 1, 1},
                       std::vector<own> brought = {{}, {}, {}})
    : how_(how) {
    for (std::uint64_t each = 1; each <= 3; ++each) {
      stored_.base.members.members[{each}] = {true, ""};
      nodes_[each];
    }
    for (auto& [seat, each] : nodes_)
      each.core = std::make_unique<group_core>(raft::member_id{seat}, how_,
                                               services(rules.at(seat - 1), brought.at(seat - 1)),
                                               stored_, time_point{}, brought.at(seat - 1));
    now_ = nodes_[1].core->next_deadline().value();
    step(1, [this](group_core& core, auto& out) { core.tick(now_, out); });
    REQUIRE(nodes_[1].core->consensus().is_settled());
  }

  static group_options options() {
    group_options made;
    made.consensus = raft::lan();
    made.consensus.tell_commits_within = {};
    made.snapshot_every = 10;
    return made;
  }

  static std::map<service_id, std::uint32_t> services(std::uint32_t rules = 1,
                                                      const own& brought = {}) {
    std::map<service_id, std::uint32_t> all{{notes, rules}, {more_notes, 1}};
    for (auto& [which, title] : brought)
      all[which] = 1;
    return all;
  }

  /// A service of node 1 proposes this text.
  void note(const std::string& text, service_id which = notes) {
    give(1, group_core::propose{which, {at(1).core->consensus().term(), 1, text}});
  }

  void note_many(int count) {
    for (auto each = 0; each < count; ++each)
      note("note " + std::to_string(each) + "; ", each % 2 == 0 ? notes : more_notes);
  }

  void give(std::uint64_t which, const group_core::event& what) {
    step(which, [&](group_core& core, auto& out) { core.step(now_, 7, what, out); });
  }

  [[nodiscard]] node& at(std::uint64_t which) {
    return nodes_.at(which);
  }

  /// Advances the time by a heartbeat and ticks node 1.
  void beat() {
    now_ += how_.consensus.heartbeat;
    step(1, [this](group_core& core, auto& out) { core.tick(now_, out); });
  }

  /// Advances the time by `span`, in steps of 10 ms, and ticks the nodes that are due.
  void run(duration span) {
    for (auto end = now_ + span; now_ < end;) {
      now_ += std::chrono::milliseconds{10};
      for (auto& [which, each] : nodes_)
        step(which, [this](group_core& core, auto& out) {
          if (core.next_deadline() <= now_)
            core.tick(now_, out);
        });
    }
  }

  [[nodiscard]] time_point now() const {
    return now_;
  }

  /// Drops all messages to and from this node, until connect().
  void cut_off(std::uint64_t which) {
    is_cut_off_.insert(which);
  }

  void connect(std::uint64_t which) {
    is_cut_off_.erase(which);
  }

private:
  struct letter {
    raft::member_id from;
    raft::member_id to;
    raft::message what;
  };

  template <class Job>
  void step(std::uint64_t which, Job job) {
    do_step(which, job);
    while (!mail_.empty()) {
      auto next = std::move(mail_.front());
      mail_.pop_front();
      if (!is_cut_off_.contains(next.from.value) && !is_cut_off_.contains(next.to.value))
        do_step(next.to.value, [&](group_core& core, auto& out) {
          core.step(now_, 0, raft::replica::event{raft::replica::received{next.from, next.what}},
                    out);
        });
    }
  }

  template <class Job>
  void do_step(std::uint64_t which, Job job) {
    if (nodes_[which].stopped)
      return;
    group_core::effects out;
    job(*nodes_[which].core, out);
    for (auto& what : out)
      troupe::visit([&](auto& each) { handle(which, each); }, what);
  }

  void again(std::uint64_t which, const group_core::event& what) {
    do_step(which, [&](group_core& core, auto& out) { core.step(now_, 0, what, out); });
  }

  void handle(std::uint64_t which, group_core::send& what) {
    mail_.push_back({{which}, what.to, std::move(what.what)});
  }

  void handle(std::uint64_t which, group_core::write& what) {
    if (nodes_[which].is_full)
      return again(which, raft::replica::event{raft::replica::not_written{
                            {errc::storage_full, "no room; make space"}}});
    again(which, raft::replica::event{raft::replica::written{what.number}});
  }

  void handle(std::uint64_t which, group_core::save& what) {
    nodes_[which].saved.push_back(group_core::to_snapshot(what));
    again(which, group_core::saved{what.header.index, true});
  }

  void handle(std::uint64_t which, group_core::load_snapshot&) {
    ++nodes_[which].loads;
    if (!nodes_[which].saved.empty())
      again(which, raft::replica::event{raft::replica::loaded{nodes_[which].saved.back()}});
  }

  void handle(std::uint64_t which, group_core::deliver& what) {
    auto& state = nodes_[which].states[what.service];
    CHECK_FALSE(nodes_[which].excluded.contains(what.service));
    state = what.payload == forget_all ? "" : state + what.payload;
  }

  void handle(std::uint64_t which, group_core::restore_section& what) {
    nodes_[which].states[what.service] = what.bytes;
  }

  void handle(std::uint64_t which, group_core::warned& what) {
    nodes_[which].warnings.push_back(what.why);
  }

  void handle(std::uint64_t which, group_core::disk_room& what) {
    nodes_[which].room.push_back(what.why.code);
  }

  void handle(std::uint64_t which, group_core::take_section& what) {
    again(which,
          group_core::section_of(what.service, what.index, nodes_[which].states[what.service]));
  }

  void handle(std::uint64_t which, group_core::not_taken& what) {
    nodes_[which].refusals.push_back(what.why);
  }

  void handle(std::uint64_t which, group_core::stop& what) {
    if (!nodes_[which].stopped)
      nodes_[which].stopped = what.why;
  }

  void handle(std::uint64_t which, group_core::without_quorum& what) {
    if (what.service == notes)
      nodes_[which].quorum = what.why;
  }

  void handle(std::uint64_t which, group_core::lead& what) {
    nodes_[which].led.insert(what.service);
  }

  void handle(std::uint64_t which, group_core::follow& what) {
    nodes_[which].led.erase(what.service);
  }

  void handle(std::uint64_t which, group_core::excluded& what) {
    nodes_[which].excluded[what.service] = what.why;
  }

  void handle(std::uint64_t which, group_core::allow_rules& what) {
    if (what.service != notes)
      return;
    nodes_[which].allowed.push_back(what.number);
  }

  template <class Other>
  void handle(std::uint64_t, Other&) {}

  group_options how_;
  raft::stored_state stored_;
  std::map<std::uint64_t, node> nodes_;
  std::deque<letter> mail_;
  std::set<std::uint64_t> is_cut_off_;
  time_point now_{};
};

inline raft::replica::event raw(const std::string& payload, service_id which) {
  return raft::replica::propose{{to_bytes(group_entry{which, payload})}};
}

} // namespace troupe::host::small_test
