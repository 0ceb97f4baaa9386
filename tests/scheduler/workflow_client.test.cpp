#include "troupe/scheduler/workflow_client.hpp" // the header under test
#include "support/services.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <future>
#include <memory>

#include "caf/event_based_actor.hpp"
#include "caf/send.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;

namespace {

using live_clients = test::live_system<caf::id_block::troupe_scheduler>;

} // namespace

TEST_CASE_METHOD(live_clients, "who waits for a run leaves its question time for the answer",
                 "[scheduler][client]") {
  auto asked = std::make_shared<std::promise<duration>>();
  auto service = sys.spawn([=]() -> caf::behavior {
    return {[=](const watch_run& question) {
      asked->set_value(question.wait);
      return run_news{.run = {.run = question.run, .state = run_state::completed}, .revision = 1};
    }};
  });
  host::client<scheduler_protocol> client{sys};
  client.set_target(caf::actor_cast<caf::strong_actor_ptr>(service));
  REQUIRE(workflow_client{client}.run(run_id{1}).wait({}, 10s));
  // A scheduler that has no news to tell answers only once the question has waited so long.
  CHECK(asked->get_future().get() <= 9s);
  client.close();
  caf::anon_send_exit(service, caf::exit_reason::user_shutdown);
}
