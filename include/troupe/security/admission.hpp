#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "troupe/core/log_line.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/signature.hpp"
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

/// Bounds how often one source may fail in a span: five wrong guesses, or twenty requests with a
/// token that it has proven and that gives it nothing. A machine; time is its caller's.
class guess_limiter {
public:
  /// What a failure costs, of max_cost.
  enum class failure : std::size_t { unproven = 4, proven = 1 };

  static constexpr std::size_t max_cost = 20;
  static constexpr duration span = std::chrono::minutes{1};
  /// Beyond that many sources with failures in one span, all others are refused together.
  static constexpr std::size_t max_sources = 1'000;

  /// Whether a try from `source` is judged at all.
  [[nodiscard]] bool hears(time_point now, const std::string& source) {
    forget(now);
    auto found = costs_.find(source);
    return found != costs_.end() ? found->second < max_cost : costs_.size() < max_sources;
  }

  void failed(time_point now, const std::string& source, failure what = failure::unproven) {
    forget(now);
    if (!costs_.contains(source) && costs_.size() >= max_sources)
      return;
    costs_[source] += static_cast<std::size_t>(what);
    order_.push_back({now, source, static_cast<std::size_t>(what)});
  }

private:
  struct entry {
    time_point at;
    std::string source;
    std::size_t cost;
  };

  void forget(time_point now) {
    while (!order_.empty() && now - order_.front().at >= span) {
      auto found = costs_.find(order_.front().source);
      found->second -= order_.front().cost;
      if (found->second == 0)
        costs_.erase(found);
      order_.pop_front();
    }
  }

  std::map<std::string, std::size_t> costs_;
  /// At most max_cost of each source, and what is on its way.
  std::deque<entry> order_;
};

