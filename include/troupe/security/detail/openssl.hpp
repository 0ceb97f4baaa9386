#pragma once

#include <array>
#include <memory>
#include <stdexcept>
#include <string>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/// Owners of OpenSSL's objects, and its last error in words.
namespace troupe::security::detail {

struct release {
  void operator()(EVP_PKEY* each) const {
    EVP_PKEY_free(each);
  }
  void operator()(EVP_PKEY_CTX* each) const {
    EVP_PKEY_CTX_free(each);
  }
  void operator()(EVP_CIPHER_CTX* each) const {
    EVP_CIPHER_CTX_free(each);
  }
  void operator()(EVP_KDF* each) const {
    EVP_KDF_free(each);
  }
  void operator()(EVP_KDF_CTX* each) const {
    EVP_KDF_CTX_free(each);
  }
  void operator()(EVP_MD_CTX* each) const {
    EVP_MD_CTX_free(each);
  }
  void operator()(BIO* each) const {
    BIO_free_all(each);
  }
  void operator()(BIO_METHOD* each) const {
    BIO_meth_free(each);
  }
  void operator()(X509* each) const {
    X509_free(each);
  }
  void operator()(X509_REQ* each) const {
    X509_REQ_free(each);
  }
  void operator()(X509_STORE* each) const {
    X509_STORE_free(each);
  }
  void operator()(X509_STORE_CTX* each) const {
    X509_STORE_CTX_free(each);
  }
  void operator()(X509_EXTENSION* each) const {
    X509_EXTENSION_free(each);
  }
  void operator()(GENERAL_NAMES* each) const {
    GENERAL_NAMES_free(each);
  }
  void operator()(BASIC_CONSTRAINTS* each) const {
    BASIC_CONSTRAINTS_free(each);
  }
  void operator()(ASN1_INTEGER* each) const {
    ASN1_INTEGER_free(each);
  }
  void operator()(SSL_CTX* each) const {
    SSL_CTX_free(each);
  }
  void operator()(SSL* each) const {
    SSL_free(each);
  }
};

template <class T>
using owned = std::unique_ptr<T, release>;

/// Takes this thread's last error of OpenSSL and returns it in words; empty if there is none.
inline std::string last_error() {
  auto code = ::ERR_peek_last_error();
  ::ERR_clear_error();
  if (code == 0)
    return {};
  std::array<char, 256> text{};
  ::ERR_error_string_n(code, text.data(), text.size());
  auto* reason = ::ERR_reason_error_string(code);
  return reason != nullptr ? std::string{reason} : std::string{text.data()};
}

/// For what fails only without memory, or with a broken installation.
inline void demand(bool done) {
  if (!done)
    throw std::runtime_error{"OpenSSL failed: " + last_error()
                             + "; check its installation, and the memory"};
}

template <class T>
owned<T> own(T* made) {
  demand(made != nullptr);
  return owned<T>{made};
}

} // namespace troupe::security::detail
