#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caf/byte_buffer.hpp"
#include "caf/exit_reason.hpp"
#include "caf/io/basp_broker.hpp"
#include "caf/io/network/default_multiplexer.hpp"
#include "caf/io/network/interfaces.hpp"
#include "caf/io/network/stream_impl.hpp"
#include "caf/io/scribe.hpp"
#include "caf/send.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/incoming_handles.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/net/basp_filter.hpp"
#include "troupe/net/byte_budget.hpp"
#include "troupe/net/byte_stream.hpp"
#include "troupe/net/greeting.hpp"
#include "troupe/net/heartbeat_turns.hpp"
#include "troupe/net/link.hpp"
#include "troupe/net/link_actor.hpp"
#include "troupe/net/link_options.hpp"
#include "troupe/net/message_judge.hpp"
#include "troupe/net/peer_policy.hpp"

namespace troupe::net {

/// Receives the events of a node's scribes; outlives them.
class link_owner {
public:
  link_owner() = default;
  link_owner(const link_owner&) = delete;
  link_owner& operator=(const link_owner&) = delete;
  virtual ~link_owner() = default;

  /// BASP's handshake is done. In CAF's I/O thread, like the next two.
  virtual void came_up(const link_ptr& which) = 0;
  virtual void filled(const link_ptr& which) = 0;
  virtual void drained(const link_ptr& which) = 0;
  /// A message of the peer was dropped. In CAF's I/O thread.
  virtual void dropped(const link_ptr& which, const std::string& why) = 0;
  /// What the peers of all links may do; lives as long as this.
  [[nodiscard]] virtual const peer_policy& policy() const = 0;
  /// That link has to be closed. In CAF's I/O thread.
  virtual void give_way(connection_id which, const std::string& why) = 0;
  /// What all links share; lives as long as this.
  virtual link_budgets& budgets() = 0;
  /// CAF has closed the connection. In any thread.
  virtual void disconnected(const link_ptr& which) = 0;
  /// BASP has forgotten the node and delivered all messages from it. In any thread.
  virtual void forgotten(const link_ptr& which) = 0;
  /// How many nodes BASP has forgotten. In any thread.
  virtual std::uint64_t forgotten_nodes() const = 0;
};

/// Reads and writes one link for CAF. Reads ahead, so that many small messages cost one system
/// call, and keeps only the unread bytes, so that an idle link has no large buffer.
class link_transport {
public:
  using state = caf::io::network::rw_state;

  link_transport(std::unique_ptr<byte_stream> stream, std::function<void(std::size_t)> on_read)
    : stream_(std::move(stream)), on_read_(std::move(on_read)) {}

  state read_some(std::size_t& count, caf::io::network::native_socket, void* into,
                  std::size_t size) {
    count = 0;
    if (begin_ < ahead_.size()) {
      count = std::min(size, ahead_.size() - begin_);
      std::memcpy(into, ahead_.data() + begin_, count);
      begin_ += count;
      if (begin_ == ahead_.size())
        release(ahead_, kept_to_read);
      return state::success;
    }
    if (std::exchange(has_all_, false))
      return state::success; // poll reports what comes from now on
    auto* target = static_cast<std::byte*>(into);
    auto& scratch = read_scratch();
    auto direct = size >= scratch.size();
    auto got = stream_->read(direct ? std::span{target, size} : std::span{scratch});
    if (got.state == progress::failed)
      return state::failure;
    // "Success, nothing read" and never want_read: otherwise CAF would stop writing until the next
    // read, and two links that do so would wait for each other forever.
    if (got.bytes == 0)
      return state::success;
    has_all_ = got.has_all && stream_->buffered() == 0;
    on_read_(got.bytes);
    count = std::min(size, got.bytes);
    if (!direct) {
      std::memcpy(target, scratch.data(), count);
      ahead_.assign(scratch.begin() + static_cast<std::ptrdiff_t>(count),
                    scratch.begin() + static_cast<std::ptrdiff_t>(got.bytes));
      begin_ = 0;
    }
    return state::success;
  }

  state write_some(std::size_t& count, caf::io::network::native_socket, const void* from,
                   std::size_t size) {
    count = 0;
    if (size == 0)
      return state::indeterminate; // with success and nothing to do, CAF would spin
    auto put = stream_->write({static_cast<const std::byte*>(from), size});
    count = put.bytes;
    return put.state == progress::failed ? state::failure : state::success;
  }

