#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/answers.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/owner_id.hpp"
#include "troupe/core/problem.hpp"

/// Vocabulary of the name_table: claims of names.
namespace troupe::registry::names {

/// The id of an agent, which is a name, and the node (or other program) that holds it. The token
/// grows with every claim of a table, so that of two records with the same name the newer claim
/// shows.
struct name_claim {
  agent_id name{};
  owner_id owner{};
  std::uint64_t boot = 0;
  std::uint64_t token = 0;
  /// Its owner has no data folder: once that has ended, nobody comes back for it.
  bool is_fleeting = false;

  friend bool operator==(const name_claim&, const name_claim&) = default;

  TROUPE_FIELDS(name_claim, name, owner, boot, token, is_fleeting);
};

struct claims {
  std::vector<name_claim> claimed{};

  friend bool operator==(const claims&, const claims&) = default;

  TROUPE_FIELDS(claims, claimed);
};

/// The names that were freed.
struct freed {
  std::vector<agent_id> names{};

  friend bool operator==(const freed&, const freed&) = default;

  TROUPE_FIELDS(freed, names);
};

// -- configuration -------------------------------------------------------------------

struct name_options {
  /// Names claimed at once, about 300 bytes each.
  std::uint32_t max_names = 100'000;
  /// Names in one request.
  std::uint32_t max_batch = 1'000;

  friend bool operator==(const name_options&, const name_options&) = default;

  TROUPE_FIELDS(name_options, max_names, max_batch);
};

// -- events: what a caller may ask -----------------------------------------------------

/// Claims names for a node, all of them or none. A node sends one request at its start and one
/// for each later agent. Names that this boot already holds keep their token.
struct claim {
  using result = claims;

  std::vector<agent_id> names{};
  owner_id owner{};
  std::uint64_t boot = 0;
  /// The node has no data folder. Kept with its claims since rules 2.
  bool is_fleeting = false;

  [[nodiscard]] bool speaks_only_for(const std::string& node) const {
    return may_speak_for(owner, node);
  }

  TROUPE_FIELDS(claim, names, owner, boot, is_fleeting);
};

/// Releases names. Has no effect on names that this boot of the node does not hold.
struct release {
  using result = freed;

  std::vector<agent_id> names{};
  owner_id owner{};
  std::uint64_t boot = 0;

  [[nodiscard]] bool speaks_only_for(const std::string& node) const {
    return may_speak_for(owner, node);
  }

  TROUPE_FIELDS(release, names, owner, boot);
};

/// Membership says that a node up to this boot has left permanently: frees all its names.
struct owner_gone {
  using result = freed;

  owner_id owner{};
  std::uint64_t boot = 0;

  [[nodiscard]] bool speaks_only_for(const std::string& node) const {
    return may_speak_for(owner, node);
  }

  TROUPE_FIELDS(owner_gone, owner, boot);
};

/// Sent by the host, before anything else and at every start. Later tokens are above
/// `token_floor`, so that no token is reused after state was lost.
struct configure {
  name_options options{};
  std::uint64_t token_floor = 0;
  /// Whether to free all names if the last token is below `token_floor`: state was lost then, and
  /// with it perhaps claims. Running nodes claim their names again.
  bool frees_names = false;

  TROUPE_FIELDS(configure, options, token_floor, frees_names);
};

using event = std::variant<claim, release, owner_gone, configure>;

// -- queries ---------------------------------------------------------------------------

struct claim_found {
  std::optional<name_claim> found{};

  friend bool operator==(const claim_found&, const claim_found&) = default;

  TROUPE_FIELDS(claim_found, found);
};

/// Asks for the holder of `name`.
struct find_claim {
  using result = claim_found;

  agent_id name{};

  TROUPE_FIELDS(find_claim, name);
};

/// One page of claims, by name.
struct claim_page {
  std::vector<name_claim> claimed{};
  /// There are more claims: ask again with `after` set to the last name.
  bool more = false;

  friend bool operator==(const claim_page&, const claim_page&) = default;

  TROUPE_FIELDS(claim_page, claimed, more);
};

/// Asks for the names of `owner`, or of all nodes if it is empty, that sort after `after`: at
/// most `limit`, and at most 1,000.
struct list_claims {
  using result = claim_page;

  owner_id owner{};
  agent_id after{};
  std::uint32_t limit = 100;

  TROUPE_FIELDS(list_claims, owner, after, limit);
};

// -- effects: what the caller of step() must carry out ----------------------------------

/// Answer `id` with the claims, in the order of the request.
using granted = answered<claims>;

/// Answer `id` with the names that it freed.
using released = answered<freed>;

using troupe::refused;

using effect = std::variant<granted, released, refused>;

using effects = std::vector<effect>;

// -- snapshot --------------------------------------------------------------------------

/// Everything a table needs to continue elsewhere.
struct name_snapshot {
  std::uint64_t last_token = 0;
  std::vector<name_claim> claimed{};
  name_options options{};
  /// Rules 2 are in force.
  bool marks_fleeting = false;

  friend bool operator==(const name_snapshot&, const name_snapshot&) = default;

  TROUPE_FIELDS(name_snapshot, last_token, claimed, options, marks_fleeting);
};

} // namespace troupe::registry::names
