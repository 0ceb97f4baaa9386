#pragma once

#include <concepts>
#include <optional>
#include <string>

namespace troupe::host {

/// A command that says something of nodes. Only they may say that: `node` is the id of the one that
/// sends it.
template <class Command>
concept speaks_for_nodes = requires(const Command& what, const std::string& node) {
  { what.speaks_only_for(node) } -> std::same_as<bool>;
};

/// A request that says something of what a node has, by its number: the machine knows whose it is.
/// `owner_of` returns the id of that node; nothing if there is no such thing.
template <class Machine, class Request>
concept about_property = requires(const Machine& frozen, const Request& what) {
  { frozen.owner_of(what) } -> std::same_as<std::optional<std::string>>;
};

/// A query whose answer may come raft::options::heartbeat later than others, and then costs its
/// group no message: for what many clients ask at rest. It has `static constexpr bool may_wait =
/// true`.
template <class Question>
concept unhurried = requires {
  requires Question::may_wait;
};

/// The commands of a service; each names its `result`.
template <class... Requests>
struct commands {};

/// The queries of a service, which are answered from committed state.
template <class... Questions>
struct queries {};

/// The type of the answer to a request.
template <class Request>
struct result_of_request {
  static_assert(
    requires { typename Request::result; },
    "a request of a service names the type of its answer; write `using result = ...;` into it");
  using type = typename Request::result;
};

template <class Request>
using result_of = typename result_of_request<Request>::type;

} // namespace troupe::host
