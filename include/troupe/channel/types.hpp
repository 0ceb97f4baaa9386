#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "troupe/channel/number_set.hpp"
#include "troupe/core/backoff.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/utf8.hpp"

/// Vocabulary of a channel: messages from one node to the agents of another one that are sent
/// again until the other node says what has become of each.
namespace troupe::channel {

/// Counts the messages of a session, from one.
using sequence_number = std::uint64_t;

/// Far more than a sender ever gets to. A higher number is an error or an attack.
inline constexpr sequence_number max_sequence = sequence_number{1} << 62U;

/// What has become of a message at its receiver. Numbers go over the wire: append at the end.
enum class outcome : std::uint8_t {
  /// The agent has handled it.
  handled = 0,
  /// It has failed max_deliveries times.
  given_up = 1,
  /// The agent is not there.
  not_here = 2,
  /// Its time was over before the agent could get it.
  expired = 3,
  /// It has ended, and nobody knows any more how.
  lost = 4,
};

inline constexpr std::array<std::string_view, 5> outcome_names{"handled", "given_up", "not_here",
                                                               "expired", "lost"};

constexpr std::string_view name_of(outcome value) noexcept {
  auto index = static_cast<std::size_t>(value);
  return index < outcome_names.size() ? outcome_names[index] : "unknown";
}

/// Tells a message from all others, whatever becomes of the processes that send it.
struct content_id {
  node_id node{};
  boot_number boot = 0;
  std::uint64_t number = 0;
  /// How often it was given up and, at somebody's wish, sent again.
  std::uint32_t redrives = 0;

  friend auto operator<=>(const content_id&, const content_id&) = default;
};

/// What goes with each message. A session is that of a pair of lives: who restarts begins another.
struct frame_header {
  /// The start of the sender's process, which counts its messages from one.
  boot_number session = 0;
  /// The start of the receiver's process. A later one does not know what this one has said.
  boot_number to = 0;
  /// All below have ended, as the sender knows: a receiver that knows nothing of the session begins
  /// there.
  sequence_number base = 1;
  sequence_number number = 0;
  /// The first message of the run that it belongs to. A run is what goes to one agent until the
  /// receiver says that the agent is not there, or the sender takes it back.
  sequence_number run = 0;
  /// How often an agent had it and failed, as far as the sender knows.
  std::uint32_t failures = 0;

  friend bool operator==(const frame_header&, const frame_header&) = default;

  TROUPE_FIELDS(frame_header, session, to, base, number, run, failures);
};

/// Asks a receiver what it has, and who it is: goes in front of all else over each link.
struct probe {
  boot_number session = 0;
  sequence_number base = 1;
  /// Counts them, from one.
  std::uint64_t number = 0;
  /// From `base` on: those that have ended, as the sender knows, as ranges.
  std::vector<number_range> ended{};

  friend bool operator==(const probe&, const probe&) = default;

  TROUPE_FIELDS(probe, session, base, number, ended);
};

/// How one message has ended that was not handled.
struct ending {
  sequence_number number = 0;
  outcome how = outcome::lost;
  /// Of one that was given up: the last failure.
  problem why{};
  /// How often its agent had it and failed.
  std::uint32_t failures = 0;

  friend bool operator==(const ending&, const ending&) = default;

  TROUPE_FIELDS(ending, number, how, why, failures);
};

/// One that has failed and is tried again.
struct setback {
  sequence_number number = 0;
  problem why{};
  /// How often that is.
  std::uint32_t failures = 0;
  /// Later ones for its agent pass it meanwhile.
  bool is_passed = false;

  friend bool operator==(const setback&, const setback&) = default;

  TROUPE_FIELDS(setback, number, why, failures, is_passed);
};

/// As it is told: with the beginning of its sentence, which an agent may have chosen.
inline problem in_few_words(problem why) {
  constexpr std::size_t max_detail_bytes = 200;
  why.detail.resize(is_utf8(why.detail) ? utf8_prefix(why.detail, max_detail_bytes).size()
                                        : std::min(why.detail.size(), max_detail_bytes));
  return why;
}

/// What a receiver says.
struct acknowledgement {
  boot_number session = 0;
  /// The start of the receiver's process.
  boot_number by = 0;
  /// The probe that it answers; zero: none.
  std::uint64_t probe = 0;
  /// With a probe: all below have come.
  sequence_number came = 0;
  /// Those that were handled, as ranges. Some may have been said before.
  std::vector<number_range> handled{};
  std::vector<ending> others{};
  /// That have failed since the last word; a loss of it is not made up for.
  std::vector<setback> failing{};

  friend bool operator==(const acknowledgement&, const acknowledgement&) = default;

  TROUPE_FIELDS(acknowledgement, session, by, probe, came, handled, others, failing);
};

/// What was made of something from the other side. All but `taken` change nothing.
enum class verdict : std::uint8_t {
  taken,
  /// It has come before, or of an earlier session. Harmless.
  repeated,
  /// More than may be under way. It is to be sent again.
  beyond_window,
  /// It contradicts itself, or what was said before.
  nonsense,
};

inline constexpr std::array<std::string_view, 4> verdict_names{"taken", "repeated", "beyond_window",
                                                               "nonsense"};

constexpr std::string_view name_of(verdict value) noexcept {
  auto index = static_cast<std::size_t>(value);
  return index < verdict_names.size() ? verdict_names[index] : "unknown";
}

/// Bounds and pace of a channel. Both sides go by their own.
struct options {
  /// Messages on their way to one node: sent, and not known to have ended. An agent may have
  /// another one while it has fewer than are free.
  std::size_t max_messages = 1'000;
  /// Their bytes, likewise. One message of any size goes where nothing is on its way.
  std::size_t max_bytes = 1U << 20U;
  /// How often the agent gets a message that fails.
  std::uint32_t max_deliveries = 8;
  /// Between two of these.
  backoff retry{std::chrono::milliseconds{100}, std::chrono::seconds{30}};
  /// How long an agent may have a message. Beyond it that is given up: it does not come again, as
  /// the agent may handle it yet, and the next one comes.
  duration longest_handling = std::chrono::hours{1};
  /// How long an agent may put off a message at a time.
  duration longest_delay = std::chrono::hours{1};
  /// A sender that has heard nothing for so long asks what has come, and then again after
  /// `ask_again` more.
  duration silence = std::chrono::seconds{1};
  /// See `silence`.
  backoff ask_again{std::chrono::seconds{1}, std::chrono::seconds{30}};
};

} // namespace troupe::channel
