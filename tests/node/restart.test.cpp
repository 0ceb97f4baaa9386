#include "node/node_fixture.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/net/listeners.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/testing/comes_true.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <future>
#include <optional>

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using troupe::test::answer_of;
using troupe::test::echo;

namespace {

testing::cluster::change with_data(const test::temporary_folder& folder) {
  return [&folder](std::size_t index, node_options& how) {
    how.data = folder / std::to_string(index);
    how.lost_after = 200ms;
    how.voters = 1; // the first node has it all; of groups see voters.test.cpp
  };
}

} // namespace

TEST_CASE("a member that starts again with its data folder is the same node", "[node]") {
  test::temporary_folder folder;
  testing::cluster c{3, with_data(folder)};
  REQUIRE(c[1].agent("echo", echo()));
  auto id = c[1].id();
  c.stop(1);
  CHECK(c.until([&] { return answer_of(c[2], "echo") == "not_found"; }));
  c.start(1);
  CHECK(c[1].id() == id);
  CHECK(c[1].boot() == 2);
  REQUIRE(c[1].agent("echo", echo()));
  CHECK(c.until([&] { return answer_of(c[2], "echo") == "hello"; }));
}

TEST_CASE("a node that starts again has others wait for its agents", "[node]") {
  test::temporary_folder folder;
  testing::cluster c{3, [&](std::size_t index, node_options& how) {
                       with_data(folder)(index, how);
                       how.lost_after = 60s; // it shows as it was until it is back
                     }};
  REQUIRE(c[1].agent("echo", echo()));
  REQUIRE(c.until([&] { return answer_of(c[2], "echo") == "hello"; }));
  c.stop(1);
  c.start(1);
  auto is_heard = [&] {
    auto known = c[2].registry().node(c[1].name());
    return known && *known && (*known)->value.boot == 2;
  };
  REQUIRE(c.until(is_heard));
  CHECK(c[2].registry().agent("echo").value() == std::nullopt); // it has said nothing of it yet
  auto asked = std::async(std::launch::async, [&] { return answer_of(c[2], "echo"); });
  CHECK(asked.wait_for(200ms) == std::future_status::timeout);
  REQUIRE(c[1].agent("echo", echo()));
  CHECK(asked.get() == "hello");
}

TEST_CASE("a host that starts again finds its members, locks and state", "[node]") {
  test::temporary_folder folder;
  testing::cluster c{3, with_data(folder)};
  REQUIRE(c[1].agent("echo", echo()));
  auto held = c[1].hold("db", {.ttl = 60s});
  REQUIRE(held);
  state::entry_key key{state::consistency::eventual, state::value_type::lww_register, "greeting"};
  REQUIRE(c[2].state().put(key, "hello"));
  c.stop(0);
  c.start(0);
  CHECK(c.until([&] { return c[0].is_host(); }));
  CHECK(c[0].boot() == 2);
  auto lock = c[2].locks().find("db");
  REQUIRE(lock);
  REQUIRE(lock->holders.size() == 1);
  CHECK(lock->holders[0].value.token == held->token());
  CHECK(held->held());
  auto kept = c[0].state().get(key);
  REQUIRE(kept);
  REQUIRE(kept->entries.size() == 1);
  CHECK(state::to_text(kept->entries[0].value) == "hello");
  CHECK(c.until([&] { return answer_of(c[2], "echo") == "hello"; }));
  CHECK(c.until([&] { return answer_of(c[0], "echo") == "hello"; }));
  CHECK(c[2].agent("echo", echo()).error().code == errc::name_taken);
  CHECK(held->release());
}

TEST_CASE("a member dials the host again and again until that is back", "[node]") {
  test::temporary_folder folder;
  test::lines log;
  auto with_folder = with_data(folder);
  testing::cluster c{2, [&](std::size_t index, node_options& how) {
                       with_folder(index, how);
                       how.retry = {1ms, 20ms};
                       how.log = log;
                     }};
  REQUIRE(c[1].agent("echo", echo()));
  c.stop(0);
  REQUIRE(c.until([&] { return log.contain("no way to the cluster: "); }));
  CHECK(c[1].registry().count()); // which needs no host
  c.start(0);
  CHECK(c.until([&] { return answer_of(c[0], "echo") == "hello"; }));
}

