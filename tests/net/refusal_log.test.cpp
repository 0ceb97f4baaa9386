#include "troupe/net/refusal_log.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "troupe/security/certificate.hpp"

namespace refusal_log_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::net;

namespace {

struct refusals {
  void note(const std::string& from, verdict why, const std::string& detail = {}) {
    log.note(now, from, why, detail, lines);
  }

  void pass(duration span) {
    now += span;
    log.tick(now, lines);
  }

  std::vector<std::string> take() {
    return std::exchange(lines, {});
  }

  refusal_log log{3};
  time_point now{1h};
  std::vector<std::string> lines;
};

using texts = std::vector<std::string>;

} // namespace

TEST_CASE_METHOD(refusals, "refusals of an address are told when they begin, change and end",
                 "[net]") {
  note("192.0.2.1", verdict::not_secured, "it has no certificate");
  CHECK(take() == texts{"connections from 192.0.2.1 are refused: it has no certificate"});
  for (auto count = 0; count < 41; ++count)
    note("192.0.2.1", verdict::not_secured, "it has no certificate");
  CHECK(take().empty());
  pass(30s);
  note("192.0.2.1", verdict::bad_greeting, "it speaks HTTP");
  CHECK(take()
        == texts{"connections from 192.0.2.1 are refused: it speaks HTTP (43 times in 30 s)"});
  CHECK(log.next_deadline() <= now + 1min);
  pass(59s);
  CHECK(take().empty());
  pass(1s);
  CHECK(take() == texts{"over: connections from 192.0.2.1 are refused (43 times in 30 s)"});
  CHECK_FALSE(log.next_deadline()); // and it is forgotten
  note("192.0.2.1", verdict::unproven);
  CHECK(take()
        == texts{"connections from 192.0.2.1 are refused: its certificate does not prove what it "
                 "says it is"});
}

TEST_CASE_METHOD(refusals, "an address that goes on for hours is told once", "[net]") {
  for (auto second = 0; second < 10'000; ++second) {
    note("192.0.2.1", verdict::unproven);
    pass(1s);
  }
  CHECK(take().size() == 1);
}

TEST_CASE_METHOD(refusals,
                 "of an address eight kinds of refusals are named, and others counted as one",
                 "[net]") {
  for (auto round = 0; round < 2; ++round)
    for (auto kind = 0; kind < 20; ++kind)
      note("192.0.2.1", verdict::not_secured, "kind " + std::to_string(kind));
  CHECK(take().size() == complaints::max_details);
  CHECK(log.counts().at(verdict::not_secured) == 40);
  pass(1min);
  CHECK(take()
        == texts{"over: connections from 192.0.2.1 are refused (40 times in 0 ms, 24 of them for "
                 "other reasons than those logged)"});
}

