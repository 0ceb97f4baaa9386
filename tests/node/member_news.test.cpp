#include "troupe/cluster/member_news.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <utility>
#include <vector>

#include "router/named_nodes.hpp"

namespace member_news_test {

using namespace std::literals;
using namespace troupe;
using cluster::member_news;
using enum cluster::member_status;
using lines = std::vector<std::string>;

namespace {

/// The id of a node that begins with these digits, or of one that a test calls n1, n2 ...
node_id id_of(const std::string& node) {
  if (node.starts_with('n'))
    return test::node_named(node);
  return *node_id::from_string(node + std::string(2 * node_id::size - node.size(), '0'));
}

struct telling {
  explicit telling(std::size_t max_nodes = 100) : it(nodes, max_nodes) {}

  void name(const std::string& id, const std::string& called) {
    registry::record_view node;
    node.value.key = {registry::record_kind::node, called, id_of(id)};
    nodes.put(id_of(id), node);
  }

  void see(cluster::member_status is, boot_number boot = 1,
           const std::string& node = "12345678ab") {
    it.shows(now, id_of(node), boot, is, out);
  }

  /// Runs all that is due meanwhile.
  void pass(duration span) {
    auto until = now + span;
    for (auto due = it.next_deadline(); due && *due <= until; due = it.next_deadline()) {
      now = std::max(now, *due);
      it.tick(now, out);
    }
    now = until;
  }

  lines said() {
    lines all;
    for (auto& each : std::exchange(out, {}))
      all.push_back((each.is_bad ? "! " : "") + with_names(each.text));
    return all;
  }

  /// With n1, n2 ... where the log has the first digits of their ids.
  static std::string with_names(std::string text) {
    for (auto each = 0; each < 100; ++each) {
      auto name = "n" + std::to_string(each);
      auto digits = to_string(id_of(name)).substr(0, 8);
      if (auto at = text.find(digits); at != std::string::npos)
        text.replace(at, digits.size(), name);
    }
    return text;
  }

