#include "troupe/router/answer_lines.hpp" // the header under test
#include "support/seeds.hpp"
#include "troupe/core/random.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace answer_lines_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

using machine = answer_lines<std::string, std::string>;
using texts = std::vector<std::string>;

constexpr std::size_t own_bytes = machine::answer_bytes; // of each answer

/// Windows of four answers of 100 bytes, and as many may wait, of ten on all links.
const router_options small{.max_pending = 2,
                           .window_bytes = 4 * (100 + own_bytes),
                           .max_message_bytes = 500,
                           .max_answer_bytes = 4 * (100 + own_bytes),
                           .max_all_answer_bytes = 10 * (100 + own_bytes)};

std::string to_text(const machine::effect& what) {
  if (const auto* sends = std::get_if<machine::send>(&what)) {
    const auto* why = std::get_if<problem>(&sends->what);
    return sends->to + ": "
           + (why != nullptr ? std::string{name_of(why->code)} : std::get<0>(sends->what));
  }
  if (const auto* wanted = std::get_if<machine::ask_receipt>(&what))
    return "receipt of " + std::to_string(wanted->link) + ", " + std::to_string(wanted->mark);
  const auto& gone = std::get<machine::let_go>(what);
  return "gone " + gone.whom.value_or("-") + " " + gone.what.value_or("-");
}

/// Sends at once, and so far as there is anything, unless it is slow.
struct host {
  machine lines;
  time_point now = time_point{} + 1h;
  bool is_slow = false;
  std::string why{};

  explicit host(const router_options& how = small) : lines(how) {}

  texts carry_out(std::uint64_t link, machine::effects out) {
    texts said;
    while (!out.empty()) {
      auto sends = false;
      for (auto& each : out) {
        said.push_back(to_text(each));
        if (const auto* sent = std::get_if<machine::send>(&each)) {
          sends = true;
          if (const auto* refused = std::get_if<problem>(&sent->what))
            why = refused->detail;
        }
      }
      out.clear();
      if (sends && !is_slow)
        lines.sent(now, link, out);
    }
    return said;
  }

  texts answer(std::uint64_t link, const std::string& to, const std::string& what = "yes",
               std::optional<std::size_t> bytes = 100, duration wait = 10s) {
    machine::effects out;
    lines.answer(now, link, to, what, bytes, now + wait, out);
    return carry_out(link, std::move(out));
  }

  texts received(std::uint64_t mark) {
    machine::effects out;
    auto link = lines.received(now, mark, out);
    return carry_out(link.value_or(0), std::move(out));
  }

  texts hold(std::uint64_t link, bool is_held) {
    machine::effects out;
    lines.hold(now, link, is_held, out);
    return carry_out(link, std::move(out));
  }

  texts sent(std::uint64_t link) {
    machine::effects out;
    lines.sent(now, link, out);
    return carry_out(link, std::move(out));
  }

  texts link_down(std::uint64_t link) {
    machine::effects out;
    lines.link_down(link, out);
    return carry_out(link, std::move(out));
  }

  std::uint64_t ask(std::uint64_t link, const std::string& by) {
    std::optional<std::string> given_up;
    auto number = lines.ask(link, by, now + 5s, given_up);
    why = given_up.value_or("");
    return number;
  }

  [[nodiscard]] router_statistics counted() const {
    router_statistics sum;
    lines.add_to(sum);
    return sum;
  }
};

} // namespace

TEST_CASE("answers go over a link in their order, as far as there is room on it", "[router]") {
  host m;
  m.lines.link_up(1);
  CHECK(m.answer(1, "a") == texts{"a: yes", "receipt of 1, 1"});
  CHECK(m.answer(1, "b") == texts{"b: yes", "receipt of 1, 2"});
  m.answer(1, "c");
  m.answer(1, "d");
  CHECK(m.answer(1, "e").empty());
  CHECK(m.answer(1, "f").empty());
  CHECK(m.counted().waiting == 2);
  CHECK(m.counted().waiting_bytes == 2 * (100 + own_bytes));
  CHECK(m.received(1) == texts{"e: yes", "receipt of 1, 5"});
  CHECK(m.received(1).empty()); // said twice
  CHECK(m.received(9).empty()); // never asked for
  CHECK(m.received(2) == texts{"f: yes", "receipt of 1, 6"});
  CHECK(m.counted().waiting_bytes == 0);
}

