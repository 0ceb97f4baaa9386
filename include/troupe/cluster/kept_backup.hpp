#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// The backup that was made last on a node, for who fetches it in pieces. Stays for five minutes,
/// whether it was fetched or not: it takes as much memory as all that the group keeps. Machine,
/// without a snapshot: a backup is made again. Not thread-safe. Cost of a call: O(size) of keep,
/// O(max_piece) of read.
class kept_backup {
public:
  /// Heartbeats pass between pieces of this size.
  static constexpr std::size_t max_piece = 256ULL * 1024;
  static constexpr duration stays = std::chrono::minutes{5};

  /// Takes the place of an earlier one. Returns its number, of no earlier one: `index`, that of the
  /// last record in it, or the next above that of the one before, as a backup of the same record
  /// has another time in it.
  std::uint64_t keep(time_point now, std::uint64_t index, std::string bytes) {
    last_ = std::max(index, last_ + 1);
    kept_ = backup{last_, std::move(bytes), now + stays};
    return last_;
  }

  /// Returns the piece at `offset`, of max_piece at most; an empty one at the end. Error:
  /// not_found, if there is no such backup, or not any more.
  [[nodiscard]] result<std::string> read(std::uint64_t number, std::uint64_t offset) const {
    if (!kept_ || kept_->number != number || offset > kept_->bytes.size())
      return problem{errc::not_found, "that backup is gone; make another one"};
    return kept_->bytes.substr(static_cast<std::size_t>(offset), max_piece);
  }

  /// Early is harmless.
  void tick(time_point now) {
    if (kept_ && kept_->until <= now)
      kept_.reset();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return kept_ ? std::optional{kept_->until} : std::nullopt;
  }

private:
  struct backup {
    std::uint64_t number = 0;
    std::string bytes;
    time_point until{};
  };

  std::optional<backup> kept_;
  /// The number of the last one, kept or not.
  std::uint64_t last_ = 0;
};

} // namespace troupe::cluster
