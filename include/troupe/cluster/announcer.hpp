#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/claims_types.hpp"
#include "troupe/cluster/service_questions.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/own_records.hpp"
#include "troupe/registry/types.hpp"

namespace troupe::cluster {

/// Tells the registry the records of a node, and that the node lives. Part of `claims`.
///
/// - What may have been lost is said again at once, a few times; what failed for another reason
///   than its content once it can be, see catch_up.
/// - All is said again to a registry that has forgotten. What was taken back is forgotten once a
///   registry has heard it all, and nothing older may still arrive.
///
/// Several puts can have one asker: a tally counts them. Not thread-safe. Cost of a call: O(log n)
/// for each record, and O(n) in open questions where all is said.
class announcer {
public:
  using effects = claims_types::effects;
  using said = service_questions::said;

  /// Of several questions, the first problem of which is told when all are over.
  struct tally {
    std::size_t missing = 0;
    problem first{};
    request_id asker = 0;
    /// If set, all up to this version was said with that boot, after all that was said before.
    std::optional<std::pair<boot_number, std::uint64_t>> all{};
    /// The agent that is added by this, as its record is named.
    std::string added{};
  };

  /// `seed` is that of the back-off's jitter.
  /// @pre the first three outlive this
  announcer(const claims_options& options, registry::own_records& book,
            service_questions& questions, std::uint64_t seed)
    : options_(options), book_(book), questions_(questions), random_(seed) {}

  announcer(const announcer&) = delete;
  announcer& operator=(const announcer&) = delete;

  // -- what is said ------------------------------------------------------------------------

  /// @pre there is a record if somebody waits for it
  void announce(time_point now, const std::vector<registry::record>& what, tally whose,
                effects& out, int tries = 0) {
    auto ticket = begin_tally(std::move(whose));
    say_pages(now, what, ticket, tries, out);
    std::ignore = count(ticket, {}, out);
  }

  void say_all(time_point now, effects& out) {
    owes_all_ = false;
    owed_.clear();
    tally whose;
    auto is_put = [](auto& each) { return std::holds_alternative<said>(each.second.what); };
    if (std::ranges::none_of(questions_.all(), is_put))
      whose.all = std::pair{book_.boot(), book_.version()};
    announce(now, book_.all(), std::move(whose), out);
  }

  /// The registry has forgotten what was said.
  void is_forgotten() {
    owes_all_ = true;
  }

  /// The registry answers: tells it what it has not taken.
  void catch_up(time_point now, effects& out) {
    if (owes_all_)
      return say_all(now, out);
    if (owed_.empty())
      return;
    std::vector<registry::record> what;
    for (auto& [key, each] : std::exchange(owed_, {}))
      what.push_back(each);
    announce(now, what, {}, out, 1);
  }

  /// To say a record again does no harm, as it has a version. It is said as it is now; what was
  /// taken back meanwhile is left out. Returns as count() does.
  [[nodiscard]] std::optional<tally> say(time_point now, said what, effects& out) {
    if (what.tries++ > 0) {
      std::erase_if(what.what, [&](registry::record& each) { return !bring_up_to_date(each); });
      what.boot = book_.boot();
      if (what.what.empty())
        return count(what.tally, {}, out);
    }
    registry::put_records words{what.what};
    questions_.ask(now, std::move(words), std::move(what), out);
    return std::nullopt;
  }

  // -- what was not taken ------------------------------------------------------------------

  /// Returns as count() does.
  [[nodiscard]] std::optional<tally> failed(time_point now, said what, const problem& why,
                                            effects& out) {
    // A registry that has just begun knows no session of the last one.
    auto passes_soon = why.code == errc::session_expired || why.code == errc::outcome_unknown
                       || why.code == errc::busy;
    if (planted_flaw == flaw::handover_drops && why.code == errc::session_expired) {
      tallies_.at(what.tally).asker = 0;
      return count(what.tally, {}, out);
    }
    if (passes_soon && what.tries < options_.max_tries) {
      auto when = now + options_.retry.delay(static_cast<std::uint32_t>(what.tries), random_);
      again_.emplace(when, std::move(what));
      return std::nullopt;
    }
    if (service_questions::may_pass(why.code))
      owe(std::move(what.what));
    return count(what.tally, why, out);
  }

  /// Takes one that is to be said again now.
  std::optional<said> take_due(time_point now) {
    if (again_.empty() || again_.begin()->first > now)
      return std::nullopt;
    return std::move(again_.extract(again_.begin()).mapped());
  }

  /// How many of these this node has changed or taken back since.
  [[nodiscard]] std::size_t outdated(const std::vector<registry::record>& what) const {
    return static_cast<std::size_t>(std::ranges::count_if(what, [&](const registry::record& each) {
      auto now = book_.find(each.key.kind, each.key.name);
      return now ? now->version != each.version : !each.removed;
    }));
  }

  /// How many puts wait until they are said again.
  [[nodiscard]] std::size_t waiting() const {
    return again_.size();
  }

  // -- who waits for it --------------------------------------------------------------------

