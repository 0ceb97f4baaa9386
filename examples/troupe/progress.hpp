#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <string>

#include <unistd.h>

namespace cli {

/// Progress of a workflow: a bar that is redrawn on a terminal; in a pipe or file a line for each
/// tenth.
class progress_bar {
public:
  void show(std::uint32_t done, std::uint32_t all, const std::string& what) {
    if (all == 0)
      return;
    if (is_terminal_) {
      constexpr std::uint32_t width = 40;
      auto filled = width * done / all;
      std::string bar(filled, '#');
      bar.resize(width, '.');
      std::cout << "\r[" << bar << "] " << done << '/' << all << ' ' << what << "\x1b[K"
                << std::flush;
      open_ = true;
      return;
    }
    auto tenth = 10 * done / all;
    if (tenth == shown_ && done < all)
      return;
    if (done == all && shown_ == 11)
      return;
    shown_ = done == all ? 11 : tenth;
    std::cout << done << '/' << all << ' ' << what << std::endl;
  }

  /// Ends the bar, so that the next output starts on a new line.
  void close() {
    if (open_)
      std::cout << std::endl;
    open_ = false;
  }

private:
  bool is_terminal_ = ::isatty(STDOUT_FILENO) == 1;
  bool open_ = false;
  std::uint32_t shown_ = 0;
};

} // namespace cli
