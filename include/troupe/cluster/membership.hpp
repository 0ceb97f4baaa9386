#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/gossip_queue.hpp"
#include "troupe/cluster/known_member.hpp"
#include "troupe/cluster/own_statement.hpp"
#include "troupe/cluster/stranger_list.hpp"
#include "troupe/cluster/suspicion.hpp"
#include "troupe/cluster/swim_options.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/registry/record_set.hpp"

namespace troupe::cluster {

/// Knows how each member of the cluster stands, by what the members say of themselves and of each
/// other, and passes on what is news.
///
/// - What a node says of itself is signed and has an incarnation; the latest one counts.
/// - An accusation counts against the incarnation that it names, and no other. Each member that
///   agrees shortens the time that a suspect has to contradict. After that it is dead.
/// - Nobody is taken for dead on the word of others: that one of them does so counts like its
///   suspicion. Here it differs from its sources, where one member that lies, or that was cut off
///   itself, has the others give up a healthy node until that contradicts.
/// - Who accuses is not signed, as in its sources. So a member that lies can name others as those
///   that agree. It gains by that what they could take from a suspect, and no more: each suspect
///   has the least time of swim_options, and hears of it. Only members that take part are counted.
/// - A node contradicts what is said of itself, with its next incarnation.
/// - A stranger is asked about, at the member that spoke of it. If that has shown it dead, and
///   nobody else has shown it alive, it is taken in as dead: it never was there for this node.
/// - A member that has left, and writes some time later, is asked for what it says now.
///
/// It pings nobody: see prober. Not thread-safe. Cost of a call: O(log n).
/// Sources: see swim.
class membership {
public:
  /// A node with this key may be a member, and has said this.
  struct introduced {
    public_key key;
    signed_statement what;
    /// Others may not know it yet.
    bool is_news = true;
  };

  struct view {
    member_status state{};
    incarnation when{};
    std::string address{};
  };

  /// How a rumour has come: what a comparison shows most others know, too.
  enum class channel : std::uint8_t { mail, comparison };

  // -- effects ---------------------------------------------------------------------------

  /// Sign this, and call stated(). A later one takes the place of one that is under way.
  struct sign {
    statement what;
  };

  /// Ask `from` who `whom` is, over a link, and introduce it if it may be a member.
  struct ask {
    node_id whom;
    node_id from;
  };

  /// Compare with that member, over a link: each gets the pages of the other.
  struct sync {
    node_id with;
    /// Another member that a link is up to is as good: where many start at once, each would make
    /// one more link.
    bool or_any = false;
  };

  /// A member stands so from here on; `by` has said so.
  struct shows {
    node_id who;
    incarnation when;
    member_status is{};
    node_id by;
    std::string address;
    /// What it has said last, and who has told this node.
    signed_statement told{};
    node_id from{};
    /// Its own.
    public_key key{};
  };

  /// It has been gone for long.
  struct forgot {
    node_id who;
  };

  /// Of that member, in words for the log; each may come often.
  struct complain {
    node_id of;
    std::string what;
  };

  /// Somebody has said this as this node, in another life, if the signature is right. Anybody can
  /// have the host look at that, so it looks where datagrams wait.
  struct met_itself {
    signed_statement what;
  };

  /// Others may have taken this node for dead: one says so, or it has been cut off from one that is
  /// there, or has slept. Of what others say, once in a period.
  struct was_dead {};

  /// There is a new member.
  struct joined {
    node_id who;
  };

  /// Somebody else has begun to suspect it: an opinion of this node would help.
  struct suspects {
    node_id whom;
  };

  /// It is dead here, and another member shows it alive in the same incarnation.
  struct alive_elsewhere {
    node_id who;
  };

  /// This node has been accused, and contradicts: it may be the one that does not hear.
  struct contradicts {};

  using effect = std::variant<sign, ask, sync, shows, forgot, complain, met_itself, was_dead,
                              joined, suspects, alive_elsewhere, contradicts>;
  using effects = std::vector<effect>;

  using verifier = bool (*)(const public_key&, std::string_view, const signature&);

  /// `self` in its present life. @pre `options` outlive this
  membership(const node_id& self, incarnation when, const swim_options& options, verifier check)
    : options_(options),
      is_signed_(check),
      own_(self, when),
      strangers_(options.max_strangers, 5 * options.period) {}

  membership(const membership&) = delete;
  membership& operator=(const membership&) = delete;

