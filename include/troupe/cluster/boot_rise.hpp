#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "troupe/cluster/claims_types.hpp"
#include "troupe/cluster/service_questions.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/name_types.hpp"
#include "troupe/registry/own_records.hpp"
#include "troupe/registry/record_bounds.hpp"

namespace troupe::cluster {

/// Asks to go above a later boot of this node of which others have heard, and above the present one
/// if another life has had that, too. Part of `claims`.
///
/// The node goes on with a boot only once its host has kept it: see risen. One that is more than
/// max_boot_jump later, or the last one, is not believed. Not thread-safe. Cost of a call:
/// O(log n), of risen O(records).
class boot_rise {
public:
  using effects = claims_types::effects;

  /// @pre all three outlive this
  boot_rise(const claims_options& options, registry::own_records& book,
            service_questions& questions)
    : options_(options), book_(book), questions_(questions) {}

  boot_rise(const boot_rise&) = delete;
  boot_rise& operator=(const boot_rise&) = delete;

  // -- finding out -------------------------------------------------------------------------

  /// The service of names may have heard of one: asks it.
  void look_for_claims(time_point now, effects& out) {
    if (!questions_.contains(search_names_))
      search_names_ = questions_.ask(now, registry::names::list_claims{book_.owner(), {}, 1},
                                     service_questions::search_names{}, out);
  }

  /// The answer to look_for_claims.
  void found(time_point now, const registry::names::claim_page& page, effects& out) {
    if (!page.claimed.empty() && page.claimed.front().boot > book_.boot())
      go_above(now, page.claimed.front().boot, out);
  }

  // -- going above -------------------------------------------------------------------------

  /// Somebody has heard of that boot; if it is the present one, of another life that had it.
  void outlived(time_point now, boot_number heard, bool is_twin, effects& out) {
    if (heard > book_.boot() || (is_twin && heard == book_.boot()))
      go_above(now, heard, out);
  }

  /// The host has kept that boot. Returns whether the node goes on with it.
  bool risen(boot_number boot, effects& out) {
    if (boot <= book_.boot())
      return false; // a boot never goes back
    if (boot >= wished_)
      wish_until_.reset();
    rises_ = std::min(rises_ + 1, options_.max_rises); // wished for or not: a disk may be slow
    book_.rise_above(boot - 1);
    out.emplace_back(claims_types::warn{
      "this node's identity was heard of with a later start (is its data folder restored "
      "or copied?); it goes on as start "
      + std::to_string(book_.boot())});
    return true;
  }

  void end_wish_if_due(time_point now) {
    if (wish_until_ && *wish_until_ <= now)
      wish_until_.reset(); // the disk did not keep it; the next to say so has it tried again
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return wish_until_;
  }

  /// What is wrong with its state, in words; empty if all is well.
  [[nodiscard]] std::vector<std::string> flaws() const {
    std::vector<std::string> found;
    if (wish_until_ && wished_ <= book_.boot())
      found.emplace_back("a boot is wished for that is past");
    if (rises_ > options_.max_rises)
      found.emplace_back("more boots than allowed");
    return found;
  }

private:
  void go_above(time_point now, boot_number other, effects& out) {
    if (other < book_.boot() || (wish_until_ && other < wished_))
      return;
    if (other - book_.boot() > max_boot_jump || other >= registry::max_boot) {
      out.emplace_back(claims_types::complain{
        "the cluster has heard of a start of this node that cannot be",
        "that is number " + std::to_string(other) + ", and this is number "
          + std::to_string(book_.boot())
          + ": what this node says may be ignored; find out who else has its "
            "key, and start it with "
            "an empty data folder and a new certificate (troupe ca invite)"});
      return;
    }
    if (rises_ >= options_.max_rises) {
      out.emplace_back(
        claims_types::complain{"another live process has this node's identity",
                               "stop one of the two; data folders must not be copied"});
      return;
    }
    wished_ = other + 1;
    wish_until_ = now + options_.answer_within;
    out.emplace_back(claims_types::rise{wished_});
  }

  const claims_options& options_;
  registry::own_records& book_;
  service_questions& questions_;
  /// The last question.
  request_id search_names_ = 0;

  boot_number wished_ = 0;
  /// While the disk is to keep that boot.
  std::optional<time_point> wish_until_;
  int rises_ = 0;
};

} // namespace troupe::cluster
