#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "troupe/core/fixed_bytes.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/secret.hpp"
#include "troupe/security/detail/openssl.hpp"

/// Secrets that two nodes agree on while others listen, and keys made from them.
namespace troupe::security {

/// The public half of an X25519 key.
using agreement_key = fixed_bytes<struct agreement_key_tag, 32>;

/// An X25519 key, for the life of a process. Copies share it. Thread-safe once it is made. Source:
/// RFC 7748.
class key_agreement {
public:
  /// A new one. Throws std::runtime_error if libcrypto has no X25519.
  static key_agreement make() {
    auto context = detail::own(::EVP_PKEY_CTX_new_id(EVP_PKEY_X25519, nullptr));
    EVP_PKEY* made = nullptr;
    detail::demand(::EVP_PKEY_keygen_init(context.get()) == 1
                   && ::EVP_PKEY_keygen(context.get(), &made) == 1);
    return key_agreement{detail::own(made)};
  }

  /// The one with this private half: for test vectors.
  /// @pre half.size() == 32
  static key_agreement of(std::span<const std::byte> half) {
    return key_agreement{detail::own(::EVP_PKEY_new_raw_private_key(
      EVP_PKEY_X25519, nullptr, reinterpret_cast<const unsigned char*>(half.data()), half.size()))};
  }

  [[nodiscard]] const agreement_key& public_half() const {
    return public_;
  }

  /// What nobody but these two can know; only good for hkdf_sha256(). Errors: bad_argument, if the
  /// other half is one of the few that give the same secret to everybody. Cost: about 0.05 ms.
  [[nodiscard]] result<secret> agree_with(const agreement_key& other) const {
    detail::owned<EVP_PKEY> peer{::EVP_PKEY_new_raw_public_key(
      EVP_PKEY_X25519, nullptr, reinterpret_cast<const unsigned char*>(other.bytes.data()),
      other.bytes.size())};
    auto context = detail::own(::EVP_PKEY_CTX_new(key_.get(), nullptr));
    secret made{agreement_key::size};
    auto size = made.size();
    auto is_made = peer && ::EVP_PKEY_derive_init(context.get()) == 1
                   && ::EVP_PKEY_derive_set_peer(context.get(), peer.get()) == 1
                   && ::EVP_PKEY_derive(
                        context.get(), reinterpret_cast<unsigned char*>(made.bytes().data()), &size)
                        == 1
                   && size == made.size();
    if (!is_made) {
      ::ERR_clear_error();
      return problem{errc::bad_argument, "the public key of the other side is of no use"};
    }
    return made;
  }

private:
  explicit key_agreement(detail::owned<EVP_PKEY> key) : key_(key.release(), &::EVP_PKEY_free) {
    auto size = public_.bytes.size();
    detail::demand(::EVP_PKEY_get_raw_public_key(
                     key_.get(), reinterpret_cast<unsigned char*>(public_.bytes.data()), &size)
                   == 1);
  }

  std::shared_ptr<EVP_PKEY> key_;
  agreement_key public_;
};

/// Makes `size` bytes that only those know who know `input`; other bytes for other `salt` or
/// `info`. Errors: bad_argument (more than 8,160 bytes, or none). Source: RFC 5869.
[[nodiscard]] inline result<secret> hkdf_sha256(std::span<const std::byte> input,
                                                std::string_view salt, std::string_view info,
                                                std::size_t size) {
  constexpr std::size_t most = std::size_t{255} * 32;
  if (size == 0 || size > most)
    return problem{errc::bad_argument, "HKDF makes 1 to " + std::to_string(most) + " bytes, not "
                                         + std::to_string(size)};
  auto algorithm = detail::own(::EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  auto context = detail::own(::EVP_KDF_CTX_new(algorithm.get()));
  // It reads what it is given, and takes it as what may be written.
  auto octets = [](const char* name, auto data, std::size_t length) {
    return ::OSSL_PARAM_construct_octet_string(
      name, const_cast<void*>(static_cast<const void*>(data)), length);
  };
  std::string hash = "SHA256";
  OSSL_PARAM how[]{
    ::OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash.data(), hash.size()),
    octets(OSSL_KDF_PARAM_KEY, input.data(), input.size()),
    octets(OSSL_KDF_PARAM_SALT, salt.data(), salt.size()),
    octets(OSSL_KDF_PARAM_INFO, info.data(), info.size()), ::OSSL_PARAM_construct_end()};
  secret made{size};
  detail::demand(::EVP_KDF_derive(context.get(),
                                  reinterpret_cast<unsigned char*>(made.bytes().data()), size, how)
                 == 1);
  return made;
}

} // namespace troupe::security
