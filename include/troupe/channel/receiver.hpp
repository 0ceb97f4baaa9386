#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/channel/known_contents.hpp"
#include "troupe/channel/number_set.hpp"
#include "troupe/channel/types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/rising_map.hpp"
#include "troupe/core/time.hpp"

namespace troupe::channel {

/// Decides which messages of one other node agents get, when, and what that node is told of each:
/// that it was handled once the agent has handled it, never before; and of each failure before
/// that.
///
/// Each message is handled once at most in a life of the receiver, however often it comes, also if
/// the process of the sender restarts and sends under the same content_id what it has not heard of.
/// An agent gets one of a sender's messages at a time, in their order: the next when the one before
/// has ended. One that fails, or that the agent puts off, is tried again until it is given up. Only
/// the messages for its own agent wait meanwhile, and those too pass it where the agent asks for no
/// order. Behind a gap nothing is delivered, as nobody knows whose message is missing. One that its
/// agent neither handles nor refuses for too long is given up. What is known of those that have
/// ended is a few ranges, how those ended that were not handled, and the ids of some, until the
/// sender knows it.
///
/// Has no snapshot: nothing of it outlives the process. Contents stay with the host, which knows
/// them by numbers of its own. Cost: O(log n) for each message, but O(n) for one that comes behind
/// those after it.
class receiver {
public:
  using content = std::uint64_t;

  // -- effects -------------------------------------------------------------------------

  /// The agent is to have it; handled(), failed(), ended(), no_room() or missing() follows.
  struct deliver {
    boot_number session = 0;
    sequence_number number = 0;
    agent_id agent;
    content what = 0;
    /// From one.
    std::uint32_t attempt = 1;
  };

  /// Nobody needs that content any more.
  struct drop {
    content what = 0;
  };

  /// It has ended here, and was not handled; drop follows.
  struct dead {
    agent_id agent;
    content what = 0;
    /// Given_up, or expired.
    outcome how = outcome::given_up;
    /// How often the agent had it and failed.
    std::uint32_t failures = 0;
    problem why{};
  };

  using effect = std::variant<deliver, drop, dead>;
  using effects = std::vector<effect>;

  // -- events --------------------------------------------------------------------------

  /// A message that has come.
  struct arrival {
    agent_id agent;
    content what = 0;
    std::size_t bytes = 0;
    std::optional<time_point> expires_at{};
    /// The same each time that it comes, also in another session.
    content_id id{};
  };

  /// The agent has not handled a message.
  struct failure {
    problem why{};
    /// When the agent wants it again; nothing: after a backoff. It waits options::longest_delay at
    /// most.
    std::optional<duration> again_in{};
    /// The agent asks for no order: later messages pass this one until then.
    bool lets_others_pass = false;
  };

  /// `self`: the start of this process.
  receiver(boot_number self, const options& how, std::uint64_t seed)
    : self_(self), options_(how), random_(seed), known_(how) {}

  receiver(const receiver&) = delete;
  receiver& operator=(const receiver&) = delete;
  receiver(receiver&&) = default;
  receiver& operator=(receiver&&) = default;
  ~receiver() = default;

  // -- from the sender -----------------------------------------------------------------

  /// A message has come. Unless it is `taken`, its content is not needed.
  verdict arrive(time_point now, const frame_header& head, arrival what, effects& out) {
    auto number = head.number;
    if (number >= max_sequence || head.base == 0 || head.base > number || head.run == 0
        || head.run > number)
      return verdict::nonsense;
    if (head.to != self_ || !is_current(head.session, head.base, out))
      return verdict::repeated;
    move_base(now, head.base, out);
    if (came_.contains(number)) {
      if (ended_.contains(number))
        say(number);
      return verdict::repeated;
    }
    if (!has_room())
      return verdict::beyond_window;
    came_.add(number);
    bytes_ += what.bytes;
    auto lane = lanes_.try_emplace(what.agent).first;
    items_.emplace(number, item{std::move(what), lane, head.failures});
    if (planted_flaw == flaw::acknowledged_unhandled)
      fresh_.add(number);
    enter(number, head.run, lane, out);
    advance(now, out);
    return verdict::taken;
  }

