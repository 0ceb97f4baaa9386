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
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/name_types.hpp"
#include "troupe/registry/own_records.hpp"
#include "troupe/registry/types.hpp"

namespace troupe::cluster {

/// Limits and times of a `claims`.
struct claims_options {
  duration heartbeat_every = std::chrono::seconds{10};
  /// How long to wait for each answer.
  duration answer_within = std::chrono::seconds{10};
  /// Wait between two tries of a put whose outcome is unknown.
  backoff retry{std::chrono::milliseconds{20}, std::chrono::seconds{1}};
  /// Tries of one put.
  int max_tries = 5;
  /// How often in its life a node goes above another boot; beyond it, it stays and says why. Two
  /// processes with one identity would go above each other for ever.
  int max_rises = 16;
  /// Records of this node and claims under way; more are refused with limit_reached.
  std::size_t max_records = 100'000;
};

/// Decides what a node says of itself and its agents, and which names of the cluster it has.
///
/// - Each change is told to the registry at once, all of it again when the registry has forgotten
///   or is another one, with heartbeats between.
/// - If the registry or the service of names has heard of a later boot of the node, it asks to go
///   above that. It says its new boot to others only after `risen`, when its host has kept it.
/// - A name is claimed before it is shown, released before the registry hears that its agent is
///   gone, and given back if the agent ends while the claim is under way. At most one claim of an
///   agent's name is under way; a claim waits until an earlier release of it is answered.
/// - Who has a name claims it again at a new boot or when the service may have forgotten. A batch
///   that is refused as name_taken is claimed one by one. An agent whose name another node has
///   claimed later loses it.
/// - An answer counts if its question is still open. What has been taken back is not said again.
///
/// Steps like any machine. No snapshot: the agents end with the process. Not thread-safe. Cost of a
/// step: O(log n) for each record that it touches; O(n) in open questions for next_deadline().
class claims {
public:
  // -- events ----------------------------------------------------------------------------

  /// Says this from now on. `done` once the registry has heard it.
  struct put {
    registry::record what;
  };

  /// Registers an agent; claims its name first if `claims`. `done` once the registry has heard it.
  /// Errors: name_taken, withdrawn (the agent ended meanwhile), in_use (a claim of the same name is
  /// under way), limit_reached, and what the services say; then the name is not claimed.
  struct add {
    registry::record what;
    bool claims = false;
  };

  /// The agent has ended. Has no answer.
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

  /// The answer to the `ask` of this step's id, or why there is none.
  template <class Result>
  struct heard {
    result<Result> what;
  };

  using event = std::variant<put, add, remove, leave, begin, bound, outlived, risen, seen,
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

  /// Another node has the name: its agent gets nothing more, and is told.
  struct lost_name {
    std::string name;
    problem why;
  };

  /// Agents of this node are found here before the registry has told of them.
  struct show {
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

  using effect = std::variant<ask, done, lost_name, show, rise, warn, complain, settle>;
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
    std::vector<request_id> late;
    for (auto& [id, each] : open_)
      if (each.due <= now)
        late.push_back(id);
    for (auto id : late)
      if (auto each = open_.extract(id))
        give_up(each.mapped());
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
    for (auto& [id, each] : open_)
      no_later(each.due);
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

  /// Questions without an answer; for tests.
  [[nodiscard]] std::size_t open_questions() const {
    return open_.size();
  }

private:
  /// Of several questions, the first problem of which is told when all are over.
  struct tally {
    std::size_t missing = 0;
    problem first{};
    request_id asker = 0;
    /// If set, all up to this version was said with that boot.
    std::optional<std::pair<boot_number, std::uint64_t>> all{};
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

  struct claimed_again {
    std::vector<std::string> names;
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

  template <class Kind>
  [[nodiscard]] bool is_open() const {
    return std::ranges::any_of(
      open_, [](auto& each) { return std::holds_alternative<Kind>(each.second.what); });
  }

  /// The time of a question is over.
  void give_up(question& what) {
    problem late{errc::timed_out, "no answer in time"};
    if (auto* words = std::get_if<said>(&what.what))
      announced(std::move(*words), late);
    else if (auto* one = std::get_if<claim_of>(&what.what))
      claimed(one->name, late);
    else if (auto* several = std::get_if<claimed_again>(&what.what))
      renewed(several->names, late);
    else if (auto* back = std::get_if<given_back>(&what.what))
      released(*back, late);
  }

  // -- what is said ------------------------------------------------------------------------

  [[nodiscard]] bool has_room() const {
    return book_.size() + claiming_.size() < options_.max_records;
  }

  [[nodiscard]] problem full() const {
    return {errc::limit_reached, "this node has " + std::to_string(options_.max_records)
                                   + " agents and services, and takes no more; remove some"};
  }

