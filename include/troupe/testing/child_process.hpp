#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "troupe/platform/process.hpp"

namespace troupe::testing {

/// A child process that a test watches and kills. It is killed when the thread that started it
/// ends, even if that was killed, and at the latest with this object. Not thread-safe.
class child_process {
public:
  using clock = std::chrono::steady_clock;

  /// Starts `command`: a path and its arguments. Its stdout is kept here line by line, its stderr
  /// goes to ours. Throws std::system_error if no process can be made; a program that cannot be run
  /// ends with status 127.
  explicit child_process(const std::vector<std::string>& command) {
    auto ends = make_pipe();
    if (!ends)
      throw std::system_error{errno, std::generic_category(), "pipe"};
    auto started = start_program({.command = command, .output = ends->second.get()});
    if (!started && started.error().code != errc::not_found)
      throw std::system_error{errno, std::generic_category(), "fork"};
    if (started)
      pid_ = *started;
    else
      status_ = 127;
    out_ = std::move(ends->first);
  }

  child_process(child_process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      out_(std::move(other.out_)),
      buffer_(std::move(other.buffer_)),
      status_(other.status_) {}

  child_process& operator=(child_process&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(out_, other.out_);
    std::swap(buffer_, other.buffer_);
    std::swap(status_, other.status_);
    return *this;
  }

  ~child_process() {
    if (pid_ > 0 && !status_) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }

  [[nodiscard]] pid_t pid() const {
    return pid_;
  }

  /// Returns the next line of its output, without the line end; nothing if none arrives by
  /// `deadline` or the output has ended.
  std::optional<std::string> read_line(clock::time_point deadline) {
    for (;;) {
      if (auto end = buffer_.find('\n'); end != std::string::npos) {
        auto line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return line;
      }
      if (!wait_readable(deadline) || !fill())
        return std::nullopt;
    }
  }

  std::optional<std::string> read_line(std::chrono::milliseconds wait = std::chrono::seconds{20}) {
    return read_line(clock::now() + wait);
  }

  /// Returns all that it writes until it ends or `wait` is over.
  std::string read_rest(std::chrono::milliseconds wait = std::chrono::seconds{20}) {
    auto deadline = clock::now() + wait;
    while (wait_readable(deadline) && fill()) {
    }
    return std::exchange(buffer_, {});
  }

  void send_signal(int number) const {
    if (pid_ > 0 && !status_)
      ::kill(pid_, number);
  }

  /// Waits for its end. Returns its exit status, or 128 plus the signal that ended it, as a shell
  /// does; nothing if it still runs after `wait`.
  std::optional<int> wait_for_end(std::chrono::milliseconds wait = std::chrono::seconds{20}) {
    if (status_)
      return status_;
    auto deadline = clock::now() + wait;
    for (;;) {
      int status = 0;
      if (::waitpid(pid_, &status, WNOHANG) == pid_) {
        status_ = exit_status(status);
        return status_;
      }
      if (clock::now() >= deadline)
        return std::nullopt;
      ::poll(nullptr, 0, 5);
    }
  }

private:
  bool wait_readable(clock::time_point deadline) const {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock::now());
    pollfd readable{out_.get(), POLLIN, 0};
    return ::poll(&readable, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0))) > 0;
  }

  bool fill() {
    char bytes[4096];
    auto count = ::read(out_.get(), bytes, sizeof(bytes));
    if (count > 0)
      buffer_.append(bytes, static_cast<std::size_t>(count));
    return count > 0;
  }

  pid_t pid_ = -1;
  descriptor out_;
  std::string buffer_;
  std::optional<int> status_;
};

} // namespace troupe::testing
