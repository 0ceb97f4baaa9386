#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/channel/number_set.hpp"
#include "troupe/channel/types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/rising_map.hpp"
#include "troupe/core/shares.hpp"
#include "troupe/core/time.hpp"

namespace troupe::channel {

/// Decides which messages go to one other node, when, and which go again, until its receiver says
/// what has become of each.
///
/// A session begins with the process, whose boot_number names it, and counts its messages from one:
/// so one that restarts is never taken for its former life. Messages on their way are bounded, and
/// agents share them (see shares): one that is slow takes part of them only, and all others go on.
/// Nothing is sent without a link. Nothing is sent again on suspicion: in front of all over each
/// link, and after a silence, a probe asks what has come, and what has not goes again. A receiver
/// that has forgotten all, as its process has restarted, learns from the probe what has ended
/// already.
///
/// Where the agent is not there any more, nothing more is sent to it until all of its messages that
/// were on their way have ended; then they go back in their order.
///
/// How often an agent has failed at a message the receiver knows, until its process ends; this side
/// keeps it. An end of that process counts as well for the first message of each agent that no
/// others pass, which the agent may have had: so one at which the process ends each time is given
/// up, too. So does a move of the agent from a node that cannot be reached, as its process may have
/// ended.
///
/// Has no snapshot: nothing of it outlives the process. Contents stay with the host, which knows
/// them by numbers of its own. Cost: O(log n) for each message.
///
/// Sources: the selective acknowledgements of TCP (RFC 2018); a base in each frame as the first
/// outstanding TSN of SCTP (RFC 3758, forward TSN).
class sender {
public:
  using content = std::uint64_t;

  // -- effects -------------------------------------------------------------------------

  struct transmit {
    frame_header head;
    agent_id agent;
    content what = 0;
  };

  /// Goes over the link; without one, a link is wanted for it.
  struct ask {
    probe what;
  };

  struct ended {
    content what = 0;
    outcome how = outcome::lost;
    problem why{};
    /// The receiver has said so.
    bool is_told = false;
    /// How often its agent had it and failed, as far as that is known.
    std::uint32_t failures = 0;
  };

  /// What is not here any more.
  struct taken {
    content what = 0;
    /// How often an agent had it and failed, as far as that is known.
    std::uint32_t failures = 0;
    /// It was on its way.
    bool was_sent = false;
  };

  /// The agent is not there, and has got none of these; nothing more of it is here.
  struct returned {
    agent_id agent;
    std::vector<taken> what;
  };

  /// Its agent has failed, and gets it again.
  struct failing {
    content what = 0;
    problem why{};
    /// Later ones for its agent pass it meanwhile.
    bool is_passed = false;
  };

  using effect = std::variant<transmit, ask, ended, returned, failing>;
  using effects = std::vector<effect>;

  sender(boot_number session, const options& how, std::uint64_t seed)
    : session_(session), options_(how), random_(seed) {}

  sender(const sender&) = delete;
  sender& operator=(const sender&) = delete;
  sender(sender&&) = default;
  sender& operator=(sender&&) = default;
  ~sender() = default;

  // -- messages ------------------------------------------------------------------------

  /// What is to be sent.
  struct parcel {
    content what = 0;
    std::size_t bytes = 0;
    /// It may be delivered until then.
    std::optional<time_point> expires_at{};
    /// Another process would send it again if this one ended: forgotten() follows its end.
    bool is_kept = false;
    /// See `taken`.
    std::uint32_t failures = 0;
  };

  void put(time_point now, const agent_id& agent, const parcel& what, effects& out) {
    auto which = lanes_.try_emplace(agent).first;
    auto& lane = which->second;
    lane.queued.emplace(++last_place_, what);
    if (what.expires_at)
      waits_until_.emplace(std::pair{*what.expires_at, last_place_}, agent);
    if (!lane.is_in_line() && !lane.is_halted())
      line_up(which);
    if (is_open_)
      pump(now, out);
    else if (!ask_at_)
      ask_now(now, out);
  }

  /// Takes out all that is for this agent, in its order. What is on its way may be handled as well.
  [[nodiscard]] std::vector<taken> take_back(const agent_id& agent) {
    auto found = lanes_.find(agent);
    if (found == lanes_.end())
      return {};
    return take_out(found);
  }

