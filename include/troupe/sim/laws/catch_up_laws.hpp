#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/node_core.hpp"
#include "troupe/core/time.hpp"

namespace troupe::sim {

/// Checks that a node says once that all is here that others knew, and not before it has compared
/// what it knows with another member: unless it leads a group of which no other node is, or has led
/// for `within`.
class catch_up_laws {
public:
  using machine = cluster::node_core;

  explicit catch_up_laws(duration within) : within_(within) {}

  /// Call with each event, before the node is stepped.
  void hears(time_point now, const machine::event& what) {
    if (std::holds_alternative<machine::compared>(what))
      has_compared_ = true;
    if (std::holds_alternative<machine::follow>(what))
      leads_since_.reset();
    if (auto* led = std::get_if<machine::lead>(&what)) {
      leads_since_ = leads_since_.value_or(now);
      was_alone_ = was_alone_ || led->is_alone;
    }
  }

  /// Call with each effect.
  void does(time_point now, const machine::effect& what) {
    if (!std::holds_alternative<machine::caught_up>(what))
      return;
    if (std::exchange(is_over_, true))
      violations_.push_back("says twice that it knows all");
    auto has_waited = leads_since_ && now - *leads_since_ >= within_;
    if (!has_compared_ && !was_alone_ && !has_waited)
      violations_.push_back("says that it knows all, and has compared that with nobody");
  }

  std::vector<std::string> take_violations() {
    return std::exchange(violations_, {});
  }

private:
  const duration within_;
  bool has_compared_ = false;
  bool was_alone_ = false;
  bool is_over_ = false;
  std::optional<time_point> leads_since_;
  std::vector<std::string> violations_;
};

} // namespace troupe::sim
