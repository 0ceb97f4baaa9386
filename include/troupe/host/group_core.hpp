#pragma once

#include <algorithm>
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
#include "troupe/core/overloaded.hpp"
#include "troupe/host/group_types.hpp"
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

/// The state of a group: a section for each service.
struct group_state {
  std::map<service_id, std::string> sections;

  template <class Inspector>
  friend bool inspect(Inspector& f, group_state& x) {
    return f.object(x).fields(f.field("sections", x.sections));
  }
};

struct group_options {
  raft::options consensus;
  /// A snapshot after so many entries; bounds the log and a restart.
  std::uint32_t snapshot_every = 10'000;
};

/// One node's share of a group that runs several services on one log: the replica of the
/// log, and what goes between it and the replicated_core of each service. Which may live
/// elsewhere, as long as what is said to one arrives there in order.
///
/// A service learns that it leads after all that was committed before, and reads are
/// confirmed after all that they have to see.
class group_core {
public:
  // -- events -------------------------------------------------------------------------

  /// Of a service that leads.
  struct propose {
    service_id service = 0;
    std::string payload;
  };

  /// A question of a service must see all that was committed before now.
  struct read {
    service_id service = 0;
  };

  /// What was asked by take_section.
  struct section {
    service_id service = 0;
    raft::log_index index = 0;
    std::string bytes;
  };

  /// The snapshot of `save` is synced, or will never be.
  struct saved {
    raft::log_index index = 0;
    bool is_synced = true;
  };

  using event = std::variant<raft::replica::event, propose, read, section, saved>;

  // -- effects: for the disk and the network -------------------------------------------------

  using send = raft::replica::send;
  using write = raft::replica::write;
  using load_snapshot = raft::replica::load_snapshot;
  using changed_role = raft::replica::changed_role;
  using forgot = raft::replica::forgot;
  using ignored = raft::replica::ignored;

  /// Keep this; the log before it may go then.
  struct save {
    raft::snapshot what;
  };

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
  using take_section = to_service::take_section;
  using restore_section = to_service::restore_section;

  /// This node cannot go on.
  struct stop {
    problem why;
  };

  using effects
    = std::vector<std::variant<send, write, load_snapshot, changed_role, forgot, ignored, save,
                               proposed, refused, members_are, deliver, lead, follow, not_taken,
                               read_ready, read_refused, take_section, restore_section, stop>>;

  /// Goes on from what the disk had; `newest` are the bytes of its snapshot, if there is one.
  group_core(raft::seat_id self, const group_options& how, const std::set<service_id>& services,
             const raft::stored_state& stored, time_point now)
    : options_(how),
      services_(services),
      replica_(self, how.consensus, stored, now),
      applied_(stored.base.index),
      saved_(stored.base.index) {}

  /// What the services start with. Returns what is wrong with the bytes, if anything.
  [[nodiscard]] problem begin(const std::string& newest, effects& out) {
    return share_out(newest, out);
  }

  void step(time_point now, request_id id, const event& what, effects& out) {
    auto take = overloaded{
      [&](const raft::replica::event& line) { replica_.step(now, own(id, {}), line, made_); },
      [&](const propose& line) {
        replica_.step(now, own(0, {line.service, kind::proposal}),
                      raft::replica::propose{{to_bytes(group_entry{line.service, line.payload})}},
                      made_);
      },
      [&](const read& line) {
        auto mine = own(id, {line.service, kind::read});
        open_reads_.insert(mine);
        replica_.step(now, mine, raft::replica::read{}, made_);
      },
      [&](const section& line) { add_section(line, out); },
      [&](const saved& line) { end_snapshot(now, line); },
    };
    std::visit(take, what);
    pass_on(now, out);
  }

  void tick(time_point now, effects& out) {
    replica_.tick(now, made_);
    pass_on(now, out);
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return replica_.next_deadline();
  }

  [[nodiscard]] const raft::replica& consensus() const {
    return replica_;
  }

  [[nodiscard]] raft::log_index applied() const {
    return applied_;
  }

private:
  enum class kind : std::uint8_t { member, proposal, read };

