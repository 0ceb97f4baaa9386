#include <chrono>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <utility>

#include "commands.hpp"
#include "dot_text.hpp"
#include "graphviz.hpp"
#include "output_file.hpp"
#include "troupe/workflow/analysis.hpp"
#include "troupe/workflow/file.hpp"
#include "troupe/workflow/report.hpp"

namespace cli {

using namespace troupe;

namespace {

/// Within these bounds Graphviz takes seconds: 4 s for 2,000 tasks in layers with 5,000 edges, 30 s
/// for twice as many edges. Larger pictures are unreadable.
constexpr std::uint32_t max_drawn_tasks = 2'000;
constexpr std::uint32_t max_drawn_edges = 5'000;

struct drawing {
  std::string text;
  /// Why it is the text of the graph instead of a picture.
  problem why;
};

drawing draw(const workflow::dag& flow, const workflow::analysis& figures, duration within) {
  auto text = dot_text(flow, figures.critical_path);
  if (figures.tasks > max_drawn_tasks || figures.edges > max_drawn_edges)
    return {std::move(text),
            {errc::too_large,
             std::to_string(figures.tasks) + " tasks and " + std::to_string(figures.edges)
               + " edges are above the bounds for drawing (" + std::to_string(max_drawn_tasks)
               + " and " + std::to_string(max_drawn_edges)
               + "); run dot -Tsvg on that file, which may take long"}};
  auto drawn = draw_by_graphviz(text, within);
  if (!drawn)
    return {std::move(text), drawn.error()};
  return {*std::move(drawn), {}};
}

} // namespace

int run_dag(const common_options& common, const dag_command& what) {
  auto flow = workflow::read_workflow(what.file);
  if (!flow)
    return complain_of_workflow(common, flow.error());
  std::optional<output_file> svg;
  if (!what.svg.empty()) {
    auto opened = output_file::open(what.svg, "--svg", what.file);
    if (!opened)
      return complain(common, opened.error());
    svg = *std::move(opened);
  }
  auto figures = workflow::analyse(*flow);
  auto shown = workflow::to_json(*flow, figures);
  if (svg) {
    auto within
      = std::chrono::duration_cast<duration>(std::chrono::duration<double>{what.draw_within_s});
    auto made = draw(*flow, figures, within);
    if (auto why = svg->write(made.text))
      return complain(common, why);
    if (made.why)
      note(common, "warning",
           what.svg + " has the graph as text (DOT) instead of a picture: " + made.why.detail);
    shown["drawing"] = what.svg;
    shown["drawing_format"] = made.why ? "dot" : "svg";
  }
  if (common.json)
    print(shown);
  else
    workflow::print(std::cout, *flow, figures);
  return ok;
}

} // namespace cli