TEST_CASE("nothing goes over a link that others have filled until it has drained", "[router]") {
  host m;
  m.lines.link_up(1);
  CHECK(m.hold(1, true).empty());
  CHECK(m.answer(1, "a").empty());
  CHECK(m.answer(1, "b").empty());
  CHECK(m.hold(1, false) == texts{"a: yes", "receipt of 1, 1", "b: yes", "receipt of 1, 2"});
  CHECK(m.hold(2, true).empty()); // there is none
}

TEST_CASE("while one thread sends over a link, another leaves its answers to it", "[router]") {
  host m;
  m.is_slow = true;
  m.lines.link_up(1);
  CHECK(m.answer(1, "a").front() == "a: yes");
  CHECK(m.answer(1, "b").empty());
  CHECK(m.received(1).empty());
  m.is_slow = false;
  CHECK(m.sent(1).front() == "b: yes");
  CHECK(m.answer(1, "c").front() == "c: yes");
}

TEST_CASE("an answer for which there is no room becomes a refusal, which waits behind the others",
          "[router]") {
  host m;
  m.lines.link_up(1);
  for (auto* each : {"1", "2", "3", "4", "5", "6", "7", "8"})
    m.answer(1, each);
  CHECK(m.answer(1, "late") == texts{"gone - yes"});
  CHECK(m.counted().refused == 1);
  CHECK(m.counted().waiting == 5);
  SECTION("until half has gone there is room for no more") {
    m.received(1);
    CHECK(m.answer(1, "again").front() == "gone - yes");
    CHECK(m.counted().refused == 2);
  }
  SECTION("and goes when it is its turn") {
    for (auto mark : {1U, 2U, 3U, 4U})
      m.received(mark);
    CHECK(m.received(5).front() == "late: outcome_unknown");
    CHECK(m.why.find("router_options::max_answer_bytes") != std::string::npos);
    CHECK(m.counted().waiting_bytes == 0);
    CHECK(m.answer(1, "again").empty()); // it waits
    CHECK(m.counted().refused == 1);
  }
}

TEST_CASE("a refusal that waits takes room of the link", "[router]") {
  host m;
  m.lines.link_up(1);
  for (auto* each : {"1", "2", "3", "4"})
    m.answer(1, each);
  CHECK(m.answer(1, "big", "yes", 501) == texts{"gone - yes"});
  for (auto* each : {"5", "6"})
    CHECK(m.answer(1, each).empty());
  CHECK(m.answer(1, "7") == texts{"gone - yes"}); // with the reason of the refusal it is too much
  CHECK(m.counted().refused == 2);
}

TEST_CASE("links that stand still do not stop those where nothing waits", "[router]") {
  host m;
  for (auto link : {1U, 2U, 3U, 4U}) {
    m.lines.link_up(link);
    for (auto sent = 0; sent < 4; ++sent)
      m.answer(link, "sent");
    for (auto waits = 4; m.counted().waiting < 10 && waits > 0; --waits)
      m.answer(link, "waits");
  }
  REQUIRE(m.counted().waiting_bytes > 9 * (100 + own_bytes));
  m.lines.link_up(5);
  CHECK(m.answer(5, "e").front() == "e: yes");
}

TEST_CASE("what waits on all links is bounded", "[router]") {
  auto how = small;
  how.max_answer_bytes *= 3;
  how.max_all_answer_bytes = 12 * (100 + own_bytes);
  host m{how};
  m.lines.link_up(1);
  m.lines.link_up(2);
  for (auto link : {1U, 2U})
    for (auto* each : {"1", "2", "3", "4", "5", "6", "7", "8"})
      m.answer(link, each);
  CHECK(m.counted().refused == 0);
  CHECK(m.answer(2, "late").front() == "gone - yes");
  CHECK(m.counted().refused == 1);
  m.lines.link_up(3);
  CHECK(m.answer(3, "a").front() == "a: yes"); // it does not wait
  SECTION("until a link takes its own with it") {
    m.link_down(1);
    CHECK(m.answer(2, "next").empty());
    CHECK(m.counted().refused == 1);
  }
  SECTION("or somebody gets theirs") {
    for (auto mark : {1U, 2U, 3U, 4U})
      m.received(mark);
    CHECK(m.answer(2, "next").empty());
    CHECK(m.counted().refused == 1);
  }
  for (std::uint64_t mark = 1; mark < 40; ++mark)
    m.received(mark);
  CHECK(m.why.find("router_options::max_all_answer_bytes") != std::string::npos);
  CHECK(m.counted().waiting_bytes == 0);
}

