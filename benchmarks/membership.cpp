// How soon do all members of a cluster know that one of them is gone, and what does it cost them
// to watch each other? Rival is serf (Hashicorp's memberlist); without it on the PATH its figures
// are left out.
//
// Each side has its turn: as many processes of it on loopback, all started at once. Ours are nodes
// with insecure links, three of them with a data folder (those that vote), and tell every 20 ms
// what has changed; serf's agents tell it in their log. What counts is when this process has read
// it. Those that are lost are never voters: `replication` measures the loss of a leader. After each
// a new member takes its place.
//
// Usage: membership [--OPTION VALUE]...
//   --sides troupe/wan,serf/lan,troupe/lan   who is measured, with which of its presets of timers.
//                                            serf's default, lan, pings each second, as our wan
//                                            does; serf/wan pings every 5 s, too seldom for `hang`
//   --what rest,kill,hang,leave              what to measure; all. kill: SIGKILL; hang: SIGSTOP for
//                                            20 s at most; leave: troupe's node::leave(), serf's
//                                            SIGINT
//   --members 30                             at least 4
//   --agents 0                               each of ours has so many, which the others find
//   --times 3                                how many of them are lost in each way
//   --settle-seconds 90                      before they count as at rest: our links close after a
//                                            minute without messages
//   --rest-seconds 20
//   --folder DIR                             for the data; the system's for temporary files
//
// Prints a JSON line for each measurement, with the load of the machine. p50_s and p99_s are over
// all that are lost and all that see it, all_s is the median time until the last one sees it;
// back_s that from SIGCONT until all see all again; wrongly_gone how often a member that was there
// was taken for gone by another. At rest, cpu_percent is of one core and the mean of all members
// (nobody asks ours then), resident_mib that of the largest, bytes_per_s what loopback carries for
// each member, TCP and UDP with all headers, and datagrams_per_s the UDP part of it in datagrams;
// both are left out without the rights for a network namespace.
// Last a line of ratios for each of our sides and each of serf's. A member that does not start, or
// does not see in time what it should, is an error and status 1; the other sides go on.

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <stdlib.h>

#include "closed_loop.hpp"
#include "free_port.hpp"
#include "membership_kinds.hpp"
#include "own_loopback.hpp"
#include "settings.hpp"
#include "troupe/core/random.hpp"
#include "troupe/node/init.hpp"
#include "troupe/testing/child_process.hpp"

namespace {

using namespace std::literals;
using namespace troupe;
using namespace troupe::benchmark;
using json_line = nlohmann::ordered_json;

settings asked{{
  {"sides", "troupe/wan,serf/lan,troupe/lan"},
  {"what", "rest,kill,hang,leave"},
  {"members", "30"},
  {"agents", "0"},
  {"times", "3"},
  {"settle-seconds", "90"},
  {"rest-seconds", "20"},
  {"folder", ""},
}};

/// Ends what goes on for one side.
[[noreturn]] void fail(const std::string& why) {
  throw std::runtime_error{why};
}

double load() {
  double found = 0;
  ::getloadavg(&found, 1);
  return found;
}

// -- the members of one side -------------------------------------------------------------

class members {
public:
  /// Those with a data folder, which others join.
  static constexpr std::size_t voters = 3;

  /// Starts them all.
  members(const member_kind& kind, std::string timers, std::filesystem::path folder,
          bool is_alone_on_loopback)
    : kind_(kind),
      timers_(std::move(timers)),
      agents_(kind.name() == "troupe"s ? std::stoul(asked.at("agents")) : 0),
      folder_(std::move(folder)),
      is_alone_(is_alone_on_loopback) {
    std::filesystem::create_directories(folder_);
    auto count = std::stoul(asked.at("members"));
    for (std::size_t index = 0; index < count; ++index)
      ports_.push_back(new_port());
    for (std::size_t index = 0; index < count; ++index)
      all_.push_back(make(index));
  }

  [[nodiscard]] std::size_t size() const {
    return all_.size();
  }

  [[nodiscard]] const member_kind& kind() const {
    return kind_;
  }

  /// Waits until all see all. Returns how long that was.
  seconds await_all_known(std::chrono::seconds wait = 60s) {
    auto start = steady::now();
    if (!await([this] { return unknown() == 0 && all_agents_are_found(); }, wait))
      fail("after " + std::to_string(wait.count()) + " s " + std::to_string(unknown())
           + " pairs of members do not see each other; wrongly taken for gone so far: "
           + std::to_string(wrongly_gone_));
    return steady::now() - start;
  }

