#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/swim.hpp"
#include "troupe/cluster/swim_options.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// Stands for a signature: whoever knows the key could make it, and nobody here does but its owner.
inline signature sign_with(const public_key& key, std::string_view what) {
  random_source bits{0};
  auto mix = [&bits](std::string_view text) {
    for (auto each : text)
      bits = random_source{bits.next() ^ static_cast<unsigned char>(each)};
  };
  mix({reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size()});
  mix(what);
  signature made;
  for (auto& each : made.bytes)
    each = static_cast<std::byte>(bits.next());
  return made;
}

inline bool is_signed_with(const public_key& key, std::string_view what, const signature& by) {
  return sign_with(key, what) == by;
}

/// What goes over links: more than a datagram holds.
struct swim_link_ping {
  std::uint32_t number = 0;
};

struct swim_link_pong {
  std::uint32_t number = 0;
};

struct swim_pages {
  std::shared_ptr<const std::vector<cluster::rumour>> all;
  bool is_question = true;
};

struct swim_who {
  node_id node;
};

using swim_card = cluster::swim::introduced;

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
  using message = std::variant<cluster::swim_mail, swim_link_ping, swim_link_pong, swim_pages,
                               swim_who, swim_card>;
  using setting = swim_setting;

  /// How often it was started.
  struct disk {
    boot_number boot = 0;

    void crash(random_source&) {}
  };

  explicit swim_process(environment<swim_process>& here)
    : here_(here),
      key_(here.setting().keys.at(here.self())),
      it_(id_of(key_), ++here.disk().boot, here.setting().options, here.random().next(),
          &is_signed_with) {
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
    auto hears = [this, from](const message& each) {
      std::visit([&](const auto& one) { hear(from, one); }, each);
    };
    if (here_.now() >= busy_until_)
      return hears(what);
    here_.after(busy_until_ - here_.now(), [hears, what] { hears(what); });
  }

  /// Gets to no message before `span` is over, but to its own deadlines: who reads is starved.
  void be_busy(duration span) {
    busy_until_ = here_.now() + span;
  }

  void wake() {
    cluster::swim::effects out;
    it_.tick(here_.now(), out);
    perform(out);
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return it_.next_deadline();
  }

  [[nodiscard]] const cluster::swim& it() const {
    return it_;
  }

  void step(cluster::swim::event what) {
    cluster::swim::effects out;
    it_.step(here_.now(), 0, std::move(what), out);
    perform(out);
  }

  /// As a greeting over a link does: each learns of the other.
  void meet(process_id other) {
    auto found = here_.setting().cards.find(other);
    if (found == here_.setting().cards.end() || !it_.own())
      return;
    here_.send(other, swim_card{key_, *it_.own()});
    step(swim_card{found->second});
  }

private:
  /// Greets somebody now and then, as links are made for all kinds of reasons: often until it knows
  /// anybody.
  void join() {
    here_.after(std::chrono::milliseconds{it_.present() > 1 ? 3'000 : 50}, [this] {
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

  // -- what comes ------------------------------------------------------------------------

  [[nodiscard]] node_id node_of(process_id which) const {
    return id_of(here_.setting().keys.at(which));
  }

  void hear(process_id from, const cluster::swim_mail& what) {
    step(cluster::swim::heard{node_of(from), what});
  }

  void hear(process_id from, const swim_link_ping& what) {
    here_.send(from, swim_link_pong{what.number});
  }

  void hear(process_id, const swim_link_pong& what) {
    step(cluster::swim::reached{what.number, true});
  }

  void hear(process_id from, const swim_pages& what) {
    step(cluster::swim::told{node_of(from), *what.all});
    if (what.is_question)
      here_.send(from, pages(false));
  }

  void hear(process_id from, const swim_who& what) {
    if (auto found = it_.card_of(what.node))
      here_.send(from, *std::move(found));
    else if (what.node == id_of(key_) && it_.own())
      here_.send(from, swim_card{key_, *it_.own()});
  }

  void hear(process_id, const swim_card& what) {
    step(what);
  }

  // -- what it does ----------------------------------------------------------------------

  void perform(cluster::swim::effects& out) {
    for (auto& each : out)
      std::visit([this](auto& what) { this->perform(what); }, each);
  }

  [[nodiscard]] process_id place_of(const node_id& node) const {
    auto found = here_.setting().nodes.find(node);
    return found == here_.setting().nodes.end() ? ~process_id{0} : found->second;
  }

  void perform(cluster::swim::send& what) {
    auto& all = here_.setting();
    ++all.mails;
    all.rumours += what.what.rumours.size();
    auto to = place_of(what.to);
    // What is sent to where it was in an earlier life gets nowhere.
    auto found = all.cards.find(to);
    if (found != all.cards.end() && found->second.what.what.address == what.address)
      here_.send(to, std::move(what.what));
  }

  void perform(const cluster::swim::reach& what) {
    here_.send(place_of(what.whom), swim_link_ping{what.number});
  }

  void perform(const cluster::swim::sign& what) {
    auto text = cluster::to_be_signed(what.what);
    here_.setting().stated[what.what.node].emplace(what.what.when, what.what.address);
    cluster::signed_statement made{what.what, sign_with(key_, text)};
    here_.after(std::chrono::microseconds{100}, [this, made] {
      here_.setting().cards[here_.self()] = {key_, made};
      step(cluster::swim::stated{made});
    });
  }

  void perform(const cluster::swim::ask& what) {
    here_.send(place_of(what.from), swim_who{what.whom});
  }

  [[nodiscard]] swim_pages pages(bool is_question) const {
    std::vector<cluster::rumour> all;
    constexpr std::size_t at_once = 1'000;
    for (node_id after{};;) {
      auto [some, last] = it_.page(after, at_once);
      if (some.empty())
        break;
      all.insert(all.end(), some.begin(), some.end());
      after = last;
    }
    return {std::make_shared<const std::vector<cluster::rumour>>(std::move(all)), is_question};
  }

  void perform(const cluster::swim::sync& what) {
    here_.send(place_of(what.with), pages(true));
  }

  void perform(const cluster::swim::shows& what) {
    here_.setting().on_shows(here_.self(), here_.life(), what);
  }

  void perform(const cluster::swim::forgot&) {}
  void perform(const cluster::swim::no_datagrams&) {}
  void perform(const cluster::swim::complain&) {}

  environment<swim_process>& here_;
  const public_key key_;
  cluster::swim it_;
  time_point busy_until_{};
};

} // namespace troupe::sim
