#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/names.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"

/// What a sender says of a message beside its content.
namespace troupe::router {

/// Numbers go over the wire: append at the end.
enum class message_priority : std::uint8_t {
  low = 0,
  normal = 1,
  high = 2,
  critical = 3,
};

inline constexpr std::array<std::string_view, 4> message_priority_names{"low", "normal", "high",
                                                                        "critical"};

constexpr std::string_view name_of(message_priority value) noexcept {
  auto index = static_cast<std::size_t>(value);
  return index < message_priority_names.size() ? message_priority_names[index] : "unknown";
}

/// What is promised of the delivery of a message. Numbers go over the wire: append at the end.
enum class delivery_class : std::uint8_t {
  /// At most once.
  fire = 0,
  /// Until the agent has handled it, in order, and once in a life of the process that the agent
  /// lives in. To one agent by its id.
  confirm = 1,
  /// As confirm, and its effect in the once_store of the agent exactly once, over any restart of
  /// the agent's node. It lives longest_once_life at most. To an agent with agent_options::once.
  once = 2,
};

inline constexpr std::array<std::string_view, 3> delivery_class_names{"fire", "confirm", "once"};

/// How long it is known of a message of class once that it was applied.
inline constexpr duration once_window = std::chrono::hours{24};

/// How long a message of class once lives at most: nothing is sent again when it is known no more
/// whether it was applied. The rest is for its way, and for calendars that are set.
inline constexpr duration longest_once_life = std::chrono::hours{23};

/// Whether it is delivered until it is handled.
constexpr bool is_confirmed(delivery_class value) noexcept {
  return value != delivery_class::fire;
}

constexpr std::string_view name_of(delivery_class value) noexcept {
  auto index = static_cast<std::size_t>(value);
  return index < delivery_class_names.size() ? delivery_class_names[index] : "unknown";
}

/// What a node has to have done with a message of class confirm before that counts as accepted.
/// Numbers go over the wire: append at the end.
enum class durability : std::uint8_t {
  /// It is in memory, and lost when the process is killed. A node that stops delivers it first, for
  /// node_options::agents_end_within.
  memory = 0,
  /// It is on the disk, synced: the next start of the node goes on with it.
  synced = 1,
};

inline constexpr std::array<std::string_view, 2> durability_names{"memory", "synced"};

constexpr std::string_view name_of(durability value) noexcept {
  auto index = static_cast<std::size_t>(value);
  return index < durability_names.size() ? durability_names[index] : "unknown";
}

/// Identifies a message: no other one has the same id, also after a restart of the node. All
/// recipients of one message see the same id.
struct message_id {
  /// The node whose router took the message from its sender.
  node_id node{};
  /// The start of that node. Zero for a router without a node.
  boot_number boot = 0;
  /// Counts the messages since then, from one. Zero: the message has no id.
  std::uint64_t number = 0;

  friend auto operator<=>(const message_id&, const message_id&) = default;

  /// Returns `NODE:BOOT:NUMBER`, the node as hex digits.
  friend std::string to_string(const message_id& x) {
    return to_string(x.node) + ':' + std::to_string(x.boot) + ':' + std::to_string(x.number);
  }

