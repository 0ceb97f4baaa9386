#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "troupe/core/fields.hpp"
#include "troupe/core/fixed_bytes.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/secret.hpp"
#include "troupe/security/aes_gcm.hpp"
#include "troupe/security/key_agreement.hpp"
#include "troupe/security/replay_window.hpp"

namespace troupe::security {

/// 32 random bytes of one life of a node: with them no key is used in two lives.
using boot_salt = fixed_bytes<struct boot_salt_tag, 32>;

/// What others need to write datagrams to one life of a node. Signed by it, elsewhere.
struct datagram_offer {
  agreement_key key{};
  boot_salt salt{};

  friend bool operator==(const datagram_offer&, const datagram_offer&) = default;

  TROUPE_FIELDS(datagram_offer, key, salt);
};

/// What a datagram says in the clear.
struct datagram_header {
  /// The first bytes of the id of its sender, and of the key that it is sealed with: hints, proven
  /// by the seal.
  std::uint64_t sender = 0;
  std::uint64_t key = 0;
  std::uint64_t number = 0;

  static constexpr char format = 1;
  static constexpr std::size_t size = 25;

  friend bool operator==(const datagram_header&, const datagram_header&) = default;

  [[nodiscard]] std::string to_bytes() const {
    std::string made(1, format);
    for (auto value : {sender, key, number})
      for (auto byte = 0U; byte < 8; ++byte)
        made.push_back(static_cast<char>((value >> (8U * byte)) & 0xffU));
    return made;
  }

  /// Nothing, if it is none of ours.
  static std::optional<datagram_header> read(std::string_view bytes) {
    if (bytes.size() < size || bytes.front() != format)
      return std::nullopt;
    datagram_header found;
    std::size_t at = 1;
    for (auto* value : {&found.sender, &found.key, &found.number})
      for (auto byte = 0U; byte < 8; ++byte)
        *value |= std::uint64_t{static_cast<unsigned char>(bytes[at++])} << (8U * byte);
    return found;
  }

  static std::uint64_t hint_of(const node_id& node) {
    std::uint64_t made = 0;
    for (auto byte = 0U; byte < 8; ++byte)
      made |= std::uint64_t{static_cast<unsigned char>(node.bytes[byte])} << (8U * byte);
    return made;
  }
};

/// Datagrams between one life of this node and one life of another: who reads one knows that the
/// other has sent it, to this life of this node, and has not read it before. Each direction has a
/// key of its own, which both make from their X25519 keys, their salts and their ids. Not
/// thread-safe. Cost: about 2 us for 1 KiB.
class datagram_session {
public:
  /// Bytes that a datagram has beside what it says.
  static constexpr std::size_t overhead = datagram_header::size + aes_gcm::tag_size;
  /// Beyond these a life needs a new salt.
  static constexpr std::uint64_t max_datagrams = std::uint64_t{1} << 32U;

  /// `own` offers what `mine` says. The first datagram has the number `first`: above all that were
  /// sealed before in a session of the same two offers, as no number may be used twice with a key.
  /// Errors: bad_argument (the other side's key is of no use).
  static result<datagram_session> make(const node_id& self, const key_agreement& own,
                                       const datagram_offer& mine, const node_id& peer,
                                       const datagram_offer& theirs, std::uint64_t first = 0) {
    auto shared = own.agree_with(theirs.key);
    if (!shared)
      return shared.error();
    auto out = keys_of(*shared, self, mine, peer, theirs);
    auto in = keys_of(*shared, peer, theirs, self, mine);
    if (!out || !in)
      return (!out ? out : in).error();
    return datagram_session{self, peer, *std::move(out), *std::move(in), first};
  }

  /// Above those of all datagrams that this side has sealed.
  [[nodiscard]] std::uint64_t next_number() const {
    return next_;
  }

  /// What the headers of this side say of their key.
  [[nodiscard]] std::uint64_t own_key() const {
    return out_.hint;
  }

  /// What the headers of the other side say of their key.
  [[nodiscard]] std::uint64_t key_of_peer() const {
    return in_.hint;
  }

  /// Errors: limit_reached, after max_datagrams.
  [[nodiscard]] result<std::string> seal(std::string_view what) {
    if (next_ - first_ == max_datagrams)
      return problem{errc::limit_reached,
                     "so many datagrams went to this node that their key is worn out; it lasts "
                     "until one of the two starts again"};
    datagram_header header{datagram_header::hint_of(self_), out_.hint, next_++};
    auto made = header.to_bytes();
    made += out_.cipher.seal(nonce_of(header.number), made, what);
    return made;
  }

  /// Whether a datagram with that number, if the other side has sent it, has not come before.
  [[nodiscard]] bool is_new(std::uint64_t number) const {
    return seen_.is_new(number);
  }

  /// Nothing, if the other side has not sent it, or it has come before.
  [[nodiscard]] std::optional<std::string> open(std::string_view datagram) {
    auto header = datagram_header::read(datagram);
    if (!header || header->key != in_.hint || header->sender != datagram_header::hint_of(peer_)
        || !seen_.is_new(header->number))
      return std::nullopt;
    auto found
      = in_.cipher.open(nonce_of(header->number), datagram.substr(0, datagram_header::size),
                        datagram.substr(datagram_header::size));
    if (found)
      seen_.note(header->number);
    return found;
  }

private:
  struct direction {
    aes_gcm cipher;
    std::uint64_t hint = 0;
  };

  datagram_session(const node_id& self, const node_id& peer, direction out, direction in,
                   std::uint64_t first)
    : self_(self),
      peer_(peer),
      out_(std::move(out)),
      in_(std::move(in)),
      first_(first),
      next_(first) {}

  template <class Bytes>
  static std::string_view text(const Bytes& what) {
    return {reinterpret_cast<const char*>(what.bytes.data()), what.bytes.size()};
  }

  static result<direction> keys_of(const secret& shared, const node_id& from,
                                   const datagram_offer& of_sender, const node_id& to,
                                   const datagram_offer& of_receiver) {
    constexpr std::size_t hint_size = 8;
    std::string salt{text(of_sender.salt)};
    salt += text(of_receiver.salt);
    std::string info = "troupe.datagram\n";
    for (auto each : {text(from), text(to), text(of_sender.key), text(of_receiver.key)})
      info += each;
    auto made = hkdf_sha256(shared.bytes(), salt, info, aes_gcm::key_size + hint_size);
    if (!made)
      return made.error();
    std::uint64_t hint = 0;
    for (auto byte = 0U; byte < hint_size; ++byte)
      hint |= std::uint64_t{static_cast<unsigned char>(made->bytes()[aes_gcm::key_size + byte])}
              << (8U * byte);
    return direction{aes_gcm{secret::take(made->bytes().first(aes_gcm::key_size))}, hint};
  }

  static aes_gcm::nonce nonce_of(std::uint64_t number) {
    aes_gcm::nonce made{};
    for (auto byte = 0U; byte < 8; ++byte)
      made[byte] = static_cast<unsigned char>((number >> (8U * byte)) & 0xffU);
    return made;
  }

  node_id self_;
  node_id peer_;
  direction out_;
  direction in_;
  std::uint64_t first_;
  std::uint64_t next_;
  replay_window seen_;
};

} // namespace troupe::security
