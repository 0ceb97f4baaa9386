#include "troupe/security/authority.hpp"           // a header under test
#include "troupe/security/certificate.hpp"         // another
#include "troupe/security/certificate_request.hpp" // another
#include "troupe/security/credentials.hpp"         // another
#include "troupe/security/setup.hpp"               // another

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include <sys/stat.h>

#include "support/temporary_folder.hpp"

namespace certificates_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::security;
using Catch::Matchers::ContainsSubstring;

namespace {

const wall_time now = read_calendar();

/// A certificate with the parts that a test wants to be odd.
struct odd_certificate {
  std::string name = "n1";
  std::string constraints = "critical,CA:TRUE,pathlen:0";
  std::string alternatives = "URI:troupe:role:member,URI:troupe:rights:use";
  wall_time from = now;
  wall_time until = now + 1h;

  [[nodiscard]] problem trouble() const {
    auto key = key_pair::make();
    security::detail::certificate_maker made{key.native(), name, from, until};
    made.with(NID_basic_constraints, constraints);
    if (!alternatives.empty())
      made.with(NID_subject_alt_name, alternatives);
    auto read = facts_of(made.sign(key));
    return read ? problem{} : read.error();
  }
};

} // namespace

SCENARIO("a CA says who belongs to a cluster", "[security]") {
  GIVEN("a CA in a folder of its own") {
    test::temporary_folder folder;
    auto ca = authority::make(folder / "ca", now);
    REQUIRE(ca);
    auto key = key_pair::make();
    WHEN("it issues a certificate") {
      auto issued
        = ca->issue(key.public_half(), {"second", role::member, rights::operate, 48h}, now);
      REQUIRE(issued);
      THEN("that says who it is for, and what that may be and do") {
        auto about = facts_of(*issued);
        REQUIRE(about);
        CHECK(about->node == id_of(key.public_half()));
        CHECK(about->name == "second");
        CHECK(about->as == role::member);
        CHECK(about->may == rights::operate);
        auto seconds = [](wall_time moment) {
          return std::chrono::floor<std::chrono::seconds>(moment.time_since_epoch());
        };
        CHECK(seconds(about->valid_from) == seconds(now - 5min)); // clocks differ
        CHECK(seconds(about->valid_until) == seconds(now + 48h));
        CHECK(about->serial.size() == 32);
        auto other
          = ca->issue(key.public_half(), {"second", role::member, rights::operate, 48h}, now);
        CHECK(facts_of(*other)->serial != about->serial);
      }
      THEN("it reads the same from its file") {
        auto read = certificate::from_pem(issued->to_pem(), "the file");
        REQUIRE(read);
        CHECK(facts_of(*read) == facts_of(*issued));
      }
    }
    WHEN("the folder is read again") {
      auto again = authority::load(folder / "ca");
      THEN("it is the same CA") {
        REQUIRE(again);
        CHECK(again->own().to_pem() == ca->own().to_pem());
      }
      THEN("nobody else can read the key") {
        struct stat about {};
        REQUIRE(::stat((folder / "ca" / "ca.key").c_str(), &about) == 0);
        CHECK((about.st_mode & 0777) == 0600);
        REQUIRE(::stat((folder / "ca").c_str(), &about) == 0);
        CHECK((about.st_mode & 0777) == 0700);
      }
    }
    THEN("no second CA replaces it") {
      CHECK(authority::make(folder / "ca", now).error().code == errc::in_use);
    }
    THEN("a key of another CA beside its certificate is noticed") {
      REQUIRE(key_pair::make().save(folder / "ca" / "ca.key"));
      CHECK(authority::load(folder / "ca").error().code == errc::damaged);
    }
    THEN("names that cannot stand in a certificate are refused") {
      for (auto& name : {""s, std::string(65, 'x'), "a\nb"s, "\xff"s, "a\0b"s}) {
        auto refused = ca->issue(key.public_half(), {name, role::member, rights::use, 1h}, now);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == errc::bad_argument);
      }
      CHECK(
        ca->issue(key.public_half(), {std::string(64, 'x'), role::client, rights::use, 1h}, now));
      CHECK(ca->issue(key.public_half(), {"n\xc3\xb6rd", role::client, rights::use, 1h}, now));
    }
  }
}

