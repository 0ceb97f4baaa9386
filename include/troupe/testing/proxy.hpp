#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

#include "troupe/core/random.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/datagram_socket.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/job_queue.hpp"
#include "troupe/net/socket.hpp"
#include "troupe/testing/detail/datagram_relay.hpp"
#include "troupe/testing/detail/lane.hpp"
#include "troupe/testing/network_path.hpp"

namespace troupe::testing {

/// A network between processes of this machine that a test can break. For each host it opens a
/// front: a port, for connections (TCP) and datagrams (UDP), at which others reach a server that
/// listens elsewhere. In between it delays, slows down, holds back, drops or resets the traffic.
///
///     testing::proxy network;
///     auto front = network.open("127.0.0.2", {"127.0.0.2", 4711});
///     network.set_path("127.0.0.3", "127.0.0.2", {.cut = true}); // one way only
///     network.heal();
///
/// Hosts are identified by their loopback addresses: the connecting host by the address that it
/// connects from (nodes dial from the one they listen at, and send datagrams from there), the
/// accepting host by that of its front. A path has one direction, regardless of which host opened
/// the connection or sent the first datagram.
///
/// Where a connect would hang or be refused in a real network, a front accepts the connection,
/// because the system does that, and then stays silent or closes it. Each connection holds back
/// `max_waiting_bytes` per direction, in addition to the buffers of the system; beyond that its
/// sender has to wait. Beyond `max_connections`, connections wait to be accepted.
///
/// A datagram for a front goes to the target from a socket that its sender (an address and a port)
/// has for itself, and what the target answers to that socket goes from the front to the sender. A
/// front remembers `max_datagram_senders`; a new one then takes the place of the one that was
/// silent for longest, and answers to that one are lost. Datagrams are never kept for later: they
/// are dropped on a cut path, also if it is cut while a delay holds them back, without a target,
/// above net::datagram_socket::max_size bytes, and if `max_waiting_datagrams` of a front are held
/// back already. On a narrow path they take turns with the bytes of connections, so that a
/// connection that sends all it can crowds them out.
///
/// One thread for all fronts. Calls are thread-safe, and take effect before they return: after a
/// cut nothing more is passed on. Datagrams that a front has received before set_path() or heal()
/// travel on the paths as they were. Keeps a record of each pair of hosts until it ends. Throws
/// std::runtime_error if no descriptor is left for it.
class proxy {
public:
  /// `seed` is for the jitter and the loss.
  explicit proxy(std::uint64_t seed = 0) : random_(seed) {
    if (!jobs_.usable())
      throw std::runtime_error{"no file descriptor is left for a proxy; raise ulimit -n"};
    thread_ = std::thread{[this] { run(); }};
  }

  proxy(const proxy&) = delete;
  proxy& operator=(const proxy&) = delete;

  /// Closes all connections.
  ~proxy() {
    jobs_.post([this] { stopping_ = true; });
    thread_.join();
  }

  /// Opens a front at a free port of `host`, the same for connections and datagrams, for a server
  /// that listens at `target`, now or later. Returns its address. Errors: bad_argument,
  /// unreachable (no such hosts), in_use.
  result<net::address> open(const std::string& host, const net::address& target) {
    auto here = net::resolve({host, 0});
    auto there = net::resolve(target);
    if (!here || !there)
      return here ? there.error() : here.error();
    auto made = open_sockets(here->front());
    if (!made)
      return made.error();
    net::address where{host, net::local_endpoint(made->listener).port()};
    call([&] {
      fronts_.push_back({host,
                         there->front(),
                         std::move(made->listener),
                         {host, there->front(), std::move(made->datagrams), lanes_, random_}});
    });
    return where;
  }

  /// Sets the path from `from` to `to`.
  void set_path(const std::string& from, const std::string& to, const network_path& how) {
    call([&] {
      go_on_with_datagrams();
      lane_of(from, to).how = how;
    });
  }

  /// Restores all paths; bytes of connections that waited continue.
  void heal() {
    call([&] {
      go_on_with_datagrams();
      for (auto& [ends, each] : lanes_)
        each.how = {};
    });
  }

