#include "troupe/security/revocation_book.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/visit.hpp"
#include "troupe/security/key_pair.hpp"

namespace revocation_book_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::security;
using namespace troupe::security::revocations;
using Catch::Matchers::ContainsSubstring;

namespace {

const key_pair ca = key_pair::make();

std::string signed_list(std::uint64_t number, const key_pair& by = ca,
                        const std::string& serial = "aa",
                        const std::map<node_id, wall_time>& identities = {}) {
  revocation_list list{number, wall_time{1s}, {{serial, wall_time{1s}}}, identities};
  auto body = to_bytes(list);
  return to_bytes(signed_revocation_list{body, by.sign(security::detail::to_be_signed(body))});
}

node_id node(int number) {
  node_id made;
  made.bytes.front() = static_cast<std::byte>(number);
  return made;
}

/// A book, and what it wants done, in words.
class reader {
public:
  std::vector<std::string> on(const event& what, duration at = 0s) {
    revocation_book::effects out;
    book.step(time_point{at}, what, out);
    return words(out);
  }

  std::vector<std::string> at(duration when) {
    revocation_book::effects out;
    book.tick(time_point{when}, out);
    return words(out);
  }

  revocation_book book{ca.public_half()};
  /// Of the last refusal.
  problem refusal;

private:
  std::vector<std::string> words(const revocation_book::effects& all) {
    std::vector<std::string> result;
    for (auto& each : all)
      result.push_back(troupe::visit([this](auto& what) { return this->word(what); }, each));
    return result;
  }

  static std::string word(const enforce& what) {
    return "enforce " + std::to_string(what.list->number) + (what.are_told ? " after that" : "");
  }

  static std::string word(const store& what) {
    return "store " + std::to_string(what.number) + (what.bytes.empty() ? " of nothing" : "");
  }

  static std::string word(const tell& what) {
    auto list = read_revocation_list(what.bytes, ca.public_half());
    return "tell " + std::to_string(std::to_integer<int>(what.to.bytes.front())) + " of "
           + std::to_string(list->number);
  }

  std::string word(const refuse& what) {
    refusal = what.why;
    return what.from ? "refuse " + std::to_string(std::to_integer<int>(what.from->bytes.front()))
                     : "refuse the file";
  }
};

using done = std::vector<std::string>;

} // namespace

SCENARIO("a node believes the list of revoked certificates with the highest number", "[security]") {
  GIVEN("a node that has none") {
    reader it;
    CHECK(it.on(file_read{}) == done{});
    CHECK(it.book.number() == 0);
    CHECK_FALSE(it.book.next_deadline());
    WHEN("its file has one") {
      CHECK(it.on(file_read{signed_list(3)}) == done{"enforce 3"});
      THEN("the same again changes nothing") {
        CHECK(it.on(file_read{signed_list(3)}) == done{});
      }
      THEN("another one with the same number is refused, and the file is put right") {
        CHECK(it.on(file_read{signed_list(3, ca, "bb")}) == done{"refuse the file", "store 3"});
        CHECK(it.refusal.code == errc::conflict);
        CHECK_THAT(it.refusal.detail, ContainsSubstring("another one with that number")
                                        && ContainsSubstring("troupe ca revoke"));
        CHECK(it.on(list_heard{node(1), signed_list(3, ca, "bb")}) == done{"refuse 1"});
        CHECK(it.refusal.code == errc::conflict);
      }
      THEN("a higher one takes its place") {
        CHECK(it.on(file_read{signed_list(4)}) == done{"enforce 4"});
      }
      THEN("a lower one is refused, and the file is put right") {
        CHECK(it.on(file_read{signed_list(2)}) == done{"refuse the file", "store 3"});
        CHECK(it.refusal.code == errc::conflict);
        CHECK_THAT(it.refusal.detail, ContainsSubstring("number 2") && ContainsSubstring("number 3")
                                        && ContainsSubstring("troupe ca revoke"));
        CHECK(it.book.number() == 3);
      }
      THEN("a bad one is refused, and the file is put right") {
        CHECK(it.on(file_read{"no list"}) == done{"refuse the file", "store 3"});
        CHECK(it.refusal.code == errc::damaged);
        CHECK(it.on(file_read{signed_list(9, key_pair::make())})
              == done{"refuse the file", "store 3"});
      }
      THEN("it is written again when it is gone") {
        CHECK(it.on(file_read{}) == done{"store 3"});
      }
    }
    WHEN("its file has a bad one") {
      THEN("that is said, and nothing is written over it") {
        CHECK(it.on(file_read{"no list"}) == done{"refuse the file"});
        CHECK(it.on(file_read{""}) == done{"refuse the file"});
      }
    }
    WHEN("a member sends one") {
      CHECK(it.on(list_heard{node(1), signed_list(3)}) == done{"enforce 3", "store 3"});
      THEN("a lower or equal one is ignored") {
        CHECK(it.on(list_heard{node(2), signed_list(2)}) == done{});
        CHECK(it.on(list_heard{node(2), signed_list(3)}) == done{});
        CHECK(it.book.number() == 3);
      }
      THEN("one that the CA has not signed is refused") {
        CHECK(it.on(list_heard{node(2), signed_list(4, key_pair::make())}) == done{"refuse 2"});
        CHECK(it.on(list_heard{node(2), ""}) == done{"refuse 2"});
        CHECK(it.book.number() == 3);
      }
      THEN("it is told once its file has it, whoever put it there") {
        CHECK(it.on(link_up{node(1), 1}) == done{});
        CHECK(it.on(list_taken{node(1), 2}) == done{});
        CHECK(it.on(file_read{signed_list(3)}) == done{"tell 1 of 3"});
        CHECK(it.on(link_up{node(2), 2}) == done{"tell 2 of 3"});
      }
      THEN("it is stored again until it is stored") {
        CHECK(it.book.next_deadline() == time_point{5s});
        CHECK(it.at(4999ms) == done{});
        CHECK(it.at(5s) == done{"store 3"});
        CHECK(it.on(list_stored{2}, 6s) == done{}); // of an earlier list
        CHECK(it.at(10s) == done{"store 3"});
        CHECK(it.on(list_stored{3}, 11s) == done{});
        CHECK_FALSE(it.book.next_deadline());
        CHECK(it.at(1h) == done{});
      }
    }
    THEN("what was stored counts only if it believes something") {
      CHECK(it.on(list_stored{0}) == done{});
      CHECK(it.on(link_up{node(1), 1}) == done{});
    }
  }
}

