#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "caf/event_based_actor.hpp"
#include "caf/response_promise.hpp"
#include "caf/result.hpp"
#include "troupe/core/caf/timer_queue.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/caf/unknown_sender.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/shares.hpp"
#include "troupe/router/detail/origin.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::router::detail {

/// Where the services of the cluster are, and who waits to hear of a change. Part of an actor,
/// and used on it only.
class service_places {
public:
  /// A question that waits longer is answered with what was known before.
  static constexpr duration max_wait = std::chrono::seconds{30};
  /// Above this, questions that would wait are refused. Those who ask share them, see shares.
  static constexpr std::size_t max_waiting = 10'000;

  using gauge = std::shared_ptr<const std::atomic<std::uint64_t>>;

  explicit service_places(caf::event_based_actor* self) : self_(self), timers_(self) {}

  /// How far services have come, by their names, for those who ask.
  void set_gauges(std::map<std::string, gauge> all) {
    gauges_ = std::move(all);
  }

  /// From now on `name` is there. Its revision is given here.
  void set(const std::string& name, service_place where) {
    auto& known = places_[name];
    if (known.revision != 0 && known.handle == where.handle && known.address == where.address
        && known.others == where.others && known.why == where.why)
      return;
    where.revision = known.revision + 1;
    known = std::move(where);
    for (auto each = waiting_.begin(); each != waiting_.end();) {
      auto next = std::next(each);
      if (each->name == name)
        answer(each);
      each = next;
    }
  }

  /// `by` asks. Errors: not_found, unreachable (who would wait is not known any more), busy (too
  /// many of its own or of all wait; ask again later, or without a wait).
  caf::result<service_place> find(const find_service& what, const origin& by) {
    auto found = places_.find(what.name);
    if (found == places_.end())
      return to_error({errc::not_found, "no service '" + what.name.substr(0, 64)
                                          + "' is known here; wait until the node has joined"});
    if (what.wait <= duration::zero() || found->second.revision != what.known)
      return what.known == 0 ? with_all(found->second) : found->second;
    if (!by.is_here && by.where.id == node_id{})
      return to_error(unknown_sender()); // nobody's share would bound it
    if (!shares_.may_take(by.where.id, max_waiting - waiting_.size()))
      return to_error({errc::busy, "too many wait here to hear where the services are"});
    auto promise = self_->make_response_promise<service_place>();
    auto mine = waiting_.insert(waiting_.end(), {what.name, promise, {}, by.where.id});
    shares_.take(by.where.id);
    mine->timer = timers_.after(std::min(what.wait, max_wait), [this, mine] { answer(mine); });
    return promise;
  }

private:
  struct question {
    std::string name;
    caf::typed_response_promise<service_place> promise;
    timer_queue<caf::event_based_actor>::id timer;
    /// Who asks; all zero: this process.
    node_id by{};
  };

  [[nodiscard]] service_place with_all(service_place which) const {
    if (which.handle)
      for (auto& [name, place] : places_) {
        which.all.emplace(name, place.handle);
        if (auto found = gauges_.find(name); place.handle && found != gauges_.end())
          which.records.emplace(name, found->second->load(std::memory_order_relaxed));
      }
    return which;
  }

  void answer(std::list<question>::iterator which) {
    timers_.cancel(which->timer);
    which->promise.deliver(places_.at(which->name));
    shares_.give_back(which->by);
    waiting_.erase(which);
  }

  caf::event_based_actor* self_;
  std::map<std::string, service_place> places_;
  std::map<std::string, gauge> gauges_;
  std::list<question> waiting_;
  shares<node_id> shares_;
  timer_queue<caf::event_based_actor> timers_;
};

} // namespace troupe::router::detail