  // -- this node itself ------------------------------------------------------------------

  void begin(std::string address, effects& out) {
    out.emplace_back(sign{own_.begin(std::move(address))});
  }

  void move_to(std::string address, effects& out) {
    if (own_.is_spent())
      out.emplace_back(complain{own_.node(), std::string{own_statement::spent}});
    say(own_.move_to(std::move(address)), out);
  }

  void hold(const registry::records_head& what, effects& out) {
    say(own_.hold(what), out);
  }

  void leave(effects& out) {
    say(own_.leave(), out);
  }

  /// The answer to the last `sign`. Returns whether that is what it says now.
  bool stated(time_point now, signed_statement what) {
    if (!own_.accept(std::move(what)))
      return false;
    digest_changed_ = now;
    spread(now, told_itself{*own_.said()});
    if (own_.leaves())
      news_at_ = now; // it may be gone soon
    return true;
  }

  /// What this node has said of itself; nothing is signed yet: no value.
  [[nodiscard]] const std::optional<signed_statement>& own() const {
    return own_.said();
  }

  // -- rumours that come -----------------------------------------------------------------

  /// Returns false if `from` passes on what the node has not signed: what else it says with that is
  /// not worth the looks at more signatures.
  bool take_in(time_point now, const node_id& from, const rumour& what, channel how, effects& out) {
    return troupe::visit(
      [&](auto& each) {
        if (cluster::subject_of(each) != own_.node())
          return weigh(now, from, each, how, out);
        hear_of_self(now, from, each, out);
        return true;
      },
      what);
  }

  void introduce(time_point now, const introduced& what, effects& out) {
    auto& said = what.what.what;
    if (said.node == own_.node() || id_of(what.key) != said.node)
      return;
    if (said.address.size() > max_member_address)
      return void(out.emplace_back(complain{said.node, std::string{address_too_long}}));
    auto met = strangers_.met(said.node);
    // What was asked about because of a comparison, others know, too.
    auto is_news = met ? met->is_news : what.is_news;
    auto is_dead = met && met->dead && said.when <= met->dead->what.when && !said.leaves
                   && !what.is_news; // it says so itself
    if (members_.contains(said.node))
      return static_cast<void>(weigh(now, said.node, told_itself{what.what}, channel::mail, out));
    if (members_.size() >= options_.max_members)
      return void(out.emplace_back(complain{said.node, "would be one member too many"}));
    if (!is_signed(what.key, what.what))
      return void(
        out.emplace_back(complain{said.node, "is introduced with what it has not signed"}));
    auto is_first = present_ == 0 && !is_dead;
    auto made = members_.emplace(said.node, known_member{what.key, what.what}).first;
    ++present_;
    out.emplace_back(joined{said.node});
    if (is_dead)
      return take_in_dead(now, *made, *met, out);
    become(now, *made, said.leaves ? member_status::left : member_status::alive, said.node,
           said.node, out);
    if (is_news)
      spread(now, told_itself{what.what});
    if (is_first)
      out.emplace_back(sync{said.node});
  }

  /// That it has been dead for long is no news, and must not keep it here for longer than others.
  void take_in_dead(time_point now, known_members::value_type& who,
                    const stranger_list::stranger& as, effects& out) {
    become(now, who, member_status::dead, as.dead->what.by, as.from, out);
    who.second.gone = as.asked - as.dead->gone_for;
  }

  /// A node writes that is not a member, or somebody speaks of it: `from` can say who it is.
  void get_to_know(time_point now, const node_id& whom, const node_id& from, channel how,
                   effects& out) {
    if (strangers_.ask(now, whom, from, how != channel::comparison || whom == from))
      out.emplace_back(ask{whom, from});
  }

  /// A member has written, and its rumours have been taken in. One that left long ago and writes is
  /// back, and this node has missed what it said then: it is asked for that, at most once in five
  /// periods. One that has just left may need some time to go.
  void hear_from(time_point now, const node_id& from, std::uint64_t digest, effects& out) {
    auto& each = members_.at(from);
    each.digest = digest;
    each.digest_at = now;
    if (each.is != member_status::left
        || now - std::max(each.gone, each.asked) < 5 * options_.period)
      return;
    each.asked = now;
    out.emplace_back(ask{from, from});
  }

  // -- suspects --------------------------------------------------------------------------

