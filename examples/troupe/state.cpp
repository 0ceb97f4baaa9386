#include <csignal>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>

#include "commands.hpp"
#include "connect.hpp"
#include "table.hpp"
#include "troupe/core/base64.hpp"
#include "troupe/core/log_line.hpp"
#include "troupe/core/utf8.hpp"
#include "troupe/state/state_client.hpp"

#include <unistd.h>

namespace cli {

using namespace troupe;

namespace {

/// A value that is not UTF-8 cannot be in JSON: its bytes are in "value_base64" instead.
json to_line(const state::entry& what) {
  json line{{"key", what.key.key}};
  if (auto text = state::to_text(what.value); is_utf8(text))
    line["value"] = text;
  else
    line["value_base64"] = to_base64(what.value);
  line["version"] = what.version;
  line["replica"] = what.replica;
  return line;
}

void show(const state::change& what, bool as_json) {
  auto event = std::string{name_of(what.kind)};
  if (what.entries.empty()) {
    if (as_json)
      print({{"event", event}, {"key", what.key.key}});
    else
      std::cout << event << "  " << printable(what.key.key) << std::endl;
  }
  for (auto& each : what.entries) {
    auto line = to_line(each);
    line["event"] = event;
    if (as_json)
      print(line);
    else
      print_line(std::cout, event + "  " + printable(each.key.key) + "  "
                              + printable(state::to_text(each.value)));
  }
}

int get(state::state_client state, const state::entry_key& key, const common_options& common) {
  auto found = state.get(key);
  if (!found)
    return complain(common, found.error());
  if (found->entries.empty())
    return complain(common, {errc::not_found,
                             "no key '" + key.key + "' at level " + std::string{name_of(key.level)}
                               + "; put it first, or give the --level it was put at"});
  for (auto& each : found->entries)
    if (common.json)
      print(to_line(each));
    else
      std::cout << state::to_text(each.value) << std::endl;
  return ok;
}

int put(state::state_client state, const state::entry_key& key, const state_command& what,
        const common_options& common) {
  state::put_options how;
  if (what.ttl_s)
    how.ttl = to_span(*what.ttl_s);
  auto done = state.put(key, what.value, how);
  if (!done)
    return complain(common, done.error());
  if (common.json)
    print({{"key", key.key}, {"version", done->version}});
  else
    std::cout << "version " << done->version << std::endl;
  return ok;
}

int remove(state::state_client state, const state::entry_key& key, const common_options& common) {
  auto done = state.remove(key);
  if (!done)
    return complain(common, done.error());
  if (common.json)
    print({{"key", key.key}, {"version", done->version}});
  else
    print_line(std::cout, "removed");
  return ok;
}

/// Lists the keys that begin with that of `start`, at its level and of its type.
int list(state::state_client state, const state::entry_key& start, const common_options& common) {
  state::list_keys question{{start.level, start.type, start.key, {}}, {}, 1'000};
  table shown{{"KEY", "BYTES", "VERSION", "EXPIRES"}};
  for (;;) {
    auto page = state.list(question);
    if (!page)
      return complain(common, page.error());
    for (auto& each : page->keys) {
      auto expires = each.expires_at ? to_rfc3339(*each.expires_at) : std::string{};
      if (common.json)
        print({{"key", each.key.key},
               {"bytes", each.value_bytes},
               {"version", each.version},
               {"expires_at", expires.empty() ? json(nullptr) : json(expires)}});
      else
        shown.add({each.key.key, std::to_string(each.value_bytes), std::to_string(each.version),
                   expires.empty() ? "never" : expires});
    }
    if (!common.json)
      shown.print(std::cout);
    if (!page->more || page->keys.empty())
      return ok;
    question.after = page->keys.back().key;
  }
}

/// Prints what a watcher hears, until an error that no other try mends. Thread-safe.
class watched_key {
public:
  explicit watched_key(const common_options& common) : common_(common) {}

  void hear(const result<state::state_changes>& news) {
    std::lock_guard guard{mutex_};
    if (end_)
      return;
    if (!news && news.error().code == errc::denied) {
      end_ = news.error();
      ::kill(::getpid(), SIGTERM); // the thread that made this waits for one
      return;
    }
    if (!news && news.error().detail != said_)
      complain(common_, news.error());
    if (news && !said_.empty())
      note(common_, "over", said_);
    said_ = news ? std::string{} : news.error().detail;
    if (news)
      for (auto& each : news->changes)
        show(each, common_.json);
  }

  /// Returns the exit status, after a signal.
  int finish() const {
    std::lock_guard guard{mutex_};
    return end_ ? complain(common_, end_) : ok;
  }

private:
  const common_options& common_;
  mutable std::mutex mutex_;
  std::string said_;
  problem end_;
};

} // namespace

int run_state(const common_options& common, const state_command& what) {
  auto level = named<state::consistency>(what.level, "--level", 3);
  if (!level)
    return complain(common, level.error());
  state::entry_key key{*level, state::value_type::lww_register, what.key};
  std::optional<held_signals> signals; // before any thread that would get them
  if (what.what == state_command::verb::watch)
    signals.emplace();
  auto cluster = connect(common);
  if (!cluster)
    return complain(common, cluster.error());
  auto state = (*cluster)->state(common.wait());
  switch (what.what) {
    case state_command::verb::get:
      return get(state, key, common);
    case state_command::verb::put:
      return put(state, key, what, common);
    case state_command::verb::remove:
      return remove(state, key, common);
    case state_command::verb::list:
      return list(state, key, common);
    case state_command::verb::watch:
      if (auto now = state.get(key); !now) // the watcher would retry without an error
        return complain(common, now.error());
      break;
  }
  // It runs in the background; its callbacks come one at a time.
  auto shown = std::make_shared<watched_key>(common);
  auto watcher = state.watch(
    state::only(key), [shown](const result<state::state_changes>& news) { shown->hear(news); });
  signals->wait();
  return shown->finish();
}

} // namespace cli
