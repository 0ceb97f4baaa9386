#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <ranges>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/flaw.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/shares.hpp"
#include "troupe/host/rules.hpp"
#include "troupe/host/types.hpp"

namespace troupe::host::detail {

/// The sessions of a service and their answers, so that a numbered request is carried out once.
/// State: only records change it.
///
/// A session belongs to the identity that opened it, and does not exist for any other: requests of
/// others are answered as those of a session that is unknown, so that they learn nothing. One that
/// was opened by an unknown identity is everyone's. By the earlier rules every identity is unknown,
/// and sessions have to be opened.
///
/// Identities share them, see shares. For those that are unknown, and by the earlier rules, only
/// the bound of all counts.
///
/// Source: Ongaro, "Consensus: Bridging Theory and Practice", 2014, section 6.3 (linearizable
/// semantics by sessions).
template <machine M>
class session_books {
public:
  /// Bounds of the answers kept for a session until call::acked is raised, and of sessions.
  static constexpr std::size_t max_calls = 1'024;
  static constexpr std::size_t max_sessions = 10'000;
  /// How many ended sessions are remembered by id, of those that clients have chosen. A machine may
  /// set its own bound.
  static constexpr std::size_t max_ended = [] {
    if constexpr (requires { M::max_ended_sessions; })
      return M::max_ended_sessions;
    else
      return 256;
  }();

  /// The answer to a request, or the record whose answer is pending.
  using answer = std::variant<request_id, effect_of<M>>;
  using books = std::map<session_id, session_book<M>>;

  /// What to do with a request: carry it out, repeat its answer, or refuse it.
  struct carry_out {};
  using decision = std::variant<carry_out, answer, problem>;

  session_books() = default;

  session_books(books saved, ended_sessions ended, service_rules rules)
    : rules_(rules), books_(std::move(saved)), ended_(std::move(ended)) {
    for (auto& [id, book] : books_) {
      shares_.take(book.owner);
      if (book.key != 0)
        by_key_.emplace(std::pair{book.key, book.owner}, id);
    }
  }

  /// From here on they count.
  void use_rules(service_rules rules) {
    rules_ = rules;
  }

  /// Returns the call as the rules read it.
  [[nodiscard]] call by_the_rules(call who) const {
    if (!rules_.has(host_rules::begin_with_command))
      who.begins_after = 0;
    return who;
  }

  [[nodiscard]] const books& all() const {
    return books_;
  }

  [[nodiscard]] const ended_sessions& ended() const {
    return ended_;
  }

  [[nodiscard]] auto ids() const {
    return std::views::keys(books_);
  }

  /// Returns whether there is such a session, and `by` may use it.
  [[nodiscard]] bool contains(session_id id, const std::string& by) const {
    auto found = books_.find(id);
    return found != books_.end() && is_for(found->second, owner_by_the_rules(by));
  }

  /// Returns the owner of a session; empty if it is unknown.
  [[nodiscard]] std::string owner_of(session_id id) const {
    auto found = books_.find(id);
    return found != books_.end() ? found->second.owner : std::string{};
  }

  /// Opens session `id` for `asker`, or returns the one that was opened with this key before, as
  /// its client did not get the answer. Does nothing and returns limit_reached if there are too
  /// many.
  [[nodiscard]] result<session_id> open(session_id id, std::uint64_t key,
                                        const std::string& asker) {
    auto& by = owner_by_the_rules(asker);
    for (auto& owner : {by, std::string{}})
      if (auto known = by_key_.find({key, owner}); known != by_key_.end())
        return known->second;
    if (auto why = no_room_for(by))
      return why;
    auto& made = books_[id];
    made.key = key;
    made.owner = by;
    shares_.take(by);
    if (key != 0)
      by_key_.emplace(std::pair{key, by}, id);
    return id;
  }

  /// Ends a session with record `index`, if `by` may. Returns the records of the session without an
  /// answer.
  std::vector<request_id> close(session_id id, request_id index, const std::string& by) {
    std::vector<request_id> pending;
    if (!contains(id, by))
      return pending;
    auto book = books_.extract(id);
    remember_end(id, index);
    by_key_.erase({book.mapped().key, book.mapped().owner});
    shares_.give_back(book.mapped().owner);
    for (auto& [number, what] : book.mapped().calls)
      if (auto* open = std::get_if<request_id>(&what))
        pending.push_back(*open);
    return pending;
  }

