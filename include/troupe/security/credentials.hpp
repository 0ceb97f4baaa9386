#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/detail/certificate_maker.hpp"
#include "troupe/security/enforced_revocations.hpp"
#include "troupe/security/key_pair.hpp"
#include "troupe/security/peer_check.hpp"
#include "troupe/security/revocation_list.hpp"

namespace troupe::security {

/// Names of the files in a folder with an identity.
inline constexpr auto identity_key_file = "identity.key";
inline constexpr auto identity_certificate_file = "node.pem";
inline constexpr auto ca_certificate_file = "ca.pem";

/// Returns whether `folder` has the certificates with which links are encrypted.
inline bool has_certificates(const std::filesystem::path& folder) {
  std::error_code fault;
  return !folder.empty() && std::filesystem::exists(folder / identity_certificate_file, fault)
         && std::filesystem::exists(folder / ca_certificate_file, fault);
}

namespace detail {

/// What all connections have in common: TLS 1.3, both sides checked, each connection anew.
inline std::shared_ptr<SSL_CTX> make_context() {
  /// Before the peer is known it costs no more memory than this.
  constexpr long max_chain_bytes = 16'384;
  std::shared_ptr<SSL_CTX> made{own(::SSL_CTX_new(::TLS_method())).release(), &::SSL_CTX_free};
  auto* all = made.get();
  demand(::SSL_CTX_set_min_proto_version(all, TLS1_3_VERSION) == 1
         && ::SSL_CTX_set_max_proto_version(all, TLS1_3_VERSION) == 1
         && ::SSL_CTX_set_num_tickets(all, 0) == 1 && SSL_CTX_set1_sigalgs_list(all, "ed25519") == 1
         && SSL_CTX_set1_groups_list(all, "X25519:P-256") == 1);
  ::SSL_CTX_set_session_cache_mode(all, SSL_SESS_CACHE_OFF);
  ::SSL_CTX_set_options(all, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(all, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
                          | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_max_cert_list(all, max_chain_bytes);
  ::SSL_CTX_set_quiet_shutdown(all, 1); // a link ends with its connection
  ::X509_VERIFY_PARAM_set_flags(::SSL_CTX_get0_param(all), X509_V_FLAG_X509_STRICT);
  ::SSL_CTX_set_verify_depth(all, 1); // one certificate between the TLS key's and the CA's
  ::SSL_CTX_set_verify(all, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  peer_check::install(all);
  return made;
}

} // namespace detail

/// The settings of one connection of the join_protocol: with nothing that this side could prove.
/// Attach a peer_check for that to it.
inline std::shared_ptr<SSL_CTX> make_join_context() {
  auto made = detail::make_context();
  std::string offered{static_cast<char>(join_protocol.size())};
  offered += join_protocol;
  detail::demand(::SSL_CTX_set_alpn_protos(made.get(),
                                           reinterpret_cast<const unsigned char*>(offered.data()),
                                           static_cast<unsigned int>(offered.size()))
                 == 0);
  return made;
}

/// What a process proves itself with: the key of its identity, the certificate of that, and the
/// CA's. For connections it makes a TLS key of its own, which never leaves the process, certifies
/// it with the identity's key for a day, and makes another one in time.
///
/// Thread-safe.
class credentials {
public:
  /// How long one TLS key is valid, and when the next one is made.
  static constexpr duration tls_key_lasts = std::chrono::hours{24};
  static constexpr duration renewed_after = tls_key_lasts / 2;

  using context_ptr = std::shared_ptr<SSL_CTX>;

  /// Checks that the three belong together and are valid at `now`. Errors: bad_argument (one is
  /// of another key or CA, expired or not valid yet).
  static result<std::shared_ptr<credentials>> make(key_pair key, certificate own, certificate ca,
                                                   wall_time now) {
    auto about = check(key, own, ca, now);
    if (!about)
      return about.error();
    auto ca_key = detail::key_of(ca.native());
    if (!ca_key)
      return problem{errc::bad_argument, "the key of the CA is not an Ed25519 key; put the ca.pem "
                                         "there that troupe ca issue wrote"};
    return std::shared_ptr<credentials>{
      new credentials{std::move(key), std::move(own), std::move(ca), *ca_key, *std::move(about)}};
  }

  /// Reads identity.key, node.pem and ca.pem, and revoked.list if it is there. Errors: those of
  /// make() and load_revocation_list(), damaged, bad_argument (other users may read the key).
  static result<std::shared_ptr<credentials>> load(const std::filesystem::path& folder,
                                                   wall_time now) {
    auto key = key_pair::load(folder / identity_key_file);
    if (!key)
      return key.error();
    return load(folder, *std::move(key), now);
  }

  /// The same for an identity whose key is known.
  static result<std::shared_ptr<credentials>> load(const std::filesystem::path& folder,
                                                   key_pair key, wall_time now) {
    auto own = certificate::load(folder / identity_certificate_file);
    if (!own)
      return own.error();
    auto ca = certificate::load(folder / ca_certificate_file);
    if (!ca)
      return ca.error();
    auto made = make(std::move(key), *std::move(own), *std::move(ca), now);
    if (!made)
      return problem{made.error().code, folder.string() + ": " + made.error().detail};
    auto revoked = load_revocation_list(folder, (*made)->ca_key());
    if (!revoked && revoked.error().code != errc::not_found)
      return problem{revoked.error().code, revoked.error().detail
                                             + ", or remove the file: a node then hears from the "
                                               "others what is revoked"};
    if (revoked)
      (*made)->revoked()->set(std::make_shared<const revocation_list>(*std::move(revoked)));
    return made;
  }

  /// What this process proves of itself.
  [[nodiscard]] facts self() const {
    std::lock_guard guard{mutex_};
    return self_;
  }

  /// The certificate of this process, in PEM, for others that have no link to it.
  [[nodiscard]] std::string own_certificate() const {
    std::lock_guard guard{mutex_};
    return own_.to_pem();
  }

  /// Whether `pem` is the certificate of a member with that id, by this CA, is not revoked and has
  /// not expired at `now`. Returns when it ends. Errors: denied. Cost: about 0.2 ms.
  [[nodiscard]] result<wall_time> admit(const std::string& pem, const node_id& who,
                                        wall_time now) const {
    auto denied = [](const std::string& why) { return problem{errc::denied, why}; };
    auto found = certificate::from_pem(pem, "its card");
    auto about = found ? facts_of(*found) : result<facts>{found.error()};
    if (!about)
      return denied(about.error().detail);
    auto is_signed = ::X509_verify(found->native(), ::X509_get0_pubkey(ca_.native())) == 1;
    ::ERR_clear_error();
    if (!is_signed)
      return denied("its certificate is of another CA than this cluster's");
    if (about->node != who || about->as != role::member)
      return denied("its certificate is not that of a member with this id");
    if (auto why = revoked_->refusal(*about); !why.empty())
      return denied(why);
    if (about->valid_until < now)
      return denied(check_times(about->valid_from, about->valid_until, now).detail);
    return about->valid_until;
  }

  /// The key of the CA.
  [[nodiscard]] const public_key& ca_key() const {
    return ca_key_;
  }

  /// The certificates of peers that are refused, although the CA has signed them.
  [[nodiscard]] const std::shared_ptr<enforced_revocations>& revoked() const {
    return revoked_;
  }

  /// New connections prove `own` from now on; others keep what they have. Errors: those of make(),
  /// bad_argument (the role is another); nothing has changed then.
  result<void> renew(certificate own, wall_time now) {
    auto about = check(key_, own, ca_, now);
    if (!about)
      return about.error();
    std::lock_guard guard{mutex_};
    if (about->as != self_.as)
      return problem{errc::bad_argument, "the certificate of '" + about->name + "' has the role "
                                           + std::string{name_of(about->as)}
                                           + ", and this process needs one with the role "
                                           + std::string{name_of(self_.as)}};
    own_ = std::move(own);
    self_ = *std::move(about);
    context_ = nullptr;
    return {};
  }

  /// The settings of a new connection made at `now`; they never change, and stay valid for the
  /// connections that have them. Connections of both sides: attach a peer_check to each.
  [[nodiscard]] context_ptr context(wall_time now) {
    std::lock_guard guard{mutex_};
    if (!context_ || now >= made_at_ + renewed_after || now < made_at_ - clock_tolerance) {
      context_ = make_context(now);
      made_at_ = now;
    }
    return context_;
  }

private:
  credentials(key_pair key, certificate own, certificate ca, const public_key& ca_key, facts self)
    : key_(std::move(key)),
      ca_(std::move(ca)),
      ca_key_(ca_key),
      own_(std::move(own)),
      self_(std::move(self)) {}

  /// What `own` says, if the three belong together and are valid at `now`.
  static result<facts> check(const key_pair& key, const certificate& own, const certificate& ca,
                             wall_time now) {
    auto about = facts_of(own);
    if (!about)
      return about.error();
    if (about->node != id_of(key.public_half()))
      return problem{errc::bad_argument, "the certificate of '" + about->name
                                           + "' is of another key than this identity's; have one "
                                             "issued for this identity"};
    if (::X509_verify(own.native(), ::X509_get0_pubkey(ca.native())) != 1) {
      ::ERR_clear_error();
      return problem{errc::bad_argument, "the certificate of '" + about->name
                                           + "' is of another CA than the ca.pem beside it; put "
                                             "there what troupe ca issue wrote"};
    }
    if (auto why = check_times(about->valid_from, about->valid_until, now))
      return why;
    return about;
  }

  [[nodiscard]] context_ptr make_context(wall_time now) const {
    auto tls_key = key_pair::make();
    auto tls_certificate
      = detail::certificate_maker{tls_key.native(), self_.name, now - clock_tolerance,
                                  std::min(now + tls_key_lasts, self_.valid_until)}
          .with(NID_basic_constraints, "critical,CA:FALSE")
          .with(NID_key_usage, "critical,digitalSignature")
          .with(NID_ext_key_usage, "serverAuth,clientAuth")
          .sign(key_, own_.native());
    auto made = detail::make_context();
    auto* all = made.get();
    detail::demand(::SSL_CTX_use_certificate(all, tls_certificate.native()) == 1
                   && ::SSL_CTX_use_PrivateKey(all, tls_key.native()) == 1
                   && SSL_CTX_add1_chain_cert(all, own_.native()) == 1
                   && ::X509_STORE_add_cert(::SSL_CTX_get_cert_store(all), ca_.native()) == 1);
    peer_check::admit_strangers(all, ca_.native());
    return made;
  }

  const key_pair key_;
  const certificate ca_;
  const public_key ca_key_;
  const std::shared_ptr<enforced_revocations> revoked_ = std::make_shared<enforced_revocations>();
  mutable std::mutex mutex_;
  certificate own_;
  facts self_;
  context_ptr context_;
  wall_time made_at_{};
};

} // namespace troupe::security
