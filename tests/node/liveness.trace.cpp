// Replays traces/liveness/*.trace against liveness.

#include "troupe/cluster/liveness.hpp"
#include "router/named_nodes.hpp"
#include "support/traced_machine.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace liveness_trace {

using namespace std::literals;
using namespace troupe;
using cluster::liveness;
using cluster::member_status;

namespace {

/// A node that others are told to. Understands:
///   lead [NAME BOOT]... | follow | up NAME BOOT | down NAME BOOT | leaves NAME BOOT | shown NAME
///   BOOT alive|suspect|dead|left NAME BOOT | forgotten NAME BOOT | expelled [NAME]... ill NAME
///   NODE | well NAME NODE | pong ID yes|no | claims ID [NAME NODE BOOT fleeting|kept]... | workers
///   ID [NUMBER NODE BOOT silent|active]...
class traced_liveness : public test::traced_machine<liveness> {
  liveness& machine() override {
    return it_;
  }

  void perform(const std::string& verb, std::istream& in) override {
    if (verb == "pong")
      answer_ping(in);
    else if (verb == "claims")
      answer_list(in);
    else if (verb == "workers")
      answer_workers(in);
    else
      step(read_event(verb, in));
  }

  liveness::event read_event(const std::string& verb, std::istream& in) {
    if (verb == "follow")
      return liveness::follow{};
    if (verb == "lead")
      return read_lead(in);
    if (verb == "expelled")
      return read_expelled(in);
    auto name = test::read_word(in);
    if (verb == "ill")
      return liveness::ill{agent(name, in), name};
    if (verb == "well")
      return liveness::well{agent(name, in)};
    auto node = node_called(name);
    auto boot = test::read_number(in);
    if (verb == "leaves")
      return liveness::left{node, boot};
    if (verb == "up")
      return liveness::link_up{node, boot};
    if (verb == "down")
      return liveness::link_down{node, boot, "closed"};
    if (verb == "shown")
      return liveness::shown{node, boot};
    if (verb == "forgotten")
      return liveness::forgotten{node, boot};
    for (auto is :
         {member_status::alive, member_status::suspect, member_status::dead, member_status::left})
      if (verb == cluster::name_of(is))
        return liveness::seen{node, boot, is};
    refuse(verb);
  }

  /// The registry shows it under that name.
  node_id node_called(const std::string& name) {
    auto node = test::node_named(name);
    registry::record_view shown;
    shown.value.key = {registry::record_kind::node, name, node};
    nodes_.put(node, shown);
    return node;
  }

  static std::string name_of(const owner_id& who) {
    return test::short_name(to_string(who));
  }

  liveness::lead read_lead(std::istream& in) {
    liveness::lead made;
    made.self = node_called("self");
    for (std::string name; in >> name;)
      made.known[node_called(name)] = test::read_number(in);
    return made;
  }

  liveness::expelled read_expelled(std::istream& in) {
    liveness::expelled made;
    for (std::string name; in >> name;)
      made.nodes.insert(node_called(name));
    return made;
  }

  registry::record_key agent(const std::string& name, std::istream& in) {
    return {registry::record_kind::agent, name, node_called(test::read_word(in))};
  }

  /// As a service or a record has the node whose name is next.
  std::string read_id(std::istream& in) {
    return to_string(node_called(test::read_word(in)));
  }

  void answer_ping(std::istream& in) {
    auto id = test::read_number(in);
    step(liveness::pong{test::read_word(in) == "yes"}, id);
  }

  void answer_list(std::istream& in) {
    auto id = test::read_number(in);
    registry::names::claim_page page;
    for (std::string name; in >> name;) {
      registry::names::name_claim claim{.name = name, .owner = owner_id{read_id(in)}};
      claim.boot = test::read_number(in);
      claim.is_fleeting = test::read_word(in) == "fleeting";
      page.claimed.push_back(std::move(claim));
    }
    step(liveness::names_listed{std::move(page)}, id);
  }

  void answer_workers(std::istream& in) {
    auto id = test::read_number(in);
    std::vector<liveness::worker> page;
    for (std::uint64_t number = 0; in >> number;) {
      liveness::worker found{number, owner_id{read_id(in)}, test::read_number(in)};
      found.is_silent = test::read_word(in) == "silent";
      page.push_back(std::move(found));
    }
    step(liveness::workers_listed{std::move(page)}, id);
  }

  std::string to_words(const liveness::effect& what) override {
    std::ostringstream text;
    troupe::visit(
      overloaded{
        [&](const liveness::give_up& each) {
          text << "give up " << name_of(each.owner) << " boot " << each.boot;
        },
        [&](const liveness::free_names& each) {
          text << "free names of " << name_of(each.owner) << " boot " << each.boot;
        },
        [&](const liveness::list_names& each) {
          text << "list names " << each.id << " after '" << each.what.after.text() << '\'';
        },
        [&](const liveness::list_workers& each) {
          text << "list workers " << each.id << " above " << each.above;
        },
        [&](const liveness::ping& each) {
          text << "ping " << each.id << ' ' << each.agent.text() << " of "
               << test::name_of(each.node);
        },
        [&](const liveness::recovered& each) { text << "recovered " << each.what.name; },
        [&](const liveness::warn& each) { text << "warn " << each.text; },
      },
      what);
    return text.str();
  }

  cluster::known_nodes nodes_;
  liveness it_{nodes_, {}};
};

} // namespace

TEST_CASE("who is alive is decided as its golden traces say", "[node][liveness][trace]") {
  test::replay_traces<traced_liveness>("node/traces/liveness");
}

} // namespace liveness_trace
