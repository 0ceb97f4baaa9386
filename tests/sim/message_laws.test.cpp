#include "troupe/sim/laws/message_laws.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

namespace message_laws_test {

using namespace troupe;
using Catch::Matchers::ContainsSubstring;

namespace {

std::string step(const std::string& what, std::uint64_t seq, const std::string& name = "confirm",
                 const std::string& to = "b") {
  auto id = "a:" + name + ':' + to + ':' + std::to_string(seq);
  return R"({"ev":")" + what + R"(","id":")" + id + R"(","from":"a","to":")" + to + R"(","seq":)"
         + std::to_string(seq) + R"(,"class":")" + name + "\",\"at_ns\":1}\n";
}

std::string effect(std::uint64_t seq) {
  return R"({"ev":"effect","id":"a:once:b:)" + std::to_string(seq) + "\",\"to\":\"b\"}\n";
}

std::vector<std::string> found_in(const std::string& text) {
  sim::message_laws laws;
  std::istringstream in{text};
  REQUIRE(!laws.read(in, "the log"));
  return laws.violations();
}

std::string refused(const std::string& text) {
  sim::message_laws laws;
  std::istringstream in{text};
  return laws.read(in, "the log").detail;
}

} // namespace

TEST_CASE("a log of messages that were all handled in order breaks no law") {
  sim::message_laws laws;
  std::istringstream in{step("handled", 1) + step("handled", 2) + step("handled", 1)
                        + step("handled", 1, "once") + step("accepted", 1) + step("accepted", 2)
                        + step("accepted", 1, "once") + effect(1)
                        + R"({"ev":"dead","id":"x","to":"b","reason":"expired"})"};
  REQUIRE(!laws.read(in, "the log"));
  CHECK(laws.violations().empty());
  CHECK(laws.accepted() == 3);
  CHECK(laws.repeated() == 1);
  CHECK(laws.dead() == 1);
  CHECK(laws.open() == 0);
}

TEST_CASE("what was accepted and is lost breaks a law, what is dead does not") {
  auto found = found_in(step("accepted", 1));
  REQUIRE(found.size() == 1);
  CHECK_THAT(found.front(), ContainsSubstring("a:confirm:b:1 was accepted"));
  CHECK(found_in(step("accepted", 1)
                 + R"({"ev":"dead","id":"a:confirm:b:1","to":"b","reason":"failed"})")
          .empty());
}

TEST_CASE("what is handled behind a later one for the first time breaks a law") {
  CHECK(found_in(step("handled", 2) + step("handled", 1)).size() == 1);
  CHECK(found_in(step("handled", 2) + step("handled", 1, "once") + effect(1)).empty());
  CHECK(found_in(step("handled", 2) + step("handled", 1, "confirm", "c")).empty());
}

TEST_CASE("a message of class once has one effect") {
  CHECK(found_in(step("handled", 1, "once")).size() == 1);
  CHECK(found_in(step("handled", 1, "once") + effect(1) + effect(1)).size() == 1);
  CHECK(found_in(effect(1)).empty()); // its process was killed before it could say so
}

TEST_CASE("a line that cannot be read is refused with its number") {
  CHECK_THAT(refused(step("handled", 1) + R"({"ev":"hand)"), ContainsSubstring("the log, line 2"));
  CHECK_THAT(refused(R"({"ev":"eaten","id":"a","to":"b"})"), ContainsSubstring("'eaten'"));
  CHECK_THAT(refused(R"({"ev":"effect","to":"b"})"), ContainsSubstring("'id'"));
  CHECK_THAT(refused(R"({"ev":"handled","id":"a","to":"b","from":"c","class":"once"})"),
             ContainsSubstring("'seq'"));
  CHECK_THAT(refused(R"({"ev":"handled","id":"a","to":"b","from":"c","seq":1,"class":"fire"})"),
             ContainsSubstring("'class'"));
}

} // namespace message_laws_test
