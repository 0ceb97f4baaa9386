#pragma once

#include <compare>
#include <string>
#include <utility>
#include <variant>

#include "troupe/core/ids.hpp"
#include "troupe/core/inspection.hpp"
#include "troupe/core/problem.hpp"

namespace troupe {

/// Whose a name or a worker is that a service keeps: a node's, or that of a program that is no node
/// and has chosen a text for itself (see may_speak_for). All forms write the text. Empty: nobody's.
///
/// Nodes sort before texts: who shows owners in an order sorts them by something else.
class owner_id {
public:
  /// For the forms of core/inspection.hpp.
  static constexpr bool is_text = true;

  owner_id() = default;

  owner_id(const node_id& node) : who_(node) {}

  /// As it is written. A node's is what to_string() writes of its id, and no other text.
  explicit owner_id(std::string text) {
    if (auto node = node_id::from_string(text); node && to_string(*node) == text)
      who_ = *node;
    else
      who_ = std::move(text);
  }

  /// Null: it is no node.
  [[nodiscard]] const node_id* node() const {
    return std::get_if<node_id>(&who_);
  }

  /// What a program has chosen; null: it is a node.
  [[nodiscard]] const std::string* program() const {
    return std::get_if<std::string>(&who_);
  }

  [[nodiscard]] bool empty() const {
    return program() != nullptr && program()->empty();
  }

  /// As it is written.
  [[nodiscard]] std::string text() const {
    return program() != nullptr ? *program() : to_string(*node());
  }

  /// Reads what text() has given.
  [[nodiscard]] problem read_text(const std::string& text) {
    *this = owner_id{text};
    return {};
  }

  friend auto operator<=>(const owner_id&, const owner_id&) = default;

  friend std::string to_string(const owner_id& x) {
    return x.text();
  }

  template <class Inspector>
  friend bool inspect(Inspector& f, owner_id& x) {
    return inspect_text(f, x);
  }

private:
  std::variant<node_id, std::string> who_{std::in_place_type<std::string>};
};

/// As of the text of `owner`.
inline bool may_speak_for(const owner_id& owner, const std::string& node) {
  return may_speak_for(owner.text(), node);
}

} // namespace troupe
