#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/gossip_queue.hpp"
#include "troupe/cluster/suspicion.hpp"
#include "troupe/cluster/swim_options.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// Finds out which members of a cluster are there, as seen from one of them. All do the same; none
/// decides for the others.
///
/// - In each period it pings the next member, in an order drawn anew for each round. Who does not
///   answer in time is pinged by others, and over its link, too; who answers nobody is a suspect.
/// - Some of those that hear of a suspect ping it, too: the more agree, the less time it has.
/// - A suspect that does not contradict in time is dead. What a node says of itself is signed and
///   has an incarnation: a rumour counts against the incarnation that it names, and no other. So a
///   node outlives any rumour that it hears of.
/// - Rumours ride on pings, and go to some others as long as there are any. Now and then two
/// members
///   compare all that they know.
/// - A node that has reason to doubt its own hearing becomes slower to accuse others.
/// - The dead are tried as long as they are remembered. Who leaves is not dead.
///
/// Steps like any machine. No snapshot: a node that starts again asks the others. Not thread-safe.
/// Cost of a step: O(log n), of choosing whom to ask O(n) where most are gone.
/// Sources: Das, Gupta, Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group
/// Membership Protocol", DSN 2002; Dadgar, Phillips, Currey, "Lifeguard", DSN-W 2018.
///
/// It counts on this of its host: mail comes from whom it is said to come from; `introduced` only
/// for nodes that may be members; each `sign` and `reach` is answered once, and not within the
/// step.
class swim {
public:
  // -- events ----------------------------------------------------------------------------

  /// This node takes part, and is reached there.
  struct begin {
    std::string address;
  };

  /// It is reached elsewhere from here on.
  struct moved {
    std::string address;
  };

  /// The answer to the last `sign`.
  struct stated {
    signed_statement what;
  };

  /// A node with this key may be a member, and has said this.
  struct introduced {
    public_key key;
    signed_statement what;
    /// Others may not know it yet.
    bool is_news = true;
  };

  /// A datagram has come.
  struct heard {
    node_id from;
    swim_mail what;
  };

  /// What `from` knows, in a comparison: see page().
  struct told {
    node_id from;
    std::vector<rumour> all;
  };

  /// Whether the node has answered over its link: to the `reach` of that number.
  struct reached {
    std::uint32_t number = 0;
    bool answered = false;
  };

  /// There is reason to ask whether it is there: its link has ended, or is silent.
  struct doubted {
    node_id who;
  };

  /// This node could not send to it. (What another machine refuses has been sent.)
  struct not_sent {
    node_id to;
  };

  /// This node is about to go, and says so.
  struct leave {};

  using event = std::variant<begin, moved, stated, introduced, heard, told, reached, doubted,
                             not_sent, leave>;

  // -- effects ---------------------------------------------------------------------------

  struct send {
    node_id to;
    std::string address;
    swim_mail what;
  };

  /// Ask it over a link for a sign of life, making one if there is none.
  struct reach {
    std::uint32_t number = 0;
    node_id whom;
    duration wait{};
  };

  /// Sign this, and step `stated`. A later one takes the place of one that is under way.
  struct sign {
    statement what;
  };

  /// Ask `from` who `whom` is, over a link, and step `introduced` if it may be a member.
  struct ask {
    node_id whom;
    node_id from;
  };

  /// Compare with that member, over a link: each gets the pages of the other.
  struct sync {
    node_id with;
  };

  /// A member stands so from here on; `by` has said so.
  struct shows {
    node_id who;
    incarnation when;
    member_status is{};
    node_id by;
    std::string address;
  };

  /// It has been gone for long.
  struct forgot {
    node_id who;
  };

  /// Datagrams do not get there, messages over the link do.
  struct no_datagrams {
    node_id to;
  };

  /// Of that member, in words for the log; each may come often.
  struct complain {
    node_id of;
    std::string what;
  };

  using effect = std::variant<send, reach, sign, ask, sync, shows, forgot, no_datagrams, complain>;
  using effects = std::vector<effect>;

  using verifier = bool (*)(const public_key&, std::string_view, const signature&);

  /// `self` in its present life.
  swim(const node_id& self, boot_number boot, const swim_options& options, std::uint64_t seed,
       verifier check = &verify)
    : options_(options), is_signed_(check), random_(seed) {
    own_.node = self;
    own_.when.boot = boot;
  }

