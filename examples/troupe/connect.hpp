#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/node/messages.hpp"

/// The way of every command to the cluster, and the lists that several of them show.
namespace cli {

/// Connects to the cluster at --at.
inline troupe::result<std::unique_ptr<troupe::cluster_client>>
connect(const common_options& common) {
  auto where = addresses(common.at);
  if (!where)
    return where.error();
  return troupe::cluster_client::connect(*std::move(where), common.wait());
}

/// The same, for what only the services can do: waits until they are found.
inline troupe::result<std::unique_ptr<troupe::cluster_client>>
connect_to_services(const common_options& common) {
  auto client = connect(common);
  if (client)
    if (auto why = (*client)->await_services(common.wait()); why.code != troupe::errc::none)
      return why;
  return client;
}

/// Whether the services can be asked, or only one node for what that knows. Waits for as long as
/// an election takes, at most.
inline bool finds_services(troupe::cluster_client& client, troupe::duration wait) {
  constexpr troupe::duration election = std::chrono::milliseconds{2'500};
  return client.await_services(std::min(wait, election)).code == troupe::errc::none;
}

/// A problem that may be none of what a single node knows.
inline bool is_of_services(troupe::errc code) {
  using troupe::errc;
  return code == errc::no_quorum || code == errc::unreachable || code == errc::not_leader
         || code == errc::timed_out || code == errc::outcome_unknown;
}

struct voter_count {
  std::size_t all = 0;
  std::size_t reached = 0;
};

inline voter_count count_voters(const troupe::cluster::voters_view& group) {
  voter_count found;
  for (auto& each : group.seats)
    if (each.votes) {
      ++found.all;
      found.reached += each.is_reached ? 1 : 0;
    }
  return found;
}

/// The group as one JSON object; `called` gives the name of a node by its id. How far the others
/// are only a leader knows: null while nobody leads.
template <class Names>
json to_json(const troupe::cluster::voters_view& what, Names called) {
  auto seats = json::array();
  auto is_led = std::ranges::any_of(what.seats, [](auto& each) { return each.leads; });
  auto if_led = [is_led](json value) { return is_led ? std::move(value) : json(nullptr); };
  for (auto& each : what.seats)
    seats.push_back({{"node", called(each.node)},
                     {"seat", each.seat},
                     {"id", each.node},
                     {"address", each.address},
                     {"votes", each.votes},
                     {"leads", each.leads},
                     {"lag", if_led(each.lag ? json(*each.lag) : json(nullptr))},
                     {"silent_s", if_led(seconds(each.silent_for))},
                     {"reachable", each.is_reached}});
  auto kept_out = json::array();
  for (auto& each : what.kept_out)
    kept_out.push_back(called(each));
  return {{"term", what.term},     {"commit", what.commit}, {"last", what.last},
          {"wanted", what.wanted}, {"voters", seats},       {"kept_out", kept_out}};
}

/// "2 of 3 voters reachable"
inline std::string describe(const voter_count& voters) {
  return std::to_string(voters.reached) + " of " + std::to_string(voters.all) + " voters reachable";
}

/// What people want to know of the group, in a line.
inline std::string describe(const troupe::cluster::voters_view& what) {
  auto voters = count_voters(what);
  auto text = describe(voters) + ", term " + std::to_string(what.term) + ", "
              + std::to_string(what.commit) + " entries committed";
  if (voters.all < what.wanted)
    text += "; forming " + std::to_string(voters.all) + "/" + std::to_string(what.wanted);
  if (voters.all < 3)
    text += ": one loss is fatal";
  return text;
}

inline bool says_why(const troupe::cluster::node_view& seen) {
  return seen.why.code != troupe::errc::none;
}

/// "no leader since 12 s, 1 of 3 voters reachable; " and why, where that is known; or that there is
/// a leader, but no way to it from here.
inline std::string describe_leaderless(const troupe::cluster::node_view& seen) {
  auto since = std::chrono::duration_cast<std::chrono::seconds>(seen.leaderless_for).count();
  auto text = seen.leader.empty() ? "no leader since " + std::to_string(since) + " s"
                                  : "no way from here to the leader, which is at " + seen.leader
                                      + " as node " + seen.name + " says";
  if (auto voters = count_voters(seen.group); voters.all > 0)
    text += ", " + describe(voters);
  if (says_why(seen))
    text += "; " + seen.why.detail;
  return text;
}

/// Adds to a JSON object who leads and who is reached; `leader` is empty while nobody does.
inline void add_standing(json& line, const troupe::cluster::node_view& seen,
                         const std::string& leader) {
  auto voters = count_voters(seen.group);
  line["leader"] = leader.empty() ? json(nullptr) : json(leader);
  line["leaderless_s"] = leader.empty() ? seconds(seen.leaderless_for) : 0.0;
  line["voters"] = voters.all;
  line["voters_reachable"] = voters.reached;
  line["changes_of_leader"] = seen.changes_of_leader;
  if (leader.empty() && says_why(seen))
    line["why"] = seen.why.detail;
}

/// Says on stderr that what follows is what one node knows.
inline void tell_leaderless(const common_options& common, const troupe::cluster::node_view& seen) {
  if (!common.json) {
    print_line(std::cerr, describe_leaderless(seen) + "; shows what node " + seen.name + " knows");
    return;
  }
  json line{{"event", "no_leader"}, {"node", seen.name}};
  add_standing(line, seen, {});
  print(line, std::cerr);
}

/// Every record of one kind, whatever its status; `ask` is asked for pages.
template <class Ask>
troupe::result<std::vector<troupe::registry::record_view>>
all_pages(troupe::registry::record_kind kind, Ask ask) {
  troupe::registry::find_records question;
  question.kind = kind;
  question.statuses = troupe::registry::all_statuses();
  question.unhealthy_too = true;
  question.limit = 1'000;
  std::vector<troupe::registry::record_view> found;
  for (;;) {
    auto page = ask(question);
    if (!page)
      return page.error();
    found.insert(found.end(), page->records.begin(), page->records.end());
    if (!page->more || page->records.empty())
      return found;
    question.after = found.back().value.key;
  }
}

/// As the registry has them.
inline troupe::result<std::vector<troupe::registry::record_view>>
all_records(troupe::cluster_client& cluster, troupe::registry::record_kind kind,
            troupe::duration wait) {
  return all_pages(kind, [&](const troupe::registry::find_records& question) {
    return cluster.services().registry.ask(question, wait);
  });
}

/// As one node has heard of them last: of voters that it does not reach they are disconnected.
inline troupe::result<std::vector<troupe::registry::record_view>>
known_records(troupe::cluster_client& cluster, troupe::registry::record_kind kind,
              const troupe::cluster::node_view& seen, troupe::duration wait) {
  auto found = all_pages(kind, [&](const troupe::registry::find_records& question) {
    return cluster.ask_copy(question, wait);
  });
  if (!found)
    return found;
  for (auto& each : *found)
    for (auto& seat : seen.group.seats)
      if (seat.node == each.value.key.owner && !seat.is_reached)
        each.status = troupe::registry::record_status::disconnected;
  return found;
}

/// Every lock that somebody holds.
inline troupe::result<std::vector<troupe::lock::lock_view>>
all_locks(troupe::cluster_client& cluster, troupe::duration wait) {
  troupe::lock::list_locks question;
  question.limit = 1'000;
  std::vector<troupe::lock::lock_view> found;
  for (;;) {
    auto page = cluster.services().locks.ask(question, wait);
    if (!page)
      return page.error();
    found.insert(found.end(), page->locks.begin(), page->locks.end());
    if (!page->more || page->locks.empty())
      return found;
    question.after = found.back().name;
  }
}

} // namespace cli
