#pragma once

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/host/core_options.hpp"
#include "troupe/host/types.hpp"

namespace troupe::host::detail {

/// What a core wants written, and who waits for it: the entries that wait for the disk, and the one
/// batch that is on its way there. Entries that come meanwhile form the next batch (group commit).
///
/// - Callers find a bound, core_options::max_queued. What the host itself enters has none: the
///   core enters each such thing once.
/// - A batch that is not written comes to nothing: its callers are refused, and what the host
///   entered goes back to the front, in its order. Then writes pause for `rest`, so that a full
///   disk is not asked without pause.
/// - A batch that is too large is tried again in two halves, and so on; later batches grow again. A
///   single record that is too large is dropped, as everything else would wait behind it forever.
///
/// Memory, not state: lost in a crash. Not thread-safe. Cost of a call: O(1), of begin() and
/// give_up() O(records in the batch), of forget() O(n).
template <machine M>
class record_queue {
public:
  using entry = decltype(record<M>::what);

  /// See durable_core::rest.
  static constexpr duration rest = std::chrono::milliseconds{100};

  /// A batch that has ended.
  struct ended {
    batch<M> records;
    /// Who waits for each of them, zero if nobody does.
    std::vector<request_id> callers;
  };

  /// Those who wait for what is not written here any more.
  struct left {
    /// Their records may be written nevertheless.
    std::vector<request_id> under_way;
    std::vector<request_id> queued;
  };

  explicit record_queue(const core_options& options)
    : max_queued_(options.max_queued), max_batch_(options.max_batch) {}

  // -- this replica writes, or another ------------------------------------------------

  [[nodiscard]] bool is_open() const {
    return is_open_;
  }

  /// This replica writes from now on.
  void open() {
    is_open_ = true;
    rests_until_ = time_point::min();
  }

  /// Another replica writes from now on: forgets all entries. Names their callers.
  left close() {
    is_open_ = false;
    under_way_.reset();
    configuring_ = 0;
    left without{std::exchange(callers_, {}), {}};
    for (auto& each : std::exchange(waiting_, {}))
      without.queued.push_back(each.caller);
    return without;
  }

  // -- entries -----------------------------------------------------------------------

  [[nodiscard]] bool has_room() const {
    return waiting_.size() < max_queued_;
  }

  /// Enters what `caller` asks in the name of `by`; zero: nobody waits for it. limit_reached if
  /// there is no room.
  /// @pre is_open()
  [[nodiscard]] problem enter(request_id caller, entry what, std::string by) {
    if (!has_room())
      return {errc::limit_reached, std::to_string(waiting_.size())
                                     + " requests wait for the disk; retry with backoff or raise "
                                       "core_options::max_queued"};
    configuring_ += configures(what) ? 1 : 0;
    waiting_.push_back({caller, std::move(what), std::move(by)});
    return {};
  }

  /// Enters what the host itself wants written, which has room always and configures nothing.
  /// @pre is_open()
  void enter_own(entry what, std::string by = {}) {
    assert(!configures(what));
    waiting_.push_back({0, std::move(what), std::move(by)});
  }

  /// The caller waits no more. What it asked is written nevertheless.
  void forget(request_id caller) {
    for (auto& each : waiting_)
      if (each.caller == caller)
        each.caller = 0;
    std::ranges::replace(callers_, caller, request_id{0});
  }

  /// Returns whether there is no entry, neither waiting nor under way.
  [[nodiscard]] bool is_empty() const {
    return waiting_.empty() && !under_way_;
  }

  /// Returns whether entries wait for the next batch.
  [[nodiscard]] bool has_waiting() const {
    return !waiting_.empty();
  }

  /// Returns whether an entry, waiting or under way, may change options: a notice other than
  /// withdraw, wall and silence.
  [[nodiscard]] bool configures() const {
    return configuring_ != 0;
  }

  // -- batches -----------------------------------------------------------------------

  /// No batch begins until let_go().
  void hold() {
    is_held_ = true;
  }

  void let_go() {
    is_held_ = false;
  }

  /// Returns whether a batch could begin, or could after a rest.
  [[nodiscard]] bool may_write() const {
    return is_open_ && !is_held_ && !under_way_;
  }

