#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/codec.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/rolling_hash.hpp"
#include "troupe/core/version.hpp"
#include "troupe/host/group_options.hpp"
#include "troupe/host/group_types.hpp"
#include "troupe/host/quorum_watch.hpp"
#include "troupe/host/rules.hpp"
#include "troupe/raft/event_log.hpp"
#include "troupe/raft/replica.hpp"

namespace troupe::host {

/// What a command of the group's log holds.
struct group_entry {
  service_id service = 0;
  std::string payload;

  template <class Inspector>
  friend bool inspect(Inspector& f, group_entry& x) {
    return f.object(x).fields(f.field("service", x.service), f.field("payload", x.payload));
  }
};

/// An entry of the group itself: here each replica makes a snapshot, and compares its one
/// before with what the leader had there.
struct checkpoint {
  /// Where the leader made that snapshot; zero if it has none to compare.
  raft::log_index previous = 0;
  /// Of the leader: another one may write the same state otherwise.
  std::string release;
  /// The hash of each section there.
  std::map<service_id, std::uint64_t> hashes;

  template <class Inspector>
  friend bool inspect(Inspector& f, checkpoint& x) {
    return f.object(x).fields(f.field("previous", x.previous), f.field("release", x.release),
                              f.field("hashes", x.hashes));
  }
};

/// What a member says of itself to whoever leads: the newest rules that it knows of each service.
/// A service that is not named is at rules 1, as in releases that say nothing.
struct known_rules {
  std::map<service_id, std::uint32_t> numbers;

  [[nodiscard]] service_rules of(service_id which) const {
    auto found = numbers.find(which);
    return found == numbers.end() ? service_rules{} : service_rules{found->second};
  }

  template <class Inspector>
  friend bool inspect(Inspector& f, known_rules& x) {
    return f.object(x).fields(f.field("numbers", x.numbers));
  }
};

/// The state of a group: a section for each service.
struct group_state {
  std::map<service_id, std::string> sections;

  template <class Inspector>
  friend bool inspect(Inspector& f, group_state& x) {
    return f.object(x).fields(f.field("sections", x.sections));
  }
};

/// Returns how many bytes to_bytes() makes of it, without making them.
inline std::uint64_t written_bytes(const group_state& state) {
  group_state frame;
  std::uint64_t inside = 0;
  for (auto& [service, part] : state.sections) {
    frame.sections[service] = {};
    inside += part.size();
  }
  return to_bytes(frame).size() + inside;
}

/// One node's share of a group that runs several services on one log: the replica of the
/// log, and what goes between it and the replicated_core of each service. Which may live
/// elsewhere, as long as what is said to one arrives there in order.
///
/// A service learns that it leads after all that was committed before, and reads are
/// confirmed after all that they have to see.
///
/// The leader says by a checkpoint in the log when snapshots are due, so that all replicas
/// make them of the same state, and the next checkpoint tells what the leader's sections
/// hashed to. A replica that had another state then stops: whatever made it differ (memory, a
/// rule that is not deterministic) it would spread. Finds what batches' rolling hashes cannot:
/// state that has not shown in any effect yet. Large sections are written, hashed and wrapped by
/// whoever has the time, not here, so that no heartbeat waits for them; one that is installed is
/// taken apart here, at the cost of a copy.
class group_core {
public:
  /// The number that no service has: of the group's own entries.
  static constexpr service_id itself = 0;

  // -- events -------------------------------------------------------------------------

  /// Of a service that leads.
  struct propose {
    service_id service = 0;
    proposal what;
  };

  /// A question of a service must see all that was committed before now.
  struct read {
    service_id service = 0;
  };

  /// What was asked by take_section: see section_of().
  struct section {
    service_id service = 0;
    raft::log_index index = 0;
    std::string bytes;
    /// The rolling_hash of the bytes.
    std::uint64_t hash = 0;
  };

  /// Cost: about 0.5 ms a MB.
  static section section_of(service_id service, raft::log_index index, std::string bytes) {
    rolling_hash hash;
    hash.add(bytes);
    return {service, index, std::move(bytes), hash.value()};
  }

