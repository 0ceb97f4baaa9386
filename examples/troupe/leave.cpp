#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#include "caf/scoped_actor.hpp"
#include "commands.hpp"
#include "connect.hpp"
#include "troupe/cluster/departure.hpp"
#include "troupe/node/options.hpp"

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

struct undelivered {
  std::uint64_t messages = 0;
  agent_id first{};
};

/// What the node of `entry` had accepted so long ago and has not delivered yet; nothing if it does
/// not tell.
undelivered ask_for_undelivered(caf::scoped_actor& self, const caf::strong_actor_ptr& entry,
                                duration since, duration wait) {
  undelivered found;
  router::list_inboxes question{.limit = 1'000};
  for (auto more = true; more;) {
    more = false;
    self->request(caf::actor_cast<caf::actor>(entry), wait, question)
      .receive(
        [&](const router::inbox_page& page) {
          for (auto& each : page.inboxes)
            if (each.accepted > 0 && each.age >= since) {
              found.first = found.messages == 0 ? each.agent : found.first;
              found.messages += each.accepted;
            }
          question.after = page.next;
          more = !page.next.empty();
        },
        [](const caf::error&) {});
  }
  return found;
}

/// Waits until the node has delivered what it has accepted, as nobody does once it has left.
problem await_delivery(caf::scoped_actor& self, const caf::strong_actor_ptr& entry,
                       const std::string& place, duration wait) {
  auto begin = std::chrono::steady_clock::now();
  auto end = begin + std::min(wait, cluster::leave_options{}.deliver_within);
  for (;;) {
    // What it accepts meanwhile is no reason to wait.
    auto left = ask_for_undelivered(self, entry, std::chrono::steady_clock::now() - begin, wait);
    if (left.messages == 0)
      return {};
    if (std::chrono::steady_clock::now() >= end)
      return {errc::in_use,
              place + " has accepted " + counted(left.messages, "message")
                + (left.messages == 1 ? " that is" : " that are")
                + " not delivered yet, as for agent '" + left.first.text()
                + "'; see troupe inbox, or leave with --force, after which nobody delivers them"};
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
  }
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
  caf::scoped_actor self{(*client)->system()};
  if (!what.force)
    if (auto why = await_delivery(self, entry, place, common.wait()))
      return complain(common, why);
  auto id = (*link)->peer().node;
  // A voter is replaced before it stops voting.
  if (auto why = give_up_vote(**client, to_string(id), what.force, common.wait()))
    return complain(common, why);
  self->monitor(entry);
  auto node = ask_to_leave(self, entry, what.force, common.wait());
  if (!node)
    return complain(common, node.error());
  auto is_gone = false;
  auto deliveries = cluster::departure_options{}.deliver_rest_within
                    + (what.force ? duration{} : cluster::leave_options{}.deliver_within);
  self->receive([&](const caf::down_msg&) { is_gone = true; },
                caf::after(common.wait() + deliveries) >> [] {});
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
