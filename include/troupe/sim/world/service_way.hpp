#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/finder.hpp"
#include "troupe/cluster/finder_types.hpp"
#include "troupe/cluster/service_names.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/sim/world/node_messages.hpp"
#include "troupe/sim/world/way_board.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// The way from a simulated node to the services: its `finder`, over links that it is told of, and
/// what it says to the finders of other nodes. It relays those who do not reach the node of the
/// services, as a gate does.
///
/// Simpler than a real node: a dial waits for the link that the two nodes make anyway. A relayed
/// link serves the questions to the services alone, and is there as long as it is knocked at in
/// time.
template <class Process>
class service_way {
public:
  struct surroundings {
    /// Called with a letter that goes over the link to that process. Dropped if there is none.
    std::function<void(process_id over, node_letter)> over_link;
    /// The services can be reached from here on, perhaps at another place than before.
    std::function<void()> on_bound;
    std::function<void()> on_lost;
    /// They will be nowhere for a while; errc::none: they may be found soon.
    std::function<void(const problem&)> on_refused;
    std::function<void(const std::string&)> broken;
  };

  /// `here` outlives this.
  service_way(environment<Process>& here, surroundings around)
    : here_(here),
      around_(std::move(around)),
      finder_(options(here), here.random().next(), here.now()),
      knock_at_(here.now()),
      board_(handles_of(self())) {
    step(finder::start{address_of(here.self())});
  }

  service_way(const service_way&) = delete;
  service_way& operator=(const service_way&) = delete;

  // -- this node -------------------------------------------------------------------------

  void lead(std::uint64_t turn) {
    step(finder::lead{turn});
  }

  /// The services are elsewhere, at that address if it is not empty.
  void follow(std::uint64_t turn, const std::string& where) {
    auto there = address::from_string(where);
    step(finder::follow{turn, there ? std::optional{*there} : std::nullopt});
  }

  /// These nodes have a seat in the group.
  void know(const std::vector<std::string>& others) {
    step(finder::learned{others});
  }

  void seated(bool votes) {
    step(finder::seated{votes});
  }

  void seat_says(const problem& why) {
    step(finder::seat_says{why});
  }

  /// Somebody has waited for an answer of the services for a while.
  void doubt() {
    step(finder::doubt{});
  }

  /// Members say that this node may be gone.
  void doubt(process_id who) {
    if (auto link = link_to(who))
      step(finder::doubt{link});
  }

  void link_up(process_id who, std::uint64_t life) {
    auto& number = direct_[{who, life}];
    if (number == 0)
      paths_[number = ++last_link_] = {{who, life}, {}};
    std::vector<request_id> waited;
    for (auto& [id, each] : dials_)
      if (each.to == who)
        waited.push_back(id);
    for (auto id : waited) {
      dials_.erase(id);
      take_link(id, number);
    }
  }

  void link_down(process_id who, std::uint64_t life) {
    auto gone = direct_.extract({who, life});
    if (!gone)
      return;
    end(gone.mapped());
    for (auto number : relayed_by(who))
      end(number);
  }

  // -- what it shows -----------------------------------------------------------------------

  /// Where the services are, by what this node knows: the process.
  [[nodiscard]] std::optional<process_id> at() const {
    if (is_here_)
      return here_.self();
    return bound_ ? std::optional{bound_->to.first} : std::nullopt;
  }

  /// Sends a question to the services, if they can be reached.
  void ask(node_ask what) {
    if (is_here_)
      here_.send(here_.self(), node_letter{self(), self(), {}, std::move(what)});
    else if (bound_)
      send(*bound_, std::move(what));
  }

  void reply(const node_asker& to, node_reply what) {
    if (to.who == self())
      here_.send(here_.self(), node_letter{self(), self(), {}, std::move(what)});
    else
      send({to.who, to.through}, std::move(what));
  }

  /// Where a process takes links. It stays over restarts.
  static std::string listens_at(process_id which) {
    return to_string(address_of(which));
  }

  // -- the world ---------------------------------------------------------------------------

  /// Returns whether the letter was for the way, and not for whoever asks or is asked.
  bool hear(const node_letter& what) {
    if (what.to.first != here_.self()) {
      pass_on(what);
      return true;
    }
    if (what.to.second != 0 && what.to.second != here_.life())
      return true; // the link was one of an earlier life
    auto take = overloaded{
      [&](const way_question&) {
        way_board::answers out;
        board_.ask(here_.now(), what, out);
        answer(out);
      },
      [&](const way_answer& each) { step(finder::heard{each.what}, each.number); },
      [&](const way_knock& each) {
        send({what.from, what.through}, way_knocked{each.number});
      },
      [&](const way_knocked& each) { knocked(what, each.number); },
      [](const auto&) {},
    };
    troupe::visit(take, what.what);
    return !std::holds_alternative<node_ask>(what.what)
           && !std::holds_alternative<node_reply>(what.what);
  }

