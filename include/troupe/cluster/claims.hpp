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
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/name_types.hpp"
#include "troupe/registry/own_records.hpp"
#include "troupe/registry/record_bounds.hpp"
#include "troupe/registry/types.hpp"

namespace troupe::cluster {

/// Limits and times of a `claims`.
struct claims_options {
  /// The node has no data folder: nobody comes back for its names once it has ended. Its claims
  /// say so.
  bool is_fleeting = false;
  /// How often the registry is told that the node lives.
  duration heartbeat_every = std::chrono::seconds{10};
  /// How long to wait for each answer.
  duration answer_within = std::chrono::seconds{10};
  /// Wait between two tries of a put whose outcome is unknown.
  backoff retry{std::chrono::milliseconds{20}, std::chrono::seconds{1}};
  /// Tries of one put before its asker is told. It is said again with a later heartbeat.
  int max_tries = 5;
  /// How often in its life a node goes above another boot; beyond it, it stays and says why. Two
  /// processes with one identity would go above each other for ever.
  int max_rises = 16;
  /// Records of this node, claims and releases under way; more are refused with limit_reached.
  std::size_t max_records = 100'000;
  /// Questions without an answer. Beyond it nothing new is taken, see max_records; what ends is.
  std::size_t max_questions = 100'000;
  /// Records whose put has failed; beyond it, all records are said again.
  std::size_t max_owed = 1'000;
};

/// Decides what a node says of itself and its agents, and which names of the cluster it has.
///
/// - Each change is told to the registry at once, all of it again when the registry has forgotten
///   or is another one, with heartbeats between. What failed for another reason than its content is
///   said again once a heartbeat is answered; claims and releases, too.
/// - If the registry or the service of names has heard of a later boot of the node, or of more in
///   the present boot than the node has said, it asks to go above that. It says its new boot to
///   others only after `risen`, when its host has kept it. A boot that is more than max_boot_jump
///   later, or the last one, is not believed: nothing would be left above it.
/// - What a registry shows of the present boot and the node does not say is taken back.
/// - A name is claimed before it is shown, released before the registry hears that its agent is
///   gone, and given back if the agent ends while the claim is under way. At most one claim of an
///   agent's name is under way; a claim waits until an earlier release of it is answered.
/// - Who has a name claims it again at a new boot or when the service may have forgotten; without a
///   data folder also when the registry has shown the node as lost, which frees its names. A batch
///   that is refused as name_taken is claimed one by one. An agent whose name another node has
///   claimed later loses it.
/// - An answer counts if its question is still open. What has been taken back is not said again.
/// - A name that is granted to an agent that has ended meanwhile is given back.
///
/// Steps like any machine. No snapshot: the agents end with the process. Not thread-safe. Cost of a
/// step: O(log n) for each record that it touches, O(n) in open questions for `bound` and `risen`.
///
/// It counts on this of its host: questions that are open at the same time may be carried out in
/// any order; what has ended without an answer is carried out before a later question, or never.
class claims {
public:
  // -- events ----------------------------------------------------------------------------

  /// Says this from now on. `done` once the registry has heard it.
  struct put {
    registry::record what;
  };

  /// Registers an agent; claims its name first if `claims`. `done` once the registry has heard it.
  /// Errors: name_taken, withdrawn (the agent ended meanwhile), in_use (an agent of that name is
  /// registered, or about to be), limit_reached, and what the services say. After an error nothing
  /// of it is left.
  struct add {
    registry::record what;
    bool claims = false;
  };

  /// The agent has ended. Has no answer. If the step has an id, only the agent that was added with
  /// that id is meant.
  struct remove {
    std::string name;
  };

  /// Takes back all that was ever said. `done` once both services have heard it.
  struct leave {};

  /// The first one begins the heartbeats.
  struct begin {};

  /// The services can be reached, or again.
  struct bound {};

  /// Somebody has heard of that boot of this node.
  struct outlived {
    boot_number heard = 0;
  };

  /// The host has kept this boot: the node goes on with it.
  struct risen {
    boot_number boot = 0;
  };

  /// The registry shows a record with this claim to an agent's name, or that one of this node was
  /// `taken`. `holder` is for people.
  struct seen {
    std::string name;
    std::string owner;
    std::uint64_t token = 0;
    bool taken = false;
    std::string holder{};
  };

  /// The registry shows this record of this node; `as_lost`: as one of a node that is gone.
  struct shown {
    registry::record what;
    bool as_lost = false;
  };

