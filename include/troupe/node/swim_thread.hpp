#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <poll.h>

#include "troupe/cluster/datagram_log.hpp"
#include "troupe/cluster/sealed_swim.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/datagram_socket.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/job_queue.hpp"
#include "troupe/net/resolver.hpp"
#include "troupe/platform/thread_name.hpp"
#include "troupe/security/datagram_book.hpp"
#include "troupe/security/key_pair.hpp"

namespace troupe::cluster {

/// Runs the sealed_swim of a node on a thread of its own, between its sockets for datagrams and its
/// deadlines: so a node whose other threads are busy still answers. What goes over links is told
/// to the owner.
///
/// Thread-safe. The destructor tells nobody anything; stop() does.
class swim_thread {
public:
  /// Called on the thread with all that is not about datagrams, signatures and sockets: with what
  /// has come of one turn of the thread, in its order, never empty. Must not block.
  using teller = std::function<void(sealed_swim::effects)>;
  /// Called on the thread with datagrams that were dropped, once a second at most. Must not block.
  using drop_teller = std::function<void(const datagram_log::report&)>;

  /// `sockets` are open. The node says of itself that it is at `address`.
  swim_thread(sealed_swim_setup how, std::uint64_t seed, security::key_pair key,
              std::vector<net::datagram_socket> sockets, std::string address, teller tell,
              drop_teller tell_drops)
    : key_(std::move(key)),
      sockets_(std::move(sockets)),
      tell_(std::move(tell)),
      tell_drops_(std::move(tell_drops)),
      address_(std::move(address)),
      machine_(std::in_place, std::move(how), seed) {
    for (auto& each : sockets_)
      families_.push_back(each.local().family());
    thread_ = std::thread{[this] {
      name_this_thread("troupe.swim");
      run();
    }};
  }

  swim_thread(const swim_thread&) = delete;
  swim_thread& operator=(const swim_thread&) = delete;

  ~swim_thread() {
    end();
    thread_.join();
  }

  /// The node says from here on that it is there.
  void begin() {
    post(swim::begin{address_});
  }

  /// Dropped once it is stopped.
  void post(sealed_swim::event what) {
    jobs_->post([this, what = std::move(what)]() mutable { step(std::move(what)); });
  }

  /// Calls `use` on the thread once all is told that has come before, and not at all once it is
  /// stopped.
  void ask(std::function<void(sealed_swim&)> use) {
    jobs_->post([this, use = std::move(use)] {
      tell();
      use(*machine_);
    });
  }

  /// The node goes on as a later life, and knows nobody.
  void go_on_as(sealed_swim_setup how, std::uint64_t seed) {
    jobs_->post([this, how = std::move(how), seed]() mutable {
      before_ = dropped_by_life();
      machine_.emplace(std::move(how), seed);
      step(swim::begin{address_});
    });
  }

