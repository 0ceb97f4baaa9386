// What must hold of the inboxes of a node on every schedule, judged by a witness that sees calls
// and effects only.

#include "troupe/router/agent_inbox.hpp"
#include "support/seeds.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace agent_inbox_property {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

using inbox = agent_inbox<int>;

constexpr std::size_t room_bytes = 3'000;
constexpr std::size_t largest = 400;

/// Agents of one node with small inboxes; those who hand over may be interrupted anywhere.
class world {
public:
  explicit world(random_source random) : random_(random) {
    for (auto number = 0; number < 3; ++number)
      add(number);
  }

  void run(std::size_t steps) {
    for (std::size_t step = 0; step < steps; ++step)
      take_step();
    for (auto& [name, it] : agents_)
      settle(it);
  }

  /// The first law that was broken; empty: none.
  [[nodiscard]] const std::string& broken() const {
    return broken_;
  }

  [[nodiscard]] std::map<std::string, std::size_t> seen() const {
    return seen_;
  }

private:
  struct message {
    std::size_t bytes = 0;
    std::optional<time_point> expires_at{};
    bool is_taken = false;
    bool ended = false;
    std::string tenant{};
    /// It waits in the inbox.
    bool waits = false;
  };

  struct agent {
    agent(const inbox_options& with, inbox_room& all)
      : how(with), box(std::make_unique<inbox>(with, all)) {}

    inbox_options how;
    std::unique_ptr<inbox> box;
    /// On their way, in order, with a place.
    std::deque<int> coming{};
    /// What a thread has yet to hand over.
    std::deque<inbox::effects> to_do{};
    /// In the mailbox: how much each counts, and whether a sign is wanted behind it.
    std::deque<std::pair<std::size_t, bool>> mailbox{};
    std::map<int, message> messages{};
    /// Of each tenant.
    std::map<std::string, int> last_handed{};
    /// How much of others has gone since something of it has, and it has waited.
    std::map<std::string, std::size_t> passed_by{};
    /// In the inbox, of each tenant.
    std::map<std::string, std::size_t> waiting{};
    std::size_t awaited = 0;
  };

