#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/problem.hpp"
#include "troupe/core/shares.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/link_flow.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router {

/// Decides which answers a router sends over each link, when, and which it replaces by an error
/// that says why: answers go in the order in which they come, as far as there is room on the link
/// (see link_flow). One for which there is no room to wait becomes a refusal, which waits like an
/// answer. One that nobody waits for any more is let go.
///
/// For this the router asks agents in place of those who ask over a link, and knows by the numbers
/// of these requests whose the answers are. Over one link so many may be open as a router itself
/// may ask; with one more the oldest is given up. What a link had, requests and answers, ends with
/// it: whoever asked hears of that end.
///
/// An Asker waits for an answer, an Answer is what it gets; both are passed on, and leave this as
/// effects also where nobody wants them any more, so that a host that locks ends none of them
/// meanwhile. One thread at a time sends over a link: from the first effects to sent().
///
/// No clock; has no snapshot, as links do not outlive a process. Cost: O(log n) in links and open
/// requests, but for what is said of one function.
template <class Asker, class Answer>
class answer_lines {
public:
  /// How links are counted, see lines::link_number.
  using link_number = std::uint64_t;

  /// Refusals that wait for one link; with more, whoever asked hears of the time-out only.
  static constexpr std::size_t max_refusals = 10'000;
  /// What an answer costs beside its content.
  static constexpr std::size_t answer_bytes = 128;

  /// What was asked over a link.
  struct request {
    Asker by;
    link_number link = 0;
    /// How long that is waited for.
    time_point until{};
  };

  // -- effects -------------------------------------------------------------------------

  /// Goes over the link now.
  struct send {
    Asker to;
    std::variant<Answer, problem> what;
  };

  /// The other end is to say when it has what went before; then received().
  struct ask_receipt {
    link_number link = 0;
    std::uint64_t mark = 0;
  };

  /// Goes nowhere.
  struct let_go {
    std::optional<Asker> whom{};
    std::optional<Answer> what{};
  };

  using effect = std::variant<send, ask_receipt, let_go>;
  using effects = std::vector<effect>;

  explicit answer_lines(const router_options& options) : options_(options) {}

  // -- links ---------------------------------------------------------------------------

  /// @pre No link had this number before.
  void link_up(link_number link) {
    auto& it = lines_.try_emplace(link, options_).first->second;
    it.flow.link_up();
  }

  void link_down(link_number link, effects& out) {
    auto found = lines_.extract(link);
    if (!found)
      return;
    auto& it = found.mapped();
    for (auto each : it.open)
      out.emplace_back(let_go{std::move(requests_.extract(each).mapped().by)});
    for (auto each : it.marks)
      marks_.erase(each);
    for (auto& each : it.waiting) {
      waiting_bytes_ -= each.bytes;
      drop(std::move(each), out);
    }
  }

  /// Others have filled that link, or it has drained.
  void hold(time_point now, link_number link, bool is_held, effects& out) {
    auto* it = line_of(link);
    if (it == nullptr)
      return;
    it->flow.hold(is_held);
    flush(now, link, *it, out);
  }

  /// The other end of a link, which is returned, has what went before `mark`.
  std::optional<link_number> received(time_point now, std::uint64_t mark, effects& out) {
    auto found = marks_.extract(mark);
    if (!found)
      return std::nullopt;
    auto link = found.mapped();
    auto& it = lines_.at(link);
    std::erase(it.marks, mark);
    it.flow.received();
    flush(now, link, it, out);
    return link;
  }

  // -- requests ------------------------------------------------------------------------

  /// Somebody asks over that link, and waits until then. Returns the number of the request. One
  /// that is `given_up` for it is to hear no_answer().
  /// @pre There is that link.
  [[nodiscard]] std::uint64_t ask(link_number link, Asker by, time_point until,
                                  std::optional<Asker>& given_up) {
    auto* it = line_of(link);
    if (!it->open.empty() && it->open.size() >= options_.max_pending)
      given_up = std::move(finish(*it->open.begin())->by);
    auto number = ++last_request_;
    it->open.insert(number);
    requests_.emplace(number, request{std::move(by), link, until});
    return number;
  }

  [[nodiscard]] problem no_answer() const {
    return detail::no_answer(options_.max_pending);
  }

  /// Returns the request, if anybody waits for its answer; it is over then.
  [[nodiscard]] std::optional<request> finish(std::uint64_t number) {
    auto found = requests_.extract(number);
    if (!found)
      return std::nullopt;
    lines_.at(found.mapped().link).open.erase(number);
    return std::move(found.mapped());
  }

  // -- answers -------------------------------------------------------------------------

  /// An answer of `bytes` is to go over that link; without bytes it cannot be written. Where too
  /// much waits on all links, O(n) in that, twice a second.
  void answer(time_point now, link_number link, Asker to, Answer what,
              std::optional<std::size_t> bytes, time_point until, effects& out) {
    entry made{std::move(to), std::move(what), bytes.value_or(0) + answer_bytes, until};
    auto* it = line_of(link);
    if (it == nullptr)
      return drop(std::move(made), out);
    if (auto why = take(now, *it, made, bytes, out))
      if (!refuse(*it, made, std::move(why), out))
        return;
    waiting_bytes_ += made.bytes;
    it->waiting.push_back(std::move(made));
    flush(now, link, *it, out);
  }

