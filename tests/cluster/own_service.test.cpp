// Services that programs bring to the group of a cluster, between processes.

#include "troupe_command.hpp"

#include <algorithm>
#include <map>
#include <memory>

using namespace troupe::test;
using troupe::testing::child_process;

namespace {

constexpr auto program = TROUPE_BIN_DIR "/own_service_program";

/// Nodes of one cluster, each in a process of its own, whose programs need not be the same.
class tills {
public:
  explicit tills(const words& kinds) {
    need_command();
    for (auto& each : kinds)
      start(ports_.size(), each);
    REQUIRE(comes_true([this] { return voters() == ports_.size(); }));
  }

  void start(std::size_t which, const std::string& kind) {
    ports_.resize(std::max(ports_.size(), which + 1), "0");
    words command{"/bin/sh",
                  "-c",
                  "exec setsid \"$0\" \"$@\" 2>>" + log(which),
                  program,
                  "node",
                  kind,
                  name(which),
                  folder_ / name(which),
                  ports_[which]};
    for (std::size_t other = 0; other < ports_.size(); ++other)
      if (other != which && ports_[other] != "0")
        command.push_back(address(other));
    nodes_[which] = std::make_unique<child_process>(command);
    auto line = nodes_[which]->read_line().value_or("");
    INFO(line << '\n' << content_of(log(which)));
    REQUIRE(line.starts_with("ready "));
    ports_[which] = line.substr(6);
  }

  void kill(std::size_t which) {
    nodes_.at(which)->send_signal(SIGKILL);
    nodes_.at(which)->wait_for_end();
  }

  [[nodiscard]] std::string log(std::size_t which) const {
    return folder_ / (name(which) + ".log");
  }

  [[nodiscard]] static std::string name(std::size_t which) {
    return "n" + std::to_string(which);
  }

  [[nodiscard]] std::string address(std::size_t which) const {
    return "127.0.0.1:" + ports_[which];
  }

  /// For --at.
  [[nodiscard]] std::string addresses() const {
    std::string all;
    for (std::size_t each = 0; each < ports_.size(); ++each)
      all += (all.empty() ? "" : ",") + address(each);
    return all;
  }

  [[nodiscard]] child_process client(words what) const {
    what.insert(what.begin(), program);
    for (std::size_t each = 0; each < ports_.size(); ++each)
      what.push_back(address(each));
    return child_process{what};
  }

  /// Asks once and returns what came of it.
  [[nodiscard]] std::string once(const std::string& what) const {
    return client({"once", what}).read_line(30s).value_or("nothing");
  }

  json group() const {
    return run({"voters", "--json", "--at", addresses()}).line();
  }

  [[nodiscard]] std::size_t voters() const {
    auto seen = group();
    return static_cast<std::size_t>(
      std::ranges::count_if(seen["voters"], [](auto& each) { return each["votes"] == true; }));
  }

  /// The node that leads.
  [[nodiscard]] std::size_t leader() const {
    std::size_t found = 0;
    json seen;
    auto is_led = comes_true([&] {
      seen = group();
      for (auto& each : seen["voters"])
        if (each["leads"] == true) {
          found = std::stoul(each["node"].get<std::string>().substr(1));
          return true;
        }
      return false;
    });
    INFO(seen);
    REQUIRE(is_led);
    return found;
  }

  void have_lead(std::size_t which) {
    REQUIRE(comes_true([&] {
      return run({"voters", "lead", name(which), "--at", addresses()}).status == 0;
    }));
  }

private:
  temporary_folder folder_;
  std::vector<std::string> ports_;
  std::map<std::size_t, std::unique_ptr<child_process>> nodes_;
};

/// What a client that takes number after number has got.
class taken_numbers {
public:
  explicit taken_numbers(child_process from) : from_(std::move(from)) {}

  /// Reads answers up to `count` more numbers; in between there may be refusals of this kind. If
  /// that is not_found, a request may have been under way when the service went.
  void take(std::size_t count, const std::string& refusal = "none") {
    for (auto left = count; left > 0; --left) {
      std::size_t unknown = 0;
      auto line = from_.read_line(30s).value_or("nothing");
      for (; is_refusal(line, refusal); line = from_.read_line(30s).value_or("nothing"))
        if (line.starts_with(in_doubt))
          ++unknown;
      INFO(line);
      REQUIRE(line.starts_with("number "));
      auto number = std::stoul(line.substr(7));
      CHECK(number > last_); // nobody else takes any: none is lost, and none given twice
      CHECK(number <= last_ + 1 + unknown);
      last_ = number;
    }
  }

  /// Reads answers up to one that was given after `cluster` has counted as many as it has now.
  void take_news(const tills& cluster, const std::string& refusal = "none") {
    auto counted = cluster.once("count");
    INFO(counted);
    REQUIRE(counted.starts_with("number "));
    while (last_ <= std::stoul(counted.substr(7)))
      take(1, refusal);
  }

private:
  static constexpr const char* in_doubt = "failed outcome_unknown";

  static bool is_refusal(const std::string& line, const std::string& refusal) {
    return line.starts_with("failed " + refusal)
           || (refusal == "not_found" && line.starts_with(in_doubt));
  }

  child_process from_;
  std::uint64_t last_ = 0;
};

} // namespace

