#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "troupe/host/durable_core.hpp"

namespace troupe::host {

/// Runs a job on the actor of a service, from any thread.
using job_runner = std::function<void(std::function<void()>)>;

/// Gets the result of a write.
using write_done = std::function<void(const problem&)>;

class group_member;

/// Stores the records of a service: in_memory, durable or any class with the same five
/// functions. Virtual, so that one actor class works with all of them and is compiled once.
template <machine M>
class any_host {
public:
  any_host() = default;
  any_host(const any_host&) = delete;
  any_host& operator=(const any_host&) = delete;
  virtual ~any_host() = default;

  /// Brings the core to where the last run ended. May block.
  virtual problem load(durable_core<M>& core) = 0;

  /// Writes and syncs, then calls `done`, through `back` if on another thread.
  virtual void append(const batch<M>& records, const job_runner& back, const write_done& done) = 0;

  /// Saves a snapshot when there is time. Calls `failed` as append calls `done`, but only if the
  /// content of the disk is unknown afterwards.
  virtual void save(const std::shared_ptr<const durable_snapshot<M>>& state, const job_runner& back,
                    const write_done& failed)
    = 0;

  /// It is this late: after a crash time goes on from there.
  virtual void mark(time_point now) = 0;

  /// Whether mark() does anything.
  [[nodiscard]] virtual bool marks() const = 0;

  /// The floor for tokens at the first start.
  [[nodiscard]] virtual std::uint64_t token_floor() const = 0;

  /// The group that stores the records instead; null: there is none.
  [[nodiscard]] virtual group_member* group() const = 0;
};

/// Hosts without mark() keep no time.
template <class Host>
inline constexpr bool marks_time = requires(Host& host, time_point now) {
  host.mark(now);
};

/// Wraps a host.
template <machine M, class Host>
std::unique_ptr<any_host<M>> make_host(Host host) {
  class wrapped final : public any_host<M> {
  public:
    explicit wrapped(Host inside) : inside_(std::move(inside)) {}

    problem load(durable_core<M>& core) override {
      return inside_.load(core);
    }

    void append(const batch<M>& records, const job_runner& back, const write_done& done) override {
      inside_.append(records, back, done);
    }

    void save(const std::shared_ptr<const durable_snapshot<M>>& state, const job_runner& back,
              const write_done& failed) override {
      inside_.save(state, back, failed);
    }

    void mark(time_point now) override {
      if constexpr (marks_time<Host>)
        inside_.mark(now);
    }

    [[nodiscard]] bool marks() const override {
      return marks_time<Host>;
    }

    [[nodiscard]] std::uint64_t token_floor() const override {
      return inside_.token_floor();
    }

    [[nodiscard]] group_member* group() const override {
      if constexpr (requires { inside_.group(); })
        return inside_.group();
      else
        return nullptr;
    }

  private:
    Host inside_;
  };
  return std::make_unique<wrapped>(std::move(host));
}

} // namespace troupe::host