TEST_CASE_METHOD(refusals, "an expired certificate is told once, whatever the time is", "[net]") {
  const wall_time ends{1'000h};
  auto expired = [&](duration since) {
    note("192.0.2.1", verdict::not_secured,
         security::check_times(ends - 10h, ends, ends + since).detail);
  };
  expired(1s);
  auto told = take();
  REQUIRE(told.size() == 1);
  CHECK(told.front().find("the certificate has expired: valid from") != std::string::npos);
  CHECK(told.front().find("this machine's clock says 1970-02-11T16:00:01") != std::string::npos);
  for (auto count = 2; count < 50; ++count)
    expired(count * 1s);
  CHECK(take().empty());
  note("192.0.2.1", verdict::unproven); // for which there is room
  CHECK(take().size() == 1);
  note("192.0.2.1", verdict::not_secured,
       security::check_times(ends - 20h, ends - 1h, ends).detail); // another certificate
  CHECK(take().size() == 1);
}

TEST_CASE_METHOD(refusals, "refusals are counted by reason", "[net]") {
  note("a", verdict::not_secured);
  note("b", verdict::not_secured);
  pass(1s);
  note("a", verdict::displaced);
  CHECK(log.counts().at(verdict::not_secured) == 2);
  CHECK(log.counts().at(verdict::displaced) == 1);
  CHECK(log.last().at(verdict::displaced) > log.last().at(verdict::not_secured));
  CHECK_FALSE(log.last().contains(verdict::duplicate));
}

TEST_CASE_METHOD(refusals, "what belongs to normal life is counted in silence", "[net]") {
  for (auto why : {verdict::linked, verdict::greeting, verdict::dialling, verdict::crossed,
                   verdict::displaced, verdict::closed, verdict::myself, verdict::no_cluster})
    note("a", why);
  CHECK(take().empty());
  CHECK_FALSE(log.next_deadline());
}

TEST_CASE_METHOD(refusals, "that there is no room, or that a node runs twice, is told", "[net]") {
  for (auto [why, words] :
       {std::pair{verdict::full, "all places for links of its kind, or with its certificate, are "
                                 "taken"s},
        {verdict::duplicate,
         "another process with its identity runs: each needs a data folder of its "
         "own"s},
        {verdict::old_boot, "a later start of its node is known: it has an older copy of the "
                            "folder, or its process is an earlier one"s}}) {
    for (auto count = 0; count < 60; ++count) {
      note("192.0.2.1", why);
      pass(1s);
    }
    CHECK(take() == texts{"connections from 192.0.2.1 are refused: " + words});
    pass(1min);
    CHECK(take() == texts{"over: connections from 192.0.2.1 are refused (60 times in 59 s)"});
  }
}

TEST_CASE_METHOD(refusals, "addresses beyond the bound are one", "[net]") {
  for (auto number = 0; number < 1000; ++number)
    note("address " + std::to_string(number), verdict::bad_greeting);
  CHECK(take().size() == 4); // three addresses, and the others
  pass(1min);
  auto told = take();
  REQUIRE(told.size() == 4);
  CHECK(std::ranges::count(told, "over: connections from other addresses are refused (997 times "
                                 "in 0 ms)")
        == 1);
}

TEST_CASE_METHOD(refusals, "peers whose links have to be ended are told of like refusals",
                 "[net]") {
  auto end = [&](const std::string& who) { log.note_end(now, who, "it sent garbage", lines); };
  end("'ann'");
  CHECK(take() == texts{"links of 'ann' are ended: it sent garbage"});
  for (auto count = 0; count < 9; ++count)
    end("'ann'");
  CHECK(take().empty());
  CHECK(log.counts().empty());
  note("192.0.2.1", verdict::unproven);
  end("'bob'");
  end("'cy'");
  take();
  end("'eve'");
  end("'mallory'"); // beyond the bound
  CHECK(take() == texts{"links of others are ended: it sent garbage"});
  end("'ann'"); // who is known
  pass(1min);
  CHECK(std::ranges::count(take(), "over: links of 'ann' are ended (11 times in 0 ms)") == 1);
}

TEST_CASE_METHOD(
  refusals, "strangers with many addresses leave each peer a line of its own, and peers strangers",
  "[net]") {
  for (auto number = 0; number < 1000; ++number)
    note("address " + std::to_string(number), verdict::bad_greeting);
  take();
  for (auto* who : {"'ann'", "'bob'", "'cy'", "'dan'", "'eve'"})
    log.note_end(now, who, "it sent garbage", lines);
  CHECK(take()
        == texts{"links of 'ann' are ended: it sent garbage",
                 "links of 'bob' are ended: it sent garbage",
                 "links of 'cy' are ended: it sent garbage",
                 "links of others are ended: it sent garbage"});
  pass(30s);
  log.note_end(now, "'ann'", "it sent garbage", lines);
  pass(30s);
  CHECK(take().size() == 4 + 3); // addresses with "other addresses", peers without ann
  pass(30s);
  CHECK(take() == texts{"over: links of 'ann' are ended (2 times in 30 s)"});
  CHECK_FALSE(log.next_deadline());
}

TEST_CASE_METHOD(refusals, "the log is looked at again only when something may be over", "[net]") {
  note("192.0.2.1", verdict::unproven);
  pass(30s);
  note("192.0.2.2", verdict::unproven);
  pass(30s);
  CHECK(log.next_deadline() == now + 30s);
}

TEST_CASE_METHOD(refusals, "what is over is told before what is new, however late", "[net]") {
  note("192.0.2.1", verdict::unproven);
  log.note_end(now, "'ann'", "it sent garbage", lines);
  take();
  now += 2min;
  SECTION("by a refusal") {
    note("192.0.2.1", verdict::unproven);
  }
  SECTION("by the end of a link") {
    log.note_end(now, "'ann'", "it sent garbage", lines);
  }
  CHECK(take().size() == 3); // two are over, one begins
}

} // namespace refusal_log_test
