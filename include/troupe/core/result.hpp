#pragma once

#include <cassert>
#include <utility>
#include <variant>

#include "troupe/core/problem.hpp"

namespace troupe {

/// A value, or the problem that kept it from being made. What our calls without
/// CAF return; caf::expected with to_error() is its form inside actors.
template <class T>
class [[nodiscard]] result {
public:
  using value_type = T;

  result(T value) : content_(std::in_place_index<0>, std::move(value)) {}

  result(problem why) : content_(std::in_place_index<1>, std::move(why)) {
    assert(error().code != errc::none);
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

  [[nodiscard]] T&& operator*() && {
    assert(has_value());
    return std::move(*std::get_if<0>(&content_));
  }

  [[nodiscard]] T* operator->() {
    return &**this;
  }

  [[nodiscard]] const T* operator->() const {
    return &**this;
  }

  /// @pre !has_value()
  [[nodiscard]] const problem& error() const {
    assert(!has_value());
    return *std::get_if<1>(&content_);
  }

private:
  std::variant<T, problem> content_;
};

} // namespace troupe
