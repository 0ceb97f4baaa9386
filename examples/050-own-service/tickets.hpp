#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/host.hpp"

struct take_ticket { // a command: changes something, counts once however often it is repeated
  using result = std::uint64_t;
};
struct count_tickets { // a query: changes nothing
  using result = std::uint64_t;
};
struct roll_opened {
  std::uint64_t tickets = 0;
};
template <class Inspector>
bool inspect(Inspector& f, take_ticket& x) {
  return f.object(x).fields();
}
template <class Inspector>
bool inspect(Inspector& f, count_tickets& x) {
  return f.object(x).fields();
}
template <class Inspector>
bool inspect(Inspector& f, roll_opened& x) {
  return f.object(x).fields(f.field("tickets", x.tickets));
}

CAF_BEGIN_TYPE_ID_BLOCK(tickets, caf::first_custom_type_id)
  CAF_ADD_TYPE_ID(tickets, (take_ticket))
  CAF_ADD_TYPE_ID(tickets, (count_tickets))
CAF_END_TYPE_ID_BLOCK(tickets)

/// The rules: no clock, no thread, no network.
struct ticket_roll {
  using event = std::variant<roll_opened, take_ticket>;
  using effects = std::vector<std::variant<troupe::answered<std::uint64_t>, troupe::refused>>;
  using query = count_tickets;
  using snapshot_type = std::pair<std::uint64_t, std::uint64_t>;

  void step(troupe::time_point, troupe::request_id id, const event& what, effects& out) {
    if (auto* roll = std::get_if<roll_opened>(&what))
      state.second = roll->tickets;
    else if (state.first < state.second)
      out.push_back(troupe::answered<std::uint64_t>{id, ++state.first});
    else
      out.push_back(troupe::refused{id, {troupe::errc::limit_reached, "no tickets are left"}});
  }
  void tick(troupe::time_point, effects&) {}
  std::optional<troupe::time_point> next_deadline() const {
    return std::nullopt;
  }
  std::uint64_t answer(const count_tickets&) const {
    return state.first;
  }
  snapshot_type snapshot() const {
    return state;
  }
  void restore(troupe::time_point, snapshot_type saved) {
    state = saved;
  }

  snapshot_type state; // taken, of how many
};

/// What a host has to know to put the rules on the network.
struct ticket_service : troupe::host::service<ticket_roll, troupe::host::commands<take_ticket>,
                                              troupe::host::queries<count_tickets>> {
  using options = std::uint64_t;
  using service::service;
  static constexpr const char* name = "tickets";
  static ticket_roll::event opening(options tickets, std::uint64_t) {
    return roll_opened{tickets};
  }
};
