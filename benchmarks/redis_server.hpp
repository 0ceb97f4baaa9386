#pragma once

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

#include "free_port.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/socket.hpp"
#include "troupe/testing/child_process.hpp"

namespace troupe::benchmark {

/// A redis-server of this benchmark's own, on a free port of 127.0.0.1. Where there is none on the
/// PATH, all figures are zero.
class redis_server {
public:
  /// In memory.
  redis_server() : redis_server(std::vector<std::string>{"--appendonly", "no"}) {}

  /// Writes and syncs what it takes to a file in `folder` before it answers. It does not rewrite
  /// the file, however long that gets.
  explicit redis_server(const std::filesystem::path& folder)
    : redis_server(std::vector<std::string>{"--dir", folder.string(), "--appendonly", "yes",
                                            "--appendfsync", "always",
                                            "--auto-aof-rewrite-percentage", "0"}) {}

  [[nodiscard]] bool is_up() const {
    return !script_.empty();
  }

  /// As many connections, each takes and gives back a lock of its own: SET NX PX, then a script
  /// that deletes what has not changed, as Redis's documentation of SET has it.
  double pairs_per_second(int clients, std::chrono::duration<double> span) {
    if (!is_up())
      return 0;
    std::vector<connection> all;
    std::vector<pollfd> waiting;
    for (auto number = 0; number < clients; ++number) {
      auto name = "lock" + std::to_string(number);
      all.push_back({connect(), request({"SET", name, "ann", "NX", "PX", "10000"}),
                     request({"EVALSHA", script_, "1", name, "ann"})});
      waiting.push_back({all.back().line.get(), POLLIN, 0});
      send(all.back().line, all.back().acquire);
    }
    std::uint64_t pairs = 0;
    auto start = clock::now();
    while (clock::now() - start < span) {
      if (::poll(waiting.data(), waiting.size(), 1'000) <= 0)
        return 0;
      for (std::size_t each = 0; each < all.size(); ++each)
        if ((waiting[each].revents & POLLIN) != 0) {
          auto& [line, acquire, release, holds] = all[each];
          receive(line); // a short answer is one packet
          holds = !holds;
          pairs += holds ? 0 : 1;
          send(line, holds ? release : acquire);
        }
    }
    return static_cast<double>(pairs) / std::chrono::duration<double>(clock::now() - start).count();
  }

  [[nodiscard]] net::socket connect() const {
    net::socket made{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (::connect(made.get(), where_->data(), where_->size()) != 0)
      return {};
    net::send_at_once(made);
    return made;
  }

  static void send(const net::socket& line, std::string_view bytes) {
    [[maybe_unused]] auto sent = ::send(line.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  /// In Redis's own form.
  static std::string request(const std::vector<std::string>& words) {
    auto text = "*" + std::to_string(words.size()) + "\r\n";
    for (auto& word : words)
      text += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    return text;
  }

private:
  using clock = std::chrono::steady_clock;

  explicit redis_server(const std::vector<std::string>& how) {
    auto port = free_port();
    std::vector<std::string> command{
      "/usr/bin/env", "redis-server", "--port", std::to_string(port), "--bind",
      "127.0.0.1",    "--save",       "",       "--daemonize",        "no"};
    command.insert(command.end(), how.begin(), how.end());
    process_.emplace(command);
    where_ = net::resolve({"127.0.0.1", port})->front();
    auto deadline = clock::now() + std::chrono::seconds{5};
    while (clock::now() < deadline && !process_->wait_for_end(std::chrono::milliseconds{20}))
      if (auto reached = connect(); reached) {
        script_ = load_script(reached);
        return;
      }
  }

  struct connection {
    net::socket line;
    std::string acquire;
    std::string release;
    bool holds = false;
  };

  static std::string receive(const net::socket& line) {
    char bytes[512];
    auto count = ::recv(line.get(), bytes, sizeof(bytes), 0);
    return {bytes, count > 0 ? static_cast<std::size_t>(count) : 0};
  }

  /// Returns the name by which the script is called.
  static std::string load_script(const net::socket& line) {
    send(line, request({"SCRIPT", "LOAD",
                        "if redis.call('get',KEYS[1])==ARGV[1] then return "
                        "redis.call('del',KEYS[1]) else return 0 end"}));
    auto answer = receive(line); // $40, the name, each with its line end
    return answer.size() >= 45 ? answer.substr(5, 40) : std::string{};
  }

  std::optional<testing::child_process> process_;
  std::optional<net::endpoint> where_;
  std::string script_;
};

} // namespace troupe::benchmark
