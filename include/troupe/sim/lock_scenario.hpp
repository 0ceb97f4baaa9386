#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/lock/lock_table.hpp"
#include "troupe/sim/history.hpp"
#include "troupe/sim/raft_scenario.hpp"
#include "troupe/sim/service_process.hpp"

namespace troupe::sim {

/// What the clients of a lock service saw.
struct lock_record {
  history lines;
  std::uint64_t clients = 0;
  std::uint64_t keys = 0;
  std::uint64_t answers = 0;
  bool is_over = false;
};

/// A client that takes locks and gives them back, over and over, and writes down what it saw.
/// It numbers its requests in a session, and repeats each until it has an answer.
template <class Home>
class lock_client {
public:
  using message = service_message<lock::lock_table>;

  explicit lock_client(Home& here) : here_(here) {
    begin_anew();
  }

  void receive(process_id, const message::reply& what) {
    if (!waits_ || what.number != asked_)
      return;
    auto take = overloaded{
      [&](const host::session_id& opened) {
        session_ = opened;
        next();
      },
      [&](const problem& why) {
        if (why.code == errc::session_expired)
          return begin_anew();
        ++asked_; // not_leader, outcome_unknown: once more, after a moment
        wake_at_ = here_.now() + std::chrono::milliseconds{10 + here_.random().below(30)};
      },
      [&](const lock::effect& answer) { std::visit([&](auto& each) { handle(each); }, answer); },
    };
    std::visit(take, what.what);
  }

  void wake() {
    if (!wake_at_ || here_.now() < *wake_at_)
      return;
    if (!waits_)
      return next();
    if (++tries_ > max_tries)
      return begin_anew();
    repeat();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return wake_at_;
  }

private:
  static constexpr duration patience = std::chrono::milliseconds{400};
  static constexpr std::uint32_t max_tries = 300;

  [[nodiscard]] lock_record& record() {
    return here_.setting().record;
  }

  [[nodiscard]] std::int64_t clock() const {
    return here_.now().time_since_epoch().count(); // clients have true clocks
  }

  /// A client that does not know an outcome is never heard of again, nor is its key: who
  /// knows who holds it.
  void begin_anew() {
    session_ = {};
    name_ = "client-" + std::to_string(++record().clients);
    key_ = "key-" + std::to_string(++record().keys / 3); // three share one
    token_.reset();
    number_ = acked_ = 0;
    send(host::open_session{});
  }

  template <class What>
  void send(What what) {
    pending_ = std::move(what);
    tries_ = 0;
    repeat();
  }

  void repeat() {
    waits_ = true;
    wake_at_ = here_.now() + patience;
    auto server = static_cast<process_id>(here_.random().below(here_.setting().servers));
    here_.send(server, message{message::ask{++asked_, pending_}});
  }

  void next() {
    waits_ = false;
    wake_at_.reset();
    if (record().is_over)
      return;
    lock::event what = lock::release{key_, token_.value_or(lock::fencing_token{})};
    step_of_history line{"release", {}, {}, {}, outcome::unknown, clock()};
    ++number_;
    if (token_) {
      line.argument = std::to_string(token_->value);
    } else {
      line.verb = "acquire";
      auto wait = here_.random().one_in(2) ? duration::zero() : duration{std::chrono::seconds{2}};
      what = lock::acquire{key_,
                           name_ + '/' + std::to_string(number_),
                           std::chrono::minutes{10},
                           wait,
                           name_,
                           lock::lock_mode::exclusive};
    }
    line_ = record().lines.call(name_, key_, std::move(line));
    send(host::command<lock::lock_table>{{session_, number_, acked_}, std::move(what)});
  }

  void handle(const lock::accepted& what) {
    if (token_) {
      token_.reset();
      return finish(outcome::ok, {});
    }
    token_ = what.value.token;
    finish(outcome::ok, std::to_string(token_->value));
  }

