#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/time.hpp"
#include "troupe/net/greeting.hpp"

namespace troupe::net {

/// Counts the connections that a node refuses, by reason, and says of each address at most once a
/// minute what it has refused: the first time at once, then with a count. Remembers a bounded
/// number of addresses; beyond that bound the rest is counted as one.
///
/// Steps like a machine: no clock, and lines go out.
class refusal_log {
public:
  static constexpr duration pause = std::chrono::minutes{1};

  explicit refusal_log(std::size_t max_addresses = 1024) : max_addresses_(max_addresses) {}

  /// A connection from the address `from` was refused. `detail` says more than the reason; may be
  /// empty. Appends the line to log, if any, to `out`.
  void note(time_point now, const std::string& from, verdict why, const std::string& detail,
            std::vector<std::string>& out) {
    tick(now, out);
    ++counts_[why];
    if (!is_worth_a_line(why))
      return;
    auto known = seen_.find(from);
    if (known == seen_.end() && seen_.size() >= max_addresses_)
      known = seen_.try_emplace(std::string{others}).first;
    else if (known == seen_.end())
      known = seen_.try_emplace(from).first;
    auto& [where, it] = *known;
    it.last = detail.empty() ? std::string{in_words(why)} : detail;
    if (it.silent_until) {
      ++it.untold;
      return;
    }
    out.push_back("refused a connection from " + where + ": " + it.last);
    silence(where, it, now);
  }

  /// Lets time pass: appends what has been counted in silence.
  void tick(time_point now, std::vector<std::string>& out) {
    while (!due_.empty() && due_.begin()->first <= now) {
      auto where = due_.extract(due_.begin()).value().second;
      auto found = seen_.find(where);
      auto& it = found->second;
      if (it.untold == 0) {
        seen_.erase(found);
        continue;
      }
      out.push_back("refused " + std::to_string(it.untold)
                    + (it.untold == 1 ? " more connection from " : " more connections from ")
                    + where + " within a minute; the last one: " + it.last);
      it.untold = 0;
      silence(where, it, now);
    }
  }

  /// When to call tick(); nothing if there is no need.
  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return due_.empty() ? std::nullopt : std::optional{due_.begin()->first};
  }

  /// How many connections were refused for which reason.
  [[nodiscard]] const std::map<verdict, std::uint64_t>& counts() const {
    return counts_;
  }

private:
  struct source {
    /// No line before then.
    std::optional<time_point> silent_until;
    std::uint64_t untold = 0;
    std::string last;
  };

  void silence(const std::string& where, source& it, time_point now) {
    it.silent_until = now + pause;
    due_.emplace(*it.silent_until, where);
  }

  /// Others are part of normal life: two nodes that dial each other, a connection that gives way.
  static bool is_worth_a_line(verdict why) {
    return !in_words(why).empty();
  }

  static std::string_view in_words(verdict why) {
    switch (why) {
      case verdict::foreign:
        return "it is of another cluster";
      case verdict::incompatible:
        return "it has no protocol version in common with this node";
      case verdict::bad_greeting:
        return "it is not a troupe node, or nodes with and without certificates were mixed";
      case verdict::timed_out:
        return "it did not greet in time";
      case verdict::unproven:
        return "its certificate does not prove what it says it is";
      case verdict::not_secured:
        return "it did not prove who it is";
      case verdict::not_admitted:
        return "it asked for a certificate without a valid token";
      case verdict::admitted:
      case verdict::go:
      case verdict::no_cluster:
      case verdict::myself:
      case verdict::duplicate:
      case verdict::old_boot:
      case verdict::linked:
      case verdict::greeting:
      case verdict::dialling:
      case verdict::full:
      case verdict::unreachable:
      case verdict::closed:
      case verdict::wrong_node:
      case verdict::crossed:
      case verdict::displaced:
      case verdict::stopped:
        return {};
    }
    return {};
  }

  static constexpr std::string_view others = "other addresses";

  std::size_t max_addresses_;
  std::map<std::string, source> seen_;
  std::set<std::pair<time_point, std::string>> due_;
  std::map<verdict, std::uint64_t> counts_;
};

} // namespace troupe::net
