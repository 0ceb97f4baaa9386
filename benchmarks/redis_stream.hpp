#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

#include "closed_loop.hpp"
#include "redis_server.hpp"
#include "troupe/net/socket.hpp"

namespace troupe::benchmark {

/// Messages through a stream of a Redis: connections add them, each waits for its answer before it
/// adds another one, and a reader of a group reads and acknowledges them. The connections share one
/// thread, and the reader has another.
class redis_stream {
public:
  /// `server` is up and outlives this.
  explicit redis_stream(const redis_server& server) : server_(&server) {}

  /// Adds messages of `payload` for `span`; per_s counts until the last one is acknowledged. Throws
  /// std::runtime_error if Redis refuses something.
  figures run(std::size_t connections, const std::string& payload, seconds span) const {
    connection first{server_->connect()};
    first.ask({"DEL", stream});
    first.next();
    first.ask({"XGROUP", "CREATE", stream, group, "$", "MKSTREAM"});
    first.next();
    auto start = steady::now();
    std::future<steady::time_point> handled;
    std::promise<std::size_t> all; // ends before: a reader that hears no number ends, too
    handled = std::async(std::launch::async,
                         [&, added = all.get_future()]() mutable { return read(added); });
    auto took
      = add(connections, payload, start + std::chrono::duration_cast<steady::duration>(span));
    all.set_value(took.size());
    figures made;
    made.per_s = static_cast<double>(took.size()) / seconds{handled.get() - start}.count();
    made.p50_us = quantile(took, 0.5);
    made.p99_us = quantile(std::move(took), 0.99);
    return made;
  }

private:
  static constexpr auto stream = "messages";
  static constexpr auto group = "agents";

  class connection {
  public:
    explicit connection(net::socket line) : line_(std::move(line)) {}

    void ask(const std::vector<std::string>& words) const {
      write(redis_server::request(words));
    }

    void write(std::string_view bytes) const {
      redis_server::send(line_, bytes);
    }

    /// Returns the texts of the next answer, those in lists among them.
    std::vector<std::string> next() {
      std::vector<std::string> found;
      read(found);
      return found;
    }

    [[nodiscard]] int descriptor() const {
      return line_.get();
    }

  private:
    void read(std::vector<std::string>& found) {
      auto head = take(0);
      auto size = head.front() == '$' || head.front() == '*' ? std::stoi(head.substr(1)) : 0;
      switch (head.front()) {
        case '$':
          if (size >= 0)
            found.push_back(take(static_cast<std::size_t>(size)));
          return;
        case '*':
          for (; size > 0; --size)
            read(found);
          return;
        case '-':
          throw std::runtime_error{"Redis: " + head};
        default:
          found.push_back(head.substr(1));
      }
    }

    /// Returns what stands before the first line end behind so many bytes.
    std::string take(std::size_t bytes) {
      for (;;) {
        if (auto end = buffer_.find("\r\n", at_ + bytes); end != std::string::npos) {
          auto found = buffer_.substr(at_, end - at_);
          at_ = end + 2;
          return found;
        }
        buffer_.erase(0, std::exchange(at_, 0));
        char more[16'384];
        auto count = ::recv(line_.get(), more, sizeof(more), 0);
        if (count <= 0)
          throw std::runtime_error{"Redis has closed a connection"};
        buffer_.append(more, static_cast<std::size_t>(count));
      }
    }

    net::socket line_;
    std::string buffer_;
    /// What was read of it.
    std::size_t at_ = 0;
  };

  /// Returns how long each one took, in microseconds.
  std::vector<double> add(std::size_t connections, const std::string& payload,
                          steady::time_point end) const {
    auto request = redis_server::request({"XADD", stream, "*", "m", payload});
    std::vector<connection> all;
    std::vector<pollfd> waiting;
    std::vector<steady::time_point> asked;
    for (std::size_t each = 0; each < connections; ++each) {
      waiting.push_back({all.emplace_back(server_->connect()).descriptor(), POLLIN, 0});
      asked.push_back(steady::now());
      all.back().write(request);
    }
    std::vector<double> took;
    for (auto open = connections; open > 0;) {
      if (::poll(waiting.data(), waiting.size(), 10'000) <= 0)
        throw std::runtime_error{"Redis does not answer"};
      for (std::size_t each = 0; each < all.size(); ++each) {
        if ((waiting[each].revents & (POLLIN | POLLHUP | POLLERR)) == 0)
          continue;
        all[each].next(); // a short answer is one packet
        auto now = steady::now();
        took.push_back(std::chrono::duration<double, std::micro>(now - asked[each]).count());
        if (now >= end) {
          waiting[each].fd = -1;
          --open;
          continue;
        }
        asked[each] = now;
        all[each].write(request);
      }
    }
    return took;
  }

  /// Reads and acknowledges until that is done with as many as were `added`; returns when it was.
  /// An acknowledgement goes with the next question.
  steady::time_point read(std::future<std::size_t>& added) const {
    connection line{server_->connect()};
    auto question = redis_server::request({"XREADGROUP", "GROUP", group, "reader", "COUNT", "100",
                                           "BLOCK", "100", "STREAMS", stream, ">"});
    line.write(question);
    std::size_t handled = 0;
    auto last = steady::now();
    for (;;) {
      auto found = line.next(); // the stream, then of each message its id, a name and its content
      if (found.empty()) {
        if (added.wait_for(std::chrono::seconds{0}) == std::future_status::ready
            && handled >= added.get())
          return last;
        line.write(question);
        continue;
      }
      std::vector<std::string> words{"XACK", stream, group};
      for (std::size_t each = 1; each < found.size(); each += 3)
        words.push_back(found[each]);
      line.write(redis_server::request(words) + question);
      handled += static_cast<std::size_t>(std::stoul(line.next().front()));
      last = steady::now();
    }
  }

  const redis_server* server_;
};

} // namespace troupe::benchmark
