// A cluster grows by tokens, as its users have it grow: from an empty folder, by one line.

#include "cluster/troupe_command.hpp"
#include "support/secret_forms.hpp"
#include "troupe/testing/namespace_network.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <pwd.h>
#include <unistd.h>

using namespace std::literals;
using namespace troupe;
using namespace troupe::test;

namespace {

/// Without the certificate that other tests give each node.
running_node start_bare(words options) {
  words command{"node", "--json", "--listen", "127.0.0.1:0", "--timers", "lan", "--slots", "0"};
  command.insert(command.end(), options.begin(), options.end());
  return running_node{start(command)};
}

/// The line that `troupe ca invite` prints.
std::string invite(const std::string& data, words more = {}) {
  words command{"ca", "invite", "--json", "--data", data};
  command.insert(command.end(), more.begin(), more.end());
  auto said = run(command);
  INFO(said);
  REQUIRE(said.status == 0);
  return said.line().at("token");
}

void must_pass(const outcome& done) {
  INFO(done);
  REQUIRE(done.status == 0);
}

/// What a person is called in `ca list`.
bool lists(const std::string& data, const std::string& name) {
  auto said = run({"ca", "list", "--json", "--data", data}).lines();
  return std::ranges::any_of(said, [&](auto& each) { return each["name"] == name; });
}

} // namespace

SCENARIO("a machine joins a cluster with one line, and a person logs in with one", "[join]") {
  need_command();
  temporary_folder folder;
  auto at = [&](const std::string& name) { return (folder / name).string(); };
  GIVEN("a node that has founded a cluster in an empty folder") {
    auto first = start_bare({"--data", at("d1"), "--name", "first"});
    auto login = run({"login", first.address(), "--token",
                      invite(at("d1"), {"--role", "client", "--rights", "operate"}), "--name",
                      "ada", "--identity", at("ada")});
    INFO(login);
    REQUIRE(login.status == 0);
    auto status = [&](const std::string& where) {
      return run({"status", "--json", "--at", where, "--identity", at("ada")});
    };
    auto members = [&](const std::string& where) {
      auto seen = status(where).line();
      return seen.value("members", json::array()).size();
    };
    WHEN("a second node has an invitation") {
      auto token = invite(at("d1"));
      words as_second{"--data", at("d2"),        "--name",  "second",
                      "--join", first.address(), "--token", token};
      auto second = start_bare(as_second);
      THEN("both are members, and the client finds them") {
        CHECK(comes_true([&] { return members(second.address()) == 2; }));
        CHECK(lists(at("d1"), "second"));
        CHECK(lists(at("d1"), "ada"));
      }
      THEN("it comes back after kill -9 by the same command, for which it needs no token") {
        second.kill();
        auto again = start_bare(as_second);
        CHECK(again.ready()["id"] == second.ready()["id"]);
        CHECK(comes_true([&] { return members(again.address()) == 2; }));
      }
      THEN("a third one joins by any member, as that says where the CA is") {
        REQUIRE(comes_true([&] { return members(second.address()) == 2; }));
        auto third = start_bare(
          {"--data", at("d3"), "--name", "third", "--join", second.address(), "--token", "@" + [&] {
             write_file(folder / "token", invite(at("d1")) + "\n");
             return at("token");
           }()});
        CHECK(comes_true([&] { return members(first.address()) == 3; }));
      }
      THEN("nobody else joins by the same line") {
        auto thief = run({"node", "--data", at("thief"), "--listen", "127.0.0.1:0", "--join",
                          first.address(), "--token", token});
        INFO(thief);
        CHECK(thief.status == 1);
        CHECK(thief.says("the token was used at"));
      }
      THEN("neither a log nor a folder nor status has the secret") {
        auto secret = secret_forms::of_token(token);
        auto log = first.process().read_rest(100ms) + second.process().read_rest(100ms);
        CHECK_FALSE(secret.are_in(log));
        CHECK_FALSE(secret.are_in(status(first.address()).output));
        CHECK(secret.files_in(folder.path()) == words{});
      }
    }
    WHEN("a node without a data folder has an invitation") {
      auto fleeting = start_bare(
        {"--name", "fleeting", "--join", first.address(), "--token", invite(at("d1"))});
      THEN("it joins for its life") {
        CHECK(comes_true([&] { return members(first.address()) == 2; }));
      }
    }
    WHEN("the first node is stopped") {
      auto token = invite(at("d1"), {"--role", "client"});
      first.kill();
      auto refused
        = run({"login", first.address(), "--token", token, "--identity", at("bob")}, 40s);
      THEN("a login ends in time and says so, and the line is good afterwards") {
        INFO(refused);
        CHECK(refused.status == 1);
        CHECK(refused.says("cannot be reached"));
        auto back = running_node{start({"node", "--json", "--listen", first.address(), "--data",
                                        at("d1"), "--timers", "lan", "--slots", "0"})};
        auto done = run({"login", first.address(), "--token", token, "--identity", at("bob")}, 40s);
        INFO(done);
        CHECK(done.status == 0);
      }
    }
  }
}

