#pragma once

#include <cstddef>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "troupe/net/socket.hpp"

namespace troupe::benchmark {

/// Moves this process, which must still have one thread, and those that it starts to a network of
/// their own, which has only a loopback device. Returns whether that is possible: it needs
/// CAP_SYS_ADMIN.
inline bool enter_own_loopback() {
  if (::unshare(CLONE_NEWNET) != 0)
    return false;
  net::socket any{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  ifreq device{};
  std::strcpy(device.ifr_name, "lo");
  device.ifr_flags = IFF_UP | IFF_RUNNING;
  return ::ioctl(any.get(), SIOCSIFFLAGS, &device) == 0;
}

/// What has come over loopback.
struct traffic {
  /// With all headers.
  double bytes = 0;
  /// Of UDP.
  double datagrams = 0;
};

namespace detail {

/// The number `skipped` places behind the last `label` in a file.
inline std::optional<double> number_after(const char* path, const std::string& label,
                                          std::size_t skipped) {
  std::ifstream file{path};
  std::string all{std::istreambuf_iterator<char>{file}, {}};
  auto place = all.rfind(label);
  if (place == std::string::npos)
    return std::nullopt;
  std::istringstream numbers{all.substr(place + label.size())};
  double found = 0;
  for (std::size_t each = 0; each <= skipped; ++each)
    if (!(numbers >> found))
      return std::nullopt;
  return found;
}

} // namespace detail

/// Nothing if the kernel does not tell.
inline std::optional<traffic> loopback_traffic() {
  auto bytes = detail::number_after("/proc/self/net/dev", "lo:", 0);
  auto datagrams = detail::number_after("/proc/self/net/snmp", "\nUdp: ", 3); // OutDatagrams
  if (!bytes || !datagrams)
    return std::nullopt;
  return traffic{*bytes, *datagrams};
}

} // namespace troupe::benchmark
