#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "troupe/cluster/service_names.hpp"
#include "troupe/core/names.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/group/own_services.hpp"
#include "troupe/node/options.hpp"
#include "troupe/security/authority.hpp"

namespace troupe::cluster {

/// What is wrong with the services that a program brings; errc::none: nothing.
inline problem check_own(const std::vector<own_service>& all) {
  constexpr std::size_t most = 100;
  if (all.size() > most)
    return {errc::limit_reached, "node_options::services has " + std::to_string(all.size())
                                   + " services of this program; add at most "
                                   + std::to_string(most)};
  constexpr std::size_t most_bytes = 12'000; // each answer to a heartbeat has them
  std::size_t bytes = 0;
  std::map<host::service_id, std::string> known;
  for (auto& each : all) {
    constexpr std::size_t around_a_name = 20;
    bytes += each.name.size() + each.type.size() + around_a_name;
    if (bytes > most_bytes)
      return {errc::limit_reached, "the names and types of the services in node_options::services "
                                   "have more than "
                                     + std::to_string(most_bytes)
                                     + " bytes together; add fewer, or give shorter names"};
    if (!is_name(each.name))
      return bad_name("service_options::add: the name", each.name);
    if (is_ours(each.name))
      return {errc::bad_argument, "a service of this program is called '" + each.name
                                    + "'; names that begin with 'troupe.' are taken, give another"};
    if (!each.start)
      return {errc::bad_argument, "the service '" + each.name
                                    + "' in node_options::services has no function own_service::"
                                      "start; use service_options::add, which has one"};
    auto [other, is_new] = known.emplace(host::number_of_own(each.name), each.name);
    if (is_new)
      continue;
    if (other->second == each.name)
      return {errc::conflict, "node_options::services has two services called '" + each.name
                                + "'; give each a name of its own"};
    return {errc::conflict, "the services '" + other->second + "' and '" + each.name
                              + "' would have the same number in the log; give one another name"};
  }
  return {};
}

/// Whether this stands for all addresses of a machine: 0.0.0.0, :: and other spellings of these.
inline bool is_wildcard(const std::string& host) {
  in_addr four{};
  in6_addr six{};
  if (::inet_aton(host.c_str(), &four) == 1)
    return four.s_addr == INADDR_ANY;
  return ::inet_pton(AF_INET6, host.c_str(), &six) == 1 && IN6_IS_ADDR_UNSPECIFIED(&six);
}

/// What is wrong with the nodes that are to found a cluster together; errc::none: nothing.
inline problem check_bootstrap(const node_options& how, std::size_t most_voters) {
  auto number = "node_options::bootstrap_expect is " + std::to_string(how.bootstrap_expect);
  if (how.bootstrap_expect == 0)
    return {};
  if (how.bootstrap_expect > most_voters)
    return {errc::bad_argument, number + "; give 1 to " + std::to_string(most_voters)
                                  + ", and let other nodes join without it"};
  if (how.bootstrap)
    return {errc::bad_argument, number
                                  + ", and node_options::bootstrap is set; leave out one of the "
                                    "two"};
  if (how.data.empty())
    return {errc::bad_argument, number
                                  + "; a node that founds a cluster with others needs a folder, "
                                    "give node_options::data"};
  if (how.bootstrap_expect > 1 && how.join.empty())
    return {errc::bad_argument, number
                                  + "; name the addresses of the other nodes in "
                                    "node_options::join"};
  return {};
}

/// What a node cannot make sense of, before it touches anything.
inline problem check(const node_options& how) {
  constexpr std::size_t most_voters = 7; // each write waits for a majority of them
  if (!how.name.empty())
    if (auto why = security::check_certified_name(how.name))
      return {why.code, "node_options::name: " + why.detail};
  if (how.voters == 0 || how.voters > most_voters)
    return {errc::bad_argument, "node_options::voters is " + std::to_string(how.voters)
                                  + "; give 1 to " + std::to_string(most_voters)
                                  + ", of which 3 or 5 are of most use"};
  if (how.lost_after <= duration::zero())
    return {errc::bad_argument, "node_options::lost_after is " + troupe::to_string(how.lost_after)
                                  + "; give a span above zero"};
  if (how.replace_after < duration::zero())
    return {errc::bad_argument, "node_options::replace_after is "
                                  + troupe::to_string(how.replace_after)
                                  + "; give a span above zero, or zero to replace no voter"};
  if (!how.data.empty() && !how.identity.empty())
    return {errc::bad_argument,
            "node_options::identity is for a node without a data folder; put its "
            "files into node_options::data instead"};
  // Insecure links stay on loopback: that is said of any other address.
  if (!how.links.insecure && is_wildcard(how.advertise.value_or(how.listen).host))
    return {errc::bad_argument,
            std::string{how.advertise ? "node_options::advertise" : "node_options::listen"} + " is "
              + to_string(how.advertise.value_or(how.listen))
              + ", which is no address that other nodes can dial; give "
                "node_options::advertise, the address at which they reach this machine"};
  for (auto& each : how.join)
    if (each.host.empty() || each.port == 0)
      return {errc::bad_argument, "node_options::join has '" + to_string(each)
                                    + "'; give the host and the port of a node"};
  if (auto why = check_bootstrap(how, most_voters))
    return why;
  return check_own(how.services.own);
}

} // namespace troupe::cluster
