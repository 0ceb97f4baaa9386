#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/voter_types.hpp"
#include "troupe/core/departure_report.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"

namespace troupe::cluster {

/// How long the stages of a departure that wait for others may take.
struct departure_options {
  /// Until a node that leads has answered one that may have no vote.
  duration reach_leader_within = std::chrono::seconds{10};
  /// Until another node has the vote.
  duration give_up_within = std::chrono::seconds{40};
  /// Until those have ended that it has accepted meanwhile.
  duration deliver_rest_within = std::chrono::seconds{5};
  /// Until the services have heard what is taken back.
  duration take_back_within = std::chrono::seconds{15};
  /// Until another node leads; `seats` ends that after 3 s.
  duration hand_over_within = std::chrono::seconds{5};
  /// Until agents have handled what waits for them; and until messages of a node that stops have
  /// ended.
  duration agents_end_within = std::chrono::seconds{2};
  /// Until those who asked it to leave have said that they have the report.
  duration report_within = std::chrono::seconds{2};
  /// Who wait for the outcome of one leave.
  std::size_t max_askers = 100;
};

/// Decides in which order a node ends, and what it does before that if it leaves its cluster.
///
/// - A node that leaves first has the messages delivered that it has accepted, as those in its
///   memory are lost with it, and synced ones wait until somebody starts it again. Then it gives
///   its vote up, so that another one has taken its place before anything is taken back; a node
///   that may have none sees that somebody leads who hears what it takes back. If one of these
///   fails, the node goes on as before. By force it leaves with messages, and where nobody leads.
///   Once its workers have ended, and the messages that came meanwhile, it takes back what it has
///   said, and ends, whatever comes of that.
/// - A node that stops keeps its vote and what it has said: it is expected back. What it has
///   accepted in memory only is delivered before it turns anybody away.
/// - A node that others ask to leave does the same by itself up to its vote. Then its program hears
///   that it is to finish its work and have it leave; from there on only its vote, if it has got
///   one again, can keep it. Who asks meanwhile gets the same answer: why it stays, or what it has
///   delivered and left behind, which they hear while it has links.
/// - While it leaves it rests, as one in maintenance: it shows so, and gets no new tasks, nor what
///   agents of others can take.
/// - One leave is under way at a time. A node that is stopped meanwhile ends at once.
/// - Each stage begins after the one before is `done`, and is carried out once, but for a vote that
///   is refused to a node which others have forced to leave meanwhile; one that fails or takes too
///   long does not keep the next one from coming.
///
/// Steps like any machine, but has no deadlines: its host waits for a stage no longer than its
/// bound. The effects of a step are answers and one `rest`, and behind these one `run` or `over` at
/// most. Not thread-safe. Cost of a step: O(1), and O(askers) where a leave ends.
class departure {
public:
  /// In the order in which they come, but for end_sessions.
  enum class stage : std::uint8_t {
    /// The messages of class confirm and once end that the node has accepted so far.
    deliver,
    /// Another node becomes a voter in place of this one.
    give_up_vote,
    /// Its workers begin nothing more. Before the services hear that they are gone: a worker that
    /// hears that first would register again, and the scheduler would wait for its lease.
    end_workers,
    /// The node accepts no more such messages, and those end that it has accepted since: of its
    /// workers, too.
    deliver_rest,
    /// The services hear that its names, agents, records and workers are gone. Names are released
    /// before the registry hears of their agents, see `claims`.
    take_back,
    /// Of a node that stops: it accepts no more messages of class confirm and once, and those end
    /// that it has in memory. Others go on at its next start.
    deliver_memory,
    /// Callers on this node hear that it ends, and nobody begins to wait for it.
    turn_away,
    /// Another node leads, if this one does. Agents and links are there as before.
    hand_over,
    /// The members hear that it goes. While there are links: their ends would be taken for news.
    say_farewell,
    /// It tells the services nothing more. Before the agents end: that is not news, as the node is
    /// expected back with them.
    fall_silent,
    /// The sessions of its clients end. While there are links if the services are elsewhere; else
    /// after the agents, whose last requests are still answered.
    end_sessions,
    /// Before the agents: whoever waits for one hears that the link is lost, not that there is no
    /// such agent.
    end_links,
    end_agents,
    /// Those on this node, and its part in the group.
    end_services,
    end_router,
    /// Of a node that others ask to leave: its vote is given up. The program is to finish its work
    /// and have it leave.
    tell_program,
    /// Of such a node: it has taken back what it said. Those who asked say that they have the
    /// report, as their links end with the node.
    report,
    /// Of a node that may have no vote, in place of give_up_vote, unless it is forced to leave: one
    /// that leads answers it. Its program has not been told to end.
    reach_leader,
  };

