#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "troupe/core/codec.hpp"
#include "troupe/core/guarded.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/join_inquiry.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/node/own_authority.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/platform/worker_thread.hpp"
#include "troupe/security/admission.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/invitation_book.hpp"
#include "troupe/security/join_request.hpp"
#include "troupe/storage/watched_file.hpp"

namespace troupe::cluster {

/// Where a member answers machines that join with a token: the node that has the CA gives
/// them a certificate, others say where that node is. What decides is security::judge() and
/// security::guess_limiter; this reads and writes the folder, on a thread of its own that begins
/// with the first request. Used by the gate's thread.
///
/// Refusals read the book of invitations once for each of its changes, and take no lock. Failures
/// with a token that the CA has given out count for that token and address, those with any other
/// one for the address: whoever guesses shuts out no honest token of its neighbours.
class join_desk {
public:
  /// So many wait to be judged, together and of one address; beyond that they hear busy.
  static constexpr std::size_t max_waiting = 64;
  static constexpr std::size_t max_waiting_of_one = 32;
  /// So many look-ups of other nodes' addresses are under way at once, together and of one address.
  static constexpr std::size_t max_finding = 64;
  static constexpr std::size_t max_finding_of_one = 32;

  /// Calls the function with the address of the node whose id begins so, if that is known.
  using finder
    = std::function<void(security::issuer_id, std::function<void(std::optional<net::address>)>)>;

  /// `ca` outlives this.
  join_desk(const own_authority& ca, const node_id& self, finder where_is, node_log log)
    : ca_(ca),
      self_(security::issuer_of(self)),
      where_is_(std::move(where_is)),
      log_(std::move(log)) {}

  void ask(net::join_inquiry what, std::function<void(net::join_reply)> done) {
    auto request = from_bytes<security::join_request>(what.request);
    if (!request)
      return done(refusal({errc::incompatible, "the request to join is not known to this version; "
                                               "upgrade the older of the two"}));
    if (request->issuer != self_)
      return show_issuer(request->issuer, what.source, std::move(done));
    if (!waiting_.enter(what.source))
      return done(refusal(too_many()));
    try {
      if (!worker_)
        worker_.emplace("troupe.join");
    } catch (const std::system_error& why) {
      waiting_.leave(what.source);
      return done(cannot({errc::limit_reached, std::string{"no thread is left there: "} + why.what()
                                                 + "; raise its ulimit -u"}));
    }
    worker_->run(
      [this, request = *std::move(request), what = std::move(what), done = std::move(done)] {
        // Whoever has gone asks again: a certificate for each try would be one too many.
        auto is_awaited = !what.is_awaited || what.is_awaited();
        auto reply = is_awaited ? answer(request, what) : refusal(did_not_wait());
        waiting_.leave(what.source);
        done(std::move(reply));
      });
  }

private:
  /// How many wait, by address, for several threads.
  class waiting_room {
  public:
    waiting_room(std::size_t most, std::size_t most_of_one)
      : most_(most), most_of_one_(most_of_one) {}

    bool enter(const std::string& source) {
      std::lock_guard guard{mutex_};
      auto found = inside_.find(source);
      if (all_ >= most_ || (found != inside_.end() && found->second >= most_of_one_))
        return false;
      ++all_;
      ++inside_[source];
      return true;
    }

    void leave(const std::string& source) {
      std::lock_guard guard{mutex_};
      --all_;
      auto found = inside_.find(source);
      if (--found->second == 0)
        inside_.erase(found);
    }

  private:
    const std::size_t most_;
    const std::size_t most_of_one_;
    std::mutex mutex_;
    std::size_t all_ = 0;
    std::map<std::string, std::size_t> inside_;
  };

  /// On the thread. Judges one after the other, so that no address has more guesses than allowed by
  /// making them at once.
  net::join_reply answer(const security::join_request& request, const net::join_inquiry& what) {
    auto outcome = security::cannot_admit({});
    auto thrown = guarded([&] { outcome = judge(request, what); });
    if (thrown)
      outcome = security::cannot_admit({errc::failed, "the CA failed: " + thrown.detail});
    if (outcome.trouble)
      return cannot(std::move(outcome.trouble));
    log_.settle(not_able);
    if (!outcome.answer)
      return refusal(outcome.answer.error());
    if (auto about = security::facts_of(*outcome.answer))
      log_("a token admits " + std::string{name_of(about->as)} + " '" + about->name + "' ("
           + to_string(about->node).substr(0, 8) + "), from " + what.source);
    return {to_bytes(security::join_answer{security::join_granted{outcome.answer->to_pem()}}), {}};
  }

