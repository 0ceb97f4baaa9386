#pragma once

#include <array>
#include <string_view>

#include "caf/actor_system.hpp"
#include "caf/telemetry/counter.hpp"
#include "caf/telemetry/label_view.hpp"
#include "caf/telemetry/metric_family_impl.hpp"
#include "caf/telemetry/metric_registry.hpp"
#include "troupe/net/greeting.hpp"
#include "troupe/net/link.hpp"

namespace troupe::net {

/// The metrics of links, in the registry of the actor system: the counters
/// troupe.connections-refused (by reason), -links-ended (by cause) and -messages-dropped.
/// Thread-safe.
class link_metrics {
public:
  explicit link_metrics(caf::actor_system& sys)
    : refused_(sys.metrics().counter_family(
      "troupe", "connections-refused", {"reason"},
      "Connections of other processes that did not become links.", "1", true)),
      ended_(sys.metrics().counter_family("troupe", "links-ended", {"cause"},
                                          "Links that have ended.", "1", true)),
      dropped_(sys.metrics().counter_singleton(
        "troupe", "messages-dropped", "Messages of peers that they may not send.", "1", true)) {}

  void refused(verdict why) {
    count(refused_, "reason", label_of(why));
  }

  void ended(end_cause why) {
    count(ended_, "cause", label_of(why));
  }

  void dropped() {
    dropped_->inc();
  }

private:
  static std::string_view label_of(verdict why) {
    switch (why) {
      case verdict::go:
        return "none";
      case verdict::foreign:
        return "other_cluster";
      case verdict::no_cluster:
        return "no_cluster";
      case verdict::incompatible:
        return "incompatible";
      case verdict::myself:
        return "itself";
      case verdict::duplicate:
        return "duplicate_identity";
      case verdict::old_boot:
        return "old_boot";
      case verdict::linked:
      case verdict::greeting:
      case verdict::dialling:
      case verdict::crossed:
        return "other_connection";
      case verdict::full:
      case verdict::displaced:
        return "full";
      case verdict::unproven:
        return "unproven";
      case verdict::no_relay:
        return "no_relay";
      case verdict::timed_out:
        return "timed_out";
      case verdict::unreachable:
      case verdict::closed:
        return "closed";
      case verdict::bad_greeting:
        return "bad_greeting";
      case verdict::wrong_node:
        return "wrong_node";
      case verdict::stopped:
        return "stopped";
      case verdict::not_secured:
      case verdict::denied:
      case verdict::encrypted:
        return "not_secured";
      case verdict::not_admitted:
        return "not_admitted";
      case verdict::admitted:
      case verdict::asked:
        return "none";
    }
    return "none";
  }

  static std::string_view label_of(end_cause why) {
    switch (why) {
      case end_cause::peer:
        return "peer";
      case end_cause::this_node:
        return "this_node";
      case end_cause::silent:
        return "silent";
      case end_cause::replaced:
        return "replaced";
      case end_cause::misbehaved:
        return "misbehaved";
      case end_cause::overloaded:
        return "overloaded";
      case end_cause::idle:
        return "idle";
    }
    return "none";
  }

  using family = caf::telemetry::metric_family_impl<caf::telemetry::int_counter>;

  static void count(family* of, std::string_view label, std::string_view value) {
    std::array<caf::telemetry::label_view, 1> labels{
      caf::telemetry::label_view{{label.data(), label.size()}, {value.data(), value.size()}}};
    of->get_or_add(labels)->inc();
  }

  family* refused_;
  family* ended_;
  caf::telemetry::int_counter* dropped_;
};

} // namespace troupe::net
