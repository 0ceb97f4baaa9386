#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chaos/number_laws.hpp"
#include "chaos/numbers.hpp"
#include "chaos/workloads.hpp"

/// A service that the nodes' program adds, under faults. The history has two verbs: take -> a
/// unique number, count -> how many were given.
namespace cli::chaos {

using namespace troupe;
using namespace std::literals;

namespace {

using numbers = host::client<host::protocol_of<number_service>>;

constexpr auto service_name = "numbers";

std::optional<std::string> show(std::uint64_t number) {
  return std::to_string(number);
}

class service_workload final : public workload {
public:
  void go_on(client& who) override {
    auto service = who.service<number_service>(service_name);
    if (who.random().one_in(8))
      static_cast<void>(count(who, service));
    else
      static_cast<void>(who.perform(
        service_name, wants("take"), [&] { return service.ask(take_number{}, client::patience); },
        judge_plain, show));
    who.rest(20ms);
  }

  problem finish(client& who) override {
    auto service = who.service<number_service>(service_name);
    auto last = count(who, service);
    return last ? problem{} : last.error();
  }

  void check(const sim::history& lines, findings& found) const override {
    check_numbers(lines, found);
  }

  [[nodiscard]] std::vector<std::string> node_words() const override {
    return {"--chaos-numbers"};
  }

private:
  static result<std::uint64_t> count(client& who, numbers& service) {
    return who.perform(
      service_name, wants("count"), [&] { return service.ask(count_numbers{}, client::patience); },
      judge_plain, show);
  }
};

} // namespace

std::unique_ptr<workload> make_service_workload() {
  return std::make_unique<service_workload>();
}

} // namespace cli::chaos
