#include "troupe/node/peer_questions.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/behavior.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/exit_reason.hpp"
#include "caf/result.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"
#include "caf/stateful_actor.hpp"
#include "support/node_number.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/node/init.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/security/types.hpp"

namespace peer_questions_test {

using namespace std::literals;
using namespace troupe;

namespace {

/// Answers a question once the test has it do so.
class asked {
public:
  asked(caf::event_based_actor* self, std::shared_ptr<const net::peer_book> peers)
    : questions_(self, std::move(peers)) {}

  caf::behavior make_behavior() {
    return {
      [this](const cluster::find_cards&) -> caf::result<std::string> {
        auto from = questions_.who_asks();
        if (!from)
          return to_error(from.error());
        return questions_.later(*from, [this](auto done) { answer_ = std::move(done); });
      },
    };
  }

  void answer(const std::string& what) {
    answer_(what);
  }

  void stop() {
    questions_.stop();
  }

private:
  cluster::peer_questions questions_;
  std::function<void(std::string)> answer_;
};

/// An actor that members ask, and this process, which is one of them.
class question_fixture {
public:
  question_fixture() {
    peers_->enter(1, system_.node(),
                  {.node = test::node_number(1), .name = "other", .as = security::role::member});
  }

  ~question_fixture() {
    caf::anon_send_exit(asked_, caf::exit_reason::user_shutdown);
  }

  /// Asks, has `meanwhile` done to it once it has the question, and returns what comes of that.
  result<std::string> ask(std::function<void(asked&)> meanwhile) {
    caf::scoped_actor self{system_};
    auto question = self->request(asked_, 10s, cluster::find_cards{});
    run_on_state<asked>(asked_, std::move(meanwhile));
    result<std::string> found = problem{errc::timed_out, "no answer"};
    question.receive([&](const std::string& what) { found = what; },
                     [&](const caf::error& why) { found = to_problem(why); });
    return found;
  }

private:
  const bool is_initialised_ = (troupe::init(), true);
  std::shared_ptr<net::peer_book> peers_ = std::make_shared<net::peer_book>();
  caf::actor_system_config config_;
  caf::actor_system system_{config_};
  caf::actor asked_
    = caf::actor_cast<caf::actor>(system_.spawn<caf::stateful_actor<asked>>(peers_));
};

} // namespace

TEST_CASE_METHOD(question_fixture,
                 "a member that waits for an answer gets an error when a node stops", "[node]") {
  auto refused = ask([](asked& it) { it.stop(); });
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code != errc::timed_out);
}

TEST_CASE_METHOD(question_fixture, "an answer that comes too late for a node's end is dropped",
                 "[node]") {
  CHECK_FALSE(ask([](asked& it) {
    it.stop();
    it.answer("late");
  }));
  CHECK(ask([](asked& it) { it.answer("in time"); }).value() == "in time");
}

} // namespace peer_questions_test
