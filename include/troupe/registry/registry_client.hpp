#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "caf/fwd.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/result.hpp"
#include "troupe/host/client.hpp"
#include "troupe/host/watcher.hpp"
#include "troupe/registry/messages.hpp"

namespace troupe::registry {

class local_records;

/// Client of one registry. Copies share a session. Thread-safe. Calls block: do not use it inside
/// an actor. Errors: those of host::client. On a node itself look-ups read what that knows, and
/// cost no message: about a microsecond.
class registry_client {
public:
  using watcher = host::watcher<registry_protocol, watch_records>;

  static constexpr duration default_wait = std::chrono::seconds{10};

  /// Each call waits up to `wait` for its answer.
  /// `local`: the records of the same registry, if they are in this process.
  TROUPE_COMPILED registry_client(caf::actor_system& sys, host::client<registry_protocol> service,
                                  duration wait = default_wait,
                                  std::shared_ptr<const local_records> local = nullptr);

  TROUPE_COMPILED registry_client(caf::actor_system& sys, const registry_actor& service,
                                  duration wait = default_wait);

  /// The agent of this id in any status, the best if there are several (see get_record). Nothing
  /// if there is none.
  TROUPE_COMPILED result<std::optional<record_view>> agent(const agent_id& id);

  /// The same for a node.
  TROUPE_COMPILED result<std::optional<record_view>> node(const std::string& name);

  /// All records that meet every given condition. find_records::limit is the size of a page. Cost:
  /// one question for each page.
  TROUPE_COMPILED result<std::vector<record_view>> find(find_records what = {.limit = 1'000});

  TROUPE_COMPILED result<registry_counts> count();

  /// Calls `tell` with added, changed and removed records until the returned object is destroyed:
  /// with a snapshot first if `after` is zero, otherwise with the changes after that revision. See
  /// host::watcher for how it calls.
  [[nodiscard]] TROUPE_COMPILED watcher watch(watcher::callback tell, std::uint64_t after = 0);

  [[nodiscard]] host::client<registry_protocol>& service() {
    return service_;
  }

private:
  template <class Question>
  result<typename Question::result> ask(const Question& what);

  TROUPE_COMPILED result<std::optional<record_view>> get(record_kind kind, const std::string& name);

  caf::actor_system* sys_;
  host::client<registry_protocol> service_;
  duration wait_;
  std::shared_ptr<const local_records> local_;
};

} // namespace troupe::registry

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/registry/impl/registry_client.ipp"
#endif
