#include "troupe/net/address.hpp" // the header under test
#include "troupe/net/endpoint.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>

namespace address_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::net;

TEST_CASE("addresses are read as people write them", "[net]") {
  struct {
    std::string text;
    address means;
  } given[] = {
    {"127.0.0.1:6767", {"127.0.0.1", 6767}},
    {"[::1]:6767", {"::1", 6767}},
    {"[fe80::1%eth0]:1", {"fe80::1%eth0", 1}},
    {"localhost:0", {"localhost", 0}},
    {"node-7.example.org:65535", {"node-7.example.org", 65535}},
  };
  for (auto& each : given) {
    INFO(each.text);
    auto read = address::from_string(each.text);
    REQUIRE(read);
    CHECK(*read == each.means);
    CHECK(to_string(*read) == each.text);
  }
}

TEST_CASE("what is no address is refused by the part that is wrong", "[net]") {
  struct {
    std::string text;
    std::string part;
  } given[] = {
    {"", "no port"},
    {"localhost", "no port"},
    {"[::1]", "no port"},
    {":6767", "no host"},
    {"[]:6767", "no host"},
    {"::1:6767", "without brackets"},
    {"localhost:", "not a number"},
    {"localhost:http", "not a number"},
    {"localhost:65536", "not a number"},
    {"localhost:-1", "not a number"},
    {"localhost: 1", "not a number"},
    {"local host:1", "characters"},
    {"http://localhost:1", "is a URL; give HOST:PORT"},
    {"a\nb:1", "characters"},
    {std::string(254, 'a') + ":1", "253 bytes"},
    {std::string(1'000'000, ':'), "not a number"},
  };
  for (auto& each : given) {
    INFO(each.text.substr(0, 80));
    auto read = address::from_string(each.text);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == errc::bad_argument);
    CHECK(read.error().detail.find(each.part) != std::string::npos);
    CHECK(read.error().detail.size() < 1'000);
  }
}

TEST_CASE("an address becomes numbers", "[net]") {
  for (auto text : {"127.0.0.1:6767"s, "[::1]:6767"s}) {
    auto found = resolve(*address::from_string(text));
    REQUIRE(found);
    REQUIRE(found->size() == 1);
    CHECK(to_string(found->front()) == text);
    CHECK(found->front().is_loopback());
    CHECK(found->front().port() == 6767);
  }
  auto name = resolve({"localhost", 1});
  REQUIRE(name);
  for (auto& each : *name)
    CHECK(each.is_loopback());
}

TEST_CASE("only loopback is loopback", "[net]") {
  struct {
    std::string host;
    bool is_loopback;
  } given[] = {
    {"127.0.0.1", true},        {"127.255.255.254", true}, {"::1", true},
    {"::ffff:127.0.0.1", true}, {"0.0.0.0", false},        {"::", false},
    {"10.0.0.1", false},        {"128.0.0.1", false},      {"fe80::1", false},
    {"::ffff:10.0.0.1", false},
  };
  for (auto& each : given) {
    INFO(each.host);
    auto found = resolve({each.host, 1});
    REQUIRE(found);
    CHECK(found->front().is_loopback() == each.is_loopback);
  }
}

TEST_CASE("addresses that one host may choose among are of one network", "[net]") {
  struct {
    std::string host;
    std::string network;
  } given[] = {
    {"192.0.2.1", "192.0.2.1"},
    {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
    {"2001:db8:1:2:ffff::", "2001:db8:1:2::"},
    {"::ffff:192.0.2.1", "192.0.2.1"},
  };
  for (auto& each : given) {
    INFO(each.host);
    auto found = resolve({each.host, 1});
    REQUIRE(found);
    CHECK(found->front().network() == each.network);
  }
}

TEST_CASE("a name that nobody has is unreachable", "[net]") {
  auto found = resolve({std::string(64, 'a'), 1}); // longer than DNS has, so that nobody is asked
  REQUIRE_FALSE(found);
  CHECK(found.error().code == errc::unreachable);
}

} // namespace address_test
