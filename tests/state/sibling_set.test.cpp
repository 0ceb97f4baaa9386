// Replays histories of replicated registers, see tests/data/crdt/README.md.

#include "troupe/state/sibling_set.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace sibling_set_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::state;

namespace {

/// Understands the traces of registers.
class register_replicas {
public:
  /// Carries out one line, or checks what it claims. Returns whether it was a check.
  bool take(const std::string& line) {
    history_.push_back(sets_);
    std::istringstream in{line};
    std::string who;
    std::string verb;
    in >> who >> verb;
    if (who == "type")
      type_ = verb == "lww" ? value_type::lww_register : value_type::mv_register;
    else if (verb == "set")
      write(who, in);
    else if (verb == "<-")
      merge(who, in);
    else if (verb == "?")
      return compare_clocks(who, in);
    else if (verb == "=")
      return look(who, line.substr(line.find('=') + 1));
    else if (who == "replicas")
      for (int each = 0; each < std::stoi(verb); ++each)
        sets_[std::string(1, static_cast<char>('a' + each))];
    else
      FAIL("unknown line: " << line);
    return false;
  }

private:
  void write(const std::string& who, std::istream& in) {
    std::string text;
    std::int64_t stamp = 0;
    in >> text >> stamp;
    auto& set = sets_.at(who);
    entry what;
    what.value = to_value(text);
    what.replica = who;
    what.version = set.clock.count_of(who) + 1;
    what.context = set.clock;
    what.written_at = wall_time{duration{stamp}};
    add_write(set, what, type_);
  }

  void merge(const std::string& who, std::istream& in) {
    std::string from;
    in >> from;
    auto at = from.find('@');
    if (at == std::string::npos)
      return join(sets_.at(who), sibling_set{sets_.at(from)}, type_);
    auto line = std::stoul(from.substr(at + 1)); // as it was before the line after it
    join(sets_.at(who), history_.at(line).at(from.substr(0, at)), type_);
  }

  bool compare_clocks(const std::string& who, std::istream& in) {
    std::string other;
    std::string equals;
    std::string order;
    in >> other >> equals >> order;
    CHECK(name_of(compare(sets_.at(who).clock, sets_.at(other).clock)) == order);
    return true;
  }

  bool look(const std::string& who, const std::string& expected) {
    for (auto& [name, set] : sets_)
      if (who == "all" || who == name)
        CHECK(shown(set) == nlohmann::json::parse(expected));
    return true;
  }

  [[nodiscard]] nlohmann::json shown(const sibling_set& set) const {
    std::set<std::string> texts;
    for (auto& each : set.entries)
      texts.insert(to_text(each.value));
    if (type_ == value_type::mv_register)
      return texts;
    return texts.empty() ? nlohmann::json{} : nlohmann::json{*texts.begin()}.at(0);
  }

  value_type type_ = value_type::lww_register;
  std::map<std::string, sibling_set> sets_;
  std::vector<std::map<std::string, sibling_set>> history_;
};

std::filesystem::path folder() {
  auto whole = std::filesystem::path{TROUPE_TEST_DATA} / "crdt";
  return std::string_view{TROUPE_TEST_DATA}.empty() || !std::filesystem::exists(whole)
           ? std::filesystem::path{TROUPE_TESTS_DIR} / "data" / "crdt"
           : whole;
}

} // namespace

TEST_CASE("registers show what their histories say", "[state][siblings]") {
  int files = 0;
  int checks = 0;
  for (auto& file : std::filesystem::directory_iterator{folder()}) {
    auto name = file.path().filename().string();
    if (!name.starts_with("lww-") && !name.starts_with("mvreg-"))
      continue;
    ++files;
    register_replicas replicas;
    std::ifstream in{file.path()};
    std::string line;
    for (int number = 1; std::getline(in, line); ++number) {
      INFO(name << ":" << number << ": " << line);
      checks += replicas.take(line) ? 1 : 0;
    }
  }
  CHECK(files >= 4);
  CHECK(checks > 10 * files);
}

} // namespace sibling_set_test
