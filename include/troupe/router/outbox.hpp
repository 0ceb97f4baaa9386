#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/channel/sender.hpp"
#include "troupe/channel/types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/rising_map.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/dead_letter.hpp"
#include "troupe/router/detail/probation.hpp"
#include "troupe/router/detail/refusals.hpp"

namespace troupe::router {

/// Decides what becomes of the messages that a node has accepted to deliver until they are
/// handled: each goes over the channel to the node of its agent, this one among them, and waits
/// while the agent is nowhere. Where the agent turns up on another node, and the one before cannot
/// be reached, its messages go there, in their order; then both may handle one.
///
/// Not so those that are bound to a node: one that may have been handled there does not go to
/// another, and ends with its state unknown.
///
/// Each message ends once: handled, or with the reason why not. Without a time-to-live one waits
/// for as long as its agent is nowhere.
///
/// Those that an earlier process has kept and that are for agents of this node are on probation if
/// that process did not end cleanly: see detail::probation.
///
/// Contents stay with the host, which knows them by numbers of its own that rise, and bounds them.
/// There is a channel for each node that ever got a message, as its session does not end before the
/// process does. Has no snapshot: nothing of it outlives the process.
class outbox {
public:
  using content = channel::sender::content;
  /// Says where an agent is; all zero: nowhere.
  using finder = std::function<node_id(const agent_id&)>;

  // -- effects -------------------------------------------------------------------------

  struct transmit {
    node_id to{};
    channel::sender::transmit what;
  };

  struct ask {
    node_id to{};
    channel::probe what;
  };

  /// What is known of a dead letter of this node.
  struct death {
    dead_reason reason = dead_reason::failed;
    /// What its agent said at last, or why it ended.
    problem why{};
    /// How often its agent had it and failed, as far as that is known.
    std::uint32_t failures = 0;
  };

  /// errc::none: it was handled.
  struct ended {
    content what = 0;
    problem why{};
    /// It was not handled, and is a dead letter of this node: where it has ended here, or is kept.
    /// Others that end on the node of their agent are dead letters there.
    std::optional<death> dead{};
  };

  /// Whoever waits for its end waits no more; it is kept.
  struct late {
    content what = 0;
    /// What its agent said when it failed last; errc::none: nobody has heard of a failure.
    problem why{};
  };

  /// Write that this message goes to that node; noted() follows.
  struct note {
    node_id to{};
    content what = 0;
    /// See item::ends.
    std::uint32_t ends = 0;
  };

  using effect = std::variant<transmit, ask, ended, late, note>;
  using effects = std::vector<effect>;

  /// `boot`: the start of this process, `self` the node.
  outbox(const node_id& self, boot_number boot, const channel::options& how, std::uint64_t seed,
         finder where)
    : self_(self),
      boot_(boot),
      options_(how),
      random_(seed),
      where_(std::move(where)),
      probation_(how.max_deliveries) {}

  // -- messages ------------------------------------------------------------------------

  /// That message, which take() follows with, is bound to the first node that it is sent to, unless
  /// a life of that says that its agent has not had it, and it was sent to no other life.
  void bind(content what) {
    bound_.emplace(what, place{});
  }

  /// The same of one that an earlier start may have sent to that node.
  void bind_to(content what, const node_id& node) {
    bound_.emplace(what, place{node, 1, false});
  }

  /// A message that was accepted.
  struct item {
    agent_id agent;
    std::size_t bytes = 0;
    std::optional<time_point> expires_at{};
    /// Whoever waits for its end does so until then.
    std::optional<time_point> patience{};
    /// The next process of this node goes on with it: forgotten() follows its end. If it is not
    /// handled it is a dead letter here.
    bool is_kept = false;
    /// Where it goes is to be on the disk before it goes there. Until then those behind it wait,
    /// for the same agent.
    bool is_noted_first = false;
    /// Where it goes, as it is on the disk.
    node_id noted{};
    /// It may have been sent to a node that does not have it any more, or by an earlier start of
    /// this one.
    bool may_have_gone = false;
    bool is_noting = false;
    /// What its agent said then; errc::none: nobody has heard of a failure.
    problem last_failure{};
    /// See channel::sender::taken.
    std::uint32_t failures = 0;
    /// How often the process of this node has ended while the agent had it there, as it is on the
    /// disk.
    std::uint32_t ends = 0;
    /// The process that accepted it did not end cleanly.
    bool is_on_probation = false;
  };