TEST_CASE("a certificate with anything odd is refused", "[security]") {
  auto words = [](const odd_certificate& odd) { return odd.trouble().detail; };
  CHECK(words({}).empty());
  CHECK_THAT(words({.name = "a\nb"}), ContainsSubstring("name"));
  CHECK_THAT(words({.constraints = "critical,CA:FALSE"}), ContainsSubstring("certify"));
  CHECK_THAT(words({.constraints = "critical,CA:TRUE"}), ContainsSubstring("certify"));
  CHECK_THAT(words({.constraints = "critical,CA:TRUE,pathlen:1"}), ContainsSubstring("certify"));
  for (const char* alternatives :
       {"", "URI:troupe:role:member", "URI:troupe:rights:use",
        "URI:troupe:role:member,URI:troupe:role:member",
        "URI:troupe:role:member,URI:troupe:role:client",
        "URI:troupe:role:member,URI:troupe:rights:use,URI:troupe:rights:use",
        "URI:troupe:role:member,URI:troupe:rights:use,DNS:localhost",
        "URI:troupe:role:king,URI:troupe:rights:use",
        "URI:troupe:role:member,URI:troupe:rights:", "URI:troupe:role:MEMBER,URI:troupe:rights:use",
        "DNS:troupe.role,DNS:troupe.rights", "DNS:troupe:role:member,DNS:troupe:rights:use"}) {
    CAPTURE(alternatives);
    CHECK_THAT(words({.alternatives = alternatives}), ContainsSubstring("role"));
  }
  CHECK_THAT(words({.until = now - 1s}), ContainsSubstring("times"));
  CHECK_THAT(words({.until = wall_time{std::chrono::hours{24 * 365 * 240}}}),
             ContainsSubstring("times")); // year 2209
}

TEST_CASE("a certificate with a part that it should have once is refused if it has more",
          "[security]") {
  test::temporary_folder folder;
  auto ca = authority::make(folder / "ca", now);
  REQUIRE(ca);
  auto issued
    = ca->issue(key_pair::make().public_half(), {"n1", role::client, rights::read, 1h}, now);
  REQUIRE(issued);
  auto copy = [&] { return security::detail::own(::X509_dup(issued->native())); };
  CHECK(facts_of(copy().get()));
  SECTION("names") {
    auto add = [](X509* to, const char* kind) {
      REQUIRE(::X509_NAME_add_entry_by_txt(::X509_get_subject_name(to), kind, MBSTRING_UTF8,
                                           reinterpret_cast<const unsigned char*>("n2"), 2, -1, 0)
              == 1);
    };
    for (const char* kind : {"CN", "O"}) {
      auto made = copy();
      add(made.get(), kind);
      CHECK_FALSE(facts_of(made.get()));
    }
    auto other = copy(); // none that is its own
    ::X509_NAME_ENTRY_free(::X509_NAME_delete_entry(::X509_get_subject_name(other.get()), 0));
    add(other.get(), "O");
    CHECK_FALSE(facts_of(other.get()));
  }
  SECTION("lists of what its owner may be and do") {
    auto made = copy();
    auto more = security::detail::own(::X509V3_EXT_nconf_nid(
      nullptr, nullptr, NID_subject_alt_name, "URI:troupe:role:member,URI:troupe:rights:operate"));
    for (auto place : {-1, 0}) {
      auto both = copy();
      REQUIRE(::X509_add_ext(both.get(), more.get(), place) == 1);
      CHECK_FALSE(facts_of(both.get()));
    }
  }
}

TEST_CASE("an identity has a CA of its own, once, also where a crash has ended that",
          "[security]") {
  test::temporary_folder folder;
  auto data = folder / "data";
  auto key = key_pair::make();
  auto make = [&] { return make_own_authority(data, key, "n1", now); };
  auto made = make();
  REQUIRE(made);
  CHECK(made->as == role::member);
  CHECK(made->may == rights::operate);
  CHECK(credentials::load(data, key, now));
  CHECK(make().error().code == errc::in_use);
  auto ca = certificate::load(data / "ca" / "ca.pem")->to_pem();
  auto is_same_ca = [&] {
    return certificate::load(data / "ca" / "ca.pem")->to_pem() == ca
           && certificate::load(data / "ca.pem")->to_pem() == ca;
  };
  SECTION("before the certificate of the identity") {
    std::filesystem::remove(data / "node.pem");
    CHECK(make());
    CHECK(is_same_ca());
  }
  SECTION("before that of its CA") {
    std::filesystem::remove(data / "node.pem");
    std::filesystem::remove(data / "ca.pem");
    CHECK(make());
    CHECK(is_same_ca());
  }
  SECTION("before the key of the CA") {
    for (auto* each : {"node.pem", "ca.pem", "ca/ca.key"})
      std::filesystem::remove(data / each);
    CHECK(make());
    CHECK_FALSE(is_same_ca());
  }
  SECTION("but not where the certificates of another CA are") {
    for (auto* each : {"node.pem", "ca/ca.key", "ca/ca.pem"})
      std::filesystem::remove(data / each);
    CHECK(make().error().code == errc::in_use);
  }
  if (std::filesystem::exists(data / "node.pem"))
    CHECK(credentials::load(data, key, now));
}

