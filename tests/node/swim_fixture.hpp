#pragma once

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "support/take.hpp"
#include "troupe/cluster/swim.hpp"
#include "troupe/sim/world/swim_process.hpp"

namespace troupe::test {

using cluster::accusation;
using cluster::member_status;
using cluster::swim;

/// One member of a cluster, as the others hear it. It answers nothing by itself, but that what it
/// says of itself is signed.
class one_member {
public:
  static constexpr boot_number boot = 5;

  explicit one_member(const cluster::swim_options& how = {})
    : it_(id("self"), boot, how, 1, &sim::is_signed_with) {
    step(swim::begin{"self:1"});
    sign();
    out.clear();
  }

  static public_key key(const std::string& name) {
    public_key made;
    for (std::size_t each = 0; each < name.size(); ++each)
      made.bytes[each] = static_cast<std::byte>(name[each]);
    return made;
  }

  static node_id id(const std::string& name) {
    return id_of(key(name));
  }

  static cluster::signed_statement said(const std::string& name, cluster::incarnation when = {1, 0},
                                        bool leaves = false,
                                        const std::string& address = "there:1") {
    cluster::statement made{id(name), when, leaves, address};
    return {made, sim::sign_with(key(name), cluster::to_be_signed(made))};
  }

  void step(swim::event what) {
    run([&] { it_.step(now, 0, std::move(what), out); });
  }

  /// Signs what it wants to say last.
  void sign() {
    auto wanted = take<swim::sign>();
    if (wanted.empty())
      return;
    auto text = cluster::to_be_signed(wanted.back().what);
    step(swim::stated{{wanted.back().what, sim::sign_with(key("self"), text)}});
  }

  /// Members that were always there: nothing is said of them.
  void knows(const std::vector<std::string>& names) {
    for (auto& each : names)
      step(swim::introduced{key(each), said(each), false});
    out.clear();
  }

  /// Runs all that is due meanwhile.
  void pass(duration span) {
    auto until = now + span;
    for (auto due = it_.next_deadline(); due && *due <= until; due = it_.next_deadline()) {
      now = std::max(now, *due);
      run([&] { it_.tick(now, out); });
    }
    now = until;
  }

  void hear(const std::string& from, std::vector<cluster::rumour> rumours) {
    step(swim::heard{id(from), {cluster::swim_news{}, std::move(rumours)}});
  }

  template <class What>
  void mail(const std::string& from, What what) {
    step(swim::heard{id(from), {what, {}}});
  }

  void accuse(const std::string& by, const std::string& whom, bool is_dead = false,
              cluster::incarnation when = {1, 0}) {
    hear(by, {accusation{id(whom), when, id(by), is_dead}});
  }

  /// `by` suspects it, and it does not contradict in time.
  void bury(const std::string& by, const std::string& whom) {
    accuse(by, whom);
    while (state_of(whom) == member_status::suspect)
      pass(std::chrono::milliseconds{10});
  }

  // -- what it did -------------------------------------------------------------------------

  /// What it did lately, of one kind.
  template <class Effect>
  std::vector<Effect> take() {
    return test::take<Effect>(out);
  }

  /// Mail of that kind that went out lately: to whom, and what. The others are forgotten.
  template <class What>
  std::vector<std::pair<node_id, What>> sent() {
    std::vector<std::pair<node_id, What>> found;
    for (auto& each : take<swim::send>())
      if (auto* one = std::get_if<What>(&each.what.what))
        found.emplace_back(each.to, *one);
    return found;
  }

  [[nodiscard]] std::optional<member_status> state_of(const std::string& name) const {
    auto found = it_.find(id(name));
    return found ? std::optional{found->state} : std::nullopt;
  }

  /// Has it ping that member, which does not answer from here on. Returns the number of the ping.
  std::uint32_t ping(const std::string& name) {
    silent.insert(id(name));
    out.clear();
    step(swim::doubted{id(name)});
    auto pings = sent<cluster::swim_ping>();
    REQUIRE(pings.size() == 1);
    REQUIRE(pings.front().first == id(name));
    return pings.front().second.number;
  }

  [[nodiscard]] const swim& it() const {
    return it_;
  }

  time_point now{std::chrono::hours{1}};
  swim::effects out;
  /// Who does not answer pings.
  std::set<node_id> silent;

private:
  template <class Job>
  void run(Job job) {
    auto before = out.size();
    job();
    for (auto& flaw : it_.flaws())
      FAIL_CHECK(flaw);
    for (auto& [to, number] : pings_since(before))
      if (!silent.contains(to))
        step(swim::heard{to, {cluster::swim_ack{number}, {}}});
  }

  [[nodiscard]] std::vector<std::pair<node_id, std::uint32_t>>
  pings_since(std::size_t first) const {
    std::vector<std::pair<node_id, std::uint32_t>> found;
    for (auto each = first; each < out.size(); ++each)
      if (auto* mail = std::get_if<swim::send>(&out[each]))
        if (auto* one = std::get_if<cluster::swim_ping>(&mail->what.what))
          found.emplace_back(mail->to, one->number);
    return found;
  }

  swim it_;
};

} // namespace troupe::test
