#include "troupe/core/digest.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <span>
#include <string>
#include <string_view>
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

TEST_CASE("HMAC-SHA-256 is that of RFC 4231", "[core][digest]") {
  struct example {
    std::string key;
    std::string message;
    std::string_view expected;
  };
  // Its test cases 1, 2, 3 and 6.
  const example examples[]{
    {std::string(20, '\x0b'), "Hi There",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"Jefe", "what do ya want for nothing?",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {std::string(20, '\xaa'), std::string(50, '\xdd'),
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First",
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
  };
  for (auto& [key, message, expected] : examples)
    CHECK(to_string(hmac_sha256(std::as_bytes(std::span{key}), message)) == expected);
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
