#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>

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

/// A line of the book: one of these.
struct invitation_line {
  std::optional<invitation> invited{};
  std::optional<redemption> used{};

  TROUPE_FIELDS(invitation_line, invited, used);
};

/// The tokens that a CA has given out, and who has used them, in a file in its folder to which
/// lines of JSON are only added: see storage::private_lines. One process has it at a time.
class invitation_book {
public:
  static constexpr auto file_name = "invitations.jsonl";

  /// Opens that of the CA in `folder`. Errors: those of private_lines::open(), damaged (a line
  /// cannot be read).
  static result<invitation_book> open(const std::filesystem::path& folder) {
    auto lines = storage::private_lines::open(folder / file_name);
    if (!lines)
      return lines.error();
    invitation_book made{*std::move(lines)};
    std::size_t number = 0;
    for (auto& each : made.lines_.lines()) {
      ++number;
      auto read = from_json<invitation_line>(each);
      if (!read || read->invited.has_value() == read->used.has_value())
        return problem{errc::damaged,
                       "line " + std::to_string(number) + " of " + (folder / file_name).string()
                         + " is not readable; remove it: its token cannot be used then"};
      made.take(*read);
    }
    return made;
  }

  /// Errors: those of private_lines::append(); nothing has changed then.
  result<void> enter(const invitation& what) {
    return append({.invited = what, .used = {}});
  }

  /// Errors: as of the other one.
  result<void> enter(const redemption& what) {
    return append({.invited = {}, .used = what});
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

private:
  explicit invitation_book(storage::private_lines lines) : lines_(std::move(lines)) {}

  result<void> append(const invitation_line& what) {
    auto text = to_json(what);
    if (!text)
      return text.error();
    if (auto done = lines_.append(*text); !done)
      return done;
    take(what);
    return {};
  }

  void take(const invitation_line& what) {
    if (what.invited)
      invited_.insert_or_assign(what.invited->id, *what.invited);
    if (what.used) // the first one holds
      used_.emplace(what.used->id, *what.used);
  }

  storage::private_lines lines_;
  std::map<token_id, invitation> invited_;
  std::map<token_id, redemption> used_;
};

} // namespace troupe::security
