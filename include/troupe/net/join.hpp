#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "troupe/core/compiled.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/endpoint.hpp"
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
  /// For people, 1 to security::max_certified_name_bytes; what the token says goes first.
  std::string name{};
};

/// How long join() tries, and who hears of it.
struct join_options {
  /// From the first try to the end of the last one.
  duration wait = std::chrono::seconds{30};
  /// Ends it at once, with errc::cancelled.
  std::stop_token stop{};
  /// Called, in the caller's thread, each time that it tries again, with the reason.
  std::function<void(const problem&)> on_retry{};
  /// How hosts are looked up, in another thread, and possibly beyond the end of join(); may block.
  std::function<result<std::vector<endpoint>>(const address&)> look_up = resolve;
};

/// Asks the members at `where`, in turn, for a certificate for the identity with `key`, by a token;
/// a member that does not have the CA says where that is. Each member proves first that it belongs
/// to the cluster of the token; the token's secret goes to none of them. Repeats as long as nobody
/// can be reached or the CA is busy, up to join_options::wait. Blocks; see join_search for whom it
/// asks when.
///
/// Errors: unreachable, timed_out, not_found (the node with the CA is not known), busy, cancelled;
/// bad_argument (another cluster, no encrypted links, an invalid name, the token has expired or is
/// for another role), denied (the cluster has given out no such token), in_use (another identity
/// has used it).
result<joined> join(const std::vector<address>& where, const security::join_token& token,
                    const security::key_pair& key, const joiner& who, join_options how = {});

} // namespace troupe::net

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/net/impl/join.ipp"
#endif
