#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "troupe/core/ids.hpp"
#include "troupe/net/address.hpp"
#include "troupe/registry/queries.hpp"
#include "troupe/registry/record.hpp"

namespace troupe::cluster {

/// The nodes of a cluster as the registry shows them.
class known_nodes {
public:
  /// How many there are, and how many of them are not disconnected.
  struct presence {
    std::size_t there = 0;
    std::size_t all = 0;

    friend bool operator==(const presence&, const presence&) = default;
  };

  /// In the metadata of nodes without a data folder.
  static constexpr const char* fleeting_mark = "fleeting";
  /// In that of nodes whose replica of the group has ended while their process goes on.
  static constexpr const char* ended_mark = "replica_ended";

  /// Keeps at most `most`; further ones are not known.
  explicit known_nodes(std::size_t most = 100'000) : most_(most) {}

  /// @pre `what` is the record of this node.
  void put(const node_id& node, const registry::record_view& what) {
    auto& said = what.value;
    if (nodes_.size() >= most_ && !nodes_.contains(node))
      return;
    auto [place, is_new] = nodes_.try_emplace(node);
    auto& made = place->second;
    if (!is_new)
      there_ -= made.count();
    made = {said.key.name, std::nullopt, said.metadata.contains(fleeting_mark), what.liveness};
    there_ += made.count();
    if (!said.endpoints.empty())
      made.where = net::address{said.endpoints.front().host, said.endpoints.front().port};
  }

  void remove(const node_id& id) {
    if (auto gone = nodes_.extract(id))
      there_ -= gone.mapped().count();
  }

  /// Forgets the nodes for whose id `condition` holds.
  template <class Condition>
  void remove_if(Condition condition) {
    std::erase_if(nodes_, [&](auto& each) {
      auto goes = condition(each.first);
      if (goes)
        there_ -= each.second.count();
      return goes;
    });
  }

  [[nodiscard]] presence seen() const {
    return {there_, nodes_.size()};
  }

  /// Returns the id of the node with this id or name, if there is one; of several of that name one
  /// that is there, if any is. O(n).
  [[nodiscard]] std::optional<node_id> find(const std::string& called) const {
    if (auto id = node_id::from_string(called);
        id && nodes_.contains(*id) && to_string(*id) == called)
      return *id;
    auto best = nodes_.end();
    for (auto each = nodes_.begin(); each != nodes_.end(); ++each)
      if (each->second.name == called
          && (best == nodes_.end() || each->second.liveness < best->second.liveness))
        best = each;
    return best != nodes_.end() ? std::optional{best->first} : std::nullopt;
  }

  /// Returns where it takes links; nothing if it is not known, or says no address.
  [[nodiscard]] std::optional<net::address> address_of(const node_id& id) const {
    auto found = nodes_.find(id);
    return found != nodes_.end() ? found->second.where : std::nullopt;
  }

  /// Returns where the node takes links whose id begins with these digits; nothing if it is not
  /// known, or says no address.
  [[nodiscard]] std::optional<net::address> address_of_prefix(const std::string& digits) const {
    auto rest = 2 * node_id::size - std::min(2 * node_id::size, digits.size());
    auto first = node_id::from_string(digits + std::string(rest, '0'));
    if (!first)
      return std::nullopt;
    auto found = nodes_.lower_bound(*first);
    return found != nodes_.end() && to_string(found->first).starts_with(digits)
             ? found->second.where
             : std::nullopt;
  }

  /// Whether it is known to have no data folder: once it has ended, nobody comes back for what it
  /// had. It may have the same id again, see node_options::identity.
  [[nodiscard]] bool is_fleeting(const node_id& id) const {
    auto found = nodes_.find(id);
    return found != nodes_.end() && found->second.is_fleeting;
  }

  /// Returns a name for people: the first digits of its id where it has none.
  [[nodiscard]] std::string name_of(const node_id& id) const {
    auto found = nodes_.find(id);
    return found != nodes_.end() && !found->second.name.empty() ? found->second.name
                                                                : to_string(id).substr(0, 8);
  }

private:
  struct known {
    std::string name;
    std::optional<net::address> where;
    bool is_fleeting = false;
    registry::record_status liveness = registry::record_status::active;

    [[nodiscard]] std::size_t count() const {
      return liveness != registry::record_status::disconnected ? 1 : 0;
    }
  };

  std::size_t most_;
  std::map<node_id, known> nodes_;
  std::size_t there_ = 0;
};

} // namespace troupe::cluster
