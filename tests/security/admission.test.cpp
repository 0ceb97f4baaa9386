#include "troupe/security/admission.hpp"
#include "support/file_limit.hpp"
#include "support/secret_forms.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <span>
#include <string>

using namespace std::literals;
using namespace troupe;
using namespace troupe::security;
using Catch::Matchers::ContainsSubstring;

namespace {

const wall_time now{std::chrono::hours{24 * 365 * 56}};
const std::string binding(32, 'b');

/// A CA in a folder, and a machine that wants to join.
struct office {
  join_token invite(invitation_options how = {}) {
    return security::invite(folder.path() / "ca", node, how, now).value();
  }

  static join_request request(const join_token& token, const key_pair& whose,
                              role as = role::member, std::optional<wall_time> clock = {}) {
    return proven({.as = as, .name = "ada", .clock = clock}, token, whose, binding);
  }

  result<certificate> admit(const join_request& what, wall_time when = now) {
    return security::admit(folder.path() / "ca", what, binding, when).answer;
  }

  [[nodiscard]] std::size_t lines_of_book() const {
    std::ifstream in{folder.path() / "ca" / invitation_book::file_name};
    return static_cast<std::size_t>(std::count(std::istreambuf_iterator<char>{in}, {}, '\n'));
  }

  test::temporary_folder folder;
  authority ca = authority::make(folder.path() / "ca", now).value();
  node_id node = id_of(key_pair::make().public_half());
  key_pair key = key_pair::make();
};

std::string line_of(const join_token& token) {
  return std::string{token.line().text()};
}

} // namespace

TEST_CASE("a token is a line that is read as it was written", "[security][join]") {
  office it;
  auto token = it.invite();
  auto line = line_of(token);
  CHECK(line.starts_with("troupe1"));
  CHECK(std::ranges::all_of(line, [](char each) { return std::isalnum(each) != 0; }));
  auto read = join_token::from_line("  " + line + "\n");
  REQUIRE(read);
  CHECK(read->ca() == fingerprint_of(it.ca.key()));
  CHECK(read->issuer() == issuer_of(it.node));
  CHECK(read->id() == token.id());
  CHECK(read->proof_key() == token.proof_key());
  CHECK(line_of(*read) == line);
  CHECK(line_of(it.invite()) != line);
}

TEST_CASE("each token has a secret of its own, by which it is proven", "[security][join]") {
  office it;
  auto one = it.invite();
  auto other = it.invite();
  CHECK(one.id() != other.id());
  CHECK(one.proof_key() != other.proof_key());
  auto secret_of = [](const join_token& token) {
    auto line = line_of(token);
    return line.substr(line.size() - 8 - 32, 32); // before the check
  };
  CHECK(secret_of(one) != secret_of(other));
  CHECK(secret_of(one) != std::string(32, '0'));
}

