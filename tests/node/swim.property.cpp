// What must hold whatever members say: true, forged, old, or of lives that have not been.

#include "troupe/cluster/swim.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "node/swim_fixture.hpp"
#include "support/seeds.hpp"

namespace swim_laws {

using namespace std::literals;
using namespace troupe;
using namespace cluster;
using test::one_member;

namespace {

const std::array<std::string, 5> names{"a", "b", "c", "d", "e"};

swim_options bounds() {
  swim_options made;
  made.max_members = 4; // one too few
  made.max_strangers = 2;
  made.max_errands = 2;
  return made;
}

/// Members a to e beside the one under test: each says some things of itself, and anything of
/// others.
class world {
public:
  explicit world(test::random_source random) : random_(random), it_(bounds()) {
    for (auto& each : names)
      said_[each] = {one_member::said(each)};
    it_.knows({names[0], names[1], names[2]});
    for (auto& each : names)
      if (it_.state_of(each))
        shown_[one_member::id(each)] = {1, 0};
  }

  void anything() {
    auto from = any();
    swim_mail what;
    for (auto rest = random_.below(4); rest > 0; --rest)
      what.rumours.push_back(any_rumour());
    std::set<std::pair<node_id, incarnation>> accused;
    for (auto& each : what.rumours)
      if (auto* one = std::get_if<accusation>(&each))
        accused.emplace(one->node, one->when);
    switch (random_.below(8)) {
      case 0:
        it_.step(swim::told{one_member::id(from), what.rumours});
        break;
      case 1:
        it_.step(swim::introduced{one_member::key(from), any_word(from)});
        break;
      case 2:
        it_.pass(std::chrono::milliseconds{random_.below(2'000)});
        break;
      case 3:
        it_.sign();
        break;
      case 4:
        what.what = swim_ping_request{7, one_member::id(any())};
        [[fallthrough]];
      default:
        it_.step(swim::heard{one_member::id(from), what});
    }
    check(accused);
  }

  /// Nobody lies any more, and each contradicts what it is told of itself.
  void settle() {
    for (auto& each : names)
      speak(each);
    for (auto round = 0; round < 60; ++round) {
      it_.pass(5s);
      for (auto& mail : it_.take<swim::send>())
        for (auto& what : mail.what.rumours)
          if (std::holds_alternative<accusation>(what) && subject_of(what) == mail.to)
            for (auto& each : names)
              if (one_member::id(each) == mail.to)
                it_.hear(each, {told_itself{speak(each)}});
    }
    for (auto& each : names)
      if (auto state = it_.state_of(each); state && state != member_status::left)
        CHECK(*state == member_status::alive);
  }

private:
  std::string any() {
    return names[random_.below(names.size())];
  }

  signed_statement speak(const std::string& who) {
    auto& all = said_[who];
    auto when = all.back().what.when;
    ++when.refutation;
    all.push_back(one_member::said(who, when, false, "there:" + std::to_string(when.refutation)));
    return all.back();
  }

  /// What it has said, lately or long ago, or has not.
  signed_statement any_word(const std::string& who) {
    auto& all = said_[who];
    if (random_.one_in(3))
      speak(who);
    auto made = all[random_.below(all.size())];
    if (random_.one_in(3)) {
      made.what.when = any_life(who);
      made.what.address = "elsewhere:1"; // as no signature says
    }
    return made;
  }

  incarnation any_life(const std::string& who) {
    auto last = said_[who].back().what.when;
    switch (random_.below(4)) {
      case 0:
        return {std::numeric_limits<boot_number>::max(), std::numeric_limits<std::uint32_t>::max()};
      case 1:
        return {last.boot, last.refutation + 1};
      case 2:
        return {0, 0};
      default:
        return last;
    }
  }

  rumour any_rumour() {
    auto of = any();
    if (random_.one_in(2))
      return told_itself{any_word(of)};
    auto is_dead = random_.one_in(4);
    if (random_.one_in(4))
      return accusation{one_member::id("self"),
                        {one_member::boot, static_cast<std::uint32_t>(random_.below(3))},
                        one_member::id(any()),
                        is_dead};
    return accusation{one_member::id(of), any_life(of), one_member::id(any()), is_dead};
  }

  void check(const std::set<std::pair<node_id, incarnation>>& accused) {
    for (auto& what : it_.take<swim::shows>()) {
      auto found = shown_.find(what.who);
      REQUIRE((found == shown_.end() || what.when >= found->second));
      auto is_accused = what.is == member_status::suspect || what.is == member_status::dead;
      if (is_accused && what.by != one_member::id("self"))
        REQUIRE(accused.contains({what.who, what.when}));
      auto was_said = false;
      for (auto& [who, all] : said_)
        for (auto& each : all)
          was_said = was_said
                     || (each.what.node == what.who && each.what.when == what.when
                         && each.what.address == what.address);
      REQUIRE(was_said);
      shown_[what.who] = what.when;
    }
    for (auto& each : it_.out)
      if (auto* wanted = std::get_if<swim::sign>(&each)) {
        REQUIRE(wanted->what.when.boot == one_member::boot);
        REQUIRE(wanted->what.when.refutation <= own_ + 1); // one word for each accusation
        own_ = std::max(own_, wanted->what.when.refutation);
      }
    for (auto& mail : it_.take<swim::send>())
      REQUIRE(to_bytes(mail.what).size() <= bounds().max_mail);
    std::erase_if(it_.out, [](auto& each) { return !std::holds_alternative<swim::sign>(each); });
  }

  test::random_source random_;
  one_member it_;
  std::map<std::string, std::vector<signed_statement>> said_;
  std::map<node_id, incarnation> shown_;
  std::uint32_t own_ = 0;
};

} // namespace

TEST_CASE("whatever members say, each is shown as it has said, and accused of that alone",
          "[node][swim][property]") {
  test::for_each_seed(100, [](test::random_source random) {
    world all{random};
    for (auto time = 0; time < 200; ++time)
      all.anything();
    all.settle();
  });
}

} // namespace swim_laws