TEST_CASE("a second machine joins by the network with one line", "[join]") {
  need_command();
  if (auto why = testing::namespace_network::missing())
    SKIP(why.detail);
  auto network = testing::namespace_network::make();
  REQUIRE(network);
  temporary_folder folder;
  auto at = [&](const std::string& name) { return (folder / name).string(); };
  auto start_on = [&](const std::string& host, const std::string& name, words more) {
    words command{"node",   "--json", "--listen", host + ":6767", "--data",  at(name),
                  "--name", name,     "--timers", "lan",          "--slots", "0"};
    command.insert(command.end(), more.begin(), more.end());
    std::optional<running_node> made;
    (*network)->at(host, [&] { made.emplace(start(command)); });
    return *std::move(made);
  };
  auto one = (*network)->add_host().value();
  auto two = (*network)->add_host().value();
  auto first = start_on(one, "one", {});
  auto second = start_on(two, "two", {"--join", one + ":6767", "--token", invite(at("one"))});
  auto login = run({"login", two + ":6767", "--token", invite(at("one"), {"--role", "client"}),
                    "--identity", at("me")}); // from a third machine, by the one without the CA
  INFO(login);
  REQUIRE(login.status == 0);
  CHECK(comes_true([&] {
    auto seen = run({"status", "--json", "--at", two + ":6767", "--identity", at("me")}).line();
    return seen.value("members", json::array()).size() == 2;
  }));
}

TEST_CASE("who has no certificate and no token is told how to get one", "[join]") {
  need_command();
  temporary_folder folder;
  auto at = [&](const std::string& name) { return (folder / name).string(); };
  auto first = start_bare({"--data", at("d1"), "--name", "first"});
  auto lost
    = run({"node", "--data", at("d2"), "--listen", "127.0.0.1:0", "--join", first.address()});
  INFO(lost);
  CHECK(lost.status == 2);
  for (auto* words :
       {"troupe ca invite", "--token", "troupe ca issue", "--data or --identity", "--insecure"})
    CHECK(lost.says(words));
  CHECK_FALSE(lost.says("node_options"));
  CHECK_FALSE(lost.says("other machines"));
  auto hidden = run({"node", "--data", at("d3"), "--listen", "127.0.0.1:0", "--join",
                     "192.0.2.1:6767"}); // which is not dialled yet
  INFO(hidden);
  CHECK(hidden.status == 2);
  CHECK(hidden.says("error: --listen is 127.0.0.1:0, where other machines cannot reach"));
  CHECK(hidden.says("--advertise"));
  auto nobody = run({"status", "--at", first.address(), "--identity", at("none")});
  INFO(nobody);
  CHECK(nobody.status == 2);
  CHECK(nobody.says("none, which --identity names, is not there"));
  CHECK(nobody.says("troupe login"));
  CHECK_FALSE(nobody.says("or give --identity"));
  variable home{"TROUPE_HOME", at("d2/identity.key")};
  auto no_folder = run({"status", "--at", first.address()});
  INFO(no_folder);
  CHECK(no_folder.status == 2);
  CHECK(no_folder.says("identity.key, which TROUPE_HOME names, is no folder"));
  CHECK(no_folder.says("get a certificate with troupe login, or give --identity FOLDER"));
  auto no_token = run({"login", first.address(), "--identity", at("none")});
  INFO(no_token);
  CHECK(no_token.status == 2);
  CHECK(no_token.says("troupe ca invite --role client"));
  auto found
    = start_bare({"--data", at("d2"), "--join", first.address(), "--token", invite(at("d1"))});
  REQUIRE(comes_true([&] {
    auto seen = run({"status", "--json", "--at", first.address(), "--identity", at("d1")}).line();
    return seen.value("members", json::array()).size() == 2;
  }));
  auto seen = run({"status", "--json", "--at", first.address(), "--identity", at("d1")}).line();
  for (auto& each : seen["members"])
    CHECK(each["boot"] == 1); // the one that was in vain has been no start
  auto began = std::chrono::steady_clock::now();
  auto plain = run({"status", "--at", first.address(), "--insecure", "--timeout", "20s"});
  INFO(plain);
  CHECK(plain.status == 2);
  CHECK(plain.says("has encrypted links, and this side has --insecure"));
  CHECK(plain.says("troupe login"));
  CHECK(std::chrono::steady_clock::now() - began < 10s); // another try would end alike
}

