#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "troupe/core/calendar.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/guarded.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/worker_thread.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/peer_policy.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/node/own_authority.hpp"
#include "troupe/security/admission.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/join_request.hpp"

namespace troupe::cluster {

/// Where a member answers machines that join with a token: the node that has the CA gives
/// them a certificate, others say where that node is. What decides is security::judge() and
/// security::guess_limiter; this reads and writes the folder, on a thread of its own that begins
/// with the first request. Used by the gate's thread.
class join_desk {
public:
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
      return show_issuer(request->issuer, std::move(done));
    if (!guesses_.hears(what.source))
      return done(too_many_guesses(what));
    if (waiting_.load() >= max_waiting)
      return done(refusal({errc::busy, "too many others join at this moment; retry"}));
    try {
      if (!worker_)
        worker_.emplace();
    } catch (const std::system_error& why) {
      return done(refusal({errc::limit_reached, std::string{"no thread is left there: "}
                                                  + why.what() + "; raise its ulimit -u"}));
    }
    ++waiting_;
    worker_->run(
      [this, request = *std::move(request), what = std::move(what), done = std::move(done)] {
        auto reply = answer(request, what);
        --waiting_;
        done(std::move(reply));
      });
  }

private:
  /// Failures by address, for two threads.
  class guesses {
  public:
    [[nodiscard]] bool hears(const std::string& source) {
      std::lock_guard guard{mutex_};
      return limiter_.hears(now(), source);
    }

    void failed(const std::string& source) {
      std::lock_guard guard{mutex_};
      limiter_.failed(now(), source);
    }

  private:
    static time_point now() {
      return time_point{std::chrono::steady_clock::now().time_since_epoch()};
    }

    std::mutex mutex_;
    security::guess_limiter limiter_;
  };

  /// On the thread. Judges one after the other, so that no address has more guesses than allowed by
  /// making them at once.
  net::join_reply answer(const security::join_request& request, const net::join_inquiry& what) {
    if (!guesses_.hears(what.source))
      return too_many_guesses(what);
    result<security::certificate> made = problem{errc::not_found, {}};
    auto folder = ca_.folder();
    auto thrown = guarded([&] {
      if (!folder.empty())
        made = security::admit(folder, request, what.binding, read_calendar());
    });
    if (thrown)
      made = problem{errc::failed, "the CA failed: " + thrown.detail};
    if (!made && made.error().code == errc::not_found)
      made = problem{errc::not_found, "the CA that has given out this token is not there any more; "
                                      "restore its folder, or ask for another token"};
    if (!made) {
      if (made.error().code == errc::denied)
        guesses_.failed(what.source);
      return refusal(made.error());
    }
    if (auto about = security::facts_of(*made))
      log_("a token admits " + std::string{name_of(about->as)} + " '" + about->name + "' ("
           + to_string(about->node).substr(0, 8) + "), from " + what.source);
    return {to_bytes(security::join_answer{security::join_granted{made->to_pem()}}), {}};
  }

  void show_issuer(security::issuer_id issuer, std::function<void(net::join_reply)> done) const {
    where_is_(issuer, [done = std::move(done)](const std::optional<net::address>& where) {
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

  static net::join_reply too_many_guesses(const net::join_inquiry& what) {
    return refusal({errc::busy, "there were too many wrong tokens from " + what.source
                                  + "; wait a minute, then retry"});
  }

  static constexpr std::size_t max_waiting = 64;

  const own_authority& ca_;
  const security::issuer_id self_;
  const finder where_is_;
  const node_log log_;
  guesses guesses_;
  std::atomic<std::size_t> waiting_ = 0;
  std::optional<worker_thread> worker_; // last: it uses all of this
};

} // namespace troupe::cluster
