// Writes JSON lines to stdout as the command does, while another thread writes lines of a log to
// stderr. Usage: lines_program COUNT

#include "../../examples/troupe/cli.hpp"

#include <atomic>
#include <iostream>
#include <string>
#include <thread>

int main(int argc, char** argv) {
  auto count = argc > 1 ? std::stoi(argv[1]) : 0;
  std::atomic<bool> ends = false;
  std::jthread log{[&ends] {
    while (!ends)
      cli::print_line(std::cerr, "a line of the log");
  }};
  for (auto number = 0; number < count; ++number)
    cli::print({{"number", number}});
  ends = true;
}
