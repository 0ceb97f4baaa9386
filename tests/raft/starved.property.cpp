// Replicas on a machine that has no time for them: how many terms they begin.

#include "troupe/raft/replica.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <variant>

#include "support/seeds.hpp"

namespace starved_property {

using namespace std::chrono_literals;
using namespace troupe;
using namespace troupe::raft;

namespace {

constexpr std::size_t all = 3;

/// Three nodes of which the first founds a group and makes the others voters. A node that is
/// starved comes to its events 200 ms to 5 s late: first to all that waits for it, then to its
/// clock. The others answer at once meanwhile.
class starved_nodes {
public:
  explicit starved_nodes(random_source random) : random_(random) {
    for (std::size_t each = 0; each < all; ++each) {
      auto how = lan();
      how.seed = random_.next();
      nodes_.at(each).inside.emplace(seat_of(each), how, stored_state{}, now_);
    }
    step(0, replica::found_group{""});
  }

  /// Lets time pass. Of `starved` wake-ups in a thousand the next one is late.
  void run(duration span, std::uint32_t starved) {
    for (auto end = now_ + span; now_ < end; now_ += 1ms)
      for (std::size_t each = 0; each < all; ++each)
        if (nodes_.at(each).wakes <= now_)
          wake(each, starved);
  }

  /// The highest term that any of them has.
  [[nodiscard]] term_number term() const {
    term_number highest = 0;
    for (auto& each : nodes_)
      highest = std::max(highest, each.inside->term());
    return highest;
  }

  [[nodiscard]] std::size_t leaders() const {
    return static_cast<std::size_t>(std::ranges::count_if(
      nodes_, [](auto& each) { return each.inside->current_role() == role::leader; }));
  }

  [[nodiscard]] std::size_t voters() const {
    std::size_t most = 0;
    for (auto& each : nodes_)
      most = std::max(most, each.inside->members().voters().size());
    return most;
  }

  /// Hand-overs that leaders have begun.
  [[nodiscard]] std::uint64_t hand_overs() const {
    return hand_overs_;
  }

private:
  struct node {
    std::optional<replica> inside;
    time_point wakes{};
    /// What waits for it, by the time that it arrives and in that order.
    std::multimap<time_point, replica::event> inbox;
  };

  static member_id seat_of(std::size_t which) {
    return {which + 1};
  }

  void wake(std::size_t which, std::uint32_t starved) {
    auto& self = nodes_.at(which);
    while (!self.inbox.empty() && self.inbox.begin()->first <= now_) {
      auto next = std::move(self.inbox.begin()->second);
      self.inbox.erase(self.inbox.begin());
      step(which, next);
    }
    replica::effects out;
    if (self.inside->next_deadline().value_or(now_ + 1h) <= now_)
      self.inside->tick(now_, out);
    carry_out(which, out);
    operate(which);
    self.wakes = now_ + (random_.below(1'000) < starved ? late() : 1ms);
  }

  duration late() {
    return std::chrono::milliseconds{200 + random_.below(random_.one_in(3) ? 4'800 : 400)};
  }

  /// What the node that leads has its group do.
  void operate(std::size_t which) {
    auto& self = *nodes_.at(which).inside;
    if (self.current_role() != role::leader || !random_.one_in(10))
      return;
    auto other = seat_of(random_.below(all));
    auto& members = self.members();
    if (!members.members.contains(other))
      step(which, replica::add_learner{other, ""});
    else if (!members.votes(other))
      step(which, replica::promote{other});
    else if (random_.one_in(1'000))
      step(which, replica::transfer{});
    else
      step(which, replica::propose{{"x"}});
  }

  void step(std::size_t which, const replica::event& what) {
    replica::effects out;
    nodes_.at(which).inside->step(now_, ++requests_, what, out);
    if (std::holds_alternative<replica::transfer>(what))
      for (auto& each : out)
        hand_overs_ += std::holds_alternative<replica::proposed>(each) ? 1 : 0;
    carry_out(which, out);
  }

  void carry_out(std::size_t which, replica::effects& out) {
    for (auto& each : out)
      if (auto* write = std::get_if<replica::write>(&each))
        put(which, 3, replica::written{write->number});
      else if (auto* sent = std::get_if<replica::send>(&each))
        put(sent->to.value - 1, 2, replica::received{seat_of(which), std::move(sent->what)});
  }

  void put(std::uint64_t which, std::uint32_t below_ms, replica::event what) {
    auto after = std::chrono::milliseconds{random_.below(below_ms)};
    nodes_.at(which).inbox.emplace(now_ + after, std::move(what));
  }

  random_source random_;
  time_point now_{};
  request_id requests_ = 0;
  std::uint64_t hand_overs_ = 0;
  std::array<node, all> nodes_;
};

/// A voter stands once in an election time-out, however late it is, and after a hand-over at once.
term_number most_terms(duration span, std::uint64_t hand_overs) {
  auto times = static_cast<std::uint64_t>(span / lan().election_timeout) + 1;
  return all * times + hand_overs;
}

} // namespace

TEST_CASE("voters that are starved begin no more terms than their election time-outs allow, and "
          "one leads for good when there is time again",
          "[raft][property]") {
  std::uint64_t begun = 0;
  std::size_t formed = 0;
  constexpr std::uint64_t worlds = test::simulated_worlds / 4;
  test::for_each_seed(worlds, [&](random_source random) {
    auto starved = static_cast<std::uint32_t>(1 + random.below(random.one_in(2) ? 10 : 300));
    starved_nodes nodes{random};
    for (auto second = 0; second < 30; ++second) {
      auto before = nodes.term();
      auto handed_before = nodes.hand_overs();
      nodes.run(1s, starved);
      // One that began in the second before may come to it in this one.
      REQUIRE(nodes.term() - before <= most_terms(1s, nodes.hand_overs() - handed_before + 1));
    }
    formed += nodes.voters() == all ? 1 : 0;
    nodes.run(10s, 0);
    CHECK(nodes.leaders() == 1);
    auto term = nodes.term();
    auto handed = nodes.hand_overs();
    nodes.run(5s, 0);
    CHECK(nodes.term() <= term + nodes.hand_overs() - handed + 1); // one may be under way
    begun += term;
  });
  if (test::given_seed())
    return;
  CHECK(begun > 5 * worlds); // or nobody stood
  CHECK(formed > worlds / 4);
}

} // namespace starved_property
