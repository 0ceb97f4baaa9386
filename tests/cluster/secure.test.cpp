// Nodes with certificates, as their operators have them: the commands init and ca, links over TLS,
// and strangers that get nowhere.

#include "cluster/identities.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

#include <sys/stat.h>

using namespace std::literals;
using namespace troupe;
using namespace troupe::test;
using Catch::Matchers::ContainsSubstring;

namespace {

unsigned mode_of(const std::string& where) {
  struct stat about {};
  REQUIRE(::stat(where.c_str(), &about) == 0);
  return about.st_mode & 0777U;
}

} // namespace

SCENARIO("three nodes with certificates of one CA are a cluster that strangers cannot use",
         "[cluster]") {
  need_command();
  GIVEN("three nodes with certificates of one CA") {
    identities who;
    variable home{"TROUPE_HOME", who.folder("c1")};
    three_voters nodes{{}, [&](int index) { return who.folder(three_voters::name(index)); }};
    WHEN("a client with a certificate uses them") {
      THEN("its values and locks are there, and stay when a node is killed and comes back") {
        must({"put", "colour", "blue", "--at", nodes.addresses()});
        must({"lock", "work", "--ttl", "10s", "--at", nodes.addresses(), "--", "true"});
        auto leader = nodes.leader();
        nodes[leader].kill();
        REQUIRE(comes_true([&] {
          return run({"get", "colour", "--at", nodes.addresses()}).output == "blue\n";
        }));
        nodes.start_node(leader);
        CHECK(comes_true([&] { return nodes.is_whole(); }));
        std::map<std::string, json> peers;
        REQUIRE(comes_true([&] {
          auto seen = run({"status", "--json", "--at", nodes[0].address()}).line();
          peers.clear();
          for (auto& each : seen["links"])
            peers[each["peer"]] = each;
          return peers.size() == 3 && !peers.contains(seen["asked"]);
        }));
        CHECK(peers.contains("c1"));
        for (auto& [name, peer] : peers) {
          INFO(peer);
          CHECK(peer["tls"] == "1.3");
          CHECK(peer["role"] == (name == "c1" ? "client" : "member"));
          CHECK(peer["rights"] == (name == "c1" ? json("operate") : json{}));
          CHECK_THAT(peer.value("certificate_valid_until", ""), ContainsSubstring("T"));
        }
        auto text = run({"status", "--links", "--at", nodes[0].address()});
        CHECK(text.says("CERTIFICATE UNTIL"));
        auto by_node = run({"get", "colour", "--at", nodes[0].address(), "--identity",
                            who.folder("n0")}); // where the node itself runs
        CHECK(by_node.output == "blue\n");
      }
    }
    WHEN("strangers come") {
      auto at = nodes[0].address();
      THEN("a client without a certificate is told what is wrong, and gets nothing") {
        variable none{"TROUPE_HOME", who.folder("none")};
        auto done = run({"put", "colour", "red", "--at", at, "--timeout", "3s"});
        INFO(done);
        CHECK(done.status == 2);
        CHECK(done.says("troupe login"));
        CHECK(run({"put", "colour", "red", "--at", at, "--timeout", "3s", "--insecure"}).status
              != 0);
      }
      THEN("a client with a certificate of another CA is told what is wrong, and gets nothing") {
        must({"init", "--data", who.folder("other"), "--name", "mallory"});
        auto done = run({"put", "colour", "red", "--at", at, "--timeout", "3s", "--identity",
                         who.folder("other")});
        INFO(done);
        CHECK(done.status == 2);
        CHECK(done.says("another CA"));
      }
      THEN("openssl s_client and gnutls-cli without a certificate are refused, and with TLS 1.2") {
        auto port = at.substr(at.rfind(':') + 1);
        auto never = who.folder("never"); // stdin that neither has bytes nor ends
        REQUIRE(::mkfifo(never.c_str(), 0600) == 0);
        for (std::string how :
             {"openssl s_client -ign_eof -tls1_3 -connect " + at + " < /dev/null",
              "openssl s_client -ign_eof -tls1_2 -connect " + at + " < /dev/null",
              "gnutls-cli --no-ca-verification --port " + port + " 127.0.0.1 <> " + never,
              "gnutls-cli --no-ca-verification --priority NORMAL:-VERS-ALL:+VERS-TLS1.2 --port "
                + port + " 127.0.0.1 <> " + never}) {
          auto name = how.substr(0, how.find(' '));
          testing::child_process client{
            {"/bin/sh", "-c",
             "command -v " + name + " > /dev/null || exit 99; exec 2>&1; exec " + how}};
          auto done = finish(client); // until the node closes
          if (done.status == 99)
            SKIP("there is no command " + name);
          INFO(done);
          CHECK(done.status != 0);
          CHECK((done.says("ertificate required") || done.says("ertificate is required")
                 || done.says("rotocol version") || done.says("alert handshake failure")
                 || done.says("write:errno")));
        }
      }
      THEN("a node without certificates does not join") {
        auto done = run({"node", "--name", "stranger", "--listen", "127.0.0.1:0", "--join", at,
                         "--json", "--insecure"},
                        3s);
        INFO(done);
        CHECK_FALSE(done.says("\"joined\":true"));
      }
      CHECK(run({"get", "colour", "--at", at}).says("colour")); // nobody has written it
    }
  }
}

