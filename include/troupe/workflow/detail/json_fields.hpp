#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/workflow/detail/text.hpp"

namespace troupe::workflow::detail {

/// Reads the fields of one JSON object into variables, and keeps the first fault. A field
/// that is absent or null leaves its variable unchanged.
class json_fields {
public:
  using json = nlohmann::json;

  /// @pre `object` outlives it.
  explicit json_fields(const json& object) : object_(object) {
    if (!object.is_object())
      fail("this is " + shown(object) + "; give an object in braces");
  }

  /// Refuses all other keys, which are probably mistakes.
  void only(std::initializer_list<std::string_view> known) {
    if (fault_)
      return;
    for (auto& [key, value] : object_.items()) {
      if (std::ranges::find(known, key) != known.end())
        continue;
      std::string names;
      for (auto each : known)
        names += (names.empty() ? "" : ", ") + std::string{each};
      return fail("unknown key " + in_quotes(key) + "; known are " + names);
    }
  }

  void required(std::string_view key, std::string& into) {
    if (!fault_ && find(key) == nullptr)
      return fail(std::string{key} + " is missing");
    text(key, into);
  }

  void text(std::string_view key, std::string& into) {
    if (auto* value = find(key);
        value != nullptr && want(value->is_string(), key, *value, "a text"))
      into = value->get_ref<const std::string&>();
  }

  /// A string unchanged, any other value as JSON text.
  void any(std::string_view key, std::string& into) {
    if (auto* value = find(key); value != nullptr && value->is_string())
      into = value->get_ref<const std::string&>();
    else if (value != nullptr)
      into = value->dump();
  }

  void texts(std::string_view key, std::vector<std::string>& into) {
    auto* value = find(key);
    if (value == nullptr || !want(value->is_array(), key, *value, "a list of texts"))
      return;
    into.reserve(value->size());
    for (auto& each : *value) {
      auto name = [&] { return std::string{key} + "[" + std::to_string(into.size()) + "]"; };
      if (!each.is_string())
        return fail(name() + " is " + shown(each) + "; give a text");
      into.push_back(each.get_ref<const std::string&>());
    }
  }

  void texts(std::string_view key, std::map<std::string, std::string>& into) {
    auto* value = find(key);
    if (value == nullptr || !want(value->is_object(), key, *value, "an object of texts"))
      return;
    for (auto& [name, each] : value->items()) {
      if (!each.is_string())
        return fail(std::string{key} + "." + in_quotes(name) + " is " + shown(each)
                    + "; give a text");
      into.emplace(name, each.get_ref<const std::string&>());
    }
  }

  /// A whole number in the range of `Number`, also if written as 4.0. `factor` converts the
  /// unit of the file.
  template <std::integral Number>
  void whole(std::string_view key, Number& into, std::uint32_t factor = 1) {
    using limits = std::numeric_limits<Number>;
    auto* value = find(key);
    if (value == nullptr)
      return;
    auto number = exact<Number>(*value);
    if (!number || *number > limits::max() / static_cast<Number>(factor))
      return fail(std::string{key} + " is " + shown(*value) + "; give a whole number from "
                  + std::to_string(limits::min()) + " to "
                  + std::to_string(limits::max() / static_cast<Number>(factor)));
    into = static_cast<Number>(*number * static_cast<Number>(factor));
  }

  template <std::integral Number>
  void whole(std::string_view key, std::optional<Number>& into, Number most) {
    auto* value = find(key);
    if (value == nullptr)
      return;
    auto number = exact<Number>(*value);
    if (!number || *number > most)
      return fail(std::string{key} + " is " + shown(*value) + "; give a whole number from "
                  + std::to_string(std::numeric_limits<Number>::min()) + " to "
                  + std::to_string(most));
    into = number;
  }

  /// Seconds, not negative. Exact to the nanosecond below 52 days, beyond that to the
  /// precision of a double.
  void seconds(std::string_view key, duration& into) {
    constexpr double max_seconds = 9e9; // 285 years, below what a duration can hold
    auto* value = find(key);
    if (value == nullptr || !want(value->is_number(), key, *value, "a number of seconds"))
      return;
    auto count = value->get<double>();
    if (count < 0)
      return fail(std::string{key} + " is " + shown(*value) + "; give 0 or more");
    if (count > max_seconds)
      return fail(std::string{key} + " is " + shown(*value) + " seconds; give less than 285 years");
    into = duration{std::llround(count * 1e9)};
  }

  void seconds(std::string_view key, std::optional<duration>& into) {
    if (find(key) == nullptr)
      return;
    duration span{};
    seconds(key, span);
    into = span;
  }

  /// Returns the value of `key` if it is a list, nullptr if it is absent.
  const json* list(std::string_view key) {
    auto* value = find(key);
    return value != nullptr && want(value->is_array(), key, *value, "a list") ? value : nullptr;
  }

  /// Returns the value of `key` if it is an object, nullptr if it is absent.
  const json* object(std::string_view key) {
    auto* value = find(key);
    return value != nullptr && want(value->is_object(), key, *value, "an object") ? value : nullptr;
  }

  [[nodiscard]] bool has(std::string_view key) const {
    return find(key) != nullptr;
  }

  /// Adds a fault found by the caller.
  void fail(std::string sentence) {
    if (!fault_)
      fault_ = problem{errc::bad_argument, std::move(sentence)};
  }

  /// Returns the first fault, if there is one.
  [[nodiscard]] const std::optional<problem>& fault() const {
    return fault_;
  }

private:
  [[nodiscard]] const json* find(std::string_view key) const {
    if (fault_)
      return nullptr; // only the first fault is reported
    auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  template <std::integral Number>
  static std::optional<Number> exact(const json& value) {
    if (value.is_number_unsigned() && std::in_range<Number>(value.get<std::uint64_t>()))
      return static_cast<Number>(value.get<std::uint64_t>());
    if (value.is_number_integer() && !value.is_number_unsigned()
        && std::in_range<Number>(value.get<std::int64_t>()))
      return static_cast<Number>(value.get<std::int64_t>());
    constexpr double max_exact = 9007199254740992; // 2^53
    if (auto number = value.is_number_float() ? value.get<double>() : 0.5;
        number == std::trunc(number) && std::abs(number) <= max_exact
        && std::in_range<Number>(static_cast<std::int64_t>(number)))
      return static_cast<Number>(number);
    return std::nullopt;
  }

  static std::string shown(const json& value) {
    if (value.is_array() || value.is_object())
      return value.is_array() ? "a list" : "an object";
    return value.is_string() ? in_quotes(value.get_ref<const std::string&>()) : value.dump();
  }

  bool want(bool right, std::string_view key, const json& value, std::string_view wanted) {
    if (!right)
      fail(std::string{key} + " is " + shown(value) + "; give " + std::string{wanted});
    return right;
  }

  const json& object_;
  std::optional<problem> fault_;
};

} // namespace troupe::workflow::detail
