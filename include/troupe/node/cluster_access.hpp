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
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/cluster/service_names.hpp"
#include "troupe/core/backoff.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/timer_queue.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/net/resolver.hpp"
#include "troupe/node/access_guide.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::cluster {

/// How to find the services of a cluster.
struct access_options {
  /// Nodes to ask, in turn.
  std::vector<net::address> addresses;
  /// Between two rounds of asking them.
  backoff retry{std::chrono::milliseconds{100}, std::chrono::seconds{2}};
  /// A link to a node that only showed the way is no longer needed after so long; zero: that is
  /// not for the access to say, routers at both ends decide (see router::idle_links).
  duration idle_after{};
  /// How often the node where the services are says that it is there, at least. Each costs it a
  /// message, and the other side an answer.
  duration check_every = std::chrono::seconds{1};
  /// The same while nobody waits for an answer of theirs, see access_state::doubt(); zero: no
  /// longer.
  duration check_at_rest{};
  /// A second node is asked where the services are (see access_guide) once they have been there
  /// for so long: who makes one call needs one link.
  duration guide_after{};
  /// How long a search waits for a link before it dials the next address. A link that comes later
  /// is taken all the same.
  duration dial_next_after = std::chrono::milliseconds{1'500};
};

/// Where the services of a cluster are.
struct service_binding {
  /// By their names; none: they are out of reach.
  std::map<std::string, caf::strong_actor_ptr> handles;
  /// How far they have come, for those of which that is known.
  std::map<std::string, request_id> records{};
  /// The node that they are on, and its router.
  net::address where;
  caf::strong_actor_ptr entry;
  /// Nodes that may know where they are when that one is gone.
  std::vector<net::address> others;
  /// That node is this one.
  bool is_here = false;
  /// They are on a group of voters, not in the memory of one node.
  bool has_voters = true;
};

/// Whom to tell. All are called on the actor of the access; none may block.
struct access_events {
  /// The services are reached like this from now on.
  std::function<void(const service_binding&)> bound;
  /// A try has failed; there will be others. errc::none: one has led to the services, which are
  /// where they were.
  std::function<void(const problem&)> failed;
  /// The link has shown the way, and nobody used it since for access_options::idle_after.
  std::function<void(const net::link_ptr&)> idle{};
  /// This node answers, so that what it knows can be asked of it, and messages go through it,
  /// whether or not the services are found. Null: none does.
  std::function<void(const net::link_ptr&, const net::address&)> met
    = [](const net::link_ptr&, const net::address&) {};
  /// The services are nowhere and will be for a while, by what that node says: no_quorum, with
  /// who is missing. errc::none: they may be found soon.
  std::function<void(const problem&)> without_quorum = [](const problem&) {};
  /// A node refuses this one's certificate, and no other leads to the services: denied, of the last
  /// refusal. errc::none: that is over.
  std::function<void(const problem&)> refused = [](const problem&) {};
};

/// Keeps the way to the services of a cluster: dials one node after the other until one
/// is there, asks it where the services are, goes there, and waits there for word that they have
/// moved. Begins again when that comes, when the link is lost, or when the node is silent; what
/// was bound stays so until there is something better, or its link has ended. For all
/// nodes that do not host the services themselves, and for light clients.
class access_state {
public:
  static inline const char* name = "troupe.access";

  access_state(caf::event_based_actor* self, access_options options, access_events events)
    : self_(self),
      options_(std::move(options)),
      events_(std::move(events)),
      timers_(self),
      random_(self->id()),
      guide_({self,
              [this](const net::address& where, const link_taker& then) { dial(where, then); },
              [this](const net::address& there) {
                if (!is_here_ && !led_by_ && there != self_address_)
                  seek(there);
              },
              [this](const net::link_ptr& link) { rest(link); }}) {}

  access_state(const access_state&) = delete;
  access_state& operator=(const access_state&) = delete;

  caf::behavior make_behavior() {
    ignore_strays(self_);
    return {[](caf::ok_atom) {}}; // lives on the actions that arrive
  }