TEST_CASE("a founder that is told to join at a wrong address says that it has joined none",
          "[node]") {
  test::temporary_folder folder;
  node_options how{.listen = {"127.0.0.1", 0}, .data = folder / "0", .links = {.insecure = true}};
  REQUIRE(node::start(how)); // founds its cluster, and ends
  auto nobody = net::start_listen(net::resolve({"127.0.0.1", 0})->front());
  REQUIRE(nobody);
  net::address wrong{"127.0.0.1", net::local_endpoint(*nobody).port()};
  *nobody = net::socket{}; // closed again
  test::lines log;
  how.join = {wrong};
  how.log = log;
  auto again = node::start(how);
  REQUIRE(again);
  CHECK(
    testing::comes_true([&] { return log.contain("and has joined none: " + to_string(wrong)); }));
  CHECK(log.contain("if that address in node_options::join is wrong"));
}

TEST_CASE("a data folder belongs to one running node", "[node]") {
  test::temporary_folder folder;
  testing::cluster c{1, with_data(folder)};
  auto second = node::start({.listen = {"127.0.0.1", 0}, .data = folder / "0"});
  REQUIRE_FALSE(second);
  CHECK(second.error().code == errc::in_use);
  CHECK_THAT(second.error().detail, ContainsSubstring("give another folder as node_options::data"));
}

TEST_CASE("a port belongs to one node", "[node]") {
  testing::cluster c{1};
  auto second = node::start({.listen = {"127.0.0.1", c[0].port()}});
  REQUIRE_FALSE(second);
  CHECK(second.error().code == errc::in_use);
  CHECK_THAT(second.error().detail, ContainsSubstring(std::to_string(c[0].port())));
}

TEST_CASE("nodes and clients say why they do not get into a cluster", "[node]") {
  auto silent = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(silent, reinterpret_cast<const sockaddr*>(&where), sizeof(where)) == 0);
  socklen_t size = sizeof(where);
  REQUIRE(::getsockname(silent, reinterpret_cast<sockaddr*>(&where), &size) == 0);
  net::address there{"127.0.0.1", ntohs(where.sin_port)};
  test::lines log;
  SECTION("nobody listens there") {
    auto made = node::start({.listen = {"127.0.0.1", 0},
                             .join = {there},
                             .wait_joined = {},
                             .links = {.insecure = true},
                             .log = log});
    REQUIRE(made);
    auto joined = made->wait_joined(300ms);
    REQUIRE_FALSE(joined);
    CHECK(joined.error().code == errc::timed_out);
    CHECK_THAT(joined.error().detail, ContainsSubstring(to_string(there)));
    CHECK(log.contain("no way to the cluster: "));
    // Nobody has told it who is there.
    CHECK(made->request<std::string>(to_agent("any"), 1s, "x"s).error().code == errc::unreachable);
    auto client = cluster_client::connect({there}, 500ms, {.insecure = true});
    REQUIRE_FALSE(client);
    CHECK(client.error().code == errc::unreachable);
  }
  SECTION("what listens there is no node") {
    REQUIRE(::listen(silent, 4) == 0); // and never says a word
    auto client = cluster_client::connect({there}, 4s, {.insecure = true});
    REQUIRE_FALSE(client);
    CHECK(client.error().code == errc::timed_out);
    CHECK_THAT(client.error().detail, ContainsSubstring(to_string(there)));
  }
  ::close(silent);
}

TEST_CASE("nodes meet over IPv6", "[node]") {
  testing::cluster c{2, [](std::size_t, node_options& how) { how.listen.host = "::1"; }};
  REQUIRE(c[1].agent("echo", echo()));
  CHECK(c.until([&] { return answer_of(c[0], "echo") == "hello"; }));
  auto client = cluster_client::connect({{"::1", c[0].port()}}, 5s, {}, c.client_identity());
  REQUIRE(client);
  auto answer = (*client)->request<std::string>(to_agent("echo"), 5s, "hi"s);
  REQUIRE(answer);
  CHECK(*answer == "hi");
}
