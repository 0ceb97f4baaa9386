#pragma once

#include <algorithm>
#include <cstdint>
#include <future>
#include <memory>
#include <utility>

#include "troupe/core/time.hpp"

namespace troupe {

/// Why there is no answer.
enum class unheard : std::uint8_t {
  /// Not in time; it may still come.
  late,
  /// The answering side has ended, or never got the request.
  gone,
};

/// Calls `begin(done)` and waits up to `wait` until `done(Answer)` is called, once and on any
/// thread; otherwise returns `otherwise(unheard)`. If all copies of `done` are destroyed without a
/// call, as those in jobs for an actor that has ended, it returns at once.
template <class Answer, class Begin, class Otherwise>
Answer wait_for(Begin begin, duration wait, Otherwise otherwise) {
  auto promise = std::make_shared<std::promise<Answer>>();
  auto answer = promise->get_future();
  begin([promise = std::move(promise)](Answer what) { promise->set_value(std::move(what)); });
  if (answer.wait_for(std::min(wait, longest_span)) != std::future_status::ready)
    return otherwise(unheard::late);
  try {
    return answer.get();
  } catch (const std::future_error&) {
    return otherwise(unheard::gone);
  }
}

} // namespace troupe
