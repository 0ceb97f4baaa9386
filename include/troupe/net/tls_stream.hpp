#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/socket.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "troupe/core/digest.hpp"
#include "troupe/net/byte_stream.hpp"
#include "troupe/net/side.hpp"
#include "troupe/net/tls_alert.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/security/detail/openssl.hpp"
#include "troupe/security/peer_check.hpp"
#include "troupe/security/types.hpp"

namespace troupe::net {

/// TLS 1.3, and both sides prove who they are: what the wire carries can be neither read nor
/// changed on the way. Without tickets, resumption or early data, so that each connection is proven
/// anew.
///
/// The dialler's handshake is done before the acceptor has judged its certificate: if that refuses
/// it, the dialler hears so with its first read.
///
/// A peer that changes its keys more than max_key_changes times fails: OpenSSL reads on as long as
/// only such messages come, and whoever sends them faster than they are read would hold up the
/// thread for ever. OpenSSL itself never changes the keys of a connection.
class tls_stream final : public byte_stream {
public:
  /// How often the peer may change the keys of one connection (RFC 8446, section 4.6.3). Each time
  /// costs some 20 us.
  static constexpr std::size_t max_key_changes = 256;

  /// `context` has a peer_check installed; see security::credentials.
  tls_stream(int descriptor, side end, security::credentials::context_ptr context,
             security::peer_check check = security::peer_check{})
    : check_(std::move(check)),
      context_(std::move(context)),
      tls_(security::detail::own(::SSL_new(context_.get()))) {
    check_.attach(tls_.get());
    ::SSL_set_msg_callback(tls_.get(), &on_message);
    ::SSL_set_msg_callback_arg(tls_.get(), this);
    end_ = end;
    auto* wire = ::BIO_new(method());
    security::detail::demand(wire != nullptr);
    ::BIO_set_data(wire, this);
    ::BIO_set_init(wire, 1);
    ::SSL_set_bio(tls_.get(), wire, wire); // owns it now
    descriptor_ = descriptor;
    if (end == side::dialled)
      ::SSL_set_connect_state(tls_.get());
    else
      ::SSL_set_accept_state(tls_.get());
  }

  progress handshake() override {
    ::ERR_clear_error();
    auto outcome = ::SSL_do_handshake(tls_.get());
    is_shaken_ = outcome == 1;
    if (outcome == 1)
      return check_.peer() || check_.is_of_stranger() ? progress::done
                                                      : fail("it did not prove who it is");
    return judge(outcome);
  }

  /// A small `into` leaves what is behind a greeting on the wire, for whoever reads next. A large
  /// one gets all records that one system call brings.
  transfer read(std::span<std::byte> into) override {
    if (has_failed_)
      return {};
    if (into.size() >= 2 * max_record_bytes && ::SSL_pending(tls_.get()) == 0)
      return read_ahead(into);
    // Begins no record that may not fit: what is left of one is nothing that poll would report, and
    // a reader that drains it first would never come to other connections while a peer is fast.
    return move_all(into, SSL3_RT_MAX_PLAIN_LENGTH,
                    [this](std::span<std::byte> rest, std::size_t& count) {
                      return ::SSL_read_ex(tls_.get(), rest.data(), rest.size(), &count);
                    });
  }

  transfer write(std::span<const std::byte> from) override {
    return move_all(from, 1, [this](std::span<const std::byte> rest, std::size_t& count) {
      return ::SSL_write_ex(tls_.get(), rest.data(), rest.size(), &count);
    });
  }

  [[nodiscard]] std::size_t buffered() const override {
    return static_cast<std::size_t>(::SSL_pending(tls_.get())) + (has_failed_ ? 1 : 0);
  }

  [[nodiscard]] std::optional<security::facts> proven() const override {
    return check_.peer();
  }

  [[nodiscard]] std::optional<std::string> join_binding() const override {
    if (!check_.is_of_stranger() && !check_.is_joining())
      return std::nullopt;
    constexpr std::string_view label = "EXPERIMENTAL troupe join"; // RFC 8446, section 7.5
    std::string made(digest::size, '\0');
    security::detail::demand(
      ::SSL_export_keying_material(tls_.get(), reinterpret_cast<unsigned char*>(made.data()),
                                   made.size(), label.data(), label.size(), nullptr, 0, 0)
      == 1);
    return made;
  }

  [[nodiscard]] const std::string& trouble() const override {
    return trouble_;
  }

  [[nodiscard]] bool was_refused() const override {
    return was_refused_;
  }

  /// See peer_check.
  [[nodiscard]] const security::peer_check& check() const {
    return check_;
  }

private:
  static constexpr std::size_t max_record_bytes = SSL3_RT_MAX_PACKET_SIZE;

