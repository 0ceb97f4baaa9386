#include "troupe/net/relayed_connections.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "troupe/net/plain_stream.hpp"

namespace relayed_connections_test {

using namespace std::literals;
using namespace troupe;
using net::connection_id;
using net::verdict;

namespace {

const auto place = "10.0.0.1:6767"s;
constexpr auto buffer_bytes = net::relayed_bytes::buffer_bytes;

/// The two ends of one connection. Neither blocks.
std::pair<net::socket, net::socket> make_pair() {
  std::array<int, 2> made{-1, -1};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, made.data()) == 0);
  auto much = int{1} << 22; // as far as the system allows
  for (auto each : made)
    ::setsockopt(each, SOL_SOCKET, SO_SNDBUF, &much, sizeof(much));
  return {net::socket{made[0]}, net::socket{made[1]}};
}

net::endpoint loopback() {
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return {reinterpret_cast<const sockaddr*>(&here), sizeof(here)};
}

void say(const net::socket& to, const std::string& what) {
  REQUIRE(::send(to.get(), what.data(), what.size(), MSG_NOSIGNAL)
          == static_cast<ssize_t>(what.size()));
}

/// Returns all that has come; nothing if no more ever comes.
std::optional<std::string> hear(const net::socket& at) {
  std::string heard;
  for (;;) {
    std::array<char, 4096> piece{};
    auto count = ::recv(at.get(), piece.data(), piece.size(), 0);
    if (count <= 0)
      return heard.empty() && count == 0 ? std::nullopt : std::optional{heard};
    heard.append(piece.data(), static_cast<std::size_t>(count));
  }
}

/// Sends until the system takes no more. Returns how many bytes it took.
std::size_t fill(const net::socket& to) {
  std::string piece(buffer_bytes / 2 + 100, 'x');
  std::size_t taken = 0;
  for (;;) {
    auto count = ::send(to.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
    if (count < 0)
      return taken;
    taken += static_cast<std::size_t>(count);
  }
}

/// A node that relays, without a network.
struct relaying {
  relaying() {
    it.offer(now, place, {net::endpoint{}});
  }

  /// A peer asks to be relayed; returns its end.
  net::socket ask(connection_id id, const std::string& where = place) {
    auto [here, peer] = make_pair();
    net::connection near{std::move(here), net::side::accepted};
    REQUIRE(near.next(net::make_plain_stream)); // ready at once
    it.relay(now, id, std::move(near), net::mark_of(where), {});
    return std::move(peer);
  }

  /// Returns how many places were ready.
  int turn(int wait_milliseconds = 0) {
    std::vector<pollfd> polled;
    it.poll_for(polled);
    auto ready = ::poll(polled.data(), polled.size(), wait_milliseconds);
    it.go_on(now, polled);
    return ready;
  }

  void turns(int count = 100) {
    while (count-- > 0 && turn() > 0) {
    }
  }

  /// The other end of the last connection that it made.
  const net::socket& far() {
    REQUIRE_FALSE(fars.empty());
    return fars.back();
  }

  time_point now{1h};
  bool connects = true;
  std::vector<net::socket> fars;
  std::vector<verdict> refused;
  net::relayed_connections it{
    {.connect = [this](const net::endpoint& where) -> result<net::socket> {
       if (!connects)
         return problem{errc::unreachable, "for the test"};
       if (where.port() != 0)
         return net::start_connect(where);
       auto [here, there] = make_pair();
       fars.push_back(std::move(there));
       return std::move(here);
     },
     .self =
       [] {
         net::hello self;
         self.node.bytes.back() = std::byte{1};
         self.heartbeat = 1s;
         self.basp_node = "for the test";
         return self;
       },
     .refused = [this](verdict why) { refused.push_back(why); }}};
};

/// Takes the answer from what was heard.
std::optional<verdict> answer_in(std::string& heard) {
  auto size = net::body_bytes(std::string_view{heard}.substr(0, net::greeting_head_bytes));
  if (!size || heard.size() < net::greeting_head_bytes + *size)
    return std::nullopt;
  auto said = net::from_wire(std::string_view{heard}.substr(net::greeting_head_bytes, *size));
  heard.erase(0, net::greeting_head_bytes + *size);
  auto* found = said ? std::get_if<net::answer>(&*said) : nullptr;
  return found != nullptr ? std::optional{found->said} : std::nullopt;
}

std::optional<verdict> answer_to(const net::socket& peer) {
  auto heard = hear(peer).value_or("");
  return answer_in(heard);
}

} // namespace

