#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.hpp"
#include "troupe/platform/process.hpp"

namespace cli {

/// A file without a name, to exchange more data with a program than a pipe holds.
class memory_file {
public:
  memory_file() : file_(::memfd_create("troupe", MFD_CLOEXEC)) {}

  [[nodiscard]] int get() const {
    return file_.get();
  }

  /// Writes the whole text, to be read from its beginning. Returns whether that succeeded.
  bool fill(std::string_view text) {
    while (!text.empty()) {
      auto count = ::write(file_.get(), text.data(), text.size());
      if (count <= 0)
        return false;
      text.remove_prefix(static_cast<std::size_t>(count));
    }
    return ::lseek(file_.get(), 0, SEEK_SET) == 0;
  }

  /// The whole content.
  [[nodiscard]] std::string content() const {
    struct stat about {};
    if (::fstat(file_.get(), &about) != 0)
      return {};
    std::string text(static_cast<std::size_t>(about.st_size), '\0');
    auto count = ::pread(file_.get(), text.data(), text.size(), 0);
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
  }

private:
  troupe::descriptor file_;
};

/// Limits the size of files that this process and those that it starts meanwhile may write. SIGXFSZ
/// ends a process that exceeds it.
class bounded_files {
public:
  explicit bounded_files(std::size_t most_bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    auto bound = before_;
    bound.rlim_cur = std::min<rlim_t>(before_.rlim_cur, most_bytes);
    ::setrlimit(RLIMIT_FSIZE, &bound);
  }

  bounded_files(const bounded_files&) = delete;
  bounded_files& operator=(const bounded_files&) = delete;

  ~bounded_files() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
  }

private:
  rlimit before_{};
};

/// Draws `text` as SVG with the program `dot` of Graphviz, which is looked up in PATH. At the end
/// dot and all processes of its process group are killed. Errors: not_found (there is no such
/// program), timed_out, too_large (the picture), failed (with the reason).
inline troupe::result<std::string> draw_by_graphviz(std::string_view text,
                                                    troupe::duration within) {
  memory_file input;
  memory_file output;
  memory_file errors;
  if (!input.fill(text) || output.get() < 0 || errors.get() < 0)
    return troupe::problem{troupe::errc::failed,
                           "there is not enough memory to run dot of Graphviz; end other programs"};
  constexpr std::size_t most_bytes = std::size_t{64} << 20U; // of a picture; browsers fail earlier
  auto started = [&] {
    bounded_files bound{most_bytes};
    return troupe::start_program({.command = {"dot", "-Tsvg"},
                                  .input = input.get(),
                                  .output = output.get(),
                                  .errors = errors.get(),
                                  .own_group = true,
                                  .alone = true});
  }();
  if (!started)
    return troupe::problem{started.error().code,
                           "dot of Graphviz is not on PATH; install Graphviz"};
  troupe::descriptor child{static_cast<int>(::syscall(SYS_pidfd_open, *started, 0))};
  pollfd ends{child.get(), POLLIN, 0};
  auto deadline = std::chrono::steady_clock::now() + within;
  int ready = 0;
  do {
    auto left
      = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    ready = ::poll(&ends, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
  } while (ready < 0 && errno == EINTR);
  ::kill(-*started, SIGKILL); // not waited for yet, so its process id is still valid
  int status = 0;
  while (::waitpid(*started, &status, 0) < 0 && errno == EINTR)
    continue;
  if (ready != 1)
    return troupe::problem{troupe::errc::timed_out, "dot of Graphviz was not done within "
                                                      + in_words(within)
                                                      + "; give it more time with --draw-within"};
  auto drawn = output.content();
  if (status == 0 && drawn.find("</svg>") != std::string::npos)
    return drawn;
  if (status == 0)
    return troupe::problem{
      troupe::errc::failed,
      "dot of Graphviz ended without a picture; check whether it draws others"};
  if (troupe::exit_status(status) == 128 + SIGXFSZ)
    return troupe::problem{troupe::errc::too_large, "the picture has more than "
                                                      + std::to_string(most_bytes >> 20U)
                                                      + " MiB; draw a smaller workflow"};
  auto said = errors.content();
  return troupe::problem{troupe::errc::failed,
                         "dot of Graphviz failed with status "
                           + std::to_string(troupe::exit_status(status)) + " ("
                           + printable(said.substr(0, std::min<std::size_t>(said.find('\n'), 200)))
                           + "); check whether it draws other graphs"};
}

} // namespace cli
