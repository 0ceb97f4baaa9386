#include "troupe/router/message_header.hpp" // the header under test
#include "router/named_nodes.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/seeds.hpp"

namespace message_header_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

template <class Header>
std::string bytes_of(const Header& what) {
  encoder sink{encoder::without_absent_end{}};
  sink.put(what);
  return sink.take();
}

template <class Header = message_header>
std::optional<Header> read(std::string_view bytes) {
  decoder source{bytes};
  std::optional<Header> made{std::in_place};
  if (!source.get(*made))
    made.reset();
  return made;
}

message_header with_all() {
  message_header all{"far", 2};
  all.wanted = 1;
  all.request = 7;
  all.deadline = 10s;
  all.from = "me";
  all.for_whom = test::node_named("c1");
  all.also_to = std::vector<agent_id>{"b", "c"};
  all.after = 20ms;
  all.life = 5s;
  all.priority = 3;
  all.delivery_class = 0;
  all.type = "order";
  all.correlation = "7";
  all.reply_to = "desk";
  all.tenant = "t";
  all.traceparent = "00-1";
  all.frame = channel::frame_header{1, 2, 3, 4, 4};
  all.probe = channel::probe{1, 3, 9, {{5, 6}}};
  all.id = message_id{test::node_named("n9"), 3, 8};
  all.age = 3s;
  all.durability = 1;
  all.redrives = 2;
  return all;
}

/// As a later release may write it.
struct newer_header {
  message_header known;
  std::optional<std::string> seal{};
  std::uint64_t sequence = 0;

  template <class Inspector>
  friend bool inspect(Inspector& f, newer_header& x) {
    auto& k = x.known;
    return f.object(x).fields(
      f.field("to", k.to), f.field("place", k.place), f.field("wanted", k.wanted),
      f.field("request", k.request), f.field("deadline", k.deadline), f.field("from", k.from),
      f.field("for_whom", k.for_whom), f.field("also_to", k.also_to), f.field("after", k.after),
      f.field("life", k.life), f.field("priority", k.priority),
      f.field("delivery_class", k.delivery_class), f.field("type", k.type),
      f.field("correlation", k.correlation), f.field("reply_to", k.reply_to),
      f.field("tenant", k.tenant), f.field("traceparent", k.traceparent), f.field("frame", k.frame),
      f.field("probe", k.probe), f.field("id", k.id), f.field("age", k.age),
      f.field("durability", k.durability), f.field("redrives", k.redrives), f.field("seal", x.seal),
      f.field("sequence", x.sequence));
  }
};

} // namespace

TEST_CASE("the bytes of a header stay as they are", "[router][wire]") {
  CHECK(bytes_of(message_header{"far", 2})
        == "\x09\0\0\0"
           "\x03\0\0\0"
           "far"
           "\x02\0"s);
  message_header asks{"far"};
  asks.wanted = 1;
  asks.request = 7;
  asks.deadline = 1s;
  CHECK(bytes_of(asks)
        == "\x1d\0\0\0"
           "\x03\0\0\0"
           "far"
           "\0\0"
           "\x01\x01"
           "\x01\x07\0\0\0\0\0\0\0"
           "\x01\0\xca\x9a\x3b\0\0\0\0"s);
  message_header named{"a"};
  named.tenant = "t";
  CHECK(bytes_of(named)
        == "\x1a\0\0\0"
           "\x01\0\0\0"
           "a"
           "\0\0"
           "\0\0\0\0\0\0\0\0\0\0\0\0\0"
           "\x01\x01\0\0\0"
           "t"s);
  CHECK(bytes_of(bundle_header{3, 9, wall_time{1s}})
        == "\x18\0\0\0"
           "\x03\0\0\0\0\0\0\0"
           "\x09\0\0\0\0\0\0\0"
           "\0\xca\x9a\x3b\0\0\0\0"s);
  auto all = with_all();
  CHECK(read(bytes_of(all)) == all);
}

TEST_CASE("a field that a message lacks costs nothing at the end, and a byte before others",
          "[router][wire]") {
  message_header fire{"far"};
  auto least = bytes_of(fire).size();
  CHECK(least == 4 + 4 + 3 + 2);
  fire.traceparent = std::string(55, 'x');
  CHECK(bytes_of(fire).size() == least + 14 + 1 + 4 + 55);
}

