#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>
#include <unistd.h>

#include "chaos/workloads.hpp"
#include "cli.hpp"
#include "troupe/lock/fenced_store.hpp"
#include "troupe/lock/messages.hpp"
#include "troupe/sim/laws/lease_model.hpp"

/// Workloads on locks.
namespace cli::chaos {

using namespace troupe;
using namespace std::literals;

namespace {

std::optional<std::string> token_of(const lock::lease& held) {
  return std::to_string(held.token.value);
}

std::optional<std::string> without_token(const lock::lease&) {
  return std::nullopt;
}

/// Acquires or renews the lock `key`. `shows_ttl`: the lease may run out, so its length belongs to
/// the history.
class lock_user {
public:
  lock_user(client& who, std::string key, duration ttl, bool shows_ttl)
    : who_(who), key_(std::move(key)), ttl_(ttl) {
    if (shows_ttl)
      shown_ttl_ = std::to_string(ttl.count());
  }

  result<lock::lease> acquire(duration wait, lock::lock_mode mode = lock::lock_mode::exclusive) {
    auto ask = [&] {
      static std::atomic<std::uint64_t> owners = 0;
      auto owner = std::to_string(::getpid()) + '/' + std::to_string(++owners);
      return who_.services().locks.ask(lock::acquire{key_, owner, ttl_, wait, who_.name(), mode},
                                       wait + client::patience);
    };
    auto meaning = [](const problem& why) {
      return judge(why, {errc::lock_held, errc::timed_out});
    };
    auto* verb = mode == lock::lock_mode::shared ? "acquire_shared" : "acquire";
    return who_.perform(key_, wants(verb, {}, shown_ttl_), ask, meaning, token_of, wait);
  }

  result<lock::lease> renew(const lock::lease& held) {
    auto ask = [&] {
      return who_.services().locks.ask(lock::renew{key_, held.token, ttl_}, client::patience);
    };
    return who_.perform(key_, wants("renew", token_of(held), shown_ttl_), ask, judge_stale,
                        without_token);
  }

  result<lock::lease> release(const lock::lease& held) {
    auto ask = [&] {
      return who_.services().locks.ask(lock::release{key_, held.token}, client::patience);
    };
    return who_.perform(key_, wants("release", token_of(held)), ask, judge_stale, without_token);
  }

private:
  static verdict judge_stale(const problem& why) {
    return judge(why, {errc::stale_token});
  }

  client& who_;
  std::string key_;
  duration ttl_;
  std::optional<std::string> shown_ttl_;
};

/// Locks that do not run out while clients use or read them, held by one client or shared by
/// several. After an unknown outcome the holder is unknown, so the lock is not used again.
class lock_workload final : public workload {
public:
  explicit lock_workload(std::size_t clients) : ring_({"lock-", width_for(clients, 2), 0}) {}

  void go_on(client& who) override {
    if (look_at_old_key(ring_, who, [&](auto& old) { return look_at(who, old); }))
      return;
    auto key = ring_.take(who.random(), who.now_ns());
    use(who, key);
    if (who.is_unsure())
      ring_.unsure(key, who.now_ns());
    who.rest(20ms);
  }

  problem finish(client& who) override {
    for (auto& each : ring_.left(who.now_ns()))
      if (auto why = look_at(who, each))
        return why;
    return {};
  }

  void check(const sim::history& lines, findings& found) const override {
    check_linearizable(sim::lock_model{}, lines, found);
    if (missed_ > 0)
      found.undecided.push_back(std::to_string(missed_.load())
                                + " locks could not be read before they may have run out");
  }

  [[nodiscard]] std::map<std::string, std::size_t>
  figures(const sim::history& lines) const override {
    return {{"most_sharers", most_sharers(lines)}};
  }

private:
  static void use(client& who, const std::string& key) {
    lock_user user{who, key, ttl, false};
    auto is_shared = who.random().one_in(2);
    auto held = user.acquire(who.random().one_in(2) ? duration::zero() : duration{1s},
                             is_shared ? lock::lock_mode::shared : lock::lock_mode::exclusive);
    if (!held)
      return;
    who.rest(10ms);
    if (who.random().one_in(3) && !user.renew(*held))
      return;
    static_cast<void>(user.release(*held));
  }

  /// Tries to take a lock that is no longer used. Only clients with an unknown outcome may hold it.
  problem look_at(client& who, const key_ring::old_key& which) {
    if (duration{who.now_ns() - which.since_ns} > ttl - margin) {
      ++missed_;
      return {};
    }
    auto held = lock_user{who, which.name, ttl, false}.acquire(0s);
    return held || held.error().code == errc::lock_held ? problem{} : held.error();
  }

