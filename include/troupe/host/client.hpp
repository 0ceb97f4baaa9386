#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message_id.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/backoff.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/deadline_timer.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/entropy.hpp"
#include "troupe/core/result.hpp"
#include "troupe/host/messages.hpp"

namespace troupe::host {

/// How a client behaves. All spans count on the clock of its actor.
struct client_options {
  /// Commands and questions without an answer yet; more are refused.
  std::size_t max_pending = 512;
  /// How long between two tries while the service is out of reach.
  backoff retry{std::chrono::milliseconds{20}, std::chrono::seconds{1}};
  /// The service ends a session that is silent for its term (a minute).
  duration keep_every = std::chrono::seconds{20};
};

namespace detail {

/// Numbers the commands of one session and repeats them until they are answered
/// or their time is over. Knows no protocol: what to send is in closures, which
/// arrive as actions, so that messages need no type IDs of their own.
class client_state {
public:
  using clock_point = caf::actor_clock::time_point;

  /// Something that wants an answer. `send` puts it on the way, to be told by
  /// done() or failed() with the same try, and returns by what the answer will be known; `fail`
  /// tells whoever waits.
  struct request {
    std::function<caf::message_id(const call&, std::uint64_t id, std::uint32_t attempt)> send;
    std::function<void(problem)> fail;
    clock_point deadline;
    bool numbered = true;
    /// Somebody waits who would rather hear that nothing can be done for now: see refuse().
    bool hurries = false;
  };

  static inline const char* name = "troupe.client";

  client_state(caf::event_based_actor* self, client_options options)
    : self_(self), options_(options), random_(self->id()) {}

  ~client_state() {
    for (auto& [id, each] : open_)
      each.what.fail({errc::withdrawn, "the client was closed before there was an answer"});
  }

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

  /// The service is reached there from now on; null: nowhere, for the time being.
  void set_target(caf::strong_actor_ptr where) {
    target_ = std::move(where);
    for (auto& [which, each] : sessions_)
      each.is_opening = false;
    if (!target_)
      return refuse_hurried();
    refusal_ = {};
    send_all();
  }

  /// While there is no target, requests that hurry end with `why`, those that come later, too.
  /// errc::none, or a target, takes it back.
  void refuse(problem why) {
    refusal_ = std::move(why);
    if (!target_)
      refuse_hurried();
  }

  void ask(request what) {
    if (open_.size() >= options_.max_pending)
      return what.fail({errc::limit_reached, std::to_string(open_.size())
                                               + " requests wait for an answer; retry with backoff "
                                                 "or raise client_options::max_pending"});
    if (what.hurries && !target_ && refusal_.code != errc::none)
      return what.fail(refusal_);
    auto id = ++last_id_;
    pending made{std::move(what)};
    if (made.what.numbered)
      enlist(made);
    open_.emplace(id, std::move(made));
    send(id);
    arm();
  }

  /// Returns whether the answer to `id` is the first.
  bool done(std::uint64_t id) {
    auto found = open_.extract(id);
    if (!found)
      return false;
    if (found.mapped().tries > 1)
      withdraw(found.mapped());
    leave_session(found.mapped());
    return true;
  }

  void failed(std::uint64_t id, std::uint32_t attempt, const caf::error& why) {
    auto found = open_.find(id);
    if (found == open_.end() || found->second.tries != attempt)
      return; // answered, or under way again
    auto& each = found->second;
    if (why.category() == caf::type_id_v<errc>) {
      auto said = to_problem(why);
      if (said.code == errc::session_expired && each.what.numbered)
        return session_ended(found);
      if (said.code == errc::no_quorum && each.what.hurries)
        return give_up(found, refused(said, each, each.tries - 1));
      if (!passes(said.code, each))
        return give_up(found, std::move(said));
      auto was_done = said.code == errc::outcome_unknown;
      each.refusals += was_done ? 0 : 1;
      return again_at(self_->clock().now() + options_.retry.delay(std::min(attempt, 10U), random_));
    }
    if (to_problem(why).code != errc::unreachable
        && why.category()
             == caf::type_id_v<
               caf::sec> && (why == caf::sec::unexpected_message || why == caf::sec::runtime_error))
      return give_up(found, to_problem(why));
    again_at(self_->clock().now() + options_.retry.delay(std::min(attempt, 10U), random_));
  }

