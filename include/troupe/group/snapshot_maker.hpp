#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/codec.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/version.hpp"
#include "troupe/group/group_options.hpp"
#include "troupe/group/own_services.hpp"
#include "troupe/host/group_types.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::host {

/// An entry of the group itself: each replica makes a snapshot here, and compares its previous one
/// with the leader's.
struct checkpoint {
  /// Index of the leader's previous snapshot; zero if it has none to compare.
  raft::log_index previous = 0;
  /// The leader's release: another release may encode the same state differently.
  std::string release;
  /// The hash of each section of that snapshot.
  std::map<service_id, std::uint64_t> hashes;

  TROUPE_FIELDS(checkpoint, previous, release, hashes);
};

/// The state of a group: a section for each service.
struct group_state {
  std::map<service_id, std::string> sections;
  /// The services that programs add. If the replica that made this does not run one, that service
  /// has its last known section, if there is one, and in `unread` the entries since.
  std::map<service_id, service_title> introduced{};
  std::map<service_id, std::vector<unread_entry>> unread{};

  TROUPE_FIELDS(group_state, sections, introduced, unread);
};

/// Returns the size of to_bytes(state) without encoding the sections.
inline std::uint64_t written_bytes(const group_state& state) {
  group_state frame{{}, state.introduced, state.unread};
  std::uint64_t inside = 0;
  for (auto& [service, part] : state.sections) {
    frame.sections[service] = {};
    inside += part.size();
  }
  return to_bytes(frame).size() + inside;
}

/// Makes one replica's snapshots of a group. The leader proposes a checkpoint when one is due, and
/// once it is applied each replica asks its services for their sections, so that all snapshots are
/// of the same state. The next checkpoint has the hashes of the leader's sections. A replica that
/// had another state then stops, so that it does not spread the difference (from faulty memory, or
/// a rule that is not deterministic). This finds differences that the rolling hashes of batches
/// cannot: in state that no effect has shown yet.
///
/// One snapshot is made at a time: a checkpoint that is applied before the disk has the last one
/// makes none.
class snapshot_maker {
public:
  /// The answer to take_section.
  struct section {
    service_id service = 0;
    raft::log_index index = 0;
    std::string bytes;
    /// The rolling_hash of the bytes.
    std::uint64_t hash = 0;
  };

  /// The snapshot of `save` is synced, or will never be.
  struct saved {
    raft::log_index index = 0;
    bool is_synced = true;
  };

  using take_section = to_service::take_section;

  /// Store this; then the log before it may be dropped.
  struct save {
    raft::snapshot_header header;
    group_state state;
  };

  /// This node cannot continue.
  struct stop {
    problem why;
  };

  /// This node continues, but its operator has to act.
  struct warned {
    problem why;
  };

  using effects = std::vector<std::variant<take_section, save, stop, warned>>;

  /// `newest`: index of the snapshot on the disk.
  snapshot_maker(group_options how, raft::log_index newest)
    : options_(std::move(how)), checkpoint_(newest) {}

  // -- checkpoints --------------------------------------------------------------------

  /// Call for each applied entry, with its size.
  void count(std::uint64_t bytes) {
    bytes_since_ += bytes;
  }

  /// Sets whether to make a snapshot even if none is due.
  void want(bool is_wanted) {
    is_wanted_ = is_wanted;
  }

  [[nodiscard]] bool is_wanted() const {
    return is_wanted_;
  }

  /// Returns what a leader that has applied the log up to `applied` has to propose. Nothing if no
  /// snapshot is due, one is being made, or the last checkpoint returned is not applied yet.
  [[nodiscard]] std::optional<checkpoint> next_checkpoint(raft::log_index applied) {
    if (is_asked_ || making_ || !(is_wanted_ || is_due(applied)))
      return std::nullopt;
    is_asked_ = true;
    return checkpoint{known_.index, to_string(library_version), known_.hashes};
  }

