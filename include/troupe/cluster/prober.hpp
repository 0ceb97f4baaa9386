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

#include "troupe/cluster/known_member.hpp"
#include "troupe/cluster/member_turns.hpp"
#include "troupe/cluster/swim_options.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"

namespace troupe::cluster {

/// Asks the members in turn whether they are there, and says which of them nobody can hear.
///
/// - In each period it pings the next member of the round. A member that does not answer in time is
///   pinged by some others and over its link, too.
/// - It pings for others, as they do for it.
/// - Where even those that it asks for help are silent, it doubts its own hearing: it takes more
///   time for each ping from then on.
///
/// It reads how members stand and changes nothing of that: see membership. Its host calls drop()
/// before it removes a member. Not thread-safe. Cost of a call: O(log n), of choosing whom to ask
/// O(n) where most are gone.
/// Sources: see swim.
class prober {
public:
  // -- effects ---------------------------------------------------------------------------

  /// Send this to a member.
  struct mail {
    node_id to;
    swim_mail::subject what;
  };

  /// Ask it over a link for a sign of life, making one if there is none.
  struct reach {
    std::uint32_t number = 0;
    node_id whom;
    duration wait{};
  };

  /// Datagrams do not get there, messages over the link do: for `lost_in_a_row` pings, and each
  /// further one.
  struct no_datagrams {
    node_id to;
  };

  /// They do again.
  struct datagrams_again {
    node_id to;
  };

  /// The member has answered a ping.
  struct answered {
    node_id whom;
  };

  /// The member has not answered anybody. It stood at that incarnation when it was pinged.
  struct unheard {
    node_id whom;
    incarnation when;
  };

  using effect = std::variant<mail, reach, no_datagrams, datagrams_again, answered, unheard>;
  using effects = std::vector<effect>;

  /// @pre all three outlive this
  prober(const swim_options& options, const known_members& members, random_source& random)
    : options_(options),
      members_(members),
      random_(random),
      round_(random, turns_drawn::each_round) {}

  prober(const prober&) = delete;
  prober& operator=(const prober&) = delete;

  /// A network loses some datagrams: that is no reason to have an operator look.
  static constexpr std::uint32_t lost_in_a_row = 3;

  /// So many of those that do not answer are tried over their links at a time; one, while this node
  /// doubts its own hearing.
  static constexpr std::uint32_t max_reached = 3;

  // -- in its turn -----------------------------------------------------------------------

  /// The first ping comes somewhere in the first period.
  void begin(time_point now) {
    probe_at_ = now + random_below(options_.period);
  }

  /// Ends the wait that is due first: others are asked, or the ping has failed. Returns false if no
  /// wait is due.
  bool end_wait(time_point now, effects& out) {
    if (waits_.empty() || waits_.begin()->first > now)
      return false;
    auto number = waits_.begin()->second;
    waits_.erase(waits_.begin());
    auto found = probes_.find(number);
    if (found == probes_.end()) {
      fail_errand(number, out);
    } else if (found->second.is_indirect) {
      fail(found, out);
    } else {
      ask_others(now, number, found->second, out);
      waits_.emplace(found->second.next = found->second.end, number);
    }
    return true;
  }

  /// Pings the next member if a period is over.
  void probe_next(time_point now, effects& out) {
    if (!probe_at_ || *probe_at_ > now)
      return;
    probe_at_ = now + slowed(options_.period);
    auto* next = round_.next(
      [this](auto& who) { return who.second.is_here() && !pinged_.contains(who.first); });
    if (next != nullptr)
      ping(now, *next, out);
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    if (waits_.empty())
      return probe_at_;
    return std::min(waits_.begin()->first, probe_at_.value_or(waits_.begin()->first));
  }

  // -- out of turn -----------------------------------------------------------------------

  /// There is reason to ask whether it is there.
  void doubt_about(time_point now, const node_id& who, effects& out) {
    auto found = members_.find(who);
    if (found != members_.end() && found->second.is_here() && !pinged_.contains(who))
      ping(now, *found, out);
  }