  /// Closes all connections between two hosts, with a reset; datagrams do not notice.
  void reset(const std::string& one, const std::string& other) {
    call([&] {
      flows_.remove_if([&](flow& each) {
        auto is_meant = (each.source == one && each.target == other)
                        || (each.source == other && each.target == one);
        if (is_meant)
          break_off(each);
        return is_meant;
      });
    });
  }

  /// Returns how many bytes of connections and datagrams were passed on from one host to another.
  [[nodiscard]] std::uint64_t passed_bytes(const std::string& from, const std::string& to) {
    std::uint64_t count = 0;
    call([&] { count = lane_of(from, to).passed_bytes; });
    return count;
  }

  /// Returns how many datagrams were.
  [[nodiscard]] std::uint64_t passed_datagrams(const std::string& from, const std::string& to) {
    std::uint64_t count = 0;
    call([&] { count = lane_of(from, to).passed_datagrams; });
    return count;
  }

  /// Returns how many connections there are, including those that hang.
  [[nodiscard]] std::size_t connections() {
    std::size_t count = 0;
    call([&] { count = flows_.size(); });
    return count;
  }

  /// Returns how many senders of datagrams all fronts together remember.
  [[nodiscard]] std::size_t datagram_senders() {
    return sum_of(&detail::datagram_relay::senders);
  }

  /// Returns how many datagrams all fronts together hold back.
  [[nodiscard]] std::size_t waiting_datagrams() {
    return sum_of(&detail::datagram_relay::waiting);
  }

  static constexpr std::size_t max_waiting_bytes = std::size_t{1} << 20U;
  static constexpr std::size_t max_connections = 1'024;
  static constexpr std::size_t max_datagram_senders = detail::datagram_relay::max_senders;
  static constexpr std::size_t max_waiting_datagrams = detail::datagram_relay::max_waiting;

private:
  using clock = std::chrono::steady_clock;
  using lane = detail::lane;

  struct sockets {
    net::socket listener;
    net::datagram_socket datagrams;
  };

  struct front {
    std::string host;
    net::endpoint target;
    net::socket listener;
    detail::datagram_relay datagrams;
  };

  /// Bytes in transit; an empty parcel is the end of the stream.
  struct parcel {
    clock::time_point due;
    std::string bytes;
  };

  /// One direction of a connection.
  struct stream {
    lane* path = nullptr;
    std::deque<parcel> waiting;
    std::size_t waiting_bytes = 0;
    clock::time_point last_due{};
    bool has_ended = false; // the end has been read
    bool is_over = false;   // and passed on
  };

  struct flow {
    std::string source;
    std::string target;
    net::endpoint where;
    /// To the connecting side, and to the target; the latter is empty until both paths were open.
    net::socket near;
    net::socket far;
    bool is_connected = false;
    /// That end is gone; the other end cannot know while the path is cut.
    bool near_is_gone = false;
    bool far_is_gone = false;
    stream there;
    stream back;
  };

  // -- any thread ------------------------------------------------------------------

  /// Runs `what` on the thread of the proxy and waits for its end.
  void call(const std::function<void()>& what) {
    std::promise<void> done;
    jobs_.post([&] {
      what();
      done.set_value();
    });
    done.get_future().wait();
  }

  std::size_t sum_of(std::size_t (detail::datagram_relay::*figure)() const) {
    std::size_t sum = 0;
    call([&] {
      for (auto& each : fronts_)
        sum += (each.datagrams.*figure)();
    });
    return sum;
  }

  /// Opens both at one port of `host`. The system chooses it for the listener, so another process
  /// may have it for datagrams: then it chooses once more.
  static result<sockets> open_sockets(const net::endpoint& host) {
    constexpr auto max_tries = 16;
    for (auto tries = 1;; ++tries) {
      auto listener = net::start_listen(host);
      if (!listener)
        return listener.error();
      auto datagrams = net::datagram_socket::open(net::local_endpoint(*listener));
      if (datagrams)
        return sockets{*std::move(listener), *std::move(datagrams)};
      if (datagrams.error().code != errc::in_use || tries == max_tries)
        return datagrams.error();
    }
  }

  // -- the thread ------------------------------------------------------------------