  /// The snapshot of `save` is synced, or will never be.
  struct saved {
    raft::log_index index = 0;
    bool is_synced = true;
  };

  /// Have all members make a snapshot, also if none is due: now, or once the log takes it. For
  /// as long as this replica leads.
  struct snapshot_now {};

  using event = std::variant<raft::replica::event, propose, read, section, saved, snapshot_now>;

  // -- effects: for the disk and the network -------------------------------------------------

  using send = raft::replica::send;
  using write = raft::replica::write;
  using note_commit = raft::replica::note_commit;
  using load_snapshot = raft::replica::load_snapshot;
  using changed_role = raft::replica::changed_role;
  using forgot = raft::replica::forgot;
  using ignored = raft::replica::ignored;

  /// Keep this, see to_snapshot(); the log before it may go then.
  struct save {
    raft::snapshot_header header;
    group_state state;
  };

  /// Returns what a disk keeps of it. Cost: a copy of all sections.
  static raft::snapshot to_snapshot(const save& what) {
    return {what.header, std::make_shared<const std::string>(to_bytes(what.state))};
  }

  /// To whoever asked to change members, hand over or found.
  using proposed = raft::replica::proposed;
  using refused = raft::replica::refused;

  /// The members of the group have changed; committed.
  struct members_are {
    raft::configuration members;
  };

  // -- effects: for the services, to each in order ---------------------------------------------

  using deliver = to_service::deliver;
  using lead = to_service::lead;
  using follow = to_service::follow;
  using not_taken = to_service::not_taken;
  using read_ready = to_service::read_ready;
  using read_refused = to_service::read_refused;
  using allow_rules = to_service::allow_rules;
  using take_section = to_service::take_section;
  using restore_section = to_service::restore_section;
  using without_quorum = to_service::without_quorum;

  /// This node cannot go on.
  struct stop {
    problem why;
  };

  /// It can, but whoever runs it has to do something.
  struct warned {
    problem why;
  };

  /// Its disk has no room for what is to be written, or has it again (errc::none). Until then
  /// nothing new is acknowledged here.
  struct disk_room {
    problem why;
  };

  using effects
    = std::vector<std::variant<send, write, note_commit, load_snapshot, changed_role, forgot,
                               ignored, save, proposed, refused, members_are, deliver, lead, follow,
                               not_taken, read_ready, read_refused, allow_rules, take_section,
                               restore_section, without_quorum, stop, warned, disk_room>>;

  /// Goes on from what the disk had. `services` has the newest rules that each knows here.
  group_core(raft::seat_id self, const group_options& how,
             const std::map<service_id, std::uint32_t>& services, const raft::stored_state& stored,
             time_point now)
    : options_(how),
      rules_{services},
      services_(numbers_of(services)),
      replica_(self, saying(how.consensus, rules_), stored, now),
      watch_(self, how.consensus, how.name_of, now),
      applied_(stored.base.index),
      checkpoint_(stored.base.index) {
    assert(!services.contains(itself));
  }

  /// What the services start with, and who the members were then. Returns what is wrong with the
  /// bytes, if anything.
  [[nodiscard]] problem begin(const std::string& newest, effects& out) {
    if (auto why = share_out(newest, out); why.code != errc::none)
      return why;
    out.push_back(members_are{replica_.header_at(applied_).members});
    return {};
  }

  /// Writes down all that the replica does from here on; null: no more. It outlives this.
  void write_events(raft::event_log* where) {
    events_ = where;
  }

  void step(time_point now, request_id id, event what, effects& out) {
    watch_.time_is(now);
    auto take = overloaded{
      [&](const raft::replica::event& line) {
        notice(line);
        look_at_room(line, out);
        if (auto* found = std::get_if<raft::replica::loaded>(&line))
          look_at_size(found->what.bytes->size(), out);
        tell(now, own(id, {}), line);
      },
      [&](propose& line) { put(now, line, out); },
      [&](const read& line) {
        auto mine = own(id, {line.service, kind::read});
        open_reads_.insert(mine);
        replica_.step(now, mine, raft::replica::read{}, made_);
      },
      [&](section& line) { add_section(line, out); },
      [&](const saved& line) { end_snapshot(now, line); },
      [&](const snapshot_now&) {
        is_snapshot_wanted_ = replica_.current_role() == raft::role::leader;
        propose_checkpoint(now);
      },
    };
    std::visit(take, what);
    pass_on(now, out);
  }

