#pragma once

#include <algorithm>
#include <bit>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "troupe/channel/types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/message_options.hpp"

/// What routers write of messages on a link, in our own binary form (core/codec.hpp): one
/// bundle_header, then a message_header in front of the content of each message. Both begin with
/// their length and grow at the end only, so that releases with other fields read each other.
///
/// Spans of time are relative to the opening of the bundle: no clock of the other side matters.
namespace troupe::router {

/// What the sender of a message to one agent wants to hear of it. Numbers go over the wire:
/// append at the end.
enum class word : std::uint8_t {
  nothing = 0,
  /// What the agent says.
  answer = 1,
  /// A send_report once the agent has it in its mailbox, with not_found if there is none.
  receipt = 2,
};

/// What the messages of a bundle share.
struct bundle_header {
  /// Of the node that sends it; see message_id.
  boot_number boot = 0;
  /// message_id::number of the first message.
  std::uint64_t first = 0;
  /// When the first message was put into it, by the sender's calendar.
  wall_time opened_at{};
  /// From then until it was sent.
  std::optional<duration> waited{};

  friend bool operator==(const bundle_header&, const bundle_header&) = default;

  TROUPE_FIELDS(bundle_header, boot, first, opened_at, waited);
};

/// The fields of one message, without its content. Those that most messages lack come last.
///
/// Who sent a message is not here: the receiver takes that from the link. `from` and `for_whom` are
/// claims, which it believes of a member about its own agents and clients only.
struct message_header {
  /// The first recipient.
  agent_id to;
  /// message_id::number, counted from bundle_header::first.
  std::uint16_t place = 0;
  /// A word; absent: nothing.
  std::optional<std::uint8_t> wanted{};
  /// Of the request, as the sender's router counts them, if anything is wanted.
  std::optional<std::uint64_t> request{};
  /// Until when an answer is waited for.
  std::optional<duration> deadline{};
  /// The agent that sent it.
  std::optional<agent_id> from{};
  /// Present: it is passed on, for this client; all zero if that is not known.
  std::optional<node_id> for_whom{};
  /// Further recipients.
  std::optional<std::vector<agent_id>> also_to{};
  /// When it was put into the bundle; absent within the first 10 ms.
  std::optional<duration> after{};
  /// Until when it may be delivered.
  std::optional<duration> life{};
  /// A message_priority; absent: normal. One that this release does not know counts as normal.
  std::optional<std::uint8_t> priority{};
  /// A delivery_class; absent: fire.
  std::optional<std::uint8_t> delivery_class{};
  std::optional<std::string> type{};
  std::optional<std::string> correlation{};
  std::optional<agent_id> reply_to{};
  std::optional<std::string> tenant{};
  std::optional<std::string> traceparent{};
  /// Of class confirm or once: its place in the channel. It wants nothing of what is above;
  /// `wanted` and `request` are for a node that does not know the class, which answers then.
  std::optional<channel::frame_header> frame{};
  /// Of class confirm, without a content for anybody: a question to the channel.
  std::optional<channel::probe> probe{};
  /// Its own id, where that does not follow from the bundle: of a dead letter that is delivered
  /// again from another node than its first, and of class once.
  std::optional<message_id> id{};
  /// Of class once: how long ago its first node has taken it, when the bundle was opened.
  std::optional<duration> age{};
  /// A durability; absent: memory. Any other one: where it ends without being handled it is a dead
  /// letter of the node that has it on its disk, not of the one that it goes to.
  std::optional<std::uint8_t> durability{};
  /// How often it was delivered again as a dead letter; absent: never.
  std::optional<std::uint32_t> redrives{};

  friend bool operator==(const message_header&, const message_header&) = default;

