#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli.hpp"
#include "troupe/node/cluster_client.hpp"

/// The way of every command to the cluster, and the lists that several of them show.
namespace cli {

/// Connects to the cluster at --at.
inline troupe::result<std::unique_ptr<troupe::cluster_client>>
connect(const common_options& common) {
  auto where = addresses(common.at);
  if (!where)
    return where.error();
  return troupe::cluster_client::connect(*std::move(where), common.wait());
}

/// Every record of one kind, whatever its status.
inline troupe::result<std::vector<troupe::registry::record_view>>
all_records(troupe::cluster_client& cluster, troupe::registry::record_kind kind,
            troupe::duration wait) {
  troupe::registry::find_records question;
  question.kind = kind;
  question.statuses = troupe::registry::all_statuses();
  question.unhealthy_too = true;
  question.limit = 1'000;
  std::vector<troupe::registry::record_view> found;
  for (;;) {
    auto page = cluster.services().registry.ask(question, wait);
    if (!page)
      return page.error();
    found.insert(found.end(), page->records.begin(), page->records.end());
    if (!page->more || page->records.empty())
      return found;
    question.after = found.back().value.key;
  }
}

/// Every lock that somebody holds.
inline troupe::result<std::vector<troupe::lock::lock_view>>
all_locks(troupe::cluster_client& cluster, troupe::duration wait) {
  troupe::lock::list_locks question;
  question.limit = 1'000;
  std::vector<troupe::lock::lock_view> found;
  for (;;) {
    auto page = cluster.services().locks.ask(question, wait);
    if (!page)
      return page.error();
    found.insert(found.end(), page->locks.begin(), page->locks.end());
    if (!page->more || page->locks.empty())
      return found;
    question.after = found.back().name;
  }
}

} // namespace cli
