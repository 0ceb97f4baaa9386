#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/record_bounds.hpp"
#include "troupe/registry/record_set.hpp"
#include "troupe/registry/record_table.hpp"

namespace troupe::cluster {

/// Records of other nodes that have come page by page and are not complete. Part of `record_pull`.
///
/// - What is staged of a node goes on from what the table has of it, or takes its place: then it is
///   `whole`, and what it lacks is removed.
/// - A page is taken if all its records may be of that node at that statement. Whether they are is
///   for the digest to say.
/// - What is staged of all nodes is bounded. Where there is no room, a member that has brought more
///   than half of it gives way to others; else what comes last does.
///
/// Not thread-safe. Cost: O(log n) for each record of a page; of digest_of and merge O(n) in the
/// records of the node.
class staged_records {
public:
  /// @pre `table` outlives this
  staged_records(registry::record_table& table, std::size_t max_bytes)
    : table_(table), max_bytes_(max_bytes) {}

  staged_records(const staged_records&) = delete;
  staged_records& operator=(const staged_records&) = delete;

  /// Takes a page that `by` has brought, which goes on where the one before has ended, or begins at
  /// zero and is whole. Errors: limit_reached (there is no room for it), bad_argument (they
  /// are not of that node at that statement). After one of them a part is staged: drop that.
  [[nodiscard]] problem add(const node_id& by, const statement& of, registry::record_page& page) {
    auto last = page.after;
    auto& so_far = stages_[of.node];
    so_far.is_of_several = so_far.is_of_several || (so_far.upto > 0 && so_far.by != by);
    so_far.by = by;
    so_far.is_whole = so_far.is_whole || page.after == 0;
    for (auto& one : page.records) {
      auto is_foreign = one.key.owner != of.node && planted_flaw != flaw::foreign_record_believed;
      if (is_foreign || one.boot != of.when.boot || one.version > of.records.version
          || one.version <= std::exchange(last, one.version))
        return {errc::bad_argument, "records that are not of that node, or not of that time"};
      if (auto why = registry::check(one))
        return {errc::bad_argument, why.detail};
      auto size = registry::transfer_size(one);
      if (bytes_ + size > max_bytes_ && !make_room(size, by))
        return {errc::limit_reached, "more records than fit at once"};
      if (auto old = so_far.records.find(one.key); old != so_far.records.end()) {
        auto less = registry::transfer_size(old->second);
        bytes_ -= less;
        so_far.bytes -= less;
      }
      bytes_ += size;
      so_far.bytes += size;
      so_far.records.insert_or_assign(one.key, std::move(one));
    }
    if (!page.is_last && page.upto != last)
      return {errc::bad_argument, "pages with gaps"};
    so_far.upto = page.is_last ? of.records.version : page.upto;
    return {};
  }

  /// From here on nothing is staged of that node, which takes the place of what the table has.
  void begin_whole(const node_id& node) {
    drop(node);
    stages_[node].is_whole = true;
  }

  void drop(const node_id& node) {
    if (auto found = stages_.find(node); found != stages_.end()) {
      bytes_ -= found->second.bytes;
      stages_.erase(found);
    }
  }

  /// Up to which version the records have come; zero: none have.
  [[nodiscard]] std::uint64_t upto(const node_id& node) const {
    auto* found = find(node);
    return found != nullptr ? found->upto : 0;
  }

  [[nodiscard]] bool is_whole(const node_id& node) const {
    auto* found = find(node);
    return found != nullptr && found->is_whole;
  }

  /// Whether not one member has brought all of it: then none of them need have told anything wrong
  /// where it does not fit together.
  [[nodiscard]] bool is_of_several(const node_id& node) const {
    auto* found = find(node);
    return found != nullptr && found->is_of_several;
  }

  /// Of the records that the table has of that node, with what is staged merged.
  [[nodiscard]] registry::records_digest digest_of(const node_id& node) const {
    std::map<registry::record_key, registry::records_digest> all;
    auto* so_far = find(node);
    if (so_far == nullptr || !so_far->is_whole)
      table_.for_each_of(
        node, [&](const registry::record& one, const auto& what) { all[one.key] = what; });
    if (so_far != nullptr) {
      for (auto& [key, one] : so_far->records)
        if (one.removed)
          all.erase(key);
        else
          all[key] = registry::digest_of(one);
    }
    registry::set_digest whole;
    for (auto& [key, what] : all)
      whole.add(what);
    return whole.finish();
  }

