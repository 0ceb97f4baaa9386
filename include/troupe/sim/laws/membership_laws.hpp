#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "troupe/cluster/suspicion.hpp"
#include "troupe/cluster/swim_options.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"

namespace troupe::sim {

/// How long members may be wrong about each other.
struct membership_bounds {
  /// That a member which runs, and is reached, is not shown alive.
  duration alive_within{};
  /// That a member which has ended, or is stopped, is not shown dead or left.
  duration dead_within{};

  /// What so many members with these options keep, if no mail is lost but that to the wrong side of
  /// a cut.
  static membership_bounds of(const cluster::swim_options& how, std::size_t nodes) {
    auto slow_ping = how.period * (how.most_doubt + 1);
    // All doubt their own hearing, a bit less with each ping before the one that gets no answer.
    duration turn{};
    for (std::size_t pings = 3; pings <= 2 * nodes; ++pings)
      turn += std::max(slow_ping - how.period * static_cast<std::int64_t>(pings - 3), how.period);
    auto suspicion = cluster::times_log10(how.period * how.least_suspicion, nodes)
                     * std::max<std::uint32_t>(how.longest_suspicion, 1);
    auto news = how.news_every * 10;
    // Members that all show each other dead find each other in two tries, and some are accused once
    // more by what the two sides then tell each other.
    return {2 * how.revisit_every + slow_ping + suspicion + news,
            turn + slow_ping + suspicion + news};
  }
};

/// Checks a membership log: what the members of a cluster show of each other (see
/// cluster::membership_log), and what a witness did to them, in the order of time. Lines of the
/// witness, the last two kinds with the sides within which members reach each other:
///
///     {"witness":"kill","node":"n2","at_ns":7}     start ready kill stop cont leave
///     {"witness":"cut","sides":[["n1"],["n2","n3"]],"at_ns":9}
///     {"witness":"heal","at_ns":11}
///
/// `start` begins a life of a node, which takes part once it is `ready`; `stop` is SIGSTOP, `leave`
/// ends a life that says so to others. The laws, each for every node that takes part and every
/// other one:
///
/// - One that takes part, on its side, is not shown suspect, dead or not at all for longer than
///   membership_bounds::alive_within.
/// - One that has ended, or is stopped, is not shown alive or suspect for longer than
///   membership_bounds::dead_within.
/// - One that was shown to have left is not shown suspect or dead before its next life.
/// - What is shown goes back neither to an earlier life or refutation, nor, in the same refutation,
///   from dead to suspect or from either to alive.
/// - Within alive_within after everything was healed there is a moment in which all show each other
///   alive.
///
/// Times are in nanoseconds, on one clock for all lines. Memory grows with the square of the nodes,
/// up to `max_nodes`. A line of a node costs O(log n), of the witness O(n log n); a cut, a heal,
/// and each line between everything being healed and all being well O(n^2 log n). Does not know of
/// members that are forgotten because they were gone for swim_options::keep_gone.
class membership_laws {
public:
  static constexpr std::size_t max_nodes = 200;

  explicit membership_laws(const membership_bounds& bounds) : bounds_(bounds) {}

  /// Reads all lines of `in`, called `name` in errors. Errors, with the number of the line:
  /// bad_argument for a line that is none of these, that was cut short, names a node that was never
  /// started, or is earlier than the one before; limit_reached above `max_nodes`. Nothing is judged
  /// after an error.
  problem read(std::istream& in, const std::string& name) {
    std::string text;
    for (std::size_t number = 1; std::getline(in, text); ++number)
      if (auto why = take(text))
        return {why.code, name + ", line " + std::to_string(number) + ": " + why.detail};
    return {};
  }

  /// Whether all nodes that were started take part, reach each other and show each other alive.
  [[nodiscard]] bool is_settled() const {
    return calm_since_ && !find_unsettled();
  }

  /// The violations as sentences, at most ten, of a log that was watched until `until_ns`. Call it
  /// once, at the end.
  [[nodiscard]] std::vector<std::string> violations(std::int64_t until_ns) {
    now_ = std::max(now_, until_ns);
    for (auto& [who, what] : sights_)
      end_span(who, what, what.is);
    judge_calm();
    return found_;
  }

