#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "troupe/core/digest.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/detail/openssl.hpp"
#include "troupe/security/enforced_revocations.hpp"
#include "troupe/security/join_token.hpp"
#include "troupe/security/types.hpp"

namespace troupe::security {

/// The application protocol (RFC 7301) of connections over which a machine without a certificate
/// asks for one.
inline constexpr std::string_view join_protocol = "troupe-join/1";

/// Who is at the other end of one TLS connection, and if that is not proven, why not. Looks at the
/// whole chain: a TLS key, certified by an identity, certified by the CA. All facts are those of
/// the identity's certificate: what the TLS key's says is ignored, as its owner writes that.
///
/// Belongs to a connection (attach()) before its handshake.
class peer_check {
public:
  /// Null: no certificate is revoked. With `admits_strangers`, an accepted connection may be one of
  /// the join_protocol, over which this side proves who it is, and the other does not.
  explicit peer_check(std::shared_ptr<const enforced_revocations> revoked = {},
                      bool admits_strangers = false)
    : revoked_(std::move(revoked)), admits_strangers_(admits_strangers) {}

  /// For a connection of the join_protocol, dialled: the peer is a member that proves itself by the
  /// CA with this fingerprint, which it shows.
  explicit peer_check(const digest& ca) : expected_(ca), is_joining_(true) {}

  /// Set once the peer has proven who it is; then it holds.
  [[nodiscard]] const std::optional<facts>& peer() const {
    return peer_;
  }

  /// Why the peer's certificates were refused; empty if they were not.
  [[nodiscard]] const std::string& refusal() const {
    return refusal_;
  }

  /// Whether the peer has asked for the join_protocol and gets it.
  [[nodiscard]] bool is_of_stranger() const {
    return is_of_stranger_;
  }

  /// Whether this side asks for the join_protocol.
  [[nodiscard]] bool is_joining() const {
    return is_joining_;
  }

  /// The certificate of the expected CA, once the peer has proven itself by that.
  [[nodiscard]] const std::optional<certificate>& shown_ca() const {
    return shown_ca_;
  }

  /// @pre This object stays where it is as long as `connection` lives.
  void attach(SSL* connection) {
    SSL_set_app_data(connection, this);
  }

  /// Has all connections of `context` checked; each needs an attached peer_check.
  static void install(SSL_CTX* context) {
    ::SSL_CTX_set_cert_verify_callback(context, &on_certificates, nullptr);
  }

  /// Has accepted connections of `context` speak the join_protocol with those who ask for it, where
  /// their peer_check admits them. @pre `ca` lives as long as `context`.
  static void admit_strangers(SSL_CTX* context, X509* ca) {
    ::SSL_CTX_set_alpn_select_cb(context, &on_protocols, ca);
  }

private:
  static constexpr int chain_length = 3;

  static int on_certificates(X509_STORE_CTX* what, void*) {
    auto* connection = static_cast<SSL*>(
      ::X509_STORE_CTX_get_ex_data(what, ::SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* check = static_cast<peer_check*>(SSL_get_app_data(connection));
    return check != nullptr && check->judge(what) ? 1 : 0;
  }

  /// Before this side decides whether it asks for a certificate.
  static int on_protocols(SSL* connection, const unsigned char** chosen, unsigned char* size,
                          const unsigned char* offered, unsigned int offered_size, void* ca) {
    auto* check = static_cast<peer_check*>(SSL_get_app_data(connection));
    std::string_view rest{reinterpret_cast<const char*>(offered), offered_size};
    while (check != nullptr && check->admits_strangers_ && !rest.empty()) {
      auto length = static_cast<std::size_t>(static_cast<unsigned char>(rest.front()));
      auto each = rest.substr(1, length);
      rest.remove_prefix(std::min(rest.size(), 1 + length));
      if (each != join_protocol)
        continue;
      ::SSL_set_verify(connection, SSL_VERIFY_NONE, nullptr);
      if (SSL_add1_chain_cert(connection, static_cast<X509*>(ca)) != 1)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
      check->is_of_stranger_ = true;
      *chosen = reinterpret_cast<const unsigned char*>(each.data());
      *size = static_cast<unsigned char>(each.size());
      return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
  }

  /// The certificate of the expected CA among those that the peer has shown. The key alone does not
  /// make it one: OpenSSL looks at no signature of what it is told to trust.
  void trust_expected(X509_STORE_CTX* what) {
    auto* shown = ::X509_STORE_CTX_get0_untrusted(what);
    for (auto index = 0; index < sk_X509_num(shown); ++index) {
      auto* each = sk_X509_value(shown, index);
      auto key = detail::key_of(each);
      if (!key || fingerprint_of(*key) != expected_ || !is_signed_by_itself(each))
        continue;
      ::X509_up_ref(each);
      shown_ca_.emplace(detail::owned<X509>{each});
      ::X509_STORE_add_cert(::X509_STORE_CTX_get0_store(what), each);
      return;
    }
  }

  static bool is_signed_by_itself(X509* which) {
    auto is_signed = ::X509_verify(which, ::X509_get0_pubkey(which)) == 1;
    ::ERR_clear_error();
    return is_signed;
  }

  bool judge(X509_STORE_CTX* what) {
    if (expected_) {
      trust_expected(what);
      if (!shown_ca_)
        return refuse(what, "it is no member of the cluster that the token is for; check the "
                            "address");
    }
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
    if (is_joining_ && found->as != role::member)
      return refuse(what, "it is no member of the cluster");
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
      return "its certificate is of another CA than this side's; check the address, or use a "
             "certificate of that cluster here (troupe login, troupe ca invite)";
    return std::string{"its certificate is invalid: "} + ::X509_verify_cert_error_string(error)
           + "; have a new one issued with troupe ca issue";
  }

  std::shared_ptr<const enforced_revocations> revoked_;
  bool admits_strangers_ = false;
  std::optional<digest> expected_;
  bool is_joining_ = false;
  bool is_of_stranger_ = false;
  std::optional<certificate> shown_ca_;
  std::optional<facts> peer_;
  std::string refusal_;
};

} // namespace troupe::security
