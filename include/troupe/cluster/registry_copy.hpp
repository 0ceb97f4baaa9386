#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>

#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/follow.hpp"
#include "troupe/registry/record_table.hpp"
#include "troupe/registry/types.hpp"

namespace troupe::cluster {

/// What the registry of the cluster has told this node last, which stays while there is none. A
/// snapshot takes the place of what was known once its last page has come. Machine. Memory: that
/// of the registry's records.
class registry_copy {
public:
  /// `bounds` as the registry itself has them.
  explicit registry_copy(const registry::registry_options& bounds)
    : bounds_(registry::registry_options::copy(bounds)) {
    shown_ = begin({}, 0);
  }

  /// Takes in an answer to watch_records. Returns the first refusal: limit_reached where the
  /// bounds are below the registry's.
  /// @pre `now` never goes backwards.
  problem take(time_point now, const registry::record_changes& news) {
    if (news.complete)
      coming_ = begin(now, news.revision);
    auto& table = coming_ ? *coming_ : shown_;
    problem found;
    registry::effects out;
    for (auto& each : registry::to_events(news)) {
      if (auto* lost = std::get_if<registry::verdict>(&each))
        lost->for_long = lost_for(now, lost->owner, lost->boot);
      table.step(now, 0, each, out);
    }
    for (auto& each : out)
      if (auto* refusal = std::get_if<refused>(&each); refusal != nullptr && is_new(*refusal))
        found = !found ? refusal->why : found;
    if (coming_ && !news.rest)
      shown_ = *std::exchange(coming_, std::nullopt);
    return found;
  }

  /// For how long this node knows that boot of a node to be disconnected, whichever registry has
  /// said so first; zero if it is not.
  [[nodiscard]] duration lost_for(time_point now, const std::string& owner,
                                  boot_number boot) const {
    auto since = shown_.disconnected_since(owner, boot);
    return since ? now - *since : duration::zero();
  }

  [[nodiscard]] const registry::record_table& table() const {
    return shown_;
  }

  /// Calls `use(const registry::record_view&)` for each record, whatever its status.
  template <class Use>
  void for_each(Use use) const {
    registry::find_records question;
    question.statuses = registry::all_statuses();
    question.unhealthy_too = true;
    question.limit = 1'000;
    for (auto more = true; more;) {
      auto page = shown_.answer(question);
      for (auto& each : page.records)
        use(each);
      more = page.more && !page.records.empty();
      if (more)
        question.after = page.records.back().value.key;
    }
  }

private:
  [[nodiscard]] registry::record_table begin(time_point now, std::uint64_t floor) const {
    registry::record_table made;
    registry::effects none;
    made.step(now, 0, registry::configure{bounds_, floor}, none);
    return made;
  }

  /// A verdict on a record that was refused is refused, too.
  static bool is_new(const refused& what) {
    return what.why.code != errc::not_found;
  }

  registry::registry_options bounds_;
  registry::record_table shown_;
  /// A snapshot whose pages are still coming.
  std::optional<registry::record_table> coming_;
};

} // namespace troupe::cluster
