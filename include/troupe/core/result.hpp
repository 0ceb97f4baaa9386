#pragma once

#include <cassert>
#include <concepts>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>

#include "troupe/core/problem.hpp"

namespace troupe {

template <class T>
class result;

/// Thrown by result::value() if there is no value.
class bad_result_access : public std::runtime_error {
public:
  /// what() returns the problem in the form of to_string().
  explicit bad_result_access(problem why)
    : std::runtime_error(to_string(why)), why_(std::move(why)) {}

  [[nodiscard]] const problem& error() const noexcept {
    return why_;
  }

private:
  problem why_;
};

namespace detail {

template <class Self, class Function>
decltype(auto) call_with_value(Self&& self, Function&& function) {
  if constexpr (std::is_void_v<typename std::remove_cvref_t<Self>::value_type>)
    return std::forward<Function>(function)();
  else
    return std::forward<Function>(function)(*std::forward<Self>(self));
}

template <class Self, class Next>
auto and_then(Self&& self, Next&& next) {
  using next_result = std::remove_cvref_t<decltype(call_with_value(std::forward<Self>(self),
                                                                   std::forward<Next>(next)))>;
  if (!self)
    return next_result{std::forward<Self>(self).error()};
  return call_with_value(std::forward<Self>(self), std::forward<Next>(next));
}

template <class Self, class Change>
auto transform(Self&& self, Change&& change) {
  using value = std::remove_cvref_t<decltype(call_with_value(std::forward<Self>(self),
                                                             std::forward<Change>(change)))>;
  if (!self)
    return result<value>{std::forward<Self>(self).error()};
  if constexpr (std::is_void_v<value>) {
    call_with_value(std::forward<Self>(self), std::forward<Change>(change));
    return result<value>{};
  } else {
    return result<value>{call_with_value(std::forward<Self>(self), std::forward<Change>(change))};
  }
}

template <class Self, class Remedy>
std::remove_cvref_t<Self> or_else(Self&& self, Remedy&& remedy) {
  if (self)
    return std::forward<Self>(self);
  return std::forward<Remedy>(remedy)(std::forward<Self>(self).error());
}

template <class Self, class Change>
std::remove_cvref_t<Self> transform_error(Self&& self, Change&& change) {
  if (self)
    return std::forward<Self>(self);
  return problem{std::forward<Change>(change)(std::forward<Self>(self).error())};
}

/// The chaining functions that all results have, with and without a value.
template <class Result>
class chained_result {
public:
  /// Returns what `next` makes of the value, a result of any type; or the problem.
  template <class Next>
  auto and_then(Next&& next) & {
    return detail::and_then(self(), std::forward<Next>(next));
  }

  template <class Next>
  auto and_then(Next&& next) const& {
    return detail::and_then(self(), std::forward<Next>(next));
  }

  template <class Next>
  auto and_then(Next&& next) && {
    return detail::and_then(std::move(self()), std::forward<Next>(next));
  }

  /// Returns a result with what `change` makes of the value; or the problem.
  template <class Change>
  auto transform(Change&& change) & {
    return detail::transform(self(), std::forward<Change>(change));
  }

  template <class Change>
  auto transform(Change&& change) const& {
    return detail::transform(self(), std::forward<Change>(change));
  }

  template <class Change>
  auto transform(Change&& change) && {
    return detail::transform(std::move(self()), std::forward<Change>(change));
  }

  /// Returns this, or what `remedy` makes of the problem: a result of the same type.
  template <class Remedy>
  Result or_else(Remedy&& remedy) const& {
    return detail::or_else(self(), std::forward<Remedy>(remedy));
  }

  template <class Remedy>
  Result or_else(Remedy&& remedy) && {
    return detail::or_else(std::move(self()), std::forward<Remedy>(remedy));
  }

  /// Returns this, with the problem that `change` makes of the problem; it must not be errc::none.
  template <class Change>
  Result transform_error(Change&& change) const& {
    return detail::transform_error(self(), std::forward<Change>(change));
  }

  template <class Change>
  Result transform_error(Change&& change) && {
    return detail::transform_error(std::move(self()), std::forward<Change>(change));
  }

private:
  friend Result;
  chained_result() = default;

  [[nodiscard]] Result& self() {
    return static_cast<Result&>(*this);
  }

