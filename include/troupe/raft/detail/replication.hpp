#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/raft/detail/progress.hpp"
#include "troupe/raft/detail/turn.hpp"
#include "troupe/raft/quorum.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::raft::detail {

/// Replicates a leader's log to the other members: finds where their logs agree with it, pipelines
/// entries, and sends a snapshot to members that lack entries from before the log (thesis 3.5, 5,
/// 10.2.1). Heartbeats are numbered by rounds, so that answers prove when it was still leader.
class replication {
public:
  /// Rounds continue from `last_round`.
  explicit replication(std::uint64_t last_round) : round_(last_round) {}

  // -- what the others have --------------------------------------------------------------

  [[nodiscard]] bool contains(member_id seat) const {
    return peers_.contains(seat);
  }

  /// Last index that is synced there and equal to this log; zero for a replica that is not a member
  /// or has lost entries.
  [[nodiscard]] log_index match(member_id seat) const {
    auto found = peers_.find(seat);
    return found == peers_.end() ? 0 : found->second.counted();
  }

  [[nodiscard]] std::uint64_t round() const {
    return round_;
  }

  /// The last index that a majority of the voters has, this replica included.
  [[nodiscard]] log_index agreed_index(const turn& t) const {
    return agreed_on<log_index>(t, t.disk.synced(), [](auto& peer) { return peer.counted(); });
  }

  /// The last round that a majority has answered.
  [[nodiscard]] std::uint64_t agreed_round(const turn& t) const {
    return agreed_on<std::uint64_t>(t, round_, [](auto& peer) { return peer.round; });
  }

  /// When a majority was last heard; nothing if this replica alone is a majority.
  [[nodiscard]] std::optional<time_point> quorum_heard(member_id self,
                                                       const configuration& members) const {
    std::map<member_id, duration::rep> heard{{self, duration::max().count()}};
    for (auto& [seat, peer] : peers_)
      heard.emplace(seat, peer.heard.time_since_epoch().count());
    auto last = duration{agreed(members.voters(), heard)};
    return last == duration::max() ? std::nullopt : std::optional{time_point{last}};
  }

  /// The other voter with the longest log among those that have lost no entries; zero if there is
  /// none.
  [[nodiscard]] member_id most_advanced(const configuration& members) const {
    member_id best;
    for (auto& [seat, peer] : peers_)
      if (members.votes(seat) && !peer.has_forgotten
          && (best == member_id{} || peer.match > match(best)))
        best = seat;
    return best;
  }

  [[nodiscard]] std::vector<replica_types::member_status> look(const entry_log& log,
                                                               time_point now) const {
    std::vector<replica_types::member_status> found;
    for (auto& [seat, peer] : peers_)
      found.push_back({seat, log.members().members.at(seat), peer.counted(), now - peer.heard,
                       peer.state == progress::pace::snapshot,
                       peer.counted() >= log.members_index()});
    return found;
  }

  /// The snapshot that is being sent to members; null if there is none.
  [[nodiscard]] const snapshot* on_its_way() const {
    return outgoing_ ? &*outgoing_ : nullptr;
  }

  // -- what happens -----------------------------------------------------------------------

  /// Call after a change of the members.
  void update_members(const turn& t) {
    auto& members = t.members().members;
    std::erase_if(peers_, [&](auto& each) { return !members.contains(each.first); });
    for (auto& [seat, who] : members)
      if (seat != t.self && !peers_.contains(seat)) {
        auto& peer = peers_[seat];
        peer.next = t.log().last_index() + 1;
        peer.heard = t.now;
      }
    forget_snapshot(t);
  }

  /// Sends a heartbeat to all.
  void begin_round(const turn& t) {
    ++round_;
    for (auto& [seat, peer] : peers_) {
      if (peer.has_forgotten) {
        send_bare_heartbeat(seat, t);
        continue;
      }
      peer.waits = peer.waits && peer.state == progress::pace::snapshot
                   && t.now < peer.sent + t.how.election_timeout;
      if (peer.state != progress::pace::snapshot) {
        send_entries(seat, peer, false, t);
        continue;
      }
      send_bare_heartbeat(seat, t); // parts of a snapshot carry no round
      ask_for_snapshot(peer, t);
    }
    forget_snapshot(t);
  }

