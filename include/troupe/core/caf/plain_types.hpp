#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "caf/exit_reason.hpp"
#include "caf/pec.hpp"
#include "caf/sec.hpp"
#include "caf/timespan.hpp"
#include "caf/timestamp.hpp"
#include "caf/type_id.hpp"

/// The types of CAF's own that hold plain data, for all that judges messages by their types.
namespace troupe::plain_types {

/// Returns how many bytes a number of this type has in CAF's binary form; zero if it is no number.
constexpr std::size_t bytes_of_number(caf::type_id_t type) {
  switch (type) {
    case caf::type_id_v<bool>:
    case caf::type_id_v<std::int8_t>:
    case caf::type_id_v<std::uint8_t>:
      return 1;
    case caf::type_id_v<std::int16_t>:
    case caf::type_id_v<std::uint16_t>:
      return 2;
    case caf::type_id_v<std::int32_t>:
    case caf::type_id_v<std::uint32_t>:
    case caf::type_id_v<float>:
      return 4;
    case caf::type_id_v<std::int64_t>:
    case caf::type_id_v<std::uint64_t>:
    case caf::type_id_v<double>:
    case caf::type_id_v<caf::timespan>:
    case caf::type_id_v<caf::timestamp>:
      return 8;
    default:
      return 0;
  }
}

/// Returns whether it is an enum of CAF whose values are codes of errors.
constexpr bool is_error_code(caf::type_id_t type) {
  constexpr std::array all{caf::type_id_v<caf::sec>, caf::type_id_v<caf::pec>,
                           caf::type_id_v<caf::exit_reason>};
  return std::ranges::find(all, type) != all.end();
}

/// Returns whether it is a number, a text or the code of an error.
constexpr bool is_plain(caf::type_id_t type) {
  return bytes_of_number(type) > 0 || type == caf::type_id_v<std::string> || is_error_code(type);
}

/// Returns whether CAF can print each value of this type, whatever a peer has written there. Of a
/// timestamp it asks the system for the date, which has none for each number.
constexpr bool is_printable(caf::type_id_t type) {
  return is_plain(type) && type != caf::type_id_v<caf::timestamp>;
}

} // namespace troupe::plain_types
