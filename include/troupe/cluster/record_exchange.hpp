#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/record_bounds.hpp"
#include "troupe/registry/record_set.hpp"
#include "troupe/registry/record_table.hpp"

namespace troupe::cluster {

/// Times and bounds of a `record_exchange`.
struct exchange_options {
  /// A node says at most so often what its records are: a burst costs one signature.
  duration restate_every = std::chrono::milliseconds{100};
  /// How long news is gathered before somebody is asked for it.
  duration gather_for = std::chrono::milliseconds{50};
  /// How long to wait for an answer.
  duration answer_within = std::chrono::seconds{4};
  /// The wait after each of the first four tries that bring nothing, as who is asked may have heard
  /// of the change a moment later; twice as long after each further one.
  duration retry_after = std::chrono::milliseconds{100};
  /// The longest such wait.
  duration retry_at_most = std::chrono::seconds{1};
  /// Tries of the records of one that is not there any more.
  std::uint32_t max_vain = 8;
  /// Nodes that one question asks about.
  std::size_t max_asked = 200;
  /// Bytes of one answer, about.
  std::size_t max_answer = std::size_t{256} << 10U;
  /// Statements of one node that are remembered while its records come.
  std::size_t max_heads = 8;
  /// Bytes of records that have come and are not complete, of all nodes.
  std::size_t max_staged = std::size_t{64} << 20U;
  /// Members that have told something wrong of one node, which are not asked about it again.
  std::size_t max_distrusted = 8;
};

/// What a question wants to know of one node: all behind that version of that life.
struct record_wish {
  node_id owner{};
  boot_number boot = 0;
  std::uint64_t after = 0;

  friend bool operator==(const record_wish&, const record_wish&) = default;

  TROUPE_FIELDS(record_wish, owner, boot, after);
};

/// What one member tells of a node: a part of its records, as of that statement.
struct told_records {
  signed_statement of{};
  registry::record_page page{};

  friend bool operator==(const told_records&, const told_records&) = default;

  TROUPE_FIELDS(told_records, of, page);
};

/// Brings the records of all members to each member.
///
/// - What a node says of itself in `swim` has the head of its records: their version, and a digest
///   of all. Whoever has an older version asks another member for what has changed, over a link.
/// - What comes is merged once the digest of all that it makes of the node is the signed one: so it
///   does not matter who has told it, and nobody says anything for others.
/// - If the digest is another one, all is asked for; if it still is, somebody else is asked, and
/// the
///   log hears of it.
/// - A node says at once that its records have changed, then at most each restate_every, and when
///   somebody begins to know it. Others get what it has said, and not what has changed since.
/// - Members to which there is a link are asked first: the node itself, then who has told of the
///   change, then others in turn.
///
/// Steps like any machine. No snapshot: who starts again asks the others. Not thread-safe. Cost of
/// a step: O(log n) in the members; of an answer, and of a change, O(n) in the records of the
/// nodes that it is about.
/// Source of the idea: van Renesse, Dumitriu, Gough, Thomas, "Efficient Reconciliation and Flow
/// Control for Anti-Entropy Protocols", LADIS 2008.
///
/// It counts on this of its host: `heard` only with statements whose signature is right; each `ask`
/// is answered once, and not within the step.
class record_exchange {
public:
  // -- events ----------------------------------------------------------------------------

  /// The table has other records of this node than before, and this is the version of the last.
  struct changed {
    boot_number boot = 0;
    std::uint64_t version = 0;
  };

  /// Somebody begins to know this node: what has changed is said now.
  struct hurry {};

  /// The answer to the last `restate`.
  struct spoke {
    signed_statement what;
  };

  /// A member that has this key says so. `from` has told it.
  struct heard {
    signed_statement what;
    public_key key;
    node_id from;
  };

  /// That member is not there any more.
  struct gone {
    node_id who;
  };

  /// Nothing is known of it any more.
  struct forgotten {
    node_id who;
  };

  /// There is a link to that member, or none any more.
  struct linked {
    node_id who;
    bool is_up = true;
  };

  /// What has come to the `ask` of this step's id; nothing: no answer.
  struct answered {
    std::optional<std::vector<told_records>> what;
  };