  /// The answer to the `ask` of this step's id, or why there is none.
  template <class Result>
  struct heard {
    result<Result> what;
  };

  using event = std::variant<put, add, remove, leave, begin, bound, outlived, risen, seen, shown,
                             heard<registry::put_report>, heard<registry::owner_view>,
                             heard<registry::names::claims>, heard<registry::names::freed>,
                             heard<registry::names::claim_page>>;

  // -- effects ---------------------------------------------------------------------------

  /// Ask the registry or the service of names, and step `heard` within `wait`.
  struct ask {
    request_id id = 0;
    std::variant<registry::put_records, registry::heartbeat, registry::find_owner,
                 registry::names::claim, registry::names::release, registry::names::list_claims>
      what;
    duration wait{};
  };

  /// The request of this id has ended: once for each put, add and leave with an id.
  struct done {
    request_id id = 0;
    problem why;
  };

  /// Another node has the name: the agent that was added with this id gets nothing more, and is
  /// told.
  struct lost_name {
    std::string name;
    request_id added = 0;
    problem why;
  };

  /// Agents of this node are found here before the registry has told of them.
  struct show {
    registry::record what;
  };

  /// The agent with that record has ended, or lost its name: it is no longer found.
  struct hide {
    registry::record what;
  };

  /// Keep this boot on the disk, and step `risen`.
  struct rise {
    boot_number boot = 0;
  };

  struct warn {
    std::string text;
  };

  /// As node_log has it.
  struct complain {
    std::string topic;
    std::string detail;
  };

  struct settle {
    std::string topic;
  };

  using effect = std::variant<ask, done, lost_name, show, hide, rise, warn, complain, settle>;
  using effects = std::vector<effect>;

  claims(std::string node, boot_number boot, const claims_options& options, std::uint64_t seed)
    : node_(std::move(node)), options_(options), random_(seed), book_(node_, boot) {}

  /// @pre `now` never goes backwards.
  void step(time_point now, request_id id, event what, effects& out) {
    now_ = now;
    out_ = &out;
    std::visit([&](auto& each) { handle(id, each); }, what);
    out_ = nullptr;
  }

  void tick(time_point now, effects& out) {
    now_ = now;
    out_ = &out;
    while (!open_.empty() && open_.begin()->second.due <= now)
      give_up(open_.extract(open_.begin()).mapped());
    while (!again_.empty() && again_.begin()->first <= now) {
      auto next = again_.extract(again_.begin());
      say(std::move(next.mapped()));
    }
    if (wish_until_ && *wish_until_ <= now)
      wish_until_.reset(); // the disk did not keep it; the next to say so has it tried again
    if (beat_at_ && *beat_at_ <= now)
      beat();
    out_ = nullptr;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = beat_at_;
    auto no_later = [&next](time_point when) { next = std::min(next.value_or(when), when); };
    if (!open_.empty())
      no_later(open_.begin()->second.due); // all are given the same time
    if (!again_.empty())
      no_later(again_.begin()->first);
    if (wish_until_)
      no_later(*wish_until_);
    return next;
  }