  /// @pre `now` never goes backwards.
  void step(time_point now, request_id, event what, effects& out) {
    now_ = now;
    out_ = &out;
    std::visit([this](auto& each) { handle(each); }, what);
    out_ = nullptr;
  }

  void tick(time_point now, effects& out) {
    now_ = now;
    out_ = &out;
    notice_sleep();
    while (!timers_.empty() && timers_.begin()->first <= now)
      end_wait(timers_.begin()->second);
    while (!suspected_.empty() && suspected_.begin()->first <= now)
      declare_dead(node_id{suspected_.begin()->second});
    auto is_due = [now](std::optional<time_point>& when) {
      if (!when || *when > now)
        return false;
      when.reset();
      return true;
    };
    if (is_due(probe_at_))
      probe_next();
    if (is_due(news_at_))
      spread_news();
    if (is_due(sync_at_))
      compare();
    if (is_due(revisit_at_))
      revisit();
    out_ = nullptr;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> next;
    auto no_later = [&next](const std::optional<time_point>& when) {
      if (when)
        next = std::min(next.value_or(*when), *when);
    };
    for (auto& each : {probe_at_, news_at_, sync_at_, revisit_at_})
      no_later(each);
    if (!timers_.empty())
      no_later(timers_.begin()->first);
    if (!suspected_.empty())
      no_later(suspected_.begin()->first);
    return next;
  }

  // -- what it knows ---------------------------------------------------------------------

  struct view {
    member_status state{};
    incarnation when{};
    std::string address{};
  };

  /// Nothing of strangers, and of this node itself.
  [[nodiscard]] std::optional<view> find(const node_id& who) const {
    auto found = members_.find(who);
    if (found == members_.end())
      return std::nullopt;
    auto& said = found->second.told.what;
    return view{found->second.is, said.when, said.address};
  }

  /// With what `introduced` takes, elsewhere.
  [[nodiscard]] std::optional<introduced> card_of(const node_id& who) const {
    auto found = members_.find(who);
    if (found == members_.end())
      return std::nullopt;
    return introduced{found->second.key, found->second.told, false};
  }

  /// Calls `use(const node_id&, member_status)` for each member but this one.
  template <class Use>
  void for_each(Use use) const {
    for (auto& [node, each] : members_)
      use(node, each.is);
  }

  /// What this node has said of itself; nothing is signed yet: no value.
  [[nodiscard]] const std::optional<signed_statement>& own() const {
    return stated_;
  }

  /// Members that are there, this one included.
  [[nodiscard]] std::size_t present() const {
    return present_ + 1;
  }

  /// How far it doubts its own hearing.
  [[nodiscard]] std::uint32_t doubt() const {
    return doubt_;
  }

  /// All that it knows, in pages of about `limit` rumours: the next one begins after `after`, the
  /// last node of the one before. The last page is empty.
  [[nodiscard]] std::pair<std::vector<rumour>, node_id> page(const node_id& after,
                                                             std::size_t limit) const {
    std::vector<rumour> found;
    auto last = after;
    auto next = members_.upper_bound(after);
    auto is_own_due = stated_ && own_.node > after;
    for (; found.size() < limit && (is_own_due || next != members_.end());) {
      if (is_own_due && (next == members_.end() || own_.node < next->first)) {
        found.emplace_back(told_itself{*stated_});
        last = own_.node;
        is_own_due = false;
        continue;
      }
      found.emplace_back(told_itself{next->second.told});
      if (next->second.is == member_status::suspect || next->second.is == member_status::dead)
        found.emplace_back(rumour_of(next->first, next->second));
      last = next++->first;
    }
    return {std::move(found), last};
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    std::vector<std::string> found;
    auto expect = [&found](bool holds, const char* what) {
      if (!holds)
        found.emplace_back(what);
    };
    std::size_t here = 0;
    std::size_t suspects = 0;
    for (auto& [node, each] : members_) {
      auto is_suspect = each.is == member_status::suspect;
      here += is_here(each) ? 1 : 0;
      suspects += is_suspect ? 1 : 0;
      expect(node != own_.node, "this node is a member of its own");
      expect(each.told.what.node == node, "a member has said what another one said");
      expect(is_suspect == each.doubts.has_value(), "a suspicion of nobody");
      expect(!is_suspect || suspected_.contains({each.dead_at, node}), "a suspect for ever");
      expect(each.probe == 0 || probes_.contains(each.probe), "a ping is lost");
    }
    expect(here == present_, "members are miscounted");
    expect(suspects == suspected_.size(), "one is suspected who is not there");
    expect(ring_.size() == members_.size(), "the round lacks a member");
    expect(members_.size() <= options_.max_members, "more members than allowed");
    expect(errands_.size() <= options_.max_errands, "more errands than allowed");
    expect(strangers_.size() <= options_.max_strangers, "more strangers than allowed");
    expect(timers_.size() == probes_.size() + errands_.size(), "a wait has no end");
    expect(doubt_ <= options_.most_doubt, "more doubt than allowed");
    return found;
  }

private:
  struct member {
    public_key key{};
    signed_statement told{};
    member_status is = member_status::alive;
    /// Who has accused it last.
    node_id by{};
    std::optional<suspicion> doubts{};
    time_point dead_at{};
    /// Since when it is dead, or has left.
    time_point gone{};
    /// The ping under way; zero: none.
    std::uint32_t probe = 0;
  };