  TROUPE_FIELDS(message_header, to, place, wanted, request, deadline, from, for_whom, also_to,
                after, life, priority, delivery_class, type, correlation, reply_to, tenant,
                traceparent, frame, probe, id, age, durability, redrives);
};

/// Below it the time of a message is that of its bundle.
inline constexpr duration least_after = std::chrono::milliseconds{10};

/// How far message_header::place counts.
inline constexpr std::uint64_t max_place = std::numeric_limits<std::uint16_t>::max();

/// Puts the fields of `how` that are set into `into`; not its ttl, which a message_header has as
/// its life, nor its class.
inline void say(const message_options& how, message_header& into) {
  auto set = [](auto& field, const auto& text) {
    if (!text.empty())
      field = text;
  };
  if (how.priority != message_priority::normal)
    into.priority = static_cast<std::uint8_t>(how.priority);
  set(into.type, how.type);
  set(into.correlation, how.correlation);
  set(into.reply_to, how.reply_to);
  set(into.tenant, how.tenant);
  set(into.traceparent, how.traceparent);
  if (how.durability != durability::memory)
    into.durability = static_cast<std::uint8_t>(how.durability);
}

/// That this release knows.
inline constexpr auto highest_class = static_cast<std::uint8_t>(delivery_class::once);

/// Takes what say() has put there out of `from`, and the class.
inline message_options said_in(message_header& from) {
  auto take = [](auto& field) {
    return field ? std::move(*field) : typename std::decay_t<decltype(field)>::value_type{};
  };
  message_options how;
  constexpr auto highest = static_cast<std::uint8_t>(message_priority::critical);
  if (from.priority && *from.priority <= highest)
    how.priority = static_cast<message_priority>(*from.priority);
  how.type = take(from.type);
  how.correlation = take(from.correlation);
  how.reply_to = take(from.reply_to);
  how.tenant = take(from.tenant);
  how.traceparent = take(from.traceparent);
  if (from.delivery_class && *from.delivery_class <= highest_class)
    how.delivery = static_cast<delivery_class>(*from.delivery_class);
  if (is_confirmed(how.delivery) && from.durability.value_or(0) != 0)
    how.durability = durability::synced; // at least
  return how;
}

/// Whether said_in() would give anything but the default.
inline bool says_anything(const message_header& what) {
  return what.delivery_class || what.priority || what.type || what.correlation || what.reply_to
         || what.tenant || what.traceparent; // durability stands beside a class only
}

/// The bytes in front of a header that say how long it is.
inline constexpr std::size_t header_length_bytes = sizeof(std::uint32_t);

/// Returns how many bytes the header at the beginning of `bytes` has with its length; nothing if it
/// does not end within `bytes`.
inline std::optional<std::size_t> header_size(std::string_view bytes) {
  std::uint32_t behind = 0;
  if (bytes.size() < header_length_bytes || !decoder{bytes}.get(behind)
      || behind > bytes.size() - header_length_bytes)
    return std::nullopt;
  return header_length_bytes + behind;
}

/// A message_header of which all is absent but what comes first, as of most messages: it has the
/// same bytes and costs a tenth.
struct plain_header {
  std::string_view to;
  std::uint16_t place = 0;
};

/// The bytes of one, with its length.
constexpr std::size_t plain_header_size(std::size_t to_bytes) {
  return header_length_bytes + sizeof(std::uint32_t) + to_bytes + sizeof(std::uint16_t);
}

/// A message_header of class confirm that says nothing beyond its place in its channel and what is
/// for a node that does not know the class, as of most of them: the same, at less cost.
struct confirm_header {
  std::string_view to;
  std::uint16_t place = 0;
  std::uint8_t wanted = 0;
  std::uint64_t request = 0;
  duration deadline{};
  channel::frame_header frame{};
};

namespace detail {

/// Writes integers as an encoder does.
class flat_writer {
public:
  explicit flat_writer(void* to) : to_(static_cast<unsigned char*>(to)) {}

  template <std::unsigned_integral T>
  flat_writer& operator<<(T number) {
    if constexpr (std::endian::native == std::endian::little) { // no compiler made one write of it
      std::memcpy(to_, &number, sizeof(T));
    } else {
      for (std::size_t byte = 0; byte < sizeof(T); ++byte)
        to_[byte] = static_cast<unsigned char>(number >> (8 * byte));
    }
    to_ += sizeof(T);
    return *this;
  }

  flat_writer& operator<<(std::string_view text) {
    to_ = std::ranges::copy(text, to_).out;
    return *this;
  }

private:
  unsigned char* to_;
};

/// Reads what a flat_writer wrote.
/// @pre there are as many bytes
class flat_reader {
public:
  explicit flat_reader(const char* from) : from_(from) {}

  template <std::unsigned_integral T>
  T get() {
    T number = 0;
    if constexpr (std::endian::native == std::endian::little) {
      std::memcpy(&number, from_, sizeof(T));
    } else {
      for (std::size_t byte = 0; byte < sizeof(T); ++byte)
        number |= static_cast<T>(T{static_cast<unsigned char>(from_[byte])} << (8 * byte));
    }
    from_ += sizeof(T);
    return number;
  }

  template <std::unsigned_integral T>
  flat_reader& operator>>(T& number) {
    number = get<T>();
    return *this;
  }

