#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message_handler.hpp"
#include "caf/result.hpp"
#include "troupe/cluster/admitted_certificates.hpp"
#include "troupe/cluster/cards/card_pause.hpp"
#include "troupe/cluster/cards/card_wishes.hpp"
#include "troupe/cluster/cards/first_comparison.hpp"
#include "troupe/cluster/cards/member_card.hpp"
#include "troupe/cluster/node_core.hpp"
#include "troupe/cluster/record_exchange.hpp"
#include "troupe/cluster/sealed_swim.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/timer_queue.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/memory_budget.hpp"
#include "troupe/core/once_all.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/net/link.hpp"
#include "troupe/net/peer_book.hpp"
#include "troupe/net/side.hpp"
#include "troupe/node/card_desk.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/node/peer_keepers.hpp"
#include "troupe/node/peer_questions.hpp"
#include "troupe/node/record_desk.hpp"
#include "troupe/node/swim_thread.hpp"
#include "troupe/platform/calendar.hpp"
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
  peer_keepers::entry_finder find_entry;
  /// What the members say, on the actor.
  std::function<void(node_core::event)> tell;
  /// This node has said that, on the actor.
  std::function<void(const signed_statement&)> spoke;
  /// Says at once what has changed of what this node says, on any thread.
  std::function<void(done_handler)> say_all;
  record_desk::finder find_records;
  /// The members suspect that node or take it for dead, or its link is silent; on the actor.
  std::function<void(const node_id&)> doubted;
};

/// A node's part in the membership that goes over links: cards, comparisons, and signs of life
/// where no datagrams get through. Its swim_thread does all else; showing cards is left to its
/// card_desk, and what members ask each other of their records to its record_desk.
///
/// Each peer is asked for cards once at a time; so many nodes wait for that as card_wishes has room
/// for.
///
/// Part of a node_shell, and ends before that does.
class membership_part {
public:
  membership_part(caf::event_based_actor* self, membership_setup setup)
    : self_(self),
      setup_(std::move(setup)),
      timers_(self),
      keepers_(self, setup_.find_entry),
      questions_(self, setup_.peers),
      desk_(self, keepers_, questions_, setup_.find_records),
      cards_(self, timers_, keepers_, id_of(setup_.key),
             setup_.credentials ? setup_.credentials->own_certificate() : std::string{},
             [this](member_card card) { return meet(std::move(card), true); }) {}

  /// For what members ask it.
  caf::message_handler handlers() {
    return {
      [this](exchange_cards& what) -> caf::result<std::string> {
        auto from = questions_.who_asks();
        if (!from)
          return to_error(from.error());
        auto card = from_bytes<member_card>(what.card, memory_budget{max_answer});
        if (!card || card->said.what.node != *from)
          return to_error({errc::bad_argument, "a node shows its own card, and no other"});
        if (!meet(*std::move(card), true))
          return to_error({errc::denied, "its certificate does not count here"});
        if (thread_ == nullptr)
          return not_there();
        cards_.met(*from); // it gets that of this node
        return questions_.later(*from, [&](auto done) { give_own_card(done); });
      },
      [this](const find_cards& what) -> caf::result<std::string> {
        auto from = questions_.who_asks();
        if (!from)
          return to_error(from.error());
        auto wanted = from_bytes<std::vector<node_id>>(what.nodes, memory_budget{max_answer});
        if (!wanted || wanted->size() > card_wishes::max_at_once)
          return to_error({errc::bad_argument, "asks for more cards than there are in an answer"});
        return with_members(*from, [all = *std::move(wanted)](sealed_swim& it) {
          std::vector<member_card> found;
          for (auto& each : all)
            if (auto card = it.card_of(each))
              found.push_back(*std::move(card));
          return to_bytes(found);
        });
      },
      [this](compare_members& what) -> caf::result<std::string> {
        auto from = questions_.who_asks();
        if (!from)
          return to_error(from.error());
        if (!take_page(*from, what.page))
          return to_error({errc::bad_argument, "a page that this release does not read"});
        return page_behind(*from, what.after);
      },
      [this](const exchange_records& what) -> caf::result<std::string> {
        if (auto from = questions_.who_asks(); !from)
          return to_error(from.error());
        return has_ended_ ? not_there() : desk_.answer(what);
      },
    };
  }

