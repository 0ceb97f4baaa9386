#pragma once

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/net/link_table.hpp"

namespace troupe::test {

/// A few link tables and the connections between them. Whatever is under way is
/// delivered when the test says so, in order on each connection, in any order between
/// them. Holds each table to the one law that never has an exception: one link to a
/// node at a time.
class link_world {
public:
  /// What can happen next: something arrives at one end of a connection.
  struct arrival {
    std::size_t wire = 0;
    net::side at = net::side::dialled;
  };

  explicit link_world(std::vector<net::hello> nodes, net::table_options options = {}) {
    for (auto& each : nodes)
      tables_.emplace_back(std::move(each), options);
  }

  [[nodiscard]] const net::link_table& table(std::size_t node) const {
    return tables_.at(node);
  }

  /// Lets `from` dial the address of `to`; with `known` it expects it there.
  void dial(std::size_t from, std::size_t to, bool known) {
    auto id = ++last_id_;
    auto who = known ? std::optional{tables_[to].self().node} : std::nullopt;
    wires_.push_back({{from, id, {}}, {to, ++last_id_, {}}});
    auto index = wires_.size() - 1;
    place_.emplace(id, arrival{index, net::side::dialled});
    place_.emplace(id + 1, arrival{index, net::side::accepted});
    wires_[index].dialler.coming.push_back(connected_item{});
    wires_[index].acceptor.coming.push_back(arrives_item{});
    step(from, net::dial{id, who});
  }

  [[nodiscard]] std::vector<arrival> possible() const {
    std::vector<arrival> result;
    for (std::size_t index = 0; index < wires_.size(); ++index) {
      auto& [dialler, acceptor, stalled] = wires_[index];
      if (stalled)
        continue;
      // TCP connects before anything is said, and an end that is no end yet hears nothing.
      if (!dialler.coming.empty())
        result.push_back({index, net::side::dialled});
      if (!acceptor.coming.empty())
        result.push_back({index, net::side::accepted});
    }
    return result;
  }

  void deliver(const arrival& what) {
    auto& it = end_at(what);
    auto item = std::move(it.coming.front());
    it.coming.pop_front();
    auto node = it.node;
    auto id = it.id;
    auto at = what;
    troupe::visit(overloaded{
                    [&](connected_item) { step(node, net::connected{id}); },
                    [&](arrives_item) { step(node, net::accepted{id}); },
                    [&](net::greeting& said) {
                      step(node, net::heard{id, std::move(said)});
                    },
                    [&](basp_item) {
                      if (end_at(at).has_link) {
                        end_at(at).is_up = true;
                        step(node, net::up{id});
                      }
                    },
                    [&](closed_item) { lose(at); },
                  },
                  item);
  }

  /// Nothing passes any more, and nobody is told.
  void stall(std::size_t index) {
    wires_[index].stalled = true;
  }

  /// The connection is reset; what was under way is lost.
  void reset(std::size_t index) {
    for (auto at : {arrival{index, net::side::dialled}, arrival{index, net::side::accepted}}) {
      auto& it = end_at(at);
      if (it.is_closed)
        continue;
      it.coming.clear();
      it.coming.push_back(closed_item{});
    }
  }

  [[nodiscard]] std::size_t dialler_of(std::size_t index) const {
    return wires_[index].dialler.node;
  }

  [[nodiscard]] std::size_t wires() const {
    return wires_.size();
  }

  /// Lets time pass until the next deadline of any table, nothing if there is none.
  bool pass_time() {
    std::optional<time_point> next;
    for (auto& each : tables_)
      if (auto mine = each.next_deadline(); mine && (!next || *mine < *next))
        next = mine;
    if (!next)
      return false;
    now_ = std::max(now_, *next);
    for (std::size_t node = 0; node < tables_.size(); ++node) {
      net::link_table::effects out;
      for (auto& each : wires_)
        for (auto* it : {&each.dialler, &each.acceptor})
          if (it->node == node && it->is_up && !it->is_closed && !each.stalled)
            tables_[node].step(now_, net::alive{it->id, now_}, out);
      tables_[node].tick(now_, out);
      carry_out(node, out);
    }
    return true;
  }

  /// Delivers everything and lets time pass until no attempt is left.
  void settle() {
    for (auto rounds = 0; rounds < 10'000; ++rounds) {
      auto next = possible();
      if (!next.empty())
        deliver(next.front());
      else if (!is_greeting() || !pass_time())
        return;
    }
    FAIL("the tables never come to rest");
  }

  /// Returns the connection that is the link between two nodes on both sides, nothing if
  /// neither has one. Fails if they do not agree.
  [[nodiscard]] std::optional<std::size_t> agreed_link(std::size_t one, std::size_t other) const {
    std::optional<std::size_t> result;
    for (std::size_t index = 0; index < wires_.size(); ++index) {
      auto& it = wires_[index];
      if (std::set{it.dialler.node, it.acceptor.node} != std::set{one, other})
        continue;
      REQUIRE(it.dialler.has_link == it.acceptor.has_link);
      REQUIRE(it.dialler.is_up == it.acceptor.is_up);
      if (!it.dialler.has_link)
        continue;
      REQUIRE_FALSE(result.has_value());
      REQUIRE(it.dialler.is_up);
      result = index;
    }
    auto of = [&](std::size_t from, std::size_t to) {
      return tables_[from].link_to(tables_[to].self().node).has_value();
    };
    REQUIRE(of(one, other) == result.has_value());
    REQUIRE(of(other, one) == result.has_value());
    return result;
  }

