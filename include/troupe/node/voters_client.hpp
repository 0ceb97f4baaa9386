#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "caf/error.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/sec.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/node/messages.hpp"

namespace troupe::cluster {

/// Whether a change of voters could not be made as nobody leads who would make it.
inline bool nobody_leads(errc why) {
  return why == errc::no_quorum || why == errc::not_leader || why == errc::unreachable;
}

/// Shows and changes which nodes keep the services of a cluster. Calls block, so not from
/// inside an actor; they ride through a change of leader. Thread-safe.
class voters_client {
public:
  /// `leader` gives the actor of the node that leads now, null while none is in reach; `refusal`
  /// why none will be for a while, errc::none if one may be soon.
  voters_client(caf::actor_system& sys, std::function<caf::strong_actor_ptr()> leader,
                std::function<problem()> refusal)
    : sys_(sys), leader_(std::move(leader)), refusal_(std::move(refusal)) {}

  /// What is refused where the cluster keeps its services in the memory of one node.
  static problem no_voters() {
    return {errc::not_found, "this cluster has no voters and nothing on disk: its first node was "
                             "started without a data folder (--data)"};
  }

  /// Errors: no_quorum (nobody leads: at once where no majority of the voters is reached),
  /// not_found (at once: see no_voters()).
  result<voters_view> list(duration wait) {
    return ask(list_voters{}, wait);
  }

  /// Errors beside those of list(): those of change_voters.
  result<voters_view> change(const change_voters& what, duration wait) {
    return ask(what, wait);
  }

  /// Makes a backup of all that the group keeps and returns it, as host::group_backup has it in
  /// a file; `wait` for each piece. Errors beside those of list(): those of make_backup, and
  /// not_found if leadership moves meanwhile (make another).
  result<std::string> back_up(duration wait) {
    auto made = ask(make_backup{}, wait);
    if (!made)
      return made.error();
    std::string bytes;
    while (bytes.size() < made->bytes) {
      auto piece = ask(read_backup{made->index, bytes.size()}, wait);
      if (!piece)
        return piece.error();
      bytes += *piece;
    }
    return bytes;
  }

private:
  using time = std::chrono::steady_clock::time_point;

  template <class Request>
  std::future<result<typename Request::result>> send(const caf::strong_actor_ptr& to,
                                                     const Request& what, time deadline) {
    using answer = typename Request::result;
    auto promise = std::make_shared<std::promise<result<answer>>>();
    auto left = std::chrono::duration_cast<duration>(deadline - std::chrono::steady_clock::now());
    sys_.spawn<caf::hidden>([=](caf::event_based_actor* self) {
      self
        ->request(caf::actor_cast<caf::actor>(to),
                  std::max<duration>(left, std::chrono::milliseconds{1}), what)
        .then([promise](const answer& got) { promise->set_value(got); },
              [promise](const caf::error& why) { promise->set_value(in_words(why)); });
    });
    return promise->get_future();
  }

  /// Repeats it where another node leads meanwhile: none of the requests is harmful twice.
  template <class Request>
  result<typename Request::result> ask(const Request& what, duration wait) {
    using answer = typename Request::result;
    auto deadline = std::chrono::steady_clock::now() + wait;
    result<answer> found{
      problem{errc::no_quorum, "no node leads a group of voters; retry once a majority is back"}};
    for (;;) {
      if (auto leader = leader_()) {
        auto asked = send(leader, what, deadline);
        while (asked.wait_for(look_every) != std::future_status::ready && leader_() == leader)
          ;
        if (asked.wait_for(duration::zero()) == std::future_status::ready)
          found = asked.get();
        else
          found = problem{errc::not_leader, "leadership has moved; ask again"};
        if (found || !passes(found.error().code))
          return found;
      }
      if (auto why = refusal_(); why.code != errc::none && !leader_())
        return why;
      if (std::chrono::steady_clock::now() >= deadline)
        return found;
      std::this_thread::sleep_for(std::chrono::milliseconds{50});
    }
  }

  /// The next leader may say otherwise; to ask once more does no harm.
  static bool passes(errc code) {
    return code == errc::not_leader || code == errc::unreachable;
  }

  /// The leader may have taken the request, and carry it out later.
  static problem in_words(const caf::error& why) {
    if (why == caf::sec::request_timeout)
      return {errc::timed_out, "the node that leads gave no answer in time; a change may still be "
                               "made, see troupe voters"};
    return to_problem(why);
  }

  /// How soon a change of leader is noticed.
  static constexpr duration look_every = std::chrono::milliseconds{100};

  caf::actor_system& sys_;
  std::function<caf::strong_actor_ptr()> leader_;
  std::function<problem()> refusal_;
};

} // namespace troupe::cluster
