#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>

#include "troupe/core/random.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/sim/history.hpp"

/// What the clients of a run of `troupe chaos` have in common.
namespace cli::chaos {

/// The history of a run, on one clock for all clients. Thread-safe.
class recorder {
public:
  using clock = std::chrono::steady_clock;

  [[nodiscard]] std::int64_t now_ns() const {
    return std::chrono::nanoseconds{clock::now() - started_}.count();
  }

  /// Notes that a request is about to be sent; returns its place.
  std::size_t call(const std::string& client, const std::string& key,
                   troupe::sim::step_of_history what) {
    std::lock_guard guard{mutex_};
    what.call = now_ns();
    return lines_.call(client, key, std::move(what));
  }

  void answer(std::size_t place, troupe::sim::outcome how, std::optional<std::string> result) {
    auto now = now_ns();
    std::lock_guard guard{mutex_};
    lines_.answer(place, how, std::move(result), now);
  }

  /// @pre No client is at work any more.
  [[nodiscard]] const troupe::sim::history& lines() const {
    return lines_;
  }

private:
  const clock::time_point started_ = clock::now();
  std::mutex mutex_;
  troupe::sim::history lines_;
};

/// The start of a line of a history.
inline troupe::sim::step_of_history wants(std::string verb,
                                          std::optional<std::string> argument = {},
                                          std::optional<std::string> second = {}) {
  return {
    std::move(verb), std::move(argument), std::move(second), {}, troupe::sim::outcome::unknown, 0};
}

/// What became of an operation, and whether the service itself has said so.
struct verdict {
  troupe::sim::outcome how = troupe::sim::outcome::unknown;
  bool is_answer = false;
};

/// What a problem says of an operation that is refused with one of `noes` where its conditions
/// do not hold.
inline verdict judge(const troupe::problem& why, std::initializer_list<troupe::errc> noes) {
  using troupe::errc;
  if (std::ranges::find(noes, why.code) != noes.end())
    return {troupe::sim::outcome::fail, true};
  return {};
}

/// The same for an operation that cannot be refused: it has also failed where the client knows
/// that nothing was done.
inline verdict judge_plain(const troupe::problem& why) {
  using troupe::errc;
  auto nothing_done = why.code == errc::unreachable || why.code == errc::no_quorum;
  return {nothing_done ? troupe::sim::outcome::fail : troupe::sim::outcome::unknown, false};
}

/// One client, with a link and sessions of its own; does one thing at a time. Whoever does not
/// know an outcome goes on under another name, as histories want it.
class client {
public:
  client(std::size_t number, std::uint64_t seed, troupe::cluster_client& cluster, recorder& lines)
    : cluster_(cluster), lines_(lines), random_(seed), base_("c" + std::to_string(number)) {
    rename();
  }

  /// Does one operation, `ask()`, and writes it down. `judge(problem)` says what a problem means,
  /// `show(value)` what the client saw. Returns the answer.
  template <class Ask, class Judge, class Show>
  auto perform(const std::string& key, troupe::sim::step_of_history what, Ask ask, Judge judge,
               Show show) {
    auto place = lines_.call(name_, key, std::move(what));
    auto got = ask();
    auto said = got ? verdict{troupe::sim::outcome::ok, true} : judge(got.error());
    lines_.answer(place, said.how, got ? show(*got) : std::nullopt);
    if (said.is_answer)
      answered_ns_ = lines_.now_ns();
    if (said.how == troupe::sim::outcome::unknown)
      rename();
    unsure_ = said.how == troupe::sim::outcome::unknown;
    return got;
  }

  /// Whether the outcome of the last operation is not known.
  [[nodiscard]] bool is_unsure() const {
    return unsure_;
  }

  /// When the last answer came; below zero: never.
  [[nodiscard]] std::int64_t answered_ns() const {
    return answered_ns_;
  }

  [[nodiscard]] std::int64_t now_ns() const {
    return lines_.now_ns();
  }

  [[nodiscard]] const std::string& name() const {
    return name_;
  }

  [[nodiscard]] troupe::cluster::service_clients& services() {
    return cluster_.services();
  }

  [[nodiscard]] troupe::random_source& random() {
    return random_;
  }

  /// Up to `most`, at random.
  void rest(std::chrono::milliseconds most) {
    auto span = random_.below(static_cast<std::uint64_t>(most.count()) + 1);
    ::poll(nullptr, 0, static_cast<int>(span));
  }

  /// How long an answer may take, beside what the client itself wants to wait: less than the
  /// calm end of a run.
  static constexpr auto patience = std::chrono::seconds{4};

private:
  void rename() {
    name_ = base_ + "." + std::to_string(++names_);
  }

  troupe::cluster_client& cluster_;
  recorder& lines_;
  troupe::random_source random_;
  std::string base_;
  std::string name_;
  std::uint64_t names_ = 0;
  bool unsure_ = false;
  std::int64_t answered_ns_ = -1;
};

/// The keys that clients work on. A key is used for so many operations, then another takes its
/// place: the search for an order grows with the operations of a key. Thread-safe.
class key_ring {
public:
  /// `max_unsure`: operations of unknown outcome after which a key is used no more.
  key_ring(std::string prefix, std::size_t width, std::size_t max_unsure)
    : prefix_(std::move(prefix)), max_unsure_(max_unsure) {
    for (std::size_t count = 0; count < width; ++count)
      current_.push_back(make());
  }

  std::string take(troupe::random_source& random) {
    std::lock_guard guard{mutex_};
    auto& each = current_[random.below(current_.size())];
    if (++each.uses >= max_uses)
      return std::exchange(each, make()).name;
    return each.name;
  }

  void unsure(const std::string& name) {
    std::lock_guard guard{mutex_};
    for (auto& each : current_)
      if (each.name == name && ++each.unsure > max_unsure_)
        each = make();
  }

  [[nodiscard]] std::vector<std::string> all() const {
    std::lock_guard guard{mutex_};
    std::vector<std::string> result;
    for (std::uint64_t number = 1; number <= made_; ++number)
      result.push_back(prefix_ + std::to_string(number));
    return result;
  }

private:
  struct key {
    std::string name;
    std::size_t uses = 0;
    std::size_t unsure = 0;
  };

  key make() {
    return {prefix_ + std::to_string(++made_), 0, 0};
  }

  static constexpr std::size_t max_uses = 100;

  const std::string prefix_;
  const std::size_t max_unsure_;
  mutable std::mutex mutex_;
  std::vector<key> current_;
  std::uint64_t made_ = 0;
};

} // namespace cli::chaos