  /// Begins; `gate` outlives this actor. `self` is where this node takes links itself.
  void start(net::gate* gate, const std::optional<net::address>& self = std::nullopt) {
    gate_ = gate;
    self_address_ = self;
    if (self)
      std::erase(options_.addresses, *self);
    if (!is_here_ && !is_seeking_)
      seek();
  }

  /// A link has ended.
  void link_down(net::connection_id number) {
    if (contact_ && contact_->number() == number)
      part();
    if (number != link_)
      return;
    link_ = 0;
    is_not_led_by(where_);
    bound_link_.reset();
    handles_.clear();
    events_.bound({});
    if (!is_seeking_)
      seek();
    if (contact_)
      listen_anew(0);
    else if (auto guide = guide_.link())
      meet(guide, guide_.where(), {});
  }

  /// The services are on this node since this turn (see voters_setup::lead).
  void lead_here(std::uint64_t turn, const service_binding& how) {
    if (turn < turn_)
      return;
    turn_ = turn;
    led_by_.reset();
    is_here_ = true;
    is_seeking_ = false;
    ++search_;
    link_ = 0;
    rest_if_any(std::exchange(bound_link_, nullptr));
    guide_.let_go();
    forget_quorum();
    events_.bound(how);
  }

  /// They are elsewhere since this turn, at `where` if that is known: then no guide knows better,
  /// and one may be another cluster's, or lead alone on an older copy.
  void follow(std::uint64_t turn, const std::string& where) {
    if (turn < turn_)
      return;
    turn_ = turn;
    if (std::exchange(is_here_, false)) {
      events_.bound({});
      if (contact_)
        listen_anew(0);
    }
    auto address = net::address::from_string(where);
    led_by_ = address ? std::optional{*address} : std::nullopt;
    if (gate_ == nullptr || (address && link_ != 0 && *address == where_))
      return;
    if (address)
      seek(*address);
    else if (link_ == 0 && !is_seeking_)
      seek();
  }

  /// Looks for the services at these addresses, too, from now on.
  void learn(const std::vector<std::string>& addresses) {
    for (auto& each : addresses)
      if (auto where = net::address::from_string(each);
          where && options_.addresses.size() < max_addresses && *where != self_address_
          && std::ranges::find(options_.addresses, *where) == options_.addresses.end())
        options_.addresses.push_back(*where);
  }

  /// Somebody waits for an answer of the services: is their node there?
  void doubt() {
    if (link_ != 0 && bound_link_ && !is_asking_ && !is_seeking_)
      look_there(search_, bound_link_, revision_, {});
  }

  /// Part of the end of the node.
  void stop() {
    contact_.reset();
    self_->quit();
  }

private:
  using link_taker = std::function<void(const result<net::link_ptr>&)>;

  /// With those who wait for it.
  struct dial_under_way {
    std::vector<link_taker> takers;
    bool is_unresolved = true;
    /// The search has given up waiting for it.
    bool is_late = false;
  };

  void is_not_led_by(const net::address& where) {
    if (led_by_ == where)
      led_by_.reset();
  }

  // -- the search ------------------------------------------------------------------------

  /// Whether what a search asked for is of interest yet.
  [[nodiscard]] bool is_current(std::uint64_t search) const {
    return search == search_;
  }

  void seek(const std::optional<net::address>& first = std::nullopt) {
    auto search = ++search_;
    hops_ = 0;
    sign_ = {};
    is_seeking_ = true;
    if (first)
      dial(search, *first);
    else
      dial_next(search);
  }

  void dial_next(std::uint64_t search) {
    hops_ = 0;
    auto& all = options_.addresses;
    if (all.empty()) {
      is_seeking_ = false;
      return;
    }
    auto next = [&] { return all[next_address_++ % all.size()]; };
    auto where = next();
    if (where == silent_)
      where = next(); // the same one, if there is no other
    dial(search, where);
  }

