#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "picture_text.hpp"
#include "troupe/core/utf8.hpp"
#include "troupe/workflow/analysis.hpp"
#include "troupe/workflow/dag.hpp"
#include "troupe/workflow/detail/text.hpp"

namespace cli {

/// A text of a picture as a quoted string of DOT, in which '\', '"' and HTML entities are special.
/// Source: Graphviz documentation, "The DOT Language" and "escString".
inline std::string dot_quoted(std::string_view text) {
  std::string all = "\"";
  for (auto each : text_of_picture(text))
    if (each == '\\' || each == '"')
      all += {'\\', each};
    else if (each == '&')
      all += "&amp;";
    else
      all += each;
  return all + '"';
}

/// A label with `first` and below it `second`; a long `first` is cut.
inline std::string dot_label(std::string_view first, std::string_view second) {
  constexpr std::size_t most = 48; // bytes; wider boxes would make the picture too wide
  std::string shown{troupe::utf8_prefix(first, most)};
  if (shown.size() < first.size())
    shown += "...";
  auto label = dot_quoted(shown);
  label.pop_back();
  return label + "\\n" + dot_quoted(second).substr(1);
}

/// A workflow in the language of Graphviz: a box for each task, an arrow to each task that waits
/// for it. The critical path has another colour and thick lines.
inline std::string dot_text(const troupe::workflow::dag& flow,
                            const troupe::workflow::path<>& critical) {
  using troupe::workflow::detail::seconds_text;
  auto name_of = [](troupe::workflow::task_index task) { return "t" + std::to_string(task); };
  std::vector<troupe::workflow::task_index> next_of(flow.size(),
                                                    flow.size()); // on the critical path
  std::vector<bool> is_critical(flow.size());
  for (std::size_t at = 0; at < critical.tasks.size(); ++at) {
    is_critical[critical.tasks[at]] = true;
    if (at > 0)
      next_of[critical.tasks[at - 1]] = critical.tasks[at];
  }
  auto text = "digraph workflow {\n  graph [labelloc=t, label="
              + dot_label(flow.name(),
                          "critical path (thick lines): " + seconds_text(critical.length) + " s")
              + "]\n  node [shape=box, style=\"rounded,filled\", fillcolor=\"#e8eef7\", "
                "color=\"#4a6484\", fontname=\"sans-serif\"]\n  edge [color=\"#8496ab\"]\n";
  for (troupe::workflow::task_index each = 0; each < flow.size(); ++each) {
    auto& task = flow[each];
    text += "  " + name_of(each)
            + " [label=" + dot_label(task.id, seconds_text(task.run_time) + " s")
            + ", tooltip=" + dot_quoted(task.id)
            + (is_critical[each] ? ", fillcolor=\"#fbd9c8\", color=\"#b3400a\", penwidth=3" : "")
            + "]\n";
  }
  for (troupe::workflow::task_index each = 0; each < flow.size(); ++each)
    for (auto child : flow.children(each))
      text += "  " + name_of(each) + " -> " + name_of(child)
              + (child == next_of[each] ? " [color=\"#b3400a\", penwidth=3]\n" : "\n");
  return text + "}\n";
}

} // namespace cli
