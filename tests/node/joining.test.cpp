// A node that joins with a token, by node::start().

#include "node/node_fixture.hpp"
#include "support/secret_forms.hpp"
#include "support/stranger_flood.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "troupe/net/resolver.hpp"
#include "troupe/net/socket.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/certificate_register.hpp"
#include "troupe/security/setup.hpp"
#include "troupe/testing/comes_true.hpp"

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;

namespace {

const net::address any_port{"127.0.0.1", 0};

node_options of(const std::filesystem::path& data) {
  return {.listen = any_port, .data = data};
}

net::address at(const node& where) {
  return {"127.0.0.1", where.port()};
}

bool has_ca(const std::filesystem::path& data) {
  return std::filesystem::exists(data / security::authority_folder);
}

/// A log that tests read.
class kept_log {
public:
  std::function<void(const log_line&)> sink() {
    return [this](const log_line& line) {
      std::lock_guard guard{mutex_};
      text_ += to_string(line) + "\n";
    };
  }

  bool says(const std::string& words) const {
    std::lock_guard guard{mutex_};
    return text_.find(words) != std::string::npos;
  }

  std::string text() const {
    std::lock_guard guard{mutex_};
    return text_;
  }

private:
  mutable std::mutex mutex_;
  std::string text_;
};

} // namespace

TEST_CASE("a folder that is of a cluster refuses the token of another one", "[node][joining]") {
  test::temporary_folder folder;
  auto first = node::start(of(folder / "first"));
  REQUIRE(first);
  {
    // Without join, by mistake.
    auto mistaken = node::start(of(folder / "second"));
    REQUIRE(mistaken);
  }
  auto token = first->invite();
  REQUIRE(token);
  auto how = of(folder / "second");
  how.join = {at(*first)};
  how.token = *token;
  auto refused = node::start(how);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::conflict);
  CHECK_THAT(refused.error().detail, ContainsSubstring("of another cluster than the token"));
  CHECK_THAT(refused.error().detail, ContainsSubstring("node_options::data"));
  how.data = folder / "third"; // and the token is still good
  CHECK(node::start(std::move(how)));
}

TEST_CASE("no log and no file of a cluster has the secret of a token, in whatever form",
          "[node][joining]") {
  test::temporary_folder folder;
  kept_log log;
  auto with_log = [&](const std::string& name) {
    auto made = of(folder / name);
    made.log = log.sink();
    return made;
  };
  std::vector<std::string> lines;
  auto first = node::start(with_log("first"));
  REQUIRE(first);
  auto invite = [&] {
    auto token = first->invite();
    REQUIRE(token);
    return lines.emplace_back(*token);
  };
  auto how = with_log("second");
  how.join = {at(*first)};
  how.token = invite();
  auto second = node::start(how);
  REQUIRE((second ? "" : second.error().detail) == ""s);
  // One that nobody uses, and one of which another identity learns that it was used.
  invite();
  auto late = with_log("third");
  late.join = {at(*first)};
  late.token = lines.front();
  auto refused = node::start(late);
  REQUIRE_FALSE(refused);
  for (auto& line : lines) {
    auto secret = test::secret_forms::of_token(line);
    REQUIRE(secret.are_in(line)); // it would be found
    CHECK_FALSE(secret.are_in(log.text()));
    CHECK_FALSE(secret.are_in(refused.error().detail));
    CHECK(secret.files_in(folder.path()) == std::vector<std::string>{});
  }
  CHECK(log.says("a token admits member"));
}

TEST_CASE("a node that cannot listen founds nothing, and uses no token", "[node][joining]") {
  test::temporary_folder folder;
  auto taken = net::start_listen(net::resolve(any_port)->front());
  REQUIRE(taken);
  auto port = net::local_endpoint(*taken).port();
  auto how = of(folder / "first");
  how.listen.port = port;
  auto refused = node::start(how);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::in_use);
  CHECK_FALSE(has_ca(folder / "first"));
  auto first = node::start(of(folder / "first"));
  REQUIRE(first);
  auto token = first->invite();
  REQUIRE(token);
  auto second = of(folder / "second");
  second.join = {at(*first)};
  second.token = *token;
  second.listen.port = port;
  auto in_vain = node::start(second);
  REQUIRE_FALSE(in_vain);
  CHECK(in_vain.error().code == errc::in_use);
  second.data = folder / "third"; // as another identity
  second.listen.port = 0;
  CHECK(node::start(std::move(second)));
}

