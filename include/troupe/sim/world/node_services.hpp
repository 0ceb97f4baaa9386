#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/name_table.hpp"
#include "troupe/registry/record_table.hpp"
#include "troupe/sim/world/world.hpp"

/// The services of a cluster of simulated nodes, see node_process.
namespace troupe::sim {

/// The node has a worker.
struct worker_here {
  std::string node;
  boot_number boot = 0;
};

/// That life of the node is over, or cannot be heard: its tasks run elsewhere.
struct worker_gone {
  std::string node;
  boot_number boot = 0;
};

using group_question
  = std::variant<registry::names::claim, registry::names::release, registry::names::list_claims,
                 registry::names::owner_gone, worker_here, worker_gone>;

using node_answer = std::variant<problem, registry::names::claims, registry::names::freed,
                                 registry::names::claim_page>;

/// Returns what a caller that waits for a Result gets.
template <class Result>
result<Result> to_result(const node_answer& from) {
  if (auto* value = std::get_if<Result>(&from))
    return *value;
  if (auto* why = std::get_if<problem>(&from); why != nullptr && *why)
    return *why;
  return problem{errc::failed, "another question was answered"};
}

/// A process in one of its lives, as services know their callers.
using caller = std::pair<process_id, std::uint64_t>;

/// Carries out each numbered question once, and never one that its caller no longer waits for. That
/// is what the sessions of services promise.
class once_book {
public:
  /// Returns what `act` returns, or has returned for that question; nothing if the caller has given
  /// it up. The caller waits for none up to `acked`.
  template <class Act>
  std::optional<node_answer> carry_out(const caller& who, request_id number, request_id acked,
                                       Act act) {
    auto& [given_up, answers] = sessions_[who];
    given_up = std::max(given_up, acked);
    answers.erase(answers.begin(), answers.upper_bound(given_up));
    if (number <= given_up)
      return std::nullopt;
    if (auto known = answers.find(number); known != answers.end())
      return known->second;
    return answers.emplace(number, act()).first->second;
  }

private:
  struct session {
    request_id acked = 0;
    std::map<request_id, node_answer> answers;
  };

  std::map<caller, session> sessions_;
};

/// Steps a machine and returns its one answer.
template <class Machine, class Event>
node_answer ask_machine(Machine& whom, time_point now, const Event& what) {
  typename Machine::effects out;
  whom.step(now, 1, what, out);
  for (auto& each : out)
    if (auto found = std::visit(
          overloaded{[](const refused& no) { return std::optional<node_answer>{no.why}; },
                     []<class Result>(const answered<Result>& yes) {
                       return std::optional<node_answer>{yes.value};
                     },
                     [](const auto&) { return std::optional<node_answer>{}; }},
          each))
      return *found;
  return problem{};
}

/// Who leads: the process, in that life. Rising terms.
struct leadership {
  std::uint64_t term = 0;
  caller who{};
};

/// The state that the Raft group of a cluster would replicate. Here one object has it, which no
/// fault reaches; whoever leads by `lead` has requests carried out.
struct node_group {
  leadership lead{};
  registry::name_table names = by_all_rules();
  /// The latest life of each node whose tasks run there.
  std::map<std::string, boot_number> workers{};
  once_book calls{};

  static registry::name_table by_all_rules() {
    registry::name_table made;
    made.use_rules(registry::name_table::rules);
    return made;
  }

  node_answer ask(const group_question& what) {
    return std::visit(overloaded{[&](const worker_here& each) -> node_answer {
                                   auto& latest = workers[each.node];
                                   latest = std::max(latest, each.boot);
                                   return problem{};
                                 },
                                 [&](const worker_gone& each) -> node_answer {
                                   std::erase_if(workers, [&](auto& known) {
                                     return known.first == each.node && known.second <= each.boot;
                                   });
                                   return problem{};
                                 },
                                 [&](const registry::names::list_claims& words) -> node_answer {
                                   return names.answer(words);
                                 },
                                 [&](const auto& words) -> node_answer {
                                   return ask_machine(names, time_point{},
                                                      registry::names::event{words});
                                 }},
                      what);
  }
};

} // namespace troupe::sim
