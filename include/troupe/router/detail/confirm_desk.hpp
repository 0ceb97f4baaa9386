#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message.hpp"
#include "troupe/channel/types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/deadline_timer.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/departure_report.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/rising_map.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/bundle.hpp"
#include "troupe/router/detail/arrival_desk.hpp"
#include "troupe/router/detail/asker.hpp"
#include "troupe/router/detail/confirm_room.hpp"
#include "troupe/router/detail/dead_desk.hpp"
#include "troupe/router/detail/entrance.hpp"
#include "troupe/router/detail/origin.hpp"
#include "troupe/router/detail/outbox_file.hpp"
#include "troupe/router/detail/outbox_keeper.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/detail/stored_letter.hpp"
#include "troupe/router/inbox_report.hpp"
#include "troupe/router/later.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/router/outbox.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router::detail {

/// Carries out what an outbox decides: has the contents of its messages, those who wait for them,
/// and the clock. What comes is left to its arrival_desk; messages for agents of this node go
/// through a channel to itself. Part of the router's actor, and used on it only.
class confirm_desk {
public:
  /// Puts a letter on its way to a node.
  using writer = std::function<void(time_point now, const node_id& to, const letter& what)>;

  /// `self` and `shared` outlive this.
  confirm_desk(caf::event_based_actor* self, entrance& shared, const node_id& node,
               const router_options& options, writer write)
    : self_(self),
      shared_(shared),
      node_(node),
      options_(channel_options(options)),
      write_(std::move(write)),
      outbox_(node, shared.boot(), options_, shared.boot() + 1,
              [this](const agent_id& agent) { return place_of(agent); }),
      dead_(
        self, shared, options,
        [this](agent_id to, dead_desk::remains what) { go_again(std::move(to), std::move(what)); }),
      incoming_(self, shared, node, dead_, {[this](const channel::acknowledgement& said) {
                  static_cast<void>(outbox_.heard(now(), node_, said, wanted_));
                }}) {
    frame_.to.resize(1);
  }

  confirm_desk(const confirm_desk&) = delete;
  confirm_desk& operator=(const confirm_desk&) = delete;

  // -- messages of this node -------------------------------------------------------------

  /// One for which there is room (see confirm_room), of so many bytes. Whoever asks waits for its
  /// end as long as `patience`.
  void accept(const agent_id& agent, caf::message payload, origin from, std::size_t bytes,
              asker by = {}, duration patience = {}) {
    accept_more(now(), agent, std::move(payload), std::move(from), bytes, std::move(by), patience);
    carry_out();
  }

  /// One of several: carry_out() is to follow the last one.
  /// @pre `moment` is now
  void accept_more(time_point moment, agent_id agent, caf::message payload, origin from,
                   std::size_t bytes, asker by = {}, duration patience = {}) {
    std::optional<time_point> until;
    if (by.id.is_request())
      until = moment + patience;
    sent_.emplace(++last_sent_, outgoing{.agent = std::move(agent),
                                         .payload = std::move(payload),
                                         .from = std::move(from),
                                         .bytes = bytes,
                                         .by = std::move(by),
                                         .patience = until});
    take(moment, last_sent_);
  }

  /// Does what is wanted now, in order, also if something is asked for while it is done.
  void carry_out() {
    if (std::exchange(is_carrying_out_, true))
      return;
    while (!wanted_.empty() || incoming_.wants()) {
      moment_ = now();
      doing_.swap(wanted_);
      for (auto& each : doing_)
        troupe::visit([this](auto& what) { perform(what); }, each);
      give_back();
      doing_.clear();
      if (doing_.capacity() > most_spare)
        doing_ = outbox::effects{}; // braces alone would keep the room
      incoming_.carry_out();
    }
    is_carrying_out_ = false;
    incoming_.say_later();
    arm();
  }

