#pragma once

#include <charconv>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/utf8.hpp"
#include "troupe/net/address.hpp"
#include "wording.hpp"

/// Shared parts of the commands of `troupe`: exit status, output, addresses.
namespace cli {

using json = nlohmann::ordered_json;

/// Exit statuses; scripts rely on them.
inline constexpr int ok = 0;
inline constexpr int failed = 1;
inline constexpr int bad_input = 2;
inline constexpr int timed_out = 3;

inline troupe::duration to_span(double seconds) {
  return std::chrono::duration_cast<troupe::duration>(std::chrono::duration<double>{seconds});
}

/// Options of every command.
struct common_options {
  /// One JSON object per line instead of text for people.
  bool json = false;
  /// Nodes to ask, HOST:PORT.
  std::vector<std::string> at{};
  double wait_s = 10;
  /// Folder with the key and the certificates of this user; empty: see identity_folder().
  std::string identity{};
  /// Plain links, on loopback only.
  bool insecure = false;
  /// A JSON file of options; see settings.hpp.
  std::string config{};

  [[nodiscard]] troupe::duration wait() const {
    return to_span(wait_s);
  }
};

/// Writes a line in one piece: output of other threads on stdout or stderr comes before or after
/// it. (A write to std::cerr flushes std::cout, to which it is tied, even in the middle of a line.)
inline void print_line(std::ostream& out, std::string line) {
  line += '\n';
  out << line << std::flush;
}

/// Length in bytes of the control character at the beginning of valid UTF-8: one byte for those of
/// ISO 646, two for those of ISO 6429, three for those of Unicode that change the direction of the
/// text after them (U+202A to U+202E, U+2066 to U+2069). Zero for any other character.
inline std::size_t control_length(std::string_view text) {
  auto byte
    = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U; };
  auto is_in
    = [](unsigned value, unsigned first, unsigned last) { return value >= first && value <= last; };
  if (byte(0) < 0x20 || byte(0) == 0x7f)
    return 1;
  if (byte(0) == 0xc2 && is_in(byte(1), 0x80, 0x9f))
    return 2;
  auto turns = byte(0) == 0xe2
               && ((byte(1) == 0x80 && is_in(byte(2), 0xaa, 0xae))
                   || (byte(1) == 0x81 && is_in(byte(2), 0xa6, 0xa9)));
  return turns ? 3 : 0;
}

/// The text on one line, with control characters (see control_length) as \xNN, byte for byte,
/// because others choose such texts. In a text that is not UTF-8 all bytes but printable ASCII are
/// shown so.
inline std::string printable(std::string_view text) {
  constexpr auto digits = "0123456789abcdef";
  auto is_text = troupe::is_utf8(text);
  std::string result;
  std::size_t escaped = 0; // bytes still to be escaped
  for (std::size_t at = 0; at < text.size(); ++at) {
    auto code = static_cast<unsigned char>(text[at]);
    if (escaped == 0)
      escaped = is_text ? control_length(text.substr(at))
                        : static_cast<std::size_t>(code < 0x20 || code >= 0x7f);
    if (escaped == 0) {
      result += text[at];
      continue;
    }
    --escaped;
    result += {'\\', 'x', digits[code >> 4U], digits[code & 0xfU]};
  }
  return result;
}

/// Writes one JSON line, as print_line does. Invalid UTF-8 is replaced by U+FFFD.
inline void print(const json& line, std::ostream& out = std::cout) {
  print_line(out, line.dump(-1, ' ', false, json::error_handler_t::replace));
}

/// Writes what a command has done: `line`, or with --json `said` as an object with this event.
/// Returns the exit status.
inline int tell(const common_options& common, const std::string& event, json said,
                const std::string& line) {
  said["event"] = event;
  if (common.json)
    print(said);
  else
    std::cout << line << std::endl;
  return ok;
}

