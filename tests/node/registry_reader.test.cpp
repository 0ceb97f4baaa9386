#include "troupe/node/registry_reader.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/init_global_meta_objects.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"
#include "caf/stateful_actor.hpp"
#include "registry/clocked_table.hpp"
#include "troupe/core/messages.hpp"
#include "troupe/registry/messages.hpp"

namespace registry_reader_test {

using namespace std::literals;
using namespace troupe;
using registry::record_changes;
using registry::watch_records;

namespace {

struct reader_state {
  static inline const char* name = "reader";

  reader_state(caf::event_based_actor* self, node_finder nodes)
    : reader(self, known.table, std::move(nodes)) {
    known.put({test::node("n1")});
  }

  caf::behavior make_behavior() {
    return {[this](const watch_records& what) { return reader.answer(what); },
            [this](const std::string&) { return known.table.revision(); }};
  }

  test::clocked_table known;
  cluster::registry_reader reader;
};

/// A reader, and two that ask it.
struct reading {
  reading() {
    auto finder = [who = a.address(), text = std::make_shared<const std::string>("a"),
                   other = std::make_shared<const std::string>("b")](
                    const caf::strong_actor_ptr& from) -> shared_node_id {
      if (!from)
        return nullptr;
      return from->address() == who ? text : other;
    };
    reader = system.spawn<caf::stateful_actor<reader_state>>(node_finder{finder});
    a->request(reader, 10s, "revision"s)
      .receive([&](std::uint64_t found) { revision = found; }, [](const caf::error&) {});
    REQUIRE(revision != 0);
  }

  ~reading() {
    a->send_exit(reader, caf::exit_reason::user_shutdown);
  }

  [[nodiscard]] watch_records news(duration wait) const {
    return {.after = revision, .wait = wait};
  }

  /// Returns why it may not wait; empty: it waited.
  [[nodiscard]] std::string refusal(caf::scoped_actor& who) const {
    std::string why;
    who->request(reader, 20s, news(1ms))
      .receive([](const record_changes&) {},
               [&](const caf::error& said) { why = to_string(said); });
    return why;
  }

  const bool knows_types = (caf::core::init_global_meta_objects(),
                            caf::init_global_meta_objects<caf::id_block::troupe_core>(),
                            caf::init_global_meta_objects<caf::id_block::troupe_registry>(), true);
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::scoped_actor a{system};
  caf::scoped_actor b{system};
  caf::actor reader;
  std::uint64_t revision = 0;
};

} // namespace

TEST_CASE("of one identity as many watchers of the records wait as there is room for others",
          "[node]") {
  reading all;
  for (std::size_t count = 0; count < cluster::registry_reader::max_parked / 2; ++count)
    all.a->send(all.reader, all.news(1min));
  CHECK(all.refusal(all.a).find("of this identity wait") != std::string::npos);
  CHECK(all.refusal(all.b).empty());
}

TEST_CASE("questions that nobody asks take no place of those who watch the records", "[node]") {
  reading all;
  for (std::size_t count = 0; count <= cluster::registry_reader::max_parked; ++count)
    caf::anon_send(all.reader, all.news(1min));
  CHECK(all.refusal(all.b).empty());
}

} // namespace registry_reader_test
