#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/behavior.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/cluster/finder.hpp"
#include "troupe/cluster/known_nodes.hpp"
#include "troupe/cluster/node_core.hpp"
#include "troupe/cluster/record_exchange.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/link.hpp"
#include "troupe/node/access_part.hpp"
#include "troupe/node/member_part.hpp"
#include "troupe/node/membership_part.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/node/trust_part.hpp"
#include "troupe/node/voters_part.hpp"
#include "troupe/registry/record.hpp"

namespace troupe::cluster {

/// What the parts of a node have to know. What they tell each other, the node_shell fills in.
struct node_setup {
  member_setup member;
  membership_setup membership;
  /// Nothing: insecure links.
  std::optional<trust_setup> trust{};
  /// Nothing: no data folder.
  std::optional<voters_setup> voters{};
  finder_options finder{};
  access_events access{};
  /// What this node offers as the leader of its group; asked for on the actor.
  std::function<service_binding()> here{};
};

/// The one actor of a node between its machines, its links and its services: answers what other
/// nodes, clients and operators ask of any of its parts, and carries what one part has for another.
///
/// A part never calls another one: what it has for it is a job that runs once the present one is
/// over, after all that was in the mailbox before. So two parts hear of each other in the order in
/// which things came about, and nobody has to be woken for that.
///
/// What is for a part that this node does not have, or that has ended, is dropped; a message of
/// another node gets an error.
class node_shell {
public:
  static inline const char* name = knowledge_name;

  node_shell(caf::event_based_actor* self, node_setup how)
    : self_(self),
      home_(self->ctrl()),
      here_(std::move(how.here)),
      member_(self, wired(std::move(how.member), how.voters.has_value())),
      membership_(self, wired(std::move(how.membership))),
      access_(self, std::move(how.finder), std::move(how.access)) {
    if (how.trust)
      trust_.emplace(self, wired(*std::move(how.trust)));
    if (how.voters)
      voters_.emplace(self, wired(*std::move(how.voters)));
  }

  node_shell(const node_shell&) = delete;
  node_shell& operator=(const node_shell&) = delete;

  caf::behavior make_behavior() {
    ignore_strays(self_);
    auto all = member_.handlers().or_else(membership_.handlers());
    if (trust_) {
      all = all.or_else(trust_->handlers());
      trust_->begin();
    }
    if (voters_)
      all = all.or_else(voters_->handlers());
    return caf::behavior{all};
  }

  /// Null: it has no such part, or that has ended.
  template <class Part>
  [[nodiscard]] Part* find() {
    if constexpr (std::is_same_v<Part, member_part>)
      return &member_;
    else if constexpr (std::is_same_v<Part, membership_part>)
      return membership_.has_ended() ? nullptr : &membership_;
    else if constexpr (std::is_same_v<Part, access_part>)
      return &access_;
    else if constexpr (std::is_same_v<Part, trust_part>)
      return trust_ ? &*trust_ : nullptr;
    else {
      static_assert(std::is_same_v<Part, voters_part>);
      return voters_ ? &*voters_ : nullptr;
    }
  }

  /// Part of the end of the node.
  void stop() {
    member_.stop();
    self_->quit();
  }

private:
  /// Runs `job(Part&)` after all that is in the mailbox. On this actor.
  template <class Part, class Job>
  void later(Job job) {
    run_on(home_, [this, job = std::move(job)]() mutable {
      if (auto* part = find<Part>())
        job(*part);
    });
  }

  member_setup wired(member_setup how, bool has_voters) {
    how.seen = [this](const known_nodes::presence& what) {
      later<access_part>([what](access_part& access) { access.see({what.there, what.all}); });
    };
    how.restate = [this](const registry::records_head& what) {
      later<membership_part>([what](membership_part& members) { members.restate(what); });
    };
    how.ask_member = [this](const record_exchange::ask& what) {
      later<membership_part>([this, what](membership_part& members) {
        members.ask_records(what, [this, id = what.id](auto answer) {
          later<member_part>([id, answer = std::move(answer)](member_part& member) mutable {
            member.answered(id, std::move(answer));
          });
        });
      });
    };
    how.learned = [this](const record_exchange::learned& what) {
      later<membership_part>(
        [what](membership_part& members) { members.learned(what.from, what.what); });
    };
    if (has_voters)
      tell_voters(how);
    return how;
  }

