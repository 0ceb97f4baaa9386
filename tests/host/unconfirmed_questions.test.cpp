#include "troupe/host/unconfirmed_questions.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

namespace unconfirmed_questions_test {

using namespace troupe;
using host::unconfirmed_questions;
using words = std::vector<std::string>;

namespace {

const problem moved{errc::not_leader, "another leads"};

struct notebook {
  request_id ask(const std::string& what) {
    return it.add({[this, what] { seen.push_back(what); },
                   [this, what](const problem& why) { seen.push_back(what + ": " + why.detail); }});
  }

  unconfirmed_questions it{2};
  words seen;
};

} // namespace

TEST_CASE("a question goes on once it is confirmed, and ends once", "[host]") {
  notebook n;
  auto first = n.ask("first");
  auto second = n.ask("second");
  CHECK(first != second);
  n.it.confirm(second);
  CHECK(n.seen == words{"second"});
  n.it.confirm(second);
  n.it.refuse(second, moved);
  CHECK(n.seen.size() == 1);
  n.it.refuse(first, moved);
  n.it.refuse(first, moved);
  n.it.confirm(first);
  CHECK(n.seen == words{"second", "first: another leads"});
  CHECK(n.ask("third") > second); // a late word on an earlier one is not meant for it
}

TEST_CASE("so many questions wait, and no more", "[host]") {
  notebook n;
  auto first = n.ask("first");
  CHECK_FALSE(n.it.full());
  n.ask("second");
  CHECK(n.it.full().code == errc::limit_reached);
  CHECK(n.it.full().detail == "2 questions wait; retry with backoff");
  n.it.confirm(first);
  CHECK_FALSE(n.it.full());
}

TEST_CASE("all questions are refused at once, but for those that come meanwhile", "[host]") {
  notebook n;
  n.ask("first");
  n.it.add({[] {}, [&](const problem&) { n.ask("again"); }});
  n.it.refuse_all(moved);
  CHECK(n.seen == words{"first: another leads"});
  n.it.refuse_all(moved);
  CHECK(n.seen.back() == "again: another leads");
  CHECK_FALSE(n.it.full());
}

} // namespace unconfirmed_questions_test
