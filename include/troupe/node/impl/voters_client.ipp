#ifndef TROUPE_NODE_IMPL_VOTERS_CLIENT_IPP
#define TROUPE_NODE_IMPL_VOTERS_CLIENT_IPP

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "caf/error.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/sec.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/node/voters_client.hpp"

namespace troupe::cluster {

/// One request of a client, repeated where another node leads meanwhile: none of them is harmful
/// twice.
struct voters_client::asking {
  using time = std::chrono::steady_clock::time_point;

  voters_client& from;

  template <class Request>
  std::future<result<typename Request::result>> send(const caf::strong_actor_ptr& to,
                                                     const Request& what, time deadline) {
    using answer = typename Request::result;
    auto promise = std::make_shared<std::promise<result<answer>>>();
    auto left = std::chrono::duration_cast<duration>(deadline - std::chrono::steady_clock::now());
    from.sys_.spawn<caf::hidden>([=](caf::event_based_actor* self) {
      self
        ->request(caf::actor_cast<caf::actor>(to),
                  std::max<duration>(left, std::chrono::milliseconds{1}), what)
        .then([promise](const answer& got) { promise->set_value(got); },
              [promise](const caf::error& why) { promise->set_value(in_words(why)); });
    });
    return promise->get_future();
  }

  template <class Request>
  result<typename Request::result> ask(const Request& what, duration wait) {
    using answer = typename Request::result;
    auto deadline = std::chrono::steady_clock::now() + wait;
    result<answer> found{
      problem{errc::no_quorum, "no node leads a group of voters; retry once a majority is back"}};
    for (;;) {
      if (auto leader = from.leader_()) {
        auto asked = send(leader, what, deadline);
        while (asked.wait_for(look_every) != std::future_status::ready && from.leader_() == leader
               && !from.end_())
          ;
        if (asked.wait_for(duration::zero()) == std::future_status::ready)
          found = asked.get();
        else
          found = problem{errc::not_leader, "leadership has moved; ask again"};
        if (found || found.error().code != errc::not_leader)
          return found;
      }
      if (auto why = from.end_())
        return why;
      if (auto why = from.refusal_(); why && !from.leader_())
        return why;
      if (std::chrono::steady_clock::now() >= deadline)
        return found;
      std::this_thread::sleep_for(std::chrono::milliseconds{50});
    }
  }

  /// The leader may have taken the request, and carry it out later. Where it is lost, the next one
  /// may say otherwise, and to ask once more does no harm; what it says itself is its answer, also
  /// that it cannot reach the node that is meant.
  static problem in_words(const caf::error& why) {
    if (why == caf::sec::request_timeout)
      return {errc::timed_out, "the node that leads gave no answer in time; a change may still be "
                               "made, see troupe voters"};
    auto said = to_problem(why);
    if (said.code == errc::unreachable && why.category() != caf::type_id_v<errc>)
      return {errc::not_leader, "the link to the node that leads was lost; ask again"};
    return said;
  }

  /// How soon a change of leader is noticed, and that nobody is to wait any more.
  static constexpr duration look_every = std::chrono::milliseconds{100};
};

TROUPE_COMPILED
voters_client::voters_client(caf::actor_system& sys, std::function<caf::strong_actor_ptr()> leader,
                             std::function<problem()> refusal, std::function<problem()> end)
  : sys_(sys), leader_(std::move(leader)), refusal_(std::move(refusal)), end_(std::move(end)) {}

TROUPE_COMPILED problem voters_client::no_voters() {
  return {errc::not_found, "this cluster has no voters and nothing on disk: its first node was "
                           "started without a data folder (node_options::data)"};
}

TROUPE_COMPILED result<voters_view> voters_client::list(duration wait) {
  return asking{*this}.ask(list_voters{}, wait);
}

TROUPE_COMPILED result<voters_view> voters_client::change(const change_voters& what,
                                                          duration wait) {
  return asking{*this}.ask(what, wait);
}

TROUPE_COMPILED result<std::string> voters_client::back_up(duration wait) {
  auto made = asking{*this}.ask(make_backup{}, wait);
  if (!made)
    return made.error();
  std::string bytes;
  while (bytes.size() < made->bytes) {
    auto piece = asking{*this}.ask(read_backup{made->index, bytes.size()}, wait);
    if (!piece)
      return piece.error();
    if (piece->empty())
      return problem{errc::not_found, "that backup ends before its end; make another one"};
    bytes += *piece;
  }
  return bytes;
}

} // namespace troupe::cluster

#endif
