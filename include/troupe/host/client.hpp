#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/fwd.hpp"
#include "caf/message.hpp"
#include "troupe/core/caf/check_types.hpp"
#include "troupe/core/guarded.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/wait_for.hpp"
#include "troupe/host/detail/service_caller.hpp"
#include "troupe/host/detail/tied_actor.hpp"
#include "troupe/host/messages.hpp"

namespace troupe::host {

namespace detail {

/// A request of one type. Calls its handler exactly once, in its destructor at the latest; what
/// the handler throws there is dropped.
template <class Request, bool Numbered>
class typed_request final : public client_request {
public:
  using answer = typename Request::result;
  using handler = std::function<void(result<answer>)>;

  /// See client_core::ask::rests.
  [[nodiscard]] static bool is_kept([[maybe_unused]] const Request& what) {
    if constexpr (!Numbered && requires { duration{what.wait}; })
      return what.wait > duration::zero();
    else
      return false;
  }

  typed_request(Request what, duration within, bool is_urgent, handler done)
    : client_request(within, Numbered, is_urgent, is_kept(what)),
      what_(std::move(what)),
      done_(std::move(done)) {}

  ~typed_request() override {
    static_cast<void>(guarded([this] { tell(service_caller::closed()); }));
  }

  [[nodiscard]] caf::message to_message(const call& who) const override {
    if constexpr (Numbered)
      return caf::make_message(who, what_);
    else
      return caf::make_message(what_);
  }

  [[nodiscard]] bool is_answer(const caf::message& what) const override {
    return what.match_elements<answer>();
  }

  void succeed(caf::message& what) override {
    tell(std::move(what.get_mutable_as<answer>(0)));
  }

  void fail(problem why) override {
    tell(std::move(why));
  }

private:
  void tell(result<answer> what) {
    if (auto done = std::exchange(done_, nullptr))
      done(std::move(what));
  }

  Request what_;
  handler done_;
};

template <class Request, class... Among>
constexpr bool is_among(commands<Among...>) {
  return (std::is_same_v<Request, Among> || ...);
}

template <class Request, class... Among>
constexpr bool is_among(queries<Among...>) {
  return (std::is_same_v<Request, Among> || ...);
}

} // namespace detail

/// A client of one service. Sends commands in sessions, so that a command whose answer was lost
/// is repeated and still carried out once; repeats questions freely. Survives the loss of a
/// link, a restart of a durable service and, in a cluster, a change of leader, within the
/// deadline of each call.
///
/// Errors in addition to those of the request: unreachable (never sent; nothing was done),
/// no_quorum (too few voters are reached, or there was no leader all the time; nothing was done),
/// outcome_unknown (sent, but no answer in time, or too few voters are left to give one),
/// timed_out (a question without an answer in time), session_expired (the session ended before
/// the answer; outcome unknown), limit_reached (client_options::max_pending, or the service has
/// too many sessions or requests), withdrawn (the client was closed meanwhile).
///
/// Copies share their sessions. Thread-safe, except for reset() of a copy that another thread
/// uses. The blocking calls must not be made inside an actor; use async() there. All copies must
/// be destroyed before their actor system, unless one of them was closed before: then all may be
/// used and destroyed later.
template <class Protocol>
class client {
public:
  using handle = typename Protocol::handle;

  /// A client without a target; see set_target().
  explicit client(caf::actor_system& sys, const client_options& options = {})
    : inside_(std::make_shared<detail::service_caller>(sys, options)) {}

  /// Another copy of the client with this implementation.
  explicit client(std::shared_ptr<detail::service_caller> inside) : inside_(std::move(inside)) {}

  client(caf::actor_system& sys, const handle& service, const client_options& options = {})
    : client(sys, options) {
    set_target(service);
  }

  /// Sets the handle of the service; pending requests are sent again.
  void set_target(const handle& where) {
    set_target(caf::actor_cast<caf::strong_actor_ptr>(where));
  }

  /// The same for a handle of any type; null: the service is not reachable for now. If `record` is
  /// not zero, the service has reached that record, and a session can begin with its first command.
  void set_target(caf::strong_actor_ptr where, request_id record = 0) {
    if (inside_)
      inside_->set_target(std::move(where), record);
  }

  /// Tells the client that the service will be out of reach for a while: until a call with
  /// errc::none or a new target, ask() ends with `why`, or with outcome_unknown if the request was
  /// sent before. Requests of async() wait until their time is over, unless they hurry or `why` is
  /// denied.
  void refuse(const problem& why) {
    if (inside_)
      inside_->refuse(why);
  }

  /// Calls `job`, which must not block, on the client's own actor when the service may hang: see
  /// client_options::doubt_after.
  void on_doubt(std::function<void()> job) {
    if (inside_)
      inside_->on_doubt(std::move(job));
  }

  /// Ends `what` with the object that this returns, or before when the client is closed. For
  /// helpers of a client, such as what renews a lock.
  [[nodiscard]] std::shared_ptr<detail::tied_actor> tie(caf::actor what) {
    if (inside_)
      return inside_->tie(std::move(what));
    auto made = std::make_shared<detail::tied_actor>(std::move(what));
    made->end();
    return made;
  }

  /// Ends all that is tied to this client and its copies, or will be. Their other calls go on.
  void end_tied() {
    if (inside_)
      inside_->end_tied();
  }

  /// Closes the client and all its copies: pending requests and later calls end with withdrawn.
  void close() {
    if (inside_)
      inside_->close();
  }

  /// The same, and waits up to `wait` until the service has ended the sessions. Blocks.
  void close(duration wait) {
    if (inside_)
      inside_->close(wait);
  }

  /// Detaches this copy from the client; its later calls end with withdrawn.
  void reset() {
    inside_ = nullptr;
  }

  /// Carries out `what`; waits for the answer up to `wait`, and at most longest_span. Blocks.
  template <class Request>
  result<typename Request::result> ask(const Request& what, duration wait) {
    using answer = result<typename Request::result>;
    // The actor answers in time, unless it was killed with its actor system.
    return wait_for<answer>(
      [&](std::function<void(answer)> done) { begin(what, wait, true, std::move(done)); },
      std::min(wait, longest_span) + std::chrono::seconds{5},
      [](unheard) -> answer { return detail::service_caller::closed(); });
  }

  /// Carries out `what` and calls `done(result<Request::result>)` on the client's own
  /// actor, within `wait`; `done` must not block and must be brief: it may run in the thread that
  /// reads links. If the client is closed, it runs before this returns. What it throws goes to
  /// client_options::on_throw, and nowhere if the client is closed. With `hurries` it ends early,
  /// like ask(), while refuse() is in force or the service has no quorum.
  template <class Request>
  void async(const Request& what, duration wait,
             std::function<void(result<typename Request::result>)> done, bool hurries = false) {
    begin(what, wait, hurries, std::move(done));
  }

private:
  template <class Request>
  void begin(const Request& what, duration wait, bool hurries,
             std::function<void(result<typename Request::result>)> done) {
    constexpr bool numbered = detail::is_among<Request>(typename Protocol::commands{});
    static_assert(numbered || detail::is_among<Request>(typename Protocol::queries{}),
                  "the service does not have this request among its commands or queries");
    if (auto why = check_types<Request, typename Request::result>())
      return done(why);
    auto made = std::make_shared<detail::typed_request<Request, numbered>>(
      what, std::min(wait, longest_span), hurries, std::move(done));
    if (inside_)
      inside_->ask(std::move(made));
    else
      made->fail({errc::withdrawn, "the client's actor system has been stopped"});
  }

  std::shared_ptr<detail::service_caller> inside_;
};

} // namespace troupe::host
