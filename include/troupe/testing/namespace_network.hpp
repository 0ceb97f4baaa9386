#pragma once

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "troupe/core/result.hpp"
#include "troupe/platform/process.hpp"

namespace troupe::testing {

/// How packets travel from one host to another.
struct packet_path {
  /// Packets are dropped silently.
  bool cut = false;
  /// The sender of a TCP packet gets a connection reset.
  bool resets = false;
  /// The percentage of packets that is lost at random; 100 at most.
  std::uint32_t lost_percent = 0;
  /// Packets above this rate are dropped; headers count. After a pause, one second's worth may pass
  /// at once. Zero: no limit.
  std::uint64_t bytes_per_second = 0;
};

/// A kernel network between processes of this machine that a test can break: each host is a network
/// namespace of its own, connected by a cable (a veth pair) to one that only forwards packets, and
/// drops them as configured (nftables).
///
///     auto network = testing::namespace_network::make();
///     auto host = (*network)->add_host();
///     (*network)->at(*host, [&] { node.emplace(command); }); // a child_process that lives there
///     (*network)->set_path({{(*network)->here(), *host}}, {.cut = true}); // one way only
///     (*network)->heal();
///
/// Unlike testing::proxy, which needs no privileges, it shows how TCP reacts to lost packets: ends
/// of connections that do not know of each other's death, retransmissions at growing intervals,
/// calls that hang. Cutting one direction stops both in the end, because acknowledgements are lost.
/// Lost data arrives when the sender retransmits it, which may be seconds after heal().
///
/// Needs Linux with veth and nftables, CAP_SYS_ADMIN and CAP_NET_ADMIN (root), and the programs
/// `ip` and `nft` in PATH. The namespaces have no names outside: only this object and the processes
/// inside hold them, so that the kernel removes them with the last of these, even after a kill. A
/// namespace may live a little longer, invisible, while the kernel closes its connections.
///
/// Not thread-safe: for one thread. That thread is on a host of its own, here(), until this object
/// ends, which must happen on the same thread; threads and processes that it starts meanwhile are
/// there, too. The hosts cannot reach the outside.
class namespace_network {
public:
  /// A direction: from the one host to the other.
  using direction = std::pair<std::string, std::string>;

  static constexpr std::size_t max_hosts = 200;

  /// Returns what this process lacks for it. Errors: failed (no privileges), not_found (ip or nft).
  static problem missing() {
    if (!has_rights())
      return {errc::failed,
              "network namespaces need CAP_SYS_ADMIN and CAP_NET_ADMIN; run this as root"};
    for (auto& [program, version, package] :
         {std::tuple{"ip", "-Version", "iproute2"}, std::tuple{"nft", "--version", "nftables"}})
      if (auto why = run({program, version}); why.code == errc::not_found)
        return {errc::not_found, "network namespaces need the program " + std::string{program}
                                   + "; install the package " + package
                                   + ", or add the folder of the program to PATH"};
    return {};
  }

  /// Makes the network and moves the calling thread into it. Errors: those of
  /// missing(), failed (something that the kernel cannot do, with the command that failed).
  static result<std::unique_ptr<namespace_network>> make() {
    if (auto why = missing())
      return why;
    std::unique_ptr<namespace_network> made{new namespace_network};
    if (auto why = made->start())
      return why;
    return made;
  }

  namespace_network(const namespace_network&) = delete;
  namespace_network& operator=(const namespace_network&) = delete;

  /// Moves the thread back to where it was.
  ~namespace_network() {
    move_to(outside_);
  }

  /// The address of the calling thread's own host.
  [[nodiscard]] const std::string& here() const {
    return here_;
  }

  /// Adds a host and returns its address, an IPv4 one. Errors: limit_reached, failed.
  result<std::string> add_host() {
    if (hosts_.size() >= max_hosts)
      return problem{errc::limit_reached, "all " + std::to_string(max_hosts)
                                            + " hosts of the network are in use; make another one"};
    auto number = std::to_string(hosts_.size());
    auto address = prefix + number + ".2";
    auto made = make_namespace();
    if (!made)
      return made.error();
    if (auto why = wire(*made, number, address))
      return why;
    hosts_.emplace(address, *std::move(made));
    return address;
  }