  /// What is said at present.
  [[nodiscard]] const registry::own_records& book() const {
    return book_;
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    std::vector<std::string> found;
    auto expect = [&found](bool holds, std::string what) {
      if (!holds)
        found.push_back(std::move(what));
    };
    std::map<std::uint64_t, std::size_t> missing;
    std::map<std::string, std::uint32_t> releasing;
    std::map<std::string, std::size_t> claims_of;
    std::optional<time_point> last;
    for (auto& [id, each] : open_) {
      expect(!last || *last <= each.due, "a later question is due before an earlier one");
      last = each.due;
      expect(id <= last_request_, "a question has a number that was not given");
      if (auto* words = std::get_if<said>(&each.what)) {
        ++missing[words->tally];
        expect(words->boot <= book_.boot(), "a record was said with a boot to come");
      } else if (auto* one = std::get_if<claim_of>(&each.what)) {
        ++claims_of[one->name];
        auto known = claiming_.find(one->name);
        expect(known != claiming_.end() && known->second.asked == id,
               "a claim of " + one->name + " is open that nobody waits for");
      } else if (auto* back = std::get_if<given_back>(&each.what)) {
        if (back->tally != 0)
          ++missing[back->tally];
        for (auto& name : back->names)
          ++releasing[name];
      }
    }
    for (auto& [when, each] : again_)
      ++missing[each.tally];
    expect(missing.size() == tallies_.size(), "a tally waits for nothing");
    std::set<request_id> askers;
    auto note = [&](request_id asker) {
      expect(asker == 0 || askers.insert(asker).second, "an asker waits for two answers");
    };
    for (auto& [ticket, each] : tallies_) {
      expect(each.missing == missing[ticket], "a tally does not count what it waits for");
      note(each.asker);
    }
    expect(releasing == releasing_, "the releases under way are not those that are asked");
    for (auto& [name, each] : claiming_) {
      expect((each.asked == 0) == (claims_of[name] == 0), "a claim of " + name + " is lost");
      expect(each.asked != 0 || releasing_.contains(name),
             "a claim of " + name + " waits for nothing");
      expect(!each.next || !each.is_wanted, "two agents want the name " + name);
      expect(!has_name(name), "the name " + name + " is claimed that this node has");
      note(each.first.asker);
      if (each.next)
        note(each.next->asker);
    }
    for (auto& [name, asker] : added_by_)
      expect(book_.find(registry::record_kind::agent, name).has_value(),
             "an agent " + name + " is known that is not said");
    expect(!wish_until_ || wished_ > book_.boot(), "a boot is wished for that is past");
    expect(book_.size() <= options_.max_records, "more records than allowed");
    expect(owed_.size() <= options_.max_owed, "more records are owed than allowed");
    expect(rises_ <= options_.max_rises, "more boots than allowed");
    return found;
  }

private:
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

  struct said {
    std::vector<registry::record> what;
    boot_number boot = 0;
    std::uint64_t tally = 0;
    int tries = 0;
  };

  struct beat_of {};
  struct search {};

  struct claim_of {
    std::string name;
  };

  /// Names with the tokens of the claims before.
  struct claimed_again {
    std::vector<std::pair<std::string, std::uint64_t>> names;
    /// All were claimed once more since: a refusal says nothing of the present.
    bool is_stale = false;
  };

  struct given_back {
    std::vector<std::string> names;
    std::uint64_t tally = 0;
  };

  struct search_names {};

  using purpose
    = std::variant<said, beat_of, search, claim_of, claimed_again, given_back, search_names>;

  struct question {
    purpose what;
    time_point due{};
  };

  struct wish {
    registry::record what;
    request_id asker = 0;
  };

  /// A claim of an agent's name. While `asked` is 0 it waits for the release of the name.
  struct claiming {
    wish first;
    bool is_wanted = true;
    request_id asked = 0;
    /// The service may have granted it and forgotten that since.
    bool is_stale = false;
    /// Its agent began when that of `first` had ended.
    std::optional<wish> next{};
  };

  template <class Effect>
  void emit(Effect what) {
    out_->push_back(std::move(what));
  }

  void tell(request_id asker, const problem& why) {
    if (asker != 0)
      emit(done{asker, why});
  }

  template <class Words>
  request_id put_question(Words words, purpose what) {
    auto id = ++last_request_;
    open_.emplace(id, question{std::move(what), now_ + options_.answer_within});
    emit(ask{id, std::move(words), options_.answer_within});
    return id;
  }

  /// Takes the open question of that id if it is of that kind.
  template <class Kind>
  std::optional<Kind> take(request_id id) {
    auto found = open_.find(id);
    if (found == open_.end() || !std::holds_alternative<Kind>(found->second.what))
      return std::nullopt;
    auto taken = std::get<Kind>(std::move(found->second.what));
    open_.erase(found);
    return taken;
  }

  /// Whether another try may end otherwise, in time.
  static bool may_pass(errc code) {
    return code != errc::bad_argument && code != errc::too_large && code != errc::denied
           && code != errc::wrong_type;
  }

  /// The time of a question is over.
  void give_up(question& what) {
    problem late{errc::timed_out, "no answer in time"};
    if (auto* words = std::get_if<said>(&what.what))
      announced(std::move(*words), late);
    else if (auto* one = std::get_if<claim_of>(&what.what))
      claimed(one->name, late);
    else if (auto* several = std::get_if<claimed_again>(&what.what))
      renewed(*several, late);
    else if (auto* back = std::get_if<given_back>(&what.what))
      released(*back, late);
  }

  // -- what is said ------------------------------------------------------------------------

  [[nodiscard]] bool has_room() const {
    return book_.size() + claiming_.size() + releasing_.size() + unreleased_.size()
           < options_.max_records;
  }

