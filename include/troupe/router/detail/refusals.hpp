#pragma once

#include <cstddef>
#include <string>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/names.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/message_options.hpp"
#include "troupe/router/types.hpp"

/// What routers say where they cannot do what they were asked for.
namespace troupe::router::detail {

/// The node of an agent may be away, which the registry of this node still shows.
inline problem nobody(const recipients& who) {
  constexpr std::size_t max_shown = 64;
  auto shown = who.name.substr(0, max_shown);
  return who.who == audience::agent
           ? problem{errc::not_found,
                     "no agent '" + shown
                       + "' is there; check its id, or wait until it is registered, or its node is "
                         "back"}
           : problem{errc::not_found,
                     "no agent with the capability '" + shown
                       + "' is there; check its name, or start one, or wait until a node is back"};
}

/// It may be one that this node has not heard of: nobody has told it yet who is there.
inline problem not_told_yet(const recipients& who) {
  constexpr std::size_t max_shown = 64;
  return {errc::unreachable,
          std::string{who.who == audience::agent ? "no agent '" : "no agent with the capability '"}
            + who.name.substr(0, max_shown)
            + "' is known yet: this node has not been told who is in its cluster since it "
              "started; retry with backoff, or ask another node"};
}

/// It was on a node that has begun a later life, and has not said since who is there.
inline problem not_back_yet(const recipients& who) {
  constexpr std::size_t max_shown = 64;
  return {errc::unreachable, "agent '" + who.name.substr(0, max_shown)
                               + "' was on a node that has just started again, and is not back "
                                 "there yet; retry with backoff"};
}

/// An agent was said to be on this node, maybe in its last life.
inline problem not_here_yet(const agent_id& id) {
  constexpr std::size_t max_shown = 64;
  return {errc::unreachable, "the node of agent '" + id.text().substr(0, max_shown)
                               + "' has just started, and may not have it yet; retry with backoff"};
}

/// An agent was said to be on this node.
inline problem no_agent(const agent_id& id) {
  constexpr std::size_t max_shown = 64;
  return {errc::not_found,
          "no agent '" + id.text().substr(0, max_shown) + "' is on this node; look it up again"};
}

/// Its handle was asked for from another process.
inline problem of_no_use(const agent_id& id) {
  constexpr std::size_t max_shown = 64;
  return {errc::bad_argument, "agent '" + id.text().substr(0, max_shown)
                                + "' lives on another node than the one asked, and handles are of "
                                  "use only with a link to its own; send to its id instead"};
}

inline problem no_answer_in_time() {
  return {errc::timed_out, "no answer in time; look at the state before a repeat"};
}

/// `missing` is a signature of a typed actor.
inline problem wrong_type(const agent_id& id, const std::string& missing) {
  constexpr std::size_t max_shown = 64;
  return {errc::wrong_type,
          "agent '" + id.text().substr(0, max_shown) + "' does not say that it takes " + missing
            + "; make it with node::agent<Type>(), and have both programs use the "
              "same Type"};
}

inline problem error_alone() {
  return {errc::wrong_type,
          "an error alone is no message for an agent; put it beside a value, or into a struct"};
}

/// Also of one that was on its way.
inline problem expired() {
  return {errc::expired, "the ttl of the message ran out before its agent could get it; it was not "
                         "delivered, send it again with a longer message_options::ttl if it still "
                         "matters"};
}

inline problem let_go() {
  return {errc::expired,
          "an operator has let go of the message, as no node in reach had its agent; "
          "it was not delivered, send it again if it still matters"};
}

inline problem has_stopped() {
  return {errc::cancelled, "this node has stopped; nothing was sent"};
}

/// It is about to end.
inline problem accepts_no_more() {
  return {errc::cancelled, "this node ends and accepts no more messages of class confirm or once; "
                           "nothing was sent, send it from another node"};
}

/// The router has ended.
inline problem node_stops() {
  return {errc::cancelled, "the node is stopping; nothing was sent"};
}

/// `own`: of whoever asks.
inline problem too_many_pending(std::size_t pending, std::size_t own) {
  return {errc::limit_reached, std::to_string(pending) + " requests wait for other nodes, "
                                 + std::to_string(own)
                                 + " of the same sender; retry with backoff or raise "
                                   "router_options::max_pending"};
}

/// Nodes are named by their ids, of which people see the first digits.
inline problem too_much_waits(const node_id& node, std::size_t bytes) {
  constexpr std::size_t max_shown = 8;
  return {errc::limit_reached, std::to_string(bytes) + " bytes wait for node "
                                 + to_string(node).substr(0, max_shown)
                                 + "; nothing was sent, retry with backoff or raise "
                                   "router_options::max_waiting_bytes"};
}

/// For all nodes together.
inline problem too_much_waits_in_all(const node_id& node, std::size_t bytes, std::size_t all) {
  constexpr std::size_t max_shown = 8;
  return {errc::limit_reached, std::to_string(all) + " bytes wait for other nodes, "
                                 + std::to_string(bytes) + " of them for node "
                                 + to_string(node).substr(0, max_shown)
                                 + "; nothing was sent, retry with backoff or raise "
                                   "router_options::max_all_waiting_bytes"};
}

inline problem too_large(std::size_t bytes, std::size_t most) {
  return {errc::too_large, "a message of " + std::to_string(bytes)
                             + " bytes is above router_options::max_message_bytes ("
                             + std::to_string(most) + "); send it in pieces"};
}

inline problem answer_too_large(std::size_t bytes, std::size_t most) {
  return {errc::too_large, "the agent's answer of " + std::to_string(bytes)
                             + " bytes is above router_options::max_message_bytes ("
                             + std::to_string(most) + "); have it answer in pieces"};
}

/// The agent has answered already.
inline problem too_many_answers(std::size_t bytes, const std::string& bound) {
  return {errc::outcome_unknown, "the agent has answered, but " + std::to_string(bytes)
                                   + " bytes wait already (router_options::" + bound
                                   + " there); ask for less at a time"};
}

/// The agent may answer yet, but nobody waits for it any more.
inline problem no_answer(std::size_t pending) {
  return {errc::outcome_unknown,
          "the agent has not answered while " + std::to_string(pending)
            + " later requests came to its node (router_options::max_pending); have it answer "
              "every request"};
}

/// For lack of room, or for the share that the others leave its tenant.
inline problem inbox_full(const agent_id& id) {
  constexpr std::size_t max_shown = 64;
  return {errc::limit_reached,
          "as many messages wait for agent '" + id.text().substr(0, max_shown)
            + "', for the same tenant there (message_options::tenant), or for all agents of its "
              "node, as may; it did not get this one, retry with backoff or raise "
              "agent_options::inbox, or router_options::max_all_waiting_bytes there"};
}

/// `waiting`: for room, with those of others.
inline problem no_place_in_line(std::size_t waiting) {
  return {errc::limit_reached, std::to_string(waiting)
                                 + " messages wait for room at this node, as many of this sender "
                                   "as may (router_options::max_pending and "
                                   "max_all_waiting_bytes); nothing was sent, retry with backoff"};
}

/// Of message_options::wait_for_room.
inline problem waits_for_one() {
  return {errc::bad_argument,
          "message_options::wait_for_room is for request(), async_request() and post() to "
          "to_agent() or to_any(); send() does not wait, and nothing for many does: leave it out"};
}

/// It waits for room as well.
inline problem behind_others(const recipients& to) {
  constexpr std::size_t max_shown = 64;
  return {errc::limit_reached, "there was no word of room at '" + to.name.substr(0, max_shown)
                                 + "', or others waited for it before this one"};
}

/// It has waited for room as long as it may.
inline problem waited_in_vain(problem why) {
  why.detail = "no room in the time of the call, so nothing was sent; wait longer, or send less: "
               + why.detail;
  return why;
}

inline problem unwritable() {
  return {errc::bad_argument, "the message holds a value that cannot be sent to another node; send "
                              "types that can be serialized"};
}

inline problem too_many_confirms(const agent_id& id, std::size_t own, std::size_t all,
                                 std::size_t bytes) {
  constexpr std::size_t max_shown = 64;
  return {errc::limit_reached,
          std::to_string(all) + " messages of class confirm or once with " + std::to_string(bytes)
            + " bytes have not ended, " + std::to_string(own) + " of them for agent '"
            + id.text().substr(0, max_shown)
            + "'; nothing was sent, retry with backoff or raise router_options::max_confirms and "
              "max_confirm_bytes"};
}

/// `last`: what the agent said of it at last.
inline problem given_up(const problem& last) {
  return {last.code == errc::none ? errc::failed : last.code,
          "the agent failed to handle the message, and it was given up (router_options::"
          "max_deliveries of its node); at last: "
            + last.detail};
}

/// Why a message is given up: its node has ended so often while the agent had it.
inline problem ended_with_it(std::uint32_t times) {
  return {errc::failed, "its node ended without a clean stop " + std::to_string(times)
                          + (times == 1 ? " time" : " times")
                          + " while the agent had it, or was to get it again"};
}

inline problem no_message_id(const std::string& text) {
  return {errc::bad_argument, shortened(text)
                                + " is no id of a message; write NODE:BOOT:NUMBER as the list of "
                                  "dead letters shows it"};
}

inline problem no_dead_letter(const std::string& id) {
  return {errc::not_found, "this node keeps no dead letter " + id
                             + "; list those of each node, as the oldest give way "
                               "(router_options::max_dead_letters)"};
}

inline problem unreadable_here(const std::string& id) {
  return {errc::incompatible, "the node that keeps the dead letter " + id
                                + " could not read its content, so it has none to deliver; check "
                                  "that both nodes know its types in the same version, and send "
                                  "the message again"};
}

/// `type`: what its sender calls it; empty: nothing.
inline problem unreadable_to_show(const std::string& id, const std::string& type,
                                  const problem& why) {
  return {errc::incompatible, "the content of the dead letter " + id
                                + (type.empty() ? "" : ", of type " + shortened(type) + ',')
                                + " cannot be shown by the node that keeps it: " + why.detail};
}

/// `bytes`: of its JSON, or of the message where those are too many.
inline problem too_large_to_show(const std::string& id, std::size_t bytes, std::size_t most) {
  return {errc::too_large, "the content of the dead letter " + id + " has " + std::to_string(bytes)
                             + " bytes, and up to " + std::to_string(most)
                             + " of JSON are shown; deliver it again to an agent that looks at it"};
}

inline problem redriven_already() {
  return {errc::busy, "this dead letter is being delivered again, which cannot be taken back; it "
                      "waits for its agent, or is back in the list after a while"};
}

inline problem end_unknown() {
  return {errc::outcome_unknown, "the message was on its way, and nobody says any more what has "
                                 "become of it; look at the state before a repeat"};
}

/// `last`: what the agent said when it failed last, as far as that is known.
inline problem not_handled_yet(const problem& last) {
  return {errc::timed_out, "the message was accepted, but has not been handled in time; it is "
                           "still delivered until it is handled or its ttl is over, so do not "
                           "send it again; "
                             + (last ? "its agent failed at last: " + last.detail
                                     : "check that there is such an agent")};
}

inline problem no_disk() {
  return {errc::bad_argument, "this node has no data folder to keep a message in; start it with "
                              "node_options::data (--data), or set message_options::durability to "
                              "memory"};
}

/// Of a message that the disk has not taken yet.
inline problem kept_perhaps() {
  return {errc::outcome_unknown,
          "this node is stopping, and may have the message on its disk; then "
          "it goes on with it at its next start, so do not send it again "
          "before you have looked at the state"};
}

inline problem confirms_to_one() {
  return {errc::bad_argument,
          "message_options::delivery confirm or once is for one agent by its id; "
          "send it to_agent()"};
}

inline problem confirms_no_request() {
  return {
    errc::bad_argument,
    "a request is answered by the agent and cannot be of message_options::delivery confirm or "
    "once; use send(), or post(), which waits until the message is handled"};
}

/// What is handled more than once would have several effects.
inline problem no_store(const agent_id& id) {
  constexpr std::size_t max_shown = 64;
  return {errc::incompatible, "agent '" + id.text().substr(0, max_shown)
                                + "' gets no message of class once, as it has no store for the "
                                  "marks of these; register it with agent_options::once"};
}

/// A dead letter of class once. `age`: since it was taken first.
inline problem too_old_for_once(const std::string& id, duration age) {
  return {errc::expired, "the dead letter " + id + " of class once is " + in_words(age)
                           + " old, and after " + in_words(longest_once_life)
                           + " it is not certain that its agent knows whether it was applied; look "
                             "at the state, and send it anew if it is missing"};
}

/// Of a message to many.
inline problem not_all(const send_report& report) {
  return {errc::limit_reached,
          "sent to " + std::to_string(report.sent)
            + " agents only: too much waits for the nodes of " + std::to_string(report.refused)
            + " (router_options::max_waiting_bytes), and " + std::to_string(report.left_out)
            + " are more than one message reaches (router_options::max_recipients)"};
}

} // namespace troupe::router::detail