  /// The sender asks what has come. Everything is said with the next acknowledgement.
  verdict asked(time_point now, const probe& what, effects& out) {
    if (!is_sensible(what))
      return verdict::nonsense;
    if (!is_current(what.session, what.base, out))
      return verdict::repeated;
    auto came = together(came_, what);
    auto ended = together(ended_, what);
    if (std::max(came.size(), ended.size()) > most_ranges())
      return verdict::nonsense;
    for (auto& range : what.ended)
      forget(range, out);
    came_ = std::move(came);
    ended_ = std::move(ended);
    move_base(now, what.base, out);
    advance(now, out);
    answers_ = what.number;
    return verdict::taken;
  }

  // -- from the agents -----------------------------------------------------------------

  void handled(time_point now, boot_number session, sequence_number number, effects& out) {
    if (auto before = renew(session, number, out))
      known_.ended_before(before->id, {number, outcome::handled});
    if (is_busy_with(session, number))
      end(now, number, outcome::handled, {}, out);
  }

  void failed(time_point now, boot_number session, sequence_number number, failure what,
              effects& out) {
    count_failure(renew(session, number, out));
    if (!is_busy_with(session, number))
      return;
    auto& it = items_.at(number);
    if (++it.failures < options_.max_deliveries) {
      failing_.insert_or_assign(number, in_few_words(what.why));
      return put_off(now, number, it, what, out);
    }
    give_up(now, number, std::move(what.why), out);
  }

  /// It can never be handled here.
  void refused(time_point now, boot_number session, sequence_number number, problem why,
               effects& out) {
    renew(session, number, out);
    if (is_busy_with(session, number))
      give_up(now, number, std::move(why), out);
  }

  /// Too much waits for the agent.
  void no_room(time_point now, boot_number session, sequence_number number, effects& out) {
    renew(session, number, out);
    if (!is_busy_with(session, number))
      return;
    if (planted_flaw == flaw::marked_unhandled)
      return end(now, number, outcome::handled, {}, out);
    auto& it = items_.at(number);
    wait(now + backoff(it), number, it);
  }

  /// Its time was over before the agent could get it.
  void expired(time_point now, boot_number session, sequence_number number, effects& out) {
    renew(session, number, out);
    if (is_busy_with(session, number))
      end(now, number, outcome::expired, {}, out);
  }

  /// There is no such agent here. Nor does it get anything more until the sender has heard so.
  void missing(boot_number session, sequence_number number, effects& out) {
    renew(session, number, out);
    if (!is_busy_with(session, number))
      return;
    auto& it = items_.at(number);
    auto& [agent, lane] = *it.lane;
    if (it.failures >= options_.max_deliveries) {
      problem why{errc::failed, "its agent has ended whenever it had this message"};
      mark(number, outcome::given_up, std::move(why), out);
    }
    lane.is_gone = true;
    gone_.emplace(lane.run, agent);
    for (auto each : lane.all()) {
      auto& gone = items_.at(each);
      known_.failed(gone.what.agent, gone.what.id, gone.failures);
      mark(each, outcome::not_here, {}, out);
    }
    if (gone_.size() > options_.max_messages)
      lanes_.erase(gone_.extract(gone_.begin()).value().second);
  }

  /// The same, of an agent that has ended while it had the message: as one that has failed. The
  /// next agent of that id gets each with the count that it had.
  void ended(boot_number session, sequence_number number, effects& out) {
    count_failure(renew(session, number, out));
    if (!is_busy_with(session, number))
      return;
    ++items_.at(number).failures;
    missing(session, number, out);
  }

  // -- what is said --------------------------------------------------------------------

  [[nodiscard]] bool owes_word() const {
    return answers_ != 0 || !fresh_.empty() || !failing_.empty();
  }

