#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "caf/behavior.hpp"
#include "caf/delegated.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/expected.hpp"
#include "caf/response_promise.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/caf/answer_path.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/deadline_timer.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/node_finder.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/caf/unknown_sender.hpp"
#include "troupe/core/guarded.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/host/any_host.hpp"
#include "troupe/host/calendar_watch.hpp"
#include "troupe/host/durable_core.hpp"
#include "troupe/host/group_member.hpp"
#include "troupe/host/in_memory.hpp"
#include "troupe/host/messages.hpp"
#include "troupe/host/news_desk.hpp"
#include "troupe/host/replicated_core.hpp"
#include "troupe/host/unconfirmed_questions.hpp"
#include "troupe/platform/calendar.hpp"

namespace troupe::host {

/// Runs the machine of a service as an actor, over any host. Contains no rules:
/// it reads the clock, passes messages in, carries out effects, keeps one timer
/// armed and tells the core of callers that are gone.
///
/// A Service is a small class, made from an actor_system:
///
///     machine, options; commands<…>, queries<…>, handle; name
///     static event opening(options, token_floor)   the first event of each life
///     static result_of(effect)   a result or caf::error, for effects that answer
///     void carry_out(effect)     for all others
///     static constexpr bool steps_are_brief = true   if no step takes longer than some ms: then
///                                the threads of links step it (see compat::near_links), except
///                                for snapshots of a group
///
/// A Host stores what the core outputs (in_memory is the simplest one):
///   load(core)                 brings it to the end of the last run; may block
///   append(batch, home, done)  calls done(problem) on this actor, through home(job) if
///                              it comes from another thread
///   save(state, home, failed)  when there is time; calls failed(problem) only if the content of
///                              the disk is unknown
///   mark(now)                  when there is time
///   static token_floor()       for the first start
template <class Service>
class service_actor_state {
public:
  using machine_type = typename Service::machine;
  using core = replicated_core<machine_type>;
  using handle = typename Service::handle;

  static inline const char* name = Service::name;

  /// What spawn() prepares, on a thread that may block.
  struct prepared {
    core inside;
    std::unique_ptr<any_host<machine_type>> host;
    typename Service::options options;
    /// Called on the actor if the service cannot continue, as its machine throws or cannot read an
    /// entry; the service then refuses all requests with the problem that this returns. Null: the
    /// actor ends, and so does the node if the service is one of troupe's own.
    std::function<problem(const problem&)> on_end{};
    /// With it, what commands say of a node counts only from that node, and a session is used only
    /// by who opened it. It also knows the id of this node.
    node_finder nodes{};
  };

  service_actor_state(caf::event_based_actor* self, const std::shared_ptr<prepared>& from)
    : self_(self),
      service_(self->system()),
      options_(from->options),
      core_(std::move(from->inside)),
      host_(std::move(from->host)),
      on_end_(std::move(from->on_end)),
      nodes_(std::move(from->nodes)),
      started_(self->clock().now()),
      born_(core_.time()) {
    ignore_strays(self_);
    self_->set_down_handler([this](const caf::down_msg& gone) { forget(gone.source); });
    if (auto* group = host_->group()) {
      group->join(service_rules::known<machine_type>().number(), home_,
                  [this](group_event& what) { guard([&] { hear(what); }); });
    } else {
      guard([this] {
        core_.start(now(), out_);
        open();
      });
    }
  }

  /// For remote spawn. Ends when `owner` ends, unless that is null.
  service_actor_state(caf::event_based_actor* self, const caf::strong_actor_ptr& owner,
                      const typename Service::options& options)
    : service_actor_state(self, in_memory_life(options)) {
    if (!owner)
      return;
    owner_ = owner->address();
    self_->monitor(owner);
  }

  caf::behavior make_behavior() {
    guard([this] { carry_out(); });
    return make_behavior(typename Service::commands{}, typename Service::queries{});
  }

  /// Returns whether the next job takes too long for a thread that reads links.
  [[nodiscard]] bool wants_time() const {
    return long_step_ != nullptr;
  }

private:
  static std::shared_ptr<prepared> in_memory_life(const typename Service::options& options) {
    auto host = make_host<machine_type>(in_memory{});
    durable_core<machine_type> inside;
    static_cast<void>(host->load(inside)); // cannot fail in memory
    return std::make_shared<prepared>(prepared{core{std::move(inside)}, std::move(host), options});
  }

