#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <ios>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "caf/actor.hpp"
#include "caf/actor_system.hpp"
#include "caf/expected.hpp"
#include "caf/send.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/group/detail/group_actor.hpp"
#include "troupe/group/detail/group_driver.hpp"
#include "troupe/group/group_listener.hpp"
#include "troupe/group/group_log.hpp"
#include "troupe/host/group_member.hpp"
#include "troupe/platform/entropy.hpp"

namespace troupe::host {

/// This node's member of a Raft group, which runs services on one replicated log. Open it, spawn
/// its services on seat(n), then start it. Copies share one member; thread-safe.
class group {
public:
  group() = default;

  /// Opens the log in `file`. Blocks. `services` are those of troupe, `own` those that the program
  /// adds. Errors: those of the log (damaged, incompatible, in_use, …); failed if
  /// group_options::event_log cannot be written.
  static caf::expected<group> open(caf::actor_system& sys, const std::filesystem::path& file,
                                   const std::set<service_id>& services, group_options how = {},
                                   group_listener listener = {},
                                   std::map<service_id, service_title> own = {}) {
    detail::group_driver::prepared from;
    from.log = std::make_shared<group_log>(file);
    if (auto why = from.log->load(from.stored))
      return to_error(std::move(why));
    if (how.consensus.seed == 0) {
      how.consensus.seed = random_seed();
      how.consensus.first_step
        = 1 + static_cast<std::uint32_t>(random_seed() % raft::max_first_step);
    }
    if (!how.event_log.empty()) {
      from.events.open(how.event_log, std::ios::app);
      if (!from.events)
        return to_error({errc::failed, "the Raft event log " + how.event_log.string()
                                         + " cannot be written; make sure that its folder exists"});
    }
    from.how = how;
    from.listener = std::move(listener);
    from.services = services;
    for (auto& [which, title] : own)
      from.services.insert(which);
    from.own = std::move(own);
    group made;
    made.token_floor_ = from.stored.token_floor;
    made.is_new_ = from.stored.state.last_ballot.term == 0 && from.stored.state.base.index == 0;
    made.life_ = random_seed() | 1U;
    made.driver_ = std::make_shared<detail::group_driver>(sys, std::move(from));
    made.inside_ = detail::spawn_group(sys, made.driver_);
    return made;
  }

  /// Returns the connection of service `which` to the group, for host::replicated.
  [[nodiscard]] std::shared_ptr<group_member> seat(service_id which) const {
    return std::make_shared<detail::group_seat>(driver_, which, life_, token_floor_);
  }

  void start() const {
    if (driver_)
      driver_->start();
  }

  /// Returns the member id of this node.
  [[nodiscard]] raft::member_id seat() const {
    return driver_ ? driver_->seat() : raft::member_id{};
  }

  /// Replaces the member id `lost`, whose disk has lost synced data, by a new one; does nothing if
  /// this node has another id by now. Then calls `done`, on any thread; it must not block.
  /// Errors: those of the disk.
  void change_seat(raft::member_id lost, std::function<void(const problem&)> done) const {
    if (driver_)
      driver_->change_seat(lost, raft::member_id{random_seed() | 1U}, std::move(done));
  }

  /// Returns whether the log is empty: this node has to found the group, or to join it.
  [[nodiscard]] bool is_new() const {
    return is_new_;
  }

  /// Returns the actor of this member, for set_peer() on the other members.
  [[nodiscard]] const caf::actor& handle() const {
    return inside_;
  }

  /// Sets the actor of member `seat`; null: it cannot be reached.
  void set_peer(raft::member_id seat, const caf::strong_actor_ptr& where) const {
    if (driver_ && driver_->set_peer(seat, where) && where)
      run_on_state<detail::group_state_actor>(
        inside_, [where](detail::group_state_actor& state) { state.watch(where); });
  }

  /// Founds the group, adds, promotes, removes or moves a member, or hands leadership over. Calls
  /// `done` on any thread; it must not block. It gets errc::none once the request is in the log,
  /// not_leader if this node is not the leader.
  void ask(const raft::replica::event& what, std::function<void(const problem&)> done) const {
    if (driver_)
      driver_->ask(what, std::move(done));
  }

  /// Calls `done` with the status of the group, before it returns.
  void look(const std::function<void(const group_status&)>& done) const {
    if (driver_)
      driver_->look(done);
  }

  /// Returns what this node knows of the quorum: the leader or since when there is none, the
  /// voters, which of them are reached, and the problem for callers once too few are. Empty before
  /// the start and after the end. Does not block; any thread.
  [[nodiscard]] quorum_view quorum() const {
    return driver_ ? driver_->quorum() : quorum_view{};
  }

  /// Makes a snapshot with all that is committed at the time of the call. Calls `done` with it on
  /// any thread; it must not block. Errors: not_leader, busy (a backup is being made), those of
  /// the disk.
  void back_up(std::function<void(result<group_backup>)> done) const {
    if (driver_)
      driver_->back_up(std::move(done));
  }

  /// Ends the participation of this node; committed entries stay on its disk.
  void stop() const {
    if (inside_)
      caf::anon_send_exit(inside_, caf::exit_reason::user_shutdown);
  }

private:
  caf::actor inside_;
  std::shared_ptr<detail::group_driver> driver_;
  std::uint64_t life_ = 0;
  bool is_new_ = false;
  std::uint64_t token_floor_ = 0;
};

} // namespace troupe::host
