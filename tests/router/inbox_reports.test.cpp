// What a router says of the messages that wait at its node.

#include "router/live_confirms.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstddef>
#include <cstdint>
#include <future>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caf/error.hpp"
#include "caf/message.hpp"
#include "caf/result.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/router/dead_letter.hpp"
#include "troupe/router/inbox_report.hpp"

namespace confirms_test {

namespace {

struct reported_inboxes : live_confirms {
  std::promise<void> opened;

  explicit reported_inboxes(const router_options& given = {}) : live_confirms(given) {}

  ~reported_inboxes() {
    if (!is_open_)
      opened.set_value();
  }

  inbox_page page(const router_access& of, const list_inboxes& what = {}) {
    return ask<inbox_page>(of, what);
  }

  /// Of an agent that has one.
  inbox_report report(const router_access& of, const agent_id& agent) {
    auto all = page(of, {.agent = agent}).inboxes;
    REQUIRE(all.size() == 1);
    CHECK(all.front().agent == agent);
    return all.front();
  }

  /// Answers nothing before open().
  void add_stuck(const router_access& where, const std::string& id, const inbox_options& how = {}) {
    add(
      where, id, [gate = opened.get_future().share()](std::uint64_t) { gate.wait(); }, how);
  }

  void open() {
    is_open_ = true;
    opened.set_value();
  }