  void tick(time_point now, effects& out) {
    watch_.time_is(now);
    replica_.tick(now, made_);
    if (is_snapshot_wanted_)
      propose_checkpoint(now); // in case that it was not taken
    pass_on(now, out);
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = replica_.next_deadline();
    if (auto review = watch_.next_deadline())
      next = std::min(next.value_or(*review), *review);
    return next;
  }

  /// What this replica knows of the quorum, whoever leads.
  [[nodiscard]] quorum_view quorum(time_point now) const {
    return watch_.look(replica_.members(), now);
  }

  [[nodiscard]] const raft::replica& consensus() const {
    return replica_;
  }

  [[nodiscard]] raft::log_index applied() const {
    return applied_;
  }

private:
  static std::set<service_id> numbers_of(const std::map<service_id, std::uint32_t>& services) {
    std::set<service_id> found;
    for (auto& [each, rules] : services)
      found.insert(each);
    return found;
  }

  static raft::options saying(raft::options how, const known_rules& what) {
    how.about = to_bytes(what);
    return how;
  }

  /// A length on the disk has 32 bits.
  static constexpr std::uint64_t max_kept_bytes = std::numeric_limits<std::uint32_t>::max();

  enum class kind : std::uint8_t { member, proposal, read, checkpoint };

  struct asker {
    service_id service = 0;
    kind what = kind::member;
    request_id id = 0;
  };

  struct making {
    raft::snapshot_header header;
    group_state state;
    std::map<service_id, std::uint64_t> hashes;
  };

  /// What the sections after entry `index` hashed to.
  struct known_hashes {
    raft::log_index index = 0;
    std::map<service_id, std::uint64_t> hashes;
  };

  void put(time_point now, propose& line, effects& out) {
    auto& [term, number, payload] = line.what;
    auto is_of_now = term == replica_.term() || planted_flaw == flaw::old_proposals_taken;
    if (!is_leading_ || !is_of_now)
      return out.push_back(not_taken{
        line.service,
        number,
        {errc::not_leader, "this node has stopped leading the group; ask the one that leads"}});
    replica_.step(now, own(number, {line.service, kind::proposal}),
                  raft::replica::propose{{to_bytes(group_entry{line.service, std::move(payload)})}},
                  made_);
  }

  /// Ids of our own, as services count theirs each for itself.
  request_id own(request_id id, asker who) {
    who.id = id;
    askers_.emplace(++last_id_, who);
    return last_id_;
  }

  /// What it says of who is reached.
  void notice(const raft::replica::event& what) {
    if (auto* message = std::get_if<raft::replica::received>(&what)) {
      if (replica_.members().members.contains(message->from))
        watch_.heard(message->from, message->what);
    } else if (auto* link = std::get_if<raft::replica::lost_link>(&what)) {
      watch_.lost_link(link->seat);
    } else if (auto* fresh = std::get_if<raft::replica::found_link>(&what)) {
      watch_.linked(fresh->seat);
    } else if (auto* mine = std::get_if<raft::replica::change_seat>(&what)) {
      watch_.self_is(mine->seat);
    }
  }

  void look_at_room(const raft::replica::event& what, effects& out) {
    if (auto* lost = std::get_if<raft::replica::not_written>(&what)) {
      proof_of_room_.reset();
      if (!std::exchange(lacks_room_, true))
        out.push_back(disk_room{lost->why});
    } else if (auto* done = std::get_if<raft::replica::written>(&what)) {
      if (proof_of_room_ && *proof_of_room_ <= done->number && std::exchange(lacks_room_, false))
        out.push_back(disk_room{});
    }
  }

