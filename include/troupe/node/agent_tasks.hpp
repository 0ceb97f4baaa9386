#pragma once

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>
#include <utility>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "caf/error.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message.hpp"
#include "caf/sec.hpp"
#include "caf/send.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/scheduler/task_call.hpp"

namespace troupe::cluster {

/// Returns the handler for scheduler::agent_handlers: a task that runs "agent:NAME" is a
/// request to the agent NAME, wherever it lives. The agent gets the input of the task as a text and
/// answers with a text, the result. Errors are those of node::request(); they are tried again
/// as those of other tasks, so the agent may be asked more than once. The agent is not told
/// when the task is cancelled, its answer is not waited for then.
inline scheduler::task_handler agent_tasks(caf::actor_system& sys, caf::actor router) {
  return [&sys, router = std::move(router)](const scheduler::task_call& call) {
    constexpr duration longest = std::chrono::hours{1};
    agent_id agent{call.order().handler.substr(std::strlen(scheduler::agent_handlers))};
    auto timeout = call.order().timeout;
    auto wait = timeout > duration::zero() ? std::min(timeout, longest) : longest;
    auto asker = sys.spawn([=](caf::event_based_actor* self) {
      self->attach_functor([call] { // nothing new once there was an answer
        call.finish(problem{errc::cancelled, "cancelled"});
      });
      // The router itself ends what takes too long, with better words.
      self
        ->request(
          router, wait + std::chrono::seconds{1},
          router::dispatch{router::to_agent(agent), {}, wait, caf::make_message(call.input())})
        .then([call](std::string& answer) { call.finish(std::move(answer)); },
              [call, agent](const caf::error& why) {
                if (why == caf::sec::unexpected_response)
                  call.finish(problem{errc::bad_argument,
                                      "agent '" + agent.text()
                                        + "' answered with something else than a text; let it "
                                          "return a std::string"});
                else
                  call.finish(to_problem(why));
              });
    });
    call.on_cancel([asker = caf::actor_cast<caf::weak_actor_ptr>(asker)] {
      if (auto waits = asker.lock())
        caf::anon_send_exit(caf::actor_cast<caf::actor>(waits), caf::exit_reason::user_shutdown);
    });
  };
}

} // namespace troupe::cluster
