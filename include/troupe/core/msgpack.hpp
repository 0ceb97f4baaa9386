#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "troupe/core/detail/tree_reader.hpp"
#include "troupe/core/detail/tree_writer.hpp"
#include "troupe/core/json_tree.hpp"

/// MessagePack of every type that has an `inspect`: the same tree as JSON's, but with raw bytes and
/// any real number, each in its shortest form. Source: github.com/msgpack/msgpack, spec.md (2017).
namespace troupe {

namespace detail {

/// Extension type -1: the tree holds extension types as unsigned bytes.
inline constexpr std::uint8_t timestamp_type = 0xff;

inline result<nlohmann::json> parse_msgpack(std::string_view bytes, json_limits limits,
                                            memory_budget& memory) {
  return parse_tree(bytes, nlohmann::json::input_format_t::msgpack, limits, memory,
                    [](std::string_view read) { return "byte " + std::to_string(read.size()); });
}

} // namespace detail

/// A moment in UTC: MessagePack's extension type -1.
struct msgpack_timestamp {
  std::int64_t seconds = 0;      ///< since the Unix epoch, negative before it
  std::uint32_t nanoseconds = 0; ///< below 10^9

  friend bool operator==(const msgpack_timestamp&, const msgpack_timestamp&) = default;
};

/// Returns the tree of the MessagePack document `bytes`. An extension becomes binary; its subtype
/// is the extension type as an unsigned byte. Errors: bad_argument (input that is cut short, bytes
/// after the document, a key that is not text or is repeated, text that is not UTF-8), too_large
/// (beyond `limits`); they name the place as the number of bytes read.
inline result<nlohmann::json> parse_msgpack(std::string_view bytes, json_limits limits = {}) {
  auto memory = detail::budget_for(bytes, limits);
  return detail::parse_msgpack(bytes, limits, memory);
}

/// Returns the bytes of `tree`.
inline std::string write_msgpack(const nlohmann::json& tree) {
  std::string bytes;
  nlohmann::json::to_msgpack(tree, bytes);
  return bytes;
}

/// Returns the moment that `tree` stands for, nothing if it is not a timestamp.
inline std::optional<msgpack_timestamp> to_timestamp(const nlohmann::json& tree) {
  if (!tree.is_binary() || !tree.get_binary().has_subtype()
      || tree.get_binary().subtype() != detail::timestamp_type)
    return std::nullopt;
  auto& bytes = tree.get_binary();
  auto number = [&](std::size_t from, std::size_t size) {
    std::uint64_t value = 0;
    for (auto at = from; at < from + size; ++at)
      value = value << 8U | bytes[at];
    return value;
  };
  msgpack_timestamp read;
  switch (bytes.size()) {
    case 4:
      read = {static_cast<std::int64_t>(number(0, 4)), 0};
      break;
    case 8: // 30 bits of nanoseconds, 34 of seconds
      read = {static_cast<std::int64_t>(number(0, 8) & 0x3'ffff'ffffU),
              static_cast<std::uint32_t>(number(0, 8) >> 34U)};
      break;
    case 12:
      read = {static_cast<std::int64_t>(number(4, 8)), static_cast<std::uint32_t>(number(0, 4))};
      break;
    default:
      return std::nullopt;
  }
  return read.nanoseconds < 1'000'000'000 ? std::optional{read} : std::nullopt;
}

/// Returns `moment` in the shortest of its three forms.
/// @pre moment.nanoseconds < 10^9
inline nlohmann::json from_timestamp(const msgpack_timestamp& moment) {
  std::vector<std::uint8_t> bytes;
  auto number = [&](std::uint64_t value, std::size_t size) {
    for (auto byte = size; byte > 0; --byte)
      bytes.push_back(static_cast<std::uint8_t>(value >> (8 * (byte - 1))));
  };
  auto seconds = static_cast<std::uint64_t>(moment.seconds);
  if (seconds >> 34U != 0) { // negative ones, too
    number(moment.nanoseconds, 4);
    number(seconds, 8);
  } else if (moment.nanoseconds != 0 || seconds >> 32U != 0) {
    number(std::uint64_t{moment.nanoseconds} << 34U | seconds, 8);
  } else {
    number(seconds, 4);
  }
  return nlohmann::json::binary(std::move(bytes), detail::timestamp_type);
}

/// Returns `value` as MessagePack. Refuses text that is not UTF-8.
template <class T>
result<std::string> to_msgpack(const T& value) {
  nlohmann::json tree;
  detail::tree_writer writer{detail::tree_form::msgpack};
  if (!writer.put(value, tree))
    return writer.fault();
  return write_msgpack(tree);
}

/// Returns the value that `bytes` stand for; refusals as in json.hpp.
template <class T>
result<T> from_msgpack(std::string_view bytes, json_limits limits = {}) {
  auto memory = detail::budget_for(bytes, limits);
  auto tree = detail::parse_msgpack(bytes, limits, memory);
  if (!tree)
    return tree.error();
  return detail::read_tree<T>(*std::move(tree), limits, memory);
}

} // namespace troupe
