#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "caf/actor_system.hpp"
#include "caf/telemetry/counter.hpp"
#include "caf/telemetry/label_view.hpp"
#include "caf/telemetry/metric_registry.hpp"
#include "troupe/cluster/datagram_log.hpp"

namespace troupe::cluster {

/// The metric of datagrams, in the registry of the actor system, which outlives this: the counter
/// troupe.datagrams-dropped, by reason. Thread-safe.
class datagram_metrics {
public:
  /// Each reason is there from the beginning, so that the first one dropped is an increase.
  explicit datagram_metrics(caf::actor_system& sys) {
    auto* family = sys.metrics().counter_family("troupe", "datagrams-dropped", {"reason"},
                                                "Datagrams (UDP) that were dropped.", "1", true);
    for (std::size_t each = 0; each < dropped_.size(); ++each) {
      const std::string_view name = datagram_log::kinds[each].name;
      std::array<caf::telemetry::label_view, 1> labels{
        caf::telemetry::label_view{"reason", {name.data(), name.size()}}};
      dropped_[each] = family->get_or_add(labels);
    }
  }

  void dropped(const datagram_log::counts& more) const {
    for (std::size_t each = 0; each < dropped_.size(); ++each)
      if (auto count = more.*datagram_log::kinds[each].count; count > 0)
        dropped_[each]->inc(static_cast<std::int64_t>(count));
  }

private:
  std::array<caf::telemetry::int_counter*, datagram_log::kinds.size()> dropped_{};
};

} // namespace troupe::cluster
