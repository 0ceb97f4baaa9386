#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>
#include <unistd.h>

/// What clients that wait for each answer came to, and what it cost.
namespace troupe::benchmark {

using steady = std::chrono::steady_clock;
using seconds = std::chrono::duration<double>;

/// One operation of one client.
struct sample {
  steady::time_point done;
  steady::duration took;
};

/// The value at `share` (0 to 1) of the values in order; zero if there are none.
inline double quantile(std::vector<double> values, double share) {
  if (values.empty())
    return 0;
  auto place = static_cast<std::size_t>(share * static_cast<double>(values.size()));
  auto position
    = std::next(values.begin(), static_cast<std::ptrdiff_t>(std::min(place, values.size() - 1)));
  std::ranges::nth_element(values, position);
  return *position;
}

/// Processor time that a process has used, in seconds; zero if there is none such.
inline double cpu_seconds(pid_t process) {
  std::ifstream file{"/proc/" + std::to_string(process) + "/stat"};
  std::string all{std::istreambuf_iterator<char>{file}, {}};
  auto name_end = all.rfind(')');
  if (name_end == std::string::npos)
    return 0;
  std::istringstream fields{all.substr(name_end + 1)};
  std::string skipped;
  for (auto each = 0; each < 11; ++each) // the state and what follows it, up to field 13
    fields >> skipped;
  double user = 0;
  double kernel = 0;
  fields >> user >> kernel;
  return (user + kernel) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

inline double cpu_seconds(const std::vector<pid_t>& processes) {
  double sum = 0;
  for (auto each : processes)
    sum += cpu_seconds(each);
  return sum;
}

/// Resident memory of the largest of these processes, in MiB.
inline double resident_mib(const std::vector<pid_t>& processes) {
  double most = 0;
  for (auto each : processes) {
    std::ifstream file{"/proc/" + std::to_string(each) + "/statm"};
    double pages = 0;
    double resident = 0;
    file >> pages >> resident;
    most = std::max(most, resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1'048'576);
  }
  return most;
}

struct figures {
  double per_s = 0;
  double p50_us = 0;
  double p99_us = 0;
  /// Of all server processes together, and of the process of the clients, for one operation.
  double server_cpu_us = 0;
  double client_cpu_us = 0;
};

/// The time in which operations count, and what the processes have used until then.
class measured_span {
public:
  measured_span(std::vector<pid_t> servers, seconds length)
    : servers_(std::move(servers)),
      length_(length),
      server_cpu_(cpu_seconds(servers_)),
      client_cpu_(cpu_seconds(::getpid())),
      start_(steady::now()),
      end_(start_ + std::chrono::duration_cast<steady::duration>(length)) {}

  [[nodiscard]] steady::time_point end() const {
    return end_;
  }

  /// To be called at its end: what was used meanwhile.
  void stop() {
    server_cpu_ = cpu_seconds(servers_) - server_cpu_;
    client_cpu_ = cpu_seconds(::getpid()) - client_cpu_;
  }

  [[nodiscard]] figures sum_up(const std::vector<std::vector<sample>>& by_client) const {
    std::vector<double> took;
    for (auto& each : by_client)
      for (auto& one : each)
        if (start_ <= one.done && one.done < end_)
          took.push_back(std::chrono::duration<double, std::micro>(one.took).count());
    figures made;
    auto count = static_cast<double>(took.size());
    if (count == 0)
      return made;
    made.per_s = count / length_.count();
    made.p50_us = quantile(took, 0.5);
    made.p99_us = quantile(took, 0.99);
    made.server_cpu_us = server_cpu_ * 1e6 / count;
    made.client_cpu_us = client_cpu_ * 1e6 / count;
    return made;
  }

private:
  std::vector<pid_t> servers_;
  seconds length_;
  double server_cpu_;
  double client_cpu_;
  steady::time_point start_;
  steady::time_point end_;
};

/// Timers of a group.
struct timers {
  std::chrono::milliseconds heartbeat{100};
  std::chrono::milliseconds election{1'000};
};

inline std::string to_string(const timers& what) {
  return std::to_string(what.heartbeat.count()) + '/' + std::to_string(what.election.count());
}

/// What clients do: each writes values under keys of its own, each takes and gives back a
/// lock of its own, or all of them the same.
enum class workload { puts, own_locks, one_lock };

inline const char* name_of(workload what) {
  switch (what) {
    case workload::puts:
      return "puts";
    case workload::own_locks:
      return "own_locks";
    case workload::one_lock:
      return "one_lock";
  }
  return "unknown";
}

inline constexpr std::size_t value_bytes = 256;
inline constexpr std::uint64_t keys_of_client = 16;
/// Between two writes that ask if the group takes any.
inline constexpr std::chrono::milliseconds ask_every{5};

} // namespace troupe::benchmark
