#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"

namespace troupe::router {

namespace detail {

inline constexpr std::string_view later_begin = "try again in ";
inline constexpr std::string_view later_unit = " ms";

} // namespace detail

/// What a function of an agent returns that cannot handle a message now. One of class confirm comes
/// again after `delay` instead of the usual backoff, at most an hour; it counts as one of
/// router_options::max_deliveries. Whoever has sent a request gets errc::later, with the delay and
/// `why` in the sentence. The delay is in whole milliseconds.
///
///     me.agent("ledger", [&](const order& what) -> result<void> {
///       if (!database.is_open())
///         return later(5s, "the database is closed");
///       ...
///
/// Named NakWithDelay in NATS JetStream.
inline problem later(duration delay, std::string_view why = {}) {
  auto whole = std::chrono::ceil<std::chrono::milliseconds>(std::max(delay, duration::zero()));
  auto text = std::string{detail::later_begin} + std::to_string(whole.count());
  text += detail::later_unit;
  if (!why.empty())
    text.append(": ").append(why);
  return {errc::later, std::move(text)};
}

/// Returns the delay of what later() has made; nothing for other problems.
inline std::optional<duration> delay_of(const problem& what) {
  std::string_view text{what.detail};
  if (what.code != errc::later || !text.starts_with(detail::later_begin))
    return std::nullopt;
  text.remove_prefix(detail::later_begin.size());
  std::int64_t number = 0;
  auto [end, why] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (why != std::errc{} || number < 0 || !text.starts_with(detail::later_unit))
    return std::nullopt;
  auto longest = std::chrono::floor<std::chrono::milliseconds>(longest_span).count();
  return std::chrono::milliseconds{std::min<std::int64_t>(number, longest)};
}

} // namespace troupe::router
