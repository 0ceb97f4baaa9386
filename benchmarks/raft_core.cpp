// Raft alone: three replicas in one thread, whose disks and links cost nothing. Entries
// committed a second, by the commands in one proposal, and what a restart with a long log costs.
//
//   raft_core_benchmark [ENTRIES]

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/raft/replica.hpp"

namespace {

using namespace troupe;
using namespace troupe::raft;

/// Three replicas, voters all; the first one leads.
class group {
public:
  group() {
    stored_state disk;
    for (std::uint64_t each = 1; each <= 3; ++each)
      disk.base.members.members[{each}] = {true, ""};
    for (std::uint64_t each = 1; each <= 3; ++each) {
      auto how = lan();
      how.seed = each;
      replicas_.push_back(std::make_unique<replica>(member_id{each}, how, disk, time_point{}));
    }
    replica::effects out;
    replicas_[0]->tick(*replicas_[0]->next_deadline(), out);
    carry_out(1, out);
    deliver();
  }

  /// Puts `count` commands into the log as one and sees them committed everywhere.
  void propose(std::size_t count, const std::string& command) {
    replica::effects out;
    replicas_[0]->step(time_point{}, 1, replica::propose{std::vector(count, command)}, out);
    carry_out(1, out);
    deliver();
    if (committed_ > compacted_ + 20'000)
      compact();
  }

  [[nodiscard]] std::uint64_t committed() const {
    return committed_;
  }

private:
  struct letter {
    std::uint64_t from;
    std::uint64_t to;
    message what;
  };

  void compact() {
    compacted_ = committed_;
    for (auto& each : replicas_) {
      replica::effects out;
      each->step(time_point{}, 0, replica::compacted{compacted_}, out);
    }
  }

  void carry_out(std::uint64_t who, replica::effects& out) {
    while (!out.empty()) {
      replica::effects more;
      for (auto& what : out) {
        if (auto* send = std::get_if<replica::send>(&what))
          mail_.push_back({who, send->to.value, std::move(send->what)});
        else if (auto* write = std::get_if<replica::write>(&what))
          replicas_[who - 1]->step(time_point{}, 0, replica::written{write->number}, more);
        else if (auto* done = std::get_if<replica::committed>(&what); done != nullptr && who == 1)
          committed_ = done->entries.back().index;
      }
      out = std::move(more);
    }
  }

  void deliver() {
    while (!mail_.empty()) {
      auto next = std::move(mail_.front());
      mail_.pop_front();
      replica::effects out;
      replicas_[next.to - 1]->step(time_point{}, 0,
                                   replica::received{{next.from}, std::move(next.what)}, out);
      carry_out(next.to, out);
    }
  }

  std::vector<std::unique_ptr<replica>> replicas_;
  std::deque<letter> mail_;
  std::uint64_t committed_ = 0;
  std::uint64_t compacted_ = 0;
};

double seconds_of(const std::function<void()>& job) {
  auto begin = std::chrono::steady_clock::now();
  job();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

} // namespace

int main(int count, char** words) {
  auto entries = count > 1 ? std::stoull(words[1]) : 1'000'000ULL;
  std::string command(256, 'x');
  for (std::size_t batch : {1, 16, 256}) {
    group three;
    auto took = seconds_of([&] {
      for (std::uint64_t done = 0; done < entries; done += batch)
        three.propose(batch, command);
    });
    std::cout << nlohmann::ordered_json{{"benchmark", "raft_core"},
                                        {"replicas", 3},
                                        {"bytes", command.size()},
                                        {"batch", batch},
                                        {"entries_per_s", static_cast<double>(entries) / took}}
              << '\n';
  }
  stored_state disk;
  for (std::uint64_t index = 1; index <= entries; ++index)
    disk.entries.push_back({index, 1, {}, command});
  auto took = seconds_of([&] { replica again({1}, lan(), disk, time_point{}); });
  std::cout << nlohmann::ordered_json{{"benchmark", "raft_restart"},
                                      {"entries", entries},
                                      {"seconds", took}}
            << '\n';
}
