#include "troupe/raft/replica.hpp" // the header under test

#include "troupe/core/codec.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/raft/event_log.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <variant>

namespace change_seat_test {

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using raft::replica;

namespace {

struct older_configuration {
  std::map<raft::member_id, raft::member> members;
  std::set<std::string> kept_out;
  std::uint64_t promotions = 0;

  friend bool operator==(const older_configuration&, const older_configuration&) = default;

  TROUPE_FIELDS(older_configuration, members, kept_out, promotions);
};

/// As a release writes it that knows of no forced removals.
struct older_entry {
  raft::log_index index = 0;
  raft::term_number term = 0;
  raft::group_time at{};
  std::variant<raft::no_op, std::string, older_configuration> what;

  friend bool operator==(const older_entry&, const older_entry&) = default;

  TROUPE_FIELDS(older_entry, index, term, at, what);
};

/// A replica that has founded a group of its own, and a disk that is done at once.
struct founder {
  founder() {
    REQUIRE_FALSE(step(replica::found_group{"here"}));
  }

  /// Returns why it was refused, if it was.
  problem step(const replica::event& what) {
    problem refused;
    replica::effects out;
    self.step(now, ++last_id, what, out);
    while (!out.empty()) {
      replica::effects more;
      for (auto& each : out)
        if (auto* line = std::get_if<replica::write>(&each))
          self.step(now, 0, replica::written{line->number}, more);
        else if (auto* why = std::get_if<replica::refused>(&each))
          refused = why->why;
      out = std::move(more);
    }
    return refused;
  }

  time_point now{1h};
  request_id last_id = 0;
  replica self{raft::member_id{1}, raft::lan(), {}, now};
};

} // namespace

TEST_CASE_METHOD(founder, "a group remembers who is kept out, up to a bound", "[raft]") {
  CHECK(step(replica::keep_out{"b"}).code == errc::none);
  CHECK(self.members().kept_out == std::set<std::string>{"b"});
  CHECK(step(replica::keep_out{"b"}).code == errc::bad_argument);
  CHECK(step(replica::keep_out{""}).code == errc::bad_argument);
  CHECK(step(replica::keep_out{std::string(raft::max_kept_out_bytes + 1, 'x')}).code
        == errc::bad_argument);
  for (std::size_t each = 1; each < raft::max_kept_out; ++each)
    REQUIRE(step(replica::keep_out{std::to_string(each)}).code == errc::none);
  CHECK(step(replica::keep_out{"one more"}).code == errc::limit_reached);
  CHECK(step(replica::let_in{"b"}).code == errc::none);
  CHECK(step(replica::let_in{"b"}).code == errc::not_found);
  CHECK(step(replica::keep_out{"one more"}).code == errc::none);
  CHECK(self.header_at(self.commit_index()).members.kept_out.contains("one more"));
}

TEST_CASE_METHOD(founder, "a group remembers which removals are forced", "[raft]") {
  using names = std::set<std::string>;
  CHECK(step(replica::keep_out{"b", true}).code == errc::none);
  CHECK(self.members().kept_out == names{"b"});
  CHECK(self.members().forced_out == names{"b"});
  CHECK(step(replica::keep_out{"b", true}).code == errc::bad_argument);
  CHECK(step(replica::keep_out{"b"}).code == errc::none); // it is not any more
  CHECK(self.members().forced_out.empty());
  for (std::size_t each = 1; each < raft::max_kept_out; ++each)
    REQUIRE(step(replica::keep_out{std::to_string(each), true}).code == errc::none);
  CHECK(step(replica::keep_out{"b", true}).code == errc::none); // takes no room
  CHECK(self.members().forced_out == self.members().kept_out);
  auto all = raft::size_of({1, 1, {}, self.members()});
  CHECK(step(replica::let_in{"b"}).code == errc::none);
  CHECK(self.members().forced_out == self.members().kept_out);
  CHECK(raft::size_of({1, 1, {}, self.members()}) == all - 2 * 65);
}

TEST_CASE("of members that an older release wrote no removal is forced", "[raft]") {
  raft::entry line{7, 3, {}, raft::configuration{{{{1}, {true, "a@h:1"}}}, {"b"}, 2}};
  older_entry older{7, 3, {}, older_configuration{{{{1}, {true, "a@h:1"}}}, {"b"}, 2}};
  CHECK(from_bytes<raft::entry>(to_bytes(older)) == line);
  std::get<raft::configuration>(line.what).forced_out = {"b"};
  CHECK(from_bytes<raft::entry>(to_bytes(line)) == line);
  CHECK(from_bytes<older_entry>(to_bytes(line)) == older);
}

TEST_CASE_METHOD(founder, "a leader knows since when the members stand in its log, if by itself",
                 "[raft]") {
  auto since = [this] { return self.look(now).members_for; };
  CHECK_FALSE(since()); // it has founded the group, and leads it since
  CHECK(step(replica::keep_out{"b"}).code == errc::none);
  now += 3s;
  CHECK(since() == 3s);
  auto members = self.members();
  auto last = self.last_index();
  CHECK(step(replica::confirm_members{}).code == errc::none);
  CHECK(since() == 0s);
  CHECK(self.members() == members);
  CHECK(self.last_index() == last + 1);
}

TEST_CASE_METHOD(founder, "what is written down of a replica goes on under its new seat",
                 "[raft]") {
  std::ostringstream lines;
  raft::event_log log{lines, self.self(), {}};
  replica::effects out;
  log.made(self, out);
  self.step(now, 0, replica::change_seat{raft::member_id{9}}, out);
  log.made(self, out);
  CHECK_THAT(lines.str(), ContainsSubstring(R"({"node":"1","ev":"seat","now":"9"})"
                                            "\n"
                                            R"({"node":"9","ev":"follower","term":1})"));
}

TEST_CASE("what the old seat was about to acknowledge is not said of the new one", "[raft]") {
  raft::stored_state disk;
  for (std::uint64_t each = 1; each <= 3; ++each)
    disk.base.members.members[{each}] = {true, ""};
  replica follower{raft::member_id{1}, raft::lan(), disk, time_point{}};
  replica::effects out;
  raft::append what{0, 0, 0, {}, 1, {{1, 1, {}, raft::no_op{}}}};
  follower.step(time_point{}, 1, replica::received{{2}, {1, what}}, out);
  REQUIRE(std::holds_alternative<replica::write>(out.back()));
  auto number = std::get<replica::write>(out.back()).number;
  out.clear();
  follower.step(time_point{}, 2, replica::change_seat{raft::member_id{9}}, out);
  follower.step(time_point{}, 3, replica::written{number}, out);
  for (auto& each : out)
    CHECK_FALSE(std::holds_alternative<replica::send>(each));
}

TEST_CASE_METHOD(founder, "a replica with another seat neither leads nor stands", "[raft]") {
  REQUIRE(self.current_role() == raft::role::leader);
  auto term = self.term();
  REQUIRE_FALSE(step(replica::change_seat{raft::member_id{9}}));
  CHECK(self.self() == raft::member_id{9});
  CHECK(self.current_role() == raft::role::follower);
  for (auto each = 0; each < 100; ++each) {
    replica::effects out;
    self.tick(now += 1s, out);
  }
  CHECK(self.current_role() == raft::role::follower);
  CHECK(self.term() == term);
}

} // namespace change_seat_test
