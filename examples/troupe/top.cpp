#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cluster_watch.hpp"
#include "commands.hpp"
#include "connect.hpp"
#include "terminal.hpp"
#include "top_screen.hpp"

namespace cli {

using namespace troupe;
using namespace std::literals;

namespace {

// -- what is shown ---------------------------------------------------------------------

std::string per_second(double rate) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.1f/s", rate);
  return digits;
}

/// "leader", "voter", "learner", or nothing; and whether its replica has ended, so that it is none
/// of these until it is started again.
std::string role_of(const registry::record& node, const cluster_report& found) {
  if (leads(node, found))
    return "leader";
  auto ended = has_lost_replica(node) ? " (ended)" : "";
  for (auto& each : found.seen.group.seats)
    if (each.node == to_string(node.key.owner))
      return (each.votes ? "voter" : "learner") + std::string{ended};
  return {};
}

std::string lag_of(const registry::record& node, const cluster_report& found) {
  for (auto& each : found.seen.group.seats)
    if (each.node == to_string(node.key.owner) && each.lag)
      return std::to_string(*each.lag);
  return {};
}

std::string leader_of(const cluster_report& found) {
  for (auto& each : found.nodes)
    if (leads(each.value, found))
      return each.value.key.name;
  return {};
}

top_pane pane_of_nodes(const cluster_report& found) {
  top_pane shown{"Nodes", {"NAME", "STATUS", "ROLE", "BEHIND", "SEEN", "ADDRESS"}, {}};
  std::set<std::string> ids;
  for (auto& each : found.nodes)
    ids.insert(to_string(each.value.key.owner));
  auto called = [&](const std::string& id) { return name_of_node(found, id); };
  auto name = told_apart(ids, called);
  for (auto& each : found.nodes) {
    auto is_active = each.status == registry::record_status::active;
    shown.rows.push_back({{name(to_string(each.value.key.owner)), std::string{name_of(each.status)},
                           role_of(each.value, found), lag_of(each.value, found),
                           is_active || !found.services ? "" : in_words(each.unseen_for) + " ago",
                           place_of(each.value)},
                          is_active                                             ? emphasis::plain
                          : each.status == registry::record_status::maintenance ? emphasis::faint
                                                                                : emphasis::bad});
  }
  return shown;
}

top_pane pane_of_workers(const cluster_report& found) {
  constexpr std::size_t width = 10;
  top_pane shown{"Workers", {"NAME", "STATE", "SLOTS", "TASKS"}, {}};
  if (found.services)
    for (auto& each : found.services->workers)
      shown.rows.push_back(
        {{each.name, std::string{name_of(each.state)},
          bar_of(each.used.slots, each.capacity.slots, width) + ' '
            + std::to_string(each.used.slots) + '/' + std::to_string(each.capacity.slots),
          std::to_string(each.attempts)},
         each.state == scheduler::worker_state::active ? emphasis::plain : emphasis::bad});
  return shown;
}

top_pane pane_of_runs(const std::vector<scheduler::run_view>& runs) {
  constexpr std::size_t width = 24;
  top_pane shown{"Runs", {"RUN", "STATE", "TASKS", "TIME", "NAME"}, {}};
  for (auto& each : runs) {
    auto done = tasks_over(each);
    auto is_bad = each.state == scheduler::run_state::failed;
    shown.rows.push_back({{std::to_string(each.run.value), std::string{name_of(each.state)},
                           // The bar comes last, as a narrow screen cuts cells at their end.
                           std::to_string(done) + '/' + std::to_string(each.tasks) + ' '
                             + bar_of(done, each.tasks, width),
                           in_words(each.ran), each.name},
                          is_bad                 ? emphasis::bad
                          : is_final(each.state) ? emphasis::faint
                                                 : emphasis::plain});
  }
  return shown;
}

/// The leader and the state of the group, or why there is no leader.
std::string standing_of(const cluster_report& found) {
  if (!found.services)
    return describe_leaderless(found.seen);
  auto leader = "leader " + leader_of(found);
  return found.seen.group.seats.empty() ? leader + ", services in its memory"
                                        : leader + ", " + describe(found.seen.group);
}

/// How the node that was asked sees the others: "members 3 alive, 1 suspect, 0 dead, 0 left".
std::string members_of(const cluster_report& found) {
  std::string text = "members";
  using enum cluster::member_status;
  for (auto how : {alive, suspect, dead, left})
    text += (how == alive ? " " : ", ") + std::to_string(count_seen(found, how)) + ' '
            + std::string{name_of(how)};
  return text;
}

screen_content content_of(const cluster_moment& now, const std::string& remark) {
  constexpr std::size_t width = 16;
  auto& found = now.report;
  auto away = found.agents.maintenance + found.agents.inactive + found.agents.disconnected;
  screen_content shown;
  shown.heading = {"troupe top" + remark + "   node " + found.seen.name + " at " + now.address,
                   standing_of(found)};
  auto agents
    = "agents " + std::to_string(found.agents.active) + " active, " + std::to_string(away) + " not";
  auto leaders = "changes of leader " + std::to_string(found.seen.changes_of_leader);
  if (found.services) {
    auto slots = count_slots(*found.services);
    auto& runs = found.services->runs;
    shown.heading.push_back("slots " + bar_of(slots.used, slots.all, width) + ' '
                            + std::to_string(slots.used) + '/' + std::to_string(slots.all) + "   "
                            + agents + "   locks " + std::to_string(found.services->locks));
    auto rates = now.rates ? "tasks " + per_second(now.rates->tasks) + "   attempts "
                               + per_second(now.rates->attempts) + "   entries "
                               + per_second(now.rates->entries)
                           : std::string{"tasks -/s   attempts -/s   entries -/s"};
    shown.heading.push_back(std::move(rates));
    shown.heading.push_back("attempts in all: " + std::to_string(runs.completed) + " completed, "
                            + std::to_string(runs.failed) + " failed, "
                            + std::to_string(runs.timed_out) + " timed out, "
                            + std::to_string(runs.lost) + " lost   " + leaders);
    shown.heading.push_back(members_of(found));
  } else {
    shown.heading.push_back(agents + "   " + leaders);
    shown.heading.push_back(members_of(found));
    shown.warning = "no leader: what node " + found.seen.name + " heard last";
  }
  shown.panes = {pane_of_nodes(found), pane_of_workers(found), pane_of_runs(now.runs)};
  return shown;
}

json to_json(const cluster_moment& now) {
  auto line = to_json(now.report);
  auto workers = json::array();
  if (now.report.services) {
    for (auto& each : now.report.services->workers)
      workers.push_back({{"worker", each.worker.value},
                         {"name", each.name},
                         {"state", std::string{name_of(each.state)}},
                         {"slots", each.capacity.slots},
                         {"slots_used", each.used.slots},
                         {"attempts", each.attempts}});
    auto& sums = now.report.services->runs;
    line["attempts"] = {{"completed", sums.completed},
                        {"failed", sums.failed},
                        {"timed_out", sums.timed_out},
                        {"lost", sums.lost}};
  }
  auto runs = json::array();
  for (auto& each : now.runs)
    runs.push_back({{"run", each.run.value},
                    {"name", each.name},
                    {"state", std::string{name_of(each.state)}},
                    {"tasks", each.tasks},
                    {"done", tasks_over(each)},
                    {"ran_s", seconds(each.ran)}});
  line["worker_list"] = std::move(workers);
  line["run_list"] = std::move(runs);
  line["tasks_per_s"] = now.rates ? json(now.rates->tasks) : json(nullptr);
  line["attempts_per_s"] = now.rates ? json(now.rates->attempts) : json(nullptr);
  line["entries_per_s"] = now.rates ? json(now.rates->entries) : json(nullptr);
  return line;
}

// -- without a terminal ----------------------------------------------------------------

int print_frame(const common_options& common) {
  auto now = cluster_watch{common}.look();
  if (!now)
    return complain(common, now.error());
  for (auto& each : top_screen::plain(content_of(*now, {})))
    print_line(std::cout, each);
  return ok;
}

/// Another try would end alike, as with a revoked certificate.
bool is_final(const problem& why) {
  return why.code == errc::denied;
}

int print_ticks(const common_options& common, duration every, bool once) {
  cluster_watch watch{common};
  for (auto is_first = true;; is_first = false) {
    auto next = std::chrono::steady_clock::now() + every;
    auto now = watch.look();
    if (now)
      print(to_json(*now));
    else if (auto status = complain(common, now.error()); is_first || is_final(now.error()))
      return status;
    if (once || !std::cout)
      return ok; // the caller reports that the output could not be written
    std::this_thread::sleep_until(next);
  }
}

// -- at a terminal ---------------------------------------------------------------------

/// Queries the cluster on a thread of its own, so that keys work meanwhile. Thread-safe.
class looking_thread {
public:
  looking_thread(const common_options& common, duration every)
    : every_(every),
      news_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this, common] { run(cluster_watch{common}); }) {}

  looking_thread(const looking_thread&) = delete;
  looking_thread& operator=(const looking_thread&) = delete;

  ~looking_thread() {
    thread_.join();
  }

  struct standing {
    std::optional<cluster_moment> last{};
    /// Why the last query failed, if it did.
    problem why{};
    bool is_paused = false;
  };

  /// Becomes readable after each query.
  [[nodiscard]] int news() const {
    return news_.get();
  }

  standing now() {
    std::uint64_t ignored = 0;
    [[maybe_unused]] auto count = ::read(news_.get(), &ignored, sizeof(ignored));
    std::lock_guard guard{mutex_};
    return now_;
  }

  void pause_or_go_on() {
    std::lock_guard guard{mutex_};
    now_.is_paused = !now_.is_paused;
    changed_.notify_all();
  }

  /// Ends the thread. Returns false if it is in the middle of a query, which may take long.
  bool stop() {
    constexpr auto patience = 300ms;
    std::unique_lock lock{mutex_};
    is_over_ = true;
    changed_.notify_all();
    return changed_.wait_for(lock, patience, [this] { return has_ended_; });
  }