  void take(time_point now, content what, item it, effects& out) {
    auto agent = it.agent;
    if (it.patience)
      patient_until_.emplace(*it.patience, what);
    it.failures = std::max(it.failures, it.ends);
    auto ends = it.ends;
    if (it.is_on_probation)
      probation_.add(what, agent, ends);
    items_.emplace(what, std::move(it));
    if (probation_.is_over(ends)) {
      auto why = detail::ended_with_it(ends);
      return end(what, detail::given_up(why), death{dead_reason::failed, why, ends}, out);
    }
    if (auto found = waiting_.find(agent); found != waiting_.end())
      return wait(found->second, what);
    auto node = home_of(agent);
    if (node == node_id{})
      node = where_(agent);
    if (node == node_id{} || !may_go(now, what, node, out))
      return wait_for(now, agent, what);
    put(now, node, agent, what);
    carry_out(now, out);
  }

  /// That is on the disk, or cannot be written now: then it is tried again.
  void noted(time_point now, const note& which, bool is_written, effects& out) {
    --noting_;
    if (!is_written)
      note_at_ = now + note_again;
    auto found = items_.find(which.what);
    if (found == items_.end())
      return;
    found->second.is_noting = false;
    probation_.back(which.what);
    if (!is_written)
      return carry_out(now, out);
    found->second.noted = which.to;
    found->second.ends = which.ends;
    if (which.to == self_)
      probation_.counted(which.what);
    if (auto line = waiting_.find(found->second.agent); line != waiting_.end())
      send_waiting(now, line, out);
    carry_out(now, out);
  }

  /// This process goes on as a later start: nodes that know of one above its own would take what it
  /// says for late. What was on its way goes again.
  void go_on_as(time_point now, boot_number boot, effects& out) {
    boot_ = boot;
    homes_.clear();
    for (auto all = std::exchange(channels_, {}); auto& [node, each] : all)
      for (auto& agent : each.agents())
        for (auto& what : take_back(each, agent))
          put(now, node, agent, what);
    carry_out(now, out);
  }

  /// No later process of this node would go on with it: see channel::sender::forgotten().
  void forgotten(time_point now, content what, effects& out) {
    auto found = ended_on_.extract(what);
    if (!found)
      return;
    if (auto channel = channels_.find(found.mapped()); channel != channels_.end())
      channel->second.forgotten(now, what, wanted_by(found.mapped()));
    carry_out(now, out);
  }

  /// This process ends cleanly, which is not counted: what is to be on the disk before.
  struct farewell {
    std::vector<note> notes;
    /// The next one may go on without probation.
    bool is_clean = true;
  };

  [[nodiscard]] farewell last_words() const {
    farewell made{{}, !probation_.has_suspects()};
    for (auto& [what, ends] : probation_.counted()) {
      auto& noted = items_.at(what).noted; // it may have moved on since it was counted
      made.notes.push_back({noted != node_id{} ? noted : self_, what, ends});
    }
    return made;
  }

  // -- links ---------------------------------------------------------------------------

  void link_up(time_point now, const node_id& node, effects& out) {
    linked_.insert(node);
    if (auto found = channels_.find(node); found != channels_.end())
      found->second.link_up(now, wanted_by(node));
    carry_out(now, out);
  }

  void link_down(time_point now, const node_id& node, effects& out) {
    linked_.erase(node);
    if (auto found = channels_.find(node); found != channels_.end())
      found->second.link_down(now, wanted_by(node));
    carry_out(now, out);
  }

