#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

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
  /// As CAF numbers types.
  using type_number = std::uint16_t;

  /// Troupe's own types: `end` is not one of them.
  struct own_types {
    type_number first = 0;
    type_number end = 0;
  };

  /// Returns what people call a type; empty: it is not known.
  using names = std::function<std::string(type_number)>;

  message_rules(own_types ours, names of_types) : ours_(ours), names_(std::move(of_types)) {}

  /// From now on messages with elements of this type need `what`.
  message_rules& set(type_number type, need what) {
    known_.insert_or_assign(type, what);
    return *this;
  }

  /// What a message with an element of this type needs.
  [[nodiscard]] need need_of(type_number type) const {
    if (auto found = known_.find(type); found != known_.end())
      return found->second;
    return type >= ours_.first && type < ours_.end ? need::membership : need::use;
  }

  /// Returns why `peer` may not send a message with elements of these `types`: denied, with what is
  /// missing; errc::none: it may.
  [[nodiscard]] problem refusal(const security::facts& peer,
                                std::span<const type_number> types) const {
    if (peer.as == security::role::member || types.empty())
      return {};
    auto strictest
      = std::ranges::max_element(types, {}, [this](type_number each) { return need_of(each); });
    auto least = need_of(*strictest);
    if (least == need::membership)
      return {errc::denied, called(*strictest) + " is for members of the cluster, and "
                              + owner_of(peer) + " has the role client; only a node can send it"};
    if (static_cast<std::uint8_t>(least) <= static_cast<std::uint8_t>(peer.may))
      return {};
    std::string missing{security::name_of(static_cast<security::rights>(least))};
    return {errc::denied,
            called(*strictest) + " needs the right " + missing + ", and " + owner_of(peer) + " has "
              + std::string{security::name_of(peer.may)}
              + "; ask whoever has the CA for a token (troupe ca invite --role client "
                "--rights "
              + missing + "), and use it with troupe login"};
  }

private:
  [[nodiscard]] std::string called(type_number type) const {
    auto name = names_(type);
    return name.empty() ? "a message of an unknown type" : name;
  }

  static std::string owner_of(const security::facts& peer) {
    return peer.name.empty() ? "the peer" : "the certificate of '" + peer.name + "'";
  }

  own_types ours_;
  names names_;
  std::unordered_map<type_number, need> known_;
};

using message_rules_ptr = std::shared_ptr<const message_rules>;

} // namespace troupe::net
