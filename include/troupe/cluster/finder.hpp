#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/bound_services.hpp"
#include "troupe/cluster/dial_list.hpp"
#include "troupe/cluster/finder_contact.hpp"
#include "troupe/cluster/finder_guide.hpp"
#include "troupe/cluster/finder_links.hpp"
#include "troupe/cluster/finder_requests.hpp"
#include "troupe/cluster/finder_types.hpp"
#include "troupe/cluster/leader_history.hpp"
#include "troupe/cluster/quorum_poll.hpp"
#include "troupe/cluster/service_addresses.hpp"
#include "troupe/cluster/service_search.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/types.hpp"

namespace troupe::cluster {

/// Keeps the way to the services of a cluster: dials one node after the other until one answers,
/// asks it where the services are, goes there, and has that node say when they move. For light
/// clients, and for all nodes, where it stops while this node leads.
///
/// - At most one search is under way. It begins when nothing is bound, and when somebody says that
///   the services have moved; a later word ends the earlier search. What is bound stays bound until
///   there is something better, or its link ends.
/// - A node that does not know the way is asked again until it does, or says that it knows no
///   node that leads; who only has news, again and again, is left for the next. One that has not
///   said in time that it is there is passed over until other ways have failed for a while.
/// - Where a node says that the services are, and this one gets no answer, it has that node relay
///   the link, else others that say the same; so a node that all reach but the leader uses the
///   services as all others. What is bound over such a link stays so until the link ends.
/// - A node whose own link is relayed relays nobody. It names the node that relays it, which relays
///   those who ask, too.
/// - The first node that answers is the contact: while nothing is bound it says at once where the
///   services are, or why they are nowhere. That word counts once other nodes have been tried too:
///   the contact may be cut off from a majority that others reach.
/// - Services of a group of voters move without their node saying so: a second node, the guide,
///   says where they are as well, unless this node has its own word of that. A member has none at
///   rest: once a request waits for long or members suspect the node of the services, it asks that
///   whether it is still there, and another node beside.
/// - A node that says `denied` refuses this one permanently. Like the word of the contact, that
///   counts once others have been tried too, and while no contact knows of a majority.
/// - A node that votes has its own word of the quorum, which goes before that of the contact. Where
///   neither knows, a node that sees half of the nodes or fewer says that it is in a minority.
///
/// Composes parts that each keep one thing: `service_addresses` whom to ask, `service_search` the
/// search, `bound_services` where the services are, `finder_contact`, `finder_guide`, and
/// `quorum_poll` whether there is a quorum. What is left here is what takes several of them.
///
/// An answer counts if its question is the last one of its kind, over a link that is up. Steps like
/// any machine. No snapshot: a process begins anew. Not thread-safe. Cost of a step: O(n) in the
/// addresses and links.
///
/// It counts on this of its host: a link that is given is up, and `link_down` follows when it has
/// ended.
class finder : public finder_events, public finder_effects {
public:
  /// `seed` is that of the back-off's jitter.
  finder(finder_options options, std::uint64_t seed, time_point now)
    : options_(std::move(options)),
      addresses_(options_.addresses, options_.max_addresses),
      history_(now),
      requests_(options_.dial_within, options_.max_dials),
      search_(options_, addresses_, requests_, seed),
      bound_(options_, requests_),
      contact_(options_, requests_),
      poll_(options_.max_addresses, addresses_, contact_, requests_),
      guide_(options_, addresses_, requests_),
      links_(options_.idle_after, options_.max_links) {}

  finder(const finder&) = delete;
  finder& operator=(const finder&) = delete;

  /// @pre `now` never goes backwards.
  void step(time_point now, request_id id, event what, effects& out) {
    now_ = now;
    out_ = &out;
    troupe::visit([&](auto& each) { handle(id, each); }, what);
    go_on();
    out_ = nullptr;
  }

