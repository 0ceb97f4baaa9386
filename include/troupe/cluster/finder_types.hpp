#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "troupe/core/backoff.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/types.hpp"

/// The events and effects of the finder.
namespace troupe::cluster {

/// Times and limits of a `finder`.
struct finder_options {
  /// Nodes to ask, in turn.
  std::vector<net::address> addresses;
  /// Between two rounds of asking them.
  backoff retry{std::chrono::milliseconds{100}, std::chrono::seconds{2}};
  /// A link that has had no use for so long is closed; zero: it is left to others.
  duration idle_after{};
  /// How long a node holds a question before it answers without news. Each answer costs it a
  /// message, and this node a question.
  duration check_every = std::chrono::seconds{1};
  /// The same for the node where the services are, if longer; see finder::doubt.
  duration check_at_rest{};
  /// A second node is asked where the services are (the guide) once they have been bound for so
  /// long: a program that makes one call needs one link.
  duration guide_after{};
  /// Whether there is a guide at rest. If not, there is one while the node of the services is in
  /// doubt, see finder::doubt: a guide costs a link.
  bool has_guide = true;
  /// How long a search waits for a link before it dials the next address. A link that comes later
  /// is taken all the same.
  duration dial_next_after = std::chrono::milliseconds{1'500};
  /// A dial that has not been answered for so long has failed.
  duration dial_within = std::chrono::minutes{1};
  /// Addresses to ask, if more than were given. A further one takes the place of the one of which
  /// nobody has told for longest.
  std::size_t max_addresses = 100;
  /// Dials under way. Further ones fail at once.
  std::size_t max_dials = 256;
  /// Links that are remembered until they have been idle for long enough. Beyond it the one that
  /// has had no use for longest is closed.
  std::size_t max_links = 128;
};

/// The actor of a service, by a number that the host gives it; zero: none. Equal numbers are the
/// same actor.
using service_handle = std::uint64_t;

/// What a node says of where the services are.
struct whereabouts {
  /// The first of cluster_services, if that is on the node that was asked.
  service_handle handle = 0;
  /// Else where to ask instead, "HOST:PORT"; empty if that is not known.
  std::string address{};
  /// Where to ask if all else fails.
  std::vector<std::string> others{};
  /// Counts the changes that the node that was asked has seen.
  std::uint64_t revision = 0;
  /// Why the services will be nowhere for a while; errc::none: they may be found soon.
  problem why{};
  /// With `handle`, if the question knew of no revision: all services by their names; zero for
  /// those that are not on that node.
  std::map<std::string, service_handle> all{};
  /// With `all`: how far those have come of which that is known.
  std::map<std::string, request_id> records{};
};

/// Where the services are bound to.
struct finder_binding {
  /// The link to their node, and the address that it has been found by.
  net::connection_id link = 0;
  net::address where{};
  std::map<std::string, service_handle> handles{};
  /// How far they have come, for those of which that is known.
  std::map<std::string, request_id> records{};
  /// Nodes that may know where they are when that one is gone.
  std::vector<net::address> others{};
  /// They are on a group of voters, not in the memory of one node.
  bool has_voters = false;
};

/// What a finder steps.
struct finder_events {
  /// Links can be made from here on. `self`: where this node takes links itself.
  struct start {
    std::optional<net::address> self;
  };

  /// The services may be found there, too.
  struct learned {
    std::vector<std::string> addresses;
  };

  /// The name in the address of the `dial` of this step's id is found: the node is being dialled.
  struct resolved {};

  /// The answer to the `dial` of this step's id: a link that is up.
  struct dialled {
    result<net::connection_id> link;
    /// It leads through another node.
    bool is_relayed = false;
  };

  struct link_down {
    net::connection_id link = 0;
  };

  /// The answer to the `ask` of this step's id. `busy`: the node cannot hold the question now.
  struct heard {
    result<whereabouts> what;
  };

  /// The services are on this node since this turn.
  struct lead {
    std::uint64_t turn = 0;
  };

  /// They are elsewhere since this turn, at `where` if that is known: no guide knows better, and
  /// one may be another cluster's, or be led by an older copy.
  struct follow {
    std::uint64_t turn = 0;
    std::optional<net::address> where;
  };

  /// Whether this node votes: then only lead and follow say where the services are not.
  struct seated {
    bool votes = false;
  };

  /// What this node's own seat says of the quorum. Counts while it votes.
  struct seat_says {
    problem why;
  };

  /// So many of so many nodes of the cluster are there, as this node sees them; itself counted. Of
  /// a light client this is never said.
  struct present {
    std::size_t there = 0;
    std::size_t all = 0;

    friend bool operator==(const present&, const present&) = default;
  };

  /// Somebody waits for an answer of the services: is their node there? With a link: the node at
  /// its other end may be gone, as others say; counts if that is theirs.
  struct doubt {
    net::connection_id link = 0;
  };

  using event = std::variant<start, learned, resolved, dialled, link_down, heard, lead, follow,
                             seated, seat_says, present, doubt>;
};

/// What a finder wants done.
struct finder_effects {
  /// Make a link to a node, or find the one there is; step `resolved` on the way, and `dialled`.
  struct dial {
    request_id id = 0;
    net::address where;
    /// Have this node, which answers, relay the connection.
    std::optional<net::address> through = {};
  };

  /// Ask the node at the other end where the services are. It holds the question for `wait`, if
  /// that is not zero, or until it knows another revision than `known`. Step `heard` within
  /// `within`, if possible.
  struct ask {
    request_id id = 0;
    net::connection_id link = 0;
    std::uint64_t known = 0;
    duration wait{};
    duration within{};
  };

  /// The services are reached like this from now on.
  struct bind {
    finder_binding how;
  };

  /// They are on this node, as it was said with this turn.
  struct bind_here {
    std::uint64_t turn = 0;
  };

  /// They are out of reach.
  struct unbind {};

  /// Tell those who ask this node: they are there, or nobody knows.
  struct point {
    std::optional<net::address> where;
    /// This node has a link to there that no other one relays: it relays those who do not reach it.
    bool relays = false;
    /// The node that relays that link: it relays others, too.
    std::optional<net::address> relayed_by = {};

    friend bool operator==(const point&, const point&) = default;
  };

  /// This node answers, so that what it knows can be asked of it, and messages go through it.
  struct met {
    net::connection_id link = 0;
    net::address where;
  };

  /// It does not any more.
  struct parted {};

  /// Nobody has used this link for a while. May be ignored: it is in use again when it is dialled.
  struct close {
    net::connection_id link = 0;
  };

  /// A try has failed; there will be others.
  struct failed {
    problem why;
    /// The services have never been found, or not for 2 s: not only a change of leader.
    bool lasts = true;
  };

  /// The last tries have failed, and the services are where they were.
  struct settled {};

  /// The services are nowhere and will be for a while: no_quorum, with who is missing. errc::none:
  /// they may be found soon.
  struct without_quorum {
    problem why;
    /// By the word of this node's own seat.
    bool is_own = false;
  };

  /// A node refuses this one permanently, and no other leads to the services: denied, of the last
  /// refusal. errc::none: that is over.
  struct refused {
    problem why;
  };

  using effect = std::variant<dial, ask, bind, bind_here, unbind, point, met, parted, close, failed,
                              settled, without_quorum, refused>;
  using effects = std::vector<effect>;
};

} // namespace troupe::cluster
