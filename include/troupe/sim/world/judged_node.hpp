#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "troupe/cluster/node_core.hpp"
#include "troupe/cluster/record_exchange.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/time.hpp"
#include "troupe/sim/laws/asker_laws.hpp"
#include "troupe/sim/laws/catch_up_laws.hpp"
#include "troupe/sim/laws/node_laws.hpp"

namespace troupe::sim {

/// The node_core of a simulated node, with those who wait for its answers. Its laws see each event
/// and each effect.
class judged_node {
public:
  using core = cluster::node_core;

  /// How long an answer may take.
  struct bounds {
    duration lost_after{};
    duration any_answer{};
  };

  /// `perform` is called with each effect, one after the other.
  judged_node(const cluster::node_core_options& how, cluster::record_exchange::verifier verify,
              const bounds& limits, std::function<void(core::effect&)> perform)
    : inside_(how, verify),
      perform_(std::move(perform)),
      laws_(limits.lost_after),
      catch_up_laws_(how.catch_up_within),
      askers_laws_(limits.any_answer) {}

  judged_node(const judged_node&) = delete;
  judged_node& operator=(const judged_node&) = delete;

  void step(time_point now, core::event what, request_id id = 0) {
    laws_.hears(now, id, what, inside_);
    catch_up_laws_.hears(now, what);
    core::effects out;
    inside_.step(now, id, std::move(what), out);
    laws_.looks(now, inside_);
    carry_out(now, out);
  }

  void tick(time_point now) {
    core::effects out;
    inside_.tick(now, out);
    laws_.looks(now, inside_);
    carry_out(now, out);
  }

  /// Steps `what` on behalf of somebody who waits: `done` is called when answered() is. `words`
  /// names it in violations.
  void ask(time_point now, core::event what, const std::string& words, std::function<void()> done) {
    auto id = ++last_asker_;
    askers_.emplace(id, std::move(done));
    askers_laws_.asked(now, id, words);
    step(now, std::move(what), id);
  }

  void answered(request_id id) {
    askers_laws_.answered(id);
    if (auto found = askers_.extract(id))
      found.mapped()();
  }

  /// Call when all that is due by `now` was done.
  void ticked(time_point now) {
    laws_.ticked(now);
    askers_laws_.ticked(now);
  }

  /// Calls `broken` with each violation.
  template <class Broken>
  void judge(Broken broken) {
    for (auto& each : laws_.take_violations())
      broken(each);
    for (auto& each : catch_up_laws_.take_violations())
      broken(each);
    for (auto& each : askers_laws_.take_violations())
      broken(each);
    for (auto& each : inside_.flaws())
      broken("has a flaw: " + each);
  }

  /// Those who wait for an answer.
  [[nodiscard]] std::size_t unanswered() const {
    return askers_laws_.open();
  }

  [[nodiscard]] const core& inside() const {
    return inside_;
  }

private:
  void carry_out(time_point now, core::effects& out) {
    for (auto& each : out) {
      laws_.does(now, each);
      catch_up_laws_.does(now, each);
      left_.push_back(std::move(each));
    }
    if (std::exchange(is_busy_, true))
      return;
    while (!left_.empty()) {
      auto next = std::move(left_.front());
      left_.pop_front();
      perform_(next);
    }
    is_busy_ = false;
  }

  core inside_;
  std::function<void(core::effect&)> perform_;
  std::deque<core::effect> left_;
  bool is_busy_ = false;
  judge_laws laws_;
  catch_up_laws catch_up_laws_;
  asker_laws askers_laws_;
  std::map<request_id, std::function<void()>> askers_;
  request_id last_asker_ = 0;
};

} // namespace troupe::sim
