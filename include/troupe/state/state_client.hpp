#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "caf/fwd.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/result.hpp"
#include "troupe/host/client.hpp"
#include "troupe/host/watcher.hpp"
#include "troupe/state/messages.hpp"

namespace troupe::state {

/// What to expect of a key when it is written, and how long the value stays.
struct put_options {
  /// Refused with conflict unless this is the version of the key; zero: nothing is there.
  std::optional<std::uint64_t> expect_version{};
  /// None: for good.
  std::optional<duration> ttl{};
  /// What of the key the writer has seen: the clock of what it read or wrote last.
  std::optional<vector_clock> context{};
};

/// The state of one service, here or on another node, for a program. Verifies what it
/// reads, and lets the service verify what it writes, so that what was damaged on a disk
/// or on the way is refused with `damaged`. Copies share a session. Thread-safe; calls
/// block, so not from inside an actor. Errors: those of state_table::step and of host::client.
class state_client {
public:
  using watcher = host::watcher<state_protocol, watch_state>;

  static constexpr duration default_wait = std::chrono::seconds{10};

  /// Each call waits up to `wait` for its answer.
  TROUPE_COMPILED state_client(caf::actor_system& sys, host::client<state_protocol> service,
                               duration wait = default_wait);

  TROUPE_COMPILED state_client(caf::actor_system& sys, const state_actor& service,
                               duration wait = default_wait);

  /// What stands under `key`; no entries if nothing does.
  TROUPE_COMPILED result<entries_found> get(const entry_key& key);

  TROUPE_COMPILED result<written> put(const entry_key& key, bytes value,
                                      const put_options& how = {});

  TROUPE_COMPILED result<written> put(const entry_key& key, std::string_view text,
                                      const put_options& how = {});

  TROUPE_COMPILED result<written> remove(const entry_key& key,
                                         std::optional<std::uint64_t> expect_version = std::nullopt,
                                         std::optional<vector_clock> context = std::nullopt);

  TROUPE_COMPILED result<key_page> list(const list_keys& question = {});

  TROUPE_COMPILED result<state_counts> count();

  /// Tells of all that changes in `scope`, a snapshot first or from revision `after` on, as
  /// long as the returned object lives. See host::watcher for how and when it calls.
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
