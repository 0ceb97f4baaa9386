#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/time.hpp"
#include "troupe/platform/entropy.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/detail/openssl.hpp"
#include "troupe/security/key_pair.hpp"

namespace troupe::security::detail {

/// Makes one X.509 v3 certificate: first its parts, then its signature.
class certificate_maker {
public:
  /// @pre `name` has at most max_certified_name_bytes.
  certificate_maker(EVP_PKEY* subject, const std::string& name, wall_time from, wall_time until)
    : made_(own(::X509_new())) {
    std::array<std::byte, 16> serial{};
    fill_random(serial);
    serial.front() = (serial.front() & std::byte{0x3f}) | std::byte{0x40}; // positive, full length
    auto* number = ::BN_bin2bn(reinterpret_cast<unsigned char*>(serial.data()),
                               static_cast<int>(serial.size()), nullptr);
    demand(number != nullptr);
    demand(::BN_to_ASN1_INTEGER(number, ::X509_get_serialNumber(made_.get())) != nullptr);
    ::BN_free(number);
    demand(::X509_set_version(made_.get(), X509_VERSION_3) == 1
           && ::X509_set_pubkey(made_.get(), subject) == 1
           && ::X509_NAME_add_entry_by_NID(::X509_get_subject_name(made_.get()), NID_commonName,
                                           MBSTRING_UTF8,
                                           reinterpret_cast<const unsigned char*>(name.data()),
                                           static_cast<int>(name.size()), -1, 0)
                == 1
           && ::ASN1_TIME_set(::X509_getm_notBefore(made_.get()), seconds(from)) != nullptr
           && ::ASN1_TIME_set(::X509_getm_notAfter(made_.get()), seconds(until)) != nullptr);
  }

  /// Adds an extension, as OpenSSL's configuration files write it. Never with text from outside.
  certificate_maker& with(int kind, const std::string& value) {
    extensions_.emplace_back(kind, value);
    return *this;
  }

  /// Signs it with the key of `issuer`; without one it is signed by itself.
  certificate sign(const key_pair& key, const X509* issuer = nullptr) {
    auto* by = issuer != nullptr ? const_cast<X509*>(issuer) : made_.get();
    demand(::X509_set_issuer_name(made_.get(), ::X509_get_subject_name(by)) == 1);
    X509V3_CTX context;
    X509V3_set_ctx(&context, by, made_.get(), nullptr, nullptr, 0);
    X509V3_set_ctx_nodb(&context);
    extensions_.emplace(extensions_.begin(), NID_subject_key_identifier, "hash");
    if (issuer != nullptr)
      extensions_.emplace_back(NID_authority_key_identifier, "keyid:always");
    for (auto& [kind, value] : extensions_) {
      auto each = own(::X509V3_EXT_nconf_nid(nullptr, &context, kind, value.c_str()));
      demand(::X509_add_ext(made_.get(), each.get(), -1) == 1);
    }
    demand(::X509_sign(made_.get(), key.native(), nullptr) > 0);
    return certificate{std::move(made_)};
  }

private:
  static std::time_t seconds(wall_time moment) {
    return static_cast<std::time_t>(
      std::chrono::floor<std::chrono::seconds>(moment.time_since_epoch()).count());
  }

  owned<X509> made_;
  std::vector<std::pair<int, std::string>> extensions_;
};

} // namespace troupe::security::detail
