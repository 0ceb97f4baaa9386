#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/scheduler/types.hpp"

namespace troupe::sim {

/// Checks, over all nodes of a world, that a task that runs on one node begins on another only if
/// the first was given up, has left or has begun again, or has sent no sign of life for a lease
/// that was answered; and that a node begins none after it has left. Times are of the world; the
/// clock of the scheduler may be a tenth faster.
class task_laws {
public:
  explicit task_laws(duration lease) : lease_(lease) {}

  /// A sign of life that its worker sent `at` was answered.
  void sign(const node_id& node, duration at) {
    auto& last = signs_[node];
    last = std::max(last, at);
  }

  /// What ran on that node up to that boot may run elsewhere; so may what it begins before it gives
  /// a sign of life that is answered again, as the order was on its way.
  void gone(duration now, const node_id& node, boot_number boot) {
    if (auto& last = gone_[node]; boot >= last.boot) // else a late answer says so
      last = {now, boot};
    std::erase_if(places_,
                  [&](auto& each) { return each.second.node == node && each.second.boot <= boot; });
  }

  /// The scheduler is about to hear that this node has no workers any more, up to that boot.
  void left(const node_id& node, boot_number boot) {
    left_[node] = boot;
  }

  void begins(duration now, const scheduler::attempt_id& what, const node_id& node,
              boot_number boot) {
    ++begun_;
    if (auto found = left_.find(node); found != left_.end() && boot <= found->second)
      violations_.push_back("a task begins on node " + to_string(node) + ", which leaves");
    auto& gone = gone_[node];
    if (boot <= gone.boot && signs_[node] < gone.at)
      return;
    auto [found, is_new] = places_.try_emplace({what.run, what.task}, place{node, boot, what});
    auto& where = found->second;
    if (!is_new && where.node != node && now < signs_[where.node] + lease_ / 10 * 9)
      violations_.push_back("task " + std::to_string(what.task) + " of run "
                            + std::to_string(what.run.value) + " begins on node " + to_string(node)
                            + ", and node " + to_string(where.node) + " runs it and was not lost");
    where = {node, boot, what};
  }

  void ends(const scheduler::attempt_id& what) {
    auto found = places_.find({what.run, what.task});
    if (found != places_.end() && found->second.what == what)
      places_.erase(found);
  }

  /// How many attempts have begun.
  [[nodiscard]] std::uint64_t begun() const {
    return begun_;
  }

  std::vector<std::string> take_violations() {
    return std::exchange(violations_, {});
  }

private:
  struct place {
    node_id node;
    boot_number boot = 0;
    scheduler::attempt_id what{};
  };

  struct loss {
    duration at{};
    boot_number boot = 0;
  };

  duration lease_;
  /// Where a task runs that has not ended, as its node sees it.
  std::map<std::pair<scheduler::run_id, std::uint32_t>, place> places_;
  std::map<node_id, duration> signs_;
  /// When each node was gone last.
  std::map<node_id, loss> gone_;
  /// The boot with which each node left last.
  std::map<node_id, boot_number> left_;
  std::uint64_t begun_ = 0;
  std::vector<std::string> violations_;
};

} // namespace troupe::sim
