#ifndef TROUPE_HOST_IMPL_WATCH_ACTOR_IPP
#define TROUPE_HOST_IMPL_WATCH_ACTOR_IPP

#include <utility>

#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/timer_queue.hpp"
#include "troupe/host/detail/watch_actor.hpp"

namespace troupe::host::detail {

class watch_state {
public:
  static inline const char* name = "troupe.watcher";

  explicit watch_state(caf::event_based_actor* self) : self_(self), later_(self) {}

  caf::behavior make_behavior() {
    return {[](caf::ok_atom) {}}; // all work arrives as jobs
  }

  void after(duration delay, std::function<void()> job) {
    later_.after(delay, std::move(job));
  }

  void close() {
    self_->quit();
  }

private:
  caf::event_based_actor* self_;
  timer_queue<caf::event_based_actor> later_;
};

TROUPE_COMPILED watch_actor::watch_actor(caf::actor_system& sys)
  : inside_(sys.spawn<caf::stateful_actor<watch_state>, caf::hidden>()) {}

TROUPE_COMPILED watch_actor::~watch_actor() {
  run_on_state<watch_state>(inside_, [](watch_state& state) { state.close(); });
}

TROUPE_COMPILED std::uint64_t watch_actor::id() const {
  return inside_.id();
}

TROUPE_COMPILED void watch_actor::run(std::function<void()> job) {
  run_on_state<watch_state>(inside_, [job = std::move(job)](watch_state&) { job(); });
}

TROUPE_COMPILED void watch_actor::after(duration delay, std::function<void()> job) {
  run_on_state<watch_state>(inside_, [delay, job = std::move(job)](watch_state& state) mutable {
    state.after(delay, std::move(job));
  });
}

} // namespace troupe::host::detail

#endif
