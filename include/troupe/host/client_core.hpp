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
#include <variant>
#include <vector>

#include "troupe/core/backoff.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/host/client_options.hpp"
#include "troupe/host/service_doubts.hpp"
#include "troupe/host/types.hpp"

namespace troupe::host {

/// Decides what a client of one service sends: numbers its commands in sessions, repeats requests
/// without an answer, and ends each request with its answer or with what is known of its outcome.
/// A command is carried out once, however often it is sent: it keeps its number as long as its
/// session lasts. If the service no longer knows the session, a command whose earlier tries were
/// all refused was not carried out, and gets a number in the next session; the outcome of any
/// other is unknown. A session begins with its first command if the client knows a record that
/// the service has reached; otherwise it has to be opened by a request.
///
/// Its host transports requests and answers, whose content it does not see, and knows where
/// the service is. Steps like any machine; not thread-safe; no snapshot, as a client does not
/// outlive its process. Cost of a step: O(log n) in open requests, O(n) if all are sent again.
/// Source: Ongaro, "Consensus: bridging theory and practice" (2014), 6.3; exactly-once by
/// sessions.
class client_core {
public:
  // -- events -------------------------------------------------------------------------

  /// A new request, to be answered by `deadline`. Its id is that of the step: unique, and above all
  /// earlier ones.
  struct ask {
    time_point deadline;
    /// True for a command, which gets a number; false for a question, which may be repeated freely.
    bool numbered = true;
    /// End the request early if it cannot be carried out for now: see `refuse`.
    bool hurries = false;
    /// The service keeps it until there is news, see waiting_query: that no answer comes is no
    /// reason for a doubt before longest_doubt_pause.
    bool rests = false;
  };

  /// The service can be reached, perhaps at another place than before: open requests are sent
  /// there. It has reached this record; zero: that is not known.
  struct reached {
    request_id record = 0;
  };

  /// The service cannot be reached for now.
  struct lost {};

  /// While the service cannot be reached, requests that hurry end with `why`, including later ones;
  /// with errc::denied, which no wait mends, all do. errc::none or `reached` cancels this.
  struct refuse {
    problem why;
  };

  /// Why the last try to reach the service has failed; errc::none: that is not known. Requests that
  /// end because it was out of reach all the time say so.
  struct hinder {
    problem why;
  };

  /// The request of this step's id was answered; `attempt` is the try that the answer belongs to.
  struct answered {
    std::uint32_t attempt = 0;
  };

  /// The try `attempt` of the request has failed.
  struct failed {
    enum class kind : std::uint8_t {
      /// The service has refused it.
      said,
      /// No answer will come.
      unheard,
      /// The service does not understand such a request, or broke over it.
      misunderstood,
    };

    std::uint32_t attempt = 0;
    problem why;
    kind how = kind::said;
  };

  /// The answer to the `open` with the same line and turn.
  struct opened {
    std::uint64_t line = 0;
    std::uint64_t turn = 0;
    session_id session;
  };

  struct not_opened {
    std::uint64_t line = 0;
    std::uint64_t turn = 0;
    problem why;
    failed::kind how = failed::kind::said;
  };

  /// Requests are no longer sent; open ones end with errc::withdrawn.
  struct close {};

  using event
    = std::variant<ask, reached, lost, refuse, hinder, answered, failed, opened, not_opened, close>;

  // -- effects ------------------------------------------------------------------------

  /// Send the request, as try `attempt`. `who` is call{} for questions.
  struct send {
    request_id id = 0;
    std::uint32_t attempt = 0;
    call who;
  };

  /// Ask the service for a session.
  struct open {
    std::uint64_t line = 0;
    std::uint64_t turn = 0;
    open_session what;
  };

  /// Send this to the service, without waiting for an answer.
  struct keep {
    keep_session what;
  };

  struct end {
    close_session what;
  };

  /// The answer of the current step is the answer to the request.
  struct done {
    request_id id = 0;
    /// There were other tries: ignore their answers.
    bool repeated = false;
  };

  /// The request ends with `why`: ignore answers to any of its tries.
  struct ended {
    request_id id = 0;
    problem why;
  };

