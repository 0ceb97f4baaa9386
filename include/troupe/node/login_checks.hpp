#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "troupe/core/problem.hpp"
#include "troupe/net/join.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/security/types.hpp"

namespace troupe::cluster {

/// How login() treats what is in its folder.
struct login_options {
  /// A certificate with more rights than the new one is replaced, too.
  bool replace = false;
  /// How long it tries to get one.
  net::join_options join{};
};

/// What the certificate in a client's folder says; nothing if there is none, or none that can be
/// read.
inline std::optional<security::facts> facts_in(const std::filesystem::path& folder) {
  auto there = security::certificate::load(folder / security::identity_certificate_file);
  if (!there)
    return std::nullopt;
  auto about = security::facts_of(*there);
  return about ? std::optional{*about} : std::nullopt;
}

/// Returns why `folder` takes no certificate of a client: in_use, it is that of a node, which could
/// not start again with it.
inline problem refuse_login(const std::filesystem::path& folder) {
  auto there = facts_in(folder);
  if (there && there->as == security::role::member)
    return {errc::in_use, folder.string() + " has the certificate of the node '" + there->name
                            + "', which could not start with that of a client; it stays. Give "
                              "another folder"};
  std::error_code fault;
  if (!there && std::filesystem::exists(folder / "identity.json", fault))
    return {errc::in_use, folder.string()
                            + " is the data folder of a node, which could not start with the "
                              "certificate of a client; give another folder"};
  return {};
}

/// Returns why `fresh` does not replace the certificate in `folder`: in_use, that has more rights
/// and is valid.
inline problem refuse_fewer_rights(const std::filesystem::path& folder,
                                   const security::facts& fresh, const login_options& how) {
  auto there = facts_in(folder);
  if (how.replace || !there || there->may <= fresh.may || there->valid_until < read_calendar())
    return {};
  return {errc::in_use, folder.string() + " has a certificate for '" + there->name
                          + "' with the right " + std::string{name_of(there->may)}
                          + ", valid until " + to_rfc3339(there->valid_until)
                          + ", and this token gives the right " + std::string{name_of(fresh.may)}
                          + " only; it stays. Give login_options::replace with the same token, "
                            "or another folder with another token"};
}

} // namespace troupe::cluster
