#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/codec.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/host/durable_core.hpp"
#include "troupe/host/group_types.hpp"

namespace troupe::host {

/// What one replica of a service appends to the log of its group: records, and a mark by
/// which it recognizes them as its own when they are committed.
template <machine M>
struct replicated_batch {
  /// Random number of the start of the replica that wrote it.
  std::uint64_t life = 0;
  std::uint64_t number = 0;
  std::vector<record<M>> records;

  TROUPE_FIELDS(replicated_batch, life, number, records);
};

namespace detail {

/// The beginning of a replicated_batch: enough for a replica to recognize its own.
struct batch_mark {
  std::uint64_t life = 0;
  std::uint64_t number = 0;

  TROUPE_FIELDS(batch_mark, life, number);
};

/// A replicated_batch to be encoded without copying its records.
template <machine M>
struct batch_view {
  std::uint64_t life;
  std::uint64_t number;
  const std::vector<record<M>>* records;

  friend bool inspect(encoder& f, batch_view& x) {
    return f.object(x).fields(f.field("life", x.life), f.field("number", x.number),
                              f.field("records", *x.records));
  }
};

} // namespace detail

/// Runs the machine M on several nodes that agree on one log, so that it survives the loss
/// of a minority of them. A durable core whose disk is the log of a group: the replica on
/// the leader writes records, all replicas step what the group has committed, in one
/// order, and the rolling hash reveals if they ever differ.
///
/// The leader's replica has stepped all that is committed before it writes. A request that
/// was under way when its replica lost leadership is answered outcome_unknown; repeated in
/// its session it is carried out once. A request that the machine keeps waiting keeps its
/// place under any leader, and is answered by every replica that has callers for it.
///
/// A service without a group is the same core with its own log: it always leads, and its batches
/// go out as `append`, as those of its inner core.
template <machine M>
class replicated_core {
public:
  using inner = durable_core<M>;

  /// The group has committed this entry of the service. Entries come in the order of the log.
  struct committed {
    std::string payload;
  };

  /// This replica has received all that was committed, and writes from now on.
  struct leads {
    raft::term_number term = 0;
  };

  struct follows {
    problem why;
  };

  /// The proposal of this number is not in the log and never will be.
  struct not_taken {
    std::uint64_t number = 0;
    problem why;
  };

  /// This replica reaches no majority of its group, so it cannot find a leader. errc::none: it
  /// reaches a majority again.
  struct without_quorum {
    problem why;
  };

  using rules_allowed = typename inner::rules_allowed;
  using synced = typename inner::synced;
  using not_written = typename inner::not_written;
  using caller_gone = typename inner::caller_gone;
  using wall_is = typename inner::wall_is;

  using event
    = std::variant<caller_request<M>, notice<M>, synced, not_written, caller_gone, wall_is,
                   rules_allowed, committed, leads, follows, not_taken, without_quorum>;

  using append = typename inner::append;
  using save = typename inner::save;

  /// Append this to the log of the group.
  struct propose {
    proposal what;
  };

  using answered = typename inner::answered;
  using session_done = typename inner::session_done;
  using rejected = typename inner::rejected;

  /// Not an answer: carry it out. Only on the leader; zero or more times.
  using perform = typename inner::perform;

  /// This replica differs from the others, or cannot read their entries: it must stop.
  struct diverged {
    problem why;
  };

  using effects = std::vector<
    std::variant<append, save, propose, answered, session_done, rejected, perform, diverged>>;
  using query = typename M::query;
  using snapshot_type = typename inner::snapshot_type;

  /// Without a group.
  explicit replicated_core(inner inside) : inside_(std::move(inside)) {}

  /// A member of a group. `life` is a random number of this start of the process; not zero.
  explicit replicated_core(std::uint64_t life, core_options options = {})
    : life_(life), inside_(without_snapshots(options)) {
    typename inner::effects none;
    inside_.follow({errc::not_leader, "there is no leader yet; retry with backoff"}, none);
  }

