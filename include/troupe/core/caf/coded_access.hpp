#pragma once

#include <string>

#include "caf/inspector_access_base.hpp"
#include "troupe/core/codec.hpp"

namespace troupe {

/// Base of the caf::inspector_access of a type that goes through CAF's form in our own, as bytes:
/// so it may get more fields, and nodes and clients of other releases read it. Of a type with an
/// is_empty() one with nothing in it takes no bytes.
template <class T>
struct coded_access : caf::inspector_access_base<T> {
  template <class Inspector>
  [[nodiscard]] static bool apply(Inspector& f, T& x) {
    constexpr bool may_be_empty = requires {
      is_empty(x);
    };
    std::string bytes;
    if constexpr (Inspector::is_loading) {
      if (!f.apply(bytes))
        return false;
      x = {};
      return (may_be_empty && bytes.empty()) || decoder{bytes}.get(x);
    } else {
      auto is_left_out = false;
      if constexpr (may_be_empty)
        is_left_out = is_empty(x);
      if (!is_left_out) {
        encoder sink;
        sink.put(x);
        bytes = sink.take();
      }
      return f.apply(bytes);
    }
  }
};

} // namespace troupe