  /// Of a wish to let go of that dead letter.
  errc purge_refusal(const router_access& where, const std::string& id) {
    auto result = errc::none;
    self->request(where.handle(), 20s, purge_dead_letters{id})
      .receive([](const purge_receipt&) {},
               [&](const caf::error& why) { result = to_problem(why).code; });
    return result;
  }

private:
  bool is_open_ = false;
};

struct two_deliveries : reported_inboxes {
  two_deliveries() : reported_inboxes({.max_deliveries = 2}) {}
};

} // namespace

TEST_CASE_METHOD(reported_inboxes, "where nothing waits nothing is said to wait", "[router]") {
  CHECK(page(*here) == inbox_page{});
  CHECK(page(*here, {.agent = "nobody"}) == inbox_page{});
  add_counting(*here, "idle");
  auto idle = report(*here, "idle");
  CHECK(idle.is_here);
  CHECK(idle.waiting == 0);
  CHECK(idle.accepted == 0);
  CHECK(page(*here, {.agent = "idl"}) == inbox_page{});
}

TEST_CASE_METHOD(reported_inboxes,
                 "what was accepted for an agent that is nowhere is shown, with the age of the "
                 "first",
                 "[router]") {
  for (std::uint64_t each = 1; each <= 3; ++each)
    REQUIRE(send("nobody", each).code == errc::none);
  auto first = report(*here, "nobody");
  CHECK(!first.is_here);
  CHECK(first.accepted == 3);
  CHECK(first.accepted_bytes > 0);
  CHECK(first.to == node_id{});
  CHECK(!first.is_linked);
  CHECK(testing::comes_true([&] { return report(*here, "nobody").age > first.age; }));
  auto all = add_counting(*here, "nobody");
  CHECK(all_ended());
  CHECK(all->count == 3);
  CHECK(report(*here, "nobody").accepted == 0);
}

TEST_CASE_METHOD(reported_inboxes,
                 "of an agent that fails it is shown how often, what it said, and where it is",
                 "[router]") {
  auto is_here = GENERATE(true, false);
  link();
  add(is_here ? *here : *there, "clumsy", [](std::uint64_t) -> caf::result<void> {
    return to_error({errc::failed, "dropped it"});
  });
  place("clumsy", is_here ? n1 : n2);
  REQUIRE(send("clumsy", 1).code == errc::none);
  REQUIRE(send("clumsy", 2).code == errc::none);
  CHECK(testing::comes_true([&] { return report(*here, "clumsy").failures >= 2; }));
  auto seen = report(*here, "clumsy");
  CHECK(seen.why == "dropped it");
  CHECK(seen.accepted == 2);
  CHECK(seen.to == (is_here ? n1 : n2));
  CHECK(seen.is_linked);
  cut();
  CHECK(testing::comes_true([&] { return report(*here, "clumsy").is_linked == is_here; }));
  CHECK(report(*here, "clumsy").to == seen.to);
}

TEST_CASE_METHOD(reported_inboxes, "what waits in an inbox is shown, and whether it is full",
                 "[router]") {
  add_stuck(*here, "stuck", {.max_messages = 10});
  inbox_report full;
  REQUIRE(testing::comes_true([&] {
    while (!here->send(to_agent("stuck"), caf::make_message(std::uint64_t{1}))) {
    }
    full = report(*here, "stuck"); // comes behind them; the first ones go on into the mailbox
    return full.is_full;
  }));
  CHECK(full.is_here);
  CHECK(full.waiting > 5); // it is full until half of them have gone
  CHECK(full.waiting <= 10);
  CHECK(full.waiting_bytes > 0);
  CHECK(full.accepted == 0);
  open();
  CHECK(testing::comes_true([&] { return report(*here, "stuck").waiting == 0; }));
  CHECK(!report(*here, "stuck").is_full);
}

TEST_CASE_METHOD(reported_inboxes, "inboxes come page by page, by their agents", "[router]") {
  for (auto* each : {"b", "d", "e"})
    REQUIRE(send(each, 1).code == errc::none);
  for (auto* each : {"a", "c", "e", "f"})
    add_counting(*here, each);
  auto limit = GENERATE(1U, 2U, 3U, 5U, 6U, 7U, 4'000'000'000U);
  std::vector<std::string> found;
  list_inboxes what{.limit = limit};
  for (auto more = true; more;) {
    auto some = page(*here, what);
    REQUIRE(some.inboxes.size() <= limit);
    for (auto& each : some.inboxes)
      found.push_back(each.agent.text());
    more = !some.next.empty();
    if (more) {
      CHECK(some.inboxes.size() == limit);
      CHECK(some.next == some.inboxes.back().agent);
    }
    what.after = some.next;
  }
  CHECK(found == std::vector<std::string>{"a", "b", "c", "d", "e", "f"});
}

TEST_CASE_METHOD(reported_inboxes, "pages of agents for which nothing was accepted leave out none",
                 "[router]") {
  for (auto* each : {"a", "b", "c"})
    add_counting(*here, each);
  list_inboxes what{.limit = 1};
  for (auto* each : {"a", "b", "c"}) {
    auto some = page(*here, what);
    REQUIRE(some.inboxes.size() == 1);
    CHECK(some.inboxes[0].agent == each);
    what.after = some.next;
  }
  CHECK(what.after.empty());
}

TEST_CASE_METHOD(two_deliveries, "a dead letter that is purged is gone, also after a restart",
                 "[router]") {
  test::temporary_folder folder;
  auto path = folder / "outbox.db";
  auto is_kept = GENERATE(true, false);
  if (is_kept)
    CHECK(go_on(path) == 0);
  add(*here, "clumsy", [](std::uint64_t) -> caf::result<void> {
    return to_error({errc::failed, "dropped it"});
  });
  for (std::uint64_t each = 1; each <= 3; ++each)
    REQUIRE(!(is_kept ? keep("clumsy", each) : send("clumsy", each)));
  REQUIRE(testing::comes_true([&] { return statistics(*here).dead_letters == 3; }));
  auto letters = ask<dead_letter_page>(*here, list_dead_letters{}).letters;
  auto first = to_string(letters[0].id);
  CHECK(ask<purge_receipt>(*here, purge_dead_letters{first}).purged == 1);
  CHECK(statistics(*here).dead_letters == 2);
  CHECK(purge_refusal(*here, first) == errc::not_found);
  CHECK(purge_refusal(*here, "nonsense") == errc::bad_argument);
  CHECK(refusal(*here, first).code == errc::not_found);
  if (is_kept) {
    CHECK(restart(path) == 0);
    CHECK(statistics(*here).dead_letters == 2);
  }
  CHECK(ask<purge_receipt>(*here, purge_dead_letters{}).purged == 2);
  CHECK(ask<purge_receipt>(*here, purge_dead_letters{}).purged == 0);
  CHECK(statistics(*here).dead_letters == 0);
  if (is_kept) {
    CHECK(restart(path) == 0);
    CHECK(statistics(*here).dead_letters == 0);
  }
}

TEST_CASE_METHOD(reported_inboxes,
                 "messages for an agent that is nowhere are dead letters once they are let go of, "
                 "and go again to one that is",
                 "[router]") {
  test::temporary_folder folder;
  auto path = folder / "outbox.db";
  CHECK(go_on(path) == 0);
  REQUIRE(!send("nobody", 1));
  REQUIRE(!keep("nobody", 2));
  REQUIRE(!send("other", 3));
  auto let_go
    = [this](const agent_id& agent) { return ask<expire_receipt>(*here, expire_messages{agent}); };
  CHECK(let_go("nobody") == expire_receipt{2, 0});
  CHECK(let_go("nobody") == expire_receipt{});
  CHECK(statistics(*here).confirms == 1);
  auto letters = ask<dead_letter_page>(*here, list_dead_letters{}).letters;
  REQUIRE(letters.size() == 2);
  CHECK(letters[1].reason == dead_reason::expired);
  CHECK(letters[1].why.starts_with("an operator has let go"));

  CHECK(restart(path) == 0); // it does not wait again
  CHECK(statistics(*here).dead_letters == 1);
  auto all = add_counting(*here, "nobody");
  place("nobody", n1);
  REQUIRE(ask<redrive_receipt>(*here, redrive_dead_letter{}).redriven == 1);
  CHECK(all_ended());
  CHECK(all->count == 1);

  add_stuck(*here, "slow");
  place("slow", n1);
  REQUIRE(!send("slow", 4));
  CHECK(let_go("slow") == expire_receipt{0, 1}); // it has it
  open();
  CHECK(all_ended());
  auto why = errc::none;
  self->request(here->handle(), 20s, expire_messages{})
    .receive([](const expire_receipt&) {},
             [&](const caf::error& error) { why = to_problem(error).code; });
  CHECK(why == errc::bad_argument);
}

TEST_CASE_METHOD(two_deliveries, "the content of a dead letter is shown, unless it is too large",
                 "[router]") {
  const message_options brief{.ttl = 200ms, .delivery = delivery_class::confirm};
  REQUIRE(!send("nobody", 18'446'744'073'709'551'615U, brief));
  auto say = [this, &brief](std::size_t bytes) {
    return here->send(to_agent("nobody"), caf::make_message(std::string(bytes, 'x'), false), brief);
  };
  constexpr auto most = show_dead_letter::max_bytes;
  constexpr std::size_t around = 65; // of the text in its JSON
  for (auto each : {std::size_t{3}, most - around, most - around + 1, 6 * most})
    REQUIRE(!say(each));
  REQUIRE(testing::comes_true([&] { return statistics(*here).dead_letters == 5; }));
  std::vector<std::string> ids;
  for (auto& each : ask<dead_letter_page>(*here, list_dead_letters{}).letters)
    ids.push_back(to_string(each.id));
  CHECK(shown(*here, ids[0]).value() == R"([{"type":"uint64_t","value":18446744073709551615}])");
  CHECK(shown(*here, ids[1]).value()
        == R"([{"type":"std::string","value":"xxx"},{"type":"bool","value":false}])");
  CHECK(shown(*here, ids[2]).value().size() == most);
  for (auto index : {3U, 4U}) {
    auto why = shown(*here, ids[index]).error();
    CHECK(why.code == errc::too_large);
    CHECK(why.detail.find("up to 65536 of JSON are shown") != std::string::npos);
  }
  CHECK(shown(*here, ids[3]).error().detail.find("has 65537 bytes") != std::string::npos);
  CHECK(shown(*here, "nonsense").error().code == errc::bad_argument);
  CHECK(shown(*here, ids[0] + "1").error().code == errc::not_found);
  CHECK(statistics(*here).dead_letters == 5);
}

TEST_CASE_METHOD(two_deliveries, "a dead letter that is being delivered again is not purged",
                 "[router]") {
  add(*here, "clumsy", [](std::uint64_t) -> caf::result<void> {
    return to_error({errc::failed, "dropped it"});
  });
  REQUIRE(!send("clumsy", 1));
  REQUIRE(testing::comes_true([&] { return statistics(*here).dead_letters == 1; }));
  auto id = to_string(ask<dead_letter_page>(*here, list_dead_letters{}).letters.at(0).id);
  on(*here, [](router_state& state) { return state.remove_agent("clumsy") != nullptr; });
  REQUIRE(ask<redrive_receipt>(*here, redrive_dead_letter{id}).redriven == 1);
  CHECK(purge_refusal(*here, id) == errc::busy);
  CHECK(shown(*here, id).error().code == errc::busy);
  CHECK(ask<purge_receipt>(*here, purge_dead_letters{}).purged == 0);
  CHECK(statistics(*here).confirms == 1);
}

} // namespace confirms_test
