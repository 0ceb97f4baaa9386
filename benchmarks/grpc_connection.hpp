#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include "troupe/net/address.hpp"
#include "troupe/net/socket.hpp"

/// As much of gRPC and of Protocol Buffers as a client of etcd needs, and no more, so that
/// the client costs little beside its servers.
namespace troupe::benchmark {

// -- Protocol Buffers ------------------------------------------------------------------

/// Writes the fields of one message.
class proto_writer {
public:
  proto_writer& number(std::uint32_t field, std::uint64_t value) {
    put(std::uint64_t{field} << 3U);
    put(value);
    return *this;
  }

  proto_writer& text(std::uint32_t field, std::string_view value) {
    put(std::uint64_t{field} << 3U | 2U);
    put(value.size());
    bytes_ += value;
    return *this;
  }

  proto_writer& message(std::uint32_t field, const proto_writer& value) {
    return text(field, value.bytes_);
  }

  [[nodiscard]] const std::string& bytes() const {
    return bytes_;
  }

private:
  void put(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U)
      bytes_ += static_cast<char>(value | 0x80U);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

/// Finds fields of one message; what is missing is zero or empty. Views into its bytes.
class proto_reader {
public:
  proto_reader() = default;

  explicit proto_reader(std::string_view bytes) {
    while (!bytes.empty()) {
      auto key = take(bytes);
      field found{static_cast<std::uint32_t>(key >> 3U), 0, {}};
      if ((key & 7U) == 0) {
        found.number = take(bytes);
      } else if ((key & 7U) == 2) {
        auto size = std::min<std::size_t>(take(bytes), bytes.size());
        found.text = bytes.substr(0, size);
        bytes.remove_prefix(size);
      } else {
        return; // etcd has no others
      }
      fields_.push_back(found);
    }
  }

  [[nodiscard]] std::uint64_t number(std::uint32_t which) const {
    auto found = std::ranges::find(fields_, which, &field::id);
    return found != fields_.end() ? found->number : 0;
  }

  [[nodiscard]] std::string_view text(std::uint32_t which) const {
    auto found = std::ranges::find(fields_, which, &field::id);
    return found != fields_.end() ? found->text : std::string_view{};
  }

  [[nodiscard]] proto_reader message(std::uint32_t which) const {
    return proto_reader{text(which)};
  }

  /// All messages of a repeated field.
  [[nodiscard]] std::vector<proto_reader> messages(std::uint32_t which) const {
    std::vector<proto_reader> found;
    for (auto& each : fields_)
      if (each.id == which)
        found.emplace_back(each.text);
    return found;
  }

private:
  struct field {
    std::uint32_t id;
    std::uint64_t number;
    std::string_view text;
  };

  static std::uint64_t take(std::string_view& bytes) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; !bytes.empty() && shift < 64; shift += 7) {
      auto next = static_cast<unsigned char>(bytes.front());
      bytes.remove_prefix(1);
      value |= std::uint64_t{next & 0x7FU} << shift;
      if (next < 0x80)
        break;
    }
    return value;
  }

  std::vector<field> fields_;
};

// -- gRPC ------------------------------------------------------------------------------

/// One connection to a server on 127.0.0.1 that speaks gRPC over HTTP/2, plain or encrypted. Calls
/// run side by side. Not thread-safe; see grpc_loop, which moves its bytes.
class grpc_connection {
public:
  using stream_id = std::int32_t;

  struct listener {
    std::function<void(const proto_reader&)> message;
    /// Comes last, once; false: the call failed or the connection broke.
    std::function<void(bool)> end;
  };

