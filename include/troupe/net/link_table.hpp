#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/net/attempts.hpp"
#include "troupe/net/link_doubt.hpp"
#include "troupe/net/linkless_requests.hpp"
#include "troupe/net/types.hpp"

namespace troupe::net {

/// Decides which connections of a node become links: exactly one for each pair of nodes, even if
/// both dial at once. Moves no bytes; its owner makes connections, reads greetings and informs
/// BASP.
///
/// The dialler sends hello, the acceptor answers go and thereby reserves its place for the
/// connection, the dialler commits. If both dialled and both answered go, both keep the connection
/// that the smaller id dialled: each side knows this from the answer that it gets and the
/// reservation that it has. An acceptor that dials the same node, and has the smaller id, answers
/// `dialling` instead of go, which saves a connection. While its connection lasts, a reservation
/// ends only by that rule, by its time-out, by a later life of the same node, or if its connection
/// gives way to a newer one (table_options::max_accepting).
///
/// A live link stays, whichever side made it. Where its peer is there again by another way, or
/// another process of the same node greets with its boot number or a higher one, the link is in
/// doubt: it ends within a few heartbeats, unless the peer is heard of (see link_doubt), and the
/// next greeting replaces it. A greeting with a lower number is refused. If the node with the
/// higher number has no link, the refused node is told that number and may continue above it, a
/// few times: its data are older, or were restored. A number far above the last known one is not
/// believed, by either side.
///
/// A dialler may ask for a founding_word instead of a link. A node with a cluster answers that
/// itself; of one without, its owner gives the answer. Then the connection ends.
///
/// A hello without a cluster asks for the acceptor's cluster and takes it with the answer; an
/// acceptor without a cluster refuses every hello, so that two such nodes never make one.
///
/// With trust::proven the certificate behind a connection counts: a member has the id of its
/// certificate, whose role is member; a client has the id that client_id() computes. A hello or an
/// answer that says anything else is refused before it changes any state. No certificate says which
/// process its owner is to BASP, which takes one link of each: so a peer that gives itself out for
/// the process of another one that is linked is refused, and a client gives way to a member where
/// it came first.
///
/// Steps like any machine. It has no snapshot, because connections do not outlive a process.
class link_table {
public:
  using effects = std::vector<effect>;

  /// @pre `self` is plausible, and no bound in `options` is zero.
  explicit link_table(hello self, table_options options = {}, trust believes = trust::told)
    : self_(std::move(self)), options_(options), believes_(believes), linkless_(believes) {
    assert(is_plausible(self_) && options_.max_accepting > 0 && options_.max_accepting_of_one > 0
           && options_.max_remembered > 0);
  }

  /// Handles an event at `now`, after all deadlines up to `now`. Events of connections that the
  /// table has dropped are ignored. The owner reports which links are alive before it lets time
  /// pass. Cost: O(log n) in known nodes, O(n) in connections for a dial, a new connection and a
  /// hello, O(n) in known nodes for the hello of a client.
  void step(time_point now, const event& what, effects& out) {
    if (!std::holds_alternative<alive>(what)) // it reports the past, so it precedes the alarms
      tick(now, out);
    troupe::visit([&](const auto& each) { handle(now, each, out); }, what);
    forget_some();
  }

  /// Lets time pass: drops connections that took too long, and closes links that were silent too
  /// long.
  void tick(time_point now, effects& out) {
    while (!alarms_.empty() && alarms_.begin()->first <= now) {
      auto due = alarms_.extract(alarms_.begin()).value().second;
      if (auto waiting = attempts_.find(due); waiting != attempts_.end()) {
        auto why = waiting->second.is_reached ? verdict::timed_out : verdict::unreachable;
        give_up(waiting, why, out);
      } else if (auto silent = links_.find(due); silent != links_.end()) {
        auto& link = silent->second;
        auto doubt = link.doubt.why();
        if (doubt == link_doubt::cause::other_way)
          shut(silent, "silent, while the node is there by another way", end_cause::silent, out);
        else if (doubt)
          shut(silent, "replaced by a later life of the node", end_cause::replaced, out);
        else
          shut(silent,
               link.is_up ? "silent for " + in_words(link.silence)
                          : std::string{"no BASP handshake in time"},
               end_cause::silent, out);
      }
    }
    forget_some();
  }

