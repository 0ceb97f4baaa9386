#pragma once

#include <cstdint>

#include "troupe/service.hpp"

/// The service that the nodes of `troupe chaos --workload service` add, as programs do.
namespace cli::chaos {

/// Gives the next number: from one, each once.
struct take_number {
  using result = std::uint64_t;
  TROUPE_FIELDS(take_number);
};

/// How many were given.
struct count_numbers {
  using result = std::uint64_t;
  TROUPE_FIELDS(count_numbers);
};

TROUPE_MESSAGES(troupe_chaos_numbers, take_number, count_numbers);

struct number_rules
  : troupe::host::plain_machine<number_rules, std::uint64_t, troupe::host::commands<take_number>,
                                troupe::host::queries<count_numbers>> {
  std::uint64_t apply(const take_number&) {
    return ++state();
  }

  std::uint64_t answer(const count_numbers&) const {
    return state();
  }
};

struct number_service : troupe::host::plain_service<number_rules> {
  using plain_service::plain_service;
  static constexpr const char* name = "chaos_numbers";
};

} // namespace cli::chaos
