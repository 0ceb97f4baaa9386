#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "troupe/core/detail/tree_reader.hpp"
#include "troupe/core/detail/tree_writer.hpp"
#include "troupe/core/json_text.hpp"
#include "troupe/core/json_tree.hpp"

/// JSON of every type that has an `inspect`, for people and for other languages.
///
/// - A struct is an object; unknown members are ignored, missing ones keep
///   their default. A std::optional field without a value is absent (null is read,
///   too); within lists it is null.
/// - Integers are exact, also above 2^53. Real numbers are read back bit by bit;
///   infinity and NaN are refused. 3.0 is accepted where an integer is expected.
/// - Time is whole nanoseconds.
/// - An enum with a name_of() is its name, any other its number; a number is always accepted.
/// - A map whose keys are text, or have a text form, is an object; any other is a
///   list of [key, value]. Lists, sets, tuples and arrays are lists.
/// - Bytes are base64, padded.
/// - A variant is an object with one member: {"circle": {…}} where the alternative
///   has `static constexpr std::string_view json_name = "circle"`, else its index,
///   {"0": {…}}. The index is always accepted.
///
/// Refusals are bad_argument and name the place: "tasks[3].runtime_s: expected a
/// number, found "long"". Text has to be UTF-8, both ways.
namespace troupe {

/// Returns the tree for `value`. Refuses what JSON cannot represent.
template <class T>
result<nlohmann::json> to_json_value(const T& value) {
  nlohmann::json tree;
  detail::tree_writer writer{detail::tree_form::json};
  if (!writer.put(value, tree))
    return writer.fault();
  return tree;
}

/// Returns `value` as one line of text, members in the order of their names.
template <class T>
result<std::string> to_json(const T& value) {
  auto tree = to_json_value(value);
  if (!tree)
    return tree.error();
  return tree->dump();
}

/// Fills `value` from `tree`, with as much memory as it needs. After a refusal it may be filled in
/// part.
template <class T>
[[nodiscard]] problem from_json_value(const nlohmann::json& tree, T& value) {
  auto memory = memory_budget::unlimited();
  detail::tree_reader reader{{}, memory};
  if (!reader.get(value, tree))
    return reader.fault();
  return {};
}

/// Returns the value that `text` stands for; see parse_json() for what is refused.
template <class T>
result<T> from_json(std::string_view text, json_limits limits = {}) {
  auto memory = detail::budget_for(text, limits);
  auto tree = detail::parse_json(text, limits, memory);
  if (!tree)
    return tree.error();
  return detail::read_tree<T>(*std::move(tree), limits, memory);
}

template <class T>
struct json_text {
  static result<std::string> write(const T& value) {
    return to_json(value);
  }

  static result<T> read(std::string_view text) {
    return from_json<T>(text);
  }
};

} // namespace troupe
