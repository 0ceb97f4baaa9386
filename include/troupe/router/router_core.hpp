#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/enclosed_request.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/detail/call_outcomes.hpp"
#include "troupe/router/detail/letter_lives.hpp"
#include "troupe/router/detail/open_requests.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/idle_links.hpp"
#include "troupe/router/peer_lines.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router {

/// What whoever sends a message waits for.
enum class awaited : std::uint8_t {
  nothing,
  /// A send_report; of a message to one agent, once that has it in its mailbox.
  receipt,
  /// The answer of the agent; of a message to many, a send_report.
  answer,
};

/// Decides what becomes of each message that a router is given: to whom it is handed here, which
/// letters go to other nodes, what whoever sent it is told, and how each request ends. What goes to
/// other nodes, and when, is up to its peer_lines.
///
/// Whoever waits hears once: from tell, or from the agent that is asked in their name, or by the
/// answer that comes for the request (see open_requests). A request ends with its answer, its
/// deadline, or the link that it was sent over; nothing of it is sent after that. A message that
/// expires goes to nobody from then on: one that waits is taken out of what waits at that time, and
/// whoever waits for it hears so then. A message to many is one letter for each node, or several if
/// it is for more agents than a letter may name.
///
/// A Caller waits for answers, a Content is what is sent: both are passed on as they are. Routes
/// and open requests are shared with threads of callers and of links, which take messages and bring
/// answers without the router's own turn; all else is the router's.
///
/// Steps like any machine. It has no snapshot: links do not outlive a process.
template <class Caller, class Content>
class router_core {
public:
  using requests = detail::open_requests<node_id, lines::link_number, detail::call<Caller>>;

  struct options {
    /// Requests without an answer, see router_options. Those who ask share them, see shares.
    std::size_t max_pending = 100'000;
    /// Agents that one letter may name.
    std::size_t max_recipients = 10'000;
    lines::options lines{};
  };

  /// A send_report that is owed.
  struct receipt {
    Caller by;
    send_report report{};
    /// The agent, of a message to one.
    agent_id only{};
  };

  // -- events --------------------------------------------------------------------------

  /// A message, taken for the places in `where`. `timeout`: for what is awaited of another node.
  struct message {
    detail::route where;
    awaited wants = awaited::nothing;
    duration timeout{};
    Caller by;
    Content what;
    /// From then on nobody is to get it.
    std::optional<time_point> expires_at{};
    detail::share_holder from{};
  };

  /// Somebody asks for the handle of an agent that is not on this node. It is of no use to those
  /// who are not on this node themselves.
  struct look_up {
    agent_id agent;
    bool is_from_elsewhere = false;
    duration timeout{};
    Caller by;
    /// For the router there.
    Content what;
    detail::share_holder from{};
  };

  /// To `ask`: the agent has just ended.
  struct missed {
    agent_id agent;
    Caller by;
    std::uint64_t request = 0;
  };

  /// To `hand`, if anything is owed: so many agents have just ended, and so many have no room.
  struct handed {
    receipt owed;
    std::uint32_t missed = 0;
    std::uint32_t refused = 0;
  };

  /// The content of that letter cannot be written; nothing of it is in a parcel.
  struct unwritable {
    node_id peer{};
    std::size_t bytes = 0;
    std::uint64_t request = 0;
  };

  /// A letter has gone out past the lines; its answer comes `over` that, whatever it is.
  struct passed {
    node_id peer{};
    std::size_t bytes = 0;
    std::uint64_t request = 0;
    lines::link_number over = 0;
    /// To how many.
    std::uint32_t agents = 1;
  };

  /// The router of the peer has said over that link which agents there can take no more for now. Of
  /// the first of them `await_room` follows.
  struct told_full {
    node_id peer{};
    lines::link_number over = 0;
    std::vector<agent_id> agents{};
  };

  /// To `await_room`: there is room for that agent, or no answer. Then it is tried again.
  struct told_room {
    node_id peer{};
    lines::link_number over = 0;
    agent_id agent{};
  };

  /// Nothing comes over that any more. For what is no link of the lines, which have an event for
  /// it.
  struct way_lost {
    lines::link_number over = 0;
    problem why{};
  };

  // -- effects -------------------------------------------------------------------------

