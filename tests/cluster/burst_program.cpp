// Nodes of a cluster that send each other more than a link takes at once.
//
// Usage: burst_program serve HOST PORT ADVERTISED JOIN FOLDER [DELAY]
//            a voter at HOST:PORT, with an agent "sink" that takes DELAY microseconds for each
//            message, and a line for each thousand; it ends, with a line, when it gets SIGTERM.
//            At SIGUSR2 it writes 1 MiB of state, reads it from 200 threads at once, and says in
//            JSON what came of that. Without DELAY it has no agents.
//        burst_program send HOST FOLDER SECONDS THREADS MESSAGES BYTES [WINDOW WAITING]
//            founds the cluster, says its port, and says "whole" when three vote; at each SIGUSR1
//            it sends to "sink" from so many threads so many messages each, asks it beside that,
//            and says in JSON what became of them, waiting so long for the last to arrive; with
//            the bounds given, in bytes, instead of those of router_options. At each SIGUSR2 it
//            asks "sink" for MESSAGES answers of BYTES at once, and says what came of that.
//        burst_program ask HOST:PORT SECONDS THREADS BYTES
//            asks so from each of its threads, once, as a client of that node

#include "program_end.hpp"
#include "support/test_ca.hpp"
#include "troupe/core/log_line.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/node/node.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "caf/scoped_actor.hpp"
#include "troupe/node/init.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/testing/comes_true.hpp"

using namespace std::literals;
using namespace troupe;
using test::fail;
using test::value_of;
using steady = std::chrono::steady_clock;

namespace {

node start(const net::address& listen, const std::string& folder, node_options how = {}) {
  how.listen = listen;
  how.data = folder;
  how.group.consensus = raft::lan();
  how.group.consensus.heartbeat = 50ms;
  how.group.consensus.election_timeout = 500ms;
  how.log = [](const log_line& line) { std::cerr << to_string(line) << std::endl; };
  how.wait_joined = 20s;
  test::certify(how);
  return value_of(node::start(std::move(how)));
}

/// Takes (thread, number, text); says how many came, and how many of them out of order, when asked,
/// and the former in a line at each step, too.
caf::behavior sink(std::chrono::microseconds delay) {
  static constexpr std::uint64_t step = 1'000;
  struct seen {
    std::uint64_t count = 0;
    std::uint64_t disorder = 0;
    std::map<std::uint32_t, std::uint32_t> last;
  };

  auto all = std::make_shared<seen>();
  return {
    [all, delay](std::uint32_t thread, std::uint32_t number, const std::string&) {
      auto [last, is_first] = all->last.try_emplace(thread, number);
      if (!is_first && number <= std::exchange(last->second, number))
        ++all->disorder;
      if (++all->count % step == 0)
        std::cout << all->count << std::endl;
      if (delay > 0us)
        std::this_thread::sleep_for(delay);
    },
    [all](caf::get_atom) {
      return std::to_string(all->count) + " " + std::to_string(all->disorder);
    },
    [](const std::string& text) { return text; },
    [](caf::get_atom, std::uint64_t bytes) { return std::string(bytes, 'x'); },
  };
}

sigset_t used_signals() {
  sigset_t result;
  sigemptyset(&result);
  sigaddset(&result, SIGTERM);
  sigaddset(&result, SIGUSR1);
  sigaddset(&result, SIGUSR2);
  return result;
}

int next_signal() {
  auto waited_for = used_signals();
  int which = 0;
  sigwait(&waited_for, &which);
  return which;
}

/// Reads a value of the state from many threads at once.
nlohmann::json read_state(node& me, std::size_t bytes, std::size_t threads) {
  auto term_before = me.voters().list(20s);
  state::entry_key key{state::consistency::strong, state::value_type::lww_register, "large"};
  if (auto done = me.state().put(key, state::to_value(std::string(bytes, 'x'))); !done)
    fail(done.error());
  std::mutex mutex;
  std::map<std::string, std::uint64_t> answers;
  {
    std::vector<std::jthread> readers;
    for (std::size_t each = 0; each < threads; ++each)
      readers.emplace_back([&] {
        auto got = me.state().get(key);
        auto is_whole = got && got->entries.size() == 1;
        std::lock_guard guard{mutex};
        ++answers[is_whole ? "none"
                           : std::string{name_of(got ? errc::not_found : got.error().code)}];
      });
  }
  auto term_after = me.voters().list(20s);
  return {{"answers", answers},
          {"terms", (term_before && term_after) ? term_after->term - term_before->term : 999}};
}

void serve(char** words, bool has_sink) {
  node_options how;
  auto port = static_cast<std::uint16_t>(std::stoul(words[1]));
  if (words[2] != "-"s)
    how.advertise = *net::address::from_string(words[2]);
  how.join = {*net::address::from_string(words[3])};
  auto me = start({words[0], port}, words[4], std::move(how));
  if (has_sink) {
    auto delay = std::chrono::microseconds{std::stoul(words[5])};
    if (auto made = me.add_agent("sink", me.system().spawn(sink, delay)); !made)
      fail(made.error());
    // Answers at once, past all that waits at the sink.
    auto echo = [](std::uint64_t number) { return number; };
    if (auto made = me.agent("echo", echo); !made)
      fail(made.error());
  }
  std::cout << "ready" << std::endl;
  while (next_signal() != SIGTERM)
    std::cout << read_state(me, 1'000'000, 200).dump() << std::endl;
  me.stop();
  std::cout << "ended" << std::endl;
}

/// Asks over the link past the router, as the group does, again and again until its end.
class pinger {
public:
  pinger(node& from, caf::actor to)
    : thread_([this, &from, to = std::move(to)](const std::stop_token& ends) {
        caf::scoped_actor self{from.system()};
        while (!ends.stop_requested()) {
          auto sent = steady::now();
          self->request(to, 2s, std::uint64_t{1})
            .receive([&](std::uint64_t) { note(steady::now() - sent); },
                     [&](const caf::error&) { ++lost_; });
          std::this_thread::sleep_for(5ms);
        }
      }) {}

