#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "caf/actor_system.hpp"
#include "caf/span.hpp"
#include "caf/telemetry/counter.hpp"
#include "caf/telemetry/gauge.hpp"
#include "caf/telemetry/histogram.hpp"
#include "caf/telemetry/metric_registry.hpp"
#include "troupe/core/time.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::host {

/// The metrics of a group, in the registry of the actor system: the gauges troupe.group-term,
/// -leads, -commit and -voters, the counters -changes-of-leader, -elections-won and
/// -ignored-messages, and the histograms -sync (unit: seconds) and -synced-entries. Only synced()
/// may be called from several threads at once.
class group_metrics {
public:
  explicit group_metrics(caf::actor_system& sys) {
    auto& all = sys.metrics();
    term_ = all.gauge_singleton("troupe", "group-term", "Current Raft term.");
    leads_ = all.gauge_singleton("troupe", "group-leads", "1 if this node is the leader, else 0.");
    commit_ = all.gauge_singleton("troupe", "group-commit", "Index of the last applied entry.");
    voters_ = all.gauge_singleton("troupe", "group-voters", "Members that vote.");
    changes_ = all.counter_singleton("troupe", "group-changes-of-leader",
                                     "Changes of leader that this node has seen.", "1", true);
    won_ = all.counter_singleton("troupe", "group-elections-won", "Elections won.", "1", true);
    ignored_ = all.counter_singleton("troupe", "group-ignored-messages",
                                     "Messages of members that were dropped.", "1", true);
    std::array seconds{0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0};
    syncs_
      = all.histogram_singleton<double>("troupe", "group-sync", caf::make_span(seconds),
                                        "Duration of a write to the log with its sync.", "seconds");
    std::array entries{1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 1024.0};
    batches_ = all.histogram_singleton<double>("troupe", "group-synced-entries",
                                               caf::make_span(entries), "Entries in a write.");
  }

  void changed_role(raft::role now, raft::term_number term, raft::member_id leader) {
    term_->value(static_cast<std::int64_t>(term));
    leads_->value(now == raft::role::leader ? 1 : 0);
    if (leader != raft::member_id{}) {
      if (leader_ != raft::member_id{} && leader != leader_)
        changes_->inc();
      leader_ = leader;
    }
    if (now == raft::role::leader)
      won_->inc();
  }

  void applied(raft::log_index index) {
    commit_->value(static_cast<std::int64_t>(index));
  }

  void members_are(const raft::configuration& members) {
    voters_->value(static_cast<std::int64_t>(members.voters().size()));
  }

  void ignored() {
    ignored_->inc();
  }

  /// After a write to the log, also one that failed. Thread-safe.
  void synced(std::size_t entries, duration took) {
    syncs_->observe(std::chrono::duration<double>(took).count());
    batches_->observe(static_cast<double>(entries));
  }

private:
  caf::telemetry::int_gauge* term_ = nullptr;
  caf::telemetry::int_gauge* leads_ = nullptr;
  caf::telemetry::int_gauge* commit_ = nullptr;
  caf::telemetry::int_gauge* voters_ = nullptr;
  caf::telemetry::int_counter* changes_ = nullptr;
  caf::telemetry::int_counter* won_ = nullptr;
  caf::telemetry::int_counter* ignored_ = nullptr;
  caf::telemetry::dbl_histogram* syncs_ = nullptr;
  caf::telemetry::dbl_histogram* batches_ = nullptr;
  raft::member_id leader_; // the last leader known
};

} // namespace troupe::host
