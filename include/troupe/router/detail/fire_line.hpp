#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <variant>
#include <vector>

#include "caf/message.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/router/detail/agent_table.hpp"
#include "troupe/router/detail/origin.hpp"
#include "troupe/router/detail/routes.hpp"

namespace troupe::router::detail {

/// Where a message of class confirm or once goes, for which a confirm_room has room.
struct sure_place {
  agent_id agent;
  /// Those that were taken.
  std::size_t bytes = 0;
};

/// A message that a program has given to its router and nobody waits for; room for it was taken.
struct fire {
  /// To one agent of another node, to one of this node, or wherever else; or of class confirm or
  /// once.
  std::variant<far_place, agent_table::reservation, std::vector<stop>, sure_place> where;
  caf::message payload;
  said_by_program said{};

  /// Whether push() is to call on_the_way(): it may be for an agent of this process, and whoever
  /// has taken room for it has not done so.
  [[nodiscard]] bool is_to_count() const {
    return !std::holds_alternative<far_place>(where) && !std::holds_alternative<sure_place>(where);
  }
};

/// The way of what programs send to the router's actor: in batches, as a message of CAF's own for
/// each would cost more than all else that becomes of it there. A batch is open for more until the
/// actor takes it, until it is full, or until something else comes to the actor that may be a
/// message as well: so the messages of one sender keep their order, whichever way they are given.
///
/// Also says whether a message to an agent of this process may pass by the actor: if nothing on its
/// way there could be for that agent. So nobody overtakes themselves.
///
/// Thread-safe.
class fire_line {
public:
  using batch = std::vector<fire>;
  using ticket = std::shared_ptr<batch>;

  /// More cost no less for each, and whatever else comes to the actor waits behind them.
  static constexpr std::size_t max_batch = 256;

  /// Puts `what` into the open batch. Where there is none, `bring(ticket)` brings a new one to the
  /// actor, which calls take() with it; false: the actor has ended, and nothing was put there.
  template <class Bring>
  [[nodiscard]] bool push(fire what, const Bring& bring) {
    std::lock_guard guard{mutex_}; // held until the batch is on its way: others may push, and send
    if (is_closed_)
      return false;
    if (!open_ && !begin(bring))
      return false;
    auto counts = what.is_to_count();
    open_->push_back(std::move(what));
    if (counts)
      on_the_way();
    if (open_->size() >= max_batch)
      end();
    return true;
  }

  /// For the actor: what is in that batch, which gets no more.
  [[nodiscard]] batch take(const ticket& which) {
    std::lock_guard guard{mutex_};
    if (open_ == which)
      end();
    return std::exchange(*which, {});
  }

  /// The actor is done with what take() has returned, which is empty.
  void give_back(batch done) {
    std::lock_guard guard{mutex_};
    if (done.capacity() > spare_.capacity() && done.capacity() <= 2 * max_batch)
      spare_ = std::move(done);
  }

  /// Something else has come to the actor: what comes next is behind that.
  void seal() {
    if (!is_open_.load(std::memory_order_relaxed))
      return;
    std::lock_guard guard{mutex_};
    end();
  }

  /// Nothing is taken any more.
  void close() {
    std::lock_guard guard{mutex_};
    is_closed_ = true;
    end();
  }

  // -- what is on its way to the actor, and may be for an agent of this process -------------

  void on_the_way() {
    on_the_way_.fetch_add(1, std::memory_order_relaxed);
  }

  /// It has been given to the agent, or waits where others may pass it.
  void has_gone() {
    on_the_way_.fetch_sub(1, std::memory_order_release);
  }

  /// Whether what this thread sends may pass by the actor.
  [[nodiscard]] bool may_pass() const {
    return on_the_way_.load(std::memory_order_acquire) == 0;
  }

  /// Says has_gone() at its end.
  class going {
  public:
    explicit going(fire_line& of) : of_(of) {}
    going(const going&) = delete;
    going& operator=(const going&) = delete;
    ~going() {
      of_.has_gone();
    }

  private:
    fire_line& of_;
  };

private:
  template <class Bring>
  bool begin(const Bring& bring) {
    auto made = std::make_shared<batch>(std::exchange(spare_, {}));
    is_open_.store(true, std::memory_order_relaxed); // before others see it there
    if (!bring(made))
      return false;
    open_ = std::move(made); // not before: bring() may throw
    return true;
  }

  void end() {
    open_.reset();
    is_open_.store(false, std::memory_order_relaxed);
  }

  std::mutex mutex_;
  ticket open_;
  /// Room that an earlier batch has had.
  batch spare_;
  bool is_closed_ = false;
  /// Whoever has pushed sees it, or what has come since.
  std::atomic<bool> is_open_{false};
  std::atomic<std::uint64_t> on_the_way_{0};
};

} // namespace troupe::router::detail
