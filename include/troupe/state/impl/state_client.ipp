#ifndef TROUPE_STATE_IMPL_STATE_CLIENT_IPP
#define TROUPE_STATE_IMPL_STATE_CLIENT_IPP

#include <utility>

#include "troupe/state/state_client.hpp"

namespace troupe::state {

/// The level and type that `troupe put` uses.
inline entry_key plain_key(std::string_view key) {
  return {consistency::strong, value_type::lww_register, std::string{key}};
}

TROUPE_COMPILED state_client::state_client(caf::actor_system& sys,
                                           host::client<state_protocol> service, duration wait)
  : sys_(&sys), service_(std::move(service)), wait_(wait) {}

TROUPE_COMPILED state_client::state_client(caf::actor_system& sys, const state_actor& service,
                                           duration wait)
  : state_client(sys, host::client<state_protocol>{sys, service}, wait) {}

TROUPE_COMPILED result<entries_found> state_client::get(const entry_key& key) {
  auto answer = service_.ask(state::get{key}, wait_);
  if (answer)
    for (auto& each : answer->entries)
      if (auto why = verify(each))
        return why;
  return answer;
}

TROUPE_COMPILED result<written> state_client::put(const entry_key& key, bytes value,
                                                  const put_options& how) {
  auto content = sha256(view_of(value));
  return service_.ask(
    state::put{key, std::move(value), how.expect_version, how.ttl, how.context, content}, wait_);
}

TROUPE_COMPILED result<written> state_client::put(const entry_key& key, std::string_view text,
                                                  const put_options& how) {
  return put(key, to_value(text), how);
}

TROUPE_COMPILED result<written> state_client::remove(const entry_key& key,
                                                     std::optional<std::uint64_t> expect_version,
                                                     std::optional<vector_clock> context) {
  return service_.ask(remove_key{key, expect_version, std::move(context)}, wait_);
}

TROUPE_COMPILED result<written> state_client::put(std::string_view key, std::string_view text,
                                                  const put_options& how) {
  return put(plain_key(key), text, how);
}

TROUPE_COMPILED result<std::optional<std::string>> state_client::get(std::string_view key) {
  return get(plain_key(key)).transform([](const entries_found& found) {
    return found.entries.empty() ? std::nullopt
                                 : std::optional{to_text(found.entries.back().value)};
  });
}

TROUPE_COMPILED result<written> state_client::remove(std::string_view key) {
  return remove(plain_key(key));
}

TROUPE_COMPILED result<key_page> state_client::list(const list_keys& question) {
  return service_.ask(question, wait_);
}

TROUPE_COMPILED result<state_counts> state_client::count() {
  return service_.ask(count_entries{}, wait_);
}

TROUPE_COMPILED state_client::watcher
state_client::watch(const key_scope& scope, watcher::callback tell, std::uint64_t after) {
  return {*sys_, service_, watch_state{.scope = scope, .after = after}, std::move(tell)};
}

} // namespace troupe::state

#endif
