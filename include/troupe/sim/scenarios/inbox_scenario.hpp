#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/agent_inbox.hpp"
#include "troupe/router/router_core.hpp"
#include "troupe/sim/laws/inbox_laws.hpp"
#include "troupe/sim/scenarios/scenario.hpp"
#include "troupe/sim/world/inbox_node.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// Nodes whose programs flood the agents of others, ask them, and send now and then; agents that
/// are fast, slow, stand still for a while, end and come back; links that are slow, full, cut and
/// replaced. Each message has one end, in the order of its sender, and whoever waits for it hears
/// once, in time, what is true. What waits stays within the bounds. Nobody is refused messages for
/// long once there is room. After the faults all agents get messages from all nodes again.
class inbox_scenario {
public:
  explicit inbox_scenario(const scenario_options& how)
    : span_(how.span), world_(how.seed, how.nodes, how.what, std::make_shared<inbox_setting>()) {
    auto& all = *world_.setting();
    all.options.max_waiting_bytes = 24'000 + random().below(24'000);
    all.options.max_all_waiting_bytes = 60'000 + random().below(60'000);
    all.options.window_bytes = 2'000 + random().below(6'000);
    all.options.max_pending = 200;
    for (process_id which = 0; which < world_.size(); ++which) {
      node_id made;
      made.bytes.front() = static_cast<std::byte>(which + 1);
      all.nodes.push_back(made);
      for (std::size_t each = 0; each < agents_each; ++each)
        all.homes.emplace(std::to_string(which) + "." + std::to_string(each), made);
    }
    all.has_room_since = [this](const agent_id& agent) {
      return world_.at(home_of(agent))->own_agents().has_room_since(agent);
    };
  }

  scenario_report run() {
    world_.start_all();
    for (auto& [agent, node] : world_.setting()->homes)
      begin(agent);
    world_.observe([this](process_id which) {
      if (++looks_ % 16 == 0)
        world_.at(which)->check_bounds();
    });
    for (process_id which = 0; which < world_.size(); ++which) {
      flood(which);
      ask(which);
      send(which);
    }
    plan_faults();
    world_.run_until(span_);
    settle();
    auto& all = *world_.setting();
    return {all.found.violations, world_.trace(), world_.events(),
            all.laws.count(message_end::handled)};
  }

  [[nodiscard]] const inbox_setting& record() {
    return *world_.setting();
  }

