#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/base64.hpp"
#include "troupe/core/detail/tree_names.hpp"
#include "troupe/core/inspection.hpp"
#include "troupe/core/json_tree.hpp"
#include "troupe/core/memory_budget.hpp"
#include "troupe/core/result.hpp"

namespace troupe::detail {

/// Fills any value that has an `inspect` from a tree of JSON or MessagePack.
class tree_reader {
public:
  using tree = nlohmann::json;

  static constexpr bool is_loading = true;

  tree_reader(json_limits limits, memory_budget& memory) : limits_(limits), memory_(memory) {}

  template <class T>
  auto object(T&) {
    return fields_of<tree_reader>{*this};
  }

  template <class T>
  static named_field<T> field(std::string_view name, T& value) {
    return {name, value};
  }

  template <class... Ts>
  bool apply_fields(named_field<Ts>&... fields) {
    auto& from = *here_;
    return (from.is_object() || expected("an object", from)) && (get_field(fields, from) && ...);
  }

  template <class T>
  bool get(T& value, const tree& from) {
    return get(as_shape<shape_of<T>>{}, value, from);
  }

  /// Why get() returned false, with the path to the faulty value.
  [[nodiscard]] problem fault() const {
    auto path = std::string_view{path_};
    if (path.starts_with('.'))
      path.remove_prefix(1);
    return {code_, path.empty() ? fault_ : std::string{path} + ": " + fault_};
  }

  /// Returns what was found where something else was expected.
  static std::string describe(const tree& found) {
    if (found.is_object())
      return "an object of " + std::to_string(found.size());
    if (found.is_array())
      return "a list of " + std::to_string(found.size());
    if (found.is_binary() && found.get_binary().has_subtype())
      return "an extension";
    if (found.is_binary())
      return std::to_string(found.get_binary().size()) + " bytes";
    if (found.is_string())
      return "\"" + std::string{utf8_prefix(found.get_ref<const std::string&>(), 40)} + "\"";
    return found.dump();
  }

private:
  /// An unknown field is ignored, a missing one keeps its default.
  template <class T>
  bool get_field(named_field<T> field, const tree& from) {
    auto found = from.find(field.name);
    return found == from.end() || get(field.value, *found) || within("." + std::string{field.name});
  }

  bool get(as_shape<shape::boolean>, bool& value, const tree& from) {
    if (!from.is_boolean())
      return expected("true or false", from);
    value = from.get<bool>();
    return true;
  }

  template <class T>
  bool get(as_shape<shape::enumeration>, T& value, const tree& from) {
    if constexpr (named_enum<T>) {
      if (from.is_string()) {
        auto found = find_named<T>(from.get_ref<const std::string&>());
        if (!found)
          return expected("a known name", from);
        value = *found;
        return true;
      }
    }
    std::underlying_type_t<T> number{};
    if (!get(number, from))
      return false;
    value = static_cast<T>(number);
    return true;
  }

  template <class T>
  bool get(as_shape<shape::integer>, T& value, const tree& from) {
    using wide = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
    constexpr wide low = std::numeric_limits<T>::min();
    constexpr wide high = std::numeric_limits<T>::max();
    auto take = [&](auto number) {
      if (!std::in_range<wide>(number) || static_cast<wide>(number) < low
          || static_cast<wide>(number) > high)
        return false;
      value = static_cast<T>(number);
      return true;
    };
    constexpr auto exact = 9007199254740992.0; // 2^53: up to it a double may stand for an integer
    if (from.is_number_unsigned()  ? take(from.get<std::uint64_t>())
        : from.is_number_integer() ? take(from.get<std::int64_t>())
                                   : from.is_number_float() && std::abs(from.get<double>()) <= exact
                                       && std::trunc(from.get<double>()) == from.get<double>()
                                       && take(static_cast<std::int64_t>(from.get<double>())))
      return true;
    return expected("an integer from " + std::to_string(low) + " to " + std::to_string(high), from);
  }

