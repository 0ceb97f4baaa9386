#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cli.hpp"

namespace cli::chaos {

/// What a run does to its nodes, and what they write of each other: a membership log, as
/// sim::membership_laws reads it. Not thread-safe.
class witness {
public:
  /// The nodes' own logs are in `folder`.
  explicit witness(std::filesystem::path folder) : folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_);
  }

  /// On the clock of the nodes' logs.
  [[nodiscard]] static std::int64_t now_ns() {
    return std::chrono::nanoseconds{std::chrono::steady_clock::now().time_since_epoch()}.count();
  }

  /// A node is about to start. Returns the file for its log: each life has its own, as a killed one
  /// may leave half a line.
  std::filesystem::path start(const std::string& node) {
    note("start", node);
    return logs_.emplace_back(folder_ / (node + "-" + std::to_string(logs_.size()) + ".jsonl"));
  }

  /// It takes part; others write of it by this id.
  void ready(const std::string& node, const std::string& id) {
    names_[id] = node;
    note("ready", node);
  }

  /// Call it before a kill, stop or leave, and after a cont.
  void note(const std::string& what, const std::string& node) {
    add({{"witness", what}, {"node", node}});
  }

  /// Call it before the cut. Nodes of one side reach each other, directly or through others.
  void cut(const std::vector<std::vector<std::string>>& sides) {
    is_cut_ = true;
    add({{"witness", "cut"}, {"sides", sides}});
  }

  /// All are connected again. No effect without a cut.
  void heal() {
    if (std::exchange(is_cut_, false))
      add({{"witness", "heal"}});
  }

  /// All lines in the order of time, with names for ids.
  [[nodiscard]] std::string merged() const {
    auto all = lines_;
    for (auto& each : logs_)
      read(each, all);
    std::ranges::stable_sort(all, {}, &line::at_ns);
    std::string text;
    for (auto& each : all)
      text += each.text + '\n';
    return text;
  }

private:
  struct line {
    std::int64_t at_ns = 0;
    std::string text;
  };

  void add(json what) {
    auto now = now_ns();
    what["at_ns"] = now;
    lines_.push_back({now, what.dump()});
  }

  /// Leaves out a last line without an end. What is not understood keeps its place, and is for the
  /// laws to refuse.
  void read(const std::filesystem::path& file, std::vector<line>& into) const {
    std::ifstream in{file};
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    text.erase(text.rfind('\n') + 1);
    std::istringstream lines{text};
    std::int64_t last = 0;
    for (std::string each; std::getline(lines, each);) {
      auto what = json::parse(each, nullptr, false);
      if (what.is_object()) {
        last = what.value("at_ns", last);
        auto known = names_.find(what.value("about", ""));
        if (known != names_.end())
          what["about"] = known->second;
        each = what.dump();
      }
      into.push_back({last, each});
    }
  }

  const std::filesystem::path folder_;
  std::vector<line> lines_;
  std::vector<std::filesystem::path> logs_;
  /// By id.
  std::map<std::string, std::string> names_;
  bool is_cut_ = false;
};

} // namespace cli::chaos
