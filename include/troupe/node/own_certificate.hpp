#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "caf/actor_system.hpp"
#include "caf/telemetry/gauge.hpp"
#include "caf/telemetry/metric_registry.hpp"
#include "troupe/core/log_line.hpp"
#include "troupe/core/time.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/storage/watched_file.hpp"

namespace troupe::cluster {

/// The certificate of a running node: takes a renewed one from its file, says in the log once a day
/// when it ends soon, and shows as a gauge how long it is valid. Part of an actor.
class own_certificate {
public:
  /// `folder` is empty for a process whose certificate is in memory only.
  own_certificate(caf::actor_system& sys, const std::filesystem::path& folder,
                  security::credentials_ptr credentials, node_log log)
    : credentials_(std::move(credentials)),
      log_(std::move(log)),
      file_(folder.empty() ? folder : folder / security::identity_certificate_file),
      seconds_left_(sys.metrics().gauge_singleton(
        "troupe", "certificate-seconds-left",
        "Time until this node's certificate ends; negative afterwards.", "seconds")) {}

  /// To be called every second or so. Returns whether new links prove another certificate from here
  /// on.
  bool look(wall_time now) {
    auto is_renewed = !file_.file().empty() && file_.has_changed() && renew(now);
    say_how_long(now);
    return is_renewed;
  }

private:
  void say_how_long(wall_time now) {
    auto left = credentials_->self().valid_until - now;
    seconds_left_->value(std::chrono::duration_cast<std::chrono::seconds>(left).count());
    if (left >= security::ends_soon)
      return;
    if (said_at_ && now >= *said_at_ && now - *said_at_ < say_every)
      return;
    said_at_ = now;
    auto about = credentials_->self();
    log_.complain(topic, (left < duration::zero() ? "it has ended at " : "it is valid until ")
                           + to_rfc3339(about.valid_until)
                           + (file_.file().empty() ? "; restart the process"
                                                   : "; where the CA is, run troupe ca renew "
                                                       + about.serial + ", and put node.pem into "
                                                       + file_.file().parent_path().string()));
  }

  bool renew(wall_time now) {
    constexpr const char* not_taken = "the changed node.pem is not taken";
    auto found = security::certificate::load(file_.file());
    auto about = found ? security::facts_of(*found) : result<security::facts>{found.error()};
    if (about && about->serial == credentials_->self().serial) {
      log_.settle(not_taken);
      return false;
    }
    auto done = about ? credentials_->renew(*std::move(found), now) : result<void>{about.error()};
    if (!done) {
      log_.complain(not_taken, done.error().detail);
      return false;
    }
    log_.settle(not_taken);
    log_.settle(topic);
    said_at_.reset();
    log_("new links prove the certificate that was put into " + file_.file().string()
         + ", valid until " + to_rfc3339(about->valid_until));
    return true;
  }

  static constexpr const char* topic = "the certificate of this node has to be renewed";
  static constexpr duration say_every = std::chrono::hours{24};

  security::credentials_ptr credentials_;
  node_log log_;
  storage::watched_file file_;
  caf::telemetry::int_gauge* seconds_left_;
  std::optional<wall_time> said_at_;
};

} // namespace troupe::cluster
