#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "caf/actor_cast.hpp"
#include "caf/actor_clock.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message_handler.hpp"
#include "caf/result.hpp"
#include "troupe/core/caf/timer_queue.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/guarded.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/net/link.hpp"
#include "troupe/net/peer_book.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/node/own_certificate.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/security/revocation_book.hpp"
#include "troupe/storage/private_file.hpp"
#include "troupe/storage/small_file.hpp"
#include "troupe/storage/watched_file.hpp"

namespace troupe::cluster {

/// What the keeper of a node's trust has to know.
struct trust_setup {
  /// The data folder, or that of the identity; empty: all is in memory.
  std::filesystem::path folder;
  security::credentials_ptr credentials;
  /// Who has sent a message.
  std::shared_ptr<const net::peer_book> peers;
  node_log log;
  /// What counts has changed: the list of revoked certificates, or this node's own.
  std::function<void()> changed = [] {};
  /// This node's identity is revoked, for good.
  std::function<void(const problem&)> lost = [](const problem&) {};
  /// These identities are revoked, and no others.
  std::function<void(const std::map<node_id, wall_time>&)> expelled
    = [](const std::map<node_id, wall_time>&) {};
};

/// Keeps what a running node trusts up to date: takes a renewed certificate and a list of revoked
/// ones from its data folder, and exchanges that list with the members it is linked to. The rules
/// are security::revocation_book's; this reads and writes the files, sends and asks. Part of a
/// node_shell.
class trust_part {
public:
  trust_part(caf::event_based_actor* self, trust_setup setup)
    : self_(self),
      setup_(std::move(setup)),
      timers_(self),
      certificate_(self->system(), setup_.folder, setup_.credentials, setup_.log),
      book_(setup_.credentials->ca_key()),
      list_file_(setup_.folder.empty() ? setup_.folder
                                       : setup_.folder / security::revocation_list_file) {}

  /// Looks at the folder from here on.
  void begin() {
    look();
  }

  /// For what members tell it.
  caf::message_handler handlers() {
    return {
      [this](tell_revocations& what) -> caf::result<std::uint64_t> {
        auto from = setup_.peers->find(self_->current_sender());
        if (!from || from->as != security::role::member)
          return to_error({errc::denied, "lists of revoked certificates come from members over "
                                         "their links"});
        step(security::revocations::list_heard{from->node, std::move(what.list)});
        return book_.number();
      },
    };
  }

  /// There may be links; `gate` outlives this actor.
  void start(net::gate* gate) {
    gate_ = gate;
    gate_->end_revoked(); // of those that came up before
  }

  void link_up(const net::link_ptr& which) {
    auto& peer = which->peer();
    if (peer.as == security::role::client)
      return;
    links_[peer.node] = which;
    step(security::revocations::link_up{peer.node, which->number()});
  }

  void link_down(const net::link_ptr& which) {
    auto& peer = which->peer();
    if (auto found = links_.find(peer.node);
        found != links_.end() && found->second->number() == which->number())
      links_.erase(found);
    step(security::revocations::link_down{peer.node, which->number()});
  }

private:
  /// At what has changed in the data folder.
  void look() {
    timers_.after(look_every, [this] { look(); });
    if (certificate_.look(read_calendar()))
      setup_.changed();
    if (!setup_.folder.empty() && list_file_.has_changed())
      read_list();
    security::revocation_book::effects out;
    book_.tick(now(), out);
    carry_out(out);
  }

  void read_list() {
    auto bytes = storage::read_small(list_file_.file(), security::revocation_list::max_bytes);
    if (!bytes && bytes.error().code != errc::not_found)
      return setup_.log.complain(not_taken, bytes.error().detail);
    step(security::revocations::file_read{bytes ? std::optional{*std::move(bytes)} : std::nullopt});
  }

  void step(const security::revocations::event& what) {
    security::revocation_book::effects out;
    book_.step(now(), what, out);
    carry_out(out);
  }

  void carry_out(security::revocation_book::effects& out) {
    for (auto& what : out)
      troupe::visit([this](auto& each) { perform(each); }, what);
  }

