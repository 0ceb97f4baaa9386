#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/registry/record_set.hpp"
#include "troupe/registry/record_table.hpp"

namespace troupe::cluster {

/// Says what the records of this node are: their head, which the node signs with what it says of
/// itself. Part of `record_exchange`.
///
/// - A change is said at once, then at most each restate_every, and when somebody begins to know
///   this node. One head at a time is being signed.
/// - Others get the records as they were said last, and not what has changed since: it keeps those.
///
/// Steps like any machine. Not thread-safe. Cost of a step: O(n) in the records of this node where
/// a head is made, else O(1).
class own_head {
public:
  // -- events ----------------------------------------------------------------------------

  /// The table has other records of this node than before, and this is the version of the last.
  struct changed {
    boot_number boot = 0;
    std::uint64_t version = 0;
  };

  /// Somebody begins to know this node: what has changed is said now.
  struct hurry {};

  /// The answer to the last `restate`; also what the node says for other reasons.
  struct spoke {
    signed_statement what;
  };

  using event = std::variant<changed, hurry, spoke>;

  // -- effects ---------------------------------------------------------------------------

  /// Say that of the records of this node, and step `spoke` when that is signed.
  struct restate {
    registry::records_head what;
  };

  using effect = std::variant<restate>;
  using effects = std::vector<effect>;

  /// @pre `table` outlives this
  own_head(const node_id& self, duration restate_every, const registry::record_table& table)
    : self_(self), restate_every_(restate_every), table_(table) {}

  own_head(const own_head&) = delete;
  own_head& operator=(const own_head&) = delete;

  /// @pre `now` never goes backwards.
  void step(time_point now, request_id, event what, effects& out) {
    troupe::visit([&](auto& each) { handle(now, each, out); }, what);
  }

  void tick(time_point now, effects& out) {
    if (restate_at_ && *restate_at_ <= now)
      speak(now, out);
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return restate_at_;
  }

  // -- what it has said ------------------------------------------------------------------

  /// What it has said last; null: nothing, in this life.
  [[nodiscard]] const signed_statement* said() const {
    return said_ && said_->what.records.version > 0 ? &*said_ : nullptr;
  }

  /// The records then.
  [[nodiscard]] const registry::record_set& records() const {
    return records_;
  }

private:
  /// What is being signed.
  struct draft {
    registry::records_head head;
    registry::record_set records;
  };

  void handle(time_point now, const changed& what, effects& out) {
    if (what.boot != boot_) {
      boot_ = what.boot;
      being_said_.reset();
      said_.reset();
      records_ = {};
    }
    version_ = what.version;
    plan_to_speak(now, out);
  }

  void handle(time_point now, const hurry&, effects& out) {
    hurries_ = being_said_.has_value();
    if (restate_at_)
      speak(now, out);
  }

  void handle(time_point now, spoke& what, effects& out) {
    auto& said = what.what.what;
    auto is_said_again = said_ && said_->what.records == said.records;
    auto is_draft = being_said_ && being_said_->head == said.records;
    if (said.when.boot != boot_ || !(is_said_again || is_draft))
      return; // of another life, with its records or before there were any
    said_ = std::move(what.what);
    if (!is_draft)
      return;
    records_ = std::move(being_said_->records);
    being_said_.reset();
    if (said_->what.records.version != version_)
      plan_to_speak(now, out);
  }

  void plan_to_speak(time_point now, effects& out) {
    if (being_said_ || restate_at_)
      return;
    auto waits = said_at_ && !std::exchange(hurries_, false);
    restate_at_ = waits ? std::max(now, *said_at_ + restate_every_) : now;
    if (*restate_at_ <= now)
      speak(now, out);
  }

  void speak(time_point now, effects& out) {
    restate_at_.reset();
    said_at_ = now;
    registry::set_digest whole;
    table_.for_each_of(self_, [&](const auto&, const auto& each) { whole.add(each); });
    registry::records_head head{version_, whole.finish()};
    auto records = table_.records_of(self_, boot_).value_or(registry::record_set{});
    if (said_ && said_->what.records == head)
      return void(records_ = std::move(records));
    being_said_ = draft{head, std::move(records)};
    out.emplace_back(restate{head});
  }

  const node_id self_;
  const duration restate_every_;
  const registry::record_table& table_;

  boot_number boot_ = 0;
  std::uint64_t version_ = 0;
  std::optional<signed_statement> said_;
  registry::record_set records_;
  std::optional<draft> being_said_;
  std::optional<time_point> restate_at_;
  /// What has changed since the statement that is being made is said at once.
  bool hurries_ = false;
  std::optional<time_point> said_at_;
};

} // namespace troupe::cluster
