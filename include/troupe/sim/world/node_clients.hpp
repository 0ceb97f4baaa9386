#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/overloaded.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/host/client_options.hpp"
#include "troupe/registry/name_table.hpp"
#include "troupe/scheduler/task_scheduler.hpp"
#include "troupe/sim/world/node_messages.hpp"
#include "troupe/sim/world/service_client.hpp"

namespace troupe::sim {

/// The clients by which a simulated node asks the services, and the node that leads.
template <class Home>
class node_clients {
public:
  using done = std::function<void(const problem&)>;

  struct surroundings {
    /// Sends to where the services are, if that is known.
    std::function<void(node_ask)> send;
    std::function<void()> on_doubt;
    std::function<void(const std::string&)> broken;
  };

  /// `here` outlives this.
  node_clients(Home& here, surroundings around)
    : here_(here),
      around_(std::move(around)),
      names_(here, {}, unheard_after, to_service<registry::name_table>()),
      tasks_(here, {}, unheard_after, to_service<scheduler::task_scheduler>()) {}

  node_clients(const node_clients&) = delete;
  node_clients& operator=(const node_clients&) = delete;

  [[nodiscard]] service_client<registry::name_table, Home>& names() {
    return names_;
  }

  [[nodiscard]] service_client<scheduler::task_scheduler, Home>& tasks() {
    return tasks_;
  }

  /// Asks the leader, and the next one where leadership moves meanwhile: harmless twice.
  void change(const cluster::change_voters& what, duration within, done then) {
    auto number = ++last_change_;
    changes_.emplace(number,
                     asked_change{what, std::move(then), here_.now() + within, here_.now()});
  }

  /// The services are there from now on.
  void reached() {
    names_.reached();
    tasks_.reached();
    for (auto& [number, each] : changes_)
      each.again_at = here_.now();
  }

  void lost() {
    names_.lost();
    tasks_.lost();
  }

  void refuse(const problem& why) {
    names_.refuse(why);
    tasks_.refuse(why);
  }

  void hear(const node_reply& what) {
    auto take = overloaded{
      [&](const names_question::answer& each) { names_.hear(what.number, each, what.record); },
      [&](const scheduler_question::answer& each) { tasks_.hear(what.number, each, what.record); },
      [&](const voters_changed& each) { changed(what.number, each.why); },
    };
    troupe::visit(take, what.what);
  }

  void wake() {
    names_.wake();
    tasks_.wake();
    ask_for_changes();
    for (auto& each : names_.take_violations())
      around_.broken(each + " from the service of names");
    for (auto& each : tasks_.take_violations())
      around_.broken(each + " from the scheduler");
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> next;
    auto no_later = [&next](std::optional<time_point> when) {
      if (when)
        next = std::min(next.value_or(*when), *when);
    };
    no_later(names_.next_deadline());
    no_later(tasks_.next_deadline());
    for (auto& [number, each] : changes_)
      no_later(std::min(each.until, each.again_at));
    return next;
  }

private:
  struct asked_change {
    cluster::change_voters what;
    done then;
    time_point until{};
    time_point again_at{};
  };

  /// Its link has ended by then, or a request has overtaken its answer.
  static constexpr duration unheard_after = std::chrono::seconds{1};
  static constexpr duration again_after = std::chrono::milliseconds{50};
  /// A change takes a while.
  static constexpr duration change_unheard_after = std::chrono::seconds{5};

  template <machine M>
  typename service_client<M, Home>::surroundings to_service() {
    return {
      .send =
        [this](request_id number, typename service_question<M>::any what) {
          around_.send({number, std::move(what)});
        },
      .on_doubt = [this] { around_.on_doubt(); },
    };
  }

  void changed(request_id number, const problem& why) {
    auto found = changes_.find(number);
    if (found == changes_.end())
      return;
    if (why.code == errc::not_leader || why.code == errc::unreachable)
      found->second.again_at = here_.now() + again_after;
    else
      changes_.extract(found).mapped().then(why);
  }

  void ask_for_changes() {
    auto now = here_.now();
    std::vector<request_id> over;
    for (auto& [number, each] : changes_)
      if (each.until <= now) {
        over.push_back(number);
      } else if (each.again_at <= now) {
        each.again_at = now + change_unheard_after;
        around_.send({number, each.what});
      }
    for (auto number : over)
      changes_.extract(number).mapped().then({errc::timed_out, "no answer in time"});
  }

  Home& here_;
  surroundings around_;
  service_client<registry::name_table, Home> names_;
  service_client<scheduler::task_scheduler, Home> tasks_;
  std::map<request_id, asked_change> changes_;
  request_id last_change_ = 0;
};

} // namespace troupe::sim