  /// Runs `what()` with the calling thread moved to `host`: the processes that it starts and the
  /// sockets that it opens stay there.
  /// @pre `host` is here() or a result of add_host().
  template <class What>
  void at(const std::string& host, What what) const {
    stay guest{hosts_.at(host), hosts_.at(here_)};
    what();
  }

  /// Sets the path in these directions; all change at the same moment. Errors: bad_argument (no
  /// such host), failed; nothing has changed then.
  result<void> set_path(const std::vector<direction>& which, const packet_path& how) {
    auto wanted = paths_;
    for (auto& each : which) {
      for (auto& host : {each.first, each.second})
        if (!hosts_.contains(host))
          return problem{errc::bad_argument,
                         "'" + host
                           + "' is no host of this network; give here() or one of add_host()"};
      wanted[each] = how;
    }
    return change_to(std::move(wanted));
  }

  /// Restores all paths. Errors: failed.
  result<void> heal() {
    return change_to({});
  }

private:
  using paths = std::map<direction, packet_path>;

  /// From the range for tests of network devices. Source: RFC 2544, appendix C.2.2.
  static constexpr auto prefix = "198.18.";

  namespace_network() = default;

  /// Keeps the calling thread in another namespace while it lives.
  class stay {
  public:
    stay(const descriptor& where, const descriptor& home) : home_(home) {
      if (::setns(where.get(), CLONE_NEWNET) != 0)
        throw std::system_error{errno, std::generic_category(), "setns"};
    }

    stay(const stay&) = delete;
    stay& operator=(const stay&) = delete;

    ~stay() {
      move_to(home_);
    }

  private:
    const descriptor& home_;
  };

  /// Moves to a namespace where the thread has been before, so that only a loss of privileges could
  /// prevent it.
  static void move_to(const descriptor& where) {
    [[maybe_unused]] auto done = where.get() < 0 ? 0 : ::setns(where.get(), CLONE_NEWNET);
    assert(done == 0);
  }

  // -- what it needs ----------------------------------------------------------------

  static bool has_rights() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct has[2]{};
    constexpr auto needed = (1U << CAP_SYS_ADMIN) | (1U << CAP_NET_ADMIN);
    return ::syscall(SYS_capget, &header, has) == 0 && (has[0].effective & needed) == needed;
  }

  // -- cables -----------------------------------------------------------------------

  problem start() {
    outside_ = open_own();
    if (outside_.get() < 0)
      return failed_call("opening /proc/thread-self/ns/net");
    auto made = make_namespace();
    if (!made)
      return made.error();
    middle_ = *std::move(made);
    if (auto why = prepare_middle())
      return why;
    auto own = add_host();
    if (!own)
      return own.error();
    here_ = *own;
    move_to(hosts_.at(here_));
    return {};
  }

