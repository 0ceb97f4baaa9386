#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "troupe/core/calendar.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/detail/openssl.hpp"
#include "troupe/security/enforced_revocations.hpp"
#include "troupe/security/types.hpp"

namespace troupe::security {

/// Who is at the other end of one TLS connection, and if that is not proven, why not. Looks at the
/// whole chain: a TLS key, certified by an identity, certified by the CA. All facts are those of
/// the identity's certificate: what the TLS key's says is ignored, as its owner writes that.
///
/// Belongs to a connection (attach()) before its handshake.
class peer_check {
public:
  /// Null: no certificate is revoked.
  explicit peer_check(std::shared_ptr<const enforced_revocations> revoked = {})
    : revoked_(std::move(revoked)) {}

  /// Set once the peer has proven who it is; then it holds.
  [[nodiscard]] const std::optional<facts>& peer() const {
    return peer_;
  }

  /// Why the peer's certificates were refused; empty if they were not.
  [[nodiscard]] const std::string& refusal() const {
    return refusal_;
  }

  /// @pre This object stays where it is as long as `connection` lives.
  void attach(SSL* connection) {
    SSL_set_app_data(connection, this);
  }

  /// Has all connections of `context` checked; each needs an attached peer_check.
  static void install(SSL_CTX* context) {
    ::SSL_CTX_set_cert_verify_callback(context, &on_certificates, nullptr);
  }

private:
  static constexpr int chain_length = 3;

  static int on_certificates(X509_STORE_CTX* what, void*) {
    auto* connection = static_cast<SSL*>(
      ::X509_STORE_CTX_get_ex_data(what, ::SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* check = static_cast<peer_check*>(SSL_get_app_data(connection));
    return check != nullptr && check->judge(what) ? 1 : 0;
  }

  bool judge(X509_STORE_CTX* what) {
    if (::X509_verify_cert(what) != 1) {
      refusal_ = say_why(what);
      return false;
    }
    auto* chain = ::X509_STORE_CTX_get0_chain(what);
    if (sk_X509_num(chain) != chain_length)
      return refuse(what, "its TLS key is not certified by an identity that the CA has certified");
    auto found = facts_of(sk_X509_value(chain, 1));
    if (!found)
      return refuse(what, found.error().detail);
    if (auto why = revoked_ ? revoked_->refusal(*found) : std::string{}; !why.empty())
      return refuse(what, std::move(why), X509_V_ERR_CERT_REVOKED);
    peer_ = *std::move(found);
    return true;
  }

  /// The peer hears `code` as an alert.
  bool refuse(X509_STORE_CTX* what, std::string why,
              int code = X509_V_ERR_APPLICATION_VERIFICATION) {
    refusal_ = std::move(why);
    ::X509_STORE_CTX_set_error(what, code);
    return false;
  }

  static std::string say_why(X509_STORE_CTX* what) {
    auto error = ::X509_STORE_CTX_get_error(what);
    auto* which = ::X509_STORE_CTX_get_current_cert(what);
    if (which != nullptr
        && (error == X509_V_ERR_CERT_NOT_YET_VALID || error == X509_V_ERR_CERT_HAS_EXPIRED)) {
      auto from = detail::time_of(::X509_get0_notBefore(which));
      auto until = detail::time_of(::X509_get0_notAfter(which));
      if (from && until)
        if (auto why = check_times(*from, *until, read_calendar()))
          return why.detail;
    }
    if (error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
        || error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN
        || error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
        || error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE
        || error == X509_V_ERR_CERT_SIGNATURE_FAILURE)
      return "its certificate is of another CA than this cluster's; have one issued by this "
             "cluster's CA";
    return std::string{"its certificate is invalid: "} + ::X509_verify_cert_error_string(error)
           + "; have a new one issued with troupe ca issue";
  }

  std::shared_ptr<const enforced_revocations> revoked_;
  std::optional<facts> peer_;
  std::string refusal_;
};

} // namespace troupe::security
