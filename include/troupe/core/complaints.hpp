#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "troupe/core/time.hpp"

namespace troupe {

/// Limits the log lines about a fault that lasts and is met again and again. Each fault is a topic
/// with changing details. A line is due when a complaint begins, when it has a detail that was not
/// raised lately, and when it ends, with the number of occurrences; all other occurrences are only
/// counted. Details that alternate are logged once each.
///
/// Holds a bounded number of complaints (the least recently raised one is evicted) and
/// `max_details` details of each; occurrences with further details are counted together, as those
/// for other reasons.
class complaints {
public:
  static constexpr std::size_t usual_topics = 100;
  static constexpr std::size_t max_details = 8;
  /// A detail that was not raised for this long is logged again.
  static constexpr duration forgotten_after = std::chrono::minutes{10};

  explicit complaints(std::size_t max_topics = usual_topics) : max_topics_(max_topics) {}

  /// Notes that `topic` is wrong at `now` because of `detail`. Returns the line to log, if one is
  /// due.
  [[nodiscard]] std::optional<std::string> raise(time_point now, const std::string& topic,
                                                 const std::string& detail) {
    return raise(now, topic, detail, detail);
  }

  /// The same for a detail that says more than why, such as a time: `reason` is what tells it from
  /// others.
  [[nodiscard]] std::optional<std::string> raise(time_point now, const std::string& topic,
                                                 const std::string& detail,
                                                 const std::string& reason) {
    return raise(now, topic, detail, reason, {now, 1});
  }

  /// Occurrences that are noted together, as there may be too many to note each of them.
  struct bout {
    time_point began;
    std::uint64_t times = 1;
  };

  /// The same for all of a bout that has lasted until `now`.
  [[nodiscard]] std::optional<std::string> raise(time_point now, const std::string& topic,
                                                 const std::string& detail,
                                                 const std::string& reason, const bout& lately) {
    auto known = open_.find(topic);
    if (known == open_.end()) {
      make_room();
      open_.emplace(topic, complaint{lately.began, now, lately.times, {{reason, now}}, 0});
      return topic + ": " + detail;
    }
    auto& what = known->second;
    what.count += lately.times;
    what.last = now;
    if (!is_news(now, what, reason, lately.times))
      return std::nullopt;
    return topic + ": " + detail + extent(now, what);
  }

  /// Notes that `topic` works again at `now`. Returns the line to log; nothing if nothing was
  /// wrong.
  [[nodiscard]] std::optional<std::string> settle(time_point now, const std::string& topic) {
    auto known = open_.extract(topic);
    if (!known)
      return std::nullopt;
    return "over: " + topic + extent(now, known.mapped());
  }

  /// Settles all that was not raised since `then`, for faults of which nobody says that they are
  /// over. Returns the lines to log.
  [[nodiscard]] std::vector<std::string> settle_quiet(time_point then) {
    std::vector<std::string> lines;
    std::erase_if(open_, [&](const auto& each) {
      auto& [topic, what] = each;
      if (what.last > then)
        return false;
      lines.push_back("over: " + topic + extent(what.last, what));
      return true;
    });
    return lines;
  }

  /// Returns when the complaint that is quiet for longest was raised last; nothing if there is
  /// none.
  [[nodiscard]] std::optional<time_point> quiet_since() const {
    if (open_.empty())
      return std::nullopt;
    return std::ranges::min_element(open_, {}, by_last)->second.last;
  }

  /// Returns whether a complaint on this topic has begun and not ended.
  [[nodiscard]] bool is_open(const std::string& topic) const {
    return open_.contains(topic);
  }

  /// Returns how many complaints have begun and not ended.
  [[nodiscard]] std::size_t size() const {
    return open_.size();
  }

private:
  struct said {
    std::string reason;
    time_point last;
  };

  struct complaint {
    time_point began;
    time_point last;
    std::uint64_t count = 0;
    std::vector<said> details;
    /// Of `count`, those with none of the details.
    std::uint64_t others = 0;
  };

  static bool is_news(time_point now, complaint& what, const std::string& reason,
                      std::uint64_t times) {
    auto known = std::ranges::find(what.details, reason, &said::reason);
    if (known == what.details.end() && what.details.size() < max_details) {
      what.details.push_back({reason, now});
      return true;
    }
    if (known == what.details.end()) {
      known = std::ranges::min_element(what.details, {}, &said::last);
      if (now - known->last < forgotten_after) {
        what.others += times; // too many details alternate to log them all
        return false;
      }
      known->reason = reason;
    }
    auto is_forgotten = now - known->last >= forgotten_after;
    known->last = now;
    return is_forgotten;
  }

  /// " (7 times in 1.5 s)"
  static std::string extent(time_point now, const complaint& what) {
    auto text = " (" + std::to_string(what.count) + (what.count == 1 ? " time in " : " times in ")
                + in_words(now - what.began);
    if (what.others > 0)
      text += ", " + std::to_string(what.others) + " of them for other reasons than those logged";
    return text + ")";
  }

  static constexpr auto by_last = [](const auto& each) { return each.second.last; };

  void make_room() {
    if (open_.size() >= max_topics_)
      open_.erase(std::ranges::min_element(open_, {}, by_last));
  }

  std::size_t max_topics_;
  std::map<std::string, complaint> open_;
};

} // namespace troupe
