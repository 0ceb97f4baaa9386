// A group that keeps state, alone with a disk that costs nothing: what it takes to fill it with
// keys, how long a snapshot of them is in the way, and how long a restart takes from that snapshot
// and the entries behind it.
//
//   group_snapshot_benchmark [KEYS]
//
// frozen_s: the service stands still and freezes its state; group_s: the group does, which sends
// heartbeats. aside_s: another thread writes the state down, hashes it and makes a snapshot of it,
// while all go on. install_s: the state is read again; replay_s: the entries behind it are. All in
// seconds of the processor, as at any time one thread works and the others wait for it.

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <future>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "troupe/core/visit.hpp"
#include "troupe/group/group_core.hpp"
#include "troupe/host/replicated_core.hpp"
#include "troupe/platform/worker_thread.hpp"
#include "troupe/state/state_table.hpp"

namespace {

using namespace troupe;
using namespace troupe::host;

constexpr service_id the_service = 1;
/// Puts asked for at once; as many go into one entry.
constexpr std::uint64_t at_once = 1'000;
/// Puts behind the snapshot, at most.
constexpr std::uint64_t tail = 10'000;

double seconds_of(const std::function<void()>& job) {
  auto begin = std::clock();
  job();
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

/// The only member of a group, and its service.
class lone_node {
public:
  using service = replicated_core<state::state_table>;

  explicit lone_node(const raft::stored_state& stored)
    : group_(raft::member_id{1}, how(), {{the_service, 1}}, stored, time_point{}) {}

  /// Leads from here on, and has stepped what is in its log.
  void begin() {
    give([this](auto& out) { group_.tick(*group_.next_deadline(), out); });
  }

  void put(std::uint64_t first, std::uint64_t count) {
    service::effects made;
    for (auto each = first; each < first + count; ++each) {
      state::put what{{state::consistency::strong, state::value_type::lww_register,
                       "key-" + std::to_string(each)},
                      state::to_value(std::string(100, 'v'))};
      service_.step(time_point{}, 0, command<state::state_table>{{}, std::move(what)}, made);
    }
    carry_out(made);
  }

  void configure(std::uint64_t keys) {
    state::state_options wanted;
    wanted.max_keys = static_cast<std::uint32_t>(2 * keys + at_once);
    wanted.max_bytes = std::uint64_t{1} << 36U;
    service::effects made;
    service_.step(time_point{}, 0, notice<state::state_table>{state::configure{wanted, 0}}, made);
    carry_out(made);
  }

  void save() {
    frozen_s = aside_s = 0;
    again(group_core::snapshot_now{});
  }

  void install(const std::string& bytes) {
    give([&](auto& out) {
      if (auto why = group_.begin(bytes, out))
        fail(why);
    });
  }

  /// What the disk would have.
  raft::stored_state disk;
  std::optional<raft::snapshot> newest;

  /// Of the snapshot.
  double frozen_s = 0;
  double aside_s = 0;

  [[nodiscard]] std::uint64_t keys() const {
    return service_.answer(state::count_entries{}).strong.keys;
  }

private:
  static group_options how() {
    group_options made;
    made.consensus.seed = 1;
    made.snapshot_every = 1'000'000'000; // when we say so
    return made;
  }

  [[noreturn]] static void fail(const problem& why) {
    std::cerr << "group_snapshot: " << why.detail << '\n';
    std::exit(EXIT_FAILURE);
  }

  template <class Job>
  void give(Job job) {
    group_core::effects out;
    job(out);
    carry_out(out);
  }

  template <class Effects>
  void carry_out(Effects& out) {
    for (auto& what : out)
      troupe::visit([this](auto& each) { handle(each); }, what);
  }

  void again(group_core::event what) {
    give([&](auto& out) { group_.step(time_point{}, 0, std::move(what), out); });
  }

  /// What a node leaves to another thread.
  void run_aside(const std::function<void()>& job) {
    aside_s += seconds_of([&] {
      std::promise<void> done;
      scribe_.run([&] {
        job();
        done.set_value();
      });
      done.get_future().wait();
    });
  }

  template <class Event>
  void tell(Event what) {
    service::effects made;
    service_.step(time_point{}, 0, std::move(what), made);
    carry_out(made);
  }

  template <class Other>
  void handle(Other&) {}

  void handle(group_core::write& what) {
    if (what.vote)
      disk.last_ballot = *what.vote;
    disk.entries.insert(disk.entries.end(), what.entries.begin(), what.entries.end());
    again(raft::replica::event{raft::replica::written{what.number}});
  }

  void handle(group_core::save& what) {
    run_aside([&] {
      newest = group_core::to_snapshot(what);
      disk.base = what.header;
      std::erase_if(disk.entries, [&](auto& each) { return each.index <= disk.base.index; });
    });
    again(group_core::saved{what.header.index, true});
  }

  void handle(group_core::deliver& what) {
    tell(service::committed{std::move(what.payload)});
  }

  void handle(group_core::lead& what) {
    tell(service::leads{what.term});
  }

  void handle(group_core::take_section& what) {
    std::function<std::string()> write;
    group_core::section made;
    frozen_s += seconds_of([&] { write = service_.frozen_section(); });
    run_aside([&] {
      made = group_core::section_of(the_service, what.index, std::exchange(write, nullptr)());
    });
    again(std::move(made));
  }

  void handle(group_core::restore_section& what) {
    service::effects made;
    if (auto why = service_.restore_section(what.bytes, made))
      fail(why);
    carry_out(made);
  }

  void handle(group_core::stop& what) {
    fail(what.why);
  }

  void handle(service::propose& what) {
    again(group_core::propose{the_service, std::move(what.what)});
  }

  void handle(service::diverged& what) {
    fail(what.why);
  }

  group_core group_;
  service service_{7};
  worker_thread scribe_{"snapshot"};
};

raft::stored_state only_voter() {
  raft::stored_state made;
  made.base.members.members[{1}] = {true, ""};
  return made;
}

} // namespace

int main(int count, char** words) {
  std::uint64_t keys = count > 1 ? std::stoull(words[1]) : 1'000'000;
  lone_node first{only_voter()};
  first.disk = only_voter();
  first.begin();
  first.configure(keys);
  auto fill = seconds_of([&] {
    for (std::uint64_t each = 0; each < keys; each += at_once)
      first.put(each, std::min(at_once, keys - each));
  });
  auto snapshot = seconds_of([&] { first.save(); });
  auto behind = std::min(tail, keys);
  for (std::uint64_t each = 0; each < behind; each += at_once)
    first.put(each, std::min(at_once, behind - each));

  std::optional<lone_node> second;
  auto install = seconds_of([&] {
    second.emplace(first.disk);
    second->install(*first.newest->bytes);
  });
  auto replay = seconds_of([&] { second->begin(); });
  if (second->keys() != keys || first.keys() != keys) {
    std::cerr << "group_snapshot: " << second->keys() << " keys came back of " << keys << '\n';
    return EXIT_FAILURE;
  }
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  std::cout << nlohmann::ordered_json{{"benchmark", "group_snapshot"},
                                      {"keys", keys},
                                      {"puts_per_s", static_cast<double>(keys) / fill},
                                      {"snapshot_bytes", first.newest->bytes->size()},
                                      {"frozen_s", first.frozen_s},
                                      {"group_s", snapshot - first.frozen_s - first.aside_s},
                                      {"aside_s", first.aside_s},
                                      {"install_s", install},
                                      {"replayed_puts", behind},
                                      {"replay_s", replay},
                                      {"peak_rss_bytes",
                                       static_cast<std::uint64_t>(used.ru_maxrss) * 1024}}
            << '\n';
}
