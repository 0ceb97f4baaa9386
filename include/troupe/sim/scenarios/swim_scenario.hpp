#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "troupe/cluster/swim.hpp"
#include "troupe/cluster/swim_options.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/sim/scenarios/scenario.hpp"
#include "troupe/sim/world/swim_process.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// Makes a key for each of `count` processes.
inline void name_processes(swim_setting& all, process_id count) {
  for (process_id which = 0; which < count; ++which) {
    random_source bits{which + 1U};
    public_key key;
    for (auto& each : key.bytes)
      each = static_cast<std::byte>(bits.next());
    all.keys.push_back(key);
    all.nodes.emplace(id_of(key), which);
  }
}

struct swim_report {
  std::vector<std::string> violations;
  std::uint64_t trace = 0;
  std::uint64_t events = 0;
  /// How often a member was shown to be dead.
  std::uint64_t deaths = 0;
};

/// Members come, are killed, stopped and cut off, leave, and start again; some lie. What a member
/// shows of another is never older than what it showed before, and has been said by the other; and
/// it takes nobody for dead on the word of others. Some time after the last fault all show each
/// other alive. One member then gets to its mail late, again and again: no other one is taken for
/// dead. Who is killed then is soon shown dead by all, who leaves never is; and what one says of
/// itself soon all know.
class swim_scenario {
public:
  explicit swim_scenario(const scenario_options& how)
    : span_(how.span), world_(how.seed, how.nodes, how.what) {
    auto& all = world_.setting();
    all.options = cluster::swim_options::lan();
    all.options.revisit_every = std::chrono::seconds{5};
    all.options.sync_every = std::chrono::seconds{60}; // news has to do without
    all.options.first_sync = all.options.sync_every;
    name_processes(all, world_.size());
    all.on_shows = [this](process_id who, std::uint64_t life, const cluster::swim::shows& what) {
      look_at(who, life, what);
    };
  }

