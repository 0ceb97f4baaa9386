#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "troupe/core/ids.hpp"
#include "troupe/registry/record.hpp"

namespace troupe::registry {

/// The records that a node publishes about itself, its agents and its services. It assigns
/// their versions. Each change returns the record to put into the table of the node.
class own_records {
public:
  own_records(const node_id& owner, std::uint64_t boot) : owner_(owner), boot_(boot) {}

  [[nodiscard]] const node_id& owner() const {
    return owner_;
  }

  [[nodiscard]] std::uint64_t boot() const {
    return boot_;
  }

  /// Adds `value`, or replaces the record of its kind and name. Fills in owner, boot and
  /// version.
  record put(record value) {
    value.key.owner = owner_;
    value.boot = boot_;
    value.version = ++last_version_;
    value.removed = false;
    return records_.insert_or_assign(value.key, value).first->second;
  }

  /// Returns the record of `name`, to be changed and put again; nothing if there is none.
  [[nodiscard]] std::optional<record> find(record_kind kind, const std::string& name) const {
    auto found = records_.find({kind, name, owner_});
    return found != records_.end() ? std::optional{found->second} : std::nullopt;
  }

  /// Removes the record of `name`. Returns the removal; nothing if there was no record.
  std::optional<record> remove(record_kind kind, const std::string& name) {
    auto found = records_.extract({kind, name, owner_});
    if (found.empty())
      return std::nullopt;
    return record{.key = found.key(),
                  .boot = boot_,
                  .version = ++last_version_,
                  .removed = true,
                  .token = found.mapped().token};
  }

  [[nodiscard]] std::vector<record> all() const {
    std::vector<record> result;
    result.reserve(records_.size());
    for (auto& [key, each] : records_)
      result.push_back(each);
    return result;
  }

  /// Whether `condition` holds for one of all().
  template <class Condition>
  [[nodiscard]] bool any_of(Condition condition) const {
    return std::ranges::any_of(records_, [&](auto& each) { return condition(each.second); });
  }

  [[nodiscard]] std::size_t size() const {
    return records_.size();
  }

  /// The version of the last change.
  [[nodiscard]] std::uint64_t version() const {
    return last_version_;
  }

  /// Takes a boot above `boot`, which others know of this node. Then put all() again and claim the
  /// names again, because a new boot ends what was said in those before.
  void rise_above(std::uint64_t boot) {
    if (boot < boot_)
      return;
    boot_ = boot + 1;
    for (auto& [key, each] : records_)
      each.boot = boot_;
  }

private:
  node_id owner_;
  std::uint64_t boot_;
  std::uint64_t last_version_ = 0;
  std::map<record_key, record> records_;
};

} // namespace troupe::registry
