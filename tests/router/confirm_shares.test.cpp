// What clients and agents may take of the room for accepted messages, as the messages end.

#include "router/live_confirms.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstdint>
#include <memory>
#include <string>

#include "caf/actor_cast.hpp"
#include "caf/message.hpp"
#include "troupe/router/detail/confirm_desk.hpp" // the header under test
#include "troupe/router/messages.hpp"
#include "troupe/testing/comes_true.hpp"

namespace confirms_test {

namespace {

/// A client n3, whose handle is `self`, may have five open messages if nobody else has any, and
/// so may an agent.
struct one_client : live_confirms {
  one_client() : live_confirms({.max_confirms = 10}) {
    peers->put(caf::actor_cast<caf::strong_actor_ptr>(self), n3);
  }

  /// From the client, in memory.
  void gives(const std::string& agent, std::uint64_t number) {
    self->send(here->handle(),
               dispatch{to_agent(agent), {}, 20s, caf::make_message(number), confirmed});
    statistics(*here); // it is there
  }

  /// From the client, on the disk.
  void gives_to_keep(const std::string& agent, std::uint64_t number) {
    auto how = confirmed;
    how.durability = durability::synced;
    self->send(here->handle(), dispatch{to_agent(agent), {}, 20s, caf::make_message(number), how});
    statistics(*here);
  }

  std::uint32_t open() {
    return statistics(*here).confirms;
  }
};

} // namespace

TEST_CASE_METHOD(one_client,
                 "what a client has sent takes its share until it has ended, and no longer",
                 "[router]") {
  auto is_here = GENERATE(true, false);
  for (auto round = 0; round < 8; ++round) {
    CAPTURE(round);
    auto a = "a" + std::to_string(round);
    auto b = "b" + std::to_string(round);
    for (auto& agent : {a, b}) { // in turn, so that those that end together are of several
      gives(agent, 1);
      REQUIRE(send(agent, 2).code == errc::none);
      gives(agent, 3);
    }
    CHECK(open() == 6);
    gives("nobody", 1);
    CHECK(open() == 6); // it has four of ten already, and as many are free
    auto& where = is_here ? *here : *there;
    auto of_a = add_counting(where, a);
    auto of_b = add_counting(where, b);
    if (!is_here) {
      place(a, n2);
      place(b, n2);
      link();
    }
    REQUIRE(all_ended());
    CHECK(of_a->count == 3);
    CHECK(of_a->disorder == 0);
    CHECK(of_b->count == 3);
    CHECK(of_b->disorder == 0);
    if (!is_here)
      cut();
  }
}

TEST_CASE_METHOD(one_client, "an agent has its whole share again once its messages have ended",
                 "[router]") {
  auto is_here = GENERATE(true, false);
  auto& where = is_here ? *here : *there;
  for (auto round = 0; round < 5; ++round) {
    CAPTURE(round);
    for (std::uint64_t each = 1; each <= 3; ++each)
      for (auto* agent : {"a", "b"})
        REQUIRE(send(agent, each).code == errc::none);
    auto of_a = add_counting(where, "a");
    auto of_b = add_counting(where, "b");
    if (!is_here) {
      place("a", n2);
      place("b", n2);
      link();
    }
    REQUIRE(all_ended());
    CHECK(of_a->count == 3);
    CHECK(of_b->count == 3);
    REQUIRE(on(where, [](router_state& state) {
      return state.remove_agent("a") != nullptr && state.remove_agent("b") != nullptr;
    }));
    if (!is_here) {
      on(*here, [](router_state& state) {
        for (auto* agent : {"a", "b"})
          state.places().remove(agent, n2);
        return true;
      });
      cut();
    }
  }
}

TEST_CASE_METHOD(one_client, "what a client has had kept takes its share at the next start, too",
                 "[router]") {
  test::temporary_folder folder;
  REQUIRE(go_on(folder / "outbox.db") == 0);
  for (auto* agent : {"a", "b"})
    for (std::uint64_t each = 1; each <= 2; ++each)
      gives_to_keep(agent, each);
  REQUIRE(testing::comes_true([&] {
    return on(*here, [](router_state& state) {
      auto& all = state.accepted();
      return all.last() == 4 && all.left_of({.in_memory = true}).first == 0;
    });
  }));
  REQUIRE(restart(folder / "outbox.db") == 4);
  CHECK(open() == 4);
  for (std::uint64_t each = 1; each <= 2; ++each)
    REQUIRE(send("c", each).code == errc::none);
  gives("nobody", 1);
  CHECK(open() == 6); // which was refused
  for (auto* agent : {"a", "b", "c"})
    CHECK(add_counting(*here, agent)->disorder == 0);
  REQUIRE(all_ended());
  REQUIRE(send("nobody", 1).code == errc::none);
  gives("nobody", 2);
  CHECK(open() == 2);
}

TEST_CASE_METHOD(one_client, "what cannot be kept takes no share", "[router]") {
  REQUIRE(send("other", 1).code == errc::none);
  for (std::uint64_t each = 1; each <= 20; ++each)
    gives_to_keep("a", each); // there is no disk
  CHECK(open() == 1);
  gives("a", 1);
  CHECK(open() == 2);
}

} // namespace confirms_test
