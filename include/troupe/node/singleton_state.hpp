#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/exit_reason.hpp"
#include "caf/send.hpp"
#include "troupe/cluster/singleton_core.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/shell.hpp"
#include "troupe/core/guarded.hpp"
#include "troupe/core/once_all.hpp"
#include "troupe/lock/auto_renew_lock.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/node/singleton.hpp"

namespace troupe::cluster {

/// What a singleton_state has to know.
struct singleton_setup {
  agent_id id;
  /// Of the node, for people who look at the lock.
  std::string node;
  singleton_options how;
  lock::lock_client locks;
  std::uint64_t seed = 0;
  node_log log;
  std::shared_ptr<detail::singleton_board> board;
  /// Makes the agent, which handles messages as long as it is told that it may.
  singleton_maker make;
  /// Registers it, and says what came of that.
  std::function<void(const caf::actor&, done_handler)> add;
};

/// Runs a singleton on this node when `singleton_core` says so.
class singleton_state {
public:
  static inline const char* name = "troupe.singleton";

  singleton_state(caf::event_based_actor* self, singleton_setup setup)
    : self_(self),
      setup_(std::move(setup)),
      core_(self, this, setup_.id, setup_.how.margin, setup_.seed) {}

  singleton_state(const singleton_state&) = delete;
  singleton_state& operator=(const singleton_state&) = delete;

  /// Also where it goes with its actor system.
  ~singleton_state() {
    setup_.board->end();
  }

  caf::behavior make_behavior() {
    ignore_strays(self_);
    // Nobody holds the offer any more, or the node has stopped.
    self_->set_exit_handler(
      [this](caf::exit_msg&) { core_.step(singleton_core::withdraw_offer{}); });
    core_.step(singleton_core::offer{});
    return {[](caf::ok_atom) {}}; // lives on its timer and on actions
  }

private:
  friend shell<singleton_core, singleton_state>;

  template <class Job>
  auto on_this_actor(Job job) {
    return [home = caf::weak_actor_ptr{self_->ctrl()}, job](auto... what) {
      run_on(home, [job, ... what = std::move(what)]() mutable { job(std::move(what)...); });
    };
  }

  void perform(const singleton_core::take& what) {
    lock::hold_options how{.ttl = setup_.how.ttl,
                           .wait = what.is_brief ? std::min(turn, setup_.how.ttl) : turn,
                           .label = setup_.node,
                           .margin = setup_.how.margin};
    turn_ = what.id;
    auto lost = on_this_actor(
      [this, id = what.id](const problem& why) { core_.step(singleton_core::lost{why}, id); });
    auto answered
      = on_this_actor([this, id = what.id](std::shared_ptr<result<lock::auto_renew_lock>> found) {
          has_answer(id, *found);
        });
    lock::auto_renew_lock::hold(
      self_->system(), setup_.locks, singleton_core::lock_of(setup_.id), how, lost,
      [answered](result<lock::auto_renew_lock> found) {
        answered(std::make_shared<result<lock::auto_renew_lock>>(std::move(found)));
      });
  }

  /// One that nobody waits for any more is given back at its end.
  void has_answer(request_id id, result<lock::auto_renew_lock>& found) {
    if (id != turn_)
      return;
    if (!found)
      return core_.step(singleton_core::not_held{found.error()}, id);
    auto held = std::make_shared<const lock::auto_renew_lock>(*std::move(found));
    setup_.board->has(held);
    core_.step(singleton_core::held{held->token().value}, id);
  }

  void perform(const singleton_core::start& what) {
    agent_ = caf::actor{};
    auto thrown = guarded(
      [&] { agent_ = setup_.make([board = setup_.board] { return board->is_certain(); }); });
    if (thrown) { // as where the copy of a function throws
      core_.step(singleton_core::started{thrown}, what.id);
      return core_.step(singleton_core::ended{}, what.id);
    }
    auto ended = on_this_actor([this, id = what.id] { core_.step(singleton_core::ended{}, id); });
    agent_->attach_functor([ended] { ended(); });
    setup_.add(agent_, on_this_actor([this, id = what.id](const problem& why) {
                 core_.step(singleton_core::started{why}, id);
               }));
  }

  /// The router sees that it is gone, and has its name given back.
  void perform(const singleton_core::stop&) {
    caf::anon_send_exit(agent_, caf::exit_reason::user_shutdown);
  }

  void perform(const singleton_core::give_back&) {
    turn_ = 0;
    setup_.board->has(nullptr);
  }

  void perform(const singleton_core::over&) {
    self_->quit();
  }

  void perform(const singleton_core::inform& what) {
    setup_.log(what.text);
  }

  void perform(const singleton_core::warn& what) {
    setup_.log.warn(what.text);
  }

  void perform(const singleton_core::complain& what) {
    setup_.log.complain(what.topic, what.detail);
  }

  void perform(const singleton_core::settle& what) {
    setup_.log.settle(what.topic);
  }

  void stepped(const singleton_core& now) {
    setup_.board->runs(now.is_running());
  }

  /// Of one wait in line.
  static constexpr duration turn = std::chrono::minutes{1};

  caf::event_based_actor* self_;
  singleton_setup setup_;
  request_id turn_ = 0;
  caf::actor agent_;
  shell<singleton_core, singleton_state> core_;
};

} // namespace troupe::cluster
