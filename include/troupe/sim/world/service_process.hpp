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

#include "troupe/core/codec.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/group/group_core.hpp"
#include "troupe/host/replicated_core.hpp"
#include "troupe/sim/laws/ledger.hpp"
#include "troupe/sim/world/findings.hpp"
#include "troupe/sim/world/group_on_disk.hpp"
#include "troupe/sim/world/raft_process.hpp"
#include "troupe/sim/world/service_thread.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// Messages on the simulated network of a replicated service.
template <class M>
struct service_message {
  using question = service_question<M>;

  /// A message between the nodes of the group.
  struct letter {
    raft::member_id from;
    raft::member_id to;
    raft::message what;
  };

  struct ask {
    request_id number = 0;
    typename question::any what;
  };

  struct reply {
    request_id number = 0;
    typename question::answer what;
    /// The record after which sessions may begin with their first command.
    request_id record = 0;
  };

  std::variant<letter, ask, reply> body;
};

/// What a simulation needs of a service: its machine, what its clients record (`record`), the first
/// event of each leader if there is one (`opening(token_floor)`), and its clients: client<Home> is
/// made from its environment; see session_client.
template <class S>
concept simulated_service = requires {
  typename S::machine;
  typename S::record;
};

/// A node of a group, or a client. The first `servers` processes of a world are nodes. Their group
/// runs the Service that clients use, and a second one that only its leader asks.
template <simulated_service Service>
class service_process {
public:
  using machine = typename Service::machine;
  using message = service_message<machine>;
  using disk = raft_disk;
  using home = environment<service_process>;
  using client = typename Service::template client<home>;

  static constexpr host::service_id the_service = 1;
  /// The second service, which programs add; those of the last release do not have it.
  static constexpr host::service_id other_service = host::number_of_own("numbers");

  struct setting {
    process_id servers = 3;
    findings found;
    typename Service::record record;
    /// The term of clients' sessions; see host::core_options.
    duration session_term = std::chrono::minutes{1};
    /// Requests that clients wait for.
    std::set<std::pair<process_id, request_id>> waiting{};
    /// How many numbers the second service was asked to enter, and those that it has.
    std::uint64_t numbers = 0;
    std::set<std::uint64_t> entered{};
    bool is_other_over = false;
    /// Nodes whose release has only the first rules, and not the second service.
    std::set<process_id> old{};
    /// Nodes where the second service has ended. It runs again after their next start.
    std::set<process_id> ended{};
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

  void ask(const raft::replica::event& what) {
    server_->step(what);
  }

  /// Makes the second service throw, if this program has it.
  void end_other() {
    server_->end_other();
  }

  [[nodiscard]] const host::group_core& group() const {
    return server_->group();
  }

  /// The status of its replica, by its own clock.
  [[nodiscard]] raft::replica::status look() const {
    return server_->look();
  }

  [[nodiscard]] const host::replicated_core<machine>& service() const {
    return server_->service();
  }

  [[nodiscard]] const host::replicated_core<ledger>& other() const {
    return server_->other();
  }

private:
  class server {
  public:
    explicit server(home& here)
      : here_(here),
        group_(here, *this, how(here.random().next()), services(here), own(here)),
        service_(here, the_service, here.setting().session_term, around_service()),
        other_(here, other_service, std::chrono::minutes{1}, around_other()) {
      if (auto why = group_.begin())
        broken(why);
      if (here.setting().old.contains(here.self()))
        other_.stop();
      else
        enter_numbers();
      here.setting().ended.erase(here.self());
    }

    void end_other() {
      if (here_.setting().old.contains(here_.self()) || group_.is_stopped())
        return;
      here_.setting().ended.insert(here_.self());
      other_.stop();
      step(host::group_core::ended{other_service, {errc::failed, "its rules threw"}});
    }

    void receive(process_id from, const message& what) {
      if (group_.is_stopped())
        return;
      if (auto* line = std::get_if<typename message::letter>(&what.body)) {
        if (line->to == self())
          step(raft::replica::event{raft::replica::received{line->from, line->what}});
        return;
      }
      auto* asked = std::get_if<typename message::ask>(&what.body);
      if (asked == nullptr)
        return;
      auto id = ++last_caller_;
      callers_.emplace(id, std::pair{from, asked->number});
      service_.ask(id, asked->what, "process " + std::to_string(from));
    }

    void wake() {
      group_.wake();
      service_.wake();
      other_.wake();
    }

    [[nodiscard]] std::optional<time_point> next_deadline() const {
      if (group_.is_stopped())
        return std::nullopt;
      std::optional<time_point> next;
      for (auto due : {group_.next_deadline(), service_.next_deadline(), other_.next_deadline()})
        if (due)
          next = std::min(next.value_or(*due), *due);
      return next;
    }