  /// Requests wait, and nothing was heard from the service, for so long that it may hang; see
  /// service_doubts. It may also keep a request waiting, as in line for a lock. Check whether it is
  /// alive; look elsewhere if not.
  struct doubt {};

  using effect = std::variant<send, open, keep, end, done, ended, doubt>;
  using effects = std::vector<effect>;

  /// `seed`: for the delays and the keys of sessions; must differ between clients.
  client_core(const client_options& options, std::uint64_t seed)
    : options_(options), random_(seed), doubts_(options.doubt_after) {}

  void step(time_point now, request_id id, const event& what, effects& out) {
    now_ = now;
    out_ = &out;
    troupe::visit([&](const auto& each) { handle(id, each); }, what);
    out_ = nullptr;
  }

  void tick(time_point now, effects& out) {
    now_ = now;
    out_ = &out;
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
      auto found = open_.find(deadlines_.begin()->second);
      give_up(found, too_late(found->second));
    }
    if (has_session() && keep_at_ <= now) {
      keep_at_ = now + options_.keep_every;
      for (auto& [which, each] : lines_)
        if (is_reached_ && is_known(each))
          put(keep{{each.id}});
    }
    if (retry_at_ && *retry_at_ <= now) {
      retry_at_.reset();
      send_those_that_rest();
    }
    if (auto when = doubt_at(); when && *when <= now)
      begin_doubt();
    out_ = nullptr;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = retry_at_;
    auto no_later = [&next](time_point when) { next = std::min(next.value_or(when), when); };
    if (!deadlines_.empty())
      no_later(deadlines_.begin()->first);
    if (has_session())
      no_later(keep_at_);
    if (auto when = doubt_at())
      no_later(*when);
    return next;
  }

  /// The problem of requests that are open when the client ends.
  static problem closed() {
    return {errc::withdrawn, "the client was closed before there was an answer"};
  }

  /// Requests without an answer.
  [[nodiscard]] std::size_t pending_requests() const {
    return open_.size();
  }

private:
  /// A sequence of numbers that the service knows as a session. Usually there is one; there are
  /// more while an old command without an answer keeps an earlier one from continuing.
  struct line_of_numbers {
    session_id id;
    /// See call; zero once the service is known to have the session.
    request_id begins_after = 0;
    std::uint64_t key = 0; // of its opening
    bool is_opening = false;
    /// The service no longer knows the session.
    bool has_ended = false;
    std::uint64_t last_number = 0;
    /// Numbers of commands without an answer.
    std::set<std::uint64_t> open{};

    /// Returns the number up to which all commands have their answers.
    [[nodiscard]] std::uint64_t acked() const {
      return open.empty() ? last_number : *open.begin() - 1;
    }

    std::uint64_t next() {
      open.insert(++last_number);
      return last_number;
    }
  };

  struct request {
    ask what;
    std::uint64_t line = 0;
    std::uint64_t number = 0;
    std::uint32_t tries = 0;
    std::uint32_t tries_before = 0; // in an earlier session
    std::uint32_t refusals = 0;     // tries that were not carried out
    bool is_under_way = false;      // the last try has not failed

    /// Returns how often it was sent in its current session.
    [[nodiscard]] std::uint32_t tries_now() const {
      return tries - tries_before;
    }
  };

  using requests = std::map<request_id, request>;

  template <class Effect>
  void put(Effect what) {
    out_->push_back(std::move(what));
  }

  // -- where the service is -------------------------------------------------------------

  void handle(request_id, const reached& where) {
    is_reached_ = true;
    record_ = where.record;
    record_until_ = now_ + known_for;
    doubts_.begin(now_);
    refusal_ = {};
    hindrance_ = {};
    retry_at_.reset();
    begin_turn();
    send_all();
  }

  void handle(request_id, const lost&) {
    is_reached_ = false;
    begin_turn();
    refuse_hurried();
  }

  void handle(request_id, const refuse& what) {
    refusal_ = what.why;
    if (!is_reached_)
      refuse_hurried();
  }

  void handle(request_id, const hinder& what) {
    hindrance_ = what.why;
  }

  [[nodiscard]] std::optional<time_point> doubt_at() const {
    return is_reached_ && !open_.empty() ? doubts_.due() : std::nullopt;
  }

  /// @pre a request waits
  void begin_doubt() {
    doubts_.doubt(now_, open_.rbegin()->first);
    put(doubt{});
  }