  /// Takes leave of the service, so that it does not have to wait for the term.
  void close() {
    for (auto& [which, each] : sessions_)
      close(each);
    self_->quit();
  }

private:
  /// A line of numbers that the service knows. There is one, and another one for as long as a
  /// command waits that keeps the first from going on.
  struct session_line {
    session_id id;
    std::uint64_t key = 0; // of its opening
    bool is_opening = false;
    std::uint64_t last_number = 0;
    std::size_t open = 0; // commands without an answer
  };

  struct pending {
    request what;
    std::uint64_t session = 0; // of sessions_
    std::uint64_t number = 0;
    std::uint32_t tries = 0;
    std::uint32_t tries_before = 0;         // in an earlier session
    std::uint32_t refusals = 0;             // tries that were not carried out
    std::vector<caf::message_id> awaited{}; // an answer to each try

    /// How often it was sent in the session of its number.
    [[nodiscard]] std::uint32_t tries_now() const {
      return tries - tries_before;
    }
  };

  /// A change of leader: the same request again, under its number, is carried out once.
  static bool passes(errc code, const pending& each) {
    return code == errc::not_leader || code == errc::no_quorum
           || (code == errc::outcome_unknown && each.number != 0);
  }

  // -- sending ---------------------------------------------------------------------

  void send_all() {
    for (auto& [id, each] : open_)
      send(id);
    arm();
  }

  /// The commands of one session; what else is under way is not sent twice for it.
  void send_all_of(std::uint64_t session) {
    for (auto& [id, each] : open_)
      if (each.what.numbered && each.session == session)
        send(id);
    arm();
  }

  void send(std::uint64_t id) {
    if (!target_)
      return;
    auto& each = open_.at(id);
    call who;
    if (each.what.numbered) {
      auto& line = sessions_.at(each.session);
      if (line.id == session_id{})
        return open_session_now(each.session);
      who = {line.id, each.number, acked(each.session)};
    }
    auto attempt = ++each.tries;
    each.awaited.push_back(each.what.send(who, id, attempt));
  }

  /// No answer to it counts any more. One timer for all requests sees to their deadlines, so
  /// that none has to be set for each.
  void withdraw(const pending& what) {
    for (auto each : what.awaited)
      compat::withdraw(self_, each);
  }

  // -- sessions --------------------------------------------------------------------

  /// Gives a command its number. The service keeps all answers behind the first that is open, and
  /// no more than so many: where a command waits for long, those after it go in another session.
  void enlist(pending& what) {
    if (auto& newest = sessions_[newest_session_];
        newest.open > 0 && newest.last_number - acked(newest_session_) >= max_spread)
      ++newest_session_;
    auto& line = sessions_[newest_session_];
    ++line.open;
    what.session = newest_session_;
    what.number = ++line.last_number;
  }

  /// A session that is not the newest ends with its last command.
  void leave_session(const pending& what) {
    if (!what.what.numbered)
      return;
    auto found = sessions_.find(what.session);
    if (--found->second.open > 0 || found->first == newest_session_)
      return;
    close(found->second);
    sessions_.erase(found);
  }

  [[nodiscard]] bool has_session() const {
    return std::ranges::any_of(sessions_,
                               [](auto& each) { return each.second.id != session_id{}; });
  }

  void close(const session_line& which) {
    if (target_ && which.id != session_id{})
      caf::anon_send(caf::actor_cast<caf::actor>(target_), close_session{which.id});
  }

  /// All numbers of the session up to this one have their answer.
  [[nodiscard]] std::uint64_t acked(std::uint64_t which) const {
    for (auto& [id, each] : open_) // numbers rise with ids
      if (each.what.numbered && each.session == which)
        return each.number - 1;
    return sessions_.at(which).last_number;
  }

