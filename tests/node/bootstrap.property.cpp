#include "troupe/cluster/bootstrap.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "support/seeds.hpp"

namespace bootstrap_property {

using namespace std::literals;
using namespace troupe;
using namespace troupe::cluster;
using test::random_source;

namespace {

/// Nodes that are to found one cluster. They start in any order, crash before and after what they
/// write is on the disk, and their questions and answers get lost, come twice and late, also to the
/// next life of a node. Each knows the places of some of the others.
class founding_world {
public:
  struct shape {
    std::size_t nodes = 3;
    std::uint32_t expect = 3;
    /// One node expects another number.
    bool has_stranger = false;
    /// Each node knows the places of all.
    bool knows_all = true;
  };

  founding_world(random_source& random, const shape& how) : random_(random), shape_(how) {
    for (std::size_t each = 0; each < how.nodes; ++each) {
      nodes_.emplace_back();
      auto& made = nodes_.back();
      made.expect = how.expect + (how.has_stranger && each + 1 == how.nodes ? 1 : 0);
      // As a list that is the same for all may have it, with the own place in it.
      for (std::size_t other = 0; other < how.nodes; ++other)
        if (how.knows_all ? (other != each || random_.one_in(2)) : !random_.one_in(3))
          made.places.insert(place_of(other));
    }
  }

  /// For a while, with faults.
  void suffer() {
    for (auto count = 100 + random_.below(600); count > 0; --count) {
      now_ += std::chrono::milliseconds{1 + random_.below(300)};
      if (random_.one_in(parts_once_in_))
        part();
      auto which = random_.below(nodes_.size());
      if (auto& node = nodes_[which]; !node.it && !node.cluster && random_.one_in(2))
        start(which);
      else if (node.it && random_.one_in(25))
        crash(which);
      may_crash_ = true;
      run(true);
      may_crash_ = false;
    }
  }

  /// Exactly `up` run from here on, among them those that others have promised something. Returns
  /// whether that is possible.
  bool calm_down(std::size_t up) {
    std::set<std::size_t> wanted;
    for (std::size_t each = 0; each < nodes_.size() && wanted.size() < up; ++each)
      wanted.insert(each);
    auto add_promised = [&] {
      for (auto each : wanted)
        if (auto& promised = nodes_[each].disk.promised; promised && !nodes_[each].cluster)
          if (wanted.insert(number_of(promised->to)).second)
            return true;
      return false;
    };
    for (auto tries = 0; add_promised(); ++tries) // then another one need not be there
      if (tries == 20 || (wanted.size() > up && !drop_one(wanted)))
        return false;
    mail_.clear();
    stuck_.clear();
    heal();
    for (std::size_t each = 0; each < nodes_.size(); ++each)
      if (!wanted.contains(each)) {
        crash(each);
        nodes_[each].is_away = true;
      } else if (!nodes_[each].it && !nodes_[each].cluster) {
        start(each);
      }
    return true;
  }

  void run_calm(duration span) {
    heal();
    for (auto end = now_ + span; now_ < end;) {
      now_ += 50ms;
      run(false);
    }
  }

  [[nodiscard]] const std::vector<std::set<node_id>>& founders() const {
    return founders_;
  }

  [[nodiscard]] bool all_have_one_cluster() const {
    std::set<std::size_t> seen;
    for (auto& each : nodes_)
      if (!each.is_away)
        seen.insert(each.cluster.value_or(0));
    return seen.size() == 1 && !seen.contains(0);
  }

  [[nodiscard]] bool any_of_calm_has_cluster() const {
    return std::ranges::any_of(
      nodes_, [](auto& each) { return !each.is_away && each.cluster.has_value(); });
  }

  [[nodiscard]] std::string seen() const {
    std::string text;
    for (std::size_t each = 0; each < nodes_.size(); ++each) {
      auto& node = nodes_[each];
      text += std::to_string(each) + (node.is_away ? " away" : "") + " cluster "
              + std::to_string(node.cluster.value_or(0)) + " round "
              + std::to_string(node.disk.round) + " promised "
              + (node.disk.promised ? std::to_string(number_of(node.disk.promised->to)) + ":"
                                        + std::to_string(node.disk.promised->round)
                                    : "-")
              + " says " + node.standing.detail + '\n';
    }
    return text;
  }

private:
  struct machine_node {
    std::uint32_t expect = 0;
    std::set<std::string> places;
    boot_number boot = 0;
    founding_record disk;
    /// Counts from 1; nothing: none.
    std::optional<std::size_t> cluster;
    std::unique_ptr<bootstrap> it;
    problem standing;
    bool is_away = false;
    /// Of a network in two parts.
    bool is_left = false;
  };

