#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/log_effects.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/backoff.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/names.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"

namespace troupe::cluster {

/// Decides when this node runs a singleton: an agent that several nodes offer to run, and of which
/// at most one at a time does.
///
/// - Who holds the lock of its name runs it; the others wait in line. A node that lost it waits
///   like any other.
/// - It is ended before the lock is given back, and `margin` before the end of a lease that cannot
///   be renewed, as where this node is cut off from a majority. An agent that still handles a
///   message when the lease is over cannot be ended sooner: that is said, and it should guard what
///   it writes with its token, see lock::fenced_store.
/// - One that ends by itself, as when a function of it throws, or that cannot start, runs elsewhere
///   if another node waits; this node asks again after a pause: 0.1 to 0.3 s, up to 5.1 s when that
///   happens again and again. Once an agent has run for `steady_after`, its end is the first again.
/// - Where the bound of the lock service (lock_options::max_span) is below a usual wait in line,
///   it waits no longer at a time than its lease lasts.
/// - Once the offer is withdrawn it ends, and then the lock is given back.
///
/// Steps like any machine. Not thread-safe. Cost of a step: O(1).
class singleton_core {
public:
  // -- events --------------------------------------------------------------------------------

  /// It is offered from here on.
  struct offer {};

  /// Answers `take` of this step's id: this node has the lock, under that token.
  struct held {
    std::uint64_t token = 0;
  };

  /// Answers `take`: it has not. timed_out: others have had it all the time.
  struct not_held {
    problem why;
  };

  /// The lease of the `take` with this step's id is over, or ends in `margin`. May come before
  /// `held`.
  struct lost {
    problem why;
  };

  /// Answers `start` of this step's id: the agent runs, and is known; or why it must not.
  struct started {
    problem why;
  };

  /// The agent of the `start` with this step's id has ended: by itself, or as it was to `stop`,
  /// also if it was never made. Follows each `start`.
  struct ended {};

  /// It is offered no more.
  struct withdraw_offer {};

  using event = std::variant<offer, held, not_held, lost, started, ended, withdraw_offer>;

  // -- effects -------------------------------------------------------------------------------

  /// Wait in line for the lock: for as long as is usual; or, if it `is_brief`, at most for the ttl
  /// of its lease.
  struct take {
    request_id id = 0;
    bool is_brief = false;
  };

  /// Run the agent under that token.
  struct start {
    request_id id = 0;
    std::uint64_t token = 0;
  };

  /// End the agent; `ended` follows.
  struct stop {};

  /// Give the lock back, or leave the line: whatever comes of `take` is given back, too.
  struct give_back {};

  /// The offer has ended.
  struct over {};

  using inform = log_effects::inform;
  using warn = log_effects::warn;
  using complain = log_effects::complain;
  using settle = log_effects::settle;

  using effect = std::variant<take, start, stop, give_back, over, inform, warn, complain, settle>;
  using effects = std::vector<effect>;

  /// An agent that has run for so long begins anew as one that has never ended.
  static constexpr duration steady_after = std::chrono::minutes{1};

  /// The name of its lock.
  [[nodiscard]] static std::string lock_of(const agent_id& id) {
    return "singleton/" + id.text();
  }

  /// Errors: bad_argument. The name of its lock is longer than its id, and no longer than any name.
  [[nodiscard]] static problem check(const agent_id& id) {
    auto most = max_name_bytes - lock_of({}).size();
    if (id.text().size() > most)
      return {errc::bad_argument, "the id of a singleton has " + std::to_string(id.text().size())
                                    + " bytes; give at most " + std::to_string(most)};
    return troupe::check(id);
  }

  /// Of the complaint that it cannot run here.
  [[nodiscard]] std::string topic() const {
    return "singleton '" + id_.text() + "' does not run here";
  }

  /// `margin`: of the lease.
  singleton_core(agent_id id, duration margin, std::uint64_t seed)
    : id_(std::move(id)), margin_(margin), random_(seed) {}

  void step(time_point now, request_id id, event what, effects& out) {
    now_ = now;
    out_ = &out;
    troupe::visit([&](auto& each) { handle(id, each); }, what);
    out_ = nullptr;
  }

  void tick(time_point now, effects& out) {
    now_ = now;
    out_ = &out;
    if (at_ && *at_ <= now) {
      at_.reset();
      if (is_ == state::resting)
        ask();
      else
        emit(
          warn{"singleton '" + id_.text()
               + "' still handles a message, and its lease is over: "
                 "another node may run it by now. Let its functions return sooner, and guard what "
                 "they write with its token (lock::fenced_store)"});
    }
    out_ = nullptr;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return at_;
  }

