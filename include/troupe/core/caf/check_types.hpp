#pragma once

#include <string>
#include <type_traits>

#include "caf/type_id.hpp"
#include "troupe/core/problem.hpp"

namespace troupe {

/// Returns bad_argument if the program has not registered one of these types: a message with such a
/// value would end the program. Types that are not messages count as registered.
template <class... Ts>
problem check_types() {
  problem why;
  auto check = [&why](caf::type_id_t id, const std::string& name) {
    if (!why && caf::query_type_name(id).empty())
      why = {errc::bad_argument,
             "the message type " + (name.empty() ? "number " + std::to_string(id) : name)
               + " is not registered; call troupe::init<BLOCK>() with the block of its "
                 "TROUPE_MESSAGES before the first node"};
  };
  auto check_type = [&check]<class T>(std::type_identity<T>) {
    if constexpr (caf::has_type_id_v<T>)
      check(caf::type_id_v<T>, to_string(caf::type_name_or_anonymous<T>()));
  };
  (check_type(std::type_identity<std::decay_t<Ts>>{}), ...);
  return why;
}

} // namespace troupe