  struct letter {
    std::size_t from = 0;
    std::size_t to = 0;
    net::founding_word word = {};
    bool is_question = true;
    /// An answer: the cluster of who says it.
    std::optional<std::size_t> cluster = {};
    /// An answer: there is nobody.
    bool is_nobody = false;
  };

  static node_id id_of(std::size_t number) {
    node_id made;
    made.bytes.front() = static_cast<std::byte>(number + 1);
    return made;
  }

  static std::size_t number_of(const node_id& which) {
    return static_cast<std::size_t>(which.bytes.front()) - 1;
  }

  static std::string place_of(std::size_t number) {
    return "n" + std::to_string(number);
  }

  static std::size_t number_at(const std::string& place) {
    return std::stoul(place.substr(1));
  }

  /// Takes one away from those that nobody of them has promised anything.
  bool drop_one(std::set<std::size_t>& from) const {
    for (auto each : from) {
      auto is_promised = std::ranges::any_of(from, [&](auto other) {
        auto& promised = nodes_[other].disk.promised;
        return other != each && promised && number_of(promised->to) == each;
      });
      if (!is_promised) {
        from.erase(each);
        return true;
      }
    }
    return false;
  }

  void part() {
    heal();
    for (auto count = shape_.expect; count > 0; --count) // so many could found a cluster
      nodes_[random_.below(nodes_.size())].is_left = true;
  }

  void heal() {
    for (auto& each : nodes_)
      each.is_left = false;
  }

  [[nodiscard]] bool are_apart(std::size_t one, std::size_t other) const {
    return nodes_[one].is_left != nodes_[other].is_left;
  }

  void start(std::size_t which) {
    auto& node = nodes_[which];
    ++node.boot;
    bootstrap_options how{.self = id_of(which),
                          .boot = node.boot,
                          .process = random_.next(),
                          .expect = node.expect,
                          .places = node.places};
    how.settle = settle_;
    how.forget_after = forget_after_;
    how.round_lasts = round_lasts_;
    node.it = std::make_unique<bootstrap>(std::move(how), node.disk, now_);
    node.standing = {};
  }

  void crash(std::size_t which) {
    nodes_[which].it.reset();
  }

  void run(bool is_faulty) {
    for (std::size_t each = 0; each < nodes_.size(); ++each)
      if (auto* it = nodes_[each].it.get(); it != nullptr && it->next_deadline() <= now_)
        call(each, [&](bootstrap& machine, auto& out) { machine.tick(now_, out); });
    if (!stuck_.empty() && random_.one_in(10)) {
      mail_.push_back(stuck_.front());
      stuck_.pop_front();
    }
    auto letters = std::exchange(mail_, {});
    for (auto count = letters.size(); count > 0; --count) {
      auto at = is_faulty ? random_.below(letters.size()) : 0;
      auto next = letters[at];
      letters.erase(letters.begin() + static_cast<std::ptrdiff_t>(at));
      if (is_faulty && random_.one_in(3)) { // late
        mail_.push_back(std::move(next));
        continue;
      }
      if (is_faulty && random_.one_in(8))
        mail_.push_back(next); // twice
      if (is_faulty && random_.one_in(8) && stuck_.size() < 20) {
        stuck_.push_back(std::move(next)); // very late
        continue;
      }
      if (!is_faulty || !random_.one_in(lost_once_in_))
        deliver(next, is_faulty);
    }
  }

  void deliver(const letter& what, bool is_faulty) {
    auto& node = nodes_[what.to];
    if (what.is_question) {
      letter answer{what.to, what.from, {}, false};
      if (node.cluster) {
        answer.cluster = node.cluster;
      } else if (!node.it) {
        answer.is_nobody = true;
      } else {
        call(what.to, [&](bootstrap& machine, auto& out) {
          machine.step(now_, bootstrap::heard{what.word, {}, {}, what.from + 1}, out);
        });
        return;
      }
      mail_.push_back(answer);
      return;
    }
    if (!node.it || (!is_faulty && node.cluster))
      return;
    call(what.to, [&](bootstrap& machine, auto& out) {
      if (what.cluster) {
        joins_ = what.cluster;
        machine.step(now_, bootstrap::cluster_seen{place_of(what.from)}, out);
      } else if (what.is_nobody) {
        machine.step(now_, bootstrap::unanswered{place_of(what.from), {errc::unreachable, "-"}},
                     out);
      } else {
        machine.step(now_, bootstrap::heard{what.word, {}, place_of(what.from), 0}, out);
      }
    });
  }