  /// Sends one a signal. Returns how long each of the others took to see that it is gone.
  std::vector<double> lose(std::size_t victim, int signal, std::chrono::seconds wait) {
    victim_ = victim;
    auto start = steady::now();
    all_[victim].process.send_signal(signal);
    auto all_see = await([this] { return seen_lost().size() + 1 == size(); }, wait);
    if (signal == SIGSTOP)
      all_[victim].process.send_signal(SIGCONT);
    if (!all_see)
      fail(std::to_string(size() - 1 - seen_lost().size()) + " members do not see after "
           + std::to_string(wait.count()) + " s that another is gone");
    std::vector<double> took;
    for (auto when : seen_lost())
      took.push_back(seconds{when - start}.count());
    return took;
  }

  /// Until the one that was lost is seen again by all.
  seconds await_back() {
    auto took = await_all_known(120s);
    victim_.reset();
    return took;
  }

  /// Has a new one in the place of the one that was lost.
  void replace_lost() {
    auto& lost = all_[victim_.value()];
    if (!lost.process.wait_for_end())
      fail("a member does not end");
    ports_[*victim_] = new_port();
    lost = make(*victim_);
    await_all_known();
    victim_.reset();
  }

  /// Nobody looks on. If this kind has a leader, that has said so.
  void begin_rest() {
    auto signal = kind_.rest_signal();
    if (!signal)
      return;
    for (auto deadline = steady::now() + 30s; steady::now() < deadline && !leader();) {
      for (auto& each : all_) {
        each.leads.reset();
        each.process.send_signal(*signal);
      }
      if (!await(
            [&] {
              return std::ranges::all_of(all_, [](auto& each) { return each.leads.has_value(); });
            },
            10s))
        fail("a member does not come to rest");
      std::this_thread::sleep_for(500ms);
    }
    if (!leader())
      fail("none of the members leads");
  }

  void end_rest() {
    if (kind_.rest_signal())
      for (auto& each : all_)
        each.process.send_signal(kind_.look_signal());
  }

  /// Fails if a member has ended by itself.
  void expect_all_run() {
    for (std::size_t index = 0; index < all_.size(); ++index)
      if (index != victim_ && all_[index].process.wait_for_end(0ms))
        fail("a member has ended by itself");
  }

  /// The process of the one that leads, if there is such.
  [[nodiscard]] std::optional<pid_t> leader() const {
    for (auto& each : all_)
      if (each.leads.value_or(false))
        return each.process.pid();
    return std::nullopt;
  }

  [[nodiscard]] std::vector<pid_t> processes() const {
    std::vector<pid_t> found;
    found.reserve(all_.size());
    for (auto& each : all_)
      found.push_back(each.process.pid());
    return found;
  }

  /// How often one that was there was taken for gone.
  [[nodiscard]] std::size_t wrongly_gone() const {
    return wrongly_gone_;
  }

private:
  struct member {
    testing::child_process process;
    std::set<port_number> sees{};
    std::map<port_number, steady::time_point> saw_go{};
    std::optional<bool> leads{};
    std::size_t agents = 0;
  };

  /// Never the same again. Below those that the kernel gives to connections, which those who start
  /// at once could take from each other; where others use the ports, too, any that is free.
  port_number new_port() {
    if (is_alone_)
      return next_port_++;
    for (;;)
      if (auto port = free_port(); had_.insert(port).second)
        return port;
  }

  member make(std::size_t index) {
    member_start how{ports_[index], {}, {}, timers_, agents_};
    if (index > 0)
      for (std::size_t seed = 0; seed < voters; ++seed)
        if (seed != index)
          how.seeds.push_back(ports_[seed]);
    if (index < voters)
      how.folder = folder_ / std::to_string(index);
    return {testing::child_process{kind_.command(how)}};
  }

  /// Takes in what the members say until `condition` holds. Returns whether it does.
  bool await(const std::function<bool()>& condition, std::chrono::seconds wait) {
    for (auto deadline = steady::now() + wait; steady::now() < deadline;) {
      for (std::size_t index = 0; index < all_.size(); ++index)
        listen(index);
      expect_all_run();
      if (condition())
        return true;
      std::this_thread::sleep_for(5ms);
    }
    return false;
  }

  void listen(std::size_t index) {
    auto& teller = all_[index];
    while (auto line = teller.process.read_line(0ms)) {
      auto news = kind_.read(*line);
      if (news.leads)
        teller.leads = news.leads;
      if (news.agents)
        teller.agents = *news.agents;
      if (news.whom && news.is_there) {
        teller.sees.insert(*news.whom);
        teller.saw_go.erase(*news.whom);
      } else if (news.whom && teller.sees.erase(*news.whom) > 0) {
        teller.saw_go[*news.whom] = steady::now();
        if (index != victim_ && is_there(*news.whom))
          ++wrongly_gone_;
      }
    }
  }

