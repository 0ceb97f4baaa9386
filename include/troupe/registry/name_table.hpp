#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/owner_id.hpp"
#include "troupe/core/page_room.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/registry/agent_name.hpp"
#include "troupe/registry/name_types.hpp"
#include "troupe/registry/record_bounds.hpp"

namespace troupe::registry {

/// Decides which node holds which name. A name has one owner at a time, and each new claim
/// gets a token above all earlier ones. A pure state machine.
///
/// A claim belongs to one boot of a node. When the node starts again, its first claim frees
/// the names of earlier boots, which are dead. A claim of an earlier boot is refused, because
/// two nodes then use one id. A claim has no lease: it ends by release, by a newer boot, or
/// when membership says that the node has left. Since rules 2 a claim says whether its owner has
/// no data folder, so that a leader that has never heard of the owner knows that nobody will come
/// back for the name.
class name_table {
public:
  using event = names::event;
  using effects = names::effects;
  using query = names::find_claim;
  using snapshot_type = names::name_snapshot;
  static constexpr bool events_read_back_exactly = true;
  static constexpr std::uint32_t rules = 2;

  /// Handles one request made at `now`. Every `id` but that of configure gets one answer,
  /// in this call.
  ///
  /// Refusals: name_taken (another node has one of the names), in_use (a later boot of the
  /// node has names), bad_argument (no name to claim; a name that is not 1 to 255 bytes of
  /// UTF-8 without '@' and control characters; an invalid owner or boot), too_large (too many
  /// names in one request), limit_reached (too many names in all).
  /// Cost: O(log n) for each name.
  void step(time_point now, request_id id, const event& what, effects& out) {
    tick(now, out);
    troupe::visit([&](const auto& request) { handle(id, request, out); }, what);
  }

  /// Returns why step() would refuse `what` for its size; errc::none if not.
  /// Cost: O(names).
  [[nodiscard]] problem screen(const event& what) const {
    return troupe::visit([this](const auto& request) { return screen(request); }, what);
  }

  /// Later records are processed by the rules of this number.
  void use_rules(std::uint32_t number) {
    marks_fleeting_ = number >= 2;
  }

  /// Has no effect: no rule of this table depends on time.
  /// @pre `now` never goes backwards.
  void tick(time_point now, effects&) {
    assert(now >= last_now_);
    last_now_ = now;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return std::nullopt;
  }

  [[nodiscard]] names::claim_found answer(const names::find_claim& question) const {
    auto found = claims_.find(question.name);
    return found != claims_.end() ? names::claim_found{found->second} : names::claim_found{};
  }

  /// Cost: O(page); if an owner is given, O(log n) for each claim of the page.
  [[nodiscard]] names::claim_page answer(const names::list_claims& question) const {
    names::claim_page result;
    auto room = std::clamp<std::size_t>(question.limit, 1, max_page);
    auto take = [&](const names::name_claim& each) {
      result.more = result.claimed.size() == room;
      if (!result.more)
        result.claimed.push_back(each);
      return !result.more;
    };
    if (question.owner.empty()) {
      auto each = claims_.upper_bound(question.after);
      while (each != claims_.end() && take(each->second))
        ++each;
    } else if (auto owner = owners_.find(question.owner); owner != owners_.end()) {
      auto each = owner->second.names.upper_bound(question.after);
      while (each != owner->second.names.end() && take(claims_.find(*each)->second))
        ++each;
    }
    return result;
  }

  /// Returns the state as of the last call. Equal states give equal snapshots.
  [[nodiscard]] names::name_snapshot snapshot() const {
    names::name_snapshot result{last_token_, {}, options_, marks_fleeting_};
    for (auto& [name, each] : claims_)
      result.claimed.push_back(each);
    return result;
  }

  /// Continues from `saved`.
  /// @pre `saved` comes from snapshot(); the host has verified its checksum.
  void restore(time_point now, const names::name_snapshot& saved) {
    *this = {};
    last_now_ = now;
    last_token_ = saved.last_token;
    options_ = saved.options;
    marks_fleeting_ = saved.marks_fleeting;
    for (auto& each : saved.claimed) {
      claims_.emplace(each.name, each);
      auto& node = owners_[each.owner];
      node.boot = each.boot;
      node.names.insert(each.name);
    }
  }

private:
  // -- requests ----------------------------------------------------------------------

  void handle(request_id id, const names::claim& request, effects& out) {
    if (auto why = unfit(request.names, request.owner, request.boot))
      return refuse(id, std::move(why), out);
    if (request.names.empty())
      return refuse(id, {errc::bad_argument, "names is empty; give the names to claim"}, out);
    auto node = owners_.find(request.owner);
    if (node != owners_.end() && node->second.boot > request.boot)
      return refuse(id, outlived(request.owner, request.boot, node->second.boot), out);
    std::set<agent_id> fresh;
    for (auto& name : request.names) {
      auto found = claims_.find(name);
      if (found == claims_.end())
        fresh.insert(name);
      else if (found->second.owner != request.owner)
        return refuse(id, taken(found->second), out);
    }
    if (!fresh.empty() && claims_.size() + fresh.size() > options_.max_names)
      return refuse(id, full(), out);
    if (node != owners_.end() && node->second.boot < request.boot)
      free_all(node); // the names of earlier boots
    names::claims result;
    for (auto& name : request.names)
      result.claimed.push_back(grant(name, request));
    out.push_back(names::granted{id, std::move(result)});
  }