  void tell_voters(member_setup& how) {
    how.linked = [this](const net::link_ptr& which) {
      later<voters_part>([which](voters_part& voters) { voters.link_up(which); });
    };
    how.unlinked = [this](const node_id& node) {
      later<voters_part>([node](voters_part& voters) { voters.link_down(node); });
    };
    how.node_is = [this](const node_id& node, const registry::record& what) {
      if (what.endpoints.empty())
        return;
      auto& where = what.endpoints.front();
      later<voters_part>(
        [node, called = what.key.name, address = to_string(net::address{where.host, where.port})](
          voters_part& voters) { voters.node_is(node, called, address); });
    };
    how.node_left = [this](const node_id& node, boot_number boot) {
      later<voters_part>([node, boot](voters_part& voters) { voters.node_left(node, boot); });
    };
    how.shows = [this](const node_id& node, bool is_there) {
      later<voters_part>(
        [node, is_there](voters_part& voters) { voters.member_shows(node, is_there); });
    };
    how.revoked = [this](const std::set<node_id>& nodes) {
      later<voters_part>([nodes](voters_part& voters) { voters.revoked(nodes); });
    };
  }

  membership_setup wired(membership_setup how) {
    how.find_entry = [this](const node_id& node, auto done) {
      later<member_part>(
        [node, done](member_part& member) { member.links().find_entry(node, done, false); });
    };
    how.tell = [this](node_core::event what) {
      later<member_part>(
        [what = std::move(what)](member_part& member) mutable { member.hear(std::move(what)); });
    };
    how.spoke = [this](const signed_statement& what) {
      later<member_part>([what](member_part& member) { member.spoke(what); });
    };
    how.say_all = [this](const done_handler& done) {
      later<member_part>([done](member_part& member) { member.say_all(done); });
    };
    how.find_records = [this](std::vector<record_wish> what, auto done) {
      later<member_part>([what = std::move(what), done](member_part& member) mutable {
        member.ask_records(std::move(what), done);
      });
    };
    how.doubted = [this](const node_id& node) {
      later<access_part>([node](access_part& access) { access.doubt(node); });
    };
    return how;
  }

  trust_setup wired(trust_setup how) {
    how.changed = [this, credentials = how.credentials] {
      later<membership_part>([own = credentials->own_certificate()](membership_part& members) {
        members.certificate_is(own);
        members.look_at_certificates();
      });
    };
    how.expelled = [this](const std::map<node_id, wall_time>& revoked) {
      node_core::expelled what;
      for (auto& [node, since] : revoked)
        what.nodes.insert(node);
      later<member_part>([what = std::move(what)](member_part& member) { member.expel(what); });
    };
    return how;
  }

  voters_setup wired(voters_setup how) {
    how.lead = [this](std::uint64_t turn, bool is_alone) {
      auto here = here_();
      here.handles[voters_name] = home_.lock();
      later<member_part>([is_alone](member_part& member) { member.lead(is_alone); });
      later<access_part>([turn, here](access_part& access) { access.lead_here(turn, here); });
    };
    how.follow = [this](std::uint64_t turn, const std::string& leader) {
      later<member_part>([](member_part& member) { member.follow(); });
      later<access_part>([turn, leader](access_part& access) { access.follow(turn, leader); });
    };
    how.others = [this](const std::vector<std::string>& others) {
      later<access_part>([others](access_part& access) { access.know(others); });
    };
    how.reach = [this](const seat_contact& where) {
      later<member_part>(
        [where](member_part& member) { member.links().reach(where.node, where.address); });
    };
    how.seated = [this, note = std::move(how.seated)](bool is_seated, bool votes) {
      note(is_seated, votes);
      later<access_part>([votes](access_part& access) { access.seated(votes); });
    };
    how.without_quorum = [this](const problem& why) {
      later<access_part>([why](access_part& access) { access.seat_says(why); });
    };
    how.ended = [this] {
      later<member_part>([](member_part& member) { member.replica_ended(); });
      later<access_part>([](access_part& access) { access.seated(false); }); // it hears of nothing
    };
    return how;
  }

  caf::event_based_actor* self_;
  const caf::weak_actor_ptr home_;
  const std::function<service_binding()> here_;
  member_part member_;
  membership_part membership_;
  access_part access_;
  std::optional<trust_part> trust_;
  std::optional<voters_part> voters_;
};

/// Runs `job(Part&)` on a node_shell, from any thread; drops it if there is none, or that has
/// ended, or has no such part any more.
template <class Part, class Job>
void run_on_part(const caf::actor& where, Job job) {
  if (!where)
    return;
  run_on_state<node_shell>(where, [job = std::move(job)](node_shell& shell) mutable {
    if (auto* part = shell.find<Part>())
      job(*part);
  });
}

} // namespace troupe::cluster
