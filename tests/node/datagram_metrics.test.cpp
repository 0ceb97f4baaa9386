#include "troupe/node/datagram_metrics.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <string>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/telemetry/collector/prometheus.hpp"
#include "troupe/node/init.hpp"

namespace datagram_metrics_test {

using namespace troupe;

TEST_CASE("the metric of dropped datagrams has each reason, and counts them", "[node]") {
  troupe::init();
  caf::actor_system_config cfg;
  caf::actor_system sys{cfg};
  auto value_of = [&](const std::string& reason) -> std::string {
    caf::telemetry::collector::prometheus collector;
    auto text = collector.collect_from(sys.metrics());
    const std::string all{text.begin(), text.end()};
    auto name = "troupe_datagrams_dropped_total{reason=\"" + reason + "\"} ";
    auto at = all.find(name);
    if (at == all.npos)
      return "none";
    auto first = at + name.size();
    return all.substr(first, all.find_first_of(" \n", first) - first);
  };
  const cluster::datagram_metrics it{sys};
  for (auto& each : cluster::datagram_log::kinds)
    CHECK(value_of(each.name) == "0");
  it.dropped({.strange = 1, .damaged = 2, .repeated = 3, .foreign = 4, .surplus = 5});
  it.dropped({.foreign = 60'000});
  CHECK(value_of("strange") == "1");
  CHECK(value_of("changed") == "2");
  CHECK(value_of("repeated") == "3");
  CHECK(value_of("foreign") == "60004");
  CHECK(value_of("surplus") == "5");
}

} // namespace datagram_metrics_test