  /// The same, as the agent is elsewhere and the receiver cannot be reached.
  [[nodiscard]] std::vector<taken> take_away(const agent_id& agent) {
    if (auto found = lanes_.find(agent); found != lanes_.end())
      count_end(found->second);
    return take_back(agent);
  }

  /// The first of those that are for this agent.
  [[nodiscard]] std::optional<taken> first_of(const agent_id& agent) const {
    auto found = lanes_.find(agent);
    if (found == lanes_.end())
      return std::nullopt;
    auto& lane = found->second;
    auto& first = lane.under_way.empty() ? lane.queued.begin()->second
                                         : under_way_.at(lane.under_way.first()).what;
    return taken{first.what, first.failures};
  }

  /// One that was kept has ended, and nobody would send it again from here on. Until then the
  /// receiver is to know that it has ended.
  void forgotten(time_point now, content what, effects& out) {
    if (auto found = ended_kept_.extract(what)) {
      not_forgotten_.erase(found.mapped());
      pump(now, out);
    }
  }

  /// Those for whom there is something here.
  [[nodiscard]] std::vector<agent_id> agents() const {
    std::vector<agent_id> result;
    for (auto& [agent, lane] : lanes_)
      result.push_back(agent);
    return result;
  }

  // -- the link ------------------------------------------------------------------------

  /// There is a link, or another one: what was on the one before may be lost.
  void link_up(time_point now, effects& out) {
    is_linked_ = true;
    is_open_ = false;
    silences_ = 0;
    ask_at_.reset(); // of what was here before, or could not go
    first_over_link_ = last_probe_ + 1;
    if (!lanes_.empty())
      ask_now(now, out);
  }

  void link_down(time_point now, effects& out) {
    is_linked_ = is_open_ = false;
    if (!lanes_.empty())
      ask_now(now, out);
  }

  [[nodiscard]] bool is_linked() const {
    return is_linked_;
  }

  /// The receiver says something.
  verdict heard(time_point now, const acknowledgement& said, effects& out) {
    if (said.session != session_)
      return verdict::repeated;
    if (!is_sensible(said))
      return verdict::nonsense;
    if (receiver_ && said.by < *receiver_)
      return verdict::repeated;
    if (receiver_ != said.by)
      meet(said.by);
    auto before = under_way_.size();
    for (auto& range : said.handled)
      for (auto each = under_way_.lower_bound(range.first);
           each != under_way_.end() && each->first < range.end;) {
        auto number = each->first;
        end({number, outcome::handled}, out);
        each = under_way_.lower_bound(number + 1); // others may have gone with it
      }
    for (auto& each : said.others)
      if (under_way_.contains(each.number))
        end(each, out);
    for (auto& each : said.failing)
      if (auto found = under_way_.find(each.number); found != under_way_.end()) {
        found->second.learn(each.failures);
        found->second.is_passed = each.is_passed;
        out.emplace_back(failing{found->second.what.what, in_few_words(each.why), each.is_passed});
      }
    auto answers = is_awaited(said.probe);
    if (answers) {
      is_answered_ = true;
      is_open_ = is_linked_;
      told_up_to_ = asked_up_to_; // also if it answers an earlier one: nothing was sent since
      send_again(said.came, out);
    }
    if (under_way_.size() != before || answers)
      go_quiet(now);
    pump(now, out);
    return verdict::taken;
  }

  // -- time ----------------------------------------------------------------------------

  void tick(time_point now, effects& out) {
    expire(now, out);
    if (ask_at_ && *ask_at_ <= now) {
      ask_at_.reset();
      if (!lanes_.empty())
        ask_now(now, out);
    }
    pump(now, out);
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = ask_at_;
    auto add = [&](time_point at) { next = std::min(next.value_or(at), at); };
    if (!waits_until_.empty())
      add(waits_until_.begin()->first.first);
    if (!under_way_until_.empty())
      add(under_way_until_.begin()->first);
    return next;
  }

  // -- what is there -------------------------------------------------------------------

  /// Messages on their way.
  [[nodiscard]] std::size_t under_way() const {
    return under_way_.size();
  }

  [[nodiscard]] std::size_t under_way_bytes() const {
    return bytes_;
  }

  [[nodiscard]] bool empty() const {
    return lanes_.empty();
  }

  [[nodiscard]] bool holds(const agent_id& agent) const {
    return lanes_.contains(agent);
  }

