#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "troupe/sim/laws/history.hpp"
#include "troupe/sim/world/service_process.hpp"
#include "troupe/sim/world/session_client.hpp"

namespace troupe::sim {

/// The record of clients whose histories are judged. A service may extend it.
struct client_record {
  history lines;
  std::uint64_t clients = 0;
  std::uint64_t answers = 0;
  bool is_over = false;
};

/// A client of a simulated service that writes a history. After an unknown outcome it continues
/// under a new name, as a new client. `Derived` is as for session_client, with void be_another(),
/// which is called for a new name.
template <class Derived, class Home, machine M>
class recording_client : public session_client<Derived, Home, M> {
  using base = session_client<Derived, Home, M>;

public:
  explicit recording_client(Home& here) : base(here) {}

  void lost() {
    static_cast<Derived&>(*this).be_another();
  }

protected:
  [[nodiscard]] auto& record() {
    return this->here().setting().record;
  }

  /// Time in the history, in nanoseconds. Clients have exact clocks.
  [[nodiscard]] std::int64_t clock() {
    return this->here().now().time_since_epoch().count();
  }

  [[nodiscard]] const std::string& name() const {
    return name_;
  }

  void rename() {
    name_ = "client-" + std::to_string(++record().clients);
  }

  /// Records a call that begins now; finish() records its outcome.
  void call(const std::string& key, std::string verb, std::optional<std::string> argument = {},
            std::optional<std::string> second = {}) {
    line_ = record().lines.call(
      name_, key,
      {std::move(verb), std::move(argument), std::move(second), {}, outcome::unknown, clock()});
  }

  void finish(outcome how, std::optional<std::string> result = {}) {
    record().lines.answer(line_, how, std::move(result), clock());
    go_on_soon();
  }

  void go_on_soon() {
    ++record().answers;
    this->rest(std::chrono::milliseconds{this->here().random().below(100)});
  }

private:
  std::string name_;
  std::size_t line_ = 0; // of the current request, in the history
};

/// Adds a violation to `found` if `model` does not allow the history.
template <class Model>
void check_history(const Model& model, const history& lines, findings& found) {
  auto report = judge(model, lines);
  for (auto& key : report.violated)
    found.broken("linearizability: " + key);
  for (auto& key : report.undecided)
    found.broken("linearizability of " + key + " is undecided");
}

} // namespace troupe::sim
