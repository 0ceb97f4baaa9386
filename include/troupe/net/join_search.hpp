#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/backoff.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/address.hpp"

namespace troupe::net {

/// Whom a machine that joins with a token asks, in which order, and when it gives up. A machine:
/// net::join() carries out what next() says, and tells it with hear() what came of it.
///
/// It goes round the given addresses, and to those that members name, until one gives the
/// certificate. What a proven member says of the token ends the search; an address where no member
/// of the token's cluster answers ends it for that address only. Each has its part of the time that
/// is left, so that those that say nothing leave some for those behind them. In later rounds they
/// are last, and are left out while a member is busy, which is only asked again.
class join_search {
public:
  /// Addresses that one answer, and that one round may bring.
  static constexpr std::size_t max_named = 8;
  static constexpr std::size_t max_asked = 64;
  /// How long one address may take, to be found and to prove that it is a member.
  static constexpr duration patience = std::chrono::seconds{10};

  /// The next step: to ask there, to do nothing until then, or to end.
  struct ask {
    address where;
    /// When it counts as silent, unless it has proven to be a member.
    time_point until;
  };
  struct pause {
    time_point until;
  };
  struct give_up {
    problem why;
  };
  using step = std::variant<ask, pause, give_up>;

  /// What the last address said. A member that has proven itself: another one has the CA; or no.
  struct named {
    std::vector<address> where;
  };
  struct refused {
    problem why;
  };
  /// Nobody has proven to be a member there.
  struct unproven {
    problem why;
  };
  using answer = std::variant<named, refused, unproven>;

  join_search(std::vector<address> given, time_point deadline, backoff pauses, std::uint64_t seed)
    : given_(std::move(given)), deadline_(deadline), pauses_(pauses), random_(seed) {
    begin_round();
  }

  [[nodiscard]] step next(time_point now) {
    if (end_)
      return give_up{*end_};
    while (!queue_.empty()) {
      last_ = std::move(queue_.front());
      queue_.pop_front();
      if (now >= deadline_ && heard_.why)
        return give_up{heard_.why};
      if (is_busy_ && silent_.contains(to_string(last_.where)))
        continue;
      if (asked_.size() < max_asked && asked_.insert(to_string(last_.where)).second)
        return ask{last_.where, now + part_of_time(now)};
    }
    auto why = heard_.why
                 ? heard_.why
                 : problem{errc::unreachable, "there is no address to join at; give at least one"};
    auto until = now + pauses_.delay(++rounds_, random_);
    begin_round();
    if (queue_.empty() || until >= deadline_)
      return give_up{why};
    last_why_ = why;
    return pause{until};
  }

  /// @pre next() has said to ask, and this is what came of it.
  void hear(const answer& what) {
    auto* nobody = std::get_if<unproven>(&what);
    if (nobody == nullptr || nobody->why.code != errc::timed_out)
      silent_.erase(to_string(last_.where));
    else if (last_.by.empty())
      silent_.insert(to_string(last_.where));
    if (auto* elsewhere = std::get_if<named>(&what))
      follow(*elsewhere);
    else if (auto* no = std::get_if<refused>(&what))
      take(*no);
    else
      take(std::get<unproven>(what));
  }

  /// Why the last round has brought nothing, while a pause lasts.
  [[nodiscard]] const problem& delayed_by() const {
    return last_why_;
  }

private:
  struct place {
    address where;
    /// Who has named it; empty if it was given.
    std::string by{};
  };

  /// How much a problem tells.
  enum class weight { none, not_reached, no_member, of_member };

  struct finding {
    problem why{};
    weight how = weight::none;
  };

  void begin_round() {
    queue_.clear();
    asked_.clear();
    heard_ = of_others_;
    is_busy_ = false;
    for (auto were_silent : {false, true})
      for (auto& each : given_)
        if (auto name = to_string(each);
            !out_.contains(name) && silent_.contains(name) == were_silent)
          queue_.push_back({each});
  }

  /// Of the last one that was taken from the queue.
  [[nodiscard]] duration part_of_time(time_point now) const {
    auto left = std::max(deadline_ - now, duration::zero());
    return std::min(patience, left / static_cast<duration::rep>(queue_.size() + 1));
  }

  void follow(const named& what) {
    auto name = to_string(last_.where);
    note({{errc::not_found, name
                              + " does not have the CA that has given out this token, and the node "
                                "that has it is not reached; start that node, or give its address, "
                                "then retry"},
          what.where.empty() ? weight::of_member : weight::not_reached});
    auto count = std::min(what.where.size(), max_named);
    for (auto index = count; index > 0; --index)
      queue_.push_front({what.where[index - 1], name});
  }

  void take(const refused& what) {
    is_busy_ |= what.why.code == errc::busy;
    switch (what.why.code) {
      case errc::busy:
      case errc::not_found:
      case errc::unreachable:
      case errc::timed_out:
      case errc::incompatible:
        return note({by_whom(what.why), weight::of_member});
      default:
        end_ = what.why;
    }
  }

  void take(const unproven& what) {
    if (what.why.code == errc::unreachable || what.why.code == errc::timed_out)
      return note({by_whom(what.why), last_.by.empty() ? weight::not_reached : weight::of_member});
    if (!last_.by.empty())
      return note({by_whom(what.why), weight::of_member});
    out_.insert(to_string(last_.where));
    of_others_ = {what.why, weight::no_member};
    note(of_others_);
  }

  /// So that no sentence is about an address that its reader has never seen.
  [[nodiscard]] problem by_whom(const problem& why) const {
    if (last_.by.empty())
      return why;
    return {why.code, last_.by + " says that the CA of this token is at " + to_string(last_.where)
                        + ": " + why.detail};
  }

  /// The first of those that tell most counts.
  void note(finding what) {
    if (what.how > heard_.how)
      heard_ = std::move(what);
  }

  const std::vector<address> given_;
  const time_point deadline_;
  const backoff pauses_;
  random_source random_;
  std::uint32_t rounds_ = 0;
  /// Given addresses where no member answers, for good.
  std::set<std::string> out_;
  /// Given addresses that said nothing when they were asked last.
  std::set<std::string> silent_;
  finding of_others_;
  /// Of this round.
  std::deque<place> queue_;
  std::set<std::string> asked_;
  /// A member would decide if it had less to do.
  bool is_busy_ = false;
  place last_{};
  finding heard_;
  problem last_why_{};
  std::optional<problem> end_;
};

} // namespace troupe::net
