#include "troupe/router/router_service.hpp" // the header under test
#include "node/node_fixture.hpp"
#include "troupe/node/spawn.hpp"
#include "troupe/router/router_client.hpp"

#include <future>

#include "caf/send.hpp"

using namespace std::literals;
using namespace troupe;

TEST_CASE("a request through a router fails as soon as its agent's process is gone", "[node]") {
  testing::cluster c{2};
  auto here = spawn<router::router_service>(c[0].system());
  REQUIRE(here);
  auto kept = std::make_shared<std::vector<caf::response_promise>>();
  auto silent = c[1].system().spawn([kept](caf::event_based_actor* self) -> caf::behavior {
    return {[self, kept](const std::string&) -> caf::delegated<std::string> {
      kept->push_back(self->make_response_promise());
      return {};
    }};
  });
  REQUIRE(c[1].add_agent("silent", silent));
  REQUIRE(c.until([&] { return c[0].find("silent").has_value(); }));
  host::client<router::router_protocol> program{c[0].system(), *here};
  auto there = c[0].find<caf::strong_actor_ptr>("silent");
  REQUIRE(there);
  REQUIRE(program.ask(router::add_agent{"silent", *there}, 5s));
  *there = nullptr;
  router::router_client messages{c[0].system(), *here};
  auto answer = std::async(std::launch::async, [&] {
    return messages.request<std::string>(to_agent("silent"), 30s, "hello"s);
  });
  CHECK(c.until([&] {
    auto seen = program.ask(router::find_router_statistics{}, 5s);
    return seen && seen->pending == 1;
  }));
  // Its system waits for the actor, which is to outlive the link.
  auto stopped = std::async(std::launch::async, [&] { c.stop(1); });
  CHECK(answer.wait_for(20s) == std::future_status::ready);
  kept->clear();
  caf::anon_send_exit(std::exchange(silent, nullptr), caf::exit_reason::user_shutdown);
  CHECK(answer.get().error().code == errc::outcome_unknown);
  CHECK(program.ask(router::list_agents{}, 5s)->agents.empty());
  stopped.get();
  program.reset();
  caf::anon_send_exit(*here, caf::exit_reason::user_shutdown);
}
