#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "troupe/cluster/dial_list.hpp"
#include "troupe/cluster/finder_types.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/types.hpp"

namespace troupe::cluster {

/// One question to a node, or if `asked` is zero the pause before the next.
struct inquiry {
  request_id asked = 0;
  net::connection_id link = 0;
  net::address where{};
  std::uint64_t known = 0;
  time_point due{};

  [[nodiscard]] bool is_due(time_point now) const {
    return due <= now;
  }

  /// Whether it asks over that link.
  [[nodiscard]] bool is_over(net::connection_id that) const {
    return asked != 0 && link == that;
  }
};

/// Whether `what` is no question, or one over a link that is up.
template <class IsUp>
[[nodiscard]] bool is_open_or_none(const std::optional<inquiry>& what, IsUp is_up) {
  return !what || what->asked == 0 || is_up(what->link);
}

/// Whether `what` is the question of that number.
[[nodiscard]] inline bool is_asked(const std::optional<inquiry>& what, request_id id) {
  return what && what->asked == id;
}

/// Returns a question whose time is over, which stays; ends a pause that is over.
[[nodiscard]] inline std::optional<inquiry> find_late(std::optional<inquiry>& what,
                                                      time_point now) {
  if (!what || !what->is_due(now))
    return std::nullopt;
  if (what->asked != 0)
    return what;
  what.reset();
  return std::nullopt;
}

/// Dials nodes and asks them where the services are; gives dials and questions their numbers. Part
/// of `finder`. Cost of a call: O(dials).
class finder_requests {
public:
  using effects = finder_effects::effects;

  /// How long a node has for an answer that it does not hold back.
  static constexpr duration answer_within = std::chrono::milliseconds{1'500};

  finder_requests(duration dial_within, std::size_t max_dials)
    : dial_within_(dial_within), dials_(max_dials) {}

  /// An address that takes long is not dialled twice. Null: there are too many.
  dial_list::dial* dial(time_point now, const net::address& where, effects& out) {
    if (auto* known = dials_.find(where))
      return known;
    if (dials_.is_full())
      return nullptr;
    out.emplace_back(finder_effects::dial{++last_id_, where});
    return &dials_.add(where, last_id_, now + dial_within_);
  }

  /// Returns the number of that dial, which is in no list.
  request_id dial_through(const net::address& relay, const net::address& where, effects& out) {
    out.emplace_back(finder_effects::dial{++last_id_, where, relay});
    return last_id_;
  }

  inquiry ask(time_point now, net::connection_id link, const net::address& where,
              std::uint64_t known, duration wait, duration within, effects& out) {
    out.emplace_back(finder_effects::ask{++last_id_, link, known, wait, within});
    return {last_id_, link, where, known, now + within};
  }

  [[nodiscard]] bool is_dialling(const net::address& where) const {
    return dials_.contains(where);
  }

  [[nodiscard]] dial_list& dials() {
    return dials_;
  }

  [[nodiscard]] const dial_list& dials() const {
    return dials_;
  }

  static problem no_answer(const net::address& where) {
    return {errc::timed_out, to_string(where)
                               + " does not answer; see that a troupe node runs there and is not "
                                 "stopped, or wait longer"};
  }

private:
  duration dial_within_;
  dial_list dials_;
  request_id last_id_ = 0;
};

} // namespace troupe::cluster
