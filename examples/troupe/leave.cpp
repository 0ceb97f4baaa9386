#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/error.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/sec.hpp"
#include "caf/send.hpp"
#include "cluster_lists.hpp"
#include "commands.hpp"
#include "connect.hpp"
#include "process_end.hpp"
#include "troupe/cluster/departure.hpp"
#include "troupe/cluster/voter_types.hpp"
#include "troupe/core/wait_for.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/node/options.hpp"

namespace cli {

using namespace troupe;

namespace {

/// Has the node of `entry`, which is at `place`, leave. Returns what it has delivered and leaves
/// behind, once it has left but for its end.
result<departure_report> ask_to_leave(caf::actor_system& system, const caf::strong_actor_ptr& entry,
                                      const std::string& place, bool force, duration wait) {
  using answer = result<departure_report>;
  auto deliver_within = std::min(wait, cluster::leave_options{}.deliver_within);
  // It has as long again for what it accepts until its tasks are finished.
  auto longest = wait + 2 * deliver_within + cluster::departure_options{}.deliver_rest_within;
  auto there = caf::actor_cast<caf::actor>(entry);
  auto ask = [&](std::function<void(answer)> done) {
    system.spawn([=](caf::event_based_actor* self) {
      auto end = [self, done](answer what) {
        done(std::move(what));
        self->quit(); // before it hears more
      };
      self->set_down_handler([end, place](const caf::down_msg&) {
        end(problem{errc::outcome_unknown,
                    "the link to " + place
                      + " was lost before it had left: it has ended, or is out of reach; it may "
                        "have given up its vote, see troupe voters and troupe status"});
      });
      self->monitor(there);
      self->request(there, longest, router::leave_node{force, deliver_within})
        .then([end](const departure_report& report) { end(report); },
              [end](const caf::error& why) {
                if (why != caf::sec::request_timeout)
                  return end(to_problem(why));
                end(problem{errc::timed_out, "it has not left yet, and may still do so; see troupe "
                                             "status, or ask again with a longer --timeout"});
              });
    });
  };
  auto heard = wait_for<answer>(ask, longest_span, [](unheard) -> answer {
    return problem{errc::outcome_unknown, "nobody asks any more whether it has left"};
  });
  if (heard)
    caf::anon_send(there, router::departure_heard{});
  return heard;
}

/// Nobody who leads was found, and so nobody has asked the node at `place`.
problem stays(const std::string& place, const problem& why) {
  return {cluster::nobody_leads(why.code) ? why.code : errc::no_quorum,
          "no node that leads was found, so " + place + " stays: " + why.detail
            + (why.detail.find("; ") == std::string::npos
                 ? "; try again once one leads, see troupe status"
                 : "")
            + ", or have it end without a word to the others (--force)"};
}

/// What people should know of it, as the rest of a sentence.
std::string in_words(const departure_report& what) {
  std::vector<std::string> parts;
  auto add = [&](std::uint64_t count, const std::string& noun, const std::string& one,
                 const std::string& many) {
    if (count > 0)
      parts.push_back(counted(count, noun) + (count == 1 ? one : many));
  };
  add(what.delivered, "message", " was delivered meanwhile", " were delivered meanwhile");
  add(what.lost, "undelivered message", " is lost", " are lost");
  add(what.synced, "undelivered message",
      " that is synced goes on if the node is started on its data folder again",
      " that are synced go on if the node is started on its data folder again");
  add(what.in_inboxes, "message", " was left in the inboxes of its agents",
      " were left in the inboxes of its agents");
  add(what.dead_letters, "dead letter", " was left there", " were left there");
  std::string all;
  for (auto& each : parts)
    all += (all.empty() ? "; " : ", ") + each;
  return (what.gave_up_vote ? " and has given up its vote" : "") + all;
}

void show(const common_options& common, const std::string& place, const departure_report& what) {
  if (common.json)
    print({{"event", "left"},
           {"id", what.node},
           {"at", place},
           {"delivered", what.delivered},
           {"lost", what.lost},
           {"synced", what.synced},
           {"in_inboxes", what.in_inboxes},
           {"dead_letters", what.dead_letters},
           {"gave_up_vote", what.gave_up_vote},
           {"has_ca", what.has_authority}});
  else
    std::cout << "the node at " << place << " has left" << in_words(what)
              << (what.has_authority
                    ? "; it had the CA of the cluster, so that nobody can join until "
                      "a node runs on its data folder again"
                    : "")
              << std::endl;
}

} // namespace

int run_leave(const common_options& common, const leave_command& what) {
  auto where = addresses(common.at);
  if (!where)
    return complain(common, where.error());
  if (where->size() != 1)
    return complain(common,
                    {errc::bad_argument, "--at names " + std::to_string(where->size())
                                           + " nodes; give only the node that should leave"});
  auto place = to_string(where->front());
  auto client = connect(common);
  if (!client)
    return complain(common, client.error());
  auto is_led = what.force && finds_services(**client, common.wait());
  if (!what.force) {
    if (auto why = (*client)->await_services(common.wait()).error_or())
      return complain(common, is_of_services(why.code) ? stays(place, why) : why);
    is_led = true;
  }
  // The only host takes the list of members with it.
  auto others_know = is_led && (*client)->address() != place;
  auto link = (*client)->link_to(where->front(), common.wait());
  if (!link)
    return complain(common, link.error());
  auto entry = (*link)->entry_point();
  if (!entry)
    return complain(
      common, {errc::unreachable, place + " closed the link at once; it may be ending already"});
  auto endpoints = net::resolve(where->front());
  if (!endpoints)
    return complain(common, endpoints.error());
  auto id = (*link)->peer().node;
  caf::scoped_actor self{(*client)->system()};
  self->monitor(entry);
  auto left = ask_to_leave((*client)->system(), entry, place, what.force, common.wait());
  if (!left)
    return complain(common, left.error());
  auto has_ended = false;
  self->receive([&](const caf::down_msg&) { has_ended = true; }, // as its links do
                caf::after(common.wait()) >> [] {});
  if (!has_ended || !await_process_end(*endpoints, common.wait()))
    return complain(common, {errc::timed_out,
                             place + " has left" + in_words(*left)
                               + ", but its process has not ended; wait for that before you start "
                                 "a node on its data folder, or end the process"});
  if (!left->took_back && !left->gave_up_vote)
    return complain(
      common,
      {errc::outcome_unknown,
       place + " has ended, but no node that leads has said that it heard so" + in_words(*left)
         + "; others may expect it back, and if it had a vote, it has that until it is "
           "removed (troupe voters remove): see troupe status and troupe voters"});
  if (!left->took_back)
    return complain(common, {errc::outcome_unknown, place + " has left" + in_words(*left)
                                                      + ", but could not remove all of its "
                                                        "records; see troupe status"});
  if (others_know) {
    auto is_gone_there = [](const registry::record_view* seen) { return seen == nullptr; };
    auto forgotten = await_shown(**client, id, is_gone_there, common.wait());
    if (!forgotten)
      return complain(common, forgotten.error());
    if (!*forgotten)
      return complain(common, {errc::outcome_unknown, place + " has left" + in_words(*left)
                                                        + ", but others still show it; see troupe "
                                                          "status"});
  }
  show(common, place, *left);
  return ok;
}

} // namespace cli
