#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "troupe/core/json.hpp"
#include "troupe/platform/process.hpp"
#include "troupe/platform/supervised_program.hpp"
#include "troupe/scheduler/task_call.hpp"

namespace troupe::scheduler {

/// Limits for programs that tasks run.
struct exec_options {
  /// Bytes kept of stdout and of stderr, each. The rest is read and dropped.
  std::size_t max_output_bytes = 16ULL * 1024;
};

/// The input of a task for exec_handler, as JSON. The program is started without a shell, in
/// the working directory and with the environment and the rights of the worker.
struct exec_input {
  /// The program, looked up in PATH unless it has a '/', and its arguments.
  std::vector<std::string> argv;
  /// Its stdin; empty if absent.
  std::optional<std::string> input{};
  /// Whether the task fails if the program ends with another status than 0.
  bool check = true;
};

template <class Inspector>
bool inspect(Inspector& f, exec_input& x) {
  return f.object(x).fields(f.field("argv", x.argv), f.field("stdin", x.input),
                            f.field("check", x.check));
}

/// How a program ended: the result of its task, as JSON. Bytes that are not UTF-8 become U+FFFD.
struct exec_result {
  /// Exit status, or 128 plus the number of the signal that ended it, as in a shell.
  int status = 0;
  std::string output{};
  std::string errors{};
  /// Whether it wrote more than is kept; the first bytes are kept.
  bool truncated = false;
};

namespace detail {

/// A program and all that it starts, for one task.
class task_program {
public:
  /// Runs `what` to its end. Errors: not_found, failed, cancelled, timed_out.
  static result<exec_result> run(const task_call& call, const exec_input& what,
                                 const exec_options& bounds) {
    task_program made;
    auto stopper = std::make_shared<descriptor>(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (auto why = made.start(what))
      return why;
    call.on_cancel([stopper] { ::eventfd_write(stopper->get(), 1); });
    auto timeout = call.order().timeout;
    auto ends
      = timeout > duration::zero()
          ? std::optional{clock::now() + std::chrono::ceil<std::chrono::milliseconds>(timeout)}
          : std::nullopt;
    auto why = made.follow(stopper->get(), ends, bounds.max_output_bytes);
    made.program_->kill(); // also the processes that it left behind
    if (why)
      return why;
    made.seen_.status = made.program_->status();
    return std::move(made.seen_);
  }

private:
  using clock = std::chrono::steady_clock;

  problem start(const exec_input& what) {
    auto out = make_pipe();
    auto errors = make_pipe();
    // An anonymous file instead of a pipe: a program that does not read cannot block us.
    descriptor input{::memfd_create("input", MFD_CLOEXEC)};
    if (!out || !errors || input.get() < 0)
      return {errc::failed, "no descriptors are left; raise the limit of open files"};
    auto text = what.input.value_or("");
    if (::pwrite(input.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
      return {errc::failed, "there is no memory for the stdin of the program; shorten it"};
    auto started = supervised_program::start({.command = what.argv,
                                              .input = input.get(),
                                              .output = out->second.get(),
                                              .errors = errors->second.get(),
                                              .own_group = true,
                                              .alone = true});
    if (!started)
      return started.error();
    program_ = std::move(*started);
    output_ = std::move(out->first);
    errors_ = std::move(errors->first);
    for (auto* each : {&output_, &errors_})
      ::fcntl(each->get(), F_SETFL, O_NONBLOCK);
    return {};
  }

  /// Reads its output until it ends. Returns the reason if it has to be killed before.
  problem follow(int stopper, std::optional<clock::time_point> ends, std::size_t most) {
    for (;;) {
      std::array<pollfd, 4> news{{{output_.get(), POLLIN, 0},
                                  {errors_.get(), POLLIN, 0},
                                  {program_->news(), POLLIN, 0},
                                  {stopper, POLLIN, 0}}};
      auto wait = -1;
      if (ends) {
        auto left = std::chrono::ceil<std::chrono::milliseconds>(*ends - clock::now()).count();
        wait = static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
      }
      auto ready = ::poll(news.data(), news.size(), wait);
      if (ready < 0 && errno != EINTR)
        return {errc::failed, "the program cannot be watched; raise the limit of open files"};
      if (news[3].revents != 0)
        return {errc::cancelled, "the program was killed, as its task was cancelled"};
      if (ends && clock::now() >= *ends)
        return {errc::timed_out, "the program was killed, as the time of its task was over"};
      program_->look();
      auto has_ended = program_->has_ended(); // before the reads, so that they get all it wrote
      read(output_, seen_.output, most);
      read(errors_, seen_.errors, most);
      if (has_ended)
        return {};
    }
  }

  void read(descriptor& from, std::string& to, std::size_t most) {
    std::array<char, 4096> bytes{};
    // Bounded, so that a program that never stops writing can still be killed.
    for (auto round = 0; round < 64 && from.get() >= 0; ++round) {
      auto count = ::read(from.get(), bytes.data(), bytes.size());
      if (count < 0)
        return; // nothing yet
      if (count == 0)
        return from.close();
      auto taken = std::min(static_cast<std::size_t>(count), most - std::min(most, to.size()));
      to.append(bytes.data(), taken);
      seen_.truncated |= taken < static_cast<std::size_t>(count);
    }
  }

  std::optional<supervised_program> program_;
  descriptor output_;
  descriptor errors_;
  exec_result seen_;
};

/// Returns `what` as JSON of at most `most` bytes. Halves the texts until it fits, because escapes
/// may lengthen them.
inline std::string to_text(exec_result what, std::size_t most) {
  for (;;) {
    nlohmann::json tree{{"status", what.status},
                        {"stdout", what.output},
                        {"stderr", what.errors},
                        {"truncated", what.truncated}};
    auto text = tree.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    if (text.size() <= most || (what.output.empty() && what.errors.empty()))
      return text;
    what.output.resize(what.output.size() / 2);
    what.errors.resize(what.errors.size() / 2);
    what.truncated = true;
  }
}

inline result<exec_input> read_exec_input(const std::string& text) {
  auto read = from_json<exec_input>(text);
  if (read && !read->argv.empty() && !read->argv.front().empty())
    return read;
  return problem{errc::bad_argument, "the input of exec is {\"argv\": [program, arguments…]}"
                                     ", optionally with \"stdin\" and \"check\""
                                       + (read ? std::string{} : ": " + read.error().detail)};
}

} // namespace detail

/// Returns the handler that runs programs, to be offered as exec_handler. Everyone who may submit
/// tasks can then run any program with the rights of this process. A program and all processes it
/// started are killed when its task is cancelled, the lease is lost, the time-out ends, or the
/// worker ends; processes that it leaves behind are killed, too (see supervised_program). The
/// result is an exec_result as JSON, at most 60 kB. Errors: bad_argument (the input), not_found
/// (the program), failed (a status other than 0, with the result).
inline blocking_handler exec_programs(const exec_options& bounds = {}) {
  return [bounds](const task_call& call) -> result<std::string> {
    constexpr std::size_t max_result_bytes = 60'000; // below scheduler_options::max_payload_bytes
    auto what = detail::read_exec_input(call.input());
    if (!what)
      return what.error();
    auto seen = detail::task_program::run(call, *what, bounds);
    if (!seen)
      return seen.error();
    auto status = seen->status;
    auto text = detail::to_text(*std::move(seen), max_result_bytes);
    if (status != 0 && what->check)
      return problem{errc::failed, "'" + what->argv.front() + "' ended with status "
                                     + std::to_string(status) + ": " + text};
    return text;
  };
}

} // namespace troupe::scheduler
