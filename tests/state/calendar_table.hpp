#pragma once

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/state/state_table.hpp"

namespace troupe::test {

/// Drives one state_table along a clock and a calendar that only the test moves.
struct calendar_table {
  state::state_table table;
  time_point now{};
  wall_time today{};
  request_id last_id = 0;

  explicit calendar_table(state::state_options options = {}) {
    if (options.replica.empty())
      options.replica = "a";
    configure(options);
    pass({});
  }

  void configure(const state::state_options& options, std::uint64_t floor = 0) {
    state::effects out;
    table.step(now, 0, state::configure{options, floor}, out);
    CHECK(out.empty());
  }

  state::effects ask(const state::event& what) {
    state::effects out;
    table.step(now, ++last_id, what, out);
    return out;
  }

  /// Lets `span` go by, and the host tell the calendar.
  state::effects pass(duration span) {
    state::effects out;
    table.step(now += span, 0, wall{today += span}, out);
    return out;
  }

  /// Returns the answer to a request that must be accepted.
  state::written write(const state::event& what) {
    auto out = ask(what);
    REQUIRE(out.size() == 1);
    REQUIRE(std::holds_alternative<state::accepted>(out[0]));
    return std::get<state::accepted>(out[0]).value;
  }

  /// Returns why a request is refused, none if it is not.
  problem refusal(const state::event& what) {
    auto out = ask(what);
    auto* found = out.size() == 1 ? std::get_if<state::refused>(&out[0]) : nullptr;
    return found != nullptr ? found->why : problem{};
  }

  [[nodiscard]] std::vector<std::string> texts(const state::entry_key& key) const {
    std::vector<std::string> result;
    for (auto& each : table.answer(state::get{key}).entries)
      result.push_back(state::to_text(each.value));
    return result;
  }

  [[nodiscard]] state::vector_clock clock(const state::entry_key& key) const {
    return table.answer(state::get{key}).clock;
  }
};

} // namespace troupe::test
