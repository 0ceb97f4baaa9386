#include "troupe/cluster/open_questions.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <vector>

#include "support/node_number.hpp"

namespace open_questions_test {

using namespace troupe;
using cluster::open_questions;
using test::node_number;

TEST_CASE("so many questions of one node are open at a time", "[node][open_questions]") {
  open_questions all;
  std::vector<request_id> asked;
  while (all.has_room(node_number(1)) && asked.size() < 100)
    asked.push_back(all.begin(node_number(1)));
  CHECK(asked.size() == 8);
  CHECK(all.has_room(node_number(2))); // which has not asked
  all.end(asked[3]);
  CHECK(all.has_room(node_number(1)));
  all.begin(node_number(1));
  CHECK_FALSE(all.has_room(node_number(1)));
}

TEST_CASE("an answer ends its own question, and once", "[node][open_questions]") {
  open_questions all;
  auto first = all.begin(node_number(1));
  auto other = all.begin(node_number(2));
  CHECK(first != 0);
  CHECK(first != other);
  for (auto each = 1; each < 8; ++each)
    all.begin(node_number(1));
  all.end(other);
  all.end(other);
  all.end(999); // no such question
  CHECK_FALSE(all.has_room(node_number(1)));
  CHECK(all.size() == 8);
  CHECK(all.begin(node_number(2)) > other);
  all.end(first);
  all.end(first);
  CHECK(all.size() == 8);
  all.begin(node_number(1));
  CHECK_FALSE(all.has_room(node_number(1)));
}

TEST_CASE("a node whose questions are answered leaves nothing", "[node][open_questions]") {
  open_questions all;
  for (auto round = 0; round < 3; ++round) {
    std::vector<request_id> asked;
    for (auto each = 0; each < 8; ++each)
      asked.push_back(all.begin(node_number(1)));
    CHECK_FALSE(all.has_room(node_number(1)));
    for (auto each : asked)
      all.end(each);
    CHECK(all.size() == 0);
  }
}

} // namespace open_questions_test