  /// Asked after so many reads of one turn; if not, that ends.
  bool must_read_more(caf::io::network::native_socket, std::size_t threshold) {
    // Poll reports neither of the two.
    auto result = ahead_.size() - begin_ >= threshold || stream_->buffered() > 0;
    has_all_ = has_all_ && result;
    return result;
  }

  /// What a buffer keeps of its memory while it is empty: small messages allocate nothing, and
  /// thousands of links do not hold each what their largest message took.
  static constexpr std::size_t kept_to_read = 4U << 10U;
  static constexpr std::size_t kept_to_write = 64U << 10U;

  /// Empties `buffer`; gives its memory back if that is more than `kept`.
  template <class Buffer>
  static void release(Buffer& buffer, std::size_t kept) {
    buffer.clear();
    if (buffer.capacity() > kept)
      Buffer{}.swap(buffer);
  }

private:
  /// One for the I/O thread, not one for each link: there may be thousands.
  static std::vector<std::byte>& read_scratch() {
    thread_local std::vector<std::byte> scratch(64U << 10U);
    return scratch;
  }

  std::unique_ptr<byte_stream> stream_;
  std::function<void(std::size_t)> on_read_;
  /// Bytes that were read but not requested yet, from begin_ on.
  std::vector<std::byte> ahead_;
  std::size_t begin_ = 0;
  /// The last read of this turn has emptied the descriptor. CAF reads until one read finds nothing.
  bool has_all_ = false;
};

/// A link as BASP sees it: a connection that delivers headers and payloads and takes bytes to
/// write. Passes on only what message_judge accepts, collects long payloads as they arrive, counts
/// the bytes that wait to be written, and closes the link when there are too many.
///
/// CAF asks for the write buffer before it serializes, so a link that is closed for that reason
/// provides a buffer that is discarded. The messages that wait in BASP's mailbox cannot be bounded
/// here.
class link_scribe final : public caf::io::scribe {
public:
  link_scribe(caf::io::network::default_multiplexer& multiplexer, int descriptor,
              std::unique_ptr<byte_stream> stream, link_ptr which, const link_options& options,
              const hello& self, std::shared_ptr<link_owner> owner)
    // Not the descriptor: its number could be in use again before BASP has cleaned up.
    : caf::io::scribe(
      caf::io::connection_handle::from_int(static_cast<std::int64_t>(which->number()))),
      link_(std::move(which)),
      options_(options),
      owner_(std::move(owner)),
      judge_(options.filter, link_->peer(), self, link_->who(), owner_->policy().rules,
             owner_->policy().allow_spawn),
      share_of_queued_(owner_->budgets().queued, link_->number(), link_->who().node),
      share_of_collected_(owner_->budgets().collected, link_->number(), link_->who().node),
      turns_(link_->end(), self.heartbeat),
      wire_(stream.get()),
      stream_(multiplexer, descriptor, std::move(stream),
              [to = link_.get()](std::size_t bytes) { to->received(bytes); }) {
    stream_.ack_writes(true);
  }

  ~link_scribe() override {
    link_->forget_descriptor();
    owner_->disconnected(link_);
  }

  // -- reading -------------------------------------------------------------------

  /// BASP always asks for an exact number of bytes.
  void configure_read(caf::io::receive_policy::config policy) override {
    if (replaying_)
      return; // the payload is here already
    expect(policy.second);
    if (!std::exchange(launched_, true))
      stream_.start(this);
  }

  bool consume(compat::execution_context* context, const void* data, std::size_t size) override {
    if (detached())
      return false;
    auto* bytes = static_cast<const std::byte*>(data);
    if (to_skip_ > 0)
      return skip(size);
    if (!in_payload_)
      return consume_header(context, bytes, size);
    return consume_payload(context, bytes, size);
  }

  caf::byte_buffer& rd_buf() override {
    if (replaying_)
      return replayed_;
    return collecting_ ? collected_ : stream_.rd_buf();
  }

  // -- writing -------------------------------------------------------------------

  void ack_writes(bool) override {} // always on, for our count

  caf::byte_buffer& wr_buf() override {
    if (!too_slow_)
      return stream_.wr_buf();
    discarded_.clear();
    return discarded_;
  }

