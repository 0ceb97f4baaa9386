#pragma once

#include <algorithm>
#include <cstring>
#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <stdlib.h>

namespace troupe::benchmark {

/// What a benchmark is told on its command line, as `--name value`. Needs "what", a list of what is
/// measured, and "folder", empty for the temporary one of the system.
class settings {
public:
  explicit settings(std::map<std::string, std::string> defaults) : all_(std::move(defaults)) {}

  /// Returns false, and says so, if an argument is none of these; `where` tells of them.
  [[nodiscard]] bool read(int count, char** words, const std::string& where) {
    for (auto each = 1; each < count; each += 2) {
      auto name
        = std::string{words[each]}.substr(std::min<std::size_t>(2, std::strlen(words[each])));
      if (!all_.contains(name) || each + 1 == count) {
        std::cerr << "error: unknown option " << words[each]
                  << ", or no value for it; see the head of " << where << std::endl;
        return false;
      }
      all_[name] = words[each + 1];
    }
    return true;
  }

  [[nodiscard]] const std::string& at(const std::string& name) const {
    return all_.at(name);
  }

  /// What stands between the commas.
  [[nodiscard]] std::vector<std::string> list_of(const std::string& name) const {
    std::vector<std::string> found;
    std::istringstream words{at(name)};
    for (std::string word; std::getline(words, word, ',');)
      found.push_back(word);
    return found;
  }

  [[nodiscard]] bool wants(const std::string& what) const {
    auto all = list_of("what");
    return std::ranges::find(all, what) != all.end();
  }

private:
  std::map<std::string, std::string> all_;
};

/// Calls `job(folder)` with a new folder in `parent`, and removes it. Returns what `job` does, a
/// status to exit with; 1 if it throws, of which it tells.
template <class Job>
int in_new_folder(const std::string& parent, const std::string& name, Job job) {
  auto place
    = parent.empty() ? std::filesystem::temp_directory_path() : std::filesystem::path{parent};
  auto folder = (place / ("troupe-" + name + "-XXXXXX")).string();
  if (::mkdtemp(folder.data()) == nullptr) {
    std::cerr << "error: no folder can be made in " << place << std::endl;
    return 1;
  }
  auto status = 1;
  try {
    status = job(std::filesystem::path{folder});
  } catch (const std::exception& why) {
    std::cerr << "error: " << why.what() << std::endl;
  }
  std::filesystem::remove_all(folder);
  return status;
}

} // namespace troupe::benchmark