TEST_CASE("a line with one wrong or missing letter is refused, and not repeated in the sentence",
          "[security][join]") {
  office it;
  auto line = line_of(it.invite());
  for (std::size_t each = 0; each < line.size(); ++each) {
    auto wrong = line;
    wrong[each] = wrong[each] == '0' ? '1' : '0';
    auto read = join_token::from_line(wrong);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == errc::bad_argument);
    CHECK(read.error().detail.find(line.substr(20, 20)) == std::string::npos);
    CHECK_FALSE(join_token::from_line(line.substr(0, each)));
  }
  for (auto text : {""s, " "s, "troupe1"s, std::string(100'000, 'x'), line + line})
    CHECK_FALSE(join_token::from_line(text));
}

TEST_CASE("a machine whose clock is off is told so, and its token stays", "[security][join]") {
  office it;
  auto token = it.invite();
  auto at
    = [&](duration off) { return it.admit(it.request(token, it.key, role::member, now + off)); };
  for (auto off : {duration{1h}, duration{-1h}, duration{5min + 1ms}, duration{-5min - 1ms}}) {
    CAPTURE(off);
    auto refused = at(off);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::bad_argument);
    CHECK_THAT(refused.error().detail,
               ContainsSubstring("the machine that joins says " + to_rfc3339(now + off))
                 && ContainsSubstring("that of the CA " + to_rfc3339(now))
                 && ContainsSubstring("the same token again"));
  }
  CHECK(it.lines_of_book() == 1); // the invitation
  CHECK(at(5min));
  CHECK(it.lines_of_book() == 2);
}

TEST_CASE("whoever proves no token does not hear what time it is at the CA", "[security][join]") {
  office it;
  auto token = it.invite();
  auto forged = it.request(token, it.key, role::member, now + 1h);
  forged.clock = now + 2h;
  CHECK(it.admit(forged).error().code == errc::denied);
}

TEST_CASE("a token gives the identity that proves it a certificate as it says",
          "[security][join]") {
  office it;
  auto token = it.invite({.as = role::client, .may = rights::operate, .lasts = 1h});
  auto made = it.admit(it.request(token, it.key, role::client));
  REQUIRE(made);
  auto about = facts_of(*made).value();
  CHECK(about.node == id_of(it.key.public_half()));
  CHECK(about.as == role::client);
  CHECK(about.may == rights::operate);
  CHECK(about.name == "ada");
  auto named = it.invite({.as = role::client, .name = "grace"});
  CHECK(facts_of(*it.admit(it.request(named, it.key, role::client))).value().name == "grace");
  auto book = certificate_register::open(it.folder.path() / "ca").value();
  CHECK(book.issued().size() == 2);
}

TEST_CASE("a token is for one identity, which may repeat its request", "[security][join]") {
  office it;
  auto token = it.invite();
  REQUIRE(it.admit(it.request(token, it.key)));
  CHECK(it.admit(it.request(token, it.key))); // its first answer was lost
  auto other = it.admit(it.request(token, key_pair::make()));
  REQUIRE_FALSE(other);
  CHECK(other.error().code == errc::in_use);
  CHECK_THAT(other.error().detail,
             ContainsSubstring(to_string(id_of(it.key.public_half())).substr(0, 8)));
}

TEST_CASE("whoever repeats its request does not fill the register", "[security][join]") {
  office it;
  auto token = it.invite();
  for (std::size_t each = 0; each < max_certificates_by_token; ++each)
    REQUIRE(it.admit(it.request(token, it.key)));
  auto more = it.admit(it.request(token, it.key));
  REQUIRE_FALSE(more);
  CHECK(more.error().code == errc::limit_reached);
  auto another = it.request(it.invite(), key_pair::make());
  REQUIRE(it.admit(another));
  CHECK(it.admit(another));
  CHECK(it.admit(it.request(it.invite(), key_pair::make())));
}

TEST_CASE("that a token is used is on the disk before the certificate is there",
          "[security][join]") {
  office it;
  auto token = it.invite();
  auto file = it.folder.path() / "ca" / certificate_register::file_name;
  {
    // A longer file than that of the tokens, for the limit to meet this one alone.
    auto book = certificate_register::open(it.folder.path() / "ca").value();
    for (auto count = 0; count < 10; ++count)
      REQUIRE(issue_entered(it.ca, book, key_pair::make().public_half(), {.name = "other"}, now));
  }
  {
    test::file_limit full{std::filesystem::file_size(file)};
    REQUIRE_FALSE(it.admit(it.request(token, it.key))); // no certificate without the register
  }
  auto other = it.admit(it.request(token, key_pair::make()));
  REQUIRE_FALSE(other);
  CHECK(other.error().code == errc::in_use);
  CHECK(it.admit(it.request(token, it.key)));
}

TEST_CASE("whoever cannot prove a token gets nothing, and the token stays", "[security][join]") {
  office it;
  auto token = it.invite();
  auto good = it.request(token, it.key);
  auto refused = [&](join_request what) {
    auto got = it.admit(what);
    REQUIRE_FALSE(got);
    return got.error().code;
  };
  SECTION("a guessed proof") {
    auto wrong = good;
    wrong.proof.bytes.front() ^= std::byte{1};
    CHECK(refused(wrong) == errc::denied);
  }
  SECTION("another token's proof") {
    auto wrong = it.request(it.invite(), it.key);
    wrong.token = token.id();
    CHECK(refused(wrong) == errc::denied);
  }
  SECTION("a token that was never given out") {
    CHECK(refused(it.request(join_token::make(it.ca.key(), it.node), it.key)) == errc::denied);
  }
  SECTION("the request of another connection") {
    auto got = admit(it.folder.path() / "ca", good, std::string(32, 'c'), now).answer;
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::denied);
  }
  SECTION("another's key") {
    auto wrong = good;
    wrong.key = key_pair::make().public_half();
    CHECK(refused(wrong) == errc::denied);
    // With the right proof, but not the private half.
    auto stolen = it.key.public_half();
    wrong = it.request(token, key_pair::make());
    wrong.key = stolen;
    auto statement = join_statement(wrong, binding);
    wrong.proof = hmac_sha256(token.proof_key().bytes, statement);
    CHECK(refused(wrong) == errc::denied);
  }
  SECTION("anything else than was proven") {
    auto change = GENERATE(range(0, 5));
    auto wrong = good;
    if (change == 0)
      wrong.name = "eve";
    else if (change == 1)
      wrong.as = role::client;
    else if (change == 2)
      wrong.issuer.bytes.front() ^= std::byte{1};
    else if (change == 3)
      wrong.key = key_pair::make().public_half();
    else
      wrong.token = it.invite().id();
    CHECK(join_statement(wrong, binding) != join_statement(good, binding));
    CHECK(refused(wrong) == errc::denied);
  }
  CHECK(it.admit(good));
}