  void perform(security::revocations::enforce& what) {
    auto& list = *what.list;
    setup_.log("list " + std::to_string(list.number) + " of revoked certificates applies, with "
               + std::to_string(list.size()) + (list.size() == 1 ? " entry" : " entries"));
    setup_.log.settle(not_taken);
    setup_.expelled(list.identities);
    auto self = setup_.credentials->self();
    auto is_lost = list.identities.contains(self.node);
    setup_.credentials->revoked()->set(std::move(what.list));
    if (what.are_told)
      timers_.after(farewell, [this] { end_revoked(); });
    else
      end_revoked();
    setup_.changed();
    auto why = setup_.credentials->revoked()->refusal(self);
    if (why.empty())
      return;
    setup_.log.fail("the other nodes refuse this one: " + why);
    if (is_lost && !std::exchange(is_lost_, true)) // its vote may be needed until its links end
      timers_.after(farewell, [this, why] {
        auto thrown = guarded([&] {
          setup_.lost({errc::denied, "the other nodes refuse this one: " + why});
        });
        if (thrown)
          setup_.log.warn("node_options::on_revoked threw: " + thrown.detail);
      });
  }

  void end_revoked() {
    if (gate_ != nullptr)
      gate_->end_revoked();
  }

  void perform(security::revocations::store& what) {
    constexpr const char* not_kept = "the list of revoked certificates is not kept";
    if (setup_.folder.empty())
      return step(security::revocations::list_stored{what.number});
    if (list_file_.has_changed())
      read_list(); // a newer one that a person has just put there has to stay
    if (what.number != book_.number())
      return;
    auto saved = storage::write_private(list_file_.file(), what.bytes);
    if (!saved)
      return setup_.log.complain(not_kept, saved.error().detail);
    setup_.log.settle(not_kept);
    list_file_.has_changed(); // which is known
    step(security::revocations::list_stored{what.number});
    read_list(); // unless a person has replaced it since
  }

  void perform(security::revocations::tell& what) {
    auto link = links_.find(what.to);
    if (link == links_.end() || !link->second->entry_point())
      return;
    self_
      ->request(caf::actor_cast<caf::actor>(link->second->entry_point()), answer_within,
                router::find_service{trust_name})
      .then(
        [this, to = what.to, list = std::move(what.bytes)](const router::service_place& place) {
          if (place.handle)
            tell(place.handle, to, list);
        },
        [](const caf::error&) {}); // told again later
  }

  void perform(security::revocations::refuse& what) {
    if (!what.from)
      return setup_.log.complain(not_taken, what.why.detail);
    setup_.log.complain("a list of revoked certificates that a node has sent is not taken",
                        "from " + to_string(*what.from).substr(0, 8) + ": " + what.why.detail);
  }

  void tell(const caf::strong_actor_ptr& whom, const node_id& to, const std::string& list) {
    self_->request(caf::actor_cast<caf::actor>(whom), answer_within, tell_revocations{list})
      .then(
        [this, to](std::uint64_t number) {
          step(security::revocations::list_taken{to, number});
        },
        [](const caf::error&) {}); // told again later
  }

  [[nodiscard]] time_point now() const {
    return time_point{self_->clock().now().time_since_epoch()};
  }

  static constexpr const char* not_taken = "the changed revoked.list is not taken";
  static constexpr duration look_every = std::chrono::seconds{1};
  /// A revoked member has so long to hear of it.
  static constexpr duration farewell = std::chrono::seconds{1};
  static constexpr duration answer_within = std::chrono::seconds{4}; // the book tries again after 5

  caf::event_based_actor* self_;
  trust_setup setup_;
  net::gate* gate_ = nullptr;
  timer_queue<caf::event_based_actor> timers_;
  own_certificate certificate_;
  security::revocation_book book_;
  storage::watched_file list_file_;
  bool is_lost_ = false;
  std::map<node_id, net::link_ptr> links_;
};

} // namespace troupe::cluster
