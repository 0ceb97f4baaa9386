#pragma once

#include <filesystem>
#include <memory>

#include <openssl/ssl.h>

#include "troupe/platform/calendar.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/detail/certificate_maker.hpp"
#include "troupe/security/key_pair.hpp"
#include "troupe/storage/private_file.hpp"

namespace troupe::benchmark {

/// A CA of one run, and one certificate for all that the servers and clients of that run on
/// 127.0.0.1, as etcd takes them: PEM files, Ed25519.
class etcd_certificates {
public:
  explicit etcd_certificates(const std::filesystem::path& folder)
    : ca_file_(folder / "ca.pem"), file_(folder / "all.pem"), key_file_(folder / "all.key") {
    using security::detail::certificate_maker;
    auto now = read_calendar();
    auto from = now - std::chrono::hours{1};
    auto until = now + std::chrono::hours{24};
    auto ca_key = security::key_pair::make();
    auto ca = certificate_maker{ca_key.native(), "benchmark CA", from, until}
                .with(NID_basic_constraints, "critical,CA:TRUE")
                .with(NID_key_usage, "critical,keyCertSign")
                .sign(ca_key);
    auto key = security::key_pair::make();
    auto own = certificate_maker{key.native(), "benchmark", from, until}
                 .with(NID_key_usage, "critical,digitalSignature")
                 .with(NID_ext_key_usage, "serverAuth,clientAuth")
                 .with(NID_subject_alt_name, "IP:127.0.0.1")
                 .sign(ca_key, ca.native());
    storage::make_private_folder(folder).value();
    storage::write_private(ca_file_, ca.to_pem()).value();
    storage::write_private(file_, own.to_pem()).value();
    key.save(key_file_).value();
    context_.reset(::SSL_CTX_new(::TLS_client_method()), &::SSL_CTX_free);
    auto* all = context_.get();
    ::SSL_CTX_set_min_proto_version(all, TLS1_3_VERSION);
    ::SSL_CTX_set_verify(all, SSL_VERIFY_PEER, nullptr);
    constexpr unsigned char http2[]{2, 'h', '2'};
    security::detail::demand(
      ::SSL_CTX_load_verify_locations(all, ca_file_.c_str(), nullptr) == 1
      && ::SSL_CTX_use_certificate_file(all, file_.c_str(), SSL_FILETYPE_PEM) == 1
      && ::SSL_CTX_use_PrivateKey_file(all, key_file_.c_str(), SSL_FILETYPE_PEM) == 1
      && ::SSL_CTX_set_alpn_protos(all, http2, sizeof(http2)) == 0);
  }

  [[nodiscard]] const std::filesystem::path& ca_file() const {
    return ca_file_;
  }

  [[nodiscard]] const std::filesystem::path& file() const {
    return file_;
  }

  [[nodiscard]] const std::filesystem::path& key_file() const {
    return key_file_;
  }

  /// For a client's connections.
  [[nodiscard]] SSL_CTX* context() const {
    return context_.get();
  }

private:
  std::filesystem::path ca_file_;
  std::filesystem::path file_;
  std::filesystem::path key_file_;
  std::shared_ptr<SSL_CTX> context_;
};

} // namespace troupe::benchmark
