#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "caf/behavior.hpp"
#include "caf/error.hpp"
#include "caf/message.hpp"
#include "caf/response_promise.hpp"
#include "caf/result.hpp"
#include "caf/scheduled_actor.hpp"
#include "caf/type_id.hpp"
#include "troupe/cluster/agent_change.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/check_types.hpp"
#include "troupe/core/caf/message_block.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/pending.hpp"
#include "troupe/core/plain_call.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/router/later.hpp"
#include "troupe/router/messages.hpp"

/// What functions of agents may take and give beside what CAF has for its actors.
namespace troupe::router {

class once_store;

} // namespace troupe::router

namespace troupe {

using router::later;
using router::message_info;

/// The agent that a function belongs to, as the first parameter of those that want it. For
/// functions of that agent only, while they run.
///
///     me.agent("ticket", [n = 0](agent_context& self, int most) mutable {
///       if (++n == most)
///         self.quit();
///       return n;
///     });
class agent_context : public std::enable_shared_from_this<agent_context> {
public:
  /// Requests that a function has answered with a pending<T> that is not ready. One more ends with
  /// limit_reached.
  static constexpr std::size_t max_open = 100'000;

  using ended_handler = std::function<void(const problem&)>;

  using update_handler = std::function<void(const cluster::agent_change&)>;

  /// Returns why a message that no function takes is refused; none: it wants no answer.
  using stranger_handler = std::function<caf::error(caf::scheduled_actor*, const caf::message&)>;

  /// Has `store` if the agent is registered with it.
  TROUPE_COMPILED agent_context(caf::scheduled_actor* self, agent_id id, ended_handler on_quit,
                                update_handler on_update = {},
                                std::shared_ptr<router::once_store> store = {},
                                stranger_handler on_stranger = {});

  agent_context(const agent_context&) = delete;
  agent_context& operator=(const agent_context&) = delete;

  [[nodiscard]] const agent_id& id() const {
    return id_;
  }

  /// Its actor, for what CAF has beyond this: monitors, timers, messages of its own.
  [[nodiscard]] caf::scheduled_actor& actor() const {
    return *self_;
  }

  /// Ends the agent when this function has returned, whose answer still counts: its name is free
  /// then. With `why` it has failed: those who monitor it hear that, and node_options::log.
  TROUPE_COMPILED void quit(const problem& why = {});

  /// Changes the capabilities, groups, metadata or load of the agent, as node::update_agent() does.
  /// Does not block; node_options::log hears of what is refused.
  TROUPE_COMPILED void update(const cluster::agent_change& how);

  /// Thrown by ensure(): this message is not handled, and the agent ends.
  struct not_here {};

  /// It handles messages only as long as `may` is true, as of a singleton whose lease is certain.
  void run_while(std::function<bool()> may) {
    may_run_ = std::move(may);
  }

  /// Throws not_here if it may handle nothing more. Called before each message.
  void ensure() const {
    if (may_run_ && !may_run_())
      throw not_here{};
  }

  /// Returns a behavior that runs `functions` in transactions of the store, with a mark for each
  /// message of class once; `functions` as they are without one.
  [[nodiscard]] TROUPE_COMPILED caf::behavior in_transactions(caf::behavior functions);

  /// Leaves the request that is handled open. Returns what answers it, once, on any thread.
  TROUPE_COMPILED std::function<void(result<caf::message>)> answer_later();

private:
  TROUPE_COMPILED caf::result<caf::message> keep(caf::behavior& functions, const message_info& from,
                                                 caf::message what);

  TROUPE_COMPILED void answer(std::uint64_t number, result<caf::message> what);

