#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/security/datagram_session.hpp"
#include "troupe/security/key_agreement.hpp"

namespace troupe::security {

/// The peers to which one life of a node writes datagrams, and from which it reads some.
///
/// - A stranger's datagram costs a look into a table and leaves nothing behind.
/// - Who is known, and seals with a key that is not, has started again, or has missed that this
///   node has: it is asked who it is. That question is in the clear, so it says nothing but which
///   key it was, and is smaller than what it answers. Who is asked sees to it that the other learns
///   of its present life, over a link.
/// - The numbers of a session begin above those of all sessions that have ended: a peer that was
///   forgotten, and offers the same as before, gets none again, whatever the clock says.
/// - What was read of a peer is not read again until that peer is forgotten, or offers other keys.
///
/// Deterministic but for the keys. Not thread-safe. Cost: O(log n); the first datagram to or from a
/// life of a peer costs an agreement, about 0.1 ms.
class datagram_book {
public:
  /// How often in a second a peer is asked who it is. Anybody who knows its id can make this node
  /// ask it, and so keep it from asking that peer, but no other.
  static constexpr std::uint32_t max_questions = 2;
  /// Datagrams of one peer that are read in a second: many times what a member sends, and few
  /// enough that one that sends without end does not keep this node from the others.
  static constexpr std::uint32_t max_of_one = 200;
  /// How often a peer may say that it cannot read what this node sends it.
  static constexpr duration complain_every = std::chrono::seconds{1};
  /// How many peers may say so in a second. Each is told of this life over a link, which may have
  /// to be made, and whoever has seen datagrams to many peers can say it in the name of each. A
  /// peer that is left out is told when it does not answer a ping.
  static constexpr std::uint32_t max_unread = 50;

  /// Sealed by that peer, for this life of this node, and not read before.
  struct read {
    node_id from;
    std::string what;
  };

  /// Send this back to where the datagram came from.
  struct question {
    std::string what;
  };

  /// That peer cannot read what this node sends it, or somebody who has seen such a datagram says
  /// so: tell it of this life, over a link.
  struct unread {
    node_id by;
  };

  /// It is dropped, and counted.
  struct nothing {};

  using arrival = std::variant<nothing, read, question, unread>;

  /// Datagrams that were dropped.
  struct counts {
    /// Of strangers, under a key that is not known, and questions that nothing has proven.
    std::uint64_t strange = 0;
    /// Changed, or forged in the name of a peer.
    std::uint64_t damaged = 0;
    /// Their number has come before, or is too old to tell.
    std::uint64_t repeated = 0;
    /// Of no form of ours.
    std::uint64_t foreign = 0;
    /// Beyond max_of_one.
    std::uint64_t surplus = 0;

    friend bool operator==(const counts&, const counts&) = default;
  };

  /// Returns whether what was offered as that peer's is its own: asked once for each offer, before
  /// the first datagram to or from it.
  using prover = std::function<bool(const node_id& peer)>;