/// What `request` gets by the token `invited`, which `used` has used; both may be null. The code of
/// an error says whether the token was proven: denied, it was not. Others: bad_argument (expired,
/// of another role, an invalid name, a clock that is off, with which its owner's TLS keys would be
/// refused), in_use (another identity has used it).
///
/// An identity may use its token again while that is valid: its first answer may have been lost.
/// admit() ends that once one of its certificates is revoked.
inline result<certificate_order> judge(const join_request& request, std::string_view binding,
                                       const invitation* invited, const redemption* used,
                                       wall_time now) {
  auto statement = join_statement(request, binding);
  if (invited == nullptr
      || !same_bytes(hmac_sha256(invited->proof_key.bytes, statement), request.proof))
    return problem{errc::denied,
                   "this cluster has given out no such token, or has withdrawn it; ask "
                   "for another one (troupe ca invite)"};
  if (!verify(request.key, statement, request.by))
    return problem{errc::denied, "the request is not signed with the key that is to be certified"};
  if (request.clock && std::chrono::abs(now - *request.clock) > clock_tolerance)
    return problem{errc::bad_argument,
                   "the clock of the machine that joins says " + to_rfc3339(*request.clock)
                     + ", and that of the CA " + to_rfc3339(now) + ", and they may differ by "
                     + in_words(clock_tolerance)
                     + "; set the one that is wrong, then use the same token again"};
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
inline constexpr std::size_t max_certificates_by_token = 8;

/// Why the identity with `key` gets no certificate by a token, by what the CA has issued; nothing:
/// it gets one. It `is_repeated` if it has used the token before.
inline problem refuse_again(const known_certificates& book, const public_key& key,
                            bool is_repeated) {
  if (auto since = book.revoked_since(id_of(key)))
    return {errc::bad_argument, "the identity with this key was revoked at " + to_rfc3339(*since)
                                  + "; make a new one, in a folder without " + identity_key_file};
  if (!is_repeated)
    return {};
  std::size_t count = 0;
  for (auto& each : book.issued()) {
    if (each.key != key)
      continue;
    ++count;
    if (auto since = book.revoked_since(each))
      return {errc::bad_argument,
              "the certificate " + each.serial
                + " of the identity that has used the token was "
                  "revoked at "
                + to_rfc3339(*since)
                + ", so the token gives no other one; ask for another token (troupe ca invite)"};
  }
  if (count >= max_certificates_by_token)
    return {errc::limit_reached, "this identity has had enough certificates; have the CA renew one "
                                 "(troupe ca renew)"};
  return {};
}

/// What became of a request to join.
struct admission_outcome {
  /// For whoever asks: a certificate, or why there is none, without a word of the CA's folder.
  result<certificate> answer;
  /// For the operator of the node: what is wrong with the CA; usually nothing.
  problem trouble{};
};

/// The outcome where the CA cannot do its work. Whoever asks learns only that.
inline admission_outcome cannot_admit(problem trouble) {
  auto code = trouble.code == errc::in_use ? errc::busy : errc::failed;
  return {problem{code, "the CA cannot give a certificate at this moment; the log of the node that "
                        "has it says why"},
          std::move(trouble)};
}

/// Has the CA in the folder `ca_folder` answer `request`. That its token is used is on the disk
/// before the certificate exists. Errors of the answer: those of judge(), limit_reached
/// (max_certificates_by_token), bad_argument (the identity, or a certificate of the one that has
/// used the token, is revoked), busy and failed (see cannot_admit()).
inline admission_outcome admit(const std::filesystem::path& ca_folder, const join_request& request,
                               std::string_view binding, wall_time now) {
  auto ca = authority::load(ca_folder);
  if (!ca)
    return cannot_admit(ca.error());
  auto invitations = invitation_book::open(ca_folder, now);
  if (!invitations)
    return cannot_admit(invitations.error());
  auto* used = invitations->user_of(request.token);
  auto order = judge(request, binding, invitations->find(request.token), used, now);
  if (!order)
    return {order.error()};
  if (auto named = check_certified_name(order->name))
    return {named};
  auto book = certificate_register::open(ca_folder);
  if (!book)
    return cannot_admit(book.error());
  auto is_repeated = used != nullptr;
  if (auto why = refuse_again(*book, request.key, is_repeated))
    return {why};
  if (!is_repeated)
    if (auto entered = invitations->enter(redemption{request.token, request.key, now}); !entered)
      return cannot_admit(entered.error());
  auto issued = issue_entered(*ca, *book, request.key, *order, now);
  if (!issued)
    return cannot_admit(issued.error());
  return {*std::move(issued)};
}

/// Reads which of the tokens in `known` a person means by `called`: the line itself, its id or the
/// beginning of that. Errors: bad_argument (several), not_found.
inline result<invitation> find_invitation(const known_invitations& known,
                                          const std::string& called) {
  constexpr std::size_t min_digits = 4;
  auto line = join_token::from_line(called);
  auto digits = line ? to_string(line->id()) : called;
  std::optional<invitation> found;
  for (auto& [id, each] : known.all())
    if (digits.size() >= min_digits && to_string(id).starts_with(digits)) {
      if (found)
        return problem{errc::bad_argument, "the ids of several tokens begin with '"
                                             + shortened(digits)
                                             + "'; give more of it (troupe ca invitations)"};
      found = each;
    }
  if (!found) // perhaps with a mistyped secret, which is not repeated
    return problem{errc::not_found, "no token has this id; see troupe ca invitations"};
  return *std::move(found);
}

/// Has the CA in the folder `ca_folder` withdraw a token: nobody joins with it from now on. Errors:
/// those of find_invitation() and of the disk, in_use (it was used).
inline result<invitation> withdraw(const std::filesystem::path& ca_folder,
                                   const std::string& called, wall_time now) {
  auto book = invitation_book::open(ca_folder, now);
  if (!book)
    return book.error();
  auto found = find_invitation(*book, called);
  if (!found)
    return found;
  if (auto* used = book->user_of(found->id))
    return problem{errc::in_use, "the token was used at " + to_rfc3339(used->since)
                                   + "; revoke whom it has "
                                     "admitted (troupe ca revoke "
                                   + to_string(id_of(used->by)).substr(0, 8) + ')'};
  if (auto entered = book->enter(withdrawal{found->id, now}); !entered)
    return entered.error();
  return found;
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
  auto book = invitation_book::open(ca_folder, now);
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