  caf::scheduled_actor* self_;
  agent_id id_;
  ended_handler on_quit_;
  update_handler on_update_;
  std::shared_ptr<router::once_store> store_;
  stranger_handler on_stranger_;
  std::function<bool()> may_run_;
  /// Used on this actor only, as CAF's promises are not for several threads.
  std::map<std::uint64_t, caf::response_promise> open_;
  std::uint64_t last_ = 0;
};

namespace detail {

template <class T>
struct is_pending : std::false_type {};

template <class T>
struct is_pending<pending<T>> : std::true_type {};

template <class T>
caf::result<T> to_answer(result<T> what) {
  if (!what)
    return to_error(std::move(what).error());
  if constexpr (std::is_void_v<T>)
    return caf::result<void>{};
  else
    return caf::result<T>{*std::move(what)};
}

template <class T>
result<caf::message> to_message(result<T> what) {
  if (!what)
    return std::move(what).error();
  if constexpr (std::is_void_v<T>)
    return caf::message{};
  else
    return caf::make_message(*std::move(what));
}

/// Has CAF answer with it, now or once it is there.
template <class T>
caf::result<T> to_answer(agent_context& self, pending<T> what) {
  if (what.is_ready())
    return to_answer(std::move(what).wait());
  std::move(what).then(
    [answer = self.answer_later()](result<T> got) { answer(to_message(std::move(got))); });
  return caf::delegated<T>{};
}

template <class R, class Call>
auto answer_of(agent_context& self, Call call) {
  if constexpr (is_result<R>::value)
    return to_answer(call());
  else if constexpr (is_pending<R>::value)
    return to_answer(self, call());
  else
    return call();
}

/// What a function of an agent takes: perhaps the agent, perhaps who sent the message, the message.
template <class Message, bool Context, bool Info>
struct agent_call {
  using message = Message;
  static constexpr bool takes_context = Context;
  static constexpr bool takes_info = Info;
};

template <class Takes>
struct agent_call_of;

template <class... Ps>
struct agent_call_of<parameters<Ps...>> : agent_call<parameters<Ps...>, false, false> {};

template <class... Ps>
struct agent_call_of<parameters<agent_context&, Ps...>>
  : agent_call<parameters<Ps...>, true, false> {};

template <class... Ps>
struct agent_call_of<parameters<const message_info&, Ps...>>
  : agent_call<parameters<Ps...>, false, true> {};

template <class... Ps>
struct agent_call_of<parameters<agent_context&, const message_info&, Ps...>>
  : agent_call<parameters<Ps...>, true, true> {};

template <class F>
constexpr bool takes_info = [] {
  if constexpr (plainly_callable<F>)
    return agent_call_of<typename plain_call<F>::takes>::takes_info;
  else
    return false;
}();

template <class F, class... Ts>
decltype(auto) call_agent_function(F& function, agent_context& self, const message_info& from,
                                   Ts&&... what) {
  using call = agent_call_of<typename plain_call<F>::takes>;
  self.ensure();
  if constexpr (call::takes_context && call::takes_info)
    return function(self, from, std::forward<Ts>(what)...);
  else if constexpr (call::takes_context)
    return function(self, std::forward<Ts>(what)...);
  else if constexpr (call::takes_info)
    return function(from, std::forward<Ts>(what)...);
  else
    return function(std::forward<Ts>(what)...);
}

/// For messages as they are: nothing is known of who sent them.
template <class F, class... Ps>
auto bind_agent_function(std::shared_ptr<agent_context> self, std::shared_ptr<F> function,
                         parameters<Ps...>) {
  using R = typename plain_call<F>::result;
  return [self = std::move(self), function = std::move(function)](Ps... what) {
    return answer_of<R>(*self, [&]() -> R {
      return call_agent_function(*function, *self, message_info{}, std::forward<Ps>(what)...);
    });
  };
}

/// For those from the router.
template <class F, class... Ps>
auto bind_informed_function(std::shared_ptr<agent_context> self, std::shared_ptr<F> function,
                            parameters<Ps...>) {
  using R = typename plain_call<F>::result;
  return
    [self = std::move(self), function = std::move(function)](const message_info& from, Ps... what) {
      return answer_of<R>(*self, [&]() -> R {
        return call_agent_function(*function, *self, from, std::forward<Ps>(what)...);
      });
    };
}

/// Both handlers share the function, which may have a state.
template <class F>
auto informed_functions(const std::shared_ptr<agent_context>& self, F function) {
  auto shared = std::make_shared<F>(std::move(function));
  using message = typename agent_call_of<typename plain_call<F>::takes>::message;
  return std::tuple{bind_informed_function(self, shared, message{}),
                    bind_agent_function(self, shared, message{})};
}

/// What a function of an agent gives as a message.
template <class R>
struct answer_type {
  using type = R;
};

template <class R>
requires(is_result<R>::value || is_pending<R>::value) struct answer_type<R> {
  using type = typename R::value_type;
};

/// Such as caf::result<...>, or what caf::others >> ... makes: CAF's to check.
template <class T>
constexpr bool is_of_caf = cpp_name<T>().starts_with("caf::");

template <class R>
constexpr bool gives_message = std::is_void_v<R> || can_be_sent<R> || is_of_caf<R>;

template <class T>
constexpr bool gives_message<result<T>> = can_be_answer<T>;

template <class T>
constexpr bool gives_message<pending<T>> = can_be_answer<T>;

template <class R, class... Ps>
problem check_call_types(parameters<Ps...>) {
  static_assert(gives_message<R>,
                "what this function of an agent answers is no message; name its type in "
                "TROUPE_MESSAGES, with TROUPE_FIELDS inside it");
  static_assert((!std::is_same_v<std::decay_t<Ps>, message_info> && ...),
                "a function of an agent takes who sent a message as a const message_info&: as its "
                "first parameter, or behind an agent_context&");
  static_assert((caf::has_type_id_v<std::decay_t<Ps>> && ...),
                "a parameter of this function of an agent is no message; name its type in "
                "TROUPE_MESSAGES, with TROUPE_FIELDS inside it");
  return check_types<typename answer_type<R>::type, Ps...>();
}

template <class F>
struct message_of {
  using type = F; // CAF's own
};

template <class... Ps>
struct message_of<parameters<Ps...>> {
  using type = parameters<std::decay_t<Ps>...>;
};

template <plainly_callable F>
struct message_of<F> : message_of<typename agent_call_of<typename plain_call<F>::takes>::message> {
};

/// Returns whether no two functions take the same message.
template <class First, class... Others>
constexpr bool take_different_messages() {
  using taken = typename message_of<First>::type;
  if constexpr (sizeof...(Others) == 0)
    return true;
  else
    return !(std::is_same_v<taken, typename message_of<Others>::type> || ...)
           && take_different_messages<Others...>();
}

/// Returns bad_argument if functions take or give messages that are not registered.
template <class... Functions>
problem check_agent_types() {
  static_assert(((plainly_callable<Functions> || is_of_caf<Functions>)&&...),
                "a function of an agent names the types of its parameters, as these decide which "
                "messages it gets; write a type instead of auto");
  static_assert(take_different_messages<Functions...>(),
                "two functions of this agent take the same message, and the second one would never "
                "be called");
  static_assert((plainly_callable<Functions> && ...) || !(takes_info<Functions> || ...),
                "an agent with a function that takes message_info has none of CAF's own, as "
                "caf::others, which would see it in each message");
  problem why;
  auto check = [&why]<class F>(std::type_identity<F>) {
    if constexpr (plainly_callable<F>)
      if (!why)
        why = check_call_types<typename plain_call<F>::result>(
          typename agent_call_of<typename plain_call<F>::takes>::message{});
  };
  (check(std::type_identity<Functions>{}), ...);
  return why;
}

template <class F>
constexpr bool answers_at_once() {
  if constexpr (plainly_callable<F>)
    return !is_pending<typename plain_call<F>::result>::value
           && !is_of_caf<typename plain_call<F>::result>;
  else
    return false;
}

/// Returns bad_argument if an agent with a once_store cannot be made of these functions: the effect
/// of one that answers later is not in the transaction.
template <class... Functions>
problem check_store(bool has_store, bool is_typed = false) {
  if (!has_store || (!is_typed && (answers_at_once<Functions>() && ...)))
    return {};
  return {errc::bad_argument,
          is_typed
            ? "agent_options::once is for agents without a type of CAF; leave out the type "
              "of the agent"
            : "a function of an agent with agent_options::once returns what it answers, or a "
              "result<T>, and no pending<T> or type of CAF, as its transaction ends with "
              "it"};
}

/// Returns the handler of CAF for a function of an agent.
template <class F>
auto agent_function(const std::shared_ptr<agent_context>& self, F function) {
  if constexpr (plainly_callable<F>)
    return bind_agent_function(self, std::make_shared<F>(std::move(function)),
                               typename agent_call_of<typename plain_call<F>::takes>::message{});
  else
    return function; // CAF's own, as caf::others >> ...
}

/// Returns the handlers of CAF for all functions of an agent: two of each if one of them takes
/// message_info, as messages come with it from the router, and without it on a handle.
template <class... Functions>
caf::behavior agent_behavior(const std::shared_ptr<agent_context>& self, Functions... functions) {
  if constexpr ((takes_info<Functions> || ...))
    return self->in_transactions(
      std::apply([](auto... all) { return caf::behavior{std::move(all)...}; },
                 std::tuple_cat(informed_functions(self, std::move(functions))...)));
  else
    return self->in_transactions({agent_function(self, std::move(functions))...});
}

} // namespace detail

} // namespace troupe

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/node/impl/agent_functions.ipp"
#endif
