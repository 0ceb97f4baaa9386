#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "troupe/core/ids.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/security/admission.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/join_token.hpp"
#include "troupe/security/setup.hpp"
#include "troupe/storage/scratch_folder.hpp"

namespace troupe::cluster {

/// The CA that a node has, if it has one: in its data folder, or of a founder without one in memory
/// and with the first invitation in a temporary folder, which goes with this object. Thread-safe.
class own_authority {
public:
  /// `data` may be empty, and `in_memory` nothing.
  own_authority(const std::filesystem::path& data, const node_id& self,
                std::optional<security::authority> in_memory)
    : self_(self),
      folder_(data.empty() ? data : data / security::authority_folder),
      in_memory_(std::move(in_memory)) {}

  own_authority(const own_authority&) = delete;
  own_authority& operator=(const own_authority&) = delete;

  /// The folder of the CA; empty: there is none.
  [[nodiscard]] std::filesystem::path folder() const {
    std::lock_guard guard{mutex_};
    return folder_;
  }

  /// Whether only this node lets others into its cluster.
  [[nodiscard]] bool is_here() const {
    std::lock_guard guard{mutex_};
    std::error_code none;
    return in_memory_
           || (!folder_.empty()
               && std::filesystem::exists(folder_ / security::authority::key_file, none));
  }

  /// Errors: those of security::invite(), not_found (another node has the CA).
  result<security::join_token> invite(const security::invitation_options& how, wall_time now) {
    auto where = make_folder();
    if (!where)
      return where.error();
    auto made
      = where->empty() ? problem{errc::not_found, {}} : security::invite(*where, self_, how, now);
    if (!made && made.error().code == errc::not_found)
      return problem{errc::not_found,
                     "this node does not have the CA of its cluster; invite on the "
                     "one that has founded it"};
    return made;
  }

private:
  result<std::filesystem::path> make_folder() {
    std::lock_guard guard{mutex_};
    if (!folder_.empty() || !in_memory_)
      return folder_;
    if (!scratch_ || scratch_->missing())
      scratch_.emplace("ca");
    if (auto& why = scratch_->missing())
      return why;
    auto where = scratch_->path() / security::authority_folder;
    if (auto saved = in_memory_->save(where); !saved)
      return saved.error();
    in_memory_.reset();
    folder_ = where;
    return folder_;
  }

  const node_id self_;
  mutable std::mutex mutex_;
  std::filesystem::path folder_;
  std::optional<storage::scratch_folder> scratch_;
  std::optional<security::authority> in_memory_;
};

} // namespace troupe::cluster
