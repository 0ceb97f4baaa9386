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
#include "troupe/core/overloaded.hpp"
#include "troupe/host/durable_core.hpp"
#include "troupe/host/group_types.hpp"

namespace troupe::host {

/// What one replica of a service puts into the log of its group: records, and a mark by
/// which it knows them for its own when they come back.
template <machine M>
struct replicated_batch {
  /// Of the life of the replica that wrote it: random.
  std::uint64_t life = 0;
  std::uint64_t number = 0;
  std::vector<record<M>> records;
};

template <class Inspector, class M>
bool inspect(Inspector& f, replicated_batch<M>& x) {
  return f.object(x).fields(f.field("life", x.life), f.field("number", x.number),
                            f.field("records", x.records));
}

namespace detail {

/// The beginning of a replicated_batch: enough to know one's own by.
struct batch_mark {
  std::uint64_t life = 0;
  std::uint64_t number = 0;

  template <class Inspector>
  friend bool inspect(Inspector& f, batch_mark& x) {
    return f.object(x).fields(f.field("life", x.life), f.field("number", x.number));
  }
};

/// A replicated_batch to be written, whose records need not be copied for that.
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
/// the leading node writes records, all replicas step what the group has committed, in one
/// order, and the rolling hash tells if they ever differ.
///
/// The replica that leads has seen all that is committed before it writes. A request that
/// was under way when its replica stopped leading is answered outcome_unknown; repeated in
/// its session it is carried out once. A request that the machine keeps waiting keeps its
/// place, whoever leads, and is answered by every replica that has callers for it.
///
/// A service that has no group is the same core with a log of its own: it leads for ever,
/// and its batches go out as `append`, as those of its inner core.
template <machine M>
class replicated_core {
public:
  using inner = durable_core<M>;

  /// The group has committed this entry of the service. Entries come in the order of the log.
  struct committed {
    std::string payload;
  };

  /// All that was committed before has come; from here on this replica writes.
  struct leads {
    raft::term_number term = 0;
  };

  struct follows {
    problem why;
  };

  /// The group did not take the proposal of this number, nor will it.
  struct not_taken {
    std::uint64_t number = 0;
    problem why;
  };

  /// This replica reaches no majority of its group: a leader cannot be found here. errc::none: it
  /// does again.
  struct without_quorum {
    problem why;
  };

  using rules_allowed = typename inner::rules_allowed;
  using synced = typename inner::synced;
  using not_written = typename inner::not_written;
  using caller_gone = typename inner::caller_gone;
  using wall_is = typename inner::wall_is;

  using event = std::variant<command<M>, open_session, close_session, keep_session, notice<M>,
                             synced, not_written, caller_gone, wall_is, rules_allowed, committed,
                             leads, follows, not_taken, without_quorum>;

  using append = typename inner::append;
  using save = typename inner::save;

  /// Put this into the log of the group.
  struct propose {
    proposal what;
  };

  using answered = typename inner::answered;
  using session_done = typename inner::session_done;
  using rejected = typename inner::rejected;

  /// Not an answer: carry it out. Only where the service leads; zero or more times.
  using perform = typename inner::perform;

  /// This replica is not what the others are, or cannot read them: it must stop.
  struct diverged {
    problem why;
  };

  using effects = std::vector<
    std::variant<append, save, propose, answered, session_done, rejected, perform, diverged>>;
  using query = typename M::query;
  using snapshot_type = typename inner::snapshot_type;

  /// Without a group.
  explicit replicated_core(inner inside) : inside_(std::move(inside)) {}

  /// One of a group. `life` is random, another one at each start of the process, and not zero.
  explicit replicated_core(std::uint64_t life, core_options options = {})
    : life_(life), inside_(without_snapshots(options)) {
    typename inner::effects none;
    inside_.follow({errc::not_leader, "nobody leads yet; retry with backoff"}, none);
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
        proposed_ = 0; // what becomes of it is told by the log
        inside_.follow(line.why, made);
      },
      [&](const not_taken& line) {
        if (proposed_ == 0 || line.number != proposed_)
          return; // of an earlier leadership
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
    std::visit(take, std::move(what));
    pass_on(made, out);
  }

