#include "troupe/testing/proxy.hpp" // the header under test

#include "troupe/testing/comes_true.hpp"

#include <catch2/catch_test_macros.hpp>

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <string>
#include <string_view>

using namespace std::literals;
using namespace troupe;
using testing::comes_true;

namespace {

using clock = std::chrono::steady_clock;

constexpr auto caller = "127.0.0.3";
constexpr auto target = "127.0.0.2";

net::endpoint at(const std::string& host, std::uint16_t port = 0) {
  auto found = net::resolve({host, port});
  REQUIRE(found);
  return found->front();
}

/// One end of a connection.
class talker {
public:
  explicit talker(net::socket from) : socket_(std::move(from)) {}

  void say(std::string_view text) {
    while (!text.empty()) {
      REQUIRE(is_ready(POLLOUT, 10s));
      auto count = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      REQUIRE(count > 0);
      text.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  /// What arrives within `wait`, at most `size` bytes.
  std::string hear(std::size_t size, std::chrono::milliseconds wait = 10s) {
    std::string heard;
    while (heard.size() < size && is_ready(POLLIN, wait)) {
      std::array<char, 65'536> piece{};
      auto count
        = ::recv(socket_.get(), piece.data(), std::min(piece.size(), size - heard.size()), 0);
      if (count <= 0)
        break;
      heard.append(piece.data(), static_cast<std::size_t>(count));
    }
    return heard;
  }

  /// Zero at the end of what the other side says, the errno where it broke off.
  int hear_end() {
    REQUIRE(is_ready(POLLIN, 10s));
    char byte = 0;
    auto count = ::recv(socket_.get(), &byte, 1, 0);
    return count < 0 ? errno : static_cast<int>(count);
  }

  bool is_ready(short what, std::chrono::milliseconds wait) {
    pollfd polled{socket_.get(), what, 0};
    return ::poll(&polled, 1, static_cast<int>(wait.count())) == 1;
  }

  net::socket& socket() {
    return socket_;
  }

private:
  net::socket socket_;
};

/// Something that listens, a front before it, and callers.
class proxied_network {
public:
  proxied_network() : door_(listen_at(target)), network_(1) {
    auto made = network_.open(target, {target, net::local_endpoint(door_).port()});
    REQUIRE(made);
    front_ = *made;
  }

  static net::socket listen_at(const std::string& host) {
    auto made = net::start_listen(at(host));
    REQUIRE(made);
    return std::move(*made);
  }

  talker dial(const std::string& from = caller) {
    auto made = net::start_connect(at(front_.host, front_.port), at(from));
    REQUIRE(made);
    return talker{std::move(*made)};
  }

  /// Whether somebody calls the target within `wait`.
  bool is_called(std::chrono::milliseconds wait) {
    pollfd polled{door_.get(), POLLIN, 0};
    return ::poll(&polled, 1, static_cast<int>(wait.count())) == 1;
  }

  talker accept() {
    REQUIRE(is_called(10s));
    talker made{net::socket{::accept4(door_.get(), nullptr, nullptr, SOCK_NONBLOCK)}};
    REQUIRE(made.socket());
    return made;
  }

protected:
  net::socket door_;
  testing::proxy network_;
  net::address front_;
};

/// Long enough to see that nothing comes: what would come takes far less.
constexpr auto a_while = 100ms;

} // namespace

TEST_CASE_METHOD(proxied_network, "a front passes on what both sides say", "[testing]") {
  auto ann = dial();
  auto bob = accept();
  ann.say("hello");
  CHECK(bob.hear(5) == "hello");
  bob.say("and to you");
  CHECK(ann.hear(10) == "and to you");
  CHECK(network_.passed_bytes(caller, target) == 5);
  CHECK(network_.passed_bytes(target, caller) == 10);
  std::string large(5'000'000, 'x');
  std::thread speaker{[&] { ann.say(large); }};
  auto heard = bob.hear(large.size());
  speaker.join();
  CHECK(heard == large);
}

TEST_CASE_METHOD(proxied_network, "the end of what one side says is passed on, the other may go on",
                 "[testing]") {
  auto ann = dial();
  auto bob = accept();
  ann.say("last words");
  ::shutdown(ann.socket().get(), SHUT_WR);
  CHECK(bob.hear(10) == "last words");
  CHECK(bob.hear_end() == 0);
  bob.say("I heard");
  CHECK(ann.hear(7) == "I heard");
  ::shutdown(bob.socket().get(), SHUT_WR);
  CHECK(ann.hear_end() == 0);
  CHECK(comes_true([&] { return network_.connections() == 0; }));
}

TEST_CASE_METHOD(proxied_network, "a cut path holds back what is said on it until it is healed",
                 "[testing]") {
  auto ann = dial();
  auto bob = accept();
  ann.say("before");
  REQUIRE(bob.hear(6) == "before");
  network_.set_path(caller, target, {.cut = true});
  ann.say("meanwhile");
  bob.say("one way only");
  CHECK(ann.hear(12) == "one way only");
  CHECK(bob.hear(1, a_while).empty());
  network_.heal();
  CHECK(bob.hear(9) == "meanwhile");
}

TEST_CASE_METHOD(proxied_network, "paths are cut for one host and not for the others",
                 "[testing]") {
  network_.set_path(caller, target, {.cut = true});
  network_.set_path(target, caller, {.cut = true});
  auto ann = dial();
  ann.say("into the void");
  CHECK_FALSE(is_called(a_while));
  auto eve = dial("127.0.0.4");
  auto bob = accept();
  eve.say("hello");
  CHECK(bob.hear(5) == "hello");
}

TEST_CASE_METHOD(proxied_network, "a connection over a cut path hangs until it is healed",
                 "[testing]") {
  for (auto from_target : {false, true}) {
    network_.set_path(from_target ? target : caller, from_target ? caller : target, {.cut = true});
    auto ann = dial();
    ann.say("hello");
    CHECK_FALSE(is_called(a_while));
    network_.heal();
    auto bob = accept();
    CHECK(bob.hear(5) == "hello");
  }
}

TEST_CASE_METHOD(proxied_network, "who gives up a connection that hangs never was there",
                 "[testing]") {
  network_.set_path(caller, target, {.cut = true});
  {
    auto ann = dial();
    REQUIRE(comes_true([&] { return network_.connections() == 1; }));
  }
  CHECK(comes_true([&] { return network_.connections() == 0; }));
  network_.heal();
  CHECK_FALSE(is_called(a_while));
}

TEST_CASE_METHOD(proxied_network, "the end of a process is not heard over a cut path",
                 "[testing]") {
  auto ann = dial();
  auto bob = accept();
  network_.set_path(target, caller, {.cut = true});
  linger at_once{1, 0};
  ::setsockopt(bob.socket().get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  bob.socket() = {};
  ann.say("are you there?");
  CHECK_FALSE(ann.is_ready(POLLIN, a_while));
  network_.heal();
  CHECK(ann.hear_end() == ECONNRESET);
  CHECK(comes_true([&] { return network_.connections() == 0; }));
}

TEST_CASE_METHOD(proxied_network, "what waits is bounded, and its sender has to wait",
                 "[testing]") {
  auto ann = dial();
  auto bob = accept();
  network_.set_path(caller, target, {.delay = 1min});
  std::string piece(65'536, 'x');
  std::size_t said = 0;
  while (ann.is_ready(POLLOUT, a_while)) {
    auto count = ::send(ann.socket().get(), piece.data(), piece.size(), MSG_NOSIGNAL);
    REQUIRE(count > 0);
    said += static_cast<std::size_t>(count);
    REQUIRE(said < 64U << 20U); // far above the buffers of the system
  }
  CHECK(said >= testing::proxy::max_waiting_bytes);
}

TEST_CASE_METHOD(proxied_network, "a slow path takes its time, in order", "[testing]") {
  auto ann = dial();
  auto bob = accept();
  network_.set_path(caller, target, {.delay = 50ms, .jitter = 50ms});
  auto begin = clock::now();
  std::string said;
  for (auto count = 0; count < 20; ++count) {
    auto word = std::to_string(count) + ' ';
    ann.say(word);
    said += word;
    ::poll(nullptr, 0, 1);
  }
  CHECK(bob.hear(said.size()) == said);
  CHECK(clock::now() - begin >= 50ms);
}

TEST_CASE_METHOD(proxied_network, "a narrow path passes on so many bytes in a second",
                 "[testing]") {
  auto ann = dial();
  auto bob = accept();
  network_.set_path(caller, target, {.bytes_per_second = 1'000'000});
  auto begin = clock::now();
  std::string said(300'000, 'x');
  ann.say(said);
  CHECK(bob.hear(said.size()) == said);
  CHECK(clock::now() - begin >= 290ms);
}

TEST_CASE_METHOD(proxied_network, "a reset is heard by both sides, and by no others", "[testing]") {
  auto ann = dial();
  auto bob = accept();
  auto eve = dial("127.0.0.4");
  auto to_eve = accept();
  ann.say("hello");
  REQUIRE(bob.hear(5) == "hello");
  network_.reset(target, caller);
  CHECK(ann.hear_end() == ECONNRESET);
  CHECK(bob.hear_end() == ECONNRESET);
  eve.say("still here");
  CHECK(to_eve.hear(10) == "still here");
}

TEST_CASE_METHOD(proxied_network, "a front whose target is not there closes, and serves it later",
                 "[testing]") {
  auto where = net::local_endpoint(door_);
  door_ = {};
  CHECK(dial().hear_end() == ECONNRESET);
  auto again = net::start_listen(where);
  REQUIRE(again);
  door_ = std::move(*again);
  auto ann = dial();
  auto bob = accept();
  ann.say("hello");
  CHECK(bob.hear(5) == "hello");
}
