// Replays traces/*.trace against a small group of replicas on one clock.

#include "troupe/raft/replica.hpp"
#include "support/traces.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace replica_trace {

using namespace std::literals;
using namespace troupe;
using namespace troupe::raft;

namespace {

/// Understands, with replicas by number and spans in milliseconds:
///   group VOTERS [LEARNERS] | empty N     N replicas with nothing on their disks
///   log N TERM…                           its disk holds entries of these terms
///   term N TERM                           its disk knows this term
///   timeout N                             its election time-out passes
///   beat N | pass SPAN
///   deliver [A>B]… | drop [A>B]… | cut A B | heal
///   unlink N M                            its link to M is lost
///   slow N | sync N | full N              its disk takes its time, is done, refuses
///   found N | propose N TEXT… | read N | learner N M | promote N M | remove N M | transfer N [M]
///   compact N INDEX | restart N | show
class group_interpreter {
public:
  std::string answer(const std::string& command) {
    text_.clear();
    std::istringstream in{command};
    std::string verb;
    in >> verb;
    if (verb == "group" || verb == "empty")
      make_group(verb, in);
    else if (verb == "deliver" || verb == "drop")
      take_messages(verb == "deliver", in);
    else if (verb == "pass")
      pass(std::chrono::milliseconds{number(in)});
    else if (verb == "heal")
      cuts_.clear();
    else if (verb == "cut")
      cut(in);
    else if (verb == "show")
      show();
    else
      one_replica(verb, number(in), in);
    return text_.empty() ? "(nothing)\n" : text_;
  }

private:
  struct computer {
    std::unique_ptr<replica> inside;
    stored_state disk;
    std::optional<snapshot> newest;
    std::optional<replica::write> pending;
    bool is_slow = false;
    bool is_full = false;
  };

  struct letter {
    std::uint64_t from;
    std::uint64_t to;
    message what;
  };

  static std::uint64_t number(std::istream& in) {
    std::uint64_t found = 0;
    if (!(in >> found))
      throw std::invalid_argument{"a number is missing"};
    return found;
  }

  static options how(std::uint64_t self) {
    auto made = raft::lan();
    made.seed = self;
    made.keep_entries = 0;
    made.tell_commits_within = {};
    made.max_message_bytes = 256;
    return made;
  }

  void make_group(const std::string& verb, std::istream& in) {
    nodes_.clear();
    mail_.clear();
    auto voters = number(in);
    std::uint64_t learners = 0;
    in >> learners;
    configuration members;
    if (verb == "group")
      for (std::uint64_t each = 1; each <= voters + learners; ++each)
        members.members[{each}] = {each <= voters, ""};
    for (std::uint64_t each = 1; each <= voters + learners; ++each) {
      nodes_[each].disk.base.members = members;
      start(each);
    }
  }

  void start(std::uint64_t which) {
    auto& node = nodes_.at(which);
    node.pending.reset();
    node.inside = std::make_unique<replica>(member_id{which}, how(which), node.disk, now_);
  }

  void one_replica(const std::string& verb, std::uint64_t which, std::istream& in) {
    auto& node = nodes_.at(which);
    if (verb == "log") {
      node.disk.entries.clear();
      for (term_number term = 0; in >> term;) {
        node.disk.entries.push_back({node.disk.entries.size() + 1, term, {}, no_op{}});
        node.disk.last_ballot.term = term;
      }
      return start(which);
    }
    if (verb == "term") {
      node.disk.last_ballot.term = number(in);
      return start(which);
    }
    if (verb == "restart")
      return start(which);
    if (verb == "timeout" || verb == "beat") {
      now_ = std::max(now_, node.inside->next_deadline().value());
      return tick(which);
    }
    if (verb == "slow")
      node.is_slow = true;
    else if (verb == "full")
      node.is_full = true;
    else if (verb == "sync")
      sync(which);
    else if (verb == "compact")
      compact(which, number(in));
    else
      step(which, read_event(verb, in));
  }

  static replica::event read_event(const std::string& verb, std::istream& in) {
    if (verb == "found")
      return replica::found_group{};
    if (verb == "read")
      return replica::read{};
    if (verb == "learner")
      return replica::add_learner{{number(in)}, ""};
    if (verb == "promote")
      return replica::promote{{number(in)}};
    if (verb == "unlink")
      return replica::lost_link{{number(in)}};
    if (verb == "remove")
      return replica::remove{{number(in)}};
    if (verb == "transfer") {
      replica::transfer made;
      in >> made.to.value;
      return made;
    }
    if (verb == "propose") {
      replica::propose made;
      for (std::string each; in >> each;)
        made.commands.push_back(each);
      return made;
    }
    throw std::invalid_argument{"unknown command: " + verb};
  }

