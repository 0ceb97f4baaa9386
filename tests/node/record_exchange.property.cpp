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
#include "troupe/core/visit.hpp"
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

/// Nodes that hear of each other's statements at random, ask each other, and forget each other. One
/// of them tells of others what they have not said, and says as others what it likes.
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
        else if (random_.one_in(4))
          forget(node, *nodes_[random_.below(nodes_.size())]);
        break;
      default:
        for (auto count = 1 + random_.below(6); count > 0; --count) {
          gossip();
          deliver(random_.one_in(10));
        }
    }
    look();
  }

  void settle() {
    lies_ = false;
    auto& mad = *nodes_[liar];
    for (auto version = mad.book.version(); mad.book.version() == version;)
      change(mad); // from here on it says what is right
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
        book(id, boot),
        machine(id, {.restate_every = restate, .max_answer = 2'000}, table, &sim::is_signed_with) {}

    std::size_t number;
    node_id id;
    registry::own_records book;
    registry::record_table table;
    record_exchange machine;
    signed_statement said{};
    std::uint32_t times = 0;
    std::map<node_id, signed_statement> heard{};
    /// Which life and version of each record of others it has shown last.
    std::map<registry::record_key, std::pair<boot_number, std::uint64_t>> shown{};
    /// What it has said last as another node, signed among its own.
    std::optional<registry::record> lie{};
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
      troupe::visit([&](auto& what) { perform(it, what); }, each);
  }

  void forget(node_state& it, const node_state& whom) {
    if (it.number == whom.number)
      return;
    registry::effects none;
    it.table.step(now_, 0, registry::forget{whom.id, whom.book.boot()}, none);
    it.heard.erase(whom.id);
    std::erase_if(it.shown, [&](auto& each) { return each.first.owner == whom.id; });
    step(it, record_exchange::forgotten{whom.id});
  }

  signed_statement sign(node_state& it, const registry::records_head& what) {
    statement made{it.id, {it.book.boot(), ++it.times}, false, "p:1", what};
    return {made, sim::sign_with(key_number(it.number), to_be_signed(made))};
  }

  void perform(node_state& it, record_exchange::restate& what) {
    auto honest = sign(it, what.what);
    it.said = honest;
    it.lie.reset();
    if (it.number == liar && lies_ && nodes_.size() > 1 && random_.one_in(2))
      say_as_another(it, what.what);
    mail_.push_back({it.number, it.book.boot(),
                     [said = honest](node_state& at) {
                       later_.push_back({&at, record_exchange::spoke{said}, 0});
                     },
                     true});
  }

  /// All that others get to hear of it has a record of another node.
  void say_as_another(node_state& it, const registry::records_head& what) {
    auto& victim = nodes_[1 + random_.below(nodes_.size() - 1)]->id;
    registry::record made;
    made.key = {registry::record_kind::agent, "a0@" + to_string(victim), victim};
    made.boot = it.book.boot();
    made.version = what.version + 1;
    made.load = 5'000;
    std::map<registry::record_key, registry::records_digest> all{
      {made.key, registry::digest_of(made)}};
    it.table.for_each_of(it.id, [&](const registry::record& one, const auto& digest) {
      all.emplace(one.key, digest);
    });
    registry::set_digest whole;
    for (auto& [key, digest] : all)
      whole.add(digest);
    it.said = sign(it, {made.version, whole.finish()});
    it.lie = made;
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
      if (it.lie && each.of.what.node == it.id && each.page.is_last) {
        each.of = it.said;
        each.page.records.push_back(*it.lie);
      } else if (it.number == liar && lies_ && random_.one_in(2)) {
        lie(each);
      }
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
    auto known = from.heard.find(of.id);
    auto said = from.number == of.number    ? of.said
                : known != from.heard.end() ? known->second
                                            : signed_statement{};
    if (to.number == of.number || said.what.records.version == 0)
      return;
    auto before = to.heard.find(of.id);
    if (before != to.heard.end() && before->second.what.when >= said.what.when)
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

  /// Nobody shows what its node has not said, or not any more, or of whom it has not heard.
  void look() {
    for (auto& each : nodes_) {
      for (auto& flaw : each->machine.flaws())
        FAIL("flaw of node " << each->number << ": " << flaw);
      for (auto& other : nodes_)
        each->table.for_each_of(other->id, [&](const registry::record& one, auto&) {
          if (!ever_[{other->id, one.boot}].contains(registry::digest_of(one)))
            FAIL("node " << each->number << " shows " << to_text(one.key) << " as never said");
          if (each == other)
            return;
          if (!each->heard.contains(other->id))
            FAIL("node " << each->number << " shows " << to_text(one.key)
                         << ", which is forgotten");
          auto& before = each->shown[one.key];
          if (std::exchange(before, {one.boot, one.version}) > std::pair{one.boot, one.version})
            FAIL("node " << each->number << " shows " << to_text(one.key) << " as before");
        });
    }
  }

  [[nodiscard]] bool is_level(const node_state& it) const {
    return std::ranges::all_of(nodes_, [&](auto& other) {
      std::vector<registry::record> shown;
      it.table.for_each_of(other->id,
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
