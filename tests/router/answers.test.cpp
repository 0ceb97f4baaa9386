#include "troupe/router/detail/answers.hpp" // the header under test
#include "support/services.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "caf/action.hpp"
#include "caf/event_based_actor.hpp"
#include "troupe/router/client_end.hpp"
#include "troupe/router/router_access.hpp"
#include "troupe/testing/comes_true.hpp"

namespace answers_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

/// What has been heard at the other end of a link.
struct heard {
  std::size_t answers = 0;
  std::map<errc, std::size_t> refused{};
  /// The last refusal.
  std::string why{};
  /// Of the answers, in their order.
  std::vector<std::size_t> sizes{};
  std::vector<std::uint64_t> refused_requests{};

  [[nodiscard]] std::size_t count() const {
    auto result = answers;
    for (auto& [code, each] : refused)
      result += each;
    return result;
  }
};

/// The other end of a link, which asks, and says what it has got when the test wants it to.
class link_end : public caf::event_based_actor {
public:
  using caf::event_based_actor::enqueue;
  using caf::event_based_actor::event_based_actor;

  caf::behavior make_behavior() override {
    return {[](caf::unit_t) {}};
  }

  bool enqueue(caf::mailbox_element_ptr what, compat::execution_context*) override {
    std::lock_guard guard{mutex_};
    if (compat::is_ping(what->payload)) {
      marks_.push_back(std::move(what));
    } else if (what->payload.match_elements<std::string>()) {
      ++heard_.answers;
      heard_.sizes.push_back(what->payload.get_as<std::string>(0).size());
    } else if (what->payload.match_elements<caf::error>()) {
      auto why = to_problem(what->payload.get_as<caf::error>(0));
      ++heard_.refused[why.code];
      heard_.why = why.detail;
      heard_.refused_requests.push_back(what->mid.request_id().integer_value());
    }
    return true;
  }

  template <class What>
  void ask(const router_access& there, What what, duration wait = 20s) {
    caf::actor_cast<caf::strong_actor_ptr>(there.handle())
      ->enqueue(ctrl(), new_request_id(caf::message_priority::normal),
                caf::make_message(dispatch{to_agent("far"), {}, wait, caf::make_message(what)}),
                nullptr);
  }

  /// Says up to which mark it has got what came; returns false if there is none.
  bool say() {
    caf::mailbox_element_ptr next;
    {
      std::lock_guard guard{mutex_};
      if (marks_.empty())
        return false;
      next = std::move(marks_.front());
      marks_.pop_front();
    }
    next->sender->enqueue(ctrl(), next->mid.response_id(), caf::message{}, nullptr);
    return true;
  }

  [[nodiscard]] heard all() const {
    std::lock_guard guard{mutex_};
    return heard_;
  }

private:
  mutable std::mutex mutex_;
  heard heard_;
  std::deque<caf::mailbox_element_ptr> marks_;
};

/// A router with an agent "far", and somebody who asks that over link 1.
struct linked_router : test::live_system<caf::id_block::troupe_router> {
  caf::actor handle = sys.spawn<link_end>();
  link_end& end = *caf::actor_cast<link_end*>(handle);
  /// Answers with so many bytes, or when it is told to.
  caf::actor agent = sys.spawn([](caf::event_based_actor* me) -> caf::behavior {
    auto kept = std::make_shared<std::vector<caf::typed_response_promise<std::string>>>();
    return {
      [](std::uint64_t bytes) { return std::string(bytes, 'x'); },
      [](caf::join_atom) { return caf::make_action([] {}); }, // cannot be written
      [me, kept](caf::get_atom) -> caf::result<std::string> {
        auto promise = me->make_response_promise<std::string>();
        kept->push_back(promise);
        return promise;
      },
      [kept](caf::put_atom) {
        for (auto& each : std::exchange(*kept, {}))
          each.deliver("late"s);
      },
    };
  });
  std::optional<router_access> there;

  ~linked_router() {
    for (auto& each : {handle, agent})
      caf::anon_send_exit(each, caf::exit_reason::kill);
    if (there)
      caf::anon_send_exit(there->handle(), caf::exit_reason::user_shutdown);
  }

  template <class Job>
  auto on(Job job) {
    using value = decltype(job(std::declval<router_state&>()));
    auto promise = std::make_shared<std::promise<value>>();
    there->run([promise, job](router_state& state) { promise->set_value(job(state)); });
    return promise->get_future().get();
  }

  void start(const router_options& how) {
    there.emplace(sys, node_id{}, how,
                  router_events{[](const node_id&) {}, [](const agent_id&) {}});
    there->answer_over(1, caf::actor_cast<caf::strong_actor_ptr>(handle));
    auto added = on([this](router_state& state) {
      return state.add_agent("far", caf::actor_cast<caf::strong_actor_ptr>(agent));
    });
    REQUIRE(added.code == errc::none);
  }

