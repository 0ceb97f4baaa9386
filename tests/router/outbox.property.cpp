// What must hold of messages that a node has kept for agents of its own, at some of which its
// process ends each time, judged by a witness that sees what agents get and what is on the disk.

#include "troupe/router/outbox.hpp"
#include "router/named_nodes.hpp"
#include "support/seeds.hpp"
#include "troupe/channel/receiver.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace outbox_property {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

using content = outbox::content;

const auto me = test::node_named("me");
constexpr std::uint32_t max_deliveries = 8;
constexpr content messages = 12;
constexpr std::uint64_t agents = 3;

/// One node, whose disk outlives its processes.
class world {
public:
  explicit world(random_source random) : random_(random) {
    for (content each = 1; each <= messages; ++each)
      disk_.emplace(each, row{name(random_.below(agents))});
    while (deadly_.size() < 2)
      deadly_.insert(1 + random_.below(messages));
    for (std::uint64_t each = 0; each < agents; ++each)
      if (random_.one_in(2))
        unordered_.insert(name(each));
  }

  void run() {
    for (auto life = 0; life < 100 && !disk_.empty(); ++life) {
      begin();
      while (is_up_ && !(disk_.empty() && ended_.empty()))
        take_step();
    }
    expect(disk_.empty(), "a message has no end");
    for (content each = 1; each <= messages; ++each) {
      auto is_deadly = deadly_.contains(each);
      expect(dead_.contains(each) == is_deadly, "a message is given up for another one");
      expect(is_deadly || handled_[each] > 0, "a message is not handled");
      expect(had_[each] <= max_deliveries, "a message goes once more than it may");
    }
  }

  [[nodiscard]] const std::string& broken() const {
    return broken_;
  }

  [[nodiscard]] std::map<std::string, std::size_t> seen() const {
    return seen_;
  }

private:
  struct row {
    agent_id agent;
    std::uint32_t ends = 0;
  };

  static agent_id name(std::uint64_t number) {
    return agent_id{std::string(1, static_cast<char>('a' + number))};
  }

  // -- lives ---------------------------------------------------------------------------

  void begin() {
    ++boot_;
    is_up_ = true;
    is_on_probation_ = boot_ > 1 && !std::exchange(is_clean_, false);
    channel::options how;
    how.max_deliveries = max_deliveries;
    outbox_.emplace(me, boot_, how, random_.next(), [this](const agent_id& agent) {
      return away_.contains(agent) ? node_id{} : me;
    });
    receiver_.emplace(boot_, how, random_.next());
    wanted_.clear();
    got_now_.clear();
    with_agents_.clear();
    notes_.clear();
    ended_.clear();
    for (auto& [place, each] : disk_) {
      outbox::item it{each.agent, 1};
      it.is_kept = true;
      it.ends = each.ends;
      it.is_on_probation = is_on_probation_;
      outbox_->take(now_, place, std::move(it), wanted_);
    }
    at_begin_ = disk_;
    carry_out();
  }

  /// By a message, with what was on its way to the disk there or not.
  void die() {
    ++seen_["kill"];
    for (auto& [number, each] : with_agents_)
      had_[each.what] += is_on_probation_ ? 1 : 0;
    if (random_.one_in(2))
      commit();
    is_up_ = false;
    std::map<agent_id, int> counted;
    for (auto& [place, each] : disk_)
      if (each.ends != at_begin_.at(place).ends)
        ++counted[each.agent];
    for (auto& [agent, count] : counted)
      expect(count == 1 || unordered_.contains(agent), "what only waits for its agent is counted");
  }

  void stop() {
    ++seen_["clean stop"];
    auto said = outbox_->last_words();
    for (auto& each : said.notes)
      notes_.push_back(each);
    commit();
    is_clean_ = said.is_clean;
    is_up_ = false;
  }

  // -- steps ---------------------------------------------------------------------------

  void take_step() {
    switch (random_.below(6)) {
      case 0:
      case 1:
        return proceed();
      case 2:
        return commit();
      case 3:
        now_ += 100ms;
        outbox_->tick(now_, wanted_);
        receiver_->tick(now_, got_now_);
        break;
      case 4:
        if (random_.one_in(5)) {
          auto agent = name(random_.below(agents));
          if (away_.erase(agent) == 0)
            away_.insert(agent);
        }
        break;
      default:
        if (random_.one_in(40))
          return stop();
        break;
    }
    carry_out();
  }