TEST_CASE("a token is refused after its time, and for another role, in words", "[security][join]") {
  office it;
  auto token = it.invite({.lasts = 10min});
  auto request = it.request(token, it.key);
  auto late = it.admit(request, now + 10min + 1s);
  REQUIRE_FALSE(late);
  CHECK(late.error().code == errc::bad_argument);
  CHECK_THAT(late.error().detail, ContainsSubstring("expired"));
  auto as_client = it.admit(it.request(token, it.key, role::client));
  REQUIRE_FALSE(as_client);
  CHECK(as_client.error().code == errc::bad_argument);
  CHECK_THAT(as_client.error().detail, ContainsSubstring("troupe node --token"));
  auto for_client = it.admit(it.request(it.invite({.as = role::client}), it.key));
  REQUIRE_FALSE(for_client);
  CHECK_THAT(for_client.error().detail, ContainsSubstring("troupe login"));
  CHECK(it.admit(request, now + 10min));
}

TEST_CASE("a revoked identity gets no certificate by a token, which stays for another one",
          "[security][join]") {
  office it;
  REQUIRE(it.admit(it.request(it.invite(), it.key)));
  {
    auto book = certificate_register::open(it.folder.path() / "ca").value();
    REQUIRE(book.enter(revocation{{}, id_of(it.key.public_half()), now, 1}));
  }
  auto token = it.invite();
  auto again = it.admit(it.request(token, it.key));
  REQUIRE_FALSE(again);
  CHECK_THAT(again.error().detail, ContainsSubstring("revoked"));
  CHECK(it.admit(it.request(token, key_pair::make()))); // as the refusal proposes
}

TEST_CASE("a token gives no other certificate once one of its user's is revoked",
          "[security][join]") {
  office it;
  auto token = it.invite();
  REQUIRE(it.admit(it.request(token, it.key)));
  auto second = it.admit(it.request(token, it.key));
  REQUIRE(second);
  {
    auto book = certificate_register::open(it.folder.path() / "ca").value();
    auto serial = book.issued().front().serial;
    REQUIRE(book.enter(revocation{serial, id_of(it.key.public_half()), now, 1}));
  }
  auto again = it.admit(it.request(token, it.key));
  REQUIRE_FALSE(again);
  CHECK(again.error().code == errc::bad_argument);
  CHECK_THAT(again.error().detail,
             ContainsSubstring("was revoked at") && ContainsSubstring("gives no other"));
  CHECK(certificate_register::open(it.folder.path() / "ca")->issued().size() == 2);
  CHECK(it.admit(it.request(it.invite(), it.key))); // whoever has the CA has decided so
}

