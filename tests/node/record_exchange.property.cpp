#include "troupe/cluster/record_exchange.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/seeds.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/registry/own_records.hpp"
#include "troupe/sim/world/swim_member.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::cluster;
using test::random_source;

namespace {

public_key key_number(std::size_t number) {
  public_key made;
  made.bytes.front() = static_cast<std::byte>(number + 1);
  return made;
}

/// Nodes that hear of each other's statements at random, and ask each other. One of them tells of
/// others what they have not said.
class exchange_world {
public:
  exchange_world(random_source& random, std::size_t nodes) : random_(random) {
    for (std::size_t each = 0; each < nodes; ++each)
      start(each, 1);
  }

  void act() {
    now_ += std::chrono::milliseconds{1 + random_.below(60)};
    for (auto& each : nodes_)
      tick(*each);
    auto which = random_.below(nodes_.size());
    auto& node = *nodes_[which];
    switch (random_.below(8)) {
      case 0:
      case 1:
      case 2:
        change(node);
        break;
      case 3:
        if (random_.one_in(10))
          start(which, node.book.boot() + 1);
        break;
      default:
        gossip();
        deliver(random_.one_in(10));
    }
    look();
  }

  void settle() {
    lies_ = false;
    auto level
      = [&] { return std::ranges::all_of(nodes_, [&](auto& each) { return is_level(*each); }); };
    for (auto rounds = 0; rounds < 4'000 && !level(); ++rounds) {
      now_ += 5ms;
      for (auto& each : nodes_)
        tick(*each);
      for (auto count = 0; count < 3; ++count)
        gossip();
      while (!mail_.empty())
        deliver(false);
      look();
    }
    for (auto& each : nodes_) {
      INFO("node " << each->number << " is behind on " << each->machine.behind());
      CHECK(is_level(*each));
    }
  }

