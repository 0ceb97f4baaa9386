// Every struct that is written or sent. Which there are is read from the headers, see list.cmake.

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "written/our_forms.hpp"

using namespace troupe;

namespace {

const std::set<std::string> names{
#include "names.inc"
};

/// Of the structs that the law does not look at.
const std::map<std::string, std::string> reasons{
#include "reasons.inc"
};

const test::findings& all_findings() {
  static const auto found = [] {
    test::findings made;
    for (auto& [about, check] : test::chapters())
      check(made);
    return made;
  }();
  return found;
}

template <class T>
std::vector<std::string> faults_of() {
  test::findings found;
  test::our_law{found}.check<T>();
  return found.faults;
}

// -- structs that break the law ------------------------------------------------------

struct whole {
  int first = 0;
  std::variant<std::string, bool> second;
  std::vector<int> third;

  friend bool operator==(const whole&, const whole&) = default;
};

struct forgetful {
  int first = 0;
  int second = 0;

  friend bool operator==(const forgetful&, const forgetful&) = default;
};

class closed {
  int first_ = 0;
  int second_ = 0;

  template <class Inspector>
  friend bool inspect(Inspector& f, closed& x) {
    return f.object(x).fields(f.field("first", x.first_));
  }
};

struct one_name {
  int first = 0;
  int second = 0;

  friend bool operator==(const one_name&, const one_name&) = default;
};

struct half_compared {
  int first = 0;
  int second = 0;

  friend bool operator==(const half_compared& left, const half_compared& right) {
    return left.first == right.first;
  }
};

struct half_loaded {
  int first = 0;
  int second = 0;

  friend bool operator==(const half_loaded&, const half_loaded&) = default;
};

struct held {
  int first = 0;
  int second = 0;

  friend bool operator==(const held&, const held&) = default;
};

struct holds_one {
  std::optional<std::map<std::string, held>> inside;

  friend bool operator==(const holds_one&, const holds_one&) = default;
};

struct dense {
  std::vector<std::optional<std::array<std::uint64_t, 4>>> elements;

  friend bool operator==(const dense&, const dense&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, dense& x) {
  return f.object(x).fields(f.field("elements", x.elements));
}

template <class Inspector>
bool inspect(Inspector& f, whole& x) {
  return f.object(x).fields(f.field("first", x.first), f.field("second", x.second),
                            f.field("third", x.third));
}

template <class Inspector>
bool inspect(Inspector& f, forgetful& x) {
  return f.object(x).fields(f.field("first", x.first));
}

template <class Inspector>
bool inspect(Inspector& f, one_name& x) {
  return f.object(x).fields(f.field("first", x.first), f.field("first", x.second));
}

template <class Inspector>
bool inspect(Inspector& f, half_compared& x) {
  return f.object(x).fields(f.field("first", x.first), f.field("second", x.second));
}

template <class Inspector>
bool inspect(Inspector& f, half_loaded& x) {
  int lost = 0;
  return f.object(x).fields(f.field("first", x.first),
                            f.field("second", Inspector::is_loading ? lost : x.second));
}

template <class Inspector>
bool inspect(Inspector& f, held& x) {
  return f.object(x).fields(f.field("second", x.second));
}

template <class Inspector>
bool inspect(Inspector& f, holds_one& x) {
  return f.object(x).fields(f.field("inside", x.inside));
}

} // namespace

TEST_CASE("every struct that is written or sent shows all of its fields, and each survives each "
          "form that carries it",
          "[written]") {
  auto& found = all_findings();
  CHECK(found.seen.size() > 250);
  for (auto& each : found.faults)
    FAIL_CHECK(each);
}

TEST_CASE("no struct that is written or sent escapes the law", "[written]") {
  auto seen = [](const std::string& name) { return all_findings().seen.contains(name); };
  CHECK(names.size() > 250);
  for (auto& name : names)
    if (!seen(name) && !reasons.contains(name))
      FAIL_CHECK(name << " is not looked at: check it where what holds it is checked, or name it "
                         "in tests/written/left_out.txt with the reason");
  for (auto& [name, reason] : reasons) {
    INFO(reason);
    if (!names.contains(name) || seen(name))
      FAIL_CHECK(name << " need not be left out any more");
  }
}

TEST_CASE("the law finds a field that is left out, wherever its struct is held", "[written]") {
  using faults = std::vector<std::string>;
  auto more = [](const std::string& name) {
    return faults{name + ": inspect shows 1 fields, and it has more"};
  };
  CHECK(faults_of<whole>().empty());
  CHECK(faults_of<forgetful>() == more(test::name_of_type<forgetful>()));
  CHECK(faults_of<holds_one>() == more(test::name_of_type<held>()));
  CHECK(
    faults_of<closed>()
    == faults{test::name_of_type<closed>() + ": inspect shows 1 fields, and they do not cover it"});
}

TEST_CASE("the law finds a field that a form loses or that is not compared", "[written]") {
  using faults = std::vector<std::string>;
  CHECK(faults_of<half_compared>()
        == faults{test::name_of_type<half_compared>()
                  + ".second: changed, it compares equal to what it was"});
  CHECK(faults_of<half_loaded>().size() == 3); // one for each form
  auto twice = faults_of<one_name>();          // all is well where names do not matter
  CHECK(twice.size() == 4);
  CHECK(std::ranges::none_of(twice, [](auto& each) { return each.ends_with("our binary form"); }));
}

TEST_CASE("the law finds a list that takes more memory than its bytes may", "[written]") {
  auto found = faults_of<dense>();
  REQUIRE(found.size() == 1);
  CHECK(found[0].ends_with("an element is 1 bytes, and 40 in memory"));
}
