#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <poll.h>

#include "troupe/cluster/sealed_swim.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/datagram_socket.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/job_queue.hpp"
#include "troupe/net/resolver.hpp"
#include "troupe/security/key_pair.hpp"

namespace troupe::cluster {

/// Runs the sealed_swim of a node on a thread of its own, between its sockets for datagrams and its
/// deadlines: so a node whose other threads are busy still answers. What goes over links is told
/// to the owner.
///
/// Thread-safe. The destructor tells nobody anything; stop() does.
class swim_thread {
public:
  /// Called on the thread with all that is not about datagrams, signatures and sockets. Must not
  /// block.
  using teller = std::function<void(sealed_swim::effect&)>;

  /// `sockets` are open. The node says of itself that it is at `address`.
  swim_thread(sealed_swim_setup how, std::uint64_t seed, security::key_pair key,
              std::vector<net::datagram_socket> sockets, std::string address, teller tell)
    : key_(std::move(key)),
      sockets_(std::move(sockets)),
      tell_(std::move(tell)),
      machine_(std::move(how), seed) {
    for (auto& each : sockets_)
      families_.push_back(each.local().family());
    post(swim::begin{std::move(address)});
    thread_ = std::thread{[this] { run(); }};
  }

  swim_thread(const swim_thread&) = delete;
  swim_thread& operator=(const swim_thread&) = delete;

  ~swim_thread() {
    end();
    thread_.join();
  }

  /// Dropped once it is stopped.
  void post(sealed_swim::event what) {
    jobs_->post([this, what = std::move(what)]() mutable { step(std::move(what)); });
  }

  /// Calls `use` on the thread, and not at all once it is stopped.
  void ask(std::function<void(const sealed_swim&)> use) {
    jobs_->post([this, use = std::move(use)] { use(machine_); });
  }

  /// Says to others that this node goes, and takes part no more.
  void stop() {
    post(swim::leave{});
    jobs_->post([this] { tick(); });
    end();
  }

private:
  /// Datagrams of one turn, so that nothing else waits for long.
  static constexpr int max_at_once = 64;
  /// Addresses that are remembered in the kernel's form.
  static constexpr std::size_t max_places = 20'000;

  static time_point now() {
    return time_point{std::chrono::steady_clock::now().time_since_epoch()};
  }

  void end() {
    jobs_->post([this] { is_ending_ = true; });
  }

  void run() {
    std::vector<pollfd> polled;
    for (;;) {
      polled.assign({{jobs_->descriptor(), POLLIN, 0}});
      for (auto& each : sockets_)
        polled.push_back({each.descriptor(), POLLIN, 0});
      ::poll(polled.data(), polled.size(), patience());
      for (auto& each : jobs_->take())
        each();
      if (is_ending_) {
        jobs_->close();
        return;
      }
      for (auto& each : sockets_)
        read(each);
      if (auto next = machine_.next_deadline(); next && *next <= now())
        tick();
    }
  }

  /// In milliseconds, rounded up: a deadline has passed when it wakes.
  [[nodiscard]] int patience() const {
    auto next = machine_.next_deadline();
    if (!next)
      return -1;
    constexpr std::int64_t longest = 60'000;
    auto rest = std::chrono::ceil<std::chrono::milliseconds>(*next - now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(rest, 0, longest));
  }

  void read(net::datagram_socket& from) {
    for (auto rest = max_at_once; rest > 0; --rest) {
      auto got = from.receive();
      if (!got)
        return;
      reply_
        = [&from, where = got->from](const std::string& what) { (void)from.send(where, what); };
      step(sealed_swim::arrived{std::move(got->what)});
      reply_ = nullptr;
    }
  }

  void step(sealed_swim::event what) {
    sealed_swim::effects out;
    machine_.step(now(), 0, std::move(what), out);
    perform(out);
  }

  void tick() {
    sealed_swim::effects out;
    machine_.tick(now(), out);
    perform(out);
  }

  void perform(sealed_swim::effects& out) {
    for (auto& each : out)
      std::visit(
        [&](auto& what) {
          using effect = std::decay_t<decltype(what)>;
          if constexpr (
            std::is_same_v<
              effect,
              sealed_swim::
                send> || std::is_same_v<effect, sealed_swim::reply> || std::is_same_v<effect, swim::sign>)
            carry_out(what);
          else
            tell_(each);
        },
        each);
  }

  void carry_out(const sealed_swim::reply& what) {
    if (reply_)
      reply_(what.datagram);
  }

  void carry_out(const swim::sign& what) {
    step(swim::stated{{what.what, key_.sign(to_be_signed(what.what))}});
  }

  void carry_out(const sealed_swim::send& what) {
    auto found = places_.find(what.address);
    if (found == places_.end()) {
      look_up(what.address);
      found = places_.find(what.address);
    }
    if (found == places_.end() || !found->second)
      return; // as if it were lost
    for (std::size_t each = 0; each < sockets_.size(); ++each)
      if (families_[each] == found->second->family()) {
        if (sockets_[each].send(*found->second, what.datagram)
            != net::datagram_socket::outcome::sent)
          post(swim::not_sent{what.to});
        return;
      }
  }

  /// At once for a number; the datagrams to a name are lost until there is an answer.
  void look_up(const std::string& address) {
    if (places_.size() >= max_places)
      places_.clear();
    auto where = net::address::from_string(address);
    auto& place = places_[address]; // asked for once at a time
    if (!where)
      return;
    if (auto number = net::resolve_number(*where)) {
      place = choose(*number);
      return;
    }
    resolver_.find(*where, [this, address, jobs = jobs_](const net::resolver::endpoints& found) {
      jobs->post([this, address, found] {
        if (found)
          places_[address] = choose(*found);
        else
          places_.erase(address); // asked for again with the next datagram
      });
    });
  }

  /// The first for which there is a socket.
  [[nodiscard]] std::optional<net::endpoint> choose(const std::vector<net::endpoint>& all) const {
    for (auto& each : all)
      if (std::ranges::find(families_, each.family()) != families_.end())
        return each;
    return std::nullopt;
  }

  const security::key_pair key_;
  std::vector<net::datagram_socket> sockets_;
  std::vector<int> families_;
  const teller tell_;
  sealed_swim machine_;
  /// In the kernel's form; nothing while a name is looked up, or if it is of no use.
  std::map<std::string, std::optional<net::endpoint>> places_;
  net::resolver resolver_;
  /// Of the datagram that is being read.
  std::function<void(const std::string&)> reply_;
  /// Lookups may outlive this.
  const std::shared_ptr<net::job_queue> jobs_ = std::make_shared<net::job_queue>();
  bool is_ending_ = false;
  std::thread thread_;
};

} // namespace troupe::cluster
