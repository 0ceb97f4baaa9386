#pragma once

#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"

/// The two effects that answer a request. A machine may have others of its own; whatever has
/// a member `id` is an answer (see answered_by()).
namespace troupe {

/// Answer `id` with a result.
template <class Result>
struct answered {
  request_id id = 0;
  Result value{};

  friend bool operator==(const answered&, const answered&) = default;
};

/// Answer `id` with an error.
struct refused {
  request_id id = 0;
  problem why{};

  friend bool operator==(const refused&, const refused&) = default;
};

template <class Inspector, class Result>
bool inspect(Inspector& f, answered<Result>& x) {
  return f.object(x).fields(f.field("id", x.id), f.field("value", x.value));
}

template <class Inspector>
bool inspect(Inspector& f, refused& x) {
  return f.object(x).fields(f.field("id", x.id), f.field("why", x.why));
}

} // namespace troupe
