#pragma once

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "support/seeds.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/scheduler/task_scheduler.hpp"
#include "troupe/sim/laws/worker_laws.hpp"

namespace troupe::test {

/// A worker process as it could be anywhere: runs the core that all workers run, and may be cut
/// off, slow, or dead. What it says goes through the test; its laws must hold at every step.
class simulated_worker {
public:
  using core = scheduler::worker_core;

  /// An attempt in its hands.
  struct job {
    request_id id = 0;
    scheduler::assignment what;
    bool is_stopped = false;
  };

  simulated_worker(scheduler::register_worker words, std::uint64_t seed)
    : words_(std::move(words)), seed_(seed) {
    start();
  }

  [[nodiscard]] const scheduler::register_worker& words() const {
    return words_;
  }

  [[nodiscard]] bool is_up() const {
    return inside_.has_value();
  }

  /// As what the scheduler knows it, as far as it has heard.
  [[nodiscard]] std::optional<scheduler::worker_id> id() const {
    return inside_ ? inside_->id() : std::nullopt;
  }

  [[nodiscard]] bool is_cut_off(time_point now) const {
    return now < cut_off_until_;
  }

  void cut_off(time_point until) {
    cut_off_until_ = until;
  }

  void reconnect() {
    cut_off_until_ = time_point::min();
  }

  void kill() {
    inside_.reset();
    jobs_.clear();
    begun_.clear();
    unanswered_.clear();
    sent_.clear();
    has_drained_ = false;
  }

  void restart() {
    ++words_.boot;
    start();
  }

  /// Lets it do what is due.
  void live(time_point now) {
    if (inside_)
      carry_out(now, inside_->tick(now));
    if (has_drained_)
      kill();
  }

  /// Its process ends once it has drained.
  void drain(time_point now) {
    carry_out(now, inside_->step(now, 0, core::drain{}));
  }

  /// Puts each request that it has made so far to `ask(words)`, which returns the answer or why
  /// there is none.
  template <class Ask>
  void talk(time_point now, Ask ask) {
    for (auto& each : std::exchange(unanswered_, {})) {
      auto put = [&]<class Words>(Words& words) {
        carry_out(now,
                  inside_->step(now, each.id, core::heard<typename Words::result>{ask(words)}));
      };
      troupe::visit(put, each.what);
    }
  }

  /// As a link that is down, after a while.
  void hear_nothing(time_point now) {
    talk(now, [](const auto&) { return problem{errc::unreachable, "the link is down"}; });
  }

  [[nodiscard]] std::vector<job> jobs() const {
    std::vector<job> all;
    for (auto& [id, each] : jobs_)
      all.push_back(each);
    return all;
  }

  /// Attempts that it has begun since the last call.
  std::vector<scheduler::assignment> take_begun() {
    return std::exchange(begun_, {});
  }

  void progress(time_point now, const job& which, std::uint16_t permille) {
    carry_out(now, inside_->step(now, which.id, core::progressed{permille}));
  }

  void end(time_point now, const job& which, result<std::string> value) {
    jobs_.erase(which.id);
    carry_out(now, inside_->step(now, which.id, core::ended{std::move(value)}));
  }

  /// A report as it may arrive: now and then with something that it said before.
  [[nodiscard]] scheduler::report as_it_arrives(scheduler::report what, random_source& random) {
    auto fresh = what.outcomes;
    if (!sent_.empty() && random.one_in(3))
      what.outcomes.insert(what.outcomes.begin()
                             + static_cast<std::ptrdiff_t>(random.below(fresh.size() + 1)),
                           sent_[random.below(sent_.size())]);
    for (auto& each : fresh)
      if (each.kind != scheduler::outcome_kind::progress)
        sent_.push_back(std::move(each));
    return what;
  }

  /// A question for orders as it may arrive: now and then from the start, or for a few.
  static scheduler::watch_assignments as_it_arrives(scheduler::watch_assignments what,
                                                    random_source& random) {
    if (random.one_in(10))
      what.after = 0;
    what.limit = std::min(what.limit, static_cast<std::uint32_t>(1 + random.below(4)));
    return what;
  }

private:
  void start() {
    inside_.emplace(words_, scheduler::worker_core_options{}, seed_ + words_.boot);
  }

  void carry_out(time_point now, core::effects out) {
    for (auto& each : inside_->take_violations())
      FAIL(words_.name << ": " << each);
    for (auto& each : out)
      troupe::visit([&](auto& what) { handle(now, what); }, each);
  }

  void handle(time_point now, core::identify&) {
    carry_out(now, inside_->step(now, 0, core::identified{words_.boot, false}));
  }

  void handle(time_point, core::send& what) {
    unanswered_.push_back(std::move(what));
  }

  void handle(time_point, core::begin& what) {
    begun_.push_back(what.what);
    jobs_.emplace(what.id, job{what.id, std::move(what.what)});
  }

  void handle(time_point, core::stop& what) {
    if (auto found = jobs_.find(what.id); found != jobs_.end())
      found->second.is_stopped = true;
  }

  void handle(time_point, core::registered&) {}

  void handle(time_point, core::drained&) {
    has_drained_ = true;
  }

  scheduler::register_worker words_;
  std::uint64_t seed_;
  std::optional<sim::judged_worker> inside_;
  std::vector<core::send> unanswered_;
  std::map<request_id, job> jobs_;
  std::vector<scheduler::assignment> begun_;
  std::vector<scheduler::outcome> sent_;
  bool has_drained_ = false;
  time_point cut_off_until_ = time_point::min();
};

} // namespace troupe::test
