#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/detail/tree_names.hpp"
#include "troupe/core/inspection.hpp"

/// What can be done to any struct that has an `inspect`: count its fields, as `inspect` shows
/// them and as the compiler has them, and change one.
namespace troupe::test {

/// Where the fields of a struct are changed from, if its default is no value that can be sent.
template <class T>
struct start_of {
  static T make() {
    return {};
  }
};

/// For a class that is written as another one is: `type` is that, and `make` makes it from one.
template <class T>
struct written_as {};

template <class T>
concept written_as_another = requires(typename written_as<T>::type what) {
  { written_as<T>::make(what) } -> std::same_as<T>;
};

/// Of values that no test can make others of, such as handles of actors.
template <class T>
inline constexpr bool is_fixed = false;

/// Of lists and maps that are denser than others, and are short or read with more memory.
template <class List>
inline constexpr bool has_room = false;

/// Returns the name of T as the compiler writes it.
template <class T>
std::string full_name_of_type() {
  std::string_view text = __PRETTY_FUNCTION__; // "… [with T = troupe::lock::lease; …]"
  text.remove_prefix(text.find("T = ") + 4);
  return std::string{text.substr(0, text.find_first_of(";]"))};
}

/// Returns it without template arguments.
template <class T>
std::string name_of_type() {
  auto name = full_name_of_type<T>();
  return name.substr(0, name.find('<'));
}

/// Runs `visit` once, with the name and the value of each field that `inspect` shows.
template <class Visit>
class field_visitor {
public:
  static constexpr bool is_loading = false;

  explicit field_visitor(Visit visit) : visit_(std::move(visit)) {}

  template <class T>
  auto object(T&) {
    return detail::fields_of<field_visitor>{*this};
  }

  template <class T>
  static detail::named_field<T> field(std::string_view name, T& value) {
    return {name, value};
  }