  /// Of the records that the table has of that node.
  [[nodiscard]] registry::records_digest digest_in_table(const node_id& node) const {
    registry::set_digest whole;
    table_.for_each_of(node, [&](const auto&, const auto& what) { whole.add(what); });
    return whole.finish();
  }

  /// Puts what is staged of that life of the node into the table. If the table refuses a part of
  /// it, returns why; what the table has room for stays, the node itself first.
  problem merge(time_point now, const node_id& node, boot_number boot) {
    for (auto& batch : batches_of(node, boot)) {
      registry::record_table::event whole{std::move(batch)};
      if (!put(now, whole))
        continue;
      for (auto& one : std::get<registry::put_records>(whole).records)
        if (auto why = put(now, registry::put_records{{std::move(one)}}))
          return why;
    }
    return {};
  }

  /// The same, in place of all that the table has of the node.
  /// @pre what is staged is whole
  problem replace(time_point now, const node_id& node, boot_number boot) {
    registry::effects none;
    table_.step(now, 1, registry::forget{node, boot}, none);
    return merge(now, node, boot);
  }

  /// Nodes of which something is staged.
  [[nodiscard]] std::size_t size() const {
    return stages_.size();
  }

  [[nodiscard]] bool contains(const node_id& node) const {
    return stages_.contains(node);
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n) in the nodes.
  [[nodiscard]] std::vector<std::string> flaws() const {
    std::vector<std::string> found;
    std::size_t bytes = 0;
    for (auto& [node, each] : stages_)
      bytes += each.bytes;
    if (bytes != bytes_)
      found.emplace_back("staged records are miscounted");
    if (bytes_ > max_bytes_)
      found.emplace_back("more is staged than allowed");
    return found;
  }

private:
  struct stage {
    /// Who has brought the last page.
    node_id by{};
    bool is_of_several = false;
    bool is_whole = false;
    std::uint64_t upto = 0;
    std::map<registry::record_key, registry::record> records;
    std::size_t bytes = 0;
  };

  [[nodiscard]] const stage* find(const node_id& node) const {
    auto found = stages_.find(node);
    return found != stages_.end() ? &found->second : nullptr;
  }

  /// Returns why the table refuses it.
  problem put(time_point now, const registry::record_table::event& what) {
    registry::effects made;
    table_.step(now, 1, what, made);
    for (auto& each : made)
      if (auto* no = std::get_if<refused>(&each))
        return no->why;
    return {};
  }

  /// Returns whether there is room for so many bytes that `by` brings.
  bool make_room(std::size_t size, const node_id& by) {
    while (bytes_ + size > max_bytes_) {
      std::map<node_id, std::size_t> brought;
      for (auto& [node, each] : stages_)
        brought[each.by] += each.bytes;
      auto most = std::ranges::max_element(brought, {}, [](auto& each) { return each.second; });
      if (most->first == by || most->second <= max_bytes_ / 2)
        return false;
      auto largest = std::ranges::max_element(stages_, {}, [&](auto& each) {
        return each.second.by == most->first ? each.second.bytes : 0;
      });
      drop(node_id{largest->first});
    }
    return true;
  }

  /// What the node no longer says is taken for removed.
  [[nodiscard]] std::vector<registry::put_records> batches_of(const node_id& node,
                                                              boot_number boot) const {
    constexpr std::size_t at_once = 500;
    std::vector<registry::put_records> batches(1);
    auto add = [&](registry::record one) {
      if (batches.back().records.size() == at_once)
        batches.emplace_back();
      batches.back().records.push_back(std::move(one));
    };
    auto& so_far = stages_.at(node);
    if (so_far.is_whole)
      table_.for_each_of(node, [&](const registry::record& one, const auto&) {
        auto ends_anyway = one.boot < boot && !so_far.records.empty();
        if (!ends_anyway && !so_far.records.contains(one.key))
          add({.key = one.key,
               .boot = one.boot,
               .version = one.version,
               .removed = true,
               .token = one.token});
      });
    for (auto& [key, one] : so_far.records)
      add(one);
    return batches;
  }

  registry::record_table& table_;
  const std::size_t max_bytes_;
  std::map<node_id, stage> stages_;
  std::size_t bytes_ = 0;
};

} // namespace troupe::cluster
