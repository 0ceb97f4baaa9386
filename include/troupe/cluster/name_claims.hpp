#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/claims_types.hpp"
#include "troupe/cluster/service_questions.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/name_types.hpp"
#include "troupe/registry/own_records.hpp"
#include "troupe/registry/types.hpp"

namespace troupe::cluster {

/// The names that a node claims for its agents, claims again and gives back. Part of `claims`; the
/// names that it has are those of the records with tokens.
///
/// - At most one claim of an agent's name is under way; a claim waits until an earlier release of
///   it is answered.
/// - A name that may have been granted though its agent has ended is given back.
/// - A release that has failed is made up for, once the name is neither claimed nor had.
/// - A name that the service has freed is claimed again once a look has shown that.
///
/// Not thread-safe. Cost of a call: O(log n) for each name, of claim_again, looked, bound and risen
/// O(n) in records and open questions.
class name_claims {
public:
  using effects = claims_types::effects;
  using claimed_again = service_questions::claimed_again;
  using given_back = service_questions::given_back;

  /// An agent that is to be registered.
  struct wish {
    registry::record what;
    request_id asker = 0;
  };

  /// The name is that of this agent, whose record has the token. `is_stale`: the service may have
  /// forgotten that since.
  struct grant {
    wish whose;
    bool is_stale = false;
  };

  /// What follows when names were claimed again.
  enum class renewal : std::uint8_t {
    nothing,
    /// The records are to have the new tokens.
    granted,
    /// The service has heard of a later boot.
    outlived,
    /// Another has a newer claim to the only one of these names.
    lost
  };

  /// @pre all three outlive this
  name_claims(const claims_options& options, const registry::own_records& book,
              service_questions& questions)
    : options_(options), book_(book), questions_(questions) {}

  name_claims(const name_claims&) = delete;
  name_claims& operator=(const name_claims&) = delete;

  /// Zero if this node does not have that name.
  [[nodiscard]] std::uint64_t token_of(const agent_id& name) const {
    auto known = book_.find(registry::record_kind::agent, name.text());
    return known ? known->token : 0;
  }

  [[nodiscard]] bool has_name(const agent_id& name) const {
    return token_of(name) != 0;
  }

  /// Cost: O(n) in records.
  [[nodiscard]] bool has_any() const {
    return book_.any_of([](auto& each) { return each.token != 0; });
  }

  /// Names that are being claimed or given back, or are yet to be given back.
  [[nodiscard]] std::size_t size() const {
    return claiming_.size() + releasing_.size() + unreleased_.size();
  }

  [[nodiscard]] std::size_t count_claims() const {
    return claiming_.size();
  }

  /// Whether a name is being claimed, once more or anew, or given back. Cost: O(n) in open
  /// questions.
  [[nodiscard]] bool is_under_way() const {
    return std::ranges::any_of(questions_.all(), [](auto& each) {
      auto& what = each.second.what;
      return std::holds_alternative<service_questions::claim_of>(what)
             || std::holds_alternative<claimed_again>(what)
             || std::holds_alternative<given_back>(what);
    });
  }

  static problem withdrawn(const agent_id& name) {
    return {errc::withdrawn, "agent '" + name.text() + "' ended before the cluster knew it"};
  }

  // -- claims of agents that begin ---------------------------------------------------------

  /// Returns whether the name is claimed for that agent, now or soon: false if another one is about
  /// to have it.
  /// @pre No agent of that name is registered.
  bool claim(time_point now, wish mine, effects& out) {
    agent_id name{mine.what.key.name};
    auto [found, is_new] = claiming_.try_emplace(name);
    auto& under_way = found->second;
    if (is_new) {
      under_way.first = std::move(mine);
      if (!releasing_.contains(name))
        ask_claim(now, name, under_way, out);
      return true;
    }
    if (under_way.is_wanted || under_way.next)
      return false;
    under_way.next = std::move(mine);
    return true;
  }

  /// The record of the agent that is to have that name; null if none is.
  [[nodiscard]] const registry::record* find_wish(const agent_id& name) const {
    auto found = claiming_.find(name);
    if (found == claiming_.end())
      return nullptr;
    auto& under_way = found->second;
    return under_way.is_wanted ? &under_way.first.what
           : under_way.next    ? &under_way.next->what
                               : nullptr;
  }