  void add(int name) {
    inbox_options how{.max_messages = random_.below(40), .max_bytes = random_.below(1'500)};
    if (random_.below(2) == 0)
      how.full = when_full::drop_oldest;
    how.tenants = {{"a", 1 + static_cast<std::uint32_t>(random_.below(4))}, {"b", 2}};
    agents_.emplace(name, agent{how, all_});
  }

  void take_step() {
    auto& it = agents_.at(static_cast<int>(random_.below(3)));
    now_ += std::chrono::milliseconds{static_cast<std::int64_t>(random_.below(3))};
    switch (random_.below(12)) {
      case 0:
      case 1:
        take(it);
        break;
      case 2:
        if (!it.coming.empty())
          come(it, it.coming.front(), true);
        break;
      case 3:
      case 4:
      case 5:
        // One sender is as good as many, as each brings its messages in order: but those on their
        // way are before it.
        while (!it.coming.empty())
          come(it, it.coming.front(), true);
        come(it, made(it, random_.below(largest), false, any_tenant()), false);
        break;
      case 6:
        work(it, 1 + random_.below(inbox::max_held));
        break;
      case 7:
      case 8:
        go_on(it);
        break;
      case 9:
        if (it.box->await_room())
          it.awaited = 1;
        else
          expect(2 * it.box->waiting() <= it.how.max_messages + 1, "room is not seen");
        break;
      case 10:
        if (random_.below(20) == 0)
          end(it);
        break;
      default:
        auto& tenant = any_tenant();
        auto is_flood = random_.below(2) == 0;
        for (auto burst = random_.below(inbox::max_held); burst > 0; --burst)
          come_behind(it, is_flood ? tenant : any_tenant());
    }
    check(it);
  }

  [[nodiscard]] const std::string& any_tenant() {
    static const std::vector<std::string> tenants{"", "a", "b", "c"};
    return tenants[random_.below(tenants.size())];
  }

  int made(agent& it, std::size_t bytes, bool is_taken, const std::string& tenant) {
    std::optional<time_point> until;
    if (!is_taken && random_.below(4) == 0)
      until = now_ + std::chrono::milliseconds{static_cast<std::int64_t>(random_.below(50))};
    it.messages.emplace(++last_, message{bytes, until, is_taken, false, tenant});
    return last_;
  }

  void come_behind(agent& it, const std::string& tenant) {
    while (!it.coming.empty())
      come(it, it.coming.front(), true);
    come(it, made(it, random_.below(20), false, tenant), false);
  }

  void take(agent& it) {
    auto bytes = it.box->wants_size() ? 1 + random_.below(largest) : 0;
    auto before = it.box->waiting();
    auto& tenant = any_tenant();
    if (it.box->take(bytes, {message_priority::normal, tenant})) {
      ++seen_["taken"];
      if (it.how.full == when_full::reject)
        expect(before < std::max<std::size_t>(it.how.max_messages, 1), "one too many was taken");
      it.coming.push_back(made(it, bytes, true, tenant));
    } else {
      ++seen_["no place"];
      expect(before > 0 || all_.bytes() + bytes > room_bytes, "an empty inbox has no place");
      expect(it.box->waiting() == before, "a place was lost");
    }
  }

  void come(agent& it, int number, bool is_taken) {
    auto& what = it.messages.at(number);
    if (is_taken)
      it.coming.pop_front();
    if (auto how = it.box->pass(what.bytes, is_taken); how.is_open) {
      expect(it.to_do.empty(), "a message has passed those that are handed over");
      return hand(it, number, how.wants_sign);
    }
    inbox::effects out;
    auto taken = it.box->arrive(now_, number, what.bytes, what.expires_at, is_taken, out,
                                {message_priority::normal, what.tenant});
    expect(taken || !is_taken, "one that was taken is refused");
    what.waits = taken;
    it.waiting[what.tenant] += taken ? 1 : 0;
    begin(it, std::move(out));
  }

  /// Refusals are told at once, handing over takes time.
  void begin(agent& it, inbox::effects out) {
    inbox::effects hands;
    for (auto& each : out)
      troupe::visit(overloaded{[&](const inbox::hand& next) {
                                 takes_turn(it, it.messages.at(next.what));
                                 hands.emplace_back(next);
                               },
                               [&](const inbox::refuse& next) {
                                 leaves(it, it.messages.at(next.what));
                                 ended(it, next.what, "refused");
                               },
                               [&](const inbox::expire& next) {
                                 takes_turn(it, it.messages.at(next.what));
                                 expect(it.messages.at(next.what).expires_at <= now_, "too early");
                                 ended(it, next.what, "expired");
                               },
                               [&](const inbox::has_room&) {
                                 expect(it.awaited == 1, "nobody has asked for room");
                                 it.awaited = 0;
                                 ++seen_["room"];
                               }},
                    each);
    if (!hands.empty())
      it.to_do.push_back(std::move(hands));
    expect(it.to_do.size() <= 1, "two hand over at once");
  }

  static void leaves(agent& it, message& what) {
    auto& count = it.waiting[what.tenant];
    count -= std::exchange(what.waits, false) ? 1 : 0;
    if (count == 0)
      it.passed_by[what.tenant] = 0; // it keeps no turn
  }

  void takes_turn(agent& it, message& what) {
    leaves(it, what);
    it.passed_by[what.tenant] = 0;
    std::size_t all = 2; // of "" and "c"
    for (auto& [tenant, weight] : it.how.tenants)
      all += weight;
    for (auto& [tenant, count] : it.waiting) {
      auto known = it.how.tenants.find(tenant);
      auto own = known != it.how.tenants.end() ? known->second : 1;
      auto& passed = it.passed_by[tenant];
      passed = count == 0 || tenant == what.tenant ? 0 : passed + 1;
      expect(passed <= all - own, "a tenant waits for more than the turns of the others");
      seen_["turns"] += passed > 1 ? 1 : 0;
    }
  }

  void go_on(agent& it) {
    if (it.to_do.empty())
      return;
    for (auto& each : it.to_do.front()) {
      auto& next = std::get<inbox::hand>(each);
      hand(it, next.what, next.wants_sign);
    }
    it.to_do.pop_front();
    inbox::effects out;
    it.box->handed(now_, out);
    begin(it, std::move(out));
  }

  void hand(agent& it, int number, bool wants_sign) {
    auto& last = it.last_handed[it.messages.at(number).tenant];
    expect(number > last, "out of order");
    last = number;
    auto bytes = it.messages.at(number).bytes;
    it.mailbox.emplace_back(1 + bytes / inbox::bytes_per_unit, wants_sign);
    ended(it, number, "handed");
  }

  void ended(agent& it, int number, const char* how) {
    expect(!std::exchange(it.messages.at(number).ended, true), "ended twice");
    ++seen_[how];
  }

  /// The agent takes some messages out.
  void work(agent& it, std::size_t most) {
    for (; most > 0 && !it.mailbox.empty(); --most) {
      auto wants_sign = it.mailbox.front().second;
      it.mailbox.pop_front();
      if (!wants_sign)
        continue;
      inbox::effects out;
      it.box->signed_for(now_, out);
      begin(it, std::move(out));
    }
  }

  void end(agent& it) {
    for (auto number : it.box->end())
      ended(it, number, "left");
    for (auto& some : it.to_do)
      for (auto& each : some)
        ended(it, std::get<inbox::hand>(each).what, "left");
    for (auto number : it.coming)
      ended(it, number, "left");
    check_all_ended(it);
    it.box.reset();
    auto how = it.how;
    it = agent{how, all_};
    std::size_t sum = 0;
    for (auto& [name, each] : agents_)
      sum += each.box->waiting_bytes();
    expect(all_.bytes() == sum, "the room is not given back");
  }

  /// The agent takes all.
  void settle(agent& it) {
    while (!it.coming.empty())
      come(it, it.coming.front(), true);
    while (!it.mailbox.empty() || !it.to_do.empty()) {
      go_on(it);
      work(it, 1'000);
    }
    check_all_ended(it);
    expect(it.box->waiting() == 0 && it.box->waiting_bytes() == 0, "something waits for ever");
    expect(it.box->held() < inbox::max_held / 4, "the mailbox is never empty");
    expect(it.awaited == 0, "whoever waits for room never hears");
  }

  void check_all_ended(const agent& it) {
    expect(std::ranges::all_of(it.messages, [](const auto& each) { return each.second.ended; }),
           "a message was forgotten");
  }

  void check(const agent& it) {
    auto most = inbox::slack * std::max<std::size_t>(it.how.max_messages, 1);
    expect(it.box->waiting() <= most + it.how.max_messages, "too many wait");
    for (auto& [tenant, count] : it.waiting)
      expect(tenant.empty() || it.how.full == when_full::drop_oldest
               || count <= 3 * inbox::slack * it.how.max_messages / 4 + 1,
             "a tenant has all of an inbox");
    expect(it.box->waiting_bytes() <= inbox::slack * it.how.max_bytes + largest, "too much waits");
    expect(all_.bytes() <= room_bytes + largest, "too much waits in all");
    std::size_t held = 0;
    for (auto& [load, wants_sign] : it.mailbox)
      held += load;
    for (auto& some : it.to_do)
      held += some.size();
    expect(held <= inbox::max_held, "the mailbox holds too many");
    expect(it.box->held() >= held, "the mailbox holds more than is counted");
  }

  void expect(bool holds, const char* law) {
    if (!holds && broken_.empty())
      broken_ = law;
  }

  random_source random_;
  time_point now_{};
  inbox_room all_{room_bytes};
  std::map<int, agent> agents_;
  int last_ = 0;
  std::string broken_;
  std::map<std::string, std::size_t> seen_;
};

} // namespace

TEST_CASE("on every schedule each message is handed over once and in order, or ends otherwise, "
          "within the bounds",
          "[router]") {
  std::map<std::string, std::size_t> seen;
  test::for_each_seed(300, [&](random_source random) {
    world it{random};
    it.run(400);
    REQUIRE(it.broken() == "");
    for (auto& [what, count] : it.seen())
      seen[what] += count;
  });
  for (auto* each :
       {"taken", "no place", "handed", "refused", "expired", "left", "room", "turns"}) {
    INFO(each);
    CHECK(seen[each] > 100);
  }
}

} // namespace agent_inbox_property
