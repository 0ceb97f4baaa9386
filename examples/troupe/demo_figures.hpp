#pragma once

#include <cstddef>
#include <filesystem>
#include <map>

#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/scheduler/types.hpp"
#include "troupe/workflow/dag.hpp"

/// Figures that the demo compares its run with.
namespace cli {

/// Returns the end of a greedy list schedule, longest remaining path first. `workers` says how
/// many workers there are from which time on, the first entry from zero; tasks of workers that
/// go start anew.
troupe::duration list_schedule_with_losses(const troupe::workflow::dag& flow, double scale,
                                           const std::map<troupe::duration, std::size_t>& workers);

/// What the log of a cluster says of one run.
struct journal_count {
  std::size_t recorded = 0;
  std::size_t twice = 0;
  std::size_t late = 0;
};

/// Replays the log of a group from the file of one of its nodes, and counts for each task how
/// often a result was recorded.
troupe::result<journal_count> count_results(const std::filesystem::path& file,
                                            troupe::scheduler::run_id run);

} // namespace cli
