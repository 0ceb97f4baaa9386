#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/json.hpp"
#include "troupe/core/log_line.hpp"
#include "troupe/core/names.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"
#include "troupe/security/revocation_list.hpp"
#include "troupe/security/types.hpp"
#include "troupe/storage/private_lines.hpp"

namespace troupe::security {

/// A certificate as the CA that issued it remembers it.
struct issued_certificate {
  std::string serial{};
  std::string name{};
  node_id node{};
  /// Of the identity: with it a certificate can be renewed.
  public_key key{};
  role as = role::client;
  rights may = rights::read;
  wall_time valid_from{};
  wall_time valid_until{};

  friend bool operator==(const issued_certificate&, const issued_certificate&) = default;

  TROUPE_FIELDS(issued_certificate, serial, name, node, key, as, may, valid_from, valid_until);
};

/// What a CA takes back: one certificate, or all of an identity if `serial` is empty.
struct revocation {
  std::string serial{};
  node_id node{};
  wall_time since{};
  /// Of the first list that says so.
  std::uint64_t number = 0;

  friend bool operator==(const revocation&, const revocation&) = default;

  TROUPE_FIELDS(revocation, serial, node, since, number);
};

/// A line of the register: one of these.
struct register_line {
  std::optional<issued_certificate> issued{};
  std::optional<revocation> revoked{};

  TROUPE_FIELDS(register_line, issued, revoked);
};

/// What a CA has issued and revoked, as its register says.
class known_certificates {
public:
  static constexpr auto file_name = "issued.jsonl";

  /// Reads the register of the CA in `folder`, also while another process has it open; a CA without
  /// one has issued nothing that is known. Errors: those of private_lines::read_only() except
  /// not_found, damaged (a line cannot be read).
  static result<known_certificates> read(const std::filesystem::path& folder) {
    auto lines = storage::private_lines::read_only(folder / file_name);
    if (!lines && lines.error().code != errc::not_found)
      return lines.error();
    known_certificates made;
    if (lines)
      if (auto why = made.take_all(*lines, folder))
        return why;
    return made;
  }

  /// In the order in which they were issued.
  [[nodiscard]] const std::vector<issued_certificate>& issued() const {
    return issued_;
  }

  /// Returns since when a certificate is revoked, or all of its identity; nothing: it is not.
  [[nodiscard]] std::optional<wall_time> revoked_since(const issued_certificate& what) const {
    if (auto since = revoked_since(what.node))
      return since;
    auto found = certificates_.find(what.serial);
    return found != certificates_.end() ? std::optional{found->second} : std::nullopt;
  }

  /// The same of an identity.
  [[nodiscard]] std::optional<wall_time> revoked_since(const node_id& identity) const {
    auto found = identities_.find(identity);
    return found != identities_.end() ? std::optional{found->second} : std::nullopt;
  }

  /// The highest number of a list that revoked something; zero: none.
  [[nodiscard]] std::uint64_t last_number() const {
    return last_number_;
  }

  /// What a person means by a serial, by a node id, or by the name of a node or client.
  struct meant {
    /// The certificate with this serial, or the last one of this identity.
    issued_certificate last{};
    bool by_serial = false;
  };

  /// Finds a certificate by its serial, or an identity by its node id, by the beginning of that, or
  /// by its name. Names and beginnings mean identities with a certificate that is valid at `now`;
  /// without one those whose valid certificates are revoked, and without those the ones whose
  /// certificates have ended. Errors: not_found, bad_argument (several identities are meant: the
  /// sentence lists them).
  [[nodiscard]] result<meant> find(const std::string& called, wall_time now) const {
    auto with_serial = std::ranges::find(issued_, called, &issued_certificate::serial);
    if (with_serial != issued_.end())
      return meant{*with_serial, true};
    // A whole node id means that node only, as others may have chosen it for a name.
    auto is_whole_id
      = std::ranges::any_of(issued_, [&](auto& each) { return to_string(each.node) == called; });
    auto is_meant = [&](const issued_certificate& each) {
      auto id = to_string(each.node);
      return is_whole_id ? id == called : each.name == called || begins_id(called, id);
    };
    std::map<node_id, issued_certificate> valid;
    std::map<node_id, issued_certificate> revoked;
    std::map<node_id, issued_certificate> ended;
    for (auto& each : issued_)
      if (is_meant(each))
        (each.valid_until < now ? ended
         : revoked_since(each)  ? revoked
                                : valid)
          .insert_or_assign(each.node, each);
    auto& found = !valid.empty() ? valid : !revoked.empty() ? revoked : ended;
    if (found.size() == 1) {
      auto& named = found.begin()->second;
      auto is_like = [&](const issued_certificate& each) {
        return each.node == named.node && (each.valid_until < now) == (named.valid_until < now)
               && revoked_since(each).has_value() == revoked_since(named).has_value();
      };
      // It may have got another name, and other rights, since.
      return meant{*std::ranges::find_if(std::views::reverse(issued_), is_like), false};
    }
    if (found.empty())
      return problem{errc::not_found, "no certificate has the name, node id or serial '"
                                        + shortened(called) + "'; see troupe ca list"};
    constexpr std::size_t max_shown = 5;
    auto text = std::to_string(found.size()) + " identities are called '" + shortened(called)
                + "'; give the node id of one instead, which revokes or renews that identity, or "
                  "the serial of one certificate: ";
    std::size_t shown = 0;
    for (auto& [node, each] : found)
      if (shown < max_shown)
        text += (shown++ > 0 ? ", " : "") + to_string(node) + " (serial " + each.serial
                + ", valid until " + to_rfc3339(each.valid_until) + ')';
    return problem{errc::bad_argument,
                   text + (found.size() > max_shown ? ", … (troupe ca list has all)" : "")};
  }

