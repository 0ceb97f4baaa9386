#include "troupe/core/version.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <fstream>
#include <iterator>
#include <string>

#include "support/seeds.hpp"

namespace version_test {

using namespace troupe;

TEST_CASE("the build and the library have one version", "[core][version]") {
  std::ifstream in{TROUPE_TESTS_DIR "/../CMakeLists.txt"};
  std::string build{std::istreambuf_iterator<char>{in}, {}};
  CHECK(build.find("project(troupe VERSION " + to_string(library_version) + " ")
        != std::string::npos);
}

TEST_CASE("versions are in the order of their numbers", "[core][version]") {
  CHECK(release_version{0, 9, 9} < release_version{0, 10, 0});
  CHECK(release_version{0, 10, 0} < release_version{1, 0, 0});
  CHECK(*release_version::from_string("1.20.300") == release_version{1, 20, 300});
}

TEST_CASE("what is no version is refused", "[core][version]") {
  for (auto text : {"", "1", "1.2", "1.2.", "1.2.3.4", "1.2.3 ", " 1.2.3", "v1.2.3", "1.2.65536",
                    "1.-2.3", "01.2.3", "1..3", "\xff"})
    CHECK(release_version::from_string(text).error().code == errc::bad_argument);
}

TEST_CASE("two sides speak the newest version that both know, whoever asks", "[core][version]") {
  CHECK(common_wire({1, 3}, {2, 5}) == 3);
  CHECK(common_wire({1, 1}, {1, 1}) == 1);
  CHECK_FALSE(common_wire({1, 2}, {3, 4}));
  test::for_each_seed(200, [](test::random_source random) {
    auto any = [&] {
      auto oldest = static_cast<std::uint16_t>(random.below(10));
      return wire_range{oldest, static_cast<std::uint16_t>(oldest + random.below(5))};
    };
    auto mine = any();
    auto theirs = any();
    CHECK(common_wire(mine, theirs) == common_wire(theirs, mine));
    if (auto found = common_wire(mine, theirs))
      for (auto& side : {mine, theirs})
        CHECK((side.oldest <= *found && *found <= side.newest));
  });
}

} // namespace version_test
