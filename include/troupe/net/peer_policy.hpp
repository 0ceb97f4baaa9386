#pragma once

#include <functional>
#include <memory>
#include <string>

#include "troupe/net/join_inquiry.hpp"
#include "troupe/net/message_rules.hpp"
#include "troupe/net/peer_book.hpp"
#include "troupe/net/types.hpp"
#include "troupe/security/types.hpp"

namespace troupe::net {

using security::credentials_ptr;

/// Another node asks, while this one has no cluster: it is the one that it says.
struct founding_inquiry {
  founding_word from;
  /// Of its certificate; empty: it has none.
  std::string name;
};

/// Calls the function with the answer, on any thread, soon. Called in the gate's thread; must not
/// block.
using founders_desk = std::function<void(founding_inquiry, std::function<void(bootstrap_reply)>)>;

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
  /// Answers nodes that are to found a cluster with this one, as long as it has none. Null: it
  /// founds none with others.
  founders_desk founders = {};
};

} // namespace troupe::net
