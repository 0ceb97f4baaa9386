#pragma once

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.hpp"
#include "troupe/core/result.hpp"
#include "troupe/platform/process.hpp"
#include "troupe/storage/small_file.hpp"

/// Tokens to join, which are secret, in arguments and files.
namespace cli {

/// Returns what --token means: a line, or the content of the file behind "@". Warns on stderr if
/// other users can read that file. Errors: bad_argument, too_large.
inline troupe::result<std::string> read_token(const common_options& common,
                                              const std::string& word) {
  constexpr std::size_t longest = 4'096;
  if (!word.starts_with('@'))
    return word;
  auto file = word.substr(1);
  auto read = troupe::storage::read_small(file, longest);
  if (!read) { // a missing file is a wrong argument, too
    auto why = read.error().code;
    return troupe::problem{why == troupe::errc::not_found ? troupe::errc::bad_argument : why,
                           "--token: " + read.error().detail};
  }
  if (read->find_first_not_of(" \t\r\n") == std::string::npos)
    return troupe::problem{troupe::errc::bad_argument,
                           "--token: " + file
                             + " is empty; write the line of troupe ca invite into it"};
  struct stat about {};
  if (::stat(file.c_str(), &about) == 0 && S_ISREG(about.st_mode)
      && (about.st_mode & (S_IRGRP | S_IROTH)) != 0)
    note(common, "warning",
         "other users of this machine can read the token in " + file
           + "; have it written by troupe ca invite --out, or make it private with chmod 600");
  return read;
}

/// A new file for a token, which only this user can read. Removed again unless it is written.
class token_file {
public:
  /// Errors: bad_argument (it is there already, or cannot be made).
  static troupe::result<token_file> make(const std::string& path) {
    troupe::descriptor made{
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR)};
    if (made.get() < 0)
      return troupe::problem{
        troupe::errc::bad_argument,
        "--out is '" + path + "', which "
          + (errno == EEXIST ? std::string{"exists already, and a token replaces no file; remove "
                                           "it, or give another one"}
                             : std::string{"cannot be made ("} + std::strerror(errno)
                                 + "); check its folder and its rights, or give another file")};
    return token_file{path, std::move(made)};
  }

  token_file(token_file&& other) noexcept
    : path_(std::exchange(other.path_, {})), file_(std::move(other.file_)) {}

  token_file& operator=(token_file&&) = delete;

  ~token_file() {
    if (!path_.empty())
      ::unlink(path_.c_str());
  }

  /// Writes the line; the file stays. Errors: storage_full.
  troupe::problem write(std::string_view line) {
    constexpr std::string_view end = "\n";
    for (auto text : {line, end})
      if (::write(file_.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return {troupe::errc::storage_full,
                path_ + " could not be written; see whether the disk is full"};
    if (::fsync(file_.get()) != 0)
      return {troupe::errc::storage_full,
              path_ + " could not be written; see whether the disk is full"};
    path_.clear();
    return {};
  }

private:
  token_file(std::string path, troupe::descriptor file)
    : path_(std::move(path)), file_(std::move(file)) {}

  std::string path_;
  troupe::descriptor file_;
};

} // namespace cli