SCENARIO("members tell each other of revoked certificates", "[security]") {
  GIVEN("a node with links to three members, and a list on its disk") {
    reader it;
    it.on(file_read{signed_list(3)});
    for (auto each : {1, 2, 3})
      CHECK(it.on(link_up{node(each), static_cast<std::uint64_t>(each)})
            == done{"tell " + std::to_string(each) + " of 3"});
    THEN("each is told again until it answers") {
      CHECK(it.on(list_taken{node(1), 3}, 1s) == done{});
      CHECK(it.on(list_taken{node(2), 2}, 1s) == done{}); // it could not store it
      CHECK(it.at(5s) == done{"tell 2 of 3", "tell 3 of 3"});
      CHECK(it.book.next_deadline() == time_point{10s});
      CHECK(it.on(list_taken{node(2), 4}, 6s) == done{}); // it has a newer one, and says so
      CHECK(it.on(link_down{node(3), 2}, 6s) == done{});  // of an earlier link
      CHECK(it.at(10s) == done{"tell 3 of 3"});
      CHECK(it.on(link_down{node(3), 3}, 11s) == done{});
      CHECK_FALSE(it.book.next_deadline());
    }
    WHEN("all have it, and one of them sends a newer one") {
      for (auto each : {1, 2, 3})
        it.on(list_taken{node(each), 3});
      CHECK_FALSE(it.book.next_deadline());
      CHECK(it.on(list_heard{node(2), signed_list(5)}) == done{"enforce 5", "store 5"});
      THEN("the others are told when it is on the disk, and not before") {
        CHECK(it.on(link_up{node(4), 4}) == done{});
        CHECK(it.on(list_stored{5}, 1s) == done{"tell 1 of 5", "tell 3 of 5", "tell 4 of 5"});
        CHECK(it.on(list_stored{5}, 1s) == done{});
      }
      THEN("of two newer ones only the last is told") {
        CHECK(it.on(list_heard{node(3), signed_list(6)}) == done{"enforce 6", "store 6"});
        CHECK(it.on(list_stored{5}) == done{});
        CHECK(it.on(list_stored{6}) == done{"tell 1 of 6", "tell 2 of 6"});
      }
    }
    WHEN("it has not been answered, and its file gets a newer one") {
      THEN("all are told that one, and of the older one no more") {
        CHECK(it.on(file_read{signed_list(4)}, 1s)
              == done{"enforce 4", "tell 1 of 4", "tell 2 of 4", "tell 3 of 4"});
        CHECK(it.on(list_taken{node(1), 3}, 2s) == done{}); // the answer to the older one
        CHECK(it.on(list_taken{node(2), 4}, 2s) == done{});
        CHECK(it.on(link_up{node(4), 4}, 2s) == done{"tell 4 of 4"});
        CHECK(it.book.next_deadline() == time_point{6s});
        CHECK(it.at(5s) == done{});
        CHECK(it.at(6s) == done{"tell 1 of 4", "tell 3 of 4"});
      }
    }
    WHEN("a newer one revokes two of the members") {
      auto newer = signed_list(
        4, ca, "aa", {{node(1), wall_time{}}, {node(3), wall_time{}}, {node(9), wall_time{}}});
      THEN("these hear it before their links end, and not again") {
        CHECK(it.on(list_heard{node(2), newer})
              == done{"tell 1 of 4", "tell 3 of 4", "enforce 4 after that", "store 4"});
        CHECK(it.on(list_stored{4}) == done{});
        CHECK(it.at(1h) == done{});
      }
      THEN("one that has sent it knows it") {
        CHECK(it.on(list_heard{node(1), newer})
              == done{"tell 3 of 4", "enforce 4 after that", "store 4"});
        CHECK(it.on(list_stored{4}) == done{"tell 2 of 4"});
      }
    }
    WHEN("a member sends the same list before it has answered") {
      CHECK(it.on(list_heard{node(1), signed_list(3)}) == done{});
      THEN("it is not told again") {
        CHECK(it.at(5s) == done{"tell 2 of 3", "tell 3 of 3"});
      }
    }
    WHEN("a member has a new link") {
      it.on(list_taken{node(1), 3});
      THEN("it is told again, as its data may be older by now") {
        CHECK(it.on(link_up{node(1), 9}) == done{"tell 1 of 3"});
      }
    }
  }
}

} // namespace revocation_book_test
