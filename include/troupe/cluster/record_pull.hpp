#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/exchange_types.hpp"
#include "troupe/cluster/record_questions.hpp"
#include "troupe/cluster/staged_records.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/registry/record_set.hpp"
#include "troupe/registry/record_table.hpp"

namespace troupe::cluster {

/// Gets the records of other nodes: asks for what has changed, and puts it into the table once it
/// is what its node has signed. Part of `record_exchange`.
///
/// - A node is behind while its last statement has another head than the records here.
/// - What comes is merged once the digest of all that it makes of the node is a signed one. If it
///   is another one, all is asked for; if it still is, the member is not asked about that node
///   again, and the log hears of it.
/// - Nothing goes back: who tells an earlier statement, or less than is here, knows less.
/// - A node that says other things with the versions of before, as two processes with one data
///   folder do, is shown as it has said last.
/// - What a node says and cannot be kept here is tried again from time to time.
///
/// Composes two parts: `record_questions` decides when which member is asked, `staged_records`
/// holds what has come and is not complete. What is left here is what to believe.
///
/// Steps like any machine. No snapshot: who starts again asks the others. Not thread-safe. Cost of
/// a step: O(log n) in the members; of what comes, O(n) in the records of the nodes that it is
/// about.
///
/// It counts on this of its host: `heard` only with statements whose signature is right; each `ask`
/// is answered once, and not within the step.
class record_pull {
public:
  // -- events ----------------------------------------------------------------------------

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

  using event = std::variant<heard, gone, forgotten, linked, answered>;

  // -- effects ---------------------------------------------------------------------------

  /// Ask that member, and step `answered`.
  using ask = record_questions::ask;

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

  using effect = std::variant<ask, learned, merged, complain>;
  using effects = std::vector<effect>;

  using verifier = bool (*)(const public_key&, std::string_view, const signature&);

  /// `table` shows what this node knows. @pre it outlives this
  record_pull(const node_id& self, const exchange_options& options, registry::record_table& table,
              verifier check)
    : self_(self),
      max_heads_(options.max_heads),
      is_signed_(check),
      questions_(self, options),
      staged_(table, options.max_staged) {}

  record_pull(const record_pull&) = delete;
  record_pull& operator=(const record_pull&) = delete;

  /// @pre `now` never goes backwards.
  void step(time_point now, request_id id, event what, effects& out) {
    now_ = now;
    out_ = &out;
    troupe::visit([&](auto& each) { handle(id, each); }, what);
    out_ = nullptr;
  }

  void tick(time_point now, effects& out) {
    now_ = now;
    out_ = &out;
    for (auto id : questions_.late(now))
      take(id, std::nullopt);
    auto wish = [this](const node_id& node) { return wish_for(node, owners_.at(node)); };
    for (auto& each : questions_.take_due(now, wish))
      out.emplace_back(std::move(each));
    out_ = nullptr;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return questions_.next_deadline();
  }

  // -- what it knows ---------------------------------------------------------------------

  /// Whether it has heard what that node says, and not forgotten it.
  [[nodiscard]] bool knows(const node_id& node) const {
    return owners_.contains(node);
  }

  /// The records in the table of that node are those of this statement; null: of none. Valid until
  /// the next step.
  [[nodiscard]] const signed_statement* have(const node_id& node) const {
    auto found = owners_.find(node);
    if (found == owners_.end() || found->second.have.what.records.version == 0)
      return nullptr;
    return &found->second.have;
  }

  /// Members whose records this node does not have as they were said last.
  [[nodiscard]] std::size_t behind() const {
    return behind_;
  }

  /// Those of them that are there. O(n log n) in the members.
  [[nodiscard]] std::set<node_id> missing() const {
    std::set<node_id> found;
    for (auto& [node, each] : owners_)
      if (each.is_behind() && questions_.is_here(node))
        found.insert(node);
    return found;
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    auto found = questions_.flaws();
    auto expect = [&found](bool holds, const char* what) {
      if (!holds)
        found.emplace_back(what);
    };
    std::size_t behind = 0;
    std::size_t staged = 0;
    for (auto& [node, each] : owners_) {
      behind += each.is_behind() ? 1 : 0;
      staged += staged_.contains(node) ? 1 : 0;
      expect(node != self_, "this node asks others about itself");
      expect(each.heads.size() <= max_heads_, "more statements than allowed");
      expect(!each.is_behind() || questions_.is_open(node) || !questions_.is_here(node),
             "a node is behind for ever");
    }
    expect(behind == behind_, "those that are behind are miscounted");
    expect(owners_.size() == questions_.size(), "nodes are asked about that are not known");
    expect(staged == staged_.size(), "records are staged of a node that is not known");
    for (auto& each : staged_.flaws())
      found.push_back(each);
    return found;
  }

private:
  struct owner {
    /// The records in the table are those of this statement; version zero: there are none.
    signed_statement have{};
    /// The life and version up to which the table has records of it, or some of them.
    boot_number merged_boot = 0;
    std::uint64_t merged_upto = 0;
    /// What it has said since, the latest last; also that which the table has.
    std::vector<signed_statement> heads;
    public_key key{};
    /// All is to be asked for.
    bool wants_whole = false;

