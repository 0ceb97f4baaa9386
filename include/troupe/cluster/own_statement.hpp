#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/registry/record_set.hpp"

namespace troupe::cluster {

/// What a node says of itself, and how it contradicts what others say: each time it has something
/// new to say, or is accused of what it said last, it says so with a later incarnation. Of itself
/// it believes nobody else. Not thread-safe.
class own_statement {
public:
  /// `self` in its present life.
  own_statement(const node_id& self, const incarnation& when) {
    next_.node = self;
    next_.when = when;
  }

  // -- what it has to say: to be signed, and then given to accept() ------------------------

  [[nodiscard]] statement begin(std::string address) {
    next_.address = std::move(address);
    return next_;
  }

  /// Returns no value if it is reached there already, or is_spent().
  [[nodiscard]] std::optional<statement> move_to(std::string address) {
    if (address == next_.address || is_spent())
      return std::nullopt;
    next_.address = std::move(address);
    return speak_again();
  }

  /// Returns no value if it has said so, says so when it begins, or is_spent().
  [[nodiscard]] std::optional<statement> hold(const registry::records_head& what) {
    if (what == next_.records || next_.leaves || is_spent())
      return std::nullopt;
    next_.records = what;
    return next_.address.empty() ? std::nullopt : std::optional{speak_again()};
  }

  /// Returns no value if it has said so.
  [[nodiscard]] std::optional<statement> leave() {
    if (std::exchange(next_.leaves, true))
      return std::nullopt;
    return next_;
  }

  /// Returns whether that is what it says now: else more has happened since.
  bool accept(signed_statement what) {
    if (what.what != next_)
      return false;
    said_ = std::move(what);
    return true;
  }

  // -- what others say of it ---------------------------------------------------------------

  /// What is odd about a statement that is said to be of this node; empty: nothing.
  [[nodiscard]] std::string_view judge(const told_itself& what) const {
    auto& said = what.what.what;
    auto is_before_leave = next_.leaves && said.when == next_.when;
    if (said == next_ || said.when < next_.when || !said_ || is_before_leave)
      return {};
    // Nobody else can have signed it. One who has the key, or an older disk.
    return said.when.boot > next_.when.boot
             ? "knows a later life of this node"
             : "knows another process with the identity of this node";
  }

  /// What is odd about an accusation; empty: nothing.
  [[nodiscard]] std::string_view judge(const accusation& what) const {
    if (next_.leaves || what.when < next_.when)
      return {};
    if (what.when > next_.when)
      return "accuses a life of this node that has not been";
    return is_spent() ? spent : std::string_view{};
  }

  /// Whether it has been dead to somebody in this life.
  [[nodiscard]] bool was_dead(const accusation& what) const {
    return what.is_dead && what.when.boot == next_.when.boot && !next_.leaves;
  }

  /// Returns what it says to that, if it is about what it has said last.
  [[nodiscard]] std::optional<statement> contradict(const accusation& what) {
    if (planted_flaw == flaw::no_refutation || next_.leaves)
      return std::nullopt;
    if (what.when != next_.when || is_being_signed() || is_spent())
      return std::nullopt;
    return speak_again();
  }

  /// Whether what it has said last contradicts that already.
  [[nodiscard]] bool has_contradicted(const accusation& what) const {
    return planted_flaw != flaw::no_refutation && said_ && what.when < said_->what.when;
  }

  // -- what it knows -----------------------------------------------------------------------

  [[nodiscard]] const node_id& node() const {
    return next_.node;
  }

  [[nodiscard]] bool leaves() const {
    return next_.leaves;
  }

  /// Whether this life has no further incarnation.
  [[nodiscard]] bool is_spent() const {
    return next_.when.refutation == std::numeric_limits<std::uint32_t>::max();
  }

  /// What to tell of a node that is_spent().
  static constexpr std::string_view spent
    = "has said all that it can in this life: start this node again, or it is taken for dead";

  /// What it has said last; nothing is signed yet: no value.
  [[nodiscard]] const std::optional<signed_statement>& said() const {
    return said_;
  }

private:
  statement speak_again() {
    ++next_.when.refutation;
    return next_;
  }

  [[nodiscard]] bool is_being_signed() const {
    return !said_ || said_->what != next_;
  }

  /// What it would say now.
  statement next_;
  std::optional<signed_statement> said_;
};

} // namespace troupe::cluster