  void tick(time_point now, effects& out) {
    now_ = now;
    out_ = &out;
    if (search_.is_due(now))
      search_is_due();
    if (auto late = bound_.late_watch(now))
      hear(late->asked, no_answer(late->where));
    if (auto late = bound_.late_doubt(now))
      hear(late->asked, no_answer(late->where));
    if (auto late = contact_.late(now))
      hear(late->asked, no_answer(late->where));
    guide_.tick(now, out);
    poll_.tick(now, out);
    for (auto& each : requests_.dials().take_due(now))
      end_dial(each, no_answer(each.where));
    close_all(links_.take_idle(now));
    go_on();
    out_ = nullptr;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> next;
    auto no_later = [&next](const std::optional<time_point>& when) {
      if (when)
        next = std::min(next.value_or(*when), *when);
    };
    no_later(search_.next_deadline());
    for (auto* each : {&bound_.watched(), &bound_.doubted(), &contact_.question()})
      if (*each)
        no_later((*each)->due);
    no_later(guide_.next_deadline());
    no_later(poll_.next_deadline());
    no_later(requests_.dials().next_deadline());
    no_later(links_.next_deadline());
    return next;
  }

  /// As this node was last `seated`.
  [[nodiscard]] bool votes() const {
    return poll_.votes();
  }

  /// Who leads by what this node knows, and how often that has changed.
  [[nodiscard]] const leader_history& leaders() const {
    return history_;
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    std::vector<std::string> found;
    auto expect = [&found](bool holds, const char* what) {
      if (!holds)
        found.emplace_back(what);
    };
    auto is_up = [this](net::connection_id link) { return links_.contains(link); };
    for (auto& part : {search_.flaws(is_up), bound_.flaws(is_up), contact_.flaws(is_up),
                       guide_.flaws(is_up), poll_.flaws(is_up)})
      found.insert(found.end(), part.begin(), part.end());
    auto seeks = !search_.is_idle();
    auto& held = bound_.watched();
    auto& urgent = bound_.doubted();
    auto& listens = contact_.question();
    expect(!bound_ || !is_here_, "the services are on two nodes");
    expect(!is_here_ || !(seeks || held || urgent || listens),
           "this node leads and asks where the services are");
    expect(!is_here_ || !guide_.is_wanted(), "this node leads and has a guide");
    expect(!is_started_ || is_here_ || bound_ || seeks || addresses_.all().empty(),
           "nothing is bound, and nobody searches");
    expect(!bound_ || seeks || !said_.where || said_ == word_of(bound_.at().where),
           "others are sent elsewhere than where the services are bound");
    expect(bound_ && !seeks ? held.has_value() : !held && !urgent,
           "the node of the services is not watched as it should be");
    expect(listens.has_value() == (contact_ && is_out_of_reach()),
           "the contact is not listened to as it should be");
    expect(poll_.is_at_rest() || is_out_of_reach(), "a search is in vain for what is bound");
    for (auto& link : links_.idle())
      expect(!is_used(link), "a link is idle and in use");
    expect(addresses_.all().size() <= std::max(options_.max_addresses, options_.addresses.size()),
           "more addresses than allowed");
    expect(requests_.dials().size() <= options_.max_dials, "more dials than allowed");
    expect(links_.size() <= options_.max_links, "more links than allowed");
    return found;
  }

private:
  using sign = service_search::sign;

  template <class Effect>
  void put(Effect what) {
    out_->push_back(std::move(what));
  }

  static problem no_answer(const net::address& where) {
    return finder_requests::no_answer(where);
  }

  /// Neither here nor bound elsewhere.
  [[nodiscard]] bool is_out_of_reach() const {
    return !bound_ && !is_here_;
  }

  /// What follows from the state, after each step.
  void go_on() {
    if (is_started_ && is_out_of_reach() && search_.is_idle() && !addresses_.all().empty())
      seek();
    if (bound_ && search_.is_idle())
      bound_.watch(now_, *out_);
    if (is_out_of_reach())
      contact_.listen(now_, *out_);
    close_all(links_.settle(
      now_, [this](auto link) { return is_used(link); },
      [this](auto link) { return contact_.is_over(link); }));
  }

  void close_all(const std::vector<net::connection_id>& links) {
    for (auto link : links)
      put(close{link});
  }

  /// Tells those who ask this node.
  void point_to(const std::optional<net::address>& where) {
    history_.leads(now_, where ? to_string(*where) : std::string{});
    said_ = word_of(where);
    put(said_);
  }

  [[nodiscard]] point word_of(const std::optional<net::address>& where) const {
    if (!where || !bound_.is_at(where))
      return {where};
    auto relayed = relayed_.find(bound_.at().link);
    if (relayed == relayed_.end())
      return {where, true};
    return {where, false, relayed->second};
  }