  /// @pre find_wish() has found one of that name
  void reword(registry::record what) {
    auto& under_way = claiming_.at(what.key.name);
    (under_way.is_wanted ? under_way.first : *under_way.next).what = std::move(what);
  }

  /// The answer to the claim of a name. Returns the agent that has it now, if one wants it.
  std::optional<grant> claimed(time_point now, const agent_id& name,
                               result<registry::names::claims> answer, effects& out) {
    auto it = claiming_.extract(name).mapped();
    if (answer && (answer->claimed.empty() || answer->claimed.front().name != name))
      answer = problem{errc::failed, "the service of names has answered another claim"};
    if (answer && answer->claimed.front().token < it.newer.first)
      answer = problem{errc::name_taken,
                       "node " + it.newer.second + " has a newer claim to '" + name.text() + "'"};
    if (answer && (it.is_wanted || it.next)) {
      if (!it.is_wanted)
        tell(it.first.asker, withdrawn(name), out);
      auto& mine = it.is_wanted ? it.first : *it.next;
      mine.what.token = answer->claimed.front().token;
      return grant{std::move(mine), it.is_stale};
    }
    if (!it.next && (answer || !is_refusal(answer.error().code)))
      give_back(now, {name}, out);
    tell(it.first.asker, answer ? withdrawn(name) : answer.error(), out);
    if (it.next) {
      claiming later{std::move(*it.next)};
      ask_claim(now, name, claiming_.emplace(name, std::move(later)).first->second, out);
    }
    return std::nullopt;
  }

  /// Another node has the name by that claim: one of this node that was granted before does not
  /// count, though its answer comes later. `holder` is for people.
  void seen(const agent_id& name, std::uint64_t token, const std::string& holder) {
    if (auto found = claiming_.find(name); found != claiming_.end())
      found->second.newer = std::max(found->second.newer, {token, holder});
  }

  /// The agent of that name that `asker` has added has ended; any if that is 0.
  void withdraw(const agent_id& name, request_id asker, effects& out) {
    if (auto found = claiming_.find(name); found != claiming_.end())
      withdraw(found, asker, out);
  }

  void withdraw_all(effects& out) {
    for (auto each = claiming_.begin(); each != claiming_.end();)
      withdraw(each++, 0, out);
  }

  // -- releases ----------------------------------------------------------------------------

  void give_back(time_point now, const std::vector<agent_id>& names, effects& out) {
    for (auto& each : batches(names)) {
      for (auto& name : each)
        ++releasing_[name];
      questions_.ask(now, registry::names::release{each, book_.owner(), book_.boot()},
                     given_back{each}, out);
    }
  }

  void released(time_point now, const given_back& what, const problem& why, effects& out) {
    for (auto& name : what.names) {
      if (why && service_questions::may_pass(why.code))
        unreleased_.insert(name);
      auto found = releasing_.find(name);
      if (--found->second > 0)
        continue;
      releasing_.erase(found);
      if (auto waits = claiming_.find(name); waits != claiming_.end() && waits->second.asked == 0)
        ask_claim(now, name, waits->second, out);
    }
  }

  /// The service may have them yet. Those that are being claimed have to wait for how that ends.
  void give_back_late(time_point now, effects& out) {
    std::vector<agent_id> names;
    std::erase_if(unreleased_, [&](const agent_id& name) {
      if (claiming_.contains(name) || releasing_.contains(name))
        return false;
      if (!has_name(name))
        names.push_back(name);
      return true;
    });
    give_back(now, names, out);
  }

  /// Another has a newer claim to it, and a claim without an answer may be carried out later.
  void lose(const agent_id& name) {
    unreleased_.insert(name);
  }

  // -- claims of names that this node has --------------------------------------------------

  /// Whether something has failed that is to be tried again.
  [[nodiscard]] bool owes() const {
    return owes_claims_ || !unreleased_.empty();
  }

  /// Tells the service what it has not taken.
  void catch_up(time_point now, effects& out) {
    if (owes_claims_)
      claim_again(now, out);
    give_back_late(now, out);
  }

