// To whom a node shows that it has another certificate.

#include "troupe/cluster/cards/showings.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

namespace showings_test {

using namespace std::literals;
using namespace troupe;
using cluster::showings;

namespace {

node_id id(char name) {
  node_id made;
  made.bytes.fill(static_cast<std::byte>(name));
  return made;
}

struct shown {
  /// Who is shown it next, zero: nobody.
  char next() {
    std::set<node_id> all;
    for (auto each : members)
      all.insert(id(each));
    auto made = it.next(all);
    again_in = made.again_in;
    return made.whom ? static_cast<char>(made.whom->bytes.front()) : '\0';
  }

  std::string members = "abc";
  std::optional<duration> again_in;
  showings it;
  std::uint64_t number = it.begin();
};

} // namespace

TEST_CASE_METHOD(shown, "another certificate is shown to one member after the other", "[node]") {
  for (auto each : {'a', 'b', 'c'}) {
    CHECK(next() == each);
    CHECK(again_in == 1s);
    it.taken(number, id(each));
  }
  CHECK(next() == '\0');
  CHECK_FALSE(again_in);
}

TEST_CASE_METHOD(shown, "who has not taken a certificate is shown it again, later and later",
                 "[node]") {
  CHECK(next() == 'a');
  CHECK(next() == 'b');
  it.taken(number, id('a')); // late
  CHECK(next() == 'c');
  for (auto pause : {30s, 60s, 120s, 240s, 480s, 600s, 600s}) {
    CHECK(next() == '\0');
    CHECK(again_in == pause);
    CHECK(next() == 'b');
    CHECK(again_in == 1s);
    CHECK(next() == 'c');
  }
  CHECK(next() == '\0');
  it.taken(number, id('c')); // in the pause
  members = "bcd";           // who is new hears it when they meet
  CHECK(next() == 'b');
  it.taken(number, id('b'));
  CHECK(next() == '\0');
  CHECK_FALSE(again_in);
}

TEST_CASE_METHOD(shown, "who is no member any more is shown no certificate", "[node]") {
  CHECK(next() == 'a');
  CHECK(next() == 'b');
  members = "a";
  CHECK(next() == '\0');
  CHECK(again_in == 30s);
  CHECK(next() == 'a');
  members = "";
  CHECK(next() == '\0'); // it may be back
  CHECK(next() == '\0');
  CHECK_FALSE(again_in);
}

TEST_CASE_METHOD(shown, "a certificate that takes the place of another one is shown to all",
                 "[node]") {
  CHECK(next() == 'a');
  it.taken(number, id('a'));
  CHECK(next() == 'b');
  CHECK(next() == 'c');
  CHECK(next() == '\0');
  auto later = it.begin();
  CHECK_FALSE(it.is_last(number));
  CHECK(it.is_last(later));
  CHECK(next() == 'a');
  it.taken(number, id('a')); // the earlier one
  CHECK(next() == 'b');
  it.taken(later, id('b'));
  CHECK(next() == 'c');
  it.taken(later, id('c'));
  CHECK(next() == '\0');
  CHECK(again_in == 30s);
  CHECK(next() == 'a');
  it.begin(); // in the middle of a round
  CHECK(next() == 'a');
}

} // namespace showings_test