  void flush() override {
    if (too_slow_)
      return;
    auto& written = stream_.wr_buf();
    auto added = std::as_bytes(std::span{written}).subspan(counted_);
    auto whole = has_to_wait(added) ? 0 : judge_.sent(added);
    written.resize(counted_ + whole); // with a part of a message the peer would read no other
    if (waiting_ == 0)
      write_at_once(written);
    if (!written.empty())
      write_in_turn(written);
  }

  void data_transferred(compat::execution_context*, std::size_t, std::size_t left) override {
    auto behind = stream_.wr_buf().size();
    written_at_ = std::chrono::steady_clock::now();
    waiting_ = left;
    counted_ = left == behind ? 0 : behind; // equal: the stream takes the buffer over next
    if (left == 0) // the stream has two buffers, and changes them with each write
      link_transport::release(stream_.wr_buf(), link_transport::kept_to_write);
    note_waiting();
  }

  // -- what else CAF asks --------------------------------------------------------

  void graceful_shutdown() override {
    link_->close("closed by this node");
    stream_.graceful_shutdown();
    detach(&stream_.backend(), false);
  }

  std::string addr() const override {
    auto result = caf::io::network::remote_addr_of_fd(stream_.fd());
    return result ? *result : std::string{};
  }

  std::uint16_t port() const override {
    auto result = caf::io::network::remote_port_of_fd(stream_.fd());
    return result ? *result : std::uint16_t{0};
  }

  void add_to_loop() override {
    stream_.activate(this);
  }

  void remove_from_loop() override {
    stream_.passivate();
  }

private:
  using decision = message_judge::decision;

  bool consume_header(compat::execution_context* context, const std::byte* bytes,
                      std::size_t size) {
    auto header = basp_header::from_bytes({bytes, size});
    auto judged = judge_.header(header);
    if (judged.what == decision::close)
      return refuse(context, judged.why);
    if (judged.what == decision::drop) {
      drop(judged.why);
      to_skip_ = header.payload_bytes;
      read_exactly(to_skip_ > 0 ? std::min(to_skip_, options_.chunk_bytes)
                                : basp_header::wire_bytes);
      return true;
    }
    in_payload_ = header.payload_bytes > 0;
    is_handshake_ = header.what == basp_header::operation::server_handshake;
    if (message_judge::has_content(header)) {
      message_ = header;
      auto* first = reinterpret_cast<const compat::byte*>(bytes);
      replayed_.assign(first, first + size);
      expect(header.payload_bytes);
      return true;
    }
    auto kept = caf::io::scribe::consume(context, bytes, size);
    if (kept && !detached() && header.what == basp_header::operation::heartbeat
        && turns_.has_to_answer(now()))
      send_heartbeat(context);
    return kept;
  }

  bool consume_payload(compat::execution_context* context, const std::byte* bytes,
                       std::size_t size) {
    if (collecting_) {
      if (!collect(bytes, size))
        return refuse(context, "out of memory");
      if (collected_.size() < wanted_) {
        read_exactly(std::min(wanted_ - collected_.size(), options_.chunk_bytes));
        return true;
      }
      bytes = reinterpret_cast<const std::byte*>(collected_.data());
      size = collected_.size();
    }
    in_payload_ = false;
    std::optional<incoming_handles> handles;
    if (auto taken = judge_.handles())
      handles.emplace(*taken);
    auto message = std::exchange(message_, std::nullopt);
    auto judged = judge_.payload(message, {reinterpret_cast<const char*>(bytes), size});
    if (judged.what == decision::close)
      return refuse(context, judged.why.detail);
    auto was_collecting = collecting_;
    auto kept = true;
    if (judged.what == decision::drop) {
      drop(judged.why.detail);
      if (judged.why.code == errc::denied)
        answer(context, *message, std::move(judged.why));
      expect(basp_header::wire_bytes);
    } else {
      kept = (!message || replay_header(context))
             && caf::io::scribe::consume(context, bytes, size); // takes rd_buf()
    }
    if (kept && !detached())
      forget_gone_nodes();
    if (was_collecting) {
      link_transport::release(collected_, 0);
      give_way(share_of_collected_.hold(0), {});
    }
    if (is_handshake_ && kept && !detached())
      came_up();
    link_transport::release(stream_.rd_buf(), link_transport::kept_to_read);
    return kept;
  }