  /// Others have begun to suspect a member. Of all that are `present`, as many as it takes to agree
  /// ask it themselves, rather than when its turn comes.
  void give_opinion(time_point now, const node_id& suspect, std::size_t present, effects& out) {
    auto found = members_.find(suspect);
    if (found != members_.end() && !pinged_.contains(suspect)
        && random_.below(present) < options_.accusers)
      ping(now, *found, out);
  }

  /// Tries one of the dead.
  void try_the_dead(time_point now, effects& out) {
    for (auto* each : round_.some(1, [this](auto& who) {
           return who.second.is == member_status::dead && !pinged_.contains(who.first);
         }))
      ping(now, *each, out);
  }

  /// There is a sign of life of a member. One that is accused is pinged, as the ping tells it of
  /// that: at most once in five periods, whatever it sends.
  void show_life(time_point now, const node_id& who, effects& out) {
    auto found = members_.find(who);
    if (found == members_.end() || !found->second.is_accused() || pinged_.contains(who))
      return;
    auto last = accused_pinged_.find(who);
    if (last == accused_pinged_.end() || now - last->second >= 5 * options_.period)
      ping(now, *found, out);
  }

  // -- what comes ------------------------------------------------------------------------

  /// @pre `from` is a member
  void hear(time_point now, const node_id& from, const swim_mail::subject& what, effects& out) {
    troupe::visit([&](auto& each) { answer(now, from, each, out); }, what);
  }

  /// Whether a member has answered over its link: to the `reach` of that number.
  void reached(std::uint32_t number, bool has_answered, effects& out) {
    auto found = probes_.find(number);
    if (found == probes_.end() || !has_answered)
      return;
    auto& lost = by_link_[found->second.whom];
    lost = std::min(lost + 1, lost_in_a_row);
    if (lost == lost_in_a_row)
      out.emplace_back(no_datagrams{found->second.whom});
    end_well(found, out);
  }

  /// This node could not send to it.
  void not_sent(time_point now, const node_id& to, effects& out) {
    auto found = pinged_.find(to);
    if (found == pinged_.end())
      return;
    raise_doubt(1);
    auto number = found->second;
    auto& each = probes_.at(number);
    if (!std::exchange(each.is_indirect, true)) {
      waits_.erase({each.next, number});
      ask_others(now, number, each, out);
      waits_.emplace(each.next = each.end, number);
    }
  }

  // -- whom it asks ----------------------------------------------------------------------

  /// @pre it is one of `members`, and has not joined yet
  void join(const member_turns::entry& who) {
    round_.join(who);
  }

  /// Gives up what is under way to it. Cost: O(n).
  void drop(const node_id& who) {
    if (auto found = pinged_.extract(who)) {
      auto open = probes_.find(found.mapped());
      waits_.erase({open->second.next, open->first});
      probes_.erase(open);
    }
    accused_pinged_.erase(who);
    by_link_.erase(who);
    round_.drop(who);
  }

  /// Up to so many members that `fits`, drawn at random.
  template <class Fits>
  std::vector<const member_turns::entry*> some(std::size_t count, Fits fits) {
    return round_.some(count, fits);
  }

  // -- doubt -----------------------------------------------------------------------------

  /// How far it doubts its own hearing.
  [[nodiscard]] std::uint32_t doubt() const {
    return doubt_;
  }

  /// Others say that they do not hear this node. It counts once in a period, as long as that is at
  /// present: no more than the answer to a ping takes away. So a node that hears well stays fast,
  /// however often it is accused. In the source each accusation counts.
  void be_accused(time_point now) {
    if (accused_ && now - *accused_ < slowed(options_.period))
      return;
    accused_ = now;
    raise_doubt(1);
  }

  void raise_doubt(std::size_t by) {
    doubt_ = static_cast<std::uint32_t>(std::min<std::size_t>(doubt_ + by, options_.most_doubt));
  }

