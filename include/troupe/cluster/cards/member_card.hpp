#pragma once

#include <string>

#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/security/datagram_session.hpp"

namespace troupe::cluster {

/// With what others write datagrams to one life of a node.
struct offer_of_life {
  node_id node{};
  boot_number boot = 0;
  security::datagram_offer offer{};

  friend bool operator==(const offer_of_life&, const offer_of_life&) = default;

  TROUPE_FIELDS(offer_of_life, node, boot, offer);
};

/// The bytes that a node signs. Nothing else that it signs begins as they do.
inline std::string to_be_signed(const offer_of_life& what) {
  return "troupe.datagram.offer\n" + to_bytes(what);
}

/// By which members make a node known to each other, over links.
struct member_card {
  public_key key{};
  /// What the node has said last.
  signed_statement said{};
  /// Of the same life.
  offer_of_life offers{};
  signature of_offers{};
  /// The certificate of its identity, in PEM; empty with insecure links.
  std::string certificate{};

  friend bool operator==(const member_card&, const member_card&) = default;

  TROUPE_FIELDS(member_card, key, said, offers, of_offers, certificate);
};

} // namespace troupe::cluster
