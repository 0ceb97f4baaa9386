#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/dial_list.hpp"
#include "troupe/cluster/finder_links.hpp"
#include "troupe/cluster/finder_types.hpp"
#include "troupe/cluster/leader_history.hpp"
#include "troupe/cluster/service_names.hpp"
#include "troupe/cluster/vain_search.hpp"
#include "troupe/core/random.hpp"

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
/// - The first node that answers is the contact: while nothing is bound it says at once where the
///   services are, or why they are nowhere. That word counts once other nodes have been tried too:
///   the contact may be cut off from a majority that others reach.
/// - Services of a group of voters move without their node saying so: a second node, the guide,
///   says where they are as well, unless this node has its own word of that.
/// - A node that says `denied` refuses this one permanently. Like the word of the contact, that
///   counts once others have been tried too, and while no contact knows of a majority.
/// - A node that votes has its own word of the quorum, which goes before that of the contact.
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
      addresses_(options_.addresses),
      random_(seed),
      history_(now),
      vain_(options_.max_addresses),
      dials_(options_.max_dials),
      links_(options_.idle_after, options_.max_links) {}

  /// @pre `now` never goes backwards.
  void step(time_point now, request_id id, event what, effects& out) {
    now_ = now;
    out_ = &out;
    std::visit([&](auto& each) { handle(id, each); }, what);
    go_on();
    out_ = nullptr;
  }

  void tick(time_point now, effects& out) {
    now_ = now;
    out_ = &out;
    if (search_.at != stage::idle && is_due(search_.question))
      search_is_due();
    for (auto* each : {&watch_, &doubt_, &listen_})
      if (*each && is_due(**each))
        (*each)->asked != 0 ? hear((*each)->asked, no_answer((*each)->where)) : each->reset();
    guide_is_due();
    asides_are_due();
    for (auto& each : dials_.take_due(now))
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
    if (search_.at != stage::idle)
      no_later(search_.question.due);
    for (auto* each : {&watch_, &doubt_, &listen_})
      if (*each)
        no_later((*each)->due);
    no_later(guide_.begin_at);
    if (guide_.at == guide_stage::pausing || guide_.at == guide_stage::asking)
      no_later(guide_.question.due);
    for (auto& [where, each] : asides_) {
      no_later(each.tried_at);
      if (each.question)
        no_later(each.question->due);
    }
    no_later(dials_.next_deadline());
    no_later(links_.next_deadline());
    return next;
  }

  /// As this node was last `seated`.
  [[nodiscard]] bool votes() const {
    return votes_;
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
    auto is_open = [&](const inquiry& what) { return what.asked != 0 && is_up(what.link); };
    auto seeks = search_.at != stage::idle;
    auto asks = search_.at == stage::asking || search_.at == stage::waiting;
    expect(!asks || is_open(search_.question), "the search asks over a link that is down");
    expect(asks || search_.question.asked == 0, "a question is open that no search asks");
    expect(search_.at != stage::dialling || dials_.contains(search_.question.where),
           "the search waits for a dial that is not under way");
    expect(sign_.link == 0 || is_up(sign_.link), "the way leads over a link that is down");
    expect(!bound_ || is_up(bound_->link), "the services are bound over a link that is down");
    expect(!bound_ || !is_here_, "the services are on two nodes");
    expect(!is_here_ || !(seeks || watch_ || doubt_ || listen_ || !asides_.empty()),
           "this node leads and asks where the services are");
    expect(!is_here_ || (guide_.at == guide_stage::none && !guide_.begin_at),
           "this node leads and has a guide");
    expect(!is_started_ || is_here_ || bound_ || seeks || addresses_.empty(),
           "nothing is bound, and nobody searches");
    expect(bound_ && !seeks ? watch_.has_value() : !watch_ && !doubt_,
           "the node of the services is not watched as it should be");
    for (auto* each : {&watch_, &doubt_})
      expect(!*each || (*each)->link == bound_->link, "another node than theirs is watched");
    for (auto* each : {&watch_, &doubt_, &listen_})
      expect(!*each || (*each)->asked == 0 || is_open(**each), "a question is lost");
    expect(!contact_ || is_up(contact_->link), "the contact's link is down");
    expect(listen_.has_value() == (contact_ && is_out_of_reach()),
           "the contact is not listened to as it should be");
    expect(!listen_ || listen_->link == contact_->link, "another node than the contact is heard");
    expect(guide_.at != guide_stage::asking || is_open(guide_.question),
           "the guide's link is down");
    expect(guide_.at != guide_stage::dialling || dials_.contains(guide_.question.where),
           "the guide is not dialled");
    expect(asides_.empty() || is_out_of_reach(), "others are asked for what is bound");
    for (auto& [where, each] : asides_)
      expect(each.question ? is_open(*each.question) : dials_.contains(where),
             "a node is waited for that nobody asks");
    for (auto& link : links_.idle())
      expect(!is_used(link), "a link is idle and in use");
    expect(!vain_.hears_anything() || contact_, "nobody says that there is no quorum");
    expect(vain_.size() == 0 || is_out_of_reach(), "a search is in vain for what is bound");
    expect(addresses_.size() <= std::max(options_.max_addresses, options_.addresses.size()),
           "more addresses than allowed");
    expect(vain_.size() <= std::max(options_.max_addresses, vain_search::enough_tried),
           "more tries than allowed");
    expect(dials_.size() <= options_.max_dials, "more dials than allowed");
    expect(links_.size() <= options_.max_links, "more links than allowed");
    return found;
  }