  /// The log did not take the last checkpoint, so that it is due again.
  void not_taken() {
    is_asked_ = false;
  }

  /// Forgets the checkpoint and the wish of a leadership that has ended.
  void end_lead() {
    is_asked_ = is_wanted_ = false;
  }

  // -- snapshots ----------------------------------------------------------------------

  /// A checkpoint was applied, at `here`. Asks the services in `stepped` for their sections; those
  /// of the others are in `own`.
  [[nodiscard]] effects take(const checkpoint& what, const raft::snapshot_header& here,
                             own_services& own, std::set<service_id> stepped) {
    effects out;
    checkpoint_ = here.index;
    bytes_since_ = 0;
    is_asked_ = false;
    if (!compare(what, own, out))
      return out;
    if (making_) { // the disk is slow, or a service
      finish_without_late(own, out);
      return out;
    }
    is_wanted_ = false;
    making_ = making{here, {}, {}, std::move(stepped)};
    own.write(making_->state.introduced, making_->state.sections, making_->state.unread);
    for (auto each : making_->awaited) {
      out.push_back(take_section{each, here.index});
      if (planted_flaw == flaw::sections_apart)
        return out; // the next one when this one is there
    }
    if (making_->awaited.empty())
      save_it(out);
    return out;
  }

  /// Adds a section. One of an earlier snapshot is kept for the next one, if its service is late.
  [[nodiscard]] effects add(section& what, own_services& own) {
    effects out;
    if (!making_ || making_->header.index != what.index
        || making_->awaited.erase(what.service) == 0) {
      own.late_section_is(what.service, what.index, what.bytes);
      return out;
    }
    own.section_is(what.service, what.index, what.bytes);
    making_->hashes[what.service] = what.hash;
    making_->state.sections[what.service] = std::move(what.bytes);
    if (making_->awaited.empty())
      save_it(out);
    else if (planted_flaw == flaw::sections_apart)
      out.push_back(take_section{*making_->awaited.begin(), what.index});
    return out;
  }

  /// Call after entries were applied, up to `applied`. If the next snapshot is due, the one being
  /// made does not wait longer for services that programs add.
  [[nodiscard]] effects applied(raft::log_index applied, own_services& own) {
    effects out;
    if (making_ && is_due(applied))
      finish_without_late(own, out);
    return out;
  }

  /// Gives up the snapshot if it waits for a section of this service, which will not come. Returns
  /// whether it did.
  [[nodiscard]] bool give_up(service_id which) {
    auto is_awaited = making_ && making_->awaited.contains(which);
    if (is_awaited)
      making_.reset();
    return is_awaited;
  }

  /// Ends the snapshot being made; returns false if `what` is about another one. After a failed
  /// snapshot the next checkpoint makes another.
  [[nodiscard]] bool end(const saved& what) {
    if (!making_ || making_->header.index != what.index)
      return false;
    making_.reset();
    if (!what.is_synced && planted_flaw == flaw::failed_snapshot_waited_for)
      making_ = making{};
    return true;
  }

  /// The state was replaced by a snapshot after entry `index`, of so many bytes.
  void restore(raft::log_index index, std::uint64_t bytes) {
    checkpoint_ = index;
    bytes_since_ = 0;
    newest_bytes_ = bytes;
    making_.reset();
    known_ = {};
  }

  /// Returns limit_reached if a snapshot of so many bytes is too large to be sent. It is stored all
  /// the same, up to max_kept_bytes: without it the log, and the time of a restart, would grow
  /// without bound.
  [[nodiscard]] problem why_too_large(std::uint64_t bytes) const {
    auto most = options_.consensus.max_snapshot_bytes;
    if (bytes <= most)
      return {};
    auto what = "the state of the group has " + std::to_string(bytes) + " bytes, more than "
                + std::to_string(most) + " (raft::options::max_snapshot_bytes): "
                + (bytes > max_kept_bytes ? "no disk keeps a snapshot of it, and the log grows"
                                          : "a member that is new or far behind does not catch up");
    return {errc::limit_reached,
            what + "; remove unneeded data, or raise it on all nodes, to at most 4 GiB - 1"};
  }

private:
  [[nodiscard]] bool is_due(raft::log_index applied) const {
    return applied >= checkpoint_ + options_.snapshot_every
           || bytes_since_ >= std::max(options_.snapshot_every_bytes, newest_bytes_);
  }

