// Bursts of messages between real processes that also vote: nothing is lost unsaid, and the group
// goes on.

#include "support/free_port.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/testing/child_process.hpp"
#include "troupe/testing/proxy.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

using namespace std::literals;
using namespace troupe;
using json = nlohmann::json;

namespace {

constexpr auto burst_program = TROUPE_BIN_DIR "/burst_program";
constexpr auto source_host = "127.0.0.3";
constexpr auto sink_host = "127.0.0.2";

/// Three voters: one that leads and sends, one with the sink behind a network that a test can slow
/// down, and one that only votes.
class burst_cluster {
public:
  struct plan {
    std::uint32_t threads = 4;
    std::uint32_t messages = 5'000;
    std::uint32_t bytes = 4'096;
    /// What the sink takes for each message.
    std::chrono::microseconds delay{0};
    /// For the last message to arrive.
    std::chrono::seconds patience{60};
  };

  explicit burst_cluster(const plan& how)
    : port_(test::free_port(sink_host)),
      front_(*network.open(sink_host, {sink_host, port_})),
      source_({burst_program, "send", source_host, folder_ / "source",
               std::to_string(how.patience.count()), std::to_string(how.threads),
               std::to_string(how.messages), std::to_string(how.bytes)}),
      patience_(how.patience) {
    auto port = source_.read_line();
    REQUIRE(port);
    auto join = source_host + ":"s + *port;
    // Who joins dials: so the link of the sink to the source goes through the network.
    auto join_by_network = to_string(
      *network.open(source_host, {source_host, static_cast<std::uint16_t>(std::stoul(*port))}));
    sink.emplace(std::vector<std::string>{burst_program, "serve", sink_host, std::to_string(port_),
                                          to_string(front_), join_by_network, folder_ / "sink",
                                          std::to_string(how.delay.count())});
    third_.emplace(std::vector<std::string>{burst_program, "serve", "127.0.0.4", "0", "-", join,
                                            folder_ / "third"});
    REQUIRE(sink->read_line() == "ready");
    REQUIRE(third_->read_line() == "ready");
    REQUIRE(source_.read_line(60s) == "whole");
  }

  void begin() {
    source_.send_signal(SIGUSR1);
  }

  /// Returns what became of the messages, for people, too.
  json end() {
    auto line = source_.read_line(2 * patience_ + 60s);
    REQUIRE(line);
    UNSCOPED_INFO(*line);
    last_ = *line;
    return json::parse(*line);
  }

  json burst() {
    begin();
    return end();
  }

  /// Asks for long answers, all at once.
  json question() {
    source_.send_signal(SIGUSR2);
    return end();
  }

  /// The same from a client of the node of the sink.
  json question_of_client(std::uint32_t threads, std::uint32_t bytes) {
    testing::child_process client{{burst_program, "ask", sink_host + ":"s + std::to_string(port_),
                                   std::to_string(patience_.count()), std::to_string(threads),
                                   std::to_string(bytes)}};
    auto line = client.read_line(2 * patience_ + 60s);
    REQUIRE(line);
    return json::parse(*line);
  }

  /// Waits for the next word of the sink: how many messages have arrived.
  std::uint64_t arrived(std::chrono::milliseconds wait = 20s) {
    auto line = sink->read_line(wait);
    return line ? std::stoull(*line) : 0;
  }

  /// The last word that it has said.
  std::uint64_t last_arrived() {
    std::uint64_t last = 0;
    for (auto next = arrived(0s); next > 0; next = arrived(0s))
      last = next;
    return last;
  }

  /// Ends the source as an operator does.
  std::optional<int> stop_source() {
    source_.send_signal(SIGTERM);
    return source_.wait_for_end();
  }

  testing::proxy network;
  std::optional<testing::child_process> sink;

private:
  test::temporary_folder folder_;
  std::uint16_t port_;
  net::address front_;
  testing::child_process source_;
  std::chrono::seconds patience_;
  std::optional<testing::child_process> third_;
  std::string last_;
};

std::uint64_t sum_of(const json& counts) {
  std::uint64_t sum = 0;
  for (auto& [code, count] : counts.items())
    sum += count.get<std::uint64_t>();
  return sum;
}

/// Each message has arrived, in its order, or its sender was told that it was refused.
void check_that_all_is_said(const json& seen, std::uint64_t messages) {
  INFO(seen.dump());
  CHECK(seen["taken"].get<std::uint64_t>() + sum_of(seen["refused"]) == messages);
  CHECK(seen["refused"].value("limit_reached", 0U) == sum_of(seen["refused"]));
  CHECK(seen["arrived"] == seen["taken"]);
  CHECK(seen["disorder"] == 0);
  CHECK(seen["answers"].value("none", 0U) + seen["answers"].value("limit_reached", 0U)
        == sum_of(seen["answers"]));
}

void check_that_the_group_goes_on(const json& seen) {
  INFO(seen.dump());
  CHECK(seen["led"] == true);
  CHECK(seen["leads"] == true);
  CHECK(seen["terms"] == 0);
  CHECK(seen["pings"]["lost"] == 0);
  CHECK(seen["pings"]["count"] > 0);
}

} // namespace

