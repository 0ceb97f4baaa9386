#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <tuple>
#include <vector>

#include "troupe/core/codec.hpp"
#include "troupe/core/json.hpp"
#include "troupe/core/msgpack.hpp"
#include "written/law.hpp"

namespace troupe::test {

/// The forms that need no CAF.
struct our_forms {
  template <class T>
  static bool equal(const T& left, const T& right) {
    if constexpr (std::equality_comparable<T>)
      return left == right;
    else
      return to_bytes(left) == to_bytes(right);
  }

  template <class T>
  static std::vector<std::string> lost(const T& value) {
    std::vector<std::string> result;
    if (auto read = from_bytes<T>(to_bytes(value)); !read || !equal(*read, value))
      result.emplace_back("our binary form");
    const std::tuple<T> held{value}; // as a problem alone is what from_json() refuses with
    if (auto text = to_json(held); !text)
      result.push_back("JSON: " + text.error().detail);
    else if (auto read = from_json<std::tuple<T>>(*text); !read)
      result.push_back("JSON: " + read.error().detail);
    else if (!equal(std::get<0>(*read), value))
      result.emplace_back("JSON");
    if (auto bytes = to_msgpack(held); !bytes)
      result.push_back("MessagePack: " + bytes.error().detail);
    else if (auto read = from_msgpack<std::tuple<T>>(*bytes); !read)
      result.push_back("MessagePack: " + read.error().detail);
    else if (!equal(std::get<0>(*read), value))
      result.emplace_back("MessagePack");
    return result;
  }

  /// Returns what is wrong with the elements of a list or map: the least that one of them can be
  /// in our binary form must pay for what it takes in memory (see memory_budget), empty if it does.
  template <class List>
  static std::string too_dense() {
    auto least = least_bytes<List>();
    auto taken = memory_budget::bytes_of_element<List>();
    if (taken <= room_of<List>() * memory_budget::bytes_per_byte * least)
      return "";
    return "an element is " + std::to_string(least) + " bytes, and " + std::to_string(taken)
           + " in memory";
  }

private:
  /// Sets and maps by texts stand in what services write down only, which is read with twice as
  /// much memory for them: see host::memory_for().
  template <class List>
  static constexpr std::size_t room_of() {
    if constexpr (requires { typename List::key_type; })
      return shape_of<typename List::key_type> == shape::text ? 2 : 1;
    else
      return 1;
  }

  /// Keys differ from each other, so that those that are texts have a byte.
  template <class List>
  static std::size_t least_bytes() {
    using element = typename List::value_type;
    if constexpr (shape_of<List> == shape::map)
      return least_key<typename List::key_type>() + bytes_of(typename List::mapped_type{});
    else if constexpr (requires { typename List::key_type; })
      return least_key<element>();
    else
      return bytes_of(element{});
  }

  template <class Key>
  static std::size_t least_key() {
    return bytes_of(Key{}) + (shape_of<Key> == shape::text ? 1 : 0);
  }

  template <class T>
  static std::size_t bytes_of(const T& value) {
    encoder sink;
    sink.put(value);
    return sink.bytes().size();
  }
};

using our_law = law<our_forms>;

} // namespace troupe::test
