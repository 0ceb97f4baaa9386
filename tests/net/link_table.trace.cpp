// Replays traces/*.trace against link_table.

#include "troupe/net/link_table.hpp"
#include "support/traces.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <sstream>
#include <stdexcept>
#include <string>
#include <variant>

#include "net/link_world.hpp"

namespace link_table_trace {

using namespace std::literals;
using namespace troupe;
using namespace troupe::net;

namespace {

constexpr std::array<std::string_view, 12> answers{
  "go",       "foreign", "no_cluster", "incompatible", "myself", "duplicate",
  "old_boot", "linked",  "greeting",   "dialling",     "full",   "unproven"};
constexpr std::array<std::string_view, 9> ends{"unreachable",  "timed_out",  "closed",
                                               "bad_greeting", "wrong_node", "crossed",
                                               "displaced",    "stopped",    "not_secured"};

std::string to_word(verdict why) {
  auto number = static_cast<std::size_t>(why);
  return std::string{number < 128 ? answers.at(number) : ends.at(number - 128)};
}

verdict read_verdict(const std::string& word) {
  for (std::size_t number = 0; number < 256; ++number)
    if (number < answers.size() || (number >= 128 && number < 128 + ends.size()))
      if (to_word(static_cast<verdict>(number)) == word)
        return static_cast<verdict>(number);
  throw std::invalid_argument{"unknown verdict: " + word};
}

/// Plays node 5 of cluster 7, boot 1. Connections and nodes are numbers; spans are in
/// milliseconds. Understands:
///   dial C [NODE] | accepted C | connected C | closed C | up C | alive C | expect C SPAN
///   hello C NODE [boot=B] [cluster=K] [client] [process=P] [wire=W]
///   answer C VERDICT NODE [heard=B] […] | commit C | ended C | found K | rise B | pass SPAN
///   bounds A D L R
class table_interpreter {
public:
  std::string answer(const std::string& command) {
    std::istringstream in{command};
    std::string verb;
    in >> verb;
    link_table::effects out;
    if (verb == "pass")
      table_.tick(now_ += std::chrono::milliseconds{read_number(in)}, out);
    else if (verb == "bounds")
      table_ = link_table{test::member(5), read_bounds(in)};
    else if (verb == "joiner")
      table_ = link_table{test::member(5, 0)};
    else
      table_.step(now_, read_event(verb, in), out);
    return to_text(out);
  }

private:
  static std::uint32_t read_number(std::istream& in) {
    std::uint32_t result = 0;
    if (!(in >> result))
      throw std::invalid_argument{"expected a number"};
    return result;
  }

  static table_options read_bounds(std::istream& in) {
    table_options result;
    result.max_accepting = read_number(in);
    result.max_dialling = read_number(in);
    result.max_members = read_number(in);
    result.max_remembered = read_number(in);
    return result;
  }

  static net::answer read_answer(std::istream& in) {
    std::string text;
    in >> text;
    net::answer result;
    result.said = read_verdict(text);
    std::getline(in, text);
    if (auto place = text.find(" heard="); place != std::string::npos) {
      result.heard = std::stoull(text.substr(place + 7));
      text.erase(place, text.find(' ', place + 1) - place);
    }
    std::istringstream rest{text};
    result.from = read_hello(rest);
    return result;
  }

  static hello read_hello(std::istream& in) {
    auto number = static_cast<std::uint8_t>(read_number(in));
    auto result = test::member(number);
    std::string word;
    std::string process;
    while (in >> word) {
      auto value = word.substr(word.find('=') + 1);
      if (word == "client")
        result.as = role::client;
      else if (word.starts_with("boot="))
        result = test::member(number, 7, std::stoull(value));
      else if (word.starts_with("cluster="))
        result.cluster.bytes.back() = static_cast<std::byte>(std::stoi(value));
      else if (word.starts_with("process="))
        result.basp_node = value;
      else if (word.starts_with("heartbeat="))
        result.heartbeat = std::chrono::milliseconds{std::stoi(value)};
      else if (word.starts_with("wire="))
        result.wire = {static_cast<std::uint16_t>(std::stoi(value)),
                       static_cast<std::uint16_t>(std::stoi(value))};
      else
        throw std::invalid_argument{"unknown word: " + word};
    }
    return result;
  }

