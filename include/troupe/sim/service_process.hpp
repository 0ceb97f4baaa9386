#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/codec.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/host/group_core.hpp"
#include "troupe/host/replicated_core.hpp"
#include "troupe/sim/mailbox.hpp"
#include "troupe/sim/raft_process.hpp"
#include "troupe/sim/world.hpp"

namespace troupe::sim {

/// What goes over the simulated network of a replicated service.
template <class M>
struct service_message {
  /// A question: `at` is called with the state once the group has confirmed that it is the
  /// latest, and keeps what it finds where the asker has it. A repeat may be called, too.
  struct look {
    std::function<void(host::replicated_core<M>&, time_point)> at;
  };

  struct ask {
    request_id number = 0;
    std::variant<host::open_session, host::keep_session, host::close_session, host::command<M>,
                 look>
      what;
  };

  /// What was asked by look has been found.
  struct seen {};

  struct reply {
    request_id number = 0;
    std::variant<host::session_id, effect_of<M>, problem, seen> what;
    /// How far the service there had come.
    request_id record = 0;
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
    /// Of the sessions of clients: see host::core_options.
    duration session_term = std::chrono::minutes{1};
    /// What clients wait for.
    std::set<std::pair<process_id, request_id>> waiting{};
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
  /// Of two threads, as in a real process: the group's and its service's. They tell each other
  /// by messages alone, so that neither knows how the other stands now.
  class server {
    using core = host::replicated_core<machine>;

  public:
    explicit server(home& here)
      : here_(here),
        group_(raft_process::seat_of(here.self()), how(here.random().next()),
               {{the_service, host::service_rules::known<machine>().number()}},
               here.disk().stored(), here.now()),
        service_(here.random().next(), {.session_term = here.setting().session_term}),
        started_(here.now()),
        to_group_(here, [this](for_group& what) { step(what.what, what.id); }),
        to_service_(here, [this](host::group_event& what) { hear(what); }) {
      if (auto& newest = here.disk().newest()) {
        host::group_core::effects out;
        if (auto why = group_.begin(*newest->bytes, out); why.code != errc::none)
          broken(why);
        carry_out(out);
      }
    }

    void receive(process_id from, const message& what) {
      if (is_stopped_)
        return;
      if (auto* line = std::get_if<raft::message>(&what.body))
        return step(
          raft::replica::event{raft::replica::received{raft_process::seat_of(from), *line}});
      auto* asked = std::get_if<typename message::ask>(&what.body);
      if (asked == nullptr)
        return;
      auto id = ++last_caller_;
      callers_.emplace(id, std::pair{from, asked->number});
      auto take = overloaded{
        [&](const typename message::look& each) { look(id, each); },
        [&](const auto& each) { step_service(id, each); },
      };
      std::visit(take, asked->what);
    }

    void wake() {
      if (auto due = group_.next_deadline(); due && *due <= here_.now()) {
        host::group_core::effects out;
        group_.tick(here_.now(), out);
        carry_out(out);
      }
      if (auto due = service_deadline(); due && *due <= here_.now()) {
        typename core::effects made;
        service_.tick(service_now(), made);
        carry_out(made);
      }
      if (auto due = service_.next_wall_deadline(); due && *due <= here_.calendar())
        tell_calendar();
    }

    [[nodiscard]] std::optional<time_point> next_deadline() const {
      if (is_stopped_)
        return std::nullopt;
      auto next = group_.next_deadline();
      auto no_later = [&next](time_point when) { next = std::min(next.value_or(when), when); };
      if (auto due = service_deadline())
        no_later(*due);
      if (auto due = service_.next_wall_deadline())
        no_later(here_.now()
                 + std::clamp(*due - here_.calendar(), duration::zero(), calendar_every));
      return next;
    }

    void step(const host::group_core::event& what, request_id id = 0) {
      if (is_stopped_)
        return;
      host::group_core::effects out;
      group_.step(here_.now(), id, what, out);
      carry_out(out);
    }

    [[nodiscard]] const host::group_core& group() const {
      return group_;
    }

    [[nodiscard]] const core& service() const {
      return service_;
    }

  private:
    /// What the service has to say to the group.
    struct for_group {
      request_id id = 0;
      host::group_core::event what;
    };

    static constexpr std::uint64_t first_token = 1'000'000;
    /// It may be set: looked at no less often, while the machine asks for it.
    static constexpr duration calendar_every = std::chrono::milliseconds{500};

    static host::group_options how(std::uint64_t seed) {
      return {raft_process::timers(seed), 100};
    }

    /// Takes part no more, and says so to whoever runs this world.
    void broken(const problem& why) {
      is_stopped_ = true;
      here_.setting().found.broken("process " + std::to_string(here_.self())
                                   + " stops: " + why.detail);
    }

    template <class Effects>
    void carry_out(Effects& out) {
      for (auto& what : out)
        std::visit([&](auto& each) { handle(each); }, what);
    }

    template <class Other>
    void handle(Other&) {}

    // -- the group: its effects ---------------------------------------------------------

    void handle(host::group_core::send& what) {
      here_.send(static_cast<process_id>(what.to.value - 1), message{std::move(what.what)});
    }

