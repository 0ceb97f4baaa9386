// What must hold of questions that wait on every schedule, judged by a witness that sees calls and
// answers only.

#include "troupe/host/early_questions.hpp"
#include "support/seeds.hpp"
#include "troupe/core/random.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace early_questions_property {

using namespace std::literals;
using namespace troupe;
using host::early_questions;
using time_point = early_questions::time_point;

namespace {

/// A node that starts, or that knows all, is asked about agents whose nodes come and go. Its host
/// is late at times.
class world {
public:
  explicit world(random_source random) : random_(random) {
    if (random_.below(2) == 0)
      early_.begin(now_);
  }

  void run() {
    for (auto step = 0; step < 200; ++step) {
      go_on(std::chrono::milliseconds{random_.below(3) == 0 ? random_.below(2'500) : 0});
      take_step(agents.at(random_.below(agents.size())));
      if (random_.below(4) > 0)
        look();
    }
    go_on(early_questions::patience);
    look();
    expect(std::ranges::all_of(waiting_, [](auto& each) { return each.second.empty(); }),
           "a question is never answered");
    expect(answered_ > 0, "nothing was ever answered");
  }

private:
  static constexpr std::array<const char*, 3> agents{"a", "b", "c"};

  struct question {
    std::uint64_t number = 0;
    time_point held;
    /// What was expected then is waited for until then, or for as long as whoever asks waits.
    time_point ends;
    /// Whoever asks waits for as long as any other.
    bool is_patient = true;
    /// It comes while this waits.
    bool has_come = false;
  };

  void expect(bool holds, const std::string& what) {
    INFO(what);
    REQUIRE(holds);
  }

  /// Time passes; an attentive host ticks whenever it is to.
  void go_on(std::chrono::nanoseconds span) {
    auto end = now_ + span;
    auto is_attentive = random_.below(3) > 0;
    for (auto due = early_.next_deadline(); is_attentive && due && *due <= end;
         due = early_.next_deadline()) {
      now_ = std::max(now_, *due);
      look();
    }
    now_ = end;
  }

  void look() {
    early_.tick(now_);
    auto next = early_.next_deadline();
    expect(!next || *next > now_, "what is due is left");
    for (auto& [about, all] : waiting_)
      for (auto& each : all) {
        expect(now_ < each.held + early_questions::patience, "a question waits for too long");
        expect(!early_.knows_all() || is_expected(about),
               "a question waits though all is known and nothing expected");
      }
  }

  void take_step(const std::string& about) {
    switch (random_.below(10)) {
      case 0:
        early_.begin(now_);
        break;
      case 1:
        early_.finds_others(now_);
        break;
      case 2:
        early_.knows_all_now();
        break;
      case 3:
      case 4:
        expected_[about] = now_ + early_questions::patience;
        early_.expect(now_, about);
        break;
      case 5:
        comes(about);
        break;
      default:
        ask(about, random_.below(8) == 0);
    }
  }

  void comes(const std::string& about) {
    auto was_expected = early_.is_expected(now_, about);
    expected_.erase(about);
    for (auto& each : waiting_[about])
      each.has_come = true;
    early_.comes(about);
    if (was_expected)
      expect(waiting_[about].empty(), "a question waits for what has come");
  }

  void ask(const std::string& about, bool is_impatient) {
    auto is_known = random_.below(3) == 0;
    auto waits = early_.has_to_wait(now_, about, is_known);
    expect(waits || is_known || !is_expected(about), "what is expected is said not to be there");
    expect(waits || waiting_[about].empty(), "a question overtakes an earlier one");
    if (!waits)
      return;
    std::chrono::nanoseconds longest = is_impatient ? 700ms : 1min;
    auto number = ++last_;
    waiting_[about].push_back(
      {number, now_, std::min(now_ + longest, is_expected(about) ? expected_.at(about) : now_),
       !is_impatient});
    auto why = early_.hold(now_, longest,
                           {about,
                            {},
                            [this, about, number] { hear(about, number); },
                            [](const problem&) { FAIL("nobody refuses"); }});
    expect(!why, "there is no room");
  }

  void hear(const std::string& about, std::uint64_t number) {
    auto& all = waiting_[about];
    auto found = std::ranges::find_if(all, [&](auto& each) { return each.number == number; });
    expect(found != all.end(), "a question is answered twice");
    expect(now_ >= found->ends || found->has_come, "a question does not wait for what is expected");
    expect(!found->is_patient
             || std::none_of(all.begin(), found, [](auto& each) { return each.is_patient; }),
           "a question is answered before an earlier one");
    all.erase(found);
    ++answered_;
  }

  [[nodiscard]] bool is_expected(const std::string& about) const {
    auto found = expected_.find(about);
    return found != expected_.end() && now_ < found->second;
  }

  random_source random_;
  time_point now_{};
  early_questions early_;
  std::map<std::string, time_point> expected_;
  std::map<std::string, std::vector<question>> waiting_;
  std::uint64_t last_ = 0;
  std::uint64_t answered_ = 0;
};

} // namespace

TEST_CASE("questions wait for what is expected, in order, and for no longer", "[host]") {
  test::for_each_seed(500, [](random_source random) { world{random}.run(); });
}

} // namespace early_questions_property