  nlohmann::json end() {
    thread_.request_stop();
    thread_.join();
    std::ranges::sort(spans_);
    return {{"count", spans_.size()},
            {"lost", lost_},
            {"p50_ms", spans_.empty() ? 0 : spans_[spans_.size() / 2]},
            {"max_ms", spans_.empty() ? 0 : spans_.back()}};
  }

private:
  void note(duration span) {
    spans_.push_back(std::chrono::duration<double, std::milli>(span).count());
  }

  std::vector<double> spans_;
  int lost_ = 0;
  std::jthread thread_;
};

struct order {
  std::chrono::seconds patience{};
  std::uint32_t threads = 0;
  std::uint32_t messages = 0;
  std::size_t bytes = 0;
};

/// Returns how many the sink has got, and how many of them out of order.
std::optional<std::pair<std::uint64_t, std::uint64_t>> ask_sink(node& me) {
  auto answer = me.request<std::string>(to_agent("sink"), 5s, caf::get_atom_v);
  if (!answer)
    return std::nullopt;
  std::pair<std::uint64_t, std::uint64_t> seen;
  std::istringstream{*answer} >> seen.first >> seen.second;
  return seen;
}

nlohmann::json burst(node& me, const order& what, std::uint32_t round) {
  auto echo = me.find("echo", 20s);
  if (!echo)
    fail(echo.error());
  auto before = ask_sink(me);
  if (!before)
    fail("the sink gives no answer");
  auto leads_before = me.is_host();
  auto term_before = me.voters().list(20s);
  std::optional<pinger> pings;
  pings.emplace(me, *echo);
  const std::string text(what.bytes, 'x');
  std::atomic<std::uint64_t> taken{0};
  std::mutex mutex;
  std::map<std::string, std::uint64_t> refused;
  std::map<std::string, std::uint64_t> answers;
  auto count = [&](auto& into, errc code) {
    std::lock_guard guard{mutex};
    ++into[std::string{name_of(code)}];
  };
  auto begun = steady::now();
  {
    std::jthread asker{[&](const std::stop_token& ends) {
      while (!ends.stop_requested()) {
        auto answer = me.request<std::string>(to_agent("sink"), what.patience, "hello"s);
        count(answers, answer ? errc::none : answer.error().code);
      }
    }};
    std::vector<std::jthread> senders;
    for (std::uint32_t thread = 0; thread < what.threads; ++thread)
      senders.emplace_back([&, thread] {
        for (std::uint32_t number = 0; number < what.messages; ++number) {
          auto sent = me.send(to_agent("sink"), thread, round * what.messages + number, text);
          if (sent)
            ++taken;
          else
            count(refused, sent.error().code);
        }
      });
  }
  auto sent_after = steady::now() - begun;
  auto seen = *before;
  testing::comes_true(
    [&] {
      if (seen.first - before->first < taken)
        seen = ask_sink(me).value_or(seen);
      return seen.first - before->first >= taken;
    },
    what.patience);
  auto term_after = me.voters().list(20s);
  return {{"taken", taken.load()},
          {"refused", refused},
          {"answers", answers},
          {"arrived", seen.first - before->first},
          {"disorder", seen.second - before->second},
          {"pings", pings->end()},
          {"led", leads_before},
          {"leads", me.is_host()},
          {"terms", (term_before && term_after) ? term_after->term - term_before->term : 999},
          {"sent_ms", std::chrono::duration<double, std::milli>(sent_after).count()}};
}

/// Asks the sink so often at once through `router`. Returns what came of it: codes, and how often.
std::map<std::string, std::uint64_t> question(caf::actor_system& sys, const caf::actor& router,
                                              const order& what) {
  caf::scoped_actor self{sys};
  auto ask = [&] {
    return self->request(
      router, what.patience + 1s,
      router::dispatch{to_agent("sink"),
                       {},
                       what.patience,
                       caf::make_message(caf::get_atom_v, std::uint64_t{what.bytes})});
  };
  std::vector<decltype(ask())> open;
  for (std::uint32_t each = 0; each < what.messages; ++each)
    open.push_back(ask());
  std::map<std::string, std::uint64_t> result;
  for (auto& each : open)
    each.receive(
      [&](const std::string&) { ++result["none"]; },
      [&](const caf::error& why) { ++result[std::string{name_of(to_problem(why).code)}]; });
  return result;
}

nlohmann::json question(node& me, const order& what) {
  auto echo = me.find("echo", 20s);
  if (!echo)
    fail(echo.error());
  auto term_before = me.voters().list(20s);
  pinger pings{me, *echo};
  auto answers = question(me.system(), me.router(), what);
  auto term_after = me.voters().list(20s);
  return {{"answers", answers},
          {"pings", pings.end()},
          {"led", true},
          {"leads", me.is_host()},
          {"terms", (term_before && term_after) ? term_after->term - term_before->term : 999}};
}

void ask(char** words) {
  auto made = cluster_client::connect({*net::address::from_string(words[0])}, 20s,
                                      test::client_links(), test::client_identity());
  if (!made)
    fail(made.error());
  auto& me = **made;
  auto patience = std::chrono::seconds{std::stoul(words[1])};
  auto bytes = std::uint64_t{std::stoul(words[3])};
  std::mutex mutex;
  std::map<std::string, std::uint64_t> answers;
  {
    std::vector<std::jthread> askers;
    for (auto left = std::stoul(words[2]); left > 0; --left)
      askers.emplace_back([&] {
        auto got = me.request<std::string>(to_agent("sink"), patience, caf::get_atom_v, bytes);
        std::lock_guard guard{mutex};
        ++answers[std::string{name_of(got ? errc::none : got.error().code)}];
      });
  }
  std::cout << nlohmann::json(answers).dump() << std::endl;
}

void send(char** words, bool has_bounds) {
  node_options how;
  if (has_bounds) {
    how.router.window_bytes = std::stoull(words[6]);
    how.router.max_waiting_bytes = std::stoull(words[7]);
  }
  auto me = start({words[0], 0}, words[1], std::move(how));
  std::cout << me.port() << std::endl;
  auto is_whole = [&] {
    auto now = me.voters().list(20s);
    return now && now->seats.size() == 3
           && std::ranges::all_of(now->seats, &cluster::seat_view::votes) && me.find("sink");
  };
  if (!testing::comes_true(is_whole, 60s))
    fail("three voters and the sink are not there");
  std::cout << "whole" << std::endl;
  order what{std::chrono::seconds{std::stoul(words[2])},
             static_cast<std::uint32_t>(std::stoul(words[3])),
             static_cast<std::uint32_t>(std::stoul(words[4])), std::stoul(words[5])};
  std::uint32_t round = 0;
  for (auto which = next_signal(); which != SIGTERM; which = next_signal())
    std::cout << (which == SIGUSR1 ? burst(me, what, round++) : question(me, what)).dump()
              << std::endl;
}

} // namespace

int main(int argc, char** argv) {
  auto blocked = used_signals(); // before there are threads
  sigprocmask(SIG_BLOCK, &blocked, nullptr);
  troupe::init();
  if ((argc == 7 || argc == 8) && argv[1] == "serve"s)
    serve(argv + 2, argc == 8);
  else if ((argc == 8 || argc == 10) && argv[1] == "send"s)
    send(argv + 2, argc == 10);
  else if (argc == 6 && argv[1] == "ask"s)
    ask(argv + 2);
  else
    fail("see the source for its usage");
  return 0;
}
