#pragma once

#include <catch2/catch_test_macros.hpp>

#include <vector>

#include "support/take.hpp"

namespace troupe::test {

/// What a machine did lately, for a fixture that steps it: `out` is where its effects go.
template <class Machine>
struct seen_effects {
  /// Takes the effects of one kind.
  template <class Effect>
  std::vector<Effect> take() {
    return test::take<Effect>(out);
  }

  /// The one effect of that kind.
  template <class Effect>
  Effect only() {
    auto found = take<Effect>();
    REQUIRE(found.size() == 1);
    return found.front();
  }

  template <class Effect>
  bool has_none() {
    return take<Effect>().empty();
  }

  typename Machine::effects out;
};

} // namespace troupe::test
