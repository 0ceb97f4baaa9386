#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "troupe/core/checksum.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/raft/detail/turn.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::raft::detail {

/// Takes entries and snapshots from the leader of the term, and answers them (thesis 3.5, 5).
class follower {
public:
  /// Whether only the leader of a term sends such a message.
  [[nodiscard]] static bool is_of_leader(const message& what) {
    return std::holds_alternative<append>(what.body)
           || std::holds_alternative<snapshot_part>(what.body);
  }

  /// Forgets the last answer, because a new term needs new ones.
  void enter_term() {
    said_ = {};
  }

  void take(member_id leader, const append& what, const turn& t) {
    auto last = what.previous_index + what.entries.size();
    if (last <= t.commit) // nothing new; above its own commit index the leader may lack entries
      return answer(leader, std::max(last, std::min(t.commit, what.commit)), what, t);
    auto follows = what.previous_index <= t.commit
                   || t.log().term_at(what.previous_index) == what.previous_term;
    if (!follows
        && !(planted_flaw == flaw::entries_unchecked
             && what.previous_index <= t.log().last_index()))
      return refuse(leader, what, t);
    take_entries(what, t);
    arriving_.reset(); // no snapshot is needed
    t.commit = std::max(t.commit, std::min(what.commit, last));
    answer(leader, last, what, t);
  }

  void take(member_id leader, const snapshot_part& what, const turn& t) {
    auto& header = what.header;
    auto has_it = t.log().term_at(header.index) == header.term;
    if (header.index <= t.commit || (has_it && planted_flaw != flaw::suffix_dropped)) {
      arriving_.reset();
      t.commit = std::max(t.commit, header.index);
      return t.tell_when_written(leader, caught_up(t, header.index));
    }
    if (!arriving_ || arriving_->header != header || arriving_->sum != what.sum || what.offset == 0)
      arriving_ = arriving{header, what.sum, {}};
    if (what.offset == arriving_->bytes.size())
      arriving_->bytes += what.bytes;
    if (arriving_->bytes.size() < what.size)
      return ask_for_more(leader, {header.index, arriving_->bytes.size()}, t);
    auto bytes = std::move(arriving_->bytes);
    arriving_.reset();
    if (crc32c(bytes) != what.sum) {
      t.put(replica_types::ignored{
        leader,
        {errc::damaged, "the snapshot at entry " + std::to_string(header.index)
                          + " arrived with a wrong checksum; it is asked for again"}});
      return ask_for_more(leader, {header.index, 0}, t);
    }
    t.disk.install({header, std::make_shared<const std::string>(std::move(bytes))});
    t.commit = header.index;
    if (planted_flaw == flaw::snapshot_told_early)
      return t.tell(leader, caught_up(t, header.index));
    t.tell_when_written(leader, caught_up(t, header.index));
  }

private:
  /// A snapshot that has arrived in part.
  struct arriving {
    snapshot_header header;
    std::uint32_t sum = 0;
    std::string bytes;
  };

  static append_answer caught_up(const turn& t, log_index index) {
    return {true, index, 0, 0, 0, t.log().last_index()};
  }

  /// While its disk fails it is silent: the leader sends that part again later.
  static void ask_for_more(member_id leader, const snapshot_answer& what, const turn& t) {
    if (!t.disk.is_failing())
      t.tell(leader, what);
  }

  /// @pre the entry before the first is equal to the leader's, or committed
  static void take_entries(const append& what, const turn& t) {
    for (auto& line : what.entries) {
      if (line.index <= t.commit)
        continue;
      if (line.index <= t.log().last_index()) {
        if (t.log().term_at(line.index) == line.term)
          continue;
        t.disk.truncate(line.index);
      }
      t.disk.push(line);
    }
  }

  /// Answers a heartbeat at once, with the synced index; entries when they are synced. While its
  /// disk fails it is silent, as it stores nothing: the leader takes it for gone after a while.
  void answer(member_id leader, log_index last, const append& what, const turn& t) {
    if (what.entries.empty() && t.disk.is_failing()) {
      said_ = {};
      return;
    }
    append_answer found{true, last, 0, 0, what.round, t.log().last_index()};
    auto waits = t.disk.is_ballot_dirty() || !what.entries.empty();
    if (!waits)
      found.index = std::min(last, t.disk.synced());
    auto is_news = std::exchange(said_, found) != found;
    if (what.entries.empty())
      found.about = t.how.about;
    if (waits)
      t.tell_when_written(leader, found);
    else if (is_news) // otherwise it only told the commit index and needs no answer
      t.tell(leader, found);
  }

  void refuse(member_id leader, const append& what, const turn& t) {
    said_ = {};
    if (t.disk.is_failing())
      return;
    auto place = t.log().last_not_above(what.previous_index, what.previous_term);
    append_answer found{false,      what.previous_index, place, *t.log().term_at(place),
                        what.round, t.log().last_index()};
    t.disk.is_ballot_dirty() ? t.tell_when_written(leader, found) : t.tell(leader, found);
  }

  std::optional<arriving> arriving_;
  append_answer said_; // the last answer to the leader
};

} // namespace troupe::raft::detail