  /// This node has slept so long, and answers lie unread: each wait has as much longer.
  void lengthen(duration late) {
    for (auto& [number, each] : probes_) {
      each.next += late;
      each.end += late;
    }
    for (auto& [number, each] : errands_)
      each.next += late;
    std::set<std::pair<time_point, std::uint32_t>> later;
    for (auto& [when, number] : waits_)
      later.emplace(when + late, number);
    waits_ = std::move(later);
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    std::vector<std::string> found;
    auto expect = [&found](bool holds, const char* what) {
      if (!holds)
        found.emplace_back(what);
    };
    for (auto& [whom, number] : pinged_) {
      auto open = probes_.find(number);
      expect(open != probes_.end() && open->second.whom == whom, "a ping is lost");
      expect(members_.contains(whom), "a stranger is pinged");
    }
    expect(pinged_.size() == probes_.size(), "a member is pinged twice at once");
    expect(round_.size() == members_.size(), "the round lacks a member");
    for (auto& [whom, when] : accused_pinged_)
      expect(members_.contains(whom), "a stranger has been pinged");
    expect(errands_.size() <= options_.max_errands, "more errands than allowed");
    std::size_t counted = 0;
    for (auto& [asker, numbers] : errands_of_) {
      counted += numbers.size();
      expect(!numbers.empty(), "errands of nobody");
    }
    expect(counted == errands_.size(), "errands are miscounted");
    expect(waits_.size() == probes_.size() + errands_.size(), "a wait has no end");
    expect(doubt_ <= options_.most_doubt, "more doubt than allowed");
    for (auto& each : by_link_)
      expect(members_.contains(each.first), "a stranger has answered over a link");
    return found;
  }

private:
  /// A ping that this node has sent for itself.
  struct probe {
    node_id whom;
    incarnation when;
    time_point next;
    time_point end;
    bool is_indirect = false;
    /// Whom it has asked for help, and has heard nothing from.
    std::set<node_id> asked{};
    bool had_help = false;
    bool is_reached = false;
  };

  using probes = std::map<std::uint32_t, probe>;

  /// A ping for another member.
  struct errand {
    node_id whom;
    node_id asker;
    std::uint32_t number = 0;
    time_point next;
  };

  using errands = std::map<std::uint32_t, errand>;

  duration random_below(duration span) {
    auto bound = static_cast<std::uint64_t>(std::max(span, duration{1}).count());
    return duration{static_cast<std::int64_t>(random_.below(bound))};
  }

  [[nodiscard]] duration slowed(duration span) const {
    return span * (doubt_ + 1);
  }

  // -- pings of its own ------------------------------------------------------------------

  void ping(time_point now, const member_turns::entry& whom, effects& out) {
    auto number = ++last_number_;
    probe made{.whom = whom.first,
               .when = whom.second.told.what.when,
               .next = now + slowed(options_.answer_within),
               .end = now + slowed(options_.period)};
    waits_.emplace(made.next, number);
    probes_.emplace(number, std::move(made));
    pinged_.emplace(whom.first, number);
    if (whom.second.is_accused())
      accused_pinged_.insert_or_assign(whom.first, now);
    out.emplace_back(mail{whom.first, swim_ping{number}});
  }

  void ask_others(time_point now, std::uint32_t number, probe& each, effects& out) {
    each.is_indirect = true;
    for (auto* helper : round_.some(options_.helpers, [&](auto& who) {
           return who.second.is == member_status::alive && who.first != each.whom;
         })) {
      each.asked.insert(helper->first);
      each.had_help = true;
      out.emplace_back(mail{helper->first, swim_ping_request{number, each.whom}});
    }
    if (may_reach(each.whom)) {
      each.is_reached = true;
      out.emplace_back(reach{number, each.whom, each.end - now});
    }
  }

  /// Each may cost both a link, just where both may be short of time. Who has answered only over
  /// its link before is reached anyway.
  [[nodiscard]] bool may_reach(const node_id& whom) const {
    auto most = doubt_ > 0 ? 1U : max_reached;
    return by_link_.contains(whom) || std::ranges::count_if(probes_, [](auto& each) {
                                        return each.second.is_reached;
                                      }) < most;
  }

  void fail(probes::iterator which, effects& out) {
    auto lost = std::move(which->second);
    probes_.erase(which);
    pinged_.erase(lost.whom);
    // Helpers that say nothing at all are heard as little as the one pinged.
    raise_doubt(lost.had_help ? lost.asked.size() : 1);
    out.emplace_back(unheard{lost.whom, lost.when});
  }