/// Writes `error: what; what to do` to stderr, or with --json an object that also has the code.
/// Returns the exit status.
inline int complain(const common_options& common, const troupe::problem& why) {
  auto detail = in_our_words(why.detail);
  if (why.code == troupe::errc::denied)
    detail = about_command(std::move(detail));
  if (common.json)
    print({{"event", "error"}, {"code", std::string{name_of(why.code)}}, {"detail", detail}},
          std::cerr);
  else
    print_line(std::cerr, "error: " + printable(detail));
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

/// Writes a notice that ends nothing to stderr: `kind: text`, or with --json an object.
inline void note(const common_options& common, const std::string& kind, const std::string& text) {
  if (common.json)
    print({{"event", kind}, {"detail", in_our_words(text)}}, std::cerr);
  else
    print_line(std::cerr, kind + ": " + printable(in_our_words(text)));
}

/// Reports a problem with a file that the user named.
inline int complain_of_file(const common_options& common, const std::string& file,
                            const troupe::problem& why) {
  complain(common, {why.code, file + ": " + why.detail});
  return bad_input;
}

/// Reports a workflow that cannot be read; `why` already names its file.
inline int complain_of_workflow(const common_options& common, troupe::problem why) {
  // "FILE: line 1, column 1: syntax error …" does not help a user who gave a picture.
  constexpr std::string_view no_json = ": syntax error";
  if (auto at = why.detail.find(no_json); at != std::string::npos)
    why.detail.replace(
      at, no_json.size(),
      ": this is no workflow, because it is not JSON; give troupe-dag/1 or WfFormat. "
      "The parser says: syntax error");
  complain(common, why);
  return bad_input;
}

/// Sleeps for that long. Returns whether it has: not if `ends` was told before.
inline bool sleep_unless(const std::stop_token& ends, troupe::duration span) {
  std::mutex mutex;
  std::condition_variable_any ended;
  std::unique_lock guard{mutex};
  return !ended.wait_for(guard, ends, span, [&] { return ends.stop_requested(); });
}

inline double seconds(troupe::duration span) {
  return std::chrono::duration<double>(span).count();
}

using troupe::in_words;

/// "1 task", "2 tasks"
inline std::string counted(std::uint64_t count, const std::string& what) {
  return std::to_string(count) + ' ' + what + (count == 1 ? "" : "s");
}

/// "10ms", "30m"; with what that comes to where hours say little to a person: "87840h (10 years)".
inline std::string shortest_span(std::chrono::milliseconds span) {
  using namespace std::chrono;
  if (span % 1h != 0ms)
    return span % 1min == 0ms ? std::to_string(span / 1min) + 'm'
           : span % 1s == 0ms ? std::to_string(span / 1s) + 's'
                              : std::to_string(span.count()) + "ms";
  auto hours = std::to_string(span / 1h) + 'h';
  if (span >= years{2})
    return hours + " (" + std::to_string(span / years{1}) + " years)";
  return span > days{2} ? hours + " (" + std::to_string(span / days{1}) + " days)" : hours;
}

/// The longest duration that to_duration() reads.
inline constexpr std::chrono::hours longest_span{100'000};

/// Says of `text`, which to_duration() cannot read, what it has to be.
inline std::string not_a_span(const std::string& text, bool is_too_long) {
  return "'" + text + "' is not a span"
         + (is_too_long ? " up to " + shortest_span(longest_span) : std::string{})
         + "; write it as 500ms, 10s, 2m, 1h or plain seconds";
}

/// Reads a duration, "10s", "500ms", "2m", "1h" or plain seconds. Errors: bad_argument, with the
/// name of the option, unless that is empty.
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
  auto is_one = fault == std::errc{} && unit_s != 0 && number >= 0;
  auto is_too_long
    = is_one && number * unit_s > std::chrono::duration<double>{longest_span}.count();
  if (!is_one || is_too_long)
    return troupe::problem{troupe::errc::bad_argument,
                           (option.empty() ? "" : option + ": ") + not_a_span(text, is_too_long)};
  return to_span(number * unit_s);
}

/// Reads an enum with `count` values by their names.
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

/// Blocks signals in this thread and all threads made after it, so that one of them can wait for
/// them.
class held_signals {
public:
  /// SIGINT and SIGTERM.
  held_signals() {
    ::sigemptyset(&which_);
    ::sigaddset(&which_, SIGINT);
    ::sigaddset(&which_, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &which_, nullptr);
  }

  /// These signals, except those that were ignored when this process started.
  explicit held_signals(std::initializer_list<int> which) {
    ::sigemptyset(&which_);
    for (auto each : which)
      hold(each);
    ::pthread_sigmask(SIG_BLOCK, &which_, nullptr);
  }

  struct signal {
    int number = 0;
    /// Typed at the terminal: all processes in its foreground get it, too.
    bool was_typed = false;
  };

  /// Waits for the next signal.
  [[nodiscard]] signal next() const {
    siginfo_t what{};
    while (::sigwaitinfo(&which_, &what) < 0)
      ;
    return {what.si_signo, what.si_code == SI_KERNEL && what.si_signo != SIGHUP};
  }

  /// Waits for the next signal, without limit if `wait` is not given.
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
