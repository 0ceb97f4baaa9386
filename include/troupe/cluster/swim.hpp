#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/known_member.hpp"
#include "troupe/cluster/member_turns.hpp"
#include "troupe/cluster/membership.hpp"
#include "troupe/cluster/prober.hpp"
#include "troupe/cluster/rumour_pages.hpp"
#include "troupe/cluster/suspicion.hpp"
#include "troupe/cluster/swim_options.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/registry/record_set.hpp"

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
/// - Rumours ride on pings, and go to some others in turn as long as there are any. A member
///   that repeats an accusation which the node has contradicted is told again, in the next mail to
///   it. Now and then two members compare all that they know; seldom while the digests in their
///   mail show that they see the same.
/// - A node that has reason to doubt its own hearing becomes slower to accuse others.
/// - The dead are tried as long as they are remembered, and at once when there is a sign of life:
///   a card over a link, a datagram, or a member that shows it alive. Who leaves is not dead; if it
///   writes some time later, it is back, and asked for its card.
/// - Who comes later learns of the dead as it compares, and for how long each is gone: all forget
///   it at the same time, but for what a comparison takes, and for how far apart they have seen it
///   die.
///
/// Composes two parts: `prober` pings, `membership` judges rumours. What is left here is what takes
/// both: whom mail, comparisons and tries of the dead go to.
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

  /// It says of its records that they are these from here on.
  struct holds {
    registry::records_head records;
  };

  /// The answer to the last `sign`.
  struct stated {
    signed_statement what;
  };

  /// A node with this key may be a member, and has said this.
  using introduced = membership::introduced;

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

  using event = std::variant<begin, moved, holds, stated, introduced, heard, told, reached, doubted,
                             not_sent, leave>;

  // -- effects ---------------------------------------------------------------------------

  struct send {
    node_id to;
    std::string address;
    swim_mail what;
  };

  /// It says this of itself from here on.
  struct spoke {
    signed_statement what;
  };

  using reach = prober::reach;
  using no_datagrams = prober::no_datagrams;
  using datagrams_again = prober::datagrams_again;
  /// Step `stated` when it is signed.
  using sign = membership::sign;
  /// Step `introduced` if it may be a member.
  using ask = membership::ask;
  using sync = membership::sync;
  using shows = membership::shows;
  using forgot = membership::forgot;
  using complain = membership::complain;
  /// It may have to go on as a later life.
  using met_itself = membership::met_itself;
  using was_dead = membership::was_dead;

  using effect = std::variant<send, reach, sign, spoke, ask, sync, shows, forgot, no_datagrams,
                              datagrams_again, complain, met_itself, was_dead>;
  using effects = std::vector<effect>;

  using verifier = membership::verifier;

  /// `self` in its present life.
  swim(const node_id& self, boot_number boot, const swim_options& options, std::uint64_t seed,
       verifier check = &verify)
    : options_(planted_flaw == flaw::lifeguard_off ? options.without_lifeguard() : options),
      random_(seed),
      members_(self, incarnation{boot, 0}, options_, check),
      prober_(options_, members_.all(), random_),
      turns_(random_, turns_drawn::once) {}

  swim(const swim&) = delete;
  swim& operator=(const swim&) = delete;

  /// @pre `now` never goes backwards.
  void step(time_point now, request_id, event what, effects& out) {
    now_ = now;
    out_ = &out;
    troupe::visit([this](auto& each) { handle(each); }, what);
    out_ = nullptr;
  }

  void tick(time_point now, effects& out) {
    now_ = now;
    out_ = &out;
    notice_sleep();
    for (auto is_due = true; is_due;)
      by_prober([&](auto& done) { is_due = prober_.end_wait(now_, done); });
    by_members([this](auto& done) { members_.end_suspicions(now_, done); });
    by_prober([this](auto& done) { prober_.probe_next(now_, done); });
    if (members_.is_news_due(now))
      spread_news();
    if (sync_at_ && *sync_at_ <= now)
      compare();
    if (revisit_at_ && *revisit_at_ <= now)
      revisit();
    out_ = nullptr;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> next;
    for (auto& each : {prober_.next_deadline(), members_.next_deadline(), sync_at_, revisit_at_})
      if (each)
        next = std::min(next.value_or(*each), *each);
    return next;
  }

  // -- what it knows ---------------------------------------------------------------------

  using view = membership::view;

  /// Nothing of strangers, and of this node itself.
  [[nodiscard]] std::optional<view> find(const node_id& who) const {
    auto found = members_.all().find(who);
    if (found == members_.all().end())
      return std::nullopt;
    auto& said = found->second.told.what;
    return view{found->second.is, said.when, said.address};
  }

  /// With what `introduced` takes, elsewhere.
  [[nodiscard]] std::optional<introduced> card_of(const node_id& who) const {
    auto found = members_.all().find(who);
    if (found == members_.all().end())
      return std::nullopt;
    return introduced{found->second.key, found->second.told, false};
  }

  /// Calls `use(const node_id&, member_status)` for each member but this one.
  template <class Use>
  void for_each(Use use) const {
    for (auto& [node, each] : members_.all())
      use(node, each.is);
  }

  /// What this node has said of itself; nothing is signed yet: no value.
  [[nodiscard]] const std::optional<signed_statement>& own() const {
    return members_.own();
  }

  /// Members that are there, this one included.
  [[nodiscard]] std::size_t present() const {
    return members_.present();
  }

  /// How far it doubts its own hearing.
  [[nodiscard]] std::uint32_t doubt() const {
    return prober_.doubt();
  }

  /// All that it knows, in pages of about `limit` rumours: the next one begins after `after`, the
  /// last node of the one before. The last page is empty. How long the dead are gone is as of the
  /// last call that changed anything.
  [[nodiscard]] std::pair<std::vector<rumour>, node_id> page(const node_id& after,
                                                             std::size_t limit) const {
    return rumour_page(now_, members_.all(), own(), after, limit);
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    auto found = members_.flaws();
    for (auto& each : prober_.flaws())
      found.push_back(std::move(each));
    if (turns_.size() != members_.all().size())
      found.emplace_back("a member is told no news in its turn");
    return found;
  }

