#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "caf/message.hpp"
#include "caf/timestamp.hpp"
#include "troupe/channel/types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/stored_message.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/dead_letter.hpp"
#include "troupe/router/detail/letter_row.hpp"
#include "troupe/router/detail/origin.hpp"
#include "troupe/router/message_options.hpp"

namespace troupe::router::detail {

/// What lay on the disk.
struct kept_letter {
  agent_id to;
  caf::message payload;
  origin from;
  node_id sent_to{};
  std::optional<stored_end> ended{};
  /// See stored_letter.
  std::uint32_t ends = 0;
};

inline wall_time calendar_now() {
  return wall_time{caf::make_timestamp().time_since_epoch()};
}

inline stored_end end_of(dead_reason reason, std::uint32_t failures, const problem& why) {
  return {reason, channel::in_few_words(why).detail, calendar_now(), failures};
}

/// Returns the bytes of a message as it is at `now`. Error: bad_argument (see to_stored()).
inline result<std::string> to_bytes(const agent_id& to, const caf::message& payload,
                                    const origin& from, time_point now, const node_id& sent_to,
                                    std::optional<stored_end> ended = {}, std::uint32_t ends = 0) {
  auto content = to_stored(payload);
  if (!content)
    return std::move(content).error();
  auto today = calendar_now();
  stored_letter made{to,
                     from.said.id,
                     from.where.id,
                     from.agent,
                     from.is_here,
                     from.where.is_member,
                     from.where.is_proven,
                     from.said.sent_at.value_or(today - from.said.age_at(now))};
  if (auto until = from.said.expires_at())
    made.expires_at = today + (*until - now);
  if (from.said.how)
    made.how = *from.said.how;
  made.content = *std::move(content);
  made.sent_to = sent_to;
  made.ended = std::move(ended);
  made.redrives = from.said.redrives;
  made.ends = ends;
  encoder bytes;
  bytes.put(made);
  return bytes.take();
}

/// Reads what to_bytes() has made. Errors: damaged, incompatible (see from_stored()).
inline result<kept_letter> read_letter(std::string_view bytes, time_point now) {
  stored_letter read;
  if (decoder from{bytes}; !from.get(read) || !from.at_end())
    return problem{errc::damaged, "a kept message cannot be read"};
  auto payload = from_stored(read.content);
  if (!payload)
    return std::move(payload).error();
  kept_letter made{std::move(read.to), *std::move(payload),   {},
                   read.sent_to,       std::move(read.ended), read.ends};
  made.from.where = {read.node, read.is_member, read.is_proven};
  made.from.agent = std::move(read.from);
  made.from.is_here = read.is_here;
  made.from.said.id = read.id;
  made.from.said.now = now;
  made.from.said.sent_at = read.sent_at;
  auto today = calendar_now();
  made.from.said.age = std::clamp<duration>(today - read.sent_at, duration::zero(), longest_span);
  if (read.expires_at)
    made.from.said.life
      = std::clamp<duration>(*read.expires_at - today, duration::zero(), longest_span);
  made.from.said.how = std::make_shared<const message_options>(std::move(read.how));
  made.from.said.redrives = read.redrives;
  return made;
}

} // namespace troupe::router::detail