  /// The search waits for it less long than a dial may take.
  void dial(std::uint64_t search, const net::address& where) {
    auto number = ++dial_;
    auto is_over = [this, search, number] { return !is_current(search) || number != dial_; };
    dial(where, [this, search, where, is_over](const result<net::link_ptr>& got) {
      if (is_over())
        return got ? late(*got, where) : void();
      ++dial_;
      if (got)
        return ask(search, *got, where);
      tried(where, got.error());
      again(search, got.error());
    });
    timers_.after(options_.dial_next_after, [this, search, where, is_over] {
      if (is_over())
        return;
      ++dial_;
      tried(where);
      auto under_way = dials_.find(to_string(where));
      if (under_way != dials_.end())
        under_way->second.is_late = true;
      auto is_unresolved = under_way != dials_.end() && under_way->second.is_unresolved;
      again(search, is_unresolved ? problem{errc::unreachable,
                                            to_string(where)
                                              + ": its name is not found yet; check that "
                                                "name servers answer, or give its IP address"}
                                  : no_answer(where));
    });
  }

  static problem no_answer(const net::address& where) {
    return {errc::timed_out, to_string(where)
                               + " does not answer; see that a troupe node runs there and is not "
                                 "stopped, or wait longer"};
  }

  /// A link that the search has not waited for.
  void late(const net::link_ptr& link, const net::address& where) {
    if (!is_seeking_ || link_ != 0)
      return rest(link);
    ++dial_;
    hops_ = 0;
    sign_ = {};
    ask(++search_, link, where);
  }

  /// An address that takes long is not dialled twice.
  void dial(const net::address& where, const link_taker& then) {
    auto& takers = dials_[to_string(where)].takers;
    takers.push_back(then);
    if (takers.size() > 1)
      return;
    auto home = caf::weak_actor_ptr{self_->ctrl()};
    auto done = [home, this, where](result<net::link_ptr> got) {
      run_on(home, [this, where, got = std::move(got)] {
        if (got)
          use(*got);
        auto gone = dials_.extract(to_string(where));
        auto was_silent = !got && gone.mapped().is_late && !gone.mapped().is_unresolved
                          && got.error().code == errc::unreachable;
        auto ended
          = was_silent ? result<net::link_ptr>{problem{errc::timed_out, got.error().detail}} : got;
        for (auto& each : gone.mapped().takers)
          each(ended);
      });
    };
    resolver_.find(where, [this, where, home, done](const net::resolver::endpoints& found) {
      if (!found)
        return done(found.error());
      run_on(home, [this, where, done, there = *found] {
        dials_.at(to_string(where)).is_unresolved = false;
        gate_->dial(there, std::nullopt, done);
      });
    });
  }

  void again(std::uint64_t search, const problem& why) {
    if (!is_current(search))
      return;
    events_.failed(why);
    if (auto from = std::exchange(sign_, {}); from.link)
      return wait_at(search, from);
    if (failures_ >= slow_after)
      silent_.reset(); // it may only have been slow
    timers_.after(options_.retry.delay(std::min(++failures_, 10U), random_), [this, search] {
      if (is_current(search))
        dial_next(search);
    });
  }

  template <class Then>
  void find(std::uint64_t search, const net::link_ptr& link, const router::find_service& what,
            Then then) {
    self_->request(caf::actor_cast<caf::actor>(link->entry_point()), answer_within, what)
      .then(
        [this, search, link, then = std::move(then)](const router::service_place& place) mutable {
          if (is_current(search))
            then(place);
          else
            rest(link);
        },
        [this, search, link](const caf::error&) {
          not_found(search, link->number(), no_answer(asked_));
          rest(link);
        });
  }

  /// The node at the other end of a link does not answer.
  void not_found(std::uint64_t search, net::connection_id number, const problem& why) {
    if (contact_ && contact_->number() == number)
      part();
    if (is_current(search))
      tried(asked_);
    again(search, why);
  }

  /// Asks the node at the other end of `link` for the services, by the first: all are where that
  /// is.
  void ask(std::uint64_t search, const net::link_ptr& link, const net::address& where) {
    if (!link->entry_point())
      return again(search, {errc::unreachable, to_string(where) + " closed the link at once"});
    asked_ = where;
    find(search, link, {cluster_services.front(), 0, {}},
         [this, search, link, where](const router::service_place& place) {
           meet(link, where, place);
           go_by(search, {link, where, place.revision}, place);
         });
  }

