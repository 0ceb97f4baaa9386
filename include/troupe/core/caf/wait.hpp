#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/system_messages.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"

/// All that blocks a thread until an actor has said or done something. Not for the thread of an
/// actor, which would keep others from running.
namespace troupe {

/// Why nothing was heard.
enum class unheard : std::uint8_t {
  /// Not in time; it may come yet.
  late,
  /// Who was to say it has ended, or was never told.
  gone,
};

/// Calls `begin(done)` and waits up to `wait` until `done(Answer)` is called, once and on any
/// thread; without that returns `otherwise(unheard)`. Copies of `done` that are all destroyed say
/// that nobody will call it: jobs for an actor that has ended do so.
template <class Answer, class Begin, class Otherwise>
Answer wait_for(Begin begin, duration wait, Otherwise otherwise) {
  auto promise = std::make_shared<std::promise<Answer>>();
  auto answer = promise->get_future();
  begin([promise = std::move(promise)](Answer what) { promise->set_value(std::move(what)); });
  if (answer.wait_for(wait) != std::future_status::ready)
    return otherwise(unheard::late);
  try {
    return answer.get();
  } catch (const std::future_error&) {
    return otherwise(unheard::gone);
  }
}

/// Sends `question` to an actor and waits up to `wait` for its answer. Errors: those of the
/// answer; timed_out.
template <class Answer, class Question>
result<Answer> ask_and_wait(caf::actor_system& sys, const caf::actor& whom, duration wait,
                            Question question) {
  caf::scoped_actor self{sys};
  result<Answer> answer{problem{errc::timed_out, "no answer in time"}};
  self->request(whom, std::max<duration>(wait, std::chrono::milliseconds{1}), std::move(question))
    .receive([&](Answer& got) { answer = std::move(got); },
             [&](const caf::error& why) { answer = to_problem(why); });
  return answer;
}

/// Calls `end()`, at which these actors end, and waits until they have.
template <class End>
void wait_for_ends(caf::actor_system& sys, const std::vector<caf::strong_actor_ptr>& which,
                   End end) {
  caf::scoped_actor self{sys};
  for (auto& each : which)
    self->monitor(each);
  end();
  for (auto left = which.size(); left > 0; --left)
    self->receive([](const caf::down_msg&) {});
}

} // namespace troupe
