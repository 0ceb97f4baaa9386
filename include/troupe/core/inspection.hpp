#pragma once

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

#include "troupe/core/fields.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"

/// What our own forms of a value (binary, JSON, MessagePack) share: every type is
/// of one shape, found here and nowhere else, and a form is one overload for each
/// shape. The `inspect` that they run is the one that CAF runs. TROUPE_FIELDS makes it:
///
///     template <class Inspector>
///     bool inspect(Inspector& f, point& x) {
///       return f.object(x).fields(f.field("x", x.x), f.field("y", x.y));
///     }
///
/// `Inspector::is_loading` tells reading from writing, in CAF's inspectors and in ours.
namespace troupe {

/// How deep structs may nest. Only a recursive type can come near this; its owner must keep it
/// below.
inline constexpr std::size_t max_nesting = 64;

enum class shape : std::uint8_t {
  boolean,
  enumeration,
  integer,
  real,
  span,       ///< duration: int64 nanoseconds
  moment,     ///< time_point: int64 nanoseconds
  text,       ///< std::string, or a class that is written as one: see text_like, read_from_text
  bytes,      ///< std::vector<std::byte>
  byte_block, ///< std::array of std::byte: its size is part of the type
  block,      ///< any other std::array
  tuple,      ///< std::pair, std::tuple
  map,
  list, ///< vectors, deques, sets
  optional,
  variant,
  spelled, ///< a struct that has a text form, too
  object,  ///< any type with an `inspect`
};

/// A struct with a text form of its own, such as an id: JSON and MessagePack write
/// that, also as the key of an object; the binary forms write its fields.
template <class T>
concept spelled_out = requires(const T& value, std::string_view text) {
  { to_string(value) } -> std::same_as<std::string>;
  { T::from_string(text) } -> std::same_as<result<T>>;
};

/// A class around a text, such as the id of an agent: every form writes the text, whatever that
/// says. It opts in by a constant, `is_text`.
template <class T>
concept text_like = requires(const T& value, std::string text) {
  requires bool{T::is_text};
  { value.text() } -> std::same_as<const std::string&>;
  T{std::move(text)};
};

/// A class that is a text wherever it is written and something else in memory, see as_text: every
/// form writes the text, and reads with read_text(), which returns why it takes no such text. It
/// opts in by a constant, `is_text`.
template <class T>
concept read_from_text = requires(T& value, const T& same, const std::string& text) {
  requires bool{T::is_text};
  { same.text() } -> std::same_as<std::string>;
  { value.read_text(text) } -> std::same_as<problem>;
};

/// The `inspect` of such a class.
template <class Inspector, read_from_text T>
bool inspect_text(Inspector& f, T& x) {
  if constexpr (Inspector::is_loading) {
    std::string read;
    return f.apply(read) && !x.read_text(read);
  } else {
    auto written = x.text();
    return f.apply(written);
  }
}

/// An enum with names, found by argument-dependent lookup: `name_of(value)`. Numbers count from
/// zero; the first number without a name is called "unknown".
template <class T>
concept named_enum = std::is_enum_v<T> && requires(T value) {
  { name_of(value) } -> std::convertible_to<std::string_view>;
};

namespace detail {

template <class T, template <class...> class Template>
constexpr bool is_made_from = false;
template <template <class...> class Template, class... Ts>
constexpr bool is_made_from<Template<Ts...>, Template> = true;

template <class T>
constexpr bool is_block = false;
template <class T, std::size_t Size>
constexpr bool is_block<std::array<T, Size>> = true;

template <class T>
concept list_like = requires(T& list) {
  list.begin();
  list.clear();
  list.insert(list.end(), std::declval<typename T::value_type>());
};

template <class T>
concept map_like = list_like<T> && requires {
  typename T::mapped_type;
};

/// A container whose order depends on addresses or on a hash.
template <class T>
concept unordered = requires {
  typename T::hasher;
};

/// A time point of any clock, in nanoseconds: machine time, wall time, the time of a group.
template <class T>
constexpr bool is_moment = false;
template <class Clock>
constexpr bool is_moment<std::chrono::time_point<Clock, duration>> = true;

template <class T>
constexpr shape find_shape() {
  if constexpr (std::is_same_v<T, bool>)
    return shape::boolean;
  else if constexpr (std::is_enum_v<T>)
    return shape::enumeration;
  else if constexpr (std::is_integral_v<T>)
    return shape::integer;
  else if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>)
    return shape::real;
  else if constexpr (std::is_same_v<T, duration>)
    return shape::span;
  else if constexpr (is_moment<T>)
    return shape::moment;
  else if constexpr (std::is_same_v<T, std::string> || text_like<T> || read_from_text<T>)
    return shape::text;
  else if constexpr (std::is_same_v<T, std::vector<std::byte>>)
    return shape::bytes;
  else if constexpr (is_block<T>)
    return std::is_same_v<typename T::value_type, std::byte> ? shape::byte_block : shape::block;
  else if constexpr (is_made_from<T, std::pair> || is_made_from<T, std::tuple>)
    return shape::tuple;
  else if constexpr (map_like<T>)
    return shape::map;
  else if constexpr (list_like<T>)
    return shape::list;
  else if constexpr (is_made_from<T, std::optional>)
    return shape::optional;
  else if constexpr (is_made_from<T, std::variant>)
    return shape::variant;
  else if constexpr (spelled_out<T>)
    return shape::spelled;
  else
    return shape::object;
}

/// What every inspector must offer: object(x).fields(field(name, value)...).
template <class Inspector>
struct fields_of {
  Inspector& owner;

  template <class... Ts>
  bool fields(Ts&&... values) {
    return owner.apply_fields(values...);
  }
};

} // namespace detail

template <class T>
inline constexpr shape shape_of = detail::find_shape<T>();

/// Selects the overload for a shape: `put(as_shape<shape_of<T>>{}, value)`.
template <shape S>
using as_shape = std::integral_constant<shape, S>;

/// Adds `each` to the end of a list, or to its place in a set or map. Returns false
/// if it was there already.
template <class List, class Element>
bool add_element(List& list, Element&& each) {
  auto before = list.size();
  list.insert(list.end(), std::forward<Element>(each));
  return list.size() != before;
}

/// The element of a map while it is read: its key can still be written to.
template <class Map>
using map_entry = std::pair<typename Map::key_type, typename Map::mapped_type>;

} // namespace troupe
