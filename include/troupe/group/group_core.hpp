#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
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
#include "troupe/core/fields.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/rolling_hash.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/group/group_options.hpp"
#include "troupe/group/member_rules.hpp"
#include "troupe/group/own_services.hpp"
#include "troupe/group/quorum_watch.hpp"
#include "troupe/group/snapshot_maker.hpp"
#include "troupe/host/group_types.hpp"
#include "troupe/raft/event_log.hpp"
#include "troupe/raft/replica.hpp"

namespace troupe::host {

/// The content of a command in the group's log.
struct group_entry {
  service_id service = 0;
  std::string payload;

  TROUPE_FIELDS(group_entry, service, payload);
};

/// The group's own entries. Add new kinds at the end.
using group_fact = std::variant<checkpoint, introduction>;

/// One node's part of a group that runs several services on one log: the Raft replica, and the
/// messages between it and the replicated_core of each service. A service may run on another
/// thread, as long as its messages arrive in order.
///
/// A service gets `lead` after all entries committed in earlier terms, and `read_ready` after all
/// entries that the read has to see.
///
/// A leader introduces each service that its program adds in the log, before the first entry of the
/// service. A replica that does not run the service, for example because its program lacks it or
/// its machine has thrown, keeps the entries that it cannot carry out (see own_services). As leader
/// it leads all other services.
///
/// Snapshots are made at checkpoints in the log, see snapshot_maker. The host encodes and hashes
/// their sections elsewhere, so that heartbeats do not wait for large ones. An installed snapshot
/// is decoded here, which copies it.
class group_core {
public:
  /// Number of the group's own entries. No service has it.
  static constexpr service_id itself = 0;

  // -- events -------------------------------------------------------------------------

  /// A service that leads proposes an entry. Refused with not_taken.
  struct propose {
    service_id service = 0;
    proposal what;
  };

  /// A read of a service, which has to see all entries committed before now. Answered by read_ready
  /// or read_refused.
  struct read {
    service_id service = 0;
    /// See raft::replica_types::read.
    bool may_wait = false;
  };

  using section = snapshot_maker::section;

  /// Returns the answer to take_section. Cost: about 0.5 ms per MB.
  static section section_of(service_id service, raft::log_index index, std::string bytes) {
    rolling_hash hash;
    hash.add(bytes);
    return {service, index, std::move(bytes), hash.value()};
  }

  using saved = snapshot_maker::saved;

  /// Makes all members make a snapshot even if none is due. A leader proposes the checkpoint again
  /// until the log takes it; a follower does nothing.
  struct snapshot_now {};

  /// The host cannot step this service any more, for example because its machine has thrown. A
  /// service that the program adds ends alone; without a built-in one the node stops.
  struct ended {
    service_id service = 0;
    problem why;
  };

  using event
    = std::variant<raft::replica::event, propose, read, section, saved, snapshot_now, ended>;

  // -- effects: for the disk and the network -------------------------------------------------

  using send = raft::replica::send;
  using write = raft::replica::write;
  using note_commit = raft::replica::note_commit;
  using load_snapshot = raft::replica::load_snapshot;
  using changed_role = raft::replica::changed_role;
  using forgot = raft::replica::forgot;
  using ignored = raft::replica::ignored;

  using save = snapshot_maker::save;

  /// Returns the snapshot as the disk stores it. Cost: a copy of all sections.
  static raft::snapshot to_snapshot(const save& what) {
    return {what.header, std::make_shared<const std::string>(to_bytes(what.state))};
  }

  /// Answers to events of the replica that have an id, for example a change of members.
  using proposed = raft::replica::proposed;
  using refused = raft::replica::refused;

  /// The members by the last configuration that was applied, also after begin() and an installed
  /// snapshot.
  struct members_are {
    raft::configuration members;
  };

  // -- effects: for the services, in order for each --------------------------------------------

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
  using excluded = to_service::excluded;

  using stop = snapshot_maker::stop;
  using warned = snapshot_maker::warned;

