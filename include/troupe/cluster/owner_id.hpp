#pragma once

#include <compare>
#include <string>
#include <utility>
#include <variant>

#include "troupe/core/ids.hpp"

namespace troupe::cluster {

/// Whose a name or a worker is that a service keeps: a node's, or that of a program that is no node
/// and has chosen a text for itself (see may_speak_for).
class owner_id {
public:
  owner_id() = default;

  owner_id(const node_id& node) : who_(node) {}

  /// As the service has it. A node's is what to_string() writes of its id, and no other text.
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

  friend auto operator<=>(const owner_id&, const owner_id&) = default;

  /// As the service has it.
  friend std::string to_string(const owner_id& x) {
    auto* text = std::get_if<std::string>(&x.who_);
    return text != nullptr ? *text : to_string(*x.node());
  }

private:
  std::variant<node_id, std::string> who_;
};

} // namespace troupe::cluster