TEST_CASE("troupe init and ca make identities that only their owner can read", "[cluster][cli]") {
  need_command();
  identities who;
  for (std::string name : {"n0", "n1", "n2", "c1"}) {
    CHECK(mode_of(who.folder(name)) == 0700);
    CHECK(mode_of(who.folder(name) + "/identity.key") == 0600);
  }
  CHECK(mode_of(who.folder("n0") + "/ca/ca.key") == 0600);
  CHECK(mode_of(who.folder("n0") + "/ca") == 0700);
  auto again = run({"init", "--data", who.folder("n0")});
  CHECK(again.status == 1);
  CHECK(again.says("has certificates already"));
  for (std::string name : {" x", "x ", "-x"})
    CHECK(run({"ca", "issue", "--data", who.folder("n0"), "--name=" + name, "--out", "x"})
            .says("no space at either end"));
  auto no_ca = run({"ca", "issue", "--data", who.folder("n1"), "--name", "x", "--out", "x"});
  CHECK(no_ca.status == 2);
  CHECK(no_ca.says("has no CA"));
  auto before = content_of(who.folder("n1") + "/node.pem");
  auto lesser = run({"ca", "issue", "--data", who.folder("n0"), "--name", "x", "--role", "client",
                     "--out", who.folder("n1")});
  INFO(lesser);
  CHECK(lesser.status == 1);
  CHECK(lesser.says("has the certificate of the node 'n1'"));
  CHECK(content_of(who.folder("n1") + "/node.pem") == before); // with which it starts again
  auto other_name
    = run({"ca", "issue", "--data", who.folder("n0"), "--name", "n9", "--out", who.folder("n1")});
  INFO(other_name);
  CHECK(other_name.status == 1);
  CHECK(other_name.says("has the certificate of 'n1'; it stays"));
  CHECK(content_of(who.folder("n1") + "/node.pem") == before);
  auto namesake = run(
    {"ca", "issue", "--data", who.folder("n0"), "--name", "n1", "--out", who.folder("other")});
  INFO(namesake);
  CHECK(namesake.status == 0);
  CHECK(namesake.says("warning: 'n1' is also the name of "));
  auto nowhere = run({"ca", "issue", "--data", who.folder("n0"), "--name", "x"});
  CHECK(nowhere.status == 2);
  CHECK(nowhere.says("--out"));
  REQUIRE(::chmod((who.folder("n1") + "/identity.key").c_str(), 0644) == 0);
  auto open = run({"node", "--data", who.folder("n1"), "--listen", "127.0.0.1:0"});
  CHECK(open.status == 2);
  CHECK(open.says("chmod 600"));
}

TEST_CASE("a certificate for the identity of another machine needs no key to travel",
          "[cluster][cli]") {
  need_command();
  identities who;
  must({"init", "--data", who.folder("far"), "--request", who.folder("far.csr")});
  auto issued = run({"ca", "issue", "--json", "--data", who.folder("n0"), "--name", "far",
                     "--request", who.folder("far.csr"), "--out", who.folder("for_far")});
  INFO(issued);
  REQUIRE(issued.status == 0);
  CHECK(issued.line()["event"] == "issued");
  CHECK(issued.line()["name"] == "far");
  CHECK(issued.line()["role"] == "member");
  CHECK(issued.line()["rights"].is_null()); // it may do everything
  CHECK_FALSE(std::filesystem::exists(who.folder("for_far") + "/identity.key"));
  for (std::string each : {"node.pem", "ca.pem"})
    std::filesystem::copy(who.folder("for_far") + "/" + each, who.folder("far") + "/" + each);
  running_node first{{"--data", who.folder("n0")}};
  running_node far{{"--data", who.folder("far"), "--join", first.address()}};
  CHECK(far.ready()["id"] == issued.line()["node"]);
  write_file(who.folder("bad.csr"), "no request");
  for (auto* each : {"bad.csr", "none.csr"})
    CHECK(
      run({"ca", "issue", "--data", who.folder("n0"), "--name", "x", "--request", who.folder(each)})
        .status
      == 2);
}
