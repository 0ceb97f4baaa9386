#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "troupe/core/caf/node_finder.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/caf/wait.hpp"
#include "troupe/core/result.hpp"
#include "troupe/group/group.hpp"
#include "troupe/node/node_shell.hpp"
#include "troupe/node/options.hpp"
#include "troupe/node/services.hpp"
#include "troupe/node/voters_part.hpp"

namespace troupe::cluster {

/// What a node with a data folder has of the group that keeps the services of its cluster: the log,
/// and the services on it. The voters_part of its node_shell speaks with the other members. A node
/// has it before the group takes it in, and also if it never does.
class seat {
public:
  /// Reads the log in `file`, so it blocks. `nodes`: who sends a command of another process.
  /// Errors: damaged, incompatible, in_use, storage_full, with what to do.
  static result<std::unique_ptr<seat>> open(caf::actor_system& sys,
                                            const std::filesystem::path& file,
                                            const host::group_options& how,
                                            const service_options& bounds, node_finder nodes) {
    auto made = std::unique_ptr<seat>{new seat(sys)};
    auto named = how;
    named.name_of = [](const std::string& contact) {
      auto where = to_seat_contact(contact).address;
      return where.empty() ? std::string{digits_in(contact)} : where;
    };
    auto group = host::group::open(sys, file, hosted_services::numbers(), named,
                                   made->listener(nodes), hosted_services::own(bounds));
    if (!group)
      return to_problem(group.error());
    made->group_ = std::move(*group);
    auto services = hosted_services::start(sys, made->group_, bounds, std::move(nodes));
    if (!services)
      return services.error();
    made->services_ = std::make_unique<hosted_services>(std::move(*services));
    return made;
  }

  seat(const seat&) = delete;
  seat& operator=(const seat&) = delete;

  ~seat() {
    stop();
  }

  /// Takes part from here on; the node_shell hears what the group says.
  void start(const caf::actor& shell) {
    *home_ = caf::actor_cast<caf::weak_actor_ptr>(shell);
    group_.start();
  }

  [[nodiscard]] const host::group& group() const {
    return group_;
  }

  /// Whether the log is empty: the group is to be founded, or joined.
  [[nodiscard]] bool is_new() const {
    return group_.is_new();
  }

  /// Whether it has a vote by what its log says, committed or not.
  [[nodiscard]] bool votes() const {
    bool found = false;
    group_.look([&](const host::group_status& now) {
      found = now.consensus.members.votes(now.consensus.self);
    });
    return found;
  }

  /// Founds the group with this node as its only voter. Blocks until that is committed, so
  /// synced. Errors: in_use (the log is not empty), those of the disk, timed_out after 20 s.
  problem found(const seat_contact& self) {
    group_.ask(raft::replica::found_group{to_string(self)}, [birth = birth_](const problem& why) {
      if (why)
        birth->end(why);
    });
    return birth_->wait();
  }

  /// By their names.
  [[nodiscard]] const std::map<std::string, caf::strong_actor_ptr>& services() const {
    return services_->handles();
  }

  /// How far they have come.
  [[nodiscard]] const std::map<std::string, host::record_gauge>& gauges() const {
    return services_->gauges();
  }

  /// What this node knows of the quorum, see host::group. Contacts are seat_contacts.
  [[nodiscard]] host::quorum_view quorum() const {
    return group_.quorum();
  }

  /// Ends all of it and waits until the file is closed.
  /// @pre the node_shell has ended
  void stop() {
    if (services_)
      services_->stop();
    if (group_.handle()) {
      wait_for_ends(sys_, {caf::actor_cast<caf::strong_actor_ptr>(group_.handle())},
                    [this] { group_.stop(); });
      group_ = {};
    }
  }

private:
  /// Of a group: it is over once the group has members, or cannot have any.
  class birth {
  public:
    void end(const problem& why) {
      std::lock_guard guard{mutex_};
      if (!outcome_)
        outcome_ = why;
      changed_.notify_all();
    }

    [[nodiscard]] problem wait() {
      constexpr duration patience = std::chrono::seconds{20};
      std::unique_lock guard{mutex_};
      if (!changed_.wait_for(guard, patience, [this] { return outcome_.has_value(); }))
        return {errc::timed_out, "the disk has not taken the first entry of the log within "
                                   + in_words(patience)
                                   + "; see that it has space and works, then start again"};
      return *outcome_;
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<problem> outcome_;
  };

  explicit seat(caf::actor_system& sys) : sys_(sys) {}

  host::group_listener listener(node_finder nodes) {
    auto to_voters = [home = home_](auto job) {
      if (auto there = home->lock())
        run_on_part<voters_part>(caf::actor_cast<caf::actor>(there), std::move(job));
    };
    host::group_listener made;
    made.changed_role = [to_voters](const host::group_core::changed_role& what) {
      to_voters([what](voters_part& state) { state.changed_role(what); });
    };
    made.members_are = [to_voters, birth = birth_](const raft::configuration& members) {
      if (!members.members.empty())
        birth->end({});
      to_voters([members](voters_part& state) { state.members_are(members); });
    };
    made.wants_peer = [to_voters](raft::member_id which, const std::string& contact) {
      to_voters([which, contact](voters_part& state) { state.wants_peer(which, contact); });
    };
    made.forgot = [to_voters](raft::member_id which) {
      to_voters([which](voters_part& state) { state.forgot(which); });
    };
    made.ignored = [to_voters](const host::group_core::ignored& what) {
      to_voters([what](voters_part& state) { state.ignored(what); });
    };
    made.warned = [to_voters](const problem& why) {
      to_voters([why](voters_part& state) { state.warned(why); });
    };
    made.disk_room = [to_voters](const problem& why) {
      to_voters([why](voters_part& state) { state.disk_room(why); });
    };
    made.stopped = [to_voters, birth = birth_](const problem& why) {
      birth->end(why);
      to_voters([why](voters_part& state) { state.stopped(why); });
    };
    made.speaks_for
      = [nodes = std::move(nodes)](const std::string& contact, const caf::strong_actor_ptr& from) {
          auto node = nodes(from);
          return node && *node == digits_in(contact);
        };
    return made;
  }

  caf::actor_system& sys_;
  std::shared_ptr<birth> birth_ = std::make_shared<birth>();
  /// The node_shell, once the group has started.
  std::shared_ptr<caf::weak_actor_ptr> home_ = std::make_shared<caf::weak_actor_ptr>();
  host::group group_;
  std::unique_ptr<hosted_services> services_;
};

} // namespace troupe::cluster
