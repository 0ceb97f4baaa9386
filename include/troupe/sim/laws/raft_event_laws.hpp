#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <iterator>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/problem.hpp"

namespace troupe::sim {

/// Checks the event logs of replicas (see raft::event_log) against Raft's safety properties
/// (Ongaro and Ousterhout, "In search of an understandable consensus algorithm", USENIX ATC 2014,
/// figure 3), and each log for consistency: votes, terms, commits and applies that go back, gaps,
/// committed entries that are truncated.
///
/// Lines of one node must be in order; those of several nodes may be mixed or follow each other.
/// Memory and time grow with the lines; leader completeness costs O(entries * elections).
class raft_event_laws {
public:
  /// Reads all lines of `in`, called `name` in errors. Errors: bad_argument, with the number of the
  /// line. Ignores an incomplete last line, and one before a restart, which a killed process may
  /// leave.
  problem read(std::istream& in, const std::string& name) {
    problem torn;
    std::string text;
    for (std::size_t number = 1; std::getline(in, text); ++number) {
      auto line = json::parse(text, nullptr, false);
      auto is_good = line.is_object() && line.contains("node") && line["node"].is_string()
                     && line.contains("ev") && line["ev"].is_string();
      if (torn && (!is_good || line["ev"] != "restart"))
        return torn;
      torn = {};
      if (is_good && take(line))
        continue;
      torn = {errc::bad_argument,
              name + ", line " + std::to_string(number)
                + ": not an event of a Raft log; see raft::event_log for what they are"};
    }
    return {}; // the last line may be incomplete
  }

  /// The violations as sentences, at most ten. Call it once, at the end.
  [[nodiscard]] std::vector<std::string> violations() {
    for (auto& each : elections_)
      check_completeness(each);
    elections_.clear();
    return found_;
  }

  [[nodiscard]] std::size_t elections() const {
    return leaders_.size();
  }

  /// The highest entry that any node has applied.
  [[nodiscard]] std::uint64_t applied() const {
    return applied_.empty() ? 0 : applied_.rbegin()->first;
  }

private:
  using json = nlohmann::json;
  using count = std::uint64_t;

  struct written {
    count term = 0;
    std::string hash;

    friend bool operator==(const written&, const written&) = default;
  };

  struct shared_entry {
    std::string hash;
    /// Term of the entry before; zero if unknown.
    count term_before = 0;
    /// Nodes that appended it, without a leader that took it back.
    std::set<std::string> writers;
  };

  struct node {
    count term = 0;
    /// The term that it would have after a restart, by the lines so far.
    count synced_term = 0;
    /// The term in which it is leader; zero if it is not.
    count leads = 0;
    std::map<count, std::string> votes;
    /// `terms` are those of the entries after `base`.
    count base = 0;
    std::vector<count> terms;
    count commit = 0;
    /// The last applied entry; zero if it continues after a snapshot of any index.
    count applied = 0;
    bool is_fresh = true;
    count snapshot = 0;

    [[nodiscard]] count last() const {
      return base + terms.size();
    }
  };

  struct election {
    std::string who;
    count term = 0;
    count base = 0;
    std::vector<count> terms;
  };

  bool take(const json& what) {
    auto name = what["node"].get<std::string>();
    auto& who = nodes_[name];
    auto event = what["ev"].get<std::string>();
    auto has
      = [&](const char* field) { return what.contains(field) && what[field].is_number_unsigned(); };
    auto get = [&](const char* field) { return what[field].get<count>(); };
    auto word = [&](const char* field) {
      return what.contains(field) && what[field].is_string() ? what[field].get<std::string>()
                                                             : std::string{};
    };
    if (event == "restart")
      return restart(who);
    if (event == "seat")
      return !word("now").empty() && change_seat(who, word("now"));
    if (event == "truncate")
      return has("from") && cut(name, who, get("from"));
    if (event == "compact")
      return has("index") && (who.snapshot = std::max(who.snapshot, get("index")), true);
    if (event == "install")
      return has("index") && install(who, get("index"));
    if (!has("term"))
      return false;
    auto term = get("term");
    if (event == "append")
      return has("index") && append(name, who, get("index"), {term, word("hash")});
    if (event == "apply")
      return has("index") && apply(name, who, get("index"), {term, word("hash")});
    enter(name, who, term);
    if (event == "vote" || event == "term" || event == "leader")
      who.synced_term = who.term;
    if (event == "follower")
      who.leads = 0;
    if (event == "vote")
      return vote(name, who, term, word("for"));
    if (event == "leader")
      return lead(name, who, term);
    if (event == "commit")
      return has("index") && commit(name, who, get("index"), term);
    return event == "follower" || event == "term";
  }

  bool restart(node& who) {
    who.commit = who.applied = who.leads = 0;
    who.term = who.synced_term;
    who.is_fresh = true;
    return true;
  }

  static void begin_log(node& who, count base) {
    who.base = base;
    who.terms.clear();
  }

  bool install(node& who, count index) {
    begin_log(who, index);
    who.commit = who.applied = who.snapshot = index;
    who.is_fresh = false;
    return true;
  }

  /// The node has a new member id: it may have lost entries that it acknowledged under the old one.
  /// Its log counts for the new id.
  bool change_seat(const node& who, const std::string& now) {
    auto moved = who;
    moved.leads = 0;
    return nodes_.insert_or_assign(now, std::move(moved)), true;
  }

