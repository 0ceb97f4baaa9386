#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/scheduler/worker_core.hpp"

namespace troupe::sim {

/// Checks one worker process by its effects and events alone, not by its internal state:
///
/// - running attempts take no more room than the worker has;
/// - attempts are stopped when no sign of life sent within the lease was answered, and when the
///   worker registers again, and for no other reason but an order to do so;
/// - an attempt is begun once in a registration and has one outcome;
/// - an outcome that the scheduler has acknowledged is not sent again;
/// - a drained worker runs nothing, and all its outcomes are acknowledged.
class worker_laws {
public:
  using core = scheduler::worker_core;

  explicit worker_laws(const scheduler::resources& capacity) : capacity_(capacity) {}

  /// Returns the violations since the last call.
  std::vector<std::string> take_violations() {
    return std::exchange(violations_, {});
  }

  /// Call before the core is stepped.
  void hears(request_id id, const core::event& what) {
    auto judge = overloaded{
      [&](const core::heard<scheduler::worker_receipt>& each) { receipt(id, each.what); },
      [&](const core::heard<scheduler::worker_orders>& each) { ordered(id, each.what); },
      [&](const core::heard<scheduler::report_receipt>& each) { reported(id, each.what); },
      [&](const core::ended& each) { ended(id, each); },
      [](const auto&) {},
    };
    troupe::visit(judge, what);
  }

  /// Call with what the core did at `now`.
  void does(time_point now, const core::effects& out) {
    auto judge = overloaded{
      [&](const core::send& each) {
        troupe::visit([&](const auto& words) { sends(now, each.id, words); }, each.what);
      },
      [&](const core::begin& each) { begins(now, each); },
      [&](const core::stop& each) {
        if (auto found = running_.find(each.id); found != running_.end())
          stops(now, found->second);
      },
      [&](const core::drained&) { drained(); },
      [](const auto&) {},
    };
    for (auto& each : out)
      troupe::visit(judge, each);
    for (auto& [id, each] : running_)
      if (!each.is_stopped && (each.owner != worker_ || now >= lease_end_))
        broken(each.what, each.owner != worker_ ? "goes on though its worker has registered anew"
                                                : "goes on though the lease is over");
  }

private:
  struct running {
    scheduler::attempt_id what;
    scheduler::resources needs;
    scheduler::worker_id owner;
    bool is_stopped = false;
  };

  struct sign {
    time_point at;
    scheduler::worker_id who;
  };

  using told_by = std::pair<scheduler::worker_id, scheduler::attempt_id>;

  void broken(const scheduler::attempt_id& what, const std::string& how) {
    violations_.push_back("attempt " + std::to_string(what.attempt) + " of task "
                          + std::to_string(what.task) + " of run " + std::to_string(what.run.value)
                          + " " + how);
  }

  // -- what it does ------------------------------------------------------------------------

  template <class Words>
  void sends(time_point now, request_id id, const Words& words) {
    sent_.emplace(id, sign{now, words.worker});
    if (std::is_same_v<Words,
                       scheduler::check_in> || std::is_same_v<Words, scheduler::renew_worker>)
      living_ = id;
  }

  void sends(time_point now, request_id id, const scheduler::register_worker&) {
    sent_.emplace(id, sign{now, {}});
    registration_ = id;
  }

  void sends(time_point now, request_id id, const scheduler::report& words) {
    sent_.emplace(id, sign{now, words.worker});
    report_ = {id, words};
    for (auto& each : words.outcomes) {
      if (each.kind == scheduler::outcome_kind::progress)
        continue;
      told_by which{words.worker, each.what};
      if (heard_.contains(which))
        broken(each.what, "is told of again that the scheduler has heard of");
      if (auto [first, is_new] = told_.emplace(which, each); !is_new && first->second != each)
        broken(each.what, "has two outcomes");
    }
  }

  void begins(time_point now, const core::begin& what) {
    auto& order = what.what;
    if (!begun_.emplace(worker_, order.what).second)
      broken(order.what, "is begun again");
    if (now >= lease_end_)
      broken(order.what, "is begun after the lease");
    running_.emplace(what.id, running{order.what, order.needs, worker_});
    scheduler::resources used{0, 0, 0, 0};
    for (auto& [id, each] : running_) {
      if (!fits(each.needs, used, capacity_))
        broken(order.what, "is begun where there is no room for it");
      used += each.needs;
    }
  }

