#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/answers.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/host/client_core.hpp"
#include "troupe/sim/laws/asker_laws.hpp"
#include "troupe/sim/world/service_thread.hpp"

namespace troupe::sim {

/// A client of one service in a simulated process: the client_core that programs run, with the
/// requests that it sends and those who wait for their answers. Each of these gets one answer, in
/// time, or hears why there is none.
template <machine M, class Home>
class service_client {
public:
  using core = host::client_core;
  using question = service_question<M>;
  template <class Result>
  using heard = std::function<void(const result<Result>&)>;

  struct surroundings {
    /// Sends a request to where the service is. It may get lost, and so may its answer.
    std::function<void(request_id number, typename question::any)> send;
    /// Somebody waits, and nothing was heard for a while.
    std::function<void()> on_doubt;
  };

  /// A request that has no answer `unheard_after` it was sent is taken for lost. `here` outlives
  /// this.
  service_client(Home& here, const host::client_options& how, duration unheard_after,
                 surroundings around)
    : here_(here),
      unheard_after_(unheard_after),
      around_(std::move(around)),
      core_(how, here.random().next()) {}

  service_client(const service_client&) = delete;
  service_client& operator=(const service_client&) = delete;

  /// Sends `what` as a command.
  template <class Event>
  void ask(Event what, duration within, heard<typename Event::result> then) {
    using value = typename Event::result;
    begin(host::command<M>{{}, std::move(what)}, within,
          [then = std::move(then)](const outcome& found) { then(to_result<value>(found)); });
  }

  /// Asks for the answer to `what` by the latest state.
  template <class Question>
  void inquire(const Question& what, duration within, heard<typename Question::result> then) {
    using value = typename Question::result;
    auto seen = std::make_shared<std::optional<result<value>>>();
    typename question::look look{[seen, what](auto& service, time_point now) {
      service.hear_of(now, what);
      *seen = service.answer(what);
    }};
    begin(std::move(look), within, [seen, then = std::move(then)](const outcome& found) {
      if (auto* why = std::get_if<problem>(&found))
        then(*why);
      else
        then(**seen);
    });
  }

  /// The service can be reached, or at another place than before.
  void reached() {
    step(core::reached{record_});
  }

  void lost() {
    step(core::lost{});
  }

  /// Why it will not be reached for a while; errc::none: it may be soon.
  void refuse(const problem& why) {
    step(core::refuse{why});
  }

  /// `record`: which the service has reached.
  void hear(request_id number, const typename question::answer& what, request_id record) {
    record_ = std::max(record_, record);
    auto found = asked_.extract(number);
    if (!found)
      return;
    auto& which = found.mapped();
    auto take = overloaded{
      [&](const host::session_id& opened) {
        if (which.opening)
          step(core::opened{which.opening->line, which.opening->turn, opened});
      },
      [&](const problem& why) { fail(which, why, core::failed::kind::said); },
      [&](const auto& answer) { conclude(which, answer); },
    };
    troupe::visit(take, what);
  }

  void wake() {
    auto now = here_.now();
    for (auto& each : take_unheard(now))
      fail(each, {errc::unreachable, "no answer"}, core::failed::kind::unheard);
    if (auto due = core_.next_deadline(); due && *due <= now) {
      core::effects out;
      core_.tick(now, out);
      carry_out(out);
    }
    laws_.ticked(now);
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = core_.next_deadline();
    for (auto& [number, each] : asked_)
      next = std::min(next.value_or(each.until), each.until);
    return next;
  }

  std::vector<std::string> take_violations() {
    return laws_.take_violations();
  }

private:
  using outcome = std::variant<effect_of<M>, typename question::seen, problem>;
  using done = std::function<void(const outcome&)>;

  /// A request that somebody waits for.
  struct wanted {
    std::variant<host::command<M>, typename question::look> what;
    done then;
  };

  /// What was sent and is not answered.
  struct sent {
    request_id id = 0;
    std::uint32_t attempt = 0;
    std::optional<core::open> opening{};
    time_point until{};
  };

  template <class Result>
  static result<Result> to_result(const outcome& found) {
    if (auto* why = std::get_if<problem>(&found))
      return *why;
    if (auto* answer = std::get_if<effect_of<M>>(&found)) {
      if (auto* value = std::get_if<answered<Result>>(answer))
        return value->value;
      if (auto* no = std::get_if<refused>(answer))
        return no->why;
    }
    return problem{errc::failed, "another question was answered"};
  }

  template <class What>
  void begin(What what, duration within, done then) {
    constexpr auto is_command = std::is_same_v<What, host::command<M>>;
    auto id = ++last_id_;
    wanted_.emplace(id, wanted{std::move(what), std::move(then)});
    laws_.asked(here_.now(), id, is_command ? "a command" : "a question", within);
    step(core::ask{here_.now() + within, is_command}, id);
  }

  // -- answers -------------------------------------------------------------------------------

  void fail(const sent& which, const problem& why, core::failed::kind how) {
    if (which.opening)
      step(core::not_opened{which.opening->line, which.opening->turn, why, how});
    else
      step(core::failed{which.attempt, why, how}, which.id);
  }

  void conclude(const sent& which, const outcome& what) {
    answer_ = &what;
    step(core::answered{which.attempt}, which.id);
    answer_ = nullptr;
  }

  std::vector<sent> take_unheard(time_point now) {
    std::vector<sent> found;
    std::erase_if(asked_, [&](auto& each) {
      if (each.second.until <= now)
        found.push_back(each.second);
      return each.second.until <= now;
    });
    return found;
  }

  void end(request_id id, const outcome& what) {
    laws_.answered(id);
    wanted_.extract(id).mapped().then(what);
  }

  // -- the machine ---------------------------------------------------------------------------

  void step(const core::event& what, request_id id = 0) {
    core::effects out;
    core_.step(here_.now(), id, what, out);
    carry_out(out);
  }

  void carry_out(const core::effects& out) {
    for (auto& each : out)
      troupe::visit([this](const auto& what) { this->perform(what); }, each);
  }

  void perform(const core::send& what) {
    auto to_node = overloaded{
      [&](const host::command<M>& each) {
        send(host::command<M>{what.who, each.what}, {what.id, what.attempt});
      },
      [&](const typename question::look& each) {
        send(each, {what.id, what.attempt});
      },
    };
    troupe::visit(to_node, wanted_.at(what.id).what);
  }

  void perform(const core::open& what) {
    send(what.what, {0, 0, what});
  }

  /// Nobody waits for an answer to this, or the next one.
  void perform(const core::keep& what) {
    around_.send(++last_number_, what.what);
  }

  void perform(const core::end& what) {
    around_.send(++last_number_, what.what);
  }

  void perform(const core::done& what) {
    auto& answer = *answer_;
    end(what.id, answer);
  }

  void perform(const core::ended& what) {
    end(what.id, what.why);
  }

  void perform(const core::doubt&) {
    around_.on_doubt();
  }

  template <class What>
  void send(What what, sent as) {
    as.until = here_.now() + unheard_after_;
    asked_.emplace(++last_number_, std::move(as));
    around_.send(last_number_, std::move(what));
  }

  Home& here_;
  duration unheard_after_;
  surroundings around_;
  core core_;
  request_id record_ = 0; // the latest that a node has sent
  request_id last_id_ = 0;
  std::map<request_id, wanted> wanted_;
  request_id last_number_ = 0;
  std::map<request_id, sent> asked_;
  const outcome* answer_ = nullptr; // of the step under way
  asker_laws laws_;
};

} // namespace troupe::sim