  void hear(failed::kind how) {
    if (how != failed::kind::unheard)
      doubts_.heard(now_);
  }

  /// Answers to earlier `open` requests are ignored from now on.
  void begin_turn() {
    ++turn_;
    for (auto& [which, each] : lines_)
      each.is_opening = false;
  }

  void refuse_hurried() {
    if (!refusal_)
      return;
    for (auto position = open_.begin(); position != open_.end();)
      if (auto found = position++; is_refused(found->second.what))
        give_up(found, refused(refusal_, found->second, found->second.tries));
  }

  [[nodiscard]] bool is_refused(const ask& what) const {
    return !is_reached_ && refusal_ && (what.hurries || refusal_.code == errc::denied);
  }

  // -- requests -------------------------------------------------------------------------

  void handle(request_id id, const ask& what) {
    if (is_closed_)
      return put(ended{id, closed()});
    if (open_.size() >= options_.max_pending)
      return put(
        ended{id,
              {errc::limit_reached, std::to_string(open_.size())
                                      + " requests wait for an answer; retry with backoff or raise "
                                        "client_options::max_pending"}});
    if (is_refused(what))
      return put(ended{id, refusal_});
    request made{what};
    if (what.numbered)
      enlist(made);
    doubts_.waits(now_, what.rests, open_.empty());
    deadlines_.emplace(what.deadline, id);
    send_now(*open_.emplace(id, made).first);
  }

  void handle(request_id id, const answered& what) {
    doubts_.heard(now_);
    auto found = open_.find(id);
    if (found == open_.end())
      return;
    // An answer in an earlier session: the request has another number now.
    if (what.attempt <= found->second.tries_before && planted_flaw != flaw::old_session_heard)
      return;
    put(done{id, found->second.tries > 1});
    if (found->second.what.numbered)
      lines_.at(found->second.line).begins_after = 0; // it has begun
    take_out(found);
  }

  void handle(request_id id, const failed& what) {
    hear(what.how);
    auto found = open_.find(id);
    if (found == open_.end() || found->second.tries != what.attempt)
      return; // answered, or under way again
    auto& each = found->second;
    if (!std::exchange(each.is_under_way, false))
      return; // it has failed already
    if (what.how == failed::kind::misunderstood)
      return give_up(found, refused(what.why, each, each.tries - 1));
    if (what.how == failed::kind::said) {
      if (what.why.code == errc::session_expired && each.what.numbered)
        return session_ended(found);
      if (what.why.code == errc::no_quorum && each.what.hurries)
        return give_up(found, refused(what.why, each, each.tries - 1));
      if (!passes(what.why.code))
        return give_up(found, is_of_this_try(what.why.code)
                                ? refused(what.why, each, each.tries - 1)
                                : what.why);
      each.refusals += what.why.code == errc::outcome_unknown ? 0 : 1;
    }
    again_after(what.attempt);
  }

  /// Returns whether the refusal says nothing about the outcome of earlier tries, as the service
  /// may not have looked at the request: `denied` and `incompatible` are of the node that was
  /// asked, which may have other rules than the one before.
  static bool is_of_this_try(errc code) {
    return code == errc::limit_reached || code == errc::storage_full || code == errc::busy
           || code == errc::too_large || code == errc::unreachable || code == errc::wrong_type
           || code == errc::denied || code == errc::incompatible;
  }

  /// Returns whether to retry: the refusal comes from a change of leader, and a command that is
  /// repeated under its number is carried out once. outcome_unknown also ends a try whose answer
  /// found no room on its link.
  static bool passes(errc code) {
    return code == errc::not_leader || code == errc::no_quorum || code == errc::outcome_unknown;
  }

  void handle(request_id, const close&) {
    is_closed_ = true;
    while (!open_.empty())
      give_up(open_.begin(), closed());
    for (auto& [which, each] : lines_)
      end_session(each);
    lines_.clear();
    retry_at_.reset();
  }

  // -- sending --------------------------------------------------------------------------

  void send_all() {
    for (auto& each : open_)
      send_now(each);
  }

  /// Sends again the requests whose last try failed, not those under way: that would only add load.
  void send_those_that_rest() {
    for (auto& each : open_)
      if (!each.second.is_under_way)
        send_now(each);
  }

