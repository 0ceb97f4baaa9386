#include "troupe/core/ids.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <type_traits>

#include "troupe/core/codec.hpp"
#include "troupe/core/digest.hpp"
#include "troupe/core/json.hpp"
#include "troupe/platform/entropy.hpp"

namespace ids_test {

using namespace std::literals;
using namespace troupe;

static_assert(!std::is_constructible_v<cluster_id, node_id>);
static_assert(!std::is_same_v<node_id, digest>, "of one size, but no id is any digest");

TEST_CASE("an id is read from the text that it is written as", "[core][ids]") {
  auto id = node_id::from(sha256("key").bytes);
  auto text = to_string(id);
  CHECK(text == to_string(sha256("key")));
  CHECK(text.size() == 64);
  CHECK(*node_id::from_string(text) == id);
  for (auto& each : text)
    each = static_cast<char>(std::toupper(each));
  CHECK(*node_id::from_string(text) == id);
}

TEST_CASE("any other text is no id", "[core][ids]") {
  auto text = std::string(32, '0');
  CHECK(*cluster_id::from_string(text) == cluster_id{});
  for (auto& wrong : {""s, text + "0", text + "00", text.substr(1), "x" + text.substr(1),
                      text.substr(1) + " ", "-" + text.substr(1), text.substr(2) + "\xff\xff"})
    CHECK(cluster_id::from_string(wrong).error().code == errc::bad_argument);
  CHECK(cluster_id::from_string("7").error().detail
        == "expected 32 hex digits, found 1 bytes \"7\"");
}

TEST_CASE("ids keep their order in text, so that lists of both agree", "[core][ids]") {
  std::set<cluster_id> ids;
  std::set<std::string> texts;
  for (int count = 0; count < 50; ++count) {
    auto id = random_id<cluster_id>();
    ids.insert(id);
    texts.insert(to_string(id));
  }
  REQUIRE(ids.size() == 50); // drawn anew each time
  auto text = texts.begin();
  for (auto& each : ids)
    CHECK(to_string(each) == *text++);
}

TEST_CASE("ids are compared byte by byte, each as a number without a sign", "[core][ids]") {
  for (std::size_t at = 0; at < node_id::size; ++at)
    for (auto byte :
         {std::byte{0}, std::byte{1}, std::byte{0x7F}, std::byte{0x80}, std::byte{0xFF}})
      for (auto other : {std::byte{0}, std::byte{0x7F}, std::byte{0x80}}) {
        node_id left;
        node_id right;
        left.bytes[at] = byte;
        right.bytes[at] = other;
        if (at + 1 < node_id::size)
          right.bytes.back() = std::byte{1}; // which the order does not come to
        CHECK((left == right) == (left.bytes == right.bytes));
        CHECK((left <=> right) == (left.bytes <=> right.bytes));
      }
}

TEST_CASE("ids travel as bytes to nodes and as text to people", "[core][ids]") {
  auto id = random_id<cluster_id>();
  CHECK(to_bytes(id).size() == 1 + 4 + 16);
  CHECK(from_bytes<cluster_id>(to_bytes(id)) == id);
  CHECK(*to_json(id) == "\"" + to_string(id) + "\"");
  CHECK(*to_json(std::map<cluster_id, int>{{id, 1}}) == "{\"" + to_string(id) + "\":1}");
  CHECK(*from_json<cluster_id>(*to_json(id)) == id);
  CHECK(from_json<cluster_id>(R"("12")").error().detail.starts_with("expected 32 hex digits"));
}

TEST_CASE("the system gives another seed each time", "[core][ids]") {
  std::set<std::uint64_t> seeds;
  for (int count = 0; count < 50; ++count)
    seeds.insert(random_seed());
  CHECK(seeds.size() == 50);
}

} // namespace ids_test
