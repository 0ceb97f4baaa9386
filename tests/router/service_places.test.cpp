#include "troupe/router/detail/service_places.hpp" // the header under test

#include "support/services.hpp"
#include "troupe/router/router_access.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <map>
#include <string>

#include "caf/scoped_actor.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

struct asking_routers : test::live_system<caf::id_block::troupe_router> {
  router_access router{sys, node_id{}, {}, {}};
  caf::scoped_actor self{sys};

  ~asking_routers() {
    caf::anon_send_exit(router.handle(), caf::exit_reason::user_shutdown);
  }

  /// The service is at that address from here on.
  void move(const std::string& address, const problem& why = {}) {
    router.run([address, why](router_state& state) {
      state.set_service("locks", {nullptr, address, {"there:1"}, 0, why});
    });
  }

  auto ask(std::uint64_t known, duration wait, const std::string& name = "locks") {
    return self->request(router.handle(), 20s, find_service{name, known, wait});
  }

  template <class Asked>
  static service_place answer(Asked& asked) {
    service_place found;
    asked.receive([&](const service_place& what) { found = what; },
                  [&](const caf::error& why) { FAIL(to_string(why)); });
    return found;
  }
};

} // namespace

TEST_CASE_METHOD(asking_routers, "who asks where a service is hears at once when it has moved",
                 "[router][services]") {
  move("here:1");
  auto first = ask(0, 20s);
  auto now = answer(first);
  CHECK(now.address == "here:1");
  CHECK(now.others == std::vector<std::string>{"there:1"});
  auto waits = ask(now.revision, 20s);
  move("here:1"); // no news
  move("here:2");
  auto next = answer(waits);
  CHECK(next.address == "here:2");
  CHECK(next.revision == now.revision + 1);
}

TEST_CASE_METHOD(asking_routers, "who asks where a service is hears at once why it is nowhere",
                 "[router][services]") {
  move("here:1");
  auto waits = ask(1, 20s);
  move("", {errc::no_quorum, "1 of 3 voters reachable"});
  auto next = answer(waits);
  CHECK(next.address.empty());
  CHECK(next.why == problem{errc::no_quorum, "1 of 3 voters reachable"});
}

TEST_CASE_METHOD(asking_routers, "a question for a service ends with what is known after its time",
                 "[router][services]") {
  move("here:1");
  auto asked = ask(1, 5ms);
  CHECK(answer(asked).revision == 1);
}

TEST_CASE_METHOD(asking_routers, "who asks for one service hears of all that are there",
                 "[router][services]") {
  auto here = caf::actor_cast<caf::strong_actor_ptr>(router.handle());
  router.run([here](router_state& state) {
    for (auto* each : {"locks", "state"})
      state.set_service(each, {here, {}});
    state.set_service("voters", {nullptr, "there:1"});
  });
  auto asked = ask(0, {});
  auto first = answer(asked);
  CHECK(first.handle == here);
  CHECK(first.all
        == std::map<std::string, caf::strong_actor_ptr>{
          {"locks", here}, {"state", here}, {"voters", nullptr}});
  INFO("who knows that already, or is sent elsewhere, is not told again");
  auto again = ask(first.revision, {});
  CHECK(answer(again).all.empty());
  auto elsewhere = ask(0, {}, "voters");
  CHECK(answer(elsewhere).all.empty());
}

TEST_CASE_METHOD(asking_routers, "a service that nobody has heard of is not waited for",
                 "[router][services]") {
  auto asked = ask(0, 20s, "nothing");
  auto code = errc::none;
  asked.receive([](const service_place&) {},
                [&](const caf::error& why) { code = to_problem(why).code; });
  CHECK(code == errc::not_found);
}

TEST_CASE_METHOD(asking_routers, "too many who wait to hear where a service is are told so",
                 "[router][services]") {
  move("here:1");
  for (std::size_t each = 0; each < router::detail::service_places::max_waiting; ++each)
    static_cast<void>(ask(1, 20s));
  auto one_more = ask(1, 20s);
  auto code = errc::none;
  one_more.receive([](const service_place&) {},
                   [&](const caf::error& why) { code = to_problem(why).code; });
  CHECK(code == errc::busy);
  auto at_once = ask(0, 20s); // what is known is told all the same
  CHECK(answer(at_once).address == "here:1");
}

TEST_CASE_METHOD(test::live_system<caf::id_block::troupe_router>,
                 "one identity leaves room for others who wait to hear where services are",
                 "[router][services]") {
  caf::scoped_actor ann{sys};
  caf::scoped_actor bob{sys};
  node_id anns;
  anns.bytes[0] = std::byte{1};
  node_id bobs;
  bobs.bytes[0] = std::byte{2};
  auto peers = [anns, bobs, a = ann.address(),
                b = bob.address()](const caf::strong_actor_ptr& from) -> link_peer {
    return from->address() == a   ? link_peer{anns}
           : from->address() == b ? link_peer{bobs}
                                  : link_peer{};
  };
  router_access router{sys, node_id{}, {}, {}, {}, peers};
  router.run([](router_state& state) { state.set_service("locks", {nullptr, "here:1"}); });
  auto news = [&](caf::scoped_actor& who, duration wait) {
    return who->request(router.handle(), 20s, find_service{"locks", 1, wait});
  };
  auto refusal = [](auto asked) {
    auto code = errc::none;
    asked.receive([](const service_place&) {},
                  [&](const caf::error& why) { code = to_problem(why).code; });
    return code;
  };
  constexpr auto all = router::detail::service_places::max_waiting;
  for (std::size_t count = 0; count <= all; ++count) // from nobody, as BASP says it
    caf::anon_send(router.handle(), find_service{"locks", 1, 30s});
  for (std::size_t count = 0; count < all / 2; ++count)
    static_cast<void>(news(ann, 30s));
  CHECK(refusal(news(ann, 30s)) == errc::busy);
  CHECK(refusal(news(bob, 1ms)) == errc::none);
  CHECK(refusal(news(ann, 0s)) == errc::none); // does not wait
  router.run([](router_state& state) { state.set_service("locks", {nullptr, "here:2"}); });
  CHECK(refusal(news(ann, 1ms)) == errc::none); // which all have been told
  caf::anon_send_exit(router.handle(), caf::exit_reason::user_shutdown);
}