  TROUPE_FIELDS(message_id, node, boot, number);
};

/// Returns the id that to_string() writes as `text`; nothing if that is none.
inline std::optional<message_id> to_message_id(std::string_view text) {
  auto first = text.find(':');
  auto second = text.find(':', first == std::string_view::npos ? first : first + 1);
  if (second == std::string_view::npos)
    return std::nullopt;
  auto node = node_id::from_string(text.substr(0, first));
  message_id made;
  auto read = [](std::string_view digits, std::uint64_t& into) {
    auto [end, why] = std::from_chars(digits.data(), digits.data() + digits.size(), into);
    return why == std::errc{} && end == digits.data() + digits.size();
  };
  if (!node || !read(text.substr(first + 1, second - first - 1), made.boot)
      || !read(text.substr(second + 1), made.number))
    return std::nullopt;
  made.node = *node;
  return made;
}

/// How a message is sent, and what its agents see of it by message_info. Each text is at most
/// max_name_bytes (255) long; check() finds what is invalid.
struct message_options {
  /// How long the message is worth delivering, from when the router of the sender's node takes it.
  /// An expired message is not delivered: a request ends with errc::expired. Zero or less has
  /// expired at once; more than longest_span (a year) is shortened to that. Time in the network
  /// and in the mailbox of the agent does not count. Without it a message does not expire. One of
  /// class once lives 23 h without it, and at most.
  std::optional<duration> ttl{};
  /// Shown to the agents. Of what waits for room in the mailbox of an agent the highest priority
  /// goes first, and each gets a turn (see priority_line); what its mailbox holds, and what waits
  /// for a link, is not overtaken. The mailbox holds as much as the agent takes out in 200 us, so
  /// that with a slow one a critical message waits for one other. A critical message is sent to a
  /// full inbox as well: that takes it up to five times its bounds. Messages of class confirm and
  /// once keep their order whatever theirs is.
  message_priority priority = message_priority::normal;
  /// The application's name for this kind of message. Empty: the C++ types of its content.
  std::string type{};
  /// The application's mark of messages that belong together, such as the number of an order.
  std::string correlation{};
  /// The agent that answers should go to; agents send them there themselves. The value that a
  /// function returns still goes to whoever asked.
  agent_id reply_to{};
  /// On whose behalf the message is sent, as the sender says. Not proven. Of what waits for room in
  /// the mailbox of an agent at one priority the tenants take turns, by inbox_options::tenants, and
  /// none of them takes the last quarter of its inbox from the others. Messages of class confirm
  /// and once keep their order whatever theirs is.
  std::string tenant{};
  /// The trace that the message belongs to, as W3C Trace Context writes it:
  /// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`.
  std::string traceparent{};
  /// Whether request(), async_request() and post() to_agent() or to_any() wait for room, in line
  /// and within their own time, where they would be refused because too many messages wait for the
  /// agent or its node. If there is none in that time they end with limit_reached, and nothing was
  /// sent. It is bad_argument for send(), for what goes to many, and with class confirm or once.
  /// A router::dispatch that an actor sends without waiting for its answer does not wait.
  bool wait_for_room = false;
  /// What is promised of its delivery.
  delivery_class delivery = delivery_class::fire;
  /// Where a message of class confirm lies once it is accepted, until it has ended. Synced needs a
  /// node with a data folder, and whoever sends it waits for the disk.
  router::durability durability = router::durability::memory;

  friend bool operator==(const message_options&, const message_options&) = default;

