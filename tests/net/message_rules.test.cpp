// What a peer may send, by the types of its messages.

#include "troupe/net/message_rules.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <string>
#include <vector>

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using net::need;
using security::rights;
using security::role;

namespace {

using type_number = net::message_rules::type_number;

constexpr net::message_rules::own_types ours{1'000, 2'000};
constexpr type_number greet = 300; // an application's types
constexpr type_number wave = 301;
constexpr type_number other = 302;
constexpr type_number unknown = 303;

security::facts client_with(rights may) {
  return {.name = "ann", .as = role::client, .may = may};
}

struct rules : net::message_rules {
  rules() : message_rules(ours, [](type_number type) { return type == unknown ? ""s : "greet"s; }) {
    set(greet, need::operate);
    set(wave, need::read);
  }

  [[nodiscard]] problem judge(const security::facts& who,
                              const std::vector<type_number>& types) const {
    return refusal(who, types);
  }
};

} // namespace

TEST_CASE("a client may send what its rights allow, and those below", "[net]") {
  for (auto may : {rights::read, rights::use, rights::operate}) {
    CAPTURE(name_of(may));
    CHECK_FALSE(rules{}.judge(client_with(may), {wave}));
    CHECK_FALSE(rules{}.judge(client_with(may), {}));
    CHECK(rules{}.judge(client_with(may), {other}).code
          == (may == rights::read ? errc::denied : errc::none));
    CHECK(rules{}.judge(client_with(may), {greet}).code
          == (may == rights::operate ? errc::none : errc::denied));
  }
}

TEST_CASE("the strictest type of a message counts, wherever it stands", "[net]") {
  CHECK(rules{}.judge(client_with(rights::use), {wave, greet}).code == errc::denied);
  CHECK(rules{}.judge(client_with(rights::use), {greet, wave}).code == errc::denied);
  CHECK_FALSE(rules{}.judge(client_with(rights::read), {wave, wave}));
}

TEST_CASE("types of troupe's own that no rule names are for members, others for who may use it",
          "[net]") {
  CHECK(rules{}.need_of(ours.first) == need::membership);
  CHECK(rules{}.need_of(ours.end - 1) == need::membership);
  CHECK(rules{}.need_of(ours.first - 1) == need::use);
  CHECK(rules{}.need_of(ours.end) == need::use);
  CHECK(rules{}.judge(client_with(rights::operate), {ours.first}).code == errc::denied);
  security::facts member{.name = "n1", .as = role::member, .may = rights::read};
  CHECK_FALSE(rules{}.judge(member, {ours.first, greet}));
}

TEST_CASE("a refusal says which right is missing, whose, and how to get it", "[net]") {
  auto lacks = rules{}.judge(client_with(rights::read), {greet});
  CHECK_THAT(lacks.detail, ContainsSubstring("greet needs the right operate"));
  CHECK_THAT(lacks.detail, ContainsSubstring("the certificate of 'ann' has read"));
  CHECK_THAT(lacks.detail, ContainsSubstring("troupe ca invite --role client --rights operate"));
  auto outside = rules{}.judge(client_with(rights::operate), {ours.first});
  CHECK_THAT(outside.detail, ContainsSubstring("for members of the cluster"));
  CHECK_THAT(outside.detail, ContainsSubstring("'ann' has the role client"));
  CHECK_THAT(rules{}.judge(client_with(rights::read), {unknown}).detail,
             ContainsSubstring("unknown type"));
}