  void run() {
    std::vector<pollfd> polled;
    while (!stopping_) {
      auto now = clock::now();
      flows_.remove_if([&](flow& each) { return is_finished(each) || !connect_if_due(each); });
      std::optional<clock::time_point> next;
      polled.assign(1, {jobs_.descriptor(), POLLIN, 0});
      for (auto& each : fronts_)
        polled.push_back({flows_.size() < max_connections ? each.listener.get() : -1, POLLIN, 0});
      auto polled_flows = flows_.size(); // those accepted below come later
      for (auto& each : flows_)
        add_to(polled, each, now, next);
      for (auto& each : fronts_) {
        each.datagrams.add_to(polled);
        if (auto due = each.datagrams.next_due())
          next = std::min(next.value_or(*due), *due);
      }
      ::poll(polled.data(), polled.size(), milliseconds_until(next));
      now = clock::now();
      auto place = polled.cbegin() + 1 + static_cast<std::ptrdiff_t>(fronts_.size());
      auto it = flows_.begin();
      for (std::size_t count = 0; count < polled_flows; ++count, place += 2)
        it = go_on(*it, place[0].revents, place[1].revents, now) ? std::next(it) : flows_.erase(it);
      for (std::size_t index = 0; index < fronts_.size(); ++index)
        if (polled[index + 1].revents != 0)
          accept_from(fronts_[index]);
      for (auto& each : fronts_)
        place = each.datagrams.go_on(place, now);
      for (auto& what : jobs_.take()) // last: it may change what was polled
        what();
    }
    for (auto& what : jobs_.close())
      what();
  }

  static int milliseconds_until(std::optional<clock::time_point> next) {
    if (!next)
      return -1;
    auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
  }

  void go_on_with_datagrams() {
    for (auto& each : fronts_)
      each.datagrams.go_on(clock::now());
  }

  lane& lane_of(const std::string& from, const std::string& to) {
    return lanes_[{from, to}];
  }