TEST_CASE("a service that programs bring gives each number once while its leaders are killed",
          "[cluster][own]") {
  tills cluster{{"with", "with", "with"}};
  taken_numbers numbers{cluster.client({"ask"})};
  numbers.take(200);
  for (auto round = 0; round < 3; ++round) {
    auto leads = cluster.leader();
    cluster.kill(leads);
    numbers.take_news(cluster);
    cluster.start(leads, "with");
    REQUIRE(comes_true([&] { return cluster.voters() == 3; }));
  }
  numbers.take_news(cluster);
}

TEST_CASE("a voter whose program lacks a service votes, is named, and has all of it once upgraded",
          "[cluster][own]") {
  tills cluster{{"with", "with", "without"}};
  taken_numbers numbers{cluster.client({"ask"})};
  // Any of them may come to lead at any time, on a busy machine.
  numbers.take(150, "not_found"); // more than a snapshot
  json seen;
  outcome text;
  auto is_named = comes_true([&] {
    cluster.have_lead(0);
    seen = run({"status", "--json", "--at", cluster.addresses()}).line()["group"]["services"];
    text = run({"status", "--at", cluster.addresses()});
    return seen.size() == 1 && seen[0]["name"] == "till"
           && seen[0]["lacking"] == json::array({"n2"})
           && text.says("service 'till' does not run on: n2");
  });
  INFO(seen);
  INFO(text);
  CHECK(is_named);
  // Where it leads, the service is nowhere, and the others are there.
  std::string refused;
  auto is_refused = comes_true([&] {
    cluster.have_lead(2);
    refused = cluster.once("count");
    return refused.starts_with("failed not_found") && refused.find("'till'") != std::string::npos;
  });
  INFO(refused);
  CHECK(is_refused);
  CHECK(run({"put", "key", "value", "--at", cluster.addresses()}).status == 0);
  cluster.kill(2);
  numbers.take_news(cluster, "not_found");
  cluster.start(2, "with");
  REQUIRE(comes_true([&] {
    auto services = cluster.group()["services"];
    return services.size() == 1 && services[0]["lacking"] == json::array();
  }));
  cluster.have_lead(2);
  numbers.take_news(cluster);
}

TEST_CASE("rules that throw stop their service on all nodes, and no voter dies of it",
          "[cluster][own]") {
  tills cluster{{"with", "with", "with"}};
  REQUIRE(cluster.once("take") == "number 1");
  auto look = cluster.once("look"); // a question that throws harms nobody
  INFO(look);
  CHECK(look.starts_with("failed failed"));
  REQUIRE(cluster.once("take") == "number 2");
  auto broken = cluster.once("break");
  INFO(broken);
  CHECK(broken.starts_with("failed outcome_unknown")); // mended rules carry it out
  CHECK(broken.find("the drawer is stuck") != std::string::npos);
  auto after = cluster.once("take");
  INFO(after);
  CHECK(after.starts_with("failed unreachable"));
  CHECK(after.find("the drawer is stuck") != std::string::npos);
  CHECK(cluster.voters() == 3);
  for (std::size_t each = 0; each < 3; ++each) {
    CAPTURE(content_of(cluster.log(each)));
    CHECK(comes_true([&] {
      return content_of(cluster.log(each)).find("the service 'till' has stopped on this node")
             != std::string::npos;
    }));
  }
  CHECK(run({"put", "key", "value", "--at", cluster.addresses()}).status == 0);
  // Its nodes start again with it, one after the other, and with rules that go on it does.
  for (std::size_t each = 0; each < 3; ++each) {
    cluster.kill(each);
    cluster.start(each, "with");
    REQUIRE(comes_true([&] { return cluster.voters() == 3; }));
  }
  CHECK(cluster.once("take").find("the drawer is stuck") != std::string::npos);
  for (std::size_t each = 0; each < 3; ++each) {
    cluster.kill(each);
    cluster.start(each, "mended");
    REQUIRE(comes_true([&] { return cluster.voters() == 3; }));
  }
  CHECK(cluster.once("count") == "number 3");
  CHECK(cluster.once("take") == "number 4");
}

TEST_CASE("of two types of service under one name the first one counts", "[cluster][own]") {
  tills cluster{{"with", "with", "other"}};
  cluster.have_lead(0);
  REQUIRE(cluster.once("take") == "number 1");
  auto seen = cluster.group()["services"];
  INFO(seen);
  CHECK(seen[0]["lacking"] == json::array({"n2"}));
  cluster.have_lead(2);
  auto refused = cluster.once("take");
  INFO(refused);
  CHECK(refused.starts_with("failed wrong_type"));
  CHECK(refused.find("is a till in this cluster, and a raffle in this program")
        != std::string::npos);
  cluster.have_lead(0);
  CHECK(cluster.once("take") == "number 2");
}

TEST_CASE("a service that most voters lack is refused until most of them bring it",
          "[cluster][own]") {
  tills cluster{{"with", "without", "without"}};
  cluster.have_lead(0);
  auto refused = cluster.once("take");
  INFO(refused);
  CHECK(refused.starts_with("failed no_quorum"));
  CHECK(refused.find("'till' does not run on 2 of 3 voters") != std::string::npos);
  CHECK(run({"put", "key", "value", "--at", cluster.addresses()}).status == 0);
  cluster.kill(1);
  cluster.start(1, "with");
  REQUIRE(comes_true([&] { return cluster.once("take").starts_with("number "); }));
}