  void handle(request_id id, put& what) {
    if (!has_room() && !book_.find(what.what.key.kind, what.what.key.name))
      return tell(id, full());
    announce({book_.put(std::move(what.what))}, {.asker = id});
  }

  void announce(std::vector<registry::record> what, tally whose) {
    constexpr std::size_t page = 500;
    auto ticket = ++last_tally_;
    whose.missing += std::max<std::size_t>((what.size() + page - 1) / page, 1);
    tallies_.emplace(ticket, std::move(whose));
    if (what.empty())
      return count(ticket, {});
    for (std::size_t first = 0; first < what.size(); first += page) {
      auto from = what.begin() + static_cast<std::ptrdiff_t>(first);
      auto to = what.begin() + static_cast<std::ptrdiff_t>(std::min(first + page, what.size()));
      say({{from, to}, book_.boot(), ticket, 0});
    }
  }

  /// To say a record again does no harm, as it has a version. What has changed since, or was taken
  /// back, is left out.
  void say(said what) {
    if (what.tries++ > 0) {
      std::erase_if(what.what, [&](const registry::record& each) { return !is_said(each); });
      if (what.what.empty())
        return count(what.tally, {});
    }
    registry::put_records words{what.what};
    put_question(std::move(words), std::move(what));
  }

  [[nodiscard]] bool is_said(const registry::record& what) const {
    auto now = book_.find(what.key.kind, what.key.name);
    return what.removed ? !now && what.boot == book_.boot()
                        : now && now->version == what.version && now->boot == what.boot;
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
      look_for_boot();
    count(what->tally, {});
  }

  /// A registry that has just begun knows no session of the last one.
  void announced(said what, const problem& why) {
    auto is_passing = why.code == errc::session_expired || why.code == errc::outcome_unknown;
    if (!is_passing || what.tries >= options_.max_tries)
      return count(what.tally, why);
    auto when = now_ + options_.retry.delay(static_cast<std::uint32_t>(what.tries), random_);
    again_.emplace(when, std::move(what));
  }

  void count(std::uint64_t ticket, const problem& why) {
    auto found = tallies_.find(ticket);
    if (!found->second.first)
      found->second.first = why;
    if (--found->second.missing > 0)
      return;
    auto over = tallies_.extract(found).mapped();
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

  /// What was taken back has no need to be said again once a registry has heard it all.
  void say_all() {
    announce(book_.all(), {.all = std::pair{book_.boot(), book_.version()}});
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
        say_all(); // it has forgotten
      else if (!answer.what && answer.what.error().code == errc::conflict)
        look_for_boot();
    } else if (take<search>(id) && answer.what && book_.is_outlived(*answer.what)) {
      go_above(answer.what->boot);
    }
  }

  void handle(request_id, bound&) {
    say_all();
    claim_again();
  }

  // -- boots -------------------------------------------------------------------------------

  /// The registry may have heard of a later life of this node: if so, goes above it.
  void look_for_boot() {
    if (!is_open<search>())
      put_question(registry::find_owner{node_}, search{});
  }

  void handle(request_id, outlived& what) {
    if (what.heard > book_.boot())
      go_above(what.heard);
  }

  void go_above(boot_number other) {
    if (other < book_.boot() || (wish_until_ && other < wished_))
      return;
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
    if (!has_room())
      return tell(id, full());
    if (!what.claims) {
      emit(show{what.what});
      return announce({book_.put(std::move(what.what))}, {.asker = id});
    }
    wish mine{std::move(what.what), id};
    auto [found, is_new] = claiming_.try_emplace(name);
    auto& under_way = found->second;
    if (is_new) {
      under_way.first = std::move(mine);
      if (!releasing_.contains(name))
        ask_claim(name, under_way);
    } else if (under_way.is_wanted || under_way.next) {
      tell(id, {errc::in_use, "agent '" + name.substr(0, 64) + "' is being registered already"});
    } else {
      under_way.next = std::move(mine);
    }
  }

  void ask_claim(const std::string& name, claiming& what) {
    what.asked = put_question(registry::names::claim{{name}, node_, book_.boot()}, claim_of{name});
  }

  void handle(request_id id, heard<registry::names::claims>& answer) {
    if (auto one = take<claim_of>(id))
      claimed(one->name, std::move(answer.what));
    else if (auto several = take<claimed_again>(id))
      renewed(several->names, answer.what);
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
      emit(show{mine.what});
      return announce({book_.put(std::move(mine.what))}, {.asker = mine.asker});
    }
    if (!answer && answer.error().code == errc::in_use)
      look_for_claims();
    else if (!it.next && (answer || answer.error().code != errc::name_taken))
      give_back({name}, {}); // without an answer it may have been granted
    tell(it.first.asker, answer ? withdrawn(name) : answer.error());
    if (it.next) {
      claiming later{std::move(*it.next)};
      ask_claim(name, claiming_.emplace(name, std::move(later)).first->second);
    }
  }