TEST_CASE("a folder that a user may not enter is not said to be without a certificate", "[join]") {
  need_command();
  temporary_folder folder;
  auto closed = folder / "closed";
  std::filesystem::create_directory(closed);
  std::filesystem::permissions(closed, std::filesystem::perms::none);
  words command{"/bin/sh", "-c", "exec \"$@\" 2>&1", "sh"};
  if (::geteuid() == 0) // whom permissions do not stop otherwise
    command.insert(command.end(),
                   {"/usr/bin/setpriv", "--bounding-set=-dac_override,-dac_read_search"});
  command.insert(command.end(), {command_path(), "status", "--identity", closed.string()});
  testing::child_process process{command};
  auto done = finish(process);
  std::filesystem::permissions(closed, std::filesystem::perms::owner_all);
  INFO(done);
  CHECK(done.status == 2);
  CHECK(done.says("Permission denied"));
  CHECK_FALSE(done.says("troupe login"));
}

TEST_CASE("a token is kept in a file that only its owner can read", "[join]") {
  need_command();
  temporary_folder folder;
  auto at = [&](const std::string& name) { return (folder / name).string(); };
  auto first = start_bare({"--data", at("d1"), "--name", "first"});
  words to_file{"ca", "invite", "--data", at("d1"), "--role", "client", "--out", at("me.token")};
  auto made = run(to_file);
  INFO(made);
  REQUIRE(made.status == 0);
  CHECK_FALSE(made.says("troupe1"));
  auto token = content_of(at("me.token"));
  CHECK(token.starts_with("troupe1"));
  using std::filesystem::perms;
  CHECK(std::filesystem::status(at("me.token")).permissions()
        == (perms::owner_read | perms::owner_write));
  auto again = run(to_file);
  INFO(again);
  CHECK(again.status == 2);
  CHECK(again.says("exists already"));
  CHECK(content_of(at("me.token")) == token);
  CHECK(run({"ca", "invite", "--data", at("d1"), "--out", at("no/such/folder")}).status == 2);
  CHECK(run({"ca", "invite", "--data", at("none"), "--out", at("other.token")}).status == 2);
  CHECK_FALSE(std::filesystem::exists(at("other.token")));
  auto login = [&](const std::string& file) {
    return run({"login", first.address(), "--token", "@" + file, "--identity", at("me")});
  };
  auto done = login(at("me.token"));
  INFO(done);
  CHECK(done.status == 0);
  CHECK_FALSE(done.says("warning"));
  std::filesystem::permissions(at("me.token"), perms::others_read,
                               std::filesystem::perm_options::add);
  auto open = login(at("me.token"));
  INFO(open);
  CHECK(open.status == 0);
  CHECK(open.says("warning: other users of this machine can read the token"));
  CHECK(open.says("chmod 600"));
  write_file(folder / "empty", "\n");
  for (auto& [file, words] : std::vector<std::pair<std::string, std::string>>{
         {"empty", "is empty"}, {"missing", "there is no file"}, {"d1", "cannot read"}}) {
    auto wrong = login(at(file));
    INFO(wrong);
    CHECK(wrong.status == 2);
    CHECK(wrong.says("--token: "));
    CHECK(wrong.says(words));
    auto node = run({"node", "--data", at("d2"), "--listen", "127.0.0.1:0", "--join",
                     first.address(), "--token", "@" + at(file)});
    INFO(node);
    CHECK(node.status == 2);
    CHECK(node.says(words));
  }
}

