#include "troupe/node/swim_thread.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstddef>
#include <future>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/datagram_log.hpp"
#include "troupe/cluster/sealed_swim.hpp"
#include "troupe/net/datagram_socket.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/security/key_agreement.hpp"
#include "troupe/security/key_pair.hpp"

namespace swim_thread_test {

using namespace troupe;
using cluster::sealed_swim;
using cluster::swim;

namespace {

net::datagram_socket opened() {
  return net::datagram_socket::open(net::resolve({"127.0.0.1", 0}).value().front()).value();
}

/// A member that others do not know, and what its owner is told.
class lone_member {
public:
  /// Returns what was told before a question that is asked now is answered.
  std::size_t told_by_now() {
    std::promise<std::size_t> found;
    thread_->ask([&](sealed_swim&) { found.set_value(told_.size()); });
    return found.get_future().get();
  }

  [[nodiscard]] bool has_told_nothing() const {
    return std::ranges::any_of(told_, [](auto& each) { return each.empty(); });
  }

  /// How often the owner has heard that the node has spoken.
  [[nodiscard]] std::size_t times_it_spoke() const {
    std::size_t found = 0;
    for (auto& all : told_)
      for (auto& each : all)
        found += std::holds_alternative<swim::spoke>(each) ? 1 : 0;
    return found;
  }

  void begin() {
    thread_->begin();
  }

  void go_on_as_later_life() {
    thread_->go_on_as(setup(), 2);
  }

  [[nodiscard]] const net::endpoint& address() const {
    return address_;
  }

  /// What it has dropped; known once it is stopped.
  [[nodiscard]] cluster::datagram_log::report dropped() const {
    cluster::datagram_log::report sum;
    for (auto& each : drops_) {
      for (auto& kind : cluster::datagram_log::kinds)
        sum.more.*kind.count += each.more.*kind.count;
      sum.lines.insert(sum.lines.end(), each.lines.begin(), each.lines.end());
    }
    return sum;
  }

  /// Says so to others, and waits for the end of its thread.
  void stop() {
    thread_->stop();
    thread_.reset();
  }

private:
  cluster::sealed_swim_setup setup() const {
    auto agreement = security::key_agreement::make();
    security::boot_salt salt;
    cluster::offer_of_life offers{id_of(key_.public_half()), 1, {agreement.public_half(), salt}};
    return {
      key_.public_half(), 1, agreement, salt, key_.sign(cluster::to_be_signed(offers)), "", {}};
  }

  const security::key_pair key_ = security::key_pair::make();
  std::vector<sealed_swim::effects> told_; // on the thread
  std::vector<cluster::datagram_log::report> drops_;
  std::vector<net::datagram_socket> sockets_ = [] {
    std::vector<net::datagram_socket> made;
    made.push_back(opened());
    return made;
  }();
  const net::endpoint address_ = sockets_.front().local();
  std::optional<cluster::swim_thread> thread_{
    std::in_place,
    setup(),
    1,
    key_,
    std::move(sockets_),
    to_string(address_),
    [this](sealed_swim::effects all) { told_.push_back(std::move(all)); },
    [this](const cluster::datagram_log::report& what) { drops_.push_back(what); }};
};

} // namespace

TEST_CASE("a question behind an event is answered once all is told that has come of it", "[node]") {
  lone_member one;
  CHECK(one.told_by_now() == 0);
  one.begin();
  CHECK(one.told_by_now() == 1);
  CHECK(one.times_it_spoke() == 1);
  CHECK(one.told_by_now() == 1); // not told again
}

TEST_CASE("the last words of a member are told before its thread ends", "[node]") {
  lone_member one;
  one.begin();
  one.stop();
  CHECK(one.times_it_spoke() == 2);
  CHECK_FALSE(one.has_told_nothing());
}

TEST_CASE("datagrams that a member drops are told, with where they came from, at its end at last",
          "[node]") {
  lone_member one;
  auto stranger = opened();
  auto send = [&](const std::string& what) {
    REQUIRE(stranger.send(one.address(), what) == net::datagram_socket::outcome::sent);
  };
  one.begin();
  send("hello");
  send(std::string(net::datagram_socket::max_size + 1, 'x'));
  send(std::string(100, '\1')); // of our form
  one.told_by_now();            // they are read behind that
  one.go_on_as_later_life();    // which has dropped none
  one.told_by_now();
  send("hello");
  one.told_by_now();
  one.stop();
  auto found = one.dropped();
  CHECK(found.more == cluster::datagram_log::counts{.strange = 1, .foreign = 3});
  REQUIRE(found.lines.size() == 1);
  auto& text = std::get<cluster::log_effects::warn>(found.lines.front()).text;
  CHECK(text.find("the last one from " + to_string(stranger.local())) != text.npos);
}

TEST_CASE("also of a datagram that is larger than any of a node it is told where it came from",
          "[node]") {
  lone_member one;
  one.begin();
  auto earlier = opened();
  auto stranger = opened();
  REQUIRE(earlier.send(one.address(), "hello") == net::datagram_socket::outcome::sent);
  REQUIRE(stranger.send(one.address(), std::string(net::datagram_socket::max_size + 1, 'x'))
          == net::datagram_socket::outcome::sent);
  one.told_by_now(); // they are read behind that
  one.told_by_now();
  one.stop();
  auto found = one.dropped();
  CHECK(found.more == cluster::datagram_log::counts{.foreign = 2});
  REQUIRE(found.lines.size() == 1);
  auto& text = std::get<cluster::log_effects::warn>(found.lines.front()).text;
  CHECK(text.find("the last one from " + to_string(stranger.local())) != text.npos);
}

TEST_CASE("a member that drops no datagram tells of none", "[node]") {
  lone_member one;
  one.begin();
  one.told_by_now();
  one.stop();
  CHECK(one.dropped().more == cluster::datagram_log::counts{});
  CHECK(one.dropped().lines.empty());
}

} // namespace swim_thread_test
