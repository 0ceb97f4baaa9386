#pragma once

#include <variant>

#include "troupe/core/codec.hpp"
#include "troupe/core/machine.hpp"

namespace troupe::host {

namespace detail {

template <class T>
concept has_inspect = requires(encoder& f, T& x) {
  inspect(f, x);
};

template <class Variant>
constexpr bool all_have_inspect = false;
template <class... Ts>
constexpr bool all_have_inspect<std::variant<Ts...>> = (has_inspect<Ts> && ...);

} // namespace detail

/// A machine whose records and answers can be stored, as a durable host does: all its events and
/// effects have an `inspect`. Other machines run in memory only.
template <class M>
concept journaled = machine<M> && detail::all_have_inspect<
  typename M::event> && detail::all_have_inspect<effect_of<M>>;

/// A journaled machine that promises that each of its events is read back from its bytes exactly as
/// it was. A test checks that for all of troupe's own machines. A host takes an event of any other
/// machine through its bytes before it steps it.
template <class M>
concept reads_back_exactly = journaled<M> && requires {
  requires M::events_read_back_exactly;
};

} // namespace troupe::host