    [[nodiscard]] const statement& wanted() const {
      return heads.back().what;
    }

    /// Of the life that is wanted.
    [[nodiscard]] std::uint64_t have_version() const {
      return have.what.when.boot == wanted().when.boot ? have.what.records.version : 0;
    }

    /// Whether the table has records of that life that were said later, and the node has not gone
    /// back itself, as where its disk was put back.
    [[nodiscard]] bool is_beyond(const statement& what) const {
      return what.when.boot == merged_boot && what.records.version < merged_upto
             && !is_same(what, wanted());
    }

    [[nodiscard]] bool is_behind() const {
      return !heads.empty() && wanted().records.version > 0 && !is_same(wanted(), have.what);
    }
  };

  /// Whether the records are the same in both.
  static bool is_same(const statement& one, const statement& other) {
    return one.when.boot == other.when.boot && one.records == other.records;
  }

  // -- what others say -------------------------------------------------------------------

  void handle(request_id, heard& what) {
    auto node = what.what.what.node;
    if (node == self_)
      return;
    auto& each = owners_[node];
    questions_.told(now_, node, what.from);
    each.key = what.key;
    note(node, each, std::move(what.what));
    if (each.is_behind() && !questions_.is_open(node))
      questions_.want(now_, node);
  }

  void note(const node_id& node, owner& each, signed_statement what) {
    auto was_behind = each.is_behind();
    if (!each.heads.empty()) {
      auto& last = each.wanted();
      if (what.what.when < last.when)
        return; // late
      if (what.what.when.boot > last.when.boot) {
        questions_.begin_anew(node);
        staged_.drop(node);
        each.heads.clear();
      } else if (what.what.records == last.records) {
        if (is_same(what.what, each.have.what))
          each.have = what;
        each.heads.back() = std::move(what);
        return;
      }
    }
    each.heads.push_back(std::move(what));
    if (each.heads.size() > max_heads_)
      each.heads.erase(each.heads.begin());
    count_behind(was_behind, each);
    if (each.is_behind() && each.wanted().records.digest == nothing_) {
      staged_.begin_whole(node);
      finish(node, node, each, signed_statement{each.heads.back()});
    } else if (each.is_behind()) {
      questions_.want(now_, node);
    } else {
      be_level(node, each);
    }
  }

  void count_behind(bool was_behind, const owner& each) {
    behind_ += each.is_behind() ? 1 : 0;
    behind_ -= was_behind ? 1 : 0;
  }

  void be_level(const node_id& node, owner& each) {
    questions_.want_nothing(node);
    staged_.drop(node);
    each.wants_whole = false;
  }

  void handle(request_id, const gone& what) {
    questions_.gone(what.who);
  }

  void handle(request_id, const forgotten& what) {
    auto found = owners_.find(what.who);
    if (found == owners_.end() || planted_flaw == flaw::forgotten_revived)
      return;
    questions_.forget(what.who);
    staged_.drop(what.who);
    behind_ -= found->second.is_behind() ? 1 : 0;
    owners_.erase(found);
  }

  void handle(request_id, const linked& what) {
    if (what.is_up)
      questions_.link_up(now_, what.who);
    else
      questions_.link_down(what.who);
  }

  // -- what comes ------------------------------------------------------------------------

  [[nodiscard]] record_wish wish_for(const node_id& node, const owner& each) const {
    auto boot = each.wanted().when.boot;
    if (auto upto = staged_.upto(node); upto > 0)
      return {node, boot, upto};
    return {node, boot, each.wants_whole ? 0 : each.have_version()};
  }

  void handle(request_id id, answered& what) {
    take(id, std::move(what.what));
  }

  void take(request_id id, std::optional<std::vector<told_records>> what) {
    auto question = questions_.close(now_, id, what.has_value());
    if (!question)
      return;
    auto all = std::move(what).value_or(std::vector<told_records>{});
    auto& whom = question->whom;
    auto& open = question->about;
    auto goes_on = questions_.may_ask_more(now_, *question);
    auto brings = std::ranges::any_of(all, [](auto& each) { return !each.page.records.empty(); });
    std::vector<record_wish> more;
    for (auto& each : all) {
      auto node = each.of.what.node;
      if (!open.contains(node))
        continue;
      auto has_no_room = each.page.records.empty() && !each.page.is_last;
      if (has_no_room && !brings)
        continue;
      open.erase(node);
      auto& about = owners_.at(node);
      if (!has_no_room && !take(whom, node, about, std::move(each)))
        continue;
      if (goes_on)
        more.push_back(wish_for(node, about));
      else
        fail(node, about); // what has come stays; another member may bring the rest
    }
    for (auto& node : open)
      fail(node, owners_.at(node));
    if (!more.empty())
      out_->emplace_back(questions_.ask_more(now_, *question, std::move(more)));
  }

