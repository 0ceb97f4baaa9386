#include "troupe/net/peer_book.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_config.hpp"
#include "caf/actor_proxy.hpp"
#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/exit_reason.hpp"
#include "caf/init_global_meta_objects.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/make_actor.hpp"

namespace peer_book_test {

using namespace troupe;
using net::peer_book;
using security::role;

namespace {

caf::node_id process(std::uint32_t number) {
  return caf::make_node_id(number, caf::hashed_node_id::host_id_type{1});
}

security::facts peer(std::uint8_t number, role as = role::client) {
  security::facts made{.name = "peer " + std::to_string(number), .as = as};
  made.node.bytes.front() = std::byte{number};
  return made;
}

std::string id(std::uint8_t number) {
  return to_string(peer(number).node);
}

/// The handle of an actor of another process.
class far_actor : public caf::actor_proxy {
public:
  explicit far_actor(caf::actor_config& how) : actor_proxy(how) {}

  bool enqueue(caf::mailbox_element_ptr, caf::execution_unit*) override {
    return false;
  }

  void kill_proxy(caf::execution_unit* on, caf::error why) override {
    cleanup(std::move(why), on);
  }
};

struct handles {
  caf::strong_actor_ptr in(const caf::node_id& where) {
    caf::actor_config how;
    return caf::make_actor<far_actor, caf::strong_actor_ptr>(++last, where, &system, how);
  }

  static void end(const caf::strong_actor_ptr& which) {
    static_cast<far_actor*>(which->get())
      ->kill_proxy(nullptr, caf::exit_reason::remote_link_unreachable);
  }

  const bool knows_types = (caf::core::init_global_meta_objects(), true);
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::actor_id last = 0;
};

std::string known(const peer_book& book, const caf::strong_actor_ptr& from) {
  auto found = book.id_of(from);
  return found ? *found : "";
}

} // namespace

TEST_CASE("who has sent a message is the peer of the link to its process", "[net]") {
  handles actors;
  peer_book book;
  auto from = actors.in(process(1));
  CHECK(known(book, from).empty());
  CHECK_FALSE(book.find(from));
  CHECK(book.peer_of(from).id == node_id{});
  book.enter(1, process(1), peer(1), true);
  book.enter(2, process(2), peer(2, role::member));
  CHECK(known(book, from) == id(1));
  CHECK(book.find(from) == peer(1));
  CHECK(to_string(book.peer_of(from).id) == id(1));
  CHECK(book.peer_of(from).is_proven);
  CHECK_FALSE(book.peer_of(from).is_member);
  auto other = actors.in(process(2));
  CHECK(known(book, other) == id(2));
  CHECK(book.peer_of(other).is_member);
  CHECK_FALSE(book.peer_of(other).is_proven);
  CHECK(known(book, actors.in(process(3))).empty());
  CHECK(known(book, nullptr).empty());
}

TEST_CASE("the peer of a link that has ended is known until many others have gone", "[net]") {
  handles actors;
  peer_book book;
  auto from = actors.in(process(1));
  book.enter(1, process(1), peer(1));
  book.leave(1);
  handles::end(from);
  net::connection_id last = 1;
  for (std::size_t others = 1; others < peer_book::max_gone; ++others) {
    ++last;
    book.enter(last, process(static_cast<std::uint32_t>(last)), peer(2));
    book.leave(last);
  }
  CHECK(known(book, from) == id(1));
  book.leave(0); // of which it knows nothing
  CHECK(known(book, from) == id(1));
  ++last;
  book.enter(last, process(static_cast<std::uint32_t>(last)), peer(2));
  book.leave(last);
  CHECK(known(book, from).empty());
}

TEST_CASE("a later link of a process stays when the earlier one ends and is forgotten", "[net]") {
  handles actors;
  peer_book book;
  auto from = actors.in(process(1));
  book.enter(1, process(1), peer(1));
  book.enter(2, process(1), peer(1), true);
  book.leave(1);
  CHECK(book.list(10).second == 1);
  net::connection_id last = 2;
  for (std::size_t others = 0; others < peer_book::max_gone; ++others) {
    ++last;
    book.enter(last, process(static_cast<std::uint32_t>(last)), peer(2));
    book.leave(last);
  }
  CHECK(known(book, from) == id(1));
  CHECK(book.peer_of(from).is_proven);
}

TEST_CASE("messages of earlier links are nobody's where several peers gave one process out",
          "[net]") {
  handles actors;
  peer_book book;
  auto first = actors.in(process(1));
  book.enter(1, process(1), peer(1));
  book.leave(1);
  handles::end(first);
  CHECK(known(book, first) == id(1));
  book.enter(2, process(1), peer(2));
  CHECK(known(book, first).empty());
  CHECK_FALSE(book.find(first));
  CHECK(book.peer_of(first).id == node_id{});
  auto second = actors.in(process(1));
  CHECK(known(book, second) == id(2));
  // That stays so, whoever comes.
  book.leave(2);
  book.enter(3, process(1), peer(2));
  CHECK(known(book, first).empty());
  CHECK(known(book, second) == id(2));
}

TEST_CASE("of one peer the messages of earlier links are its own", "[net]") {
  handles actors;
  peer_book book;
  auto from = actors.in(process(1));
  book.enter(1, process(1), peer(1));
  book.leave(1);
  handles::end(from);
  book.enter(2, process(1), peer(1));
  CHECK(known(book, from) == id(1));
}

TEST_CASE("the list of peers has members first, and those with links only", "[net]") {
  peer_book book;
  book.enter(1, process(1), peer(1));
  book.enter(2, process(2), peer(2));
  book.enter(3, process(3), peer(3, role::member), true);
  book.leave(2);
  auto [all, count] = book.list(10);
  CHECK(count == 2);
  REQUIRE(all.size() == 2);
  CHECK(all.front().who == peer(3, role::member));
  CHECK(all.front().is_proven);
  CHECK(all.back().who == peer(1));
  CHECK_FALSE(all.back().is_proven);
  auto [some, of] = book.list(1);
  CHECK(of == 2);
  CHECK(some.size() == 1);
}

} // namespace peer_book_test