  // -- running ----------------------------------------------------------------------

  void step(std::uint64_t which, const replica::event& what) {
    replica::effects out;
    nodes_.at(which).inside->step(now_, 1, what, out);
    carry_out(which, out);
  }

  void tick(std::uint64_t which) {
    replica::effects out;
    nodes_.at(which).inside->tick(now_, out);
    carry_out(which, out);
  }

  void pass(duration span) {
    now_ += span;
    for (auto& [which, node] : nodes_)
      tick(which);
  }

  void sync(std::uint64_t which) {
    auto& node = nodes_.at(which);
    node.is_slow = node.is_full = false;
    if (node.pending)
      finish_write(which);
    else
      tick(which);
  }

  void finish_write(std::uint64_t which) {
    auto& node = nodes_.at(which);
    auto what = *std::exchange(node.pending, {});
    if (what.vote)
      node.disk.last_ballot = *what.vote;
    if (what.base) {
      node.newest = what.base;
      node.disk.base = what.base->header;
      node.disk.entries.clear();
    }
    auto& lines = node.disk.entries;
    std::erase_if(lines, [&](auto& line) { return line.index >= what.first; });
    lines.insert(lines.end(), what.entries.begin(), what.entries.end());
    step(which, replica::written{what.number});
  }

  void compact(std::uint64_t which, log_index index) {
    auto& node = nodes_.at(which);
    auto header = node.inside->header_at(index);
    node.newest = snapshot{header, std::make_shared<const std::string>(std::string(600, 's'))};
    node.disk.base = header;
    std::erase_if(node.disk.entries, [&](auto& line) { return line.index <= index; });
    step(which, replica::compacted{index});
  }

  void cut(std::istream& in) {
    auto first = number(in);
    auto second = number(in);
    cuts_.insert({first, second});
    cuts_.insert({second, first});
  }

  static std::string pair_of(const letter& what) {
    return std::to_string(what.from) + '>' + std::to_string(what.to);
  }

  void take_messages(bool are_delivered, std::istream& in) {
    std::set<std::string> chosen;
    for (std::string each; in >> each;)
      chosen.insert(each);
    auto is_chosen
      = [&](const letter& each) { return chosen.empty() || chosen.contains(pair_of(each)); };
    for (auto left = 200; left > 0; --left) {
      auto next = std::ranges::find_if(mail_, is_chosen);
      if (next == mail_.end())
        return;
      auto what = *next;
      mail_.erase(next);
      if (!are_delivered || cuts_.contains({what.from, what.to})) {
        say(pair_of(what) + " is lost");
        continue;
      }
      step(what.to, replica::received{{what.from}, what.what});
    }
    say("… and so on");
  }

  // -- telling ----------------------------------------------------------------------

  void say(const std::string& line) {
    text_ += line + '\n';
  }

  void carry_out(std::uint64_t which, const replica::effects& out) {
    auto name = std::to_string(which);
    for (auto& what : out)
      troupe::visit([&](const auto& each) { handle(which, name, each); }, what);
  }

  void handle(std::uint64_t which, const std::string& name, const replica::send& what) {
    say(name + '>' + std::to_string(what.to.value) + ' ' + describe(what.what));
    mail_.push_back({which, what.to.value, what.what});
  }

  void handle(std::uint64_t which, const std::string& name, const replica::write& what) {
    auto line = name + " writes";
    if (what.vote)
      line += " term " + std::to_string(what.vote->term) + " vote "
              + std::to_string(what.vote->vote.value);
    if (what.base)
      line += " snapshot " + std::to_string(what.base->header.index);
    say(line + entries(what.entries));
    auto& node = nodes_.at(which);
    node.pending = what;
    if (node.is_full) {
      node.pending.reset();
      step(which, replica::not_written{{errc::storage_full, "the disk is full"}});
    } else if (!node.is_slow) {
      finish_write(which);
    }
  }

  /// No disk here keeps it.
  void handle(std::uint64_t, const std::string&, const replica::note_commit&) {}

  void handle(std::uint64_t, const std::string& name, const replica::committed& what) {
    say(name + " applies" + entries(what.entries));
  }

  void handle(std::uint64_t, const std::string& name, const replica::installed& what) {
    say(name + " installs snapshot " + std::to_string(what.what.header.index));
  }

  void handle(std::uint64_t, const std::string& name, const replica::proposed& what) {
    say(name + " takes it as entry " + std::to_string(what.first) + " of term "
        + std::to_string(what.term));
  }

  void handle(std::uint64_t, const std::string& name, const replica::refused& what) {
    say(name + " refuses: " + std::string{name_of(what.why.code)} + ": " + what.why.detail
        + (what.leader.value ? " (" + std::to_string(what.leader.value) + ")" : ""));
  }

