#include "chaos/letters.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "cli.hpp"
#include "troupe/once.hpp"

namespace cli::chaos {

using namespace troupe;
using namespace std::literals;

/// What this process writes down, a line at a time, so that it is there whatever becomes of it.
class letter_log {
public:
  explicit letter_log(const std::filesystem::path& file) : out_(file, std::ios::app) {}

  void note(const char* event, const letter& what) {
    nlohmann::json line{{"ev", event},      {"id", what.id()}, {"from", what.from},
                        {"to", what.to},    {"seq", what.seq}, {"class", what.which},
                        {"at_ns", now_ns()}};
    std::lock_guard guard{mutex_};
    out_ << line.dump() + '\n' << std::flush;
  }

  /// Of one clock for all processes of this computer.
  static std::int64_t now_ns() {
    return std::chrono::steady_clock::now().time_since_epoch().count();
  }

private:
  std::mutex mutex_;
  std::ofstream out_;
};

/// How many letters have not been accepted or refused yet.
class open_letters {
public:
  static constexpr std::size_t most = 32;

  /// Waits until there are few; false: `ends` first.
  bool begin(const std::stop_token& ends) {
    std::unique_lock guard{mutex_};
    while (count_ >= most && !ends.stop_requested())
      changed_.wait_for(guard, 100ms);
    ++count_;
    return !ends.stop_requested();
  }

  void end() {
    std::lock_guard guard{mutex_};
    --count_;
    changed_.notify_all();
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t count_ = 0;
};

namespace {

constexpr auto once_name = name_of(router::delivery_class::once);
constexpr auto confirm_name = name_of(router::delivery_class::confirm);

std::string agent_of(std::string_view which, const std::string& node) {
  return std::string{which} + "-letters-" + node;
}

/// What both kinds of agents do: one letter in 64 fails at its first try, so that it comes again.
class letter_reader {
public:
  explicit letter_reader(std::shared_ptr<letter_log> log) : log_(std::move(log)) {}

  result<void> operator()(const std::string& text) {
    auto what = letter::from_text(text);
    if (!what)
      return problem{errc::bad_argument, "no letter"};
    if (what->seq % 64 == 7 && tried_.insert(what->id()).second)
      return problem{errc::failed, "dropped it"};
    log_->note("handled", *what);
    return {};
  }

private:
  std::shared_ptr<letter_log> log_;
  std::set<std::string> tried_;
};

} // namespace

std::string letter::text() const {
  return from + ' ' + which + ' ' + to + ' ' + std::to_string(seq);
}

std::string letter::id() const {
  return from + ':' + which + ':' + to + ':' + std::to_string(seq);
}

std::optional<letter> letter::from_text(const std::string& text) {
  std::istringstream in{text};
  letter read;
  if (in >> read.from >> read.which >> read.to >> read.seq)
    return read;
  return std::nullopt;
}

letter_writer::letter_writer(node& me, letter_files files)
  : me_(me),
    files_(std::move(files)),
    log_(std::make_shared<letter_log>(files_.log(me.name()))),
    open_(std::make_shared<open_letters>()),
    worker_([this](const std::stop_token& ends) { work(ends); }) {}

void letter_writer::add_agents(const std::stop_token& ends) {
  auto until = [&](auto add) {
    while (!ends.stop_requested() && !add())
      sleep_unless(ends, 200ms);
  };
  until([this] {
    return me_.agent(agent_of(confirm_name, me_.name()), letter_reader{log_}).has_value();
  });
  until([this] { return add_once_agent().has_value(); });
}

result<void> letter_writer::add_once_agent() {
  auto store = once_store::open(files_.database(me_.name()));
  if (!store)
    return store.error();
  if (!(*store)->database().run("CREATE TABLE IF NOT EXISTS entries"
                                "(id TEXT NOT NULL, at_ns INTEGER NOT NULL)"))
    return (*store)->database().failed("begin");
  auto enter = [read = letter_reader{log_},
                store = *store](const std::string& text) mutable -> result<void> {
    if (auto done = read(text); !done)
      return done;
    auto& into = store->database();
    auto add = into.prepare("INSERT INTO entries VALUES(?,?)");
    if (!add.bind_text(1, letter::from_text(text)->id()).bind(2, letter_log::now_ns()).run())
      return into.failed("enter");
    return {};
  };
  return me_.agent(agent_of(once_name, me_.name()), {.once = *store}, enter);
}

void letter_writer::send(const letter& what) {
  auto is_once = what.which == once_name;
  auto sent = me_.async_send(
    to_agent(agent_of(what.which, what.to)),
    {.delivery = is_once ? router::delivery_class::once : router::delivery_class::confirm,
     .durability = router::durability::synced},
    what.text());
  std::move(sent).then([log = log_, open = open_, what](const result<void>& taken) {
    if (taken)
      log->note("accepted", what);
    open->end();
  });
}

/// A later life of this node goes on with higher numbers: some may have been accepted that nobody
/// has written down.
void letter_writer::work(const std::stop_token& ends) {
  add_agents(ends);
  auto names = files_.names();
  auto first = static_cast<std::uint64_t>(letter_log::now_ns()) / 1'000;
  for (std::uint64_t round = 1; !ends.stop_requested(); ++round) {
    std::error_code ignored;
    if (!std::filesystem::exists(files_.stop(), ignored))
      for (auto& to : names)
        for (auto which : {confirm_name, once_name})
          if ((which == confirm_name || round % 5 == 0) && open_->begin(ends))
            send({me_.name(), std::string{which}, to, first + round});
    sleep_unless(ends, 10ms);
  }
}

} // namespace cli::chaos
