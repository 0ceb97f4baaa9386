#pragma once

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "router/named_nodes.hpp"
#include "troupe/registry/agent_name.hpp"
#include "troupe/registry/record_table.hpp"

namespace troupe::test {

using namespace registry;

/// Returns what the node says of itself that a test calls `owner`.
inline record node(const std::string& owner, std::uint64_t version = 1, std::uint64_t boot = 1) {
  return {.key = {record_kind::node, owner, node_named(owner)},
          .boot = boot,
          .version = version,
          .endpoints = {{"10.0.0.1", 6767}}};
}

/// Returns an agent with a name of its node's own.
inline record agent(const std::string& name, const std::string& owner, std::uint64_t version = 1,
                    std::uint64_t boot = 1) {
  auto node = node_named(owner);
  return {.key = {record_kind::agent, unclaimed_name(name, node), node},
          .boot = boot,
          .version = version};
}

/// Returns an agent with a claimed name.
inline record claimed(const std::string& name, const std::string& owner, std::uint64_t token,
                      std::uint64_t version = 1, std::uint64_t boot = 1) {
  return {.key = {record_kind::agent, name, node_named(owner)},
          .boot = boot,
          .version = version,
          .token = token};
}

inline record service(const std::string& name, const std::string& owner, std::uint64_t version = 1,
                      std::uint64_t boot = 1) {
  return {.key = {record_kind::service, name, node_named(owner)}, .boot = boot, .version = version};
}

/// Returns the removal of `value`, one version later.
inline record removal(const record& value) {
  return {.key = value.key,
          .boot = value.boot,
          .version = value.version + 1,
          .removed = true,
          .token = value.token};
}

/// Drives one table along a clock that only the test moves.
struct clocked_table {
  record_table table;
  time_point now{};
  request_id last_id = 0;

  explicit clocked_table(const registry_options& options = {}) {
    effects out;
    table.step(now, 0, registry::configure{options, 0}, out);
    CHECK(out.empty());
  }

  effects ask(const event& what) {
    effects out;
    table.step(now, ++last_id, what, out);
    return out;
  }

  void pass(duration span) {
    table.tick(now += span);
  }

  put_report put(std::vector<record> records) {
    for (auto& each : ask(put_records{std::move(records)}))
      if (auto* done = std::get_if<put_done>(&each))
        return done->value;
    FAIL("the records were refused");
    return {};
  }

  /// Returns the record of `key` as it shows, with a status of disconnected and no name if
  /// it does not.
  [[nodiscard]] record_view look(const record_key& key) const {
    return table.answer(get_record{key.kind, key.name, key.owner})
      .found.value_or(record_view{.status = record_status::disconnected});
  }

  [[nodiscard]] bool shows(const record_key& key) const {
    return table.answer(get_record{key.kind, key.name, key.owner}).found.has_value();
  }

  /// Returns the names of what is found, in order, as "a@n1" those of a node's own.
  [[nodiscard]] std::vector<std::string> find(const find_records& question) const {
    std::vector<std::string> result;
    for (auto& each : table.answer(question).records)
      result.push_back(with_short_names(each.value.key.name));
    return result;
  }
};

/// Returns the refusal in `answers`, none if there is none.
inline problem refusal(const effects& answers) {
  for (auto& each : answers)
    if (auto* found = std::get_if<refused>(&each))
      return found->why;
  return {};
}

} // namespace troupe::test
