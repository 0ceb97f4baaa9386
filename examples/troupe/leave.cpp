#include <algorithm>
#include <chrono>
#include <string>

#include "caf/scoped_actor.hpp"
#include "commands.hpp"
#include "connect.hpp"

namespace cli {

using namespace troupe;

namespace {

/// Asks the node of `entry` to leave. Returns its id once it has agreed.
result<std::string> ask_to_leave(caf::scoped_actor& self, const caf::strong_actor_ptr& entry,
                                 bool force, duration wait) {
  result<std::string> agreed{
    problem{errc::timed_out, "no answer in time; wait longer with --timeout"}};
  self->request(caf::actor_cast<caf::actor>(entry), wait, router::leave_cluster{force})
    .receive([&](const router::leave_receipt& answer) { agreed = answer.node; },
             [&](const caf::error& why) { agreed = to_problem(why); });
  return agreed;
}

/// Removes the node from the voters, if it is one. If there is no leader that could do it, that is
/// a problem only without `force`. A leader refuses while the remaining voters need the node, even
/// with `force`.
problem give_up_vote(cluster_client& client, const std::string& node, bool force, duration wait) {
  if (!client.has_voters())
    return {};
  auto found = client.voters().list(wait);
  auto is_forced = [&] { return force && cluster::nobody_leads(found.error().code); };
  if (!found)
    return is_forced() ? problem{} : found.error();
  if (std::ranges::none_of(found->seats, [&](auto& each) { return each.node == node; }))
    return {};
  found = client.voters().change({cluster::voter_change::leave, node, force}, wait);
  return found || is_forced() ? problem{} : found.error();
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
  auto client = connect_to_services(common);
  if (!client)
    return complain(common, client.error());
  // The only host takes the list of members with it.
  auto others_know = (*client)->address() != place;
  auto link = (*client)->link_to(where->front(), common.wait());
  if (!link)
    return complain(common, link.error());
  auto entry = (*link)->entry_point();
  if (!entry)
    return complain(
      common, {errc::unreachable, place + " closed the link at once; it may be ending already"});
  auto id = (*link)->peer().node;
  // A voter is replaced before it stops voting.
  if (auto why = give_up_vote(**client, to_string(id), what.force, common.wait()))
    return complain(common, why);
  caf::scoped_actor self{(*client)->system()};
  self->monitor(entry);
  auto node = ask_to_leave(self, entry, what.force, common.wait());
  if (!node)
    return complain(common, node.error());
  auto is_gone = false;
  self->receive([&](const caf::down_msg&) { is_gone = true; }, caf::after(common.wait()) >> [] {});
  if (!is_gone)
    return complain(common, {errc::timed_out, place
                                                + " finishes its tasks and leaves then; see "
                                                  "troupe status, or wait longer with --timeout"});
  if (others_know) {
    auto is_gone_there = [](const registry::record_view* seen) { return seen == nullptr; };
    auto forgotten = await_shown(**client, id, is_gone_there, common.wait());
    if (!forgotten)
      return complain(common, forgotten.error());
    if (!*forgotten)
      return complain(common, {errc::outcome_unknown, place
                                                        + " has ended, but could not remove all "
                                                          "of its records; see troupe status"});
  }
  if (common.json)
    print({{"event", "left"}, {"id", *node}, {"at", place}});
  else
    std::cout << "the node at " << place << " has left" << std::endl;
  return ok;
}

} // namespace cli
