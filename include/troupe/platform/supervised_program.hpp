#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "troupe/core/result.hpp"
#include "troupe/platform/process.hpp"

namespace troupe {

namespace detail {

/// The process between us and a program. All that the program starts stays below it: if a parent
/// ends, its children become children of this process (it is a subreaper), even in a group or
/// session of their own. It was forked from a process with threads, so it makes system calls only.
class supervisor {
public:
  /// `owner` is the socket to the process that starts the program.
  explicit supervisor(int owner) : owner_(owner) {}

  /// Starts the program and runs until all its processes have ended. Kills them all on request, and
  /// when the owner has ended in any way.
  [[noreturn]] void run(const program& what, char* const* words, int tell) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::prctl(PR_SET_NAME, "troupe-keeper");
    ::signal(SIGCHLD, SIG_DFL);
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr); // only SIGKILL can end it early
    self_ = ::getpid();
    program_ = ::fork();
    if (program_ == 0)
      become(what, words, self_, tell);
    if (program_ < 0) {
      start_fault why{errno, false};
      [[maybe_unused]] auto written = ::write(tell, &why, sizeof(why));
      ::_exit(127);
    }
    // Signals to the owner's process group, from a terminal or kill, must not reach this process.
    ::setpgid(0, 0);
    auto kept = static_cast<unsigned>(owner_);
    if (kept > 0)
      ::close_range(0, kept - 1, 0); // pipes: others wait until all their ends are closed
    ::close_range(kept + 1, ~0U, 0);
    sigset_t of_children;
    ::sigemptyset(&of_children);
    ::sigaddset(&of_children, SIGCHLD);
    children_ = ::signalfd(-1, &of_children, SFD_CLOEXEC | SFD_NONBLOCK);
    for (;;) {
      reap();
      std::array<pollfd, 2> news{{{children_, POLLIN, 0}, {owner_, POLLIN, 0}}};
      ::poll(news.data(), news.size(), look_again_ms);
      forget_signals();
      if (news[1].revents != 0)
        obey();
    }
  }

private:
  void obey() {
    auto number = 0;
    auto count = ::recv(owner_, &number, sizeof(number), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (count <= 0 || number == SIGKILL)
      kill_all();
    signal_all(number);
  }

  /// Repeats until nothing is left: the next round finds the processes that were started meanwhile.
  [[noreturn]] void kill_all() {
    for (;;) {
      signal_all(SIGKILL);
      reap(); // ends this process, too, once nothing is left
      pollfd news{children_, POLLIN, 0};
      ::poll(&news, 1, look_again_ms);
      forget_signals();
    }
  }

  /// Ends this process when it has no children left.
  void reap() {
    auto status = 0;
    pid_t ended = 0;
    while ((ended = ::waitpid(-1, &status, WNOHANG)) > 0)
      if (ended == program_)
        ::send(owner_, &status, sizeof(status), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (ended < 0 && errno == ECHILD)
      ::_exit(0);
  }

  void forget_signals() const {
    signalfd_siginfo seen{};
    while (::read(children_, &seen, sizeof(seen)) > 0)
      continue;
  }

  // -- who is below ------------------------------------------------------------------

  void signal_all(int number) const {
    auto folder = ::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    alignas(std::uint64_t) std::array<char, 4096> entries{};
    for (;;) {
      // By system call: readdir() allocates memory.
      auto count = ::syscall(SYS_getdents64, folder, entries.data(), entries.size());
      if (count <= 0)
        break;
      for (std::size_t at = 0; at < static_cast<std::size_t>(count);) {
        // struct linux_dirent64: inode, offset, size of this entry, kind, name.
        std::uint16_t size = 0;
        std::memcpy(&size, entries.data() + at + 16, sizeof(size));
        if (auto process = number_in(entries.data() + at + 19); is_below(process))
          ::kill(process, number);
        at += size;
      }
    }
    ::close(folder);
  }

  [[nodiscard]] bool is_below(pid_t process) const {
    for (auto depth = 0; depth < max_depth && process > 1; ++depth) {
      process = parent_of(process);
      if (process == self_)
        return true;
    }
    return false;
  }

  /// Zero if there is no such process.
  static pid_t parent_of(pid_t process) {
    std::array<char, 32> path{"/proc/"};
    auto* end = std::to_chars(path.data() + 6, path.data() + 20, process).ptr;
    std::memcpy(end, "/stat", 6);
    auto file = ::open(path.data(), O_RDONLY | O_CLOEXEC);
    if (file < 0)
      return 0;
    std::array<char, 512> text{};
    auto count = ::read(file, text.data(), text.size() - 1);
    ::close(file);
    // The number, the name in parentheses, a letter for the state, the parent.
    std::string_view seen{text.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
    auto name_end = seen.rfind(')');
    return name_end == std::string_view::npos || name_end + 4 >= seen.size()
             ? 0
             : number_in(text.data() + name_end + 4);
  }

  /// Zero if `text` does not begin with one.
  static pid_t number_in(const char* text) {
    pid_t number = 0;
    std::from_chars(text, text + std::strlen(text), number);
    return number;
  }

  static constexpr int look_again_ms = 1'000;
  static constexpr int max_depth = 10'000;

  int owner_;
  int children_ = -1;
  pid_t self_ = 0;
  pid_t program_ = 0;
};

} // namespace detail

/// A program and all its descendants, also in process groups and sessions of their own. None of
/// them outlives this object, nor this process, even if SIGKILL ends it. A small process between
/// the two ensures that; only a SIGKILL to that process itself leaves descendants behind. It is a
/// fork of this process, so memory that this process had at that time stays in use. Calls are for
/// one thread, except signal().
class supervised_program {
public:
  using clock = std::chrono::steady_clock;

  /// Starts a program as start_program() does, with the same errors.
  static result<supervised_program> start(const program& what) {
    auto words = detail::words_of(what);
    auto verdict = make_pipe(); // closed by a successful exec
    if (!verdict)
      return verdict.error();
    auto& [told, tell] = *verdict;
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
      return problem{errc::failed, std::string{"cannot create a socket: "} + std::strerror(errno)
                                     + "; raise the limit of open files"};
    descriptor ours{ends[0]};
    descriptor theirs{ends[1]};
    auto made = ::fork();
    if (made == 0)
      detail::supervisor{theirs.get()}.run(what, words.data(), tell.get());
    if (made < 0)
      return detail::no_process(errno);
    theirs.close();
    tell.close();
    if (auto why = detail::await_program(what, told, made))
      return why;
    return supervised_program{made, std::move(ours)};
  }

  supervised_program(supervised_program&& other) noexcept
    : supervisor_(std::exchange(other.supervisor_, 0)),
      news_(std::move(other.news_)),
      status_(other.status_),
      has_ended_(other.has_ended_) {}

  supervised_program& operator=(supervised_program&& other) noexcept {
    std::swap(supervisor_, other.supervisor_);
    std::swap(news_, other.news_);
    std::swap(status_, other.status_);
    std::swap(has_ended_, other.has_ended_);
    return *this;
  }

  ~supervised_program() {
    kill();
  }

  /// A descriptor that is readable when look() has news.
  [[nodiscard]] int news() const {
    return news_.get();
  }

  /// Updates what is known of the program. Does not block.
  void look() {
    auto waited = 0;
    while (!is_gone()) {
      auto count = ::recv(news_.get(), &waited, sizeof(waited), MSG_DONTWAIT);
      // A reset means that signals arrived too late for the supervisor; its last message can still
      // be read.
      if (count < 0 && (errno == EINTR || errno == ECONNRESET))
        continue;
      if (count < 0 && errno == EAGAIN)
        return;
      has_ended_ = true;
      if (count == static_cast<ssize_t>(sizeof(waited)))
        status_ = exit_status(waited);
      else
        detail::bury(std::exchange(supervisor_, 0));
    }
  }

  /// Whether the program itself has ended, as far as look() has seen.
  [[nodiscard]] bool has_ended() const {
    return has_ended_;
  }

  /// Whether the program and all its descendants have ended, as far as look() has seen.
  [[nodiscard]] bool is_gone() const {
    return supervisor_ == 0;
  }

  /// The status of the program, once it has ended, as a shell has it: its exit status, or 128 plus
  /// the signal that ended it.
  [[nodiscard]] int status() const {
    return status_;
  }

  /// Sends a signal to the program and all its descendants. Thread-safe.
  void signal(int number) const {
    ::send(news_.get(), &number, sizeof(number), MSG_NOSIGNAL);
  }

  /// Waits up to `wait` until is_gone(); returns whether that is so.
  bool wait_until_gone(std::chrono::milliseconds wait) {
    auto end = clock::now() + wait;
    for (look(); !is_gone(); look()) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(end - clock::now()).count();
      if (left <= 0)
        return false;
      pollfd readable{news(), POLLIN, 0};
      ::poll(&readable, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    }
    return true;
  }

  /// Kills the program and all its descendants, and waits for their end.
  void kill() {
    if (is_gone())
      return;
    signal(SIGKILL);
    while (!wait_until_gone(std::chrono::minutes{1}))
      continue; // we may lack the right to kill some; they end by themselves
  }

private:
  supervised_program(pid_t supervisor, descriptor news)
    : supervisor_(supervisor), news_(std::move(news)) {}

  pid_t supervisor_ = 0;
  descriptor news_;
  int status_ = 128 + SIGKILL; // unless the supervisor reports another
  bool has_ended_ = false;
};

} // namespace troupe
