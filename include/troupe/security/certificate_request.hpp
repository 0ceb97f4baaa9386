#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <openssl/pem.h>

#include "troupe/core/result.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/security/detail/openssl.hpp"
#include "troupe/security/key_pair.hpp"

/// Requests for a certificate: a public key, and the proof that who asks has the private half, so
/// that no private key has to travel. All else in a certificate is for the authority to say.
/// Source: PKCS #10 (RFC 2986), in PEM.
namespace troupe::security {

inline std::string make_request(const key_pair& key) {
  auto made = detail::own(::X509_REQ_new());
  detail::demand(::X509_REQ_set_version(made.get(), X509_REQ_VERSION_1) == 1
                 && ::X509_REQ_set_pubkey(made.get(), key.native()) == 1
                 && ::X509_REQ_sign(made.get(), key.native(), nullptr) > 0);
  auto out = detail::own(::BIO_new(::BIO_s_mem()));
  detail::demand(::PEM_write_bio_X509_REQ(out.get(), made.get()) == 1);
  char* first = nullptr;
  auto size = ::BIO_get_mem_data(out.get(), &first);
  return {first, static_cast<std::size_t>(size)};
}

/// Returns the key in a request. Errors: bad_argument (no request, no Ed25519 key, or not signed
/// with that).
inline result<public_key> key_in_request(std::string_view text) {
  auto in = detail::own(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  auto no_password = [](char*, int, int, void*) { return 0; };
  detail::owned<X509_REQ> found{::PEM_read_bio_X509_REQ(in.get(), nullptr, no_password, nullptr)};
  auto* key = found ? ::X509_REQ_get0_pubkey(found.get()) : nullptr;
  public_key raw;
  auto size = raw.bytes.size();
  auto is_good = key != nullptr && ::EVP_PKEY_get_id(key) == EVP_PKEY_ED25519
                 && ::X509_REQ_verify(found.get(), key) == 1
                 && ::EVP_PKEY_get_raw_public_key(
                      key, reinterpret_cast<unsigned char*>(raw.bytes.data()), &size)
                      == 1;
  ::ERR_clear_error();
  if (!is_good)
    return problem{errc::bad_argument, "this is no request for a certificate with an Ed25519 key; "
                                       "make one with troupe init --request FILE"};
  return raw;
}

} // namespace troupe::security
