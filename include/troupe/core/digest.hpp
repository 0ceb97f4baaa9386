#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string_view>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "troupe/core/fixed_bytes.hpp"

namespace troupe {

/// A SHA-256 digest: identifies content, and proves that it is the same. Against accidental changes
/// alone, crc32c() or a rolling_hash is enough; for 100 bytes they take an eighth of the time.
using digest = fixed_bytes<struct digest_tag, 32>;

/// Makes a digest of bytes that arrive piece by piece. Source: FIPS 180-4, section 6.2, as
/// libcrypto implements it.
class sha256_stream {
public:
  /// Throws std::runtime_error if libcrypto has no SHA-256 (or no memory).
  sha256_stream() : context_(EVP_MD_CTX_new()) {
    check(context_ ? EVP_DigestInit_ex(context_.get(), algorithm(), nullptr) : 0);
  }

  void update(std::string_view bytes) {
    check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
  }

  /// Returns the digest of all bytes since the last call, and starts over.
  digest finish() {
    digest made;
    check(EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(made.bytes.data()),
                             nullptr));
    check(EVP_DigestInit_ex(context_.get(), nullptr, nullptr));
    return made;
  }

private:
  struct free_context {
    void operator()(EVP_MD_CTX* context) const {
      EVP_MD_CTX_free(context);
    }
  };

  /// Looked up once: the lookup takes longer than the digest of 100 bytes.
  static const EVP_MD* algorithm() {
    static const EVP_MD* const found = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    return found;
  }

  static void check(int done) {
    if (done != 1)
      throw std::runtime_error{
        "libcrypto cannot compute SHA-256; check the installation of OpenSSL"};
  }

  std::unique_ptr<EVP_MD_CTX, free_context> context_;
};

/// Returns the SHA-256 of `bytes`.
inline digest sha256(std::string_view bytes) {
  sha256_stream stream;
  stream.update(bytes);
  return stream.finish();
}

/// Returns the HMAC-SHA-256 of `bytes`: only those who know `key` can make it. Compare it with
/// same_bytes(). Throws std::runtime_error if libcrypto has none. Source: RFC 2104.
inline digest hmac_sha256(std::span<const std::byte> key, std::string_view bytes) {
  digest made;
  if (::HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
             reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
             reinterpret_cast<unsigned char*>(made.bytes.data()), nullptr)
      == nullptr)
    throw std::runtime_error{"libcrypto cannot compute HMAC; check the installation of OpenSSL"};
  return made;
}

/// Compares in a time that does not tell where the two differ.
inline bool same_bytes(const digest& left, const digest& right) {
  return ::CRYPTO_memcmp(left.bytes.data(), right.bytes.data(), digest::size) == 0;
}

} // namespace troupe