  // -- this node -------------------------------------------------------------------------

  void handle(request_id, const start& what) {
    is_started_ = true;
    addresses_.self_is(what.self);
  }

  void handle(request_id, const learned& what) {
    addresses_.learn(what.addresses);
  }

  void handle(request_id, const lead& what) {
    if (what.turn < turn_)
      return;
    turn_ = what.turn;
    led_by_.reset();
    is_here_ = true;
    poll_.kept_in_memory_at(std::nullopt);
    end_search();
    bound_.unbind();
    is_bound();
    guide_.let_go();
    history_.leads(now_, "this node");
    put(bind_here{what.turn});
  }

  void handle(request_id, const follow& what) {
    if (is_here_ && planted_flaw == flaw::own_lead_kept)
      return;
    if (what.turn < turn_)
      return;
    turn_ = what.turn;
    if (std::exchange(is_here_, false))
      put(unbind{});
    led_by_ = what.where;
    point_to(what.where);
    // A search that is under way may hear there of an earlier turn.
    auto is_there = bound_.is_at(what.where) && search_.is_idle();
    if (is_started_ && what.where && !is_there)
      seek(what.where);
  }

  void handle(request_id, const seated& what) {
    poll_.seated(now_, what.votes, *out_);
  }

  void handle(request_id, const seat_says& what) {
    poll_.seat_says(now_, what.why, *out_);
  }

  void handle(request_id, const present& what) {
    poll_.see(now_, what, *out_);
  }

  void is_not_led_by(const net::address& where) {
    if (led_by_ == where)
      led_by_.reset();
  }

  // -- links and dials -------------------------------------------------------------------

  [[nodiscard]] bool is_used(net::connection_id link) const {
    return search_.question().is_over(link) || search_.shown_by().link == link
           || bound_.is_over(link) || (contact_.is_over(link) && !bound_)
           || guide_.serves_over(link) || poll_.asks_over(link);
  }

  void handle(request_id, const link_down& what) {
    relayed_.erase(what.link);
    if (!links_.remove(what.link))
      return;
    search_.drop_sign_over(what.link);
    guide_.link_down(now_, what.link);
    poll_.link_down(now_, what.link, *out_);
    if (contact_.is_over(what.link))
      part();
    if (bound_.is_over(what.link)) {
      lose();
      if (guide_.serves())
        meet(guide_.question().link, guide_.question().where, {});
    }
    if (search_.question().is_over(what.link))
      hear_search(no_answer(search_.question().where));
  }

  void handle(request_id id, const resolved&) {
    requests_.dials().resolved(id);
  }

  void handle(request_id id, const dialled& what) {
    auto there = search_.take_relay(id);
    if (what.link)
      add(*what.link, what.is_relayed, there ? std::optional{search_.relayed_by()} : std::nullopt);
    if (there)
      return end_relay_dial(*there, what.link);
    if (auto ended = requests_.dials().take(id))
      end_dial(*ended, what.link);
  }

  void add(net::connection_id link, bool is_relayed, const std::optional<net::address>& by) {
    links_.add(link);
    if (!is_relayed)
      relayed_.erase(link);
    else if (auto& known = relayed_[link]; by)
      known = by;
  }

  void end_relay_dial(const net::address& there, const result<net::connection_id>& got) {
    if (search_.at() == service_search::stage::relaying)
      got ? search_.ask(now_, *got, there, *out_) : relay_failed(there, got.error());
    else if (got && !search_.is_idle() && !bound_)
      search_.take_late(now_, *got, there, *out_);
  }

  void relay_failed(const net::address& there, const problem& why) {
    search_.again(now_,
                  {why.code, to_string(there) + " does not answer this process, and " + why.detail
                               + "; open the network from here to " + to_string(there)
                               + ", or give the address of a node that reaches it as well"},
                  *out_);
  }

  void end_dial(const dial_list::ended& ended, const result<net::connection_id>& got) {
    auto& [place, how] = ended;
    addresses_.judge(place, got.error_or());
    if (search_.dials(place))
      got ? search_.ask(now_, *got, place, *out_)
          : search_failed(place, service_search::failure_of(how, got.error()));
    else if (got && how.is_for_search && !search_.is_idle() && !bound_)
      search_.take_late(now_, *got, place, *out_);
    poll_.dialled(now_, place, got, *out_);
    guide_.dialled(now_, place, got, *out_);
  }

