#include "troupe/security/certificate_register.hpp" // a header under test
#include "troupe/security/setup.hpp"                // another

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/file_limit.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/platform/calendar.hpp"

namespace certificate_register_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::security;
using Catch::Matchers::ContainsSubstring;

namespace {

const wall_time now = read_calendar();

issued_certificate made(const std::string& serial, const std::string& name, const key_pair& key,
                        duration lasts = 1h) {
  auto& known = key.public_half();
  return {serial, name, id_of(known), known, role::member, rights::use, now - 5min, now + lasts};
}

} // namespace

SCENARIO("a CA remembers what it has issued and revoked", "[security]") {
  GIVEN("a register with two certificates of one identity and one of another") {
    test::temporary_folder folder;
    auto ann = key_pair::make();
    auto bob = key_pair::make();
    auto first = made("aa", "ann", ann);
    auto second = made("ab", "ann", ann, 2h);
    auto third = made("bb", "bob", bob);
    {
      auto book = certificate_register::open(folder.path());
      REQUIRE(book);
      for (auto& each : {first, second, third})
        REQUIRE(book->enter(each));
    }
    auto book = certificate_register::open(folder.path());
    REQUIRE(book);
    THEN("it has them when it is read again, in their order") {
      CHECK(book->issued() == std::vector{first, second, third});
      CHECK_FALSE(book->revoked_since(first));
      CHECK(book->last_number() == 0);
    }
    THEN("a name means the last one of its identity, also if that has another name since") {
      auto renamed = made("ac", "anna", ann, 3h);
      renamed.may = rights::read;
      REQUIRE(book->enter(renamed));
      CHECK(book->find("ann", now)->last == renamed);
      CHECK(book->find("anna", now)->last == renamed);
      CHECK(book->find("ab", now)->last == second);
    }
    THEN("a name means the last one of its identity, a serial that one") {
      auto by_name = book->find("ann", now);
      REQUIRE(by_name);
      CHECK(by_name->last == second);
      CHECK_FALSE(by_name->by_serial);
      auto by_serial = book->find("aa", now);
      REQUIRE(by_serial);
      CHECK(by_serial->last == first);
      CHECK(by_serial->by_serial);
      CHECK(book->find("eve", now).error().code == errc::not_found);
      CHECK(book->find("bob", now + 2h)->last == third); // it has ended, and can be renewed
    }
    THEN("a node id, or a beginning of four digits, means all of that identity") {
      auto id = to_string(first.node);
      for (auto& called : {id, id.substr(0, 8), id.substr(0, 4)}) {
        CAPTURE(called);
        auto found = book->find(called, now);
        REQUIRE(found);
        CHECK(found->last == second);
        CHECK_FALSE(found->by_serial);
      }
      CHECK(book->find(id.substr(0, 3), now).error().code == errc::not_found);
      CHECK(book->find(id + '0', now).error().code == errc::not_found);
      CHECK(book->find(id, now + 3h)->last == second); // it has ended
    }
    THEN("whoever chose the id of another for a name does not take its place") {
      auto id = to_string(first.node);
      REQUIRE(book->enter(made("ee", id, key_pair::make())));
      CHECK(book->find(id, now)->last == second);
      REQUIRE(book->enter(made("ef", id.substr(0, 8), key_pair::make())));
      CHECK(book->find(id.substr(0, 8), now).error().code == errc::bad_argument);
    }
    THEN("it is read while it is open, and by those who may not write") {
      auto seen = known_certificates::read(folder.path());
      REQUIRE(seen);
      CHECK(seen->issued() == book->issued());
      CHECK(known_certificates::read(folder / "none")->issued().empty());
      CHECK_FALSE(std::filesystem::exists(folder / "none"));
    }
    THEN("a name that two identities have means neither of them") {
      REQUIRE(book->enter(made("cc", "bob", key_pair::make())));
      auto found = book->find("bob", now);
      REQUIRE_FALSE(found);
      CHECK(found.error().code == errc::bad_argument);
      CHECK_THAT(found.error().detail, ContainsSubstring("bb") && ContainsSubstring("cc"));
      REQUIRE(book->enter(revocation{{}, third.node, now, 1}));
      CHECK(book->find("bob", now)->last.serial == "cc"); // the only one that is valid
    }
    WHEN("one certificate is revoked") {
      REQUIRE(book->enter(revocation{"aa", first.node, now, 7}));
      THEN("the others of the identity are not, also when it is read again") {
        for (auto again : {false, true}) {
          CAPTURE(again);
          if (again) {
            book = problem{errc::busy, {}}; // one at a time has the file
            book = certificate_register::open(folder.path());
          }
          CHECK(book->revoked_since(first) == now);
          CHECK_FALSE(book->revoked_since(second));
          CHECK_FALSE(book->revoked_since(first.node));
          CHECK(book->last_number() == 7);
        }
      }
      THEN("the list has it until it has ended") {
        CHECK(book->list({}, now).certificates == std::map<std::string, wall_time>{{"aa", now}});
        CHECK(book->list({}, now + 61min).size() == 0);
      }
    }
    WHEN("what was revoked later has a lower number, as in a register that was put together") {
      REQUIRE(book->enter(revocation{"aa", first.node, now, 7}));
      REQUIRE(book->enter(revocation{"bb", third.node, now, 3}));
      THEN("the highest number counts") {
        CHECK(book->last_number() == 7);
      }
    }
    WHEN("an identity is revoked") {
      REQUIRE(book->enter(revocation{"aa", first.node, now, 1}));
      REQUIRE(book->enter(revocation{{}, first.node, now + 1s, 2}));
      THEN("all of its certificates are, and the list names it once, until the last has ended") {
        CHECK(book->revoked_since(second) == now + 1s);
        CHECK_FALSE(book->revoked_since(third));
        auto list = book->list({}, now + 61min);
        CHECK(list.certificates.empty());
        CHECK(list.identities == std::map<node_id, wall_time>{{first.node, now + 1s}});
        CHECK(book->list({}, now).certificates.empty()); // "aa" has not ended
        CHECK(book->list({}, now + 3h).size() == 0);
        REQUIRE(book->enter(made("ac", "ann", ann, 30min))); // ends before the one before it
        CHECK(book->list({}, now + 61min).identities == list.identities);
      }
      THEN("whom the register does not know is revoked by its whole id only") {
        auto stranger = node_id::from_string(std::string(64, 'a')).value();
        CHECK(book->find(to_string(stranger), now).error().code == errc::not_found);
        auto found = book->find_to_revoke(to_string(stranger), now);
        REQUIRE(found);
        CHECK(found->last.node == stranger);
        CHECK_FALSE(found->by_serial);
        CHECK(book->find_to_revoke("aaaaaaaaaaaa", now).error().code == errc::not_found);
        CHECK(book->find_to_revoke("ann", now)->last == second);
        REQUIRE(book->enter(revocation{{}, stranger, now, 7}));
        CHECK(book->list({}, now).identities.contains(stranger));
      }
      THEN("its name still means it, so that it can be said again") {
        CHECK(book->find("ann", now)->last == second);
      }
    }
    THEN("what an earlier list revokes stays in the next one, unless it is known to have ended") {
      revocation_list before;
      before.certificates = {{"bb", now}, {"dd", now}};
      before.identities = {{first.node, now}};
      auto list = book->list(before, now + 61min);
      CHECK(list.certificates == std::map<std::string, wall_time>{{"dd", now}});
      CHECK(list.identities == before.identities);
    }
  }
  GIVEN("a register with a line that cannot be read") {
    test::temporary_folder folder;
    REQUIRE(certificate_register::open(folder.path())->enter(made("aa", "ann", key_pair::make())));
    for (auto* line : {"no json", "{}", R"({"issued":{},"revoked":{}})"}) {
      THEN(std::string{"it is refused, with the place: "} + line) {
        std::ofstream{folder / "issued.jsonl", std::ios::app} << line << '\n';
        auto book = certificate_register::open(folder.path());
        REQUIRE_FALSE(book);
        CHECK(book.error().code == errc::damaged);
        CHECK_THAT(book.error().detail, ContainsSubstring("line 2"));
        CHECK(known_certificates::read(folder.path()).error().code == errc::damaged);
      }
    }
  }
}

