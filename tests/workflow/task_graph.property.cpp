// What holds for every graph, judged by definitions that are too slow to use.

#include "troupe/workflow/task_graph.hpp"
#include "support/seeds.hpp"
#include "troupe/workflow/analysis.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace task_graph_property {

using namespace std::literals;
using namespace troupe;
using namespace troupe::workflow;
using troupe::test::random_source;

namespace {

struct random_graph {
  task_index tasks = 0;
  std::vector<edge> edges;
  std::vector<duration> run_times;
};

/// Returns up to 12 tasks, numbered so that the numbers say nothing about the order,
/// and edges that all go one way, unless `cycles`. Many run times are equal or zero.
random_graph draw(random_source& random, bool cycles) {
  random_graph result;
  result.tasks = static_cast<task_index>(1 + random.below(12));
  std::vector<task_index> number(result.tasks);
  std::iota(number.begin(), number.end(), 0U);
  for (auto left = number.size(); left > 1; --left)
    std::swap(number[left - 1], number[random.below(left)]);
  auto density = 1 + random.below(6);
  for (std::size_t from = 0; from < number.size(); ++from)
    for (std::size_t to = cycles ? 0 : from + 1; to < number.size(); ++to)
      if (from != to && random.one_in(density))
        result.edges.emplace_back(number[from], number[to]);
  for (auto left = result.edges.size(); left > 1; --left)
    std::swap(result.edges[left - 1], result.edges[random.below(left)]);
  for (task_index each = 0; each < result.tasks; ++each)
    result.run_times.emplace_back(std::chrono::seconds{random.below(4)});
  return result;
}

/// Calls `visit` with every path from `last` on, whole or not.
template <class Visit>
void each_path(const random_graph& given, std::vector<task_index>& path, const Visit& visit) {
  visit(path);
  for (auto& [from, to] : given.edges)
    if (from == path.back()) {
      path.push_back(to);
      each_path(given, path, visit);
      path.pop_back();
    }
}

template <class Visit>
void each_path(const random_graph& given, const Visit& visit) {
  for (task_index first = 0; first < given.tasks; ++first) {
    std::vector<task_index> path{first};
    each_path(given, path, visit);
  }
}

duration length_of(const random_graph& given, const std::vector<task_index>& path) {
  auto result = duration::zero();
  for (auto each : path)
    result += given.run_times[each];
  return result;
}

} // namespace

TEST_CASE("each task comes after its parents, at the level of its longest way",
          "[workflow][property]") {
  test::for_each_seed(300, [](random_source random) {
    auto given = draw(random, false);
    task_graph graph{given.tasks, given.edges};
    REQUIRE(graph.acyclic());
    REQUIRE(graph.find_cycle().empty());
    std::vector<std::size_t> level_of(given.tasks, 0);
    each_path(given, [&](const std::vector<task_index>& path) {
      level_of[path.back()] = std::max(level_of[path.back()], path.size() - 1);
    });
    std::vector<std::pair<std::size_t, task_index>> expected;
    for (task_index each = 0; each < given.tasks; ++each)
      expected.emplace_back(level_of[each], each);
    std::ranges::sort(expected);
    std::vector<std::pair<std::size_t, task_index>> found;
    for (std::size_t level = 0; level < graph.level_count(); ++level)
      for (auto each : graph.level(level))
        found.emplace_back(level, each);
    REQUIRE(found == expected);
    REQUIRE(
      std::ranges::equal(graph.order(), found, {}, {}, [](auto& each) { return each.second; }));
  });
}

TEST_CASE("children and parents are the edges, seen from both ends", "[workflow][property]") {
  test::for_each_seed(200, [](random_source random) {
    auto given = draw(random, true);
    task_graph graph{given.tasks, given.edges};
    std::vector<edge> down;
    std::vector<edge> up;
    for (task_index each = 0; each < given.tasks; ++each) {
      for (auto child : graph.children(each))
        down.emplace_back(each, child);
      for (auto parent : graph.parents(each))
        up.emplace_back(parent, each);
    }
    std::ranges::sort(given.edges);
    std::ranges::sort(down);
    std::ranges::sort(up);
    REQUIRE(down == given.edges);
    REQUIRE(up == given.edges);
    REQUIRE(graph.edge_count() == given.edges.size());
  });
}

TEST_CASE("what is called a cycle is one, and none is missed", "[workflow][property]") {
  std::size_t cyclic = 0;
  test::for_each_seed(300, [&](random_source random) {
    auto given = draw(random, true);
    task_graph graph{given.tasks, given.edges};
    std::set<edge> edges{given.edges.begin(), given.edges.end()};
    // Brute force: take away what nothing leads to, until nothing changes.
    std::set<task_index> left;
    for (task_index each = 0; each < given.tasks; ++each)
      left.insert(each);
    auto can_go = [&](task_index each) {
      return std::ranges::none_of(
        edges, [&](const edge& way) { return way.second == each && left.contains(way.first); });
    };
    while (std::erase_if(left, can_go) > 0)
      continue;
    auto cycle = graph.find_cycle();
    REQUIRE(graph.acyclic() == left.empty());
    REQUIRE(cycle.empty() == left.empty());
    if (cycle.empty())
      return;
    ++cyclic;
    REQUIRE(std::set<task_index>(cycle.begin(), cycle.end()).size() == cycle.size());
    REQUIRE(cycle.front() == std::ranges::min(cycle));
    for (std::size_t at = 0; at < cycle.size(); ++at)
      REQUIRE(edges.contains({cycle[at], cycle[(at + 1) % cycle.size()]}));
  });
  if (!test::given_seed())
    CHECK(cyclic > 50);
}

