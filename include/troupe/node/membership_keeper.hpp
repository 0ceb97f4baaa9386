#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/result.hpp"
#include "caf/stateful_actor.hpp"
#include "caf/typed_response_promise.hpp"
#include "troupe/cluster/card_wishes.hpp"
#include "troupe/cluster/member_card.hpp"
#include "troupe/cluster/node_core.hpp"
#include "troupe/cluster/record_exchange.hpp"
#include "troupe/cluster/sealed_swim.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/timer_queue.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/memory_budget.hpp"
#include "troupe/core/once_all.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/link.hpp"
#include "troupe/net/peer_book.hpp"
#include "troupe/net/side.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/node/swim_thread.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/security/credentials.hpp"

namespace troupe::cluster {

/// What the keeper of a node's membership has to know.
struct membership_setup {
  /// The key of this node.
  public_key key{};
  /// Null: insecure links.
  security::credentials_ptr credentials;
  /// Who has sent a message.
  std::shared_ptr<const net::peer_book> peers;
  node_log log;
  /// Gives the entry point of a node, with a link if there is none; the answer on any thread.
  std::function<void(const node_id& node,
                     std::function<void(const result<caf::strong_actor_ptr>&)>)>
    find_entry;
  /// What the members say, on the actor.
  std::function<void(node_core::event)> tell;
  /// This node has said that, on the actor.
  std::function<void(const signed_statement&)> spoke;
  /// Says at once what has changed of what this node says, on any thread.
  std::function<void(done_handler)> say_all;
  /// Gives what this node knows of the records that a member asks for, on any thread.
  std::function<void(std::vector<record_wish>, std::function<void(std::vector<told_records>)>)>
    find_records;
};

/// A node's part in the membership that goes over links: cards, comparisons, records, and signs of
/// life where no datagrams get through. Its swim_thread does all else.
///
/// Each peer is asked for cards once at a time; so many nodes wait for that as card_wishes has room
/// for.
class membership_keeper {
public:
  static inline const char* name = membership_name;

  membership_keeper(caf::event_based_actor* self, membership_setup setup)
    : self_(self), setup_(std::move(setup)), own_(id_of(setup_.key)), timers_(self) {}

  caf::behavior make_behavior() {
    ignore_strays(self_);
    return {
      [this](exchange_cards& what) -> caf::result<std::string> {
        auto from = member_who_asks();
        if (!from)
          return not_a_member();
        if (is_busy_with(*from))
          return busy();
        auto card = from_bytes<member_card>(what.card, memory_budget{max_answer});
        if (!card || card->said.what.node != *from)
          return to_error({errc::bad_argument, "a node shows its own card, and no other"});
        if (!meet(*std::move(card), true))
          return to_error({errc::denied, "its certificate does not count here"});
        if (thread_ == nullptr)
          return has_stopped();
        return later(*from, [&](auto done) { give_own_card(done); });
      },
      [this](const find_cards& what) -> caf::result<std::string> {
        auto from = member_who_asks();
        if (!from)
          return not_a_member();
        if (is_busy_with(*from))
          return busy();
        auto wanted = from_bytes<std::vector<node_id>>(what.nodes, memory_budget{max_answer});
        if (!wanted || wanted->size() > card_wishes::max_at_once)
          return to_error({errc::bad_argument, "asks for more cards than there are in an answer"});
        return with_members(*from, [all = *std::move(wanted)](const sealed_swim& it) {
          std::vector<member_card> found;
          for (auto& each : all)
            if (auto card = it.card_of(each))
              found.push_back(*std::move(card));
          return to_bytes(found);
        });
      },
      [this](compare_members& what) -> caf::result<std::string> {
        auto from = member_who_asks();
        if (!from)
          return not_a_member();
        if (is_busy_with(*from))
          return busy();
        if (!take_page(*from, what.page))
          return to_error({errc::bad_argument, "a page that this release does not read"});
        return page_behind(*from, what.after);
      },
      [this](const exchange_records& what) -> caf::result<std::string> {
        auto from = member_who_asks();
        if (!from)
          return not_a_member();
        if (is_busy_with(*from))
          return busy();
        auto wishes = from_bytes<std::vector<record_wish>>(what.wishes, memory_budget{max_answer});
        if (!wishes || wishes->size() > exchange_options{}.max_asked)
          return to_error({errc::bad_argument, "asks for the records of more nodes than there are "
                                               "in an answer"});
        return later(*from, [&](auto done) {
          setup_.find_records(*std::move(wishes), [done](const std::vector<told_records>& found) {
            done(to_bytes(found));
          });
        });
      },
    };
  }