  swim_report run() {
    for (process_id which = 0; which < world_.size(); ++which)
      world_.after(std::chrono::milliseconds{0}, std::chrono::milliseconds{which == 0 ? 1 : 3'000},
                   [this, which] { world_.start_if_down(which); });
    world_.run_until(std::chrono::milliseconds{500});
    world_.begin_faults();
    world_.every(std::chrono::milliseconds{500}, [this] { lie(); });
    world_.every(std::chrono::seconds{6}, [this] { let_go(); });
    world_.observe([this](process_id which) { check(which); });
    world_.run_until(span_);
    settle();
    return {world_.setting().violations, world_.trace(), world_.events(), deaths_};
  }

private:
  static constexpr process_id nobody = ~process_id{0};
  /// Until all show each other again: doubts have to go, and the dead are tried now and then.
  static constexpr duration patience = std::chrono::seconds{60};
  /// How long one gets to its mail late.
  static constexpr duration hunger = std::chrono::seconds{20};
  /// Until all know of a death.
  static constexpr duration detection = std::chrono::seconds{6};
  /// Until all know what one has said of itself.
  static constexpr duration news = std::chrono::seconds{3};

  [[nodiscard]] node_id node_of(process_id which) {
    return id_of(world_.setting().keys.at(which));
  }

  [[nodiscard]] static std::string name_of(process_id which) {
    return "p" + std::to_string(which);
  }

  void step(process_id which, cluster::swim::event what) {
    if (auto* process = world_.at(which); process != nullptr) {
      process->step(std::move(what));
      world_.arm(which);
    }
  }

  // -- what happens ------------------------------------------------------------------------

  /// A member tells another what is not so of a third one.
  void lie() {
    auto liar = node_of(world_.any());
    auto whom = world_.any();
    auto& cards = world_.setting().cards;
    auto found = cards.find(world_.any());
    if (found == cards.end())
      return;
    auto said = found->second.what;
    cluster::accusation accuses{said.what.node, said.what.when, liar, false};
    switch (world_.random().below(4)) {
      case 0: // and must be believed until it contradicts
        return step(whom, cluster::swim::told{liar, {accuses}});
      case 1:
        accuses.is_dead = true;
        return step(whom, cluster::swim::told{liar, {accuses}});
      case 2:
        accuses.when = {~boot_number{0}, ~std::uint32_t{0}};
        return step(whom, cluster::swim::told{liar, {accuses}});
      default:
        said.what.when.refutation += 1'000;
        said.what.address = "elsewhere";
        return step(whom, cluster::swim::told{liar, {cluster::told_itself{said}}});
    }
  }

  /// A member leaves, ends, and comes back.
  void let_go() {
    auto which = world_.any();
    step(which, cluster::swim::leave{});
    world_.after(std::chrono::seconds{1}, [this, which] {
      world_.restart(which, std::chrono::milliseconds{500}, std::chrono::seconds{6});
    });
  }

  /// A member gets to its mail late, until the hunger is over: later than a suspect has at least,
  /// and soon enough to read that one contradicts whom nobody else accuses.
  void starve(process_id which) {
    auto& how = world_.setting().options;
    auto least = how.period * how.least_suspicion;
    auto more = world_.random().below(static_cast<std::uint64_t>(least.count()));
    auto late = how.period + least + duration{static_cast<std::int64_t>(more)};
    world_.after(std::chrono::milliseconds{200}, std::chrono::milliseconds{1'000},
                 [this, which, late] {
                   if (world_.now() + late > span_ + patience + hunger)
                     return;
                   world_.at(which)->be_busy(late);
                   world_.after(late, [this, which] { starve(which); });
                 });
  }

  // -- laws ----------------------------------------------------------------------------------

  void look_at(process_id who, std::uint64_t life, const cluster::swim::shows& what) {
    auto& all = world_.setting();
    auto place = all.nodes.at(what.who);
    auto& [of_life, before] = shown_[{who, place}];
    if (of_life == life && what.when < before)
      all.broken(name_of(who) + " shows what " + name_of(place) + " said before what it said last");
    auto is_known = std::exchange(of_life, life) == life;
    before = what.when;
    auto is_said = false;
    for (auto& [when, address] : all.stated[what.who])
      is_said = is_said || (when == what.when && address == what.address);
    if (!is_said)
      all.broken(name_of(who) + " shows what " + name_of(place) + " has never said");
    if (what.is != cluster::member_status::dead)
      return;
    ++deaths_;
    if (is_known && what.by != node_of(who)) // else it was dead before that one came
      all.broken(name_of(who) + " shows " + name_of(place) + " dead on the word of another");
    if (starved_ != nobody && place != starved_)
      all.broken(name_of(who) + " shows " + name_of(place)
                 + " dead, which is there and hears well");
    if (place == leaver_)
      all.broken(name_of(who) + " shows " + name_of(place) + " dead, which has left");
  }

  void check(process_id which) {
    auto* process = world_.at(which);
    if (process == nullptr || ++looks_ % 50 != 0)
      return;
    for (auto& each : process->it().flaws())
      world_.setting().broken(name_of(which) + ": " + each);
  }

  void expect(process_id who, process_id of, cluster::member_status is) {
    auto known = world_.at(who)->it().find(node_of(of));
    if (!known || known->state != is)
      world_.setting().broken(name_of(who) + " shows " + name_of(of) + ' '
                              + std::string{known ? cluster::name_of(known->state) : "not at all"}
                              + " instead of " + std::string{cluster::name_of(is)});
  }

  void expect_all_alive() {
    for (process_id who = 0; who < world_.size(); ++who)
      for (process_id of = 0; of < world_.size(); ++of)
        if (who != of)
          expect(who, of, cluster::member_status::alive);
  }

  void settle() {
    world_.end_faults();
    for (process_id which = 0; which < world_.size(); ++which)
      if (auto& own = world_.at(which)->it().own(); own && own->what.leaves) {
        world_.kill(which); // it would have gone
        world_.start(which);
      }
    world_.run_until(span_ + patience / 4);
    world_.setting().joins = false;
    world_.run_until(span_ + patience);
    expect_all_alive();
    starved_ = world_.any();
    starve(starved_);
    world_.run_until(span_ + patience + hunger + patience / 4);
    starved_ = nobody;
    expect_all_alive();
    auto killed = world_.any();
    leaver_ = (killed + 1) % world_.size();
    auto moves = (killed + 2) % world_.size();
    auto begin = span_ + patience + hunger + patience / 4;
    step(leaver_, cluster::swim::leave{});
    step(moves, cluster::swim::moved{"p" + std::to_string(moves) + ":moved"});
    world_.run_until(begin + news);
    for (process_id who = 0; who < world_.size(); ++who) {
      if (who == leaver_)
        continue; // nobody tells it news any more
      expect(who, leaver_, cluster::member_status::left);
      auto known = world_.at(who)->it().find(node_of(moves));
      if (who != moves && (!known || known->address != "p" + std::to_string(moves) + ":moved"))
        world_.setting().broken(name_of(who) + " does not know where " + name_of(moves) + " is");
    }
    world_.kill(leaver_);
    world_.kill(killed);
    world_.run_until(begin + news + detection);
    for (process_id who = 0; who < world_.size(); ++who)
      if (who != killed && who != leaver_)
        expect(who, killed, cluster::member_status::dead);
  }

  duration span_;
  world<swim_process> world_;
  /// By who shows and of whom: in which life of the first, and what.
  std::map<std::pair<process_id, process_id>, std::pair<std::uint64_t, cluster::incarnation>>
    shown_;
  /// Who gets to its mail late, in the part of the run for that.
  process_id starved_ = nobody;
  process_id leaver_ = nobody;
  std::uint64_t deaths_ = 0;
  std::uint64_t looks_ = 0;
};

} // namespace troupe::sim
