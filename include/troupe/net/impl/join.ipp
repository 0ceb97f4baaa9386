#ifndef TROUPE_NET_IMPL_JOIN_IPP
#define TROUPE_NET_IMPL_JOIN_IPP

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>

#include "troupe/core/backoff.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/join.hpp"
#include "troupe/net/join_search.hpp"
#include "troupe/net/resolver.hpp"
#include "troupe/net/socket.hpp"
#include "troupe/net/tls_stream.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/platform/entropy.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/security/join_request.hpp"
#include "troupe/security/join_wire.hpp"
#include "troupe/security/peer_check.hpp"

namespace troupe::net::detail {

/// Waits that end when a stop is asked for.
class stop_wait {
public:
  using clock = std::chrono::steady_clock;

  explicit stop_wait(std::stop_token token)
    : token_(std::move(token)), asked_(token_, [this] { ::eventfd_write(wake_.get(), 1); }) {}

  [[nodiscard]] bool is_asked() const {
    return token_.stop_requested();
  }

  /// Returns whether `socket` has come to `event` before `deadline`, and before a stop.
  bool wait_for(int socket, short event, clock::time_point deadline) {
    pollfd both[] = {{socket, event, 0}, {wake_.get(), POLLIN, 0}};
    while (!is_asked()) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now()).count();
      if (left <= 0)
        return false;
      auto count = ::poll(both, 2, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
      if (count > 0 && both[0].revents != 0)
        return true;
    }
    return false;
  }

  void wait_until(clock::time_point deadline) {
    wait_for(-1, 0, deadline); // poll() passes over a negative descriptor
  }

private:
  std::stop_token token_;
  socket wake_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  std::stop_callback<std::function<void()>> asked_; // last: it writes to `wake_`
};

/// One connection to one member, over which one request goes.
class join_call {
public:
  using clock = std::chrono::steady_clock;

  /// The member has to prove itself before `proven`, and to answer before `last`.
  join_call(std::string place, const security::join_token& token, clock::time_point proven,
            clock::time_point last, stop_wait& stop)
    : place_(std::move(place)),
      token_(token),
      deadline_(std::min(proven, clock::now() + proven_within)),
      last_(last),
      stop_(stop) {}

  result<security::join_answer> ask(const endpoint& where, const security::key_pair& key,
                                    security::join_request request) {
    if (auto why = connect(where))
      return why;
    tls_stream stream{socket_.get(), side::dialled, security::make_join_context(),
                      security::peer_check{token_.ca()}};
    if (auto why = secure(stream))
      return why;
    auto binding = stream.join_binding().value_or(std::string{});
    auto body = to_bytes(proven(std::move(request), token_, key, binding));
    if (auto why = write(stream, security::to_join_wire(body)))
      return why;
    // It is a member, which is slow rather than gone: asked again it has only more to do.
    deadline_ = std::min(last_, clock::now() + answered_within);
    auto answer = read(stream);
    if (!answer)
      return answer.error();
    ca_ = stream.check().shown_ca();
    auto read = from_bytes<security::join_answer>(*answer);
    if (!read)
      return problem{errc::incompatible, place_
                                           + " gave an answer that this version does not "
                                             "know; upgrade the older of the two"};
    return *std::move(read);
  }

  /// The certificate of the CA, after an answer.
  [[nodiscard]] const std::optional<security::certificate>& ca() const {
    return ca_;
  }

private:
  problem connect(const endpoint& where) {
    auto made = start_connect(where);
    if (!made)
      return unreachable(made.error().detail);
    socket_ = *std::move(made);
    if (!wait_for(POLLOUT))
      return unreachable("no answer");
    if (auto error = connect_error(socket_); error != 0)
      return unreachable(system_text(error));
    send_at_once(socket_);
    return {};
  }

