#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "troupe/core/time.hpp"
#include "troupe/sim/world/node_messages.hpp"
#include "troupe/sim/world/node_services.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// Whether a simulated node leads: if it is appointed, see node_group::lead, which it finds when it
/// looks. While it leads, it has the questions to the services carried out. Stands for the Raft
/// group of a real node.
template <class Process>
class appointed_leader {
public:
  struct surroundings {
    std::function<void(std::uint64_t term)> on_lead;
    std::function<void(std::uint64_t term)> on_follow;
    std::function<void(const node_letter& to, node_reply what)> reply;
    std::function<void(const std::string&)> broken;
  };

  /// `here` outlives this.
  appointed_leader(environment<Process>& here, std::string node, surroundings around)
    : here_(here), node_(std::move(node)), around_(std::move(around)), look_at_(here.now()) {}

  appointed_leader(const appointed_leader&) = delete;
  appointed_leader& operator=(const appointed_leader&) = delete;

  /// Not answered by whoever does not lead, or has been deposed and does not know it.
  void asked(const node_letter& by, const node_ask& what) {
    auto& group = here_.setting().group;
    if (term_ == 0 || group.lead.term != term_)
      return;
    auto answer = group.calls.carry_out(by.from, what.number, what.acked,
                                        [&] { return group.ask(what.what); });
    if (answer)
      around_.reply(by, {what.number, std::move(*answer)});
  }

  void wake() {
    if (look_at_ > here_.now())
      return;
    look_at_ = here_.now() + look_every;
    auto& appointed = here_.setting().group.lead;
    if (appointed.term <= term_)
      return;
    if (appointed.who == caller{here_.self(), here_.life()})
      begin(appointed.term);
    else if (std::exchange(term_, 0) != 0)
      around_.on_follow(appointed.term);
  }

  [[nodiscard]] time_point next_deadline() const {
    return look_at_;
  }

private:
  static constexpr duration look_every = std::chrono::milliseconds{200};

  void begin(std::uint64_t term) {
    term_ = term;
    auto& first = here_.setting().leaders.try_emplace(term, node_).first->second;
    if (first != node_)
      around_.broken("leads in term " + std::to_string(term) + ", and node " + first + ", too");
    around_.on_lead(term);
  }

  environment<Process>& here_;
  std::string node_;
  surroundings around_;
  /// In which it leads; zero: it does not.
  std::uint64_t term_ = 0;
  time_point look_at_;
};

} // namespace troupe::sim
