#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "troupe/core/fields.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/host/group_types.hpp"

namespace troupe::host {

/// Identifies a service that a program adds: its name in the cluster, and the type of its rules.
struct service_title {
  std::string name;
  std::string type;

  friend bool operator==(const service_title&, const service_title&) = default;

  TROUPE_FIELDS(service_title, name, type);
};

/// An entry of the group itself, before the first entry of a service that a program adds: from here
/// on the number means this title. Later introductions of the same number are ignored.
struct introduction {
  service_id service = 0;
  service_title title;

  TROUPE_FIELDS(introduction, service, title);
};

/// An entry since the last section of its service. A replica that does not run the service keeps it
/// for one that does.
struct unread_entry {
  raft::log_index index = 0;
  std::string payload;

  TROUPE_FIELDS(unread_entry, index, payload);
};

/// Lowest number of services that programs add. Lower ones are for built-in services.
inline constexpr service_id first_own_service = 1'024;

/// Returns the number of the service `name`, the same on each node: FNV-1a, folded. Two names may
/// have the same number.
constexpr service_id number_of_own(std::string_view name) {
  std::uint64_t hash = 14'695'981'039'346'656'037U;
  for (auto each : name) {
    hash ^= static_cast<unsigned char>(each);
    hash *= 1'099'511'628'211U;
  }
  hash ^= hash >> 32U;
  constexpr std::uint64_t numbers = 65'536 - first_own_service;
  return static_cast<service_id>(first_own_service + hash % numbers);
}

/// What one replica of a group knows about the services that programs add. The program of a node
/// may lack such a service, or have another type of it. This keeps the last section of each service
/// and the entries since, so that a replica that does not run the service can still vote, make
/// snapshots and send them; a replica that runs it continues from both. Cost per service, in
/// memory: one more copy of its section, and of its entries since the last snapshot.
class own_services {
public:
  /// `here`: the services that this program adds.
  explicit own_services(std::map<service_id, service_title> here) : here_(std::move(here)) {}

  /// Whether this program adds a service with this number.
  [[nodiscard]] bool is_here(service_id which) const {
    return here_.contains(which);
  }

  [[nodiscard]] bool is_introduced(service_id which) const {
    return kept_.contains(which);
  }

  /// Whether this replica steps the service: its program has it, with the title that the log has
  /// for this number, and it has not ended.
  [[nodiscard]] bool runs(service_id which) const {
    return is_here(which) && is_introduced(which) && !why_not(which);
  }

  /// Why this replica does not step the service; errc::none if it does.
  /// @pre is_introduced(which)
  [[nodiscard]] problem why_not(service_id which) const {
    if (auto ended = ended_.find(which); ended != ended_.end())
      return ended->second;
    auto& title = kept_.at(which).title;
    auto mine = here_.find(which);
    if (mine == here_.end())
      return {errc::incompatible, "the program of this node does not have the service '"
                                    + title.name
                                    + "': add it (node_options::services), or start the program "
                                      "that has it"};
    if (mine->second == title)
      return {};
    if (mine->second.name != title.name)
      return {errc::conflict, "the services '" + mine->second.name + "' and '" + title.name
                                + "' have the same number; give yours another name"};
    return {errc::wrong_type, "the service '" + title.name + "' is a " + title.type
                                + " in this cluster, and a " + mine->second.type
                                + " in this program; give one of them another name"};
  }

  /// Introductions that the log lacks, of services of this program that have not ended.
  [[nodiscard]] std::vector<introduction> to_introduce() const {
    std::vector<introduction> found;
    for (auto& [which, title] : here_)
      if (!is_introduced(which) && !ended_.contains(which))
        found.push_back({which, title});
    return found;
  }

  /// Returns false, and changes nothing, if the number was introduced before.
  bool introduce(const introduction& what) {
    return kept_.emplace(what.service, kept{what.title, {}, {}, 0, {}, 0}).second;
  }

  /// Adds an entry of this service. Returns limit_reached if there are now more than `most` bytes:
  /// of all entries that are kept if this replica does not run the service, else of those that came
  /// while it is late.
  /// @pre is_introduced(which)
  [[nodiscard]] problem keep(service_id which, raft::log_index index, const std::string& payload,
                             std::uint64_t most) {
    auto& mine = kept_.at(which);
    if (planted_flaw == flaw::unread_dropped && !runs(which))
      return {};
    mine.since.push_back({index, payload});
    mine.since_bytes += payload.size();
    if (mine.late_bytes)
      *mine.late_bytes += payload.size();
    auto counted = runs(which) ? mine.late_bytes.value_or(0) : mine.since_bytes;
    if (counted <= most)
      return {};
    return {errc::limit_reached,
            "this node keeps more than " + std::to_string(most)
              + " bytes of entries of the service '" + mine.title.name
              + "', which it cannot carry out (group_options::max_unread_bytes): "
              + (runs(which) ? "its rules take too long" : why_not(which).detail)};
  }

