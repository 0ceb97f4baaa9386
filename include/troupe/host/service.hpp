#pragma once

#include "caf/error.hpp"
#include "caf/fwd.hpp"
#include "troupe/core/answers.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/host/messages.hpp"

namespace troupe::host {

/// The common base of most service classes. A service class tells a service_actor how to run a
/// machine; a derived class adds
///
///     using options = …;
///     static constexpr const char* name = "…";
///     static event opening(const options&, std::uint64_t token_floor);
///
/// and, for effects that are not answers, `void carry_out(const effect&)`.
template <class Machine, class Commands, class Queries>
struct service {
  using machine = Machine;
  using commands = Commands;
  using queries = Queries;
  using protocol = host::protocol<Commands, Queries>;
  using handle = typename protocol::handle;

  explicit service(caf::actor_system&) {}

  template <class Result>
  static const Result& result_of(const answered<Result>& answer) {
    return answer.value;
  }

  static caf::error result_of(const refused& answer) {
    return to_error(answer.why);
  }
};

} // namespace troupe::host