  /// It has brought nothing.
  void fail(const node_id& node, const owner& each) {
    if (each.is_behind())
      questions_.try_again(now_, node);
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
        || (each.is_beyond(what.of.what) && planted_flaw != flaw::old_records_win)
        || is_same(what.of.what, each.have.what)) {
      fail(node, each); // it knows less
      return false;
    }
    auto& page = what.page;
    auto before = wish_for(node, each).after;
    auto begins_anew = page.after == 0 && before > 0;
    if ((page.after != before && !begins_anew) || (begins_anew && staged_.upto(node) > 0)) {
      staged_.drop(node);
      each.wants_whole = true;
      fail(node, each);
      return false;
    }
    auto why = staged_.add(from, what.of.what, page);
    if (why.code == errc::limit_reached)
      give_up(node, each, why.detail);
    else if (why)
      distrust(from, node, each, why.detail);
    if (why)
      return false;
    if (!page.is_last)
      return true;
    return finish(from, node, each, what.of);
  }

  [[nodiscard]] bool is_said(const owner& each, const signed_statement& what) const {
    auto is_known = std::ranges::find(each.heads, what) != each.heads.end();
    return planted_flaw == flaw::head_unverified || is_known
           || is_signed_(each.key, to_be_signed(what.what), what.by);
  }

  /// All has come that makes the records those of `of`, or should.
  bool finish(const node_id& from, const node_id& node, owner& each, const signed_statement& of) {
    if (!has_records_of(of)) {
      auto is_its = staged_.is_whole(node) && !staged_.is_of_several(node);
      staged_.drop(node);
      each.wants_whole = true;
      if (is_its)
        distrust(from, node, each, "records that are not those that it has signed");
      return !is_its;
    }
    auto why = staged_.merge(now_, node, each.wanted().when.boot);
    if (!why && staged_.is_whole(node) && !is_kept(of)) {
      out_->emplace_back(complain{node, "has said something else in the same life before"});
      why = staged_.replace(now_, node, each.wanted().when.boot);
    }
    staged_.drop(node);
    out_->emplace_back(merged{node});
    auto was_behind = each.is_behind();
    auto has_all = !why && is_kept(of);
    each.have = has_all ? of : signed_statement{};
    each.merged_boot = of.what.when.boot;
    each.merged_upto = of.what.records.version;
    each.wants_whole = !has_all;
    count_behind(was_behind, each);
    if (why)
      give_up(node, each, why.detail);
    else if (!has_all)
      fail(node, each);
    else if (!each.is_behind())
      be_level(node, each);
    else
      questions_.want(now_, node);
    return false;
  }

  /// It says what cannot be kept here, whoever tells it.
  void give_up(const node_id& node, owner& each, const std::string& why) {
    out_->emplace_back(complain{node, "says what cannot be kept here: " + why});
    staged_.drop(node);
    each.wants_whole = true;
    if (each.is_behind())
      questions_.try_later(now_, node);
  }

  static bool overlooks_digests() {
    return planted_flaw == flaw::head_unverified || planted_flaw == flaw::digest_overlooked;
  }

  /// Whether the table, with what is staged, has the records of that statement.
  [[nodiscard]] bool has_records_of(const signed_statement& of) const {
    return overlooks_digests() || staged_.digest_of(of.what.node) == of.what.records.digest;
  }

  /// Whether the table has the records of that statement.
  [[nodiscard]] bool is_kept(const signed_statement& of) const {
    return overlooks_digests() || staged_.digest_in_table(of.what.node) == of.what.records.digest;
  }

  void distrust(const node_id& from, const node_id& node, owner& each, const std::string& why) {
    out_->emplace_back(complain{from, "tells of node " + to_string(node).substr(0, 8) + ' ' + why});
    staged_.drop(node);
    each.wants_whole = true;
    questions_.distrust(node, from);
    fail(node, each);
  }

  const node_id self_;
  const std::size_t max_heads_;
  const verifier is_signed_;
  /// The digest of no records.
  const registry::records_digest nothing_ = registry::set_digest{}.finish();

  record_questions questions_;
  staged_records staged_;
  std::map<node_id, owner> owners_;
  std::size_t behind_ = 0;
  /// While a step runs.
  time_point now_{};
  effects* out_ = nullptr;
};

} // namespace troupe::cluster
