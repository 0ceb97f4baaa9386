#pragma once

#include "net/careless_peer.hpp"
#include "support/certificates.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "troupe/net/greeting.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/security/credentials.hpp"

namespace troupe::test {

/// A peer that cannot prove to be what it says.
struct impostor {
  std::string what;
  context_ptr context;
  net::hello self;
  net::verdict why; ///< a node refuses it
};

/// One of each kind, for a node with a certificate of `ca` that refuses that of `revoked`. Each
/// comes from a process of its own, whose hello `hello_of` makes.
inline std::vector<impostor>
impostors(const throwaway_ca& ca, const std::shared_ptr<security::credentials>& revoked,
          const std::function<net::hello(const security::facts&)>& hello_of) {
  using namespace std::chrono_literals;
  using enum net::verdict;
  auto now = read_calendar();
  std::vector<impostor> all;
  auto add = [&](const std::string& what, const std::shared_ptr<security::credentials>& who,
                 net::verdict why, duration late = {}) -> impostor& {
    return all.emplace_back(impostor{what, who->context(now + late), hello_of(who->self()), why});
  };
  throwaway_ca other;
  add("with a certificate of another CA", other.issue("mallory"), not_secured);
  add("without a certificate", ca.issue("n3"), not_secured).context = without_certificate();
  add("with one that has expired", ca.issue_for("late", -2h), not_secured, -2h);
  add("with one that is not valid yet", ca.issue_for("early", 1h), not_secured, 1h);
  add("with one that is revoked", revoked, not_secured);
  add("with a client's, as a member",
      ca.issue("c1", security::role::client, security::rights::operate), unproven);
  add("with a member's, under the id of another", ca.issue("n2"), unproven).self.node
    = ca.issue("victim")->self().node;
  auto& earlier = add("over TLS 1.2", ca.issue("n4"), not_secured);
  ::SSL_CTX_set_max_proto_version(earlier.context.get(), TLS1_2_VERSION);
  ::SSL_CTX_set_min_proto_version(earlier.context.get(), TLS1_2_VERSION);
  add("over plain TCP", ca.issue("n5"), not_secured).context = nullptr;
  return all;
}

} // namespace troupe::test
