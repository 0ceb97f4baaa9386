#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/scoped_actor.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/host/replicated.hpp"
#include "troupe/lock/lock_service.hpp"
#include "troupe/scheduler/scheduler_service.hpp"

using namespace std::chrono_literals;
using namespace troupe;

namespace {

/// A group that says one thing, and hears one, and two questions.
class scripted_group final : public host::group_member {
public:
  void join(std::uint32_t, host::job_runner home,
            std::function<void(host::group_event&)> tell) override {
    joined.set_value({std::move(home), std::move(tell)});
  }

  void propose(host::proposal what) override {
    proposed.set_value(std::move(what));
  }

  void read(request_id, bool may_wait) override {
    waits.at(reads++).set_value(may_wait);
  }

  void give_section(raft::log_index, std::function<std::string()>) override {}
  void end(problem) override {}

  void stop(problem) override {}

  [[nodiscard]] std::uint64_t life() const override {
    return 7;
  }

  [[nodiscard]] std::uint64_t token_floor() const override {
    return 7'000;
  }

  std::promise<std::pair<host::job_runner, std::function<void(host::group_event&)>>> joined;
  std::promise<host::proposal> proposed;
  std::array<std::promise<bool>, 2> waits;

private:
  std::size_t reads = 0;
};

} // namespace

TEST_CASE("a service that hears late that it leads is not behind the time of its group",
          "[host][replicated]") {
  init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                caf::id_block::troupe_lock>();
  caf::actor_system_config cfg;
  caf::actor_system system{cfg};
  auto group = std::make_shared<scripted_group>();
  auto service = host::spawn<lock::lock_service>(system, {}, host::replicated{group});
  REQUIRE(service);
  auto [home, listener] = group->joined.get_future().get();
  auto said_at = time_point{system.clock().now().time_since_epoch()} - 5s;
  host::group_event what = host::to_service::lead{1, raft::group_time{100s}, 3, said_at};
  home([tell = listener, what]() mutable { tell(what); });
  auto made = group->proposed.get_future().get();
  CHECK(made.term == 3);
  auto batch = from_bytes<host::replicated_batch<lock::lock_table>>(made.payload);
  REQUIRE(batch);
  CHECK(batch->records.front().at >= time_point{105s});
  CHECK(batch->records.front().at < time_point{135s});
  // A group that began anew: its first entry says above what tokens are to be.
  auto& opening = std::get<host::notice<lock::lock_table>>(batch->records.front().what).what;
  CHECK(std::get<lock::configure>(opening).token_floor == 7'000);
  caf::anon_send_exit(*service, caf::exit_reason::kill);
}

TEST_CASE("signs of life of workers wait for the next round of their group, other questions do not",
          "[host][replicated]") {
  init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                caf::id_block::troupe_scheduler>();
  caf::actor_system_config cfg;
  caf::actor_system system{cfg};
  auto group = std::make_shared<scripted_group>();
  auto service = host::spawn<scheduler::scheduler_service>(system, {}, host::replicated{group});
  REQUIRE(service);
  auto [home, listener] = group->joined.get_future().get();
  host::group_event what = host::to_service::lead{
    1, raft::group_time{100s}, 3, time_point{system.clock().now().time_since_epoch()}};
  home([tell = listener, what]() mutable { tell(what); });
  caf::scoped_actor self{system};
  auto waits = [&](std::size_t number) {
    auto asked = group->waits.at(number).get_future();
    REQUIRE(asked.wait_for(1min) == std::future_status::ready);
    return asked.get();
  };
  self->send(*service, scheduler::check_in{});
  CHECK(waits(0));
  self->send(*service, scheduler::find_statistics{});
  CHECK_FALSE(waits(1));
  caf::anon_send_exit(*service, caf::exit_reason::kill);
}
