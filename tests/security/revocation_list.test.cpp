#include "troupe/security/revocation_list.hpp" // a header under test
#include "troupe/security/enforced_revocations.hpp"
#include "troupe/security/setup.hpp" // another

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include <sys/stat.h>

#include "support/temporary_folder.hpp"
#include "troupe/core/hex.hpp"
#include "troupe/platform/calendar.hpp"

namespace revocation_list_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::security;
using Catch::Matchers::ContainsSubstring;

namespace {

const wall_time now = read_calendar();

revocation_list small_list() {
  revocation_list made{7, now, {{"0a1b", now}}, {}};
  made.identities.emplace(id_of(key_pair::make().public_half()), now - 1h);
  return made;
}

/// A list with so many certificates.
revocation_list list_of(std::size_t count) {
  revocation_list made{1, now, {}, {}};
  for (std::size_t each = 0; each < count; ++each) {
    auto serial = std::to_string(each);
    made.certificates.emplace(std::string(32 - serial.size(), '0') + serial, now);
  }
  return made;
}

/// A node that has made a CA of its own in its data folder.
struct founder {
  founder() {
    REQUIRE(self);
    REQUIRE(ca);
    REQUIRE(book);
  }

  result<facts> issue(const std::string& name) {
    return issue_into(folder / name, *ca, *book, {name, role::member, rights::use}, now);
  }

  /// Called by its name, or by the serial of a certificate.
  auto find(const std::string& called) {
    return book->find(called, now);
  }

  auto renew(const std::filesystem::path& into, const std::string& called) {
    return renew_into(into, *ca, *book, find(called)->last, now);
  }

  auto revoke(const std::string& called, wall_time when = now) {
    return security::revoke(data, *ca, *book, *find(called), when);
  }

  result<revocation_list> list() {
    return load_revocation_list(data, ca->key());
  }

  test::temporary_folder folder;
  std::filesystem::path data = folder / "data";
  std::filesystem::path list_file = data / "revoked.list";
  result<facts> self = make_own_authority(data, key_pair::make(), "n0", now);
  result<authority> ca = authority::load(data / "ca");
  result<certificate_register> book = certificate_register::open(data / "ca");
};

/// Signed as a CA does it, whatever is in it.
std::string signed_by(const key_pair& key, const std::string& list) {
  return to_bytes(signed_revocation_list{list, key.sign(security::detail::to_be_signed(list))});
}

} // namespace

SCENARIO("who has a CA's key in hand believes its lists of revoked certificates, and no others",
         "[security]") {
  GIVEN("a list that a CA has signed") {
    test::temporary_folder folder;
    auto ca = authority::make(folder / "ca", now);
    REQUIRE(ca);
    auto list = small_list();
    auto bytes = ca->sign(list);
    THEN("it says what was revoked") {
      auto read = read_revocation_list(bytes, ca->key());
      REQUIRE(read);
      CHECK(*read == list);
      facts who;
      CHECK_FALSE(read->since(who));
      who.serial = "0a1b";
      CHECK(read->since(who) == now);
      who.serial = "0a1c";
      CHECK_FALSE(read->since(who));
      who.node = list.identities.begin()->first;
      CHECK(read->since(who) == now - 1h);
    }
    THEN("it is not a list of another CA") {
      auto other = authority::make(folder / "other", now);
      REQUIRE(other);
      auto read = read_revocation_list(bytes, other->key());
      REQUIRE_FALSE(read);
      CHECK(read.error().code == errc::bad_argument);
    }
    THEN("cut short anywhere, or with anything behind it, it is refused") {
      for (std::size_t size = 0; size < bytes.size(); ++size)
        CHECK_FALSE(read_revocation_list(std::string_view{bytes}.substr(0, size), ca->key()));
      CHECK_FALSE(read_revocation_list(bytes + '\0', ca->key()));
    }
    THEN("changed anywhere it is refused") {
      for (std::size_t at = 0; at < bytes.size(); ++at) {
        auto changed = bytes;
        changed[at] = static_cast<char>(changed[at] ^ 1);
        CHECK_FALSE(read_revocation_list(changed, ca->key()));
      }
    }
    THEN("a signature of the same bytes for another purpose does not count") {
      auto key = key_pair::make();
      auto body = to_bytes(list);
      CHECK(read_revocation_list(signed_by(key, body), key.public_half()));
      CHECK_FALSE(read_revocation_list(to_bytes(signed_revocation_list{body, key.sign(body)}),
                                       key.public_half()));
    }
  }
  GIVEN("a CA that signs what it should not") {
    auto key = key_pair::make();
    auto code_of = [&](const std::string& list) {
      return read_revocation_list(signed_by(key, list), key.public_half()).error_or().code;
    };
    THEN("what no list has is refused") {
      CHECK(code_of(to_bytes(small_list())) == errc::none);
      CHECK(code_of("") == errc::damaged);
      CHECK(code_of("no list") == errc::damaged);
      for (auto* serial : {"", "0A", "x", "00112233445566778899aabbccddeeff001122334"}) {
        CAPTURE(serial);
        auto list = small_list();
        list.certificates.emplace(serial, now);
        CHECK(code_of(to_bytes(list)) == errc::damaged);
      }
      auto unnumbered = small_list();
      unnumbered.number = 0;
      CHECK(code_of(to_bytes(unnumbered)) == errc::damaged);
    }
    THEN("10,000 entries are read, and one more is refused") {
      CHECK(code_of(to_bytes(list_of(revocation_list::max_entries))) == errc::none);
      CHECK(code_of(to_bytes(list_of(revocation_list::max_entries + 1))) == errc::damaged);
    }
    THEN("more than 1 MiB is refused") {
      CHECK(code_of(std::string(revocation_list::max_bytes, 'x')) == errc::too_large);
    }
  }
}

