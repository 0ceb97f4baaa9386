#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "troupe/cluster/cards/introductions.hpp"
#include "troupe/cluster/cards/member_card.hpp"
#include "troupe/cluster/cards/showings.hpp"
#include "troupe/cluster/sealed_swim.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/timer_queue.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/memory_budget.hpp"
#include "troupe/core/time.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/node/peer_keepers.hpp"
#include "troupe/node/swim_thread.hpp"

namespace troupe::cluster {

/// Shows this node's card to others, over links, and takes theirs: to whom it has a link, see
/// introductions; to whom it is told to; and once its certificate is another one to all members.
/// Part of its membership_part, which judges the cards that come.
class card_desk {
public:
  using timers = timer_queue<caf::event_based_actor>;
  using taker = std::function<bool(member_card)>;

  /// What a node makes of the card of this one.
  enum class reply : std::uint8_t {
    /// Nothing has come of it.
    none,
    /// It is there, and has not looked at the card.
    busy,
    /// The card counts there.
    taken,
  };

  /// `queue` and `keepers` outlive it. Others are shown the card of `own`, which has that
  /// `certificate`; `meet` takes theirs, and returns whether
  /// it counts.
  card_desk(caf::event_based_actor* self, timers& queue, peer_keepers& keepers, const node_id& own,
            std::string certificate, taker meet)
    : self_(self),
      timers_(queue),
      keepers_(keepers),
      own_(own),
      shown_(std::move(certificate)),
      meet_(std::move(meet)) {}

  /// `thread`, which has the card, lives until stop() at least.
  void begin(swim_thread* thread) {
    thread_ = thread;
    introduce_all();
  }

  void stop() {
    has_ended_ = true;
    thread_ = nullptr;
  }

  // -- links -----------------------------------------------------------------------------

  void link_up(const node_id& node, bool has_dialled) {
    show_card(node, introductions_.link_up(node, has_dialled));
  }

  void link_down(const node_id& node) {
    introductions_.link_down(node);
  }

  /// That node has shown its card, which counts, and gets that of this one.
  void met(const node_id& node) {
    introductions_.met(node, introductions_.ticket_of(node));
  }

  // -- showing ---------------------------------------------------------------------------

  /// To all that it is linked to.
  void introduce_all() {
    introductions_.begin_anew(
      [this](const node_id& node, const introductions::try_later& what) { show_card(node, what); });
  }

  /// To one, with a link if there is none.
  void introduce(const node_id& node, duration wait, std::function<void(reply)> done) {
    auto ticket = introductions_.ticket_of(node);
    keepers_.find(
      node, [this, node, ticket, wait, done = std::move(done)](const caf::strong_actor_ptr& who) {
        if (!who || thread_ == nullptr)
          return done(reply::none);
        auto home = caf::weak_actor_ptr{self_->ctrl()};
        thread_->ask([this, home, node, ticket, wait, who, done, self = own_](sealed_swim& it) {
          run_on(home, [this, node, ticket, wait, who, done, card = bytes_of(it.card_of(self))] {
            exchange(node, ticket, wait, who, card, done);
          });
        });
      });
  }

  /// This process proves another certificate from here on. The members judge it by the one that it
  /// has shown them, until that ends: so it shows all of them the new one.
  void certificate_is(const std::string& pem) {
    if (std::exchange(shown_, pem) != pem)
      show_to_next(showings_.begin());
  }

  /// Calls `done` with the card, on any thread; with nothing if there is none.
  void give_own(std::function<void(std::string)> done) {
    if (thread_ == nullptr)
      return done({});
    thread_->ask(
      [done = std::move(done), self = own_](sealed_swim& it) { done(bytes_of(it.card_of(self))); });
  }

private:
  /// What reading a card may take.
  static constexpr std::size_t max_answer = std::size_t{1} << 20U;

  static std::string bytes_of(const std::optional<member_card>& what) {
    return what ? to_bytes(*what) : std::string{};
  }

  void show_card(const node_id& node, const introductions::try_later& what) {
    auto show = [this, node, ticket = what.ticket] {
      if (has_ended_ || !introductions_.still_wants(node, ticket))
        return;
      introduce(node, peer_keepers::answer_within, [this, node, ticket](reply) {
        if (auto next = introductions_.tried(node, ticket))
          show_card(node, *next);
      });
    };
    if (what.pause == duration::zero())
      show();
    else
      timers_.after(what.pause, show);
  }

  void exchange(const node_id& node, std::uint64_t ticket, duration wait,
                const caf::strong_actor_ptr& who, const std::string& card,
                const std::function<void(reply)>& done) {
    self_->request(caf::actor_cast<caf::actor>(who), wait, exchange_cards{card})
      .then(
        [this, node, ticket, done](const std::string& answer) {
          auto theirs = from_bytes<member_card>(answer, memory_budget{max_answer});
          if (theirs && theirs->said.what.node == node && meet_(*std::move(theirs)))
            introductions_.met(node, ticket);
          done(reply::taken);
        },
        [done](const caf::error& why) { done(why == errc::busy ? reply::busy : reply::none); });
  }

  /// The certificate of that number, to the member whose turn it is.
  void show_to_next(std::uint64_t number) {
    if (thread_ == nullptr || !showings_.is_last(number))
      return;
    thread_->ask([this, home = caf::weak_actor_ptr{self_->ctrl()}, number](const sealed_swim& it) {
      std::set<node_id> members;
      it.members().for_each([&](const node_id& node, member_status is) {
        if (is != member_status::left)
          members.insert(node);
      });
      run_on(home, [this, number, members = std::move(members)] { show_to_one(number, members); });
    });
  }

  void show_to_one(std::uint64_t number, const std::set<node_id>& members) {
    if (has_ended_ || !showings_.is_last(number))
      return;
    auto next = showings_.next(members);
    if (next.whom)
      introduce(*next.whom, peer_keepers::answer_within,
                [this, number, whom = *next.whom](reply how) {
                  if (how == reply::taken)
                    showings_.taken(number, whom);
                });
    if (next.again_in)
      timers_.after(*next.again_in, [this, number] { show_to_next(number); });
  }

  caf::event_based_actor* self_;
  timers& timers_;
  peer_keepers& keepers_;
  const node_id own_;
  /// Its own certificate.
  std::string shown_;
  showings showings_;
  taker meet_;
  introductions introductions_;
  swim_thread* thread_ = nullptr;
  bool has_ended_ = false;
};

} // namespace troupe::cluster
