#pragma once

#include <algorithm>
#include <cstddef>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "cli.hpp"

namespace cli {

/// A table for people: columns under headings.
class table {
public:
  using row = std::vector<std::string>;

  explicit table(row headings) : widths_(headings.size()) {
    add(std::move(headings));
  }

  /// Has as many cells as there are headings.
  void add(row cells) {
    for (auto& each : cells)
      each = printable(each);
    rows_.push_back(std::move(cells));
  }

  /// Prints the rows that were added since the last call. Columns only widen, so that a long table
  /// can be printed in parts.
  void print(std::ostream& out) {
    for (auto& each : rows_)
      for (std::size_t column = 0; column < widths_.size(); ++column)
        widths_[column] = std::max(widths_[column], letters(each[column]));
    for (auto& each : rows_) {
      std::string line;
      for (std::size_t column = 0; column < widths_.size(); ++column) {
        line += each[column];
        line.append(widths_[column] - letters(each[column]) + 2, ' ');
      }
      line.erase(line.find_last_not_of(' ') + 1);
      print_line(out, line);
    }
    rows_.clear();
  }

private:
  /// Number of UTF-8 characters: bytes that are not continuation bytes.
  static std::size_t letters(const std::string& text) {
    return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char each) { return (static_cast<unsigned char>(each) & 0xc0U) != 0x80U; }));
  }

  std::vector<std::size_t> widths_;
  std::vector<row> rows_;
};

} // namespace cli