  /// `thread` outlives this actor. Begins once this node has said what its records are.
  void start(swim_thread* thread) {
    begins_ = thread;
    begin_if_it_can();
  }

  /// This node goes on as a later life, for others and for itself a new member.
  void go_on_as(const sealed_swim_setup& how, std::uint64_t seed) {
    risen_ = {how, seed};
    if (thread_ == nullptr)
      return;
    thread_->go_on_as(how, seed);
    for (auto& [node, each] : links_)
      introduce(node, answer_within, [](bool) {});
  }

  // -- records ---------------------------------------------------------------------------

  /// This node says from here on that its records are these.
  void restate(const registry::records_head& what) {
    records_ = what;
    step(swim::holds{what});
    begin_if_it_can();
  }

  /// `from` has told this of another member.
  void learned(const node_id& from, signed_statement what) {
    step(swim::told{from, {told_itself{std::move(what)}}});
  }

  /// Asks a member, with a link if there is none, and calls `done` with what it answers, if it
  /// does.
  void ask_records(const record_exchange::ask& what,
                   std::function<void(std::optional<std::vector<told_records>>)> done) {
    find_keeper(what.whom, [this, wishes = to_bytes(what.what),
                            done = std::move(done)](const caf::strong_actor_ptr& who) {
      if (!who)
        return done({});
      self_->request(caf::actor_cast<caf::actor>(who), answer_within, exchange_records{wishes})
        .then(
          [done](const std::string& answer) {
            done(from_bytes<std::vector<told_records>>(answer, memory_budget{max_records_answer}));
          },
          [done](const caf::error&) { done({}); });
    });
  }

  // -- links -----------------------------------------------------------------------------

  void link_up(const net::link_ptr& which) {
    auto& peer = which->peer();
    if (peer.as == net::role::client)
      return;
    links_[peer.node] = {which, nullptr};
    greet(peer.node, links_[peer.node]);
  }

  void link_down(const net::link_ptr& which) {
    auto& node = which->peer().node;
    auto found = links_.find(node);
    if (found == links_.end() || found->second.which->number() != which->number())
      return;
    links_.erase(found);
    step(swim::doubted{node});
  }

  /// Another list of revoked certificates applies.
  void look_at_certificates() {
    admitted_.clear();
    if (thread_ == nullptr)
      return;
    thread_->ask([this, home = caf::weak_actor_ptr{self_->ctrl()}](const sealed_swim& it) {
      std::vector<std::pair<node_id, std::string>> all;
      it.for_each_certificate(
        [&all](const node_id& node, const std::string& each) { all.emplace_back(node, each); });
      run_on(home, [this, all = std::move(all)] {
        for (auto& [node, each] : all)
          if (!setup_.credentials->admit(each, node))
            step(sealed_swim::barred{node});
      });
    });
  }

  /// This process proves another certificate from here on.
  void certificate_is(const std::string& pem) {
    step(sealed_swim::certified{pem});
  }

  /// Calls `done` with the members in `seen`, on any thread.
  void show(node_view seen, std::function<void(node_view)> done) {
    if (thread_ == nullptr)
      return done(std::move(seen));
    thread_->ask([seen = std::move(seen), done = std::move(done)](const sealed_swim& it) mutable {
      it.members().for_each([&](const node_id& node, member_status) {
        ++seen.all_members;
        if (seen.members.size() == node_view::max_members)
          return;
        auto known = *it.members().find(node);
        seen.members.push_back({to_string(node), known.when.boot,
                                std::string{cluster::name_of(known.state)}, known.address});
      });
      done(std::move(seen));
    });
  }

  /// What its thread has for it.
  void perform(sealed_swim::effect& what) {
    std::visit([this](auto& each) { this->carry_out(each); }, what);
  }

