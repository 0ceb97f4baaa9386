#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

#include <poll.h>

#include "chaos/history.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/sim/laws/history.hpp"

/// The common part of all clients of `troupe chaos`.
namespace cli::chaos {

/// The start of a line of a history.
inline troupe::sim::step_of_history wants(std::string verb,
                                          std::optional<std::string> argument = {},
                                          std::optional<std::string> second = {}) {
  return {
    std::move(verb), std::move(argument), std::move(second), {}, troupe::sim::outcome::unknown, 0};
}

/// The outcome of an operation, and whether the service itself has answered.
struct verdict {
  troupe::sim::outcome how = troupe::sim::outcome::unknown;
  bool is_answer = false;
};

/// The outcome of an operation that ended with a problem; the service refuses it with one of
/// `noes` if its conditions do not hold.
inline verdict judge(const troupe::problem& why, std::initializer_list<troupe::errc> noes) {
  using troupe::errc;
  if (std::ranges::find(noes, why.code) != noes.end())
    return {troupe::sim::outcome::fail, true};
  return {};
}

/// The same for an operation without conditions: it has failed if the client knows that nothing
/// was done.
inline verdict judge_plain(const troupe::problem& why) {
  using troupe::errc;
  auto nothing_done = why.code == errc::unreachable || why.code == errc::no_quorum;
  return {nothing_done ? troupe::sim::outcome::fail : troupe::sim::outcome::unknown, false};
}

/// One client, with a link and sessions of its own; does one operation at a time. After an unknown
/// outcome it goes on under another name, as histories require.
class client {
public:
  client(std::size_t number, std::uint64_t seed, troupe::cluster_client& cluster, recorder& lines)
    : cluster_(cluster), lines_(lines), random_(seed), base_("c" + std::to_string(number)) {
    rename();
  }

  /// Does one operation, `ask()`, and records it. `judge(problem)` says what a problem means,
  /// `show(value)` what the client saw. The operation may take `patience` plus `wait`. Returns the
  /// answer.
  template <class Ask, class Judge, class Show>
  auto perform(const std::string& key, troupe::sim::step_of_history what, Ask ask, Judge judge,
               Show show, troupe::duration wait = {}) {
    auto place = lines_.call(name_, key, std::move(what));
    auto got = ask();
    auto said = got ? verdict{troupe::sim::outcome::ok, true} : judge(got.error());
    auto is_alone = !got && got.error().code == troupe::errc::no_quorum;
    lines_.answer(place, said.how, got ? show(*got) : std::nullopt,
                  said.is_answer ? word::answer
                  : is_alone     ? word::no_quorum
                                 : word::none,
                  patience + wait);
    if (said.is_answer)
      answered_ns_ = lines_.now_ns();
    if (said.how == troupe::sim::outcome::unknown)
      rename();
    unsure_ = said.how == troupe::sim::outcome::unknown;
    if (is_alone) // as a program would: an immediate retry would fail again
      rest(std::chrono::milliseconds{500});
    return got;
  }

  /// Whether the outcome of the last operation is not known.
  [[nodiscard]] bool is_unsure() const {
    return unsure_;
  }

  /// Time of the last answer; negative: never.
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

  /// Client of a service that programs add.
  template <class Service>
  [[nodiscard]] auto service(const std::string& name) {
    return cluster_.service<Service>(name);
  }

  [[nodiscard]] troupe::random_source& random() {
    return random_;
  }

  /// A random duration up to `most`.
  void rest(std::chrono::milliseconds most) {
    auto span = random_.below(static_cast<std::uint64_t>(most.count()) + 1);
    ::poll(nullptr, 0, static_cast<int>(span));
  }

  /// How long an answer may take, in addition to the waiting that the client asks for: less than
  /// the calm end of a run.
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

/// Makes a client read a key that is no longer used, by `look(key) -> troupe::problem`. Returns
/// whether there was one.
template <class Look>
bool look_at_old_key(key_ring& ring, client& who, Look look) {
  auto old = ring.take_old(who.now_ns());
  if (!old)
    return false;
  if (look(*old))
    ring.again(*std::move(old), who.now_ns());
  return true;
}

} // namespace cli::chaos