  /// With `context` encrypted.
  explicit grpc_connection(std::uint16_t port, SSL_CTX* context = nullptr)
    : authority_("127.0.0.1:" + std::to_string(port)) {
    auto where = net::resolve({"127.0.0.1", port});
    net::socket made{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (!where || ::connect(made.get(), where->front().data(), where->front().size()) != 0)
      return;
    net::send_at_once(made);
    if (context != nullptr && !encrypt(made, context))
      return;
    line_ = std::move(made);
    nghttp2_session_callbacks* how = nullptr;
    nghttp2_session_callbacks_new(&how);
    nghttp2_session_callbacks_set_on_header_callback(how, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(how, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(how, on_close);
    nghttp2_session* session = nullptr;
    nghttp2_session_client_new(&session, how, this);
    nghttp2_session_callbacks_del(how);
    session_.reset(session);
    nghttp2_settings_entry window{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window_bytes};
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, &window, 1);
    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, window_bytes);
  }

  grpc_connection(const grpc_connection&) = delete;
  grpc_connection& operator=(const grpc_connection&) = delete;

  /// Whoever listens hears no more.
  ~grpc_connection() = default;

  [[nodiscard]] bool is_open() const {
    return static_cast<bool>(line_);
  }

  [[nodiscard]] int descriptor() const {
    return line_.get();
  }

  [[nodiscard]] bool wants_to_send() const {
    return is_open() && (sent_ < out_.size() || nghttp2_session_want_write(session_.get()) != 0);
  }

  /// Starts a call. `more`: others of our messages follow the first.
  stream_id start(const char* path, const proto_writer& first, listener who, bool more = false) {
    if (!is_open()) {
      who.end(false);
      return -1;
    }
    auto header = [](std::string_view name, std::string_view value) {
      return nghttp2_nv{bytes_of(name), bytes_of(value), name.size(), value.size(),
                        NGHTTP2_NV_FLAG_NO_COPY_NAME};
    };
    const nghttp2_nv headers[]{
      header(":method", "POST"), header(":scheme", encryption_ ? "https" : "http"),
      header(":path", path),     header(":authority", authority_),
      header("te", "trailers"),  header("content-type", "application/grpc"),
    };
    nghttp2_data_provider content{{0}, give_data};
    auto id = nghttp2_submit_request(session_.get(), nullptr, headers, std::size(headers), &content,
                                     nullptr);
    if (id < 0) {
      who.end(false);
      return id;
    }
    auto& made = calls_[id];
    made.who = std::move(who);
    made.more = more;
    frame(made.out, first);
    return id;
  }

  /// One more message in a call that was started with `more`.
  void say(stream_id id, const proto_writer& what) {
    auto found = calls_.find(id);
    if (found == calls_.end())
      return;
    frame(found->second.out, what);
    nghttp2_session_resume_data(session_.get(), id);
  }

  /// Sends what it can without waiting.
  void send() {
    if (!is_open())
      return;
    for (;;) {
      const std::uint8_t* bytes = nullptr;
      auto count = nghttp2_session_mem_send(session_.get(), &bytes);
      if (count <= 0)
        break;
      out_.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(count));
    }
    while (sent_ < out_.size()) {
      auto count = put(out_.data() + sent_, out_.size() - sent_);
      if (count == would_wait)
        return;
      if (count < 0)
        return close();
      sent_ += static_cast<std::size_t>(count);
    }
    out_.clear();
    sent_ = 0;
  }