  TROUPE_FIELDS(message_options, ttl, priority, type, correlation, reply_to, tenant, traceparent,
                wait_for_room, delivery, durability);
};

/// Null: nothing was said.
inline delivery_class class_of(const message_options* how) {
  return how != nullptr ? how->delivery : delivery_class::fire;
}

/// Returns the bytes of all texts of `how`.
inline std::size_t text_bytes(const message_options& how) {
  return how.type.size() + how.correlation.size() + how.reply_to.text().size() + how.tenant.size()
         + how.traceparent.size();
}

/// Null: nothing was said.
inline message_priority priority_of(const message_options* how) {
  return how != nullptr ? how->priority : message_priority::normal;
}

/// By what a message takes its turn at its agent.
struct message_turn {
  message_priority priority = message_priority::normal;
  /// Empty: none.
  std::string_view tenant{};
};

/// Null: nothing was said. It lives as long as `how`.
inline message_turn turn_of(const message_options* how) {
  return how != nullptr ? message_turn{how->priority, how->tenant} : message_turn{};
}

/// Whether it goes before all others, and to full inboxes as well.
inline bool is_critical(const message_options* how) {
  return priority_of(how) == message_priority::critical;
}

/// Returns whether nothing is set.
inline bool is_empty(const message_options& how) {
  return !how.ttl && how.priority == message_priority::normal && text_bytes(how) == 0
         && !how.wait_for_room && how.delivery == delivery_class::fire
         && how.durability == durability::memory;
}

/// Returns whether nothing is set but that it is of class confirm.
inline bool says_only_confirm(const message_options& how) {
  return how.delivery == delivery_class::confirm && !how.ttl
         && how.priority == message_priority::normal && text_bytes(how) == 0 && !how.wait_for_room
         && how.durability == durability::memory;
}

/// What says_only_confirm(), for all who need it: nobody counts who has it.
inline std::shared_ptr<const message_options> only_confirm() {
  static const message_options how{.delivery = delivery_class::confirm};
  return {std::shared_ptr<void>{}, &how};
}

namespace detail {

template <class...>
inline constexpr bool begins_with_options = false;
template <class First, class... Others>
inline constexpr bool begins_with_options<First, Others...> = std::is_same_v<
  std::remove_cvref_t<First>, message_options>;

/// Whether `text` is hex digits in lower case, not all of them zero.
constexpr bool is_trace_id(std::string_view text) {
  return std::ranges::all_of(
           text,
           [](char each) { return (each >= '0' && each <= '9') || (each >= 'a' && each <= 'f'); })
         && text.find_first_not_of('0') != std::string_view::npos;
}

/// Later versions than 00 may have more behind the flags.
constexpr bool is_traceparent(std::string_view text) {
  constexpr std::size_t size = 55;
  constexpr std::size_t trace_at = 3;
  constexpr std::size_t parent_at = 36;
  constexpr std::size_t flags_at = 53;
  if (text.size() < size || text.size() > max_name_bytes || text[trace_at - 1] != '-'
      || text[parent_at - 1] != '-' || text[flags_at - 1] != '-')
    return false;
  auto version = text.substr(0, 2);
  if (text.size() > size && (version == "00" || text[size] != '-'))
    return false;
  auto is_hex = [](std::string_view digits) { return digits == "00" || is_trace_id(digits); };
  return is_hex(version) && version != "ff" && is_hex(text.substr(flags_at, 2))
         && is_trace_id(text.substr(trace_at, parent_at - 1 - trace_at))
         && is_trace_id(text.substr(parent_at, flags_at - 1 - parent_at))
         && is_name(text.substr(flags_at));
}

} // namespace detail

/// Values that are sent: the first one does not say how.
template <class... Ts>
concept without_options = !detail::begins_with_options<Ts...>;

/// Returns bad_argument for an invalid text of `how` and for what excludes itself, incompatible for
/// a class that this release does not know. Does not judge the ttl.
inline problem check(const message_options& how) {
  using field = std::pair<const char*, const std::string*>;
  for (auto& [name, text] : {field{"type", &how.type}, field{"correlation", &how.correlation},
                             field{"reply_to", &how.reply_to.text()}, field{"tenant", &how.tenant}})
    if (!text->empty() && !is_name(*text))
      return bad_name(std::string{"message_options::"} + name, *text);
  if (!how.traceparent.empty() && !detail::is_traceparent(how.traceparent))
    return {errc::bad_argument,
            "message_options::traceparent " + shortened(how.traceparent)
              + " is invalid; write it as W3C Trace Context does, version 00 as in "
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"};
  if (how.delivery > delivery_class::once)
    return {errc::incompatible, "message_options::delivery "
                                  + std::to_string(static_cast<unsigned>(how.delivery))
                                  + " is not known to this node; upgrade it"};
  if (how.durability > durability::synced)
    return {errc::incompatible, "message_options::durability "
                                  + std::to_string(static_cast<unsigned>(how.durability))
                                  + " is not known to this node; upgrade it"};
  if (how.durability != durability::memory && how.delivery == delivery_class::fire)
    return {errc::bad_argument,
            "message_options::durability synced is for messages that are "
            "delivered until they are handled; set delivery to confirm or once"};
  if (how.wait_for_room && is_confirmed(how.delivery))
    return {errc::bad_argument, "message_options::wait_for_room is not for delivery "
                                  + std::string{name_of(how.delivery)}
                                  + ", which is refused at once where too many have not ended; "
                                    "retry with backoff"};
  return {};
}

/// A life of longest_life does not end.
inline constexpr duration longest_life = duration::max();

/// Whether a message ends when its time is over.
inline bool expires(const message_options& how) {
  return how.ttl || how.delivery == delivery_class::once;
}

/// Returns how long a message that was taken `ago` still lives: longest_life if it does not expire,
/// zero or less if it has.
inline duration life_of(const message_options& how, duration ago = {}) {
  if (!expires(how))
    return longest_life;
  auto longest = how.delivery == delivery_class::once ? longest_once_life : longest_span;
  return std::clamp(how.ttl.value_or(longest), duration::zero(), longest) - ago;
}

} // namespace troupe::router
