#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "caf/deserializer.hpp"
#include "caf/inspector_access_base.hpp"
#include "caf/serializer.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/detail/whole_bytes.hpp"

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
      if (!read(f, bytes))
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
      return write(f, bytes);
    }
  }

private:
  /// What is for people takes no text that is none.
  template <class Inspector>
  static bool write(Inspector& f, std::string& bytes) {
    if constexpr (std::is_same_v<Inspector, caf::serializer>)
      if (auto* whole = dynamic_cast<detail::whole_bytes_sink*>(&f))
        return whole->put_bytes(std::as_bytes(std::span{bytes}));
    return f.apply(bytes);
  }

  template <class Inspector>
  static bool read(Inspector& f, std::string& bytes) {
    if constexpr (std::is_same_v<Inspector, caf::deserializer>)
      if (auto* whole = dynamic_cast<detail::whole_bytes_source*>(&f)) {
        std::vector<std::byte> given;
        if (!whole->get_bytes(given))
          return false;
        bytes.assign(reinterpret_cast<const char*>(given.data()), given.size());
        return true;
      }
    return f.apply(bytes);
  }
};

} // namespace troupe
