#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "chaos/node_count.hpp"
#include "chaos/witness.hpp"
#include "chaos/workloads.hpp"
#include "troupe/cluster/swim_options.hpp"
#include "troupe/sim/laws/membership_laws.hpp"

/// What the nodes show of each other, under faults. The history has no calls of clients, which only
/// count nodes, but what the nodes write of each other and what happens to them.
namespace cli::chaos {

using namespace troupe;
using namespace std::literals;

namespace {

class membership_workload final : public workload {
public:
  explicit membership_workload(const run_shape& how)
    : bounds_(sim::membership_bounds::of(
      how.timers == "lan" ? cluster::swim_options::lan() : cluster::swim_options{}, how.nodes)),
      witness_(how.folder / "membership") {}

  void go_on(client& who) override {
    static_cast<void>(count_nodes(who));
    who.rest(100ms);
  }

  problem finish(client& who) override {
    auto last = count_nodes(who);
    return last ? problem{} : last.error();
  }

  void check(const sim::history& /*lines*/, findings& found) const override {
    sim::membership_laws laws{bounds_};
    auto until = witness::now_ns(); // before the lines are read
    if (auto why = read_into(laws)) {
      found.violations.push_back(why.detail);
      return;
    }
    for (auto& each : laws.violations(until))
      found.violations.push_back(each);
  }

  [[nodiscard]] std::map<std::string, std::size_t>
  figures(const sim::history& /*lines*/) const override {
    sim::membership_laws laws{bounds_};
    static_cast<void>(read_into(laws));
    return {{"shown_dead", laws.deaths()}, {"wrongly_dead", laws.wrong_deaths()}};
  }

  void write_lines(std::ostream& out, const sim::history& /*lines*/) const override {
    out << witness_.merged();
  }

  [[nodiscard]] witness* watched() override {
    return &witness_;
  }

  /// So that a law that is broken shows.
  [[nodiscard]] duration longer_faults() const override {
    return bounds_.dead_within;
  }

  [[nodiscard]] duration settles_within() const override {
    return bounds_.alive_within;
  }

  [[nodiscard]] bool is_settled() const override {
    sim::membership_laws laws{bounds_};
    return !read_into(laws) && laws.is_settled();
  }

private:
  problem read_into(sim::membership_laws& laws) const {
    std::istringstream in{witness_.merged()};
    return laws.read(in, "the membership log");
  }

  const sim::membership_bounds bounds_;
  witness witness_;
};

} // namespace

std::unique_ptr<workload> make_membership_workload(const run_shape& how) {
  return std::make_unique<membership_workload>(how);
}

} // namespace cli::chaos
