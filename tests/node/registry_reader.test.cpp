#include "troupe/node/registry_reader.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/registry/messages.hpp"
#include "troupe/testing/fake_clock.hpp"

namespace registry_reader_test {

using namespace std::literals;
using namespace troupe;
using registry::watch_records;

namespace {

/// An actor whose questions one reader answers.
class reader_state {
public:
  reader_state(caf::event_based_actor* self, node_finder nodes)
    : reader_(self, table_, std::move(nodes)) {
    registry::record_table::effects none;
    table_.step({}, 0, registry::configure{}, none);
  }

  static constexpr auto name = "test.reader";

  caf::behavior make_behavior() {
    return {[this](const watch_records& what) { return reader_.answer(what); },
            [this](const registry::count_records& what) { return reader_.answer(what); }};
  }

  cluster::registry_reader& reader() {
    return reader_;
  }

private:
  registry::record_table table_;
  cluster::registry_reader reader_;
};

/// A reader, and those who ask it.
class readers {
public:
  ~readers() {
    world_.stop(reader_);
  }

  /// Sends `count` questions of `who`, each of which waits for news. Returns how many do not wait.
  std::size_t refused(const std::string& who, std::size_t count) {
    asking_ = who;
    auto asker = std::make_unique<caf::scoped_actor>(world_.system());
    for (; count > 0; --count)
      static_cast<void>((*asker)->request(reader_, caf::infinite, news()));
    world_.run();
    askers_.push_back(std::move(asker));
    return (*askers_.back())->mailbox().size();
  }

  result<registry::record_changes> ask(const std::string& who, const watch_records& what) {
    asking_ = who;
    return world_.ask(reader_, what);
  }

  /// Asks how many records there are; the answer comes to the one that is returned.
  caf::scoped_actor& ask_for_number(const std::string& who = "ann") {
    asking_ = who;
    askers_.push_back(std::make_unique<caf::scoped_actor>(world_.system()));
    auto& asker = *askers_.back();
    static_cast<void>(asker->request(reader_, caf::infinite, registry::count_records{}));
    world_.run();
    return asker;
  }

  template <class Job>
  void on_reader(Job job) {
    run_on_state<reader_state>(reader_, [job](reader_state& state) { job(state.reader()); });
    world_.run();
  }

  void pass(duration span) {
    world_.advance(span);
  }

  [[nodiscard]] watch_records news() const {
    return {.after = known_, .rest = {}, .wait = 30s};
  }

private:
  shared_node_id asks(const caf::strong_actor_ptr& from) const {
    return from && !asking_.empty() ? std::make_shared<const std::string>(asking_) : nullptr;
  }

  testing::fake_clock world_{[](caf::actor_system_config&) {
    init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                  caf::id_block::troupe_registry>();
  }};
  std::string asking_;
  caf::actor reader_ = world_.system().spawn<caf::stateful_actor<reader_state>>(
    [this](const caf::strong_actor_ptr& from) { return asks(from); });
  std::uint64_t known_ = ask("ann", {}).value().revision;
  std::vector<std::unique_ptr<caf::scoped_actor>> askers_;
};

} // namespace

TEST_CASE_METHOD(readers, "one identity leaves room for the questions of others", "[node]") {
  constexpr auto all = cluster::registry_reader::max_parked;
  CHECK(refused("ann", all / 2) == 0);
  CHECK(refused("ann", 10) == 10);
  CHECK(refused("bob", 10) == 0);
  CHECK(ask("ann", news()).error().code == errc::limit_reached);
  CHECK(ask("ann", {})); // without a wait
}

TEST_CASE_METHOD(readers, "a question waits for those alone who are known to ask it", "[node]") {
  CHECK(ask("", {}));
  CHECK(ask("", news()).error().code == errc::unreachable);
  CHECK(refused("ann", 1) == 0);
}

TEST_CASE_METHOD(readers, "a node that starts says what is there once others have told it",
                 "[node]") {
  on_reader([](cluster::registry_reader& reader) { reader.await_all(); });
  auto& early = ask_for_number();
  CHECK(early->mailbox().empty());
  // Who is not known is refused: nobody's share would bound that.
  CHECK_FALSE(ask_for_number("")->mailbox().empty());
  on_reader([](cluster::registry_reader& reader) { reader.knows_all(); });
  CHECK_FALSE(early->mailbox().empty());
  CHECK_FALSE(ask_for_number()->mailbox().empty());
}

TEST_CASE_METHOD(readers, "a node that nobody tells anything says what it knows", "[node]") {
  on_reader([](cluster::registry_reader& reader) { reader.await_all(); });
  auto& early = ask_for_number();
  pass(4s);
  CHECK(early->mailbox().empty());
  pass(1s);
  CHECK_FALSE(early->mailbox().empty());
  CHECK_FALSE(ask_for_number()->mailbox().empty());
}

} // namespace registry_reader_test
