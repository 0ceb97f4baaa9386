#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caf/event_based_actor.hpp"
#include "troupe/core/caf/timer_queue.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/once_all.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/node/service_clients.hpp"
#include "troupe/node/service_request.hpp"
#include "troupe/registry/own_records.hpp"

namespace troupe::cluster {

/// Tells the registry what a node says of itself and its agents: each change at once, all of it
/// again when the registry has forgotten, and heartbeats between. If the registry has heard of a
/// later boot of the node, the node goes above that. Part of an actor, and used on it only.
class announcer {
public:
  /// How often in its life a node goes above another boot; beyond it, it stays and says why. Two
  /// processes with one identity would go above each other for ever.
  static constexpr int max_rises = 16;

  struct setup {
    std::string node;
    boot_number boot = 0;
    duration heartbeat_every{};
    node_log log;
    /// The node has another boot, and has said all with it: what else carries the boot is void.
    std::function<void()> risen;
  };

  announcer(caf::event_based_actor* self, registry_client registry, setup how)
    : self_(self),
      registry_(std::move(registry)),
      setup_(std::move(how)),
      book_(setup_.node, setup_.boot),
      timers_(self) {}

  /// What is said at present.
  [[nodiscard]] const registry::own_records& book() const {
    return book_;
  }

  /// Says these from now on, and calls `done` once the registry has heard them. Default: what it
  /// does not take is logged.
  void put(std::vector<registry::record> what, done_handler done = {}) {
    for (auto& each : what)
      each = book_.put(std::move(each));
    announce(std::move(what), std::move(done));
  }

  /// What is called with removals before anybody hears of them.
  using before_told = std::function<void(const std::vector<registry::record>&)>;

  /// Takes back what is said of `name`. Returns whether anything was said.
  bool take_back(registry::record_kind kind, const std::string& name, const before_told& before) {
    auto gone = book_.remove(kind, name);
    if (!gone)
      return false;
    before({*gone});
    announce({*gone});
    return true;
  }

  /// Takes back all that was ever said; `done` as for put().
  void take_back_all(const before_told& before, done_handler done) {
    std::vector<registry::record> gone;
    for (auto& each : book_.all())
      if (auto removed = book_.remove(each.key.kind, each.key.name))
        gone.push_back(std::move(*removed));
    before(gone);
    announce(gone, std::move(done));
  }

  /// What was taken back has no need to be said again once a registry has heard it all.
  void put_all() {
    announce(book_.all(),
             [this, boot = book_.boot(), version = book_.version()](const problem& why) {
               if (!why && boot == book_.boot())
                 book_.confirm(version);
               log_refusal(why);
             });
  }

  /// Says for ever that the node is there.
  void beat() {
    ask_service(self_, registry_, registry::heartbeat{setup_.node, book_.boot()},
                [this](const result<registry::owner_view>& answer) {
                  if (answer)
                    return;
                  if (answer.error().code == errc::not_found)
                    put_all(); // it has forgotten
                  else if (answer.error().code == errc::conflict)
                    rise();
                });
    timers_.after(setup_.heartbeat_every, [this] { beat(); });
  }

  /// Somebody has heard of that boot of the node: goes above it, unless it is there already.
  void rise_above(boot_number heard) {
    if (heard > book_.boot())
      go_above(heard);
  }

  /// The node itself goes on as that boot, which others see to: its words follow.
  void follow(boot_number now) {
    if (now <= book_.boot())
      return;
    book_.rise_above(now - 1);
    speak_anew();
  }

private:
  void announce(std::vector<registry::record> what, done_handler done = {}) {
    if (!done)
      done = [this](const problem& why) { log_refusal(why); };
    if (what.empty())
      return done({});
    constexpr std::size_t page = 500;
    auto tell = once_all((what.size() + page - 1) / page, std::move(done));
    for (std::size_t first = 0; first < what.size(); first += page) {
      auto last = std::min(first + page, what.size());
      auto at
        = [&](std::size_t index) { return what.begin() + static_cast<std::ptrdiff_t>(index); };
      say({{at(first), at(last)}}, max_tries, tell);
    }
  }

  /// A registry that has just begun knows no session of the last one. To say a record again does
  /// no harm: it has a version.
  void say(const registry::put_records& what, int tries, const done_handler& tell) {
    ask_service(
      self_, registry_, what,
      [this, what, tries, tell, boot = book_.boot()](const result<registry::put_report>& answer) {
        auto is_open = !answer
                       && (answer.error().code == errc::session_expired
                           || answer.error().code == errc::outcome_unknown);
        if (is_open && tries > 1)
          say(what, tries - 1, tell);
        else
          announced(answer, boot, tell);
      });
  }

  /// `boot`: with which the records were said. What was said with an earlier one is void.
  void announced(const result<registry::put_report>& answer, boot_number boot,
                 const done_handler& tell) {
    // A record of this very start says something else. It is of a past life, if this folder was
    // put back since, and a start above that ends it.
    if (answer && answer->clashing > 0 && boot == book_.boot())
      go_above(boot);
    else if (answer && answer->stale > 0 && boot == book_.boot())
      rise();
    tell(answer ? problem{} : answer.error());
  }

  /// That there is no way to the registry is said elsewhere.
  void log_refusal(const problem& why) {
    constexpr const char* not_taken = "the registry did not take a record";
    if (!why)
      setup_.log.settle(not_taken);
    else if (why.code != errc::unreachable && why.code != errc::no_quorum)
      setup_.log.complain(not_taken, why.detail);
  }

  /// The registry may have heard of a later life of this node: if so, goes above it.
  void rise() {
    if (std::exchange(rising_, true))
      return;
    ask_service(self_, registry_, registry::find_owner{setup_.node},
                [this](const result<registry::owner_view>& found) {
                  rising_ = false;
                  if (found && book_.is_outlived(*found))
                    go_above(found->boot);
                });
  }

  void go_above(boot_number heard) {
    if (rises_ == max_rises)
      return setup_.log.complain("another live process has this node's identity",
                                 "stop one of the two; data folders must not be copied");
    ++rises_;
    book_.rise_above(heard);
    speak_anew();
  }

  void speak_anew() {
    setup_.log.warn(
      "this node's identity was heard of with a later start (is its data folder restored "
      "or copied?); it goes on as start "
      + std::to_string(book_.boot()));
    put_all();
    setup_.risen();
  }

  static constexpr int max_tries = 5;

  caf::event_based_actor* self_;
  registry_client registry_;
  setup setup_;
  registry::own_records book_;
  timer_queue<caf::event_based_actor> timers_;
  int rises_ = 0;
  bool rising_ = false;
};

} // namespace troupe::cluster