  /// This node cannot hear that life of a member.
  void suspect(time_point now, const node_id& whom, const incarnation& when, effects& out) {
    auto found = members_.find(whom);
    if (found != members_.end() && found->second.is_here() && found->second.told.what.when == when
        && !own_.leaves())
      accuse(now, {whom, when, own_.node(), false}, out);
  }

  /// Declares dead who has not contradicted in time.
  void end_suspicions(time_point now, effects& out) {
    while (!suspected_.empty() && suspected_.begin()->first <= now)
      declare_dead(now, node_id{suspected_.begin()->second}, out);
  }

  /// This node has slept so long, and contradictions lie unread: each suspect has as much longer.
  void lengthen(duration late) {
    std::set<std::pair<time_point, node_id>> later;
    for (auto& [when, node] : suspected_) {
      auto& each = members_.at(node);
      each.doubts->lengthen(late);
      each.dead_at = when + late;
      later.emplace(each.dead_at, node);
    }
    suspected_ = std::move(later);
  }

  /// Members that have been gone for so long that they are to be forgotten. Cost: O(n).
  [[nodiscard]] std::vector<node_id> long_gone(time_point now) const {
    std::vector<node_id> found;
    for (auto& [node, each] : members_)
      if (!each.is_here() && now - each.gone >= options_.keep_gone)
        found.push_back(node);
    return found;
  }

  /// @pre it is gone
  void forget(const node_id& who, effects& out) {
    news_.drop(who);
    members_.erase(who);
    out.emplace_back(forgot{who});
  }

  // -- rumours that go -------------------------------------------------------------------

  /// Adds what is said of the receiver itself, which can contradict; what this node has said, if
  /// the receiver has just accused it of what that contradicts, and so has missed it; then news, as
  /// much as fits.
  void add_rumours(const known_members::value_type& to, swim_mail& what) {
    auto room = options_.max_mail - std::min(options_.max_mail, to_bytes(what).size());
    if (options_.tells_suspects && to.second.is_accused()) {
      what.rumours.emplace_back(accusation_of(to));
      room -= std::min(room, to_bytes(what.rumours.back()).size());
    }
    if (unaware_ == to.first) {
      what.rumours.emplace_back(told_itself{*own_.said()});
      if (auto size = to_bytes(what.rumours.back()).size(); size <= room) {
        room -= size;
        unaware_.reset();
      } else {
        what.rumours.pop_back();
      }
    }
    news_.take(room, repeats(), what.rumours);
  }

  [[nodiscard]] bool has_news() const {
    return !news_.empty();
  }

  /// Returns whether news is to go to some others now; then call plan_news() after that.
  bool is_news_due(time_point now) {
    if (!news_at_ || *news_at_ > now)
      return false;
    news_at_.reset();
    return has_news();
  }

  void plan_news(time_point now) {
    if (has_news())
      news_at_ = now + options_.news_every;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    if (suspected_.empty())
      return news_at_;
    return std::min(suspected_.begin()->first, news_at_.value_or(suspected_.begin()->first));
  }

  // -- what it knows ---------------------------------------------------------------------

  [[nodiscard]] const known_members& all() const {
    return members_;
  }

  /// Members that are there, this one included.
  [[nodiscard]] std::size_t present() const {
    return present_ + 1;
  }

  /// These in short: the sum of a hash of each with its incarnation, which names all that it has
  /// said. Equal for members that see the same; a suspect is there. Never zero. O(1).
  [[nodiscard]] std::uint64_t digest() const {
    auto whole = digest_ + (own() ? part_of_digest(own()->what) : 0);
    return whole != 0 ? whole : 1;
  }

  /// Whether a member has written lately that it sees just those.
  [[nodiscard]] bool sees_the_same(const known_member& who, time_point since) const {
    return who.digest == digest() && who.digest_at >= since;
  }

