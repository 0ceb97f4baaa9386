#pragma once

#include "troupe/core/fields.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"

/// The two effects that answer a request. A machine may have others of its own; any effect with a
/// member `id` is an answer (see answered_by()).
namespace troupe {

/// Answer `id` with a result.
template <class Result>
struct answered {
  request_id id = 0;
  Result value{};

  friend bool operator==(const answered&, const answered&) = default;

  TROUPE_FIELDS(answered, id, value);
};

/// Answer `id` with an error.
struct refused {
  request_id id = 0;
  problem why{};

  friend bool operator==(const refused&, const refused&) = default;

  TROUPE_FIELDS(refused, id, why);
};

} // namespace troupe