  channel::verdict heard(time_point now, const node_id& node, const channel::acknowledgement& what,
                         effects& out) {
    auto found = channels_.find(node);
    if (found == channels_.end())
      return channel::verdict::nonsense;
    auto result = found->second.heard(now, what, wanted_by(node));
    carry_out(now, out);
    return result;
  }

  /// That node cannot take messages of this class.
  void refused(const node_id& node, const problem& why, effects& out) {
    auto found = channels_.find(node);
    if (found == channels_.end())
      return;
    for (auto& agent : found->second.agents()) {
      homes_.erase(agent);
      for (auto& each : found->second.take_back(agent))
        end(each.what, why, death{dead_reason::incompatible, why, each.failures}, out);
    }
  }

  /// Ends what waits for that agent, as if its time were over, if no node in reach has it: one that
  /// an operator does not want to wait for. Returns how many. Cost: O(n log n) in these.
  std::size_t let_go(time_point now, const agent_id& agent, effects& out) {
    auto home = home_of(agent);
    auto there = home != node_id{} ? home : where_(agent);
    if (there == self_ || linked_.contains(there))
      return 0;
    std::vector<content> all;
    if (home != node_id{}) {
      homes_.erase(agent);
      all = take_away(channels_.at(home), agent);
    }
    if (auto line = waiting_.extract(agent); !line.empty())
      for (auto each : line.mapped()) {
        waits_no_more(each);
        all.push_back(each);
      }
    for (auto each : all)
      run_out(each, detail::let_go(), out);
    carry_out(now, out);
    return all.size();
  }

  // -- time ----------------------------------------------------------------------------

  void tick(time_point now, effects& out) {
    while (is_due(patient_until_, now)) {
      auto what = patient_until_.begin()->second;
      auto& it = items_.at(what);
      it.patience.reset();
      out.emplace_back(late{what, it.last_failure});
      patient_until_.erase(patient_until_.begin());
    }
    for (auto& [node, each] : channels_)
      if (auto due = each.next_deadline(); due && *due <= now)
        each.tick(now, wanted_by(node));
    while (is_due(waits_until_, now))
      expire(waits_until_.begin()->second, out);
    if (look_at_ && *look_at_ <= now)
      look(now, out);
    probation_.tick(now);
    carry_out(now, out);
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = look_at_;
    auto add = [&](const std::optional<time_point>& at) {
      next = next && at ? std::min(next, at) : std::max(next, at);
    };
    add(probation_.next_deadline());
    for (auto& [node, each] : channels_)
      add(each.next_deadline());
    for (auto* all : {&waits_until_, &patient_until_})
      if (!all->empty())
        add(all->begin()->first);
    return next;
  }

  /// What is known of the first message for an agent.
  struct standing {
    content what = 0;
    /// Where it goes; all zero: its agent is nowhere.
    node_id to{};
    bool is_linked = false;
    /// How often its agent has failed, as far as that is known, and what it said last.
    std::uint32_t failures = 0;
    problem last_failure{};
  };

  /// Nothing: there is none. Cost: O(log n), and where the agent is looked up.
  [[nodiscard]] std::optional<standing> standing_of(const agent_id& agent) const {
    if (auto home = homes_.find(agent); home != homes_.end())
      if (auto first = channels_.at(home->second).first_of(agent))
        return standing_of(first->what, home->second, first->failures);
    if (auto line = waiting_.find(agent); line != waiting_.end())
      return standing_of(*line->second.begin(), where_(agent), 0);
    return std::nullopt;
  }

  /// Messages that have not ended.
  [[nodiscard]] std::size_t size() const {
    return items_.size();
  }

private:
  /// Where a bound message was sent.
  struct place {
    node_id node{};
    /// Zero: nowhere.
    boot_number life = 0;
    /// It was sent to no other life.
    bool is_certain = true;
  };

  using times = std::set<std::pair<time_point, content>>;
  using lines = std::map<agent_id, std::set<content>>;

