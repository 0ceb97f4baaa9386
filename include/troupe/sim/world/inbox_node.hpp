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
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/agent_inbox.hpp"
#include "troupe/router/detail/open_requests.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/node_inboxes.hpp"
#include "troupe/router/peer_lines_types.hpp"
#include "troupe/router/router_core.hpp"
#include "troupe/router/types.hpp"
#include "troupe/sim/laws/inbox_laws.hpp"
#include "troupe/sim/world/findings.hpp"
#include "troupe/sim/world/inbox_agents.hpp"
#include "troupe/sim/world/inbox_links.hpp"
#include "troupe/sim/world/mailbox.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// What the nodes of a world of inboxes share.
struct inbox_setting {
  findings found{};
  inbox_laws laws{found};
  inbox_links links{laws};
  std::vector<node_id> nodes{};
  router::router_options options{};
  /// The home of each agent, also of those that are not there now.
  std::map<agent_id, node_id> homes{};
  /// No link is made until then.
  time_point no_links_until{};
  /// Since when there is room in the inbox of that agent, or it is not there.
  std::function<time_point(const agent_id&)> has_room_since
    = [](const agent_id&) { return time_point{}; };
  std::uint64_t full_told = 0;
  std::uint64_t held_back = 0;
  std::uint64_t crowded_out = 0;

  inbox_setting() = default;
  inbox_setting(const inbox_setting&) = delete;
  inbox_setting& operator=(const inbox_setting&) = delete;

  [[nodiscard]] process_id process_of(const node_id& node) const {
    auto found_at = std::ranges::find(nodes, node);
    return static_cast<process_id>(found_at - nodes.begin());
  }
};

/// One node with the machines of its router and its agents: `router_core`, and in it the lines to
/// other nodes, the routes and open requests that it shares with threads of callers and links, and
/// the inboxes of its agents. What `router::detail::entrance` and `outbound` carry out for a node
/// is carried out here, with threads that may be interrupted anywhere.
class inbox_node {
public:
  using core = router::router_core<inbox_laws::message_number, inbox_laws::message_number>;
  using number = inbox_laws::message_number;

  /// Something has arrived over a link.
  struct message {
    router::lines::link_number over = 0;
  };

  using setting = std::shared_ptr<inbox_setting>;
  using agents = inbox_agents<environment<inbox_node>>;

  struct disk {
    void crash(random_source&) {}
  };

  explicit inbox_node(environment<inbox_node>& here)
    : here_(here),
      all_(*here.setting()),
      self_(all_.nodes.at(here.self())),
      ways_(self_, all_.options),
      core_(self_,
            {.max_pending = all_.options.max_pending,
             .lines = {.idle = {.idle_after = {}, .unused_after = {}},
                       .window_bytes = all_.options.window_bytes,
                       .max_turn_letters = max_letters}},
            ways_, pending_),
      agents_(here, all_.laws, all_.options.max_all_waiting_bytes,
              {[this](const waiting_letter& what, message_end how,
                      const std::optional<problem>& why) { end(what, how, why); },
               [this](const agents::waiter& who) { tell_room(who); }}),
      turn_(here, [](std::function<void()>& job) { job(); }) {
    for (auto& [id, node] : all_.homes)
      ways_.put({id, node});
  }

  inbox_node(const inbox_node&) = delete;
  inbox_node& operator=(const inbox_node&) = delete;

  // -- what happens ------------------------------------------------------------------------

  void receive(process_id, const message& what) {
    if (auto said = all_.links.take(what.over, here_.self()))
      troupe::visit([&](auto& each) { hear(what.over, each); }, *said);
  }

  void wake() {
    core_.tick(now(), wanted_);
    carry_out();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return core_.next_deadline();
  }

  void link_up(const node_id& peer, router::lines::link_number link) {
    turn_.put([this, peer, link] {
      step(router::lines::event{router::lines::link_up{peer, link}});
    });
  }

  /// Makes a link, or uses the one that is there.
  void meet(process_id other) {
    auto is_new = all_.links.between(here_.self(), other) == 0;
    auto link = all_.links.make(here_.self(), other);
    if (!is_new)
      return link_up(all_.nodes.at(other), link);
    for (auto end : {here_.self(), other})
      here_.send_over_link(end, {link});
  }

  void link_down(const node_id& peer, router::lines::link_number link) {
    turn_.put([this, peer, link] {
      step(router::lines::event{router::lines::link_down{peer, link}});
    });
  }