TEST_CASE("an invitation with an invalid name or time is refused", "[security][join]") {
  office it;
  auto refused = [&](invitation_options how) {
    return !security::invite(it.folder.path() / "ca", it.node, how, now);
  };
  CHECK(refused({.name = std::string(65, 'x')}));
  CHECK(refused({.name = "a\nb"}));
  CHECK(refused({.lasts = 0s}));
  CHECK(refused({.lasts = max_invitation + 1s}));
  CHECK_FALSE(refused({.lasts = max_invitation}));
  CHECK(security::invite(it.folder.path() / "none", it.node, {}, now).error().code
        == errc::not_found);
}

TEST_CASE("a name of the joiner that cannot stand in a certificate costs no token",
          "[security][join]") {
  office it;
  auto token = it.invite();
  auto wrong = proven({.as = role::member, .name = "a\nb"}, token, it.key, binding);
  REQUIRE_FALSE(it.admit(wrong));
  CHECK(it.admit(it.request(token, key_pair::make())));
}

TEST_CASE("neither the book of invitations nor a sentence has the secret of a token",
          "[security][join]") {
  office it;
  auto token = it.invite();
  auto line = line_of(token);
  auto secret = test::secret_forms::of_token(line);
  CHECK(secret.are_in(line));                                      // it would be found
  CHECK_FALSE(secret.are_in(to_bytes(it.request(token, it.key)))); // all that is sent
  REQUIRE(it.admit(it.request(token, it.key)));
  std::ifstream in{it.folder.path() / "ca" / invitation_book::file_name};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  CHECK(text.find(to_string(token.id())) != std::string::npos);
  CHECK(secret.files_in(it.folder.path()).empty());
  for (auto& wrong : {line + "0", line.substr(0, line.size() - 1), "x" + line})
    CHECK_FALSE(secret.are_in(join_token::from_line(wrong).error().detail));
  auto used = it.admit(it.request(token, key_pair::make()));
  REQUIRE_FALSE(used);
  CHECK_FALSE(secret.are_in(used.error().detail));
}

TEST_CASE("a secret is found in each form in which it could be written", "[security][join]") {
  std::string bytes = "\xff\xfe\xfd secret \xfb\xfa";
  test::secret_forms secret{std::as_bytes(std::span{bytes})};
  CHECK(secret.are_in("a" + bytes));
  for (auto* before : {"", "a", "ab", "abc"}) {
    auto text = before + bytes + "behind";
    CHECK(secret.are_in(to_hex(std::as_bytes(std::span{text}))));
    auto digits = to_base64(std::as_bytes(std::span{text}));
    CHECK(secret.are_in(digits));
    std::ranges::replace(digits, '/', '_');
    std::ranges::replace(digits, '+', '-');
    CHECK(secret.are_in(digits));
  }
  CHECK_FALSE(secret.are_in(bytes.substr(1)));
}

TEST_CASE("what is wrong with the CA is for its operator, and not for whoever asks",
          "[security][join]") {
  office it;
  auto token = it.invite();
  auto where = it.folder.path() / "ca";
  auto request = it.request(token, it.key);
  auto refused = [&](errc code) {
    auto got = security::admit(where, request, binding, now);
    REQUIRE_FALSE(got.answer);
    CHECK(got.answer.error().code == code);
    CHECK_THAT(got.answer.error().detail,
               ContainsSubstring("the log of the node") && !ContainsSubstring(where.string()));
    CHECK_THAT(got.trouble.detail, ContainsSubstring(where.string()));
  };
  std::ofstream{where / invitation_book::file_name, std::ios::app} << "rubbish\n";
  refused(errc::failed);
  std::filesystem::remove(where / authority::key_file);
  refused(errc::failed);
  CHECK(cannot_admit({errc::in_use, "a file"}).answer.error().code == errc::busy);
}