  // -- the node that answers -------------------------------------------------------------

  /// The node at the other end of `link` answers; one that did before stays the contact.
  void meet(const net::link_ptr& link, const net::address& where,
            const router::service_place& place) {
    if (contact_)
      return;
    learn(place.others); // those are asked, too, where it has no majority
    contact_ = link;
    contact_at_ = where;
    events_.met(contact_, contact_at_);
    hear(place.why);
    listen_anew(place.revision);
  }

  void part() {
    contact_.reset();
    ++contact_turn_;
    hear({});
    events_.met(nullptr, {});
  }

  void listen_anew(std::uint64_t revision) {
    listen(++contact_turn_, revision);
  }

  /// While the services are nowhere: hears from the contact at once where they are, and why not.
  void listen(std::uint64_t turn, std::uint64_t revision) {
    if (turn != contact_turn_ || link_ != 0 || is_here_)
      return;
    auto entry = contact_->entry_point();
    if (!entry)
      return part();
    self_
      ->request(caf::actor_cast<caf::actor>(entry), options_.check_every + answer_within,
                router::find_service{cluster_services.front(), revision, options_.check_every})
      .then(
        [this, turn, revision](const router::service_place& place) {
          if (turn != contact_turn_ || link_ != 0 || is_here_)
            return;
          hear(place.why);
          if (place.revision != revision)
            follow_contact(place);
          listen(turn, place.revision);
        },
        [this, turn, revision](const caf::error& why) {
          if (turn != contact_turn_ || link_ != 0 || is_here_)
            return;
          if (to_problem(why).code != errc::busy)
            return part();
          timers_.after(options_.check_every, [this, turn, revision] { listen(turn, revision); });
        });
  }

  void follow_contact(const router::service_place& place) {
    learn(place.others);
    auto there = place.handle ? contact_at_ : way_to(place);
    if (there && there != silent_)
      seek(there);
  }

  /// What the contact says of the quorum.
  void hear(const problem& why) {
    auto is_news = !heard_ && why;
    heard_ = why;
    tell_quorum();
    if (is_news)
      ask_around();
  }

  /// Asks other nodes side by side whether they know of a majority that the contact does not
  /// reach. Those that hang count as asked in time, too.
  void ask_around() {
    auto turn = ++around_;
    std::size_t asked = 0;
    for (auto& where : options_.addresses) {
      if (tried_.contains(to_string(where)) || where == contact_at_)
        continue;
      if (++asked > enough_tried)
        break;
      auto still_asks = [this, turn] { return turn == around_ && link_ == 0 && !is_here_; };
      timers_.after(answer_within, [this, where, still_asks] {
        if (still_asks())
          tried(where);
      });
      dial(where, [this, where, still_asks](const result<net::link_ptr>& got) {
        if (got && !still_asks())
          return rest(*got);
        if (got)
          return ask_aside(*got, where, still_asks);
        if (still_asks())
          tried(where, got.error());
      });
    }
  }

  template <class StillAsks>
  void ask_aside(const net::link_ptr& link, const net::address& where, StillAsks still_asks) {
    rest(link);
    if (!link->entry_point())
      return tried(where);
    self_
      ->request(caf::actor_cast<caf::actor>(link->entry_point()), answer_within,
                router::find_service{cluster_services.front(), 0, {}})
      .then(
        [this, where, still_asks](const router::service_place& place) {
          if (!still_asks())
            return;
          learn(place.others);
          if (auto there = place.handle ? where : way_to(place); there && there != silent_)
            return seek(there);
          tried(where);
        },
        [this, where, still_asks](const caf::error&) {
          if (still_asks())
            tried(where);
        });
  }

