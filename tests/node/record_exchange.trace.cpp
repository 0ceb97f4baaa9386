// Replays traces/exchange/*.trace against the record_exchange of node 0.

#include "troupe/cluster/record_exchange.hpp"
#include "node/record_fixture.hpp"
#include "support/traced_machine.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace record_exchange_trace {

using namespace troupe;
using cluster::record_exchange;
using record_fixture::key_number;
using record_fixture::node_number;
using record_fixture::owner;

namespace {

/// NODE is a number, 0 this node. What is heard or told of another is as that has signed it last;
/// what this one signs is what it was to sign last. Understands:
///   says NODE AGENT LOAD | takes_back NODE AGENT | begins NODE BOOT | signs NODE
///   heard NODE FROM | gone NODE | forgotten NODE | link NODE | unlink NODE | hurry
///   told ID [NODE | false NODE]... | no_answer ID | asks ID NODE BOOT AFTER | shows NODE
class traced_exchange : public test::traced_machine<record_exchange> {
public:
  traced_exchange() {
    registry::effects none;
    table_.step({}, 0, registry::configure{registry::registry_options{}, 0}, none);
    for (auto number = 0; number < 6; ++number)
      owners_.try_emplace(number, number);
  }

private:
  record_exchange& machine() override {
    return it_;
  }

  void perform(const std::string& verb, std::istream& in) override {
    if (verb == "hurry")
      return step(record_exchange::hurry{});
    auto number = test::read_number(in);
    if (verb == "told")
      return step(record_exchange::answered{read_told(asked_.at(number), in)}, number);
    if (verb == "no_answer")
      return step(record_exchange::answered{}, number);
    if (verb == "asks") {
      cluster::record_wish what{node_number(static_cast<int>(test::read_number(in))),
                                test::read_number(in), 0};
      what.after = test::read_number(in);
      return step(record_exchange::asked{{what}}, number);
    }
    perform(verb, owners_.at(static_cast<int>(number)), in);
  }

  void perform(const std::string& verb, owner& of, std::istream& in) {
    if (verb == "says" || verb == "takes_back")
      return change(verb, of, in);
    if (verb == "begins") {
      auto which = of.number;
      owners_.erase(which);
      owners_.try_emplace(which, which, test::read_number(in));
      return;
    }
    if (verb == "signs") {
      if (of.number == 0)
        return step(record_exchange::spoke{heads_.at(0)});
      heads_[of.number] = of.state();
    } else if (verb == "heard") {
      auto from = node_number(static_cast<int>(test::read_number(in)));
      step(record_exchange::heard{heads_.at(of.number), key_number(of.number), from});
    } else if (verb == "gone") {
      step(record_exchange::gone{of.who});
    } else if (verb == "forgotten") {
      step(record_exchange::forgotten{of.who});
    } else if (verb == "link" || verb == "unlink") {
      step(record_exchange::linked{of.who, verb == "link"});
    } else if (verb == "shows") {
      show(of);
    } else {
      refuse(verb);
    }
  }

  void change(const std::string& verb, owner& of, std::istream& in) {
    auto name = test::read_word(in);
    auto before = of.book.version();
    if (verb == "says")
      of.say(name, static_cast<std::uint32_t>(test::read_number(in)));
    else
      of.take_back(name);
    if (of.number != 0)
      return;
    registry::effects none;
    auto all = of.table.records_of(of.who, of.book.boot());
    table_.step(now_, 0, registry::put_records{registry::page_of(*all, before, 1'000).records},
                none);
    step(record_exchange::changed{of.book.boot(), of.book.version()});
  }

  std::vector<cluster::told_records> read_told(const record_exchange::ask& to, std::istream& in) {
    std::vector<cluster::told_records> made;
    for (std::string word; in >> word;) {
      auto is_false = word == "false";
      auto& of = owners_.at(std::stoi(is_false ? test::read_word(in) : word));
      std::uint64_t after = 0;
      for (auto& each : to.what)
        if (each.owner == of.who && each.boot == of.book.boot())
          after = each.after;
      made.push_back(of.page(heads_.at(of.number), after));
      if (is_false)
        made.back().page.records.back().load += 1;
    }
    return made;
  }

  void show(const owner& of) {
    table_.for_each_of(of.who, [this](const registry::record& each, auto&) {
      text_ << each.key.name.substr(0, each.key.name.find('@')) << ' ' << each.load << '\n';
    });
  }

  std::string name_of(const node_id& who) const {
    for (auto& [number, each] : owners_)
      if (each.who == who)
        return std::to_string(number);
    return "?";
  }

  std::string to_words(const record_exchange::effect& what) override {
    std::ostringstream text;
    troupe::visit(
      overloaded{
        [&](const record_exchange::restate& each) {
          heads_[0] = owners_.at(0).state();
          text << "sign version " << each.what.version;
        },
        [&](const record_exchange::ask& each) {
          asked_.insert_or_assign(each.id, each);
          text << "ask " << each.id << " of " << name_of(each.whom) << ':';
          for (auto& one : each.what)
            text << " node " << name_of(one.owner) << " boot " << one.boot << " behind "
                 << one.after;
        },
        [&](const record_exchange::reply& each) {
          text << "reply " << each.id << ':' << (each.what.empty() ? " nothing" : "");
          for (auto& one : each.what)
            text << " node " << name_of(one.of.what.node) << ", " << one.page.records.size()
                 << " records from " << one.page.after << " to " << one.page.upto
                 << (one.page.is_last ? "" : ", more");
        },
        [&](const record_exchange::learned& each) {
          text << "learned of " << name_of(each.what.what.node) << " version "
               << each.what.what.records.version << " from " << name_of(each.from);
        },
        [&](const record_exchange::merged& each) { text << "merged " << name_of(each.who); },
        [&](const record_exchange::complain& each) {
          text << "complain of " << name_of(each.of) << ": " << each.what;
        },
      },
      what);
    return text.str();
  }

  registry::record_table table_;
  record_exchange it_{node_number(0), {}, table_, &sim::is_signed_with};
  std::map<int, owner> owners_;
  std::map<int, cluster::signed_statement> heads_;
  std::map<request_id, record_exchange::ask> asked_;
};

} // namespace

TEST_CASE("nodes get each other's records as golden traces say", "[node][exchange][trace]") {
  test::replay_traces<traced_exchange>("node/traces/exchange");
}

} // namespace record_exchange_trace