  /// The disk is full, or has room again (errc::none). Between the two, new entries are not
  /// acknowledged here.
  struct disk_room {
    problem why;
  };

  using effects
    = std::vector<std::variant<send, write, note_commit, load_snapshot, changed_role, forgot,
                               ignored, save, proposed, refused, members_are, deliver, lead, follow,
                               not_taken, read_ready, read_refused, allow_rules, take_section,
                               restore_section, without_quorum, excluded, stop, warned, disk_room>>;

  /// Continues from the stored state. `services`: the newest rules that each service knows here.
  /// `own`: the titles of those services that the program adds.
  group_core(raft::member_id self, const group_options& how,
             const std::map<service_id, std::uint32_t>& services, const raft::stored_state& stored,
             time_point now, const std::map<service_id, service_title>& own = {})
    : max_unread_bytes_(how.max_unread_bytes),
      rules_({services, own}),
      services_(numbers_of(services)),
      own_(own),
      replica_(self, saying(how.consensus, rules_), stored, now),
      snapshots_(how, stored.base.index),
      watch_(self, how.consensus, how.name_of, now),
      applied_(stored.base.index) {
    assert(!services.contains(itself));
  }

  /// Restores the services and the members from the stored snapshot. Call it first, if there is a
  /// snapshot. Returns why its bytes cannot be used; errc::none if they can.
  [[nodiscard]] problem begin(const std::string& newest, effects& out) {
    if (auto why = share_out(newest, 0, out))
      return why;
    out.push_back(members_are{replica_.header_at(applied_).members});
    return {};
  }

  /// Writes the events and effects of the replica to `where`, which has to outlive this. Null ends
  /// it.
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
          if (auto why = snapshots_.why_too_large(found->what.bytes->size()))
            out.push_back(warned{std::move(why)});
        tell(now, own(id, {}), line);
      },
      [&](propose& line) { put(now, line, out); },
      [&](const read& line) {
        auto mine = own(id, {line.service, kind::read});
        open_reads_.insert(mine);
        replica_.step(now, mine, raft::replica::read{line.may_wait}, made_);
      },
      [&](section& line) { give(snapshots_.add(line, own_), out); },
      [&](const saved& line) { end_snapshot(now, line); },
      [&](const snapshot_now&) {
        want_snapshot();
        propose_checkpoint(now);
      },
      [&](ended& line) { end(now, line, out); },
    };
    troupe::visit(take, what);
    pass_on(now, out);
  }

  void tick(time_point now, effects& out) {
    watch_.time_is(now);
    replica_.tick(now, made_);
    if (snapshots_.is_wanted())
      propose_checkpoint(now); // again, if the log did not take it
    propose_introductions(now);
    pass_on(now, out);
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = replica_.next_deadline();
    if (auto review = watch_.next_deadline())
      next = std::min(next.value_or(*review), *review);
    return next;
  }

  /// What this replica knows about the quorum, as leader or follower.
  [[nodiscard]] quorum_view quorum(time_point now) const {
    return watch_.look(replica_.members(), now);
  }

  [[nodiscard]] const raft::replica& consensus() const {
    return replica_;
  }

  [[nodiscard]] raft::log_index applied() const {
    return applied_;
  }

  /// A service that a program has added, as this replica sees it.
  struct own_view {
    service_title title;
    /// Why this replica does not run it; errc::none if it does.
    problem why;
    /// On the leader only: other members that lack it, and other members that do not know all
    /// rules that this replica knows.
    std::vector<raft::member_id> lacking{};
    std::vector<raft::member_id> older{};
  };

  /// The introduced services, in the order of their numbers. `lacking` and `older` leave out
  /// members that have not reported yet.
  [[nodiscard]] std::vector<own_view> own_view_of_all() const {
    std::vector<own_view> all;
    for (auto& [which, title] : own_.all()) {
      auto& made = all.emplace_back(own_view{title, own_.why_not(which)});
      if (!is_leading_)
        continue;
      for (auto& [seat, who] : replica_.members().members)
        if (rules_.lacks(seat, which, title))
          made.lacking.push_back(seat);
        else if (own_.is_here(which) && rules_.is_older(seat, which))
          made.older.push_back(seat);
    }
    return all;
  }