SCENARIO("what a CA revokes is in a list beside it", "[security]") {
  GIVEN("a CA that has issued a certificate") {
    founder here;
    auto issued = here.issue("n1");
    REQUIRE(issued);
    CHECK(here.list().error().code == errc::not_found);
    WHEN("that is revoked by its serial") {
      REQUIRE(here.find(issued->serial));
      REQUIRE(here.revoke(issued->serial));
      THEN("the list has that certificate, and its file is private") {
        auto list = here.list();
        REQUIRE(list);
        CHECK(list->number == 1);
        CHECK(list->since(*issued) == now);
        CHECK(list->identities.empty());
        struct stat about {};
        REQUIRE(::stat(here.list_file.c_str(), &about) == 0);
        CHECK((about.st_mode & 0777) == 0600);
      }
      THEN("another certificate of that identity can be issued") {
        auto again = here.renew(here.folder / "n1", issued->serial);
        REQUIRE(again);
        CHECK(again->node == issued->node);
        CHECK_FALSE(here.list()->since(*again));
      }
    }
    WHEN("that is revoked, and another one where the clock of the CA is days ahead") {
      REQUIRE(here.revoke(issued->serial));
      auto other = here.issue("n2");
      REQUIRE(other);
      auto list_at = [&](duration late) {
        REQUIRE(here.revoke(other->serial, now + late));
        return *here.list();
      };
      constexpr auto year = 24h * 365;
      THEN("the list still has the first one, which is valid for whoever has the right time") {
        CHECK(list_at(year + 48h).since(*issued) == now);
        CHECK(list_at(year + 24h * 29).since(*issued) == now);
      }
      THEN("the list lacks it a month after its end") {
        CHECK_FALSE(list_at(year + 24h * 31).since(*issued));
      }
    }
    WHEN("all of the identity is revoked, by its name") {
      REQUIRE(here.find("n1"));
      REQUIRE(here.revoke("n1"));
      THEN("the list has the identity, and no other certificate is issued for that") {
        CHECK(here.list()->identities.contains(issued->node));
        auto again = here.renew(here.folder / "n1", "n1");
        CHECK_THAT(again.error_or().detail, ContainsSubstring("was revoked"));
      }
      THEN("each list has a higher number than all before, also of a register that lacks some") {
        CHECK(here.revoke("n1")->number == 2);
        auto list = *here.list();
        list.number = 9; // as the cluster knows it
        list.certificates.emplace("aa", now);
        REQUIRE(storage::write_private(here.list_file, here.ca->sign(list)));
        auto next = here.revoke("n1");
        REQUIRE(next);
        CHECK(next->number == 10);
        CHECK(next->certificates.contains("aa"));
        std::filesystem::remove(here.list_file);
        CHECK(here.revoke("n1")->number == 11);
      }
      THEN("a list that cannot be read is not replaced") {
        std::ofstream{here.list_file} << "no list";
        auto refused = here.revoke("n1");
        REQUIRE_FALSE(refused);
        CHECK_THAT(refused.error().detail, ContainsSubstring("remove the file"));
      }
    }
  }
}