  /// Sends the entries that members lack, up to max_in_flight. With `tells_commits`, also sends the
  /// commit index to members that lack only that.
  void send_on(bool tells_commits, const turn& t) {
    for (auto& [seat, peer] : peers_)
      send_on(seat, peer, tells_commits, t);
  }

  /// Returns whether the answer was accepted as the member's progress.
  bool take(member_id from, const append_answer& what, const turn& t) {
    auto found = peers_.find(from);
    if (found == peers_.end())
      return false;
    auto& peer = found->second;
    peer.heard = t.now;
    auto round = std::min(what.round, round_);
    if (!what.about.empty() && what.about != peer.about) {
      peer.about = what.about;
      t.put(replica_types::told_about{from, what.about});
    }
    if (!what.accepted && what.last_index < peer.match && round > peer.match_round)
      peer.has_forgotten = true;
    if (peer.has_forgotten) {
      t.put(replica_types::forgot{from, peer.match, what.last_index});
      return false;
    }
    peer.round = std::max(peer.round, round);
    if (!what.accepted) {
      refused(peer, what, t);
      return false;
    }
    if (what.index > t.log().last_index()) {
      t.put(replica_types::ignored{from, {errc::damaged, "it has entries that no leader sent"}});
      return false;
    }
    accepted(peer, what.index, t);
    return true;
  }

  void take(member_id from, const snapshot_answer& what, const turn& t) {
    auto found = peers_.find(from);
    if (found == peers_.end())
      return;
    auto& peer = found->second;
    peer.heard = t.now;
    if (peer.state != progress::pace::snapshot || peer.snapshot_index != what.index)
      return;
    peer.offset = what.offset;
    peer.waits = false;
  }

  /// Messages on the way to this member are lost.
  void lose_link(member_id seat) {
    auto found = peers_.find(seat);
    if (found == peers_.end())
      return;
    auto& peer = found->second;
    peer.waits = false;
    if (peer.state == progress::pace::stream)
      peer.begin_probe(peer.match + 1);
  }

  /// The snapshot that load_snapshot asked for. One that is too large for members is not sent, and
  /// none is asked for again until there is a newer one.
  void take(const replica_types::loaded& what, const turn& t) {
    is_loading_ = false;
    if (what.what.header.index < t.log().base_index())
      return;
    is_too_large_ = what.what.bytes->size() > t.how.max_snapshot_bytes;
    if (is_too_large_)
      return;
    outgoing_ = what.what;
    outgoing_sum_ = what.sum;
  }

  /// There is a newer snapshot.
  void renew_snapshot() {
    is_too_large_ = false;
  }

private:
  using peers = std::map<member_id, progress>;

  template <class Value, class Of>
  [[nodiscard]] Value agreed_on(const turn& t, Value own, Of of) const {
    std::map<member_id, Value> reached{{t.self, own}};
    for (auto& [seat, peer] : peers_)
      reached.emplace(seat, of(peer));
    return agreed(t.members().voters(), reached);
  }

  // -- entries ----------------------------------------------------------------------------

  [[nodiscard]] append behind(log_index previous, term_number term, const turn& t) const {
    auto& members = t.members();
    auto is_alone = members.voters() == std::set<member_id>{t.self};
    return {previous,          term, t.commit, t.time, round_, {}, t.log().last_index(), is_alone,
            members.promotions};
  }

  /// A heartbeat that every log accepts. The answer tells how much of the committed log the member
  /// has: perhaps it needs no snapshot.
  void send_bare_heartbeat(member_id seat, const turn& t) const {
    t.tell(seat, behind(0, 0, t));
  }

  void send_on(member_id seat, progress& peer, bool tells_commits, const turn& t) {
    if (peer.has_forgotten)
      return;
    switch (peer.state) {
      case progress::pace::probe:
        if (!peer.waits)
          send_entries(seat, peer, false, t);
        return;
      case progress::pace::snapshot:
        if (!peer.waits && outgoing_)
          send_part(seat, peer, t);
        return;
      case progress::pace::stream:
        while (peer.state == progress::pace::stream && peer.next <= t.log().last_index()
               && peer.in_flight.size() < t.how.max_in_flight)
          send_entries(seat, peer, true, t);
        if (tells_commits && peer.state == progress::pace::stream && peer.told_commit < t.commit
            && peer.next > t.log().last_index())
          send_entries(seat, peer, false, t);
    }
  }

