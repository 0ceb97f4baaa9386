#ifndef TROUPE_NET_IMPL_JOIN_IPP
#define TROUPE_NET_IMPL_JOIN_IPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <poll.h>

#include "troupe/core/backoff.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/entropy.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/random.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/join.hpp"
#include "troupe/net/socket.hpp"
#include "troupe/net/tls_stream.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/security/join_request.hpp"
#include "troupe/security/join_wire.hpp"
#include "troupe/security/peer_check.hpp"

namespace troupe::net::detail {

/// One connection to one member, over which one request goes.
class join_call {
public:
  using clock = std::chrono::steady_clock;

  join_call(std::string place, const security::join_token& token, clock::time_point deadline)
    : place_(std::move(place)), token_(token), deadline_(deadline) {}

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
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - clock::now()).count();
    pollfd asked{socket_.get(), event, 0};
    return left > 0
           && ::poll(&asked, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000))) == 1;
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
  clock::time_point deadline_;
  socket socket_;
  std::optional<security::certificate> ca_;
};

/// One attempt to join: all addresses, and those that they name.
class join_attempt {
public:
  using clock = std::chrono::steady_clock;

  join_attempt(const security::join_token& token, const security::key_pair& key, const joiner& who,
               clock::time_point deadline)
    : token_(token), key_(key), who_(who), deadline_(deadline) {}

  result<joined> run(const std::vector<address>& where) {
    std::deque<address> next{where.begin(), where.end()};
    std::set<std::string> asked;
    problem last{errc::unreachable, "there is no address to join at; give at least one"};
    while (!next.empty()) {
      auto place = next.front();
      next.pop_front();
      constexpr std::size_t max_asked = 64;
      if (asked.size() >= max_asked || !asked.insert(to_string(place)).second)
        continue;
      auto done = ask(place, next);
      if (done)
        return done;
      // What a member says of the token counts more than who could not be reached.
      if (!asked_again(done.error().code))
        return done;
      last = done.error();
    }
    return last;
  }

  /// Whether another address, or another time, may bring more.
  static bool asked_again(errc code) {
    return code == errc::unreachable || code == errc::timed_out || code == errc::not_found;
  }

private:
  result<joined> ask(const address& place, std::deque<address>& next) {
    auto found = resolve(place);
    if (!found)
      return found.error();
    problem last;
    for (auto& each : *found) {
      auto until = std::min(deadline_, clock::now() + one_call);
      join_call call{to_string(place), token_, until};
      auto answer = call.ask(each, key_, {.as = who_.as, .name = who_.name});
      if (!answer) {
        last = answer.error();
        continue;
      }
      return std::visit(
        overloaded{[&](const security::join_granted& what) { return take(what, call); },
                   [&](const security::join_elsewhere& what) { return follow(what, place, next); },
                   [](const security::join_refused& what) {
                     return result<joined>{problem{what.code, what.why}};
                   }},
        *answer);
    }
    return last;
  }

  result<joined> take(const security::join_granted& what, const join_call& call) const {
    auto own = security::certificate::from_pem(what.certificate, "the certificate that was given");
    if (!own)
      return own.error();
    return joined{*std::move(own), call.ca().value()};
  }

  /// To the node that has the CA.
  static result<joined> follow(const security::join_elsewhere& what, const address& place,
                               std::deque<address>& next) {
    for (auto& each : what.addresses)
      if (auto known = address::from_string(each))
        next.push_front(*known);
    return problem{errc::not_found, to_string(place)
                                      + " does not have the CA that has given out this token, and "
                                        "the node that has it is not reached; start that node, or "
                                        "give its address, then retry"};
  }

  static constexpr duration one_call = std::chrono::seconds{5};

  const security::join_token& token_;
  const security::key_pair& key_;
  const joiner& who_;
  clock::time_point deadline_;
};

} // namespace troupe::net::detail

namespace troupe::net {

TROUPE_COMPILED result<joined> join(const std::vector<address>& where,
                                    const security::join_token& token,
                                    const security::key_pair& key, const joiner& who,
                                    duration wait) {
  using clock = std::chrono::steady_clock;
  constexpr backoff pauses{.first = std::chrono::milliseconds{200}, .max = std::chrono::seconds{2}};
  auto deadline = clock::now() + std::min(wait, longest_span);
  random_source random{random_seed()};
  for (std::uint32_t attempts = 1;; ++attempts) {
    auto done = detail::join_attempt{token, key, who, deadline}.run(where);
    if (done || !detail::join_attempt::asked_again(done.error().code))
      return done;
    auto pause = pauses.delay(attempts, random);
    if (clock::now() + pause >= deadline)
      return done;
    std::this_thread::sleep_for(pause);
  }
}

} // namespace troupe::net

#endif