  void enter(const std::string& name, node& who, count term) {
    if (term < who.term)
      broken("terms go back: node " + name + " is in term " + std::to_string(term) + " after "
             + std::to_string(who.term));
    if (term > who.term)
      who.leads = 0;
    who.term = std::max(who.term, term);
  }

  bool vote(const std::string& name, node& who, count term, const std::string& whom) {
    auto [found, is_new] = who.votes.try_emplace(term, whom);
    if (!is_new && found->second != whom)
      broken("one vote: node " + name + " votes for two in term " + std::to_string(term));
    return !whom.empty();
  }

  bool lead(const std::string& name, node& who, count term) {
    auto [found, is_new] = leaders_.try_emplace(term, name);
    if (!is_new && found->second != name)
      broken("election safety: nodes " + found->second + " and " + name + " lead term "
             + std::to_string(term));
    elections_.push_back({name, term, who.base, who.terms});
    who.leads = term;
    return true;
  }

  bool append(const std::string& name, node& who, count index, const written& what) {
    if (who.terms.empty() && who.base == 0 && who.snapshot > 0 && index > 1)
      who.base = index - 1;
    if (index != who.last() + 1)
      broken("a log has no gaps: node " + name + " puts entry " + std::to_string(index) + " behind "
             + std::to_string(who.last()));
    else
      who.terms.push_back(what.term);
    auto before = who.terms.size() > 1 ? who.terms[who.terms.size() - 2] : 0;
    auto [found, is_new]
      = entries_.try_emplace({index, what.term}, shared_entry{what.hash, before, {}});
    auto& first = found->second;
    if (first.term_before == 0)
      first.term_before = before;
    if (first.hash != what.hash || (before != 0 && first.term_before != before))
      broken("log matching: entry " + std::to_string(index) + " of term "
             + std::to_string(what.term) + " differs at node " + name);
    first.writers.insert(name);
    return true;
  }

  /// A leader whose disk is full takes back entries that no other node has, and reuses the index.
  void take_back(const std::string& name, count term, count from) {
    for (auto each = entries_.lower_bound({from, 0}); each != entries_.end();) {
      if (each->first.second == term)
        each->second.writers.erase(name);
      each = each->second.writers.empty() ? entries_.erase(each) : std::next(each);
    }
  }

  bool cut(const std::string& name, node& who, count from) {
    if (from == 0)
      return false;
    if (from <= who.commit)
      broken("what is committed stays: node " + name + " cuts its log from entry "
             + std::to_string(from) + " on after it committed " + std::to_string(who.commit));
    if (who.leads != 0)
      take_back(name, who.leads, from);
    if (from <= who.base)
      begin_log(who, from - 1);
    else if (from <= who.last())
      who.terms.resize(static_cast<std::size_t>(from - who.base - 1));
    return true;
  }

  bool commit(const std::string& name, node& who, count index, count term) {
    if (index < who.commit || index > who.last())
      broken("commits do not go back nor ahead of the log: node " + name + " commits "
             + std::to_string(index) + " after " + std::to_string(who.commit)
             + ", with a log up to " + std::to_string(who.last()));
    who.commit = std::max(who.commit, index);
    auto [found, is_new] = commits_.try_emplace(index, term);
    found->second = std::min(found->second, term);
    return true;
  }

  bool apply(const std::string& name, node& who, count index, const written& what) {
    auto follows = who.is_fresh ? index <= who.snapshot + 1 : index == who.applied + 1;
    if (!follows)
      broken("applies leave nothing out: node " + name + " applies entry " + std::to_string(index)
             + " after " + std::to_string(who.is_fresh ? who.snapshot : who.applied));
    who.is_fresh = false;
    who.applied = index;
    auto [found, is_new] = applied_.try_emplace(index, what);
    if (found->second != what)
      broken("state machine safety: node " + name + " applies another entry "
             + std::to_string(index));
    return true;
  }

  /// A leader has all entries committed in earlier terms.
  void check_completeness(const election& which) {
    auto least = std::numeric_limits<count>::max(); // the first term that had it committed
    for (auto each = applied_.rbegin(); each != applied_.rend(); ++each) {
      for (auto known = commits_.lower_bound(each->first);
           known != commits_.end() && known->first == each->first; ++known)
        least = std::min(least, known->second);
      auto index = each->first;
      if (least >= which.term || index <= which.base)
        continue;
      auto place = static_cast<std::size_t>(index - which.base - 1);
      if (place >= which.terms.size() || which.terms[place] != each->second.term)
        return broken("leader completeness: node " + which.who + " leads term "
                      + std::to_string(which.term) + " without the committed entry "
                      + std::to_string(index));
    }
  }

  void broken(std::string what) {
    if (found_.size() < 10)
      found_.push_back(std::move(what));
  }

  std::map<std::string, node> nodes_;
  std::map<count, std::string> leaders_;
  std::vector<election> elections_;
  /// By index and term.
  std::map<std::pair<count, count>, shared_entry> entries_;
  std::map<count, written> applied_;
  /// By index, the lowest term in which a node reported entries up to there as committed.
  std::map<count, count> commits_;
  std::vector<std::string> found_;
};

} // namespace troupe::sim