private:
  void run(cluster_watch watch) {
    std::unique_lock lock{mutex_};
    while (!is_over_) {
      auto next = std::chrono::steady_clock::now() + every_;
      lock.unlock();
      auto seen = watch.look();
      lock.lock();
      now_.why = seen ? problem{} : seen.error();
      if (seen)
        now_.last = *std::move(seen);
      std::uint64_t one = 1;
      [[maybe_unused]] auto count = ::write(news_.get(), &one, sizeof(one));
      changed_.wait_until(lock, next, [this] { return is_over_; });
      changed_.wait(lock, [this] { return is_over_ || !now_.is_paused; });
    }
    lock.unlock();
    watch = cluster_watch{{}}; // closes its links
    lock.lock();
    has_ended_ = true;
    changed_.notify_all();
  }

  const duration every_;
  descriptor news_;
  std::mutex mutex_;
  std::condition_variable changed_;
  standing now_;
  bool is_over_ = false;
  bool has_ended_ = false;
  std::thread thread_; // last: it uses all others
};

/// Source: no-color.org; an empty variable counts as not set.
bool wants_colour() {
  auto* unwanted = std::getenv("NO_COLOR");
  return unwanted == nullptr || *unwanted == '\0';
}

/// The screen, from the first answer to the key that ends it.
class live_view {
public:
  live_view(const common_options& common, duration every)
    : common_(common), every_(every), looking_(common, every) {}

