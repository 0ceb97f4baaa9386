#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "troupe/core/checksum.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/problem.hpp"

namespace troupe::storage {

/// A few bytes beside a log, overwritten often and hardly ever synced: after a crash of the
/// computer they may be old, but never ahead of the log. If they are lost or torn, they protect
/// nothing, and harm nothing.
class mark_file {
public:
  mark_file() = default;

  ~mark_file() {
    close();
  }

  mark_file(const mark_file&) = delete;
  mark_file& operator=(const mark_file&) = delete;

  [[nodiscard]] problem open(const std::filesystem::path& file) {
    close();
    descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor_ >= 0)
      return {};
    if (errno == ENOSPC)
      return {errc::storage_full, file.string() + " cannot be created; make space, then go on"};
    return {errc::bad_argument, file.string() + " cannot be opened; check the permissions"};
  }

  void close() {
    if (descriptor_ >= 0)
      ::close(std::exchange(descriptor_, -1));
  }

  /// Ignores a failed write: it leaves an old mark, which is allowed.
  void write(std::string body) {
    [[maybe_unused]] auto is_written = put(std::move(body));
  }

  /// For a mark that is lower than the one before: it is synced on return. Errors: storage_full,
  /// damaged (unknown which of the two marks is on the disk).
  [[nodiscard]] problem write_synced(std::string body) {
    if (put(std::move(body)) && ::fdatasync(descriptor_) == 0)
      return {};
    if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
      return {errc::storage_full, "the mark of a log cannot be written; make space, then go on"};
    return {errc::damaged, "the mark of a log cannot be written: "
                             + std::string{std::strerror(errno)} + "; check the disk"};
  }

  /// Returns the last body of `size` bytes; nothing if the file has no complete one.
  [[nodiscard]] std::string read(std::size_t size) const {
    std::string bytes(size + sizeof(std::uint32_t), '\0');
    if (::pread(descriptor_, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
      return {};
    decoder tail{std::string_view{bytes}.substr(size)};
    std::uint32_t sum = 0;
    tail.get(sum);
    bytes.resize(size);
    return sum == crc32c(bytes) ? bytes : std::string{};
  }

private:
  bool put(std::string body) {
    encoder sum;
    sum.put(crc32c(body));
    body += sum.take();
    // A short write sets no errno; the next write does.
    for (std::size_t done = 0; done < body.size();) {
      auto count
        = ::pwrite(descriptor_, body.data() + done, body.size() - done, static_cast<off_t>(done));
      if (count == 0 || (count < 0 && errno != EINTR))
        return false;
      done += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    }
    return true;
  }

  int descriptor_ = -1;
};

} // namespace troupe::storage
