#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <poll.h>

#include "troupe/net/byte_stream.hpp"
#include "troupe/net/greeting.hpp"
#include "troupe/net/side.hpp"
#include "troupe/net/socket.hpp"
#include "troupe/net/tls_alert.hpp"
#include "troupe/net/types.hpp"
#include "troupe/security/join_wire.hpp"

namespace troupe::net {

/// A connection until its greeting is done: connects, sets up encryption, then sends and receives
/// whole greetings. Reads nothing from the wire beyond a greeting, because the rest is for BASP.
class connection {
public:
  /// A dialled connection is there; encryption comes next.
  struct reached {};

  /// The connection is ready, encryption included.
  struct ready {
    /// Who is there, if encryption proves that.
    std::optional<security::facts> proven;
  };

  /// The other side wants no link, but a certificate. Answer it with answer_join().
  struct join_asked {
    /// A security::join_request, not decoded.
    std::string request;
    /// See byte_stream::join_binding().
    std::string binding;
    /// Has expired once the connection is gone.
    std::weak_ptr<const bool> asker;
  };

  /// A result of next(); a verdict is the last one.
  using news = std::variant<ready, greeting, verdict, reached, join_asked>;

  /// `source` is the network of the other side, if accepted.
  connection(socket from, side end, std::string source = {})
    : socket_(std::move(from)),
      end_(end),
      source_(std::move(source)),
      state_(end == side::dialled ? state::connecting : state::securing),
      interest_(end == side::dialled ? POLLOUT : POLLIN) {}

  /// Advances as far as possible without waiting. Returns nothing if it has to wait: poll for
  /// interest(), then call again. @pre the last result was not a verdict.
  std::optional<news> next(const stream_maker& make_stream) {
    if (state_ == state::connecting) {
      if (!is_writable())
        return std::nullopt;
      if (auto error = connect_error(socket_); error != 0) {
        system_says_ = system_text(error);
        return verdict::unreachable;
      }
      state_ = state::securing;
      return reached{};
    }
    if (state_ == state::securing)
      if (auto result = secure(make_stream); state_ != state::joining)
        return result;
    if (state_ == state::joining)
      return hear_join();
    if (state_ == state::answering)
      return is_broken() ? std::optional<news>{verdict::closed} : std::nullopt;
    return hear();
  }

  /// What to poll for.
  [[nodiscard]] short interest() const {
    return interest_;
  }

  [[nodiscard]] int descriptor() const {
    return socket_.get();
  }

  [[nodiscard]] side end() const {
    return end_;
  }

  [[nodiscard]] const std::string& source() const {
    return source_;
  }

  /// Whether encryption is being set up, which costs far more than all other steps.
  [[nodiscard]] bool is_securing() const {
    return state_ == state::securing;
  }

  /// Why it is unreachable, in the system's words, or why encryption failed; or whose identity two
  /// processes have, if say() has refused one of them.
  [[nodiscard]] const std::string& system_says() const {
    return stream_ && !stream_->trouble().empty() ? stream_->trouble() : system_says_;
  }

  /// Returns false if the system does not take all of it. A greeting fits into an empty send
  /// buffer, so it is sent whole or not at all.
  [[nodiscard]] bool say(const greeting& what) {
    assert(state_ == state::talking);
    if (auto* reply = std::get_if<answer>(&what);
        reply != nullptr && reply->said == verdict::duplicate)
      if (auto who = stream_->proven())
        system_says_ = "two processes use the identity of '" + who->name + "' ("
                       + to_string(who->node)
                       + "), and the other one runs; stop one of them, and give each node a data "
                         "folder of its own";
    auto bytes = to_wire(what);
    auto sent = stream_->write(std::as_bytes(std::span{bytes}));
    return sent.state == progress::done && sent.bytes == bytes.size();
  }

  /// The other side relays this connection from here on: sets up encryption anew, with the node at
  /// the other end. @pre dialled, and the last result of next() was its whole answer.
  void start_over() {
    assert(state_ == state::talking && end_ == side::dialled);
    stream_.reset();
    state_ = state::securing;
    interest_ = POLLOUT;
  }

  /// Sends the answer to a join_asked; afterwards the connection ends. `refusal` is what the log
  /// says if it was refused. Returns false if the system does not take all of it.
  [[nodiscard]] bool answer_join(std::string_view body, std::string refusal) {
    assert(state_ == state::answering);
    system_says_ = std::move(refusal);
    auto bytes = security::to_join_wire(body);
    auto sent = stream_->write(std::as_bytes(std::span{bytes}));
    return sent.state == progress::done && sent.bytes == bytes.size();
  }

