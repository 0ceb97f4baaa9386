#include "troupe/host/durable.hpp" // the header under test
#include "troupe/lock/lock_table.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <utility>
#include <vector>

namespace durable_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::host;

namespace {

/// A log that takes records, and says of snapshots what it is told to.
class log_without_snapshots {
public:
  explicit log_without_snapshots(problem why) : why_(std::move(why)) {}

  static problem load(storage::stored_log&) {
    return {};
  }

  static problem append(const std::vector<storage::stored_record>&) {
    return {};
  }

  [[nodiscard]] problem save(const storage::snapshot_part&) const {
    return why_;
  }

  void mark(time_point) {}

private:
  problem why_;
};

/// What a host says of a snapshot that its log answers with `why`; no code if it says nothing
/// before the next write is done.
problem said_of_snapshot(const problem& why) {
  durable disk{std::make_unique<log_without_snapshots>(why)};
  std::promise<problem> said;
  auto home = [](const std::function<void()>& job) { job(); };
  auto tell = [&said, done = false](const problem& what) mutable {
    if (!std::exchange(done, true))
      said.set_value(what);
  };
  auto once = std::make_shared<std::function<void(const problem&)>>(tell);
  auto state = std::make_shared<const durable_snapshot<lock::lock_table>>();
  disk.save(state, home, [once](const problem& what) { (*once)(what); });
  auto records = std::make_shared<std::vector<record<lock::lock_table>>>();
  disk.append<lock::lock_table>(records, home, [once](const problem& what) { (*once)(what); });
  auto found = said.get_future();
  REQUIRE(found.wait_for(10s) == std::future_status::ready);
  return found.get();
}

} // namespace

TEST_CASE("a snapshot that failed for another reason than a full disk stops its host", "[host]") {
  CHECK(said_of_snapshot({errc::damaged, "disk I/O error"}).code == errc::damaged);
  CHECK(said_of_snapshot({errc::storage_full, "no space"}).code == errc::none);
  CHECK(said_of_snapshot({}).code == errc::none);
}

} // namespace durable_test