  template <class T>
  bool get(as_shape<shape::real>, T& value, const tree& from) {
    if (!from.is_number())
      return expected("a number", from);
    auto number = from.get<double>();
    if (std::isfinite(number) && std::abs(number) > double{std::numeric_limits<T>::max()})
      return expected("a number of single precision", from);
    value = static_cast<T>(number);
    return true;
  }

  bool get(as_shape<shape::span>, duration& value, const tree& from) {
    std::int64_t count = 0;
    if (!get(count, from))
      return false;
    value = duration{count};
    return true;
  }

  template <class Moment>
  bool get(as_shape<shape::moment>, Moment& value, const tree& from) {
    duration since{};
    if (!get(since, from))
      return false;
    value = Moment{since};
    return true;
  }

  bool get(as_shape<shape::text>, std::string& value, const tree& from) {
    if (!from.is_string())
      return expected("a text", from);
    auto& text = from.get_ref<const std::string&>();
    if (!memory_.take_text(text.size()))
      return fail_for_memory();
    value = text;
    return true;
  }

  template <text_like T>
  bool get(as_shape<shape::text> shape, T& value, const tree& from) {
    std::string text;
    if (!get(shape, text, from))
      return false;
    value = T{std::move(text)};
    return true;
  }

  template <read_from_text T>
  bool get(as_shape<shape::text> shape, T& value, const tree& from) {
    std::string text;
    if (!get(shape, text, from))
      return false;
    auto why = value.read_text(text);
    return !why || fail(std::move(why.detail));
  }

  bool get(as_shape<shape::bytes>, std::vector<std::byte>& value, const tree& from) {
    if (!memory_.take_text(from.is_string()   ? from.get_ref<const std::string&>().size()
                           : from.is_binary() ? from.get_binary().size()
                                              : 0))
      return fail_for_memory();
    if (from.is_string()) {
      auto bytes = from_base64(from.get_ref<const std::string&>());
      if (!bytes)
        return expected("bytes as padded base64", from);
      value = std::move(*bytes);
      return true;
    }
    if (!from.is_binary() || from.get_binary().has_subtype())
      return expected("bytes", from);
    auto bytes = std::as_bytes(std::span{from.get_binary()});
    value.assign(bytes.begin(), bytes.end());
    return true;
  }

  template <std::size_t Size>
  bool get(as_shape<shape::byte_block>, std::array<std::byte, Size>& value, const tree& from) {
    std::vector<std::byte> bytes;
    if (!get(bytes, from))
      return false;
    if (bytes.size() != Size)
      return expected(std::to_string(Size) + " bytes", from);
    std::copy(bytes.begin(), bytes.end(), value.begin());
    return true;
  }

  template <class Block>
  bool get(as_shape<shape::block>, Block& value, const tree& from) {
    return get_row(value, from);
  }

  template <class Tuple>
  bool get(as_shape<shape::tuple>, Tuple& value, const tree& from) {
    return get_row(value, from);
  }

  /// Takes as many elements as the type has, each with its own type.
  template <class Row>
  bool get_row(Row& value, const tree& from) {
    constexpr auto size = std::tuple_size_v<Row>;
    if (!from.is_array() || from.size() != size)
      return expected("a list of " + std::to_string(size), from);
    std::size_t index = 0;
    return std::apply([&](auto&... each) { return (get_element(each, from, index++) && ...); },
                      value);
  }

  template <class Map>
  bool get(as_shape<shape::map>, Map& value, const tree& from) {
    if constexpr (is_name<typename Map::key_type>) {
      if (!from.is_object())
        return expected("an object", from);
      value.clear();
      if (!memory_.take_elements<Map>(from.size()))
        return fail_for_memory();
      for (auto member = from.begin(); member != from.end(); ++member)
        if (!get_member(value, member.key(), *member))
          return within("[\"" + std::string{utf8_prefix(member.key(), 40)} + "\"]");
      return true;
    } else {
      return get_list<map_entry<Map>>(value, from);
    }
  }

