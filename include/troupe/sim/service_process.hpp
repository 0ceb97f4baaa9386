#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/codec.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/host/group_core.hpp"
#include "troupe/host/replicated_core.hpp"
#include "troupe/sim/raft_process.hpp"
#include "troupe/sim/world.hpp"

namespace troupe::sim {

/// What goes over the simulated network of a replicated service.
template <class M>
struct service_message {
  /// A question: `at` is called with the state once the group has confirmed that it is the
  /// latest, and keeps what it finds where the asker has it. A repeat may be called, too.
  struct look {
    std::function<void(const host::replicated_core<M>&)> at;
  };

  struct ask {
    request_id number = 0;
    std::variant<host::open_session, host::keep_session, host::command<M>, look> what;
  };

  /// What was asked by look has been found.
  struct seen {};

  struct reply {
    request_id number = 0;
    std::variant<host::session_id, effect_of<M>, problem, seen> what;
  };

  std::variant<raft::message, ask, reply> body;
};

/// What goes wrong, in words; shared by all of one run.
struct findings {
  std::vector<std::string> violations;

  void broken(std::string what) {
    if (violations.size() < 10)
      violations.push_back(std::move(what));
  }
};

/// How a simulation knows a service: its machine, what its clients write down (`record`), the
/// first event of each leader if there is one (`opening(token_floor)`), and its clients:
/// client<Home> is made from its environment; see session_client.
template <class S>
concept simulated_service = requires {
  typename S::machine;
  typename S::record;
};

/// A node of a group that runs one service, or a client of it. The first `servers` processes
/// of a world are nodes.
template <simulated_service Service>
class service_process {
public:
  using machine = typename Service::machine;
  using message = service_message<machine>;
  using disk = raft_disk;
  using home = environment<service_process>;
  using client = typename Service::template client<home>;

  static constexpr host::service_id the_service = 1;

  struct setting {
    process_id servers = 3;
    findings found;
    typename Service::record record;
  };

  explicit service_process(home& here) {
    if (here.self() < here.setting().servers)
      server_ = std::make_unique<server>(here);
    else
      client_ = std::make_unique<client>(here);
  }

  void receive(process_id from, const message& what) {
    if (server_)
      server_->receive(from, what);
    else if (auto* reply = std::get_if<typename message::reply>(&what.body))
      client_->receive(from, *reply);
  }

  void wake() {
    server_ ? server_->wake() : client_->wake();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return server_ ? server_->next_deadline() : client_->next_deadline();
  }

  void found_group() {
    server_->step(raft::replica::event{raft::replica::found_group{"0"}});
  }

  void ask(const raft::replica::event& what) {
    server_->step(what);
  }

  [[nodiscard]] const host::group_core& group() const {
    return server_->group();
  }

  [[nodiscard]] const host::replicated_core<machine>& service() const {
    return server_->service();
  }

private:
  class server {
  public:
    explicit server(home& here)
      : here_(here),
        group_(raft_process::seat_of(here.self()), how(here.random().next()), {the_service},
               here.disk().stored(), here.now()),
        service_(here.random().next()) {
      if (auto& newest = here.disk().newest()) {
        host::group_core::effects out;
        if (auto why = group_.begin(*newest->bytes, out); why.code != errc::none)
          broken(why);
        carry_out(out);
      }
    }

    void receive(process_id from, const message& what) {
      if (auto* line = std::get_if<raft::message>(&what.body))
        return step(
          raft::replica::event{raft::replica::received{raft_process::seat_of(from), *line}});
      auto* asked = std::get_if<typename message::ask>(&what.body);
      if (asked == nullptr)
        return;
      auto id = ++last_caller_;
      callers_.emplace(id, std::pair{from, asked->number});
      if (auto* question = std::get_if<typename message::look>(&asked->what))
        return look(id, *question);
      auto take = overloaded{
        [](const typename message::look&) {},
        [&](const auto& each) { step_service(id, each); },
      };
      std::visit(take, asked->what);
    }

    void wake() {
      host::group_core::effects out;
      group_.tick(here_.now(), out);
      carry_out(out);
      typename host::replicated_core<machine>::effects made;
      service_.tick(group_now(), made);
      carry_out(made);
      if (auto due = service_.next_wall_deadline(); due && *due <= here_.calendar())
        tell_calendar();
    }

    [[nodiscard]] std::optional<time_point> next_deadline() const {
      auto next = group_.next_deadline();
      if (auto due = service_.next_deadline()) {
        auto local = here_.now() + std::max(*due - group_now(), duration::zero());
        next = std::min(next.value_or(local), local);
      }
      if (auto due = service_.next_wall_deadline()) {
        auto local
          = here_.now() + std::clamp(*due - here_.calendar(), duration::zero(), calendar_every);
        next = std::min(next.value_or(local), local);
      }
      return next;
    }

    void step(const host::group_core::event& what, request_id id = 0) {
      host::group_core::effects out;
      group_.step(here_.now(), id, what, out);
      carry_out(out);
    }

    [[nodiscard]] const host::group_core& group() const {
      return group_;
    }

