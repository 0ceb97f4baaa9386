// Replays traces/finder/*.trace against a finder.

#include "troupe/cluster/finder.hpp"
#include "support/traced_machine.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace finder_trace {

using namespace std::literals;
using namespace troupe;
using cluster::finder;
using cluster::whereabouts;
using net::address;

namespace {

std::string words_of(const finder::failed& what) {
  return (what.lasts ? ": " : ", for now: ") + to_string(what.why);
}

std::string to_text(const std::vector<address>& all) {
  std::string made;
  for (auto& each : all)
    made += ' ' + to_string(each);
  return made;
}

/// Each HOST has port 1. The finder is that of a light client, or of a node with services, at SELF.
/// ID is the number of a dial or a question, LINK of a link. Understands:
///   client HOST… | node SELF HOST…
///   resolved ID | linked ID LINK [relayed] | unlinked ID CODE | down LINK
///   here ID REVISION [voters|alone] | there ID REVISION HOST [OTHER…]
///   nowhere ID REVISION CODE [OTHER…] | silent ID CODE
///   lead TURN | follow TURN [HOST] | votes yes|no | seat CODE | present THERE ALL | doubt
class traced_finder : public test::traced_machine<finder> {
  finder& machine() override {
    return it_.value();
  }

  void perform(const std::string& verb, std::istream& in) override {
    if (verb == "client" || verb == "node")
      return begin(verb == "node", in);
    if (verb == "down")
      return step(finder::link_down{test::read_number(in)});
    if (verb == "lead")
      return step(finder::lead{test::read_number(in)});
    if (verb == "follow") {
      auto turn = test::read_number(in);
      auto host = test::read_more(in);
      return step(finder::follow{turn, host.empty() ? std::nullopt : std::optional{at(host)}});
    }
    if (verb == "votes")
      return step(finder::seated{test::read_word(in) == "yes"});
    if (verb == "seat")
      return step(finder::seat_says{read_problem(in, "by its seat")});
    if (verb == "present") {
      auto there = test::read_number(in);
      return step(finder::present{there, test::read_number(in)});
    }
    if (verb == "doubt")
      return step(finder::doubt{});
    auto id = test::read_number(in);
    if (verb == "resolved")
      return step(finder::resolved{}, id);
    step(read_answer(verb, in), id);
  }

  void begin(bool is_node, std::istream& in) {
    std::optional<address> self;
    if (is_node)
      self = at(test::read_word(in));
    cluster::finder_options how;
    how.retry = {1s, 1s};
    how.guide_after = 2s;
    if (!is_node) {
      how.idle_after = 30s;
      how.check_at_rest = 1min;
    }
    for (std::string host; in >> host;)
      how.addresses.push_back(at(host));
    it_.emplace(how, 7, now_);
    step(finder::start{self});
  }

  static finder::event read_answer(const std::string& verb, std::istream& in) {
    if (verb == "linked") {
      auto link = test::read_number(in);
      return finder::dialled{link, test::read_more(in) == "relayed"};
    }
    if (verb == "unlinked")
      return finder::dialled{read_problem(in, "no link")};
    if (verb == "silent")
      return finder::heard{read_problem(in, "no answer")};
    whereabouts said{.revision = test::read_number(in)};
    if (verb == "here") {
      auto last = said.handle = said.revision * 10;
      for (auto& each : cluster::cluster_services)
        said.all[each] = last++;
      if (test::read_word(in) == "voters")
        said.all[cluster::voters_name] = last;
    } else if (verb == "there") {
      said.address = to_string(at(test::read_word(in)));
    } else if (verb == "nowhere") {
      said.why = read_problem(in, "two of three are missing");
    } else {
      refuse(verb);
    }
    for (std::string host; in >> host;)
      said.others.push_back(to_string(at(host)));
    return finder::heard{said};
  }

  static address at(const std::string& host) {
    return {host, 1};
  }

  static problem read_problem(std::istream& in, const std::string& detail) {
    auto code = test::read_code(in);
    return code == errc::none ? problem{} : problem{code, detail};
  }

  std::string to_words(const finder::effect& what) override {
    std::ostringstream text;
    troupe::visit(overloaded{
                    [&](const finder::dial& each) {
                      text << "dial " << each.id << ": " << to_string(each.where);
                      if (each.through)
                        text << " through " << to_string(*each.through);
                    },
                    [&](const finder::ask& each) {
                      text << "ask " << each.id << " over link " << each.link;
                      if (each.wait > duration::zero())
                        text << ": news behind " << each.known << ", held for "
                             << troupe::to_string(each.wait);
                      else
                        text << ": where are they, knows " << each.known;
                      text << ", within " << troupe::to_string(each.within);
                    },
                    [&](const finder::bind& each) {
                      text << "bind to " << to_string(each.how.where) << " over link "
                           << each.how.link << ", actors from "
                           << each.how.handles.at(cluster::cluster_services.front())
                           << (each.how.has_voters ? ", voters" : ", alone") << ", others"
                           << to_text(each.how.others);
                    },
                    [&](const finder::bind_here& each) { text << "bind here, turn " << each.turn; },
                    [&](const finder::unbind&) { text << "unbind"; },
                    [&](const finder::point& each) {
                      text << "point to " << (each.where ? to_string(*each.where) : "nowhere");
                      if (each.relays)
                        text << ", relays";
                      if (each.relayed_by)
                        text << ", relayed by " << to_string(*each.relayed_by);
                    },
                    [&](const finder::met& each) {
                      text << "contact is " << to_string(each.where) << " over link " << each.link;
                    },
                    [&](const finder::parted&) { text << "no contact"; },
                    [&](const finder::close& each) { text << "close link " << each.link; },
                    [&](const finder::failed& each) { text << "failed" << words_of(each); },
                    [&](const finder::settled&) { text << "settled"; },
                    [&](const finder::without_quorum& each) {
                      text << (each.is_own ? "own " : "")
                           << "quorum: " << (each.why ? to_string(each.why) : "may be there");
                    },
                    [&](const finder::refused& each) {
                      text << "refused: " << (each.why ? to_string(each.why) : "no longer");
                    },
                  },
                  what);
    return text.str();
  }

  std::optional<finder> it_;
};

} // namespace

TEST_CASE("the services are found as golden traces say", "[node][finder][trace]") {
  test::replay_traces<traced_finder>("node/traces/finder");
}

} // namespace finder_trace
