#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <iosfwd>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "troupe/core/names.hpp"
#include "troupe/core/problem.hpp"

namespace troupe {

/// The id of an agent: the name by which others find it and send it messages. Made of any text, so
/// that callers write `to_agent("echo")`, and back only by text(), so that an id cannot stand where
/// a capability or the name of a node is meant. Empty: no agent.
///
/// It may hold what is not valid, as texts come from users and from other nodes: whoever registers
/// an agent asks check(). All forms write the text. Costs what a std::string costs.
class agent_id {
public:
  /// For the forms of core/inspection.hpp.
  static constexpr bool is_text = true;

  agent_id() = default;

  template <class Text>
  requires(
    !std::same_as<std::remove_cvref_t<Text>, agent_id> && std::convertible_to<Text, std::string>)
    agent_id(Text&& text) // not explicit: see above
    : text_(std::forward<Text>(text)) {}

  agent_id(std::nullptr_t) = delete; // as of a std::string in C++23

  explicit agent_id(std::string_view text) : text_(text) {}

  [[nodiscard]] const std::string& text() const& {
    return text_;
  }

  [[nodiscard]] std::string text() && {
    return std::move(text_);
  }

  [[nodiscard]] std::string text() const&& {
    return text_;
  }

  [[nodiscard]] bool empty() const {
    return text_.empty();
  }

  friend bool operator==(const agent_id&, const agent_id&) = default;
  friend auto operator<=>(const agent_id&, const agent_id&) = default;

  friend bool operator==(const agent_id&, std::nullptr_t) = delete;

  /// Compares with a text, without a copy of it.
  template <std::convertible_to<std::string_view> Text>
  friend bool operator==(const agent_id& left, const Text& right) {
    return std::string_view{left.text_} == std::string_view{right};
  }

  template <std::convertible_to<std::string_view> Text>
  friend std::strong_ordering operator<=>(const agent_id& left, const Text& right) {
    return std::string_view{left.text_} <=> std::string_view{right};
  }

  /// Prints the text.
  template <class Traits>
  friend std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& to,
                                                      const agent_id& id) {
    return to << id.text_;
  }

  template <class Inspector>
  friend bool inspect(Inspector& f, agent_id& x) {
    return f.apply(x.text_);
  }

private:
  std::string text_;
};

/// Returns why no agent can have this id, errc::none if one can: it is 1 to 255 bytes of UTF-8
/// without control characters.
inline problem check(const agent_id& id) {
  return is_name(id.text()) ? problem{} : bad_name("agent id", id.text());
}

} // namespace troupe