  /// Enters the first event of a start of the process, or of a leadership.
  void open() {
    auto* group = host_->group();
    auto floor = group != nullptr ? group->token_floor() : 0;
    if (floor == 0 && core_.index() == 0)
      floor = host_->token_floor();
    core_.step(now(), 0, notice<machine_type>{Service::opening(options_, floor)}, out_);
    tell_calendar();
  }

  template <class... Cs, class... Qs>
  caf::behavior make_behavior(commands<Cs...>, queries<Qs...>) {
    return {
      [this](const open_session& what) { return ask<session_id>(what); },
      [this](const close_session& what) { return ask<session_id>(what); },
      [this](const keep_session& what) { return ask<session_id>(what); },
      // CAF copies a command only if the message is shared.
      [this](const call& who, Cs& what) -> caf::result<typename Cs::result> {
        if (auto why = refuse_foreign(what))
          return to_error(std::move(why));
        return ask<typename Cs::result>(command<machine_type>{who, std::move(what)});
      }...,
      [this](const Qs& what) -> caf::result<typename Qs::result> { return look_up(what); }...,
    };
  }

  /// Nobody speaks for another node. What has no sender may be anyone's.
  template <class Request>
  [[nodiscard]] problem refuse_foreign([[maybe_unused]] const Request& what) const {
    constexpr auto is_about_property = about_property<machine_type, Request>;
    if constexpr (speaks_for_nodes<Request> || is_about_property) {
      auto& from = self_->current_sender();
      if (!nodes_ || (from && from->node() == self_->node()))
        return {};
      auto by = from ? nodes_(from) : nullptr;
      auto node = by ? *by : std::string{};
      auto may = true;
      if constexpr (speaks_for_nodes<Request>)
        may = what.speaks_only_for(node);
      if constexpr (is_about_property)
        if (auto owner = core_.owner_of(what))
          may = may && may_speak_for(*owner, node);
      if (!may)
        return {errc::denied, "only the node that it is about may say it"};
    }
    return {};
  }

  /// Returns who has sent the current message, as far as its link proves it: empty without `nodes`,
  /// where nothing is proven; nothing for a sender whose link ended long ago, or no sender.
  [[nodiscard]] std::optional<std::string> sender() const {
    if (!nodes_)
      return std::string{};
    auto by = nodes_(self_->current_sender());
    return by ? std::optional{*by} : std::nullopt;
  }

  /// Steps the core with the request of the current message. Returning caf::delegated tells CAF
  /// that the answer comes later, through a promise.
  template <class Result, class Request>
  caf::delegated<Result> ask(Request what) {
    if (ended_)
      return refuse_now<Result>(ended_);
    auto by = std::optional<std::string>{std::in_place};
    if (is_of_session(what))
      by = sender();
    if (!by)
      return refuse_now<Result>(unknown_sender());
    auto asked = self_->current_message_id().is_request();
    caller_ = asked ? ++last_caller_ : 0; // zero: the sender wants no answer
    if (asked) // otherwise the answer would reach the sender as an unexpected message
      promise_ = self_->make_response_promise();
    guard([&] {
      if (core_.is_idle())
        gather();
      core_.step(now(), caller_, caller_request<machine_type>{std::move(what), *std::move(by)},
                 out_);
      carry_out();
    });
    if (auto id = std::exchange(caller_, 0); id != 0) {
      watch(promise_.source());
      open_.emplace(id, std::move(promise_));
    }
    return {};
  }

  template <class Request>
  static bool is_of_session([[maybe_unused]] const Request& what) {
    if constexpr (std::is_same_v<Request, command<machine_type>>)
      return has_session(what.who);
    else
      return true;
  }

  template <class Result>
  caf::delegated<Result> refuse_now(const problem& why) {
    if (self_->current_message_id().is_request())
      self_->make_response_promise().deliver(to_error(why));
    return {};
  }

  /// Runs `job`. If a machine throws, its service ends, as its state may be half changed; the
  /// process continues.
  template <class Job>
  void guard(Job job) {
    if (!on_end_)
      return job();
    if (ended_)
      return;
    if (auto why = guarded(job)) {
      out_.clear();
      doing_.clear();
      why.detail = "its rules threw: " + why.detail;
      refuse_from_now(on_end_(why));
    }
  }

  /// Earlier requests may be in the log, and a release with corrected rules may carry them out.
  void refuse_from_now(problem why) {
    ended_ = std::move(why);
    tell_all({errc::outcome_unknown, "it may still be carried out: " + ended_.detail});
  }

  /// Delays the write until the mailbox is drained, so that queued requests share a batch.
  void gather() {
    if (std::exchange(gathers_, true))
      return;
    core_.hold();
    home_([this] {
      gathers_ = false;
      core_.let_go(now(), out_);
    });
  }

