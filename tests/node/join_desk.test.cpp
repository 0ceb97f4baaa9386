#include "troupe/node/join_desk.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "support/temporary_folder.hpp"
#include "troupe/security/setup.hpp"

using namespace std::literals;
using namespace troupe;

namespace {

const std::string binding(32, 'b');

/// A node that has founded a cluster in a folder, and lets others join.
struct issuer {
  security::join_token invite() {
    return authority.invite({}, read_calendar()).value();
  }

  static std::string request(const security::join_token& token, const security::key_pair& whose) {
    return to_bytes(
      security::proven({.as = security::role::member, .name = "ada"}, token, whose, binding));
  }

  /// What somebody at `source` is answered.
  std::future<net::join_reply> ask(std::string request, const std::string& source) {
    auto done = std::make_shared<std::promise<net::join_reply>>();
    desk.ask({std::move(request), binding, source},
             [done](net::join_reply reply) { done->set_value(std::move(reply)); });
    return done->get_future();
  }

  static errc code(const net::join_reply& reply) {
    auto answer = from_bytes<security::join_answer>(reply.answer);
    REQUIRE(answer);
    auto* refused = std::get_if<security::join_refused>(&*answer);
    CHECK((refused != nullptr) == !reply.refusal.empty());
    return refused != nullptr ? refused->code : errc::none;
  }

  test::temporary_folder folder;
  security::key_pair key = security::key_pair::make();
  node_id id = id_of(key.public_half());
  bool is_made
    = security::make_own_authority(folder.path(), key, "n1", read_calendar()).has_value();
  cluster::own_authority authority{folder.path(), id, std::nullopt};
  std::optional<net::address> known;
  cluster::join_desk desk{
    authority, id, [this](security::issuer_id, auto done) { done(known); }, {}};
};

} // namespace

TEST_CASE("whoever guesses tokens has five tries, all at once or not, and holds up nobody else",
          "[node]") {
  issuer it;
  REQUIRE(it.is_made);
  std::vector<std::future<net::join_reply>> guesses;
  for (auto each = 0; each < 60; ++each) {
    auto made_up = security::join_token::make(
      security::authority::load(it.folder.path() / "ca").value().key(), it.id);
    guesses.push_back(it.ask(issuer::request(made_up, security::key_pair::make()), "192.0.2.1"));
  }
  std::map<errc, int> codes;
  for (auto& each : guesses)
    ++codes[issuer::code(each.get())];
  CHECK(codes == std::map<errc, int>{{errc::denied, 5}, {errc::busy, 55}});
  auto token = it.invite();
  auto honest = issuer::request(token, security::key_pair::make());
  CHECK(issuer::code(it.ask(honest, "192.0.2.1").get()) == errc::busy);
  CHECK(issuer::code(it.ask(honest, "192.0.2.2").get()) == errc::none);
}

TEST_CASE("a desk says where the CA is, if it knows, and what is no request is refused", "[node]") {
  issuer it;
  auto token = security::join_token::make(it.key.public_half(),
                                          id_of(security::key_pair::make().public_half()));
  auto ask = [&] {
    auto reply = it.ask(issuer::request(token, it.key), "192.0.2.1").get();
    return std::get<security::join_elsewhere>(
      from_bytes<security::join_answer>(reply.answer).value());
  };
  CHECK(ask().addresses.empty());
  it.known = net::address{"10.0.0.1", 6767};
  CHECK(ask().addresses == std::vector{"10.0.0.1:6767"s});
  CHECK(issuer::code(it.ask("rubbish", "192.0.2.1").get()) == errc::incompatible);
}

TEST_CASE("a node without a data folder invites, too, and its CA goes with it", "[node]") {
  std::filesystem::path where;
  auto key = security::key_pair::make();
  {
    cluster::own_authority authority{
      {}, id_of(key.public_half()), security::authority::make_in_memory(read_calendar())};
    CHECK(authority.folder().empty()); // nothing is written before it is needed
    REQUIRE(authority.invite({}, read_calendar()));
    where = authority.folder();
    CHECK(std::filesystem::exists(where / security::authority::key_file));
  }
  CHECK_FALSE(std::filesystem::exists(where));
  cluster::own_authority none{{}, id_of(key.public_half()), std::nullopt};
  CHECK(none.invite({}, read_calendar()).error().code == errc::not_found);
}