  // -- events: leave, ask and stop with an id of their own ----------------------------------------

  /// Leave the cluster and end. The id is not zero, as that of stop. Errors: cancelled (it has
  /// stopped, or was stopped before it took anything back), in_use (it is leaving already; or it
  /// alone has the services, without `force`), no_quorum (without `force`: nobody leads who answers
  /// it), and those of the stages.
  struct leave {
    /// Of the node, for people.
    std::string name{};
    bool force = false;
    /// Nobody else has the services, nor can get them.
    bool hosts_alone = false;
    /// Until the messages that it has accepted to deliver have ended.
    duration deliver_within{};
    /// When it is told so.
    kept_messages kept{};
  };

  /// Others want it to leave. Errors of the answer: those of `leave`, but for in_use while it is
  /// leaving already: then it has the answer of that one, which is forced if one of them is; and
  /// limit_reached.
  struct ask {
    leave how;
  };

  /// End. No error; the second one ends at once.
  struct stop {};

  /// The stage of the `run` with this step's id has ended.
  struct done {
    stage which{};
    problem why{};
    /// The services of the cluster are on this node. Counts with fall_silent, as then they no
    /// longer move.
    bool has_services = false;
    /// It has a log of the group, and a seat there as far as it has heard; and it is in reach of a
    /// leader. Count with deliver and reach_leader, as then the vote is given up.
    bool has_log = false;
    bool is_seated = false;
    bool knows_leader = false;
    /// That seat has a vote. Counts with these, too.
    bool has_vote = false;
    /// Counts with take_back.
    kept_messages kept{};
  };

  using event = std::variant<leave, ask, stop, done>;

  // -- effects -------------------------------------------------------------------------------

  /// Carry this out, wait up to `within` for those that are asked, and step `done` with that id.
  /// Zero: what it ends ends by itself. With tell_program it is what the program's leave gets.
  struct run {
    request_id id = 0;
    stage which{};
    duration within{};
    /// Of the leave.
    bool force = false;
    /// Of a node that leaves.
    bool leaves = false;
  };

  /// For the `ask` of that id: why the node stays, or did not leave; else what came of it.
  struct answer {
    request_id id = 0;
    problem why{};
    departure_report report{};
  };

  /// The leave or stop of that id has ended. The node has ended, but for a leave that is refused,
  /// or while another thread ends it.
  struct over {
    request_id id = 0;
    problem why{};
    /// Of a leave; empty if it is refused.
    departure_report report{};
  };

  /// Others pass this node over from here on, or do no more: then it rests if it is in maintenance.
  struct rest {
    bool on = false;
  };

  using effect = std::variant<run, answer, rest, over>;
  using effects = std::vector<effect>;

  // ------------------------------------------------------------------------------------------

  explicit departure(const departure_options& options = {}) : options_(options) {}

  /// Whether a node may be asked to leave: in_use if it alone has the services.
  static problem refusal(const std::string& name, bool hosts_alone, bool force) {
    if (!hosts_alone || force)
      return {};
    return {errc::in_use, "node " + name
                            + " hosts the services of its cluster in its memory, as it was founded "
                              "without a data folder, and no other node can take them over: locks, "
                              "state and workflows end with its process; force it to leave if they "
                              "may (leave_options::force)"};
  }