  void wake() {
    auto now = here_.now();
    if (auto due = finder_.next_deadline(); due && *due <= now) {
      finder::effects out;
      finder_.tick(now, out);
      carry_out(out);
    }
    for (auto id : late(dials_))
      fail_dial(id, dials_.extract(id).mapped().to);
    for (auto id : late(knocks_))
      fail_dial(id, knocks_.extract(id).mapped().to);
    way_board::answers held;
    board_.tick(now, held);
    answer(held);
    if (knock_at_ <= now)
      knock();
  }

  [[nodiscard]] time_point next_deadline() const {
    auto next = knock_at_;
    auto no_later = [&next](time_point when) { next = std::min(next, when); };
    no_later(finder_.next_deadline().value_or(next));
    for (auto* each : {&dials_, &knocks_})
      for (auto& [id, dial] : *each)
        no_later(dial.until);
    no_later(board_.next_deadline().value_or(next));
    return next;
  }

private:
  using finder = cluster::finder;
  using address = decltype(finder::dial::where);
  using link_number = decltype(finder::link_down::link);

  /// A link, and the process that relays it.
  struct path {
    caller to;
    std::optional<process_id> through{};
  };

  struct dial_under_way {
    process_id to = 0;
    time_point until{};
    std::optional<process_id> through{};
  };

  /// How long a dial of a node takes that does not answer.
  static constexpr duration dial_within = std::chrono::seconds{1};
  static constexpr duration relay_within = std::chrono::seconds{2};
  static constexpr duration knock_every = std::chrono::milliseconds{250};
  /// How long a relayed link lasts without an answer.
  static constexpr duration silence = std::chrono::seconds{1};

  static cluster::finder_options options(environment<Process>& here) {
    cluster::finder_options made;
    for (process_id which = 0; which < here.setting().nodes; ++which)
      if (which != here.self())
        made.addresses.push_back(address_of(which));
    made.dial_within = 2 * dial_within;
    made.has_guide = false; // as a member's
    return made;
  }

  /// It stays over restarts.
  static address address_of(process_id which) {
    return {"p" + std::to_string(which), 1};
  }

  static process_id process_of(const address& which) {
    return static_cast<process_id>(std::stoul(which.host.substr(1)));
  }

  [[nodiscard]] caller self() const {
    return {here_.self(), here_.life()};
  }

  // -- the machine -------------------------------------------------------------------------

  void step(finder::event what, request_id id = 0) {
    finder::effects out;
    finder_.step(here_.now(), id, std::move(what), out);
    carry_out(out);
  }

  void carry_out(finder::effects& out) {
    for (auto& each : finder_.flaws())
      around_.broken("has a flaw in its finder: " + each);
    for (auto& each : out)
      left_.push_back(std::move(each));
    if (std::exchange(is_busy_, true))
      return;
    while (!left_.empty()) {
      auto next = std::move(left_.front());
      left_.pop_front();
      troupe::visit([this](auto& each) { this->perform(each); }, next);
    }
    is_busy_ = false;
  }

  // -- links -------------------------------------------------------------------------------

  /// Over the latest life of that process.
  [[nodiscard]] link_number link_to(process_id who) const {
    auto next = direct_.lower_bound({who + 1, 0});
    if (next == direct_.begin())
      return 0;
    auto& [to, number] = *std::prev(next);
    return to.first == who ? number : 0;
  }

  [[nodiscard]] std::vector<link_number> relayed_by(process_id who) const {
    std::vector<link_number> found;
    for (auto& [number, each] : paths_)
      if (each.through == who)
        found.push_back(number);
    return found;
  }

  void end(link_number which) {
    paths_.erase(which);
    heard_.erase(which);
    step(finder::link_down{which});
  }

  template <class What>
  void send(const path& over, What what) {
    around_.over_link(over.through.value_or(over.to.first),
                      node_letter{self(), over.to, over.through, std::move(what)});
  }

  void perform(const finder::dial& what) {
    step(finder::resolved{}, what.id);
    auto to = process_of(what.where);
    if (what.through)
      return dial_through(what.id, to, process_of(*what.through));
    if (auto known = link_to(to))
      take_link(what.id, known);
    else
      dials_.emplace(what.id, dial_under_way{to, here_.now() + dial_within});
  }

  /// The greeting takes a moment.
  void take_link(request_id id, link_number which) {
    here_.after(std::chrono::milliseconds{1}, [this, id, which] {
      if (auto known = paths_.find(which); known != paths_.end())
        step(finder::dialled{which, known->second.through.has_value()}, id);
      else
        step(finder::dialled{problem{errc::unreachable, "the link has ended at once"}}, id);
    });
  }

