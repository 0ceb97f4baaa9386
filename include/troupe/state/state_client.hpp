#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "caf/fwd.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/json_text.hpp"
#include "troupe/core/result.hpp"
#include "troupe/host/client.hpp"
#include "troupe/host/watcher.hpp"
#include "troupe/state/messages.hpp"

namespace troupe::state {

/// Conditions of a write, and how long the value stays.
struct put_options {
  /// Refused with conflict unless this is the version of the key; zero: the key has no value.
  std::optional<std::uint64_t> expect_version{};
  /// Empty: the value is permanent.
  std::optional<duration> ttl{};
  /// What the writer has seen of the key: the clock of what it read or wrote last.
  std::optional<vector_clock> context{};
};

/// A program's client of one state service, on this node or another. Verifies the checksums of
/// what it reads, and lets the service verify what it writes, so that data damaged on a disk or
/// in transit is refused with `damaged`. Copies share a session. Thread-safe; calls block, so do
/// not make them inside an actor. Errors: those of state_table::step and of host::client.
class state_client {
public:
  using watcher = host::watcher<state_protocol, watch_state>;

  static constexpr duration default_wait = std::chrono::seconds{10};

  /// Each call waits up to `wait` for its answer.
  TROUPE_COMPILED state_client(caf::actor_system& sys, host::client<state_protocol> service,
                               duration wait = default_wait);

  TROUPE_COMPILED state_client(caf::actor_system& sys, const state_actor& service,
                               duration wait = default_wait);

  /// Returns the values of `key`; no entries if it has none.
  TROUPE_COMPILED result<entries_found> get(const entry_key& key);

  TROUPE_COMPILED result<written> put(const entry_key& key, bytes value,
                                      const put_options& how = {});

  TROUPE_COMPILED result<written> put(const entry_key& key, std::string_view text,
                                      const put_options& how = {});

  /// For the common case: stores one text under a key at level strong, as an lww_register;
  /// `troupe get` shows it.
  TROUPE_COMPILED result<written> put(std::string_view key, std::string_view text,
                                      const put_options& how = {});

  /// Stores a value of a type with an `inspect`, as JSON; include troupe/core/json.hpp.
  template <class T>
  requires(!std::is_convertible_v<const T&, std::string_view>) result<written> put(
    std::string_view key, const T& value, const put_options& how = {}) {
    return json_text<T>::write(value).and_then(
      [&](const std::string& text) { return put(key, std::string_view{text}, how); });
  }

  /// Returns the text that put() stored under this key, if any.
  TROUPE_COMPILED result<std::optional<std::string>> get(std::string_view key);

  /// Returns the value whose JSON is stored under this key. Errors also: bad_argument (it is not
  /// the JSON of a T).
  template <class T>
  result<std::optional<T>> get(std::string_view key) {
    auto text = get(key);
    if (!text)
      return std::move(text).error();
    if (!*text)
      return std::optional<T>{};
    auto value = from_text_of<T>(**text);
    if (!value)
      return problem{value.error().code, "the value of " + std::string{key.substr(0, 64)} + ": "
                                           + value.error().detail};
    return std::optional<T>{*std::move(value)};
  }

  TROUPE_COMPILED result<written> remove(const entry_key& key,
                                         std::optional<std::uint64_t> expect_version = std::nullopt,
                                         std::optional<vector_clock> context = std::nullopt);

  TROUPE_COMPILED result<written> remove(std::string_view key);

  TROUPE_COMPILED result<key_page> list(const list_keys& question = {});

  TROUPE_COMPILED result<state_counts> count();

  /// Calls `tell` with every change in `scope` as long as the returned object lives: a snapshot
  /// first, or from revision `after` on. See host::watcher for how and when it calls.
  [[nodiscard]] TROUPE_COMPILED watcher watch(const key_scope& scope, watcher::callback tell,
                                              std::uint64_t after = 0);

  [[nodiscard]] host::client<state_protocol>& service() {
    return service_;
  }

private:
  caf::actor_system* sys_;
  host::client<state_protocol> service_;
  duration wait_;
};

} // namespace troupe::state

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/state/impl/state_client.ipp"
#endif