  /// The same for a revocation, which may also mean an identity that the register does not know, as
  /// when it is an older copy: by its whole node id. Such a one has no name and no certificate.
  [[nodiscard]] result<meant> find_to_revoke(const std::string& called, wall_time now) const {
    auto found = find(called, now);
    auto id = node_id::from_string(called);
    if (found || found.error().code != errc::not_found || !id)
      return found;
    issued_certificate unknown;
    unknown.node = *id;
    return meant{unknown, false};
  }

  /// Returns all that is revoked, and what `before` revokes beside that. Certificates that have
  /// ended before `ended` are left out, as they are refused anyway; their ends are known only of
  /// those in the register. The list has no number yet.
  [[nodiscard]] revocation_list list(const revocation_list& before, wall_time ended) const {
    std::map<std::string, wall_time> ends;
    std::map<node_id, wall_time> last_ends;
    for (auto& each : issued_) {
      ends[each.serial] = each.valid_until;
      last_ends[each.node] = std::max(last_ends[each.node], each.valid_until);
    }
    auto copy = [ended](const auto& from, const auto& known, auto& to) {
      for (auto& [which, since] : from)
        if (auto end = known.find(which); end == known.end() || end->second >= ended)
          to.emplace(which, since);
    };
    revocation_list made;
    copy(certificates_, ends, made.certificates);
    copy(before.certificates, ends, made.certificates);
    copy(identities_, last_ends, made.identities);
    copy(before.identities, last_ends, made.identities);
    for (auto& each : issued_)
      if (made.identities.contains(each.node))
        made.certificates.erase(each.serial);
    return made;
  }

protected:
  known_certificates() = default;

  problem take_all(const std::vector<std::string>& lines, const std::filesystem::path& folder) {
    std::size_t number = 0;
    for (auto& each : lines) {
      ++number;
      auto read = from_json<register_line>(each);
      if (!read || read->issued.has_value() == read->revoked.has_value())
        return {errc::damaged, "line " + std::to_string(number) + " of "
                                 + (folder / file_name).string()
                                 + " is not readable; restore the file from a backup, or remove "
                                   "that line, and revoke again what it may have revoked"};
      take(*std::move(read));
    }
    return {};
  }

  void take(register_line what) {
    if (what.issued)
      issued_.push_back(*std::move(what.issued));
    if (!what.revoked)
      return;
    last_number_ = std::max(last_number_, what.revoked->number);
    if (what.revoked->serial.empty())
      identities_.emplace(what.revoked->node, what.revoked->since);
    else
      certificates_.emplace(what.revoked->serial, what.revoked->since);
  }

private:
  std::vector<issued_certificate> issued_;
  std::map<std::string, wall_time> certificates_;
  std::map<node_id, wall_time> identities_;
  std::uint64_t last_number_ = 0;
};

/// The register of a CA, in a file in its folder to which lines of JSON are only added: see
/// storage::private_lines. One process has it at a time.
class certificate_register : public known_certificates {
public:
  /// Opens that of the CA in `folder`, or makes it. Errors: those of private_lines::open(), damaged
  /// (a line cannot be read).
  static result<certificate_register> open(const std::filesystem::path& folder) {
    auto lines = storage::private_lines::open(folder / file_name);
    if (!lines)
      return lines.error();
    certificate_register made{*std::move(lines)};
    if (auto why = made.take_all(made.lines_.lines(), folder))
      return why;
    return made;
  }

  /// Errors: those of private_lines::append(); nothing has changed then.
  result<void> enter(const issued_certificate& what) {
    return append({.issued = what});
  }

  /// Errors: as enter().
  result<void> enter(const revocation& what) {
    return append({.revoked = what});
  }

private:
  explicit certificate_register(storage::private_lines lines) : lines_(std::move(lines)) {}

  result<void> append(register_line what) {
    auto text = to_json(what);
    if (!text)
      return text.error();
    if (auto done = lines_.append(*text); !done)
      return done;
    take(std::move(what));
    return {};
  }

  storage::private_lines lines_;
};

} // namespace troupe::security
