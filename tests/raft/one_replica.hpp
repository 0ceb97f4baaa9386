#pragma once

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/checksum.hpp"
#include "troupe/raft/replica.hpp"

namespace troupe::test {

using namespace std::chrono_literals;
using namespace troupe::raft;

/// Replica 1 of three, whose disk has three entries of term 1, and what it said.
class subject {
public:
  explicit subject(options how = lan(), const stored_state& from = disk())
    : inside_({1}, how, from, time_point{}) {}

  void hear(message what, member_id from = {2}) {
    step(replica::received{from, std::move(what)});
  }

  void step(const replica::event& what) {
    out_.clear();
    replica::effects out;
    inside_.step(now_, ++requests_, what, out);
    carry_out(out);
  }

  /// Lets time pass.
  void run(duration span) {
    for (auto end = now_ + span; now_ < end;) {
      now_ += 50ms;
      replica::effects out;
      inside_.tick(now_, out);
      carry_out(out);
    }
  }

  /// Wins an election of term 2, with the votes of all.
  void lead() {
    replica::effects out;
    now_ = inside_.next_deadline().value();
    inside_.tick(now_, out);
    carry_out(out);
    for (auto trial : {true, false})
      for (auto voter : inside_.members().voters())
        if (voter != inside_.self())
          hear({2, vote_answer{trial, true}}, voter);
    REQUIRE(inside_.current_role() == role::leader);
    out_.clear();
  }

  /// What came of the last step, of one kind.
  template <class Effect>
  [[nodiscard]] std::vector<Effect> all() const {
    std::vector<Effect> found;
    for (auto& what : out_)
      if (auto* one = std::get_if<Effect>(&what))
        found.push_back(*one);
    return found;
  }

  template <class Effect>
  [[nodiscard]] Effect only() const {
    auto found = all<Effect>();
    REQUIRE(found.size() == 1);
    return found.front();
  }

  /// The body of the one message that it sent.
  template <class Body>
  [[nodiscard]] Body said() const {
    auto what = only<replica::send>().what.body;
    REQUIRE(std::holds_alternative<Body>(what));
    return std::get<Body>(what);
  }

  [[nodiscard]] const replica& operator*() const {
    return inside_;
  }

private:
  static stored_state disk() {
    stored_state made;
    made.last_ballot = {1, {}};
    for (std::uint64_t each = 1; each <= 3; ++each)
      made.base.members.members[{each}] = {true, ""};
    made.entries = {{1, 1, {}, no_op{}}, {2, 1, {}, std::string{"x"}}, {3, 1, {}, no_op{}}};
    return made;
  }

  void carry_out(const replica::effects& out) {
    for (auto& what : out) {
      out_.push_back(what);
      if (auto* write = std::get_if<replica::write>(&what)) {
        replica::effects more;
        inside_.step(now_, 0, replica::written{write->number}, more);
        carry_out(more);
      }
    }
  }

  replica inside_;
  time_point now_{};
  request_id requests_ = 0;
  replica::effects out_;
};

inline append entries_behind(log_index index, term_number term, std::vector<entry> lines) {
  return {index, term, 0, {}, 1, std::move(lines)};
}

inline snapshot_header header_at(log_index index) {
  return {index, 1, {}, {{{{1}, {true, ""}}, {{2}, {true, ""}}, {{3}, {true, ""}}}}};
}

inline snapshot_part part_of(const std::string& whole, std::size_t offset, std::size_t size) {
  return {header_at(50), offset, whole.size(), crc32c(whole), whole.substr(offset, size)};
}

} // namespace troupe::test
