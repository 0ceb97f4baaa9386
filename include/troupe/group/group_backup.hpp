#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "troupe/core/checksum.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/result.hpp"
#include "troupe/group/group_log.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::host {

/// A backup: the state of a group after entry `index` of its log.
struct group_backup {
  raft::log_index index = 0;
  raft::term_number term = 0;
  /// The group's time at that entry.
  raft::group_time at{};
  /// Calendar time of the node that made it.
  wall_time made{};
  /// In the form of a snapshot of the group.
  std::string state;

  friend bool operator==(const group_backup&, const group_backup&) = default;

  TROUPE_FIELDS(group_backup, index, term, at, made, state);
};

/// Returns the content of a backup file: the backup as encoded by core/codec.hpp, followed by the
/// CRC-32C of those bytes in four bytes, little-endian.
inline std::string to_file(const group_backup& what) {
  auto bytes = to_bytes(what);
  auto sum = crc32c(bytes);
  for (auto shift : {0U, 8U, 16U, 24U})
    bytes.push_back(static_cast<char>((sum >> shift) & 0xffU));
  return bytes;
}

/// Reads what to_file() made. Errors: damaged, incompatible.
inline result<group_backup> backup_from(std::string bytes) {
  constexpr std::size_t tail = 4;
  std::uint32_t sum = 0;
  if (bytes.size() >= tail)
    for (auto at = bytes.size(); at > bytes.size() - tail; --at)
      sum = (sum << 8U) | static_cast<unsigned char>(bytes[at - 1]);
  bytes.resize(bytes.size() >= tail ? bytes.size() - tail : 0);
  if (bytes.empty() || crc32c(bytes) != sum)
    return problem{errc::damaged, "this is no backup, or an incomplete one: its checksum is "
                                  "wrong; take another copy"};
  auto found = from_bytes<group_backup>(bytes);
  if (!found)
    return problem{errc::incompatible, "the backup is of a newer release; upgrade first"};
  return *std::move(found);
}

/// Reads a file with a backup. Checks the checksum first, so that a file that is not a backup takes
/// no memory. Errors: not_found, bad_argument (not a regular file, or it cannot be read), and those
/// of backup_from().
inline result<group_backup> read_backup(const std::filesystem::path& file) {
  std::error_code fault;
  if (!std::filesystem::exists(file, fault))
    return problem{errc::not_found, "there is no such file; check the path"};
  if (!std::filesystem::is_regular_file(file, fault))
    return problem{errc::bad_argument, "this is not a regular file; give one"};
  std::ifstream in{file, std::ios::binary};
  constexpr int highest_format = 0x1f; // of this release and those to come; texts begin above it
  if (auto first = in.is_open() ? in.peek() : 1; first < 1 || first > highest_format)
    return backup_from({}); // returns damaged, without reading all of a large file
  auto rest = std::filesystem::file_size(file, fault);
  constexpr std::size_t tail = 4;
  std::uint32_t sum = 0;
  std::string piece;
  for (auto left = rest > tail && !fault ? rest - tail : 0; left > 0 && in; left -= piece.size()) {
    piece.resize(std::min<std::uintmax_t>(left, std::size_t{1} << 20U));
    in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    sum = crc32c(piece, sum);
  }
  std::string end(tail, '\0');
  in.read(end.data(), tail);
  if (!in.is_open() || in.bad())
    return problem{errc::bad_argument, "the file cannot be read; check its permissions"};
  std::uint32_t told = 0;
  for (auto at = tail; at > 0; --at)
    told = (told << 8U) | static_cast<unsigned char>(end[at - 1]);
  if (!in || told != sum)
    return backup_from({}); // returns damaged
  in.seekg(0);
  std::string bytes(rest, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(rest));
  return backup_from(std::move(bytes));
}

/// Creates the log `file` of a new group with the state of a backup and this node as the only
/// voter. Errors: in_use (the file exists), and those of group_log.
inline problem found_from(const group_backup& what, const std::filesystem::path& file,
                          const std::string& contact) {
  std::error_code fault;
  if (std::filesystem::exists(file, fault))
    return {errc::in_use, file.string() + " exists already; give an empty folder"};
  group_log log{file};
  stored_group content;
  if (auto why = log.load(content))
    return why;
  raft::snapshot base{{what.index, what.term, what.at, {}},
                      std::make_shared<const std::string>(what.state)};
  return log.begin_anew(content, contact, std::move(base));
}

/// The end of a log. Of several voters, the one with the greatest log_end has the most complete
/// log.
struct log_end {
  raft::term_number term = 0;
  raft::log_index index = 0;

  friend auto operator<=>(const log_end&, const log_end&) = default;
};

/// Returns where the log `file` ends, or why go_on_alone() would refuse it. Does not change the
/// log's entries.
inline result<log_end> may_go_on_alone(const std::filesystem::path& file) {
  std::error_code fault;
  if (!std::filesystem::exists(file, fault))
    return problem{errc::not_found, "there is no " + file.string()
                                      + "; give the data folder of a node "
                                        "that was a voter"};
  group_log log{file};
  stored_group content;
  if (auto why = log.load(content))
    return why;
  auto& state = content.state;
  if (!state.entries.empty())
    return log_end{state.entries.back().term, state.entries.back().index};
  if (state.base.index == 0)
    return problem{errc::not_found, file.string()
                                      + " is empty: the node was never a voter; give the "
                                        "data folder of another node"};
  return log_end{state.base.term, state.base.index};
}

/// Turns the log `file` into that of a new group with this node as the only voter: for use when a
/// majority of the old group is lost permanently. Entries that only the others had are lost;
/// entries of this log that were not acknowledged may be committed. The old members must never
/// run again. Errors: not_found (no log, or an empty one), those of group_log.
inline problem go_on_alone(const std::filesystem::path& file, const std::string& contact) {
  if (auto end = may_go_on_alone(file); !end)
    return end.error();
  group_log log{file};
  stored_group content;
  if (auto why = log.load(content))
    return why;
  return log.begin_anew(content, contact);
}

} // namespace troupe::host