  /// This node was asked, or cannot be: the services are not found by it.
  void tried(const net::address& where, const problem& why = {}) {
    if (link_ != 0 || is_here_)
      return;
    tried_.insert(to_string(where));
    if (why.code == errc::denied)
      refusal_ = why;
    tell_quorum();
  }

  /// The contact may be cut off from a majority that others reach: those come first.
  void tell_quorum() {
    auto are_tried = std::ranges::all_of(
      options_.addresses, [this](auto& each) { return tried_.contains(to_string(each)); });
    auto is_enough = are_tried || tried_.size() >= enough_tried;
    auto why = is_enough ? heard_ : problem{};
    if (why != quorum_)
      events_.without_quorum(quorum_ = why);
    // A contact without a majority may be a member that is revoked itself.
    auto denied = is_enough && (!contact_ || heard_) ? refusal_ : problem{};
    if (denied != told_refusal_)
      events_.refused(told_refusal_ = denied);
  }

  /// The services are found.
  void forget_quorum() {
    ++around_;
    tried_.clear();
    refusal_ = {};
    hear({});
  }

  // -- the way on ------------------------------------------------------------------------

  /// A node that has said where the services are, or that it does not know; and how often it had
  /// changed its mind.
  struct sign {
    net::link_ptr link = nullptr;
    net::address where{};
    std::uint64_t revision = 0;
  };

  void go_by(std::uint64_t search, const sign& from, const router::service_place& place) {
    learn(place.others);
    if (place.handle)
      return bind(search, from.link, from.where, place);
    auto there = way_to(place);
    tried(from.where);
    if (!there || *there != from.where)
      sign_ = from;
    if (!there || *there == from.where || silent_ == *there || ++hops_ > max_hops) {
      if (there == from.where)
        rest(from.link); // else it may soon know better, see again()
      return again(search, {errc::unreachable,
                            to_string(from.where) + " does not know where the services are"});
    }
    rest(from.link);
    dial(search, *there);
  }

  /// Where a node says that the services are. That they are here this node knows first: who says so
  /// speaks of an earlier time.
  [[nodiscard]] std::optional<net::address> way_to(const router::service_place& place) const {
    auto there = net::address::from_string(place.address);
    if (!there || *there == self_address_)
      return std::nullopt;
    return *there;
  }

  /// The way that a node has shown leads nowhere: it may soon know another one.
  void wait_at(std::uint64_t search, const sign& from) {
    if (!from.link->entry_point())
      return again(search, {errc::unreachable, to_string(from.where) + " closed its link"});
    use(from.link);
    self_
      ->request(caf::actor_cast<caf::actor>(from.link->entry_point()),
                options_.check_every + answer_within,
                router::find_service{cluster_services.front(), from.revision, options_.check_every})
      .then(
        [this, search, from](const router::service_place& place) {
          if (!is_current(search))
            return rest(from.link);
          if (place.handle)
            return ask(search, from.link, from.where); // for the others, too
          if (place.revision != from.revision)
            return go_by(search, {from.link, from.where, place.revision}, place);
          rest(from.link);
          again(search, {errc::unreachable, to_string(from.where) + " knows no node that leads"});
        },
        [this, search, from](const caf::error& why) {
          rest(from.link);
          again(search, to_problem(why));
        });
  }

  void rest_if_any(const net::link_ptr& link) {
    if (link)
      rest(link);
  }

  /// It does not rest any more.
  void use(const net::link_ptr& link) {
    if (auto resting = resting_.extract(link->number()))
      timers_.cancel(resting.mapped());
  }

  /// The way goes on from the node at the other end of `link`.
  void rest(const net::link_ptr& link) {
    if (options_.idle_after <= duration::zero() || link->number() == link_
        || guide_.uses(link->number()) || resting_.contains(link->number()))
      return;
    resting_[link->number()] = timers_.after(options_.idle_after, [this, link] {
      resting_.erase(link->number());
      if (link->number() == link_ || guide_.uses(link->number()) || !link->reason().empty())
        return;
      if (link == contact_ && link_ == 0)
        return rest(link); // there is nobody else to ask
      events_.idle(link);
    });
  }

