#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <utility>

#include "troupe/node/node.hpp"

namespace troupe::benchmark {

/// Starts a node at a free port of 127.0.0.1, which founds a cluster, or joins at port `join` if
/// that is not zero. What outlives it is in `data`, if that is not empty. Ends the program if that
/// fails.
inline node start_node(std::uint16_t join, const std::filesystem::path& data = {}) {
  node_options options;
  options.listen = {"127.0.0.1", 0};
  options.links.insecure = true;
  options.data = data;
  if (join != 0)
    options.join = {{"127.0.0.1", join}};
  options.wait_joined = std::chrono::seconds{20};
  auto made = node::start(std::move(options));
  if (!made) {
    std::cerr << "error: no node: " << made.error() << std::endl;
    std::exit(1);
  }
  return *std::move(made);
}

} // namespace troupe::benchmark
