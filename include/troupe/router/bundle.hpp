#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caf/binary_deserializer.hpp"
#include "caf/binary_serializer.hpp"
#include "caf/byte_buffer.hpp"
#include "caf/message.hpp"
#include "caf/sec.hpp"
#include "caf/span.hpp"
#include "troupe/channel/types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/incoming_message.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/message_header.hpp"
#include "troupe/router/message_options.hpp"

namespace troupe::router {

/// A message of the application for agents of another node.
struct letter {
  word wanted = word::nothing;
  /// Of the request, as the sender's router counts them. Where nothing is wanted it stays here: for
  /// remove(), if it is not zero.
  std::uint64_t number = 0;
  /// One, if anything is wanted.
  std::vector<agent_id> to;
  /// The agent that sent it; empty if that was none, or if it is passed on.
  agent_id from;
  caf::message payload;
  /// Why the payload could not be read: incompatible, if a type of it is not known here.
  problem unreadable{};
  /// How long an answer is waited for from now on: from add() where it is sent, from take() where
  /// it has arrived.
  duration patience{};
  /// Whether it began outside of the process of the router that sends this letter.
  bool is_passed_on = false;
  /// If it is passed on: the node or client that sent it; all zero if that is not known.
  node_id first{};
  /// Of its message_id, whose node is that of the link: the number, and where it has arrived the
  /// start of that node.
  std::uint64_t message = 0;
  boot_number boot = 0;
  /// How long it may still be delivered, counted as patience: longest_life for ever, zero or less
  /// not at all.
  duration life = longest_life;
  /// When it was sent, by the sender's calendar. Set where it has arrived.
  wall_time sent_at{};
  /// What its sender said of it, but for the ttl. Null: nothing.
  std::shared_ptr<const message_options> how{};
  /// Of the payload. Set where it has arrived.
  std::size_t bytes = 0;
  /// Of class confirm or once: one of these.
  std::optional<channel::frame_header> frame{};
  std::optional<channel::probe> probe{};
  /// See message_header::id.
  std::optional<message_id> id{};
  /// Of class once: how long ago its first node has taken it, counted as patience.
  duration age{};
  /// See message_header::redrives.
  std::uint32_t redrives = 0;

  [[nodiscard]] bool is_confirm() const {
    return frame || probe;
  }
};

/// Letters from router to router in one message, which costs about as much over a link as each
/// of them alone. They are delivered in their order, and none is if the bundle is damaged: if a
/// length in it leads beyond its end.
///
/// A letter is written once, when it is added, and read once, when the bundle arrives. One that
/// cannot be read, or asks for what this release does not know, costs no other letter anything:
/// each begins with the lengths of its header (see message_header.hpp) and of its content.
class bundle {
public:
  /// Bounds of a bundle with more than one letter: more costs no less for each, and whatever
  /// comes next waits behind it.
  static constexpr std::size_t max_letters = 512;
  /// Of all letters together; one with more goes in several.
  static constexpr std::size_t max_recipients = 10'000;
  static constexpr std::size_t max_bytes = 64U << 10U;

  [[nodiscard]] bool empty() const {
    return bytes_.empty();
  }

  /// Whether one more letter may be one too many.
  [[nodiscard]] bool full() const {
    return count_ >= max_letters || recipients_ >= max_recipients || bytes_.size() >= max_bytes;
  }

  /// Of one that is made here.
  [[nodiscard]] std::size_t letters() const {
    return count_;
  }

  [[nodiscard]] std::size_t bytes() const {
    return bytes_.size();
  }

  /// To be called before the first letter is added: at `now`, which the calendar calls `calendar`,
  /// by a node that has started for the time number `boot`.
  void open(time_point now, wall_time calendar, boot_number boot) {
    opened_ = now;
    header_.opened_at = calendar;
    header_.boot = boot;
  }

  enum class added : std::uint8_t {
    yes,
    /// Begin another bundle; an empty one has room for any letter.
    no_room,
    /// It holds a value that CAF cannot write.
    unwritable,
  };

  /// Writes `what` behind the others at `now`, or leaves all as it was.
  /// @pre `context` is that of a running actor, as payloads may hold handles of actors; `what` is
  /// for one agent or, if nothing is wanted, for at most max_recipients.
  [[nodiscard]] added add(compat::execution_context* context, const letter& what,
                          time_point now = {}) {
    auto begin = bytes_.size();
    if (begin > 0
        && (recipients_ + what.to.size() > max_recipients
            || what.message - header_.first > max_place)) // also if it is lower
      return added::no_room;
    if (begin == 0) {
      bytes_.reserve(first_bytes);
      header_.first = what.message;
    }
    if (!write(context, what, now)) {
      bytes_.resize(begin);
      return added::unwritable;
    }
    if (begin > 0 && bytes_.size() > max_bytes) {
      bytes_.resize(begin);
      return added::no_room;
    }
    ++count_;
    recipients_ += what.to.size();
    if (what.number != 0)
      marked_.push_back({what.number, begin, bytes_.size() - begin, what.to.size()});
    return added::yes;
  }