  // -- the search ------------------------------------------------------------------------

  void end_search() {
    search_.end();
    bound_.stop_asking();
    guide_.not_yet();
  }

  void seek(const std::optional<net::address>& first = std::nullopt) {
    end_search();
    search_.begin(now_, first, *out_);
  }

  void search_is_due() {
    auto where = search_.question().where;
    if (search_.question().asked != 0)
      return hear_search(no_answer(where));
    if (search_.at() == service_search::stage::pausing)
      return search_.dial_next(now_, *out_);
    if (search_.at() == service_search::stage::relaying)
      return relay_failed(where, no_answer(search_.relayed_by()));
    search_failed(where, search_.give_up_dial());
  }

  /// There was no link to that node, in time or at all, or no answer.
  void search_failed(const net::address& where, const problem& why) {
    tried(where, why);
    search_.again(now_, why, *out_);
  }

  void hear_search(const result<whereabouts>& what) {
    using stage = service_search::stage;
    auto [was, question] = search_.end_question();
    if (was == stage::asking)
      return what ? hear_asked(question, *what) : asked_in_vain(question);
    if (!what)
      return search_.again(now_, what.error(), *out_);
    if (what->handle != 0) // for the others, too
      return search_.ask(now_, question.link, question.where, *out_);
    if (what->revision != question.known)
      return go_by({question.link, question.where, what->revision}, *what);
    if (auto there = addresses_.way_to(*what); there && there != question.where)
      return search_.try_relay(now_, question.where, *there, *out_);
    search_.again(
      now_,
      {errc::unreachable, to_string(question.where)
                            + (search_.silent() ? " names no leader that answers this node"
                                                : " knows no node that leads")},
      *out_);
  }

  void hear_asked(const inquiry& question, const whereabouts& what) {
    meet(question.link, question.where, what);
    go_by({question.link, question.where, what.revision}, what);
  }

  void asked_in_vain(const inquiry& question) {
    if (contact_.is_over(question.link))
      part();
    search_failed(question.where, no_answer(question.where));
  }

  void go_by(const sign& from, const whereabouts& what) {
    addresses_.learn(what.others);
    if (what.handle != 0)
      return bind_there(from, what);
    auto there = addresses_.way_to(what);
    tried(from.where);
    search_.follow(now_, from, there, *out_);
  }

  // -- what is bound ---------------------------------------------------------------------

  /// The services are on the node at the other end.
  void bind_there(const sign& there, const whereabouts& what) {
    if (auto how = bound_services::made_of(there.link, there.where, what))
      return take_binding(std::move(*how), what.revision);
    search_.again(now_, {errc::unreachable, to_string(there.where) + " hosts the services no more"},
                  *out_);
  }

  void take_binding(finder_binding how, std::uint64_t revision) {
    auto way = search_.shown_by();
    end_search();
    search_.succeed();
    if (led_by_ != how.where)
      led_by_.reset();
    addresses_.learn(how.where);
    poll_.kept_in_memory_at(how.has_voters ? std::nullopt : std::optional{how.where});
    how.others = addresses_.vouched();
    auto is_news = bound_.bind(how, revision);
    is_bound();
    if (how.has_voters)
      guide_.have(now_, how.where, way.link != 0 ? std::optional{way.where} : std::nullopt, *out_);
    else
      guide_.let_go();
    if (is_news || said_ != word_of(how.where)) // as it has another address
      point_to(how.where);
    if (!is_news)
      return put(settled{}); // their node was only slow to answer
    put(bind{std::move(how)});
  }

  /// The contact is not needed while they are.
  void is_bound() {
    contact_.rest();
    poll_.forget(now_, *out_);
  }

  void lose() {
    is_not_led_by(bound_.at().where);
    bound_.unbind();
    guide_.not_yet();
    put(unbind{});
    if (!votes())
      point_to({}); // else the seat knows better
  }

  void handle(request_id, const doubt& what) {
    if (!bound_ || !search_.is_idle() || (what.link != 0 && !bound_.is_over(what.link)))
      return;
    bound_.doubt(now_, *out_);
    if (bound_.have_voters()) // else they do not move
      guide_.doubt(now_, bound_.at().where);
  }

