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

/// An attempt that is over for the scheduler and still takes room at its worker.
struct leftover {
  /// Of the order to give it up.
  std::uint64_t sequence = 0;
  resources needs;
};

/// One boot of a worker and what it has to do. It is told so by numbered orders; the
/// list of what is not over yet is all there is to remember of them.
struct worker {
  worker_id id;
  register_worker words;
  bool silent = false;
  bool maintenance = false;
  bool draining = false;
  /// By the books of the scheduler, leftovers included. More than the capacity after
  /// a worker came back with less.
  resources used{.slots = 0};
  /// Of the last order.
  std::uint64_t sequence = 0;
  std::map<std::uint64_t, attempt_id> running;
  std::map<attempt_id, leftover> leftovers;
  std::map<std::uint64_t, attempt_id> cancellations;
  time_point lease_ends{};
  /// Gets nothing until then: it was busy.
  time_point paused_until = time_point::min();
  /// When to look at it again.
  time_point alarm{};
  /// Gets nothing but this task, or one of its line, until that has room.
  std::optional<task_name> kept_for;
  /// In worker_pool's list of those with room, under this load.
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

/// Whether all that the worker was told up to `seen`, and that is not over, is in `named`.
/// Without `seen` nothing is concluded.
inline bool agrees(const worker& who, std::uint64_t seen, const std::vector<attempt_id>& named) {
  std::set<attempt_id> open(named.begin(), named.end());
  return std::ranges::all_of(
           who.running, [&](auto& each) { return each.first > seen || open.contains(each.second); })
         && std::ranges::all_of(who.leftovers, [&](auto& each) {
              return each.second.sequence > seen || open.contains(each.first);
            });
}

/// Who can work and how much each has to do. Shares are integers, in 65,536ths.
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
  [[nodiscard]] worker* find(const std::string& owner, const std::string& name) {
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

  /// Takes room at a worker, or gives it back.
  void take(worker& which, const resources& needs) {
    which.used += needs;
  }

  void give_back(worker& which, const resources& needs) {
    which.used -= needs;
  }

  /// Call after any change of a worker.
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

  /// Returns the least loaded worker with room for `needs` among those that are
  /// `good(worker)`, nothing if there is none.
  template <class Good>
  worker* find_room(const resources& needs, Good good) {
    for (auto& [load, id] : listed_)
      if (auto& found = workers_.find(id)->second; has_room(found, needs) && good(found))
        return &found;
    return nullptr;
  }

  /// The same, when only `some` come into question.
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

  /// Whether `words` promise what `asks` demands. Sizes are another matter.
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

  /// The share of it that is taken.
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
  /// The latest boot of each, by owner and name.
  std::map<std::pair<std::string, std::string>, worker_id> names_;
  /// Active ones with a slot, by load.
  std::set<std::pair<std::uint64_t, worker_id>> listed_;
};

} // namespace troupe::scheduler::detail
