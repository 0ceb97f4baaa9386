#pragma once

#include <utility>

#include <catch2/catch_test_macros.hpp>

#include "troupe/cluster/departure.hpp"

namespace departure_fixture {

using namespace troupe;
using cluster::departure;

/// The departure of a node, which the test steps.
struct stepped_node {
  departure it{};

  departure::effects step(request_id id, departure::event what) {
    departure::effects out;
    it.step({}, id, std::move(what), out);
    return out;
  }

  departure::effect one(request_id id, departure::event what) {
    auto out = step(id, std::move(what));
    REQUIRE(out.size() == 1);
    return out.front();
  }
};

} // namespace departure_fixture
