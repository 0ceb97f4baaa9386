#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "troupe/channel/types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/time.hpp"
#include "troupe/sim/world/findings.hpp"

namespace troupe::sim {

/// What channels promise, judged by what senders were told and what agents got. It sees no frame.
class delivery_laws {
public:
  using message_number = std::uint64_t;
  /// A process, and which of its lives.
  using life = std::pair<std::uint32_t, std::uint64_t>;

  /// A sender has accepted a message for an agent, behind all that it has accepted for that agent
  /// before. Returns its number.
  message_number accept(life by, const agent_id& agent) {
    auto number = ++last_;
    auto& line = lines_[{by, agent}];
    messages_.emplace(number, message{by, agent});
    line.insert(number);
    open_.insert(number);
    return number;
  }

  /// An agent gets it.
  void deliver(life there, message_number number, time_point now, findings& found) {
    auto& it = messages_.at(number);
    if (handled_.contains({there, number}))
      found.broken(text(number) + " is handled twice in one life of its receiver");
    if (++deliveries_[{there, number}] > channel::options{}.max_deliveries)
      found.broken(text(number) + " is delivered more often than it may be");
    if (auto asked = put_off_.find({there, number}); asked != put_off_.end() && now < asked->second)
      found.broken(text(number) + " is delivered before its agent wants it again");
    for (auto earlier : lines_.at({it.by, it.agent})) {
      if (earlier >= number)
        break;
      if (passed_.contains({there, earlier}))
        continue;
      found.broken(text(number)
                   + " is delivered before an earlier one for the same agent has ended");
    }
  }

  void handle(life there, message_number number) {
    handled_.emplace(there, number);
    ever_handled_.insert(number);
    leave(number);
  }

  /// It has failed, and others may pass it from here on.
  void let_pass(life there, message_number number) {
    passed_.emplace(there, number);
  }

  /// The agent does not want it before that. It had it of that life of the sender: the next one
  /// may send it again at once.
  void put_off(life there, message_number number, std::uint64_t of, time_point until) {
    if (messages_.at(number).by.second == of)
      put_off_.insert_or_assign({there, number}, until);
  }

  /// The agent has ended: the next one has said nothing yet.
  void end_agent(life there, const agent_id& agent) {
    std::erase_if(put_off_, [&](const auto& each) {
      return each.first.first == there && messages_.at(each.first.second).agent == agent;
    });
  }

  /// The receiver says that nobody gets it any more.
  void give_up(message_number number) {
    given_up_.insert(number);
    leave(number);
  }

  /// The sender says so to whoever sent it.
  void tell(message_number number, channel::outcome how, findings& found) {
    if (open_.erase(number) == 0)
      found.broken(text(number) + " has ended twice");
    ++told_;
    if (how == channel::outcome::handled && !ever_handled_.contains(number))
      found.broken(text(number) + " is told to be handled and was not");
    if (how == channel::outcome::given_up && !given_up_.contains(number))
      found.broken(text(number) + " is told to be given up and was not");
    if (how != channel::outcome::handled && how != channel::outcome::given_up)
      found.broken(text(number) + " has ended as " + std::string{name_of(how)});
    leave(number);
  }

  /// What that sender has accepted is lost with it.
  void end_of(life who) {
    std::erase_if(open_, [&](message_number each) { return messages_.at(each).by == who; });
  }

  /// But this one, which its next life sends again.
  void go_on(life who, message_number number) {
    auto& it = messages_.at(number);
    leave(number);
    it.by = who;
    auto has_ended = ever_handled_.contains(number) || given_up_.contains(number);
    auto& line = lines_[{who, it.agent}];
    if (!has_ended)
      line.insert(number);
    open_.insert(number);
    std::erase_if(put_off_, [&](const auto& each) { return each.first.second == number; });
  }

  /// There are no faults any more, and there was time.
  void check_end(findings& found) const {
    for (auto each : open_)
      found.broken(text(each) + " was accepted and is lost");
  }

  [[nodiscard]] std::size_t open() const {
    return open_.size();
  }

  [[nodiscard]] std::uint64_t told() const {
    return told_;
  }

private:
  struct message {
    life by;
    agent_id agent;
  };

  [[nodiscard]] std::string text(message_number number) const {
    auto& it = messages_.at(number);
    return "channels: message " + std::to_string(number) + " of process "
           + std::to_string(it.by.first) + " for " + it.agent.text();
  }

  /// No later one has to wait for it.
  void leave(message_number number) {
    auto& it = messages_.at(number);
    if (auto found = lines_.find({it.by, it.agent}); found != lines_.end())
      found->second.erase(number);
  }

  message_number last_ = 0;
  std::uint64_t told_ = 0;
  std::map<message_number, message> messages_;
  /// Accepted, and neither handled nor given up anywhere.
  std::map<std::pair<life, agent_id>, std::set<message_number>> lines_;
  /// Accepted, and not told.
  std::set<message_number> open_;
  std::set<std::pair<life, message_number>> handled_;
  std::set<message_number> ever_handled_;
  std::set<message_number> given_up_;
  std::map<std::pair<life, message_number>, std::uint32_t> deliveries_;
  /// That have failed, and that others may pass.
  std::set<std::pair<life, message_number>> passed_;
  /// Until when the agent does not want them.
  std::map<std::pair<life, message_number>, time_point> put_off_;
};

} // namespace troupe::sim
