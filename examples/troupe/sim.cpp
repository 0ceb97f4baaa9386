#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <iostream>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "troupe/sim/scenarios/lease_scenario.hpp"
#include "troupe/sim/scenarios/lock_scenario.hpp"
#include "troupe/sim/scenarios/node_scenario.hpp"
#include "troupe/sim/scenarios/raft_scenario.hpp"
#include "troupe/sim/scenarios/scheduler_scenario.hpp"
#include "troupe/sim/scenarios/seats_scenario.hpp"
#include "troupe/sim/scenarios/state_scenario.hpp"
#include "troupe/sim/scenarios/swim_measure.hpp"
#include "troupe/sim/scenarios/swim_scenario.hpp"

namespace cli {

namespace {

using namespace troupe;

struct scenario {
  const char* name;
  const char* what;
  std::function<std::vector<std::string>(const sim::scenario_options&, json&)> run;
  std::uint32_t min_nodes = 1;
  std::uint32_t max_nodes = 31;
  /// What `--starved` adds for so many members; empty: it is refused.
  std::function<void(const sim::scenario_options&, std::uint32_t, json&)> add_starved{};
  /// Where figures do not come from the world with the faults that were asked for.
  const char* note = "";
};

/// A row of the table: runs a Scenario; `add(scenario, report, figures)` adds the figures that only
/// this scenario has.
template <class Scenario, class Add>
scenario row(const char* name, const char* what, Add add) {
  auto run = [add](const sim::scenario_options& how, json& figures) {
    Scenario world{how};
    auto found = world.run();
    figures["events"] = found.events;
    figures["trace"] = found.trace;
    add(world, found, figures);
    return found.violations;
  };
  return {name, what, run};
}

/// The same for services: `add(record, figures)`.
template <class Scenario, class Add>
scenario service_row(const char* name, const char* what, Add add, std::uint32_t min_nodes = 1) {
  auto made = row<Scenario>(name, what, [add](auto& world, auto& found, json& figures) {
    figures["answers"] = found.answers;
    add(world.record(), figures);
  });
  made.min_nodes = min_nodes;
  return made;
}

/// How soon a death is known among as many members, of which one in twenty dies at once.
void add_detection(const sim::scenario_options& how, json& figures) {
  sim::swim_measure_options what;
  what.seed = how.seed;
  what.nodes = how.nodes;
  what.killed = std::max(how.nodes / 20, 1U);
  auto found = sim::swim_measure{what}.run();
  double sum = 0;
  for (auto each : found.first_detections)
    sum += static_cast<double>(each);
  std::ranges::sort(found.known_after);
  auto at = [&](std::size_t percent) {
    auto& all = found.known_after;
    return all.empty()
             ? json{}
             : json(std::chrono::duration<double>(all[(all.size() - 1) * percent / 100]).count());
  };
  figures["events"] = figures["events"].get<std::uint64_t>() + found.events;
  figures["killed"] = what.killed;
  figures["first_detection_periods_mean"]
    = sum / static_cast<double>(std::max<std::size_t>(found.first_detections.size(), 1));
  figures["known_after_p50_s"] = at(50);
  figures["known_after_p99_s"] = at(99);
  figures["unaware"] = found.unaware;
  figures["false_suspicions"] = found.false_suspicions;
  figures["mails_per_node_and_s"] = static_cast<double>(found.mails) / what.nodes
                                    / std::chrono::duration<double>(what.span).count();
}

/// How often members that are there are taken for dead by `starved` ones, which get to no mail for
/// some seconds again and again, and how often where no part of Lifeguard helps them.
void add_starved(const sim::scenario_options& how, std::uint32_t starved, json& figures) {
  sim::swim_measure_options what;
  what.seed = how.seed;
  what.nodes = how.nodes;
  what.killed = 0;
  what.starved = starved;
  what.span = std::chrono::seconds{30};
  auto careful = sim::swim_measure{what}.run();
  what.swim = what.swim.without_lifeguard();
  auto plain = sim::swim_measure{what}.run();
  figures["events"] = figures["events"].get<std::uint64_t>() + careful.events + plain.events;
  figures["starved"] = starved;
  figures["false_dead"] = careful.false_deaths;
  figures["false_dead_without_lifeguard"] = plain.false_deaths;
}

/// The laws take a world in which all watch all: large ones show only how soon a death is known.
std::vector<std::string> run_swim(const sim::scenario_options& how, json& figures) {
  constexpr std::uint32_t most_judged = 31;
  std::vector<std::string> violations;
  figures["events"] = std::uint64_t{0};
  if (how.nodes <= most_judged) {
    auto found = sim::swim_scenario{how}.run();
    figures["events"] = found.events;
    figures["trace"] = found.trace;
    figures["deaths"] = found.deaths;
    violations = std::move(found.violations);
  }
  add_detection(how, figures);
  return violations;
}

const std::vector<scenario>& scenarios() {
  static const std::vector<scenario> all{
    row<sim::raft_scenario>("raft", "A Raft group whose members and leaders change",
                            [](auto&, auto& found, json& figures) {
                              figures["committed"] = found.committed;
                              figures["elections"] = found.elections;
                              figures["reads"] = found.reads;
                            }),
    service_row<sim::lock_scenario>(
      "lock", "A replicated lock service, its clients and the history they see",
      [](auto&, json&) {}),
    service_row<sim::lease_scenario>(
      "lease", "The same with short leases, holders that oversleep, and a guarded resource",
      [](auto& record, json& figures) {
        figures["written"] = record.written;
        figures["fenced_off"] = record.fenced_off;
      }),
    service_row<sim::state_scenario>(
      "state", "Strong state, conditional writes and expiry, on calendars that are set back",
      [](auto& record, json& figures) {
        figures["conflicts"] = record.conflicts;
        figures["expiries"] = record.expiries;
      }),
    service_row<sim::scheduler_scenario>(
      "scheduler", "A replicated scheduler, workers that die, and clients that submit",
      [](auto& record, json& figures) {
        figures["runs"] = record.submitted.size();
        figures["tasks"] = record.taken.size();
        figures["executions"] = record.executions;
      }),
    service_row<sim::node_scenario>(
      "node", "Whole nodes that join, die, leave and start again, their agents and names",
      [](auto& record, json& figures) {
        figures["given_up"] = record.given_up;
        figures["names_lost"] = record.names_lost;
        figures["names_freed"] = record.names_freed;
        figures["rises"] = record.rises;
        figures["links_relayed"] = record.relayed;
        figures["terms"] = record.leaders.size();
        figures["promoted"] = record.promoted;
        figures["disks_put_back"] = record.put_back;
        figures["attempts"] = record.tasks.begun();
      },
      3),
    {"swim", "Who is there: members that die, stop, leave, move, and lie", run_swim, 3, 1'000,
     add_starved,
     "deaths are those of the world with faults; all other figures are measured in further worlds "
     "without faults: one in which 5 % of the members are killed at once, and with --starved one "
     "in "
     "which those are starved"},
    service_row<sim::seats_scenario>(
      "seats", "Who has a seat in a Raft group and who votes, while nodes come, go and lose disks",
      [](auto& record, json& figures) {
        figures["changes_made"] = record.made;
        figures["promoted"] = record.promoted;
        figures["disks_lost"] = record.lost;
        figures["disks_put_back"] = record.put_back;
        figures["seats_renewed"] = record.renewed;
      }),
  };
  return all;
}

/// The scenario of whole nodes is one of a cluster.
struct other_name {
  const char* name;
  const char* of;
  const char* what;
};

constexpr other_name cluster_name{"cluster", "node", "Another name of node"};

constexpr std::uint64_t max_runs = 1'000'000'000;

int list_scenarios(const common_options& common) {
  auto list = [&](const char* name, const char* what) {
    if (common.json)
      print({{"scenario", name}, {"what", what}});
    else
      std::cout << name << "  " << what << '\n';
  };
  for (auto& each : scenarios())
    list(each.name, each.what);
  list(cluster_name.name, cluster_name.what);
  return ok;
}

std::optional<std::pair<std::uint64_t, std::uint64_t>> to_range(const std::string& text) {
  auto dots = text.find("..");
  auto number = [&](std::string_view part) -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    return error == std::errc{} && end == part.data() + part.size() ? std::optional{value}
                                                                    : std::nullopt;
  };
  if (dots == std::string::npos)
    return std::nullopt;
  auto first = number(std::string_view{text}.substr(0, dots));
  auto last = number(std::string_view{text}.substr(dots + 2));
  if (!first || !last || *first > *last || *last - *first >= max_runs)
    return std::nullopt;
  return std::pair{*first, *last};
}

std::optional<sim::faults> to_faults(const sim_command& what) {
  sim::faults made;
  if (what.faults == "rough")
    made = sim::rough();
  else if (what.faults == "storm")
    made = sim::storm();
  else if (what.faults != "none")
    return std::nullopt;
  if (what.loss >= 0)
    made.loss = static_cast<std::uint32_t>(what.loss * sim::faults::always);
  return made;
}

/// Below 1 it is a share of the nodes, else their number. No value if that is none of them, or all.
std::optional<std::uint32_t> starved_of(const sim_command& what) {
  auto count = what.starved < 1 ? std::round(what.starved * what.nodes) : what.starved;
  if (count < 1 || count >= what.nodes || count != std::floor(count))
    return std::nullopt;
  return static_cast<std::uint32_t>(count);
}

/// The command that runs one seed again.
std::string replay_of(const sim_command& what, std::uint64_t seed) {
  auto words = "troupe sim " + what.scenario + " --nodes " + std::to_string(what.nodes)
               + " --seconds " + std::to_string(what.seconds) + " --faults " + what.faults;
  if (what.loss >= 0)
    words += " --loss " + json(what.loss).dump(); // all its digits
  if (what.starved > 0)
    words
      += " --starved " + (what.starved < 1 ? json(what.starved) : json(*starved_of(what))).dump();
  return words + " --seed " + std::to_string(seed);
}

/// What only that scenario counts, for people: "deaths 3, false suspicions 0".
std::string figures_in_words(const json& figures) {
  static const std::set<std::string, std::less<>> of_all{"scenario", "nodes", "seed",  "virtual_s",
                                                         "replay",   "trace", "events"};
  std::string text;
  for (auto& [name, value] : figures.items()) {
    if (of_all.contains(name) || value.is_null())
      continue;
    text += (text.empty() ? "" : ", ") + name + ' ';
    if (value.is_number_float()) {
      std::array<char, 32> digits{};
      std::snprintf(digits.data(), digits.size(), "%.4g", value.get<double>());
      text += digits.data();
    } else {
      text += value.dump();
    }
  }
  std::ranges::replace(text, '_', ' ');
  return text;
}

std::uint64_t peak_rss() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return static_cast<std::uint64_t>(used.ru_maxrss) * 1024;
}

} // namespace

