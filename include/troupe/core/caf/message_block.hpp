#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include "caf/config.hpp" // string_view.hpp asks for what it defines
#include "caf/string_view.hpp"
#include "caf/type_id.hpp"
#include "troupe/core/caf/type_ids.hpp"

/// Declares message types of the application to CAF, so that actors on all nodes understand
/// them. Write it at namespace scope, global or the application's own, before the first use of the
/// types as messages. It takes a name for the block and 1 to 64 types, also of other namespaces:
///
///     struct take_ticket {
///       std::string holder;
///       TROUPE_FIELDS(take_ticket, holder);
///     };
///     TROUPE_MESSAGES(tickets, take_ticket, shop::count_tickets);
///
///     int main() {
///       troupe::init<tickets>();
///       ...
///
/// Each type needs a default constructor, a copy constructor and an `inspect`, as of TROUPE_FIELDS.
/// CAF identifies it by its C++ name, as the compiler writes it: if a typed handle has a template
/// with arguments among its messages, all programs need the same compiler.
///
/// Type IDs are wire format: all programs of a cluster have the same block with the same types in
/// the same order, and each type the same fields in the same order, best in one header. This is not
/// checked between programs: a message is decoded as the type that has its number in the receiver.
/// So never add a field to a type, and add a new type at the end. The first ID is derived from the
/// name of the block, regardless of its namespace: choose a name that is specific to the
/// application, not `messages`. There are 958 possible first IDs; with ten blocks, two collide in
/// one of 20 programs. troupe::init() then throws std::logic_error with both names: give one of
/// them other IDs with TROUPE_MESSAGES_AT. CAF's table of types takes 88 bytes for each ID up to
/// the highest in use: 5.8 MB at most, and 10 ms at the start.
///
/// The compiler refuses more than 64 types, a type that has an ID already, and a type in two blocks
/// (as a redefinition of `troupe_number_of_message`). A shared library that has registered a block
/// is never unloaded: CAF keeps the names of its types.
#define TROUPE_MESSAGES(block, ...)                                                                \
  TROUPE_MESSAGES_AT(block, ::troupe::message_slot(#block) __VA_OPT__(, ) __VA_ARGS__)

/// As TROUPE_MESSAGES, with the first type ID: for a block that collides with another, or whose
/// name changes. IDs of an application are `caf::first_custom_type_id` (200) to 1199 and 4200 to
/// 65534. The compiler refuses others.
///
///     TROUPE_MESSAGES_AT(tickets, 9000, take_ticket, count_tickets);
#define TROUPE_MESSAGES_AT(block, first_id, ...)                                                   \
  struct block : ::troupe::message_block<first_id __VA_OPT__(, ) __VA_ARGS__> {}

namespace troupe {

/// Most types in one block of TROUPE_MESSAGES.
inline constexpr std::size_t max_block_messages = 64;

/// Returns the first type ID of a block that is called `name`. Source: Fowler, Noll, Vo, FNV-1a,
/// 64 bit.
constexpr caf::type_id_t message_slot(std::string_view name) {
  std::uint64_t hash = 0xcbf2'9ce4'8422'2325U;
  for (auto letter : name) {
    hash ^= static_cast<unsigned char>(letter);
    hash *= 0x0000'0100'0000'01b3U;
  }
  constexpr auto slots = (caf::invalid_type_id - type_ids::end) / max_block_messages;
  return static_cast<caf::type_id_t>(type_ids::end + hash % slots * max_block_messages);
}

namespace detail {

/// "… [with T = shop::take_ticket]"
template <class T>
constexpr const char* text_with_name() {
  return __PRETTY_FUNCTION__;
}

/// Returns the name of T with its namespaces, as the compiler writes it.
template <class T>
constexpr std::string_view cpp_name() {
  std::string_view text = text_with_name<T>();
  text.remove_prefix(text.find("T = ") + 4);
  return text.substr(0, text.rfind(']'));
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-template-friend"
#endif

/// Finds the number of T by argument. Unlike a specialization of caf::type_id, the function can be
/// defined from any namespace: by message_number, wherever that is instantiated.
template <class T>
struct message_key {
  friend auto troupe_number_of_message(message_key<T>);
};

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

template <class T, caf::type_id_t Number>
struct message_number {
  friend auto troupe_number_of_message(message_key<T>) {
    return std::integral_constant<caf::type_id_t, Number>{};
  }
};

template <class T>
concept has_message_number = requires {
  troupe_number_of_message(message_key<T>{});
};

template <std::int64_t First, class Positions, class... Ts>
struct message_numbers;

template <std::int64_t First, std::size_t... Positions, class... Ts>
struct message_numbers<First, std::index_sequence<Positions...>, Ts...>
  : message_number<Ts, static_cast<caf::type_id_t>(First + Positions)>... {};

template <std::int64_t First, std::int64_t Count>
struct message_bounds {
  static_assert(Count > 0, "TROUPE_MESSAGES takes the name of the block, then its message types");
  static_assert(Count <= static_cast<std::int64_t>(max_block_messages),
                "TROUPE_MESSAGES takes at most 64 message types; put the others into a second "
                "block");
  static_assert(First >= caf::first_custom_type_id && First + Count <= caf::invalid_type_id,
                "TROUPE_MESSAGES_AT takes a first type ID from 200 on, and the last one is at most "
                "65534");
  static_assert(First + Count <= type_ids::core || First >= type_ids::end,
                "type IDs from 1200 to 4199 are those of troupe; give TROUPE_MESSAGES_AT others");
};

/// Whether a name has an anonymous namespace in it, as gcc and as clang write it.
constexpr bool is_anonymous(std::string_view name) {
  return name.find("{anonymous}") != std::string_view::npos
         || name.find("(anonymous namespace)") != std::string_view::npos;
}

/// Whether the only TROUPE_FIELDS of a struct are those of its base.
template <class T>
concept has_fields_of_base_only = requires(T& value) {
  troupe_owner_of_fields(value);
}
&&!requires(T & value) {
  { troupe_owner_of_fields(value) } -> std::same_as<T*>;
};

} // namespace detail

/// What TROUPE_MESSAGES defines: a block of type IDs that troupe::init() registers.
template <std::int64_t First, class... Ts>
struct message_block : detail::message_bounds<First, sizeof...(Ts)>,
                       detail::message_numbers<First, std::index_sequence_for<Ts...>, Ts...> {
  static_assert((std::is_same_v<Ts, std::decay_t<Ts>> && ...),
                "TROUPE_MESSAGES takes types that are neither const nor references nor arrays");
  static_assert((detail::has_message_number<Ts> && ...),
                "TROUPE_MESSAGES comes before the first use of its types as messages; move it up");
  static_assert(
    (!detail::has_fields_of_base_only<Ts> && ...),
    "a type of this block has only the TROUPE_FIELDS of its base, so that its own fields could "
    "be lost; give it TROUPE_FIELDS with the fields of both");
  static_assert((!detail::is_anonymous(detail::cpp_name<Ts>()) && ...),
                "a message type in an anonymous namespace is another type in each source; move it "
                "into a namespace with a name");
  static constexpr auto begin = static_cast<caf::type_id_t>(First);
  static constexpr auto end = static_cast<caf::type_id_t>(First + sizeof...(Ts));
  static_assert(
    ((caf::type_id_v<Ts> >= begin && caf::type_id_v<Ts> < end) && ...),
    "a type of this block has a type ID already, of CAF or another block; leave it out");
};

} // namespace troupe

namespace caf {

template <troupe::detail::has_message_number T>
struct type_id<T> {
  static constexpr type_id_t value
    = decltype(troupe_number_of_message(troupe::detail::message_key<T>{}))::value;
};

template <troupe::detail::has_message_number T>
struct type_name<T> {
  static constexpr string_view value{troupe::detail::cpp_name<T>().data(),
                                     troupe::detail::cpp_name<T>().size()};
};

} // namespace caf
