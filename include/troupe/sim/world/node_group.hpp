#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/seats.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/sim/world/group_seat.hpp"
#include "troupe/sim/world/node_messages.hpp"
#include "troupe/sim/world/node_services.hpp"

namespace troupe::sim {

/// What a simulated node with a data folder has of the group: its seat, and the services on it.
template <class Home>
class node_group {
public:
  using seats = cluster::seats;

  /// What leading and following are for the rest of the node.
  struct surroundings {
    std::function<void(std::uint64_t turn, bool is_alone)> lead;
    /// Another node leads, at that address; empty: that is not known.
    std::function<void(std::uint64_t turn, const std::string& where)> follow;
    std::function<void(const std::vector<std::string>&)> others;
    std::function<void(bool is_seated, bool votes)> seated;
    std::function<void(const problem&)> without_quorum;
    std::function<void(const node_asker& to, node_reply what)> reply;
    std::function<void(const std::string&)> broken;
  };

  /// As group_seat. `here` outlives this.
  node_group(Home& here, const node_id& node, std::string address,
             const scheduler::scheduler_options& bounds, surroundings around)
    : around_(std::move(around)),
      seat_(here, node, std::move(address), node_services<Home>::all(), around_seat()),
      services_(here, bounds, around_services()) {
    seat_.begin();
  }

  node_group(const node_group&) = delete;
  node_group& operator=(const node_group&) = delete;

  [[nodiscard]] group_seat<Home>& seat() {
    return seat_;
  }

  [[nodiscard]] const group_seat<Home>& seat() const {
    return seat_;
  }

  [[nodiscard]] const node_services<Home>& services() const {
    return services_;
  }

  /// Whether it has a seat in the group, as far as it has heard.
  [[nodiscard]] bool is_seated() const {
    return is_seated_;
  }

  void ask(const node_asker& by, const node_ask& what) {
    auto take = overloaded{
      [&](const cluster::change_voters& each) {
        seat_.change(each, [this, by](const problem& why) {
          around_.reply(by, {by.number, voters_changed{why}, 0});
        });
      },
      [&](const auto& each) { services_.ask(by, each); },
    };
    troupe::visit(take, what.what);
  }

  void wake() {
    seat_.wake();
    services_.wake();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = seat_.next_deadline();
    if (auto due = services_.next_deadline())
      next = std::min(next.value_or(*due), *due);
    return next;
  }

private:
  typename group_seat<Home>::surroundings around_seat() {
    return {
      .to_service = [this](host::group_event what) { services_.tell(std::move(what)); },
      .to_node =
        [this](const seats::effect& what) {
          troupe::visit([this](auto& each) { this->perform(each); }, what);
        },
      .broken = [this](const std::string& what) { around_.broken(what); },
    };
  }

  typename node_services<Home>::surroundings around_services() {
    return {
      .to_group
      = [this](request_id id, const host::group_core::event& what) { seat_.step_group(id, what); },
      .reply
      = [this](const node_asker& to, node_reply what) { around_.reply(to, std::move(what)); },
      .broken = [this](const problem& why) { around_.broken("stops: " + why.detail); },
    };
  }

  template <class Other>
  void perform(const Other&) {}

  void perform(const seats::lead& what) {
    around_.lead(what.turn, seat_.consensus().members().members.size() <= 1);
  }

  void perform(const seats::follow& what) {
    around_.follow(what.turn, what.address);
  }

  void perform(const seats::others& what) {
    around_.others(what.addresses);
  }

  void perform(const seats::seated& what) {
    is_seated_ = what.is_seated;
    around_.seated(what.is_seated, what.votes);
  }

  void perform(const seats::without_quorum& what) {
    around_.without_quorum(what.why);
  }

  surroundings around_;
  group_seat<Home> seat_;
  node_services<Home> services_;
  bool is_seated_ = false;
};

} // namespace troupe::sim
