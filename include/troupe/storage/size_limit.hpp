#pragma once

#include <csignal>
#include <ctime>

namespace troupe::storage {

/// While it lives, a write of this thread beyond the process's file size limit (ulimit -f) fails
/// with EFBIG, as on a full disk. Without it, SIGXFSZ ends the process. Source:
/// setrlimit(2), RLIMIT_FSIZE; the signal goes to the thread that writes.
class size_limit_is_error {
public:
  size_limit_is_error() {
    ::sigemptyset(&signal_);
    ::sigaddset(&signal_, SIGXFSZ);
    ::pthread_sigmask(SIG_BLOCK, &signal_, &before_);
  }

  ~size_limit_is_error() {
    if (::sigismember(&before_, SIGXFSZ) == 1)
      return;
    timespec at_once{};
    while (::sigtimedwait(&signal_, nullptr, &at_once) == SIGXFSZ) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

  size_limit_is_error(const size_limit_is_error&) = delete;
  size_limit_is_error& operator=(const size_limit_is_error&) = delete;

private:
  sigset_t signal_{};
  sigset_t before_{};
};

} // namespace troupe::storage
