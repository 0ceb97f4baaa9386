// The rules of 050-own-service on five simulated nodes that fail again and again.
#include <iostream>
#include <set>

#include "../050-own-service/tickets.hpp"
#include "troupe/sim/scenarios/service_scenario.hpp"
#include "troupe/sim/world/session_client.hpp"

namespace sim = troupe::sim;

struct taken_tickets {
  std::multiset<std::uint64_t> numbers;
  std::uint64_t answers = 0;
  bool is_over = false;
};

// [client]
/// Takes a ticket, waits a little, takes another.
template <class Home>
struct taker : sim::session_client<taker<Home>, Home, ticket_roll> {
  using sim::session_client<taker, Home, ticket_roll>::session_client;

  void begin() {
    if (!this->here().setting().record.is_over)
      this->ask(take_ticket{});
  }
  void answered(const troupe::effect_of<ticket_roll>& what) {
    auto& seen = this->here().setting().record;
    ++seen.answers;
    if (auto* ticket = std::get_if<troupe::answered<std::uint64_t>>(&what))
      seen.numbers.insert(ticket->value);
    this->rest(std::chrono::milliseconds{20});
  }
  void lost() {} // the outcome is not known; begin() follows
};
// [client]

// [scenario]
struct simulated_tickets {
  using machine = ticket_roll;
  using record = taken_tickets;
  template <class Home>
  using client = taker<Home>;

  static troupe::host::options_are<std::uint64_t> opening(std::uint64_t) {
    return {1'000'000};
  }
  static void check(const record& seen, sim::findings& found) {
    for (std::uint64_t number = 1; number <= seen.numbers.size(); ++number)
      if (seen.numbers.count(number) != 1)
        found.broken("ticket " + std::to_string(number) + " was not given once");
  }
};

int main() {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    auto found = sim::service_scenario<simulated_tickets>{{.seed = seed}}.run();
    for (auto& each : found.violations)
      std::cout << "seed " << seed << ": " << each << '\n';
  }
  std::cout << "10 worlds, every ticket given once\n";
}
// [scenario]
