#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "troupe/core/machine.hpp"

/// Which rules decide in a service: those of its machine, which count from 1 (see rules_of()), and
/// those of its host, which count from 0. What a new release decides otherwise than the last one
/// begins when every member of the group knows it; a record says so (use_rules).
namespace troupe::host {

/// The rules of the host that this release knows.
enum class host_rules : std::uint16_t {
  /// Sessions are opened by a record of their own.
  first,
  /// A session that its client has chosen begins with its first command; see call::begins_after.
  begin_with_command,
};

/// Both kinds as one number, as members say it and records hold it: the machine's in the lower 16
/// bits. So what was written when the host had no rules of its own is read as the host's first.
class service_rules {
public:
  constexpr explicit service_rules(std::uint32_t number = 1) : number_(number) {}

  constexpr service_rules(host_rules host, std::uint32_t machine)
    : service_rules(host_part(host), machine) {}

  /// The newest that this release knows for a service of M.
  template <machine M>
  [[nodiscard]] static constexpr service_rules known() {
    static_assert(rules_of<M>() <= std::numeric_limits<std::uint16_t>::max());
    return {host_rules::begin_with_command, rules_of<M>()};
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

  /// Whether who knows these knows `others`, too.
  [[nodiscard]] constexpr bool include(service_rules others) const {
    return host() >= others.host() && machine() >= others.machine();
  }

  /// What both know: a machine may be older in the release whose host is newer.
  [[nodiscard]] constexpr service_rules in_common_with(service_rules others) const {
    return {std::min(host(), others.host()), std::min(machine(), others.machine())};
  }

  /// What is in force when `others` come on top.
  [[nodiscard]] constexpr service_rules together_with(service_rules others) const {
    return {std::max(host(), others.host()), std::max(machine(), others.machine())};
  }

  /// For people: "2 (host 1)".
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
