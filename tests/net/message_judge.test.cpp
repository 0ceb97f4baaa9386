#include "troupe/net/message_judge.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_config.hpp"
#include "caf/actor_proxy.hpp"
#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/error.hpp"
#include "caf/init_global_meta_objects.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/make_actor.hpp"
#include "caf/proxy_registry.hpp"
#include "caf/type_id.hpp"
#include "troupe/core/enclosed_request.hpp"

namespace message_judge_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::net;
using enum basp_header::operation;
using security::rights;
using decision = message_judge::decision;

namespace {

constexpr std::uint64_t entry_point = 5;
constexpr auto text = caf::type_id_v<std::string>;

hello called(std::string basp_node) {
  hello made;
  made.basp_node = std::move(basp_node);
  made.entry_point = entry_point;
  return made;
}

/// Between "peer" and "self", after the handshake; texts need the right `use`.
struct judged_link {
  explicit judged_link(security::facts who, bool allow_spawn = true)
    : judge({}, called("peer"), called("self"), who, rules(), allow_spawn) {
    CHECK(judge.header({server_handshake, 0, 20, 0, 0}).what == decision::pass);
    CHECK(judge.payload(std::nullopt, "peer and more").what == decision::pass);
  }

  static message_rules_ptr rules() {
    auto made = std::make_shared<message_rules>(message_rules::own_types{},
                                                [](caf::type_id_t) { return "a text"s; });
    made->set(text, need::use);
    return made;
  }

  /// A message with these bytes behind the number of actors that it goes through.
  message_judge::judgement content(const std::string& bytes, std::uint64_t number = 0) {
    basp_header message{direct_message, 0,     static_cast<std::uint32_t>(bytes.size()), 1,
                        entry_point,    number};
    CHECK(message_judge::has_content(message));
    CHECK(judge.header(message).what == decision::pass);
    return judge.payload(message, bytes);
  }

  message_judge judge;
};

/// The actors of a peer as CAF keeps them.
class peer_actors : public caf::proxy_registry::backend {
public:
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

  caf::strong_actor_ptr make_proxy(caf::node_id where, caf::actor_id which) override {
    caf::actor_config how;
    return caf::make_actor<far_actor, caf::strong_actor_ptr>(which, std::move(where), &system_,
                                                             how);
  }

  void set_last_hop(caf::node_id*) override {}

private:
  const bool knows_types_ = (caf::core::init_global_meta_objects(), true);
  caf::actor_system_config config_;
  caf::actor_system system_{config_};

public:
  const caf::node_id node = caf::make_node_id(1, caf::hashed_node_id::host_id_type{1});
  caf::proxy_registry proxies{system_, *this};
};

std::string a_message(const std::vector<caf::type_id_t>& types, const std::string& values) {
  auto bytes = "\0"s + static_cast<char>(types.size());
  for (auto each : types)
    bytes += {static_cast<char>(each >> 8U), static_cast<char>(each)};
  return bytes + values;
}

const security::facts reader{.name = "ann", .as = role::client, .may = rights::read};
const security::facts user{.name = "bob", .as = role::client, .may = rights::use};
const security::facts member{.name = "c", .as = role::member};

} // namespace

TEST_CASE("a client that lacks a right hears so, and nothing else is judged by rights", "[net]") {
  auto said = a_message({text}, "\x05hello");
  CHECK(judged_link{user}.content(said).what == decision::pass);
  CHECK(judged_link{member}.content(said).what == decision::pass);
  auto refused = judged_link{reader}.content(said);
  CHECK(refused.what == decision::drop);
  CHECK(refused.why.code == errc::denied);
  CHECK(refused.why.detail.starts_with("a text needs the right use"));
}

TEST_CASE("what CAF must not read is dropped, and its sender hears nothing", "[net]") {
  judged_link link{member};
  for (auto& bytes :
       {"\x01"s + a_message({text}, "\x05hello").substr(1), "\0"s,
        a_message({caf::type_id_v<caf::error>}, "\0"s),
        a_message({caf::type_id_v<caf::exit_msg>}, {}), a_message({text}, "\x09short")}) {
    auto judged = link.content(bytes);
    CHECK(judged.what == decision::drop);
    CHECK(judged.why.code == errc::bad_argument);
  }
}

TEST_CASE("a message to an actor that the peer was not told of is dropped before it is read",
          "[net]") {
  judged_link link{member};
  CHECK(link.judge.header({direct_message, 0, 10, 1, 6, 0}).what == decision::drop);
  CHECK(link.judge.header({direct_message, 0, 10, 1, entry_point, 0}).what == decision::pass);
}

TEST_CASE("nobody reaches the server that spawns where that is not allowed", "[net]") {
  basp_header spawn{direct_message, basp_header::named_receiver, 10, 1, basp_header::spawn_server};
  for (auto& who : {member, user})
    CHECK(judged_link{who, false}.judge.header(spawn).what == decision::drop);
}

TEST_CASE("only members reach the server that spawns, and others ask for it unasked", "[net]") {
  basp_header spawn{direct_message, basp_header::named_receiver, 10, 1, basp_header::spawn_server};
  CHECK(judged_link{member}.judge.header(spawn).what == decision::pass);
  auto judged = judged_link{user}.judge.header(spawn);
  CHECK(judged.what == decision::drop);
  CHECK(message_judge::is_usual(judged.why));
}