  /// A member asks; answer the question of this step's id.
  struct asked {
    std::vector<record_wish> what;
  };

  using event
    = std::variant<changed, hurry, spoke, heard, gone, forgotten, linked, answered, asked>;

  // -- effects ---------------------------------------------------------------------------

  /// Say that of the records of this node, and step `spoke` when that is signed.
  struct restate {
    registry::records_head what;
  };

  /// Ask that member, and step `answered`.
  struct ask {
    request_id id = 0;
    node_id whom;
    std::vector<record_wish> what;
  };

  /// Answer the question of that id.
  struct reply {
    request_id id = 0;
    std::vector<told_records> what;
  };

  /// `from` knows this of a member, which is later than what `heard` has told.
  struct learned {
    signed_statement what;
    node_id from;
  };

  /// The table has other records of that member than before.
  struct merged {
    node_id who;
  };

  /// Of that member, in words for the log; each may come often.
  struct complain {
    node_id of;
    std::string what;
  };

  using effect = std::variant<restate, ask, reply, learned, merged, complain>;
  using effects = std::vector<effect>;

  using verifier = bool (*)(const public_key&, std::string_view, const signature&);

  /// `table` shows what this node knows. @pre it outlives this
  record_exchange(const node_id& self, const exchange_options& options,
                  registry::record_table& table, verifier check = &verify)
    : self_(self), options_(options), table_(table), is_signed_(check) {}

  record_exchange(const record_exchange&) = delete;
  record_exchange& operator=(const record_exchange&) = delete;

  /// @pre `now` never goes backwards.
  void step(time_point now, request_id id, event what, effects& out) {
    now_ = now;
    out_ = &out;
    std::visit([&](auto& each) { handle(id, each); }, what);
    out_ = nullptr;
  }

  void tick(time_point now, effects& out) {
    now_ = now;
    out_ = &out;
    if (restate_at_ && *restate_at_ <= now)
      speak();
    give_up_questions();
    ask_for_news();
    out_ = nullptr;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = restate_at_;
    auto no_later = [&next](time_point when) { next = std::min(next.value_or(when), when); };
    if (!due_.empty())
      no_later(due_.begin()->first);
    for (auto& [id, each] : questions_)
      no_later(each.until);
    return next;
  }

  // -- what it knows ---------------------------------------------------------------------

  /// The version up to which this node has said what its records are; zero: none, in this life.
  [[nodiscard]] std::uint64_t said_version() const {
    return said_ ? said_->what.records.version : 0;
  }

  /// Members whose records this node does not have as they were said last.
  [[nodiscard]] std::size_t behind() const {
    return behind_;
  }

  /// Those of them that are there. O(n) in the members.
  [[nodiscard]] std::set<node_id> missing() const {
    std::set<node_id> found;
    for (auto& [node, each] : owners_)
      if (each.is_here && each.is_behind())
        found.insert(node);
    return found;
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    std::vector<std::string> found;
    auto expect = [&found](bool holds, const char* what) {
      if (!holds)
        found.emplace_back(what);
    };
    std::size_t behind = 0;
    std::size_t staged = 0;
    std::size_t due = 0;
    for (auto& [node, each] : owners_) {
      behind += each.is_behind() ? 1 : 0;
      staged += each.staged.bytes;
      due += each.due ? 1 : 0;
      expect(node != self_, "this node asks others about itself");
      expect(each.heads.size() <= options_.max_heads, "more statements than allowed");
      expect(each.distrusted.size() <= options_.max_distrusted, "more are distrusted than allowed");
      expect(!each.due || due_.contains({*each.due, node}), "a node is never asked about");
      expect(each.asked == 0 || questions_.contains(each.asked), "a question is lost");
      expect(!each.is_behind() || each.due || each.asked != 0 || !each.is_here,
             "a node is behind for ever");
    }
    expect(behind == behind_, "those that are behind are miscounted");
    expect(due == due_.size(), "somebody is asked about a node that is not known");
    expect(staged == staged_, "staged records are miscounted");
    expect(staged_ <= options_.max_staged, "more is staged than allowed");
    return found;
  }

private:
  /// What has come of a node, and is not complete.
  struct stage {
    /// It takes the place of all that the table has.
    bool is_whole = false;
    std::uint64_t upto = 0;
    std::map<registry::record_key, registry::record> records;
    std::size_t bytes = 0;
  };

