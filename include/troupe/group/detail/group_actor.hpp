#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "caf/action.hpp"
#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_clock.hpp"
#include "caf/actor_system.hpp"
#include "caf/behavior.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/group/detail/group_driver.hpp"
#include "troupe/host/group_member.hpp"

namespace troupe::host::detail {

/// The parts of a group that need an actor: its timer and the monitoring of peers.
class group_state_actor {
public:
  static inline const char* name = "troupe.group";

  group_state_actor(caf::event_based_actor* self, std::shared_ptr<group_driver> driver)
    : self_(self), driver_(std::move(driver)) {
    ignore_strays(self_);
    self_->set_down_handler([this](const caf::down_msg& gone) { driver_->lost(gone.source); });
  }

  ~group_state_actor() {
    driver_->close();
  }

  group_state_actor(const group_state_actor&) = delete;
  group_state_actor& operator=(const group_state_actor&) = delete;

  caf::behavior make_behavior() {
    return {
      [this](const group_message& what) { driver_->receive(what, self_->current_sender()); },
    };
  }

  /// Monitors a peer: the driver is told when it ends.
  void watch(const caf::strong_actor_ptr& who) {
    self_->monitor(who);
  }

private:
  caf::event_based_actor* self_;
  std::shared_ptr<group_driver> driver_;
};

/// Passes messages of the group to its driver on the thread that delivers them. The links run its
/// timer as well, as what a group does then is mostly to write to peers.
class group_actor
  : public compat::near_links<caf::stateful_actor<group_state_actor>, compat::elsewhere::by_links> {
public:
  using base
    = compat::near_links<caf::stateful_actor<group_state_actor>, compat::elsewhere::by_links>;

  group_actor(caf::actor_config& how, const std::shared_ptr<group_driver>& driver)
    : base(how, driver), driver_(driver) {}

  bool enqueue(caf::mailbox_element_ptr what, compat::execution_context* context) override {
    if (!what->content().match_elements<group_message>())
      return base::enqueue(std::move(what), context);
    if constexpr (requires { this->note_links(context); })
      this->note_links(context);
    compat::bringing here{context};
    driver_->receive(what->content().get_as<group_message>(0), what->sender);
    return true;
  }

private:
  std::shared_ptr<group_driver> driver_;
};

/// Spawns the actor of a driver; start the driver afterwards.
inline caf::actor spawn_group(caf::actor_system& sys, const std::shared_ptr<group_driver>& driver) {
  auto made = sys.spawn<group_actor, caf::hidden>(driver);
  driver->set_actor(caf::actor_cast<caf::weak_actor_ptr>(made));
  driver->set_alarm([&clock = sys.clock(), home = caf::actor_cast<caf::weak_actor_ptr>(made),
                     to = std::weak_ptr{driver}](time_point when) {
    auto ring = [to, when] {
      if (auto it = to.lock())
        it->wake(when);
    };
    clock.schedule(caf::actor_clock::time_point{when.time_since_epoch()},
                   caf::make_action(ring, caf::action::state::waiting), home);
  });
  return made;
}

/// The connection of a service to the driver of its group.
class group_seat final : public group_member {
public:
  group_seat(std::shared_ptr<group_driver> group, service_id which, std::uint64_t life,
             std::uint64_t token_floor)
    : group_(std::move(group)), which_(which), life_(life), token_floor_(token_floor) {}

  void join(std::uint32_t rules, job_runner home, std::function<void(group_event&)> tell) override {
    group_->join(which_, {rules, std::move(home), std::move(tell)});
  }

  void propose(proposal what) override {
    group_->step(0, group_core::propose{which_, std::move(what)});
  }

  void read(request_id id, bool may_wait) override {
    group_->step(id, group_core::read{which_, may_wait});
  }

  void give_section(raft::log_index index, std::function<std::string()> write) override {
    group_->give_section(which_, index, std::move(write));
  }

  void end(problem why) override {
    group_->step(0, group_core::ended{which_, std::move(why)});
  }

  void stop(problem why) override {
    group_->stop(why);
  }

  [[nodiscard]] std::uint64_t life() const override {
    return life_;
  }

  [[nodiscard]] std::uint64_t token_floor() const override {
    return token_floor_;
  }

private:
  std::shared_ptr<group_driver> group_;
  service_id which_;
  std::uint64_t life_;
  std::uint64_t token_floor_;
};

} // namespace troupe::host::detail
