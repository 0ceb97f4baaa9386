// What must hold of a router on every schedule, judged by a witness that sees what its callers are
// told, what its agents get, and what goes over its links: with the routes and the open requests
// that it shares with other threads, and the lines to its peers.

#include "troupe/router/router_core.hpp"
#include "router/named_nodes.hpp"
#include "support/seeds.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace router_core_property {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

const auto self = test::node_named("m");
constexpr std::size_t max_recipients = 3; // of a letter
constexpr std::size_t window_bytes = 300;
constexpr std::size_t letter_bytes = 40;

/// One router, with agents here and on three other nodes, whose links come and go.
class world {
public:
  /// A caller is its number, zero if it does not wait; a content the number of its message.
  using core = router_core<std::uint64_t, std::uint64_t>;

  explicit world(random_source random) : random_(random) {
    for (auto* name : {"m", "a", "y", "z"})
      for (auto each = 0; each < 5; ++each) {
        auto node = test::node_named(name);
        auto agent = agent_id{name + std::to_string(each)};
        ways_.put({agent, node, {each % 2 == 0 ? "even" : "odd"}, {"all"}});
        homes_.emplace(agent, node);
        if (node != self)
          peers_.try_emplace(node);
      }
  }

  void run(std::size_t steps) {
    for (std::size_t step = 0; step < steps; ++step)
      take_step();
    // The dust settles: what waits for a link goes, and all deadlines pass.
    for (auto& [node, it] : peers_) {
      link_up(node);
      step(lines::event{lines::link_full{node, *it.link, false}});
    }
    for (auto round = 0; round < 50; ++round) {
      step(lines::event{lines::turn_over{}});
      for (auto& [node, it] : peers_)
        receive(node, it);
    }
    now_ += 10min;
    tick();
  }

  /// The first law that was broken; empty: none.
  [[nodiscard]] const std::string& broken() const {
    return broken_;
  }

  [[nodiscard]] std::string unsettled() const {
    router_statistics sum;
    ways_.add_to(sum);
    machine_.add_to(sum);
    if (sum.waiting != 0 || sum.waiting_bytes != 0)
      return "something waits";
    if (sum.pending != 0 || machine_.next_deadline() < now_)
      return "a request is open";
    if (!parcels_.empty())
      return "a parcel is left";
    if (!waiting_.empty())
      return "caller " + std::to_string(waiting_.begin()->first) + " hears nothing";
    for (auto& [number, each] : messages_)
      if (each.left != 0)
        return "message " + std::to_string(number) + " has no end";
    return {};
  }

  [[nodiscard]] const std::map<std::string, std::size_t>& seen() const {
    return seen_;
  }

private:
  struct caller {
    /// What went over that has to bring its answer.
    std::optional<lines::link_number> over{};
    time_point deadline = time_point::max();
  };

  struct message {
    bool is_one = false;
    /// Agents that it was taken for, and that have neither got it nor been refused.
    std::size_t left = 0;
    /// Letters to each node.
    std::map<node_id, std::size_t> letters{};
    std::set<agent_id> named{};
    std::optional<time_point> expires_at{};
  };

  struct letter {
    node_id to{};
    std::uint64_t message = 0;
    std::uint64_t request = 0;
    std::uint64_t by = 0;
    std::size_t agents = 0;
    std::uint64_t order = 0;
  };

  struct peer {
    std::optional<lines::link_number> link{};
    std::vector<std::uint64_t> marks{};
    std::uint64_t last_sent = 0;
  };

  void law(bool holds, const std::string& what) {
    if (!holds && broken_.empty())
      broken_ = what;
  }

  // -- what happens --------------------------------------------------------------------

  void take_step() {
    now_ += std::chrono::milliseconds{static_cast<std::int64_t>(random_.below(50))};
    auto which = peers_.begin();
    std::advance(which, static_cast<std::ptrdiff_t>(random_.below(peers_.size())));
    auto& [node, it] = *which;
    switch (random_.below(16)) {
      case 0:
        link_up(node);
        break;
      case 1:
        step(lines::event{lines::link_down{
          node, it.link && random_.one_in(2) ? *it.link : random_.below(last_link_ + 1)}});
        break;
      case 2:
        if (random_.one_in(3))
          step(lines::event{lines::link_failed{node, {errc::unreachable, "nobody answers"}}});
        break;
      case 3:
        step(lines::event{lines::link_full{node, it.link.value_or(last_link_), random_.one_in(3)}});
        break;
      case 4:
      case 5:
        receive(node, it);
        break;
      case 6:
      case 7:
        step(lines::event{lines::turn_over{}});
        break;
      case 8:
        tick();
        break;
      case 9:
      case 10:
        answer();
        break;
      case 11:
        look_up();
        break;
      default:
        send();
    }
  }

