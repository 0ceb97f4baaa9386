#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

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
  state_client(caf::actor_system& sys, host::client<state_protocol> service,
               duration wait = default_wait)
    : sys_(&sys), service_(std::move(service)), wait_(wait) {}

  state_client(caf::actor_system& sys, const state_actor& service, duration wait = default_wait)
    : state_client(sys, host::client<state_protocol>{sys, service}, wait) {}

  /// What stands under `key`; no entries if nothing does.
  result<entries_found> get(const entry_key& key) {
    auto answer = service_.ask(state::get{key}, wait_);
    if (answer)
      for (auto& each : answer->entries)
        if (auto why = verify(each); why.code != errc::none)
          return why;
    return answer;
  }

  result<written> put(const entry_key& key, bytes value, const put_options& how = {}) {
    auto content = sha256(view_of(value));
    return service_.ask(
      state::put{key, std::move(value), how.expect_version, how.ttl, how.context, content}, wait_);
  }

  result<written> put(const entry_key& key, std::string_view text, const put_options& how = {}) {
    return put(key, to_value(text), how);
  }

  result<written> remove(const entry_key& key,
                         std::optional<std::uint64_t> expect_version = std::nullopt,
                         std::optional<vector_clock> context = std::nullopt) {
    return service_.ask(remove_key{key, expect_version, std::move(context)}, wait_);
  }

  result<key_page> list(const list_keys& question = {}) {
    return service_.ask(question, wait_);
  }

  result<state_counts> count() {
    return service_.ask(count_entries{}, wait_);
  }

  /// Tells of all that changes in `scope`, a snapshot first or from revision `after` on, as
  /// long as the returned object lives. See host::watcher for how and when it calls.
  [[nodiscard]] watcher watch(const key_scope& scope, watcher::callback tell,
                              std::uint64_t after = 0) {
    return {*sys_, service_, watch_state{.scope = scope, .after = after}, std::move(tell)};
  }

  [[nodiscard]] host::client<state_protocol>& service() {
    return service_;
  }

private:
  caf::actor_system* sys_;
  host::client<state_protocol> service_;
  duration wait_;
};

} // namespace troupe::state
