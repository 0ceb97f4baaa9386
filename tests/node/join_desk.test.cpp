#include "troupe/node/join_desk.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
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
  for (auto* source : {"192.0.2.1", "192.0.2.2"}) { // a neighbour behind the same address, too
    auto honest = issuer::request(it.invite(), security::key_pair::make());
    CHECK(issuer::code(it.ask(honest, source).get()) == errc::none);
  }
}

TEST_CASE("ten thousand guesses at a token find none, and harm no honest machine", "[node]") {
  issuer it;
  REQUIRE(it.is_made);
  auto token = it.invite();
  auto wrong = from_bytes<security::join_request>(issuer::request(token, it.key));
  REQUIRE(wrong);
  std::map<errc, int> codes;
  for (std::uint32_t each = 0; each < 10'000; ++each) {
    // Half of them for a token that is there, whose number somebody has seen.
    auto guess = *wrong;
    for (std::size_t byte = 0; byte < 4; ++byte) {
      guess.proof.bytes.at(byte) = static_cast<std::byte>(each >> 8U * byte);
      if (each % 2 == 0)
        guess.token.bytes.at(byte) ^= static_cast<std::byte>(1 + (each >> 8U * byte));
    }
    ++codes[issuer::code(it.ask(to_bytes(guess), "192.0.2.1").get())];
  }
  // Five of each kind in a minute; a slow machine may take longer than that.
  CHECK(codes[errc::denied] >= 10);
  CHECK(codes[errc::denied] <= 100);
  CHECK(codes[errc::denied] + codes[errc::busy] == 10'000);
  auto honest = issuer::request(it.invite(), security::key_pair::make());
  CHECK(issuer::code(it.ask(honest, "192.0.2.1").get()) == errc::none);
  auto rightful = issuer::request(token, security::key_pair::make());
  CHECK(issuer::code(it.ask(rightful, "192.0.2.2").get()) == errc::none);
}

TEST_CASE("a request that nobody awaits any more costs no certificate, and leaves the token",
          "[node]") {
  issuer it;
  auto token = it.invite();
  auto ask = [&](bool awaited) {
    std::promise<net::join_reply> done;
    it.desk.ask({issuer::request(token, security::key_pair::make()), binding, "192.0.2.1",
                 [=] { return awaited; }},
                [&](net::join_reply reply) { done.set_value(std::move(reply)); });
    return issuer::code(done.get_future().get());
  };
  CHECK(ask(false) == errc::cancelled);
  CHECK(ask(true) == errc::none);
}

TEST_CASE("a token that exists has five wrong proofs a minute and address", "[node]") {
  issuer it;
  auto token = it.invite();
  auto guess = [&] {
    auto wrong
      = from_bytes<security::join_request>(issuer::request(token, security::key_pair::make()));
    wrong->proof.bytes.front() ^= std::byte{1};
    return issuer::code(it.ask(to_bytes(*wrong), "192.0.2.1").get());
  };
  for (auto each = 0; each < 5; ++each)
    CHECK(guess() == errc::denied);
  CHECK(guess() == errc::busy);
  auto honest = issuer::request(token, security::key_pair::make());
  CHECK(issuer::code(it.ask(honest, "192.0.2.1").get()) == errc::busy);
  CHECK(issuer::code(it.ask(honest, "192.0.2.2").get()) == errc::none);
  auto other = issuer::request(it.invite(), security::key_pair::make());
  CHECK(issuer::code(it.ask(other, "192.0.2.1").get()) == errc::none);
}

TEST_CASE("guesses from very many addresses shut out no token that exists", "[node]") {
  issuer it;
  auto made_up = security::join_token::make(
    security::authority::load(it.folder.path() / "ca").value().key(), it.id);
  auto guess = issuer::request(made_up, security::key_pair::make());
  for (std::size_t each = 0; each < security::guess_limiter::max_sources; ++each)
    REQUIRE(issuer::code(it.ask(guess, "address " + std::to_string(each)).get()) == errc::denied);
  CHECK(issuer::code(it.ask(guess, "192.0.2.1").get()) == errc::busy);
  auto honest = issuer::request(it.invite(), security::key_pair::make());
  CHECK(issuer::code(it.ask(honest, "192.0.2.1").get()) == errc::none);
}

TEST_CASE("a token that was used is refused without the lock of the CA, and not for ever",
          "[node]") {
  issuer it;
  auto token = it.invite();
  REQUIRE(
    issuer::code(it.ask(issuer::request(token, security::key_pair::make()), "192.0.2.1").get())
    == errc::none);
  auto held = security::invitation_book::open(it.folder.path() / "ca", read_calendar());
  REQUIRE(held);
  std::map<errc, int> codes;
  for (auto each = 0; each < 25; ++each)
    ++codes[issuer::code(
      it.ask(issuer::request(token, security::key_pair::make()), "192.0.2.1").get())];
  CHECK(codes == std::map<errc, int>{{errc::in_use, 20}, {errc::busy, 5}});
}

TEST_CASE("one address takes half of the places at a desk at most, and all come free", "[node]") {
  issuer it;
  // The first request holds up the thread, and waits no more.
  std::promise<void> begun;
  std::promise<void> go_on;
  auto request = issuer::request(it.invite(), security::key_pair::make());
  auto first = std::make_shared<std::promise<net::join_reply>>();
  it.desk.ask({request, binding, "192.0.2.9"},
              [&begun, first, waits = go_on.get_future().share()](net::join_reply reply) {
                begun.set_value();
                waits.wait();
                first->set_value(std::move(reply));
              });
  begun.get_future().wait();
  auto guess
    = issuer::request(security::join_token::make(
                        security::authority::load(it.folder.path() / "ca").value().key(), it.id),
                      security::key_pair::make());
  auto ask = [&](const std::string& source, std::size_t count) {
    std::vector<std::future<net::join_reply>> made;
    for (std::size_t each = 0; each < count; ++each)
      made.push_back(it.ask(guess, source));
    return made;
  };
  auto finds_no_place = [](std::future<net::join_reply>& what) {
    return what.get().refusal.find("too many others join") != std::string::npos;
  };
  constexpr auto share = cluster::join_desk::max_waiting_of_one;
  auto of_one = ask("192.0.2.1", share);
  auto more = ask("192.0.2.1", 1);
  auto of_other = ask("192.0.2.2", cluster::join_desk::max_waiting - share);
  auto beyond = ask("192.0.2.3", 1);
  go_on.set_value();
  CHECK(issuer::code(first->get_future().get()) == errc::none);
  CHECK(finds_no_place(more.front()));
  CHECK(finds_no_place(beyond.front()));
  for (auto* some : {&of_one, &of_other})
    for (auto& each : *some)
      CHECK_FALSE(finds_no_place(each));
  auto later = ask("192.0.2.1", share);
  for (auto& each : later)
    CHECK_FALSE(finds_no_place(each));
}

TEST_CASE("look-ups of other nodes are bounded, and come free when they end", "[node]") {
  issuer it;
  std::vector<std::function<void(std::optional<net::address>)>> open;
  cluster::join_desk desk{
    it.authority, it.id, [&](security::issuer_id, auto done) { open.push_back(done); }, {}};
  auto token = security::join_token::make(it.key.public_half(),
                                          id_of(security::key_pair::make().public_half()));
  std::size_t refused = 0;
  std::size_t shown = 0;
  auto ask = [&](const std::string& source) {
    desk.ask({issuer::request(token, it.key), binding, source},
             [&](net::join_reply reply) { (reply.refusal.empty() ? shown : refused) += 1; });
  };
  using cluster::join_desk;
  for (std::size_t each = 0; each <= join_desk::max_finding_of_one; ++each)
    ask("192.0.2.1");
  CHECK(open.size() == join_desk::max_finding_of_one); // one address leaves room
  CHECK(refused == 1);
  for (std::size_t each = 0; open.size() < join_desk::max_finding; ++each)
    ask("192.0.2." + std::to_string(2 + each % 2));
  CHECK(refused == 1);
  ask("192.0.2.4");
  CHECK(open.size() == join_desk::max_finding);
  CHECK(refused == 2);
  open.front()(std::nullopt);
  open.erase(open.begin());
  ask("192.0.2.1");
  CHECK(open.size() == join_desk::max_finding);
  CHECK(refused == 2);
  CHECK(shown == 1);
}

TEST_CASE("strangers hear nothing of the folder of a CA, and the log of its node has it",
          "[node]") {
  issuer it;
  std::vector<std::string> lines;
  cluster::join_desk desk{
    it.authority, it.id, [](security::issuer_id, auto) {},
    cluster::node_log{"n1", [&](const log_line& line) { lines.push_back(line.text); }}};
  auto ask = [&](const std::string& request) {
    std::promise<net::join_reply> done;
    desk.ask({request, binding, "192.0.2.1"},
             [&](net::join_reply reply) { done.set_value(std::move(reply)); });
    return done.get_future().get();
  };
  auto request = issuer::request(it.invite(), security::key_pair::make());
  auto key = it.folder.path() / "ca" / security::authority::key_file;
  std::filesystem::rename(key, it.folder / "away");
  auto refused = ask(request);
  CHECK(issuer::code(refused) == errc::failed);
  auto path = it.folder.path().string();
  CHECK(refused.answer.find(path) == std::string::npos);
  CHECK(refused.refusal.find(path) == std::string::npos);
  REQUIRE(lines.size() == 1);
  CHECK(lines.front().find("/ca has no CA") != std::string::npos);
  std::filesystem::rename(it.folder / "away", key);
  CHECK(issuer::code(ask(request)) == errc::none);
  CHECK(lines.size() == 3); // it is over, and whom the token admits
}

TEST_CASE("a desk knows at once what another process has invited or withdrawn", "[node]") {
  issuer it;
  auto ca = it.folder.path() / "ca";
  auto made_up = security::join_token::make(security::authority::load(ca).value().key(), it.id);
  REQUIRE(
    issuer::code(it.ask(issuer::request(made_up, security::key_pair::make()), "192.0.2.1").get())
    == errc::denied); // so it has read the book
  auto token = security::invite(ca, it.id, {}, read_calendar()).value();
  auto other = security::invite(ca, it.id, {}, read_calendar()).value();
  REQUIRE(security::withdraw(ca, to_string(other.id()), read_calendar()));
  CHECK(issuer::code(it.ask(issuer::request(token, security::key_pair::make()), "192.0.2.1").get())
        == errc::none);
  CHECK(issuer::code(it.ask(issuer::request(other, security::key_pair::make()), "192.0.2.1").get())
        == errc::denied);
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