  /// Takes one input; `now` is the time of the group where this replica leads.
  void step(time_point now, request_id id, event what, effects& out) {
    typename inner::effects made;
    auto take = overloaded{
      [&](const committed& line) {
        if constexpr (journaled<M>)
          take_entry(now, line.payload, made, out);
      },
      [&](const leads& line) {
        term_ = line.term;
        inside_.lead(now, made);
      },
      [&](const follows& line) {
        proposed_ = 0; // the log shows its outcome
        inside_.follow(line.why, made);
      },
      [&](const not_taken& line) {
        if (proposed_ == 0 || line.number != proposed_)
          return; // from an earlier leadership
        proposed_ = 0;
        inside_.step(now, 0, typename inner::not_written{line.why}, made);
      },
      [&](without_quorum line) { quorum_ = std::move(line.why); },
      [&](auto line) {
        constexpr auto is_request = !std::is_same_v<decltype(line), caller_gone>;
        if (auto why = refusal(); is_request && id != 0 && why.code == errc::no_quorum)
          out.push_back(rejected{id, std::move(why)});
        else
          inside_.step(now, id, std::move(line), made);
      },
    };
    troupe::visit(take, std::move(what));
    pass_on(now, made, out);
  }

  /// Returns the refusal of requests: errc::none if this replica leads, no_quorum once it has
  /// reached too few others for a while, not_leader otherwise. A refused request was not carried
  /// out.
  [[nodiscard]] problem refusal() const {
    if (inside_.leads())
      return {};
    return quorum_ ? quorum_ : inner::follows();
  }

  void tick(time_point now, effects& out) {
    typename inner::effects made;
    inside_.tick(now, made);
    pass_on(now, made, out);
  }

  /// See durable_core.
  void hold() {
    inside_.hold();
  }

  void let_go(time_point now, effects& out) {
    typename inner::effects made;
    inside_.let_go(now, made);
    pass_on(now, made, out);
  }

  [[nodiscard]] bool is_idle() const {
    return inside_.is_idle();
  }

  /// Empty if this replica follows: its time comes from records.
  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return inside_.next_deadline();
  }

  [[nodiscard]] std::optional<wall_time> next_wall_deadline() const {
    return inside_.leads() ? inside_.next_wall_deadline() : std::nullopt;
  }

  template <class Question>
  [[nodiscard]] bool has_news(const Question& question) const {
    return inside_.has_news(question);
  }

  /// See tells_topics.
  [[nodiscard]] std::uint64_t change_mark() const {
    return inside_.change_mark();
  }

  template <class Take>
  [[nodiscard]] bool for_each_topic(std::uint64_t mark, Take take) const {
    return inside_.for_each_topic(mark, take);
  }

  /// As of the last entry received: stale, unless the group has confirmed a read (read_ready).
  template <class Question>
  [[nodiscard]] auto answer(const Question& question, time_point now = time_point::min()) const {
    return inside_.answer(question, now);
  }

  /// See durable_core.
  template <class Question>
  void hear_of(time_point now, const Question& question) {
    inside_.hear_of(now, question);
  }

  /// See about_property.
  template <class Request>
  [[nodiscard]] std::optional<std::string> owner_of(const Request& what) const {
    return inside_.owner_of(what);
  }

  [[nodiscard]] bool is_leading() const {
    return inside_.leads();
  }

  /// Returns the rules in force.
  [[nodiscard]] service_rules rules() const {
    return inside_.rules();
  }

  [[nodiscard]] request_id index() const {
    return inside_.index();
  }

  /// See durable_core.
  [[nodiscard]] request_id begins_after() const {
    return inside_.begins_after();
  }

  [[nodiscard]] snapshot_type snapshot() const {
    return inside_.snapshot();
  }

  void restore(time_point now, const snapshot_type& saved) {
    inside_.restore(now, saved);
  }

  /// See durable_core. For a service without a group.
  void start(time_point now, effects& out) {
    typename inner::effects made;
    inside_.start(now, made);
    pass_on(now, made, out);
  }

  [[nodiscard]] time_point time() const {
    return inside_.time();
  }

