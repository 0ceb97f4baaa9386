// Replays traces/*.trace against state_table.

#include "troupe/state/state_table.hpp"
#include "state/calendar_table.hpp"
#include "support/traces.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>

namespace state_table_trace {

using namespace std::literals;
using namespace troupe;
using namespace troupe::state;

namespace {

/// Understands, with all spans in seconds, of a replica called "a":
///   put LEVEL TYPE KEY VALUE [expect=VERSION] [ttl=SPAN] [seen=COUNT[+DOT...]]
///   remove LEVEL TYPE KEY [expect=VERSION] [seen=COUNT[+DOT...]]
///   get LEVEL TYPE KEY | list [PREFIX] | watch AFTER [LIMIT] | more | count
///   pass SPAN | bounds KEYS CHANGES | floor REVISION
/// `seen` is the clock of a writer that knows the writes of "a" up to COUNT, and DOT.
class state_interpreter {
public:
  std::string answer(const std::string& command) {
    std::istringstream in{command};
    std::string verb;
    in >> verb;
    if (verb == "pass")
      return to_text(keys_.pass(span(number(in))));
    if (verb == "put")
      return to_text(keys_.ask(read_put(in)));
    if (verb == "remove")
      return to_text(keys_.ask(read_remove(in)));
    if (verb == "get")
      return found(read_key(in));
    if (verb == "list")
      return listed(in);
    if (verb == "watch" || verb == "more")
      return watched(verb, in);
    if (verb == "count")
      return counted();
    if (verb == "bounds") {
      options_.max_keys = static_cast<std::uint32_t>(number(in));
      options_.max_changes = static_cast<std::uint32_t>(number(in));
      keys_.configure(options_);
      return "(nothing)\n";
    }
    if (verb == "floor") {
      keys_.configure(options_, number(in));
      return "(nothing)\n";
    }
    throw std::invalid_argument{"unknown command: " + verb};
  }

private:
  // -- reading ---------------------------------------------------------------------

  static std::uint64_t number(std::istream& in) {
    std::uint64_t result = 0;
    if (!(in >> result))
      throw std::invalid_argument{"expected a number"};
    return result;
  }

  static duration span(std::uint64_t seconds) {
    return std::chrono::seconds{seconds};
  }

  template <class Enum, std::size_t Size>
  static Enum read_name(std::istream& in, const std::array<std::string_view, Size>& names) {
    std::string name;
    in >> name;
    auto found = std::ranges::find_if(names, [&](auto each) { return each.starts_with(name); });
    if (found == names.end())
      throw std::invalid_argument{"unknown: " + name};
    return static_cast<Enum>(found - names.begin());
  }

  static entry_key read_key(std::istream& in) {
    entry_key result;
    result.level = read_name<consistency>(in, consistency_names);
    result.type = read_name<value_type>(in, value_type_names);
    in >> result.key;
    return result;
  }

  template <class Request>
  static void read_options(std::istream& in, Request& what) {
    for (std::string option; in >> option;) {
      std::istringstream rest{option.substr(option.find('=') + 1)};
      auto value = number(rest);
      if (option.starts_with("expect="))
        what.expect_version = value;
      else if (option.starts_with("seen="))
        for (what.context.emplace().raise("a", value); rest.get() == '+';)
          what.context->add("a", number(rest));
      else if constexpr (requires { what.ttl; })
        what.ttl = span(value);
    }
  }

  static put read_put(std::istream& in) {
    put what{.key = read_key(in)};
    std::string text;
    in >> text;
    what.value = to_value(text);
    read_options(in, what);
    return what;
  }

  static remove_key read_remove(std::istream& in) {
    remove_key what{.key = read_key(in)};
    read_options(in, what);
    return what;
  }

  // -- writing ---------------------------------------------------------------------

  static std::string line(const entry& what) {
    auto seen = what.context.empty() ? "nothing"s : state::to_text(what.context);
    std::ostringstream text;
    text << '"' << state::to_text(what.value) << "\" version=" << what.version << " after " << seen
         << " at " << to_string(what.written_at.time_since_epoch());
    if (what.expires_at)
      text << " until " << to_string(what.expires_at->time_since_epoch());
    return text.str();
  }

  std::string found(const entry_key& key) {
    auto result = keys_.table.answer(get{key});
    std::ostringstream text;
    text << state::to_text(key) << " clock=" << state::to_text(result.clock) << '\n';
    for (auto& each : result.entries)
      text << "  " << line(each) << '\n';
    return text.str();
  }

  std::string listed(std::istream& in) {
    list_keys question;
    in >> question.scope.prefix;
    std::ostringstream text;
    for (auto& each : keys_.table.answer(question).keys)
      text << state::to_text(each.key) << " version=" << each.version
           << " siblings=" << each.siblings << " bytes=" << each.value_bytes << '\n';
    auto lines = text.str();
    return lines.empty() ? "(nothing)\n" : lines;
  }

  std::string watched(const std::string& verb, std::istream& in) {
    if (verb == "watch") {
      question_ = {};
      question_.after = number(in);
      in >> question_.limit;
    }
    auto page = *keys_.table.answer(question_);
    question_ = question_.next(page);
    std::ostringstream text;
    text << (page.complete ? "snapshot " : "changes ") << "up to " << page.revision
         << (page.rest ? ", rest behind " + state::to_text(*page.rest) : "")
         << (page.more ? ", more\n" : "\n");
    for (auto& each : page.changes) {
      text << "  " << each.revision << ' ' << name_of(each.kind) << ' ' << state::to_text(each.key);
      for (auto& what : each.entries)
        text << " \"" << state::to_text(what.value) << '"';
      text << '\n';
    }
    return text.str();
  }

  std::string counted() {
    auto counts = keys_.table.answer(count_entries{});
    std::ostringstream text;
    for (auto& [level, each] : {std::pair{consistency::eventual, counts.eventual},
                                std::pair{consistency::causal, counts.causal},
                                std::pair{consistency::strong, counts.strong}})
      if (each != level_counts{})
        text << name_of(level) << " keys=" << each.keys << " siblings=" << each.siblings
             << " bytes=" << each.bytes << " tombstones=" << each.tombstones
             << " puts=" << each.puts << " removals=" << each.removals
             << " expiries=" << each.expiries << " conflicts=" << each.conflicts << '\n';
    text << "revision=" << counts.revision << " changes=" << counts.changes << '\n';
    return text.str();
  }

  static std::string to_text(const effects& out) {
    if (out.empty())
      return "(nothing)\n";
    std::ostringstream text;
    auto print = overloaded{
      [&](const accepted& answer) {
        text << "accepted #" << answer.id << " version=" << answer.value.version
             << " clock=" << state::to_text(answer.value.clock)
             << " siblings=" << answer.value.siblings << '\n';
      },
      [&](const refused& answer) {
        text << "refused #" << answer.id << ' ' << name_of(answer.why.code) << ": "
             << answer.why.detail << '\n';
      },
      [&](const expired& what) {
        text << "expired " << state::to_text(what.key) << " version=" << what.version << '\n';
      },
    };
    for (auto& what : out)
      troupe::visit(print, what);
    return text.str();
  }

  state_options options_{.replica = "a"};
  test::calendar_table keys_{options_};
  watch_state question_;
};

} // namespace

TEST_CASE("the state table answers as its golden traces say", "[state][trace]") {
  for (auto& file : test::traces_in(TROUPE_TESTS_DIR "/state/traces")) {
    state_interpreter keys;
    test::replay_trace(file, [&](const std::string& command) { return keys.answer(command); });
  }
}

} // namespace state_table_trace