  /// It waits for one count() more than for what is asked.
  std::uint64_t begin_tally(tally whose) {
    ++whose.missing;
    tallies_.emplace(++last_tally_, std::move(whose));
    return last_tally_;
  }

  void say_pages(time_point now, const std::vector<registry::record>& what, std::uint64_t ticket,
                 int tries, effects& out) {
    constexpr std::size_t page = 500;
    for (std::size_t first = 0; first < what.size(); first += page) {
      auto from = what.begin() + static_cast<std::ptrdiff_t>(first);
      auto to = what.begin() + static_cast<std::ptrdiff_t>(std::min(first + page, what.size()));
      ++tallies_.at(ticket).missing;
      std::ignore = say(now, {{from, to}, book_.boot(), ticket, tries}, out);
    }
  }

  /// That tally waits for so many questions of others, too.
  void expect(std::uint64_t ticket, std::size_t questions) {
    tallies_.at(ticket).missing += questions;
  }

  /// A question of that tally has ended. Returns the tally if it is over and somebody waits for it,
  /// or an agent is added by it; all others are closed.
  [[nodiscard]] std::optional<tally> count(std::uint64_t ticket, const problem& why, effects& out) {
    auto found = tallies_.find(ticket);
    if (!found->second.first)
      found->second.first = why;
    if (--found->second.missing > 0)
      return std::nullopt;
    auto over = tallies_.extract(found).mapped();
    if (over.asker != 0 || !over.added.empty())
      return over;
    close(over, out);
    return std::nullopt;
  }

  /// It is over, and nobody waits for it.
  void close(const tally& over, effects& out) {
    if (over.all && !over.first && over.all->first == book_.boot())
      book_.confirm(over.all->second);
    auto& why = over.first;
    if (!why)
      out.emplace_back(claims_types::settle{not_taken});
    else if (why.code != errc::unreachable && why.code != errc::no_quorum) // said elsewhere
      out.emplace_back(claims_types::complain{not_taken, why.detail});
  }

  // -- heartbeats --------------------------------------------------------------------------

  /// The first one begins the heartbeats.
  void begin(time_point now, effects& out) {
    if (!beat_at_)
      beat(now, out);
  }

  void beat_if_due(time_point now, effects& out) {
    if (beat_at_ && *beat_at_ <= now)
      beat(now, out);
  }

  // ------------------------------------------------------------------------------------------

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    if (again_.empty())
      return beat_at_;
    return std::min(again_.begin()->first, beat_at_.value_or(again_.begin()->first));
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    std::vector<std::string> found;
    auto holds = [&found](bool is_so, const char* what) {
      if (!is_so)
        found.emplace_back(what);
    };
    std::map<std::uint64_t, std::size_t> missing;
    for (auto& [id, each] : questions_.all())
      if (auto* words = std::get_if<said>(&each.what)) {
        ++missing[words->tally];
        holds(words->boot <= book_.boot(), "a record was said with a boot to come");
      } else if (auto* back = std::get_if<service_questions::given_back>(&each.what)) {
        if (back->tally != 0)
          ++missing[back->tally];
      }
    for (auto& [when, each] : again_)
      ++missing[each.tally];
    holds(missing.size() == tallies_.size(), "a tally waits for nothing");
    for (auto& [ticket, each] : tallies_)
      holds(each.missing == missing[ticket], "a tally does not count what it waits for");
    holds(owed_.size() <= options_.max_owed, "more records are owed than allowed");
    return found;
  }

  /// Who waits for a put: zero for those that nobody waits for.
  [[nodiscard]] std::vector<request_id> askers() const {
    std::vector<request_id> found;
    found.reserve(tallies_.size());
    for (auto& [ticket, each] : tallies_)
      found.push_back(each.asker);
    return found;
  }

private:
  /// Returns whether there is anything to say of it. A later boot ends what earlier ones have said.
  [[nodiscard]] bool bring_up_to_date(registry::record& what) const {
    auto now = book_.find(what.key.kind, what.key.name);
    if (now)
      what = std::move(*now);
    return now || (what.removed && what.boot == book_.boot());
  }

  void owe(std::vector<registry::record> what) {
    for (auto& each : what)
      if (!owes_all_) {
        owed_.insert_or_assign(each.key, std::move(each));
        owes_all_ = owed_.size() >= options_.max_owed;
      }
    if (owes_all_)
      owed_.clear();
  }

  void beat(time_point now, effects& out) {
    questions_.ask(now, registry::heartbeat{book_.owner(), book_.boot()},
                   service_questions::beat_of{}, out);
    beat_at_ = now + options_.heartbeat_every;
  }

  static constexpr const char* not_taken = "the registry did not take a record";

  const claims_options& options_;
  registry::own_records& book_;
  service_questions& questions_;
  random_source random_;
  std::map<std::uint64_t, tally> tallies_;
  std::uint64_t last_tally_ = 0;
  std::multimap<time_point, said> again_;
  /// What was said last of them, and not taken.
  std::map<registry::record_key, registry::record> owed_;
  bool owes_all_ = false;
  std::optional<time_point> beat_at_;
};

} // namespace troupe::cluster
