#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/scheduler/queries.hpp"
#include "troupe/scheduler/types.hpp"

namespace troupe::scheduler {

/// Has all workers of one node begin or end their maintenance.
///
/// - The scheduler lists its workers page by page; those of the node are told, all of a page at
///   once, then the next page is asked for. A worker that is gone by then needs no word.
/// - The first problem ends it, once all that were told have answered.
/// - The latest wish counts: who wanted the opposite hears that at once (cancelled), and nothing
///   more is told until what is under way has ended, or it could be carried out after the new wish.
///   Who wants the same waits for the same.
///
/// Steps like any machine; its host bounds the time of each question. Not thread-safe. Cost of a
/// step: O(1), of a page O(n).
class worker_maintenance {
public:
  // -- events ----------------------------------------------------------------------------

  /// Begin or end maintenance. Ends with `done`. Errors: cancelled, and those of the scheduler.
  struct want {
    bool on = true;
  };

  /// The answer to the `list` of this step's id.
  struct listed {
    result<worker_list> what;
  };

  /// The answer to the `tell` of this step's id.
  struct told {
    problem why{};
  };

  using event = std::variant<want, listed, told>;

  // -- effects ---------------------------------------------------------------------------

  /// Ask the scheduler for workers behind that one, and step `listed`.
  struct list {
    request_id id = 0;
    worker_id after{};
  };

  /// Tell the scheduler, and step `told`.
  struct tell {
    request_id id = 0;
    worker_id worker{};
    bool on = true;
  };

  /// The `want` of that id has ended.
  struct done {
    request_id id = 0;
    problem why{};
  };

  using effect = std::variant<list, tell, done>;
  using effects = std::vector<effect>;

  // --------------------------------------------------------------------------------------

  /// `owner`: the node whose workers are meant.
  explicit worker_maintenance(owner_id owner) : owner_(std::move(owner)) {}

  void step(time_point, request_id id, event what, effects& out) {
    troupe::visit([&](auto& each) { handle(id, each, out); }, what);
  }

  void tick(time_point, effects&) {}

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return std::nullopt;
  }

private:
  void handle(request_id id, const want& what, effects& out) {
    if (!askers_.empty() && what.on == on_) {
      askers_.push_back(id);
      return;
    }
    end({errc::cancelled, "the opposite was asked for meanwhile"}, out);
    askers_.push_back(id);
    on_ = what.on;
    if (open_.empty())
      ask({}, out);
  }

  void handle(request_id id, const listed& what, effects& out) {
    if (id != listing_)
      return; // of an earlier wish
    listing_ = 0;
    if (!what.what || what.what->workers.empty())
      return end(what.what ? problem{} : what.what.error(), out);
    last_ = what.what->workers.back().worker;
    for (auto& each : what.what->workers)
      if (each.owner == owner_) {
        open_.push_back(++last_id_);
        out.emplace_back(tell{last_id_, each.worker, on_});
      }
    if (open_.empty())
      ask(last_, out);
  }

  void handle(request_id id, told& what, effects& out) {
    if (std::erase(open_, id) == 0)
      return;
    if (!first_ && what.why.code != errc::not_found)
      first_ = std::move(what.why);
    if (!open_.empty())
      return;
    if (std::exchange(is_overtaken_, false)) {
      first_ = {};
      ask({}, out);
    } else if (first_) {
      end(std::exchange(first_, {}), out);
    } else {
      ask(last_, out);
    }
  }

  void ask(worker_id after, effects& out) {
    listing_ = ++last_id_;
    out.emplace_back(list{listing_, after});
  }

  /// What is still open is of no more interest.
  void end(const problem& why, effects& out) {
    is_overtaken_ = !open_.empty();
    for (auto each : std::exchange(askers_, {}))
      out.emplace_back(done{each, why});
  }

  const owner_id owner_;
  bool on_ = false;
  std::vector<request_id> askers_;
  request_id last_id_ = 0;
  /// The open question for a page; zero: none.
  request_id listing_ = 0;
  /// Workers that are told and have not answered.
  std::vector<request_id> open_;
  /// The last one of the page.
  worker_id last_{};
  problem first_;
  /// What is open was told for an earlier wish.
  bool is_overtaken_ = false;
};

} // namespace troupe::scheduler