  void step(time_point, request_id id, event what, effects& out) {
    troupe::visit([&](auto& each) { handle(id, each, out); }, what);
  }

  /// Whether the node ends, or has ended.
  [[nodiscard]] bool is_ending() const {
    return ender_ != 0;
  }

  /// Whether the leave under way is forced, also since somebody has joined it: from then on the
  /// host waits no more for messages that are to be delivered.
  [[nodiscard]] bool is_forced() const {
    return leaver_ != 0 && force_;
  }

private:
  static constexpr std::size_t stages_of_an_end = 10;
  using order = std::array<stage, stages_of_an_end>;

  static constexpr order with_services{
    stage::deliver_memory, stage::turn_away,  stage::hand_over,  stage::say_farewell,
    stage::fall_silent,    stage::end_links,  stage::end_agents, stage::end_sessions,
    stage::end_services,   stage::end_router,
  };
  static constexpr order without_services{
    stage::deliver_memory, stage::turn_away,    stage::hand_over, stage::say_farewell,
    stage::fall_silent,    stage::end_sessions, stage::end_links, stage::end_agents,
    stage::end_services,   stage::end_router,
  };

  void handle(request_id id, const leave& what, effects& out) {
    if (is_ending())
      return end_call(id, stopped(), out);
    if (std::exchange(waits_for_program_, false)) {
      is_told_ = true;
      leaver_ = id;
      is_call_ = true;
      deliver_within_ = what.deliver_within;
      force_ = force_ || what.force;
      return begin(id, leaves_at_ = stage::deliver, out);
    }
    if (leaver_ != 0)
      return end_call(id, {errc::in_use, "this node is leaving already"}, out);
    if (auto why = refusal(what.name, what.hosts_alone, what.force))
      return end_call(id, std::move(why), out);
    is_call_ = true;
    begin_to_leave(id, what, out);
  }

  void handle(request_id id, const ask& what, effects& out) {
    if (is_ending())
      return answer_one(id, stopped(), out);
    if (askers_.size() >= options_.max_askers)
      return answer_one(
        id,
        {errc::limit_reached,
         std::to_string(options_.max_askers)
           + " callers wait for this node to leave; look later whether it has left"},
        out);
    auto& how = what.how;
    if (leaver_ != 0) {
      askers_.insert(id);
      force_ = force_ || how.force;
      return;
    }
    if (auto why = refusal(how.name, how.hosts_alone, how.force))
      return answer_one(id, std::move(why), out);
    askers_.insert(id);
    begin_to_leave(id, how, out);
  }

  void handle(request_id id, const stop&, effects& out) {
    if (is_ending())
      return end_call(id, {}, out);
    ender_ = id;
    if (waits_for_program_) // no stage of it is under way at whose end it would be overtaken
      refuse(overtaken({.which = stage::tell_program}), out);
    begin(id, ends_at_ = stage::deliver_memory, out);
  }

  void handle(request_id id, done& what, effects& out) {
    if (id == leaver_ && what.which == leaves_at_)
      go_on_leaving(id, what, out);
    else if (id == ender_ && what.which == ends_at_)
      go_on_ending(id, what, out);
  }

  void begin_to_leave(request_id id, const leave& what, effects& out) {
    leaver_ = id;
    force_ = what.force;
    deliver_within_ = what.deliver_within;
    before_ = what.kept;
    report_ = {};
    out.emplace_back(rest{true});
    begin(id, leaves_at_ = stage::deliver, out);
  }

