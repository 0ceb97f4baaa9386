#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/client_id.hpp"
#include "troupe/net/types.hpp"

namespace troupe::net {

/// A connection that is not a link yet.
struct attempt {
  side end = side::dialled;
  bool connecting = false;
  time_point deadline{};
  /// If dialled, the node that is expected there; if accepted, the node that is there, which
  /// knows us.
  std::optional<node_id> who;
  /// The peer's hello, once the acceptor has answered go.
  hello peer;
  /// The deadline is that of the greeting, no more that of the connection.
  bool is_reached = false;
  /// Who is there, once that is proven.
  std::optional<security::facts> proven = {};
  /// The network that it comes from, if accepted.
  std::string source = {};
  /// It waits for a certificate, and takes no place of those who may become links.
  bool is_joining = false;
  /// If dialled: a node is there that has not agreed yet to relay it to this place.
  std::optional<place_mark> relayed_to = {};
  /// It has.
  bool is_relayed = false;
  /// If dialled: what is asked instead of a link.
  std::optional<founding_word> asks = {};
  /// If accepted: it waits for the answer to such a question.
  bool waits_for_answer = false;

  /// Whether its peer has asked for nothing yet, and may: the dialler does, once.
  [[nodiscard]] bool may_ask() const {
    return end == side::accepted && !who && !waits_for_answer;
  }

  /// Whether the member `other` is there, as far as the connection must prove it.
  [[nodiscard]] bool proves(trust believes, const node_id& other) const {
    return believes == trust::told
           || (proven && proven->as == role::member && proven->node == other);
  }

  /// Whether `said` is true, as far as the connection must prove it.
  [[nodiscard]] bool proves(trust believes, const hello& said) const {
    if (believes == trust::told || said.as != role::client)
      return proves(believes, said.node);
    return proven && said.node == client_id(proven->node, said.basp_node);
  }
};

/// The connections of a node that are not links yet, by number. Part of `link_table`. Cost of a
/// count: O(n).
class attempts {
public:
  using by_number = std::map<connection_id, attempt>;
  using iterator = by_number::iterator;
  using const_iterator = by_number::const_iterator;
  using value_type = by_number::value_type;

  [[nodiscard]] iterator begin() {
    return all_.begin();
  }

  [[nodiscard]] iterator end() {
    return all_.end();
  }

  [[nodiscard]] const_iterator begin() const {
    return all_.begin();
  }

  [[nodiscard]] const_iterator end() const {
    return all_.end();
  }

  [[nodiscard]] iterator find(connection_id connection) {
    return all_.find(connection);
  }

  [[nodiscard]] std::size_t size() const {
    return all_.size();
  }

  /// Returns whether that number is new.
  bool add(connection_id connection, attempt what) {
    return all_.emplace(connection, std::move(what)).second;
  }

  void erase(iterator which) {
    all_.erase(which);
  }

  /// How many of one side may become links.
  [[nodiscard]] std::size_t count(side end) const {
    return count_if([end](auto& each) { return each.end == end && !each.is_joining; });
  }

  /// How many of one network may.
  [[nodiscard]] std::size_t count_from(const std::string& source) const {
    return count_if([&](auto& each) { return each.source == source && !each.is_joining; });
  }

  /// How many wait for a certificate.
  [[nodiscard]] std::size_t joining() const {
    return count_if([](auto& each) { return each.is_joining; });
  }

  /// Of those from `source`, if given. Strangers are replaced first, then connections without a
  /// hello. Returns end() if there is none.
  [[nodiscard]] iterator oldest_accepted(const std::string& source = {}) {
    auto is_accepted = [&](auto& each) {
      return each.second.end == side::accepted && !each.second.is_joining
             && (source.empty() || each.second.source == source);
    };
    auto is_silent = [&](auto& each) { return is_accepted(each) && !each.second.who; };
    auto is_strange = [&](auto& each) { return is_silent(each) && !each.second.proven; };
    auto found = std::ranges::find_if(all_, is_strange);
    if (found == all_.end())
      found = std::ranges::find_if(all_, is_silent);
    return found != all_.end() ? found : std::ranges::find_if(all_, is_accepted);
  }

private:
  template <class IsMeant>
  [[nodiscard]] std::size_t count_if(IsMeant is_meant) const {
    return static_cast<std::size_t>(
      std::ranges::count_if(all_, [&](auto& each) { return is_meant(each.second); }));
  }

  by_number all_;
};

} // namespace troupe::net
