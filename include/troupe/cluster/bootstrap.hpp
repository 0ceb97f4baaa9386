#pragma once

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/fields.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/net/types.hpp"

namespace troupe::cluster {

/// What a node has promised: not to help any other node to found a cluster.
struct founding_promise {
  node_id to{};
  /// The round of that node for which it holds.
  std::uint64_t round = 0;
  /// That node, for people.
  std::string called{};

  friend bool operator==(const founding_promise&, const founding_promise&) = default;

  TROUPE_FIELDS(founding_promise, to, round, called);
};

/// What a node without a cluster keeps on its disk while it founds one with others.
struct founding_record {
  /// The last round that this node has begun, or has given up.
  std::uint64_t round = 0;
  std::optional<founding_promise> promised{};

  friend bool operator==(const founding_record&, const founding_record&) = default;

  TROUPE_FIELDS(founding_record, round, promised);
};

struct bootstrap_options {
  /// Who this node is.
  node_id self{};
  /// How often it has started.
  boot_number boot = 0;
  /// Drawn at each start, so that a node notices a copy of itself.
  std::uint64_t process = 0;
  /// How many nodes found the cluster together.
  std::uint32_t expect = 1;
  /// Where to ask, as HOST:PORT.
  std::set<std::string> places{};
  /// Whether it waits until it can found or join a cluster. If not, it gives up with the reason
  /// once it has asked everywhere.
  bool waits = true;
  /// Time between two questions to the same place.
  duration ask_every = std::chrono::milliseconds{500};
  /// For so long no node must have come or gone before one of them begins a round: one too many
  /// that starts at the same time is noticed.
  duration settle = std::chrono::seconds{1};
  /// A node that has not been heard of for so long does not count any more.
  duration forget_after = std::chrono::seconds{5};
  /// A round that takes longer is given up, so that its promises are free.
  duration round_lasts = std::chrono::seconds{10};
  /// Bound of the nodes that it remembers; others are ignored.
  std::size_t max_nodes = 128;
};

/// Decides which of `expect` nodes without a cluster founds one. They start at any time, ask each
/// other, and must not found two.
///
/// - A node counts those that it hears of and that expect the same number, itself included. If they
///   are exactly that many, the one with the smallest id is the candidate. Each says which node it
///   takes for that.
/// - If all of them name the same node, that one begins a round: it promises it to itself and asks
///   the others to promise it, too. It founds with the promises of all of them, not of a majority:
///   two sets of nodes that overlap have a node in common, and that one promises only once.
/// - A node gives one promise at a time, to its own candidate, and it is on its disk before
///   anybody hears of it. Only the word of the same candidate frees it: a higher round than the one
///   that was promised says that this one is given up. A candidate gives up a round on its disk
///   before it says so, and never founds with it. So a candidate that is lost holds the
///   others up: better no cluster than two.
/// - A candidate gives up a round if a node comes or goes, if it takes too long, and at each start.
/// - Whoever hears that a node has a cluster joins that, says so, and gives no promise any more.
/// - Nobody begins a round while a node with another number is heard of, a node twice, or a place
///   that is not heard of yet or answers something else.
///
/// A copied data folder can break this: both processes have the same promises. It is noticed if
/// both run, as a rule.
///
/// A machine whose state is the record. All that it says depends on records that were written
/// before: carry the effects out in their order, and none after a `write` that has failed. Cost of
/// a call: O(n log n) in the nodes and places.
class bootstrap {
public:
  // -- events ----------------------------------------------------------------------------

  /// Another node has said that, which proves to be the one that it says.
  struct heard {
    net::founding_word word;
    /// Its name, if its certificate has one.
    std::string name{};
    /// Where it has been asked; empty: it has asked.
    std::string place{};
    /// Not zero: it waits for the answer with that number.
    std::uint64_t question = 0;
  };

  /// No answer from there.
  struct unanswered {
    std::string place;
    problem why;
  };

  /// The node there has a cluster.
  struct cluster_seen {
    std::string place;
  };

  /// The last record could not be written.
  struct not_written {
    problem why;
  };

  using event = std::variant<heard, unanswered, cluster_seen, not_written>;

  // -- effects ---------------------------------------------------------------------------

  /// Put it on the disk.
  struct write {
    founding_record what;
  };

  struct reply {
    std::uint64_t question = 0;
    net::founding_word word;
  };

  /// Ask at all places, except those that have not answered yet.
  struct ask {
    net::founding_word word;
  };