  [[nodiscard]] bool may_ask() const {
    return open_.size() + again_.size() < options_.max_questions;
  }

  [[nodiscard]] problem full() const {
    if (!may_ask())
      return {errc::limit_reached,
              std::to_string(open_.size() + again_.size())
                + " questions to the services wait for an answer; retry later"};
    return {errc::limit_reached, "this node has " + std::to_string(options_.max_records)
                                   + " agents and services, and takes no more; remove some"};
  }

  void handle(request_id id, put& what) {
    auto is_new = !book_.find(what.what.key.kind, what.what.key.name);
    if (!may_ask() || (is_new && !has_room()))
      return tell(id, full());
    announce({book_.put(std::move(what.what))}, {.asker = id});
  }

  void announce(const std::vector<registry::record>& what, tally whose, int tries = 0) {
    auto ticket = begin_tally(std::move(whose));
    say_pages(what, ticket, tries);
    count(ticket, {});
  }

  /// It waits for one count() more than for what is asked.
  std::uint64_t begin_tally(tally whose) {
    ++whose.missing;
    tallies_.emplace(++last_tally_, std::move(whose));
    return last_tally_;
  }

  void say_pages(const std::vector<registry::record>& what, std::uint64_t ticket, int tries) {
    constexpr std::size_t page = 500;
    for (std::size_t first = 0; first < what.size(); first += page) {
      auto from = what.begin() + static_cast<std::ptrdiff_t>(first);
      auto to = what.begin() + static_cast<std::ptrdiff_t>(std::min(first + page, what.size()));
      ++tallies_.at(ticket).missing;
      say({{from, to}, book_.boot(), ticket, tries});
    }
  }

  /// To say a record again does no harm, as it has a version. It is said as it is now; what was
  /// taken back meanwhile is left out.
  void say(said what) {
    if (what.tries++ > 0) {
      std::erase_if(what.what, [&](registry::record& each) { return !bring_up_to_date(each); });
      what.boot = book_.boot();
      if (what.what.empty())
        return count(what.tally, {});
    }
    registry::put_records words{what.what};
    put_question(std::move(words), std::move(what));
  }

  /// Returns whether there is anything to say of it. A later boot ends what earlier ones have said.
  [[nodiscard]] bool bring_up_to_date(registry::record& what) const {
    auto now = book_.find(what.key.kind, what.key.name);
    if (now)
      what = std::move(*now);
    return now || (what.removed && what.boot == book_.boot());
  }

  void handle(request_id id, heard<registry::put_report>& answer) {
    auto what = take<said>(id);
    if (!what)
      return;
    if (!answer.what)
      return announced(std::move(*what), answer.what.error());
    // A record of this very start says something else. It is of a past life, if this folder was
    // put back since, and a start above that ends it.
    if (answer.what->clashing > 0 && what->boot == book_.boot())
      go_above(what->boot);
    else if (answer.what->stale > 0 && what->boot == book_.boot())
      look_for_boot(answer.what->stale > outdated(what->what));
    count(what->tally, {});
  }

  /// How many of these this node has changed or taken back since.
  [[nodiscard]] std::size_t outdated(const std::vector<registry::record>& what) const {
    return static_cast<std::size_t>(std::ranges::count_if(what, [&](const registry::record& each) {
      auto now = book_.find(each.key.kind, each.key.name);
      return now ? now->version != each.version : !each.removed;
    }));
  }

