#include "troupe/core/fields.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "troupe/core/codec.hpp"
#include "troupe/core/json.hpp"
#include "troupe/core/msgpack.hpp"

namespace fields_test {

using namespace std::literals;
using namespace troupe;

namespace {

struct ticket {
  std::uint64_t number = 0;
  std::string holder;
  std::vector<std::string> colours;

  bool operator==(const ticket&) const = default;

  TROUPE_FIELDS(ticket, number, holder, colours);
};

/// The same by hand.
struct written_out {
  std::uint64_t number = 0;
  std::string holder;
  std::vector<std::string> colours;
};

template <class Inspector>
bool inspect(Inspector& f, written_out& x) {
  return f.object(x).fields(f.field("number", x.number), f.field("holder", x.holder),
                            f.field("colours", x.colours));
}

struct count_tickets {
  bool operator==(const count_tickets&) const = default;

  TROUPE_FIELDS(count_tickets);
};

/// Has fields that are called as parameters of an `inspect` usually are.
struct point {
  std::int32_t f = 0;
  std::int32_t x = 0;
  std::string type;

  bool operator==(const point&) const = default;

  TROUPE_FIELDS(point, f, x, type);
};

template <class Inspector>
struct box {
  Inspector content{};

  bool operator==(const box&) const = default;

  TROUPE_FIELDS(box, content);
};

struct drawer {
  struct label {
    std::string text;

    bool operator==(const label&) const = default;

    TROUPE_FIELDS(label, text);
  };

  label front;

  bool operator==(const drawer&) const = default;

  TROUPE_FIELDS(drawer, front);
};

class sealed {
public:
  sealed() = default;
  explicit sealed(std::string secret) : secret_(std::move(secret)) {}

  bool operator==(const sealed&) const = default;

private:
  std::string secret_;

  TROUPE_FIELDS(sealed, secret_);
};

struct numbered_ticket : ticket {
  std::uint16_t seat = 0;

  bool operator==(const numbered_ticket&) const = default;

  TROUPE_FIELDS(numbered_ticket, number, seat);
};

struct sheet {
  // clang-format off
  int a0 = 0, a1 = 1, a2 = 2, a3 = 3, a4 = 4, a5 = 5, a6 = 6, a7 = 7;
  int b0 = 8, b1 = 9, b2 = 10, b3 = 11, b4 = 12, b5 = 13, b6 = 14, b7 = 15;
  int c0 = 16, c1 = 17, c2 = 18, c3 = 19, c4 = 20, c5 = 21, c6 = 22, c7 = 23;
  int d0 = 24, d1 = 25, d2 = 26, d3 = 27, d4 = 28, d5 = 29, d6 = 30, d7 = 31;
  int e0 = 32, e1 = 33, e2 = 34, e3 = 35, e4 = 36, e5 = 37, e6 = 38, e7 = 39;
  int f0 = 40, f1 = 41, f2 = 42, f3 = 43, f4 = 44, f5 = 45, f6 = 46, f7 = 47;
  int g0 = 48, g1 = 49, g2 = 50, g3 = 51, g4 = 52, g5 = 53, g6 = 54, g7 = 55;
  int h0 = 56, h1 = 57, h2 = 58, h3 = 59, h4 = 60, h5 = 61, h6 = 62, h7 = 63;

  TROUPE_FIELDS(sheet, a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7,
                c0, c1, c2, c3, c4, c5, c6, c7, d0, d1, d2, d3, d4, d5, d6, d7,
                e0, e1, e2, e3, e4, e5, e6, e7, f0, f1, f2, f3, f4, f5, f6, f7,
                g0, g1, g2, g3, g4, g5, g6, g7, h0, h1, h2, h3, h4, h5, h6, h7);
  // clang-format on
};

/// Notes what it is shown.
struct witness {
  static constexpr bool is_loading = false;

  template <class T>
  auto object(T&) {
    return detail::fields_of<witness>{*this};
  }

  static std::pair<std::string_view, int> field(std::string_view name, int value) {
    return {name, value};
  }

  template <class... Fields>
  bool apply_fields(Fields&&... fields) {
    seen = {fields...};
    return true;
  }

  std::vector<std::pair<std::string_view, int>> seen;
};

template <class T>
bool survives(const T& value) {
  auto json = from_json<T>(to_json(value).value());
  auto msgpack = from_msgpack<T>(to_msgpack(value).value());
  return from_bytes<T>(to_bytes(value)) == value && json.value() == value
         && msgpack.value() == value;
}

} // namespace

static_assert(std::is_aggregate_v<ticket>);

TEST_CASE("a struct that names its fields is written in every form and read back",
          "[core][fields]") {
  CHECK(survives(ticket{.number = 7, .holder = "ann", .colours = {"red", "green"}}));
  CHECK(survives(point{1, 2, "corner"}));
  CHECK(survives(box<std::string>{"apples"}));
  CHECK(survives(box<ticket>{{8, "bob", {}}}));
  CHECK(survives(drawer{{"socks"}}));
  CHECK(survives(sealed{"the key is under the mat"}));
  SECTION("also one without fields") {
    CHECK(survives(count_tickets{}));
  }
}

TEST_CASE("a struct that names its fields is written as one with an inspect by hand",
          "[core][fields]") {
  ticket named{7, "ann", {"red"}};
  written_out by_hand{7, "ann", {"red"}};
  CHECK(to_bytes(named) == to_bytes(by_hand));
  CHECK(to_json(named).value() == to_json(by_hand).value());
  CHECK(to_msgpack(named).value() == to_msgpack(by_hand).value());
  CHECK(to_json(named).value() == R"({"colours":["red"],"holder":"ann","number":7})");
}

TEST_CASE("fields of a base are named like its own, and those not named are not written",
          "[core][fields]") {
  numbered_ticket full;
  full.number = 7;
  full.holder = "ann";
  full.seat = 12;
  auto read = from_json<numbered_ticket>(to_json(full).value());
  REQUIRE(read);
  CHECK(read->number == 7);
  CHECK(read->seat == 12);
  CHECK(read->holder.empty());
}

TEST_CASE("a struct names up to 64 fields, and all are shown in their order", "[core][fields]") {
  sheet full;
  witness all;
  REQUIRE(inspect(all, full));
  REQUIRE(all.seen.size() == 64);
  for (std::size_t place = 0; place < all.seen.size(); ++place) {
    std::string name{"abcdefgh"[place / 8], static_cast<char>('0' + place % 8)};
    CHECK(all.seen[place].first == name);
    CHECK(all.seen[place].second == static_cast<int>(place));
  }
}

} // namespace fields_test