private:
  static bool is_alive(const known_members::value_type& who) {
    return who.second.is == member_status::alive;
  }

  // -- what happens ----------------------------------------------------------------------

  void handle(begin& what) {
    by_members([&](auto& done) { members_.begin(std::move(what.address), done); });
    prober_.begin(now_);
    next_sync_ = std::min(options_.first_sync, options_.sync_every);
    auto span = static_cast<std::uint64_t>(std::max(next_sync_, duration{1}).count());
    sync_at_ = now_ + duration{static_cast<std::int64_t>(random_.below(span))};
    revisit_at_ = now_ + options_.revisit_every;
  }

  void handle(moved& what) {
    by_members([&](auto& done) { members_.move_to(std::move(what.address), done); });
  }

  void handle(leave&) {
    by_members([this](auto& done) { members_.leave(done); });
  }

  void handle(const holds& what) {
    by_members([&](auto& done) { members_.hold(what.records, done); });
  }

  void handle(stated& what) {
    if (members_.stated(now_, std::move(what.what)))
      out_->emplace_back(spoke{*own()});
  }

  void handle(introduced& what) {
    auto node = what.what.what.node;
    auto is_known = members_.all().contains(node);
    by_members([&](auto& done) { members_.introduce(now_, what, done); });
    // In the life that is accused: else it would not be any more. It may not have heard of it, as
    // where both have been cut off from each other. Of those that were dead before this node came,
    // there may be many.
    if (is_known)
      by_prober([&](auto& done) { prober_.show_life(now_, node, done); });
  }

  void handle(heard& what) {
    if (!members_.all().contains(what.from))
      return by_members([&](auto& done) {
        members_.get_to_know(now_, what.from, what.from, membership::channel::mail, done);
      });
    take_in(what.from, what.what.rumours, membership::channel::mail);
    by_members([&](auto& done) { members_.hear_from(now_, what.from, what.what.digest, done); });
    by_prober([&](auto& done) { prober_.hear(now_, what.from, what.what.what, done); });
    if (!std::holds_alternative<swim_ping>(what.what.what)) // the answer tells it as much
      by_prober([&](auto& done) { prober_.show_life(now_, what.from, done); });
  }

  /// Each statement may cost a look at a signature, also where all are true: of one node a page has
  /// the last one, and an accusation of it. Of more, what is behind them is not looked at.
  void handle(told& what) {
    constexpr std::size_t most_of_one = 2;
    std::map<node_id, std::size_t> told_of;
    auto goes_on
      = [&](const rumour& each) { return ++told_of[cluster::subject_of(each)] <= most_of_one; };
    auto end = std::ranges::find_if_not(what.all, goes_on);
    if (end != what.all.end())
      out_->emplace_back(complain{what.from, "tells of one member again and again in one page"});
    what.all.erase(end, what.all.end());
    take_in(what.from, what.all, membership::channel::comparison);
  }

  void take_in(const node_id& from, const std::vector<rumour>& all, membership::channel how) {
    auto is_honest = true;
    for (auto each = all.begin(); each != all.end() && is_honest; ++each)
      by_members([&](auto& done) { is_honest = members_.take_in(now_, from, *each, how, done); });
  }

  void handle(reached& what) {
    by_prober([&](auto& done) { prober_.reached(what.number, what.answered, done); });
  }

  void handle(doubted& what) {
    by_prober([&](auto& done) { prober_.doubt_about(now_, what.who, done); });
  }

  void handle(not_sent& what) {
    by_prober([&](auto& done) { prober_.not_sent(now_, what.to, done); });
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
    out_->emplace_back(was_dead{});
    prober_.raise_doubt(1);
    prober_.lengthen(late);
    members_.lengthen(late);
  }

  // -- what the parts want done ----------------------------------------------------------

  template <class Call>
  void by_members(Call call) {
    membership::effects done;
    call(done);
    for (auto& each : done)
      troupe::visit([this](auto& what) { this->perform(what); }, each);
  }

  template <class Call>
  void by_prober(Call call) {
    prober::effects done;
    call(done);
    for (auto& each : done)
      troupe::visit([this](auto& what) { this->perform(what); }, each);
  }

  /// What is for the host.
  template <class Effect>
  void perform(Effect& what) {
    out_->emplace_back(std::move(what));
  }

  void perform(membership::joined& what) {
    auto& found = *members_.all().find(what.who);
    prober_.join(found);
    turns_.join(found);
  }

  void perform(membership::suspects& what) {
    by_prober([&](auto& done) { prober_.give_opinion(now_, what.whom, present(), done); });
  }

  void perform(membership::alive_elsewhere& what) {
    by_prober([&](auto& done) { prober_.show_life(now_, what.who, done); });
  }

  void perform(membership::contradicts&) {
    prober_.be_accused(now_);
  }

  void perform(prober::mail& what) {
    mail(*members_.all().find(what.to), {what.what, {}});
  }

  void perform(prober::answered& what) {
    if (members_.all().at(what.whom).is == member_status::dead)
      out_->push_back(sync{what.whom}); // each may know of many that the other lost, too
  }

  void perform(prober::unheard& what) {
    by_members([&](auto& done) { members_.suspect(now_, what.whom, what.when, done); });
  }

  void mail(const known_members::value_type& to, swim_mail what) {
    what.digest = members_.digest();
    members_.add_rumours(to, what);
    out_->push_back(send{to.first, to.second.told.what.address, std::move(what)});
  }

  // -- now and then ----------------------------------------------------------------------

  void spread_news() {
    for (auto* each : turns_.take(options_.news_to, [](auto& who) { return who.second.is_here(); }))
      if (members_.has_news())
        mail(*each, {swim_news{}, {}});
    members_.plan_news(now_);
  }

  void compare() {
    auto longest = options_.sync_every;
    if (present() > 32)
      longest = longest / 65'536 * static_cast<std::int64_t>(log2_of(present()) - (4U << 16U));
    auto is_early = next_sync_ < longest;
    sync_at_ = now_ + std::min(next_sync_, longest);
    next_sync_ = std::min(std::max(next_sync_, duration{1}) * 2, longest);
    auto since = now_ - longest;
    auto agrees
      = [&](auto& who) { return is_alive(who) && members_.sees_the_same(who.second, since); };
    auto differs
      = [&](auto& who) { return is_alive(who) && members_.sees_otherwise(who.second, since); };
    auto one_differs = !is_early && std::ranges::any_of(members_.all(), differs);
    auto is_needless = !is_early && !one_differs && agreed_ < options_.most_agreed
                       && std::ranges::any_of(members_.all(), agrees);
    if (is_needless)
      return void(++agreed_);
    agreed_ = 0;
    for (auto* each : one_differs ? prober_.some(1, differs) : prober_.some(1, is_alive))
      out_->push_back(sync{each->first, is_early});
  }

  void revisit() {
    revisit_at_ = now_ + options_.revisit_every;
    for (auto& each : members_.long_gone(now_)) {
      prober_.drop(each);
      turns_.drop(each);
      by_members([&](auto& done) { members_.forget(each, done); });
    }
    by_prober([this](auto& done) { prober_.try_the_dead(now_, done); });
  }

  const swim_options options_;
  random_source random_;
  membership members_;
  prober prober_;
  member_turns turns_;
  std::optional<time_point> sync_at_;
  duration next_sync_{};
  /// Comparisons in a row that were left out.
  std::uint32_t agreed_ = 0;
  std::optional<time_point> revisit_at_;
  /// Of the last call that changed anything.
  time_point now_{};
  /// While a step runs.
  effects* out_ = nullptr;
};

} // namespace troupe::cluster