TEST_CASE("a header with more fields at its end is read, and one with fewer", "[router][wire]") {
  newer_header newer{with_all(), "sealed", 77};
  CHECK(read(bytes_of(newer)) == newer.known);
  newer.seal.reset();
  CHECK(read(bytes_of(newer)) == newer.known);
  auto older = read<newer_header>(bytes_of(message_header{"far", 2}));
  REQUIRE(older);
  CHECK(older->known == message_header{"far", 2});
  CHECK_FALSE(older->seal);
}

TEST_CASE("a header says where it ends before it is read", "[router][wire]") {
  auto bytes = bytes_of(message_header{"far"});
  CHECK(header_size(bytes) == bytes.size());
  CHECK(header_size(bytes + "more") == bytes.size());
  CHECK(header_size("\0\0\0\0"sv) == 4);
  CHECK_FALSE(header_size("\0\0\0"sv));
  CHECK_FALSE(header_size(""));
  CHECK_FALSE(header_size(std::string_view{bytes}.substr(0, bytes.size() - 1)));
  CHECK_FALSE(header_size("\xff\xff\xff\xff"sv));
}

TEST_CASE("what a header asks for and this release does not know is refused by its name",
          "[router][wire]") {
  auto why = [](auto change) {
    message_header what{"far"};
    what.request = 7;
    change(what);
    return check(what);
  };
  CHECK(why([](message_header&) {}).code == errc::none);
  CHECK(why([](message_header& it) { it.wanted = 2; }).code == errc::none);
  auto wish = why([](message_header& it) { it.wanted = 3; });
  CHECK(wish.code == errc::incompatible);
  CHECK(wish.detail.find("wish 3") != std::string::npos);
  CHECK(why([](message_header& it) { it.delivery_class = 0; }).code == errc::none);
  auto unknown = why([](message_header& it) { it.delivery_class = 3; });
  CHECK(unknown.code == errc::incompatible);
  CHECK(unknown.detail.find("class 3") != std::string::npos);
  CHECK(why([](message_header& it) { it.priority = 9; }).code == errc::none);
  INFO("nor is one believed that contradicts itself");
  CHECK(why([](message_header& it) { it.wanted = 1, it.request.reset(); }).code == errc::damaged);
  CHECK(why([](message_header& it) {
          it.wanted = 1;
          it.also_to.emplace();
        }).code
        == errc::damaged);
  CHECK(why([](message_header& it) { it.also_to.emplace(); }).code == errc::none);
  auto confirm = [&](auto change) {
    return why([&](message_header& it) {
             it.delivery_class = 1;
             it.frame.emplace();
             change(it);
           })
      .code;
  };
  CHECK(confirm([](message_header&) {}) == errc::none);
  CHECK(confirm([](message_header& it) { it.frame.reset(), it.probe.emplace(); }) == errc::none);
  CHECK(confirm([](message_header& it) { it.frame.reset(); }) == errc::damaged);
  CHECK(confirm([](message_header& it) { it.probe.emplace(); }) == errc::damaged);
  CHECK(confirm([](message_header& it) { it.also_to.emplace(); }) == errc::damaged);
  CHECK(confirm([](message_header& it) { it.delivery_class.reset(); }) == errc::damaged);
  auto once = [&](auto change) {
    return confirm([&](message_header& it) {
      it.delivery_class = 2;
      it.id.emplace();
      it.age = it.life = 1s;
      change(it);
    });
  };
  CHECK(once([](message_header&) {}) == errc::none);
  CHECK(once([](message_header& it) { it.frame.reset(); }) == errc::damaged);
  CHECK(once([](message_header& it) { it.id.reset(); }) == errc::damaged);
  CHECK(once([](message_header& it) { it.age.reset(); }) == errc::damaged);
  CHECK(once([](message_header& it) { it.life.reset(); }) == errc::damaged);
}

