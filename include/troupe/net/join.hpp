#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "troupe/core/compiled.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/address.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/join_token.hpp"
#include "troupe/security/key_pair.hpp"
#include "troupe/security/types.hpp"

namespace troupe::net {

/// What a machine that has joined with a token gets.
struct joined {
  security::certificate own;
  security::certificate ca;
};

/// Who asks for a certificate.
struct joiner {
  security::role as = security::role::client;
  /// For people; what the token says goes first.
  std::string name{};
};

/// Asks the members at `where`, in turn, for a certificate for the identity with `key`, by a token;
/// a member that does not have the CA says where that is. Each member proves first that it belongs
/// to the cluster of the token; the token's secret goes to none of them. Repeats as long as nobody
/// can be reached, up to `wait`. Blocks.
///
/// Errors: unreachable, timed_out; bad_argument (another cluster, no encrypted links, the token has
/// expired or is for another role), denied (the cluster has given out no such token), in_use
/// (another identity has used it), busy (too many wrong tokens from this address).
result<joined> join(const std::vector<address>& where, const security::join_token& token,
                    const security::key_pair& key, const joiner& who,
                    duration wait = std::chrono::seconds{30});

} // namespace troupe::net

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/net/impl/join.ipp"
#endif
