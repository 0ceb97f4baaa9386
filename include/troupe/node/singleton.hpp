#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "caf/actor.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/host/detail/tied_actor.hpp"
#include "troupe/lock/auto_renew_lock.hpp"
#include "troupe/node/options.hpp"

namespace troupe::cluster {

/// How a singleton is offered.
struct singleton_options {
  /// How its agent is registered. Its name is not claimed in the group, whatever `unique` says: its
  /// lock is, and a node that was killed keeps its names until it is back.
  agent_options agent{};
  /// The lease of its lock, `singleton/ID`: so long nobody runs it after a node that did was killed
  /// or is cut off. At least 1 s, at most lock_options::max_span.
  duration ttl = std::chrono::seconds{10};
  /// It is ended this long before the end of a lease that cannot be renewed, or a third of `ttl` if
  /// that is less. Not negative; longer than one of its functions takes.
  duration margin = std::chrono::seconds{1};
};

/// Makes the agent of a singleton, which handles messages as long as `may` is true.
using singleton_maker = std::function<caf::actor(std::function<bool()> may)>;

namespace detail {

/// What those who hold a singleton see of it, and its agent before it handles a message.
class singleton_board {
public:
  /// This node has the lock from here on; null: it has not.
  void has(std::shared_ptr<const lock::auto_renew_lock> held) {
    std::lock_guard guard{mutex_};
    lock_.swap(held); // the earlier one goes when the mutex is free
  }

  void runs(bool does) {
    std::lock_guard guard{mutex_};
    is_running_ = does;
  }

  void end() {
    std::shared_ptr<const lock::auto_renew_lock> last;
    std::lock_guard guard{mutex_};
    lock_.swap(last);
    is_running_ = false;
    is_over_ = true;
    changed_.notify_all();
  }

  /// By the clock: also right after this process was stopped for longer than the lease.
  [[nodiscard]] bool is_certain() const {
    auto held = lock();
    return held && held->held();
  }

  [[nodiscard]] std::optional<lock::fencing_token> token() const {
    auto held = lock();
    return held && is_running() && held->held() ? std::optional{held->token()} : std::nullopt;
  }

  bool wait_until_over(duration longest) const {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, longest, [this] { return is_over_; });
  }

private:
  [[nodiscard]] std::shared_ptr<const lock::auto_renew_lock> lock() const {
    std::lock_guard guard{mutex_};
    return lock_;
  }

  [[nodiscard]] bool is_running() const {
    std::lock_guard guard{mutex_};
    return is_running_;
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::shared_ptr<const lock::auto_renew_lock> lock_;
  bool is_running_ = false;
  bool is_over_ = false;
};

} // namespace detail

/// An offer to run a singleton: an agent of which at most one runs in the cluster, on one of the
/// nodes that offer it, see node::singleton(). The offer lasts as long as this object and its node;
/// the destructor withdraws it, and does not wait. Movable; calls are thread-safe.
class singleton {
public:
  singleton(std::shared_ptr<const detail::singleton_board> board,
            std::shared_ptr<host::detail::tied_actor> actor)
    : board_(std::move(board)), actor_(std::move(actor)) {}

  /// The token of its lock while it runs on this node and the lease is certain; nothing otherwise.
  /// What it writes to a store of its own should carry this, see lock::fenced_store: a process may
  /// be stopped in the middle of a function.
  [[nodiscard]] std::optional<lock::fencing_token> token() const {
    return board_->token();
  }

  [[nodiscard]] bool runs_here() const {
    return token().has_value();
  }

  /// Withdraws the offer, and waits up to `wait` until its agent has ended here: another node may
  /// run it from then on. Call it before the node stops: then nobody has to wait for the end of the
  /// lease. Blocks. Errors: timed_out (its agent still handles a message).
  result<void> end(duration wait = std::chrono::seconds{10}) {
    actor_->end();
    if (!board_->wait_until_over(wait))
      return problem{errc::timed_out, "the singleton still handles a message; it ends after that"};
    return {};
  }

private:
  std::shared_ptr<const detail::singleton_board> board_;
  std::shared_ptr<host::detail::tied_actor> actor_;
};

} // namespace troupe::cluster
