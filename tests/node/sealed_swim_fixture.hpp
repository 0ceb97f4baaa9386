#pragma once

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/sealed_swim.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/security/key_agreement.hpp"
#include "troupe/security/key_pair.hpp"

namespace troupe::test {

using cluster::member_card;
using cluster::member_status;
using cluster::sealed_swim;
using cluster::swim;

/// Some members, one network, and links between any two of them. Nothing is lost but what a test
/// cuts.
class some_members {
public:
  struct one {
    security::key_pair key = security::key_pair::make();
    boot_number boot = 0;
    bool runs = false;
    /// What came of it since it was started.
    std::vector<sealed_swim::effect> done{};
    std::optional<sealed_swim> it{};
  };

  explicit some_members(std::size_t count, cluster::swim_options how = cluster::swim_options::lan())
    : options_(how) {
    for (std::size_t each = 0; each < count; ++each) {
      all.push_back(std::make_unique<one>());
      start(each);
    }
    for (std::size_t each = 1; each < count; ++each)
      link(0, each);
  }

  /// The next life of it.
  void start(std::size_t which) {
    auto& me = *all[which];
    ++me.boot;
    me.done.clear();
    auto agreement = security::key_agreement::make();
    security::boot_salt salt;
    for (auto& each : salt.bytes)
      each = static_cast<std::byte>(random_.next());
    cluster::offer_of_life offers{id(which), me.boot, {agreement.public_half(), salt}};
    me.it.emplace(cluster::sealed_swim_setup{me.key.public_half(), me.boot, agreement, salt,
                                             me.key.sign(cluster::to_be_signed(offers)), "",
                                             options_},
                  random_.next(), &verify_counted);
    me.runs = true;
    step(which, swim::begin{address(which)});
  }

  /// Signatures that all members have looked at, in all tests.
  inline static std::size_t looks = 0;

  static bool verify_counted(const public_key& key, std::string_view what, const signature& by) {
    ++looks;
    return verify(key, what, by);
  }

  /// SIGKILL, or SIGSTOP.
  void stop(std::size_t which) {
    all[which]->runs = false;
  }

  void go_on(std::size_t which) {
    all[which]->runs = true;
  }

  [[nodiscard]] node_id id(std::size_t which) const {
    return id_of(all[which]->key.public_half());
  }

  [[nodiscard]] static std::string address(std::size_t which) {
    return "m" + std::to_string(which) + ":1";
  }

  sealed_swim& at(std::size_t which) {
    return *all[which]->it;
  }

  /// A link comes up: the one that has dialled shows its card, and gets the other's.
  void link(std::size_t dials, std::size_t accepts) {
    if (!are_linked(dials, accepts))
      return;
    auto mine = at(dials).card_of(id(dials));
    auto theirs = at(accepts).card_of(id(accepts));
    step(accepts, sealed_swim::met{*mine});
    step(dials, sealed_swim::met{*theirs});
  }

  void receive(std::size_t from, std::size_t to, const std::string& datagram) {
    sender_ = from;
    step(to, sealed_swim::arrived{datagram});
  }

  void step(std::size_t which, sealed_swim::event what) {
    sealed_swim::effects out;
    at(which).step(now, 0, std::move(what), out);
    perform(which, out);
  }

  void pass(duration span) {
    auto until = now + span;
    for (;;) {
      auto next = until;
      std::optional<std::size_t> who;
      for (std::size_t each = 0; each < all.size(); ++each)
        if (auto due = at(each).next_deadline(); all[each]->runs && due && *due < next) {
          next = *due;
          who = each;
        }
      if (!who)
        break;
      now = std::max(now, next);
      sealed_swim::effects out;
      at(*who).tick(now, out);
      perform(*who, out);
    }
    now = until;
    for (std::size_t each = 0; each < all.size(); ++each)
      if (all[each]->runs)
        CHECK(at(each).flaws().empty());
  }