  struct owner {
    /// The records in the table are those of this statement; version zero: there are none.
    signed_statement have{};
    /// What it has said since, the latest last; also that which the table has.
    std::vector<signed_statement> heads;
    public_key key{};
    node_id from{};
    bool is_here = true;
    /// All is to be asked for.
    bool wants_whole = false;
    stage staged{};
    /// When to ask, or under which question it is asked about.
    std::optional<time_point> due;
    request_id asked = 0;
    /// Tries that brought nothing.
    std::uint32_t vain = 0;
    std::set<node_id> distrusted;

    [[nodiscard]] const statement& wanted() const {
      return heads.back().what;
    }

    /// Of the life that is wanted.
    [[nodiscard]] std::uint64_t have_version() const {
      return have.what.when.boot == wanted().when.boot ? have.what.records.version : 0;
    }

    [[nodiscard]] bool is_behind() const {
      return !heads.empty() && wanted().records.version > 0 && !is_same(wanted(), have.what);
    }
  };

  using owners = std::map<node_id, owner>;

  /// Whether the records are the same in both.
  static bool is_same(const statement& one, const statement& other) {
    return one.when.boot == other.when.boot && one.records == other.records;
  }

  struct question {
    node_id whom;
    std::vector<node_id> about;
    time_point until{};
  };

  // -- what this node says ---------------------------------------------------------------

  void handle(request_id, const changed& what) {
    if (what.boot != own_boot_) {
      own_boot_ = what.boot;
      being_said_.reset();
      said_.reset();
      own_ = {};
    }
    own_version_ = what.version;
    plan_to_speak();
  }

  void handle(request_id, const hurry&) {
    hurries_ = being_said_.has_value();
    if (restate_at_)
      speak();
  }

  /// One statement at a time.
  void plan_to_speak() {
    if (being_said_ || restate_at_)
      return;
    auto waits = said_at_ && !std::exchange(hurries_, false);
    restate_at_ = waits ? std::max(now_, *said_at_ + options_.restate_every) : now_;
    if (*restate_at_ <= now_)
      speak();
  }

  void speak() {
    restate_at_.reset();
    said_at_ = now_;
    auto self = to_string(self_);
    registry::set_digest whole;
    table_.for_each_of(self, [&](const auto&, const auto& each) { whole.add(each); });
    registry::records_head head{own_version_, whole.finish()};
    auto records = table_.records_of(self, own_boot_).value_or(registry::record_set{});
    if (said_ && said_->what.records == head)
      return void(own_ = std::move(records));
    being_said_ = said{head, std::move(records)};
    out_->emplace_back(restate{head});
  }

  /// Also of what it has said for other reasons.
  void handle(request_id, spoke& what) {
    if (what.what.what.when.boot != own_boot_)
      return;
    said_ = std::move(what.what);
    if (!being_said_ || being_said_->head != said_->what.records)
      return;
    own_ = std::move(being_said_->records);
    being_said_.reset();
    if (said_->what.records.version != own_version_)
      plan_to_speak();
  }

  // -- what others say -------------------------------------------------------------------

  void handle(request_id, heard& what) {
    auto& node = what.what.what.node;
    if (node == self_)
      return;
    auto& each = owners_[node];
    if (!std::exchange(each.is_here, true))
      ask_soon(node, each);
    each.from = what.from;
    each.key = what.key;
    note(node, each, std::move(what.what));
    if (each.is_behind())
      plan_to_ask(node, each, options_.gather_for);
  }