  [[nodiscard]] bool is_there(port_number whom) const {
    auto found = std::ranges::find(ports_, whom);
    return found != ports_.end()
           && static_cast<std::size_t>(std::distance(ports_.begin(), found)) != victim_;
  }

  /// Pairs of which the one does not see the other.
  [[nodiscard]] std::size_t unknown() const {
    std::size_t count = 0;
    for (std::size_t teller = 0; teller < all_.size(); ++teller)
      for (std::size_t whom = 0; whom < all_.size(); ++whom)
        count += teller != whom && !all_[teller].sees.contains(ports_[whom]) ? 1 : 0;
    return count;
  }

  [[nodiscard]] bool all_agents_are_found() const {
    return std::ranges::all_of(
      all_, [this](auto& each) { return agents_ == 0 || each.agents == agents_ * all_.size(); });
  }

  /// When those that see it saw that the victim is gone.
  [[nodiscard]] std::vector<steady::time_point> seen_lost() const {
    std::vector<steady::time_point> found;
    for (std::size_t teller = 0; teller < all_.size(); ++teller)
      if (auto when = all_[teller].saw_go.find(ports_[*victim_]);
          teller != victim_ && when != all_[teller].saw_go.end())
        found.push_back(when->second);
    return found;
  }

  const member_kind& kind_;
  std::string timers_;
  std::size_t agents_;
  std::filesystem::path folder_;
  bool is_alone_;
  port_number next_port_ = 20'000;
  std::set<port_number> had_;
  std::vector<port_number> ports_;
  std::vector<member> all_;
  /// The one that is being lost.
  std::optional<std::size_t> victim_;
  std::size_t wrongly_gone_ = 0;
};

// -- what is measured ----------------------------------------------------------------------

/// One side's turn. Its figures are kept for the ratios.
class turn {
public:
  using found_figures = std::map<std::string, double>;

  turn(const member_kind& kind, std::string timers, const std::filesystem::path& folder,
       bool is_alone_on_loopback)
    : kind_(kind),
      timers_(std::move(timers)),
      is_alone_(is_alone_on_loopback),
      members_(kind, timers_, folder, is_alone_) {}

  /// Keeps in `found` what it has measured also if it fails.
  void run(found_figures& found, steady::time_point start) {
    members_.await_all_known(120s);
    print(found, "start", {{"all_known_s", seconds{steady::now() - start}.count()}});
    if (asked.wants("rest"))
      print(found, "rest", rest());
    if (asked.wants("kill"))
      print(found, "kill", lose_some(SIGKILL, 120s));
    if (asked.wants("hang"))
      print(found, "hang", lose_some(SIGSTOP, 20s));
    if (asked.wants("leave"))
      print(found, "leave", lose_some(kind_.leave_signal(), 60s));
  }

private:
  void print(found_figures& found, const std::string& what, const json_line& figures) const {
    json_line line{{"benchmark", "membership"},
                   {"what", what},
                   {"side", kind_.name()},
                   {"timers", timers_},
                   {"members", members_.size()}};
    for (auto& [name, value] : figures.items()) {
      line[name] = value;
      found[std::string{what}.append(1, '_').append(name)] = value.get<double>();
    }
    line["load"] = load();
    std::cout << line.dump() << std::endl;
  }

  json_line rest() {
    members_.begin_rest();
    std::this_thread::sleep_for(seconds{std::stod(asked.at("settle-seconds"))});
    seconds span{std::stod(asked.at("rest-seconds"))};
    auto processes = members_.processes();
    std::vector<double> used;
    used.reserve(processes.size());
    for (auto each : processes)
      used.push_back(-cpu_seconds(each));
    auto traffic = loopback_traffic();
    std::this_thread::sleep_for(span);
    auto traffic_after = loopback_traffic();
    double sum = 0;
    json_line leader;
    for (std::size_t each = 0; each < processes.size(); ++each) {
      used[each] = 100 * (used[each] + cpu_seconds(processes[each])) / span.count();
      sum += used[each];
      if (members_.leader() == processes[each])
        leader = used[each];
    }
    members_.expect_all_run(); // or there would be zeros among the figures
    auto count = static_cast<double>(processes.size());
    json_line line{{"cpu_percent", sum / count}, {"cpu_percent_most", std::ranges::max(used)}};
    if (!leader.is_null())
      line["cpu_percent_leader"] = leader;
    line["resident_mib"] = resident_mib(processes);
    if (is_alone_ && traffic && traffic_after) {
      line["bytes_per_s"] = (traffic_after->bytes - traffic->bytes) / span.count() / count;
      line["datagrams_per_s"]
        = (traffic_after->datagrams - traffic->datagrams) / span.count() / count;
    }
    members_.end_rest();
    return line;
  }

