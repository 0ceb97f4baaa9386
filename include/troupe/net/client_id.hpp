#pragma once

#include <string>
#include <string_view>

#include "troupe/core/digest.hpp"
#include "troupe/core/ids.hpp"

namespace troupe::net {

/// The id of one process of a client. Several processes may have one identity at the same time,
/// such as two commands of one user; nodes tell them apart by BASP's id of the process. Each node
/// computes this from the identity that the link proves, so a client has no other id than its own.
inline node_id client_id(const node_id& identity, std::string_view basp_node) {
  std::string text{"troupe client"};
  text.append(reinterpret_cast<const char*>(identity.bytes.data()), identity.bytes.size());
  text.append(basp_node);
  return node_id::from(sha256(text).bytes);
}

} // namespace troupe::net
