#pragma once

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "caf/message.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/system_messages.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/wait_for.hpp"

/// Functions that block a thread until an actor has answered or ended. Never call them on the
/// thread of an actor: they would keep other actors from running.
namespace troupe {

namespace detail {

inline duration in_bounds(duration wait) {
  return std::clamp<duration>(wait, std::chrono::milliseconds{1}, longest_span);
}

} // namespace detail

/// Sends `question` to an actor and waits up to `wait` for its answer, of any types. Errors: those
/// of the answer; timed_out; outcome_unknown where the link to another process is lost.
inline result<caf::message> ask_and_wait(caf::scoped_actor& self, const caf::actor& whom,
                                         duration wait, const caf::message& question) {
  result<caf::message> answer{problem{errc::timed_out, "no answer in time"}};
  compat::ask_and_wait(
    self, whom, detail::in_bounds(wait), question,
    [&](caf::message& got) { answer = std::move(got); },
    [&](const caf::error& why) { answer = to_problem(why); });
  return answer;
}

/// The same for an answer of one type.
template <class Answer, class Question>
result<Answer> ask_and_wait(caf::scoped_actor& self, const caf::actor& whom, duration wait,
                            Question question) {
  result<Answer> answer{problem{errc::timed_out, "no answer in time"}};
  auto asked = self->request(whom, detail::in_bounds(wait), std::move(question));
  compat::link_watch watch{self->ctrl(), whom, asked.id()};
  asked.receive([&](Answer& got) { answer = std::move(got); },
                [&](const caf::error& why) { answer = to_problem(why); });
  return answer;
}

/// Calls `end()`, which makes these actors end, and waits until they have ended.
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