  /// Returns a function that encodes this service's part of a snapshot of the group, with the
  /// current state. Encoding may take long: call it on a thread for long jobs. It throws
  /// bad_result_access if the state is nested too deeply to be decoded again.
  [[nodiscard]] std::function<std::string()> frozen_section() const requires journaled<M> {
    return [frozen = std::make_shared<const snapshot_type>(inside_.snapshot())] {
      return try_to_bytes(*frozen).value();
    };
  }

  /// The same, encoded at once.
  [[nodiscard]] std::string section() const requires journaled<M> {
    return try_to_bytes(inside_.snapshot()).value();
  }

  /// Replaces the state by that of a section; waiting callers get outcome_unknown. Does nothing and
  /// returns a problem if the section cannot be decoded (damaged), has rules unknown to this
  /// release (incompatible), or the machine itself (M::verify, if any) refuses it.
  [[nodiscard]] problem restore_section(std::string_view bytes,
                                        effects& out) requires journaled<M> {
    auto saved = from_bytes<snapshot_type>(bytes, memory_for<M>(bytes.size()));
    if (!saved)
      return {errc::damaged, "the snapshot of a service cannot be read; restore a backup"};
    if (!inner::knows(saved->rules))
      return inner::newer_rules(saved->rules);
    if constexpr (requires { M::verify(saved->inside); })
      if (auto why = M::verify(saved->inside))
        return why;
    typename inner::effects made;
    inside_.abandon({errc::outcome_unknown, "this replica was far behind and got a newer state; "
                                            "look at it, or repeat the request in its session"},
                    made);
    inside_.restore(saved->at, *saved);
    proposed_ = 0;
    pass_on(saved->at, made, out);
    return {};
  }

private:
  static core_options without_snapshots(core_options options) {
    options.snapshot_every = std::numeric_limits<std::uint32_t>::max(); // the group has its own
    return options;
  }

  void take_entry(time_point now, std::string_view payload, typename inner::effects& made,
                  effects& out) {
    auto mark = from_bytes<detail::batch_mark>(payload);
    if (mark && mark->life == life_ && mark->number == proposed_ && inside_.leads()) {
      proposed_ = 0;
      return inside_.step(now, 0, typename inner::synced{}, made);
    }
    auto batch = from_bytes<replicated_batch<M>>(payload, memory_for<M>(payload.size()));
    if (!batch)
      return stop({errc::incompatible, "an entry of the log cannot be read; upgrade first"}, out);
    for (auto& line : batch->records)
      if (auto why = inside_.take(line, made))
        return stop(std::move(why), out);
  }

  static void stop(problem why, effects& out) {
    out.push_back(diverged{std::move(why)});
  }

  /// Passes effects on. A batch that cannot be encoded goes back to the inner core, which refuses
  /// the record at fault and writes the others again.
  void pass_on(time_point now, typename inner::effects& made, effects& out) {
    while (!made.empty()) {
      typename inner::effects again;
      pass_on(now, made, again, out);
      made = std::move(again);
    }
  }

  void pass_on(time_point now, typename inner::effects& made, typename inner::effects& again,
               effects& out) {
    auto pass = overloaded{
      [&](append& what) {
        if (life_ == 0) {
          out.push_back(std::move(what));
          return;
        }
        if constexpr (journaled<M>) {
          auto bytes
            = try_to_bytes(detail::batch_view<M>{life_, last_proposed_ + 1, what.records.get()});
          if (bytes) {
            proposed_ = ++last_proposed_;
            return out.push_back(propose{{term_, proposed_, *std::move(bytes)}});
          }
          inside_.step(now, 0, typename inner::not_written{std::move(bytes).error()}, again);
        }
      },
      [&](perform& what) {
        if (inside_.leads())
          out.push_back(std::move(what));
      },
      [&](auto& what) { out.push_back(std::move(what)); },
    };
    for (auto& each : made)
      troupe::visit(pass, each);
  }

  std::uint64_t life_ = 0; // zero without a group
  raft::term_number term_ = 0;
  inner inside_;
  std::uint64_t proposed_ = 0; // the batch that is under way
  std::uint64_t last_proposed_ = 0;
  problem quorum_; // see without_quorum
};

} // namespace troupe::host
