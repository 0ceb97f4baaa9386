#pragma once

#include <concepts>
#include <string>
#include <type_traits>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/binary_deserializer.hpp"
#include "caf/binary_serializer.hpp"
#include "caf/byte_buffer.hpp"
#include "caf/init_global_meta_objects.hpp"
#include "caf/message.hpp"
#include "written/law.hpp"

namespace troupe::test {

/// A handle that is not null belongs to a running system, and a message to its types.
template <>
inline constexpr bool is_fixed<caf::strong_actor_ptr> = true;
template <>
inline constexpr bool is_fixed<caf::message> = true;

/// CAF's binary form, which carries messages between nodes.
struct caf_form {
  /// Handles of actors are read and written as those of a system, also where they are null: of
  /// the law that is at work.
  inline static caf::actor_system* system = nullptr;

  template <class T>
  static caf::byte_buffer written(const T& value) {
    caf::byte_buffer bytes;
    caf::binary_serializer sink{*system, bytes};
    if (!sink.apply(value))
      bytes.clear();
    return bytes;
  }

  template <class T>
  static bool equal(const T& left, const T& right) {
    if constexpr (std::equality_comparable<T>)
      return left == right;
    else
      return written(left) == written(right);
  }

  template <class T>
  static std::vector<std::string> lost(const T& value) {
    auto bytes = written(value);
    caf::binary_deserializer source{*system, bytes};
    T read{};
    if (source.apply(read) && source.remaining() == 0 && equal(read, value))
      return {};
    return {"CAF's binary form"};
  }

  /// CAF reads as many elements as are announced, one after the other: one that takes no bytes
  /// would let a count alone fill the memory.
  template <class List>
  static std::string too_dense() {
    if constexpr (shape_of<List> == shape::map) {
      return ""; // as many as there are keys
    } else {
      using element = typename List::value_type;
      if constexpr (is_fixed<element> || !std::is_class_v<element>)
        return "";
      else
        return written(element{}).empty() ? "an element takes no bytes" : "";
    }
  }
};

/// Runs a system for as long as it checks.
class caf_law : public law<caf_form> {
public:
  explicit caf_law(findings& found) : law(found) {
    caf_form::system = &made_;
  }

  caf_law(const caf_law&) = delete;
  caf_law& operator=(const caf_law&) = delete;

  ~caf_law() {
    caf_form::system = nullptr;
  }

private:
  const bool knows_types_ = (caf::core::init_global_meta_objects(), true);
  caf::actor_system_config config_;
  caf::actor_system made_{config_};
};

} // namespace troupe::test
