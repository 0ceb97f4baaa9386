#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "troupe/core/machine.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/group/group_core.hpp"
#include "troupe/host/replicated_core.hpp"
#include "troupe/sim/world/mailbox.hpp"

namespace troupe::sim {

/// Questions to a service of a simulated node, and its answers.
template <class M>
struct service_question {
  /// `at` is called with the state once the group has confirmed that it is the latest. It stores
  /// its result for the client. It may be called again for a repeated question.
  struct look {
    std::function<void(host::replicated_core<M>&, time_point)> at;
  };

  /// The answer to look: `at` has been called.
  struct seen {};

  using any = std::variant<host::open_session, host::keep_session, host::close_session,
                           host::command<M>, look>;
  using answer = std::variant<host::session_id, effect_of<M>, problem, seen>;
};

/// The thread of a simulated node that runs one service. The group has its own thread, as in a real
/// process. The two only exchange messages, so neither knows the current state of the other.
template <machine M, class Home>
class service_thread {
public:
  using core = host::replicated_core<M>;
  using question = typename service_question<M>::any;
  using answer = typename service_question<M>::answer;
  using look = typename service_question<M>::look;

  /// Callbacks to its node.
  struct outside {
    /// Runs in the group's thread.
    std::function<void(request_id, const host::group_core::event&)> to_group;
    std::function<void(request_id, answer)> reply;
    /// This node cannot go on.
    std::function<void(const problem&)> broken;
    /// Returns the first event of each leader, for the lowest token that it may give. Null if
    /// there is no such event.
    std::function<typename M::event(std::uint64_t)> opening = nullptr;
  };

  service_thread(Home& here, host::service_id which, duration session_term, outside out)
    : here_(here),
      which_(which),
      outside_(std::move(out)),
      core_(here.random().next(), {.session_term = session_term}),
      started_(here.now()),
      to_group_(here, [this](for_group& what) { outside_.to_group(what.id, what.what); }),
      to_service_(here, [this](host::group_event& what) {
        if (!is_stopped_)
          troupe::visit([this](auto& each) { this->hear(each); }, what);
      }) {}

  /// Called in the group's thread.
  void tell(host::group_event what) {
    to_service_.put(std::move(what));
  }

  /// `by`: the identity of who asks; empty if nothing is known of it.
  /// @pre `id` is unique.
  void ask(request_id id, const question& what, const std::string& by = {}) {
    if (is_stopped_)
      return;
    auto take = overloaded{
      [&](const look& each) { look_up(id, each); },
      [&](const auto& each) {
        step(id, host::caller_request<M>{each, by});
      },
    };
    troupe::visit(take, what);
  }

  void wake() {
    if (is_stopped_)
      return;
    if (auto due = steady_deadline(); due && *due <= here_.now()) {
      typename core::effects made;
      core_.tick(now(), made);
      carry_out(made);
    }
    if (auto due = core_.next_wall_deadline(); due && *due <= here_.calendar())
      tell_calendar();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    if (is_stopped_)
      return std::nullopt;
    auto next = steady_deadline();
    if (auto due = core_.next_wall_deadline()) {
      auto then
        = here_.now() + std::clamp(*due - here_.calendar(), duration::zero(), calendar_every);
      next = std::min(next.value_or(then), then);
    }
    return next;
  }

  /// Stops it: later messages are ignored.
  void stop() {
    is_stopped_ = true;
  }

  [[nodiscard]] const core& inside() const {
    return core_;
  }

private:
  struct for_group {
    request_id id = 0;
    host::group_core::event what;
  };

  static constexpr std::uint64_t first_token = 1'000'000;
  /// The wall clock may be set, so it is read at least this often while the machine needs it.
  static constexpr duration calendar_every = std::chrono::milliseconds{500};

  /// The time of the group, as the leading service estimates it.
  [[nodiscard]] time_point now() const {
    return born_ + (here_.now() - started_);
  }

  [[nodiscard]] std::optional<time_point> steady_deadline() const {
    auto due = core_.next_deadline();
    return due ? std::optional{started_ + (std::max(*due, born_) - born_)} : std::nullopt;
  }

  void step(request_id id, typename core::event what) {
    typename core::effects made;
    core_.step(now(), id, std::move(what), made);
    carry_out(made);
  }

  void tell_calendar() {
    if constexpr (wall_timed<M>)
      step(0, typename core::wall_is{here_.calendar()});
  }

  void look_up(request_id id, const look& what) {
    if (auto why = core_.refusal())
      return outside_.reply(id, std::move(why));
    looks_.emplace(id, what.at);
    to_group_.put({id, host::group_core::read{which_}});
  }

  // -- events of the group ----------------------------------------------------------------

  void hear(host::to_service::deliver& what) {
    step(0, typename core::committed{std::move(what.payload)});
  }

  void hear(host::to_service::lead& what) {
    started_ = what.at;
    born_ = time_point{what.now.time_since_epoch()};
    auto floor = core_.index() == 0 ? first_token : 0;
    step(0, typename core::leads{what.term});
    if (outside_.opening)
      step(0, host::notice<M>{outside_.opening(floor)});
    tell_calendar();
  }

  void hear(host::to_service::follow& what) {
    for (auto& [id, at] : std::exchange(looks_, {}))
      outside_.reply(id, what.why);
    step(0, typename core::follows{std::move(what.why)});
  }

  void hear(host::to_service::excluded&) {
    stop();
  }

  void hear(host::to_service::not_taken& what) {
    step(0, typename core::not_taken{what.number, std::move(what.why)});
  }

  void hear(host::to_service::read_ready& what) {
    if (auto found = looks_.extract(what.id)) {
      found.mapped()(core_, now());
      outside_.reply(what.id, typename service_question<M>::seen{});
    }
  }

  void hear(host::to_service::read_refused& what) {
    if (looks_.erase(what.id) > 0)
      outside_.reply(what.id, std::move(what.why));
  }

  void hear(host::to_service::without_quorum& what) {
    step(0, typename core::without_quorum{std::move(what.why)});
  }

  void hear(host::to_service::allow_rules& what) {
    step(0, typename core::rules_allowed{what.number});
  }

  void hear(host::to_service::take_section& what) {
    to_group_.put({0, host::group_core::section_of(what.service, what.index, core_.section())});
  }

  void hear(host::to_service::restore_section& what) {
    typename core::effects made;
    if (auto why = core_.restore_section(what.bytes, made))
      outside_.broken(why);
    carry_out(made);
  }

  // -- effects
  // -------------------------------------------------------------------------------

  void carry_out(typename core::effects& out) {
    for (auto& what : out)
      troupe::visit([&](auto& each) { handle(each); }, what);
  }

  template <class Other>
  void handle(Other&) {}

  void handle(typename core::propose& what) {
    to_group_.put({0, host::group_core::propose{which_, std::move(what.what)}});
  }

  void handle(typename core::answered& what) {
    outside_.reply(what.id, std::move(what.what));
  }

  void handle(typename core::session_done& what) {
    outside_.reply(what.id, what.session);
  }

  void handle(typename core::rejected& what) {
    outside_.reply(what.id, std::move(what.why));
  }

  void handle(typename core::diverged& what) {
    outside_.broken(what.why);
  }

  Home& here_;
  host::service_id which_;
  outside outside_;
  core core_;
  bool is_stopped_ = false;
  /// The group's time was `born_` when the clock here showed `started_`.
  time_point started_;
  time_point born_;
  mailbox<Home, for_group> to_group_;
  mailbox<Home, host::group_event> to_service_;
  std::map<request_id, decltype(look::at)> looks_;
};

} // namespace troupe::sim
