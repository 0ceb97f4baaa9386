#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "troupe/core/problem.hpp"

namespace troupe::sim {

/// Checks a message log: what became of each message of class confirm or once that was accepted as
/// synced, written by the processes that sent and handled them. A line is one of
///
///     {"ev":"accepted","id":"a1:7","from":"a1","to":"b2","seq":7,"class":"once","at_ns":1}
///     {"ev":"handled","id":"a1:7","from":"a1","to":"b2","seq":7,"class":"once","at_ns":9}
///     {"ev":"effect","id":"a1:7","to":"b2","at_ns":8}
///     {"ev":"dead","id":"a1:7","to":"b2","reason":"expired","at_ns":12}
///
/// A message is `accepted` when its sender was told so, `handled` when its handler has returned
/// without an error; an `effect` is a row of the guarded database. The lines of one process are in
/// its order; those of several may follow each other in any order. The laws:
///
/// - What was accepted was handled or is dead.
/// - What one sender sent to one receiver in one class was handled in the order of `seq`, the first
///   time each.
/// - There is at most one effect of a message, and exactly one of what was handled as once.
///
/// Memory grows with the messages, some 300 bytes each. Cost: O(log n) for each line.
class message_laws {
public:
  /// Reads all lines of `in`, called `name` in errors. Error, with the number of the line:
  /// bad_argument for a line that is none of these or was cut short. Nothing is judged after it.
  problem read(std::istream& in, const std::string& name) {
    std::string text;
    for (std::size_t number = 1; std::getline(in, text); ++number)
      if (auto why = take(text))
        return {why.code, name + ", line " + std::to_string(number) + ": " + why.detail};
    return {};
  }

  /// Accepted messages that were neither handled nor are dead.
  [[nodiscard]] std::size_t open() const {
    return static_cast<std::size_t>(
      std::ranges::count_if(messages_, [](const auto& each) { return is_open(each.second); }));
  }

  [[nodiscard]] std::size_t accepted() const {
    return accepted_;
  }

  /// How often a message was handled once more.
  [[nodiscard]] std::size_t repeated() const {
    return repeated_;
  }

  [[nodiscard]] std::size_t dead() const {
    return dead_;
  }

  /// The violations as sentences, at most ten.
  [[nodiscard]] std::vector<std::string> violations() const {
    auto found = found_;
    auto add = [&found](std::string what) {
      if (found.size() < most)
        found.push_back(std::move(what));
    };
    for (auto& [id, what] : messages_) {
      if (is_open(what))
        add(id + " was accepted, and is neither handled nor dead");
      if (what.effects > 1)
        add(id + " has " + std::to_string(what.effects) + " effects");
      if (what.is_handled && what.is_once && what.effects == 0)
        add(id + " was handled as once, and has no effect");
    }
    return found;
  }

private:
  using json = nlohmann::json;
  /// Sender, receiver and class.
  using line = std::tuple<std::string, std::string, std::string>;

  static constexpr std::size_t most = 10;

  struct message {
    bool is_accepted = false;
    bool is_handled = false;
    bool is_dead = false;
    bool is_once = false;
    std::size_t effects = 0;
  };

  static bool is_open(const message& what) {
    return what.is_accepted && !what.is_handled && !what.is_dead;
  }

  static problem bad(std::string what) {
    return {errc::bad_argument, std::move(what)};
  }

  static std::string word(const json& from, const char* field) {
    auto found = from.find(field);
    return found != from.end() && found->is_string() ? found->get<std::string>() : std::string{};
  }

  problem take(const std::string& text) {
    auto read = json::parse(text, nullptr, false);
    if (!read.is_object())
      return bad("no JSON object, or one that was cut short");
    auto what = word(read, "ev");
    auto id = word(read, "id");
    if (id.empty() || word(read, "to").empty())
      return bad("'id' and 'to' have to be texts");
    if (what == "accepted" || what == "handled")
      return take(what == "handled", id, read);
    auto& it = messages_[id];
    if (what == "effect") {
      ++it.effects;
    } else if (what == "dead") {
      it.is_dead = true;
      ++dead_;
    } else {
      return bad("'" + what + "' is no 'ev'; give accepted, handled, effect or dead");
    }
    return {};
  }

  problem take(bool is_handled, const std::string& id, const json& read) {
    line which{word(read, "from"), word(read, "to"), word(read, "class")};
    auto seq = read.find("seq");
    if (seq == read.end() || !seq->is_number_unsigned() || std::get<0>(which).empty())
      return bad("'from' has to be a text, and 'seq' a whole number");
    if (auto& name = std::get<2>(which); name != "confirm" && name != "once")
      return bad("'class' has to be confirm or once");
    auto& it = messages_[id];
    it.is_once = std::get<2>(which) == "once";
    if (!is_handled) {
      it.is_accepted = true;
      ++accepted_;
      return {};
    }
    if (std::exchange(it.is_handled, true)) {
      ++repeated_;
      return {};
    }
    auto& last = last_handled_[which];
    auto number = seq->get<std::uint64_t>();
    if (number <= last && found_.size() < most)
      found_.push_back(id + " was handled after number " + std::to_string(last)
                       + " of the same sender, receiver and class");
    last = std::max(last, number);
    return {};
  }

  std::map<std::string, message> messages_;
  std::map<line, std::uint64_t> last_handled_;
  std::vector<std::string> found_;
  std::size_t accepted_ = 0;
  std::size_t repeated_ = 0;
  std::size_t dead_ = 0;
};

} // namespace troupe::sim
