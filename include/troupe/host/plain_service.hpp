#pragma once

#include <cstdint>

#include "troupe/host/plain_machine.hpp"
#include "troupe/host/service.hpp"

namespace troupe::host {

/// The service class of a plain_machine. A derived class adds the name, which must never change:
///
///     struct ticket_service : host::plain_service<ticket_roll> {
///       using plain_service::plain_service;
///       static constexpr const char* name = "ticket_service";
///     };
template <class Machine>
struct plain_service
  : service<Machine, typename Machine::command_list, typename Machine::query_list> {
  using options = typename Machine::options_type;
  using service<Machine, typename Machine::command_list, typename Machine::query_list>::service;

  static typename Machine::event opening(const options& how, std::uint64_t) {
    return options_are<options>{how};
  }
};

} // namespace troupe::host
