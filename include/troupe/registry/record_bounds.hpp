#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "troupe/core/ids.hpp"
#include "troupe/core/names.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/utf8.hpp"
#include "troupe/registry/agent_name.hpp"
#include "troupe/registry/record.hpp"

namespace troupe::registry {

/// The highest valid boot. Keeps a hostile node from using up the numbers.
inline constexpr std::uint64_t max_boot = std::uint64_t{1} << 62;

/// The highest valid token of a claim: services of names give one after the other, and begin by the
/// calendar in microseconds. Keeps a hostile node from having names that nobody could claim after
/// it.
inline constexpr std::uint64_t max_token = std::uint64_t{1} << 62;

namespace detail {

inline problem check_endpoints(const record& value) {
  if (value.endpoints.size() > max_tags)
    return {errc::limit_reached, std::to_string(value.endpoints.size())
                                   + " endpoints; give at most " + std::to_string(max_tags)};
  for (auto& each : value.endpoints)
    if (!is_name(each.host))
      return bad_name("host", each.host);
  return {};
}

inline problem check_metadata(const record& value) {
  if (value.metadata.size() > max_tags)
    return {errc::limit_reached, std::to_string(value.metadata.size())
                                   + " entries in metadata; give at most "
                                   + std::to_string(max_tags)};
  for (auto& [name, text] : value.metadata) {
    if (!is_name(name))
      return bad_name("a key of metadata", name);
    if (!is_utf8(text))
      return {errc::bad_argument, "metadata " + name + " is not UTF-8; encode it, e.g. as base64"};
  }
  return {};
}

/// An agent needs a claim to its name, or a name of the form name@node with its own node.
inline problem check_claim(const record& value) {
  auto& [kind, name, owner] = value.key;
  if (kind != record_kind::agent)
    return {};
  if (value.token != 0 && is_own_name(name))
    return {errc::bad_argument, "a name with '@' cannot be claimed; register it without a token"};
  if (value.token > max_token)
    return {errc::bad_argument,
            "token " + std::to_string(value.token) + " is of no service of names; claim the name"};
  if (value.token == 0 && !is_unclaimed_name(name, owner))
    return {errc::bad_argument,
            "it has no token; claim its name first, or give it a name like name@"
              + to_string(owner)};
  return {};
}

} // namespace detail

/// Returns why every registry refuses `value`, errc::none if it is valid. Does not check limits
/// that are options of a table. Cost: O(bytes).
inline problem check(const record& value) {
  if (name_of(value.key.kind) == "unknown")
    return {errc::bad_argument, "kind is " + std::to_string(static_cast<int>(value.key.kind))
                                  + "; give node, agent or service"};
  if (!is_name(value.key.name))
    return bad_name("name", value.key.name);
  if (value.key.owner == node_id{})
    return {errc::bad_argument, to_text(value.key) + " is of no node; give the id of its node"};
  if (value.boot == 0 || value.boot > max_boot || value.version == 0)
    return {errc::bad_argument, to_text(value.key) + " has boot " + std::to_string(value.boot)
                                  + " and version " + std::to_string(value.version)
                                  + "; both count from one"};
  if (value.status > record_status::inactive)
    return {errc::bad_argument, to_text(value.key) + " says it is "
                                  + std::string{name_of(value.status)}
                                  + "; give active, maintenance or inactive"};
  for (const auto& why :
       {detail::check_claim(value), detail::check_endpoints(value), detail::check_metadata(value),
        check_names("capabilities", value.capabilities), check_names("groups", value.groups)})
    if (why)
      return {why.code, to_text(value.key) + ": " + why.detail};
  return {};
}

} // namespace troupe::registry
