#include "troupe/cluster/liveness.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "router/named_nodes.hpp"
#include "support/seeds.hpp"

namespace liveness_property {

using namespace std::literals;
using namespace troupe;
using cluster::liveness;

namespace {

constexpr duration lost_after = 5s;

/// A leader, or a node that is none at times, and four others whose links come and go.
class judged_world {
public:
  explicit judged_world(random_source random) : random_(random) {
    for (auto index = 0; index < 4; ++index)
      others_[test::node_named("n" + std::to_string(index))];
  }

  void run() {
    for (auto round = 0; round < 200; ++round) {
      act();
      pass(duration{std::chrono::milliseconds{random_.below(2'000)}});
    }
    settle();
  }

private:
  struct other {
    bool is_linked = false;
    boot_number boot = 1;
    bool has_left = false;
    /// Since when it is neither linked nor gone by its own will, for this leader.
    std::optional<time_point> away{};
    bool is_lost = false;
  };

  void act() {
    auto& [node, it] = *std::next(others_.begin(), static_cast<std::ptrdiff_t>(random_.below(4)));
    switch (random_.below(8)) {
      case 0:
      case 1:
      case 2:
        it.boot += random_.below(2);
        it.is_linked = true;
        it.has_left = it.is_lost = false;
        it.away.reset();
        return step(liveness::link_up{node, it.boot});
      case 3:
      case 4:
        if (!it.is_linked)
          return;
        it.is_linked = false;
        if (leads_ && !it.has_left)
          it.away = now_;
        return step(liveness::link_down{node, it.boot, "closed"});
      case 5:
        if (!leads_ || !it.is_linked)
          return;
        it.has_left = true;
        return step(liveness::left{node, it.boot});
      case 6:
        return step(liveness::forgotten{node, it.boot});
      default:
        if (random_.below(3) == 0)
          change_lead();
    }
  }

  void change_lead() {
    leads_ = !leads_;
    for (auto& [node, it] : others_) {
      it.away.reset();
      it.is_lost = it.has_left = false;
    }
    if (!leads_)
      return step(liveness::follow{});
    liveness::lead begun;
    for (auto& [node, it] : others_)
      if (random_.below(2) == 0) {
        begun.known[node] = it.boot;
        if (!it.is_linked)
          it.away = now_;
      }
    step(begun);
  }

  void settle() {
    if (!leads_)
      change_lead();
    pass(lost_after);
    for (auto& [node, it] : others_) {
      INFO(test::name_of(node));
      CHECK(it.is_lost == it.away.has_value());
    }
  }

  void step(liveness::event what, request_id id = 0) {
    liveness::effects out;
    machine_.step(now_, id, std::move(what), out);
    look_at(out);
  }

  void pass(duration span) {
    auto until = now_ + span;
    for (auto due = machine_.next_deadline(); due && *due <= until;
         due = machine_.next_deadline()) {
      now_ = std::max(now_, *due);
      liveness::effects out;
      machine_.tick(now_, out);
      look_at(out);
    }
    now_ = until;
  }

  void look_at(const liveness::effects& out) {
    for (auto& each : out) {
      if (auto* lost = std::get_if<liveness::give_up>(&each)) {
        auto& it = others_.at(*lost->owner.node());
        CHECK(leads_);
        CHECK_FALSE(it.is_linked);
        REQUIRE(it.away.has_value());
        CHECK(now_ == *it.away + lost_after);
        CHECK_FALSE(it.is_lost); // once for each loss
        CHECK(lost->boot == it.boot);
        it.is_lost = true;
      }
      if (std::holds_alternative<liveness::free_names>(each))
        CHECK(leads_);
    }
    for (auto& each : machine_.flaws())
      FAIL_CHECK(each);
  }

  random_source random_;
  cluster::known_nodes nodes_;
  liveness machine_{nodes_, {.lost_after = lost_after, .check_every = {}, .sweep_every = {}}};
  time_point now_{1h};
  bool leads_ = false;
  std::map<node_id, other> others_;
};

} // namespace

TEST_CASE("a leader gives up each lost node once, in time", "[node][liveness][property]") {
  test::for_each_seed(test::simulated_worlds,
                      [](random_source random) { judged_world{random}.run(); });
}

} // namespace liveness_property
