#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/finder_types.hpp"
#include "troupe/cluster/service_names.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/sim/world/node_messages.hpp"

namespace troupe::sim {

/// What a simulated node says to those who ask it where the services are, and the questions that it
/// holds until that changes. Part of `service_way`.
class way_board {
public:
  struct place {
    bool is_here = false;
    /// Else: the address of their node; empty: that is not known.
    std::string elsewhere{};
    /// The node that relays this one to there.
    std::optional<std::string> relayed_by{};
  };

  struct answered {
    node_letter question;
    way_answer what;
  };

  using answers = std::vector<answered>;

  /// `first`: the handle of the first service here; the others have the next ones.
  explicit way_board(cluster::service_handle first) : first_(first) {}

  void tell(place what, answers& out) {
    place_ = std::move(what);
    ++revision_;
    for (auto& each : std::exchange(held_, {}))
      answer(each.from, out);
  }

  /// @pre `by` has a way_question
  void ask(time_point now, const node_letter& by, answers& out) {
    auto& what = std::get<way_question>(by.what);
    if (what.wait <= duration::zero() || what.known != revision_)
      answer(by, out);
    else if (held_.size() >= max_held)
      out.push_back({by, {what.number, problem{errc::busy, "too many questions are held"}}});
    else
      held_.push_back({by, now + what.wait});
  }

  void tick(time_point now, answers& out) {
    std::erase_if(held_, [&](const held_question& each) {
      if (each.until <= now)
        answer(each.from, out);
      return each.until <= now;
    });
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> next;
    for (auto& each : held_)
      next = std::min(next.value_or(each.until), each.until);
    return next;
  }

private:
  struct held_question {
    node_letter from;
    time_point until{};
  };

  /// Questions that are held for others; further ones are answered as busy.
  static constexpr std::size_t max_held = 64;

  void answer(const node_letter& to, answers& out) const {
    auto& what = std::get<way_question>(to.what);
    cluster::whereabouts said{.address = place_.elsewhere, .revision = revision_};
    if (place_.relayed_by)
      said.others.push_back(*place_.relayed_by);
    if (place_.is_here) {
      said.handle = first_;
      if (what.known == 0)
        name_all(said);
    }
    out.push_back({to, {what.number, std::move(said)}});
  }

  void name_all(cluster::whereabouts& said) const {
    auto next = first_;
    for (auto& each : cluster::cluster_services)
      said.all[each] = next++;
    said.all[cluster::voters_name] = next;
  }

  cluster::service_handle first_;
  place place_;
  std::uint64_t revision_ = 1;
  std::vector<held_question> held_;
};

} // namespace troupe::sim
