// Messages of class confirm between live routers: over links that end, with agents that fail, end
// and move, and for agents of the sender's own node.

#include "router/live_confirms.hpp"
#include "support/file_limit.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/router/router.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/forwarding_actor_proxy.hpp"
#include "caf/make_actor.hpp"
#include "caf/message.hpp"
#include "caf/message_id.hpp"
#include "caf/node_id.hpp"
#include "caf/scoped_actor.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/net/basp_filter.hpp"
#include "troupe/net/grants.hpp"
#include "troupe/router/detail/entrance.hpp"
#include "troupe/router/detail/origin.hpp"
#include "troupe/router/detail/outbox_file.hpp"
#include "troupe/router/detail/outbox_keeper.hpp"
#include "troupe/router/detail/stored_letter.hpp"
#include "troupe/router/later.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/testing/comes_true.hpp"

namespace confirms_test {

TEST_CASE_METHOD(live_confirms, "a confirm is answered once its agent has handled it", "[router]") {
  auto is_here = GENERATE(true, false);
  auto& where = is_here ? *here : *there;
  link();
  auto all = add_counting(where, "a");
  place("a", is_here ? n1 : n2);
  for (std::uint64_t each = 1; each <= 20; ++each) {
    REQUIRE(post("a", each) == "1");
    REQUIRE(all->count == each);
  }
  CHECK(all->disorder == 0);
  CHECK(all_ended());
}

TEST_CASE_METHOD(live_confirms,
                 "ten thousand confirms are handled in order, once each, over links that are cut "
                 "meanwhile",
                 "[router]") {
  constexpr std::uint64_t many = 10'000;
  link();
  auto all = add_counting(*there, "a");
  place("a", n2);
  for (std::uint64_t each = 1; each <= many; ++each) {
    REQUIRE(send("a", each).code == errc::none);
    if (each % 2'500 == 0) {
      auto enough = all->count + 200;
      CHECK(testing::comes_true([&] { return all->count >= std::min(enough, each); }));
      cut();
      link();
    }
  }
  CHECK(testing::comes_true([&] { return all->count == many; }, 60s));
  CHECK(all_ended());
  CHECK(all->count == many);
  CHECK(all->disorder == 0);
}

TEST_CASE_METHOD(live_confirms,
                 "an agent in another process ends its confirm, and no other process does",
                 "[router]") {
  auto asked = std::make_shared<std::promise<caf::message_id>>();
  auto way = sys.spawn([=]() -> caf::behavior {
    return {[=](caf::forward_atom, const caf::strong_actor_ptr&,
                const std::vector<caf::strong_actor_ptr>&, const caf::strong_actor_ptr&,
                caf::message_id number, const caf::message&) { asked->set_value(number); }};
  });
  agents.push_back(way);
  auto far_one = [&](std::uint32_t process) { // as CAF makes it for an actor in another process
    caf::actor_config how;
    return caf::actor_cast<caf::strong_actor_ptr>(
      caf::make_actor<caf::forwarding_actor_proxy, caf::actor>(
        7, *caf::make_node_id(process, std::string(40, 'a')), &sys, how, way));
  };
  auto agent = far_one(7);
  REQUIRE(on(*here, [&](router_state& state) { return state.add_agent("far", agent); }).code
          == errc::none);
  REQUIRE(send("far", 1).code == errc::none);
  auto answer = asked->get_future().get().response_id();
  entry(*here)->enqueue(far_one(8), answer, caf::make_message(), nullptr);
  CHECK(statistics(*here).confirms == 1);
  CHECK(statistics(*here).uninvited == 1);
  entry(*here)->enqueue(agent, answer, caf::make_message(), nullptr);
  CHECK(all_ended());
}

TEST_CASE_METHOD(live_confirms, "a confirm whose answer is lost is not handled twice", "[router]") {
  link();
  auto all = add_counting(*there, "a");
  place("a", n2);
  REQUIRE(post("a", 1) == "1");
  std::atomic<int> lost{0};
  back->lets_through = [&](const caf::mailbox_element& what) {
    return !what.payload.match_elements<confirm_word>() || lost.fetch_add(1) > 0;
  };
  CHECK(post("a", 2) == "1"); // asked after a silence
  CHECK(lost > 1);
  CHECK(all->count == 2);
  out->is_cut = back->is_cut = true; // `lost` ends
}

namespace {

struct few_deliveries : live_confirms {
  few_deliveries() : live_confirms({.max_deliveries = 3}) {}
};

} // namespace

TEST_CASE_METHOD(few_deliveries,
                 "a handler that fails is tried again, others pass meanwhile, and at last it is "
                 "given up",
                 "[router]") {
  auto is_here = GENERATE(true, false);
  auto& where = is_here ? *here : *there;
  link();
  auto tries = std::make_shared<std::atomic<int>>(0);
  auto later = std::make_shared<seen>();
  add(where, "clumsy", [=](std::uint64_t number) -> caf::result<void> {
    if (number == 1 && ++*tries > 0)
      return to_error({errc::failed, "dropped it"});
    ++later->count;
    return {};
  });
  auto quick = add_counting(where, "quick");
  place("clumsy", is_here ? n1 : n2);
  place("quick", is_here ? n1 : n2);
  REQUIRE(send("clumsy", 1).code == errc::none);
  REQUIRE(send("clumsy", 2).code == errc::none);
  CHECK(post("quick", 1) == "1");
  CHECK(later->count == 0); // in order
  CHECK(testing::comes_true([&] { return later->count == 1; }));
  CHECK(*tries == 3);
  auto told = post("clumsy", 1);
  CHECK(told.find("failed") == 0);
  CHECK(told.find("dropped it") != std::string::npos);
  CHECK(statistics(where).given_up == 2);
  CHECK(all_ended());
}

TEST_CASE_METHOD(few_deliveries,
                 "a message that is given up is a dead letter on the node of its agent, and is "
                 "delivered again under its own id",
                 "[router]") {
  link();
  auto mends = std::make_shared<std::atomic<bool>>(false);
  auto ids = std::make_shared<std::set<std::string>>();
  auto agent = sys.spawn([=]() -> caf::behavior {
    return {[=](const message_info& by, std::uint64_t) -> caf::result<void> {
      ids->insert(to_string(by.id));
      if (!*mends)
        return to_error({errc::failed, "dropped it"});
      return {};
    }};
  });
  agents.push_back(agent);
  auto handle = caf::actor_cast<caf::strong_actor_ptr>(agent);
  REQUIRE(
    on(*there, [=](router_state& state) { return state.add_agent("clumsy", handle, true); }).code
    == errc::none);
  place("clumsy", n2);
  REQUIRE(post("clumsy", 1).find("failed") == 0);
  auto kept = ask<dead_letter_page>(*there, list_dead_letters{});
  REQUIRE(kept.letters.size() == 1);
  auto& letter = kept.letters.front();
  CHECK(letter.reason == dead_reason::failed);
  CHECK(letter.why == "dropped it");
  CHECK(letter.node == n1);
  CHECK(letter.to == "clumsy");
  CHECK(letter.type == "uint64_t");
  CHECK(letter.deliveries == 3);
  CHECK(ask<dead_letter_page>(*here, list_dead_letters{}).letters.empty());
  auto id = to_string(letter.id);
  CHECK(refusal(*here, id).code == errc::not_found);
  CHECK(refusal(*there, "nonsense").code == errc::bad_argument);

  CHECK(ask<redrive_receipt>(*there, redrive_dead_letter{}) == redrive_receipt{1, 0, 0, 0});
  CHECK(testing::comes_true([&] { return statistics(*there).dead_letters == 1; })); // once more
  *mends = true;
  CHECK(ask<redrive_receipt>(*there, redrive_dead_letter{id}) == redrive_receipt{1, 0, 0, 0});
  CHECK(testing::comes_true([&] { return statistics(*there).confirms == 0; }));
  CHECK(ask<redrive_receipt>(*there, redrive_dead_letter{id}) == redrive_receipt{0, 1, 0, 0});
  CHECK(statistics(*there).dead_letters == 0);
  CHECK(*ids == std::set<std::string>{id});
}

TEST_CASE_METHOD(few_deliveries,
                 "a dead letter goes to its agent on another node under its own id, and its own "
                 "node may have the same number",
                 "[router]") {
  link();
  auto tries = std::make_shared<std::atomic<int>>(0);
  auto first = add(*there, "a", [=](std::uint64_t) -> caf::result<void> {
    ++*tries;
    return to_error({errc::failed, "dropped it"});
  });
  place("a", n2);
  REQUIRE(post("a", 1).find("failed") == 0);
  auto letter = ask<dead_letter_page>(*there, list_dead_letters{}).letters.at(0);
  on(*there, [](router_state& state) { return state.remove_agent("a") != nullptr; });
  auto got = std::make_shared<std::promise<message_id>>();
  auto agent = sys.spawn([=]() -> caf::behavior {
    return {[=](const message_info& by, std::uint64_t) { got->set_value(by.id); }};
  });
  agents.push_back(agent);
  auto handle = caf::actor_cast<caf::strong_actor_ptr>(agent);
  on(*here, [=](router_state& state) { return state.add_agent("a", handle, true).code; });
  on(*there, [](router_state& state) {
    state.places().put({"a", n1});
    return true;
  });
  CHECK(ask<redrive_receipt>(*there, redrive_dead_letter{to_string(letter.id)}).redriven == 1);
  CHECK(got->get_future().get() == letter.id);
  CHECK(testing::comes_true([&] { return statistics(*there).confirms == 0; }));
}

TEST_CASE_METHOD(few_deliveries,
                 "what an agent answers for another actor that is gone is a failure of its own",
                 "[router]") {
  auto is_here = GENERATE(true, false);
  link();
  add(is_here ? *here : *there, "a", [](std::uint64_t) -> caf::result<void> {
    return caf::make_error(caf::sec::request_receiver_down);
  });
  place("a", is_here ? n1 : n2);
  CHECK(post("a", 1).find("unreachable: the agent failed to handle the message") == 0);
  CHECK(all_ended());
}

TEST_CASE_METHOD(live_confirms,
                 "who waits too short a time for a confirm hears what its agent said when it "
                 "failed last",
                 "[router]") {
  auto is_here = GENERATE(true, false);
  link();
  add(is_here ? *here : *there, "a",
      [](std::uint64_t) -> caf::result<void> { return to_error(later(1h, "closed for today")); },
      {.ordered = false});
  place("a", is_here ? n1 : n2);
  std::string told;
  CHECK(testing::comes_true([&] { // it may have got it late
    told = post("a", 1, confirmed, 500ms);
    return told.find("its agent failed at last: try again in 3600000 ms: closed for today")
           != std::string::npos;
  }));
  CHECK(told.find("timed_out: the message was accepted") == 0);
}

TEST_CASE_METHOD(live_confirms,
                 "a dead letter that its node cannot read is not delivered again, and stays",
                 "[router]") {
  link();
  auto count = std::make_shared<std::atomic<int>>(0);
  auto agent = sys.spawn([=]() -> caf::behavior {
    return {[=](audience) { ++*count; }, [=] { ++*count; }}; // the second takes an empty message
  });
  agents.push_back(agent);
  auto handle = caf::actor_cast<caf::strong_actor_ptr>(agent);
  REQUIRE(on(*there, [=](router_state& state) { return state.add_agent("a", handle); }).code
          == errc::none);
  place("a", n2);
  constexpr std::uint8_t of_a_later_release = 99;
  auto payload = caf::make_message(static_cast<audience>(of_a_later_release));
  auto how = confirmed;
  how.type = "reading";
  REQUIRE(here->send(to_agent("a"), payload, how).code == errc::none);
  CHECK(testing::comes_true([&] { return statistics(*there).dead_letters == 1; }));
  auto kept = ask<dead_letter_page>(*there, list_dead_letters{});
  REQUIRE(kept.letters.size() == 1);
  CHECK(kept.letters[0].why.find("cannot read this message") != std::string::npos);
  CHECK(refusal(*there, to_string(kept.letters[0].id)).code == errc::incompatible);
  auto shows = shown(*there, to_string(kept.letters[0].id)).error();
  CHECK(shows.code == errc::incompatible);
  CHECK(shows.detail.find("of type reading, cannot be shown") != std::string::npos);
  CHECK(shows.detail.find("cannot read this message") != std::string::npos);
  CHECK(ask<redrive_receipt>(*there, redrive_dead_letter{}) == redrive_receipt{0, 0, 0, 1});
  CHECK(statistics(*there).dead_letters == 1);
  CHECK(*count == 0);
}

TEST_CASE("over a link a node that does not know class confirm may say so", "[router]") {
  constexpr std::uint64_t entry_point = 7;
  net::grants of_link{entry_point, "this node"};
  auto asked = caf::message_id{router::detail::entrance::confirm_number}.with_normal_priority();
  CHECK(of_link.refusal({net::basp_header::operation::direct_message, 0, 1, 5, entry_point,
                         asked.response_id().integer_value()})
        == "");
}

namespace {

struct impatient_node : live_confirms {
  impatient_node() : live_confirms({.longest_handling = 200ms}) {}
};

} // namespace

TEST_CASE_METHOD(impatient_node,
                 "a message whose agent never answers is a dead letter, and the next one comes",
                 "[router]") {
  link();
  auto promise = std::make_shared<caf::response_promise>();
  auto count = std::make_shared<std::atomic<int>>(0);
  auto holder = sys.spawn([=](caf::event_based_actor* me) -> caf::behavior {
    return {[=](std::uint64_t number) -> caf::result<void> {
      ++*count;
      if (number != 1)
        return {};
      *promise = me->make_response_promise();
      return *promise;
    }};
  });
  agents.push_back(holder);
  auto handle = caf::actor_cast<caf::strong_actor_ptr>(holder);
  REQUIRE(on(*there, [=](router_state& state) { return state.add_agent("a", handle); }).code
          == errc::none);
  place("a", n2);
  REQUIRE(send("a", 1).code == errc::none);
  CHECK(post("a", 2) == "1");
  auto kept = ask<dead_letter_page>(*there, list_dead_letters{});
  REQUIRE(kept.letters.size() == 1);
  CHECK(kept.letters.front().why.find("has not answered in time") != std::string::npos);
  CHECK(*count == 2);
  CHECK(all_ended());
}

TEST_CASE_METHOD(live_confirms, "what expires while its agent is nowhere is a dead letter there",
                 "[router]") {
  CHECK(post("nobody", 1, confirmed_for(20ms)).find("expired") == 0);
  auto kept = ask<dead_letter_page>(*here, list_dead_letters{});
  REQUIRE(kept.letters.size() == 1);
  CHECK(kept.letters.front().reason == dead_reason::expired);
  CHECK(kept.letters.front().deliveries == 0);
  auto all = add_counting(*here, "nobody");
  CHECK(ask<redrive_receipt>(*here, redrive_dead_letter{}).redriven == 1); // without a ttl
  CHECK(testing::comes_true([&] { return all->count == 1; }));
  CHECK(all_ended());
}

TEST_CASE_METHOD(
  live_confirms,
  "a handler that asks for a message later gets it then, and the next one only where "
  "it asks for no order",
  "[router]") {
  auto is_ordered = GENERATE(true, false);
  link();
  auto got = std::make_shared<std::vector<std::pair<std::uint64_t, time_point>>>();
  auto count = std::make_shared<std::atomic<std::size_t>>(0);
  auto take = [=](std::uint64_t number) -> caf::result<void> {
    got->emplace_back(number, time_point{std::chrono::steady_clock::now().time_since_epoch()});
    if (++*count == 1)
      return to_error(later(300ms, "the database is closed"));
    return {};
  };
  add(*there, "moody", take, {.ordered = is_ordered});
  place("moody", n2);
  REQUIRE(send("moody", 1).code == errc::none);
  REQUIRE(post("moody", 2) == "1");
  CHECK(testing::comes_true([&] { return *count == 3; }));
  CHECK(all_ended());
  auto again = is_ordered ? 1U : 2U;
  CHECK(got->at(0).first == 1);
  CHECK(got->at(again).first == 1);
  CHECK(got->at(3 - again).first == 2);
  CHECK(got->at(again).second - got->at(0).second >= 300ms);
}

TEST_CASE("what a handler says by later() is read back, and nothing else is taken for it",
          "[router]") {
  CHECK(later(1500us, "soon").detail == "try again in 2 ms: soon");
  CHECK(delay_of(later(1500us, "soon")) == 2ms);
  CHECK(delay_of(later(-1s)) == 0ms);
  CHECK(delay_of(later(longest_span + 1h)) == longest_span);
  for (auto* text : {"", "try again", "try again in ms", "try again in -1 ms", "try again in 1 h",
                     "try again in 99999999999999999999 ms"})
    CHECK_FALSE(delay_of({errc::later, text}));
  for (auto code : {errc::busy, errc::failed})
    CHECK_FALSE(delay_of({code, later(1s).detail}));
}

TEST_CASE_METHOD(live_confirms,
                 "a message of class once has one id however often it comes, and only an agent "
                 "with a store gets it",
                 "[router]") {
  const message_options once{.type = "entry", .delivery = delivery_class::once};
  link();
  std::mutex mutex;
  std::vector<message_info> got;
  add(
    *there, "keeps",
    [&](const kept_message& what) -> caf::result<void> {
      std::lock_guard guard{mutex};
      got.push_back(what.info);
      CHECK(what.payload.match_elements<std::uint64_t>());
      return got.size() == 1 ? caf::result<void>{to_error(later(1ms))} : caf::result<void>{};
    },
    {}, true);
  place("keeps", n2);
  CHECK(post("keeps", 1, once) == "1");
  CHECK(post("keeps", 2, once) == "1");
  std::lock_guard guard{mutex};
  REQUIRE(got.size() == 3);
  auto now = message_info::moment{sys.clock().now().time_since_epoch()};
  for (auto& each : got) {
    CHECK(each.delivery == delivery_class::once);
    CHECK(each.type == "entry");
    REQUIRE(each.expires_at);
    CHECK(*each.expires_at <= now + longest_once_life);
    CHECK(*each.expires_at > now + longest_once_life - 1min);
  }
  CHECK(got[0].id == got[1].id);
  CHECK(got[2].id != got[1].id);
  CHECK(got[0].id.node == n1);

  std::atomic<bool> called{false};
  add(*there, "plain", [&](std::uint64_t) { called = true; });
  place("plain", n2);
  auto refused = post("plain", 1, once);
  CHECK(refused.find("incompatible") == 0);
  CHECK(refused.find("agent_options::once") != std::string::npos);
  CHECK_FALSE(called);
  auto dead = ask<dead_letter_page>(*there, list_dead_letters{});
  REQUIRE(dead.letters.size() == 1);
  CHECK(dead.letters.front().reason == dead_reason::failed);
  CHECK(all_ended());
}

TEST_CASE_METHOD(live_confirms,
                 "a dead letter of class once is delivered again for what is left of its time",
                 "[router]") {
  const message_options once{.ttl = 1min, .delivery = delivery_class::once};
  link();
  std::optional<message_info> got;
  std::promise<void> done;
  add(*there, "plain", [](std::uint64_t) {});
  place("plain", n2);
  REQUIRE(post("plain", 1, once).find("incompatible") == 0);
  auto id = ask<dead_letter_page>(*there, list_dead_letters{}).letters.at(0).id;
  on(*there, [](router_state& state) { return state.remove_agent("plain") != nullptr; });
  add(
    *there, "plain",
    [&](const kept_message& what) {
      got = what.info;
      done.set_value();
    },
    {}, true);
  CHECK(ask<redrive_receipt>(*there, redrive_dead_letter{to_string(id)}).redriven == 1);
  REQUIRE(done.get_future().wait_for(20s) == std::future_status::ready);
  CHECK(got->id == id);
  auto now = message_info::moment{sys.clock().now().time_since_epoch()};
  REQUIRE(got->expires_at);
  CHECK(*got->expires_at <= now + 23h);
  CHECK(*got->expires_at > now + 22h); // not its ttl

  router::detail::terms old{{}, 1min, longest_life, time_point{5h}};
  old.how = std::make_shared<const message_options>(once);
  old.age = 20h;
  CHECK(old.again(time_point{6h}).life == 2h);
  CHECK(old.again(time_point{6h}).age == 21h);
  CHECK(old.again(time_point{8h}).life == 0h);
  old.how = std::make_shared<const message_options>(confirmed_for(1min));
  CHECK(old.again(time_point{80h}).life == longest_life);
}

TEST_CASE_METHOD(live_confirms, "a confirm waits for an agent that is nowhere yet", "[router]") {
  link();
  for (std::uint64_t each = 1; each <= 3; ++each)
    REQUIRE(send("late", each).code == errc::none);
  CHECK(post("late", 4, confirmed_for(50ms)).find("expired") == 0);
  CHECK(post("late", 4, confirmed, 50ms).find("timed_out") == 0);
  auto all = add_counting(*there, "late");
  place("late", n2);
  CHECK(testing::comes_true([&] { return all->count == 4; }));
  CHECK(all->disorder == 0);
}

TEST_CASE_METHOD(live_confirms, "a confirm follows its agent to another node", "[router]") {
  link();
  auto first = add_counting(*there, "a");
  place("a", n2);
  REQUIRE(post("a", 1) == "1");
  on(*there, [](router_state& state) { return state.remove_agent("a") != nullptr; });
  REQUIRE(send("a", 2).code == errc::none); // nobody has said yet that it is gone
  REQUIRE(send("a", 3).code == errc::none);
  CHECK(testing::comes_true([&] { return statistics(*here).confirms == 2; }));
  auto second = std::make_shared<seen>();
  second->last = 1;
  add(*here, "a", [second](std::uint64_t number) { second->take(number); });
  CHECK(testing::comes_true([&] { return second->count == 2; }));
  CHECK(second->disorder == 0);
  CHECK(first->count == 1);
  CHECK(all_ended());
}

TEST_CASE_METHOD(live_confirms, "a node that restarts gets what it has not acknowledged",
                 "[router]") {
  link();
  auto first = std::make_shared<seen>();
  auto promise = std::make_shared<caf::response_promise>();
  auto holder = sys.spawn([=](caf::event_based_actor* me) -> caf::behavior {
    return {[=](std::uint64_t) -> caf::result<void> {
      ++first->count;
      *promise = me->make_response_promise(); // and never answers
      return *promise;
    }};
  });
  agents.push_back(holder);
  auto handle = caf::actor_cast<caf::strong_actor_ptr>(holder);
  REQUIRE(on(*there, [=](router_state& state) { return state.add_agent("a", handle); }).code
          == errc::none);
  place("a", n2);
  for (std::uint64_t each = 1; each <= 3; ++each)
    REQUIRE(send("a", each).code == errc::none);
  CHECK(testing::comes_true([&] { return first->count == 1; }));
  cut();
  end(*there);
  there.emplace(make(n2));
  auto second = add_counting(*there, "a");
  link();
  CHECK(testing::comes_true([&] { return second->count == 3; }));
  CHECK(second->disorder == 0);
  CHECK(first->count == 1);
  CHECK(all_ended());
}

TEST_CASE_METHOD(live_confirms, "a sender that restarts is not taken for its earlier life",
                 "[router]") {
  link();
  auto all = add_counting(*there, "a");
  place("a", n2);
  for (std::uint64_t each = 1; each <= 3; ++each)
    REQUIRE(post("a", each) == "1");
  cut();
  end(*here);
  here.emplace(make(n1));
  link();
  place("a", n2);
  CHECK(post("a", 4) == "1");
  CHECK(all->count == 4);
  CHECK(all->disorder == 0);
}

TEST_CASE_METHOD(
  live_confirms,
  "who waits for the disk hears of an unknown outcome where the node stops meanwhile", "[router]") {
  test::temporary_folder folder;
  auto file = std::make_unique<router::detail::outbox_file>(folder / "outbox.db");
  REQUIRE(file->load());
  auto keeper = std::make_shared<router::detail::outbox_keeper>(std::move(file), 0);
  std::promise<void> gate;
  keeper->add("slow", [opened = gate.get_future().share()](const problem&) { opened.wait(); });
  on(*here, [&](router_state& state) { return state.go_on_with(keeper, {}).first; });
  std::promise<problem> sent;
  auto how = confirmed;
  how.durability = durability::synced;
  here->send(to_agent("a"), caf::make_message(std::uint64_t{1}), how,
             [&sent](const problem& why) { sent.set_value(why); });
  on(*here, [](router_state&) { return true; }); // it waits for the disk
  end(*here);
  auto heard = sent.get_future();
  auto how_long = heard.wait_for(20s);
  gate.set_value();
  REQUIRE(how_long == std::future_status::ready);
  CHECK(heard.get().code == errc::outcome_unknown);
  keeper.reset();
  CHECK(testing::comes_true([&] { // it was written indeed
    router::detail::outbox_file again{folder / "outbox.db"};
    auto all = again.load();
    return all && all->size() == 2;
  }));
}

TEST_CASE_METHOD(live_confirms, "what waits for the disk before it goes holds up nothing else",
                 "[router]") {
  link();
  test::temporary_folder folder;
  auto file = std::make_unique<router::detail::outbox_file>(folder / "outbox.db");
  REQUIRE(file->load());
  auto keeper = std::make_shared<router::detail::outbox_keeper>(std::move(file), 0);
  on(*here, [&](router_state& state) { return state.go_on_with(keeper, {}).first; });
  std::promise<problem> accepted;
  here->send(to_agent("a"), caf::make_message(std::uint64_t{1}),
             {.delivery = delivery_class::once, .durability = durability::synced},
             [&accepted](const problem& why) { accepted.set_value(why); });
  REQUIRE(!accepted.get_future().get()); // and its agent is nowhere
  auto others = add_counting(*there, "b");
  place("b", n2);
  auto count = std::make_shared<std::atomic<int>>(0);
  add(
    *there, "a", [count](const kept_message&) { ++*count; }, {}, true);
  std::promise<void> gate;
  keeper->add("slow", [opened = gate.get_future().share()](const problem&) { opened.wait(); });
  place("a", n2);
  auto until = std::chrono::steady_clock::now() + 1s; // some looks for agents
  for (std::uint64_t each = 1; std::chrono::steady_clock::now() < until; ++each) {
    REQUIRE(send("b", each).code == errc::none);
    REQUIRE(testing::comes_true([&] { return others->count == each; }));
  }
  CHECK(*count == 0);
  gate.set_value();
  CHECK(testing::comes_true([&] { return *count == 1; }));
  CHECK(all_ended());
}

TEST_CASE_METHOD(
  live_confirms,
  "a kept message of class once goes on at the next start, to the node on the disk only",
  "[router]") {
  test::temporary_folder folder;
  auto path = folder / "outbox.db";
  CHECK(go_on(path) == 0);
  place("a", n2);
  std::promise<problem> accepted;
  here->send(to_agent("a"), caf::make_message(std::uint64_t{1}),
             {.delivery = delivery_class::once, .durability = durability::synced},
             [&accepted](const problem& why) { accepted.set_value(why); });
  REQUIRE(!accepted.get_future().get());
  CHECK(restart(path) == 1);
  auto count = std::make_shared<std::atomic<int>>(0);
  add(
    *there, "a", [count](const kept_message&) { ++*count; }, {}, true);
  link();
  SECTION("its agent is there") {
    place("a", n2);
    CHECK(testing::comes_true([&] { return *count == 1; }));
    CHECK(all_ended());
    CHECK(statistics(*here).dead_letters == 0);
  }
  SECTION("its agent is elsewhere") {
    place("a", n3);
    CHECK(all_ended());
    CHECK(statistics(*here).dead_letters == 1);
    CHECK(*count == 0);
  }
}

TEST_CASE_METHOD(few_deliveries,
                 "a kept message that is given up is a dead letter of its sender's node, over the "
                 "restarts of that, until it is handled",
                 "[router]") {
  test::temporary_folder folder;
  auto path = folder / "outbox.db";
  CHECK(go_on(path) == 0);
  auto mends = std::make_shared<std::atomic<bool>>(false);
  auto handled = std::make_shared<std::atomic<int>>(0);
  add(*there, "clumsy", [=](std::uint64_t) -> caf::result<void> {
    if (!*mends)
      return to_error({errc::failed, "dropped it"});
    ++*handled;
    return {};
  });
  link();
  place("clumsy", n2);
  REQUIRE(!keep("clumsy", 1));
  auto is_dead = [&] { return statistics(*here).dead_letters == 1; };
  REQUIRE(testing::comes_true(is_dead));
  CHECK(statistics(*there).dead_letters == 0);
  CHECK(statistics(*there).given_up == 1);
  auto before = ask<dead_letter_page>(*here, list_dead_letters{}).letters.front();
  CHECK(before.why == "dropped it");
  CHECK(before.deliveries == 3);
  CHECK(before.to == "clumsy");

  CHECK(restart(path) == 0); // it does not go by itself
  CHECK(ask<dead_letter_page>(*here, list_dead_letters{}).letters == std::vector{before});
  link();
  place("clumsy", n2);
  auto id = to_string(before.id);
  CHECK(ask<redrive_receipt>(*here, redrive_dead_letter{id}).redriven == 1);
  REQUIRE(testing::comes_true([&] { return statistics(*there).given_up == 2; }));
  REQUIRE(testing::comes_true(is_dead)); // once more

  CHECK(restart(path) == 0);
  link();
  place("clumsy", n2);
  *mends = true;
  CHECK(ask<redrive_receipt>(*here, redrive_dead_letter{id}).redriven == 1);
  CHECK(testing::comes_true([&] { return *handled == 1; }));
  CHECK(all_ended());
  CHECK(ask<redrive_receipt>(*here, redrive_dead_letter{id}).applied_already == 1);

  CHECK(restart(path) == 0);
  CHECK(statistics(*here).dead_letters == 0);
  CHECK(refusal(*here, id).code == errc::not_found);
  CHECK(*handled == 1);
}

TEST_CASE_METHOD(few_deliveries,
                 "a kept message at which its node ends each time is given up, and no other",
                 "[router]") {
  test::temporary_folder folder;
  auto life = 0;
  auto path = [&] { return folder / std::to_string(life); };
  auto die = [&] {
    auto before = path();
    ++life;
    return kill(before, path());
  };
  CHECK(go_on(path()) == 0);
  auto deadly = add_deadly("deadly");
  REQUIRE(!keep("deadly", 1));
  REQUIRE(!keep("deadly", 2));
  for (std::uint64_t each = 1; each <= 5; ++each)
    REQUIRE(!keep("other", each)); // whose agent is nowhere
  REQUIRE(testing::comes_true([&] { return deadly->count == 1; }));
  for (auto each = 0; each < 3; ++each) { // the first life has counted nothing
    CHECK(die() == 7);
    CHECK(statistics(*here).dead_letters == 0);
    deadly = add_deadly("deadly");
    REQUIRE(testing::comes_true([&] { return deadly->count == 1; }));
  }

  CHECK(die() == 6);
  auto dead = ask<dead_letter_page>(*here, list_dead_letters{}).letters;
  REQUIRE(dead.size() == 1);
  CHECK(dead.front().reason == dead_reason::failed);
  CHECK(dead.front().deliveries == 3);
  CHECK(dead.front().to == "deadly");
  CHECK(dead.front().why
        == "its node ended without a clean stop 3 times while the agent had it, or was to get it "
           "again");
  CHECK(statistics(*here).given_up == 1);
  auto healthy = add_counting(*here, "deadly");
  auto other = add_counting(*here, "other");
  CHECK(all_ended());
  CHECK(healthy->last == 2);
  CHECK(healthy->count == 1);
  CHECK(other->count == 5);
  CHECK(other->disorder == 0);

  CHECK(restart(path()) == 0);
  CHECK(ask<dead_letter_page>(*here, list_dead_letters{}).letters == dead);
}

TEST_CASE_METHOD(few_deliveries, "an end of a node by a clean stop counts for no kept message",
                 "[router]") {
  test::temporary_folder folder;
  auto path = folder / "outbox.db";
  auto next = folder / "next.db";
  CHECK(go_on(path) == 0);
  REQUIRE(!keep("deadly", 1));
  CHECK(kill(path, next) == 1); // which counts for none that waits
  for (auto each = 0; each < 5; ++each) {
    auto deadly = add_deadly("deadly");
    REQUIRE(testing::comes_true([&] { return deadly->count == 1; }));
    CHECK(restart(next) == 1);
  }
  CHECK(statistics(*here).dead_letters == 0);
  auto healthy = add_counting(*here, "deadly");
  CHECK(all_ended());
  CHECK(healthy->count == 1);
}

TEST_CASE_METHOD(live_confirms, "many kept messages go on after a kill, in order", "[router]") {
  test::temporary_folder folder;
  auto path = folder / "outbox.db";
  CHECK(go_on(path) == 0);
  constexpr std::uint64_t count = 200;
  for (std::uint64_t each = 1; each <= count; ++each)
    for (auto* agent : {"a", "b"})
      REQUIRE(!keep(agent, each));
  auto is_killed = GENERATE(true, false);
  CHECK((is_killed ? kill(path, folder / "next.db") : restart(path)) == 2 * count);
  REQUIRE(send("a", count + 1).code == errc::none); // goes behind
  auto a = add_counting(*here, "a");
  auto b = add_counting(*here, "b");
  CHECK(all_ended());
  CHECK(a->count == count + 1);
  CHECK(b->count == count);
  CHECK(a->disorder + b->disorder == 0);
}

TEST_CASE_METHOD(live_confirms,
                 "a kept dead letter that goes again goes on at the next start, and is none",
                 "[router]") {
  test::temporary_folder folder;
  auto path = folder / "outbox.db";
  CHECK(go_on(path) == 0);
  REQUIRE(!keep_briefly("late", 1));
  REQUIRE(testing::comes_true([&] { return statistics(*here).dead_letters == 1; }));
  CHECK(restart(path) == 0);
  CHECK(ask<redrive_receipt>(*here, redrive_dead_letter{}).redriven == 1);
  CHECK(restart(path) == 1);
  CHECK(statistics(*here).dead_letters == 0);
  auto all = add_counting(*there, "late");
  link();
  place("late", n2);
  CHECK(testing::comes_true([&] { return all->count == 1; }));
  CHECK(all_ended());
}

TEST_CASE_METHOD(live_confirms,
                 "a dead letter that goes again while the disk is full is one at the next start",
                 "[router]") {
  test::temporary_folder folder;
  auto path = folder / "outbox.db";
  CHECK(go_on(path) == 0);
  REQUIRE(!keep("late", 1, 200ms));
  auto dies_first = GENERATE(true, false);
  auto is_dead = [&] { return statistics(*here).dead_letters == 1; };
  if (dies_first)
    REQUIRE(testing::comes_true(is_dead));
  {
    test::file_limit limit{1U << 10U};
    REQUIRE(testing::comes_true(is_dead));
    CHECK(ask<redrive_receipt>(*here, redrive_dead_letter{}).redriven == 1);
    CHECK(keep("late", 2).code == errc::storage_full);
  }
  CHECK(!keep("late", 3)); // and what was to be written before
  CHECK(restart(path) == 1);
  CHECK(statistics(*here).dead_letters == 1);
}

TEST_CASE_METHOD(few_deliveries,
                 "kept dead letters are in the order of their ends, also at the next start",
                 "[router]") {
  test::temporary_folder folder;
  auto path = folder / "outbox.db";
  CHECK(go_on(path) == 0);
  REQUIRE(!keep("clumsy", 1));
  REQUIRE(!keep_briefly("late", 2));
  REQUIRE(testing::comes_true([&] { return statistics(*here).dead_letters == 1; }));
  add(*here, "clumsy", [](std::uint64_t) -> caf::result<void> {
    return to_error({errc::failed, "dropped it"});
  });
  REQUIRE(testing::comes_true([&] { return statistics(*here).dead_letters == 2; }));
  auto ends = [&] {
    std::vector<std::string> all;
    for (auto& each : ask<dead_letter_page>(*here, list_dead_letters{}).letters)
      all.push_back(each.to.text());
    return all;
  };
  CHECK(ends() == std::vector{"late"s, "clumsy"s});
  CHECK(restart(path) == 0);
  CHECK(ends() == std::vector{"late"s, "clumsy"s});
}

TEST_CASE_METHOD(live_confirms,
                 "of a kept message that an earlier start may have sent nobody says that it was "
                 "not delivered",
                 "[router]") {
  test::temporary_folder folder;
  auto path = folder / "outbox.db";
  router::detail::origin from{{n1, true, true}, {}, true};
  from.said.id = {n1, 1, 1};
  auto which = GENERATE(delivery_class::confirm, delivery_class::once);
  from.said.how = router::detail::shared({.delivery = which, .durability = durability::synced});
  from.said.life = -1s;
  auto noted = which == delivery_class::once ? GENERATE(node_id{}, n2) : node_id{};
  auto bytes = router::detail::to_bytes("late", caf::make_message(std::uint64_t{1}), from,
                                        time_point{}, noted);
  REQUIRE(bytes);
  {
    router::detail::outbox_file file{path};
    REQUIRE(file.load());
    REQUIRE(!file.commit({{1, *bytes}}, {}));
  }
  CHECK(go_on(path) == 1);
  REQUIRE(testing::comes_true([&] { return statistics(*here).dead_letters == 1; }));
  auto letter = ask<dead_letter_page>(*here, list_dead_letters{}).letters.front();
  auto has_not_gone = which == delivery_class::once && noted == node_id{};
  CHECK(letter.reason == (has_not_gone ? dead_reason::expired : dead_reason::unknown));
}

TEST_CASE_METHOD(live_confirms, "kept messages go on, however many have gone before them",
                 "[router]") {
  test::temporary_folder folder;
  CHECK(go_on(folder / "outbox.db") == 0);
  auto all = add_counting(*there, "ledger");
  link();
  place("ledger", n2);
  constexpr std::uint64_t count = 3'000; // more than are on their way
  std::atomic<std::uint64_t> kept = 0;
  for (std::uint64_t number = 1; number <= count; ++number)
    here->send(to_agent("ledger"), caf::make_message(number),
               {.delivery = delivery_class::confirm, .durability = durability::synced},
               [&kept](const problem& why) { kept += why ? 0 : 1; });
  CHECK(testing::comes_true([&] { return all->count == count; }));
  CHECK(all->disorder == 0);
  CHECK(all_ended());
  CHECK(kept == count);
}

namespace {

struct few_dead_letters : live_confirms {
  few_dead_letters() : live_confirms({.max_dead_letters = 2}) {}
};

} // namespace

TEST_CASE_METHOD(few_dead_letters, "kept dead letters that give way leave the disk", "[router]") {
  test::temporary_folder folder;
  auto path = folder / "outbox.db";
  CHECK(go_on(path) == 0);
  for (std::uint64_t number = 1; number <= 3; ++number) {
    REQUIRE(!keep_briefly("late", number));
    REQUIRE(all_ended());
  }
  CHECK(statistics(*here).dead_letters == 2);
  CHECK(statistics(*here).dead_letters_dropped == 1);
  auto left = ask<dead_letter_page>(*here, list_dead_letters{});
  CHECK(restart(path) == 0);
  auto again = ask<dead_letter_page>(*here, list_dead_letters{});
  REQUIRE(again.letters.size() == 2);
  CHECK(again.letters[0].id == left.letters[0].id);
  CHECK(again.letters[1].id == left.letters[1].id);
  CHECK(again.dropped == 0);
}

TEST_CASE_METHOD(live_confirms, "what a confirm cannot be is refused at once", "[router]") {
  CHECK(here->send(to_group("all"), caf::make_message(1), confirmed).code == errc::bad_argument);
  CHECK(here->send(to_any("work"), caf::make_message(1), confirmed).code == errc::bad_argument);
  CHECK(send("", 1).code == errc::bad_argument);
  CHECK(send(std::string(1'000'000, 'x'), 1).code == errc::bad_argument);
  CHECK(send("a", 1, confirmed_for(0s)).code == errc::expired);
  CHECK(here->send(to_agent("a"), caf::make_message(std::string(40U << 20U, 'x')), confirmed).code
        == errc::too_large);
  dispatch asked{to_agent("a"), {}, 1s, caf::make_message(1), confirmed};
  self->request(here->handle(), 10s, std::move(asked))
    .receive([](const caf::message&) { FAIL("answered"); },
             [](const caf::error& why) { CHECK(to_problem(why).code == errc::bad_argument); });
  CHECK(statistics(*here).confirms == 0);
}

namespace {

struct few_confirms : live_confirms {
  few_confirms() : live_confirms({.max_confirms = 10}) {}
};

} // namespace

TEST_CASE_METHOD(few_confirms,
                 "confirms that have not ended are bounded, and leave room for others",
                 "[router]") {
  for (std::uint64_t each = 1; each <= 5; ++each)
    REQUIRE(send("nobody", each).code == errc::none);
  CHECK(send("nobody", 6).code == errc::limit_reached);
  CHECK(send("other", 1).code == errc::none);
  auto all = add_counting(*here, "nobody");
  CHECK(testing::comes_true([&] { return all->count == 5; }));
  CHECK(testing::comes_true([&] { return send("nobody", 6).code == errc::none; }));
}

} // namespace confirms_test