  [[nodiscard]] std::uint64_t bytes() const {
    return bytes_;
  }

private:
  struct node_state {
    node_state(std::size_t which, boot_number boot, duration restate)
      : number(which),
        id(id_of(key_number(which))),
        book(to_string(id), boot),
        machine(id, {.restate_every = restate, .max_answer = 2'000}, table, &sim::is_signed_with) {}

    std::size_t number;
    node_id id;
    registry::own_records book;
    registry::record_table table;
    record_exchange machine;
    signed_statement said{};
    std::uint32_t times = 0;
    std::map<node_id, signed_statement> heard{};
  };

  struct letter {
    std::size_t to;
    boot_number boot;
    std::function<void(node_state&)> open;
    bool is_own = false; // it never gets lost
  };

  static constexpr std::size_t liar = 0;

  void start(std::size_t which, boot_number boot) {
    auto made = std::make_unique<node_state>(which, boot, 20ms);
    if (which < nodes_.size())
      nodes_[which] = std::move(made);
    else
      nodes_.push_back(std::move(made));
    auto& it = *nodes_[which];
    registry::effects none;
    it.table.step(now_, 0, registry::configure{registry::registry_options{}, 0}, none);
    for (std::size_t other = 0; other < nodes_.size(); ++other)
      if (other != which && random_.one_in(2))
        step(it, record_exchange::linked{id_of(key_number(other)), true});
    registry::record self;
    self.key = {registry::record_kind::node, "n" + std::to_string(which), {}};
    put(it, it.book.put(self));
    change(it);
  }

  void put(node_state& it, const registry::record& what) {
    registry::effects none;
    it.table.step(now_, 0, registry::put_records{{what}}, none);
    ever_[{it.id, it.book.boot()}].insert(registry::digest_of(what));
  }

  void change(node_state& it) {
    for (auto count = 1 + random_.below(random_.one_in(8) ? 30 : 3); count > 0; --count) {
      auto name = "a" + std::to_string(random_.below(12)) + '@' + to_string(it.id);
      registry::record made;
      made.key = {registry::record_kind::agent, name, {}};
      made.load = static_cast<std::uint32_t>(random_.below(1'000));
      std::optional<registry::record> what;
      if (random_.one_in(3))
        what = it.book.remove(registry::record_kind::agent, name);
      else
        what = it.book.put(made);
      if (what)
        put(it, *what);
    }
    step(it, record_exchange::changed{it.book.boot(), it.book.version()});
  }

  void step(node_state& it, record_exchange::event what, request_id id = 0) {
    record_exchange::effects out;
    it.machine.step(now_, id, std::move(what), out);
    carry_out(it, out);
  }

  void tick(node_state& it) {
    record_exchange::effects out;
    it.machine.tick(now_, out);
    carry_out(it, out);
  }

  void carry_out(node_state& it, record_exchange::effects& out) {
    for (auto& each : out)
      std::visit([&](auto& what) { perform(it, what); }, each);
  }

  void perform(node_state& it, record_exchange::restate& what) {
    statement made{it.id, {it.book.boot(), ++it.times}, false, "p:1", what.what};
    it.said = {made, sim::sign_with(key_number(it.number), to_be_signed(made))};
    mail_.push_back({it.number, it.book.boot(),
                     [said = it.said](node_state& at) {
                       later_.push_back({&at, record_exchange::spoke{said}, 0});
                     },
                     true});
  }

  void letters(std::size_t to, const node_state& whom, std::function<void(node_state&)> open) {
    mail_.push_back({to, whom.book.boot(), std::move(open)});
  }

  void perform(node_state& it, record_exchange::ask& what) {
    for (auto& other : nodes_)
      if (other->id == what.whom)
        letters(other->number, *other,
                [from = it.number, boot = it.book.boot(), what](node_state& at) {
                  asked_.push_back({from, boot, what.id});
                  later_.push_back({&at, record_exchange::asked{what.what}, asked_.size()});
                });
  }

  void perform(node_state& it, record_exchange::reply& what) {
    auto [to, boot, id] = asked_.at(what.id - 1);
    auto size = std::size_t{0};
    for (auto& each : what.what) {
      size += to_bytes(each).size();
      if (it.number == liar && lies_ && random_.one_in(2))
        lie(each);
    }
    bytes_ += size;
    mail_.push_back({to, boot, [all = what.what, number = id](node_state& at) {
                       later_.push_back({&at, record_exchange::answered{all}, number});
                     }});
  }

  void lie(told_records& what) {
    auto& all = what.page.records;
    switch (random_.below(5)) {
      case 0:
        if (!all.empty())
          all.pop_back();
        break;
      case 1:
        if (!all.empty())
          all.front().load += 1;
        break;
      case 2:
        what.of.what.records.version += 1;
        break;
      case 3:
        what.page.is_last = !what.page.is_last;
        break;
      default:
        what.page.after = random_.below(5);
    }
  }

  void perform(node_state& it, record_exchange::learned& what) {
    auto& of = what.what.what.node;
    for (auto& each : nodes_)
      if (each->id == of && each.get() != &it)
        step(it, record_exchange::heard{what.what, key_number(each->number), what.from});
  }

  void perform(node_state&, record_exchange::merged&) {}
  void perform(node_state&, record_exchange::complain&) {}

  /// Somebody tells somebody of somebody's last statement.
  void gossip() {
    auto& of = *nodes_[random_.below(nodes_.size())];
    auto& from = *nodes_[random_.below(nodes_.size())];
    auto& to = *nodes_[random_.below(nodes_.size())];
    auto said = from.number == of.number ? of.said : from.heard[of.id];
    if (to.number == of.number || said.what.records.version == 0)
      return;
    if (to.heard[of.id].what.when >= said.what.when && to.heard[of.id].what.records.version > 0)
      return;
    to.heard[of.id] = said;
    step(to, record_exchange::heard{said, key_number(of.number), from.id});
  }

  void deliver(bool lost) {
    if (mail_.empty())
      return;
    auto next = mail_.begin() + static_cast<std::ptrdiff_t>(random_.below(mail_.size()));
    auto what = std::move(*next);
    mail_.erase(next);
    auto& at = *nodes_[what.to];
    if ((lost && !what.is_own) || at.book.boot() != what.boot)
      return;
    what.open(at);
    for (auto& each : std::exchange(later_, {}))
      step(*each.at, std::move(each.what), each.id);
  }

  /// Nobody shows what its node has not said.
  void look() {
    for (auto& each : nodes_) {
      for (auto& flaw : each->machine.flaws())
        FAIL("flaw of node " << each->number << ": " << flaw);
      for (auto& other : nodes_)
        each->table.for_each_of(to_string(other->id), [&](const registry::record& one, auto&) {
          if (!ever_[{other->id, one.boot}].contains(registry::digest_of(one)))
            FAIL("node " << each->number << " shows " << to_text(one.key) << " as never said");
        });
    }
  }

  [[nodiscard]] bool is_level(const node_state& it) const {
    return std::ranges::all_of(nodes_, [&](auto& other) {
      std::vector<registry::record> shown;
      it.table.for_each_of(to_string(other->id),
                           [&](const registry::record& one, auto&) { shown.push_back(one); });
      std::vector<registry::record> said;
      for (auto& one : other->book.all())
        if (!one.removed)
          said.push_back(one);
      return shown == said;
    });
  }

  struct step_to {
    node_state* at;
    record_exchange::event what;
    request_id id;
  };

  struct question {
    std::size_t from;
    boot_number boot;
    request_id id;
  };

  random_source& random_;
  time_point now_{};
  std::vector<std::unique_ptr<node_state>> nodes_;
  std::deque<letter> mail_;
  static inline std::vector<step_to> later_;
  static inline std::vector<question> asked_;
  std::map<std::pair<node_id, boot_number>, std::set<registry::records_digest>> ever_;
  std::uint64_t bytes_ = 0;
  bool lies_ = true;
};

} // namespace

TEST_CASE("records come to all, as their node says them", "[node][exchange]") {
  test::for_each_seed(200, [](random_source random) {
    exchange_world world{random, 2 + random.below(5)};
    for (auto count = 0; count < 300; ++count)
      world.act();
    world.settle();
  });
}
