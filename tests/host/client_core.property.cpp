#include "troupe/host/client_core.hpp" // the header under test
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <variant>
#include <vector>

#include "support/seeds.hpp"

namespace client_core_property {

using namespace std::literals;
using namespace troupe;
using namespace troupe::host;

namespace {

/// A client and all that can happen to it, in any order: answers and failures of any try, also of
/// requests that have ended, sessions that were not asked for, and a service that comes and goes.
/// A witness sees what it sends.
class any_client {
public:
  explicit any_client(random_source random) : random_(random), core_(options(), random_.next()) {}

  void run() {
    for (auto round = 0; round < 300; ++round) {
      act();
      pass(std::chrono::milliseconds{random_.below(round % 50 == 0 ? 20'000 : 150)});
    }
    step(client_core::close{});
    is_closed_ = true;
    CHECK(core_.pending_requests() == 0);
    for (auto& [id, each] : requests_)
      CHECK(each.has_ended);
    act();
    pass(1h);
  }

private:
  struct tried {
    call who;
    bool is_refused = false;
  };

  struct request {
    time_point deadline{};
    bool numbered = false;
    bool rests = false;
    bool has_ended = false;
    std::vector<tried> tries{};
  };

  static client_options options() {
    client_options made;
    made.max_pending = 8;
    return made;
  }

  template <class Range>
  auto& any_of(Range& all) {
    return *std::next(all.begin(), static_cast<std::ptrdiff_t>(random_.below(all.size())));
  }

  /// One that has no end yet, if there is any.
  auto& any_open() {
    auto found = requests_.begin();
    auto count = std::max<std::size_t>(core_.pending_requests(), 1);
    auto skipped = random_.below(count);
    for (auto each = requests_.begin(); each != requests_.end(); ++each)
      if (!each->second.has_ended) {
        found = each;
        if (skipped-- == 0)
          break;
      }
    return *found;
  }

  // -- what happens ------------------------------------------------------------------------

  void act() {
    switch (random_.below(12)) {
      case 0:
        record_ += random_.below(100);
        is_reached_ = true;
        return step(client_core::reached{random_.below(2) == 0 ? 0 : record_});
      case 1:
        is_reached_ = false;
        return step(client_core::lost{});
      case 2:
        return step(client_core::refuse{any_problem()});
      case 3:
        return step(client_core::hinder{any_problem()});
      case 4:
        return open();
      case 5:
      case 6:
      case 7:
        return hear();
      default:
        return ask();
    }
  }

  problem any_problem() {
    constexpr std::array codes{errc::none,      errc::not_leader,      errc::no_quorum,
                               errc::busy,      errc::limit_reached,   errc::bad_argument,
                               errc::denied,    errc::session_expired, errc::outcome_unknown,
                               errc::not_leader};
    auto code = codes.at(random_.below(codes.size()));
    return code == errc::none ? problem{} : problem{code, "by chance"};
  }

  void ask() {
    auto id = ++last_id_;
    auto& made = requests_[id];
    made.numbered = random_.below(3) != 0;
    made.deadline = now_ + std::chrono::milliseconds{random_.below(10'000)};
    client_core::ask what{made.deadline, made.numbered};
    what.hurries = random_.below(4) == 0;
    made.rests = what.rests = !made.numbered && random_.below(2) == 0;
    step(what, id);
  }

  /// Of any try of any request, or of one that was never sent.
  void hear() {
    if (requests_.empty())
      return;
    auto& [id, each] = random_.below(4) == 0 ? any_of(requests_) : any_open();
    auto attempt = random_.below(4) == 0
                     ? static_cast<std::uint32_t>(random_.below(each.tries.size() + 2))
                     : static_cast<std::uint32_t>(each.tries.size());
    if (random_.below(3) == 0)
      return step(client_core::answered{attempt}, id);
    client_core::failed what{attempt, any_problem()};
    what.how = random_.below(20) == 0  ? client_core::failed::kind::misunderstood
               : random_.below(3) == 0 ? client_core::failed::kind::unheard
                                       : client_core::failed::kind::said;
    if (!what.why)
      what.why = {errc::not_leader, "by chance"};
    auto is_refusal
      = what.how == client_core::failed::kind::said && what.why.code != errc::outcome_unknown;
    if (is_refusal && attempt > 0 && attempt <= each.tries.size())
      each.tries[attempt - 1].is_refused = true;
    for (auto times = 1 + random_.below(2); times > 0; --times)
      step(what, id);
  }

  void open() {
    if (openings_.empty())
      return;
    auto& [which, key] = any_of(openings_);
    auto [line, turn] = which;
    if (random_.below(3) == 0)
      return step(client_core::not_opened{line, turn, {errc::not_leader, "by chance"}});
    // A service gives one session for one key.
    auto session = given_.try_emplace(key, given_.size() + 1).first->second;
    step(client_core::opened{line, turn, {session}});
  }

  void step(const client_core::event& what, request_id id = 0) {
    client_core::effects out;
    core_.step(now_, id, what, out);
    look_at(out, id);
  }

  void pass(duration span) {
    auto until = now_ + span;
    for (auto due = core_.next_deadline(); due && *due <= until; due = core_.next_deadline()) {
      now_ = std::max(now_, *due);
      client_core::effects out;
      core_.tick(now_, out);
      look_at(out, 0);
      REQUIRE((!core_.next_deadline() || *core_.next_deadline() > now_));
    }
    now_ = until;
  }

  // -- the witness -------------------------------------------------------------------------

  void look_at(const client_core::effects& out, request_id id) {
    for (auto& each : out)
      troupe::visit([&](auto& what) { see(what, id); }, each);
    CHECK(core_.pending_requests() <= 8);
  }

  void see(const client_core::send& what, request_id) {
    CHECK(is_reached_);
    CHECK_FALSE(is_closed_);
    auto& each = requests_.at(what.id);
    CHECK_FALSE(each.has_ended);
    CHECK(now_ <= each.deadline);
    CHECK(what.attempt == each.tries.size() + 1);
    CHECK(has_session(what.who) == each.numbered);
    if (each.numbered)
      see_command(what, each);
    each.tries.push_back({what.who});
  }

  void see_command(const client_core::send& what, const request& each) {
    auto& who = what.who;
    CHECK(who.acked < who.number);
    auto [holder, is_new] = holders_.try_emplace({who.session, who.number}, what.id);
    CHECK(holder->second == what.id); // no other command ever had that number
    for (auto& [number, id] : holders_)
      if (number.first == who.session && number.second <= who.acked)
        see_past(requests_.at(id), who.session);
    if (who.begins_after != 0)
      CHECK(begins_.try_emplace(who.session, who.begins_after).first->second == who.begins_after);
    else
      CHECK((who.session.value <= given_.size() || begins_.contains(who.session)));
    if (each.tries.empty() || each.tries.back().who.session == who.session) {
      CHECK((each.tries.empty() || each.tries.back().who.number == who.number));
      return;
    }
    // It goes on in another session: in none before it was it carried out.
    for (auto& earlier : each.tries)
      CHECK(earlier.is_refused);
  }

  /// The service may forget its answer: it has ended, or goes on in another session.
  static void see_past(const request& each, const session_id& there) {
    for (auto& earlier : each.tries)
      CHECK((each.has_ended || earlier.is_refused || earlier.who.session != there));
  }

  void see(const client_core::open& what, request_id) {
    CHECK(is_reached_);
    CHECK(what.what.key != 0);
    openings_[{what.line, what.turn}] = what.what.key;
  }

  void see(const client_core::keep&, request_id) {
    CHECK(is_reached_);
  }

  void see(const client_core::end&, request_id) {
    // Also an opening that comes when nobody wants it any more ends.
  }

  void see(const client_core::done& what, request_id id) {
    CHECK(what.id == id);
    auto& each = requests_.at(what.id);
    CHECK_FALSE(each.has_ended);
    CHECK(what.repeated == (each.tries.size() > 1));
    each.has_ended = true;
  }

  void see(const client_core::ended& what, request_id) {
    auto& each = requests_.at(what.id);
    CHECK_FALSE(each.has_ended);
    CHECK(what.why);
    each.has_ended = true;
  }

  void see(const client_core::doubt&, request_id) {
    CHECK(is_reached_);
    CHECK(core_.pending_requests() > 0);
    auto all_rest = std::ranges::all_of(
      requests_, [](auto& each) { return each.second.has_ended || each.second.rests; });
    auto is_in_time = !all_rest || now_ - doubted_at_ >= 8s;
    CHECK(is_in_time);
    doubted_at_ = now_;
  }

  random_source random_;
  client_core core_;
  time_point now_{1h};
  time_point doubted_at_{};
  request_id last_id_ = 0;
  request_id record_ = 1;
  bool is_reached_ = false;
  bool is_closed_ = false;
  std::map<request_id, request> requests_;
  /// The keys of openings, by line and turn; and the sessions that those were given.
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> openings_;
  std::map<std::uint64_t, std::uint64_t> given_;
  std::map<std::pair<session_id, std::uint64_t>, request_id> holders_;
  std::map<session_id, request_id> begins_;
};

} // namespace

TEST_CASE("a client ends each request once, and no command is numbered twice, whatever happens",
          "[host][client][property]") {
  test::for_each_seed(test::simulated_worlds,
                      [](random_source random) { any_client{random}.run(); });
}

} // namespace client_core_property