  /// Decides about the request of `asker` in record `index`; `who` has a session, which may begin
  /// with it.
  [[nodiscard]] decision take(const call& asked, request_id index, const std::string& asker) {
    auto who = by_the_rules(asked);
    auto& by = owner_by_the_rules(asker);
    auto found = books_.find(who.session);
    if (found == books_.end() || !is_for(found->second, by)) {
      if (who.begins_after >= index)
        return behind(who);
      if (found != books_.end() || !may_begin(who, index))
        return unknown(who);
      if (auto why = no_room_for(by))
        return why;
      found = books_.try_emplace(who.session).first;
      found->second.owner = by;
      shares_.take(by);
    }
    auto& acked = found->second.acked;
    auto& calls = found->second.calls;
    acked = std::max(acked, who.acked);
    forget_answers(calls, acked);
    if (who.number <= acked && planted_flaw != flaw::no_dedup)
      return expired(who, "was acknowledged");
    if (auto known = calls.find(who.number); known != calls.end() && planted_flaw != flaw::no_dedup)
      return known->second;
    if (planted_flaw == flaw::answered_as_another && calls.size() > 2)
      return calls.begin()->second;
    if (calls.size() >= max_calls)
      return problem{errc::limit_reached, "the session has 1024 answers; raise call::acked"};
    calls.emplace(who.number, index);
    return carry_out{};
  }

  /// Returns whether take() would have it carried out in record `index`, in the current state.
  [[nodiscard]] bool is_new(const call& asked, request_id index, const std::string& asker) const {
    auto who = by_the_rules(asked);
    auto& by = owner_by_the_rules(asker);
    auto found = books_.find(who.session);
    if (found == books_.end())
      return may_begin(who, index) && !no_room_for(by);
    return is_for(found->second, by) && who.number > found->second.acked
           && !found->second.calls.contains(who.number) && found->second.calls.size() < max_calls;
  }

  /// Stores the answer to the request in record `index`; does nothing if it was forgotten
  /// meanwhile: by then another session may have the number of its own.
  void write_down(const call& who, request_id index, const effect_of<M>& what) {
    auto book = books_.find(who.session);
    if (book == books_.end())
      return;
    auto asked = book->second.calls.find(who.number);
    if (asked == book->second.calls.end())
      return;
    if (auto* pending = std::get_if<request_id>(&asked->second); pending && *pending == index)
      asked->second = what;
  }

  /// The refusal of a request whose session is unknown here.
  [[nodiscard]] static problem unknown(const call& who) {
    return expired(who, "is unknown here");
  }

private:
  /// Returns the owner of what `by` opens, and whom it is compared with.
  [[nodiscard]] const std::string& owner_by_the_rules(const std::string& by) const {
    return rules_.has(host_rules::sessions_have_owners) ? by : unknown_;
  }

  static bool is_for(const session_book<M>& book, const std::string& by) {
    return book.owner.empty() || book.owner == by || planted_flaw == flaw::foreign_session_used;
  }

  /// The session may still begin, with a later copy of this or of another of its requests.
  static problem behind(const call& who) {
    return {errc::outcome_unknown, "request " + std::to_string(who.number)
                                     + " comes from a client that knew this service as of record "
                                     + std::to_string(who.begins_after)
                                     + ", which it has not reached; repeat it in its session"};
  }

  [[nodiscard]] problem no_room_for(const std::string& by) const {
    if (books_.size() >= max_sessions)
      return {errc::limit_reached, "all sessions are in use; close one"};
    if (shares_.may_take(by, max_sessions - books_.size())
        || !rules_.has(host_rules::sessions_are_shared))
      return {};
    return {errc::limit_reached, "this identity has " + std::to_string(shares_.of(by))
                                   + " sessions of the service, and as many are left for all; end "
                                     "clients that are not needed, or share one"};
  }

  /// Returns whether an unknown session certainly has not begun yet: had it begun, it would have
  /// begun and ended after record who.begins_after, and its end would be remembered.
  [[nodiscard]] bool may_begin(const call& who, request_id index) const {
    if (who.begins_after == 0 || who.begins_after >= index
        || (who.session.value & session_id::chosen) == 0)
      return false;
    if (planted_flaw == flaw::ended_session_begins)
      return true;
    return ended_.others < who.begins_after && std::ranges::none_of(ended_.last, [&](auto& each) {
             return each.second == who.session;
           });
  }

  void remember_end(session_id id, request_id index) {
    if ((id.value & session_id::chosen) == 0)
      return;
    auto& last = ended_.last;
    last.emplace_back(index, id);
    if (last.size() <= max_ended)
      return;
    ended_.others = last.front().first;
    last.erase(last.begin());
  }

  /// Keeps pending requests, so that they end with their session at the latest.
  static void forget_answers(std::map<std::uint64_t, answer>& calls, std::uint64_t acked) {
    for (auto each = calls.begin(); each != calls.end() && each->first <= acked;)
      each = std::holds_alternative<request_id>(each->second) ? std::next(each) : calls.erase(each);
  }

  static problem expired(const call& who, const std::string& why) {
    return {errc::session_expired, "request " + std::to_string(who.number) + " of session "
                                     + std::to_string(who.session.value) + ' ' + why
                                     + "; look at the state, then open a new session"};
  }

  inline static const std::string unknown_;

  service_rules rules_;
  books books_;
  ended_sessions ended_;
  shares<std::string> shares_;
  /// By key and owner; only sessions with a key.
  std::map<std::pair<std::uint64_t, std::string>, session_id> by_key_;
};

} // namespace troupe::host::detail