TEST_CASE("what is said of a message comes out of its header as it went in", "[router][wire]") {
  message_header header{"far"};
  message_options how{.ttl = 1s,
                      .priority = message_priority::high,
                      .type = "order",
                      .correlation = "7",
                      .reply_to = "desk",
                      .tenant = "t",
                      .traceparent = "00-1"};
  say(how, header);
  CHECK(says_anything(header));
  how.ttl.reset(); // which is the life of the message
  CHECK(said_in(header) == how);
  message_header plain{"far"};
  say({}, plain);
  CHECK(plain == message_header{"far"});
  CHECK_FALSE(says_anything(plain));
  plain.priority = 4;
  CHECK(said_in(plain).priority == message_priority::normal);
  plain.delivery_class = 2;
  CHECK(said_in(plain).delivery == delivery_class::once);
  plain.delivery_class = 3;
  CHECK(said_in(plain).delivery == delivery_class::fire);
  INFO("what a message of class fire cannot be is not believed of it");
  plain.delivery_class = 0;
  plain.durability = 1;
  CHECK(said_in(plain).durability == durability::memory);
  plain.delivery_class = 1;
  plain.durability = 9; // of a later release: at least synced
  CHECK(said_in(plain).durability == durability::synced);
  plain.durability = 0;
  CHECK(said_in(plain).durability == durability::memory);
  say({.delivery = delivery_class::confirm, .durability = durability::synced}, plain);
  CHECK(said_in(plain).durability == durability::synced);
}

TEST_CASE("spans of time go by the opening of the bundle, whatever the clocks say",
          "[router][wire]") {
  bundle_header in{1, 1, wall_time{100s}, 3s};
  CHECK(left_of(5s, in) == 2s);
  CHECK(left_of(3s, in) == 0s);
  CHECK(left_of(1s, in) == -2s);
  in.opened_at += 1h;
  CHECK(left_of(5s, in) == 2s);
  in.waited = -2s;
  CHECK(left_of(5s, in) == 5s);
  in.waited.reset();
  CHECK(left_of(5s, in) == 5s);
  message_header late{"far"};
  CHECK(sent_at(late, bundle_header{1, 1, wall_time{100s}}) == wall_time{100s});
  late.after = 2s;
  CHECK(sent_at(late, bundle_header{1, 1, wall_time{100s}, 3s}) == wall_time{102s});
  INFO("no bytes make a span that is not one");
  constexpr auto most = duration::max();
  constexpr auto least = duration::min();
  for (auto span : {most, least, duration{}})
    for (auto waited : {most, least, duration{}})
      for (auto opened : {wall_time::max(), wall_time::min()}) {
        bundle_header any{1, 1, opened, waited};
        CHECK(left_of(span, any) <= 10 * longest_span);
        late.after = span;
        CHECK(sent_at(late, any) >= opened);
      }
}

TEST_CASE("no bytes bring the reader of headers down", "[router][wire]") {
  test::for_each_seed(2'000, [](test::random_source random) {
    auto bytes = bytes_of(newer_header{with_all(), "sealed", 7});
    for (auto flips = 1 + random.below(4); flips > 0; --flips)
      bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
    bytes.resize(random.below(bytes.size() + 1));
    if (auto got = read(bytes)) {
      static_cast<void>(check(*got));
      static_cast<void>(said_in(*got));
    }
  });
}

TEST_CASE("a plain header has the bytes of one of which all else is absent", "[router]") {
  for (auto& [to, place] : {std::pair{std::string{"far"}, 7}, std::pair{std::string{}, 0},
                            std::pair{std::string(300, 'x'), 0xFEDC}}) {
    auto number = static_cast<std::uint16_t>(place);
    std::vector<std::byte> made{std::byte{1}};
    append(plain_header{to, number}, made);
    std::string bytes{reinterpret_cast<const char*>(made.data() + 1), made.size() - 1};
    CHECK(bytes == bytes_of(message_header{agent_id{to}, number}));
    CHECK(bytes.size() == plain_header_size(to.size()));
    auto found = plain_header_in(bytes);
    REQUIRE(found);
    CHECK(found->to == to);
    CHECK(found->place == number);
  }
}

TEST_CASE("no other header is taken for a plain one", "[router]") {
  CHECK_FALSE(plain_header_in(bytes_of(with_all())));
  for (auto wanted : {std::uint8_t{0}, std::uint8_t{1}})
    CHECK_FALSE(plain_header_in(bytes_of(message_header{.to = "far", .wanted = wanted})));
  auto bytes = bytes_of(message_header{"far", 7});
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_FALSE(plain_header_in(std::string_view{bytes}.substr(0, size)));
  for (auto at : {std::size_t{4}, std::size_t{7}}) { // the length of the name
    auto changed = bytes;
    ++changed[at];
    CHECK_FALSE(plain_header_in(changed));
  }
}