  void note(const node_id& node, owner& each, signed_statement what) {
    auto was_behind = each.is_behind();
    if (!each.heads.empty()) {
      auto& last = each.wanted();
      if (what.what.when < last.when)
        return; // late
      if (what.what.when.boot > last.when.boot) {
        each.distrusted.clear();
        each.vain = 0;
        cancel(node, each);
        drop_stage(each);
        each.heads.clear();
      } else if (what.what.records == last.records) {
        if (is_same(what.what, each.have.what))
          each.have = what;
        each.heads.back() = std::move(what);
        return;
      }
    }
    each.heads.push_back(std::move(what));
    if (each.heads.size() > options_.max_heads)
      each.heads.erase(each.heads.begin());
    count_behind(was_behind, each);
    if (each.is_behind() && each.wanted().records.digest == nothing_) {
      drop_stage(each);
      each.staged.is_whole = true;
      finish(node, node, each, signed_statement{each.heads.back()});
    } else if (each.is_behind()) {
      plan_to_ask(node, each, options_.gather_for);
    } else {
      be_level(node, each);
    }
  }

  void count_behind(bool was_behind, const owner& each) {
    behind_ += each.is_behind() ? 1 : 0;
    behind_ -= was_behind ? 1 : 0;
  }

  void be_level(const node_id& node, owner& each) {
    cancel(node, each);
    drop_stage(each);
    each.vain = 0;
    each.wants_whole = false;
  }

  void cancel(const node_id& node, owner& each) {
    if (each.due)
      due_.erase({*std::exchange(each.due, std::nullopt), node});
    each.asked = 0;
  }

  void drop_stage(owner& each) {
    staged_ -= each.staged.bytes;
    each.staged = {};
  }

  void plan_to_ask(const node_id& node, owner& each, duration in) {
    if (each.due || each.asked != 0)
      return;
    each.due = now_ + in;
    due_.emplace(*each.due, node);
  }

  void handle(request_id, const gone& what) {
    auto found = owners_.find(what.who);
    if (found == owners_.end())
      return;
    found->second.is_here = false; // others may have what it has said
  }

  void handle(request_id, const forgotten& what) {
    auto found = owners_.find(what.who);
    if (found == owners_.end())
      return;
    cancel(what.who, found->second);
    drop_stage(found->second);
    behind_ -= found->second.is_behind() ? 1 : 0;
    owners_.erase(found);
  }

  void handle(request_id, const linked& what) {
    if (!what.is_up) {
      links_.erase(what.who);
      return;
    }
    links_.insert(what.who);
    if (auto found = owners_.find(what.who); found != owners_.end())
      ask_soon(what.who, found->second); // it knows best
    if (links_.size() > 1 || behind_ == 0)
      return;
    for (auto& [node, each] : owners_) // nobody could be asked
      ask_soon(node, each);
  }

  /// Whatever was in vain before.
  void ask_soon(const node_id& node, owner& each) {
    if (!each.due)
      return;
    cancel(node, each);
    each.vain = 0;
    plan_to_ask(node, each, options_.gather_for);
  }

  // -- questions -------------------------------------------------------------------------

  void ask_for_news() {
    std::map<node_id, ask> all;
    while (!due_.empty() && due_.begin()->first <= now_) {
      auto node = due_.begin()->second;
      auto& each = owners_.at(node);
      cancel(node, each);
      auto whom = teller_for(node, each);
      auto& one = all[whom];
      if (one.what.size() >= options_.max_asked || is_asked(whom)) {
        plan_to_ask(node, each, options_.gather_for);
        continue;
      }
      if (one.id == 0)
        one.id = ++last_question_;
      each.asked = one.id;
      one.what.push_back(wish_for(node, each));
    }
    for (auto& [whom, one] : all)
      if (!one.what.empty())
        send(whom, std::move(one));
  }

  [[nodiscard]] bool is_asked(const node_id& whom) const {
    return std::ranges::any_of(questions_, [&](auto& each) { return each.second.whom == whom; });
  }

  void send(const node_id& whom, ask what) {
    question made{whom, {}, now_ + options_.answer_within};
    for (auto& each : what.what)
      made.about.push_back(each.owner);
    questions_.emplace(what.id, std::move(made));
    what.whom = whom;
    out_->push_back(std::move(what));
  }

  [[nodiscard]] static record_wish wish_for(const node_id& node, const owner& each) {
    auto boot = each.wanted().when.boot;
    if (each.staged.upto > 0)
      return {node, boot, each.staged.upto};
    return {node, boot, each.wants_whole ? 0 : each.have_version()};
  }

