#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "troupe/core/codec.hpp"
#include "troupe/core/digest.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/fixed_bytes.hpp"
#include "troupe/registry/record.hpp"

namespace troupe::registry {

/// Identifies a record, or all that one node says: the first half of a SHA-256 digest. Nobody finds
/// other records with the same one.
using records_digest = fixed_bytes<struct records_digest_tag, 16>;

namespace detail {

inline records_digest first_half(const digest& whole) {
  records_digest made;
  std::copy_n(whole.bytes.begin(), records_digest::size, made.bytes.begin());
  return made;
}

} // namespace detail

/// Returns the digest of one record. Cost: O(bytes).
inline records_digest digest_of(const record& value) {
  return detail::first_half(sha256(to_bytes(value)));
}

/// Makes the digest of several records, given in the order of their keys.
class set_digest {
public:
  void add(const records_digest& each) {
    stream_.update({reinterpret_cast<const char*>(each.bytes.data()), each.bytes.size()});
  }

  records_digest finish() {
    return detail::first_half(stream_.finish());
  }

private:
  sha256_stream stream_;
};

/// What a node says at present, in short: the version of its last change, and the digest of all
/// records that it has not removed. Version zero: nothing yet.
struct records_head {
  std::uint64_t version = 0;
  records_digest digest{};

  friend bool operator==(const records_head&, const records_head&) = default;

  TROUPE_FIELDS(records_head, version, digest);
};

/// A part of what one life of a node says, in the order of versions.
struct record_page {
  /// It holds all that has changed behind this version; from zero on: all that there is.
  std::uint64_t after = 0;
  /// ... up to this one.
  std::uint64_t upto = 0;
  /// There is no more.
  bool is_last = true;
  /// Removals, too, unless `after` is zero.
  std::vector<record> records{};

  friend bool operator==(const record_page&, const record_page&) = default;

  TROUPE_FIELDS(record_page, after, upto, is_last, records);
};

/// All records of one life of a node, those that it has removed among them. Not copied: the records
/// of a table never change in place.
struct record_set {
  /// Removals up to this version may be missing.
  std::uint64_t floor = 0;
  std::vector<std::shared_ptr<const record>> records{};
};

/// What a record takes on its way, about.
inline std::size_t transfer_size(const record& value) {
  constexpr std::size_t frame = 200;
  return size_of(value) + frame;
}

/// Returns what has changed in `all` behind `after`, as much as `max_bytes` hold and at least one
/// record; all from the beginning on if removals behind `after` may be missing. Cost: O(n log n).
inline record_page page_of(const record_set& all, std::uint64_t after, std::size_t max_bytes) {
  record_page made;
  made.after = after < all.floor ? 0 : after;
  made.upto = made.after;
  std::vector<const record*> chosen;
  for (auto& each : all.records)
    if (each->version > made.after && (made.after > 0 || !each->removed))
      chosen.push_back(each.get());
  std::ranges::sort(chosen, {}, [](auto* each) { return each->version; });
  for (auto* each : chosen) {
    auto size = transfer_size(*each);
    made.is_last = made.records.empty() || size <= max_bytes;
    if (!made.is_last)
      break;
    max_bytes -= std::min(max_bytes, size);
    made.records.push_back(*each);
    made.upto = each->version;
  }
  return made;
}

} // namespace troupe::registry