  /// The lowest that has not ended, or is not forgotten.
  [[nodiscard]] sequence_number base() const {
    auto first = under_way_.empty() ? next_ : under_way_.begin()->first;
    return not_forgotten_.empty() ? first : std::min(first, *not_forgotten_.begin());
  }

private:
  /// Whether something is on its way already: those go behind all others, which always may.
  using turn_number = std::pair<bool, std::uint64_t>;

  /// What is for one agent.
  struct agent_lane {
    /// By their places.
    rising_map<parcel> queued{};
    /// On their way.
    rising_set under_way{};
    std::size_t bytes = 0;
    /// Of those, as many has the receiver given back.
    std::size_t back = 0;
    /// Its first message; zero: none was sent.
    sequence_number run = 0;
    /// Its place in turns_; zeros: none.
    turn_number turn{};

    [[nodiscard]] bool is_in_line() const {
      return turn != turn_number{};
    }

    /// Whether the agent is not there.
    [[nodiscard]] bool is_halted() const {
      return back > 0;
    }
  };

  using lanes = std::map<agent_id, agent_lane>;
  using turns = std::map<turn_number, lanes::iterator>;

  /// One that was sent.
  struct sent {
    /// Of its agent; it is there as long as this.
    lanes::iterator lane;
    sequence_number run = 0;
    parcel what;
    /// The life of the receiver that it was sent to last.
    boot_number to = 0;
    /// The receiver has given it back.
    bool is_back = false;
    /// It has failed there, and others pass it.
    bool is_passed = false;

    /// A receiver may not know of all.
    void learn(std::uint32_t failures) {
      what.failures = std::max(what.failures, failures);
    }
  };

  /// How long after its end the receiver is given to say so of a message that was sent.
  static constexpr duration grace = std::chrono::seconds{5};
  /// Agents that have their share are passed over so often at a time.
  static constexpr std::size_t most_passed_over = 64;

  // -- out -----------------------------------------------------------------------------

  /// Sends what there is room for, of all agents in turn.
  void pump(time_point now, effects& out) {
    std::size_t passed_over = 0;
    while (is_open_ && !turns_.empty() && has_room()
           && passed_over < std::min(turns_.size(), most_passed_over)) {
      auto first = turns_.extract(turns_.begin());
      auto found = first.mapped();
      auto& lane = found->second;
      lane.turn = {};
      do { // more while no other one is in line
        if (!may_send(lane)) {
          ++passed_over;
          break;
        }
        passed_over = 0;
        send_next(now, found, out);
      } while (turns_.empty() && !lane.queued.empty() && has_room());
      if (lane.queued.empty())
        drop_if_empty(found);
      else
        line_up(std::move(first), lane);
    }
    if (is_open_ && is_answered_ && next_ - asked_up_to_ >= options_.max_messages)
      ask_now(now, out); // so that it forgets those that have ended
    if (is_open_ && !lanes_.empty() && !ask_at_)
      rest(now); // also where nothing may be sent before an answer, which may be lost
  }

  void line_up(lanes::iterator which) {
    draw_turn(which->second);
    turns_.emplace(which->second.turn, which);
  }

  /// The same for one that was there.
  void line_up(turns::node_type before, agent_lane& which) {
    draw_turn(which);
    before.key() = which.turn;
    turns_.insert(std::move(before));
  }

  void draw_turn(agent_lane& which) {
    which.turn = {!which.under_way.empty(), ++last_turn_};
  }

  void leave_line(agent_lane& which) {
    turns_.erase(std::exchange(which.turn, {}));
  }

  [[nodiscard]] bool has_room() const {
    return under_way_.size() + not_forgotten_.size() < options_.max_messages
           && bytes_ < options_.max_bytes && next_ - told_up_to_ < 2 * options_.max_messages;
  }

  [[nodiscard]] bool may_send(const agent_lane& of) const {
    using by_agent = shares<agent_id>;
    return of.under_way.empty()
           || (by_agent::may_take(of.under_way.size(),
                                  options_.max_messages - under_way_.size() - not_forgotten_.size())
               && by_agent::may_take(of.bytes, options_.max_bytes - bytes_,
                                     of.queued.begin()->second.bytes));
  }

  void send_next(time_point now, lanes::iterator which, effects& out) {
    auto& of = which->second;
    auto [place, what] = of.queued.take_first();
    waits_no_more(place, what);
    if (what.expires_at && *what.expires_at <= now) {
      out.emplace_back(expired(what));
      return;
    }
    auto number = next_++;
    if (of.run == 0)
      of.run = number;
    of.under_way.insert(number);
    of.bytes += what.bytes;
    bytes_ += what.bytes;
    if (what.expires_at)
      under_way_until_.emplace(*what.expires_at + grace, number);
    send(number, under_way_.emplace(number, sent{which, of.run, what}).first->second, out);
  }

