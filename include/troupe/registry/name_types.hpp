#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "troupe/core/answers.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"

/// Vocabulary of the name_table: who may call itself what.
namespace troupe::registry::names {

/// A name and who has it. The token grows with every claim of a table, so that of two
/// records that carry one name the newer claim shows.
struct name_claim {
  std::string name{};
  std::string owner{};
  std::uint64_t boot = 0;
  std::uint64_t token = 0;

  friend bool operator==(const name_claim&, const name_claim&) = default;
};

struct claims {
  std::vector<name_claim> claimed{};

  friend bool operator==(const claims&, const claims&) = default;
};

/// The names that are free now.
struct freed {
  std::vector<std::string> names{};

  friend bool operator==(const freed&, const freed&) = default;
};

// -- configuration -------------------------------------------------------------------

struct name_options {
  /// Names claimed at once, about 300 bytes each.
  std::uint32_t max_names = 100'000;
  /// Names in one request.
  std::uint32_t max_batch = 1'000;

  friend bool operator==(const name_options&, const name_options&) = default;
};

// -- events: what a caller may ask -----------------------------------------------------

/// Claims names for a node: all of them or none, in one request at its start and one
/// for each agent that comes later. What the node has already keeps its token.
struct claim {
  using result = claims;

  std::vector<std::string> names{};
  std::string owner{};
  std::uint64_t boot = 0;
};

/// Gives names back. Those that this boot of the node does not have stay as they are.
struct release {
  using result = freed;

  std::vector<std::string> names{};
  std::string owner{};
  std::uint64_t boot = 0;
};

/// Membership says that a node is gone for good, up to this boot: frees all it had.
struct owner_gone {
  using result = freed;

  std::string owner{};
  std::uint64_t boot = 0;
};

/// Entered by the host, first of all and at every start. Tokens from here on lie above
/// `token_floor`, so that no token of a lost past comes again.
struct configure {
  name_options options{};
  std::uint64_t token_floor = 0;
  /// Where tokens were not above that before, some of the past is lost, and maybe all who had
  /// names: all are free then, and whoever lives claims its own anew.
  bool frees_names = false;
};

using event = std::variant<claim, release, owner_gone, configure>;

// -- queries: what anybody may look at -------------------------------------------------

struct claim_found {
  std::optional<name_claim> found{};

  friend bool operator==(const claim_found&, const claim_found&) = default;
};

/// Asks who has `name`.
struct find_claim {
  using result = claim_found;

  std::string name{};
};

/// One page of claims, by name.
struct claim_page {
  std::vector<name_claim> claimed{};
  /// There is more: ask again with `after` the last name.
  bool more = false;

  friend bool operator==(const claim_page&, const claim_page&) = default;
};

/// Asks for the names of `owner`, or of all nodes if it is empty, behind the name
/// `after`, at most `limit` (and 1,000).
struct list_claims {
  using result = claim_page;

  std::string owner{};
  std::string after{};
  std::uint32_t limit = 100;
};

// -- effects: what the caller of step() must carry out ----------------------------------

/// Answer `id` with the claims, in the order of the request.
using granted = answered<claims>;

/// Answer `id` with the names that it set free.
using released = answered<freed>;

using troupe::refused;

using effect = std::variant<granted, released, refused>;

using effects = std::vector<effect>;

// -- snapshot --------------------------------------------------------------------------

/// All that a table needs to go on elsewhere.
struct name_snapshot {
  std::uint64_t last_token = 0;
  std::vector<name_claim> claimed{};
  name_options options{};

  friend bool operator==(const name_snapshot&, const name_snapshot&) = default;
};

// -- inspection ------------------------------------------------------------------------

template <class Inspector>
bool inspect(Inspector& f, name_claim& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("owner", x.owner),
                            f.field("boot", x.boot), f.field("token", x.token));
}

template <class Inspector>
bool inspect(Inspector& f, claims& x) {
  return f.object(x).fields(f.field("claimed", x.claimed));
}

template <class Inspector>
bool inspect(Inspector& f, freed& x) {
  return f.object(x).fields(f.field("names", x.names));
}

template <class Inspector>
bool inspect(Inspector& f, name_options& x) {
  return f.object(x).fields(f.field("max_names", x.max_names), f.field("max_batch", x.max_batch));
}

template <class Inspector>
bool inspect(Inspector& f, claim& x) {
  return f.object(x).fields(f.field("names", x.names), f.field("owner", x.owner),
                            f.field("boot", x.boot));
}

template <class Inspector>
bool inspect(Inspector& f, release& x) {
  return f.object(x).fields(f.field("names", x.names), f.field("owner", x.owner),
                            f.field("boot", x.boot));
}

template <class Inspector>
bool inspect(Inspector& f, owner_gone& x) {
  return f.object(x).fields(f.field("owner", x.owner), f.field("boot", x.boot));
}

template <class Inspector>
bool inspect(Inspector& f, configure& x) {
  return f.object(x).fields(f.field("options", x.options), f.field("token_floor", x.token_floor),
                            f.field("frees_names", x.frees_names));
}

template <class Inspector>
bool inspect(Inspector& f, claim_found& x) {
  return f.object(x).fields(f.field("found", x.found));
}

template <class Inspector>
bool inspect(Inspector& f, find_claim& x) {
  return f.object(x).fields(f.field("name", x.name));
}

template <class Inspector>
bool inspect(Inspector& f, claim_page& x) {
  return f.object(x).fields(f.field("claimed", x.claimed), f.field("more", x.more));
}

template <class Inspector>
bool inspect(Inspector& f, list_claims& x) {
  return f.object(x).fields(f.field("owner", x.owner), f.field("after", x.after),
                            f.field("limit", x.limit));
}

template <class Inspector>
bool inspect(Inspector& f, name_snapshot& x) {
  return f.object(x).fields(f.field("last_token", x.last_token), f.field("claimed", x.claimed),
                            f.field("options", x.options));
}

} // namespace troupe::registry::names