  /// Found the cluster, with those. The last effect.
  struct found {
    std::set<node_id> with;
    std::string text;
  };

  /// Join the cluster of the node there. The last effect.
  struct join {
    std::string place;
  };

  /// Only if it does not wait: no cluster is founded, for that reason. The last effect.
  struct refuse {
    problem why;
  };

  /// What it waits for has changed; errc::none: for nothing that anybody could change.
  struct standing {
    problem why;
  };

  using effect = std::variant<write, reply, ask, found, join, refuse, standing>;
  using effects = std::vector<effect>;

  /// @pre no bound in `how` is zero
  bootstrap(bootstrap_options how, founding_record saved, time_point now)
    : how_(std::move(how)),
      record_(std::move(saved)),
      written_(record_),
      started_(now),
      changed_at_(now),
      ask_at_(now) {
    assert(how_.expect > 0 && how_.max_nodes > 0 && how_.ask_every > duration::zero());
    for (auto& each : how_.places)
      places_.emplace(each, place{});
  }

  void step(time_point now, const event& what, effects& out) {
    if (!is_over_)
      forget(now);
    troupe::visit([&](auto& each) { handle(now, each, out); }, what);
    review(now);
    write_if_new(out);
    if (auto* said = std::get_if<heard>(&what); said != nullptr && said->question != 0)
      out.push_back(reply{said->question, word()});
    conclude(now, out);
  }

  void tick(time_point now, effects& out) {
    if (is_over_)
      return;
    forget(now);
    review(now);
    write_if_new(out);
    conclude(now, out);
    if (is_over_ || now < ask_at_)
      return;
    ask_at_ = now + how_.ask_every;
    out.push_back(ask{word()});
  }

  /// Nothing: it is over.
  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return is_over_ ? std::nullopt : std::optional{ask_at_};
  }

  /// What it says of itself.
  [[nodiscard]] net::founding_word word() const {
    auto& promised = written_.promised;
    return {.node = how_.self,
            .boot = how_.boot,
            .process = how_.process,
            .expect = joins_ ? 0 : how_.expect,
            .sees = static_cast<std::uint32_t>(nodes_.size() + 1),
            .candidate = choice(),
            .asks = !with_.empty() && promised && promised->to == how_.self,
            .round = written_.round,
            .promised = promised ? promised->to : node_id{},
            .promised_round = promised ? promised->round : 0};
  }

  /// What is on the disk, if nothing failed.
  [[nodiscard]] const founding_record& record() const {
    return written_;
  }

private:
  struct other {
    net::founding_word word;
    std::string called;
    /// Where it has answered; empty: it has only asked.
    std::string place;
    time_point heard_at{};
    /// When this life of it was first heard of.
    time_point since{};
  };

  struct place {
    bool was_asked = false;
    /// The last answer came from a node without a cluster, perhaps this one.
    bool is_well = false;
    problem why{};
  };

  enum class fault : std::uint8_t { copy_of_this, copy, other_number };

  /// A node with which nobody can found a cluster.
  struct oddity {
    fault what = fault::copy;
    std::string text;
    time_point heard_at{};
  };

  // -- what others say -------------------------------------------------------------------

  void handle(time_point now, const heard& what, effects&) {
    if (!what.place.empty())
      note(what.place, {true, true, {}});
    if (!is_over_)
      take(now, what);
  }

  void handle(time_point, const unanswered& what, effects&) {
    auto is_nobody = what.why.code == errc::unreachable || what.why.code == errc::timed_out;
    note(what.place, {true, is_nobody, what.why});
  }

  void handle(time_point, const cluster_seen& what, effects& out) {
    if (std::exchange(is_over_, true))
      return;
    with_.clear();
    joins_ = true;
    if (how_.waits)
      out.push_back(join{what.place});
    else
      out.push_back(refuse{{errc::conflict, "a cluster was found at " + what.place
                                              + "; leave out node_options::bootstrap to join "
                                                "it, or node_options::join to found another"}});
  }

  /// What was to follow the record has not been carried out.
  void handle(time_point now, const not_written& what, effects&) {
    record_ = written_ = before_;
    with_.clear();
    is_over_ = joins_ = false;
    begin_at_ = now + how_.settle;
    disk_ = what.why;
  }

  void note(const std::string& where, place how) {
    if (auto known = places_.find(where); known != places_.end())
      known->second = std::move(how);
  }

