// Replays traces/worker/*.trace against the core of a worker.

#include "troupe/scheduler/worker_core.hpp"
#include "support/traced_machine.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace worker_core_trace {

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;

namespace {

/// A worker with four slots, that has up to five attempts. ID is the number of a request, JOB of a
/// handler; TASK is a number, and has one attempt in one run. Understands:
///   identified BOOT [maintenance] | drain | done JOB VALUE | failed JOB CODE | progress JOB
///   PERMILLE receipt ID WORKER LEASE | taken ID | no ID CODE orders ID SEQUENCE [TASK SLOTS |
///   cancel TASK]...
class traced_worker : public test::traced_machine<worker_core> {
  worker_core& machine() override {
    return it_;
  }

  void perform(const std::string& verb, std::istream& in) override {
    if (verb == "drain")
      return step(worker_core::drain{});
    if (verb == "identified") {
      auto boot = test::read_number(in);
      return step(worker_core::identified{boot, test::read_more(in) == "maintenance"});
    }
    auto id = test::read_number(in);
    step(read_event(verb, id, in), id);
  }

  worker_core::event read_event(const std::string& verb, request_id id, std::istream& in) {
    if (verb == "done")
      return worker_core::ended{test::read_word(in)};
    if (verb == "failed")
      return worker_core::ended{problem{test::read_code(in), "the handler says so"}};
    if (verb == "progress")
      return worker_core::progressed{static_cast<std::uint16_t>(test::read_number(in))};
    if (verb == "receipt") {
      worker_receipt said{worker_id{test::read_number(in)}, {}, {}};
      said.lease = std::chrono::milliseconds{test::read_number(in)};
      return worker_core::heard<worker_receipt>{said};
    }
    if (verb == "taken")
      return worker_core::heard<report_receipt>{report_receipt{}};
    if (verb == "orders")
      return worker_core::heard<worker_orders>{read_orders(in)};
    if (verb == "no")
      return read_refusal(id, in);
    refuse(verb);
  }

  static worker_orders read_orders(std::istream& in) {
    worker_orders said{.sequence = test::read_number(in)};
    for (std::string word; in >> word;)
      if (word == "cancel")
        said.cancellations.push_back(attempt(test::read_number(in)));
      else
        said.assignments.push_back({.what = attempt(std::stoull(word)),
                                    .handler = "work",
                                    .needs = {0, 0, 0, test::read_number(in)}});
    return said;
  }

  [[nodiscard]] worker_core::event read_refusal(request_id id, std::istream& in) const {
    problem why{test::read_code(in), "the scheduler says so"};
    return troupe::visit(
      [&why]<class Words>(const Words&) -> worker_core::event {
        return worker_core::heard<typename Words::result>{why};
      },
      asked_.at(id));
  }

  static attempt_id attempt(std::uint64_t task) {
    return {run_id{1}, static_cast<std::uint32_t>(task), 1};
  }

  static std::string to_text(const std::vector<attempt_id>& all) {
    std::string made;
    for (auto& each : all)
      made += ' ' + std::to_string(each.task);
    return made.empty() ? " none" : made;
  }

  static std::string to_text(const outcome& each) {
    auto made = ' ' + std::to_string(each.what.task) + ' ' + std::string{name_of(each.kind)};
    if (!each.value.empty())
      made += " '" + each.value + '\'';
    if (each.why)
      made += " (" + std::string{name_of(each.why.code)} + (each.retryable ? ", may pass)" : ")");
    if (each.kind == outcome_kind::progress)
      made += ' ' + std::to_string(each.permille);
    return made;
  }

  std::string to_words(const worker_core::effect& what) override {
    std::ostringstream text;
    troupe::visit(overloaded{
                    [&](const worker_core::identify&) { text << "identify"; },
                    [&](const worker_core::send& each) {
                      asked_.insert_or_assign(each.id, each.what);
                      text << "send " << each.id << ": " << words_of(each.what) << "; within "
                           << troupe::to_string(each.wait);
                    },
                    [&](const worker_core::begin& each) {
                      text << "begin job " << each.id << ": task " << each.what.what.task;
                    },
                    [&](const worker_core::stop& each) { text << "stop job " << each.id; },
                    [&](const worker_core::registered& each) {
                      text << "registered";
                      if (each.why)
                        text << " not: " << to_string(each.why);
                    },
                    [&](const worker_core::drained&) { text << "drained"; },
                  },
                  what);
    return text.str();
  }

  static std::string words_of(const decltype(worker_core::send::what)& what) {
    std::ostringstream text;
    auto alive = [&](auto& each) {
      text << " of worker " << each.worker.value << ", seen " << each.seen << ", open"
           << to_text(each.open);
    };
    troupe::visit(
      overloaded{
        [&](const register_worker& each) {
          text << "register " << each.name << ", boot " << each.boot
               << (each.maintenance ? ", in maintenance" : "");
        },
        [&](const check_in& each) {
          text << "sign of life";
          alive(each);
        },
        [&](const renew_worker& each) {
          text << "record";
          alive(each);
        },
        [&](const watch_assignments& each) {
          text << "orders behind " << each.after << ", at most " << each.limit << ", held for "
               << troupe::to_string(each.wait);
        },
        [&](const report& each) {
          text << "report";
          for (auto& one : each.outcomes)
            text << to_text(one);
        },
        [&](const deregister_worker& each) { text << "deregister worker " << each.worker.value; },
      },
      what);
    return text.str();
  }

  worker_core it_{
    {.name = "w", .owner = owner_id{"node"}, .capacity = {0, 0, 0, 4}, .handlers = {"work"}},
    {.retry = {1s, 1s}, .max_attempts = 5, .max_report = 3},
    1};
  std::map<request_id, decltype(worker_core::send::what)> asked_;
};

} // namespace

TEST_CASE("a worker talks as golden traces say", "[scheduler][worker][trace]") {
  test::replay_traces<traced_worker>("scheduler/traces/worker");
}

} // namespace worker_core_trace