  /// The same, once it is on the disk: `accepted` hears of that, on this actor, or of why it is
  /// not.
  void keep(const agent_id& agent, caf::message payload, origin from, std::size_t bytes, asker by,
            duration patience, std::function<void(const problem&)> accepted) {
    auto sent_to = from.said.is_once() ? place_of(agent) : node_id{}; // as it seems
    auto stored
      = keeper_ ? to_bytes(agent, payload, from, now(), sent_to) : result<std::string>{no_disk()};
    auto number = ++last_sent_;
    auto& it = sent_[number] = {agent, std::move(payload), std::move(from), bytes, std::move(by)};
    if (it.by.id.is_request())
      it.patience = now() + patience;
    it.accepted = std::move(accepted);
    it.sent_to = sent_to;
    if (!stored)
      return refuse_kept(number, std::move(stored).error());
    it.place = keeper_->add(*std::move(stored), [home = caf::weak_actor_ptr{self_->ctrl()}, this,
                                                 number](const problem& why) {
      run_on(home, [this, number, why] { is_kept(number, why); });
    });
  }

  /// From here on messages can be kept. Those that an earlier start has kept go on, and its dead
  /// letters are here again; returns how many go on, and why others cannot be read. Those stay on
  /// the disk.
  std::pair<std::size_t, std::vector<problem>> go_on_with(std::shared_ptr<outbox_keeper> keeper,
                                                          std::vector<outbox_file::row> all) {
    keeper_ = std::move(keeper);
    dead_.keep_with(keeper_);
    std::pair<std::size_t, std::vector<problem>> found;
    std::multimap<wall_time, dead_row> dead; // in the order of their ends
    auto before = outbox_.size();
    for (auto& each : all) {
      auto read = read_letter(each.bytes, now());
      if (!read) {
        found.second.push_back(std::move(read).error());
        continue;
      }
      auto bytes
        = compat::size_of(self_->system(), read->payload).value_or(0) + routes::letter_bytes;
      if (read->ended) {
        auto when = read->ended->ended_at;
        dead.emplace(
          when, dead_row{std::move(read->to),
                         *std::move(read->ended),
                         {std::move(read->payload), std::move(read->from), bytes, {}, each.place}});
        continue;
      }
      shared_.confirms.take_again(read->to, bytes, read->from.client());
      auto& it = sent_[++last_sent_]
        = {std::move(read->to), std::move(read->payload), std::move(read->from), bytes, {}};
      it.place = each.place;
      it.sent_to = read->sent_to;
      if (it.sent_to != node_id{})
        outbox_.bind_to(last_sent_, it.sent_to);
      it.may_have_gone = !it.from.said.is_once() || it.sent_to != node_id{};
      it.ends = read->ends;
      it.is_on_probation = !keeper_->ended_cleanly();
      take(last_sent_);
    }
    found.first = outbox_.size() - before;
    for (auto& [when, each] : dead)
      dead_.bury(each.to, std::move(each.how), std::move(each.what));
    carry_out();
    return found;
  }

  /// Nobody hears any more what becomes of those that have not ended.
  void close() {
    if (keeper_)
      end_cleanly();
    for (auto& [number, each] : sent_) {
      if (each.accepted)
        each.accepted(kept_perhaps());
      each.by.tell(nullptr, caf::make_message(to_error(end_unknown())), nullptr);
    }
    sent_.clear();
    dead_.close();
    keeper_.reset();
  }

  /// See outbox. What has come goes to its agents again, as to those of a later start.
  void go_on_as(boot_number boot) {
    incoming_.begin_anew();
    outbox_.go_on_as(now(), boot, wanted_);
    carry_out();
  }

  // -- links -----------------------------------------------------------------------------

  void link_up(const node_id& node) {
    outbox_.link_up(now(), node, wanted_);
    carry_out();
  }

  void link_down(const node_id& node) {
    outbox_.link_down(now(), node, wanted_);
    carry_out();
  }

  // -- what comes ------------------------------------------------------------------------

  void take(confirm_event& what) {
    troupe::visit([this](auto& each) { take(each); }, what.body);
    carry_out();
  }

  /// Those agents are no more.
  void agents_gone(const std::set<agent_id>& which) {
    incoming_.agents_gone(which);
    carry_out();
  }

  // -- what is left ----------------------------------------------------------------------

  /// Some of the messages that were accepted.
  struct part {
    /// Those up to that number; nothing: all, also those that are on the way to here.
    std::optional<std::uint64_t> up_to{};
    /// Only those that are not on the disk.
    bool in_memory = false;
  };