  void send(sequence_number number, sent& it, effects& out) {
    it.to = *receiver_;
    out.emplace_back(transmit{{session_, *receiver_, base(), number, it.run, it.what.failures},
                              it.lane->first,
                              it.what.what});
  }

  /// The receiver lacks those from `came` on that had been sent when it was asked.
  void send_again(sequence_number came, effects& out) {
    if (!is_open_)
      return;
    for (auto each = under_way_.lower_bound(came);
         each != under_way_.end() && each->first < asked_up_to_; ++each)
      send(each->first, each->second, out);
  }

  // -- questions -----------------------------------------------------------------------

  /// Whether it matters what is said to that probe. Over a link that is slower than the next one
  /// comes, any opens it.
  [[nodiscard]] bool is_awaited(std::uint64_t probe) const {
    return probe != 0 && !is_answered_
           && (probe == last_probe_ || (!is_open_ && probe >= first_over_link_));
  }

  void ask_now(time_point now, effects& out) {
    probe made{session_, base(), ++last_probe_};
    auto next = made.base;
    auto kept = not_forgotten_;
    for (auto& [number, what] : under_way_)
      kept.insert(number);
    for (auto number : kept) {
      if (number > next)
        made.ended.push_back({next, number});
      next = number + 1;
    }
    if (next < next_)
      made.ended.push_back({next, next_});
    asked_up_to_ = next_;
    is_answered_ = false;
    out.emplace_back(ask{std::move(made)});
    rest(now);
  }

  /// Asks after a silence.
  void rest(time_point now) {
    silences_ += silences_ < max_silences ? 1 : 0;
    ask_at_ = now + options_.silence + options_.ask_again.delay(silences_, random_);
  }

  /// Something was heard.
  void go_quiet(time_point now) {
    ask_at_.reset();
    silences_ = 0;
    if (!lanes_.empty())
      rest(now);
  }

  /// The receiver has restarted, or is new: what the one before gave back, this one may deliver,
  /// and what the one before knew to have ended, this one cannot know.
  void meet(boot_number receiver) {
    for (auto& [agent, lane] : lanes_)
      count_end(lane);
    receiver_ = receiver;
    not_forgotten_.clear();
    ended_kept_.clear();
    for (auto& [number, what] : under_way_)
      what.is_back = what.is_passed = false;
    for (auto each = lanes_.begin(); each != lanes_.end(); ++each)
      if (std::exchange(each->second.back, 0) > 0 && !each->second.queued.empty())
        line_up(each);
  }

  /// The receiver's process has ended, as far as that agent is concerned.
  void count_end(const agent_lane& of) {
    if (of.under_way.empty() || of.is_halted())
      return;
    std::optional<sequence_number> next;
    of.under_way.for_each([&](auto number) {
      if (!next && !under_way_.at(number).is_passed)
        next = number;
    });
    auto& had = under_way_.at(next.value_or(of.under_way.first()));
    if (had.to == receiver_) // else that process did not get it
      had.learn(had.what.failures + 1);
  }

  // -- ends ----------------------------------------------------------------------------

  [[nodiscard]] bool is_sensible(const acknowledgement& said) const {
    auto is_sent
      = [this](const number_range& x) { return x.first > 0 && x.first < x.end && x.end <= next_; };
    return said.probe <= last_probe_ && said.came <= next_
           && std::ranges::all_of(said.handled, is_sent)
           && std::ranges::all_of(said.others,
                                  [this](const ending& x) {
                                    return x.number > 0 && x.number < next_
                                           && x.how != outcome::handled;
                                  })
           && std::ranges::is_sorted(said.failing, std::ranges::less_equal{}, &setback::number)
           && (said.failing.empty() || said.failing.back().number < next_);
  }

