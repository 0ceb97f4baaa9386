#pragma once

#include <algorithm>
#include <charconv>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "troupe/core/fields.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/utf8.hpp"

namespace troupe {

/// A release: a patch fixes, a minor adds, a major breaks compatibility. While the major is zero, a
/// minor may break it, too. Source: semver.org 2.0.0, without pre-releases.
struct release_version {
  std::uint16_t major_number = 0;
  std::uint16_t minor_number = 0;
  std::uint16_t patch_number = 0;

  friend auto operator<=>(const release_version&, const release_version&) = default;

  friend std::string to_string(const release_version& x) {
    return std::to_string(x.major_number) + "." + std::to_string(x.minor_number) + "."
           + std::to_string(x.patch_number);
  }

  /// Reads "0.1.0".
  static result<release_version> from_string(std::string_view text);
};

/// This release of troupe.
inline constexpr release_version library_version{0, 1, 0};

/// The range of protocol versions of the messages between nodes, exchanged in the greeting. A node
/// reads and writes all versions from the oldest to the newest, so that releases N - 1 and N can
/// share a cluster.
struct wire_range {
  std::uint16_t oldest = 0;
  std::uint16_t newest = 0;

  friend bool operator==(const wire_range&, const wire_range&) = default;

  TROUPE_FIELDS(wire_range, oldest, newest);
};

/// The protocol versions of this release.
inline constexpr wire_range wire_versions{1, 1};

/// Returns the newest version that both sides speak, nothing if there is none.
constexpr std::optional<std::uint16_t> common_wire(wire_range mine, wire_range theirs) {
  auto newest = std::min(mine.newest, theirs.newest);
  if (newest < std::max(mine.oldest, theirs.oldest))
    return std::nullopt;
  return newest;
}

// -- reading --------------------------------------------------------------------------

inline result<release_version> release_version::from_string(std::string_view text) {
  release_version read;
  auto rest = text;
  auto number = [&](std::uint16_t& into) {
    auto [end, fault] = std::from_chars(rest.data(), rest.data() + rest.size(), into);
    auto length = static_cast<std::size_t>(end - rest.data());
    auto padded = length > 1 && rest.front() == '0'; // 1.02 would be another text for 1.2
    rest.remove_prefix(length);
    return fault == std::errc{} && !padded;
  };
  auto dot = [&] {
    auto found = rest.starts_with('.');
    rest.remove_prefix(found ? 1 : 0);
    return found;
  };
  if (number(read.major_number) && dot() && number(read.minor_number) && dot()
      && number(read.patch_number) && rest.empty())
    return read;
  return problem{
    errc::bad_argument,
    "a version is three numbers up to 65535, as in " + to_string(library_version)
      + (is_utf8(text) ? "; found \"" + std::string{utf8_prefix(text, 40)} + "\"" : "")};
}

template <class Inspector>
bool inspect(Inspector& f, release_version& x) {
  return f.object(x).fields(f.field("major", x.major_number), f.field("minor", x.minor_number),
                            f.field("patch", x.patch_number));
}

} // namespace troupe