  /// The number of the last one that was accepted.
  [[nodiscard]] std::uint64_t last() const {
    return last_sent_;
  }

  /// Whether those have ended. O(1), of those in memory O(n).
  [[nodiscard]] bool have_ended(const part& which) const {
    if (!which.up_to && shared_.confirms.size() > sent_.size())
      return false;
    return std::none_of(sent_.begin(), end_of_part(which), is_of{which.in_memory});
  }

  /// How many of those have not, and the agent of the first one. O(n).
  [[nodiscard]] std::pair<std::size_t, agent_id> left_of(const part& which) const {
    auto end = end_of_part(which);
    auto first = std::find_if(sent_.begin(), end, is_of{which.in_memory});
    if (first == end)
      return {};
    return {static_cast<std::size_t>(std::count_if(first, end, is_of{which.in_memory})),
            first->second.agent};
  }

  void add_to(kept_messages& sum) const {
    auto on_disk = std::ranges::count_if(
      sent_, [](auto& each) { return each.second.place != 0 && !each.second.accepted; });
    sum.delivered += delivered_;
    sum.synced += static_cast<std::uint64_t>(on_disk);
    sum.in_memory += shared_.confirms.size() - static_cast<std::uint64_t>(on_disk);
  }

  /// Adds what is known of the first message that was accepted for that agent.
  void add_to(inbox_report& made) const {
    auto first = outbox_.standing_of(made.agent);
    if (!first) { // it is being written to the disk
      made.to = place_of(made.agent);
      return;
    }
    made.age = sent_.at(first->what).from.said.age_at(now());
    made.failures = first->failures;
    made.why = channel::in_few_words(first->last_failure).detail;
    made.to = first->to;
    made.is_linked = first->is_linked;
  }

  /// Ends those that wait for an agent that no node in reach has: see outbox::let_go().
  [[nodiscard]] std::size_t let_go(const agent_id& agent) {
    auto ended = outbox_.let_go(now(), agent, wanted_);
    carry_out();
    return ended;
  }

  [[nodiscard]] dead_desk& dead() {
    return dead_;
  }

  void add_to(router_statistics& sum) const {
    sum.given_up = given_up_ + incoming_.given_up();
    dead_.add_to(sum);
  }

private:
  struct outgoing {
    agent_id agent;
    caf::message payload;
    origin from;
    std::size_t bytes = 0;
    asker by{};
    /// On the disk; zero: none.
    std::uint64_t place = 0;
    std::optional<time_point> patience{};
    /// Hears once it is on the disk.
    std::function<void(const problem&)> accepted{};
    /// Of class once: the only node that it may have been sent to, by what was on the disk first.
    node_id sent_to{};
    /// An earlier start of this node may have sent it.
    bool may_have_gone = false;
    /// See outbox::item.
    std::uint32_t ends = 0;
    bool is_on_probation = false;
  };

  /// Room that messages for one agent have left, which is given back once for all.
  struct left_room {
    agent_id agent;
    confirm_room::client by{};
    std::size_t messages = 0;
    std::size_t bytes = 0;
  };

  struct dead_row {
    agent_id to;
    stored_end how;
    dead_desk::remains what;
  };

  /// Room for what is wanted that is kept for the next time.
  static constexpr std::size_t most_spare = 4'096;

  using letters = rising_map<outgoing>;

  [[nodiscard]] letters::const_iterator end_of_part(const part& which) const {
    return which.up_to ? sent_.upper_bound(*which.up_to) : sent_.end();
  }

  struct is_of {
    bool in_memory = false;

    bool operator()(const letters::value_type& each) const {
      return !in_memory || each.second.place == 0 || each.second.accepted;
    }
  };

  [[nodiscard]] time_point now() const {
    return time_point{self_->clock().now().time_since_epoch()};
  }

  [[nodiscard]] node_id place_of(const agent_id& agent) const {
    if (shared_.agents.find(agent))
      return node_;
    auto there = shared_.ways.node_of(agent);
    return there != node_ ? there : node_id{}; // it has just ended, or is about to begin
  }

  // -- messages of this node -------------------------------------------------------------

