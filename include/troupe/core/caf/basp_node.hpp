#pragma once

#include <cassert>
#include <string>
#include <string_view>

#include "caf/binary_deserializer.hpp"
#include "caf/binary_serializer.hpp"
#include "caf/byte_buffer.hpp"
#include "caf/node_id.hpp"

namespace troupe {

/// The node id of a process in BASP, as CAF writes it.
inline std::string to_basp_node(const caf::node_id& from) {
  caf::byte_buffer bytes;
  caf::binary_serializer sink{nullptr, bytes};
  auto written = sink.apply(from);
  assert(written);
  static_cast<void>(written);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Returns whether `bytes` are a node id as CAF writes it, and nothing else. With only the
/// beginning of one a peer could name one process in its greeting, and another one to BASP.
inline bool is_basp_node(std::string_view bytes) {
  caf::node_id read;
  caf::binary_deserializer source{nullptr, bytes.data(), bytes.size()};
  return source.apply(read) && read && to_basp_node(read) == bytes;
}

} // namespace troupe
