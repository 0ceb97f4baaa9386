#pragma once

#include <string>
#include <utility>
#include <vector>

namespace troupe::sim {

/// Violations found, as sentences; shared by all processes of one run.
struct findings {
  std::vector<std::string> violations;

  void broken(std::string what) {
    if (violations.size() < 10)
      violations.push_back(std::move(what));
  }
};

} // namespace troupe::sim
