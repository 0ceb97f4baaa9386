#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/cluster/swim.hpp"
#include "troupe/cluster/swim_options.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"
#include "troupe/sim/world/swim_member.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// What the processes of a world with `swim` share, and what the laws look at.
struct swim_setting {
  cluster::swim_options options{};
  /// Who starts looks for others. Else somebody makes them known to each other.
  bool joins = true;
  /// The process of each node, and its key.
  std::map<node_id, process_id> nodes;
  std::vector<public_key> keys;
  /// Of each process that runs: what it has said last.
  std::map<process_id, swim_card> cards;
  /// All that was ever signed: with which addresses.
  std::map<node_id, std::set<std::pair<cluster::incarnation, std::string>>> stated;
  /// Called for each change of what a process shows.
  std::function<void(process_id, std::uint64_t life, const cluster::swim::shows&)> on_shows
    = [](auto...) {};
  std::vector<std::string> violations;
  std::uint64_t mails = 0;
  std::uint64_t rumours = 0;

  void broken(std::string what) {
    constexpr std::size_t enough = 20;
    if (violations.size() < enough)
      violations.push_back(std::move(what));
  }
};

/// One node that runs `swim` and nothing else. What goes over a link is a message like any, and
/// gets lost like any.
class swim_process {
public:
  using message = swim_message;
  using setting = swim_setting;

  /// How often it was started.
  struct disk {
    boot_number boot = 0;

    void crash(random_source&) {}
  };

  explicit swim_process(environment<swim_process>& here)
    : here_(here),
      member_(here, here.setting().keys.at(here.self()), ++here.disk().boot, here.setting().options,
              here.random().next(), surroundings()) {
    step(cluster::swim::begin{address_of(here.self(), here.disk().boot)});
    if (here.setting().joins)
      join();
  }

  swim_process(const swim_process&) = delete;
  swim_process& operator=(const swim_process&) = delete;

  ~swim_process() {
    here_.setting().cards.erase(here_.self());
  }

  static std::string address_of(process_id which, boot_number boot) {
    return "p" + std::to_string(which) + ":" + std::to_string(boot);
  }

  void receive(process_id from, const message& what) {
    auto hears = [this, from](const message& each) { member_.hear(node_of(from), each); };
    if (here_.now() >= busy_until_)
      return hears(what);
    here_.after(busy_until_ - here_.now(), [hears, what] { hears(what); });
  }

  /// Gets to no message before `span` is over, but to its own deadlines: who reads is starved.
  void be_busy(duration span) {
    busy_until_ = here_.now() + span;
  }

  void wake() {
    member_.tick();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return it().next_deadline();
  }

  [[nodiscard]] const cluster::swim& it() const {
    return member_.it();
  }

  void step(cluster::swim::event what) {
    member_.step(std::move(what));
  }

  /// As a greeting over a link does: each learns of the other.
  void meet(process_id other) {
    auto found = here_.setting().cards.find(other);
    if (found == here_.setting().cards.end() || !it().own())
      return;
    member_.show_card(node_of(other));
    step(swim_card{found->second});
  }

private:
  /// Greets somebody now and then, as links are made for all kinds of reasons: often until it knows
  /// anybody.
  void join() {
    here_.after(std::chrono::milliseconds{it().present() > 1 ? 3'000 : 50}, [this] {
      auto& cards = here_.setting().cards;
      if (!here_.setting().joins)
        return;
      if (cards.size() > 1)
        meet(
          std::next(cards.begin(), static_cast<std::ptrdiff_t>(here_.random().below(cards.size())))
            ->first);
      join();
    });
  }

  [[nodiscard]] node_id node_of(process_id which) const {
    return id_of(here_.setting().keys.at(which));
  }

  [[nodiscard]] process_id place_of(const node_id& node) const {
    auto found = here_.setting().nodes.find(node);
    return found == here_.setting().nodes.end() ? ~process_id{0} : found->second;
  }

  swim_surroundings surroundings() {
    return {.mail = [this](cluster::swim::send& what) { mail(what); },
            .over_link = [this](const node_id& to,
                                swim_message what) { here_.send(place_of(to), std::move(what)); },
            .on_shows =
              [this](const cluster::swim::shows& what) {
                here_.setting().on_shows(here_.self(), here_.life(), what);
              },
            .on_says =
              [this](const cluster::statement& what) {
                here_.setting().stated[what.node].emplace(what.when, what.address);
              },
            .on_said = [this](const swim_card& own) { here_.setting().cards[here_.self()] = own; }};
  }

  /// What is sent to where a node was in an earlier life gets nowhere.
  void mail(cluster::swim::send& what) {
    auto& all = here_.setting();
    ++all.mails;
    all.rumours += what.what.rumours.size();
    auto to = place_of(what.to);
    auto found = all.cards.find(to);
    if (found != all.cards.end() && found->second.what.what.address == what.address)
      here_.send(to, std::move(what.what));
  }

  environment<swim_process>& here_;
  swim_member<swim_process> member_;
  time_point busy_until_{};
};

} // namespace troupe::sim
