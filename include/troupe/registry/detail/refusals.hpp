#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "troupe/core/ids.hpp"
#include "troupe/core/names.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/registry/record_bounds.hpp"
#include "troupe/registry/types.hpp"

/// Refusals of the registry.
namespace troupe::registry::detail {

[[nodiscard]] inline problem unknown(const record_key& key) {
  return {errc::not_found, "there is no " + std::string{name_of(key.kind)} + ' '
                             + shortened(key.name) + " of " + to_string(key.owner)
                             + "; look it up again"};
}

[[nodiscard]] inline problem full(const std::string& what, const std::string& option,
                                  std::uint32_t bound) {
  return {errc::limit_reached, "all " + std::to_string(bound) + " " + what
                                 + " are in use; remove some or raise registry_options::" + option};
}

[[nodiscard]] inline problem over_its_share(const node_id& owner, std::size_t has,
                                            std::uint32_t bound) {
  return {errc::limit_reached, "node " + to_string(owner) + " has " + std::to_string(has) + " of "
                                 + std::to_string(bound)
                                 + " records, and no more than that are free for others; remove "
                                   "some or raise registry_options::max_records"};
}

[[nodiscard]] inline problem over_half(const node_id& owner, std::size_t has, std::uint32_t bound) {
  return {errc::limit_reached, "node " + to_string(owner) + " has " + std::to_string(has) + " of "
                                 + std::to_string(bound)
                                 + " records, and one may have half of them; remove some there or "
                                   "raise registry_options::max_records"};
}

[[nodiscard]] inline problem without_records(const node_id& owner, std::uint64_t boot) {
  return {errc::not_found, "no record of node " + to_string(owner) + " with boot "
                             + std::to_string(boot) + " is known; put its records first"};
}

[[nodiscard]] inline problem unfit(const verdict& request) {
  if (request.liveness == record_status::active || request.liveness == record_status::disconnected)
    return {};
  return {errc::bad_argument, "liveness is " + std::string{name_of(request.liveness)}
                                + "; give active or disconnected"};
}

[[nodiscard]] inline problem unfit(const forget& request) {
  if (request.owner != node_id{} && request.boot != 0 && request.boot <= max_boot)
    return {};
  return {errc::bad_argument, "owner " + to_string(request.owner) + " with boot "
                                + std::to_string(request.boot)
                                + " is invalid; give a node id, and a boot of at least 1"};
}

} // namespace troupe::registry::detail