  /// How often it is looked where agents are for which messages wait.
  static constexpr duration look_every = std::chrono::milliseconds{200};
  /// That are noted at a time.
  static constexpr std::size_t most_noting = 100;
  /// Room for effects that is kept for the next ones, for each node.
  static constexpr std::size_t most_spare = 64;
  /// After the disk has refused.
  static constexpr duration note_again = std::chrono::seconds{1};

  static bool is_due(const times& all, time_point now) {
    return !all.empty() && all.begin()->first <= now;
  }

  [[nodiscard]] standing standing_of(content what, const node_id& to,
                                     std::uint32_t failures) const {
    auto& it = items_.at(what);
    return {what, to, to == self_ || linked_.contains(to), std::max(failures, it.failures),
            it.last_failure};
  }

  // -- agents --------------------------------------------------------------------------

  /// The node to which messages for it are going.
  node_id home_of(const agent_id& agent) {
    auto found = homes_.find(agent);
    if (found == homes_.end())
      return {};
    if (channels_.at(found->second).holds(agent))
      return found->second;
    homes_.erase(found);
    return {};
  }

  void put(time_point now, const node_id& node, const agent_id& agent, content what) {
    auto& it = items_.at(what);
    if (is_bound_elsewhere(what, node)) {
      wanted_by(node).emplace_back(channel::sender::ended{
        .what = what, .how = channel::outcome::lost, .failures = it.failures});
      return;
    }
    auto [found, is_new] = channels_.try_emplace(node, boot_, options_, random_.next());
    if (is_new && (node == self_ || linked_.contains(node)))
      found->second.link_up(now, wanted_by(node));
    homes_.insert_or_assign(agent, node);
    found->second.put(now, agent, {what, it.bytes, it.expires_at, it.is_kept, it.failures},
                      wanted_by(node));
    if (!look_at_)
      look_at_ = now + look_every;
  }

  [[nodiscard]] bool is_bound_elsewhere(content what, const node_id& node) const {
    auto found = bound_.find(what);
    return found != bound_.end() && found->second.life != 0 && found->second.node != node;
  }

  /// If not, it is written first where it goes, or waits for others.
  bool may_go(time_point now, content what, const node_id& node, effects& out) {
    if (is_bound_elsewhere(what, node))
      return true;
    if (node == self_ && !probation_.may_go(what))
      return false;
    auto& it = items_.at(what);
    auto is_to_count = node == self_ && !probation_.is_counted(what);
    if (!is_to_count && (!it.is_noted_first || (it.noted == node && !it.is_noting))) {
      if (node == self_)
        probation_.go(now, what);
      return true;
    }
    if (!it.is_noting && noting_ < most_noting && note_at_ <= now) {
      it.is_noting = true;
      ++noting_;
      if (node == self_)
        probation_.go(now, what);
      out.emplace_back(note{node, what, it.ends + (is_to_count ? 1 : 0)});
    }
    return false;
  }

  void wait_for(time_point now, const agent_id& agent, content what) {
    wait(waiting_[agent], what);
    if (!look_at_)
      look_at_ = now + look_every;
  }

  void wait(std::set<content>& line, content what) {
    line.insert(what);
    if (auto until = items_.at(what).expires_at)
      waits_until_.emplace(*until, what);
  }

  void waits_no_more(content what) {
    if (auto until = items_.at(what).expires_at)
      waits_until_.erase({*until, what});
  }

  /// Sends what waits for agents that are somewhere, and takes back what is for a node without a
  /// link whose agents are elsewhere.
  void look(time_point now, effects& out) {
    look_at_.reset();
    std::erase_if(
      homes_, [this](const auto& each) { return !channels_.at(each.second).holds(each.first); });
    for (auto& [node, each] : channels_)
      if (!each.empty() && node != self_ && !linked_.contains(node))
        move_from(now, node, each);
    for (auto next = waiting_.begin(); next != waiting_.end();)
      send_waiting(now, next++, out);
    auto is_busy = !waiting_.empty() || std::ranges::any_of(channels_, [](const auto& each) {
      return !each.second.empty();
    });
    if (is_busy)
      look_at_ = now + look_every;
    else
      look_at_.reset();
  }