std::vector<std::string> scenario_names() {
  std::vector<std::string> names{"list"};
  for (auto& each : scenarios())
    names.emplace_back(each.name);
  names.emplace_back(cluster_name.name);
  return names;
}

int run_sim(const common_options& common, sim_command what) {
  if (what.scenario == "list")
    return list_scenarios(common);
  if (what.scenario == cluster_name.name)
    what.scenario = cluster_name.of;
  auto chosen = std::ranges::find(scenarios(), what.scenario, &scenario::name);
  if (chosen == scenarios().end())
    return complain(common, {errc::bad_argument,
                             "'" + what.scenario + "' is no scenario; troupe sim list names them"});
  if (what.nodes < chosen->min_nodes || what.nodes > chosen->max_nodes)
    return complain(common, {errc::bad_argument, "--nodes: " + what.scenario + " takes "
                                                   + std::to_string(chosen->min_nodes) + " to "
                                                   + std::to_string(chosen->max_nodes)});
  auto starved = starved_of(what);
  if (what.starved > 0 && !chosen->add_starved)
    return complain(common, {errc::bad_argument, "--starved: only swim takes it"});
  if (what.starved > 0 && !starved)
    return complain(common, {errc::bad_argument,
                             "--starved: give a share of the members below 1, or a whole number of "
                             "them; it must come to 1 to "
                               + std::to_string(what.nodes - 1)});
  auto range
    = what.seeds.empty() ? std::optional{std::pair{what.seed, what.seed}} : to_range(what.seeds);
  auto faults = to_faults(what);
  if (!range || !faults)
    return complain(
      common, {errc::bad_argument,
               !range ? "--seeds '" + what.seeds + "' is not a range; give A..B, such as 0..99"
                      : "--faults '" + what.faults + "' is unknown; give none, rough or storm"});
  std::vector<std::uint64_t> failing;
  auto runs = range->second - range->first + 1;
  for (std::uint64_t run = 0; run < runs; ++run) {
    auto seed = range->first + run; // no overflow: it may be the largest number
    sim::scenario_options how;
    how.nodes = what.nodes;
    how.seed = seed;
    how.span = std::chrono::seconds{what.seconds};
    how.what = *faults;
    json figures{{"scenario", what.scenario},
                 {"nodes", what.nodes},
                 {"seed", seed},
                 {"virtual_s", what.seconds},
                 {"replay", replay_of(what, seed)}};
    auto begin = std::chrono::steady_clock::now();
    auto violations = chosen->run(how, figures);
    if (what.starved > 0)
      chosen->add_starved(how, *starved, figures);
    auto own = figures_in_words(figures);
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    figures["real_s"] = took.count();
    figures["peak_rss_bytes"] = peak_rss();
    figures["violations"] = violations.size();
    if (!violations.empty())
      failing.push_back(seed);
    if (common.json) {
      print(figures);
    } else {
      std::cout << what.scenario << " seed " << seed << ": "
                << (violations.empty() ? "all laws hold" : "BROKEN") << ", "
                << figures["events"].get<std::uint64_t>() << " events in "
                << in_words(std::chrono::duration_cast<troupe::duration>(took))
                << (own.empty() ? "" : "; ") << own << '\n';
    }
    for (auto& each : violations)
      std::cerr << "  " << each << '\n';
    if (!violations.empty())
      std::cerr << "  replay: " << replay_of(what, seed) << '\n';
  }
  if (!common.json && *chosen->note != 0)
    std::cout << "note: " << chosen->note << '\n';
  if (common.json && !what.seeds.empty())
    print({{"runs", runs}, {"violations", failing.size()}, {"failing_seeds", failing}});
  else if (!what.seeds.empty())
    std::cout << runs << " runs, " << failing.size() << " broken\n";
  return failing.empty() ? ok : failed;
}

} // namespace cli
