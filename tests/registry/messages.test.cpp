#include "troupe/registry/messages.hpp" // the header under test
#include "router/named_nodes.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/json.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "caf/binary_deserializer.hpp"
#include "caf/binary_serializer.hpp"
#include "caf/byte_buffer.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::registry;
using test::operator""_node;
using test::operator""_owner;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Returns the bytes of `value` as they go over the wire.
template <class T>
caf::byte_buffer to_wire(const T& value) {
  caf::byte_buffer bytes;
  caf::binary_serializer sink{nullptr, bytes};
  REQUIRE(sink.apply(value));
  return bytes;
}

/// Returns whether `bytes` are one whole T, which then is in `value`.
template <class T>
bool from_wire(const caf::byte_buffer& bytes, T& value) {
  caf::binary_deserializer source{nullptr, bytes};
  return source.apply(value) && source.remaining() == 0;
}

const record painter{.key = {record_kind::agent, "painter", "n1"_node},
                     .boot = 3,
                     .version = 9,
                     .status = record_status::maintenance,
                     .token = 77,
                     .endpoints = {{"::1", 6767}, {"example.org", 80}},
                     .capabilities = {"draw", "paint"},
                     .groups = {"art"},
                     .metadata = {{"zone", "a"}},
                     .offers = {4'000, 1'000'000, 1},
                     .load = 5,
                     .registered = wall_time{1'700'000'000s}};

const record_changes sample{
  42,
  true,
  {{42, change_kind::added, {painter, record_status::inactive, record_status::inactive, false}}},
  painter.key,
  true};

} // namespace

TEST_CASE("an answer to a watcher arrives as it was sent", "[registry][wire]") {
  record_changes received;
  REQUIRE(from_wire(to_wire(sample), received));
  CHECK(received == sample);
}

TEST_CASE("an answer to a watcher that is cut short anywhere is refused", "[registry][wire]") {
  auto bytes = to_wire(sample);
  while (!bytes.empty()) {
    bytes.pop_back();
    record_changes received;
    INFO(bytes.size() << " bytes");
    CHECK_FALSE(from_wire(bytes, received));
  }
}

namespace {

// With texts in the place of the ids of nodes, as these are written.

struct text_key {
  record_kind kind = record_kind::agent;
  std::string name{};
  std::string owner{};

  TROUPE_FIELDS(text_key, kind, name, owner);
};

struct text_question {
  std::optional<record_kind> kind{};
  std::string name{};
  std::string owner{};
  std::vector<std::string> capabilities{};
  std::string group{};
  std::map<std::string, std::string> metadata{};
  std::vector<record_status> statuses{};
  bool unhealthy_too = false;
  std::optional<text_key> after{};
  std::uint32_t limit = 100;

  TROUPE_FIELDS(text_question, kind, name, owner, capabilities, group, metadata, statuses,
                unhealthy_too, after, limit);
};

struct text_owner {
  std::string owner{};

  TROUPE_FIELDS(text_owner, owner);
};

struct text_view {
  std::string owner{};
  std::uint64_t boot = 0;
  record_status liveness = record_status::active;
  duration unseen_for{};
  std::uint32_t records = 0;

  TROUPE_FIELDS(text_view, owner, boot, liveness, unseen_for, records);
};

template <class Value, class Text>
void check_written_alike(const Value& value, const Text& text) {
  CHECK(to_wire(value) == to_wire(text));
  CHECK(to_bytes(value) == to_bytes(text));
  CHECK(*to_json(value) == *to_json(text));
  Value read;
  REQUIRE(from_wire(to_wire(text), read));
  CHECK(to_bytes(read) == to_bytes(text));
}

} // namespace

TEST_CASE("the id of a node is written as text in all that names one", "[registry][wire]") {
  auto node = GENERATE(node_id{}, "n1"_node);
  auto text = node == node_id{} ? ""s : to_string(node);
  const record_key key{record_kind::service, "s", node};
  const text_key same{record_kind::service, "s", text};
  check_written_alike(key, same);
  check_written_alike(get_record{record_kind::service, "s", node}, same);
  check_written_alike(find_owner{node}, text_owner{text});
  check_written_alike(owner_view{node, 3, record_status::disconnected, 5s, 7},
                      text_view{text, 3, record_status::disconnected, 5s, 7});
  check_written_alike(
    find_records{
      record_kind::agent, "a", node, {"b"}, "c", {{"d", "e"}}, all_statuses(), true, key, 9},
    text_question{
      record_kind::agent, "a", text, {"b"}, "c", {{"d", "e"}}, all_statuses(), true, same, 9});
}

TEST_CASE("a record of what is no node is refused", "[registry][wire]") {
  auto owner = GENERATE("n1"s, "n@1"s, std::string(64, 'A'), std::string(64, '0'));
  const text_key forged{record_kind::node, "two", owner};
  record_key key;
  CHECK_FALSE(from_wire(to_wire(forged), key));
  CHECK_FALSE(from_bytes<record_key>(to_bytes(forged)));
  CHECK(from_json<record_key>(*to_json(forged)).error().code == errc::bad_argument);
}

TEST_CASE("a kind or status of another release is refused on the wire", "[registry][wire]") {
  record_kind kind{};
  record_status status{};
  CHECK_FALSE(from_wire(to_wire(std::uint8_t{3}), kind));
  CHECK_FALSE(from_wire(to_wire(std::uint8_t{4}), status));
  CHECK(from_wire(to_wire(std::uint8_t{2}), kind));
  CHECK(kind == record_kind::service);
}

TEST_CASE("names are saved and read whole", "[registry][wire][snapshot]") {
  names::name_snapshot saved{
    7, {{"echo", "n1"_owner, 2, 6}, {"ping", owner_id{"n2"_node}, 1, 7}}, {5, 4}};
  CHECK(from_bytes<names::name_snapshot>(to_bytes(saved)) == saved);
}

TEST_CASE("type ids of the registry stay where other versions expect them", "[registry][wire]") {
  CHECK(caf::type_id_v<registry_actor> == 1500);
  CHECK(caf::type_id_v<names_actor> == 1501);
  CHECK(caf::type_id_v<record> == 1507);
  CHECK(caf::type_id_v<owner_view> == 1508);
  CHECK(caf::type_id_v<find_records> == 1512);
  CHECK(caf::type_id_v<record_changes> == 1521);
  CHECK(caf::type_id_v<names::claim> == 1524);
  CHECK(caf::type_id_v<names::claim_page> == 1532);
}

TEST_CASE("people and other languages read what a watcher reads", "[registry][wire]") {
  auto text = to_json(sample);
  REQUIRE(text);
  CHECK_THAT(*text, ContainsSubstring(R"("kind":"agent","name":"painter","owner":")"
                                      + to_string("n1"_node) + '"'));
  CHECK_THAT(*text, ContainsSubstring(R"("metadata":{"zone":"a"})"));
  auto read = from_json<record_changes>(*text);
  REQUIRE(read);
  CHECK(*read == sample);
}
