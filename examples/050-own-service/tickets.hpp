#pragma once

#include <cstdint>

#include "troupe/service.hpp"

// [messages]
struct take_ticket { // a command changes the state, and counts once even if it is repeated
  using result = std::uint64_t;
  TROUPE_FIELDS(take_ticket);
};
struct count_tickets { // a query changes nothing
  using result = std::uint64_t;
  TROUPE_FIELDS(count_tickets);
};
TROUPE_MESSAGES(tickets, take_ticket, count_tickets);
// [messages]

// [machine]
/// The rules: no clock, no thread, no network. The state is the number of tickets taken, the
/// options are the number of tickets.
struct ticket_roll
  : troupe::host::plain_machine<ticket_roll, std::uint64_t, troupe::host::commands<take_ticket>,
                                troupe::host::queries<count_tickets>, std::uint64_t> {
  troupe::result<std::uint64_t> apply(const take_ticket&) {
    if (state() >= options())
      return troupe::problem{troupe::errc::limit_reached, "no tickets are left"};
    return ++state();
  }
  std::uint64_t answer(const count_tickets&) const {
    return state();
  }
};
// [machine]

// [service]
/// Declares the service to a node. `name` identifies the type of the rules and must never change.
struct ticket_service : troupe::host::plain_service<ticket_roll> {
  using plain_service::plain_service;
  static constexpr const char* name = "tickets";
};
// [service]
