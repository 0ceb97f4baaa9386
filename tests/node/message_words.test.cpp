#include "troupe/node/message_words.hpp"

#include <catch2/catch_test_macros.hpp>

namespace message_words_test {

using troupe::cluster::words_for_message;

TEST_CASE("messages are called as people know them, not by their types in C++", "[node]") {
  CHECK(words_for_message("troupe::lock::acquire") == "taking a lock (troupe lock)");
  CHECK(words_for_message("troupe::cluster::change_voters")
        == "changing the voters (troupe voters)");
  CHECK(words_for_message("troupe::cluster::exchange_seats")
        == "a message between nodes (cluster exchange seats)");
  CHECK(words_for_message("shop::sale") == "shop::sale"); // an application's own
  CHECK(words_for_message("").empty());
}

} // namespace message_words_test
