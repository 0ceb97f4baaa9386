#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// Which certificates of members have been found to count, and which are still to be looked at in
/// this round: each is looked at again once another list of revoked certificates applies. That
/// takes a signature to verify, so a round takes a while. A node that shows a certificate
/// meanwhile is judged by that one, and by the one that was kept before no more.
///
/// Not thread-safe. Cost of a call: O(log n), where it says nothing else.
class admitted_certificates {
public:
  /// More need not be known: others are looked at again whenever they come.
  static constexpr std::size_t max_known = 10'000;

  using certificate = std::pair<node_id, std::string>;

  // -- what counts -------------------------------------------------------------------------

  [[nodiscard]] bool counts(const node_id& node, const std::string& text) const {
    auto found = known_.find(node);
    return found != known_.end() && found->second.text == text;
  }

  /// The one that counts instead of one that another member has passed on, which ends at `until`,
  /// or does not count: who has missed that a node has another one passes on the earlier. Null:
  /// none.
  [[nodiscard]] const std::string* instead_of(const node_id& node,
                                              const std::optional<wall_time>& until) const {
    auto found = known_.find(node);
    return found != known_.end() && (!until || *until <= found->second.until) ? &found->second.text
                                                                              : nullptr;
  }

  void admit(const node_id& node, std::string text, wall_time until) {
    if (known_.size() >= max_known && !known_.contains(node))
      known_.clear();
    known_.insert_or_assign(node, admitted{std::move(text), until});
  }

  void forget(const node_id& node) {
    known_.erase(node);
  }

  /// Returns the nodes whose certificates have ended, and forgets them. O(n).
  std::vector<node_id> take_ended(wall_time now) {
    std::vector<node_id> ended;
    for (auto& [node, each] : known_)
      if (each.until < now)
        ended.push_back(node);
    for (auto& node : ended)
      forget(node);
    return ended;
  }

  // -- rounds ------------------------------------------------------------------------------

  /// What was found before does not count any more. Returns the number of the round. O(n).
  std::uint64_t begin_round() {
    known_.clear();
    waiting_.clear();
    return ++round_;
  }

  /// These were kept when that round began, or later.
  void are_kept(std::uint64_t round, std::vector<certificate> all) {
    if (round == round_)
      waiting_ = std::move(all);
  }

  /// The next one to be looked at in this round.
  std::optional<certificate> next() {
    while (!waiting_.empty()) {
      auto each = std::move(waiting_.back());
      waiting_.pop_back();
      if (!known_.contains(each.first))
        return each;
    }
    return std::nullopt;
  }

  [[nodiscard]] bool has_more() const {
    return !waiting_.empty();
  }

private:
  struct admitted {
    std::string text;
    wall_time until;
  };

  std::map<node_id, admitted> known_;
  std::uint64_t round_ = 0;
  std::vector<certificate> waiting_;
};

} // namespace troupe::cluster
