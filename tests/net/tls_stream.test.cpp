#include "troupe/net/tls_stream.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <sys/socket.h>

#include "support/certificates.hpp"
#include "support/seeds.hpp"
#include "troupe/core/random.hpp"
#include "troupe/net/plain_stream.hpp"
#include "troupe/net/socket.hpp"

namespace tls_stream_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::net;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Two ends of one connection; `one` dialled.
struct ends {
  ends(credentials_ptr dialler, credentials_ptr acceptor)
    : ends(make_tls_streams(std::move(dialler)), make_tls_streams(std::move(acceptor))) {}

  ends(const stream_maker& dialler, const stream_maker& acceptor) {
    std::array<int, 2> made{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, made.data()) == 0);
    wire_one = net::socket{made[0]};
    wire_other = net::socket{made[1]};
    one = dialler(made[0], side::dialled);
    other = acceptor(made[1], side::accepted);
  }

  /// Returns how the two ended, the dialler's first.
  std::pair<progress, progress> shake_hands() {
    auto first = progress::wait_read;
    auto second = progress::wait_read;
    auto is_open
      = [](progress what) { return what == progress::wait_read || what == progress::wait_write; };
    for (auto turns = 0; turns < 20; ++turns) {
      if (is_open(first))
        first = one->handshake();
      if (is_open(second))
        second = other->handshake();
    }
    return {first, second};
  }

  net::socket wire_one;
  net::socket wire_other;
  std::unique_ptr<byte_stream> one;
  std::unique_ptr<byte_stream> other;
};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

std::string read_all(byte_stream& from, std::size_t at_once = 65'536) {
  std::string result;
  std::string piece(at_once, '\0');
  for (;;) {
    auto got = from.read(std::as_writable_bytes(std::span{piece}));
    if (got.state != progress::done)
      return result;
    result.append(piece, 0, got.bytes);
  }
}

constexpr auto both_done = std::pair{progress::done, progress::done};

/// What the dialler hears if the acceptor refuses it: its own handshake ends before.
std::string heard_refusal(ends& them) {
  std::array<std::byte, 16> into{};
  CHECK(them.one->read(into).state == progress::failed);
  return them.one->trouble();
}

} // namespace

TEST_CASE("each side of a TLS connection proves who it is", "[net]") {
  test::throwaway_ca ca;
  auto ann = ca.issue("ann");
  auto bob = ca.issue("bob", security::role::client, security::rights::read);
  ends them{ann, bob};
  REQUIRE(them.shake_hands() == both_done);
  CHECK(them.one->proven() == bob->self());
  CHECK(them.other->proven() == ann->self());
  REQUIRE(them.one->write(bytes_of("hello")).bytes == 5);
  CHECK(read_all(*them.other) == "hello");
  CHECK(them.one->trouble().empty());
}