  [[nodiscard]] std::optional<member_status> shows(std::size_t who, std::size_t whom) {
    auto found = at(who).members().find(id(whom));
    return found ? std::optional{found->state} : std::nullopt;
  }

  /// Whether all that run show `whom` so.
  [[nodiscard]] bool all_show(std::size_t whom, member_status is) {
    for (std::size_t each = 0; each < all.size(); ++each)
      if (each != whom && all[each]->runs && shows(each, whom) != is)
        return false;
    return true;
  }

  template <class What>
  [[nodiscard]] std::vector<What> done(std::size_t which) const {
    std::vector<What> found;
    for (auto& each : all[which]->done)
      if (auto* what = std::get_if<What>(&each))
        found.push_back(*what);
    return found;
  }

  /// Whether a link can be made.
  [[nodiscard]] bool are_linked(std::size_t a, std::size_t b) const {
    return all[a]->runs && all[b]->runs && are_on_one_side(a, b) && !cut_links.contains({a, b})
           && !cut_links.contains({b, a});
  }

  [[nodiscard]] bool are_on_one_side(std::size_t a, std::size_t b) const {
    return cut_off.contains(a) == cut_off.contains(b);
  }

  std::vector<std::unique_ptr<one>> all;
  time_point now{std::chrono::hours{1}};
  /// Those from, or to, whom no datagrams come.
  std::set<std::size_t> without_datagrams;
  std::set<std::pair<std::size_t, std::size_t>> cut_links;
  /// Between these and the others neither links nor datagrams get there.
  std::set<std::size_t> cut_off;
  /// All datagrams that ever went.
  std::vector<sealed_swim::send> sent;

private:
  [[nodiscard]] std::optional<std::size_t> find(const node_id& who) const {
    for (std::size_t each = 0; each < all.size(); ++each)
      if (id(each) == who)
        return each;
    return std::nullopt;
  }

  void perform(std::size_t who, sealed_swim::effects& out) {
    for (auto& each : out) {
      all[who]->done.push_back(each);
      troupe::visit([&](auto& what) { this->carry_out(who, what); }, each);
    }
  }

  void carry_out(std::size_t who, const sealed_swim::send& what) {
    sent.push_back(what);
    auto to = find(what.to);
    if (!to || !all[*to]->runs || what.address != address(*to) || !are_on_one_side(who, *to)
        || without_datagrams.contains(who) || without_datagrams.contains(*to))
      return;
    receive(who, *to, what.datagram);
  }

  void carry_out(std::size_t, const sealed_swim::reply& what) {
    auto to = sender_;
    if (all[to]->runs)
      step(to, sealed_swim::arrived{what.datagram});
  }

  void carry_out(std::size_t who, const sealed_swim::introduce& what) {
    if (auto to = find(what.to))
      link(who, *to);
  }

  void carry_out(std::size_t who, const swim::reach& what) {
    auto to = find(what.whom);
    step(who, swim::reached{what.number, to && are_linked(who, *to)});
  }

  void carry_out(std::size_t who, const swim::sign& what) {
    auto by = all[who]->key.sign(cluster::to_be_signed(what.what));
    step(who, swim::stated{{what.what, by}});
  }

  void carry_out(std::size_t who, const swim::ask& what) {
    auto from = find(what.from);
    if (!from || !are_linked(who, *from))
      return;
    if (auto card = at(*from).card_of(what.whom))
      step(who, sealed_swim::met{*card, what.whom == what.from});
  }

  void carry_out(std::size_t who, const swim::sync& what) {
    auto with = find(what.with);
    if (!with || !are_linked(who, *with))
      return;
    auto mine = at(who).members().page({}, 10'000).first;
    auto theirs = at(*with).members().page({}, 10'000).first;
    step(*with, swim::told{id(who), mine});
    step(who, swim::told{id(*with), theirs});
  }

  template <class Effect>
  void carry_out(std::size_t, const Effect&) {}

  const cluster::swim_options options_;
  random_source random_{7};
  std::size_t sender_ = 0;
};

} // namespace troupe::test
