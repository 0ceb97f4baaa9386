#pragma once

#include <catch2/catch_test_macros.hpp>

#include <csignal>

#include <sys/resource.h>

namespace troupe::test {

/// For its life no file of this process grows beyond `bytes`, as on a full disk.
class file_limit {
public:
  explicit file_limit(rlim_t bytes) : signal_(std::signal(SIGXFSZ, SIG_IGN)) {
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    auto limited = before_;
    limited.rlim_cur = bytes;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limited) == 0);
  }
  ~file_limit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, signal_);
  }
  file_limit(const file_limit&) = delete;
  file_limit& operator=(const file_limit&) = delete;

private:
  rlimit before_{};
  void (*signal_)(int);
};

} // namespace troupe::test
