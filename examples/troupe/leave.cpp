#include <algorithm>
#include <chrono>
#include <string>

#include "caf/scoped_actor.hpp"
#include "commands.hpp"
#include "connect.hpp"

namespace cli {

using namespace troupe;

namespace {

/// Asks the node behind `entry` to leave. Returns its id once it has agreed.
result<std::string> ask_to_leave(caf::scoped_actor& self, const caf::strong_actor_ptr& entry,
                                 bool force, duration wait) {
  result<std::string> agreed{problem{errc::timed_out, "no answer in time"}};
  self->request(caf::actor_cast<caf::actor>(entry), wait, router::leave_cluster{force})
    .receive([&](const router::leave_receipt& answer) { agreed = answer.node; },
             [&](const caf::error& why) { agreed = to_problem(why); });
  return agreed;
}

/// Has the group go on without the node. Nothing to do where it has no seat in one. With `force`
/// also where nobody leads who could, but not while the others need the node.
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
    return complain(where.error());
  if (where->size() != 1)
    return complain({errc::bad_argument, "--at names " + std::to_string(where->size())
                                           + " nodes; give the one that is to leave"});
  auto place = to_string(where->front());
  auto client = connect_to_services(common);
  if (!client)
    return complain(client.error());
  // The host takes the list of members with it.
  auto others_know = (*client)->address() != place;
  auto link = (*client)->link_to(where->front(), common.wait());
  if (!link)
    return complain(link.error());
  auto entry = (*link)->entry_point();
  if (!entry)
    return complain({errc::unreachable, place + " closed the link at once; is it ending already?"});
  // A voter is replaced while it still votes.
  if (auto why = give_up_vote(**client, to_string((*link)->peer().node), what.force, common.wait());
      why.code != errc::none)
    return complain(why);
  caf::scoped_actor self{(*client)->system()};
  self->monitor(entry);
  auto node = ask_to_leave(self, entry, what.force, common.wait());
  if (!node)
    return complain(node.error());
  auto is_gone = false;
  self->receive([&](const caf::down_msg&) { is_gone = true; }, caf::after(common.wait()) >> [] {});
  if (!is_gone)
    return complain({errc::timed_out, place
                                        + " finishes what it runs and leaves after that; see "
                                          "troupe status, or wait longer with --timeout"});
  if (others_know) {
    auto left = all_records(**client, registry::record_kind::node, common.wait());
    if (!left)
      return complain(left.error());
    if (std::ranges::any_of(*left, [&](auto& each) { return each.value.key.owner == *node; }))
      return complain({errc::outcome_unknown, place
                                                + " has ended, but could not take back all "
                                                  "that it said; see troupe status"});
  }
  if (common.json)
    print({{"event", "left"}, {"id", *node}, {"at", place}});
  else
    std::cout << "the node at " << place << " has left" << std::endl;
  return ok;
}

} // namespace cli
