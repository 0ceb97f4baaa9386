#include "chaos_cluster.hpp"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>
#include <utility>

#include "connect.hpp"
#include "troupe/sim/raft_event_laws.hpp"
#include "troupe/testing/comes_true.hpp"

namespace cli::chaos {

using namespace troupe;
using namespace std::literals;

namespace {

constexpr auto client_host = "127.0.0.1";

/// A port of `host` that nobody listens at. Below those that the system gives to calls, as one
/// of these would be in the way of a node that comes back.
result<std::uint16_t> free_port(const std::string& host, random_source& random) {
  problem last;
  for (auto count = 0; count < 100; ++count) {
    auto port = static_cast<std::uint16_t>(20'000 + random.below(12'000));
    auto where = net::resolve({host, port});
    if (!where)
      return where.error();
    auto made = net::start_listen(where->front());
    if (made)
      return port;
    last = made.error();
  }
  return last;
}

/// Lines of another run would be judged with those of this one.
problem prepare_raft_log(const std::filesystem::path& folder) {
  std::error_code failed;
  if (folder.empty() || std::filesystem::create_directories(folder, failed)
      || (!failed && std::filesystem::is_empty(folder, failed) && !failed))
    return {};
  return {errc::bad_argument, "--raft-log is '" + folder.string() + "'; give an empty folder"};
}

} // namespace

chaos_cluster::chaos_cluster(options how) : how_(std::move(how)), network_(how_.seed) {}

problem chaos_cluster::start() {
  if (auto why = prepare_raft_log(how_.raft_log); why.code != errc::none)
    return why;
  random_source random{how_.seed ^ static_cast<std::uint64_t>(::getpid())};
  for (std::size_t number = 0; number < how_.nodes; ++number) {
    node made{"n" + std::to_string(number + 1), "127.0.0." + std::to_string(number + 2), 0, {}, {}};
    auto port = free_port(made.host, random);
    if (!port)
      return port.error();
    made.port = *port;
    auto front = network_.open(made.host, {made.host, made.port});
    if (!front)
      return front.error();
    made.front = *front;
    nodes_.push_back(std::move(made));
  }
  for (auto& each : nodes_)
    if (auto why = start(each, &each == &nodes_.front()); why.code != errc::none)
      return why;
  auto eye = cluster_client::connect(fronts(), 20s);
  if (!eye)
    return eye.error();
  eye_ = std::move(*eye);
  return wait_until_whole(30s)
           ? problem{}
           : problem{errc::timed_out,
                     "the nodes were no cluster within 30 s; see above what they said"};
}

std::vector<net::address> chaos_cluster::fronts(std::size_t first) const {
  std::vector<net::address> result;
  for (std::size_t count = 0; count < nodes_.size(); ++count)
    result.push_back(nodes_[(first + count) % nodes_.size()].front);
  return result;
}

problem chaos_cluster::start(node& which, bool founds) {
  if (how_.is_interrupted())
    return {errc::cancelled, "interrupted"};
  std::vector<std::string> words{"--listen",    to_string(net::address{which.host, which.port}),
                                 "--advertise", to_string(which.front),
                                 "--data",      how_.folder / which.name,
                                 "--voters",    std::to_string(nodes_.size()),
                                 "--timers",    how_.timers};
  if (!founds)
    for (auto& each : nodes_)
      if (&each != &which)
        words.insert(words.end(), {"--join", to_string(each.front)});
  if (!how_.raft_log.empty())
    words.insert(words.end(), {"--raft-log", how_.raft_log / (which.name + ".jsonl")});
  words.insert(words.end(), how_.words.begin(), how_.words.end());
  which.process = start_node(how_.self, which.name, words, how_.folder / (which.name + ".log"));
  return which.process
           ? problem{}
           : problem{errc::failed, "node " + which.name + " did not start; see above what it said"};
}

std::size_t chaos_cluster::leader() {
  auto found = eye_->voters().list(300ms);
  if (found)
    for (auto& each : found->seats)
      for (std::size_t number = 0; each.leads && number < nodes_.size(); ++number)
        if (to_string(nodes_[number].front) == each.address) {
          leader_ = number;
          first_term_ = first_term_.value_or(found->term);
          last_term_ = found->term;
        }
  return leader_;
}

/// `count` nodes, chosen by the dice.
std::set<std::size_t> chaos_cluster::some(std::size_t count, std::uint64_t dice,
                                          std::optional<std::size_t> without) const {
  random_source random{dice};
  std::set<std::size_t> chosen;
  while (chosen.size() < count)
    if (auto number = static_cast<std::size_t>(random.below(nodes_.size())); number != without)
      chosen.insert(number);
  return chosen;
}

void chaos_cluster::cut(const std::string& from, const std::string& to) {
  network_.set_path(from, to, {.cut = true});
}

