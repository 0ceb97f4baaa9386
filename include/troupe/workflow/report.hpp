#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "troupe/core/time.hpp"
#include "troupe/workflow/analysis.hpp"
#include "troupe/workflow/dag.hpp"
#include "troupe/workflow/detail/text.hpp"

/// The output of `troupe dag`, as JSON and as text.
namespace troupe::workflow {

/// Returns the figures as one JSON object: times in seconds, and the critical path as
/// the ids of its tasks. `sources` and `sinks` are counts.
inline nlohmann::ordered_json to_json(const dag& flow, const analysis& figures) {
  auto seconds = [](duration span) { return static_cast<double>(span.count()) / 1e9; };
  auto ids = nlohmann::ordered_json::array();
  for (auto each : figures.critical_path.tasks)
    ids.push_back(flow[each].id);
  return {{"name", flow.name()},
          {"tasks", figures.tasks},
          {"edges", figures.edges},
          {"sources", figures.sources},
          {"sinks", figures.sinks},
          {"weakly_connected_components", figures.weakly_connected_components},
          {"levels", figures.level_widths.size()},
          {"level_widths", figures.level_widths},
          {"max_level_width", figures.max_level_width},
          {"max_in_degree", figures.max_in_degree},
          {"max_out_degree", figures.max_out_degree},
          {"critical_path_s", seconds(figures.critical_path.length)},
          {"critical_path", std::move(ids)},
          {"average_parallelism", figures.average_parallelism()},
          {"total_work_s", seconds(figures.total_work)}};
}

/// Writes the figures as text. A long critical path or list of levels is shortened in its
/// middle.
inline void print(std::ostream& out, const dag& flow, const analysis& figures) {
  auto line = [&](const char* label, const std::string& value) {
    std::string padded{label};
    padded.resize(22, ' ');
    out << padded << value << '\n';
  };
  auto count = [](std::uint32_t number) { return std::to_string(number); };
  auto& path = figures.critical_path;
  char parallelism[32];
  std::snprintf(parallelism, sizeof parallelism, "%.2f", figures.average_parallelism());
  if (!flow.name().empty())
    line("workflow", flow.name());
  line("tasks", count(figures.tasks));
  line("edges", count(figures.edges));
  line("sources, sinks", count(figures.sources) + ", " + count(figures.sinks));
  line("components", count(figures.weakly_connected_components));
  line("levels", std::to_string(figures.level_widths.size()));
  line("level widths", detail::join_shortened(figures.level_widths.size(), " ", [&](auto level) {
         return count(figures.level_widths[level]);
       }));
  line("widest level", count(figures.max_level_width));
  line("most parents", count(figures.max_in_degree));
  line("most children", count(figures.max_out_degree));
  line("total work", detail::seconds_text(figures.total_work) + " s");
  line("critical path", detail::seconds_text(path.length) + " s");
  line("average parallelism", parallelism);
  out << "critical path, task by task\n  "
      << detail::join_shortened(path.tasks.size(), "\n  ",
                                [&](auto at) {
                                  auto& each = flow[path.tasks[at]];
                                  return each.id + " (" + detail::seconds_text(each.run_time)
                                         + " s)";
                                })
      << '\n';
}

} // namespace troupe::workflow
