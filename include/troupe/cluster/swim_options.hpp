#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// Times and bounds of a `swim`.
struct swim_options {
  /// One member is pinged in each.
  duration period = std::chrono::seconds{1};
  /// How long to wait for the answer before others are asked to ping it.
  duration answer_within = std::chrono::milliseconds{500};
  /// How many others are asked.
  std::size_t helpers = 3;
  /// Periods that a suspect has to contradict, for each power of ten of members, once as many
  /// others agree as `accusers` says; at least this many.
  std::uint32_t least_suspicion = 2;
  /// How many times longer it has while nobody agrees. 1: no longer.
  std::uint32_t longest_suspicion = 3;
  /// How many others have to agree before a suspect has the least time.
  std::size_t accusers = 3;
  /// How many times slower a node becomes that has reason to doubt its own hearing. 0: it never
  /// has.
  std::uint32_t most_doubt = 8;
  /// Suspects hear of it with each ping, rather than by chance.
  bool tells_suspects = true;
  /// How often news goes to others while there is some.
  duration news_every = std::chrono::milliseconds{200};
  /// To how many it goes each time.
  std::size_t news_to = 3;
  /// How often each member passes on a rumour, beyond the power of two of members. That one of n
  /// members misses it has a probability of about n * e^-(times), and a far lower one in small
  /// clusters, as each member is told in its turn.
  std::uint32_t repeats = 7;
  /// How often all is compared with one other member. Above 32 members the span grows with the
  /// power of two.
  duration sync_every = std::chrono::seconds{30};
  /// How soon after its start a node compares first; then each time after twice as long, up to
  /// sync_every. Where many start at once, rumours of one end before all others are known.
  duration first_sync = std::chrono::seconds{2};
  /// How many comparisons in a row are left out, as long as members write that they see the same as
  /// this node, and none writes that it does not.
  std::uint32_t most_agreed = 9;
  /// How often one of those that are gone is tried: so the two sides of a long partition find each
  /// other again.
  duration revisit_every = std::chrono::seconds{30};
  /// Those that are gone are forgotten after this. Who comes later learns of the dead in the first
  /// seven eighths of it.
  duration keep_gone = std::chrono::hours{24};
  /// Further members are not taken in.
  std::size_t max_members = 10'000;
  /// Bytes of one mail, encoded.
  std::size_t max_mail = 1'100;
  /// Pings under way for others; the oldest of whoever asked for the most gives way.
  std::size_t max_errands = 1'000;
  /// Strangers about whom somebody was asked and has not answered; further ones wait for the next
  /// comparison.
  std::size_t max_strangers = 1'000;

  /// The default: for nodes anywhere.
  static swim_options wan() {
    return {};
  }

  /// For nodes of one room.
  static swim_options lan() {
    swim_options made;
    made.period = std::chrono::milliseconds{200};
    made.answer_within = std::chrono::milliseconds{100};
    made.news_every = std::chrono::milliseconds{100};
    return made;
  }

  /// The same with SWIM as it was before Lifeguard: to compare the two. A member does not doubt its
  /// own hearing, a suspect has its least time at once, and hears of it by chance.
  [[nodiscard]] swim_options without_lifeguard() const {
    auto made = *this;
    made.most_doubt = 0;
    made.longest_suspicion = 1;
    made.accusers = 0;
    made.tells_suspects = false;
    return made;
  }
};

} // namespace troupe::cluster
