#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "troupe/core/overloaded.hpp"
#include "troupe/sim/service_process.hpp"

namespace troupe::sim {

/// A client of a simulated service: opens a session at any node, numbers its requests and
/// repeats each, at one node or another, until it has an answer. `Derived` says what it wants:
///
///     void begin();                       a session is open, or another one: ask()
///     void answered(const effect&);       the answer of the machine; ask() or rest() next
///     void lost();                        nobody knows the outcome; a new session follows
///     void seen();                        what look() was to find is there
template <class Derived, class Home, machine M>
class session_client {
public:
  using message = service_message<M>;

  explicit session_client(Home& here) : here_(here) {
    open();
  }

  void receive(process_id, const typename message::reply& what) {
    if (!waits_ || what.number != asked_)
      return;
    auto take = overloaded{
      [&](const host::session_id& opened) {
        session_ = opened;
        number_ = 0;
        waits_ = false;
        wake_at_.reset();
        self().begin();
      },
      [&](const problem& why) {
        if (why.code == errc::session_expired)
          return give_up();
        if (why.code == errc::busy)
          here_.setting().found.broken("a hand-over of leadership shows: a client hears "
                                       + why.detail);
        ++asked_; // not_leader, no_quorum, outcome_unknown: once more, after a moment
        wake_at_ = here_.now() + std::chrono::milliseconds{10 + here_.random().below(30)};
      },
      [&](const typename message::seen&) {
        waits_ = false;
        wake_at_.reset();
        if constexpr (requires { self().seen(); })
          self().seen();
      },
      [&](const effect_of<M>& answer) {
        waits_ = false;
        wake_at_.reset();
        acked_ = number_;
        self().answered(answer);
      },
    };
    std::visit(take, what.what);
  }

  void wake() {
    if (!wake_at_ || here_.now() < *wake_at_)
      return;
    if (!waits_) {
      wake_at_.reset();
      return self().begin();
    }
    if (++tries_ > max_tries)
      return give_up();
    repeat();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return wake_at_;
  }

protected:
  /// Asks for this, under the next number.
  void ask(typename M::event what) {
    ++number_;
    send(host::command<M>{{session_, number_, acked_}, std::move(what)});
  }

  /// Asks for what `find(machine) -> Found` finds in the latest state; it is in `found` when
  /// seen() is called.
  template <class Found, class Find>
  void look(std::shared_ptr<Found>& found, Find find) {
    renew(found);
    send(typename message::look{
      [found, find](const auto& service, time_point) { *found = find(service); }});
  }

  /// Has `question` answered as a node would; the answer is in `found` when seen() is called.
  template <class Found, class Question>
  void inquire(std::shared_ptr<Found>& found, const Question& question) {
    renew(found);
    send(typename message::look{[found, question](auto& service, time_point now) {
      service.hear_of(now, question);
      *found = service.answer(question);
    }});
  }

  /// An earlier question that comes to its node only now has its answer elsewhere.
  template <class Found>
  static void renew(std::shared_ptr<Found>& found) {
    found = std::make_shared<Found>(*found);
  }

  /// Calls begin() again after `span`.
  void rest(duration span) {
    wake_at_ = here_.now() + span;
  }

  /// Lets go of this session, whatever became of its last request.
  void give_up() {
    self().lost();
    open();
  }

  [[nodiscard]] Home& here() {
    return here_;
  }

  [[nodiscard]] std::uint64_t number() const {
    return number_;
  }

private:
  static constexpr duration patience = std::chrono::milliseconds{400};
  static constexpr std::uint32_t max_tries = 300;

  Derived& self() {
    return static_cast<Derived&>(*this);
  }

  void open() {
    session_ = {};
    number_ = acked_ = 0;
    auto moment = static_cast<std::uint64_t>(here_.now().time_since_epoch().count());
    send(host::open_session{moment * 64 + here_.self() + 1}); // of no other, and no other time
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
    here_.send(server, message{typename message::ask{++asked_, pending_}});
  }

  Home& here_;
  host::session_id session_;
  std::uint64_t number_ = 0;
  std::uint64_t acked_ = 0;
  decltype(message::ask::what) pending_;
  request_id asked_ = 0;
  std::uint32_t tries_ = 0;
  bool waits_ = false; // for an answer; else for the next thing to do
  std::optional<time_point> wake_at_;
};

} // namespace troupe::sim