  /// Takes from the wire only what `into` has room for, together with the beginning of a record
  /// that OpenSSL may have: so nothing is left that poll would not report.
  transfer read_ahead(std::span<std::byte> into) {
    auto& wire = wire_buffer();
    auto room = std::min(wire.size(), into.size() - max_record_bytes);
    auto count = ::recv(descriptor_, wire.data(), room, 0);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
      return {progress::wait_read, 0};
    if (count <= 0)
      return {};
    incoming_ = std::span{wire}.first(static_cast<std::size_t>(count));
    is_fed_ = true;
    auto result = move_all(into, 1, [this](std::span<std::byte> rest, std::size_t& moved) {
      return ::SSL_read_ex(tls_.get(), rest.data(), rest.size(), &moved);
    });
    is_fed_ = false;
    result.has_all = count < static_cast<ssize_t>(room);
    return result;
  }

  /// One for the I/O thread, not one for each link: there may be thousands.
  static std::vector<std::byte>& wire_buffer() {
    thread_local std::vector<std::byte> buffer(64U << 10U);
    return buffer;
  }

  /// Moves bytes until less than `room` is left, or the wire has no more. What has been moved
  /// counts; a failure behind it is told by the next read.
  template <class Bytes, class Move>
  transfer move_all(Bytes all, std::size_t room, Move move) {
    transfer result{progress::done, 0};
    while (result.bytes == 0 || all.size() - result.bytes >= room) {
      if (all.empty())
        return result;
      ::ERR_clear_error();
      std::size_t count = 0;
      auto outcome = move(all.subspan(result.bytes), count);
      if (outcome != 1) {
        auto state = judge(outcome);
        if (result.bytes == 0)
          result.state = state;
        else
          has_failed_ = state == progress::failed;
        return result;
      }
      result.bytes += count;
    }
    return result;
  }

  progress judge(int outcome) {
    switch (::SSL_get_error(tls_.get(), outcome)) {
      case SSL_ERROR_WANT_READ:
        return progress::wait_read;
      case SSL_ERROR_WANT_WRITE:
        return progress::wait_write;
      default:
        return fail(changes_keys_too_often() ? "it changes its keys too often; see that a troupe "
                                               "node of this cluster runs there"
                                             : "");
    }
  }

  progress fail(const std::string& why) {
    if (trouble_.empty())
      trouble_ = !check_.refusal().empty() ? check_.refusal() : why.empty() ? say_why() : why;
    ::ERR_clear_error();
    return progress::failed;
  }

  /// OpenSSL's last error in our words; empty if the connection just ended.
  std::string say_why() {
    auto code = ::ERR_peek_last_error();
    if (code == 0 || ERR_GET_LIB(code) != ERR_LIB_SSL)
      return {};
    switch (ERR_GET_REASON(code)) {
      case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        return {};
      case SSL_R_WRONG_VERSION_NUMBER:
      case SSL_R_HTTP_REQUEST:
      case SSL_R_HTTPS_PROXY_REQUEST:
      case SSL_R_UNEXPECTED_MESSAGE:
      case SSL_R_PACKET_LENGTH_TOO_LONG:
      case SSL_R_BAD_RECORD_TYPE:
        if (end_ == side::accepted)
          refuse_plain(descriptor_, tls_alert::protocol_version);
        return "it does not speak TLS: it is not a troupe node, or has link_options::insecure, and "
               "nodes with and without certificates cannot be linked; see what runs there";
      case SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY:
        return "it has link_options::insecure, and nodes with and without certificates cannot be "
               "linked; start both with certificates, or both with link_options::insecure";
      case SSL_R_UNSUPPORTED_PROTOCOL:
      case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        return "it does not speak TLS 1.3, so it is not a troupe node; see what runs there";
      case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return "it has no certificate; a node or client gets one with a token (troupe ca "
               "invite)";
      case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return "it wants a certificate, and this side has none; have one issued with troupe ca "
               "issue";
      case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        if (check_.is_of_stranger()) // OpenSSL sends that for what peer_check refuses
          return "its token is of another cluster; give it one of this cluster (troupe ca invite)";
        return failed();
      case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        return refused(end_ == side::dialled
                         ? "is of another CA than its own; get one of that cluster's CA"
                         : "is of another CA than its own, so it is of another cluster");
      case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        return refused("has expired" + own_times()
                       + "; renew it (troupe ca renew), or set the "
                         "clock that is wrong");
      case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
        return refused("has been revoked; whoever has the CA can make a new identity, in a new "
                       "folder (troupe ca issue or troupe ca invite)");
      case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
        return refused("is not valid yet" + own_times() + "; set the clock that is wrong");
      default:
        return failed();
    }
  }

  static std::string failed() {
    return "TLS failed: " + security::detail::last_error()
           + "; see that a troupe node of this cluster runs there";
  }

  /// The other side has judged this side's certificate. If that was after the handshake, the other
  /// side has proven who it is.
  std::string refused(const std::string& why) {
    was_refused_ = end_ == side::dialled && is_shaken_;
    return "it refused this side's certificate: that " + why;
  }

