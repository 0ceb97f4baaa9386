#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/cluster/exchange_types.hpp"
#include "troupe/cluster/record_tellers.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// Decides when which member is asked about which nodes. Part of `record_pull`.
///
/// - News is gathered for a moment; then one question asks a member about all nodes that are due. A
///   member has one question at a time.
/// - Where news follows news, it is gathered for twice as long each time, the longer the more nodes
///   there are, up to `gather_at_most`: where many nodes start at once, each would ask about each
///   other one by itself. The first news after a rest, and that of a few nodes, waits for
///   `gather_for`.
/// - What brings nothing is tried again, ever later, and soon when a link may help; about a node
///   that is gone, max_vain times.
/// - Where answers take long, as where many nodes start at once, the next question waits for twice
///   as long: so the busier the members are, the more one question asks about. So it does, ever
///   longer, where answers in a row leave something to be tried again, of whatever nodes.
/// - A member without a link is asked once in `dial_every`, and less often where answers take long;
///   in between those that have one are: of many nodes that start at once each would make links to
///   most others, whose records the linked ones get in a moment. Whose turn comes while that may
///   not be is first when it may again: so one that is never reached does not keep others from it.
/// - A member that has more to tell is asked again at once, for answer_within in all; then another
///   one is: whoever never comes to an end would keep others from being asked.
/// - Who has told something wrong of a node is not asked about it again in that life of it.
///
/// Not thread-safe. Cost of a call: O(log n) in the nodes; of take_due for each node that is due
/// O(n) in links and open questions.
class record_questions {
public:
  /// Ask that member.
  struct ask {
    request_id id = 0;
    node_id whom;
    std::vector<record_wish> what;
  };

  /// A question that is open no more.
  struct closed {
    node_id whom;
    /// The nodes that it was still to answer for.
    std::set<node_id> about;
    /// When the member was asked the first of the questions that go on from each other.
    time_point began{};
  };

  record_questions(const node_id& self, const exchange_options& options)
    : options_(options), tellers_(self) {}

  record_questions(const record_questions&) = delete;
  record_questions& operator=(const record_questions&) = delete;

  // -- what it hears ---------------------------------------------------------------------

  /// `by` has told of that node, which is there.
  void told(time_point now, const node_id& node, const node_id& by) {
    auto& each = subjects_[node];
    if (!std::exchange(each.is_here, true)) {
      dial_at_ = now; // it is not one of many that have just started
      ask_soon(now, node, each);
    }
    each.told_by = by;
  }

  /// That node is not there any more; others may have what it has said.
  void gone(const node_id& node) {
    if (auto found = subjects_.find(node); found != subjects_.end())
      found->second.is_here = false;
  }

  void forget(const node_id& node) {
    if (auto found = subjects_.find(node); found != subjects_.end()) {
      cancel(node, found->second);
      subjects_.erase(found);
    }
  }

  void link_up(time_point now, const node_id& who) {
    tellers_.link_up(who);
    if (auto found = subjects_.find(who); found != subjects_.end())
      ask_soon(now, who, found->second); // it knows best
    if (tellers_.linked() > 1 || due_.empty())
      return;
    for (auto& [node, each] : subjects_) // nobody could be asked
      ask_soon(now, node, each);
  }

  void link_down(const node_id& who) {
    tellers_.link_down(who);
  }

  // -- what is to be asked: of nodes that it was told of ---------------------------------

  /// There is something new of that node.
  void want(time_point now, const node_id& node) {
    auto& each = subjects_.at(node);
    if (each.due && *each.due > now + options_.retry_at_most)
      cancel(node, each); // that was of something else
    if (!each.due && each.asked == 0)
      plan(soon(now), node, each);
  }

  /// Nothing is wanted of it.
  void want_nothing(const node_id& node) {
    auto& each = subjects_.at(node);
    cancel(node, each);
    each.vain = 0;
    each.missed.reset();
  }

  /// It lives anew: what is asked of its past is of no use, and nobody has told anything wrong.
  void begin_anew(const node_id& node) {
    want_nothing(node);
    subjects_.at(node).distrusted.clear();
  }

  /// The question about it has brought nothing.
  void try_again(time_point now, const node_id& node) {
    auto& each = subjects_.at(node);
    if (!each.is_here && each.vain >= options_.max_vain)
      return;
    auto wait = wait_after(each.vain);
    ++each.vain;
    if (!std::exchange(was_vain_, true))
      rests_until_ = std::max(rests_until_, now + wait_after(vain_in_a_row_++));
    plan(with_others(std::max(now + wait, rests_until_)), node, each);
  }

  /// It says what cannot be kept here at present.
  void try_later(time_point now, const node_id& node) {
    auto& each = subjects_.at(node);
    each.missed.reset(); // others do not wait for it so long
    plan(now + options_.unkept_after, node, each);
  }