  void link_full(const node_id& peer, router::lines::link_number link, bool is_full) {
    turn_.put([this, peer, link, is_full] {
      step(router::lines::event{router::lines::link_full{peer, link, is_full}});
    });
  }

  // -- messages ----------------------------------------------------------------------------

  /// Sends as node::send() does, which says at once if the message was not taken.
  problem send(std::size_t by, const agent_id& to, std::size_t bytes) {
    auto made = all_.laws.begin({{self_, by}, to, bytes});
    if (auto* near = agents_.find(to)) {
      auto size = near->place.box().wants_size() ? bytes : 0;
      auto taken = size + router::detail::routes::letter_bytes;
      if (!agents::inboxes::take(near->place, taken)) {
        check_is_just(*near, taken);
        return not_taken(made, router::detail::inbox_full(to));
      }
      turn_.put([this, made, taken, to, place = near->place.number()] {
        agents_.give(to, place, {made, 0, {}}, taken, std::nullopt, true);
      });
      return {};
    }
    auto where = plan(to, bytes, router::longest_life);
    look_at_refusal(to, where.refusal);
    if (where.refusal) {
      refused_ += where.refusal.code == errc::limit_reached ? 1 : 0;
      return not_taken(made, where.refusal);
    }
    turn_.put([this, made, where = std::move(where)]() mutable {
      step(core::message{{.is_one = true, .stops = std::move(where.stops), .report = where.report},
                         router::awaited::nothing,
                         {},
                         {},
                         made});
    });
    return {};
  }

  /// Asks, or waits for a receipt.
  void ask(std::size_t by, const agent_id& to, std::size_t bytes, router::awaited wants,
           duration timeout, const std::optional<duration>& ttl) {
    auto expires_at = ttl ? std::optional{now() + *ttl} : std::nullopt;
    // Threads are late. Whoever asks an agent of this node looks at the clock itself.
    auto due = now() + timeout + (all_.homes.at(to) == self_ ? longest_here : lateness);
    auto made = all_.laws.begin({{self_, by}, to, bytes, wants, due, expires_at});
    turn_.put([this, made, to, bytes, wants, timeout, expires_at] {
      auto life = expires_at ? *expires_at - now() : router::longest_life;
      auto where = plan(to, bytes, life);
      look_at_refusal(to, where.refusal);
      step(core::message{std::move(where),
                         wants,
                         timeout,
                         made,
                         made,
                         expires_at,
                         {self_, agent_id{std::to_string(made % 5)}}});
    });
  }

  [[nodiscard]] agents& own_agents() {
    return agents_;
  }

  // -- for laws ----------------------------------------------------------------------------

  [[nodiscard]] router::router_statistics statistics() const {
    router::router_statistics sum;
    ways_.add_to(sum);
    core_.add_to(sum);
    return sum;
  }

  /// How much waits is within the bounds.
  void check_bounds() const {
    constexpr std::size_t largest = 600;
    auto most = all_.options.max_waiting_bytes;
    auto sum = statistics();
    if (sum.waiting_bytes > (all_.nodes.size() - 1) * (most + largest))
      broken("has too much that waits for other nodes");
    if (agents_.waiting().bytes() > all_.options.max_all_waiting_bytes + largest)
      broken("has too much that waits for its agents");
    for (auto& [id, it] : agents_.all()) {
      auto& box = it->place.box();
      auto messages = std::max<std::size_t>(it->how.max_messages, 1);
      if (box.waiting() > (agents::inbox::slack + 1) * messages)
        broken("has too many messages that wait for " + id.text());
      if (box.waiting_bytes() > agents::inbox::slack * it->how.max_bytes + largest)
        broken("has too many bytes that wait for " + id.text());
      auto held = std::ranges::count_if(
        it->mailbox, [](const agents::mail& each) { return each.what.has_value(); });
      if (static_cast<std::size_t>(held) > agents::inbox::max_held)
        broken("has too many messages in the mailbox of " + id.text());
    }
  }

