#pragma once

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "troupe/platform/process.hpp"

namespace troupe::test {

/// A program at a terminal of its own, which is held by the test. It ends with this object.
class program_at_terminal {
public:
  program_at_terminal(const std::vector<std::string>& command, int rows, int columns) {
    auto size = size_of(rows, columns);
    int ends[2];
    if (::openpty(&ends[0], &ends[1], nullptr, nullptr, &size) != 0)
      throw std::runtime_error{"there is no terminal to be had"};
    ours_ = descriptor{ends[0]};
    its_ = descriptor{ends[1]};
    std::vector<std::string> all{"setsid", "--ctty"}; // so that what is typed becomes signals
    all.insert(all.end(), command.begin(), command.end());
    auto started = start_program({.command = all,
                                  .input = its_.get(),
                                  .output = its_.get(),
                                  .errors = its_.get(),
                                  .alone = true});
    if (!started)
      throw std::runtime_error{started.error().detail};
    pid_ = *started;
  }

  program_at_terminal(const program_at_terminal&) = delete;
  program_at_terminal& operator=(const program_at_terminal&) = delete;

  ~program_at_terminal() {
    if (!status_) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }

  void press(const std::string& keys) const {
    if (::write(ours_.get(), keys.data(), keys.size()) != static_cast<ssize_t>(keys.size()))
      throw std::runtime_error{"the terminal takes no keys"};
  }

  /// The program hears of it by SIGWINCH.
  void resize(int rows, int columns) const {
    auto size = size_of(rows, columns);
    ::ioctl(ours_.get(), TIOCSWINSZ, &size);
  }

  void send_signal(int number) const {
    ::kill(pid_, number);
  }

  /// The terminal is gone, as when its window is closed.
  void hang_up() {
    ours_.close();
    its_.close();
  }

  /// Reads what it writes until `text` is part of that, or `wait` is over.
  bool writes(const std::string& text, std::chrono::milliseconds wait = std::chrono::seconds{20}) {
    auto deadline = std::chrono::steady_clock::now() + wait;
    while (output_.find(text) == std::string::npos)
      if (!read_some(deadline))
        return false;
    return true;
  }

  /// Reads what it writes until `is_there(frame)` of what was drawn last, or `wait` is over.
  template <class Predicate>
  bool draws(Predicate is_there, std::chrono::milliseconds wait = std::chrono::seconds{20}) {
    auto deadline = std::chrono::steady_clock::now() + wait;
    do {
      const auto lines = frame();
      if (is_there(lines))
        return true;
    } while (read_some(deadline));
    return false;
  }

  bool shows(const std::string& text) {
    return draws([&](auto& lines) {
      return std::ranges::any_of(lines,
                                 [&](auto& each) { return each.find(text) != std::string::npos; });
    });
  }

  /// The lines of the last whole frame, without what gives them colours. A frame is what is between
  /// the escapes that begin and end a synchronized update (private mode 2026).
  [[nodiscard]] std::vector<std::string> frame() const {
    auto end = output_.rfind("\x1b[?2026l");
    auto begin = end == std::string::npos ? end : output_.rfind("\x1b[?2026h", end);
    std::vector<std::string> lines;
    if (begin == std::string::npos)
      return lines;
    lines.emplace_back();
    for (auto at = begin; at < end; ++at)
      if (output_[at] == '\x1b')
        at = output_.find_first_of("mHKhl", at); // the end of an escape
      else if (output_[at] == '\n')
        lines.emplace_back();
      else if (output_[at] != '\r')
        lines.back() += output_[at];
    return lines;
  }

  /// All that it has written so far.
  [[nodiscard]] const std::string& output() const {
    return output_;
  }

  /// Waits for its end and reads all that it wrote. Returns its status as a shell has it; nothing
  /// if it still runs.
  std::optional<int> wait_for_end(std::chrono::milliseconds wait = std::chrono::seconds{20}) {
    auto deadline = std::chrono::steady_clock::now() + wait;
    while (!status_ && std::chrono::steady_clock::now() < deadline) {
      int status = 0;
      if (::waitpid(pid_, &status, WNOHANG) == pid_)
        status_ = exit_status(status);
      constexpr std::chrono::milliseconds look_again{20};
      while (read_some(std::chrono::steady_clock::now() + look_again))
        continue;
    }
    return status_;
  }

  /// Lines are edited and shown while they are typed, as a shell wants it.
  [[nodiscard]] bool is_as_before() const {
    termios now{};
    constexpr tcflag_t usual = ICANON | ECHO | ISIG;
    return ::tcgetattr(ours_.get(), &now) == 0 && (now.c_lflag & usual) == usual;
  }

private:
  static winsize size_of(int rows, int columns) {
    winsize size{};
    size.ws_row = static_cast<unsigned short>(rows);
    size.ws_col = static_cast<unsigned short>(columns);
    return size;
  }

  bool read_some(std::chrono::steady_clock::time_point deadline) {
    auto left
      = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd readable{ours_.get(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&readable, 1, static_cast<int>(left.count())) <= 0)
      return false;
    char bytes[4096];
    auto count = ::read(ours_.get(), bytes, sizeof(bytes));
    if (count > 0)
      output_.append(bytes, static_cast<std::size_t>(count));
    return count > 0;
  }

  descriptor ours_;
  /// Kept open, so that what the program left can be looked at after its end.
  descriptor its_;
  pid_t pid_ = -1;
  std::string output_;
  std::optional<int> status_;
};

} // namespace troupe::test
