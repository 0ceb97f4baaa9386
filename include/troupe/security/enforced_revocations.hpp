#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "troupe/core/log_line.hpp"
#include "troupe/security/revocation_list.hpp"
#include "troupe/security/types.hpp"

namespace troupe::security {

/// The list of revoked certificates that a process applies to its peers, from set() on.
/// Thread-safe.
class enforced_revocations {
public:
  void set(revocation_list_ptr list) {
    std::lock_guard guard{mutex_};
    list_ = std::move(list);
  }

  /// Returns why the certificate that says `what` is refused; empty if it is not revoked.
  [[nodiscard]] std::string refusal(const facts& what) const {
    auto list = current();
    auto since = list ? list->since(what) : std::nullopt;
    if (!since)
      return {};
    return "the certificate of '" + what.name + "' (serial " + what.serial + ") was revoked at "
           + to_rfc3339(*since)
           + "; to admit it again, make a new identity (troupe ca issue with a new --out)";
  }

private:
  [[nodiscard]] revocation_list_ptr current() const {
    std::lock_guard guard{mutex_};
    return list_;
  }

  mutable std::mutex mutex_;
  revocation_list_ptr list_;
};

} // namespace troupe::security
