// Replays traces/swim/*.trace against swim.

#include "troupe/cluster/swim.hpp"
#include "support/traces.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/sim/world/swim_process.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace swim_trace {

using namespace std::literals;
using namespace troupe;
using namespace cluster;

namespace {

/// Life and refutation.
std::string to_text(const incarnation& when) {
  return std::to_string(when.boot) + '.' + std::to_string(when.refutation);
}

/// The member "self" in its life 5. Understands, with an incarnation as BOOT.REFUTATION:
///   meet NAME INCARNATION | pass MILLISECONDS | doubt NAME | unsent NAME | link NUMBER yes|no
///   mail FROM news|ping N|ack N|nack N|request N WHOM [RUMOUR...] | told FROM [RUMOUR...]
///   move ADDRESS | leave | members
///   RUMOUR: alive NAME INCARNATION | left NAME INCARNATION | suspect NAME INCARNATION BY |
///   dead NAME INCARNATION BY
/// What it wants signed is signed at once. Answers with effects and the milliseconds since it
/// began.
class swim_interpreter {
public:
  swim_interpreter() {
    step(swim::begin{"self:1"});
    text_.str({});
  }

  std::string answer(const std::string& command) {
    text_.str({});
    std::istringstream in{command};
    auto verb = test::read_word(in);
    if (verb == "members")
      show_members();
    else if (verb == "pass")
      pass(std::chrono::milliseconds{number(in)});
    else
      step(read_event(verb, in));
    for (auto& flaw : it_.flaws())
      text_ << "flaw: " << flaw << '\n';
    return text_.str().empty() ? "(nothing)\n" : text_.str();
  }

private:
  // -- commands ----------------------------------------------------------------------

  static std::uint32_t number(std::istream& in) {
    return static_cast<std::uint32_t>(test::read_number(in));
  }

  static public_key key(const std::string& name) {
    public_key made;
    for (std::size_t each = 0; each < name.size(); ++each)
      made.bytes[each] = static_cast<std::byte>(name[each]);
    return made;
  }

  node_id id(const std::string& name) {
    auto made = id_of(key(name));
    names_.insert_or_assign(made, name);
    return made;
  }

  static incarnation read_incarnation(std::istream& in) {
    auto text = test::read_word(in);
    auto point = text.find('.');
    if (point == std::string::npos)
      throw std::invalid_argument{"expected BOOT.REFUTATION: " + text};
    return {std::stoull(text.substr(0, point)),
            static_cast<std::uint32_t>(std::stoul(text.substr(point + 1)))};
  }

  signed_statement said(const std::string& name, const incarnation& when, bool leaves) {
    statement made{id(name), when, leaves, name + ":1"};
    return {made, sim::sign_with(key(name), to_be_signed(made))};
  }

  past_death read_death(const node_id& who, incarnation when, std::istream& in) {
    auto by = id(test::read_word(in));
    return {{who, when, by, true}, std::chrono::seconds{number(in)}};
  }

  std::vector<rumour> read_rumours(std::istream& in) {
    std::vector<rumour> found;
    for (std::string kind; in >> kind;) {
      auto name = test::read_word(in);
      auto when = read_incarnation(in);
      if (kind == "alive" || kind == "left")
        found.emplace_back(told_itself{said(name, when, kind == "left")});
      else if (kind == "suspect" || kind == "dead")
        found.emplace_back(accusation{id(name), when, id(test::read_word(in)), kind == "dead"});
      else if (kind == "gone")
        found.emplace_back(read_death(id(name), when, in));
      else
        throw std::invalid_argument{"unknown rumour: " + kind};
    }
    return found;
  }

  swim_mail::subject read_subject(std::istream& in) {
    auto kind = test::read_word(in);
    if (kind == "news")
      return swim_news{};
    auto which = number(in);
    if (kind == "ping")
      return swim_ping{which};
    if (kind == "ack")
      return swim_ack{which};
    if (kind == "nack")
      return swim_nack{which};
    if (kind == "request")
      return swim_ping_request{which, id(test::read_word(in))};
    throw std::invalid_argument{"unknown mail: " + kind};
  }

  swim::event read_event(const std::string& verb, std::istream& in) {
    if (verb == "leave")
      return swim::leave{};
    if (verb == "link") {
      auto which = number(in);
      return swim::reached{which, test::read_word(in) == "yes"};
    }
    auto name = test::read_word(in);
    if (verb == "move")
      return swim::moved{name};
    if (verb == "meet")
      return swim::introduced{key(name), said(name, read_incarnation(in), false), true};
    if (verb == "doubt")
      return swim::doubted{id(name)};
    if (verb == "unsent")
      return swim::not_sent{id(name)};
    if (verb == "told")
      return swim::told{id(name), read_rumours(in)};
    if (verb == "mail") {
      auto subject = read_subject(in);
      return swim::heard{id(name), {std::move(subject), read_rumours(in)}};
    }
    throw std::invalid_argument{"unknown command: " + verb};
  }

  void step(swim::event what) {
    swim::effects out;
    it_.step(now_, 0, std::move(what), out);
    print(out);
  }

