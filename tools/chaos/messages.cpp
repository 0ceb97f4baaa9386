#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>
#include <string>
#include <thread>
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
      sim::message_laws laws;
      if (auto why = read_into(laws))
        return why;
      calm = laws.open() == 0 ? calm + 1 : 0;
    }
    auto last = count_nodes(who);
    return last ? problem{} : last.error();
  }

  void check(const sim::history& /*lines*/, findings& found) const override {
    sim::message_laws laws;
    if (auto why = read_into(laws)) {
      found.violations.push_back(why.detail);
      return;
    }
    for (auto& each : laws.violations())
      found.violations.push_back(each);
  }

  [[nodiscard]] std::map<std::string, std::size_t>
  figures(const sim::history& /*lines*/) const override {
    sim::message_laws laws;
    static_cast<void>(read_into(laws));
    return {{"accepted", laws.accepted()}, {"handled_again", laws.repeated()}};
  }

  void write_lines(std::ostream& out, const sim::history& /*lines*/) const override {
    for (auto& name : files_.names())
      out << lines_of(name) << effects_of(name);
  }

  [[nodiscard]] std::vector<std::string> node_words() const override {
    return {"--chaos-letters", files_.folder};
  }

private:
  static constexpr auto longest_end = 2min;

  [[nodiscard]] std::string lines_of(const std::string& name) const {
    std::ostringstream all;
    if (std::ifstream in{files_.log(name)}; in.peek() != std::ifstream::traits_type::eof())
      all << in.rdbuf();
    return all.str();
  }

  /// What the guarded database of a node has.
  [[nodiscard]] std::string effects_of(const std::string& name) const {
    storage::database file;
    if (!std::filesystem::exists(files_.database(name))
        || file.open(files_.database(name), storage::database::sharing::shared, ""))
      return {};
    std::string all;
    auto rows = file.prepare("SELECT id, at_ns FROM entries ORDER BY rowid");
    while (rows.next() == SQLITE_ROW)
      all += nlohmann::json{{"ev", "effect"},
                            {"id", rows.bytes(0)},
                            {"to", name},
                            {"at_ns", rows.integer(1)}}
               .dump()
             + '\n';
    return all;
  }

  problem read_into(sim::message_laws& laws) const {
    for (auto& name : files_.names()) {
      std::istringstream in{lines_of(name) + effects_of(name)};
      if (auto why = laws.read(in, "the message log of " + name))
        return why;
    }
    return {};
  }

  letter_files files_;
};

} // namespace

std::unique_ptr<workload> make_messages_workload(const run_shape& how) {
  return std::make_unique<messages_workload>(how);
}

} // namespace cli::chaos
