#include "troupe/core/digest.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <utility>

#include "support/seeds.hpp"

namespace digest_test {

using namespace std::literals;
using namespace troupe;

TEST_CASE("SHA-256 is that of FIPS 180-4", "[core][digest]") {
  // The examples that NIST gives with the standard, and the empty message.
  for (auto& [message, expected] : {
         std::pair{""s, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"sv},
         std::pair{"abc"s, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"sv},
         std::pair{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"s,
                   "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"sv},
         std::pair{
           "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopq"
           "klmnopqrlmnopqrsmnopqrstnopqrstu"s,
           "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"sv},
         std::pair{std::string(1'000'000, 'a'),
                   "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"sv},
       })
    CHECK(to_string(sha256(message)) == expected);
}

TEST_CASE("a digest does not tell in how many pieces the bytes came", "[core][digest]") {
  test::for_each_seed(50, [](test::random_source random) {
    std::string bytes;
    sha256_stream stream;
    for (auto pieces = random.below(6); pieces > 0; --pieces) {
      std::string piece(random.below(200), static_cast<char>('a' + random.below(26)));
      stream.update(piece);
      bytes += piece;
    }
    CHECK(stream.finish() == sha256(bytes));
    CHECK(stream.finish() == sha256("")); // begun anew
  });
}

} // namespace digest_test
