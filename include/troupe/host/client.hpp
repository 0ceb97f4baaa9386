#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message_id.hpp"
#include "caf/send.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/shell.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/caf/wait.hpp"
#include "troupe/core/entropy.hpp"
#include "troupe/core/result.hpp"
#include "troupe/host/client_core.hpp"
#include "troupe/host/messages.hpp"

namespace troupe::host {

namespace detail {

/// The actor of a client: carries what its core sends, and answers. Knows no protocol: what to
/// send is in closures, which arrive as actions, so that messages need no type IDs of their own.
class client_state {
public:
  /// Something that wants an answer. `send` puts it on the way, to be told by done() or failed()
  /// with the same try, and returns by what the answer will be known; `fail` tells whoever waits.
  struct request {
    std::function<caf::message_id(const call&, std::uint64_t id, std::uint32_t attempt)> send;
    std::function<void(problem)> fail;
    duration wait{};
    bool numbered = true;
    /// See client_core::ask.
    bool hurries = false;
  };

  static inline const char* name = "troupe.client";

  client_state(caf::event_based_actor* self, const client_options& options)
    : self_(self), core_(self, this, {options, random_seed()}) {}

  ~client_state() {
    for (auto& [id, each] : open_)
      each.what.fail(client_core::closed());
  }

  client_state(const client_state&) = delete;
  client_state& operator=(const client_state&) = delete;

  caf::behavior make_behavior() {
    ignore_strays(self_);
    return {[](caf::ok_atom) {}}; // lives on the actions that arrive
  }

  [[nodiscard]] caf::event_based_actor* self() const {
    return self_;
  }

  [[nodiscard]] const caf::strong_actor_ptr& target() const {
    return target_;
  }

  /// The service is reached there from now on; null: nowhere, for the time being. `record`: see
  /// client_core::reached.
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

  void on_doubt(std::function<void()> job) {
    on_doubt_ = std::move(job);
  }

  void ask(request what) {
    client_core::ask how{core_.now() + what.wait, what.numbered, what.hurries};
    open_.emplace(++last_id_, pending{std::move(what), {}});
    core_.step(how, last_id_);
  }

  /// Returns whether the answer to `id` is the one that counts.
  bool done(std::uint64_t id, std::uint32_t attempt) {
    is_done_ = false;
    core_.step(client_core::answered{attempt}, id);
    return is_done_;
  }

  void failed(std::uint64_t id, std::uint32_t attempt, const caf::error& why) {
    core_.step(client_core::failed{attempt, to_problem(why), kind_of(why)}, id);
  }

  /// Takes leave of the service, so that it does not have to wait for the term, and calls `left`
  /// once that has heard of it, or is not to be reached.
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
    request what;
    std::vector<caf::message_id> awaited; // an answer to each try
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

  // -- effects -----------------------------------------------------------------------

  void perform(const client_core::send& what) {
    auto& each = open_.at(what.id);
    each.awaited.push_back(each.what.send(what.who, what.id, what.attempt));
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
    caf::anon_send(caf::actor_cast<caf::actor>(target_), what.what);
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
    gone.mapped().what.fail(std::move(what.why));
  }

  void perform(const client_core::doubt&) {
    if (on_doubt_)
      on_doubt_();
  }

  /// No answer to it counts any more. The core sees to deadlines, so that none has to be set for
  /// each.
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

  /// A session that is not closed ends by itself.
  static constexpr duration leave_within = std::chrono::seconds{1};

  caf::event_based_actor* self_;
  shell<client_core, client_state> core_;
  caf::strong_actor_ptr target_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, pending> open_;
  std::function<void()> on_doubt_;
  bool is_done_ = false;
  bool is_closed_ = false;
  /// Sessions of whose end the service has not answered yet, and of whose beginning.
  std::size_t leaving_ = 0;
  std::size_t opening_ = 0;
  std::vector<std::function<void(bool)>> left_;
};

using client_actor
  = compat::near_links<caf::stateful_actor<client_state>, compat::elsewhere::by_links>;

} // namespace detail

/// Talks to one service on behalf of one program: commands in sessions of its own, so
/// that a command whose answer was lost is repeated and still carried out once;
/// questions repeated at will. Rides through the loss of a link, a restart of a durable
/// service and, in a cluster, a change of leader, within the deadline of each call.
///
/// Errors beside those of the request: unreachable (never sent; nothing was done), no_quorum (too
/// few voters are reached, or no node led all the time; nothing was done), outcome_unknown (sent,
/// but no answer in time, or too few voters are left to give one),
/// timed_out (a question without an answer in time), session_expired (the session ended in
/// between; outcome unknown), limit_reached (client_options::max_pending, or the service has too
/// many sessions or requests), withdrawn (the client was closed meanwhile).
///
/// Copies share their sessions. Thread-safe, but for reset() of a copy that another thread uses.
/// The blocking calls must not be made from inside an actor; use async() there. All copies must
/// end before their actor system.
template <class Protocol>
class client {
public:
  using handle = typename Protocol::handle;

  /// A client that has nowhere to send yet; see set_target().
  explicit client(caf::actor_system& sys, client_options options = {})
    : inside_(std::make_shared<closer>(sys.spawn<detail::client_actor, caf::hidden>(options))) {}

  client(caf::actor_system& sys, const handle& service, client_options options = {})
    : client(sys, options) {
    set_target(service);
  }

  /// The service is reached by this handle from now on; what waits is sent again.
  void set_target(const handle& where) {
    set_target(caf::actor_cast<caf::strong_actor_ptr>(where));
  }

