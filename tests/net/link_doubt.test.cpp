#include "troupe/net/link_doubt.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>

namespace link_doubt_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::net;

namespace {

using cause = link_doubt::cause;

const duration heartbeat = 1s;
const duration silence = 10s;
const time_point made{1h};
/// Dials that have crossed with the one of the link come before.
const time_point crossed = made + 4s;
const time_point never = made + 24h;

/// A link whose dial is long over.
struct old_link {
  /// Lets time pass, and has another process of the node want the place.
  verdict claimed_after(duration span) {
    now += span;
    return doubt.claimed(now);
  }

  void redialled_after(duration span) {
    now += span;
    doubt.redialled(now);
  }

  void heard_after(duration span) {
    now += span;
    doubt.heard(now, silence);
  }

  time_point now = crossed;
  link_doubt doubt{heartbeat, crossed};
};

} // namespace

TEST_CASE_METHOD(old_link, "a link is in no doubt without a cause", "[net]") {
  CHECK_FALSE(doubt.why());
  CHECK(doubt.limit(never) == never);
  heard_after(1s);
  CHECK_FALSE(doubt.why());
}

TEST_CASE_METHOD(old_link,
                 "a link in doubt ends after three heartbeats, or when it would end anyway",
                 "[net]") {
  CHECK(claimed_after(1s) == verdict::linked);
  CHECK(doubt.why() == cause::other_process);
  CHECK(doubt.limit(never) == now + 3 * heartbeat);
  CHECK(doubt.limit(now + 1s) == now + 1s);
}

TEST_CASE_METHOD(old_link, "causes that come again put off no end of a link", "[net]") {
  auto end = now + 3 * heartbeat;
  SECTION("another process") {
    CHECK(claimed_after(0s) == verdict::linked);
    CHECK(claimed_after(2s) == verdict::linked);
    CHECK(doubt.why() == cause::other_process);
  }
  SECTION("another way") {
    redialled_after(0s);
    redialled_after(2s);
    CHECK(doubt.why() == cause::other_way);
  }
  SECTION("first the one, then the other") {
    redialled_after(0s);
    CHECK(claimed_after(2s) == verdict::linked);
    CHECK(doubt.why() == cause::other_process);
  }
  SECTION("first the other, then the one") {
    CHECK(claimed_after(0s) == verdict::linked);
    redialled_after(2s);
    CHECK(doubt.why() == cause::other_process);
  }
  CHECK(doubt.limit(never) == end);
}

TEST_CASE("a dial that may have crossed with that of the link puts it in no doubt", "[net]") {
  link_doubt doubt{heartbeat, crossed};
  doubt.redialled(crossed - 1ns);
  CHECK_FALSE(doubt.why());
  doubt.redialled(crossed);
  CHECK(doubt.why() == cause::other_way);
  CHECK(doubt.limit(never) == crossed + 3 * heartbeat);
}

TEST_CASE("another process puts a link in doubt as soon as there is that", "[net]") {
  link_doubt doubt{heartbeat, crossed};
  CHECK(doubt.claimed(made) == verdict::linked);
  CHECK(doubt.limit(never) == made + 3 * heartbeat);
}

TEST_CASE_METHOD(old_link, "only what is heard after the cause ends a doubt", "[net]") {
  redialled_after(1s);
  SECTION("a report of what came before does not") {
    doubt.heard(now, silence);
    CHECK(doubt.why() == cause::other_way);
  }
  SECTION("what came between two greetings does") {
    redialled_after(2s);
    doubt.heard(now - 1s, silence);
    CHECK_FALSE(doubt.why());
    CHECK(doubt.limit(never) == never);
  }
}

TEST_CASE_METHOD(old_link,
                 "another process is a duplicate while the peer may be silent, then a doubt anew",
                 "[net]") {
  CHECK(claimed_after(1s) == verdict::linked);
  heard_after(1s);
  CHECK_FALSE(doubt.why());
  CHECK(claimed_after(silence - 1ns) == verdict::duplicate);
  CHECK_FALSE(doubt.why());
  CHECK(claimed_after(1ns) == verdict::linked);
  CHECK(doubt.limit(never) == now + 3 * heartbeat);
}

TEST_CASE_METHOD(old_link, "a peer that was there by another way is none of two processes",
                 "[net]") {
  redialled_after(1s);
  heard_after(1s);
  CHECK(claimed_after(1s) == verdict::linked);
}

TEST_CASE_METHOD(old_link,
                 "a peer that is heard beside another process is one of two, whatever the "
                 "doubt began with",
                 "[net]") {
  redialled_after(1s);
  CHECK(claimed_after(1s) == verdict::linked);
  heard_after(1s);
  CHECK(claimed_after(1s) == verdict::duplicate);
}

} // namespace link_doubt_test
