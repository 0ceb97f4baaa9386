#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "troupe/security/credentials.hpp"
#include "troupe/security/revocation_list.hpp"
#include "troupe/security/setup.hpp"

namespace troupe::cluster {

/// What a folder has that is, or is to become, the data folder of a node. Names only; no file is
/// opened.
struct folder_content {
  /// It has an identity, or the key of one: it is a node's.
  bool is_of_node = false;
  /// It has databases, as nodes and services with a file of their own keep them.
  bool has_databases = false;
  /// The name of a file or folder in it that no node makes; empty if there is none. Hidden ones and
  /// `lost+found` do not count, as an empty disk has such.
  std::string foreign{};
};

/// Whether a node, or who brings it its certificates, makes files of this name in its data folder.
inline bool is_name_of_node(std::string_view name) {
  static constexpr std::array<std::string_view, 7> names{"identity.json",
                                                         "lock",
                                                         security::identity_key_file,
                                                         security::identity_certificate_file,
                                                         security::ca_certificate_file,
                                                         security::revocation_list_file,
                                                         security::authority_folder};
  constexpr std::string_view unfinished = ".new"; // see storage::write_private()
  if (name.ends_with(unfinished))
    name.remove_suffix(unfinished.size());
  return std::ranges::find(names, name) != names.end();
}

/// Looks at the names in `folder`. One that is missing or cannot be listed shows nothing. Cost:
/// O(n) in its files, not in those of folders below it.
inline folder_content content_of(const std::filesystem::path& folder) {
  constexpr std::string_view database = ".db";
  folder_content found;
  std::error_code fault;
  for (std::filesystem::directory_iterator each{folder, fault}, end; !fault && each != end;
       each.increment(fault)) {
    auto name = each->path().filename().string();
    // With what SQLite and its owner keep beside it: group.db-wal, group.db.mark.
    auto at = name.rfind(database);
    auto is_database
      = at != std::string::npos && at > 0
        && (at + database.size() == name.size()
            || std::string_view{"-."}.find(name[at + database.size()]) != std::string_view::npos);
    found.has_databases |= is_database && at + database.size() == name.size();
    if (!is_database && !is_name_of_node(name) && !name.starts_with('.') && name != "lost+found")
      found.foreign = std::move(name);
  }
  // Last, as a node that starts at the same time makes its identity before anything else.
  found.is_of_node = std::filesystem::exists(folder / "identity.json", fault)
                     || std::filesystem::exists(folder / security::identity_key_file, fault);
  return found;
}

} // namespace troupe::cluster