TEST_CASE("a login leaves the certificate of a node where it is, and one with more rights",
          "[join]") {
  need_command();
  temporary_folder folder;
  auto at = [&](const std::string& name) { return (folder / name).string(); };
  auto first = start_bare({"--data", at("d1"), "--name", "first"});
  auto token_for = [&](const std::string& may) {
    return invite(at("d1"), {"--role", "client", "--rights", may});
  };
  auto login = [&](const std::string& token, const std::string& into, words more = {}) {
    words command{"login",  first.address(), "--token",    token,
                  "--name", "ada",           "--identity", at(into)};
    command.insert(command.end(), more.begin(), more.end());
    return run(command);
  };
  auto before = content_of(at("d1/node.pem"));
  for (words more : {words{}, words{"--replace"}}) {
    auto refused = login(token_for("use"), "d1", more);
    INFO(refused);
    CHECK(refused.status == 1);
    CHECK(refused.says("has the certificate of the node 'first'"));
    CHECK(content_of(at("d1/node.pem")) == before);
  }
  must_pass(run({"init", "--data", at("d2"), "--request", at("d2.csr")}));
  must_pass(run({"init", "--data", at("d2"), "--request", at("d2.csr")})); // it asks the same
  auto other = run({"init", "--data", at("d3"), "--request", at("d2.csr")});
  INFO(other);
  CHECK(other.status == 1);
  CHECK(other.says("which is there and asks for no certificate of"));
  auto unfinished = login(token_for("use"), "d2");
  INFO(unfinished);
  CHECK(unfinished.status == 1);
  CHECK(unfinished.says("is the data folder of a node"));
  must_pass(login(token_for("use"), "ada"));
  must_pass(login(token_for("operate"), "ada")); // more rights
  auto strong = content_of(at("ada/node.pem"));
  auto token = token_for("use");
  auto fewer = login(token, "ada");
  INFO(fewer);
  CHECK(fewer.status == 1);
  CHECK(fewer.says("a certificate for 'ada' with the right operate, valid until"));
  CHECK(fewer.says("--replace with the same token, or another folder with another token"));
  CHECK_FALSE(fewer.says("login_options"));
  CHECK(content_of(at("ada/node.pem")) == strong);
  auto replaced = login(token, "ada", {"--replace", "--json"});
  INFO(replaced);
  CHECK(replaced.status == 0);
  CHECK(replaced.line()["rights"] == "use");
}

TEST_CASE("a login beside the certificate of another identity costs no token", "[join]") {
  need_command();
  temporary_folder folder;
  auto at = [&](const std::string& name) { return (folder / name).string(); };
  auto first = start_bare({"--data", at("d1"), "--name", "first"});
  auto login = [&](const std::string& token) {
    return run({"login", first.address(), "--token", token, "--identity", at("ada")});
  };
  must_pass(login(invite(at("d1"), {"--role", "client"})));
  std::filesystem::remove(folder / "ada/identity.key"); // as after a revocation
  auto token = invite(at("d1"), {"--role", "client"});
  auto refused = login(token);
  INFO(refused);
  CHECK(refused.status == 1);
  CHECK(refused.says("node.pem, which is of another identity than that of identity.key; remove"));
  CHECK_FALSE(std::filesystem::exists(folder / "ada/identity.key"));
  std::filesystem::remove(folder / "ada/node.pem");
  must_pass(login(token));
}

