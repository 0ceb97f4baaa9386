#pragma once

#include <utility>

#include "troupe/core/codec.hpp"
#include "troupe/core/guarded.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/host/journaled.hpp"
#include "troupe/host/types.hpp"

namespace troupe::host::detail {

/// Takes an event of M through its bytes: replaces it by what other replicas, and a replay, will
/// read of it, as it may have parts that its `inspect` leaves out. Does nothing for a machine that
/// is not journaled, or that reads back exactly. Errors: bad_argument if the bytes cannot be read,
/// or its `inspect` throws. Cost: O(bytes).
template <machine M>
[[nodiscard]] problem read_back(typename M::event& what) {
  if constexpr (journaled<M> && !reads_back_exactly<M>) {
    problem why;
    auto thrown = guarded([&] {
      auto bytes = try_to_bytes(what);
      if (!bytes) {
        why = std::move(bytes).error();
        return;
      }
      auto found = from_bytes<typename M::event>(*bytes, memory_for<M>(bytes->size()));
      if (found)
        what = *std::move(found);
      else
        why = {errc::bad_argument, "the bytes of this request cannot be read back; correct the "
                                   "inspect function of its type, or of one of its fields"};
    });
    if (thrown)
      return {errc::bad_argument, "the inspect function of this request, or of one of its fields, "
                                  "threw: "
                                    + thrown.detail + "; correct it"};
    return why;
  }
  return {};
}

} // namespace troupe::host::detail