  std::string_view text(std::size_t size) {
    return {std::exchange(from_, from_ + size), size};
  }

private:
  const char* from_;
};

/// Of a confirm_header: the fields between its deadline and its frame, of which only the class is
/// there.
inline constexpr std::string_view only_class{"\0\0\0\0\0\0\1\1\0\0\0\0\0", 13};
/// The bytes of a frame_header, without its length.
inline constexpr std::size_t frame_bytes = 5 * sizeof(std::uint64_t) + sizeof(std::uint32_t);

} // namespace detail

/// The bytes of one, with its length.
constexpr std::size_t confirm_header_size(std::size_t to_bytes) {
  constexpr auto is_there = sizeof(std::uint8_t);
  return plain_header_size(to_bytes) + is_there + sizeof(std::uint8_t)
         + 2 * (is_there + sizeof(std::uint64_t)) + detail::only_class.size() + is_there
         + sizeof(std::uint32_t) + detail::frame_bytes;
}

/// Writes it behind `bytes`, a vector of bytes.
template <class Bytes>
void append(const plain_header& what, Bytes& bytes) {
  auto begin = bytes.size();
  auto size = plain_header_size(what.to.size());
  bytes.resize(begin + size);
  detail::flat_writer{bytes.data() + begin}
    << static_cast<std::uint32_t>(size - header_length_bytes)
    << static_cast<std::uint32_t>(what.to.size()) << what.to << what.place;
}

template <class Bytes>
void append(const confirm_header& what, Bytes& bytes) {
  constexpr std::uint8_t is_there = 1;
  auto begin = bytes.size();
  auto size = confirm_header_size(what.to.size());
  bytes.resize(begin + size);
  auto& frame = what.frame;
  detail::flat_writer{bytes.data() + begin}
    << static_cast<std::uint32_t>(size - header_length_bytes)
    << static_cast<std::uint32_t>(what.to.size()) << what.to << what.place << is_there
    << what.wanted << is_there << what.request << is_there
    << static_cast<std::uint64_t>(what.deadline.count()) << detail::only_class << is_there
    << static_cast<std::uint32_t>(detail::frame_bytes) << frame.session << frame.to << frame.base
    << frame.number << frame.run << frame.failures;
}

/// Returns it if it is one that `bytes` are, with the length.
inline std::optional<plain_header> plain_header_in(std::string_view bytes) {
  if (bytes.size() < plain_header_size(0))
    return std::nullopt;
  detail::flat_reader source{bytes.data() + header_length_bytes};
  auto size = source.get<std::uint32_t>();
  if (bytes.size() != plain_header_size(0) + size)
    return std::nullopt;
  plain_header made;
  made.to = source.text(size);
  source >> made.place;
  return made;
}

inline std::optional<confirm_header> confirm_header_in(std::string_view bytes) {
  constexpr std::uint8_t is_there = 1;
  if (bytes.size() < confirm_header_size(0))
    return std::nullopt;
  detail::flat_reader source{bytes.data() + header_length_bytes};
  auto size = source.get<std::uint32_t>();
  if (bytes.size() != confirm_header_size(0) + size)
    return std::nullopt;
  confirm_header made;
  made.to = source.text(size);
  auto has = [&source] { return source.get<std::uint8_t>() == is_there; };
  source >> made.place;
  if (!has())
    return std::nullopt;
  source >> made.wanted;
  if (!has())
    return std::nullopt;
  source >> made.request;
  if (!has())
    return std::nullopt;
  made.deadline = duration{static_cast<duration::rep>(source.get<std::uint64_t>())};
  if (source.text(detail::only_class.size()) != detail::only_class || !has()
      || source.get<std::uint32_t>() != detail::frame_bytes)
    return std::nullopt;
  auto& frame = made.frame;
  source >> frame.session >> frame.to >> frame.base >> frame.number >> frame.run >> frame.failures;
  return made;
}

/// Returns why a message with this header is refused: incompatible, if this release does not know
/// what it asks for; damaged, if it contradicts itself. errc::none if it is not.
inline problem check(const message_header& what) {
  auto unknown = [](const char* field, unsigned value) {
    return problem{errc::incompatible,
                   std::string{"the message has "} + field + ' ' + std::to_string(value)
                     + ", which the agent's node does not know; upgrade that node"};
  };
  if (what.wanted && *what.wanted > static_cast<std::uint8_t>(word::receipt))
    return unknown("the wish", *what.wanted);
  if (what.delivery_class && *what.delivery_class > highest_class)
    return unknown("the class", *what.delivery_class);
  auto is_kept = what.delivery_class && *what.delivery_class != 0; // beyond fire
  auto is_once = what.delivery_class == static_cast<std::uint8_t>(delivery_class::once);
  if (is_kept != (what.frame || what.probe) || (what.frame && what.probe)
      || (is_kept && what.also_to))
    return {errc::damaged, "the message has no place in a channel, or is for several agents; check "
                           "the version of the node it comes from"};
  if (is_once && (!what.id || !what.age || !what.life))
    return {errc::damaged, "the message is of class once and has no id, age or end; check the "
                           "version of the node it comes from"};
  auto asks = what.wanted && *what.wanted != static_cast<std::uint8_t>(word::nothing);
  if (asks && (!what.request || what.also_to))
    return {errc::damaged, "the message asks for an answer without a number, or asks several "
                           "agents; check the version of the node it comes from"};
  return {};
}

/// Returns what is left, when the bundle is sent, of a span that began when it was opened: zero or
/// less if it is over. Any bytes may be given: the result is at most about ten years.
inline duration left_of(duration span, const bundle_header& in) {
  constexpr auto longest = 10 * longest_span;
  return std::clamp(span, duration::zero(), longest)
         - std::max(in.waited.value_or(duration::zero()), duration::zero());
}

/// Returns when a message was sent, by the sender's calendar.
inline wall_time sent_at(const message_header& what, const bundle_header& in) {
  auto after = std::clamp(what.after.value_or(duration::zero()), duration::zero(), longest_span);
  return in.opened_at > wall_time::max() - after ? wall_time::max() : in.opened_at + after;
}

} // namespace troupe::router
