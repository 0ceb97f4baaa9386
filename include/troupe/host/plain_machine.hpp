#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/answers.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/inspection.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/host/requests.hpp"

namespace troupe {

class encoder;

} // namespace troupe

namespace troupe::host {

/// The options of a plain_machine that has none.
struct no_settings {
  friend bool operator==(const no_settings&, const no_settings&) = default;

  TROUPE_FIELDS(no_settings);
};

/// The first event of each start of a plain_machine: the options in use from then on.
template <class Options>
struct options_are {
  Options options{};

  TROUPE_FIELDS(options_are, options);
};

template <class State, class Options>
struct plain_snapshot {
  State state{};
  Options options{};
  std::uint32_t rules = 1;

  TROUPE_FIELDS(plain_snapshot, state, options, rules);
};

namespace detail {

/// Collects each answer type once, as a variant needs.
template <class... Known>
struct answers_of {
  using type = std::variant<refused, Known...>;

  template <class Result>
  using add = std::conditional_t<(std::is_same_v<answered<Result>, Known> || ...), answers_of,
                                 answers_of<Known..., answered<Result>>>;
};

template <class Made, class... Commands>
struct effects_of {
  using type = std::vector<typename Made::type>;
};

template <class Made, class First, class... Others>
struct effects_of<Made, First, Others...>
  : effects_of<typename Made::template add<result_of<First>>, Others...> {};

template <class T>
concept can_be_stored = shape_of<T>
!= shape::object || requires(encoder& form, T& value) {
  inspect(form, value);
};

template <class Value>
inline constexpr bool is_result = false;

template <class Value>
inline constexpr bool is_result<result<Value>> = true;

} // namespace detail

template <class Rules, class State, class Commands, class Queries = queries<>,
          class Options = no_settings>
class plain_machine {
  static_assert(sizeof(Commands) == 0,
                "name the requests of a plain_machine as host::commands<...> and "
                "host::queries<...>");
};

/// A machine that answers each command at once and has no deadlines. It implements what hosts
/// need, so that `Rules`, which derives from it, only has a function for each request:
///
///     struct ticket_roll
///       : host::plain_machine<ticket_roll, sold_tickets, host::commands<take_ticket>,
///                             host::queries<count_tickets>> {
///       result<std::uint64_t> apply(const take_ticket& what);  // changes state()
///       std::uint64_t answer(const count_tickets& what) const; // looks at state()
///     };
///
/// apply() gets the machine's time as second parameter if it takes one, and returns the command's
/// `result` or a result<> of it. A problem that it returns becomes the refusal; apply() must not
/// have changed the state then. Both must be deterministic: no clock, no random number, no order
/// of addresses. State, requests, results and options need an inspect (TROUPE_FIELDS) and a
/// default constructor; a snapshot is a copy of the state. Name all of their fields: of a request
/// and of options, apply() sees only what is written, and a state that is restored has only that.
/// Replicated values are not unordered containers, as their order differs. plain_service puts it on
/// the network, sim::service_scenario simulates it.
template <class Rules, class State, class... Commands, class... Queries, class Options>
class plain_machine<Rules, State, commands<Commands...>, queries<Queries...>, Options> {
  static_assert(detail::can_be_stored<State>,
                "the state of a plain_machine must be serializable; give it TROUPE_FIELDS");
  static_assert(detail::can_be_stored<Options>,
                "the options of a plain_machine must be serializable; give them TROUPE_FIELDS");

public:
  using command_list = commands<Commands...>;
  using query_list = queries<Queries...>;
  using options_type = Options;
  using event = std::variant<options_are<Options>, Commands...>;
  using effects = typename detail::effects_of<detail::answers_of<>, Commands...>::type;
  /// The machine concept needs one query type; the first represents all.
  using query = std::tuple_element_t<0, std::tuple<Queries..., std::monostate>>;
  using snapshot_type = plain_snapshot<State, Options>;

  /// Effectively no limit on the memory for decoding, as the density of State is unknown.
  static constexpr std::size_t memory_per_byte = 65'536;

  void step(time_point now, request_id id, const event& what, effects& out) {
    auto take = [&]<class Event>(const Event& each) {
      if constexpr (std::is_same_v<Event, options_are<Options>>)
        inside_.options = each.options;
      else
        answer_with<typename Event::result>(id, carry_out(now, each), out);
    };
    troupe::visit(take, what);
  }

  void tick(time_point, effects&) {}

  /// Called by the host.
  void use_rules(std::uint32_t number) {
    inside_.rules = number;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return std::nullopt;
  }

  /// For Rules without queries; others have an answer() for each of Queries.
  void answer(const std::monostate&) const {}

  [[nodiscard]] snapshot_type snapshot() const {
    return inside_;
  }

  void restore(time_point, const snapshot_type& saved) {
    inside_ = saved;
  }

protected:
  /// Returns the rules in force: 1, or the value of `static constexpr std::uint32_t rules` of Rules
  /// once all members of the group know it. A release that changes decisions raises that number,
  /// and follows the old rules until the new ones are in force.
  [[nodiscard]] std::uint32_t rules_in_force() const {
    return inside_.rules;
  }

  [[nodiscard]] State& state() {
    return inside_.state;
  }

  [[nodiscard]] const State& state() const {
    return inside_.state;
  }

  [[nodiscard]] const Options& options() const {
    return inside_.options;
  }

private:
  template <class Command>
  auto carry_out(time_point now, const Command& what) {
    auto& rules = static_cast<Rules&>(*this);
    if constexpr (requires { rules.apply(what, now); }) {
      return rules.apply(what, now);
    } else {
      static_assert(
        requires { rules.apply(what); },
        "the rules need a public `result<COMMAND::result> apply(const COMMAND&)`, or "
        "one with a time_point as well, for this command");
      return rules.apply(what);
    }
  }

  template <class Result, class Answer>
  static void answer_with(request_id id, Answer answer, effects& out) {
    if constexpr (!detail::is_result<Answer>)
      out.push_back(answered<Result>{id, std::move(answer)});
    else if (answer)
      out.push_back(answered<Result>{id, *std::move(answer)});
    else
      out.push_back(refused{id, std::move(answer).error()});
  }

  snapshot_type inside_;
};

} // namespace troupe::host