TEST_CASE("a file that is no certificate is refused", "[security]") {
  test::temporary_folder folder;
  CHECK(certificate::load(folder / "none").error().code == errc::not_found);
  std::ofstream{folder / "file"} << "no certificate";
  CHECK(certificate::load(folder / "file").error().code == errc::damaged);
  CHECK(certificate::from_pem("", "it").error().code == errc::damaged);
}

SCENARIO("a process has what its identity's certificate says", "[security]") {
  GIVEN("a folder with a key, its certificate and the CA's") {
    test::temporary_folder folder;
    auto ca = authority::make(folder / "ca", now);
    REQUIRE(ca);
    auto key = key_pair::make();
    REQUIRE(key.save(folder / "identity.key"));
    auto put = [&](const std::string& name, const certificate& what) {
      REQUIRE(storage::write_private(folder / name, what.to_pem()));
    };
    put("node.pem", *ca->issue(key.public_half(), {"n1", role::member, rights::use, 1h}, now));
    put("ca.pem", ca->own());
    auto trouble = [&](wall_time then) {
      auto loaded = credentials::load(folder.path(), then);
      return loaded ? std::string{} : loaded.error().detail;
    };
    THEN("it is loaded") {
      REQUIRE(has_certificates(folder.path()));
      auto loaded = credentials::load(folder.path(), now);
      REQUIRE(loaded);
      CHECK((*loaded)->self().name == "n1");
      CHECK((*loaded)->self().node == id_of(key.public_half()));
    }
    THEN("its TLS key is renewed in time, and connections keep what they have") {
      auto loaded = *credentials::load(folder.path(), now);
      auto first = loaded->context(now);
      CHECK(loaded->context(now + 11h) == first);
      auto second = loaded->context(now + 12h);
      CHECK(second != first);
      CHECK(loaded->context(now + 13h) == second);
      CHECK(loaded->context(now) != second); // the clock was set back
    }
    WHEN("the certificate is of another key") {
      put("node.pem",
          *ca->issue(key_pair::make().public_half(), {"n1", role::member, rights::use, 1h}, now));
      THEN("that is said") {
        CHECK_THAT(trouble(now), ContainsSubstring("another key"));
      }
    }
    WHEN("the certificate is of another CA") {
      put("ca.pem", authority::make(folder / "other", now)->own());
      THEN("that is said") {
        CHECK_THAT(trouble(now), ContainsSubstring("another CA"));
      }
    }
    THEN("times are told in words") {
      CHECK(trouble(now - 4min).empty());
      CHECK_THAT(trouble(now - 6min), ContainsSubstring("not valid yet")
                                        && ContainsSubstring("this machine's clock says")
                                        && ContainsSubstring(to_rfc3339(now - 6min)));
      CHECK_THAT(trouble(now + 61min), ContainsSubstring("has expired"));
    }
    WHEN("others may read the key") {
      REQUIRE(::chmod((folder / "identity.key").c_str(), 0644) == 0);
      THEN("that is said") {
        CHECK_THAT(trouble(now), ContainsSubstring("chmod 600"));
      }
    }
    WHEN("a file is missing") {
      std::filesystem::remove(folder / "ca.pem");
      THEN("there are no certificates") {
        CHECK_FALSE(has_certificates(folder.path()));
        CHECK(credentials::load(folder.path(), now).error().code == errc::not_found);
      }
    }
  }
}

TEST_CASE("a request proves that who asks has the key, and carries nothing else that counts",
          "[security]") {
  auto key = key_pair::make();
  auto text = make_request(key);
  auto read = key_in_request(text);
  REQUIRE(read);
  CHECK(*read == key.public_half());
  CHECK(text.find("PRIVATE") == std::string::npos);
  CHECK(key_in_request("").error().code == errc::bad_argument);
  CHECK(key_in_request("no request").error().code == errc::bad_argument);
  // Changed anywhere, it is refused, or still of the same key (the letters end with unused bits).
  for (std::size_t at = 0; at < text.size(); ++at) {
    auto changed = text;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    auto other = key_in_request(changed);
    CHECK((!other || *other == key.public_half()));
  }
}

