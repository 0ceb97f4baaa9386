#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "troupe/core/digest.hpp"
#include "troupe/core/fixed_bytes.hpp"
#include "troupe/core/hex.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/secret.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/platform/entropy.hpp"

namespace troupe::security {

/// Names a token. Not secret.
using token_id = fixed_bytes<struct token_id_tag, 8>;

/// The beginning of a node's id, by which the members find that node.
using issuer_id = fixed_bytes<struct issuer_id_tag, 8>;

inline issuer_id issuer_of(const node_id& node) {
  return issuer_id::from(std::span{node.bytes}.first<issuer_id::size>());
}

/// Names a CA: the SHA-256 of its public key.
inline digest fingerprint_of(const public_key& key) {
  return sha256({reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size()});
}

/// A line with which one machine gets a certificate of a cluster that it has never met: it says by
/// which CA the members prove who they are, which node has that CA, and a secret of which the CA
/// knows. Whoever has the line can join once, until it expires. It can be moved, but not copied.
class join_token {
public:
  /// The beginning of each line.
  static constexpr std::string_view mark = "troupe1";

  /// A new one of the CA with the key `ca`, which the node `issuer` has.
  static join_token make(const public_key& ca, const node_id& issuer) {
    join_token made;
    made.ca_ = fingerprint_of(ca);
    made.issuer_ = issuer_of(issuer);
    fill_random(made.id_.bytes);
    made.secret_ = secret{secret_bytes};
    fill_random(made.secret_.bytes());
    return made;
  }

  /// Reads a line; spaces around it do not count. Errors: bad_argument (it is no token, or a part
  /// of it is missing or mistyped). No sentence has a part of the line.
  static result<join_token> from_line(std::string_view text) {
    constexpr std::string_view spaces = " \t\r\n";
    auto from = text.find_first_not_of(spaces);
    auto line = from == std::string_view::npos
                  ? std::string_view{}
                  : text.substr(from, text.find_last_not_of(spaces) + 1 - from);
    if (!line.starts_with(mark))
      return problem{errc::bad_argument, "this is no token; give the line that troupe ca invite "
                                         "prints, which begins with "
                                           + std::string{mark}};
    auto bytes = from_hex(line.substr(mark.size()));
    if (!bytes || bytes->size() != all_bytes || !is_whole(*bytes))
      return problem{errc::bad_argument,
                     "the token is mistyped, or a part of it is missing; copy the whole line that "
                     "troupe ca invite printed"};
    auto all = secret::take(*bytes);
    auto rest = std::as_const(all).bytes();
    auto next = [&rest](std::size_t count) {
      auto part = rest.first(count);
      rest = rest.subspan(count);
      return part;
    };
    join_token made;
    made.ca_ = digest::from(next(digest::size));
    made.issuer_ = issuer_id::from(next(issuer_id::size));
    made.id_ = token_id::from(next(token_id::size));
    made.secret_ = secret{secret_bytes};
    std::ranges::copy(next(secret_bytes), made.secret_.bytes().begin());
    return made;
  }

  /// The line, which from_line() reads.
  [[nodiscard]] secret line() const {
    std::array<std::byte, all_bytes> all{};
    auto at = all.begin();
    for (auto part :
         {std::span<const std::byte>{ca_.bytes}, std::span<const std::byte>{issuer_.bytes},
          std::span<const std::byte>{id_.bytes}, secret_.bytes()})
      at = std::ranges::copy(part, at).out;
    std::ranges::copy(check_of(std::span{all}.first(all_bytes - check_bytes)), at);
    auto digits = to_hex(all);
    secret::wipe(all);
    secret made{mark.size() + digits.size()};
    auto to = std::ranges::copy(std::as_bytes(std::span{mark}), made.bytes().begin()).out;
    std::ranges::copy(std::as_bytes(std::span{digits}), to);
    secret::wipe(std::as_writable_bytes(std::span{digits}));
    return made;
  }

  /// The fingerprint of the CA.
  [[nodiscard]] const digest& ca() const {
    return ca_;
  }

  [[nodiscard]] const issuer_id& issuer() const {
    return issuer_;
  }

  [[nodiscard]] const token_id& id() const {
    return id_;
  }

  /// What its owner proves the token with, and the CA keeps. The line cannot be made from it.
  [[nodiscard]] digest proof_key() const {
    return hmac_sha256(secret_.bytes(), "troupe join token 1");
  }

private:
  static constexpr std::size_t secret_bytes = 16;
  static constexpr std::size_t check_bytes = 4;
  static constexpr std::size_t all_bytes
    = digest::size + issuer_id::size + token_id::size + secret_bytes + check_bytes;

  join_token() = default;

  /// So that a mistyped line is noticed before anybody is asked.
  static std::array<std::byte, check_bytes> check_of(std::span<const std::byte> rest) {
    auto whole = sha256({reinterpret_cast<const char*>(rest.data()), rest.size()});
    std::array<std::byte, check_bytes> made{};
    std::ranges::copy(std::span{whole.bytes}.first<check_bytes>(), made.begin());
    return made;
  }

  static bool is_whole(std::span<const std::byte> all) {
    return std::ranges::equal(check_of(all.first(all_bytes - check_bytes)), all.last(check_bytes));
  }

  digest ca_{};
  issuer_id issuer_{};
  token_id id_{};
  secret secret_{};
};

} // namespace troupe::security
