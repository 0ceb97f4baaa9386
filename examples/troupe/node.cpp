#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include "chaos/letters.hpp"
#include "chaos/numbers.hpp"
#include "commands.hpp"
#include "end_requests.hpp"
#include "token_words.hpp"
#include "troupe/core/backoff.hpp"
#include "troupe/core/log_line.hpp"
#include "troupe/core/names.hpp"
#include "troupe/core/random.hpp"
#include "troupe/net/resolver.hpp"
#include "troupe/node/node.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/platform/one_heap.hpp"
#include "troupe/registry/registry_client.hpp"
#include "troupe/scheduler/exec.hpp"
#include "troupe/scheduler/worker.hpp"
#include "troupe/security/authority.hpp"

namespace cli {

using namespace troupe;

namespace {

/// How often the agent of a node is tried to be added while another node has its name: soon at
/// first, as that may be about to be found dead.
constexpr backoff echo_again{.first = std::chrono::seconds{1}, .max = std::chrono::seconds{10}};

/// Writes a line of the log, with flags in it instead of fields of options.
void say(log_line line) {
  line.text = in_our_words(std::move(line.text));
  print_line(std::cerr, to_string(line));
}

void say(log_level level, const node& who, const std::string& text) {
  say({read_calendar(), level, who.name(), text});
}

result<node_options> to_options(const common_options& common, const node_command& what) {
  node_options result;
  if (!what.name.empty())
    if (auto why = security::check_certified_name(what.name))
      return problem{why.code, "--name: " + why.detail};
  auto listen = net::address::from_string(what.listen);
  if (!listen)
    return listen.error();
  result.listen = *listen;
  if (!what.advertise.empty()) {
    auto advertise = net::address::from_string(what.advertise);
    if (!advertise)
      return advertise.error();
    result.advertise = *advertise;
  }
  auto join = addresses(what.join);
  if (!join)
    return join.error();
  result.join = *join;
  result.name = what.name;
  result.data = what.data;
  result.bootstrap = what.bootstrap;
  result.bootstrap_expect = what.bootstrap_expect;
  result.voters = what.voters;
  auto replace_after = what.replace_after == "never"
                         ? troupe::result<duration>{duration::zero()}
                         : to_duration(what.replace_after, "--replace-after");
  if (!replace_after)
    return replace_after.error();
  result.replace_after = *replace_after;
  if (what.timers == "lan") {
    result.group.consensus = raft::lan();
    result.membership = cluster::swim_options::lan();
  } else if (what.timers != "wan")
    return problem{errc::bad_argument,
                   "--timers is '" + what.timers + "'; give wan, or lan for one rack"};
  if (!what.raft_log.empty() && what.data.empty())
    return problem{errc::bad_argument, "--raft-log needs a replica of the log; give --data, too"};
  result.group.event_log = what.raft_log;
  result.membership_log = what.membership_log;
  result.links.insecure = common.insecure;
  result.identity = common.identity;
  result.allow_spawn = what.allow_spawn;
  if (!what.token.empty()) {
    auto token = read_token(common, what.token);
    if (!token)
      return token.error();
    result.token = *std::move(token);
  }
  result.log = [](const log_line& line) { say(line); };
  if (what.chaos_numbers)
    result.services.add<chaos::number_service>("numbers");
  return result;
}

/// Whether that host is this machine, whoever asks; other names than localhost are not looked up.
bool is_loopback(const std::string& host) {
  in_addr four{};
  if (::inet_aton(host.c_str(), &four) == 1)
    return (ntohl(four.s_addr) >> 24U) == IN_LOOPBACKNET;
  return host == "::1" || host == "localhost";
}

/// Why a node cannot join others which cannot dial it: it would vote, and be lost to them with the
/// node that it has dialled. What a name stands for is not looked up, so that is a warning only.
problem check_place(const common_options& common, const node_options& how) {
  auto& place = how.advertise ? *how.advertise : how.listen;
  auto other = std::ranges::find_if(how.join, [](auto& each) { return !is_loopback(each.host); });
  if (other == how.join.end())
    return {};
  if (how.links.insecure && net::resolve_number(*other))
    return {errc::bad_argument, "--join names " + to_string(*other)
                                  + ", and links with --insecure are for loopback only; leave "
                                    "--insecure out, and give a token (troupe ca invite)"};
  if (!is_loopback(place.host) || how.links.insecure)
    return {};
  problem why{errc::bad_argument,
              (how.advertise ? "--advertise is " : "--listen is ") + to_string(place)
                + ", where other machines cannot reach this node, and --join names "
                + to_string(*other)
                + "; give --listen an address of this machine that the others can dial, or "
                  "--advertise"};
  if (net::resolve_number(*other))
    return why;
  note(common, "warning", why.detail);
  return {};
}

/// Whether a node with these options founds a cluster with a CA that no command can use.
bool admits_nobody_later(const node_options& how) {
  return !how.links.insecure && how.join.empty() && how.data.empty() && how.identity.empty();
}

/// The sentence with names and addresses of nodes instead of their ids of 64 digits.
std::string with_names(node& me, std::string sentence) {
  registry::find_records question{.limit = 1'000};
  question.kind = registry::record_kind::node;
  auto nodes = me.registry().find(question);
  if (!nodes)
    return sentence;
  for (auto& each : *nodes)
    if (auto id = to_string(each.value.key.owner); sentence.find(id) != std::string::npos) {
      auto name = each.value.key.name;
      if (!each.value.endpoints.empty()) {
        auto& endpoint = each.value.endpoints.front();
        name += " at " + to_string(net::address{endpoint.host, endpoint.port});
      }
      sentence.replace(sentence.find(id), id.size(), name);
    }
  return sentence;
}

/// The resources of the node's worker.
result<scheduler::worker_options> to_worker(const node_command& what) {
  scheduler::worker_options result;
  result.capacity = {.millicores = static_cast<std::uint64_t>(std::llround(what.cpus * 1'000)),
                     .memory_bytes = what.memory_bytes,
                     .gpus = what.gpus,
                     .slots = what.slots};
  if (!what.group.empty() && !is_name(what.group))
    return bad_name("--group", what.group);
  if (!what.group.empty())
    result.groups = {what.group};
  for (auto& each : what.labels) {
    auto end = each.find('=');
    if (end == 0 || end == std::string::npos)
      return problem{errc::bad_argument, "--label is '" + each + "'; give NAME=VALUE"};
    result.labels[each.substr(0, end)] = each.substr(end + 1);
  }
  if (what.slots == 0)
    return result; // no worker
  if (auto why = scheduler::check(result))
    return problem{why.code, "the worker of this node cannot start: " + why.detail};
  return result;
}

/// The first signal, for whoever waits: also for node::start(), which may take its time. Ends the
/// process at a later one, see end_requests, even while it still handles the first.
class first_signal {
public:
  static std::shared_ptr<first_signal> of(const held_signals& signals) {
    auto made = std::make_shared<first_signal>();
    std::thread{[made, signals] {
      for (end_requests requests;;) {
        signals.wait();
        auto now = std::chrono::steady_clock::now().time_since_epoch();
        auto what = requests.heard(time_point{now});
        if (what == end_requests::meaning::end_at_once)
          std::_Exit(failed);
        if (what == end_requests::meaning::stop) {
          made->stop_.request_stop();
          made->came_.set_value();
        }
      }
    }}.detach();
    return made;
  }

  [[nodiscard]] std::stop_token stop() const {
    return stop_.get_token();
  }

  void wait() {
    came_.get_future().wait();
  }

private:
  std::stop_source stop_;
  std::promise<void> came_;
};

/// Whether this process has to leave its cluster, and how, or has found no way to it.
class leaving {
public:
  /// Sends SIGTERM to this process, unless it is ending already: a later one would end it before
  /// its tasks are finished.
  void ask(const leave_options& how) {
    std::lock_guard guard{mutex_};
    how_ = how;
    if (!is_ending_)
      ::kill(::getpid(), SIGTERM);
  }

  void end() {
    std::lock_guard guard{mutex_};
    is_ending_ = true;
  }

  [[nodiscard]] std::optional<leave_options> asked() const {
    std::lock_guard guard{mutex_};
    return how_;
  }

  /// Sends the signal, too: this node has no way to its cluster, or none any more, for that reason.
  void give_up(const problem& why) {
    std::lock_guard guard{mutex_};
    why_ = why;
    if (!is_ending_)
      ::kill(::getpid(), SIGTERM);
  }

  /// Why it has given up; errc::none if it has not.
  [[nodiscard]] problem given_up() const {
    std::lock_guard guard{mutex_};
    return why_;
  }

private:
  mutable std::mutex mutex_;
  std::optional<leave_options> how_;
  problem why_;
  bool is_ending_ = false;
};

} // namespace

int run_node(const common_options& common, const node_command& what, const held_signals& signals) {
  use_one_heap();
  auto options = to_options(common, what);
  if (!options)
    return complain(common, options.error());
  if (common.insecure)
    print_line(std::cerr, "--insecure: links are plain, and every process of this machine may do "
                          "everything in this cluster");
  if (auto why = check_place(common, *options))
    return complain(common, why);
  leaving leave;
  options->on_leave_asked = [&leave](const leave_options& how) { leave.ask(how); };
  options->on_revoked = [&leave](const problem& why) { leave.give_up(why); };
  auto offer = to_worker(what);
  if (!offer)
    return complain(common, offer.error());
  auto drain = to_duration(what.drain, "--drain");
  if (!drain)
    return complain(common, drain.error());
  options->wait_joined = {}; // other nodes may wait for this one
  auto signal = first_signal::of(signals);
  options->stop = signal->stop();
  auto admits_nobody = admits_nobody_later(*options);
  auto started = node::start(*std::move(options));
  if (!started && leave.given_up())
    return complain(common, leave.given_up());
  if (!started && signal->stop().stop_requested()) {
    print_line(std::cerr, "stopped before it had joined");
    return ok;
  }
  if (!started)
    return complain(common, started.error());
  auto& me = *started;
  if (admits_nobody)
    say(log_level::warning, me,
        "neither nodes nor commands can join this cluster, as its CA is in the memory of this "
        "process; give --data FOLDER, or --insecure for tests on one machine");
  std::optional<scheduler::worker> worker;
  if (what.slots > 0) {
    offer->name = me.name();
    scheduler::task_handlers handlers;
    if (what.allow_exec)
      handlers.handle(scheduler::exec_handler, scheduler::exec_programs());
    worker.emplace(me.work(*offer, std::move(handlers)));
  }
  auto place = " at port " + std::to_string(me.port());
  auto say_ready = [&] {
    print_line(std::cout, "node " + me.name() + " is ready" + place
                            + (me.is_host() ? ", leads its cluster" : ""));
  };
  // An agent to try: registered now, or once there is a cluster, and its name is free.
  auto begin_echo = [&me] {
    agent_options how{.capabilities = {"echo"}};
    return me.agent("echo-" + me.name(), how, [](const std::string& text) { return text; })
      .error_or({});
  };
  auto has_begun_echo = [&] {
    auto why = begin_echo();
    auto is_taken = why.code == errc::name_taken;
    if (why)
      say(log_level::warning, me,
          "the agent echo could not be added: " + with_names(me, why.detail)
            + (is_taken ? ". It is tried again, at least every " + in_words(echo_again.max)
                            + "; if that node has a data folder and is gone permanently, revoke it "
                              "(troupe ca revoke, where the CA is)"
                        : ""));
    return !is_taken;
  };
  auto has_joined = me.wait_for_services(std::chrono::seconds{1}).has_value();
  std::promise<void> tried;
  auto add_echo = [&](const std::stop_token& ends) {
    while (!ends.stop_requested()) {
      auto is_there = me.wait_for_services(std::chrono::milliseconds{200});
      if (is_there) {
        if (!common.json && !has_joined)
          say_ready();
        auto is_over = has_begun_echo();
        tried.set_value();
        random_source random{static_cast<std::uint64_t>(::getpid())};
        for (auto tries = 1U; !is_over && sleep_unless(ends, echo_again.delay(tries, random));
             ++tries)
          is_over = begin_echo().code == errc::none; // meanwhile there may be no leader
        return;
      }
      if (is_there.error().code == errc::in_use)
        return leave.give_up(is_there.error());
    }
  };
  std::jthread echo;
  if (has_joined) {
    echo = std::jthread{add_echo};
    // Its name is claimed in the group, which takes long only if that has lost its majority again.
    tried.get_future().wait_for(std::chrono::seconds{2});
  }
  if (common.json) // at once: scripts read the port, and start the nodes that this one waits for
    print({{"event", "ready"},
           {"node", me.name()},
           {"id", to_string(me.id())},
           {"port", me.port()},
           {"host", me.is_host()},
           {"joined", has_joined}});
  else if (has_joined)
    say_ready();
  else
    print_line(std::cout, "node " + me.name() + " listens" + place + " and looks for its cluster");
  if (!has_joined)
    echo = std::jthread{add_echo};
  std::optional<chaos::letter_writer> letters;
  if (!what.chaos_letters.empty())
    letters.emplace(me, chaos::letter_files{what.chaos_letters});
  signal->wait();
  letters.reset();
  echo = {};
  leave.end();
  if (auto why = leave.given_up()) {
    worker.reset();
    me.stop();
    return complain(common, why);
  }
  say(log_level::info, me,
      leave.asked()
        ? "stopping, as it was asked to leave its cluster; SIGTERM stops it at once, if it comes "
          "later than "
            + in_words(end_requests::same_within) + " from now"
        : "stopping; send the signal again, later than " + in_words(end_requests::same_within)
            + " after the first, to stop at once");
  if (worker && !worker->drain(*drain))
    say(log_level::warning, me,
        "gives up tasks that took longer than --drain " + what.drain + "; other nodes run them");
  worker.reset();
  auto how = leave.asked();
  if (!how && what.leave_on_term)
    how.emplace();
  auto status = ok;
  if (how)
    if (auto left = me.leave(*how); !left) {
      say(log_level::warning, me,
          "did not leave the cluster as it should: " + left.error().detail
            + "; it stops, and the others expect back what they still show of it");
      status = leave.asked() ? failed : ok; // who sends SIGTERM has it stop in any case
    }
  me.stop();
  return status;
}

} // namespace cli
