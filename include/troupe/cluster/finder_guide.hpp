#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "troupe/cluster/finder_requests.hpp"
#include "troupe/cluster/finder_types.hpp"
#include "troupe/cluster/service_addresses.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/types.hpp"

namespace troupe::cluster {

/// A second node that says where the services are: those of a group of voters move without their
/// node saying so. Looks for the first that can be reached and is not their node (the host), keeps
/// it as long as it answers, and rests before it tries another. Where there is none at rest, there
/// is one while the host is in doubt: it may hang, and another node be chosen before that is
/// certain. Part of `finder`. Not thread-safe. Cost of a call: O(addresses + dials).
class finder_guide {
public:
  using effects = finder_effects::effects;

  enum class stage : std::uint8_t { none, dialling, asking, pausing };

  /// @pre all three outlive this
  finder_guide(const finder_options& options, const service_addresses& addresses,
               finder_requests& requests)
    : options_(options), addresses_(addresses), requests_(requests) {}

  finder_guide(const finder_guide&) = delete;
  finder_guide& operator=(const finder_guide&) = delete;

  // -- how it stands -----------------------------------------------------------------------

  [[nodiscard]] bool is_wanted() const {
    return it_.at != stage::none || it_.begin_at;
  }

  [[nodiscard]] bool serves() const {
    return it_.at == stage::asking;
  }

  [[nodiscard]] bool serves_over(net::connection_id link) const {
    return serves() && it_.question.link == link;
  }

  [[nodiscard]] bool dials(const net::address& where) const {
    return it_.at == stage::dialling && it_.question.where == where;
  }

  [[nodiscard]] const inquiry& question() const {
    return it_.question;
  }

  /// The node of the services.
  [[nodiscard]] const net::address& host() const {
    return it_.host;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = it_.begin_at;
    if (it_.at == stage::pausing || it_.at == stage::asking)
      next = std::min(next.value_or(it_.question.due), it_.question.due);
    return next;
  }

  // -- whether there is to be one ----------------------------------------------------------

  /// The services are on `host`. The node that has shown the way is first: there is a link to it.
  void have(time_point now, const net::address& host, const std::optional<net::address>& way,
            effects& out) {
    if (!options_.has_guide)
      return let_go();
    it_.nodes = addresses_.all();
    if (way)
      it_.nodes.insert(it_.nodes.begin(), *way);
    it_.host = host;
    if (options_.guide_after <= duration::zero() || it_.at == stage::asking)
      keep(now, out);
    else
      it_.begin_at = now + options_.guide_after;
  }

  /// `host` may hang. Where there is none at rest, there is one soon, unless that answers before.
  void doubt(time_point now, const net::address& host) {
    if (options_.has_guide || is_wanted())
      return;
    it_.nodes = addresses_.all();
    it_.host = host;
    it_.begin_at = now + begin_in_doubt_after;
  }

  void end_doubt() {
    if (!options_.has_guide)
      let_go();
  }

  void let_go() {
    it_ = {};
  }

  /// There is to be none yet; one that serves stays.
  void not_yet() {
    it_.begin_at.reset();
  }

  // -- what comes --------------------------------------------------------------------------

  void tick(time_point now, effects& out) {
    if (it_.begin_at && *it_.begin_at <= now)
      keep(now, out);
    if (it_.at == stage::pausing && it_.question.is_due(now))
      find(now, out);
    else if (it_.at == stage::asking && it_.question.is_due(now))
      rest(now);
  }

  void link_down(time_point now, net::connection_id link) {
    if (serves_over(link))
      rest(now);
  }

  void dialled(time_point now, const net::address& where, const result<net::connection_id>& got,
               effects& out) {
    if (dials(where))
      got ? watch(now, *got, where, 0, out) : rest(now);
  }

  /// Its answer. Returns whether that is news.
  /// @pre it serves
  bool heard(time_point now, const result<whereabouts>& what, effects& out) {
    if (!what) {
      rest(now);
      return false;
    }
    auto question = it_.question;
    watch(now, question.link, question.where, what->revision, out);
    return what->revision != question.known;
  }

  /// What is wrong with its state, in words; empty if all is well. `is_up`: whether a link is.
  template <class IsUp>
  [[nodiscard]] std::vector<std::string> flaws(IsUp is_up) const {
    std::vector<std::string> found;
    auto expect = [&found](bool holds, const char* what) {
      if (!holds)
        found.emplace_back(what);
    };
    expect(!serves() || (it_.question.asked != 0 && is_up(it_.question.link)),
           "the guide's link is down");
    expect(it_.at != stage::dialling || requests_.is_dialling(it_.question.where),
           "the guide is not dialled");
    return found;
  }

private:
  /// One that serves stays, unless the services have come to it.
  void keep(time_point now, effects& out) {
    it_.begin_at.reset();
    if (it_.at == stage::asking && it_.question.where != it_.host)
      return;
    it_.next = 0;
    find(now, out);
  }

  /// The first that can be reached and is not the host.
  void find(time_point now, effects& out) {
    it_.at = stage::none;
    it_.question = {};
    for (std::size_t tries = 0; tries < it_.nodes.size(); ++tries) {
      auto where = it_.nodes[it_.next++ % it_.nodes.size()];
      if (where == it_.host)
        continue;
      if (requests_.dial(now, where, out) == nullptr)
        return rest(now);
      it_.at = stage::dialling;
      it_.question.where = where;
      return;
    }
  }

  /// Another is tried later.
  void rest(time_point now) {
    it_.at = stage::pausing;
    it_.question = {.due = now + pause};
  }

  void watch(time_point now, net::connection_id link, const net::address& where,
             std::uint64_t known, effects& out) {
    it_.at = stage::asking;
    it_.question = requests_.ask(now, link, where, known, check_every, check_every + patience, out);
  }

  struct state {
    stage at = stage::none;
    inquiry question{};
    /// When there is to be one.
    std::optional<time_point> begin_at{};
    std::vector<net::address> nodes{};
    net::address host{};
    std::size_t next = 0;
  };

  static constexpr duration check_every = std::chrono::seconds{2};
  static constexpr duration patience = std::chrono::seconds{1};
  static constexpr duration pause = std::chrono::seconds{5};
  /// A host that works answers before; one that hangs is certain to hang later.
  static constexpr duration begin_in_doubt_after = std::chrono::milliseconds{200};

  const finder_options& options_;
  const service_addresses& addresses_;
  finder_requests& requests_;
  state it_;
};

} // namespace troupe::cluster
