#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/errc.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"

/// One struct with a field of every shape that a form has to carry, and random
/// values of it.
namespace troupe::test {

enum class colour : std::int16_t { red = -1, green = 300 };

/// Has a text form: "#7".
struct ticket {
  std::uint64_t number = 0;

  friend auto operator<=>(const ticket&, const ticket&) = default;

  friend std::string to_string(const ticket& x) {
    return "#" + std::to_string(x.number);
  }

  static result<ticket> from_string(std::string_view text) {
    if (text.size() < 2 || text.size() > 20 || text.front() != '#')
      return problem{errc::bad_argument, "a ticket is # and a number"};
    ticket read;
    for (auto digit : text.substr(1)) {
      if (digit < '0' || digit > '9')
        return problem{errc::bad_argument, "a ticket is # and a number"};
      read.number = read.number * 10 + static_cast<std::uint64_t>(digit - '0');
    }
    return read;
  }
};

/// Contains itself.
struct tree {
  std::string label;
  std::vector<tree> children;

  friend bool operator==(const tree&, const tree&) = default;
};

struct circle {
  static constexpr std::string_view json_name = "circle";

  double radius = 0;

  friend bool operator==(const circle&, const circle&) = default;
};

struct square {
  std::uint32_t side = 0;

  friend bool operator==(const square&, const square&) = default;
};

using form = std::variant<circle, square>;

struct everything {
  bool flag = false;
  std::int8_t tiny = 0;
  std::uint16_t small = 0;
  std::int32_t whole = 0;
  std::int64_t signed_number = 0;
  std::uint64_t number = 0;
  float ratio = 0;
  double share = 0;
  colour shade = colour::red;
  errc code = errc::none;
  duration span{};
  time_point at{};
  wall_time due{};
  std::string text;
  std::vector<std::byte> bytes;
  std::array<std::byte, 5> key{};
  std::array<std::int16_t, 3> corner{};
  std::pair<std::string, std::uint8_t> two{"", 0};
  std::tuple<bool, std::string, duration> three{false, "", 0};
  std::vector<bool> flags;
  std::deque<problem> problems;
  std::set<std::string> names;
  std::map<std::string, square> squares;
  std::map<std::uint64_t, std::vector<std::string>> lines;
  std::map<ticket, std::int32_t> seats;
  std::optional<std::string> maybe;
  std::optional<square> perhaps;
  std::vector<std::optional<duration>> naps;
  form shape = circle{};
  std::variant<std::string, form, std::vector<form>> nested;
  std::vector<std::pair<ticket, form>> pairs;
  ticket seat;
  tree root;

  friend bool operator==(const everything&, const everything&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, ticket& x) {
  return f.object(x).fields(f.field("number", x.number));
}

template <class Inspector>
bool inspect(Inspector& f, tree& x) {
  return f.object(x).fields(f.field("label", x.label), f.field("children", x.children));
}

template <class Inspector>
bool inspect(Inspector& f, circle& x) {
  return f.object(x).fields(f.field("radius", x.radius));
}

template <class Inspector>
bool inspect(Inspector& f, square& x) {
  return f.object(x).fields(f.field("side", x.side));
}

template <class Inspector>
bool inspect(Inspector& f, everything& x) {
  return f.object(x).fields(
    f.field("flag", x.flag), f.field("tiny", x.tiny), f.field("small", x.small),
    f.field("whole", x.whole), f.field("signed_number", x.signed_number),
    f.field("number", x.number), f.field("ratio", x.ratio), f.field("share", x.share),
    f.field("shade", x.shade), f.field("code", x.code), f.field("span", x.span),
    f.field("at", x.at), f.field("due", x.due), f.field("text", x.text), f.field("bytes", x.bytes),
    f.field("key", x.key), f.field("corner", x.corner), f.field("two", x.two),
    f.field("three", x.three), f.field("flags", x.flags), f.field("problems", x.problems),
    f.field("names", x.names), f.field("squares", x.squares), f.field("lines", x.lines),
    f.field("seats", x.seats), f.field("maybe", x.maybe), f.field("perhaps", x.perhaps),
    f.field("naps", x.naps), f.field("shape", x.shape), f.field("nested", x.nested),
    f.field("pairs", x.pairs), f.field("seat", x.seat), f.field("root", x.root));
}

/// Makes values that reach the ends of their ranges often.
class maker {
public:
  explicit maker(random_source random) : random_(random) {}

