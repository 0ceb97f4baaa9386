#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
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
#include "troupe/core/visit.hpp"
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

/// Mail, or one of those that go over links.
using swim_message = std::variant<cluster::swim_mail, swim_link_ping, swim_link_pong, swim_pages,
                                  swim_who, swim_card>;

/// How a swim_member reaches others, and who hears of what it does.
struct swim_surroundings {
  /// Called with mail, for whoever is at that address.
  std::function<void(cluster::swim::send&)> mail;
  /// Called with what goes over the link to that node. Dropped if there is none.
  std::function<void(const node_id& to, swim_message what)> over_link;
  /// Called for each change of what it shows.
  std::function<void(const cluster::swim::shows&)> on_shows;
  /// Called for those of whom it knows nothing any more.
  std::function<void(const node_id&)> on_forgot = [](auto&) {};
  /// Called with what it is about to sign, and with that when it has signed it.
  std::function<void(const cluster::statement&)> on_says = [](auto&) {};
  std::function<void(const swim_card&)> on_said = [](auto&) {};
  /// Called once what it has signed is what it says.
  std::function<void(const cluster::signed_statement&)> on_spoke = [](auto&) {};
  /// Called with what another life of it has signed.
  std::function<void(const cluster::signed_statement&)> on_met_itself = [](auto&) {};
  std::function<void()> on_was_dead = [] {};
  /// Called when another member has answered a comparison.
  std::function<void()> on_compared = [] {};
};

/// The `swim` of one process, with what a node does for it: signatures, and what goes over links.
template <class Process>
class swim_member {
public:
  /// `here` outlives this.
  swim_member(environment<Process>& here, const public_key& key, boot_number boot,
              const cluster::swim_options& options, std::uint64_t seed, swim_surroundings around)
    : here_(here),
      key_(key),
      around_(std::move(around)),
      it_(id_of(key_), boot, options, seed, &is_signed_with) {}

  swim_member(const swim_member&) = delete;
  swim_member& operator=(const swim_member&) = delete;

  void step(cluster::swim::event what) {
    cluster::swim::effects out;
    it_.step(here_.now(), 0, std::move(what), out);
    perform(out);
  }

  void tick() {
    cluster::swim::effects out;
    it_.tick(here_.now(), out);
    perform(out);
  }

  void hear(const node_id& from, const swim_message& what) {
    troupe::visit([&](const auto& each) { take(from, each); }, what);
  }

  /// What it says of itself; no value before that is signed.
  [[nodiscard]] std::optional<swim_card> card() const {
    if (!it_.own())
      return std::nullopt;
    return swim_card{key_, *it_.own()};
  }

  /// As a greeting over a link does.
  void show_card(const node_id& to) {
    if (auto own = card())
      around_.over_link(to, *std::move(own));
  }

  [[nodiscard]] const cluster::swim& it() const {
    return it_;
  }

private:
  // -- what comes ------------------------------------------------------------------------

  void take(const node_id& from, const cluster::swim_mail& what) {
    step(cluster::swim::heard{from, what});
  }

  void take(const node_id& from, const swim_link_ping& what) {
    around_.over_link(from, swim_link_pong{what.number});
  }

  void take(const node_id&, const swim_link_pong& what) {
    step(cluster::swim::reached{what.number, true});
  }

  void take(const node_id& from, const swim_pages& what) {
    step(cluster::swim::told{from, *what.all});
    if (what.is_question)
      around_.over_link(from, pages(false));
    else
      around_.on_compared();
  }

  void take(const node_id& from, const swim_who& what) {
    if (auto found = it_.card_of(what.node))
      around_.over_link(from, *std::move(found));
    else if (what.node == id_of(key_))
      show_card(from);
  }

  void take(const node_id&, const swim_card& what) {
    step(what);
  }

  // -- what it does ----------------------------------------------------------------------

  void perform(cluster::swim::effects& out) {
    for (auto& each : out)
      troupe::visit([this](auto& what) { this->perform(what); }, each);
  }

  void perform(cluster::swim::send& what) {
    around_.mail(what);
  }

  void perform(const cluster::swim::reach& what) {
    around_.over_link(what.whom, swim_link_ping{what.number});
  }

  void perform(const cluster::swim::sign& what) {
    auto text = cluster::to_be_signed(what.what);
    around_.on_says(what.what);
    cluster::signed_statement made{what.what, sign_with(key_, text)};
    here_.after(std::chrono::microseconds{100}, [this, made] {
      around_.on_said({key_, made});
      step(cluster::swim::stated{made});
    });
  }

  void perform(const cluster::swim::ask& what) {
    around_.over_link(what.from, swim_who{what.whom});
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
    around_.over_link(what.with, pages(true));
  }

  void perform(const cluster::swim::shows& what) {
    around_.on_shows(what);
  }

  void perform(const cluster::swim::spoke& what) {
    around_.on_spoke(what.what);
  }

  void perform(const cluster::swim::met_itself& what) {
    if (is_signed_with(key_, cluster::to_be_signed(what.what.what), what.what.by))
      around_.on_met_itself(what.what);
  }

  void perform(const cluster::swim::was_dead&) {
    around_.on_was_dead();
  }

  void perform(const cluster::swim::forgot& what) {
    around_.on_forgot(what.who);
  }

  void perform(const cluster::swim::no_datagrams&) {}
  void perform(const cluster::swim::datagrams_again&) {}
  void perform(const cluster::swim::complain&) {}

  environment<Process>& here_;
  const public_key key_;
  swim_surroundings around_;
  cluster::swim it_;
};

} // namespace troupe::sim
