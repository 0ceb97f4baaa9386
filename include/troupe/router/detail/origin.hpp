#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "caf/message.hpp"
#include "caf/message_builder.hpp"
#include "caf/timestamp.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/node_finder.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/bundle.hpp"
#include "troupe/router/detail/agent_table.hpp"
#include "troupe/router/detail/open_requests.hpp"
#include "troupe/router/message_options.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::router::detail {

/// What a router knows of a message beside its content and where it goes.
struct terms {
  message_id id{};
  /// As of `now`: how long it may be delivered, and how long an answer is waited for.
  duration life = longest_life;
  duration patience = longest_life;
  time_point now{};
  /// Nothing: just now.
  std::optional<wall_time> sent_at{};
  /// What its sender said of it. Null: nothing.
  std::shared_ptr<const message_options> how{};
  /// As of `now`: how long ago its first node has taken it. Kept of class once.
  duration age{};
  /// How often it was delivered again as a dead letter.
  std::uint32_t redrives = 0;

  [[nodiscard]] delivery_class delivery() const {
    return class_of(how.get());
  }

  [[nodiscard]] bool is_once() const {
    return delivery() == delivery_class::once;
  }

  [[nodiscard]] duration age_at(time_point moment) const {
    return age + (moment - now);
  }

  /// Of a dead letter that is delivered again: without its ttl, but of class once for as long as it
  /// is known whether it was applied, which may be over.
  [[nodiscard]] terms again(time_point moment) const {
    auto made = *this;
    made.life = made.patience = longest_life;
    ++made.redrives;
    if (!is_once())
      return made;
    made.age = age_at(moment);
    made.now = moment;
    made.life = longest_once_life - made.age;
    return made;
  }

  /// Nothing: never.
  [[nodiscard]] std::optional<time_point> expires_at() const {
    return life != longest_life ? std::optional{now + life} : std::nullopt;
  }
};

/// Returns what was said of a message for all who need it; null if that is nothing.
inline std::shared_ptr<const message_options> shared(message_options how) {
  if (says_only_confirm(how))
    return only_confirm();
  return is_empty(how) ? nullptr : std::make_shared<const message_options>(std::move(how));
}

/// What a program says of a message that it gives to its own node, and when it did.
struct said_by_program {
  std::shared_ptr<const message_options> how{};
  /// Only of one that expires.
  time_point at{};
};

/// Who sent a message, as its router knows, and what was said of it.
struct origin {
  /// Where it began; its id is all zero if that is not known.
  link_peer where{};
  /// The agent there that sent it; empty if that was none.
  agent_id agent{};
  /// Whether it began on this node.
  bool is_here = false;
  terms said{};

  /// Whose share it takes of what is bounded.
  [[nodiscard]] share_holder by() const {
    return {where.id, agent};
  }

  /// Whose share of the room for accepted messages it takes; nothing: that of this node.
  [[nodiscard]] std::optional<node_id> client() const {
    return is_here ? std::nullopt : std::optional{where.id};
  }

  /// The bytes of who sent it, and of what was said of it, in a letter.
  [[nodiscard]] std::size_t said_bytes() const {
    return (is_here || where.id == node_id{} ? agent.text().size() : node_id::size)
           + (said.how ? text_bytes(*said.how) : 0);
  }

  [[nodiscard]] message_info info() const {
    message_info made{agent, where.id, where.is_member, where.is_proven};
    made.id = said.id;
    if (said.id.number != 0)
      made.sent_at
        = said.sent_at ? *said.sent_at : wall_time{caf::make_timestamp().time_since_epoch()};
    auto in
      = [this](duration span) { return message_info::moment{said.now.time_since_epoch() + span}; };
    if (said.life != longest_life)
      made.expires_at = in(said.life);
    if (said.patience != longest_life)
      made.deadline = in(said.patience);
    if (!said.how)
      return made;
    made.delivery = said.how->delivery;
    made.priority = said.how->priority;
    made.type = said.how->type;
    made.correlation = said.how->correlation;
    made.reply_to = said.how->reply_to;
    made.tenant = said.how->tenant;
    made.traceparent = said.how->traceparent;
    return made;
  }

  /// Returns a letter of it for these agents of another node.
  [[nodiscard]] letter to(std::vector<agent_id> agents, caf::message payload) const {
    letter made;
    made.to = std::move(agents);
    made.payload = std::move(payload);
    sign(made);
    return made;
  }

  /// Says in `made` whose it is and what was said of it.
  void sign(letter& made) const {
    made.from = agent;
    made.is_passed_on = !is_here;
    made.first = where.id;
    made.message = said.id.number;
    made.life = said.life;
    made.how = said.how;
    made.redrives = said.redrives;
  }
};

/// Returns what an agent gets of `payload`, with what `find_info()` says in front if it wants
/// that, or in a kept_message if it has a once_store. An error alone stays alone, so that hand_to()
/// refuses it. Cost: for an agent that wants it, a copy of the payload's elements and of the info.
template <class FindInfo>
caf::message message_for(const agent_table::entry& agent, const caf::message& payload,
                         const FindInfo& find_info) {
  if ((!agent.takes_info && !agent.has_store) || payload.match_elements<caf::error>())
    return payload;
  auto info = find_info();
  if (info.type.empty())
    info.type = troupe::detail::types_in(payload);
  if (!agent.takes_info)
    return caf::make_message(kept_message{std::move(info), payload});
  caf::message_builder both; // CAF 0.18 declares message::concat() only
  both.append(info);
  both.append_from(payload, 0, payload.size());
  if (agent.has_store)
    return caf::make_message(kept_message{std::move(info), both.move_to_message()});
  return both.move_to_message();
}

} // namespace troupe::router::detail
