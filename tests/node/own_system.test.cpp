#include "troupe/node/own_system.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <future>
#include <memory>

#include "caf/actor_system_config.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/init_global_meta_objects.hpp"
#include "caf/scoped_actor.hpp"
#include "troupe/testing/comes_true.hpp"

namespace own_system_test {

using namespace troupe;

namespace {

/// What there is of one actor system.
struct witness {
  std::atomic<int> threads{0};
  std::atomic<bool> is_freed{false};
};

std::shared_ptr<witness> seen;

class hook final : public compat::thread_hook {
public:
  void init(caf::actor_system&) override {}

  void started() override {
    ++of_->threads;
  }

  void thread_terminates() override {
    --of_->threads;
  }

private:
  std::shared_ptr<witness> of_ = seen;
};

struct config : caf::actor_system_config {
  config() {
    set("caf.scheduler.max-threads", 2);
    add_thread_hook<hook>();
  }

  config(const config&) = delete;
  config& operator=(const config&) = delete;

  ~config() override {
    of_->is_freed = true;
  }

private:
  std::shared_ptr<witness> of_ = seen;
};

using system_here = cluster::own_system<config>;

} // namespace

TEST_CASE("the end of an own system waits for its threads, and for no others", "[node]") {
  caf::core::init_global_meta_objects();
  for (auto count = 0; count < 20; ++count) {
    auto of = seen = std::make_shared<witness>();
    auto made = std::make_unique<system_here>();
    {
      caf::scoped_actor self{made->system()}; // so this thread has used it
      auto inside = std::make_shared<std::promise<bool>>();
      made->system().spawn([inside, which = made.get()](caf::event_based_actor*) {
        inside->set_value(which->is_on_this_thread());
      });
      CHECK(inside->get_future().get());
      CHECK_FALSE(made->is_on_this_thread());
    }
    CHECK(of->threads > 0);
    system_here::end(std::move(made));
    CHECK(of->threads == 0);
    CHECK(testing::comes_true([&] { return of->is_freed.load(); }));
  }
}

} // namespace own_system_test