  /// That member has told something wrong of it. The node itself is asked again.
  void distrust(const node_id& node, const node_id& who) {
    auto& each = subjects_.at(node);
    if (each.distrusted.size() < options_.max_distrusted && who != node)
      each.distrusted.insert(who);
  }

  // -- questions -------------------------------------------------------------------------

  /// What is to be asked now. `wish_for(node)` returns the record_wish for a node.
  template <class Wish>
  [[nodiscard]] std::vector<ask> take_due(time_point now, Wish wish_for) {
    std::map<node_id, ask> all;
    while (!due_.empty() && due_.begin()->first <= now) {
      auto node = due_.begin()->second;
      auto& each = subjects_.at(node);
      auto is_first = missed_.empty() || missed_.begin()->second == node;
      cancel(node, each);
      record_tellers::subject what{node,
                                   each.is_here,
                                   each.told_by,
                                   each.distrusted,
                                   each.vain,
                                   dial_at_ <= now && is_first,
                                   each.missed.has_value()};
      auto whom = tellers_.choose(what);
      note_turn(now, each, !what.may_dial && tellers_.is_to_dial(what));
      if (!tellers_.is_linked(whom) && whom != dialled_ && dial_at_ > now) {
        // Nobody has a link. Those that were asked about least come first.
        plan(dial_at_ + std::min(each.vain, 1'000U) * std::chrono::milliseconds{1}, node, each);
        continue;
      }
      auto& one = all[whom];
      if (one.what.size() >= options_.max_asked || is_asked(whom)) {
        plan(with_others(now + std::max(options_.gather_for, gathers_for_)), node, each);
        continue;
      }
      if (one.id == 0)
        one.id = ++last_question_;
      if (!tellers_.is_linked(whom)) {
        dialled_ = whom;
        dial_at_ = now + options_.dial_every + 4 * last_pause_;
      }
      each.asked = one.id;
      one.what.push_back(wish_for(node));
    }
    std::vector<ask> made;
    for (auto& [whom, one] : all)
      if (!one.what.empty())
        made.push_back(open(now, now, whom, std::move(one)));
    return made;
  }

  [[nodiscard]] bool may_ask_more(time_point now, const closed& last) const {
    return now - last.began < options_.answer_within;
  }

  /// The member of that question is asked for the rest.
  [[nodiscard]] ask ask_more(time_point now, const closed& last, std::vector<record_wish> what) {
    ask made{++last_question_, last.whom, std::move(what)};
    for (auto& wish : made.what) {
      auto& each = subjects_.at(wish.owner);
      cancel(wish.owner, each);
      each.asked = made.id;
    }
    return open(now, last.began, last.whom, std::move(made));
  }

  /// There is an answer, or none has come. Returns no value if no such question is open.
  [[nodiscard]] std::optional<closed> close(time_point now, request_id id, bool is_answered) {
    auto found = questions_.extract(id);
    if (!found)
      return std::nullopt;
    if (!std::exchange(was_vain_, false))
      vain_in_a_row_ = 0;
    if (is_answered && found.mapped().had_link) {
      auto pause = (last_pause_ + 2 * (now - found.mapped().asked)) / 2;
      last_pause_ = std::min(pause, options_.retry_at_most);
      rests_until_ = now + last_pause_;
    }
    closed made{found.mapped().whom, {}, found.mapped().began};
    for (auto& node : found.mapped().about)
      if (auto known = subjects_.find(node);
          known != subjects_.end() && known->second.asked == id) {
        known->second.asked = 0;
        made.about.insert(node);
      }
    return made;
  }

  /// Questions that have waited for too long. O(n) in the open questions.
  [[nodiscard]] std::vector<request_id> late(time_point now) const {
    std::vector<request_id> found;
    for (auto& [id, each] : questions_)
      if (each.until <= now)
        found.push_back(id);
    return found;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> next;
    auto no_later = [&next](time_point when) { next = std::min(next.value_or(when), when); };
    if (!due_.empty())
      no_later(due_.begin()->first);
    for (auto& [id, each] : questions_)
      no_later(each.until);
    return next;
  }

  // -- what it knows ---------------------------------------------------------------------

  [[nodiscard]] bool is_here(const node_id& node) const {
    auto found = subjects_.find(node);
    return found != subjects_.end() && found->second.is_here;
  }

  /// Whether somebody is asked about that node, or will be.
  [[nodiscard]] bool is_open(const node_id& node) const {
    auto found = subjects_.find(node);
    return found != subjects_.end() && (found->second.due || found->second.asked != 0);
  }

  [[nodiscard]] std::size_t size() const {
    return subjects_.size();
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    std::vector<std::string> found;
    auto expect = [&found](bool holds, const char* what) {
      if (!holds)
        found.emplace_back(what);
    };
    std::size_t due = 0;
    std::size_t missed = 0;
    for (auto& [node, each] : subjects_) {
      due += each.due ? 1 : 0;
      missed += each.due && each.missed ? 1 : 0;
      expect(!each.due || !each.missed || missed_.contains({*each.missed, node}),
             "a node has lost its turn");
      expect(each.distrusted.size() <= options_.max_distrusted, "more are distrusted than allowed");
      expect(!each.due || due_.contains({*each.due, node}), "a node is never asked about");
      expect(each.asked == 0 || questions_.contains(each.asked), "a question is lost");
    }
    expect(due == due_.size(), "somebody is asked about a node that is not known");
    expect(missed == missed_.size(), "a link is to be made for a node that is not asked about");
    return found;
  }

private:
  /// A node that was told of.
  struct subject {
    node_id told_by{};
    bool is_here = true;
    /// When to ask, or under which question it is asked about.
    std::optional<time_point> due;
    request_id asked = 0;
    /// Tries that brought nothing.
    std::uint32_t vain = 0;
    /// Since when no link might be made for it although its turn had come.
    std::optional<time_point> missed;
    std::set<node_id> distrusted;
  };

  struct question {
    node_id whom;
    std::vector<node_id> about;
    time_point began{};
    time_point asked{};
    time_point until{};
    bool had_link = false;
  };

  /// After so many tries that brought nothing.
  [[nodiscard]] duration wait_after(std::uint32_t vain) const {
    auto wait = options_.retry_after * (1U << (std::clamp(vain, 3U, 13U) - 3));
    return std::min<duration>(wait, options_.retry_at_most);
  }

  /// When news is gathered, and those that answer have had a rest.
  [[nodiscard]] time_point soon(time_point now) {
    if (gathered_at_ < now + options_.gather_for) {
      auto is_first = gathered_at_ + gathers_for_ < now;
      gathers_for_ = is_first ? options_.gather_for : std::min(2 * gathers_for_, longest_gather());
      gathered_at_ = now + gathers_for_;
    }
    return std::max(gathered_at_, rests_until_);
  }

  /// Grows with the nodes, as with them does what each change costs all of them together.
  [[nodiscard]] duration longest_gather() const {
    constexpr std::int64_t few = 8;
    auto longest = options_.gather_for * static_cast<std::int64_t>(subjects_.size()) / few;
    return std::max(options_.gather_for, std::min(longest, options_.gather_at_most));
  }

  /// With what is being gathered, if that is asked about later.
  [[nodiscard]] time_point with_others(time_point when) const {
    return std::max(when, gathered_at_);
  }

  void cancel(const node_id& node, subject& each) {
    if (each.due && each.missed)
      missed_.erase({*each.missed, node});
    if (each.due)
      due_.erase({*std::exchange(each.due, std::nullopt), node});
    each.asked = 0;
  }

  void plan(time_point when, const node_id& node, subject& each) {
    if (each.due || each.asked != 0)
      return;
    each.due = when;
    due_.emplace(when, node);
    if (each.missed)
      missed_.emplace(*each.missed, node);
  }

  /// @pre nothing is planned for it
  static void note_turn(time_point now, subject& each, bool is_missed) {
    if (!is_missed)
      each.missed.reset();
    else if (!each.missed)
      each.missed = now;
  }

  /// Whatever was in vain before.
  void ask_soon(time_point now, const node_id& node, subject& each) {
    if (!each.due)
      return;
    cancel(node, each);
    each.vain = 0;
    each.missed.reset();
    plan(now + options_.gather_for, node, each);
  }

  [[nodiscard]] bool is_asked(const node_id& whom) const {
    return std::ranges::any_of(questions_, [&](auto& each) { return each.second.whom == whom; });
  }

  ask open(time_point now, time_point began, const node_id& whom, ask what) {
    question made{whom, {}, began, now, now + options_.answer_within, tellers_.is_linked(whom)};
    for (auto& each : what.what)
      made.about.push_back(each.owner);
    questions_.emplace(what.id, std::move(made));
    what.whom = whom;
    return what;
  }

  const exchange_options options_;
  record_tellers tellers_;
  std::map<node_id, subject> subjects_;
  std::set<std::pair<time_point, node_id>> due_;
  /// Those that are due some time and have missed their turn, by when they did.
  std::set<std::pair<time_point, node_id>> missed_;
  std::map<request_id, question> questions_;
  request_id last_question_ = 0;
  /// The last member without a link that was asked, and when another one may be.
  node_id dialled_{};
  time_point dial_at_{};
  /// Twice as long as answers of linked members have taken lately, and until when that lasts.
  duration last_pause_{};
  time_point rests_until_{};
  /// When what is being gathered is asked about, and for how long it is.
  time_point gathered_at_ = time_point::min();
  duration gathers_for_{};
  /// Answers in a row, but the last, that left something to be tried again; whether that did.
  std::uint32_t vain_in_a_row_ = 0;
  bool was_vain_ = false;
};

} // namespace troupe::cluster