  /// Keeps the state of a service after entry `index`, and drops its entries up to there. Ignores a
  /// service that was not introduced.
  void section_is(service_id which, raft::log_index index, const std::string& section) {
    auto found = kept_.find(which);
    if (found == kept_.end())
      return;
    auto& mine = found->second;
    mine.late_bytes.reset();
    mine.section = section;
    mine.section_index = index;
    auto later = std::ranges::find_if(mine.since, [&](auto& each) { return each.index > index; });
    for (auto each = mine.since.begin(); each != later; ++each)
      mine.since_bytes -= each->payload.size();
    mine.since.erase(mine.since.begin(), later);
  }

  /// The service runs here, but a snapshot has to do without its section, which did not come in
  /// time. Until the next section its entries are kept up to a bound.
  /// @pre is_introduced(which)
  void is_late(service_id which) {
    auto& mine = kept_.at(which);
    if (!mine.late_bytes)
      mine.late_bytes = 0;
  }

  /// The section that a late service owed an earlier snapshot has come: it has carried out all
  /// entries up to `index`, so that these need not be kept. Ignores sections from before a restore.
  void late_section_is(service_id which, raft::log_index index, const std::string& section) {
    auto found = kept_.find(which);
    if (found != kept_.end() && found->second.late_bytes && index > found->second.section_index)
      section_is(which, index, section);
  }

  /// The service does not run here until the next start of the process.
  void end(service_id which, problem why) {
    ended_.emplace(which, std::move(why));
  }

  /// Adds the introduced services to a snapshot. The services that run here give their sections
  /// later.
  void write(std::map<service_id, service_title>& introduced,
             std::map<service_id, std::string>& sections,
             std::map<service_id, std::vector<unread_entry>>& unread) const {
    for (auto& [which, each] : kept_) {
      introduced.emplace(which, each.title);
      if (!runs(which))
        write(which, std::numeric_limits<raft::log_index>::max(), sections, unread);
    }
  }

  /// Adds to a snapshot what is kept of this service: its last section, and its entries since up to
  /// entry `index`.
  /// @pre is_introduced(which)
  void write(service_id which, raft::log_index index, std::map<service_id, std::string>& sections,
             std::map<service_id, std::vector<unread_entry>>& unread) const {
    auto& mine = kept_.at(which);
    if (mine.section)
      sections[which] = *mine.section;
    for (auto& each : mine.since)
      if (each.index <= index)
        unread[which].push_back(each);
  }

  /// Replaces the introduced services by those of a snapshot after entry `index`. Services that
  /// have ended do not run again.
  void restore(raft::log_index index, const std::map<service_id, service_title>& introduced,
               const std::map<service_id, std::string>& sections,
               const std::map<service_id, std::vector<unread_entry>>& unread) {
    kept_.clear();
    for (auto& [which, title] : introduced) {
      auto& mine = kept_[which];
      mine.title = title;
      mine.section_index = index;
      if (auto found = sections.find(which); found != sections.end())
        mine.section = found->second;
      if (auto found = unread.find(which); found != unread.end())
        mine.since = found->second;
      for (auto& each : mine.since)
        mine.since_bytes += each.payload.size();
    }
  }

  /// @pre is_introduced(which)
  [[nodiscard]] const service_title& title(service_id which) const {
    return kept_.at(which).title;
  }

  /// The title that this program has for the number.
  /// @pre is_here(which)
  [[nodiscard]] const service_title& title_here(service_id which) const {
    return here_.at(which);
  }

  /// The last section; nothing if none was made since the service was introduced.
  /// @pre is_introduced(which)
  [[nodiscard]] const std::optional<std::string>& section(service_id which) const {
    return kept_.at(which).section;
  }

  /// The entries since the last section, in order.
  /// @pre is_introduced(which)
  [[nodiscard]] const std::vector<unread_entry>& unread(service_id which) const {
    return kept_.at(which).since;
  }

  /// All introduced services.
  [[nodiscard]] std::map<service_id, service_title> all() const {
    std::map<service_id, service_title> found;
    for (auto& [which, each] : kept_)
      found.emplace(which, each.title);
    return found;
  }

private:
  struct kept {
    service_title title;
    std::optional<std::string> section;
    std::vector<unread_entry> since;
    std::uint64_t since_bytes = 0;
    /// Of these, what has come while the service is late; nothing if it is not.
    std::optional<std::uint64_t> late_bytes;
    /// The entry after which it has this section, or the state was restored.
    raft::log_index section_index = 0;
  };

  std::map<service_id, service_title> here_;
  std::map<service_id, kept> kept_;
  std::map<service_id, problem> ended_;
};

} // namespace troupe::host
