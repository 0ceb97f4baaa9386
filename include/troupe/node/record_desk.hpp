#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/result.hpp"
#include "troupe/cluster/exchange_types.hpp"
#include "troupe/cluster/record_exchange.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/memory_budget.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/node/peer_keepers.hpp"
#include "troupe/node/peer_questions.hpp"

namespace troupe::cluster {

/// A node's part in the exchange of records with other members, over links: which ones, a
/// record_exchange decides. Part of its membership_part, to which they are sent.
class record_desk {
public:
  using taker = std::function<void(std::optional<std::vector<told_records>>)>;
  /// Gives what this node knows of the records that a member asks for, on any thread.
  using finder
    = std::function<void(std::vector<record_wish>, std::function<void(std::vector<told_records>)>)>;

  /// `keepers` and `questions` outlive it.
  record_desk(caf::event_based_actor* self, peer_keepers& keepers, peer_questions& questions,
              finder find)
    : self_(self), keepers_(keepers), questions_(questions), find_(std::move(find)) {}

  /// Asks a member, with a link if there is none, and calls `done` with what it answers, if it
  /// does.
  void ask(const record_exchange::ask& what, taker done) {
    keepers_.find(what.whom, [this, wishes = to_bytes(what.what),
                              done = std::move(done)](const caf::strong_actor_ptr& who) {
      if (!who)
        return done({});
      self_
        ->request(caf::actor_cast<caf::actor>(who), peer_keepers::answer_within,
                  exchange_records{wishes})
        .then(
          [done](const std::string& answer) {
            done(from_bytes<std::vector<told_records>>(answer, memory_budget{max_answer}));
          },
          [done](const caf::error&) { done({}); });
    });
  }

  /// Answers the current message.
  caf::result<std::string> answer(const exchange_records& what) {
    auto from = questions_.who_asks();
    if (!from)
      return to_error(from.error());
    auto wishes = from_bytes<std::vector<record_wish>>(what.wishes, memory_budget{max_question});
    if (!wishes || wishes->size() > exchange_options{}.max_asked)
      return to_error({errc::bad_argument, "asks for the records of more nodes than there are in "
                                           "an answer"});
    return questions_.later(*from, [&](auto done) {
      find_(*std::move(wishes),
            [done](const std::vector<told_records>& found) { done(to_bytes(found)); });
    });
  }

private:
  /// What reading a message may take.
  static constexpr std::size_t max_question = std::size_t{1} << 20U;
  static constexpr std::size_t max_answer = 8 * max_question;

  caf::event_based_actor* self_;
  peer_keepers& keepers_;
  peer_questions& questions_;
  finder find_;
};

} // namespace troupe::cluster