void chaos_cluster::cut_off(const std::set<std::size_t>& which, bool from_clients) {
  for (auto inside : which) {
    auto& host = nodes_[inside].host;
    if (from_clients) {
      cut(client_host, host);
      cut(host, client_host);
    }
    for (std::size_t other = 0; other < nodes_.size(); ++other)
      if (!which.contains(other)) {
        cut(host, nodes_[other].host);
        cut(nodes_[other].host, host);
      }
  }
}

std::string chaos_cluster::begin(const fault& what) {
  auto leads = leader();
  auto minority = (nodes_.size() - 1) / 2;
  auto few = 1 + static_cast<std::size_t>(what.dice % minority);
  auto also_clients = what.dice / 7 % 2 == 0;
  std::set<std::size_t> whom{leads};
  auto words = std::string{name_of(what.kind)};
  switch (what.kind) {
    case fault_kind::kill_others:
      whom = some(few, what.dice, leads);
      [[fallthrough]];
    case fault_kind::kill_leader:
      for (auto each : whom) {
        nodes_[each].process->process.send_signal(SIGKILL);
        nodes_[each].process->process.wait_for_end();
      }
      killed_ = whom;
      break;
    case fault_kind::pause_others:
      whom = some(few, what.dice, leads);
      [[fallthrough]];
    case fault_kind::pause_leader:
      for (auto each : whom)
        nodes_[each].process->process.send_signal(SIGSTOP);
      paused_ = whom;
      break;
    case fault_kind::isolate_minority:
      whom = some(few, what.dice, leads);
      [[fallthrough]];
    case fault_kind::isolate_leader:
      cut_off(whom, also_clients);
      words += also_clients ? " from nodes and clients" : " from nodes";
      break;
    case fault_kind::isolate_all:
      whom.clear();
      for (std::size_t each = 0; each < nodes_.size(); ++each)
        cut_off({each}, false);
      break;
    case fault_kind::one_way: {
      whom = some(1, what.dice, {});
      auto& victim = nodes_[*whom.begin()];
      auto is_deaf = what.dice / 11 % 2 == 0;
      words += is_deaf ? ", is heard and does not hear" : ", hears and is not heard";
      for (auto& each : nodes_)
        if (&each != &victim)
          is_deaf ? cut(each.host, victim.host) : cut(victim.host, each.host);
      break;
    }
    case fault_kind::slow:
      whom.clear();
      for (auto& from : nodes_)
        for (auto& to : nodes_)
          if (&from != &to)
            network_.set_path(from.host, to.host,
                              {.delay = 10ms + 1ms * static_cast<int>(what.dice / 13 % 50),
                               .jitter = 50ms,
                               .bytes_per_second = 200'000});
      break;
    case fault_kind::reset:
      whom.clear();
      for (auto& one : nodes_) {
        network_.reset(one.host, client_host);
        for (auto& other : nodes_)
          network_.reset(one.host, other.host);
      }
  }
  for (auto each : whom)
    words += (each == *whom.begin() ? ": " : ", ") + nodes_[each].name
             + (each == leads ? " (leader)" : "");
  return words;
}

problem chaos_cluster::end() {
  network_.heal();
  for (auto each : std::exchange(paused_, {}))
    nodes_[each].process->process.send_signal(SIGCONT);
  for (auto each : std::exchange(killed_, {}))
    if (auto why = start(nodes_[each], false); why.code != errc::none)
      return why;
  return {};
}

bool chaos_cluster::is_whole() {
  auto found = eye_->services().registry.ask(registry::count_records{}, 1s);
  if (!found || found->nodes.active != nodes_.size())
    return false;
  auto group = eye_->voters().list(1s);
  auto votes = [](auto& each) { return each.votes && each.silent_for < 2s; };
  if (!group || std::ranges::count_if(group->seats, votes) != std::ssize(nodes_))
    return false;
  auto workers = eye_->services().scheduler.ask(scheduler::list_workers{}, 1s);
  return workers && workers->workers.size() >= nodes_.size();
}

std::vector<std::string> chaos_cluster::judge_replicas() const {
  sim::raft_event_laws laws;
  if (how_.raft_log.empty())
    return {};
  for (auto& each : nodes_) {
    std::ifstream in{how_.raft_log / (each.name + ".jsonl")};
    if (auto why = laws.read(in, each.name + ".jsonl"); why.code != errc::none)
      return {why.detail};
  }
  if (laws.applied() == 0)
    return {"the nodes wrote no Raft log in " + how_.raft_log.string()};
  return laws.violations();
}

bool chaos_cluster::wait_until_whole(duration wait) {
  return testing::comes_true([this] { return how_.is_interrupted() || is_whole(); }, wait)
         && !how_.is_interrupted();
}

} // namespace cli::chaos