  /// Returns when tick() must be called next; nothing if no deadline is set.
  [[nodiscard]] std::optional<time_point> next_deadline() const {
    if (alarms_.empty())
      return std::nullopt;
    return alarms_.begin()->first;
  }

  /// The current hello of this node.
  [[nodiscard]] const hello& self() const {
    return self_;
  }

  /// Returns the link to `peer`, nothing if there is none.
  [[nodiscard]] std::optional<connection_id> link_to(const node_id& peer) const {
    auto known = peers_.find(peer);
    return known != peers_.end() ? known->second.link : std::nullopt;
  }

  /// Returns how many connections are not links yet.
  [[nodiscard]] std::size_t unfinished() const {
    return attempts_.size();
  }

  /// Returns how many links there are, including those that are ending.
  [[nodiscard]] std::size_t link_count() const {
    return links_.size();
  }

private:
  /// A connection that BASP has; kept until BASP has forgotten it.
  struct live_link {
    hello peer;
    link_doubt doubt;
    duration silence{};
    std::optional<time_point> deadline = {};
    bool is_up = false;
    /// Of its certificate, which clients of one user share.
    std::optional<node_id> identity = {};
  };

  /// Whether it is a member, and when it came to be without a connection. So clients are forgotten
  /// first: one has as many ids as processes.
  using idle_place = std::pair<bool, std::uint64_t>;

  /// A node that has greeted, or that is being dialled by its id.
  struct known_node {
    boot_number boot = 0;
    std::optional<connection_id> dialling;
    std::optional<connection_id> accepting;
    std::optional<connection_id> link;
    /// As BASP knows it, if it has proven to be a member.
    std::string process = {};
    bool is_client = false;
    /// Its position among nodes without a connection; nothing while it has a connection.
    std::optional<idle_place> idle_since = {};
  };

  using links = std::map<connection_id, live_link>;

  // -- connections ---------------------------------------------------------------

  void handle(time_point now, const dial& what, effects& out) {
    auto refuse = [&](verdict why) { out.push_back(drop{what.connection, why, what.who}); };
    if (attempts_.count(side::dialled) >= options_.max_dialling)
      return refuse(verdict::full);
    if (what.who) {
      if (*what.who == self_.node)
        return refuse(verdict::myself);
      auto& there = peers_[*what.who];
      if (there.link || there.dialling || there.accepting)
        return refuse(there.link ? verdict::linked : verdict::greeting);
      there.dialling = what.connection;
      keep(*what.who);
    }
    open(what.connection, {.connecting = true,
                           .deadline = now + options_.connect_timeout,
                           .who = what.who,
                           .peer = {},
                           .relayed_to = what.relayed_to,
                           .asks = what.asks});
  }

  void handle(time_point now, const accepted& what, effects& out) {
    if (!what.source.empty() && attempts_.count_from(what.source) >= options_.max_accepting_of_one)
      give_up(attempts_.oldest_accepted(what.source), verdict::displaced, out);
    else if (attempts_.count(side::accepted) >= options_.max_accepting)
      give_up(attempts_.oldest_accepted(), verdict::displaced, out);
    open(what.connection, {side::accepted, false, now + options_.greeting_timeout, std::nullopt,
                           hello{}, true, std::nullopt, what.source});
  }

  void handle(time_point now, const asks_to_join& what, effects& out) {
    auto found = attempts_.find(what.connection);
    if (found == attempts_.end())
      return;
    if (attempts_.joining() >= options_.max_joining)
      return give_up(found, verdict::displaced, out);
    found->second.is_joining = true;
    rearm(found->first, found->second.deadline, now + options_.join_timeout);
  }

  void handle(time_point now, const reached& what, effects&) {
    if (auto found = attempts_.find(what.connection); found != attempts_.end())
      start_greeting(now, *found);
  }

  void start_greeting(time_point now, attempts::value_type& which) {
    auto& [connection, it] = which;
    if (std::exchange(it.is_reached, true))
      return;
    rearm(connection, it.deadline, now + options_.greeting_timeout);
  }

  void handle(time_point now, const connected& what, effects& out) {
    auto found = attempts_.find(what.connection);
    if (found == attempts_.end())
      return;
    auto& it = found->second;
    it.proven = what.proven;
    if (believes_ == trust::proven && !it.proven)
      return give_up(found, verdict::not_secured, out);
    if (!it.connecting)
      return; // the dialler speaks first
    if (!it.relayed_to && it.who && it.proven && it.proven->node != *it.who)
      return give_up(found, verdict::wrong_node, out);
    it.connecting = false;
    start_greeting(now, *found);
    out.push_back(say{what.connection, linkless_requests::opening(self_, it)});
  }

