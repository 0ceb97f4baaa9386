#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

#include "troupe/core/random.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/datagram_socket.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/testing/detail/lane.hpp"

namespace troupe::testing::detail {

/// Passes on the datagrams of one front of a proxy. Each sender gets a socket from which its
/// datagrams go to the target, so that answers tell for which sender they are.
///
/// When there are `max_senders`, a new one takes the place of the one that was silent, in both
/// directions, for longest: answers to that one are lost from then on. At most `max_waiting`
/// datagrams are held back; more are dropped, and so are those of a new sender for which the system
/// has no descriptor. Not thread-safe.
class datagram_relay {
public:
  using time_point = lane::time_point;

  static constexpr std::size_t max_senders = 128;
  static constexpr std::size_t max_waiting = 1'024;
  /// Read from each socket in one turn, so that nothing else waits for long. The kernel does not
  /// hold as many: its buffer has 208 KiB by default, of which each datagram takes at least 768 B.
  static constexpr int max_at_once = 512;

  /// `host` is the address at which `front` is open. `paths` and `dice` outlive this.
  datagram_relay(std::string host, const net::endpoint& target, net::datagram_socket front,
                 lanes& paths, random_source& dice)
    : host_(std::move(host)),
      target_(target),
      front_(std::move(front)),
      paths_(&paths),
      dice_(&dice) {}

  [[nodiscard]] std::size_t senders() const {
    return senders_.size();
  }

  [[nodiscard]] std::size_t waiting() const {
    return waiting_.size();
  }

  /// When the next one that waits is due.
  [[nodiscard]] std::optional<time_point> next_due() const {
    return waiting_.empty() ? std::nullopt : std::optional{waiting_.begin()->first};
  }

  /// Adds what go_on() has to be called for, with these entries.
  void add_to(std::vector<pollfd>& polled) const {
    polled.push_back({front_.descriptor(), POLLIN, 0});
    for (auto& [name, each] : senders_)
      polled.push_back({each.outlet.descriptor(), POLLIN, 0});
  }

  /// Passes on what is due and takes what has come. Returns the place after the entries of this,
  /// which begin at `polled`.
  std::vector<pollfd>::const_iterator go_on(std::vector<pollfd>::const_iterator polled,
                                            time_point now) {
    auto end = polled + 1 + static_cast<std::ptrdiff_t>(senders_.size());
    if (std::any_of(polled, end, [](const pollfd& each) { return each.revents != 0; }))
      go_on(now);
    else
      pass_on(now);
    return end;
  }

  /// The same, whatever was polled.
  void go_on(time_point now) {
    pass_on(now);
    for (auto& [name, each] : senders_)
      read_answers(name, each, now);
    read_front(now);
  }

private:
  struct sender {
    net::endpoint where;
    /// Its datagrams go to the target from here.
    net::datagram_socket outlet;
    lane* there;
    lane* back;
    /// Not a time: a turn has only one, and may be long.
    std::uint64_t last_use;
  };

  struct parcel {
    std::string sender;
    bool is_answer;
    std::string what;
  };

  using senders_by_address = std::map<std::string, sender>;

  void read_front(time_point now) {
    for (auto rest = max_at_once; rest > 0; --rest) {
      auto got = front_.receive();
      if (!got)
        return;
      auto found = find_or_add(got->from);
      if (found == senders_.end())
        continue;
      found->second.last_use = ++uses_;
      carry({found->first, false, std::move(got->what)}, *found->second.there, now);
    }
  }

  void read_answers(const std::string& name, sender& from, time_point now) {
    for (auto rest = max_at_once; rest > 0; --rest) {
      auto got = from.outlet.receive();
      if (!got)
        return;
      // Not the whole address: a target that listens at all of its addresses may answer from
      // another one.
      if (got->from.port() != target_.port())
        continue;
      from.last_use = ++uses_;
      carry({name, true, std::move(got->what)}, *from.back, now);
    }
  }

  /// end(): the system has no descriptor for it.
  senders_by_address::iterator find_or_add(const net::endpoint& where) {
    auto name = net::to_string(where);
    auto found = senders_.find(name);
    if (found != senders_.end())
      return found;
    if (senders_.size() >= max_senders)
      senders_.erase(std::ranges::min_element(
        senders_, {}, [](const auto& each) { return each.second.last_use; }));
    auto any = net::resolve_number({target_.family() == AF_INET6 ? "::" : "0.0.0.0", 0});
    auto outlet = net::datagram_socket::open(any->front());
    auto address = net::address::from_string(name);
    if (!outlet || !address)
      return senders_.end();
    return senders_
      .emplace(name, sender{where, *std::move(outlet), &(*paths_)[{address->host, host_}],
                            &(*paths_)[{host_, address->host}], uses_})
      .first;
  }

  void carry(parcel what, lane& path, time_point now) {
    auto due = path.take_datagram(what.what.size(), now, *dice_);
    if (!due)
      return;
    if (*due <= now)
      send(what);
    else if (waiting_.size() < max_waiting)
      waiting_.emplace(*due, std::move(what));
  }

  void pass_on(time_point now) {
    while (!waiting_.empty() && waiting_.begin()->first <= now)
      send(waiting_.extract(waiting_.begin()).mapped());
  }

  /// Drops it if the path was cut meanwhile.
  void send(const parcel& which) {
    auto found = senders_.find(which.sender);
    if (found == senders_.end())
      return;
    auto& [where, outlet, there, back, last_use] = found->second;
    auto& path = which.is_answer ? *back : *there;
    if (path.how.cut)
      return;
    auto done = which.is_answer ? front_.send(where, which.what) : outlet.send(target_, which.what);
    if (done != net::datagram_socket::outcome::sent)
      return;
    path.passed_bytes += which.what.size();
    ++path.passed_datagrams;
  }

  std::string host_;
  net::endpoint target_;
  net::datagram_socket front_;
  lanes* paths_;
  random_source* dice_;
  senders_by_address senders_;
  std::uint64_t uses_ = 0;
  std::multimap<time_point, parcel> waiting_;
};

} // namespace troupe::testing::detail