TEST_CASE("an identity is issued into a folder, also again", "[security]") {
  test::temporary_folder folder;
  auto ca = authority::make(folder / "ca", now);
  REQUIRE(ca);
  auto book = certificate_register::open(folder / "ca");
  REQUIRE(book);
  auto first = issue_into(folder / "n2", *ca, *book, {"n2", role::member, rights::use}, now);
  REQUIRE(first);
  auto loaded = credentials::load(folder / "n2", now);
  REQUIRE(loaded);
  CHECK((*loaded)->self() == *first);
  auto second = issue_into(folder / "n2", *ca, *book, {"n2", role::client, rights::read}, now + 1h);
  REQUIRE(second);
  CHECK(second->node == first->node);
  CHECK(second->as == role::client);
  REQUIRE(::chmod((folder / "n2" / "identity.key").c_str(), 0644) == 0);
  CHECK(issue_into(folder / "n2", *ca, *book, {"n2", role::member, rights::use}, now).error().code
        == errc::bad_argument); // and its key stays
  REQUIRE(::chmod((folder / "n2" / "identity.key").c_str(), 0600) == 0);
  // A certificate for the request of another machine takes the place of none that is in use.
  auto other = ca->issue(key_pair::make().public_half(), {"n4", role::member, rights::use}, now);
  REQUIRE(other);
  CHECK(put_certificates(folder / "n2", ca->own(), *other).error().code == errc::in_use);
  CHECK(credentials::load(folder / "n2", now + 1h));
  CHECK(put_certificates(folder / "n4", ca->own(), *other));
  // Nor does it make a folder's own CA worthless.
  REQUIRE(authority::make(folder / "n5" / "ca", now));
  CHECK(put_certificates(folder / "n5", ca->own(), *other).error().code == errc::in_use);
  CHECK(issue_into(folder / "n3", *ca, *book, {"", role::member, rights::use}, now).error().code
        == errc::bad_argument);
}

TEST_CASE("a member is admitted by a certificate of this cluster only", "[security]") {
  auto ca = authority::make_in_memory(now);
  auto key = key_pair::make();
  auto own = ca.issue(key.public_half(), {"n1", role::member, rights::operate}, now).value();
  auto all = credentials::make(key, own, ca.own(), now).value();
  CHECK(all->own_certificate() == own.to_pem());
  CHECK(all->admit(own.to_pem(), id_of(key.public_half()), now));
  auto other = key_pair::make();
  auto id = id_of(other.public_half());
  auto issue = [&](const authority& by, role as, wall_time when) {
    return by.issue(other.public_half(), {"n2", as, rights::operate, 48h}, when).value().to_pem();
  };
  CHECK(all->admit(issue(ca, role::member, now), id, now));
  auto old = issue(ca, role::member, now - 100h); // for 48 hours
  auto until = all->admit(old, id, now - 53h);
  REQUIRE(until);
  CHECK(std::chrono::abs(*until - (now - 52h)) < 1s); // certificates have whole seconds
  auto expect_refusal = [&](const std::string& pem, const node_id& who, const std::string& why) {
    auto refused = all->admit(pem, who, now);
    REQUIRE(!refused);
    CHECK(refused.error().code == errc::denied);
    CHECK_THAT(refused.error().detail, ContainsSubstring(why));
  };
  expect_refusal(issue(ca, role::client, now), id, "not that of a member");
  expect_refusal(issue(ca, role::member, now), id_of(key.public_half()), "with this id");
  expect_refusal(issue(authority::make_in_memory(now), role::member, now), id, "another CA");
  expect_refusal("", id, "its card");
  expect_refusal(old, id, "has expired");
  auto revoked = std::make_shared<revocation_list>(revocation_list{1, now, {}, {}});
  revoked->identities.emplace(id, now);
  all->revoked()->set(revoked);
  expect_refusal(issue(ca, role::member, now), id, "was revoked");
  CHECK(all->admit(own.to_pem(), id_of(key.public_half()), now));
  expect_refusal("-----BEGIN CERTIFICATE-----", id, "its card");
  expect_refusal(ca.own().to_pem(), id, "certificate");
}

} // namespace certificates_test
