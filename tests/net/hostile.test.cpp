// Bytes from strangers, and from peers that turn hostile after they have greeted. After
// each, a good peer must still be linked, soon.

#include "net/node_fixture.hpp"
#include "net/raw_peer.hpp"
#include "support/seeds.hpp"
#include "troupe/net/byte_budget.hpp"

#include "caf/telemetry/counter.hpp"
#include "caf/telemetry/label_view.hpp"
#include "caf/telemetry/metric_family_impl.hpp"
#include "caf/telemetry/metric_registry.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <numeric>

#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

using namespace std::literals;
using namespace troupe;
using test::basp_bytes;
using test::node_number;
using test::raw_peer;
using test::test_node;
using enum net::basp_header::operation;

namespace {

#ifdef TROUPE_SANITIZED
constexpr std::size_t memory_factor = 20; // shadow memory, and freed blocks are kept
#else
constexpr std::size_t memory_factor = 1;
#endif

std::size_t resident_bytes() {
  std::ifstream in{"/proc/self/statm"};
  std::size_t all = 0;
  std::size_t resident = 0;
  in >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::size_t open_descriptors() {
  return static_cast<std::size_t>(
    std::distance(std::filesystem::directory_iterator{"/proc/self/fd"}, {}));
}

/// Returns whether `condition` becomes true before the deadline.
template <class Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit = 20s) {
  auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline)
      return false;
    std::this_thread::yield();
  }
  return true;
}

/// For its life this process may have so many open files.
class descriptor_limit {
public:
  explicit descriptor_limit(rlim_t least) {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &original_) == 0);
    if (original_.rlim_max < least)
      SKIP("this user may not have " << least << " open files");
    auto raised = original_;
    raised.rlim_cur = std::max(raised.rlim_cur, least);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &raised) == 0);
  }

  ~descriptor_limit() {
    ::setrlimit(RLIMIT_NOFILE, &original_);
  }

  descriptor_limit(const descriptor_limit&) = delete;
  descriptor_limit& operator=(const descriptor_limit&) = delete;

private:
  rlimit original_{};
};

/// A node that is attacked.
struct target {
  explicit target(net::link_options links = {}) : node({.node = 1, .links = std::move(links)}) {}

  /// A hello as a node of the same cluster would say it: BASP's node id has the shape of
  /// the target's.
  net::hello stranger() {
    net::hello result = node.gate().self();
    auto number = ++last_;
    result.node.bytes[0] = static_cast<std::byte>(number >> 8U);
    result.node.bytes[1] = static_cast<std::byte>(number);
    result.basp_node[result.basp_node.size() - 1] ^= static_cast<char>(1 + number % 255);
    result.basp_node[result.basp_node.size() - 2] ^= static_cast<char>(number / 255);
    result.entry_point = 0;
    return result;
  }

  /// Links a good node; fails if that takes long.
  void check_good_peer() {
    auto start = std::chrono::steady_clock::now();
    test_node good{{.node = 250}};
    auto got = good.dial(where);
    REQUIRE(got);
    CHECK(good.greet(*got) == "hello, says 1");
    CHECK(std::chrono::steady_clock::now() - start < 3s);
  }

  test_node node;
  net::endpoint where = node.listen();
  std::size_t last_ = 0;
};

} // namespace

TEST_CASE("random bytes before the greeting do no harm", "[net][hostile]") {
  target here;
  test::random_source random{1};
  auto before = resident_bytes();
  for (auto count = 0; count < 500; ++count) {
    std::string bytes(1 + random.below(900), '\0');
    for (auto& each : bytes)
      each = static_cast<char>(random.below(256));
    if (random.one_in(2))
      bytes.replace(0, std::min<std::size_t>(bytes.size(), 3), "TRL");
    raw_peer::connect(here.where).send(bytes);
  }
  // What a BASP header would be: 2 and 4 GiB of payload announced.
  for (auto size : {0x7fffffffU, 0xfffffff0U})
    for (auto count = 0; count < 50; ++count)
      raw_peer::connect(here.where).send(basp_bytes({client_handshake, 0, size, 0, 0}));
  here.check_good_peer();
  CHECK(resident_bytes() < before + memory_factor * (32U << 20U));
}

TEST_CASE("strangers are told nothing before they have greeted", "[net][hostile]") {
  target here;
  auto peer = raw_peer::connect(here.where);
  CHECK(peer.receive(1, 50ms).empty());
  peer.send("GET / HTTP/1.0\r\n\r\n");
  CHECK(peer.closes_within(20s));
}

SCENARIO("silent connections take a bounded number of descriptors", "[net][hostile]") {
  GIVEN("a node with 300 silent connections, then 100 half greetings") {
    net::link_options quick;
    quick.table.greeting_timeout = 1s;
    target here{quick};
    auto before = open_descriptors();
    std::vector<raw_peer> held;
    for (auto count = 0; count < 300; ++count)
      held.push_back(raw_peer::connect(here.where));
    for (auto count = 0; count < 100; ++count) {
      held.push_back(raw_peer::connect(here.where));
      held.back().send(net::to_wire(here.stranger()).substr(0, 40));
    }
    auto taken = [&] { return open_descriptors() - before - held.size(); };
    THEN("it keeps 64, a good peer comes in, and in the end all are gone") {
      CHECK(eventually([&] { return taken() <= 64; }));
      here.check_good_peer();
      CHECK(eventually([&] { return taken() == 0; }));
      for (auto& each : held)
        REQUIRE(each.closes_within(20s));
    }
  }
}

