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

#include "troupe/core/time.hpp"

/// What a registry knows: records of nodes, their agents and their services. No CAF
/// here; messages.hpp gives the wire types their IDs.
namespace troupe::registry {

// -- names -------------------------------------------------------------------------

/// Numbers go over the wire: append at the end.
enum class record_kind : std::uint8_t { node = 0, agent = 1, service = 2 };

inline constexpr std::array<std::string_view, 3> record_kind_names{"node", "agent", "service"};

constexpr std::string_view name_of(record_kind kind) noexcept {
  auto index = static_cast<std::size_t>(kind);
  return index < record_kind_names.size() ? record_kind_names[index] : "unknown";
}

/// In rising order of badness. A record says active, maintenance (set by hand: takes no
/// new work) or inactive; only time and membership make one disconnected.
enum class record_status : std::uint8_t {
  active = 0,
  maintenance = 1,
  /// Silent for a while (registry_options::inactive_after).
  inactive = 2,
  /// Silent for long, or its node cannot be reached.
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

/// Names one record. `owner` is the id of the node that says it; only agents with a
/// claimed name are the only ones of that name, services have one record per node.
struct record_key {
  record_kind kind = record_kind::agent;
  std::string name{};
  std::string owner{};

  friend auto operator<=>(const record_key&, const record_key&) = default;
};

/// Returns `key` for people: "agent echo of n1".
inline std::string to_text(const record_key& key) {
  return std::string{name_of(key.kind)} + ' ' + key.name + " of " + key.owner;
}

// -- records -----------------------------------------------------------------------

/// Where something listens. The host is a name or an IPv4 or IPv6 address.
struct endpoint {
  std::string host{};
  std::uint16_t port = 0;

  friend auto operator<=>(const endpoint&, const endpoint&) = default;
};

/// What a node has or some work needs. A thousand `cpu_millis` are one core.
struct resources {
  std::uint64_t cpu_millis = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t gpus = 0;

  friend auto operator<=>(const resources&, const resources&) = default;
};

/// What a node says of itself, of an agent or of a service. Only its owner changes it,
/// each time with a higher version; removal is a record, too. Of two records with one
/// key the greater is true, in the order of the fields: boot, version, then the
/// rest, so that all agree even on what two impostors say.
struct record {
  record_key key{};
  /// Starts of the owner, counted by itself. A higher one ends all of the last.
  std::uint64_t boot = 0;
  /// Counts the changes of all records of one owner, from one.
  std::uint64_t version = 0;
  /// The owner took it back.
  bool removed = false;
  record_status status = record_status::active;
  /// From the claim of the name; zero for a name that needs none.
  std::uint64_t token = 0;
  /// The first is the advertised one.
  std::vector<endpoint> endpoints{};
  std::set<std::string> capabilities{};
  std::set<std::string> groups{};
  std::map<std::string, std::string> metadata{};
  resources offers{};
  /// Work in hand when the owner last said so; in units of its own.
  std::uint32_t load = 0;
  /// By the owner's calendar.
  wall_time registered{};

  friend auto operator<=>(const record&, const record&) = default;
};

/// Returns the bytes of its texts, which bound what it costs.
inline std::size_t size_of(const record& value) {
  auto sum = value.key.name.size() + value.key.owner.size();
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

// -- inspection --------------------------------------------------------------------

template <class Inspector>
bool inspect(Inspector& f, record_key& x) {
  return f.object(x).fields(f.field("kind", x.kind), f.field("name", x.name),
                            f.field("owner", x.owner));
}

template <class Inspector>
bool inspect(Inspector& f, endpoint& x) {
  return f.object(x).fields(f.field("host", x.host), f.field("port", x.port));
}

template <class Inspector>
bool inspect(Inspector& f, resources& x) {
  return f.object(x).fields(f.field("cpu_millis", x.cpu_millis),
                            f.field("memory_bytes", x.memory_bytes), f.field("gpus", x.gpus));
}

template <class Inspector>
bool inspect(Inspector& f, record& x) {
  return f.object(x).fields(
    f.field("key", x.key), f.field("boot", x.boot), f.field("version", x.version),
    f.field("removed", x.removed), f.field("status", x.status), f.field("token", x.token),
    f.field("endpoints", x.endpoints), f.field("capabilities", x.capabilities),
    f.field("groups", x.groups), f.field("metadata", x.metadata), f.field("offers", x.offers),
    f.field("load", x.load), f.field("registered", x.registered));
}

} // namespace troupe::registry