  router_statistics statistics() {
    return on([](router_state& state) { return state.statistics(); });
  }

  void ask(int times, std::uint64_t bytes) {
    for (; times > 0; --times)
      end.ask(*there, bytes);
  }

  /// Returns once so many answers are on the link, wait, or were refused.
  bool settled(std::size_t answers) {
    return testing::comes_true([&] { return end.all().count() + statistics().waiting >= answers; });
  }
};

constexpr router_options small{
  .window_bytes = 4'000, .max_message_bytes = 10'000, .max_answer_bytes = 5'500};

} // namespace

TEST_CASE_METHOD(linked_router, "answers go over a link as far as there is room", "[router]") {
  start({.window_bytes = 4'000});
  ask(10, 1'000);
  REQUIRE(settled(10));
  CHECK(end.all().answers == 4);
  CHECK(statistics().waiting == 6);
  CHECK(statistics().waiting_bytes > 6'000);
  SECTION("and on as the other side says that it has them") {
    REQUIRE(end.say());
    CHECK(testing::comes_true([&] { return end.all().answers == 5; }));
    while (end.say())
      ;
    CHECK(testing::comes_true([&] {
      end.say();
      return end.all().answers == 10;
    }));
    CHECK(statistics().waiting_bytes == 0);
  }
  SECTION("unless others have filled it") {
    there->hold_answers(1, true);
    while (end.say())
      ;
    CHECK(statistics().waiting == 6);
    there->hold_answers(1, false);
    CHECK(testing::comes_true([&] { return end.all().answers >= 8; }));
  }
  SECTION("and what waits is lost with it") {
    there->answer_no_more_over(1);
    CHECK(statistics().waiting_bytes == 0);
    there->answer_over(2, caf::actor_cast<caf::strong_actor_ptr>(handle));
    CHECK(end.say()); // of the link that has ended
    ask(6, 1'000);
    REQUIRE(settled(4 + 6));
    CHECK(end.all().answers == 4 + 4);
    CHECK(statistics().waiting == 2);
  }
}

TEST_CASE_METHOD(linked_router, "whoever asks is told of an answer that is too much", "[router]") {
  start(small);
  ask(20, 1'000);
  REQUIRE(settled(20));
  CHECK(end.all().count() == 4); // what is refused waits behind what is not
  CHECK(statistics().waiting == 16);
  CHECK(statistics().refused == 12);
  CHECK(testing::comes_true([&] {
    end.say();
    return end.all().count() == 20;
  }));
  CHECK(end.all().answers == 4 + 4);
  CHECK(end.all().refused[errc::outcome_unknown] == 12);
  CHECK(end.all().why.find("router_options::max_answer_bytes") != std::string::npos);
  while (end.say())
    ;
  ask(1, 1'000);
  CHECK(testing::comes_true([&] { return end.all().answers == 9; }));
  SECTION("also where it would be by itself") {
    ask(1, 10'000);
    CHECK(testing::comes_true([&] { return end.all().refused[errc::too_large] == 1; }));
    CHECK(end.all().why.find("router_options::max_message_bytes") != std::string::npos);
  }
  SECTION("and where it cannot be written") {
    end.ask(*there, caf::join_atom_v);
    CHECK(testing::comes_true([&] { return end.all().refused[errc::bad_argument] == 1; }));
  }
}

TEST_CASE_METHOD(linked_router, "the answers of all links together are bounded", "[router]") {
  auto how = small;
  how.max_all_answer_bytes = 4'000; // of which one link may have two answers
  start(how);
  ask(20, 1'000);
  REQUIRE(settled(20));
  CHECK(statistics().refused == 14); // four are on the link, and two wait
  there->answer_no_more_over(1);
  there->answer_over(2, caf::actor_cast<caf::strong_actor_ptr>(handle));
  ask(6, 1'000);
  REQUIRE(settled(4 + 6));
  CHECK(statistics().refused == 14);
}

TEST_CASE_METHOD(linked_router, "answers that nobody waits for any more make room for others",
                 "[router]") {
  auto how = small;
  how.max_all_answer_bytes = 4'000; // of which one link may have two answers
  start(how);
  ask(4, 1'000);
  for (auto each = 0; each < 2; ++each)
    end.ask(*there, std::uint64_t{999}, 30ms);
  REQUIRE(settled(6));
  auto sent = std::chrono::steady_clock::now();
  REQUIRE(testing::comes_true([&] { return std::chrono::steady_clock::now() > sent + 40ms; }));
  ask(1, 998);
  REQUIRE(testing::comes_true([&] { return statistics().delivered == 7; }));
  CHECK(testing::comes_true([&] { return statistics().waiting == 1; }));
  CHECK(statistics().refused == 0);
}

TEST_CASE_METHOD(linked_router, "no more refusals wait than 10,000", "[router]") {
  start({.window_bytes = 100, .max_answer_bytes = 1'200});
  ask(1, 1'000);
  REQUIRE(testing::comes_true([&] { return end.all().answers == 1; }));
  ask(1, 1'000);
  REQUIRE(testing::comes_true([&] { return statistics().waiting == 1; }));
  ask(10'005, 1'000);
  REQUIRE(testing::comes_true([&] { return statistics().refused == 10'005; }));
  CHECK(statistics().waiting == 1 + 10'000);
}

TEST_CASE_METHOD(linked_router, "an answer that nobody waits for any more is not sent",
                 "[router]") {
  start(small);
  for (auto each = 0; each < 4; ++each)
    end.ask(*there, std::uint64_t{1'000});
  for (auto each = 0; each < 3; ++each)
    end.ask(*there, std::uint64_t{999}, 20ms);
  REQUIRE(settled(7));
  end.ask(*there, std::uint64_t{998});
  auto sent = std::chrono::steady_clock::now();
  REQUIRE(testing::comes_true([&] { return std::chrono::steady_clock::now() > sent + 30ms; }));
  CHECK(testing::comes_true([&] {
    end.say();
    return statistics().waiting == 0;
  }));
  CHECK(end.all().sizes == std::vector<std::size_t>{1'000, 1'000, 1'000, 1'000, 998});
}

TEST_CASE_METHOD(linked_router, "answers keep their order", "[router]") {
  start({.window_bytes = 100});
  for (std::uint64_t each = 1; each <= 5; ++each)
    end.ask(*there, each * 100);
  REQUIRE(settled(5));
  CHECK(testing::comes_true([&] {
    end.say();
    return end.all().answers == 5;
  }));
  CHECK(end.all().sizes == std::vector<std::size_t>{100, 200, 300, 400, 500});
}

TEST_CASE_METHOD(linked_router, "a link with room is asked seldom what has come", "[router]") {
  start({.window_bytes = 100'000});
  ask(20, 1'000);
  REQUIRE(testing::comes_true([&] { return end.all().answers == 20; }));
  CHECK_FALSE(end.say());
}

TEST_CASE_METHOD(linked_router, "a client says by itself what it has got", "[router]") {
  start({.window_bytes = 4'000});
  there->answer_over(2, client_end::make(sys));
  ask(50, 1'000); // many windows, and all of them may wait
  CHECK(testing::comes_true([&] { return end.all().answers == 50; }));
}

TEST_CASE_METHOD(linked_router, "an answer that never comes is no place taken for ever",
                 "[router]") {
  start({.max_pending = 3});
  for (auto each = 0; each < 5; ++each)
    caf::anon_send(there->handle(),
                   dispatch{to_agent("far"), {}, 20s, caf::make_message(std::uint64_t{1})});
  for (auto each = 0; each < 5; ++each)
    end.ask(*there, caf::get_atom_v);
  REQUIRE(testing::comes_true([&] { return end.all().refused[errc::outcome_unknown] == 2; }));
  CHECK(end.all().refused_requests == std::vector<std::uint64_t>{1, 2}); // the oldest
  CHECK(end.all().why.find("router_options::max_pending") != std::string::npos);
  caf::anon_send(agent, caf::put_atom_v);
  CHECK(testing::comes_true([&] { return end.all().answers == 3; }));
}

TEST_CASE_METHOD(linked_router, "an answer after the end of its link goes nowhere", "[router]") {
  start({});
  end.ask(*there, caf::get_atom_v);
  REQUIRE(testing::comes_true([&] { return statistics().delivered == 1; }));
  there->answer_no_more_over(1);
  caf::anon_send(agent, caf::put_atom_v);
  there->answer_over(2, caf::actor_cast<caf::strong_actor_ptr>(handle));
  ask(1, 10); // behind it
  REQUIRE(testing::comes_true([&] { return end.all().answers == 1; }));
  CHECK(end.all().sizes == std::vector<std::size_t>{10});
}

TEST_CASE_METHOD(linked_router, "of a request whose agent has ended is told over a link, too",
                 "[router]") {
  start({});
  end.ask(*there, caf::get_atom_v);
  REQUIRE(testing::comes_true([&] { return statistics().delivered == 1; }));
  caf::anon_send_exit(agent, caf::exit_reason::kill);
  CHECK(testing::comes_true([&] { return end.all().refused[errc::outcome_unknown] == 1; }));
  CHECK(end.all().count() == 1);
}

} // namespace answers_test