  void take(time_point now, const heard& what) {
    auto& said = what.word;
    auto called = name_of(what);
    if (said.node == how_.self) {
      if (said.process != how_.process)
        add_oddity(now, said.node, fault::copy_of_this,
                   "two processes are this node, the other one is "
                     + (what.place.empty() ? "not known" : "at " + what.place));
      return;
    }
    if (said.expect != how_.expect) {
      nodes_.erase(said.node);
      if (said.expect > 0)
        add_oddity(now, said.node, fault::other_number,
                   "node " + called
                     + (said.expect == 1 ? " founds a cluster alone"
                                         : " expects " + std::to_string(said.expect) + " nodes")
                     + ", and this one expects " + std::to_string(how_.expect));
      return;
    }
    if (!enter(now, what, called))
      return;
    auto& promised = record_.promised;
    if (promised && promised->to == said.node && said.round > promised->round)
      promised.reset(); // its own word
    auto is_free = !promised || planted_flaw == flaw::founding_promised_twice;
    if (said.asks && is_free && choice() == said.node)
      promised = founding_promise{said.node, said.round, nodes_.at(said.node).called};
    if (!with_.empty() && said.promised == how_.self && said.promised_round == record_.round)
      promised_by_.insert(said.node);
  }

  /// Remembers the word of a node, unless it is an old one, or of two processes.
  bool enter(time_point now, const heard& what, const std::string& called) {
    auto& said = what.word;
    auto known = nodes_.find(said.node);
    if (known == nodes_.end()) {
      if (nodes_.size() + 1 >= how_.max_nodes)
        return false;
      nodes_[said.node] = {said, called, what.place, now, now};
      changed_at_ = now;
      return true;
    }
    auto& it = known->second;
    if (said.process == it.word.process) {
      if (said.round < it.word.round)
        return false;
    } else if (said.boot <= it.word.boot) {
      // A word of its last life may come late, but not for long.
      if (said.boot == it.word.boot || now - it.since > how_.settle)
        add_oddity(now, said.node, fault::copy, "two processes are node " + called);
      return false;
    } else {
      it.since = now;
    }
    it.word = said;
    it.heard_at = now;
    if (!what.place.empty()) {
      it.called = called;
      it.place = what.place;
    }
    return true;
  }

  /// As much of an id as people read.
  static std::string brief(const node_id& which) {
    return to_string(which).substr(0, 8);
  }

  static std::string name_of(const heard& what) {
    auto id = brief(what.word.node);
    auto text = what.name.empty() ? id : "'" + what.name + "' (" + id + ')';
    return what.place.empty() ? text : text + " at " + what.place;
  }

  void add_oddity(time_point now, const node_id& of, fault what, std::string text) {
    if (odd_.contains(of) || odd_.size() < how_.max_nodes)
      odd_[of] = {what, std::move(text), now};
  }

  void forget(time_point now) {
    auto is_silent = [&](auto& each) { return now - each.second.heard_at >= how_.forget_after; };
    if (std::erase_if(nodes_, is_silent) > 0)
      changed_at_ = now;
    std::erase_if(odd_, is_silent);
  }

  // -- rounds ----------------------------------------------------------------------------

  [[nodiscard]] std::set<node_id> all() const {
    std::set<node_id> ids{how_.self};
    for (auto& [node, each] : nodes_)
      ids.insert(node);
    return ids;
  }

  /// The node that may have this node's promise; zero: none.
  [[nodiscard]] node_id choice() const {
    if (nodes_.size() + 1 != how_.expect || !odd_.empty() || !is_clear())
      return {};
    auto first = nodes_.empty() ? how_.self : std::min(how_.self, nodes_.begin()->first);
    auto is_bound = record_.promised && record_.promised->to != first
                    && planted_flaw != flaw::founding_promised_twice;
    return is_bound ? node_id{} : first;
  }

  /// Whether each place was asked, and nothing there is wrong.
  [[nodiscard]] bool is_clear() const {
    return std::ranges::all_of(
      places_, [](auto& each) { return each.second.was_asked && each.second.is_well; });
  }

  void review(time_point now) {
    if (is_over_ || (disk_ && now < begin_at_))
      return;
    auto self_chosen = choice() == how_.self;
    auto is_mine = record_.promised && record_.promised->to == how_.self;
    auto is_running = is_mine && !with_.empty();
    if (is_mine
        && (!is_running || !self_chosen || with_ != all() || now - began_ >= how_.round_lasts))
      give_up(now);
    auto waits_until = std::max(changed_at_, begin_at_) + (how_.waits ? how_.settle : duration{});
    if (self_chosen && with_.empty() && now >= waits_until && all_choose(how_.self))
      begin(now);
  }

