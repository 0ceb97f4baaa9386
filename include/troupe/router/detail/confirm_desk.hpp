#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message.hpp"
#include "caf/message_id.hpp"
#include "caf/node_id.hpp"
#include "caf/result.hpp"
#include "caf/timestamp.hpp"
#include "troupe/channel/receiver.hpp"
#include "troupe/channel/types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/deadline_timer.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/bundle.hpp"
#include "troupe/router/dead_letter.hpp"
#include "troupe/router/detail/asker.hpp"
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

/// Carries out what an outbox and the receivers of other nodes' channels decide: has the contents
/// of their messages, those who wait for them, and the clock. Messages for agents of this node go
/// through a channel to itself. Part of the router's actor, and used on it only.
class confirm_desk {
public:
  /// Puts a letter on its way to a node.
  using writer = std::function<void(const node_id& to, const letter& what)>;

  /// `self` and `shared` outlive this.
  confirm_desk(caf::event_based_actor* self, entrance& shared, const node_id& node,
               const router_options& options, writer write)
    : self_(self),
      shared_(shared),
      node_(node),
      options_{.max_deliveries = std::max(options.max_deliveries, 1U),
               .longest_handling
               = std::clamp(options.longest_handling, duration::zero(), longest_span)},
      write_(std::move(write)),
      outbox_(node, shared.boot(), options_, shared.boot() + 1,
              [this](const agent_id& agent) { return place_of(agent); }),
      dead_(self, shared, options, [this](agent_id to, dead_desk::remains what) {
        go_again(std::move(to), std::move(what));
      }) {}

  confirm_desk(const confirm_desk&) = delete;
  confirm_desk& operator=(const confirm_desk&) = delete;

  // -- messages of this node -------------------------------------------------------------

  /// One for which there is room (see confirm_room), of so many bytes. Whoever asks waits for its
  /// end as long as `patience`.
  void accept(const agent_id& agent, caf::message payload, origin from, std::size_t bytes,
              asker by = {}, duration patience = {}) {
    auto& it = sent_[++last_sent_]
      = {agent, std::move(payload), std::move(from), bytes, std::move(by)};
    if (it.by.id.is_request())
      it.patience = now() + patience;
    take(last_sent_);
    carry_out();
  }

  /// The same, once it is on the disk: `accepted` hears of that, on this actor, or of why it is
  /// not.
  void keep(const agent_id& agent, caf::message payload, origin from, std::size_t bytes, asker by,
            duration patience, std::function<void(const problem&)> accepted) {
    auto sent_to = is_once(from) ? place_of(agent) : node_id{}; // as it seems
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
      it.may_have_gone = !is_once(it.from) || it.sent_to != node_id{};
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
    receivers_.clear();
    got_.clear();
    arrived_.clear();
    deliveries_.clear();
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
    for (auto each = deliveries_.begin(); each != deliveries_.end();) {
      if (!which.contains(each->second.agent)) {
        ++each;
        continue;
      }
      auto gone = std::move(deliveries_.extract(each++).mapped());
      receiver_of(gone.from).ended(gone.session, gone.number, got_[gone.from]);
    }
    carry_out();
  }

  /// As a number: all that are accepted; and those that are in memory only.
  static constexpr std::uint64_t every_one = std::numeric_limits<std::uint64_t>::max();
  static constexpr std::uint64_t in_memory = every_one - 1;

  /// The number of the last one that was accepted.
  [[nodiscard]] std::uint64_t last() const {
    return last_sent_;
  }

  /// Whether those up to that number have ended. O(1), of those in memory O(n).
  [[nodiscard]] bool have_ended(std::uint64_t last) const {
    if (last < in_memory)
      return sent_.empty() || sent_.begin()->first > last;
    if (shared_.confirms.size() > sent_.size()) // more are on the way to here
      return false;
    auto is_in_memory
      = [](const auto& each) { return each.second.place == 0 || each.second.accepted; };
    return last == every_one ? sent_.empty() : std::ranges::none_of(sent_, is_in_memory);
  }

