#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "attempts_seen.hpp"
#include "cli.hpp"
#include "svg.hpp"
#include "troupe/core/utf8.hpp"

namespace cli {

/// Attempts of a run as bars along a time axis: a row for each worker, which has a line for each
/// attempt that it ran at the same time.
class timeline {
public:
  timeline(const attempts_seen& seen, const troupe::scheduler::run_view& run)
    : seen_(seen), run_(run) {
    for (auto& each : seen.all())
      rows_[seen.worker_of(each)].bars.push_back({each, 0});
    whole_s_ = std::max(seconds(run.ran), 0.001);
    for (auto& [name, row] : rows_)
      for (auto& each : row.bars)
        whole_s_ = std::max(whole_s_, seconds(each.what.end));
    for (auto& [name, row] : rows_)
      stack(row);
  }

  [[nodiscard]] std::string svg() const {
    auto height = top + legend_height + bottom + list_height();
    for (auto& [name, row] : rows_)
      height += row_height(row) + row_gap;
    svg_picture out{left + width + right, height, style};
    out.add_raw("<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" "
                "patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><rect width=\"6\" "
                "height=\"6\" fill=\"#d9534f\"/><rect width=\"2\" height=\"6\" fill=\"#7d1a17\"/>"
                "</pattern></defs>\n");
    out.add("rect", {{"class", "paper"}, {"width", "100%"}, {"height", "100%"}});
    draw_heading(out);
    draw_legend(out);
    auto begin = top + legend_height;
    draw_axis(out, begin, height - bottom - list_height());
    draw_list(out, height - list_height());
    for (auto& [name, row] : rows_) {
      draw_row(out, name, row, begin);
      begin += row_height(row) + row_gap;
    }
    return std::move(out).finished();
  }

private:
  struct bar {
    attempt_seen what;
    std::size_t line = 0;
  };

  struct row_of_worker {
    std::vector<bar> bars;
    std::size_t lines = 1;
  };

  struct kind {
    /// Its class in the style.
    std::string_view name;
    std::string_view word;
    std::string_view meaning;
  };

  // In pixels.
  static constexpr double left = 170;
  static constexpr double width = 1'000;
  static constexpr double right = 30;
  static constexpr double top = 58;
  static constexpr double legend_height = 34;
  static constexpr double bottom = 40;
  static constexpr double line_height = 16;
  static constexpr double row_gap = 8;
  static constexpr double letter = 6.2;

  /// Attempts that failed or were lost, by name.
  static constexpr std::size_t most_listed = 20;
  /// Bytes of the name of a task or worker in that list.
  static constexpr std::size_t most_of_name = 48;

  static constexpr std::string_view style
    = ".paper{fill:#fff}text{font:11px sans-serif;fill:#222}.heading{font-size:15px}"
      ".grid{stroke:#ddd}.row{fill:#f4f6f9}.completed{fill:#6f9fd0;stroke:#3a6594}"
      ".failed{fill:url(#hatch);stroke:#7d1a17}"
      ".lost{fill:#c9c9c9;stroke:#333;stroke-dasharray:3 2}"
      ".unclear{fill:#e8b7b5;stroke:#333;stroke-dasharray:1 2}"
      ".given_back{fill:#fff;stroke:#777}.cancelled{fill:#f5e3a1;stroke:#9a7d16}"
      ".running{fill:#e6f0fa;stroke:#3a6594}.repeated{fill:#111}.name{pointer-events:none}";

  /// Indexed by attempt_end; the last one is for running attempts.
  static constexpr std::array kinds{kind{"completed", "completed", "completed"},
                                    kind{"failed", "failed", "failed (hatched)"},
                                    kind{"lost", "lost", "lost with its worker (dashed)"},
                                    kind{"given_back", "not taken", "not taken by the worker"},
                                    kind{"cancelled", "cancelled", "cancelled"},
                                    kind{"unclear", "failed or lost", "failed or lost"},
                                    kind{"running", "not seen to end", "not seen to end"}};

  static const kind& kind_of(const attempt_seen& what) {
    return kinds.at(what.how ? static_cast<std::size_t>(*what.how) : kinds.size() - 1);
  }

