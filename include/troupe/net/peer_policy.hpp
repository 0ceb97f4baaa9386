#pragma once

#include <memory>

#include "troupe/net/join_inquiry.hpp"
#include "troupe/net/message_rules.hpp"
#include "troupe/net/peer_book.hpp"
#include "troupe/security/types.hpp"

namespace troupe::net {

using security::credentials_ptr;

/// How a process knows the peers of its links, and what they may send. Each part may be null.
struct peer_policy {
  /// What this process proves itself with. Null: links are plain, and peers are who they say they
  /// are.
  credentials_ptr credentials = {};
  /// Null: peers may send messages of all types.
  message_rules_ptr rules = {};
  /// Where the peers of the links are entered.
  std::shared_ptr<peer_book> peers = {};
  /// Whether members may spawn actors in this process.
  bool allow_spawn = false;
  /// Answers those who ask for a certificate. Null: they are refused, as all without one.
  join_desk joins = {};
};

} // namespace troupe::net