  void stop() {
    thread_ = begins_ = nullptr;
    self_->quit();
  }

private:
  /// Rumours of one page: about 50 KiB.
  static constexpr std::size_t max_page = 250;
  /// Of one comparison; the rest waits for the next one.
  static constexpr std::size_t max_pages = 200;
  /// Certificates that need not be looked at again.
  static constexpr std::size_t max_admitted = 10'000;
  /// Questions of one peer whose answers its thread has yet to make: a node that goes by the rules
  /// has fewer.
  static constexpr std::size_t max_open = 8;
  /// What reading a message may take.
  static constexpr std::size_t max_answer = std::size_t{1} << 20U;
  static constexpr std::size_t max_records_answer = 8 * max_answer;
  static constexpr duration answer_within = std::chrono::seconds{4};
  /// Cards are asked for once this long no further one was missed. Where many start at once, their
  /// joining comes first: what cards cost each of n nodes grows with n.
  static constexpr duration gather_for = std::chrono::milliseconds{250};
  static constexpr duration first_cards_within = std::chrono::seconds{5};
  static constexpr duration compare_again_after = std::chrono::milliseconds{500};
  /// ... or after that many times as long.
  static constexpr int max_gatherings = 4;

  struct linked {
    net::link_ptr which;
    /// Its keeper; null: not asked for yet.
    caf::strong_actor_ptr keeper;
  };

  /// What a peer has asked.
  struct question {
    node_id peer;
    caf::typed_response_promise<std::string> promise;
  };

  using handle_taker = std::function<void(const caf::strong_actor_ptr&)>;

  /// As much of an id as people read.
  static std::string brief(const node_id& node) {
    return to_string(node).substr(0, 8);
  }

  static std::string lost_datagrams(const node_id& to) {
    return "datagrams (UDP) to node " + brief(to) + " get lost";
  }

  void step(sealed_swim::event what) {
    if (thread_ != nullptr)
      thread_->post(std::move(what));
  }

  // -- who may ---------------------------------------------------------------------------

  [[nodiscard]] std::optional<node_id> member_who_asks() const {
    auto from = setup_.peers->find(self_->current_sender());
    if (!from || from->as != security::role::member)
      return std::nullopt;
    return from->node;
  }

  /// With all that this node says now.
  void give_own_card(std::function<void(std::string)> done) {
    setup_.say_all(
      [this, home = caf::weak_actor_ptr{self_->ctrl()}, done = std::move(done)](const problem&) {
        run_on(home, [this, done] {
          if (thread_ == nullptr)
            return done({});
          thread_->ask(
            [done, self = own_](const sealed_swim& it) { done(bytes_of(it.card_of(self))); });
        });
      });
  }

  static caf::error has_stopped() {
    return to_error({errc::cancelled, "this node has stopped"});
  }

  static caf::error not_a_member() {
    return to_error({errc::denied, "members tell each other of members, over their links"});
  }

  /// Else a peer that asks without end would keep the thread from all others.
  [[nodiscard]] bool is_busy_with(const node_id& peer) const {
    auto found = open_.find(peer);
    return found != open_.end() && found->second >= max_open;
  }

  /// With one statement that has its records, as each costs each member a look at its signature.
  void begin_if_it_can() {
    if (begins_ == nullptr || !records_)
      return;
    thread_ = std::exchange(begins_, nullptr);
    if (risen_) {
      thread_->go_on_as(risen_->first, risen_->second);
      step(swim::holds{*records_});
    } else {
      step(swim::holds{*records_});
      thread_->begin();
    }
    for (auto& [node, each] : links_)
      greet(node, each);
  }

  static caf::error busy() {
    return to_error({errc::busy, std::to_string(max_open)
                                   + " questions of this node about members wait for answers; ask "
                                     "again once they have come"});
  }

  /// Whether the node of the card may be a member.
  bool meet(member_card card, bool is_news) {
    auto& node = card.said.what.node;
    if (auto why = refuse(node, card.certificate)) {
      setup_.log.complain("a member is not taken in", brief(node) + ": " + why.detail);
      return false;
    }
    step(sealed_swim::met{std::move(card), is_news});
    return true;
  }

  /// By the list of revoked certificates that applies now.
  problem refuse(const node_id& node, const std::string& certificate) {
    auto found = admitted_.find(node);
    if (!setup_.credentials || (found != admitted_.end() && found->second == certificate))
      return {};
    auto may = setup_.credentials->admit(certificate, node);
    if (!may)
      return may.error();
    if (admitted_.size() >= max_admitted)
      admitted_.clear();
    admitted_.insert_or_assign(node, certificate);
    return {};
  }

  // -- what others ask -------------------------------------------------------------------

