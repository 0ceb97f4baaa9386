#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
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
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/incoming_message.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"

namespace troupe::router {

/// What the sender of a message to one agent wants to hear of it. Numbers go over the wire:
/// append at the end.
enum class word : std::uint8_t {
  nothing = 0,
  /// What the agent says.
  answer = 1,
  /// A send_report once the agent has it in its mailbox, with not_found if there is none.
  receipt = 2,
};

/// A message of the application for agents of another node.
struct letter {
  word wanted = word::nothing;
  /// Of the request, as the sender's router counts them; zero if nothing is wanted.
  std::uint64_t number = 0;
  /// One, if anything is wanted.
  std::vector<agent_id> to;
  /// The agent that sent it; empty if that was none, or if it is passed on.
  agent_id from;
  caf::message payload;
  /// Why the payload could not be read: incompatible, if a type of it is not known here.
  problem unreadable{};
  /// How long an answer is waited for, up to 49 days.
  duration patience{};
  /// Whether it began outside of the process of the router that sends this letter.
  bool is_passed_on = false;
  /// If it is passed on: the node or client that sent it; all zero if that is not known.
  node_id first{};
};

/// Letters from router to router in one message, which costs about as much over a link as each
/// of them alone. They are delivered in their order, and none is if the bundle is damaged.
///
/// A letter is written once, when it is added, and read once, when the bundle arrives. That one
/// cannot be read, as this node does not know its type, is no harm to the others.
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

  enum class added : std::uint8_t {
    yes,
    /// Begin another bundle; an empty one has room for any letter.
    no_room,
    /// It holds a value that CAF cannot write.
    unwritable,
  };

  /// Writes `what` behind the others, or leaves all as it was.
  /// @pre `context` is that of a running actor, as payloads may hold handles of actors; `what` is
  /// for one agent or, if nothing is wanted, for at most max_recipients.
  [[nodiscard]] added add(compat::execution_context* context, const letter& what) {
    auto begin = bytes_.size();
    if (begin > 0 && recipients_ + what.to.size() > max_recipients)
      return added::no_room;
    if (begin == 0)
      bytes_.reserve(first_bytes);
    if (!write(context, what)) {
      bytes_.resize(begin);
      return added::unwritable;
    }
    if (begin > 0 && bytes_.size() > max_bytes) {
      bytes_.resize(begin);
      return added::no_room;
    }
    ++count_;
    recipients_ += what.to.size();
    if (what.wanted != word::nothing)
      asked_.push_back({what.number, begin, bytes_.size() - begin});
    return added::yes;
  }

  /// Takes the letter of a request out again. Returns false if it has none of that number.
  bool remove(std::uint64_t number) {
    auto which = std::ranges::find(asked_, number, &asked::number);
    if (which == asked_.end())
      return false;
    auto begin = bytes_.begin() + static_cast<std::ptrdiff_t>(which->begin);
    bytes_.erase(begin, begin + static_cast<std::ptrdiff_t>(which->bytes));
    for (auto later = which + 1; later != asked_.end(); ++later)
      later->begin -= which->bytes;
    asked_.erase(which);
    --count_;
    --recipients_; // a request has one
    return true;
  }

  /// What has arrived; damaged, if that is no bundle, with the letters before the damage.
  struct content {
    std::vector<letter> letters;
    problem damage{};
  };

  /// Takes the letters out. A bundle that came from this process is read here.
  [[nodiscard]] content take(compat::execution_context* context) {
    if (!bytes_.empty())
      return read(context, std::exchange(bytes_, {}));
    return std::exchange(arrived_, {});
  }

  template <class Inspector>
  friend bool inspect(Inspector& f, bundle& x) {
    if constexpr (Inspector::is_loading) {
      return x.load(f);
    } else {
      return f.begin_sequence(x.bytes_.size()) && f.value(caf::make_span(std::as_const(x.bytes_)))
             && f.end_sequence();
    }
  }

private:
  /// In the byte that says what is wanted.
  static constexpr std::uint8_t passed_on_flag = 0x80;

  /// Room for one short letter.
  static constexpr std::size_t first_bytes = 256;

  /// Where the letter of a request is.
  struct asked {
    std::uint64_t number = 0;
    std::size_t begin = 0;
    std::size_t bytes = 0;
  };