TEST_CASE("a token that was withdrawn admits nobody", "[security][join]") {
  office it;
  auto where = it.folder.path() / "ca";
  auto token = it.invite();
  auto other = it.invite();
  CHECK(withdraw(where, "none", now).error().code == errc::not_found);
  CHECK(withdraw(where, "", now).error().code == errc::not_found);
  CHECK(withdraw(where, to_string(token.id()).substr(0, 3), now).error().code == errc::not_found);
  auto done = withdraw(where, to_string(token.id()).substr(0, 8), now);
  REQUIRE(done);
  CHECK(done->id == token.id());
  auto late = it.admit(it.request(token, it.key));
  REQUIRE_FALSE(late);
  CHECK(late.error().code == errc::denied);
  CHECK(withdraw(where, to_string(token.id()), now).error().code == errc::not_found);
  CHECK(known_invitations::read(where)->find(token.id()) == nullptr);
  REQUIRE(it.admit(it.request(other, it.key)));
  auto used = withdraw(where, line_of(other), now); // by the line itself
  REQUIRE_FALSE(used);
  CHECK(used.error().code == errc::in_use);
  CHECK_THAT(
    used.error().detail,
    ContainsSubstring("troupe ca revoke " + to_string(id_of(it.key.public_half())).substr(0, 8)));
}

TEST_CASE("whoever could mean two tokens withdraws none", "[security][join]") {
  office it;
  auto where = it.folder.path() / "ca";
  {
    auto book = invitation_book::open(where, now).value();
    for (auto last : {1, 2}) {
      invitation what{.proof_key = {}, .valid_until = now + 1h};
      what.id.bytes.back() = static_cast<std::byte>(last);
      REQUIRE(book.enter(what));
    }
  }
  CHECK(withdraw(where, "0000", now).error().code == errc::bad_argument);
  CHECK(known_invitations::read(where)->all().size() == 2);
  CHECK(withdraw(where, "0000000000000002", now)->id.bytes.back() == std::byte{2});
}

TEST_CASE("the book of invitations leaves out what has ended long ago, and nothing else",
          "[security][join]") {
  office it;
  auto where = it.folder.path() / "ca";
  auto old = it.invite({.lasts = 1h});
  REQUIRE(it.admit(it.request(old, it.key)));
  for (std::size_t each = 0; each < invitation_book::few_lines; ++each)
    it.invite({.lasts = 1min});
  auto open = it.invite({.lasts = max_invitation});
  auto used = it.invite({.lasts = max_invitation});
  REQUIRE(it.admit(it.request(used, it.key)));
  auto all = it.lines_of_book();
  CHECK(all == invitation_book::few_lines + 5);
  auto end = now + 1h + invitation_book::kept_after_end;
  REQUIRE(invitation_book::open(where, now + 1min + invitation_book::kept_after_end));
  CHECK(it.lines_of_book() == all); // the last moment counts
  {
    auto book = invitation_book::open(where, end + 1s);
    REQUIRE(book);
    CHECK(book->find(old.id()) == nullptr);
    CHECK(book->user_of(old.id()) == nullptr);
    CHECK(book->find(open.id()) != nullptr);
    CHECK(book->user_of(used.id()) != nullptr);
  }
  CHECK(it.lines_of_book() == 3);
  auto late = it.admit(it.request(old, it.key), end + 1s);
  REQUIRE_FALSE(late);
  CHECK(late.error().code == errc::denied);
  auto thief = it.admit(it.request(used, key_pair::make()), end + 1s);
  REQUIRE_FALSE(thief);
  CHECK(thief.error().code == errc::in_use);
  CHECK(it.admit(it.request(open, key_pair::make()), end + 1s));
}

TEST_CASE("a short book, and one of which most is needed, is not written anew",
          "[security][join]") {
  office it;
  auto where = it.folder.path() / "ca";
  for (std::size_t each = 0; each < invitation_book::few_lines; ++each)
    it.invite({.lasts = 1min});
  auto late = now + 2h + invitation_book::kept_after_end;
  REQUIRE(invitation_book::open(where, late));
  CHECK(it.lines_of_book() == invitation_book::few_lines);
  for (std::size_t each = 0; each <= invitation_book::few_lines; ++each)
    it.invite({.lasts = max_invitation});
  REQUIRE(invitation_book::open(where, late));
  CHECK(it.lines_of_book() == 2 * invitation_book::few_lines + 1);
}

