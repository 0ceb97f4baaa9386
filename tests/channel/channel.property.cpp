// Whatever the other side says, a sender and a receiver keep their bounds. What they promise to
// each other is judged in the simulated world, see tests/sim.

#include "support/seeds.hpp"
#include "troupe/channel/receiver.hpp"
#include "troupe/channel/sender.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <variant>

namespace forged_channel_property {

using namespace std::chrono_literals;
using namespace troupe;
using namespace troupe::channel;

namespace {

constexpr options small{.max_messages = 6, .max_bytes = 60, .max_deliveries = 2};

std::uint64_t any_number(random_source& random) {
  return random.one_in(20) ? random.next() : random.below(40);
}

agent_id any_agent(random_source& random) {
  return std::string(1, static_cast<char>('a' + random.below(3)));
}

} // namespace

TEST_CASE("whatever comes, a receiver keeps its bounds and delivers no content twice",
          "[property]") {
  test::for_each_seed(200, [](random_source random) {
    receiver in{1, small, random.next()};
    std::set<std::uint64_t> inside;
    std::vector<receiver::deliver> handed;
    time_point now{1h};
    for (std::uint64_t turn = 1; turn < 400; ++turn) {
      receiver::effects out;
      now += std::chrono::milliseconds{random.below(500)};
      if (random.one_in(4) && !handed.empty()) {
        auto which = handed[random.below(handed.size())];
        auto how = random.below(4);
        if (how == 0)
          in.handled(now, which.session, which.number, out);
        else if (how == 1)
          in.failed(
            now, which.session, which.number,
            {{errc::failed, std::string(900, 'x')},
             random.one_in(2) ? std::optional{std::chrono::seconds{random.below(9)}} : std::nullopt,
             random.one_in(2)},
            out);
        else if (how == 2)
          in.no_room(now, which.session, which.number, out);
        else
          in.missing(which.session, which.number, out);
      } else if (random.one_in(5)) {
        probe what{1 + random.below(2), any_number(random), any_number(random)};
        for (auto first = any_number(random), more = 1 + random.below(9); more > 0; --more) {
          what.ended.push_back({first, first + random.below(9)});
          first += random.below(20);
        }
        in.asked(now, what, out);
      } else if (random.one_in(8)) {
        in.tick(now, out);
      } else {
        frame_header head{1 + random.below(2), random.below(9) > 0 ? 1U : 2U, any_number(random),
                          any_number(random), any_number(random)};
        if (in.arrive(now, head, {any_agent(random), turn, random.below(50), {}, {{}, 1, turn}},
                      out)
            == verdict::taken)
          inside.insert(turn);
      }
      for (auto& each : out)
        if (auto* what = std::get_if<receiver::deliver>(&each)) {
          REQUIRE(inside.contains(what->what));
          handed.push_back(*what);
        } else if (auto* gone = std::get_if<receiver::drop>(&each)) {
          inside.erase(gone->what);
        }
      REQUIRE(inside.size() == in.held());
      REQUIRE(in.held() <= 4 * small.max_messages);
      REQUIRE(in.remembered_ids() <= 8 * small.max_messages);
      REQUIRE(in.remembered() <= 20 * small.max_messages);
      if (in.owes_word() && random.one_in(3))
        for (auto& each : in.take_word().others)
          REQUIRE(each.why.detail.size() <= 200);
    }
  });
}

TEST_CASE("whatever is heard, a sender keeps its bounds, and each message ends once",
          "[property]") {
  test::for_each_seed(200, [](random_source random) {
    sender subject{1, small, random.next()};
    std::set<std::uint64_t> inside;
    time_point now{1h};
    for (std::uint64_t turn = 1; turn < 400; ++turn) {
      sender::effects out;
      now += std::chrono::milliseconds{random.below(500)};
      switch (random.below(7)) {
        case 0:
        case 1:
          inside.insert(turn);
          subject.put(
            now, any_agent(random),
            {turn, random.below(30), random.one_in(3) ? std::optional{now + 3s} : std::nullopt},
            out);
          break;
        case 2:
          subject.link_up(now, out);
          break;
        case 3:
          if (random.one_in(4))
            subject.link_down(now, out);
          subject.tick(now, out);
          break;
        case 4:
          if (random.one_in(9))
            for (auto& each : subject.take_back(any_agent(random)))
              REQUIRE(inside.erase(each.what) == 1);
          break;
        default: {
          auto first = any_number(random);
          acknowledgement said{1, 1 + random.below(2), random.below(turn), any_number(random)};
          if (random.one_in(2))
            said.handled.push_back({first, first + random.below(4)});
          if (random.one_in(2))
            said.others.push_back(
              {any_number(random), static_cast<outcome>(1 + random.below(4)), {}});
          subject.heard(now, said, out);
        }
      }
      for (auto& each : out)
        if (auto* over = std::get_if<sender::ended>(&each))
          REQUIRE(inside.erase(over->what) == 1);
        else if (auto* back = std::get_if<sender::returned>(&each))
          for (auto& content : back->what)
            REQUIRE(inside.erase(content.what) == 1);
        else if (auto* sent = std::get_if<sender::transmit>(&each))
          REQUIRE(sent->head.base <= sent->head.number);
      REQUIRE(subject.under_way() <= small.max_messages);
      REQUIRE(subject.under_way_bytes() < small.max_bytes + 30);
      REQUIRE(subject.empty() == inside.empty());
    }
  });
}

} // namespace forged_channel_property