private:
  /// One question, or if `asked` is zero the pause before the next.
  struct inquiry {
    request_id asked = 0;
    net::connection_id link = 0;
    net::address where{};
    std::uint64_t known = 0;
    time_point due{};
  };

  enum class stage : std::uint8_t {
    idle,
    dialling,
    /// A node for the services.
    asking,
    /// For a node that does not know the way yet.
    waiting,
    pausing
  };

  struct search {
    stage at = stage::idle;
    inquiry question{};
  };

  /// A node that has said where the services are, or that it does not know; and how often it had
  /// changed its mind. No link: there is none.
  struct sign {
    net::connection_id link = 0;
    net::address where{};
    std::uint64_t revision = 0;
  };

  struct binding {
    net::connection_id link = 0;
    net::address where{};
    std::map<std::string, service_handle> handles{};
    /// What was heard there last.
    std::uint64_t revision = 0;
  };

  struct contact {
    net::connection_id link = 0;
    net::address where{};
    std::uint64_t revision = 0;
  };

  enum class guide_stage : std::uint8_t { none, dialling, asking, pausing };

  struct guide {
    guide_stage at = guide_stage::none;
    inquiry question{};
    /// When there is to be one.
    std::optional<time_point> begin_at{};
    std::vector<net::address> nodes{};
    net::address host{};
    std::size_t next = 0;
  };

  struct aside {
    /// When it counts as tried, as it may hang; the answer still counts.
    std::optional<time_point> tried_at{};
    /// None while it is dialled.
    std::optional<inquiry> question{};
  };

  template <class Effect>
  void put(Effect what) {
    out_->push_back(std::move(what));
  }

  [[nodiscard]] bool is_due(const inquiry& what) const {
    return what.due <= now_;
  }

  inquiry inquire(net::connection_id link, const net::address& where, std::uint64_t known,
                  duration wait, duration within) {
    put(ask{++last_id_, link, known, wait, within});
    return {last_id_, link, where, known, now_ + within};
  }

  static problem no_answer(const net::address& where) {
    return {errc::timed_out, to_string(where)
                               + " does not answer; see that a troupe node runs there and is not "
                                 "stopped, or wait longer"};
  }

  /// Neither here nor bound elsewhere.
  [[nodiscard]] bool is_out_of_reach() const {
    return !bound_ && !is_here_;
  }

  /// What follows from the state, after each step.
  void go_on() {
    if (is_started_ && is_out_of_reach() && search_.at == stage::idle && !addresses_.empty())
      seek();
    if (bound_ && search_.at == stage::idle && !watch_) {
      auto wait = std::max(options_.check_every, options_.check_at_rest);
      watch_ = inquire(bound_->link, bound_->where, bound_->revision, wait, wait + patience);
    }
    if (contact_ && is_out_of_reach() && !listen_)
      listen_ = inquire(contact_->link, contact_->where, contact_->revision, options_.check_every,
                        options_.check_every + answer_within);
    close_all(links_.settle(
      now_, [this](auto link) { return is_used(link); },
      [this](auto link) { return contact_ && contact_->link == link; }));
  }

  void close_all(const std::vector<net::connection_id>& links) {
    for (auto link : links)
      put(close{link});
  }

  /// Tells those who ask this node.
  void point_to(const std::optional<net::address>& where) {
    history_.leads(now_, where ? to_string(*where) : std::string{});
    put(point{where});
  }

  // -- this node -------------------------------------------------------------------------

  void handle(request_id, const start& what) {
    is_started_ = true;
    self_address_ = what.self;
    if (self_address_)
      std::erase(addresses_, *self_address_);
  }

  void handle(request_id, const learned& what) {
    learn(what.addresses);
  }

  void learn(const std::vector<std::string>& addresses) {
    for (auto& each : addresses)
      if (auto where = net::address::from_string(each))
        learn(*where);
  }

  void learn(const net::address& where) {
    if (addresses_.size() < options_.max_addresses && where != self_address_
        && std::ranges::find(addresses_, where) == addresses_.end())
      addresses_.push_back(where);
  }

  void handle(request_id, const lead& what) {
    if (what.turn < turn_)
      return;
    turn_ = what.turn;
    led_by_.reset();
    is_here_ = true;
    end_search();
    bound_.reset();
    is_bound();
    let_guide_go();
    history_.leads(now_, "this node");
    put(bind_here{what.turn});
  }

  void handle(request_id, const follow& what) {
    if (what.turn < turn_)
      return;
    turn_ = what.turn;
    if (std::exchange(is_here_, false))
      put(unbind{});
    led_by_ = what.where;
    point_to(what.where);
    // A search that is under way may hear there of an earlier turn.
    auto is_there = bound_ && bound_->where == what.where && search_.at == stage::idle;
    if (is_started_ && what.where && !is_there)
      seek(what.where);
  }

  void handle(request_id, const seated& what) {
    votes_ = what.votes;
    tell_vain();
  }

  void handle(request_id, const seat_says& what) {
    own_quorum_ = what.why;
    tell_vain();
  }

  void is_not_led_by(const net::address& where) {
    if (led_by_ == where)
      led_by_.reset();
  }

  // -- links -----------------------------------------------------------------------------

  [[nodiscard]] bool is_used(net::connection_id link) const {
    auto asks = [link](const inquiry& what) { return what.asked != 0 && what.link == link; };
    return asks(search_.question) || sign_.link == link || (bound_ && bound_->link == link)
           || (contact_ && contact_->link == link && !bound_)
           || (guide_.at == guide_stage::asking && guide_.question.link == link)
           || std::ranges::any_of(asides_, [&](auto& each) {
                return each.second.question && asks(*each.second.question);
              });
  }

  void handle(request_id, const link_down& what) {
    if (!links_.remove(what.link))
      return;
    if (sign_.link == what.link)
      sign_ = {};
    if (guide_.at == guide_stage::asking && guide_.question.link == what.link)
      find_guide_later();
    for (auto& where : asides_over(what.link))
      give_up_aside(where);
    if (contact_ && contact_->link == what.link)
      part();
    if (bound_ && bound_->link == what.link) {
      lose();
      if (!contact_ && guide_.at == guide_stage::asking)
        meet(guide_.question.link, guide_.question.where, {});
    }
    if (search_.question.asked != 0 && search_.question.link == what.link)
      hear_search(no_answer(search_.question.where));
  }

  // -- dials -----------------------------------------------------------------------------

  /// An address that takes long is not dialled twice. Null: there are too many.
  dial_list::dial* begin_dial(const net::address& where) {
    if (auto* known = dials_.find(where))
      return known;
    if (dials_.is_full())
      return nullptr;
    put(dial{++last_id_, where});
    return &dials_.add(where, last_id_, now_ + options_.dial_within);
  }

  void handle(request_id id, const resolved&) {
    dials_.resolved(id);
  }

  void handle(request_id id, const dialled& what) {
    if (what.link)
      links_.add(*what.link);
    if (auto ended = dials_.take(id))
      end_dial(*ended, what.link);
  }

  void end_dial(const dial_list::ended& ended, const result<net::connection_id>& got) {
    auto& [place, how] = ended;
    if (search_.at == stage::dialling && search_.question.where == place)
      got ? ask_there(*got, place) : search_did_not_link(place, how, got.error());
    else if (got && how.is_for_search && search_.at != stage::idle && !bound_)
      take_late(*got, place);
    if (auto beside = asides_.find(place); beside != asides_.end() && !beside->second.question) {
      if (got)
        beside->second.question = inquire(*got, place, 0, {}, answer_within);
      else
        give_up_aside(place, got.error());
    }
    if (guide_.at == guide_stage::dialling && guide_.question.where == place)
      got ? watch_guide(*got, place, 0) : find_guide_later();
  }

  // -- the search ------------------------------------------------------------------------

  void end_search() {
    search_ = {};
    sign_ = {};
    hops_ = 0;
    watch_.reset();
    doubt_.reset();
    guide_.begin_at.reset();
  }

  void seek(const std::optional<net::address>& first = std::nullopt) {
    end_search();
    if (first)
      dial_for_search(*first);
    else
      dial_next();
  }

  void dial_next() {
    hops_ = 0;
    if (addresses_.empty()) {
      search_ = {};
      return;
    }
    auto next = [this] { return addresses_[next_address_++ % addresses_.size()]; };
    auto where = next();
    if (where == silent_)
      where = next(); // the same one, if there is no other
    dial_for_search(where);
  }

  /// The search waits for it less long than a dial may take.
  void dial_for_search(const net::address& where) {
    search_ = {stage::dialling, {.where = where, .due = now_ + options_.dial_next_after}};
    auto* begun = begin_dial(where);
    if (begun == nullptr)
      return again({errc::limit_reached, to_string(where)
                                           + " is not dialled: too many nodes are being dialled; "
                                             "check that their addresses are right"});
    begun->is_for_search = true;
  }

  void search_is_due() {
    auto question = search_.question;
    if (question.asked != 0)
      return hear_search(no_answer(question.where));
    if (search_.at == stage::pausing)
      return dial_next();
    auto* late = dials_.find(question.where);
    late->is_late = true;
    tried(question.where);
    again(late->is_resolved
            ? no_answer(question.where)
            : problem{errc::unreachable, to_string(question.where)
                                           + ": its name is not found yet; check that name servers "
                                             "answer, or give its IP address"});
  }

  /// A node that the search has once given up waiting for was silent.
  void search_did_not_link(const net::address& where, const dial_list::dial& how, problem why) {
    if (how.is_late && how.is_resolved && why.code == errc::unreachable)
      why.code = errc::timed_out;
    tried(where, why);
    again(why);
  }

  /// A link that the search has not waited for.
  void take_late(net::connection_id link, const net::address& where) {
    hops_ = 0;
    sign_ = {};
    ask_there(link, where);
  }

  void again(const problem& why) {
    put(failed{why});
    if (auto from = std::exchange(sign_, {}); from.link != 0) {
      search_ = {stage::waiting, inquire(from.link, from.where, from.revision, options_.check_every,
                                         options_.check_every + answer_within)};
      return;
    }
    if (failures_ >= slow_after)
      silent_.reset(); // it may only have been slow
    failures_ = std::min(failures_ + 1, max_failures);
    search_ = {stage::pausing, {.due = now_ + options_.retry.delay(failures_, random_)}};
  }

  void ask_there(net::connection_id link, const net::address& where) {
    search_ = {stage::asking, inquire(link, where, 0, {}, answer_within)};
  }

  void hear_search(const result<whereabouts>& what) {
    auto was = std::exchange(search_.at, stage::pausing);
    auto question = std::exchange(search_.question, {});
    if (was == stage::asking)
      return what ? hear_asked(question, *what) : asked_in_vain(question);
    if (!what)
      return again(what.error());
    if (what->handle != 0)
      return ask_there(question.link, question.where); // for the others, too
    if (what->revision != question.known)
      return go_by({question.link, question.where, what->revision}, *what);
    again({errc::unreachable, to_string(question.where)
                                + (silent_ ? " names no leader that answers this node"
                                           : " knows no node that leads")});
  }

  void hear_asked(const inquiry& question, const whereabouts& what) {
    meet(question.link, question.where, what);
    go_by({question.link, question.where, what.revision}, what);
  }

  void asked_in_vain(const inquiry& question) {
    if (contact_ && contact_->link == question.link)
      part();
    tried(question.where);
    again(no_answer(question.where));
  }

  void go_by(const sign& from, const whereabouts& what) {
    learn(what.others);
    if (what.handle != 0)
      return bind_there(from, what);
    auto there = way_to(what);
    tried(from.where);
    auto is_too_far = ++hops_ > max_hops;
    if (is_too_far)
      sign_ = {};
    else if (there != from.where)
      sign_ = from; // it may soon know better, see again()
    if (!there || there == from.where || there == silent_ || is_too_far)
      return again({errc::unreachable, to_string(from.where) + why_not(there)});
    dial_for_search(*there);
  }

  /// What a node that was asked says of the way, and why this one does not go there.
  [[nodiscard]] std::string why_not(const std::optional<net::address>& there) const {
    if (!there || there != silent_)
      return " does not know where the services are";
    return " says that the services are at " + to_string(*there)
           + ", which does not answer this node; if that lasts, repair the network between the two";
  }

  /// Where a node says that the services are. That they are here this node knows first: a node that
  /// says so speaks of an earlier time.
  [[nodiscard]] std::optional<net::address> way_to(const whereabouts& what) const {
    auto there = net::address::from_string(what.address);
    if (!there || *there == self_address_)
      return std::nullopt;
    return *there;
  }

  // -- what is bound ---------------------------------------------------------------------

  /// The services are on the node at the other end. Only clusters that keep their services on
  /// several nodes have voters.
  void bind_there(const sign& there, const whereabouts& what) {
    finder_binding how{
      .link = there.link, .where = there.where, .has_voters = what.all.contains(voters_name)};
    auto take = [&](const std::string& service) {
      auto found = what.all.find(service);
      if (found == what.all.end() || found->second == 0)
        return false;
      how.handles[service] = found->second;
      if (auto record = what.records.find(service); record != what.records.end())
        how.records.insert(*record);
      return true;
    };
    if (!std::ranges::all_of(cluster_services, take) || (how.has_voters && !take(voters_name)))
      return again({errc::unreachable, to_string(there.where) + " hosts the services no more"});
    for (auto& [called, handle] : what.all)
      if (!is_ours(called))
        take(called);
    take_binding(std::move(how), what.revision);
  }

  void take_binding(finder_binding how, std::uint64_t revision) {
    auto way = sign_;
    end_search();
    failures_ = 0;
    silent_.reset();
    if (led_by_ != how.where)
      led_by_.reset();
    learn(how.where);
    how.others = addresses_;
    auto is_news = !bound_ || bound_->link != how.link || bound_->handles != how.handles;
    bound_ = {how.link, how.where, how.handles, revision};
    is_bound();
    if (how.has_voters)
      have_guide(way);
    else
      let_guide_go();
    if (!is_news)
      return put(settled{}); // their node was only slow to answer
    point_to(how.where);
    put(bind{std::move(how)});
  }

  /// The contact is not needed while they are.
  void is_bound() {
    listen_.reset();
    if (contact_)
      contact_->revision = 0;
    asides_.clear();
    vain_.forget();
    tell_vain();
  }

  void lose() {
    is_not_led_by(bound_->where);
    bound_.reset();
    watch_.reset();
    doubt_.reset();
    guide_.begin_at.reset();
    put(unbind{});
    if (!votes_)
      point_to({}); // else the seat knows better
  }

  void handle(request_id, const doubt&) {
    if (bound_ && search_.at == stage::idle && !doubt_)
      doubt_ = inquire(bound_->link, bound_->where, bound_->revision, {}, patience);
  }

  void hear_bound(std::optional<inquiry>& by, const result<whereabouts>& what) {
    by.reset();
    auto is_watch = &by == &watch_;
    if (what)
      return hear_bound(*what, is_watch);
    if (what.error().code == errc::busy) {
      if (is_watch)
        by = inquiry{
          .link = bound_->link, .where = bound_->where, .due = now_ + options_.check_every};
      return;
    }
    silent_ = bound_->where; // it hangs, or its link does
    is_not_led_by(bound_->where);
    seek();
  }

  void hear_bound(const whereabouts& what, bool is_watch) {
    learn(what.others);
    if (what.handle != 0 && what.handle == bound_->handles.at(cluster_services.front())) {
      if (is_watch)
        bound_->revision = what.revision;
      return;
    }
    if (what.handle != 0)
      return seek(bound_->where);
    if (auto there = way_to(what))
      return seek(there);
    if (!what.address.empty())
      return seek(); // it says here, which was so earlier
    auto node = sign{bound_->link, bound_->where};
    lose();
    meet(node.link, node.where, what);
  }

  // -- the contact -----------------------------------------------------------------------

  /// The node at the other end answers; one that did before stays the contact.
  void meet(net::connection_id link, const net::address& where, const whereabouts& what) {
    if (contact_)
      return;
    learn(what.others); // those are asked, too, where it has no majority
    contact_ = {link, where, what.revision};
    put(met{link, where});
    if (is_out_of_reach())
      hear_quorum(what.why);
  }

  void part() {
    contact_.reset();
    listen_.reset();
    hear_quorum({});
    put(parted{});
  }

  void hear_contact(const result<whereabouts>& what) {
    auto question = *std::exchange(listen_, {});
    if (!what && what.error().code == errc::busy) {
      listen_ = inquiry{
        .link = question.link, .where = question.where, .due = now_ + options_.check_every};
      return;
    }
    if (!what)
      return part();
    hear_quorum(what->why);
    contact_->revision = what->revision;
    if (what->revision == question.known)
      return;
    learn(what->others);
    auto there = what->handle != 0 ? std::optional{question.where} : way_to(*what);
    if (there && there != silent_)
      seek(there);
  }

  // -- whether there is a quorum -----------------------------------------------------------

  /// What the contact says of the quorum.
  void hear_quorum(const problem& why) {
    auto is_news = vain_.hear(why);
    tell_vain();
    if (is_news)
      ask_around();
  }

  /// Asks other nodes side by side whether they know of a majority that the contact does not
  /// reach. Those that hang count as asked in time, too.
  void ask_around() {
    asides_.clear();
    std::vector<net::address> others;
    for (auto& where : addresses_)
      if (!vain_.has_tried(where) && where != contact_->where
          && others.size() < vain_search::enough_tried)
        others.push_back(where);
    for (auto& where : others) {
      if (begin_dial(where) == nullptr)
        tried(where);
      else
        asides_[where].tried_at = now_ + answer_within;
    }
  }

  [[nodiscard]] std::vector<net::address> asides_over(net::connection_id link) const {
    std::vector<net::address> found;
    for (auto& [where, each] : asides_)
      if (each.question && each.question->link == link)
        found.push_back(where);
    return found;
  }

  void asides_are_due() {
    std::vector<net::address> hang;
    std::vector<net::address> silent;
    for (auto& [where, each] : asides_) {
      if (each.question && is_due(*each.question))
        silent.push_back(where);
      else if (each.tried_at && *each.tried_at <= now_) {
        each.tried_at.reset();
        hang.push_back(where);
      }
    }
    for (auto& where : silent)
      give_up_aside(where);
    for (auto& where : hang)
      tried(where);
  }

  void give_up_aside(const net::address& where, const problem& why = {}) {
    auto gone = asides_.extract(where);
    tried(gone.key(), why);
  }

  void hear_aside(const net::address& by, const result<whereabouts>& what) {
    auto gone = asides_.extract(by);
    auto& where = gone.key();
    if (!what)
      return tried(where);
    learn(what->others);
    auto there = what->handle != 0 ? std::optional{where} : way_to(*what);
    if (there && there != silent_)
      return seek(there);
    tried(where);
  }

  /// This node was asked, or gave no link because of `why`.
  void tried(const net::address& where, const problem& why = {}) {
    if (!is_out_of_reach())
      return;
    vain_.tried(where, why);
    tell_vain();
  }

  void tell_vain() {
    auto why = votes_ ? own_quorum_ : vain_.no_quorum(addresses_);
    if (why != told_quorum_)
      put(without_quorum{told_quorum_ = why, votes_});
    auto denied = vain_.denied(addresses_, contact_.has_value());
    if (denied != told_denied_)
      put(refused{told_denied_ = denied});
  }

  // -- the guide -------------------------------------------------------------------------

  /// The node that has shown the way is first: there is a link to it.
  void have_guide(const sign& way) {
    guide_.nodes = addresses_;
    if (way.link != 0)
      guide_.nodes.insert(guide_.nodes.begin(), way.where);
    guide_.host = bound_->where;
    if (options_.guide_after <= duration::zero() || guide_.at == guide_stage::asking)
      keep_guide();
    else
      guide_.begin_at = now_ + options_.guide_after;
  }

  /// One that serves stays, unless the services have come to it.
  void keep_guide() {
    guide_.begin_at.reset();
    if (guide_.at == guide_stage::asking && guide_.question.where != guide_.host)
      return;
    guide_.next = 0;
    find_guide();
  }

  /// The first that can be reached and is not the host.
  void find_guide() {
    guide_.at = guide_stage::none;
    guide_.question = {};
    for (std::size_t tries = 0; tries < guide_.nodes.size(); ++tries) {
      auto where = guide_.nodes[guide_.next++ % guide_.nodes.size()];
      if (where == guide_.host)
        continue;
      if (begin_dial(where) == nullptr)
        return find_guide_later();
      guide_.at = guide_stage::dialling;
      guide_.question.where = where;
      return;
    }
  }

  void find_guide_later() {
    guide_.at = guide_stage::pausing;
    guide_.question = {.due = now_ + guide_rest};
  }

  void let_guide_go() {
    guide_ = {};
  }

  void watch_guide(net::connection_id link, const net::address& where, std::uint64_t known) {
    guide_.at = guide_stage::asking;
    guide_.question = inquire(link, where, known, guide_check, guide_check + guide_patience);
  }

  void guide_is_due() {
    if (guide_.begin_at && *guide_.begin_at <= now_)
      keep_guide();
    if (guide_.at == guide_stage::pausing && is_due(guide_.question))
      find_guide();
    else if (guide_.at == guide_stage::asking && is_due(guide_.question))
      find_guide_later();
  }

  void hear_guide(const result<whereabouts>& what) {
    auto question = guide_.question;
    if (!what)
      return find_guide_later();
    watch_guide(question.link, question.where, what->revision);
    if (what->revision == question.known || led_by_)
      return;
    auto there = what->handle != 0 ? std::optional{question.where} : way_to(*what);
    if (there && there != guide_.host)
      seek(there);
  }

  // -- answers ---------------------------------------------------------------------------

  void handle(request_id id, const heard& what) {
    if (id != 0)
      hear(id, what.what);
  }

  void hear(request_id id, const result<whereabouts>& what) {
    auto is_of = [id](const std::optional<inquiry>& each) { return each && each->asked == id; };
    if (search_.question.asked == id)
      return hear_search(what);
    if (is_of(watch_))
      return hear_bound(watch_, what);
    if (is_of(doubt_))
      return hear_bound(doubt_, what);
    if (is_of(listen_))
      return hear_contact(what);
    if (guide_.at == guide_stage::asking && guide_.question.asked == id)
      return hear_guide(what);
    auto beside
      = std::ranges::find_if(asides_, [&](auto& each) { return is_of(each.second.question); });
    if (beside != asides_.end())
      hear_aside(beside->first, what);
  }

  static constexpr duration answer_within = std::chrono::milliseconds{1'500};
  /// A node that has not said in time that it is there is passed over after so much more.
  static constexpr duration patience = std::chrono::milliseconds{500};
  static constexpr duration guide_check = std::chrono::seconds{2};
  static constexpr duration guide_patience = std::chrono::seconds{1};
  /// Until another guide is tried.
  static constexpr duration guide_rest = std::chrono::seconds{5};
  /// Failures in turn, some 2 s, until a silent node is asked again.
  static constexpr std::uint32_t slow_after = 4;
  static constexpr std::uint32_t max_failures = 10; // the delay has reached its maximum by then
  /// Answers that lead no further or to others, without a pause between.
  static constexpr std::size_t max_hops = 3;

  const finder_options options_;
  std::vector<net::address> addresses_;
  random_source random_;
  leader_history history_;
  bool is_started_ = false;
  std::optional<net::address> self_address_;
  /// The services are on this node.
  bool is_here_ = false;
  bool votes_ = false;
  problem own_quorum_;
  std::uint64_t turn_ = 0;
  /// Where they are by this node's own replica, until they turn out not to be there: the replica of
  /// a node that has no vote may hear of a change of leader late, or never.
  std::optional<net::address> led_by_;

  search search_;
  /// The node that has shown the way to the next.
  sign sign_;
  std::size_t hops_ = 0;
  std::size_t next_address_ = 0;
  std::uint32_t failures_ = 0;
  /// Where the services were and nobody answered.
  std::optional<net::address> silent_;

  std::optional<binding> bound_;
  /// Open at the same time: the question that is held there, and the one that somebody waits for.
  std::optional<inquiry> watch_;
  std::optional<inquiry> doubt_;

  std::optional<contact> contact_;
  std::optional<inquiry> listen_;
  std::map<net::address, aside> asides_;
  /// Since the services were bound last.
  vain_search vain_;
  problem told_quorum_;
  problem told_denied_;

  guide guide_;
  dial_list dials_;
  finder_links links_;
  request_id last_id_ = 0;
  /// While a step runs.
  time_point now_{};
  effects* out_ = nullptr;
};

} // namespace troupe::cluster