  /// How often a node was shown dead.
  [[nodiscard]] std::size_t deaths() const {
    return deaths_;
  }

  /// How many of these took part, and reached the one that showed it: which may be, but should be
  /// rare.
  [[nodiscard]] std::size_t wrong_deaths() const {
    return wrong_deaths_;
  }

private:
  using json = nlohmann::json;
  using member_status = cluster::member_status;
  using incarnation = cluster::incarnation;
  /// Who shows, and whom.
  using pair = std::pair<std::string, std::string>;

  struct node {
    bool is_up = false;
    bool is_ready = false;
    bool is_stopped = false;

    [[nodiscard]] bool takes_part() const {
      return is_up && is_ready && !is_stopped;
    }
  };

  /// What one node shows of another.
  struct sighting {
    std::optional<member_status> is{};
    incarnation when{};
    /// The life that it has ended by leaving.
    std::optional<boot_number> left{};
    /// Since when it should be shown alive, and is not, or be shown dead, and is not.
    std::optional<std::int64_t> wrong_since{};
    bool should_live = false;
  };

  static problem bad(std::string what) {
    return {errc::bad_argument, std::move(what)};
  }

  // -- reading -------------------------------------------------------------------------------

  problem take(const std::string& text) {
    auto line = json::parse(text, nullptr, false);
    if (!line.is_object())
      return bad("no JSON object, or one that was cut short");
    auto at = line.find("at_ns");
    if (at == line.end() || !at->is_number_integer())
      return bad("'at_ns' has to be a whole number of nanoseconds");
    if (at->get<std::int64_t>() < now_)
      return bad("time goes back to " + std::to_string(at->get<std::int64_t>()) + " from "
                 + std::to_string(now_) + "; sort the lines by 'at_ns'");
    now_ = at->get<std::int64_t>();
    judge_calm();
    auto verb = word(line, "witness");
    auto why = verb.empty() ? take_sight(line) : take_act(verb, line);
    has_settled_ = has_settled_ || (!why && is_settled());
    return why;
  }

  static std::string word(const json& line, const char* field) {
    auto found = line.find(field);
    return found != line.end() && found->is_string() ? found->get<std::string>() : std::string{};
  }

  static std::optional<std::uint64_t> count(const json& line, const char* field) {
    auto found = line.find(field);
    if (found == line.end() || !found->is_number_unsigned())
      return std::nullopt;
    return found->get<std::uint64_t>();
  }

  static std::optional<member_status> to_status(const std::string& name) {
    for (auto each :
         {member_status::alive, member_status::suspect, member_status::dead, member_status::left})
      if (name == name_of(each))
        return each;
    return std::nullopt;
  }

  static problem unknown(const std::string& name) {
    return bad("'" + name + "' is no node that the witness has started");
  }

  problem take_sight(const json& line) {
    auto viewer = word(line, "node");
    auto about = word(line, "about");
    for (auto& each : {viewer, about})
      if (!nodes_.contains(each))
        return unknown(each);
    if (viewer == about)
      return bad(viewer + " says how it sees itself");
    auto is = to_status(word(line, "status"));
    if (!is)
      return bad("'" + word(line, "status") + "' is no status; give alive, suspect, dead or left");
    auto boot = count(line, "boot");
    auto refutation = count(line, "refutation");
    if (!boot || !refutation || *refutation > ~std::uint32_t{0})
      return bad("'boot' and 'refutation' have to be whole numbers");
    show(viewer, about, *is, {*boot, static_cast<std::uint32_t>(*refutation)});
    return {};
  }

  problem take_act(const std::string& verb, const json& line) {
    if (verb == "cut" || verb == "heal") {
      if (auto why = verb == "cut" ? cut(line) : heal())
        return why;
      for (auto& [each, ignored] : nodes_)
        look_at_pairs_of(each);
    } else {
      auto name = word(line, "node");
      if (auto why = act_on(verb, name))
        return why;
      look_at_pairs_of(name);
    }
    look_for_calm();
    return {};
  }

