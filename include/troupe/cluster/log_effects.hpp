#pragma once

#include <string>

namespace troupe::cluster {

/// What machines of a node have its log say. Their hosts pass it on to a node_log, which says what
/// a problem repeats only when it begins, changes and ends.
struct log_effects {
  struct inform {
    std::string text;
  };

  struct warn {
    std::string text;
  };

  struct fail {
    std::string text;
  };

  /// The problem of that name is this now.
  struct complain {
    std::string topic;
    std::string detail;
  };

  /// It is over.
  struct settle {
    std::string topic;
  };
};

} // namespace troupe::cluster