  /// Nothing is left where nobody sends.
  void check_rest() const {
    if (agents_.waiting().messages() != 0 || agents_.waiting().bytes() != 0)
      broken("has something that waits for its agents for ever");
    if (!agents_.full_ones().empty())
      broken("says that an empty inbox is full");
    if (!parcels_.empty())
      broken("has a parcel left");
    auto sum = statistics();
    if (sum.waiting != 0 || sum.waiting_bytes != 0 || sum.pending != 0)
      broken("keeps something that waits, or a request");
    if (sum.forwarded != sent_ || sum.unreachable != unreachable_ || sum.refused != refused_)
      broken("counts other messages than were sent and refused");
  }

private:
  using waiting_letter = agents::waiting_letter;

  struct parcel {
    std::vector<inbox_words::letter> letters{};
    std::size_t bytes = 0;
  };

  static constexpr std::size_t max_letters = 64;
  static constexpr std::size_t max_parcel_bytes = 1'500;
  /// After half of an inbox has gone, until those who were refused are told over a slow link.
  static constexpr duration max_refusal = std::chrono::seconds{2};
  static constexpr duration lateness = std::chrono::milliseconds{500};
  static constexpr duration longest_here = std::chrono::minutes{1};

  [[nodiscard]] time_point now() const {
    return here_.now();
  }

  void broken(const std::string& law) const {
    all_.found.broken("node " + std::to_string(here_.self()) + ' ' + law);
  }

  problem not_taken(number which, problem why) {
    all_.laws.not_taken(which);
    return why;
  }

  router::detail::route plan(const agent_id& to, std::size_t bytes, duration life) {
    auto where = ways_.plan(
      now(), router::to_agent(to), {false, 0, life},
      [this](std::string_view id) {
        auto* it = agents_.find(agent_id{std::string{id}});
        return it == nullptr         ? router::detail::presence::none
               : it->place.is_full() ? router::detail::presence::full
                                     : router::detail::presence::here;
      },
      [bytes] { return bytes; });
    note_share(to, where);
    return where;
  }

  // -- refusals ----------------------------------------------------------------------------

  /// An agent of this node is refused messages only for what waits for it, and for its share of
  /// what waits for all.
  void check_is_just(const agents::agent& to, std::size_t bytes) const {
    auto& box = to.place.box();
    auto most = all_.options.max_all_waiting_bytes;
    auto free = most - std::min<std::size_t>(most, agents_.waiting().bytes());
    auto is_just = 2 * box.waiting() >= to.how.max_messages
                   || 2 * (box.waiting_bytes() + bytes) >= to.how.max_bytes
                   || box.waiting_bytes() + bytes > free;
    if (!is_just)
      broken("refuses a message to " + to.id.text() + ", for which little waits");
  }

  /// A message for an agent of another node is refused for what waits for that node only if this
  /// one has got its share of it, or waits itself.
  void check_is_fair(const agent_id& to, const problem& why) {
    ++all_.crowded_out;
    constexpr std::size_t largest = 600;
    auto count = all_.homes.size() / all_.nodes.size();
    auto share = (all_.options.max_waiting_bytes / 4 - count * largest) / (count + 1);
    if (why.detail.find("router_options::max_waiting_bytes") != std::string::npos
        && got_[to] + largest <= share)
      broken("is refused a message to " + to.text() + " for what waits for others");
  }

  /// What was taken for each since little waited.
  void note_share(const agent_id& to, const router::detail::route& where) {
    router::router_statistics sum;
    ways_.add_to(sum);
    if (sum.waiting_bytes <= all_.options.max_waiting_bytes / 8)
      got_.clear();
    for (auto& each : where.stops)
      got_[to] += each.bytes;
  }

  /// Nobody stays refused for an inbox that has had room for a while.
  void look_at_refusal(const agent_id& to, const problem& why) {
    if (!why)
      first_refused_.erase(to);
    if (why.code != errc::limit_reached)
      return;
    if (why.detail.find("agent_options::inbox") == std::string::npos)
      return check_is_fair(to, why);
    ++all_.held_back;
    auto since
      = std::max(all_.has_room_since(to), first_refused_.try_emplace(to, now()).first->second);
    if (now() - since > max_refusal)
      broken("is refused messages to " + to.text() + ", which has had room for long");
  }

  // -- the router's own turn ---------------------------------------------------------------

  template <class Event>
  void step(Event what) {
    core_.step(now(), std::move(what), wanted_);
    carry_out();
  }

  void carry_out() {
    if (std::exchange(is_carrying_out_, true))
      return;
    while (!wanted_.empty())
      for (auto& what : std::exchange(wanted_, {}))
        troupe::visit([this](auto& each) { perform(each); }, what);
    is_carrying_out_ = false;
  }