  void fail_dial(request_id id, process_id to) {
    step(finder::dialled{problem{errc::unreachable, to_string(address_of(to)) + " is not there"}},
         id);
  }

  // -- relayed links -----------------------------------------------------------------------

  void dial_through(request_id id, process_id to, process_id relay) {
    knocks_.emplace(id, dial_under_way{to, here_.now() + relay_within, relay});
    if (link_to(relay) != 0)
      send({{to, 0}, relay}, way_knock{id});
  }

  void knocked(const node_letter& by, request_id number) {
    if (auto dialled = knocks_.extract(number)) {
      auto made = ++last_link_;
      paths_[made] = {by.from, by.through};
      heard_[made] = here_.now();
      ++here_.setting().relayed;
      return take_link(number, made);
    }
    for (auto& [link, heard] : heard_)
      if (auto& known = paths_.at(link); known.to == by.from && known.through == by.through)
        heard = here_.now();
  }

  void knock() {
    auto now = here_.now();
    knock_at_ = now + knock_every;
    std::vector<link_number> silent;
    for (auto& [link, heard] : heard_)
      if (heard + silence <= now)
        silent.push_back(link);
      else
        send(paths_.at(link), way_knock{});
    for (auto link : silent)
      end(link);
  }

  void pass_on(const node_letter& what) {
    auto is_relayed = what.through == here_.self() && relays_to_
                      && (*relays_to_ == what.to.first || *relays_to_ == what.from.first);
    if (is_relayed)
      around_.over_link(what.to.first, what);
  }

  // -- questions of this node --------------------------------------------------------------

  void perform(const finder::ask& what) {
    if (auto over = paths_.find(what.link); over != paths_.end())
      send(over->second, way_question{what.id, what.known, what.wait});
  }

  void perform(const finder::bind& what) {
    is_here_ = false;
    bound_ = paths_.at(what.how.link);
    around_.on_bound();
  }

  void perform(const finder::bind_here&) {
    is_here_ = true;
    bound_.reset();
    relays_to_.reset();
    tell({.is_here = true});
    around_.on_bound();
  }

  void perform(const finder::unbind&) {
    is_here_ = false;
    bound_.reset();
    relays_to_.reset();
    around_.on_lost();
  }

  void perform(const finder::point& what) {
    is_here_ = false;
    relays_to_.reset();
    if (what.relays && what.where)
      relays_to_ = process_of(*what.where);
    way_board::place there;
    if (what.where)
      there.elsewhere = to_string(*what.where);
    if (what.relayed_by)
      there.relayed_by = to_string(*what.relayed_by);
    tell(std::move(there));
  }

  void perform(const finder::without_quorum& what) {
    around_.on_refused(what.why);
  }

  void perform(const finder::met&) {}
  void perform(const finder::parted&) {}
  void perform(const finder::close&) {}
  void perform(const finder::failed&) {}
  void perform(const finder::settled&) {}

  void perform(const finder::refused& what) {
    if (what.why)
      around_.broken("is refused, and no node refuses another: " + what.why.detail);
  }

  // -- questions of others -----------------------------------------------------------------

  /// Each life of a process has services of its own.
  static cluster::service_handle handles_of(const caller& who) {
    constexpr std::uint64_t processes = 1'000;
    return (who.second * processes + who.first) * (cluster::cluster_services.size() + 1) + 1;
  }

  void tell(way_board::place what) {
    way_board::answers out;
    board_.tell(std::move(what), out);
    answer(out);
  }

  void answer(way_board::answers& all) {
    for (auto& each : all)
      send({each.question.from, each.question.through}, std::move(each.what));
  }

  [[nodiscard]] std::vector<request_id> late(const std::map<request_id, dial_under_way>& of) const {
    std::vector<request_id> found;
    for (auto& [id, each] : of)
      if (each.until <= here_.now())
        found.push_back(id);
    return found;
  }

  environment<Process>& here_;
  surroundings around_;
  finder finder_;
  std::deque<finder::effect> left_;
  bool is_busy_ = false;

  std::map<link_number, path> paths_;
  /// Those that nobody relays, and when each of the others was heard last.
  std::map<caller, link_number> direct_;
  std::map<link_number, time_point> heard_;
  link_number last_link_ = 0;
  std::map<request_id, dial_under_way> dials_;
  std::map<request_id, dial_under_way> knocks_;
  time_point knock_at_;

  bool is_here_ = false;
  std::optional<path> bound_;
  std::optional<process_id> relays_to_;
  way_board board_;
};

} // namespace troupe::sim