  void take(std::uint64_t number) {
    take(now(), number);
  }

  void take(time_point moment, std::uint64_t number) {
    auto& it = sent_.at(number);
    if (it.from.said.is_once())
      outbox_.bind(number);
    auto is_kept = it.place != 0;
    outbox::item made{it.agent,    it.bytes,        it.from.said.expires_at(),
                      it.patience, is_kept,         is_kept && it.from.said.is_once(),
                      it.sent_to,  it.may_have_gone};
    made.ends = it.ends;
    made.is_on_probation = it.is_on_probation;
    outbox_.take(moment, number, std::move(made), wanted_);
  }

  void is_kept(std::uint64_t number, const problem& why) {
    auto found = sent_.find(number);
    if (found == sent_.end())
      return; // this has closed since
    if (why)
      return refuse_kept(number, why);
    if (auto accepted = std::exchange(found->second.accepted, {}))
      accepted({});
    take(number);
    carry_out();
  }

  void refuse_kept(std::uint64_t number, problem why) {
    auto gone = *sent_.take(number);
    shared_.confirms.give_back(gone.agent, gone.bytes, gone.from.client());
    if (gone.accepted)
      gone.accepted(why);
    answer(std::move(gone.by), std::move(why));
  }

  void go_again(agent_id to, dead_desk::remains what) {
    auto& it = sent_[++last_sent_]
      = {std::move(to), std::move(what.payload), std::move(what.from), what.bytes, {}};
    it.place = what.place;
    take(last_sent_);
    carry_out();
  }

  /// One that is kept has ended: it leaves the disk, but for a dead letter.
  void settle(std::uint64_t number, const outgoing& gone, const std::optional<stored_end>& how) {
    std::optional<std::string> last;
    if (how)
      last = to_bytes(gone.agent, gone.payload, gone.from, now(), gone.sent_to, how).value();
    keeper_->settle(gone.place, std::move(last),
                    [home = caf::weak_actor_ptr{self_->ctrl()}, this, number] {
                      run_on(home, [this, number] {
                        outbox_.forgotten(now(), number, wanted_);
                        carry_out();
                      });
                    });
  }

  // -- what comes ------------------------------------------------------------------------

  void take(confirm_event::letters& what) {
    incoming_.take(what);
  }

  void take(confirm_event::answer& what) {
    incoming_.take(what);
  }

  void take(const confirm_event::news&) {
    incoming_.say();
  }

  void take(confirm_event::word& what) {
    if (outbox_.heard(now(), what.from, what.said, wanted_) == channel::verdict::nonsense)
      shared_.count_damaged();
  }

  void take(confirm_event::refusal& what) {
    outbox_.refused(what.from, what.why, wanted_);
  }

  // -- what the machines want --------------------------------------------------------------

  void perform(outbox::transmit& what) {
    auto& it = sent_.at(what.what.what);
    auto expires_at = it.from.said.expires_at();
    if (what.to == node_) {
      incoming_.arrive_here(moment_, what.what.head, it.agent,
                            {it.payload, it.from, it.bytes, expires_at});
      return;
    }
    auto& made = frame_;
    made.to.front() = it.agent;
    made.payload = it.payload;
    it.from.sign(made);
    if (expires_at)
      made.life = *expires_at - moment_;
    made.frame = what.what.head;
    made.id.reset();
    auto once = it.from.said.is_once();
    if (auto& id = it.from.said.id; id.node != node_ || id.boot != shared_.boot() || once)
      made.id = id; // accepted elsewhere or by an earlier start, or to stay the same
    made.age = once ? it.from.said.age_at(moment_) : duration::zero();
    write(what.to, made);
    made.payload.reset();
    made.how.reset();
  }

  void perform(outbox::ask& what) {
    if (what.to == node_) {
      return incoming_.asked_here(moment_, what.what);
    }
    letter made;
    made.to.emplace_back("?"); // nobody
    made.probe = std::move(what.what);
    write(what.to, made);
  }

  /// A node that does not know the class answers that request with a refusal.
  void write(const node_id& to, letter& what) {
    what.wanted = word::receipt;
    what.number = entrance::confirm_number;
    what.patience = longest_wait;
    write_(moment_, to, what);
  }

