#include "troupe/cluster/departure.hpp" // the header under test
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <set>
#include <utility>
#include <variant>

#include "support/seeds.hpp"

namespace departure_property {

using namespace troupe;
using cluster::departure;

namespace {

/// Callers that leave, ask for it and stop at any time, and stages that end in any order, with any
/// problem, twice, or without having begun.
class many_departures {
public:
  explicit many_departures(random_source random) : random_(random) {}

  void run() {
    for (auto round = 0; round < 80; ++round)
      act();
    while (!runs_.empty()) {
      auto last = runs_.extract(runs_.begin()).mapped();
      step(last.id, departure::done{last.which});
    }
    CHECK(callers_.empty());
    if (it_.is_ending()) // else they may wait for the program
      CHECK(askers_.empty());
  }

private:
  bool perhaps() {
    return random_.below(2) == 0;
  }

  void act() {
    auto choice = random_.below(8);
    if (choice == 2 && perhaps()) {
      askers_.insert(++last_caller_);
      return step(last_caller_, departure::ask{{"one", random_.below(3) == 0, perhaps()}});
    }
    if (choice == 0)
      return step(call(), departure::leave{"one", random_.below(3) == 0, random_.below(3) == 0});
    if (choice == 1 && random_.below(4) == 0)
      return step(call(), departure::stop{});
    if (runs_.empty() || random_.below(5) == 0)
      return step(random_.below(last_caller_ + 2),
                  end_of(static_cast<departure::stage>(random_.below(18))));
    auto which = std::next(runs_.begin(), static_cast<std::ptrdiff_t>(random_.below(runs_.size())));
    auto ends = which->second;
    if (random_.below(6) != 0)
      runs_.erase(which); // else it ends twice
    step(ends.id, end_of(ends.which));
  }

  departure::done end_of(departure::stage which) {
    auto codes = {errc::none, errc::timed_out, errc::in_use, errc::no_quorum, errc::unreachable};
    auto code = *std::next(codes.begin(), static_cast<std::ptrdiff_t>(random_.below(codes.size())));
    return {which,     code == errc::none ? problem{} : problem{code, "in words"},
            perhaps(), perhaps(),
            perhaps(), perhaps(),
            perhaps(), {}};
  }

  request_id call() {
    callers_.insert(++last_caller_);
    return last_caller_;
  }

  void step(request_id id, departure::event what) {
    auto was_ending = it_.is_ending();
    departure::effects out;
    it_.step({}, id, std::move(what), out);
    auto is_said = [](auto& each) {
      return std::holds_alternative<departure::answer>(each)
             || std::holds_alternative<departure::rest>(each);
    };
    auto own = std::ranges::find_if_not(out, is_said);
    CHECK(std::distance(own, out.end()) <= 1);
    CHECK((it_.is_ending() || !was_ending)); // it does not change its mind
    for (auto& each : out)
      troupe::visit([this](auto& effect) { perform(effect); }, each);
  }

  void perform(const departure::run& what) {
    CHECK(
      (callers_.contains(what.id) || askers_.contains(what.id) || have_asked_.contains(what.id)));
    runs_[what.id] = what;
    if (what.which < departure::stage::deliver_memory || what.which > departure::stage::end_router)
      return;
    CHECK(it_.is_ending());
    CHECK(stages_.insert(what.which).second); // once
    ender_ = ender_ == 0 ? what.id : ender_;
    CHECK(what.id == ender_);
  }

  void perform(const departure::answer& what) {
    CHECK(askers_.erase(what.id) == 1); // once
    if (what.why)                       // it has not left for them
      runs_.erase(what.id);
    have_asked_.insert(what.id);
  }

  void perform(const departure::rest& what) {
    CHECK(what.on != rests_);
    CHECK_FALSE(it_.is_ending());
    rests_ = what.on;
  }

  void perform(const departure::over& what) {
    CHECK(callers_.erase(what.id) == 1); // once
    runs_.erase(what.id);
    if (what.id == ender_)
      CHECK(stages_.size() == (stages_.contains(departure::stage::deliver_memory) ? 10 : 9));
  }

  random_source random_;
  departure it_;
  std::set<request_id> callers_;
  std::set<request_id> askers_;
  std::set<request_id> have_asked_;
  request_id last_caller_ = 0;
  std::map<request_id, departure::run> runs_;
  std::set<departure::stage> stages_;
  request_id ender_ = 0;
  bool rests_ = false;
};

} // namespace

TEST_CASE("each caller gets one answer, and a node ends once, whatever its stages come to",
          "[node][departure][property]") {
  test::for_each_seed(200, [](random_source random) { many_departures{random}.run(); });
}

} // namespace departure_property
