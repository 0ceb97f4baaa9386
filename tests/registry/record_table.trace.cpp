// Replays traces/records/*.trace against record_table.

#include "troupe/registry/record_table.hpp"
#include "router/named_nodes.hpp"
#include "support/traces.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

namespace record_table_trace {

using namespace std::literals;
using namespace troupe;
using namespace troupe::registry;

namespace {

/// Understands, with all spans in seconds:
///   put KIND NAME OWNER BOOT VERSION [WORD...]   a WORD is +capability, group:G, KEY=TEXT,
///                                                token:N, a status, or removed
///   verdict OWNER BOOT STATUS | forget OWNER BOOT
///   report OUTCOME KIND NAME OWNER | pass SPAN
///   get KIND NAME | find [WORD...] | owner OWNER | count | watch AFTER LIMIT (AFTER may
///   be "last": go on from the last watch)
class registry_interpreter {
public:
  registry_interpreter() {
    effects out;
    table_.step(now_, 0, configure{}, out);
  }

  std::string answer(const std::string& command) {
    return test::with_short_names(answer_with_ids(command));
  }

private:
  std::string answer_with_ids(const std::string& command) {
    std::istringstream in{command};
    std::string verb;
    in >> verb;
    if (verb == "get")
      return to_text(table_.answer(read_get(in)));
    if (verb == "find")
      return to_text(table_.answer(read_find(in)));
    if (verb == "owner")
      return to_text(table_.answer(find_owner{read_node(in)}));
    if (verb == "count")
      return to_text(table_.answer(count_records{}));
    if (verb == "watch")
      return watch(in);
    effects out;
    if (verb == "pass")
      table_.tick(now_ += std::chrono::seconds{test::read_number(in)});
    else
      table_.step(now_, ++last_id_, read_event(verb, in), out);
    return to_text(out);
  }

  // -- commands ----------------------------------------------------------------------

  template <class Enum, std::size_t Size>
  static Enum named(const std::string& name, const std::array<std::string_view, Size>& names) {
    auto found = std::ranges::find(names, name);
    if (found == names.end())
      throw std::invalid_argument{"unknown name: " + name};
    return Enum(found - names.begin());
  }

  static node_id read_node(std::istream& in) {
    return test::node_named(test::read_word(in));
  }

  static std::string read_name(std::istream& in) {
    return test::with_whole_id(test::read_word(in));
  }

  static record_key read_key(std::istream& in) {
    auto kind = named<record_kind>(test::read_word(in), record_kind_names);
    auto name = read_name(in);
    return {kind, name, read_node(in)};
  }

  static event read_event(const std::string& verb, std::istream& in) {
    if (verb == "put")
      return put_records{{read_record(in)}};
    if (verb == "report") {
      constexpr std::array<std::string_view, 3> names{"succeeded", "unreachable", "timed_out"};
      auto outcome = named<call_outcome>(test::read_word(in), names);
      return report_outcome{read_key(in), outcome};
    }
    auto owner = read_node(in);
    auto boot = test::read_number(in);
    if (verb == "verdict")
      return verdict{owner, boot, named<record_status>(test::read_word(in), record_status_names)};
    if (verb == "forget")
      return forget{owner, boot};
    throw std::invalid_argument{"unknown command: " + verb};
  }

  static record read_record(std::istream& in) {
    record result;
    result.key = read_key(in);
    result.boot = test::read_number(in);
    result.version = test::read_number(in);
    for (std::string each; in >> each;) {
      if (each == "removed")
        result.removed = true;
      else if (each.starts_with('+'))
        result.capabilities.insert(each.substr(1));
      else if (each.starts_with("group:"))
        result.groups.insert(each.substr(6));
      else if (each.starts_with("token:"))
        result.token = std::stoull(each.substr(6));
      else if (auto equals = each.find('='); equals != std::string::npos)
        result.metadata.emplace(each.substr(0, equals), each.substr(equals + 1));
      else
        result.status = named<record_status>(each, record_status_names);
    }
    return result;
  }

  static get_record read_get(std::istream& in) {
    auto kind = named<record_kind>(test::read_word(in), record_kind_names);
    return {kind, read_name(in), {}};
  }