  void handle(time_point, const broken& what, effects& out) {
    if (auto found = attempts_.find(what.connection); found != attempts_.end())
      give_up(found, what.why, out);
  }

  // -- greetings -----------------------------------------------------------------

  void handle(time_point now, const heard& what, effects& out) {
    auto found = attempts_.find(what.connection);
    if (found == attempts_.end())
      return;
    troupe::visit([&](const auto& said) { hear(now, found, said, out); }, what.what);
  }

  void hear(time_point now, attempts::iterator from, const hello& said, effects& out) {
    auto& [connection, it] = *from;
    if (!it.may_ask())
      return give_up(from, verdict::bad_greeting, out);
    auto reply = it.proves(believes_, said) ? judge_hello(now, it, said, out) : verdict::unproven;
    if (reply == verdict::go) {
      auto& there = peers_[said.node];
      there.accepting = connection;
      keep(said.node);
      it.who = said.node;
      it.peer = said;
    }
    if (reply < verdict::unreachable)
      out.push_back(say{connection, answer{reply, self_, outlived_by(said, reply)}});
    if (reply != verdict::go)
      give_up(from, reply, out);
  }

  void hear(time_point now, attempts::iterator from, const answer& said, effects& out) {
    auto& [connection, it] = *from;
    if (it.relayed_to && !it.connecting)
      return settle(now, from, linkless_.hear_relay(connection, it, said.said, out), out);
    auto is_refusal = it.end == side::accepted && it.who == said.from.node
                      && said.said == verdict::old_boot; // from the dialler, instead of its commit
    if ((it.end == side::accepted && !is_refusal) || it.connecting || it.asks)
      return give_up(from, verdict::bad_greeting, out);
    if (!it.proves(believes_, said.from)
        || (believes_ == trust::proven && it.end == side::dialled
            && said.from.as != role::member)) // or a client could stand in for a node
      return give_up(from, verdict::unproven, out);
    auto why = said.said;
    if (why == verdict::linked && it.is_relayed)
      suspect(now, said.from);
    if (why == verdict::old_boot && said.heard >= self_.boot
        && said.heard - self_.boot < max_boot_jump && rises_ < options_.max_rises)
      out.push_back(outlived{said.heard});
    if (why == verdict::go && it.who && *it.who != said.from.node)
      why = verdict::wrong_node;
    if (why == verdict::go)
      why = judge_answer(now, connection, it, said.from, out);
    if (why == verdict::old_boot && said.said == verdict::go)
      out.push_back(say{connection, answer{why, self_, outlived_by(said.from, why)}});
    if (why != verdict::go)
      return give_up(from, why, out, said.from.node);
    auto& there = peers_[said.from.node];
    for (auto other : {std::exchange(there.accepting, std::nullopt), there.dialling})
      if (other && *other != connection)
        give_up(attempts_.find(*other), verdict::crossed, out);
    it.peer = said.from;
    if (self_.cluster == cluster_id{}) {
      self_.cluster = said.from.cluster;
      out.push_back(adopt{self_.cluster});
    }
    out.push_back(say{connection, commit{}});
    become_link(now, from, out);
  }

  void hear(time_point now, attempts::iterator from, const commit&, effects& out) {
    auto& it = from->second;
    if (it.end == side::dialled || !it.who)
      return give_up(from, verdict::bad_greeting, out);
    assert(peers_.at(*it.who).accepting == from->first && !peers_.at(*it.who).link);
    become_link(now, from, out);
  }

  // -- what is to be no link -------------------------------------------------------

  template <class Request>
  requires requires(const linkless_requests& by, const hello& self, attempt& it,
                    const Request& said, effects& out) {
    by.hear(self, connection_id{}, it, said, out);
  }
  void hear(time_point now, attempts::iterator from, const Request& said, effects& out) {
    settle(now, from, linkless_.hear(self_, from->first, from->second, said, out), out);
  }

  void handle(time_point now, const bootstrap_reply& what, effects& out) {
    if (auto found = attempts_.find(what.connection); found != attempts_.end())
      settle(now, found, linkless_.take(self_, found->second, what, out), out);
  }

