#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "troupe/workflow/dag.hpp"

namespace troupe::test {

/// Which lists of a WfFormat file name the edges.
enum class edge_lists : std::uint8_t { both, parents, children };

/// Returns `flow` as WfFormat 1.5, with what that format can say. Tasks stand in the
/// order of their ids under specification, and the other way round under execution.
inline nlohmann::ordered_json wf_format_twin(const workflow::dag& flow,
                                             edge_lists lists = edge_lists::both) {
  using json = nlohmann::ordered_json;
  auto ids = [&](auto tasks, bool named) {
    auto result = json::array();
    for (auto each : tasks)
      if (named)
        result.push_back(flow[each].id);
    return result;
  };
  auto written = json::array();
  auto measured = json::array();
  for (workflow::task_index each = 0; each < flow.size(); ++each) {
    written.push_back({{"name", flow[each].id.substr(0, flow[each].id.rfind('_'))},
                       {"id", flow[each].id},
                       {"parents", ids(flow.parents(each), lists != edge_lists::children)},
                       {"children", ids(flow.children(each), lists != edge_lists::parents)}});
    auto& task = flow[flow.size() - 1 - each];
    json entry{{"id", task.id},
               {"runtimeInSeconds", static_cast<double>(task.run_time.count()) / 1e9}};
    if (task.cores != 1)
      entry["coreCount"] = static_cast<double>(task.cores); // the schema says number
    if (task.memory_bytes != 0)
      entry["memoryInBytes"] = task.memory_bytes;
    if (task.priority != 0)
      entry["priority"] = task.priority;
    measured.push_back(entry);
  }
  return {
    {"name", flow.name()},
    {"schemaVersion", "1.5"},
    {"workflow",
     {{"specification", {{"tasks", written}}},
      {"execution",
       {{"makespanInSeconds", 0}, {"executedAt", "2024-01-01T00:00:00Z"}, {"tasks", measured}}}}}};
}

} // namespace troupe::test
