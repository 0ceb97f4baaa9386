#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <utility>

#include "troupe/core/codec.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/detail/certificate_maker.hpp"
#include "troupe/security/key_pair.hpp"
#include "troupe/security/revocation_list.hpp"
#include "troupe/storage/private_file.hpp"

namespace troupe::security {

/// Why `name` cannot stand in a certificate; errc::none: it can.
inline problem check_certified_name(const std::string& name) {
  auto stands_alone = !name.empty() && name.front() != '-' && name.front() != ' '
                      && name.back() != ' '; // as a word of a command, and in a list
  if (stands_alone && name.size() <= max_certified_name_bytes && is_name(name))
    return {};
  return {errc::bad_argument, "the name " + shortened(name)
                                + " cannot stand in a certificate; give 1 to "
                                + std::to_string(max_certified_name_bytes)
                                + " bytes of UTF-8 without control characters, no space at either "
                                  "end and no - in front"};
}

/// What is asked of the authority.
struct certificate_order {
  std::string name{};
  role as = role::client;
  rights may = rights::read;
  duration lasts = std::chrono::hours{24 * 365}; // a year
};

/// The cluster's certificate authority (CA): a key with which it says who belongs to the cluster.
/// It lies in a folder of its own (`ca.key`, `ca.pem`). Whoever has that key can admit anyone.
///
/// It certifies identities; an identity certifies the short-lived TLS keys of its processes itself
/// (see credentials).
class authority {
public:
  static constexpr duration lasts = std::chrono::hours{24 * 3653}; // ten years

  /// Makes a new one in `folder`. Errors: those of save().
  static result<authority> make(const std::filesystem::path& folder, wall_time now) {
    auto ca = make_in_memory(now);
    if (auto saved = ca.save(folder); !saved)
      return saved.error();
    return ca;
  }

  /// Writes it to `folder`, where load() finds it. Errors: in_use (there is one), storage_full,
  /// bad_argument.
  [[nodiscard]] result<void> save(const std::filesystem::path& folder) const {
    std::error_code fault;
    if (std::filesystem::exists(folder / key_file, fault)
        || std::filesystem::exists(folder / certificate_file, fault))
      return problem{errc::in_use, folder.string()
                                     + " has a CA already; it stays, as its certificates would be "
                                       "worthless without it"};
    if (auto made = storage::make_private_folder(folder); !made)
      return made;
    if (auto saved = storage::write_private(folder / certificate_file, own_.to_pem()); !saved)
      return saved;
    return key_.save(folder / key_file); // last: without it there is no CA
  }

  /// Makes a new one that ends with the object.
  static authority make_in_memory(wall_time now) {
    auto key = key_pair::make();
    auto name = "troupe CA " + to_string(id_of(key.public_half())).substr(0, 8);
    auto own = detail::certificate_maker{key.native(), name, now - clock_tolerance, now + lasts}
                 .with(NID_basic_constraints, "critical,CA:TRUE,pathlen:1")
                 .with(NID_key_usage, "critical,keyCertSign,cRLSign")
                 .sign(key);
    return authority{std::move(key), std::move(own)};
  }

  /// What to do about the key of a CA that somebody else has had.
  static constexpr const char* remedy
    = "make a new cluster of a backup, as this release cannot replace the key of a CA, and whoever "
      "has it can join (docs/operate.md, 'When the key of the CA was read')";

  /// Reads what make() wrote. Errors: not_found, bad_argument (other users may read the key),
  /// damaged.
  static result<authority> load(const std::filesystem::path& folder) {
    auto key = key_pair::load(folder / key_file, remedy);
    if (!key)
      return key.error();
    auto own = certificate::load(folder / certificate_file);
    if (!own)
      return own.error();
    if (detail::key_of(own->native()) != key->public_half())
      return problem{errc::damaged, (folder / certificate_file).string() + " is not of the key in "
                                      + (folder / key_file).string()
                                      + "; restore both from one backup"};
    return authority{*std::move(key), *std::move(own)};
  }

  /// Returns a certificate for the identity with `key`. Errors: bad_argument (the name).
  [[nodiscard]] result<certificate> issue(const public_key& key, const certificate_order& what,
                                          wall_time now) const {
    if (auto why = check_certified_name(what.name))
      return why;
    detail::owned<EVP_PKEY> subject{::EVP_PKEY_new_raw_public_key(
      EVP_PKEY_ED25519, nullptr, reinterpret_cast<const unsigned char*>(key.bytes.data()),
      key.bytes.size())};
    if (!subject)
      return problem{errc::bad_argument, "the key is not an Ed25519 key: " + detail::last_error()};
    auto names = "URI:" + std::string{detail::role_prefix} + std::string{name_of(what.as)}
                 + ",URI:" + std::string{detail::rights_prefix} + std::string{name_of(what.may)};
    return detail::certificate_maker{subject.get(), what.name, now - clock_tolerance,
                                     now + what.lasts}
      .with(NID_basic_constraints, "critical,CA:TRUE,pathlen:0")
      .with(NID_key_usage, "critical,digitalSignature,keyCertSign")
      .with(NID_subject_alt_name, names)
      .sign(key_, own_.native());
  }

  /// Returns `what` as a signed list, which read_revocation_list() reads.
  /// @pre It has at most revocation_list::max_entries.
  [[nodiscard]] std::string sign(const revocation_list& what) const {
    signed_revocation_list made{to_bytes(what), {}};
    made.by = key_.sign(detail::to_be_signed(made.list));
    return to_bytes(made);
  }

  /// The public half of its key.
  [[nodiscard]] const public_key& key() const {
    return key_.public_half();
  }

  /// The certificate that everybody in the cluster trusts.
  [[nodiscard]] const certificate& own() const {
    return own_;
  }

  static constexpr auto key_file = "ca.key";
  static constexpr auto certificate_file = "ca.pem";

private:
  authority(key_pair key, certificate own) : key_(std::move(key)), own_(std::move(own)) {}

  key_pair key_;
  certificate own_;
};

} // namespace troupe::security
