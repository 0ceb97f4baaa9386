#pragma once

#include <chrono>
#include <functional>
#include <utility>
#include <variant>

#include "troupe/cluster/departure.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// How a simulated node leaves and ends: its `departure`. What comes after the farewell is over in
/// the same moment, with the process.
template <class Process>
class node_departure {
public:
  using machine = cluster::departure;

  using done_handler = std::function<void(const problem&)>;

  struct surroundings {
    /// Has another node vote in its place.
    std::function<void(bool force, duration within, done_handler)> give_up_vote;
    std::function<void()> end_workers;
    /// Shows whether it rests, as in maintenance.
    std::function<void(bool)> rest;
    /// Takes back what the node has said.
    std::function<void(done_handler)> take_back;
    /// Has another node lead, if this one does.
    std::function<void(done_handler)> hand_over;
    std::function<void()> say_farewell;
    /// Adds what there is when a stage has ended.
    std::function<void(machine::done&)> look;
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

  [[nodiscard]] bool has_ended() const {
    return has_ended_;
  }

private:
  void step(request_id id, machine::event what) {
    machine::effects out;
    inside_.step(here_.now(), id, std::move(what), out);
    for (auto& each : out)
      troupe::visit([this](auto& next) { this->carry_out(next); }, each);
  }

  void carry_out(const machine::run& what) {
    using enum machine::stage;
    auto done = [this, what](const problem& why = {}) {
      machine::done made{.which = what.which, .why = why};
      around_.look(made);
      step(what.id, std::move(made));
    };
    switch (what.which) {
      case give_up_vote:
        return around_.give_up_vote(what.force, what.within, done);
      case end_workers:
        around_.end_workers();
        return done();
      case take_back:
        here_.after(what.within, [done] { done({errc::timed_out, "no answer in time"}); });
        return around_.take_back(done);
      case hand_over:
        here_.after(what.within, [done] { done(); });
        return around_.hand_over(done);
      case say_farewell: // what it says is signed in a moment
        around_.say_farewell();
        return here_.after(std::chrono::milliseconds{1}, [done] { done(); });
      case reach_leader: // give_up_vote finds that out here
      case tell_program: // nobody asks it
      case report:
      case deliver: // it has accepted none
      case deliver_rest:
      case deliver_memory:
      case turn_away:
      case fall_silent:
      case end_sessions:
      case end_links:
      case end_agents:
      case end_services:
      case end_router:
        return done();
    }
  }

  void carry_out(const machine::answer&) {}

  void carry_out(const machine::rest& what) {
    around_.rest(what.on);
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
  bool has_ended_ = false;
};

} // namespace troupe::sim