  void tell(time_point now, request_id id, const raft::replica::event& what) {
    if (events_ != nullptr)
      events_->heard(what);
    replica_.step(now, id, what, made_);
  }

  void pass_on(time_point now, effects& out) {
    while (!made_.empty()) {
      if (events_ != nullptr)
        events_->made(replica_, made_);
      for (auto& what : std::exchange(made_, {})) {
        if (auto* line = std::get_if<raft::replica::write>(&what);
            line && !proof_of_room_ && (line->base || !line->entries.empty()))
          proof_of_room_ = line->number; // a vote alone fits into what is left
        std::visit([&](auto& each) { handle(now, each, out); }, what);
      }
    }
    askers_.erase(askers_.begin(), askers_.lower_bound(oldest_open()));
    if (auto why = watch_.review(replica_.leader(), replica_.members()))
      for (auto each : services_)
        out.push_back(without_quorum{each, *why});
  }

  /// Only reads wait beyond their step.
  [[nodiscard]] request_id oldest_open() const {
    return open_reads_.empty() ? last_id_ + 1 : *open_reads_.begin();
  }

  template <class Effect>
  void handle(time_point, Effect& what, effects& out) {
    out.push_back(std::move(what));
  }

  void handle(time_point, raft::replica::proposed& what, effects& out) {
    auto who = askers_.at(what.id);
    if (who.what == kind::proposal)
      proposals_[what.first] = who;
    if (who.what == kind::member && who.id != 0)
      out.push_back(proposed{who.id, what.first, what.term});
  }

  void handle(time_point, raft::replica::taken_back& what, effects& out) {
    is_checkpoint_asked_ = false; // it is proposed again
    for (auto each = proposals_.lower_bound(what.first); each != proposals_.end();
         each = proposals_.erase(each))
      out.push_back(not_taken{each->second.service, each->second.id, what.why});
  }

  void handle(time_point, raft::replica::refused& what, effects& out) {
    auto who = askers_.at(what.id);
    open_reads_.erase(what.id);
    switch (who.what) {
      case kind::member:
        if (who.id != 0)
          out.push_back(refused{who.id, std::move(what.why), what.leader});
        return;
      case kind::proposal:
        return out.push_back(not_taken{who.service, who.id, std::move(what.why)});
      case kind::read:
        return out.push_back(read_refused{who.service, who.id, std::move(what.why)});
      case kind::checkpoint:
        is_checkpoint_asked_ = false; // and so it is proposed again
        return;
    }
  }

  void handle(time_point, raft::replica::read_at& what, effects& out) {
    waiting_.emplace(what.index, what.id);
    answer_reads(out);
  }