  /// `thread` lives until stop() at least. Begins once this node has said what its records are.
  void start(swim_thread* thread) {
    begins_ = thread;
    begin_if_it_can();
    bar_expired();
  }

  /// This node goes on as a later life, for others and for itself a new member.
  void go_on_as(const sealed_swim_setup& how, std::uint64_t seed) {
    risen_ = {how, seed};
    if (thread_ == nullptr)
      return;
    thread_->go_on_as(how, seed);
    cards_.introduce_all();
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

  void ask_records(const record_exchange::ask& what, record_desk::taker done) {
    desk_.ask(what, std::move(done));
  }

  // -- links -----------------------------------------------------------------------------

  void link_up(const net::link_ptr& which) {
    auto& peer = which->peer();
    if (peer.as == net::role::client)
      return;
    keepers_.link_up(which);
    cards_.link_up(peer.node, which->end() == net::side::dialled);
  }

  void link_down(const net::link_ptr& which) {
    if (!keepers_.link_down(which))
      return;
    cards_.link_down(which->peer().node);
    step(swim::doubted{which->peer().node});
  }

  /// It missed some heartbeats: whether the node is there is known long before the link is given
  /// up. Where the services are there and only this node does not reach them, another relays the
  /// link to them as soon.
  void link_silent(const net::link& which) {
    if (!keepers_.is_present(which))
      return;
    setup_.doubted(which.peer().node);
    step(swim::doubted{which.peer().node});
  }

  /// Another list of revoked certificates applies, or a certificate was replaced.
  void look_at_certificates() {
    auto round = admitted_.begin_round();
    if (thread_ == nullptr)
      return;
    thread_->ask([this, home = caf::weak_actor_ptr{self_->ctrl()}, round](const sealed_swim& it) {
      std::vector<admitted_certificates::certificate> all;
      it.for_each_certificate(
        [&all](const node_id& node, const std::string& each) { all.emplace_back(node, each); });
      run_on(home, [this, round, all = std::move(all)]() mutable {
        admitted_.are_kept(round, std::move(all));
        look_at_some();
      });
    });
  }

  /// This process proves another certificate from here on.
  void certificate_is(const std::string& pem) {
    step(sealed_swim::certified{pem});
    cards_.certificate_is(pem);
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

  /// What its thread has for it, in that order.
  void perform(sealed_swim::effects& all) {
    for (auto& what : all)
      troupe::visit([this](auto& each) { this->carry_out(each); }, what);
  }

  /// Leaves its thread alone, and members without answers.
  void stop() {
    has_ended_ = true;
    thread_ = begins_ = nullptr;
    cards_.stop();
    questions_.stop();
  }

  [[nodiscard]] bool has_ended() const {
    return has_ended_;
  }

private:
  /// Rumours of one page: about 50 KiB.
  static constexpr std::size_t max_page = 250;
  /// Of one comparison; the rest waits for the next one.
  static constexpr std::size_t max_pages = 200;
  static constexpr duration look_for_expired_every = std::chrono::seconds{10};

  /// What reading a message may take.
  static constexpr std::size_t max_answer = std::size_t{1} << 20U;
  static constexpr duration answer_within = peer_keepers::answer_within;

  /// As much of an id as people read.
  static std::string brief(const node_id& node) {
    return to_string(node).substr(0, 8);
  }

  static constexpr const char* no_datagrams_at_all
    = "no datagrams (UDP) of any member come to this node";

  static std::string lost_datagrams(const node_id& to) {
    return "datagrams (UDP) to node " + brief(to) + " get lost";
  }

  void step(sealed_swim::event what) {
    if (thread_ != nullptr)
      thread_->post(std::move(what));
  }

  // -- who may ---------------------------------------------------------------------------

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
    cards_.begin(thread_);
  }

  /// Whether the node of the card may be a member.
  bool meet(member_card card, bool is_news) {
    auto& node = card.said.what.node;
    if (auto why = refuse(node, card.certificate, is_news)) {
      setup_.log.complain("a member is not taken in", brief(node) + ": " + why.detail);
      return false;
    }
    wishes_.came(node);
    first_.has_asked(node);
    step(sealed_swim::met{std::move(card), is_news});
    end_first_comparison();
    return true;
  }

  /// By the list of revoked certificates that applies now, and the time. One that the node has not
  /// shown itself gives way to one that counts for longer.
  problem refuse(const node_id& node, std::string& certificate, bool is_shown = true) {
    if (!setup_.credentials || admitted_.counts(node, certificate))
      return {};
    auto until = setup_.credentials->admit(certificate, node, read_calendar());
    auto* other = is_shown
                    ? nullptr
                    : admitted_.instead_of(node, until ? std::optional{*until} : std::nullopt);
    if (other != nullptr) {
      certificate = *other;
      return {};
    }
    if (!until)
      return until.error();
    admitted_.admit(node, certificate, *until);
    return {};
  }

  /// A few in each job, as each takes a signature to verify and the actor has other parts.
  void look_at_some() {
    constexpr auto in_one_job = 4;
    for (auto left = in_one_job; left > 0; --left)
      if (auto each = admitted_.next(); each && refuse(each->first, each->second))
        step(sealed_swim::barred{each->first});
    if (admitted_.has_more() && !has_ended_)
      run_on(caf::weak_actor_ptr{self_->ctrl()}, [this] { look_at_some(); });
  }

  /// A member whose certificate has ended gets no link any more: it is out of reach for all that
  /// needs one, whatever its datagrams say.
  void bar_expired() {
    if (has_ended_)
      return;
    timers_.after(look_for_expired_every, [this] { bar_expired(); });
    for (auto& node : admitted_.take_ended(read_calendar())) {
      setup_.log.warn("the certificate of node " + brief(node)
                      + " has expired, so that it counts as gone until it has another one (troupe "
                        "ca renew)");
      step(sealed_swim::barred{node});
    }
  }

  // -- what others ask -------------------------------------------------------------------

  /// With all that this node says now.
  void give_own_card(std::function<void(std::string)> done) {
    setup_.say_all([this, home = caf::weak_actor_ptr{self_->ctrl()}, done = std::move(done)](
                     const problem&) { run_on(home, [this, done] { cards_.give_own(done); }); });
  }

  [[nodiscard]] caf::error not_there() const {
    return to_error(has_ended_ ? problem{errc::cancelled, "this node has stopped"}
                               : problem{errc::unreachable, "this node is starting; ask again"});
  }

  /// Answers the current message, which is of `peer`, with what `find` makes on the thread.
  template <class Find>
  caf::result<std::string> with_members(const node_id& peer, Find find) {
    if (thread_ == nullptr)
      return not_there();
    return questions_.later(peer, [&](auto done) {
      thread_->ask([done, find = std::move(find)](sealed_swim& it) { done(find(it)); });
    });
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

  void carry_out(const sealed_swim::introduce& what) {
    cards_.introduce(what.to, answer_within, [](card_desk::reply) {});
  }

  void carry_out(const swim::reach& what) {
    cards_.introduce(what.whom, what.wait, [this, number = what.number](card_desk::reply how) {
      step(swim::reached{number, how != card_desk::reply::none}); // that it is busy is an answer
    });
  }

  /// Whoever is linked knows as much as the one that has spoken of it, and costs no link.
  void carry_out(const swim::ask& what) {
    auto whom = keepers_.linked_instead_of(what.from);
    wishes_.want(whom, what.whom, whom == what.whom ? whom : what.from);
    first_.misses(what.whom);
    if (pause_.misses())
      pause();
  }

  void pause() {
    timers_.after(card_pause::span, [this] {
      if (!pause_.ends())
        return pause();
      for (auto& each : wishes_.peers())
        ask_for_cards(each);
    });
  }

  void ask_for_cards(const node_id& whom) {
    auto wanted = wishes_.next(whom, keepers_.is_linked(whom));
    if (wanted.empty())
      return;
    keepers_.find(whom, [this, whom, wanted](const caf::strong_actor_ptr& who) {
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
      first_.has_asked(each);
    end_first_comparison();
  }

  void carry_out(const swim::sync& what) {
    auto is_near = keepers_.is_linked(what.with);
    compare(what.or_any && !is_near ? keepers_.next_linked(what.with) : what.with, {}, {},
            max_pages);
  }

  /// Page by page, what either knows behind `mine` and `theirs`.
  void compare(const node_id& with, const node_id& mine, const node_id& theirs, std::size_t rest) {
    keepers_.find(with, [this, with, mine, theirs, rest](const caf::strong_actor_ptr& who) {
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
          if (!first_.has_pages())
            behind_thread([this] { await_first_cards(); });
        },
        [this, with](const caf::error&) { compare_anew(with); });
  }

  /// The first comparison is waited for; after that another one comes anyway.
  void compare_anew(const node_id& last) {
    if (first_.has_pages())
      return;
    timers_.after(first_comparison::again_after, [this, last] {
      if (!first_.has_pages())
        carry_out(swim::sync{keepers_.next_linked(last), true});
    });
  }

  /// Runs `job` here once all has shown that the thread has got so far.
  void behind_thread(std::function<void()> job) {
    if (thread_ == nullptr)
      return;
    thread_->ask([home = caf::weak_actor_ptr{self_->ctrl()},
                  job = std::move(job)](const sealed_swim&) { run_on(home, job); });
  }

  /// Members of which the first comparison tells are known once their cards have come.
  void await_first_cards() {
    if (!first_.pages_came())
      return;
    timers_.after(first_comparison::patience, [this] {
      first_.give_up_cards();
      end_first_comparison();
    });
    for (auto& each : wishes_.peers())
      ask_for_cards(each);
    end_first_comparison();
  }

  void end_first_comparison() {
    if (first_.ends())
      behind_thread([this] { setup_.tell(node_core::compared{}); });
  }

  void carry_out(swim::shows& what) {
    if (may_be_gone(what.is))
      setup_.doubted(what.who);
    setup_.tell(node_core::member_is{what.who, what.when, what.is, std::move(what.told), what.key,
                                     what.from});
  }

  void carry_out(const swim::forgot& what) {
    admitted_.forget(what.who);
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
    setup_.log.complain(lost_datagrams(what.to),
                        "messages over the link get there; "
                          + remedy(what.to, "let UDP pass between the two nodes at the ports at "
                                            "which they accept links"));
  }

  void carry_out(const sealed_swim::cut_off& what) {
    setup_.log.complain(no_datagrams_at_all,
                        "messages over links do; "
                          + remedy(what.last, "let UDP pass, in both directions, between this node "
                                              "and all others at the ports at which they accept "
                                              "links"));
  }

  void carry_out(const sealed_swim::cut_off_no_more&) {
    setup_.log.settle(no_datagrams_at_all);
  }

  /// `usual`, unless datagrams cannot get to that member for another reason.
  [[nodiscard]] std::string remedy(const node_id& to, const char* usual) const {
    auto why = thread_ != nullptr ? thread_->no_way_to(to) : std::string{};
    return why.empty() ? usual : why;
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
  timer_queue<caf::event_based_actor> timers_;
  swim_thread* thread_ = nullptr;
  /// The later life that this node goes on as, if it does.
  std::optional<std::pair<sealed_swim_setup, std::uint64_t>> risen_;
  peer_keepers keepers_;
  peer_questions questions_;
  record_desk desk_;
  card_desk cards_;
  card_wishes wishes_;
  card_pause pause_;
  first_comparison first_;
  /// What it says of its records.
  std::optional<registry::records_head> records_;
  swim_thread* begins_ = nullptr;
  bool has_ended_ = false;
  admitted_certificates admitted_;
};

} // namespace troupe::cluster
