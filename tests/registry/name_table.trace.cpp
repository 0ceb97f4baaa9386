// Replays traces/names/*.trace against name_table.

#include "troupe/registry/name_table.hpp"
#include "support/traces.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <sstream>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace name_table_trace {

using namespace troupe;
using namespace troupe::registry;
using namespace troupe::registry::names;

namespace {

/// Understands: claim OWNER BOOT NAME... | release OWNER BOOT NAME... | gone OWNER BOOT
///   era FLOOR | list
class name_interpreter {
public:
  std::string answer(const std::string& command) {
    std::istringstream in{command};
    std::string verb;
    in >> verb;
    if (verb == "list")
      return to_text(table_.answer(list_claims{}).claimed);
    effects out;
    table_.step({}, ++last_id_, read_event(verb, in), out);
    return to_text(out);
  }

private:
  static event read_event(const std::string& verb, std::istream& in) {
    if (std::uint64_t floor = 0; verb == "era" && in >> floor)
      return configure{{}, floor};
    std::string called;
    std::uint64_t boot = 0;
    if (!(in >> called >> boot))
      throw std::invalid_argument{"expected an owner and a boot"};
    const owner_id owner{called};
    std::vector<agent_id> wanted;
    for (std::string each; in >> each;)
      wanted.emplace_back(each);
    if (verb == "claim")
      return claim{wanted, owner, boot};
    if (verb == "release")
      return release{wanted, owner, boot};
    if (verb == "gone")
      return owner_gone{owner, boot};
    throw std::invalid_argument{"unknown command: " + verb};
  }

  static std::string to_text(const std::vector<name_claim>& all) {
    std::string result;
    for (auto& each : all)
      result += each.name.text() + " owner=" + each.owner.text() + " boot="
                + std::to_string(each.boot) + " token=" + std::to_string(each.token) + '\n';
    return result.empty() ? "(nothing)\n" : result;
  }

  static std::string to_text(const effects& out) {
    if (out.empty())
      return "(nothing)\n";
    std::ostringstream text;
    auto print = overloaded{
      [&](const granted& answer) {
        text << "granted #" << answer.id << '\n' << to_text(answer.value.claimed);
      },
      [&](const released& answer) {
        text << "released #" << answer.id;
        for (auto& each : answer.value.names)
          text << ' ' << each.text();
        text << '\n';
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

  name_table table_;
  request_id last_id_ = 0;
};

} // namespace

TEST_CASE("the table of names answers as its golden traces say", "[registry][names][trace]") {
  for (auto& file : test::traces_in(TROUPE_TESTS_DIR "/registry/traces/names")) {
    name_interpreter table;
    test::replay_trace(file, [&](const std::string& command) { return table.answer(command); });
  }
}

} // namespace name_table_trace