SCENARIO("a node carries the bytes of a peer to another node", "[net]") {
  relaying node;
  GIVEN("a peer whose connection is relayed") {
    auto peer = node.ask(1);
    CHECK(hear(peer) == ""); // not before the far end is there
    node.turns();
    REQUIRE(answer_to(peer) == verdict::go);
    REQUIRE(node.fars.size() == 1);
    THEN("what each says arrives at the other as it is") {
      say(peer, "a greeting");
      say(node.far(), "another");
      node.turns();
      CHECK(hear(node.far()) == "a greeting");
      CHECK(hear(peer) == "another");
      CHECK(node.refused.empty());
    }
    THEN("it goes on when the node relays to nobody any more") {
      node.it.offer(node.now, place, {});
      say(peer, "still there");
      node.turns();
      CHECK(hear(node.far()) == "still there");
      CHECK(answer_to(node.ask(2)) == verdict::no_relay);
    }
    THEN("the last words of an end arrive, then its end") {
      say(node.far(), "farewell");
      node.fars.clear();
      node.turns();
      CHECK(hear(peer) == "farewell");
      CHECK(hear(peer) == std::nullopt);
      CHECK(node.it.size() == 0);
    }
    THEN("the far end hears that the peer has gone") {
      peer = {};
      node.turns();
      CHECK(hear(node.far()) == std::nullopt);
      CHECK(node.it.size() == 0);
    }
    THEN("it ends when it was silent for too long") {
      node.now += net::relay_options{}.idle_timeout - 1s;
      say(peer, "a heartbeat");
      node.turns();
      node.now += net::relay_options{}.idle_timeout - 1s;
      node.it.tick(node.now);
      CHECK(node.it.size() == 1);
      CHECK(node.it.next_deadline() == node.now + 1s);
      node.now += 1s;
      node.it.tick(node.now);
      CHECK(node.it.size() == 0);
      CHECK(hear(peer) == std::nullopt);
    }
    THEN("nothing is left when the node stops") {
      node.it.clear();
      CHECK(hear(peer) == std::nullopt);
      CHECK(hear(node.far()) == std::nullopt);
    }
  }
  GIVEN("a peer that sends faster than the other end takes") {
    auto peer = node.ask(1);
    node.turns();
    REQUIRE(answer_to(peer) == verdict::go);
    std::size_t sent = 0;
    for (std::size_t taken = 1; taken > 0; sent += taken) {
      taken = fill(peer);
      node.turns();
    }
    THEN("no more of it waits here than one buffer, and it waits without being polled for") {
      CHECK(node.turn() == 0);
      auto at_far = hear(node.far()).value_or("").size();
      CHECK(at_far < sent);
      node.turn(); // what waited here
      CHECK(hear(node.far()).value_or("").size() <= 5 * buffer_bytes);
    }
    THEN("the peer still hears what the other end says") {
      say(node.far(), "slower, please");
      node.turns();
      CHECK(hear(peer) == "slower, please");
    }
    THEN("all of it arrives once the other end takes it") {
      std::size_t arrived = 0;
      for (auto count = 0; count < 1000 && arrived < sent; ++count) {
        arrived += hear(node.far()).value_or("").size();
        node.turn();
      }
      CHECK(arrived == sent);
    }
    THEN("its end keeps nobody busy while the other end takes nothing") {
      peer = {};
      node.turns();
      CHECK(node.turn() == 0);
      std::size_t arrived = 0;
      for (auto count = 0; count < 1000 && node.it.size() > 0; ++count) {
        arrived += hear(node.far()).value_or("").size();
        node.turn();
      }
      CHECK(arrived + hear(node.far()).value_or("").size() == sent);
      CHECK(hear(node.far()) == std::nullopt);
    }
  }
  GIVEN("a peer that has sent much") {
    auto much = node.ask(1);
    auto little = node.ask(2);
    node.turns();
    auto& far = node.fars.back();
    hear(much);
    hear(little);
    fill(much);
    say(little, "an alarm");
    THEN("another one waits for a part of it only") {
      node.turn();
      CHECK(hear(far) == "an alarm");
      CHECK(hear(node.fars.front()).value_or("").size() <= 4 * buffer_bytes);
    }
  }
}

