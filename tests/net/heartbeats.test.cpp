// Which heartbeats go over a link, and what becomes of a link that is idle on one side.

#include "net/node_fixture.hpp"
#include "net/raw_peer.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "caf/io/middleman.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"
#include "troupe/net/basp_filter.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/net/greeting.hpp"

namespace heartbeats_test {

using namespace std::literals;
using namespace troupe;
using net::basp_header;
using test::raw_peer;
using enum net::basp_header::operation;

namespace {

/// A node whose BASP makes a heartbeat at each of its `ticks`, and whose links go by another
/// `interval`: so a test knows of each heartbeat whether a tick or an answer has sent it, however
/// slow the machine is.
class beating_node {
public:
  beating_node(duration ticks, duration interval, std::uint8_t number = 1)
    : cfg_(ticks), sys_(cfg_) {
    caf::scoped_actor self{sys_};
    auto is_there = false;
    self->request(sys_.middleman().actor_handle(), 10s, caf::get_atom_v, sys_.node())
      .receive([&](const caf::node_id&, const std::string&, std::uint16_t) { is_there = true; },
               [&](const caf::error&) {});
    REQUIRE(is_there); // BASP, which has read its own by now
    cfg_.set("caf.middleman.heartbeat-interval", caf::timespan{interval});
    entry_ = sys_.spawn(test::entry_point, "1", std::make_shared<std::atomic<int>>(0));
    net::hello said;
    said.node = test::node_number(number);
    said.boot = 1;
    said.cluster = test::cluster_number(7);
    net::link_events events;
    events.on_up = [this](const net::link_ptr& which) { up_.set_value(which); };
    net::link_options links;
    links.insecure = true;
    auto made
      = net::gate::start(sys_, said, caf::actor_cast<caf::strong_actor_ptr>(entry_), events, links);
    REQUIRE(made);
    gate_ = std::move(*made);
    CHECK(gate_->self().heartbeat == interval);
  }

  ~beating_node() {
    gate_->stop();
    caf::anon_send_exit(entry_, caf::exit_reason::kill);
  }

  beating_node(const beating_node&) = delete;
  beating_node& operator=(const beating_node&) = delete;

  net::gate& gate() {
    return *gate_;
  }

  net::endpoint listen() {
    auto port = gate_->listen(test::loopback());
    REQUIRE(port);
    return test::loopback(*port);
  }

  void dial(const net::endpoint& where) {
    gate_->dial({where}, {}, [](const result<net::link_ptr>&) {});
  }

