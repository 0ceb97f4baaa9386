#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "chaos/client.hpp"
#include "troupe/core/result.hpp"
#include "troupe/registry/messages.hpp"

namespace cli::chaos {

/// Has a client count the nodes: what clients do where the nodes are judged by what they write.
inline troupe::result<std::size_t> count_nodes(client& who) {
  auto ask = [&]() -> troupe::result<std::size_t> {
    auto got = who.services().registry.ask(troupe::registry::count_records{}, client::patience);
    if (!got)
      return got.error();
    return got->nodes.active;
  };
  return who.perform("nodes", wants("count"), ask, judge_plain,
                     [](std::size_t what) { return std::optional{std::to_string(what)}; });
}

} // namespace cli::chaos
