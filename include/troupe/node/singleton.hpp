#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/host/detail/tied_actor.hpp"
#include "troupe/lock/types.hpp"
#include "troupe/node/options.hpp"

namespace troupe::cluster {

/// How a singleton is offered.
struct singleton_options {
  /// How its agent is registered.
  agent_options agent{};
  /// The lease of its lock, `singleton/ID`: so long nobody runs it after a node that did was killed
  /// or is cut off. At least 1 s.
  duration ttl = std::chrono::seconds{10};
  /// It is ended this long before the end of a lease that cannot be renewed. From 0 to a third of
  /// `ttl`; longer than one of its functions takes.
  duration margin = std::chrono::seconds{1};
};

namespace detail {

/// What those who hold a singleton see of it.
class singleton_board {
public:
  void runs(std::optional<std::uint64_t> token) {
    std::lock_guard guard{mutex_};
    token_ = token;
  }

  void end() {
    std::lock_guard guard{mutex_};
    token_.reset();
    is_over_ = true;
    changed_.notify_all();
  }

  [[nodiscard]] std::optional<lock::fencing_token> token() const {
    std::lock_guard guard{mutex_};
    return token_ ? std::optional{lock::fencing_token{*token_}} : std::nullopt;
  }

  bool wait_until_over(duration longest) const {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, longest, [this] { return is_over_; });
  }

private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::optional<std::uint64_t> token_;
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

  /// The token of its lock while it runs on this node; nothing while it does not. What it writes to
  /// a store of its own should carry this, see lock::fenced_store.
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
