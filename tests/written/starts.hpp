#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/machine.hpp"
#include "troupe/group/own_services.hpp"
#include "troupe/net/address.hpp"
#include "troupe/state/types.hpp"
#include "written/fields.hpp"

/// What the law has to know of single types.
namespace troupe::test {

/// An address without a host has no text form.
template <>
struct start_of<net::address> {
  static net::address make() {
    return {"host", 0};
  }
};

template <>
struct written_as<state::frozen_key> {
  using type = state::saved_key;

  static state::frozen_key make(state::saved_key what) {
    return state::frozen_key{std::move(what)};
  }
};

/// The sections of a host::group_state: one for each service, and none is empty.
template <>
inline constexpr bool has_room<std::map<std::uint16_t, std::string>> = true;

/// The entries of a host::group_state that were not read: of few services, and none is empty.
template <>
inline constexpr bool has_room<std::map<std::uint16_t, std::vector<host::unread_entry>>> = true;

/// The calls of a host::session_book: see host::memory_for().
template <class Effect>
inline constexpr bool has_room<std::map<std::uint64_t, std::variant<request_id, Effect>>> = true;

} // namespace troupe::test
