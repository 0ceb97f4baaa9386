#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// Runs a fuzzer's entry over the files in the folder given: what libFuzzer does with
/// its seeds, for every compiler.
int main(int argument_count, char** arguments) {
  if (argument_count != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", arguments[0]);
    return 2;
  }
  std::set<std::filesystem::path> files;
  for (auto& entry : std::filesystem::directory_iterator{arguments[1]})
    files.insert(entry.path());
  for (auto& file : files) {
    std::printf("%s\n", file.filename().c_str());
    std::fflush(stdout); // so that the last one names the culprit
    std::ifstream in{file, std::ios::binary};
    std::vector<char> bytes{std::istreambuf_iterator<char>{in}, {}};
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  }
  std::printf("%zu inputs\n", files.size());
  return files.empty() ? 1 : 0;
}