  void settle(time_point now, attempts::iterator which, const linkless_requests::outcome& what,
              effects& out) {
    using to = linkless_requests;
    troupe::visit(overloaded{
                    [](const to::waits&) {},
                    [&](const to::begins_anew&) {
                      rearm(which->first, which->second.deadline, now + options_.greeting_timeout);
                    },
                    [&](const to::handed_on&) { close(which); },
                    [&](const to::given_up& end) { give_up(which, end.why, out); },
                  },
                  what);
  }

  // -- judgement -----------------------------------------------------------------

  /// The acceptor's answer to `said`. Records a later life.
  verdict judge_hello(time_point now, const attempt& by, const hello& said, effects& out) {
    if (!speaks(said))
      return verdict::incompatible;
    if (self_.cluster == cluster_id{})
      return verdict::no_cluster;
    if (said.cluster != self_.cluster && said.cluster != cluster_id{})
      return verdict::foreign;
    if (auto why = judge_life(now, by, said, out); why != verdict::go)
      return why;
    auto& there = peers_[said.node];
    if (there.accepting)
      return verdict::greeting;
    if (there.dialling && self_.node < said.node)
      return verdict::dialling;
    return verdict::go;
  }

  /// The dialler's decision after it has heard "go" from `said`.
  verdict judge_answer(time_point now, connection_id connection, const attempt& by,
                       const hello& said, effects& out) {
    if (!speaks(said))
      return verdict::incompatible;
    if (said.cluster == cluster_id{})
      return verdict::no_cluster;
    if (said.cluster != self_.cluster && self_.cluster != cluster_id{})
      return verdict::foreign;
    if (auto why = judge_life(now, by, said, out); why != verdict::go)
      return why;
    auto& there = peers_[said.node];
    if (there.accepting && there.accepting != connection && said.node < self_.node)
      return verdict::crossed; // the peer's own dial is the one to keep
    return verdict::go;
  }

  /// The checks of both sides: which life of the node this is, and whether it has a link.
  verdict judge_life(time_point now, const attempt& by, const hello& said, effects& out) {
    if (said.node == self_.node)
      return said.basp_node == self_.basp_node ? verdict::myself : verdict::duplicate;
    if (said.basp_node == self_.basp_node)
      return verdict::duplicate;
    peers_[said.node].is_client = said.as == role::client;
    auto known = peers_[said.node].boot;
    keep(said.node);
    if (said.boot < known)
      return verdict::old_boot;
    if (known > 0 && said.boot - known > max_boot_jump)
      return verdict::bad_greeting;
    if (auto why = judge_process(said, out); why != verdict::go)
      return why;
    auto& there = peers_[said.node];
    if (there.link)
      if (auto linked = links_.find(*there.link);
          linked->second.deadline.has_value() && linked->second.peer.basp_node != said.basp_node)
        return claim(now, *linked);
    if (said.boot > there.boot) {
      there.boot = said.boot;
      if (there.accepting)
        give_up(attempts_.find(*there.accepting), verdict::old_boot, out);
      if (auto old = std::exchange(there.link, std::nullopt))
        shut(links_.find(*old), "replaced by a later life of the node", end_cause::replaced, out);
      keep(said.node);
    }
    if (there.link) {
      suspect(now, said);
      return verdict::linked;
    }
    auto limit = said.as == role::member ? options_.max_members : options_.max_clients;
    std::size_t alike = 0;
    std::size_t of_one = 0;
    for (auto& [connection, each] : links_)
      if (each.peer.as == said.as && each.deadline) { // not being closed
        ++alike;
        of_one += by.proven && each.identity == by.proven->node ? 1 : 0;
      }
    for (auto& [connection, each] : attempts_)
      if (each.end == side::accepted && each.who && each.who != said.node
          && each.peer.as == said.as) { // it has a place already
        ++alike;
        of_one += by.proven && each.proven && each.proven->node == by.proven->node ? 1 : 0;
      }
    if (said.as == role::client && of_one >= options_.max_links_of_one_client)
      return verdict::full;
    return alike < limit ? verdict::go : verdict::full;
  }

  /// Another process of the node wants the place of that link.
  verdict claim(time_point now, links::value_type& which) {
    auto reply = which.second.doubt.claimed(now);
    hasten(which);
    return reply;
  }

