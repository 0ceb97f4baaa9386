#include "troupe/core/signature.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "troupe/core/hex.hpp"

namespace signature_test {

using namespace troupe;

namespace {

/// The whole suite where there is one, else the part of it in the tree.
nlohmann::json vectors() {
  auto whole = std::filesystem::path{TROUPE_TEST_DATA} / "wycheproof" / "ed25519.json";
  auto is_whole = !std::string_view{TROUPE_TEST_DATA}.empty() && std::filesystem::exists(whole);
  std::ifstream in{is_whole ? whole
                            : std::filesystem::path{TROUPE_TESTS_DIR} / "data" / "wycheproof"
                                / "ed25519.json"};
  REQUIRE(in);
  return nlohmann::json::parse(in);
}

std::string bytes_of(const nlohmann::json& hex) {
  auto read = from_hex(hex.get<std::string>());
  REQUIRE(read);
  return {reinterpret_cast<const char*>(read->data()), read->size()};
}

template <class Fixed>
Fixed fixed(const std::string& bytes) {
  return Fixed::from(std::as_bytes(std::span{bytes}));
}

} // namespace

TEST_CASE("a signature is valid exactly where Wycheproof says so", "[core]") {
  std::size_t valid = 0;
  std::size_t invalid = 0;
  auto all = vectors();
  for (auto& group : all.at("testGroups")) {
    auto key = fixed<public_key>(bytes_of(group.at("publicKey").at("pk")));
    for (auto& each : group.at("tests")) {
      CAPTURE(each.dump());
      auto made = bytes_of(each.at("sig"));
      auto should = each.at("result") == "valid";
      auto is = made.size() == signature::size
                && verify(key, bytes_of(each.at("msg")), fixed<signature>(made));
      CHECK(is == should);
      ++(should ? valid : invalid);
    }
  }
  CHECK(valid > 0);
  CHECK(invalid > 0);
}

TEST_CASE("a signature is of one message and one key only", "[core]") {
  // RFC 8032, section 7.1, test 3.
  auto key = public_key::from_string("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb91154890"
                                     "8025");
  auto made = signature::from_string("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5a"
                                     "c3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027bece"
                                     "ea1ec40a");
  REQUIRE((key && made));
  CHECK(verify(*key, "\xaf\x82", *made));
  CHECK_FALSE(verify(*key, "\xaf\x83", *made));
  CHECK_FALSE(verify(*key, "", *made));
  auto other = *key;
  other.bytes.front() ^= std::byte{1};
  CHECK_FALSE(verify(other, "\xaf\x82", *made));
  CHECK_FALSE(verify(*key, "\xaf\x82", {}));
}

TEST_CASE("the id of a node is the SHA-256 of its public key", "[core]") {
  public_key key;
  CHECK(to_string(id_of(key))
        == "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925");
}

} // namespace signature_test