private:
  static std::set<service_id> numbers_of(const std::map<service_id, std::uint32_t>& services) {
    std::set<service_id> found;
    for (auto& [each, rules] : services)
      found.insert(each);
    return found;
  }

  static raft::options saying(raft::options how, const member_rules& what) {
    how.about = what.about();
    return how;
  }

  enum class kind : std::uint8_t { member, proposal, read, checkpoint, introduction };

  struct asker {
    service_id service = 0;
    kind what = kind::member;
    request_id id = 0;
  };

  void put(time_point now, propose& line, effects& out) {
    auto& [term, number, payload] = line.what;
    auto is_of_now = term == replica_.term() || planted_flaw == flaw::old_proposals_taken;
    if (!is_leading_ || !is_of_now)
      return out.push_back(
        not_taken{line.service,
                  number,
                  {errc::not_leader, "this node has stopped leading the group; ask the leader"}});
    if (auto why = too_few_run(line.service))
      return out.push_back(not_taken{line.service, number, std::move(why)});
    replica_.step(now, own(number, {line.service, kind::proposal}),
                  raft::replica::propose{{to_bytes(group_entry{line.service, std::move(payload)})}},
                  made_);
  }

  /// Returns an id for the replica. The ids of services are not unique: each counts its own.
  request_id own(request_id id, asker who) {
    who.id = id;
    askers_.emplace(++last_id_, who);
    return last_id_;
  }

  /// Passes to the quorum watch what the event shows about other members.
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
          proof_of_room_ = line->number; // a vote alone may fit on a full disk
        troupe::visit([&](auto& each) { handle(now, each, out); }, what);
      }
    }
    askers_.erase(askers_.begin(), askers_.lower_bound(oldest_open()));
    if (auto why = watch_.review(replica_.leader(), replica_.members()))
      for (auto each : services_)
        out.push_back(without_quorum{each, *why});
  }

  /// The oldest id that may still be answered. Only reads are answered after their own step.
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
    snapshots_.not_taken();
    introducing_.clear(); // tick() proposes them again
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
        return snapshots_.not_taken();
      case kind::introduction:
        introducing_.erase(who.service);
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
                  "this node has stopped leading the group: " + what.cause + "; ask the leader"};
      snapshots_.end_lead();
      introducing_.clear();
      rules_.end_lead();
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
      snapshots_.count(raft::size_of(line));
      troupe::visit([&](auto& each) { apply(now, line.term, each, out); }, line.what);
    }
    give(snapshots_.applied(applied_, own_), out);
    answer_reads(out);
    propose_checkpoint(now);
  }

  void apply(time_point now, raft::term_number term, raft::no_op&, effects& out) {
    if (replica_.current_role() != raft::role::leader || replica_.term() != term)
      return;
    is_leading_ = true;
    for (auto each : stepped())
      out.push_back(lead{each, replica_.time_of_group(now), term, now});
    for (auto& [which, title] : own_.all())
      if (auto why = own_.why_not(which))
        out.push_back(warned{std::move(why)}); // it does not answer while this node leads
    propose_introductions(now);
    allow_what_all_know(out);
  }

  void apply(time_point now, raft::term_number, std::string& bytes, effects& out) {
    auto line = from_bytes<group_entry>(bytes);
    if (line && own_.is_introduced(line->service))
      return take_own(*line, out);
    if (line && takes_part(line->service))
      return out.push_back(deliver{line->service, std::move(line->payload)});
    auto fact
      = line && line->service == itself ? from_bytes<group_fact>(line->payload) : std::nullopt;
    if (auto* what = fact ? std::get_if<checkpoint>(&*fact) : nullptr)
      return give(snapshots_.take(*what, replica_.header_at(applied_), own_, stepped()), out);
    if (auto* what = fact ? std::get_if<introduction>(&*fact) : nullptr;
        what != nullptr && what->service >= first_own_service)
      return introduce(now, *what, out);
    out.push_back(stop{{errc::incompatible, "entry " + std::to_string(applied_)
                                              + " of the log is of a service that this release "
                                                "does not know; upgrade first"}});
  }

  void apply(time_point, raft::term_number, raft::configuration& members, effects& out) {
    out.push_back(members_are{std::move(members)});
    allow_what_all_know(out);
  }

  // -- services that programs add -------------------------------------------------------

  /// Whether this replica steps the service.
  [[nodiscard]] bool takes_part(service_id which) const {
    return own_.is_here(which) ? own_.runs(which) : services_.contains(which);
  }

  [[nodiscard]] std::set<service_id> stepped() const {
    auto found = services_;
    std::erase_if(found, [&](service_id each) { return !takes_part(each); });
    return found;
  }

  void propose_introductions(time_point now) {
    if (!is_leading_)
      return;
    for (auto& each : own_.to_introduce())
      if (introducing_.insert(each.service).second)
        replica_.step(
          now, own(0, {each.service, kind::introduction}),
          raft::replica::propose{{to_bytes(group_entry{itself, to_bytes(group_fact{each})})}},
          made_);
  }

  void introduce(time_point now, const introduction& what, effects& out) {
    introducing_.erase(what.service);
    if (!own_.introduce(what))
      return;
    if (own_.is_here(what.service) && !own_.runs(what.service))
      refuse_part(what.service, out);
    if (!is_leading_ || !own_.runs(what.service))
      return;
    out.push_back(lead{what.service, replica_.time_of_group(now), replica_.term(), now});
    allow_what_all_know(out);
  }

  /// Returns no_quorum unless a majority of the voters runs the service. The other voters keep its
  /// entries and stop when they have too many, so that the group would lose its quorum.
  [[nodiscard]] problem too_few_run(service_id which) const {
    if (!own_.is_introduced(which))
      return {};
    auto voters = replica_.members().voters();
    auto& title = own_.title(which);
    auto lacking = std::ranges::count_if(voters, [&](raft::member_id seat) {
      return seat == replica_.self() ? !own_.runs(which) : rules_.lacks(seat, which, title);
    });
    if (2 * (voters.size() - static_cast<std::size_t>(lacking)) > voters.size())
      return {};
    return {errc::no_quorum, "the service '" + title.name + "' does not run on "
                               + std::to_string(lacking) + " of " + std::to_string(voters.size())
                               + " voters, as their programs lack it or it has failed there; see "
                                 "troupe voters for their names, and start programs there that "
                                 "have it"};
  }

  /// Excludes the service, so that clients here learn why instead of being sent to the leader.
  void refuse_part(service_id which, effects& out) {
    auto why = own_.why_not(which);
    out.push_back(excluded{which, why});
    out.push_back(warned{std::move(why)});
  }

  void take_own(group_entry& line, effects& out) {
    if (auto why = own_.keep(line.service, applied_, line.payload, max_unread_bytes_))
      return out.push_back(stop{std::move(why)});
    if (own_.runs(line.service))
      out.push_back(deliver{line.service, std::move(line.payload)});
  }

  void end(time_point now, ended& what, effects& out) {
    if (!own_.is_here(what.service))
      return out.push_back(stop{std::move(what.why)}); // the node needs all built-in ones
    if (auto name = "'" + own_.title_here(what.service).name + "'";
        what.why.detail.find(name) == std::string::npos)
      what.why.detail = "the service " + name + " has stopped on this node: " + what.why.detail;
    own_.end(what.service, what.why);
    rules_.end(what.service);
    tell(now, own(0, {}), raft::replica::say_about{rules_.about()});
    if (snapshots_.give_up(what.service))
      want_snapshot(); // a backup may wait for it
    out.push_back(excluded{what.service, what.why});
    out.push_back(warned{std::move(what.why)});
  }

  // -- rules --------------------------------------------------------------------------

  void handle(time_point, raft::replica::told_about& what, effects& out) {
    rules_.told(what.seat, what.about);
    allow_what_all_know(out);
  }

  void allow_what_all_know(effects& out) {
    if (!is_leading_)
      return;
    for (auto each : stepped())
      if (auto number = rules_.allow(each, replica_.members(), replica_.self()))
        out.push_back(allow_rules{each, *number});
  }

  // -- snapshots ----------------------------------------------------------------------

  void want_snapshot() {
    snapshots_.want(replica_.current_role() == raft::role::leader);
  }

  void propose_checkpoint(time_point now) {
    if (!is_leading_)
      return;
    if (auto what = snapshots_.next_checkpoint(applied_))
      replica_.step(now, own(0, {itself, kind::checkpoint}),
                    raft::replica::propose{
                      {to_bytes(group_entry{itself, to_bytes(group_fact{*std::move(what)})})}},
                    made_);
  }

  void end_snapshot(time_point now, const saved& what) {
    if (!snapshots_.end(what))
      return;
    if (what.is_synced)
      tell(now, own(0, {}), raft::replica::compacted{what.index});
    propose_checkpoint(now);
  }

  static void give(snapshot_maker::effects made, effects& out) {
    for (auto& what : made)
      troupe::visit([&](auto& each) { out.push_back(std::move(each)); }, what);
  }

  void handle(time_point, raft::replica::installed& what, effects& out) {
    auto had = std::exchange(applied_, what.what.header.index);
    if (auto why = share_out(*what.what.bytes, had, out))
      return out.push_back(stop{std::move(why)});
    out.push_back(members_are{what.what.header.members});
    answer_reads(out);
  }

  /// Gives each service its section. The services had applied all entries up to `had` before.
  [[nodiscard]] problem share_out(const std::string& bytes, raft::log_index had, effects& out) {
    snapshots_.restore(applied_, bytes.size());
    auto state = from_bytes<group_state>(bytes);
    if (!state)
      return {errc::damaged, "the snapshot of the group cannot be read; restore a backup"};
    for (auto& [service, title] : state->introduced)
      if (service < first_own_service)
        return {errc::damaged, "the snapshot of the group has a service of a program under a "
                               "number of the built-in ones; restore a backup"};
    own_.restore(applied_, state->introduced, state->sections, state->unread);
    for (auto& [service, part] : state->sections)
      if (!own_.is_introduced(service) && (own_.is_here(service) || !services_.contains(service)))
        return {errc::incompatible, "the snapshot of the group has a service that this release "
                                    "does not know; upgrade first"};
    for (auto& [service, part] : state->sections)
      if (!own_.is_introduced(service))
        out.push_back(restore_section{service, std::move(part)});
    for (auto& [service, title] : state->introduced)
      share_out_own(service, had, out);
    return {};
  }

  void share_out_own(service_id which, raft::log_index had, effects& out) {
    if (!own_.runs(which))
      return own_.is_here(which) ? refuse_part(which, out) : void();
    auto& base = own_.section(which);
    if (base)
      out.push_back(restore_section{which, *base});
    for (auto& each : own_.unread(which))
      if (base || each.index > had || planted_flaw == flaw::unread_repeated)
        out.push_back(deliver{which, each.payload});
  }

  std::uint64_t max_unread_bytes_;
  member_rules rules_;
  std::set<service_id> services_;
  own_services own_;
  std::set<service_id> introducing_; // proposed by this leader, and not applied yet
  raft::replica replica_;
  snapshot_maker snapshots_;
  bool lacks_room_ = false;
  /// The first write since the last failed one that has more than a vote.
  std::optional<std::uint64_t> proof_of_room_;
  quorum_watch watch_;
  raft::event_log* events_ = nullptr;
  raft::replica::effects made_; // empty between two steps
  std::map<request_id, asker> askers_;
  std::set<request_id> open_reads_;
  std::map<raft::log_index, asker> proposals_;         // by index, until committed
  std::multimap<raft::log_index, request_id> waiting_; // reads, by the index to be applied
  request_id last_id_ = 0;
  raft::log_index applied_ = 0;
  bool is_leading_ = false;
};

} // namespace troupe::host
