#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/channel/receiver.hpp"
#include "troupe/channel/sender.hpp"
#include "troupe/channel/types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/sim/laws/delivery_laws.hpp"
#include "troupe/sim/world/findings.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// A frame on the simulated network between two nodes with channels.
struct channel_message {
  struct frame {
    channel::frame_header head;
    agent_id agent;
    delivery_laws::message_number what = 0;
  };

  std::variant<frame, channel::probe, channel::acknowledgement> body;
};

/// What a node keeps of what it has accepted until that has ended. The last of that is not synced.
struct channel_disk {
  using letters = std::map<delivery_laws::message_number, agent_id>;

  void keep(delivery_laws::message_number number, const agent_id& agent) {
    letters_.emplace(number, agent);
  }

  void drop(delivery_laws::message_number number) {
    ended_.merge(letters{{number, letters_.at(number)}});
    letters_.erase(number);
  }

  /// Returns those that it does not keep any more from here on.
  [[nodiscard]] letters sync() {
    return std::exchange(ended_, {});
  }

  [[nodiscard]] const letters& all() const {
    return letters_;
  }

  void crash(random_source& random) {
    if (random.one_in(2))
      letters_.merge(ended_);
    ended_.clear();
  }

private:
  letters letters_;
  letters ended_;
};

/// A node that sends to the agents of one other node, and has agents of its own: one is quick, one
/// is slow, one fails often, one has no room now and then, one comes and goes, and one asks for no
/// order, puts messages off, ends under some and is silent at others.
class channel_process {
public:
  using message = channel_message;
  using disk = channel_disk;
  using home = environment<channel_process>;

  struct setting {
    findings found;
    delivery_laws laws;
    channel::options how{
      .max_messages = 12, .max_bytes = 1'000, .longest_handling = std::chrono::seconds{5}};
    bool is_over = false;
  };

  explicit channel_process(home& here)
    : here_(here),
      out_(here.life(), here.setting().how, here.random().next()),
      in_(here.life(), here.setting().how, here.random().next()) {
    laws().end_of({here.self(), here.life() - 1});
    for (auto& [number, agent] : here_.disk().all()) {
      laws().go_on({here_.self(), here_.life()}, number);
      put(agent, {{number}});
    }
    link();
    if (here_.random().one_in(3))
      rest(); // its queue is empty for a while
    else
      send_some();
  }

  void receive(process_id from, const message& what) {
    if (from == here_.self())
      return;
    channel::receiver::effects got;
    channel::sender::effects sent;
    troupe::visit(
      overloaded{
        [&](const message::frame& x) {
          in_.arrive(now(), x.head, {x.agent, x.what, size_of(x.what), {}, {{}, 1, x.what}}, got);
        },
        [&](const channel::probe& x) { in_.asked(now(), x, got); },
        [&](const channel::acknowledgement& x) { out_.heard(now(), x, sent); }},
      what.body);
    carry_out(got);
    carry_out(sent);
  }

  void wake() {
    channel::receiver::effects got;
    channel::sender::effects sent;
    in_.tick(now(), got);
    out_.tick(now(), sent);
    carry_out(got);
    carry_out(sent);
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto one = in_.next_deadline();
    auto other = out_.next_deadline();
    return one && other ? std::min(one, other) : std::max(one, other);
  }

  [[nodiscard]] bool is_idle() const {
    return out_.empty() && away_.empty();
  }

private:
  using outcome = channel::outcome;

  delivery_laws& laws() {
    return here_.setting().laws;
  }

  [[nodiscard]] time_point now() const {
    return here_.now();
  }

  [[nodiscard]] process_id peer() const {
    return 1 - here_.self();
  }

  static std::size_t size_of(std::uint64_t what) {
    return 1 + what % 150;
  }

  /// Others are lost with their sender.
  static bool is_kept(std::uint64_t what) {
    return what % 2 == 0;
  }

  void broken(const std::string& what) {
    here_.setting().found.broken("channels: " + what);
  }

  // -- what programs do ------------------------------------------------------------------