SCENARIO("a node does not relay all connections", "[net]") {
  relaying node;
  THEN("who means another place hears that it is not relayed") {
    auto peer = node.ask(1, "10.0.0.2:6767");
    CHECK(answer_to(peer) == verdict::no_relay);
    CHECK(hear(peer) == std::nullopt);
    CHECK(node.refused == std::vector{verdict::no_relay});
    CHECK(node.fars.empty());
  }
  THEN("so does who comes when no address of the place can be tried") {
    node.connects = false;
    auto peer = node.ask(1);
    CHECK(answer_to(peer) == verdict::no_relay);
    CHECK(node.it.size() == 0);
  }
  THEN("so does who waits for the place for too long") {
    auto peer = node.ask(1);
    REQUIRE(node.it.next_deadline());
    node.now = *node.it.next_deadline();
    node.it.tick(node.now);
    CHECK(answer_to(peer) == verdict::no_relay);
    CHECK(hear(node.far()) == std::nullopt);
  }
  THEN("a refusal that the peer does not hear is not counted") {
    node.it.offer(node.now, place, {});
    auto [here, peer] = make_pair();
    net::connection near{std::move(here), net::side::accepted};
    REQUIRE(near.next(net::make_plain_stream));
    peer = {};
    node.it.relay(node.now, 1, std::move(near), net::mark_of(place), {});
    CHECK(node.refused.empty());
    CHECK(node.it.size() == 0);
  }
  THEN("a peer that has gone before its answer gets no connection") {
    node.ask(1);
    node.turn();
    CHECK(node.it.size() == 0);
    CHECK(hear(node.far()) == std::nullopt);
  }
  GIVEN("a place with an address at which nobody listens") {
    auto nobody = net::start_listen(loopback());
    REQUIRE(nobody);
    auto closed = net::local_endpoint(*nobody);
    nobody = net::socket{};
    THEN("the next address is tried") {
      node.it.offer(node.now, place, {closed, net::endpoint{}});
      auto peer = node.ask(1);
      CHECK(node.fars.empty());
      node.turn(10'000);
      CHECK(node.fars.size() == 1);
      node.turns();
      CHECK(answer_to(peer) == verdict::go);
    }
    THEN("the peer hears that none was left") {
      node.it.offer(node.now, place, {closed, closed});
      auto peer = node.ask(1);
      node.turn(10'000);
      CHECK(node.it.size() == 1);
      node.turn(10'000);
      CHECK(answer_to(peer) == verdict::no_relay);
      CHECK(node.it.size() == 0);
    }
  }
  THEN("one that ends between poll and its turn is passed over") {
    auto peer = node.ask(1);
    std::vector<pollfd> polled;
    node.it.poll_for(polled);
    ::poll(polled.data(), polled.size(), 0);
    node.now += 1h;
    node.it.tick(node.now);
    node.it.go_on(node.now, polled);
    CHECK(answer_to(peer) == verdict::no_relay);
  }
}

} // namespace relayed_connections_test
