#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/host/client_core.hpp"
#include "troupe/sim/world/service_process.hpp"

namespace troupe::sim {

/// A client of a simulated service: the client_core that programs run, which tries another node at
/// random when one refuses or does not answer. `Derived` makes one request at a time:
///
///     void begin();                       call ask(), look() or rest() next
///     void answered(const effect&);       the answer of the machine; call ask() or rest() next
///     void lost();                        the outcome is unknown; begin() follows
///     void seen();                        the result of look() is there
///     void sends(const call&);            optional: it sends a command
template <class Derived, class Home, machine M>
class session_client {
public:
  using message = service_message<M>;

  explicit session_client(Home& here)
    : here_(here),
      core_(how(here.setting().session_term), here.random().next()),
      begin_at_(here.now()) {
    host::client_core::effects none;
    core_.step(here.now(), 0, host::client_core::reached{}, none);
  }

  void receive(process_id, const typename message::reply& what) {
    record_ = std::max(record_, what.record);
    auto found = asked_.extract(what.number);
    if (!found)
      return;
    auto& [id, attempt, opening] = found.mapped();
    if (id == 0 && !opening)
      return; // nodes do not answer `keep`, and clients do not wait for the answer to `end`
    auto take = overloaded{
      [&](const host::session_id& opened) {
        if (opening)
          step(host::client_core::opened{opening->line, opening->turn, opened});
      },
      [&](const problem& why) { refused(found.mapped(), why); },
      [&](const typename message::question::seen&) {
        if (is_done(id, attempt))
          if constexpr (requires { self().seen(); })
            self().seen();
      },
      [&](const effect_of<M>& answer) {
        if (is_done(id, attempt))
          self().answered(answer);
      },
    };
    troupe::visit(take, what.what);
  }

  void wake() {
    auto now = here_.now();
    if (auto due = core_.next_deadline(); due && *due <= now) {
      host::client_core::effects out;
      core_.tick(now, out);
      carry_out(out);
    }
    if (begin_at_ && *begin_at_ <= now) {
      begin_at_.reset();
      self().begin();
    }
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> next;
    for (auto& each : {core_.next_deadline(), begin_at_})
      if (each)
        next = std::min(next.value_or(*each), *each);
    return next;
  }

protected:
  /// Sends `what` as a command.
  void ask(typename M::event what) {
    begin(host::command<M>{{}, std::move(what)}, true);
  }

  /// Sends `what` as the command `who`, which is none of its own, and does not wait for the answer.
  void ask_as(const host::call& who, typename M::event what) {
    send(host::command<M>{who, std::move(what)}, {});
  }

  /// Asks for the result of `find(machine) -> Found` in the latest state. It is in `found` when
  /// seen() is called.
  template <class Found, class Find>
  void look(std::shared_ptr<Found>& found, Find find) {
    renew(found);
    begin(typename message::question::look{[found, find](const auto& service, time_point) {
            *found = find(service);
          }},
          false);
  }

  /// Sends the question `wanted`, as to a node. The answer is in `found` when seen() is called.
  template <class Found, class Question>
  void inquire(std::shared_ptr<Found>& found, const Question& wanted) {
    renew(found);
    begin(typename message::question::look{[found, wanted](auto& service, time_point now) {
            service.hear_of(now, wanted);
            *found = service.answer(wanted);
          }},
          false);
  }

  /// Gives the next question a new place for its result: an earlier one, which a node may only
  /// answer now, keeps the old place.
  template <class Found>
  static void renew(std::shared_ptr<Found>& found) {
    found = std::make_shared<Found>(*found);
  }

  /// Calls begin() again after `span`.
  void rest(duration span) {
    begin_at_ = here_.now() + span;
  }

  /// Drops all open requests and continues as a new client, as if the process had ended.
  void give_up() {
    core_ = host::client_core{how(here_.setting().session_term), here_.random().next()};
    while (!wanted_.empty())
      forget(wanted_.begin()->first);
    asked_.clear();
    step(host::client_core::reached{record_});
    lose();
  }

  /// Closes the session and continues as a new client.
  /// @pre No request is open.
  void take_leave() {
    step(host::client_core::close{});
    core_ = host::client_core{how(here_.setting().session_term), here_.random().next()};
    asked_.clear();
    step(host::client_core::reached{record_});
  }