  void handle(std::uint64_t, const std::string& name, const replica::read_at& what) {
    say(name + " reads at " + std::to_string(what.index));
  }

  void handle(std::uint64_t, const std::string& name, const replica::changed_role& what) {
    say(name + " is " + raft::name_of(what.now) + " of term " + std::to_string(what.term)
        + (what.leader.value && what.now != role::leader
             ? " under " + std::to_string(what.leader.value)
             : "")
        + ": " + what.cause);
  }

  void handle(std::uint64_t which, const std::string& name, const replica::load_snapshot&) {
    say(name + " loads its snapshot");
    if (auto& newest = nodes_.at(which).newest)
      step(which, replica::loaded{*newest});
  }

  void handle(std::uint64_t, const std::string& name, const replica::told_about& what) {
    say(name + " hears of " + std::to_string(what.seat.value) + ": " + what.about);
  }

  void handle(std::uint64_t, const std::string& name, const replica::forgot& what) {
    say(name + " finds that " + std::to_string(what.seat.value) + " forgot entries: had "
        + std::to_string(what.synced) + ", has " + std::to_string(what.found));
  }

  void handle(std::uint64_t, const std::string& name, const replica::taken_back& what) {
    say(name + " takes back entries from " + std::to_string(what.first) + ": " + what.why.detail);
  }

  void handle(std::uint64_t, const std::string& name, const replica::ignored& what) {
    say(name + " ignores " + std::to_string(what.from.value) + ": " + what.why.detail);
  }

  static std::string entries(const std::vector<entry>& lines) {
    std::string text;
    for (auto& line : lines) {
      text += ' ' + std::to_string(line.index) + '/' + std::to_string(line.term);
      if (auto* command = std::get_if<std::string>(&line.what))
        text += ':' + *command;
      if (auto* members = std::get_if<configuration>(&line.what))
        text += ":{" + names(*members) + '}';
    }
    return text;
  }

  static std::string names(const configuration& members) {
    std::string text;
    for (auto& [seat, who] : members.members)
      text += (text.empty() ? "" : " ") + std::to_string(seat.value) + (who.votes ? "" : "?");
    return text;
  }

  static std::string describe(const message& what) {
    auto of = [](std::uint64_t index, term_number term) {
      return std::to_string(index) + '/' + std::to_string(term);
    };
    auto body = troupe::visit(
      overloaded{
        [&](const vote_request& each) {
          return (each.trial ? "would you vote? log to "s : "vote for me, log to "s)
                 + of(each.last_index, each.last_term)
                 + (each.forced ? ", as the leader wants" : "");
        },
        [&](const vote_answer& each) {
          return (each.trial ? "would "s : ""s) + (each.granted ? "yes" : "no");
        },
        [&](const append& each) {
          return "append behind " + of(each.previous_index, each.previous_term)
                 + entries(each.entries) + ", commit " + std::to_string(each.commit) + ", round "
                 + std::to_string(each.round);
        },
        [&](const append_answer& each) {
          return each.accepted ? "accepted to " + std::to_string(each.index) + ", round "
                                   + std::to_string(each.round)
                               : "refused at " + std::to_string(each.index) + ", try "
                                   + of(each.hint_index, each.hint_term);
        },
        [&](const snapshot_part& each) {
          return "snapshot " + std::to_string(each.header.index) + " from byte "
                 + std::to_string(each.offset) + " of " + std::to_string(each.size);
        },
        [&](const snapshot_answer& each) { return "go on at byte " + std::to_string(each.offset); },
        [&](const take_over&) { return "take over"s; },
      },
      what.body);
    return '[' + std::to_string(what.term) + "] " + body;
  }

  void show() {
    for (auto& [which, node] : nodes_) {
      auto found = node.inside->look(now_);
      std::string terms;
      for (auto index = found.first; index <= found.last; ++index)
        terms += ' ' + std::to_string(*node.inside->term_of(index));
      say(std::to_string(which) + ": " + raft::name_of(found.now) + " of term "
          + std::to_string(found.term) + ", commit " + std::to_string(found.commit) + ", log from "
          + std::to_string(found.first) + ":" + terms + ", members " + names(found.members));
    }
  }

  std::map<std::uint64_t, computer> nodes_;
  std::deque<letter> mail_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> cuts_;
  time_point now_{};
  std::string text_;
};

} // namespace

TEST_CASE("traces of a Raft group") {
  for (auto& file : test::traces_in(std::filesystem::path{TROUPE_TESTS_DIR} / "raft" / "traces")) {
    group_interpreter group;
    test::replay_trace(file, [&](const std::string& command) { return group.answer(command); });
  }
}

} // namespace replica_trace