  /// Why the other side has closed the connection, once say() has failed: it may have said so.
  [[nodiscard]] verdict why_closed() {
    std::byte piece[max_greeting_bytes];
    stream_->read(piece);
    return why_failed();
  }

  /// Hands the descriptor and its stream over to the caller.
  std::pair<int, std::unique_ptr<byte_stream>> release() {
    return {socket_.release(), std::move(stream_)};
  }

private:
  enum class state : std::uint8_t { connecting, securing, talking, joining, answering };

  [[nodiscard]] bool is_writable() const {
    pollfd asked{socket_.get(), POLLOUT, 0};
    return ::poll(&asked, 1, 0) == 1;
  }

  [[nodiscard]] bool is_broken() const {
    pollfd asked{socket_.get(), POLLRDHUP, 0};
    return ::poll(&asked, 1, 0) == 1;
  }

  std::optional<news> secure(const stream_maker& make_stream) {
    if (!stream_) {
      send_at_once(socket_);
      stream_ = make_stream(socket_.get(), end_);
    }
    switch (stream_->handshake()) {
      case progress::done:
        interest_ = POLLIN;
        if (stream_->join_binding()) {
          state_ = state::joining;
          wanted_ = security::join_head_bytes;
          return std::nullopt;
        }
        state_ = state::talking;
        return ready{stream_->proven()};
      case progress::wait_read:
        interest_ = POLLIN;
        return std::nullopt;
      case progress::wait_write:
        interest_ = POLLOUT;
        return std::nullopt;
      case progress::failed:
        return why_failed();
    }
    return why_failed();
  }

  [[nodiscard]] verdict why_failed() const {
    if (stream_->was_refused())
      return verdict::denied;
    return stream_->trouble().empty() ? verdict::closed : verdict::not_secured;
  }

  /// Reads what is missing of what is wanted. Nothing: it is complete; else what next() returns.
  std::optional<std::optional<news>> read_wanted() {
    while (heard_.size() < wanted_) {
      std::byte piece[max_greeting_bytes];
      auto got = stream_->read({piece, std::min(sizeof(piece), wanted_ - heard_.size())});
      switch (got.state) {
        case progress::done:
          heard_.append(reinterpret_cast<const char*>(piece), got.bytes);
          break;
        case progress::wait_read:
          interest_ = POLLIN;
          return std::optional<news>{};
        case progress::wait_write:
          interest_ = POLLOUT;
          return std::optional<news>{};
        case progress::failed:
          return std::optional<news>{why_failed()};
      }
    }
    return std::nullopt;
  }

  std::optional<news> hear() {
    if (auto result = read_wanted())
      return *result;
    if (heard_.size() == greeting_head_bytes) {
      auto size = body_bytes(heard_);
      if (!size)
        return why_no_greeting();
      wanted_ += *size;
      return hear();
    }
    // Any further bytes in the stream arrived together with the greeting.
    if (stream_->buffered() > 0)
      return verdict::bad_greeting;
    auto said = from_wire(std::string_view{heard_}.substr(greeting_head_bytes));
    heard_.clear();
    wanted_ = greeting_head_bytes;
    if (!said)
      return verdict::bad_greeting;
    return std::move(*said);
  }

  /// The first bytes are not those of a greeting.
  [[nodiscard]] verdict why_no_greeting() const {
    if (end_ == side::dialled)
      return begins_alert(heard_) ? verdict::encrypted : verdict::bad_greeting;
    if (begins_tls(heard_))
      refuse_plain(socket_.get(), tls_alert::insufficient_security);
    return verdict::bad_greeting;
  }

  std::optional<news> hear_join() {
    if (auto result = read_wanted())
      return *result;
    if (heard_.size() == security::join_head_bytes) {
      auto size = security::join_body_bytes(heard_, security::max_join_request_bytes);
      if (!size)
        return verdict::bad_greeting;
      wanted_ += *size;
      return hear_join();
    }
    state_ = state::answering;
    interest_ = POLLRDHUP; // only its end is of interest
    waiting_ = std::make_shared<const bool>(true);
    return join_asked{heard_.substr(security::join_head_bytes),
                      stream_->join_binding().value_or(std::string{}), waiting_};
  }

  socket socket_;
  side end_;
  std::string source_;
  state state_;
  short interest_;
  std::unique_ptr<byte_stream> stream_;
  std::string system_says_;
  std::string heard_;
  std::size_t wanted_ = greeting_head_bytes;
  /// Owned while an answer to join_asked is awaited.
  std::shared_ptr<const bool> waiting_;
};

} // namespace troupe::net