TEST_CASE("a book of invitations with a line that cannot be read is refused, with the place",
          "[security][join]") {
  office it;
  auto where = it.folder.path() / "ca";
  it.invite();
  for (auto* line : {"no json", "{}", R"({"used":{},"withdrawn":{}})"}) {
    CAPTURE(line);
    auto file = where / invitation_book::file_name;
    auto size = std::filesystem::file_size(file);
    std::ofstream{file, std::ios::app} << line << '\n';
    auto book = invitation_book::open(where, now);
    REQUIRE_FALSE(book);
    CHECK(book.error().code == errc::damaged);
    CHECK_THAT(book.error().detail, ContainsSubstring("line 2"));
    // What cannot be read may say that a token was used: without it that could be used again.
    CHECK_THAT(book.error().detail, ContainsSubstring("remove the file"));
    CHECK(known_invitations::read(where).error().code == errc::damaged);
    std::filesystem::resize_file(file, size);
  }
  CHECK(known_invitations::read(it.folder.path() / "none")->all().empty());
}

TEST_CASE("of two entries that a token was used the first one counts", "[security][join]") {
  office it;
  auto token = it.invite();
  auto other = key_pair::make().public_half();
  {
    auto book = invitation_book::open(it.folder.path() / "ca", now).value();
    REQUIRE(book.enter(redemption{token.id(), other, now}));
    REQUIRE(book.enter(redemption{token.id(), it.key.public_half(), now}));
    CHECK(book.user_of(token.id())->by == other);
  }
  CHECK(known_invitations::read(it.folder.path() / "ca")->user_of(token.id())->by == other);
}

TEST_CASE("an address has five wrong guesses a minute", "[security][join]") {
  guess_limiter limiter;
  time_point moment{};
  for (auto each = 0; each < 5; ++each) {
    CHECK(limiter.hears(moment, "a"));
    limiter.failed(moment, "a");
    moment += 1s;
  }
  CHECK_FALSE(limiter.hears(moment, "a"));
  CHECK(limiter.hears(moment, "b"));
  CHECK_FALSE(limiter.hears(time_point{1min - 1ns}, "a"));
  CHECK(limiter.hears(time_point{1min}, "a"));
  limiter.failed(time_point{1min}, "a");
  CHECK_FALSE(limiter.hears(time_point{1min}, "a"));
}

TEST_CASE("a token that is proven and gives nothing is tried less often than for ever",
          "[security][join]") {
  guess_limiter limiter;
  time_point moment{};
  for (auto each = 0; each < 20; ++each) {
    CHECK(limiter.hears(moment, "a"));
    limiter.failed(moment, "a", guess_limiter::failure::proven);
  }
  CHECK_FALSE(limiter.hears(moment, "a"));
  CHECK(limiter.hears(moment + 1min, "a"));
  limiter.failed(moment + 1min, "a");
  for (auto each = 0; each < 16; ++each) {
    CHECK(limiter.hears(moment + 1min, "a"));
    limiter.failed(moment + 1min, "a", guess_limiter::failure::proven);
  }
  CHECK_FALSE(limiter.hears(moment + 1min, "a")); // both count
}

TEST_CASE("guesses from very many addresses are bounded together", "[security][join]") {
  guess_limiter limiter;
  time_point moment{};
  for (std::size_t each = 0; each < guess_limiter::max_sources; ++each)
    limiter.failed(moment, std::to_string(each));
  CHECK(limiter.hears(moment, "0"));
  CHECK_FALSE(limiter.hears(moment, "new"));
  limiter.failed(moment, "new");
  CHECK_FALSE(limiter.hears(moment, "new"));
  limiter.failed(moment, "0"); // is known, so it goes on to count
  for (auto each = 0; each < 3; ++each)
    limiter.failed(moment, "0");
  CHECK_FALSE(limiter.hears(moment, "0"));
  CHECK(limiter.hears(moment + 1min, "new"));
  CHECK(limiter.hears(moment + 1min, "0"));
}