  static descriptor open_own() {
    return descriptor{::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)};
  }

  /// A new namespace, still without processes.
  static result<descriptor> make_namespace() {
    auto home = open_own();
    if (home.get() < 0 || ::unshare(CLONE_NEWNET) != 0)
      return failed_call("making a network namespace");
    auto made = open_own();
    auto opened = made.get() >= 0 ? problem{} : failed_call("opening a network namespace");
    move_to(home);
    if (opened)
      return opened;
    return made;
  }

  /// Turns forwarding on, and tries each kind of rule once: the kernel may lack some.
  problem prepare_middle() {
    auto home = open_own();
    {
      stay guest{middle_, home};
      auto* file = "/proc/sys/net/ipv4/ip_forward";
      descriptor forward{::open(file, O_WRONLY | O_CLOEXEC)};
      if (forward.get() < 0 || ::write(forward.get(), "1", 1) != 1)
        return failed_call(std::string{"writing to "} + file);
    }
    paths every_kind{{{"198.18.0.2", "198.18.0.3"},
                      {.cut = true, .resets = true, .lost_percent = 1, .bytes_per_second = 1}}};
    if (auto why = change_to(every_kind))
      return why;
    return change_to({});
  }

  /// Connects a host to the middle. Large packets are split as on a real cable, so that one loss
  /// does not take 64 kB.
  problem wire(const descriptor& host, const std::string& number, const std::string& address) {
    auto near = "host" + number;
    auto gateway = prefix + number + ".1";
    auto place
      = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(host.get()); // for ip
    if (auto why = run_all(middle_, {{"ip", "link", "add", near, "type", "veth", "peer", "name",
                                      "eth0", "netns", place},
                                     {"ip", "address", "add", gateway + "/24", "dev", near},
                                     {"ip", "link", "set", near, "up"}}))
      return why;
    return run_all(host, {{"ip", "link", "set", "lo", "up"},
                          {"ip", "address", "add", address + "/24", "dev", "eth0"},
                          {"ip", "link", "set", "eth0", "gso_max_segs", "1", "up"},
                          {"ip", "route", "add", "default", "via", gateway}});
  }

  // -- rules ------------------------------------------------------------------------

  problem change_to(paths wanted) {
    auto home = open_own();
    stay guest{middle_, home};
    auto why = run({"nft", "-f", "-"}, rules_of(wanted));
    if (!why)
      paths_ = std::move(wanted);
    return why;
  }

  /// All rules; nft replaces the old ones in one step.
  static std::string rules_of(const paths& which) {
    std::string text = "add table inet troupe\ndelete table inet troupe\ntable inet troupe {\n"
                       "chain forward {\ntype filter hook forward priority 0; policy accept;\n";
    for (auto& [ends, how] : which) {
      auto match = "ip saddr " + ends.first + " ip daddr " + ends.second + ' ';
      auto loss = std::min(how.lost_percent, 100U);
      if (how.resets)
        text += match + "meta l4proto tcp reject with tcp reset\n";
      if (how.cut)
        text += match + "drop\n";
      if (loss > 0)
        text += match + "numgen random mod 100 < " + std::to_string(loss) + " drop\n";
      if (how.bytes_per_second > 0)
        text += match + "limit rate over " + std::to_string(how.bytes_per_second)
                + " bytes/second burst " + std::to_string(burst_bytes) + " bytes drop\n";
    }
    return text + "}\n}\n";
  }

  /// In addition to what the kernel allows anyway, one second's worth: two packets.
  static constexpr auto burst_bytes = 3'000;

  // -- programs ---------------------------------------------------------------------

  static problem failed_call(const std::string& what) {
    return {errc::failed,
            what + " failed (" + std::strerror(errno) + "); check the permissions of this process"};
  }

  static problem run_all(const descriptor& where,
                         const std::vector<std::vector<std::string>>& commands) {
    auto home = open_own();
    stay guest{where, home};
    for (auto& each : commands)
      if (auto why = run(each))
        return why;
    return {};
  }

  /// Runs a program to its end. Errors: not_found, failed (with its output).
  static problem run(const std::vector<std::string>& command, const std::string& input = {}) {
    descriptor text{::memfd_create("input", MFD_CLOEXEC)};
    auto size = static_cast<ssize_t>(input.size());
    if (text.get() < 0 || ::write(text.get(), input.data(), input.size()) != size
        || ::lseek(text.get(), 0, SEEK_SET) != 0)
      return failed_call("writing for " + command.front());
    auto ends = make_pipe();
    if (!ends)
      return ends.error();
    auto& [listen, speak] = *ends;
    auto started = start_program(
      {.command = command, .input = text.get(), .output = speak.get(), .errors = speak.get()});
    if (!started)
      return started.error();
    speak.close();
    auto said = read_all(listen);
    int status = 0;
    while (::waitpid(*started, &status, 0) < 0 && errno == EINTR)
      continue;
    if (exit_status(status) == 0)
      return {};
    std::string words;
    for (auto& each : command)
      words += (words.empty() ? "" : " ") + each;
    return {errc::failed, "'" + words + "' ended with " + std::to_string(exit_status(status))
                            + " and said: " + said};
  }

  static std::string read_all(const descriptor& from) {
    std::string all;
    char bytes[4'096];
    for (;;) {
      auto count = ::read(from.get(), bytes, sizeof(bytes));
      if (count > 0 && all.size() < max_said_bytes)
        all.append(bytes, static_cast<std::size_t>(count));
      else if (count == 0 || (count < 0 && errno != EINTR))
        break;
    }
    while (all.ends_with('\n'))
      all.pop_back();
    return all;
  }

  static constexpr std::size_t max_said_bytes = 8'192;

  /// The original namespace of the thread, and the one that forwards packets.
  descriptor outside_;
  descriptor middle_;
  /// By address.
  std::map<std::string, descriptor> hosts_;
  std::string here_;
  paths paths_;
};

} // namespace troupe::testing
