#include "troupe/security/datagram_book.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "troupe/core/hex.hpp"

namespace datagrams_test {

using namespace troupe;
using namespace troupe::security;

namespace {

/// The whole suite where there is one, else the part of it in the tree.
nlohmann::json vectors(const std::string& name) {
  auto whole = std::filesystem::path{TROUPE_TEST_DATA} / "wycheproof" / name;
  auto is_whole = !std::string_view{TROUPE_TEST_DATA}.empty() && std::filesystem::exists(whole);
  std::ifstream in{
    is_whole ? whole : std::filesystem::path{TROUPE_TESTS_DIR} / "data" / "wycheproof" / name};
  REQUIRE(in);
  return nlohmann::json::parse(in);
}

std::string bytes_of(const nlohmann::json& hex) {
  auto read = from_hex(hex.get<std::string>());
  REQUIRE(read);
  return {reinterpret_cast<const char*>(read->data()), read->size()};
}

std::span<const std::byte> raw(const std::string& bytes) {
  return std::as_bytes(std::span{bytes});
}

secret secret_of(std::string bytes) {
  return secret::take(std::as_writable_bytes(std::span{bytes}));
}

/// Calls `look(test, is_valid)` for each vector.
template <class Look>
void for_each_vector(const std::string& name, Look look) {
  std::size_t count = 0;
  auto all = vectors(name);
  for (auto& group : all.at("testGroups"))
    for (auto& each : group.at("tests")) {
      CAPTURE(each.dump());
      look(each, each.at("result") != "invalid");
      ++count;
    }
  CHECK(count > 5);
}

template <class Fixed>
Fixed filled_with(int value) {
  Fixed made;
  made.bytes.fill(static_cast<std::byte>(value));
  return made;
}

/// A life of a node.
struct life {
  explicit life(int number)
    : id(filled_with<node_id>(number)),
      key(key_agreement::make()),
      offer{key.public_half(), filled_with<boot_salt>(100 + number)} {}

  [[nodiscard]] datagram_session with(const life& other) const {
    return datagram_session::make(id, key, offer, other.id, other.offer).value();
  }