  /// Its first link.
  net::link_ptr link() {
    auto found = up_.get_future();
    REQUIRE(found.wait_for(20s) == std::future_status::ready);
    return found.get();
  }

private:
  test::net_config cfg_;
  caf::actor_system sys_;
  caf::actor entry_;
  std::promise<net::link_ptr> up_;
  std::unique_ptr<net::gate> gate_;
};

/// A hello as another node would say it.
net::hello another(net::hello it) {
  it.node = test::node_number(9);
  it.basp_node.back() ^= 1;
  it.entry_point = 1'000;
  return it;
}

/// What comes next, with its payload; nothing: the peer is gone, or says nothing for `limit`.
std::optional<basp_header> next_of(raw_peer& peer, std::chrono::milliseconds limit = 10s) {
  auto bytes = peer.receive(basp_header::wire_bytes, limit);
  if (bytes.size() != basp_header::wire_bytes)
    return std::nullopt;
  auto found = basp_header::from_bytes(std::as_bytes(std::span{bytes}));
  return peer.receive(found.payload_bytes).size() == found.payload_bytes ? std::optional{found}
                                                                         : std::nullopt;
}

bool is_heartbeat(const std::optional<basp_header>& what) {
  return what && what->what == heartbeat;
}

const auto beat = test::basp_bytes({heartbeat, 0, 0, 0, 0});

/// Accepts a link of `node` as another node would, and then does the `job`.
template <class Job>
void serve(beating_node& node, Job job) {
  beating_node other{15s, 15s, 2}; // says what a node says that accepts a link
  auto where = other.listen();
  std::promise<bool> done;
  test::raw_server server{[&](raw_peer& peer) {
    auto model = raw_peer::connect(where);
    auto dialled = peer.hear();
    auto works = dialled && std::holds_alternative<net::hello>(*dialled)
                 && model.greet(std::get<net::hello>(*dialled)) == net::verdict::go
                 && model.send(net::to_wire(net::commit{}));
    auto header = model.receive(basp_header::wire_bytes);
    works = works && header.size() == basp_header::wire_bytes;
    if (!works)
      return done.set_value(false);
    auto payload
      = model.receive(basp_header::from_bytes(std::as_bytes(std::span{header})).payload_bytes);
    works = peer.send(net::to_wire(net::answer{net::verdict::go, model.host()})) && peer.hear()
            && peer.send(header + payload) && next_of(peer).has_value();
    done.set_value(works && job(peer));
  }};
  node.dial(server.where());
  auto worked = done.get_future();
  REQUIRE(worked.wait_for(40s) == std::future_status::ready);
  CHECK(worked.get());
}

} // namespace

TEST_CASE("a node sends heartbeats over a link that it has accepted, to a peer that says nothing",
          "[net]") {
  beating_node node{10ms, 10ms};
  auto peer = raw_peer::linked(node.listen(), another(node.gate().self()));
  for (auto count = 0; count < 3;) {
    auto next = next_of(peer);
    REQUIRE(next);
    count += is_heartbeat(next) ? 1 : 0;
  }
}

TEST_CASE("a node that says much to a silent peer sends it heartbeats, which ask for an answer",
          "[net]") {
  beating_node node{10ms, 1s};
  auto peer = raw_peer::linked(node.listen(), another(node.gate().self()));
  auto link = node.link();
  auto other = caf::actor_cast<caf::actor>(link->entry_point());
  auto end = std::chrono::steady_clock::now() + 20s;
  auto is_asked = false;
  for (; !is_asked && std::chrono::steady_clock::now() < end;) {
    caf::anon_send(other, test::greet_request{"more"});
    auto next = next_of(peer);
    REQUIRE(next);
    is_asked = is_heartbeat(next);
  }
  CHECK(is_asked);
}

TEST_CASE("a node answers heartbeats over a link that it has dialled, at once", "[net]") {
  beating_node node{15s, 10ms}; // none by itself
  serve(node, [](raw_peer& peer) {
    auto end = std::chrono::steady_clock::now() + 10s;
    while (std::chrono::steady_clock::now() < end) {
      peer.send(beat); // not behind another message of that node, for half an interval
      if (is_heartbeat(next_of(peer, 20ms)))
        return true;
    }
    return false;
  });
}

TEST_CASE("a node that has just said something sends no heartbeat, and answers none", "[net]") {
  auto begin = std::chrono::steady_clock::now();
  beating_node node{10ms, 15s};
  serve(node, [begin](raw_peer& peer) {
    auto end = std::chrono::steady_clock::now() + 300ms; // some ticks
    while (std::chrono::steady_clock::now() < end) {
      peer.send(beat);
      if (is_heartbeat(next_of(peer, 20ms))) // half an interval after the handshake it may send one
        return std::chrono::steady_clock::now() > begin + 7s;
    }
    return true;
  });
}

TEST_CASE("a link that is idle on one side is kept", "[net]") {
  constexpr auto timeout = 1s;
  test::node_options first{.node = 1, .heartbeat = 100ms};
  first.links.table.link_timeout = timeout;
  auto second = first;
  second.node = 2;
  test::test_node accepts{first};
  test::test_node dials{second};
  REQUIRE(dials.dial(accepts.listen()));
  REQUIRE(accepts.wait_for_links(1));
  auto talk = [&](test::test_node& from, test::test_node& to) {
    auto other = caf::actor_cast<caf::actor>(from.only_link()->entry_point());
    auto end = std::chrono::steady_clock::now() + 2 * timeout;
    while (std::chrono::steady_clock::now() < end && accepts.downs() + dials.downs() == 0) {
      auto before = to.greeted();
      caf::anon_send(other, test::greet_request{"more"}); // has no answer
      while (to.greeted() == before && std::chrono::steady_clock::now() < end)
        std::this_thread::yield();
    }
    CHECK(accepts.downs() + dials.downs() == 0);
  };
  SECTION("that has accepted it") {
    talk(dials, accepts);
  }
  SECTION("that has dialled it") {
    talk(accepts, dials);
  }
}

} // namespace heartbeats_test
