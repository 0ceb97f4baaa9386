// What programs do with the state of a cluster that no command does.
//
// Usage: state_program ADDRESS,... fill COUNT BYTES
//            puts so many keys of so many bytes; says "filled"
//        state_program ADDRESS,... write COUNT
//            puts anew, from eight threads, one after the other of so many keys; says "writing",
//            and at SIGTERM "COUNT writes"
//        state_program ADDRESS,... watch
//            watches all keys; says "complete COUNT" when it has those of the snapshot, and at
//            SIGTERM "equal" or "different", as what it has is what the state has
//        state_program ADDRESS,... see KEY
//            says what a reader of the key has seen now
//        state_program ADDRESS,... replace KEY VALUE SEEN
//            puts a value on top of what a reader has seen; says how that went
//        state_program ADDRESS,... remove KEY SEEN
//            takes it away, on top of what a reader has seen

#include "program_end.hpp"
#include "support/test_ca.hpp"
#include "troupe/core/hex.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/node/init.hpp"
#include "troupe/state/state_client.hpp"
#include "troupe/testing/comes_true.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

using namespace std::literals;
using namespace troupe;
using test::addresses_in;
using test::fail;
using test::value_of;

namespace {

state::entry_key key_of(const std::string& text) {
  return {state::consistency::strong, state::value_type::lww_register, text};
}

std::string numbered(std::uint32_t number) {
  return "key-" + std::to_string(number);
}

/// Runs `body(number, thread)` in eight threads for numbers from 0 on until it returns false.
template <class Body>
void side_by_side(Body body) {
  std::atomic<std::uint32_t> next = 0;
  std::vector<std::jthread> threads;
  for (auto thread = 0; thread < 8; ++thread)
    threads.emplace_back([&] {
      while (body(next++))
        continue;
    });
}

void fill(state::state_client& table, std::uint32_t count, std::size_t bytes) {
  const std::string text(bytes, 'x');
  side_by_side([&](std::uint32_t number) {
    if (number >= count)
      return false;
    value_of(table.put(key_of(numbered(number)), text));
    return true;
  });
  std::cout << "filled" << std::endl;
}

void write(state::state_client& table, std::uint32_t count, const sigset_t& ends) {
  std::atomic<bool> shall_stop = false;
  std::atomic<std::uint64_t> made = 0;
  std::jthread stopper{[&] {
    auto which = 0;
    ::sigwait(&ends, &which);
    shall_stop = true;
  }};
  std::cout << "writing" << std::endl;
  side_by_side([&](std::uint32_t number) {
    value_of(table.put(key_of(numbered(number % count)), std::to_string(number)));
    ++made;
    return !shall_stop;
  });
  std::cout << made << " writes" << std::endl;
}

// -- watching ------------------------------------------------------------------------

/// What a watcher has been told, key by key.
class copy {
public:
  void hear(const state::state_changes& news) {
    std::lock_guard guard{mutex_};
    if (news.complete) {
      versions_.clear();
      in_snapshot_ = true;
    }
    for (auto& each : news.changes)
      versions_[each.key.key] = state::version_of(each.entries);
    if (in_snapshot_ && !news.rest) {
      in_snapshot_ = false;
      std::cout << "complete " << versions_.size() << std::endl;
    }
    revision_ = news.revision;
  }

  /// Whether it is what the state has, once it has heard of `revision`.
  std::optional<bool> is(const std::map<std::string, std::uint64_t>& other,
                         std::uint64_t revision) {
    std::lock_guard guard{mutex_};
    return revision_ < revision ? std::nullopt : std::optional{versions_ == other};
  }

private:
  std::mutex mutex_;
  std::map<std::string, std::uint64_t> versions_;
  bool in_snapshot_ = false;
  std::uint64_t revision_ = 0;
};

std::map<std::string, std::uint64_t> all_versions(state::state_client& table) {
  std::map<std::string, std::uint64_t> result;
  state::list_keys question{.limit = 1'000};
  for (auto more = true; more;) {
    auto page = value_of(table.list(question));
    for (auto& each : page.keys)
      result[each.key.key] = each.version;
    if (!page.keys.empty())
      question.after = page.keys.back().key;
    more = page.more;
  }
  return result;
}

void watch(state::state_client& table, const sigset_t& ends) {
  copy seen;
  auto watcher = table.watch({}, [&](const result<state::state_changes>& news) {
    if (news)
      seen.hear(*news);
    else
      std::cout << "told " << news.error().detail << std::endl; // it goes on by itself
  });
  auto which = 0;
  ::sigwait(&ends, &which);
  // Nobody writes any more.
  auto revision = value_of(table.get(key_of(numbered(0)))).revision;
  auto now = all_versions(table);
  std::optional<bool> equal;
  testing::comes_true([&] { return (equal = seen.is(now, revision)).has_value(); });
  std::cout << (equal.value_or(false) ? "equal" : "different") << std::endl;
}

// -- contexts ------------------------------------------------------------------------

void see(state::state_client& table, const std::string& key) {
  auto seen = to_bytes(value_of(table.get(key_of(key))).clock);
  std::cout << to_hex(std::as_bytes(std::span{seen})) << std::endl;
}

state::vector_clock clock_of(const std::string& seen) {
  auto bytes = from_hex(seen);
  auto context = bytes ? from_bytes<state::vector_clock>(state::view_of(*bytes)) : std::nullopt;
  if (!context)
    fail({errc::bad_argument, "give what `see` has said"});
  return *context;
}

void say(const result<state::written>& done) {
  std::cout << (done ? "done" : name_of(done.error().code)) << std::endl;
}

} // namespace

int main(int argc, char** argv) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigprocmask(SIG_BLOCK, &ends, nullptr); // before there are threads
  init();
  std::vector<std::string> words{argv + 1, argv + argc};
  if (words.size() < 2)
    fail({errc::bad_argument, "see the source for its usage"});
  auto cluster = value_of(cluster_client::connect(addresses_in(words[0]), 20s, test::client_links(),
                                                  test::client_identity()));
  state::state_client table{cluster->system(), cluster->services().state};
  if (words[1] == "fill" && words.size() == 4)
    fill(table, static_cast<std::uint32_t>(std::stoul(words[2])), std::stoul(words[3]));
  else if (words[1] == "write" && words.size() == 3)
    write(table, static_cast<std::uint32_t>(std::stoul(words[2])), ends);
  else if (words[1] == "watch" && words.size() == 2)
    watch(table, ends);
  else if (words[1] == "see" && words.size() == 3)
    see(table, words[2]);
  else if (words[1] == "replace" && words.size() == 5)
    say(table.put(key_of(words[2]), words[3], {.context = clock_of(words[4])}));
  else if (words[1] == "remove" && words.size() == 4)
    say(table.remove(key_of(words[2]), std::nullopt, clock_of(words[3])));
  else
    fail({errc::bad_argument, "see the source for its usage"});
}