TEST_CASE("a node joins with a token within 5 s beside 2,000 strangers a second",
          "[node][joining]") {
  test::temporary_folder folder;
  auto first = node::start(of(folder / "first"));
  REQUIRE(first);
  test::stranger_flood flood{net::resolve(at(*first))->front(),
                             test::stranger_flood::words::rubbish};
  CHECK(flood.wait_for_more(2'000));
  std::vector<std::pair<std::string, bool>> all; // why not, and whether that took less than 5 s
  for (std::string name : {"second", "third"}) {
    auto how = of(folder / name);
    how.join = {at(*first)};
    how.token = first->invite().value();
    auto began = std::chrono::steady_clock::now();
    auto joined = node::start(std::move(how));
    auto took = std::chrono::steady_clock::now() - began;
    all.emplace_back(joined ? "" : joined.error().detail, took < 5s);
  }
  CHECK(all == std::vector(2, std::pair{""s, true}));
}

TEST_CASE("a node waits for its certificate as long as it is told, and says for what",
          "[node][joining]") {
  test::temporary_folder folder;
  std::string token;
  net::address where;
  {
    auto first = node::start(of(folder / "first"));
    REQUIRE(first);
    token = first->invite().value();
    where = at(*first);
  }
  kept_log log;
  auto how = of(folder / "second");
  how.join = {where};
  how.token = token;
  how.wait_joined = 2500ms;
  how.log = log.sink();
  auto began = std::chrono::steady_clock::now();
  auto lost = node::start(how);
  REQUIRE_FALSE(lost);
  CHECK(lost.error().code == errc::unreachable);
  CHECK_THAT(lost.error().detail, ContainsSubstring(to_string(where)));
  CHECK(std::chrono::steady_clock::now() - began < 10s);
  CHECK(log.says("no certificate by the token yet"));
  CHECK(log.says(to_string(where) + " cannot be reached"));
}

TEST_CASE("a node that is asked to stop while it starts does so at once", "[node][joining]") {
  auto stopped = [](node_options how) {
    std::stop_source source;
    how.stop = source.get_token();
    how.listen = any_port;
    how.join = {{"127.0.0.1", 1}};
    how.wait_joined = 5min;
    auto starts
      = std::async(std::launch::async, [&how] { return node::start(std::move(how)).error_or(); });
    CHECK(starts.wait_for(300ms) == std::future_status::timeout);
    source.request_stop();
    REQUIRE(starts.wait_for(10s) == std::future_status::ready);
    CHECK(starts.get().code == errc::cancelled);
  };
  SECTION("with a token") {
    auto ca = security::key_pair::make();
    auto token = security::join_token::make(ca.public_half(), node_id{});
    stopped({.token = std::string{token.line().text()}});
  }
  SECTION("with insecure links") {
    stopped({.links = {.insecure = true}});
  }
}

TEST_CASE("a token renews what has been revoked, and a valid certificate needs none",
          "[node][joining]") {
  test::temporary_folder folder;
  auto first = node::start(of(folder / "first"));
  REQUIRE(first);
  auto how = of(folder / "second");
  how.join = {at(*first)};
  how.token = first->invite().value();
  REQUIRE(node::start(how));
  auto serial = [&] {
    auto own = security::certificate::load(folder / "second" / security::identity_certificate_file);
    return security::facts_of(own.value()).value().serial;
  };
  auto before = serial();
  kept_log log;
  how.log = log.sink();
  how.token = first->invite().value();
  REQUIRE(node::start(how));
  CHECK(serial() == before);
  CHECK(log.says("the token is not used"));
  auto ca_folder = folder / "first" / security::authority_folder;
  auto ca = security::authority::load(ca_folder).value();
  {
    auto book = security::certificate_register::open(ca_folder).value();
    auto which = book.find(before, read_calendar());
    REQUIRE(which);
    REQUIRE(security::revoke(folder / "second", ca, book, *which, read_calendar()));
  }
  CHECK(node::start(how));
  CHECK(serial() != before);
  SECTION("and one that has expired") {
    auto key = security::key_pair::make();
    std::filesystem::create_directory(folder / "third");
    REQUIRE(key.save(folder / "third" / security::identity_key_file));
    auto now = read_calendar();
    auto old = ca.issue(key.public_half(),
                        {"third", security::role::member, security::rights::operate, 1h}, now - 2h);
    REQUIRE(old);
    REQUIRE(security::put_certificates(folder / "third", ca.own(), *old));
    auto late = of(folder / "third");
    late.join = {at(*first)};
    CHECK_THAT(node::start(late).error().detail, ContainsSubstring("expired"));
    late.token = first->invite().value();
    auto renewed = node::start(late);
    CHECK((renewed ? "" : renewed.error().detail) == ""s);
  }
}

TEST_CASE("two nodes of one name hear of each other", "[node][join]") {
  test::lines first;
  testing::cluster c{1, [&](std::size_t, node_options& how) { how.log = first; }};
  test::lines second;
  auto other = test::join(c, {.name = c[0].name(), .log = second});
  REQUIRE(other);
  for (auto& [log, who] : {std::pair{&first, other->id()}, std::pair{&second, c[0].id()}})
    CHECK(c.until([&, log = log, who = who] {
      return log->contain("node " + to_string(who).substr(0, 8) + " is called 'n0' as well");
    }));
}