  node_id id;
  key_agreement key;
  datagram_offer offer;
};

} // namespace

TEST_CASE("two agree on a secret exactly where Wycheproof says so", "[security]") {
  for_each_vector("x25519.json", [](auto& each, bool) {
    auto own = key_agreement::of(raw(bytes_of(each.at("private"))));
    auto other = bytes_of(each.at("public"));
    if (other.size() != agreement_key::size)
      return;
    auto found = own.agree_with(agreement_key::from(raw(other)));
    auto expected = bytes_of(each.at("shared"));
    auto is_known_to_all = expected == std::string(expected.size(), '\0');
    REQUIRE(found.has_value() == !is_known_to_all); // RFC 7748, section 6.1
    if (found)
      CHECK(found->text() == expected);
  });
}

TEST_CASE("keys are made exactly as Wycheproof says", "[security]") {
  for_each_vector("hkdf_sha256.json", [](auto& each, bool is_valid) {
    auto found = hkdf_sha256(raw(bytes_of(each.at("ikm"))), bytes_of(each.at("salt")),
                             bytes_of(each.at("info")), each.at("size"));
    REQUIRE(found.has_value() == is_valid);
    if (found)
      CHECK(found->text() == bytes_of(each.at("okm")));
  });
}

TEST_CASE("sealed bytes are those of Wycheproof, and open only if nobody has changed them",
          "[security]") {
  for_each_vector("aes_gcm.json", [](auto& each, bool is_valid) {
    auto nonce = bytes_of(each.at("iv"));
    if (nonce.size() != aes_gcm::nonce_size)
      return; // others are of no use to us
    aes_gcm::nonce once{};
    std::ranges::copy(nonce, once.begin());
    aes_gcm it{secret_of(bytes_of(each.at("key")))};
    auto sealed = bytes_of(each.at("ct")) + bytes_of(each.at("tag"));
    auto beside = bytes_of(each.at("aad"));
    auto plain = bytes_of(each.at("msg"));
    auto opened = it.open(once, beside, sealed);
    REQUIRE(opened.has_value() == is_valid);
    if (!is_valid)
      return;
    CHECK(*opened == plain);
    CHECK(it.seal(once, beside, plain) == sealed);
  });
}

TEST_CASE("a number counts once, and not long after", "[security]") {
  replay_window seen;
  for (auto number : {5U, 0U, 4U}) {
    CHECK(seen.is_new(number));
    seen.note(number);
    CHECK_FALSE(seen.is_new(number));
  }
  CHECK(seen.is_new(3));
  seen.note(5 + replay_window::width - 1);
  CHECK_FALSE(seen.is_new(5));
  CHECK(seen.is_new(6));
  CHECK_FALSE(seen.is_new(4)); // it would be in the window no more
  CHECK_FALSE(seen.is_new(3));
  seen.note(6);
  CHECK_FALSE(seen.is_new(6));
  seen.note(std::uint64_t{1} << 40U);
  CHECK_FALSE(seen.is_new(7));
  for (auto back = std::uint64_t{1}; back < replay_window::width; ++back)
    REQUIRE(seen.is_new((std::uint64_t{1} << 40U) - back));
  CHECK_FALSE(seen.is_new((std::uint64_t{1} << 40U) - replay_window::width));
}

TEST_CASE("the highest of all numbers never counts, as the window could not go on behind it",
          "[security]") {
  constexpr auto highest = std::numeric_limits<std::uint64_t>::max();
  replay_window seen;
  REQUIRE_FALSE(seen.is_new(highest));
  seen.note(highest - 1);
  CHECK_FALSE(seen.is_new(highest));
  CHECK_FALSE(seen.is_new(highest - 1));
  CHECK(seen.is_new(highest - 2));
}

TEST_CASE("a peer that gives a datagram the highest of all numbers keeps nobody", "[security]") {
  life a{1};
  life b{2};
  auto at_a = datagram_session::make(a.id, a.key, a.offer, b.id, b.offer,
                                     std::numeric_limits<std::uint64_t>::max())
                .value();
  auto at_b = b.with(a);
  CHECK_FALSE(at_b.open(at_a.seal("hello").value()));
  CHECK(at_b.open(a.with(b).seal("hello").value()) == "hello");
}

TEST_CASE("a number that was left out counts when it comes", "[security]") {
  replay_window seen;
  for (auto number : {5U, 100U, 1'030U})
    seen.note(number);
  CHECK(seen.is_new(5 + replay_window::width)); // in the place where 5 was
  CHECK_FALSE(seen.is_new(100));
}

TEST_CASE("what one seals the other reads, once", "[security]") {
  life a{1};
  life b{2};
  auto at_a = a.with(b);
  auto at_b = b.with(a);
  for (std::string what : {std::string{"hello"}, std::string{}, std::string(1'100, 'x')}) {
    auto sealed = at_a.seal(what).value();
    CHECK(sealed.size() == what.size() + datagram_session::overhead);
    auto header = datagram_header::read(sealed);
    REQUIRE(header);
    CHECK(header->key == at_b.key_of_peer());
    CHECK(header->sender == datagram_header::hint_of(a.id));
    CHECK(at_b.open(sealed) == what);
    CHECK_FALSE(at_b.open(sealed));
    CHECK_FALSE(at_a.open(sealed)); // it is not its own peer
    CHECK(at_a.open(at_b.seal(what).value()) == what);
  }
  auto first = at_a.seal("1").value();
  auto second = at_a.seal("2").value();
  CHECK(first != second);
  CHECK(at_b.open(second) == "2");
  CHECK(at_b.open(first) == "1"); // late, and new
}

TEST_CASE("no bit of a datagram can be changed, and none left out", "[security]") {
  life a{1};
  life b{2};
  auto at_a = a.with(b);
  auto sealed = at_a.seal("hello").value();
  for (std::size_t byte = 0; byte < sealed.size(); ++byte)
    for (auto bit = 0U; bit < 8; ++bit) {
      auto changed = sealed;
      changed[byte] = static_cast<char>(static_cast<unsigned char>(changed[byte]) ^ (1U << bit));
      REQUIRE_FALSE(b.with(a).open(changed));
    }
  for (std::size_t size = 0; size < sealed.size(); ++size)
    REQUIRE_FALSE(b.with(a).open(std::string_view{sealed}.substr(0, size)));
  CHECK_FALSE(b.with(a).open(sealed + "x"));
  auto at_b = b.with(a);
  auto forged = sealed;
  forged.back() = static_cast<char>(forged.back() + 1);
  CHECK_FALSE(at_b.open(forged)); // and does not use up its number
  CHECK(at_b.open(sealed) == "hello");
}

TEST_CASE("a datagram is for one life of one node", "[security]") {
  life a{1};
  life b{2};
  life c{3};
  auto sealed = a.with(b).seal("hello").value();
  CHECK_FALSE(c.with(a).open(sealed));
  CHECK_FALSE(b.with(c).open(sealed));
  life later{2}; // with a key and a salt of its own
  later.offer.salt = filled_with<boot_salt>(7);
  CHECK_FALSE(later.with(a).open(sealed));
  auto salted = b;
  salted.offer.salt = later.offer.salt;
  CHECK_FALSE(salted.with(a).open(sealed));
  auto again = a; // with the key of its last life
  again.offer.salt = later.offer.salt;
  CHECK(again.with(b).seal("hello").value() != sealed);
  auto other_id = b;
  other_id.id = c.id;
  CHECK_FALSE(other_id.with(a).open(sealed));
}

TEST_CASE("with a key that gives all the same secret nobody talks", "[security]") {
  life a{1};
  life b{2};
  b.offer.key = {};
  auto made = datagram_session::make(a.id, a.key, a.offer, b.id, b.offer);
  CHECK(made.error().code == errc::bad_argument);
}

namespace {

constexpr std::chrono::seconds second{1};

struct two_books {
  static datagram_book book_of(int node, int salt) {
    return {filled_with<node_id>(node), key_agreement::make(), filled_with<boot_salt>(salt)};
  }

  two_books() {
    REQUIRE_FALSE(a.know(b_id, 1, b.offer()));
    REQUIRE_FALSE(b.know(a_id, 1, a.offer()));
  }

  template <class What>
  static What as(datagram_book::arrival what) {
    REQUIRE(std::holds_alternative<What>(what));
    return std::get<What>(std::move(what));
  }

  node_id a_id = filled_with<node_id>(1);
  node_id b_id = filled_with<node_id>(2);
  datagram_book a = book_of(1, 11);
  datagram_book b = book_of(2, 12);
  time_point now{std::chrono::hours{1}};
};

} // namespace

TEST_CASE_METHOD(two_books, "peers that know each other read what the other writes", "[security]") {
  auto sealed = a.seal(b_id, "hello").value();
  auto found = as<datagram_book::read>(b.open(now, sealed));
  CHECK(found.from == a_id);
  CHECK(found.what == "hello");
  as<datagram_book::nothing>(b.open(now, sealed));
  CHECK(b.counted().repeated == 1);
  auto changed = a.seal(b_id, "hello").value();
  changed.back() = static_cast<char>(changed.back() + 1);
  as<datagram_book::nothing>(b.open(now, changed));
  CHECK(b.counted().damaged == 1);
  CHECK(b.counted().repeated == 1);
  REQUIRE_FALSE(b.know(a_id, 1, a.offer())); // which it knew
  as<datagram_book::nothing>(b.open(now, sealed));
  CHECK(a.seal(filled_with<node_id>(3), "x").error().code == errc::not_found);
  b.forget(a_id);
  CHECK(b.size() == 0);
  as<datagram_book::nothing>(b.open(now, a.seal(b_id, "again").value()));
  CHECK(b.counted().strange == 1);
}

TEST_CASE_METHOD(two_books, "no number is used twice with a key, also for who was forgotten",
                 "[security]") {
  std::set<std::uint64_t> used;
  auto write = [&] {
    auto sealed = a.seal(b_id, "hello").value();
    CHECK(used.insert(datagram_header::read(sealed)->number).second);
    CHECK(as<datagram_book::read>(b.open(now, sealed)).what == "hello");
  };
  for (auto count = 0; count < 10; ++count)
    write();
  SECTION("it was forgotten, and offers the same") {
    a.forget(b_id);
    REQUIRE_FALSE(a.know(b_id, 1, b.offer()));
  }
  SECTION("it has offered something else meanwhile") {
    REQUIRE_FALSE(a.know(b_id, 1, book_of(2, 12).offer()));
    REQUIRE_FALSE(a.know(b_id, 1, b.offer()));
  }
  SECTION("it was barred") {
    a.bar(b_id);
    REQUIRE_FALSE(a.know(b_id, 1, b.offer()));
  }
  SECTION("it was forgotten again and again") {
    for (auto count = 0; count < 3; ++count) {
      write();
      a.forget(b_id);
      REQUIRE_FALSE(a.know(b_id, 1, b.offer()));
    }
  }
  SECTION("one that got fewer was forgotten after it") {
    auto c_id = filled_with<node_id>(3);
    REQUIRE_FALSE(a.know(c_id, 1, book_of(3, 13).offer()));
    CHECK(a.seal(c_id, "hello"));
    a.forget(b_id);
    a.forget(c_id);
    REQUIRE_FALSE(a.know(b_id, 1, b.offer()));
  }
  SECTION("it was forgotten, and something came before anything went") {
    a.forget(b_id);
    REQUIRE_FALSE(a.know(b_id, 1, b.offer()));
    as<datagram_book::read>(a.open(now, b.seal(a_id, "x").value()));
  }
  for (auto count = 0; count < 10; ++count)
    write();
}

TEST_CASE_METHOD(two_books, "who is barred is neither written to nor read until it is known again",
                 "[security]") {
  auto earlier = b.seal(a_id, "earlier").value();
  as<datagram_book::read>(a.open(now, earlier));
  a.bar(b_id);
  CHECK(a.size() == 0);
  CHECK_FALSE(a.knows(b_id, 1));
  CHECK(a.seal(b_id, "x").error().code == errc::not_found);
  as<datagram_book::nothing>(a.open(now, b.seal(a_id, "meanwhile").value()));
  REQUIRE_FALSE(a.know(b_id, 1, b.offer()));
  CHECK(a.size() == 1);
  as<datagram_book::nothing>(a.open(now, earlier)); // it has been read
  CHECK(as<datagram_book::read>(a.open(now, b.seal(a_id, "later").value())).what == "later");
  CHECK(a.seal(b_id, "x"));
}

TEST_CASE("a peer that is barred gives way to a further one", "[security]") {
  datagram_book it{filled_with<node_id>(1), key_agreement::make(), filled_with<boot_salt>(1), 2};
  auto offer = key_agreement::make().public_half();
  REQUIRE_FALSE(it.know(filled_with<node_id>(2), 1, {offer, filled_with<boot_salt>(2)}));
  REQUIRE_FALSE(it.know(filled_with<node_id>(3), 1, {offer, filled_with<boot_salt>(3)}));
  CHECK(it.know(filled_with<node_id>(4), 1, {offer, filled_with<boot_salt>(4)}).code
        == errc::limit_reached);
  it.bar(filled_with<node_id>(3));
  CHECK_FALSE(it.know(filled_with<node_id>(4), 1, {offer, filled_with<boot_salt>(4)}));
  CHECK(it.size() == 2);
}

TEST_CASE_METHOD(two_books, "who started again is asked who it is, and says so", "[security]") {
  auto again = book_of(1, 13);
  REQUIRE_FALSE(again.know(b_id, 1, b.offer()));
  auto sealed = again.seal(b_id, "hello").value();
  auto asks = as<datagram_book::question>(b.open(now, sealed));
  CHECK(asks.what.size() < sealed.size());
  CHECK(as<datagram_book::unread>(again.open(now, asks.what)).by == b_id);
  as<datagram_book::nothing>(
    again.open(now + std::chrono::milliseconds{999}, asks.what)); // once a second
  CHECK(again.counted().strange == 1);
  CHECK(as<datagram_book::unread>(again.open(now + second, asks.what)).by == b_id);
  REQUIRE_FALSE(b.know(a_id, 2, again.offer()));
  CHECK(as<datagram_book::read>(b.open(now, sealed)).what == "hello");
  CHECK(b.knows(a_id, 2));
  REQUIRE_FALSE(b.know(a_id, 1, a.offer())); // late
  CHECK(as<datagram_book::read>(b.open(now, again.seal(b_id, "more").value())).what == "more");
}

TEST_CASE("whoever has seen datagrams to many peers has a node make few links for that",
          "[security]") {
  constexpr std::uint32_t count = datagram_book::max_unread + 5;
  auto it = two_books::book_of(1, 11);
  std::vector<std::string> questions;
  for (std::uint32_t each = 0; each < count; ++each) {
    auto peer = filled_with<node_id>(static_cast<int>(2 + each));
    REQUIRE_FALSE(it.know(peer, 1, {key_agreement::make().public_half(), {}}));
    auto header = datagram_header::read(it.seal(peer, "x").value()).value();
    auto question = datagram_header{datagram_header::hint_of(peer), header.key, 0}.to_bytes();
    question.resize(17);
    question.front() = 2;
    questions.push_back(question);
  }
  auto links = [&](time_point now) {
    std::uint32_t found = 0;
    for (auto& each : questions)
      found += std::holds_alternative<datagram_book::unread>(it.open(now, each)) ? 1 : 0;
    return found;
  };
  const time_point now{std::chrono::hours{1}};
  CHECK(links(now) == datagram_book::max_unread);
  CHECK(links(now) == 0);
  CHECK(it.counted().strange == 5 + count);
  CHECK(links(now + second) == datagram_book::max_unread);
}

TEST_CASE_METHOD(two_books, "nobody is asked, or believed, for what it has not sent",
                 "[security]") {
  auto sealed = a.seal(b_id, "hello").value();
  auto question = as<datagram_book::question>(b.open(now, [&] {
    auto other_key = sealed;
    other_key[9] = static_cast<char>(other_key[9] + 1);
    return other_key;
  }()));
  as<datagram_book::nothing>(a.open(now, question.what)); // it never had that key
  CHECK(a.counted().strange == 1);
  auto stranger = sealed;
  stranger[1] = static_cast<char>(stranger[1] + 1);
  as<datagram_book::nothing>(b.open(now, stranger));
  for (std::string rubbish :
       {std::string{}, std::string(1, '\1'), std::string(17, '\3'), std::string(1'200, 'x')})
    as<datagram_book::nothing>(b.open(now, rubbish));
  CHECK(b.counted().foreign == 4);
  CHECK(as<datagram_book::read>(b.open(now, sealed)).what == "hello");
}

TEST_CASE_METHOD(two_books, "a peer is asked so often in a second, and takes no other one's turn",
                 "[security]") {
  auto other = book_of(3, 33);
  REQUIRE_FALSE(b.know(filled_with<node_id>(3), 1, other.offer()));
  auto ask = [&](int node, int number) {
    auto again = book_of(node, 100 + number);
    REQUIRE_FALSE(again.know(b_id, 1, b.offer()));
    return std::holds_alternative<datagram_book::question>(
      b.open(now, again.seal(b_id, "x").value()));
  };
  CHECK(ask(1, 0));
  CHECK(ask(1, 1));
  for (auto each = 2; each < 20; ++each)
    CHECK_FALSE(ask(1, each));
  CHECK(ask(3, 0));
  auto later = book_of(1, 13);
  REQUIRE_FALSE(b.know(a_id, 2, later.offer())); // which gives it no further turn
  CHECK_FALSE(ask(1, 20));
  now += second;
  CHECK(ask(1, 21));
}

TEST_CASE_METHOD(two_books, "so many datagrams of one peer are read in a second, whatever its life",
                 "[security]") {
  std::uint32_t read = 0;
  auto send = [&](datagram_book& by) {
    auto found = b.open(now, by.seal(b_id, "x").value());
    read += std::holds_alternative<datagram_book::read>(found) ? 1 : 0;
  };
  for (std::uint32_t each = 0; each < datagram_book::max_of_one + 10; ++each)
    send(a);
  CHECK(read == datagram_book::max_of_one);
  CHECK(b.counted().surplus == 10);
  auto again = book_of(1, 13);
  REQUIRE_FALSE(again.know(b_id, 1, b.offer()));
  REQUIRE_FALSE(b.know(a_id, 2, again.offer()));
  send(again);
  CHECK(read == datagram_book::max_of_one);
  auto other = datagram_book{filled_with<node_id>(3), key_agreement::make(), {}};
  REQUIRE_FALSE(other.know(b_id, 1, b.offer()));
  REQUIRE_FALSE(b.know(filled_with<node_id>(3), 1, other.offer()));
  send(other); // which has sent none
  CHECK(read == datagram_book::max_of_one + 1);
  now += second;
  send(again);
  CHECK(read == datagram_book::max_of_one + 2);
}

TEST_CASE_METHOD(two_books,
                 "a later life with the offer of an earlier one gets no number twice, and is not "
                 "read twice",
                 "[security]") {
  auto first = b.seal(a_id, "hello").value();
  auto earlier = a.seal(b_id, "hello").value();
  as<datagram_book::read>(b.open(now, earlier));
  REQUIRE_FALSE(b.know(a_id, 2, a.offer()));
  CHECK(b.knows(a_id, 2));
  auto second_one = b.seal(a_id, "hello").value();
  CHECK(datagram_header::read(first)->number != datagram_header::read(second_one)->number);
  as<datagram_book::nothing>(b.open(now, earlier));
  as<datagram_book::read>(a.open(now, second_one));
}

TEST_CASE("a book has so many peers, and those whose key is of no use", "[security]") {
  datagram_book it{filled_with<node_id>(1), key_agreement::make(), filled_with<boot_salt>(1), 2};
  auto other = key_agreement::make();
  auto offer = datagram_offer{other.public_half(), filled_with<boot_salt>(2)};
  REQUIRE_FALSE(it.know(filled_with<node_id>(2), 1, offer));
  REQUIRE_FALSE(it.know(filled_with<node_id>(3), 1, {}));
  CHECK(it.know(filled_with<node_id>(4), 1, offer).code == errc::limit_reached);
  REQUIRE_FALSE(it.know(filled_with<node_id>(2), 2, offer));
  CHECK(it.seal(filled_with<node_id>(2), "x"));
  CHECK(it.seal(filled_with<node_id>(3), "x").error().code == errc::bad_argument);
  it.forget(filled_with<node_id>(3));
  CHECK_FALSE(it.know(filled_with<node_id>(4), 1, offer));
}

TEST_CASE("two ids that begin alike are told apart", "[security]") {
  auto first = filled_with<node_id>(2);
  auto second_id = first;
  second_id.bytes.back() = std::byte{9};
  auto salt = filled_with<boot_salt>(1);
  datagram_book it{filled_with<node_id>(1), key_agreement::make(), salt};
  datagram_book a{first, key_agreement::make(), salt};
  datagram_book b{second_id, key_agreement::make(), salt};
  for (auto* each : {&a, &b}) {
    REQUIRE_FALSE(it.know(each == &a ? first : second_id, 1, each->offer()));
    REQUIRE_FALSE(each->know(filled_with<node_id>(1), 1, it.offer()));
  }
  auto read_from = [&](datagram_book& who) {
    auto found = it.open(time_point{second}, who.seal(filled_with<node_id>(1), "x").value());
    REQUIRE(std::holds_alternative<datagram_book::read>(found));
    return std::get<datagram_book::read>(found).from;
  };
  CHECK(read_from(a) == first);
  CHECK(read_from(b) == second_id);
  it.forget(first);
  CHECK(read_from(b) == second_id);
}

} // namespace datagrams_test