  cluster::known_nodes nodes;
  time_point now{1h};
  member_news::lines out;
  member_news it;
};

} // namespace

TEST_CASE("the log says of each member what becomes of it, each change once", "[node]") {
  telling t;
  t.see(alive);
  CHECK(t.said().empty());
  t.name("12345678ab", "n2"); // its record comes a little later
  t.pass(2s);
  CHECK(t.said() == lines{"member n2 has joined"});
  t.see(alive);
  CHECK(t.said().empty());
  t.see(suspect);
  t.see(suspect);
  CHECK(t.said() == lines{"member n2 is suspect: it does not answer"});
  t.see(alive);
  CHECK(t.said() == lines{"member n2 is alive again"});
  t.see(suspect);
  t.see(dead);
  t.see(dead);
  CHECK(t.said()
        == lines{"member n2 is suspect: it does not answer",
                 "! member n2 is dead: it has not answered in time"});
  t.see(alive, 2);
  CHECK(t.said() == lines{"member n2 is back"});
  t.see(alive, 3);
  t.see(alive, 3);
  CHECK(t.said() == lines{"member n2 has started again"});
  t.see(left, 3);
  CHECK(t.said() == lines{"member n2 has left: it has said that it stops"});
  t.see(alive, 4);
  CHECK(t.said() == lines{"member n2 is back"});
  t.pass(1h);
  CHECK(t.said().empty());
  CHECK_FALSE(t.it.next_deadline());
}

TEST_CASE("that a member has joined is said before its next change", "[node]") {
  telling t;
  t.see(alive);
  t.see(suspect);
  CHECK(t.said()
        == lines{"member 12345678 has joined", "member 12345678 is suspect: it does not answer"});
  t.see(suspect, 1, "n3");
  CHECK(t.said() == lines{"member n3 has joined", "member n3 is suspect: it does not answer"});
  t.pass(1h);
  CHECK(t.said().empty());
}

TEST_CASE("of a member that was gone before nothing is said until it comes back", "[node]") {
  telling t;
  t.see(dead);
  t.see(left, 1, "n3");
  t.pass(1h);
  CHECK(t.said().empty());
  t.see(alive, 2);
  t.see(alive, 2, "n3");
  CHECK(t.said() == lines{"member 12345678 is back", "member n3 is back"});
}

TEST_CASE("a member has its name also when the registry has forgotten it", "[node]") {
  telling t;
  t.name("12345678ab", "n2");
  t.see(alive);
  t.pass(2s);
  t.nodes.remove(id_of("12345678ab"));
  t.see(left);
  CHECK(t.said().back() == "member n2 has left: it has said that it stops");
  t.name("12345678ab", "other");
  t.see(alive, 2);
  CHECK(t.said().back() == "member other is back");
}

TEST_CASE("who is forgotten is a new member when it comes again", "[node]") {
  telling t;
  t.see(alive);
  t.it.forget(id_of("12345678ab"));
  t.it.forget(id_of("12345678ab"));
  CHECK_FALSE(t.it.next_deadline());
  t.see(alive);
  t.pass(2s);
  CHECK(t.said() == lines{"member 12345678 has joined"});
}

TEST_CASE("of many changes at once the log has some, and the number of the others", "[node]") {
  telling t;
  auto node = [](int number) { return "n" + std::to_string(number); };
  for (auto each = 0; each < 30; ++each)
    t.see(alive, 1, node(each));
  t.pass(2s);
  CHECK(t.said().size() == 20);
  for (auto each = 0; each < 3; ++each)
    t.see(suspect, 1, node(each));
  t.see(dead, 1, node(2));
  t.see(left, 1, node(3));
  CHECK(t.said().empty());
  t.pass(10s - 1ms);
  CHECK(t.said().empty());
  t.pass(1ms);
  CHECK(t.said()
        == lines{"15 more changes of members than the log tells one by one: 10 to alive, 3 to "
                 "suspect, 1 to dead, 1 to left"});
  t.see(alive, 1, node(1));
  CHECK(t.said() == lines{"member n1 is alive again"});
  // A change after the end of a span that nobody has ticked.
  for (auto each = 40; each < 61; ++each)
    t.see(left, 1, node(each)), t.see(alive, 2, node(each));
  CHECK(t.said().size() == 19);
  t.now += 11s;
  t.see(suspect, 1, node(1));
  CHECK(t.said()
        == lines{"2 more changes of members than the log tells one by one: 2 to alive",
                 "member n1 is suspect: it does not answer"});
}

TEST_CASE("what was not told is counted at its time, though a member has just come", "[node]") {
  telling t;
  for (auto each = 0; each < 11; ++each)
    t.see(suspect, 1, "n" + std::to_string(each));
  CHECK(t.said().size() == 20);
  t.pass(9s);
  t.see(alive);
  CHECK(t.it.next_deadline() == t.now + 1s);
  t.pass(1s);
  CHECK(t.said()
        == lines{"2 more changes of members than the log tells one by one: 1 to alive, 1 to "
                 "suspect"});
  CHECK(t.it.next_deadline() == t.now + 1s);
  t.pass(1s);
  CHECK(t.said() == lines{"member 12345678 has joined"});
}

TEST_CASE("members beyond the bound are counted only", "[node]") {
  telling t{1};
  t.see(alive);
  t.see(alive, 1, "n3");
  t.see(dead, 1, "n3");
  t.pass(10s);
  CHECK(t.said()
        == lines{"member 12345678 has joined",
                 "2 more changes of members than the log tells one by one: 1 to alive, 1 to dead"});
}

TEST_CASE("members that are gone make room for others, the one gone for longest first", "[node]") {
  telling t{3};
  t.see(alive, 1, "n1");
  t.see(alive, 1, "n2");
  t.see(alive, 1, "n3");
  t.see(left, 1, "n2");
  t.see(dead, 1, "n1");
  t.see(alive, 1, "n4");
  t.pass(10s);
  CHECK(t.said().back() == "member n4 has joined");
  t.see(alive, 2, "n1"); // n2 was forgotten, and n1 is not gone any more
  CHECK(t.said() == lines{"member n1 is back"});
  t.see(alive, 2, "n2");
  t.pass(10s);
  CHECK(t.said() == lines{"1 more changes of members than the log tells one by one: 1 to alive"});
  t.see(left, 1, "n3");
  t.it.forget(id_of("n3"));
  t.see(dead, 1, "n5"); // takes the last place
  t.see(dead, 1, "n6");
  t.see(alive, 2, "n5");
  t.pass(10s);
  CHECK(t.said() == lines{"member n3 has left: it has said that it stops", "member n5 has joined"});
  t.see(left, 2, "n4");
  t.see(suspect, 3, "n4");
  t.see(alive, 1, "n7");
  t.pass(10s);
  CHECK(t.said().back() == "1 more changes of members than the log tells one by one: 1 to alive");
}

} // namespace member_news_test