  /// What is to be said now.
  /// @pre owes_word()
  [[nodiscard]] acknowledgement take_word() {
    acknowledgement made{*session_, self_, answers_};
    if (answers_ != 0) {
      made.came = frontier_;
      fresh_ = ended_;
    }
    for (auto& range : fresh_.ranges()) {
      auto next = range.first;
      for (auto other = others_.lower_bound(next);
           other != others_.end() && other->first < range.end; ++other) {
        if (other->first > next)
          made.handled.push_back({next, other->first});
        made.others.push_back(other->second);
        next = other->first + 1;
      }
      if (next < range.end)
        made.handled.push_back({next, range.end});
    }
    for (auto& [number, why] : std::exchange(failing_, {})) {
      auto& it = items_.at(number);
      auto is_passed = it.lane->second.aside.contains(number);
      made.failing.push_back({number, std::move(why), it.failures, is_passed});
    }
    fresh_.clear();
    answers_ = 0;
    return made;
  }

  // -- time ----------------------------------------------------------------------------

  void tick(time_point now, effects& out) {
    while (auto gone = known_.take_silent(now))
      give_up_before(gone->first, gone->second, out);
    while (auto number = silent(now))
      give_up(now, number, unanswered(), out);
    while (!due_.empty() && due_.begin()->first <= now) {
      auto number = due_.begin()->second;
      due_.erase(due_.begin());
      auto found = items_.find(number);
      if (found == items_.end())
        continue;
      auto& it = found->second;
      if (is_over(it, now)) {
        end(now, number, outcome::expired, {}, out);
      } else if (auto lane = it.lane; lane->second.aside.erase(number) > 0) {
        lane->second.line.insert(number);
        go_on(now, lane, out);
      } else {
        hand(now, number, it, out);
      }
    }
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> next;
    auto add = [&](time_point at) { next = std::min(next.value_or(at), at); };
    if (!due_.empty())
      add(due_.begin()->first);
    if (!out_.empty())
      add(items_.at(out_.begin()->second).silent_at);
    if (auto silent = known_.next_deadline())
      add(*silent);
    return next;
  }

  // -- what is there -------------------------------------------------------------------

  /// Messages that have come and not ended, and those that agents have of earlier sessions.
  [[nodiscard]] std::size_t held() const {
    return items_.size() + known_.held();
  }

  /// What is kept of those that have ended: ranges, and those that were not handled.
  [[nodiscard]] std::size_t remembered() const {
    return ended_.size() + came_.size() + others_.size() + gone_.size() + known_.failures();
  }

  /// What is kept of single messages for a sender that restarts.
  [[nodiscard]] std::size_t remembered_ids() const {
    return known_.ends();
  }

private:
  /// What is for one agent.
  struct agent_lane {
    sequence_number run = 0;
    rising_set line{};
    /// That have failed and are passed by others until they are due.
    std::set<sequence_number> aside{};
    /// That the agent has, or gets again; zero: none.
    sequence_number busy_with = 0;
    /// The agent was not there: all of this run goes back.
    bool is_gone = false;

    [[nodiscard]] std::set<sequence_number> all() const {
      auto result = aside;
      line.for_each([&](auto number) { result.insert(number); });
      return result;
    }
  };

  using lanes = std::map<agent_id, agent_lane>;

  struct item {
    arrival what;
    /// Of its agent; it is there as long as this.
    lanes::iterator lane;
    std::uint32_t failures = 0;
    /// The agent has it, and is given up at that time.
    bool is_out = false;
    time_point silent_at{};
    /// Its place in out_.
    std::uint64_t turn = 0;
  };

  /// A sender has taken back some of what is here, and sends others.
  static constexpr std::size_t slack = 2;

  // -- sessions ------------------------------------------------------------------------