  void accept_from(front& where) {
    sockaddr_storage peer{};
    socklen_t size = sizeof(peer);
    auto* raw = reinterpret_cast<sockaddr*>(&peer);
    net::socket made{::accept4(where.listener.get(), raw, &size, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (!made)
      return;
    auto source = net::address::from_string(net::to_string(net::endpoint{raw, size}));
    auto& each = flows_.emplace_back();
    each.source = source ? source->host : std::string{};
    each.target = where.host;
    each.where = where.target;
    each.near = std::move(made);
    each.there.path = &lane_of(each.source, each.target);
    each.back.path = &lane_of(each.target, each.source);
    net::send_at_once(each.near);
  }

  /// Whether both ends are gone, or one of them and the path to the other is open.
  static bool is_finished(flow& each) {
    if (each.there.is_over && each.back.is_over)
      return true;
    auto near_told = each.near_is_gone && !each.there.path->how.cut;
    auto far_told = each.far_is_gone && !each.back.path->how.cut;
    if (near_told || far_told)
      break_off(each);
    return near_told || far_told;
  }

  /// Connects to the target once neither path is cut. Returns false if that fails.
  static bool connect_if_due(flow& each) {
    if (each.far || each.there.path->how.cut || each.back.path->how.cut)
      return true;
    auto made = net::start_connect(each.where);
    if (!made) {
      break_off(each);
      return false;
    }
    each.far = std::move(*made);
    net::send_at_once(each.far);
    return true;
  }

  /// Adds two entries for each flow, near and far. An end from which nothing is wanted is not
  /// polled: if it were broken, it would wake us again and again.
  static void add_to(std::vector<pollfd>& polled, const flow& each, clock::time_point now,
                     std::optional<clock::time_point>& next) {
    if (!each.is_connected) {
      // While the connect hangs, the connecting side may give up.
      polled.push_back({each.far ? -1 : each.near.get(), POLLRDHUP, 0});
      polled.push_back({each.far.get(), POLLOUT, 0});
      return;
    }
    auto consider = [&](const stream& what) -> short {
      if (what.path->how.cut || what.waiting.empty())
        return 0;
      if (what.waiting.front().due <= now)
        return POLLOUT;
      next = std::min(next.value_or(what.waiting.front().due), what.waiting.front().due);
      return 0;
    };
    auto reads = [](const stream& what, bool to_nobody) -> short {
      return what.path->how.cut || what.has_ended || to_nobody
                 || what.waiting_bytes >= max_waiting_bytes
               ? short{0}
               : short{POLLIN};
    };
    auto near = static_cast<short>((each.near_is_gone ? 0 : reads(each.there, each.far_is_gone))
                                   | (each.near_is_gone ? 0 : consider(each.back)));
    auto far = static_cast<short>((each.far_is_gone ? 0 : reads(each.back, each.near_is_gone))
                                  | (each.far_is_gone ? 0 : consider(each.there)));
    polled.push_back({near != 0 ? each.near.get() : -1, near, 0});
    polled.push_back({far != 0 ? each.far.get() : -1, far, 0});
  }

  /// Advances a connection as far as possible without waiting. Returns false if it is over.
  bool go_on(flow& each, short near, short far, clock::time_point now) {
    if (!each.is_connected) {
      if (near != 0)
        return false; // the connecting side has given up
      if (far != 0 && net::connect_error(each.far) != 0) {
        break_off(each);
        return false;
      }
      each.is_connected = far != 0;
      return true;
    }
    constexpr short readable = POLLIN | POLLHUP | POLLERR;
    constexpr short writable = POLLOUT | POLLHUP | POLLERR;
    if ((near & readable) != 0 && may_read(each.there) && !read(each.near, each.there, now)) {
      break_off(each);
      return false;
    }
    if ((far & readable) != 0 && may_read(each.back) && !read(each.far, each.back, now)) {
      break_off(each);
      return false;
    }
    if ((far & writable) != 0 && !write(each.far, each.there, now))
      each.far_is_gone = true;
    if ((near & writable) != 0 && !write(each.near, each.back, now))
      each.near_is_gone = true;
    return true;
  }

  static bool may_read(const stream& what) {
    return !what.path->how.cut && !what.has_ended && what.waiting_bytes < max_waiting_bytes;
  }

  /// Returns false if the sender has reset the connection.
  bool read(const net::socket& from, stream& into, clock::time_point now) {
    auto& path = *into.path;
    auto rate = path.how.bytes_per_second;
    auto size
      = rate == 0
          ? piece_.size()
          : static_cast<std::size_t>(std::clamp<std::uint64_t>(rate / 20, 256, piece_.size()));
    auto count = ::recv(from.get(), piece_.data(), size, 0);
    if (count < 0)
      return errno == EAGAIN || errno == EINTR;
    into.has_ended = count == 0;
    into.last_due
      = std::max(into.last_due, path.take_bytes(static_cast<std::size_t>(count), now, random_));
    into.waiting.push_back({into.last_due, {piece_.data(), static_cast<std::size_t>(count)}});
    into.waiting_bytes += static_cast<std::size_t>(count);
    return true;
  }

  /// Passes on the parcels that are due. Returns false if the receiver is gone.
  static bool write(const net::socket& to, stream& from, clock::time_point now) {
    while (!from.path->how.cut && !from.waiting.empty() && from.waiting.front().due <= now) {
      auto& bytes = from.waiting.front().bytes;
      if (bytes.empty()) {
        ::shutdown(to.get(), SHUT_WR);
        from.is_over = true;
      } else {
        auto count = ::send(to.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count < 0)
          return errno == EAGAIN || errno == EINTR;
        auto sent = static_cast<std::size_t>(count);
        from.path->passed_bytes += sent;
        from.waiting_bytes -= sent;
        bytes.erase(0, sent);
        if (!bytes.empty())
          return true;
      }
      from.waiting.pop_front();
    }
    return true;
  }

  /// Closes both ends with a reset instead of a regular end.
  static void break_off(flow& each) {
    for (auto* end : {&each.near, &each.far}) {
      linger at_once{1, 0};
      ::setsockopt(end->get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    }
  }

  net::job_queue jobs_;
  // Used by the thread of the proxy only, from here on.
  bool stopping_ = false;
  random_source random_;
  std::vector<front> fronts_;
  detail::lanes lanes_;
  std::list<flow> flows_;
  std::array<char, 65'536> piece_{};
  std::thread thread_;
};

} // namespace troupe::testing
