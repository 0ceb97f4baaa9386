#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/result.hpp"
#include "caf/typed_response_promise.hpp"
#include "troupe/cluster/open_questions.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/net/peer_book.hpp"
#include "troupe/security/types.hpp"

namespace troupe::cluster {

/// Answers other members with what is made elsewhere, on any thread. Part of the state of the actor
/// that they ask.
class peer_questions {
public:
  peer_questions(caf::event_based_actor* self, std::shared_ptr<const net::peer_book> peers)
    : self_(self), peers_(std::move(peers)) {}

  /// Returns which member has sent the current message, if it may ask. Errors: denied: it is no
  /// member; busy: too many of its questions are open.
  [[nodiscard]] result<node_id> who_asks() const {
    auto from = peers_->find(self_->current_sender());
    if (!from || from->as != security::role::member)
      return problem{errc::denied, "members tell each other of members, over their links"};
    if (!open_.has_room(from->node))
      return problem{errc::busy, std::to_string(open_questions::max_of_one)
                                   + " questions of this node about members wait for answers; ask "
                                     "again once they have come"};
    return from->node;
  }

  /// Answers the current message, which is of `peer`, with what `begin` has its argument called
  /// with, on any thread.
  template <class Begin>
  caf::result<std::string> later(const node_id& peer, Begin begin) {
    auto number = open_.begin(peer);
    auto promise = self_->make_response_promise<std::string>();
    // It stays here: CAF counts who has it without a lock.
    promises_.emplace(number, promise);
    begin([this, home = caf::weak_actor_ptr{self_->ctrl()}, number](std::string made) {
      run_on(home,
             [this, number, made = std::move(made)]() mutable { answer(number, std::move(made)); });
    });
    return promise;
  }

  /// Nobody gets an answer any more: those who wait for one get an error.
  void stop() {
    promises_.clear();
  }

private:
  void answer(request_id number, std::string what) {
    open_.end(number);
    if (auto found = promises_.extract(number))
      found.mapped().deliver(std::move(what));
  }

  caf::event_based_actor* self_;
  std::shared_ptr<const net::peer_book> peers_;
  open_questions open_;
  std::map<request_id, caf::typed_response_promise<std::string>> promises_;
};

} // namespace troupe::cluster
