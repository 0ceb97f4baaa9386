#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "fuzz/laws.hpp"
#include "troupe/security/datagram_book.hpp"

namespace datagram_fuzz {

namespace {

// What comes to the socket of a node, which knows one peer. Each part has two bytes of length, of
// which the lowest two bits say what it is: any bytes; what the peer seals; the last one of these
// again, with the changes that pairs of a place and a mask say; or what happens beside datagrams.

using namespace troupe;
using namespace troupe::security;

datagram_book book_of(int node, int life) {
  std::array<std::byte, agreement_key::size> secret{};
  secret.fill(static_cast<std::byte>(16 * node + life));
  boot_salt salt;
  salt.bytes.fill(static_cast<std::byte>(life));
  node_id id;
  id.bytes.fill(static_cast<std::byte>(node));
  return {id, key_agreement::of(secret), salt, 2};
}

node_id id_of_node(int node) {
  node_id made;
  made.bytes.fill(static_cast<std::byte>(node));
  return made;
}

class victim {
public:
  victim() {
    get_to_know();
  }

  void take(unsigned kind, std::string_view bytes) {
    switch (kind) {
      case 0:
        return hear(std::string{bytes});
      case 1:
        if (auto made = peer_->seal(id_of_node(1), bytes)) {
          last_ = *made;
          sealed_.emplace(*std::move(made), bytes);
          hear(std::string{last_});
        }
        return;
      case 2: {
        auto changed = last_;
        for (; bytes.size() >= 2 && !changed.empty(); bytes.remove_prefix(2)) {
          auto& place = changed[static_cast<unsigned char>(bytes[0]) % changed.size()];
          place = static_cast<char>(static_cast<unsigned char>(place)
                                    ^ static_cast<unsigned char>(bytes[1]));
        }
        return hear(changed);
      }
      default:
        return happen(bytes.empty() ? 0U : static_cast<unsigned char>(bytes[0]));
    }
  }

private:
  void happen(unsigned what) {
    switch (what % 5) {
      case 0:
        now_ += std::chrono::milliseconds{500};
        return;
      case 1:
        it_.forget(id_of_node(2));
        read_.clear();
        return get_to_know();
      case 2:
        return it_.bar(id_of_node(2));
      case 3:
        return get_to_know();
      default: // it starts again, of which this node has yet to hear
        if (life_ < 10)
          peer_.emplace(book_of(2, ++life_));
        test::must_hold(!peer_->know(id_of_node(1), 1, it_.offer()), "a peer has room for a node");
    }
  }

  void get_to_know() {
    if (std::exchange(known_, life_) != life_)
      read_.clear(); // it has shown other keys
    test::must_hold(!it_.know(id_of_node(2), static_cast<boot_number>(life_), peer_->offer()),
                    "a node has room for its peer");
    test::must_hold(!peer_->know(id_of_node(1), 1, it_.offer()), "a peer has room for a node");
  }

  void hear(const std::string& datagram) {
    auto before = dropped();
    auto found = it_.open(now_, datagram);
    auto is_dropped = std::holds_alternative<datagram_book::nothing>(found)
                      || std::holds_alternative<datagram_book::question>(found);
    test::must_hold(dropped() == before + (is_dropped ? 1 : 0), "what is dropped counts once");
    test::must_hold(it_.size() <= 1, "no datagram makes anybody known");
    if (auto* got = std::get_if<datagram_book::read>(&found)) {
      auto known = sealed_.find(datagram);
      test::must_hold(got->from == id_of_node(2) && known != sealed_.end()
                        && got->what == known->second,
                      "only what the peer has sealed is read, as it was");
      test::must_hold(read_.insert(datagram).second, "a datagram is read once");
    }
    if (auto* asks = std::get_if<datagram_book::question>(&found)) {
      test::must_hold(asks->what.size() < datagram.size(), "an answer is smaller than its cause");
      static_cast<void>(peer_->open(now_, asks->what));
    }
    if (auto* unread = std::get_if<datagram_book::unread>(&found))
      test::must_hold(unread->by == id_of_node(2), "only who is known is told of this life");
  }

  [[nodiscard]] std::uint64_t dropped() const {
    auto& all = it_.counted();
    return all.strange + all.damaged + all.repeated + all.foreign + all.surplus;
  }

  datagram_book it_ = book_of(1, 1);
  std::optional<datagram_book> peer_{book_of(2, 1)}; // there is always one
  int life_ = 1;
  /// That the node knows.
  int known_ = 1;
  time_point now_{std::chrono::hours{1}};
  std::string last_;
  /// By the peer, with what is in them.
  std::map<std::string, std::string> sealed_;
  /// Since the peer was forgotten, or has shown other keys.
  std::set<std::string> read_;
};

int one_input(const std::uint8_t* data, std::size_t size) {
  victim who;
  test::for_each_message(test::text_of(data, size),
                         [&who](unsigned kind, std::string_view bytes) { who.take(kind, bytes); });
  return 0;
}

} // namespace

} // namespace datagram_fuzz

TROUPE_FUZZER(datagram, datagram_fuzz::one_input)
