#pragma once

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "troupe/core/result.hpp"

namespace troupe {

/// Owns a file descriptor, and closes it when it ends.
class descriptor {
public:
  explicit descriptor(int number = -1) : number_(number) {}

  descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}

  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }

  ~descriptor() {
    close();
  }

  void close() {
    if (number_ >= 0)
      ::close(std::exchange(number_, -1));
  }

  [[nodiscard]] int get() const {
    return number_;
  }

private:
  int number_;
};

/// Makes a pipe and returns the end to read from and the end to write to, which other programs do
/// not inherit. Errors: failed (no descriptor is left).
inline result<std::pair<descriptor, descriptor>> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return problem{errc::failed, std::string{"cannot create a pipe: "} + std::strerror(errno)
                                   + "; raise the limit of open files"};
  return std::pair{descriptor{ends[0]}, descriptor{ends[1]}};
}

/// How a program is started.
struct program {
  /// Its name, looked up in PATH unless it has a '/', and its arguments; not empty.
  std::vector<std::string> command;
  /// Descriptors for its standard input, output and error; -1: ours.
  int input = -1;
  int output = -1;
  int errors = -1;
  /// Leads its own process group: keys such as Ctrl-C in a terminal do not reach it.
  bool own_group = false;
  /// Inherits none of our other descriptors.
  bool alone = false;
};

namespace detail {

/// Why a program does not run, as its forked process reports it.
struct start_fault {
  int error = 0;
  /// True if the program cannot be run, false if no process could be made for it.
  bool of_program = true;
};

/// The command of `what` in the form that exec takes. Made before the fork: after it, the child of
/// a process with threads must not allocate memory.
inline std::vector<char*> words_of(const program& what) {
  std::vector<char*> words;
  words.reserve(what.command.size() + 1);
  for (auto& each : what.command)
    words.push_back(const_cast<char*>(each.c_str())); // exec changes nothing
  words.push_back(nullptr);
  return words;
}

/// Runs the program in a process that `parent` has just forked. If it cannot, it writes a
/// start_fault to `tell`.
[[noreturn]] inline void become(const program& what, char* const* words, pid_t parent, int tell) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent)
    ::_exit(127); // the parent ended before the call of prctl
  if (what.own_group)
    ::setpgid(0, 0);
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (what.input >= 0)
    ::dup2(what.input, STDIN_FILENO);
  if (what.output >= 0)
    ::dup2(what.output, STDOUT_FILENO);
  if (what.errors >= 0)
    ::dup2(what.errors, STDERR_FILENO);
  if (what.alone)
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  ::execvp(words[0], words);
  start_fault why{errno};
  [[maybe_unused]] auto written = ::write(tell, &why, sizeof(why));
  ::_exit(127);
}

inline problem no_process(int error) {
  return {errc::failed, std::string{"cannot start a process: "} + std::strerror(error)
                          + "; end some processes and retry"};
}

/// Waits for the end of a child and ignores its status.
inline void bury(pid_t child) {
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR)
    continue;
}

/// Waits until the program runs: exec closes the other end of `told`. If it cannot run, waits for
/// the end of `child` and returns the reason.
inline problem await_program(const program& what, const descriptor& told, pid_t child) {
  start_fault why;
  ssize_t count = 0;
  while ((count = ::read(told.get(), &why, sizeof(why))) < 0 && errno == EINTR)
    continue;
  if (count == 0)
    return {};
  bury(child);
  if (!why.of_program)
    return no_process(why.error);
  return {errc::not_found, "cannot run '" + what.command.front() + "' (" + std::strerror(why.error)
                             + "); check its name and its permissions"};
}

} // namespace detail

/// Starts a program, without a shell, and returns its process id; the caller must wait for its end.
/// Its signal mask is empty. It is killed when the calling thread ends, even if that was killed;
/// the processes that it has started go on, see supervised_program. Blocks until the program runs.
/// Errors: not_found (it cannot be run), failed (no process can be made).
inline result<pid_t> start_program(const program& what) {
  auto words = detail::words_of(what);
  auto verdict = make_pipe(); // closed by a successful exec
  if (!verdict)
    return verdict.error();
  auto& [told, tell] = *verdict;
  auto parent = ::getpid();
  auto made = ::fork();
  if (made == 0)
    detail::become(what, words.data(), parent, tell.get());
  if (made < 0)
    return detail::no_process(errno);
  tell.close();
  if (auto why = detail::await_program(what, told, made))
    return why;
  return made;
}

/// Converts a status of `waitpid` to that of a shell: the exit status, or 128 plus the signal.
inline int exit_status(int waited) {
  return WIFEXITED(waited) ? WEXITSTATUS(waited) : 128 + WTERMSIG(waited);
}

} // namespace troupe