  /// Answers the current message, which is of `peer`, with what `find` makes on the thread.
  template <class Find>
  caf::result<std::string> with_members(const node_id& peer, Find find) {
    if (thread_ == nullptr)
      return has_stopped();
    return later(peer, [&](auto done) {
      thread_->ask([done, find = std::move(find)](const sealed_swim& it) { done(find(it)); });
    });
  }

  /// Answers the current message, which is of `peer`, with what `begin` has its argument called
  /// with, on any thread.
  template <class Begin>
  caf::result<std::string> later(const node_id& peer, Begin begin) {
    auto promise = self_->make_response_promise<std::string>();
    // It stays here: CAF counts who has it without a lock.
    promises_.emplace(++last_question_, question{peer, promise});
    ++open_[peer];
    begin([this, home = caf::weak_actor_ptr{self_->ctrl()},
           number = last_question_](std::string made) {
      run_on(home,
             [this, number, made = std::move(made)]() mutable { answer(number, std::move(made)); });
    });
    return promise;
  }

  void answer(request_id number, std::string what) {
    auto found = promises_.extract(number);
    if (auto open = open_.find(found.mapped().peer); --open->second == 0)
      open_.erase(open);
    found.mapped().promise.deliver(std::move(what));
  }

  static std::string bytes_of(const std::optional<member_card>& what) {
    return what ? to_bytes(*what) : std::string{};
  }

  bool take_page(const node_id& from, const std::string& bytes) {
    auto all = from_bytes<std::vector<rumour>>(bytes, memory_budget{max_answer});
    if (!all || is_too_long(*all))
      return false;
    if (!all->empty())
      step(swim::told{from, *std::move(all)});
    return true;
  }

  /// A page ends with the node that fills it, of which there may be two rumours.
  static bool is_too_long(const std::vector<rumour>& page) {
    return page.size() > max_page + 1;
  }

  caf::result<std::string> page_behind(const node_id& peer, const node_id& after) {
    return with_members(peer, [after](const sealed_swim& it) {
      return to_bytes(it.members().page(after, max_page));
    });
  }

  // -- what this node asks ---------------------------------------------------------------

  /// Finds the keeper of a node, with a link if there is none; null if there is no way, or none.
  void find_keeper(const node_id& node, handle_taker done) {
    auto found = links_.find(node);
    if (found != links_.end() && found->second.keeper)
      return done(found->second.keeper);
    if (found != links_.end() && found->second.which->entry_point())
      return ask_for_keeper(node, found->second.which->entry_point(), std::move(done));
    setup_.find_entry(node, [this, node, home = caf::weak_actor_ptr{self_->ctrl()},
                             done = std::move(done)](const result<caf::strong_actor_ptr>& entry) {
      run_on(home, [this, node, done, entry] {
        if (entry && *entry)
          ask_for_keeper(node, *entry, done);
        else
          done(nullptr);
      });
    });
  }

  void ask_for_keeper(const node_id& node, const caf::strong_actor_ptr& entry, handle_taker done) {
    self_->request(caf::actor_cast<caf::actor>(entry), answer_within, router::find_service{name})
      .then(
        [this, node, entry, done](const router::service_place& place) {
          auto link = links_.find(node); // by now perhaps to a later life
          if (link != links_.end() && link->second.which->entry_point() == entry)
            link->second.keeper = place.handle;
          done(place.handle);
        },
        [done](const caf::error&) { done(nullptr); });
  }

  /// The one that has dialled shows its card first.
  void greet(const node_id& node, const linked& link) {
    if (thread_ != nullptr && link.which->end() == net::side::dialled)
      introduce(node, answer_within, [](bool) {});
  }

  void introduce(const node_id& node, duration wait, std::function<void(bool)> done) {
    find_keeper(node, [this, node, wait, done = std::move(done)](const caf::strong_actor_ptr& who) {
      if (!who || thread_ == nullptr)
        return done(false);
      auto home = caf::weak_actor_ptr{self_->ctrl()};
      thread_->ask([this, home, node, wait, who, done, self = own_](const sealed_swim& it) {
        run_on(home, [this, node, wait, who, done, card = bytes_of(it.card_of(self))] {
          exchange(node, wait, who, card, done);
        });
      });
    });
  }