  /// An agent of this node is to answer `by`, or that request, if it has a number. If it has just
  /// ended, `missed` follows.
  struct ask {
    agent_id agent;
    Caller by;
    std::uint64_t request = 0;
    duration patience{};
    Content what;
  };

  /// To agents of this node, who answer nobody. If a receipt is owed, `handed` follows.
  struct hand {
    std::vector<agent_id> agents;
    Content what;
    std::optional<receipt> owed{};
  };

  /// To be put into parcel_for() its node, and `enclosed`, `unwritable` or `passed` follows.
  /// `request`: its number where an answer is wanted or it may expire, else zero.
  struct letter {
    detail::stop where;
    awaited wants = awaited::nothing;
    std::uint64_t request = 0;
    duration patience{};
    Content what;
    std::optional<time_point> expires_at{};
  };

  struct tell {
    Caller by;
    std::variant<problem, send_report> what;
  };

  /// So a request to an agent of another node has ended.
  struct call_failed {
    node_id node{};
    agent_id agent;
    call_end how = call_end::unreachable;
  };

  /// Ask the router over that link.
  struct look {
    lines::link_number link = 0;
    std::uint64_t request = 0;
    Content what;
  };

  /// Ask the router over that link to say when that agent has room, and wait for so long: then
  /// `told_room` follows.
  struct await_room {
    node_id peer{};
    lines::link_number link = 0;
    agent_id agent{};
    duration patience{};
  };

  /// Those of the lines are for the host of their parcels, links and visits; what they mean for
  /// callers has become effects of their own.
  using effect = std::variant<letter, hand, ask, tell, call_failed, look, await_room,
                              lines::await_turn, lines::want_link, lines::send, lines::cut,
                              lines::refuse, lines::admit, lines::turn_away, lines::lost,
                              lines::ask_to_rest, lines::answer_rest, lines::close>;
  using effects = std::vector<effect>;

  /// Both outlive this.
  router_core(const node_id& self, const options& how, detail::routes& ways, requests& pending)
    : self_(self), options_(how), ways_(ways), pending_(pending), lines_(self, how.lines) {}

  router_core(const router_core&) = delete;
  router_core& operator=(const router_core&) = delete;

  // -- messages ------------------------------------------------------------------------

  void step(time_point now, message&& what, effects& out) {
    end_lives(now, out); // its letters may be those after which all go
    if (what.where.refusal)
      answer(what.wants, std::move(what.by), std::move(what.where.refusal), out);
    else if (is_due(what.expires_at, now))
      answer(what.wants, std::move(what.by), ways_.expire(what.where), out);
    else if (what.where.is_one)
      send_to_one(now, what, out);
    else
      send_to_many(what, out);
  }

  void step(time_point now, look_up&& what, effects& out) {
    auto node = ways_.node_of(what.agent);
    if (node == node_id{} || node == self_)
      return say(std::move(what.by), detail::nobody(to_agent(what.agent)), out);
    if (what.is_from_elsewhere)
      return say(std::move(what.by), detail::of_no_use(what.agent), out);
    auto number = open(now, node, what.timeout, {std::move(what.by)}, what.from, out);
    if (number == 0)
      return;
    looks_.emplace(number, std::move(what.what));
    step(now, lines::visit{node, number, true, number}, out); // the answer is a handle
  }

  void step(time_point, missed&& what, effects& out) {
    if (what.request != 0)
      finish(what.request, detail::no_agent(what.agent), std::nullopt, out);
    else
      say(std::move(what.by), detail::no_agent(what.agent), out);
  }

  void step(time_point, handed&& what, effects& out) {
    auto& owed = what.owed;
    if (!owed.only.empty() && what.missed > 0)
      return say(std::move(owed.by), detail::no_agent(owed.only), out);
    if (!owed.only.empty() && what.refused > 0)
      return say(std::move(owed.by), detail::inbox_full(owed.only), out);
    owed.report.sent -= what.missed + what.refused;
    owed.report.refused += what.refused;
    say(std::move(owed.by), owed.report, out);
  }

  void step(time_point, const unwritable& what, effects& out) {
    ways_.drop(what.peer, what.bytes);
    lives_.erase(what.request);
    ++refused_;
    if (what.request != 0)
      finish(what.request, detail::unwritable(), std::nullopt, out);
  }

