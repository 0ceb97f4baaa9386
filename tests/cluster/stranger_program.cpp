// Sends messages to the actors of a node that they do not know, or not expect, and prints what
// becomes of each: `stranger_program HOST:PORT`.

#include "support/test_ca.hpp"
#include "troupe/cluster/service_names.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/node/init.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <iostream>
#include <map>
#include <string>

namespace stranger {

/// Known to this program only.
struct riddle {
  std::int64_t number = 0;

  TROUPE_FIELDS(riddle, number);
};

TROUPE_MESSAGES(riddles, riddle);

} // namespace stranger

using namespace std::literals;
using namespace troupe;

namespace {

template <class What>
void ask(caf::scoped_actor& self, const std::string& name, const caf::strong_actor_ptr& whom,
         const What& what) {
  auto handle = caf::actor_cast<caf::actor>(whom);
  caf::anon_send(handle, what);
  self->send(handle, what);
  auto error = "none"s;
  self->request(handle, 1s, what)
    .receive([] {}, [&](const caf::error& why) { error = to_problem(why).detail; });
  std::cout << nlohmann::json{{"to", name}, {"error", error}} << std::endl;
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 2)
    return 2;
  init<stranger::riddles>();
  auto where = net::address::from_string(argv[1]);
  auto client
    = cluster_client::connect({*where}, 5s, test::client_links(), test::client_identity());
  if (!client)
    return 1;
  auto link = (*client)->link_to(*where, 5s);
  if (!link)
    return 1;
  caf::scoped_actor self{(*client)->system()};
  auto router = (*link)->entry_point();
  std::map<std::string, caf::strong_actor_ptr> actors{{"router", router}};
  for (auto* each : cluster::cluster_services)
    self->request(caf::actor_cast<caf::actor>(router), 5s, router::find_service{each})
      .receive([&](const router::service_place& found) { actors[each] = found.handle; },
               [](const caf::error&) {});
  for (auto& [name, handle] : actors) {
    ask(self, name, handle, stranger::riddle{42});
    ask(self, name, handle, "a text that nobody asked for"s);
  }
  return 0;
}