  static problem withdrawn(const std::string& name) {
    return {errc::withdrawn, "agent '" + name + "' ended before the cluster knew it"};
  }

  void handle(request_id, remove& what) {
    if (auto found = claiming_.find(what.name); found != claiming_.end())
      withdraw(found);
    // First: who hears that the agent is gone may claim its name.
    if (auto known = book_.find(registry::record_kind::agent, what.name);
        known && known->token != 0)
      give_back({what.name}, {});
    auto gone = book_.remove(registry::record_kind::agent, what.name);
    if (!gone) // as the registry wants names that nobody claimed: with the id of their node
      gone = book_.remove(registry::record_kind::agent, what.name + '@' + node_);
    if (gone)
      announce({std::move(*gone)}, {});
  }

  void withdraw(std::map<std::string, claiming>::iterator which) {
    auto& [name, what] = *which;
    if (what.next)
      tell(std::exchange(what.next, std::nullopt)->asker, withdrawn(name));
    what.is_wanted = false;
    if (what.asked == 0) {
      tell(what.first.asker, withdrawn(name));
      claiming_.erase(which);
    }
  }

  void handle(request_id id, leave&) {
    for (auto each = claiming_.begin(); each != claiming_.end();)
      withdraw(each++);
    std::vector<registry::record> gone;
    std::vector<std::string> names;
    for (auto& each : book_.all())
      if (auto removed = book_.remove(each.key.kind, each.key.name)) {
        if (removed->token != 0)
          names.push_back(removed->key.name);
        gone.push_back(std::move(*removed));
      }
    auto ticket = ++last_tally_;
    tallies_.emplace(ticket, tally{.missing = 1, .asker = id});
    give_back(names, ticket);
    auto& both = tallies_.at(ticket);
    constexpr std::size_t page = 500;
    both.missing += (gone.size() + page - 1) / page;
    for (std::size_t first = 0; first < gone.size(); first += page) {
      auto from = gone.begin() + static_cast<std::ptrdiff_t>(first);
      auto to = gone.begin() + static_cast<std::ptrdiff_t>(std::min(first + page, gone.size()));
      say({{from, to}, book_.boot(), ticket, 0});
    }
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

  /// The service may have forgotten, or this is a new boot: who had a name keeps it, unless another
  /// was faster. Answers to the last time count no more.
  void claim_again() {
    std::erase_if(
      open_, [](auto& each) { return std::holds_alternative<claimed_again>(each.second.what); });
    std::vector<std::string> names;
    for (auto& each : book_.all())
      if (each.token != 0 && !each.removed)
        names.push_back(each.key.name);
    for (auto& each : batches(names))
      claim_batch(each);
  }

  void claim_batch(const std::vector<std::string>& names) {
    put_question(registry::names::claim{names, node_, book_.boot()}, claimed_again{names});
  }

  void renewed(const std::vector<std::string>& names,
               const result<registry::names::claims>& answer) {
    if (answer) {
      emit(settle{not_claimed});
      return keep_tokens(answer->claimed);
    }
    auto code = answer.error().code;
    if (code == errc::in_use)
      return look_for_claims();
    if (code != errc::name_taken)
      return emit(complain{not_claimed, answer.error().detail});
    if (names.size() == 1)
      return lose(names.front(), answer.error());
    for (auto& each : names) // all or none: see which it was
      if (has_name(each))
        claim_batch({each});
  }

  [[nodiscard]] bool has_name(const std::string& name) const {
    auto known = book_.find(registry::record_kind::agent, name);
    return known && known->token != 0;
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
    announce(std::move(changed), {});
  }

  /// Another has a newer claim: the agent gets nothing more from here on, and is told.
  void lose(const std::string& name, const problem& why) {
    if (!has_name(name))
      return;
    emit(warn{"agent '" + name + "' has lost its name: " + why.detail});
    emit(lost_name{name, why});
    announce({*book_.remove(registry::record_kind::agent, name)}, {});
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
    if (!is_open<search_names>())
      put_question(registry::names::list_claims{node_, {}, 1}, search_names{});
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
  std::optional<time_point> beat_at_;
  std::map<std::string, claiming> claiming_;
  /// Names that are being given back, and how often.
  std::map<std::string, std::uint32_t> releasing_;

  boot_number wished_ = 0;
  /// While the disk is to keep that boot.
  std::optional<time_point> wish_until_;
  int rises_ = 0;
};

} // namespace troupe::cluster
