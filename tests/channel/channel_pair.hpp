#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/channel/receiver.hpp"
#include "troupe/channel/sender.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

namespace troupe::test {

/// A sender and a receiver, and a wire that the test can cut. Says in a line each what happens.
class channel_pair {
public:
  using number = channel::sequence_number;

  explicit channel_pair(const channel::options& how = {}) : options_(how) {}

  // -- what the test does ----------------------------------------------------------------

  void put(const std::string& agent, std::uint64_t what, std::size_t bytes = 1,
           std::optional<duration> ttl = {}) {
    channel::sender::effects wanted;
    out.put(now, agent,
            {what, bytes, ttl ? std::optional{now + *ttl} : std::nullopt, keeps, failures_of[what]},
            wanted);
    carry_out(wanted);
  }

  void link_up() {
    is_up = true;
    channel::sender::effects wanted;
    out.link_up(now, wanted);
    carry_out(wanted);
  }

  void link_down() {
    is_up = false;
    channel::sender::effects wanted;
    out.link_down(now, wanted);
    carry_out(wanted);
  }

  /// The agent has done with the message of that content.
  void handled(std::uint64_t what) {
    on(what, [](auto& at_end, auto at, auto& x, auto& wanted) {
      at_end.handled(at, x.session, x.number, wanted);
    });
  }

  void failed(std::uint64_t what, const std::string& why = "no") {
    on(what, [&](auto& at_end, auto at, auto& x, auto& wanted) {
      at_end.failed(at, x.session, x.number, {.why = {errc::failed, why}}, wanted);
    });
  }

  /// The agent wants it again after `delay`, if it says so.
  void put_off(std::uint64_t what, std::optional<duration> delay, bool lets_others_pass = false) {
    on(what, [&](auto& at_end, auto at, auto& x, auto& wanted) {
      at_end.failed(at, x.session, x.number, {{errc::busy, "later"}, delay, lets_others_pass},
                    wanted);
    });
  }

  void no_room(std::uint64_t what) {
    on(what, [](auto& at_end, auto at, auto& x, auto& wanted) {
      at_end.no_room(at, x.session, x.number, wanted);
    });
  }

  void missing(std::uint64_t what) {
    on(what, [](auto& at_end, auto, auto& x, auto& wanted) {
      at_end.missing(x.session, x.number, wanted);
    });
  }

  void agent_ended(std::uint64_t what) {
    on(what, [](auto& at_end, auto, auto& x, auto& wanted) {
      at_end.ended(x.session, x.number, wanted);
    });
  }

  void pass(duration span) {
    now += span;
    channel::sender::effects sent;
    channel::receiver::effects got;
    out.tick(now, sent);
    in.tick(now, got);
    carry_out(sent);
    carry_out(got);
  }

  /// The process of the receiver restarts; what its agents had is lost.
  void restart_receiver() {
    in = channel::receiver{++there, options_, 7};
    handed.clear();
  }

  /// The sender would not send it again after a restart.
  void forget(std::uint64_t what) {
    channel::sender::effects wanted;
    out.forgotten(now, what, wanted);
    carry_out(wanted);
  }

  void restart_sender() {
    out = channel::sender{++here, options_, 7};
  }

  // -- what happens ----------------------------------------------------------------------

  channel::verdict arrive(const channel::frame_header& head, const std::string& agent,
                          std::uint64_t what, std::optional<time_point> expires_at = {}) {
    channel::receiver::effects got;
    auto result = in.arrive(
      now, head, {agent, what, 1, expires_at, {{}, keeps ? 1 : head.session, what, redrives}}, got);
    carry_out(got);
    return result;
  }

  channel::verdict asked(const channel::probe& what) {
    channel::receiver::effects got;
    auto result = in.asked(now, what, got);
    carry_out(got);
    return result;
  }

  channel::verdict heard(const channel::acknowledgement& what) {
    channel::sender::effects wanted;
    auto result = out.heard(now, what, wanted);
    carry_out(wanted);
    return result;
  }

  /// The lines since the last call.
  std::string take_lines() {
    return std::exchange(lines, {});
  }

