#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/backoff.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/greeting.hpp"
#include "troupe/net/outcome.hpp"
#include "troupe/net/types.hpp"
#include "troupe/security/types.hpp"

namespace troupe::net {

/// A dial in progress, until there is a link or no address is left to try.
template <class Link>
struct dial_job {
  std::vector<endpoint> where = {};
  std::size_t tried = 0;
  std::optional<node_id> who = {};
  /// See net::dial.
  std::optional<place_mark> relayed_to = {};
  std::optional<founding_word> asks = {};
  std::function<void(result<Link>)> done = {};
  /// With `asks`: called instead of `done` if there is an answer.
  std::function<void(const bootstrap_answer&, const std::optional<security::facts>&)> answered = {};
  problem last = {};
  /// Why the connection failed, if the system gave a reason.
  std::string system_says = {};
  /// How often the other side refused because it has another connection with us, and until when to
  /// retry.
  std::uint32_t refusals = 0;
  std::optional<time_point> gives_up = {};

  [[nodiscard]] std::string place() const {
    return tried > 0 ? to_string(where[tried - 1]) : "the address";
  }
};

/// Limits of a `dial_book`.
struct dial_options {
  /// How long a node may be dialled that refuses as it has another connection with us.
  duration gives_up_after = std::chrono::seconds{4};
  /// Dials that wait until such a node is dialled again; of more, each gets the refusal.
  std::size_t max_parked = 256;
};

/// The dials of a node: decides which address is tried next, when one is tried again, and what each
/// dial comes to.
///
/// - The addresses of a dial are tried one after the other, as long as no node answers there. What
/// a
///   node answers is the result.
/// - A node that refuses because it has another connection with us is dialled again, after a random
///   time: that connection may become a link, which is the result then, or be a lost one that the
///   node still takes for alive.
///
/// `Link` is a handle of a link. Each `done` is called once. Not thread-safe. Cost of a call:
/// O(log n) in dials, O(n) in those that wait for another try.
template <class Link>
class dial_book {
public:
  using job = dial_job<Link>;

  /// The same `seed`, the same times.
  explicit dial_book(dial_options options, std::uint64_t seed) : options_(options), random_(seed) {}

  /// Goes on to the next address of `what` that `refuse` has no problem with, and returns it:
  /// connect to it under the number `id`, which no dial has. Nothing if no address is left; the
  /// dial has its answer then.
  template <class Refuse>
  std::optional<endpoint> attempt(connection_id id, job what, Refuse refuse) {
    if (has_stopped_) {
      what.done(to_problem(verdict::stopped, what.place()));
      return std::nullopt;
    }
    while (what.tried < what.where.size()) {
      auto where = what.where[what.tried++];
      what.last = refuse(where);
      if (what.last)
        continue;
      open_.emplace(id, std::move(what));
      return where;
    }
    what.done(what.last
                ? std::move(what.last)
                : problem{errc::bad_argument, "there is no address to dial; give at least one"});
    return std::nullopt;
  }

  [[nodiscard]] bool contains(connection_id id) const {
    return open_.contains(id);
  }

  /// Why the connection of a dial fails, in the system's words.
  void note(connection_id id, std::string system_says) {
    if (auto found = open_.find(id); found != open_.end())
      found->second.system_says = std::move(system_says);
  }

  /// The connection `id` has ended without a link. `peer`: who answered, if a node did. `link_to`
  /// finds the link to a node that is up, if there is one. Returns the dial if its next address is
  /// to be tried.
  template <class FindLink>
  std::optional<job> dropped(time_point now, connection_id id, verdict why,
                             const std::optional<node_id>& peer, FindLink link_to) {
    auto found = open_.extract(id);
    if (!found)
      return std::nullopt;
    auto& it = found.mapped();
    it.last = to_problem(why, it.place(), std::exchange(it.system_says, {}));
    if (peer && may_link_otherwise(why)) {
      if (std::optional<Link> other = link_to(*peer))
        it.done(*std::move(other));
      else
        park(now, *peer, std::move(it));
      return std::nullopt;
    }
    if (may_be_elsewhere(why))
      return std::move(it);
    it.done(it.last);
    return std::nullopt;
  }

  /// Returns the dials whose time has come: each goes on with the address that it had last.
  std::vector<job> tick(time_point now) {
    std::vector<job> due;
    for (auto& each : take_parked([&](auto& it) { return it.again <= now; })) {
      --each.what.tried;
      due.push_back(std::move(each.what));
    }
    return due;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto first = std::ranges::min_element(parked_, {}, &parked::again);
    return first == parked_.end() ? std::nullopt : std::optional{first->again};
  }

  /// The connection `id` is a link to `who`, and up: the result of its dial, and of those that wait
  /// to dial this node again.
  void linked(connection_id id, const node_id& who, const Link& which) {
    if (auto found = open_.extract(id))
      found.mapped().done(which);
    for (auto& each : take_parked([&](auto& it) { return it.who == who; }))
      each.what.done(which);
  }

  /// Over the connection `id`, which was to bring an answer, there is one.
  void answered(connection_id id, const bootstrap_answer& what,
                const std::optional<security::facts>& proven) {
    if (auto found = open_.extract(id); found && found.mapped().answered)
      found.mapped().answered(what, proven);
  }

  /// The connection `id` was handed over, and ended before the link was up.
  void ended(connection_id id) {
    if (auto found = open_.extract(id))
      found.mapped().done(to_problem(verdict::closed, found.mapped().place()));
  }

  /// Ends all dials, and each that comes later.
  void stop() {
    has_stopped_ = true;
    for (auto& [id, each] : std::exchange(open_, {}))
      each.done(to_problem(verdict::stopped, each.place()));
    for (auto& each : std::exchange(parked_, {}))
      each.what.done(to_problem(verdict::stopped, each.what.place()));
  }

private:
  /// A dial to a node that has another connection with us.
  struct parked {
    node_id who;
    time_point again;
    job what;
  };

  /// The same two nodes have another connection, which may become a link soon.
  static bool may_link_otherwise(verdict why) {
    return why == verdict::linked || why == verdict::greeting || why == verdict::dialling
           || why == verdict::crossed;
  }

  /// No node answered there; the host may have another address.
  static bool may_be_elsewhere(verdict why) {
    return why == verdict::unreachable || why == verdict::timed_out || why == verdict::closed;
  }

  void park(time_point now, const node_id& who, job what) {
    if (!what.gives_up)
      what.gives_up = now + options_.gives_up_after;
    if (now >= *what.gives_up || parked_.size() >= options_.max_parked)
      return what.done(what.last);
    auto again = std::min(now + another_try.delay(++what.refusals, random_), *what.gives_up);
    parked_.push_back({who, again, std::move(what)});
  }

  template <class Condition>
  std::vector<parked> take_parked(Condition condition) {
    auto middle = std::stable_partition(parked_.begin(), parked_.end(),
                                        [&](auto& each) { return !condition(each); });
    std::vector<parked> taken{std::move_iterator{middle}, std::move_iterator{parked_.end()}};
    parked_.erase(middle, parked_.end());
    return taken;
  }

  static constexpr backoff another_try{.first = std::chrono::milliseconds{50},
                                       .max = std::chrono::milliseconds{500}};

  const dial_options options_;
  random_source random_;
  bool has_stopped_ = false;
  /// Those that wait for their connection, or for it to become a link.
  std::map<connection_id, job> open_;
  std::vector<parked> parked_;
};

} // namespace troupe::net
