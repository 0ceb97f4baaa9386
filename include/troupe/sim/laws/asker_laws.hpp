#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/machine.hpp"
#include "troupe/core/time.hpp"

namespace troupe::sim {

/// Checks that each request to a node ends with one answer, within a time.
class asker_laws {
public:
  /// `within`: unless a request has a time of its own.
  explicit asker_laws(duration within = {}) : within_(within) {}

  void asked(time_point now, request_id id, const std::string& what) {
    asked(now, id, what, within_);
  }

  void asked(time_point now, request_id id, const std::string& what, duration within) {
    open_.emplace(id, std::pair{now + within, what + " within " + to_string(within)});
  }

  void answered(request_id id) {
    if (open_.erase(id) == 0)
      violations_.push_back("answers request " + std::to_string(id) + " that nobody waits for");
  }

  void ticked(time_point now) {
    std::erase_if(open_, [&](auto& each) {
      auto& [due, what] = each.second;
      if (due < now)
        violations_.push_back("has no answer to " + what);
      return due < now;
    });
  }

  [[nodiscard]] std::size_t open() const {
    return open_.size();
  }

  std::vector<std::string> take_violations() {
    return std::exchange(violations_, {});
  }

private:
  duration within_;
  std::map<request_id, std::pair<time_point, std::string>> open_;
  std::vector<std::string> violations_;
};

} // namespace troupe::sim
