#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "troupe/cluster/agent_change.hpp"
#include "troupe/cluster/claims.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/names.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/registry/agent_name.hpp"
#include "troupe/registry/record.hpp"
#include "troupe/registry/record_bounds.hpp"
#include "troupe/registry/record_table.hpp"

namespace troupe::cluster {

/// Decides under which names the agents of this node are registered, and which changes of them
/// others would keep. Part of `node_core`.
///
/// - An id that ends with "@" and the name of this node is the node's own, and needs no claim. Nor
///   does one that several may have: such agents are found by it as by a capability.
/// - An agent may be changed while its name is being claimed.
///
/// Reads what `claims` says; changes nothing. Not thread-safe. Cost of a call: O(log n) in the
/// records of this node.
class own_agents {
public:
  /// Nothing, if the agent is like that.
  using change = std::variant<std::monostate, claims::put, claims::reword>;

  /// `node` is the id of this node, `name` what people call it; `table` is what it shows.
  /// @pre `said` and `table` outlive this
  own_agents(const node_id& node, std::string name, std::size_t max_record_bytes,
             const claims& said, const registry::record_table& table)
    : owner_(node),
      name_(std::move(name)),
      max_record_bytes_(max_record_bytes),
      said_(said),
      table_(table) {}

  /// As what the agent is registered whose id is the name of that record. Errors: bad_argument (it
  /// names another node, or leaves no room for the id of this one where nobody claims it),
  /// too_large, limit_reached (this node has as many records as are free), and what
  /// registry::check says.
  [[nodiscard]] result<claims::add> to_add(registry::record what, bool is_unique) const {
    auto& called = what.key.name;
    auto at = called.rfind('@');
    auto is_own = at != std::string::npos;
    if (is_own && called.substr(at + 1) != name_)
      return problem{errc::bad_argument, "agent id '" + called.substr(0, 64)
                                           + "' names another node; end it with @" + name_
                                           + " or leave out the @"};
    auto is_claimed = is_unique && !is_own;
    what.key.kind = registry::record_kind::agent;
    what.key.owner = owner_;
    if (!is_unique && !is_own)
      what.capabilities.insert(called); // several may have it
    agent_id id{called};
    if (!is_claimed)
      called = registry::unclaimed_name(id, owner_);
    if (auto why = refuse(id, as_registered(what, is_claimed)))
      return why;
    auto itself = said_.book().find(registry::record_kind::node, name_) ? 1U : 0U;
    if (auto why = table_.check_share(owner_, said_.count_to_say() - itself))
      return why;
    return claims::add{std::move(what), is_claimed};
  }

  /// What is to be said after that change of the agent. Errors: not_found, too_large, bad_argument,
  /// and what registry::check says.
  [[nodiscard]] result<change> to_change(const agent_id& id, const agent_change& how) const {
    auto said = find(id);
    auto before = said ? said : find_to_come(id);
    if (!before)
      return problem{errc::not_found,
                     "no agent '" + id.text().substr(0, 64)
                       + "' is registered at this node; only the node of an agent changes it"};
    auto made = changed(*before, how);
    auto is_one_of_several = before->token == 0 && !registry::is_own_name(id.text());
    if (is_one_of_several && !made.capabilities.contains(id.text()))
      return problem{errc::bad_argument, "agent '" + id.text()
                                           + "' is found by its name as by a capability; it keeps "
                                             "that"};
    if (auto why = refuse(id, made))
      return why;
    if (made == *before)
      return change{};
    if (!said)
      return change{claims::reword{std::move(made)}};
    return change{claims::put{std::move(made)}};
  }

private:
  /// The agent of this node that callers know by that id.
  [[nodiscard]] std::optional<registry::record> find(const agent_id& id) const {
    auto plain
      = said_.book().find(registry::record_kind::agent, registry::unclaimed_name(id, owner_));
    return plain ? plain : said_.book().find(registry::record_kind::agent, id.text());
  }

  /// The agent whose name is being claimed, with a token as if it had that.
  [[nodiscard]] std::optional<registry::record> find_to_come(const agent_id& id) const {
    auto* wish = said_.find_wish(id);
    if (wish == nullptr)
      return std::nullopt;
    return as_registered(*wish, true);
  }

  /// What is to be registered, with numbers as if it were.
  static registry::record as_registered(registry::record what, bool is_claimed) {
    what.boot = what.version = 1;
    what.token = is_claimed ? 1 : 0;
    return what;
  }

  /// Why no registry would take that record of the agent.
  [[nodiscard]] problem refuse(const agent_id& id, const registry::record& made) const {
    if (made.key.name.size() > max_name_bytes && id.text().size() <= max_name_bytes)
      return {errc::bad_argument, "agent id '" + id.text().substr(0, 64) + "' has "
                                    + std::to_string(id.text().size()) + " bytes; give at most "
                                    + std::to_string(max_name_bytes - 1 - 2 * node_id::size)
                                    + " where it is not unique, or ends with @" + name_};
    if (auto why = registry::check(made))
      return why;
    if (auto size = registry::size_of(made); size > max_record_bytes_)
      return {errc::too_large, "agent '" + id.text() + "' would have a record of "
                                 + std::to_string(size) + " bytes; give at most "
                                 + std::to_string(max_record_bytes_)
                                 + " (registry_options::max_record_bytes)"};
    return {};
  }

  const node_id owner_;
  const std::string name_;
  const std::size_t max_record_bytes_;
  const claims& said_;
  const registry::record_table& table_;
};

} // namespace troupe::cluster
