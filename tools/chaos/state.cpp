#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "chaos/workloads.hpp"
#include "cli.hpp"
#include "troupe/state/messages.hpp"
#include "troupe/state/queries.hpp"

/// Workloads on strong state: registers, tables, queues.
namespace cli::chaos {

using namespace troupe;
using namespace std::literals;

namespace {

state::entry_key strong(const std::string& key) {
  return {state::consistency::strong, state::value_type::lww_register, key};
}

/// The value of a key.
struct seen {
  std::optional<std::string> value;
  std::uint64_t version = 0;
};

result<seen> look(client& who, const std::string& key) {
  auto found = who.services().state.ask(state::get{strong(key)}, client::patience);
  if (!found)
    return found.error();
  seen result{std::nullopt, state::version_of(found->entries)};
  if (found->entries.empty())
    return result;
  auto& last = found->entries.back();
  if (auto why = state::verify(last))
    return why;
  result.value = state::to_text(last.value);
  return result;
}

result<state::written> write(client& who, const std::string& key, const std::string& text,
                             std::optional<std::uint64_t> expected = {}) {
  auto value = state::to_value(text);
  auto content = sha256(state::view_of(value));
  state::put what{strong(key), std::move(value), expected, {}, {}, content};
  return who.services().state.ask(what, client::patience);
}

std::optional<std::string> without_value(const state::written&) {
  return std::nullopt;
}

/// Registers whose values are unique numbers.
class register_workload final : public workload {
public:
  register_workload(bool is_table, std::size_t clients)
    : is_table_(is_table), ring_({"key-", width_for(clients, is_table ? 4 : 1), 3}) {}

  void go_on(client& who) override {
    if (look_at_old_key(ring_, who, [&](auto& old) { return look_at(who, old.name); }))
      return;
    auto key = ring_.take(who.random(), who.now_ns());
    auto dice = who.random().below(100);
    if (dice < 40)
      static_cast<void>(read(who, key));
    else if (dice < 65)
      put(who, key);
    else if (dice < 75 && is_table_)
      remove(who, key);
    else if (auto before = read(who, key))
      compare_and_set(who, key, *before);
    if (who.is_unsure())
      ring_.unsure(key, who.now_ns());
    who.rest(20ms);
  }

  problem finish(client& who) override {
    for (auto& each : ring_.left(who.now_ns()))
      if (auto why = look_at(who, each.name))
        return why;
    return {};
  }

  void check(const sim::history& lines, findings& found) const override {
    check_linearizable(sim::register_model{}, lines, found);
    if (damaged_ > 0)
      found.violations.push_back(std::to_string(damaged_.load()) + " values were damaged");
  }

private:
  problem look_at(client& who, const std::string& key) {
    auto found = read(who, key);
    return found ? problem{} : found.error();
  }

  result<seen> read(client& who, const std::string& key) {
    auto found = who.perform(
      key, wants(is_table_ ? "get" : "read"), [&] { return look(who, key); },
      [](const problem&) { return verdict{}; }, [](const seen& what) { return what.value; });
    if (!found && found.error().code == errc::damaged)
      ++damaged_;
    return found;
  }

  void put(client& who, const std::string& key) {
    auto value = std::to_string(++values_);
    static_cast<void>(who.perform(
      key, wants(is_table_ ? "put" : "write", value), [&] { return write(who, key, value); },
      judge_plain, without_value));
  }

  void remove(client& who, const std::string& key) {
    auto ask
      = [&] { return who.services().state.ask(state::remove_key{strong(key)}, client::patience); };
    auto meaning = [](const problem& why) { return judge(why, {errc::not_found}); };
    static_cast<void>(who.perform(key, wants("delete"), ask, meaning, without_value));
  }

  void compare_and_set(client& who, const std::string& key, const seen& before) {
    auto value = std::to_string(++values_);
    auto meaning = [](const problem& why) { return judge(why, {errc::conflict}); };
    static_cast<void>(who.perform(
      key, wants("cas", before.value, value),
      [&] { return write(who, key, value, before.version); }, meaning, without_value));
  }

