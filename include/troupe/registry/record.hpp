#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "troupe/core/as_text.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

/// Records of nodes, their agents and their services. No CAF here; messages.hpp gives the
/// wire types their IDs.
namespace troupe::registry {

// -- names -------------------------------------------------------------------------

/// The numbers go over the wire: append at the end.
enum class record_kind : std::uint8_t { node = 0, agent = 1, service = 2 };

inline constexpr std::array<std::string_view, 3> record_kind_names{"node", "agent", "service"};

constexpr std::string_view name_of(record_kind kind) noexcept {
  auto index = static_cast<std::size_t>(kind);
  return index < record_kind_names.size() ? record_kind_names[index] : "unknown";
}

/// From best to worst. A record itself is active, in maintenance (set by hand: it takes no new
/// work) or inactive. Only membership makes one disconnected.
enum class record_status : std::uint8_t {
  active = 0,
  maintenance = 1,
  /// By its own word. No part of troupe says this of itself. It keeps its number, because nodes of
  /// other versions send `disconnected` as 3, and its count in `troupe status --json`.
  inactive = 2,
  /// Its node is dead by the members, or has stopped and is not back.
  disconnected = 3,
};

inline constexpr std::array<std::string_view, 4> record_status_names{"active", "maintenance",
                                                                     "inactive", "disconnected"};

constexpr std::string_view name_of(record_status status) noexcept {
  auto index = static_cast<std::size_t>(status);
  return index < record_status_names.size() ? record_status_names[index] : "unknown";
}

constexpr record_status worse(record_status left, record_status right) {
  return std::max(left, right);
}

/// Identifies one record. `owner` is the id of the node that publishes it, and is written as text.
/// Only a claimed agent name is unique in the cluster; a service has one record for each node.
struct record_key {
  record_kind kind = record_kind::agent;
  std::string name{};
  node_id owner{};

  friend auto operator<=>(const record_key&, const record_key&) = default;

  template <class Inspector>
  friend bool inspect(Inspector& f, record_key& x) {
    as_text written{x.owner};
    return f.object(x).fields(f.field("kind", x.kind), f.field("name", x.name),
                              f.field("owner", written));
  }
};

/// Returns `key` in readable form: "agent echo of 5f…", with the whole id.
inline std::string to_text(const record_key& key) {
  return std::string{name_of(key.kind)} + ' ' + key.name + " of " + to_string(key.owner);
}

// -- records -----------------------------------------------------------------------

/// An address to connect to. The host is a name or an IPv4 or IPv6 address.
struct endpoint {
  std::string host{};
  std::uint16_t port = 0;

  friend auto operator<=>(const endpoint&, const endpoint&) = default;

  TROUPE_FIELDS(endpoint, host, port);
};

/// Resources that a node has or that work needs. 1,000 `cpu_millis` are one core.
struct resources {
  std::uint64_t cpu_millis = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t gpus = 0;

  friend auto operator<=>(const resources&, const resources&) = default;

  TROUPE_FIELDS(resources, cpu_millis, memory_bytes, gpus);
};

/// What a node publishes about itself, an agent or a service. Only its owner changes it, each
/// time with a higher version; a removal is a record, too. Of two records with one key the
/// greater one wins, compared by boot, version, then the other fields, so that all tables agree
/// even if two nodes use one id.
struct record {
  record_key key{};
  /// Start count of the owner, kept by itself. A higher boot ends all records of lower ones.
  std::uint64_t boot = 0;
  /// Counts the changes of all records of one owner, from one.
  std::uint64_t version = 0;
  /// The owner removed it.
  bool removed = false;
  record_status status = record_status::active;
  /// Token of the claim to the name; zero for a name that needs no claim.
  std::uint64_t token = 0;
  /// The first one is advertised.
  std::vector<endpoint> endpoints{};
  std::set<std::string> capabilities{};
  std::set<std::string> groups{};
  std::map<std::string, std::string> metadata{};
  resources offers{};
  /// Current load at the last update of the record, in the owner's own unit.
  std::uint32_t load = 0;
  /// When it was registered, by the owner's wall clock.
  wall_time registered{};

  friend auto operator<=>(const record&, const record&) = default;

  TROUPE_FIELDS(record, key, boot, version, removed, status, token, endpoints, capabilities, groups,
                metadata, offers, load, registered);
};

/// Returns the bytes of its texts, which bound its size.
inline std::size_t size_of(const record& value) {
  auto sum = value.key.name.size() + 2 * node_id::size; // the owner is written in hex digits
  for (auto& each : value.endpoints)
    sum += each.host.size() + sizeof(each.port);
  for (auto& each : value.capabilities)
    sum += each.size();
  for (auto& each : value.groups)
    sum += each.size();
  for (auto& [name, text] : value.metadata)
    sum += name.size() + text.size();
  return sum;
}

} // namespace troupe::registry
