#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "chaos/letters.hpp"
#include "chaos/node_count.hpp"
#include "chaos/workloads.hpp"
#include "troupe/sim/laws/message_laws.hpp"
#include "troupe/storage/database.hpp"

/// Messages of class confirm and once that nodes send each other, under faults. The history has no
/// calls of clients, which only count nodes, but what became of each message.
namespace cli::chaos {

using namespace troupe;
using namespace std::literals;

namespace {

/// The whole lines of a node's log behind the first `from` bytes.
std::string lines_of(const letter_files& files, const std::string& name, std::size_t from) {
  std::ifstream in{files.log(name)};
  in.seekg(static_cast<std::streamoff>(from));
  std::string all{std::istreambuf_iterator<char>{in}, {}};
  all.resize(all.rfind('\n') + 1); // nothing, if there is none
  return all;
}

struct effect_lines {
  std::string lines;
  std::int64_t last_row = 0;
};

/// What the guarded database of a node has behind that row.
effect_lines effects_of(const letter_files& files, const std::string& name, std::int64_t after) {
  effect_lines found{{}, after};
  storage::database file;
  if (!std::filesystem::exists(files.database(name))
      || file.open(files.database(name), storage::database::sharing::shared, ""))
    return found;
  auto rows = file.prepare("SELECT id, at_ns, rowid FROM entries WHERE rowid > ? ORDER BY rowid");
  rows.bind(1, after);
  while (rows.next() == SQLITE_ROW) {
    found.lines += nlohmann::json{{"ev", "effect"},
                                  {"id", rows.bytes(0)},
                                  {"to", name},
                                  {"at_ns", rows.integer(1)}}
                     .dump()
                   + '\n';
    found.last_row = rows.integer(2);
  }
  return found;
}

/// What became of the letters so far. Each line is read once, as there may be millions.
class letters_seen {
public:
  problem read_on(const letter_files& files) {
    for (auto& name : files.names()) {
      auto& [bytes, row] = read_[name];
      auto lines = lines_of(files, name, bytes);
      auto effects = effects_of(files, name, row);
      bytes += lines.size();
      row = effects.last_row;
      std::istringstream in{lines + effects.lines};
      if (auto why = laws_.read(in, "what is new in the message log of " + name))
        return why;
    }
    return {};
  }

  [[nodiscard]] const sim::message_laws& laws() const {
    return laws_;
  }

private:
  sim::message_laws laws_;
  /// How far, in each node's log and database.
  std::map<std::string, std::pair<std::size_t, std::int64_t>> read_;
};

class messages_workload final : public workload {
public:
  explicit messages_workload(const run_shape& how) : files_{how.folder / "letters"} {
    std::filesystem::create_directories(files_.folder);
    std::ofstream out{files_.nodes()};
    for (std::size_t number = 1; number <= how.nodes; ++number)
      out << "n" << number << '\n';
  }

  void go_on(client& who) override {
    static_cast<void>(count_nodes(who));
    who.rest(100ms);
  }

  /// Nobody sends any more from here on; waits until nothing is on its way.
  problem finish(client& who) override {
    std::ofstream{files_.stop()} << "stop\n";
    auto end = std::chrono::steady_clock::now() + longest_end;
    for (std::size_t calm = 0; calm < 3 && std::chrono::steady_clock::now() < end;) {
      std::this_thread::sleep_for(500ms);
      if (auto why = seen_->read_on(files_))
        return why;
      calm = seen_->laws().open() == 0 ? calm + 1 : 0;
    }
    auto last = count_nodes(who);
    return last ? problem{} : last.error();
  }

  void check(const sim::history& /*lines*/, findings& found) const override {
    if (auto why = seen_->read_on(files_)) {
      found.violations.push_back(why.detail);
      return;
    }
    for (auto& each : seen_->laws().violations())
      found.violations.push_back(each);
  }

  [[nodiscard]] std::map<std::string, std::size_t>
  figures(const sim::history& /*lines*/) const override {
    auto& laws = seen_->laws();
    return {{"accepted", laws.accepted()}, {"handled_again", laws.repeated()}};
  }

  void write_lines(std::ostream& out, const sim::history& /*lines*/) const override {
    for (auto& name : files_.names())
      out << lines_of(files_, name, 0) << effects_of(files_, name, 0).lines;
  }

  [[nodiscard]] std::vector<std::string> node_words() const override {
    return {"--chaos-letters", files_.folder};
  }

private:
  static constexpr auto longest_end = 2min;

  letter_files files_;
  std::unique_ptr<letters_seen> seen_ = std::make_unique<letters_seen>();
};

} // namespace

std::unique_ptr<workload> make_messages_workload(const run_shape& how) {
  return std::make_unique<messages_workload>(how);
}

} // namespace cli::chaos