  /// How many of those have not, and the agent of the first one. O(n).
  [[nodiscard]] std::pair<std::size_t, agent_id> left_of(std::uint64_t last) const {
    auto count = std::distance(sent_.begin(), sent_.upper_bound(last));
    return {static_cast<std::size_t>(count), count > 0 ? sent_.begin()->second.agent : agent_id{}};
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

  [[nodiscard]] dead_desk& dead() {
    return dead_;
  }

  void add_to(router_statistics& sum) const {
    sum.given_up = given_up_;
    dead_.add_to(sum);
  }

private:
  struct outgoing {
    agent_id agent;
    caf::message payload;
    origin from;
    std::size_t bytes = 0;
    asker by;
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

  struct incoming {
    caf::message payload;
    origin from;
    std::size_t bytes = 0;
    std::optional<time_point> expires_at{};
    problem unreadable{};
    /// Of deliveries_, the last one of it.
    std::uint64_t delivery = 0;
  };

  struct dead_row {
    agent_id to;
    stored_end how;
    dead_desk::remains what;
  };

  struct delivery {
    node_id from{};
    boot_number session = 0;
    channel::sequence_number number = 0;
    agent_id agent;
    /// The process that the agent lives in.
    caf::node_id where{};
    /// See inbox_options::ordered.
    bool is_ordered = true;
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

  channel::receiver& receiver_of(const node_id& node) {
    return receivers_.try_emplace(node, shared_.boot(), options_, shared_.boot() + 2).first->second;
  }

  // -- messages of this node -------------------------------------------------------------

  void take(std::uint64_t number) {
    auto& it = sent_.at(number);
    if (is_once(it.from))
      outbox_.bind(number);
    auto is_kept = it.place != 0;
    outbox::item made{it.agent,    it.bytes,        it.from.said.expires_at(),
                      it.patience, is_kept,         is_kept && is_once(it.from),
                      it.sent_to,  it.may_have_gone};
    made.ends = it.ends;
    made.is_on_probation = it.is_on_probation;
    outbox_.take(now(), number, std::move(made), wanted_);
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
    auto gone = std::move(sent_.extract(number).mapped());
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

  static bool is_once(const origin& from) {
    return from.said.delivery() == delivery_class::once;
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
    auto& from = what.by.id;
    answer_to_.insert_or_assign(from, std::move(what.entry));
    auto moment = now();
    auto& in = receiver_of(from);
    auto& got = got_[from];
    for (auto& each : what.all) {
      auto how
        = each.probe
            ? in.asked(moment, *each.probe, got)
            : arrive(moment, in, *each.frame, each.to.front(),
                     {std::move(each.payload), shared_.origin_of(moment, {what.by}, each),
                      each.bytes,
                      each.life != longest_life ? std::optional{moment + each.life} : std::nullopt,
                      std::move(each.unreadable)},
                     got);
      if (how == channel::verdict::nonsense)
        shared_.count_damaged();
    }
  }

  channel::verdict arrive(time_point moment, channel::receiver& in,
                          const channel::frame_header& head, const agent_id& agent, incoming what,
                          channel::receiver::effects& got) {
    auto& said = what.from.said;
    channel::receiver::arrival made{agent,
                                    ++last_arrived_,
                                    what.bytes,
                                    what.expires_at,
                                    {said.id.node, said.id.boot, said.id.number, said.redrives}};
    arrived_.emplace(last_arrived_, std::move(what));
    auto how = in.arrive(moment, head, made, got);
    if (how != channel::verdict::taken)
      arrived_.erase(last_arrived_);
    return how;
  }

  void take(confirm_event::word& what) {
    if (outbox_.heard(now(), what.from, what.said, wanted_) == channel::verdict::nonsense)
      shared_.count_damaged();
  }

  void take(confirm_event::refusal& what) {
    outbox_.refused(what.from, what.why, wanted_);
  }

  /// An agent has done with a message, or cannot have it.
  void take(confirm_event::answer& what) {
    auto found = deliveries_.find(what.number);
    if (found == deliveries_.end())
      return;
    if (what.where && *what.where != found->second.where)
      return shared_.count_uninvited();
    auto it = std::move(found->second);
    deliveries_.erase(found);
    auto& in = receiver_of(it.from);
    auto& got = got_[it.from];
    auto moment = now();
    if (!what.why)
      in.handled(moment, it.session, it.number, got);
    else if (what.is_bounced && what.why.code == errc::limit_reached)
      in.no_room(moment, it.session, it.number, got);
    else if (what.is_bounced && what.why.code == errc::expired)
      in.expired(moment, it.session, it.number, got);
    else if (what.is_bounced)
      in.missing(it.session, it.number, got); // it ended before it came to this one
    else
      fail(in, it, std::move(what.why), got);
  }

  void fail(channel::receiver& in, const delivery& which, problem why,
            channel::receiver::effects& got) const {
    auto again_in = delay_of(why);
    in.failed(now(), which.session, which.number, {std::move(why), again_in, !which.is_ordered},
              got);
  }

  // -- what the machines want --------------------------------------------------------------

  /// In order, also if something is asked for while it is done.
  void carry_out() {
    if (std::exchange(is_carrying_out_, true))
      return;
    while (!wanted_.empty() || !got_.empty()) {
      for (auto all = std::exchange(wanted_, {}); auto& each : all)
        troupe::visit([this](auto& what) { perform(what); }, each);
      for (auto all = std::exchange(got_, {}); auto& [node, got] : all)
        for (auto& each : got)
          troupe::visit([this, from = node](auto& what) { perform(from, what); }, each);
    }
    is_carrying_out_ = false;
    say_later();
    arm();
  }

  void perform(outbox::transmit& what) {
    auto& it = sent_.at(what.what.what);
    auto moment = now();
    auto expires_at = it.from.said.expires_at();
    if (what.to == node_) {
      arrive(moment, receiver_of(node_), what.what.head, it.agent,
             {it.payload, it.from, it.bytes, expires_at}, got_[node_]);
      return;
    }
    auto made = it.from.to({it.agent}, it.payload);
    if (expires_at)
      made.life = *expires_at - moment;
    made.frame = what.what.head;
    auto once = is_once(it.from);
    if (auto& id = it.from.said.id; id.node != node_ || id.boot != shared_.boot() || once)
      made.id = id; // accepted elsewhere or by an earlier start, or to stay the same
    if (once)
      made.age = it.from.said.age_at(moment);
    write(what.to, std::move(made));
  }

  void perform(outbox::ask& what) {
    if (what.to == node_) {
      static_cast<void>(receiver_of(node_).asked(now(), what.what, got_[node_]));
      return;
    }
    letter made;
    made.to.emplace_back("?"); // nobody
    made.probe = std::move(what.what);
    write(what.to, std::move(made));
  }

  /// A node that does not know the class answers that request with a refusal.
  void write(const node_id& to, letter what) {
    what.wanted = word::receipt;
    what.number = entrance::confirm_number;
    what.patience = longest_wait;
    write_(to, what);
  }

  void perform(outbox::ended& what) {
    auto gone = std::move(sent_.extract(what.what).mapped());
    dead_.ended(gone.from.said.id, !what.why);
    shared_.confirms.give_back(gone.agent, gone.bytes, gone.from.client());
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
    auto to = is_once(it.from) ? what.to : node_id{};
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

  void perform(const node_id& from, channel::receiver::deliver& what) {
    auto found = arrived_.find(what.what);
    if (found == arrived_.end())
      return; // it is over since
    auto& it = found->second;
    if (it.unreadable)
      return receiver_of(from).refused(now(), what.session, what.number, it.unreadable, got_[from]);
    if (is_once(it.from))
      if (auto agent = shared_.agents.find(what.agent); agent && !agent.has_store)
        return receiver_of(from).refused(now(), what.session, what.number, no_store(what.agent),
                                         got_[from]);
    auto to = shared_.agents.pass(what.agent, it.bytes);
    if (!to.agent)
      return receiver_of(from).missing(what.session, what.number, got_[from]);
    auto payload = message_for(to.agent, it.payload, [&] { return it.from.info(); });
    deliveries_.emplace(++last_delivery_, delivery{from, what.session, what.number, what.agent,
                                                   to.agent.handle->node(), to.agent.is_ordered});
    it.delivery = last_delivery_;
    asker by{self_->ctrl(),
             caf::message_id{entrance::handled_flag | last_delivery_}.with_normal_priority()};
    shared_.give(self_->ctrl(), what.agent, to, {payload, std::move(by), it.bytes, it.expires_at},
                 self_->context());
  }

  void perform(const node_id&, const channel::receiver::drop& what) {
    if (auto gone = arrived_.extract(what.what))
      deliveries_.erase(gone.mapped().delivery); // its agent may have it yet
  }

  void perform(const node_id&, const channel::receiver::dead& what) {
    auto is_expired = what.how == channel::outcome::expired;
    given_up_ += is_expired ? 0 : 1;
    auto found = arrived_.find(what.what);
    if (found == arrived_.end() || is_kept_by_sender(found->second.from))
      return;
    dead_.bury(
      what.agent,
      end_of(is_expired ? dead_reason::expired : dead_reason::failed, what.failures,
             is_expired ? expired() : what.why),
      {found->second.payload, found->second.from, found->second.bytes, found->second.unreadable});
  }

  /// Then it is a dead letter there.
  static bool is_kept_by_sender(const origin& from) {
    return from.said.how && from.said.how->durability != durability::memory;
  }

  // -- what is said ------------------------------------------------------------------------

  /// Once all is done that lies in the mailbox now, so that one word tells of many.
  void say_later() {
    auto owes = [](const auto& each) { return each.second.owes_word(); };
    if (is_saying_ || std::ranges::none_of(receivers_, owes))
      return;
    is_saying_ = true;
    run_on(caf::strong_actor_ptr{self_->ctrl()}, [this] {
      is_saying_ = false;
      for (auto& [node, each] : receivers_)
        if (each.owes_word())
          say(node, each.take_word());
      carry_out();
    });
  }

  void say(const node_id& to, channel::acknowledgement what) {
    if (to == node_)
      static_cast<void>(outbox_.heard(now(), to, what, wanted_));
    else if (auto found = answer_to_.find(to); found != answer_to_.end())
      found->second->enqueue(self_->ctrl(), caf::make_message_id(),
                             caf::make_message(confirm_word{std::move(what)}), self_->context());
  }

  // -- time --------------------------------------------------------------------------------

  void arm() {
    auto next = outbox_.next_deadline();
    for (auto& [node, each] : receivers_)
      if (auto due = each.next_deadline())
        next = next ? std::min(next, due) : due;
    if (!next)
      return;
    timer_.arm(self_, caf::actor_clock::time_point{next->time_since_epoch()}, [this] {
      auto moment = now();
      outbox_.tick(moment, wanted_);
      for (auto& [node, each] : receivers_)
        if (auto due = each.next_deadline(); due && *due <= moment)
          each.tick(moment, got_[node]);
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
  std::map<node_id, channel::receiver> receivers_;
  /// What they want done.
  std::map<node_id, channel::receiver::effects> got_;
  bool is_carrying_out_ = false;
  bool is_saying_ = false;
  /// The routers of other nodes, for what is said to them.
  std::map<node_id, caf::strong_actor_ptr> answer_to_;
  std::map<std::uint64_t, outgoing> sent_;
  std::uint64_t last_sent_ = 0;
  std::map<std::uint64_t, incoming> arrived_;
  std::uint64_t last_arrived_ = 0;
  /// That agents have.
  std::map<std::uint64_t, delivery> deliveries_;
  std::uint64_t last_delivery_ = 0;
  std::uint64_t given_up_ = 0;
  dead_desk dead_;
  /// Null: no message can be kept.
  std::shared_ptr<outbox_keeper> keeper_;
  deadline_timer timer_;
};

} // namespace troupe::router::detail