  /// What whoever asks for something meets here: errc::none where this replica leads, no_quorum
  /// once it has reached too few others for a while, not_leader otherwise. Nothing was done then.
  [[nodiscard]] problem refusal() const {
    if (inside_.leads())
      return {};
    return quorum_.code != errc::none ? quorum_ : inner::follows();
  }

  void tick(time_point now, effects& out) {
    typename inner::effects made;
    inside_.tick(now, made);
    pass_on(made, out);
  }

  /// See durable_core.
  void hold() {
    inside_.hold();
  }

  void let_go(time_point now, effects& out) {
    typename inner::effects made;
    inside_.let_go(now, made);
    pass_on(made, out);
  }

  [[nodiscard]] bool is_idle() const {
    return inside_.is_idle();
  }

  /// Nothing where this replica follows: time passes by records.
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

  /// As of the last entry that came here: stale, unless a read of the group stands behind it.
  template <class Question>
  [[nodiscard]] auto answer(const Question& question, time_point now = time_point::min()) const {
    return inside_.answer(question, now);
  }

  /// See durable_core.
  template <class Question>
  void hear_of(time_point now, const Question& question) {
    inside_.hear_of(now, question);
  }

  [[nodiscard]] bool is_leading() const {
    return inside_.leads();
  }

  /// Those in force.
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

  /// What names open obligations and takes back what nobody waits for, at the start of a life
  /// without a group.
  void start(time_point now, effects& out) {
    typename inner::effects made;
    inside_.start(now, made);
    pass_on(made, out);
  }

  [[nodiscard]] time_point time() const {
    return inside_.time();
  }

  /// This service's part of a snapshot of the group, as it stands now. To be written down where
  /// nobody waits for that: what is returned does it, on any thread.
  [[nodiscard]] std::function<std::string()> frozen_section() const requires journaled<M> {
    return [frozen = std::make_shared<const snapshot_type>(inside_.snapshot())] {
      return to_bytes(*frozen);
    };
  }

  /// The same, written down at once.
  [[nodiscard]] std::string section() const requires journaled<M> {
    return to_bytes(inside_.snapshot());
  }

  /// Goes on from a section; whoever waits here is told that the outcome is unknown.
  /// Returns damaged or incompatible, and does nothing, if it cannot be read.
  [[nodiscard]] problem restore_section(std::string_view bytes,
                                        effects& out) requires journaled<M> {
    auto saved = from_bytes<snapshot_type>(bytes, memory_for<M>(bytes.size()));
    if (!saved)
      return {errc::damaged, "the snapshot of a service cannot be read; restore a backup"};
    if (!inner::knows(saved->rules))
      return inner::newer_rules(saved->rules);
    typename inner::effects made;
    inside_.abandon({errc::outcome_unknown, "this replica was far behind and got a newer state; "
                                            "look at it, or repeat the request in its session"},
                    made);
    inside_.restore(saved->at, *saved);
    proposed_ = 0;
    pass_on(made, out);
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
      if (auto why = inside_.take(line, made); why.code != errc::none)
        return stop(std::move(why), out);
  }

  static void stop(problem why, effects& out) {
    out.push_back(diverged{std::move(why)});
  }

  void pass_on(typename inner::effects& made, effects& out) {
    auto pass = overloaded{
      [&](append& what) {
        if (life_ == 0) {
          out.push_back(std::move(what));
          return;
        }
        proposed_ = ++last_proposed_;
        if constexpr (journaled<M>)
          out.push_back(
            propose{{term_, proposed_,
                     to_bytes(detail::batch_view<M>{life_, proposed_, what.records.get()})}});
      },
      [&](perform& what) {
        if (inside_.leads())
          out.push_back(std::move(what));
      },
      [&](auto& what) { out.push_back(std::move(what)); },
    };
    for (auto& each : made)
      std::visit(pass, each);
  }

  std::uint64_t life_ = 0; // none without a group
  raft::term_number term_ = 0;
  inner inside_;
  std::uint64_t proposed_ = 0; // the batch that is under way
  std::uint64_t last_proposed_ = 0;
  problem quorum_; // see without_quorum
};

} // namespace troupe::host
