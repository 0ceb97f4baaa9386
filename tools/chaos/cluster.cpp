#include "chaos/cluster.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

#include "cli.hpp"
#include "connect.hpp"
#include "troupe/sim/laws/raft_event_laws.hpp"
#include "troupe/testing/comes_true.hpp"
#include "troupe/testing/throwaway_ca.hpp"

namespace cli::chaos {

using namespace troupe;
using namespace std::literals;

namespace {

/// Entries of the log that come while one looks.
constexpr std::uint64_t a_moment_behind = 64;

/// Refuses a folder with files: lines of another run would be checked with those of this one.
problem prepare_raft_log(const std::filesystem::path& folder) {
  std::error_code failed;
  if (folder.empty() || std::filesystem::create_directories(folder, failed)
      || (!failed && std::filesystem::is_empty(folder, failed) && !failed))
    return {};
  return {errc::bad_argument, "--raft-log is '" + folder.string() + "'; give an empty folder"};
}

} // namespace

chaos_cluster::chaos_cluster(options how, network& links) : how_(std::move(how)), network_(links) {}

chaos_cluster::~chaos_cluster() {
  stop_removing_ = true;
}

problem chaos_cluster::start() {
  if (auto why = prepare_raft_log(how_.raft_log))
    return why;
  for (std::size_t number = 0; number < how_.nodes; ++number) {
    auto where = network_.add_node();
    if (!where)
      return where.error();
    nodes_.push_back({"n" + std::to_string(number + 1), *std::move(where), {}});
  }
  testing::throwaway_ca ca{how_.folder / "ca"};
  for (auto& each : nodes_)
    ca.issue(how_.folder / each.name, each.name);
  for (auto& each : nodes_)
    if (auto why = start(each, &each == &nodes_.front()))
      return why;
  auto eye = connect();
  if (!eye)
    return eye.error();
  eye_ = std::move(*eye);
  return wait_until_whole(60s)
           ? problem{}
           : problem{errc::timed_out,
                     "the nodes did not form a cluster within 60 s; see their log above"};
}

result<std::unique_ptr<cluster_client>> chaos_cluster::connect(std::size_t first) const {
  std::vector<net::address> fronts;
  for (std::size_t count = 0; count < nodes_.size(); ++count)
    fronts.push_back(nodes_[(first + count) % nodes_.size()].where.front);
  // Each has an identity of its own, as those with one certificate have a bound together.
  auto identity = how_.folder / ("client" + std::to_string(first));
  if (!security::has_certificates(identity))
    testing::throwaway_ca{how_.folder / "ca"}.issue(identity, "client", security::role::client);
  return cluster_client::connect(std::move(fronts), 20s, {}, identity);
}

problem chaos_cluster::start(node& which, bool founds) {
  if (how_.is_interrupted())
    return {errc::cancelled, "interrupted"};
  std::vector<std::string> words{"--listen",    to_string(which.where.listen),
                                 "--advertise", to_string(which.where.front),
                                 "--data",      how_.folder / which.name,
                                 "--voters",    std::to_string(how_.voters),
                                 "--timers",    how_.timers};
  if (!founds)
    for (auto& each : nodes_)
      if (&each != &which)
        words.insert(words.end(), {"--join", to_string(each.where.front)});
  if (!how_.raft_log.empty())
    words.insert(words.end(), {"--raft-log", how_.raft_log / (which.name + ".jsonl")});
  if (how_.seen != nullptr)
    words.insert(words.end(), {"--membership-log", how_.seen->start(which.name)});
  words.insert(words.end(), how_.words.begin(), how_.words.end());
  network_.at(which.where.host, [&] {
    which.process = start_node(how_.self, which.name, words, how_.folder / (which.name + ".log"));
  });
  if (!which.process)
    return {errc::failed, "node " + which.name + " did not start; see its log above"};
  if (how_.seen != nullptr)
    how_.seen->ready(which.name, which.process->id);
  return {};
}

std::optional<std::size_t> chaos_cluster::number_at(const std::string& address) const {
  auto found
    = std::ranges::find(nodes_, address, [](auto& each) { return to_string(each.where.front); });
  if (found == nodes_.end())
    return std::nullopt;
  return static_cast<std::size_t>(found - nodes_.begin());
}

std::optional<cluster::voters_view> chaos_cluster::look_at_seats(duration wait) {
  auto found = eye_->voters().list(wait);
  if (!found)
    return std::nullopt;
  voting_.clear();
  for (auto& each : found->seats)
    if (auto number = number_at(each.address); number && each.votes)
      voting_.insert(*number);
  return *std::move(found);
}

std::size_t chaos_cluster::leader() {
  if (auto found = look_at_seats(300ms))
    for (auto& each : found->seats)
      if (auto number = number_at(each.address); number && each.leads) {
        leader_ = *number;
        elections_ += found->term > last_term_.value_or(found->term) ? 1 : 0;
        last_term_ = found->term;
      }
  return leader_;
}

/// Up to `count` nodes, chosen at random by `dice`, at most `most_voters` of them voters.
std::set<std::size_t> chaos_cluster::some(std::size_t count, std::uint64_t dice,
                                          std::optional<std::size_t> without,
                                          std::size_t most_voters) const {
  auto others = nodes_.size() - voting_.size();
  count = std::min(count, others + std::min(most_voters, voting_.size()));
  random_source random{dice};
  std::set<std::size_t> chosen;
  for (std::size_t voters = 0; chosen.size() < count;) {
    auto number = static_cast<std::size_t>(random.below(nodes_.size()));
    auto votes = voting_.contains(number);
    if (number == without || (votes && voters == most_voters) || !chosen.insert(number).second)
      continue;
    voters += votes ? 1 : 0;
  }
  return chosen;
}

std::vector<direction> chaos_cluster::around(const std::set<std::size_t>& which,
                                             bool clients_too) const {
  std::vector<direction> found;
  auto add = [&](const std::string& one, const std::string& other) {
    found.emplace_back(one, other);
    found.emplace_back(other, one);
  };
  for (auto inside : which) {
    auto& host = nodes_[inside].where.host;
    if (clients_too)
      add(host, network_.client_host());
    for (std::size_t other = 0; other < nodes_.size(); ++other)
      if (!which.contains(other))
        add(host, nodes_[other].where.host);
  }
  return found;
}

std::vector<direction> chaos_cluster::everywhere(bool clients_too) const {
  std::vector<direction> found;
  for (std::size_t each = 0; each < nodes_.size(); ++each) {
    auto more = around({each}, clients_too);
    found.insert(found.end(), more.begin(), more.end());
  }
  return found;
}

std::set<std::size_t> chaos_cluster::all_but(const std::set<std::size_t>& which) const {
  std::set<std::size_t> others;
  for (std::size_t each = 0; each < nodes_.size(); ++each)
    if (!which.contains(each))
      others.insert(each);
  return others;
}

void chaos_cluster::note(const std::string& what, std::size_t which) const {
  if (how_.seen != nullptr)
    how_.seen->note(what, nodes_[which].name);
}

/// Without sides: each node is alone.
void chaos_cluster::note_cut(const std::vector<std::set<std::size_t>>& sides) const {
  if (how_.seen == nullptr)
    return;
  std::vector<std::vector<std::string>> named;
  for (auto& side : sides) {
    auto& names = named.emplace_back();
    for (auto each : side)
      names.push_back(nodes_[each].name);
  }
  for (auto& each : nodes_)
    if (sides.empty())
      named.push_back({each.name});
  how_.seen->cut(named);
}

result<std::string> chaos_cluster::begin(const fault& what, const std::function<void()>& begins) {
  auto leads = leader();
  auto minority = (std::max(voting_.size(), how_.voters) - 1) / 2;
  if (what.kind != fault_kind::members) {
    begins();
    return begin(what.kind, what.dice, leads, minority);
  }
  auto chosen = std::next(
    voting_.begin(), static_cast<std::ptrdiff_t>(random_source{what.dice}.below(voting_.size())));
  auto which = outside_.value_or(*chosen); // one that could not be added again yet
  remove_voter(which);
  auto words = std::string{name_of(what.kind)} + ": " + nodes_[which].name
               + (which == leads ? " (leader)" : "") + " is removed and added again";
  if (!what.beside)
    return words;
  if (what.dice / 17 % 2 == 0) // so that the fault affects the group with one voter less
    removing_.wait_for(2s);
  begins();
  // A minority of the group with one voter less; a cluster of three has none.
  auto beside = begin(*what.beside, what.dice / 19, leader(),
                      std::max<std::size_t>((minority * 2 - 1) / 2, 1));
  if (!beside)
    return beside.error();
  return words + ", beside " + *beside;
}

result<std::string> chaos_cluster::begin(fault_kind kind, std::uint64_t dice, std::size_t leads,
                                         std::size_t most_voters) {
  auto most = nodes_.size() > how_.voters ? (nodes_.size() - 1) / 2 : most_voters;
  auto few = 1 + static_cast<std::size_t>(dice % most);
  auto also_clients = dice / 7 % 2 == 0;
  std::set<std::size_t> whom{leads};
  auto words = std::string{name_of(kind)};
  problem why;
  switch (kind) {
    case fault_kind::kill_all:
      whom = all_but({});
      kill(whom);
      break;
    case fault_kind::kill_others:
      whom = some(few, dice, leads, most_voters);
      [[fallthrough]];
    case fault_kind::kill_leader:
      kill(whom);
      break;
    case fault_kind::pause_others:
      whom = some(few, dice, leads, most_voters);
      [[fallthrough]];
    case fault_kind::pause_leader:
      for (auto each : whom) {
        note("stop", each);
        nodes_[each].process->process.send_signal(SIGSTOP);
      }
      paused_ = whom;
      break;
    case fault_kind::isolate_minority:
      whom = some(few, dice, leads, most_voters);
      [[fallthrough]];
    case fault_kind::isolate_leader:
      note_cut({whom, all_but(whom)});
      why = network_.cut(around(whom, also_clients));
      words += also_clients ? " from nodes and clients" : " from nodes";
      break;
    case fault_kind::isolate_all:
      whom.clear();
      note_cut({});
      why = network_.cut(everywhere(false));
      break;
    case fault_kind::one_way: {
      whom = some(1, dice, {}, 1);
      auto& victim = nodes_[*whom.begin()].where.host;
      auto is_deaf = dice / 11 % 2 == 0;
      words += is_deaf ? ", is heard and does not hear" : ", hears and is not heard";
      auto which = around(whom, false);
      std::erase_if(which, [&](auto& each) { return (each.second == victim) != is_deaf; });
      note_cut({whom, all_but(whom)}); // neither can ask the other
      why = network_.cut(which);
      break;
    }
    case fault_kind::slow:
      whom.clear();
      why = network_.slow(everywhere(false), dice / 13);
      break;
    case fault_kind::reset:
      whom.clear();
      why = network_.reset(everywhere(true));
      break;
    case fault_kind::unlink_leader: {
      auto other = *some(1, dice, leads, 1).begin();
      whom.insert(other);
      note_cut({all_but({})}); // all reach each other, those two through the others
      auto& host = nodes_[leads].where.host;
      auto& other_host = nodes_[other].where.host;
      why = network_.cut({{host, other_host}, {other_host, host}});
      break;
    }
    case fault_kind::end_others:
      whom = some(few, dice, leads, most_voters);
      for (auto each : whom) {
        note("leave", each);
        nodes_[each].process->process.send_signal(SIGTERM);
        nodes_[each].process->process.wait_for_end();
      }
      killed_ = whom;
      break;
    case fault_kind::restart_all:
      whom.clear();
      why = restart_all();
      break;
    case fault_kind::starve_others:
      whom = some(std::max<std::size_t>(nodes_.size() / 10, 1), dice, leads, most_voters);
      starve(whom);
      break;
    case fault_kind::members:
      return problem{errc::bad_argument, "members cannot be combined with members"};
  }
  if (why)
    return why;
  for (auto each : whom)
    words += (each == *whom.begin() ? ": " : ", ") + nodes_[each].name
             + (each == leads ? " (leader)" : "");
  return words;
}

void chaos_cluster::kill(const std::set<std::size_t>& which) {
  for (auto each : which) {
    note("kill", each);
    nodes_[each].process->process.send_signal(SIGKILL);
  }
  for (auto each : which)
    nodes_[each].process->process.wait_for_end();
  killed_ = which;
}

problem chaos_cluster::restart_all() {
  for (std::size_t number = 0; number < nodes_.size(); ++number) {
    auto& each = nodes_[number];
    note("leave", number);
    each.process->process.send_signal(SIGTERM);
    each.process->process.wait_for_end();
    if (auto why = start(each, false))
      return why;
    auto is_back = [&] {
      auto found = look_at_seats(1s);
      if (!found)
        return how_.is_interrupted();
      auto seat = std::ranges::find(found->seats, to_string(each.where.front),
                                    &cluster::seat_view::address);
      return how_.is_interrupted() || seat == found->seats.end() || seat->leads
             || (seat->lag && *seat->lag < a_moment_behind && seat->silent_for < 2s);
    };
    if (!testing::comes_true(is_back, 30s))
      return {errc::timed_out, "node " + each.name
                                 + " did not catch up within 30 s of its restart; "
                                   "see its log above"};
  }
  return {};
}

void chaos_cluster::starve(const std::set<std::size_t>& which) {
  std::vector<testing::child_process*> whom;
  for (auto each : which)
    whom.push_back(&nodes_[each].process->process);
  starving_ = std::jthread{[whom](const std::stop_token& ends) {
    auto send = [&](int signal) {
      for (auto* each : whom)
        each->send_signal(signal);
    };
    do {
      send(SIGSTOP);
      sleep_unless(ends, 900ms);
      send(SIGCONT);
    } while (sleep_unless(ends, 100ms));
  }};
}

problem chaos_cluster::heal() {
  auto why = network_.heal();
  if (!why && how_.seen != nullptr)
    how_.seen->heal();
  return why;
}

problem chaos_cluster::end() {
  starving_ = {};
  for (auto each : std::exchange(paused_, {})) {
    nodes_[each].process->process.send_signal(SIGCONT);
    note("cont", each);
  }
  auto killed = std::exchange(killed_, {});
  std::vector<std::size_t> order{killed.begin(), killed.end()};
  // Others are ready only once somebody leads.
  std::ranges::stable_partition(order, [this](auto each) { return voting_.contains(each); });
  for (auto each : order)
    if (auto why = start(nodes_[each], false))
      return why;
  add_voter();
  return {};
}

problem chaos_cluster::change_voters(cluster::voter_change what, const std::string& name,
                                     duration wait, const std::atomic<bool>& over) const {
  auto deadline = std::chrono::steady_clock::now() + wait;
  problem last{errc::timed_out, "there was no time to ask for it"};
  while (!over && std::chrono::steady_clock::now() < deadline) {
    auto is_forced = what == cluster::voter_change::remove; // no other node can take its place
    auto changed = eye_->voters().change({what, name, is_forced}, 2s);
    if (changed)
      return {};
    last = changed.error();
    std::this_thread::sleep_for(100ms);
  }
  return last;
}

void chaos_cluster::remove_voter(std::size_t which) {
  outside_ = which;
  stop_removing_ = false;
  removing_ = std::async(std::launch::async, [this, name = nodes_[which].name] {
    return change_voters(cluster::voter_change::remove, name, 20s, stop_removing_);
  });
}

/// Adds the voter that was removed. If it cannot be added now, wait_until_whole() tries again.
void chaos_cluster::add_voter() {
  if (!outside_)
    return;
  if (removing_.valid()) {
    if (!how_.is_interrupted())
      removing_.wait_for(3s); // the obstacle is gone
    stop_removing_ = true;
    removed_ += !removing_.get() ? 1 : 0;
  }
  if (how_.is_interrupted())
    return;
  std::atomic<bool> never = false;
  if (change_voters(cluster::voter_change::add, nodes_[*outside_].name, 15s, never).code
      != errc::none)
    return;
  ++added_;
  outside_.reset();
}

bool chaos_cluster::is_whole() {
  auto found = eye_->services().registry.ask(registry::count_records{}, 1s);
  if (!found || found->nodes.active != nodes_.size())
    return false;
  auto group = look_at_seats(1s);
  auto votes = [](auto& each) { return each.votes && each.silent_for < 2s; };
  if (!group || static_cast<std::size_t>(std::ranges::count_if(group->seats, votes)) < how_.voters)
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
    if (auto why = laws.read(in, each.name + ".jsonl"))
      return {why.detail};
  }
  if (laws.applied() == 0)
    return {"the nodes wrote no Raft log in " + how_.raft_log.string()};
  return laws.violations();
}

bool chaos_cluster::wait_until_whole(duration wait) {
  add_voter();
  return testing::comes_true([this] { return how_.is_interrupted() || is_whole(); }, wait)
         && !how_.is_interrupted();
}

} // namespace cli::chaos
