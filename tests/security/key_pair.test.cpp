#include "troupe/security/key_pair.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <filesystem>
#include <fstream>

#include <sys/stat.h>

#include "support/temporary_folder.hpp"

namespace key_pair_test {

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using security::key_pair;

TEST_CASE("what a key signs, its public half verifies", "[security]") {
  auto key = key_pair::make();
  auto made = key.sign("message");
  CHECK(verify(key.public_half(), "message", made));
  CHECK_FALSE(verify(key.public_half(), "massage", made));
  CHECK_FALSE(verify(key_pair::make().public_half(), "message", made));
}

TEST_CASE("a key that was saved is the same when it is loaded", "[security]") {
  test::temporary_folder folder;
  auto key = key_pair::make();
  REQUIRE(key.save(folder / "key"));
  struct stat about {};
  REQUIRE(::stat((folder / "key").c_str(), &about) == 0);
  CHECK((about.st_mode & 0777) == 0600);
  auto loaded = key_pair::load(folder / "key");
  REQUIRE(loaded);
  CHECK(loaded->public_half() == key.public_half());
  CHECK(loaded->sign("message") == key.sign("message"));
}

TEST_CASE("a key file that others may read is refused, with the remedy", "[security]") {
  test::temporary_folder folder;
  REQUIRE(key_pair::make().save(folder / "key"));
  for (auto mode : {0640U, 0604U, 0660U, 0606U, 0610U}) {
    REQUIRE(::chmod((folder / "key").c_str(), mode) == 0);
    auto loaded = key_pair::load(folder / "key");
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().code == errc::bad_argument);
    CHECK_THAT(loaded.error().detail, ContainsSubstring("chmod 600 " + (folder / "key").string()));
  }
}

TEST_CASE("a file without a usable key is refused", "[security]") {
  test::temporary_folder folder;
  auto code_of = [&](const char* text) {
    std::ofstream{folder / "key"} << text;
    REQUIRE(::chmod((folder / "key").c_str(), 0600) == 0);
    return key_pair::load(folder / "key").error().code;
  };
  CHECK(code_of("") == errc::damaged);
  CHECK(code_of("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n") == errc::damaged);
  // An X25519 key (RFC 8410, section 10.3, has the form), which cannot sign.
  CHECK(code_of("-----BEGIN PRIVATE KEY-----\n"
                "MC4CAQAwBQYDK2VuBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+H68CZKrF3+6UduSwq\n"
                "-----END PRIVATE KEY-----\n")
        == errc::damaged);
  CHECK(code_of(std::string(70'000, 'x').c_str()) == errc::too_large);
  std::filesystem::remove(folder / "key");
  CHECK(key_pair::load(folder / "key").error().code == errc::not_found);
  CHECK(key_pair::load(folder / "").error().code == errc::bad_argument); // a folder
}

} // namespace key_pair_test