  /// Before this time no batch begins.
  [[nodiscard]] time_point rests_until() const {
    return rests_until_;
  }

  /// Makes the next batch: records from `first` on, of the time `at`. `history` goes into the
  /// first.
  /// @pre may_write(), has_waiting()
  batch<M> begin(request_id first, time_point at, std::uint64_t history) {
    assert(may_write() && has_waiting());
    auto count = std::min({waiting_.size(), max_batch_, batch_limit_});
    auto records = std::make_shared<std::vector<record<M>>>();
    records->reserve(count);
    for (; count > 0; --count) {
      auto& next = waiting_.front();
      records->push_back({first + records->size(), at, std::move(next.what),
                          records->empty() ? history : 0, std::move(next.by)});
      callers_.push_back(next.caller);
      waiting_.pop_front();
    }
    under_way_ = records;
    return under_way_;
  }

  /// The batch is on the disk.
  /// @pre one is under way
  ended commit() {
    auto done = end();
    auto written = done.records->size();
    batch_limit_ = std::max(batch_limit_, written + written / 8 + 1);
    for (auto& each : *done.records)
      configuring_ -= configures(each.what) ? 1 : 0;
    return done;
  }

  /// No part of the batch is on the disk, because of `why`: see durable_core::not_written. Returns
  /// who is refused because of that; zero stands for an entry of the host itself that is dropped.
  /// @pre a batch is under way
  std::vector<request_id> give_up(time_point now, errc why) {
    auto lost = end();
    if (why == errc::too_large && lost.records->size() > 1) {
      put_back(lost);
      batch_limit_ = lost.records->size() / 2;
      return {};
    }
    auto is_hopeless = why == errc::too_large;
    if (!is_hopeless)
      rests_until_ = now + rest;
    if (why == errc::busy) {
      put_back(lost);
      return {};
    }
    std::vector<request_id> refused;
    auto position = waiting_.begin();
    for (std::size_t each = 0; each < lost.callers.size(); ++each) {
      auto& line = (*lost.records)[each];
      if (lost.callers[each] != 0 || is_hopeless) {
        configuring_ -= configures(line.what) ? 1 : 0;
        refused.push_back(lost.callers[each]);
      } else if (is_own(line.what)) {
        position = std::next(waiting_.insert(position, {0, line.what, line.by}));
      }
    }
    return refused;
  }

private:
  struct waiting {
    request_id caller;
    entry what;
    std::string by;
  };

  static bool configures(const entry& what) {
    auto* found = std::get_if<notice<M>>(&what);
    if (found == nullptr)
      return false;
    if constexpr (std::is_constructible_v<typename M::event, withdraw>)
      if (std::holds_alternative<withdraw>(found->what))
        return false;
    if constexpr (wall_timed<M>)
      if (std::holds_alternative<wall>(found->what))
        return false;
    if constexpr (life_watching<M>)
      if (std::holds_alternative<silence>(found->what))
        return false;
    return true;
  }

  /// Returns whether the host would not enter it again, so that it must not be lost.
  static bool is_own(const entry& what) {
    return std::holds_alternative<notice<M>>(what) || std::holds_alternative<close_session>(what)
           || std::holds_alternative<use_rules>(what);
  }

  ended end() {
    assert(under_way_);
    return {std::exchange(under_way_, {}), std::exchange(callers_, {})};
  }

  /// Puts all of it back to the front, in its order.
  void put_back(const ended& lost) {
    for (auto each = lost.records->size(); each-- > 0;) {
      auto& line = (*lost.records)[each];
      waiting_.push_front({lost.callers[each], line.what, line.by});
    }
  }

  std::size_t max_queued_;
  std::size_t max_batch_;
  bool is_open_ = true;
  bool is_held_ = false;
  std::deque<waiting> waiting_;
  batch<M> under_way_;
  std::vector<request_id> callers_; // of the batch under way, by position
  std::size_t batch_limit_ = std::numeric_limits<std::size_t>::max(); // records; see give_up
  std::size_t configuring_ = 0; // entries, waiting or under way
  time_point rests_until_ = time_point::min();
};

} // namespace troupe::host::detail
