#pragma once

#include <chrono>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>

#include "troupe/sim/recording_client.hpp"
#include "troupe/sim/service_scenario.hpp"
#include "troupe/state/state_table.hpp"

namespace troupe::sim {

/// What the clients of a state service saw at level strong.
struct state_record : client_record {
  /// Which write a version names; the same for all who see it.
  std::map<std::uint64_t, std::string> writes;
  /// When they were made, by the calendar, of each key.
  std::map<std::string, std::map<std::uint64_t, wall_time>> stamps;
  /// Keys whose value has a time to live, until somebody saw that it is gone.
  std::set<std::string> passing;
  std::set<std::string> violations;
  std::uint64_t expiries = 0;
  std::uint64_t conflicts = 0;
};

/// A client that reads and writes a few keys that all share, half of the writes on the
/// condition that nobody has written since, and looks after a key of its own whose value
/// has a time to live. It writes down what it saw.
template <class Home>
class state_client : public recording_client<state_client<Home>, Home, state::state_table> {
  using base = recording_client<state_client<Home>, Home, state::state_table>;
  using base::record;
  using service = host::replicated_core<state::state_table>;

public:
  explicit state_client(Home& here) : base(here) {
    this->rename();
  }

  void begin() {
    auto& random = this->here().random();
    auto is_passing = record().passing.contains(own_key());
    if (is_passing && (record().is_over || random.one_in(4)))
      return read(own_key());
    if (record().is_over)
      return;
    if (!is_passing && random.one_in(10))
      return put_for_a_while();
    auto key = "key-" + std::to_string(record().answers / keys_change_every) + '-'
               + std::to_string(random.below(3));
    switch (random.below(6)) {
      case 0:
      case 1:
        return read(key);
      case 2:
        return remove(key);
      default:
        return put(key);
    }
  }

  void answered(const state::effect& what) {
    std::visit([&](const auto& each) { handle(each); }, what);
  }

  void seen() {
    auto& found = **found_;
    if (key_ == own_key()) {
      if (found.entries.empty() && record().passing.erase(key_) > 0)
        ++record().expiries;
      return this->go_on_soon();
    }
    known_.erase(key_);
    std::optional<std::string> value;
    if (!found.entries.empty()) {
      auto& entry = found.entries.back();
      value = state::to_text(entry.value);
      note(entry.version, *value, entry.written_at);
    }
    known_[key_] = {state::version_of(found.entries), value};
    this->finish(outcome::ok, value);
  }

  /// Nobody knows whether it was written: the history says so.
  void be_another() {
    record().passing.erase(own_key());
    known_.clear();
    this->rename();
  }

private:
  /// What was under a key when this client saw it last.
  struct known {
    std::uint64_t version = 0;
    std::optional<std::string> value;
  };

  /// Keys are given up after so many answers, so that no history gets too long to judge.
  static constexpr std::uint64_t keys_change_every = 300;

  [[nodiscard]] std::string own_key() const {
    return "own-" + this->name();
  }

  static state::entry_key strong(std::string key) {
    return {state::consistency::strong, state::value_type::lww_register, std::move(key)};
  }

  void read(const std::string& key) {
    if (key != own_key())
      this->call(key, "get");
    key_ = key;
    found_ = std::make_shared<std::optional<state::entries_found>>();
    this->look(found_, [key](const service& state) {
      return std::optional{state.answer(state::get{strong(key)})};
    });
  }

  /// On condition, if this client knows what is there.
  void put(const std::string& key) {
    key_ = key;
    value_ = this->name() + '/' + std::to_string(++writes_);
    state::put what{strong(key), state::to_value(value_)};
    if (auto before = known_.find(key); before != known_.end() && this->here().random().one_in(2)) {
      what.expect_version = before->second.version;
      this->call(key, "cas", before->second.value, value_);
    } else {
      this->call(key, "put", value_);
    }
    known_.erase(key);
    this->ask(std::move(what));
  }

  void remove(const std::string& key) {
    key_ = key;
    known_.erase(key);
    this->call(key, "delete");
    value_.clear();
    this->ask(state::remove_key{strong(key), {}, {}});
  }

  void put_for_a_while() {
    key_ = own_key();
    value_ = this->name() + '/' + std::to_string(++writes_);
    record().passing.insert(key_);
    state::put what{strong(key_), state::to_value(value_)};
    what.ttl = std::chrono::milliseconds{200 + this->here().random().below(2'000)};
    this->ask(std::move(what));
  }

  void handle(const state::accepted& what) {
    note(what.value.version, value_, what.value.written_at);
    if (key_ == own_key())
      return this->go_on_soon();
    if (!value_.empty())
      known_[key_] = {what.value.version, value_};
    this->finish(outcome::ok);
  }

  void handle(const refused& what) {
    if (key_ == own_key())
      record().violations.insert("a put was refused: " + what.why.detail);
    if (what.why.code == errc::conflict)
      ++record().conflicts;
    this->finish(outcome::fail);
  }

  template <class Other>
  void handle(const Other&) {}

  /// A version names one write, and later ones of a key have later stamps.
  void note(std::uint64_t version, const std::string& value, wall_time at) {
    auto broken = [&](const std::string& what) {
      record().violations.insert("version " + std::to_string(version) + ' ' + what);
    };
    auto [write, is_new] = record().writes.try_emplace(version, value);
    if (write->second != value)
      broken("names two writes: " + write->second + " and " + value);
    auto& stamps = record().stamps[key_];
    auto [place, is_first] = stamps.try_emplace(version, at);
    if (place->second != at)
      broken("has two stamps");
    if (place != stamps.begin() && std::prev(place)->second >= at)
      broken("of " + key_ + " is stamped no later than the one before it");
    if (std::next(place) != stamps.end() && std::next(place)->second <= at)
      broken("of " + key_ + " is stamped no earlier than the one behind it");
  }

  std::uint64_t writes_ = 0;
  std::map<std::string, known> known_;
  std::string key_;   // of what is under way
  std::string value_; // that it writes, if it does
  std::shared_ptr<std::optional<state::entries_found>> found_;
};

struct state_service_model {
  using machine = state::state_table;
  using record = state_record;
  template <class Home>
  using client = state_client<Home>;

  static state::event opening(std::uint64_t floor) {
    return state::configure{{}, floor};
  }

  static void check(const state_record& what, findings& found) {
    for (auto& each : what.violations)
      found.broken(each);
    for (auto& key : what.passing)
      found.broken("expiry: " + key + " is there long after its time");
    check_history(register_model{}, what.lines, found);
  }
};

/// Clients of strong state, on nodes whose calendars are set back now and then.
using state_scenario = service_scenario<state_service_model>;

} // namespace troupe::sim