  /// When both certificates that this side has shown are valid, that of its TLS key and that of its
  /// identity, for people.
  [[nodiscard]] std::string own_times() const {
    STACK_OF(X509)* shown = nullptr;
    // OpenSSL's macro takes the place as a pointer to anything.
    auto is_known = SSL_get0_chain_certs(tls_.get(), static_cast<void*>(&shown)) == 1;
    if (!is_known || sk_X509_num(shown) < 1)
      return " by its clock";
    std::optional<wall_time> from;
    std::optional<wall_time> until;
    for (auto* each : {::SSL_get_certificate(tls_.get()), sk_X509_value(shown, 0)}) {
      auto begin
        = each == nullptr ? std::nullopt : security::detail::time_of(::X509_get0_notBefore(each));
      auto end
        = each == nullptr ? std::nullopt : security::detail::time_of(::X509_get0_notAfter(each));
      if (!begin || !end)
        return " by its clock";
      from = std::max(from.value_or(*begin), *begin);
      until = std::min(until.value_or(*end), *end);
    }
    return " by its clock: valid from " + to_rfc3339(*from) + " to " + to_rfc3339(*until)
           + ", and this machine's clock says " + to_rfc3339(read_calendar());
  }

  // -- the wire ------------------------------------------------------------------

  /// OpenSSL's own one writes with write(), which raises SIGPIPE on a closed connection.
  static const BIO_METHOD* method() {
    static const auto* const made = [] {
      auto method
        = security::detail::own(::BIO_meth_new(BIO_TYPE_DESCRIPTOR | BIO_get_new_index(), "link"));
      ::BIO_meth_set_write(method.get(), [](BIO* wire, const char* from, int size) {
        return finish(wire, ::send(owner_of(wire).descriptor_, from, to_size(size), MSG_NOSIGNAL),
                      true);
      });
      ::BIO_meth_set_read(method.get(), [](BIO* wire, char* into, int size) {
        return owner_of(wire).take(wire, into, to_size(size));
      });
      ::BIO_meth_set_ctrl(
        method.get(), [](BIO*, int what, long, void*) { return what == BIO_CTRL_FLUSH ? 1L : 0L; });
      return method.release(); // connections may outlive all other static objects
    }();
    return made;
  }

  static std::size_t to_size(int size) {
    return static_cast<std::size_t>(std::max(size, 0));
  }

  static tls_stream& owner_of(BIO* wire) {
    return *static_cast<tls_stream*>(::BIO_get_data(wire));
  }

  /// OpenSSL tells of each message of TLS that it has read or written.
  static void on_message(int is_write, int, int what, const void* from, std::size_t size, SSL*,
                         void* owner) {
    if (is_write == 0 && what == SSL3_RT_HANDSHAKE && size > 0
        && *static_cast<const unsigned char*>(from) == SSL3_MT_KEY_UPDATE)
      ++static_cast<tls_stream*>(owner)->key_changes_;
  }

  [[nodiscard]] bool changes_keys_too_often() const {
    return key_changes_ > max_key_changes;
  }

  int take(BIO* wire, char* into, std::size_t size) {
    if (changes_keys_too_often()) {
      BIO_clear_retry_flags(wire);
      return -1;
    }
    if (!is_fed_)
      return finish(wire, ::recv(descriptor_, into, size, 0), false);
    BIO_clear_retry_flags(wire);
    auto count = std::min(size, incoming_.size());
    if (count == 0) {
      BIO_set_retry_read(wire);
      return -1;
    }
    std::memcpy(into, incoming_.data(), count);
    incoming_ = incoming_.subspan(count);
    return static_cast<int>(count);
  }

  static int finish(BIO* wire, ssize_t count, bool is_write) {
    BIO_clear_retry_flags(wire);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
      if (is_write)
        BIO_set_retry_write(wire);
      else
        BIO_set_retry_read(wire);
    }
    return static_cast<int>(count); // OpenSSL asks for at most what an int holds
  }

  int descriptor_ = -1;
  side end_ = side::dialled;
  bool is_shaken_ = false;
  bool was_refused_ = false;
  /// What read_ahead() has taken from the wire, while it gives that to OpenSSL.
  bool is_fed_ = false;
  std::span<const std::byte> incoming_;
  bool has_failed_ = false;
  std::size_t key_changes_ = 0;
  security::peer_check check_;
  std::string trouble_;
  security::credentials::context_ptr context_;
  security::detail::owned<SSL> tls_;
};

using security::credentials_ptr;

/// Makes the streams of a process with these credentials, which accepts others that ask to join if
/// `admits_strangers`. @pre `who` is not null.
inline stream_maker make_tls_streams(credentials_ptr who, bool admits_strangers = false) {
  return [who = std::move(who), admits_strangers](int descriptor, side end) {
    return std::make_unique<tls_stream>(
      descriptor, end, who->context(read_calendar()),
      security::peer_check{who->revoked(), admits_strangers && end == side::accepted});
  };
}

} // namespace troupe::net