  template <class Call>
  void call(std::size_t which, Call what) {
    auto& node = nodes_[which];
    bootstrap::effects out;
    what(*node.it, out);
    for (auto& each : out) {
      if (may_crash_ && random_.one_in(60))
        return crash(which);
      if (!perform(which, each))
        return;
    }
  }

  /// Returns whether the node goes on.
  bool perform(std::size_t which, const bootstrap::effect& what) {
    auto& node = nodes_[which];
    if (auto* record = std::get_if<bootstrap::write>(&what)) {
      if (may_crash_ && random_.one_in(20)) { // a full disk
        call(which, [&](bootstrap& machine, auto& out) {
          machine.step(now_, bootstrap::not_written{{errc::storage_full, "full"}}, out);
        });
        return false;
      }
      node.disk = record->what;
    } else if (auto* said = std::get_if<bootstrap::reply>(&what)) {
      auto to = static_cast<std::size_t>(said->question - 1);
      if (!are_apart(which, to))
        mail_.push_back({which, to, said->word, false});
    } else if (auto* question = std::get_if<bootstrap::ask>(&what)) {
      for (auto& each : node.places)
        if (auto to = number_at(each); are_apart(which, to))
          mail_.push_back({.from = to, .to = which, .is_question = false, .is_nobody = true});
        else if (mail_.size() < 500)
          mail_.push_back({which, to, question->word, true});
    } else if (auto* founds = std::get_if<bootstrap::found>(&what)) {
      founders_.push_back(founds->with);
      node.cluster = founders_.size();
      node.disk.promised.reset();
    } else if (std::get_if<bootstrap::join>(&what) != nullptr) {
      node.cluster = joins_;
      node.disk.promised.reset();
    } else if (auto* stands = std::get_if<bootstrap::standing>(&what)) {
      node.standing = stands->why;
    }
    return true;
  }

  random_source& random_;
  const shape shape_;
  time_point now_{};
  std::vector<machine_node> nodes_;
  std::vector<letter> mail_;
  std::deque<letter> stuck_;
  std::vector<std::set<node_id>> founders_;
  std::optional<std::size_t> joins_;
  bool may_crash_ = false;
  // What is decided does not depend on these, and short ones bring more about.
  const std::uint64_t lost_once_in_ = 2 + random_.below(8);
  const std::uint64_t parts_once_in_ = 10 + random_.below(50);
  const duration settle_ = std::chrono::milliseconds{random_.below(1'000)};
  const duration forget_after_ = std::chrono::milliseconds{500 + random_.below(5'000)};
  const duration round_lasts_ = std::chrono::milliseconds{2'000 + random_.below(20'000)};
};

/// With that many nodes any two sets of `expect` nodes have one in common.
founding_world::shape any_shape(random_source& random) {
  founding_world::shape made;
  made.expect = static_cast<std::uint32_t>(1 + random.below(4));
  made.nodes = made.expect + random.below(made.expect);
  made.has_stranger = made.nodes > made.expect && random.one_in(6);
  made.knows_all = !random.one_in(4);
  return made;
}

} // namespace

TEST_CASE("of nodes that could found a cluster with one of the same others, at most one does",
          "[cluster][bootstrap][property]") {
  test::for_each_seed(1'000, [](random_source random) {
    auto how = any_shape(random);
    INFO(how.nodes << " nodes, " << how.expect << " expected");
    founding_world world{random, how};
    world.suffer();
    world.run_calm(40s);
    INFO(world.seen());
    CHECK(world.founders().size() <= 1);
    for (auto& each : world.founders())
      CHECK(each.size() >= how.expect);
  });
}

TEST_CASE("as many nodes as are expected found a cluster once nothing fails any more",
          "[cluster][bootstrap][property]") {
  std::size_t judged = 0;
  test::for_each_seed(400, [&](random_source random) {
    auto how = any_shape(random);
    how.has_stranger = false;
    how.knows_all = true;
    INFO(how.nodes << " nodes, " << how.expect << " expected");
    founding_world world{random, how};
    world.suffer();
    if (!world.calm_down(how.expect))
      return;
    world.run_calm(40s);
    INFO(world.seen());
    // A cluster of which none is there does not come back by itself.
    if (world.any_of_calm_has_cluster() || world.founders().empty()) {
      ++judged;
      CHECK(world.all_have_one_cluster());
    }
    CHECK(world.founders().size() <= 1);
  });
  CHECK((judged > 100 || test::given_seed()));
}

} // namespace bootstrap_property
