#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "troupe/core/machine.hpp"

/// The rules that a service follows: those of its machine, which count from 1 (see rules_of()),
/// and those of its host, which count from 0. Changed rules of a new release come into force when
/// every member of the group knows them; a record (use_rules) says so.
namespace troupe::host {

/// The host rules that this release knows.
enum class host_rules : std::uint16_t {
  /// A session is opened by its own record.
  first,
  /// A session that its client has chosen begins with its first command; see call::begins_after.
  begin_with_command,
  /// A session belongs to the identity that opened it; see session_book::owner.
  sessions_have_owners,
  /// An identity has at most as many sessions as are free for all; see session_books.
  sessions_are_shared,
};

/// Both kinds in one number, which members exchange and records store: the machine's in the lower
/// 16 bits, the host's above. Numbers from before the host had rules thus mean its first rules.
class service_rules {
public:
  constexpr explicit service_rules(std::uint32_t number = 1) : number_(number) {}

  constexpr service_rules(host_rules host, std::uint32_t machine)
    : service_rules(host_part(host), machine) {}

  /// Returns the newest rules that this release knows for a service of M.
  template <machine M>
  [[nodiscard]] static constexpr service_rules known() {
    static_assert(rules_of<M>() <= std::numeric_limits<std::uint16_t>::max());
    return {host_rules::sessions_are_shared, rules_of<M>()};
  }

  [[nodiscard]] constexpr std::uint32_t number() const {
    return number_;
  }

  [[nodiscard]] constexpr std::uint32_t machine() const {
    return number_ & 0xffffU;
  }

  [[nodiscard]] constexpr bool has(host_rules which) const {
    return host() >= host_part(which);
  }

  /// Returns whether a release that knows these rules also knows `others`.
  [[nodiscard]] constexpr bool include(service_rules others) const {
    return host() >= others.host() && machine() >= others.machine();
  }

  /// Returns the rules known to both, for each kind: a release may have the newer host rules and
  /// the older machine rules.
  [[nodiscard]] constexpr service_rules in_common_with(service_rules others) const {
    return {std::min(host(), others.host()), std::min(machine(), others.machine())};
  }

  /// Returns the rules in force after `others` are added.
  [[nodiscard]] constexpr service_rules together_with(service_rules others) const {
    return {std::max(host(), others.host()), std::max(machine(), others.machine())};
  }

  /// Returns text for people: "2 (host 1)".
  [[nodiscard]] std::string text() const {
    return std::to_string(machine()) + " (host " + std::to_string(host()) + ')';
  }

private:
  constexpr service_rules(std::uint32_t host, std::uint32_t machine)
    : number_(host << 16U | machine) {}

  static constexpr std::uint32_t host_part(host_rules which) {
    return static_cast<std::uint32_t>(which);
  }

  [[nodiscard]] constexpr std::uint32_t host() const {
    return number_ >> 16U;
  }

  std::uint32_t number_;
};

} // namespace troupe::host
