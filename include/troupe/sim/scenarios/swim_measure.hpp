#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <vector>

#include "troupe/cluster/swim.hpp"
#include "troupe/cluster/swim_options.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/sim/scenarios/swim_scenario.hpp"
#include "troupe/sim/world/swim_process.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

struct swim_measure_options {
  /// One seed is one run.
  std::uint64_t seed = 1;
  /// Members.
  process_id nodes = 1'000;
  /// Killed at the same time.
  process_id killed = 50;
  /// These get to no message for some seconds, again and again.
  process_id starved = 0;
  /// How long it runs after the deaths.
  duration span = std::chrono::seconds{60};
  /// Of all members.
  cluster::swim_options swim{};
  /// Of the network.
  faults what{};
};

struct swim_figures {
  /// Of each killed member, the period in which the first ping was sent that failed; the first
  /// after its death is 1.
  std::vector<std::uint64_t> first_detections;
  /// Of each killed member and each other one: from the death until it is shown.
  std::vector<duration> known_after;
  /// Members that live and have not heard of a death at the end, one count for each death.
  std::uint64_t unaware = 0;
  /// How often a member took another one for dead that was neither killed nor starved, and how many
  /// of these somebody took for dead.
  std::uint64_t false_deaths = 0;
  std::uint64_t falsely_dead = 0;
  /// How often one was suspected that was not killed.
  std::uint64_t false_suspicions = 0;
  std::uint64_t mails = 0;
  std::uint64_t events = 0;
};

/// How soon the members of a large cluster know of deaths, and how often they are wrong. All know
/// each other from the start.
class swim_measure {
public:
  explicit swim_measure(const swim_measure_options& how)
    : how_(how), world_(how.seed, how.nodes, how.what) {
    auto& all = world_.setting();
    all.options = how.swim;
    all.joins = false;
    name_processes(all, how.nodes);
    all.on_shows = [this](process_id who, std::uint64_t, const cluster::swim::shows& what) {
      look_at(who, what);
    };
  }

  swim_figures run() {
    world_.start_all();
    world_.run_until(std::chrono::milliseconds{10}); // what they say is signed
    introduce();
    auto all = draw(how_.killed + how_.starved);
    killed_.insert(all.begin(), all.begin() + how_.killed);
    starved_.insert(all.begin() + how_.killed, all.end());
    world_.run_until(5 * how_.swim.period);
    for (auto which : starved_)
      starve(which);
    killed_at_ = world_.now();
    for (auto which : killed_)
      world_.kill(which);
    auto before = world_.setting().mails;
    world_.run_until(killed_at_ + how_.span);
    found_.mails = world_.setting().mails - before;
    found_.events = world_.events();
    for (auto& [node, when] : first_failed_)
      found_.first_detections.push_back(when);
    found_.falsely_dead = wronged_.size();
    auto expected = std::uint64_t{how_.killed} * (how_.nodes - how_.killed);
    found_.unaware = expected - std::min<std::uint64_t>(expected, found_.known_after.size());
    return found_;
  }

private:
  void introduce() {
    auto& cards = world_.setting().cards;
    for (process_id which = 0; which < world_.size(); ++which) {
      for (auto& [other, card] : cards)
        if (other != which)
          world_.at(which)->step(swim_card{card.key, card.what, false});
      world_.arm(which);
    }
  }

  std::vector<process_id> draw(process_id count) {
    std::vector<process_id> all(world_.size());
    std::iota(all.begin(), all.end(), process_id{0});
    for (process_id each = 0; each < count; ++each)
      std::swap(all[each], all[each + world_.random().below(all.size() - each)]);
    all.resize(count);
    return all;
  }

  void starve(process_id which) {
    auto stopped = std::chrono::milliseconds{500 + world_.random().below(8'000)};
    auto runs = std::chrono::milliseconds{50 + world_.random().below(1'000)};
    world_.after(runs, [this, which, stopped] {
      world_.at(which)->be_busy(stopped);
      world_.after(stopped, [this, which] { starve(which); });
    });
  }

  void look_at(process_id who, const cluster::swim::shows& what) {
    auto place = world_.setting().nodes.at(what.who);
    auto is_killed = killed_.contains(place) && world_.at(place) == nullptr;
    auto since = world_.now() - killed_at_;
    if (what.is == cluster::member_status::suspect) {
      found_.false_suspicions += is_killed ? 0 : 1;
      if (is_killed && world_.setting().nodes.at(what.by) == who) {
        auto sent = std::max(since - how_.swim.period, duration::zero());
        first_failed_.try_emplace(place, static_cast<std::uint64_t>(sent / how_.swim.period) + 1);
      }
    } else if (what.is == cluster::member_status::dead && is_killed) {
      found_.known_after.push_back(since);
    } else if (what.is == cluster::member_status::dead && !starved_.contains(place)) {
      ++found_.false_deaths;
      wronged_.insert(place);
    }
  }

  swim_measure_options how_;
  world<swim_process> world_;
  std::set<process_id> killed_;
  std::set<process_id> starved_;
  std::set<process_id> wronged_;
  std::map<process_id, std::uint64_t> first_failed_;
  duration killed_at_{};
  swim_figures found_;
};

} // namespace troupe::sim