TEST_CASE("a peer that greets and never speaks BASP is closed", "[net][hostile]") {
  net::link_options quick;
  quick.table.handshake_timeout = 200ms;
  target here{quick};
  auto peer = raw_peer::connect(here.where);
  REQUIRE(peer.greet(here.stranger()) == net::verdict::go);
  REQUIRE(peer.send(net::to_wire(net::commit{})));
  CHECK(peer.closes_within(20s));
  CHECK(eventually([&] { return here.node.gate().links() == 0; }));
  CHECK(here.node.ups() == 0);
  CHECK(here.node.downs() == 0);
}

TEST_CASE("a linked peer that falls silent is closed", "[net][hostile]") {
  net::link_options quick;
  quick.table.link_timeout = 200ms;
  target here{quick};
  auto self = here.stranger();
  self.heartbeat = 50ms;
  auto peer = raw_peer::linked(here.where, self);
  REQUIRE(here.node.wait_for_links(1));
  CHECK(here.node.wait_for_links(0));
  CHECK(here.node.last_reason() == "silent for 200 ms");
  here.check_good_peer();
}

TEST_CASE("a peer that sends its heartbeats is kept", "[net][hostile]") {
  net::link_options quick;
  quick.table.link_timeout = 200ms;
  target here{quick};
  auto self = here.stranger();
  self.heartbeat = 50ms;
  auto peer = raw_peer::linked(here.where, self);
  REQUIRE(here.node.wait_for_links(1));
  for (auto count = 0; count < 20; ++count) {
    REQUIRE(peer.send(basp_bytes({heartbeat, 0, 0, 0, 0})));
    CHECK_FALSE(peer.closes_within(50ms)); // as long as an honest one waits
  }
  CHECK(here.node.downs() == 0);
}

TEST_CASE("1,024 clients that say nothing take all places of clients, and keep no member out",
          "[net][hostile]") {
  constexpr auto most = net::table_options{}.max_clients;
  const descriptor_limit raised{2 * most + 500};
  target here;
  auto client = [&](duration heartbeat) {
    auto self = here.stranger();
    self.as = net::role::client;
    self.heartbeat = heartbeat;
    return self;
  };
  for (auto count = 0; count < 20; ++count)
    CHECK(raw_peer::connect(here.where).greet(client(60s)) == net::verdict::closed);
  CHECK(here.node.gate().refused().at(net::verdict::bad_greeting) == 20);
  std::vector<raw_peer> silent;
  for (std::uint32_t count = 0; count < most; ++count)
    silent.push_back(raw_peer::linked(here.where, client(net::max_heartbeat)));
  REQUIRE(here.node.wait_for_links(most));
  CHECK(raw_peer::connect(here.where).greet(client(500ms)) == net::verdict::full);
  CHECK(eventually([&] { // both are told
    auto lines = here.node.refusals();
    return std::ranges::any_of(
      lines, [](auto& each) { return each.find("all places for links of its kind") != each.npos; });
  }));
  here.check_good_peer();
  CHECK(here.node.downs() <= 1); // that one
}

TEST_CASE("a link can have a time-out of its own", "[net][hostile]") {
  target here;
  auto self = here.stranger();
  self.heartbeat = 50ms;
  auto peer = raw_peer::linked(here.where, self);
  REQUIRE(here.node.wait_for_links(1));
  here.node.gate().set_timeout(here.node.only_link(), 150ms);
  CHECK(here.node.wait_for_links(0));
  CHECK(here.node.last_reason() == "silent for 150 ms");
}

TEST_CASE("a peer that breaks BASP's rules is closed, an honest mistake is dropped",
          "[net][hostile]") {
  struct given {
    std::string what;
    std::function<std::string(const std::string& mine, const std::string& theirs)> bytes;
    std::string reason; ///< empty: the link stays
    std::uint64_t dropped = 0;
  };
  auto id_bytes = [](const std::string& one, const std::string& other) {
    return static_cast<std::uint32_t>(one.size() + other.size());
  };
  auto third = [](std::string id) {
    id.back() = static_cast<char>(id.back() ^ 0x55);
    return id;
  };
  given cases[] = {
    {"2 GiB",
     [](auto&, auto&) {
       return basp_bytes({direct_message, 0, 0x7fffffffU, 1, 1});
     },
     "payload above the limit"},
    {"4 GiB",
     [](auto&, auto&) {
       return basp_bytes({direct_message, 0, 0xfffffff0U, 1, 1});
     },
     "payload above the limit"},
    {"a second handshake",
     [](auto& mine, auto&) {
       return basp_bytes({server_handshake, 0, static_cast<std::uint32_t>(mine.size()), 0, 0}, 4)
              + mine;
     },
     "second BASP handshake"},
    {"an operation that is none",
     [](auto&, auto&) {
       return basp_bytes({net::basp_header::operation{9}, 0, 0, 0, 0});
     },
     "unknown BASP operation"},
    {"monitoring in another's name",
     [&](auto& mine, auto& theirs) {
       return basp_bytes({monitor_message, 0, id_bytes(mine, theirs), 0, 1}) + third(mine) + theirs;
     },
     "BASP node id other than the greeting's"},
    {"monitoring to be forwarded",
     [&](auto& mine, auto& theirs) {
       return basp_bytes({monitor_message, 0, id_bytes(mine, theirs), 0, 1}) + mine + third(mine);
     },
     "BASP node id other than the greeting's"},
    {"a message to be routed",
     [](auto&, auto&) {
       return basp_bytes({routed_message, 0, 100, 1, 1}) + std::string(100, '\0')
              + basp_bytes({routed_message, 0, 0, 1, 1});
     },
     "", 2},
    {"a long message to be routed",
     [](auto&, auto&) {
       return basp_bytes({routed_message, 0, 2'000'000, 1, 1}) + std::string(2'000'000, '\0');
     },
     "", 1},
    {"a message to a spawn server",
     [](auto&, auto&) {
       return basp_bytes({direct_message, 1, 100, 1, 2}) + std::string(100, '\0');
     },
     "", 1},
    {"a message that is none",
     [](auto&, auto&) {
       return basp_bytes({direct_message, 0, 100, 1, 1}) + std::string(100, '\xff');
     },
     "", 1},
  };
  for (auto& each : cases) {
    INFO(each.what);
    net::link_options strict;
    strict.filter.spawns = false;
    target here{strict};
    auto self = here.stranger();
    auto peer = raw_peer::linked(here.where, self);
    REQUIRE(here.node.wait_for_links(1));
    auto which = here.node.only_link();
    peer.send(each.bytes(self.basp_node, here.node.gate().self().basp_node));
    if (each.reason.empty()) {
      auto before = which->received_bytes();
      peer.send(basp_bytes({heartbeat, 0, 0, 0, 0}));
      CHECK(eventually([&] { return which->received_bytes() > before; }));
      CHECK(eventually([&] { return which->dropped_messages() == each.dropped; }));
      CHECK(which->reason().empty());
    } else {
      CHECK(here.node.wait_for_links(0));
      CHECK(here.node.last_reason() == each.reason);
    }
    here.check_good_peer();
  }
}

