#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/cluster/dial_list.hpp"
#include "troupe/cluster/finder_requests.hpp"
#include "troupe/cluster/finder_types.hpp"
#include "troupe/cluster/service_addresses.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/types.hpp"

namespace troupe::cluster {

/// One search for the services of a cluster: dials one node after the other until one answers, and
/// goes where that points. Part of `finder`.
///
/// - A node that has shown the way, or that there is none yet, is asked again when its way leads
///   nowhere; who only has news, again and again, is left for the next.
/// - A node that has not said in time that it is there is silent: it is passed over until other
///   ways have failed for a while.
/// - Where a node keeps to its word that the services are at another, which this one does not
///   reach, it is asked to relay the connection: it may reach that one itself. If it does not, the
///   next node that says the same is asked to relay at once; where the services are is not dialled
///   until other ways have failed for a while.
///
/// Not thread-safe. Cost of a call: O(dials).
class service_search {
public:
  using effects = finder_effects::effects;

  enum class stage : std::uint8_t {
    idle,
    dialling,
    /// A node for the services.
    asking,
    /// For a node that does not know the way yet.
    waiting,
    /// For a link to the services that the node relays that has named them.
    relaying,
    pausing
  };

  /// A node that has said where the services are, or that it does not know; and how often it had
  /// changed its mind. No link: there is none.
  struct sign {
    net::connection_id link = 0;
    net::address where{};
    std::uint64_t revision = 0;
  };

  /// `seed` is that of the back-off's jitter.
  /// @pre the first three outlive this
  service_search(const finder_options& options, const service_addresses& addresses,
                 finder_requests& requests, std::uint64_t seed)
    : options_(options), addresses_(addresses), requests_(requests), random_(seed) {}

  service_search(const service_search&) = delete;
  service_search& operator=(const service_search&) = delete;

  // -- how it stands -----------------------------------------------------------------------

  [[nodiscard]] stage at() const {
    return at_;
  }

  [[nodiscard]] bool is_idle() const {
    return at_ == stage::idle;
  }

  [[nodiscard]] bool dials(const net::address& where) const {
    return at_ == stage::dialling && question_.where == where;
  }

  /// What it asks, dials, or pauses for.
  [[nodiscard]] const inquiry& question() const {
    return question_;
  }

  /// The node that has shown the way to the next.
  [[nodiscard]] const sign& shown_by() const {
    return sign_;
  }

  /// Where the services were and nobody answered.
  [[nodiscard]] const std::optional<net::address>& silent() const {
    return silent_;
  }

  [[nodiscard]] bool is_due(time_point now) const {
    return at_ != stage::idle && question_.is_due(now);
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return at_ != stage::idle ? std::optional{question_.due} : std::nullopt;
  }

  // -- beginning and end -------------------------------------------------------------------

  /// Begins with `first`, or with the next node.
  void begin(time_point now, const std::optional<net::address>& first, effects& out) {
    end();
    if (was_found_ && !lost_at_)
      lost_at_ = now;
    if (first)
      dial(now, *first, out);
    else
      dial_next(now, out);
  }

  void end() {
    move_to(stage::idle, {});
    sign_ = {};
    hops_ = 0;
  }

  /// It has found the services.
  void succeed() {
    end();
    was_found_ = true;
    lost_at_.reset();
    failures_ = 0;
    silent_.reset();
    unreached_.reset();
  }

  /// Nobody answers there.
  void is_silent(const net::address& where) {
    silent_ = where;
  }

  /// The node that was asked keeps to its word: the services are `there`, where this one has
  /// failed.
  void try_relay(time_point now, const net::address& by, const net::address& there, effects& out) {
    if (planted_flaw == flaw::relay_overlooked)
      return again(now, {errc::unreachable, to_string(there) + " is not reached"}, out);
    unreached_ = there;
    move_to(stage::relaying, {.where = there, .due = now + relay_within});
    relay_ = {requests_.dial_through(by, there, out), by, there};
  }

  /// Returns where that dial leads, if it was the last one through another node.
  std::optional<net::address> take_relay(request_id id) {
    if (id == 0 || relay_.dial != id)
      return std::nullopt;
    relay_.dial = 0;
    return relay_.to;
  }

  /// Whom it has last asked to relay.
  [[nodiscard]] const net::address& relayed_by() const {
    return relay_.by;
  }

  void drop_sign_over(net::connection_id link) {
    if (sign_.link == link)
      sign_ = {};
  }

  // -- dials -------------------------------------------------------------------------------

  void dial_next(time_point now, effects& out) {
    hops_ = 0;
    auto& all = addresses_.all();
    if (all.empty())
      return move_to(stage::idle, {});
    auto next = [&] { return all[next_address_++ % all.size()]; };
    auto where = next();
    for (auto passed = all.size(); passed > 1 && (where == silent_ || where == unreached_);
         --passed)
      where = next();
    dial(now, where, out);
  }

  /// The dial of this search has taken too long. Returns why that may be.
  problem give_up_dial() {
    auto* late = requests_.dials().find(question_.where);
    late->is_late = true;
    if (late->is_resolved)
      return finder_requests::no_answer(question_.where);
    return {errc::unreachable, to_string(question_.where)
                                 + ": its name is not found yet; check that name servers "
                                   "answer, or give its IP address"};
  }