  void answer_reads(effects& out) {
    while (!waiting_.empty() && waiting_.begin()->first <= applied_) {
      auto who = askers_.at(waiting_.begin()->second);
      open_reads_.erase(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
      out.push_back(read_ready{who.service, who.id});
    }
  }

  void handle(time_point, raft::replica::changed_role& what, effects& out) {
    if (what.now != raft::role::leader) {
      proposals_.clear();
      problem why{errc::not_leader,
                  "this node leads the group no more: " + what.cause + "; ask the one that leads"};
      is_checkpoint_asked_ = is_snapshot_wanted_ = false;
      others_know_.clear();
      allowed_.clear();
      if (std::exchange(is_leading_, false))
        for (auto each : services_)
          out.push_back(follow{each, why});
      for (auto& [index, id] : std::exchange(waiting_, {})) {
        open_reads_.erase(id);
        out.push_back(read_refused{askers_.at(id).service, askers_.at(id).id, why});
      }
    }
    out.push_back(std::move(what));
  }

  void handle(time_point now, raft::replica::committed& what, effects& out) {
    proposals_.erase(proposals_.begin(), proposals_.upper_bound(what.entries.back().index));
    for (auto& line : what.entries) {
      applied_ = line.index;
      bytes_since_ += raft::size_of(line);
      std::visit([&](auto& each) { apply(now, line.term, each, out); }, line.what);
    }
    answer_reads(out);
    propose_checkpoint(now);
  }

  void apply(time_point now, raft::term_number term, raft::no_op&, effects& out) {
    if (replica_.current_role() != raft::role::leader || replica_.term() != term)
      return;
    is_leading_ = true;
    for (auto each : services_)
      out.push_back(lead{each, replica_.time_of_group(now), term, now});
    allow_what_all_know(out);
  }

  void apply(time_point, raft::term_number, std::string& bytes, effects& out) {
    auto line = from_bytes<group_entry>(bytes);
    if (line && services_.contains(line->service))
      return out.push_back(deliver{line->service, std::move(line->payload)});
    if (auto what
        = line && line->service == itself ? from_bytes<checkpoint>(line->payload) : std::nullopt)
      return take_checkpoint(*what, out);
    out.push_back(stop{{errc::incompatible, "entry " + std::to_string(applied_)
                                              + " of the log is of a service that this release "
                                                "does not know; upgrade first"}});
  }

  void apply(time_point, raft::term_number, raft::configuration& members, effects& out) {
    out.push_back(members_are{std::move(members)});
    allow_what_all_know(out);
  }

  // -- rules --------------------------------------------------------------------------

  void handle(time_point, raft::replica::told_about& what, effects& out) {
    if (auto known = from_bytes<known_rules>(what.about))
      others_know_[what.seat] = *std::move(known);
    allow_what_all_know(out);
  }

  /// New rules come into force when every member has said that it knows them: one that is away
  /// could not read what is written under them when it comes back.
  void allow_what_all_know(effects& out) {
    if (!is_leading_)
      return;
    for (auto service : services_) {
      auto known = rules_.of(service);
      for (auto& [seat, who] : replica_.members().members)
        if (seat != replica_.self() && planted_flaw != flaw::rules_rushed)
          known = known.in_common_with(others_know_[seat].of(service));
      if (auto& allowed = allowed_[service]; !allowed.include(known)) {
        allowed = allowed.together_with(known);
        out.push_back(allow_rules{service, allowed.number()});
      }
    }
  }

  // -- snapshots ----------------------------------------------------------------------

  void propose_checkpoint(time_point now) {
    auto is_due = is_snapshot_wanted_ || applied_ >= checkpoint_ + options_.snapshot_every
                  || bytes_since_ >= std::max(options_.snapshot_every_bytes, newest_bytes_);
    if (!is_leading_ || is_checkpoint_asked_ || making_ || !is_due)
      return;
    is_checkpoint_asked_ = true;
    checkpoint what{known_.index, to_string(library_version), known_.hashes};
    replica_.step(now, own(0, {itself, kind::checkpoint}),
                  raft::replica::propose{{to_bytes(group_entry{itself, to_bytes(what)})}}, made_);
  }

  void take_checkpoint(const checkpoint& what, effects& out) {
    checkpoint_ = applied_;
    bytes_since_ = 0;
    is_checkpoint_asked_ = false;
    if (auto why = compare(what); why.code != errc::none)
      return out.push_back(stop{std::move(why)});
    if (making_)
      return; // the disk is slow
    is_snapshot_wanted_ = false;
    making_ = making{replica_.header_at(applied_), {}, {}};
    for (auto each : services_) {
      out.push_back(take_section{each, applied_});
      if (planted_flaw == flaw::sections_apart)
        return; // the next one when this one is there
    }
  }

  /// Says nothing about what this replica has not seen, or a leader of another release had.
  [[nodiscard]] problem compare(const checkpoint& what) const {
    if (what.previous != known_.index || what.release != to_string(library_version))
      return {};
    for (auto& [service, hash] : known_.hashes)
      if (auto other = what.hashes.find(service);
          other != what.hashes.end() && other->second != hash)
        return {errc::damaged, "the state of service " + std::to_string(service) + " after entry "
                                 + std::to_string(known_.index)
                                 + " is not what the leader had; this node must not go on: move "
                                   "its log away, and it comes back with the others' state"};
    return {};
  }

  void add_section(section& what, effects& out) {
    if (!making_ || making_->header.index != what.index)
      return;
    making_->hashes[what.service] = what.hash;
    making_->state.sections[what.service] = std::move(what.bytes);
    if (making_->state.sections.size() < services_.size()) {
      if (planted_flaw == flaw::sections_apart)
        out.push_back(take_section{*services_.upper_bound(what.service), what.index});
      return;
    }
    known_ = {what.index, std::move(making_->hashes)};
    newest_bytes_ = written_bytes(making_->state);
    look_at_size(newest_bytes_, out);
    if (newest_bytes_ > max_kept_bytes)
      return making_.reset(); // the log stays, until a state after it is smaller
    out.push_back(save{making_->header, std::exchange(making_->state, {})});
  }

  /// A snapshot that is too large to be sent is kept all the same: without it the log would grow
  /// for ever, and the restart with it.
  void look_at_size(std::uint64_t bytes, effects& out) const {
    auto most = options_.consensus.max_snapshot_bytes;
    if (bytes <= most)
      return;
    auto what = "the state of the group has " + std::to_string(bytes) + " bytes, more than "
                + std::to_string(most) + " (raft::options::max_snapshot_bytes): "
                + (bytes > max_kept_bytes ? "no disk keeps a snapshot of it, and the log grows"
                                          : "a member that is new or far behind does not catch up");
    out.push_back(warned{
      {errc::limit_reached, what + "; remove what is not needed, or raise it on all nodes"}});
  }

  void end_snapshot(time_point now, const saved& what) {
    if (!making_ || making_->header.index != what.index)
      return;
    making_.reset(); // instead of a failed one the next checkpoint makes another
    if (what.is_synced)
      tell(now, own(0, {}), raft::replica::compacted{what.index});
    else if (planted_flaw == flaw::failed_snapshot_waited_for)
      making_ = making{};
    propose_checkpoint(now);
  }

  void handle(time_point, raft::replica::installed& what, effects& out) {
    applied_ = checkpoint_ = what.what.header.index;
    bytes_since_ = 0;
    making_.reset();
    known_ = {};
    if (auto why = share_out(*what.what.bytes, out); why.code != errc::none)
      return out.push_back(stop{std::move(why)});
    out.push_back(members_are{what.what.header.members});
    answer_reads(out);
  }

  [[nodiscard]] problem share_out(const std::string& bytes, effects& out) {
    newest_bytes_ = bytes.size();
    auto state = from_bytes<group_state>(bytes);
    if (!state)
      return {errc::damaged, "the snapshot of the group cannot be read; restore a backup"};
    for (auto& [service, part] : state->sections) {
      if (!services_.contains(service))
        return {errc::incompatible, "the snapshot of the group has a service that this release "
                                    "does not know; upgrade first"};
      out.push_back(restore_section{service, std::move(part)});
    }
    return {};
  }

  group_options options_;
  known_rules rules_;
  std::set<service_id> services_;
  raft::replica replica_;
  bool lacks_room_ = false;
  /// The first write after the last refusal that takes room, not only a vote.
  std::optional<std::uint64_t> proof_of_room_;
  quorum_watch watch_;
  raft::event_log* events_ = nullptr;
  raft::replica::effects made_; // empty between two steps
  std::map<request_id, asker> askers_;
  std::set<request_id> open_reads_;
  std::map<raft::log_index, asker> proposals_; // by their entries, until those are committed
  std::multimap<raft::log_index, request_id> waiting_; // for entries to be applied
  request_id last_id_ = 0;
  raft::log_index applied_ = 0;
  raft::log_index checkpoint_ = 0; // the last one that was applied, or the snapshot
  std::uint64_t bytes_since_ = 0;  // the checkpoint
  std::uint64_t newest_bytes_ = 0; // of the snapshot made or installed last
  bool is_checkpoint_asked_ = false;
  bool is_snapshot_wanted_ = false;
  known_hashes known_; // of the snapshot made last
  std::optional<making> making_;
  bool is_leading_ = false;
  std::map<raft::seat_id, known_rules> others_know_; // while it leads, as told in this term
  std::map<service_id, service_rules> allowed_;
};

} // namespace troupe::host
