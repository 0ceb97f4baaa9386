#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "troupe/core/codec.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/group/own_services.hpp"
#include "troupe/host/group_types.hpp"
#include "troupe/host/rules.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::host {

/// What a member reports to its leader: the newest rules that it knows of each service, and the
/// services of its program that it runs. A service that is not named is at rules 1, as for members
/// of releases that report nothing.
struct known_rules {
  std::map<service_id, std::uint32_t> numbers;
  std::map<service_id, service_title> own{};

  [[nodiscard]] service_rules of(service_id which) const {
    auto found = numbers.find(which);
    return found == numbers.end() ? service_rules{} : service_rules{found->second};
  }

  TROUPE_FIELDS(known_rules, numbers, own);
};

/// What the members of a group have reported to their leader in its term. It decides which rules
/// may come into force, and shows which members lack a service.
class member_rules {
public:
  /// `mine`: what this replica itself knows.
  explicit member_rules(known_rules mine) : mine_(std::move(mine)) {}

  /// See raft::options::about.
  [[nodiscard]] std::string about() const {
    return to_bytes(mine_);
  }

  /// This replica does not run this service of its program any more.
  void end(service_id which) {
    mine_.own.erase(which);
  }

  void told(raft::member_id who, const std::string& about) {
    if (auto known = from_bytes<known_rules>(about))
      others_[who] = *std::move(known);
  }

  void end_lead() {
    others_.clear();
    allowed_.clear();
  }

  /// Whether member `who` lacks this service: its program does not have it, or it has ended there.
  /// False if it has not reported yet.
  [[nodiscard]] bool lacks(raft::member_id who, service_id which,
                           const service_title& title) const {
    auto known = others_.find(who);
    if (known == others_.end())
      return false;
    auto found = known->second.own.find(which);
    return found == known->second.own.end() || found->second != title;
  }

  /// Whether member `who` knows fewer rules than the leader; false if it has not reported yet.
  [[nodiscard]] bool is_older(raft::member_id who, service_id which) const {
    auto known = others_.find(who);
    return known != others_.end() && !known->second.of(which).include(mine_.of(which));
  }

  /// New rules may come into force when every member has reported that it knows them. Otherwise a
  /// member that is away could not read the entries written under them when it returns. Returns the
  /// number of the rules if newer ones may come into force now.
  [[nodiscard]] std::optional<std::uint32_t>
  allow(service_id which, const raft::configuration& members, raft::member_id self) {
    auto known = mine_.of(which);
    for (auto& [seat, who] : members.members)
      if (seat != self && planted_flaw != flaw::rules_rushed)
        known = known.in_common_with(known_of(seat).of(which));
    auto& allowed = allowed_[which];
    if (allowed.include(known))
      return std::nullopt;
    allowed = allowed.together_with(known);
    return allowed.number();
  }

private:
  [[nodiscard]] known_rules known_of(raft::member_id who) const {
    auto found = others_.find(who);
    return found == others_.end() ? known_rules{} : found->second;
  }

  known_rules mine_;
  std::map<raft::member_id, known_rules> others_;
  std::map<service_id, service_rules> allowed_;
};

} // namespace troupe::host
