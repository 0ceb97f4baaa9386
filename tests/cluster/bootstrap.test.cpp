// Nodes that start at once on empty folders, with each other's addresses: exactly one founds.

#include "support/free_port.hpp"
#include "troupe_command.hpp"

#include <map>
#include <memory>
#include <set>
#include <string>

using namespace std::literals;
using namespace troupe;
using namespace troupe::test;

namespace {

/// Nodes that found a cluster together, all with the same list of addresses. What they say goes
/// into a file each.
class founders {
public:
  explicit founders(std::size_t count, std::string expect = "3") : expect_(std::move(expect)) {
    need_command();
    for (std::size_t each = 0; each < count; ++each) {
      addresses_.push_back("127.0.0.1:" + std::to_string(free_port()));
      auto index = std::to_string(each);
      test_ca().issue(folder_ / ("data" + index), "n" + index);
    }
  }

  void start(std::size_t which, const std::string& expect = {}) {
    auto index = std::to_string(which);
    words how{"--name",
              "n" + index,
              "--data",
              folder_ / ("data" + index),
              "--timers",
              "lan",
              "--bootstrap-expect",
              expect.empty() ? expect_ : expect};
    for (auto& each : addresses_)
      how.insert(how.end(), {"--join", each});
    words command{"/bin/sh", "-c", "out=$0; exec setsid \"$@\" >>\"$out\" 2>&1", log(which),
                  command_path()};
    auto own = running_node::with_defaults(how, addresses_[which]);
    command.insert(command.end(), own.begin(), own.end());
    processes_.insert_or_assign(which, std::make_unique<testing::child_process>(command));
  }

  void start_all() {
    for (std::size_t each = 0; each < addresses_.size(); ++each)
      start(each);
  }

  void kill(std::size_t which) {
    processes_.at(which)->send_signal(SIGKILL);
    processes_.at(which)->wait_for_end();
  }

  [[nodiscard]] std::string said(std::size_t which) const {
    return content_of(log(which));
  }

  [[nodiscard]] bool says(std::size_t which, const std::string& what) const {
    return said(which).find(what) != std::string::npos;
  }

  /// The names of the voters, as that node has them.
  [[nodiscard]] std::set<std::string> voters(std::size_t asked) const {
    std::set<std::string> names;
    auto seen = run({"voters", "--json", "--timeout", "2s", "--at", addresses_[asked]}).line();
    for (auto& each : seen.value("voters", json::array()))
      if (each["votes"] == true)
        names.insert(each["node"]);
    return names;
  }

  /// All nodes up to that number have the same three voters.
  [[nodiscard]] bool are_one_cluster(std::size_t count, const std::set<std::string>& of) const {
    for (std::size_t each = 0; each < count; ++each)
      if (voters(each) != of)
        return false;
    return true;
  }

  /// How many of them have founded a cluster.
  [[nodiscard]] std::size_t founded() const {
    std::size_t count = 0;
    for (std::size_t each = 0; each < addresses_.size(); ++each)
      count += says(each, "founds the cluster") ? 1 : 0;
    return count;
  }

  [[nodiscard]] std::string all_said() const {
    std::string text;
    for (std::size_t each = 0; each < addresses_.size(); ++each)
      text += "n" + std::to_string(each) + ":\n" + said(each);
    return text;
  }

private:
  [[nodiscard]] std::string log(std::size_t which) const {
    return folder_ / ("log" + std::to_string(which));
  }

  temporary_folder folder_;
  std::string expect_;
  std::vector<std::string> addresses_;
  std::map<std::size_t, std::unique_ptr<testing::child_process>> processes_;
};

const std::set<std::string> all_three{"n0", "n1", "n2"};

} // namespace

SCENARIO("of nodes that start at once on empty folders one founds, and the others join it",
         "[cluster]") {
  GIVEN("three nodes with certificates of one CA, and the same list of addresses") {
    founders nodes{3};
    nodes.start_all();
    WHEN("nothing happens to them") {
      auto done = comes_true([&] { return nodes.are_one_cluster(3, all_three); });
      INFO(nodes.all_said());
      THEN("they are one cluster") {
        CHECK(done);
        CHECK(nodes.founded() == 1);
      }
    }
    WHEN("each of them is killed while they start, and started again") {
      for (std::size_t each = 0; each < 3; ++each) {
        comes_true([&] { return nodes.says(each, "\"ready\""); });
        nodes.kill(each);
        nodes.start(each);
      }
      auto done = comes_true([&] { return nodes.are_one_cluster(3, all_three); });
      INFO(nodes.all_said());
      THEN("they are one cluster all the same") {
        CHECK(done);
        CHECK(nodes.founded() <= 1); // it may have been killed before it said so
      }
    }
  }
}

SCENARIO("nodes that cannot found a cluster say what is wrong", "[cluster]") {
  GIVEN("four nodes that wait for three") {
    founders nodes{4};
    for (std::size_t each = 0; each < 4; ++each)
      nodes.start(each);
    auto all_complain = [&] {
      for (std::size_t each = 0; each < 4; ++each)
        if (!nodes.says(each, "give all of them --bootstrap-expect 4"))
          return false;
      return true;
    };
    // On a busy machine three of them may have met before the fourth has started.
    comes_true([&] { return all_complain() || nodes.founded() > 0; });
    if (nodes.founded() == 0) {
      INFO(nodes.all_said());
      CHECK(all_complain());
      nodes.kill(3);
    }
    auto done = comes_true([&] { return nodes.voters(0).size() == 3; });
    INFO(nodes.all_said());
    THEN("three of them found the cluster once the fourth has gone, or the fourth joins it") {
      CHECK(done);
      CHECK(nodes.founded() == 1);
    }
  }
  GIVEN("two nodes that wait for two, and for three") {
    founders nodes{2, "2"};
    nodes.start(0);
    nodes.start(1, "3");
    auto done = comes_true([&] {
      return nodes.says(0, "expects 3 nodes, and this one expects 2")
             && nodes.says(1, "expects 2 nodes, and this one expects 3");
    });
    INFO(nodes.all_said());
    THEN("both say so, and found nothing") {
      CHECK(done);
      CHECK(nodes.founded() == 0);
    }
    AND_WHEN("one of them is corrected") {
      nodes.kill(1);
      nodes.start(1);
      // Two do not vote: that would tolerate no more failures than one.
      auto is_one = comes_true([&] {
        return nodes.founded() == 1 && nodes.voters(0).size() == 1
               && nodes.voters(0) == nodes.voters(1);
      });
      INFO(nodes.all_said());
      THEN("they are one cluster") {
        CHECK(is_one);
        CHECK(nodes.founded() == 1);
      }
    }
  }
}