  /// If their agent is somewhere: those in front of the first one that is to be noted. It and
  /// others behind it are noted together.
  void send_waiting(time_point now, lines::iterator which, effects& out) {
    auto& [agent, line] = *which;
    auto node = home_of(agent);
    if (node == node_id{})
      node = where_(agent);
    if (node == node_id{})
      return;
    while (!line.empty() && may_go(now, *line.begin(), node, out)) {
      auto what = *line.begin();
      line.erase(line.begin());
      waits_no_more(what);
      put(now, node, agent, what);
    }
    std::size_t seen = 0;
    for (auto each = line.begin(); each != line.end() && seen < most_noting; ++each, ++seen)
      if (node != self_ || !probation_.contains(*each)) // those go one by one
        static_cast<void>(may_go(now, *each, node, out));
    if (line.empty())
      waiting_.erase(which);
  }

  void move_from(time_point, const node_id& node, channel::sender& from) {
    for (auto& agent : from.agents())
      if (auto there = where_(agent); there != node_id{} && there != node) {
        homes_.erase(agent);
        auto& line = waiting_[agent];
        for (auto each : take_away(from, agent))
          wait(line, each);
      }
  }

  std::vector<content> take_back(channel::sender& from, const agent_id& agent) {
    return remember_sent(from.take_back(agent));
  }

  std::vector<content> take_away(channel::sender& from, const agent_id& agent) {
    return remember_sent(from.take_away(agent));
  }

  /// What was on its way may be handled as well.
  std::vector<content> remember_sent(const std::vector<channel::sender::taken>& all) {
    for (auto& each : all)
      if (each.was_sent)
        items_.at(each.what).may_have_gone = true;
    return remember(all);
  }

  std::vector<content> remember(const std::vector<channel::sender::taken>& all) {
    std::vector<content> result;
    for (auto& each : all) {
      items_.at(each.what).failures = each.failures;
      result.push_back(each.what);
    }
    return result;
  }

  // -- ends ----------------------------------------------------------------------------

  /// What the channel to that node wants done.
  channel::sender::effects& wanted_by(const node_id& node) {
    if (std::ranges::find(wanting_, node) == wanting_.end())
      wanting_.insert(std::ranges::lower_bound(wanting_, node), node);
    return wanted_[node];
  }

  void carry_out(time_point now, effects& out) {
    for (auto freed = probation_.take_freed(); !wanting_.empty() || !freed.empty();
         freed = probation_.take_freed()) {
      for (auto& agent : freed)
        if (auto line = waiting_.find(agent); line != waiting_.end())
          send_waiting(now, line, out);
      served_.swap(wanting_);
      for (auto& node : served_) {
        auto& wanted = wanted_.at(node);
        doing_.swap(wanted);
        for (auto& each : doing_)
          troupe::visit([&](auto& what) { pass_on(now, node, what, out); }, each);
        doing_.clear();
        if (doing_.capacity() > most_spare)
          doing_ = channel::sender::effects{}; // braces alone would keep the room
      }
      served_.clear();
    }
  }

  void pass_on(time_point, const node_id& to, channel::sender::transmit& what, effects& out) {
    if (auto found = bound_.find(what.what); found != bound_.end()) {
      auto& went = found->second;
      went.is_certain = went.life == 0 || (went.is_certain && went.life == what.head.to);
      went.node = to;
      went.life = what.head.to;
    }
    out.emplace_back(transmit{to, std::move(what)});
  }

  static void pass_on(time_point, const node_id& to, channel::sender::ask& what, effects& out) {
    out.emplace_back(ask{to, std::move(what.what)});
  }

