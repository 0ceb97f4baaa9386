#pragma once

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "troupe/core/result.hpp"
#include "troupe/storage/private_file.hpp"
#include "troupe/storage/size_limit.hpp"

namespace troupe::storage {

/// A text file that grows by whole lines, each on the disk before append() returns, and that only
/// its owner may read. A crash may leave the beginning of a last line: that was not appended, and
/// is cut off by the next open(). One process has the file at a time; others wait in open(), up to
/// max_private_wait. Readers need not wait: see read_only().
class private_lines {
public:
  static constexpr std::size_t max_line_bytes = 4'096;
  static constexpr std::size_t max_bytes = 64U << 20U;

  /// Opens or makes `file`, and reads it. Errors: bad_argument (other users may read or change it,
  /// or it cannot be opened), too_large, damaged (a line is too long), storage_full, not_found (no
  /// such folder), in_use (another process has it).
  static result<private_lines> open(const std::filesystem::path& file) {
    private_lines made{file};
    if (auto why = made.take())
      return why;
    if (auto why = made.read())
      return why;
    if (made.is_torn_)
      made.cut();
    return made;
  }

  /// Returns the lines of `file`, without their ends, also while another process has it open; needs
  /// only the right to read it. Errors: as of open(), except storage_full and in_use.
  static result<std::vector<std::string>> read_only(const std::filesystem::path& file) {
    private_lines made{file};
    made.descriptor_ = std::make_unique<detail::descriptor>(
      ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (made.descriptor_->get() < 0)
      return detail::file_problem("open", file, errno);
    if (auto why = made.read())
      return why;
    return std::move(made.lines_);
  }

  /// All lines, without their ends.
  [[nodiscard]] const std::vector<std::string>& lines() const {
    return lines_;
  }

  /// Errors: storage_full, too_large (the line or the file); nothing was appended then.
  /// @pre `line` has no line feed.
  result<void> append(std::string_view line) {
    if (line.size() > max_line_bytes || size_ + line.size() >= max_bytes)
      return problem{errc::too_large, file_.string() + " takes lines of up to "
                                        + std::to_string(max_line_bytes) + " bytes, and "
                                        + std::to_string(max_bytes) + " bytes in all"};
    size_limit_is_error guard;
    auto text = std::string{line} + '\n';
    if (!detail::write_all(descriptor_->get(), text) || ::fsync(descriptor_->get()) != 0) {
      auto why = detail::file_problem("write", file_, errno);
      cut();
      return why;
    }
    size_ += text.size();
    lines_.emplace_back(line);
    return {};
  }

  /// Puts these lines in the place of all others, at once: a crash leaves the old ones or these.
  /// Errors: storage_full, too_large, bad_argument; the old ones stay then.
  /// @pre No line has a line feed.
  result<void> replace(std::vector<std::string> lines) {
    std::string text;
    for (auto& each : lines)
      text += each + '\n';
    if (text.size() > max_bytes)
      return problem{errc::too_large,
                     file_.string() + " takes " + std::to_string(max_bytes) + " bytes in all"};
    size_limit_is_error guard;
    auto fresh = file_;
    fresh += ".new";
    ::unlink(fresh.c_str()); // what a crash has left
    auto out = std::make_unique<detail::descriptor>(
      ::open(fresh.c_str(), O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
             S_IRUSR | S_IWUSR));
    // Locked before it has the name by which others open it.
    if (out->get() < 0 || ::flock(out->get(), LOCK_EX | LOCK_NB) != 0
        || !detail::write_all(out->get(), text) || ::fsync(out->get()) != 0
        || ::rename(fresh.c_str(), file_.c_str()) != 0) {
      auto why = detail::file_problem("write", fresh, errno);
      ::unlink(fresh.c_str());
      return why;
    }
    sync_folder();
    descriptor_ = std::move(out);
    size_ = text.size();
    lines_ = std::move(lines);
    return {};
  }

private:
  explicit private_lines(std::filesystem::path file) : file_(std::move(file)) {}

  problem take() {
    do {
      descriptor_ = std::make_unique<detail::descriptor>(
        ::open(file_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
               S_IRUSR | S_IWUSR));
      if (descriptor_->get() < 0)
        return detail::file_problem("open", file_, errno);
      if (auto why = detail::lock_within(max_private_wait, descriptor_->get(), file_))
        return why;
    } while (was_replaced());
    sync_folder();
    return {};
  }

  /// Whether another process has replaced the file since it was opened.
  [[nodiscard]] bool was_replaced() const {
    struct stat open {};
    struct stat named {};
    return ::fstat(descriptor_->get(), &open) == 0
           && (::stat(file_.c_str(), &named) != 0 || named.st_ino != open.st_ino
               || named.st_dev != open.st_dev);
  }

  /// The name of a new file.
  void sync_folder() const {
    auto folder = file_.has_parent_path() ? file_.parent_path() : std::filesystem::path{"."};
    detail::descriptor holds{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (holds.get() >= 0)
      ::fsync(holds.get());
  }

  problem read() {
    struct stat about {};
    if (::fstat(descriptor_->get(), &about) != 0)
      return detail::file_problem("read", file_, errno);
    if (!S_ISREG(about.st_mode) || (about.st_mode & (S_IRWXG | S_IRWXO)) != 0)
      return {errc::bad_argument, "other users may read or change " + file_.string()
                                    + ", or it is no file; see what is in it, and close it with "
                                      "chmod 600 "
                                    + file_.string()};
    if (about.st_size > static_cast<off_t>(max_bytes))
      return {errc::too_large, file_.string() + " has more than " + std::to_string(max_bytes)
                                 + " bytes; check the path"};
    std::string text(static_cast<std::size_t>(about.st_size), '\0');
    for (std::size_t done = 0; done < text.size();) {
      auto count = ::pread(descriptor_->get(), text.data() + done, text.size() - done,
                           static_cast<off_t>(done));
      if (count < 0 && errno == EINTR)
        continue;
      if (count <= 0)
        return {errc::damaged, file_.string() + " became shorter while it was read; retry"};
      done += static_cast<std::size_t>(count);
    }
    for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n', size_)) {
      if (end - size_ > max_line_bytes)
        return {errc::damaged, "line " + std::to_string(lines_.size() + 1) + " of " + file_.string()
                                 + " is too long; restore it from a backup"};
      lines_.push_back(text.substr(size_, end - size_));
      size_ = end + 1;
    }
    is_torn_ = size_ < text.size();
    return {};
  }

  /// What lies behind the whole lines was never appended. If this fails the next open() does it.
  void cut() {
    [[maybe_unused]] auto done = ::ftruncate(descriptor_->get(), static_cast<off_t>(size_));
  }

  std::filesystem::path file_;
  std::unique_ptr<detail::descriptor> descriptor_;
  std::size_t size_ = 0;
  bool is_torn_ = false;
  std::vector<std::string> lines_;
};

} // namespace troupe::storage