  /// After what has to be on the disk before.
  void conclude(time_point now, effects& out) {
    if (is_over_)
      return;
    if (!with_.empty() && has_promises())
      end(out);
    else
      tell_standing(now, out);
  }

  void begin(time_point now) {
    for (auto& [node, each] : nodes_) // what an earlier data folder of this node was promised
      if (each.word.promised == how_.self && each.word.promised_round < most_rounds)
        record_.round = std::max(record_.round, each.word.promised_round);
    record_.promised = founding_promise{how_.self, ++record_.round, {}};
    with_ = all();
    promised_by_ = {how_.self};
    began_ = now;
    ask_at_ = now;
  }

  void give_up(time_point now) {
    ++record_.round;
    record_.promised.reset();
    with_.clear();
    begin_at_ = now;
    ask_at_ = now;
  }

  [[nodiscard]] bool all_choose(const node_id& whom) const {
    return std::ranges::all_of(nodes_,
                               [&](auto& each) { return each.second.word.candidate == whom; });
  }

  [[nodiscard]] bool has_promises() const {
    if (planted_flaw == flaw::founding_by_majority)
      return promised_by_.size() > with_.size() / 2;
    return std::ranges::includes(promised_by_, with_);
  }

  void end(effects& out) {
    is_over_ = true;
    std::string names;
    for (auto& [node, each] : nodes_)
      names += (names.empty() ? " with " : ", ") + each.called;
    out.push_back(found{with_, "founds the cluster" + names});
  }

  void write_if_new(effects& out) {
    if (record_ == written_)
      return;
    before_ = std::exchange(written_, record_);
    disk_ = {};
    if (planted_flaw != flaw::founding_promise_in_memory)
      out.push_back(write{written_});
  }

  // -- what people should know -----------------------------------------------------------

  void tell_standing(time_point now, effects& out) {
    auto why = judge(now);
    if (!how_.waits && why && was_asked_everywhere()) {
      is_over_ = true;
      out.push_back(refuse{std::move(why)});
      return;
    }
    if (why == told_)
      return;
    told_ = why;
    out.push_back(standing{std::move(why)});
  }

  [[nodiscard]] bool was_asked_everywhere() const {
    return std::ranges::all_of(places_, [](auto& each) { return each.second.was_asked; });
  }

  /// What keeps the cluster from being founded, the worst first.
  [[nodiscard]] problem judge(time_point now) const {
    if (disk_)
      return disk_;
    if (!odd_.empty())
      return about(
        std::ranges::min_element(odd_, {}, [](auto& each) { return each.second.what; })->second);
    if (auto why = about_places())
      return why;
    if (auto why = about_too_many())
      return why;
    if (now - started_ < patience)
      return {};
    if (auto why = about_promise())
      return why;
    return nodes_.size() + 1 < how_.expect ? about_missing() : about_views(now);
  }

  static problem about(const oddity& what) {
    switch (what.what) {
      case fault::copy_of_this: // the node gives up, as another process is this node
        return {errc::in_use, what.text + "; stop one of the two: data folders must not be copied"};
      case fault::copy:
        return {errc::conflict,
                what.text + "; stop one of the two: data folders must not be copied"};
      case fault::other_number:
        break;
    }
    return {errc::conflict, what.text
                              + "; give all of them the same node_options::bootstrap_expect, or "
                                "leave it out at those that only join"};
  }

  [[nodiscard]] problem about_places() const {
    for (auto& [where, each] : places_)
      if (each.was_asked && !each.is_well)
        return {errc::conflict,
                "a process answers at " + where
                  + ", so that no cluster is founded: " + each.why.detail
                  + (how_.waits ? "; nodes that found a cluster together need certificates of one "
                                  "CA, or all of them link_options::insecure"
                                : "; leave out node_options::bootstrap to join a cluster there, or "
                                  "node_options::join to found another")};
    return {};
  }

  [[nodiscard]] problem about_too_many() const {
    auto sees = nodes_.size() + 1;
    std::string who;
    for (auto& [node, each] : nodes_)
      if (each.word.sees > sees) {
        sees = each.word.sees;
        who = each.called;
      }
    if (sees <= how_.expect)
      return {};
    auto text = who.empty() ? "this node and " + names() + " are " + std::to_string(sees) + " nodes"
                            : "node " + who + " knows of " + std::to_string(sees) + " nodes";
    return {errc::conflict,
            text + " without a cluster that expect " + std::to_string(how_.expect)
              + "; give all of them node_options::bootstrap_expect " + std::to_string(sees)
              + (how_.waits
                   ? ", or stop those that are too many and start them without it once the "
                     "others have a cluster"
                   : " in the place of node_options::bootstrap, or leave both out at all "
                     "but one")};
  }

