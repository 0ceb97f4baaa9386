#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <deque>
#include <map>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "troupe/core/codec.hpp"
#include "troupe/core/rolling_hash.hpp"
#include "troupe/raft/replica.hpp"

namespace troupe::raft {

/// Logs what a replica does, one JSON object per line, for later checks of all replicas
/// (sim::raft_event_laws) or for other tools:
///
///     {"node":"5f…","ev":"vote","term":3,"for":"a0…"}   a vote that is synced, also for itself
///     {"ev":"leader"|"term","term":3}                   that is synced
///     {"ev":"follower","term":3}                        perhaps not yet synced
///     {"ev":"append","index":7,"term":3,"hash":"…"}     in its log, not yet synced
///     {"ev":"truncate","from":5}
///     {"ev":"commit","index":7,"term":3}                the term is the replica's
///     {"ev":"apply","index":7,"term":3,"hash":"…"}
///     {"ev":"compact","index":6}                        it has a snapshot of all up to there
///     {"ev":"install","index":6,"term":2}               a snapshot of another one's
///     {"ev":"restart"}                  then a compact, and a truncate of what had not been synced
///     {"ev":"seat","now":"b1…"}         it goes on as that node, with all that it has
///
/// Nodes are member ids in hex. A hash covers only the content of an entry. Lines are flushed after
/// each step, so that they survive the process; that costs a system call per step. Not thread-safe.
class event_log {
public:
  /// Begins with the stored state. `out` must outlive this.
  event_log(std::ostream& out, member_id self, const stored_state& stored)
    : out_(out), self_(hex(self.value)), term_(stored.last_ballot.term), synced_(term_) {
    auto& lines = stored.entries;
    base_ = lines.empty() ? stored.base.index : lines.front().index - 1;
    for (auto& line : lines)
      terms_.push_back(line.term);
    if (term_ == 0 && last() == 0)
      return;
    begin("restart");
    end();
    if (stored.base.index > 0)
      compact(stored.base.index);
    truncate(last() + 1);
    out_.flush();
  }

  /// Call with each event before the replica steps it.
  void heard(const replica::event& what) {
    if (auto* synced = std::get_if<replica::written>(&what)) {
      for (auto each = votes_.begin(); each != votes_.end() && each->first <= synced->number;
           each = votes_.erase(each))
        vote(each->second);
    } else if (auto* made = std::get_if<replica::compacted>(&what)) {
      compact(made->index);
    }
  }

  /// Call after each step, with its effects.
  void made(const replica& who, const replica::effects& what) {
    if (auto seat = hex(who.self().value); seat != self_)
      go_on_as(std::move(seat));
    for (auto& each : what)
      if (auto* write = std::get_if<replica::write>(&each))
        take(*write);
    follow_log(who);
    for (auto& each : what)
      if (auto* change = std::get_if<replica::changed_role>(&each))
        take(*change);
      else if (auto* lines = std::get_if<replica::committed>(&each))
        take(who, *lines);
    out_.flush();
  }

  /// Returns a number as it appears in the lines.
  [[nodiscard]] static std::string hex(std::uint64_t value) {
    std::array<char, 16> digits{};
    auto [end, failed] = std::to_chars(digits.begin(), digits.end(), value, 16);
    static_cast<void>(failed);
    return {digits.begin(), end};
  }

private:
  [[nodiscard]] log_index last() const {
    return base_ + terms_.size();
  }

  void go_on_as(std::string seat) {
    begin("seat");
    text("now", seat);
    end();
    self_ = std::move(seat);
  }

  void take(const replica::write& what) {
    if (what.vote)
      votes_[what.number] = *what.vote;
    if (!what.base || what.base->header.index == installed_)
      return; // no snapshot, or one that is written again after the disk refused it
    auto& header = what.base->header;
    installed_ = header.index;
    begin("install");
    number("index", header.index);
    number("term", header.term);
    end();
    if (header.index > base_) {
      base_ = header.index;
      terms_.clear();
    }
  }

  /// Writes the differences between the replica's log and the lines so far.
  void follow_log(const replica& who) {
    auto first = who.look({}).first;
    for (; base_ + 1 < first && !terms_.empty(); ++base_)
      terms_.pop_front();
    base_ = std::max(base_, first - 1);
    auto same = std::min(last(), who.last_index());
    while (same > base_ && who.term_of(same) != terms_[same - base_ - 1])
      --same;
    if (same < last()) {
      truncate(same + 1);
      terms_.resize(same - base_);
    }
    for (auto index = same + 1; index <= who.last_index(); ++index) {
      entry_line("append", who.entry_at(index));
      terms_.push_back(who.entry_at(index).term);
    }
  }

  void take(const replica& who, const replica::committed& what) {
    begin("commit");
    number("index", what.entries.back().index);
    number("term", who.term());
    end();
    for (auto& line : what.entries)
      entry_line("apply", line);
  }

  void take(const replica::changed_role& what) {
    if (what.now != role::leader && what.now != role::follower)
      return;
    term_ = std::max(term_, what.term);
    begin(what.now == role::leader ? "leader" : "follower");
    number("term", what.term);
    end();
  }

  void vote(const ballot& what) {
    if (what.vote == member_id{})
      return enter(what.term);
    if (what.term < term_)
      return; // a vote of an older term, which is never sent
    term_ = synced_ = what.term;
    begin("vote");
    number("term", what.term);
    text("for", hex(what.vote.value));
    end();
  }

  void enter(term_number term) {
    if (term <= synced_ || term < term_)
      return;
    term_ = synced_ = term;
    begin("term");
    number("term", term);
    end();
  }

  void compact(log_index up_to) {
    begin("compact");
    number("index", up_to);
    end();
  }

  void truncate(log_index from) {
    begin("truncate");
    number("from", from);
    end();
  }

  void entry_line(std::string_view what, const entry& line) {
    encoder bytes;
    bytes.put(entry{0, 0, {}, line.what});
    rolling_hash hash;
    hash.add(bytes.bytes());
    begin(what);
    number("index", line.index);
    number("term", line.term);
    text("hash", hex(hash.value()));
    end();
  }

  void begin(std::string_view what) {
    out_ << R"({"node":")" << self_ << R"(","ev":")" << what << '"';
  }

  void number(std::string_view name, std::uint64_t value) {
    out_ << ",\"" << name << "\":" << value;
  }

  void text(std::string_view name, std::string_view value) {
    out_ << ",\"" << name << "\":\"" << value << '"';
  }

  void end() {
    out_ << "}\n";
  }

  std::ostream& out_;
  std::string self_;
  term_number term_;
  term_number synced_;      // by the lines so far
  log_index installed_ = 0; // the last snapshot in the lines
  /// The index before the first of `terms_`.
  log_index base_ = 0;
  std::deque<term_number> terms_;
  /// Votes by the number of the write that stores them.
  std::map<std::uint64_t, ballot> votes_;
};

} // namespace troupe::raft