  void exchange(const node_id& node, duration wait, const caf::strong_actor_ptr& who,
                const std::string& card, const std::function<void(bool)>& done) {
    self_->request(caf::actor_cast<caf::actor>(who), wait, exchange_cards{card})
      .then(
        [this, node, done](const std::string& answer) {
          auto theirs = from_bytes<member_card>(answer, memory_budget{max_answer});
          if (theirs && theirs->said.what.node == node)
            meet(*std::move(theirs), true);
          done(true);
        },
        [done](const caf::error& why) { done(why == errc::busy); }); // which is an answer, too
  }

  void carry_out(const sealed_swim::introduce& what) {
    introduce(what.to, answer_within, [](bool) {});
  }

  void carry_out(const swim::reach& what) {
    introduce(what.whom, what.wait, [this, number = what.number](bool answered) {
      step(swim::reached{number, answered});
    });
  }

  /// Whoever is linked knows as much as the one that has spoken of it, and costs no link.
  void carry_out(const swim::ask& what) {
    auto is_linked = links_.contains(what.from) || links_.empty();
    auto whom = is_linked ? what.from : links_.begin()->first;
    wishes_.want(whom, what.whom, whom == what.whom ? whom : what.from);
    if (!has_compared_)
      first_strangers_.insert(what.whom);
    has_grown_ = true;
    if (gatherings_ == 0)
      gather();
  }

  void gather() {
    ++gatherings_;
    has_grown_ = false;
    timers_.after(gather_for, [this] {
      if (has_grown_ && gatherings_ < max_gatherings)
        return gather();
      gatherings_ = 0;
      for (auto& each : wishes_.peers())
        ask_for_cards(each);
    });
  }

  void ask_for_cards(const node_id& whom) {
    auto wanted = wishes_.next(whom);
    if (wanted.empty())
      return;
    find_keeper(whom, [this, whom, wanted](const caf::strong_actor_ptr& who) {
      if (!who)
        return end_ask(whom, wanted, {});
      self_->request(caf::actor_cast<caf::actor>(who), answer_within, find_cards{to_bytes(wanted)})
        .then(
          [this, whom, wanted](const std::string& answer) {
            auto cards = from_bytes<std::vector<member_card>>(answer, memory_budget{max_answer});
            end_ask(whom, wanted, cards ? *std::move(cards) : std::vector<member_card>{});
          },
          [this, whom, wanted](const caf::error&) { end_ask(whom, wanted, {}); });
    });
  }

  void end_ask(const node_id& whom, const std::vector<node_id>& wanted,
               std::vector<member_card> cards) {
    std::set<node_id> missing{wanted.begin(), wanted.end()};
    for (auto& each : cards) {
      auto is_own = each.said.what.node == whom;
      if (missing.erase(each.said.what.node) > 0)
        meet(std::move(each), is_own);
    }
    for (auto& each : wishes_.end(whom, wanted, missing))
      ask_for_cards(each);
    for (auto& each : wanted)
      first_strangers_.erase(each);
    end_if_all_came();
  }

  void carry_out(const swim::sync& what) {
    auto is_near = links_.contains(what.with);
    compare(what.or_any && !is_near ? next_linked(what.with) : what.with, {}, {}, max_pages);
  }

  /// Page by page, what either knows behind `mine` and `theirs`.
  void compare(const node_id& with, const node_id& mine, const node_id& theirs, std::size_t rest) {
    find_keeper(with, [this, with, mine, theirs, rest](const caf::strong_actor_ptr& who) {
      if (!who || thread_ == nullptr)
        return compare_anew(with);
      thread_->ask([this, home = caf::weak_actor_ptr{self_->ctrl()}, with, mine, theirs, rest,
                    who](const sealed_swim& it) {
        run_on(home, [this, with, theirs, rest, who, own = it.members().page(mine, max_page)] {
          tell_page(with, theirs, who, own, rest);
        });
      });
    });
  }

  using page = std::pair<std::vector<rumour>, node_id>;

  void tell_page(const node_id& with, const node_id& theirs, const caf::strong_actor_ptr& who,
                 const page& own, std::size_t rest) {
    self_
      ->request(caf::actor_cast<caf::actor>(who), answer_within,
                compare_members{to_bytes(own.first), theirs})
      .then(
        [this, with, theirs, own, rest](const std::string& answer) {
          auto other = from_bytes<page>(answer, memory_budget{max_answer});
          auto goes_on = other && (other->first.empty() || other->second > theirs);
          if (!goes_on || is_too_long(other->first))
            return compare_anew(with);
          auto is_last = own.first.empty() && other->first.empty();
          if (!other->first.empty())
            step(swim::told{with, std::move(other->first)});
          if (!is_last && rest > 0)
            return compare(with, own.second, other->second, rest - 1);
          if (!has_compared_)
            behind_thread([this] { await_first_cards(); });
        },
        [this, with](const caf::error&) { compare_anew(with); });
  }