  template <class... Ts>
  bool apply_fields(detail::named_field<Ts>&... fields) {
    visit_(fields...);
    return true;
  }

private:
  Visit visit_;
};

template <class T, class Visit>
void visit_fields(T& value, Visit visit) {
  field_visitor<Visit> visitor{std::move(visit)};
  inspect(visitor, value);
}

// -- counting ------------------------------------------------------------------------

/// Whether an aggregate T has at least Count fields. Empty braces fit each field, and stand for
/// one field only.
template <class T, std::size_t Count>
inline constexpr bool has_fields = Count == 0;

#include "braces.inc" // from 1 to 48

/// Returns what is wrong with the fields that `inspect` shows, empty if they are all there are.
template <class T, class... Fields>
std::string missing_fields(const T& value, const detail::named_field<Fields>&... fields) {
  constexpr auto shown = sizeof...(Fields);
  auto says = "inspect shows " + std::to_string(shown) + " fields, and ";
  if constexpr (std::is_aggregate_v<T>) {
    static_assert(shown < 48, "let tests/written/list.cmake write more braces");
    if (!has_fields<T, shown>)
      return says + "it has fewer";
    return has_fields<T, shown + 1> ? says + "it has more" : "";
  } else { // its fields cover it, but for what alignment needs
    using extent = std::pair<std::size_t, std::size_t>;
    auto first = reinterpret_cast<std::uintptr_t>(&value);
    std::array<extent, shown + 1> extents{
      extent{reinterpret_cast<std::uintptr_t>(&fields.value) - first, sizeof(Fields)}...,
      extent{sizeof(T), 0}};
    std::sort(extents.begin(), extents.end());
    std::size_t covered = 0;
    for (auto& [from, size] : extents) {
      if (from < covered || from - covered >= alignof(T))
        return says + "they do not cover it";
      covered = from + size;
    }
    return "";
  }
}

// -- changing ------------------------------------------------------------------------

/// In how many ways change() changes a T: once for each alternative of a variant.
template <class T>
constexpr std::size_t ways_to_change() {
  if constexpr (shape_of<T> == shape::variant)
    return std::variant_size_v<T>;
  else if constexpr (shape_of<T> == shape::optional || shape_of<T> == shape::list)
    return ways_to_change<typename T::value_type>();
  else if constexpr (shape_of<T> == shape::map)
    return ways_to_change<typename T::mapped_type>();
  else
    return 1;
}

/// Makes another valid value of `value`. Returns false if there is none. Values that hold their
/// own kind are changed to a `depth` of 4.
template <class T>
bool change(T& value, std::size_t way = 0, std::size_t depth = 0);

template <class T>
bool change_number(T& value) {
  using bits = std::make_unsigned_t<T>;
  value = static_cast<T>(static_cast<bits>(value) ^ static_cast<bits>(0x0102'0304'0506'0708U));
  return true;
}

template <class T>
bool change_enum(T& value) {
  using number = std::underlying_type_t<T>;
  if constexpr (named_enum<T>) {
    for (number each = 0; std::string_view{name_of(static_cast<T>(each))} != "unknown"; ++each)
      if (auto other = static_cast<T>(each); other != value) {
        value = other;
        return true;
      }
    return false;
  } else {
    value = static_cast<T>(static_cast<number>(value) ^ number{1});
    return true;
  }
}

template <class List, class Element>
bool change_list(List& value, std::size_t way, std::size_t depth) {
  if (depth > 4)
    return false;
  Element each{};
  change(each, way, depth + 1);
  return add_element(value, std::move(each));
}

template <class Variant, std::size_t... Is>
bool change_variant(Variant& value, std::size_t way, std::size_t depth,
                    std::index_sequence<Is...>) {
  auto before = value.index();
  auto inner = false;
  ((way == Is && (inner = change(value.template emplace<Is>(), 0, depth + 1))), ...);
  return inner || value.index() != before;
}

template <class T>
bool change(T& value, std::size_t way, std::size_t depth) {
  constexpr auto kind = shape_of<T>;
  if constexpr (is_fixed<T>) {
    return false;
  } else if constexpr (written_as_another<T>) {
    typename written_as<T>::type other{};
    change(other, way, depth);
    value = written_as<T>::make(std::move(other));
    return true;
  } else if constexpr (kind == shape::boolean) {
    value = !value;
    return true;
  } else if constexpr (kind == shape::enumeration) {
    return change_enum(value);
  } else if constexpr (kind == shape::integer) {
    return change_number(value);
  } else if constexpr (kind == shape::real) {
    value += T{1.5};
    return true;
  } else if constexpr (kind == shape::span || kind == shape::moment) {
    value += duration{0x0102'0304'0506'0708};
    return true;
  } else if constexpr (kind == shape::text) {
    constexpr auto more = "another-text-that-is-not-short";
    if constexpr (requires { value.value(); })
      return change(value.value());
    else if constexpr (std::is_same_v<T, std::string>)
      value += more;
    else
      value = T{value.text() + more};
    return true;
  } else if constexpr (kind == shape::bytes) {
    value.push_back(std::byte{0x99});
    return true;
  } else if constexpr (kind == shape::byte_block) {
    for (auto& each : value)
      each ^= std::byte{0x99};
    return !value.empty();
  } else if constexpr (kind == shape::block || kind == shape::tuple) {
    return std::apply(
      [&](auto&... each) { return (static_cast<int>(change(each, 0, depth)) + ... + 0) > 0; },
      value);
  } else if constexpr (kind == shape::map) {
    return change_list<T, map_entry<T>>(value, way, depth);
  } else if constexpr (kind == shape::list) {
    return change_list<T, typename T::value_type>(value, way, depth);
  } else if constexpr (kind == shape::optional) {
    if (depth > 4)
      return false;
    auto was_empty = !value;
    if (was_empty)
      value.emplace();
    return change(*value, way, depth + 1) || was_empty;
  } else if constexpr (kind == shape::variant) {
    return change_variant(value, way, depth, std::make_index_sequence<std::variant_size_v<T>>{});
  } else {
    auto changed = false;
    value = start_of<T>::make();
    visit_fields(value, [&](auto&... fields) {
      changed = (static_cast<int>(change(fields.value, 0, depth)) + ... + 0) > 0;
    });
    return changed;
  }
}

/// Changes the field at `position` alone. Returns false if there is no other value of it.
template <class T>
bool change_field(T& value, std::size_t position, std::size_t way) {
  auto changed = false;
  visit_fields(value, [&](auto&... fields) {
    [[maybe_unused]] std::size_t at = 0;
    ((at++ == position && (changed = change(fields.value, way))), ...);
  });
  return changed;
}

} // namespace troupe::test
