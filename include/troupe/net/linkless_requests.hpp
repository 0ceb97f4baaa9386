#pragma once

#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/ids.hpp"
#include "troupe/net/attempts.hpp"
#include "troupe/net/types.hpp"

namespace troupe::net {

/// Decides what becomes of connections that are to be no links of this node: those that others
/// want relayed, and those over which nodes ask each other how to found a cluster. Part of
/// `link_table`, which has the connections and their deadlines.
///
/// - A node relays for those of its own cluster who prove who they are. Whether it reaches the
///   place that they name is the business of its owner (relay_table).
/// - Of a node that is to relay, only go or a refusal counts: who is at the other end proves that
///   itself, with a greeting of its own.
/// - A node with a cluster names it to members that ask how to found one. A node without asks its
///   owner what to say; each connection gets one answer.
/// - An answer counts if this node has asked, and if the member that it names has said it.
///
/// Has no state: each call gets the present hello of this node. Cost of a call: O(1).
class linkless_requests {
public:
  using effects = std::vector<effect>;

  /// It stays as it is.
  struct waits {};
  /// It is connected to another node from here on, and has the time of a greeting once more.
  struct begins_anew {};
  /// Whoever gets the effects has it. The table forgets it.
  struct handed_on {};
  struct given_up {
    verdict why = verdict::closed;
  };

  /// What becomes of a connection.
  using outcome = std::variant<waits, begins_anew, handed_on, given_up>;

  explicit linkless_requests(trust believes) : believes_(believes) {}

  /// What the dialler says first, as soon as the connection is ready.
  [[nodiscard]] static greeting opening(const hello& self, const attempt& it) {
    if (it.relayed_to)
      return relay_request{self.cluster, *it.relayed_to};
    if (it.asks)
      return bootstrap_request{self.wire, *it.asks};
    return self;
  }

  // -- relays --------------------------------------------------------------------

  /// Whoever wants that has proven to be of this cluster, if connections prove anything.
  outcome hear(const hello& self, connection_id connection, const attempt& it,
               const relay_request& said, effects& out) const {
    if (!it.may_ask())
      return given_up{verdict::bad_greeting};
    auto why = believes_ == trust::proven && !it.proven ? verdict::unproven
               : self.cluster == cluster_id{}           ? verdict::no_cluster
               : said.cluster != self.cluster           ? verdict::foreign
                                                        : verdict::go;
    if (why != verdict::go) {
      out.push_back(say{connection, answer{why, self}});
      return given_up{why};
    }
    out.push_back(relay_wanted{connection, said.to, it.proven});
    return handed_on{};
  }

  /// What the node says that was asked to relay this connection. Nothing else of its answer is
  /// believed.
  /// @pre `it.relayed_to` is set, and that node is connected
  outcome hear_relay(connection_id connection, attempt& it, verdict said, effects& out) const {
    if (said != verdict::go)
      return given_up{said};
    it.relayed_to.reset();
    it.is_relayed = true;
    it.proven.reset();
    it.connecting = true;
    out.push_back(start_over{connection});
    return begins_anew{};
  }

  // -- questions of nodes that found a cluster together ----------------------------

  outcome hear(const hello& self, connection_id connection, attempt& it,
               const bootstrap_request& said, effects& out) const {
    if (!it.may_ask())
      return given_up{verdict::bad_greeting};
    if (!it.proves(believes_, said.from.node))
      return reply(self, connection, verdict::unproven, {}, out);
    if (!common_wire(self.wire, said.wire))
      return reply(self, connection, verdict::incompatible, {}, out);
    if (self.cluster != cluster_id{})
      return reply(self, connection, verdict::go, {}, out);
    it.waits_for_answer = true;
    out.push_back(bootstrap_wanted{connection, said.from, it.proven});
    return waits{};
  }

  /// The owner of this node answers such a question.
  outcome take(const hello& self, const attempt& it, const bootstrap_reply& what,
               effects& out) const {
    if (!it.waits_for_answer)
      return waits{};
    auto has_cluster = self.cluster != cluster_id{}; // by now
    return reply(self, what.connection, has_cluster ? verdict::go : what.said, what.word, out);
  }

  outcome hear(const hello&, connection_id connection, const attempt& it,
               const bootstrap_answer& said, effects& out) const {
    if (it.connecting || !it.asks)
      return given_up{verdict::bad_greeting};
    if (!it.proves(believes_, said.from.node))
      return given_up{verdict::unproven};
    if (said.said != verdict::go)
      return given_up{said.said};
    out.push_back(bootstrap_heard{connection, said, it.proven});
    return handed_on{};
  }

private:
  /// The connection ends with the answer.
  static outcome reply(const hello& self, connection_id connection, verdict said,
                       founding_word word, effects& out) {
    if (said != verdict::go || self.cluster != cluster_id{})
      word = {.node = self.node};
    auto cluster = said == verdict::go ? self.cluster : cluster_id{};
    out.push_back(say{connection, bootstrap_answer{said, cluster, word}});
    return given_up{said == verdict::go ? verdict::asked : said};
  }

  trust believes_;
};

} // namespace troupe::net
