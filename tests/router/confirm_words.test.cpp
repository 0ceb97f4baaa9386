// What others say of accepted messages, and what counts for nothing.

#include "router/live_confirms.hpp"

#include <catch2/catch_test_macros.hpp>

#include "caf/actor_cast.hpp"
#include "troupe/core/departure_report.hpp"
#include "troupe/router/confirm_word.hpp"
#include "troupe/router/detail/confirm_desk.hpp" // the header under test
#include "troupe/router/messages.hpp"
#include "troupe/testing/comes_true.hpp"

namespace confirms_test {

namespace {

/// That a hundred messages were handled.
const confirm_word forged{{.session = 1, .by = 1, .handled = {{1, 100}}}};

} // namespace

TEST_CASE_METHOD(live_confirms, "what a node says of messages that were not sent to it is counted",
                 "[router]") {
  link();
  out->lets_through = [](auto&) { return false; };
  place("a", n2);
  REQUIRE(send("a", 1).code == errc::none);
  peers->put(caf::actor_cast<caf::strong_actor_ptr>(self), n3);
  self->send(here->handle(), forged);
  CHECK(testing::comes_true([&] { return statistics(*here).damaged == 1; }));
  CHECK(statistics(*here).confirms == 1);
}

TEST_CASE_METHOD(live_confirms, "what a client says of accepted messages counts for nothing",
                 "[router]") {
  link();
  out->lets_through = [](auto&) { return false; };
  place("a", n2);
  REQUIRE(send("a", 1).code == errc::none);
  peers->put_client(caf::actor_cast<caf::strong_actor_ptr>(self), n2); // which says it is that node
  self->send(here->handle(), forged);
  CHECK(testing::comes_true([&] { return statistics(*here).uninvited == 1; }));
  CHECK(statistics(*here).damaged == 0);
  CHECK(statistics(*here).confirms == 1);
}

TEST_CASE_METHOD(live_confirms, "only what was handled counts as delivered", "[router]") {
  auto delivered = [this] {
    return on(*here, [](router_state& state) {
      kept_messages sum;
      state.accepted().add_to(sum);
      return sum.delivered;
    });
  };
  CHECK(post("a", 1, confirmed_for(20ms)).starts_with("expired"));
  CHECK(delivered() == 0);
  add_counting(*here, "a");
  CHECK(post("a", 1) == "1");
  CHECK(delivered() == 1);
}

} // namespace confirms_test