  problem secure(tls_stream& stream) {
    for (;;) {
      switch (stream.handshake()) {
        case progress::done:
          return {};
        case progress::wait_read:
          if (!wait_for(POLLIN))
            return silent();
          break;
        case progress::wait_write:
          if (!wait_for(POLLOUT))
            return silent();
          break;
        case progress::failed:
          return broken(stream);
      }
    }
  }

  problem write(tls_stream& stream, std::string_view text) {
    auto rest = std::as_bytes(std::span{text});
    while (!rest.empty()) {
      auto sent = stream.write(rest);
      if (sent.state == progress::failed)
        return broken(stream);
      rest = rest.subspan(sent.state == progress::done ? sent.bytes : 0);
      if (sent.state != progress::done
          && !wait_for(sent.state == progress::wait_read ? POLLIN : POLLOUT))
        return silent();
    }
    return {};
  }

  result<std::string> read(tls_stream& stream) {
    std::string heard;
    auto wanted = security::join_head_bytes;
    while (heard.size() < wanted) {
      std::byte piece[1'024];
      auto got = stream.read({piece, std::min(sizeof(piece), wanted - heard.size())});
      if (got.state == progress::failed)
        return broken(stream);
      if (got.state != progress::done) {
        if (!wait_for(got.state == progress::wait_read ? POLLIN : POLLOUT))
          return silent();
        continue;
      }
      heard.append(reinterpret_cast<const char*>(piece), got.bytes);
      if (heard.size() != security::join_head_bytes)
        continue;
      auto size = security::join_body_bytes(heard, security::max_join_answer_bytes);
      if (!size)
        return problem{errc::incompatible, place_
                                             + " gave no answer that this version knows; "
                                               "upgrade the older of the two"};
      wanted += *size;
    }
    return heard.substr(security::join_head_bytes);
  }

  bool wait_for(short event) {
    return stop_.wait_for(socket_.get(), event, deadline_);
  }

  [[nodiscard]] problem unreachable(const std::string& why) const {
    return {errc::unreachable, place_ + " cannot be reached: " + why
                                 + "; check that a node listens there, then retry"};
  }

  [[nodiscard]] problem silent() const {
    return {errc::timed_out, place_
                               + " accepted the connection and gave no answer in time; check "
                                 "that it is a node of the cluster, then retry"};
  }

  /// A member that ends the connection without a word may be stopping.
  [[nodiscard]] problem broken(const tls_stream& stream) const {
    auto& why = stream.trouble();
    if (why.empty())
      return {errc::unreachable, place_
                                   + " closed the connection; check that it is a node of the "
                                     "cluster, and with certificates, then retry"};
    return {errc::bad_argument, place_ + " cannot be asked for a certificate: " + why};
  }

  std::string place_;
  const security::join_token& token_;
  static constexpr duration proven_within = std::chrono::seconds{5};
  static constexpr duration answered_within = std::chrono::seconds{15};

  clock::time_point deadline_;
  const clock::time_point last_;
  stop_wait& stop_;
  socket socket_;
  std::optional<security::certificate> ca_;
};

/// Carries out what a join_search says.
class join_run {
public:
  using clock = std::chrono::steady_clock;

  join_run(const security::join_token& token, const security::key_pair& key, const joiner& who,
           const join_options& how)
    : token_(token),
      key_(key),
      who_(who),
      how_(how),
      deadline_(clock::now() + std::min(how.wait, longest_span)),
      names_(how.look_up) {}

  result<joined> run(const std::vector<address>& where) {
    constexpr backoff pauses{.first = std::chrono::milliseconds{200},
                             .max = std::chrono::seconds{2}};
    join_search search{where, to_time(deadline_), pauses, random_seed()};
    for (;;) {
      auto step = search.next(to_time(clock::now()));
      if (stop_.is_asked())
        return cancelled();
      if (auto* end = std::get_if<join_search::give_up>(&step))
        return end->why;
      if (auto* pause = std::get_if<join_search::pause>(&step)) {
        if (how_.on_retry)
          how_.on_retry(search.delayed_by());
        stop_.wait_until(clock::time_point{pause->until.time_since_epoch()});
        continue;
      }
      auto& next = std::get<join_search::ask>(step);
      auto answer = ask(next.where, clock::time_point{next.until.time_since_epoch()});
      if (auto* done = std::get_if<joined>(&answer))
        return std::move(*done);
      search.hear(std::get<join_search::answer>(answer));
    }
  }

private:
  using outcome = std::variant<joined, join_search::answer>;

