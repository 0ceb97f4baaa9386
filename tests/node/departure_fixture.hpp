#pragma once

#include <utility>
#include <variant>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "troupe/cluster/departure.hpp"

namespace departure_fixture {

using namespace troupe;
using cluster::departure;

/// The departure of a node, which the test steps.
struct stepped_node {
  departure it{};
  bool rests = false;

  /// Without what is said of its rest.
  departure::effects step(request_id id, departure::event what) {
    departure::effects out;
    it.step({}, id, std::move(what), out);
    std::erase_if(out, [this](auto& each) {
      auto* said = std::get_if<departure::rest>(&each);
      if (said != nullptr) {
        CHECK(said->on != rests);
        rests = said->on;
      }
      return said != nullptr;
    });
    return out;
  }

  departure::effect one(request_id id, departure::event what) {
    auto out = step(id, std::move(what));
    REQUIRE(out.size() == 1);
    return out.front();
  }
};

} // namespace departure_fixture
