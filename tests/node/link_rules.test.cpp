#include "troupe/node/link_rules.hpp" // the header under test

#include "troupe/node/init.hpp"
#include "troupe/service.hpp"

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <set>
#include <string>

#include <cstdint>

namespace link_rules_test {

using namespace troupe;
using net::need;

/// A command of one service, and a query of another one.
struct sale {
  using result = std::uint64_t;
  TROUPE_FIELDS(sale);
};

struct tally {
  using result = std::uint64_t;
  TROUPE_FIELDS(tally);
};

TROUPE_MESSAGES(link_rules_messages, sale, tally);

struct till_rules : host::plain_machine<till_rules, std::uint64_t, host::commands<sale>> {
  std::uint64_t apply(const sale&) {
    return ++state();
  }
};

struct till : host::plain_service<till_rules> {
  using plain_service::plain_service;
  static constexpr const char* name = "till";
};

struct book_rules
  : host::plain_machine<book_rules, std::uint64_t, host::commands<>, host::queries<sale, tally>> {
  std::uint64_t answer(const sale&) const {
    return state();
  }
  std::uint64_t answer(const tally&) const {
    return state();
  }
};

struct book : host::plain_service<book_rules> {
  using plain_service::plain_service;
  static constexpr const char* name = "book";
};

TEST_CASE("who may only read asks the queries of a program's services, but none that is a command "
          "of another one",
          "[node]") {
  cluster::service_options services;
  services.add<till>("till");
  services.add<book>("book");
  auto rules = cluster::link_rules(services);
  CHECK(rules->need_of(caf::type_id_v<tally>) == need::read);
  CHECK(rules->need_of(caf::type_id_v<sale>) == need::use);
}

TEST_CASE("each message of troupe's own needs the right that is said here, or membership",
          "[node]") {
  // What may be sent with each right, of all types that are troupe's own; all others of these are
  // for members.
  const std::map<need, std::set<std::string>> of_clients{
    {need::read,
     {"troupe::cluster::list_voters",
      "troupe::cluster::show_node",
      "troupe::host::call",
      "troupe::lock::find_lock",
      "troupe::lock::list_locks",
      "troupe::registry::count_records",
      "troupe::registry::find_owner",
      "troupe::registry::find_records",
      "troupe::registry::get_record",
      "troupe::registry::names::find_claim",
      "troupe::registry::names::list_claims",
      "troupe::registry::watch_records",
      "troupe::router::find_router_statistics",
      "troupe::router::find_service",
      "troupe::router::list_agents",
      "troupe::router::list_dead_letters",
      "troupe::router::list_inboxes",
      "troupe::scheduler::find_result",
      "troupe::scheduler::find_run",
      "troupe::scheduler::find_statistics",
      "troupe::scheduler::list_runs",
      "troupe::scheduler::list_schedules",
      "troupe::scheduler::list_workers",
      "troupe::scheduler::watch_run",
      "troupe::state::count_entries",
      "troupe::state::get",
      "troupe::state::list_keys",
      "troupe::state::watch_state"}},
    {need::use,
     {"std::vector<std::string>",
      "troupe::errc",
      "troupe::host::close_session",
      "troupe::host::keep_session",
      "troupe::host::open_session",
      "troupe::lock::acquire",
      "troupe::lock::fencing_token",
      "troupe::lock::lease",
      "troupe::lock::release",
      "troupe::lock::renew",
      "troupe::problem",
      "troupe::router::add_agent",
      "troupe::router::dispatch",
      "troupe::router::find_agent",
      "troupe::router::post",
      "troupe::router::remove_agent",
      "troupe::router::resolve_agent",
      "troupe::scheduler::cancel_run",
      "troupe::scheduler::check_in",
      "troupe::scheduler::define_schedule",
      "troupe::scheduler::deregister_worker",
      "troupe::scheduler::pause_run",
      "troupe::scheduler::register_worker",
      "troupe::scheduler::remove_schedule",
      "troupe::scheduler::renew_worker",
      "troupe::scheduler::report",
      "troupe::scheduler::resume_run",
      "troupe::scheduler::submit",
      "troupe::scheduler::watch_assignments",
      "troupe::state::put",
      "troupe::state::remove_key"}},
    {need::operate,
     {"troupe::cluster::change_voters", "troupe::cluster::make_backup",
      "troupe::cluster::read_backup", "troupe::lock::force_release",
      "troupe::router::departure_heard", "troupe::router::leave_cluster",
      "troupe::router::leave_node", "troupe::router::maintain_node",
      "troupe::router::redrive_dead_letter", "troupe::router::purge_dead_letters",
      "troupe::router::expire_messages", "troupe::router::show_dead_letter",
      "troupe::scheduler::set_maintenance"}},
  };
  troupe::init();
  auto rules = cluster::link_rules({});
  std::map<need, std::set<std::string>> found;
  for (auto type = type_ids::core; type < type_ids::end; ++type) {
    auto name = caf::query_type_name(type);
    if (name.empty())
      CHECK(rules->need_of(type) == need::membership);
    else if (auto what = rules->need_of(type); what != need::membership)
      found[what].emplace(name.data(), name.size());
  }
  for (auto& [what, names] : of_clients)
    CHECK(found[what] == names);
}

} // namespace link_rules_test