  void go_on_leaving(request_id id, done& what, effects& out) {
    leaves_at_.reset();
    if (what.which == stage::take_back)
      note_end(what);
    if (is_ending()) // another one ends it
      return end_overtaken(what, out);
    switch (what.which) {
      case stage::deliver:
        return what.why && !force_ && !is_told_ ? refuse(std::move(what.why), out)
                                                : give_up_vote(id, what, out);
      case stage::give_up_vote:
        if (what.why.code == errc::in_use && force_ && !resigns_by_force_)
          return resign(id, out); // somebody has forced it meanwhile
        return what.why && !is_without_vote(what.why.code)
                 ? refuse(nobody_leads(what.why.code) ? leaderless(what.why) : what.why, out)
                 : leave_for_good(id, had_vote_ && !what.why, out);
      case stage::reach_leader: // somebody may have forced it meanwhile
        return what.why && !force_ ? refuse(leaderless(what.why), out)
                                   : give_up_late(id, what, out);
      case stage::tell_program:
        waits_for_program_ = true;
        return;
      case stage::end_workers:
        return begin(id, leaves_at_ = stage::deliver_rest, out);
      case stage::deliver_rest:
        return begin(id, leaves_at_ = stage::take_back, out);
      case stage::take_back:
        return tell_askers(out) ? begin(id, leaves_at_ = stage::report, out) : end(id, out);
      default:
        tell_askers(out); // those who have asked since
        return end(id, out);
    }
  }

  /// Whether it leaves all the same: the leader has not heard of this node, and so has given it no
  /// vote; or nobody leads, and it is forced to, or its program ends and it has no vote any more.
  [[nodiscard]] bool is_without_vote(errc why) const {
    return why == errc::not_found || (nobody_leads(why) && (force_ || (is_told_ && !had_vote_)));
  }

  /// A member hears of its own seat after it hears of the leader.
  static bool may_vote(const done& at) {
    return at.has_log && (at.is_seated || at.knows_leader);
  }

  void give_up_vote(request_id id, const done& at, effects& out) {
    had_vote_ = at.has_vote;
    if (may_vote(at))
      return resign(id, out);
    if (force_ || is_told_)
      return leave_for_good(id, false, out);
    begin(id, leaves_at_ = stage::reach_leader, out);
  }

  /// Who leads may have given it a vote since it was found.
  void give_up_late(request_id id, const done& at, effects& out) {
    had_vote_ = at.has_vote;
    if (!at.why && may_vote(at))
      return resign(id, out);
    leave_for_good(id, false, out);
  }

  /// Why a node stays that nobody who leads has answered.
  static problem leaderless(const problem& why) {
    return {nobody_leads(why.code) ? why.code : errc::no_quorum,
            "this node stays, as no node that leads has answered it: "
              + why.detail.substr(0, why.detail.find("; "))
              + "; try again once one leads, or force it to leave (leave_options::force): then it "
                "ends without a word to the others"};
  }

  void resign(request_id id, effects& out) {
    resigns_by_force_ = force_;
    begin(id, leaves_at_ = stage::give_up_vote, out);
  }

  void leave_for_good(request_id id, bool gave_up_vote, effects& out) {
    report_.gave_up_vote = report_.gave_up_vote || gave_up_vote;
    if (!is_call_)
      return begin(id, leaves_at_ = stage::tell_program, out);
    begin(id,
          leaves_at_ = planted_flaw == flaw::workers_kept ? stage::take_back : stage::end_workers,
          out);
  }

  void end(request_id id, effects& out) {
    ender_ = id;
    begin(id, ends_at_ = stage::turn_away, out);
  }

  /// What it has not delivered by now it leaves behind.
  void note_end(done& what) {
    report_.delivered = what.kept.delivered - std::min(before_.delivered, what.kept.delivered);
    report_.lost = what.kept.in_memory;
    report_.synced = what.kept.synced;
    report_.in_inboxes = what.kept.in_inboxes;
    report_.dead_letters = what.kept.dead_letters;
    report_.took_back = !what.why;
    why_ = std::move(what.why);
  }

  /// The leave ends as it was, or fails, if the node is stopped meanwhile.
  void end_overtaken(done& what, effects& out) {
    if (what.which != stage::take_back && what.which != stage::report)
      return refuse(overtaken(what), out);
    tell_askers(out);
    if (is_call_)
      out.emplace_back(over{leaver_, why_, report_});
    forget_leave();
  }

