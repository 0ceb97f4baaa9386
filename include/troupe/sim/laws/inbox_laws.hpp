#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/agent_inbox.hpp"
#include "troupe/router/router_core.hpp"
#include "troupe/router/types.hpp"
#include "troupe/sim/world/findings.hpp"

namespace troupe::sim {

/// What becomes of a message once a router has taken it. Each has one end.
enum class message_end : std::uint8_t {
  handled,
  /// There was no room for it; so whoever waits is told.
  refused,
  expired,
  /// Whoever asked was told before it was sent that there is no link, or no answer in time.
  not_sent,
  /// Its agent has ended, or is not there.
  no_agent,
  /// With the link that it was on, or in the mailbox of an agent that has ended.
  lost,
};

/// Follows each message that programs send through routers from where it is taken to its end, and
/// what they are told.
class inbox_laws {
public:
  /// By number, from one.
  using message_number = std::uint64_t;
  /// The node, and which of its programs.
  using sender = std::pair<node_id, std::size_t>;

  explicit inbox_laws(findings& found) : found_(found) {}

  /// Of messages that are sent: what the simulated routers have to know.
  struct message {
    sender by{};
    agent_id to{};
    std::size_t bytes = 0;
    router::awaited wants = router::awaited::nothing;
    /// Who asks or waits for a receipt has been told by then.
    time_point due{};
    std::optional<time_point> expires_at{};
    std::optional<message_end> end{};
    bool is_told = false;
    bool is_arrived = false;
  };

  message_number begin(message what) {
    messages_.push_back(std::move(what));
    return messages_.size();
  }

  [[nodiscard]] const message& at(message_number number) const {
    return messages_.at(number - 1);
  }

  /// `send` has refused it: it was never taken.
  void not_taken(message_number number) {
    end(number, message_end::refused);
  }

  /// It lies in the mailbox of its agent, or in the inbox.
  void arrived(message_number number) {
    at_(number).is_arrived = true;
  }

  void end(message_number number, message_end how) {
    auto& it = at_(number);
    if (it.end)
      broken(number, "has a second end");
    it.end = how;
    ++ends_[how];
    if (how != message_end::handled)
      return;
    auto& last = last_handled_[{it.by, it.to}];
    if (number < last)
      broken(number, "is handled behind a later one of its sender");
    last = number;
  }

  /// Nothing where it was answered, or has arrived.
  void told(time_point now, message_number number, const std::optional<problem>& why) {
    auto& it = at_(number);
    if (std::exchange(it.is_told, true))
      broken(number, "is told twice");
    if (now > it.due)
      broken(number, "is told too late");
    if (!why && it.wants == router::awaited::answer && it.end != message_end::handled)
      broken(number, "is answered, and was not handled");
    if (!why && it.wants == router::awaited::receipt && !it.is_arrived)
      broken(number, "is said to have arrived, and has not");
    auto may_arrive = !why || why->code == errc::outcome_unknown || why->code == errc::timed_out
                      || why->code == errc::failed;
    if (!may_arrive && it.is_arrived && it.end != message_end::refused
        && it.end != message_end::expired && it.end != message_end::no_agent)
      broken(number, "is said not to have arrived, and has");
  }

  /// When all has come to rest.
  void check_all(time_point now) {
    for (message_number number = 1; number <= messages_.size(); ++number) {
      auto& it = at(number);
      if (!it.end)
        broken(number, "has no end");
      if (it.wants != router::awaited::nothing && !it.is_told && now > it.due)
        broken(number, "is waited for, and nobody is told");
    }
  }

  [[nodiscard]] std::size_t count(message_end how) const {
    auto found = ends_.find(how);
    return found != ends_.end() ? found->second : 0;
  }

  [[nodiscard]] std::size_t count() const {
    return messages_.size();
  }

  void broken(message_number number, const std::string& law) {
    auto& it = at(number);
    found_.broken("message " + std::to_string(number) + " to " + it.to.text() + ' ' + law);
  }

private:
  message& at_(message_number number) {
    return messages_.at(number - 1);
  }

  findings& found_;
  std::vector<message> messages_;
  std::map<message_end, std::size_t> ends_;
  std::map<std::pair<sender, agent_id>, message_number> last_handled_;
};

} // namespace troupe::sim
