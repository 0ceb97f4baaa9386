#include "troupe/core/caf/shell.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/send.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/core/messages.hpp"

namespace shell_test {

using namespace std::chrono_literals;
using namespace troupe;

namespace {

/// Says that each event came, and twice more 5 ms and 10 ms later.
class echo_machine {
public:
  struct hear {
    std::string what;
  };

  struct say {
    std::string what;
  };

  using event = std::variant<hear>;
  using effects = std::vector<std::variant<say>>;

  void step(time_point now, request_id id, const event& what, effects& out) {
    auto& heard = std::get<hear>(what).what;
    out.emplace_back(say{heard + " " + std::to_string(id)});
    out.emplace_back(say{"it came"});
    echoes_ = 2;
    next_ = now + 5ms;
  }

  void tick(time_point now, effects& out) {
    if (!next_ || now < *next_)
      return;
    out.emplace_back(say{"echo " + std::to_string(echoes_)});
    next_ = --echoes_ > 0 ? std::optional{now + 5ms} : std::nullopt;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return next_;
  }

private:
  int echoes_ = 0;
  std::optional<time_point> next_;
};

class echo_state {
public:
  echo_state(caf::event_based_actor* self, std::promise<std::vector<std::string>>* done)
    : core_(self, this), done_(done) {}

  caf::behavior make_behavior() {
    core_.tick();
    return {
      [this](int id) { core_.step(echo_machine::hear{"word"}, static_cast<request_id>(id)); }};
  }

private:
  friend class shell<echo_machine, echo_state>;

  void perform(echo_machine::say& what) {
    said_.push_back(what.what);
    if (what.what == "word 1")
      core_.step(echo_machine::hear{"one more"}, 2); // while an effect is performed
    if (what.what == "echo 1")
      done_->set_value(said_);
  }

  shell<echo_machine, echo_state> core_;
  std::promise<std::vector<std::string>>* done_;
  std::vector<std::string> said_;
};

} // namespace

TEST_CASE("the shell of a machine performs its effects in order and wakes it at its deadlines",
          "[host]") {
  std::promise<std::vector<std::string>> done;
  init_messages<caf::id_block::troupe_core>();
  caf::actor_system_config config;
  caf::actor_system sys{config};
  auto actor = sys.spawn<caf::stateful_actor<echo_state>>(&done);
  caf::anon_send(actor, 1);
  auto said = done.get_future();
  REQUIRE(said.wait_for(20s) == std::future_status::ready);
  CHECK(
    said.get()
    == std::vector<std::string>{"word 1", "one more 2", "it came", "it came", "echo 2", "echo 1"});
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
}

} // namespace shell_test