  using members = std::map<node_id, member>;

  /// A ping that this node has sent for itself.
  struct probe {
    node_id whom;
    incarnation when;
    time_point next;
    time_point end;
    bool is_indirect = false;
    /// Whom it has asked for help, and has heard nothing from.
    std::set<node_id> asked;
    bool had_help = false;
  };

  /// A ping for another member.
  struct errand {
    node_id whom;
    node_id asker;
    std::uint32_t number = 0;
    time_point next;
  };

  /// Somebody of whom, or of whose later life, a member has spoken.
  struct stranger {
    time_point asked;
    bool is_news = true;
  };

  static bool is_here(const member& who) {
    return who.is == member_status::alive || who.is == member_status::suspect;
  }

  // -- this node itself ------------------------------------------------------------------

  void handle(begin& what) {
    own_.address = std::move(what.address);
    out_->push_back(sign{own_});
    auto spread = [this](duration span) {
      return duration{static_cast<std::int64_t>(
        random_.below(static_cast<std::uint64_t>(std::max(span, duration{1}).count())))};
    };
    probe_at_ = now_ + spread(options_.period);
    sync_at_ = now_ + spread(options_.sync_every);
    revisit_at_ = now_ + options_.revisit_every;
  }

  void handle(moved& what) {
    if (what.address == own_.address)
      return;
    own_.address = std::move(what.address);
    speak_again();
  }

  void handle(leave&) {
    if (own_.leaves)
      return;
    own_.leaves = true;
    out_->push_back(sign{own_});
  }

  void speak_again() {
    ++own_.when.refutation;
    out_->push_back(sign{own_});
  }

  void handle(stated& what) {
    if (what.what.what != own_)
      return; // more has happened since
    stated_ = std::move(what.what);
    spread(told_itself{*stated_});
    if (own_.leaves)
      news_at_ = now_; // it may be gone soon
  }

  /// Whether what it would say next is being signed.
  [[nodiscard]] bool is_speaking() const {
    return !stated_ || stated_->what != own_;
  }

  void hear_of_self(const node_id& from, const told_itself& what) {
    auto& said = what.what.what;
    if (said == own_ || said.when < own_.when || !stated_)
      return;
    // Nobody else can have signed it. One who has the key, or an older disk.
    out_->push_back(complain{from, said.when.boot > own_.when.boot
                                     ? "knows a later life of this node"
                                     : "knows another process with the identity of this node"});
  }

  void hear_of_self(const node_id& from, const accusation& what) {
    if (planted_flaw == flaw::no_refutation || own_.leaves)
      return;
    if (what.when > own_.when)
      return out_->push_back(complain{from, "accuses a life of this node that has not been"});
    if (what.when < own_.when || is_speaking())
      return;
    raise_doubt(1); // it may be this node that does not hear
    speak_again();
  }

  // -- doubt -----------------------------------------------------------------------------

  void raise_doubt(std::size_t by) {
    doubt_ = static_cast<std::uint32_t>(std::min<std::size_t>(doubt_ + by, options_.most_doubt));
  }

  [[nodiscard]] duration slowed(duration span) const {
    return span * (doubt_ + 1);
  }

