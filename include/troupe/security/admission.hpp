#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/certificate_register.hpp"
#include "troupe/security/invitation_book.hpp"
#include "troupe/security/join_request.hpp"
#include "troupe/security/join_token.hpp"
#include "troupe/security/setup.hpp"
#include "troupe/security/types.hpp"

/// The side of a CA when somebody joins with a token.
namespace troupe::security {

/// Bounds how often one address may guess. A machine; time is its caller's.
class guess_limiter {
public:
  static constexpr std::size_t max_failures = 5;
  static constexpr duration span = std::chrono::minutes{1};
  /// Beyond that many addresses with failures in one span, all others are refused together.
  static constexpr std::size_t max_sources = 1'000;

  /// Whether a try from `source` is judged at all.
  [[nodiscard]] bool hears(time_point now, const std::string& source) {
    forget(now);
    auto found = failures_.find(source);
    return found != failures_.end() ? found->second < max_failures : failures_.size() < max_sources;
  }

  void failed(time_point now, const std::string& source) {
    forget(now);
    if (!failures_.contains(source) && failures_.size() >= max_sources)
      return;
    ++failures_[source];
    order_.emplace_back(now, source);
  }

private:
  void forget(time_point now) {
    while (!order_.empty() && now - order_.front().first >= span) {
      auto found = failures_.find(order_.front().second);
      if (--found->second == 0)
        failures_.erase(found);
      order_.pop_front();
    }
  }

  std::map<std::string, std::size_t> failures_;
  /// At most max_failures of each source.
  std::deque<std::pair<time_point, std::string>> order_;
};

/// What `request` gets by the token `invited`, which `used` has used; both may be null. The code of
/// an error says whether the token was proven: denied, it was not. Others: bad_argument (expired,
/// of another role, an invalid name), in_use (another identity has used it).
///
/// An identity may use its token again while that is valid: its first answer may have been lost.
/// admit() ends that once one of its certificates is revoked.
inline result<certificate_order> judge(const join_request& request, std::string_view binding,
                                       const invitation* invited, const redemption* used,
                                       wall_time now) {
  auto statement = join_statement(request, binding);
  if (invited == nullptr
      || !same_bytes(hmac_sha256(invited->proof_key.bytes, statement), request.proof))
    return problem{errc::denied, "this cluster has given out no such token; ask for another one "
                                 "(troupe ca invite)"};
  if (!verify(request.key, statement, request.by))
    return problem{errc::denied, "the request is not signed with the key that is to be certified"};
  if (now > invited->valid_until)
    return problem{errc::bad_argument, "the token has expired at "
                                         + to_rfc3339(invited->valid_until)
                                         + "; ask for another one (troupe ca invite)"};
  if (used != nullptr && used->by != request.key)
    return problem{errc::in_use, "the token was used at " + to_rfc3339(used->since) + " by "
                                   + to_string(id_of(used->by)).substr(0, 8)
                                   + "; ask for another one (troupe ca invite)"};
  if (request.as != invited->as)
    return problem{errc::bad_argument,
                   std::string{"the token is for a "} + std::string{name_of(invited->as)}
                     + (invited->as == role::client ? "; use it with troupe login"
                                                    : "; use it with troupe node --token")
                     + ", or ask for one with --role " + std::string{name_of(request.as)}};
  return certificate_order{invited->name.empty() ? request.name : invited->name, invited->as,
                           invited->may};
}

/// From so many on an identity gets none by repeating its request.
inline constexpr std::ptrdiff_t max_certificates_by_token = 8;

/// The last certificate of the identity with `key` that is revoked.
inline std::optional<issued_certificate> last_revoked(const known_certificates& book,
                                                      const public_key& key) {
  std::optional<issued_certificate> found;
  for (auto& each : book.issued())
    if (each.key == key && book.revoked_since(each))
      found = each;
  return found;
}

/// Has the CA in the folder `ca_folder` answer `request`. That its token is used is on the disk
/// before the certificate exists. Errors: those of judge(), of issue_entered() and of the disk,
/// not_found (there is no CA), limit_reached (max_certificates_by_token), bad_argument (a
/// certificate of the identity that has used the token is revoked).
inline result<certificate> admit(const std::filesystem::path& ca_folder,
                                 const join_request& request, std::string_view binding,
                                 wall_time now) {
  auto ca = authority::load(ca_folder);
  if (!ca)
    return ca.error();
  auto invitations = invitation_book::open(ca_folder);
  if (!invitations)
    return invitations.error();
  auto* used = invitations->user_of(request.token);
  auto order = judge(request, binding, invitations->find(request.token), used, now);
  if (!order)
    return order.error();
  if (auto named = check_certified_name(order->name))
    return named;
  if (used == nullptr)
    if (auto entered = invitations->enter(redemption{request.token, request.key, now}); !entered)
      return entered.error();
  auto book = certificate_register::open(ca_folder);
  if (!book)
    return book.error();
  if (used != nullptr)
    if (auto revoked = last_revoked(*book, request.key))
      return problem{errc::bad_argument,
                     "the certificate " + revoked->serial + " of the identity that has used the "
                       "token was revoked at " + to_rfc3339(*book->revoked_since(*revoked))
                       + ", so the token gives no other one; ask for another token (troupe ca "
                         "invite)"};
  if (used != nullptr
      && std::ranges::count(book->issued(), request.key, &issued_certificate::key)
           >= max_certificates_by_token)
    return problem{errc::limit_reached, "this identity has had enough certificates; have the CA "
                                        "renew one (troupe ca renew)"};
  return issue_entered(*ca, *book, request.key, *order, now);
}

/// Has the CA in the folder `ca_folder`, which the node `issuer` has, invite. Errors: those of the
/// disk, not_found (there is no CA), bad_argument (an invalid name or time).
inline result<join_token> invite(const std::filesystem::path& ca_folder, const node_id& issuer,
                                 const invitation_options& what, wall_time now) {
  if (what.lasts <= duration::zero() || what.lasts > max_invitation)
    return problem{errc::bad_argument, "invitation_options::lasts is " + to_string(what.lasts)
                                         + "; give a span up to " + to_string(max_invitation)};
  auto ca = authority::load(ca_folder);
  if (!ca)
    return ca.error();
  if (!what.name.empty())
    if (auto named = check_certified_name(what.name))
      return named;
  auto book = invitation_book::open(ca_folder);
  if (!book)
    return book.error();
  auto token = join_token::make(ca->key(), issuer);
  auto entered = book->enter(
    invitation{token.id(), token.proof_key(), what.as, what.may, what.name, now + what.lasts});
  if (!entered)
    return entered.error();
  return token;
}

} // namespace troupe::security
