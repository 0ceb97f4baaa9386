#pragma once

#include <concepts>
#include <cstdint>
#include <istream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/sim/laws/linearizability.hpp"
#include "troupe/sim/laws/models.hpp"

namespace troupe::sim {

/// One operation of a history.
struct operation {
  std::string client;
  std::string key;
  step_of_history what;
  /// When it ended, on the clock of what.call; nothing if the outcome is unknown.
  std::optional<std::int64_t> end;
};

/// Records the operations of clients. Not thread-safe.
class history {
public:
  /// Records a call. Returns its index, for the answer.
  std::size_t call(std::string client, std::string key, step_of_history what) {
    what.how = outcome::unknown;
    operations_.push_back({std::move(client), std::move(key), std::move(what), std::nullopt});
    return operations_.size() - 1;
  }

  void answer(std::size_t place, outcome how, std::optional<std::string> result, std::int64_t now) {
    auto& line = operations_.at(place);
    line.what.how = how;
    line.what.result = std::move(result);
    if (how != outcome::unknown)
      line.end = now;
  }

  void add(operation what) {
    operations_.push_back(std::move(what));
  }

  [[nodiscard]] const std::vector<operation>& operations() const {
    return operations_;
  }

private:
  std::vector<operation> operations_;
};

/// Result of judging a history, with the keys that are violated or undecided.
struct history_report {
  verdict outcome = verdict::linearizable;
  std::size_t operations = 0;
  std::vector<std::string> violated;
  std::vector<std::string> undecided;
};

/// Whether a Model depends on the times at which operations ended.
template <class Model>
concept timed_model
  = requires(const Model& model, const typename Model::state& now, const operation& what) {
  model.apply(now, what);
};

/// Whether a Model uses the whole history of a key to shorten the search.
template <class Model>
concept foreseeing_model
  = requires(const std::vector<step_of_history>& all, const std::vector<interval>& when) {
  { Model::knowing(all, when) } -> std::same_as<Model>;
};

/// Judges each key separately. Throws nothing: an unknown verb, or text in place of a number, is a
/// violation.
template <class Model>
history_report judge(const Model& model, const history& what, std::size_t max_states = 2'000'000) {
  using step = std::conditional_t<timed_model<Model>, operation, step_of_history>;
  std::map<std::string, std::pair<std::vector<step>, std::vector<interval>>> keys;
  for (auto& each : what.operations()) {
    auto& [steps, when] = keys[each.key];
    if constexpr (timed_model<Model>)
      steps.push_back(each);
    else
      steps.push_back(each.what);
    when.push_back({each.what.call, each.end});
  }
  history_report report{verdict::linearizable, what.operations().size(), {}, {}};
  auto judge_key = [&](const auto& line) {
    if constexpr (foreseeing_model<Model>)
      return judge(Model::knowing(line.first, line.second), line.first, line.second, max_states);
    else
      return judge(model, line.first, line.second, max_states);
  };
  for (auto& [key, line] : keys)
    switch (judge_key(line).outcome) {
      case verdict::linearizable:
        break;
      case verdict::violated:
        report.violated.push_back(key);
        break;
      case verdict::undecided:
        report.undecided.push_back(key);
    }
  if (!report.violated.empty())
    report.outcome = verdict::violated;
  else if (!report.undecided.empty())
    report.outcome = verdict::undecided;
  return report;
}

// -- as JSON lines ----------------------------------------------------------------------

namespace detail {

/// Names of the arguments of a verb, in our order.
inline std::pair<const char*, const char*> arguments_of(const std::string& verb) {
  if (verb == "cas")
    return {"from", "to"};
  if (verb == "add")
    return {"n", nullptr};
  if (verb == "release")
    return {"token", nullptr};
  if (verb == "renew")
    return {"token", "ttl_ns"};
  if (verb == "acquire" || verb == "try_acquire" || verb == "acquire_shared")
    return {nullptr, "ttl_ns"};
  if (verb == "write" || verb == "put" || verb == "append" || verb == "push")
    return {"value", nullptr};
  return {nullptr, nullptr};
}

inline const char* result_of(const std::string& verb) {
  auto holds = verb == "acquire" || verb == "try_acquire" || verb == "acquire_shared";
  return holds ? "token" : "value";
}

/// Numbers are written as JSON numbers, so that other checkers can compare them.
inline nlohmann::json to_json(const std::string& text) {
  auto is_number = !text.empty() && text.size() < 19
                   && text.find_first_not_of("0123456789") == std::string::npos
                   && (text == "0" || text.front() != '0');
  return is_number ? nlohmann::json(std::stoull(text)) : nlohmann::json(text);
}

/// The string member of that name, empty if it is absent; nothing if it is not a string.
inline std::optional<std::string> word_of(const nlohmann::json& table, const char* name) {
  auto found = table.find(name);
  if (found == table.end())
    return std::string{};
  return found->is_string() ? std::optional{found->get<std::string>()} : std::nullopt;
}

inline std::optional<std::string> from_json(const nlohmann::json& table, const char* name) {
  if (name == nullptr || !table.is_object() || !table.contains(name) || table.at(name).is_null())
    return std::nullopt;
  auto& value = table.at(name);
  return value.is_string() ? value.get<std::string>() : value.dump();
}

} // namespace detail

/// Writes one JSON object per line: client, op, key, args, result, outcome, call_ns, return_ns.
inline void write_history(std::ostream& out, const history& what) {
  for (auto& each : what.operations()) {
    auto& step = each.what;
    auto args = nlohmann::json::object();
    auto [first, second] = detail::arguments_of(step.verb);
    if (first != nullptr && step.argument)
      args[first] = detail::to_json(*step.argument);
    if (second != nullptr && step.second)
      args[second] = detail::to_json(*step.second);
    auto result = nlohmann::json::object();
    if (step.how == outcome::ok)
      result[detail::result_of(step.verb)]
        = step.result ? detail::to_json(*step.result) : nlohmann::json{};
    nlohmann::ordered_json line;
    line["client"] = each.client;
    line["op"] = step.verb;
    line["key"] = each.key;
    line["args"] = args;
    line["result"] = result;
    line["outcome"] = name_of(step.how);
    line["call_ns"] = step.call;
    line["return_ns"] = each.end ? nlohmann::json(*each.end) : nlohmann::json{};
    out << line.dump() << '\n';
  }
}

/// Reads the output of write_history(). Errors: bad_argument, with the number of the invalid line.
inline result<history> read_history(std::istream& in) {
  history made;
  std::string text;
  for (std::size_t number = 1; std::getline(in, text); ++number) {
    if (text.empty())
      continue;
    auto line = nlohmann::json::parse(text, nullptr, false);
    auto bad = [&](const std::string& what) {
      return problem{errc::bad_argument,
                     "line " + std::to_string(number) + " of the history " + what};
    };
    if (!line.is_object() || !line.contains("op") || !line.contains("call_ns")
        || !line["op"].is_string() || !line["call_ns"].is_number_integer())
      return bad("is no operation; it needs op and call_ns");
    operation each;
    auto client = detail::word_of(line, "client");
    auto key = detail::word_of(line, "key");
    if (!client || !key)
      return bad("has a client or a key that is no text");
    each.client = *std::move(client);
    each.key = *std::move(key);
    each.what.verb = line["op"];
    each.what.call = line["call_ns"];
    auto how = detail::word_of(line, "outcome");
    if (how != "ok" && how != "fail" && how != "unknown")
      return bad("has no outcome ok, fail or unknown");
    each.what.how = how == "ok" ? outcome::ok : how == "fail" ? outcome::fail : outcome::unknown;
    auto args = line.value("args", nlohmann::json::object());
    auto [first, second] = detail::arguments_of(each.what.verb);
    each.what.argument = detail::from_json(args, first);
    each.what.second = detail::from_json(args, second);
    each.what.result = detail::from_json(line.value("result", nlohmann::json::object()),
                                         detail::result_of(each.what.verb));
    if (each.what.how != outcome::unknown) {
      if (!line.contains("return_ns") || !line["return_ns"].is_number_integer())
        return bad("has an outcome and no return_ns");
      each.end = line["return_ns"].get<std::int64_t>();
    }
    made.add(std::move(each));
  }
  return made;
}

} // namespace troupe::sim
