#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "caf/actor_clock.hpp"
#include "caf/event_based_actor.hpp"
#include "troupe/core/caf/deadline_timer.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"

namespace troupe {

/// What an actor needs to run a machine: passes events on with the time of the actor's clock, wakes
/// the machine at its deadlines, and performs the effects of a step in their order. `Owner` is the
/// state of the actor and performs them: it has an overload of `perform(Effect&)` for each, and
/// this as a friend if they are private.
///
/// Part of the owner's state, and used on its actor only. If `perform` leads to a further step, the
/// effects of that step come before the remaining effects of the first one.
///
/// Where other threads read the machine, the owner has a `lock(const Machine&)`: what that returns
/// is held while the machine changes.
template <class Machine, class Owner>
class shell {
public:
  using event = typename Machine::event;
  using effects = typename Machine::effects;

  /// Makes the machine of `how` in its place, where it stays: its parts may refer to each other.
  template <class... Args>
  shell(caf::event_based_actor* self, Owner* owner, Args&&... how)
    : self_(self), owner_(owner), machine_(std::forward<Args>(how)...) {}

  shell(const shell&) = delete;
  shell& operator=(const shell&) = delete;

  /// The time of the machine.
  [[nodiscard]] time_point now() const {
    return time_point{self_->clock().now().time_since_epoch()};
  }

  void step(event what, request_id id = 0) {
    effects out;
    {
      [[maybe_unused]] auto held = lock();
      machine_.step(now(), id, std::move(what), out);
    }
    carry_out(out);
  }

  /// Call it first if the machine has something to do before any event.
  void tick() {
    effects out;
    {
      [[maybe_unused]] auto held = lock();
      machine_.tick(now(), out);
    }
    carry_out(out);
  }

  [[nodiscard]] const Machine& machine() const {
    return machine_;
  }

private:
  auto lock() const {
    if constexpr (requires { owner_->lock(machine_); })
      return owner_->lock(machine_);
    else
      return false;
  }

  void carry_out(effects& out) {
    for (auto& each : out)
      troupe::visit([this](auto& what) { owner_->perform(what); }, each);
    if (auto next = machine_.next_deadline())
      timer_.arm(self_, caf::actor_clock::time_point{next->time_since_epoch()}, [this] { tick(); });
    if constexpr (requires { owner_->stepped(machine_); })
      owner_->stepped(machine_);
  }

  caf::event_based_actor* self_;
  Owner* owner_;
  Machine machine_;
  deadline_timer timer_;
};

} // namespace troupe