  /// Puts each bar of a row into the first free line. An overlap of two pixels is ignored, because
  /// times are not that exact.
  void stack(row_of_worker& row) const {
    auto overlap_s = 2 * whole_s_ / width;
    std::ranges::stable_sort(row.bars, {}, [](auto& each) { return each.what.begin; });
    std::vector<double> free_from;
    for (auto& each : row.bars) {
      auto place = std::ranges::find_if(
        free_from, [&](double end_s) { return end_s <= seconds(each.what.begin) + overlap_s; });
      each.line = static_cast<std::size_t>(place - free_from.begin());
      if (place == free_from.end())
        free_from.push_back(0);
      free_from[each.line] = seconds(each.what.end);
    }
    row.lines = std::max<std::size_t>(free_from.size(), 1);
  }

  static double row_height(const row_of_worker& row) {
    return static_cast<double>(row.lines) * line_height + 4;
  }

  [[nodiscard]] double place_of(double at_s) const {
    return left + width * at_s / whole_s_;
  }

  /// The first bytes of a text, with ".." for the rest.
  static std::string shortened(const std::string& text, std::size_t most) {
    if (text.size() <= most)
      return text;
    return most < 4 ? std::string{} : std::string{troupe::utf8_prefix(text, most - 2)} + "..";
  }

  /// A text that is clipped at the end of its room, because the width of its letters is unknown.
  static void draw_label(svg_picture& out, const std::string& text, double x, double y,
                         double room) {
    auto shown = shortened(text, static_cast<std::size_t>(std::max(room / letter, 0.0)));
    if (shown.empty())
      return;
    out.begin("svg", {{"x", svg_picture::number(x)},
                      {"y", svg_picture::number(y)},
                      {"width", svg_picture::number(room)},
                      {"height", svg_picture::number(line_height)}});
    out.add("text", {{"class", "name"}, {"x", "0"}, {"y", "11"}}, shown);
    out.end("svg");
  }

  void draw_heading(svg_picture& out) const {
    std::map<std::string_view, std::uint64_t> count;
    std::uint64_t all = 0;
    for (auto& [name, row] : rows_)
      for (auto& each : row.bars) {
        ++count[kind_of(each.what).name];
        ++all;
      }
    constexpr std::size_t most_bytes = 60; // of the name, which is last
    auto text = "run " + std::to_string(run_.run.value) + ' '
                + std::string{troupe::scheduler::name_of(run_.state)} + " after "
                + in_words(run_.ran)
                + (run_.name.empty() ? "" : ": " + shortened(run_.name, most_bytes));
    out.add("text", {{"class", "heading"}, {"x", "12"}, {"y", "24"}}, text);
    auto more = counted(run_.tasks, "task") + ", " + counted(all, "attempt");
    for (auto which : {attempt_end::has_failed, attempt_end::was_lost, attempt_end::is_unclear,
                       attempt_end::was_cancelled}) {
      auto& each = kinds.at(static_cast<std::size_t>(which));
      if (count[each.name] > 0)
        more += ", " + std::to_string(count[each.name]) + ' ' + std::string{each.word};
    }
    auto hidden = [&](std::uint64_t number, const std::string& why) {
      if (number > 0)
        more += "; " + counted(number, "more attempt") + (number == 1 ? " is" : " are")
                + " not shown: " + why;
    };
    hidden(seen_.unseen(), "the time could not be seen");
    hidden(seen_.left_out(), "a report has at most " + std::to_string(attempts_seen::max_attempts));
    out.add("text", {{"x", "12"}, {"y", "44"}}, more);
  }

  static void draw_legend(svg_picture& out) {
    auto x = 12.0;
    auto y = svg_picture::number(top);
    auto label = [&](std::string_view text) {
      out.add("text", {{"x", svg_picture::number(x + 22)}, {"y", svg_picture::number(top + 11)}},
              text);
      x += 22 + static_cast<double>(text.size()) * letter + 8;
    };
    for (auto& each : kinds) {
      out.add("rect", {{"class", std::string{each.name}},
                       {"x", svg_picture::number(x)},
                       {"y", y},
                       {"width", "16"},
                       {"height", "13"}});
      label(each.meaning);
    }
    out.add("rect", {{"class", "repeated"},
                     {"x", svg_picture::number(x)},
                     {"y", y},
                     {"width", "4"},
                     {"height", "13"}});
    label("on the left: repeats an attempt");
  }