  // -- what the witness did ------------------------------------------------------------------

  problem act_on(const std::string& verb, const std::string& name) {
    constexpr std::array<std::string_view, 6> verbs{"start", "ready", "kill",
                                                    "stop",  "cont",  "leave"};
    if (std::ranges::find(verbs, verb) == verbs.end())
      return bad("'" + verb + "' is nothing that a witness does");
    if (verb == "start")
      return start(name);
    auto found = nodes_.find(name);
    if (found == nodes_.end())
      return unknown(name);
    auto& each = found->second;
    if (!each.is_up)
      return bad(name + " does not run, so that '" + verb + "' cannot happen to it");
    if (verb == "ready")
      each.is_ready = true;
    else if (verb == "stop" || verb == "cont")
      each.is_stopped = verb == "stop";
    else
      each = {};
    return {};
  }

  problem start(const std::string& name) {
    if (name.empty())
      return bad("'node' has to be the name of the node that starts");
    if (!nodes_.contains(name) && nodes_.size() >= max_nodes)
      return {errc::limit_reached, "more than " + std::to_string(max_nodes) + " nodes"};
    auto& each = nodes_[name];
    if (each.is_up)
      return bad(name + " runs already");
    each.is_up = true;
    for (auto& [other, ignored] : nodes_) // a new life knows nothing of what the last one showed
      sights_.erase({name, other});
    return {};
  }

  problem cut(const json& line) {
    auto given = line.find("sides");
    if (given == line.end() || !given->is_array())
      return bad("'sides' has to be a list of lists of nodes");
    std::map<std::string, std::size_t> sides;
    for (auto& side : *given) {
      if (!side.is_array())
        return bad("'sides' has to be a list of lists of nodes");
      auto number = static_cast<std::size_t>(&side - &given->front());
      for (auto& each : side) {
        auto name = each.is_string() ? each.get<std::string>() : std::string{};
        if (!nodes_.contains(name))
          return unknown(name);
        if (!sides.emplace(name, number).second)
          return bad(name + " is on two sides");
      }
    }
    if (sides.size() != nodes_.size())
      return bad("'sides' has to name each node");
    sides_ = std::move(sides);
    return {};
  }

  problem heal() {
    sides_.clear();
    return {};
  }

  [[nodiscard]] bool reach_each_other(const pair& who) const {
    auto first = sides_.find(who.first);
    auto second = sides_.find(who.second);
    return sides_.empty()
           || (first != sides_.end() && second != sides_.end() && first->second == second->second);
  }

  // -- judging -------------------------------------------------------------------------------

  [[nodiscard]] std::optional<member_status> state_of(const pair& who) const {
    auto found = sights_.find(who);
    return found == sights_.end() ? std::nullopt : found->second.is;
  }

  void show(const std::string& viewer, const std::string& about, member_status is,
            const incarnation& when) {
    auto& sight = sights_[{viewer, about}];
    auto is_lost = is == member_status::suspect || is == member_status::dead;
    if (is_lost && sight.left && when.boot <= *sight.left)
      broken(viewer + " shows " + about + ' ' + in_words(is)
             + ", which it has seen leave in that life");
    else if (sight.is && std::pair{when, is} < std::pair{sight.when, *sight.is})
      broken(viewer + " shows " + about + ' ' + in_words(is) + " in " + in_words(when)
             + " after it has shown it " + in_words(sight.is) + " in " + in_words(sight.when)
             + ": what is shown goes back");
    if (is == member_status::dead) {
      ++deaths_;
      wrong_deaths_ += nodes_[about].takes_part() && reach_each_other({viewer, about}) ? 1 : 0;
    }
    auto before = std::exchange(sight.is, is);
    sight.when = when;
    if (is == member_status::left)
      sight.left = when.boot;
    look_at({viewer, about}, sight, before);
  }

  void look_at_pairs_of(const std::string& name) {
    for (auto& [each, ignored] : nodes_)
      if (each != name)
        for (auto& who : {pair{name, each}, pair{each, name}}) {
          auto& what = sights_[who];
          look_at(who, what, what.is);
        }
  }