  /// Sends the commands of one session; other requests under way are not sent again.
  void send_all_of(std::uint64_t line) {
    for (auto& each : open_)
      if (each.second.what.numbered && each.second.line == line)
        send_now(each);
  }

  void send_now(requests::value_type& which) {
    if (!is_reached_)
      return;
    auto& [id, each] = which;
    call who;
    if (each.what.numbered) {
      auto& line = lines_.at(each.line);
      if (line.id == session_id{} && line.key == 0 && record_ != 0 && now_ < record_until_)
        choose(line);
      if (line.id == session_id{})
        return open_now(each.line, line);
      if (planted_flaw == flaw::beginning_renewed && line.begins_after != 0)
        line.begins_after = record_;
      if (planted_flaw == flaw::repeat_renumbered && each.tries_now() > 0)
        renumber(each);
      who = {line.id, each.number, line.acked(), line.begins_after};
    }
    each.is_under_way = true;
    put(send{id, ++each.tries, who});
  }

  // -- sessions -------------------------------------------------------------------------

  /// Gives a command its number. The service keeps all answers after the first open command, up to
  /// a bound: if one command waits for long, later commands go to another session.
  void enlist(request& what) {
    if (auto& newest = lines_[newest_line_];
        !newest.open.empty() && newest.last_number - newest.acked() >= max_spread)
      ++newest_line_;
    what.line = newest_line_;
    what.number = lines_[newest_line_].next();
  }

  void renumber(request& what) {
    auto& line = lines_.at(what.line);
    line.open.erase(what.number);
    what.number = line.next();
  }

  /// Chooses the id of a session. begins_after never changes afterwards: the session may begin, end
  /// and be forgotten before a repeat arrives.
  void choose(line_of_numbers& line) {
    keep_from_now();
    line.id = {random_.next() | session_id::chosen};
    line.begins_after = record_;
  }

  /// One timer keeps all sessions alive.
  void keep_from_now() {
    if (!has_session())
      keep_at_ = now_ + options_.keep_every;
  }

  void open_now(std::uint64_t which, line_of_numbers& line) {
    if (std::exchange(line.is_opening, true))
      return;
    if (line.key == 0)
      line.key = random_.next() | 1U;
    put(open{which, turn_, {line.key}});
  }

  void handle(request_id, const opened& what) {
    doubts_.heard(now_);
    auto found = lines_.find(what.line);
    if (what.turn != turn_)
      return;
    if (found == lines_.end()) // it is no longer needed
      return put(end{{what.session}});
    keep_from_now();
    found->second.is_opening = false;
    found->second.id = what.session;
    opening_failures_ = 0;
    send_all_of(what.line);
  }

  void handle(request_id, const not_opened& what) {
    hear(what.how);
    auto found = lines_.find(what.line);
    if (what.turn != turn_ || found == lines_.end())
      return;
    found->second.is_opening = false;
    if (what.how == failed::kind::said && what.why.code != errc::not_leader
        && what.why.code != errc::outcome_unknown) {
      refuse_all_of(what.line, what.why);
      if (what.why.code != errc::no_quorum)
        return;
    }
    again_after(++opening_failures_);
  }

  /// The service has refused to open the session, so none of its commands was carried out. If it
  /// has no quorum, only requests that hurry end; the others wait.
  void refuse_all_of(std::uint64_t line, const problem& why) {
    for (auto position = open_.begin(); position != open_.end();)
      if (auto found = position++; found->second.what.numbered && found->second.line == line
                                   && (why.code != errc::no_quorum || found->second.what.hurries))
        give_up(found, why);
  }

  /// The service no longer knows the session of this command. That says nothing about other
  /// commands of the session: one may have been carried out before, its answer still under way.
  void session_ended(requests::iterator found) {
    auto& each = found->second;
    auto which = each.line;
    auto& line = lines_.at(which);
    line.has_ended = true;
    record_ = 0; // too old to begin a session with
    if (newest_line_ == which)
      ++newest_line_;
    auto is_sure = each.tries - each.refusals <= 1; // all before this one were refused
    if (!is_sure && planted_flaw != flaw::lost_session_repeated)
      return give_up(found, {errc::session_expired,
                             "the session ended, so the request may have been carried out; "
                             "look at the state before a repeat"});
    line.open.erase(each.number);
    each.tries_before = each.refusals = each.tries;
    enlist(each);
    tidy(which);
    send_now(*found);
  }