  /// Takes in what has arrived, without waiting; tells listeners.
  void receive() {
    char bytes[65'536];
    do {
      auto count = take(bytes, sizeof(bytes));
      if (count == would_wait)
        return;
      if (count <= 0
          || nghttp2_session_mem_recv(session_.get(), reinterpret_cast<std::uint8_t*>(bytes),
                                      static_cast<std::size_t>(count))
               < 0)
        return close();
    } while (encryption_); // which may hold more than the socket shows
  }

  /// All calls end.
  void close() {
    line_ = {};
    for (auto& [id, each] : std::exchange(calls_, {}))
      each.who.end(false);
  }

private:
  struct call {
    listener who;
    std::string out;
    std::string in;
    bool more = false;
    bool ok = false;
  };

  struct end_session {
    void operator()(nghttp2_session* session) const {
      nghttp2_session_del(session);
    }
  };

  static constexpr std::uint32_t window_bytes = 16 * 1024 * 1024;
  static constexpr std::size_t prefix_bytes = 5; // not compressed, and four bytes of length

  static constexpr ssize_t would_wait = -2;

  /// Blocks.
  bool encrypt(const net::socket& made, SSL_CTX* context) {
    encryption_.reset(::SSL_new(context), &::SSL_free);
    auto* all = encryption_.get();
    if (::SSL_set_fd(all, made.get()) != 1 || ::SSL_connect(all) != 1)
      return false;
    SSL_set_mode(all, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return ::fcntl(made.get(), F_SETFL, O_NONBLOCK) == 0;
  }

  /// How many bytes went, would_wait, or -1.
  ssize_t put(const char* bytes, std::size_t size) {
    if (encryption_)
      return judge(::SSL_write(encryption_.get(), bytes, static_cast<int>(size)));
    return judge(::send(line_.get(), bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT));
  }

  /// How many bytes came, would_wait, or at most 0 at the end.
  ssize_t take(char* bytes, std::size_t size) {
    if (encryption_)
      return judge(::SSL_read(encryption_.get(), bytes, static_cast<int>(size)));
    return judge(::recv(line_.get(), bytes, size, MSG_DONTWAIT));
  }

  [[nodiscard]] ssize_t judge(int count) const {
    auto why = count <= 0 ? ::SSL_get_error(encryption_.get(), count) : SSL_ERROR_NONE;
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? would_wait : count;
  }

  static ssize_t judge(ssize_t count) {
    return count < 0 && (errno == EAGAIN || errno == EINTR) ? would_wait : count;
  }

  static std::uint8_t* bytes_of(std::string_view text) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data())); // only read
  }

  static void frame(std::string& out, const proto_writer& what) {
    auto size = what.bytes().size();
    out += '\0';
    for (auto shift : {24U, 16U, 8U, 0U})
      out += static_cast<char>(size >> shift);
    out += what.bytes();
  }

  static ssize_t give_data(nghttp2_session*, stream_id id, std::uint8_t* to, std::size_t space,
                           std::uint32_t* flags, nghttp2_data_source*, void* user) {
    auto& self = *static_cast<grpc_connection*>(user);
    auto found = self.calls_.find(id);
    if (found == self.calls_.end())
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    auto& [who, out, in, more, ok] = found->second;
    if (out.empty() && more)
      return NGHTTP2_ERR_DEFERRED;
    auto count = std::min(space, out.size());
    std::copy_n(out.begin(), count, to);
    out.erase(0, count);
    if (out.empty() && !more)
      *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(count);
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                       std::uint8_t, void* user) {
    auto& self = *static_cast<grpc_connection*>(user);
    std::string_view key{reinterpret_cast<const char*>(name), name_size};
    std::string_view text{reinterpret_cast<const char*>(value), value_size};
    if (key == "grpc-status")
      if (auto found = self.calls_.find(frame->hd.stream_id); found != self.calls_.end())
        found->second.ok = text == "0";
    return 0;
  }

  static int on_data(nghttp2_session*, std::uint8_t, stream_id id, const std::uint8_t* bytes,
                     std::size_t size, void* user) {
    auto& self = *static_cast<grpc_connection*>(user);
    auto found = self.calls_.find(id);
    if (found == self.calls_.end())
      return 0;
    auto& in = found->second.in;
    in.append(reinterpret_cast<const char*>(bytes), size);
    while (in.size() >= prefix_bytes) {
      std::size_t length = 0;
      for (std::size_t each = 1; each < prefix_bytes; ++each)
        length = length << 8U | static_cast<unsigned char>(in[each]);
      if (in.size() < prefix_bytes + length)
        break;
      auto whole = in.substr(prefix_bytes, length);
      in.erase(0, prefix_bytes + length);
      if (found->second.who.message)
        found->second.who.message(proto_reader{whole});
    }
    return 0;
  }

  static int on_close(nghttp2_session*, stream_id id, std::uint32_t, void* user) {
    auto& self = *static_cast<grpc_connection*>(user);
    if (auto found = self.calls_.extract(id))
      found.mapped().who.end(found.mapped().ok);
    return 0;
  }

  std::string authority_;
  net::socket line_;
  std::shared_ptr<SSL> encryption_; // null: plain
  std::unique_ptr<nghttp2_session, end_session> session_;
  std::map<stream_id, call> calls_;
  std::string out_;
  std::size_t sent_ = 0;
};

/// Moves the bytes of connections, in the thread that calls it.
class grpc_loop {
public:
  using clock = std::chrono::steady_clock;

  grpc_connection& connect(std::uint16_t port, SSL_CTX* context = nullptr) {
    return *connections_.emplace_back(std::make_unique<grpc_connection>(port, context));
  }

  /// Until `done()`, asked after each turn, or `deadline`. Returns whether it is done.
  bool run(clock::time_point deadline, const std::function<bool()>& done) {
    std::vector<pollfd> lines;
    for (;;) {
      lines.clear();
      for (auto& each : connections_) {
        each->send();
        if (each->is_open())
          lines.push_back({each->descriptor(),
                           static_cast<short>(each->wants_to_send() ? POLLIN | POLLOUT : POLLIN),
                           0});
      }
      if (done())
        return true;
      auto left
        = std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - clock::now()).count();
      if (left <= 0)
        return false;
      timespec wait{left / 1'000'000'000, left % 1'000'000'000};
      if (::ppoll(lines.data(), lines.size(), &wait, nullptr) <= 0)
        continue;
      for (auto& line : lines)
        if (line.revents != 0)
          for (auto& each : connections_)
            if (each->descriptor() == line.fd)
              each->receive();
    }
  }

private:
  std::vector<std::unique_ptr<grpc_connection>> connections_;
};

} // namespace troupe::benchmark