  /// Returns the exit status.
  int run() {
    auto status = follow();
    terminal_.reset();
    if (end_)
      status = complain(common_, end_);
    if (!looking_.stop()) {
      std::cout << std::flush;
      std::_Exit(status); // the thread still waits for an answer
    }
    return status;
  }

private:
  int follow() {
    for (std::optional<int> status;;) {
      pollfd sources[]{
        {looking_.news(), POLLIN, 0}, {signals_.get(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
      constexpr int at_least_every_ms = 1'000; // the shown times grow while there is no answer
      constexpr int soon_ms = 300;             // most clusters answer within it
      ::poll(sources, terminal_ ? 3 : 2, terminal_ ? at_least_every_ms : soon_ms);
      if ((status = take_signals()))
        return *status;
      if (sources[2].revents != 0 && (status = take_keys(sources[2].revents)))
        return *status;
      auto now = looking_.now();
      if (!terminal_ && !now.last && now.why)
        return complain(common_, now.why); // there is no such cluster
      if (end_ = is_final(now.why) ? now.why : problem{}; end_)
        return failed;
      if (!now.last) {
        say_whom_it_asks();
        continue;
      }
      if (!terminal_)
        terminal_.emplace(signals_);
      terminal_->show(screen_.lines(content(now), whole_terminal::size(), in_colour_));
    }
  }

  /// Printed once, below the command: the screen is not taken over before the first answer.
  void say_whom_it_asks() {
    if (std::exchange(has_said_, true))
      return;
    std::string all;
    for (auto& each : common_.at)
      all += (all.empty() ? "" : ", ") + each;
    print_line(std::cout, "asks " + printable(all) + "; Ctrl-C ends it");
  }

  [[nodiscard]] screen_content content(const looking_thread::standing& now) const {
    auto shown
      = content_of(*now.last, now.is_paused ? "   PAUSED" : "   every " + in_words(every_));
    if (now.why) {
      auto since = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now()
                                                                    - now.last->at);
      shown.warning = "no answer since " + std::to_string(since.count())
                      + " s, asking again; shows the last data (" + in_our_words(now.why.detail)
                      + ')';
    }
    return shown;
  }

  /// Handles the pending signals. Returns the exit status if one of them ends this.
  std::optional<int> take_signals() {
    for (auto number = signals_.take(); number != 0; number = signals_.take()) {
      if (number == SIGTSTP && terminal_)
        terminal_->stop();
      else if (number == SIGTSTP)
        stop_process();
      else if (number != SIGWINCH)
        return 128 + number;
    }
    return std::nullopt;
  }

  std::optional<int> take_keys(short events) {
    char bytes[256];
    auto count = ::read(STDIN_FILENO, bytes, sizeof bytes);
    if (count <= 0)
      return (events & (POLLHUP | POLLERR | POLLNVAL)) != 0 || count < 0
               ? std::optional{128 + SIGHUP}
               : std::nullopt;
    std::string typed{bytes, static_cast<std::size_t>(count)};
    constexpr std::ptrdiff_t page = 10;
    while (!typed.empty())
      switch (take_key(typed)) {
        case top_key::quit:
          return ok;
        case top_key::pause:
          looking_.pause_or_go_on();
          break;
        case top_key::next_pane:
          screen_.next_pane();
          break;
        case top_key::previous_pane:
          screen_.previous_pane();
          break;
        case top_key::up:
          screen_.scroll(-1);
          break;
        case top_key::down:
          screen_.scroll(1);
          break;
        case top_key::page_up:
          screen_.scroll(-page);
          break;
        case top_key::page_down:
          screen_.scroll(page);
          break;
        case top_key::none:
          break;
      }
    return std::nullopt;
  }

  const common_options& common_;
  const duration every_;
  const bool in_colour_ = wants_colour();
  /// Has to be made before any thread.
  polled_signals signals_{SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGWINCH, SIGTSTP};
  looking_thread looking_;
  top_screen screen_;
  std::optional<whole_terminal> terminal_;
  bool has_said_ = false;
  /// Why it ends by itself; printed once the terminal is as it was.
  problem end_;
};

} // namespace

int run_top(const common_options& common, const top_command& what) {
  auto every = to_duration(what.every, "--every");
  if (!every)
    return complain(common, every.error());
  if (common.json)
    return print_ticks(common, *every, what.once);
  if (what.once || !whole_terminal::is_there())
    return print_frame(common);
  return live_view{common, *every}.run();
}

} // namespace cli
