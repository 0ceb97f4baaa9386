#ifndef TROUPE_NODE_IMPL_LEAVE_IPP
#define TROUPE_NODE_IMPL_LEAVE_IPP

#include <algorithm>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "caf/abstract_actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_registry.hpp"
#include "caf/send.hpp"
#include "troupe/cluster/departure.hpp"
#include "troupe/core/caf/answer_path.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/wait.hpp"
#include "troupe/core/departure_report.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/wait_for.hpp"
#include "troupe/node/group_part.hpp"
#include "troupe/node/impl/inside.ipp"
#include "troupe/node/member_part.hpp"
#include "troupe/node/membership_part.hpp"
#include "troupe/node/node_shell.hpp"
#include "troupe/node/voters_part.hpp"
#include "troupe/router/router_access.hpp"
#include "troupe/state/state_client.hpp"

/// How a node leaves its cluster, and ends.
namespace troupe {

inline void node::inside::stop() {
  std::ignore = depart(cluster::departure::stop{}); // has no error
}

inline result<departure_report> node::inside::leave(const leave_options& how,
                                                    const std::function<void()>& turn_away) {
  {
    std::unique_lock guard{departing_}; // others may have asked: it goes on when that is done
    asks_end_.wait(guard, [this] { return asks_ == 0; });
  }
  auto ended = depart(wish_to_leave(how, services_.has_value(), kept()), turn_away);
  if (ended.why)
    return std::move(ended.why);
  return named(std::move(ended.report));
}

inline void node::inside::ask_to_leave(cluster::departure::leave what, departure_handler done) {
  auto id = ++last_departure_;
  {
    std::lock_guard guard{departing_};
    askers_.emplace(id, std::move(done));
    ++asks_;
  }
  auto next = step_departure(id, cluster::departure::ask{std::move(what)});
  if (!next)
    return end_ask();
  asking_ = std::jthread{[this, id, next = *std::move(next)]() mutable {
    go_on_departing(id, std::move(next));
    end_ask();
  }};
}

inline void node::inside::end_ask() {
  std::lock_guard guard{departing_};
  --asks_;
  asks_end_.notify_all();
}

inline cluster::departure::leave node::inside::wish_to_leave(const leave_options& how,
                                                             bool hosts_alone,
                                                             const kept_messages& kept) const {
  return {.name = options_.name,
          .force = how.force,
          .hosts_alone = hosts_alone,
          .deliver_within = std::clamp(how.deliver_within, duration::zero(), longest_span),
          .kept = kept};
}

inline departure_report node::inside::named(departure_report what) const {
  what.node = to_string(data_.self().id);
  what.has_authority = ca_.is_here();
  return what;
}

inline kept_messages node::inside::kept() {
  return on_router<kept_messages>([](router::router_state& state) { return state.kept(); }, {}, {});
}

inline cluster::departure::over node::inside::depart(cluster::departure::event what,
                                                     const std::function<void()>& turn_away) {
  auto id = ++last_departure_;
  auto next = step_departure(id, std::move(what));
  return next ? go_on_departing(id, *std::move(next), turn_away) : cluster::departure::over{id};
}

inline std::optional<cluster::departure::effect>
node::inside::step_departure(request_id id, cluster::departure::event what) {
  cluster::departure::effects out;
  std::vector<std::pair<departure_handler, result<departure_report>>> answers;
  std::optional<cluster::departure::effect> next;
  {
    std::lock_guard guard{departing_};
    departure_.step({}, id, std::move(what), out);
    for (auto& each : out)
      if (auto* answer = std::get_if<cluster::departure::answer>(&each)) {
        auto asker = std::move(askers_.extract(answer->id).mapped());
        if (answer->why)
          answers.emplace_back(std::move(asker), std::move(answer->why));
        else
          answers.emplace_back(std::move(asker), named(std::move(answer->report)));
      } else if (auto* rest = std::get_if<cluster::departure::rest>(&each)) {
        on_shell([this, on = rest->on] {
          is_leaving_ = on;
          rest_as_said([](const problem&) {});
        });
      } else {
        next = std::move(each);
      }
  }
  for (auto& [asker, answer] : answers) {
    if (answer)
      unheard_reports_->add();
    asker(answer);
  }
  return next;
}

inline cluster::departure::over
node::inside::go_on_departing(request_id id, cluster::departure::effect first,
                              const std::function<void()>& turn_away) {
  std::optional<cluster::departure::effect> next{std::move(first)};
  while (auto* stage = next ? std::get_if<cluster::departure::run>(&*next) : nullptr) {
    if (stage->which != cluster::departure::stage::deliver) // after which it may go on
      end_founding();
    cluster::departure::done ended{stage->which, carry_out(*stage, turn_away)};
    ended.has_services = services_are_here();
    if (stage->which == cluster::departure::stage::take_back)
      ended.kept = kept();
    {
      std::lock_guard guard{mutex_}; // another thread may end the group
      ended.has_log = group_ != nullptr;
      ended.is_seated = group_ && group_->is_seated();
      ended.has_vote = ended.is_seated && group_->own_seat().votes();
      ended.knows_leader = voters_ != nullptr;
    }
    next = step_departure(id, std::move(ended));
  }
  return next ? std::get<cluster::departure::over>(*std::move(next)) : cluster::departure::over{id};
}

inline problem node::inside::carry_out(const cluster::departure::run& what,
                                       const std::function<void()>& turn_away_others) {
  using enum cluster::departure::stage;
  switch (what.which) {
    case deliver:
      return deliver_accepted(on_router<accepted_part>(
                                [](router::router_state& state) {
                                  return accepted_part{.up_to = state.accepted().last()};
                                },
                                {.up_to = 0}, {}),
                              what.within);
    case deliver_rest:
      router_->accept_no_more();
      return deliver_accepted({}, what.within);
    case deliver_memory:
      if (!router_)
        break; // it could not start
      router_->accept_no_more();
      return deliver_accepted({.in_memory = true}, what.within);
    case give_up_vote:
      return resign(what.force, what.within);
    case end_workers:
      clients_->scheduler.end_tied();
      break;
    case take_back: {
      auto why = wait_until_done(
        [this](done_handler done) {
          on_member([done = std::move(done), in_vain = is_led_by_nobody()](
                      cluster::member_part& state) { state.leave(done, in_vain); });
        },
        what.within);
      if (why.code == errc::no_quorum) // that says of a leave that the node stays
        why.code = errc::unreachable;
      return why;
    }
    case turn_away: {
      if (turn_away_others)
        turn_away_others();
      stopped_ = true;
      std::lock_guard guard{mutex_}; // nobody begins to wait in between
      changed_.notify_all();
      break;
    }
    case hand_over:
      hand_over_lead(what.within);
      break;
    case say_farewell:
      end_membership();
      break;
    case fall_silent:
      end_shell();
      break;
    case end_sessions:
      clients_->close();
      break;
    case end_links:
      if (!what.leaves)
        kept_listeners_.clear();
      if (gate_)
        gate_->stop();
      break;
    case end_agents:
      end_all_agents(what.within);
      break;
    case end_services:
      end_own_services();
      break;
    case end_router:
      say_what_is_left();
      end_own_router();
      break;
    case tell_program:
      on_shell([tell = options_.on_leave_asked, how = leave_options{what.force, what.within}] {
        tell(how);
      });
      break;
    case report:
      wait_until([this] { return unheard_reports_->empty(); }, what.within);
      break;
    case reach_leader: { // what other nodes have as well, as records, says nothing
      auto any = state::state_client{*system_, clients_->state, what.within}.get("troupe");
      return any || any.error().code == errc::denied ? problem{} : any.error();
    }
  }
  return {};
}

inline problem node::inside::deliver_accepted(const accepted_part& which, duration within) {
  auto have_ended = [&] {
    return on_router<bool>(
      [which](router::router_state& state) { return state.accepted().have_ended(which); }, true,
      false);
  };
  auto is_forced = [&] { // by somebody who has asked since
    std::lock_guard guard{departing_};
    return which.up_to && departure_.is_forced();
  };
  if (wait_until([&] { return have_ended() || is_forced(); }, within) && have_ended())
    return {};
  auto [count, first] = on_router<std::pair<std::size_t, agent_id>>(
    [which](router::router_state& state) { return state.accepted().left_of(which); }, {}, {});
  return {errc::in_use, "node " + options_.name + " has accepted " + std::to_string(count)
                          + (count == 1 ? " message that is" : " messages that are")
                          + " not delivered yet, the first for agent '" + first.text()
                          + "'; try again once they are, let go of those that no agent takes "
                            "(router::expire_messages), or force it to leave "
                            "(leave_options::force): then those in its memory are lost, and those "
                            "that are synced go on if it is started on its data folder again"};
}

inline void node::inside::hand_over_lead(duration within) const {
  wait_for<bool>(
    [this](std::function<void(bool)> done) {
      on_voters([done = std::move(done)](cluster::voters_part& state) {
        state.hand_over([done] { done(true); });
      });
    },
    within, [](unheard) { return false; });
}

inline void node::inside::end_membership() {
  wait_for<bool>(
    [this](std::function<void(bool)> done) {
      on_membership([done = std::move(done)](cluster::membership_part& state) {
        state.stop();
        done(true);
      });
    },
    longest_span, [](unheard) { return false; });
  if (swim_)
    swim_->stop();
  swim_.reset();
}

inline void node::inside::end_shell() {
  if (!shell_)
    return;
  wait_for_ends(*system_, {caf::actor_cast<caf::strong_actor_ptr>(shell_)}, [this] {
    run_on_state<cluster::node_shell>(shell_, [](cluster::node_shell& shell) { shell.stop(); });
  });
}

inline problem node::inside::resign(bool force, duration within) {
  cluster::change_voters what{cluster::voter_change::leave, to_string(data_.self().id), force};
  return voters().change(what, within).error_or({});
}

inline void node::inside::end_own_services() {
  if (services_)
    services_->stop();
  std::unique_lock guard{mutex_};
  voters_ = nullptr;
  auto ended = std::exchange(group_, nullptr);
  guard.unlock(); // its actors may wait for the lock
}

inline void node::inside::end_own_router() {
  router_has_ended_ = true; // other threads may be sending: it goes with this object
  if (!router_)
    return;
  end_answer_path();
  caf::anon_send_exit(router_->handle(), caf::exit_reason::user_shutdown);
}

inline void node::inside::end_all_agents(duration within) {
  auto made = agents_->take();
  for (auto& [id, each] : made)
    caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
  if (!own_system_ || !router_)
    return;
  router_->run([](router::router_state& state) { state.end_agents(); });
  std::vector<agent_id> left;
  auto have_ended = [&] {
    left = on_router<std::vector<agent_id>>(
      [](router::router_state& state) { return state.agents_left(); }, {}, {"of a busy router"});
    return left.empty();
  };
  auto in_time = wait_until(have_ended, within);
  for (auto& [id, each] : made)
    router::kill_next(caf::actor_cast<caf::strong_actor_ptr>(each));
  if (in_time)
    return;
  router_->run([](router::router_state& state) { state.kill_agents(); });
  log_.warn("the node stops: " + listed(left) + " did not end within " + in_words(within)
            + " (node_options::agents_end_within); what waited for them is dropped");
}

inline void node::inside::say_what_is_left() {
  if (!router_)
    return;
  auto left = on_router<router::router_statistics>(
    [](router::router_state& state) { return state.statistics(); }, {}, {});
  auto say = [this](std::uint32_t count, const std::string& what, const std::string& kept) {
    if (count > 0)
      log_.warn("the node stops with " + std::to_string(count) + ' ' + what
                + (count == 1 ? ": " : "s: ")
                + (data_.is_durable() ? kept + ", others are lost"
                                      : std::string{"without a data folder "}
                                          + (count == 1 ? "it is lost" : "they are lost")));
  };
  say(left.confirms, "unhandled message",
      "those that were accepted as synced go on at its next start");
  say(left.dead_letters, "dead letter", "those of messages that were accepted as synced are kept");
}

inline void node::inside::end_answer_path() {
  auto& registry = system_->registry();
  if (registry.get<caf::actor>(answer_path::name) == router_->handle())
    registry.erase(answer_path::name);
}

inline void node::inside::end_system() {
  if (!own_system_)
    return;
  end_actors();
  cluster::own_system<node_config>::end(std::move(own_system_));
}

inline void node::inside::end_actors() {
  auto& registry = system_->registry();
  auto is_empty = [&] { return registry.running() == 0; };
  if (wait_until(is_empty, longest_end))
    return;
  auto left = registry.running();
  for (caf::actor_id id = 1; id <= system_->latest_actor_id(); ++id) // all that peers know of
    if (auto found = registry.get(id); found && is_counted(found))
      router::kill_next(found);
  if (!wait_until(is_empty, longest_end))
    system_->await_actors_before_shutdown(false);
  log_.warn("the node stops: " + std::to_string(left)
            + " actors that nobody ended were ended with it");
}

inline bool node::inside::is_counted(const caf::strong_actor_ptr& which) {
  return caf::actor_cast<caf::abstract_actor*>(which)->getf(
    caf::abstract_actor::is_registered_flag);
}

inline std::string node::inside::listed(const std::vector<agent_id>& agents) {
  constexpr std::size_t max_shown = 5;
  auto result = std::to_string(agents.size()) + (agents.size() == 1 ? " agent (" : " agents (");
  for (std::size_t each = 0; each < std::min(agents.size(), max_shown); ++each)
    result += (each > 0 ? ", '" : "'") + agents[each].text().substr(0, 64) + "'";
  return result + (agents.size() > max_shown ? ", …)" : ")");
}

} // namespace troupe

#endif