  void step(time_point, const passed& what, effects&) {
    ways_.drop(what.peer, what.bytes);
    forwarded_ += what.agents;
    lives_.erase(what.request);
    if (what.request != 0)
      pending_.sent(what.request, what.over);
  }

  void step(time_point, const way_lost& what, effects& out) {
    lose(what.over, what.why, out);
  }

  void step(time_point, const told_full& what, effects& out) {
    if (lines_.link_to(what.peer) != what.over)
      return;
    for (auto& each : what.agents)
      if (ways_.hold_back(what.peer, each))
        put(await_room{what.peer, what.over, each, longest_hold}, out);
  }

  /// What was asked over an earlier link says nothing of what was told over this one.
  void step(time_point, const told_room& what, effects&) {
    if (lines_.link_to(what.peer) == what.over)
      ways_.may_send(what.peer, what.agent);
  }

  // -- links, and what goes over them --------------------------------------------------

  void step(time_point now, const lines::event& what, effects& out) {
    if (const auto* put_in = std::get_if<lines::enclosed>(&what))
      lives_.enclose(put_in->request); // and its parcel stays: the host has put it there
    else
      end_lives(now, out); // what has expired does not go out
    if (const auto* up = std::get_if<lines::link_up>(&what))
      ways_.set_linked(up->peer, true);
    if (lines_.looks_at_uses(now, what))
      tell_uses(now);
    lines_.step(now, what, wanted_);
    carry_on(out);
  }

  /// What to ask for more room for an agent of another node of which nothing was told; nothing
  /// without a link there.
  [[nodiscard]] std::optional<await_room> ask_room(const agent_id& agent) const {
    auto node = ways_.node_of(agent);
    auto link = lines_.link_to(node);
    return link ? std::optional{await_room{node, *link, agent, longest_hold}} : std::nullopt;
  }

  [[nodiscard]] lines::parcel_number parcel_for(const node_id& peer) {
    return lines_.parcel_for(peer);
  }

  [[nodiscard]] std::optional<lines::link_number> link_to(const node_id& peer) const {
    return lines_.link_to(peer);
  }

  // -- time ----------------------------------------------------------------------------

  void tick(time_point now, effects& out) {
    end_lives(now, out);
    end_late(now, out);
    if (is_due(lines_.next_deadline(), now)) {
      tell_uses(now);
      lines_.tick(now, wanted_);
      carry_on(out);
    }
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return earlier(earlier(lines_.next_deadline(), due_), lives_.next_end());
  }

  void add_to(router_statistics& sum) const {
    sum.forwarded += forwarded_;
    sum.refused += refused_;
    sum.unreachable += unreachable_;
    sum.failed += failed_;
    sum.expired += expired_;
    sum.pending += static_cast<std::uint32_t>(pending_.size());
    sum.links += static_cast<std::uint32_t>(lines_.links().size());
    sum.waiting += static_cast<std::uint32_t>(lines_.waiting());
  }

private:
  /// Who waits less long for an answer says nothing about the agent when it gives up.
  static constexpr duration least_patience = std::chrono::milliseconds{100};
  /// Then it is tried again, as the answer may be lost.
  static constexpr duration longest_hold = std::chrono::seconds{30};

  // -- messages ------------------------------------------------------------------------

  void send_to_one(time_point now, message& what, effects& out) {
    auto& where = what.where.stops.front();
    auto& agent = where.agents.front();
    if (where.node == self_) {
      if (what.wants == awaited::answer)
        return ask_here(now, where, what, out);
      std::optional<receipt> owed;
      if (what.wants == awaited::receipt)
        owed.emplace(receipt{std::move(what.by), what.where.report, agent});
      return put(hand{std::move(where.agents), std::move(what.what), std::move(owed)}, out);
    }
    if (what.wants == awaited::nothing)
      return put_letters(where, std::move(what.what), what.expires_at, out);
    auto says_how_it_is = what.wants == awaited::answer && what.timeout >= least_patience;
    auto number = open(now, where.node, what.timeout,
                       {std::move(what.by), agent, says_how_it_is, where.given}, what.from, out);
    if (number == 0)
      return ways_.drop(where.node, where.bytes);
    if (what.expires_at)
      lives_.begin(number, *what.expires_at, where.node, 1);
    put(letter{std::move(where), what.wants, number, patience(what.timeout), std::move(what.what),
               what.expires_at},
        out);
  }

