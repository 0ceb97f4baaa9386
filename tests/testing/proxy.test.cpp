#include "troupe/testing/proxy.hpp" // the header under test

#include "troupe/net/datagram_socket.hpp"
#include "troupe/testing/comes_true.hpp"

#include <catch2/catch_test_macros.hpp>

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <exception>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

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
  explicit proxied_network(net::socket door = listen_at(target))
    : door_(std::move(door)), network_(1) {
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

namespace {

/// A host that sends and gets datagrams.
class postal {
public:
  explicit postal(const net::endpoint& where) : socket_(open(where)) {}
  explicit postal(net::datagram_socket from) : socket_(std::move(from)) {}

  void send(const net::endpoint& to, std::string_view what) {
    REQUIRE(socket_.send(to, what) == net::datagram_socket::outcome::sent);
  }

  /// The next datagram that arrives within `wait`; empty: none does.
  std::string hear(std::chrono::milliseconds wait = 10s) {
    pollfd polled{socket_.descriptor(), POLLIN, 0};
    ::poll(&polled, 1, static_cast<int>(wait.count()));
    auto got = socket_.receive();
    if (got)
      from_ = got->from;
    return got ? got->what : std::string{};
  }

  /// To the sender of the last one that was heard.
  void answer(std::string_view what) {
    send(from_, what);
  }

  [[nodiscard]] const net::endpoint& heard_from() const {
    return from_;
  }

  [[nodiscard]] net::endpoint where() const {
    return socket_.local();
  }

private:
  static net::datagram_socket open(const net::endpoint& where) {
    auto made = net::datagram_socket::open(where);
    REQUIRE(made);
    return *std::move(made);
  }

  net::datagram_socket socket_;
  net::endpoint from_;
};

/// A target of connections and of datagrams at one port.
struct target_sockets {
  net::socket door;
  net::datagram_socket post;

  /// The system chooses the port for the door, so another process may have it for datagrams: then
  /// it chooses once more.
  static target_sockets open() {
    for (auto tries = 0; tries < 16; ++tries) {
      auto door = proxied_network::listen_at(target);
      if (auto post = net::datagram_socket::open(net::local_endpoint(door)))
        return {std::move(door), *std::move(post)};
    }
    FAIL("no port is free for connections and datagrams");
    std::terminate(); // not reached
  }
};

/// Something that gets datagrams, behind the front, and a host that sends some.
class proxied_post : public proxied_network {
public:
  explicit proxied_post(target_sockets from = target_sockets::open())
    : proxied_network(std::move(from.door)), bob_(std::move(from.post)) {}

  void set_path(const testing::network_path& how) {
    network_.set_path(caller, target, how);
  }

  std::uint64_t passed() {
    return network_.passed_datagrams(caller, target);
  }

protected:
  net::endpoint front_at_ = at(front_.host, front_.port);
  postal ann_{at(caller)};
  postal bob_;
};

} // namespace

TEST_CASE_METHOD(proxied_post, "datagrams pass both ways through the port of the connections",
                 "[testing]") {
  ann_.send(front_at_, "hello");
  CHECK(bob_.hear() == "hello");
  bob_.answer("and to you");
  CHECK(ann_.hear() == "and to you");
  CHECK(net::to_string(ann_.heard_from()) == net::to_string(front_at_));
  CHECK(comes_true([&] { return network_.passed_datagrams(target, caller) == 1; }));
  CHECK(passed() == 1);
  CHECK(network_.passed_bytes(caller, target) == 5);
  CHECK(network_.passed_bytes(target, caller) == 10);
  ann_.send(front_at_, std::string(net::datagram_socket::max_size, 'x'));
  CHECK(bob_.hear().size() == net::datagram_socket::max_size);
}

TEST_CASE_METHOD(proxied_post, "what is answered comes to who has asked, and to no other",
                 "[testing]") {
  postal eve{at(caller)}; // same host, another port
  ann_.send(front_at_, "ann");
  REQUIRE(bob_.hear() == "ann");
  auto to_ann = bob_.heard_from();
  eve.send(front_at_, "eve");
  REQUIRE(bob_.hear() == "eve");
  bob_.answer("to eve");
  bob_.send(to_ann, "to ann");
  CHECK(ann_.hear() == "to ann");
  CHECK(eve.hear() == "to eve");
  CHECK(network_.datagram_senders() == 2);
  postal stranger{at("127.0.0.4")};
  stranger.send(at(caller, to_ann.port()), "not an answer");
  CHECK(ann_.hear(a_while).empty());
}

TEST_CASE_METHOD(proxied_post, "a cut path drops datagrams, and the way back stays open",
                 "[testing]") {
  ann_.send(front_at_, "before");
  REQUIRE(bob_.hear() == "before");
  set_path({.cut = true});
  ann_.send(front_at_, "lost");
  bob_.answer("one way only");
  CHECK(ann_.hear() == "one way only");
  CHECK(bob_.hear(a_while).empty());
  network_.set_path(target, caller, {.cut = true});
  bob_.answer("lost, too");
  CHECK(ann_.hear(a_while).empty());
  network_.heal();
  ann_.send(front_at_, "after");
  CHECK(bob_.hear() == "after");
  bob_.answer("yes");
  CHECK(ann_.hear() == "yes");
  CHECK(comes_true([&] { return network_.passed_datagrams(target, caller) == 2; }));
  CHECK(passed() == 2);
}

TEST_CASE_METHOD(proxied_post, "paths for datagrams are cut for one host and not for the others",
                 "[testing]") {
  set_path({.cut = true});
  ann_.send(front_at_, "lost");
  postal eve{at("127.0.0.4")};
  eve.send(front_at_, "hello");
  CHECK(bob_.hear() == "hello");
  CHECK(passed() == 0);
  CHECK(network_.passed_datagrams("127.0.0.4", target) == 1);
}

TEST_CASE_METHOD(proxied_post, "a slow path holds datagrams back", "[testing]") {
  set_path({.delay = 50ms, .jitter = 50ms});
  auto begin = clock::now();
  std::multiset<std::string> said;
  std::multiset<std::string> heard;
  for (auto count = 0; count < 20; ++count) {
    ann_.send(front_at_, *said.insert(std::to_string(count)));
    if (count == 0) {
      heard.insert(bob_.hear());
      CHECK(clock::now() - begin >= 50ms);
    }
  }
  while (heard.size() < said.size())
    heard.insert(bob_.hear());
  CHECK(heard == said);
  network_.set_path(target, caller, {.delay = 50ms});
  begin = clock::now();
  bob_.answer("late");
  CHECK(ann_.hear() == "late");
  CHECK(clock::now() - begin >= 50ms);
}

TEST_CASE_METHOD(proxied_post, "a cut drops what a delay holds back", "[testing]") {
  set_path({.delay = 500ms});
  ann_.send(front_at_, "on its way");
  REQUIRE(comes_true([&] { return network_.waiting_datagrams() == 1; }));
  set_path({.cut = true});
  REQUIRE(network_.waiting_datagrams() == 1);
  REQUIRE(comes_true([&] { return network_.waiting_datagrams() == 0; }));
  CHECK(passed() == 0);
  set_path({.cut = true, .delay = 1min});
  ann_.send(front_at_, "on no way");
  set_path({.delay = 1min}); // it has been taken
  CHECK(network_.waiting_datagrams() == 0);
  network_.heal();
  ann_.send(front_at_, "after");
  CHECK(bob_.hear() == "after");
}

TEST_CASE_METHOD(proxied_post, "a datagram travels on the path as it was when it came",
                 "[testing]") {
  for (auto count = 0; count < 300; ++count) {
    set_path({.cut = true});
    ann_.send(front_at_, "lost");
    if (count % 2 == 0)
      network_.heal();
    else
      set_path({});
  }
  ann_.send(front_at_, "after");
  CHECK(bob_.hear() == "after");
}

TEST_CASE_METHOD(proxied_post, "not more than some datagrams are held back", "[testing]") {
  constexpr auto many = testing::proxy::max_waiting_datagrams;
  set_path({.delay = 1min});
  for (std::size_t count = 0; count < 2 * many; ++count) {
    ann_.send(front_at_, "x");
    if (count % 100 == 0)
      set_path({.delay = 1min}); // what was sent before has been taken
  }
  CHECK(network_.waiting_datagrams() == many);
  network_.heal();
  ann_.send(front_at_, "not to be held back");
  CHECK(bob_.hear() == "not to be held back");
}

TEST_CASE_METHOD(proxied_post, "a narrow path drops what would wait for long", "[testing]") {
  constexpr auto rate = 10'000U;
  constexpr auto size = 1'000U;
  set_path({.bytes_per_second = rate});
  auto begin = clock::now();
  for (auto count = 0; count < 40; ++count)
    ann_.send(front_at_, std::string(size, 'x'));
  set_path({.bytes_per_second = rate}); // all have been taken
  std::chrono::duration<double> taken_within = clock::now() - begin;
  auto heard = 0U;
  while (!bob_.hear(heard == 0 ? 10s : 500ms).empty())
    ++heard;
  CHECK(heard >= rate / size); // those of the first second
  CHECK(heard <= (1 + taken_within.count()) * rate / size + 1);
  CHECK(clock::now() - begin >= 1s);
}

TEST_CASE_METHOD(proxied_post, "datagrams and connections share a narrow path", "[testing]") {
  auto ann = dial();
  auto bob = accept();
  set_path({.bytes_per_second = 100'000});
  ann.say(std::string(30'000, 'x'));
  CHECK(bob.hear(30'000).size() == 30'000);
  auto begin = clock::now();
  for (auto count = 0; count < 10; ++count)
    ann_.send(front_at_, std::string(1'000, 'x'));
  REQUIRE_FALSE(bob_.hear().empty());
  ann.say("after them");
  CHECK(bob.hear(10) == "after them");
  CHECK(clock::now() - begin >= 90ms);
}

TEST_CASE_METHOD(proxied_post, "a lossy path loses some datagrams and no bytes of connections",
                 "[testing]") {
  auto ann = dial();
  auto bob = accept();
  set_path({.loss = 0.5});
  for (auto count = 0; count < 400; ++count) {
    ann_.send(front_at_, "x");
    if (count % 100 == 0)
      set_path({.loss = 0.5}); // what was sent before has been taken
  }
  set_path({.loss = 1});
  CHECK(passed() > 120);
  CHECK(passed() < 280);
  auto before = passed();
  ann_.send(front_at_, "lost");
  ann.say("hello");
  CHECK(bob.hear(5) == "hello");
  network_.heal();
  CHECK(passed() == before);
}

TEST_CASE_METHOD(proxied_post, "datagrams to nobody are lost, and later ones arrive", "[testing]") {
  auto where = bob_.where();
  { auto gone = std::move(bob_); }
  ann_.send(front_at_, "lost");
  REQUIRE(comes_true([&] { return passed() == 1; }));
  bob_ = postal{where};
  ann_.send(front_at_, "hello");
  CHECK(bob_.hear() == "hello");
}

TEST_CASE_METHOD(proxied_post, "the sender that was silent for longest makes room for a new one",
                 "[testing]") {
  auto say_and_hear = [&](postal& from, const std::string& what) {
    from.send(front_at_, what);
    REQUIRE(bob_.hear() == what);
    return bob_.heard_from();
  };
  say_and_hear(ann_, "first");
  postal eve{at(caller)};
  auto to_eve = say_and_hear(eve, "second");
  std::vector<postal> others;
  for (std::size_t count = 2; count < testing::proxy::max_datagram_senders; ++count)
    say_and_hear(others.emplace_back(at(caller)), "hello");
  auto to_ann = say_and_hear(ann_, "I am still here");
  postal last{at(caller)};
  auto to_last = say_and_hear(last, "is there room?");
  CHECK(network_.datagram_senders() == testing::proxy::max_datagram_senders);
  bob_.send(to_eve, "are you there?");
  bob_.send(to_ann, "to ann");
  bob_.send(to_last, "to the last");
  CHECK(ann_.hear() == "to ann");
  CHECK(last.hear() == "to the last");
  CHECK(eve.hear(a_while).empty());
  say_and_hear(eve, "once more");
  bob_.answer("to eve");
  CHECK(eve.hear() == "to eve");
}

TEST_CASE_METHOD(proxied_post, "a flood from 2,000 senders leaves no more than there is room for",
                 "[testing]") {
  set_path({.delay = 1min}); // so that each would have to be kept
  for (auto count = 0; count < 2'000; ++count) {
    postal{at(caller)}.send(front_at_, "flood");
    if (count % 100 == 0)
      CHECK(network_.datagram_senders() <= testing::proxy::max_datagram_senders);
  }
  CHECK(comes_true(
    [&] { return network_.datagram_senders() == testing::proxy::max_datagram_senders; }));
  network_.heal();
  ann_.send(front_at_, "hello");
  CHECK(bob_.hear() == "hello");
  bob_.answer("welcome");
  CHECK(ann_.hear() == "welcome");
}

TEST_CASE("a front takes a port that is free for datagrams, too", "[testing]") {
  std::vector<postal> taken;
  for (auto count = 0; count < 500; ++count)
    taken.emplace_back(at(target));
  // One of 400 would meet one of those if only the port for connections counted.
  for (auto count = 0; count < 20; ++count) {
    testing::proxy network;
    for (auto each = 0; each < 20; ++each)
      REQUIRE(network.open(target, {target, 1}));
  }
}
