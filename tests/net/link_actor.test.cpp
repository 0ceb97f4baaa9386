#include "troupe/net/link_actor.hpp" // the header under test

#include "net/node_fixture.hpp"

#include <cstdint>
#include <optional>
#include <string>

#include "caf/binary_deserializer.hpp"
#include "caf/binary_serializer.hpp"
#include "caf/byte_buffer.hpp"
#include "caf/scoped_actor.hpp"
#include "troupe/core/caf/to_error.hpp"

using namespace std::literals;
using namespace troupe;
using test::greet_reply;
using test::greet_request;
using test::test_node;
using test::wait_request;

namespace {

/// Two nodes, bob having dialled ann.
struct linked_pair {
  using pending
    = decltype(net::request(std::declval<caf::blocking_actor*>(), std::declval<caf::actor&>(),
                            duration{}, std::declval<caf::actor&>(), wait_request{}));

  explicit linked_pair(net::request_options requests = {})
    : bob({.node = 2, .links = with(requests)}) {
    auto got = bob.dial(ann->listen());
    REQUIRE(got);
    to_ann = *got;
    carrier = to_ann->carrier();
  }

  static net::link_options with(net::request_options requests) {
    net::link_options result;
    result.requests = requests;
    return result;
  }

  /// Returns what the entry point of ann answers, or the problem.
  template <class... Ts>
  result<std::string> ask(duration timeout, const Ts&... what) {
    return receive(net::request(self.operator->(), carrier, timeout, entry(), what...));
  }

  template <class Pending>
  static result<std::string> receive(Pending&& pending) {
    result<std::string> got{std::string{}};
    pending.receive([&](const greet_reply& reply) { got = reply.text; },
                    [&](const caf::error& why) { got = to_problem(why); });
    return got;
  }

  [[nodiscard]] caf::actor entry() const {
    return caf::actor_cast<caf::actor>(to_ann->entry_point());
  }

  std::unique_ptr<test_node> ann = std::make_unique<test_node>(test::node_options{.node = 1});
  test_node bob;
  net::link_ptr to_ann;
  caf::actor carrier;
  caf::scoped_actor self{bob.system()};
};

/// What a peer may write where an error is expected.
struct forged_error {
  struct content {
    std::uint8_t code = 0;
    caf::type_id_t category = 0;
    caf::message context;

    template <class Inspector>
    friend bool inspect(Inspector& f, content& x) {
      return f.object(x).fields(f.field("code", x.code), f.field("category", x.category),
                                f.field("context", x.context));
    }
  };

  std::optional<content> data;

  template <class Inspector>
  friend bool inspect(Inspector& f, forged_error& x) {
    return f.object(x).fields(f.field("data", x.data));
  }

  /// As it arrives.
  [[nodiscard]] caf::error to_error(caf::actor_system& sys) {
    caf::byte_buffer bytes;
    caf::binary_serializer sink{sys, bytes};
    REQUIRE(sink.apply(*this));
    caf::binary_deserializer source{sys, bytes};
    caf::error made;
    REQUIRE(source.apply(made));
    return made;
  }
};

} // namespace