TEST_CASE("who is refused as revoked hears how to be admitted again", "[security]") {
  enforced_revocations known;
  facts bob{.name = "bob", .serial = "0a1b"};
  CHECK(known.refusal(bob).empty());
  known.set(std::make_shared<const revocation_list>(small_list()));
  // Another certificate for the same key would be refused, if its identity is revoked.
  CHECK_THAT(known.refusal(bob), ContainsSubstring("make a new identity"));
  bob.serial = "0a1c";
  CHECK(known.refusal(bob).empty());
}

TEST_CASE("a certificate is renewed for the same key, into no other identity's folder",
          "[security]") {
  test::temporary_folder folder;
  auto ca = authority::make(folder / "ca", now);
  auto book = certificate_register::open(folder / "ca");
  REQUIRE(ca);
  REQUIRE(book);
  auto first = issue_into(folder / "n1", *ca, *book, {"n1", role::client, rights::read}, now);
  REQUIRE(issue_into(folder / "n2", *ca, *book, {"n2", role::member, rights::use}, now));
  auto which = book->find("n1", now)->last;
  auto renewed = renew_into(folder / "n1", *ca, *book, which, now + 24h);
  REQUIRE(renewed);
  CHECK(renewed->node == first->node);
  CHECK(renewed->as == role::client);
  CHECK(renewed->may == rights::read);
  CHECK(renewed->serial != first->serial);
  CHECK(renewed->valid_until == first->valid_until + 24h);
  CHECK((*credentials::load(folder / "n1", now + 24h))->self() == *renewed);
  CHECK(renew_into(folder / "n2", *ca, *book, which, now).error().code == errc::in_use);
  // Also one that has no certificate yet.
  std::filesystem::remove(folder / "n2" / "node.pem");
  CHECK(renew_into(folder / "n2", *ca, *book, which, now).error().code == errc::in_use);
  REQUIRE(renew_into(folder / "new", *ca, *book, which, now));
  CHECK_FALSE(std::filesystem::exists(folder / "new" / "identity.key"));
}

TEST_CASE("a list that is full is not made longer, and nothing is revoked then", "[security]") {
  founder here;
  auto issued = here.issue("n1");
  REQUIRE(issued);
  auto put = [&](std::size_t count) {
    REQUIRE(storage::write_private(here.list_file, here.ca->sign(list_of(count))));
  };
  put(revocation_list::max_entries);
  CHECK(here.revoke(issued->serial).error_or().code == errc::limit_reached);
  CHECK_FALSE(here.book->revoked_since(here.find(issued->serial)->last));
  put(revocation_list::max_entries - 1);
  REQUIRE(here.revoke(issued->serial));
  CHECK(here.list()->size() == revocation_list::max_entries);
}

TEST_CASE("a copy of a CA without its list revokes what it has revoked", "[security]") {
  founder here;
  auto issued = here.issue("n1");
  REQUIRE(issued);
  CHECK(complete_revocations(here.data, now) == result<bool>{false}); // there is nothing
  REQUIRE(here.revoke(issued->serial));
  auto revoked = here.revoke(issued->serial);
  REQUIRE(revoked);
  CHECK(complete_revocations(here.data, now) == result<bool>{false}); // it says so
  std::filesystem::remove(here.list_file);
  CHECK(complete_revocations(here.data, now + 1h) == result<bool>{true});
  auto again = here.list();
  REQUIRE(again);
  CHECK(again->since(*issued) == now);
  CHECK(again->number > revoked->number); // as members may have another one with that
  CHECK(complete_revocations(here.data, now) == result<bool>{false});
  auto other = list_of(2); // older, and revokes others
  other.number = 1;
  REQUIRE(storage::write_private(here.list_file, here.ca->sign(other)));
  CHECK(complete_revocations(here.data, now) == result<bool>{true});
  CHECK(here.list()->size() == 3);
  REQUIRE(storage::write_private(here.list_file, "damaged"));
  CHECK_FALSE(complete_revocations(here.data, now));
}

TEST_CASE("a node knows that it would exclude itself", "[security]") {
  founder here;
  REQUIRE(here.renew(here.data, "n0"));
  auto second = facts_of(*certificate::load(here.data / "node.pem"));
  REQUIRE(second);
  auto other = here.issue("n1");
  REQUIRE(other);
  auto excludes
    = [&](const std::string& called) { return excludes_own_node(here.data, *here.find(called)); };
  CHECK(excludes("n0"));
  CHECK(excludes(second->serial));
  CHECK_FALSE(excludes(here.self->serial)); // which it does not use any more
  CHECK_FALSE(excludes("n1"));
  CHECK_FALSE(excludes(other->serial));
}

} // namespace revocation_list_test
