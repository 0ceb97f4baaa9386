#pragma once

#include <cassert>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// How the messages of join_request.hpp stand on a connection: a mark, the number of bytes that
/// follow, and these.
namespace troupe::security {

/// The longest request, and the longest answer, without their heads.
inline constexpr std::size_t max_join_request_bytes = 1'024;
inline constexpr std::size_t max_join_answer_bytes = 8'192;

inline constexpr std::size_t join_head_bytes = 5;
inline constexpr std::string_view join_magic = "TRJ";

/// @pre `body` has 1 to max_join_answer_bytes.
inline std::string to_join_wire(std::string_view body) {
  assert(!body.empty() && body.size() <= max_join_answer_bytes);
  std::string made{join_magic};
  made += static_cast<char>(body.size() >> 8U);
  made += static_cast<char>(body.size() & 0xffU);
  return made += body;
}

/// Returns how many bytes follow a head; nothing if it is not one, or announces more than
/// `longest`.
inline std::optional<std::size_t> join_body_bytes(std::string_view head, std::size_t longest) {
  if (head.size() != join_head_bytes || !head.starts_with(join_magic))
    return std::nullopt;
  auto byte = [&](std::size_t index) {
    return static_cast<std::size_t>(static_cast<unsigned char>(head[index]));
  };
  auto size = byte(3) << 8U | byte(4);
  if (size == 0 || size > longest)
    return std::nullopt;
  return size;
}

} // namespace troupe::security
