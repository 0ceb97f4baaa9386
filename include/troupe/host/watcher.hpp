#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "caf/fwd.hpp"
#include "troupe/core/backoff.hpp"
#include "troupe/core/result.hpp"
#include "troupe/host/client.hpp"
#include "troupe/host/detail/watch_actor.hpp"

namespace troupe::host {

/// How a watcher asks its question.
struct watcher_options {
  /// How long the service may keep a question waiting if there are no changes.
  duration wait = std::chrono::seconds{30};
  /// How long the answer may take in addition to that, including a lost link.
  duration answer_within = std::chrono::seconds{10};
  /// Delay between two tries after a refusal or a time-out.
  backoff retry{std::chrono::milliseconds{100}, std::chrono::seconds{10}};
};

namespace detail {

/// One question, asked again and again. Shared by a watcher and its calls under way.
template <class Protocol, class Question>
class follower : public std::enable_shared_from_this<follower<Protocol, Question>> {
public:
  using answer = typename Question::result;
  using callback = std::function<void(const result<answer>&)>;

  follower(caf::actor_system& sys, client<Protocol> service, Question what, callback tell,
           watcher_options options)
    : service_(std::move(service)),
      question_(std::move(what)),
      tell_(std::move(tell)),
      options_(options),
      home_(sys),
      random_(home_.id()) {}

  follower(const follower&) = delete;
  follower& operator=(const follower&) = delete;

  void ask() {
    std::lock_guard guard{mutex_};
    if (!tell_)
      return;
    // After a failure the callback gets the next answer, so do not wait for changes.
    question_.wait = failures_ == 0 ? options_.wait : duration::zero();
    service_.async(
      question_, question_.wait + options_.answer_within,
      [weak = this->weak_from_this()](result<answer> value) {
        if (auto self = weak.lock())
          self->hear_aside(std::move(value));
      },
      failures_ == 0); // the first try may be refused at once; later ones wait
  }

  /// Afterwards no call of the callback is under way or follows.
  void stop() {
    std::lock_guard guard{mutex_};
    tell_ = nullptr;
  }

private:
  void ask_later() {
    auto delay = options_.retry.delay(std::min(++failures_, 32U), random_);
    home_.after(delay, [weak = this->weak_from_this()] {
      if (auto self = weak.lock())
        self->ask();
    });
  }

  /// Runs the callback on its own actor, as it may take long and links must not wait for it.
  void hear_aside(result<answer> value) {
    home_.run([weak = this->weak_from_this(), value = std::move(value)] {
      if (auto self = weak.lock())
        self->hear(value);
    });
  }

  void hear(const result<answer>& value) {
    std::lock_guard guard{mutex_};
    if (!tell_)
      return;
    auto tell = tell_; // a copy, as the callback may end the watcher
    if (!value) {
      tell(value);
      return ask_later();
    }
    if (auto why = fault_of(*value)) {
      tell(std::move(why));
      return ask_later();
    }
    auto news = has_news(*value);
    question_ = next(*value);
    if (std::exchange(failures_, 0) != 0 || news)
      tell(value);
    ask();
  }

  /// Returns why an answer is damaged, if its type can tell.
  [[nodiscard]] static problem fault_of(const answer& value) {
    if constexpr (requires { Question::verify(value); })
      return Question::verify(value);
    else
      return {};
  }

  [[nodiscard]] bool has_news(const answer& value) const {
    if constexpr (requires { question_.rest; }) // the end of a snapshot counts as news
      if (question_.rest)
        return true;
    return value.complete || value.revision != question_.after || !value.changes.empty();
  }

  [[nodiscard]] Question next(const answer& value) const {
    if constexpr (requires { question_.next(value); }) {
      return question_.next(value);
    } else {
      auto result = question_;
      result.after = value.revision;
      return result;
    }
  }

  std::recursive_mutex mutex_; // a callback may end its watcher
  client<Protocol> service_;
  Question question_;
  callback tell_;
  watcher_options options_;
  watch_actor home_;
  random_source random_;
  std::uint32_t failures_ = 0;
};

} // namespace detail

/// Follows the changes of a service as long as this object lives: asks `Question`
/// (a waiting_query with `after`, whose result has `revision`, `complete` and `changes`)
/// again and again, each time with its next(), or after the revision of the last
/// answer; asks again if its verify() finds an answer damaged. Survives a lost link, a restart
/// of the service and a new target of its client, without a gap: the changes in between are in
/// the next answer, or that answer is `complete`.
///
/// The callback gets each answer that has news, in order, one at a time, on a thread of
/// the actor system; it must not block, nor make blocking calls of a client. It also gets the
/// problem of each failed try, and then the next answer even if that has no news; the watcher
/// itself continues, with backoff, after any problem.
///
/// The destructor waits for a call of the callback under way, so that no call follows it; the
/// callback itself may end its watcher. Movable; only one thread at a time may move or end it.
/// Must end before its actor_system does.
/// Cost: one hidden actor, and one question waiting at the service.
template <class Protocol, class Question>
class watcher {
public:
  using answer = typename Question::result;
  using callback = std::function<void(const result<answer>&)>;

  /// Starts after revision `what.after`; zero starts with a snapshot. Ignores `what.wait`; see
  /// watcher_options.
  watcher(caf::actor_system& sys, client<Protocol> service, Question what, callback tell,
          watcher_options options = {})
    : inside_(std::make_shared<detail::follower<Protocol, Question>>(
      sys, std::move(service), std::move(what), std::move(tell), options)) {
    inside_->ask();
  }

  watcher(watcher&&) noexcept = default;

  watcher& operator=(watcher&& other) noexcept {
    if (this != &other) {
      stop();
      inside_ = std::move(other.inside_);
    }
    return *this;
  }

  ~watcher() {
    stop();
  }

  /// Ends the watcher early. Has no effect if it was moved from or has ended.
  void stop() {
    if (auto ended = std::exchange(inside_, nullptr))
      ended->stop();
  }

private:
  std::shared_ptr<detail::follower<Protocol, Question>> inside_;
};

} // namespace troupe::host
