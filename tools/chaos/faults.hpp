#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/time.hpp"

/// The faults of a run of `troupe chaos`, and their times.
namespace cli::chaos {

enum class fault_kind : std::uint8_t {
  /// kill -9; the node restarts with its data folder.
  kill_leader,
  kill_others,
  /// SIGSTOP for longer than an election takes, then SIGCONT.
  pause_leader,
  pause_others,
  /// Cut off from the other nodes, and sometimes also from clients.
  isolate_leader,
  isolate_minority,
  /// No node hears another one, so that no side has a majority.
  isolate_all,
  /// One node is heard and does not hear, or the other way round.
  one_way,
  /// Messages are late, and the bandwidth is small.
  slow,
  /// All connections between nodes are reset, once.
  reset,
  /// A voter is removed and added again while another fault goes on.
  members,
  /// The leader and one other node do not hear each other; all others hear both.
  unlink_leader,
  /// SIGTERM; the nodes say that they go, and restart with their data folders.
  end_others,
  /// SIGTERM and a restart of one node after the other, until all have been restarted.
  restart_all,
  /// A tenth of the nodes runs for a tenth of the time, by SIGSTOP and SIGCONT once a second.
  starve_others,
  /// kill -9 of all nodes at once, as when the power fails; they restart with their data folders.
  kill_all,
};

inline constexpr std::array<std::string_view, 16> fault_kind_names{
  "kill_leader",      "kill_others",   "pause_leader", "pause_others", "isolate_leader",
  "isolate_minority", "isolate_all",   "one_way",      "slow",         "reset",
  "members",          "unlink_leader", "end_others",   "restart_all",  "starve_others",
  "kill_all"};

constexpr std::string_view name_of(fault_kind kind) {
  auto index = static_cast<std::size_t>(kind);
  return index < fault_kind_names.size() ? fault_kind_names[index] : "unknown";
}

struct fault {
  /// Time since the start of the clients.
  troupe::duration at{};
  troupe::duration span{};
  fault_kind kind = fault_kind::reset;
  /// Random number that chooses the affected nodes, once the leader is known.
  std::uint64_t dice = 0;
  /// For members: the kind of fault at the same time, if another kind is allowed.
  std::optional<fault_kind> beside{};
};

/// Whether no majority of the voters is connected while it goes on.
constexpr bool ends_majority(const fault& what) {
  auto ends = [](std::optional<fault_kind> kind) {
    return kind == fault_kind::isolate_all || kind == fault_kind::kill_all;
  };
  return ends(what.kind) || ends(what.beside);
}

/// How long the end of a run is without faults, so that clients get answers again.
inline troupe::duration calm_of(troupe::duration whole) {
  return std::min<troupe::duration>(std::chrono::seconds{10}, whole / 2);
}

/// Reads the names of kinds; empty: all of them.
inline troupe::result<std::vector<fault_kind>>
to_fault_kinds(const std::vector<std::string>& names) {
  std::vector<fault_kind> kinds;
  for (auto& each : names) {
    auto kind = named<fault_kind>(each, "--faults", fault_kind_names.size());
    if (!kind)
      return kind.error();
    kinds.push_back(*kind);
  }
  if (kinds.empty())
    for (std::uint8_t each = 0; each < fault_kind_names.size(); ++each)
      kinds.push_back(static_cast<fault_kind>(each));
  return kinds;
}

/// The smallest percentage to which the span of a fault is cut: with the timers `lan` an election
/// still fits into a pause.
inline constexpr std::int64_t least_share = 40;

/// One fault after the other until the calm end of a run that takes `whole`; the same seed gives
/// the same plan. Kinds come in a random order, each once before any comes again. Where the time
/// is short, all of the first round is shorter, so that each kind comes once; if that would take
/// them below `least_share`, some do not come. Each lasts `longer` than by default.
inline std::vector<fault> plan_faults(std::uint64_t seed, troupe::duration whole,
                                      const std::vector<fault_kind>& kinds,
                                      troupe::duration longer = {}) {
  using namespace std::chrono_literals;
  troupe::random_source random{seed};
  auto between = [&](troupe::duration from, troupe::duration to) {
    return from
           + troupe::duration{static_cast<std::int64_t>(
             random.below(static_cast<std::uint64_t>((to - from).count())))};
  };
  auto span_of = [&](fault_kind kind) {
    switch (kind) {
      case fault_kind::kill_leader:
      case fault_kind::kill_others:
      case fault_kind::kill_all:
        return between(500ms, 4s);
      case fault_kind::reset:
        return between(100ms, 1s);
      case fault_kind::pause_leader:
      case fault_kind::pause_others:
      case fault_kind::isolate_leader:
      case fault_kind::isolate_minority:
      case fault_kind::isolate_all:
      case fault_kind::one_way:
      case fault_kind::slow:
      case fault_kind::members:
      case fault_kind::unlink_leader:
      case fault_kind::end_others:
      case fault_kind::restart_all:
      case fault_kind::starve_others:
        break;
    }
    return between(3s, 6s);
  };
  std::vector<fault_kind> others;
  std::ranges::copy_if(kinds, std::back_inserter(others),
                       [](auto each) { return each != fault_kind::members; });
  struct turn {
    fault what;
    troupe::duration rest;
  };
  std::vector<fault> plan;
  auto end = whole - calm_of(whole);
  for (troupe::duration at = 1s; at < end && !kinds.empty();) {
    std::vector<turn> round;
    troupe::duration wanted{};
    for (auto kind : kinds) {
      round.push_back({{{}, span_of(kind) + longer, kind, random.next(), {}}, between(1s, 3s)});
      if (kind == fault_kind::members && !others.empty())
        round.back().what.beside = others[random.below(others.size())];
      wanted += round.back().what.span + round.back().rest;
    }
    for (auto left = round.size(); left > 1; --left)
      std::swap(round[left - 1], round[random.below(left)]);
    wanted -= round.back().rest; // the calm end replaces it
    auto share
      = plan.empty() ? std::clamp((end - at) * 100 / wanted, least_share, std::int64_t{100}) : 100;
    for (auto& [next, rest] : round) {
      next.at = at;
      auto least = next.span * least_share / 100;
      next.span = std::min(next.span * share / 100, end - at); // the last one is cut short
      if (next.span < least)
        return plan;
      plan.push_back(next);
      at += next.span + rest * share / 100;
    }
  }
  return plan;
}

} // namespace cli::chaos
