#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <openssl/pem.h>

#include "troupe/core/result.hpp"
#include "troupe/core/secret.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/security/detail/openssl.hpp"
#include "troupe/storage/private_file.hpp"

namespace troupe::security {

/// An Ed25519 key that can sign. Its private half leaves the object only into a private file.
/// Copies share it. Thread-safe once it is made. Source: RFC 8032; the file is PKCS #8 in PEM (RFC
/// 8410).
class key_pair {
public:
  /// A new one. Throws std::runtime_error if libcrypto has no Ed25519.
  static key_pair make() {
    auto context = detail::own(::EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, nullptr));
    EVP_PKEY* made = nullptr;
    detail::demand(::EVP_PKEY_keygen_init(context.get()) == 1
                   && ::EVP_PKEY_keygen(context.get(), &made) == 1);
    return key_pair{detail::own(made)};
  }

  /// What to do about the key of an identity that somebody else has had.
  static constexpr const char* remedy_of_identity
    = "revoke its certificate (troupe ca revoke), and start with a new folder and a new token";

  /// Reads what save() wrote. `remedy` says what to do if somebody else has had the key. Errors:
  /// not_found, bad_argument (other users may read the file), damaged (no Ed25519 key is in it).
  static result<key_pair> load(const std::filesystem::path& file,
                               const std::string& remedy = remedy_of_identity) {
    auto bytes = storage::read_private(file, remedy);
    if (!bytes)
      return bytes.error();
    auto in = detail::own(
      ::BIO_new_mem_buf(bytes->bytes().data(), static_cast<int>(bytes->bytes().size())));
    auto no_password = [](char*, int, int, void*) { return 0; }; // else it asks at the terminal
    detail::owned<EVP_PKEY> found{
      ::PEM_read_bio_PrivateKey(in.get(), nullptr, no_password, nullptr)};
    if (!found || ::EVP_PKEY_get_id(found.get()) != EVP_PKEY_ED25519) {
      ::ERR_clear_error();
      return problem{errc::damaged, file.string()
                                      + " holds no Ed25519 key without a password; restore it from "
                                        "a backup"};
    }
    return key_pair{std::move(found)};
  }

  /// Writes it to a file that only the owner may read. Errors: those of storage::write_private().
  [[nodiscard]] result<void> save(const std::filesystem::path& file) const {
    auto out = detail::own(::BIO_new(::BIO_s_mem()));
    detail::demand(
      ::PEM_write_bio_PKCS8PrivateKey(out.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr)
      == 1);
    char* first = nullptr;
    auto size = ::BIO_get_mem_data(out.get(), &first);
    auto text
      = secret::take(std::as_writable_bytes(std::span{first, static_cast<std::size_t>(size)}));
    return storage::write_private(file, text.text());
  }

  [[nodiscard]] const public_key& public_half() const {
    return public_;
  }

  [[nodiscard]] signature sign(std::string_view message) const {
    auto context = detail::own(::EVP_MD_CTX_new());
    signature made;
    auto size = made.bytes.size();
    detail::demand(
      ::EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1
      && ::EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(made.bytes.data()), &size,
                          reinterpret_cast<const unsigned char*>(message.data()), message.size())
           == 1);
    return made;
  }

  /// For OpenSSL only.
  [[nodiscard]] EVP_PKEY* native() const {
    return key_.get();
  }

private:
  explicit key_pair(detail::owned<EVP_PKEY> key) : key_(key.release(), &::EVP_PKEY_free) {
    auto size = public_.bytes.size();
    detail::demand(::EVP_PKEY_get_raw_public_key(
                     key_.get(), reinterpret_cast<unsigned char*>(public_.bytes.data()), &size)
                   == 1);
  }

  std::shared_ptr<EVP_PKEY> key_; // OpenSSL wipes it
  public_key public_;
};

} // namespace troupe::security
