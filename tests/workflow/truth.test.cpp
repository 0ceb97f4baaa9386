// Real workflows, and figures of them that were found with another tool.

#include "troupe/workflow/analysis.hpp"
#include "troupe/workflow/file.hpp"
#include "workflow/wf_format_twin.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ranges>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace truth_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::workflow;
using Catch::Matchers::WithinAbs;
using nlohmann::json;

namespace {

std::filesystem::path small_set() {
  return std::filesystem::path{TROUPE_TESTS_DIR} / "data" / "workflows";
}

std::filesystem::path large_set() {
  if (std::string_view{TROUPE_TEST_DATA}.empty())
    SKIP("TROUPE_TEST_DATA is not set");
  return std::filesystem::path{TROUPE_TEST_DATA} / "workflows";
}

double seconds(duration span) {
  return static_cast<double>(span.count()) / 1e9;
}

/// Truth is written with six decimals.
auto is(const json& truth) {
  return WithinAbs(truth.get<double>(), 0.6e-6);
}

template <class Check>
void for_each_instance(const std::filesystem::path& folder, std::size_t expected, Check check) {
  auto truth = json::parse(std::ifstream{folder / "truth.json"});
  auto& instances = truth.at("instances");
  REQUIRE(instances.size() == expected);
  for (auto& [name, figures] : instances.items()) {
    INFO(name);
    auto flow = read_workflow(folder / (name + ".json"));
    INFO((flow ? "" : flow.error().detail));
    REQUIRE(flow);
    check(*flow, figures);
  }
}

void check_path(const dag& flow, const std::vector<task_index>& path) {
  CHECK(flow.parents(path.front()).empty());
  CHECK(flow.children(path.back()).empty());
  for (std::size_t at = 1; at < path.size(); ++at)
    CHECK(std::ranges::count(flow.parents(path[at]), path[at - 1]) == 1);
}

void check_figures(const dag& flow, const json& truth) {
  auto figures = analyse(flow);
  CHECK(figures.tasks == truth.at("tasks"));
  CHECK(figures.edges == truth.at("edges"));
  CHECK(figures.edges - implied_edges(flow.graph()).size()
        == truth.at("edges_after_transitive_reduction"));
  CHECK(figures.sources == truth.at("sources"));
  CHECK(figures.sinks == truth.at("sinks"));
  CHECK(figures.weakly_connected_components == truth.at("weakly_connected_components"));
  CHECK(figures.level_widths.size() == truth.at("levels"));
  CHECK(json(figures.level_widths) == truth.at("level_widths"));
  CHECK(figures.max_level_width == truth.at("max_level_width"));
  CHECK(figures.max_in_degree == truth.at("max_in_degree"));
  CHECK(figures.max_out_degree == truth.at("max_out_degree"));
  CHECK_THAT(seconds(figures.total_work), is(truth.at("total_work_s")));
  CHECK_THAT(seconds(figures.critical_path.length), is(truth.at("critical_path_s")));
  CHECK_THAT(figures.average_parallelism(), is(truth.at("average_parallelism")));
  check_path(flow, figures.critical_path.tasks);
  std::vector<task_index> other; // of the same length
  auto length = 0ns;
  for (auto& id : truth.at("critical_path")) {
    other.push_back(flow.find(id.get<std::string>()).value());
    length += flow[other.back()].run_time;
  }
  check_path(flow, other);
  CHECK(length == figures.critical_path.length);
}

/// The tool that found the truth added up doubles, so that in two workflows tasks
/// with equal times remaining are told apart by rounding errors, not by their ids. Our
/// schedule adds up doubles here to meet it there, too, and nanoseconds elsewhere.
void check_schedules(const dag& flow, const json& truth) {
  constexpr std::array broken_ties{"epigenomics-chameleon-hep-3seq-50k-001"sv,
                                   "montage-chameleon-2mass-05d-001"sv};
  auto exact_ties = std::ranges::find(broken_ties, flow.name()) == broken_ties.end();
  std::vector<double> run_times;
  for (auto& each : flow.tasks())
    run_times.push_back(seconds(each.run_time));
  auto figures = analyse(flow);
  for (auto& [count, end] : truth.at("list_schedule_s").items()) {
    INFO(count << " workers");
    auto workers = static_cast<std::uint32_t>(std::stoul(count));
    CHECK_THAT(list_schedule(flow.graph(), run_times, workers), is(end));
    auto exact = list_schedule(flow, workers);
    if (exact_ties)
      CHECK_THAT(seconds(exact), is(end));
    CHECK(exact >= figures.critical_path.length);
    CHECK(exact * workers >= figures.total_work);
    CHECK(exact * workers <= figures.total_work + figures.critical_path.length * (workers - 1));
  }
}

void check_twins(const dag& flow, const json&) {
  for (auto lists :
       {test::edge_lists::both, test::edge_lists::parents, test::edge_lists::children}) {
    auto twin = parse_workflow(test::wf_format_twin(flow, lists).dump());
    REQUIRE(twin);
    CHECK(*twin == flow);
  }
}

} // namespace

TEST_CASE("every figure of the small set is reproduced", "[workflow]") {
  for_each_instance(small_set(), 3, check_figures);
}

TEST_CASE("every figure of the large set is reproduced", "[workflow][data]") {
  for_each_instance(large_set(), 14, check_figures);
}

TEST_CASE("every list schedule of the small set is reproduced", "[workflow]") {
  for_each_instance(small_set(), 3, check_schedules);
}

TEST_CASE("every list schedule of the large set is reproduced", "[workflow][data]") {
  for_each_instance(large_set(), 14, check_schedules);
}

TEST_CASE("a WfFormat twin of the small set is the same workflow", "[workflow]") {
  for_each_instance(small_set(), 3, check_twins);
}

TEST_CASE("a WfFormat twin of the large set is the same workflow", "[workflow][data]") {
  for_each_instance(large_set(), 14, check_twins);
}

TEST_CASE("a WfFormat file is the same workflow as its twin", "[workflow]") {
  auto ours = read_workflow(small_set() / "helloworld-forkjoin-10-chameleon.json");
  auto theirs = read_workflow(small_set() / "helloworld-forkjoin-10-chameleon.wfformat.json");
  REQUIRE(ours);
  REQUIRE(theirs);
  CHECK(*theirs == *ours);
}

} // namespace truth_test
