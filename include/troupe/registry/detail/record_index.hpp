#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "troupe/core/time.hpp"
#include "troupe/registry/queries.hpp"
#include "troupe/registry/record.hpp"
#include "troupe/registry/record_set.hpp"

namespace troupe::registry::detail {

/// The derived state of a record.
struct appearance {
  record_status liveness = record_status::active;
  record_status status = record_status::active;
  bool healthy = true;

  friend bool operator==(const appearance&, const appearance&) = default;
};

/// One record of a table.
struct entry {
  std::shared_ptr<const record> is;
  /// Of `is`.
  records_digest digest{};
  /// Another record has a newer claim to its name.
  bool taken = false;
  std::uint32_t failures = 0;
  bool healthy = true;
  std::optional<time_point> chance_at;
  std::optional<time_point> gone_since;
  /// What it says of its node, if it is about that and not removed.
  std::optional<record_status> word;
  /// The record as watchers and look-ups see it; null if it does not show.
  std::shared_ptr<const record> shown;
  appearance shows;
  /// It does not show only because its name is taken; watchers may know it.
  bool hidden = false;

  [[nodiscard]] const record_key& key() const {
    return is->key;
  }

  void become(const record& value) {
    is = std::make_shared<const record>(value);
    digest = digest_of(value);
  }
};

/// Orders pointers to entries by key, never by address.
struct by_key {
  using is_transparent = void;

  bool operator()(const auto& left, const auto& right) const {
    return left->key() < right->key();
  }

  bool operator()(const auto& left, const record_key& right) const {
    return left->key() < right;
  }

  bool operator()(const record_key& left, const auto& right) const {
    return left < right->key();
  }
};

using entry_set = std::set<entry*, by_key>;

/// Their addresses do not change, so indexes can point at them. The only copy of a key is that in
/// the record.
using entries = std::set<std::unique_ptr<entry>, by_key>;

/// Indexes visible records by capability, group and metadata, and counts them by state. Takes
/// about 100 bytes for each such tag of each record.
class record_index {
public:
  /// Adds `what` as it shows. Cost: O(log n) for each tag.
  void add(entry& what) {
    for_each_tag(what, [&](auto& index, const auto& tag) { index[tag].insert(&what); });
    count(what, 1);
  }

  /// Removes `what` as it was shown.
  void remove(entry& what) {
    for_each_tag(what, [&](auto& index, const auto& tag) {
      auto found = index.find(tag);
      found->second.erase(&what);
      if (found->second.empty())
        index.erase(found);
    });
    count(what, -1);
  }

  /// Updates the counts when the state of `what` changes and its content does not.
  void change(const entry& what, const appearance& shows) {
    count(what, -1);
    count(what.shown->key.kind, shows, 1);
  }

  /// Returns the smallest set that contains all matches of `question`; nothing if it asks for no
  /// capability, group or metadata.
  [[nodiscard]] std::optional<const entry_set*> narrowest(const find_records& question) const {
    std::optional<const entry_set*> best;
    auto look = [&](const auto& index, const auto& tag) {
      auto found = index.find(tag);
      auto& candidates = found != index.end() ? found->second : nobody_;
      if (!best || candidates.size() < (*best)->size())
        best = &candidates;
    };
    for (auto& each : question.capabilities)
      look(by_capability_, each);
    if (!question.group.empty())
      look(by_group_, question.group);
    for (auto& each : question.metadata)
      look(by_metadata_, each);
    return best;
  }

  void count_into(registry_counts& result, std::size_t max_capabilities) const {
    result.nodes = counts_of(record_kind::node);
    result.agents = counts_of(record_kind::agent);
    result.services = counts_of(record_kind::service);
    result.unhealthy = unhealthy_;
    for (auto& [name, holders] : by_capability_) {
      if (result.by_capability.size() >= max_capabilities)
        break;
      result.by_capability.emplace(name, static_cast<std::uint32_t>(holders.size()));
    }
  }

private:
  template <class Visit>
  void for_each_tag(const entry& what, Visit visit) {
    for (auto& each : what.shown->capabilities)
      visit(by_capability_, each);
    for (auto& each : what.shown->groups)
      visit(by_group_, each);
    for (auto& [name, text] : what.shown->metadata)
      visit(by_metadata_, std::pair{name, text});
  }

  void count(const entry& what, int by) {
    count(what.shown->key.kind, what.shows, by);
  }

  void count(record_kind kind, const appearance& shows, int by) {
    auto add = [by](std::uint32_t& number) { number = by > 0 ? number + 1 : number - 1; };
    add(counts_[static_cast<std::size_t>(kind)][static_cast<std::size_t>(shows.status)]);
    if (!shows.healthy)
      add(unhealthy_);
  }

  [[nodiscard]] status_counts counts_of(record_kind kind) const {
    auto& counts = counts_[static_cast<std::size_t>(kind)];
    return {counts[0], counts[1], counts[2], counts[3]};
  }

  std::map<std::string, entry_set> by_capability_;
  std::map<std::string, entry_set> by_group_;
  std::map<std::pair<std::string, std::string>, entry_set> by_metadata_;
  entry_set nobody_;
  std::array<std::array<std::uint32_t, record_status_names.size()>, record_kind_names.size()>
    counts_{};
  std::uint32_t unhealthy_ = 0;
};

} // namespace troupe::registry::detail
