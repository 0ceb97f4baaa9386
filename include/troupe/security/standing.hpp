#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "troupe/core/time.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/types.hpp"

namespace troupe::security {

/// Whether a peer whose certificate was checked at the beginning of its link is still to be
/// trusted.
struct standing {
  /// Why not; empty if it is.
  std::string refusal{};
  /// If it is: when to look again, at the latest.
  duration look_again{};
};

/// Calendars may be set, so the times of a certificate are looked at this often, at least.
inline constexpr duration longest_standing = std::chrono::minutes{1};

/// The standing of a peer with this certificate at `now`. `revocation`: why it is revoked, empty if
/// it is not, see enforced_revocations::refusal().
inline standing standing_of(const facts& who, std::string revocation, wall_time now) {
  if (!revocation.empty())
    return {std::move(revocation), {}};
  if (now > who.valid_until)
    return {"'" + who.name + "': " + check_times(who.valid_from, who.valid_until, now).detail, {}};
  duration left = who.valid_until - now + std::chrono::milliseconds{1};
  return {{}, std::min(left, longest_standing)};
}

} // namespace troupe::security
