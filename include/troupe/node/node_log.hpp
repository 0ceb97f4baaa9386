#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "troupe/cluster/log_effects.hpp"
#include "troupe/core/complaints.hpp"
#include "troupe/core/log_line.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/platform/calendar.hpp"

namespace troupe::cluster {

/// Where all parts of a node say what its operator should know. Lines carry the time, a level and
/// the node; what goes wrong again and again is said as core's `complaints` has it. Copies write
/// into the same log. Thread-safe; the sink is called by one thread at a time, and must not block.
class node_log {
public:
  using sink = std::function<void(const log_line&)>;

  /// Says nothing to anybody.
  node_log() = default;

  node_log(std::string node, sink to)
    : inside_(to ? std::make_shared<inside>(std::move(node), std::move(to)) : nullptr) {}

  /// What is as it should be.
  void operator()(const std::string& text) const {
    say(log_level::info, text);
  }

  /// What is wrong and may right itself.
  void warn(const std::string& text) const {
    say(log_level::warning, text);
  }

  /// What stays wrong until somebody acts.
  void fail(const std::string& text) const {
    say(log_level::error, text);
  }

  /// `topic` is wrong, because of `detail`. For what may come up often: see complaints.
  void complain(const std::string& topic, const std::string& detail) const {
    if (!inside_)
      return;
    std::lock_guard guard{inside_->mutex};
    if (auto due = inside_->open.raise(now(), topic, detail))
      inside_->write(log_level::warning, *due);
  }

  /// `topic` is well. Costs little where nothing was wrong.
  void settle(const std::string& topic) const {
    if (!inside_)
      return;
    std::lock_guard guard{inside_->mutex};
    if (auto due = inside_->open.settle(now(), topic))
      inside_->write(log_level::info, *due);
  }

  /// `topic` is wrong, because of `why`, or well.
  void follow(const std::string& topic, const problem& why) const {
    if (why)
      complain(topic, why.detail);
    else
      settle(topic);
  }

  // -- for the shells of machines --------------------------------------------------------

  void perform(const log_effects::inform& what) const {
    (*this)(what.text);
  }

  void perform(const log_effects::warn& what) const {
    warn(what.text);
  }

  void perform(const log_effects::fail& what) const {
    fail(what.text);
  }

  void perform(const log_effects::complain& what) const {
    complain(what.topic, what.detail);
  }

  void perform(const log_effects::settle& what) const {
    settle(what.topic);
  }

private:
  struct inside {
    inside(std::string called, sink where) : node(std::move(called)), to(std::move(where)) {}

    void write(log_level level, const std::string& text) const {
      to({read_calendar(), level, node, text});
    }

    std::mutex mutex;
    std::string node;
    sink to;
    complaints open;
  };

  void say(log_level level, const std::string& text) const {
    if (!inside_)
      return;
    std::lock_guard guard{inside_->mutex};
    inside_->write(level, text);
  }

  static time_point now() {
    auto since = std::chrono::steady_clock::now().time_since_epoch();
    return time_point{std::chrono::duration_cast<duration>(since)};
  }

  std::shared_ptr<inside> inside_;
};

} // namespace troupe::cluster
