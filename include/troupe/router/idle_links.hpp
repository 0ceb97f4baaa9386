#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"

namespace troupe::router {

/// When links are left to rest.
struct idle_options {
  /// A link is closed that neither side has used for so long; zero: never.
  duration idle_after = std::chrono::seconds{60};
  /// One that has never been used by this side since it is up is closed after this if that is
  /// sooner: it was made for a question or two beside the router, as when members compare what
  /// they know. Longer than any of those takes. Zero: after idle_after.
  duration unused_after = std::chrono::seconds{10};
  /// For the other side to say whether it agrees; until then nothing is sent.
  duration answer_within = std::chrono::seconds{5};
  /// After how long a silent link ends, see net::table_options. Who agreed to close one and sees no
  /// end of it goes on 2 s after this and answer_within: before that the other side may have closed
  /// it, and word of that be lost.
  duration link_timeout = std::chrono::seconds{8};
  /// This side needs all its links, used or not.
  bool keeps_all = false;
};

namespace idle {

// -- events -------------------------------------------------------------------------

struct linked {
  node_id peer{};
};

struct unlinked {
  node_id peer{};
};

/// Something was sent, last at `at`, or an answer is waited for (now).
struct used {
  node_id peer{};
  time_point at{};
};

/// The peer wants to close the link.
struct asked {
  node_id peer{};
};

/// What the peer said to that.
struct answered {
  node_id peer{};
  bool agrees = false;
};

/// From now on this side needs all its links, or those to these peers, and no others.
struct keep {
  bool all = false;
  std::set<node_id> peers{};
};

using event = std::variant<linked, unlinked, used, asked, answered, keep>;

// -- effects ------------------------------------------------------------------------

/// Send nothing more, then ask the peer.
struct ask {
  node_id peer{};
};

/// Tell the peer that asked; if this side agrees, send nothing after the answer.
struct answer {
  node_id peer{};
  bool agrees = false;
};

/// Nothing is on the way in either direction: close the link.
struct close {
  node_id peer{};
};

/// The link stays: send what has waited.
struct go_on {
  node_id peer{};
};

using effect = std::variant<ask, answer, close, go_on>;

} // namespace idle

/// Decides when a link that nobody uses is closed, so that no message is lost: both sides
/// know when they have sent their last one, and messages from one to the other keep their
/// order. The smaller id asks; it stops to send before that, the other with its answer. So
/// all that either sent has arrived when the one that asked closes the link. What comes up
/// meanwhile waits for the next link, or for the word that this one stays. Who is asked agrees if
/// it has had no use for half as long: it may have seen the link, or the last message, a little
/// later.
///
/// Steps like any machine. It has no snapshot: links do not outlive a process.
class idle_links {
public:
  using effects = std::vector<idle::effect>;

  idle_links(const node_id& self, idle_options options) : self_(self), options_(options) {}

  /// Handles what has happened at `now`. Whoever runs it tells which links were used before
  /// time passes and before a peer's question. Cost: O(log n) in links.
  void step(time_point now, const idle::event& what, effects& out) {
    if (!std::holds_alternative<idle::used>(what)) // tells of the past: it comes before alarms
      tick(now, out);
    troupe::visit([&](const auto& each) { handle(now, each, out); }, what);
  }

  void tick(time_point now, effects& out) {
    while (!alarms_.empty() && alarms_.begin()->first <= now) {
      auto peer = alarms_.begin()->second;
      auto& it = links_.at(peer);
      if (it.state != phase::in_use) {
        go_on(now, peer, it, out); // no answer, or no end of the link
      } else if (it.used + span_of(it) > now) {
        arm(peer, it, it.used + span_of(it));
      } else {
        it.state = phase::asking;
        arm(peer, it, now + options_.answer_within);
        out.push_back(idle::ask{peer});
      }
    }
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    if (alarms_.empty())
      return std::nullopt;
    return alarms_.begin()->first;
  }

private:
  enum class phase { in_use, asking, agreed, closing };

  struct link {
    phase state = phase::in_use;
    time_point used{};
    std::optional<time_point> alarm{};
    /// This side, or the other, has had a use for it.
    bool has_served = false;
  };

  void handle(time_point now, const idle::linked& what, effects&) {
    auto& it = links_[what.peer];
    it.state = phase::in_use;
    it.used = now;
    it.has_served = false;
    wait_for_idleness(what.peer, it);
  }

  void handle(time_point, const idle::unlinked& what, effects&) {
    auto found = links_.find(what.peer);
    if (found == links_.end())
      return;
    arm(what.peer, found->second, std::nullopt);
    links_.erase(found);
  }

  void handle(time_point, const idle::used& what, effects&) {
    auto found = links_.find(what.peer);
    if (found == links_.end() || what.at < found->second.used)
      return;
    found->second.used = what.at;
    found->second.has_served = true;
  }

  void handle(time_point now, const idle::asked& what, effects& out) {
    auto found = links_.find(what.peer);
    auto agrees = found != links_.end() && may_close(what.peer)
                  && (found->second.state == phase::agreed
                      || (found->second.state == phase::in_use
                          && found->second.used + span_of(found->second) / 2 <= now));
    out.push_back(idle::answer{what.peer, agrees});
    if (agrees) {
      found->second.state = phase::agreed;
      arm(what.peer, found->second,
          now + options_.answer_within + options_.link_timeout + std::chrono::seconds{2});
    } else if (found != links_.end() && found->second.state == phase::agreed) {
      go_on(now, what.peer, found->second, out); // who asks anew has not closed it
    }
  }

  void handle(time_point now, const idle::answered& what, effects& out) {
    auto found = links_.find(what.peer);
    if (found == links_.end() || found->second.state != phase::asking)
      return;
    if (!what.agrees)
      return go_on(now, what.peer, found->second, out);
    found->second.state = phase::closing;
    arm(what.peer, found->second, std::nullopt);
    out.push_back(idle::close{what.peer});
  }

  /// What is under way goes on.
  void handle(time_point now, const idle::keep& what, effects&) {
    options_.keeps_all = what.all;
    kept_ = what.peers;
    for (auto& [peer, it] : links_)
      if (it.state == phase::in_use) {
        it.used = now;
        wait_for_idleness(peer, it);
      }
  }

  void go_on(time_point now, const node_id& peer, link& it, effects& out) {
    it.state = phase::in_use;
    it.used = now;
    it.has_served = true;
    wait_for_idleness(peer, it);
    out.push_back(idle::go_on{peer});
  }

  void wait_for_idleness(const node_id& peer, link& it) {
    auto asks = may_close(peer) && self_ < peer;
    arm(peer, it, asks ? std::optional{it.used + span_of(it)} : std::nullopt);
  }

  [[nodiscard]] duration span_of(const link& it) const {
    auto unused = options_.unused_after > duration::zero() && !it.has_served;
    return unused ? std::min(options_.unused_after, options_.idle_after) : options_.idle_after;
  }

  [[nodiscard]] bool may_close(const node_id& peer) const {
    return options_.idle_after > duration::zero() && !options_.keeps_all && !kept_.contains(peer);
  }

  void arm(const node_id& peer, link& it, std::optional<time_point> when) {
    if (it.alarm)
      alarms_.erase({*it.alarm, peer});
    it.alarm = when;
    if (when)
      alarms_.emplace(*when, peer);
  }

  node_id self_;
  idle_options options_;
  /// Links to these are needed, used or not.
  std::set<node_id> kept_;
  std::map<node_id, link> links_;
  std::set<std::pair<time_point, node_id>> alarms_;
};

} // namespace troupe::router