  void perform(outbox::ended& what) {
    auto taken = sent_.take(what.what);
    auto& gone = *taken;
    dead_.ended(gone.from.said.id, !what.why);
    delivered_ += what.why ? 0 : 1;
    leave_room(gone);
    if (what.why || gone.by.id.is_request())
      give_back(); // whoever hears of it may send the next one
    given_up_ += gone.ends >= options_.max_deliveries ? 1 : 0; // its agent does not get it again
    std::optional<stored_end> how;
    if (what.dead)
      how = end_of(what.dead->reason, what.dead->failures, what.dead->why);
    if (gone.place != 0)
      settle(what.what, gone, how);
    if (how)
      dead_.bury(gone.agent, *std::move(how),
                 {std::move(gone.payload), std::move(gone.from), gone.bytes, {}, gone.place});
    answer(std::move(gone.by), std::move(what.why));
  }

  /// That message takes none any more: give_back() is to follow the last one.
  void leave_room(const outgoing& gone) {
    auto by = gone.from.client();
    if (left_.messages > 0 && (left_.agent != gone.agent || left_.by != by))
      give_back();
    if (left_.messages == 0) {
      left_.agent = gone.agent;
      left_.by = by;
    }
    ++left_.messages;
    left_.bytes += gone.bytes;
  }

  void give_back() {
    if (left_.messages > 0)
      shared_.confirms.give_back(left_.agent, left_.bytes, left_.by, left_.messages);
    left_.messages = left_.bytes = 0;
  }

  /// A message that is kept: after a restart it is known where one of class once may have gone, and
  /// how often this node has ended with it.
  void perform(const outbox::note& what) {
    write(what, [home = caf::weak_actor_ptr{self_->ctrl()}, this, what](const problem& why) {
      run_on(home, [this, what, is_written = !why] {
        outbox_.noted(now(), what, is_written, wanted_);
        carry_out();
      });
    });
  }

  void write(const outbox::note& what, outbox_keeper::handler done) {
    auto& it = sent_.at(what.what);
    auto to = it.from.said.is_once() ? what.to : node_id{};
    keeper_->replace(it.place,
                     to_bytes(it.agent, it.payload, it.from, now(), to, {}, what.ends).value(),
                     std::move(done));
  }

  void end_cleanly() {
    auto said = outbox_.last_words();
    for (auto& each : said.notes)
      write(each, [](const problem&) {});
    if (said.is_clean)
      keeper_->end_cleanly();
  }

  void perform(const outbox::late& what) {
    answer(std::exchange(sent_.at(what.what).by, {}), not_handled_yet(what.why));
  }

  void answer(asker by, problem why) {
    if (by.id.is_request())
      shared_.going_out.tell(self_->ctrl(), std::move(by),
                             why ? caf::make_message(to_error(std::move(why)))
                                 : caf::make_message(send_report{1}),
                             self_->context());
  }

  // -- time --------------------------------------------------------------------------------

  void arm() {
    auto next = outbox_.next_deadline();
    if (auto due = incoming_.next_deadline())
      next = next ? std::min(next, due) : due;
    if (!next)
      return;
    timer_.arm(self_, caf::actor_clock::time_point{next->time_since_epoch()}, [this] {
      auto moment = now();
      outbox_.tick(moment, wanted_);
      incoming_.tick(moment);
      carry_out();
    });
  }

  caf::event_based_actor* self_;
  entrance& shared_;
  node_id node_;
  channel::options options_;
  writer write_;
  outbox outbox_;
  outbox::effects wanted_;
  /// What is being done of it, and since when.
  outbox::effects doing_;
  time_point moment_{};
  bool is_carrying_out_ = false;
  left_room left_{};
  /// Of the next message that goes to another node.
  letter frame_;
  letters sent_;
  std::uint64_t last_sent_ = 0;
  std::uint64_t given_up_ = 0;
  std::uint64_t delivered_ = 0;
  dead_desk dead_;
  arrival_desk incoming_;
  /// Null: no message can be kept.
  std::shared_ptr<outbox_keeper> keeper_;
  deadline_timer timer_;
};

} // namespace troupe::router::detail
