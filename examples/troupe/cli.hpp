#pragma once

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/utf8.hpp"
#include "troupe/net/address.hpp"

/// What the commands of `troupe` share: how they end, what they print, whom they ask.
namespace cli {

using json = nlohmann::ordered_json;

/// Exit statuses; scripts rely on them.
inline constexpr int ok = 0;
inline constexpr int failed = 1;
inline constexpr int bad_input = 2;
inline constexpr int timed_out = 3;

/// What every command takes.
struct common_options {
  /// One JSON object a line instead of text for people.
  bool json = false;
  /// Nodes to ask, HOST:PORT.
  std::vector<std::string> at{};
  double wait_s = 10;
  /// A JSON file of options; see settings.hpp.
  std::string config{};

  [[nodiscard]] troupe::duration wait() const {
    return std::chrono::duration_cast<troupe::duration>(std::chrono::duration<double>{wait_s});
  }
};

/// Writes a line, whole and at once: what other threads write to stdout or stderr comes before or
/// after it. (A write to std::cerr flushes std::cout, to which it is tied: also half a line.)
inline void print_line(std::ostream& out, std::string line) {
  line += '\n';
  out << line << std::flush;
}

/// The text on one line: control characters, which may come from anybody, as \xNN, byte for byte;
/// also those of ISO 6429 that begin with 0xC2 in UTF-8. What is not UTF-8 is shown so from end to
/// end, but for ASCII.
inline std::string printable(std::string_view text) {
  constexpr auto digits = "0123456789abcdef";
  auto is_text = troupe::is_utf8(text);
  std::string result;
  auto is_second = false; // of a control character of two bytes
  for (std::size_t at = 0; at < text.size(); ++at) {
    auto code = static_cast<unsigned char>(text[at]);
    auto next = at + 1 < text.size() ? static_cast<unsigned char>(text[at + 1]) : 0xff;
    auto is_first = code == 0xc2 && next < 0xa0;
    auto is_plain = code >= 0x20 && code != 0x7f && (code < 0x80 || is_text);
    if (is_plain && !is_first && !is_second)
      result += text[at];
    else
      result += {'\\', 'x', digits[code >> 4U], digits[code & 0xfU]};
    is_second = is_first;
  }
  return result;
}

/// Writes `error: what; what to do` to stderr and returns the exit status.
inline int complain(const troupe::problem& why) {
  print_line(std::cerr, "error: " + printable(why.detail));
  switch (why.code) {
    case troupe::errc::bad_argument:
    case troupe::errc::too_large:
    case troupe::errc::incompatible:
      return bad_input;
    case troupe::errc::timed_out:
      return timed_out;
    default:
      return failed;
  }
}

/// The same for a problem with a file that the user named.
inline int complain_of_file(const std::string& file, const troupe::problem& why) {
  complain({why.code, file + ": " + why.detail});
  return bad_input;
}

/// The same for a workflow that cannot be read: the sentence has the name of its file.
inline int complain_of_workflow(const troupe::problem& why) {
  complain(why);
  return bad_input;
}

/// Writes one JSON line, as print_line does. What is not UTF-8 in it is shown as U+FFFD.
inline void print(const json& line, std::ostream& out = std::cout) {
  print_line(out, line.dump(-1, ' ', false, json::error_handler_t::replace));
}

inline double seconds(troupe::duration span) {
  return std::chrono::duration<double>(span).count();
}

/// Reads a span, "10s", "500ms", "2m", "1h" or plain seconds.
inline troupe::result<troupe::duration> to_duration(const std::string& text,
                                                    const std::string& option) {
  double number = 0;
  auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
  auto unit_s = unit == "ms"                  ? 1e-3
                : unit.empty() || unit == "s" ? 1.0
                : unit == "m"                 ? 60.0
                : unit == "h"                 ? 3'600.0
                                              : 0.0;
  constexpr double longest_s = 1e9;
  if (fault != std::errc{} || unit_s == 0 || !(number >= 0) || number * unit_s > longest_s)
    return troupe::problem{troupe::errc::bad_argument,
                           option + " is '" + text
                             + "'; give a span such as 500ms, 10s, 2m or plain seconds"};
  return std::chrono::duration_cast<troupe::duration>(
    std::chrono::duration<double>{number * unit_s});
}

/// Reads an enum with `count` values by the names that it has.
template <class Enum>
troupe::result<Enum> named(const std::string& text, const std::string& option, std::uint8_t count) {
  std::string known;
  for (std::uint8_t number = 0; number < count; ++number) {
    auto value = static_cast<Enum>(number);
    if (name_of(value) == text)
      return value;
    known += (known.empty() ? "" : ", ") + std::string{name_of(value)};
  }
  return troupe::problem{troupe::errc::bad_argument,
                         option + " is '" + text + "'; give one of " + known};
}

/// Reads the addresses of --at.
inline troupe::result<std::vector<troupe::net::address>>
addresses(const std::vector<std::string>& texts) {
  std::vector<troupe::net::address> result;
  for (auto& each : texts) {
    auto read = troupe::net::address::from_string(each);
    if (!read)
      return read.error();
    result.push_back(*read);
  }
  return result;
}

/// Holds signals back from all threads made after it, so that one of them can wait for them.
class held_signals {
public:
  /// SIGINT and SIGTERM.
  held_signals() {
    ::sigemptyset(&which_);
    ::sigaddset(&which_, SIGINT);
    ::sigaddset(&which_, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &which_, nullptr);
  }

  /// These, but for those that whoever started us has us ignore.
  explicit held_signals(std::initializer_list<int> which) {
    ::sigemptyset(&which_);
    for (auto each : which)
      hold(each);
    ::pthread_sigmask(SIG_BLOCK, &which_, nullptr);
  }

  struct signal {
    int number = 0;
    /// At the terminal: all in its foreground have it, too.
    bool was_typed = false;
  };

  /// Waits for the next of them.
  [[nodiscard]] signal next() const {
    siginfo_t what{};
    while (::sigwaitinfo(&which_, &what) < 0)
      ;
    return {what.si_signo, what.si_code == SI_KERNEL && what.si_signo != SIGHUP};
  }

  /// Waits for the next of them, for ever if `wait` is not given.
  std::optional<int> wait(std::optional<std::chrono::milliseconds> wait = {}) const {
    if (!wait) {
      int number = 0;
      ::sigwait(&which_, &number);
      return number;
    }
    timespec span{static_cast<time_t>(wait->count() / 1'000), (wait->count() % 1'000) * 1'000'000};
    auto number = ::sigtimedwait(&which_, nullptr, &span);
    return number > 0 ? std::optional{number} : std::nullopt;
  }

private:
  void hold(int number) {
    struct sigaction now {};
    if (::sigaction(number, nullptr, &now) != 0 || now.sa_handler != SIG_IGN)
      ::sigaddset(&which_, number);
  }

  sigset_t which_{};
};

} // namespace cli
