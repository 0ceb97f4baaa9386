#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/log_effects.hpp"
#include "troupe/core/complaints.hpp"
#include "troupe/core/time.hpp"
#include "troupe/security/datagram_book.hpp"

namespace troupe::cluster {

/// Tells of datagrams that a node has dropped: how many for which reason, for its metrics, and a
/// line for its log when those of a kind begin, and when there was none for a minute, with their
/// number. However many come, the counts are looked at once a second, and not at all while there
/// are none.
///
/// Datagrams of strangers belong to normal life: where nodes start and join, some write to others
/// that have yet to hear of them. Such a kind has a line only if more come in a row than nodes that
/// start would send.
///
/// Steps like a machine: no clock. Not thread-safe.
class datagram_log {
public:
  using counts = security::datagram_book::counts;

  struct kind {
    /// In the metrics.
    const char* name;
    std::uint64_t counts::*count;
    const char* topic;
    const char* remedy;
    /// So many in a row are counted in silence.
    std::uint64_t usual;
  };

  static constexpr std::array<kind, 5> kinds{{
    {"foreign", &counts::foreign, "datagrams (UDP) that are not a node's are dropped",
     "another program sends to the port at which this node accepts links; let only nodes of the "
     "cluster reach that port",
     0},
    // Members send each node a few datagrams a second, however many they are, and a node that
    // starts knows the others within seconds.
    {"strange", &counts::strange, "datagrams (UDP) of strangers are dropped",
     "the sender is no member, or uses a key that is not known here: a node of another cluster, "
     "one "
     "whose certificate does not count, or somebody who repeats what was recorded; let only nodes "
     "of the cluster reach the port at which this node accepts links",
     100},
    {"changed", &counts::damaged, "datagrams (UDP) that were changed on their way are dropped",
     "somebody forges datagrams of a member, or a device between the nodes changes them", 0},
    {"repeated", &counts::repeated, "datagrams (UDP) that have come before are dropped",
     "they change nothing; the network delivers them twice, or somebody repeats what was recorded",
     0},
    {"surplus", &counts::surplus,
     "datagrams (UDP) of a member beyond those that are read in a second are dropped",
     "its process is faulty, or another one has its keys: stop it, and revoke its certificate if "
     "it "
     "is not yours",
     0},
  }};

  /// The counts are looked at so long after the first datagram that was dropped.
  static constexpr duration look_after = std::chrono::seconds{1};
  /// Without one of a kind for so long it is over.
  static constexpr duration pause = std::chrono::minutes{1};
  /// After so long without one of a kind the next one is the first in a row.
  static constexpr duration row_ends_after = std::chrono::seconds{10};

  using line = std::variant<log_effects::warn, log_effects::inform>;

  struct report {
    /// What has come since the report before.
    counts more{};
    std::vector<line> lines{};
  };

  /// Some were dropped: the counts have changed.
  void note(time_point now) {
    if (!since_)
      since_ = now;
  }

  /// When to call look(); nothing if there is no need.
  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto over = open_.quiet_since();
    if (over)
      *over += pause;
    if (!since_)
      return over;
    return std::min(*since_ + look_after, over.value_or(time_point::max()));
  }

  /// The counts are `all` now; `senders` says for each kind from where the last one came, as it
  /// says: empty if that is not known.
  /// @pre no count of `all` is less than before
  [[nodiscard]] report look(time_point now, const counts& all,
                            const std::array<std::string, kinds.size()>& senders) {
    report made;
    for (auto& text : open_.settle_quiet(now - pause))
      made.lines.emplace_back(log_effects::inform{std::move(text)});
    auto since = since_.value_or(now);
    since_.reset();
    for (std::size_t each = 0; each < kinds.size(); ++each) {
      auto& of = kinds[each];
      made.more.*of.count = all.*of.count - seen_.*of.count;
      if (made.more.*of.count > 0)
        add(since, now, each, made.more.*of.count, senders[each], made.lines);
    }
    seen_ = all;
    return made;
  }

private:
  /// Those of a kind that came without a pause.
  struct row {
    time_point began{};
    time_point last{};
    std::uint64_t count = 0;
  };

  void add(time_point since, time_point now, std::size_t which, std::uint64_t more,
           const std::string& sender, std::vector<line>& out) {
    auto& lately = rows_[which];
    if (lately.count == 0 || since - lately.last >= row_ends_after)
      lately = {since, now, 0};
    lately.last = now;
    lately.count += more;
    auto& of = kinds[which];
    auto is_open = open_.is_open(of.topic);
    if (!is_open && lately.count <= of.usual)
      return;
    auto detail = std::to_string(lately.count) + " within " + in_words(now - lately.began);
    if (!sender.empty())
      detail += ", the last one from " + sender;
    auto due = open_.raise(now, of.topic, detail + "; " + of.remedy, {},
                           {lately.began, is_open ? more : lately.count});
    if (due)
      out.emplace_back(log_effects::warn{*std::move(due)});
  }

  counts seen_;
  std::array<row, kinds.size()> rows_{};
  complaints open_{kinds.size()};
  /// When the first came that is not in `seen_`.
  std::optional<time_point> since_;
};

} // namespace troupe::cluster
