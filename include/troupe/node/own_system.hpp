#pragma once

#include <memory>
#include <utility>

#include "caf/actor_system.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/thread_mark.hpp"
#include "troupe/node/undertaker.hpp"

namespace troupe::cluster {

/// An actor system that a node or a client has for itself, and its configuration.
template <class Config>
class own_system {
public:
  own_system() = default;
  own_system(const own_system&) = delete;
  own_system& operator=(const own_system&) = delete;

  [[nodiscard]] caf::actor_system& system() {
    return system_;
  }

  /// Whether the calling thread belongs to it; end() would wait for that.
  [[nodiscard]] bool is_on_this_thread() const {
    return mark_.is_on_this_thread();
  }

  /// Ends the system, and returns once it has no threads. Its memory is freed later: CAF waits
  /// until all threads of the program that have used it use another system, or end.
  /// @pre it is not on a thread of the system
  static void end(std::unique_ptr<own_system> which) {
    compat::let_go_of_logger();
    auto mark = which->mark_;
    undertaker::of_process().take(std::move(which));
    mark.wait_for_no_threads();
  }

private:
  struct marking_config : Config {
    explicit marking_config(const thread_mark& what) {
      what.set_on_threads_of(*this);
    }
  };

  thread_mark mark_;
  marking_config config_{mark_};
  caf::actor_system system_{config_};
};

} // namespace troupe::cluster