  // -- questions -------------------------------------------------------------------

  template <class Question>
  caf::result<typename Question::result> look_up(const Question& what) {
    if (ended_)
      return to_error(ended_);
    if (auto why = refuse_foreign(what))
      return to_error(std::move(why));
    auto by = who_waits(what); // before a promise takes the sender away
    if (!by)
      return to_error(unknown_sender());
    if (auto* group = host_->group())
      return confirm(*group, what, *std::move(by));
    ask_for_news(what, self_->make_response_promise(), *std::move(by));
    return caf::delegated<typename Question::result>{};
  }

  /// Delivers the answer to a question, which may be large, unlike that to a command.
  template <class Result>
  void deliver(caf::response_promise& to, caf::expected<Result> what) {
    if (what)
      answers_.deliver(to, *std::move(what));
    else
      to.deliver(std::move(what.error()));
  }

  /// Who has sent the current question, see sender(); empty if it does not wait.
  template <class Question>
  [[nodiscard]] std::optional<std::string> who_waits([[maybe_unused]] const Question& what) const {
    if constexpr (waiting_query<machine_type, Question>)
      if (what.wait > duration::zero())
        return sender();
    return std::string{};
  }

  /// Answers now, or when there is news.
  template <class Question>
  void ask_for_news(const Question& what, caf::response_promise promise, std::string by) {
    auto answer
      = [this, promise](const Question& asked) mutable { deliver(promise, answer_to(asked)); };
    auto refuse = [promise](const problem& why) mutable { promise.deliver(to_error(why)); };
    auto waiting = news_.size();
    news_.ask(self_->clock().now(), what, std::move(answer), std::move(refuse), std::move(by));
    if (news_.size() != waiting)
      arm();
  }

  /// Answers once it is certain that no other node has led meanwhile.
  template <class Question>
  caf::result<typename Question::result> confirm(group_member& group, const Question& what,
                                                 std::string by) {
    if (auto why = core_.refusal())
      return to_error(std::move(why));
    if (auto why = unconfirmed_.full())
      return to_error(std::move(why));
    auto promise = self_->make_response_promise();
    auto go_on = [this, promise, what, by = std::move(by)] { ask_for_news(what, promise, by); };
    auto refuse = [promise](const problem& why) mutable { promise.deliver(to_error(why)); };
    group.read(unconfirmed_.add({std::move(go_on), std::move(refuse)}), unhurried<Question>);
    return caf::delegated<typename Question::result>{};
  }

  template <class Question>
  caf::expected<typename Question::result> answer_to(const Question& what) {
    if (!on_end_)
      return answer_of_core(what);
    caf::expected<typename Question::result> found{caf::error{}};
    // A question changes nothing, so that the service can continue if it throws.
    if (auto why = guarded([&] { found = answer_of_core(what); }))
      return to_error(why);
    return found;
  }

  template <class Question>
  caf::expected<typename Question::result> answer_of_core(const Question& what) {
    core_.hear_of(now(), what);
    auto found = core_.answer(what, now());
    if constexpr (std::is_same_v<decltype(found), typename Question::result>)
      return found;
    else if (found)
      return *std::move(found);
    else
      return to_error(found.error());
  }

  /// Answers some of those that have their news, and the rest after other waiting jobs.
  void tell_news() {
    if (news_.look(self_->clock().now()) && !std::exchange(comes_back_, true))
      home_([this] { comes_back_ = false; });
  }

  void watch(const caf::strong_actor_ptr& caller) {
    if (caller && watched_.insert(caller->address()).second)
      self_->monitor(caller);
  }

  void forget(const caf::actor_addr& gone) {
    if (owner_ && gone == owner_)
      return self_->quit(caf::exit_reason::user_shutdown);
    watched_.erase(gone);
    std::vector<request_id> withdrawn;
    std::erase_if(open_, [&](auto& each) {
      auto& [id, promise] = each;
      if (!promise.source() || promise.source()->address() != gone)
        return false;
      withdrawn.push_back(id);
      return true;
    });
    guard([&] {
      for (auto each : withdrawn)
        core_.step(now(), each, typename core::caller_gone{}, out_);
      carry_out();
    });
  }

  // -- effects -------------------------------------------------------------------

  /// Carries out all effects, including those that they cause, then sets the timer.
  void carry_out() {
    while (!out_.empty()) {
      doing_.swap(out_);
      for (auto& what : doing_)
        troupe::visit([this](const auto& each) { this->handle_effect(each); }, what);
      doing_.clear();
    }
    if (auto* group = host_->group())
      group->gauge()->store(core_.begins_after(), std::memory_order_relaxed);
    tell_news();
    arm();
  }

