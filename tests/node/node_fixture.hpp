#pragma once

#include "troupe/testing/cluster.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace troupe::test {

/// A message of an application.
struct square {
  std::int64_t side = 0;
  std::vector<std::string> colours;
};

struct area {
  std::int64_t value = 0;
};

template <class Inspector>
bool inspect(Inspector& f, square& x) {
  return f.object(x).fields(f.field("side", x.side), f.field("colours", x.colours));
}

template <class Inspector>
bool inspect(Inspector& f, area& x) {
  return f.object(x).fields(f.field("value", x.value));
}

} // namespace troupe::test

CAF_BEGIN_TYPE_ID_BLOCK(node_test, caf::first_custom_type_id + 100)

  CAF_ADD_TYPE_ID(node_test, (troupe::test::square))
  CAF_ADD_TYPE_ID(node_test, (troupe::test::area))

CAF_END_TYPE_ID_BLOCK(node_test)

namespace troupe::test {

inline const bool is_initialised = (init<caf::id_block::node_test>(), true);

/// For an agent that gives back what it gets.
inline auto echo() {
  return [](const std::string& text) { return text; };
}

/// What an agent answers, or the name of the error.
inline std::string answer_of(troupe::node& from, const std::string& agent) {
  auto answer
    = from.request<std::string>(to_agent(agent), std::chrono::seconds{5}, std::string{"hello"});
  return answer ? *answer : std::string{name_of(answer.error().code)};
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

private:
  struct shared {
    std::mutex mutex;
    std::string text;
  };

  std::shared_ptr<shared> inside_ = std::make_shared<shared>();
};

} // namespace troupe::test
