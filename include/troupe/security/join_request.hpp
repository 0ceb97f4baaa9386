#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "troupe/core/codec.hpp"
#include "troupe/core/digest.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"
#include "troupe/security/join_token.hpp"
#include "troupe/security/key_pair.hpp"
#include "troupe/security/types.hpp"

/// What a machine without a certificate and a member say to each other, over TLS, when the machine
/// joins with a token: one request, one answer. The machine has checked before that the member's
/// certificate is of the CA in the token.
namespace troupe::security {

/// "I have this key and this token."
struct join_request {
  token_id token{};
  /// The node that has the CA.
  issuer_id issuer{};
  public_key key{};
  role as = role::client;
  /// For people.
  std::string name{};
  /// What the clock of the machine says; empty: not told.
  std::optional<wall_time> clock{};
  /// Of what join_statement() returns: made with the token's proof key, and with the private half
  /// of `key`.
  digest proof{};
  signature by{};

  friend bool operator==(const join_request&, const join_request&) = default;

  TROUPE_FIELDS(join_request, token, issuer, key, as, name, proof, by, clock);
};

/// A certificate, in PEM.
struct join_granted {
  std::string certificate{};

  friend bool operator==(const join_granted&, const join_granted&) = default;

  TROUPE_FIELDS(join_granted, certificate);
};

/// Another node has the CA: where to ask.
struct join_elsewhere {
  std::vector<std::string> addresses{};

  friend bool operator==(const join_elsewhere&, const join_elsewhere&) = default;

  TROUPE_FIELDS(join_elsewhere, addresses);
};

struct join_refused {
  errc code = errc::denied;
  std::string why{};

  friend bool operator==(const join_refused&, const join_refused&) = default;

  TROUPE_FIELDS(join_refused, code, why);
};

using join_answer = std::variant<join_granted, join_elsewhere, join_refused>;

/// What both proofs of `request` are of. `binding` is the keying material of the connection, so
/// that a proof is worth nothing on another one.
inline std::string join_statement(const join_request& request, std::string_view binding) {
  auto bare = request;
  bare.proof = {};
  bare.by = {};
  return "troupe join 1\n" + std::string{binding} + to_bytes(bare);
}

/// Fills in both proofs.
inline join_request proven(join_request request, const join_token& token, const key_pair& key,
                           std::string_view binding) {
  request.token = token.id();
  request.issuer = token.issuer();
  request.key = key.public_half();
  auto statement = join_statement(request, binding);
  request.proof = hmac_sha256(token.proof_key().bytes, statement);
  request.by = key.sign(statement);
  return request;
}

} // namespace troupe::security