  /// The services are on the node at the other end of `link`. The voters are only in clusters
  /// that keep their services on several nodes.
  void bind(std::uint64_t search, const net::link_ptr& link, const net::address& where,
            const router::service_place& place) {
    service_binding how{.handles = {},
                        .records = {},
                        .where = where,
                        .entry = link->entry_point(),
                        .others = {},
                        .is_here = false,
                        .has_voters = place.all.contains(voters_name)};
    auto take = [&](const std::string& service) {
      auto found = place.all.find(service);
      if (found == place.all.end() || !found->second)
        return false;
      how.handles[service] = found->second;
      if (auto record = place.records.find(service); record != place.records.end())
        how.records.insert(*record);
      return true;
    };
    if (!std::ranges::all_of(cluster_services, take) || (how.has_voters && !take(voters_name))) {
      rest(link);
      return again(search, hosts_no_more(where));
    }
    for (auto& [called, handle] : place.all)
      if (!is_ours(called))
        take(called);
    bound(search, link, std::move(how), place.revision);
  }

  static problem hosts_no_more(const net::address& where) {
    return {errc::unreachable, to_string(where) + " hosts the services no more"};
  }

  void bound(std::uint64_t search, const net::link_ptr& link, service_binding how,
             std::uint64_t revision) {
    failures_ = 0;
    is_seeking_ = false;
    auto way = std::exchange(sign_, {});
    silent_ = {};
    where_ = how.where;
    if (led_by_ != where_)
      led_by_.reset();
    learn({to_string(how.where)});
    how.others = options_.addresses;
    auto is_news = link_ != link->number() || handles_ != how.handles;
    link_ = link->number();
    use(link);
    if (auto before = std::exchange(bound_link_, link); before != link)
      rest_if_any(before);
    handles_ = how.handles;
    forget_quorum();
    if (!link->reason().empty())
      return link_down(link_); // it ended while we asked
    if (is_news)               // else its node was only slow to answer
      events_.bound(how);
    else
      events_.failed({});
    if (how.handles.contains(voters_name))
      have_guide(way);
    else
      guide_.let_go();
    wait_for_news(search, link, revision);
  }

  /// The one that has shown the way is first: there is a link to it.
  void have_guide(const sign& way) {
    auto all = options_.addresses;
    if (way.link)
      all.insert(all.begin(), way.where);
    if (options_.guide_after <= duration::zero() || guide_.has_one())
      return guide_.keep(std::move(all), where_);
    timers_.after(options_.guide_after, [this, search = search_, all = std::move(all)] {
      if (is_current(search) && link_ != 0)
        guide_.keep(all, where_);
    });
  }

  // -- when there is one ---------------------------------------------------------------------

  /// Hears at once that the services have moved, and soon that their node is silent.
  void wait_for_news(std::uint64_t search, const net::link_ptr& link, std::uint64_t revision) {
    revision_ = revision;
    look_there(search, link, revision, std::max(options_.check_every, options_.check_at_rest));
  }

  /// Has the node answer at once if the services have moved since that revision, else after `wait`.
  void look_there(std::uint64_t search, const net::link_ptr& link, std::uint64_t revision,
                  duration wait) {
    auto is_over = [this, search, link] { return !is_current(search) || link->number() != link_; };
    auto goes_on = wait > duration::zero();
    if (!goes_on)
      is_asking_ = true;
    auto has_ended = [this, goes_on] {
      if (!goes_on)
        is_asking_ = false;
    };
    self_
      ->request(caf::actor_cast<caf::actor>(link->entry_point()), wait + patience,
                router::find_service{cluster_services.front(), revision, wait})
      .then(
        [this, is_over, has_ended, goes_on, search, link](const router::service_place& place) {
          has_ended();
          if (!is_over())
            hear_there(search, link, place, goes_on);
        },
        [this, is_over, has_ended, goes_on, search, link, revision](const caf::error& why) {
          has_ended();
          if (is_over())
            return;
          if (to_problem(why).code == errc::busy && goes_on)
            timers_.after(options_.check_every, [this, is_over, search, link, revision] {
              if (!is_over())
                wait_for_news(search, link, revision);
            });
          if (to_problem(why).code == errc::busy)
            return;
          silent_ = where_; // it hangs, or its link does
          is_not_led_by(where_);
          seek();
        });
  }