  datagram_book(const node_id& self, key_agreement own, const boot_salt& salt,
                std::size_t max_peers = 10'000, prover proves = {})
    : self_(self),
      own_(std::move(own)),
      offer_{own_.public_half(), salt},
      max_peers_(max_peers),
      proves_(std::move(proves)) {}

  /// What others need to write to this life.
  [[nodiscard]] const datagram_offer& offer() const {
    return offer_;
  }

  /// The life `boot` of `peer` has offered this, as was proven, or is asked of the `prover` later.
  /// What is known of a later life stays. Errors: limit_reached (too many peers).
  [[nodiscard]] problem know(const node_id& peer, boot_number boot, const datagram_offer& what) {
    auto found = peers_.find(peer);
    if (found == peers_.end()) {
      if (peers_.size() >= max_peers_)
        forget_barred();
      if (peers_.size() >= max_peers_)
        return {errc::limit_reached, "more than " + std::to_string(max_peers_)
                                       + " nodes to write datagrams to; this one is left out"};
      found = peers_.emplace(peer, entry{}).first;
      hints_.emplace(datagram_header::hint_of(peer), peer);
    } else if (boot < found->second.boot || what == found->second.offer) {
      // What was read under the key of an offer that is known is not read again.
      found->second.boot = std::max(found->second.boot, boot);
      found->second.is_barred = false;
      return {};
    }
    auto& known = found->second; // how often it was heard and asked stays
    known.is_barred = false;
    known.boot = boot;
    known.offer = what;
    end_session(known);
    known.is_useless = false;
    return {};
  }

  /// Nothing is written to it, and nothing of it is read, until it is known again.
  void bar(const node_id& peer) {
    if (auto found = peers_.find(peer); found != peers_.end())
      found->second.is_barred = true;
  }

  void forget(const node_id& peer) {
    auto found = peers_.find(peer);
    if (found == peers_.end())
      return;
    end_session(found->second);
    peers_.erase(found);
    auto [first, last] = hints_.equal_range(datagram_header::hint_of(peer));
    for (auto each = first; each != last; ++each)
      if (each->second == peer) {
        hints_.erase(each);
        return;
      }
  }

  [[nodiscard]] bool knows(const node_id& peer, boot_number boot) const {
    auto found = peers_.find(peer);
    return found != peers_.end() && !found->second.is_barred && found->second.boot >= boot;
  }

  /// Those to which it writes. Cost: O(n).
  [[nodiscard]] std::size_t size() const {
    return static_cast<std::size_t>(
      std::ranges::count_if(peers_, [](auto& each) { return !each.second.is_barred; }));
  }

  /// Errors: not_found (that life is not known), bad_argument (what it has offered is of no use),
  /// limit_reached (its key is worn out).
  [[nodiscard]] result<std::string> seal(const node_id& to, std::string_view what) {
    auto found = peers_.find(to);
    if (found == peers_.end() || found->second.is_barred)
      return problem{errc::not_found,
                     "node " + to_string(to) + " has offered no key for datagrams"};
    auto* session = session_of(*found);
    if (session == nullptr)
      return problem{errc::bad_argument,
                     "the key for datagrams of node " + to_string(to) + " is of no use"};
    return session->seal(what);
  }

  [[nodiscard]] arrival open(time_point now, std::string_view datagram) {
    if (auto header = datagram_header::read(datagram))
      return open(now, *header, datagram);
    if (datagram.size() == question_size && datagram.front() == question_format)
      return hear_question(now, datagram);
    ++counts_.foreign;
    return nothing{};
  }

  [[nodiscard]] const counts& counted() const {
    return counts_;
  }

private:
  /// How much there was since the second began that the first of it began.
  class in_one_second {
  public:
    /// Returns whether there were fewer than `most` before.
    bool take(time_point now, std::uint32_t most) {
      if (!since_ || now - *since_ >= std::chrono::seconds{1}) {
        since_ = now;
        count_ = 0;
      }
      if (count_ == most)
        return false;
      ++count_;
      return true;
    }

  private:
    std::optional<time_point> since_;
    std::uint32_t count_ = 0;
  };

  struct entry {
    boot_number boot = 0;
    datagram_offer offer{};
    /// Made with the first datagram.
    std::optional<datagram_session> session{};
    bool is_useless = false;
    bool is_barred = false;
    std::optional<time_point> complained{};
    in_one_second read_lately{};
    in_one_second asked_lately{};
  };

  static constexpr char question_format = 2;
  /// The hint of who asks, and that of the key that it does not know.
  static constexpr std::size_t question_size = 17;

  using peers = std::map<node_id, entry>;

  datagram_session* session_of(peers::value_type& peer) {
    auto& each = peer.second;
    if (!each.session && !each.is_useless && proves_ && !proves_(peer.first))
      each.is_useless = true;
    if (!each.session && !each.is_useless) {
      auto made
        = datagram_session::make(self_, own_, offer_, peer.first, each.offer, first_number_);
      if (made)
        each.session.emplace(*std::move(made));
      else
        each.is_useless = true;
    }
    return each.session ? &*each.session : nullptr;
  }

  /// A later one of the same two offers has the same keys.
  void end_session(entry& of) {
    if (of.session)
      first_number_ = std::max(first_number_, of.session->next_number());
    of.session.reset();
  }

  arrival open(time_point now, const datagram_header& header, std::string_view datagram) {
    auto [first, last] = hints_.equal_range(header.sender);
    if (first == last) {
      ++counts_.strange;
      return nothing{};
    }
    for (auto each = first; each != last; ++each) {
      auto& peer = *peers_.find(each->second);
      auto* session = peer.second.is_barred ? nullptr : session_of(peer);
      if (session == nullptr || session->key_of_peer() != header.key)
        continue;
      auto found = session->open(datagram);
      if (!found)
        ++(session->is_new(header.number) ? counts_.damaged : counts_.repeated);
      else if (!peers_.at(each->second).read_lately.take(now, max_of_one))
        ++counts_.surplus;
      else
        return read{each->second, *std::move(found)};
      return nothing{};
    }
    ++counts_.strange;
    auto& whom = peers_.at(first->second);
    return whom.is_barred ? arrival{nothing{}} : ask(now, whom, header.key);
  }

  arrival ask(time_point now, entry& whom, std::uint64_t key) {
    if (!whom.asked_lately.take(now, max_questions))
      return nothing{};
    auto made = datagram_header{datagram_header::hint_of(self_), key, 0}.to_bytes();
    made.resize(question_size);
    made.front() = question_format;
    return question{std::move(made)};
  }

  arrival hear_question(time_point now, std::string_view what) {
    auto bytes = std::string{what};
    bytes.front() = datagram_header::format;
    bytes.resize(datagram_header::size);
    auto header = datagram_header::read(bytes);
    auto [first, last] = hints_.equal_range(header->sender);
    for (auto each = first; each != last; ++each) {
      auto& peer = peers_.at(each->second);
      // Only who has seen what was sealed with it can name that key.
      if (peer.is_barred || !peer.session || peer.session->own_key() != header->key)
        continue;
      if (peer.complained && now - *peer.complained < complain_every)
        break;
      if (!unread_lately_.take(now, max_unread))
        break;
      peer.complained = now;
      return unread{each->second};
    }
    ++counts_.strange;
    return nothing{};
  }

  void forget_barred() {
    auto found = std::ranges::find_if(peers_, [](auto& each) { return each.second.is_barred; });
    if (found != peers_.end())
      forget(node_id{found->first});
  }

  const node_id self_;
  const key_agreement own_;
  const datagram_offer offer_;
  const std::size_t max_peers_;
  const prover proves_;
  /// Of the sessions that are made from here on: above all that were used in those that have ended.
  std::uint64_t first_number_ = 0;
  peers peers_;
  /// Of all peers.
  in_one_second unread_lately_;
  /// Two ids may begin alike.
  std::multimap<std::uint64_t, node_id> hints_;
  counts counts_;
};

} // namespace troupe::security
