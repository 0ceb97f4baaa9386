#pragma once

#include <chrono>
#include <functional>
#include <utility>
#include <variant>

#include "troupe/cluster/departure.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// How a simulated node leaves and ends: its `departure`. What comes after the farewell is over in
/// the same moment, with the process.
template <class Process>
class node_departure {
public:
  using machine = cluster::departure;

  struct surroundings {
    /// Takes back what the node has said, and calls `done` then.
    std::function<void(std::function<void()> done)> take_back;
    std::function<void()> say_farewell;
    std::function<bool()> leads;
  };

  /// `here` outlives this.
  node_departure(environment<Process>& here, surroundings around)
    : here_(here), around_(std::move(around)) {}

  node_departure(const node_departure&) = delete;
  node_departure& operator=(const node_departure&) = delete;

  /// It may be refused: then the node goes on as before.
  void leave(machine::leave what) {
    is_leaving_ = true;
    step(++last_, std::move(what));
  }

  void stop() {
    step(++last_, machine::stop{});
  }

  /// Whether it leaves or stops.
  [[nodiscard]] bool is_going() const {
    return is_leaving_ || inside_.is_ending();
  }

  /// Whether it has begun to take back what it has said.
  [[nodiscard]] bool takes_back() const {
    return takes_back_;
  }

  [[nodiscard]] bool has_ended() const {
    return has_ended_;
  }

private:
  void step(request_id id, machine::event what) {
    machine::effects out;
    inside_.step(here_.now(), id, std::move(what), out);
    for (auto& each : out)
      std::visit([this](auto& next) { this->carry_out(next); }, each);
  }

  void carry_out(const machine::run& what) {
    using enum machine::stage;
    auto done = [this, what](const problem& why = {}) {
      step(what.id, machine::done{what.which, why, around_.leads()});
    };
    switch (what.which) {
      case give_up_vote:
        return here_.after(std::chrono::milliseconds{10}, [this, done] {
          auto is_refused = here_.setting().refuses_votes && here_.random().one_in(4);
          done(is_refused ? problem{errc::in_use, "no other node can take its place"} : problem{});
        });
      case take_back:
        takes_back_ = true;
        here_.after(what.within, [done] { done({errc::timed_out, "no answer in time"}); });
        return around_.take_back([done] { done(); });
      case say_farewell: // what it says is signed in a moment
        around_.say_farewell();
        return here_.after(std::chrono::milliseconds{1}, [done] { done(); });
      case turn_away:
      case hand_over:
      case fall_silent:
      case end_sessions:
      case end_links:
      case end_agents:
      case end_services:
      case end_router:
        return done();
    }
  }

  void carry_out(const machine::over&) {
    has_ended_ = inside_.is_ending();
    is_leaving_ = false;
  }

  environment<Process>& here_;
  surroundings around_;
  machine inside_;
  request_id last_ = 0;
  bool is_leaving_ = false;
  bool takes_back_ = false;
  bool has_ended_ = false;
};

} // namespace troupe::sim