  /// A process that was stopped finds all its deadlines past, and the answers unread behind it: it
  /// judges nobody by that.
  void notice_sleep() {
    auto due = next_deadline();
    if (!due || options_.most_doubt == 0)
      return;
    auto late = now_ - *due;
    if (late < options_.answer_within)
      return;
    raise_doubt(1);
    std::set<std::pair<time_point, node_id>> later;
    for (auto& [when, node] : suspected_) {
      auto& each = members_.at(node);
      each.doubts->lengthen(late);
      each.dead_at = when + late;
      later.emplace(each.dead_at, node);
    }
    suspected_ = std::move(later);
    for (auto& [number, each] : probes_) {
      each.next += late;
      each.end += late;
    }
    for (auto& [number, each] : errands_)
      each.next += late;
    std::set<std::pair<time_point, std::uint32_t>> waits;
    for (auto& [when, number] : timers_)
      waits.emplace(when + late, number);
    timers_ = std::move(waits);
  }

  // -- pings -----------------------------------------------------------------------------

  void probe_next() {
    probe_at_ = now_ + slowed(options_.period);
    for (auto rest = ring_.size(); rest > 0; --rest) {
      if (position_ >= ring_.size()) {
        for (auto left = ring_.size(); left > 1; --left)
          std::swap(ring_[left - 1], ring_[random_.below(left)]);
        position_ = 0;
      }
      auto next = ring_[position_++];
      if (is_here(next->second) && next->second.probe == 0)
        return ping(next);
    }
  }

  void ping(members::iterator whom) {
    auto number = ++last_number_;
    probe made{whom->first,
               whom->second.told.what.when,
               now_ + slowed(options_.answer_within),
               now_ + slowed(options_.period),
               false,
               {},
               false};
    timers_.emplace(made.next, number);
    probes_.emplace(number, std::move(made));
    whom->second.probe = number;
    mail(*whom, {swim_ping{number}, {}});
  }

  /// A ping, for this node or another, has not been answered yet.
  void end_wait(std::uint32_t number) {
    timers_.erase(timers_.begin());
    auto found = probes_.find(number);
    if (found == probes_.end())
      return fail_errand(number);
    auto& each = found->second;
    if (each.is_indirect)
      return fail(found);
    ask_others(number, each);
    timers_.emplace(each.next = each.end, number);
  }

  void ask_others(std::uint32_t number, probe& each) {
    each.is_indirect = true;
    for (auto& helper : some(options_.helpers, [&](const members::value_type& who) {
           return who.second.is == member_status::alive && who.first != each.whom;
         })) {
      each.asked.insert(helper->first);
      each.had_help = true;
      mail(*helper, {swim_ping_request{number, each.whom}, {}});
    }
    out_->push_back(reach{number, each.whom, each.end - now_});
  }

  void fail(std::map<std::uint32_t, probe>::iterator which) {
    auto lost = std::move(which->second);
    probes_.erase(which);
    // Helpers that say nothing at all are heard as little as the one pinged.
    raise_doubt(lost.had_help ? lost.asked.size() : 1);
    auto found = members_.find(lost.whom);
    if (found == members_.end())
      return;
    found->second.probe = 0;
    if (is_here(found->second) && found->second.told.what.when == lost.when && !own_.leaves)
      accuse({lost.whom, lost.when, own_.node, false});
  }

  void handle(reached& what) {
    auto found = probes_.find(what.number);
    if (found == probes_.end() || !what.answered)
      return;
    out_->push_back(no_datagrams{found->second.whom});
    end_well(found);
  }

  void end_well(std::map<std::uint32_t, probe>::iterator which) {
    timers_.erase({which->second.next, which->first});
    auto found = members_.find(which->second.whom);
    probes_.erase(which);
    doubt_ -= doubt_ > 0 ? 1 : 0;
    if (found == members_.end())
      return;
    found->second.probe = 0;
    if (found->second.is == member_status::dead)
      out_->push_back(sync{found->first}); // each may know of many that the other lost, too
  }

  void handle(doubted& what) {
    auto found = members_.find(what.who);
    if (found != members_.end() && is_here(found->second) && found->second.probe == 0)
      ping(found);
  }

  void handle(not_sent& what) {
    auto found = members_.find(what.to);
    if (found == members_.end() || found->second.probe == 0)
      return;
    raise_doubt(1);
    auto& each = probes_.at(found->second.probe);
    if (!std::exchange(each.is_indirect, true)) {
      timers_.erase({each.next, found->second.probe});
      ask_others(found->second.probe, each);
      timers_.emplace(each.next = each.end, found->second.probe);
    }
  }

  // -- mail that comes -------------------------------------------------------------------

