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

#include "troupe/core/visit.hpp"
#include "troupe/sim/scenarios/service_scenario.hpp"
#include "troupe/sim/world/recording_client.hpp"
#include "troupe/state/state_table.hpp"

namespace troupe::sim {

/// What clients of a state service saw at consistency level strong.
struct state_record : client_record {
  /// The write of each version, which must be the same for all clients.
  std::map<std::uint64_t, std::string> writes;
  /// By key, the wall time of each version.
  std::map<std::string, std::map<std::uint64_t, wall_time>> stamps;
  /// Keys whose value has a time to live and was not yet seen to be gone.
  std::set<std::string> passing;
  std::set<std::string> violations;
  std::uint64_t expiries = 0;
  std::uint64_t conflicts = 0;
  /// Accepted writes with the context of a read.
  std::uint64_t taken_as_seen = 0;
  /// Writes with the context of a value that had expired; all are refused.
  std::uint64_t late = 0;
};

/// A client that reads, writes and removes a few shared keys; half of the writes require that the
/// key has not changed since its read, by version or by context. It also keeps a key of its own
/// whose value has a time to live, and may not notice that it has expired. It records what it saw.
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
    troupe::visit([&](const auto& each) { handle(each); }, what);
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
    known_[key_] = {state::version_of(found.entries), value, found.clock, found.revision};
    this->finish(outcome::ok, std::to_string(found.revision) + (value ? ' ' + *value : ""));
  }

  /// The outcome of the last write is unknown, as the history says.
  void be_another() {
    record().passing.erase(own_key());
    own_context_.reset();
    known_.clear();
    this->rename();
  }

private:
  /// The state of a key when this client last saw it.
  struct known {
    std::uint64_t version = 0;
    std::optional<std::string> value;
    state::vector_clock context;
    std::uint64_t revision = 0;
  };

  /// New keys are used after this many answers, so that no history gets too long to judge.
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

  /// Returns what this client knows of the key, as the condition of a write; nothing for a write
  /// without condition.
  std::optional<known> condition(const std::string& key) {
    auto found = known_.extract(key);
    is_seen_ = !found.empty() && this->here().random().one_in(2);
    return is_seen_ ? std::optional{std::move(found.mapped())} : std::nullopt;
  }

  void put(const std::string& key) {
    key_ = key;
    value_ = this->name() + '/' + std::to_string(++writes_);
    state::put what{strong(key), state::to_value(value_)};
    auto before = condition(key);
    if (!before) {
      this->call(key, "put", value_);
    } else if (this->here().random().one_in(2)) {
      is_seen_ = false;
      what.expect_version = before->version;
      this->call(key, "cas", before->value, value_);
    } else {
      what.context = before->context;
      this->call(key, "put_seen", std::to_string(before->revision), value_);
    }
    this->ask(std::move(what));
  }

  void remove(const std::string& key) {
    key_ = key;
    value_.clear();
    state::remove_key what{strong(key), {}, {}};
    if (auto before = condition(key)) {
      what.context = before->context;
      this->call(key, "delete_seen", std::to_string(before->revision));
    } else {
      this->call(key, "delete");
    }
    this->ask(std::move(what));
  }

  void put_for_a_while() {
    key_ = own_key();
    value_ = this->name() + '/' + std::to_string(++writes_);
    record().passing.insert(key_);
    state::put what{strong(key_), state::to_value(value_)};
    what.ttl = std::chrono::milliseconds{200 + this->here().random().below(2'000)};
    is_late_ = own_context_ && this->here().random().one_in(2);
    if (is_late_)
      what.context = own_context_; // of the last put, which has expired
    this->ask(std::move(what));
  }

  void handle(const state::accepted& what) {
    auto& [key, version, clock, siblings, written_at, expires_at] = what.value;
    note(version, value_, written_at);
    if (key_ == own_key()) {
      if (is_late_)
        record().violations.insert("a put was taken whose writer had not seen that " + key_
                                   + " was over");
      own_context_ = clock;
      return this->go_on_soon();
    }
    if (is_seen_)
      ++record().taken_as_seen;
    auto is_put = !value_.empty();
    known_[key_]
      = {is_put ? version : 0, is_put ? std::optional{value_} : std::nullopt, clock, version};
    this->finish(outcome::ok, std::to_string(version));
  }

  void handle(const refused& what) {
    if (key_ == own_key()) {
      if (!is_late_)
        record().violations.insert("a put was refused: " + what.why.detail);
      own_context_.reset();
      record().passing.erase(key_);
      ++record().late;
      return this->go_on_soon();
    }
    if (what.why.code == errc::conflict)
      ++record().conflicts;
    this->finish(outcome::fail);
  }

  template <class Other>
  void handle(const Other&) {}

  /// Checks that a version belongs to one write, and that later versions of a key have later times.
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
  std::string key_;                                // of the current request
  std::string value_;                              // written by it, if it is a write
  bool is_seen_ = false;                           // it has the context of a read
  bool is_late_ = false;                           // it has the context of an expired value
  std::optional<state::vector_clock> own_context_; // of its last put for a while
  std::shared_ptr<std::optional<state::entries_found>> found_;
};

struct state_service_model {
  using machine = state::state_table;
  using record = state_record;
  template <class Home>
  using client = state_client<Home>;

  static state::event opening(std::uint64_t floor) {
    return state::configure{{.max_changes = 20}, floor}; // few, so that removals are forgotten
  }

  static void check(const state_record& what, findings& found) {
    for (auto& each : what.violations)
      found.broken(each);
    for (auto& key : what.passing)
      found.broken("expiry: " + key + " is there long after its time");
    check_history(numbered_register_model{}, what.lines, found);
  }
};

/// Clients of strong state, on nodes whose wall clocks are set back from time to time.
using state_scenario = service_scenario<state_service_model>;

} // namespace troupe::sim