  /// Why connections were dropped, by node.
  [[nodiscard]] const std::multiset<std::pair<std::size_t, net::verdict>>& drops() const {
    return drops_;
  }

private:
  struct connected_item {};
  struct arrives_item {};
  struct basp_item {};
  struct closed_item {};
  using message = std::variant<connected_item, arrives_item, net::greeting, basp_item, closed_item>;

  struct end {
    std::size_t node = 0;
    net::connection_id id = 0;
    std::deque<message> coming = {};
    bool has_link = false;
    bool is_up = false;
    bool is_closed = false;
  };

  struct wire {
    end dialler;
    end acceptor;
    bool stalled = false;
  };

  end& end_at(const arrival& where) {
    auto& it = wires_[where.wire];
    return where.at == net::side::dialled ? it.dialler : it.acceptor;
  }

  end& other_end(const arrival& where) {
    auto& it = wires_[where.wire];
    return where.at == net::side::dialled ? it.acceptor : it.dialler;
  }

  [[nodiscard]] bool is_greeting() const {
    for (auto& each : tables_)
      if (each.unfinished() > 0)
        return true;
    return false;
  }

  void step(std::size_t node, const net::event& what) {
    net::link_table::effects out;
    tables_[node].step(now_, what, out);
    carry_out(node, out);
  }

  void carry_out(std::size_t node, const net::link_table::effects& out) {
    for (auto& each : out)
      troupe::visit([&](const auto& what) { perform(node, what); }, each);
  }

  void perform(std::size_t, const net::say& what) {
    send(place_.at(what.connection), what.what);
  }

  void perform(std::size_t node, const net::drop& what) {
    drops_.emplace(node, what.why);
    hang_up(place_.at(what.connection));
  }

  void perform(std::size_t node, const net::hand_over& what) {
    auto where = place_.at(what.connection);
    auto& it = end_at(where);
    auto& peer = other_end(where);
    REQUIRE(it.node == node);
    REQUIRE(tables_[peer.node].self().node == what.peer.node);
    REQUIRE(where.at == what.end);
    for (auto& each : wires_) // the law
      for (auto* mine : {&each.dialler, &each.acceptor})
        if (mine->node == node && mine->has_link) {
          auto& theirs = mine == &each.dialler ? each.acceptor : each.dialler;
          REQUIRE(theirs.node != peer.node);
        }
    it.has_link = true;
    send(where, basp_item{});
  }

  void perform(std::size_t, const net::close_link& what) {
    auto where = place_.at(what.connection);
    hang_up(where);
    end_at(where).has_link = false;
    end_at(where).is_up = false;
    step(end_at(where).node, net::ended{what.connection});
  }

  void perform(std::size_t, const net::adopt&) {}

  void perform(std::size_t, const net::start_over&) {
    FAIL_CHECK("nobody dials through another");
  }

  void perform(std::size_t, const net::relay_wanted&) {
    FAIL_CHECK("nobody asks for a relay");
  }

  void perform(std::size_t, const net::bootstrap_wanted&) {
    FAIL_CHECK("nobody asks how to found a cluster");
  }

  void perform(std::size_t, const net::bootstrap_heard&) {
    FAIL_CHECK("nobody has asked that");
  }

  void perform(std::size_t node, const net::outlived& what) {
    step(node, net::risen{what.heard + 1});
  }

  void send(const arrival& from, message what) {
    auto& to = other_end(from);
    if (!to.is_closed)
      to.coming.push_back(std::move(what));
  }

  void hang_up(const arrival& where) {
    auto& it = end_at(where);
    if (std::exchange(it.is_closed, true))
      return;
    it.coming.clear();
    send(where, closed_item{});
  }

  /// An end hears that the other is gone.
  void lose(const arrival& where) {
    auto& it = end_at(where);
    hang_up(where);
    auto id = it.id;
    it.is_up = false;
    if (std::exchange(it.has_link, false))
      step(it.node, net::ended{id});
    else
      step(it.node, net::broken{id, net::verdict::closed});
  }

  std::vector<net::link_table> tables_;
  std::deque<wire> wires_;
  std::map<net::connection_id, arrival> place_;
  std::multiset<std::pair<std::size_t, net::verdict>> drops_;
  net::connection_id last_id_ = 0;
  time_point now_{};
};

inline net::hello member(std::uint8_t number, std::uint8_t cluster = 7, boot_number boot = 1) {
  net::hello result;
  result.node.bytes.back() = std::byte{number};
  result.cluster.bytes.back() = std::byte{cluster};
  result.boot = boot;
  result.entry_point = 100U + number;
  result.basp_node = "basp" + std::to_string(number) + "." + std::to_string(boot);
  return result;
}

} // namespace troupe::test