  event read_event(const std::string& verb, std::istream& in) const {
    auto connection = connection_id{read_number(in)};
    if (verb == "dial") {
      dial result{connection, {}};
      if (int number = 0; in >> number)
        result.who = test::member(static_cast<std::uint8_t>(number)).node;
      return result;
    }
    if (verb == "accepted")
      return accepted{connection};
    if (verb == "connected")
      return connected{connection};
    if (verb == "closed")
      return broken{connection, verdict::closed};
    if (verb == "up")
      return up{connection};
    if (verb == "alive")
      return alive{connection, now_};
    if (verb == "expect")
      return expect{connection, std::chrono::milliseconds{read_number(in)}};
    if (verb == "ended")
      return ended{connection};
    if (verb == "hello")
      return heard{connection, read_hello(in)};
    if (verb == "commit")
      return heard{connection, commit{}};
    if (verb == "found")
      return founded{test::member(1, static_cast<std::uint8_t>(connection)).cluster};
    if (verb == "rise")
      return risen{connection};
    if (verb == "answer")
      return heard{connection, read_answer(in)};
    throw std::invalid_argument{"unknown command: " + verb};
  }

  static int number_of(const node_id& node) {
    return std::to_integer<int>(node.bytes.back());
  }

  static std::string to_text(const link_table::effects& out) {
    if (out.empty())
      return "(nothing)\n";
    std::ostringstream text;
    auto greet = overloaded{
      [&](const hello& said) {
        text << "hello, cluster " << std::to_integer<int>(said.cluster.bytes.back());
        if (said.boot > 1)
          text << ", boot " << said.boot;
      },
      [&](const net::answer& said) {
        text << to_word(said.said);
        if (said.heard > 0)
          text << ", heard " << said.heard;
        if (said.said == verdict::old_boot) // who has to be whom the other side spoke to
          text << ", from node " << number_of(said.from.node);
      },
      [&](const commit&) { text << "commit"; },
      [&](const relay_request&) { text << "relay"; },
      [&](const bootstrap_request&) { text << "how to found"; },
      [&](const bootstrap_answer& said) { text << "founding " << to_word(said.said); },
    };
    auto print = overloaded{
      [&](const say& what) {
        text << "say " << what.connection << ": ";
        troupe::visit(greet, what.what);
        text << '\n';
      },
      [&](const drop& what) {
        text << "drop " << what.connection << ": " << to_word(what.why);
        if (what.peer)
          text << ", node " << number_of(*what.peer);
        text << '\n';
      },
      [&](const hand_over& what) {
        text << "hand over " << what.connection << ": node " << number_of(what.peer.node)
             << (what.end == side::dialled ? ", dialled" : ", accepted") << '\n';
      },
      [&](const close_link& what) {
        text << "close " << what.connection << ": " << what.why << '\n';
      },
      [&](const adopt& what) {
        text << "adopt cluster " << std::to_integer<int>(what.cluster.bytes.back()) << '\n';
      },
      [&](const outlived& what) { text << "outlived: " << what.heard << '\n'; },
      [&](const start_over& what) { text << "start over " << what.connection << '\n'; },
      [&](const relay_wanted& what) { text << "relay wanted " << what.connection << '\n'; },
      [&](const bootstrap_wanted& what) { text << "answer wanted " << what.connection << '\n'; },
      [&](const bootstrap_heard& what) { text << "answered " << what.connection << '\n'; },
    };
    for (auto& what : out)
      troupe::visit(print, what);
    return text.str();
  }

  link_table table_{test::member(5), {.max_rises = 3}};
  time_point now_{};
};

} // namespace

TEST_CASE("the link table answers as its golden traces say", "[net][trace]") {
  for (auto& file : test::traces_in(TROUPE_TESTS_DIR "/net/traces")) {
    table_interpreter table;
    test::replay_trace(file, [&](const std::string& command) { return table.answer(command); });
  }
}

} // namespace link_table_trace
