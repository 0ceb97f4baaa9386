#pragma once

#include <cstddef>
#include <span>
#include <vector>

/// What a form of messages for people and other languages takes as bytes, where CAF would hand over
/// one number after another.
namespace troupe::detail {

class whole_bytes_sink {
public:
  virtual bool put_bytes(std::span<const std::byte> bytes) = 0;

protected:
  ~whole_bytes_sink() = default;
};

class whole_bytes_source {
public:
  /// Leaves `bytes` as they are where the form has none.
  virtual bool get_bytes(std::vector<std::byte>& bytes) = 0;

protected:
  ~whole_bytes_source() = default;
};

} // namespace troupe::detail