  void open_session_now(std::uint64_t which) {
    if (std::exchange(sessions_.at(which).is_opening, true))
      return;
    auto from = target_;
    auto& key = sessions_.at(which).key;
    if (key == 0)
      key = random_seed();
    self_->request(caf::actor_cast<caf::actor>(target_), std::chrono::seconds{5}, open_session{key})
      .then(
        [this, from, which](session_id opened) {
          auto found = sessions_.find(which);
          if (from != target_ || found == sessions_.end())
            return;
          found->second.is_opening = false;
          found->second.id = opened;
          opening_failures_ = 0;
          keep_at_ = self_->clock().now() + options_.keep_every;
          send_all_of(which);
        },
        [this, from, which](const caf::error& why) {
          auto found = sessions_.find(which);
          if (from != target_ || found == sessions_.end())
            return;
          found->second.is_opening = false;
          if (auto said = to_problem(why);
              why.category() == caf::type_id_v<errc> && said.code != errc::not_leader
              && said.code != errc::outcome_unknown) {
            refuse_all(which, said);
            if (said.code != errc::no_quorum)
              return;
          }
          again_at(self_->clock().now() + options_.retry.delay(++opening_failures_, random_));
        });
  }

  /// The service gives us no session and says why: none of these was carried out. Those that have
  /// time wait for a majority.
  void refuse_all(std::uint64_t which, const problem& why) {
    for (auto position = open_.begin(); position != open_.end();)
      if (auto found = position++; found->second.what.numbered && found->second.session == which
                                   && (why.code != errc::no_quorum || found->second.what.hurries))
        give_up(found, why);
    arm();
  }

  /// The service does not know the session any more. What was sent once was then not
  /// carried out, and gets a number in the next session; of the rest nobody knows.
  void session_ended(std::map<std::uint64_t, pending>::iterator teller) {
    if (teller->second.tries_now() == 0)
      return; // has a number in the next session already
    auto which = teller->second.session;
    auto& line = sessions_.at(which);
    line.id = {};
    line.key = 0;
    line.last_number = 0;
    ++line.open; // so that it stays
    for (auto position = open_.begin(); position != open_.end();) {
      auto found = position++;
      auto& each = found->second;
      if (!each.what.numbered || each.session != which)
        continue;
      if (each.tries_now() > 1) {
        give_up(found, {errc::session_expired,
                        "the session ended, so nobody knows if the request was carried out; look "
                        "at the state before a repeat"});
        continue;
      }
      each.tries_before = each.tries;
      each.number = ++line.last_number;
    }
    send_all_of(which);
    if (--line.open == 0 && which != newest_session_)
      sessions_.erase(which);
  }

  // -- time ------------------------------------------------------------------------

  /// The first that fails says when: the least of many would be at once.
  void again_at(clock_point when) {
    if (!retry_at_)
      retry_at_ = when;
    arm();
  }

  void arm() {
    auto next = retry_at_;
    auto no_later = [&next](clock_point when) { next = std::min(next.value_or(when), when); };
    for (auto& [id, each] : open_)
      no_later(each.what.deadline);
    if (has_session())
      no_later(keep_at_);
    timer_.arm(self_, next, [this] { wake(); });
  }

  void wake() {
    auto now = self_->clock().now();
    for (auto position = open_.begin(); position != open_.end();) {
      auto found = position++;
      if (found->second.what.deadline <= now)
        give_up(found, too_late(found->second));
    }
    if (has_session() && keep_at_ <= now) {
      keep_at_ = now + options_.keep_every;
      for (auto& [which, each] : sessions_)
        if (target_ && each.id != session_id{})
          self_->send(caf::actor_cast<caf::actor>(target_), keep_session{each.id});
    }
    if (retry_at_ && *retry_at_ <= now) {
      retry_at_.reset();
      return send_all();
    }
    arm();
  }

  /// The end of a request that was tried `before`, and is refused with `why`.
  static problem refused(const problem& why, const pending& each, std::uint32_t before) {
    if (each.number == 0 || before <= each.refusals)
      return why;
    return {errc::outcome_unknown,
            "the request may have been carried out, look at the state before a repeat; "
              + why.detail};
  }