  static find_records read_find(std::istream& in) {
    find_records result;
    for (std::string each; in >> each;) {
      if (each.starts_with('+'))
        result.capabilities.push_back(each.substr(1));
      else if (each.starts_with("group:"))
        result.group = each.substr(6);
      else if (auto equals = each.find('='); equals != std::string::npos)
        result.metadata.emplace(each.substr(0, equals), each.substr(equals + 1));
      else if (each == "all")
        result.statuses = all_statuses();
      else
        result.kind = named<record_kind>(each, record_kind_names);
    }
    return result;
  }

  std::string watch(std::istream& in) {
    if (auto after = test::read_word(in); after != "last")
      last_watch_ = {.after = std::stoull(after)};
    last_watch_.limit = static_cast<std::uint32_t>(test::read_number(in));
    auto news = table_.answer(last_watch_);
    last_watch_ = last_watch_.next(news);
    return to_text(news);
  }

  // -- answers -----------------------------------------------------------------------

  static std::string to_text(const record_view& view) {
    std::string result
      = registry::to_text(view.value.key) + " boot=" + std::to_string(view.value.boot) + " version="
        + std::to_string(view.value.version) + ' ' + std::string{name_of(view.status)};
    if (!view.healthy)
      result += " unhealthy";
    if (view.unseen_for != duration::zero())
      result += " unseen for " + troupe::to_string(view.unseen_for);
    return result + '\n';
  }

  static std::string to_text(const record_found& answer) {
    return answer.found ? to_text(*answer.found) : "(nothing)\n";
  }

  static std::string to_text(const found_records& answer) {
    std::string result;
    for (auto& each : answer.records)
      result += to_text(each);
    return result.empty() ? "(nothing)\n" : result;
  }

  static std::string to_text(const owner_view& view) {
    return to_string(view.owner) + " boot=" + std::to_string(view.boot) + ' '
           + std::string{name_of(view.liveness)} + " records=" + std::to_string(view.records)
           + '\n';
  }

  static std::string to_text(const registry_counts& counts) {
    std::ostringstream text;
    auto print = [&](const char* what, const status_counts& each) {
      text << what << ": " << each.active << " active, " << each.maintenance << " in maintenance, "
           << each.inactive << " inactive, " << each.disconnected << " disconnected\n";
    };
    print("nodes", counts.nodes);
    print("agents", counts.agents);
    print("services", counts.services);
    text << counts.unhealthy << " unhealthy, " << counts.removed << " removed, " << counts.owners
         << " owners";
    for (auto& [name, count] : counts.by_capability)
      text << ", " << name << " " << count;
    text << '\n';
    return text.str();
  }

  static std::string to_text(const record_changes& news) {
    std::string result = "revision " + std::to_string(news.revision)
                         + (news.complete ? ", a snapshot" : "") + (news.more ? ", more" : "")
                         + '\n';
    for (auto& each : news.changes)
      result += std::to_string(each.revision) + ' ' + std::string{name_of(each.kind)} + ' '
                + to_text(each.what);
    return result;
  }

  static std::string to_text(const effects& out) {
    if (out.empty())
      return "(nothing)\n";
    std::ostringstream text;
    auto print = overloaded{
      [&](const put_done& answer) {
        text << "put #" << answer.id << " merged=" << answer.value.merged
             << " known=" << answer.value.known << " stale=" << answer.value.stale
             << " clashing=" << answer.value.clashing << '\n';
      },
      [&](const owner_done& answer) {
        text << "owner #" << answer.id << ' ' << to_text(answer.value);
      },
      [&](const health_done& answer) {
        text << "health #" << answer.id << ' ' << registry::to_text(answer.value.key)
             << (answer.value.healthy ? " healthy" : " unhealthy")
             << " failures=" << answer.value.failures << '\n';
      },
      [&](const refused& answer) {
        text << "refused #" << answer.id << ' ' << name_of(answer.why.code) << ": "
             << answer.why.detail << '\n';
      },
    };
    for (auto& what : out)
      troupe::visit(print, what);
    return text.str();
  }

  record_table table_;
  time_point now_{};
  request_id last_id_ = 0;
  watch_records last_watch_;
};

} // namespace

TEST_CASE("the registry answers as its golden traces say", "[registry][trace]") {
  for (auto& file : test::traces_in(TROUPE_TESTS_DIR "/registry/traces/records")) {
    registry_interpreter registry;
    test::replay_trace(file, [&](const std::string& command) { return registry.answer(command); });
  }
}

} // namespace record_table_trace
