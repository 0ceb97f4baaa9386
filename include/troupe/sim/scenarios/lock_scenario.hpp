#pragma once

#include <chrono>
#include <optional>

#include "troupe/sim/scenarios/service_scenario.hpp"
#include "troupe/sim/world/lock_user.hpp"

namespace troupe::sim {

/// A client that repeatedly takes a lock, exclusive or shared, and releases it. A lock with an
/// unknown holder stays unknown, because its lease outlasts the run.
template <class Home>
class lock_client : public lock_user<lock_client<Home>, Home> {
  using base = lock_user<lock_client<Home>, Home>;

public:
  using base::base;

  void begin() {
    if (this->record().is_over)
      return;
    if (held_)
      this->release(*held_);
    else
      this->hold(std::chrono::minutes{10}, this->here().random().one_in(2)
                                             ? lock::lock_mode::shared
                                             : lock::lock_mode::exclusive);
  }

  void has(const lock::lease& what) {
    held_ = what.token;
  }

  void has_not() {
    held_.reset();
  }

private:
  std::optional<lock::fencing_token> held_;
};

struct lasting_locks : lock_service_model<lock_record, lock_client> {
  static void check(const lock_record& what, findings& found) {
    check_history(lock_model{}, what.lines, found);
  }
};

using lock_scenario = service_scenario<lasting_locks>;

} // namespace troupe::sim