  bool is_table_;
  key_ring ring_;
  std::atomic<std::uint64_t> values_ = 0;
  std::atomic<std::uint64_t> damaged_ = 0;
};

/// Queues shared by clients: a whole queue is one value, which is changed by compare-and-set. So a
/// push or a pop takes effect with its put. After an operation of unknown outcome a queue is not
/// used any more: a possible push shows only when everything before it has been popped, and the
/// search for an order would grow without bound.
class queue_workload final : public workload {
public:
  explicit queue_workload(std::size_t clients) : ring_({"queue-", width_for(clients, 2), 0}) {}

  void go_on(client& who) override {
    if (look_at_old_key(ring_, who, [&](auto& old) { return empty(who, old.name); }))
      return;
    auto key = ring_.take(who.random(), who.now_ns());
    if (who.random().one_in(2))
      push(who, key, std::to_string(++values_));
    else
      static_cast<void>(pop(who, key));
    if (who.is_unsure())
      ring_.unsure(key, who.now_ns());
    who.rest(20ms);
  }

  problem finish(client& who) override {
    for (auto& each : ring_.left(who.now_ns()))
      if (auto why = empty(who, each.name))
        return why;
    return {};
  }

  void check(const sim::history& lines, findings& found) const override {
    check_linearizable(sim::queue_model{}, lines, found);
  }

private:
  using items = std::deque<std::string>;

  static problem empty(client& who, const std::string& key) {
    for (;;) {
      auto popped = pop(who, key);
      if (!popped)
        return popped.error();
      if (!popped->value)
        return {};
    }
  }

  static void push(client& who, const std::string& key, const std::string& value) {
    auto ask = [&] {
      return change(who, key, [&](items& all) {
        all.push_back(value);
        return true;
      });
    };
    static_cast<void>(who.perform(key, wants("push", value), ask, judge_change,
                                  [](const seen&) { return std::nullopt; }));
  }

  /// Returns the first element; empty if the queue was empty.
  static result<seen> pop(client& who, const std::string& key) {
    std::optional<std::string> first;
    auto ask = [&]() -> result<seen> {
      auto done = change(who, key, [&](items& all) {
        first.reset();
        if (all.empty())
          return false;
        first = all.front();
        all.pop_front();
        return true;
      });
      if (done)
        done->value = first;
      return done;
    };
    return who.perform(key, wants("pop"), ask, judge_change,
                       [](const seen& what) { return what.value; });
  }

  /// Reads, changes and writes back, until no other client was faster. Ends without a put if
  /// `how()` returns false.
  template <class Change>
  static result<seen> change(client& who, const std::string& key, Change how) {
    for (auto tries = 0; tries < max_tries; ++tries) {
      auto before = look(who, key);
      if (!before)
        return problem{before.error().code == errc::no_quorum ? errc::no_quorum : errc::unreachable,
                       before.error().detail}; // nothing was put
      items all;
      if (before->value)
        all = json::parse(*before->value).get<items>();
      if (!how(all))
        return seen{};
      auto done = write(who, key, json(all).dump(), before->version);
      if (done)
        return seen{};
      if (done.error().code != errc::conflict)
        return done.error();
    }
    return problem{errc::busy, "other clients were faster each time"};
  }

  /// Nothing was done in both cases, but only one of them is an answer of the service.
  static verdict judge_change(const problem& why) {
    return why.code == errc::busy ? verdict{sim::outcome::fail, true} : judge_plain(why);
  }

  static constexpr int max_tries = 20;

  key_ring ring_;
  std::atomic<std::uint64_t> values_ = 0;
};

} // namespace

std::unique_ptr<workload> make_register_workload(bool is_table, std::size_t clients) {
  return std::make_unique<register_workload>(is_table, clients);
}

std::unique_ptr<workload> make_queue_workload(std::size_t clients) {
  return std::make_unique<queue_workload>(clients);
}

} // namespace cli::chaos