  void hear_bound(request_id id, const result<whereabouts>& what) {
    if (what)
      addresses_.learn(what->others);
    switch (bound_.heard(now_, id, what)) {
      case bound_services::word::stays:
        if (!bound_.doubted())
          guide_.end_doubt();
        return;
      case bound_services::word::silent:
        if (!relayed_.contains(bound_.at().link)) // else only the node that relays may hang
          search_.is_silent(bound_.at().where);
        is_not_led_by(bound_.at().where);
        return seek();
      case bound_services::word::moved:
        return follow_move(*what);
    }
  }

  /// Their node says that they are not there any more, or other actors.
  void follow_move(const whereabouts& what) {
    if (what.handle != 0)
      return seek(bound_.at().where);
    if (auto there = addresses_.way_to(what))
      return seek(there);
    if (!what.address.empty())
      return seek(); // it says here, which was so earlier
    auto node = sign{bound_.at().link, bound_.at().where};
    lose();
    meet(node.link, node.where, what);
  }

  // -- the contact -----------------------------------------------------------------------

  /// The node at the other end answers.
  void meet(net::connection_id link, const net::address& where, const whereabouts& what) {
    if (!contact_.meet(link, where, what.revision, *out_))
      return;
    addresses_.learn(what.others); // those are asked, too, where it has no majority
    if (is_out_of_reach())
      poll_.hear(now_, what.why, *out_);
  }

  void part() {
    contact_.part();
    poll_.hear(now_, {}, *out_);
    put(parted{});
  }

  void hear_contact(const result<whereabouts>& what) {
    auto word = contact_.heard(now_, what);
    if (word == finder_contact::word::silent)
      return part();
    if (word == finder_contact::word::busy)
      return;
    poll_.hear(now_, what->why, *out_);
    if (word == finder_contact::word::old_news)
      return;
    addresses_.learn(what->others);
    auto there = addresses_.place_by(contact_.who().where, *what);
    if (there && there != search_.silent())
      seek(there);
  }

  // -- other nodes -----------------------------------------------------------------------

  void hear_aside(const net::address& by, const result<whereabouts>& what) {
    poll_.answered(by);
    if (!what)
      return tried(by);
    addresses_.learn(what->others);
    auto there = addresses_.place_by(by, *what);
    if (there && there != search_.silent())
      return seek(there);
    tried(by);
  }

  /// This node was asked, or gave no link because of `why`.
  void tried(const net::address& where, const problem& why = {}) {
    if (!is_out_of_reach())
      return;
    poll_.tried(now_, where, why, *out_);
  }

  void hear_guide(const result<whereabouts>& what) {
    auto where = guide_.question().where;
    if (!guide_.heard(now_, what, *out_) || led_by_)
      return;
    auto there = addresses_.place_by(where, *what);
    if (there && there != guide_.host() && planted_flaw != flaw::earlier_leader_believed)
      seek(there);
  }

  // -- answers ---------------------------------------------------------------------------

  void handle(request_id id, const heard& what) {
    if (id != 0)
      hear(id, what.what);
  }

  void hear(request_id id, const result<whereabouts>& what) {
    if (search_.question().asked == id)
      return hear_search(what);
    if (bound_.asks(id))
      return hear_bound(id, what);
    if (contact_.asks(id))
      return hear_contact(what);
    if (guide_.serves() && guide_.question().asked == id)
      return hear_guide(what);
    if (auto beside = poll_.asked_by(id))
      hear_aside(*beside, what);
  }

  const finder_options options_;
  service_addresses addresses_;
  leader_history history_;
  bool is_started_ = false;
  /// The services are on this node.
  bool is_here_ = false;
  std::uint64_t turn_ = 0;
  /// Where they are by this node's own replica, until they turn out not to be there: the replica of
  /// a node that has no vote may hear of a change of leader late, or never.
  std::optional<net::address> led_by_;
  /// To those who ask this node. They name that address when they want to be relayed there.
  point said_;

  finder_requests requests_;
  service_search search_;
  bound_services bound_;
  finder_contact contact_;
  quorum_poll poll_;
  finder_guide guide_;
  finder_links links_;
  /// Those up that lead through another node, also if they are in no use; and that node, if known.
  std::map<net::connection_id, std::optional<net::address>> relayed_;
  /// While a step runs.
  time_point now_{};
  effects* out_ = nullptr;
};

} // namespace troupe::cluster