TEST_CASE("a link over which nothing goes leaves room for the answers of others", "[router]") {
  auto how = small;
  how.max_answer_bytes *= 10;
  host m{how};
  auto fill = [&](std::uint64_t link) {
    m.lines.link_up(link);
    m.hold(link, true);
    auto count = 0;
    while (m.answer(link, "x").empty())
      ++count;
    return count;
  };
  CHECK(fill(1) == 5); // of ten
  CHECK(fill(2) == 2); // beside a refusal, too
  m.link_down(1);
  CHECK(fill(3) == 3);
}

TEST_CASE("an answer that is too large by itself, or cannot be written, is refused", "[router]") {
  host m;
  m.lines.link_up(1);
  CHECK(m.answer(1, "a", "yes", 500).front() == "a: yes");
  CHECK(m.answer(1, "b", "yes", 501) == texts{"gone - yes", "b: too_large", "receipt of 1, 2"});
  CHECK(m.why.find("router_options::max_message_bytes") != std::string::npos);
  m.received(1);
  CHECK(m.answer(1, "c", "yes", std::nullopt).at(1) == "c: bad_argument");
  CHECK(m.counted().refused == 2);
}

TEST_CASE("no more refusals wait for a link than have a place", "[router]") {
  host m;
  m.lines.link_up(1);
  m.hold(1, true);
  for (std::size_t each = 0; each < machine::max_refusals; ++each)
    CHECK(m.answer(1, "x", "yes", 501).size() == 1);
  CHECK(m.answer(1, "y", "yes", 501) == texts{"gone y yes"});
  CHECK(m.counted().waiting == machine::max_refusals);
  CHECK(m.counted().refused == machine::max_refusals + 1);
  CHECK(m.hold(1, false).size() > 1);
  CHECK(m.answer(1, "z", "yes", 501) == texts{"gone - yes"});
}

TEST_CASE("no answer is sent that nobody waits for any more", "[router]") {
  host m;
  m.lines.link_up(1);
  m.hold(1, true);
  m.answer(1, "late", "yes", 100, 1s);
  m.answer(1, "waits", "yes", 100, 2s);
  m.now += 2s;
  CHECK(m.hold(1, false) == texts{"gone late yes", "waits: yes", "receipt of 1, 1"});
  CHECK(m.counted().waiting_bytes == 0);
}

TEST_CASE("answers that nobody waits for any more make room, but are looked for seldom",
          "[router]") {
  auto how = small;
  how.max_all_answer_bytes = 8 * (100 + own_bytes);
  host m{how};
  m.lines.link_up(1);
  m.lines.link_up(2);
  for (auto link : {1U, 2U}) {
    m.hold(link, true);
    for (auto* each : {"1", "2", "3"})
      m.answer(link, each, "yes", 100, 1s);
  }
  m.now += 1s;
  CHECK(m.answer(1, "early") == texts{"gone - yes"}); // they wait until then
  m.now += 499ms;
  CHECK(m.answer(1, "early") == texts{"gone - yes"}); // not looked at yet
  m.now += 1ms;
  CHECK(m.answer(1, "next").size() == 6);
  CHECK(m.counted().waiting == 3); // with two refusals
  CHECK(m.counted().refused == 2);
  CHECK(m.hold(1, false).front() == "early: outcome_unknown");
}

TEST_CASE("what waits for a link goes with it, and the next begins anew", "[router]") {
  host m;
  m.lines.link_up(1);
  for (auto* each : {"1", "2", "3", "4", "5"})
    m.answer(1, each);
  auto number = m.ask(1, "asks");
  CHECK(m.link_down(1) == texts{"gone asks -", "gone 5 yes"});
  CHECK(m.link_down(1).empty());
  CHECK_FALSE(m.lines.finish(number));
  CHECK(m.received(1).empty());
  CHECK(m.answer(1, "6") == texts{"gone 6 yes"});
  CHECK(m.sent(1).empty());
  m.lines.link_up(2);
  CHECK(m.answer(2, "7").front() == "7: yes");
  CHECK(m.received(2).empty()); // of the link before
  CHECK(m.counted().waiting_bytes == 0);
  CHECK(m.counted().refused == 0);
}

TEST_CASE("agents are asked in place of who asks over a link, and the oldest is given up",
          "[router]") {
  host m;
  m.lines.link_up(1);
  m.lines.link_up(2);
  auto first = m.ask(1, "first");
  auto second = m.ask(1, "second");
  auto other = m.ask(2, "other");
  CHECK(m.why.empty());
  auto third = m.ask(1, "third");
  CHECK(m.why == "first");
  CHECK(m.lines.no_answer().detail.find("router_options::max_pending") != std::string::npos);
  CHECK_FALSE(m.lines.finish(first));
  auto found = m.lines.finish(second);
  REQUIRE(found);
  CHECK(found->by == "second");
  CHECK(found->link == 1);
  CHECK(found->until == m.now + 5s);
  CHECK_FALSE(m.lines.finish(second));
  m.ask(1, "fourth");
  CHECK(m.why.empty());
  CHECK(m.lines.finish(third)->by == "third");
  CHECK(m.lines.finish(other)->by == "other");
}

