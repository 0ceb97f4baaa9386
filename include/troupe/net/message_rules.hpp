#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "caf/type_id.hpp"
#include "troupe/core/caf/type_ids.hpp"
#include "troupe/core/errc.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/security/types.hpp"

namespace troupe::net {

/// What a peer needs to send messages of a type: a client one of these rights or a higher one. A
/// member of the cluster may send all.
enum class need : std::uint8_t { read = 0, use = 1, operate = 2, membership = 3 };

/// Which messages the peer of a link may send, by the types of their elements. Unless said
/// otherwise, troupe's own types are for members, and all others, an application's among them, for
/// who has the right `use`: so a type that was forgotten here is refused, not let through.
///
/// Immutable once links use it. Cost of a check: one look into a hash table for each element.
class message_rules {
public:
  /// From now on messages with elements of the types `Ts` need `what`.
  template <class... Ts>
  message_rules& set(need what) {
    (set(caf::type_id_v<Ts>, what), ...);
    return *this;
  }

  message_rules& set(caf::type_id_t type, need what) {
    known_.insert_or_assign(type, what);
    return *this;
  }

  /// What a message with an element of this type needs.
  [[nodiscard]] need need_of(caf::type_id_t type) const {
    if (auto found = known_.find(type); found != known_.end())
      return found->second;
    return type >= type_ids::core && type < type_ids::end ? need::membership : need::use;
  }

  /// Returns why `peer` may not send a message with elements of these `types`: denied, with what is
  /// missing; errc::none: it may.
  [[nodiscard]] problem refusal(const security::facts& peer,
                                std::span<const caf::type_id_t> types) const {
    if (peer.as == security::role::member || types.empty())
      return {};
    auto strictest
      = std::ranges::max_element(types, {}, [this](caf::type_id_t each) { return need_of(each); });
    auto least = need_of(*strictest);
    if (least == need::membership)
      return {errc::denied, name_of(*strictest) + " is for members of the cluster, and "
                              + owner_of(peer) + " has the role client"};
    if (static_cast<std::uint8_t>(least) <= static_cast<std::uint8_t>(peer.may))
      return {};
    auto missing = static_cast<security::rights>(least);
    return {errc::denied, name_of(*strictest) + " needs the right "
                            + std::string{security::name_of(missing)} + ", and " + owner_of(peer)
                            + " has " + std::string{security::name_of(peer.may)}
                            + "; have one issued with troupe ca issue --rights "
                            + std::string{security::name_of(missing)}};
  }

private:
  static std::string name_of(caf::type_id_t type) {
    auto name = caf::query_type_name(type);
    if (name.empty())
      return "a message of an unknown type";
    return {name.data(), name.size()};
  }

  static std::string owner_of(const security::facts& peer) {
    return peer.name.empty() ? "the peer" : "the certificate of '" + peer.name + "'";
  }

  std::unordered_map<caf::type_id_t, need> known_;
};

using message_rules_ptr = std::shared_ptr<const message_rules>;

} // namespace troupe::net