  /// Takes a letter out again. Returns false if it has none of that number.
  bool remove(std::uint64_t number) {
    auto which = std::ranges::find(marked_, number, &marked::number);
    if (which == marked_.end())
      return false;
    auto begin = bytes_.begin() + static_cast<std::ptrdiff_t>(which->begin);
    bytes_.erase(begin, begin + static_cast<std::ptrdiff_t>(which->bytes));
    for (auto later = which + 1; later != marked_.end(); ++later)
      later->begin -= which->bytes;
    --count_;
    recipients_ -= which->recipients;
    marked_.erase(which);
    return true;
  }

  /// To be called before it is sent, at `now`.
  void close(time_point now) {
    if (now > opened_)
      header_.waited = now - opened_;
  }

  /// What has arrived; damaged, if that is no bundle, with the letters before the damage.
  struct content {
    std::vector<letter> letters;
    problem damage{};
  };

  /// Takes the letters out. A bundle that came from this process is read here.
  [[nodiscard]] content take(compat::execution_context* context) {
    if (bytes_.empty())
      return std::exchange(arrived_, {});
    caf::byte_buffer all;
    auto front = head();
    auto first = as_span(front);
    all.reserve(first.size() + bytes_.size());
    all.insert(all.end(), first.begin(), first.end());
    all.insert(all.end(), bytes_.begin(), bytes_.end());
    bytes_.clear();
    return read(context, all);
  }

  template <class Inspector>
  friend bool inspect(Inspector& f, bundle& x) {
    if constexpr (Inspector::is_loading) {
      return x.load(f);
    } else {
      auto head = x.head();
      return f.begin_sequence(head.size() + x.bytes_.size()) && f.value(as_span(head))
             && f.value(caf::make_span(std::as_const(x.bytes_))) && f.end_sequence();
    }
  }

private:
  /// Room for one short letter.
  static constexpr std::size_t first_bytes = 256;

  /// Of a short one, to make room for all that have arrived at once.
  static constexpr std::size_t usual_letter_bytes = 64;

  /// Where a letter is that may be taken out.
  struct marked {
    std::uint64_t number = 0;
    std::size_t begin = 0;
    std::size_t bytes = 0;
    std::size_t recipients = 0;
  };

  // -- the form --------------------------------------------------------------------------

  static caf::span<const compat::byte> as_span(std::string_view bytes) {
    return {reinterpret_cast<const compat::byte*>(bytes.data()), bytes.size()};
  }

