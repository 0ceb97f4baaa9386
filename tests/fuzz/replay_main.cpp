#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <vector>

#include "fuzz/laws.hpp"

/// Runs a fuzzer over the files in the folder given: what libFuzzer does with its seeds, for every
/// compiler.
int main(int argument_count, char** arguments) {
  auto& all = troupe::test::replayed_fuzzers();
  auto fuzzer = argument_count == 3 ? all.find(arguments[1]) : all.end();
  if (fuzzer == all.end()) {
    std::fprintf(stderr, "usage: %s FUZZER FOLDER, with one of\n", arguments[0]);
    for (auto& each : all)
      std::fprintf(stderr, "  %s\n", each.first.data());
    return 2;
  }
  std::set<std::filesystem::path> files;
  for (auto& entry : std::filesystem::directory_iterator{arguments[2]})
    files.insert(entry.path());
  for (auto& file : files) {
    std::printf("%s\n", file.filename().c_str());
    std::fflush(stdout); // so that the last one names the culprit
    std::ifstream in{file, std::ios::binary};
    std::vector<char> bytes{std::istreambuf_iterator<char>{in}, {}};
    fuzzer->second(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  }
  std::printf("%zu inputs\n", files.size());
  return files.empty() ? 1 : 0;
}
