#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/scoped_actor.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/group/group.hpp"
#include "troupe/testing/comes_true.hpp"

using namespace std::chrono_literals;
using namespace troupe;

namespace {

constexpr host::service_id notes = 1;

/// A group of one whose service is written down when the test lets it.
class slow_group {
public:
  slow_group() {
    host::group_options how;
    how.consensus = raft::lan();
    how.snapshot_every = 10;
    auto opened = host::group::open(system_, folder_ / "group.db", {notes}, how);
    REQUIRE(opened);
    group = *opened;
    seat_ = group.seat(notes);
    seat_->join(
      1, [](const std::function<void()>& job) { job(); },
      [this](host::group_event& what) { hear(what); });
    group.start();
    group.ask(raft::replica::event{raft::replica::found_group{"0"}}, [](const problem&) {});
    REQUIRE(testing::comes_true([this] { return term_ > 0; }));
  }

  ~slow_group() {
    release();
    end();
  }

  /// Has a note committed.
  void note() {
    seat_->propose({term_, ++proposed_, "note"});
    REQUIRE(testing::comes_true([this] { return delivered_ == proposed_; }));
  }

  /// A section is being written down, and is not done.
  [[nodiscard]] bool is_writing() const {
    return is_writing_;
  }

  void release() {
    if (!std::exchange(is_released_, true))
      gate_.set_value();
  }

  void end() {
    group.stop();
    caf::scoped_actor self{system_};
    self->wait_for(group.handle());
  }

  host::group group;
  /// What the section that is written down next holds on to.
  std::shared_ptr<int> frozen = std::make_shared<int>(0);

private:
  struct configuration : caf::actor_system_config {
    configuration() {
      init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host>();
    }
  };

  void hear(host::group_event& what) {
    auto take = overloaded{
      [this](host::to_service::lead& line) { term_ = line.term; },
      [this](host::to_service::deliver&) { ++delivered_; },
      [this](host::to_service::take_section& line) {
        seat_->give_section(line.index, [this, kept = std::exchange(frozen, nullptr)] {
          is_writing_ = true;
          opened_.wait();
          is_writing_ = false;
          return std::string{"state"};
        });
      },
      [](auto&) {},
    };
    troupe::visit(take, what);
  }

  test::temporary_folder folder_;
  std::promise<void> gate_;
  std::shared_future<void> opened_ = gate_.get_future().share();
  bool is_released_ = false;
  std::atomic<raft::term_number> term_ = 0;
  std::atomic<std::uint64_t> delivered_ = 0;
  std::atomic<bool> is_writing_ = false;
  std::uint64_t proposed_ = 0;
  std::shared_ptr<host::group_member> seat_;
  configuration config_;
  caf::actor_system system_{config_};
};

} // namespace

TEST_CASE("a group goes on while a state is written down", "[host][group]") {
  slow_group notes_kept;
  while (!notes_kept.is_writing())
    notes_kept.note();
  for (int each = 0; each < 50; ++each)
    notes_kept.note();
  CHECK(notes_kept.is_writing());
  notes_kept.release();
  std::promise<result<host::group_backup>> answer;
  auto found = answer.get_future();
  notes_kept.group.back_up([&](auto made) { answer.set_value(std::move(made)); });
  REQUIRE(found.wait_for(testing::patience) == std::future_status::ready);
  auto made = found.get();
  REQUIRE(made);
  auto state = from_bytes<host::group_state>(made->state);
  REQUIRE(state);
  CHECK(state->sections.at(notes) == "state");
}

TEST_CASE("a group that ends while a state is written down lets go of it", "[host][group]") {
  slow_group notes_kept;
  std::weak_ptr<int> frozen = notes_kept.frozen;
  while (!notes_kept.is_writing())
    notes_kept.note();
  CHECK_FALSE(frozen.expired());
  notes_kept.group.stop();
  notes_kept.release();
  notes_kept.end();
  CHECK(testing::comes_true([&] { return frozen.expired(); }));
}
