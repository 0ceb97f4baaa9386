#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "caf/response_promise.hpp"

namespace troupe::router::detail {

/// Requests that a router passes on, and who waits for their answers. A Key is whoever was
/// asked, by what its loss is known: a node, or an agent.
template <class Key>
class open_requests {
public:
  /// Returns the number of the request from here on.
  std::uint64_t open(caf::response_promise answer, Key whom) {
    auto id = ++last_;
    requests_.emplace(id, request{std::move(answer), std::move(whom)});
    return id;
  }

  /// It is on its way: from here on lost() ends it.
  void sent(std::uint64_t id) {
    if (auto found = requests_.find(id); found != requests_.end())
      sent_[found->second.whom].insert(id);
  }

  /// Ends a request with `deliver(promise)`, if it is not over already.
  template <class Deliver>
  void finish(std::uint64_t id, Deliver deliver) {
    auto found = requests_.extract(id);
    if (!found)
      return;
    if (auto there = sent_.find(found.mapped().whom); there != sent_.end()) {
      there->second.erase(id);
      if (there->second.empty())
        sent_.erase(there);
    }
    deliver(found.mapped().answer);
  }

  /// Ends with `deliver(promise)` whatever was sent to `whom`. Returns how many that were.
  template <class Deliver>
  std::size_t lost(const Key& whom, Deliver deliver) {
    auto gone = sent_.extract(whom);
    if (!gone)
      return 0;
    for (auto id : gone.mapped())
      deliver(requests_.extract(id).mapped().answer);
    return gone.mapped().size();
  }

  /// Whether `whom` has an answer to give.
  [[nodiscard]] bool waits_for(const Key& whom) const {
    return sent_.contains(whom);
  }

  [[nodiscard]] std::size_t size() const {
    return requests_.size();
  }

private:
  struct request {
    caf::response_promise answer;
    Key whom;
  };

  std::map<std::uint64_t, request> requests_;
  std::map<Key, std::set<std::uint64_t>> sent_;
  std::uint64_t last_ = 0;
};

} // namespace troupe::router::detail
