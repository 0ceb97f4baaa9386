#include "troupe/cluster/singleton_core.hpp" // the header under test

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "support/seeds.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/lock/lock_table.hpp"

namespace singleton_core_property {

using namespace std::literals;
using namespace troupe;
using core = cluster::singleton_core;

namespace {

constexpr duration ttl = 10s;
constexpr duration margin = 1s;

/// Three nodes that offer one singleton, and the table that grants its lock. Messages between them
/// take their time or are lost, agents end by themselves and take their time to end, though less
/// than the margin, and offers are withdrawn. Leases are kept as lock::auto_renew_lock does.
class offering_nodes {
public:
  explicit offering_nodes(random_source random) : random_(random) {
    lock::effects out;
    table_.step(now_, 1, lock::configure{}, out);
    for (auto& each : nodes_)
      step(each, core::offer{});
  }

  void run() {
    for (auto until = now_ + 10min; now_ < until;) {
      now_ += duration{std::chrono::milliseconds{1 + random_.below(50)}};
      if (random_.below(200) == 0)
        any().is_cut = random_.below(2) == 0;
      if (auto& each = any(); each.run != 0 && each.is_known && random_.below(500) == 0)
        end(each);
      if (auto& each = any(); random_.below(4'000) == 0)
        step(each, core::withdraw_offer{});
      go_on();
    }
    settle();
  }

private:
  struct node {
    core it{"report", margin, 1};
    bool is_cut = false;
    bool is_over = false;
    /// The agent that runs, whether it is known, and when it ends.
    request_id run = 0;
    bool is_known = false;
    time_point ends = time_point::max();
    /// The turn for which it has the lock, or waits for it, until when that counts, and when it is
    /// renewed.
    request_id turn = 0;
    request_id asked = 0;
    lock::fencing_token token{};
    time_point sent{};
    time_point valid_until{};
    time_point renew_at{};
    bool has_lock = false;
  };

  node& any() {
    return nodes_.at(random_.below(nodes_.size()));
  }

  void step(node& each, core::event what, request_id id = 0) {
    core::effects out;
    each.it.step(now_, id, std::move(what), out);
    carry_out(each, out);
  }

  void carry_out(node& each, core::effects& out) {
    for (auto& what : out)
      troupe::visit([&](auto& one) { perform(each, one); }, what);
  }

  void perform(node& each, core::take& what) {
    REQUIRE(each.run == 0);
    REQUIRE_FALSE(each.has_lock);
    each.turn = what.id;
    each.asked = ++last_request_;
    each.sent = now_;
    askers_[each.asked] = {&each, what.id};
    send(each, lock::acquire{"report", std::to_string(each.asked), ttl, 20s});
  }

  void perform(node& each, core::start& what) {
    REQUIRE(each.run == 0);
    REQUIRE(each.has_lock);
    REQUIRE(what.token == each.token.value);
    each.run = what.id;
    each.is_known = false;
    for (auto& other : nodes_)
      CHECK((&other == &each || other.run == 0)); // one at a time
    CHECK(what.token > last_token_);
    last_token_ = what.token;
    later(random_.below(300) * 1ms, [this, &each, id = what.id] {
      if (each.run != id)
        return;
      if (random_.below(10) == 0)
        return step(each, core::started{{errc::name_taken, "taken"}}, id);
      each.is_known = true;
      step(each, core::started{}, id);
    });
  }

  void perform(node& each, core::stop&) {
    REQUIRE(each.run != 0);
    each.ends = now_ + random_.below(950) * 1ms;
  }

  void perform(node& each, core::give_back&) {
    if (each.has_lock)
      send(each, lock::release{"report", each.token});
    each.has_lock = false;
    each.turn = 0;
  }

  void perform(node& each, core::over&) {
    CHECK(each.run == 0);
    CHECK_FALSE(std::exchange(each.is_over, true));
  }

  void perform(node&, core::inform&) {}
  void perform(node&, core::settle&) {}
  void perform(node&, core::complain&) {}

  void perform(node&, core::warn& what) {
    FAIL_CHECK(what.text); // all end in time
  }

  // -- the agents ------------------------------------------------------------------------------

  void end(node& each) {
    each.ends = time_point::max();
    auto id = std::exchange(each.run, 0);
    step(each, core::ended{}, id);
  }

  // -- the lock --------------------------------------------------------------------------------

  /// Lost where the node is cut.
  void send(node& from, lock::event what, request_id id = 0) {
    if (from.is_cut)
      return;
    auto number = id != 0 ? id : from.asked;
    later(random_.below(100) * 1ms, [this, what = std::move(what), number]() mutable {
      lock::effects out;
      table_.step(now_, number, std::move(what), out);
      answer(out);
    });
  }

  void answer(lock::effects& out) {
    for (auto& each : out)
      troupe::visit(overloaded{[this](lock::accepted& what) {
                                 reply(what.id,
                                       [this, lease = what.value](node& to, request_id turn) {
                                         granted(to, turn, lease);
                                       });
                               },
                               [this](lock::refused& what) {
                                 reply(what.id, [this, why = what.why](node& to, request_id turn) {
                                   refused(to, turn, why);
                                 });
                               },
                               [](auto&) {}},
                    each);
  }

  template <class Handler>
  void reply(request_id id, Handler handler) {
    auto found = askers_.find(id);
    if (found == askers_.end() || found->second.first->is_cut)
      return;
    later(random_.below(100) * 1ms,
          [handler, to = found->second]() mutable { handler(*to.first, to.second); });
  }

  /// The first answer only shows that it is its turn: it may have waited for long.
  void granted(node& to, request_id turn, const lock::lease& what) {
    if (to.turn != turn) {
      lock::effects out;
      table_.step(now_, ++last_request_, lock::release{"report", what.token}, out);
      return answer(out);
    }
    if (!to.has_lock && to.token != what.token) {
      to.token = what.token;
      return renew(to);
    }
    if (to.token != what.token)
      return;
    to.valid_until = to.sent + ttl - margin;
    if (to.has_lock)
      return;
    if (random_.below(20) == 0) // its process was stopped in between
      step(to, core::lost{{errc::stale_token, "it is over"}}, turn);
    else
      to.has_lock = true;
    step(to, core::held{what.token.value}, turn);
  }

  void refused(node& to, request_id turn, const problem& why) {
    if (to.turn != turn)
      return;
    if (to.has_lock)
      return lose(to);
    step(to, core::not_held{why}, turn);
  }

  void renew(node& each) {
    each.sent = now_;
    each.renew_at = now_ + ttl / 3;
    auto id = ++last_request_;
    askers_[id] = {&each, each.turn};
    send(each, lock::renew{"report", each.token, ttl}, id);
  }

  void lose(node& each) {
    each.has_lock = false;
    step(each, core::lost{{errc::stale_token, "it is over"}}, each.turn);
  }

  // -- time ------------------------------------------------------------------------------------

  void later(duration when, std::function<void()> what) {
    due_.emplace(now_ + when, std::move(what));
  }

  void go_on() {
    lock::effects out;
    table_.tick(now_, out);
    answer(out);
    for (auto& each : nodes_) {
      if (each.ends <= now_)
        end(each);
      if (each.has_lock && each.valid_until <= now_)
        lose(each);
      else if (each.has_lock && each.renew_at <= now_)
        renew(each);
      // Nobody answers.
      if (!each.has_lock && each.turn != 0 && each.run == 0 && each.sent + 30s <= now_
          && !each.is_over)
        step(each, core::not_held{{errc::timed_out, "no answer"}}, each.turn);
      core::effects made;
      if (auto due = each.it.next_deadline(); due && *due <= now_)
        each.it.tick(now_, made);
      carry_out(each, made);
    }
    while (!due_.empty() && due_.begin()->first <= now_) {
      auto next = due_.extract(due_.begin());
      next.mapped()();
    }
  }

  /// Nobody is cut: the singleton runs, unless all offers are withdrawn.
  void settle() {
    auto is_offered = false;
    for (auto& each : nodes_) {
      each.is_cut = false;
      is_offered = is_offered || !each.is_over;
    }
    for (auto until = now_ + 2min; now_ < until; now_ += 10ms)
      go_on();
    auto runs = std::ranges::count_if(nodes_, [](auto& each) { return each.it.is_running(); });
    CHECK(runs == (is_offered ? 1 : 0));
  }

  random_source random_;
  time_point now_{1h};
  lock::lock_table table_;
  std::array<node, 3> nodes_;
  std::multimap<time_point, std::function<void()>> due_;
  std::map<request_id, std::pair<node*, request_id>> askers_;
  request_id last_request_ = 1;
  std::uint64_t last_token_ = 0;
};

} // namespace

TEST_CASE("at most one node runs a singleton, and one does as long as it is offered",
          "[node][singleton][property]") {
  test::for_each_seed(test::simulated_worlds,
                      [](random_source random) { offering_nodes{random}.run(); });
}

} // namespace singleton_core_property
