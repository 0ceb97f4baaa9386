#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

#include "support/traces.hpp"
#include "troupe/core/errc.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/time.hpp"

namespace troupe::test {

/// Returns the code of that name. Throws std::invalid_argument if there is none.
inline errc to_code(const std::string& name) {
  for (std::size_t each = 0; each < errc_names.size(); ++each)
    if (errc_names[each] == name)
      return static_cast<errc>(each);
  throw std::invalid_argument{"unknown code: " + name};
}

/// Returns the code that the next word of a command names.
inline errc read_code(std::istream& in) {
  return to_code(read_word(in));
}

/// Returns the next word of a command, or an empty one if there is none.
inline std::string read_more(std::istream& in) {
  std::string result;
  in >> result;
  return result;
}

/// A machine that answers a golden trace: says its effects, each with the milliseconds since it
/// began, and what is wrong with its state. Commands are those of `perform`, and `pass
/// MILLISECONDS`.
template <class Machine>
class traced_machine {
public:
  virtual ~traced_machine() = default;

  std::string answer(const std::string& command) {
    text_.str({});
    std::istringstream in{command};
    auto verb = read_word(in);
    if (verb == "pass")
      pass(std::chrono::milliseconds{read_number(in)});
    else
      perform(verb, in);
    if constexpr (requires(const Machine& it) { it.flaws(); })
      for (auto& flaw : machine().flaws())
        text_ << "flaw: " << flaw << '\n';
    return text_.str().empty() ? "(nothing)\n" : text_.str();
  }

protected:
  virtual Machine& machine() = 0;
  virtual void perform(const std::string& verb, std::istream& in) = 0;
  /// Empty: it is not said.
  virtual std::string to_words(const typename Machine::effect& what) = 0;
  /// After each step: for what the surroundings answer at once.
  virtual void go_on() {}

  [[noreturn]] static void refuse(const std::string& verb) {
    throw std::invalid_argument{"unknown command: " + verb};
  }

  void step(typename Machine::event what, request_id id = 0) {
    typename Machine::effects out;
    machine().step(now_, id, std::move(what), out);
    tell(out);
    go_on();
  }

  /// Runs all that is due meanwhile.
  void pass(duration span) {
    auto until = now_ + span;
    if constexpr (requires(const Machine& it) { it.next_deadline(); })
      for (auto due = machine().next_deadline(); due && *due <= until;
           due = machine().next_deadline()) {
        now_ = std::max(now_, *due);
        typename Machine::effects out;
        machine().tick(now_, out);
        tell(out);
        go_on();
      }
    now_ = until;
  }

  void tell(const typename Machine::effects& out) {
    for (auto& each : out)
      if (auto line = to_words(each); !line.empty())
        tell(line);
  }

  void tell(const std::string& line) {
    text_ << std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch()).count()
          << " ms: " << line << '\n';
  }

  time_point now_{};
  std::ostringstream text_;
};

/// Replays all traces in that folder below tests/, each by a new `Traced`.
template <class Traced>
void replay_traces(const std::string& folder) {
  for (auto& file : traces_in(std::filesystem::path{TROUPE_TESTS_DIR} / folder)) {
    Traced it;
    replay_trace(file, [&it](const std::string& command) { return it.answer(command); });
  }
}

} // namespace troupe::test
