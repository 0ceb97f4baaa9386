#include <iomanip>
#include <string>

#include "commands.hpp"
#include "connect.hpp"

namespace cli {

using namespace troupe;

namespace {

problem check(const voters_command& what) {
  auto wants_node = what.verb != "list";
  if (wants_node == what.node.empty())
    return {errc::bad_argument, wants_node ? what.verb + " wants the NODE that is meant"
                                           : "list takes no NODE; leave it out"};
  if ((what.verb == "replace") == what.by.empty())
    return {errc::bad_argument, what.by.empty() ? "replace wants two nodes: who goes, who comes"
                                                : what.verb + " takes one node"};
  return {};
}

result<cluster::voters_view> change(cluster_client& client, const voters_command& what,
                                    duration wait) {
  using cluster::voter_change;
  if (what.verb == "list")
    return client.voters().list(wait);
  if (what.verb == "lead")
    return client.voters().change({voter_change::lead, what.node, false}, wait);
  if (what.verb == "add")
    return client.voters().change({voter_change::add, what.node, false}, wait);
  if (what.verb == "replace") // the new one first: the others are never fewer
    if (auto added = client.voters().change({voter_change::add, what.by, false}, wait); !added)
      return added;
  return client.voters().change({voter_change::remove, what.node, what.force}, wait);
}

} // namespace

int run_voters(const common_options& common, const voters_command& what) {
  if (auto why = check(what); why.code != errc::none)
    return complain(why);
  auto client = connect(common);
  if (!client)
    return complain(client.error());
  auto found = change(**client, what, common.wait());
  if (!found)
    return complain(found.error());
  auto nodes = all_records(**client, registry::record_kind::node, common.wait());
  auto called = [&](const std::string& id) {
    if (nodes)
      for (auto& each : *nodes)
        if (each.value.key.owner == id)
          return each.value.key.name;
    return id.substr(0, 8);
  };
  if (common.json) {
    print(to_json(*found, called));
    return ok;
  }
  for (auto& each : found->seats)
    std::cout << called(each.node) << "  " << (each.votes ? "voter" : "learner") << "  "
              << each.address << "  " << each.lag << " entries behind"
              << (each.leads ? "  leader" : "") << '\n';
  for (auto& each : found->kept_out)
    std::cout << called(each) << "  removed; add it to have it back\n";
  std::cout << describe(*found) << std::endl;
  return ok;
}

} // namespace cli
