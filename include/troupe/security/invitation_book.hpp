#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/digest.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/json.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"
#include "troupe/security/join_token.hpp"
#include "troupe/security/types.hpp"
#include "troupe/storage/private_lines.hpp"

namespace troupe::security {

/// A token that a CA has given out, and what its user will be.
struct invitation {
  token_id id{};
  /// join_token::proof_key().
  digest proof_key{};
  role as = role::member;
  rights may = rights::use;
  /// If empty, whoever joins chooses its name.
  std::string name{};
  wall_time valid_until{};

  friend bool operator==(const invitation&, const invitation&) = default;

  TROUPE_FIELDS(invitation, id, proof_key, as, may, name, valid_until);
};

/// Which identity has used a token.
struct redemption {
  token_id id{};
  public_key by{};
  wall_time since{};

  friend bool operator==(const redemption&, const redemption&) = default;

  TROUPE_FIELDS(redemption, id, by, since);
};

/// That a token which nobody has used is invalid from now on.
struct withdrawal {
  token_id id{};
  wall_time since{};

  friend bool operator==(const withdrawal&, const withdrawal&) = default;

  TROUPE_FIELDS(withdrawal, id, since);
};

/// A line of the book: one of these.
struct invitation_line {
  std::optional<invitation> invited{};
  std::optional<redemption> used{};
  std::optional<withdrawal> withdrawn{};

  TROUPE_FIELDS(invitation_line, invited, used, withdrawn);
};

/// The tokens that a CA has given out and not withdrawn, and who has used them, as its book says.
class known_invitations {
public:
  static constexpr auto file_name = "invitations.jsonl";

  /// Reads the book of the CA in `folder`, also while another process has it open; a CA without one
  /// has invited nobody. Errors: those of private_lines::read_only() except not_found, damaged (a
  /// line cannot be read).
  static result<known_invitations> read(const std::filesystem::path& folder) {
    auto lines = storage::private_lines::read_only(folder / file_name);
    if (!lines && lines.error().code != errc::not_found)
      return lines.error();
    known_invitations made;
    if (lines)
      if (auto why = made.take_all(*lines, folder))
        return why;
    return made;
  }

  [[nodiscard]] const std::map<token_id, invitation>& all() const {
    return invited_;
  }

  /// Null: there is none.
  [[nodiscard]] const invitation* find(const token_id& id) const {
    auto found = invited_.find(id);
    return found != invited_.end() ? &found->second : nullptr;
  }

  /// Null: nobody has used it.
  [[nodiscard]] const redemption* user_of(const token_id& id) const {
    auto found = used_.find(id);
    return found != used_.end() ? &found->second : nullptr;
  }

protected:
  known_invitations() = default;

  problem take_all(const std::vector<std::string>& lines, const std::filesystem::path& folder) {
    std::size_t number = 0;
    for (auto& each : lines) {
      ++number;
      auto read = from_json<invitation_line>(each);
      if (!read || (read->invited ? 1 : 0) + (read->used ? 1 : 0) + (read->withdrawn ? 1 : 0) != 1)
        return {errc::damaged,
                "line " + std::to_string(number) + " of " + (folder / file_name).string()
                  + " is not readable; remove the file, and with it all tokens that are "
                    "open, then invite anew"};
      take(*read);
    }
    return {};
  }

  void take(const invitation_line& what) {
    if (what.invited)
      invited_.insert_or_assign(what.invited->id, *what.invited);
    if (what.used) // the first one holds
      used_.emplace(what.used->id, *what.used);
    if (what.withdrawn)
      forget(what.withdrawn->id);
  }

  void forget(const token_id& id) {
    invited_.erase(id);
    used_.erase(id);
  }

private:
  std::map<token_id, invitation> invited_;
  std::map<token_id, redemption> used_;
};

/// The book of a CA, in a file in its folder to which lines of JSON are added: see
/// storage::private_lines. One process has it at a time. What has ended long ago is left out when
/// it is opened and most of it has.
class invitation_book : public known_invitations {
public:
  /// For so long after its end a token is still known, so that its owner hears that it has expired.
  static constexpr duration kept_after_end = std::chrono::hours{24};
  /// So many lines are not worth to be written anew.
  static constexpr std::size_t few_lines = 64;

  /// Opens that of the CA in `folder`, or makes it. Errors: those of private_lines::open(), damaged
  /// (a line cannot be read).
  static result<invitation_book> open(const std::filesystem::path& folder, wall_time now) {
    auto lines = storage::private_lines::open(folder / file_name);
    if (!lines)
      return lines.error();
    invitation_book made{*std::move(lines)};
    if (auto why = made.take_all(made.lines_.lines(), folder))
      return why;
    made.leave_out_ended(now);
    return made;
  }

  /// Errors: those of private_lines::append(); nothing has changed then.
  result<void> enter(const invitation& what) {
    return append({.invited = what});
  }

  /// Errors: as of the other one.
  result<void> enter(const redemption& what) {
    return append({.used = what});
  }

  /// Errors: as of the other one.
  result<void> enter(const withdrawal& what) {
    return append({.withdrawn = what});
  }

private:
  explicit invitation_book(storage::private_lines lines) : lines_(std::move(lines)) {}

  /// An invitation goes with its redemption, so that no token can be used once more. If the disk is
  /// full all stays, until the next time.
  void leave_out_ended(wall_time now) {
    std::vector<token_id> ended;
    std::vector<std::string> kept;
    auto is_whole = true;
    auto keep = [&](const invitation_line& what) {
      auto text = to_json(what);
      is_whole = is_whole && text;
      if (text)
        kept.push_back(*std::move(text));
    };
    for (auto& [id, each] : all()) {
      if (each.valid_until + kept_after_end < now) {
        ended.push_back(id);
        continue;
      }
      keep({.invited = each});
      if (auto* used = user_of(id))
        keep({.used = *used});
    }
    auto before = lines_.lines().size();
    if (!is_whole || before <= few_lines || kept.size() > before / 2
        || !lines_.replace(std::move(kept)))
      return;
    for (auto& each : ended)
      forget(each);
  }

  result<void> append(const invitation_line& what) {
    auto text = to_json(what);
    if (!text)
      return text.error();
    if (auto done = lines_.append(*text); !done)
      return done;
    take(what);
    return {};
  }

  storage::private_lines lines_;
};

} // namespace troupe::security