    void handle(host::group_core::write& what) {
      if (!here_.has_room())
        return here_.sync([this] { step(raft::replica::event{raft_disk::full()}); });
      here_.disk().write(what);
      here_.sync([this, number = what.number] {
        here_.disk().sync();
        step(raft::replica::event{raft::replica::written{number}});
      });
    }

    void handle(host::group_core::note_commit& what) {
      here_.disk().note_commit(what.index);
    }

    void handle(host::group_core::save& what) {
      here_.sync([this, made = host::group_core::to_snapshot(what)] {
        auto& newest = here_.disk().newest();
        auto has_room = here_.has_room();
        if (has_room && (!newest || newest->header.index < made.header.index))
          here_.disk().save(made, raft_process::timers(0).keep_entries);
        step(host::group_core::saved{made.header.index, has_room});
      });
    }

    void handle(host::group_core::load_snapshot&) {
      here_.sync([this] {
        if (auto& newest = here_.disk().newest())
          step(raft::replica::event{raft::replica::loaded{*newest}});
      });
    }

    void handle(host::group_core::stop& what) {
      broken(what.why);
    }

    template <class Effect>
    requires std::is_constructible_v<host::group_event, Effect>
    void handle(Effect& what) {
      to_service_.put(std::move(what));
    }

    // -- the service: what it hears of the group --------------------------------------------

    /// The time of the group where this service leads.
    [[nodiscard]] time_point service_now() const {
      return born_ + (here_.now() - started_);
    }

    [[nodiscard]] std::optional<time_point> service_deadline() const {
      auto due = service_.next_deadline();
      return due ? std::optional{started_ + (std::max(*due, born_) - born_)} : std::nullopt;
    }

    void step_service(request_id id, typename core::event what) {
      typename core::effects made;
      service_.step(service_now(), id, std::move(what), made);
      carry_out(made);
    }

    void hear(host::group_event& what) {
      if (!is_stopped_)
        std::visit([this](auto& each) { handle_group(each); }, what);
    }

    void handle_group(host::to_service::deliver& what) {
      step_service(0, typename core::committed{std::move(what.payload)});
    }

    void handle_group(host::to_service::lead& what) {
      started_ = what.at;
      born_ = time_point{what.now.time_since_epoch()};
      [[maybe_unused]] auto floor = service_.index() == 0 ? first_token : 0;
      step_service(0, typename core::leads{what.term});
      if constexpr (requires { Service::opening(floor); })
        step_service(0, host::notice<machine>{Service::opening(floor)});
      tell_calendar();
    }

    void tell_calendar() {
      if constexpr (wall_timed<machine>)
        step_service(0, typename core::wall_is{here_.calendar()});
    }

    void handle_group(host::to_service::follow& what) {
      for (auto& [id, at] : std::exchange(looks_, {}))
        reply(id, what.why);
      step_service(0, typename core::follows{std::move(what.why)});
    }

    void handle_group(host::to_service::not_taken& what) {
      step_service(0, typename core::not_taken{what.number, std::move(what.why)});
    }

    void look(request_id id, const typename message::look& what) {
      if (auto why = service_.refusal(); why.code != errc::none)
        return reply(id, std::move(why));
      looks_.emplace(id, what.at);
      to_group_.put({id, host::group_core::read{the_service}});
    }

    void handle_group(host::to_service::read_ready& what) {
      if (auto found = looks_.extract(what.id)) {
        found.mapped()(service_, service_now());
        reply(what.id, typename message::seen{});
      }
    }

    void handle_group(host::to_service::read_refused& what) {
      if (looks_.erase(what.id) > 0)
        reply(what.id, std::move(what.why));
    }

    void handle_group(host::to_service::without_quorum& what) {
      step_service(0, typename core::without_quorum{std::move(what.why)});
    }

    void handle_group(host::to_service::allow_rules& what) {
      step_service(0, typename core::rules_allowed{what.number});
    }

    void handle_group(host::to_service::take_section& what) {
      to_group_.put(
        {0, host::group_core::section_of(what.service, what.index, service_.section())});
    }

    void handle_group(host::to_service::restore_section& what) {
      typename core::effects made;
      if (auto why = service_.restore_section(what.bytes, made); why.code != errc::none)
        broken(why);
      carry_out(made);
    }

    // -- the service: its effects -----------------------------------------------------------

    void handle(typename core::propose& what) {
      to_group_.put({0, host::group_core::propose{the_service, std::move(what.what)}});
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

    template <class What>
    void reply(request_id id, What what) {
      auto found = callers_.extract(id);
      if (found.empty())
        return;
      auto [to, number] = found.mapped();
      here_.send(
        to, message{typename message::reply{number, std::move(what), service_.begins_after()}});
    }

    home& here_;
    host::group_core group_;
    core service_;
    bool is_stopped_ = false;
    /// It was `born_` by the group's time when the clock here showed `started_`.
    time_point started_;
    time_point born_;
    mailbox<home, for_group> to_group_;
    mailbox<home, host::group_event> to_service_;
    std::map<request_id, std::pair<process_id, request_id>> callers_;
    std::map<request_id, decltype(message::look::at)> looks_;
    request_id last_caller_ = 0;
  };

  std::unique_ptr<server> server_;
  std::unique_ptr<client> client_;
};

} // namespace troupe::sim
