#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "chaos/cluster.hpp"
#include "chaos/faults.hpp"
#include "chaos/network.hpp"
#include "chaos/workloads.hpp"
#include "commands.hpp"

namespace cli {

using namespace troupe;
using namespace std::literals;

namespace {

/// The longest time in which no client got an answer, from `begin` to `end`.
std::int64_t longest_silence(const sim::history& lines, std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> answers{begin, end};
  for (auto& each : lines.operations())
    if (each.what.how == sim::outcome::ok && *each.end > begin && *each.end < end)
      answers.push_back(*each.end);
  std::ranges::sort(answers);
  std::int64_t longest = 0;
  for (std::size_t place = 1; place < answers.size(); ++place)
    longest = std::max(longest, answers[place] - answers[place - 1]);
  return longest;
}

/// Share of all calls; 1 if there were none.
double share_of(std::size_t part, std::size_t whole) {
  return whole == 0 ? 1 : static_cast<double>(part) / static_cast<double>(whole);
}

/// Rounded down, so that 100 % means all calls.
std::string percent(std::size_t part, std::size_t whole) {
  auto thousandths = whole == 0 ? 100'000 : part * 100'000 / whole;
  auto rest = std::to_string(thousandths % 1'000);
  return std::to_string(thousandths / 1'000) + "." + std::string(3 - rest.size(), '0') + rest
         + " %";
}

problem unwritable(const std::string& file) {
  return {errc::bad_argument, "cannot write the history to '" + file
                                + "'; check its folder, its permissions and the disk"};
}

/// Checks at the start of a run that the history can be written.
problem check_history(const std::string& file) {
  std::error_code ignored;
  if (file.empty())
    return {};
  auto is_new = !std::filesystem::exists(file, ignored);
  if (!std::ofstream{file, std::ios::app})
    return unwritable(file);
  if (is_new)
    std::filesystem::remove(file, ignored);
  return {};
}

std::size_t voters_of(const chaos_command& what) {
  if (what.voters != 0)
    return what.voters;
  return what.nodes > 7 ? 5 : what.nodes;
}

/// One run, from its processes to its summary.
class chaos_run {
public:
  chaos_run(const common_options& common, const chaos_command& what,
            std::vector<chaos::fault_kind> kinds, chaos::network& network,
            const std::filesystem::path& folder, std::string self, const held_signals& signals)
    : common_(common),
      what_(what),
      signals_(signals),
      folder_(folder),
      work_(chaos::make_workload(
        what.workload,
        {.nodes = what.nodes, .clients = what.clients, .timers = what.timers, .folder = folder_})),
      plan_(chaos::plan_faults(what.seed, std::chrono::seconds{what.seconds}, kinds,
                               work_->longer_faults())),
      cluster_({.self = std::move(self),
                .folder = folder_,
                .nodes = what.nodes,
                .voters = voters_of(what),
                .timers = what.timers,
                .raft_log = what.raft_log,
                .seen = work_->watched(),
                .words = work_->node_words(),
                .is_interrupted = [this] { return is_interrupted(); }},
               network) {}

  int run() {
    if (plan_.empty())
      return complain(common_, {errc::bad_argument,
                                "no fault fits into " + std::to_string(what_.seconds)
                                  + " s, of which the last are without; give more --seconds, or "
                                    "fewer --faults"});
    if (auto why = cluster_.start())
      return interrupted_ ? interrupted() : complain_with_logs(why);
    say({{"event", "started"}, {"nodes", what_.nodes}},
        std::to_string(what_.nodes) + " nodes are a cluster");
    if (auto why = start_clients())
      return complain_with_logs(why);
    auto why = break_things();
    over_ = true;
    for (auto& each : threads_)
      each.join();
    if (interrupted_)
      return interrupted();
    if (why)
      return complain_with_logs(why);
    return finish();
  }

private:
  struct user {
    std::unique_ptr<cluster_client> cluster;
    std::optional<chaos::client> who;
  };

  void say(const json& line, const std::string& text) {
    if (common_.json)
      print(line);
    else
      std::cout << text << std::endl;
  }

  bool is_interrupted() {
    return interrupted_ = interrupted_ || signals_.wait(0ms).has_value();
  }

  int interrupted() {
    return complain(common_,
                    {errc::cancelled,
                     "interrupted; what clients saw was not checked, because that happens at "
                     "the end of a run"});
  }

  /// Prints the last log lines of the nodes, because their folder is removed with this process.
  int complain_with_logs(const problem& why) {
    for (auto& each : std::filesystem::directory_iterator{folder_})
      if (each.path().extension() == ".log") {
        std::ifstream in{each.path()};
        std::cerr << each.path().filename().string() << ":\n"
                  << std::string{std::istreambuf_iterator<char>{in}, {}};
      }
    return complain(common_, why);
  }

  problem start_clients() {
    for (std::size_t number = 0; number < what_.clients; ++number) {
      auto made = cluster_.connect(number);
      if (!made)
        return made.error();
      auto& each = users_.emplace_back();
      each.cluster = std::move(*made);
      each.who.emplace(number + 1, what_.seed * 1'000 + number, *each.cluster, recorder_);
    }
    begin_ns_ = recorder_.now_ns();
    for (auto& each : users_)
      threads_.emplace_back([this, &each] {
        while (!over_ && !recorder_.is_full())
          work_->go_on(*each.who);
      });
    return {};
  }

  [[nodiscard]] duration elapsed() const {
    return duration{recorder_.now_ns() - begin_ns_};
  }

  /// Waits until this time of the run, or an interrupt. Meanwhile records the leaders.
  void wait_until(duration moment) {
    while (elapsed() < moment && !is_interrupted() && !recorder_.is_full()) {
      cluster_.leader();
      std::this_thread::sleep_for(std::clamp<duration>(moment - elapsed(), 0ms, 200ms));
    }
  }

  problem break_things() {
    duration late{}; // time that nodes needed to come back
    for (auto& each : plan_) {
      wait_until(each.at + late);
      if (interrupted_)
        return {};
      if (recorder_.is_full())
        return too_many_calls();
      std::int64_t begin_ns = 0;
      auto words = cluster_.begin(each, [&] { begin_ns = recorder_.now_ns(); });
      if (!words)
        return words.error();
      ++faults_[std::string{name_of(each.kind)}];
      if (each.beside)
        ++faults_[std::string{name_of(*each.beside)}];
      auto at = seconds(elapsed());
      say({{"event", "fault"}, {"at_s", at}, {"what", *words}, {"span_s", seconds(each.span)}},
          std::to_string(at) + " s: " + *words + ", for " + std::to_string(seconds(each.span))
            + " s");
      wait_until(elapsed() + each.span);
      if (auto why = cluster_.heal())
        return why;
      if (auto why = cluster_.end())
        return why;
      if (chaos::ends_majority(each))
        leaderless_.emplace_back(begin_ns, recorder_.now_ns());
      late = std::max(late, elapsed() - (each.at + each.span));
    }
    auto whole = duration{std::chrono::seconds{what_.seconds}};
    auto calm = chaos::calm_of(whole);
    auto end = std::max(whole, elapsed() + calm);
    answers_since_ns_ = recorder_.now_ns() + (calm / 2).count();
    wait_until(end);
    return recorder_.is_full() ? too_many_calls() : problem{};
  }

  static problem too_many_calls() {
    return {errc::limit_reached, "the clients made " + std::to_string(chaos::recorder::max_calls)
                                   + " calls, the bound of a history; give fewer "
                                     "--clients or --seconds"};
  }

  int finish() {
    auto end_ns = recorder_.now_ns();
    share_ = recorder_.count(leaderless_); // calls of clients only, without the reads at the end
    chaos::findings found;
    for (auto& each : users_)
      if (each.who->answered_ns() < answers_since_ns_)
        found.violations.push_back("client " + each.who->name()
                                   + " got no more answers after the last fault");
    if (!cluster_.wait_until_whole(30s) && !interrupted_)
      found.violations.push_back(
        "the nodes did not form a cluster again within 30 s after the end");
    wait_until_settled();
    auto last = cluster_.connect();
    if (!last)
      return complain_with_logs(last.error());
    chaos::client reader{0, what_.seed, **last, recorder_};
    if (auto why = work_->finish(reader))
      found.violations.push_back("the remaining state cannot be read: " + why.detail);
    if (is_interrupted())
      return interrupted();
    auto& lines = recorder_.lines();
    auto file = what_.history;
    auto saved = file.empty() ? problem{} : save(file); // before it is checked, which may take long
    auto check_begin_ns = recorder_.now_ns();
    work_->check(lines, found);
    check_span_ = duration{recorder_.now_ns() - check_begin_ns};
    for (auto& each : cluster_.judge_replicas())
      found.violations.push_back("the actions of the replicas: " + each);
    auto is_good = found.violations.empty() && found.undecided.empty();
    if (file.empty() && !is_good) {
      file = "chaos-" + what_.workload + "-" + std::to_string(what_.seed) + ".jsonl";
      saved = save(file);
    }
    if (saved)
      file.clear();
    else if (!is_good)
      keep_logs(file);
    summarise(lines, end_ns, found, file);
    for (auto& each : found.violations)
      std::cerr << "  " << each << '\n';
    for (auto& each : found.undecided)
      std::cerr << "  " << each << '\n';
    auto status = !saved ? ok : complain(common_, saved);
    if (is_good)
      return status;
    auto is_broken = !found.violations.empty();
    return complain(
      common_,
      {errc::failed, "the run with seed " + std::to_string(what_.seed)
                       + (is_broken ? " failed; " : " was not checked completely; ")
                       + (file.empty() ? "its history is lost" : "its history is in " + file)});
  }

  /// The laws judge whether it took too long.
  void wait_until_settled() {
    auto end = chaos::recorder::clock::now() + work_->settles_within() + 1s;
    while (!work_->is_settled() && !is_interrupted() && chaos::recorder::clock::now() < end)
      std::this_thread::sleep_for(200ms);
  }

  /// Saves the logs of the nodes of a failed run beside its history.
  void keep_logs(const std::string& file) const {
    for (auto& each : std::filesystem::directory_iterator{folder_})
      if (each.path().extension() == ".log") {
        std::error_code ignored; // the history is more important
        std::filesystem::copy_file(each.path(), file + "." + each.path().filename().string(),
                                   std::filesystem::copy_options::overwrite_existing, ignored);
      }
  }

  [[nodiscard]] problem save(const std::string& file) const {
    std::ofstream out{file};
    work_->write_lines(out, recorder_.lines());
    if (auto fences = work_->fence_log(); !fences.empty())
      std::ofstream{file + ".fence"} << fences;
    return out.flush().good() ? problem{} : unwritable(file);
  }

  void summarise(const sim::history& lines, std::int64_t end_ns, const chaos::findings& found,
                 const std::string& file) {
    auto count = [&](sim::outcome how) {
      return std::ranges::count_if(lines.operations(),
                                   [&](auto& each) { return each.what.how == how; });
    };
    auto silence = seconds(duration{longest_silence(lines, begin_ns_, end_ns)});
    auto is_linear
      = found.violations.empty() ? found.undecided.empty() ? json(true) : json{} : json(false);
    auto operations = lines.operations().size();
    auto unknown = count(sim::outcome::unknown);
    auto figures = work_->figures(lines);
    if (common_.json) {
      json line{{"event", "done"},
                {"workload", what_.workload},
                {"network", what_.network},
                {"nodes", what_.nodes},
                {"voters", voters_of(what_)},
                {"clients", what_.clients},
                {"seed", what_.seed},
                {"seconds", what_.seconds},
                {"operations", operations},
                {"ok", count(sim::outcome::ok)},
                {"fail", count(sim::outcome::fail)},
                {"unknown", unknown},
                {"faults", faults_},
                {"elections", cluster_.elections()},
                {"longest_unavailable_s", silence},
                {"linearizable", is_linear},
                {"violations", found.violations},
                {"history", file},
                {"calls", share_.calls},
                {"answered_in_time", share_.answered},
                {"no_quorum_in_time", share_.no_quorum},
                {"share_in_time", share_of(share_.answered, share_.calls)},
                {"calls_with_majority", share_.calls_with_majority},
                {"share_in_time_with_majority",
                 share_of(share_.answered_with_majority, share_.calls_with_majority)},
                {"voters_removed", cluster_.removed()},
                {"voters_added", cluster_.added()},
                {"check_s", seconds(check_span_)}};
      for (auto& [name, value] : figures)
        line[name] = value;
      return print(line);
    }
    std::cout << "operations      " << operations << ", " << unknown
              << " of them with unknown outcome\n"
              << "in time         " << percent(share_.answered, share_.calls) << ": "
              << share_.answered << " of " << share_.calls
              << " calls were answered before their own time-out\n"
              << "  with majority "
              << percent(share_.answered_with_majority, share_.calls_with_majority) << ": "
              << share_.answered_with_majority << " of " << share_.calls_with_majority
              << " calls, without those during isolate_all and kill_all\n"
              << "  no majority   " << share_.no_quorum
              << " calls were refused for it in time; nothing was done\n"
              << "faults         ";
    for (auto& [kind, times] : faults_)
      std::cout << ' ' << kind << ' ' << times;
    std::cout << "\nvoters          removed " << cluster_.removed() << ", added "
              << cluster_.added() << "\n";
    for (auto& [name, value] : figures)
      std::cout << std::left << std::setw(16) << name << value << '\n';
    std::cout << "elections       " << cluster_.elections() << "\nno answer for   " << silence
              << " s at most\nlinearizable    "
              << (is_linear.is_null()     ? "undecided"
                  : is_linear.get<bool>() ? "yes"
                                          : "NO")
              << std::endl;
  }

  const common_options& common_;
  const chaos_command& what_;
  const held_signals& signals_;
  bool interrupted_ = false;
  const std::filesystem::path folder_;
  std::unique_ptr<chaos::workload> work_;
  const std::vector<chaos::fault> plan_;
  chaos::chaos_cluster cluster_;
  chaos::recorder recorder_;
  std::vector<user> users_;
  std::atomic<bool> over_ = false;
  std::vector<std::thread> threads_;
  std::int64_t begin_ns_ = 0;
  /// The middle of the calm end. A client that is stuck gets no answer after it; an earlier answer
  /// may still come from before the end of the last fault.
  std::int64_t answers_since_ns_ = 0;
  std::map<std::string, std::size_t> faults_;
  /// The spans in which no node heard another.
  std::vector<std::pair<std::int64_t, std::int64_t>> leaderless_;
  chaos::share_in_time share_;
  duration check_span_{};
};

} // namespace

std::vector<std::string> chaos_fault_names() {
  return {chaos::fault_kind_names.begin(), chaos::fault_kind_names.end()};
}

int run_chaos(const common_options& common, const chaos_command& what, const std::string& self,
              const held_signals& signals) {
  auto kinds = chaos::to_fault_kinds(what.faults);
  if (!kinds)
    return complain(common, kinds.error());
  if (auto why = check_history(what.history))
    return complain(common, why);
  if (what.voters > what.nodes) {
    complain(common, {errc::bad_argument, "--voters is " + std::to_string(what.voters) + " of "
                                            + std::to_string(what.nodes)
                                            + " nodes; give no more than --nodes"});
    return bad_input;
  }
  auto network = chaos::make_network(what.network, what.seed);
  if (!network) {
    complain(common, network.error());
    return bad_input;
  }
  scratch_folder folder{"chaos"}; // outlives the processes that write to it
  if (auto& why = folder.missing())
    return complain(common, why);
  return chaos_run{common, what, *std::move(kinds), **network, folder.path(), self, signals}.run();
}

} // namespace cli
