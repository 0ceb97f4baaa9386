#include "troupe/router/message_options.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace message_options_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

const auto good_trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"s;

message_options traced(std::string trace) {
  return {.traceparent = std::move(trace)};
}

} // namespace

TEST_CASE("what is said of a message is refused by the name of its field", "[router]") {
  CHECK(check(message_options{}).code == errc::none);
  CHECK(check(message_options{.ttl = 1s,
                              .priority = message_priority::critical,
                              .type = "order",
                              .correlation = "7",
                              .reply_to = "desk",
                              .tenant = "färber & söhne",
                              .traceparent = good_trace})
          .code
        == errc::none);
  const std::string longest(max_name_bytes, 'x');
  const std::string megabyte(1U << 20U, 'x');
  std::vector<std::pair<message_options, std::string>> all;
  for (auto& text : {longest + "x", megabyte, "line\nbreak"s, "\xff"s, "\0"s}) {
    all.emplace_back(message_options{.type = text}, "type");
    all.emplace_back(message_options{.correlation = text}, "correlation");
    all.emplace_back(message_options{.reply_to = text}, "reply_to");
    all.emplace_back(message_options{.tenant = text}, "tenant");
    all.emplace_back(message_options{.traceparent = text}, "traceparent");
  }
  for (auto& [how, field] : all) {
    auto why = check(how);
    INFO(why.detail);
    CHECK(why.code == errc::bad_argument);
    CHECK(why.detail.starts_with("message_options::" + field + " "));
    CHECK(why.detail.size() < 300);
  }
  CHECK(check(message_options{.type = longest, .tenant = longest}).code == errc::none);
}

TEST_CASE("a confirm does not wait for room, and who wants that is told so", "[router]") {
  for (auto which : {delivery_class::confirm, delivery_class::once}) {
    auto why = check(message_options{.wait_for_room = true, .delivery = which});
    CHECK(why.code == errc::bad_argument);
    CHECK(why.detail.find("wait_for_room") != std::string::npos);
    CHECK(check(message_options{.delivery = which}).code == errc::none);
  }
  auto unknown = check(message_options{.delivery = static_cast<delivery_class>(3)});
  CHECK(unknown.code == errc::incompatible);
}

TEST_CASE("a message of class once lives 23 hours at most, whatever its ttl", "[router]") {
  auto once = [](std::optional<duration> ttl) {
    return message_options{.ttl = ttl, .delivery = delivery_class::once};
  };
  CHECK(life_of(once({})) == 23h);
  CHECK(life_of(once({}), 1h) == 22h);
  CHECK(life_of(once(24h)) == 23h);
  CHECK(life_of(once(duration::max())) == 23h);
  CHECK(life_of(once(5s), 2s) == 3s);
  CHECK(life_of(once(0s)) == 0s);
  CHECK(expires(once({})));
  CHECK_FALSE(expires({.delivery = delivery_class::confirm}));
  CHECK(once_window - longest_once_life >= 1h); // for its way, and for calendars that are set
}

TEST_CASE("a trace is as W3C Trace Context writes it", "[router]") {
  CHECK(check(traced(good_trace)).code == errc::none);
  CHECK(check(traced("01" + good_trace.substr(2))).code == errc::none);
  CHECK(check(traced("cc" + good_trace.substr(2) + "-what later versions add")).code == errc::none);
  CHECK(check(traced("00" + good_trace.substr(2, 51) + "00")).code == errc::none);
  for (auto& bad :
       {"00"s, good_trace + "0", good_trace + "-01", good_trace.substr(1),
        "ff" + good_trace.substr(2), "0G" + good_trace.substr(2), "01" + good_trace.substr(2) + "x",
        "01" + good_trace.substr(2) + "-" + std::string(200, 'x'),
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"s,
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01"s,
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"s,
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x"s,
        "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01"s,
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"s,
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01"s}) {
    INFO(bad);
    CHECK(check(traced(bad)).code == errc::bad_argument);
  }
}

TEST_CASE("a message lives as long as its ttl says, from when it was taken", "[router]") {
  CHECK(life_of({}) == longest_life);
  CHECK(life_of({}, 1h) == longest_life);
  CHECK(life_of({.ttl = 5s}) == 5s);
  CHECK(life_of({.ttl = 5s}, 2s) == 3s);
  CHECK(life_of({.ttl = 5s}, 5s) == 0s);
  CHECK(life_of({.ttl = 5s}, 7s) == -2s);
  CHECK(life_of({.ttl = 0s}) == 0s);
  CHECK(life_of({.ttl = -1s}) == 0s);
  CHECK(life_of({.ttl = duration::min()}) == 0s);
  CHECK(life_of({.ttl = 100 * 365 * 24h}) == longest_span);
  CHECK(life_of({.ttl = duration::max()}) == longest_span);
}

TEST_CASE("options of which nothing is set are empty", "[router]") {
  CHECK(is_empty({}));
  for (auto& how : {message_options{.ttl = 0s}, message_options{.priority = message_priority::low},
                    message_options{.type = "x"}, message_options{.correlation = "x"},
                    message_options{.reply_to = "x"}, message_options{.tenant = "x"},
                    message_options{.traceparent = "x"}})
    CHECK_FALSE(is_empty(how));
}

TEST_CASE("the id of a message has a text of its own", "[router]") {
  message_id id{node_id::from_string(std::string(62, '0') + "a1").value(), 3, 17};
  CHECK(to_string(id) == std::string(62, '0') + "a1:3:17");
}

} // namespace message_options_test