  void hear_there(std::uint64_t search, const net::link_ptr& link,
                  const router::service_place& place, bool goes_on) {
    learn(place.others);
    if (place.handle && place.handle == handles_[cluster_services.front()])
      return goes_on ? wait_for_news(search, link, place.revision) : void();
    if (place.handle)
      return seek(where_);
    if (auto there = way_to(place))
      return seek(there);
    if (!place.address.empty())
      return seek(); // it says here, which was so earlier
    unbind(link, place);
  }

  /// The services are no more where they were, and nobody knows another place.
  void unbind(const net::link_ptr& link, const router::service_place& place) {
    auto where = where_;
    link_ = 0;
    is_not_led_by(where_);
    handles_.clear();
    events_.bound({});
    seek();
    if (contact_)
      listen_anew(0);
    else
      meet(link, where, place);
  }

  static constexpr duration answer_within = std::chrono::milliseconds{1'500};
  /// A node that has not said in time that it is there is looked past after so much more.
  static constexpr duration patience = std::chrono::milliseconds{500};
  /// Failures in turn, some 2 s, until it is asked again.
  static constexpr std::uint32_t slow_after = 4;
  /// Nodes that show the way to others, without a rest between.
  static constexpr std::size_t max_hops = 3;
  static constexpr std::size_t max_addresses = 100;
  /// Of many addresses so many are tried before the word of one node counts.
  static constexpr std::size_t enough_tried = 5;

  caf::event_based_actor* self_;
  access_options options_;
  access_events events_;
  timer_queue<caf::event_based_actor> timers_;
  random_source random_;
  std::uint32_t failures_ = 0;
  net::gate* gate_ = nullptr;
  std::size_t next_address_ = 0;
  /// By the search.
  net::address asked_;
  /// Counts searches: what an earlier one brings is of no use.
  std::uint64_t search_ = 0;
  bool is_seeking_ = false;
  /// Counts dials: the search waits for the last one.
  std::uint64_t dial_ = 0;
  std::size_t hops_ = 0;
  /// The link that leads to the services; zero while there is none.
  net::connection_id link_ = 0;
  net::link_ptr bound_link_;
  net::address where_;
  /// What was heard there last, and whether it is asked aside.
  std::uint64_t revision_ = 0;
  bool is_asking_ = false;
  /// What was bound there last.
  std::map<std::string, caf::strong_actor_ptr> handles_;
  /// Where it was that did not answer; none if they do.
  std::optional<net::address> silent_;
  /// The node that has shown the way; without a link if none has.
  sign sign_;
  std::optional<net::address> self_address_;
  /// The services are on this node.
  bool is_here_ = false;
  /// Where they are by this node's own replica, until they turn out not to be there: the replica of
  /// a node that has no vote may hear of a change of leader late, or never.
  std::optional<net::address> led_by_;
  std::uint64_t turn_ = 0;
  /// Links that only showed the way, with the ends of their rest.
  std::map<net::connection_id, timer_queue<caf::event_based_actor>::id> resting_;
  /// The node that answers; null while none does.
  net::link_ptr contact_;
  net::address contact_at_;
  /// Counts what is heard of contacts: answers of an earlier turn are ignored.
  std::uint64_t contact_turn_ = 0;
  /// What it says of the quorum, and what was told of that.
  problem heard_;
  problem quorum_;
  /// Counts rounds of questions beside the search.
  std::uint64_t around_ = 0;
  /// Addresses of nodes that do not lead to the services, since they were found last.
  std::set<std::string> tried_;
  /// The last `denied` of those, and what was told of it.
  problem refusal_;
  problem told_refusal_;
  access_guide guide_;
  /// By their addresses.
  std::map<std::string, dial_under_way> dials_;
  net::resolver resolver_;
};

} // namespace troupe::cluster
