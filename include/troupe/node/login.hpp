#pragma once

#include <filesystem>
#include <vector>

#include "troupe/core/result.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/join.hpp"
#include "troupe/node/login_checks.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/security/join_token.hpp"
#include "troupe/security/key_pair.hpp"
#include "troupe/security/setup.hpp"
#include "troupe/storage/private_file.hpp"

namespace troupe::cluster {

/// Gets a certificate of a cluster by a token, and puts it into `folder`, where cluster_client and
/// the commands find it. Makes the folder, and a key in it, where they are missing. Blocks as
/// net::join() does. Errors: those of net::join() and of the disk, in_use (the folder is that of a
/// node, or has a certificate of another cluster or identity, or one with more rights).
inline result<security::facts> login(const std::filesystem::path& folder,
                                     const std::vector<net::address>& where,
                                     const security::join_token& token, const net::joiner& who,
                                     const login_options& how = {}) {
  if (auto why = refuse_login(folder))
    return why;
  auto file = folder / security::identity_key_file;
  auto key = security::key_pair::load(file);
  if (!key && key.error().code != errc::not_found)
    return key.error();
  if (auto before = security::certificate::load(folder / security::identity_certificate_file))
    if (!key || security::detail::key_of(before->native()) != key->public_half())
      return problem{errc::in_use, folder.string() + " has " + security::identity_certificate_file
                                     + ", which is of another identity than that of "
                                     + security::identity_key_file
                                     + "; remove it, or give another folder"};
  if (auto before = security::certificate::load(folder / security::ca_certificate_file)) {
    auto ca_key = security::detail::key_of(before->native());
    if (!ca_key || security::fingerprint_of(*ca_key) != token.ca())
      return problem{errc::in_use, folder.string()
                                     + " has a certificate of another cluster; it stays, give "
                                       "another folder, or remove that one"};
  }
  if (auto made = storage::make_private_folder(folder); !made)
    return made.error();
  if (!key) {
    key = security::key_pair::make();
    // First: a repeated call then uses the token as the same identity.
    if (auto saved = key->save(file); !saved)
      return saved.error();
  }
  auto got = net::join(where, token, *key, who, how.join);
  if (!got)
    return got.error();
  if (auto fits = security::credentials::make(*key, got->own, got->ca, read_calendar()); !fits)
    return fits.error();
  if (auto fresh = security::facts_of(got->own); fresh)
    if (auto why = refuse_fewer_rights(folder, *fresh, how))
      return why;
  if (auto put = security::put_certificates(folder, got->ca, got->own); !put)
    return put.error();
  return security::facts_of(got->own);
}

} // namespace troupe::cluster