TEST_CASE("of a burst each message arrives, or its sender is told, and no heartbeat waits for it",
          "[cluster]") {
  burst_cluster cluster{{}};
  for (auto round = 0; round < 2; ++round) {
    auto seen = cluster.burst();
    check_that_all_is_said(seen, 20'000);
    check_that_the_group_goes_on(seen);
    CHECK(seen["pings"]["max_ms"] < 500.0); // the election time-out
  }
}

TEST_CASE("a burst over a slow link is refused, not lost, and heartbeats pass it", "[cluster]") {
  burst_cluster cluster{{.threads = 3, .messages = 2'000}};
  constexpr std::uint64_t rate = 4U << 20U;
  cluster.network.set_path(source_host, sink_host, {.bytes_per_second = rate});
  auto seen = cluster.burst();
  check_that_all_is_said(seen, 6'000);
  check_that_the_group_goes_on(seen);
  CHECK(sum_of(seen["refused"]) > 0);
  // The window and one bundle at that rate take 80 ms.
  CHECK(seen["pings"]["max_ms"] < 500.0);
}

TEST_CASE("a slow agent loses nothing of a burst", "[cluster]") {
  burst_cluster cluster{{.threads = 2, .messages = 2'000, .delay = 200us}};
  auto seen = cluster.burst();
  check_that_all_is_said(seen, 4'000);
  check_that_the_group_goes_on(seen);
}

TEST_CASE("a node that reads nothing for a while loses nothing of a burst", "[cluster]") {
  burst_cluster cluster{{}};
  cluster.begin();
  REQUIRE(cluster.arrived() == 1'000);
  cluster.sink->send_signal(SIGSTOP);
  std::this_thread::sleep_for(1s); // less than the time-out of a link between voters
  CHECK(cluster.last_arrived() < 20'000);
  cluster.sink->send_signal(SIGCONT);
  auto seen = cluster.end();
  check_that_all_is_said(seen, 20'000);
  CHECK(seen["leads"] == true);
}

TEST_CASE("a node killed amid a burst leaves nobody without an answer", "[cluster]") {
  burst_cluster cluster{{.threads = 2, .messages = 20'000, .patience = 5s}};
  cluster.begin();
  REQUIRE(cluster.arrived() == 1'000);
  cluster.sink->send_signal(SIGKILL);
  CHECK(cluster.last_arrived() < 40'000);
  auto seen = cluster.end();
  INFO(seen.dump());
  CHECK(seen["taken"].get<std::uint64_t>() + sum_of(seen["refused"]) == 40'000);
  CHECK(seen["leads"] == true);
  CHECK(seen["terms"] == 0);
  CHECK(cluster.stop_source() == 0);
}

TEST_CASE("of a burst of long answers each arrives, or whoever asks is told, and no link is lost",
          "[cluster]") {
  constexpr burst_cluster::plan how{.messages = 2'000, .bytes = 64U << 10U};
  burst_cluster cluster{how};
  // At least what may wait at a time arrives.
  auto check = [](const json& answers, std::uint64_t asked, std::uint64_t bytes) {
    INFO(answers.dump());
    CHECK(sum_of(answers) == asked);
    CHECK(answers.value("none", 0U) >= (64U << 20U) / bytes - 1);
    CHECK(answers.value("none", 0U) + answers.value("outcome_unknown", 0U) == asked);
  };
  for (auto round = 0; round < 2; ++round) {
    auto seen = cluster.question();
    check(seen["answers"], how.messages, how.bytes);
    check_that_the_group_goes_on(seen);
    CHECK(seen["pings"]["max_ms"] < 500.0); // the election time-out
    check(cluster.question_of_client(200, 1U << 20U), 200, 1U << 20U);
  }
}

TEST_CASE("a burst of large reads of the state is answered, and no leadership moves", "[cluster]") {
  burst_cluster cluster{{}};
  for (auto round = 0; round < 2; ++round) {
    cluster.sink->send_signal(SIGUSR2);
    auto line = cluster.sink->read_line(60s);
    REQUIRE(line);
    INFO(*line);
    auto seen = json::parse(*line);
    CHECK(seen["answers"] == json{{"none", 200}});
    CHECK(seen["terms"] == 0);
  }
}

TEST_CASE("long answers over a slow link all arrive, and heartbeats pass them", "[cluster]") {
  constexpr burst_cluster::plan how{.messages = 400, .bytes = 64U << 10U};
  burst_cluster cluster{how};
  constexpr std::uint64_t rate = 4U << 20U;
  cluster.network.set_path(sink_host, source_host, {.bytes_per_second = rate});
  cluster.network.set_path(source_host, sink_host, {.bytes_per_second = rate});
  auto seen = cluster.question();
  INFO(seen.dump());
  CHECK(seen["answers"]["none"] == how.messages);
  check_that_the_group_goes_on(seen);
  CHECK(seen["pings"]["max_ms"] < 500.0);
}