  /// Why this node cannot send datagrams to that one at all; empty: it can, as far as is known.
  [[nodiscard]] std::string no_way_to(const node_id& which) const {
    std::lock_guard guard{mutex_};
    auto found = no_way_.find(which);
    return found != no_way_.end() ? found->second : std::string{};
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
  /// After this a name is looked up again, as its node may have moved; and after a failure.
  static constexpr duration name_lasts = std::chrono::minutes{1};
  static constexpr duration look_up_again = std::chrono::seconds{1};

  struct place {
    /// In the kernel's form; nothing until a name was looked up, or if it is of no use.
    std::optional<net::endpoint> where{};
    /// Why it is of no use.
    std::string refusal{};
    /// When to look up the name; nothing: never, or it is under way.
    std::optional<time_point> next{};
  };

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
        tell();
        if (drops_.next_deadline())
          look_at_drops();
        jobs_->close();
        return;
      }
      for (auto& each : sockets_)
        read(each);
      if (auto next = machine_->next_deadline(); next && *next <= now())
        tick();
      if (auto next = drops_.next_deadline(); next && *next <= now())
        look_at_drops();
      tell();
    }
  }

  /// In one piece, as each piece wakes the owner.
  void tell() {
    if (!untold_.empty())
      tell_(std::exchange(untold_, {}));
  }

  /// In milliseconds, rounded up: a deadline has passed when it wakes.
  [[nodiscard]] int patience() const {
    // Without a descriptor nobody can wake it for a job.
    const std::int64_t longest = jobs_->usable() ? 60'000 : 100;
    auto next = std::min(machine_->next_deadline().value_or(time_point::max()),
                         drops_.next_deadline().value_or(time_point::max()));
    if (next == time_point::max())
      return static_cast<int>(longest);
    auto rest = std::chrono::ceil<std::chrono::milliseconds>(next - now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(rest, 0, longest));
  }

  void read(net::datagram_socket& from) {
    for (auto rest = max_at_once; rest > 0; --rest) {
      auto dropped = from.dropped();
      auto got = from.receive();
      if (from.dropped() != dropped)
        note_drop_by(from);
      if (!got)
        return;
      auto before = machine_->dropped();
      reply_
        = [&from, where = got->from](const std::string& what) { (void)from.send(where, what); };
      step(sealed_swim::arrived{std::move(got->what)});
      reply_ = nullptr;
      if (machine_->dropped() != before)
        note_drop(before, got->from);
    }
  }

  void note_drop_by(const net::datagram_socket& which) {
    for (std::size_t each = 0; each < senders_.size(); ++each)
      if (datagram_log::kinds[each].count == &datagram_log::counts::foreign)
        senders_[each] = which.dropped_from();
    drops_.note(now());
  }

  void note_drop(const security::datagram_book::counts& before, const net::endpoint& sender) {
    auto& counted = machine_->dropped();
    for (std::size_t each = 0; each < senders_.size(); ++each)
      if (auto what = datagram_log::kinds[each].count; counted.*what != before.*what)
        senders_[each] = sender;
    drops_.note(now());
  }

  /// By all lives of the machine.
  [[nodiscard]] security::datagram_book::counts dropped_by_life() const {
    auto all = before_;
    for (auto& each : datagram_log::kinds)
      all.*each.count += machine_->dropped().*each.count;
    return all;
  }

  void look_at_drops() {
    auto all = dropped_by_life();
    for (auto& each : sockets_)
      all.foreign += each.dropped();
    std::array<std::string, datagram_log::kinds.size()> senders;
    for (std::size_t each = 0; each < senders.size(); ++each)
      if (senders_[each])
        senders[each] = to_string(*senders_[each]);
    tell_drops_(drops_.look(now(), all, senders));
  }

  void step(sealed_swim::event what) {
    sealed_swim::effects out;
    machine_->step(now(), 0, std::move(what), out);
    perform(out);
  }

  void tick() {
    sealed_swim::effects out;
    machine_->tick(now(), out);
    perform(out);
  }

  void perform(sealed_swim::effects& out) {
    for (auto& each : out)
      troupe::visit(
        [&](auto& what) {
          using effect = std::decay_t<decltype(what)>;
          if constexpr (
            std::is_same_v<
              effect,
              sealed_swim::
                send> || std::is_same_v<effect, sealed_swim::reply> || std::is_same_v<effect, swim::sign>)
            carry_out(what);
          else
            untold_.push_back(std::move(each));
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
    auto is_due = found == places_.end() || (found->second.next && *found->second.next <= now());
    auto where = is_due ? look_up(what.address) : found->second.where;
    note_way(what.to, where ? std::string{} : places_[what.address].refusal);
    if (!where)
      return; // as if it were lost
    for (std::size_t each = 0; each < sockets_.size(); ++each)
      if (families_[each] == where->family()) {
        if (sockets_[each].send(*where, what.datagram) != net::datagram_socket::outcome::sent)
          post(swim::not_sent{what.to});
        return;
      }
  }

  /// At once for a number. Datagrams to a name go where it was before, or are lost, until there is
  /// an answer.
  std::optional<net::endpoint> look_up(const std::string& address) {
    if (places_.size() >= max_places && !places_.contains(address))
      places_.clear();
    auto& known = places_[address];
    known.next.reset(); // asked for once at a time
    auto where = net::address::from_string(address);
    if (!where)
      return std::nullopt;
    if (auto number = net::resolve_number(*where))
      return take(known, *number, address);
    auto before = known.where;
    resolver_.find(*where, [this, address, jobs = jobs_](const net::resolver::endpoints& found) {
      jobs->post([this, address, found] {
        auto& each = places_[address];
        if (found)
          take(each, *found, address);
        each.next = now() + (found ? name_lasts : look_up_again);
      });
    });
    return before;
  }

  std::optional<net::endpoint> take(place& known, const std::vector<net::endpoint>& found,
                                    const std::string& address) const {
    known.where = net::choose(families_, found);
    known.refusal = net::refuse_family(families_, found, address);
    return known.where;
  }

  void note_way(const node_id& to, const std::string& refusal) {
    std::lock_guard guard{mutex_};
    if (refusal.empty())
      no_way_.erase(to);
    else if (no_way_.size() < max_places)
      no_way_[to] = refusal;
  }

  const security::key_pair key_;
  std::vector<net::datagram_socket> sockets_;
  std::vector<int> families_;
  const teller tell_;
  const drop_teller tell_drops_;
  const std::string address_;
  std::optional<sealed_swim> machine_; // there is always one
  /// Dropped by earlier lives of it.
  security::datagram_book::counts before_;
  datagram_log drops_;
  /// Of each kind, from where the last one came that was dropped.
  std::array<std::optional<net::endpoint>, datagram_log::kinds.size()> senders_;
  std::map<std::string, place> places_;
  mutable std::mutex mutex_;
  std::map<node_id, std::string> no_way_; // by mutex_
  net::resolver resolver_;
  /// Of the datagram that is being read.
  std::function<void(const std::string&)> reply_;
  /// Lookups may outlive this.
  const std::shared_ptr<net::job_queue> jobs_ = std::make_shared<net::job_queue>();
  /// What has come of this turn, for the owner.
  sealed_swim::effects untold_;
  bool is_ending_ = false;
  std::thread thread_;
};

} // namespace troupe::cluster