TEST_CASE("a certificate is in the register before anyone has it", "[security]") {
  test::temporary_folder folder;
  auto key = key_pair::make();
  REQUIRE(make_own_authority(folder.path(), key, "n0", now)); // makes the CA
  auto ca = authority::load(folder / "ca");
  REQUIRE(ca);
  auto book = certificate_register::open(folder / "ca");
  REQUIRE(book);
  REQUIRE(book->issued().size() == 1);
  CHECK(book->issued().front().name == "n0");
  auto issued = issue_into(folder / "n1", *ca, *book, {"n1", role::client, rights::read}, now);
  REQUIRE(issued);
  REQUIRE(book->issued().size() == 2);
  auto& entry = book->issued().back();
  CHECK(entry.serial == issued->serial);
  CHECK(entry.node == issued->node);
  CHECK(id_of(entry.key) == issued->node);
  CHECK(entry.valid_until == issued->valid_until);
  REQUIRE(book->enter(revocation{{}, issued->node, now, 1}));
  auto again = issue_into(folder / "n1", *ca, *book, {"n1", role::client, rights::read}, now);
  REQUIRE_FALSE(again);
  CHECK_THAT(again.error().detail, ContainsSubstring("was revoked"));
  CHECK(book->issued().size() == 2);
}

TEST_CASE("what the register of a CA cannot take is no certificate", "[security]") {
  test::temporary_folder folder;
  REQUIRE(make_own_authority(folder.path(), key_pair::make(), "n0", now));
  auto ca = authority::load(folder / "ca");
  REQUIRE(ca);
  auto book = certificate_register::open(folder / "ca");
  REQUIRE(book);
  // A longer file than those of a key and certificates, for the limit to meet this one alone.
  while (std::filesystem::file_size(folder / "ca" / certificate_register::file_name) < 8'192)
    REQUIRE(issue_entered(*ca, *book, key_pair::make().public_half(), {.name = "other"}, now));
  auto before = book->issued().size();
  {
    test::file_limit full{
      std::filesystem::file_size(folder / "ca" / certificate_register::file_name)};
    CHECK_FALSE(issue_into(folder / "n1", *ca, *book, {"n1", role::client, rights::read}, now));
  }
  CHECK(book->issued().size() == before);
  CHECK_FALSE(std::filesystem::exists(folder / "n1" / identity_certificate_file));
  CHECK(issue_into(folder / "n1", *ca, *book, {"n1", role::client, rights::read}, now));
}

} // namespace certificate_register_test