  /// A process that has a link is there by another way.
  void suspect(time_point now, const hello& who) {
    auto link = link_to(who.node);
    auto found = link ? links_.find(*link) : links_.end();
    if (found == links_.end())
      return;
    auto& it = found->second;
    if (!it.is_up || !it.deadline || it.peer.basp_node != who.basp_node)
      return;
    it.doubt.redialled(now);
    hasten(*found);
  }

  /// A link in doubt has less time.
  void hasten(links::value_type& which) {
    auto& [connection, it] = which;
    rearm(connection, *it.deadline, it.doubt.limit(*it.deadline));
  }

  /// Whether another peer has a link with that process, or is about to: messages of the one would
  /// pass for those of the other. Clients give way to members, see judge_process().
  [[nodiscard]] verdict judge_owner(const hello& said) const {
    auto has_it = [&](const hello& other) {
      return other.node != said.node && other.basp_node == said.basp_node
             && (other.as == role::member || said.as == role::client);
    };
    for (auto& [connection, each] : links_)
      if (has_it(each.peer))
        return each.deadline ? verdict::duplicate : verdict::linked; // until BASP has forgotten it
    auto is_next = std::ranges::any_of(
      attempts_, [&](auto& each) { return each.second.who && has_it(each.second.peer); });
    return is_next ? verdict::duplicate : verdict::go;
  }

  /// Whether BASP can take a link of that process. Makes room for a member.
  verdict judge_process(const hello& said, effects& out) {
    if (believes_ == trust::told)
      return verdict::go; // whoever says what it likes can be any node as well
    if (auto why = judge_owner(said); why != verdict::go)
      return why;
    if (said.as == role::client)
      return std::ranges::any_of(peers_,
                                 [&](auto& each) { return each.second.process == said.basp_node; })
               ? verdict::duplicate
               : verdict::go;
    peers_[said.node].process = said.basp_node;
    auto is_false = [&](const hello& other) {
      return other.as == role::client && other.basp_node == said.basp_node;
    };
    auto waiting = std::ranges::find_if(
      attempts_, [&](auto& each) { return each.second.who && is_false(each.second.peer); });
    if (waiting != attempts_.end())
      give_up(waiting, verdict::duplicate, out);
    auto linked
      = std::ranges::find_if(links_, [&](auto& each) { return is_false(each.second.peer); });
    if (linked == links_.end())
      return verdict::go;
    if (linked->second.deadline)
      shut(linked, "it gave itself out for the process of a member", end_cause::misbehaved, out);
    return verdict::linked; // until BASP has forgotten that one
  }

  /// The boot number that a refused node is told, so that it can continue above it. Zero while the
  /// later life has a link: then two processes have one identity, and the linked one stays.
  [[nodiscard]] boot_number outlived_by(const hello& said, verdict reply) const {
    auto known = peers_.find(said.node);
    return reply == verdict::old_boot && known != peers_.end() && !known->second.link
             ? known->second.boot
             : 0;
  }

  [[nodiscard]] bool speaks(const hello& said) const {
    return common_wire(self_.wire, said.wire).has_value();
  }

  // -- links ---------------------------------------------------------------------

  void become_link(time_point now, attempts::iterator from, effects& out) {
    auto connection = from->first;
    auto who = from->second.peer;
    auto end = from->second.end;
    auto proven = from->second.proven;
    auto is_relayed = from->second.is_relayed;
    close(from);
    auto& there = peers_[who.node];
    there.link = connection;
    keep(who.node);
    auto crossing_until = now + options_.connect_timeout + options_.greeting_timeout;
    auto& made = links_.try_emplace(connection, live_link{who, {who.heartbeat, crossing_until}})
                   .first->second;
    if (proven)
      made.identity = proven->node;
    made.silence = bounded(options_.link_timeout, who);
    made.deadline = now + options_.handshake_timeout;
    alarms_.emplace(*made.deadline, connection);
    out.push_back(hand_over{connection, std::move(who), end, std::move(proven), is_relayed});
  }

  void handle(time_point now, const up& what, effects&) {
    auto found = links_.find(what.connection);
    if (found == links_.end())
      return;
    found->second.is_up = true;
    found->second.doubt.heard(now, found->second.silence);
    extend(found->first, found->second, now);
  }

  void handle(time_point, const alive& what, effects&) {
    auto found = links_.find(what.connection);
    if (found == links_.end() || !found->second.is_up)
      return;
    found->second.doubt.heard(what.at, found->second.silence);
    extend(found->first, found->second, what.at);
  }

