#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "troupe/core/guarded.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/host/waiting_questions.hpp"

namespace troupe::host {

/// Answers the questions to the machine M of a service, at once or when it has news: of a
/// waiting_query whose machine has none yet, it keeps the question until then, or until its wait is
/// over. `Core` runs the machine: a durable_core, or a replicated_core.
///
/// - A question waits for at most `max_wait`; its client asks again. At most `max_waiting` wait,
///   more are refused.
/// - Of one identity as many wait as there is room for others: see the same rule of session_books.
/// - A change checks only the questions that it concerns, see waiting_questions. Of their answers
///   `max_answers` are given before other messages.
///
/// Not thread-safe. Cost of ask(): O(log n) in those that wait; of look(): see waiting_questions.
template <machine M, class Core>
class news_desk {
public:
  using time_point = waiting_questions::time_point;

  static constexpr std::size_t max_waiting = 10'000;
  static constexpr std::size_t max_answers = 256;
  static constexpr duration max_wait = std::chrono::minutes{1};

  /// `core` stays alive, and where it is. `may_throw`: the machine is a user's, and may throw; what
  /// throws counts as news, so that whoever asks gets that problem as the answer.
  explicit news_desk(const Core& core, bool may_throw = false)
    : core_(core), may_throw_(may_throw) {}

  /// Calls `answer(what)` now if that does not wait, or later; or `refuse(problem)`. An
  /// indexed_query that waited is answered as later() says. Either is called once. `by`: the
  /// identity of who asks; empty: it is not known.
  template <class Question, class Answer, class Refuse>
  void ask(time_point now, const Question& what, Answer answer, Refuse refuse,
           std::string by = {}) {
    if constexpr (waiting_query<M, Question>) {
      if (what.wait > duration::zero() && !has_news(what))
        return keep(now, what, std::move(answer), std::move(refuse), std::move(by));
    }
    answer(what);
  }

  /// Call it after any change of the machine, and at next_deadline(): finds the questions that have
  /// their news or whose wait is over, and answers some. Returns whether more are due: call it
  /// again soon.
  [[nodiscard]] bool look(time_point now) {
    if (waiting_.size() == 0)
      return false;
    if (looked_at_ != core_.index()) {
      waiting_.look();
      if constexpr (tells_topics<M>) {
        auto look = [this](const std::string& topic) {
          waiting_.look(topic);
          return true;
        };
        if (!core_.for_each_topic(waiting_.seen(), look))
          waiting_.look_at_all();
      }
      see_all();
    }
    waiting_.tick(now);
    return waiting_.answer_some(max_answers);
  }

  void refuse_all(const problem& why) {
    waiting_.refuse_all(why);
  }

  /// Returns how many questions have no answer yet.
  [[nodiscard]] std::size_t size() const {
    return waiting_.size();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return waiting_.next_deadline();
  }

private:
  template <class Question>
  [[nodiscard]] bool has_news(const Question& what) const {
    if (!may_throw_)
      return core_.has_news(what);
    auto found = true;
    static_cast<void>(guarded([&] { found = core_.has_news(what); }));
    return found;
  }

  template <class Question, class Answer, class Refuse>
  void keep(time_point now, const Question& what, Answer answer, Refuse refuse, std::string by) {
    if (auto why = waiting_.no_room_for(by, max_waiting))
      return refuse(why);
    constexpr auto is_indexed = indexed_query<M, Question>;
    auto since = [what]([[maybe_unused]] std::uint64_t seen) {
      if constexpr (is_indexed)
        return what.later(seen);
      else
        return what;
    };
    if (waiting_.size() == 0)
      see_all();
    waiting_questions::question made;
    if constexpr (is_indexed)
      made.about = what.about();
    made.has_news = [this, since](std::uint64_t seen) { return has_news(since(seen)); };
    made.answer
      = [since, answer = std::move(answer)](std::uint64_t seen) mutable { answer(since(seen)); };
    made.refuse = std::move(refuse);
    made.ends = now + std::min(what.wait, max_wait);
    made.by = std::move(by);
    waiting_.add(std::move(made));
  }

  /// Marks all changes so far as seen, so that later questions wait for later changes.
  void see_all() {
    looked_at_ = core_.index();
    if constexpr (tells_topics<M>)
      waiting_.seen(core_.change_mark());
  }

  const Core& core_;
  const bool may_throw_;
  waiting_questions waiting_;
  request_id looked_at_ = 0;
};

} // namespace troupe::host