  /// One that was given the work in place of others answers through the router, so that the end of
  /// the work is known.
  void ask_here(time_point now, detail::stop& where, message& what, effects& out) {
    auto& agent = where.agents.front();
    std::uint64_t number = 0;
    if (where.given != 0) {
      number = open(now, self_, what.timeout,
                    {std::exchange(what.by, {}), agent, false, where.given}, what.from, out);
      if (number == 0)
        return;
    }
    put(ask{std::move(agent), std::move(what.by), number, patience(what.timeout),
            std::move(what.what)},
        out);
  }

  void send_to_many(message& what, effects& out) {
    auto* here = static_cast<detail::stop*>(nullptr);
    for (auto& each : what.where.stops)
      if (each.node != self_)
        put_letters(each, what.what, what.expires_at, out);
      else
        here = &each;
    auto waits = what.wants != awaited::nothing;
    if (here != nullptr) {
      std::optional<receipt> owed;
      if (waits)
        owed.emplace(receipt{std::move(what.by), what.where.report});
      put(hand{std::move(here->agents), std::move(what.what), std::move(owed)}, out);
    } else if (waits) {
      say(std::move(what.by), what.where.report, out);
    }
  }

  /// Of which nothing is wanted: one, or several if it is for more agents than one may name.
  void put_letters(detail::stop& where, Content what, const std::optional<time_point>& expires_at,
                   effects& out) {
    auto most = static_cast<std::ptrdiff_t>(options_.max_recipients);
    while (where.agents.size() > options_.max_recipients) {
      detail::stop some{where.node, {}, where.bytes / 2};
      auto middle = where.agents.end() - most;
      some.agents.assign(std::move_iterator{middle}, std::move_iterator{where.agents.end()});
      where.agents.erase(middle, where.agents.end());
      where.bytes -= some.bytes;
      auto number = number_of(some, expires_at);
      put(letter{std::move(some), awaited::nothing, number, {}, what, expires_at}, out);
    }
    auto number = number_of(where, expires_at);
    put(letter{std::move(where), awaited::nothing, number, {}, std::move(what), expires_at}, out);
  }

  /// Zero if it does not expire.
  std::uint64_t number_of(const detail::stop& where, const std::optional<time_point>& expires_at) {
    if (!expires_at)
      return 0;
    auto number = new_number();
    lives_.begin(number, *expires_at, where.node, where.agents.size());
    return number;
  }

  // -- requests ------------------------------------------------------------------------

  /// Returns its number; zero if there are too many, of which its caller has been told then.
  std::uint64_t open(time_point now, const node_id& node, duration timeout,
                     detail::call<Caller> made, const detail::share_holder& from, effects& out) {
    if (!pending_.may_open(from, options_.max_pending)) {
      ++refused_;
      ways_.ended(made, node);
      say(std::move(made.by), detail::too_many_pending(pending_.size(), pending_.of(from)), out);
      return 0;
    }
    auto number = new_number();
    auto deadline = now + patience(timeout);
    pending_.open(number, std::move(made), node, deadline, from);
    due_ = due_ ? std::min(*due_, deadline) : deadline;
    return number;
  }

  std::uint64_t new_number() {
    return enclosed_request | ++last_request_;
  }

  /// Ends a request, if it is not over; `how`: what that says of the agent.
  bool finish(std::uint64_t number, const problem& why, std::optional<call_end> how, effects& out) {
    return pending_.finish(number, [&](detail::call<Caller>& each, const node_id& node) {
      end(each, node, why, how, out);
    });
  }

  void end(detail::call<Caller>& which, const node_id& node, const problem& why,
           std::optional<call_end> how, effects& out) {
    say(std::move(which.by), why, out);
    ways_.ended(which, node);
    if (how && which.is_telling)
      put(call_failed{node, std::move(which.agent), *how}, out);
  }

  void lose(lines::link_number over, const problem& why, effects& out) {
    failed_ += pending_.lost(over, [&](detail::call<Caller>& each, const node_id& node) {
      end(each, node, why, std::nullopt, out);
    });
  }