  void end_well(probes::iterator which, effects& out) {
    auto whom = which->second.whom;
    waits_.erase({which->second.next, which->first});
    probes_.erase(which);
    pinged_.erase(whom);
    doubt_ -= doubt_ > 0 ? 1 : 0;
    out.emplace_back(answered{whom});
  }

  // -- mail that comes -------------------------------------------------------------------

  void answer(time_point, const node_id&, const swim_news&, effects&) {}

  void answer(time_point, const node_id& from, const swim_ping& what, effects& out) {
    out.emplace_back(mail{from, swim_ack{what.number}});
  }

  void answer(time_point now, const node_id& from, const swim_ping_request& what, effects& out) {
    if (!members_.contains(what.whom) || options_.max_errands == 0)
      return void(out.emplace_back(mail{from, swim_nack{what.number}}));
    if (errands_.size() >= options_.max_errands)
      fail_errand_of_many(out);
    auto number = ++last_number_;
    // Before the asker gives up, so that it learns that this node is there.
    errand made{what.whom, from, what.number, now + options_.answer_within * 4 / 5};
    waits_.emplace(made.next, number);
    errands_.emplace(number, made);
    errands_of_[from].insert(number);
    out.emplace_back(mail{what.whom, swim_ping{number}});
  }

  void answer(time_point, const node_id& from, const swim_ack& what, effects& out) {
    if (auto run = errands_.find(what.number); run != errands_.end()) {
      if (run->second.whom != from)
        return;
      auto done = end_errand(run);
      if (members_.contains(done.asker))
        out.emplace_back(mail{done.asker, swim_ack{done.number}});
      return;
    }
    auto found = probes_.find(what.number);
    if (found == probes_.end()
        || !(found->second.whom == from || found->second.asked.contains(from)))
      return;
    hear_itself(from, out);
    end_well(found, out);
  }

  /// A datagram of one that a datagram has reached.
  void hear_itself(const node_id& who, effects& out) {
    auto lost = by_link_.extract(who);
    if (lost && lost.mapped() == lost_in_a_row)
      out.emplace_back(datagrams_again{who});
  }

  void answer(time_point, const node_id& from, const swim_nack& what, effects&) {
    if (auto found = probes_.find(what.number); found != probes_.end())
      found->second.asked.erase(from);
  }

  // -- errands ---------------------------------------------------------------------------

  errand end_errand(errands::iterator which) {
    auto done = which->second;
    waits_.erase({done.next, which->first});
    auto of = errands_of_.find(done.asker);
    of->second.erase(which->first);
    if (of->second.empty())
      errands_of_.erase(of);
    errands_.erase(which);
    return done;
  }

  void fail_errand(std::uint32_t number, effects& out) {
    auto found = errands_.find(number);
    if (found == errands_.end())
      return;
    auto lost = end_errand(found);
    if (members_.contains(lost.asker))
      out.emplace_back(mail{lost.asker, swim_nack{lost.number}});
  }

  /// The oldest of whoever has the most: one that asks without end leaves room for the others.
  /// Cost: O(members that ask).
  void fail_errand_of_many(effects& out) {
    auto most
      = std::ranges::max_element(errands_of_, {}, [](auto& each) { return each.second.size(); });
    fail_errand(*most->second.begin(), out);
  }

  const swim_options& options_;
  const known_members& members_;
  random_source& random_;
  member_turns round_;
  probes probes_;
  /// The probe under way to each.
  std::map<node_id, std::uint32_t> pinged_;
  /// When each was pinged last while it was accused.
  std::map<node_id, time_point> accused_pinged_;
  errands errands_;
  /// The errands of each that has asked, the oldest first.
  std::map<node_id, std::set<std::uint32_t>> errands_of_;
  /// How many pings in a row each has answered over its link alone, up to `lost_in_a_row`.
  std::map<node_id, std::uint32_t> by_link_;
  std::uint32_t last_number_ = 0;
  /// When the next thing is to be done about each probe and errand.
  std::set<std::pair<time_point, std::uint32_t>> waits_;
  std::optional<time_point> probe_at_;
  std::uint32_t doubt_ = 0;
  /// When an accusation of this node was counted last.
  std::optional<time_point> accused_;
};

} // namespace troupe::cluster