  void handle(const refused& what) {
    switch (what.why.code) {
      case errc::stale_token:
        token_.reset();
        [[fallthrough]];
      case errc::lock_held:
      case errc::timed_out:
        return finish(outcome::fail, {});
      default: // withdrawn with its session
        begin_anew();
    }
  }

  template <class Other>
  void handle(const Other&) {}

  void finish(outcome how, std::optional<std::string> result) {
    ++record().answers;
    record().lines.answer(line_, how, std::move(result), clock());
    acked_ = number_;
    waits_ = false;
    wake_at_ = here_.now() + std::chrono::milliseconds{here_.random().below(100)};
  }

  Home& here_;
  std::string name_;
  std::string key_;
  host::session_id session_;
  std::uint64_t number_ = 0;
  std::uint64_t acked_ = 0;
  std::optional<lock::fencing_token> token_;
  std::size_t line_ = 0; // in the history, of what is under way
  decltype(message::ask::what) pending_;
  request_id asked_ = 0;
  std::uint32_t tries_ = 0;
  bool waits_ = false; // for an answer; else for the next thing to do
  std::optional<time_point> wake_at_;
};

struct lock_service_model {
  using machine = lock::lock_table;
  using record = lock_record;
  template <class Home>
  using client = lock_client<Home>;

  static lock::event opening(std::uint64_t floor) {
    return lock::configure{{}, floor};
  }
};

struct service_report {
  std::vector<std::string> violations;
  std::uint64_t trace = 0;
  std::uint64_t events = 0;
  std::uint64_t operations = 0;
  std::uint64_t answers = 0;
};

/// Clients of a replicated lock service while its nodes are killed, paused and parted.
class lock_scenario {
public:
  using node = service_process<lock_service_model>;

  explicit lock_scenario(const scenario_options& how, process_id clients = 6)
    : span_(how.span),
      servers_(how.nodes),
      world_(how.seed, how.nodes + clients, how.what, {how.nodes, {}, {}}, how.nodes) {}

  service_report run() {
    auto& found = world_.setting().found;
    auto& record = world_.setting().record;
    world_.start_all();
    world_.at(0)->found_group();
    world_.arm(0);
    grow();
    world_.run_until(span_);
    world_.end_faults();
    world_.run_until(span_ + std::chrono::seconds{20});
    auto before = record.answers;
    world_.run_until(span_ + std::chrono::seconds{25});
    if (record.answers == before)
      found.broken("liveness: no client has an answer 20 s after the last fault");
    record.is_over = true;
    world_.run_until(span_ + std::chrono::seconds{40});
    check_replicas();
    auto report = judge(lock_model{}, record.lines);
    for (auto& key : report.violated)
      found.broken("linearizability: " + key);
    for (auto& key : report.undecided)
      found.broken("linearizability of " + key + " is undecided");
    return {found.violations, world_.trace(), world_.events(), report.operations, record.answers};
  }

  [[nodiscard]] const history& lines() {
    return world_.setting().record.lines;
  }

private:
  /// All nodes shall vote, sooner or later.
  void grow() {
    world_.after(std::chrono::milliseconds{300}, [this] {
      for (process_id which = 0; which < servers_; ++which)
        for (process_id who = 0; who < servers_; ++who) {
          auto* process = world_.at(who);
          if (process == nullptr || !process->group().consensus().is_settled())
            continue;
          auto seat = raft_process::seat_of(which);
          auto& members = process->group().consensus().members();
          if (!members.members.contains(seat))
            process->ask(raft::replica::add_learner{seat, ""});
          else if (!members.votes(seat))
            process->ask(raft::replica::promote{seat});
          world_.arm(who);
        }
      if (world_.now() < span_)
        grow();
    });
  }

  void check_replicas() {
    auto& found = world_.setting().found;
    auto expected = world_.at(0)->service().section();
    for (process_id who = 1; who < servers_; ++who)
      if (world_.at(who)->service().section() != expected)
        found.broken("replicas: process " + std::to_string(who) + " differs from process 0");
  }

  duration span_;
  process_id servers_;
  world<node> world_;
};

} // namespace troupe::sim
