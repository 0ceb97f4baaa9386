#include "troupe/core/time.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <string>
#include <utility>

using namespace std::literals;
using namespace troupe;

TEST_CASE("a duration is told to people in the units that they read", "[core]") {
  for (auto& [span, words] : {std::pair<duration, const char*>{0s, "0 ms"},
                              {40us, "0 ms"},
                              {50us, "0.1 ms"},
                              {1'740us, "1.7 ms"},
                              {250ms, "250 ms"},
                              {999'949us, "999.9 ms"},
                              {999'950us, "1 s"},
                              {1'500ms, "1.5 s"},
                              {12s, "12 s"},
                              {59'949ms, "59.9 s"},
                              {59'950ms, "1 min"},
                              {102'787ms, "1 min 43 s"},
                              {120s, "2 min"},
                              {1h - 501ms, "59 min 59 s"},
                              {1h - 500ms, "1 h"},
                              {125min, "2 h 5 min"},
                              {24h - 31s, "23 h 59 min"},
                              {24h - 30s, "1 d"},
                              {76h, "3 d 4 h"},
                              {-1'500ms, "-1.5 s"}}) {
    INFO(words);
    CHECK(in_words(span) == words);
  }
  CHECK(in_words(duration::max()) == "106752 d");
  CHECK(in_words(duration::min()).starts_with("-106752 d"));
}

TEST_CASE("a bound is told to the millisecond", "[core]") {
  CHECK(to_string(duration{61s}) == "61000 ms");
  CHECK(to_string(duration{1'700us}) == "1 ms");
}
