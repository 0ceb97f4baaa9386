// Replays traces/*.trace against a sender and a receiver.

#include "channel/channel_pair.hpp"
#include "support/traces.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>

namespace channel_trace {

using namespace troupe;

namespace {

/// Understands, with contents as numbers and spans in milliseconds:
///   link up|down | put AGENT CONTENT | handled|failed|missing|no_room CONTENT
///   lose COUNT (of the frames that go next) | restart sender|receiver | pass SPAN
class channel_interpreter {
public:
  std::string answer(const std::string& command) {
    std::istringstream in{command};
    auto verb = test::read_word(in);
    auto word = test::read_word(in);
    if (verb == "link")
      word == "up" ? pair_.link_up() : pair_.link_down();
    else if (verb == "put")
      pair_.put(word, test::read_number(in));
    else if (verb == "restart")
      word == "sender" ? pair_.restart_sender() : pair_.restart_receiver();
    else
      count(verb, std::stoull(word));
    auto lines = pair_.take_lines();
    return (lines.empty() ? "nothing" : lines) + '\n';
  }

private:
  void count(const std::string& verb, std::uint64_t number) {
    if (verb == "handled")
      pair_.handled(number);
    else if (verb == "failed")
      pair_.failed(number);
    else if (verb == "missing")
      pair_.missing(number);
    else if (verb == "no_room")
      pair_.no_room(number);
    else if (verb == "lose")
      pair_.lost = static_cast<unsigned>(number);
    else if (verb == "pass")
      pair_.pass(std::chrono::milliseconds{number});
    else
      throw std::invalid_argument{"no such command: " + verb};
  }

  test::channel_pair pair_;
};

} // namespace

TEST_CASE("a channel goes on over loss and restarts as its trace shows", "[trace]") {
  channel_interpreter machine;
  test::replay_trace(std::string{TROUPE_TESTS_DIR} + "/channel/traces/channel.trace",
                     [&](const std::string& command) { return machine.answer(command); });
}

} // namespace channel_trace
