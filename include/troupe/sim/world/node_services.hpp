#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "troupe/core/overloaded.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/group/group_core.hpp"
#include "troupe/host/group_types.hpp"
#include "troupe/host/replicated_core.hpp"
#include "troupe/registry/name_table.hpp"
#include "troupe/scheduler/task_scheduler.hpp"
#include "troupe/sim/world/node_messages.hpp"
#include "troupe/sim/world/service_thread.hpp"

namespace troupe::sim {

/// The services on the group of a simulated node, each in a thread of its own: that of names, and
/// the scheduler.
template <class Home>
class node_services {
public:
  using names = registry::name_table;
  using tasks = scheduler::task_scheduler;

  struct surroundings {
    /// Runs in the thread of the group.
    std::function<void(request_id, const host::group_core::event&)> to_group;
    std::function<void(const node_asker& to, node_reply what)> reply;
    /// This node cannot go on.
    std::function<void(const problem&)> broken;
  };

  /// `here` outlives this.
  node_services(Home& here, const scheduler::scheduler_options& bounds, surroundings around)
    : around_(std::move(around)),
      names_(here, names_number, session_term, outside<names>([](std::uint64_t floor) {
               return registry::names::event{registry::names::configure{{}, floor, floor != 0}};
             })),
      tasks_(here, tasks_number, session_term, outside<tasks>([bounds](std::uint64_t) {
               return scheduler::event{scheduler::configure{bounds}};
             })) {}

  node_services(const node_services&) = delete;
  node_services& operator=(const node_services&) = delete;

  /// All of them, with the rules that they know.
  static std::map<host::service_id, std::uint32_t> all() {
    return {{names_number, host::service_rules::known<names>().number()},
            {tasks_number, host::service_rules::known<tasks>().number()}};
  }

  /// Called in the thread of the group.
  void tell(host::group_event what) {
    auto which = troupe::visit([](auto& each) { return each.service; }, what);
    if (which == names_number)
      names_.tell(std::move(what));
    else
      tasks_.tell(std::move(what));
  }

  void ask(const node_asker& by, const names_question::any& what) {
    ask(names_, by, what);
  }

  void ask(const node_asker& by, const scheduler_question::any& what) {
    ask(tasks_, by, what);
  }

  void wake() {
    names_.wake();
    tasks_.wake();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = names_.next_deadline();
    if (auto due = tasks_.next_deadline())
      next = std::min(next.value_or(*due), *due);
    return next;
  }

  [[nodiscard]] const host::replicated_core<names>& name_service() const {
    return names_.inside();
  }

  [[nodiscard]] const host::replicated_core<tasks>& task_service() const {
    return tasks_.inside();
  }

private:
  static constexpr host::service_id names_number = 1;
  static constexpr host::service_id tasks_number = 3;
  static constexpr duration session_term = std::chrono::minutes{1};

  template <machine M>
  typename service_thread<M, Home>::outside
  outside(std::function<typename M::event(std::uint64_t)> opening) {
    typename service_thread<M, Home>::outside made;
    made.to_group
      = [this](request_id id, const host::group_core::event& what) { around_.to_group(id, what); };
    made.reply = [this](request_id id, typename service_question<M>::answer what) {
      reply<M>(id, std::move(what));
    };
    made.broken = [this](const problem& why) { around_.broken(why); };
    made.opening = std::move(opening);
    return made;
  }

  template <machine M>
  void ask(service_thread<M, Home>& whom, const node_asker& by,
           const typename service_question<M>::any& what) {
    auto id = ++last_caller_;
    if (!std::holds_alternative<host::keep_session>(what)) // that has no answer
      callers_.emplace(id, by);
    auto& [process, life] = by.who;
    whom.ask(id, what, std::to_string(process) + ":" + std::to_string(life));
  }

  template <machine M>
  void reply(request_id id, typename service_question<M>::answer what) {
    auto to = callers_.extract(id);
    if (!to)
      return;
    auto record = [this] {
      if constexpr (std::is_same_v<M, names>)
        return names_.inside().begins_after();
      else
        return tasks_.inside().begins_after();
    };
    around_.reply(to.mapped(), {to.mapped().number, std::move(what), record()});
  }

  surroundings around_;
  service_thread<names, Home> names_;
  service_thread<tasks, Home> tasks_;
  std::map<request_id, node_asker> callers_;
  request_id last_caller_ = 0;
};

} // namespace troupe::sim