  static std::string_view as_text(caf::span<const compat::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  /// What is in front of the letters; nothing without letters.
  [[nodiscard]] std::string head() const {
    if (bytes_.empty())
      return {};
    encoder sink{encoder::without_absent_end{}};
    sink.put(header_);
    return sink.take();
  }

  bool write(compat::execution_context* context, const letter& what, time_point now) {
    if (is_plain(what, now - opened_)) {
      append(plain_header{what.to.front().text(), place_of(what)}, bytes_);
    } else if (is_only_confirm(what, now - opened_)) {
      append(confirm_header{what.to.front().text(), place_of(what),
                            static_cast<std::uint8_t>(what.wanted), what.number,
                            now - opened_ + bounded(what.patience), *what.frame},
             bytes_);
    } else {
      header_sink_.clear();
      header_sink_.put(header_of(what, now - opened_));
      auto head = as_span(header_sink_.bytes());
      bytes_.insert(bytes_.end(), head.begin(), head.end());
    }
    auto size_at = bytes_.size();
    caf::binary_serializer sink{context, bytes_};
    sink.seek(size_at);
    sink.skip(sizeof(std::uint32_t));
    if (!sink.apply(what.payload))
      return false;
    auto size = bytes_.size() - size_at - sizeof(std::uint32_t);
    sink.seek(size_at);
    return size <= 0xFFFFFFFFU && sink.value(static_cast<std::uint32_t>(size));
  }

  static duration bounded(duration span) {
    return std::clamp(span, duration::zero(), longest_span);
  }

  [[nodiscard]] std::uint16_t place_of(const letter& what) const {
    return static_cast<std::uint16_t>(what.message - header_.first);
  }

  /// Whether header_of() says nothing beyond what a plain_header has.
  static bool is_plain(const letter& what, duration after) {
    return what.wanted == word::nothing && what.to.size() == 1 && !what.is_passed_on
           && what.from.empty() && after < least_after && what.life == longest_life && !what.how
           && !what.is_confirm();
  }

  /// Whether it says nothing beyond what a confirm_header has.
  static bool is_only_confirm(const letter& what, duration after) {
    return what.frame && what.wanted != word::nothing && what.to.size() == 1 && !what.is_passed_on
           && what.from.empty() && after < least_after && what.life == longest_life && !what.probe
           && !what.id && what.redrives == 0 && what.how && says_only_confirm(*what.how);
  }

  /// Of a letter that is added so long `after` the bundle was opened.
  [[nodiscard]] message_header header_of(const letter& what, duration after) const {
    message_header made{what.to.front(), place_of(what)};
    if (what.wanted != word::nothing) {
      made.wanted = static_cast<std::uint8_t>(what.wanted);
      made.request = what.number;
      made.deadline = after + bounded(what.patience);
    }
    if (what.is_passed_on)
      made.for_whom = what.first;
    else if (!what.from.empty())
      made.from = what.from;
    if (what.to.size() > 1)
      made.also_to.emplace(what.to.begin() + 1, what.to.end());
    if (after >= least_after)
      made.after = after;
    if (what.life != longest_life)
      made.life = after + bounded(what.life);
    if (what.how)
      say(*what.how, made);
    if (what.is_confirm()) {
      auto is_once = class_of(what.how.get()) == delivery_class::once;
      made.delivery_class
        = static_cast<std::uint8_t>(is_once ? delivery_class::once : delivery_class::confirm);
      made.frame = what.frame;
      made.probe = what.probe;
      made.id = what.id;
      if (what.redrives > 0)
        made.redrives = what.redrives;
      if (is_once) // before the bundle was opened
        made.age = bounded(what.age - after);
    }
    return made;
  }

  template <class Inspector>
  bool load(Inspector& f) {
    std::size_t size = 0;
    if (!f.begin_sequence(size))
      return false;
    if constexpr (requires { f.remainder(); }) {
      if (size > f.remaining()) {
        f.emplace_error(caf::sec::end_of_stream);
        return false;
      }
      bytes_.clear();
      arrived_ = read(f.context(), f.remainder().subspan(0, size));
      f.skip(size);
      return f.end_sequence();
    } else {
      f.emplace_error(caf::sec::unsupported_operation, "bundles have CAF's binary form only");
      return false;
    }
  }

  /// Whether a bundle is being read in this thread: one inside it would let a peer fill our stack.
  class reading {
  public:
    reading() : nested_(std::exchange(is_under_way(), true)) {}
    reading(const reading&) = delete;
    reading& operator=(const reading&) = delete;
    ~reading() {
      is_under_way() = nested_;
    }

    [[nodiscard]] bool nested() const {
      return nested_;
    }

  private:
    static bool& is_under_way() {
      thread_local bool under_way = false;
      return under_way;
    }

    bool nested_;
  };

  static content read(compat::execution_context* context, caf::span<const compat::byte> from) {
    content result;
    reading now;
    if (now.nested()) {
      result.damage = damaged("it lies in another");
      return result;
    }
    bundle_header shared;
    auto size = header_size(as_text(from));
    if (from.empty())
      return result;
    if (!size || !decoder{as_text(from.subspan(0, *size))}.get(shared)) {
      result.damage = damaged("its header cannot be read");
      return result;
    }
    caf::binary_deserializer source{context, from.subspan(*size)};
    result.letters.reserve(std::min(max_letters, source.remaining() / usual_letter_bytes + 1));
    std::size_t recipients = 0;
    while (source.remaining() > 0 && !result.damage) {
      if (result.letters.size() == max_letters)
        result.damage = damaged("it has more than " + std::to_string(max_letters) + " letters");
      else if (!read_letter(source, shared, max_recipients - recipients,
                            result.letters.emplace_back())) {
        result.letters.pop_back();
        result.damage
          = damaged("its letter " + std::to_string(result.letters.size() + 1) + " is cut short");
      } else {
        recipients += result.letters.back().to.size();
      }
    }
    return result;
  }

  /// Returns false if the letter does not end within `source`. What else is wrong with it says
  /// letter::unreadable.
  static bool read_letter(caf::binary_deserializer& source, const bundle_header& shared,
                          std::size_t most, letter& into) {
    auto head = header_size(as_text(source.remainder()));
    if (!head)
      return false;
    auto header_bytes = as_text(source.remainder().subspan(0, *head));
    source.skip(*head);
    std::uint32_t size = 0;
    if (!source.value(size) || size > source.remaining())
      return false;
    auto content = source.remainder().subspan(0, size);
    into.bytes = size;
    source.skip(size);
    if (auto plain = most > 0 ? plain_header_in(header_bytes) : std::nullopt)
      take_header(*plain, shared, into);
    else if (auto confirm = most > 0 ? confirm_header_in(header_bytes) : std::nullopt;
             confirm && confirm->wanted != 0
             && confirm->wanted <= static_cast<std::uint8_t>(word::receipt))
      take_header(*confirm, shared, into);
    else
      read_header(header_bytes, shared, most, into);
    if (into.unreadable)
      return true;
    caf::binary_deserializer payload{source.context(), content};
    if (!payload.apply(into.payload) || payload.remaining() > 0) {
      into.payload = {};
      into.unreadable = {errc::incompatible, "the agent's node cannot read this message; check "
                                             "that both know its types in the same version"};
    }
    return true;
  }

  static void take_header(const plain_header& header, const bundle_header& shared, letter& into) {
    into.to.emplace_back(header.to);
    into.message = shared.first + header.place;
    into.boot = shared.boot;
    into.sent_at = shared.opened_at;
  }

  static void take_header(const confirm_header& header, const bundle_header& shared, letter& into) {
    take_header(plain_header{header.to, header.place}, shared, into);
    into.wanted = static_cast<word>(header.wanted);
    into.number = header.request;
    into.patience = left_of(header.deadline, shared);
    into.how = only_confirm();
    into.frame = header.frame;
  }

  static void read_header(std::string_view bytes, const bundle_header& shared, std::size_t most,
                          letter& into) {
    message_header header;
    if (decoder{bytes}.get(header))
      return take_header(header, shared, most, into);
    into.unreadable = {errc::damaged, "the header of a message cannot be read; check the version "
                                      "of the node it comes from"};
  }

  static void take_header(message_header& header, const bundle_header& shared, std::size_t most,
                          letter& into) {
    into.unreadable = check(header);
    into.number = header.request.value_or(0);
    if (header.wanted && header.request)
      // A wish that is not known is one for an answer at least: the refusal is.
      into.wanted = *header.wanted <= static_cast<std::uint8_t>(word::receipt)
                      ? static_cast<word>(*header.wanted)
                      : word::answer;
    auto recipients = 1 + (header.also_to ? header.also_to->size() : 0);
    if (!into.unreadable && recipients > most)
      into.unreadable = {errc::too_large,
                         "the messages of a bundle name more than " + std::to_string(max_recipients)
                           + " agents; check the version of the node that sends it"};
    if (says_anything(header)) {
      auto how = std::make_shared<message_options>(said_in(header));
      if (!into.unreadable)
        into.unreadable = check(*how);
      into.how = std::move(how);
    }
    if (into.unreadable)
      return;
    into.frame = header.frame;
    into.id = header.id;
    into.redrives = header.redrives.value_or(0);
    into.probe = std::move(header.probe);
    into.to.reserve(recipients);
    into.to.push_back(std::move(header.to));
    if (header.also_to)
      std::ranges::move(*header.also_to, std::back_inserter(into.to));
    into.is_passed_on = header.for_whom.has_value();
    into.first = header.for_whom.value_or(node_id{});
    if (header.from && !header.for_whom)
      into.from = *std::move(header.from);
    into.message = shared.first + header.place;
    into.boot = shared.boot;
    into.sent_at = sent_at(header, shared);
    if (header.deadline)
      into.patience = left_of(*header.deadline, shared);
    if (header.life)
      into.life = left_of(*header.life, shared);
    if (header.age)
      into.age = bounded(*header.age) + bounded(shared.waited.value_or(duration::zero()));
  }

  static problem damaged(std::string_view how) {
    return {errc::damaged, "a bundle of messages was refused, nothing of it delivered: "
                             + std::string{how} + "; check the version of the node it comes from"};
  }

  /// To be sent: the letters, which the header goes in front of.
  caf::byte_buffer bytes_;
  std::size_t count_ = 0;
  std::size_t recipients_ = 0;
  /// In their order.
  std::vector<marked> marked_;
  bundle_header header_;
  time_point opened_{};
  encoder header_sink_{encoder::without_absent_end{}};
  /// Received.
  content arrived_;
};

} // namespace troupe::router
