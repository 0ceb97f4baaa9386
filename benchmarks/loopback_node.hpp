#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <utility>

#include "troupe/node/node.hpp"

namespace troupe::benchmark {

/// Starts a node at a free port of 127.0.0.1, which founds a cluster, or joins at port `join` if
/// that is not zero. Ends the program if that fails.
inline std::unique_ptr<node> start_node(std::uint16_t join) {
  node_options options;
  options.listen = {"127.0.0.1", 0};
  if (join != 0)
    options.join = {{"127.0.0.1", join}};
  auto made = node::start(std::move(options));
  if (!made || !(*made)->wait_joined(std::chrono::seconds{20})) {
    std::cerr << "error: no node: " << (made ? "it did not join" : made.error().detail)
              << std::endl;
    std::exit(1);
  }
  return std::move(*made);
}

} // namespace troupe::benchmark