  void perform(core::ask& what) {
    under_way_.insert(what.what);
    auto* to = agents_.find(what.agent);
    if (to == nullptr) {
      all_.laws.end(what.what, message_end::no_agent);
      return step(core::missed{what.agent, what.by, what.request});
    }
    agents_.come(*to, {what.what, 0, {}}, all_.laws.at(what.what).bytes,
                 all_.laws.at(what.what).expires_at);
  }

  void perform(core::hand& what) {
    under_way_.insert(what.what);
    std::uint32_t missed = 0;
    std::uint32_t refused = 0;
    for (auto& id : what.agents) {
      auto* to = agents_.find(id);
      if (to == nullptr) {
        all_.laws.end(what.what, message_end::no_agent);
        ++missed;
      } else if (!agents_.come(*to, {what.what, 0, {}}, all_.laws.at(what.what).bytes,
                               all_.laws.at(what.what).expires_at)) {
        ++refused;
      }
    }
    if (what.owed)
      step(core::handed{std::move(*what.owed), missed, refused});
  }

  void perform(core::letter& what) {
    under_way_.insert(what.what);
    auto node = what.where.node;
    auto bytes = all_.laws.at(what.what).bytes;
    auto* into = &parcels_[core_.parcel_for(node)];
    if (!into->letters.empty() && into->bytes + bytes > max_parcel_bytes) {
      step(router::lines::event{router::lines::parcel_full{node}});
      into = &parcels_[core_.parcel_for(node)];
    }
    inbox_words::letter made{what.where.agents.front(), what.what, what.wants, what.request, bytes};
    if (what.expires_at)
      made.life = *what.expires_at - now();
    into->letters.push_back(std::move(made));
    into->bytes += bytes;
    step(
      router::lines::event{router::lines::enclosed{node, bytes, what.where.bytes, what.request}});
  }

  void perform(const core::tell& what) {
    auto* why = std::get_if<problem>(&what.what);
    if (why != nullptr && !under_way_.contains(what.by)) {
      all_.laws.end(what.by, message_end::refused);
      refused_ += why->code == errc::limit_reached ? 1 : 0;
    }
    all_.laws.told(now(), what.by, why != nullptr ? std::optional{*why} : std::nullopt);
  }

  void perform(const core::await_room& what) {
    ++all_.full_told;
    auto asked = ++last_asked_;
    rooms_.emplace(asked, core::told_room{what.peer, what.link, what.agent});
    say(what.link, inbox_words::ask_room{asked, what.agent});
    here_.after(what.patience, [this, asked] { hear_room(asked); });
  }

  void perform(const router::lines::await_turn&) {
    turn_.put([this] { step(router::lines::event{router::lines::turn_over{}}); });
  }

  void perform(const router::lines::want_link& what) {
    auto tried = std::chrono::milliseconds{1 + here_.random().below(20)};
    here_.after(tried, [this, peer = what.peer] {
      if (now() >= all_.no_links_until)
        return meet(all_.process_of(peer));
      step(router::lines::event{
        router::lines::link_failed{peer, {errc::unreachable, "nobody answers"}}});
    });
  }

  void perform(router::lines::send& what) {
    auto gone = parcels_.extract(what.parcel);
    sent_ += gone.mapped().letters.size();
    say(what.link, inbox_words::parcel{std::move(gone.mapped().letters), what.mark});
  }

  void perform(const router::lines::cut& what) {
    auto& letters = parcels_.at(what.parcel).letters;
    auto which = std::ranges::find(letters, what.request, &inbox_words::letter::request);
    all_.laws.end(which->number, message_end::not_sent);
    letters.erase(which);
    if (what.is_last)
      parcels_.erase(what.parcel);
  }

  void perform(const router::lines::refuse& what) {
    auto gone = parcels_.extract(what.parcel);
    unreachable_ += gone.mapped().letters.size();
    for (auto& each : gone.mapped().letters)
      all_.laws.end(each.number, message_end::not_sent);
  }

  /// How calls end, look-ups, and what ends with a link.
  template <class Other>
  void perform(const Other&) {}

  // -- what comes over links ---------------------------------------------------------------

  void say(router::lines::link_number over, inbox_words::word what) {
    auto due = all_.links.send(over, here_.self(), now(), std::move(what));
    here_.after(due - now(), [this, over] {
      here_.send_over_link(all_.links.peer_of(over, here_.self()), {over});
    });
  }