  static problem overtaken(const done& what) {
    if (what.which == stage::give_up_vote && what.why)
      return what.why;
    if (what.which == stage::give_up_vote)
      return {errc::outcome_unknown,
              "this node was stopped meanwhile; whether it was done is not known"};
    return {errc::cancelled, "this node was stopped before it took back what it has said; the "
                             "others expect it back"};
  }

  /// The node does not leave: who has it leave hears so, and who has asked.
  void refuse(problem why, effects& out) {
    if (!is_ending())
      out.emplace_back(rest{false});
    for (auto each : std::exchange(askers_, {}))
      answer_one(each, why, out);
    if (is_call_)
      end_call(leaver_, std::move(why), out);
    forget_leave();
  }

  void forget_leave() {
    leaver_ = 0;
    is_call_ = false;
    is_told_ = false;
    waits_for_program_ = false;
  }

  /// Whether there is anybody who asked.
  bool tell_askers(effects& out) {
    auto all = std::exchange(askers_, {});
    for (auto each : all)
      out.emplace_back(answer{each, {}, report_});
    return !all.empty();
  }

  void go_on_ending(request_id id, const done& what, effects& out) {
    if (what.which == stage::end_router) {
      ends_at_.reset();
      out.emplace_back(id == leaver_ ? over{id, why_, report_} : over{id, {}, {}});
      return;
    }
    if (what.which == stage::fall_silent)
      has_services_ = what.has_services;
    auto& all = has_services_ ? with_services : without_services;
    ends_at_ = *std::next(std::ranges::find(all, what.which));
    if (planted_flaw == flaw::no_farewell && ends_at_ == stage::say_farewell)
      ends_at_ = stage::fall_silent;
    begin(id, ends_at_, out);
  }

  void begin(request_id id, std::optional<stage> which, effects& out) const {
    out.emplace_back(run{id, *which, within(*which), force_, id == leaver_});
  }

  static problem stopped() {
    return {errc::cancelled, "this node ends already; see troupe status whether it has left"};
  }

  static void answer_one(request_id id, problem why, effects& out) {
    out.emplace_back(answer{id, std::move(why), {}});
  }

  static void end_call(request_id id, problem why, effects& out) {
    out.emplace_back(over{id, std::move(why), {}});
  }

  [[nodiscard]] duration within(stage which) const {
    switch (which) {
      case stage::deliver:
        return force_ ? duration{} : deliver_within_;
      case stage::tell_program:
        return deliver_within_;
      case stage::reach_leader:
        return options_.reach_leader_within;
      case stage::give_up_vote:
        return options_.give_up_within;
      case stage::deliver_rest:
        return options_.deliver_rest_within;
      case stage::take_back:
        return options_.take_back_within;
      case stage::hand_over:
        return options_.hand_over_within;
      case stage::deliver_memory:
      case stage::end_agents:
        return options_.agents_end_within;
      case stage::report:
        return options_.report_within;
      default:
        return {};
    }
  }

  const departure_options options_;
  /// The leave or ask under way, and who ends it, with the stage that is under way; zero: nobody.
  request_id leaver_ = 0;
  std::optional<stage> leaves_at_;
  request_id ender_ = 0;
  std::optional<stage> ends_at_;
  /// Of the leave under way: it is a `leave`, not an `ask`; others have asked before, and the
  /// program has heard of it, or is to go on with it.
  bool is_call_ = false;
  bool is_told_ = false;
  bool waits_for_program_ = false;
  bool force_ = false;
  bool resigns_by_force_ = false;
  duration deliver_within_{};
  /// Who hear what comes of it.
  std::set<request_id> askers_;
  bool has_services_ = false;
  bool had_vote_ = false;
  kept_messages before_;
  departure_report report_;
  /// What came of taking back.
  problem why_;
};

} // namespace troupe::cluster