  /// Returns why a dial has failed: a node that the search has once given up waiting for was
  /// silent.
  static problem failure_of(const dial_list::dial& how, problem why) {
    if (how.is_late && how.is_resolved && why.code == errc::unreachable)
      why.code = errc::timed_out;
    return why;
  }

  /// A link that the search has not waited for.
  void take_late(time_point now, net::connection_id link, const net::address& where, effects& out) {
    hops_ = 0;
    sign_ = {};
    ask(now, link, where, out);
  }

  // -- questions ---------------------------------------------------------------------------

  void ask(time_point now, net::connection_id link, const net::address& where, effects& out) {
    move_to(stage::asking,
            requests_.ask(now, link, where, 0, {}, finder_requests::answer_within, out));
  }

  /// Its question is answered, or will not be. Returns it and at which stage it was.
  std::pair<stage, inquiry> end_question() {
    return {std::exchange(at_, stage::pausing), std::exchange(question_, {})};
  }

  /// That node says that the services are `there`; none: it does not know.
  void follow(time_point now, const sign& from, const std::optional<net::address>& there,
              effects& out) {
    if (there && there == unreached_ && there != from.where)
      return try_relay(now, from.where, *there, out);
    auto is_too_far = ++hops_ > max_hops;
    if (is_too_far)
      sign_ = {};
    else if (there != from.where)
      sign_ = from; // it may soon know better, see again()
    if (!there || there == from.where || there == silent_ || is_too_far)
      return again(now, {errc::unreachable, to_string(from.where) + why_not(there)}, out);
    dial(now, *there, out);
  }

  /// This way has failed: waits for the node that has shown it, or pauses.
  void again(time_point now, const problem& why, effects& out) {
    out.emplace_back(finder_effects::failed{why, !lost_at_ || now - *lost_at_ >= passing_within});
    if (auto from = std::exchange(sign_, {}); from.link != 0)
      return move_to(stage::waiting,
                     requests_.ask(now, from.link, from.where, from.revision, options_.check_every,
                                   options_.check_every + finder_requests::answer_within, out));
    if (failures_ >= slow_after) { // it may only have been slow
      silent_.reset();
      unreached_.reset();
    }
    failures_ = std::min(failures_ + 1, max_failures);
    move_to(stage::pausing, {.due = now + options_.retry.delay(failures_, random_)});
  }

  /// What is wrong with its state, in words; empty if all is well. `is_up`: whether a link is.
  template <class IsUp>
  [[nodiscard]] std::vector<std::string> flaws(IsUp is_up) const {
    std::vector<std::string> found;
    auto expect = [&found](bool holds, const char* what) {
      if (!holds)
        found.emplace_back(what);
    };
    auto asks = at_ == stage::asking || at_ == stage::waiting;
    expect(!asks || (question_.asked != 0 && is_up(question_.link)),
           "the search asks over a link that is down");
    expect(asks || question_.asked == 0, "a question is open that no search asks");
    expect(at_ != stage::dialling || requests_.is_dialling(question_.where),
           "the search waits for a dial that is not under way");
    expect(at_ != stage::relaying || relay_.dial != 0, "the search waits for no relay");
    expect(sign_.link == 0 || is_up(sign_.link), "the way leads over a link that is down");
    return found;
  }

private:
  void move_to(stage next, inquiry question) {
    at_ = next;
    question_ = std::move(question);
  }

  /// What a node that was asked says of the way, and why this one does not go there.
  [[nodiscard]] std::string why_not(const std::optional<net::address>& there) const {
    if (!there || there != silent_)
      return " does not know where the services are";
    return " says that the services are at " + to_string(*there)
           + ", which does not answer this node; if that lasts, repair the network between the two";
  }

  /// The search waits for it less long than a dial may take.
  void dial(time_point now, const net::address& where, effects& out) {
    move_to(stage::dialling, {.where = where, .due = now + options_.dial_next_after});
    auto* begun = requests_.dial(now, where, out);
    if (begun == nullptr)
      return again(now,
                   {errc::limit_reached, to_string(where)
                                           + " is not dialled: too many nodes are being dialled; "
                                             "check that their addresses are right"},
                   out);
    begun->is_for_search = true;
  }

  /// The last dial through another node; zero: it has ended.
  struct relay {
    request_id dial = 0;
    net::address by{};
    net::address to{};
  };

  /// So long the services may be on their way to another leader.
  static constexpr duration passing_within = std::chrono::seconds{2};
  /// Two handshakes and two greetings, each with a time-out of its own.
  static constexpr duration relay_within = std::chrono::seconds{4};
  /// Failures in turn, some 2 s, until a silent node is asked again.
  static constexpr std::uint32_t slow_after = 4;
  static constexpr std::uint32_t max_failures = 10; // the delay has reached its maximum by then
  /// Answers that lead no further or to others, without a pause between.
  static constexpr std::size_t max_hops = 3;

  const finder_options& options_;
  const service_addresses& addresses_;
  finder_requests& requests_;
  random_source random_;
  stage at_ = stage::idle;
  inquiry question_;
  sign sign_;
  std::size_t hops_ = 0;
  std::size_t next_address_ = 0;
  std::uint32_t failures_ = 0;
  bool was_found_ = false;
  /// When the search for what was found before began.
  std::optional<time_point> lost_at_;
  std::optional<net::address> silent_;
  /// Where the services are, and no dial of this process has led.
  std::optional<net::address> unreached_;
  relay relay_;
};

} // namespace troupe::cluster
