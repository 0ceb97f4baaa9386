#ifndef TROUPE_HOST_IMPL_SERVICE_CALLER_IPP
#define TROUPE_HOST_IMPL_SERVICE_CALLER_IPP

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "caf/error.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message_id.hpp"
#include "caf/sec.hpp"
#include "caf/send.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/shell.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/caf/wait.hpp"
#include "troupe/core/guarded.hpp"
#include "troupe/host/client_core.hpp"
#include "troupe/host/detail/service_caller.hpp"
#include "troupe/host/messages.hpp"
#include "troupe/platform/entropy.hpp"

namespace troupe::host::detail {

/// The actor of a client: sends the messages of its core and receives the answers. It knows no
/// protocol: requests arrive as actions, so that they need no message types with type IDs.
class client_state {
public:
  static inline const char* name = "troupe.client";

  client_state(caf::event_based_actor* self, const client_options& options)
    : self_(self),
      core_(self, this, options, random_seed()),
      unknown_request_(options.unknown_request),
      on_throw_(options.on_throw) {}

  /// Requests are open only if the actor was killed, as by the end of its actor system.
  ~client_state() {
    for (auto& [id, each] : open_)
      fail(*each.what,
           each.what->numbered && !each.awaited.empty() ? killed() : client_core::closed());
  }

  client_state(const client_state&) = delete;
  client_state& operator=(const client_state&) = delete;

  caf::behavior make_behavior() {
    ignore_strays(self_);
    return {[](caf::ok_atom) {}}; // all work arrives as actions
  }

  void set_target(caf::strong_actor_ptr where, request_id record) {
    target_ = std::move(where);
    if (target_)
      core_.step(client_core::reached{record});
    else
      core_.step(client_core::lost{});
  }

  void refuse(problem why) {
    core_.step(client_core::refuse{std::move(why)});
  }

  void hinder(problem why) {
    core_.step(client_core::hinder{std::move(why)});
  }

  void on_doubt(std::function<void()> job) {
    on_doubt_ = std::move(job);
  }

  void ask(std::shared_ptr<client_request> what) {
    client_core::ask how{core_.now() + what->wait, what->numbered, what->hurries, what->rests};
    open_.emplace(++last_id_, pending{std::move(what), {}});
    core_.step(how, last_id_);
  }

  /// Ends the sessions at the service, so that they do not last until their term is over. Calls
  /// `left` when the service has answered or cannot be reached.
  void close(std::function<void(bool)> left = {}) {
    is_closed_ = true;
    if (left)
      left_.push_back(std::move(left));
    core_.step(client_core::close{});
    quit_if_left();
  }

private:
  friend class shell<client_core, client_state>;
  using kind = client_core::failed::kind;

  struct pending {
    std::shared_ptr<client_request> what;
    std::vector<caf::message_id> awaited; // the answer to each try
  };

  static kind kind_of(const caf::error& why) {
    if (why.category() == caf::type_id_v<errc>)
      return kind::said;
    auto is_its_fault
      = why.category()
          == caf::type_id_v<
            caf::sec> && (why == caf::sec::unexpected_message || why == caf::sec::runtime_error);
    return is_its_fault && to_problem(why).code != errc::unreachable ? kind::misunderstood
                                                                     : kind::unheard;
  }

  [[nodiscard]] problem in_words(const caf::error& why) const {
    return why == caf::sec::unexpected_message ? unknown_request_ : to_problem(why);
  }

  void hear(client_request& request, std::uint64_t id, std::uint32_t attempt, caf::message& what) {
    if (what.match_elements<caf::error>())
      return failed(id, attempt, what.get_as<caf::error>(0));
    if (!request.is_answer(what))
      return failed(id, attempt, caf::make_error(caf::sec::unexpected_response, what));
    is_done_ = false;
    core_.step(client_core::answered{attempt}, id);
    if (is_done_)
      tell([&] { request.succeed(what); });
  }

  void failed(std::uint64_t id, std::uint32_t attempt, const caf::error& why) {
    core_.step(client_core::failed{attempt, in_words(why), kind_of(why)}, id);
  }

  // -- handlers of answers -----------------------------------------------------------

  void fail(client_request& request, problem why) const {
    tell([&] { request.fail(std::move(why)); });
  }

  /// CAF would end this actor after an exception, and all copies of the client with it.
  template <class Job>
  void tell(Job job) const {
    if (auto why = guarded(job); why && on_throw_)
      static_cast<void>(guarded([&] { on_throw_(why); }));
  }

  static problem killed() {
    return {errc::outcome_unknown, "the client's actor was killed before there was an answer; the "
                                   "request may have been carried out, look at the state before a "
                                   "repeat"};
  }

  // -- effects -----------------------------------------------------------------------

  void perform(const client_core::send& what) {
    auto& each = open_.at(what.id);
    each.awaited.push_back(
      compat::ask(self_, target_, each.what->to_message(what.who),
                  [this, request = each.what, id = what.id, attempt = what.attempt](
                    caf::message& answer) { hear(*request, id, attempt, answer); }));
  }

  void perform(const client_core::open& what) {
    ++opening_;
    self_->request(caf::actor_cast<caf::actor>(target_), std::chrono::seconds{5}, what.what)
      .then(
        [this, line = what.line, turn = what.turn](session_id opened) {
          --opening_;
          core_.step(client_core::opened{line, turn, opened});
          quit_if_left();
        },
        [this, line = what.line, turn = what.turn](const caf::error& why) {
          --opening_;
          core_.step(client_core::not_opened{line, turn, to_problem(why), kind_of(why)});
          quit_if_left();
        });
  }