  /// One with a link: at every other try the node itself, or else who has told of it; in between,
  /// or if neither has one, the others in turn. Each fourth try, and if there is no link, one that
  /// takes a link first.
  [[nodiscard]] node_id teller_for(const node_id& node, const owner& each) const {
    auto may_tell = [&](const node_id& who) {
      return who != self_ && (who != node || each.is_here) && !each.distrusted.contains(who);
    };
    std::optional<node_id> best;
    std::vector<node_id> far;
    for (auto& who : {node, each.from})
      if (may_tell(who) && !links_.contains(who) && std::ranges::find(far, who) == far.end())
        far.push_back(who);
      else if (may_tell(who) && links_.contains(who) && !best)
        best = who;
    if (!far.empty() && each.vain % 4 == 3)
      return far[each.vain / 4 % far.size()];
    auto turn = far.empty() ? each.vain : each.vain - (each.vain + 1) / 4; // of those with a link
    auto other = other_teller(each, best ? turn / 2 : turn,
                              [&](const node_id& who) { return may_tell(who) && who != best; });
    if (best && (turn % 2 == 0 || !other))
      return *best;
    if (other)
      return *other;
    return far.empty() ? node : far[each.vain % far.size()];
  }

  /// The `turn`-th of those with a link, counted from the one behind who has told.
  template <class Condition>
  [[nodiscard]] std::optional<node_id> other_teller(const owner& each, std::size_t turn,
                                                    Condition may_tell) const {
    auto next = links_.upper_bound(each.from);
    auto take = [&]() -> const node_id& {
      if (next == links_.end())
        next = links_.begin();
      return *next++;
    };
    for (auto skip = links_.empty() ? 0 : turn % links_.size(); skip > 0; --skip)
      take();
    for (auto rest = links_.size(); rest > 0; --rest)
      if (auto& who = take(); may_tell(who))
        return who;
    return std::nullopt;
  }

  void give_up_questions() {
    std::vector<request_id> over;
    for (auto& [id, each] : questions_)
      if (each.until <= now_)
        over.push_back(id);
    for (auto id : over)
      take(id, {});
  }

  void handle(request_id id, answered& what) {
    if (questions_.contains(id))
      take(id, what.what ? std::move(*what.what) : std::vector<told_records>{});
  }

  void take(request_id id, std::vector<told_records> all) {
    auto over = questions_.extract(id).mapped();
    std::set<node_id> open;
    for (auto& node : over.about)
      if (auto found = owners_.find(node); found != owners_.end() && found->second.asked == id) {
        found->second.asked = 0;
        open.insert(node);
      }
    auto brings = std::ranges::any_of(all, [](auto& each) { return !each.page.records.empty(); });
    ask more;
    for (auto& each : all) {
      auto node = each.of.what.node;
      if (!open.contains(node))
        continue;
      auto has_no_room = each.page.records.empty() && !each.page.is_last;
      if (has_no_room && !brings)
        continue;
      open.erase(node);
      auto& about = owners_.at(node);
      if (!has_no_room && !take(over.whom, node, about, std::move(each)))
        continue;
      cancel(node, about);
      more.what.push_back(wish_for(node, about));
    }
    for (auto& node : open)
      fail(node, owners_.at(node));
    if (more.what.empty())
      return;
    more.id = ++last_question_;
    for (auto& each : more.what)
      owners_.at(each.owner).asked = more.id;
    send(over.whom, std::move(more));
  }

  /// It has brought nothing.
  void fail(const node_id& node, owner& each) {
    if (!each.is_behind() || (!each.is_here && each.vain >= options_.max_vain))
      return;
    auto wait = options_.retry_after * (1U << (std::clamp(each.vain, 3U, 13U) - 3));
    ++each.vain;
    plan_to_ask(node, each, std::min<duration>(wait, options_.retry_at_most));
  }