TEST_CASE("no path is longer than the critical one, and none as long comes before it",
          "[workflow][property]") {
  test::for_each_seed(300, [](random_source random) {
    auto given = draw(random, false);
    task_graph graph{given.tasks, given.edges};
    path<> expected{{}, -1ns};
    each_path(given, [&](const std::vector<task_index>& tasks) {
      if (!graph.parents(tasks.front()).empty() || !graph.children(tasks.back()).empty())
        return;
      auto length = length_of(given, tasks);
      if (length > expected.length || (length == expected.length && tasks < expected.tasks))
        expected = {tasks, length};
    });
    REQUIRE(critical_path(graph, given.run_times) == expected);
  });
}

// How: the tasks get names in the order of their numbers and are handed in shuffled.
TEST_CASE("the figures of a workflow are those counted by hand", "[workflow][property]") {
  test::for_each_seed(200, [](random_source random) {
    auto given = draw(random, false);
    auto name = [](task_index each) { return std::string(1, static_cast<char>('a' + each)); };
    definition written;
    for (task_index each = 0; each < given.tasks; ++each) {
      auto& added = written.tasks.emplace_back();
      added.id = name(each);
      added.run_time = given.run_times[each];
      for (auto& [from, to] : given.edges)
        if (to == each)
          added.parents.push_back(name(from));
    }
    for (auto left = written.tasks.size(); left > 1; --left)
      std::swap(written.tasks[left - 1], written.tasks[random.below(left)]);
    auto flow = make_dag(written);
    REQUIRE(flow);
    auto figures = analyse(*flow);
    std::vector<std::uint32_t> in(given.tasks, 0);
    std::vector<std::uint32_t> out(given.tasks, 0);
    std::vector<task_index> part(given.tasks); // the lowest task that it hangs together with
    std::iota(part.begin(), part.end(), 0U);
    for (task_index round = 0; round < given.tasks; ++round)
      for (auto& [from, to] : given.edges)
        part[from] = part[to] = std::min(part[from], part[to]);
    for (auto& [from, to] : given.edges) {
      ++out[from];
      ++in[to];
    }
    REQUIRE(figures.tasks == given.tasks);
    REQUIRE(figures.edges == given.edges.size());
    REQUIRE(figures.sources == std::ranges::count(in, 0U));
    REQUIRE(figures.sinks == std::ranges::count(out, 0U));
    REQUIRE(figures.max_in_degree == std::ranges::max(in));
    REQUIRE(figures.max_out_degree == std::ranges::max(out));
    REQUIRE(figures.weakly_connected_components
            == std::set<task_index>(part.begin(), part.end()).size());
    REQUIRE(figures.max_level_width == std::ranges::max(figures.level_widths));
    REQUIRE(figures.total_work
            == std::accumulate(given.run_times.begin(), given.run_times.end(), 0ns));
    REQUIRE(figures.critical_path
            == critical_path(task_graph{given.tasks, given.edges}, given.run_times));
  });
}

TEST_CASE("an edge is implied exactly if another way leads along it", "[workflow][property]") {
  test::for_each_seed(200, [](random_source random) {
    auto given = draw(random, false);
    std::set<edge> expected;
    std::set<edge> edges{given.edges.begin(), given.edges.end()};
    each_path(given, [&](const std::vector<task_index>& path) {
      if (path.size() > 2 && edges.contains({path.front(), path.back()}))
        expected.emplace(path.front(), path.back());
    });
    auto found = implied_edges(task_graph{given.tasks, given.edges});
    REQUIRE(std::set<edge>(found.begin(), found.end()) == expected);
    REQUIRE(found.size() == expected.size());
  });
}

// How: both of Graham's bounds, and what one and very many workers need.
TEST_CASE("a list schedule keeps its promise for every number of workers", "[workflow][property]") {
  test::for_each_seed(200, [](random_source random) {
    auto given = draw(random, false);
    task_graph graph{given.tasks, given.edges};
    auto critical = critical_path(graph, given.run_times).length;
    auto work = std::accumulate(given.run_times.begin(), given.run_times.end(), duration::zero());
    for (std::uint32_t workers = 1; workers <= 13; ++workers) {
      auto end = list_schedule(graph, given.run_times, workers);
      REQUIRE(end >= critical);
      REQUIRE(end * workers >= work);
      REQUIRE(end * workers <= work + critical * (workers - 1));
    }
    REQUIRE(list_schedule(graph, given.run_times, 1) == work);
    REQUIRE(list_schedule(graph, given.run_times, given.tasks) == critical);
  });
}

} // namespace task_graph_property
