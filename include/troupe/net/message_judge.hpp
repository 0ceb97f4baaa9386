#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "caf/node_id.hpp"
#include "caf/proxy_registry.hpp"
#include "caf/type_id.hpp"
#include "troupe/core/caf/incoming_handles.hpp"
#include "troupe/core/caf/incoming_message.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/net/basp_filter.hpp"
#include "troupe/net/grants.hpp"
#include "troupe/net/greeting.hpp"
#include "troupe/net/link_options.hpp"
#include "troupe/net/message_rules.hpp"
#include "troupe/security/types.hpp"

namespace troupe::net {

/// Judges what the peer of one link sends, before BASP sees it: BASP's headers as basp_filter has
/// it, what the peer may address as grants has it, what is in a message as incoming_message has it,
/// and what its certificate allows as message_rules has it.
///
/// For one thread. Cost: that of the four.
class message_judge {
public:
  using decision = basp_filter::decision;

  struct judgement {
    decision what = decision::pass;
    /// Code denied: the peer lacks a right, and should hear so.
    problem why = {};
  };

  /// Actors of the peer's process that are known. CAF keeps what it knows of each until the link
  /// ends.
  static constexpr std::size_t max_known_actors = 10'000;

  /// `rules` may be null: messages of all types may be sent. `allow_spawn`: members may spawn here.
  message_judge(const filter_options& options, const hello& peer, const hello& self,
                security::facts who, message_rules_ptr rules, bool allow_spawn)
    : peer_(peer.basp_node),
      self_(self.basp_node),
      who_(std::move(who)),
      rules_(std::move(rules)),
      may_spawn_(allow_spawn && who_.as == security::role::member),
      filter_(options, peer.basp_node, self.basp_node),
      grants_(self.entry_point, self.basp_node) {}

  /// The link is up: CAF knows the peer as `node`, and has its actors in `proxies`, which outlives
  /// this.
  void came_up(const caf::node_id& node, caf::proxy_registry& proxies) {
    node_ = node;
    proxies_ = &proxies;
  }

  /// Learns from what this node writes to the peer: see grants::sent().
  std::size_t sent(std::span<const std::byte> bytes) {
    return grants_.sent(bytes);
  }

  /// Judges a header. If it passes, its payload goes to payload() next.
  basp_filter::verdict header(const basp_header& seen) {
    auto judged = filter_.header(seen);
    if (judged.what != decision::pass)
      return judged;
    auto why = refusal_of(seen);
    return {why.empty() ? decision::pass : decision::drop, why};
  }

  /// Whether what lies behind this header has to be judged before BASP gets the header.
  static bool has_content(const basp_header& seen) {
    using enum basp_header::operation;
    return seen.payload_bytes > 0
           && (seen.what == direct_message || seen.what == monitor_message
               || seen.what == down_message);
  }

  /// Judges the payload of the last header: of `message`, if that has_content(). From here until
  /// BASP has read it, incoming_handles of handles() have to exist.
  judgement payload(const std::optional<basp_header>& message, std::string_view seen) {
    if (auto judged = filter_.payload(seen); judged.what != decision::pass)
      return {judged.what, {errc::bad_argument, std::string{judged.why}}};
    auto why = message ? refusal(*message, seen) : problem{};
    return {why ? decision::drop : decision::pass, std::move(why)};
  }

  /// Which handles of actors are taken from the peer; nothing before it is up.
  [[nodiscard]] std::optional<incoming_handles::link> handles() const {
    if (!node_)
      return std::nullopt;
    return incoming_handles::link{node_, peer_, self_, proxies_, max_known_actors};
  }

  /// Whether each peer sends what is dropped for this reason: CAF itself asks for the server that
  /// spawns actors, and tells of its own, once for each link.
  static bool is_usual(std::string_view why) {
    return why == spawns_not;
  }

private:
  /// Why a message is dropped before its payload is read; empty: it is not.
  std::string_view refusal_of(const basp_header& seen) {
    if (seen.what != basp_header::operation::direct_message)
      return {};
    if ((seen.flags & basp_header::named_receiver) != 0 && !may_spawn_)
      return spawns_not;
    if (seen.source != 0 && node_ && proxies_->count_proxies(node_) >= max_known_actors
        && proxies_->get(node_, seen.source) == nullptr)
      return "it has told of too many actors";
    return grants_.refusal(seen);
  }

  /// Why what BASP would take is dropped; errc::none: it is not.
  problem refusal(const basp_header& message, std::string_view seen) {
    using enum basp_header::operation;
    auto dropped = [](std::string_view why) {
      return why.empty() ? problem{} : problem{errc::bad_argument, std::string{why}};
    };
    if (message.what == monitor_message)
      return dropped(grants_.refusal(message));
    if (message.what == down_message)
      return dropped(incoming_message::refusal_of_error(seen.substr(filter_.pinned_bytes())));
    if (!seen.starts_with('\0')) // the number of actors that it still has to go through
      return dropped("a message that other actors pass on");
    seen.remove_prefix(1);
    if (!grants::is_answer(message.data) && incoming_message::is_error(seen))
      return dropped("an error that answers nothing");
    if (auto why = dropped(incoming_message::refusal(seen)))
      return why;
    if (grants::is_answer(message.data))
      return {};
    auto types = incoming_message::types_of(seen);
    if (who_.as != security::role::member && std::ranges::equal(types.all(), own_spawner))
      return dropped(spawns_not); // no node spawns at a client
    if (!rules_)
      return {};
    return rules_->refusal(who_, types.all());
  }

  static constexpr std::string_view spawns_not
    = "only members may spawn, and only where that is allowed";
  /// With which CAF tells of the server that spawns actors in its process.
  static constexpr std::array own_spawner{caf::type_id_v<caf::ok_atom>, caf::type_id_v<std::string>,
                                          caf::type_id_v<caf::strong_actor_ptr>,
                                          caf::type_id_v<std::string>};

  const std::string peer_;
  const std::string self_;
  const security::facts who_;
  const message_rules_ptr rules_;
  const bool may_spawn_;
  basp_filter filter_;
  grants grants_;
  /// As BASP knows the peer; set once the link is up.
  caf::node_id node_;
  caf::proxy_registry* proxies_ = nullptr;
};

} // namespace troupe::net
