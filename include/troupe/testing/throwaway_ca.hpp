#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include <stdlib.h>

#include "troupe/core/calendar.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/security/key_pair.hpp"
#include "troupe/security/setup.hpp"
#include "troupe/security/types.hpp"
#include "troupe/storage/private_file.hpp"

namespace troupe::testing {

/// The CA of a cluster that lives as long as a test. What it writes goes with it; certificates last
/// a day. Each call throws std::runtime_error with the reason if it fails. Thread-safe.
class throwaway_ca {
public:
  /// A new one.
  throwaway_ca() : ca_(made_in(folder_.path)) {}

  /// The one that another process has made: its folder().
  explicit throwaway_ca(const std::filesystem::path& folder)
    : ca_(must(security::authority::load(folder))) {}

  throwaway_ca(const throwaway_ca&) = delete;
  throwaway_ca& operator=(const throwaway_ca&) = delete;

  [[nodiscard]] const security::authority& authority() const {
    return ca_;
  }

  /// Where its key is, for other processes of the test. @pre It is a new one.
  [[nodiscard]] const std::filesystem::path& folder() const {
    return folder_.path;
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

  /// The same in a folder of its own, which goes with this object.
  [[nodiscard]] std::filesystem::path
  make_identity(const std::string& name = {}, security::role as = security::role::member,
                security::rights may = security::rights::operate) {
    auto folder = folder_.path / ("identity-" + std::to_string(++identities_));
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
  /// Gone at the end.
  struct scratch {
    scratch() {
      auto pattern = (std::filesystem::temp_directory_path() / "troupe-ca-XXXXXX").string();
      if (::mkdtemp(pattern.data()) == nullptr)
        throw std::runtime_error{"cannot make " + pattern + "; set TMPDIR to a writable folder"};
      path = pattern;
    }

    ~scratch() {
      std::error_code ignored; // what is left is in the system's folder for such
      std::filesystem::remove_all(path, ignored);
    }

    std::filesystem::path path;
  };

  template <class T>
  static T must(result<T> what) {
    if (!what)
      throw std::runtime_error{"a certificate for a test: " + what.error().detail};
    if constexpr (!std::is_void_v<T>)
      return *std::move(what);
  }

  static security::authority made_in(const std::filesystem::path& folder) {
    return must(security::authority::make(folder, read_calendar()));
  }

  [[nodiscard]] security::certificate issue(const security::key_pair& key, const std::string& name,
                                            security::role as, security::rights may) const {
    auto called = name.empty() ? to_string(id_of(key.public_half())).substr(0, 8) : name;
    return must(
      ca_.issue(key.public_half(), {called, as, may, std::chrono::hours{24}}, read_calendar()));
  }

  scratch folder_;
  security::authority ca_;
  std::atomic<std::size_t> identities_ = 0;
};

} // namespace troupe::testing
