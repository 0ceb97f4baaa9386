#ifndef TROUPE_LOCK_IMPL_AUTO_RENEW_LOCK_IPP
#define TROUPE_LOCK_IMPL_AUTO_RENEW_LOCK_IPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/caf/deadline_timer.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/lock/auto_renew_lock.hpp"

namespace troupe::lock {

namespace detail {

/// What the holder and the renewing actor share.
struct hold_status {
  lease held;
  duration margin{}; // see hold_options

  [[nodiscard]] duration worth() const {
    return held.ttl - margin;
  }

  std::atomic<caf::actor_clock::duration_type::rep> valid_until{};
  std::atomic<bool> lost = false;
};

/// Renews one lease after each third of its ttl until it is stopped or the lease is over.
class renewer_state {
public:
  static inline const char* name = "troupe.auto-renew";

  renewer_state(caf::event_based_actor* self, lock_client locks,
                std::shared_ptr<hold_status> status, lost_handler on_lost)
    : self_(self),
      locks_(std::move(locks)),
      status_(std::move(status)),
      on_lost_(std::move(on_lost)) {}

  caf::behavior make_behavior() {
    renew_at_ = valid_until() - status_->worth() + status_->held.ttl / 3;
    arm();
    self_->set_exit_handler([this](caf::exit_msg&) {
      lose({errc::withdrawn, "the client of " + status_->held.name
                               + " was closed, as its node has stopped; stop using it"});
    });
    return {[](caf::ok_atom) {}}; // lives on its timer and on actions
  }

private:
  [[nodiscard]] caf::actor_clock::time_point valid_until() const {
    return caf::actor_clock::time_point{
      caf::actor_clock::duration_type{status_->valid_until.load()}};
  }

  void arm() {
    timer_.arm(self_, std::min(renew_at_, valid_until()), [this] { wake(); });
  }

  void wake() {
    auto now = self_->clock().now();
    if (now >= valid_until())
      return lose({errc::stale_token, "the lease of " + status_->held.name
                                        + " could not be renewed in time; stop using it"});
    if (now >= renew_at_) {
      renew_at_ = now + status_->held.ttl / 3;
      renew(now);
    }
    arm();
  }

  void renew(caf::actor_clock::time_point sent) {
    auto ttl = status_->held.ttl;
    // Answers arrive on the actor of the client; they are handled on this one.
    auto answered = [this, sent, home = caf::weak_actor_ptr{self_->ctrl()}](auto answer) {
      run_on(home, [this, sent, answer = std::move(answer)] {
        if (answer)
          status_->valid_until = (sent + status_->worth()).time_since_epoch().count();
        else if (answer.error().code == errc::stale_token || answer.error().code == errc::denied)
          lose(answer.error()); // it could not be renewed any more
      });
    };
    locks_.service().async(lock::renew{status_->held.name, status_->held.token, ttl}, ttl,
                           std::move(answered));
  }

  void lose(const problem& why) {
    if (!status_->lost.exchange(true) && on_lost_)
      on_lost_(why);
    self_->quit();
  }