  void handle(request_id id, const names::release& request, effects& out) {
    if (auto why = unfit(request.names, request.owner, request.boot))
      return refuse(id, std::move(why), out);
    names::freed result;
    auto node = owners_.find(request.owner);
    if (node != owners_.end() && node->second.boot == request.boot) {
      for (auto& name : request.names)
        if (node->second.names.erase(name) != 0) {
          claims_.erase(name);
          result.names.push_back(name);
        }
      if (node->second.names.empty())
        owners_.erase(node);
    }
    out.push_back(names::released{id, std::move(result)});
  }

  void handle(request_id id, const names::owner_gone& request, effects& out) {
    if (auto why = unfit({}, request.owner, request.boot))
      return refuse(id, std::move(why), out);
    names::freed result;
    if (auto node = owners_.find(request.owner);
        node != owners_.end() && node->second.boot <= request.boot) {
      result.names.assign(node->second.names.begin(), node->second.names.end());
      free_all(node);
    }
    out.push_back(names::released{id, std::move(result)});
  }

  void handle(request_id, const names::configure& request, effects&) {
    options_ = request.options;
    if (request.token_floor <= last_token_)
      return;
    last_token_ = request.token_floor;
    if (!request.frees_names)
      return;
    claims_.clear();
    owners_.clear();
  }

  // -- transitions -------------------------------------------------------------------

  /// A node that has names. All belong to its latest boot.
  struct node_names {
    std::uint64_t boot = 0;
    std::set<agent_id> names;
  };

  using owners = std::map<owner_id, node_names>;

  const names::name_claim& grant(const agent_id& name, const names::claim& request) {
    auto [found, is_new] = claims_.try_emplace(name);
    if (is_new) {
      found->second = {name, request.owner, request.boot, ++last_token_, false};
      auto& node = owners_[request.owner];
      node.boot = request.boot;
      node.names.insert(name);
    }
    found->second.is_fleeting = marks_fleeting_ && request.is_fleeting;
    return found->second;
  }

  void free_all(owners::iterator node) {
    for (auto& name : node->second.names)
      claims_.erase(name);
    owners_.erase(node);
  }

  // -- refusals ----------------------------------------------------------------------

  template <class Request>
  [[nodiscard]] problem screen(const Request& request) const {
    if constexpr (requires { request.names; }) {
      if (is_long(request.owner) || request.names.size() > options_.max_batch
          || std::ranges::any_of(request.names, [](auto& name) { return is_long(name); }))
        return unfit(request.names, request.owner, request.boot);
    } else if constexpr (requires { request.owner; }) {
      if (is_long(request.owner))
        return unfit({}, request.owner, request.boot);
    }
    return {};
  }

  /// Of a name or an owner.
  template <class Id>
  static bool is_long(const Id& id) {
    return id.text().size() > max_name_bytes;
  }

  static void refuse(request_id id, problem why, effects& out) {
    out.push_back(names::refused{id, std::move(why)});
  }

  [[nodiscard]] problem unfit(const std::vector<agent_id>& asked, const owner_id& owner,
                              std::uint64_t boot) const {
    auto called = owner.text();
    if (!is_name(called) || is_own_name(called) || boot == 0 || boot > max_boot)
      return {errc::bad_argument,
              "owner " + shortened(called) + " with boot " + std::to_string(boot)
                + " is invalid; give a node id without '@', and a boot of at least 1"};
    if (asked.size() > options_.max_batch)
      return {errc::too_large, std::to_string(asked.size()) + " names in one request; give at most "
                                 + std::to_string(options_.max_batch)
                                 + " (name_options::max_batch)"};
    for (auto& name : asked)
      if (!may_be_claimed(name))
        return {errc::bad_argument, "name " + shortened(name.text())
                                      + " cannot be claimed; give 1 to 255 bytes of UTF-8 without "
                                        "'@' and control characters"};
    return {};
  }

  static problem taken(const names::name_claim& holder) {
    return {errc::name_taken, "node " + holder.owner.text() + " has the name " + holder.name.text()
                                + " (token " + std::to_string(holder.token)
                                + "); choose another, or register name@node"};
  }

  static problem outlived(const owner_id& owner, std::uint64_t boot, std::uint64_t latest) {
    return {errc::in_use, "node " + owner.text() + " has started again as boot "
                            + std::to_string(latest) + "; boot " + std::to_string(boot)
                            + " may no longer claim names"};
  }

  [[nodiscard]] problem full() const {
    return {errc::limit_reached, "all " + std::to_string(options_.max_names)
                                   + " names are in use; release some or raise "
                                     "name_options::max_names"};
  }

  // -- state -------------------------------------------------------------------------

  names::name_options options_;
  std::map<agent_id, names::name_claim> claims_;
  owners owners_;
  std::uint64_t last_token_ = 0;
  bool marks_fleeting_ = false;
  time_point last_now_ = time_point::min();
};

static_assert(machine<name_table>);

} // namespace troupe::registry
