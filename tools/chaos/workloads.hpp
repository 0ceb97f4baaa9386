#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "chaos/client.hpp"
#include "chaos/history.hpp"
#include "troupe/core/time.hpp"

/// The workloads of `troupe chaos`, and the laws for what clients saw.
namespace cli::chaos {

class witness;

class workload {
public:
  virtual ~workload() = default;

  /// Does the next operation of one client. Called by many threads.
  virtual void go_on(client& who) = 0;

  /// Reads the remaining state, after the faults and the clients have ended. Returns a problem if
  /// some of it could not be read.
  [[nodiscard]] virtual troupe::problem finish(client& who) = 0;

  virtual void check(const troupe::sim::history& lines, findings& found) const = 0;

  /// Writes the history of the run.
  virtual void write_lines(std::ostream& out, const troupe::sim::history& lines) const {
    troupe::sim::write_history(out, lines);
  }

  /// What has to hear of all that happens to the nodes, and collects what they write of each other;
  /// null: nothing.
  [[nodiscard]] virtual witness* watched() {
    return nullptr;
  }

  /// How much longer faults have to last than by default.
  [[nodiscard]] virtual troupe::duration longer_faults() const {
    return {};
  }

  /// Whether all is as it was before the faults, which takes up to settles_within().
  [[nodiscard]] virtual bool is_settled() const {
    return true;
  }
  [[nodiscard]] virtual troupe::duration settles_within() const {
    return {};
  }

  /// More figures for the summary, by name.
  [[nodiscard]] virtual std::map<std::string, std::size_t>
  figures(const troupe::sim::history& /*lines*/) const {
    return {};
  }

  /// More arguments for each node.
  [[nodiscard]] virtual std::vector<std::string> node_words() const {
    return {};
  }

  /// Additional history, as JSON lines: what the guarded resource saw.
  [[nodiscard]] virtual std::string fence_log() const {
    return {};
  }
};

/// What a workload knows of the run.
struct run_shape {
  std::size_t nodes = 3;
  std::size_t clients = 4;
  /// wan or lan.
  std::string timers = "wan";
  /// A folder that ends with the run.
  std::filesystem::path folder{};
};

/// A register, or a table of several keys, with compare-and-set.
std::unique_ptr<workload> make_register_workload(bool is_table, std::size_t clients);
/// Queues, each kept in one value.
std::unique_ptr<workload> make_queue_workload(std::size_t clients);
/// Locks that do not run out.
std::unique_ptr<workload> make_lock_workload(std::size_t clients);
/// Locks that run out, and a resource that they guard in `folder`.
std::unique_ptr<workload> make_lease_workload(std::size_t clients,
                                              const std::filesystem::path& folder);
/// Numbers of a service that the nodes' program adds.
std::unique_ptr<workload> make_service_workload();
/// Workflows, submitted and waited for.
std::unique_ptr<workload> make_scheduler_workload();

/// What nodes show of each other.
std::unique_ptr<workload> make_membership_workload(const run_shape& how);
/// Messages that nodes send each other.
std::unique_ptr<workload> make_messages_workload(const run_shape& how);

/// The workload of that name; null if there is none.
inline std::unique_ptr<workload> make_workload(const std::string& name, const run_shape& how) {
  auto clients = how.clients;
  if (name == "register")
    return make_register_workload(false, clients);
  if (name == "kv")
    return make_register_workload(true, clients);
  if (name == "queue")
    return make_queue_workload(clients);
  if (name == "lock")
    return make_lock_workload(clients);
  if (name == "lease")
    return make_lease_workload(clients, how.folder);
  if (name == "service")
    return make_service_workload();
  if (name == "scheduler")
    return make_scheduler_workload();
  if (name == "membership")
    return make_membership_workload(how);
  if (name == "messages")
    return make_messages_workload(how);
  return nullptr;
}

} // namespace cli::chaos
