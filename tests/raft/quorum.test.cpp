#include "troupe/raft/quorum.hpp"

#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace quorum_test {

using namespace troupe;
using namespace troupe::raft;
using nlohmann::json;

namespace {

std::set<member_id> seats(const json& list) {
  std::set<member_id> found;
  for (auto& each : list)
    found.insert(member_id{each.get<std::uint64_t>()});
  return found;
}

template <class Value>
std::map<member_id, Value> known(const json& table) {
  std::map<member_id, Value> found;
  for (auto& [seat, value] : table.items())
    if (!value.is_null())
      found.emplace(member_id{std::stoull(seat)}, value.template get<Value>());
  return found;
}

std::string text(election how) {
  return how == election::won ? "won" : how == election::lost ? "lost" : "pending";
}

} // namespace

TEST_CASE("a majority of three has reached what two of them have") {
  std::set<member_id> voters{{1}, {2}, {3}};
  CHECK(agreed<log_index>(voters, {{{1}, 5}, {{2}, 9}}) == 5);
  CHECK(agreed<log_index>(voters, {{{1}, 5}}) == 0);
  CHECK(agreed<log_index>(voters, {{{1}, 5}, {{2}, 9}, {{3}, 7}}) == 7);
}

TEST_CASE("a majority of four is three") {
  std::set<member_id> voters{{1}, {2}, {3}, {4}};
  CHECK(agreed<log_index>(voters, {{{1}, 9}, {{2}, 9}, {{3}, 4}}) == 4);
  CHECK(count(voters, {{{1}, true}, {{2}, true}}) == election::pending);
  CHECK(count(voters, {{{1}, true}, {{2}, true}, {{3}, true}}) == election::won);
  CHECK(count(voters, {{{1}, false}, {{2}, false}}) == election::lost);
}

TEST_CASE("both halves of a joint configuration have to agree") {
  CHECK(agreed<log_index>({{1}, {2}}, {{3}}, {{{1}, 5}, {{2}, 6}}) == 0);
  CHECK(count({{1}}, {{2}}, {{{1}, true}}) == election::pending);
  CHECK(count({{1}}, {{2}}, {{{1}, true}, {{2}, false}}) == election::lost);
}

TEST_CASE("commit index and vote result of every recorded configuration") {
  auto whole = std::filesystem::path{TROUPE_TEST_DATA} / "raft" / "quorum.json";
  auto is_whole = !std::string_view{TROUPE_TEST_DATA}.empty() && std::filesystem::exists(whole);
  auto some = std::filesystem::path{TROUPE_TESTS_DIR} / "data" / "raft" / "quorum.json";
  auto cases = json::parse(std::ifstream{is_whole ? whole : some}).at("cases");
  CHECK(cases.size() == (is_whole ? 73 : 17));
  for (auto& each : cases) {
    INFO(each.dump());
    auto voters = seats(each.at("voters"));
    auto outgoing = seats(each.value("outgoing", json::array()));
    auto is_joint = each.contains("outgoing");
    if (each.at("kind") == "vote") {
      auto votes = known<bool>(each.at("votes"));
      auto found = is_joint ? count(voters, outgoing, votes) : count(voters, votes);
      CHECK(text(found) == each.at("expect").get<std::string>());
      continue;
    }
    auto reached = known<log_index>(each.at("index"));
    auto found = is_joint ? agreed(voters, outgoing, reached) : agreed(voters, reached);
    auto expected = each.at("expect").is_string() ? std::numeric_limits<log_index>::max()
                                                  : each.at("expect").get<log_index>();
    CHECK(found == expected);
  }
}

} // namespace quorum_test