  void link_up(const node_id& node) {
    auto& it = peers_.at(node);
    auto before = std::exchange(it.link, ++last_link_);
    it.marks.clear();
    replaced_ = before;
    step(lines::event{lines::link_up{node, last_link_}});
    law(!replaced_, "a link that is replaced is lost");
    for (auto& [number, each] : waiting_)
      law(!before || each.over != before, "what went over a link that is replaced is told at once");
  }

  void receive(const node_id& node, peer& it) {
    if (!it.link || it.marks.empty())
      return;
    auto mark = it.marks.front();
    it.marks.erase(it.marks.begin());
    step(lines::event{lines::received{node, *it.link, mark}});
  }

  recipients pick() {
    auto which = homes_.begin();
    std::advance(which, static_cast<std::ptrdiff_t>(random_.below(homes_.size())));
    switch (random_.below(6)) {
      case 0:
        return to_any("even");
      case 1:
        return to_all("odd");
      case 2:
        return to_everyone();
      case 3:
        return to_agent("nobody");
      default:
        return to_agent(which->first);
    }
  }

  std::uint64_t new_caller() {
    waiting_.emplace(++last_caller_, caller{});
    return last_caller_;
  }

  void send() {
    auto to = pick();
    auto wants = static_cast<awaited>(random_.below(3));
    auto where = ways_.plan(
      now_, to, {wants == awaited::answer},
      [this](std::string_view id) {
        auto found = homes_.find(agent_id{std::string{id}});
        return found != homes_.end() && found->second == self ? router::detail::presence::here
                                                              : router::detail::presence::none;
      },
      [this] { return random_.below(100); });
    auto by = wants != awaited::nothing ? new_caller() : 0;
    auto& made = messages_[++last_message_];
    made.is_one = where.is_one;
    for (auto& each : where.stops)
      made.left += each.agents.size();
    auto timeout = std::chrono::milliseconds{static_cast<std::int64_t>(random_.below(2'000))};
    if (by != 0 && where.is_one)
      waiting_.at(by).deadline = now_ + patience(timeout);
    if (random_.one_in(3)) // some have expired on their way to the router
      made.expires_at
        = now_ - 20ms + std::chrono::milliseconds{static_cast<std::int64_t>(random_.below(1'000))};
    step(core::message{std::move(where), wants, timeout, by, last_message_, made.expires_at});
    if (made.expires_at && *made.expires_at <= now_ && made.left > 0) {
      made.left = 0;
      ++seen_["expired at once"];
    }
    if (by != 0 && !made.is_one)
      law(!waiting_.contains(by), "who sends to many hears at once");
  }

  void look_up() {
    auto which = homes_.begin();
    std::advance(which, static_cast<std::ptrdiff_t>(random_.below(homes_.size())));
    auto by = new_caller();
    waiting_.at(by).deadline = now_ + 1s;
    messages_[++last_message_];
    step(core::look_up{which->first, random_.one_in(8), 1s, by, last_message_});
  }

  /// Some request is answered by some node, as threads of links do it.
  void answer() {
    if (last_request_ == 0)
      return;
    auto number = enclosed_request | (1 + random_.below(last_request_));
    if (!sent_.contains(number))
      return;
    auto which = homes_.begin();
    std::advance(which, static_cast<std::ptrdiff_t>(random_.below(homes_.size())));
    pending_.finish_by(which->second, number,
                       [&](router::detail::call<std::uint64_t>& each, const node_id& node) {
                         law(node == which->second, "who was asked answers");
                         ways_.ended(each, node);
                         hear(each.by);
                         ++seen_["answered"];
                       });
  }

  template <class Event>
  void step(Event what) {
    machine_.step(now_, std::move(what), out_);
    watch();
  }

  void tick() {
    machine_.tick(now_, out_);
    watch();
    for (auto& [number, all] : parcels_)
      for (auto& each : all)
        law(!is_over(each), "what has expired waits no longer");
    for (auto& [number, each] : waiting_)
      law(each.deadline > now_, "nobody waits for longer than they wanted");
  }

  // -- what it wants done --------------------------------------------------------------

  void watch() {
    while (!out_.empty())
      for (auto& what : std::exchange(out_, {}))
        troupe::visit([this](auto& each) { see(each); }, what);
    auto next = machine_.next_deadline();
    for (auto& [number, each] : waiting_)
      law(next && *next <= each.deadline, "the host wakes for each deadline");
  }

  void hear(std::uint64_t by) {
    law(by != 0, "who does not wait is told nothing");
    law(waiting_.erase(by) == 1, "who waits hears once");
  }

  [[nodiscard]] bool is_over(const letter& what) const {
    auto& when = messages_.at(what.message).expires_at;
    return when && *when <= now_;
  }

  void take(std::uint64_t number, std::size_t agents) {
    auto& it = messages_.at(number);
    law(it.left >= agents, "nobody gets a message twice");
    it.left -= std::min(it.left, agents);
  }

  void see(core::ask& what) {
    take(what.what, 1);
    if (what.request != 0) {
      last_request_ = what.request - enclosed_request;
      sent_.insert(what.request);
      ++seen_["given"];
    }
    if (random_.one_in(4)) {
      ++seen_["missed"];
      machine_.step(now_, core::missed{what.agent, what.by, what.request}, out_);
    } else if (what.request == 0) {
      hear(what.by); // the agent answers
    }
  }

  void see(core::hand& what) {
    take(what.what, what.agents.size());
    name(what.what, what.agents, self);
    ++seen_["handed"];
    if (what.owed)
      machine_.step(
        now_,
        core::handed{*what.owed, static_cast<std::uint32_t>(random_.below(what.agents.size() + 1))},
        out_);
  }

  void name(std::uint64_t number, const std::vector<agent_id>& agents, const node_id& node) {
    for (auto& each : agents) {
      law(messages_.at(number).named.insert(each).second, "nobody is named twice");
      law(homes_.at(each) == node, "who is named is there");
    }
  }

  void see(core::letter& what) {
    auto& node = what.where.node;
    auto& of = messages_.at(what.what);
    auto letters = ++of.letters[node];
    law(letters == 1 || what.where.agents.size() == max_recipients
          || (letters - 1) * max_recipients + what.where.agents.size() <= 5,
        "a message is one letter for each node, or as few as can name all");
    law(what.where.agents.size() <= max_recipients, "a letter names no more than it may");
    name(what.what, what.where.agents, node);
    std::uint64_t by = 0;
    if (what.request != 0)
      last_request_ = what.request - enclosed_request;
    if (what.wants != awaited::nothing)
      by = last_caller_; // the one whose message is being sent
    law((what.request != 0) == (what.wants != awaited::nothing || of.expires_at.has_value()),
        "a letter has a number if it may be taken out again");
    if (random_.one_in(12)) {
      take(what.what, what.where.agents.size());
      machine_.step(now_, core::unwritable{node, what.where.bytes, what.request}, out_);
      ++seen_["unwritable"];
      return;
    }
    auto number = machine_.parcel_for(node);
    if (random_.one_in(10)) {
      machine_.step(now_, lines::event{lines::parcel_full{node}}, out_);
      number = machine_.parcel_for(node);
    }
    parcels_[number].push_back(
      {node, what.what, what.request, by, what.where.agents.size(), ++last_letter_});
    machine_.step(now_,
                  lines::event{lines::enclosed{node, letter_bytes, what.where.bytes, what.request}},
                  out_);
  }

  void see(core::tell& what) {
    const auto* why = std::get_if<problem>(&what.what);
    ++seen_[why != nullptr ? "told " + std::string{name_of(why->code)} : "told a report"s];
    auto found = waiting_.find(what.by);
    if (why != nullptr && why->code == errc::timed_out && found != waiting_.end())
      law(found->second.deadline <= now_, "nobody is told too early that they are late");
    if (why != nullptr && why->code == errc::expired && found != waiting_.end())
      law(!found->second.over, "nothing that was sent is said to have expired");
    hear(what.by);
  }

  void see(core::call_failed& what) {
    law(!what.agent.empty() && homes_.at(what.agent) == what.node, "a call was to its agent");
    ++seen_["failed"];
  }

  void see(core::look& what) {
    last_request_ = std::max(last_request_, what.request - enclosed_request);
    sent_.insert(what.request);
    ++seen_["looked"];
  }

  void see(lines::send& what) {
    auto& it = peers_.at(what.peer);
    law(it.link == what.link, "a parcel goes over the link there is");
    auto lies = parcels_.extract(what.parcel);
    law(lies && lies.mapped().size() == what.letters, "a parcel goes once, with all its letters");
    if (!lies)
      return;
    for (auto& each : lies.mapped()) {
      law(each.to == what.peer, "a letter goes to its node");
      law(each.order > it.last_sent, "letters keep their order");
      law(!is_over(each), "what has expired is not sent");
      it.last_sent = each.order;
      take(each.message, each.agents);
      if (each.by == 0)
        continue;
      law(waiting_.contains(each.by), "nothing is sent after its caller was told");
      if (auto found = waiting_.find(each.by); found != waiting_.end())
        found->second.over = what.link;
    }
    for (auto& each : what.requests)
      sent_.insert(each.number);
    if (what.mark)
      it.marks.push_back(*what.mark);
    ++seen_["sent"];
  }

  void see(lines::cut& what) {
    auto& lies = parcels_[what.parcel];
    auto which = std::ranges::find(lies, what.request, &letter::request);
    law(which != lies.end() && !waiting_.contains(which->by),
        "a letter is cut whose caller was told, or that nobody waits for");
    if (which == lies.end())
      return;
    if (which->by == 0)
      law(is_over(*which), "what nobody waits for is cut when it expires");
    take(which->message, which->agents);
    lies.erase(which);
    law(lies.empty() == what.is_last, "a parcel goes with its last letter");
    if (lies.empty())
      parcels_.erase(what.parcel);
    ++seen_["cut"];
  }

  void see(lines::refuse& what) {
    auto lies = parcels_.extract(what.parcel);
    law(bool{lies}, "a parcel is refused once");
    if (!lies)
      return;
    for (auto& each : lies.mapped()) {
      take(each.message, each.agents);
      law(each.by == 0 || !waiting_.contains(each.by), "who waits hears that their letter stays");
    }
  }

  void see(lines::lost& what) {
    auto& it = peers_.at(what.peer);
    if (replaced_ == what.link) {
      replaced_.reset();
    } else {
      law(it.link == what.link, "a link is lost once");
      it.link.reset();
      it.marks.clear();
    }
    for (auto& [number, each] : waiting_)
      law(each.over != what.link, "what went over a lost link is told");
    ++seen_["lost"];
  }

  template <class Other>
  void see(Other&) {}

  random_source random_;
  time_point now_{};
  router::detail::routes ways_{self, {.max_waiting_bytes = 1'000, .max_recipients = 12}};
  core::requests pending_;
  core machine_{self,
                {.max_pending = 20,
                 .max_recipients = max_recipients,
                 .lines = {.window_bytes = window_bytes, .max_turn_letters = 20, .max_visits = 3}},
                ways_,
                pending_};
  core::effects out_;
  std::map<agent_id, node_id> homes_;
  std::map<node_id, peer> peers_;
  std::map<std::uint64_t, caller> waiting_;
  std::map<std::uint64_t, message> messages_;
  std::map<lines::parcel_number, std::vector<letter>> parcels_;
  /// Requests that somebody may answer.
  std::set<std::uint64_t> sent_;
  std::uint64_t last_caller_ = 0;
  std::uint64_t last_message_ = 0;
  std::uint64_t last_letter_ = 0;
  std::uint64_t last_request_ = 0;
  lines::link_number last_link_ = 0;
  std::optional<lines::link_number> replaced_;
  std::map<std::string, std::size_t> seen_;
  std::string broken_;
};

} // namespace

TEST_CASE("whatever happens in whatever order, each message goes once to whom it names, and who "
          "waits hears once",
          "[router]") {
  std::map<std::string, std::size_t> seen;
  test::for_each_seed(200, [&](random_source random) {
    world all{random};
    all.run(600);
    REQUIRE(all.broken() == "");
    REQUIRE(all.unsettled() == "");
    for (auto& [what, count] : all.seen())
      seen[what] += count;
  });
  if (test::given_seed())
    return;
  for (auto* what : {"answered", "missed", "given", "handed", "unwritable", "told a report",
                     "told not_found", "told limit_reached", "told bad_argument", "told timed_out",
                     "told outcome_unknown", "told unreachable", "told expired", "expired at once",
                     "failed", "looked", "sent", "cut", "lost"}) {
    INFO(what);
    CHECK(seen[what] > 50);
  }
}

} // namespace router_core_property