  [[nodiscard]] Home& here() {
    return here_;
  }

private:
  using question = std::variant<host::command<M>, typename message::question::look>;

  /// A request that a node has not answered.
  struct asked {
    request_id id = 0;
    std::uint32_t attempt = 0;
    std::optional<host::client_core::open> opening{};
  };

  /// After this time without an answer, another node is tried.
  static constexpr duration patience = std::chrono::milliseconds{400};
  /// How long a request is wanted.
  static constexpr duration wanted_for = std::chrono::minutes{2};
  /// Limit of open requests to nodes; answers to older ones are ignored.
  static constexpr std::size_t max_asked = 64;

  static host::client_options how(duration session_term) {
    host::client_options made;
    made.keep_every = session_term / 3;
    made.doubt_after = patience;
    made.retry = {std::chrono::milliseconds{40}, std::chrono::milliseconds{40}};
    return made;
  }

  Derived& self() {
    return static_cast<Derived&>(*this);
  }

  void begin(question what, bool numbered) {
    wanted_.emplace(++last_id_, std::move(what));
    here_.setting().waiting.emplace(here_.self(), last_id_);
    step(host::client_core::ask{here_.now() + wanted_for, numbered}, last_id_);
  }

  /// Chooses a node at random, perhaps the same.
  void move() {
    server_ = static_cast<process_id>(here_.random().below(here_.setting().servers));
  }

  void refused(const asked& what, const problem& why) {
    if (why.code == errc::not_leader || why.code == errc::no_quorum)
      move();
    if (why.code == errc::busy)
      here_.setting().found.broken("a hand-over of leadership shows: a client hears " + why.detail);
    if (what.opening)
      step(host::client_core::not_opened{what.opening->line, what.opening->turn, why});
    else
      step(host::client_core::failed{what.attempt, why}, what.id);
  }

  bool is_done(request_id id, std::uint32_t attempt) {
    is_done_ = false;
    step(host::client_core::answered{attempt}, id);
    return is_done_;
  }

  void step(const host::client_core::event& what, request_id id = 0) {
    host::client_core::effects out;
    core_.step(here_.now(), id, what, out);
    carry_out(out);
  }

  void carry_out(const host::client_core::effects& out) {
    for (auto& each : out)
      troupe::visit([this](const auto& what) { perform(what); }, each);
  }

  // -- effects ------------------------------------------------------------------------

  void perform(const host::client_core::send& what) {
    auto to_node = overloaded{
      [&](const host::command<M>& each) {
        if constexpr (requires { self().sends(what.who); })
          self().sends(what.who);
        send(host::command<M>{what.who, each.what}, {what.id, what.attempt});
      },
      [&](const typename message::question::look& each) {
        send(each, {what.id, what.attempt});
      },
    };
    troupe::visit(to_node, wanted_.at(what.id));
  }

  void perform(const host::client_core::open& what) {
    send(what.what, {0, 0, what});
  }

  void perform(const host::client_core::keep& what) {
    send(what.what, {});
  }

  void perform(const host::client_core::end& what) {
    send(what.what, {});
  }

  void perform(const host::client_core::done& what) {
    forget(what.id);
    is_done_ = true;
  }

  void perform(const host::client_core::ended& what) {
    forget(what.id);
    lose();
  }

  void perform(const host::client_core::doubt&) {
    move();
    step(host::client_core::reached{record_});
  }

  void forget(request_id id) {
    wanted_.erase(id);
    here_.setting().waiting.erase({here_.self(), id});
  }

  void lose() {
    self().lost();
    begin_at_ = here_.now();
  }

  template <class What>
  void send(What what, asked as) {
    asked_.emplace(++last_asked_, std::move(as));
    if (asked_.size() > max_asked)
      asked_.erase(asked_.begin());
    here_.send(server_, message{typename message::ask{last_asked_, std::move(what)}});
  }

  Home& here_;
  host::client_core core_;
  process_id server_ = 0;
  request_id record_ = 0; // the latest that a node has sent
  request_id last_id_ = 0;
  std::map<request_id, question> wanted_;
  request_id last_asked_ = 0;
  std::map<request_id, asked> asked_;
  bool is_done_ = false;
  std::optional<time_point> begin_at_;
};

} // namespace troupe::sim