  time_point now{std::chrono::hours{1}};
  boot_number here = 1;
  boot_number there = 1;
  bool is_up = false;
  /// The sender keeps its messages over a restart.
  bool keeps = false;
  /// How often what it sends was sent again at somebody's wish.
  std::uint32_t redrives = 0;
  /// Of the message that the sender told the end of last.
  std::uint32_t failures = 0;
  /// By contents that went back.
  std::map<std::uint64_t, std::uint32_t> failures_of;
  /// So many frames are lost next.
  unsigned lost = 0;
  /// All questions of the sender are lost.
  bool loses_probes = false;
  std::string lines;
  std::map<std::uint64_t, channel::receiver::deliver> handed;
  /// Contents, as the sender tells.
  std::vector<std::pair<std::uint64_t, channel::outcome>> ended;
  std::vector<std::uint64_t> returned;
  /// At the receiver.
  std::vector<channel::receiver::dead> dead;

private:
  channel::options options_;

public:
  channel::sender out{1, options_, 7};
  channel::receiver in{1, options_, 7};

private:
  template <class... Ts>
  void say(const Ts&... what) {
    std::ostringstream line;
    (line << ... << what);
    lines += lines.empty() ? line.str() : '\n' + line.str();
  }

  static std::string text(const std::vector<channel::number_range>& which) {
    std::string result;
    for (auto& each : which)
      result += ' ' + std::to_string(each.first) + ".." + std::to_string(each.end - 1);
    return result;
  }

  template <class Job>
  void on(std::uint64_t what, Job job) {
    auto which = handed.extract(what).mapped();
    channel::receiver::effects got;
    job(in, now, which, got);
    carry_out(got);
  }

  bool goes() {
    if (!is_up)
      return false;
    if (lost == 0)
      return true;
    --lost;
    say("  lost");
    return false;
  }

  void carry_out(const channel::sender::effects& wanted) {
    for (auto& each : wanted)
      troupe::visit(overloaded{[&](const channel::sender::transmit& x) {
                                 say("-> ", x.head.number, " (base ", x.head.base, ") ", x.what,
                                     " for ", x.agent.text());
                                 if (goes())
                                   judge(arrive(x.head, x.agent.text(), x.what));
                               },
                               [&](const channel::sender::ask& x) {
                                 say("-> probe ", x.what.number, " base ", x.what.base,
                                     x.what.ended.empty() ? "" : ", ended", text(x.what.ended));
                                 if (!loses_probes && goes())
                                   judge(asked(x.what));
                               },
                               [&](const channel::sender::ended& x) {
                                 ended.emplace_back(x.what, x.how);
                                 failures = x.failures;
                                 say("told: ", x.what, ' ', name_of(x.how),
                                     x.why ? ": " + x.why.detail : "");
                               },
                               [&](const channel::sender::returned& x) {
                                 std::string all;
                                 for (auto& [content, times, was_sent] : x.what) {
                                   returned.push_back(content);
                                   failures_of[content] = times;
                                   all += ' ' + std::to_string(content);
                                 }
                                 say("returned of ", x.agent.text(), ':', all);
                               },
                               [&](const channel::sender::failing& x) {
                                 say("told: ", x.what, " fails: ", x.why.detail);
                               }},
                    each);
  }

  void judge(channel::verdict how) {
    if (how != channel::verdict::taken)
      say("  ", name_of(how));
  }

  void carry_out(const channel::receiver::effects& got) {
    for (auto& each : got)
      if (auto* x = std::get_if<channel::receiver::deliver>(&each)) {
        say("  ", x->agent.text(), " gets ", x->what,
            x->attempt > 1 ? ", try " + std::to_string(x->attempt) : "");
        handed.emplace(x->what, *x);
      } else if (auto* gone = std::get_if<channel::receiver::dead>(&each)) {
        dead.push_back(*gone);
        if (gone->how == channel::outcome::given_up)
          say("  gave up one of ", gone->agent.text());
      }
    if (!in.owes_word())
      return;
    auto word = in.take_word();
    std::string line = "<-";
    if (word.probe != 0)
      line += " probe " + std::to_string(word.probe) + " came " + std::to_string(word.came);
    if (!word.handled.empty())
      line += " handled" + text(word.handled);
    for (auto& other : word.others)
      line += ' ' + std::string{name_of(other.how)} + ' ' + std::to_string(other.number);
    for (auto& each : word.failing)
      line += " fails " + std::to_string(each.number);
    say(line);
    if (goes())
      judge(heard(word));
  }
};

} // namespace troupe::test