  void hear(router::lines::link_number over, const inbox_words::hello&) {
    link_up(all_.nodes.at(all_.links.peer_of(over, here_.self())), over);
  }

  void hear(router::lines::link_number over, const inbox_words::parcel& what) {
    for (auto& each : what.letters) {
      waiting_letter made{each.number, each.wants != router::awaited::nothing ? each.request : 0,
                          over};
      auto* to = agents_.find(each.to);
      std::optional<time_point> expires_at;
      if (each.life)
        expires_at = now() + *each.life;
      if (to == nullptr) {
        end(made, message_end::no_agent, router::detail::no_agent(each.to));
      } else if (each.wants != router::awaited::receipt) {
        agents_.come(*to, made, each.bytes, expires_at);
      } else if (agents_.come(*to, {each.number, 0, {}}, each.bytes, expires_at)) {
        say(over, inbox_words::answer{each.request, std::nullopt});
      } else {
        say(over, inbox_words::answer{each.request, router::detail::inbox_full(each.to)});
      }
    }
    if (what.mark)
      return say(over, inbox_words::received{*what.mark, agents_.full_ones()});
    inbox_words::full said;
    for (auto& each : what.letters)
      if (auto* to = agents_.find(each.to); to != nullptr && to->place.is_full())
        said.agents.push_back(each.to);
    if (!said.agents.empty())
      say(over, std::move(said));
  }

  void hear(router::lines::link_number over, const inbox_words::received& what) {
    turn_.put([this, what, over] {
      auto peer = all_.nodes.at(all_.links.peer_of(over, here_.self()));
      if (!what.full.empty())
        step(core::told_full{peer, over, what.full});
      step(router::lines::event{router::lines::received{peer, over, what.mark}});
    });
  }

  void hear(router::lines::link_number over, const inbox_words::full& what) {
    turn_.put([this, what, over] {
      step(
        core::told_full{all_.nodes.at(all_.links.peer_of(over, here_.self())), over, what.agents});
    });
  }

  void hear(router::lines::link_number over, const inbox_words::answer& what) {
    auto peer = all_.nodes.at(all_.links.peer_of(over, here_.self()));
    pending_.finish_by(peer, what.request,
                       [&](router::detail::call<number>& to, const node_id& node) {
                         ways_.ended(to, node);
                         all_.laws.told(now(), to.by, what.why);
                       });
  }

  void hear(router::lines::link_number over, const inbox_words::ask_room& what) {
    agents::waiter by{over, what.number};
    if (!agents_.await_room(what.agent, by))
      tell_room(by);
  }

  void hear(router::lines::link_number, const inbox_words::room& what) {
    turn_.put([this, asked = what.number] { hear_room(asked); });
  }

  void hear_room(std::uint64_t asked) {
    if (auto found = rooms_.extract(asked))
      step(found.mapped());
  }

  void tell_room(const agents::waiter& who) {
    say(who.over, inbox_words::room{who.number});
  }

  /// That is the end of it; whoever waits is told.
  void end(const waiting_letter& what, message_end how, const std::optional<problem>& why) {
    all_.laws.end(what.what, how);
    auto wants = all_.laws.at(what.what).wants;
    if (wants == router::awaited::nothing || (wants == router::awaited::receipt && !what.over))
      return; // its receipt says so, or has said
    if (!what.over)
      all_.laws.told(now(), what.what, why);
    else if (what.request != 0)
      say(*what.over, inbox_words::answer{what.request, why});
  }

  environment<inbox_node>& here_;
  inbox_setting& all_;
  node_id self_;
  router::detail::routes ways_;
  core::requests pending_;
  core core_;
  core::effects wanted_;
  bool is_carrying_out_ = false;
  agents agents_;
  std::map<router::lines::parcel_number, parcel> parcels_;
  /// Who has asked for room.
  std::map<std::uint64_t, core::told_room> rooms_;
  std::uint64_t last_asked_ = 0;
  std::map<agent_id, time_point> first_refused_;
  std::map<agent_id, std::size_t> got_;
  /// For its statistics.
  std::uint64_t sent_ = 0;
  std::uint64_t unreachable_ = 0;
  std::uint64_t refused_ = 0;
  /// Messages that the core has let go on.
  std::set<number> under_way_;
  mailbox<environment<inbox_node>, std::function<void()>> turn_;
};

} // namespace troupe::sim
