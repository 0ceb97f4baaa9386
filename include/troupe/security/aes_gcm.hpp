#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <openssl/evp.h>

#include "troupe/core/secret.hpp"
#include "troupe/security/detail/openssl.hpp"

namespace troupe::security {

/// Seals bytes with a key that both sides have, and finds out whether anybody has changed them.
/// The same nonce twice under one key gives the key away: count. Not thread-safe. Source: NIST SP
/// 800-38D, AES-256-GCM with nonces of 96 bits and tags of 128, as libcrypto implements it.
class aes_gcm {
public:
  static constexpr std::size_t key_size = 32;
  static constexpr std::size_t nonce_size = 12;
  static constexpr std::size_t tag_size = 16;

  using nonce = std::array<unsigned char, nonce_size>;

  /// @pre key.size() == key_size
  explicit aes_gcm(secret key) : key_(std::move(key)) {
    detail::demand(key_.size() == key_size);
  }

  /// Returns the sealed bytes, and the tag behind them. `beside` is not hidden, and cannot be
  /// changed either.
  [[nodiscard]] std::string seal(const nonce& once, std::string_view beside,
                                 std::string_view plain) {
    std::string made(plain.size() + tag_size, '\0');
    auto* out = reinterpret_cast<unsigned char*>(made.data());
    auto size = 0;
    auto* context = ready(sealing_, &::EVP_EncryptInit_ex);
    detail::demand(
      ::EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, once.data()) == 1
      && ::EVP_EncryptUpdate(context, nullptr, &size, raw(beside), length(beside)) == 1
      && ::EVP_EncryptUpdate(context, out, &size, raw(plain), length(plain)) == 1
      && ::EVP_EncryptFinal_ex(context, out + plain.size(), &size) == 1
      && ::EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, tag_size, out + plain.size()) == 1);
    return made;
  }

  /// Returns what was sealed; nothing if it was not sealed so.
  [[nodiscard]] std::optional<std::string> open(const nonce& once, std::string_view beside,
                                                std::string_view sealed) {
    if (sealed.size() < tag_size)
      return std::nullopt;
    auto hidden = sealed.substr(0, sealed.size() - tag_size);
    std::string tag{sealed.substr(hidden.size())};
    std::string plain(hidden.size(), '\0');
    auto* out = reinterpret_cast<unsigned char*>(plain.data());
    auto size = 0;
    auto* context = ready(opening_, &::EVP_DecryptInit_ex);
    auto is_whole
      = ::EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, once.data()) == 1
        && ::EVP_DecryptUpdate(context, nullptr, &size, raw(beside), length(beside)) == 1
        && ::EVP_DecryptUpdate(context, out, &size, raw(hidden), length(hidden)) == 1
        && ::EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, tag_size, tag.data()) == 1
        && ::EVP_DecryptFinal_ex(context, out + plain.size(), &size) == 1;
    if (is_whole)
      return plain;
    ::ERR_clear_error();
    return std::nullopt;
  }

private:
  using initialize = int (*)(EVP_CIPHER_CTX*, const EVP_CIPHER*, ENGINE*, const unsigned char*,
                             const unsigned char*);

  /// Made when it is first used: most keys are for one direction, and a context takes 1 KiB.
  EVP_CIPHER_CTX* ready(detail::owned<EVP_CIPHER_CTX>& context, initialize init) {
    if (!context) {
      context = detail::own(::EVP_CIPHER_CTX_new());
      auto* bytes = reinterpret_cast<const unsigned char*>(key_.bytes().data());
      detail::demand(init(context.get(), algorithm(), nullptr, bytes, nullptr) == 1);
    }
    return context.get();
  }

  /// Looked up once, not with each key.
  static const EVP_CIPHER* algorithm() {
    static const EVP_CIPHER* const found = ::EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
    return found;
  }

  static const unsigned char* raw(std::string_view bytes) {
    static constexpr unsigned char nothing = 0; // a null pointer means something else
    return bytes.empty() ? &nothing : reinterpret_cast<const unsigned char*>(bytes.data());
  }

  static int length(std::string_view bytes) {
    return static_cast<int>(bytes.size());
  }

  secret key_;
  detail::owned<EVP_CIPHER_CTX> sealing_;
  detail::owned<EVP_CIPHER_CTX> opening_;
};

} // namespace troupe::security
