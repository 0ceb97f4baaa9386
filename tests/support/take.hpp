#pragma once

#include <algorithm>
#include <variant>
#include <vector>

namespace troupe::test {

/// Takes all of one kind out of the effects of a machine, in their order.
template <class Effect, class... Effects>
std::vector<Effect> take(std::vector<std::variant<Effects...>>& from) {
  std::vector<Effect> found;
  for (auto& each : from)
    if (auto* one = std::get_if<Effect>(&each))
      found.push_back(*one);
  std::erase_if(from, [](auto& each) { return std::holds_alternative<Effect>(each); });
  return found;
}

} // namespace troupe::test
