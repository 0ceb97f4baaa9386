#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/voter_types.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"

namespace troupe::cluster {

/// How long the stages of a departure that wait for others may take.
struct departure_options {
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
};

/// Decides in which order a node ends, and what it does before that if it leaves its cluster.
///
/// - A node that leaves first has the messages delivered that it has accepted, as nobody delivers
///   them later. Then it gives its vote up, so that another one has taken its place before anything
///   is taken back. If one of these fails, the node goes on as before, unless it is forced to leave
///   without the first. Once its workers have ended, and the messages that came meanwhile, it takes
///   back what it has said, and ends, whatever comes of that.
/// - A node that stops keeps its vote and what it has said: it is expected back. What it has
///   accepted in memory only is delivered before it turns anybody away.
/// - One leave is under way at a time. A node that is stopped meanwhile ends at once.
/// - Each stage begins after the one before is `done`, and is carried out once; one that fails or
///   takes too long does not keep the next one from coming.
///
/// Steps like any machine, but has no deadlines: its host waits for a stage no longer than its
/// bound. A step has one effect; none if it is the end of a stage that is not under way. Not
/// thread-safe. Cost of a step: O(1).
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
  };

  // -- events: leave and stop with an id of their own ----------------------------------------

  /// Leave the cluster and end. The id is not zero, as that of stop. Errors: cancelled (it has
  /// stopped, or was stopped before it took anything back), in_use (it is leaving already; or it
  /// alone has the services, without `force`), and those of the stages.
  struct leave {
    /// Of the node, for people.
    std::string name{};
    bool force = false;
    /// Nobody else has the services, nor can get them.
    bool hosts_alone = false;
    /// Until the messages that it has accepted to deliver have ended.
    duration deliver_within{};
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
    /// leader. Count with deliver, as then the vote is given up.
    bool has_log = false;
    bool is_seated = false;
    bool knows_leader = false;
  };

  using event = std::variant<leave, stop, done>;

  // -- effects -------------------------------------------------------------------------------

  /// Carry this out, wait up to `within` for those that are asked, and step `done` with that id.
  /// Zero: what it ends ends by itself.
  struct run {
    request_id id = 0;
    stage which{};
    duration within{};
    /// Of the leave.
    bool force = false;
  };

  /// The leave or stop of that id has ended. The node has ended, but for a leave that is refused,
  /// or while another thread ends it.
  struct over {
    request_id id = 0;
    problem why{};
  };

  using effect = std::variant<run, over>;
  using effects = std::vector<effect>;

  // ------------------------------------------------------------------------------------------

  explicit departure(const departure_options& options = {}) : options_(options) {}

  /// Whether a node may be asked to leave: in_use if it alone has the services.
  static problem refusal(const std::string& name, bool hosts_alone, bool force) {
    if (!hosts_alone || force)
      return {};
    return {errc::in_use, "node " + name
                            + " hosts the services of its cluster, and no other node can take "
                              "them over yet; stop it to start it again later, or force it to "
                              "leave (leave_options::force)"};
  }

  void step(time_point, request_id id, event what, effects& out) {
    troupe::visit([&](auto& each) { handle(id, each, out); }, what);
  }

  /// Whether the node ends, or has ended.
  [[nodiscard]] bool is_ending() const {
    return ender_ != 0;
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
      return end_call(id, {errc::cancelled, "this node has stopped"}, out);
    if (leaver_ != 0)
      return end_call(id, {errc::in_use, "this node is leaving already"}, out);
    if (auto why = refusal(what.name, what.hosts_alone, what.force))
      return end_call(id, std::move(why), out);
    leaver_ = id;
    force_ = what.force;
    deliver_within_ = what.deliver_within;
    begin(id, leaves_at_ = stage::deliver, out);
  }

  void handle(request_id id, const stop&, effects& out) {
    if (is_ending())
      return end_call(id, {}, out);
    ender_ = id;
    begin(id, ends_at_ = stage::deliver_memory, out);
  }

  void handle(request_id id, done& what, effects& out) {
    if (id == leaver_ && what.which == leaves_at_)
      go_on_leaving(id, what, out);
    else if (id == ender_ && what.which == ends_at_)
      go_on_ending(id, what, out);
  }

  void go_on_leaving(request_id id, done& what, effects& out) {
    leaves_at_.reset();
    if (is_ending()) // another one ends it
      return end_call(std::exchange(leaver_, 0), overtaken(what), out);
    switch (what.which) {
      case stage::deliver:
        return what.why && !force_ ? end_call(std::exchange(leaver_, 0), std::move(what.why), out)
                                   : give_up_vote(id, what, out);
      case stage::give_up_vote:
        return what.why && !(force_ && nobody_leads(what.why.code))
                 ? end_call(std::exchange(leaver_, 0), std::move(what.why), out)
                 : leave_for_good(id, out);
      case stage::end_workers:
        return begin(id, leaves_at_ = stage::deliver_rest, out);
      case stage::deliver_rest:
        return begin(id, leaves_at_ = stage::take_back, out);
      default:
        why_ = std::move(what.why);
        ender_ = id;
        return begin(id, ends_at_ = stage::turn_away, out);
    }
  }

  /// What a leave ends with that is at this stage when the node is stopped.
  static problem overtaken(done& what) {
    if (what.which == stage::take_back || (what.which == stage::give_up_vote && what.why))
      return std::move(what.why);
    if (what.which == stage::give_up_vote)
      return {errc::outcome_unknown,
              "this node was stopped meanwhile; whether it was done is not known"};
    return {errc::cancelled, "this node was stopped before it took back what it has said; the "
                             "others expect it back"};
  }

  void give_up_vote(request_id id, const done& at, effects& out) {
    // A member hears of its own seat after it hears of the leader.
    auto may_vote = at.has_log && (at.is_seated || at.knows_leader);
    if (may_vote)
      return begin(id, leaves_at_ = stage::give_up_vote, out);
    leave_for_good(id, out);
  }

  void leave_for_good(request_id id, effects& out) {
    begin(id,
          leaves_at_ = planted_flaw == flaw::workers_kept ? stage::take_back : stage::end_workers,
          out);
  }

  void go_on_ending(request_id id, const done& what, effects& out) {
    if (what.which == stage::end_router) {
      ends_at_.reset();
      return end_call(id, std::move(why_), out);
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
    out.emplace_back(run{id, *which, within(*which), force_});
  }

  static void end_call(request_id id, problem why, effects& out) {
    out.emplace_back(over{id, std::move(why)});
  }

  [[nodiscard]] duration within(stage which) const {
    switch (which) {
      case stage::deliver:
        return force_ ? duration{} : deliver_within_;
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
      default:
        return {};
    }
  }

  const departure_options options_;
  /// Who leaves, and who ends it, with the stage that is under way; zero: nobody.
  request_id leaver_ = 0;
  std::optional<stage> leaves_at_;
  request_id ender_ = 0;
  std::optional<stage> ends_at_;
  bool force_ = false;
  duration deliver_within_{};
  bool has_services_ = false;
  /// What came of taking back.
  problem why_;
};

} // namespace troupe::cluster
