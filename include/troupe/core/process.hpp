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

/// A descriptor of its own. Closed with this object.
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

/// Returns the ends to read from and to write to, which no other program inherits; failed if
/// there are no descriptors left.
inline result<std::pair<descriptor, descriptor>> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return problem{errc::failed, std::string{"no pipe can be made: "} + std::strerror(errno)
                                   + "; raise the limit of open files"};
  return std::pair{descriptor{ends[0]}, descriptor{ends[1]}};
}

/// How a program is started.
struct program {
  /// Its name, looked up in PATH unless it has a '/', and its arguments; not empty.
  std::vector<std::string> command;
  /// What becomes its standard input, output and errors; -1: ours.
  int input = -1;
  int output = -1;
  int errors = -1;
  /// Leads a process group of its own: what is typed at a terminal does not reach it.
  bool own_group = false;
  /// Inherits no other descriptor of ours.
  bool alone = false;
};

namespace detail {

/// What kept a program from running, as the process that was to become it tells.
struct start_fault {
  int error = 0;
  /// There is a process, and the program itself cannot be run.
  bool of_program = true;
};

/// The words of `what` as exec wants them, made before the fork: behind it, in a process that had
/// threads, memory may be out of reach.
inline std::vector<char*> words_of(const program& what) {
  std::vector<char*> words;
  words.reserve(what.command.size() + 1);
  for (auto& each : what.command)
    words.push_back(const_cast<char*>(each.c_str())); // exec changes nothing
  words.push_back(nullptr);
  return words;
}

/// Becomes the program in a process that `parent` has just forked, or tells `tell` why not.
[[noreturn]] inline void become(const program& what, char* const* words, pid_t parent, int tell) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent)
    ::_exit(127); // it died before it could be watched
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
  return {errc::failed, std::string{"no process can be started: "} + std::strerror(error)
                          + "; end some and try again"};
}

/// Waits for the end of a child, whose status nobody wants to know.
inline void bury(pid_t child) {
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR)
    continue;
}

/// Waits until the program runs, which closes the other end of `told`. If it does not, waits for
/// the end of `child` and returns why.
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
                             + "); check its name and its rights"};
}

} // namespace detail

/// Starts a program, without a shell, and returns its process; somebody has to wait for its
/// end. It gets no signal mask of ours and is killed when the thread that calls this ends,
/// also when that is killed; what it started itself goes on, see supervised_program. Blocks until
/// the program runs. Errors: not_found (it cannot be run), failed (no process is to be had).
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
  if (auto why = detail::await_program(what, told, made); why.code != errc::none)
    return why;
  return made;
}

/// Returns what `waitpid` said as a shell has it: the exit status, or 128 and the signal.
inline int exit_status(int waited) {
  return WIFEXITED(waited) ? WEXITSTATUS(waited) : 128 + WTERMSIG(waited);
}

} // namespace troupe