TEST_CASE("what CAF tells of a client's process, unasked, needs no right and is of no use",
          "[net]") {
  auto told = a_message(
    {caf::type_id_v<caf::ok_atom>, text, caf::type_id_v<caf::strong_actor_ptr>, text}, "\x04info");
  for (auto& who : {reader, user}) {
    auto judged = judged_link{who}.content(told);
    CHECK(judged.what == decision::drop);
    CHECK(judged.why.code == errc::bad_argument);
    CHECK(message_judge::is_usual(judged.why.detail));
  }
  CHECK(judged_link{member}.content(told).what == decision::pass);
  // Which is also how a client says, to a router, that it has had a window of answers.
  constexpr auto answer_to_router = std::uint64_t{1} << 63U | enclosed_request | 1U;
  CHECK(judged_link{reader}.content(told, answer_to_router).what == decision::pass);
}

TEST_CASE("a link whose peer says to be another node is closed", "[net]") {
  judged_link link{member};
  basp_header monitor{monitor_message, 0, 9, 0, entry_point};
  CHECK(link.judge.header(monitor).what == decision::pass);
  CHECK(link.judge.payload(monitor, "otherself").what == decision::close);
}

TEST_CASE("handles of actors are not read before a link is up", "[net]") {
  judged_link link{member};
  CHECK_FALSE(link.judge.handles());
  peer_actors known;
  link.judge.came_up(known.node, known.proxies);
  auto handles = link.judge.handles();
  REQUIRE(handles);
  CHECK(handles->peer == known.node);
  CHECK(handles->written_peer == "peer");
  CHECK(handles->written_self == "self");
}

TEST_CASE("of a peer no more actors are known than the bound, and those stay", "[net]") {
  judged_link link{member};
  peer_actors known;
  link.judge.came_up(known.node, known.proxies);
  auto last = message_judge::max_known_actors;
  for (caf::actor_id each = 1; each < last; ++each)
    known.proxies.get_or_put(known.node, each);
  auto from = [&](std::uint64_t source) {
    return link.judge.header({direct_message, 0, 0, source, entry_point, 0}).what;
  };
  CHECK(from(last) == decision::pass);
  known.proxies.get_or_put(known.node, last);
  CHECK(from(last + 1) == decision::drop);
  CHECK(from(last) == decision::pass);
  CHECK(from(0) == decision::pass);
}

TEST_CASE("a peer watches the actors that it was told of, and no others", "[net]") {
  judged_link link{member};
  for (std::uint64_t actor : {entry_point, entry_point + 1}) {
    basp_header monitor{monitor_message, 0, 8, 0, actor};
    CHECK(message_judge::has_content(monitor));
    CHECK(link.judge.header(monitor).what == decision::pass);
    auto judged = link.judge.payload(monitor, "peerself");
    CHECK((judged.what == decision::pass) == (actor == entry_point));
  }
}

TEST_CASE("the end of an actor is heard with a reason that CAF may read", "[net]") {
  for (auto& [reason, is_taken] : {std::pair{"\0"s, true}, std::pair{"\x01 and no more"s, false}}) {
    judged_link link{member};
    auto bytes = "peerself" + reason;
    basp_header down{down_message, 0, static_cast<std::uint32_t>(bytes.size()), 1, 0};
    CHECK(message_judge::has_content(down));
    CHECK(link.judge.header(down).what == decision::pass);
    CHECK((link.judge.payload(down, bytes).what == decision::pass) == is_taken);
  }
}

TEST_CASE("what answers needs no right, and may be an error", "[net]") {
  constexpr auto answer_to_router = std::uint64_t{1} << 63U | enclosed_request | 1U;
  CHECK(judged_link{reader}.content(a_message({text}, "\x05hello"), answer_to_router).what
        == decision::pass);
  CHECK(judged_link{reader}
          .content(a_message({caf::type_id_v<caf::error>}, "\0"s), answer_to_router)
          .what
        == decision::pass);
}

TEST_CASE("without rules everybody may send what can be read", "[net]") {
  message_judge judge{{}, called("peer"), called("self"), reader, nullptr, false};
  CHECK(judge.header({server_handshake, 0, 20, 0, 0}).what == decision::pass);
  CHECK(judge.payload(std::nullopt, "peer and more").what == decision::pass);
  auto bytes = a_message({text}, "\x05hello");
  basp_header message{direct_message, 0, static_cast<std::uint32_t>(bytes.size()), 1, entry_point};
  CHECK(judge.header(message).what == decision::pass);
  CHECK(judge.payload(message, bytes).what == decision::pass);
}

TEST_CASE("what BASP must not get does not pass, whoever sends it", "[net]") {
  judged_link link{member};
  CHECK(link.judge.header({routed_message, 0, 10, 1, entry_point, 0}).what == decision::drop);
  CHECK(link.judge.header({server_handshake, 0, 20, 0, 0}).what == decision::close);
}

TEST_CASE("what no honest peer sends is for the log", "[net]") {
  judged_link link{member};
  auto judged = link.judge.header({direct_message, 0, 10, 1, entry_point + 1, 0});
  CHECK(judged.what == decision::drop);
  CHECK_FALSE(message_judge::is_usual(judged.why));
}

} // namespace message_judge_test
