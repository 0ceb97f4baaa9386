#pragma once

#include <functional>
#include <memory>
#include <string>

#include "troupe/net/message_rules.hpp"
#include "troupe/net/peer_book.hpp"
#include "troupe/security/types.hpp"

namespace troupe::net {

using security::credentials_ptr;

/// What somebody without a certificate asks, who has a token.
struct join_inquiry {
  /// A security::join_request, not decoded.
  std::string request;
  /// The keying material of the connection; see byte_stream::join_binding().
  std::string binding;
  /// Its network; see endpoint::network().
  std::string source;
};

/// A security::join_answer, encoded, and if that refuses, why, for the log.
struct join_reply {
  std::string answer;
  std::string refusal;
};

/// Calls the function with the reply, on any thread, soon. Called in the gate's thread; must not
/// block.
using join_desk = std::function<void(join_inquiry, std::function<void(join_reply)>)>;

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
