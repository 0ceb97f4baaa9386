#pragma once

#include <functional>
#include <string>

namespace troupe::net {

/// What somebody without a certificate asks, who has a token.
struct join_inquiry {
  /// A security::join_request, not decoded.
  std::string request;
  /// The keying material of the connection; see byte_stream::join_binding().
  std::string binding;
  /// Its network; see endpoint::network().
  std::string source;
  /// Says whether somebody still waits for the answer; empty: yes. Thread-safe.
  std::function<bool()> is_awaited = {};
};

/// A security::join_answer, encoded, and if that refuses, why, for the log.
struct join_reply {
  std::string answer;
  std::string refusal;
};

/// Calls the function with the reply, on any thread, soon. Called in the gate's thread; must not
/// block.
using join_desk = std::function<void(join_inquiry, std::function<void(join_reply)>)>;

} // namespace troupe::net
