#include "troupe/host/service_actor_state.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/init_global_meta_objects.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"
#include "troupe/core/messages.hpp"
#include "troupe/host/messages.hpp"
#include "troupe/host/service_actor.hpp"
#include "troupe/state/messages.hpp"
#include "troupe/state/state_service.hpp"

namespace shared_news_test {

using namespace std::literals;
using namespace troupe;
using state::watch_state;

namespace {

/// Returns why it may not wait; empty: it waited.
std::string refusal(caf::scoped_actor& who, const caf::actor& service, std::uint64_t seen) {
  std::string why;
  who->request(service, 20s, watch_state{.after = seen, .wait = 1ms})
    .receive([](const state::state_changes&) {},
             [&](const caf::error& said) { why = to_string(said); });
  return why;
}

} // namespace

TEST_CASE("questions that nobody asks take no place of those who wait for news of a service",
          "[host]") {
  caf::core::init_global_meta_objects();
  caf::init_global_meta_objects<caf::id_block::troupe_core>();
  caf::init_global_meta_objects<caf::id_block::troupe_host>();
  caf::init_global_meta_objects<caf::id_block::troupe_state>();
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::scoped_actor a{system};
  caf::scoped_actor b{system};
  auto finder = [who = a.address(), text = std::make_shared<const std::string>("a"),
                 other = std::make_shared<const std::string>("b")](
                  const caf::strong_actor_ptr& from) -> shared_node_id {
    if (!from)
      return nullptr;
    return from->address() == who ? text : other;
  };
  auto made = host::spawn<state::state_service>(system, {}, {}, {}, {}, finder);
  REQUIRE(made);
  auto service = caf::actor_cast<caf::actor>(*made);
  a->request(service, 20s, host::call{}, state::put{.key = {.key = "news"}})
    .receive([](const state::written&) {}, [](const caf::error& why) { FAIL(to_string(why)); });
  std::uint64_t seen = 0;
  a->request(service, 20s, watch_state{})
    .receive([&](const state::state_changes& all) { seen = all.revision; },
             [](const caf::error& why) { FAIL(to_string(why)); });
  for (std::size_t count = 0; count <= 10'000; ++count)
    caf::anon_send(service, watch_state{.after = seen, .wait = 1min});
  CHECK(refusal(b, service, seen).empty());
  for (std::size_t count = 0; count < 5'000; ++count)
    a->send(service, watch_state{.after = seen, .wait = 1min});
  CHECK(refusal(a, service, seen).find("of this identity wait") != std::string::npos);
  CHECK(refusal(b, service, seen).empty());
  a->send_exit(service, caf::exit_reason::user_shutdown);
}

} // namespace shared_news_test
