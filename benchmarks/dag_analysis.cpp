// How long does it take to know a workflow: its graph built, a topological order, the
// critical path, the width of each level? Rival: the same on Boost's CSR graph with
// Boost's topological_sort and the shortest loops for the rest. Both start from the
// same list of edges between numbers, sorted by child as a file has them.
//
// A line per size, times in ms (median, fastest and slowest run; the sides take turns):
//   troupe  task_graph, critical_path
//   boost   compressed_sparse_row_graph, topological_sort, longest paths by hand
//   boost_dag_shortest_paths   the same with Boost's dag_shortest_paths, once for
//           the critical path and once for the levels
//   by_id   make_dag and analyse, from tasks that name their parents: what a file costs
//
// Usage: dag_analysis [TASKS...]

#include "troupe/core/random.hpp"
#include "troupe/workflow/analysis.hpp"
#include "troupe/workflow/dag.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <iterator>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/graph/compressed_sparse_row_graph.hpp>
#include <boost/graph/dag_shortest_paths.hpp>
#include <boost/graph/topological_sort.hpp>
#include <boost/property_map/function_property_map.hpp>
#include <boost/property_map/property_map.hpp>

using namespace troupe;
using namespace troupe::workflow;

namespace {

struct question {
  task_index tasks = 0;
  std::vector<edge> edges;
  std::vector<duration> run_times;
};

/// What each side has to find; the sides must agree.
struct knowledge {
  duration critical{};
  std::vector<task_index> path;
  std::vector<std::uint32_t> widths;
};

/// Returns `tasks` tasks, each but the first few with three parents before it. Their
/// numbers tell nothing about the order.
question draw(task_index tasks) {
  random_source random{1};
  question result{tasks, {}, {}};
  std::vector<task_index> number(tasks);
  std::iota(number.begin(), number.end(), 0U);
  for (auto left = number.size(); left > 1; --left)
    std::swap(number[left - 1], number[random.below(left)]);
  for (task_index each = 0; each < tasks; ++each) {
    result.run_times.emplace_back(static_cast<std::int64_t>(random.below(1'000'000'000)));
    std::vector<task_index> parents;
    while (parents.size() < std::min<std::size_t>(3, each)) {
      auto parent = number[random.below(each)];
      if (std::find(parents.begin(), parents.end(), parent) == parents.end())
        parents.push_back(parent);
    }
    for (auto parent : parents)
      result.edges.emplace_back(parent, number[each]);
  }
  std::sort(result.edges.begin(), result.edges.end(), [](const edge& left, const edge& right) {
    return std::pair{left.second, left.first} < std::pair{right.second, right.first};
  });
  return result;
}

knowledge by_troupe(const question& given) {
  task_graph graph{given.tasks, given.edges};
  auto critical = critical_path(graph, given.run_times);
  knowledge result{critical.length, std::move(critical.tasks), {}};
  for (std::size_t level = 0; level < graph.level_count(); ++level)
    result.widths.push_back(static_cast<std::uint32_t>(graph.level(level).size()));
  return result;
}

using csr_graph
  = boost::compressed_sparse_row_graph<boost::directedS, boost::no_property, boost::no_property,
                                       boost::no_property, std::uint32_t, std::uint32_t>;

csr_graph csr_of(const question& given) {
  return {boost::edges_are_unsorted_multi_pass, given.edges.begin(), given.edges.end(),
          given.tasks};
}

/// Follows `before` back from `last`; a source is before itself.
std::vector<task_index> way_to(task_index last, const std::vector<task_index>& before) {
  std::vector<task_index> result{last};
  while (before[result.back()] != result.back())
    result.push_back(before[result.back()]);
  std::reverse(result.begin(), result.end());
  return result;
}

std::vector<std::uint32_t> widths_of(const std::vector<std::uint32_t>& level_of) {
  std::vector<std::uint32_t> result(*std::max_element(level_of.begin(), level_of.end()) + 1, 0);
  for (auto level : level_of)
    ++result[level];
  return result;
}

knowledge by_boost(const question& given) {
  auto graph = csr_of(given);
  std::vector<std::uint32_t> order;
  order.reserve(given.tasks);
  boost::topological_sort(graph, std::back_inserter(order));
  std::vector<duration> end(given.run_times);
  std::vector<std::uint32_t> level_of(given.tasks, 0);
  std::vector<task_index> before(given.tasks);
  std::iota(before.begin(), before.end(), 0U);
  task_index last = order.back();
  for (auto at = order.rbegin(); at != order.rend(); ++at) {
    if (end[*at] > end[last])
      last = *at;
    for (auto [child, stop] = boost::adjacent_vertices(*at, graph); child != stop; ++child) {
      level_of[*child] = std::max(level_of[*child], level_of[*at] + 1);
      if (auto later = end[*at] + given.run_times[*child]; later > end[*child]) {
        end[*child] = later;
        before[*child] = *at;
      }
    }
  }
  return {end[last], way_to(last, before), widths_of(level_of)};
}

/// A task more from which all sources start, since Boost wants one; run times stand
/// on the edges that lead to their tasks.
knowledge by_boost_alone(const question& given) {
  auto all = given;
  std::vector<bool> source(given.tasks, true);
  for (auto& [parent, child] : given.edges)
    source[child] = false;
  for (task_index each = 0; each < given.tasks; ++each)
    if (source[each])
      all.edges.emplace_back(given.tasks, each);
  ++all.tasks;
  auto graph = csr_of(all);
  using arc = boost::graph_traits<csr_graph>::edge_descriptor;
  auto longest = [&]<class Number>(Number, const auto& length_of, auto& before) {
    std::vector<Number> distance(all.tasks);
    boost::dag_shortest_paths(graph, given.tasks,
                              boost::weight_map(boost::make_function_property_map<arc>(length_of))
                                .distance_map(boost::make_iterator_property_map(
                                  distance.begin(), boost::get(boost::vertex_index, graph)))
                                .predecessor_map(before)
                                .distance_compare(std::greater<Number>{})
                                .distance_inf(Number{-1})
                                .distance_zero(Number{0}));
    return distance;
  };
  std::vector<task_index> before(all.tasks);
  auto before_map
    = boost::make_iterator_property_map(before.begin(), boost::get(boost::vertex_index, graph));
  auto end = longest(
    std::int64_t{0},
    [&](const arc& each) { return given.run_times[boost::target(each, graph)].count(); },
    before_map);
  boost::dummy_property_map nothing;
  auto depth = longest(
    std::int32_t{0}, [](const arc&) { return std::int32_t{1}; }, nothing);
  auto last = static_cast<task_index>(std::max_element(end.begin(), end.end()) - end.begin());
  auto path = way_to(last, before);
  path.erase(path.begin());
  std::vector<std::uint32_t> level_of;
  for (task_index each = 0; each < given.tasks; ++each)
    level_of.push_back(static_cast<std::uint32_t>(depth[each] - 1));
  return {duration{end[last]}, std::move(path), widths_of(level_of)};
}

definition by_ids(const question& given) {
  definition result;
  for (task_index each = 0; each < given.tasks; ++each) {
    auto& added = result.tasks.emplace_back();
    added.id = "task_ID" + std::to_string(1'000'000 + each);
    added.run_time = given.run_times[each];
  }
  for (auto& [parent, child] : given.edges)
    result.tasks[child].parents.push_back(result.tasks[parent].id);
  return result;
}

/// Times of one side, in ms.
class stopwatch {
public:
  template <class Work>
  auto time(Work work) {
    auto start = std::chrono::steady_clock::now();
    auto result = work();
    std::chrono::duration<double, std::milli> span = std::chrono::steady_clock::now() - start;
    times_.push_back(span.count());
    return result;
  }

  [[nodiscard]] double median() {
    std::sort(times_.begin(), times_.end());
    return times_[times_.size() / 2];
  }

  void print(const char* name) {
    auto middle = median();
    std::printf(", \"%s\": {\"median\": %.3f, \"min\": %.3f, \"max\": %.3f}", name, middle,
                times_.front(), times_.back());
  }

private:
  std::vector<double> times_;
};

/// Returns whether all sides found the same.
bool compare(task_index tasks) {
  constexpr int runs = 9;
  auto given = draw(tasks);
  auto named = by_ids(given);
  std::array<stopwatch, 4> sides;
  auto agree = true;
  for (auto run = 0; run < runs; ++run) {
    auto ours = sides[0].time([&] { return by_troupe(given); });
    auto boosts = sides[1].time([&] { return by_boost(given); });
    auto alone = sides[2].time([&] { return by_boost_alone(given); });
    auto copy = named;
    auto file = sides[3].time([&] { return analyse(*make_dag(std::move(copy))); });
    agree = agree && ours.critical == boosts.critical && ours.critical == alone.critical
            && ours.critical == file.critical_path.length && ours.path == boosts.path
            && ours.path == alone.path && ours.widths == boosts.widths
            && ours.widths == alone.widths && ours.widths == file.level_widths;
  }
  std::printf("{\"benchmark\": \"dag_analysis\", \"tasks\": %u, \"edges\": %zu, \"runs\": %d, "
              "\"cores\": %u, \"unit\": \"ms\"",
              tasks, given.edges.size(), runs, std::thread::hardware_concurrency());
  sides[0].print("troupe");
  sides[1].print("boost");
  sides[2].print("boost_dag_shortest_paths");
  sides[3].print("by_id");
  std::printf(", \"ratio_to_boost\": %.2f, \"agree\": %s}\n", sides[0].median() / sides[1].median(),
              agree ? "true" : "false");
  return agree;
}

} // namespace

int main(int argc, char** argv) {
  std::vector<task_index> sizes{1'000, 10'000, 100'000};
  if (argc > 1)
    sizes.clear();
  for (auto each = 1; each < argc; ++each)
    sizes.push_back(static_cast<task_index>(std::max(1UL, std::stoul(argv[each]))));
  auto agree = true;
  for (auto size : sizes)
    agree = compare(size) && agree;
  return agree ? 0 : 1;
}