  void look_for_calm() {
    auto is_calm = sides_.empty() && std::ranges::all_of(nodes_, [](auto& each) {
                     return each.second.takes_part();
                   });
    if (is_calm && calm_since_)
      return;
    calm_since_ = is_calm ? std::optional{now_} : std::nullopt;
    has_settled_ = false;
  }

  /// Two nodes of which one does not show the other alive.
  [[nodiscard]] std::optional<pair> find_unsettled() const {
    for (auto& [viewer, one] : nodes_)
      for (auto& [other, another] : nodes_)
        if (viewer != other && state_of({viewer, other}) != member_status::alive)
          return pair{viewer, other};
    return std::nullopt;
  }

  /// Nothing has changed since the last line.
  void judge_calm() {
    if (!calm_since_ || has_settled_ || now_ - *calm_since_ <= bounds_.alive_within.count())
      return;
    has_settled_ = true; // said once
    if (auto who = find_unsettled())
      broken("all was healed " + seconds(now_ - *calm_since_) + " ago, and " + who->first
             + " still shows " + who->second + ' ' + in_words(state_of(*who)));
  }

  /// Ends the span in which a node was wrong about another one, or begins one. It has shown
  /// `before` until now.
  void look_at(const pair& who, sighting& what, const std::optional<member_status>& before) {
    auto& viewer = nodes_.at(who.first);
    auto& other = nodes_.at(who.second);
    auto should_live = other.takes_part() && reach_each_other(who);
    auto should_be_gone = !other.is_up || other.is_stopped;
    auto is_here = what.is == member_status::alive || what.is == member_status::suspect;
    auto is_wrong
      = viewer.takes_part()
        && ((should_live && what.is != member_status::alive) || (should_be_gone && is_here));
    if (is_wrong && what.wrong_since && what.should_live == should_live)
      return;
    end_span(who, what, before);
    if (is_wrong)
      what.wrong_since = now_;
    what.should_live = should_live;
  }

  /// Returns whether it was wrong for too long.
  bool end_span(const pair& who, sighting& what, const std::optional<member_status>& shown) {
    if (!what.wrong_since)
      return false;
    auto span = now_ - *std::exchange(what.wrong_since, std::nullopt);
    auto bound = (what.should_live ? bounds_.alive_within : bounds_.dead_within).count();
    if (span <= bound)
      return false;
    broken(who.first + " shows " + who.second + ' ' + in_words(shown) + " at "
           + std::to_string(now_) + " ns, after " + seconds(span) + " in which "
           + (what.should_live ? "it ran and was reached" : "it did not run") + "; the bound is "
           + seconds(bound));
    return true;
  }

  // -- words ---------------------------------------------------------------------------------

  static std::string in_words(const std::optional<member_status>& is) {
    return is ? std::string{name_of(*is)} : "not at all";
  }

  static std::string in_words(const incarnation& when) {
    return "life " + std::to_string(when.boot) + ", refutation " + std::to_string(when.refutation);
  }

  static std::string seconds(std::int64_t span_ns) {
    auto thousandths = std::to_string(span_ns / 1'000'000 % 1'000);
    return std::to_string(span_ns / 1'000'000'000) + '.' + std::string(3 - thousandths.size(), '0')
           + thousandths + " s";
  }

  void broken(std::string what) {
    constexpr std::size_t enough = 10;
    if (found_.size() < enough)
      found_.push_back(std::move(what));
  }

  const membership_bounds bounds_;
  std::int64_t now_ = 0;
  std::map<std::string, node> nodes_;
  std::map<pair, sighting> sights_;
  /// The side of each node; empty: all reach each other.
  std::map<std::string, std::size_t> sides_;
  /// Since when nothing is broken.
  std::optional<std::int64_t> calm_since_;
  /// Whether all have shown each other alive since then.
  bool has_settled_ = false;
  std::size_t deaths_ = 0;
  std::size_t wrong_deaths_ = 0;
  std::vector<std::string> found_;
};

} // namespace troupe::sim