  security::admission_outcome judge(const security::join_request& request,
                                    const net::join_inquiry& what) {
    auto folder = ca_.folder();
    if (auto why = look(folder))
      return security::cannot_admit(why);
    auto now = read_calendar();
    auto* invited = known_->find(request.token);
    auto& limiter = invited != nullptr ? of_tokens_ : of_strangers_;
    auto source = invited != nullptr ? what.source + ' ' + to_string(request.token) : what.source;
    if (!limiter.hears(steady_now(), source))
      return {problem{errc::busy, "there were too many wrong tokens from " + what.source
                                    + "; wait a minute, then retry"}};
    auto order
      = security::judge(request, what.binding, invited, known_->user_of(request.token), now);
    auto outcome = order ? security::admit(folder, request, what.binding, now)
                         : security::admission_outcome{order.error()};
    if (!outcome.answer && !outcome.trouble)
      limiter.failed(steady_now(), source,
                     outcome.answer.error().code == errc::denied
                       ? security::guess_limiter::failure::unproven
                       : security::guess_limiter::failure::proven);
    return outcome;
  }

  /// At the book of invitations, if it has changed.
  problem look(const std::filesystem::path& folder) {
    std::error_code fault;
    if (folder.empty() || !std::filesystem::exists(folder / security::authority::key_file, fault))
      return {errc::not_found,
              (folder.empty() ? "this node has no CA" : folder.string() + " has no CA")
                + std::string{", which has given out a token that somebody joins "
                              "with; restore that folder, or invite anew"}};
    auto file = folder / security::known_invitations::file_name;
    if (!book_file_ || book_file_->file() != file)
      book_file_.emplace(file);
    if (!book_file_->has_changed() && known_)
      return {};
    auto read = security::known_invitations::read(folder);
    if (!read) {
      known_.reset();
      return read.error();
    }
    known_ = *std::move(read);
    return {};
  }

  void show_issuer(security::issuer_id issuer, const std::string& source,
                   std::function<void(net::join_reply)> done) const {
    if (!finding_->enter(source))
      return done(refusal(too_many()));
    // It leaves with the look-up, which may end without an answer.
    std::shared_ptr<const void> place{
      finding_.get(), [room = finding_, source](const void*) { room->leave(source); }};
    where_is_(issuer, [done = std::move(done),
                       place = std::move(place)](const std::optional<net::address>& where) {
      security::join_elsewhere made;
      if (where)
        made.addresses.push_back(to_string(*where));
      done({to_bytes(security::join_answer{std::move(made)}), {}});
    });
  }

  static net::join_reply refusal(const problem& why) {
    return {to_bytes(security::join_answer{security::join_refused{why.code, why.detail}}),
            "it asked for a certificate: " + why.detail};
  }

  /// Strangers learn nothing of this machine: its log has that.
  [[nodiscard]] net::join_reply cannot(problem trouble) const {
    log_.complain(not_able, trouble.detail);
    return refusal(security::cannot_admit(std::move(trouble)).answer.error());
  }

  static problem did_not_wait() {
    return {errc::cancelled, "the connection has ended before its request was looked at"};
  }

  static problem too_many() {
    return {errc::busy, "too many others join at this moment; retry"};
  }

  static time_point steady_now() {
    return time_point{std::chrono::steady_clock::now().time_since_epoch()};
  }

  static constexpr const char* not_able = "the CA cannot answer those who join";

  const own_authority& ca_;
  const security::issuer_id self_;
  const finder where_is_;
  const node_log log_;
  /// Shared with the look-ups that are under way.
  const std::shared_ptr<waiting_room> finding_
    = std::make_shared<waiting_room>(max_finding, max_finding_of_one);
  waiting_room waiting_{max_waiting, max_waiting_of_one};
  // From here on: used on the thread.
  security::guess_limiter of_tokens_;
  security::guess_limiter of_strangers_;
  std::optional<storage::watched_file> book_file_;
  std::optional<security::known_invitations> known_;
  std::optional<worker_thread> worker_; // last: it uses all of this
};

} // namespace troupe::cluster
