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

/// How a watcher asks.
struct watcher_options {
  /// How long the service may hold a question while there is no news.
  duration wait = std::chrono::seconds{30};
  /// How long it may take beside that, a lost link included.
  duration answer_within = std::chrono::seconds{10};
  /// How long between two tries after a refusal or a time-out.
  backoff retry{std::chrono::milliseconds{100}, std::chrono::seconds{10}};
};

namespace detail {

/// One question, asked again and again; what a watcher and the calls on their way share.
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
    // After a failure it is news that there are answers again.
    question_.wait = failures_ == 0 ? options_.wait : duration::zero();
    service_.async(
      question_, question_.wait + options_.answer_within,
      [weak = this->weak_from_this()](result<answer> value) {
        if (auto self = weak.lock())
          self->hear_aside(std::move(value));
      },
      failures_ == 0); // from the second on it waits to be sent
  }

  /// No call is under way afterwards, and none comes.
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

  /// The callback may take its time, where links would wait for it: it has its own actor.
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
    auto tell = tell_; // it may end the watcher
    if (!value) {
      tell(value);
      return ask_later();
    }
    if (auto why = fault_of(*value); why.code != errc::none) {
      tell(std::move(why));
      return ask_later();
    }
    auto news = has_news(*value);
    question_ = next(*value);
    if (std::exchange(failures_, 0) != 0 || news)
      tell(value);
    ask();
  }

  /// Why an answer did not arrive as it was sent, if its type can tell.
  [[nodiscard]] static problem fault_of(const answer& value) {
    if constexpr (requires { Question::verify(value); })
      return Question::verify(value);
    else
      return {};
  }

  [[nodiscard]] bool has_news(const answer& value) const {
    if constexpr (requires { question_.rest; }) // the end of a snapshot is news, too
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

/// Follows the changes that a service tells of, as long as it lives: asks `Question`
/// (a waiting_query with `after`, whose result has `revision`, `complete` and `changes`)
/// again and again, each time as its next() says, or after the revision of the last
/// answer; what its verify() does not believe is asked for once more. Rides through a lost
/// link, a restart of the service and a new target of its client, without a gap: what
/// happened meanwhile is in the next answer, or that one is `complete`.
///
/// The callback gets each answer that has news, in order, one at a time, on a thread of
/// the actor system; it must neither block nor call the blocking half of a client. It also
/// gets the problem of each try that failed, and then the next answer whether it has news
/// or not; the watcher itself goes on, with backoff, whatever the problem was.
///
/// The end of the watcher waits for a call under way, so that nothing is called after
/// it; the callback itself may end its watcher. Movable; one thread at a time moves or ends
/// it. Must end before its actor_system does.
/// Cost: one hidden actor, and one question parked at the service.
template <class Protocol, class Question>
class watcher {
public:
  using answer = typename Question::result;
  using callback = std::function<void(const result<answer>&)>;

  /// Follows on from `what.after`; zero begins with a snapshot. `what.wait` is of no
  /// account, see watcher_options.
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

  /// Ends it before its time. Harmless when it was moved from or has ended.
  void stop() {
    if (auto ended = std::exchange(inside_, nullptr))
      ended->stop();
  }

private:
  std::shared_ptr<detail::follower<Protocol, Question>> inside_;
};

} // namespace troupe::host
