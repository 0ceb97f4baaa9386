#pragma once

#include <string>
#include <utility>

#include "caf/error.hpp"
#include "caf/exit_reason.hpp"
#include "caf/message.hpp"
#include "caf/sec.hpp"
#include "troupe/core/messages.hpp"
#include "troupe/core/problem.hpp"

namespace troupe {

/// Returns `why` as the answer to a request: callers compare it with an errc,
/// logs print it with its sentence.
inline caf::error to_error(problem why) {
  return caf::make_error(why.code, std::move(why.detail));
}

/// Returns the problem that `why` carries; an error of CAF itself becomes the nearest
/// of our codes, with its own text.
inline problem to_problem(const caf::error& why) {
  if (why.category() == caf::type_id_v<errc>) {
    const auto& text = why.context();
    return {static_cast<errc>(why.code()),
            text.match_elements<std::string>() ? text.get_as<std::string>(0) : to_string(why)};
  }
  if (why == caf::sec::request_timeout)
    return {errc::timed_out, "no answer in time; look at the state before a repeat"};
  if (why == caf::sec::request_receiver_down || why == caf::sec::broken_promise
      || why == caf::exit_reason::remote_link_unreachable)
    return {errc::unreachable, "the receiver is gone (" + to_string(why) + "); resolve it anew"};
  return {errc::failed, to_string(why)};
}

} // namespace troupe