  static problem too_late(const pending& each) {
    if (each.tries == 0)
      return {errc::unreachable, "the service was out of reach all the time; nothing was done"};
    if (each.tries == each.refusals)
      return {errc::no_quorum, "no node of the service led in all that time; nothing was done, "
                               "retry once a majority of the nodes is back"};
    if (each.number == 0)
      return {errc::timed_out, "the service gave no answer in time; ask again"};
    return {errc::outcome_unknown, "no answer in time; the request may have been carried out, look "
                                   "at the state before a repeat"};
  }

  void refuse_hurried() {
    if (refusal_.code == errc::none)
      return;
    for (auto position = open_.begin(); position != open_.end();)
      if (auto found = position++; found->second.what.hurries)
        give_up(found, refused(refusal_, found->second, found->second.tries));
    arm();
  }

  void give_up(std::map<std::uint64_t, pending>::iterator which, problem why) {
    auto gone = open_.extract(which);
    withdraw(gone.mapped());
    leave_session(gone.mapped());
    gone.mapped().what.fail(std::move(why));
  }

  /// Half of what a service keeps; as many may be under way again.
  static constexpr std::uint64_t max_spread = 512;

  caf::event_based_actor* self_;
  client_options options_;
  random_source random_;
  caf::strong_actor_ptr target_;
  problem refusal_; // see refuse()
  std::map<std::uint64_t, session_line> sessions_;
  std::uint64_t newest_session_ = 0;
  std::uint32_t opening_failures_ = 0;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, pending> open_;
  std::optional<clock_point> retry_at_;
  clock_point keep_at_{};
  deadline_timer timer_;
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

  void set_target(caf::strong_actor_ptr where) {
    if (!inside_)
      return;
    inside_->run([where = std::move(where)](detail::client_state& state) mutable {
      state.set_target(std::move(where));
    });
  }

  /// The service is out of reach and will be for a while: as long as that is so ask() ends with
  /// `why`, or with outcome_unknown where the request was sent before. errc::none, or a target,
  /// takes it back. What async() does goes on until its time is over.
  void refuse(const problem& why) {
    if (inside_)
      inside_->run([why](detail::client_state& state) { state.refuse(why); });
  }

  /// Lets go of the session; calls end with withdrawn from here on.
  void reset() {
    inside_ = nullptr;
  }

  /// Carries out `what`, waiting up to `wait` for the answer. Blocks.
  template <class Request>
  result<typename Request::result> ask(const Request& what, duration wait) {
    auto promise = std::make_shared<std::promise<result<typename Request::result>>>();
    auto answer = promise->get_future();
    begin(what, wait, true, [promise](result<typename Request::result> value) {
      promise->set_value(std::move(value));
    });
    // The actor answers in time; beyond that it was killed with its system.
    if (answer.wait_for(wait + std::chrono::seconds{5}) != std::future_status::ready)
      return problem{errc::withdrawn, "the client's actor system has been stopped"};
    return answer.get();
  }

  /// Carries out `what` and calls `done(result<Request::result>)` on the client's own
  /// actor, within `wait`; `done` must not block, and be brief: it may run in the thread that
  /// reads links.
  template <class Request>
  void async(const Request& what, duration wait,
             std::function<void(result<typename Request::result>)> done) {
    begin(what, wait, false, std::move(done));
  }

private:
  template <class Request>
  void begin(const Request& what, duration wait, bool hurries,
             std::function<void(result<typename Request::result>)> done) {
    constexpr bool numbered = is_command<Request>(typename Protocol::commands{});
    static_assert(numbered || is_question<Request>(typename Protocol::queries{}),
                  "the service knows no such request");
    auto shared = std::make_shared<decltype(done)>(std::move(done));
    auto job = [what, wait, shared, numbered, hurries](detail::client_state& state) mutable {
      state.ask({sender<Request>(state, std::move(what), shared),
                 [shared](problem why) { (*shared)(std::move(why)); },
                 state.self()->clock().now() + wait, numbered, hurries});
    };
    if (!inside_ || !inside_->run(std::move(job)))
      (*shared)(problem{errc::withdrawn, "the client's actor system has been stopped"});
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
      auto finish = [&state, id, shared](typename Request::result& value) {
        if (state.done(id))
          (*shared)(std::move(value));
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
      run([](detail::client_state& state) { state.close(); });
    }

    closer(const closer&) = delete;
    closer& operator=(const closer&) = delete;

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
