#pragma once

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "support/seen_effects.hpp"
#include "troupe/cluster/exchange_types.hpp"
#include "troupe/registry/own_records.hpp"
#include "troupe/registry/record_table.hpp"
#include "troupe/sim/world/swim_member.hpp"

/// Nodes that say something of themselves, and one that gets to know it.
namespace troupe::record_fixture {

using namespace std::literals;

inline public_key key_number(int number) {
  public_key made;
  made.bytes.front() = static_cast<std::byte>(number + 1);
  return made;
}

inline node_id node_number(int number) {
  return id_of(key_number(number));
}

/// A node that says something of itself.
class owner {
public:
  explicit owner(int which, boot_number boot = 1)
    : number(which), who(node_number(which)), book(who, boot) {
    registry::effects none;
    table.step({}, 0, registry::configure{registry::registry_options{}, 0}, none);
  }

  void say(const std::string& name, std::uint32_t load = 0) {
    registry::record made;
    made.key = {registry::record_kind::agent, name + '@' + to_string(who), {}};
    made.load = load;
    put(book.put(made));
  }

  void take_back(const std::string& name) {
    put(*book.remove(registry::record_kind::agent, name + '@' + to_string(who)));
  }

  void put(const registry::record& what) {
    registry::effects none;
    table.step({}, 0, registry::put_records{{what}}, none);
  }

  /// Signed anew.
  cluster::signed_statement state() {
    registry::set_digest whole;
    table.for_each_of(who, [&](auto&, auto& each) { whole.add(each); });
    return sign({who, {book.boot(), ++times}, false, "p:1", {book.version(), whole.finish()}});
  }

  [[nodiscard]] cluster::signed_statement sign(const cluster::statement& what) const {
    return {what, sim::sign_with(key_number(number), cluster::to_be_signed(what))};
  }

  [[nodiscard]] cluster::told_records page(const cluster::signed_statement& of,
                                           std::uint64_t after = 0,
                                           std::size_t room = 1'000'000) const {
    return {of, registry::page_of(*table.records_of(who, book.boot()), after, room)};
  }

  int number;
  node_id who;
  registry::own_records book;
  registry::record_table table;
  std::uint32_t times = 0;
};

/// Node 0, which gets the records of others: `Machine` is its record_pull, or its record_exchange.
template <class Machine>
struct asking : test::seen_effects<Machine> {
  using test::seen_effects<Machine>::out;

  explicit asking(cluster::exchange_options how = {})
    : it(node_number(0), how, table, &sim::is_signed_with) {
    registry::effects none;
    table.step({}, 0, registry::configure{registry::registry_options{}, 0}, none);
  }

  void step(typename Machine::event what, request_id id = 0) {
    it.step(now, id, std::move(what), out);
    CHECK(it.flaws() == std::vector<std::string>{});
  }

  void pass(duration span) {
    auto end = now + span;
    while (it.next_deadline() && *it.next_deadline() <= end) {
      now = std::max(now, *it.next_deadline());
      it.tick(now, out);
      CHECK(it.flaws() == std::vector<std::string>{});
    }
    now = end;
  }

  void hear(const owner& of, const cluster::signed_statement& what, int from = -1) {
    step(
      typename Machine::heard{what, key_number(of.number), from < 0 ? of.who : node_number(from)});
  }

  /// The one question that is asked now, or next.
  typename Machine::ask asked() {
    auto all = this->template take<typename Machine::ask>();
    while (all.empty() && it.next_deadline()) {
      pass(*it.next_deadline() - now);
      all = this->template take<typename Machine::ask>();
    }
    REQUIRE(all.size() == 1);
    last = all.front();
    return last;
  }

  void answer(std::vector<cluster::told_records> what) {
    step(typename Machine::answered{std::move(what)}, last.id);
  }

  /// All that the owner says, from there on.
  void bring(const owner& of, const cluster::signed_statement& head) {
    auto what = asked();
    REQUIRE(what.what.size() == 1);
    answer({of.page(head, what.what.front().after)});
  }

  [[nodiscard]] bool has_asked() {
    return !this->template has_none<typename Machine::ask>();
  }

  [[nodiscard]] std::size_t complaints() {
    return this->template take<typename Machine::complain>().size();
  }

  /// What is shown of that node, by loads.
  [[nodiscard]] std::vector<std::string> shows(const owner& of) const {
    std::vector<std::string> found;
    table.for_each_of(of.who, [&](const registry::record& each, auto&) {
      found.push_back(each.key.name.substr(0, each.key.name.find('@')) + ' '
                      + std::to_string(each.load));
    });
    return found;
  }

  registry::record_table table;
  Machine it;
  typename Machine::ask last{};
  time_point now{1h};
};

} // namespace troupe::record_fixture
