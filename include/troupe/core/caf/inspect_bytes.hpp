#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <vector>

#include "caf/binary_deserializer.hpp"
#include "caf/binary_serializer.hpp"
#include "caf/deserializer.hpp"
#include "caf/inspector_access.hpp"
#include "caf/inspector_access_base.hpp"
#include "caf/serializer.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/detail/whole_bytes.hpp"

/// Writes and reads bytes as one piece in CAF's binary form, which stays the same: byte by byte, a
/// megabyte takes 8 ms each time, in the thread that serves all links. So do JSON and MessagePack.
template <>
struct caf::inspector_access<std::vector<std::byte>>
  : caf::inspector_access_base<std::vector<std::byte>> {
  template <class Inspector>
  [[nodiscard]] static bool apply(Inspector& f, std::vector<std::byte>& x) {
    if constexpr (std::is_same_v<Inspector, caf::binary_serializer>)
      return write(f, x);
    else if constexpr (std::is_same_v<Inspector, caf::binary_deserializer>)
      return read(f, x);
    else if constexpr (std::is_same_v<Inspector, caf::serializer>) {
      if (auto* counts = dynamic_cast<troupe::compat::size_counter*>(&f))
        return write(*counts, x);
      if (auto* whole = dynamic_cast<troupe::detail::whole_bytes_sink*>(&f))
        return whole->put_bytes(x);
    } else if constexpr (std::is_same_v<Inspector, caf::deserializer>) {
      if (auto* whole = dynamic_cast<troupe::detail::whole_bytes_source*>(&f))
        return whole->get_bytes(x);
    }
    return f.list(x);
  }

private:
  template <class Inspector>
  static bool write(Inspector& f, const std::vector<std::byte>& x) {
    auto* from = reinterpret_cast<const troupe::compat::byte*>(x.data());
    return f.begin_sequence(x.size())
           && f.value(troupe::compat::span<const troupe::compat::byte>{from, x.size()})
           && f.end_sequence();
  }

  /// In steps, because the announced size may be false.
  static bool read(caf::binary_deserializer& f, std::vector<std::byte>& x) {
    constexpr std::size_t step = 64U << 10U;
    std::size_t left = 0;
    x.clear();
    if (!f.begin_sequence(left))
      return false;
    while (left > 0) {
      auto next = std::min(left, std::max(step, x.size()));
      auto at = x.size();
      x.resize(at + next);
      auto* into = reinterpret_cast<troupe::compat::byte*>(x.data() + at);
      if (!f.value(troupe::compat::span<troupe::compat::byte>{into, next}))
        return false;
      left -= next;
    }
    return f.end_sequence();
  }
};
