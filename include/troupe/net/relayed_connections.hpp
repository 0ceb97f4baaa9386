#pragma once

#include <cassert>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <poll.h>

#include "troupe/core/ids.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/net/connection.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/greeting.hpp"
#include "troupe/net/relay_table.hpp"
#include "troupe/net/relayed_bytes.hpp"
#include "troupe/net/socket.hpp"
#include "troupe/net/types.hpp"

namespace troupe::net {

/// The connections of peers that this node relays, or is about to: carries out what a relay_table
/// decides. Each has a near end, at the peer that asked, and a far one, at the place that this node
/// relays to.
///
/// Never blocks: its thread polls for what poll_for() names, then calls go_on(). Used by one
/// thread. Memory: at most `2 * relayed_bytes::buffer_bytes` for each, and
/// `relay_options::max_relays` of them. Cost of poll_for() and go_on(): O(n) in them, and a bounded
/// part of the bytes of each.
class relayed_connections {
public:
  /// What it needs of its node.
  struct surroundings {
    /// Starts to connect to an address of the place; does not wait.
    std::function<result<socket>(const endpoint&)> connect;
    /// Who this node is, for its answers.
    std::function<hello()> self;
    /// A peer was told that its connection is not relayed, and why.
    std::function<void(verdict)> refused;
  };

  explicit relayed_connections(surroundings around, relay_options options = {})
    : around_(std::move(around)), table_(options) {}

  /// From now on this node relays to `where`, at the first of `at` that can be connected to; to
  /// nobody if `at` is empty. Connections that are relayed already go on.
  void offer(time_point now, const std::string& where, std::vector<endpoint> at) {
    at_ = std::move(at);
    step(now, relay_table::offer{at_.empty() ? std::string{} : where});
  }

  /// The peer of `near` has asked to be relayed to the place with the mark `to`, and gets its
  /// answer from here. `identity`: see relay_table::asked.
  /// @pre no other one is relayed under `id`; the greeting of `near` has come
  void relay(time_point now, connection_id id, connection near, place_mark to, node_id identity) {
    connections_.emplace(id, relayed{std::move(near)});
    step(now, relay_table::asked{id, to, identity});
  }

  /// Appends two places for each connection.
  void poll_for(std::vector<pollfd>& polled) {
    polled_.clear();
    for (auto& [id, each] : connections_) {
      polled_.push_back(id);
      if (each.bytes) {
        polled.push_back(each.bytes->wanted(0));
        polled.push_back(each.bytes->wanted(1));
      } else { // the near end says nothing until the far one is there
        polled.push_back({-1, 0, 0});
        polled.push_back({each.far.get(), POLLOUT, 0});
      }
    }
  }

  /// `polled`: the places that the last poll_for() appended, with what poll() found.
  void go_on(time_point now, std::span<const pollfd> polled) {
    assert(polled.size() == 2 * polled_.size());
    for (std::size_t index = 0; index < polled_.size(); ++index)
      if (polled[2 * index].revents != 0 || polled[2 * index + 1].revents != 0)
        go_on(now, polled_[index]);
  }

  /// Ends what was silent for too long, and refuses what takes too long to connect.
  void tick(time_point now) {
    relay_table::effects out;
    table_.tick(now, out);
    carry_out(now, out);
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return table_.next_deadline();
  }

  /// Returns how many connections are relayed, or will be.
  [[nodiscard]] std::size_t size() const {
    return connections_.size();
  }

  /// Closes all of them, as this node stops.
  void clear() {
    connections_.clear();
  }

private:
  struct relayed {
    connection near;
    /// Where the place may be as well.
    std::vector<endpoint> untried = {};
    /// While it is being made.
    socket far = {};
    /// From then on: both are in there.
    std::optional<relayed_bytes> bytes = {};
  };

  void step(time_point now, const relay_table::event& what) {
    relay_table::effects out;
    table_.step(now, what, out);
    carry_out(now, out);
  }

  void carry_out(time_point now, const relay_table::effects& what) {
    for (auto& each : what)
      troupe::visit([&](auto& one) { perform(now, one); }, each);
  }

  void perform(time_point now, const relay_table::connect& what) {
    connections_.at(what.connection).untried = {at_.rbegin(), at_.rend()};
    try_next(now, what.connection);
  }

  /// Connects to the next address of the place; the table bounds the time of all together.
  void try_next(time_point now, connection_id id) {
    auto& it = connections_.at(id);
    while (!it.untried.empty()) {
      auto made = around_.connect(it.untried.back());
      it.untried.pop_back();
      if (made) {
        it.far = *std::move(made);
        return;
      }
    }
    step(now, relay_table::gone{id});
  }

  /// The answer leaves whole, so that what comes next is for the other end.
  void perform(time_point now, const relay_table::begin& what) {
    auto& it = connections_.at(what.connection);
    if (!it.near.say(answer{verdict::go, around_.self()}))
      return step(now, relay_table::gone{what.connection});
    auto descriptor = it.near.release().first; // its stream ends here
    it.bytes.emplace(socket{descriptor}, std::move(it.far));
  }

  void perform(time_point, const relay_table::refuse& what) {
    auto refused = connections_.extract(what.connection);
    if (refused.mapped().near.say(answer{what.why, around_.self()}))
      around_.refused(what.why);
  }

  void perform(time_point, const relay_table::end& what) {
    connections_.erase(what.connection);
  }

  void go_on(time_point now, connection_id id) {
    auto found = connections_.find(id);
    if (found == connections_.end())
      return; // it has ended since it was polled for
    if (auto& bytes = found->second.bytes) {
      auto [has_moved, is_over] = bytes->move();
      if (has_moved)
        step(now, relay_table::moved{id});
      if (is_over)
        step(now, relay_table::gone{id});
    } else if (connect_error(found->second.far) != 0) {
      try_next(now, id);
    } else {
      step(now, relay_table::reached{id});
    }
  }

  const surroundings around_;
  relay_table table_;
  /// Where the place is.
  std::vector<endpoint> at_;
  std::map<connection_id, relayed> connections_;
  /// In the order of what poll_for() appended.
  std::vector<connection_id> polled_;
};

} // namespace troupe::net
