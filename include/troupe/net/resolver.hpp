#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "troupe/core/result.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/platform/thread_name.hpp"

namespace troupe::net {

/// Resolves addresses so that one name never delays another: a number is resolved at once, and
/// names are looked up in parallel, because each lookup blocks as long as the system takes.
/// Thread-safe. The destructor does not wait.
class resolver {
public:
  using endpoints = result<std::vector<endpoint>>;
  using taker = std::function<void(const endpoints&)>;

  /// Names that are looked up in parallel, and names that wait in total.
  static constexpr std::size_t max_threads = 16;
  static constexpr std::size_t max_names = 1'024;

  /// `look_up` may block, and is called in several threads.
  explicit resolver(std::function<endpoints(const address&)> look_up = net::resolve)
    : shared_(std::make_shared<shared>(std::move(look_up))) {}

  /// Calls `done` once: at once for a number, else in a thread of this object, possibly after its
  /// end. `done` must not block. A name that already waits or is being looked up is not looked up
  /// twice. Errors: those of net::resolve(), limit_reached beyond max_names.
  void find(const address& where, taker done) {
    if (auto number = resolve_number(where))
      return done(*std::move(number));
    auto is_refused = false;
    {
      std::lock_guard guard{shared_->mutex};
      auto& takers = shared_->takers;
      auto known = takers.find(where);
      if (known != takers.end())
        return known->second.push_back(std::move(done));
      shared_->waiting.push_back(where);
      is_refused = takers.size() >= max_names || !has_thread();
      if (!is_refused)
        return takers[where].push_back(std::move(done));
      shared_->waiting.pop_back();
    }
    done(
      problem{errc::limit_reached, "host '" + where.host
                                     + "' is not looked up: too many names wait for an answer; "
                                       "check that name servers answer, or give its IP address"});
  }

private:
  /// Outlives this object while lookups run.
  struct shared {
    explicit shared(std::function<endpoints(const address&)> how) : look_up(std::move(how)) {}

    const std::function<endpoints(const address&)> look_up;
    std::mutex mutex;
    std::size_t threads = 0;
    std::deque<address> waiting; // for a free thread
    std::map<address, std::vector<taker>> takers;
  };

  /// Returns false if no thread serves the waiting names and none can be started. Call it under the
  /// mutex.
  bool has_thread() {
    auto& threads = shared_->threads;
    if (threads >= max_threads)
      return true;
    try {
      std::thread{[state = shared_] {
        name_this_thread("troupe.resolve");
        work(*state);
      }}.detach();
      ++threads;
    } catch (const std::system_error&) {
      return threads > 0; // an existing thread will take it
    }
    return true;
  }

  static void work(shared& state) {
    std::unique_lock guard{state.mutex};
    while (!state.waiting.empty()) {
      auto where = std::move(state.waiting.front());
      state.waiting.pop_front();
      guard.unlock();
      auto found = state.look_up(where);
      guard.lock();
      auto told = std::move(state.takers.extract(where).mapped());
      guard.unlock();
      for (auto& each : told)
        each(found);
      guard.lock();
    }
    --state.threads;
  }

  std::shared_ptr<shared> shared_;
};

} // namespace troupe::net