  /// What has no answer in time is not sent any more.
  void end_late(time_point now, effects& out) {
    if (!is_due(due_, now))
      return;
    pending_.expire(now,
                    [&](std::uint64_t number, detail::call<Caller>& each, const node_id& node) {
                      end(each, node, detail::no_answer_in_time(), call_end::timed_out, out);
                      lines_.step(now, lines::withdrawn{node, number}, wanted_);
                      carry_on(out);
                    });
    due_ = pending_.next_deadline();
  }

  /// What has expired is not sent any more.
  void end_lives(time_point now, effects& out) {
    while (lives_.has_expired_one(now)) {
      auto over = lives_.take_expired();
      expired_ += over.agents;
      finish(over.number, detail::expired(), std::nullopt, out);
      lines_.step(now, lines::withdrawn{over.node, over.number}, wanted_);
      carry_on(out);
    }
  }

  // -- what the lines cannot see -------------------------------------------------------

  void tell_uses(time_point now) {
    for (auto& [node, link] : lines_.links())
      if (ways_.has_waiting(node) || pending_.waits_for(link))
        lines_.step(now, lines::used{node}, wanted_);
  }

  // -- what they want done -------------------------------------------------------------

  void carry_on(effects& out) {
    for (auto& each : wanted_)
      troupe::visit([&](auto& what) { pass_on(what, out); }, each);
    wanted_.clear();
  }

  template <class Other>
  void pass_on(Other& what, effects& out) {
    put(std::move(what), out);
  }

  void pass_on(lines::send& what, effects& out) {
    forwarded_ += what.letters;
    for (auto& each : what.requests) {
      lives_.erase(each.number);
      pending_.sent(each.number, what.link);
    }
    ways_.drop(what.peer, what.taken);
    put(std::move(what), out);
  }

  void pass_on(lines::cut& what, effects& out) {
    ways_.drop(what.peer, what.taken);
    lives_.erase(what.request);
    put(std::move(what), out);
  }

  void pass_on(lines::refuse& what, effects& out) {
    unreachable_ += what.letters;
    ways_.drop(what.peer, what.taken);
    for (auto& each : what.requests) {
      lives_.erase(each.number);
      finish(each.number, what.why, call_end::unreachable, out);
    }
    put(std::move(what), out);
  }

  void pass_on(lines::lost& what, effects& out) {
    ways_.set_linked(what.peer, lines_.link_to(what.peer).has_value());
    lose(what.link, what.why, out);
    put(std::move(what), out);
  }

  void pass_on(lines::admit& what, effects& out) {
    auto found = looks_.extract(what.visit);
    if (!found)
      return put(std::move(what), out);
    pending_.sent(what.visit, what.link);
    ++forwarded_;
    put(look{what.link, what.visit, std::move(found.mapped())}, out);
  }

  void pass_on(lines::turn_away& what, effects& out) {
    if (looks_.erase(what.visit) == 0)
      return put(std::move(what), out);
    if (finish(what.visit, what.why, std::nullopt, out))
      ++(what.why.code == errc::limit_reached ? refused_ : unreachable_);
  }

  // -- words ---------------------------------------------------------------------------

  template <class What>
  static void answer(awaited wants, Caller by, What what, effects& out) {
    if (wants != awaited::nothing)
      say(std::move(by), std::move(what), out);
  }

  template <class What>
  static void say(Caller by, What what, effects& out) {
    put(tell{std::move(by), std::move(what)}, out);
  }

  template <class Effect>
  static void put(Effect what, effects& out) {
    out.emplace_back(std::move(what));
  }

  static bool is_due(const std::optional<time_point>& when, time_point now) {
    return when && *when <= now;
  }

  static std::optional<time_point> earlier(const std::optional<time_point>& one,
                                           const std::optional<time_point>& other) {
    return one && other ? std::min(one, other) : std::max(one, other);
  }

  node_id self_;
  options options_;
  detail::routes& ways_;
  requests& pending_;
  peer_lines lines_;
  peer_lines::effects wanted_;
  /// Look-ups that wait for a link, by their requests, whose numbers their visits have.
  std::map<std::uint64_t, Content> looks_;
  std::uint64_t last_request_ = 0;
  /// When a request may be late: no later than the first deadline of them.
  std::optional<time_point> due_;
  detail::letter_lives lives_;
  std::uint64_t forwarded_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t unreachable_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t expired_ = 0;
};

} // namespace troupe::router
