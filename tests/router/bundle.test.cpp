#include "troupe/router/bundle.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/services.hpp"
#include "troupe/router/messages.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

/// What a bundle of routers holds goes over the wire behind its length.
caf::byte_buffer framed(const caf::byte_buffer& content) {
  caf::byte_buffer bytes;
  caf::binary_serializer sink{nullptr, bytes};
  REQUIRE(sink.begin_sequence(content.size()));
  REQUIRE(sink.value(caf::make_span(content)));
  return bytes;
}

caf::byte_buffer content_of(const bundle& value) {
  caf::byte_buffer bytes;
  caf::binary_serializer sink{nullptr, bytes};
  REQUIRE(sink.apply(value));
  caf::binary_deserializer source{nullptr, bytes};
  std::size_t size = 0;
  REQUIRE(source.begin_sequence(size));
  REQUIRE(size == source.remaining());
  return {bytes.end() - static_cast<std::ptrdiff_t>(size), bytes.end()};
}

std::string_view as_text(const caf::byte_buffer& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The letters in the content of a bundle, without its header.
caf::byte_buffer letters_in(const caf::byte_buffer& content) {
  auto size = header_size(as_text(content));
  REQUIRE(size);
  return {content.begin() + static_cast<std::ptrdiff_t>(*size), content.end()};
}

caf::byte_buffer operator+(caf::byte_buffer left, const caf::byte_buffer& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

template <class Header>
caf::byte_buffer written(const Header& what) {
  encoder sink{encoder::without_absent_end{}};
  sink.put(what);
  auto* first = reinterpret_cast<const compat::byte*>(sink.bytes().data());
  return {first, first + sink.bytes().size()};
}

/// A letter with this header.
template <class Header>
caf::byte_buffer letter_with(const Header& header,
                             const caf::message& payload = caf::make_message("x"s)) {
  caf::byte_buffer content;
  caf::binary_serializer sink{nullptr, content};
  REQUIRE(sink.apply(payload));
  caf::byte_buffer size;
  caf::binary_serializer before{nullptr, size};
  REQUIRE(before.value(static_cast<std::uint32_t>(content.size())));
  return written(header) + size + content;
}

bundle::content arrive(const caf::byte_buffer& content) {
  auto bytes = framed(content);
  caf::binary_deserializer source{nullptr, bytes};
  bundle received;
  REQUIRE(source.apply(received));
  CHECK(source.remaining() == 0);
  return received.take(nullptr);
}

letter fire(std::string to, std::string text) {
  return {word::nothing, 0, {std::move(to)}, {}, caf::make_message(std::move(text))};
}

bundle bundle_of(const std::vector<letter>& letters) {
  bundle made;
  for (auto& each : letters)
    REQUIRE(made.add(nullptr, each) == bundle::added::yes);
  return made;
}

struct bundle_readers : test::live_system<caf::id_block::troupe_router> {};

} // namespace

TEST_CASE_METHOD(bundle_readers, "letters arrive as they were put into a bundle",
                 "[router][wire]") {
  auto made = bundle_of({fire("a", "one"),
                         {word::answer, 77, {"b"}, "me", caf::make_message("two"s, 2)},
                         {word::receipt, 78, {""}, "", caf::message{}}});
  auto received = arrive(content_of(made));
  CHECK(received.damage.code == errc::none);
  REQUIRE(received.letters.size() == 3);
  CHECK(received.letters[0].wanted == word::nothing);
  CHECK(received.letters[0].to == std::vector<agent_id>{"a"});
  CHECK(to_string(received.letters[0].payload) == to_string(caf::make_message("one"s)));
  CHECK(received.letters[1].wanted == word::answer);
  CHECK(received.letters[1].number == 77);
  CHECK(received.letters[1].from == "me");
  CHECK(to_string(received.letters[1].payload) == to_string(caf::make_message("two"s, 2)));
  CHECK(received.letters[2].wanted == word::receipt);
  CHECK(received.letters[2].payload.empty());
}

TEST_CASE_METHOD(bundle_readers, "a request is taken out of a bundle, and the others stay",
                 "[router]") {
  letter first{word::answer, 77, {"a"}, "me", caf::make_message("first"s)};
  letter second{word::receipt, 79, {"b"}, "me", caf::make_message(2)};
  letter third{word::answer, 80, {"c"}, "me", caf::make_message("third"s, 3)};
  auto made = bundle_of({first, fire("d", "one"), second, fire("d", "two"), third});
  CHECK(made.remove(77));
  CHECK(content_of(made)
        == content_of(bundle_of({fire("d", "one"), second, fire("d", "two"), third})));
  CHECK(made.letters() == 4);
  CHECK_FALSE(made.remove(77));
  CHECK_FALSE(made.remove(0)); // nothing is wanted of the others
  CHECK(made.remove(80));
  CHECK(content_of(made) == content_of(bundle_of({fire("d", "one"), second, fire("d", "two")})));
  REQUIRE(made.add(nullptr, first) == bundle::added::yes);
  CHECK(made.remove(79));
  CHECK(made.remove(77));
  CHECK(content_of(made) == content_of(bundle_of({fire("d", "one"), fire("d", "two")})));
  CHECK(made.letters() == 2);
}

TEST_CASE_METHOD(bundle_readers, "the bytes of a bundle stay as they are", "[router][wire]") {
  letter what{word::nothing, 0, {"far"}, {}, caf::make_message("one"s)};
  what.message = 9;
  auto next = what;
  next.message = 11;
  next.to = {"a", "echo@n1"};
  next.from = "me";
  bundle made;
  made.open(time_point{1h}, wall_time{1s}, 3);
  REQUIRE(made.add(nullptr, what, time_point{1h}) == bundle::added::yes);
  REQUIRE(made.add(nullptr, next, time_point{1h}) == bundle::added::yes);
  message_header far{"far"};
  message_header two{"a", 2};
  two.from = "me";
  two.also_to = {"echo@n1"};
  CHECK(content_of(made)
        == written(bundle_header{3, 9, wall_time{1s}}) + letter_with(far, what.payload)
             + letter_with(two, what.payload));
  // Sizes as they go over a link: of a fire, beside its content and names, and of what a bundle has
  // in front.
  CHECK(letters_in(content_of(bundle_of({what}))).size()
        == 14 + 3 + 1 + 2 + 1 + 3); // the content: its number of types, the type, a length, "one"
  CHECK(content_of(bundle_of({what})).size() - letters_in(content_of(bundle_of({what}))).size()
        == 28);
}

TEST_CASE_METHOD(bundle_readers, "a letter says for whom it is passed on, or which agent sent it",
                 "[router][wire]") {
  auto n1 = node_id::from_string(std::string(62, '0') + "a1").value();
  letter what{word::nothing, 0, {"a", "echo@n1"}, "me", caf::make_message("one"s)};
  auto read = [&] {
    auto arrived = arrive(content_of(bundle_of({what})));
    REQUIRE(arrived.letters.size() == 1);
    return arrived.letters.front();
  };
  CHECK(read().to == what.to);
  CHECK(read().from == "me");
  CHECK_FALSE(read().is_passed_on);
  what.from = to_string(n1); // an agent may be called so
  CHECK(read().from == to_string(n1));
  CHECK(read().first == node_id{});
  what.is_passed_on = true;
  for (auto& who : {node_id{}, n1}) {
    what.first = who;
    CHECK(read().is_passed_on);
    CHECK(read().first == who);
    CHECK(read().from.empty());
  }
  message_header both{"a"};
  both.from = "me";
  both.for_whom = n1;
  auto arrived = arrive(written(bundle_header{}) + letter_with(both));
  CHECK(arrived.letters.front().first == n1);
  CHECK(arrived.letters.front().from.empty());
}

TEST_CASE_METHOD(bundle_readers, "what was said of a message arrives with it", "[router][wire]") {
  message_options said{.ttl = {},
                       .priority = message_priority::high,
                       .type = "order",
                       .correlation = "7",
                       .reply_to = "desk",
                       .tenant = "t",
                       .traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"};
  letter what{word::answer, 5, {"a"}, "me", caf::make_message("one"s)};
  what.patience = 4s;
  what.message = 7;
  what.life = 10s;
  what.how = std::make_shared<message_options>(said);
  bundle made;
  made.open(time_point{1h}, wall_time{100s}, 3);
  REQUIRE(made.add(nullptr, what, time_point{1h + 2s}) == bundle::added::yes);
  what.life = longest_life;
  what.how.reset();
  what.message = 8;
  REQUIRE(made.add(nullptr, what, time_point{1h + 2s}) == bundle::added::yes);
  made.close(time_point{1h + 5s});
  auto arrived = arrive(content_of(made)).letters;
  REQUIRE(arrived.size() == 2);
  auto& first = arrived.front();
  REQUIRE(first.how);
  CHECK(*first.how == said);
  CHECK(first.message == 7);
  CHECK(first.boot == 3);
  CHECK(first.sent_at == wall_time{102s});
  INFO("and what is left of its time, whatever the clocks of the two nodes say");
  CHECK(first.life == 7s);
  CHECK(first.patience == 1s);
  auto& second = arrived.back();
  CHECK_FALSE(second.how);
  CHECK(second.message == 8);
  CHECK(second.life == longest_life);
}

TEST_CASE_METHOD(bundle_readers,
                 "a letter with a number is taken out, also one that asks for nothing",
                 "[router]") {
  letter expires{word::nothing, 5, {"a", "b", "c"}, {}, caf::make_message(3)};
  expires.life = 2s;
  bundle made;
  made.open(time_point{1h}, {}, 0);
  REQUIRE(made.add(nullptr, fire("d", "one"), time_point{1h}) == bundle::added::yes);
  REQUIRE(made.add(nullptr, expires, time_point{1h}) == bundle::added::yes);
  REQUIRE(made.add(nullptr, fire("d", "two"), time_point{1h}) == bundle::added::yes);
  auto arrived = arrive(content_of(made)).letters;
  REQUIRE(arrived.size() == 3);
  INFO("the number stays here");
  CHECK(arrived[1].wanted == word::nothing);
  CHECK(arrived[1].number == 0);
  CHECK(made.remove(5));
  CHECK_FALSE(made.remove(5));
  CHECK(made.letters() == 2);
  arrived = arrive(content_of(made)).letters;
  REQUIRE(arrived.size() == 2);
  CHECK(to_string(arrived[0].payload) == to_string(caf::make_message("one"s)));
  CHECK(to_string(arrived[1].payload) == to_string(caf::make_message("two"s)));
  INFO("of a bundle with no letter left nothing arrives");
  bundle empty;
  REQUIRE(empty.add(nullptr, expires) == bundle::added::yes);
  REQUIRE(empty.remove(5));
  CHECK(content_of(empty).empty());
  CHECK(arrive(content_of(empty)).damage.code == errc::none);
}

TEST_CASE_METHOD(bundle_readers, "a letter of the types of the one before is read as any other",
                 "[router][wire]") {
  auto good = letter_with(message_header{"a"}, caf::make_message("x"s));
  auto wrong = good;
  wrong[wrong.size() - 2] = compat::byte{9}; // the length of the text
  auto next = letter_with(message_header{"a"}, caf::make_message(std::uint64_t{5}));
  auto arrived = arrive(written(bundle_header{}) + good + wrong + good + next + next).letters;
  REQUIRE(arrived.size() == 5);
  for (std::size_t each : {0, 2})
    CHECK(arrived[each].payload.match_elements<std::string>());
  CHECK(arrived[1].unreadable.code == errc::incompatible);
  CHECK(arrived[1].payload.empty());
  for (std::size_t each : {3, 4})
    CHECK(arrived[each].payload.match_elements<std::uint64_t>());
}

TEST_CASE_METHOD(bundle_readers, "a bundle names no more agents than it may, in its last letter",
                 "[router][wire]") {
  message_header many{"a"};
  many.also_to.emplace(bundle::max_recipients - 1, "b");
  message_header confirmed{"a"};
  confirmed.wanted = 2;
  confirmed.request = 9;
  confirmed.deadline = 90s;
  confirmed.delivery_class = 1;
  confirmed.frame = channel::frame_header{1, 2, 3, 4, 4, 5};
  auto arrived = arrive(written(bundle_header{}) + letter_with(many)
                        + letter_with(message_header{"a"}) + letter_with(confirmed))
                   .letters;
  REQUIRE(arrived.size() == 3);
  CHECK(arrived[0].unreadable.code == errc::none);
  CHECK(arrived[1].unreadable.code == errc::too_large);
  CHECK(arrived[2].unreadable.code == errc::too_large);
}

TEST_CASE_METHOD(bundle_readers, "one thing that a letter says arrives with it, whichever it is",
                 "[router][wire]") {
  std::vector<letter> all(8, fire("a", "x"));
  all[1].to.emplace_back("b");
  all[2].from = "me";
  all[3].is_passed_on = true;
  all[3].first = node_id::from_string(std::string(62, '0') + "a1").value();
  all[4].life = 10s;
  all[5].how = std::make_shared<message_options>(message_options{.correlation = "7"});
  all[6].frame = channel::frame_header{1, 2, 3, 4, 4};
  bundle made;
  made.open(time_point{1h}, wall_time{100s}, 3);
  for (std::size_t each = 0; each < all.size(); ++each) {
    all[each].message = 70 + each;
    auto moment = time_point{1h} + (each == 7 ? least_after : least_after - 1ns);
    REQUIRE(made.add(nullptr, all[each], moment) == bundle::added::yes);
  }
  auto arrived = arrive(content_of(made));
  CHECK(arrived.damage.code == errc::none);
  REQUIRE(arrived.letters.size() == all.size());
  for (std::size_t each = 0; each < all.size(); ++each) {
    INFO(each);
    auto& got = arrived.letters[each];
    CHECK(got.unreadable.code == errc::none);
    CHECK(got.wanted == word::nothing);
    CHECK(got.number == 0);
    CHECK(got.to == all[each].to);
    CHECK(got.from == all[each].from);
    CHECK(got.is_passed_on == all[each].is_passed_on);
    CHECK(got.first == all[each].first);
    CHECK((got.life == longest_life) == (each != 4));
    CHECK((got.how && got.how->correlation == "7") == (each == 5));
    CHECK(got.frame.has_value() == (each == 6));
    CHECK(got.message == all[each].message);
    CHECK(got.boot == 3);
    CHECK(got.sent_at == wall_time{100s} + (each == 7 ? least_after : 0ns));
    CHECK(got.payload.match_elements<std::string>());
  }
}

TEST_CASE_METHOD(bundle_readers,
                 "what a letter of class confirm says beside its place arrives with it, whichever "
                 "it is",
                 "[router][wire]") {
  auto how = [](message_options what) {
    what.delivery = delivery_class::confirm;
    return std::make_shared<message_options>(std::move(what));
  };
  letter plain{word::receipt, 9, {"a"}, {}, caf::make_message("x"s)};
  plain.patience = 90s;
  plain.how = how({});
  plain.frame = channel::frame_header{1, 2, 3, 4, 4, 5};
  std::vector<letter> all(14, plain);
  all[1].from = "me";
  all[2].is_passed_on = true;
  all[2].first = node_id::from_string(std::string(62, '0') + "a1").value();
  all[3].life = 10s;
  all[4].how = how({.priority = message_priority::critical});
  all[5].how = how({.correlation = "7"});
  all[6].how = how({.tenant = "bistro"});
  all[7].how = how({.durability = router::durability::synced});
  all[8].id = message_id{all[2].first, 5, 6};
  all[9].redrives = 3;
  all[11].frame.reset();
  all[11].probe = channel::probe{1, 2, 3, {{4, 5}}};
  all[12].how
    = std::make_shared<message_options>(message_options{.delivery = delivery_class::once});
  all[12].id = all[8].id;
  all[12].life = 20s;
  all[12].age = 1s;
  all[13].wanted = word::nothing;
  auto after = [](std::size_t which) { return which == 10 ? least_after : duration{1ms}; };
  bundle made;
  made.open(time_point{1h}, wall_time{100s}, 3);
  for (std::size_t each = 0; each < all.size(); ++each) {
    all[each].message = 70 + each;
    REQUIRE(made.add(nullptr, all[each], time_point{1h} + after(each)) == bundle::added::yes);
  }
  auto arrived = arrive(content_of(made));
  CHECK(arrived.damage.code == errc::none);
  REQUIRE(arrived.letters.size() == all.size());
  for (std::size_t each = 0; each < all.size(); ++each) {
    INFO(each);
    auto& sent = all[each];
    auto& got = arrived.letters[each];
    CHECK(got.unreadable.code == errc::none);
    CHECK(got.wanted == sent.wanted);
    CHECK(got.number == (each == 13 ? 0 : 9));
    CHECK(got.to == sent.to);
    CHECK(got.from == sent.from);
    CHECK(got.is_passed_on == sent.is_passed_on);
    CHECK(got.first == sent.first);
    CHECK(got.life == (sent.life == longest_life ? longest_life : sent.life + after(each)));
    CHECK(got.patience == (each == 13 ? 0s : 90s + after(each)));
    CHECK(got.frame == sent.frame);
    CHECK(got.probe == sent.probe);
    CHECK(got.id == sent.id);
    CHECK(got.age == (each == 12 ? sent.age - after(each) : 0s));
    CHECK(got.redrives == sent.redrives);
    CHECK(got.message == sent.message);
    CHECK(got.boot == 3);
    CHECK(got.sent_at == wall_time{100s} + (each == 10 ? least_after : 0ns));
    REQUIRE(got.how);
    CHECK(got.how->delivery == sent.how->delivery);
    CHECK(got.how->priority == sent.how->priority);
    CHECK(got.how->correlation == sent.how->correlation);
    CHECK(got.how->tenant == sent.how->tenant);
    CHECK(got.how->durability == sent.how->durability);
    CHECK(got.payload.match_elements<std::string>());
  }
}

TEST_CASE_METHOD(
  bundle_readers,
  "a letter of class confirm that says nothing more has the bytes of a whole header, "
  "and its wish is looked at",
  "[router][wire]") {
  letter sent{word::receipt, 9, {"a"}, {}, caf::make_message("x"s)};
  sent.patience = 90s;
  sent.how
    = std::make_shared<message_options>(message_options{.delivery = delivery_class::confirm});
  sent.frame = channel::frame_header{1, 2, 3, 4, 4, 5};
  message_header header{"a"};
  header.wanted = 2;
  header.request = 9;
  header.deadline = 90s;
  header.delivery_class = 1;
  header.frame = sent.frame;
  auto bytes = letter_with(header);
  CHECK(letters_in(content_of(bundle_of({sent}))) == bytes);
  header.wanted = 3; // of a later release
  auto arrived = arrive(written(bundle_header{}) + letter_with(header) + bytes).letters;
  REQUIRE(arrived.size() == 2);
  CHECK(arrived[0].unreadable.code == errc::incompatible);
  CHECK(arrived[0].wanted == word::answer);
  CHECK_FALSE(arrived[0].is_confirm());
  CHECK(arrived[1].unreadable.code == errc::none);
  CHECK(arrived[1].is_confirm());
}

TEST_CASE_METHOD(bundle_readers,
                 "a letter that has expired when its bundle goes arrives without a "
                 "life",
                 "[router][wire]") {
  letter late{word::answer, 7, {"a"}, "me", caf::make_message(2)};
  bundle made;
  made.open(time_point{1h}, {}, 0);
  for (auto life : {-1s, 0s, 2s}) {
    late.life = life;
    REQUIRE(made.add(nullptr, late, time_point{1h + 1s}) == bundle::added::yes);
  }
  made.close(time_point{1h + 2s});
  auto arrived = arrive(content_of(made)).letters;
  REQUIRE(arrived.size() == 3);
  CHECK(arrived[0].life <= 0s);
  CHECK(arrived[1].life <= 0s);
  CHECK(arrived[2].life == 1s);
}

TEST_CASE_METHOD(bundle_readers, "numbers of messages count on from the first of a bundle",
                 "[router][wire]") {
  auto numbered = [](std::uint64_t number) {
    auto what = fire("a", "x");
    what.message = number;
    return what;
  };
  constexpr std::uint64_t first = std::uint64_t{1} << 40U;
  auto made = bundle_of({numbered(first), numbered(first), numbered(first + max_place)});
  CHECK(made.add(nullptr, numbered(first + max_place + 1)) == bundle::added::no_room);
  CHECK(made.add(nullptr, numbered(first - 1)) == bundle::added::no_room);
  auto arrived = arrive(content_of(made)).letters;
  REQUIRE(arrived.size() == 3);
  CHECK(arrived[1].message == first);
  CHECK(arrived[2].message == first + max_place);
}

TEST_CASE_METHOD(bundle_readers, "a bundle has bounds, but takes one letter of any size",
                 "[router]") {
  bundle made;
  REQUIRE(made.add(nullptr, fire("a", std::string(3 * bundle::max_bytes, 'x')))
          == bundle::added::yes);
  CHECK(made.full());
  CHECK(made.add(nullptr, fire("a", "short")) == bundle::added::no_room);
  CHECK(arrive(content_of(made)).letters.size() == 1);

  made = bundle_of({fire("a", "short")});
  auto before = content_of(made);
  CHECK(made.add(nullptr, fire("a", std::string(bundle::max_bytes, 'x')))
        == bundle::added::no_room);
  CHECK(content_of(made) == before);

  made = {};
  while (!made.full())
    REQUIRE(made.add(nullptr, fire("a", "")) == bundle::added::yes);
  CHECK(arrive(content_of(made)).letters.size() == bundle::max_letters);

  letter named{word::nothing, 0, {}, {}, caf::make_message("one"s)};
  named.to.assign(bundle::max_recipients, "a");
  made = bundle_of({fire("a", "short")});
  CHECK(made.add(nullptr, named) == bundle::added::no_room);
  made = bundle_of({named});
  CHECK(made.full());
}

TEST_CASE_METHOD(bundle_readers, "a value that cannot be written leaves a bundle as it was",
                 "[router]") {
  auto made = bundle_of({fire("a", "one")});
  auto before = content_of(made);
  letter local{word::nothing, 0, {"a"}, {}, caf::make_message(caf::make_action([] {}))};
  CHECK(made.add(nullptr, local) == bundle::added::unwritable);
  CHECK(content_of(made) == before);
}

TEST_CASE_METHOD(bundle_readers, "a letter that cannot be read is no harm to the others",
                 "[router][wire]") {
  auto bytes = content_of(bundle_of({fire("a", "one"), fire("b", "two")}));
  // the header of the bundle and of the letter, size of the payload, number of its types, the type
  constexpr auto type_at = 28 + 11 + 4 + 1;
  bytes[type_at] = bytes[type_at + 1] = compat::byte{0xFE};
  auto received = arrive(bytes);
  CHECK(received.damage.code == errc::none);
  REQUIRE(received.letters.size() == 2);
  CHECK(received.letters[0].to == std::vector<agent_id>{"a"});
  CHECK(received.letters[0].unreadable.code == errc::incompatible);
  CHECK(received.letters[1].unreadable.code == errc::none);
  CHECK(to_string(received.letters[1].payload) == to_string(caf::make_message("two"s)));
}

TEST_CASE_METHOD(bundle_readers,
                 "a letter of another release is answered for itself, and the others are read",
                 "[router][wire]") {
  message_header plain{"a"};
  message_header asks{"b"};
  asks.wanted = static_cast<std::uint8_t>(word::answer);
  asks.request = 77;
  auto between = [&](const caf::byte_buffer& odd) {
    auto got = arrive(written(bundle_header{}) + letter_with(plain) + odd + letter_with(plain));
    CHECK(got.damage.code == errc::none);
    REQUIRE(got.letters.size() == 3);
    for (auto* each : {&got.letters.front(), &got.letters.back()}) {
      CHECK(each->unreadable.code == errc::none);
      CHECK(to_string(each->payload) == to_string(caf::make_message("x"s)));
    }
    return got.letters[1];
  };
  SECTION("one with more fields at its end is read") {
    asks.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    auto bytes = letter_with(asks);
    auto size = *header_size(as_text(bytes));
    caf::byte_buffer more(12, compat::byte{1});
    more[0] = more[1] = more[2] = more[3] = compat::byte{0}; // no frame, no probe, no id, no age
    bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(size), more.begin(), more.end());
    bytes.front() = static_cast<compat::byte>(size - header_length_bytes + more.size());
    auto got = between(bytes);
    CHECK(got.unreadable.code == errc::none);
    CHECK(got.number == 77);
    CHECK(got.how->traceparent == asks.traceparent);
  }
  SECTION("one of an unknown class") {
    asks.delivery_class = 3;
    auto got = between(letter_with(asks));
    CHECK(got.unreadable.code == errc::incompatible);
    CHECK(got.wanted == word::answer);
    CHECK(got.number == 77);
    asks.wanted.reset();
    CHECK(between(letter_with(asks)).wanted == word::nothing);
  }
  SECTION("one with an unknown wish") {
    asks.wanted = 3;
    auto got = between(letter_with(asks));
    CHECK(got.unreadable.code == errc::incompatible);
    CHECK(got.wanted == word::answer); // somebody waits for something
    CHECK(got.number == 77);
  }
  SECTION("one of an unknown priority is a normal one") {
    asks.priority = 9;
    auto got = between(letter_with(asks));
    CHECK(got.unreadable.code == errc::none);
    CHECK(got.how->priority == message_priority::normal);
  }
  SECTION("one with what no sender may say") {
    asks.tenant = std::string(1U << 20U, 'x');
    auto got = between(letter_with(asks));
    CHECK(got.unreadable.code == errc::bad_argument);
    CHECK(got.unreadable.detail.size() < 300);
    CHECK(got.number == 77);
  }
  SECTION("one whose header cannot be read") {
    auto bytes = letter_with(asks);
    bytes[header_length_bytes] = compat::byte{0xFF}; // the length of the name
    auto got = between(bytes);
    CHECK(got.unreadable.code == errc::damaged);
    CHECK(got.wanted == word::nothing);
    CHECK(got.to.empty());
  }
  SECTION("one that asks without a number, or that many are to answer") {
    asks.request.reset();
    CHECK(between(letter_with(asks)).unreadable.code == errc::damaged);
    asks.request = 77;
    asks.also_to = {"c"};
    auto got = between(letter_with(asks));
    CHECK(got.unreadable.code == errc::damaged);
    CHECK(got.number == 77);
  }
  SECTION("one for too many agents, alone or with others") {
    plain.also_to.emplace();
    asks = {"b"};
    asks.also_to.emplace(bundle::max_recipients - 3, "c");
    CHECK(between(letter_with(asks)).to.size() == bundle::max_recipients - 2);
    asks.also_to->emplace_back("c");
    auto got = arrive(written(bundle_header{}) + letter_with(plain) + letter_with(asks)
                      + letter_with(plain) + letter_with(plain));
    REQUIRE(got.letters.size() == 4);
    CHECK(got.letters[1].unreadable.code == errc::none);
    CHECK(got.letters[2].unreadable.code == errc::too_large);
    CHECK(got.letters[3].unreadable.code == errc::too_large);
    asks.also_to->insert(asks.also_to->end(), 3, "c");
    CHECK(between(letter_with(asks)).unreadable.code == errc::too_large);
  }
}

TEST_CASE_METHOD(bundle_readers, "a damaged bundle is found out", "[router][wire]") {
  auto one = content_of(bundle_of({{word::answer, 7, {"a"}, "b", caf::make_message("one"s)}}));
  SECTION("cut short anywhere") {
    auto header = *header_size(as_text(one));
    for (auto size = one.size() - 1; size > 0; --size) {
      INFO(size << " bytes");
      auto received = arrive({one.begin(), one.begin() + static_cast<std::ptrdiff_t>(size)});
      CHECK(received.damage.code == (size == header ? errc::none : errc::damaged));
      CHECK((size <= header || received.damage.detail.find("letter 1") != std::string::npos));
      CHECK(received.letters.empty());
    }
  }
  SECTION("shorter than it says") {
    auto bytes = framed(one);
    bytes.pop_back();
    caf::binary_deserializer source{nullptr, bytes};
    bundle received;
    CHECK_FALSE(source.apply(received));
  }
  SECTION("with too many letters") {
    auto letters = letters_in(one);
    auto many = one;
    for (std::size_t each = 0; each < bundle::max_letters; ++each)
      many.insert(many.end(), letters.begin(), letters.end());
    auto received = arrive(many);
    CHECK(received.damage.detail.find(std::to_string(bundle::max_letters)) != std::string::npos);
    CHECK(received.letters.size() == bundle::max_letters);
  }
  SECTION("inside another, at any depth") {
    auto inner = caf::make_message(bundle_of({fire("a", "one")}));
    for (auto depth = 0; depth < 3; ++depth) {
      inner = caf::make_message(envelope{"a", inner});
      auto received = arrive(content_of(bundle_of({{word::nothing, 0, {"a"}, {}, inner}})));
      REQUIRE(received.letters.size() == 1);
      auto within = received.letters.front().payload;
      while (within.match_elements<envelope>())
        within = within.get_as<envelope>(0).payload;
      auto opened = within.get_mutable_as<bundle>(0).take(nullptr);
      CHECK(opened.damage.code == errc::damaged);
      CHECK(opened.letters.empty());
    }
  }
}
