#pragma once

#include "troupe_command.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace troupe::test {

/// Three nodes that vote, each in a process of its own with a folder of its own.
class three_voters {
public:
  /// The words in front of each node's command, for its number; none: nothing.
  using wrapper = std::function<words(int)>;
  /// Where a node has its data folder, for its number; none, or an empty path: in a folder of ours.
  using placing = std::function<std::filesystem::path(int)>;

  explicit three_voters(wrapper wrap = {}, placing place = {})
    : wrap_(std::move(wrap)), place_(std::move(place)) {
    need_command();
    for (auto each : {0, 1, 2})
      start_node(each);
    REQUIRE(comes_true([this] { return is_whole(); }));
  }

  void start_node(int index) {
    words how{"--name", name(index), "--data", data(index), "--timers", "lan", "--slots", "2"};
    for (auto other : {0, 1, 2})
      if (other != index && nodes_.contains(other))
        how.insert(how.end(), {"--join", nodes_.at(other)->address()});
    auto listen = nodes_.contains(index) ? nodes_.at(index)->address() : "127.0.0.1:0";
    words command = wrap_ ? wrap_(index) : words{};
    auto own = command_line(running_node::with_defaults(how, listen));
    command.insert(command.end(), own.begin(), own.end());
    nodes_[index] = std::make_unique<running_node>(testing::child_process{command});
  }

  [[nodiscard]] static std::string name(int index) {
    return "n" + std::to_string(index);
  }

  /// The data folder of a node.
  [[nodiscard]] std::filesystem::path data(int index) const {
    auto chosen = place_ ? place_(index) : std::filesystem::path{};
    return chosen.empty() ? std::filesystem::path{folder_ / name(index)} : chosen;
  }

  [[nodiscard]] running_node& operator[](int index) {
    return *nodes_.at(index);
  }

  /// All that may answer, for --at.
  [[nodiscard]] std::string addresses() const {
    std::string all;
    for (auto& [index, each] : nodes_)
      all += (all.empty() ? "" : ",") + each->address();
    return all;
  }

  json voters() {
    return run({"voters", "--json", "--at", addresses()}).line();
  }

  /// All three vote and lack no more than these entries: under load some are always on their way.
  bool is_whole(int most_behind = 0) {
    auto seen = voters();
    auto& seats = seen["voters"];
    return seats.is_array() && seats.size() == 3 && std::ranges::all_of(seats, [&](auto& each) {
             return each["votes"] == true && each["lag"].is_number() && each["lag"] <= most_behind
                    && each["silent_s"] < 1.0;
           });
  }

  /// Returns the number of the node that leads, once one does; `but` is not meant.
  int leader(int but = -1) {
    std::optional<int> found;
    comes_true([&] {
      auto seen = voters();
      for (auto& each : seen.value("voters", json::array()))
        for (auto index : {0, 1, 2})
          if (index != but && each["leads"] == true && each["node"] == name(index))
            found = index;
      return found.has_value();
    });
    return found.value();
  }

private:
  wrapper wrap_;
  placing place_;
  temporary_folder folder_;
  std::map<int, std::unique_ptr<running_node>> nodes_;
};

} // namespace troupe::test