    void step(const host::group_core::event& what, request_id id = 0) {
      group_.step(what, id);
    }

    [[nodiscard]] const host::group_core& group() const {
      return group_.inside();
    }

    [[nodiscard]] raft::replica::status look() const {
      return group_.look();
    }

    [[nodiscard]] const host::replicated_core<machine>& service() const {
      return service_.inside();
    }

    [[nodiscard]] const host::replicated_core<ledger>& other() const {
      return other_.inside();
    }

  private:
    using service_part = service_thread<machine, home>;
    using other_part = service_thread<ledger, home>;

    friend class group_on_disk<home, server>;

    [[nodiscard]] raft::member_id self() const {
      return group_.inside().consensus().self();
    }

    static std::map<host::service_id, host::service_title> own(home& here) {
      if (here.setting().old.contains(here.self()))
        return {};
      return {{other_service, {"numbers", "ledger"}}};
    }

    static std::map<host::service_id, std::uint32_t> services(home& here) {
      std::map<host::service_id, std::uint32_t> all{{the_service, known<machine>(here)}};
      for (auto& [which, title] : own(here))
        all[which] = known<ledger>(here);
      return all;
    }

    template <class M>
    static std::uint32_t known(home& here) {
      auto is_old = here.setting().old.contains(here.self());
      return (is_old ? host::service_rules{} : host::service_rules::known<M>()).number();
    }

    static host::group_options how(std::uint64_t seed) {
      return {raft_process::timers(seed), 100};
    }

    typename service_part::outside around_service() {
      auto made = around<typename service_part::outside>();
      made.reply = [this](request_id id, auto what) { reply(id, std::move(what)); };
      if constexpr (requires { Service::opening(std::uint64_t{}); })
        made.opening = [](std::uint64_t floor) { return Service::opening(floor); };
      return made;
    }

    typename other_part::outside around_other() {
      auto made = around<typename other_part::outside>();
      made.reply = [this](request_id, const typename other_part::answer& what) {
        if (auto* done = std::get_if<effect_of<ledger>>(&what))
          here_.setting().entered.insert(std::get<number_entered>(*done).number);
      };
      return made;
    }

    template <class Outside>
    Outside around() {
      Outside made;
      made.to_group
        = [this](request_id id, const host::group_core::event& what) { step(what, id); };
      made.broken = [this](const problem& why) { broken(why); };
      return made;
    }

    /// Stops this node, and reports the reason to the world.
    void broken(const problem& why) {
      group_.stop();
      service_.stop();
      other_.stop();
      here_.setting().found.broken("process " + std::to_string(here_.self())
                                   + " stops: " + why.detail);
    }

    /// Sends commands to the second service repeatedly. Only its leader carries them out.
    void enter_numbers() {
      here_.after(std::chrono::milliseconds{20 + here_.random().below(200)}, [this] {
        auto& shared = here_.setting();
        if (shared.is_other_over || group_.is_stopped())
          return;
        for (auto left = 1 + here_.random().below(4); left > 0; --left)
          other_.ask(++last_caller_, host::command<ledger>{{}, enter_number{++shared.numbers}});
        enter_numbers();
      });
    }

    template <class Other>
    void hear(Other&) {}

    void hear(host::group_core::send& what) {
      here_.send(raft_process::process_of(what.to),
                 message{typename message::letter{self(), what.to, std::move(what.what)}});
    }

    /// A damaged state of the second service is a violation: all programs here write it alike.
    void hear(host::group_core::warned& what) {
      if (what.why.code == errc::damaged)
        broken(what.why);
    }

    void hear(host::group_core::stop& what) {
      broken(what.why);
    }

    void hear(host::group_core::forgot& what) {
      here_.setting().found.broken("honest disks: process " + std::to_string(here_.self())
                                   + " misses entries up to " + std::to_string(what.synced)
                                   + " at seat " + std::to_string(what.seat.value));
    }

    template <class Effect>
    requires std::is_constructible_v<host::group_event, Effect>
    void hear(Effect& what) {
      if (what.service == the_service)
        service_.tell(std::move(what));
      else
        other_.tell(std::move(what));
    }

    template <class What>
    void reply(request_id id, What what) {
      auto found = callers_.extract(id);
      if (found.empty())
        return;
      auto [to, number] = found.mapped();
      here_.send(to, message{typename message::reply{number, std::move(what),
                                                     service_.inside().begins_after()}});
    }

    home& here_;
    group_on_disk<home, server> group_;
    service_part service_;
    other_part other_;
    std::map<request_id, std::pair<process_id, request_id>> callers_;
    request_id last_caller_ = 0;
  };

  std::unique_ptr<server> server_;
  std::unique_ptr<client> client_;
};

} // namespace troupe::sim