  void handle(heard& what) {
    auto found = members_.find(what.from);
    if (found == members_.end())
      return get_to_know(what.from, what.from);
    for (auto& each : what.what.rumours)
      take_in(what.from, each);
    std::visit([&](auto& each) { answer(*found, each); }, what.what.what);
  }

  void answer(members::value_type&, const swim_news&) {}

  void answer(members::value_type& from, const swim_ping& what) {
    mail(from, {swim_ack{what.number}, {}});
  }

  void answer(members::value_type& from, const swim_ping_request& what) {
    auto whom = members_.find(what.whom);
    if (whom == members_.end())
      return mail(from, {swim_nack{what.number}, {}});
    if (errands_.size() >= options_.max_errands)
      fail_oldest_errand();
    auto number = ++last_number_;
    // Before the asker gives up, so that it learns that this node is there.
    errand made{whom->first, from.first, what.number, now_ + options_.answer_within * 4 / 5};
    timers_.emplace(made.next, number);
    errands_.emplace(number, made);
    mail(*whom, {swim_ping{number}, {}});
  }

  void answer(members::value_type& from, const swim_ack& what) {
    if (auto run = errands_.find(what.number); run != errands_.end()) {
      if (run->second.whom != from.first)
        return;
      auto done = run->second;
      timers_.erase({done.next, run->first});
      errands_.erase(run);
      if (auto asker = members_.find(done.asker); asker != members_.end())
        mail(*asker, {swim_ack{done.number}, {}});
      return;
    }
    auto found = probes_.find(what.number);
    if (found != probes_.end()
        && (found->second.whom == from.first || found->second.asked.contains(from.first)))
      end_well(found);
  }

  void answer(members::value_type& from, const swim_nack& what) {
    if (auto found = probes_.find(what.number); found != probes_.end())
      found->second.asked.erase(from.first);
  }

  void fail_errand(std::uint32_t number) {
    auto run = errands_.extract(number);
    if (!run)
      return;
    if (auto asker = members_.find(run.mapped().asker); asker != members_.end())
      mail(*asker, {swim_nack{run.mapped().number}, {}});
  }

  void fail_oldest_errand() {
    auto oldest = errands_.begin();
    timers_.erase({oldest->second.next, oldest->first});
    fail_errand(oldest->first);
  }

  // -- rumours ---------------------------------------------------------------------------

  void handle(told& what) {
    compares_ = true;
    for (auto& each : what.all)
      take_in(what.from, each);
    compares_ = false;
  }

  void take_in(const node_id& from, const rumour& what) {
    std::visit(
      [&](auto& each) {
        if (subject_of(each) == own_.node)
          hear_of_self(from, each);
        else
          take_in(from, each);
      },
      what);
  }

  static const node_id& subject_of(const told_itself& what) {
    return what.what.what.node;
  }

  static const node_id& subject_of(const accusation& what) {
    return what.node;
  }

  void handle(introduced& what) {
    auto& said = what.what.what;
    if (said.node == own_.node || id_of(what.key) != said.node)
      return;
    // Whom a comparison has shown the others know, too.
    auto asked = strangers_.extract(said.node);
    auto is_news = asked ? asked.mapped().is_news : what.is_news;
    if (members_.contains(said.node))
      return take_in(said.node, told_itself{what.what});
    if (members_.size() >= options_.max_members)
      return out_->push_back(complain{said.node, "would be one member too many"});
    if (!is_signed(what.key, what.what))
      return out_->push_back(complain{said.node, "is introduced with what it has not signed"});
    auto is_first = members_.empty();
    auto made = members_.emplace(said.node, member{what.key, what.what}).first;
    join_round(made);
    ++present_;
    become(made, said.leaves ? member_status::left : member_status::alive, said.node);
    if (is_news)
      spread(told_itself{what.what});
    if (is_first)
      out_->push_back(sync{said.node});
  }

  [[nodiscard]] bool is_signed(const public_key& key, const signed_statement& what) const {
    return planted_flaw == flaw::unsigned_statement_believed
           || is_signed_(key, to_be_signed(what.what), what.by);
  }

  /// Somewhere in what is left of the round.
  void join_round(members::iterator who) {
    ring_.push_back(who);
    auto first = std::min(position_, ring_.size() - 1);
    std::swap(ring_[first + random_.below(ring_.size() - first)], ring_.back());
  }