  void pass_on(time_point, const node_id& from, channel::sender::ended& what, effects& out) {
    auto& it = items_.at(what.what);
    auto is_kept = it.is_kept;
    if (is_kept)
      ended_on_.emplace(what.what, from);
    if (what.how == channel::outcome::expired && !what.is_told)
      what.how = over(it);
    std::optional<death> dead;
    if (what.how != channel::outcome::handled && (is_kept || !what.is_told))
      dead = death_of(what);
    end(what.what, reason(what), std::move(dead), out);
  }

  void pass_on(time_point now, const node_id&, channel::sender::returned& what, effects&) {
    homes_.erase(what.agent);
    for (auto each : remember(what.what)) {
      if (auto found = bound_.find(each); found != bound_.end() && found->second.is_certain)
        found->second = {};
      probation_.back(each);
      wait_for(now, what.agent, each);
    }
  }

  void pass_on(time_point, const node_id&, channel::sender::failing& what, effects&) {
    items_.at(what.what).last_failure = std::move(what.why);
    probation_.failed(what.what, what.is_passed);
  }

  /// What becomes of one whose time is over before it is sent.
  static channel::outcome over(const item& it) {
    return it.may_have_gone ? channel::outcome::lost : channel::outcome::expired;
  }

  static death death_of(const channel::sender::ended& what) {
    switch (what.how) {
      case channel::outcome::given_up:
        return {dead_reason::failed, what.why, what.failures};
      case channel::outcome::expired:
        return {dead_reason::expired, detail::expired(), what.failures};
      case channel::outcome::handled:
      case channel::outcome::not_here:
      case channel::outcome::lost:
        break;
    }
    return {dead_reason::unknown, detail::end_unknown(), what.failures};
  }

  static problem reason(const channel::sender::ended& what) {
    switch (what.how) {
      case channel::outcome::handled:
        return {};
      case channel::outcome::given_up:
        return detail::given_up(what.why);
      case channel::outcome::expired:
        return detail::expired();
      case channel::outcome::not_here:
      case channel::outcome::lost:
        break;
    }
    return detail::end_unknown();
  }

  void expire(content what, effects& out) {
    auto agent = items_.at(what).agent;
    auto found = waiting_.find(agent);
    waits_no_more(what);
    found->second.erase(what);
    if (found->second.empty())
      waiting_.erase(found);
    run_out(what, detail::expired(), out);
  }

  /// The time of one that nothing knows of any more is over. `why`: if it was never sent.
  void run_out(content what, problem why, effects& out) {
    auto& it = items_.at(what);
    channel::sender::ended how{.what = what, .how = over(it), .failures = it.failures};
    auto dead = death_of(how);
    if (how.how == channel::outcome::expired)
      dead.why = why;
    else
      why = reason(how);
    end(what, std::move(why), std::move(dead), out);
  }

  void end(content what, problem why, std::optional<death> dead, effects& out) {
    bound_.erase(what);
    probation_.end(what);
    auto gone = items_.take(what);
    if (auto until = gone->patience)
      patient_until_.erase({*until, what});
    out.emplace_back(ended{what, std::move(why), std::move(dead)});
  }

  node_id self_;
  boot_number boot_;
  channel::options options_;
  random_source random_;
  finder where_;
  detail::probation probation_;
  rising_map<item> items_;
  std::map<node_id, channel::sender> channels_;
  std::set<node_id> linked_;
  std::map<content, place> bound_;
  /// To which node messages for an agent are going; some may have ended.
  std::map<agent_id, node_id> homes_;
  /// For agents that are nowhere, in the order of their numbers.
  lines waiting_;
  /// That were kept and are not forgotten, with the node that has told of their end.
  std::map<content, node_id> ended_on_;
  times waits_until_;
  times patient_until_;
  std::optional<time_point> look_at_;
  std::size_t noting_ = 0;
  /// Nothing is noted before.
  time_point note_at_{};
  /// What the channels want done, by their nodes.
  std::map<node_id, channel::sender::effects> wanted_;
  /// Those that may want something, in the order of their ids.
  std::vector<node_id> wanting_;
  /// What is being done of it, and for which of them.
  std::vector<node_id> served_;
  channel::sender::effects doing_;
};

} // namespace troupe::router