  struct asker {
    service_id service = 0;
    kind what = kind::member;
    request_id id = 0;
  };

  struct making {
    raft::snapshot_header header;
    group_state state;
  };

  /// Ids of our own, as services count theirs each for itself.
  request_id own(request_id id, asker who) {
    who.id = id;
    askers_.emplace(++last_id_, who);
    return last_id_;
  }

  void pass_on(time_point now, effects& out) {
    for (auto& what : std::exchange(made_, {}))
      std::visit([&](auto& each) { handle(now, each, out); }, what);
    askers_.erase(askers_.begin(), askers_.lower_bound(oldest_open()));
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
    if (who.what == kind::member && who.id != 0)
      out.push_back(proposed{who.id, what.first, what.term});
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
        return out.push_back(not_taken{who.service, std::move(what.why)});
      case kind::read:
        return out.push_back(read_refused{who.service, who.id, std::move(what.why)});
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
      problem why{errc::not_leader,
                  "this node leads the group no more: " + what.cause + "; ask the one that leads"};
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
    for (auto& line : what.entries) {
      applied_ = line.index;
      std::visit([&](auto& each) { apply(now, line.term, each, out); }, line.what);
    }
    answer_reads(out);
    begin_snapshot(out);
  }

  void apply(time_point now, raft::term_number term, raft::no_op&, effects& out) {
    if (replica_.current_role() != raft::role::leader || replica_.term() != term)
      return;
    is_leading_ = true;
    for (auto each : services_)
      out.push_back(lead{each, replica_.time_of_group(now)});
  }

  void apply(time_point, raft::term_number, std::string& bytes, effects& out) {
    auto line = from_bytes<group_entry>(bytes);
    if (line && services_.contains(line->service))
      return out.push_back(deliver{line->service, std::move(line->payload)});
    out.push_back(stop{{errc::incompatible, "entry " + std::to_string(applied_)
                                              + " of the log is of a service that this release "
                                                "does not know; upgrade first"}});
  }

  void apply(time_point, raft::term_number, raft::configuration& members, effects& out) {
    out.push_back(members_are{std::move(members)});
  }

  // -- snapshots ----------------------------------------------------------------------

  void begin_snapshot(effects& out) {
    if (making_ || applied_ < saved_ + options_.snapshot_every)
      return;
    making_ = making{replica_.header_at(applied_), {}};
    for (auto each : services_)
      out.push_back(take_section{each, applied_});
  }

  void add_section(const section& what, effects& out) {
    if (!making_ || making_->header.index != what.index)
      return;
    making_->state.sections[what.service] = what.bytes;
    if (making_->state.sections.size() < services_.size())
      return;
    auto bytes = std::make_shared<const std::string>(to_bytes(making_->state));
    making_->state = {};
    out.push_back(save{{making_->header, std::move(bytes)}});
  }

  void end_snapshot(time_point now, const saved& what) {
    if (!making_ || making_->header.index != what.index)
      return;
    making_.reset();
    saved_ = what.index; // a failed one is made again, that many entries later
    if (what.is_synced)
      replica_.step(now, own(0, {}), raft::replica::compacted{what.index}, made_);
  }

  void handle(time_point, raft::replica::installed& what, effects& out) {
    applied_ = saved_ = what.what.header.index;
    making_.reset();
    if (auto why = share_out(*what.what.bytes, out); why.code != errc::none)
      return out.push_back(stop{std::move(why)});
    out.push_back(members_are{what.what.header.members});
    answer_reads(out);
  }

  [[nodiscard]] problem share_out(const std::string& bytes, effects& out) const {
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
  std::set<service_id> services_;
  raft::replica replica_;
  raft::replica::effects made_; // empty between two steps
  std::map<request_id, asker> askers_;
  std::set<request_id> open_reads_;
  std::multimap<raft::log_index, request_id> waiting_; // for entries to be applied
  request_id last_id_ = 0;
  raft::log_index applied_ = 0;
  raft::log_index saved_ = 0;
  std::optional<making> making_;
  bool is_leading_ = false;
};

} // namespace troupe::host
