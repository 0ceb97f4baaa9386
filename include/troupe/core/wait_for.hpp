#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <utility>

#include "troupe/core/time.hpp"

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

} // namespace troupe