  bool write(compat::execution_context* context, const letter& what) {
    caf::binary_serializer sink{context, bytes_};
    auto first = static_cast<unsigned>(what.wanted) | (what.is_passed_on ? passed_on_flag : 0U);
    if (!sink.value(static_cast<std::uint8_t>(first)))
      return false;
    if (what.wanted != word::nothing
        && (!sink.value(what.number) || !sink.value(to_ms(what.patience))))
      return false;
    if (!sink.begin_sequence(what.to.size()))
      return false;
    for (auto& each : what.to)
      if (!sink.value(each.text()))
        return false;
    if (!(what.is_passed_on ? sink.value(text_of(what.first)) : sink.value(what.from.text())))
      return false;
    auto size_at = bytes_.size();
    sink.skip(sizeof(std::uint32_t));
    if (!sink.apply(what.payload))
      return false;
    auto size = bytes_.size() - size_at - sizeof(std::uint32_t);
    sink.seek(size_at);
    return size <= 0xFFFFFFFFU && sink.value(static_cast<std::uint32_t>(size));
  }

  /// In the place of letter::from.
  static std::string text_of(const node_id& first) {
    return first == node_id{} ? std::string{} : to_string(first);
  }

  static std::uint32_t to_ms(duration span) {
    auto ms = std::chrono::ceil<std::chrono::milliseconds>(span).count();
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(ms, 0, 0xFFFFFFFF));
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
    caf::binary_deserializer source{context, from};
    std::size_t recipients = 0;
    while (source.remaining() > 0 && !result.damage) {
      if (result.letters.size() == max_letters)
        result.damage = damaged("it has more than " + std::to_string(max_letters) + " letters");
      else if (!read_letter(source, max_recipients - recipients, result.letters.emplace_back())) {
        result.letters.pop_back();
        result.damage = damaged("its letter " + std::to_string(result.letters.size() + 1)
                                + " is cut short, is none, or is one for too many");
      } else {
        recipients += result.letters.back().to.size();
      }
    }
    return result;
  }

  static bool read_letter(caf::binary_deserializer& source, std::size_t most, letter& into) {
    std::uint8_t first = 0;
    if (!source.value(first))
      return false;
    into.is_passed_on = (first & passed_on_flag) != 0;
    auto wanted = first & ~unsigned{passed_on_flag};
    if (wanted > static_cast<std::uint8_t>(word::receipt))
      return false;
    into.wanted = static_cast<word>(wanted);
    std::uint32_t patience_ms = 0;
    if (into.wanted != word::nothing && (!source.value(into.number) || !source.value(patience_ms)))
      return false;
    into.patience = std::chrono::milliseconds{patience_ms};
    std::size_t count = 0;
    if (!source.begin_sequence(count) || count == 0 || count > most
        || count > source.remaining() // each name has a byte or more
        || (count > 1 && into.wanted != word::nothing))
      return false;
    into.to.reserve(count);
    for (; count > 0; --count) {
      std::string to;
      if (!source.value(to))
        return false;
      into.to.emplace_back(std::move(to));
    }
    std::string from;
    std::uint32_t size = 0;
    if (!source.value(from) || !source.value(size) || size > source.remaining())
      return false;
    if (into.is_passed_on)
      into.first = node_id::from_string(from).value_or(node_id{});
    else
      into.from = std::move(from);
    caf::binary_deserializer payload{source.context(), source.remainder().subspan(0, size)};
    if (!payload.apply(into.payload) || payload.remaining() > 0) {
      into.payload = {};
      into.unreadable = {errc::incompatible, "the agent's node cannot read this message; check "
                                             "that both know its types in the same version"};
    }
    source.skip(size);
    return true;
  }

  static problem damaged(std::string_view how) {
    return {errc::damaged, "a bundle of messages was refused, nothing of it delivered: "
                             + std::string{how} + "; check the version of the node it comes from"};
  }

  /// To be sent.
  caf::byte_buffer bytes_;
  std::size_t count_ = 0;
  std::size_t recipients_ = 0;
  /// In their order.
  std::vector<asked> asked_;
  /// Received.
  content arrived_;
};

} // namespace troupe::router