  /// Answers a request that CAF does not see. Not by a handle: BASP makes those only while it
  /// handles a message.
  void answer(compat::execution_context* context, const basp_header& request, problem why) {
    caf::message_id id{request.data};
    auto& basp = static_cast<caf::io::basp_broker*>(parent())->instance;
    auto node = basp.tbl().lookup_direct(hdl());
    if (id.is_request() && request.source != 0 && node)
      basp.dispatch(context, nullptr, {}, node, request.source, 0, id.response_id(),
                    caf::make_message(to_error(std::move(why))));
  }

  /// BASP keeps an actor for each node that it ever had a link to, 2 KB each. It hears of no
  /// others, as handles of actors of third nodes are not read. Cost: O(n) in nodes, after one has
  /// gone.
  void forget_gone_nodes() {
    auto gone = owner_->forgotten_nodes();
    if (gone == gone_nodes_)
      return;
    gone_nodes_ = gone;
    auto& basp = *static_cast<caf::io::basp_broker*>(parent());
    std::erase_if(basp.spawn_servers, [&](const auto& each) {
      auto& [node, server] = each;
      if (basp.instance.tbl().lookup_direct(node))
        return false;
      caf::anon_send_exit(server, caf::exit_reason::kill);
      return true;
    });
  }

  /// Gives BASP the header whose payload has been judged.
  bool replay_header(compat::execution_context* context) {
    replaying_ = true;
    auto kept = caf::io::scribe::consume(context, replayed_.data(), replayed_.size());
    replaying_ = false;
    return kept;
  }

  caf::proxy_registry& proxies() {
    return static_cast<caf::io::basp_broker*>(parent())->proxies();
  }

  void drop(std::string_view why) {
    link_->dropped_.fetch_add(1, std::memory_order_relaxed);
    if (!message_judge::is_usual(why))
      owner_->dropped(link_, std::string{why});
  }

  /// Reads so many bytes next; many are collected as they arrive.
  void expect(std::size_t size) {
    wanted_ = size;
    collecting_ = wanted_ > options_.chunk_bytes;
    if (collecting_)
      collected_.clear();
    read_exactly(std::min(wanted_, options_.chunk_bytes));
  }

  /// Reserves address space for the announced size, and touches only what has arrived.
  bool collect(const std::byte* bytes, std::size_t size) {
    try {
      collected_.reserve(wanted_);
    } catch (const std::bad_alloc&) {
      return false;
    }
    auto* first = reinterpret_cast<const compat::byte*>(bytes);
    collected_.insert(collected_.end(), first, first + size);
    give_way(share_of_collected_.hold(collected_.size()), "what has arrived of long messages");
    return true;
  }

  /// A payload that is dropped is read in pieces.
  bool skip(std::size_t size) {
    to_skip_ -= size;
    read_exactly(to_skip_ > 0 ? std::min(to_skip_, options_.chunk_bytes) : basp_header::wire_bytes);
    return true;
  }

  void read_exactly(std::size_t size) {
    stream_.configure_read(caf::io::receive_policy::exactly(size));
  }

  bool refuse(compat::execution_context* context, std::string_view why) {
    link_->close(std::string{why}, end_cause::misbehaved);
    io_failure(context, caf::io::network::operation::read); // tells BASP
    return false;
  }

  /// BASP has just entered the node into its table.
  void came_up() {
    auto* broker = static_cast<caf::io::basp_broker*>(parent());
    auto node = broker->instance.tbl().lookup_direct(hdl());
    if (!node)
      return; // BASP refused: other application identifiers
    judge_.came_up(node, proxies());
    auto number = link_->peer().entry_point;
    auto entry_point = number != 0 ? proxies().get_or_put(node, number) : nullptr;
    auto carrier = caf::actor_cast<caf::actor>(broker->system().spawn<link_actor, caf::hidden>(
      node, "node " + to_string(link_->peer().node), options_.requests,
      [owner = owner_, which = link_] { owner->forgotten(which); }));
    if (auto& book = owner_->policy().peers)
      book->enter(link_->number(), node, link_->who(), link_->proven().has_value());
    if (link_->came_up(std::move(entry_point), carrier))
      owner_->came_up(link_);
    else // the gate has stopped meanwhile
      compat::anon_send(carrier, link_lost{});
  }

  [[nodiscard]] static time_point to_time(std::chrono::steady_clock::time_point moment) {
    return time_point{moment.time_since_epoch()};
  }

  [[nodiscard]] static time_point now() {
    return to_time(std::chrono::steady_clock::now());
  }