  /// The service may have forgotten, or this is a new boot: who had a name keeps it, unless another
  /// was faster.
  void claim_again(time_point now, effects& out) {
    owes_claims_ = false;
    questions_.make_claims_stale();
    std::vector<agent_id> names;
    for (auto& each : book_.all())
      if (each.token != 0)
        names.emplace_back(each.key.name);
    for (auto& each : batches(names))
      claim_batch(now, each, out);
  }

  /// @pre This node has these names.
  void claim_batch(time_point now, const std::vector<agent_id>& names, effects& out) {
    claimed_again what;
    for (auto& each : names)
      what.names.emplace_back(each, token_of(each));
    questions_.ask(now, claim_for(names), std::move(what), out);
  }

  /// The answer to claim_batch.
  renewal renewed(time_point now, const claimed_again& what,
                  const result<registry::names::claims>& answer, effects& out) {
    auto code = answer ? errc::none : answer.error().code;
    if (!is_refusal(code))
      give_back_ended(now, what, out);
    if (what.is_stale)
      return renewal::nothing;
    if (answer) {
      out.emplace_back(claims_types::settle{not_claimed});
      return renewal::granted;
    }
    if (code != errc::name_taken) {
      owes_claims_ = owes_claims_ || service_questions::may_pass(code);
      if (code == errc::in_use)
        return renewal::outlived;
      out.emplace_back(claims_types::complain{not_claimed, answer.error().detail});
      return renewal::nothing;
    }
    if (auto& [name, token] = what.names.front(); what.names.size() == 1 && token_of(name) == token)
      return renewal::lost;
    for (auto& [name, token] : what.names) // all or none: see which it was
      if (has_name(name))
        claim_batch(now, {name}, out);
    return renewal::nothing;
  }

  /// Asks which names behind that one the service takes for this node's, unless that is asked
  /// already.
  void look(time_point now, const agent_id& after, effects& out) {
    if (!questions_.contains(look_))
      look_ = questions_.ask(now, registry::names::list_claims{book_.owner(), after, max_claims},
                             service_questions::look_at_names{after}, out);
  }

  /// The answer to look: claims again those that are missing, and looks at the rest.
  void looked(time_point now, const agent_id& after, const registry::names::claim_page& page,
              effects& out) {
    std::set<agent_id> granted;
    for (auto& each : page.claimed)
      if (each.boot == book_.boot())
        granted.insert(each.name);
    auto goes_on = page.more && !page.claimed.empty() && page.claimed.back().name > after;
    std::vector<agent_id> missing;
    for (auto& each : book_.all()) {
      agent_id name{each.key.name};
      auto is_shown = name > after && (!goes_on || name <= page.claimed.back().name);
      if (each.token != 0 && is_shown && !granted.contains(name))
        missing.push_back(std::move(name));
    }
    for (auto& each : batches(missing))
      claim_batch(now, each, out);
    if (goes_on)
      look(now, page.claimed.back().name, out);
  }

  /// The service can be reached, or again: it may have granted and forgotten what is asked.
  void bound(time_point now, effects& out) {
    claim_again(now, out);
    give_back_late(now, out);
    for (auto& [name, each] : claiming_)
      each.is_stale = each.asked != 0;
  }

  /// The node has a new boot.
  void risen(time_point now, effects& out) {
    claim_again(now, out);
    for (auto& [name, each] : claiming_) // the claim of an earlier boot is freed
      if (questions_.drop(each.asked))
        ask_claim(now, name, each, out);
  }

  // ------------------------------------------------------------------------------------------

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    std::vector<std::string> found;
    auto expect = [&found](bool holds, std::string what) {
      if (!holds)
        found.push_back(std::move(what));
    };
    std::map<agent_id, std::uint32_t> releasing;
    std::map<agent_id, std::size_t> claims_of;
    for (auto& [id, each] : questions_.all())
      if (auto* one = std::get_if<service_questions::claim_of>(&each.what)) {
        ++claims_of[one->name];
        auto known = claiming_.find(one->name);
        expect(known != claiming_.end() && known->second.asked == id,
               "a claim of " + one->name.text() + " is open that nobody waits for");
      } else if (auto* back = std::get_if<given_back>(&each.what)) {
        for (auto& name : back->names)
          ++releasing[name];
      }
    expect(releasing == releasing_, "the releases under way are not those that are asked");
    for (auto& [name, each] : claiming_) {
      expect((each.asked == 0) == (claims_of[name] == 0), "a claim of " + name.text() + " is lost");
      expect(each.asked != 0 || releasing_.contains(name),
             "a claim of " + name.text() + " waits for nothing");
      expect(!each.next || !each.is_wanted, "two agents want the name " + name.text());
      expect(!has_name(name), "the name " + name.text() + " is claimed that this node has");
    }
    return found;
  }

