#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "troupe/core/ids.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/scheduler/task_scheduler.hpp"
#include "troupe/scheduler/worker_core.hpp"
#include "troupe/sim/laws/worker_laws.hpp"
#include "troupe/sim/world/service_client.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// The worker of a simulated node: the worker_core that nodes run, over the node's client of the
/// scheduler. It runs tasks for "work", most of which take up to a second. worker_laws checks each
/// step, task_laws where tasks run.
template <class Process>
class node_worker {
public:
  using core = scheduler::worker_core;
  using home = environment<Process>;
  using client = service_client<scheduler::task_scheduler, home>;

  struct surroundings {
    std::function<boot_number()> boot;
    std::function<void(const std::string&)> broken;
  };

  /// `here` and `services` outlive this.
  node_worker(home& here, client& services, const node_id& node, surroundings around)
    : here_(here),
      services_(services),
      around_(std::move(around)),
      node_(node),
      inside_(words(node), options(), here.random().next()) {}

  node_worker(const node_worker&) = delete;
  node_worker& operator=(const node_worker&) = delete;

  /// It does nothing any more.
  void end() {
    has_ended_ = true;
  }

  void wake() {
    if (has_ended_)
      return;
    if (auto due = inside_.next_deadline(); !has_begun_ || (due && *due <= here_.now())) {
      has_begun_ = true;
      carry_out(inside_.tick(here_.now()));
    }
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    if (has_ended_)
      return std::nullopt;
    return has_begun_ ? inside_.next_deadline() : here_.now();
  }

private:
  struct job {
    scheduler::attempt_id what;
    bool is_stopped = false;
  };

  /// Calendars are right here.
  [[nodiscard]] duration world_time() const {
    return here_.calendar().time_since_epoch();
  }

  static scheduler::register_worker words(const node_id& node) {
    scheduler::register_worker made;
    made.name = to_string(node);
    made.owner = node;
    made.capacity.slots = 2;
    made.handlers = {"work"};
    return made;
  }

  static scheduler::worker_core_options options() {
    scheduler::worker_core_options made;
    made.answer_within = std::chrono::seconds{2};
    made.poll_for = std::chrono::seconds{1};
    return made;
  }

  void step(request_id id, core::event what) {
    if (has_ended_)
      return;
    carry_out(inside_.step(here_.now(), id, std::move(what)));
  }

  void carry_out(core::effects out) {
    for (auto& each : inside_.take_violations())
      around_.broken("has a worker: " + each);
    for (auto& each : out)
      troupe::visit([this](auto& what) { this->perform(what); }, each);
  }

  void perform(core::identify&) {
    step(0, core::identified{around_.boot(), false});
  }

  void perform(core::send& what) {
    troupe::visit([&](const auto& words) { send(what, words); }, what.what);
  }

  template <class Words>
  void send(const core::send& what, const Words& words) {
    services_.ask(words, what.wait, answer_to<typename Words::result>(what.id));
  }

  void send(const core::send& what, const scheduler::check_in& words) {
    services_.inquire(words, what.wait, answer_to<scheduler::worker_receipt>(what.id));
  }

  /// As if it had waited at the node.
  void send(const core::send& what, const scheduler::watch_assignments& words) {
    auto held = std::chrono::milliseconds{200 + here_.random().below(300)};
    here_.after(held, [this, what, words, wait = what.wait - held] {
      services_.inquire(words, wait, answer_to<scheduler::worker_orders>(what.id));
    });
  }

  template <class Result>
  std::function<void(const result<Result>&)> answer_to(request_id id) {
    return [this, id, at = world_time()](const result<Result>& heard) {
      if (heard && !std::is_same_v<Result, scheduler::worker_orders>)
        here_.setting().tasks.sign(node_, at);
      step(id, core::heard<Result>{heard});
    };
  }

  // -- tasks ---------------------------------------------------------------------------------

  void perform(core::begin& what) {
    auto longest = here_.random().one_in(4) ? 6'000U : 1'000U;
    auto takes = std::chrono::milliseconds{here_.random().below(longest)};
    here_.setting().tasks.begins(world_time(), what.what.what, node_, around_.boot());
    jobs_.emplace(what.id, job{what.what.what});
    here_.after(takes, [this, id = what.id] { end(id); });
  }

  void perform(core::stop& what) {
    auto found = jobs_.find(what.id);
    if (found == jobs_.end())
      return;
    found->second.is_stopped = true;
    here_.setting().tasks.ends(found->second.what);
  }

  void end(request_id id) {
    auto gone = jobs_.extract(id).mapped();
    if (has_ended_)
      return;
    here_.setting().tasks.ends(gone.what);
    step(id, core::ended{gone.is_stopped ? result<std::string>{problem{errc::cancelled, "stopped"}}
                                         : result<std::string>{"done"}});
  }

  void perform(core::registered& what) {
    if (what.why && what.why.code != errc::conflict)
      around_.broken("is refused as worker: " + what.why.detail);
  }

  void perform(core::drained&) {}

  home& here_;
  client& services_;
  surroundings around_;
  node_id node_;
  judged_worker inside_;
  bool has_begun_ = false;
  bool has_ended_ = false;
  std::map<request_id, job> jobs_;
};

} // namespace troupe::sim