TEST_CASE("an error that a peer has made up is told in words", "[net]") {
  test_node here{test::node_options{.node = 1}};
  auto told_of = [&](forged_error what) { return to_problem(what.to_error(here.system())); };
  auto told = [&](std::uint8_t code, caf::type_id_t category) {
    return told_of({forged_error::content{code, category, caf::make_message(std::string{"x"})}});
  };
  CHECK(told(7, 60'000).detail.starts_with("an unknown error(7)"));
  for (auto type : {caf::type_id_v<std::string>, caf::type_id_v<caf::strong_actor_ptr>,
                    caf::type_id_v<caf::message>, caf::type_id_v<bool>})
    CHECK(told(7, type).code == errc::failed);
  CHECK(told(0, caf::type_id_v<errc>).code == errc::failed);
  CHECK(told(200, caf::type_id_v<errc>).detail == "x");
  CHECK(told(200, caf::type_id_v<caf::sec>).code == errc::failed);
  // In the context of an error of a category that is known.
  auto inner = forged_error{forged_error::content{7, caf::type_id_v<greet_request>, {}}}.to_error(
    here.system());
  CHECK(to_problem(caf::make_error(caf::sec::runtime_error, inner)).code == errc::failed);
  CHECK(to_problem(caf::make_error(errc::conflict, inner)).code == errc::conflict);
}

TEST_CASE("a request over a link is answered by its target", "[net]") {
  linked_pair nodes;
  auto got = nodes.ask(10s, greet_request{"hi"});
  REQUIRE(got);
  CHECK(*got == "hi, says 1");
}

TEST_CASE("a request over a link has a time-out of its own", "[net]") {
  linked_pair nodes;
  auto got = nodes.ask(50ms, wait_request{1});
  REQUIRE_FALSE(got);
  CHECK(got.error().code == errc::timed_out);
}

TEST_CASE("open requests fail when the link is lost, long before their time-out", "[net]") {
  linked_pair nodes;
  auto start = std::chrono::steady_clock::now();
  std::vector<linked_pair::pending> open;
  for (std::uint32_t number = 0; number < 20; ++number)
    open.push_back(net::request(nodes.self.operator->(), nodes.carrier, 1h, nodes.entry(),
                                wait_request{number}));
  nodes.ann.reset();
  for (auto& each : open) {
    auto got = linked_pair::receive(each);
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::outcome_unknown);
  }
  CHECK(std::chrono::steady_clock::now() - start < 5s);
  auto late = nodes.ask(1h, greet_request{"hi"});
  REQUIRE_FALSE(late);
  CHECK(late.error().code == errc::unreachable);
}

TEST_CASE("the actor of a link lives as long as that, whatever it is sent", "[net]") {
  linked_pair nodes;
  caf::anon_send(nodes.carrier, caf::make_error(caf::sec::runtime_error));
  caf::anon_send(nodes.carrier, std::string{"stray"});
  nodes.ann.reset();
  CHECK(nodes.bob.wait_for_links(0));
  CHECK(nodes.bob.downs() == 1);
}

TEST_CASE("a target at another node is refused", "[net]") {
  linked_pair nodes;
  auto got = linked_pair::receive(
    net::request(nodes.self.operator->(), nodes.carrier, 10s, nodes.carrier, greet_request{"hi"}));
  REQUIRE_FALSE(got);
  CHECK(got.error().code == errc::bad_argument);
}

TEST_CASE("a link carries so many open requests and no more", "[net]") {
  linked_pair nodes{{.max_pending = 2}};
  auto* self = nodes.self.operator->();
  auto first = net::request(self, nodes.carrier, 1h, nodes.entry(), wait_request{1});
  auto second = net::request(self, nodes.carrier, 1h, nodes.entry(), wait_request{2});
  auto third = nodes.ask(1h, greet_request{"hi"});
  REQUIRE_FALSE(third);
  CHECK(third.error().code == errc::limit_reached);
  nodes.to_ann->close("test");
  CHECK_FALSE(linked_pair::receive(first));
  CHECK_FALSE(linked_pair::receive(second));
}

SCENARIO("bulk waits for the other side", "[net]") {
  GIVEN("a link with a window of four pieces") {
    linked_pair nodes;
    auto send = [&](std::uint32_t bytes, auto what) {
      return nodes.self->request(
        nodes.carrier, caf::infinite,
        net::relay{10s, nodes.to_ann->entry_point(), caf::make_message(what), bytes});
    };
    WHEN("a piece is too long") {
      auto got = linked_pair::receive(send(65'537, greet_request{"hi"}));
      THEN("it is refused") {
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::too_large);
      }
    }
    WHEN("four pieces are on their way") {
      std::vector<linked_pair::pending> open;
      for (std::uint32_t number = 0; number < 4; ++number)
        open.push_back(send(65'536, wait_request{number}));
      THEN("the next must wait, requests need not") {
        auto fifth = linked_pair::receive(send(1, greet_request{"hi"}));
        REQUIRE_FALSE(fifth);
        CHECK(fifth.error().code == errc::busy);
        CHECK(nodes.ask(10s, greet_request{"hi"}));
      }
      nodes.to_ann->close("test");
      for (auto& each : open)
        CHECK_FALSE(linked_pair::receive(each));
    }
    WHEN("pieces are acknowledged") {
      THEN("more can follow") {
        for (auto count = 0; count < 20; ++count)
          CHECK(linked_pair::receive(send(65'536, greet_request{"hi"})));
      }
    }
  }
}
