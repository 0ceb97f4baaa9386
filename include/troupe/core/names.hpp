#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "troupe/core/problem.hpp"
#include "troupe/core/utf8.hpp"

/// The rules for names of agents, nodes, capabilities and groups.
namespace troupe {

/// The longest name.
inline constexpr std::size_t max_name_bytes = 255;
/// How many capabilities one named thing may have at most; also groups, metadata and endpoints.
inline constexpr std::size_t max_tags = 64;

/// Returns whether `name` is 1 to 255 bytes of UTF-8 without control characters.
constexpr bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= max_name_bytes && is_utf8(name)
         && std::ranges::none_of(name, [](char each) {
              return static_cast<unsigned char>(each) < 0x20 || each == '\x7f';
            });
}

/// How many digits of the id of a node stand for it at least, where people name it.
inline constexpr std::size_t min_id_digits = 4;

/// Returns whether `called` is a beginning of `id` that stands for it; also the whole id.
constexpr bool begins_id(std::string_view called, std::string_view id) {
  return called.size() >= min_id_digits && id.starts_with(called);
}

/// Returns `name` for use in a sentence: as it is, or only its size if it is long or invalid.
inline std::string shortened(const std::string& name) {
  constexpr std::size_t most = 64;
  return name.size() <= most && is_name(name) ? name
                                              : "of " + std::to_string(name.size()) + " bytes";
}

/// Returns bad_argument for an invalid `name`; `field` says what it is the name of.
inline problem bad_name(const std::string& field, const std::string& name) {
  return {errc::bad_argument, field + " " + shortened(name) + " is not a valid name; give 1 to "
                                + std::to_string(max_name_bytes)
                                + " bytes of UTF-8 without control characters"};
}

/// Returns limit_reached if there are more than max_tags names, bad_argument if one is invalid.
template <class Names>
problem check_names(const std::string& field, const Names& names) {
  if (names.size() > max_tags)
    return {errc::limit_reached, std::to_string(names.size()) + " " + field + "; give at most "
                                   + std::to_string(max_tags)};
  auto bad = std::ranges::find_if_not(names, [](auto& each) { return is_name(each); });
  return bad != names.end() ? bad_name("one of the " + field + ":", *bad) : problem{};
}

} // namespace troupe