  /// Lengths on the disk have 32 bits.
  static constexpr std::uint64_t max_kept_bytes = std::numeric_limits<std::uint32_t>::max();

  struct making {
    raft::snapshot_header header;
    group_state state;
    std::map<service_id, std::uint64_t> hashes;
    std::set<service_id> awaited; // services whose sections have not come yet
  };

  /// The hashes of the sections after entry `index`.
  struct known_hashes {
    raft::log_index index = 0;
    std::map<service_id, std::uint64_t> hashes;
  };

  /// Returns whether this replica may continue. Compares only a snapshot that both have, by leaders
  /// of the same release. A difference in a service of a program is only a warning, because the
  /// releases of programs are unknown here.
  [[nodiscard]] bool compare(const checkpoint& what, const own_services& own, effects& out) const {
    if (what.previous != known_.index || what.release != to_string(library_version))
      return true;
    for (auto& [service, hash] : known_.hashes) {
      auto other = what.hashes.find(service);
      if (other == what.hashes.end() || other->second == hash)
        continue;
      if (!own.is_introduced(service)) {
        out.push_back(
          stop{{errc::damaged, "the state of service " + std::to_string(service) + " after entry "
                                 + std::to_string(known_.index)
                                 + " is not what the leader had; this node must not go on: move "
                                   "its log away, and it comes back with the others' state"}});
        return false;
      }
      out.push_back(warned{{errc::damaged, "the state of the service '" + own.title(service).name
                                             + "' differs from the leader's; make sure that both "
                                               "nodes run the same release of the program, and "
                                               "that its rules and snapshot are deterministic"}});
    }
    return true;
  }

  /// Completes the snapshot being made with what `own` has kept of the services whose sections it
  /// waits for: rules of a program may take long, or for ever, and the log must not grow meanwhile.
  /// Waits for sections of built-in services.
  void finish_without_late(own_services& own, effects& out) {
    auto& late = making_->awaited;
    if (late.empty()
        || !std::ranges::all_of(late, [&](service_id each) { return own.is_introduced(each); }))
      return;
    for (auto each : std::exchange(late, {})) {
      own.is_late(each);
      own.write(each, making_->header.index, making_->state.sections, making_->state.unread);
      out.push_back(warned{{errc::busy, "the service '" + own.title(each).name
                                          + "' has not given its state for a snapshot in time, so "
                                            "its entries are kept; make its rules faster"}});
    }
    save_it(out);
  }

  void save_it(effects& out) {
    known_ = {making_->header.index, std::move(making_->hashes)};
    newest_bytes_ = written_bytes(making_->state);
    if (auto why = why_too_large(newest_bytes_))
      out.push_back(warned{std::move(why)});
    if (newest_bytes_ > max_kept_bytes)
      return making_.reset(); // the log stays until a later state is smaller
    out.push_back(save{making_->header, std::exchange(making_->state, {})});
  }

  group_options options_;
  raft::log_index checkpoint_; // index of the last one applied, or of the snapshot
  std::uint64_t bytes_since_ = 0;
  std::uint64_t newest_bytes_ = 0; // of the last snapshot made or installed
  bool is_asked_ = false;          // a checkpoint is proposed, and not applied yet
  bool is_wanted_ = false;
  known_hashes known_;           // of the last snapshot made
  std::optional<making> making_; // until the disk has it
};

} // namespace troupe::host
