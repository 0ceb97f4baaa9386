#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "troupe/core/enclosed_request.hpp"
#include "troupe/net/basp_filter.hpp"

namespace troupe::net {

/// What the peer of one link may address: the entry point of this node, the actors whose handles
/// this node has sent over this link, and each request that it has sent there, with one answer.
/// BASP itself delivers whatever is sent to the number of an actor, and numbers are easy to guess.
///
/// Answers to requests that lie inside messages (enclosed_request) pass to the entry point
/// in any case, as those are not seen here: the router looks itself who answers.
///
/// Learns from the bytes that this node writes. Not known by it, and so without effect, are
/// messages to an actor that the peer has heard of from a third node.
///
/// For one thread. Cost: O(1) for a message, and a search for this node's id in what it writes.
class grants {
public:
  /// Actors whose handles were in messages. Then the one that was used least recently is
  /// forgotten.
  static constexpr std::size_t max_handles = 10'000;
  /// Actors that have sent a message, for answers by message. As max_handles.
  static constexpr std::size_t max_senders = 10'000;
  /// Requests without an answer. Then the oldest one is forgotten.
  static constexpr std::size_t max_requests = 65'536;

  /// `self` is the BASP node id of this node, as CAF serializes it; not empty.
  grants(std::uint64_t entry_point, std::string self)
    : entry_point_(entry_point), self_(std::move(self)) {
    assert(!self_.empty());
  }

  /// Learns from BASP messages that this node sends to the peer. Returns how many of `bytes` these
  /// are: where CAF cannot write the content of a message, it leaves a part of that behind an empty
  /// header.
  std::size_t sent(std::span<const std::byte> bytes) {
    auto rest = bytes;
    while (rest.size() >= basp_header::wire_bytes) {
      auto header = basp_header::from_bytes(rest);
      if (header.what == basp_header::operation::server_handshake && header.payload_bytes == 0)
        break; // none is that short
      auto behind = rest.subspan(basp_header::wire_bytes);
      auto payload = behind.first(std::min<std::size_t>(behind.size(), header.payload_bytes));
      rest = behind.subspan(payload.size());
      if (header.what == basp_header::operation::direct_message)
        note(header, {reinterpret_cast<const char*>(payload.data()), payload.size()});
    }
    return bytes.size() - rest.size();
  }

  /// Returns why a message of the peer is dropped; empty if it may be delivered. An answer is
  /// accepted once.
  std::string_view refusal(const basp_header& seen) {
    using enum basp_header::operation;
    if (seen.what == monitor_message)
      return reaches(seen.destination) ? "" : "it monitors an actor that it was not told of";
    if (seen.what != direct_message || (seen.flags & basp_header::named_receiver) != 0)
      return "";
    if (is_answer(seen.data))
      return answered(seen) || (is_enclosed(seen) && is_entry_point(seen.destination))
               ? ""
               : "it answers what it was not asked";
    return reaches(seen.destination) ? "" : "it sends to an actor that it was not told of";
  }

  /// Whether a message with the number `data` is an answer to a request.
  static bool is_answer(std::uint64_t data) {
    return (data & answer_flag) != 0;
  }

private:
  /// A set that forgets the element used least recently.
  template <class T, class Hash>
  class recent_set {
  public:
    explicit recent_set(std::size_t most) : most_(most) {}

    void use(const T& what) {
      if (touch(what))
        return;
      if (order_.size() >= most_) {
        known_.erase(order_.front());
        order_.pop_front();
      }
      known_.emplace(what, order_.insert(order_.end(), what));
    }

    /// Returns whether it is known, and counts that as a use.
    bool touch(const T& what) {
      auto found = known_.find(what);
      if (found == known_.end())
        return false;
      order_.splice(order_.end(), order_, found->second);
      return true;
    }

    bool erase(const T& what) {
      auto found = known_.extract(what);
      if (!found)
        return false;
      order_.erase(found.mapped());
      return true;
    }

  private:
    std::size_t most_;
    std::list<T> order_; // least recently used first
    std::unordered_map<T, typename std::list<T>::iterator, Hash> known_;
  };

  /// Of a request: who asked, and the number that CAF gave it.
  struct asked {
    std::uint64_t actor = 0;
    std::uint64_t number = 0;

    friend bool operator==(const asked&, const asked&) = default;
  };

  struct hash {
    std::size_t operator()(const asked& what) const {
      return std::hash<std::uint64_t>{}(what.actor * 0x9E3779B97F4A7C15U ^ what.number);
    }
  };

  // The number of a message in CAF: two flags, two bits of its category, the number of the request.
  static constexpr std::uint64_t answer_flag = std::uint64_t{1} << 63U;
  static constexpr std::uint64_t request_number = ~std::uint64_t{0} >> 4U;

  void note(const basp_header& header, std::string_view payload) {
    if (header.source != 0 && header.source != entry_point_)
      senders_.use(header.source);
    if (!is_answer(header.data) && (header.data & request_number) != 0)
      requests_.use({header.source, header.data & request_number});
    constexpr auto number_bytes = sizeof(std::uint64_t); // an actor's, before the id of its node
    for (auto at = find_self(payload, 0); at; at = find_self(payload, *at + self_.size()))
      if (*at >= number_bytes)
        handles_.use(to_number(payload.substr(*at - number_bytes, number_bytes)));
  }

  /// memmem, because std::string_view::find takes 1 to 6 ms for a MiB of small numbers.
  [[nodiscard]] std::optional<std::size_t> find_self(std::string_view in, std::size_t from) const {
    if (from >= in.size())
      return std::nullopt;
    auto* found = ::memmem(in.data() + from, in.size() - from, self_.data(), self_.size());
    if (found == nullptr)
      return std::nullopt;
    return static_cast<std::size_t>(static_cast<const char*>(found) - in.data());
  }

  static std::uint64_t to_number(std::string_view bytes) {
    std::uint64_t result = 0;
    for (auto each : bytes)
      result = result << 8U | static_cast<unsigned char>(each);
    return result;
  }

  /// Comes from an actor, so that the router can see whose it is.
  static bool is_enclosed(const basp_header& answer) {
    return (answer.data & enclosed_request) != 0 && answer.source != 0;
  }

  [[nodiscard]] bool is_entry_point(std::uint64_t actor) const {
    return actor == entry_point_ && actor != 0;
  }

  bool reaches(std::uint64_t actor) {
    return is_entry_point(actor) || handles_.touch(actor) || senders_.touch(actor);
  }

  bool answered(const basp_header& seen) {
    return requests_.erase({seen.destination, seen.data & request_number});
  }

  std::uint64_t entry_point_;
  std::string self_;
  recent_set<std::uint64_t, std::hash<std::uint64_t>> handles_{max_handles};
  recent_set<std::uint64_t, std::hash<std::uint64_t>> senders_{max_senders};
  recent_set<asked, hash> requests_{max_requests};
};

} // namespace troupe::net
