#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/codec.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/raft/event_log.hpp"
#include "troupe/raft/replica.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// A replica's disk: the synced state, and the current write.
class raft_disk {
public:
  /// The state that a process has at its start.
  [[nodiscard]] const raft::stored_state& stored() const {
    return synced_;
  }

  [[nodiscard]] const std::optional<raft::snapshot>& newest() const {
    return snapshot_;
  }

  /// Whether the entry at `index` (of that term, if given) would be there after a restart.
  [[nodiscard]] bool has(raft::log_index index, std::optional<raft::term_number> term) const {
    if (index <= synced_.base.index)
      return true;
    auto found = std::ranges::lower_bound(synced_.entries, index, {}, &raft::entry::index);
    return found != synced_.entries.end() && found->index == index
           && (!term || found->term == *term);
  }

  [[nodiscard]] raft::log_index last_index() const {
    return synced_.entries.empty() ? synced_.base.index : synced_.entries.back().index;
  }

  void write(const raft::replica::write& what) {
    pending_ = what;
  }

  /// A full disk's answer to a write, of which no part stays.
  [[nodiscard]] static raft::replica::not_written full() {
    return {{errc::storage_full, "the disk is full"}};
  }

  void sync() {
    if (pending_)
      apply(*std::exchange(pending_, {}));
  }

  /// Replaces the member id; synced.
  void change_seat(raft::member_id seat) {
    seat_ = seat;
  }

  /// The member id; zero if it is still the first one of the process.
  [[nodiscard]] raft::member_id seat() const {
    return seat_;
  }

  /// Stores a commit index, without sync.
  void note_commit(raft::log_index index) {
    synced_.committed = std::max(synced_.committed, index);
  }

  /// Stores a snapshot of the replica's own state, and drops entries far before it.
  void save(const raft::snapshot& what, std::uint64_t keep) {
    snapshot_ = what;
    synced_.base = what.header;
    auto last = what.header.index > keep ? what.header.index - keep : 0;
    std::erase_if(synced_.entries, [&](auto& line) { return line.index <= last; });
  }

  /// A write that was not synced is kept as a whole or lost as a whole. The noted commit index may
  /// be lost.
  void crash(random_source& random) {
    if (random.one_in(2))
      sync();
    pending_.reset();
    if (random.one_in(4))
      synced_.committed = 0;
  }

private:
  void apply(const raft::replica::write& what) {
    if (what.vote)
      synced_.last_ballot = *what.vote;
    if (what.base) {
      snapshot_ = *what.base;
      synced_.base = what.base->header;
      synced_.entries.clear();
    }
    auto& lines = synced_.entries;
    std::erase_if(lines, [&](auto& line) { return line.index >= what.first; });
    lines.insert(lines.end(), what.entries.begin(), what.entries.end());
    note_commit(what.committed);
  }

  raft::stored_state synced_;
  raft::member_id seat_;
  std::optional<raft::snapshot> snapshot_;
  std::optional<raft::replica::write> pending_;
};

/// The state that a simulated group agrees on: a hash of all applied entries, and their number.
struct applied_state {
  rolling_hash hash;
  raft::log_index index = 0;

  void apply(const raft::entry& line) {
    encoder bytes;
    bytes.put(line);
    hash.add(bytes.bytes());
    index = line.index;
  }

  friend bool operator==(const applied_state&, const applied_state&) = default;

  TROUPE_FIELDS(applied_state, hash, index);
};

/// A process that runs one replica of a Raft group and applies its committed entries.
class raft_process {
public:
  /// A message between two members, as hosts send it.
  struct message {
    raft::member_id from;
    raft::member_id to;
    raft::message what;
  };

  using disk = raft_disk;
  using home = environment<raft_process>;

  /// Hooks for observers.
  struct setting {
    std::function<void(process_id, const raft::replica&, const raft::replica::effects&)> stepped;
    std::function<void(process_id, const raft::entry&, const applied_state&)> applied;
    std::function<void(process_id, request_id, raft::log_index)> read;
    /// Where all replicas write their event logs, see raft::event_log; null: nowhere.
    std::ostream* events = nullptr;
    /// Each start draws its options::first_step at random, up to this.
    std::uint32_t max_first_step = 1;
  };

  static constexpr std::uint64_t snapshot_every = 50;
  /// Links are also lost without any fault, once in this many messages.
  static constexpr std::uint64_t link_lost_every = 200;

  /// The first member id of a process.
  static raft::member_id seat_of(process_id which) {
    return {std::uint64_t{which} + 1};
  }

  static process_id process_of(raft::member_id which) {
    return static_cast<process_id>((which.value - 1) % lives_apart);
  }

  [[nodiscard]] raft::member_id seat() const {
    return replica_.self();
  }

  static raft::options timers(std::uint64_t seed) {
    auto made = raft::lan();
    made.seed = seed;
    made.keep_entries = 20;
    made.max_message_entries = seed % 2 == 0 ? 16 : 2; // results must not depend on it
    made.max_message_bytes = 4'096;
    made.max_in_flight = 8;
    return made;
  }

