#pragma once

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "troupe/core/result.hpp"
#include "troupe/core/secret.hpp"
#include "troupe/core/time.hpp"
#include "troupe/platform/user_name.hpp"
#include "troupe/storage/size_limit.hpp"

/// Files and folders that only their owner may read, and that a crash leaves whole.
namespace troupe::storage {

/// The longest file that read_private() reads.
inline constexpr std::size_t max_private_bytes = 1U << 16U;

/// How long a writer waits for others that write into the same folder, or have the same file open.
inline constexpr duration max_private_wait = std::chrono::seconds{10};

namespace detail {

/// Closes a descriptor at the end of a scope.
class descriptor {
public:
  explicit descriptor(int number) : number_(number) {}

  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;

  ~descriptor() {
    if (number_ >= 0)
      ::close(number_);
  }

  [[nodiscard]] int get() const {
    return number_;
  }

private:
  int number_;
};

/// `fault` is an errno.
inline problem file_problem(const std::string& what, const std::filesystem::path& where,
                            int fault) {
  auto said = "cannot " + what + " " + where.string() + ": " + std::strerror(fault);
  if (fault == ENOSPC || fault == EDQUOT || fault == EFBIG)
    return {errc::storage_full, said + "; its folder has no space left, make some, then retry"};
  if (fault == ENOENT)
    return {errc::not_found, said + "; check the path"};
  return {errc::bad_argument, said + "; check the path and its permissions"};
}

/// Takes the exclusive lock of an open file or folder. Polls, as flock() has no time-out: a process
/// that was stopped, or another user's, would hold up this one for ever. Errors: in_use, and those
/// of flock().
inline problem lock_within(duration longest, int open, const std::filesystem::path& where) {
  constexpr std::chrono::milliseconds pause{10};
  auto deadline = std::chrono::steady_clock::now() + longest;
  while (::flock(open, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return file_problem("lock", where, errno);
    if (std::chrono::steady_clock::now() >= deadline)
      return {errc::in_use, "another process has locked " + where.string() + " for "
                              + to_string(longest) + "; end it (fuser -v " + where.string()
                              + " shows which), or use a folder that no other user may enter, then "
                                "retry"};
    std::this_thread::sleep_for(pause);
  }
  return {};
}

inline bool write_all(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    auto count = ::write(to, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0) {
      errno = count == 0 ? ENOSPC : errno;
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

} // namespace detail

/// Makes `where`, which only its owner may enter, and the folders above it that are missing. One
/// that exists stays as it is: see is_open_to_others(). Errors: bad_argument, storage_full.
inline result<void> make_private_folder(std::filesystem::path where) {
  // The parent path of "folder/" is "folder".
  while (where.has_relative_path() && where.has_parent_path()
         && (!where.has_filename() || where.filename() == "."))
    where = where.parent_path();
  std::error_code fault;
  if (std::filesystem::is_directory(where, fault))
    return {};
  fault.clear();
  if (where.has_parent_path())
    std::filesystem::create_directories(where.parent_path(), fault);
  if (fault)
    return detail::file_problem("make the folder", where, fault.value());
  if (::mkdir(where.c_str(), S_IRWXU) != 0 && errno != EEXIST)
    return detail::file_problem("make the folder", where, errno);
  if (!std::filesystem::is_directory(where, fault))
    return detail::file_problem("make the folder", where, ENOTDIR);
  return {};
}

/// Whether users other than the owner may list or enter the folder, or read the file, or change it.
inline bool is_open_to_others(const std::filesystem::path& which) {
  struct stat about {};
  return ::stat(which.c_str(), &about) == 0 && (about.st_mode & (S_IRWXG | S_IRWXO)) != 0;
}

/// Whether a file of the user `owner` is another's for a process of `self`: root, who can do all,
/// is nobody else.
constexpr bool is_of_another_user(::uid_t owner, ::uid_t self) {
  return owner != self && owner != 0;
}

/// The owner of the folder, if that is another user than the one of this process and root.
inline std::optional<::uid_t> other_owner(const std::filesystem::path& folder) {
  struct stat about {};
  if (::stat(folder.c_str(), &about) != 0 || !is_of_another_user(about.st_uid, ::geteuid()))
    return std::nullopt;
  return about.st_uid;
}

/// Whether the folder is one in which all users make files, like /tmp: it has the sticky bit.
inline bool is_for_all(const std::filesystem::path& folder) {
  struct stat about {};
  return ::stat(folder.c_str(), &about) == 0 && (about.st_mode & S_ISVTX) != 0;
}

/// Writes `bytes` to `file`, durably: whoever reads it sees the old content or the new one, also
/// after a crash. Only the owner may read it. Of those who write into one folder at once each waits
/// for the others, as long as `longest` says. Errors: storage_full, bad_argument, not_found (no
/// such folder), in_use (another process holds the lock of the folder); the old content stays then.
inline result<void> write_private(const std::filesystem::path& file, std::string_view bytes,
                                  duration longest = max_private_wait) {
  size_limit_is_error guard;
  auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path{"."};
  detail::descriptor holds{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (holds.get() >= 0)
    if (auto why = detail::lock_within(longest, holds.get(), folder))
      return why;
  auto fresh = file;
  fresh += ".new";
  ::unlink(fresh.c_str()); // what a crash left may be open to others
  auto cannot = [&] {
    auto why = detail::file_problem("write", fresh, errno);
    ::unlink(fresh.c_str());
    return why;
  };
  {
    detail::descriptor out{::open(
      fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR)};
    if (out.get() < 0)
      return detail::file_problem("write", fresh, errno);
    if (!detail::write_all(out.get(), bytes) || ::fsync(out.get()) != 0)
      return cannot();
  }
  if (::rename(fresh.c_str(), file.c_str()) != 0)
    return cannot();
  if (holds.get() >= 0)
    ::fsync(holds.get()); // the name of the new file
  return {};
}

/// Reads a file that holds a secret. `remedy` says what to do if somebody else has had it. Errors:
/// not_found, bad_argument (other users may read it, it belongs to another user than the one of
/// this process and root, or it is no file), too_large (above max_private_bytes).
inline result<secret> read_private(const std::filesystem::path& file, const std::string& remedy) {
  detail::descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat about {};
  if (in.get() < 0 || ::fstat(in.get(), &about) != 0)
    return detail::file_problem("read", file, errno);
  if (!S_ISREG(about.st_mode))
    return problem{errc::bad_argument, file.string() + " is not a file; check the path"};
  if ((about.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return problem{errc::bad_argument, "other users may read " + file.string()
                                         + ", which holds a private key; close it with chmod 600 "
                                         + file.string() + "; if anyone may have read it, "
                                         + remedy};
  if (auto self = ::geteuid(); is_of_another_user(about.st_uid, self))
    return problem{
      errc::bad_argument,
      file.string() + ", which holds a private key, belongs to the user " + user_name(about.st_uid)
        + ", and this process runs as " + user_name(self) + "; run it as that user (sudo -u "
        + user_name(about.st_uid)
        + "). If no node runs there and the file is yours, give it to your user (chown "
        + user_name(self) + " " + file.string() + "); if a stranger had it, " + remedy};
  if (about.st_size > static_cast<off_t>(max_private_bytes))
    return problem{errc::too_large, file.string() + " has more than "
                                      + std::to_string(max_private_bytes)
                                      + " bytes, so it is no key; check the path"};
  secret bytes{static_cast<std::size_t>(about.st_size)};
  for (std::size_t done = 0; done < bytes.size();) {
    auto count = ::read(in.get(), bytes.bytes().data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return problem{errc::damaged, file.string() + " became shorter while it was read; retry"};
    done += static_cast<std::size_t>(count);
  }
  return bytes;
}

} // namespace troupe::storage