  [[nodiscard]] problem about_promise() const {
    auto& promised = record_.promised;
    if (!promised || promised->to == how_.self || nodes_.contains(promised->to))
      return {};
    return {errc::unreachable,
            "this node has promised node " + promised->called
              + " to found no cluster without it, and does not hear of it; start that node again "
                "with its data folder. If that is lost, and none of the nodes has a cluster: stop "
                "all of them, and start them with new empty folders as node_options::data"};
  }

  /// As many are there as are expected, and found nothing.
  [[nodiscard]] problem about_views(time_point now) const {
    constexpr duration longer = std::chrono::seconds{10};
    if (now - changed_at_ < longer)
      return {};
    auto first = choice();
    if (first == node_id{})
      return about_own_choice();
    for (auto& [node, each] : nodes_)
      if (each.word.candidate != first)
        return {errc::unreachable,
                "node " + each.called
                  + (is_bound_to_other(each.word, first)
                       ? " has promised node " + brief(each.word.promised)
                           + " to found no cluster without it; start that one again with its data "
                             "folder"
                       : " does not agree on who founds the cluster, as it hears of other nodes "
                         "than this one; name in node_options::join of each node all the others")};
    auto whom = first == how_.self ? std::string{"this node"} : "node " + nodes_.at(first).called;
    for (auto& [node, each] : nodes_)
      if (each.word.promised != first)
        return {errc::unreachable, "node " + each.called
                                     + " has not promised yet to found no cluster without " + whom
                                     + "; its log says why"};
    return {errc::unreachable, "all " + std::to_string(how_.expect)
                                 + " nodes are there, and wait for " + whom
                                 + " to found the cluster; its log says why"};
  }

  /// Why it names no node.
  [[nodiscard]] problem about_own_choice() const {
    for (auto& [where, each] : places_)
      if (!each.was_asked)
        return {errc::unreachable,
                "it is not known yet whether a node is at " + where + "; check that address"};
    if (!record_.promised)
      return {};
    return {errc::unreachable, "this node has promised node " + record_.promised->called
                                 + " to found no cluster without it, and waits until that gives it "
                                   "up; its log says why"};
  }

  [[nodiscard]] static bool is_bound_to_other(const net::founding_word& said,
                                              const node_id& first) {
    return said.promised != node_id{} && said.promised != first;
  }

  [[nodiscard]] problem about_missing() const {
    auto text = "there are " + std::to_string(nodes_.size() + 1) + " of the "
                + std::to_string(how_.expect) + " nodes that found the cluster: this one"
                + (nodes_.empty() ? "" : ", ") + names();
    std::string silent;
    for (auto& [where, each] : places_)
      if (each.why)
        silent += (silent.empty() ? "; no answer from " : ", ") + where;
    return {errc::unreachable,
            text + silent
              + "; start the others with the same node_options::bootstrap_expect, and name in "
                "node_options::join of each of them all the others"};
  }

  /// The first few.
  [[nodiscard]] std::string names() const {
    constexpr std::size_t most = 8;
    std::string text;
    std::size_t count = 0;
    for (auto& [node, each] : nodes_) {
      if (++count > most)
        return text + " and others";
      text += (text.empty() ? "" : ", ") + each.called;
    }
    return text;
  }

  /// No node begins so many; what others say of it must not let the number run over.
  static constexpr std::uint64_t most_rounds = std::uint64_t{1} << 62U;
  /// Before it says that nodes are missing: they start one after the other.
  static constexpr duration patience = std::chrono::seconds{3};

  const bootstrap_options how_;
  /// As it is to be, as it is on the disk, and as it was there before.
  founding_record record_;
  founding_record written_;
  founding_record before_ = written_;
  const time_point started_;
  time_point changed_at_;
  time_point ask_at_;
  /// Not before it begins another round.
  time_point begin_at_{};
  std::map<node_id, other> nodes_;
  std::map<node_id, oddity> odd_;
  std::map<std::string, place> places_;
  /// Of the round that runs: who takes part; empty: none runs.
  std::set<node_id> with_;
  std::set<node_id> promised_by_;
  time_point began_{};
  bool is_over_ = false;
  /// It has heard of a cluster, and takes no part any more.
  bool joins_ = false;
  problem disk_;
  problem told_;
};

} // namespace troupe::cluster
