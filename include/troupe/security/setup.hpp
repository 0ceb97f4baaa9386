#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include "troupe/core/result.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/security/key_pair.hpp"
#include "troupe/storage/private_file.hpp"

/// Puts certificates where nodes and clients look for them.
namespace troupe::security {

/// The folder of the CA inside a data folder.
inline constexpr auto authority_folder = "ca";

/// Writes `issued` and the certificate of its CA into `folder`, which is made if it is missing. The
/// node's own comes last: without it the other counts as incomplete. Errors: in_use (the folder has
/// the certificate of another identity), storage_full, bad_argument.
inline result<void> put_certificates(const std::filesystem::path& folder, const authority& ca,
                                     const certificate& issued) {
  auto before = certificate::load(folder / identity_certificate_file);
  if (before && detail::key_of(before->native()) != detail::key_of(issued.native()))
    return problem{errc::in_use, folder.string()
                                   + " has the certificate of another identity; it stays, give "
                                     "another folder"};
  if (auto made = storage::make_private_folder(folder); !made)
    return made;
  if (auto saved = storage::write_private(folder / ca_certificate_file, ca.own().to_pem()); !saved)
    return saved;
  return storage::write_private(folder / identity_certificate_file, issued.to_pem());
}

/// Gives the identity with `key` in the data folder `folder` a CA of its own, and a certificate of
/// that as a member that may operate the cluster. Goes on where a crash has ended it. Errors:
/// in_use (there are certificates already), storage_full, bad_argument (the name), damaged.
inline result<facts> make_own_authority(const std::filesystem::path& folder, const key_pair& key,
                                        const std::string& name, wall_time now) {
  std::error_code fault;
  auto has
    = [&](const std::filesystem::path& file) { return std::filesystem::exists(file, fault); };
  auto ca_folder = folder / authority_folder;
  if (has(folder / identity_certificate_file)
      || (has(folder / ca_certificate_file) && !has(ca_folder / authority::key_file)))
    return problem{errc::in_use, folder.string()
                                   + " has certificates already; they stay. For a new cluster give "
                                     "another folder"};
  if (!has(ca_folder / authority::key_file)) // which is written last
    std::filesystem::remove(ca_folder / authority::certificate_file, fault);
  auto ca = has(ca_folder / authority::key_file) ? authority::load(ca_folder)
                                                 : authority::make(ca_folder, now);
  if (!ca)
    return ca.error();
  auto issued = ca->issue(key.public_half(), {name, role::member, rights::operate}, now);
  if (!issued)
    return issued.error();
  if (auto put = put_certificates(folder, *ca, *issued); !put)
    return put.error();
  return facts_of(*issued);
}

/// Makes an identity in `folder`, or takes the one there, and a certificate for it. Errors: those
/// of authority::issue(), of put_certificates() and of the disk.
inline result<facts> issue_into(const std::filesystem::path& folder, const authority& ca,
                                const certificate_order& what, wall_time now) {
  if (auto made = storage::make_private_folder(folder); !made)
    return made.error();
  auto file = folder / identity_key_file;
  auto key = key_pair::load(file);
  auto is_new = !key && key.error().code == errc::not_found;
  if (!key && !is_new)
    return key.error();
  if (is_new)
    key = key_pair::make();
  auto issued = ca.issue(key->public_half(), what, now);
  if (!issued)
    return issued.error();
  if (is_new)
    if (auto saved = key->save(file); !saved)
      return saved.error();
  if (auto put = put_certificates(folder, ca, *issued); !put)
    return put.error();
  return facts_of(*issued);
}

} // namespace troupe::security