  /// A session that is not the newest ends with its last command.
  void tidy(std::uint64_t which) {
    auto found = lines_.find(which);
    if (found == lines_.end() || !found->second.open.empty() || which == newest_line_)
      return;
    end_session(found->second);
    lines_.erase(found);
  }

  void end_session(const line_of_numbers& which) {
    if (is_reached_ && is_known(which))
      put(end{{which.id}});
  }

  [[nodiscard]] bool has_session() const {
    return std::ranges::any_of(lines_, [](auto& each) { return is_known(each.second); });
  }

  static bool is_known(const line_of_numbers& line) {
    return line.id != session_id{} && !line.has_ended;
  }

  // -- ends -----------------------------------------------------------------------------

  /// The first failure sets the time of the retry: the shortest of many random delays would be near
  /// zero.
  void again_after(std::uint32_t failures) {
    auto delay = options_.retry.delay(std::min(failures, 10U), random_);
    if (!retry_at_)
      retry_at_ = now_ + delay;
  }

  request erase(requests::iterator which) {
    auto gone = open_.extract(which);
    deadlines_.erase({gone.mapped().what.deadline, gone.key()});
    doubts_.ends(gone.key(), gone.mapped().what.rests);
    return gone.mapped();
  }

  void take_out(requests::iterator which) {
    auto gone = erase(which);
    if (!gone.what.numbered)
      return;
    lines_.at(gone.line).open.erase(gone.number);
    tidy(gone.line);
  }

  void give_up(requests::iterator which, problem why) {
    put(ended{which->first, std::move(why)});
    take_out(which);
  }

  /// Returns the problem of a request that is refused with `why` after `before` earlier tries.
  static problem refused(const problem& why, const request& each, std::uint32_t before) {
    if (each.number == 0 || before <= each.refusals)
      return why;
    return {errc::outcome_unknown,
            "the request may have been carried out, look at the state before a repeat; "
              + why.detail};
  }

  /// What was in the way, and what to do, which it may say itself.
  [[nodiscard]] std::string hindrance() const {
    if (!hindrance_ || is_reached_)
      return {};
    auto& said = hindrance_.detail;
    auto has_advice = said.find("; ") != std::string::npos;
    return ": " + said + (has_advice ? "" : "; see troupe status, and retry once a node leads");
  }

  [[nodiscard]] problem too_late(const request& each) const {
    if (each.tries_now() == 0) // tries in ended sessions were not carried out
      return {errc::unreachable, "the service was out of reach; nothing was done" + hindrance()};
    if (each.tries == each.refusals)
      return {errc::no_quorum, "no node of the service led in all that time; nothing was done, "
                               "retry once a majority of the nodes is back"};
    if (each.number == 0)
      return {errc::timed_out, "the service gave no answer in time; ask again"};
    return {errc::outcome_unknown, "no answer in time; the request may have been carried out, look "
                                   "at the state before a repeat"};
  }

  /// How long a known record may be used to begin a session: later, too many other sessions may
  /// have ended.
  static constexpr duration known_for = std::chrono::seconds{10};
  /// Half of the answers that a service keeps for a session: as many commands again may be under
  /// way.
  static constexpr std::uint64_t max_spread = 512;

  client_options options_;
  random_source random_;
  time_point now_{};
  effects* out_ = nullptr; // of the step under way

  bool is_reached_ = false;
  bool is_closed_ = false;
  service_doubts doubts_;
  problem refusal_;        // see refuse
  problem hindrance_;      // see hinder
  std::uint64_t turn_ = 0; // counts changes of the service's place
  request_id record_ = 0;  // see reached
  time_point record_until_{};
  std::map<std::uint64_t, line_of_numbers> lines_;
  std::uint64_t newest_line_ = 0;
  std::uint32_t opening_failures_ = 0;
  requests open_;
  std::set<std::pair<time_point, request_id>> deadlines_;
  std::optional<time_point> retry_at_;
  time_point keep_at_{};
};

} // namespace troupe::host