  /// A registry that has just begun knows no session of the last one.
  void announced(said what, const problem& why) {
    auto passes_soon = why.code == errc::session_expired || why.code == errc::outcome_unknown
                       || why.code == errc::busy;
    if (planted_flaw == flaw::handover_drops && why.code == errc::session_expired) {
      tallies_.at(what.tally).asker = 0;
      return count(what.tally, {});
    }
    if (passes_soon && what.tries < options_.max_tries) {
      auto when = now_ + options_.retry.delay(static_cast<std::uint32_t>(what.tries), random_);
      again_.emplace(when, std::move(what));
      return;
    }
    if (may_pass(why.code))
      owe(std::move(what.what));
    count(what.tally, why);
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

  /// The services answer: tells them what they have not taken.
  void catch_up() {
    if (owes_all_) {
      say_all();
    } else if (!owed_.empty()) {
      std::vector<registry::record> what;
      for (auto& [key, each] : std::exchange(owed_, {}))
        what.push_back(each);
      announce(what, {}, 1);
    }
    if (owes_claims_)
      claim_again();
    give_back_late();
  }

  void count(std::uint64_t ticket, const problem& why) {
    auto found = tallies_.find(ticket);
    if (!found->second.first)
      found->second.first = why;
    if (--found->second.missing > 0)
      return;
    auto over = tallies_.extract(found).mapped();
    if (auto by = added_by_.find(over.added);
        over.first && by != added_by_.end() && by->second == over.asker)
      take_back(over.added);
    if (over.asker != 0)
      return tell(over.asker, over.first);
    if (over.all && !over.first && over.all->first == book_.boot())
      book_.confirm(over.all->second);
    log_refusal(over.first);
  }

  /// That there is no way to the registry is said elsewhere.
  void log_refusal(const problem& why) {
    if (!why)
      emit(settle{not_taken});
    else if (why.code != errc::unreachable && why.code != errc::no_quorum)
      emit(complain{not_taken, why.detail});
  }

  /// What was taken back has no need to be said again once a registry has heard it all, and nothing
  /// older that may still arrive.
  void say_all() {
    owes_all_ = false;
    owed_.clear();
    tally whose;
    auto is_put = [](auto& each) { return std::holds_alternative<said>(each.second.what); };
    if (std::ranges::none_of(open_, is_put))
      whose.all = std::pair{book_.boot(), book_.version()};
    announce(book_.all(), std::move(whose));
  }

  /// A registry may have begun with the copy of a node that had not heard of the removal, after the
  /// last one had confirmed it.
  void handle(request_id, shown& what) {
    owes_claims_ = owes_claims_ || (what.as_lost && options_.is_fleeting); // they may be free now
    if (!may_ask())
      return; // a later snapshot shows it again
    if (auto gone = book_.take_back(what.what))
      announce({std::move(*gone)}, {});
  }

  void handle(request_id, begin&) {
    if (!beat_at_)
      beat();
  }

  void beat() {
    put_question(registry::heartbeat{node_, book_.boot()}, beat_of{});
    beat_at_ = now_ + options_.heartbeat_every;
  }

  void handle(request_id id, heard<registry::owner_view>& answer) {
    if (take<beat_of>(id)) {
      if (!answer.what && answer.what.error().code == errc::not_found)
        owes_all_ = true; // it has forgotten
      if (answer.what || answer.what.error().code == errc::not_found)
        catch_up();
      else if (answer.what.error().code == errc::conflict)
        look_for_boot();
    } else if (take<search>(id) && answer.what) {
      auto& owner = *answer.what;
      if (book_.is_outlived(owner) || (owner.boot == book_.boot() && more_is_known_))
        go_above(owner.boot);
      more_is_known_ = false;
    }
  }

  void handle(request_id, bound&) {
    say_all();
    claim_again();
    give_back_late();
    for (auto& [name, each] : claiming_)
      each.is_stale = each.asked != 0;
  }

  // -- boots -------------------------------------------------------------------------------

  /// The registry may have heard of a later life of this node: if so, goes above it. Likewise if
  /// `more_is_known`: it has something newer of a record than the last word of this life.
  void look_for_boot(bool more_is_known = false) {
    more_is_known_ = more_is_known_ || more_is_known;
    if (!open_.contains(search_))
      search_ = put_question(registry::find_owner{node_}, search{});
  }

  void handle(request_id, outlived& what) {
    if (what.heard > book_.boot())
      go_above(what.heard);
  }

  void go_above(boot_number other) {
    if (other < book_.boot() || (wish_until_ && other < wished_))
      return;
    if (other - book_.boot() > max_boot_jump || other >= registry::max_boot)
      return emit(complain{"the cluster has heard of a start of this node that cannot be",
                           "that is number " + std::to_string(other) + ", and this is number "
                             + std::to_string(book_.boot())
                             + ": what this node says may be ignored; find out who else has its "
                               "key, and start it with "
                               "an empty data folder and a new certificate (troupe ca invite)"});
    if (rises_ >= options_.max_rises)
      return emit(complain{"another live process has this node's identity",
                           "stop one of the two; data folders must not be copied"});
    wished_ = other + 1;
    wish_until_ = now_ + options_.answer_within;
    emit(rise{wished_});
  }

  void handle(request_id, risen& what) {
    if (what.boot <= book_.boot())
      return; // a boot never goes back
    if (wish_until_ && what.boot >= wished_) {
      wish_until_.reset();
      ++rises_;
    }
    book_.rise_above(what.boot - 1);
    more_is_known_ = false;
    emit(warn{"this node's identity was heard of with a later start (is its data folder restored "
              "or copied?); it goes on as start "
              + std::to_string(book_.boot())});
    say_all();
    claim_again();
    for (auto& [name, each] : claiming_) // the claim of an earlier boot is freed
      if (open_.erase(each.asked) > 0)
        ask_claim(name, each);
  }

  // -- agents ------------------------------------------------------------------------------

  void handle(request_id id, add& what) {
    auto name = what.what.key.name;
    if (!may_ask() || !has_room())
      return tell(id, full());
    if (book_.find(registry::record_kind::agent, name))
      return tell(id, registered(name));
    if (!what.claims)
      return introduce({std::move(what.what), id});
    wish mine{std::move(what.what), id};
    auto [found, is_new] = claiming_.try_emplace(name);
    auto& under_way = found->second;
    if (is_new) {
      under_way.first = std::move(mine);
      if (!releasing_.contains(name))
        ask_claim(name, under_way);
    } else if (under_way.is_wanted || under_way.next) {
      tell(id, registered(name));
    } else {
      under_way.next = std::move(mine);
    }
  }

  static problem registered(const std::string& name) {
    return {errc::in_use,
            "agent '" + name.substr(0, 64) + "' is registered already, or about to be"};
  }

  void introduce(wish mine) {
    auto name = mine.what.key.name;
    added_by_[name] = mine.asker;
    emit(show{mine.what});
    announce({book_.put(std::move(mine.what))}, {.asker = mine.asker, .added = name});
  }

  void ask_claim(const std::string& name, claiming& what) {
    what.is_stale = false;
    what.asked = put_question(claim_for({name}), claim_of{name});
  }

  void handle(request_id id, heard<registry::names::claims>& answer) {
    if (auto one = take<claim_of>(id))
      claimed(one->name, std::move(answer.what));
    else if (auto several = take<claimed_again>(id))
      renewed(*several, answer.what);
  }

  void claimed(const std::string& name, result<registry::names::claims> answer) {
    auto it = claiming_.extract(name).mapped();
    if (answer && (answer->claimed.empty() || answer->claimed.front().name != name))
      answer = problem{errc::failed, "the service of names has answered another claim"};
    if (answer && (it.is_wanted || it.next)) {
      if (!it.is_wanted)
        tell(it.first.asker, withdrawn(name));
      auto& mine = it.is_wanted ? it.first : *it.next;
      mine.what.token = answer->claimed.front().token;
      introduce(std::move(mine));
      if (it.is_stale)
        claim_batch({name});
      return;
    }
    if (!answer && answer.error().code == errc::in_use)
      look_for_claims();
    if (!it.next && (answer || !is_refusal(answer.error().code)))
      give_back({name}, 0);
    tell(it.first.asker, answer ? withdrawn(name) : answer.error());
    if (it.next) {
      claiming later{std::move(*it.next)};
      ask_claim(name, claiming_.emplace(name, std::move(later)).first->second);
    }
  }

  static problem withdrawn(const std::string& name) {
    return {errc::withdrawn, "agent '" + name + "' ended before the cluster knew it"};
  }

  void handle(request_id id, remove& what) {
    if (auto found = claiming_.find(what.name); found != claiming_.end())
      withdraw(found, id);
    // The registry wants names that nobody claimed with the id of their node.
    for (auto& name : {what.name, what.name + '@' + node_})
      if (auto by = added_by_.find(name); by != added_by_.end() && (id == 0 || by->second == id))
        return take_back(name);
  }

  /// @pre There is an agent of that name.
  void take_back(const std::string& name) {
    // First: who hears that the agent is gone may claim its name.
    if (has_name(name))
      give_back({name}, 0);
    announce({forget(name)}, {});
  }

  /// Returns the removal.
  registry::record forget(const std::string& name) {
    added_by_.erase(name);
    auto gone = *book_.remove(registry::record_kind::agent, name);
    emit(hide{gone});
    return gone;
  }

  /// The agent that `asker` has added; any if that is 0.
  void withdraw(std::map<std::string, claiming>::iterator which, request_id asker) {
    auto& [name, what] = *which;
    if (what.next && (asker == 0 || what.next->asker == asker))
      tell(std::exchange(what.next, std::nullopt)->asker, withdrawn(name));
    if (!what.is_wanted || (asker != 0 && what.first.asker != asker))
      return;
    what.is_wanted = false;
    if (what.asked == 0) {
      tell(what.first.asker, withdrawn(name));
      claiming_.erase(which);
    }
  }

  void handle(request_id id, leave&) {
    for (auto each = claiming_.begin(); each != claiming_.end();)
      withdraw(each++, 0);
    std::vector<registry::record> gone;
    std::vector<std::string> names;
    for (auto& each : book_.all()) {
      auto removed = book_.remove(each.key.kind, each.key.name);
      if (removed && removed->token != 0)
        names.push_back(removed->key.name);
      gone.push_back(removed ? std::move(*removed) : std::move(each)); // or it was removed before
    }
    added_by_.clear();
    auto ticket = begin_tally({.asker = id});
    give_back(names, ticket);
    say_pages(gone, ticket, 0);
    count(ticket, {});
  }

  // -- names -------------------------------------------------------------------------------

  /// As name_options::max_batch.
  static std::vector<std::vector<std::string>> batches(const std::vector<std::string>& names) {
    constexpr std::size_t max_claims = 1'000;
    std::vector<std::vector<std::string>> made;
    for (std::size_t first = 0; first < names.size(); first += max_claims) {
      auto last = std::min(first + max_claims, names.size());
      made.push_back({names.begin() + static_cast<std::ptrdiff_t>(first),
                      names.begin() + static_cast<std::ptrdiff_t>(last)});
    }
    return made;
  }

  void give_back(const std::vector<std::string>& names, std::uint64_t ticket) {
    for (auto& each : batches(names)) {
      for (auto& name : each)
        ++releasing_[name];
      if (ticket != 0)
        ++tallies_.at(ticket).missing;
      put_question(registry::names::release{each, node_, book_.boot()}, given_back{each, ticket});
    }
  }

  void handle(request_id id, heard<registry::names::freed>& answer) {
    if (auto what = take<given_back>(id))
      released(*what, answer.what.error_or({}));
  }

  void released(const given_back& what, const problem& why) {
    for (auto& name : what.names) {
      if (why && may_pass(why.code))
        unreleased_.insert(name);
      auto found = releasing_.find(name);
      if (--found->second > 0)
        continue;
      releasing_.erase(found);
      if (auto waits = claiming_.find(name); waits != claiming_.end() && waits->second.asked == 0)
        ask_claim(name, waits->second);
    }
    if (what.tally != 0)
      count(what.tally, why);
  }

  /// The service may have them yet. Those that are being claimed have to wait for how that ends.
  void give_back_late() {
    std::vector<std::string> names;
    std::erase_if(unreleased_, [&](const std::string& name) {
      if (claiming_.contains(name) || releasing_.contains(name))
        return false;
      if (!has_name(name))
        names.push_back(name);
      return true;
    });
    give_back(names, 0);
  }

  /// The service may have forgotten, or this is a new boot: who had a name keeps it, unless another
  /// was faster.
  void claim_again() {
    owes_claims_ = false;
    for (auto& [id, each] : open_)
      if (auto* earlier = std::get_if<claimed_again>(&each.what))
        earlier->is_stale = true;
    std::vector<std::string> names;
    for (auto& each : book_.all())
      if (each.token != 0 && !each.removed)
        names.push_back(each.key.name);
    for (auto& each : batches(names))
      claim_batch(each);
  }

  /// @pre This node has these names.
  void claim_batch(const std::vector<std::string>& names) {
    claimed_again what;
    for (auto& each : names)
      what.names.emplace_back(each, token_of(each));
    put_question(claim_for(names), std::move(what));
  }

  [[nodiscard]] registry::names::claim claim_for(std::vector<std::string> names) const {
    return {std::move(names), node_, book_.boot(), options_.is_fleeting};
  }

  /// Whether a claim was surely not granted. After any other problem it may have been.
  static bool is_refusal(errc code) {
    return code == errc::name_taken || code == errc::in_use;
  }

  void renewed(const claimed_again& what, const result<registry::names::claims>& answer) {
    auto code = answer ? errc::none : answer.error().code;
    if (!is_refusal(code))
      give_back_ended(what);
    if (what.is_stale)
      return;
    if (answer) {
      emit(settle{not_claimed});
      return keep_tokens(answer->claimed);
    }
    if (code != errc::name_taken) {
      owes_claims_ = owes_claims_ || may_pass(code);
      if (code == errc::in_use)
        return look_for_claims();
      return emit(complain{not_claimed, answer.error().detail});
    }
    if (auto& [name, token] = what.names.front(); what.names.size() == 1 && token_of(name) == token)
      return lose(name, answer.error());
    for (auto& [name, token] : what.names) // all or none: see which it was
      if (has_name(name))
        claim_batch({name});
  }

  /// Their agents have ended since the claim was asked, which may have been carried out last.
  void give_back_ended(const claimed_again& what) {
    std::vector<std::string> names;
    for (auto& [name, token] : what.names)
      if (claiming_.contains(name))
        unreleased_.insert(name); // that claim may have been carried out first, and refused
      else if (!has_name(name))
        names.push_back(name);
    give_back(names, 0);
  }

  /// Zero if this node does not have that name.
  [[nodiscard]] std::uint64_t token_of(const std::string& name) const {
    auto known = book_.find(registry::record_kind::agent, name);
    return known ? known->token : 0;
  }

  [[nodiscard]] bool has_name(const std::string& name) const {
    return token_of(name) != 0;
  }

  /// Records carry the tokens of their claims, which only rise.
  void keep_tokens(const std::vector<registry::names::name_claim>& granted) {
    std::vector<registry::record> changed;
    for (auto& each : granted) {
      auto known = book_.find(registry::record_kind::agent, each.name);
      if (!known || known->token >= each.token || known->token == 0)
        continue;
      known->token = each.token;
      changed.push_back(book_.put(std::move(*known)));
    }
    if (!changed.empty())
      announce(changed, {});
  }

  /// Another has a newer claim: the agent gets nothing more from here on, and is told.
  void lose(const std::string& name, const problem& why) {
    if (!has_name(name) || planted_flaw == flaw::name_claimed_twice)
      return;
    emit(warn{"agent '" + name + "' has lost its name: " + why.detail});
    auto by = added_by_.find(name);
    emit(lost_name{name, by != added_by_.end() ? by->second : 0, why});
    announce({forget(name)}, {});
    unreleased_.insert(name); // a claim without an answer may be carried out later
  }

  void handle(request_id, seen& what) {
    auto own = book_.find(registry::record_kind::agent, what.name);
    if (!own || own->token == 0)
      return;
    auto is_own = what.owner == node_;
    auto is_lost
      = is_own ? what.taken && what.token == own->token : !what.taken && what.token > own->token;
    if (is_lost)
      lose(what.name, {errc::name_taken, (is_own ? "another node" : "node " + what.holder)
                                           + " has a newer claim to '" + what.name + "'"});
  }

  /// Finds out which boot of this node the service has heard of.
  void look_for_claims() {
    if (!open_.contains(search_names_))
      search_names_ = put_question(registry::names::list_claims{node_, {}, 1}, search_names{});
  }

  void handle(request_id id, heard<registry::names::claim_page>& answer) {
    if (take<search_names>(id) && answer.what && !answer.what->claimed.empty()
        && answer.what->claimed.front().boot > book_.boot())
      go_above(answer.what->claimed.front().boot);
  }

  static constexpr const char* not_taken = "the registry did not take a record";
  static constexpr const char* not_claimed = "names could not be claimed anew";

  std::string node_;
  claims_options options_;
  random_source random_;
  registry::own_records book_;
  time_point now_{};
  effects* out_ = nullptr; // of the current call

  std::map<request_id, question> open_;
  request_id last_request_ = 0;
  std::map<std::uint64_t, tally> tallies_;
  std::uint64_t last_tally_ = 0;
  std::multimap<time_point, said> again_;
  /// What was said last of them, and not taken.
  std::map<registry::record_key, registry::record> owed_;
  bool owes_all_ = false;
  bool owes_claims_ = false;
  std::optional<time_point> beat_at_;
  std::map<std::string, claiming> claiming_;
  /// Names that are being given back, and how often.
  std::map<std::string, std::uint32_t> releasing_;
  /// Names whose release has failed, or that may have been granted after it.
  std::set<std::string> unreleased_;
  /// The agents that are said, and who has added each.
  std::map<std::string, request_id> added_by_;
  /// The last questions of their kinds.
  request_id search_ = 0;
  request_id search_names_ = 0;
  /// Another life of the present boot has said more than this one.
  bool more_is_known_ = false;

  boot_number wished_ = 0;
  /// While the disk is to keep that boot.
  std::optional<time_point> wish_until_;
  int rises_ = 0;
};

} // namespace troupe::cluster