  void handle_effect(const typename core::append& what) {
    host_->append(what.records, home_, [this](const problem& why) { written(why); });
  }

  void handle_effect(const typename core::save& what) {
    host_->save(what.state, home_, [this](const problem& why) { fail(why); });
  }

  void handle_effect(const typename core::propose& what) {
    host_->group()->propose(what.what);
  }

  void handle_effect(const typename core::diverged& what) {
    if (on_end_)
      return refuse_from_now(on_end_(what.why));
    host_->group()->stop(what.why);
    fail(what.why);
  }

  void handle_effect(const typename core::answered& what) {
    auto deliver = [&](const auto& each) {
      if constexpr (requires { each.id; })
        close(what.id, Service::result_of(each));
    };
    troupe::visit(deliver, what.what);
  }

  void handle_effect(const typename core::session_done& what) {
    close(what.id, what.session);
  }

  void handle_effect(const typename core::rejected& what) {
    if (what.id != 0)
      return close(what.id, to_error(what.why));
    std::fprintf(stderr, "%s: an entry of this service cannot be stored and was dropped: %s\n",
                 name, what.why.detail.c_str());
  }

  void handle_effect(const typename core::perform& what) {
    troupe::visit([this](const auto& each) { this->perform(each); }, what.what);
  }

  template <class Effect>
  void perform(const Effect& what) {
    if constexpr (!requires { what.id; })
      service_.carry_out(what);
  }

  template <class Result>
  void close(request_id id, const Result& result) {
    if (id == caller_) {
      caller_ = 0;
      promise_.deliver(result);
    } else if (auto found = open_.extract(id)) {
      found.mapped().deliver(result);
    }
  }

  // -- the disk and the clock ------------------------------------------------------

  void written(const problem& why) {
    switch (why.code) {
      case errc::none:
        return core_.step(now(), 0, typename core::synced{}, out_);
      case errc::storage_full:
      case errc::too_large: // to be decoded again
        return core_.step(now(), 0, typename core::not_written{why}, out_);
      default: // the content of the disk is unknown: end, and start again from the disk
        fail(why);
    }
  }

  /// Ends the actor with `why`, which all waiting callers get.
  void fail(const problem& why) {
    tell_all(why);
    self_->quit(to_error(why));
  }

  void tell_all(const problem& why) {
    if (caller_ != 0)
      close(caller_, to_error(why));
    for (auto& [id, promise] : std::exchange(open_, {}))
      promise.deliver(to_error(why));
    refuse_questions(why);
  }

  // -- the group -------------------------------------------------------------------

  void hear(group_event& what) {
    if constexpr (journaled<machine_type>)
      troupe::visit([this](auto& each) { this->handle_group(each); }, what);
  }

  void handle_group(to_service::deliver& what) {
    if (core_.is_leading())
      gather(); // this may complete the last batch
    core_.step(now(), 0, typename core::committed{std::move(what.payload)}, out_);
  }

  /// The time continues from the group's time.
  void handle_group(to_service::lead& what) {
    started_ = caf::actor_clock::time_point{what.at.time_since_epoch()};
    born_ = time_point{what.now.time_since_epoch()};
    core_.step(now(), 0, typename core::leads{what.term}, out_);
    open();
  }

  void handle_group(to_service::follow& what) {
    refuse_questions(what.why);
    core_.step(now(), 0, typename core::follows{std::move(what.why)}, out_);
  }

  void handle_group(to_service::excluded& what) {
    refuse_from_now(std::move(what.why));
  }

  void handle_group(to_service::not_taken& what) {
    core_.step(now(), 0, typename core::not_taken{what.number, std::move(what.why)}, out_);
  }

  void handle_group(to_service::read_ready& what) {
    unconfirmed_.confirm(what.id);
  }

  void handle_group(to_service::read_refused& what) {
    unconfirmed_.refuse(what.id, what.why);
  }

  void handle_group(to_service::without_quorum& what) {
    core_.step(now(), 0, typename core::without_quorum{std::move(what.why)}, out_);
  }

  void handle_group(to_service::allow_rules& what) {
    core_.step(now(), 0, typename core::rules_allowed{what.number}, out_);
  }

  void handle_group(to_service::take_section& what) {
    take_time(
      [this, index = what.index] { host_->group()->give_section(index, core_.frozen_section()); });
  }

