#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "cli.hpp"
#include "troupe/cluster/quorum_poll.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/log_line.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/node/login_checks.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/security/credentials.hpp"

/// How commands connect to a cluster, and how they describe its group.
namespace cli {

/// Where the key and the certificates of this user are, and what the user sets to change that.
struct identity_place {
  std::filesystem::path folder{};
  std::string_view set_by{};

  /// Why it is that folder, as a part of a sentence.
  [[nodiscard]] std::string reason() const {
    return set_by == "HOME" ? "which is used without TROUPE_HOME"
                            : "which " + std::string{set_by} + " names";
  }
};

/// --identity, else what TROUPE_HOME names, else ~/.troupe.
inline identity_place own_place(const common_options& common) {
  if (!common.identity.empty())
    return {common.identity, "--identity"};
  if (auto* own = std::getenv("TROUPE_HOME"); own != nullptr && *own != '\0')
    return {own, "TROUPE_HOME"};
  if (auto* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return {std::filesystem::path{home} / ".troupe", "HOME"};
  return {};
}

/// Why `where` has no certificates.
inline troupe::problem why_unknown(const identity_place& where) {
  using troupe::errc;
  constexpr auto other_links
    = ". A cluster that was started with --insecure wants --insecure here, too";
  if (where.folder.empty())
    return {errc::bad_argument,
            std::string{"there is no folder with a certificate with which a cluster knows you; get "
                        "one with troupe login and --identity FOLDER"}
              + other_links};
  std::error_code fault;
  auto certificate = where.folder / troupe::security::identity_certificate_file;
  auto seen = std::filesystem::status(certificate, fault);
  if (!std::filesystem::status_known(seen) && fault == std::errc::permission_denied)
    return {errc::bad_argument, "cannot read " + where.folder.string()
                                  + ": Permission denied; use it as the user whose identity it "
                                    "has, or give --identity FOLDER"};
  std::string lacks = " has no certificate";
  if (!std::filesystem::is_directory(where.folder, fault))
    lacks = std::filesystem::exists(where.folder, fault) ? " is no folder" : " is not there";
  else if (std::filesystem::exists(certificate, fault))
    lacks = " has no " + std::string{troupe::security::ca_certificate_file};
  if (where.folder.string().starts_with("~/"))
    lacks += " (only a shell puts your home for ~, so write it out)";
  auto is_asked_for = where.set_by == "--identity";
  return {errc::bad_argument,
          where.folder.string() + ", " + where.reason() + "," + lacks
            + (is_asked_for ? "; give a folder that troupe login or troupe ca issue has filled, or "
                              "the data folder of a node"
                            : ", so no cluster knows you; get a certificate with troupe login, or "
                              "give --identity FOLDER")
            + other_links};
}

/// The folder of own_place(), if it has certificates; an empty path for insecure links.
inline troupe::result<std::filesystem::path> identity_folder(const common_options& common) {
  if (common.insecure)
    return std::filesystem::path{};
  auto where = own_place(common);
  if (troupe::security::has_certificates(where.folder))
    return where.folder;
  return why_unknown(where);
}

/// Tells people who have waited for a second that no node accepts a connection or answers, and why.
/// They wait on, because a node may be starting.
class refusal_notice {
public:
  static constexpr troupe::duration patience = std::chrono::seconds{1};

  refusal_notice(const std::vector<troupe::net::address>& where, troupe::duration wait,
                 const std::filesystem::path& identity)
    : asking_{[where, wait, identity](const std::stop_token& ends) {
        if (!sleep_unless(ends, patience))
          return;
        auto tried = troupe::cluster_client::connect(where, std::chrono::milliseconds{250},
                                                     {.insecure = identity.empty()}, identity);
        if (tried || ends.stop_requested())
          return;
        auto why = tried.error().detail;
        if (tried.error().code == troupe::errc::timed_out) {
          why = "no answer yet from ";
          for (auto& each : where)
            why += to_string(each) + (&each == &where.back() ? "" : " or ");
        } else if (tried.error().code != troupe::errc::unreachable) {
          return;
        }
        auto left = std::chrono::round<std::chrono::seconds>(wait - patience).count();
        print_line(std::cerr, "trying for " + std::to_string(left)
                                + " s more: " + printable(why.substr(0, why.find("; "))));
      }} {}

private:
  std::jthread asking_;
};

/// Connects to the cluster at --at without a word on the way.
inline troupe::result<std::unique_ptr<troupe::cluster_client>>
connect_silently(const common_options& common) {
  auto where = addresses(common.at);
  if (!where)
    return where.error();
  auto identity = identity_folder(common);
  if (!identity)
    return identity.error();
  return troupe::cluster_client::connect(*std::move(where), common.wait(),
                                         {.insecure = common.insecure}, *identity);
}

/// Says on stderr when the certificate with which this user is known ends soon: there is nobody
/// else who would say it, and without one no command works.
inline void warn_of_end(const common_options& common, const std::filesystem::path& identity) {
  auto about = identity.empty() ? std::nullopt : troupe::cluster::facts_in(identity);
  if (!about)
    return;
  auto left = about->valid_until - troupe::read_calendar();
  if (left > troupe::duration::zero() && left < troupe::security::ends_soon)
    note(common, "warning",
         "the certificate in " + identity.string() + " is valid until "
           + troupe::to_rfc3339(about->valid_until)
           + "; ask whoever has the CA for another one (troupe ca renew "
           + to_string(about->node).substr(0, 8) + ")");
}

/// Connects to the cluster at --at.
inline troupe::result<std::unique_ptr<troupe::cluster_client>>
connect(const common_options& common) {
  auto where = addresses(common.at);
  std::optional<refusal_notice> notice;
  auto identity = identity_folder(common);
  if (identity)
    warn_of_end(common, *identity);
  if (where && identity && !common.json && common.wait() >= 2 * refusal_notice::patience)
    notice.emplace(*where, common.wait(), *identity);
  return connect_silently(common);
}

/// Connects, and waits until the services are found, for requests that only they can answer.
inline troupe::result<std::unique_ptr<troupe::cluster_client>>
connect_to_services(const common_options& common) {
  auto client = connect(common);
  if (!client)
    return client;
  auto found = (*client)->await_services(common.wait());
  if (found)
    return client;
  auto why = found.error();
  if (why.code == troupe::errc::unreachable)
    why.detail = "no node that leads was found, and nothing was done: " + why.detail
                 + "; see troupe status, and retry once one leads";
  return why;
}

/// Whether the services can be asked; otherwise only one node can be asked for what it knows.
/// Waits at most as long as an election takes.
inline bool finds_services(troupe::cluster_client& client, troupe::duration wait) {
  constexpr troupe::duration election = std::chrono::milliseconds{2'500};
  return client.await_services(std::min(wait, election)).has_value();
}

/// Whether a problem may concern the services only, so that one node can still say what it knows.
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

/// The group as one JSON object; `called` gives the name of a node by its id. Only a leader knows
/// the state of the others: `lag`, `silent_s`, `lacking` and `older` are null without one.
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
  auto spares = json::array();
  for (auto& each : what.spares)
    spares.push_back(called(each));
  auto pending = json::array();
  for (auto& each : what.pending)
    pending.push_back(
      {{"node", called(each.node)}, {"id", each.node}, {"what", each.what}, {"why", each.why}});
  auto services = json::array();
  auto named = [called](const std::vector<std::string>& nodes) {
    auto names = json::array();
    for (auto& each : nodes)
      names.push_back(called(each));
    return names;
  };
  for (auto& each : what.services)
    services.push_back({{"name", each.name},
                        {"type", each.type},
                        {"why_not_here", each.why ? json(each.why.detail) : json(nullptr)},
                        {"lacking", if_led(named(each.lacking))},
                        {"older", if_led(named(each.older))}});
  return {{"term", what.term},
          {"commit", what.commit},
          {"last", what.last},
          {"wanted", what.wanted},
          {"voters", seats},
          {"kept_out", kept_out},
          {"kept_out_ids", what.kept_out},
          {"services", services},
          {"pending", pending},
          {"spares", if_led(spares)},
          {"spare_ids", if_led(what.spares)}};
}

/// Problems of services that programs add, one line each. `asked` is the node that answered; if
/// there is a leader, the leader answered.
template <class Names>
std::string describe_services(const troupe::cluster::voters_view& what, std::string asked,
                              Names called) {
  std::string text;
  for (auto& each : what.seats)
    if (each.leads)
      asked = called(each.node);
  auto names = [called](const std::vector<std::string>& nodes) {
    std::string all;
    for (auto& each : nodes)
      all += (all.empty() ? "" : ", ") + called(each);
    return all;
  };
  for (auto& each : what.services) {
    if (each.why)
      text += "node " + asked + ": " + each.why.detail + '\n';
    if (!each.lacking.empty())
      text += "service '" + each.name + "' does not run on: " + names(each.lacking)
              + "; it stops while one of these leads\n";
    if (!each.older.empty())
      text += "service '" + each.name + "' has older rules on: " + names(each.older)
              + "; newer ones begin once their programs know them\n";
  }
  return text;
}

/// "2 of 3 voters reachable"
inline std::string describe(const voter_count& voters) {
  return std::to_string(voters.reached) + " of " + std::to_string(voters.all) + " voters reachable";
}

/// A summary of the group for people, in one line.
inline std::string describe(const troupe::cluster::voters_view& what) {
  auto voters = count_voters(what);
  auto text = describe(voters) + ", term " + std::to_string(what.term) + ", "
              + std::to_string(what.commit) + " entries committed";
  if (voters.all < what.wanted)
    text += "; forming " + std::to_string(voters.all) + "/" + std::to_string(what.wanted);
  if (voters.all > what.wanted && what.wanted > 0)
    text += "; " + std::to_string(what.wanted) + (what.wanted == 1 ? " is wanted" : " are wanted")
            + " (--voters): see troupe voters remove";
  if (voters.all < 3)
    text += ": one loss is fatal";
  return text;
}

/// Tells nodes apart: names an id as `called` does, with its first digits where several of `ids`
/// have that name. `called` outlives what is returned.
template <class Called>
auto told_apart(const std::set<std::string>& ids, const Called& called) {
  std::map<std::string, int> nodes;
  for (auto& id : ids)
    ++nodes[called(id)];
  return [kept = std::move(nodes), &called](const std::string& id) {
    auto name = called(id);
    auto found = kept.find(name);
    return found != kept.end() && found->second > 1 ? name + " (" + id.substr(0, 8) + ')' : name;
  };
}

inline bool says_why(const troupe::cluster::node_view& seen) {
  return seen.why.code != troupe::errc::none;
}

/// Whether the cluster was kept in the memory of a node that does not answer.
inline bool is_of_lost_host(const troupe::cluster::node_view& seen) {
  return seen.why.detail.starts_with(troupe::cluster::quorum_poll::kept_in_memory);
}

/// "no leader since 12 s, 1 of 3 voters reachable; " and the reason, if it is known and does not
/// say the same; or that there is a leader which cannot be reached from here.
inline std::string describe_leaderless(const troupe::cluster::node_view& seen) {
  auto since = std::chrono::duration_cast<std::chrono::seconds>(seen.leaderless_for).count();
  auto text = seen.leader.empty() ? "no leader since " + std::to_string(since) + " s"
                                  : "the leader is at " + seen.leader + ", as node " + seen.name
                                      + " says, but cannot be reached from here";
  if (auto voters = count_voters(seen.group); voters.all > 0) {
    auto reached = describe(voters);
    if (says_why(seen) && seen.why.detail.find(reached) != std::string::npos)
      return text + ": " + seen.why.detail;
    text += ", " + reached;
  }
  if (says_why(seen))
    text += "; " + seen.why.detail;
  return text;
}

/// Adds the leader and the reachable voters to a JSON object; `leader` is empty without a leader.
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

/// Says on stderr that the following output is what one node knows.
inline void tell_leaderless(const common_options& common, const troupe::cluster::node_view& seen) {
  if (!common.json) {
    print_line(std::cerr,
               describe_leaderless(seen) + "; this is what node " + seen.name + " knows");
    return;
  }
  json line{{"event", "no_leader"}, {"node", seen.name}};
  add_standing(line, seen, {});
  print(line, std::cerr);
}

} // namespace cli