  /// Whether something of that session and that base is not late. A later session takes the place
  /// of the one before.
  bool is_current(boot_number session, sequence_number base, effects& out) {
    if (session_ && planted_flaw == flaw::restart_taken_for_old)
      return true;
    if (session_ && session <= *session_)
      return session == *session_ && base >= base_;
    end_session(out);
    items_.clear();
    lanes_.clear();
    due_.clear();
    out_.clear();
    gone_.clear();
    others_.clear();
    failing_.clear();
    ended_.clear();
    came_.clear();
    fresh_.clear();
    answers_ = 0;
    bytes_ = 0;
    session_ = session;
    base_ = frontier_ = base;
    return true;
  }

  /// What agents have of the session that ends they do not get again, if it comes again.
  void end_session(effects& out) {
    auto known = known_.end_session(others_);
    for (auto& [number, it] : items_) {
      known_.failed(it.what.agent, it.what.id, it.failures);
      if (!it.is_out || known.contains(number) || planted_flaw == flaw::delivery_forgotten) {
        out.emplace_back(drop{it.what.what});
        continue;
      }
      auto gone = known_.hold({*session_, number},
                              {it.what.agent, it.what.id, it.what.what, it.failures, it.silent_at});
      if (gone)
        out.emplace_back(drop{gone->what});
    }
  }

  /// One whose agent has had it for too long; zero: none.
  [[nodiscard]] sequence_number silent(time_point now) const {
    auto first = out_.empty() ? 0 : out_.begin()->second;
    return first != 0 && items_.at(first).silent_at <= now ? first : 0;
  }

  static problem unanswered() {
    return {errc::timed_out,
            "its agent has not answered in time, and may handle it yet; have each function return"};
  }

  /// Of an earlier session; of this one it is given up by itself.
  void give_up_before(sequence_number number, const known_contents::holding& it, effects& out) {
    if (it.now == 0) {
      out.emplace_back(dead{it.agent, it.what, outcome::given_up, it.failures, unanswered()});
      known_.ended_before(it.id, {number, outcome::given_up, unanswered(), it.failures});
    }
    out.emplace_back(drop{it.what});
  }

  /// The agent that has this has done with it. Of an earlier session: turns its place into that in
  /// this one, or returns it if it has not come again.
  std::optional<known_contents::holding> renew(boot_number& session, sequence_number& number,
                                               effects& out) {
    auto it = known_.let_go({session, number});
    if (!it)
      return std::nullopt;
    out.emplace_back(drop{it->what});
    if (it->now == 0)
      return it;
    session = *session_;
    number = it->now;
    return std::nullopt;
  }

  [[nodiscard]] bool is_sensible(const probe& what) const {
    auto next = what.base;
    if (next == 0 || next >= max_sequence || what.number == 0 || what.ended.size() > most_ranges())
      return false;
    for (auto& range : what.ended) {
      if (range.first < next || range.end <= range.first || range.end >= max_sequence)
        return false;
      next = range.end;
    }
    return true;
  }

  /// Between any two is one that has not ended, as the sender knows.
  [[nodiscard]] std::size_t most_ranges() const {
    return slack * options_.max_messages + 1;
  }

  static number_set together(number_set these, const probe& what) {
    for (auto& range : what.ended)
      these.add(range);
    these.drop_below(what.base);
    return these;
  }

  /// All below have ended.
  void move_base(time_point now, sequence_number base, effects& out) {
    if (base <= base_)
      return;
    forget({base_, base}, out);
    base_ = base;
    ended_.drop_below(base);
    came_.drop_below(base);
    fresh_.drop_below(base);
    advance(now, out);
  }

  /// The sender knows that these have ended.
  void forget(const number_range& which, effects& out) {
    others_.erase(others_.lower_bound(which.first), others_.lower_bound(which.end));
    known_.forget(which);
    for (auto each = items_.lower_bound(which.first);
         each != items_.end() && each->first < which.end;) {
      auto number = each->first;
      take_out(number, out);
      each = items_.lower_bound(number + 1);
    }
  }

  // -- agents --------------------------------------------------------------------------

  [[nodiscard]] bool has_room() const {
    return items_.size() < slack * options_.max_messages
           && others_.size() < slack * options_.max_messages && bytes_ < slack * options_.max_bytes;
  }

