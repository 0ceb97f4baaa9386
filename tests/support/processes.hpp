#pragma once

#include <algorithm>
#include <fstream>
#include <istream>
#include <sstream>
#include <string>
#include <vector>

/// Processes that a script has started, by the numbers that it says.
namespace troupe::test {

inline std::vector<int> numbers_from(std::istream& in) {
  std::vector<int> result;
  for (int each = 0; in >> each;)
    result.push_back(each);
  return result;
}

inline std::vector<int> numbers_in(const std::string& text) {
  std::istringstream in{text};
  return numbers_from(in);
}

/// Of a file that a script moves to its place when it is whole.
inline std::vector<int> numbers_in_file(const std::string& path) {
  std::ifstream in{path};
  return numbers_from(in);
}

/// Gone, or only its entry is left until somebody looks at it.
inline bool is_over(int process) {
  std::ifstream in{"/proc/" + std::to_string(process) + "/stat"};
  std::string number;
  std::string name;
  std::string state;
  in >> number >> name >> state;
  return !in || state == "Z" || state == "X";
}

inline bool all_over(const std::vector<int>& processes) {
  return std::ranges::all_of(processes, is_over);
}

} // namespace troupe::test
