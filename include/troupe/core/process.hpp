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
  /// Leads a process group of its own, so that what it starts can be ended with it.
  bool own_group = false;
  /// Inherits no other descriptor of ours.
  bool alone = false;
};

/// Starts a program, without a shell, and returns its process; somebody has to wait for its
/// end. It gets no signal mask of ours and is killed when the thread that calls this ends,
/// also when that is killed. Blocks until the program runs. Errors: not_found (it cannot be
/// run), failed (no process is to be had).
inline result<pid_t> start_program(const program& what) {
  // All of this before fork(): behind it, in a process with threads, little is allowed.
  std::vector<char*> words;
  for (auto& each : what.command)
    words.push_back(const_cast<char*>(each.c_str())); // exec changes nothing
  words.push_back(nullptr);
  auto verdict = make_pipe(); // closed by a successful exec
  if (!verdict)
    return verdict.error();
  auto& [told, tell] = *verdict;
  auto parent = ::getpid();
  auto made = ::fork();
  if (made == 0) {
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
    ::execvp(words[0], words.data());
    auto why = errno;
    [[maybe_unused]] auto written = ::write(tell.get(), &why, sizeof(why));
    ::_exit(127);
  }
  if (made < 0)
    return problem{errc::failed, std::string{"no process can be started: "} + std::strerror(errno)
                                   + "; end some and try again"};
  tell.close();
  int why = 0;
  ssize_t count = 0;
  while ((count = ::read(told.get(), &why, sizeof(why))) < 0 && errno == EINTR)
    continue;
  if (count == 0)
    return made;
  while (::waitpid(made, nullptr, 0) < 0 && errno == EINTR)
    continue;
  return problem{errc::not_found, "cannot run '" + what.command.front() + "' (" + std::strerror(why)
                                    + "); check its name and its rights"};
}

/// Returns what `waitpid` said as a shell has it: the exit status, or 128 and the signal.
inline int exit_status(int waited) {
  return WIFEXITED(waited) ? WEXITSTATUS(waited) : 128 + WTERMSIG(waited);
}

} // namespace troupe