  /// Returns whether the same member is to be asked for more of it.
  bool take(const node_id& from, const node_id& node, owner& each, told_records what) {
    if (!is_said(each, what.of)) {
      distrust(from, node, each, "what that has not signed");
      return false;
    }
    if (what.of.what.when > each.wanted().when) {
      out_->emplace_back(learned{what.of, from});
      note(node, each, what.of);
    }
    if (what.of.what.when.boot != each.wanted().when.boot
        || what.of.what.records.version < each.have_version()
        || is_same(what.of.what, each.have.what)) {
      fail(node, each); // it knows less
      return false;
    }
    auto& page = what.page;
    auto before = wish_for(node, each).after;
    auto begins_anew = page.after == 0 && before > 0;
    if ((page.after != before && !begins_anew) || (begins_anew && each.staged.upto > 0)) {
      drop_stage(each);
      each.wants_whole = true;
      fail(node, each);
      return false;
    }
    each.staged.is_whole = each.staged.is_whole || page.after == 0;
    if (auto why = stage_page(node, each, what.of.what, page); !why.empty()) {
      distrust(from, node, each, why);
      return false;
    }
    if (!page.is_last)
      return true;
    return finish(from, node, each, what.of);
  }

  [[nodiscard]] bool is_said(const owner& each, const signed_statement& what) const {
    auto is_known = [&](const signed_statement& head) { return is_same(head.what, what.what); };
    return planted_flaw == flaw::head_unverified || std::ranges::any_of(each.heads, is_known)
           || is_signed_(each.key, to_be_signed(what.what), what.by);
  }

  std::string stage_page(const node_id& node, owner& each, const statement& of,
                         registry::record_page& page) {
    auto said_by = to_string(node);
    auto last = page.after;
    for (auto& one : page.records) {
      if (one.key.owner != said_by || one.boot != of.when.boot || one.version > of.records.version
          || one.version <= std::exchange(last, one.version))
        return "records that are not of that node, or not of that time";
      if (auto why = registry::check(one))
        return why.detail;
      auto size = registry::transfer_size(one);
      if (staged_ + size > options_.max_staged)
        return "more records than fit at once";
      if (auto old = each.staged.records.find(one.key); old != each.staged.records.end()) {
        auto less = registry::transfer_size(old->second);
        staged_ -= less;
        each.staged.bytes -= less;
      }
      staged_ += size;
      each.staged.bytes += size;
      each.staged.records.insert_or_assign(one.key, std::move(one));
    }
    if (!page.is_last && page.upto != last)
      return "pages with gaps";
    each.staged.upto = page.is_last ? of.records.version : page.upto;
    return {};
  }

  /// All has come that makes the records those of `of`, or should.
  bool finish(const node_id& from, const node_id& node, owner& each, const signed_statement& of) {
    if (digest_with(node, each) != of.what.records.digest
        && planted_flaw != flaw::head_unverified) {
      auto was_whole = each.staged.is_whole;
      drop_stage(each);
      each.wants_whole = true;
      if (was_whole)
        distrust(from, node, each, "records that are not those that it has signed");
      return !was_whole;
    }
    auto why = merge(node, each);
    drop_stage(each);
    if (why) {
      out_->emplace_back(complain{node, "says what cannot be kept here: " + why.detail});
      fail(node, each);
      return false;
    }
    out_->emplace_back(merged{node});
    auto was_behind = each.is_behind();
    auto is_kept
      = digest_with(node, each) == of.what.records.digest || planted_flaw == flaw::head_unverified;
    each.have = is_kept ? of : signed_statement{};
    each.wants_whole = !is_kept;
    count_behind(was_behind, each);
    if (!is_kept) {
      out_->emplace_back(complain{node, "has said something else in the same life before"});
      fail(node, each);
      return false;
    }
    if (!each.is_behind())
      be_level(node, each);
    else
      plan_to_ask(node, each, options_.gather_for);
    return false;
  }

  [[nodiscard]] registry::records_digest digest_with(const node_id& node, const owner& each) const {
    std::map<registry::record_key, registry::records_digest> all;
    if (!each.staged.is_whole)
      table_.for_each_of(to_string(node), [&](const registry::record& one, const auto& what) {
        all[one.key] = what;
      });
    for (auto& [key, one] : each.staged.records)
      if (one.removed)
        all.erase(key);
      else
        all[key] = registry::digest_of(one);
    registry::set_digest whole;
    for (auto& [key, what] : all)
      whole.add(what);
    return whole.finish();
  }

