#include "troupe/cluster/kept_backup.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <string>

namespace kept_backup_test {

using namespace std::literals;
using namespace troupe;
using cluster::kept_backup;

namespace {

constexpr time_point start{1h};

} // namespace

TEST_CASE("a backup is fetched in pieces", "[node][backup]") {
  kept_backup it;
  auto bytes = std::string(kept_backup::max_piece, 'a') + "tail";
  it.keep(start, 7, bytes);
  std::string fetched;
  for (;;) {
    auto piece = it.read(7, fetched.size());
    REQUIRE(piece);
    CHECK(piece->size() <= kept_backup::max_piece);
    if (piece->empty())
      break;
    fetched += *piece;
  }
  CHECK(fetched == bytes);
}

TEST_CASE("a piece that is not of the backup is refused", "[node][backup]") {
  kept_backup it;
  CHECK(it.read(0, 0).error_or({}).code == errc::not_found); // there is none
  it.keep(start, 7, "bytes");
  CHECK(it.read(6, 0).error_or({}).code == errc::not_found);
  CHECK(it.read(7, 6).error_or({}).code == errc::not_found);
  it.keep(start, 8, "others");
  CHECK(it.read(7, 0).error_or({}).code == errc::not_found); // a later one has taken its place
  CHECK(it.read(8, 0).value() == "others");
}

TEST_CASE("a backup of the same record is another one: nobody gets pieces of two",
          "[node][backup]") {
  kept_backup it;
  auto first = it.keep(start, 7, "bytes");
  CHECK(first == 7);
  CHECK(it.read(first, 0).value() == "bytes");
  auto second = it.keep(start, 7, "other"); // with another time in it, as nothing was written
  CHECK(it.read(first, 0).error_or({}).code == errc::not_found);
  CHECK(it.read(second, 0).value() == "other");
  auto third = it.keep(start, 7, "third");
  CHECK(it.read(second, 0).error_or({}).code == errc::not_found);
  CHECK(it.keep(start, 8, "later") > third);
  CHECK(it.keep(start, 90, "far later") == 90);
}

TEST_CASE("a backup goes after five minutes, and a later one has its own", "[node][backup]") {
  kept_backup it;
  CHECK_FALSE(it.next_deadline());
  it.keep(start, 7, "bytes");
  CHECK(it.next_deadline() == start + 5min);
  it.keep(start + 1min, 8, "others");
  it.tick(start + 5min);
  CHECK(it.read(8, 0));
  it.tick(start + 6min);
  CHECK_FALSE(it.read(8, 0));
  CHECK_FALSE(it.next_deadline());
}

} // namespace kept_backup_test