  /// The same for a handle of any type, null: nowhere, for the time being. Not zero: the service
  /// had come to this record, so that a session begins with its first command.
  void set_target(caf::strong_actor_ptr where, request_id record = 0) {
    if (!inside_)
      return;
    inside_->run([where = std::move(where), record](detail::client_state& state) mutable {
      state.set_target(std::move(where), record);
    });
  }

  /// The service is out of reach and will be for a while: as long as that is so ask() ends with
  /// `why`, or with outcome_unknown where the request was sent before. errc::none, or a target,
  /// takes it back. What async() does goes on until its time is over.
  void refuse(const problem& why) {
    if (inside_)
      inside_->run([why](detail::client_state& state) { state.refuse(why); });
  }

  /// Calls `job` on the client's own actor, where it must not block, when the service may hang: see
  /// client_options::doubt_after.
  void on_doubt(std::function<void()> job) {
    if (inside_)
      inside_->run([job = std::move(job)](detail::client_state& state) mutable {
        state.on_doubt(std::move(job));
      });
  }

  /// Ends the client, for all copies: what waits ends with withdrawn, and calls from here on.
  void close() {
    if (inside_)
      inside_->close();
  }

  /// The same, and waits up to `wait` until the service has heard of it. Blocks.
  void close(duration wait) {
    if (inside_)
      wait_for<bool>([this](std::function<void(bool)> done) { inside_->close(std::move(done)); },
                     wait, [](unheard) { return false; });
  }

  /// Lets go of the session; calls end with withdrawn from here on.
  void reset() {
    inside_ = nullptr;
  }

  /// Carries out `what`, waiting up to `wait` for the answer. Blocks.
  template <class Request>
  result<typename Request::result> ask(const Request& what, duration wait) {
    using answer = result<typename Request::result>;
    // The actor answers in time; beyond that it was killed with its system.
    return wait_for<answer>(
      [&](std::function<void(answer)> done) { begin(what, wait, true, std::move(done)); },
      wait + std::chrono::seconds{5}, [](unheard) -> answer { return client_core::closed(); });
  }

  /// Carries out `what` and calls `done(result<Request::result>)` on the client's own
  /// actor, within `wait`; `done` must not block, and be brief: it may run in the thread that
  /// reads links. With `hurries` it ends like ask() where nothing can be done for now.
  template <class Request>
  void async(const Request& what, duration wait,
             std::function<void(result<typename Request::result>)> done, bool hurries = false) {
    begin(what, wait, hurries, std::move(done));
  }

private:
  /// Calls a function once: at the latest when nobody is left who would.
  template <class Answer>
  class ending {
  public:
    explicit ending(std::function<void(result<Answer>)> done) : done_(std::move(done)) {}

    ~ending() {
      tell(client_core::closed());
    }

    ending(const ending&) = delete;
    ending& operator=(const ending&) = delete;

    void tell(result<Answer> what) {
      if (auto done = std::exchange(done_, nullptr))
        done(std::move(what));
    }

  private:
    std::function<void(result<Answer>)> done_;
  };

  template <class Request>
  void begin(const Request& what, duration wait, bool hurries,
             std::function<void(result<typename Request::result>)> done) {
    constexpr bool numbered = is_command<Request>(typename Protocol::commands{});
    static_assert(numbered || is_question<Request>(typename Protocol::queries{}),
                  "the service knows no such request");
    auto shared = std::make_shared<ending<typename Request::result>>(std::move(done));
    auto job = [what, wait, shared, hurries](detail::client_state& state) mutable {
      state.ask({sender<Request>(state, std::move(what), shared),
                 [shared](problem why) { shared->tell(std::move(why)); }, wait, numbered, hurries});
    };
    if (!inside_ || !inside_->run(std::move(job)))
      shared->tell(problem{errc::withdrawn, "the client's actor system has been stopped"});
  }

  template <class Request, class... Cs>
  static constexpr bool is_command(commands<Cs...>) {
    return (std::is_same_v<Request, Cs> || ...);
  }

  template <class Request, class... Qs>
  static constexpr bool is_question(queries<Qs...>) {
    return (std::is_same_v<Request, Qs> || ...);
  }

  template <class Request, class Shared>
  static auto sender(detail::client_state& state, Request what, Shared shared) {
    return [&state, what = std::move(what),
            shared = std::move(shared)](const call& who, std::uint64_t id, std::uint32_t attempt) {
      auto finish = [&state, id, attempt, shared](typename Request::result& value) {
        if (state.done(id, attempt))
          shared->tell(std::move(value));
      };
      auto fail = [&state, id, attempt](const caf::error& why) { state.failed(id, attempt, why); };
      auto target = caf::actor_cast<caf::actor>(state.target()); // typed, it compiles for ages
      auto then = [&](auto asked) {
        asked.then(finish, fail);
        return asked.id();
      };
      if constexpr (is_question<Request>(typename Protocol::queries{}))
        return then(state.self()->request(target, caf::infinite, what));
      else
        return then(state.self()->request(target, caf::infinite, who, what));
    };
  }

  /// Ends the actor with the last copy of the client.
  class closer {
  public:
    explicit closer(caf::actor inside) : inside_(std::move(inside)) {}

    ~closer() {
      close();
    }

    closer(const closer&) = delete;
    closer& operator=(const closer&) = delete;

    void close(std::function<void(bool)> left = {}) {
      run([left = std::move(left)](detail::client_state& state) mutable {
        state.close(std::move(left));
      });
    }

    /// Runs `job` on the actor; returns false if there is none any more.
    template <class Job>
    bool run(Job job) {
      return run_on_state<detail::client_state>(inside_, std::move(job));
    }

  private:
    caf::actor inside_;
  };

  std::shared_ptr<closer> inside_;
};

} // namespace troupe::host