  void enter(sequence_number number, sequence_number run, lanes::iterator which, effects& out) {
    auto& [agent, lane] = *which;
    if (run > lane.run)
      begin_run(lane, run, agent, out);
    if (run < lane.run)
      return mark(number, outcome::lost, {}, out); // taken back meanwhile
    if (has_ended_before(number, out))
      return;
    if (lane.is_gone)
      return mark(number, outcome::not_here, {}, out);
    lane.line.insert(number);
  }

  /// What was of the run before has been taken back.
  void begin_run(agent_lane& of, sequence_number run, const agent_id& agent, effects& out) {
    gone_.erase({of.run, agent});
    auto before = of.all();
    of = {.run = run};
    for (auto each : before)
      mark(each, outcome::lost, {}, out);
  }

  /// Delivers what no gap is in front of any more.
  void advance(time_point now, effects& out) {
    auto before = std::exchange(frontier_, came_.next_absent(base_));
    if (planted_flaw == flaw::gap_passed_over && !came_.empty())
      frontier_ = came_.ranges().back().end;
    std::set<agent_id> whose;
    for (auto each = items_.lower_bound(std::min(before, frontier_));
         each != items_.end() && each->first < frontier_; ++each)
      if (auto& [agent, lane] = *each->second.lane; lane.busy_with == 0)
        whose.insert(agent);
    whose.merge(freed_);
    freed_.clear();
    for (auto& agent : whose)
      if (auto found = lanes_.find(agent); found != lanes_.end())
        go_on(now, found, out);
  }

  /// The next message of that agent, if it has none.
  void go_on(time_point now, lanes::iterator which, effects& out) {
    auto& [agent, lane] = *which;
    while (lane.busy_with == 0 && !lane.is_gone && !lane.line.empty()
           && lane.line.first() < frontier_) {
      auto number = lane.line.first();
      auto& it = items_.at(number);
      if (has_ended_before(number, out))
        continue;
      if (is_over(it, now)) {
        mark(number, outcome::expired, {}, out);
        continue;
      }
      lane.busy_with = number;
      it.failures = std::max(it.failures, known_.take_failures(agent, it.what.id));
      if (it.failures >= options_.max_deliveries) {
        mark(number, outcome::given_up, {errc::failed, "its agent has failed as often as it may"},
             out);
        continue;
      }
      hand(now, number, it, out);
    }
    if (lane.line.empty() && lane.aside.empty() && !lane.is_gone)
      lanes_.erase(which);
  }

  void hand(time_point now, sequence_number number, item& it, effects& out) {
    it.is_out = true;
    it.silent_at = now + options_.longest_handling;
    if (planted_flaw != flaw::silence_endured)
      out_.emplace(it.turn = ++last_turn_, number);
    if (known_.is_held(it.what.id, number))
      return;
    out.emplace_back(deliver{*session_, number, it.what.agent, it.what.what, it.failures + 1});
  }

  /// It has failed, and comes again.
  void put_off(time_point now, sequence_number number, item& it, const failure& how, effects& out) {
    auto delay = how.again_in ? std::clamp(*how.again_in, duration::zero(), options_.longest_delay)
                              : backoff(it);
    if (planted_flaw == flaw::delay_overlooked)
      delay = backoff(it);
    wait(now + delay, number, it);
    if (!how.lets_others_pass && planted_flaw != flaw::failure_overtaken)
      return;
    auto which = it.lane;
    auto& lane = which->second;
    lane.line.erase(number);
    lane.aside.insert(number);
    lane.busy_with = 0;
    go_on(now, which, out);
  }

  /// It is looked at when its time is over as well, so that it holds up no others after that.
  void wait(time_point until, sequence_number number, item& it) {
    it.is_out = false;
    out_.erase(it.turn);
    due_.emplace(std::min(until, it.what.expires_at.value_or(until)), number);
  }

  duration backoff(const item& of) {
    return options_.retry.delay(std::max(of.failures, 1U), random_);
  }