  [[nodiscard]] const Result& self() const {
    return static_cast<const Result&>(*this);
  }
};

} // namespace detail

/// A value, or the problem that prevented it: what our calls return. Has the interface of
/// std::expected<T, problem> (C++23, [expected.object]), except that an rvalue result returns its
/// value by value.
template <class T>
class [[nodiscard]] result : public detail::chained_result<result<T>> {
public:
  using value_type = T;
  using error_type = problem;

  result(T value) : content_(std::in_place_index<0>, std::move(value)) {}

  /// From anything that converts to a T, as a string literal does to std::string.
  template <std::convertible_to<T> Value>
  requires(
    std::is_class_v<
      T> && !std::same_as<std::remove_cvref_t<Value>, T> && !std::same_as<std::remove_cvref_t<Value>, problem> && !std::same_as<std::remove_cvref_t<Value>, result>)
    result(Value&& value)
    : content_(std::in_place_index<0>, std::forward<Value>(value)) {}

  /// @pre `why.code` is not errc::none.
  result(problem why) : content_(std::in_place_index<1>, std::move(why)) {
    assert(std::get_if<1>(&content_)->code != errc::none);
  }

  [[nodiscard]] bool has_value() const noexcept {
    return content_.index() == 0;
  }

  explicit operator bool() const noexcept {
    return has_value();
  }

  /// @pre has_value()
  [[nodiscard]] T& operator*() & {
    assert(has_value());
    return *std::get_if<0>(&content_);
  }

  [[nodiscard]] const T& operator*() const& {
    assert(has_value());
    return *std::get_if<0>(&content_);
  }

  /// By value, so that a loop over the result of a call is safe: `for (auto& each :
  /// run.tasks().value())`.
  [[nodiscard]] T operator*() && {
    assert(has_value());
    return std::move(*std::get_if<0>(&content_));
  }

  /// @pre has_value()
  [[nodiscard]] T* operator->() {
    return &**this;
  }

  [[nodiscard]] const T* operator->() const {
    return &**this;
  }

  /// The value. Throws bad_result_access with the problem if there is none. May be a statement of
  /// its own, only to throw.
  T& value() & {
    demand();
    return **this;
  }

  const T& value() const& {
    demand();
    return **this;
  }

  T value() && {
    demand();
    return *std::move(*this);
  }

  /// The value, or `other`.
  template <class Other = T>
  [[nodiscard]] T value_or(Other&& other) const& {
    return has_value() ? **this : static_cast<T>(std::forward<Other>(other));
  }

  template <class Other = T>
  [[nodiscard]] T value_or(Other&& other) && {
    return has_value() ? *std::move(*this) : static_cast<T>(std::forward<Other>(other));
  }

  /// @pre !has_value()
  [[nodiscard]] const problem& error() const& {
    assert(!has_value());
    return *std::get_if<1>(&content_);
  }

  [[nodiscard]] problem error() && {
    assert(!has_value());
    return std::move(*std::get_if<1>(&content_));
  }

  /// The problem, or `other` if there is a value.
  [[nodiscard]] problem error_or(problem other = {}) const {
    if (has_value())
      return other;
    return error();
  }

  friend bool operator==(const result& left,
                         const result& right) requires std::equality_comparable<T> {
    return left.content_ == right.content_;
  }

private:
  void demand() const {
    if (!has_value())
      throw bad_result_access{error()};
  }

  std::variant<T, problem> content_;
};

/// Success, or the problem that prevented it.
template <>
class [[nodiscard]] result<void> : public detail::chained_result<result<void>> {
public:
  using value_type = void;
  using error_type = problem;

  /// Success.
  result() = default;

  /// Success if `why.code` is errc::none.
  result(problem why) : why_(std::move(why)) {}

  [[nodiscard]] bool has_value() const noexcept {
    return !why_;
  }

  explicit operator bool() const noexcept {
    return has_value();
  }

  void operator*() const {
    assert(has_value());
  }

  /// Throws bad_result_access with the problem if there is one.
  void value() const {
    if (!has_value())
      throw bad_result_access{why_};
  }

  /// @pre !has_value()
  [[nodiscard]] const problem& error() const& {
    assert(!has_value());
    return why_;
  }

  [[nodiscard]] problem error() && {
    assert(!has_value());
    return std::move(why_);
  }

  /// The problem, or `other` if there is a value.
  [[nodiscard]] problem error_or(problem other = {}) const {
    if (has_value())
      return other;
    return error();
  }

  friend bool operator==(const result& left, const result& right) {
    return left.why_ == right.why_;
  }

private:
  problem why_;
};

} // namespace troupe