  void handle(time_point now, const expect& what, effects&) {
    auto found = links_.find(what.connection);
    if (found == links_.end())
      return;
    found->second.silence = bounded(what.silence, found->second.peer);
    if (found->second.is_up)
      extend(found->first, found->second, now);
  }

  void handle(time_point, const ended& what, effects&) {
    auto found = links_.find(what.connection);
    if (found == links_.end())
      return;
    disarm(what.connection, found->second.deadline);
    auto who = found->second.peer.node;
    links_.erase(found);
    if (auto& there = peers_[who]; there.link == what.connection)
      there.link.reset();
    keep(who);
  }

  void handle(time_point, const founded& what, effects&) {
    assert(self_.cluster == cluster_id{} || self_.cluster == what.cluster);
    self_.cluster = what.cluster;
  }

  void handle(time_point, const risen& what, effects&) {
    if (what.boot <= self_.boot)
      return;
    self_.boot = what.boot;
    ++rises_;
  }

  /// Closes a link; its place stays occupied until BASP has forgotten it.
  void shut(links::iterator which, std::string why, end_cause cause, effects& out) {
    auto& [connection, it] = *which;
    disarm(connection, std::exchange(it.deadline, std::nullopt));
    out.push_back(close_link{connection, std::move(why), cause});
  }

  /// Does nothing for a link that is being closed: it has no deadline.
  void extend(connection_id connection, live_link& it, time_point heard_at) {
    if (!it.deadline)
      return;
    rearm(connection, *it.deadline, it.doubt.limit(heard_at + it.silence));
  }

  static duration bounded(duration silence, const hello& peer) {
    return std::max(silence, 2 * peer.heartbeat);
  }

  // -- bookkeeping ---------------------------------------------------------------

  void open(connection_id connection, attempt what) {
    alarms_.emplace(what.deadline, connection);
    auto added = attempts_.add(connection, std::move(what));
    assert(added);
    static_cast<void>(added);
  }

  /// Ends an attempt without a link.
  void give_up(attempts::iterator which, verdict why, effects& out,
               std::optional<node_id> peer = std::nullopt) {
    out.push_back(drop{which->first, why, peer ? peer : which->second.who});
    close(which);
  }

  /// Forgets an attempt, and with it its reservation.
  void close(attempts::iterator which) {
    auto connection = which->first;
    disarm(connection, which->second.deadline);
    auto who = which->second.who;
    attempts_.erase(which);
    if (!who)
      return;
    auto& there = peers_[*who];
    if (there.dialling == connection)
      there.dialling.reset();
    if (there.accepting == connection)
      there.accepting.reset();
    keep(*who);
  }

  void rearm(connection_id connection, time_point& deadline, time_point next) {
    disarm(connection, deadline);
    deadline = next;
    alarms_.emplace(next, connection);
  }

  void disarm(connection_id connection, std::optional<time_point> deadline) {
    if (deadline)
      alarms_.erase({*deadline, connection});
  }

  /// Lists a node among those with or without a connection.
  void keep(const node_id& who) {
    auto known = peers_.find(who);
    auto& there = known->second;
    if (there.idle_since)
      idle_.erase(*there.idle_since);
    there.idle_since.reset();
    if (there.dialling || there.accepting || there.link)
      return;
    there.idle_since = idle_place{!there.is_client, ++last_idle_};
    idle_.emplace(*there.idle_since, who);
  }

  /// Only max_remembered nodes without a connection are kept, members before clients. Not while an
  /// event is handled: it may be about one of them.
  void forget_some() {
    for (; idle_.size() > options_.max_remembered; idle_.erase(idle_.begin()))
      peers_.erase(idle_.begin()->second);
  }

  // -- state ---------------------------------------------------------------------

  hello self_;
  table_options options_;
  trust believes_;
  linkless_requests linkless_;
  std::uint32_t rises_ = 0;
  attempts attempts_;
  links links_;
  std::map<node_id, known_node> peers_;
  /// Nodes without a connection: clients first, then by how long, the longest first.
  std::map<idle_place, node_id> idle_;
  std::uint64_t last_idle_ = 0;
  /// One for each attempt and for each link that is not being closed.
  std::set<std::pair<time_point, connection_id>> alarms_;
};

} // namespace troupe::net