  /// What the node no longer says is taken for removed.
  problem merge(const node_id& node, owner& each) {
    constexpr std::size_t at_once = 500;
    std::vector<registry::put_records> batches(1);
    auto add = [&](registry::record one) {
      if (batches.back().records.size() == at_once)
        batches.emplace_back();
      batches.back().records.push_back(std::move(one));
    };
    if (each.staged.is_whole)
      table_.for_each_of(to_string(node), [&](const registry::record& one, const auto&) {
        auto ends_anyway = one.boot < each.wanted().when.boot && !each.staged.records.empty();
        if (!ends_anyway && !each.staged.records.contains(one.key))
          add({.key = one.key,
               .boot = one.boot,
               .version = one.version,
               .removed = true,
               .token = one.token});
      });
    for (auto& [key, one] : each.staged.records)
      add(std::move(one));
    for (auto& batch : batches) {
      registry::effects made;
      table_.step(now_, 1, std::move(batch), made);
      for (auto& what : made)
        if (auto* no = std::get_if<refused>(&what))
          return no->why;
    }
    return {};
  }

  void distrust(const node_id& from, const node_id& node, owner& each, const std::string& why) {
    out_->emplace_back(complain{from, "tells of node " + to_string(node).substr(0, 8) + ' ' + why});
    drop_stage(each);
    each.wants_whole = true;
    if (each.distrusted.size() < options_.max_distrusted && from != node)
      each.distrusted.insert(from);
    fail(node, each);
  }

  // -- what others ask -------------------------------------------------------------------

  void handle(request_id id, const asked& what) {
    reply made{id, {}};
    auto room = options_.max_answer;
    for (auto& each : what.what) {
      if (made.what.size() >= options_.max_asked)
        break;
      if (auto told = each.owner == self_ ? own_page(each, room) : page_for(each, room)) {
        for (auto& one : told->page.records)
          room -= std::min(room, registry::transfer_size(one));
        made.what.push_back(*std::move(told));
      }
    }
    out_->push_back(std::move(made));
  }

  [[nodiscard]] std::optional<told_records> page_for(const record_wish& what,
                                                     std::size_t room) const {
    auto found = owners_.find(what.owner);
    if (found == owners_.end() || found->second.have.what.records.version == 0)
      return std::nullopt;
    auto& have = found->second.have;
    auto all = table_.records_of(to_string(what.owner), have.what.when.boot);
    return all ? std::optional{page_of(have, *all, what, room)} : std::nullopt;
  }

  /// As this node has said it last.
  [[nodiscard]] std::optional<told_records> own_page(const record_wish& what,
                                                     std::size_t room) const {
    if (!said_ || said_->what.records.version == 0)
      return std::nullopt;
    return page_of(*said_, own_, what, room);
  }

  static told_records page_of(const signed_statement& of, const registry::record_set& all,
                              const record_wish& what, std::size_t room) {
    if (room == 0)
      return {of, {.after = what.after, .upto = what.after, .is_last = false, .records = {}}};
    auto goes_on = of.what.when.boot == what.boot && what.after <= of.what.records.version;
    return {of, registry::page_of(all, goes_on ? what.after : 0, room)};
  }

  struct said {
    registry::records_head head;
    registry::record_set records;
  };

  const node_id self_;
  const exchange_options options_;
  registry::record_table& table_;
  const verifier is_signed_;
  /// The digest of no records.
  const registry::records_digest nothing_ = registry::set_digest{}.finish();

  boot_number own_boot_ = 0;
  std::uint64_t own_version_ = 0;
  /// What it has said last, and the records then.
  std::optional<signed_statement> said_;
  registry::record_set own_;
  std::optional<said> being_said_;
  std::optional<time_point> restate_at_;
  /// What has changed since the statement that is being made is said at once.
  bool hurries_ = false;
  std::optional<time_point> said_at_;

  owners owners_;
  std::size_t behind_ = 0;
  std::size_t staged_ = 0;
  std::set<std::pair<time_point, node_id>> due_;
  std::map<request_id, question> questions_;
  request_id last_question_ = 0;
  std::set<node_id> links_;
  /// While a step runs.
  time_point now_{};
  effects* out_ = nullptr;
};

} // namespace troupe::cluster