  /// BASP has one sent over each link at each of its intervals.
  bool has_to_wait(std::span<const std::byte> added) {
    if (added.empty() || is_answering_)
      return false;
    if (basp_header::is_heartbeat(added))
      return !turns_.is_due(now(), to_time(link_->heard_at()));
    turns_.sent(now());
    return false;
  }

  void send_heartbeat(compat::execution_context* context) {
    is_answering_ = true;
    static_cast<caf::io::basp_broker*>(parent())->instance.write_heartbeat(context, wr_buf());
    flush();
    is_answering_ = false;
  }

  /// Nothing waits. What comes after a rest mostly comes alone, so that nothing is gained by a turn
  /// of poll that waits for room; what follows soon goes together. What is not taken goes the usual
  /// way, which also finds out what is broken.
  void write_at_once(caf::byte_buffer& written) {
    auto now = std::chrono::steady_clock::now();
    if (!written.empty() && !has_large_buffer_ && now - written_at_ > rest_before_alone) {
      auto put = wire_->write(std::as_bytes(std::span{written}));
      if (put.state != progress::failed)
        written.erase(written.begin(), written.begin() + static_cast<std::ptrdiff_t>(put.bytes));
      written_at_ = now;
    }
    if (written.empty())
      link_transport::release(written, link_transport::kept_to_write);
  }

  /// Once the descriptor has room.
  void write_in_turn(const caf::byte_buffer& written) {
    waiting_ += written.size() - counted_;
    has_large_buffer_ = written.capacity() > link_transport::kept_to_write;
    stream_.flush(this);
    counted_ = stream_.wr_buf().size(); // zero if the stream has taken the buffer over
    note_waiting();
  }

  /// Closes the link that holds most, if one has to be closed.
  void give_way(std::optional<connection_id> which, std::string_view of) {
    if (which)
      owner_->give_way(*which, "it and its other links hold most of " + std::string{of}
                                 + ", and together they hold too much");
  }

  void note_waiting() {
    link_->queued_.store(waiting_, std::memory_order_relaxed);
    if (waiting_ > options_.max_queued_bytes && !std::exchange(too_slow_, true))
      link_->close("the peer is too slow: more than " + std::to_string(options_.max_queued_bytes)
                     + " bytes wait for it",
                   end_cause::overloaded);
    give_way(share_of_queued_.hold(waiting_), "what waits to be written");
    if (!is_full_ && waiting_ >= options_.full_bytes) {
      is_full_ = true;
      owner_->filled(link_);
    } else if (is_full_ && waiting_ <= options_.drained_bytes) {
      is_full_ = false;
      owner_->drained(link_);
    }
  }

  link_ptr link_;
  const link_options options_;
  std::shared_ptr<link_owner> owner_;
  message_judge judge_;
  budget_share share_of_queued_;
  budget_share share_of_collected_;
  bool launched_ = false;
  /// The next bytes are the payload of the last header.
  bool in_payload_ = false;
  bool is_handshake_ = false;
  /// A message of which BASP gets the header once the payload has been judged.
  std::optional<basp_header> message_;
  caf::byte_buffer replayed_;
  bool replaying_ = false;
  /// The payload is longer than one chunk and comes in pieces.
  bool collecting_ = false;
  std::size_t wanted_ = 0;
  caf::byte_buffer collected_;
  std::size_t to_skip_ = 0;
  /// How many nodes had gone when it last forgot those.
  std::uint64_t gone_nodes_ = 0;
  /// Above the bound: nothing more is written.
  bool too_slow_ = false;
  bool is_full_ = false;
  caf::byte_buffer discarded_;
  /// Where requests follow each other it gains nothing: what belongs together would go apart, and
  /// wake the peer twice.
  static constexpr duration rest_before_alone = std::chrono::milliseconds{1};
  std::chrono::steady_clock::time_point written_at_{};
  /// Bytes that wait to be written, and how many of them are in the stream's buffer.
  std::size_t waiting_ = 0;
  std::size_t counted_ = 0;
  /// What was written last by way of the stream took a large buffer, which the stream keeps until
  /// the next such write.
  bool has_large_buffer_ = false;
  heartbeat_turns turns_;
  bool is_answering_ = false;
  /// Of stream_.
  byte_stream* wire_;
  caf::io::network::stream_impl<link_transport> stream_;
};

} // namespace troupe::net
