// What must hold on every schedule of two routers and a link between them: a link that is
// closed for idleness takes no message with it.

#include "troupe/router/idle_links.hpp"
#include "router/named_nodes.hpp"
#include "support/seeds.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <variant>

namespace idle_links_property {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

/// Two sides that send numbered messages over links that deliver in order, some time later.
class world {
public:
  explicit world(random_source random) : random_(random) {
    link();
  }

  void run(std::size_t steps) {
    for (std::size_t step = 0; step < steps; ++step) {
      now_ += std::chrono::milliseconds{static_cast<std::int64_t>(random_.below(700))};
      auto who = static_cast<std::size_t>(random_.below(2));
      switch (random_.below(8)) {
        case 0:
          send(who);
          break;
        case 1:
          tick(who);
          break;
        default:
          deliver(who);
      }
    }
    // The dust settles: all that was sent arrives.
    for (auto round = 0; round < 1'000; ++round)
      for (std::size_t who : {0U, 1U}) {
        now_ += 100ms;
        tick(who);
        deliver(who);
      }
  }

  [[nodiscard]] bool all_arrived() const {
    return sides_[0].sent == sides_[1].heard && sides_[1].sent == sides_[0].heard && in_order_;
  }

  [[nodiscard]] std::size_t closings() const {
    return closings_;
  }

private:
  struct message {
    std::uint64_t number = 0;
  };

  using word = std::variant<message, idle::ask, idle::answer>;

  struct side {
    idle_links links;
    bool rests = false;
    time_point used{};
    std::uint64_t sent = 0;
    std::uint64_t on_the_way = 0;
    std::uint64_t heard = 0;
    std::deque<word> inbox{};
  };

  static node_id id(std::size_t who) {
    return test::node_named(who == 0 ? "a" : "b");
  }

  void link() {
    is_linked_ = true;
    for (auto& each : sides_) {
      each.rests = false;
      each.inbox.clear();
    }
    for (std::size_t who : {0U, 1U}) {
      step(who, idle::linked{id(1 - who)});
      flush(who);
    }
  }

  void send(std::size_t who) {
    ++sides_[who].sent;
    if (!is_linked_)
      link();
    else
      flush(who);
  }

  void flush(std::size_t who) {
    auto& here = sides_[who];
    if (here.rests)
      return;
    here.used = now_;
    while (here.on_the_way < here.sent)
      sides_[1 - who].inbox.emplace_back(message{++here.on_the_way});
  }

  void deliver(std::size_t who) {
    auto& here = sides_[who];
    if (here.inbox.empty())
      return;
    auto what = here.inbox.front();
    here.inbox.pop_front();
    troupe::visit(overloaded{
                    [&](const message& got) {
                      in_order_ = in_order_ && got.number == here.heard + 1;
                      here.heard = got.number;
                    },
                    [&](const idle::ask&) { step(who, idle::asked{id(1 - who)}); },
                    [&](const idle::answer& said) {
                      step(who, idle::answered{id(1 - who), said.agrees});
                    },
                  },
                  what);
  }

  void tick(std::size_t who) {
    tell_used(who);
    idle_links::effects out;
    sides_[who].links.tick(now_, out);
    perform(who, out);
  }

  void step(std::size_t who, const idle::event& what) {
    tell_used(who);
    idle_links::effects out;
    sides_[who].links.step(now_, what, out);
    perform(who, out);
  }

  void tell_used(std::size_t who) {
    idle_links::effects none;
    sides_[who].links.step(now_, idle::used{id(1 - who), sides_[who].used}, none);
  }

  void perform(std::size_t who, const idle_links::effects& out) {
    auto& here = sides_[who];
    auto& there = sides_[1 - who];
    if (!is_linked_)
      return;
    for (auto& each : out)
      troupe::visit(overloaded{
                      [&](const idle::ask& what) {
                        here.rests = true;
                        there.inbox.emplace_back(what);
                      },
                      [&](const idle::answer& what) {
                        here.rests = here.rests || what.agrees;
                        there.inbox.emplace_back(what);
                      },
                      [&](const idle::close&) { close(); },
                      [&](const idle::go_on&) {
                        here.rests = false;
                        flush(who);
                      },
                    },
                    each);
  }

  /// What is on the way is lost. What waits on either side makes the next link.
  void close() {
    ++closings_;
    is_linked_ = false;
    for (std::size_t who : {0U, 1U}) {
      sides_[who].inbox.clear();
      step(who, idle::unlinked{id(1 - who)});
    }
    if (sides_[0].on_the_way < sides_[0].sent || sides_[1].on_the_way < sides_[1].sent)
      link();
  }

  static constexpr idle_options quick{
    .idle_after = 3s, .answer_within = 20s, .link_timeout = 38s, .keeps_all = false};

  random_source random_;
  time_point now_{};
  std::array<side, 2> sides_{side{idle_links{id(0), quick}}, side{idle_links{id(1), quick}}};
  bool is_linked_ = false;
  bool in_order_ = true;
  std::size_t closings_ = 0;
};

} // namespace

TEST_CASE("a link closed for idleness takes no message with it", "[router][property]") {
  std::size_t closings = 0;
  test::for_each_seed(300, [&](random_source random) {
    world two{random};
    two.run(1'000);
    CHECK(two.all_arrived());
    closings += two.closings();
  });
  if (!test::given_seed())
    CHECK(closings > 100); // else it says little
}

} // namespace idle_links_property
