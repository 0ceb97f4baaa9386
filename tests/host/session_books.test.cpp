#include "troupe/host/detail/session_books.hpp"
#include "troupe/lock/lock_table.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <variant>

namespace {

using namespace troupe;
using host::call;
using host::host_rules;
using host::service_rules;
using host::session_id;
using books = host::detail::session_books<lock::lock_table>;

constexpr service_rules first_rules{host_rules::first, 1};
constexpr service_rules chosen_sessions{host_rules::begin_with_command, 1};
constexpr service_rules owned_sessions{host_rules::sessions_have_owners, 1};
constexpr service_rules all_rules{host_rules::sessions_are_shared, 1};
constexpr session_id opened{5};
constexpr session_id chosen{session_id::chosen | 7U};

books by(service_rules rules) {
  books made;
  made.use_rules(rules);
  return made;
}

bool carries_out(books& it, const call& who, request_id index, const std::string& asker) {
  return std::holds_alternative<books::carry_out>(it.take(who, index, asker));
}

} // namespace

TEST_CASE("an identity owns what it opens once the rules say so", "[host]") {
  auto earlier = by(chosen_sessions);
  CHECK(earlier.open(opened, 1, "ann") == opened);
  CHECK(earlier.owner_of(opened).empty());
  CHECK(earlier.contains(opened, "bob"));
  CHECK(carries_out(earlier, {opened, 1}, 6, "bob"));

  auto now = by(all_rules);
  CHECK(now.open(opened, 1, "ann") == opened);
  CHECK(now.owner_of(opened) == "ann");
  CHECK(now.contains(opened, "ann"));
  for (const std::string other : {"bob", ""}) {
    CHECK_FALSE(now.contains(opened, other));
    CHECK_FALSE(now.is_new({opened, 1}, 6, other));
    CHECK_FALSE(carries_out(now, {opened, 1}, 6, other));
    CHECK(now.close(opened, 6, other).empty());
  }
  CHECK(now.is_new({opened, 1}, 6, "ann"));
  CHECK(carries_out(now, {opened, 1}, 6, "ann"));
}

TEST_CASE("what is everyone's by the earlier rules stays so", "[host]") {
  auto it = by(chosen_sessions);
  CHECK(it.open(opened, 1, "ann") == opened);
  it.use_rules(all_rules);
  CHECK(it.contains(opened, "bob"));
  CHECK(it.open({9}, 1, "bob") == opened); // as the opening may be repeated after the change
}

TEST_CASE("a session begins with its first command once the rules say so", "[host]") {
  const call begins{chosen, 1, 0, 3};
  auto earlier = by(first_rules);
  CHECK_FALSE(earlier.is_new(begins, 6, "ann"));
  CHECK_FALSE(carries_out(earlier, begins, 6, "ann"));
  CHECK(earlier.by_the_rules(begins).begins_after == 0);

  auto now = by(all_rules);
  CHECK(now.by_the_rules(begins).begins_after == 3);
  CHECK(now.is_new(begins, 6, "ann"));
  CHECK(carries_out(now, begins, 6, "ann"));
  CHECK(now.owner_of(chosen) == "ann");
}

TEST_CASE("sessions are bounded also by the rules under which nobody has a share", "[host]") {
  auto it = by(chosen_sessions);
  for (std::uint64_t each = 1; each <= books::max_sessions; ++each)
    REQUIRE(it.open({each}, 0, "ann"));
  auto one_more = it.open({books::max_sessions + 1}, 0, "ann");
  REQUIRE_FALSE(one_more);
  CHECK(one_more.error().code == errc::limit_reached);
  CHECK(it.all().size() == books::max_sessions);
}

TEST_CASE("an identity gets another session while it has fewer than are free", "[host]") {
  auto it = by(all_rules);
  std::uint64_t last = 0;
  auto open_all = [&](const std::string& who) {
    std::size_t count = 0;
    for (;; ++count)
      if (auto made = it.open({++last}, 0, who); !made) {
        CHECK(made.error().code == errc::limit_reached);
        return count;
      }
  };
  CHECK(open_all("ann") == books::max_sessions / 2);
  const call begins{{session_id::chosen | 1U}, 1, 0, 3};
  CHECK_FALSE(it.is_new(begins, 6, "ann"));
  CHECK(std::get<problem>(it.take(begins, 6, "ann")).code == errc::limit_reached);
  SECTION("so that there are some for others") {
    CHECK(it.is_new(begins, 6, "bob"));
    CHECK(carries_out(it, begins, 6, "bob"));
    CHECK(open_all("bob") == books::max_sessions / 4 - 1);
    CHECK(open_all("") > 0); // who is unknown has no share
    CHECK(it.all().size() == books::max_sessions);
  }
  SECTION("and one for each that it ends") {
    for (std::uint64_t each = 1; each <= 2; ++each)
      static_cast<void>(it.close({each}, 7, "ann"));
    CHECK(it.open({++last}, 0, "ann"));
    CHECK(it.open({++last}, 0, "ann"));
    CHECK_FALSE(it.open({++last}, 0, "ann"));
  }
  SECTION("also after a snapshot") {
    books restored{it.all(), it.ended(), all_rules};
    CHECK_FALSE(restored.open({++last}, 0, "ann"));
    CHECK(restored.open({++last}, 0, "bob"));
  }
  SECTION("and not by the earlier rules") {
    books earlier{it.all(), it.ended(), owned_sessions};
    CHECK(earlier.open({++last}, 0, "ann"));
  }
}

TEST_CASE("restored books decide by the same rules", "[host]") {
  auto it = by(all_rules);
  CHECK(it.open(opened, 1, "ann") == opened);
  const books restored{it.all(), it.ended(), all_rules};
  CHECK(restored.contains(opened, "ann"));
  CHECK_FALSE(restored.contains(opened, "bob"));
}
