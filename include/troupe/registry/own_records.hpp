#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/registry/queries.hpp"
#include "troupe/registry/record.hpp"

namespace troupe::registry {

/// Returns the boot for a starting node: its own count of starts, or one above the boot that a
/// registry knows if that is not lower (as after the disk was restored or replaced).
inline std::uint64_t boot_above(std::uint64_t own_count, const owner_view& heard) {
  return std::max({own_count, heard.boot + 1, std::uint64_t{1}});
}

/// The records that a node publishes about itself, its agents and its services. It assigns
/// their versions. Each change returns the record to put into registries; all() is for a
/// registry that has lost its state.
class own_records {
public:
  /// Limit of removals that no registry has confirmed. Beyond it the oldest is forgotten, and a
  /// registry that missed it shows the record until the next boot.
  static constexpr std::size_t max_removed = 10'000;

  own_records(std::string owner, std::uint64_t boot) : owner_(std::move(owner)), boot_(boot) {}

  [[nodiscard]] const std::string& owner() const {
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
    removed_.erase(value.key);
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
    return keep_removal({.key = found.key(),
                         .boot = boot_,
                         .version = ++last_version_,
                         .removed = true,
                         .token = found.mapped().token});
  }

  /// Some registry shows this record of the present boot. Returns its removal if this node does not
  /// have it, and has not removed it with a later version that is not confirmed yet.
  std::optional<record> take_back(const record& shown) {
    auto removal = removed_.find(shown.key);
    if (shown.key.owner != owner_ || shown.boot != boot_ || records_.contains(shown.key)
        || (removal != removed_.end() && removal->second.version > shown.version))
      return std::nullopt;
    last_version_ = std::max(last_version_, shown.version) + 1;
    return keep_removal({.key = shown.key,
                         .boot = boot_,
                         .version = last_version_,
                         .removed = true,
                         .token = shown.token});
  }

  /// A registry has merged all() up to `version`: drops removals up to that.
  void confirm(std::uint64_t version) {
    std::erase_if(removed_, [&](const auto& each) { return each.second.version <= version; });
  }

  /// Returns all records and the unconfirmed removals.
  [[nodiscard]] std::vector<record> all() const {
    std::vector<record> result;
    for (auto* book : {&records_, &removed_})
      for (auto& [key, each] : *book)
        result.push_back(each);
    return result;
  }

  /// The number of records that are not removed.
  [[nodiscard]] std::size_t size() const {
    return records_.size();
  }

  /// The version of the last change.
  [[nodiscard]] std::uint64_t version() const {
    return last_version_;
  }

  /// Takes a boot above `boot`, which a registry knows of this node. Then put all() again and
  /// claim the names again, because a new boot frees those of the last. Drops removals: a higher
  /// boot ends all earlier records.
  void rise_above(std::uint64_t boot) {
    if (boot < boot_)
      return;
    boot_ = boot + 1;
    removed_.clear();
    for (auto& [key, each] : records_)
      each.boot = boot_;
  }

  /// Whether by `heard` this boot is over or a later one exists. If not, a stale record was only
  /// late news.
  [[nodiscard]] bool is_outlived(const owner_view& heard) const {
    return heard.boot > boot_ || (heard.boot == boot_ && heard.over);
  }

private:
  record keep_removal(record gone) {
    if (removed_.size() >= max_removed)
      removed_.erase(std::ranges::min_element(
        removed_, {}, [](const auto& each) { return each.second.version; }));
    return removed_.insert_or_assign(gone.key, gone).first->second;
  }

  std::string owner_;
  std::uint64_t boot_;
  std::uint64_t last_version_ = 0;
  std::map<record_key, record> records_;
  std::map<record_key, record> removed_;
};

} // namespace troupe::registry
