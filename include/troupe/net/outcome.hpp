#pragma once

#include <string>

#include "troupe/core/problem.hpp"
#include "troupe/net/greeting.hpp"

namespace troupe::net {

/// Returns what `why` means for the caller that dialled `where`: what happened, and what to do.
/// `system_says` is why there was no connection, in the system's words.
/// @pre `why` is not go.
inline problem to_problem(verdict why, const std::string& where,
                          const std::string& system_says = {}) {
  auto is = [&](errc code, const std::string& sentence) {
    return problem{code, where + " " + sentence};
  };
  switch (why) {
    case verdict::go:
    case verdict::admitted: // these three end no dial
    case verdict::not_admitted:
    case verdict::asked:
      break;
    case verdict::foreign:
      return is(errc::bad_argument, "is a node of another cluster; check the address");
    case verdict::no_cluster:
      return is(errc::unreachable, "belongs to no cluster yet; retry once it has joined or founded "
                                   "one, its log says what it waits for");
    case verdict::incompatible:
      return is(errc::incompatible, "and this node have no protocol version in common; upgrade "
                                    "the older of the two");
    case verdict::myself:
      return is(errc::bad_argument, "is this node itself; give the address of another");
    case verdict::duplicate:
      return is(errc::in_use, "has heard just now of another process with this node's identity; "
                              "stop one of the two: data folders must not be copied");
    case verdict::old_boot:
      return is(errc::in_use, "has seen a later start of this node's identity; if another process "
                              "has a copy of its data folder, stop one of the two");
    case verdict::linked:
    case verdict::greeting:
    case verdict::dialling:
    case verdict::crossed:
      return is(errc::busy, "has another connection with this node that did not become a link in "
                            "time; retry");
    case verdict::full:
      return is(errc::limit_reached, "has no room for another link; retry with backoff, or raise "
                                     "table_options::max_members, max_clients or "
                                     "max_links_of_one_client there");
    case verdict::unproven:
      return is(errc::bad_argument,
                "and this node do not prove by their certificates what they say "
                "they are; give each its own certificate, and a member one "
                "with the role member (troupe ca issue)");
    case verdict::no_relay:
      return is(errc::unreachable, "does not relay to the node of the services: it has no direct "
                                   "link to that node itself");
    case verdict::unreachable:
      return is(errc::unreachable,
                "cannot be reached: " + (system_says.empty() ? "no answer" : system_says)
                  + "; check that a node listens there, then retry");
    case verdict::timed_out:
      return is(errc::unreachable,
                "accepted the connection but did not greet in time; it hangs, or "
                "is not a troupe node");
    case verdict::closed:
      return is(errc::unreachable, "closed the connection before there was a link; it is stopping, "
                                   "is not a troupe node, or only one of the two has "
                                   "certificates");
    case verdict::bad_greeting:
      return is(errc::bad_argument,
                "answered, but is not a troupe node, or only one of the two has "
                "certificates; check both");
    case verdict::wrong_node:
      return is(errc::unreachable, "is another node than the one that was dialled: that has ended, "
                                   "has moved, or was started anew without its data folder; retry");
    case verdict::displaced:
      return is(errc::busy, "was dropped for newer connections; retry with backoff");
    case verdict::not_secured:
      return is(errc::bad_argument,
                "cannot be linked securely: "
                  + (system_says.empty() ? "the other side did not prove who it is" : system_says));
    case verdict::denied:
      return is(errc::denied, "cannot be linked: " + system_says);
    case verdict::encrypted:
      return is(errc::bad_argument,
                "has encrypted links, and this side has link_options::insecure; leave that out and "
                "give a certificate (troupe login, or troupe ca issue), or start both with it");
    case verdict::stopped:
      return is(errc::cancelled, "was being dialled when this node stopped");
  }
  return is(errc::unreachable, "refused for a reason that this version does not know (number "
                                 + std::to_string(static_cast<unsigned>(why))
                                 + "); upgrade this node");
}

} // namespace troupe::net
