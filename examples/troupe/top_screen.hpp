#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli.hpp"
#include "troupe/core/utf8.hpp"

/// The screen of `troupe top`, as lines of a terminal. Knows nothing of clusters.
namespace cli {

struct screen_size {
  std::size_t rows = 24;
  std::size_t columns = 80;
};

/// How a line is highlighted.
enum class emphasis : std::uint8_t { plain, good, bad, faint };

struct pane_row {
  std::vector<std::string> cells;
  emphasis looks = emphasis::plain;
};

/// A table, shown as far as there is room.
struct top_pane {
  std::string title;
  std::vector<std::string> headings;
  std::vector<pane_row> rows;
};

struct screen_content {
  std::vector<std::string> heading;
  /// A warning; may be empty.
  std::string warning;
  std::vector<top_pane> panes;
};

/// How many columns of a terminal a character takes: two for East Asian scripts and emoji. Source:
/// Unicode Standard Annex #11, its wide and fullwidth ranges, simplified.
constexpr std::size_t columns_of(char32_t letter) {
  constexpr std::array<std::pair<char32_t, char32_t>, 10> wide{{{0x1100, 0x115f},
                                                                {0x2e80, 0xa4cf},
                                                                {0xac00, 0xd7a3},
                                                                {0xf900, 0xfaff},
                                                                {0xfe30, 0xfe6f},
                                                                {0xff00, 0xff60},
                                                                {0xffe0, 0xffe6},
                                                                {0x1f300, 0x1faff},
                                                                {0x20000, 0x2fffd},
                                                                {0x30000, 0x3fffd}}};
  for (auto& [first, last] : wide)
    if (letter >= first && letter <= last)
      return 2;
  return 1;
}

/// Calls `visit(letter, bytes)` for each character of UTF-8 until it returns false.
template <class Visit>
void for_each_letter(std::string_view text, Visit visit) {
  for (std::size_t at = 0; at < text.size();) {
    auto first = static_cast<unsigned char>(text[at]);
    std::size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    char32_t letter = size == 1 ? first : first & (0x7fU >> size);
    auto bytes = text.substr(at, size);
    for (auto each : bytes.substr(1))
      letter = (letter << 6U) | (static_cast<unsigned char>(each) & 0x3fU);
    if (!visit(letter, bytes))
      return;
    at += size;
  }
}

inline std::size_t columns_of(std::string_view text) {
  std::size_t sum = 0;
  for_each_letter(text, [&](char32_t letter, std::string_view) {
    sum += columns_of(letter);
    return true;
  });
  return sum;
}

/// The beginning of a text that fits, with ".." for the rest.
inline std::string fitted(std::string_view text, std::size_t columns) {
  if (columns_of(text) <= columns)
    return std::string{text};
  auto room = columns - std::min<std::size_t>(columns, 2);
  std::size_t used = 0;
  std::string shown;
  for_each_letter(text, [&](char32_t letter, std::string_view bytes) {
    used += columns_of(letter);
    if (used <= room)
      shown += bytes;
    return used <= room;
  });
  return shown + std::string(std::min<std::size_t>(columns, 2), '.');
}

/// A bar such as "[####......]"; full if there is nothing to do.
inline std::string bar_of(std::uint64_t done, std::uint64_t all, std::size_t width) {
  auto filled = all == 0 ? 0 : static_cast<std::size_t>(std::min(done, all) * width / all);
  return '[' + std::string(filled, '#') + std::string(width - filled, '.') + ']';
}

/// Chooses the visible part of the content, and makes its lines.
class top_screen {
public:
  void next_pane() {
    ++active_;
  }

  void previous_pane() {
    active_ += pane_count - 1;
  }

  void scroll(std::ptrdiff_t by) {
    auto& at = scrolled_.at(active_ % pane_count);
    at = by < 0 && at < static_cast<std::size_t>(-by) ? 0 : at + static_cast<std::size_t>(by);
  }

  /// The lines for a terminal: at most as many as it has rows, none wider than it. If `in_colour`,
  /// with escapes of ISO 6429, which take no column. If there is too little room, panes show a few
  /// rows each; the active pane gets most.
  /// @pre as many panes as pane_count
  std::vector<std::string> lines(const screen_content& content, screen_size size, bool in_colour) {
    std::vector<std::string> all;
    auto last = size.rows; // number of lines that may be added
    auto add = [&](const std::string& text, emphasis looks = emphasis::plain) {
      if (all.size() < last)
        all.push_back(painted(fitted(printable(text), size.columns), looks, in_colour));
    };
    if (size.rows > 1)
      --last; // kept for the line of the keys
    for (auto& each : content.heading) {
      add(each);
      if (&each == &content.heading.front() && !content.warning.empty())
        add(content.warning, emphasis::bad); // even if there is little room
    }
    auto left = last - all.size();
    auto active = active_ % pane_count;
    auto heights = share(content, left);
    for (std::size_t each = 0; each < content.panes.size(); ++each)
      if (heights[each] > 0)
        add_pane(content.panes[each], heights[each], scrolled_.at(each), each == active,
                 size.columns, add);
    while (all.size() < last)
      all.emplace_back();
    last = size.rows;
    add(keys_within(size.columns), emphasis::faint);
    return all;
  }