TEST_CASE("what is taken for a plain header is what the decoder reads", "[router][wire]") {
  std::mt19937 draw{7};
  auto below = [&](std::size_t most) { return static_cast<std::size_t>(draw() % most); };
  std::size_t plain = 0;
  for (auto round = 0; round < 20'000; ++round) {
    auto bytes = bytes_of(below(4) == 0 ? with_all()
                                        : message_header{std::string(below(20), '\xC3'),
                                                         static_cast<std::uint16_t>(draw())});
    for (auto changes = below(3); changes > 0; --changes)
      bytes.at(below(std::min<std::size_t>(bytes.size(), 12))) = static_cast<char>(below(30));
    bytes.resize(bytes.size() - below(2), '\1');
    bytes.resize(bytes.size() + below(2), '\1');
    if (header_size(bytes) != bytes.size()) // as the reader of a bundle cuts them
      continue;
    message_header read;
    auto is_read = decoder{bytes}.get(read);
    auto found = plain_header_in(bytes);
    auto is_plain = is_read && bytes == bytes_of(message_header{read.to, read.place});
    REQUIRE(found.has_value() == is_plain);
    if (!found)
      continue;
    ++plain;
    REQUIRE(read == message_header{agent_id{found->to}, found->place});
  }
  CHECK(plain > 1'000);
}

namespace {

message_header only_confirm_header(const std::string& to = "far") {
  message_header made{to, 0xFEDC};
  made.wanted = 2;
  made.request = 0x0102030405060708;
  made.deadline = 90s;
  made.delivery_class = 1;
  made.frame = channel::frame_header{1, 2, 3, 0x8000000000000004, 5, 6};
  return made;
}

} // namespace

TEST_CASE("a header of class confirm that says no more is written and read in short", "[router]") {
  for (auto& to : {std::string{"far"}, std::string{}, std::string(300, 'x')}) {
    auto all = only_confirm_header(to);
    std::vector<std::byte> made{std::byte{1}};
    append(confirm_header{to, all.place, *all.wanted, *all.request, *all.deadline, *all.frame},
           made);
    std::string bytes{reinterpret_cast<const char*>(made.data() + 1), made.size() - 1};
    CHECK(bytes == bytes_of(all));
    CHECK(bytes.size() == confirm_header_size(to.size()));
    auto found = confirm_header_in(bytes);
    REQUIRE(found);
    CHECK(found->to == to);
    CHECK(found->place == all.place);
    CHECK(found->wanted == all.wanted);
    CHECK(found->request == all.request);
    CHECK(found->deadline == all.deadline);
    CHECK(found->frame == all.frame);
    CHECK_FALSE(plain_header_in(bytes));
  }
}

TEST_CASE("what is taken for a header of class confirm is what the decoder reads",
          "[router][wire]") {
  CHECK_FALSE(confirm_header_in(bytes_of(with_all())));
  CHECK_FALSE(confirm_header_in(bytes_of(message_header{"far", 7})));
  auto says_more = only_confirm_header();
  says_more.redrives = 1;
  CHECK_FALSE(confirm_header_in(bytes_of(says_more)));
  auto whole = bytes_of(only_confirm_header());
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_FALSE(confirm_header_in(std::string_view{whole}.substr(0, size)));
  std::size_t taken = 0;
  test::for_each_seed(2'000, [&](test::random_source random) {
    auto bytes = bytes_of(random.below(4) == 0 ? with_all() : only_confirm_header());
    for (auto changes = random.below(3); changes > 0; --changes)
      bytes[header_length_bytes + random.below(bytes.size() - header_length_bytes)]
        = static_cast<char>(random.below(3));
    auto found = confirm_header_in(bytes);
    if (!found)
      return;
    ++taken;
    auto all = read(bytes);
    REQUIRE(all);
    message_header same{agent_id{found->to}, found->place};
    same.wanted = found->wanted;
    same.request = found->request;
    same.deadline = found->deadline;
    same.delivery_class = 1;
    same.frame = found->frame;
    CHECK(*all == same);
  });
  CHECK(taken > 500);
}

} // namespace message_header_test