  /// About ten lines, at round numbers of seconds.
  void draw_axis(svg_picture& out, double from, double to) const {
    auto raw = whole_s_ / 10;
    auto power = std::pow(10.0, std::floor(std::log10(raw)));
    auto step = power * (raw / power <= 1 ? 1 : raw / power <= 2 ? 2 : raw / power <= 5 ? 5 : 10);
    for (auto index = 0; step * index <= whole_s_ * 1.0001; ++index) {
      auto x = svg_picture::number(place_of(step * index));
      out.add("line", {{"class", "grid"},
                       {"x1", x},
                       {"x2", x},
                       {"y1", svg_picture::number(from)},
                       {"y2", svg_picture::number(to)}});
      auto label = step < 0.01 ? svg_picture::number(step * index * 1'000) + " ms"
                               : svg_picture::number(step * index) + " s";
      out.add("text", {{"x", x}, {"y", svg_picture::number(to + 16)}, {"text-anchor", "middle"}},
              label);
    }
    out.add("text",
            {{"x", svg_picture::number(left + width)},
             {"y", svg_picture::number(to + 32)},
             {"text-anchor", "end"}},
            "time since the start of the run");
  }

  void draw_row(svg_picture& out, const std::string& name, const row_of_worker& row,
                double begin) const {
    out.add_with_title("rect",
                       {{"class", "row"},
                        {"x", svg_picture::number(left)},
                        {"y", svg_picture::number(begin)},
                        {"width", svg_picture::number(width)},
                        {"height", svg_picture::number(row_height(row))}},
                       name);
    draw_label(out, name, 12, begin + 3, left - 20);
    for (auto& each : row.bars)
      draw_bar(out, each, begin + 2 + static_cast<double>(each.line) * line_height);
  }

  void draw_bar(svg_picture& out, const bar& what, double y) const {
    auto& attempt = what.what;
    auto x = place_of(seconds(attempt.begin));
    auto length = std::max(place_of(seconds(attempt.end)) - x, 1.5);
    auto& ended = kind_of(attempt);
    auto task = seen_.name_of(attempt.task);
    auto title = task + ", attempt " + std::to_string(attempt.number) + ": "
                 + std::string{ended.word} + ", " + in_words(attempt.begin) + " to "
                 + in_words(attempt.end)
                 + (attempt.why.empty() ? "" : "; " + in_our_words(attempt.why));
    out.add_with_title("rect",
                       {{"class", std::string{ended.name}},
                        {"x", svg_picture::number(x)},
                        {"y", svg_picture::number(y)},
                        {"width", svg_picture::number(length)},
                        {"height", svg_picture::number(line_height - 2)}},
                       title);
    if (attempt.number > 1)
      out.add("rect", {{"class", "repeated"},
                       {"x", svg_picture::number(x)},
                       {"y", svg_picture::number(y)},
                       {"width", svg_picture::number(std::min(4.0, length))},
                       {"height", svg_picture::number(line_height - 2)}});
    draw_label(out, task, x + 6, y, length - 8);
  }

  /// Attempts that failed or were lost, in the order of their ends.
  [[nodiscard]] std::vector<const attempt_seen*> bad_ones() const {
    std::vector<const attempt_seen*> found;
    for (auto& [name, row] : rows_)
      for (auto& each : row.bars)
        if (each.what.how == attempt_end::has_failed || each.what.how == attempt_end::was_lost
            || each.what.how == attempt_end::is_unclear)
          found.push_back(&each.what);
    std::ranges::stable_sort(found, {}, &attempt_seen::end);
    return found;
  }

  [[nodiscard]] double list_height() const {
    auto count = bad_ones().size();
    return static_cast<double>(std::min(count, most_listed) + (count > most_listed ? 1 : 0))
           * line_height;
  }

  /// Below the axis, so that they can be found even if a bar is too short for a name.
  void draw_list(svg_picture& out, double y) const {
    auto bad = bad_ones();
    for (std::size_t index = 0; index < bad.size(); ++index, y += line_height) {
      if (index == most_listed) {
        draw_label(out, "and " + std::to_string(bad.size() - most_listed) + " more", left, y,
                   width);
        return;
      }
      auto& each = *bad[index];
      draw_label(out,
                 shortened(seen_.name_of(each.task), most_of_name) + ", attempt "
                   + std::to_string(each.number) + ": " + std::string{kind_of(each).word} + " on "
                   + shortened(seen_.worker_of(each), most_of_name) + " at " + in_words(each.end)
                   + (each.why.empty() ? "" : ": " + in_our_words(each.why)),
                 left, y, width);
    }
  }

  const attempts_seen& seen_;
  const troupe::scheduler::run_view& run_;
  std::map<std::string, row_of_worker> rows_;
  double whole_s_ = 0;
};

} // namespace cli