TEST_CASE("a peer that sends random bytes loses its link, with a line in the log and a count",
          "[net][hostile]") {
  target here;
  auto ended = [&] {
    std::array<caf::telemetry::label_view, 1> cause{
      caf::telemetry::label_view{"cause", "misbehaved"}};
    return here.node.system()
      .metrics()
      .counter_family("troupe", "links-ended", {"cause"}, "", "1", true)
      ->get_or_add(cause)
      ->value();
  };
  test::random_source random{2};
  std::string bytes(4'096, '\0');
  for (auto& each : bytes)
    each = static_cast<char>(random.below(256));
  bytes.front() = '\x7f'; // no operation of BASP
  auto self = here.stranger();
  SECTION("once it is linked") {
    auto peer = raw_peer::linked(here.where, self);
    REQUIRE(here.node.wait_for_links(1));
    peer.send(bytes);
    CHECK(here.node.wait_for_links(0));
  }
  SECTION("before BASP has its handshake") {
    auto peer = raw_peer::connect(here.where);
    REQUIRE(peer.greet(self) == net::verdict::go);
    peer.send(net::to_wire(net::commit{}) + bytes);
    CHECK(peer.closes_within(20s));
    CHECK(here.node.ups() == 0);
  }
  CHECK(eventually([&] { return ended() == 1; }));
  CHECK(eventually([&] {
    auto lines = here.node.refusals();
    return lines.size() == 1 && lines.front().starts_with("links of a member are ended: ");
  }));
  here.check_good_peer();
}

namespace {

/// An actor that ends with the test, also where that fails: its system would wait for it.
struct actor_of_test {
  ~actor_of_test() {
    caf::anon_send_exit(who, caf::exit_reason::kill);
  }

  caf::actor who;
};

/// A message of CAF as it goes over the wire.
std::string to_payload(caf::actor_system& sys, const caf::message& what) {
  caf::byte_buffer bytes;
  caf::binary_serializer sink{sys, bytes};
  REQUIRE(sink.apply(std::vector<caf::strong_actor_ptr>{}));
  REQUIRE(sink.apply(what));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string message_to(std::uint64_t actor, const std::string& payload, std::uint64_t number = 0,
                       std::uint8_t flags = 0) {
  return basp_bytes({direct_message, flags, static_cast<std::uint32_t>(payload.size()), 7, actor},
                    number)
         + payload;
}

std::string list_of(std::initializer_list<caf::type_id_t> types) {
  std::string result{static_cast<char>(types.size())};
  for (auto each : types) {
    result += static_cast<char>(each >> 8U);
    result += static_cast<char>(each & 0xffU);
  }
  return result;
}

std::string repeated(std::size_t times, const std::string& what) {
  std::string result;
  for (std::size_t count = 0; count < times; ++count)
    result += what;
  return result;
}

} // namespace

TEST_CASE("what would harm CAF does not reach it, and the link stays", "[net][hostile]") {
  target here;
  auto& sys = here.node.system();
  auto entry_point = here.node.gate().self().entry_point;
  auto stranger = here.stranger();
  auto theirs = stranger.basp_node;
  auto peer = raw_peer::linked(here.where, stranger);
  REQUIRE(here.node.wait_for_links(1));
  auto which = here.node.only_link();
  auto self = sys.registry().get(entry_point);
  caf::message deep;
  for (auto count = 0; count < 20; ++count)
    deep = caf::make_message(deep);
  const auto nested = list_of({caf::type_id_v<caf::message>});
  const auto in_error = std::string{1, 1, 0, static_cast<char>(caf::type_id_v<caf::sec>)};
  const auto error = list_of({caf::type_id_v<caf::error>}) + in_error;
  struct harm {
    std::string what;
    std::string payload;
  };
  const std::vector<harm> cases{
    {"an exit message",
     to_payload(sys, caf::make_message(caf::exit_msg{self->address(), caf::exit_reason::kill}))},
    {"a message that an actor is down",
     to_payload(sys, caf::make_message(caf::down_msg{self->address(), caf::error{}}))},
    {"a link to a local actor, taken for a remote one",
     to_payload(sys, caf::make_message(caf::link_atom_v, self))},
    {"the end of such a link", to_payload(sys, caf::make_message(caf::unlink_atom_v, self))},
    {"a configuration value",
     to_payload(sys, caf::make_message(caf::config_value{std::int64_t{1}}))},
    {"a message of CAF's I/O", std::string{'\0'} + list_of({caf::type_id_t{130}})},
    {"messages in each other", to_payload(sys, deep)},
    {"100,000 messages in each other", std::string{'\0'} + repeated(100'000, nested)},
    {"100,000 errors in each other", std::string{'\0'} + repeated(40'000, error)},
    {"an error behind a struct",
     to_payload(sys, caf::make_message(test::wait_request{1}, caf::make_error(caf::sec::none)))},
    {"a handle behind a struct", to_payload(sys, caf::make_message(test::wait_request{1}, self))},
    {"a handle of a node that is not there",
     to_payload(sys, caf::make_message(caf::actor_addr{}))
       .replace(4, 9, std::string(7, '\0') + "\x01" + std::string(1, '\1'))},
    {"handles that are cut short",
     std::string{'\0'} + list_of({caf::type_id_v<std::vector<caf::actor>>}) + "\x09"},
    {"a number that is cut short",
     std::string{'\0'} + list_of({caf::type_id_v<std::uint64_t>}) + "\x09"},
    {"a text that is cut short", '\0' + list_of({caf::type_id_v<std::string>}) + "\x7fx"},
    {"a text that is cut short, before an error",
     '\0' + list_of({caf::type_id_v<std::string>, caf::type_id_v<caf::error>}) + "\x7fx"},
    {"nine elements", to_payload(sys, caf::make_message(1, 2, 3, 4, 5, 6, 7, 8, 9))},
    {"as many elements as can be said", std::string{"\0\xff\xff\xff\xff\x0f", 6}},
    {"a message to be passed on by actors", std::string{"\x01", 1} + std::string(40, '\0')},
    {"an error that ends whoever gets it",
     to_payload(sys, caf::make_message(caf::make_error(caf::sec::runtime_error)))},
    {"no error, where whoever gets it expects one",
     to_payload(sys, caf::make_message(caf::error{}))},
  };
  std::uint64_t dropped = 0;
  for (auto& each : cases) {
    INFO(each.what);
    REQUIRE(peer.send(message_to(entry_point, each.payload)));
    ++dropped;
    CHECK(eventually([&] { return which->dropped_messages() == dropped; }));
  }
  REQUIRE(peer.send(
    message_to(1, to_payload(sys, caf::make_message(caf::put_atom_v, "a", caf::message{})), 0,
               net::basp_header::named_receiver))); // the configuration server
  CHECK(eventually([&] { return which->dropped_messages() == dropped + 1; }));
  auto ids = theirs + here.node.gate().self().basp_node;
  for (auto& why : {repeated(9'000, in_error + list_of({caf::type_id_v<caf::error>})),
                    std::string{1, 1, '\x7f', '\x7f', 0}, std::string{1, 1}}) {
    REQUIRE(peer.send(
      basp_bytes({down_message, 0, static_cast<std::uint32_t>(ids.size() + why.size()), 9, 0}) + ids
      + why));
    ++dropped;
  }
  CHECK(eventually([&] { return which->dropped_messages() == dropped + 1; }));
  CHECK(which->reason().empty());
  here.check_good_peer();
}

TEST_CASE("no message passes for one of a stream", "[net][hostile]") {
  target here;
  auto& sys = here.node.system();
  auto entry_point = here.node.gate().self().entry_point;
  auto peer = raw_peer::linked(here.where, here.stranger());
  REQUIRE(here.node.wait_for_links(1));
  auto which = here.node.only_link();
  auto payload = to_payload(sys, caf::make_message(test::greet_request{std::string(500, 'x')}));
  constexpr std::uint64_t answer = std::uint64_t{1} << 63U;
  std::uint64_t dropped = 0;
  for (auto category : {std::uint64_t{2} << 60U, std::uint64_t{3} << 60U})
    for (auto number : {std::uint64_t{0}, std::uint64_t{5}, answer | 5}) {
      REQUIRE(peer.send(message_to(entry_point, payload, category | number)));
      REQUIRE(peer.send(message_to(net::basp_header::spawn_server, payload, category | number,
                                   net::basp_header::named_receiver)));
      dropped += 2;
    }
  CHECK(eventually([&] { return which->dropped_messages() == dropped; }));
  CHECK(which->reason().empty());
  here.check_good_peer();
}

TEST_CASE("what honest peers send is read", "[net][hostile]") {
  using troupe::incoming_message;
  target here;
  auto& sys = here.node.system();
  auto refusal = [&](const caf::message& what) {
    return std::string{incoming_message::refusal(to_payload(sys, what).substr(1))};
  };
  auto why = caf::make_error(caf::sec::unexpected_message, std::string(300, 'x'));
  auto self = sys.registry().get(here.node.gate().self().entry_point);
  CHECK(refusal({}).empty());
  CHECK(refusal(caf::make_message(why)).empty());
  CHECK(refusal(caf::make_message(caf::error{})).empty());
  CHECK(refusal(caf::make_message(caf::error{}, why)).empty());
  CHECK(refusal(caf::make_message(caf::ok_atom_v, std::string(200, 'y'), why)).empty());
  CHECK(refusal(caf::make_message(caf::make_error(caf::sec::unexpected_message,
                                                  caf::make_message(1, 2.0, "three"))))
          .empty());
  CHECK(refusal(caf::make_message(test::greet_request{"hello"}, self)).empty());
  CHECK(refusal(caf::make_message(1, 2, 3, 4, 5, 6, 7, 8)).empty());
  caf::message deep;
  for (std::size_t depth = 0; depth < incoming_message::max_depth; ++depth)
    deep = caf::make_message(deep);
  CHECK(refusal(deep).empty());
  CHECK_FALSE(refusal(caf::make_message(deep)).empty());
  auto spawn = caf::make_message(caf::spawn_atom_v, std::string{"name"},
                                 caf::make_message(std::string{"options"}, self),
                                 std::set<std::string>{"a", "b"});
  CHECK(refusal(spawn).empty());
  auto info = caf::make_message(caf::sys_atom_v, caf::get_atom_v, std::string{"info"});
  CHECK(refusal(info).empty());
  auto hostile = caf::make_message(caf::exit_msg{self->address(), caf::exit_reason::kill});
  CHECK_FALSE(refusal(caf::make_message(hostile)).empty());
  CHECK_FALSE(refusal(caf::make_message(caf::spawn_atom_v, std::string{"name"}, hostile)).empty());
  CHECK_FALSE(
    refusal(caf::make_message(caf::make_error(caf::sec::runtime_error, hostile))).empty());
  // Nor in a field of a struct.
  caf::byte_buffer boxed;
  caf::binary_serializer sink{sys, boxed};
  REQUIRE(sink.apply(test::boxed_message{hostile}));
  caf::binary_deserializer source{sys, boxed};
  test::boxed_message read;
  CHECK_FALSE(source.apply(read));
  // Of a category that is no error: its code would be printed as whatever that is.
  for (auto category : {caf::type_id_v<caf::sec>, caf::type_id_v<errc>, caf::type_id_v<std::string>,
                        caf::type_id_v<caf::strong_actor_ptr>, caf::type_id_v<test::greet_request>,
                        caf::type_id_t{60'000}}) {
    auto forged = list_of({caf::type_id_v<caf::error>}) + std::string{1, 1}
                  + list_of({category}).substr(1) + '\0';
    auto is_error = category == caf::type_id_v<caf::sec> || category == caf::type_id_v<errc>;
    CHECK(incoming_message::refusal(forged).empty() == is_error);
  }
}

TEST_CASE("lists of types that CAF would keep are bounded", "[net][hostile]") {
  using list = troupe::incoming_message::type_list;
  troupe::incoming_message::known_lists known{2};
  CHECK(known.add(list{{1, 2}, 2}));
  CHECK(known.add(list{{1, 3}, 2}));
  CHECK(known.add(list{{1, 2}, 2}));
  CHECK_FALSE(known.add(list{{2, 1}, 2}));
  CHECK_FALSE(known.add(list{{1, 2, 3}, 3}));
  CHECK(known.add(list{{9}, 1}));
}

TEST_CASE("a message with a struct in which messages lie in each other is not read",
          "[net][hostile]") {
  target here;
  auto entry_point = here.node.gate().self().entry_point;
  auto peer = raw_peer::linked(here.where, here.stranger());
  REQUIRE(here.node.wait_for_links(1));
  auto boxed = list_of({caf::type_id_v<test::boxed_message>});
  REQUIRE(peer.send(message_to(entry_point, std::string{'\0'} + repeated(100'000, boxed))));
  here.check_good_peer();
}

TEST_CASE("a peer reaches no actor that it was not told of", "[net][hostile]") {
  target here;
  auto& sys = here.node.system();
  auto stranger = here.stranger();
  stranger.entry_point = 1'000;
  auto peer = raw_peer::linked(here.where, stranger);
  REQUIRE(here.node.wait_for_links(1));
  auto which = here.node.only_link();
  std::atomic<int> seen{0};
  auto hidden = sys.spawn([&seen](caf::event_based_actor*) {
    return caf::behavior{[&seen](const test::greet_request&) { ++seen; }};
  });
  actor_of_test ends{hidden};
  sys.registry().put(hidden->id(), hidden);
  auto payload = to_payload(sys, caf::make_message(test::greet_request{"hello"}));
  REQUIRE(peer.send(message_to(hidden->id(), payload)));
  CHECK(eventually([&] { return which->dropped_messages() == 1; }));
  auto ids = stranger.basp_node + here.node.gate().self().basp_node;
  REQUIRE(peer.send(
    basp_bytes({monitor_message, 0, static_cast<std::uint32_t>(ids.size()), 0, hidden->id()})
    + ids));
  CHECK(eventually([&] { return which->dropped_messages() == 2; }));
  WHEN("its handle has been sent over the link") {
    caf::anon_send(caf::actor_cast<caf::actor>(which->entry_point()), hidden);
    // A heartbeat may come before it.
    for (auto found = false; !found;) {
      auto header = peer.receive(net::basp_header::wire_bytes);
      REQUIRE(header.size() == net::basp_header::wire_bytes);
      auto next = net::basp_header::from_bytes(std::as_bytes(std::span{header}));
      peer.receive(next.payload_bytes);
      found = next.what == direct_message && next.destination == which->peer().entry_point;
    }
    REQUIRE(peer.send(message_to(hidden->id(), payload)));
    CHECK(eventually([&] { return seen == 1; }));
  }
}

TEST_CASE("what a peer says of third nodes is not kept", "[net][hostile]") {
  target here;
  auto& sys = here.node.system();
  auto entry_point = here.node.gate().self().entry_point;
  auto stranger = here.stranger();
  auto peer = raw_peer::linked(here.where, stranger);
  REQUIRE(here.node.wait_for_links(1));
  constexpr std::size_t many = 1'000;
  auto handles = list_of({caf::type_id_v<std::vector<caf::strong_actor_ptr>>})
                 + static_cast<char>(0x80U | (many & 0x7fU)) + static_cast<char>(many >> 7U);
  std::string last;
  for (std::size_t number = 1; number <= many; ++number) {
    auto third = stranger.basp_node; // its last bytes are the number of its process
    third[third.size() - 5] = static_cast<char>(number >> 8U);
    third[third.size() - 6] = static_cast<char>(number);
    handles += std::string(7, '\0') + '\x09' + third;
    last = third;
  }
  REQUIRE(peer.send(message_to(entry_point, '\0' + handles)));
  here.check_good_peer();
  auto broker = sys.middleman().named_broker<caf::io::basp_broker>("BASP");
  auto known = [&] { // in the thread of BASP
    std::promise<std::size_t> promise;
    sys.middleman().backend().post([&] {
      auto* basp = caf::actor_cast<caf::abstract_actor*>(broker);
      promise.set_value(static_cast<caf::io::basp_broker*>(basp)->spawn_servers.size());
    });
    return promise.get_future().get();
  };
  CHECK(known() <= 2); // this peer, and the good one
  caf::node_id third;
  caf::binary_deserializer source{sys, last.data(), last.size()};
  REQUIRE(source.apply(third));
  auto* basp = static_cast<caf::io::basp_broker*>(caf::actor_cast<caf::abstract_actor*>(broker));
  CHECK(basp->proxies().count_proxies(third) == 0);
  WHEN("another peer comes after those before it have gone") {
    ::shutdown(peer.descriptor(), SHUT_RDWR);
    REQUIRE(here.node.wait_for_links(0));
    here.check_good_peer();
    THEN("these are forgotten as well") {
      CHECK(known() <= 1);
    }
  }
}

TEST_CASE("only the node that was asked can answer, and once", "[net][hostile]") {
  target here;
  auto& sys = here.node.system();
  auto linked = [&](std::uint64_t entry_point) {
    auto self = here.stranger();
    self.entry_point = entry_point;
    return raw_peer::linked(here.where, self);
  };
  auto honest = linked(1'000);
  REQUIRE(here.node.wait_for_links(1));
  auto which = here.node.only_link();
  auto other = linked(2'000);
  REQUIRE(here.node.wait_for_links(2));
  std::promise<std::string> promise;
  auto answer = promise.get_future();
  auto asks = sys.spawn([&](caf::event_based_actor* self) {
    self
      ->request(caf::actor_cast<caf::actor>(which->entry_point()), 20s,
                test::greet_request{"hello"})
      .then([&](const test::greet_reply& said) { promise.set_value(said.text); },
            [&](const caf::error& why) { promise.set_value(to_string(why)); });
    return caf::behavior{[](int) {}};
  });
  actor_of_test ends{asks};
  net::basp_header request;
  while (request.what != direct_message || request.destination != 1'000) {
    auto header = honest.receive(net::basp_header::wire_bytes);
    REQUIRE(header.size() == net::basp_header::wire_bytes);
    request = net::basp_header::from_bytes(std::as_bytes(std::span{header}));
    honest.receive(request.payload_bytes);
  }
  auto reply = [&](const std::string& text) {
    return message_to(request.source, to_payload(sys, caf::make_message(test::greet_reply{text})),
                      request.data | std::uint64_t{1} << 63U);
  };
  REQUIRE(other.send(reply("forged")));
  REQUIRE(other.send(basp_bytes({heartbeat, 0, 0, 0, 0})));
  CHECK(other.receive(1, 100ms).size() <= 1); // heartbeats; the forged answer has been read by then
  REQUIRE(honest.send(reply("honest") + reply("again")));
  CHECK(answer.get() == "honest");
  CHECK(eventually([&] { return which->dropped_messages() == 1; }));
}

TEST_CASE("a peer with another BASP node id than it greeted with is closed", "[net][hostile]") {
  target here;
  auto self = here.stranger();
  auto peer = raw_peer::connect(here.where);
  REQUIRE(peer.greet(self) == net::verdict::go);
  REQUIRE(peer.send(net::to_wire(net::commit{})));
  REQUIRE(peer.shake_hands(here.stranger().basp_node));
  CHECK(peer.closes_within(20s));
  CHECK(here.node.ups() == 0);
}

TEST_CASE("a peer that sends a message before BASP's handshake is closed", "[net][hostile]") {
  target here;
  auto peer = raw_peer::connect(here.where);
  REQUIRE(peer.greet(here.stranger()) == net::verdict::go);
  peer.send(net::to_wire(net::commit{}) + basp_bytes({direct_message, 0, 10, 1, 1})
            + std::string(10, '\0'));
  CHECK(peer.closes_within(20s));
  CHECK(here.node.ups() == 0);
}

TEST_CASE("memory follows what peers have sent, not what they announce", "[net][hostile]") {
  target here;
  std::vector<raw_peer> peers;
  for (auto count = 0; count < 20; ++count)
    peers.push_back(raw_peer::linked(here.where, here.stranger()));
  REQUIRE(here.node.wait_for_links(20));
  auto before = resident_bytes();
  std::string piece(1U << 20U, '\0');
  for (auto& each : peers) {
    REQUIRE(each.send(basp_bytes({direct_message, 0, 64U << 20U, 1, 1}))); // allowed
    REQUIRE(each.send(piece));
  }
  here.check_good_peer();
  CHECK(resident_bytes() < before + memory_factor * (100U << 20U));
}

TEST_CASE("random messages from linked peers do no harm", "[net][hostile]") {
  target here;
  auto entry_point = here.node.gate().self().entry_point;
  auto before = resident_bytes();
  test::for_each_seed(500, [&](test::random_source random) {
    auto peer = raw_peer::linked(here.where, here.stranger());
    for (auto left = 1 + random.below(3); left > 0; --left) {
      std::string payload(random.below(120), '\0');
      for (auto& each : payload)
        each = static_cast<char>(random.one_in(3) ? random.below(256) : 0xff * random.below(2));
      auto receiver = random.one_in(2) ? entry_point : random.below(4);
      auto operation = static_cast<net::basp_header::operation>(random.one_in(2) ? std::uint64_t{2}
                                                                                 : random.below(8));
      if (!peer.send(
            basp_bytes({operation, static_cast<std::uint8_t>(random.below(4)),
                        static_cast<std::uint32_t>(payload.size()), random.below(3), receiver},
                       random.below(16) << 60U | random.below(5)) // with all flags of a number
            + payload))
        break;
    }
  });
  here.check_good_peer();
  CHECK(resident_bytes() < before + memory_factor * (64U << 20U));
}

SCENARIO("a peer that reads too slowly is closed before memory runs out", "[net][hostile]") {
  GIVEN("a link to a peer that does not read") {
    net::link_options bounds;
    bounds.max_queued_bytes = 32U << 20U;
    target here{bounds};
    auto self = here.stranger();
    self.entry_point = 1'000;
    auto peer = raw_peer::linked(here.where, self);
    REQUIRE(here.node.wait_for_links(1));
    auto which = here.node.only_link();
    auto send = [&](std::size_t bytes) {
      for (std::size_t sent = 0; sent < bytes; sent += 64U << 10U)
        caf::anon_send(caf::actor_cast<caf::actor>(which->entry_point()),
                       test::greet_request{std::string(64U << 10U, 'x')});
    };
    WHEN("more is sent than may wait") {
      send(64U << 20U);
      THEN("the link is closed, and what is sent then is thrown away") {
        CHECK(here.node.wait_for_links(0));
        CHECK(here.node.last_reason().find("too slow") != std::string::npos);
        here.check_good_peer();
      }
    }
    WHEN("it reads in the end") {
      send(16U << 20U); // the kernel takes some of it
      CHECK(here.node.wait_until_full());
      CHECK(peer.receive(16U << 20U).size() == 16U << 20U);
      THEN("the node is told that there is room again") {
        CHECK(here.node.wait_until_drained());
        CHECK(which->reason().empty());
      }
    }
  }
}

SCENARIO("peers that do not read are bounded all together", "[net][hostile]") {
  GIVEN("ten links to peers that do not read, each of which may have 32 MiB") {
    net::link_options bounds;
    bounds.max_queued_bytes = 32U << 20U;
    bounds.max_all_queued_bytes = 48U << 20U;
    target here{bounds};
    std::vector<raw_peer> peers;
    for (auto count = 0; count < 10; ++count) {
      auto self = here.stranger();
      self.entry_point = 1'000;
      peers.push_back(raw_peer::linked(here.where, self));
    }
    REQUIRE(here.node.wait_for_links(10));
    WHEN("each is sent 16 MiB") {
      for (auto& which : here.node.links())
        for (auto count = 0; count < 256; ++count)
          caf::anon_send(caf::actor_cast<caf::actor>(which->entry_point()),
                         test::greet_request{std::string(64U << 10U, 'x')});
      THEN("those with most of them are closed until the rest is within the bound") {
        CHECK(eventually([&] { return here.node.downs() >= 5; }));
        CHECK(here.node.last_reason().find("together they hold too much") != std::string::npos);
        here.check_good_peer();
        CHECK(here.node.gate().links() > 0);
      }
    }
  }
  GIVEN("ten peers that announce 64 MiB, and send most of it") {
    net::link_options bounds;
    bounds.max_all_collected_bytes = 32U << 20U;
    target here{bounds};
    auto entry_point = here.node.gate().self().entry_point;
    std::vector<raw_peer> peers;
    for (auto count = 0; count < 10; ++count)
      peers.push_back(raw_peer::linked(here.where, here.stranger()));
    REQUIRE(here.node.wait_for_links(10));
    WHEN("each sends 8 MiB") {
      for (auto& each : peers) {
        each.send(basp_bytes({direct_message, 0, 64U << 20U, 7, entry_point}));
        each.send(std::string(8U << 20U, '\0'));
      }
      THEN("those that have sent most are closed until the rest is within the bound") {
        CHECK(eventually([&] { return here.node.downs() >= 6; }));
        CHECK(here.node.last_reason().find("what has arrived of long messages")
              != std::string::npos);
        here.check_good_peer();
      }
    }
  }
}

SCENARIO("30 peers that do not read take a bounded part of the memory of a node",
         "[net][hostile]") {
  GIVEN("a node with the usual bounds, 30 such peers, and one that reads") {
    net::link_options usual;
    usual.table.link_timeout = 5min; // a slow machine does not get all of it done in 8 s
    constexpr std::size_t piece = 64U << 10U;
    constexpr std::size_t told_late = 30 * net::budget_share::step;
    // Buffers grow by doubling; what waits in the queue of BASP is not counted.
    constexpr std::size_t bounded_slack = 128U << 20U;
    target here{usual};
    std::vector<raw_peer> peers;
    for (auto count = 0; count < 30; ++count) {
      auto self = here.stranger();
      self.entry_point = 1'000;
      peers.push_back(raw_peer::linked(here.where, self));
      // One that is closed while it sends may wait for a minute until the system says so.
      const timeval patience{0, 300'000};
      ::setsockopt(peers.back().descriptor(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
      int little = 64 << 10;
      ::setsockopt(peers.back().descriptor(), SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    }
    REQUIRE(here.node.wait_for_links(30));
    auto links = here.node.links(); // in their order
    test_node good{{.node = 251}};
    auto reads = good.dial(here.where);
    REQUIRE(reads);
    auto before = resident_bytes();
    auto closed = [&] {
      return std::ranges::count_if(links, [](auto& each) { return !each->reason().empty(); });
    };
    WHEN("each is sent a MiB at a time, and one of them two") {
      auto send_all = [&] {
        for (auto& each : links)
          for (auto left = (each == links.front() ? 2U << 20U : 1U << 20U) / piece; left > 0;
               --left)
            if (auto there = each->entry_point())
              caf::anon_send(caf::actor_cast<caf::actor>(there),
                             test::greet_request{std::string(piece, 'x')});
        CHECK(good.greet(*reads) == "hello, says 1"); // behind all that in the queue of BASP
      };
      auto queued = [&] {
        return std::accumulate(links.begin(), links.end(), std::size_t{0},
                               [](auto sum, auto& each) {
                                 return sum + (each->reason().empty() ? each->queued_bytes() : 0);
                               });
      };
      for (auto rounds = 0; rounds < 16 && closed() == 0; ++rounds)
        send_all();
      THEN("that one is among those that are closed, and all others hold no more than they may") {
        CHECK(eventually([&] { return !links.front()->reason().empty(); }));
        CHECK(closed() <= 15); // what is under way counts, too
        CHECK(links.front()->reason().find("together they hold too much") != std::string::npos);
        for (auto rounds = 0; rounds < 3; ++rounds) {
          send_all();
          CHECK(eventually([&] { return queued() <= usual.max_all_queued_bytes + told_late; }));
          CHECK(queued() > usual.max_all_queued_bytes / 2);
        }
        CHECK(resident_bytes()
              < before + memory_factor * 2 * usual.max_all_queued_bytes + bounded_slack);
        CHECK(good.greet(*reads) == "hello, says 1");
        here.check_good_peer();
      }
    }
    WHEN("each sends a part of a long message, and one of them more of it") {
      std::string bytes(1U << 20U, '\0');
      for (auto& each : peers)
        REQUIRE(each.send(basp_bytes({direct_message, 0, usual.filter.max_payload_bytes, 7,
                                      here.node.gate().self().entry_point})));
      for (auto rounds = 0; rounds < 12 && closed() == 0; ++rounds)
        for (auto& each : peers) {
          each.send(bytes);
          if (&each == &peers.front())
            each.send(bytes);
        }
      THEN("that one is among those that are closed") {
        CHECK(eventually([&] { return !links.front()->reason().empty(); }));
        CHECK(closed() <= 15); // what is under way counts, too
        CHECK(links.front()->reason().find("what has arrived of long messages")
              != std::string::npos);
        CHECK(resident_bytes()
              < before + memory_factor * 2 * usual.max_all_collected_bytes + bounded_slack);
        CHECK(good.greet(*reads) == "hello, says 1");
        here.check_good_peer();
      }
    }
  }
}

TEST_CASE("a long message counts until it is whole", "[net][hostile]") {
  net::link_options bounds;
  bounds.max_all_collected_bytes = 4U << 20U;
  target here{bounds};
  std::string text(3U << 20U, 'x');
  test_node one{{.node = 2}};
  test_node other{{.node = 3}};
  auto first = one.dial(here.where);
  auto second = other.dial(here.where);
  REQUIRE((first && second));
  for (auto count = 0; count < 2; ++count) {
    CHECK(one.greet(*first, text).size() > text.size());
    CHECK(other.greet(*second, text).size() > text.size());
  }
  CHECK(here.node.downs() == 0);
}

SCENARIO("a node without descriptors waits, and does not spin", "[net][hostile]") {
  GIVEN("a node in a process that has none left, and somebody who wants in") {
    target here;
    net::socket client{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    rlimit original{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &original) == 0);
    auto low = original;
    low.rlim_cur = open_descriptors() + 8;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    std::vector<net::socket> fill;
    for (int copy = 0; (copy = ::dup(client.get())) >= 0;)
      fill.emplace_back(copy);
    WHEN("it connects") {
      auto connected = ::connect(client.get(), here.where.data(), here.where.size()) == 0;
      auto cpu = [] {
        rusage used{};
        ::getrusage(RUSAGE_SELF, &used);
        return std::chrono::seconds{used.ru_utime.tv_sec + used.ru_stime.tv_sec}
               + std::chrono::microseconds{used.ru_utime.tv_usec + used.ru_stime.tv_usec};
      };
      auto before = cpu();
      pollfd nothing{client.get(), POLLIN, 0};
      auto silent = ::poll(&nothing, 1, 500) == 0;
      auto used = cpu() - before;
      fill.clear();
      REQUIRE(::setrlimit(RLIMIT_NOFILE, &original) == 0);
      THEN("next to no time is used, and later it comes in") {
        CHECK(connected);
        CHECK(silent);
        CHECK(used < 100ms);
        raw_peer late{std::move(client)};
        CHECK(late.greet(here.stranger()) == net::verdict::go);
        here.check_good_peer();
      }
    }
  }
}