  void stops(time_point now, running& what) {
    what.is_stopped = true;
    if (is_known_ && what.owner == worker_ && now < sure_until_
        && !cancelled_.contains({worker_, what.what}))
      broken(what.what, "is stopped for no reason");
  }

  void drained() {
    for (auto& [id, each] : running_)
      broken(each.what, "runs on a worker that says that it has drained");
    for (auto& each : owed_)
      broken(each, "is over on a worker that says that it has drained, and was not heard of");
  }

  // -- what it hears -----------------------------------------------------------------------

  void receipt(request_id id, const result<scheduler::worker_receipt>& answer) {
    if (is_forgotten(id, answer) || !answer)
      return;
    if (id == registration_ && answer->worker != worker_) {
      worker_ = answer->worker;
      lease_end_ = sure_until_ = time_point{};
      owed_.clear();
    }
    if (answer->worker != worker_)
      return;
    is_known_ = true;
    lease_ = answer->lease;
    renew(id);
    if (std::exchange(living_, living_ == id ? 0 : living_) == id || id == registration_)
      sure_until_ = std::max(sure_until_, sent_.at(id).at + lease_);
  }

  void ordered(request_id id, const result<scheduler::worker_orders>& answer) {
    if (is_forgotten(id, answer) || !answer)
      return;
    for (auto& each : answer->cancellations)
      cancelled_.emplace(sent_.at(id).who, each);
  }

  void reported(request_id id, const result<scheduler::report_receipt>& answer) {
    auto is_waited_for
      = std::exchange(report_.first, report_.first == id ? 0 : report_.first) == id;
    if (is_forgotten(id, answer) || !answer || sent_.at(id).who != worker_)
      return;
    renew(id);
    if (!is_waited_for)
      return; // too late: the worker was told that no answer came
    sure_until_ = std::max(sure_until_, sent_.at(id).at + lease_);
    for (auto& each : report_.second.outcomes)
      if (each.kind != scheduler::outcome_kind::progress) {
        heard_.emplace(worker_, each.what);
        owed_.erase(each.what);
      }
  }

  void renew(request_id id) {
    lease_end_ = std::max(lease_end_, sent_.at(id).at + lease_);
  }

  /// Whether the scheduler no longer knows this worker: its outcomes need not be reported then.
  template <class Result>
  bool is_forgotten(request_id id, const result<Result>& answer) {
    if (answer || answer.error().code != errc::not_found || sent_.at(id).who != worker_)
      return false;
    is_known_ = false;
    living_ = 0;
    owed_.clear();
    return true;
  }

  void ended(request_id id, const core::ended&) {
    auto gone = running_.extract(id);
    if (gone && gone.mapped().owner == worker_ && is_known_)
      owed_.insert(gone.mapped().what);
  }

  scheduler::resources capacity_;
  std::vector<std::string> violations_;
  scheduler::worker_id worker_;
  request_id registration_ = 0;
  duration lease_{};
  time_point lease_end_{};
  /// As far as the worker waited for the answers that prolonged the lease.
  time_point sure_until_{};
  /// The last sign of life; zero once it is answered.
  request_id living_ = 0;
  bool is_known_ = false;
  std::map<request_id, sign> sent_;
  /// The last report and its id; zero once it is answered.
  std::pair<request_id, scheduler::report> report_;
  std::map<request_id, running> running_;
  std::set<told_by> begun_;
  std::set<told_by> cancelled_;
  std::map<told_by, scheduler::outcome> told_;
  std::set<told_by> heard_;
  /// Attempts that ended in this registration and are not acknowledged.
  std::set<scheduler::attempt_id> owed_;
};

/// A worker_core whose every step is checked.
class judged_worker {
public:
  using core = scheduler::worker_core;

  judged_worker(const scheduler::register_worker& words, const scheduler::worker_core_options& how,
                std::uint64_t seed)
    : core_(words, how, seed), laws_(words.capacity) {}

  core::effects step(time_point now, request_id id, core::event what) {
    core::effects out;
    laws_.hears(id, what);
    core_.step(now, id, std::move(what), out);
    laws_.does(now, out);
    return out;
  }

  core::effects tick(time_point now) {
    core::effects out;
    core_.tick(now, out);
    laws_.does(now, out);
    return out;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return core_.next_deadline();
  }

  [[nodiscard]] std::optional<scheduler::worker_id> id() const {
    return core_.id();
  }

  std::vector<std::string> take_violations() {
    return laws_.take_violations();
  }

private:
  core core_;
  worker_laws laws_;
};

} // namespace troupe::sim
