#pragma once

#include <cstddef>
#include <filesystem>
#include <map>

#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/scheduler/types.hpp"
#include "troupe/workflow/dag.hpp"

/// What the demo compares itself with.
namespace cli {

/// Returns when a greedy list schedule ends, longest remaining path first. `workers` says how
/// many there are from when on, the first from zero; what ran on those that go begins anew.
troupe::duration list_schedule_with_losses(const troupe::workflow::dag& flow, double scale,
                                           const std::map<troupe::duration, std::size_t>& workers);

/// What the log of a cluster says of one run.
struct journal_count {
  std::size_t recorded = 0;
  std::size_t twice = 0;
  std::size_t late = 0;
};

/// Steps what the group of a cluster has agreed on once more, from the file of one of its
/// nodes, and counts for each task how often a result was taken.
troupe::result<journal_count> count_results(const std::filesystem::path& file,
                                            troupe::scheduler::run_id run);

} // namespace cli
