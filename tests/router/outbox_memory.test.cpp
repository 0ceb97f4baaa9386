// What an outbox keeps of a burst.

#include "router/named_nodes.hpp"
#include "support/counted_memory.hpp"
#include "troupe/router/outbox.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace outbox_memory_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

TEST_CASE("an outbox keeps little for a node whose burst is over", "[router]") {
  constexpr std::size_t nodes = 20;
  constexpr std::size_t burst = 1'000;
  auto name = [](std::size_t which) { return "n" + std::to_string(which); };
  outbox subject{test::node_named("me"), 5, {}, 7, [](const agent_id& agent) {
                   return test::node_named(agent.text());
                 }};
  auto now = time_point{1h};
  auto before = test::counted_memory::now.load();
  std::uint64_t last = 0;
  for (std::size_t which = 0; which < nodes; ++which) {
    auto node = test::node_named(name(which));
    outbox::effects out;
    subject.link_up(now, node, out);
    for (std::size_t each = 0; each < burst; ++each)
      subject.take(now, ++last, {name(which), 100}, out);
    channel::acknowledgement said{5, 1};
    while (!out.empty()) { // all that was sent has been handled
      said.probe = 0;
      for (auto& each : std::exchange(out, outbox::effects{}))
        if (auto* asked = std::get_if<outbox::ask>(&each))
          said.probe = asked->what.number;
        else if (auto* sent = std::get_if<outbox::transmit>(&each))
          said.came = std::max(said.came, sent->what.head.number + 1);
      said.came = std::max(said.came, channel::sequence_number{1});
      said.handled = {{1, said.came}};
      if (said.came == 1)
        said.handled.clear();
      subject.heard(now, node, said, out);
    }
  }
  CHECK(subject.size() == 0);
  CHECK(test::counted_memory::now - before < nodes * 16'000);
}

} // namespace outbox_memory_test
