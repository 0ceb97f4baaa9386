#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/net/greeting.hpp"
#include "troupe/net/types.hpp"

namespace troupe::net {

/// Limits and times of a `relay_table`.
struct relay_options {
  /// Connections that are relayed at a time. Further ones are refused.
  std::size_t max_relays = 64;
  /// Of those with one certificate.
  std::size_t max_relays_of_one = 8;
  /// From the request to the connection with the other node.
  duration connect_timeout = std::chrono::seconds{1};
  /// A relayed connection over which no byte has come for so long is ended. Links have heartbeats.
  duration idle_timeout = std::chrono::minutes{1};
};

/// Decides which connections this node relays: peers that reach this node, and not the node of the
/// services, ask for it, and encrypt from end to end what is relayed. So the two ends prove to each
/// other who they are, as over any link, and this node can neither read nor change what passes.
///
/// - There is one place to relay to: the node of the services, while this node has a link to it
///   that is not relayed itself. So there is one relay on a way, and no loop. Who asks names the
///   place that it means, and is refused if that is another.
/// - A relayed connection goes on when the services have moved: its two ends decide when it ends.
/// - When all places are taken, a request is refused.
///
/// Steps like any machine. No snapshot: connections do not outlive a process. Not thread-safe. Cost
/// of a step: O(log n) in relayed connections, of `asked` O(n).
class relay_table {
public:
  // -- events ----------------------------------------------------------------------------

  /// This node relays to `where`, "HOST:PORT"; empty: it relays to nobody.
  struct offer {
    std::string where;
  };

  /// A peer wants its connection relayed to the place with this mark. `identity`: who that is, as
  /// far as its connection proves it.
  struct asked {
    connection_id connection = 0;
    place_mark to = 0;
    node_id identity{};
  };

  /// The connection with the other node is there.
  struct reached {
    connection_id connection = 0;
  };

  /// Bytes have come from one of the two.
  struct moved {
    connection_id connection = 0;
  };

  /// One of the two has closed its connection, or there is none.
  struct gone {
    connection_id connection = 0;
  };

  using event = std::variant<offer, asked, reached, moved, gone>;

  // -- effects ---------------------------------------------------------------------------

  /// Connect to `where` for it; step `reached` or `gone`.
  struct connect {
    connection_id connection = 0;
    std::string where;
  };

  /// Answer go, and from then on move the bytes of both to each other, as they are.
  struct begin {
    connection_id connection = 0;
  };

  /// Answer `why`, and close it.
  struct refuse {
    connection_id connection = 0;
    verdict why = verdict::no_relay;
  };

  /// Close both connections.
  struct end {
    connection_id connection = 0;
  };

  using effect = std::variant<connect, begin, refuse, end>;
  using effects = std::vector<effect>;

  explicit relay_table(relay_options options = {}) : options_(options) {}

  /// @pre `now` never goes backwards.
  void step(time_point now, const event& what, effects& out) {
    troupe::visit([&](auto& each) { handle(now, each, out); }, what);
  }

  void tick(time_point now, effects& out) {
    while (!due_.empty() && due_.begin()->first <= now) {
      auto late = due_.begin()->second;
      close(now, late, out);
    }
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return due_.empty() ? std::nullopt : std::optional{due_.begin()->first};
  }

  /// Returns how many connections are relayed, or will be.
  [[nodiscard]] std::size_t size() const {
    return relays_.size();
  }

private:
  struct relay {
    node_id identity{};
    bool has_begun = false;
    time_point due{};
  };

  void handle(time_point, const offer& what, effects&) {
    where_ = what.where;
  }

  void handle(time_point now, const asked& what, effects& out) {
    if (where_.empty() || what.to != mark_of(where_))
      return out.push_back(refuse{what.connection, verdict::no_relay});
    auto alike = std::ranges::count_if(
      relays_, [&](auto& each) { return each.second.identity == what.identity; });
    if (relays_.size() >= options_.max_relays
        || static_cast<std::size_t>(alike) >= options_.max_relays_of_one)
      return out.push_back(refuse{what.connection, verdict::full});
    relays_[what.connection] = {what.identity, false, now + options_.connect_timeout};
    due_.emplace(now + options_.connect_timeout, what.connection);
    out.push_back(connect{what.connection, where_});
  }

  void handle(time_point now, const reached& what, effects& out) {
    auto found = relays_.find(what.connection);
    if (found == relays_.end() || std::exchange(found->second.has_begun, true))
      return;
    extend(now, *found);
    out.push_back(begin{what.connection});
  }

  void handle(time_point now, const moved& what, effects&) {
    auto found = relays_.find(what.connection);
    if (found != relays_.end() && found->second.has_begun)
      extend(now, *found);
  }

  void handle(time_point now, const gone& what, effects& out) {
    if (relays_.contains(what.connection))
      close(now, what.connection, out);
  }

  void extend(time_point now, std::pair<const connection_id, relay>& which) {
    due_.erase({which.second.due, which.first});
    which.second.due = now + options_.idle_timeout;
    due_.emplace(which.second.due, which.first);
  }

  void close(time_point, connection_id which, effects& out) {
    auto over = relays_.extract(which);
    due_.erase({over.mapped().due, which});
    if (over.mapped().has_begun)
      out.push_back(end{which});
    else
      out.push_back(refuse{which, verdict::no_relay});
  }

  const relay_options options_;
  std::string where_;
  std::map<connection_id, relay> relays_;
  std::set<std::pair<time_point, connection_id>> due_;
};

} // namespace troupe::net
