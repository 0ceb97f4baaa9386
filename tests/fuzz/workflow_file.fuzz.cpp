#include "troupe/workflow/file.hpp"

#include "fuzz/laws.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/workflow/analysis.hpp"
#include "troupe/workflow/report.hpp"

#include <sstream>

namespace workflow_file_fuzz {

namespace {

using namespace troupe;
using namespace troupe::workflow;
using test::must_hold;

int one_input(const std::uint8_t* data, std::size_t size) {
  auto flow = parse_workflow(test::text_of(data, size));
  if (!flow) {
    must_hold(is_utf8(flow.error().detail), "a refusal can be read");
    must_hold(flow.error().detail.size() < 8'000, "a refusal is short"); // 20 ids at most
    return 0;
  }
  std::vector<bool> seen(flow->size(), false);
  for (auto each : flow->topological_order()) {
    for (auto parent : flow->parents(each))
      must_hold(seen[parent], "each task comes after its parents");
    seen[each] = true;
  }
  must_hold(flow->topological_order().size() == flow->size(), "every task can run");
  auto given = from_bytes<definition>(to_bytes(flow->as_definition()));
  must_hold(given && *make_dag(*given) == *flow, "a dag comes back from its definition");
  auto figures = analyse(*flow);
  must_hold(figures.critical_path.length <= figures.total_work, "no path holds more than all");
  must_hold(implied_edges(flow->graph()).size() <= figures.edges, "no edge is implied twice");
  auto end = list_schedule(*flow, 3);
  must_hold(figures.critical_path.length <= end && end <= figures.total_work,
            "a schedule is as long as its longest path, and no longer than all in line");
  must_hold(!to_json(*flow, figures).dump().empty(), "the figures can be written as JSON");
  std::ostringstream out;
  print(out, *flow, figures);
  return 0;
}

} // namespace

} // namespace workflow_file_fuzz

TROUPE_FUZZER(workflow_file, workflow_file_fuzz::one_input)
