#include "troupe/core/caf/answer_path.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <cstdint>
#include <future>
#include <memory>
#include <string>

#include "support/services.hpp"

#include "caf/actor_cast.hpp"
#include "caf/actor_proxy.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/make_actor.hpp"
#include "caf/node_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/testing/comes_true.hpp"

namespace answer_path_test {

using namespace troupe;

namespace {

/// Somebody on another node, who asks and hears.
class far_caller : public caf::actor_proxy {
public:
  using caf::actor_proxy::actor_proxy;

  const char* name() const override {
    return "far-caller";
  }

  bool enqueue(caf::mailbox_element_ptr what, compat::execution_context*) override {
    heard += what->payload.match_elements<std::string>() ? 1 : 100;
    return true;
  }

  void kill_proxy(compat::execution_context*, caf::error) override {}

  std::atomic<int> heard{0};
};

/// In the place of a router: counts what it is to bring, and brings nothing.
caf::behavior bringer(std::shared_ptr<std::atomic<int>> brought) {
  return {[brought](const ready_answer&) -> caf::result<std::string> {
    ++*brought;
    return std::string{};
  }};
}

} // namespace

TEST_CASE_METHOD(test::live_system<caf::id_block::troupe_core>,
                 "answers to other nodes go by who brings them now", "[router]") {
  caf::actor_config how;
  auto node = caf::make_node_id(7, std::string(40, 'a'));
  REQUIRE(node);
  auto far = caf::make_actor<far_caller, caf::strong_actor_ptr>(42, *node, &sys, how);
  auto& hears = *caf::actor_cast<far_caller*>(far);
  auto service = sys.spawn([](caf::event_based_actor* self) -> caf::behavior {
    auto path = std::make_shared<answer_path>(self->system());
    return {[self, path](std::uint64_t) -> caf::result<std::string> {
      auto promise = self->make_response_promise();
      path->deliver(promise, std::string{"here"});
      return caf::delegated<std::string>{};
    }};
  });
  std::uint64_t last = 0;
  auto ask = [&] {
    caf::actor_cast<caf::strong_actor_ptr>(service)->enqueue(
      far, caf::message_id{++last}.with_normal_priority(), caf::make_message(last), nullptr);
  };
  auto brought = std::make_shared<std::atomic<int>>(0);
  auto bring = [&] { return sys.spawn(bringer, brought); };
  auto expect = [&](int straight, int by) {
    ask();
    CHECK(testing::comes_true([&] { return hears.heard == straight && *brought == by; }));
  };
  expect(1, 0); // nobody does
  auto first = bring();
  sys.registry().put(answer_path::name, caf::actor_cast<caf::strong_actor_ptr>(first));
  expect(2, 1); // which answers over this node's own links, here none
  caf::anon_send_exit(first, caf::exit_reason::kill);
  sys.registry().erase(answer_path::name);
  expect(3, 1);
  auto second = bring();
  sys.registry().put(answer_path::name, caf::actor_cast<caf::strong_actor_ptr>(second));
  expect(4, 2);
  sys.registry().erase(answer_path::name);
  for (auto& each : {service, second})
    caf::anon_send_exit(each, caf::exit_reason::kill);
}

} // namespace answer_path_test