  /// All that was to go over that link has gone, also in parts: whoever sent it goes on with `out`,
  /// unless there is nothing.
  void sent(time_point now, link_number link, effects& out) {
    auto* it = line_of(link);
    if (it == nullptr)
      return;
    it->is_sending = false;
    flush(now, link, *it, out);
  }

  void add_to(router_statistics& sum) const {
    sum.refused += refused_;
    sum.waiting_bytes += waiting_bytes_;
    for (auto& [link, it] : lines_)
      sum.waiting += static_cast<std::uint32_t>(it.waiting.size());
  }

private:
  struct entry {
    Asker to;
    std::variant<Answer, problem> what;
    std::size_t bytes = 0;
    time_point until{};

    [[nodiscard]] bool is_refusal() const {
      return std::holds_alternative<problem>(what);
    }
  };

  struct line {
    explicit line(const router_options& how) : flow({how.max_answer_bytes, how.window_bytes}) {}

    link_flow flow;
    /// For room on the link.
    std::deque<entry> waiting{};
    /// Of those.
    std::size_t refusals = 0;
    /// Requests that wait for agents.
    std::set<std::uint64_t> open{};
    /// Receipts on their way.
    std::deque<std::uint64_t> marks{};
    /// Somebody sends what was to go, and says when it has gone.
    bool is_sending = false;
  };

  line* line_of(link_number link) {
    auto found = lines_.find(link);
    return found != lines_.end() ? &found->second : nullptr;
  }

  /// Returns why there is no room; errc::none: it is taken.
  problem take(time_point now, line& it, const entry& what, std::optional<std::size_t> bytes,
               effects& out) {
    if (!bytes)
      return detail::unwritable();
    if (*bytes > options_.max_message_bytes)
      return detail::answer_too_large(*bytes, options_.max_message_bytes);
    auto waits = !it.waiting.empty() || !it.flow.has_room();
    if (waits && !has_share(it, what))
      drop_late(now, out);
    if (waits && !has_share(it, what))
      return detail::too_many_answers(waiting_bytes_, "max_all_answer_bytes");
    if (!it.flow.take(what.bytes))
      return detail::too_many_answers(it.flow.waiting_bytes(), "max_answer_bytes");
    return {};
  }

  /// Whether there is room for it among what waits for all links: so that those over which nothing
  /// goes leave room for others.
  [[nodiscard]] bool has_share(const line& it, const entry& what) const {
    auto most = options_.max_all_answer_bytes;
    auto free = most - std::min<std::size_t>(most, waiting_bytes_);
    return shares<link_number>::may_take(it.flow.waiting_bytes(), free, what.bytes);
  }

  /// Makes a refusal of an answer. Returns false if too many wait already: then it is let go.
  bool refuse(line& it, entry& what, problem why, effects& out) {
    ++refused_;
    if (it.refusals >= max_refusals) {
      drop(std::move(what), out);
      return false;
    }
    ++it.refusals;
    what.bytes = why.detail.size() + answer_bytes;
    out.emplace_back(let_go{std::nullopt, std::move(std::get<Answer>(what.what))});
    what.what = std::move(why);
    it.flow.take_anyway(what.bytes);
    return true;
  }

  /// Lets go of what nobody waits for any more, of all links; no more often than twice a second, as
  /// it looks at each answer.
  void drop_late(time_point now, effects& out) {
    if (now < look_again_)
      return;
    look_again_ = now + std::chrono::milliseconds{500};
    for (auto& [link, it] : lines_) {
      std::deque<entry> kept;
      for (auto& each : it.waiting)
        if (each.until >= now)
          kept.push_back(std::move(each));
        else
          forget(it, std::move(each), out);
      it.waiting = std::move(kept);
    }
  }

  /// One that waited and is late.
  void forget(line& it, entry what, effects& out) {
    it.flow.drop(what.bytes);
    leave(it, what);
    drop(std::move(what), out);
  }

  /// It waits no more.
  void leave(line& it, const entry& what) {
    waiting_bytes_ -= what.bytes;
    it.refusals -= what.is_refusal() ? 1 : 0;
  }

  static void drop(entry what, effects& out) {
    let_go gone{std::move(what.to)};
    if (auto* answer = std::get_if<Answer>(&what.what))
      gone.what = std::move(*answer);
    out.emplace_back(std::move(gone));
  }

  /// Sends what there is room for, unless somebody does already.
  void flush(time_point now, link_number link, line& it, effects& out) {
    if (it.is_sending)
      return;
    while (!it.waiting.empty() && it.flow.has_room()) {
      auto next = std::move(it.waiting.front());
      it.waiting.pop_front();
      if (next.until < now) {
        forget(it, std::move(next), out);
        continue;
      }
      leave(it, next);
      it.is_sending = true;
      auto is_marked = it.flow.send(next.bytes, next.bytes);
      out.emplace_back(send{std::move(next.to), std::move(next.what)});
      if (!is_marked)
        continue;
      it.marks.push_back(++last_mark_);
      marks_.emplace(last_mark_, link);
      out.emplace_back(ask_receipt{link, last_mark_});
    }
  }

  const router_options options_;
  std::map<link_number, line> lines_;
  std::map<std::uint64_t, request> requests_;
  /// Receipts on their way, each with its link.
  std::map<std::uint64_t, link_number> marks_;
  /// Of all lines.
  std::size_t waiting_bytes_ = 0;
  time_point look_again_ = time_point::min();
  std::uint64_t last_request_ = 0;
  std::uint64_t last_mark_ = 0;
  std::uint64_t refused_ = 0;
};

} // namespace troupe::router
