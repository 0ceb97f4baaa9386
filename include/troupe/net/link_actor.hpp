#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "caf/behavior.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/node_id.hpp"
#include "caf/response_promise.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/link_options.hpp"
#include "troupe/net/messages.hpp"

namespace troupe::net {

/// Carries requests over one link and fails all open ones at once when the link has ended; CAF
/// leaves them to their time-outs. A request on a raw handle of the peer does not use this: it has
/// its time-out only.
///
/// Errors, in addition to the target's own: outcome_unknown if the link ended before the answer;
/// bad_argument if the target is not on the other side; limit_reached if too many requests are
/// open; unreachable once the link has ended. Bulk data is sent in pieces, which the target
/// acknowledges by its answer: too_large for a piece above the bound, busy while the window is
/// full, so that heartbeats pass. If nothing is unacknowledged, a piece is always sent.
///
/// Cost: one message to this actor each way, none over the network.
class link_actor_state {
public:
  static inline const char* name = "troupe.link";

  /// `node` is the other side; `ended` is called once, when BASP has forgotten it and delivered all
  /// messages from it.
  link_actor_state(caf::event_based_actor* self, caf::node_id node, std::string peer,
                   request_options options, std::function<void()> ended)
    : self_(self),
      node_(std::move(node)),
      peer_(std::move(peer)),
      options_(options),
      ended_(std::move(ended)) {}

  caf::behavior make_behavior() {
    self_->set_node_down_handler([this](caf::node_down_msg&) {
      lose();
      ended_();
    });
    ignore_strays(self_); // if it ended before its link, nobody would hear of the end of that
    self_->monitor(node_);
    return {
      [this](relay& what) { return carry(what); },
      [this](link_lost) { lose(); },
    };
  }

private:
  caf::result<caf::message> carry(relay& what) {
    if (auto why = refuse(what))
      return to_error(std::move(why));
    auto id = ++last_;
    auto size = what.bulk_bytes;
    unacknowledged_bytes_ += size;
    open_.emplace(id, self_->make_response_promise());
    compat::relay(
      self_, what.target, what.timeout, std::move(what.what),
      [this, id, size](caf::message answer) { close(id, size, std::move(answer)); },
      [this, id, size](caf::error why) { close(id, size, std::move(why)); });
    return caf::delegated<caf::message>{};
  }

  [[nodiscard]] problem refuse(const relay& what) const {
    if (!what.target || what.target->node() != node_)
      return {errc::bad_argument, "the target is not an actor of " + peer_
                                    + "; resolve it again, or ask over the link to its own node"};
    if (open_.size() >= options_.max_pending)
      return {errc::limit_reached, "all " + std::to_string(options_.max_pending) + " requests to "
                                     + peer_
                                     + " are in use; retry with backoff or raise "
                                       "request_options::max_pending"};
    if (what.bulk_bytes > options_.max_piece_bytes)
      return {errc::too_large, "a piece of " + std::to_string(what.bulk_bytes)
                                 + " bytes is above request_options::max_piece_bytes ("
                                 + std::to_string(options_.max_piece_bytes)
                                 + "); send smaller pieces"};
    auto window = std::uint64_t{options_.bulk_window_bytes};
    if (what.bulk_bytes > 0 && unacknowledged_bytes_ > 0
        && unacknowledged_bytes_ + what.bulk_bytes > window)
      return {errc::busy, peer_ + " has " + std::to_string(unacknowledged_bytes_)
                            + " bytes to acknowledge (request_options::bulk_window_bytes is "
                            + std::to_string(window) + "); send the next piece after an answer"};
    return {};
  }

  template <class Answer>
  void close(std::uint64_t id, std::uint32_t size, Answer&& answer) {
    auto found = open_.extract(id);
    if (!found)
      return; // failed already
    unacknowledged_bytes_ -= size;
    found.mapped().deliver(std::forward<Answer>(answer));
  }

  /// Fails the open requests, then ends: later callers get "receiver down".
  void lose() {
    for (auto& [id, promise] : std::exchange(open_, {}))
      promise.deliver(
        to_error({errc::outcome_unknown, "the link to " + peer_
                                           + " ended before the answer; the request may have been "
                                             "carried out, look at the state before a repeat"}));
    self_->quit();
  }

  caf::event_based_actor* self_;
  caf::node_id node_;
  std::string peer_;
  request_options options_;
  std::function<void()> ended_;
  std::map<std::uint64_t, caf::response_promise> open_;
  std::uint64_t last_ = 0;
  std::uint64_t unacknowledged_bytes_ = 0;
};

using link_actor = caf::stateful_actor<link_actor_state>;

/// Asks `target`, an actor at the other side of the link that `carrier` serves, for
/// `what`: like self->request(target, timeout, what...), but the answer does not wait for
/// the time-out when the link is lost.
template <class Self, class Handle, class... Ts>
auto request(Self* self, const caf::actor& carrier, duration timeout, const Handle& target,
             Ts&&... what) {
  return self->request(carrier, caf::infinite,
                       relay{timeout, caf::actor_cast<caf::strong_actor_ptr>(target),
                             caf::make_message(std::forward<Ts>(what)...), 0});
}

} // namespace troupe::net
