#include "troupe/state/messages.hpp" // the header under test
#include "state/calendar_table.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/json.hpp"
#include "troupe/host/journal.hpp"
#include "troupe/state/state_table.hpp"
#include "troupe/state/types.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caf/binary_deserializer.hpp"
#include "caf/binary_serializer.hpp"
#include "caf/byte_buffer.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::state;

namespace {

/// Returns the bytes of `value` as CAF sends them.
template <class T>
caf::byte_buffer to_wire(const T& value) {
  caf::byte_buffer sent;
  caf::binary_serializer sink{nullptr, sent};
  REQUIRE(sink.apply(value));
  return sent;
}

template <class T>
bool from_wire(const caf::byte_buffer& sent, T& value) {
  caf::binary_deserializer source{nullptr, sent};
  return source.apply(value) && source.remaining() == 0;
}

/// A table with siblings, a tombstone and a value that will run out.
table_snapshot sample() {
  test::calendar_table keys;
  keys.pass(1h);
  entry_key notes{consistency::causal, value_type::mv_register, "notes"};
  entry_key token{consistency::strong, value_type::lww_register, "token"};
  keys.write(put{.key = notes, .value = to_value("one")});
  keys.write(put{.key = notes, .value = to_value("\xff\xfe")});
  keys.write(put{.key = token, .value = to_value("short"), .ttl = 10s});
  keys.write(put{.key = {.key = "gone"}, .value = to_value("soon")});
  keys.write(remove_key{.key = {.key = "gone"}});
  return keys.table.snapshot();
}

template <class T>
void check_round_trips(const T& value) {
  T received;
  REQUIRE(from_wire(to_wire(value), received));
  CHECK(received == value);
  CHECK(from_bytes<T>(to_bytes(value)) == value);
  auto text = to_json(value);
  REQUIRE(text);
  auto read = from_json<T>(*text);
  REQUIRE(read);
  CHECK(*read == value);
}

} // namespace

TEST_CASE("messages arrive as they were sent, in every form", "[state][wire]") {
  auto saved = sample();
  check_round_trips(saved);
  vector_clock context;
  context.raise("a", 3);
  context.add("a", 5);
  check_round_trips(put{.key = saved.keys.back()->key,
                        .value = to_value("\xff"),
                        .expect_version = 7,
                        .ttl = 1ns,
                        .context = context,
                        .content = sha256("\xff")});
  check_round_trips(remove_key{saved.keys.back()->key, 7, context});
  state_table table;
  table.restore({}, saved);
  check_round_trips(table.answer(get{saved.keys.back()->key}));
  check_round_trips(table.answer(list_keys{}));
  check_round_trips(*table.answer(watch_state{.limit = 1}));
  check_round_trips(table.answer(count_entries{}));
}

TEST_CASE("a snapshot cut short anywhere is refused", "[state][wire]") {
  auto sent = to_wire(sample());
  while (!sent.empty()) {
    sent.pop_back();
    table_snapshot received;
    if (from_wire(sent, received))
      FAIL("read from " << sent.size() << " bytes");
  }
}

TEST_CASE("type ids stay where other versions expect them", "[state][wire]") {
  CHECK(caf::type_id_v<state_actor> == 1800);
  CHECK(caf::type_id_v<entry_key> == 1803);
  CHECK(caf::type_id_v<vector_clock> == 1804);
  CHECK(caf::type_id_v<entry> == 1805);
  CHECK(caf::type_id_v<put> == 1807);
  CHECK(caf::type_id_v<remove_key> == 1808);
  CHECK(caf::type_id_v<watch_state> == 1814);
  CHECK(caf::type_id_v<table_snapshot> == 1820);
}

TEST_CASE("levels and types of another version are refused on the wire", "[state][wire]") {
  auto sent = to_wire(consistency::strong);
  sent.back() = caf::byte{9};
  consistency received{};
  CHECK_FALSE(from_wire(sent, received));
}

// -- damage ----------------------------------------------------------------------------

namespace {

/// A log that holds one snapshot, as it is told.
struct one_snapshot {
  std::string kept;

  problem load(storage::stored_log& content) const {
    content.snapshot = storage::stored_record{1, kept};
    return {};
  }

  static problem append(const std::vector<storage::stored_record>&) {
    return {};
  }

  static problem save(const storage::snapshot_part&) {
    return {};
  }

  static void mark(time_point) {}
};

problem recovered(const table_snapshot& saved) {
  host::durable_snapshot<state_table> state;
  state.index = 1;
  state.inside = saved;
  one_snapshot log{to_bytes(state)};
  host::durable_core<state_table> core;
  return host::recover(core, log);
}

} // namespace

TEST_CASE("an entry with any bit flipped is found out", "[state][damage]") {
  auto original = sample().keys.back()->set.entries.at(0);
  REQUIRE(verify(original).code == errc::none);
  auto stored = to_bytes(original);
  std::size_t read = 0;
  for (std::size_t bit = 0; bit < stored.size() * 8; ++bit) {
    auto damaged = stored;
    damaged[bit / 8] ^= static_cast<char>(1U << (bit % 8));
    auto found = from_bytes<entry>(damaged);
    if (!found || *found == original)
      continue; // it cannot be read, or the bit means nothing
    ++read;
    INFO("bit " << bit);
    REQUIRE(verify(*found).code == errc::damaged);
  }
  CHECK(read > stored.size() * 4);
}

TEST_CASE("a table does not start from damaged values", "[state][damage]") {
  auto saved = sample();
  REQUIRE(recovered(saved).code == errc::none);
  SECTION("among its keys") {
    auto last = *saved.keys.back();
    last.set.entries.at(0).value.at(0) ^= std::byte{1};
    saved.keys.back() = frozen_key{last};
    auto why = recovered(saved);
    CHECK(why.code == errc::damaged);
    CHECK(why.detail
          == "strong lww_register token, version 4, has a wrong checksum; read it again, or "
             "restore a backup");
  }
  SECTION("or in what it keeps for watchers") {
    saved.changes.at(0).entries.at(0).version ^= 1;
    CHECK(recovered(saved).code == errc::damaged);
  }
}

TEST_CASE("a page that was damaged on its way is not believed", "[state][damage]") {
  state_table table;
  table.restore({}, sample());
  auto page = *table.answer(watch_state{});
  REQUIRE(watch_state::verify(page).code == errc::none);
  page.changes.at(0).entries.at(0).expires_at = wall_time{};
  CHECK(watch_state::verify(page).code == errc::damaged);
}

TEST_CASE("bytes go as one piece, in the form that CAF has for lists of them", "[state]") {
  auto size = GENERATE(0U, 1U, 127U, 128U, 300'000U);
  bytes value(size);
  std::vector<std::uint8_t> list(size);
  for (std::size_t each = 0; each < size; ++each)
    value[each] = std::byte{list[each] = static_cast<std::uint8_t>(each * 7)};
  auto sent = to_wire(value);
  CHECK(sent == to_wire(list));
  bytes back{std::byte{1}};
  CHECK(from_wire(sent, back));
  CHECK(back == value);
  if (size > 0) {
    sent.pop_back();
    CHECK_FALSE(from_wire(sent, back));
  }
}

TEST_CASE("a number of bytes that is a lie takes no memory", "[state]") {
  caf::byte_buffer lie(6, caf::byte{0xff});
  lie[4] = caf::byte{0x0f}; // 2^32 - 1 of them
  bytes none;
  CHECK_FALSE(from_wire(lie, none));
  CHECK(none.capacity() < 1'000'000);
}
