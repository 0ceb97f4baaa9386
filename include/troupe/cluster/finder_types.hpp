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
  /// How long a search waits for a link before it dials the next address. A link that comes later
  /// is taken all the same.
  duration dial_next_after = std::chrono::milliseconds{1'500};
  /// A dial that has not been answered for so long has failed.
  duration dial_within = std::chrono::minutes{1};
  /// Addresses to ask, if more than were given. Further ones are not learned.
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

} // namespace troupe::cluster