  /// The first comparison is waited for; after that another one comes anyway.
  void compare_anew(const node_id& last) {
    if (has_compared_)
      return;
    timers_.after(compare_again_after, [this, last] {
      if (!has_compared_)
        carry_out(swim::sync{next_linked(last), true});
    });
  }

  /// Runs `job` here once all has shown that the thread has got so far.
  void behind_thread(std::function<void()> job) {
    thread_->ask([home = caf::weak_actor_ptr{self_->ctrl()},
                  job = std::move(job)](const sealed_swim&) { run_on(home, job); });
  }

  /// Members of which the first comparison tells are known once their cards have come.
  void await_first_cards() {
    if (std::exchange(has_compared_, true))
      return;
    awaits_cards_ = true;
    timers_.after(first_cards_within, [this] { end_first_comparison(); });
    for (auto& each : wishes_.peers())
      ask_for_cards(each);
    end_if_all_came();
  }

  void end_if_all_came() {
    if (first_strangers_.empty())
      end_first_comparison();
  }

  void end_first_comparison() {
    first_strangers_.clear();
    if (std::exchange(awaits_cards_, false) && thread_ != nullptr)
      behind_thread([this] { setup_.tell(node_core::compared{}); });
  }

  /// One of those with a link, another one than that if there are several.
  [[nodiscard]] node_id next_linked(const node_id& last) const {
    if (links_.empty())
      return last;
    auto next = links_.upper_bound(last);
    return next == links_.end() ? links_.begin()->first : next->first;
  }

  void carry_out(swim::shows& what) {
    setup_.tell(node_core::member_is{what.who, what.when, what.is, std::move(what.told), what.key,
                                     what.from});
  }

  void carry_out(const swim::forgot& what) {
    admitted_.erase(what.who);
    setup_.tell(node_core::member_forgotten{what.who});
  }

  void carry_out(const swim::spoke& what) {
    setup_.spoke(what.what);
  }

  void carry_out(const swim::met_itself& what) {
    setup_.tell(claims::outlived{what.what.what.when.boot, true});
  }

  void carry_out(const swim::was_dead&) {
    setup_.tell(claims::given_up{});
  }

  void carry_out(const swim::no_datagrams& what) {
    auto why = thread_ != nullptr ? thread_->no_way_to(what.to) : std::string{};
    setup_.log.complain(lost_datagrams(what.to),
                        "messages over the link get there; "
                          + (why.empty() ? "let UDP pass between the two nodes at the ports at "
                                           "which they accept links"
                                         : why));
  }

  void carry_out(const swim::datagrams_again& what) {
    setup_.log.settle(lost_datagrams(what.to));
  }

  void carry_out(const swim::complain& what) {
    setup_.log.complain("news of members is not believed",
                        "node " + brief(what.of) + ' ' + what.what);
  }

  /// Those that the thread does itself.
  template <class Effect>
  void carry_out(const Effect&) {}

  caf::event_based_actor* self_;
  membership_setup setup_;
  const node_id own_;
  timer_queue<caf::event_based_actor> timers_;
  swim_thread* thread_ = nullptr;
  /// The later life that this node goes on as, if it does.
  std::optional<std::pair<sealed_swim_setup, std::uint64_t>> risen_;
  std::map<node_id, linked> links_;
  card_wishes wishes_;
  /// For how many times gather_for cards to ask for have been collected; 0: there are none.
  int gatherings_ = 0;
  bool has_grown_ = false;
  /// What it says of its records.
  std::optional<registry::records_head> records_;
  swim_thread* begins_ = nullptr;
  bool has_compared_ = false;
  /// The first comparison has ended, and not all cards have come.
  bool awaits_cards_ = false;
  /// Those of whom it has told, before their cards have come.
  std::set<node_id> first_strangers_;
  /// The questions whose answers the thread has yet to make, and how many each peer has asked.
  std::map<request_id, question> promises_;
  std::map<node_id, std::size_t> open_;
  request_id last_question_ = 0;
  /// The certificates of members that count.
  std::map<node_id, std::string> admitted_;
};

} // namespace troupe::cluster