  /// Whether the agent runs here.
  [[nodiscard]] bool is_running() const {
    return is_ == state::running;
  }

private:
  enum class state : std::uint8_t {
    /// Not offered.
    none,
    /// Waits for the lock.
    asking,
    /// Has the lock, and the agent is being started.
    starting,
    running,
    /// The agent is being ended.
    stopping,
    /// Before it asks again.
    resting,
  };

  template <class Effect>
  void emit(Effect what) {
    out_->push_back(std::move(what));
  }

  void handle(request_id, const offer&) {
    if (is_ == state::none && !is_withdrawn_)
      ask();
  }

  void ask() {
    is_ = state::asking;
    emit(take{turn_ = ++last_id_, is_brief_});
  }

  void handle(request_id id, const held& what) {
    if (is_ != state::asking || id != turn_)
      return;
    has_lock_ = true;
    is_ = state::starting;
    run_ = ++last_id_;
    emit(start{run_, what.token});
  }

  void handle(request_id id, const not_held& what) {
    if (is_ != state::asking || id != turn_)
      return;
    if (what.why.code == errc::timed_out)
      return ask();
    if (what.why.code == errc::bad_argument && !std::exchange(is_brief_, true))
      return ask(); // a wait may be longer than the service allows, where a lease is not
    emit(complain{topic(), what.why.detail});
    rest();
  }

  void handle(request_id id, const lost& what) {
    if (id != turn_)
      return;
    if (is_ == state::asking) {
      emit(complain{topic(), what.why.detail});
      emit(give_back{}); // what comes of `take`
      return rest();
    }
    if (!has_lock_)
      return;
    has_lock_ = false;
    at_ = now_ + margin_;
    emit(complain{topic(), what.why.detail});
    end_agent();
  }

  void handle(request_id id, const started& what) {
    if (id != run_)
      return;
    if (what.why) {
      emit(complain{topic(), what.why.detail});
      return end_agent(); // it may handle a message that came before it was refused
    }
    if (is_ != state::starting)
      return;
    is_ = state::running;
    runs_since_ = now_;
    emit(settle{topic()});
    emit(inform{"singleton '" + id_.text() + "' runs here"});
  }

  void handle(request_id id, const ended&) {
    if (id != run_)
      return;
    if (is_ == state::running || is_ == state::starting)
      emit(inform{"singleton '" + id_.text()
                  + "' has ended; it runs where another node offers it, or "
                    "here again after a pause"});
    agent_is_gone();
  }

  void handle(request_id, const withdraw_offer&) {
    if (std::exchange(is_withdrawn_, true))
      return;
    if (is_ == state::starting || is_ == state::running)
      return end_agent();
    if (is_ != state::stopping)
      end_offer();
  }

  /// @pre it starts, runs or is being ended
  void end_agent() {
    if (is_ == state::stopping)
      return;
    is_ = state::stopping;
    emit(stop{});
  }

  /// @pre it starts, runs or is being ended
  void agent_is_gone() {
    run_ = 0;
    if (auto since = std::exchange(runs_since_, {}); since && now_ - *since >= steady_after)
      tries_ = 0;
    if (is_withdrawn_)
      return end_offer();
    if (std::exchange(has_lock_, false))
      emit(give_back{});
    rest();
  }

  void rest() {
    is_ = state::resting;
    at_ = now_ + least_rest + pause.delay(++tries_, random_);
  }

  void end_offer() {
    is_ = state::none;
    at_.reset();
    has_lock_ = false;
    turn_ = run_ = 0;
    emit(give_back{});
    emit(over{});
  }

  static constexpr duration least_rest = std::chrono::milliseconds{100};
  static constexpr backoff pause{std::chrono::milliseconds{200}, std::chrono::seconds{5}};

  const agent_id id_;
  const duration margin_;
  random_source random_;
  state is_ = state::none;
  bool is_withdrawn_ = false;
  bool has_lock_ = false;
  /// The `take` and the `start` that count; zero: none.
  request_id turn_ = 0;
  request_id run_ = 0;
  request_id last_id_ = 0;
  /// Whether it waits for less than usual.
  bool is_brief_ = false;
  /// Failed tries in a row.
  std::uint32_t tries_ = 0;
  /// When the agent that runs, or is being ended, began to.
  std::optional<time_point> runs_since_;
  /// When it asks again, or its lease is over.
  std::optional<time_point> at_;

  /// While a step runs.
  time_point now_{};
  effects* out_ = nullptr;
};

} // namespace troupe::cluster
