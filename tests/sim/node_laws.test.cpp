#include "troupe/sim/laws/node_laws.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/sim/world/swim_member.hpp"

// That the law of whom a node gives up finds no fault with one that does right.
namespace node_laws_test {

using namespace std::literals;
using namespace troupe;
using cluster::liveness;
using cluster::member_status;
using cluster::node_core;

namespace {

public_key key_number(int number) {
  public_key made;
  made.bytes.front() = static_cast<std::byte>(number);
  return made;
}

const auto other = id_of(key_number(2));

/// A node that leads, and its judge.
class judged {
public:
  judged() {
    step(node_core::lead{});
  }

  void step(node_core::event what) {
    node_core::effects made;
    laws_.hears(now_, ++last_, what, it_);
    it_.step(now_, last_, std::move(what), made);
    judge(made);
  }

  void pass(duration span) {
    now_ += span;
    node_core::effects made;
    it_.tick(now_, made);
    judge(made);
    laws_.ticked(now_);
  }

  std::vector<std::string> violations() {
    return laws_.take_violations();
  }

  std::size_t given_up = 0;

private:
  void judge(const node_core::effects& made) {
    laws_.looks(now_, it_);
    for (auto& each : made) {
      laws_.does(now_, each);
      given_up += std::holds_alternative<liveness::give_up>(each) ? 1 : 0;
    }
  }

  static cluster::node_core_options options() {
    cluster::node_core_options made;
    made.node = id_of(key_number(1));
    made.name = "one";
    made.boot = 1;
    return made;
  }

  node_core it_{options(), &sim::is_signed_with};
  sim::judge_laws laws_{options().liveness.lost_after};
  time_point now_{1h};
  request_id last_ = 0;
};

} // namespace

TEST_CASE("a life that began unseen may be given up once it is dead", "[sim][node]") {
  judged node;
  node.step(liveness::link_up{other, 3});
  SECTION("while the one before is linked") {}
  SECTION("while the one before is waited for") {
    node.step(liveness::link_down{other, 3, "cut"});
    node.pass(1s);
  }
  node.step(node_core::member_is{other, {4, 1}, member_status::dead});
  node.pass(0s);
  CHECK(node.given_up == 1);
  CHECK(node.violations() == std::vector<std::string>{});
}

} // namespace node_laws_test