  /// All lines, for a file or a pipe.
  static std::vector<std::string> plain(const screen_content& content) {
    constexpr screen_size boundless{100'000, 10'000};
    std::vector<std::string> all;
    auto add = [&](const std::string& text, emphasis = emphasis::plain) {
      all.push_back(printable(text));
    };
    for (auto& each : content.heading) {
      add(each);
      if (&each == &content.heading.front() && !content.warning.empty())
        add(content.warning);
    }
    std::size_t top = 0;
    for (auto& each : content.panes)
      add_pane(each, each.rows.size() + frame_lines, top, false, boundless.columns, add);
    return all;
  }

private:
  /// The line that explains the keys, as many as there is room for.
  static std::string keys_within(std::size_t columns) {
    std::string all;
    for (std::string_view each :
         {"q quit", "p pause", "Tab next pane", "arrows, PgUp, PgDn scroll"}) {
      auto between = std::string_view{all.empty() ? "" : "   "};
      if (all.size() + between.size() + each.size() > columns)
        break;
      all += between;
      all += each;
    }
    return all;
  }

  static constexpr std::size_t pane_count = 3;
  /// Lines for the title and the headings of a pane.
  static constexpr std::size_t frame_lines = 2;

  /// How many lines each pane gets: first a few each, then the active one all that it needs, then
  /// the others. If there is no room for all, only the active one is shown.
  [[nodiscard]] std::vector<std::size_t> share(const screen_content& content,
                                               std::size_t left) const {
    constexpr std::size_t fewest_rows = 2;
    auto active = active_ % pane_count;
    std::vector<std::size_t> heights(content.panes.size(), 0);
    auto needs = [&](std::size_t which) { return content.panes[which].rows.size() + frame_lines; };
    auto give = [&](std::size_t which, std::size_t most) {
      auto more = std::min({most - std::min(most, heights[which]), left});
      heights[which] += more;
      left -= more;
    };
    if (left < content.panes.size() * (frame_lines + fewest_rows)) {
      give(active, needs(active));
      return heights;
    }
    for (std::size_t each = 0; each < heights.size(); ++each)
      give(each, std::min(needs(each), frame_lines + fewest_rows));
    give(active, needs(active));
    for (std::size_t each = 0; each < heights.size(); ++each)
      give(each, needs(each));
    return heights;
  }

  template <class Add>
  static void add_pane(const top_pane& what, std::size_t height, std::size_t& first, bool is_active,
                       std::size_t columns, Add add) {
    auto room = height - std::min(height, frame_lines);
    first = std::min(first, what.rows.size() - std::min(what.rows.size(), room));
    auto last = std::min(what.rows.size(), first + room);
    auto title
      = (is_active ? "> " : "  ") + what.title + " (" + std::to_string(what.rows.size()) + ')';
    if (last - first < what.rows.size())
      title += ", " + std::to_string(first + 1) + " to " + std::to_string(last);
    add(title, is_active ? emphasis::good : emphasis::plain);
    if (height < frame_lines)
      return;
    std::vector<std::size_t> widths;
    for (auto& each : what.headings)
      widths.push_back(columns_of(each));
    for (auto row = first; row < last; ++row)
      for (std::size_t cell = 0; cell < widths.size(); ++cell)
        widths[cell] = std::max(widths[cell], columns_of(printable(what.rows[row].cells[cell])));
    narrow(widths, columns);
    add(joined(what.headings, widths), emphasis::faint);
    for (auto row = first; row < last; ++row)
      add(joined(what.rows[row].cells, widths), what.rows[row].looks);
  }

  /// Narrows the widest columns until all fit.
  static void narrow(std::vector<std::size_t>& widths, std::size_t columns) {
    constexpr std::size_t narrowest = 6;
    auto sum = 2 * widths.size();
    for (auto each : widths)
      sum += each;
    while (sum > columns) {
      auto widest = std::ranges::max_element(widths);
      if (*widest <= narrowest)
        return; // lines are cut then
      --*widest;
      --sum;
    }
  }

  static std::string joined(const std::vector<std::string>& cells,
                            const std::vector<std::size_t>& widths) {
    std::string line;
    for (std::size_t cell = 0; cell < widths.size(); ++cell) {
      auto text = fitted(printable(cells[cell]), widths[cell]);
      line += "  " + text;
      if (cell + 1 < widths.size())
        line.append(widths[cell] - columns_of(text), ' ');
    }
    return line;
  }

  static std::string painted(const std::string& text, emphasis looks, bool in_colour) {
    if (!in_colour || looks == emphasis::plain)
      return text;
    auto* how = looks == emphasis::good  ? "\x1b[1m"
                : looks == emphasis::bad ? "\x1b[31m"
                                         : "\x1b[2m";
    return how + text + "\x1b[0m";
  }

  std::size_t active_ = pane_count - 1; // the pane of the runs
  std::array<std::size_t, pane_count> scrolled_{};
};

} // namespace cli
