#pragma once

#include <chrono>
#include <cstddef>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <openssl/pem.h>

#include "troupe/core/hex.hpp"
#include "troupe/core/log_line.hpp"
#include "troupe/core/names.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/security/detail/openssl.hpp"
#include "troupe/security/types.hpp"
#include "troupe/storage/small_file.hpp"

namespace troupe::security {

/// The longest name in a certificate. Source: RFC 5280, appendix A.1, ub-common-name.
inline constexpr std::size_t max_certified_name_bytes = 64;

/// How much the clocks of two machines may differ.
inline constexpr duration clock_tolerance = std::chrono::minutes{5};

/// An X.509 certificate. Copies share it; it never changes. Thread-safe.
class certificate {
public:
  /// @pre `made` is not null.
  explicit certificate(detail::owned<X509> made) : x509_(made.release(), &::X509_free) {}

  /// Reads one certificate in PEM; `where` names it in sentences. Errors: damaged.
  static result<certificate> from_pem(std::string_view text, const std::string& where) {
    auto in = detail::own(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    auto no_password = [](char*, int, int, void*) { return 0; };
    detail::owned<X509> found{::PEM_read_bio_X509(in.get(), nullptr, no_password, nullptr)};
    if (!found) {
      ::ERR_clear_error();
      return problem{errc::damaged, where
                                      + " is not readable as a certificate; restore it, or have "
                                        "a new one issued"};
    }
    return certificate{std::move(found)};
  }

  /// Reads a file. Errors: not_found, damaged, too_large, bad_argument (it cannot be read).
  static result<certificate> load(const std::filesystem::path& file) {
    constexpr std::size_t longest = 1U << 16U;
    auto text = storage::read_small(file, longest);
    if (!text)
      return text.error();
    return from_pem(*text, file.string());
  }

  [[nodiscard]] std::string to_pem() const {
    auto out = detail::own(::BIO_new(::BIO_s_mem()));
    detail::demand(::PEM_write_bio_X509(out.get(), native()) == 1);
    char* first = nullptr;
    auto size = ::BIO_get_mem_data(out.get(), &first);
    return {first, static_cast<std::size_t>(size)};
  }

  /// For OpenSSL only.
  [[nodiscard]] X509* native() const {
    return x509_.get();
  }

private:
  std::shared_ptr<X509> x509_;
};

namespace detail {

inline constexpr std::string_view role_prefix = "troupe:role:";
inline constexpr std::string_view rights_prefix = "troupe:rights:";

inline std::string_view view_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(::ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(::ASN1_STRING_length(text))};
}

/// Nothing for a time that wall_time cannot hold.
inline std::optional<wall_time> time_of(const ASN1_TIME* given) {
  std::tm parts{};
  if (::ASN1_TIME_to_tm(given, &parts) != 1)
    return std::nullopt;
  constexpr auto years_before = 1900;
  constexpr auto last_year = 2200;
  if (parts.tm_year + years_before > last_year || parts.tm_year + years_before < 1970)
    return std::nullopt;
  return wall_time{std::chrono::seconds{::timegm(&parts)}};
}

inline std::optional<public_key> key_of(const X509* x509) {
  public_key found;
  auto size = found.bytes.size();
  auto* key = ::X509_get0_pubkey(x509);
  if (key == nullptr || ::EVP_PKEY_get_id(key) != EVP_PKEY_ED25519
      || ::EVP_PKEY_get_raw_public_key(key, reinterpret_cast<unsigned char*>(found.bytes.data()),
                                       &size)
           != 1)
    return std::nullopt;
  return found;
}

/// The one part that a subject has; nothing if it has none, or others.
inline std::optional<std::string> name_of(const X509* x509) {
  auto* subject = ::X509_get_subject_name(x509);
  if (::X509_NAME_entry_count(subject) != 1)
    return std::nullopt;
  auto* entry = ::X509_NAME_get_entry(subject, 0);
  if (::OBJ_obj2nid(::X509_NAME_ENTRY_get_object(entry)) != NID_commonName)
    return std::nullopt;
  unsigned char* text = nullptr;
  auto size = ::ASN1_STRING_to_UTF8(&text, ::X509_NAME_ENTRY_get_data(entry));
  if (size < 0)
    return std::nullopt;
  std::string name{reinterpret_cast<char*>(text), static_cast<std::size_t>(size)};
  ::OPENSSL_free(text);
  if (name.size() > max_certified_name_bytes || !is_name(name))
    return std::nullopt;
  return name;
}

struct permissions {
  role as = role::client;
  rights may = rights::read;
};

/// Exactly one role and one list of rights, and nothing else.
inline std::optional<permissions> permissions_of(const X509* x509) {
  auto critical = 0;
  owned<GENERAL_NAMES> names{static_cast<GENERAL_NAMES*>(
    ::X509_get_ext_d2i(x509, NID_subject_alt_name, &critical, nullptr))};
  if (!names || sk_GENERAL_NAME_num(names.get()) != 2) // null if it is there twice, too
    return std::nullopt;
  std::optional<role> as;
  std::optional<rights> may;
  for (auto index = 0; index < 2; ++index) {
    auto* each = sk_GENERAL_NAME_value(names.get(), index);
    if (each->type != GEN_URI)
      return std::nullopt;
    auto text = view_of(each->d.uniformResourceIdentifier);
    if (text.starts_with(role_prefix) && !as)
      as = role_from(text.substr(role_prefix.size()));
    else if (text.starts_with(rights_prefix) && !may)
      may = rights_from(text.substr(rights_prefix.size()));
  }
  if (!as || !may)
    return std::nullopt;
  return permissions{*as, *may};
}

inline std::string serial_of(const X509* x509) {
  auto* serial = ::X509_get0_serialNumber(x509);
  return to_hex(std::as_bytes(std::span{view_of(serial)}));
}

} // namespace detail

/// Reads the certificate of an identity. Strict: what the authority does not write is refused.
/// Errors: bad_argument, with the part that is wrong. Does not look at the signature or the time.
inline result<facts> facts_of(const X509* x509) {
  auto wrong = [](const std::string& what) {
    return problem{errc::bad_argument, "the certificate " + what
                                         + "; it is not one that troupe ca issue makes for an "
                                           "identity"};
  };
  auto key = detail::key_of(x509);
  if (!key)
    return wrong("has no Ed25519 key");
  if ((::X509_get_extension_flags(const_cast<X509*>(x509)) & EXFLAG_CA) == 0
      || ::X509_get_pathlen(const_cast<X509*>(x509)) != 0)
    return wrong("cannot certify the TLS keys of an identity, and only those");
  auto name = detail::name_of(x509);
  if (!name)
    return wrong("has no name, more than one, or one that is not 1 to "
                 + std::to_string(max_certified_name_bytes)
                 + " bytes of UTF-8 without control characters");
  auto permissions = detail::permissions_of(x509);
  if (!permissions)
    return wrong("does not have exactly one role and one kind of rights that are known");
  auto from = detail::time_of(::X509_get0_notBefore(x509));
  auto until = detail::time_of(::X509_get0_notAfter(x509));
  if (!from || !until || *until <= *from)
    return wrong("has no usable times from and until which it is valid");
  return facts{id_of(*key), *std::move(name), permissions->as,        permissions->may,
               *from,       *until,           detail::serial_of(x509)};
}

inline result<facts> facts_of(const certificate& from) {
  return facts_of(from.native());
}

/// Why a certificate with these times is refused at `now`; errc::none if it is valid. Errors:
/// bad_argument, in words that show a wrong clock.
inline problem check_times(wall_time from, wall_time until, wall_time now) {
  auto times = [&] {
    return "valid from " + to_rfc3339(from) + " to " + to_rfc3339(until)
           + ", and this machine's clock says " + to_rfc3339(now);
  };
  if (now < from)
    return {errc::bad_argument,
            "the certificate is not valid yet: " + times() + "; check the clocks of both machines"};
  if (now > until)
    return {errc::bad_argument, "the certificate has expired: " + times()
                                  + "; have it renewed with troupe ca renew, or check the clock"};
  return {};
}

} // namespace troupe::security