  caf::event_based_actor* self_;
  lock_client locks_;
  std::shared_ptr<hold_status> status_;
  lost_handler on_lost_;
  caf::actor_clock::time_point renew_at_;
  deadline_timer timer_;
};

inline problem check_margin(const hold_options& how) {
  if (how.ttl <= duration::zero()) // the lock service says its bounds
    return {};
  if (how.margin >= duration::zero() && how.margin <= how.ttl / 3)
    return {};
  return {errc::bad_argument, "hold_options::margin is " + troupe::to_string(how.margin)
                                + "; give from 0 to a third of hold_options::ttl, "
                                + troupe::to_string(how.ttl / 3)};
}

/// Whether a lease that was asked for then may have run out since.
inline bool is_late(const hold_options& how, caf::actor_clock::time_point asked,
                    caf::actor_clock::time_point now) {
  return how.wait > duration::zero() || now >= asked + (how.ttl - how.margin);
}

/// Does not wait for the answer.
inline void give_back(lock_client& locks, const lease& held) {
  locks.service().async(lock::release{held.name, held.token}, lock_client::answer_within,
                        [](const auto&) {});
}

} // namespace detail

TROUPE_COMPILED result<auto_renew_lock>
auto_renew_lock::hold(caf::actor_system& sys, lock_client locks, const std::string& name,
                      const hold_options& how, lost_handler on_lost) {
  if (auto why = detail::check_margin(how))
    return why;
  auto asked = sys.clock().now();
  auto granted = locks.acquire(name, how);
  if (!granted)
    return granted.error();
  return keep(sys, std::move(locks), *granted, asked, how, std::move(on_lost));
}

TROUPE_COMPILED void auto_renew_lock::hold(caf::actor_system& sys, lock_client locks,
                                           const std::string& name, const hold_options& how,
                                           lost_handler on_lost,
                                           std::function<void(result<auto_renew_lock>)> done) {
  if (auto why = detail::check_margin(how))
    return done(why);
  auto asked = sys.clock().now();
  locks.acquire(name, how, [=, &sys](const result<lease>& granted) mutable {
    if (!granted)
      return done(granted.error());
    auto now = sys.clock().now();
    if (!detail::is_late(how, asked, now))
      return done(auto_renew_lock{sys, locks, *granted, how.margin, asked, on_lost});
    auto held = *granted;
    auto service = locks.service();
    service.async(lock::renew{held.name, held.token, how.ttl}, how.answer_within,
                  [=, &sys](const result<lease>& renewed) mutable {
                    if (renewed)
                      return done(auto_renew_lock{sys, locks, *renewed, how.margin, now, on_lost});
                    detail::give_back(locks, held);
                    done(renewed.error());
                  });
  });
}

TROUPE_COMPILED result<auto_renew_lock> auto_renew_lock::keep(caf::actor_system& sys,
                                                              lock_client locks, lease granted,
                                                              caf::actor_clock::time_point asked,
                                                              const hold_options& how,
                                                              lost_handler on_lost) {
  auto why = detail::check_margin(how);
  auto now = sys.clock().now();
  if (!why && detail::is_late(how, asked, now)) {
    asked = now;
    if (auto renewed = locks.renew(granted, how.ttl, how.answer_within); renewed)
      granted = *std::move(renewed);
    else
      why = renewed.error();
  }
  if (why) {
    detail::give_back(locks, granted);
    return why;
  }
  return auto_renew_lock{sys,   std::move(locks),  std::move(granted), how.margin,
                         asked, std::move(on_lost)};
}

TROUPE_COMPILED auto_renew_lock& auto_renew_lock::operator=(auto_renew_lock&& other) noexcept {
  if (this != &other) {
    let_go();
    locks_ = std::move(other.locks_);
    status_ = std::move(other.status_);
    renewer_ = std::move(other.renewer_);
  }
  return *this;
}

TROUPE_COMPILED auto_renew_lock::~auto_renew_lock() {
  let_go();
}

TROUPE_COMPILED bool auto_renew_lock::held() const {
  auto is_valid = false;
  renewer_->use([&](const caf::actor& by) {
    auto now = by.home_system().clock().now();
    is_valid = now.time_since_epoch().count() < status_->valid_until.load();
  });
  return is_valid && !status_->lost;
}

TROUPE_COMPILED fencing_token auto_renew_lock::token() const {
  return status_->held.token;
}

TROUPE_COMPILED const lease& auto_renew_lock::value() const {
  return status_->held;
}

TROUPE_COMPILED result<lease> auto_renew_lock::release(duration wait) {
  stop();
  return locks_.release(status_->held, wait);
}

TROUPE_COMPILED void auto_renew_lock::release(duration wait,
                                              std::function<void(const result<lease>&)> done) {
  stop();
  locks_.service().async(lock::release{status_->held.name, status_->held.token}, wait,
                         [done = std::move(done)](const result<lease>& what) { done(what); });
}

TROUPE_COMPILED auto_renew_lock::auto_renew_lock(caf::actor_system& sys, lock_client locks,
                                                 lease granted, duration margin,
                                                 caf::actor_clock::time_point sent,
                                                 lost_handler on_lost)
  : locks_(std::move(locks)), status_(std::make_shared<detail::hold_status>()) {
  status_->held = std::move(granted);
  status_->margin = margin;
  status_->valid_until = (sent + status_->worth()).time_since_epoch().count();
  renewer_ = locks_.service().tie(
    caf::actor_cast<caf::actor>(sys.spawn<caf::stateful_actor<detail::renewer_state>, caf::hidden>(
      locks_, status_, std::move(on_lost))));
}

TROUPE_COMPILED void auto_renew_lock::stop() {
  status_->lost = true;
  renewer_->end();
}

TROUPE_COMPILED void auto_renew_lock::let_go() {
  if (!renewer_)
    return; // moved from
  if (!status_->lost)
    detail::give_back(locks_, status_->held);
  stop();
}

} // namespace troupe::lock

#endif
