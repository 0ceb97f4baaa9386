#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "troupe/core/result.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/certificate_register.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/security/key_pair.hpp"
#include "troupe/security/revocation_list.hpp"
#include "troupe/storage/private_file.hpp"

/// Puts certificates where nodes and clients look for them.
namespace troupe::security {

/// The folder of the CA inside a data folder.
inline constexpr auto authority_folder = "ca";

/// Writes `issued` and the certificate of its CA into `folder`, which is made if it is missing. The
/// node's own comes last: without it the other counts as incomplete. Errors: in_use (the folder has
/// the certificate of another identity, or another CA of its own), storage_full, bad_argument.
inline result<void> put_certificates(const std::filesystem::path& folder, const certificate& ca,
                                     const certificate& issued) {
  auto before = certificate::load(folder / identity_certificate_file);
  if (before && detail::key_of(before->native()) != detail::key_of(issued.native()))
    return problem{errc::in_use, folder.string()
                                   + " has the certificate of another identity; it stays, give "
                                     "another folder"};
  auto own_ca = certificate::load(folder / authority_folder / authority::certificate_file);
  if (own_ca && detail::key_of(own_ca->native()) != detail::key_of(ca.native()))
    return problem{errc::in_use, folder.string()
                                   + " has a CA of its own, whose certificates nobody would take "
                                     "then; it stays, give another folder"};
  if (auto made = storage::make_private_folder(folder); !made)
    return made;
  if (auto saved = storage::write_private(folder / ca_certificate_file, ca.to_pem()); !saved)
    return saved;
  return storage::write_private(folder / identity_certificate_file, issued.to_pem());
}

/// Has `ca` issue a certificate and enters it into its register, which is on the disk before anyone
/// has the certificate. Errors: those of authority::issue() and certificate_register::enter(),
/// bad_argument (the identity is revoked).
inline result<certificate> issue_entered(const authority& ca, certificate_register& book,
                                         const public_key& key, const certificate_order& what,
                                         wall_time now) {
  if (auto since = book.revoked_since(id_of(key)))
    return problem{errc::bad_argument,
                   "the identity with this key was revoked at " + to_rfc3339(*since)
                     + "; make a new one, in a folder without " + identity_key_file};
  auto issued = ca.issue(key, what, now);
  if (!issued)
    return issued;
  auto about = facts_of(*issued);
  if (!about)
    return about.error();
  auto entered
    = book.enter(issued_certificate{about->serial, about->name, about->node, key, about->as,
                                    about->may, about->valid_from, about->valid_until});
  if (!entered)
    return entered.error();
  return issued;
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
  auto book = certificate_register::open(ca_folder);
  if (!book)
    return book.error();
  auto issued
    = issue_entered(*ca, *book, key.public_half(), {name, role::member, rights::operate}, now);
  if (!issued)
    return issued.error();
  if (auto put = put_certificates(folder, ca->own(), *issued); !put)
    return put.error();
  return facts_of(*issued);
}

/// Makes an identity in `folder`, or takes the one there, and a certificate for it. Errors: those
/// of issue_entered(), of put_certificates() and of the disk.
inline result<facts> issue_into(const std::filesystem::path& folder, const authority& ca,
                                certificate_register& book, const certificate_order& what,
                                wall_time now) {
  if (auto made = storage::make_private_folder(folder); !made)
    return made.error();
  auto file = folder / identity_key_file;
  auto key = key_pair::load(file);
  auto is_new = !key && key.error().code == errc::not_found;
  if (!key && !is_new)
    return key.error();
  if (is_new)
    key = key_pair::make();
  auto issued = issue_entered(ca, book, key->public_half(), what, now);
  if (!issued)
    return issued.error();
  if (is_new)
    if (auto saved = key->save(file); !saved)
      return saved.error();
  if (auto put = put_certificates(folder, ca.own(), *issued); !put)
    return put.error();
  return facts_of(*issued);
}

/// Issues another certificate for an identity of which `which` is one, with the same name and
/// rights, and puts it into `folder`. Errors: those of issue_entered() and of the disk, in_use (the
/// folder is another identity's).
inline result<facts> renew_into(const std::filesystem::path& folder, const authority& ca,
                                certificate_register& book, const issued_certificate& which,
                                wall_time now) {
  auto key = key_pair::load(folder / identity_key_file);
  if (!key && key.error().code != errc::not_found)
    return key.error();
  if (key && key->public_half() != which.key)
    return problem{errc::in_use, folder.string() + " has the key of another identity than '"
                                   + which.name + "'; give its own folder, or a new one"};
  auto issued = issue_entered(ca, book, which.key, {which.name, which.as, which.may}, now);
  if (!issued)
    return issued.error();
  if (auto put = put_certificates(folder, ca.own(), *issued); !put)
    return put.error();
  return facts_of(*issued);
}

/// Whether to revoke `which` would exclude the node in the data folder `folder`: it is that node's
/// identity, or the certificate that it proves itself with.
inline bool excludes_own_node(const std::filesystem::path& folder,
                              const certificate_register::meant& which) {
  auto own = certificate::load(folder / identity_certificate_file);
  auto about = own ? facts_of(*own) : own.error();
  return about && about->node == which.last.node
         && (!which.by_serial || about->serial == which.last.serial);
}

/// For so long after its end a revoked certificate stays in the lists: with a clock of the CA that
/// is ahead they would lack some that others still take.
inline constexpr duration revoked_after_end = std::chrono::hours{24 * 30};

namespace detail {

inline result<revocation_list> write_list(const std::filesystem::path& folder, const authority& ca,
                                          revocation_list list, std::uint64_t number,
                                          wall_time now) {
  list.number = number;
  list.made = now;
  if (auto saved = storage::write_private(folder / revocation_list_file, ca.sign(list)); !saved)
    return saved.error();
  return list;
}

} // namespace detail

/// Revokes one certificate, or all of its identity, and writes the list that says so into the data
/// folder `folder`, from where a node takes it. If it is revoked already, the list is written again
/// with a higher number. Errors: those of load_revocation_list()
/// and of the disk, limit_reached (revocation_list::max_entries).
inline result<revocation_list> revoke(const std::filesystem::path& folder, const authority& ca,
                                      certificate_register& book,
                                      const certificate_register::meant& which, wall_time now) {
  auto before = load_revocation_list(folder, ca.key());
  if (!before && before.error().code != errc::not_found)
    return problem{before.error().code, before.error().detail + ", or remove the file"};
  auto known = before ? *std::move(before) : revocation_list{};
  auto number = std::max(known.number, book.last_number()) + 1;
  auto ended = now - revoked_after_end;
  if (book.list(known, ended).size() >= revocation_list::max_entries)
    return problem{errc::limit_reached, "a list revokes at most "
                                          + std::to_string(revocation_list::max_entries)
                                          + " certificates; wait until some of them have ended, or "
                                            "make a new CA"};
  auto entered = book.enter(
    revocation{which.by_serial ? which.last.serial : std::string{}, which.last.node, now, number});
  if (!entered)
    return entered.error();
  return detail::write_list(folder, ca, book.list(known, ended), number, now);
}

/// Writes the list of the data folder `folder` anew if the register of the CA there has revoked
/// something later: a copy of a CA that is put back comes without its list. Returns whether it was
/// so. Errors: those of revoke().
inline result<bool> complete_revocations(const std::filesystem::path& folder, wall_time now) {
  auto book = known_certificates::read(folder / authority_folder);
  if (!book)
    return book.error();
  if (book->last_number() == 0)
    return false;
  auto ca = authority::load(folder / authority_folder);
  if (!ca)
    return ca.error();
  auto before = load_revocation_list(folder, ca->key());
  if (!before && before.error().code != errc::not_found)
    return before.error();
  auto known = before ? *std::move(before) : revocation_list{};
  if (known.number >= book->last_number())
    return false;
  // Members may have a list with the number that the register names.
  auto made = detail::write_list(folder, *ca, book->list(known, now - revoked_after_end),
                                 book->last_number() + 1, now);
  return made ? result<bool>{true} : made.error();
}

} // namespace troupe::security