private:
  static constexpr std::size_t agents_each = 3;
  /// After the faults: until all that waits is handled, and until a message arrives.
  static constexpr duration rest = std::chrono::seconds{12};
  static constexpr duration patience = std::chrono::seconds{4};

  random_source& random() {
    return world_.random();
  }

  inbox_node& at(process_id which) {
    return *world_.at(which);
  }

  [[nodiscard]] process_id home_of(const agent_id& agent) {
    auto& all = *world_.setting();
    return all.process_of(all.homes.at(agent));
  }

  const agent_id& any_agent() {
    auto& homes = world_.setting()->homes;
    return std::next(homes.begin(), static_cast<std::ptrdiff_t>(random().below(homes.size())))
      ->first;
  }

  [[nodiscard]] bool is_over() const {
    return world_.now() >= span_;
  }

  std::size_t any_size() {
    return random().one_in(20) ? 500 : 1 + random().below(60);
  }

  // -- programs ----------------------------------------------------------------------------

  void flood(process_id which) {
    if (is_over())
      return;
    auto& agent = any_agent();
    auto size = any_size();
    for (auto count = 20 + random().below(300); count > 0; --count)
      static_cast<void>(at(which).send(0, agent, size));
    world_.arm(which);
    world_.after(std::chrono::milliseconds{20}, std::chrono::milliseconds{400},
                 [this, which] { flood(which); });
  }

  void ask(process_id which) {
    if (is_over())
      return;
    auto wants = random().one_in(2) ? router::awaited::answer : router::awaited::receipt;
    auto ttl = random().one_in(4)
                 ? std::optional<duration>{std::chrono::milliseconds{random().below(100)}}
                 : std::nullopt;
    auto timeout = std::chrono::milliseconds{20 + random().below(2'000)};
    at(which).ask(1, any_agent(), any_size(), wants, timeout, ttl);
    world_.arm(which);
    world_.after(std::chrono::milliseconds{1}, std::chrono::milliseconds{20},
                 [this, which] { ask(which); });
  }

  void send(process_id which) {
    if (is_over())
      return;
    static_cast<void>(at(which).send(2, any_agent(), any_size()));
    world_.arm(which);
    world_.after(std::chrono::milliseconds{1}, std::chrono::milliseconds{20},
                 [this, which] { send(which); });
  }

  // -- faults ------------------------------------------------------------------------------

  void begin(const agent_id& agent) {
    router::inbox_options how{.max_messages = 10 + random().below(200),
                              .max_bytes = 4'000 + random().below(20'000)};
    if (random().one_in(4))
      how.full = router::when_full::drop_oldest;
    at(home_of(agent)).own_agents().add(agent, how, any_pace());
  }

  duration any_pace() {
    switch (random().below(4)) {
      case 0:
        return std::chrono::microseconds{20};
      case 1:
        return std::chrono::microseconds{200};
      default:
        return std::chrono::microseconds{1'000 + random().below(3'000)};
    }
  }

  void plan_faults() {
    using std::chrono::milliseconds;
    world_.every(milliseconds{400}, [this] { cut_one(); });
    world_.every(milliseconds{300}, [this] { slow_one_down(); });
    world_.every(milliseconds{300}, [this] { fill_one(); });
    world_.every(milliseconds{300}, [this] { end_one(); });
    world_.every(milliseconds{100}, [this] { stop_one(); });
    world_.every(milliseconds{800}, [this] {
      auto more = std::chrono::milliseconds{random().below(100)};
      world_.setting()->no_links_until = time_point{world_.now() + more};
    });
  }

  struct ends {
    process_id one = 0;
    process_id other = 0;
    router::lines::link_number link = 0;
  };

  ends any_link() {
    ends made{world_.any(), world_.any()};
    if (made.one != made.other)
      made.link = world_.setting()->links.between(made.one, made.other);
    return made;
  }

  /// Each end hears of it in its own time; at times another link is there before that.
  void cut_one() {
    auto it = any_link();
    if (it.link == 0)
      return;
    world_.setting()->links.cut(it.link);
    hear_of_end(it.one, it.other, it.link);
    hear_of_end(it.other, it.one, it.link);
    if (random().one_in(2))
      world_.after(std::chrono::milliseconds{0}, std::chrono::milliseconds{300}, [this, it] {
        at(it.one).meet(it.other);
        world_.arm(it.one);
      });
  }

  void hear_of_end(process_id which, process_id other, router::lines::link_number link) {
    world_.after(std::chrono::milliseconds{0}, std::chrono::milliseconds{300},
                 [this, which, other, link] {
                   at(which).link_down(world_.setting()->nodes.at(other), link);
                   world_.arm(which);
                 });
  }

  void slow_one_down() {
    if (auto it = any_link(); it.link != 0)
      world_.setting()->links.slow_down(it.link, std::chrono::milliseconds{random().below(2) * 20});
  }

  void fill_one() {
    auto it = any_link();
    if (it.link == 0)
      return;
    auto& peer = world_.setting()->nodes.at(it.other);
    at(it.one).link_full(peer, it.link, true);
    world_.after(std::chrono::milliseconds{1}, std::chrono::milliseconds{200},
                 [this, it, peer] { at(it.one).link_full(peer, it.link, false); });
  }

  void end_one() {
    auto agent = any_agent();
    auto home = home_of(agent);
    if (!at(home).own_agents().has(agent))
      return;
    at(home).own_agents().remove(agent);
    world_.after(std::chrono::milliseconds{1}, std::chrono::milliseconds{200},
                 [this, agent] { begin(agent); });
  }

  /// It goes on a while later, slow or fast.
  void stop_one() {
    auto agent = any_agent();
    at(home_of(agent)).own_agents().set_pace(agent, std::chrono::milliseconds{300});
    world_.after(std::chrono::milliseconds{50}, std::chrono::milliseconds{400},
                 [this, agent] { at(home_of(agent)).own_agents().set_pace(agent, any_pace()); });
  }

  // -- after them --------------------------------------------------------------------------

  void settle() {
    world_.end_faults();
    world_.run_until(span_ + std::chrono::seconds{1}); // all that was begun ends
    auto& all = *world_.setting();
    all.no_links_until = {};
    for (auto& [agent, node] : all.homes)
      at(home_of(agent)).own_agents().set_pace(agent, std::chrono::milliseconds{1});
    for (process_id one = 0; one < world_.size(); ++one)
      for (process_id other = 0; other < one; ++other)
        if (auto link = all.links.between(one, other); link != 0)
          all.links.slow_down(link, {});
    for (process_id which = 0; which < world_.size(); ++which)
      for (auto& [agent, node] : all.homes)
        try_until_taken(which, agent);
    world_.run_until(span_ + rest);
    for (auto& each : tried_)
      if (!each.second)
        all.found.broken("agent " + each.first.second.text() + " gets nothing from node "
                         + std::to_string(each.first.first) + " after the faults");
    all.laws.check_all(time_point{world_.now()});
    for (process_id which = 0; which < world_.size(); ++which)
      at(which).check_rest();
  }

  void try_until_taken(process_id which, const agent_id& agent) {
    auto& done = tried_[{which, agent}];
    done = !at(which).send(3, agent, 10);
    world_.arm(which);
    if (!done && world_.now() < span_ + patience)
      world_.after(std::chrono::milliseconds{20},
                   [this, which, agent] { try_until_taken(which, agent); });
  }

  duration span_;
  world<inbox_node> world_;
  std::uint64_t looks_ = 0;
  std::map<std::pair<process_id, agent_id>, bool> tried_;
};

} // namespace troupe::sim