  void rest() {
    here_.after(std::chrono::milliseconds{here_.random().below(1'000)}, [this] { send_some(); });
  }

  void send_some() {
    if (here_.setting().is_over)
      return;
    auto& random = here_.random();
    auto many = random.one_in(5) ? random.below(60) : random.below(4);
    for (; many > 0; --many) {
      agent_id agent{names[random.below(names.size())]};
      auto number = laws().accept({here_.self(), here_.life()}, agent);
      if (is_kept(number))
        here_.disk().keep(number, agent);
      if (auto found = away_.find(agent); found != away_.end())
        found->second.push_back({number});
      else
        put(agent, {{number}});
    }
    rest();
  }

  void put(const agent_id& agent, const std::vector<channel::sender::taken>& all) {
    channel::sender::effects sent;
    for (auto& [what, failures, was_sent] : all)
      out_.put(now(), agent, {what, size_of(what), {}, is_kept(what), failures}, sent);
    carry_out(sent);
  }

  void forget(delivery_laws::message_number number) {
    here_.disk().drop(number);
    here_.after(std::chrono::milliseconds{here_.random().below(500)}, [this] {
      channel::sender::effects sent;
      for (auto& [each, agent] : here_.disk().sync())
        out_.forgotten(now(), each, sent);
      carry_out(sent);
    });
  }

  /// The link is lost now and then, for a moment or for longer.
  void link() {
    channel::sender::effects sent;
    out_.link_up(now(), sent);
    carry_out(sent);
    here_.after(std::chrono::milliseconds{500 + here_.random().below(5'000)}, [this] {
      channel::sender::effects more;
      out_.link_down(now(), more);
      carry_out(more);
      if (here_.random().one_in(2))
        return link();
      here_.after(std::chrono::milliseconds{here_.random().below(1'000)}, [this] { link(); });
    });
  }

  // -- what the machines want ------------------------------------------------------------

  void carry_out(const channel::sender::effects& sent) {
    auto& how = here_.setting().how;
    if (out_.under_way() > how.max_messages || out_.under_way_bytes() > how.max_bytes + 150)
      broken("more is on its way than may be");
    for (auto& each : sent)
      troupe::visit(overloaded{[&](const channel::sender::transmit& x) {
                                 here_.send(peer(), {message::frame{x.head, x.agent, x.what}});
                               },
                               [&](const channel::sender::ask& x) {
                                 if (out_.is_linked())
                                   here_.send(peer(), {x.what});
                               },
                               [&](const channel::sender::ended& x) {
                                 laws().tell(x.what, x.how, here_.setting().found);
                                 if (is_kept(x.what))
                                   forget(x.what);
                               },
                               [&](const channel::sender::returned& x) { wait(x); },
                               [](const channel::sender::failing&) {}},
                    each);
  }

  /// The agent is elsewhere for a while.
  void wait(const channel::sender::returned& what) {
    away_.emplace(what.agent, what.what);
    here_.after(std::chrono::milliseconds{1 + here_.random().below(500)}, [this, who = what.agent] {
      auto all = std::move(away_.extract(who).mapped());
      put(who, all);
    });
  }

  void carry_out(const channel::receiver::effects& got) {
    auto& how = here_.setting().how;
    if (in_.held() > 4 * how.max_messages || in_.remembered() > 12 * how.max_messages
        || in_.remembered_ids() > 12 * how.max_messages)
      broken("a receiver keeps more than it may");
    for (auto& each : got)
      if (auto* what = std::get_if<channel::receiver::deliver>(&each))
        deliver(*what);
      else if (auto* gone = std::get_if<channel::receiver::dead>(&each))
        laws().give_up(gone->what);
    if (!is_saying_ && in_.owes_word()) {
      is_saying_ = true;
      here_.after(here_.handover(), [this] {
        is_saying_ = false;
        if (in_.owes_word())
          here_.send(peer(), {in_.take_word()});
      });
    }
  }

  void deliver(const channel::receiver::deliver& what) {
    auto& random = here_.random();
    auto is_quick = what.agent != agent_id{"slow"} || random.one_in(2);
    auto takes = duration{std::chrono::microseconds{random.below(is_quick ? 500 : 2'000'000)}};
    if (what.agent == agent_id{"guest"} && random.one_in(8))
      return later(takes, [this, what](auto&) { in_.missing(what.session, what.number, got_); });
    if (what.agent == agent_id{"full"} && random.one_in(4))
      return later(takes,
                   [this, what](auto&) { in_.no_room(now(), what.session, what.number, got_); });
    laws().deliver(self(), what.what, now(), here_.setting().found);
    if (what.agent == agent_id{"moody"} && !random.one_in(3))
      return later(takes, [this, what](auto& law) { be_moody(law, what); });
    auto fails = what.agent == agent_id{"clumsy"} && !random.one_in(3);
    later(takes, [this, what, fails](auto& law) {
      if (!fails) {
        law.handle(self(), what.what);
        return in_.handled(now(), what.session, what.number, got_);
      }
      in_.failed(now(), what.session, what.number, {.why = {errc::failed, "dropped it"}}, got_);
    });
  }

  /// Fails, puts off, or ends.
  void be_moody(delivery_laws& law, const channel::receiver::deliver& what) {
    auto& random = here_.random();
    if (random.one_in(20))
      return; // never answers
    if (random.one_in(4)) {
      law.end_agent(self(), what.agent);
      return in_.ended(what.session, what.number, got_);
    }
    channel::receiver::failure why{.why = {errc::busy, "later"}, .lets_others_pass = true};
    if (random.one_in(2)) {
      why.again_in = std::chrono::milliseconds{random.below(3'000)};
      law.put_off(self(), what.what, what.session, now() + *why.again_in);
    }
    law.let_pass(self(), what.what);
    in_.failed(now(), what.session, what.number, std::move(why), got_);
  }

  template <class Job>
  void later(duration takes, Job job) {
    here_.after(takes, [this, job] {
      got_.clear();
      job(laws());
      carry_out(std::exchange(got_, {}));
    });
  }

  [[nodiscard]] delivery_laws::life self() const {
    return {here_.self(), here_.life()};
  }

  static inline const std::vector<std::string> names{"quick", "slow",  "clumsy",
                                                     "full",  "guest", "moody"};

  home& here_;
  channel::sender out_;
  channel::receiver in_;
  channel::receiver::effects got_;
  bool is_saying_ = false;
  /// What waits for agents that are elsewhere.
  std::map<agent_id, std::vector<channel::sender::taken>> away_;
};

} // namespace troupe::sim