  /// As long as lock_options::max_span allows; the checker treats it as endless.
  static constexpr duration ttl = 10min;
  /// Longer than any client works on a lock after it is no longer used.
  static constexpr duration margin = 1min;

  key_ring ring_;
  std::atomic<std::size_t> missed_ = 0;
};

/// Locks whose leases sometimes end before their holders notice, and the resource that they guard:
/// a store that checks tokens.
class lease_workload final : public workload {
public:
  lease_workload(std::size_t clients, const std::filesystem::path& folder)
    : ring_({"lease-", width_for(clients, 2), 1'000}) {
    auto made = lock::fenced_store::open(folder / "guarded.db");
    if (made)
      store_.emplace(std::move(*made));
    if (!store_ || !store_->unguarded().run("CREATE TABLE IF NOT EXISTS line(token INTEGER)"))
      broken_ = "the guarded store could not be created";
  }

  void go_on(client& who) override {
    if (look_at_old_key(ring_, who, [&](auto& old) { return look_at(who, old.name); }))
      return;
    auto key = ring_.take(who.random(), who.now_ns());
    lock_user user{who, key, ttl, true};
    auto held = user.acquire(who.random().one_in(2) ? duration::zero() : duration{2s});
    if (!held)
      return who.rest(50ms);
    write(who, *held, key);
    if (who.random().one_in(3) && !user.renew(*held))
      return;
    if (who.random().one_in(6)) { // sleeps beyond its lease without checking the clock
      ::poll(nullptr, 0, static_cast<int>(ttl / 1ms) + 300);
      write(who, *held, key);
    } else {
      who.rest(100ms);
      write(who, *held, key);
    }
    if (!who.random().one_in(6))
      static_cast<void>(user.release(*held));
  }

  problem finish(client& who) override {
    for (auto& each : ring_.left(who.now_ns()))
      if (auto why = look_at(who, each.name))
        return why;
    return {};
  }

  void check(const sim::history& lines, findings& found) const override {
    check_linearizable(sim::lease_model{}, lines, found);
    if (!broken_.empty())
      found.violations.push_back(broken_);
    std::map<std::string, std::uint64_t> last;
    for (auto& each : fences_) {
      auto& mark = last[each.resource];
      if (each.accepted && each.token < mark)
        found.violations.push_back("the resource of " + each.resource + " accepted token "
                                   + std::to_string(each.token) + " after " + std::to_string(mark));
      if (each.accepted)
        mark = each.token;
    }
  }

  [[nodiscard]] std::string fence_log() const override {
    std::string text;
    for (auto& each : fences_)
      text += json{{"resource", each.resource},
                   {"token", each.token},
                   {"accepted", each.accepted},
                   {"at_ns", each.at_ns}}
                .dump()
              + '\n';
    return text;
  }

private:
  struct fence_line {
    std::string resource;
    std::uint64_t token = 0;
    bool accepted = false;
    std::int64_t at_ns = 0;
  };

  problem look_at(client& who, const std::string& key) {
    auto held = lock_user{who, key, ttl, true}.acquire(ttl * 2);
    if (!held)
      return held.error();
    write(who, *held, key);
    return {};
  }

  void write(client& who, const lock::lease& held, const std::string& key) {
    std::lock_guard guard{mutex_};
    if (!store_)
      return;
    auto written = store_->write(held, [&](storage::database& inside) -> problem {
      auto add = inside.prepare("INSERT INTO line VALUES(?)");
      return add.bind(1, static_cast<std::int64_t>(held.token.value)).run()
               ? problem{}
               : inside.failed("write a line");
    });
    if (!written && written.error().code != errc::stale_token)
      broken_ = written.error().detail;
    fences_.push_back({key, held.token.value, written.has_value(), who.now_ns()});
  }

  static constexpr duration ttl = 1500ms;

  key_ring ring_;
  std::mutex mutex_;
  std::optional<lock::fenced_store> store_;
  std::string broken_;
  std::vector<fence_line> fences_;
};

} // namespace

std::unique_ptr<workload> make_lock_workload(std::size_t clients) {
  return std::make_unique<lock_workload>(clients);
}

std::unique_ptr<workload> make_lease_workload(std::size_t clients,
                                              const std::filesystem::path& folder) {
  return std::make_unique<lease_workload>(clients, folder);
}

} // namespace cli::chaos