  void take_in(const node_id& from, const told_itself& what) {
    auto& said = what.what.what;
    auto found = members_.find(said.node);
    if (found == members_.end())
      return get_to_know(said.node, from);
    auto& known = found->second;
    auto& before = known.told.what;
    auto is_news = said.when > before.when
                   || (said.when == before.when && said.leaves && known.is != member_status::left);
    if (planted_flaw == flaw::old_incarnation_wins)
      is_news = said != before;
    auto contradicts = !is_news && said.when == before.when && !before.leaves && said != before;
    if (!is_news && !contradicts)
      return;
    if (!is_signed(known.key, what.what))
      return out_->push_back(complain{from, "passes on what the node has not signed"});
    if (contradicts)
      return out_->push_back(complain{said.node, "says different things to different members"});
    known.told = what.what;
    become(found, said.leaves ? member_status::left : member_status::alive, said.node);
    spread(what);
  }

  void take_in(const node_id& from, const accusation& what) {
    auto found = members_.find(what.node);
    if (found == members_.end() || what.by == what.node)
      return;
    auto& known = found->second.told.what;
    if (what.when > known.when)
      return get_to_know(what.node, from); // what it has said since is on its way, or is a lie
    if (what.when == known.when && (what.by == own_.node || members_.contains(what.by)))
      accuse(what);
  }

  /// @pre it is a member, and that is the last incarnation of which it has said something
  void accuse(const accusation& what) {
    auto found = members_.find(what.node);
    auto& whom = found->second;
    if (what.is_dead) {
      if (!is_here(whom))
        return;
      become(found, member_status::dead, what.by);
      return spread(what);
    }
    if (whom.is == member_status::alive)
      become(found, member_status::suspect, what.by);
    else if (!whom.doubts || !whom.doubts->agree(what.by, options_))
      return;
    await_death(found);
    spread(what);
    if (whom.doubts->agreed() == 0 && what.by != own_.node)
      give_opinion(found);
  }

  /// As many as it takes to agree ask the suspect themselves, rather than when its turn comes.
  void give_opinion(members::iterator suspect) {
    if (suspect->second.probe == 0 && random_.below(present()) < options_.accusers)
      ping(suspect);
  }

  void await_death(members::iterator whom) {
    suspected_.erase({whom->second.dead_at, whom->first});
    whom->second.dead_at = whom->second.doubts->end(options_, present());
    suspected_.emplace(whom->second.dead_at, whom->first);
  }

  void declare_dead(const node_id& who) {
    auto& whom = members_.at(who);
    if (own_.leaves) { // who goes judges nobody
      suspected_.erase({whom.dead_at, who});
      whom.dead_at = now_ + options_.period;
      suspected_.emplace(whom.dead_at, who);
      return;
    }
    accuse({who, whom.told.what.when, own_.node, true});
  }

  void become(members::iterator who, member_status is, const node_id& by) {
    auto& each = who->second;
    auto was_here = is_here(each);
    suspected_.erase({each.dead_at, who->first});
    each.doubts.reset();
    each.is = is;
    each.by = by;
    if (is == member_status::suspect)
      each.doubts.emplace(now_, by);
    if (was_here && !is_here(each)) {
      each.gone = now_;
      --present_;
    } else if (!was_here && is_here(each)) {
      ++present_;
    }
    out_->push_back(shows{who->first, each.told.what.when, is, by, each.told.what.address});
  }

  static rumour rumour_of(const node_id& node, const member& what) {
    return accusation{node, what.told.what.when, what.by, what.is == member_status::dead};
  }

  /// Who spoke of it, or of what it has said since, can say who it is.
  void get_to_know(const node_id& whom, const node_id& from) {
    auto patience = 5 * options_.period;
    auto found = strangers_.find(whom);
    if (found != strangers_.end() && now_ - found->second.asked < patience)
      return;
    if (found == strangers_.end() && strangers_.size() >= options_.max_strangers
        && std::erase_if(strangers_, [&](auto& each) {
             return now_ - each.second.asked >= patience;
           }) == 0)
      return;
    auto is_news
      = !compares_ || whom == from || (found != strangers_.end() && found->second.is_news);
    strangers_.insert_or_assign(whom, stranger{now_, is_news});
    out_->push_back(ask{whom, from});
  }

  // -- mail that goes --------------------------------------------------------------------

  void spread(const rumour& what) {
    news_.put(what);
    if (!news_at_)
      news_at_ = now_ + options_.news_every;
  }

