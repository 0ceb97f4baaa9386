#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <variant>

#include "troupe/core/visit.hpp"
#include "troupe/group/group_core.hpp"
#include "troupe/sim/world/raft_process.hpp"

namespace troupe::sim {

/// The group_core of a simulated node, on the raft_disk of its process. What is not for the disk
/// goes to `hear` of its Owner, in order. An Owner with `sees` is shown the effects of each step
/// before any of them is carried out.
template <class Home, class Owner>
class group_on_disk {
public:
  using core = host::group_core;

  group_on_disk(Home& here, Owner& owner, const host::group_options& how,
                const std::map<host::service_id, std::uint32_t>& services,
                const std::map<host::service_id, host::service_title>& own)
    : here_(here),
      owner_(owner),
      inside_(seat_on(here), how, services, here.disk().stored(), here.now(), own) {}

  group_on_disk(const group_on_disk&) = delete;
  group_on_disk& operator=(const group_on_disk&) = delete;

  /// Restores the services and the members from the disk. Call it once the Owner is complete.
  /// Returns why the snapshot there cannot be used.
  [[nodiscard]] problem begin() {
    auto& newest = here_.disk().newest();
    if (!newest)
      return {};
    core::effects out;
    auto why = inside_.begin(*newest->bytes, out);
    carry_out(out);
    return why;
  }

  void step(const core::event& what, request_id id = 0) {
    if (is_stopped_)
      return;
    core::effects out;
    inside_.step(here_.now(), id, what, out);
    carry_out(out);
  }

  void wake() {
    auto due = next_deadline();
    if (!due || *due > here_.now())
      return;
    core::effects out;
    inside_.tick(here_.now(), out);
    carry_out(out);
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return is_stopped_ ? std::nullopt : inside_.next_deadline();
  }

  /// Later events are ignored.
  void stop() {
    is_stopped_ = true;
  }

  [[nodiscard]] bool is_stopped() const {
    return is_stopped_;
  }

  [[nodiscard]] const core& inside() const {
    return inside_;
  }

  /// The status of its replica, by its own clock.
  [[nodiscard]] raft::replica::status look() const {
    return inside_.consensus().look(here_.now());
  }

private:
  static raft::member_id seat_on(Home& here) {
    auto kept = here.disk().seat();
    return kept == raft::member_id{} ? raft_process::seat_of(here.self()) : kept;
  }

  void carry_out(core::effects& out) {
    if constexpr (requires { owner_.sees(out); })
      owner_.sees(out);
    for (auto& what : out)
      troupe::visit([&](auto& each) { handle(each); }, what);
  }

  template <class Other>
  void handle(Other& what) {
    owner_.hear(what);
  }

  void handle(core::write& what) {
    if (!here_.has_room())
      return here_.sync([this] { step(raft::replica::event{raft_disk::full()}); });
    here_.disk().write(what);
    here_.sync([this, number = what.number] {
      here_.disk().sync();
      step(raft::replica::event{raft::replica::written{number}});
    });
  }

  void handle(core::note_commit& what) {
    here_.disk().note_commit(what.index);
  }

  void handle(core::save& what) {
    here_.sync([this, made = core::to_snapshot(what)] {
      auto& newest = here_.disk().newest();
      auto has_room = here_.has_room();
      if (has_room && (!newest || newest->header.index < made.header.index))
        here_.disk().save(made, raft_process::timers(0).keep_entries);
      step(core::saved{made.header.index, has_room});
    });
  }

  void handle(core::load_snapshot&) {
    here_.sync([this] {
      if (auto& newest = here_.disk().newest())
        step(raft::replica::event{raft::replica::loaded{*newest}});
    });
  }

  Home& here_;
  Owner& owner_;
  core inside_;
  bool is_stopped_ = false;
};

} // namespace troupe::sim