  explicit raft_process(home& here)
    : here_(here), replica_(seat_on(here), how(here), here.disk().stored(), here.now()) {
    if (auto& saved = here.disk().newest())
      state_ = from_bytes<applied_state>(*saved->bytes).value();
    if (auto* where = here.setting().events)
      events_.emplace(*where, seat_on(here), here.disk().stored());
  }

  void receive(process_id, const message& what) {
    if (what.to == seat())
      step(0, raft::replica::received{what.from, what.what});
    if (here_.random().one_in(link_lost_every)) // and established again at once
      lose_link(what.from);
  }

  void wake() {
    raft::replica::effects out;
    replica_.tick(here_.now(), out);
    carry_out(out);
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return replica_.next_deadline();
  }

  void step(request_id id, const raft::replica::event& what) {
    raft::replica::effects out;
    if (events_)
      events_->heard(what);
    replica_.step(here_.now(), id, what, out);
    carry_out(out);
  }

  [[nodiscard]] const raft::replica& inside() const {
    return replica_;
  }

  [[nodiscard]] const applied_state& state() const {
    return state_;
  }

private:
  static constexpr std::uint64_t lives_apart = 1'000;

  static raft::member_id seat_on(home& here) {
    auto kept = here.disk().seat();
    return kept == raft::member_id{} ? seat_of(here.self()) : kept;
  }

  static raft::options how(home& here) {
    auto made = timers(here.random().next());
    if (auto bound = here.setting().max_first_step; bound > 1)
      made.first_step += static_cast<std::uint32_t>(here.random().below(bound));
    return made;
  }

  void lose_link(raft::member_id other) {
    step(0, raft::replica::lost_link{other});
    step(0, raft::replica::found_link{other});
  }

  void carry_out(const raft::replica::effects& out) {
    if (events_)
      events_->made(replica_, out);
    if (auto& look = here_.setting().stepped)
      look(here_.self(), replica_, out);
    for (auto& what : out)
      troupe::visit([&](const auto& each) { handle(each); }, what);
  }

  void handle(const raft::replica::send& what) {
    // Encoded and decoded, as over a real network.
    here_.send(process_of(what.to),
               {seat(), what.to, from_bytes<raft::message>(to_bytes(what.what)).value()});
  }

  void handle(const raft::replica::write& what) {
    if (!here_.has_room())
      return here_.sync([this] { step(0, raft_disk::full()); });
    here_.disk().write(what);
    here_.sync([this, number = what.number] {
      here_.disk().sync();
      step(0, raft::replica::written{number});
    });
  }

  void handle(const raft::replica::note_commit& what) {
    here_.disk().note_commit(what.index);
  }

  void handle(const raft::replica::committed& what) {
    for (auto& line : what.entries) {
      state_.apply(line);
      if (auto& look = here_.setting().applied)
        look(here_.self(), line, state_);
    }
    answer_reads();
    if (state_.index >= saved_ + snapshot_every)
      save();
  }

  void save() {
    saved_ = state_.index;
    raft::snapshot made{replica_.header_at(state_.index),
                        std::make_shared<const std::string>(to_bytes(state_))};
    here_.sync([this, made] {
      auto& newest = here_.disk().newest();
      if (!here_.has_room() || (newest && newest->header.index >= made.header.index))
        return;
      here_.disk().save(made, timers(0).keep_entries);
      step(0, raft::replica::compacted{made.header.index});
    });
  }

  void handle(const raft::replica::installed& what) {
    state_ = from_bytes<applied_state>(*what.what.bytes).value();
    saved_ = state_.index;
    answer_reads();
  }

  void handle(const raft::replica::load_snapshot&) {
    here_.sync([this] {
      if (auto& newest = here_.disk().newest())
        step(0, raft::replica::loaded{*newest});
    });
  }

  void handle(const raft::replica::read_at& what) {
    reads_.emplace(what.index, what.id);
    answer_reads();
  }

  void handle(const raft::replica::forgot& what) {
    if (what.seat != seat() || std::exchange(is_changing_seat_, true))
      return;
    auto lives = here_.random().below(1'000'000);
    raft::member_id fresh{seat_of(here_.self()).value + (lives + 1) * lives_apart};
    here_.sync([this, fresh] {
      here_.disk().change_seat(fresh);
      is_changing_seat_ = false;
      step(0, raft::replica::change_seat{fresh});
    });
  }

  template <class Other>
  void handle(const Other&) {}

  void answer_reads() {
    while (!reads_.empty() && reads_.begin()->first <= state_.index) {
      auto id = reads_.begin()->second;
      reads_.erase(reads_.begin());
      if (auto& look = here_.setting().read)
        look(here_.self(), id, state_.index);
    }
  }

  home& here_;
  raft::replica replica_;
  std::optional<raft::event_log> events_;
  applied_state state_;
  raft::log_index saved_ = 0;
  bool is_changing_seat_ = false;
  std::multimap<raft::log_index, request_id> reads_;
};

static_assert(process<raft_process>);

} // namespace troupe::sim
