#ifndef TROUPE_REGISTRY_IMPL_REGISTRY_CLIENT_IPP
#define TROUPE_REGISTRY_IMPL_REGISTRY_CLIENT_IPP

#include <algorithm>
#include <iterator>
#include <utility>

#include "troupe/registry/local_records.hpp"
#include "troupe/registry/registry_client.hpp"

namespace troupe::registry {

TROUPE_COMPILED
registry_client::registry_client(caf::actor_system& sys, host::client<registry_protocol> service,
                                 duration wait, std::shared_ptr<const local_records> local)
  : sys_(&sys), service_(std::move(service)), wait_(wait), local_(std::move(local)) {}

TROUPE_COMPILED registry_client::registry_client(caf::actor_system& sys,
                                                 const registry_actor& service, duration wait)
  : registry_client(sys, host::client<registry_protocol>{sys, service}, wait) {}

template <class Question>
result<typename Question::result> registry_client::ask(const Question& what) {
  if (local_)
    if (auto found = local_->answer(what))
      return *std::move(found);
  return service_.ask(what, wait_);
}

TROUPE_COMPILED result<std::optional<record_view>> registry_client::get(record_kind kind,
                                                                        const std::string& name) {
  return ask(get_record{kind, name, {}}).transform([](const record_found& answer) {
    return answer.found;
  });
}

TROUPE_COMPILED result<std::optional<record_view>> registry_client::agent(const agent_id& id) {
  return get(record_kind::agent, id.text());
}

TROUPE_COMPILED result<std::optional<record_view>> registry_client::node(const std::string& name) {
  return get(record_kind::node, name);
}

TROUPE_COMPILED result<std::vector<record_view>> registry_client::find(find_records what) {
  std::vector<record_view> all;
  for (;;) {
    auto page = ask(what);
    if (!page)
      return page.error();
    auto is_last = !page->more || page->records.empty();
    if (!is_last)
      what.after = page->records.back().value.key;
    std::ranges::move(page->records, std::back_inserter(all));
    if (is_last)
      return all;
  }
}

TROUPE_COMPILED result<registry_counts> registry_client::count() {
  return ask(count_records{});
}

TROUPE_COMPILED registry_client::watcher registry_client::watch(watcher::callback tell,
                                                                std::uint64_t after) {
  return {*sys_, service_, watch_records{.after = after}, std::move(tell)};
}

} // namespace troupe::registry

#endif
