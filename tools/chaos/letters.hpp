#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "troupe/core/result.hpp"
#include "troupe/node/node.hpp"

/// What the nodes of `troupe chaos --workload messages` do.
namespace cli::chaos {

/// The files of a run, in one folder.
struct letter_files {
  std::filesystem::path folder;

  /// The names of all nodes, in lines.
  [[nodiscard]] std::filesystem::path nodes() const {
    return folder / "nodes";
  }

  /// While it is there, nobody sends.
  [[nodiscard]] std::filesystem::path stop() const {
    return folder / "stop";
  }

  /// What a node writes: see sim::message_laws.
  [[nodiscard]] std::filesystem::path log(const std::string& node) const {
    return folder / (node + ".jsonl");
  }

  /// The guarded database of a node, with a table entries(id TEXT, at_ns INTEGER).
  [[nodiscard]] std::filesystem::path database(const std::string& node) const {
    return folder / (node + ".books");
  }

  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> all;
    std::ifstream in{nodes()};
    for (std::string line; std::getline(in, line);)
      all.push_back(line);
    return all;
  }
};

/// One letter. Its text: `FROM CLASS TO SEQ`, all without spaces.
struct letter {
  std::string from;
  std::string which;
  std::string to;
  std::uint64_t seq = 0;

  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string id() const;
  static std::optional<letter> from_text(const std::string& text);
};

class letter_log;
class open_letters;

/// A node that sends letters of class confirm and once, synced, to two agents of each node, and has
/// two such agents: one writes down what it handles, the other has a once_store. Each fails now and
/// then.
class letter_writer {
public:
  /// Ends before the node.
  letter_writer(troupe::node& me, letter_files files);

private:
  void work(const std::stop_token& ends);
  /// Until each of them is there.
  void add_agents(const std::stop_token& ends);
  [[nodiscard]] troupe::result<void> add_once_agent();
  void send(const letter& what);

  troupe::node& me_;
  letter_files files_;
  // Agents and answers may outlive this.
  std::shared_ptr<letter_log> log_;
  std::shared_ptr<open_letters> open_;
  std::jthread worker_; // last: it uses all of this
};

} // namespace cli::chaos
