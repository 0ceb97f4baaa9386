#pragma once

#include <string>
#include <type_traits>

#include "caf/detail/implicit_conversions.hpp"
#include "caf/type_id.hpp"
#include "troupe/core/problem.hpp"

namespace troupe {

namespace detail {

/// Whether a value of T can be part of a message: as it is, or as what CAF makes of it, such as
/// std::string of "text".
template <class T>
inline constexpr bool can_be_sent = caf::has_type_id_v<caf::detail::strip_and_convert_t<T>>;

/// Whether a T can be what a message is answered with.
template <class T>
inline constexpr bool can_be_answer = std::is_void_v<T> || caf::has_type_id_v<T>;

} // namespace detail

/// For what sends values of these types: CAF itself only says that a static assertion has failed.
template <class... Ts>
constexpr void must_be_sendable() {
  static_assert((detail::can_be_sent<Ts> && ...),
                "a value that is sent here is no message; name its type in TROUPE_MESSAGES, with "
                "TROUPE_FIELDS inside it");
}

/// For what asks for an answer of this type.
template <class Result>
constexpr void must_be_answer() {
  static_assert(
    detail::can_be_answer<Result>,
    "the answer that is asked for here is no message; name its type in TROUPE_MESSAGES, "
    "with TROUPE_FIELDS inside it");
}

/// Returns bad_argument if the program has not registered one of these types: a message with such a
/// value would end the program. Types that are not messages count as registered.
template <class... Ts>
problem check_types() {
  problem why;
  auto check = [&why](caf::type_id_t id, const std::string& name) {
    if (!why && caf::query_type_name(id).empty())
      why = {errc::bad_argument,
             "the message type " + (name.empty() ? "number " + std::to_string(id) : name)
               + " is not registered; call troupe::init<BLOCK>() with the block of its "
                 "TROUPE_MESSAGES before the first node"};
  };
  auto check_type = [&check]<class T>(std::type_identity<T>) {
    if constexpr (caf::has_type_id_v<T>)
      check(caf::type_id_v<T>, to_string(caf::type_name_or_anonymous<T>()));
  };
  (check_type(std::type_identity<std::decay_t<Ts>>{}), ...);
  return why;
}

} // namespace troupe