  template <class T>
  T whole() {
    constexpr std::array<std::uint64_t, 8> edges{
      0, 1, std::uint64_t(-1), 1ULL << 63U, (1ULL << 63U) - 1, 1ULL << 53U, 1ULL << 31U, 0x80};
    return static_cast<T>(random_.one_in(2) ? edges[random_.below(edges.size())]
                                            : random_.next() >> random_.below(64));
  }

  /// Any finite number, with all bits of its significand in use.
  template <class T>
  T real() {
    for (;;) {
      T value{};
      if constexpr (sizeof(T) == sizeof(std::uint64_t))
        value = std::bit_cast<T>(random_.next());
      else
        value = std::bit_cast<T>(static_cast<std::uint32_t>(random_.next()));
      if (random_.one_in(4))
        value = static_cast<T>(whole<std::int16_t>());
      if (std::isfinite(value))
        return value;
    }
  }

  std::string text() {
    constexpr std::array<std::string_view, 9> pieces{
      "a", "\"", "\\", "\n", std::string_view{"\0", 1}, "é", "漢", "😀", "0123456789abcdef"};
    std::string made;
    for (auto length = random_.below(8); length > 0; --length)
      made += pieces[random_.below(pieces.size())];
    return made;
  }

  template <class List, class Make>
  List many(Make make) {
    List made;
    for (auto length = random_.below(5); length > 0; --length)
      made.insert(made.end(), make());
    return made;
  }

  form any_form() {
    return random_.one_in(2) ? form{circle{real<double>()}} : form{square{whole<std::uint32_t>()}};
  }

  tree any_tree(std::uint64_t depth) {
    tree made{text(), {}};
    if (depth > 0)
      made.children = many<std::vector<tree>>([&] { return any_tree(random_.below(depth)); });
    return made;
  }

  everything all() {
    everything x;
    x.flag = random_.one_in(2);
    x.tiny = whole<std::int8_t>();
    x.small = whole<std::uint16_t>();
    x.whole = whole<std::int32_t>();
    x.signed_number = whole<std::int64_t>();
    x.number = whole<std::uint64_t>();
    x.ratio = real<float>();
    x.share = real<double>();
    x.shade = random_.one_in(2) ? colour::red : static_cast<colour>(whole<std::int16_t>());
    x.code = static_cast<errc>(whole<std::uint8_t>());
    x.span = duration{whole<std::int64_t>()};
    x.at = time_point{duration{whole<std::int64_t>()}};
    x.due = wall_time{duration{whole<std::int64_t>()}};
    x.text = text();
    x.bytes = many<std::vector<std::byte>>([&] { return whole<std::byte>(); });
    for (auto& each : x.key)
      each = whole<std::byte>();
    for (auto& each : x.corner)
      each = whole<std::int16_t>();
    x.two = {text(), whole<std::uint8_t>()};
    x.three = {random_.one_in(2), text(), duration{whole<std::int64_t>()}};
    x.flags = many<std::vector<bool>>([&] { return random_.one_in(2); });
    x.problems = many<std::deque<problem>>([&] { return problem{errc::busy, text()}; });
    x.names = many<std::set<std::string>>([&] { return text(); });
    x.squares = many<std::map<std::string, square>>([&] {
      return std::pair{text(), square{whole<std::uint32_t>()}};
    });
    x.lines = many<decltype(x.lines)>([&] {
      return std::pair{whole<std::uint64_t>(),
                       many<std::vector<std::string>>([&] { return text(); })};
    });
    x.seats = many<decltype(x.seats)>([&] {
      return std::pair{ticket{random_.below(1'000)}, whole<std::int32_t>()};
    });
    if (random_.one_in(2))
      x.maybe = text();
    if (random_.one_in(2))
      x.perhaps = square{whole<std::uint32_t>()};
    x.naps = many<decltype(x.naps)>([&] {
      return random_.one_in(2) ? std::optional<duration>{}
                               : std::optional{duration{whole<std::int64_t>()}};
    });
    x.shape = any_form();
    switch (random_.below(3)) {
      case 0:
        x.nested = text();
        break;
      case 1:
        x.nested = any_form();
        break;
      default:
        x.nested = many<std::vector<form>>([&] { return any_form(); });
    }
    x.pairs = many<decltype(x.pairs)>([&] {
      return std::pair{ticket{random_.below(9)}, any_form()};
    });
    x.seat = {random_.below(1'000'000)};
    x.root = any_tree(4);
    return x;
  }

private:
  random_source random_;
};

/// Returns a tree that is one branch of `depth` nodes.
inline tree branch(std::size_t depth) {
  tree made;
  for (std::size_t level = 1; level < depth; ++level) {
    tree parent;
    parent.children.push_back(std::move(made));
    made = std::move(parent);
  }
  return made;
}

} // namespace troupe::test
