// What a cluster has said is on disks: counted between a request and its answer.

#include "three_voters.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>

using namespace troupe::test;

namespace {

/// Three voters that count how often they sync their logs.
struct counting_voters {
  temporary_folder folder;
  three_voters cluster{[this](int index) {
    return words{"/usr/bin/env", "LD_PRELOAD=" TROUPE_SLOW_DISK,
                 "COUNT_SYNCS_IN=" + counter(index)};
  }};

  [[nodiscard]] std::string counter(int index) const {
    return folder / std::to_string(index);
  }

  [[nodiscard]] std::uintmax_t syncs(int index) const {
    std::error_code none_yet;
    auto size = std::filesystem::file_size(counter(index), none_yet);
    return none_yet ? 0 : size;
  }

  /// Runs a command and returns how many voters have synced something when it has its answer.
  int synced_by(const words& command) {
    std::array before{syncs(0), syncs(1), syncs(2)};
    auto done = run(command);
    INFO(done);
    CHECK(done.status == 0);
    auto result = 0;
    for (auto each : {0, 1, 2})
      result += syncs(each) > before.at(static_cast<std::size_t>(each)) ? 1 : 0;
    return result;
  }
};

} // namespace

TEST_CASE("whoever gets an answer, a majority has synced what it tells of", "[cluster]") {
  counting_voters all;
  auto at = all.cluster[all.cluster.leader()].address();
  for (auto each = 0; each < 10; ++each) {
    CHECK(all.synced_by({"put", "key", std::to_string(each), "--at", at}) >= 2);
    CHECK(all.synced_by({"lock", "door", "--at", at, "--", "true"}) >= 2);
  }
}