  json_line lose_some(int signal, std::chrono::seconds wait) {
    std::vector<double> took;
    std::vector<double> last;
    std::vector<double> back;
    auto wrong = members_.wrongly_gone();
    auto times = std::stoul(asked.at("times"));
    for (std::size_t time = 0; time < times; ++time) {
      // At any moment of a period.
      std::this_thread::sleep_for(std::chrono::milliseconds{random_.below(1'000)});
      auto victim = members::voters + random_.below(members_.size() - members::voters);
      auto found = members_.lose(victim, signal, wait);
      last.push_back(std::ranges::max(found));
      took.insert(took.end(), found.begin(), found.end());
      if (signal == SIGSTOP)
        back.push_back(members_.await_back().count());
      else
        members_.replace_lost();
    }
    json_line line{{"times", times},
                   {"p50_s", quantile(took, 0.5)},
                   {"p99_s", quantile(took, 0.99)},
                   {"all_s", quantile(last, 0.5)}};
    if (!back.empty())
      line["back_s"] = quantile(back, 0.5);
    line["wrongly_gone"] = members_.wrongly_gone() - wrong;
    return line;
  }

  const member_kind& kind_;
  std::string timers_;
  bool is_alone_;
  random_source random_{1};
  members members_;
};

void print_ratios(const std::string& our_side, const turn::found_figures& ours,
                  const std::string& their_side, const turn::found_figures& theirs) {
  json_line line{
    {"benchmark", "membership"}, {"what", "ratios"}, {"of", our_side}, {"to", their_side}};
  for (auto* name :
       {"start_all_known_s", "rest_cpu_percent", "rest_resident_mib", "rest_bytes_per_s",
        "kill_p50_s", "kill_p99_s", "hang_p50_s", "hang_p99_s", "leave_p50_s", "leave_p99_s"})
    if (auto our = ours.find(name), their = theirs.find(name);
        our != ours.end() && their != theirs.end() && their->second > 0)
      line[name] = our->second / their->second;
  std::cout << line.dump() << std::endl;
}

/// Returns the status of the program.
int measure(const std::filesystem::path& folder, bool is_alone_on_loopback) {
  auto status = 0;
  troupe_members ours;
  serf_agents theirs;
  std::map<std::string, turn::found_figures> found;
  for (auto& side : asked.list_of("sides")) {
    auto middle = side.find('/');
    auto timers = middle == std::string::npos ? "" : side.substr(middle + 1);
    auto is_ours = side.starts_with("troupe/");
    if ((!is_ours && !side.starts_with("serf/")) || (timers != "wan" && timers != "lan"))
      fail("unknown side " + side + "; give troupe/wan, troupe/lan, serf/wan or serf/lan");
    if (!is_ours && !serf_agents::is_there()) {
      std::cerr << "membership: no serf on the PATH, so its figures are left out (Debian: serf)"
                << std::endl;
      continue;
    }
    try {
      auto start = steady::now();
      const member_kind& kind = is_ours ? static_cast<const member_kind&>(ours) : theirs;
      turn{kind, timers, folder / kind.name() / timers, is_alone_on_loopback}.run(found[side],
                                                                                  start);
    } catch (const std::exception& why) {
      std::cerr << "error: " << side << ": " << why.what() << std::endl;
      status = 1;
    }
  }
  for (auto& [our, figures] : found)
    for (auto& [their, rival] : found)
      if (our.starts_with("troupe/") && their.starts_with("serf/"))
        print_ratios(our, figures, their, rival);
  return status;
}

} // namespace

int main(int count, char** words) {
  troupe::init();
  if (count > 1 && words[1] == "serve"s)
    troupe_members::serve({words + 2, words + count});
  if (!asked.read(count, words, "benchmarks/membership.cpp"))
    return 2;
  if (std::stoul(asked.at("members")) <= members::voters) {
    std::cerr << "error: --members has to be more than 3" << std::endl;
    return 2;
  }
  auto is_alone_on_loopback = enter_own_loopback();
  return in_new_folder(asked.at("folder"), "membership", [&](const std::filesystem::path& folder) {
    return measure(folder, is_alone_on_loopback);
  });
}
