#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/platform/entropy.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/security/join_token.hpp"
#include "troupe/security/key_pair.hpp"
#include "troupe/security/setup.hpp"
#include "troupe/security/types.hpp"
#include "troupe/storage/private_file.hpp"
#include "troupe/storage/scratch_folder.hpp"

namespace troupe::testing {

/// The CA of a cluster that lives as long as a test. What it writes goes with it; certificates last
/// 30 days. Each call throws std::runtime_error with the reason if it fails. Thread-safe.
class throwaway_ca {
public:
  /// A new one, in a temporary folder that goes with this object.
  throwaway_ca()
    : scratch_(std::in_place, "throwaway-ca"), folder_(path_of(*scratch_)), ca_(open(folder_)) {}

  /// The one in `folder`, which is made if it is not there; the folder stays. For several processes
  /// of a test.
  explicit throwaway_ca(std::filesystem::path folder)
    : folder_(std::move(folder)), ca_(open(folder_)) {}

  throwaway_ca(const throwaway_ca&) = delete;
  throwaway_ca& operator=(const throwaway_ca&) = delete;

  [[nodiscard]] const security::authority& authority() const {
    return ca_;
  }

  /// Where its key is.
  [[nodiscard]] const std::filesystem::path& folder() const {
    return folder_;
  }

  /// Puts a key and certificates into `folder`, for node_options::data or identity, or for a
  /// client. Makes the folder; keeps a key that is there. Without a name it is called by the first
  /// 8 digits of its id.
  void issue(const std::filesystem::path& folder, const std::string& name = {},
             security::role as = security::role::member,
             security::rights may = security::rights::operate) const {
    must(storage::make_private_folder(folder));
    auto file = folder / security::identity_key_file;
    auto key = security::key_pair::load(file);
    if (!key) {
      key = security::key_pair::make();
      must(key->save(file));
    }
    must(security::put_certificates(folder, ca_.own(), issue(*key, name, as, may)));
  }

  /// The same in a new folder inside folder().
  [[nodiscard]] std::filesystem::path
  make_identity(const std::string& name = {}, security::role as = security::role::member,
                security::rights may = security::rights::operate) const {
    auto folder = folder_ / ("identity-" + to_string(random_id<security::token_id>()));
    issue(folder, name, as, may);
    return folder;
  }

  /// The same in memory.
  [[nodiscard]] security::credentials_ptr
  make_credentials(const std::string& name, security::role as = security::role::member,
                   security::rights may = security::rights::operate) const {
    auto key = security::key_pair::make();
    auto issued = issue(key, name, as, may);
    return must(security::credentials::make(std::move(key), issued, ca_.own(), read_calendar()));
  }

private:
  static const std::filesystem::path& path_of(const storage::scratch_folder& folder) {
    if (folder.missing())
      throw std::runtime_error{folder.missing().detail};
    return folder.path();
  }

  template <class T>
  static T must(result<T> what) {
    if (!what)
      throw std::runtime_error{"a certificate for a test: " + what.error().detail};
    if constexpr (!std::is_void_v<T>)
      return *std::move(what);
  }

  static security::authority open(const std::filesystem::path& folder) {
    std::error_code fault;
    return must(std::filesystem::exists(folder / security::authority::key_file, fault)
                  ? security::authority::load(folder)
                  : security::authority::make(folder, read_calendar()));
  }

  [[nodiscard]] security::certificate issue(const security::key_pair& key, const std::string& name,
                                            security::role as, security::rights may) const {
    auto called = name.empty() ? to_string(id_of(key.public_half())).substr(0, 8) : name;
    return must(ca_.issue(key.public_half(), {called, as, may, std::chrono::hours{24 * 30}},
                          read_calendar()));
  }

  std::optional<storage::scratch_folder> scratch_;
  std::filesystem::path folder_;
  security::authority ca_;
};

} // namespace troupe::testing
