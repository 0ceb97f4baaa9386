#include "troupe/router/detail/stored_letter.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "caf/message.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/core/errc.hpp"
#include "troupe/core/messages.hpp"

namespace stored_letter_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router::detail;
using router::message_options;

namespace {

origin of_a_client() {
  origin made;
  made.where = {node_id{{std::byte{7}}}, false, true};
  made.agent = "clerk";
  made.said.id = {node_id{{std::byte{1}}}, 3, 17};
  made.said.now = time_point{} + 1h;
  made.said.how = std::make_shared<const message_options>(
    message_options{.correlation = "table 7", .durability = router::durability::synced});
  return made;
}

} // namespace

TEST_CASE("a dead letter is read from the disk with how it ended, and how often it went again") {
  init_messages<caf::id_block::troupe_core>();
  auto from = of_a_client();
  from.said.redrives = 2;
  stored_end how{router::dead_reason::failed, "no", wall_time{} + 7s, 8};
  auto bytes = to_bytes("ledger", caf::make_message("soup"s), from, time_point{} + 1h, {}, how);
  REQUIRE(bytes);
  auto read = read_letter(*bytes, time_point{} + 5s);
  REQUIRE(read);
  CHECK(read->from.said.redrives == 2);
  REQUIRE(read->ended);
  CHECK(read->ended->reason == how.reason);
  CHECK(read->ended->why == "no");
  CHECK(read->ended->ended_at == how.ended_at);
  CHECK(read->ended->deliveries == 8);
}

TEST_CASE("a letter is read from the disk as it was accepted, at a time of another process") {
  init_messages<caf::id_block::troupe_core>();
  auto from = of_a_client();
  from.said.life = 10min;
  auto bytes = to_bytes("ledger", caf::make_message("soup"s, 2), from, time_point{} + 1h + 4min,
                        node_id{{std::byte{9}}});
  REQUIRE(bytes);
  auto now = time_point{} + 5s;
  auto read = read_letter(*bytes, now);
  REQUIRE(read);
  CHECK(read->to == "ledger");
  CHECK(read->payload.get_as<std::string>(0) == "soup");
  CHECK(read->payload.get_as<int>(1) == 2);
  auto& again = read->from;
  CHECK(again.said.id == from.said.id);
  CHECK(again.where.id == from.where.id);
  CHECK(!again.where.is_member);
  CHECK(again.where.is_proven);
  CHECK(!again.is_here);
  CHECK(again.agent == "clerk");
  CHECK(again.said.how->correlation == "table 7");
  REQUIRE(again.said.expires_at());
  CHECK(*again.said.expires_at() > now + 5min);
  CHECK(*again.said.expires_at() <= now + 6min);
}

TEST_CASE("a letter whose time is over by the calendar has no life left, one without a ttl any") {
  init_messages<caf::id_block::troupe_core>();
  auto from = of_a_client();
  from.said.life = 1min;
  auto late = to_bytes("ledger", caf::make_message(1), from, time_point{} + 1h + 2min, {});
  CHECK(read_letter(late.value(), {}).value().from.said.life == 0s);
  auto forever = to_bytes("ledger", caf::make_message(1), of_a_client(), {}, {});
  CHECK(!read_letter(forever.value(), {}).value().from.said.expires_at());
}

TEST_CASE(
  "how often its node has ended with a letter is read from the disk, and none in older ones") {
  init_messages<caf::id_block::troupe_core>();
  auto bytes = to_bytes("ledger", caf::make_message(1), of_a_client(), {}, {}, {}, 3).value();
  CHECK(read_letter(bytes, {}).value().ends == 3);
  CHECK(read_letter(to_bytes("ledger", caf::make_message(1), of_a_client(), {}, {}).value(), {})
          .value()
          .ends
        == 0);
}

TEST_CASE("the age of a letter that is written again later counts from when it was accepted") {
  init_messages<caf::id_block::troupe_core>();
  auto from = of_a_client();
  auto accepted = from.said.now;
  auto bytes = to_bytes("ledger", caf::make_message(1), from, accepted + 2h, {});
  auto again = read_letter(bytes.value(), {}).value().from.said;
  CHECK(again.age >= 2h);
  CHECK(again.age < 2h + 1min);
}

TEST_CASE("bytes that are no letter are refused") {
  init_messages<caf::id_block::troupe_core>();
  auto bytes = to_bytes("ledger", caf::make_message(1), of_a_client(), {}, {}).value();
  CHECK(read_letter(bytes.substr(0, bytes.size() - 1), {}).error().code == errc::damaged);
  CHECK(read_letter("", {}).error().code == errc::damaged);
  CHECK(read_letter(bytes + "x", {}).error().code == errc::damaged);
}

} // namespace stored_letter_test