    [[nodiscard]] const host::replicated_core<machine>& service() const {
      return service_;
    }

  private:
    static constexpr std::uint64_t first_token = 1'000'000;
    /// It may be set: looked at no less often, while the machine asks for it.
    static constexpr duration calendar_every = std::chrono::milliseconds{500};

    static host::group_options how(std::uint64_t seed) {
      return {raft_process::timers(seed), 100};
    }

    [[nodiscard]] time_point group_now() const {
      return time_point{group_.consensus().time_of_group(here_.now()).time_since_epoch()};
    }

    void broken(const problem& why) {
      here_.setting().found.broken("process " + std::to_string(here_.self())
                                   + " stops: " + why.detail);
    }

    template <class Event>
    void step_service(request_id id, Event what) {
      typename host::replicated_core<machine>::effects made;
      service_.step(group_now(), id, std::move(what), made);
      carry_out(made);
    }

    template <class Effects>
    void carry_out(Effects& out) {
      for (auto& what : out)
        std::visit([&](auto& each) { handle(each); }, what);
    }

    // -- of the group -------------------------------------------------------------------

    void handle(host::group_core::send& what) {
      here_.send(static_cast<process_id>(what.to.value - 1), message{std::move(what.what)});
    }

    void handle(host::group_core::write& what) {
      here_.disk().write(what);
      here_.sync([this, number = what.number] {
        here_.disk().sync();
        step(raft::replica::event{raft::replica::written{number}});
      });
    }

    void handle(host::group_core::save& what) {
      here_.sync([this, made = what.what] {
        auto& newest = here_.disk().newest();
        if (!newest || newest->header.index < made.header.index)
          here_.disk().save(made, raft_process::timers(0).keep_entries);
        step(host::group_core::saved{made.header.index, true});
      });
    }

    void handle(host::group_core::load_snapshot&) {
      here_.sync([this] {
        if (auto& newest = here_.disk().newest())
          step(raft::replica::event{raft::replica::loaded{*newest}});
      });
    }

    void handle(host::group_core::deliver& what) {
      step_service(0, typename host::replicated_core<machine>::committed{std::move(what.payload)});
    }

    void handle(host::group_core::lead& what) {
      [[maybe_unused]] auto floor = service_.index() == 0 ? first_token : 0;
      step_service(0, typename host::replicated_core<machine>::leads{what.term});
      if constexpr (requires { Service::opening(floor); })
        step_service(0, host::notice<machine>{Service::opening(floor)});
      tell_calendar();
    }

    void tell_calendar() {
      if constexpr (wall_timed<machine>)
        step_service(0, typename host::replicated_core<machine>::wall_is{here_.calendar()});
    }

    void handle(host::group_core::follow& what) {
      step_service(0, typename host::replicated_core<machine>::follows{std::move(what.why)});
    }

    void handle(host::group_core::not_taken& what) {
      step_service(
        0, typename host::replicated_core<machine>::not_taken{what.number, std::move(what.why)});
    }

    void look(request_id id, const typename message::look& what) {
      looks_.emplace(id, what.at);
      step(host::group_core::read{the_service}, id);
    }

    void handle(host::group_core::read_ready& what) {
      if (auto found = looks_.extract(what.id)) {
        found.mapped()(service_);
        reply(what.id, typename message::seen{});
      }
    }

    void handle(host::group_core::read_refused& what) {
      if (looks_.erase(what.id) > 0)
        reply(what.id, std::move(what.why));
    }

    void handle(host::group_core::take_section& what) {
      step(host::group_core::section{what.service, what.index, service_.section()});
    }

    void handle(host::group_core::restore_section& what) {
      typename host::replicated_core<machine>::effects made;
      if (auto why = service_.restore_section(what.bytes, made); why.code != errc::none)
        broken(why);
      carry_out(made);
    }

    void handle(host::group_core::stop& what) {
      broken(what.why);
    }

    // -- of the service -----------------------------------------------------------------

    using core = host::replicated_core<machine>;

    void handle(typename core::propose& what) {
      step(host::group_core::propose{the_service, std::move(what.what)});
    }

    void handle(typename core::answered& what) {
      reply(what.id, std::move(what.what));
    }

    void handle(typename core::session_done& what) {
      reply(what.id, what.session);
    }

    void handle(typename core::rejected& what) {
      reply(what.id, std::move(what.why));
    }

    void handle(typename core::diverged& what) {
      broken(what.why);
    }

    template <class Other>
    void handle(Other&) {}

    template <class What>
    void reply(request_id id, What what) {
      auto found = callers_.extract(id);
      if (found.empty())
        return;
      auto [to, number] = found.mapped();
      here_.send(to, message{typename message::reply{number, std::move(what)}});
    }

    home& here_;
    host::group_core group_;
    core service_;
    std::map<request_id, std::pair<process_id, request_id>> callers_;
    std::map<request_id, std::function<void(const core&)>> looks_;
    request_id last_caller_ = 0;
  };

  std::unique_ptr<server> server_;
  std::unique_ptr<client> client_;
};

} // namespace troupe::sim