  static time_point to_time(clock::time_point when) {
    return time_point{std::chrono::duration_cast<duration>(when.time_since_epoch())};
  }

  static problem cancelled() {
    return {errc::cancelled, "it was asked to stop before it had a certificate"};
  }

  static outcome unproven(problem why) {
    return join_search::answer{join_search::unproven{std::move(why)}};
  }

  outcome ask(const address& place, clock::time_point until) {
    auto found = find(place, until);
    if (!found)
      return unproven({found.error().code == errc::timed_out ? errc::timed_out : errc::unreachable,
                       found.error().detail});
    problem last;
    for (auto& each : *found) {
      join_call call{to_string(place), token_, until, deadline_, stop_};
      auto answer
        = call.ask(each, key_, {.as = who_.as, .name = who_.name, .clock = read_calendar()});
      if (answer)
        return read(*answer, call);
      last = answer.error();
    }
    return unproven(std::move(last));
  }

  /// Name servers may take their time, but not that of the other addresses. What they say later is
  /// there in the next round.
  result<std::vector<endpoint>> find(const address& place, clock::time_point until) {
    struct lookup {
      std::mutex mutex;
      std::condition_variable_any changed;
      std::optional<resolver::endpoints> found;
    };
    auto kept = std::make_shared<lookup>();
    names_.find(place, [kept](const resolver::endpoints& found) {
      std::lock_guard guard{kept->mutex};
      kept->found = found;
      kept->changed.notify_all();
    });
    std::unique_lock guard{kept->mutex};
    auto end = std::min(until, clock::now() + found_within);
    kept->changed.wait_until(guard, how_.stop, end, [&] { return kept->found.has_value(); });
    if (!kept->found)
      return problem{errc::timed_out, "no name server has said in time where " + to_string(place)
                                        + " is; check that one answers, or give its IP address"};
    return *kept->found;
  }

  static outcome read(const security::join_answer& answer, const join_call& call) {
    return troupe::visit(
      overloaded{[&](const security::join_granted& what) { return take(what, call); },
                 [](const security::join_elsewhere& what) -> outcome {
                   join_search::named elsewhere;
                   for (auto& each : what.addresses)
                     if (auto known = address::from_string(each))
                       elsewhere.where.push_back(*std::move(known));
                   return join_search::answer{std::move(elsewhere)};
                 },
                 [](const security::join_refused& what) -> outcome {
                   return join_search::answer{join_search::refused{{what.code, what.why}}};
                 }},
      answer);
  }

  static outcome take(const security::join_granted& what, const join_call& call) {
    auto own = security::certificate::from_pem(what.certificate, "the certificate that was given");
    if (!own)
      return join_search::answer{join_search::refused{own.error()}};
    return joined{*std::move(own), call.ca().value()};
  }

  static constexpr duration found_within = std::chrono::seconds{5};

  const security::join_token& token_;
  const security::key_pair& key_;
  const joiner& who_;
  const join_options& how_;
  const clock::time_point deadline_;
  stop_wait stop_{how_.stop};
  resolver names_;
};

} // namespace troupe::net::detail

namespace troupe::net {

TROUPE_COMPILED result<joined> join(const std::vector<address>& where,
                                    const security::join_token& token,
                                    const security::key_pair& key, const joiner& who,
                                    join_options how) {
  if (!who.name.empty())
    if (auto why = security::check_certified_name(who.name))
      return why;
  return detail::join_run{token, key, who, how}.run(where);
}

} // namespace troupe::net

#endif
