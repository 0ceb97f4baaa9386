#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/record_set.hpp"

namespace troupe::cluster {

/// Times and bounds of a `record_exchange`.
struct exchange_options {
  /// A node says at most so often what its records are: a burst costs one signature.
  duration restate_every = std::chrono::milliseconds{100};
  /// How long news is gathered before somebody is asked for it.
  duration gather_for = std::chrono::milliseconds{50};
  /// The longest such time, where news follows news and there are many nodes.
  duration gather_at_most = std::chrono::seconds{1};
  /// How long to wait for an answer.
  duration answer_within = std::chrono::seconds{4};
  /// The wait after each of the first four tries that bring nothing, as who is asked may have heard
  /// of the change a moment later; twice as long after each further one.
  duration retry_after = std::chrono::milliseconds{100};
  /// The longest such wait.
  duration retry_at_most = std::chrono::seconds{1};
  /// The wait before another try where a node says what cannot be kept here.
  duration unkept_after = std::chrono::seconds{30};
  /// A member to which there is no link is asked at most so often.
  duration dial_every = std::chrono::seconds{1};
  /// Tries of the records of one that is not there any more.
  std::uint32_t max_vain = 8;
  /// Nodes that one question asks about.
  std::size_t max_asked = 200;
  /// Bytes of one answer, about.
  std::size_t max_answer = std::size_t{256} << 10U;
  /// Statements of one node that are remembered while its records come.
  std::size_t max_heads = 8;
  /// Bytes of records that have come and are not complete, of all nodes.
  std::size_t max_staged = std::size_t{64} << 20U;
  /// Members that have told something wrong of one node, which are not asked about it again.
  std::size_t max_distrusted = 8;
};

/// What a question wants to know of one node: all behind that version of that life.
struct record_wish {
  node_id owner{};
  boot_number boot = 0;
  std::uint64_t after = 0;

  friend bool operator==(const record_wish&, const record_wish&) = default;

  TROUPE_FIELDS(record_wish, owner, boot, after);
};

/// What one member tells of a node: a part of its records, as of that statement.
struct told_records {
  signed_statement of{};
  registry::record_page page{};

  friend bool operator==(const told_records&, const told_records&) = default;

  TROUPE_FIELDS(told_records, of, page);
};

} // namespace troupe::cluster