TEST_CASE("one request may be open where a router may ask nobody", "[router]") {
  host m{{.max_pending = 0}};
  m.lines.link_up(1);
  m.ask(1, "first");
  CHECK(m.why.empty());
  m.ask(1, "second");
  CHECK(m.why == "first");
}

TEST_CASE("on every schedule each answer is sent once, refused or let go, in order and within the "
          "bounds",
          "[router][property]") {
  test::for_each_seed(300, [](random_source random) {
    auto how = small;
    machine lines{how};
    time_point now{};
    std::map<std::uint64_t, std::vector<std::pair<std::uint64_t, std::size_t>>> on_link;
    std::map<std::uint64_t, std::size_t> sizes;
    std::map<std::uint64_t, time_point> until;
    std::map<std::uint64_t, std::uint64_t> last_sent;
    std::vector<std::uint64_t> open_links;
    std::set<std::uint64_t> sending; // links over which some thread sends
    std::uint64_t last = 0;
    std::uint64_t last_link = 0;
    std::size_t ended = 0;
    auto bytes_on = [&](std::uint64_t link) {
      std::size_t bytes = 0;
      for (auto& each : on_link[link])
        bytes += each.second;
      return bytes;
    };
    auto watch = [&](std::uint64_t link, machine::effects& out) {
      auto sends = false;
      for (auto& each : out)
        if (auto* sent = std::get_if<machine::send>(&each)) {
          sends = true;
          auto number = std::stoull(sent->to);
          REQUIRE(number > last_sent[link]);
          REQUIRE(until.at(number) >= now);
          REQUIRE(bytes_on(link) < how.window_bytes);
          last_sent[link] = number;
          const auto* why = std::get_if<problem>(&sent->what);
          on_link[link].emplace_back(
            0, own_bytes + (why != nullptr ? why->detail.size() : sizes.at(number)));
          ++ended;
        } else if (auto* wanted = std::get_if<machine::ask_receipt>(&each)) {
          on_link[link].back().first = wanted->mark;
        } else if (std::get<machine::let_go>(each).whom) {
          ++ended;
        }
      if (sends)
        REQUIRE(sending.insert(link).second);
      out.clear();
    };
    auto pick = [&] { return open_links[random.below(open_links.size())]; };
    auto take_step = [&](std::uint64_t what) {
      machine::effects out;
      now += std::chrono::milliseconds{static_cast<std::int64_t>(random.below(300))};
      if (open_links.empty() || what == 0) {
        if (open_links.size() < 3) {
          open_links.push_back(++last_link);
          lines.link_up(last_link);
        }
        return;
      }
      auto link = pick();
      if (what == 1 && random.one_in(4)) {
        lines.link_down(link, out);
        std::erase(open_links, link);
        on_link.erase(link);
        sending.erase(link);
      } else if (what == 2) {
        lines.hold(now, link, random.one_in(3), out);
      } else if (what < 6) {
        auto& lies = on_link[link];
        auto which = std::ranges::find_if(lies, [](auto& each) { return each.first != 0; });
        if (which == lies.end())
          return;
        auto mark = which->first;
        lies.erase(lies.begin(), which + 1);
        REQUIRE(lines.received(now, mark, out) == link);
      } else if (what < 10) {
        if (sending.erase(link) > 0)
          lines.sent(now, link, out);
      } else {
        auto number = ++last;
        sizes[number] = random.below(600);
        until[number]
          = now + std::chrono::milliseconds{static_cast<std::int64_t>(random.below(5'000))};
        lines.answer(now, link, std::to_string(number), "yes", sizes[number], until[number], out);
      }
      watch(link, out);
    };
    for (auto step = 0; step < 800; ++step) {
      take_step(random.below(16));
      router_statistics sum;
      lines.add_to(sum);
      REQUIRE(sum.waiting + ended == last);
    }
    for (auto link : open_links) {
      machine::effects out;
      lines.link_down(link, out);
      watch(link, out);
    }
    router_statistics sum;
    lines.add_to(sum);
    REQUIRE(sum.waiting_bytes == 0);
    REQUIRE(ended == last);
  });
}

} // namespace answer_lines_test
