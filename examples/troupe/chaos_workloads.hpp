#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "chaos_client.hpp"
#include "chaos_history.hpp"

/// What clients do in a run of `troupe chaos`, and what must hold of what they saw.
namespace cli::chaos {

class workload {
public:
  virtual ~workload() = default;

  /// What one client does next. Called by many threads.
  virtual void go_on(client& who) = 0;

  /// Looks at the state that is left, once all is well and the clients are gone. Returns what
  /// could not be looked at.
  [[nodiscard]] virtual troupe::problem finish(client& who) = 0;

  virtual void check(const troupe::sim::history& lines, findings& found) const = 0;

  /// More figures for the summary, by name.
  [[nodiscard]] virtual std::map<std::string, std::size_t>
  figures(const troupe::sim::history& /*lines*/) const {
    return {};
  }

  /// More words for each node.
  [[nodiscard]] virtual std::vector<std::string> node_words() const {
    return {};
  }

  /// What belongs to the history beside it, as JSON lines: what the guarded resource saw.
  [[nodiscard]] virtual std::string fence_log() const {
    return {};
  }
};

/// A register, or a table of several keys, with compare-and-set.
std::unique_ptr<workload> make_register_workload(bool is_table, std::size_t clients);
/// Queues, each kept in one value.
std::unique_ptr<workload> make_queue_workload(std::size_t clients);
/// Locks that do not run out.
std::unique_ptr<workload> make_lock_workload(std::size_t clients);
/// Locks that do, and a resource that they guard in `folder`.
std::unique_ptr<workload> make_lease_workload(std::size_t clients,
                                              const std::filesystem::path& folder);
/// Workflows, submitted and waited for.
std::unique_ptr<workload> make_scheduler_workload();

/// Returns nothing if there is none of that name.
inline std::unique_ptr<workload> make_workload(const std::string& name, std::size_t clients,
                                               const std::filesystem::path& folder) {
  if (name == "register")
    return make_register_workload(false, clients);
  if (name == "kv")
    return make_register_workload(true, clients);
  if (name == "queue")
    return make_queue_workload(clients);
  if (name == "lock")
    return make_lock_workload(clients);
  if (name == "lease")
    return make_lease_workload(clients, folder);
  if (name == "scheduler")
    return make_scheduler_workload();
  return nullptr;
}

} // namespace cli::chaos