  /// Whether it has written lately that it does not, when what this node had learned last was known
  /// to all.
  [[nodiscard]] bool sees_otherwise(const known_member& who, time_point since) const {
    auto settled = digest_changed_ + 2 * repeats() * options_.news_every;
    return who.digest != 0 && who.digest != digest() && who.digest_at >= std::max(since, settled);
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    std::vector<std::string> found;
    auto expect = [&found](bool holds, const char* what) {
      if (!holds)
        found.emplace_back(what);
    };
    std::size_t here = 0;
    std::size_t suspected = 0;
    std::uint64_t digest = 0;
    for (auto& [node, each] : members_) {
      auto is_suspect = each.is == member_status::suspect;
      here += each.is_here() ? 1 : 0;
      suspected += is_suspect ? 1 : 0;
      digest += each.is_here() ? part_of_digest(each.told.what) : 0;
      expect(node != own_.node(), "this node is a member of its own");
      expect(each.told.what.node == node, "a member has said what another one said");
      expect(is_suspect == each.doubts.has_value(), "a suspicion of nobody");
      expect(!is_suspect || suspected_.contains({each.dead_at, node}), "a suspect for ever");
    }
    expect(here == present_, "members are miscounted");
    expect(digest == digest_, "the digest is of others than those that are there");
    expect(suspected == suspected_.size(), "one is suspected who is not there");
    expect(members_.size() <= options_.max_members, "more members than allowed");
    expect(strangers_.size() <= options_.max_strangers, "more strangers than allowed");
    expect(news_.size() <= members_.size() + 1, "news of somebody who is no member");
    return found;
  }

private:
  static constexpr std::string_view address_too_long
    = "tells of a member whose address is longer than any host name";

  // -- this node itself ------------------------------------------------------------------

  static void say(const std::optional<statement>& what, effects& out) {
    if (what)
      out.emplace_back(sign{*what});
  }

  void hear_of_self(time_point now, const node_id& from, const past_death& what, effects& out) {
    hear_of_self(now, from, what.what, out);
  }

  template <class Rumour>
  void hear_of_self(time_point now, const node_id& from, const Rumour& what, effects& out) {
    auto odd = own_.judge(what);
    if (!odd.empty())
      out.emplace_back(complain{from, std::string{odd}});
    if constexpr (std::is_same_v<Rumour, accusation>) {
      if (own_.was_dead(what))
        note_own_death(now, out);
      if (auto said = own_.contradict(what)) {
        out.emplace_back(contradicts{});
        say(said, out);
      }
      if (own_.has_contradicted(what))
        unaware_ = from;
    } else if (!odd.empty()) {
      out.emplace_back(met_itself{what.what});
    }
  }

  /// Once in a period: nobody signs accusations, and the host asks others because of each.
  void note_own_death(time_point now, effects& out) {
    if (dead_at_ && now - *dead_at_ < options_.period)
      return;
    dead_at_ = now;
    out.emplace_back(was_dead{});
  }

  // -- rumours of others -----------------------------------------------------------------

  [[nodiscard]] bool is_signed(const public_key& key, const signed_statement& what) const {
    return planted_flaw == flaw::unsigned_statement_believed
           || is_signed_(key, to_be_signed(what.what), what.by);
  }

  /// Returns false if it is no word of the node that it is said to be of.
  bool weigh(time_point now, const node_id& from, const told_itself& what, channel how,
             effects& out) {
    auto& said = what.what.what;
    auto found = members_.find(said.node);
    if (found == members_.end() && said.leaves)
      return true; // it may be forgotten here, and need not be known again
    if (found == members_.end()) {
      get_to_know(now, said.node, from, how, out);
      return true;
    }
    auto& known = found->second;
    auto& before = known.told.what;
    auto is_news = said.when > before.when
                   || (said.when == before.when && said.leaves && known.is != member_status::left);
    if (planted_flaw == flaw::old_incarnation_wins)
      is_news = said != before;
    auto is_other = !is_news && said.when == before.when && !before.leaves && said != before;
    if (how == channel::comparison && known.is == member_status::dead && said.when == before.when)
      out.emplace_back(alive_elsewhere{said.node});
    if (!is_news && !is_other)
      return true;
    if (said.address.size() > max_member_address) {
      out.emplace_back(complain{from, std::string{address_too_long}});
      return true;
    }
    if (!is_signed(known.key, what.what)) {
      out.emplace_back(complain{from, "passes on what the node has not signed"});
      return false;
    }
    if (is_other) {
      out.emplace_back(complain{said.node, "says different things to different members"});
      return true;
    }
    known.told = what.what;
    become(now, *found, said.leaves ? member_status::left : member_status::alive, said.node, from,
           out);
    spread(now, what);
    return true;
  }

  bool weigh(time_point now, const node_id& from, const accusation& what, channel how,
             effects& out) {
    auto found = members_.find(what.node);
    if (found == members_.end() || what.by == what.node)
      return true;
    auto& known = found->second.told.what;
    if (what.when > known.when) // what it has said since is on its way, or is a lie
      get_to_know(now, what.node, from, how, out);
    else if (what.when == known.when && may_accuse(what.by))
      accuse(now, {what.node, what.when, what.by, false}, out); // it waits for itself
    return true;
  }

