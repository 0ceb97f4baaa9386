#include "troupe/scheduler/worker_core.hpp" // the header under test
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "support/seeds.hpp"

namespace worker_core_property {

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;

namespace {

constexpr std::uint64_t slots = 4;
constexpr std::size_t max_attempts = 6;
constexpr duration lease = 3s;

/// A worker, and a scheduler that answers late, twice, out of order or wrongly, forgets it, and
/// orders what it likes. Handlers end when they like. A witness sees what the worker does.
class any_worker {
public:
  explicit any_worker(random_source random)
    : random_(random),
      core_({.name = "w",
             .owner = owner_id{"node"},
             .capacity = {0, 0, 0, slots},
             .handlers = {"work"}},
            {.answer_within = 1s, .max_attempts = max_attempts}, random_.next()) {}

  void run() {
    pass({});
    for (auto round = 0; round < 300; ++round) {
      act();
      pass(std::chrono::milliseconds{random_.below(round % 40 == 0 ? 5'000 : 200)});
    }
    drain();
  }

private:
  struct asked {
    worker_core::send what;
    time_point sent{};
  };

  struct job {
    attempt_id what;
    std::uint64_t needs = 0;
    bool is_stopped = false;
  };

  template <class Range>
  auto& any_of(Range& all) {
    return *std::next(all.begin(), static_cast<std::ptrdiff_t>(random_.below(all.size())));
  }

  // -- what happens ------------------------------------------------------------------------

  void act() {
    switch (random_.below(10)) {
      case 0:
        return step(worker_core::identified{1 + random_.below(2)});
      case 1:
      case 2:
        return end_job();
      case 3:
        if (!jobs_.empty())
          step(worker_core::progressed{static_cast<std::uint16_t>(random_.below(1'001))},
               any_of(jobs_).first);
        return;
      default:
        return answer();
    }
  }

  void end_job() {
    auto id = jobs_.empty() || random_.below(10) == 0 ? random_.below(100) : any_of(jobs_).first;
    jobs_.erase(id);
    if (random_.below(3) == 0)
      step(worker_core::ended{problem{errc::unreachable, "by chance"}}, id);
    else
      step(worker_core::ended{"value"s}, id);
  }

  /// Any request that was ever sent, or none.
  void answer() {
    if (asked_.empty())
      return;
    auto id = random_.below(3) == 0 ? any_of(asked_).first : asked_.rbegin()->first;
    auto to = asked_.at(id);
    troupe::visit(
      [&]<class Words>(const Words& words) {
        using reply = typename Words::result;
        if (random_.below(4) == 0)
          return step(worker_core::heard<reply>{any_problem()}, id);
        is_heard(to);
        step(worker_core::heard<reply>{make(words, reply{})}, id);
      },
      to.what.what);
  }

  problem any_problem() {
    constexpr std::array codes{errc::not_found,    errc::unreachable, errc::timed_out,
                               errc::bad_argument, errc::conflict,    errc::too_large};
    return {codes.at(random_.below(codes.size())), "by chance"};
  }

  template <class Words>
  worker_receipt make(const Words&, worker_receipt said) {
    if constexpr (std::is_same_v<Words, register_worker>)
      said.worker = worker_id{++last_worker_};
    said.lease = lease;
    return said;
  }

  static report_receipt make(const report&, report_receipt said) {
    return said;
  }

  worker_orders make(const watch_assignments& to, worker_orders said) {
    said.sequence = to.after + random_.below(3);
    for (auto count = random_.below(4); count > 0; --count) {
      attempt_id what{run_id{1}, static_cast<std::uint32_t>(random_.below(30)), 1};
      if (random_.below(4) == 0)
        said.cancellations.push_back(what);
      else
        said.assignments.push_back({.what = what, .needs = {0, 0, 0, 1 + random_.below(3)}});
    }
    return said;
  }

  void step(worker_core::event what, request_id id = 0) {
    worker_core::effects out;
    core_.step(now_, id, std::move(what), out);
    look_at(out);
  }

  void pass(duration span) {
    auto until = now_ + span;
    for (auto due = core_.next_deadline(); due && *due <= until; due = core_.next_deadline()) {
      now_ = std::max(now_, *due);
      tick();
    }
    now_ = until;
  }

  void tick() {
    worker_core::effects out;
    core_.tick(now_, out);
    look_at(out);
    REQUIRE((!core_.next_deadline() || *core_.next_deadline() > now_));
  }

  /// Every request is answered now, and every handler ends: the worker goes.
  void drain() {
    is_draining_ = true;
    step(worker_core::drain{});
    for (auto round = 0; round < 200 && !is_drained_; ++round) {
      while (!jobs_.empty())
        end_job();
      for (auto& each : std::map{asked_})
        troupe::visit(
          [this, &each]<class Words>(const Words&) {
            using reply = typename Words::result;
            reply said{};
            if constexpr (std::is_same_v<reply, worker_receipt>)
              said.lease = lease;
            is_heard(each.second);
            step(worker_core::heard<reply>{said}, each.first);
          },
          each.second.what.what);
      step(worker_core::identified{1});
      pass(1s);
    }
    CHECK(is_drained_);
  }

  // -- the witness -------------------------------------------------------------------------

  /// A lease counts from when that was sent which was answered.
  void is_heard(const asked& what) {
    auto& words = what.what.what;
    if (!std::holds_alternative<watch_assignments>(words)
        && !std::holds_alternative<deregister_worker>(words))
      lease_until_ = std::max(lease_until_, what.sent + lease);
  }

  void look_at(const worker_core::effects& out) {
    for (auto& each : out)
      troupe::visit([this](auto& what) { see(what); }, each);
    if (now_ >= lease_until_)
      for (auto& [id, each] : jobs_)
        CHECK(each.is_stopped); // another worker runs it now
  }

  void see(const worker_core::send& what) {
    CHECK(what.id > (asked_.empty() ? 0 : asked_.rbegin()->first));
    asked_[what.id] = {what, now_};
    CHECK(what.wait > duration::zero());
    troupe::visit([this](auto& words) { this->see_words(words); }, what.what);
  }

  template <class Words>
  void see_words(const Words&) {}

  /// It names what it has: what runs of this registration, each once.
  void see_words(const check_in& what) {
    see_open(what.open);
  }

  void see_words(const renew_worker& what) {
    see_open(what.open);
  }

  static void see_open(const std::vector<attempt_id>& all) {
    CHECK(std::ranges::is_sorted(all));
    CHECK(std::ranges::adjacent_find(all) == all.end());
    CHECK(all.size() <= max_attempts);
  }

  void see_words(const watch_assignments& what) {
    CHECK(what.limit > 0);
    CHECK(what.limit <= max_attempts);
  }

  static void see_words(const report& what) {
    CHECK_FALSE(what.outcomes.empty());
    std::set<attempt_id> named;
    for (auto& each : what.outcomes)
      if (each.kind != outcome_kind::progress)
        CHECK(named.insert(each.what).second);
  }

  void see(const worker_core::begin& what) {
    CHECK(core_.id().has_value());
    CHECK_FALSE(is_draining_);
    std::uint64_t used = what.what.needs.slots;
    for (auto& [id, each] : jobs_) {
      used += each.needs;
      CHECK((each.is_stopped || each.what != what.what.what)); // never twice at a time
    }
    CHECK(used <= slots);
    CHECK(jobs_.try_emplace(what.id, what.what.what, what.what.needs.slots).second);
    CHECK(used_ids_.insert(what.id).second);
  }

  void see(const worker_core::stop& what) {
    auto& one = jobs_.at(what.id);
    CHECK_FALSE(one.is_stopped); // once
    one.is_stopped = true;
  }

  void see(const worker_core::identify&) {
    CHECK_FALSE(core_.id().has_value());
    // Whatever ran in an earlier registration was stopped.
    for (auto& [id, each] : jobs_)
      CHECK(each.is_stopped);
  }

  void see(const worker_core::registered&) {}

  void see(const worker_core::drained&) {
    CHECK(is_draining_);
    CHECK_FALSE(is_drained_);
    CHECK(jobs_.empty());
    is_drained_ = true;
  }

  random_source random_;
  worker_core core_;
  time_point now_{};
  std::uint64_t last_worker_ = 0;
  time_point lease_until_{};
  std::map<request_id, asked> asked_;
  std::map<request_id, job> jobs_;
  std::set<request_id> used_ids_;
  bool is_draining_ = false;
  bool is_drained_ = false;
};

} // namespace

TEST_CASE("a worker has room for what it begins, stops what it no longer may run, and ends",
          "[scheduler][worker][property]") {
  test::for_each_seed(test::simulated_worlds,
                      [](random_source random) { any_worker{random}.run(); });
}

} // namespace worker_core_property
