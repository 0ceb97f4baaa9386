#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::cluster {

/// What people call a message, by the name of its type in C++: with the command that sends it,
/// where there is one. Other types of troupe are "a message between nodes", with their part and
/// name; those of applications are called by their own names. Cost: O(number of known types).
inline std::string words_for_message(std::string_view type) {
  using entry = std::pair<std::string_view, std::string_view>;
  static constexpr std::array known{
    entry{"host::open_session", "a session with a service"},
    entry{"host::close_session", "a session with a service"},
    entry{"host::keep_session", "a session with a service"},
    entry{"router::find_agent", "finding an agent"},
    entry{"router::resolve_agent", "finding an agent"},
    entry{"router::dispatch", "a request to an agent (troupe request)"},
    entry{"router::post", "a message to an agent (troupe send)"},
    entry{"router::add_agent", "adding an agent"},
    entry{"router::remove_agent", "removing an agent"},
    entry{"router::leave_cluster", "having a node leave (troupe leave)"},
    entry{"router::leave_node", "having a node leave (troupe leave)"},
    entry{"router::maintain_node", "maintenance (troupe maintain)"},
    entry{"router::redrive_dead_letter",
          "delivering dead letters again (troupe dead-letters --redrive)"},
    entry{"router::show_dead_letter", "reading a dead letter (troupe dead-letters --show)"},
    entry{"router::expire_messages",
          "letting go of messages for an agent that is nowhere (troupe inbox --expire)"},
    entry{"router::purge_dead_letters", "letting go of dead letters (troupe dead-letters --purge)"},
    entry{"lock::acquire", "taking a lock (troupe lock)"},
    entry{"lock::renew", "keeping a lock (troupe lock)"},
    entry{"lock::release", "giving back a lock (troupe lock)"},
    entry{"lock::force_release", "taking a lock from its holder (troupe locks --force-release)"},
    entry{"scheduler::submit", "submitting a workflow (troupe submit)"},
    entry{"scheduler::cancel_run", "cancelling a run (troupe workflows cancel)"},
    entry{"scheduler::pause_run", "pausing a run (troupe workflows pause)"},
    entry{"scheduler::resume_run", "resuming a run (troupe workflows resume)"},
    entry{"scheduler::define_schedule", "scheduling a workflow"},
    entry{"scheduler::remove_schedule", "scheduling a workflow"},
    entry{"scheduler::register_worker", "being a worker"},
    entry{"scheduler::renew_worker", "being a worker"},
    entry{"scheduler::deregister_worker", "being a worker"},
    entry{"scheduler::report", "being a worker"},
    entry{"scheduler::watch_assignments", "being a worker"},
    entry{"scheduler::check_in", "being a worker"},
    entry{"scheduler::set_maintenance", "maintenance (troupe maintain)"},
    entry{"state::put", "writing a key (troupe put)"},
    entry{"state::remove_key", "removing a key (troupe remove)"},
    entry{"cluster::change_voters", "changing the voters (troupe voters)"},
    entry{"cluster::make_backup", "a backup (troupe backup)"},
    entry{"cluster::read_backup", "a backup (troupe backup)"},
  };
  constexpr std::string_view ours = "troupe::";
  if (!type.starts_with(ours))
    return std::string{type};
  auto own = type.substr(ours.size());
  if (auto found = std::ranges::find(known, own, &entry::first); found != known.end())
    return std::string{found->second};
  std::string words{own};
  for (auto at = words.find("::"); at != std::string::npos; at = words.find("::", at))
    words.replace(at, 2, " ");
  std::ranges::replace(words, '_', ' ');
  return "a message between nodes (" + words + ')';
}

} // namespace troupe::cluster
