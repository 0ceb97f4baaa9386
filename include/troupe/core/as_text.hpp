#pragma once

#include <string>
#include <utility>

#include "troupe/core/inspection.hpp"
#include "troupe/core/problem.hpp"

namespace troupe {

/// Stands for a field whose type has a text form, such as an id, and writes it as that text in
/// every form, the binary ones too. The empty text is the default value:
///
///     template <class Inspector>
///     friend bool inspect(Inspector& f, ticket& x) {
///       as_text written{x.holder};
///       return f.object(x).fields(f.field("number", x.number), f.field("holder", written));
///     }
///
/// Other texts than those that are written are refused, so that equal values have equal bytes.
template <spelled_out T>
class as_text {
public:
  /// For the forms of core/inspection.hpp.
  static constexpr bool is_text = true;

  /// @pre `value` outlives this
  explicit as_text(T& value) : value_(value) {}

  [[nodiscard]] std::string text() const {
    return value_ == T{} ? std::string{} : to_string(value_);
  }

  /// Returns why there is no value with that text.
  [[nodiscard]] problem read_text(const std::string& text) {
    T made{};
    if (!text.empty()) {
      auto read = T::from_string(text);
      if (!read)
        return read.error();
      made = *std::move(read);
    }
    if (as_text{made}.text() != text)
      return {errc::bad_argument, "expected lower-case digits that are not all zero"};
    value_ = std::move(made);
    return {};
  }

  /// What it stands for.
  [[nodiscard]] T& value() {
    return value_;
  }

  template <class Inspector>
  friend bool inspect(Inspector& f, as_text& x) {
    return inspect_text(f, x);
  }

private:
  T& value_;
};

} // namespace troupe