TEST_CASE("a login is kept in the folder that TROUPE_HOME names, else in ~/.troupe", "[join]") {
  need_command();
  temporary_folder folder;
  auto at = [&](const std::string& name) { return (folder / name).string(); };
  auto first = start_bare({"--data", at("d1"), "--name", "first"});
  variable person{"HOME", at("ada")};
  std::filesystem::create_directory(at("ada"));
  for (auto& [named, kept] : std::vector<std::pair<std::string, std::string>>{
         {"", at("ada/.troupe")}, {at("other"), at("other")}}) {
    CAPTURE(named);
    variable home{"TROUPE_HOME", named};
    auto stranger = run({"status", "--at", first.address()});
    CHECK(stranger.status == 2);
    must_pass(run({"login", first.address(), "--token", invite(at("d1"), {"--role", "client"})}));
    using std::filesystem::perms;
    CHECK(std::filesystem::status(kept).permissions() == perms::owner_all);
    CHECK(std::filesystem::status(kept + "/identity.key").permissions()
          == (perms::owner_read | perms::owner_write));
    must_pass(run({"status", "--at", first.address()}));
  }
}

TEST_CASE("a node that founds a cluster in memory says that nobody can join that", "[join]") {
  need_command();
  auto says_so = [](const words& options) {
    words command{"node", "--json", "--listen", "127.0.0.1:0"};
    command.insert(command.end(), options.begin(), options.end());
    auto node = start(command);
    std::string seen;
    auto deadline = std::chrono::steady_clock::now() + 20s;
    while (auto line = node.read_line(deadline)) {
      if (line->find("\"ready\"") != std::string::npos)
        return seen.find("can join this cluster") != std::string::npos;
      seen += *line + '\n';
    }
    FAIL("the node did not start: " << seen);
    return false;
  };
  CHECK(says_so({}));
  CHECK_FALSE(says_so({"--insecure"}));
  temporary_folder folder;
  CHECK_FALSE(says_so({"--data", (folder / "d").string()}));
}

TEST_CASE("a login has the name of its user, also where the environment does not say it",
          "[join]") {
  need_command();
  auto* user = ::getpwuid(::geteuid());
  if (user == nullptr)
    SKIP("this user has no name");
  temporary_folder folder;
  auto at = [&](const std::string& name) { return (folder / name).string(); };
  auto first = start_bare({"--data", at("d1"), "--name", "first"});
  for (auto& [called, expected] :
       std::vector<std::pair<std::string, std::string>>{{"", user->pw_name}, {"ada", "ada"}}) {
    variable name{"USER", called};
    auto login = run({"login", first.address(), "--json", "--identity", at("as-" + called),
                      "--token", invite(at("d1"), {"--role", "client"})});
    must_pass(login);
    CHECK(login.line().value("name", "").starts_with(expected + "@"));
  }
}

TEST_CASE("a node that waits for its certificate says so, and ends at a signal", "[join]") {
  need_command();
  temporary_folder folder;
  auto at = [&](const std::string& name) { return (folder / name).string(); };
  auto first = start_bare({"--data", at("d1"), "--name", "first"});
  auto token = invite(at("d1"));
  first.kill();
  auto waits = start({"node", "--listen", "127.0.0.1:0", "--data", at("d2"), "--join",
                      first.address(), "--token", token});
  auto said = waits.read_line(10s);
  REQUIRE(said);
  CHECK(said->find("no certificate by the token yet") != std::string::npos);
  CHECK(said->find(first.address() + " cannot be reached") != std::string::npos);
  waits.send_signal(SIGTERM);
  CHECK(waits.wait_for_end(5s) == 0);
}

