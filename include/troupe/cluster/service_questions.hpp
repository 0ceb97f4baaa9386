#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/claims_types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/record.hpp"

namespace troupe::cluster {

/// The questions of a node to the service of names that have no answer yet, and what each is for.
/// All have the same time. Part of `claims`. Cost of a call: O(log n).
class service_questions {
public:
  /// A claim of the name of an agent that begins.
  struct claim_of {
    agent_id name;
  };

  /// Names with the tokens of the claims before.
  struct claimed_again {
    std::vector<std::pair<agent_id, std::uint64_t>> names;
    /// All were claimed once more since: a refusal says nothing of the present.
    bool is_stale = false;
  };

  /// A release.
  struct given_back {
    std::vector<agent_id> names;
  };

  /// The release of all names that this node ever had: it leaves.
  struct all_given_back {};

  /// For the boot of this node that the service of names knows.
  struct search_names {};

  /// For the names behind that one that the service of names takes for this node's.
  struct look_at_names {
    agent_id after;
  };

  using purpose = std::variant<claim_of, claimed_again, given_back, all_given_back, search_names,
                               look_at_names>;

  struct question {
    purpose what;
    time_point due{};
  };

  explicit service_questions(duration answer_within) : answer_within_(answer_within) {}

  template <class Words>
  request_id ask(time_point now, Words words, purpose what, claims_types::effects& out) {
    auto id = ++last_id_;
    open_.emplace(id, question{std::move(what), now + answer_within_});
    out.emplace_back(claims_types::ask{id, std::move(words), answer_within_});
    return id;
  }

  /// Takes the open question of that id if it is of that kind.
  template <class Kind>
  std::optional<Kind> take(request_id id) {
    auto found = open_.find(id);
    if (found == open_.end() || !std::holds_alternative<Kind>(found->second.what))
      return std::nullopt;
    auto taken = std::get<Kind>(std::move(found->second.what));
    open_.erase(found);
    return taken;
  }

  /// Takes one whose time is over.
  std::optional<purpose> take_due(time_point now) {
    if (open_.empty() || open_.begin()->second.due > now)
      return std::nullopt;
    return std::move(open_.extract(open_.begin()).mapped().what);
  }

  /// Whether another try may end otherwise, in time.
  static bool may_pass(errc code) {
    return code != errc::bad_argument && code != errc::too_large && code != errc::denied
           && code != errc::wrong_type;
  }

  /// Its answer does not count any more. Returns whether it was open.
  bool drop(request_id id) {
    return open_.erase(id) > 0;
  }

  /// An earlier claim of all names says nothing of the present any more. O(n).
  void make_claims_stale() {
    for (auto& [id, each] : open_)
      if (auto* earlier = std::get_if<claimed_again>(&each.what))
        earlier->is_stale = true;
  }

  [[nodiscard]] bool contains(request_id id) const {
    return open_.contains(id);
  }

  [[nodiscard]] const std::map<request_id, question>& all() const {
    return open_;
  }

  [[nodiscard]] std::size_t size() const {
    return open_.size();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    if (open_.empty())
      return std::nullopt;
    return open_.begin()->second.due; // all are given the same time
  }

  /// What is wrong with its state, in words; empty if all is well.
  [[nodiscard]] std::vector<std::string> flaws() const {
    std::vector<std::string> found;
    std::optional<time_point> last;
    for (auto& [id, each] : open_) {
      if (last && *last > each.due)
        found.emplace_back("a later question is due before an earlier one");
      last = each.due;
      if (id > last_id_)
        found.emplace_back("a question has a number that was not given");
    }
    return found;
  }

private:
  duration answer_within_;
  std::map<request_id, question> open_;
  request_id last_id_ = 0;
};

} // namespace troupe::cluster
