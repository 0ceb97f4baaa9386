#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "troupe/host.hpp"

struct take_ticket { // a command: changes something, counts once however often it is repeated
  using result = std::uint64_t;
};
struct count_tickets { // a query: changes nothing
  using result = std::uint64_t;
};

template <class Inspector, class Message>
requires(
  std::is_same_v<Message,
                 take_ticket> || std::is_same_v<Message, count_tickets>) bool inspect(Inspector& f,
                                                                                      Message& x) {
  return f.object(x).fields();
}

CAF_BEGIN_TYPE_ID_BLOCK(tickets, caf::first_custom_type_id)
  CAF_ADD_TYPE_ID(tickets, (take_ticket))
  CAF_ADD_TYPE_ID(tickets, (count_tickets))
CAF_END_TYPE_ID_BLOCK(tickets)

/// The rules: no clock, no thread, no network.
struct ticket_roll {
  struct opened {
    std::uint64_t tickets = 0;
  };
  struct given {
    troupe::request_id id = 0;
    std::uint64_t number = 0;
  };
  struct refused {
    troupe::request_id id = 0;
    troupe::problem why;
  };
  using event = std::variant<opened, take_ticket>;
  using effects = std::vector<std::variant<given, refused>>;
  using query = count_tickets;
  using snapshot_type = std::uint64_t;

  void step(troupe::time_point, troupe::request_id id, const event& what, effects& out) {
    if (auto* roll = std::get_if<opened>(&what))
      max = roll->tickets;
    else if (taken < max)
      out.push_back(given{id, ++taken});
    else
      out.push_back(refused{id, {troupe::errc::limit_reached, "no tickets are left"}});
  }
  void tick(troupe::time_point, effects&) {}
  std::optional<troupe::time_point> next_deadline() const {
    return std::nullopt;
  }
  std::uint64_t answer(const count_tickets&) const {
    return taken;
  }
  snapshot_type snapshot() const {
    return taken;
  }
  void restore(troupe::time_point, snapshot_type saved) {
    taken = saved;
  }

  std::uint64_t taken = 0;
  std::uint64_t max = 0;
};

/// What a host has to know to put the rules on the network.
struct ticket_service {
  using machine = ticket_roll;
  using options = std::uint64_t;
  using commands = troupe::host::commands<take_ticket>;
  using queries = troupe::host::queries<count_tickets>;
  using protocol = troupe::host::protocol<commands, queries>;
  using handle = protocol::handle;
  static constexpr const char* name = "tickets";

  explicit ticket_service(caf::actor_system&) {}
  static ticket_roll::event opening(options max, std::uint64_t) {
    return ticket_roll::opened{max};
  }
  static std::uint64_t result_of(const ticket_roll::given& what) {
    return what.number;
  }
  static caf::error result_of(const ticket_roll::refused& what) {
    return troupe::to_error(what.why);
  }
};
