#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/shares.hpp"
#include "troupe/core/time.hpp"

namespace troupe::router::detail {

/// Who sends a message, for its share of what is bounded: the node or client, and the agent there;
/// all empty if that is not known.
using share_holder = std::pair<node_id, agent_id>;

/// Who waits for the answer to a request.
template <class Caller>
struct call {
  Caller by;
  /// Who is asked; empty: the router of the node.
  agent_id agent{};
  /// Whether an answer says that the agent is well.
  bool is_telling = false;
  /// If it is work that any agent could do: see directory::choice.
  std::uint64_t given = 0;
};

/// Requests that a router passes on, by their numbers, and who waits for their answers. A Whom is
/// whoever is asked: a node, or an agent. A Way is what its answer comes over, and by what its loss
/// is known: a link, or that agent. An Answer is the way to whoever asks. Those who ask share the
/// places that there are, see shares. Thread-safe; calls nothing while it is locked.
template <class Whom, class Way, class Answer>
class open_requests {
public:
  /// Whether `by` may open one more, where `most` may be open.
  [[nodiscard]] bool may_open(const share_holder& by, std::size_t most) const {
    std::lock_guard guard{mutex_};
    return shares_.may_take(by, most - std::min(most, requests_.size()));
  }

  /// From `deadline` on expire() ends it. It takes a place of `by`, if that may_open() it or not.
  /// @pre No open request has this number.
  void open(std::uint64_t number, Answer answer, Whom whom,
            std::optional<time_point> deadline = std::nullopt, share_holder by = {}) {
    std::lock_guard guard{mutex_};
    shares_.take(by);
    requests_.emplace(number,
                      request{std::move(answer), std::move(whom), deadline, {}, std::move(by)});
    if (deadline)
      deadlines_.emplace(*deadline, number);
  }

  /// It is on its way over `over`: from here on lost() ends it.
  void sent(std::uint64_t number, Way over) {
    std::lock_guard guard{mutex_};
    auto found = requests_.find(number);
    if (found == requests_.end())
      return;
    sent_[over].insert(number);
    found->second.over = std::move(over);
  }

  /// Ends with `deliver(number, answer, whom)` what has waited too long.
  template <class Deliver>
  void expire(time_point now, Deliver deliver) {
    for (;;) {
      std::uint64_t number = 0;
      {
        std::lock_guard guard{mutex_};
        if (deadlines_.empty() || deadlines_.begin()->first > now)
          return;
        number = deadlines_.begin()->second;
      }
      finish(number, [&](Answer& answer, const Whom& whom) { deliver(number, answer, whom); });
    }
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::lock_guard guard{mutex_};
    if (deadlines_.empty())
      return std::nullopt;
    return deadlines_.begin()->first;
  }

  /// Ends a request with `deliver(answer, whom)`; returns false if it is over already.
  template <class Deliver>
  bool finish(std::uint64_t number, Deliver deliver) {
    auto found = take(number);
    if (!found)
      return false;
    deliver(found.mapped().answer, found.mapped().whom);
    return true;
  }

  /// Ends a request with `deliver(answer, whom)`, if it was `who` that was asked. Returns false if
  /// it is over already, or somebody else was asked: then it stays open.
  template <class Deliver>
  bool finish_by(const Whom& who, std::uint64_t number, Deliver deliver) {
    auto found = take(number, &who);
    if (!found)
      return false;
    deliver(found.mapped().answer, found.mapped().whom);
    return true;
  }

  /// Ends with `deliver(answer, whom)` whatever was sent over `over`. Returns how many that were.
  template <class Deliver>
  std::size_t lost(const Way& over, Deliver deliver) {
    std::vector<request> ended;
    {
      std::lock_guard guard{mutex_};
      auto gone = sent_.extract(over);
      if (!gone)
        return 0;
      for (auto number : gone.mapped()) {
        auto found = requests_.extract(number);
        forget(number, found.mapped());
        ended.push_back(std::move(found.mapped()));
      }
    }
    for (auto& each : ended)
      deliver(each.answer, each.whom);
    return ended.size();
  }

  /// Ends all with `deliver(answer)`.
  template <class Deliver>
  void clear(Deliver deliver) {
    std::map<std::uint64_t, request> ended;
    {
      std::lock_guard guard{mutex_};
      ended.swap(requests_);
      sent_.clear();
      deadlines_.clear();
      shares_.clear();
    }
    for (auto& [number, each] : ended)
      deliver(each.answer);
  }

  /// Whether an answer is to come over `over`.
  [[nodiscard]] bool waits_for(const Way& over) const {
    std::lock_guard guard{mutex_};
    return sent_.contains(over);
  }

  [[nodiscard]] bool is_open(std::uint64_t number) const {
    std::lock_guard guard{mutex_};
    return requests_.contains(number);
  }

  [[nodiscard]] std::size_t size() const {
    std::lock_guard guard{mutex_};
    return requests_.size();
  }

  /// Returns how many of these are by `whom`; none if that is not known.
  [[nodiscard]] std::size_t of(const share_holder& whom) const {
    std::lock_guard guard{mutex_};
    return shares_.of(whom);
  }

private:
  struct request {
    Answer answer;
    Whom whom;
    std::optional<time_point> deadline{};
    /// Once it was sent.
    std::optional<Way> over{};
    share_holder by{};
  };

  void forget(std::uint64_t number, const request& what) {
    shares_.give_back(what.by);
    if (what.deadline)
      deadlines_.erase({*what.deadline, number});
  }

  auto take(std::uint64_t number, const Whom* by = nullptr) {
    std::lock_guard guard{mutex_};
    auto open = requests_.find(number);
    if (open == requests_.end() || (by != nullptr && open->second.whom != *by))
      return typename decltype(requests_)::node_type{};
    auto found = requests_.extract(open);
    forget(number, found.mapped());
    if (!found.mapped().over)
      return found;
    auto there = sent_.find(*found.mapped().over);
    there->second.erase(number);
    if (there->second.empty())
      sent_.erase(there);
    return found;
  }

  mutable std::mutex mutex_;
  std::map<std::uint64_t, request> requests_;
  std::map<Way, std::set<std::uint64_t>> sent_;
  std::set<std::pair<time_point, std::uint64_t>> deadlines_;
  shares<share_holder> shares_;
};

} // namespace troupe::router::detail
