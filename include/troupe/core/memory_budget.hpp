#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>

namespace troupe {

/// Bounds what a decoder allocates for its input. Without a bound, a few bytes could allocate much:
/// an element that omits its fields has 4 bytes in our own form and hundreds in memory. Memory is
/// taken from the budget before it is allocated, so that an announced size alone costs nothing.
class memory_budget {
public:
  /// Bytes of memory for each byte of input. Denser input needs more: see host::memory_for() and
  /// json_limits.
  static constexpr std::size_t bytes_per_byte = 8;

  /// Bytes of memory for any input, in addition, so that small inputs may be dense.
  static constexpr std::size_t spare_bytes = std::size_t{1} << 20U;

  /// Returns the memory that an allocator uses for a block of `bytes`, its header included.
  static constexpr std::size_t block(std::size_t bytes) {
    constexpr std::size_t head = 8;
    constexpr std::size_t unit = 16;
    return bytes == 0 ? 0 : std::max(2 * unit, (bytes + head + unit - 1) / unit * unit);
  }

  explicit memory_budget(std::size_t input, std::size_t per_byte = bytes_per_byte,
                         std::size_t spare = spare_bytes)
    : left_(per_byte != 0 && input > (most - spare) / per_byte ? most : spare + per_byte * input) {}

  /// For input that is a value in memory already, and bounded there.
  static memory_budget unlimited() {
    return memory_budget{most, 1, 0};
  }

  /// Returns false, and takes nothing, if less than `bytes` are left.
  [[nodiscard]] bool take(std::size_t bytes) {
    if (bytes > left_)
      return false;
    left_ -= bytes;
    return true;
  }

  /// For a text of `bytes`; short texts need no memory of their own.
  [[nodiscard]] bool take_text(std::size_t bytes) {
    constexpr std::size_t short_bytes = 15;
    return bytes <= short_bytes || take(block(bytes + 1));
  }

  /// For `count` elements of a list, a set or a map, allocated at once.
  template <class List>
  [[nodiscard]] bool take_elements(std::size_t count) {
    constexpr auto each = bytes_of_element<List>();
    return count <= left_ / each && take(has_nodes<List> ? count * each : block(count * each));
  }

  /// Memory of one element, without what its fields own. A class that keeps its encoded form in
  /// memory of its own states the size of that as `bytes_elsewhere`.
  template <class List>
  static constexpr std::size_t bytes_of_element() {
    using element = typename List::value_type;
    constexpr auto links = 4 * sizeof(void*); // of a node: three, and its colour
    auto bytes = has_nodes<List> ? block(links + sizeof(element)) : sizeof(element);
    if constexpr (requires { element::bytes_elsewhere; })
      bytes += block(element::bytes_elsewhere);
    return bytes;
  }

  [[nodiscard]] std::size_t left() const {
    return left_;
  }

private:
  /// Sets and maps have a block for each element.
  template <class List>
  static constexpr bool has_nodes = requires {
    typename List::node_type;
  };

  static constexpr auto most = std::numeric_limits<std::size_t>::max();

  std::size_t left_;
};

} // namespace troupe