TEST_CASE("a read says whether it has left something in the descriptor", "[net]") {
  test::throwaway_ca ca;
  ends sealed{ca.issue("ann"), ca.issue("bob")};
  REQUIRE(sealed.shake_hands() == both_done);
  read_all(*sealed.other); // what TLS says of itself
  ends plain{stream_maker{make_plain_stream}, stream_maker{make_plain_stream}};
  for (auto* each : {&sealed, &plain}) {
    CAPTURE(each == &sealed);
    std::string large(100'000, 'a');
    auto put = each->one->write(bytes_of(large)).bytes;
    REQUIRE(put == large.size()); // OpenSSL wants what it has not taken again
    std::string piece(65'536, '\0');
    std::size_t took = 0;
    while (took < put) {
      auto got = each->other->read(std::as_writable_bytes(std::span{piece}));
      REQUIRE(got.state == progress::done);
      took += got.bytes;
      CHECK((!got.has_all || took == put));
    }
    REQUIRE(each->one->write(bytes_of("hello")).bytes == 5);
    auto got = each->other->read(std::as_writable_bytes(std::span{piece}));
    CHECK((got.bytes == 5 && got.has_all));
  }
}

TEST_CASE("who has a revoked certificate gets no connection, and hears that it is revoked",
          "[net]") {
  test::throwaway_ca ca;
  for (auto all_of_it : {false, true}) {
    CAPTURE(all_of_it);
    auto ann = ca.issue("ann");
    auto bob = ca.issue("bob");
    ca.revoke(*bob, ann->self(), all_of_it);
    ends from_ann{ann, bob};
    CHECK(from_ann.shake_hands().second == progress::failed);
    CHECK_THAT(from_ann.other->trouble(), ContainsSubstring("'ann'")
                                            && ContainsSubstring(ann->self().serial)
                                            && ContainsSubstring("was revoked at"));
    CHECK_THAT(heard_refusal(from_ann), ContainsSubstring("has been revoked"));
    ends from_bob{bob, ann};
    CHECK(from_bob.shake_hands() == std::pair{progress::failed, progress::failed});
    CHECK_THAT(from_bob.one->trouble(), ContainsSubstring("was revoked at"));
    CHECK_THAT(from_bob.other->trouble(), ContainsSubstring("has been revoked"));
    ca.revoke(*bob, ca.issue("eve")->self(), all_of_it);
    ends later{ann, bob};
    CHECK(later.shake_hands() == both_done);
  }
}

TEST_CASE("new connections prove a renewed certificate, those there are stay as they were",
          "[net]") {
  test::throwaway_ca ca;
  auto now = read_calendar();
  auto key = security::key_pair::make();
  auto issue = [&](const security::key_pair& whose, security::role as, duration lasts = 1h) {
    return *ca.authority().issue(whose.public_half(), {"ann", as, security::rights::use, lasts},
                                 now);
  };
  auto ann = *security::credentials::make(key, issue(key, security::role::member),
                                          ca.authority().own(), now);
  auto before = ann->self();
  auto bob = ca.issue("bob");
  ends first{ann, bob};
  REQUIRE(first.shake_hands() == both_done);
  for (auto& bad :
       {issue(security::key_pair::make(), security::role::member),
        issue(key, security::role::client), issue(key, security::role::member, -1min)}) {
    CHECK(ann->renew(bad, now).error_or().code == errc::bad_argument);
    CHECK(ann->self() == before);
  }
  auto as_client = ann->renew(issue(key, security::role::client), now);
  REQUIRE_FALSE(as_client);
  CHECK_THAT(as_client.error().detail, ContainsSubstring("needs one with the role member"));
  REQUIRE(ann->renew(issue(key, security::role::member, 2h), now));
  auto renewed = ann->self();
  CHECK(renewed.serial != before.serial);
  CHECK(renewed.valid_until > before.valid_until);
  ends second{ann, bob};
  REQUIRE(second.shake_hands() == both_done);
  CHECK(second.other->proven() == renewed);
  CHECK(first.other->proven() == before);
  REQUIRE(first.one->write(bytes_of("hello")).bytes == 5);
  CHECK(read_all(*first.other) == "hello");
}

TEST_CASE("bytes over TLS arrive as they were sent, in whatever pieces", "[net]") {
  test::throwaway_ca ca;
  auto ann = ca.issue("ann");
  auto bob = ca.issue("bob");
  test::for_each_seed(10, [&](test::random_source random) {
    ends them{ann, bob};
    REQUIRE(them.shake_hands() == both_done);
    std::string sent;
    std::string received;
    std::string waiting;
    for (auto turns = 0; turns < 200; ++turns) {
      if (waiting.empty())
        for (auto size = random.below(100'000); waiting.size() < size;)
          waiting += static_cast<char>(random.below(256));
      auto put = them.one->write(bytes_of(waiting));
      CHECK(put.state != progress::failed);
      CHECK(put.state != progress::wait_read);
      sent += waiting.substr(0, put.bytes);
      waiting.erase(0, put.bytes);
      received += read_all(*them.other, 1 + random.below(70'000));
    }
    received += read_all(*them.other);
    CHECK(received == sent);
  });
}

TEST_CASE("a reader of TLS has whatever poll does not report", "[net]") {
  test::throwaway_ca ca;
  ends them{ca.issue("ann"), ca.issue("bob")};
  REQUIRE(them.shake_hands() == both_done);
  std::string much(100'000, 'x');
  auto sent = them.one->write(bytes_of(much)).bytes;
  std::vector<std::byte> into(65'536);
  std::size_t received = 0;
  for (;;) {
    auto got = them.other->read(into);
    if (got.state != progress::done)
      break;
    received += got.bytes;
    CHECK(them.other->buffered() == 0); // as `into` has room for a whole record
  }
  CHECK(received == sent);
  REQUIRE(them.one->write(bytes_of(much)).bytes >= 32'768);
  into.resize(20'000); // for one record, and not for two
  CHECK(them.other->read(into).bytes == 16'384);
  CHECK(them.other->buffered() == 0);
  read_all(*them.other);
  REQUIRE(them.one->write(bytes_of("hello")).bytes == 5);
  std::array<std::byte, 2> little{};
  CHECK(them.other->read(little).bytes == 2);
  CHECK(them.other->buffered() == 3);
}

TEST_CASE("what is sent behind a greeting stays on the wire for whoever reads next", "[net]") {
  test::throwaway_ca ca;
  ends them{ca.issue("ann"), ca.issue("bob")};
  REQUIRE(them.shake_hands() == both_done);
  them.one->write(bytes_of("commit"));
  them.one->write(bytes_of("handshake"));
  std::array<std::byte, 6> greeting{};
  CHECK(them.other->read(greeting).bytes == 6);
  CHECK(them.other->buffered() == 0);
  CHECK(read_all(*them.other) == "handshake");
}

TEST_CASE("a writer whose peer does not read waits for the wire, and loses nothing", "[net]") {
  test::throwaway_ca ca;
  ends them{ca.issue("ann"), ca.issue("bob")};
  REQUIRE(them.shake_hands() == both_done);
  std::string much(8U << 20U, 'x');
  auto first = them.one->write(bytes_of(much));
  CHECK(first.state == progress::done);
  REQUIRE(first.bytes < much.size());
  auto rest = bytes_of(much).subspan(first.bytes);
  CHECK(them.one->write(rest).state == progress::wait_write);
  std::size_t received = 0;
  while (received < much.size()) {
    received += read_all(*them.other).size();
    rest = rest.subspan(them.one->write(rest).bytes);
  }
  CHECK(received == much.size());
}

TEST_CASE("a peer with a certificate of another CA is refused by both sides", "[net]") {
  test::throwaway_ca ca;
  test::throwaway_ca other_ca;
  ends them{ca.issue("ann"), other_ca.issue("mallory")};
  CHECK(them.shake_hands().first == progress::failed);
  CHECK_THAT(them.one->trouble(), ContainsSubstring("another CA"));
}

TEST_CASE("a dialler hears in words why its certificate was refused", "[net]") {
  test::throwaway_ca ca;
  auto ann = ca.issue("ann");
  SECTION("it has expired") {
    auto late = ca.issue_for("late", -2h);
    ends them{ann, late}; // the acceptor's certificate: seen by the dialler itself
    CHECK(them.shake_hands().first == progress::failed);
    CHECK_THAT(them.one->trouble(), ContainsSubstring("has expired: valid from")
                                      && ContainsSubstring("this machine's clock says"));
  }
  SECTION("it is not valid yet") {
    auto early = ca.issue_for("early", 1h);
    ends them{ann, early};
    CHECK(them.shake_hands().first == progress::failed);
    CHECK_THAT(them.one->trouble(), ContainsSubstring("not valid yet"));
  }
}

namespace {

/// A stream that is one of OpenSSL's own clients, with what a stranger has.
stream_maker stranger(int max_version, X509* certificate = nullptr, EVP_PKEY* key = nullptr) {
  return [=](int descriptor, side end) {
    security::credentials::context_ptr context{::SSL_CTX_new(::TLS_method()), &::SSL_CTX_free};
    SSL_CTX_set_max_proto_version(context.get(), max_version);
    if (certificate != nullptr) {
      REQUIRE(::SSL_CTX_use_certificate(context.get(), certificate) == 1);
      REQUIRE(::SSL_CTX_use_PrivateKey(context.get(), key) == 1);
    }
    return std::make_unique<tls_stream>(descriptor, end, context);
  };
}

} // namespace

namespace {

/// The streams of a machine that joins the cluster of `ca`, and has no certificate.
stream_maker joiner(const security::authority& ca) {
  return [mark = security::fingerprint_of(ca.key())](int descriptor, side end) {
    return std::make_unique<tls_stream>(descriptor, end, security::make_join_context(),
                                        security::peer_check{mark});
  };
}

} // namespace

TEST_CASE("a machine that joins sends its request to a member of its cluster only", "[net]") {
  test::throwaway_ca ca;
  auto asks = [&](const credentials_ptr& whom, std::string_view trouble) {
    ends them{joiner(ca.authority()), make_tls_streams(whom, true)};
    auto is_fine = trouble.empty();
    CHECK((them.shake_hands().first == progress::done) == is_fine);
    CHECK(them.one->proven().has_value() == is_fine);
    CHECK_FALSE(them.other->proven());
    CHECK_THAT(them.one->trouble(), ContainsSubstring(std::string{trouble}));
  };
  asks(ca.issue("ann"), "");
  asks(ca.issue("eve", security::role::client), "no member of the cluster");
  asks(test::throwaway_ca{}.issue("bob"), "no member of the cluster that the token is for");
}

TEST_CASE("a member says in words that a machine brings the token of another cluster", "[net]") {
  ends them{joiner(test::throwaway_ca{}.authority()),
            make_tls_streams(test::throwaway_ca{}.issue("bob"), true)};
  CHECK(them.shake_hands().second == progress::failed);
  CHECK(them.other->trouble()
        == "its token is of another cluster; give it one of this cluster (troupe ca invite)");
}

TEST_CASE("a machine that joins takes the certificate of a CA only from that CA", "[net]") {
  test::throwaway_ca ca;
  auto real = ca.authority().own();
  auto eve = security::key_pair::make();
  auto now = read_calendar();
  auto issued = ca.authority().issue(
    eve.public_half(), {"eve", security::role::member, security::rights::operate, 1h}, now);
  REQUIRE(issued);
  // The key and the name of the CA; all else is as a member of the cluster likes.
  auto called = security::detail::name_of(real.native());
  REQUIRE(called);
  auto forged = security::detail::certificate_maker{::X509_get0_pubkey(real.native()), *called,
                                                    now - 1h, now + 87'600h}
                  .with(NID_basic_constraints, "critical,CA:TRUE")
                  .with(NID_key_usage, "critical,keyCertSign,cRLSign")
                  .sign(eve);
  auto joins = [&](const security::certificate& shown) {
    auto member = security::credentials::make(eve, *issued, shown, now);
    REQUIRE(member);
    ends them{joiner(ca.authority()), make_tls_streams(*member, true)};
    return them.shake_hands().first == progress::done;
  };
  CHECK(joins(real));
  CHECK_FALSE(joins(forged));
}

TEST_CASE("whoever asks to join is heard without a certificate where strangers are admitted",
          "[net]") {
  test::throwaway_ca ca;
  auto ann = ca.issue("ann");
  ends asks{joiner(ca.authority()), make_tls_streams(ann, true)};
  CHECK(asks.shake_hands() == both_done);
  ends closed{joiner(ca.authority()), make_tls_streams(ann)};
  CHECK(closed.shake_hands().second == progress::failed);
  // Who does not ask has to prove itself there, too.
  ends silent{stranger(TLS1_3_VERSION), make_tls_streams(ann, true)};
  CHECK(silent.shake_hands().second == progress::failed);
  ends linked{make_tls_streams(ca.issue("bob")), make_tls_streams(ann, true)};
  CHECK(linked.shake_hands() == both_done);
  CHECK(linked.other->proven());
}

TEST_CASE("a stranger gets nowhere", "[net]") {
  test::throwaway_ca ca;
  auto bob = make_tls_streams(ca.issue("bob"));
  SECTION("without a certificate") {
    auto knows_the_ca = [&](int descriptor, side end) {
      security::credentials::context_ptr context{::SSL_CTX_new(::TLS_method()), &::SSL_CTX_free};
      ::X509_STORE_add_cert(::SSL_CTX_get_cert_store(context.get()), ca.authority().own().native());
      ::SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
      security::peer_check::install(context.get());
      return std::make_unique<tls_stream>(descriptor, end, context);
    };
    ends them{knows_the_ca, bob};
    CHECK(them.shake_hands().second == progress::failed);
    CHECK_THAT(them.other->trouble(), ContainsSubstring("has no certificate"));
    CHECK_FALSE(them.other->proven());
    CHECK_THAT(heard_refusal(them), ContainsSubstring("wants a certificate"));
  }
  SECTION("with TLS 1.2") {
    ends them{stranger(TLS1_2_VERSION), bob};
    CHECK(them.shake_hands() == std::pair{progress::failed, progress::failed});
    CHECK_THAT(them.other->trouble(), ContainsSubstring("TLS 1.3"));
  }
  SECTION("with an identity's certificate instead of that of a TLS key") {
    auto key = security::key_pair::make();
    auto issued = ca.authority().issue(
      key.public_half(), {"n1", security::role::member, security::rights::operate, 1h},
      read_calendar());
    REQUIRE(issued);
    ends them{stranger(TLS1_3_VERSION, issued->native(), key.native()), bob};
    CHECK(them.shake_hands().second == progress::failed);
    CHECK_THAT(them.other->trouble(), ContainsSubstring("TLS key"));
    CHECK_FALSE(them.other->proven());
  }
  SECTION("with plain bytes") {
    ends them{bob, bob};
    for (std::string_view said : {"GET / HTTP/1.1\r\n\r\n"sv, "TRL\x10some greeting of ours"sv,
                                  "\x16\x03\x01\xff\xff garbage"sv}) {
      ends mixed{bob, bob};
      REQUIRE(::send(mixed.wire_one.get(), said.data(), said.size(), MSG_NOSIGNAL) > 0);
      CHECK(mixed.other->handshake() != progress::done);
      ::shutdown(mixed.wire_one.get(), SHUT_RDWR);
      CHECK(mixed.other->handshake() == progress::failed);
    }
  }
  SECTION("with a key that an identity certified for itself as an identity") {
    // A client's identity may certify TLS keys, but no other identities.
    auto client = security::key_pair::make();
    auto issued = ca.authority().issue(client.public_half(),
                                       {"c1", security::role::client, security::rights::read, 1h},
                                       read_calendar());
    REQUIRE(issued);
    auto forged_key = security::key_pair::make();
    auto now = read_calendar();
    auto forged
      = security::detail::certificate_maker{forged_key.native(), "n1", now - 1min, now + 1h}
          .with(NID_basic_constraints, "critical,CA:TRUE,pathlen:0")
          .with(NID_key_usage, "critical,digitalSignature,keyCertSign")
          .with(NID_subject_alt_name, "URI:troupe:role:member,URI:troupe:rights:operate")
          .sign(client, issued->native());
    auto tls_key = security::key_pair::make();
    auto leaf = security::detail::certificate_maker{tls_key.native(), "n1", now - 1min, now + 1h}
                  .with(NID_basic_constraints, "critical,CA:FALSE")
                  .with(NID_key_usage, "critical,digitalSignature")
                  .with(NID_ext_key_usage, "serverAuth,clientAuth")
                  .sign(forged_key, forged.native());
    ends them{
      [&](int descriptor, side end) {
        security::credentials::context_ptr context{::SSL_CTX_new(::TLS_method()), &::SSL_CTX_free};
        REQUIRE(::SSL_CTX_use_certificate(context.get(), leaf.native()) == 1);
        REQUIRE(::SSL_CTX_use_PrivateKey(context.get(), tls_key.native()) == 1);
        SSL_CTX_add1_chain_cert(context.get(), forged.native());
        SSL_CTX_add1_chain_cert(context.get(), issued->native());
        return std::make_unique<tls_stream>(descriptor, end, context);
      },
      bob};
    CHECK(them.shake_hands().second == progress::failed);
    CHECK_FALSE(them.other->proven());
    CHECK_FALSE(them.other->trouble().empty());
  }
}

TEST_CASE("a TLS key is an Ed25519 key, and the chain before it is short", "[net]") {
  test::throwaway_ca ca;
  auto client = security::key_pair::make();
  auto now = read_calendar();
  auto issued = ca.authority().issue(
    client.public_half(), {"c1", security::role::client, security::rights::read, 1h}, now);
  REQUIRE(issued);
  auto own = [](EVP_PKEY* key) { return security::detail::own(key); };
  auto dials_with = [&](EVP_PKEY* key, int extra) {
    auto leaf = security::detail::certificate_maker{key, "c1", now - 1min, now + 1h}
                  .with(NID_basic_constraints, "critical,CA:FALSE")
                  .with(NID_key_usage, "critical,digitalSignature")
                  .with(NID_ext_key_usage, "serverAuth,clientAuth")
                  .sign(client, issued->native());
    ends them{
      [&](int descriptor, side end) {
        security::credentials::context_ptr context{::SSL_CTX_new(::TLS_method()), &::SSL_CTX_free};
        REQUIRE(::SSL_CTX_use_certificate(context.get(), leaf.native()) == 1);
        REQUIRE(::SSL_CTX_use_PrivateKey(context.get(), key) == 1);
        SSL_CTX_add1_chain_cert(context.get(), issued->native());
        for (; extra > 0; --extra)
          SSL_CTX_add1_chain_cert(context.get(), ca.authority().own().native());
        return std::make_unique<tls_stream>(descriptor, end, context);
      },
      make_tls_streams(ca.issue("bob"))};
    return them.shake_hands().second;
  };
  auto usual = own(::EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  CHECK(dials_with(usual.get(), 0) == progress::done);
  CHECK(dials_with(usual.get(), 100) == progress::failed); // more than 16 KiB
  auto other = own(::EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  CHECK(dials_with(other.get(), 0) == progress::failed);
}

TEST_CASE("a handshake without proof is none, whatever the settings of OpenSSL", "[net]") {
  auto key = security::key_pair::make();
  auto now = read_calendar();
  auto made
    = security::detail::certificate_maker{key.native(), "n1", now - 1min, now + 1h}.sign(key);
  auto trusts_all = stranger(TLS1_3_VERSION, made.native(), key.native());
  ends them{trusts_all, trusts_all};
  CHECK(them.shake_hands() == std::pair{progress::failed, progress::failed});
  CHECK_THAT(them.one->trouble(), ContainsSubstring("did not prove"));
}

TEST_CASE("nothing is sent with which a later connection could do without a proof", "[net]") {
  test::throwaway_ca ca;
  ends them{ca.issue("ann"), ca.issue("bob")};
  REQUIRE(them.shake_hands() == both_done);
  char piece = 0;
  CHECK(::recv(them.wire_one.get(), &piece, 1, MSG_PEEK) == -1); // no session tickets
}

TEST_CASE("a peer that changes its keys without end is not read any more", "[net]") {
  test::throwaway_ca ca;
  std::array<int, 2> made{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, made.data()) == 0);
  net::socket theirs{made[0]};
  net::socket ours{made[1]};
  auto bob = make_tls_streams(ca.issue("bob"), true)(ours.get(), side::accepted);
  // A stranger that asks to join: it needs no certificate for this.
  auto context = security::make_join_context();
  auto stranger = security::detail::own(::SSL_new(context.get()));
  security::peer_check check{security::fingerprint_of(ca.authority().key())};
  check.attach(stranger.get());
  ::SSL_set_fd(stranger.get(), theirs.get());
  ::SSL_set_connect_state(stranger.get());
  for (auto turns = 0; turns < 20; ++turns) {
    ::SSL_do_handshake(stranger.get());
    bob->handshake();
  }
  REQUIRE(::SSL_is_init_finished(stranger.get()) == 1);
  auto change_keys = [&](std::size_t count) {
    for (; count > 0; --count) {
      REQUIRE(::SSL_key_update(stranger.get(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
      REQUIRE(::SSL_do_handshake(stranger.get()) == 1);
    }
  };
  auto large = GENERATE(false, true); // a greeting is read in small pieces
  std::string piece(large ? 65'536 : 16, '\0');
  auto into = std::as_writable_bytes(std::span{piece});
  constexpr std::size_t at_once = 64;
  for (std::size_t count = 0; count < tls_stream::max_key_changes; count += at_once) {
    change_keys(at_once);
    CHECK(bob->read(into).state == progress::wait_read);
  }
  REQUIRE(::SSL_write(stranger.get(), "hello", 5) == 5);
  CHECK(bob->read(into).bytes == 5);
  change_keys(1);
  REQUIRE(::SSL_write(stranger.get(), "hello", 5) == 5);
  CHECK(bob->read(into).state == progress::failed);
  CHECK_THAT(bob->trouble(), ContainsSubstring("changes its keys"));
}

TEST_CASE("what has come before damage on the wire is read, and then the damage is told", "[net]") {
  test::throwaway_ca ca;
  ends them{ca.issue("ann"), ca.issue("bob")};
  REQUIRE(them.shake_hands() == both_done);
  REQUIRE(them.one->write(bytes_of("good")).bytes == 4);
  std::string forged{"\x17\x03\x03\x00\x20", 5};
  forged.append(32, 'x');
  REQUIRE(::send(them.wire_one.get(), forged.data(), forged.size(), MSG_NOSIGNAL)
          == static_cast<ssize_t>(forged.size()));
  std::vector<std::byte> into(65'536);
  CHECK(them.other->read(into).bytes == 4);
  CHECK(them.other->buffered() > 0); // as poll reports nothing more
  auto next = them.other->read(into);
  CHECK(next.state == progress::failed);
  CHECK(next.bytes == 0);
}

TEST_CASE("what a TLS key's certificate says of itself is ignored", "[net]") {
  test::throwaway_ca ca;
  auto client = security::key_pair::make();
  auto now = read_calendar();
  auto issued = ca.authority().issue(
    client.public_half(), {"c1", security::role::client, security::rights::read, 1h}, now);
  REQUIRE(issued);
  auto tls_key = security::key_pair::make();
  auto leaf = security::detail::certificate_maker{tls_key.native(), "n1", now - 1min, now + 1h}
                .with(NID_basic_constraints, "critical,CA:FALSE")
                .with(NID_key_usage, "critical,digitalSignature")
                .with(NID_ext_key_usage, "serverAuth,clientAuth")
                .with(NID_subject_alt_name, "URI:troupe:role:member,URI:troupe:rights:operate")
                .sign(client, issued->native());
  ends them{
    [&](int descriptor, side end) {
      security::credentials::context_ptr context{::SSL_CTX_new(::TLS_method()), &::SSL_CTX_free};
      REQUIRE(::SSL_CTX_use_certificate(context.get(), leaf.native()) == 1);
      REQUIRE(::SSL_CTX_use_PrivateKey(context.get(), tls_key.native()) == 1);
      SSL_CTX_add1_chain_cert(context.get(), issued->native());
      return std::make_unique<tls_stream>(descriptor, end, context);
    },
    make_tls_streams(ca.issue("bob"))};
  CHECK(them.shake_hands().second == progress::done);
  REQUIRE(them.other->proven());
  CHECK(them.other->proven()->name == "c1");
  CHECK(them.other->proven()->as == security::role::client);
  CHECK(them.other->proven()->may == security::rights::read);
}

namespace {

#ifdef TROUPE_SANITIZED
constexpr std::size_t each_byte = 7; // or it would take minutes
#else
constexpr std::size_t each_byte = 1;
#endif

/// One way of a wire, on which the bytes from somewhere on are held back, and one bit is changed.
struct passage {
  std::size_t limit = std::numeric_limits<std::size_t>::max();
  std::optional<std::size_t> changed_byte = {};
  std::size_t passed = 0;

  void carry(const net::socket& from, const net::socket& into) {
    std::array<char, 4096> piece{};
    while (passed < limit) {
      auto count
        = ::recv(from.get(), piece.data(), std::min(piece.size(), limit - passed), MSG_DONTWAIT);
      if (count <= 0)
        return;
      auto size = static_cast<std::size_t>(count);
      if (changed_byte && *changed_byte >= passed && *changed_byte < passed + size)
        piece.at(*changed_byte - passed) ^= static_cast<char>(1U << *changed_byte % 8);
      REQUIRE(::send(into.get(), piece.data(), size, MSG_NOSIGNAL) == count);
      passed += size;
    }
  }
};

/// Two ends of one connection, and somebody in the middle of it; `one` dialled.
struct distant_ends {
  distant_ends(const stream_maker& dialler, const stream_maker& acceptor) {
    std::array<int, 2> near{};
    std::array<int, 2> far{};
    for (auto* each : {&near, &far})
      REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, each->data())
              == 0);
    for (std::size_t each = 0; each < 2; ++each)
      wires.at(each) = {net::socket{near.at(each)}, net::socket{far.at(each)}};
    one = dialler(near[0], side::dialled);
    other = acceptor(far[0], side::accepted);
  }

  /// Returns how far the two come with what passes, the dialler's first.
  std::pair<progress, progress> shake_hands() {
    for (auto turns = 0; turns < 6; ++turns) {
      if (first == progress::wait_read)
        first = one->handshake();
      up.carry(wires[1].first, wires[1].second);
      if (second == progress::wait_read)
        second = other->handshake();
      down.carry(wires[1].second, wires[1].first);
    }
    return {first, second};
  }

  /// Nothing more comes to either.
  std::pair<progress, progress> cut() {
    ::shutdown(wires[1].first.get(), SHUT_RDWR);
    ::shutdown(wires[1].second.get(), SHUT_RDWR);
    return shake_hands();
  }

  std::array<std::pair<net::socket, net::socket>, 2> wires; ///< ours, and those in the middle
  passage up;                                               ///< from the dialler
  passage down;
  std::unique_ptr<byte_stream> one;
  std::unique_ptr<byte_stream> other;
  progress first = progress::wait_read;
  progress second = progress::wait_read;
};

} // namespace

TEST_CASE("a handshake that stops or is cut at any byte ends, and proves nothing", "[net]") {
  test::throwaway_ca ca;
  auto ann = make_tls_streams(ca.issue("ann"));
  auto bob = make_tls_streams(ca.issue("bob"));
  distant_ends whole{ann, bob};
  REQUIRE(whole.shake_hands() == both_done);
  REQUIRE(whole.up.passed > 1'000); // with certificates
  REQUIRE(whole.down.passed > 1'000);
  for (std::size_t size = 0; size < whole.up.passed; size += each_byte) {
    CAPTURE(size);
    distant_ends them{ann, bob};
    them.up.limit = size;
    CHECK(them.shake_hands().second == progress::wait_read);
    CHECK(them.cut().second == progress::failed);
  }
  for (std::size_t size = 0; size < whole.down.passed; size += each_byte) {
    CAPTURE(size);
    distant_ends them{ann, bob};
    them.down.limit = size;
    CHECK(them.shake_hands() == std::pair{progress::wait_read, progress::wait_read});
    CHECK(them.cut() == std::pair{progress::failed, progress::failed});
  }
}

TEST_CASE("a handshake of which any byte was changed ends, and proves nothing", "[net]") {
  test::throwaway_ca ca;
  auto ann = make_tls_streams(ca.issue("ann"));
  auto bob = make_tls_streams(ca.issue("bob"));
  distant_ends whole{ann, bob};
  REQUIRE(whole.shake_hands() == both_done);
  for (auto way : {&distant_ends::up, &distant_ends::down})
    for (std::size_t place = 0; place < (whole.*way).passed; place += each_byte) {
      CAPTURE(way == &distant_ends::up, place);
      constexpr std::size_t legacy_version = 2; // RFC 8446, section 5.1: it must be ignored
      if (place == legacy_version)
        continue;
      distant_ends them{ann, bob};
      (them.*way).changed_byte = place;
      them.shake_hands(); // a changed length has a side wait for more
      auto [first, second] = them.cut();
      CHECK(second == progress::failed);
      CHECK((first == progress::failed || way == &distant_ends::up)); // which is done before
    }
}

TEST_CASE("of bytes that were changed behind a handshake none is read, nor any after them",
          "[net]") {
  test::throwaway_ca ca;
  auto ann = make_tls_streams(ca.issue("ann"));
  auto bob = make_tls_streams(ca.issue("bob"));
  constexpr std::size_t record_bytes = 5 + 5 + 1 + 16; // header, hello, type, tag
  auto large = GENERATE(false, true);                  // a greeting is read in small pieces
  for (std::size_t place = 0; place < record_bytes; ++place) {
    CAPTURE(place, large);
    distant_ends them{ann, bob};
    REQUIRE(them.shake_hands() == both_done);
    auto begin = them.up.passed;
    them.up.changed_byte = begin + place;
    for (auto count = 0; count < 2; ++count)
      REQUIRE(them.one->write(bytes_of("hello")).bytes == 5);
    them.up.carry(them.wires[1].first, them.wires[1].second);
    REQUIRE(them.up.passed == begin + 2 * record_bytes);
    ::shutdown(them.wires[1].second.get(), SHUT_WR);
    CHECK(read_all(*them.other, large ? 65'536 : 16).empty());
    std::array<std::byte, 16> into{};
    CHECK(them.other->read(into).state == progress::failed);
  }
}

} // namespace tls_stream_test