  template <class Map>
  bool get_member(Map& value, const std::string& name, const tree& from) {
    map_entry<Map> each{};
    return get(each.first, tree(name)) && get(each.second, from)
           && (add_element(value, std::move(each)) || fail("this key is given twice"));
  }

  template <class List>
  bool get(as_shape<shape::list>, List& value, const tree& from) {
    return get_list<typename List::value_type>(value, from);
  }

  template <class Element, class List>
  bool get_list(List& value, const tree& from) {
    if (!from.is_array())
      return expected("a list", from);
    value.clear();
    if (!memory_.take_elements<List>(from.size()))
      return fail_for_memory();
    if constexpr (requires { value.reserve(from.size()); })
      value.reserve(from.size());
    for (std::size_t index = 0; index < from.size(); ++index) {
      Element each{};
      if (!get_element(each, from, index))
        return false;
      if (!add_element(value, std::move(each)))
        return fail("this element is given twice") || within("[" + std::to_string(index) + "]");
    }
    return true;
  }

  template <class T>
  bool get_element(T& value, const tree& from, std::size_t index) {
    return get(value, from[index]) || within("[" + std::to_string(index) + "]");
  }

  template <class T>
  bool get(as_shape<shape::optional>, std::optional<T>& value, const tree& from) {
    value.reset();
    return from.is_null() || get(value.emplace(), from);
  }

  /// An alternative's index is always accepted, because its type may get a name later.
  template <class... Ts>
  bool get(as_shape<shape::variant>, std::variant<Ts...>& value, const tree& from) {
    if (!from.is_object() || from.size() != 1)
      return expected("an object with one member", from);
    auto& given = from.begin().key();
    auto names = alternative_names<std::variant<Ts...>>();
    for (std::size_t index = 0; index < names.size(); ++index)
      if (given == names[index] || given == std::to_string(index))
        return get_alternative(value, index, *from.begin(), std::index_sequence_for<Ts...>{})
               || within("." + given);
    std::string known;
    for (auto& each : names)
      known += (known.empty() ? "" : ", ") + each;
    return expected("one member of: " + known, from.begin().key());
  }

  template <class Variant, std::size_t... Is>
  bool get_alternative(Variant& value, std::size_t index, const tree& from,
                       std::index_sequence<Is...>) {
    return ((index == Is && get(value.template emplace<Is>(), from)) || ...);
  }

  template <class T>
  bool get(as_shape<shape::spelled>, T& value, const tree& from) {
    if (!from.is_string())
      return expected("a text", from);
    auto read = T::from_string(from.get_ref<const std::string&>());
    if (!read)
      return fail(read.error().detail);
    value = *std::move(read);
    return true;
  }

  template <class T>
  bool get(as_shape<shape::object>, T& value, const tree& from) {
    here_ = &from;
    return inspect(*this, value);
  }

  bool expected(const std::string& what, const tree& found) {
    return fail("expected " + what + ", found " + describe(found));
  }

  bool fail(std::string detail) {
    fault_ = std::move(detail);
    return false;
  }

  bool fail_for_memory() {
    code_ = errc::too_large;
    return fail(memory_fault(limits_));
  }

  /// Adds a step to the path of the fault, from the inside out; costs nothing without a fault.
  bool within(const std::string& step) {
    path_.insert(0, step);
    return false;
  }

  json_limits limits_;
  memory_budget& memory_;
  const tree* here_ = nullptr; // what the current object is read from
  errc code_ = errc::bad_argument;
  std::string fault_;
  std::string path_;
};

/// Returns the value that `from` stands for, with the memory that building the tree has left.
template <class T>
result<T> read_tree(nlohmann::json from, json_limits limits, memory_budget& memory) {
  T value{};
  tree_reader reader{limits, memory};
  auto done = reader.get(value, from);
  auto why = done ? problem{} : reader.fault();
  take_down(from);
  if (!done)
    return why;
  return value;
}

} // namespace troupe::detail