  void perform(const client_core::keep& what) {
    // Not without a sender: a service listens only to the owner of the session.
    self_->send(caf::actor_cast<caf::actor>(target_), what.what);
  }

  void perform(const client_core::end& what) {
    ++leaving_;
    auto heard = [this] {
      --leaving_;
      quit_if_left();
    };
    self_->request(caf::actor_cast<caf::actor>(target_), leave_within, what.what)
      .then([heard](session_id) { heard(); }, [heard](const caf::error&) { heard(); });
  }

  void perform(const client_core::done& what) {
    auto gone = open_.extract(what.id);
    if (what.repeated)
      withdraw(gone.mapped());
    is_done_ = true;
  }

  void perform(client_core::ended& what) {
    auto gone = open_.extract(what.id);
    withdraw(gone.mapped());
    fail(*gone.mapped().what, std::move(what.why));
  }

  void perform(const client_core::doubt&) {
    if (on_doubt_)
      on_doubt_();
  }

  /// Ignores later answers to the request. Its tries need no time-outs, as the core watches
  /// deadlines.
  void withdraw(const pending& what) {
    for (auto each : what.awaited)
      compat::withdraw(self_, each);
  }

  void quit_if_left() {
    if (!is_closed_ || leaving_ > 0 || opening_ > 0)
      return;
    for (auto& each : left_)
      each(true);
    self_->quit();
  }

  /// How long to wait for the end of a session. Without it, the session ends after its term.
  static constexpr duration leave_within = std::chrono::seconds{1};

  caf::event_based_actor* self_;
  shell<client_core, client_state> core_;
  const problem unknown_request_;
  const std::function<void(const problem&)> on_throw_;
  caf::strong_actor_ptr target_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, pending> open_;
  std::function<void()> on_doubt_;
  bool is_done_ = false;
  bool is_closed_ = false;
  /// Requests to end and to open sessions without an answer.
  std::size_t leaving_ = 0;
  std::size_t opening_ = 0;
  std::vector<std::function<void(bool)>> left_;
};

using client_actor
  = compat::near_links<caf::stateful_actor<client_state>, compat::elsewhere::by_links>;

TROUPE_COMPILED service_caller::service_caller(caf::actor_system& sys,
                                               const client_options& options)
  : inside_(sys.spawn<client_actor, caf::hidden>(options)) {}

TROUPE_COMPILED service_caller::~service_caller() {
  close();
}

/// Runs `job(client_state&)` on the actor, unless this is closed.
template <class Job>
void service_caller::run(Job job) {
  std::lock_guard guard{mutex_};
  if (!is_closed_)
    run_on_state<client_state>(inside_, std::move(job));
}

TROUPE_COMPILED void service_caller::set_target(caf::strong_actor_ptr where, request_id record) {
  run([where = std::move(where), record](client_state& state) mutable {
    state.set_target(std::move(where), record);
  });
}

TROUPE_COMPILED void service_caller::refuse(const problem& why) {
  run([why](client_state& state) { state.refuse(why); });
}

TROUPE_COMPILED void service_caller::hinder(const problem& why) {
  run([why](client_state& state) { state.hinder(why); });
}

TROUPE_COMPILED void service_caller::on_doubt(std::function<void()> job) {
  run([job = std::move(job)](client_state& state) mutable { state.on_doubt(std::move(job)); });
}

TROUPE_COMPILED void service_caller::close() {
  {
    std::lock_guard guard{mutex_};
    if (!std::exchange(is_closed_, true))
      run_on_state<client_state>(inside_, [](client_state& state) { state.close(); });
  }
  end_tied();
}

TROUPE_COMPILED void service_caller::close(duration wait) {
  {
    std::lock_guard guard{mutex_};
    is_closed_ = true;
  }
  end_tied();
  wait_for<bool>(
    [this](std::function<void(bool)> done) {
      run_on_state<client_state>(inside_, [done = std::move(done)](client_state& state) mutable {
        state.close(std::move(done));
      });
    },
    wait, [](unheard) { return false; });
}

TROUPE_COMPILED void service_caller::ask(std::shared_ptr<client_request> what) {
  // A request that is dropped ends in its destructor: not before the lock is free, as its handler
  // may call this.
  run([what](client_state& state) { state.ask(what); });
}

TROUPE_COMPILED std::shared_ptr<tied_actor> service_caller::tie(caf::actor what) {
  auto made = std::make_shared<tied_actor>(std::move(what));
  std::unique_lock guard{mutex_};
  std::erase_if(tied_, [](auto& each) { return each.expired(); });
  tied_.push_back(made);
  auto is_late = ends_tied_;
  guard.unlock();
  if (is_late)
    made->end();
  return made;
}

TROUPE_COMPILED void service_caller::end_tied() {
  std::unique_lock guard{mutex_};
  ends_tied_ = true;
  auto all = std::exchange(tied_, {});
  guard.unlock();
  for (auto& each : all)
    if (auto there = each.lock())
      there->end();
}

TROUPE_COMPILED problem service_caller::closed() {
  return client_core::closed();
}

} // namespace troupe::host::detail

#endif