  void pass(duration span) {
    auto until = now_ + span;
    for (auto due = it_.next_deadline(); due && *due <= until; due = it_.next_deadline()) {
      now_ = std::max(now_, *due);
      swim::effects out;
      it_.tick(now_, out);
      print(out);
    }
    now_ = until;
  }

  // -- answers -----------------------------------------------------------------------

  std::string name_of(const node_id& who) {
    auto found = names_.find(who);
    return found == names_.end() ? "?" : found->second;
  }

  std::string to_text(const rumour& what) {
    if (auto* itself = std::get_if<told_itself>(&what)) {
      auto& said = itself->what.what;
      return (said.leaves ? "left " : "alive ") + name_of(said.node) + ' '
             + swim_trace::to_text(said.when);
    }
    if (auto* death = std::get_if<past_death>(&what))
      return "gone " + name_of(death->what.node) + ' ' + swim_trace::to_text(death->what.when) + ' '
             + name_of(death->what.by) + ' '
             + std::to_string(std::chrono::floor<std::chrono::seconds>(death->gone_for).count());
    auto& one = std::get<accusation>(what);
    return (one.is_dead ? "dead " : "suspect ") + name_of(one.node) + ' '
           + swim_trace::to_text(one.when) + ' ' + name_of(one.by);
  }

  std::string to_text(const swim_mail::subject& what) {
    return troupe::visit(
      overloaded{
        [](const swim_news&) { return "news"s; },
        [](const swim_ping& each) { return "ping " + std::to_string(each.number); },
        [](const swim_ack& each) { return "ack " + std::to_string(each.number); },
        [](const swim_nack& each) { return "nack " + std::to_string(each.number); },
        [this](const swim_ping_request& each) {
          return "request " + std::to_string(each.number) + ' ' + name_of(each.whom);
        },
      },
      what);
  }

  void print(const swim::effects& out) {
    std::optional<statement> wanted;
    auto show = overloaded{
      [&](const swim::send& each) {
        text_ << "to " << name_of(each.to) << ' ' << to_text(each.what.what);
        for (auto& what : each.what.rumours)
          text_ << ", " << to_text(what);
      },
      [&](const swim::reach& each) {
        text_ << "link " << each.number << " to " << name_of(each.whom) << " within "
              << troupe::to_string(each.wait);
      },
      [&](const swim::sign& each) {
        wanted = each.what;
        text_ << "sign " << swim_trace::to_text(each.what.when) << ' ' << each.what.address
              << (each.what.leaves ? " leaves" : "");
      },
      [&](const swim::ask& each) {
        text_ << "ask " << name_of(each.from) << " about " << name_of(each.whom);
      },
      [&](const swim::sync& each) {
        text_ << "compare with " << name_of(each.with) << (each.or_any ? " or any" : "");
      },
      [&](const swim::shows& each) {
        text_ << "show " << name_of(each.who) << ' ' << swim_trace::to_text(each.when) << ' '
              << cluster::name_of(each.is) << " by " << name_of(each.by);
      },
      [&](const swim::forgot& each) { text_ << "forgot " << name_of(each.who); },
      [&](const swim::no_datagrams& each) { text_ << "no datagrams to " << name_of(each.to); },
      [&](const swim::datagrams_again& each) {
        text_ << "datagrams to " << name_of(each.to) << " again";
      },
      [&](const swim::complain& each) {
        text_ << "complain of " << name_of(each.of) << ": " << each.what;
      },
      [&](const swim::spoke& each) {
        text_ << "say so as " << swim_trace::to_text(each.what.what.when);
      },
      [&](const swim::met_itself& each) {
        text_ << "met itself as " << swim_trace::to_text(each.what.what.when);
      },
      [&](const swim::was_dead&) { text_ << "was dead to somebody"; },
    };
    for (auto& what : out) {
      text_ << std::chrono::floor<std::chrono::milliseconds>(now_ - began_).count() << "ms ";
      troupe::visit(show, what);
      text_ << '\n';
    }
    if (wanted)
      step(swim::stated{{*wanted, sim::sign_with(key("self"), to_be_signed(*wanted))}});
  }

  void show_members() {
    std::map<std::string, std::string> all;
    it_.for_each([&](const node_id& who, member_status is) {
      all[name_of(who)]
        = swim_trace::to_text(it_.find(who)->when) + ' ' + std::string{cluster::name_of(is)};
    });
    for (auto& [name, what] : all)
      text_ << name << ' ' << what << '\n';
    text_ << it_.present() << " present, doubt " << it_.doubt() << '\n';
  }

  static constexpr time_point began_{1h};
  time_point now_ = began_;
  std::ostringstream text_;
  std::map<node_id, std::string> names_{{id_of(key("self")), "self"}};
  swim it_{id_of(key("self")), 5, swim_options::lan(), 1, &sim::is_signed_with};
};

} // namespace

TEST_CASE("members answer as their golden traces say", "[node][swim][trace]") {
  for (auto& file : test::traces_in(TROUPE_TESTS_DIR "/node/traces/swim")) {
    swim_interpreter self;
    test::replay_trace(file, [&](const std::string& command) { return self.answer(command); });
  }
}

} // namespace swim_trace