  void handle_group(to_service::restore_section& what) {
    take_time([this, bytes = std::make_shared<const std::string>(std::move(what.bytes))] {
      if (auto why = core_.restore_section(*bytes, out_))
        handle_effect(typename core::diverged{std::move(why)});
    });
  }

  /// Runs `job` before the next message, on a thread that links do not wait for.
  void take_time(std::function<void()> job) {
    if constexpr (requires { requires Service::steps_are_brief; }) {
      long_step_ = std::move(job);
      run_next_on(caf::strong_actor_ptr{self_->ctrl()}, [this] {
        guard([this] {
          std::exchange(long_step_, nullptr)();
          carry_out();
        });
      });
    } else {
      job();
    }
  }

  void refuse_questions(const problem& why) {
    unconfirmed_.refuse_all(why);
    news_.refuse_all(why);
  }

  /// Returns a function that runs a job on this actor if it is still alive; for any thread.
  job_runner home() {
    return [self = caf::weak_actor_ptr{self_->ctrl()}, this](std::function<void()> job) {
      run_on(self, [this, job = std::move(job)] {
        guard([&] {
          job();
          carry_out();
        });
      });
    };
  }

  void arm() {
    std::optional<caf::actor_clock::time_point> wake;
    auto no_later
      = [&wake](caf::actor_clock::time_point when) { wake = std::min(wake.value_or(when), when); };
    if (auto next = core_.next_deadline())
      no_later(started_
               + (std::min(*next, now() + (host_->marks() ? mark_every : look_every)) - born_));
    if (auto next = core_.next_wall_deadline())
      no_later(self_->clock().now()
               + std::clamp(*next - read_calendar(), duration::zero(), wall_every));
    if (auto next = news_.next_deadline())
      no_later(*next);
    timer_.arm(self_, wake, [this] { guard([this] { wake_up(); }); });
  }

  void wake_up() {
    core_.tick(now(), out_);
    if (host_->marks() && core_.next_deadline() && now() >= mark_at_) {
      host_->mark(now());
      mark_at_ = now() + mark_every / 2;
    }
    if (auto next = core_.next_wall_deadline(); next && *next <= read_calendar())
      tell_calendar();
    carry_out();
  }

  void tell_calendar() {
    auto utc = read_calendar();
    if (auto moved = calendar_.look(utc, self_->clock().now().time_since_epoch()))
      std::fprintf(stderr, "%s: the calendar was set %s by %s; %s\n", name,
                   *moved > duration::zero() ? "forward" : "back",
                   to_string(std::chrono::abs(*moved)).c_str(),
                   *moved > duration::zero() ? "entries that expire by it do so now"
                                             : "nothing expires by it until it has caught up");
    core_.step(now(), 0, typename core::wall_is{utc}, out_);
  }

  /// Machine time: continues from the end of the journal; downtime does not count.
  [[nodiscard]] time_point now() const {
    return born_ + (self_->clock().now() - started_);
  }

  /// A crash extends a lease by at most this.
  static constexpr duration mark_every = std::chrono::seconds{1};
  /// Far deadlines are looked at so often.
  static constexpr duration look_every = std::chrono::hours{1};
  /// The calendar may be set, so read it at least this often while the machine needs it.
  static constexpr duration wall_every = std::chrono::minutes{1};
  static constexpr std::size_t max_unconfirmed = 10'000;

  caf::event_based_actor* self_;
  answer_path answers_{self_->system()};
  Service service_;
  typename Service::options options_;
  core core_;
  std::unique_ptr<any_host<machine_type>> host_;
  std::function<problem(const problem&)> on_end_;
  node_finder nodes_;
  problem ended_; // if set, all requests are refused with it
  job_runner home_ = home();
  bool gathers_ = false;
  std::function<void()> long_step_; // runs outside the threads of links
  typename core::effects out_;
  typename core::effects doing_; // empty between two messages
  std::map<request_id, caf::response_promise> open_;
  request_id caller_ = 0; // of the message at hand, until it has its answer
  caf::response_promise promise_;
  std::set<caf::actor_addr> watched_;
  caf::actor_addr owner_;
  request_id last_caller_ = 0;
  news_desk<machine_type, core> news_{core_, on_end_ != nullptr};
  bool comes_back_ = false; // a job to answer more of them is queued
  unconfirmed_questions unconfirmed_{max_unconfirmed};
  deadline_timer timer_;
  calendar_watch calendar_;
  caf::actor_clock::time_point started_;
  time_point born_;
  time_point mark_at_ = time_point::min();
};

} // namespace troupe::host
