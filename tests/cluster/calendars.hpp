#pragma once

#include "three_voters.hpp"

#include <filesystem>
#include <fstream>
#include <string>

namespace troupe::test {

/// Calendars of three processes, each to be set as one likes; clocks that only run are left alone.
class calendars {
public:
  calendars() {
    for (auto node : {0, 1, 2})
      set(node, "+0");
  }

  /// Counts from now on, in the words of libfaketime: -1h, +10m, +90 for seconds.
  void set(int node, const std::string& offset) {
    std::ofstream{folder_ / (std::to_string(node) + ".new")} << offset << '\n';
    std::filesystem::rename(folder_ / (std::to_string(node) + ".new"), file(node));
  }

  [[nodiscard]] words wrap(int node) const {
    return {"/usr/bin/env", "LD_PRELOAD=" + library(), "FAKETIME_TIMESTAMP_FILE=" + file(node),
            "FAKETIME_NO_CACHE=1", "DONT_FAKE_MONOTONIC=1"};
  }

  static std::string library() {
    return "/usr/lib/" TROUPE_MULTIARCH "/faketime/libfaketimeMT.so.1";
  }

  /// What a process in the place of this node has for the time, in seconds since 1970.
  [[nodiscard]] long long read(int node) const {
    auto command = wrap(node);
    command.insert(command.end(), {"date", "+%s"});
    testing::child_process date{command};
    return std::stoll(date.read_rest(10s));
  }

private:
  [[nodiscard]] std::string file(int node) const {
    return (folder_ / (std::to_string(node) + ".offset")).string();
  }

  temporary_folder folder_;
  insecure_cluster no_certificates_; // they have times, which calendars an hour apart do not bear
};

} // namespace troupe::test