TEST_CASE("a wrong token is refused by whom it concerns", "[join]") {
  need_command();
  temporary_folder folder;
  auto at = [&](const std::string& name) { return (folder / name).string(); };
  auto first = start_bare({"--data", at("d1"), "--name", "first"});
  auto other = start_bare({"--data", at("o1"), "--name", "other"});
  auto join = [&](const std::string& token) {
    return run({"node", "--data", at("d2"), "--listen", "127.0.0.1:0", "--join", first.address(),
                "--token", token});
  };
  auto mistyped = invite(at("d1"));
  mistyped.back() = mistyped.back() == '0' ? '1' : '0';
  for (auto& [token, status, words] : std::vector<std::tuple<std::string, int, std::string>>{
         {"hello", 2, "this is no token"},
         {mistyped, 2, "mistyped"},
         {invite(at("o1")), 2, "no member of the cluster that the token is for"},
         {invite(at("d1"), {"--role", "client"}), 2, "troupe login"}}) {
    auto got = join(token);
    INFO(got);
    CHECK(got.status == status);
    CHECK(got.says(words));
    CHECK_FALSE(got.says(token));
  }
  auto as_client
    = run({"login", first.address(), "--token", invite(at("d1")), "--identity", at("ada")});
  INFO(as_client);
  CHECK(as_client.says("troupe node --token"));
  auto no_ca = run({"ca", "invite", "--data", at("d2")});
  INFO(no_ca);
  CHECK(no_ca.status == 2);
  CHECK(no_ca.says("has no CA"));
  auto too_long = run({"ca", "invite", "--data", at("d1"), "--for", "400h"});
  CHECK(too_long.status == 2);
}

TEST_CASE("a token that was withdrawn admits nobody, and open ones are listed", "[join]") {
  need_command();
  temporary_folder folder;
  auto at = [&](const std::string& name) { return (folder / name).string(); };
  auto first = start_bare({"--data", at("d1"), "--name", "first"});
  auto token = invite(at("d1"), {"--role", "client", "--name", "ada"});
  auto list = [&] { return run({"ca", "invitations", "--json", "--data", at("d1")}); };
  auto listed = list();
  INFO(listed);
  REQUIRE(listed.lines().size() == 1);
  CHECK(listed.line()["name"] == "ada");
  CHECK(listed.line()["used_by"].is_null());
  CHECK_FALSE(listed.says(token));
  auto id = listed.line()["id"].get<std::string>();
  CHECK(run({"ca", "invitations", "--data", at("d1")}).says("open"));
  auto done = run({"ca", "withdraw", id.substr(0, 6), "--json", "--data", at("d1")});
  INFO(done);
  REQUIRE(done.status == 0);
  CHECK(done.line()["event"] == "withdrawn");
  CHECK(done.line()["id"] == id);
  CHECK(list().lines().empty());
  auto late = run({"login", first.address(), "--token", token, "--identity", at("ada")});
  INFO(late);
  CHECK(late.status != 0);
  CHECK(late.says("withdrawn"));
  CHECK(run({"ca", "withdraw", id, "--data", at("d1")}).status == 1);
  auto nothing = run({"ca", "withdraw", "--data", at("d1")});
  CHECK(nothing.status == 2);
  CHECK(nothing.says("troupe ca invitations"));
  auto other = invite(at("d1"), {"--role", "client"});
  REQUIRE(run({"login", first.address(), "--token", other, "--identity", at("bob")}).status == 0);
  CHECK(list().line()["used_by"].is_string());
}

TEST_CASE("a node with insecure links says so at each start, stays on loopback and has no CA",
          "[join]") {
  need_command();
  temporary_folder folder;
  auto outside = run({"node", "--insecure", "--listen", "127.0.0.1:0", "--join", "192.0.2.1:6767"});
  INFO(outside);
  CHECK(outside.status == 2);
  CHECK(outside.says("links with --insecure are for loopback only"));
  auto beyond = run({"node", "--insecure", "--listen", "0.0.0.0:0"});
  INFO(beyond);
  CHECK(beyond.status == 2);
  CHECK(beyond.says("insecure links are for loopback"));
  auto plain = start_bare({"--insecure", "--data", (folder / "plain").string()});
  CHECK(comes_true([&] {
    return run({"status", "--at", plain.address(), "--insecure"}).status == 0;
  }));
  auto began = std::chrono::steady_clock::now();
  auto secure = run({"status", "--at", plain.address(), "--timeout", "20s"});
  INFO(secure);
  CHECK(secure.status == 2);
  CHECK(secure.says("it has --insecure"));
  CHECK(std::chrono::steady_clock::now() - began < 10s);
  CHECK_FALSE(std::filesystem::exists(folder / "plain" / "ca"));
  plain.kill();
  auto asked = run({"node", "--data", (folder / "plain").string(), "--listen", "127.0.0.1:0"});
  INFO(asked);
  CHECK(asked.status == 2);
  CHECK(asked.says("--insecure"));
}