  /// Who waits for a claim: zero for those that nobody waits for.
  [[nodiscard]] std::vector<request_id> askers() const {
    std::vector<request_id> found;
    for (auto& [name, each] : claiming_) {
      found.push_back(each.first.asker);
      if (each.next)
        found.push_back(each.next->asker);
    }
    return found;
  }

private:
  /// A claim of an agent's name. While `asked` is 0 it waits for the release of the name.
  struct claiming {
    wish first;
    bool is_wanted = true;
    request_id asked = 0;
    /// The service may have granted it and forgotten that since.
    bool is_stale = false;
    /// The last claim of another node that is known, and who that is.
    std::pair<std::uint64_t, std::string> newer{};
    /// Its agent began when that of `first` had ended.
    std::optional<wish> next{};
  };

  static void tell(request_id asker, const problem& why, effects& out) {
    if (asker != 0)
      out.emplace_back(claims_types::done{asker, why});
  }

  void ask_claim(time_point now, const agent_id& name, claiming& what, effects& out) {
    what.is_stale = false;
    what.asked = questions_.ask(now, claim_for({name}), service_questions::claim_of{name}, out);
  }

  [[nodiscard]] registry::names::claim claim_for(std::vector<agent_id> names) const {
    return {std::move(names), book_.owner(), book_.boot(), options_.is_fleeting};
  }

  void withdraw(std::map<agent_id, claiming>::iterator which, request_id asker, effects& out) {
    auto& [name, what] = *which;
    if (what.next && (asker == 0 || what.next->asker == asker))
      tell(std::exchange(what.next, std::nullopt)->asker, withdrawn(name), out);
    if (!what.is_wanted || (asker != 0 && what.first.asker != asker))
      return;
    what.is_wanted = false;
    if (what.asked == 0) {
      tell(what.first.asker, withdrawn(name), out);
      claiming_.erase(which);
    }
  }

  /// As name_options::max_batch, and what the service tells at a time.
  static constexpr std::uint32_t max_claims = 1'000;

  static std::vector<std::vector<agent_id>> batches(const std::vector<agent_id>& names) {
    std::vector<std::vector<agent_id>> made;
    for (std::size_t first = 0; first < names.size(); first += max_claims) {
      auto last = std::min(first + max_claims, names.size());
      made.push_back({names.begin() + static_cast<std::ptrdiff_t>(first),
                      names.begin() + static_cast<std::ptrdiff_t>(last)});
    }
    return made;
  }

  /// Whether a claim was surely not granted. After any other problem it may have been.
  static bool is_refusal(errc code) {
    return code == errc::name_taken || code == errc::in_use;
  }

  /// Their agents have ended since the claim was asked, which may have been carried out last.
  void give_back_ended(time_point now, const claimed_again& what, effects& out) {
    std::vector<agent_id> names;
    for (auto& [name, token] : what.names)
      if (claiming_.contains(name))
        unreleased_.insert(name); // that claim may have been carried out first, and refused
      else if (!has_name(name))
        names.push_back(name);
    give_back(now, names, out);
  }

  static constexpr const char* not_claimed = "names could not be claimed anew";

  const claims_options& options_;
  const registry::own_records& book_;
  service_questions& questions_;
  std::map<agent_id, claiming> claiming_;
  /// Names that are being given back, and how often.
  std::map<agent_id, std::uint32_t> releasing_;
  /// Names whose release has failed, or that may have been granted after it.
  std::set<agent_id> unreleased_;
  bool owes_claims_ = false;
  /// The last question of look().
  request_id look_ = 0;
};

} // namespace troupe::cluster
