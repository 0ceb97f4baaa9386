#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/scheduler/commands.hpp"
#include "troupe/scheduler/detail/ready_queue.hpp"
#include "troupe/scheduler/queries.hpp"

namespace troupe::scheduler::detail {

/// An attempt that the scheduler has ended and that still takes room at its worker.
struct leftover {
  /// Number of the order that cancels it.
  std::uint64_t sequence = 0;
  resources needs;
};

/// One boot of a worker and its orders. Orders are numbered; only the open ones are kept.
struct worker {
  worker_id id;
  register_worker words;
  bool silent = false;
  bool maintenance = false;
  bool draining = false;
  /// As the scheduler counts it, leftovers included. May exceed the capacity after a worker
  /// registered again with less.
  resources used{.slots = 0};
  /// Number of the last order.
  std::uint64_t sequence = 0;
  std::map<std::uint64_t, attempt_id> running;
  std::map<attempt_id, leftover> leftovers;
  std::map<std::uint64_t, attempt_id> cancellations;
  time_point lease_ends{};
  /// It answered `busy` and gets no tasks until then.
  time_point paused_until = time_point::min();
  /// When to look at it again.
  time_point alarm{};
  /// It is reserved for this task: it gets only tasks of the same line until this one fits.
  std::optional<task_name> kept_for;
  /// Its load in worker_pool's list of workers with room, if it is in there.
  std::optional<std::uint64_t> listed;

  [[nodiscard]] scheduler::worker_state state() const {
    if (draining)
      return scheduler::worker_state::draining;
    if (silent)
      return scheduler::worker_state::silent;
    return maintenance ? scheduler::worker_state::maintenance : scheduler::worker_state::active;
  }

  [[nodiscard]] bool has_room() const {
    return used.slots < words.capacity.slots;
  }
};

/// Whether `named` has all open attempts of orders up to `seen`. True if `seen` is zero.
inline bool agrees(const worker& who, std::uint64_t seen, const std::vector<attempt_id>& named) {
  std::set<attempt_id> open(named.begin(), named.end());
  return std::ranges::all_of(
           who.running, [&](auto& each) { return each.first > seen || open.contains(each.second); })
         && std::ranges::all_of(who.leftovers, [&](auto& each) {
              return each.second.sequence > seen || open.contains(each.first);
            });
}

/// All workers, with those that have room by load. Shares are integers, in 65,536ths.
class worker_pool {
public:
  using workers = std::map<worker_id, worker>;

  [[nodiscard]] const workers& all() const {
    return workers_;
  }

  [[nodiscard]] worker* find(worker_id id) {
    auto found = workers_.find(id);
    return found != workers_.end() ? &found->second : nullptr;
  }

  [[nodiscard]] const worker* find(worker_id id) const {
    auto found = workers_.find(id);
    return found != workers_.end() ? &found->second : nullptr;
  }

  /// Returns the worker of that name, whatever its boot.
  [[nodiscard]] worker* find(const owner_id& owner, const std::string& name) {
    auto found = names_.find({owner, name});
    return found != names_.end() ? find(found->second) : nullptr;
  }

  [[nodiscard]] const worker* find(const owner_id& owner, const std::string& name) const {
    auto found = names_.find({owner, name});
    return found != names_.end() ? find(found->second) : nullptr;
  }

  worker& add(worker_id id, const register_worker& words) {
    names_.insert_or_assign({words.owner, words.name}, id);
    auto& made = workers_[id];
    made.id = id;
    made.words = words;
    return made;
  }

  void remove(worker& which) {
    unlist(which);
    names_.erase({which.words.owner, which.words.name});
    workers_.erase(which.id);
  }

  /// Takes room at a worker; give_back() frees it.
  void take(worker& which, const resources& needs) {
    which.used += needs;
  }

  void give_back(worker& which, const resources& needs) {
    which.used -= needs;
  }

  /// Updates the list of workers with room. Call after any change of a worker.
  void update(time_point now, placement policy, worker& which) {
    std::optional<std::uint64_t> load;
    if (which.state() == scheduler::worker_state::active && which.paused_until <= now
        && which.has_room())
      load = load_of(which, policy);
    if (which.listed == load)
      return;
    unlist(which);
    which.listed = load;
    if (load)
      listed_.insert({*load, which.id});
  }

  [[nodiscard]] bool anybody_has_room() const {
    return !listed_.empty();
  }

  /// Returns the least loaded worker with room for `needs` for which `good(worker)` is true;
  /// null if there is none.
  template <class Good>
  worker* find_room(const resources& needs, Good good) {
    for (auto& [load, id] : listed_)
      if (auto& found = workers_.find(id)->second; has_room(found, needs) && good(found))
        return &found;
    return nullptr;
  }

  /// The same among the workers in `some`.
  template <class Good>
  worker* find_room(const resources& needs, const std::vector<worker_id>& some, Good good) {
    worker* best = nullptr;
    for (auto id : some)
      if (auto* found = find(id); found != nullptr && found->listed && has_room(*found, needs)
                                  && (best == nullptr || *found->listed < *best->listed)
                                  && good(*found))
        best = found;
    return best;
  }

  /// Whether a worker has the handler, group and labels that `asks` requires. Ignores amounts.
  static bool is_good(const register_worker& words, const demand& asks) {
    auto has = [](const auto& list, const std::string& what) {
      return std::ranges::find(list, what) != list.end();
    };
    auto in_group = words.groups.empty() ? asks.group.empty() : has(words.groups, asks.group);
    auto labelled = std::ranges::all_of(asks.labels, [&](auto& label) {
      auto found = words.labels.find(label.first);
      return found != words.labels.end() && found->second == label.second;
    });
    return in_group && labelled && offers(words.handlers, asks.handler);
  }

  /// The share of the worker that is in use.
  static std::uint64_t load_of(const worker& which, placement policy) {
    auto share = [](std::uint64_t used, std::uint64_t capacity) {
      return capacity == 0 ? 0 : used * 65'536 / capacity;
    };
    auto& used = which.used;
    auto& capacity = which.words.capacity;
    auto slots = share(used.slots, capacity.slots);
    if (policy == placement::least_loaded)
      return slots;
    return std::max({slots, share(used.millicores, capacity.millicores),
                     share(used.memory_bytes, capacity.memory_bytes),
                     share(used.gpus, capacity.gpus)});
  }

private:
  static bool has_room(const worker& which, const resources& needs) {
    return fits(needs, which.used, which.words.capacity);
  }

  void unlist(worker& which) {
    if (which.listed)
      listed_.erase({*which.listed, which.id});
    which.listed.reset();
  }

  workers workers_;
  /// The latest boot of each worker, by owner and name.
  std::map<std::pair<owner_id, std::string>, worker_id> names_;
  /// Active workers with a free slot, by load.
  std::set<std::pair<std::uint64_t, worker_id>> listed_;
};

} // namespace troupe::scheduler::detail