  [[nodiscard]] std::uint32_t repeats() const {
    if (planted_flaw == flaw::rumour_dropped_early)
      return 1;
    return options_.repeats + static_cast<std::uint32_t>(log2_of(present()) >> 16U);
  }

  void spread_news() {
    if (news_.empty())
      return;
    for (auto& each :
         some(options_.news_to, [](const members::value_type& who) { return is_here(who.second); }))
      if (!news_.empty())
        mail(*each, {swim_news{}, {}});
    if (!news_.empty())
      news_at_ = now_ + options_.news_every;
  }

  /// With what is said of the receiver itself, which can contradict, then with news.
  void mail(members::value_type& to, swim_mail what) {
    auto room = options_.max_mail - std::min(options_.max_mail, to_bytes(what).size());
    auto& [node, known] = to;
    if (options_.tells_suspects
        && (known.is == member_status::suspect || known.is == member_status::dead)) {
      what.rumours.push_back(rumour_of(node, known));
      room -= std::min(room, to_bytes(what.rumours.back()).size());
    }
    news_.take(room, repeats(), what.rumours);
    out_->push_back(send{node, known.told.what.address, std::move(what)});
  }

  /// Up to so many members, drawn at random among those that `fits`.
  template <class Fits>
  std::vector<members::iterator> some(std::size_t count, Fits fits) {
    std::vector<members::iterator> found;
    auto size = ring_.size();
    if (size == 0)
      return found;
    auto first = random_.below(size); // the round is in no order
    for (std::size_t step = 0; step < size && found.size() < count; ++step)
      if (auto each = ring_[(first + step) % size]; fits(*each))
        found.push_back(each);
    return found;
  }

  // -- now and then ----------------------------------------------------------------------

  void compare() {
    auto span = options_.sync_every;
    if (present() > 32)
      span = span / 65'536 * static_cast<std::int64_t>(log2_of(present()) - (4U << 16U));
    sync_at_ = now_ + span;
    for (auto& each : some(
           1, [](const members::value_type& who) { return who.second.is == member_status::alive; }))
      out_->push_back(sync{each->first});
  }

  void revisit() {
    revisit_at_ = now_ + options_.revisit_every;
    std::vector<members::iterator> old;
    for (auto each = members_.begin(); each != members_.end(); ++each)
      if (!is_here(each->second) && now_ - each->second.gone >= options_.keep_gone)
        old.push_back(each);
    for (auto& each : old)
      forget(each);
    for (auto& each : some(1, [](const members::value_type& who) {
           return who.second.is == member_status::dead && who.second.probe == 0;
         }))
      ping(each);
  }

  void forget(members::iterator who) {
    if (auto open = probes_.find(who->second.probe); open != probes_.end()) {
      timers_.erase({open->second.next, open->first});
      probes_.erase(open);
    }
    auto place = static_cast<std::size_t>(std::ranges::find(ring_, who) - ring_.begin());
    ring_.erase(ring_.begin() + static_cast<std::ptrdiff_t>(place));
    position_ -= place < position_ ? 1 : 0;
    news_.drop(who->first);
    out_->push_back(forgot{who->first});
    members_.erase(who);
  }

  const swim_options options_;
  const verifier is_signed_;
  random_source random_;
  /// What this node would say of itself, and what it has said.
  statement own_;
  std::optional<signed_statement> stated_;
  members members_;
  /// Those that are alive, or suspects.
  std::size_t present_ = 0;
  /// The order of this round, and what comes next in it.
  std::vector<members::iterator> ring_;
  std::size_t position_ = 0;
  std::map<std::uint32_t, probe> probes_;
  std::map<std::uint32_t, errand> errands_;
  std::uint32_t last_number_ = 0;
  /// When the next thing is to be done about each ping.
  std::set<std::pair<time_point, std::uint32_t>> timers_;
  std::set<std::pair<time_point, node_id>> suspected_;
  gossip_queue news_;
  /// Whom this node has asked about.
  std::map<node_id, stranger> strangers_;
  std::uint32_t doubt_ = 0;
  std::optional<time_point> probe_at_;
  std::optional<time_point> news_at_;
  std::optional<time_point> sync_at_;
  std::optional<time_point> revisit_at_;
  /// While a step runs.
  bool compares_ = false;
  time_point now_{};
  effects* out_ = nullptr;
};

} // namespace troupe::cluster