  /// Heartbeats, probes and messages for a commit index alone carry no entries.
  void send_entries(member_id seat, progress& peer, bool with_entries, const turn& t) {
    auto previous = peer.next - 1;
    auto term = t.log().term_at(previous);
    if (!term)
      return begin_snapshot(peer, t);
    auto what = behind(previous, *term, t);
    if (with_entries) {
      what.entries = t.log().slice(peer.next, t.log().last_index(), t.how.max_message_entries,
                                   t.how.max_message_bytes);
      peer.next += what.entries.size();
      peer.in_flight.push_back(peer.next - 1);
    }
    peer.told_commit = t.commit;
    peer.waits = peer.state == progress::pace::probe;
    peer.sent = t.now;
    t.tell(seat, std::move(what));
  }

  void accepted(progress& peer, log_index index, const turn& t) {
    if (index > peer.match) {
      peer.match = index;
      peer.match_round = round_;
    }
    peer.answered_up_to(index);
    peer.next = std::max(peer.next, peer.match + 1);
    if (peer.state == progress::pace::probe)
      peer.begin_stream();
    if (peer.state == progress::pace::snapshot && t.log().term_at(peer.match)) {
      peer.begin_probe(peer.match + 1);
      forget_snapshot(t);
    }
  }

  /// Goes back to where the two logs may agree: at most one message for each term that they
  /// disagree on.
  void refused(progress& peer, const append_answer& what, const turn& t) {
    auto is_old = peer.state == progress::pace::stream ? what.index <= peer.match
                                                       : what.index != peer.next - 1;
    if (is_old || peer.state == progress::pace::snapshot)
      return;
    auto place = t.log().last_not_above(what.hint_index, what.hint_term);
    if (what.hint_index < t.log().base_index() || *t.log().term_at(place) > what.hint_term)
      return begin_snapshot(peer, t);
    peer.begin_probe(std::min(what.index, place + 1));
  }

  // -- snapshots --------------------------------------------------------------------------

  void begin_snapshot(progress& peer, const turn& t) {
    peer.begin_snapshot();
    ask_for_snapshot(peer, t);
  }

  /// Whether the member waits for a snapshot and was heard recently, so that a snapshot is worth
  /// its memory.
  [[nodiscard]] static bool could_take_one(const progress& peer, const turn& t) {
    return peer.state == progress::pace::snapshot && !peer.has_forgotten
           && t.now < peer.heard + t.how.election_timeout;
  }

  /// Asks for a snapshot that the log continues from, unless there is one.
  void ask_for_snapshot(const progress& peer, const turn& t) {
    if (outgoing_ && outgoing_->header.index < t.log().base_index())
      outgoing_.reset();
    if (!outgoing_ && !is_too_large_ && could_take_one(peer, t)
        && !std::exchange(is_loading_, true))
      t.put(replica_types::load_snapshot{});
  }

  void forget_snapshot(const turn& t) {
    if (std::ranges::none_of(peers_, [&](auto& each) { return could_take_one(each.second, t); }))
      outgoing_.reset();
  }

  /// @pre on_its_way()
  void send_part(member_id seat, progress& peer, const turn& t) {
    assert(outgoing_);
    auto& bytes = *outgoing_->bytes;
    if (peer.snapshot_index != outgoing_->header.index)
      peer.offset = 0;
    peer.snapshot_index = outgoing_->header.index;
    peer.waits = true;
    peer.sent = t.now;
    auto offset = static_cast<std::size_t>(std::min<std::uint64_t>(peer.offset, bytes.size()));
    t.tell(seat, snapshot_part{outgoing_->header, offset, bytes.size(), outgoing_sum_,
                               bytes.substr(offset, t.how.max_message_bytes)});
  }

  peers peers_;
  std::uint64_t round_;
  std::optional<snapshot> outgoing_;
  std::uint32_t outgoing_sum_ = 0;
  bool is_loading_ = false;
  bool is_too_large_ = false; // the last snapshot loaded
};

} // namespace troupe::raft::detail
