#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "troupe/core/codec.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"
#include "troupe/security/types.hpp"
#include "troupe/storage/small_file.hpp"

namespace troupe::security {

/// What a CA has taken back, each since when: single certificates by their serials, and identities,
/// that is all certificates of one key, also those issued later. Each list of a CA replaces all
/// those with a lower number.
struct revocation_list {
  static constexpr std::size_t max_entries = 10'000;
  /// Of a signed list.
  static constexpr std::size_t max_bytes = 1U << 20U;

  std::uint64_t number = 0;
  wall_time made{};
  std::map<std::string, wall_time> certificates{};
  std::map<node_id, wall_time> identities{};

  [[nodiscard]] std::size_t size() const {
    return certificates.size() + identities.size();
  }

  /// Returns since when the certificate that says `what` is revoked; nothing: it is not. The time
  /// is for people: a revoked certificate is refused whatever the clock says.
  [[nodiscard]] std::optional<wall_time> since(const facts& what) const {
    if (auto found = identities.find(what.node); found != identities.end())
      return found->second;
    if (auto found = certificates.find(what.serial); found != certificates.end())
      return found->second;
    return std::nullopt;
  }

  friend bool operator==(const revocation_list&, const revocation_list&) = default;

  TROUPE_FIELDS(revocation_list, number, made, certificates, identities);
};

/// As it is stored and sent: the bytes of a list, and the CA's signature of them.
struct signed_revocation_list {
  std::string list;
  signature by;

  TROUPE_FIELDS(signed_revocation_list, list, by);
};

namespace detail {

/// What the CA signs: no certificate and nothing else that it signs begins like this.
inline std::string to_be_signed(std::string_view list) {
  return "troupe revocation list 1\n" + std::string{list};
}

inline bool is_serial(std::string_view text) {
  constexpr std::size_t longest = 40; // RFC 5280, section 4.1.2.2: 20 octets
  return !text.empty() && text.size() <= longest
         && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

} // namespace detail

/// Decodes a signed list of the CA with `key`. Errors: too_large, damaged (it cannot be decoded, or
/// says what no CA writes), bad_argument (the CA has not signed it).
inline result<revocation_list> read_revocation_list(std::string_view bytes, const public_key& key) {
  if (bytes.size() > revocation_list::max_bytes)
    return problem{errc::too_large, "a revocation list has at most "
                                      + std::to_string(revocation_list::max_bytes)
                                      + " bytes; have the CA write a new one (troupe ca revoke)"};
  auto damaged
    = problem{errc::damaged, "it is not readable as a revocation list; have the CA write "
                             "a new one (troupe ca revoke)"};
  auto parts = from_bytes<signed_revocation_list>(bytes);
  if (!parts)
    return damaged;
  if (!verify(key, detail::to_be_signed(parts->list), parts->by))
    return problem{errc::bad_argument, "this cluster's CA has not signed the revocation list; take "
                                       "the one that troupe ca revoke wrote"};
  auto list = from_bytes<revocation_list>(parts->list);
  if (!list || list->number == 0 || list->size() > revocation_list::max_entries
      || !std::ranges::all_of(list->certificates,
                              [](auto& each) { return detail::is_serial(each.first); }))
    return damaged;
  return *std::move(list);
}

/// The file of the list in the folder of an identity.
inline constexpr auto revocation_list_file = "revoked.list";

/// Reads the list in `folder`. Errors: those of read_revocation_list(), not_found, bad_argument
/// (the file cannot be read).
inline result<revocation_list> load_revocation_list(const std::filesystem::path& folder,
                                                    const public_key& key) {
  auto file = folder / revocation_list_file;
  auto bytes = storage::read_small(file, revocation_list::max_bytes);
  if (!bytes)
    return bytes.error();
  auto list = read_revocation_list(*bytes, key);
  if (!list)
    return problem{list.error().code, file.string() + ": " + list.error().detail};
  return list;
}

using revocation_list_ptr = std::shared_ptr<const revocation_list>;

} // namespace troupe::security
