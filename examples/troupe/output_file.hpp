#pragma once

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.hpp"
#include "troupe/platform/process.hpp"

namespace cli {

/// A file that a command writes at its end and checks at its beginning, so that an unwritable file
/// is reported before the work. The old content stays until the new one is complete: that is
/// written to a temporary file in the same folder, which is then renamed. Until then nothing is
/// left behind, however the command ends. A pipe or a device is opened at the beginning, and so is
/// a file in a folder where no other file can be created.
class output_file {
public:
  /// Errors: bad_argument (the file cannot be written, or is `input`, which the command reads, or
  /// is the standard output).
  static troupe::result<output_file> open(const std::string& path, const std::string& option,
                                          const std::string& input) {
    auto refused = [&](const std::string& why) {
      return troupe::problem{troupe::errc::bad_argument, option + " is '" + path + "', " + why};
    };
    struct stat before {};
    struct stat read {};
    auto is_there = ::stat(path.c_str(), &before) == 0;
    if (!is_there && errno != ENOENT)
      return refused(unwritable(errno));
    if (!is_there && ::lstat(path.c_str(), &before) == 0)
      return refused("a link to a file that does not exist; give that file, or remove the link");
    if (is_there && ::stat(input.c_str(), &read) == 0 && before.st_dev == read.st_dev
        && before.st_ino == read.st_ino)
      return refused("which is read as the workflow; give another file");
    struct stat output {};
    if (is_there && S_ISREG(before.st_mode) && ::fstat(STDOUT_FILENO, &output) == 0
        && before.st_dev == output.st_dev && before.st_ino == output.st_ino)
      return refused("where the output of the command goes; give another file");
    if (is_there && S_ISDIR(before.st_mode))
      return refused(unwritable(EISDIR));
    output_file made{path};
    if (is_there && !S_ISREG(before.st_mode))
      return made.open_it() ? troupe::result<output_file>{std::move(made)}
             : errno == ENXIO
               ? refused("a pipe that no program reads; start its reader first, or give a file")
               : refused(unwritable(errno));
    if (is_there) {
      if (::access(path.c_str(), W_OK) != 0)
        return refused(unwritable(errno));
      made.rights_ = before.st_mode & 07777U;
      if (std::unique_ptr<char, decltype(&std::free)> real{::realpath(path.c_str(), nullptr),
                                                           &std::free})
        made.target_ = real.get(); // follows links, which stay
    }
    if (auto made_it = made.make_other()) {
      ::unlink(made_it->second.c_str()); // it was only a test
      return made;
    }
    auto why = errno;
    if (is_there && made.open_it())
      return made;
    return refused(unwritable(why));
  }

  /// Writes the whole content. Errors: storage_full, also for other errors of the disk.
  troupe::problem write(std::string_view text) {
    held_back signals; // a signal would leave half of the content
    if (file_.get() >= 0)
      return write_in_place(text);
    auto other = make_other();
    if (!other)
      return unwritten(errno);
    auto& [file, name] = *other;
    if ((rights_ && ::fchmod(file.get(), *rights_) != 0) || !write_all(file.get(), text)
        || ::rename(name.c_str(), target_.c_str()) != 0) {
      auto why = errno;
      ::unlink(name.c_str());
      return unwritten(why);
    }
    return {};
  }

private:
  /// Blocks all signals of this thread that can be blocked, as long as it lives.
  class held_back {
  public:
    held_back() {
      sigset_t all;
      ::sigfillset(&all);
      ::pthread_sigmask(SIG_BLOCK, &all, &before_);
    }

    held_back(const held_back&) = delete;
    held_back& operator=(const held_back&) = delete;

    ~held_back() {
      ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

  private:
    sigset_t before_{};
  };

  explicit output_file(std::string path) : path_(std::move(path)), target_(path_) {}

  static std::string unwritable(int why) {
    return std::string{"which cannot be written ("} + std::strerror(why)
           + "); check its folder and its rights, or give another file";
  }

  /// Opens an existing file without waiting for the reader of a pipe.
  bool open_it() {
    file_ = troupe::descriptor{::open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
    auto flags = file_.get() < 0 ? -1 : ::fcntl(file_.get(), F_GETFL);
    return flags >= 0 && ::fcntl(file_.get(), F_SETFL, flags & ~O_NONBLOCK) == 0;
  }

  /// Creates a new file in the folder of the output file. Returns it and its name; nothing, and
  /// errno, if that fails.
  [[nodiscard]] std::optional<std::pair<troupe::descriptor, std::string>> make_other() const {
    auto folder = target_.substr(0, target_.rfind('/') + 1);
    constexpr mode_t rights = 0666; // minus the umask
    constexpr int most_tries = 100; // an earlier process with this id may have left some
    for (auto each = 0; each < most_tries; ++each) {
      auto name
        = folder + ".troupe-" + std::to_string(::getpid()) + '-' + std::to_string(each) + ".part";
      troupe::descriptor file{
        ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, rights)};
      if (file.get() >= 0)
        return std::pair{std::move(file), std::move(name)};
      if (errno != EEXIST)
        break;
    }
    return std::nullopt;
  }

  troupe::problem write_in_place(std::string_view text) {
    struct stat about {};
    auto is_file = ::fstat(file_.get(), &about) == 0 && S_ISREG(about.st_mode);
    if (is_file && ::ftruncate(file_.get(), 0) != 0)
      return unwritten(errno);
    return write_all(file_.get(), text) ? troupe::problem{} : unwritten(errno);
  }

  static bool write_all(int file, std::string_view text) {
    while (!text.empty()) {
      auto count = ::write(file, text.data(), text.size());
      if (count < 0 && errno == EINTR)
        continue;
      if (count <= 0)
        return false;
      text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }

  [[nodiscard]] troupe::problem unwritten(int why) const {
    return {troupe::errc::storage_full, "'" + path_ + "' could not be written ("
                                          + std::strerror(why) + "); see whether the disk is full"};
  }

  std::string path_;
  /// The same with links resolved.
  std::string target_;
  /// Permissions of the file that it replaces.
  std::optional<mode_t> rights_;
  troupe::descriptor file_;
};

} // namespace cli