  /// Who was forgotten here is not taken in again: others have seen it die somewhat later.
  bool weigh(time_point now, const node_id& from, const past_death& what, channel how,
             effects& out) {
    if (members_.contains(what.what.node))
      return weigh(now, from, what.what, how, out);
    auto is_late = what.gone_for >= options_.keep_gone - options_.keep_gone / 8;
    if (how != channel::comparison || !what.what.is_dead || what.gone_for < duration::zero()
        || is_late)
      return true;
    if (strangers_.ask_of_dead(now, from, what))
      out.emplace_back(ask{what.what.node, from});
    return true;
  }

  /// Whether the word of others that it accuses counts: of who takes part. What this node says, it
  /// knows itself.
  [[nodiscard]] bool may_accuse(const node_id& by) const {
    auto found = members_.find(by);
    return found != members_.end() && found->second.is_here();
  }

  /// @pre it is a member, and that is the last incarnation of which it has said something
  void accuse(time_point now, const accusation& what, effects& out) {
    auto& found = *members_.find(what.node);
    auto& whom = found.second;
    if (whom.is == member_status::alive)
      become(now, found, member_status::suspect, what.by, what.by, out);
    else if (!whom.doubts || !whom.doubts->agree(what.by, options_))
      return;
    await_death(found);
    spread(now, what);
    if (whom.doubts->agreed() == 0 && what.by != own_.node())
      out.emplace_back(suspects{what.node});
  }

  void await_death(known_members::value_type& whom) {
    suspected_.erase({whom.second.dead_at, whom.first});
    whom.second.dead_at = whom.second.doubts->end(options_, present());
    suspected_.emplace(whom.second.dead_at, whom.first);
  }

  void declare_dead(time_point now, const node_id& who, effects& out) {
    auto& found = *members_.find(who);
    auto& whom = found.second;
    if (own_.leaves()) { // who goes judges nobody
      suspected_.erase({whom.dead_at, who});
      whom.dead_at = now + options_.period;
      suspected_.emplace(whom.dead_at, who);
      return;
    }
    become(now, found, member_status::dead, own_.node(), own_.node(), out);
    spread(now, accusation_of(found));
  }

  void become(time_point now, known_members::value_type& who, member_status is, const node_id& by,
              const node_id& from, effects& out) {
    auto& [node, each] = who;
    auto was_here = each.is_here();
    if (each.is == member_status::dead && is == member_status::alive)
      note_own_death(now, out); // as the other is to this one
    suspected_.erase({each.dead_at, node});
    each.doubts.reset();
    each.is = is;
    each.by = by;
    if (is == member_status::suspect)
      each.doubts.emplace(now, by);
    if (was_here && !each.is_here()) {
      each.gone = now;
      --present_;
    } else if (!was_here && each.is_here()) {
      ++present_;
    }
    auto part = each.is_here() ? part_of_digest(each.told.what) : 0;
    if (auto before = std::exchange(each.part, part); part != before) {
      digest_ += part - before;
      digest_changed_ = now;
    }
    out.emplace_back(
      shows{node, each.told.what.when, is, by, each.told.what.address, each.told, from, each.key});
  }

  // -- news ------------------------------------------------------------------------------

  void spread(time_point now, const rumour& what) {
    news_.put(what);
    if (!news_at_)
      plan_news(now);
  }

  /// How often each rumour is told.
  [[nodiscard]] std::uint32_t repeats() const {
    if (planted_flaw == flaw::rumour_dropped_early)
      return 1;
    return options_.repeats + static_cast<std::uint32_t>(log2_of(present()) >> 16U);
  }

  const swim_options& options_;
  const verifier is_signed_;
  own_statement own_;
  known_members members_;
  /// Those that are alive, or suspects.
  std::size_t present_ = 0;
  std::uint64_t digest_ = 0;
  time_point digest_changed_{};
  std::set<std::pair<time_point, node_id>> suspected_;
  gossip_queue news_;
  std::optional<time_point> news_at_;
  /// When it was heard last that this node was dead to somebody.
  std::optional<time_point> dead_at_;
  /// Who has accused this node last although it has contradicted that: it learns so with the next
  /// mail to it.
  std::optional<node_id> unaware_;
  stranger_list strangers_;
};

} // namespace troupe::cluster
