#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>
#include <variant>

namespace troupe {

namespace detail {

/// Visits one of the alternatives from the `First` on.
template <std::size_t First, class Visitor, class Variant>
constexpr decltype(auto) visit_from(Visitor& visitor, Variant&& what) {
  constexpr auto count = std::variant_size_v<std::remove_cvref_t<Variant>>;
  constexpr std::size_t at_once = 16;
#define TROUPE_VISIT(nth)                                                                          \
  case First + (nth):                                                                              \
    if constexpr (First + (nth) >= count)                                                          \
      break;                                                                                       \
    else if constexpr (std::is_lvalue_reference_v<Variant>)                                        \
      return visitor(*std::get_if<First + (nth)>(&what));                                          \
    else                                                                                           \
      return visitor(std::move(*std::get_if<First + (nth)>(&what)));
  switch (what.index()) {
    TROUPE_VISIT(0)
    TROUPE_VISIT(1)
    TROUPE_VISIT(2)
    TROUPE_VISIT(3)
    TROUPE_VISIT(4)
    TROUPE_VISIT(5)
    TROUPE_VISIT(6)
    TROUPE_VISIT(7)
    TROUPE_VISIT(8)
    TROUPE_VISIT(9)
    TROUPE_VISIT(10)
    TROUPE_VISIT(11)
    TROUPE_VISIT(12)
    TROUPE_VISIT(13)
    TROUPE_VISIT(14)
    TROUPE_VISIT(15)
    default:
      break;
  }
#undef TROUPE_VISIT
  if constexpr (First + at_once < count)
    return visit_from<First + at_once>(visitor, std::forward<Variant>(what));
  else
    throw std::bad_variant_access{};
}

} // namespace detail

/// What std::visit does for one variant. The switch in it takes compilers a fifth of the time of
/// the table of functions in there, and can be inlined. Throws std::bad_variant_access if the
/// variant holds nothing.
template <class Visitor, class Variant>
constexpr decltype(auto) visit(Visitor&& visitor, Variant&& what) {
  return detail::visit_from<0>(visitor, std::forward<Variant>(what));
}

} // namespace troupe
