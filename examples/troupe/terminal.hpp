#pragma once

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "top_screen.hpp"
#include "troupe/platform/process.hpp"

namespace cli {

/// Signals as a file descriptor to poll. They are blocked in this thread and all threads made after
/// it.
class polled_signals {
public:
  polled_signals(std::initializer_list<int> which) {
    ::sigemptyset(&which_);
    for (auto each : which)
      ::sigaddset(&which_, each);
    ::pthread_sigmask(SIG_BLOCK, &which_, nullptr);
    file_ = troupe::descriptor{::signalfd(-1, &which_, SFD_CLOEXEC | SFD_NONBLOCK)};
  }

  [[nodiscard]] int get() const {
    return file_.get();
  }

  /// The next pending signal, or zero.
  [[nodiscard]] int take() const {
    signalfd_siginfo what{};
    return ::read(file_.get(), &what, sizeof(what)) == sizeof(what)
             ? static_cast<int>(what.ssi_signo)
             : 0;
  }

private:
  sigset_t which_{};
  troupe::descriptor file_;
};

/// Stops this process as Ctrl-Z does, though SIGTSTP is blocked; returns when it is continued.
/// Returns at once if no shell could continue it: the kernel then ignores the signal (POSIX:
/// orphaned process groups).
inline void stop_process() {
  sigset_t stop{};
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGTSTP);
  ::raise(SIGTSTP);
  ::pthread_sigmask(SIG_UNBLOCK, &stop, nullptr);
  ::pthread_sigmask(SIG_BLOCK, &stop, nullptr);
}

/// The terminal at stdin and stdout in full-screen mode: alternate screen, no cursor, keys without
/// echo and without waiting for Enter. The destructor restores it.
///
/// A terminal may accept no output, as after Ctrl-S. Output then waits, at most until a signal
/// comes.
class whole_terminal {
public:
  explicit whole_terminal(const polled_signals& signals)
    : signals_(signals),
      out_(::open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) {
    ::tcgetattr(STDIN_FILENO, &before_);
    enter();
  }

  whole_terminal(const whole_terminal&) = delete;
  whole_terminal& operator=(const whole_terminal&) = delete;

  ~whole_terminal() {
    leave();
  }

  static bool is_there() {
    return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
  }

  static screen_size size() {
    winsize found{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &found) != 0 || found.ws_row == 0 || found.ws_col == 0)
      return {};
    return {found.ws_row, found.ws_col};
  }

  /// Shows lines from the top, as many as there are rows. Each line is cleared before it is
  /// written, because clearing afterwards would erase its last letter. Terminals with mode 2026
  /// show all at once. Some output may be missing if a signal came meanwhile.
  void show(const std::vector<std::string>& lines) const {
    std::string all = "\x1b[?2026h\x1b[H";
    for (auto& each : lines)
      all += "\x1b[2K" + each + (&each == &lines.back() ? "" : "\r\n");
    write(all + "\x1b[?2026l", until_signal);
  }

  /// Stops this process as Ctrl-Z does; returns when it is continued.
  void stop() {
    leave();
    stop_process();
    enter();
  }

private:
  static constexpr int until_signal = -1;

  void enter() const {
    auto raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON); // keys still send signals
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    write("\x1b[?1049h\x1b[?25l\x1b[?7l", until_signal); // no line wraps into the next one
  }

  void leave() const {
    constexpr int patience_ms = 500;
    auto flowing = before_;
    flowing.c_iflag &= ~static_cast<tcflag_t>(IXON); // resumes output that Ctrl-S has stopped
    ::tcsetattr(STDIN_FILENO, TCSANOW, &flowing);
    write("\x1b[?7h\x1b[?25h\x1b[?1049l", patience_ms);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }

  /// Writes; waits for a terminal that accepts nothing: `most_ms` each time, or until a signal.
  void write(std::string_view text, int most_ms) const {
    // Without /proc a write may block, because the terminal may have room for a part only.
    auto target = out_.get() >= 0 ? out_.get() : STDOUT_FILENO;
    while (!text.empty()) {
      pollfd sources[]{{target, POLLOUT, 0}, {signals_.get(), POLLIN, 0}};
      auto ready = ::poll(sources, most_ms == until_signal ? 2 : 1, most_ms);
      if (ready < 0 && errno == EINTR)
        continue;
      if (ready <= 0 || sources[0].revents == 0)
        return; // a signal, or the time is over
      auto count = ::write(target, text.data(), text.size());
      if (count < 0 && (errno == EINTR || errno == EAGAIN))
        continue;
      if (count <= 0)
        return; // the terminal is gone; reading its keys will show it
      text.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  const polled_signals& signals_;
  troupe::descriptor out_;
  termios before_{};
};

/// The keys of `troupe top`.
enum class top_key { none, quit, pause, next_pane, previous_pane, up, down, page_up, page_down };

struct key_spelling {
  std::string_view text;
  top_key meaning = top_key::none;
};

/// The codes that terminals send: ISO 6429 and, in application mode, with ESC O.
inline constexpr std::array key_spellings{key_spelling{"\x1b[A", top_key::up},
                                          key_spelling{"\x1b[B", top_key::down},
                                          key_spelling{"\x1b[C", top_key::next_pane},
                                          key_spelling{"\x1b[D", top_key::previous_pane},
                                          key_spelling{"\x1bOA", top_key::up},
                                          key_spelling{"\x1bOB", top_key::down},
                                          key_spelling{"\x1bOC", top_key::next_pane},
                                          key_spelling{"\x1bOD", top_key::previous_pane},
                                          key_spelling{"\x1b[5~", top_key::page_up},
                                          key_spelling{"\x1b[6~", top_key::page_down},
                                          key_spelling{"\x1b[Z", top_key::previous_pane},
                                          key_spelling{"\t", top_key::next_pane},
                                          key_spelling{"q", top_key::quit},
                                          key_spelling{"Q", top_key::quit},
                                          key_spelling{"p", top_key::pause},
                                          key_spelling{"P", top_key::pause},
                                          key_spelling{"k", top_key::up},
                                          key_spelling{"j", top_key::down}};

/// Removes the first key from the input and returns it.
inline top_key take_key(std::string& typed) {
  for (auto& [text, meaning] : key_spellings)
    if (typed.starts_with(text)) {
      typed.erase(0, text.size());
      return meaning;
    }
  // An unknown key is removed as a whole: ESC [, parameters, and a letter or '~'.
  std::size_t length = 1;
  if (typed.starts_with("\x1b[")) {
    length = 2;
    while (length < typed.size() && (typed[length] < '@' || typed[length] > '~'))
      ++length;
    ++length;
  }
  typed.erase(0, length);
  return top_key::none;
}

} // namespace cli
