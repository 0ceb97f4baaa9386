#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/sim/world/node_messages.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// The questions of a simulated node to the services that have no answer yet. Each is sent again
/// until it has one, or its time is over.
template <class Process>
class service_asker {
public:
  using done = std::function<void(const node_answer&)>;

  /// `send` is called with each question, as often as it is to be sent; `on_doubt` when one has had
  /// no answer for a while. `here` outlives this.
  service_asker(environment<Process>& here, duration answer_within,
                std::function<void(node_ask)> send, std::function<void()> on_doubt)
    : here_(here),
      answer_within_(answer_within),
      send_(std::move(send)),
      on_doubt_(std::move(on_doubt)) {}

  service_asker(const service_asker&) = delete;
  service_asker& operator=(const service_asker&) = delete;

  void ask(group_question what, done then) {
    auto number = ++last_;
    open_.emplace(number,
                  question{std::move(what), std::move(then), here_.now() + answer_within_, {}});
    send(number);
  }

  /// The services are reached, or at another place.
  void send_all() {
    for (auto& [number, each] : open_)
      send(number);
  }

  void hear(const node_reply& what) {
    conclude(what.number, what.what);
  }

  void wake() {
    auto now = here_.now();
    std::vector<request_id> over;
    std::vector<request_id> again;
    for (auto& [number, each] : open_)
      if (each.due <= now)
        over.push_back(number);
      else if (each.again_at <= now)
        again.push_back(number);
    for (auto number : over)
      conclude(number, problem{errc::timed_out, "no answer in time"});
    for (auto number : again)
      if (open_.contains(number))
        send(number);
    if (!again.empty())
      on_doubt_();
  }

  /// @param no_later than this
  [[nodiscard]] time_point next_deadline(time_point no_later) const {
    for (auto& [number, each] : open_)
      no_later = std::min({no_later, each.due, each.again_at});
    return no_later;
  }

private:
  struct question {
    group_question what;
    done then;
    time_point due{};
    time_point again_at{};
  };

  static constexpr duration again_after = std::chrono::milliseconds{300};

  void send(request_id number) {
    auto& each = open_.at(number);
    each.again_at = here_.now() + again_after;
    send_({number, open_.begin()->first - 1, each.what});
  }

  void conclude(request_id number, const node_answer& what) {
    if (auto found = open_.extract(number))
      found.mapped().then(what);
  }

  environment<Process>& here_;
  duration answer_within_;
  std::function<void(node_ask)> send_;
  std::function<void()> on_doubt_;
  std::map<request_id, question> open_;
  request_id last_ = 0;
};

} // namespace troupe::sim