  void count_failure(const std::optional<known_contents::holding>& of) {
    if (of)
      known_.failed_again(of->agent, of->id);
  }

  [[nodiscard]] bool is_busy_with(boot_number session, sequence_number number) const {
    auto found = items_.find(number);
    return session_ == session && found != items_.end() && found->second.is_out;
  }

  static bool is_over(const item& it, time_point now) {
    return it.what.expires_at && *it.what.expires_at <= now;
  }

  // -- ends ----------------------------------------------------------------------------

  void give_up(time_point now, sequence_number number, problem why, effects& out) {
    end(now, number, outcome::given_up, in_few_words(std::move(why)), out);
  }

  void end(time_point now, sequence_number number, outcome how, problem why, effects& out) {
    auto lane = items_.at(number).lane;
    mark(number, how, std::move(why), out, false);
    if (!freed_.empty())
      freed_.erase(lane->first);
    go_on(now, lane, out);
  }

  /// `frees`: its agent is looked at with the next ones that come.
  void mark(sequence_number number, outcome how, problem why, effects& out, bool frees = true) {
    if (how == outcome::given_up || how == outcome::expired) {
      auto& it = items_.at(number);
      out.emplace_back(dead{it.what.agent, it.what.what, how, it.failures, why});
    }
    set_end(number, how, std::move(why), out, frees);
  }

  bool has_ended_before(sequence_number number, effects& out) {
    auto before = known_.take_end(items_.at(number).what.id);
    if (!before)
      return false;
    items_.at(number).failures = before->failures;
    set_end(number, before->how, std::move(before->why), out);
    return true;
  }

  void set_end(sequence_number number, outcome how, problem why, effects& out, bool frees = true) {
    if (how != outcome::not_here && how != outcome::lost)
      known_.ended(number, items_.at(number).what.id);
    if (how != outcome::handled)
      others_.insert_or_assign(number,
                               ending{number, how, std::move(why), items_.at(number).failures});
    take_out(number, out, frees);
    ended_.add(number);
    fresh_.add(number);
  }

  /// Says once more how it has ended.
  void say(sequence_number number) {
    fresh_.add(number);
  }

  void take_out(sequence_number number, effects& out, bool frees = true) {
    auto& gone = items_.at(number);
    out_.erase(gone.turn);
    failing_.erase(number);
    bytes_ -= gone.what.bytes;
    out.emplace_back(drop{gone.what.what});
    auto& [agent, lane] = *gone.lane;
    items_.erase(number);
    lane.line.erase(number);
    lane.aside.erase(number);
    if (lane.busy_with == number)
      lane.busy_with = 0;
    if (frees)
      freed_.insert(agent);
  }

  boot_number self_;
  options options_;
  random_source random_;
  std::optional<boot_number> session_;
  sequence_number base_ = 1;
  /// All below have come.
  sequence_number frontier_ = 1;
  /// From base_ on: those that have come, and of those, all that have ended.
  number_set came_;
  number_set ended_;
  /// That have come and not ended.
  rising_map<item> items_;
  std::size_t bytes_ = 0;
  lanes lanes_;
  /// Lanes that are gone, by their runs.
  std::set<std::pair<sequence_number, agent_id>> gone_;
  /// Whose messages have ended since all were looked at.
  std::set<agent_id> freed_;
  /// When those come again that have failed.
  std::set<std::pair<time_point, sequence_number>> due_;
  /// Those that agents have, in the order in which they are given up.
  rising_map<sequence_number> out_;
  std::uint64_t last_turn_ = 0;
  /// How those ended that were not handled, as far as the sender may not know it.
  std::map<sequence_number, ending> others_;
  /// Of earlier sessions, and of this one for the next.
  known_contents known_;
  /// That have failed since the last word, and have not ended.
  std::map<sequence_number, problem> failing_;
  /// That have ended since the last word.
  number_set fresh_;
  std::uint64_t answers_ = 0;
};

} // namespace troupe::channel