  /// An agent does something.
  void proceed() {
    if (with_agents_.empty())
      return;
    auto which = with_agents_.begin();
    std::advance(which, random_.below(with_agents_.size()));
    auto it = which->second;
    if (deadly_.contains(it.what))
      return die();
    with_agents_.erase(which);
    if (random_.one_in(4) && failed_.insert(it.what).second) {
      ++seen_["failed"];
      receiver_->failed(now_, it.session, it.number,
                        {{errc::failed, "no"}, {}, unordered_.contains(it.agent)}, got_now_);
    } else {
      ++handled_[it.what];
      receiver_->handled(now_, it.session, it.number, got_now_);
    }
    carry_out();
  }

  /// All that waits for the disk.
  void commit() {
    auto notes = std::exchange(notes_, {});
    for (auto& each : std::exchange(ended_, {})) {
      disk_.erase(each);
      outbox_->forgotten(now_, each, wanted_);
    }
    for (auto& each : notes) {
      if (auto found = disk_.find(each.what); found != disk_.end())
        found->second.ends = each.ends;
      outbox_->noted(now_, each, true, wanted_);
    }
    carry_out();
  }

  // -- what the machines want ----------------------------------------------------------

  void carry_out() {
    do {
      for (auto all = std::exchange(wanted_, {}); auto& each : all)
        troupe::visit([this](auto& what) { perform(what); }, each);
      for (auto all = std::exchange(got_now_, {}); auto& each : all)
        troupe::visit([this](auto& what) { perform(what); }, each);
      if (receiver_->owes_word())
        outbox_->heard(now_, me, receiver_->take_word(), wanted_);
    } while (!wanted_.empty() || !got_now_.empty());
  }

  void perform(outbox::transmit& what) {
    auto& it = what.what;
    static_cast<void>(
      receiver_->arrive(now_, it.head, {it.agent, it.what, 1, {}, {me, 1, it.what}}, got_now_));
  }

  void perform(outbox::ask& what) {
    static_cast<void>(receiver_->asked(now_, what.what, got_now_));
  }

  void perform(outbox::ended& what) {
    ended_.push_back(what.what);
    if (what.dead) {
      ++seen_["dead letter"];
      dead_.insert(what.what);
    }
  }

  void perform(outbox::note& what) {
    ++seen_["count"];
    notes_.push_back(what);
  }

  static void perform(outbox::late&) {}

  void perform(channel::receiver::deliver& what) {
    if (away_.contains(what.agent))
      return receiver_->missing(what.session, what.number, got_now_);
    with_agents_.insert_or_assign(what.number, what);
  }

  static void perform(channel::receiver::drop&) {}
  static void perform(channel::receiver::dead&) {}

  void expect(bool holds, const char* law) {
    if (!holds && broken_.empty())
      broken_ = law;
  }

  random_source random_;
  time_point now_{1h};
  std::map<content, row> disk_;
  std::map<content, row> at_begin_;
  /// At which the process ends.
  std::set<content> deadly_;
  std::set<agent_id> unordered_;
  std::set<agent_id> away_;
  boot_number boot_ = 0;
  bool is_up_ = false;
  bool is_clean_ = false;
  bool is_on_probation_ = false;
  std::optional<outbox> outbox_;
  outbox::effects wanted_;
  std::optional<channel::receiver> receiver_;
  channel::receiver::effects got_now_;
  std::map<channel::sequence_number, channel::receiver::deliver> with_agents_;
  std::vector<outbox::note> notes_;
  std::vector<content> ended_;
  /// In how many lives on probation that ended otherwise than cleanly an agent had it at the end.
  std::map<content, std::uint32_t> had_;
  std::map<content, int> handled_;
  std::set<content> failed_;
  std::set<content> dead_;
  std::string broken_;
  std::map<std::string, std::size_t> seen_;
};

} // namespace

TEST_CASE("whenever messages end the process of their node, those are given up, and all others are "
          "handled",
          "[router]") {
  std::map<std::string, std::size_t> seen;
  test::for_each_seed(500, [&](random_source random) {
    world it{random};
    it.run();
    REQUIRE(it.broken() == "");
    for (auto& [what, count] : it.seen())
      seen[what] += count;
  });
  for (auto* each : {"kill", "clean stop", "failed", "dead letter", "count"}) {
    INFO(each << ": " << seen[each]);
    CHECK(seen[each] > 500);
  }
}

} // namespace outbox_property