  /// One that is on its way has ended.
  void end(const ending& said, effects& out) {
    auto number = said.number;
    auto& which = under_way_.at(number);
    auto found = which.lane;
    auto& lane = found->second;
    if (said.how == outcome::not_here && which.is_back)
      return;
    if (said.how == outcome::not_here) {
      which.is_back = true;
      which.learn(said.failures);
      ++lane.back;
      leave_line(lane);
    } else {
      if (which.what.is_kept) {
        not_forgotten_.insert(number);
        ended_kept_.emplace(which.what.what, number);
      }
      which.learn(said.failures);
      auto gone = take_out(number);
      out.emplace_back(
        ended{gone.what, said.how, said.why, said.how != outcome::lost, gone.failures});
      lane.under_way.erase(number);
    }
    if (lane.is_halted() && lane.under_way.size() == lane.back) {
      auto agent = found->first;
      out.emplace_back(returned{std::move(agent), take_out(found)});
    } else if (!lane.is_halted() && !lane.queued.empty()) {
      if (lane.turn.first && lane.under_way.empty())
        leave_line(lane);
      if (!lane.is_in_line())
        line_up(found);
    } else {
      drop_if_empty(found);
    }
  }

  /// It is on its way no more.
  taken take_out(sequence_number number) {
    auto& gone = under_way_.at(number);
    auto& what = gone.what;
    auto& lane = gone.lane->second;
    bytes_ -= what.bytes;
    lane.bytes -= what.bytes;
    lane.back -= gone.is_back ? 1 : 0;
    if (what.expires_at)
      under_way_until_.erase({*what.expires_at + grace, number});
    taken result{what.what, what.failures, true};
    under_way_.erase(number);
    return result;
  }

  /// Returns what was on its way, and what waits behind it.
  std::vector<taken> take_out(lanes::iterator which) {
    auto& lane = which->second;
    std::vector<taken> result;
    result.reserve(lane.under_way.size() + lane.queued.size());
    lane.under_way.for_each([&](auto number) { result.push_back(take_out(number)); });
    for (auto& [place, each] : lane.queued) {
      waits_no_more(place, each);
      result.push_back({each.what, each.failures});
    }
    leave_line(lane);
    lanes_.erase(which);
    return result;
  }

  void waits_no_more(std::uint64_t place, const parcel& what) {
    if (what.expires_at)
      waits_until_.erase({*what.expires_at, place});
  }

  void drop_if_empty(lanes::iterator which) {
    auto& lane = which->second;
    if (lane.queued.empty() && lane.under_way.empty() && !lane.is_halted()) {
      leave_line(lane);
      lanes_.erase(which);
    }
  }

  static ended expired(const parcel& what) {
    return {.what = what.what, .how = outcome::expired, .failures = what.failures};
  }

  void expire(time_point now, effects& out) {
    while (!waits_until_.empty() && waits_until_.begin()->first.first <= now) {
      auto first = waits_until_.extract(waits_until_.begin());
      auto found = lanes_.find(first.mapped());
      auto& lane = found->second;
      out.emplace_back(expired(*lane.queued.take(first.key().second)));
      if (lane.queued.empty())
        leave_line(lane);
      drop_if_empty(found);
    }
    while (!under_way_until_.empty() && under_way_until_.begin()->first <= now)
      end({under_way_until_.begin()->second, outcome::lost}, out);
  }

  static constexpr std::uint32_t max_silences = 20;

  boot_number session_;
  options options_;
  random_source random_;
  bool is_linked_ = false;
  /// The receiver has answered over this link.
  bool is_open_ = false;
  std::optional<boot_number> receiver_;
  lanes lanes_;
  /// Those that have something to send, in turn.
  turns turns_;
  std::uint64_t last_turn_ = 0;
  rising_map<sent> under_way_;
  /// Of those.
  std::size_t bytes_ = 0;
  sequence_number next_ = 1;
  /// That were on their way and have ended, see forgotten().
  std::set<sequence_number> not_forgotten_;
  std::map<content, sequence_number> ended_kept_;
  /// Of those that are queued.
  std::uint64_t last_place_ = 0;
  /// When queued messages expire, with their places, and whose they are.
  std::map<std::pair<time_point, std::uint64_t>, agent_id> waits_until_;
  /// When nobody waits any more for what becomes of one that was sent.
  std::set<std::pair<time_point, sequence_number>> under_way_until_;
  std::optional<time_point> ask_at_;
  std::uint32_t silences_ = 0;
  std::uint64_t last_probe_ = 0;
  std::uint64_t first_over_link_ = 1;
  /// That had been sent by then.
  sequence_number asked_up_to_ = 1;
  bool is_answered_ = true;
  /// All below that have ended and are forgotten, the receiver has heard of.
  sequence_number told_up_to_ = 1;
};

} // namespace troupe::channel
