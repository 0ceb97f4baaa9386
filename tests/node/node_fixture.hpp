#pragma once

#include "troupe/core/caf/message_block.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/node/peer.hpp"
#include "troupe/testing/cluster.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace troupe::test {

/// A message of an application.
struct tile {
  std::int64_t side = 0;
  std::vector<std::string> colours;

  bool operator==(const tile&) const = default;

  TROUPE_FIELDS(tile, side, colours);
};

struct area {
  std::int64_t value = 0;

  TROUPE_FIELDS(area, value);
};

TROUPE_MESSAGES(node_test, tile, area);

inline const bool is_initialised = (init<node_test>(), true);

/// For an agent that gives back what it gets.
inline auto echo() {
  return [](const std::string& text) { return text; };
}

/// Starts another node that joins `c`.
inline result<troupe::node> join(testing::cluster& c, node_options how = {},
                                 caf::actor_system* sys = nullptr) {
  how.listen = {"127.0.0.1", 0};
  how.join = {{"127.0.0.1", c[0].port()}};
  c.certify(how);
  return troupe::node::start(std::move(how), sys);
}

/// Another node as the one at `from` knows it: its name comes a moment after it is counted.
inline result<peer> find_peer(testing::cluster& c, std::size_t from, const std::string& name) {
  auto there = c[from].find_peer(name);
  c.until([&] { return there || (there = c[from].find_peer(name)); });
  return there;
}

/// What an agent answers, or the name of the error.
inline std::string answer_of(troupe::node& from, const std::string& agent) {
  auto answer
    = from.request<std::string>(to_agent(agent), std::chrono::seconds{5}, std::string{"hello"});
  return answer ? *answer : std::string{name_of(answer.error().code)};
}

/// Between nodes; clients are not counted.
inline std::uint32_t links_of(troupe::node& asked) {
  caf::scoped_actor self{asked.system()};
  std::uint32_t result = 0;
  self->request(asked.router(), std::chrono::seconds{5}, router::find_router_statistics{})
    .receive([&](const router::router_statistics& seen) { result = seen.links; },
             [](const caf::error&) {});
  return result;
}

/// What nodes had to say to their operators.
class lines {
public:
  void operator()(const log_line& line) {
    std::lock_guard guard{inside_->mutex};
    inside_->text += to_string(line) + '\n';
  }

  [[nodiscard]] bool contain(const std::string& words) const {
    std::lock_guard guard{inside_->mutex};
    return inside_->text.find(words) != std::string::npos;
  }

  /// For a test that fails.
  [[nodiscard]] std::string text() const {
    std::lock_guard guard{inside_->mutex};
    return inside_->text;
  }

private:
  struct shared {
    std::mutex mutex;
    std::string text;
  };

  std::shared_ptr<shared> inside_ = std::make_shared<shared>();
};

} // namespace troupe::test
