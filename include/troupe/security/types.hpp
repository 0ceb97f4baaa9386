#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

/// What a certificate says of a node or a client.
namespace troupe::security {

class credentials; // include troupe/security/credentials.hpp

/// What a process proves itself with; null: nothing, its links are plain.
using credentials_ptr = std::shared_ptr<credentials>;

/// The role of a process: a member of the cluster, or a client that sends it requests. A client has
/// one link and is not a member.
enum class role : std::uint8_t { member = 0, client = 1 };

/// What a client may do; each includes those before it.
enum class rights : std::uint8_t { read = 0, use = 1, operate = 2 };

constexpr std::string_view name_of(role which) noexcept {
  return which == role::member ? "member" : "client";
}

constexpr std::string_view name_of(rights which) noexcept {
  switch (which) {
    case rights::read:
      return "read";
    case rights::use:
      return "use";
    case rights::operate:
      return "operate";
  }
  return "unknown";
}

/// Reads what name_of() returns.
constexpr std::optional<role> role_from(std::string_view text) noexcept {
  for (auto each : {role::member, role::client})
    if (text == name_of(each))
      return each;
  return std::nullopt;
}

constexpr std::optional<rights> rights_from(std::string_view text) noexcept {
  for (auto each : {rights::read, rights::use, rights::operate})
    if (text == name_of(each))
      return each;
  return std::nullopt;
}

/// From then on before its certificate ends, a node, and a command, says so.
inline constexpr duration ends_soon = std::chrono::hours{24 * 7};

/// Whom a certificate is for, and what its owner may be and do.
struct facts {
  /// The SHA-256 of the public key in the certificate.
  node_id node{};
  /// For people.
  std::string name{};
  role as = role::client;
  rights may = rights::read;
  wall_time valid_from{};
  wall_time valid_until{};
  /// Hex digits; no two certificates of one CA have the same.
  std::string serial{};

  friend bool operator==(const facts&, const facts&) = default;
};

/// What a token is for.
struct invitation_options {
  /// What whoever joins with it will be.
  role as = role::member;
  /// What a client may do.
  rights may = rights::use;
  /// For people. If empty, whoever joins chooses it.
  std::string name{};
  /// How long the token can be used, up to max_invitation.
  duration lasts = std::chrono::minutes{15};
};

inline constexpr duration max_invitation = std::chrono::hours{24 * 7};

} // namespace troupe::security
